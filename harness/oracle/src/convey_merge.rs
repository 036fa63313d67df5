//! Sequential convey: what a merge must put out.
//!
//! The model in words. Everything that has come and not gone stands in one list. A number is *settled* when all of its
//! parts are there, or a tombstone names it, or every sub-stream has told that it is done with all numbers below a larger
//! one. The merge passes the smallest number that it has not passed as long as it is settled, with what is there of it, in
//! the order of the parts. A timer gives up all numbers below its own that are not there, and passes all up to and with its
//! own as they are. What comes of a number that has been passed is late; a part that is there already is filtered. A merge
//! that has crashed begins again with the smallest number that it has when every sub-stream has told something, or with
//! what they told.
//!
//! In order of arrival everything goes as it comes.

use wavetank_scenarios::numbering::{EPOCH, Progress, Sequence};
use wavetank_scenarios::script::{Convey, Merge as How};
use wavetank_scenarios::{Event, Span};

use crate::{Arrival, Due, DueResult, Reference, Why};

/// The naive model of a merge.
#[derive(Clone)]
pub struct Merge {
    how: How,
    tick: Span,
    /// The smallest number that has not been passed.
    next: Option<u64>,
    list: Vec<(Sequence, Event)>,
    tombstones: Vec<u64>,
    /// What each sub-stream told last.
    done: Vec<u64>,
    /// Numbers passed with nothing, or not all, of them there: because they were settled, and because they were given up.
    pub passed: (u64, u64),
}

impl Merge {
    /// The merge of a conveyed operator.
    pub fn new(settings: &Convey, tick: Span) -> Self {
        Self {
            how: settings.merge,
            tick,
            next: Some(0),
            list: vec![],
            tombstones: vec![],
            done: vec![0; settings.streams as usize],
            passed: (0, 0),
        }
    }

    fn all_there(&self, number: u64) -> bool {
        let parts: Vec<&Sequence> = self
            .list
            .iter()
            .map(|(s, _)| s)
            .filter(|s| s.number == number)
            .collect();
        let last = parts.iter().find(|s| s.last);
        self.tombstones.contains(&number) || last.is_some_and(|last| parts.len() == last.part as usize + 1)
    }

    fn nothing_of(&self, number: u64) -> bool {
        self.list.iter().all(|(s, _)| s.number != number)
    }

    fn smallest(&self) -> Option<u64> {
        let here = self.list.iter().map(|(s, _)| s.number);
        here.chain(self.tombstones.iter().copied()).min()
    }

    /// Passes a number with what is there of it.
    fn pass(&mut self, number: u64, due: &mut Due) {
        let (mut parts, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.list)
            .into_iter()
            .partition(|(s, _)| s.number == number);
        self.list = rest;
        self.tombstones.retain(|n| *n != number);
        parts.sort_by_key(|(s, _)| s.part);
        due.results.extend(parts.iter().map(|(_, event)| result(event)));
        self.next = Some(number + 1);
    }

    fn release(&mut self, due: &mut Due) {
        let told = self.done.iter().copied().min().unwrap_or(0);
        if self.next.is_none() && told > 0 {
            self.next = Some(self.smallest().map_or(told, |smallest| smallest.min(told)));
        }
        while let Some(next) = self.next {
            let there = self.smallest() == Some(next);
            if there && (self.all_there(next) || next < told) {
                self.passed.0 += u64::from(self.nothing_of(next) || !self.all_there(next));
                self.pass(next, due);
            } else if !there && next < told {
                let to = self.smallest().map_or(told, |smallest| smallest.min(told));
                if to < u64::MAX {
                    self.passed.0 += between(next, to);
                }
                self.next = Some(to);
            } else {
                break;
            }
        }
    }
}

/// How many numbers of the incarnation of the split that gave out `to` lie from `from` to before it.
fn between(from: u64, to: u64) -> u64 {
    to - from.max(to / EPOCH * EPOCH)
}

fn result(event: &Event) -> DueResult {
    DueResult {
        stamp: event.stamp,
        row: event.row.clone(),
        bounds: vec![],
        pane: event.pane.as_deref().cloned(),
        correlation: event.correlation,
        origins: event.origins().to_vec(),
    }
}

impl Reference for Merge {
    fn arrive(&mut self, arrival: &Arrival) -> Due {
        let mut due = Due::default();
        match arrival {
            Arrival::Event { event, .. } => match event.sequence.filter(|_| self.how == How::Number) {
                None => due.results.push(result(event)),
                Some(sequence) => {
                    if self.next.is_some_and(|next| sequence.number < next) {
                        due.dropped.push((event.id, Why::Late));
                    } else if self
                        .list
                        .iter()
                        .any(|(s, _)| s.number == sequence.number && s.part == sequence.part)
                    {
                        due.dropped.push((event.id, Why::Filtered));
                    } else {
                        self.list.push((sequence, event.clone()));
                        self.release(&mut due);
                    }
                }
            },
            Arrival::Timer { token, .. } => {
                let waits = self.list.iter().any(|(s, _)| s.number == *token) || self.tombstones.contains(token);
                while let Some(first) = self.smallest().filter(|first| waits && first <= token) {
                    let next = self.next.unwrap_or(first);
                    self.passed.1 += between(next, first) + u64::from(!self.all_there(first));
                    self.passed.0 += u64::from(self.nothing_of(first));
                    self.pass(first, &mut due);
                }
                if waits {
                    self.release(&mut due);
                }
            }
            Arrival::Watermark(_) => {}
            Arrival::Crash => {
                (self.next, self.list, self.tombstones) = (None, vec![], vec![]);
                self.done.fill(0);
            }
        }
        self.close(due)
    }

    fn progress(&mut self, input: usize, progress: &Progress) -> Option<Due> {
        let mut due = Due::default();
        if self.how == How::Number {
            match progress {
                Progress::Done(below) => {
                    if let Some(done) = self.done.get_mut(input) {
                        *done = (*done).max(*below);
                    }
                }
                Progress::Skip(number)
                    if self.next.is_none_or(|next| *number >= next) && !self.tombstones.contains(number) =>
                {
                    self.tombstones.push(*number);
                }
                _ => {}
            }
            self.release(&mut due);
        }
        Some(self.close(due))
    }
}

impl Merge {
    fn close(&self, mut due: Due) -> Due {
        due.held = self.list.len() as u64;
        due.limit = self.list.iter().map(|(_, event)| event.stamp - self.tick).min();
        due
    }
}
