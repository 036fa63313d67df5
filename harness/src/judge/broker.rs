//! Brokers beside their models: what they are given, what they give, and what is acknowledged.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use wavetank_actors::Element;
use wavetank_actors::reliability::{Control, From};
use wavetank_actors::world::NodeClock;
use wavetank_oracle::broker::{Begin, Law, Leave, Log, Queue};
use wavetank_scenarios::fault::FaultKind;
use wavetank_scenarios::script::{self, BrokerKind, Expired};
use wavetank_scenarios::topology::{ActorId, LinkId};
use wavetank_scenarios::{Event, EventId, Time};

use super::{Breach, Judge};

/// A broker and its model.
pub(super) struct Shelf {
    model: Model,
    clock: Rc<NodeClock>,
    partitions: u32,
    /// A reader of what is there no longer goes on with what is newest.
    newest: bool,
    /// What it was given and has not finished, oldest first: what is no event or message is `None`.
    given: VecDeque<Option<Given>>,
    /// Whether the oldest has been told to the model.
    begun: bool,
    /// A new incarnation has not entered yet.
    enters: bool,
    /// Whether anything was given.
    pub tested: bool,
    pub breach: Option<Breach>,
}

/// What a broker is given.
enum Given {
    Event(EventId),
    Message(ActorId, Arc<Control>),
}

enum Model {
    Log(Log),
    Queue(Queue),
}

impl Shelf {
    /// A broker that may have had events before the run began, if it `resumes`.
    pub fn new(settings: &script::Broker, clock: Rc<NodeClock>, resumes: bool) -> Self {
        let model = match settings.kind {
            BrokerKind::Log => Model::Log(Log::new(resumes)),
            BrokerKind::Queue => Model::Queue(Queue::new(
                settings.visibility,
                settings.max_deliveries,
                settings.in_flight,
                resumes,
            )),
        };
        Self {
            model,
            clock,
            partitions: settings.partitions.max(1),
            newest: settings.expired == Expired::Latest,
            given: VecDeque::new(),
            begun: false,
            enters: true,
            tested: false,
            breach: None,
        }
    }

    /// The broker's node crashed.
    pub fn crash(&mut self) {
        self.given.clear();
        (self.begun, self.enters) = (false, true);
        if let Model::Queue(queue) = &mut self.model {
            queue.crashes();
        }
    }

    /// It is woken by a timer.
    pub fn woken(&mut self) {
        self.given.push_back(None);
    }

    /// It begins with the oldest thing that it was given: what it does from now on follows from that.
    fn begin(&mut self) {
        if self.enters || std::mem::replace(&mut self.begun, true) {
            return;
        }
        match self.given.front().and_then(Option::as_ref) {
            Some(Given::Event(event)) => match &mut self.model {
                Model::Log(log) => log.comes(*event),
                Model::Queue(queue) => queue.comes(*event),
            },
            Some(Given::Message(from, control)) => {
                let (from, control) = (*from, Arc::clone(control));
                self.told(from, &control);
            }
            None => {}
        }
    }

    /// It is done with the oldest thing that it was given, or has entered.
    pub fn done(&mut self) {
        if !std::mem::take(&mut self.enters) {
            self.begin();
            self.given.pop_front();
            self.begun = false;
        }
    }

    fn gives(&mut self, at: Time, reader: ActorId, event: &Event) -> Law {
        self.tested = true;
        let Some(place) = event.position else {
            return Err("an event that says where it lies".into());
        };
        match &mut self.model {
            Model::Log(log) => log.gives(reader.0, event.id, place),
            Model::Queue(queue) => queue.gives(reader.0, event.id, place.offset, self.clock.monotonic(at)),
        }
    }

    fn told(&mut self, reader: ActorId, control: &Control) {
        match (&mut self.model, control) {
            (Model::Log(log), Control::Missing(gap)) => {
                log.lacks(reader.0, gap.partition, gap.from, gap.to, self.newest);
            }
            (Model::Log(log), Control::Seek { from, .. }) => {
                let begin = match from {
                    From::Positions(places) => Begin::At(places),
                    From::Committed | From::Earliest => Begin::Somewhere,
                    From::Latest | From::Time(_) => Begin::Later,
                };
                log.seeks(reader.0, self.partitions, begin);
            }
            (Model::Queue(queue), Control::Seek { .. }) => queue.begins(reader.0),
            (Model::Queue(queue), Control::Acknowledge(places)) => {
                places.iter().for_each(|place| queue.acknowledged(place.offset));
            }
            _ => {}
        }
    }

    /// A declared fault acts on an event.
    fn meddled(&mut self, kind: FaultKind, event: EventId) {
        self.begin();
        let leave = match kind {
            FaultKind::Redeliver => Leave::Again(event),
            FaultKind::ReorderPartition => Leave::Behind(event),
            FaultKind::LostAcknowledgement => Leave::Forgotten(event),
            _ => return,
        };
        match &mut self.model {
            Model::Log(log) => log.may(leave),
            Model::Queue(queue) => queue.may(leave),
        }
    }

    fn look(&mut self, at: Time, event: Option<EventId>, came: &str, law: Law) {
        if let (Err(expected), None) = (law, &self.breach) {
            let came = came.to_owned();
            self.breach = Some(Breach {
                at,
                event,
                expected,
                came,
            });
        }
    }
}

impl Judge {
    /// A broker takes something.
    pub(super) fn shelved(&mut self, actor: ActorId, input: usize, element: &Element) {
        let Some(shelf) = &mut self.shelves[actor.0 as usize] else {
            return;
        };
        shelf.given.push_back(match element {
            Element::Event(event) => Some(Given::Event(event.id)),
            Element::Control(control) => {
                let link = self.topology.actors[actor.0 as usize].inputs[input];
                let from = self.topology.links[link.0 as usize].from;
                Some(Given::Message(from, Arc::clone(control)))
            }
            _ => None,
        });
    }

    /// Somebody gives one other something.
    pub(super) fn handed(&mut self, at: Time, link: LinkId, element: &Element) {
        let link = &self.topology.links[link.0 as usize];
        let lost = self.actors[link.from.0 as usize].lost_in_crash;
        let Some(shelf) = &mut self.shelves[link.from.0 as usize] else {
            return;
        };
        shelf.begin();
        match element {
            Element::Event(event) => {
                let law = shelf.gives(at, link.to, event);
                let came = format!("{} at {}", event.id, place(event));
                shelf.look(at, Some(event.id), &came, law);
            }
            Element::Control(control) => shelf.told(link.to, control),
            Element::End => {
                let law = match &shelf.model {
                    Model::Log(log) => log.ends(lost),
                    Model::Queue(queue) => queue.ends(lost),
                };
                shelf.look(at, None, "the end", law);
            }
            _ => {}
        }
    }

    /// A declared fault acts on an event, perhaps at a broker.
    pub(super) fn meddled_at_broker(&mut self, fault: usize, event: EventId) {
        let fault = &self.script.scenario.faults[fault];
        let Some(broker) = self.topology.actor(&fault.on) else {
            return;
        };
        if let Some(shelf) = &mut self.shelves[broker.0 as usize] {
            shelf.meddled(fault.kind, event);
        }
    }

    /// A broker gives an event up.
    pub(super) fn buried(&mut self, at: Time, actor: ActorId, event: EventId) {
        let Some(shelf) = &mut self.shelves[actor.0 as usize] else {
            return;
        };
        shelf.begin();
        if let Model::Queue(queue) = &mut shelf.model {
            let law = queue.buries(event);
            shelf.look(at, Some(event), "it was given up", law);
        }
    }
}

fn place(event: &Event) -> String {
    event.position.map_or_else(
        || "no place".to_owned(),
        |place| format!("place {} of partition {}", place.offset, place.partition),
    )
}
