//! Windows that count events instead of time: the last n, and every n.
//!
//! The model in words: in order of arrival. `length(n)` keeps the last n events and answers at each; `length_batch(n)`
//! collects n, answers, and starts again. No event is late. At the end of input what is left goes, and what never was in
//! an answer was filtered. For `window_start()` and `window_end()` such a window reaches from its smallest stamp to a tick
//! after its largest.

use wavetank_scenarios::query::{Query, Window};
use wavetank_scenarios::script::{Future, Operator};
use wavetank_scenarios::{Event, EventId, Schema, Span, Time};

use crate::answer::{Asked, Read};
use crate::{Arrival, Due, DueResult, Reference, Why};

#[derive(Clone)]
pub(crate) struct Counted {
    asked: Asked,
    n: usize,
    batch: bool,
    future: Future,
    flush: bool,
    tick: Span,
    held: Vec<Held>,
}

#[derive(Clone)]
struct Held {
    read: Read,
    caused: bool,
    failed: bool,
}

impl Counted {
    /// `None` where the query's window is not a counted one.
    pub fn new(operator: &Operator, query: &Query, schema: &Schema, tick: Span) -> Result<Option<Self>, String> {
        let (n, batch) = match query.window {
            Some(Window::Length(n)) => (n, false),
            Some(Window::LengthBatch(n)) => (n, true),
            _ => return Ok(None),
        };
        Ok(Some(Self {
            asked: Asked::new(operator, query, schema, tick)?,
            n: usize::try_from(n).unwrap_or(usize::MAX).max(1),
            batch,
            future: operator.future,
            flush: operator.flush_at_end,
            tick,
            held: vec![],
        }))
    }

    fn take(&mut self, event: &Event, now: Time) -> Result<(), Why> {
        if matches!(self.future, Future::Refuse(tolerance) if event.stamp > now + tolerance) {
            return Err(Why::Failed);
        }
        if !self.asked.wanted(event).map_err(|_| Why::Failed)? {
            return Err(Why::Filtered);
        }
        self.held.push(Held {
            read: self.asked.read(event).map_err(|_| Why::Failed)?,
            caused: false,
            failed: false,
        });
        Ok(())
    }

    fn fire(&mut self) -> Vec<DueResult> {
        let start = self.held.iter().map(|h| h.read.event.stamp).min();
        let end = self.held.iter().map(|h| h.read.event.stamp + self.tick).max();
        let events: Vec<&Read> = self.held.iter().map(|h| &h.read).collect();
        let (rows, failed) = self.asked.firing(start.zip(end), &events);
        failed.into_iter().for_each(|i| self.held[i].failed = true);
        let mut due = Vec::new();
        for answer in rows {
            answer.events.iter().for_each(|i| self.held[*i].caused = true);
            due.push(DueResult {
                stamp: answer.stamp,
                row: answer.row,
                bounds: answer.bounds,
                pane: None,
                correlation: answer.correlation,
                origins: answer.origins,
            });
        }
        due
    }
}

/// How events ended that leave.
fn fates(left: impl Iterator<Item = Held>) -> Vec<(EventId, Why)> {
    let mut dropped: Vec<_> = left
        .filter(|h| !h.caused)
        .map(|h| (h.read.event.id, if h.failed { Why::Failed } else { Why::Filtered }))
        .collect();
    dropped.sort_unstable();
    dropped
}

impl Reference for Counted {
    fn arrive(&mut self, arrival: &Arrival) -> Due {
        let mut due = Due::default();
        match arrival {
            Arrival::Event { event, now, .. } => match self.take(event, *now) {
                Err(why) => due.dropped.push((event.id, why)),
                Ok(()) if self.batch => {
                    if self.held.len() == self.n {
                        due.results = self.fire();
                        due.dropped = fates(self.held.drain(..));
                    }
                }
                Ok(()) => {
                    let gone = self.held.len().saturating_sub(self.n);
                    due.dropped = fates(self.held.drain(..gone));
                    due.results = self.fire();
                }
            },
            Arrival::Watermark(Time::MAX) if self.flush => due.dropped = fates(self.held.drain(..)),
            Arrival::Watermark(_) | Arrival::Timer { .. } => {}
            Arrival::Crash => self.held.clear(),
        }
        due.held = self.held.len() as u64;
        due
    }
}
