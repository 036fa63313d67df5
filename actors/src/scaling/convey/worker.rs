//! A sub-stream: a copy of the operator between a split and a merge. It gives results the number of the event that
//! caused them, tells what it has processed, hands the state of keys over that move away, and keeps the events of keys
//! that come to it waiting until their state is there.

use std::collections::VecDeque;
use std::sync::Arc;

use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::numbering::{Moved, Moving, Progress};
use wavetank_scenarios::script::{Convey, Gaps, Route};
use wavetank_scenarios::topology::Port;
use wavetank_scenarios::{Event, Span, Time, Value};

use super::TELL;
use crate::element::Element;
use crate::host::{Keeps, Part};
use crate::reliability::{State, StateError};
use crate::roles::Operating;
use crate::world::{Effect, Input, Stage};

/// A sub-stream of one operator.
pub(crate) struct Worker {
    operating: Operating,
    gaps: Gaps,
    events: u32,
    every: Span,
    /// Whether the split counts what is outstanding.
    answers: bool,
    tick: Span,
    /// Where the fields that events are dealt by stand in a key of the operator's state, if it has one.
    key: Option<Vec<usize>>,
    /// All numbers below this that came are done, or wait.
    done: u64,
    told: u64,
    untold: u32,
    armed: bool,
    /// Events of keys whose state is under way, with their lanes.
    waiting: VecDeque<(usize, Box<Event>)>,
    /// A tick below the smallest of their stamps.
    smallest: Time,
}

impl Worker {
    pub fn new(operating: Operating, settings: &Convey, key: Option<Vec<usize>>, tick: Span) -> Self {
        Self {
            operating,
            gaps: settings.gaps,
            events: settings.events,
            every: settings.every,
            answers: matches!(settings.by, Route::Load),
            tick,
            key,
            done: 0,
            told: 0,
            untold: 0,
            armed: false,
            waiting: VecDeque::new(),
            smallest: Time::MAX,
        }
    }

    fn event(&mut self, lane: usize, event: Box<Event>, stage: &Stage) {
        let Some(sequence) = event.sequence else {
            return self.operating.event(lane, *event, stage);
        };
        self.done = sequence.number + 1;
        if sequence.after > 0 {
            // No watermark passes an event that waits.
            self.smallest = self.smallest.min(event.stamp - self.tick);
            self.operating.hold_back(self.smallest);
            self.waiting.push_back((lane, event));
            self.operating.waits(stage);
        } else {
            self.work(lane, *event, stage);
        }
    }

    /// Works on an event, and tells of it.
    fn work(&mut self, lane: usize, event: Event, stage: &Stage) {
        let number = event.sequence.map_or(0, |sequence| sequence.number);
        let results = self.operating.numbered(number, lane, event, stage);
        if self.gaps == Gaps::Skip && results == 0 {
            stage.send(Port::Main, Element::Progress(Progress::Skip(number)));
        }
        if self.answers {
            stage.send(Port::Back, Element::Progress(Progress::Done(number + 1)));
        }
        if self.gaps == Gaps::Processed {
            self.untold += 1;
            if self.untold >= self.events {
                self.tell(stage);
            } else if !std::mem::replace(&mut self.armed, true) {
                stage.timer(self.every, TELL);
            }
        }
    }

    /// All numbers below this that came here are done.
    fn processed(&self) -> u64 {
        let first = self.waiting.front().and_then(|(_, event)| event.sequence);
        first.map_or(self.done, |sequence| sequence.number)
    }

    fn tell(&mut self, stage: &Stage) {
        self.untold = 0;
        let processed = self.processed();
        if processed > self.told {
            self.told = processed;
            stage.send(Port::Main, Element::Progress(Progress::Done(processed)));
        }
    }

    /// Hands the state of keys over.
    fn give(&mut self, moving: &Arc<Moving>, stage: &Stage) {
        let state = match &self.key {
            Some(slots) => self.operating.take_keys(&|key: &[Value]| {
                let dealt: Vec<Value> = slots
                    .iter()
                    .map(|slot| key.get(*slot).cloned().unwrap_or_default())
                    .collect();
                moving.takes(&dealt)
            }),
            None => Vec::new(),
        };
        stage.put(Effect::Measured(Metric::MovedKeys, state.len() as u64));
        let moving = Arc::clone(moving);
        let moved = Arc::new(Moved { moving, state });
        stage.send(Port::Back, Element::Progress(Progress::State(moved)));
    }

    /// Takes the state of keys in, and works on what has waited for it.
    fn take(&mut self, moved: &Moved, stage: &Stage) {
        if let Err(reason) = self.operating.put_keys(&moved.state) {
            return stage.put(Effect::Broken(format!("state was moved here: {reason}")));
        }
        while let Some((lane, event)) = self.waiting.pop_front() {
            self.operating.waited();
            self.work(lane, *event, stage);
        }
        if matches!(self.gaps, Gaps::Processed | Gaps::EndOfSequence) {
            self.tell(stage);
        }
        self.smallest = Time::MAX;
        self.operating.hold_back(Time::MAX);
        self.operating.pass_on(stage);
    }
}

impl Part for Worker {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        match input {
            Input::Timer(TELL) => {
                self.armed = false;
                if self.untold > 0 && !self.operating.over() {
                    self.tell(stage);
                }
            }
            Input::Element { lane, element, .. } if element.event().is_some() => {
                if let Element::Event(event) = element {
                    self.event(lane, event, stage);
                }
            }
            Input::Element {
                element: Element::Progress(progress),
                ..
            } => match &progress {
                Progress::Given(next) => {
                    self.done = self.done.max(*next);
                    self.tell(stage);
                }
                Progress::Give(moving) => self.give(moving, stage),
                Progress::State(moved) => self.take(moved, stage),
                Progress::Done(_) | Progress::Skip(_) => {}
            },
            other => self.operating.play(other, stage),
        }
    }
}

/// The parts of a saved state: how far the numbers have come, and the events that wait for the state of their keys.
const TOLD: &str = "told";
const WAITING: &str = "waiting";

impl Keeps for Worker {
    fn save(&self, state: &mut State) {
        let mut of_operating = State::default();
        self.operating.save(&mut of_operating);
        state.put_state("operating", of_operating);
        state.put(TOLD, &(self.done, self.told, self.untold, self.armed));
        state.put(WAITING, &self.waiting);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        let of_operating = self.operating.restore(&state.state("operating"));
        of_operating.map_err(|wrong| StateError::of(&format!("operating/{}", wrong.part), wrong.why))?;
        (self.done, self.told, self.untold, self.armed) = state.get(TOLD)?;
        StateError::unless(self.untold <= self.events, TOLD, "more are untold than can be")?;
        self.waiting = state.get(WAITING)?;
        let agree = self.waiting.len() as u64 == self.operating.outside();
        StateError::unless(agree, WAITING, "the books say that another number of them waits")?;
        let stamps = self.waiting.iter().map(|(_, event)| event.stamp - self.tick);
        self.smallest = stamps.min().unwrap_or(Time::MAX);
        Ok(())
    }

    fn over(&self) -> bool {
        self.operating.over()
    }
}
