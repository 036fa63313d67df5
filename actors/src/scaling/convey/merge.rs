//! The merge: results come out in the order of their numbers.
//!
//! It waits for the smallest number that is neither there nor known not to come. What will not come it learns from the
//! sub-streams: a tombstone names a number, and once each of them has told that it is done with everything below *n*, what
//! is not there of that is not coming. A result that has waited for the time-out gives all smaller numbers up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::numbering::{EPOCH, Progress};
use wavetank_scenarios::script::{Convey, Merge as How};
use wavetank_scenarios::{Event, Span, Time};

use crate::operator::{Draft, Dropped, Operator, Output};
use crate::reliability::{FAR, State, StateError};

/// The part of a saved state that holds what waits.
const WAITING: &str = "waiting";

/// The merge of one conveyed operator.
#[derive(Debug)]
pub struct Merge {
    how: How,
    timeout: Option<Span>,
    /// Whether what comes too late is put aside.
    side: bool,
    tick: Span,
    /// The smallest number that has not been passed; `None` for an incarnation behind a crash, before it knows.
    next: Option<u64>,
    /// What of each number is there, by part.
    waiting: BTreeMap<u64, Number>,
    /// How often each stamp waits.
    stamps: BTreeMap<Time, u64>,
    held: u64,
    /// For each sub-stream: it is done with all numbers below this.
    done: Vec<u64>,
}

/// What is there of one number.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Number {
    parts: BTreeMap<u32, Event>,
    /// How many parts it has, once the last one is there.
    of: Option<u32>,
    /// A tombstone.
    skipped: bool,
}

impl Number {
    fn complete(&self) -> bool {
        self.skipped || self.of.is_some_and(|of| self.parts.len() == of as usize)
    }
}

impl Merge {
    /// A merge of so many sub-streams. `again` says that an incarnation before it has crashed: it then begins with the
    /// first number that the sub-streams tell of.
    pub fn new(settings: &Convey, side: bool, tick: Span, again: bool) -> Self {
        Self {
            how: settings.merge,
            timeout: settings.timeout,
            side,
            tick,
            next: (!again).then_some(0),
            waiting: BTreeMap::new(),
            stamps: BTreeMap::new(),
            held: 0,
            done: vec![0; settings.streams as usize],
        }
    }

    /// All sub-streams are done with every number below this.
    fn all_done(&self) -> u64 {
        self.done.iter().copied().min().unwrap_or(0)
    }

    /// Puts out what has its turn.
    fn release(&mut self, out: &mut Output) {
        let proven = self.all_done();
        let Some(mut next) = self
            .next
            .or_else(|| (proven > 0).then(|| self.first().map_or(proven, |f| f.min(proven))))
        else {
            return;
        };
        loop {
            match self.waiting.first_entry() {
                Some(first) if *first.key() == next && (first.get().complete() || next < proven) => {
                    let number = first.remove();
                    out.measure(Metric::Gaps, u64::from(number.parts.is_empty() || !number.complete()));
                    self.put_out(number, out);
                    next += 1;
                }
                // Nothing is there of the numbers up to the first that waits.
                first if next < proven => {
                    let to = first.map_or(proven, |first| proven.min(*first.key()));
                    if to < u64::MAX {
                        out.measure(Metric::Gaps, passed(next, to));
                    }
                    next = to;
                }
                _ => break,
            }
        }
        self.next = Some(next);
    }

    fn first(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|(number, _)| *number)
    }

    fn put_out(&mut self, number: Number, out: &mut Output) {
        for event in number.parts.into_values() {
            if let Some(times) = self.stamps.get_mut(&event.stamp) {
                *times -= 1;
                if *times == 0 {
                    self.stamps.remove(&event.stamp);
                }
            }
            self.held -= 1;
            out.emit(Draft::of(&event, event.row.clone()));
            out.caused(1);
        }
    }

    /// The number that is there, or now is; a timer runs for it from its first part on.
    fn number(&mut self, number: u64, out: &mut Output) -> &mut Number {
        if let Some(timeout) = self.timeout
            && !self.waiting.contains_key(&number)
        {
            out.timer(timeout, number);
        }
        self.waiting.entry(number).or_default()
    }
}

/// How many numbers from `from` to before `to` are known to have been given out: of those before a crash of the split
/// only it knew how many there were.
const fn passed(from: u64, to: u64) -> u64 {
    if from / EPOCH == to / EPOCH {
        to - from
    } else {
        to % EPOCH
    }
}

impl Operator for Merge {
    fn on_enter(&mut self, out: &mut Output) {
        out.measure(Metric::GivenUp, 0);
    }

    fn on_event(&mut self, _input: usize, event: Event, _now: Time, out: &mut Output) {
        let Some(sequence) = event.sequence.filter(|_| self.how == How::Number) else {
            out.emit(Draft::of(&event, event.row.clone()));
            out.caused(1);
            return;
        };
        if self.next.is_some_and(|next| sequence.number < next) {
            return out.late(event, self.side);
        }
        let number = self.number(sequence.number, out);
        if number.parts.contains_key(&sequence.part) {
            return out.dropped(event.id, Dropped::Filtered);
        }
        if sequence.last {
            number.of = Some(sequence.part + 1);
        }
        let stamp = event.stamp;
        number.parts.insert(sequence.part, event);
        *self.stamps.entry(stamp).or_default() += 1;
        self.held += 1;
        self.release(out);
    }

    fn on_progress(&mut self, input: usize, progress: &Progress, out: &mut Output) {
        if self.how == How::Arrival {
            return;
        }
        match progress {
            Progress::Done(below) => {
                if let Some(done) = self.done.get_mut(input) {
                    *done = (*done).max(*below);
                }
            }
            Progress::Skip(number) => {
                if self.next.is_none_or(|next| *number >= next) {
                    self.number(*number, out).skipped = true;
                }
            }
            Progress::Given(_) | Progress::Give(_) | Progress::State(_) => {}
        }
        self.release(out);
    }

    fn on_watermark(&mut self, _watermark: Time, _out: &mut Output) {}

    fn on_timer(&mut self, token: u64, out: &mut Output) {
        if !self.waiting.contains_key(&token) {
            return;
        }
        let mut next = self.next.unwrap_or_else(|| self.first().unwrap_or(token));
        while let Some(first) = self.waiting.first_entry().filter(|first| *first.key() <= token) {
            let (at, number) = first.remove_entry();
            out.measure(Metric::GivenUp, passed(next, at) + u64::from(!number.complete()));
            if number.skipped && number.parts.is_empty() {
                out.measure(Metric::Gaps, 1);
            }
            self.put_out(number, out);
            next = at + 1;
        }
        self.next = Some(next);
        self.release(out);
    }

    fn watermark_limit(&self) -> Time {
        self.stamps
            .first_key_value()
            .map_or(Time::MAX, |(stamp, _)| *stamp - self.tick)
    }

    fn save(&self, state: &mut State) {
        state.put("next", &self.next);
        state.put("done", &self.done);
        state.put_each(WAITING, &self.waiting);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.next = state.get("next")?;
        let done: Vec<u64> = state.get("done")?;
        StateError::unless(
            done.len() == self.done.len(),
            "done",
            "it merges another number of sub-streams",
        )?;
        self.done = done;
        self.waiting = state.each(WAITING)?.into_iter().collect();
        self.stamps.clear();
        self.held = 0;
        let first = self.next.unwrap_or(0);
        for (number, there) in &self.waiting {
            StateError::unless(
                (first..FAR).contains(number),
                WAITING,
                "a number waits that has been passed",
            )?;
            self.held += there.parts.len() as u64;
            for event in there.parts.values() {
                *self.stamps.entry(event.stamp).or_default() += 1;
            }
        }
        Ok(())
    }

    fn held(&self) -> u64 {
        self.held
    }

    fn state_bytes(&self) -> usize {
        let numbers = self.waiting.len() * size_of::<Number>();
        numbers + self.held as usize * size_of::<Event>() + self.done.len() * size_of::<u64>()
    }
}
