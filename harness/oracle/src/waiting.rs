//! Events that are ahead of the clock: what waits before an operator, and what goes when.
//!
//! The model in words. An event that comes stamped later than the wall clock shows is put on a list. Whenever the alarm
//! goes off, all on the list whose stamp the clock shows go to the operator, by stamp and id, as if they came now; at the
//! end of all inputs all of them go. While something is on the list the operator is told no watermark that is less than
//! two ticks below its stamp, and none that it has not been told is passed on.

use wavetank_scenarios::asking::Answer;
use wavetank_scenarios::numbering::Progress;
use wavetank_scenarios::script::{Future, Operator};
use wavetank_scenarios::{Event, Span, Time};

use crate::{Arrival, Due, Reference};

/// What waits before an operator.
#[derive(Clone)]
pub struct Waiting {
    holds: bool,
    tick: Span,
    /// With the entries of the `input` list that they came for.
    list: Vec<(usize, Event)>,
    /// The largest watermark that the operator has been told.
    told: Time,
    /// What the operator said last of what it holds and of the watermark.
    last: (u64, Option<Time>),
}

impl Waiting {
    /// Before this operator; `tick` is the unit of event time.
    pub fn new(operator: &Operator, tick: Span) -> Self {
        let holds = operator.future == Future::Hold;
        Self::before(holds, tick)
    }

    /// Before an operator that holds what is ahead, or does not.
    const fn before(holds: bool, tick: Span) -> Self {
        Self {
            holds,
            tick,
            list: vec![],
            told: Time::MIN,
            last: (0, None),
        }
    }

    /// Before a stage that takes everything as it comes.
    pub const fn none() -> Self {
        Self::before(false, Span::UNIT)
    }

    /// Whether events may wait here.
    pub const fn holds(&self) -> bool {
        self.holds
    }

    /// The node crashed: what waited is lost.
    pub fn crash(&mut self) {
        *self = Self::before(self.holds, self.tick);
    }

    /// An event comes for an entry of the `input` list: what is due, by the wall clock and the monotonic clock.
    pub fn event(&mut self, reference: &mut dyn Reference, lane: usize, event: &Event, now: Time, at: Time) -> Due {
        if self.holds && event.stamp > now {
            self.list.push((lane, event.clone()));
            return self.unchanged();
        }
        self.tell(reference, &taken(lane, event, now, at))
    }

    /// The alarm has gone off, or (`all`) all inputs have ended: what is due, `combined` being the watermark of the inputs.
    pub fn go(&mut self, reference: &mut dyn Reference, combined: Time, all: bool, now: Time, at: Time) -> Due {
        let (mut going, staying): (Vec<_>, Vec<_>) = std::mem::take(&mut self.list)
            .into_iter()
            .partition(|(_, event)| all || event.stamp <= now);
        going.sort_by_key(|(_, event)| (event.stamp, event.id));
        self.list = staying;
        let mut due = self.unchanged();
        for (lane, event) in &going {
            append(&mut due, self.tell(reference, &taken(*lane, event, now, at)));
        }
        if let Some(more) = self.watermark(reference, combined) {
            append(&mut due, more);
        }
        due
    }

    /// The watermark of the inputs is this: what is due, if the operator is told of it.
    pub fn watermark(&mut self, reference: &mut dyn Reference, combined: Time) -> Option<Due> {
        let stamps = self.list.iter().map(|(_, event)| event.stamp - (self.tick + self.tick));
        let allowed = stamps.min().unwrap_or(Time::MAX).min(combined);
        (allowed > self.told).then(|| {
            self.told = allowed;
            self.tell(reference, &Arrival::Watermark(allowed))
        })
    }

    /// An input says how far it has come: see [`Reference::progress`].
    pub fn progress(&mut self, reference: &mut dyn Reference, input: usize, progress: &Progress) -> Option<Due> {
        let mut due = reference.progress(input, progress)?;
        self.last = (due.held, due.limit);
        self.bound(&mut due);
        Some(due)
    }

    /// A service has answered: see [`Reference::answer`].
    pub fn answer(&mut self, reference: &mut dyn Reference, answer: &Answer) -> Option<Due> {
        let mut due = reference.answer(answer)?;
        self.last = (due.held, due.limit);
        self.bound(&mut due);
        Some(due)
    }

    /// Anything else arrives at the operator.
    pub fn tell(&mut self, reference: &mut dyn Reference, arrival: &Arrival) -> Due {
        let mut due = reference.arrive(arrival);
        self.last = (due.held, due.limit);
        self.bound(&mut due);
        due
    }

    /// Nothing is due, and everything is as it was.
    fn unchanged(&self) -> Due {
        let (held, limit) = self.last;
        let mut due = Due {
            held,
            limit,
            ..Due::default()
        };
        self.bound(&mut due);
        due
    }

    /// Adds what waits to what is held, and lets no watermark pass that the operator has not been told.
    fn bound(&self, due: &mut Due) {
        due.held += self.list.len() as u64;
        if self.holds {
            due.limit = Some(due.limit.unwrap_or(Time::MAX).min(self.told));
        }
    }
}

fn taken(input: usize, event: &Event, now: Time, at: Time) -> Arrival {
    let event = event.clone();
    Arrival::Event { input, event, now, at }
}

fn append(due: &mut Due, more: Due) {
    due.results.extend(more.results);
    due.dropped.extend(more.dropped);
    due.notes.extend(more.notes);
    due.asked.extend(more.asked);
    (due.held, due.limit) = (more.held, more.limit);
}
