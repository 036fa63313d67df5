//! How large the slack `K` is: fixed, or the largest of the delays seen.

use std::collections::VecDeque;
use std::fmt;

use wavetank_scenarios::{Event, Span};

use crate::reliability::{State, StateError, counted};

/// What there is to learn from an event that came.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The event.
    pub event: &'a Event,
    /// How far its stamp is behind the largest one, itself included.
    pub delay: Span,
    /// Whether it was late.
    pub late: bool,
}

/// Something that says how large `K` is.
pub trait Slack: fmt::Debug {
    /// Learns from an event; `K` from now on.
    fn learn(&mut self, seen: Seen<'_>) -> Span;
    /// Roughly how many bytes it remembers.
    fn state_bytes(&self) -> usize;
    /// Puts what it has learnt into a snapshot.
    fn save(&self, state: &mut State);
    /// Takes it back.
    ///
    /// # Errors
    /// It is not what one with these settings can have learnt.
    fn restore(&mut self, state: &State) -> Result<(), StateError>;
}

/// It never changes.
#[derive(Debug)]
pub struct Fixed(pub Span);

impl Slack for Fixed {
    fn learn(&mut self, _seen: Seen<'_>) -> Span {
        self.0
    }
    fn state_bytes(&self) -> usize {
        0
    }
    fn save(&self, _state: &mut State) {}
    fn restore(&mut self, _state: &State) -> Result<(), StateError> {
        Ok(())
    }
}

/// The largest of the latest delays, or of all.
#[derive(Debug)]
pub struct Latest {
    samples: Option<u64>,
    max_k: Span,
    /// How many delays came.
    count: u64,
    /// Descending: the largest delay, then for each the largest of those after it, with their turns.
    peaks: VecDeque<(u64, Span)>,
}

impl Latest {
    /// Of the latest so many delays (of all where that is not said), and at most `max_k`.
    pub fn new(samples: Option<u64>, max_k: Option<Span>) -> Self {
        Self {
            samples,
            max_k: max_k.unwrap_or(Span::MAX),
            count: 0,
            peaks: VecDeque::new(),
        }
    }
}

impl Slack for Latest {
    fn learn(&mut self, seen: Seen<'_>) -> Span {
        while self.peaks.back().is_some_and(|(_, delay)| *delay <= seen.delay) {
            self.peaks.pop_back();
        }
        match self.samples {
            // Of all delays only the largest will ever count.
            None if !self.peaks.is_empty() => {}
            _ => self.peaks.push_back((self.count, seen.delay)),
        }
        self.count += 1;
        let oldest = self.samples.map_or(0, |samples| self.count.saturating_sub(samples));
        while self.peaks.front().is_some_and(|(turn, _)| *turn < oldest) {
            self.peaks.pop_front();
        }
        self.peaks
            .front()
            .map_or(Span::ZERO, |(_, largest)| (*largest).min(self.max_k))
    }
    fn state_bytes(&self) -> usize {
        self.peaks.len() * size_of::<(u64, Span)>()
    }
    fn save(&self, state: &mut State) {
        state.put("delays", &self.count);
        state.put("largest-delays", &self.peaks);
    }
    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.count = counted("delays", state.get("delays")?)?;
        self.peaks = state.get("largest-delays")?;
        Ok(())
    }
}
