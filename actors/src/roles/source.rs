//! A source: plays its departures, and stamps each event by the wall clock of its node.

use std::cell::RefCell;
use std::iter::Peekable;
use std::rc::Rc;

use wavetank_scenarios::input::What;
use wavetank_scenarios::topology::Port;
use wavetank_scenarios::{Event, EventId, Producer};

use crate::cast::{Departure, Departures};
use crate::element::Element;
use crate::host::Part;
use crate::world::{Effect, Input, Stage};

/// What is still to depart. It belongs to the plan of the world, not to the state of an actor: what happens while the
/// source's node is down happens all the same, and is missed.
pub(crate) type Plan = Rc<RefCell<Peekable<Departures>>>;

pub(crate) struct Source {
    plan: Plan,
}

impl Source {
    pub fn new(plan: Plan) -> Self {
        Self { plan }
    }

    fn depart(departure: Departure, stage: &Stage) {
        let id = EventId {
            producer: Producer(stage.actor().0),
            number: departure.number,
        };
        for fault in departure.faults {
            stage.put(Effect::Fault(fault, id));
        }
        match departure.what {
            None => stage.put(Effect::Missed(id)),
            Some(What::Watermark(watermark)) => stage.send(Port::Main, Element::Watermark(watermark)),
            Some(What::Event(row)) => {
                let stamp = stage.stamp(departure.happened);
                let planned = departure.planned;
                let event = Event {
                    id,
                    stamp,
                    correlation: id,
                    planned,
                    row,
                    lineage: None,
                    pane: None,
                    sequence: None,
                };
                stage.send(Port::Main, Element::Event(Box::new(event)));
            }
        }
    }
}

impl Part for Source {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        let now = stage.plan_time();
        let mut plan = self.plan.borrow_mut();
        if let Input::Enter { again: true } = input {
            while let Some(missed) = plan.next_if(|departure| departure.at < now) {
                stage.put(Effect::Missed(EventId {
                    producer: Producer(stage.actor().0),
                    number: missed.number,
                }));
            }
        }
        while let Some(departure) = plan.next_if(|departure| departure.at <= now) {
            Self::depart(departure, stage);
        }
        match plan.peek() {
            Some(next) => stage.depart(next.at, 0),
            None => stage.send(Port::Main, Element::End),
        }
    }
}
