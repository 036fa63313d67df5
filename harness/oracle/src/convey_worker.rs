//! Sequential convey: what a sub-stream must do with what it is given.
//!
//! The model in words. The answer to an event depends on the events of its key before it and on nothing else, whoever
//! worked on them. So where the operator keeps a state by key, there is a whole operator of its own here for each key that
//! a sub-stream has; when a key moves, its operator is taken out of the one sub-stream and put into the other. A crash
//! loses those that the sub-stream has. Events of a key whose operator is not there yet wait, and no watermark passes
//! them.
//!
//! With `processed`, a sub-stream tells after so many events up to where it has worked; with `skip`, of each event without
//! a result; and whenever the split says how far the numbers have come, it passes that on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use wavetank_scenarios::numbering::{Moved, Progress};
use wavetank_scenarios::script::{Convey, Gaps, Route};
use wavetank_scenarios::topology::Port;
use wavetank_scenarios::{Event, Row, Schema, Span, Time, Value};

use crate::convey::Sent;
use crate::{Arrival, Due, Reference};

/// Makes a fresh model of the operator.
pub type Make = Rc<dyn Fn() -> Result<Box<dyn Reference>, String>>;

/// Operators of keys that are on their way from one sub-stream to another, by the number of the move.
pub type UnderWay = Rc<RefCell<BTreeMap<u32, Vec<(Row, Box<dyn Reference>)>>>>;

/// What a sub-stream must do with one arrival.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Worked {
    /// What the operator must do.
    pub due: Due,
    /// For each result its number, which part of it it is, and whether it is the last; the answers of windows have none.
    pub numbers: Vec<Option<(u64, u32, bool)>>,
    /// What must be told.
    pub sent: Vec<Sent>,
}

/// The naive model of a sub-stream.
#[derive(Clone)]
pub struct Worker {
    settings: Convey,
    tick: Span,
    /// Slots of the fields by which each key has an operator of its own; none where there is one for all.
    by: Option<Vec<usize>>,
    make: Make,
    operators: BTreeMap<Row, Box<dyn Reference>>,
    under_way: UnderWay,
    /// Events that wait for their operator, with their lanes.
    waiting: Vec<(usize, Event)>,
    last: Option<u64>,
    told: u64,
    untold: u32,
    /// What its operator said last of what it holds and of the watermark.
    holds: (u64, Option<Time>),
}

impl Worker {
    /// A sub-stream whose operator is made by `make`. Where it keeps a state by key, the fields that events are dealt by
    /// are `by`; states that move go through `under_way`, which all sub-streams of an operator share.
    ///
    /// # Errors
    /// The operator cannot be made, or there is no such field.
    pub fn new(
        settings: &Convey,
        by: Option<&[String]>,
        schema: &Schema,
        make: Make,
        under_way: UnderWay,
        tick: Span,
    ) -> Result<Self, String> {
        make()?;
        let slot = |name: &String| schema.slot(name).ok_or_else(|| format!("there is no field `{name}`"));
        let by = by.map(|by| by.iter().map(slot).collect::<Result<Vec<usize>, String>>());
        Ok(Self {
            settings: settings.clone(),
            tick,
            by: by.transpose()?,
            make,
            operators: BTreeMap::new(),
            under_way,
            waiting: vec![],
            last: None,
            told: 0,
            untold: 0,
            holds: (0, None),
        })
    }

    /// Its node crashed.
    pub fn crash(&mut self) {
        self.operators.clear();
        self.waiting.clear();
        (self.last, self.told, self.untold, self.holds) = (None, 0, 0, (0, None));
    }

    /// What must be done with an event, by the readings of the node's wall clock and monotonic clock.
    pub fn event(&mut self, lane: usize, event: &Event, now: Time, at: Time) -> Worked {
        let mut worked = Worked::default();
        match event.sequence {
            Some(sequence) => {
                self.last = Some(sequence.number + 1);
                if sequence.after > 0 {
                    self.waiting.push((lane, event.clone()));
                } else {
                    self.work(lane, event, now, at, &mut worked);
                }
            }
            None => worked.due = self.ask(lane, event, now, at),
        }
        self.close(worked)
    }

    /// What must be done with a watermark.
    pub fn watermark(&mut self, watermark: Time) -> Worked {
        let mut worked = Worked::default();
        if self.by.is_none() {
            worked.due = self
                .of(&[])
                .map_or_else(Due::default, |o| o.arrive(&Arrival::Watermark(watermark)));
            worked.numbers = vec![None; worked.due.results.len()];
            self.holds = (worked.due.held, worked.due.limit);
        }
        self.close(worked)
    }

    /// The timer for messages about progress.
    pub fn tick(&mut self) -> Worked {
        let mut worked = Worked::default();
        if self.untold > 0 {
            worked.sent.extend(self.tell());
        }
        self.close(worked)
    }

    /// What must be done with what the split says.
    pub fn told(&mut self, progress: &Progress, now: Time, at: Time) -> Worked {
        let mut worked = Worked::default();
        match progress {
            Progress::Given(next) => {
                self.last = self.last.max(Some(*next));
                worked.sent.extend(self.tell());
            }
            Progress::Give(moving) => {
                let all = std::mem::take(&mut self.operators);
                let (gone, kept): (Vec<_>, Vec<_>) = all
                    .into_iter()
                    .partition(|(key, _)| self.by.is_some() && moving.takes(key));
                self.operators = kept.into_iter().collect();
                self.under_way.borrow_mut().insert(moving.id, gone);
                let moving = Arc::clone(moving);
                let state = Progress::State(Arc::new(Moved { moving, state: vec![] }));
                worked.sent.push(Sent::Progress(Port::Back, state));
            }
            Progress::State(moved) => {
                // It may come again, when everybody has gone back to a snapshot.
                let here = self.under_way.borrow().get(&moved.moving.id).cloned();
                self.operators.extend(here.unwrap_or_default());
                while !self.waiting.is_empty() {
                    let (lane, event) = self.waiting.remove(0);
                    self.work(lane, &event, now, at, &mut worked);
                }
                if matches!(self.settings.gaps, Gaps::Processed | Gaps::EndOfSequence) {
                    worked.sent.extend(self.tell());
                }
            }
            Progress::Done(_) | Progress::Skip(_) => {}
        }
        self.close(worked)
    }

    /// The operator of a key.
    fn of(&mut self, row: &[Value]) -> Option<&mut Box<dyn Reference>> {
        let by = self.by.iter().flatten();
        let key: Row = by.map(|slot| row.get(*slot).cloned().unwrap_or_default()).collect();
        if !self.operators.contains_key(&key) {
            self.operators.insert(key.clone(), (self.make)().ok()?);
        }
        self.operators.get_mut(&key)
    }

    fn ask(&mut self, lane: usize, event: &Event, now: Time, at: Time) -> Due {
        let arrival = Arrival::Event {
            input: lane,
            event: event.clone(),
            now,
            at,
        };
        let due = self
            .of(&event.row)
            .map_or_else(Due::default, |operator| operator.arrive(&arrival));
        self.holds = (due.held, due.limit);
        due
    }

    /// Works on an event whose state is there.
    fn work(&mut self, lane: usize, event: &Event, now: Time, at: Time, worked: &mut Worked) {
        let number = event.sequence.map_or(0, |sequence| sequence.number);
        let due = self.ask(lane, event, now, at);
        let of = due.results.len();
        let parts = (0..of).map(|part| Some((number, part as u32, part + 1 == of)));
        worked.numbers.extend(parts);
        if of == 0 && self.settings.gaps == Gaps::Skip {
            worked.sent.push(Sent::Progress(Port::Main, Progress::Skip(number)));
        }
        if matches!(self.settings.by, Route::Load) {
            worked.sent.push(Sent::Progress(Port::Back, Progress::Done(number + 1)));
        }
        worked.due.results.extend(due.results);
        worked.due.dropped.extend(due.dropped);
        if self.settings.gaps == Gaps::Processed {
            self.untold += 1;
            if self.untold >= self.settings.events {
                worked.sent.extend(self.tell());
            }
        }
    }

    fn tell(&mut self) -> Option<Sent> {
        self.untold = 0;
        let waiting = self
            .waiting
            .iter()
            .filter_map(|(_, event)| event.sequence)
            .map(|s| s.number)
            .min();
        let done = waiting.or(self.last).filter(|done| *done > self.told)?;
        self.told = done;
        Some(Sent::Progress(Port::Main, Progress::Done(done)))
    }

    /// Adds what waits to what is held.
    fn close(&self, mut worked: Worked) -> Worked {
        worked.due.held = self.holds.0 + self.waiting.len() as u64;
        let smallest = self.waiting.iter().map(|(_, event)| event.stamp - self.tick).min();
        worked.due.limit = match (self.holds.1, smallest) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        worked
    }
}
