//! Snapshot windows: each event lasts from its stamp for some time, and there is a window for every interval between two
//! instants at which the set of lasting events changes.
//!
//! The intervals are those of the whole input; all groups that have a lasting event answer for each. An interval answers
//! when the watermark says that nothing can begin within it any more. An event that lasts for no time at all has
//! failed. Events are late by their own stamp; intervals that have answered are not corrected.
//!
//! Events end in another order than they began in, so that totals cannot be taken apart; a group whose set has changed is
//! added up anew from its lasting events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wavetank_scenarios::{Event, Row, Span, Time, Value};

use super::core::{ALWAYS, Core};
use super::plan::Firing;
use super::slice::Slice;
use crate::operator::{Operator, Output};
use crate::processing::expr::{Compiled, Scope};
use crate::processing::keyed::Keys;
use crate::reliability::{State, StateError, counted};

/// The instant up to which intervals have answered; how many events have come, and begun.
const ANSWERED: &str = "answered";
/// By stamp and number: events that have not begun yet.
const COMING: &str = "coming";
/// By number: when events end that have begun.
const LASTING: &str = "lasting";

/// The operator.
#[derive(Debug)]
pub struct SnapshotWindows {
    core: Core,
    lasts: Lasting,
    /// Events that have not begun yet, by (stamp, number).
    coming: BTreeMap<(Time, u64), Coming>,
    /// The groups of events that last, by (end, number).
    lasting: BTreeMap<(Time, Time), u32>,
    /// The instant up to which intervals have answered.
    answered: Time,
    /// Numbers of events as they came, and as they began.
    seen: u64,
    begun: i64,
}

/// How long events last.
#[derive(Debug)]
pub enum Lasting {
    /// All alike.
    For(Span),
    /// So many seconds.
    Seconds(Compiled),
}

/// An event that has not begun yet.
#[derive(Debug, Serialize, Deserialize)]
struct Coming {
    key: Row,
    end: Time,
    slice: Slice,
}

impl SnapshotWindows {
    /// Windows of `core`'s query.
    pub const fn new(core: Core, lasts: Lasting) -> Self {
        Self {
            core,
            lasts,
            coming: BTreeMap::new(),
            lasting: BTreeMap::new(),
            answered: Time::MIN,
            seen: 0,
            begun: 0,
        }
    }

    fn lasts(&self, event: &Event) -> Result<Span, String> {
        match &self.lasts {
            Lasting::For(span) => Ok(*span),
            Lasting::Seconds(expr) => match &*expr.eval(&Scope::event(&event.row, event.stamp))? {
                Value::Int(secs) => secs
                    .checked_mul(1_000_000)
                    .map(Span::from_micros)
                    .ok_or_else(|| format!("it lasts for {secs} seconds, which is too long")),
                Value::Float(secs) if secs.is_finite() => Ok(Span::from_secs_f64(*secs)),
                other => Err(format!("it lasts for `{other}`, which is no number of seconds")),
            },
        }
    }

    /// The answers of `[start, end)`, in which the set of lasting events does not change.
    fn fire(&mut self, start: Time, end: Time, out: &mut Output) {
        let mut firing = Firing::new(&self.core.plan, self.core.settings.shown((start, end)));
        for index in self.core.groups.sorted() {
            if let Some(group) = self.core.groups.get(index)
                && let Some(total) = group.plain_total(0..group.slices.len(), &self.core.plan.kinds)
            {
                firing.offer(index, &group.key, &total);
            }
        }
        let answers = firing.answers();
        for draft in self.core.first_answers(answers, (start, end), ALWAYS) {
            out.emit(draft);
        }
    }

    /// The next instant at which the set changes.
    fn next_change(&self) -> Option<Time> {
        let begins = self.coming.first_key_value().map(|((t, _), _)| *t);
        let ends = self.lasting.first_key_value().map(|((t, _), _)| *t);
        [begins, ends].into_iter().flatten().min()
    }

    /// Lets events end that end at `t`.
    fn end(&mut self, t: Time, out: &mut Output) {
        while let Some(entry) = self.lasting.first_entry().filter(|e| e.key().0 <= t) {
            let ((_, number), index) = entry.remove_entry();
            let Some(group) = self.core.groups.get_mut(index) else {
                continue;
            };
            let at = group.range(number, number + Span::UNIT).start;
            let slice = group.slices.remove(at);
            if group.slices.is_empty() {
                self.core.groups.remove(index);
            }
            if let Some(slice) = slice {
                self.core.release(slice, out);
            }
        }
    }

    /// Lets events begin that begin at `t`. Each is a slice of its own, so that they can leave one by one.
    fn begin(&mut self, t: Time) {
        while let Some(entry) = self.coming.first_entry().filter(|e| e.key().0 <= t) {
            let Coming { key, end, mut slice } = entry.remove();
            self.begun += 1;
            slice.at = Time::from_micros(self.begun);
            let index = self.core.groups.find(&Keys::Values(&key));
            self.lasting.insert((end, slice.at), index);
            if let Some(group) = self.core.groups.get_mut(index) {
                group.slices.push_back(slice);
            }
        }
    }
}

impl Operator for SnapshotWindows {
    fn on_event(&mut self, _input: usize, event: Event, now: Time, out: &mut Output) {
        if !self.core.admit(&event, now, out) {
            return;
        }
        let span = match self.lasts(&event) {
            Ok(span) if span <= Span::ZERO => {
                return out.failed(event, format!("it lasts for {span}, which is no time"));
            }
            Ok(span) => span,
            Err(reason) => return out.failed(event, reason),
        };
        if self.core.settings.is_late_itself(event.stamp, self.core.watermark) || event.stamp < self.answered {
            return out.late(event, self.core.settings.side);
        }
        let mut slice = Slice::new(Time::ZERO, &self.core.plan.kinds);
        self.core.plan.add(&mut slice, &event);
        self.core.held += 1;
        self.core.slices += 1;
        self.seen += 1;
        let (key, end) = (self.core.plan.keys(&event).to_row(), event.stamp + span);
        self.coming.insert((event.stamp, self.seen), Coming { key, end, slice });
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        self.core.watermark = watermark;
        while let Some(t) = self.next_change() {
            if !self.core.settings.is_complete(t, watermark) {
                break;
            }
            if t > self.answered && !self.lasting.is_empty() {
                self.fire(self.answered, t, out);
            }
            self.end(t, out);
            self.answered = self.answered.max(t);
            // That no more events begin at this very instant is known a tick later.
            if t > watermark {
                break;
            }
            self.begin(t);
        }
    }

    fn save(&self, state: &mut State) {
        self.core.save(state);
        state.put(ANSWERED, &(self.answered, self.seen, self.begun));
        state.put_each(COMING, &self.coming);
        let ends = self.lasting.keys().map(|(end, number)| (number, end));
        state.put_each(LASTING, ends);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.core.restore(state)?;
        (self.answered, self.seen, self.begun) = state.get(ANSWERED)?;
        counted(ANSWERED, self.seen)?;
        counted(ANSWERED, self.begun.unsigned_abs())?;
        for ((stamp, number), coming) in state.each::<(Time, u64), Coming>(COMING)? {
            let fits = coming.key.len() == self.core.plan.key_width() && self.core.fits(&coming.slice);
            StateError::unless(fits, COMING, "it is not that of such windows")?;
            self.core.held = counted(COMING, self.core.held + coming.slice.total.brief.events)?;
            self.core.slices += 1;
            self.coming.insert((stamp, number), coming);
        }
        let mut ends: BTreeMap<Time, Time> = state.each(LASTING)?.into_iter().collect();
        for (index, group) in self.core.groups.iter() {
            for slice in &group.slices {
                let end = ends.remove(&slice.at).filter(|_| slice.at.micros() <= self.begun);
                let end = end.ok_or_else(|| StateError::of(LASTING, "it is not known when an event ends"))?;
                self.lasting.insert((end, slice.at), index);
            }
        }
        StateError::unless(ends.is_empty(), LASTING, "an event ends that has not begun")
    }

    fn held(&self) -> u64 {
        self.core.held
    }

    fn state_bytes(&self) -> usize {
        self.core.state_bytes()
            + self.coming.len() * size_of::<Coming>()
            + self.lasting.len() * size_of::<((Time, Time), u32)>()
    }
}
