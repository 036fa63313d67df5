//! A source: plays its departures, stamps each event by the wall clock of its node, and puts the markers of epochs among
//! them.

use std::cell::{Cell, RefCell};
use std::iter::Peekable;
use std::rc::Rc;

use wavetank_scenarios::input::What;
use wavetank_scenarios::script::Epoch;
use wavetank_scenarios::topology::Port;
use wavetank_scenarios::{Event, EventId, Producer, Span, Time};

use crate::cast::{Departure, Departures};
use crate::element::Element;
use crate::host::Part;
use crate::world::{Effect, Input, Stage};

/// What is still to depart. It belongs to the plan of the world, not to the state of an actor: what happens while the
/// source's node is down happens all the same, and is missed.
pub(crate) type Plan = Rc<RefCell<Peekable<Departures>>>;

/// How far a source is in the numbers of its markers; kept across crashes, so that no number is given twice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marked {
    /// When the run began.
    start: Option<Time>,
    /// The number of its last marker.
    last: u64,
}

pub(crate) struct Source {
    plan: Plan,
    epoch: Option<Epoch>,
    marked: Rc<Cell<Marked>>,
    /// The end has been sent.
    over: bool,
}

/// The token of a departure.
const DEPART: u64 = 0;
/// The token of the timer of markers.
const MARK: u64 = 1;

impl Source {
    pub fn new(plan: Plan, epoch: Option<Epoch>, marked: Rc<Cell<Marked>>) -> Self {
        Self {
            plan,
            epoch,
            marked,
            over: false,
        }
    }

    /// A marker is due: by the source's own wall clock, or it is time to ask the counter.
    fn mark(&mut self, stage: &Stage) {
        let Some(epoch) = self.epoch.as_ref().filter(|_| !self.over) else {
            return;
        };
        if let Some(counter) = epoch.counter {
            stage.send(Port::Counter, Element::Ask);
            return stage.timer(counter.ask, MARK);
        }
        let start = self.marked.get().start.unwrap_or(Time::ZERO);
        let due = |number: u64| start + times(epoch.every, number);
        let wall = stage.wall();
        let mut next = self.marked.get().last + 1;
        let mut numbers = Vec::new();
        while due(next) <= wall && epoch.until.is_none_or(|until| next <= until) {
            numbers.push(next);
            next += 1;
        }
        let wait = due(next).since(wall);
        for number in numbers {
            self.number(number, stage);
        }
        if !self.over {
            // A clock that has jumped back is asked again when it shows the time.
            stage.timer(wait.max(Span::UNIT), MARK);
        }
    }

    /// Puts out the marker of that number.
    fn number(&mut self, number: u64, stage: &Stage) {
        let until = self.epoch.as_ref().and_then(|epoch| epoch.until);
        let marked = self.marked.get();
        if self.over || number <= marked.last || until.is_some_and(|until| number > until) {
            return;
        }
        self.marked.set(Marked { last: number, ..marked });
        stage.send(Port::Main, Element::Epoch(number));
        if until == Some(number) {
            self.end(stage);
        }
    }

    fn end(&mut self, stage: &Stage) {
        if !std::mem::replace(&mut self.over, true) {
            stage.send(Port::Main, Element::End);
        }
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
                    position: None,
                };
                stage.send(Port::Main, Element::Event(Box::new(event)));
            }
        }
    }
}

/// A span so many times.
fn times(span: Span, times: u64) -> Span {
    Span::from_micros(span.micros().saturating_mul(i64::try_from(times).unwrap_or(i64::MAX)))
}

impl Source {
    /// Lets go what is due by the plan, and sets the timer of what is next.
    fn play_plan(&mut self, again: bool, stage: &Stage) {
        if self.over {
            return;
        }
        let now = stage.plan_time();
        let plan = Rc::clone(&self.plan);
        let mut plan = plan.borrow_mut();
        if again {
            while let Some(missed) = plan.next_if(|departure| departure.at < now) {
                stage.put(Effect::Missed(EventId {
                    producer: Producer(stage.actor().0),
                    number: missed.number,
                }));
            }
        }
        // A source that was stopped goes on one instant of its plan after the other, so that it can be stopped again.
        let instant = plan.peek().map_or(now, |next| next.at.min(now));
        while let Some(departure) = plan.next_if(|departure| departure.at <= instant) {
            Self::depart(departure, stage);
        }
        match plan.peek() {
            Some(next) => stage.depart(next.at, DEPART),
            // Where it ends with a marker, that is still to come.
            None if self.epoch.as_ref().is_some_and(|epoch| epoch.until.is_some()) => {}
            None => self.end(stage),
        }
    }
}

impl Part for Source {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        match input {
            Input::Enter { again } => {
                let marked = self.marked.get();
                let start = marked.start.or(Some(stage.plan_time()));
                self.marked.set(Marked { start, ..marked });
                self.over = self
                    .epoch
                    .as_ref()
                    .is_some_and(|e| e.until.is_some_and(|until| marked.last >= until));
                self.play_plan(again, stage);
                self.mark(stage);
            }
            Input::Timer(MARK) => self.mark(stage),
            Input::Timer(_) => self.play_plan(false, stage),
            Input::Element {
                element: Element::Epoch(number),
                ..
            } => self.number(number, stage),
            Input::Element { .. } => {}
        }
    }
}
