//! What all kinds of windows share: admission of events, lateness, groups and their slices. What is said of them is in
//! `answers.rs`.

use std::collections::BTreeSet;

use wavetank_scenarios::script::{Emit, Future, Late, LateBy, LateWhen, Panes, ResultStamp, WindowBounds};
use wavetank_scenarios::{Event, Row, Span, Time, script};

use super::answers::Said;
use super::plan::{Admission, Plan};
use super::slice::{Brief, Groups, Slice, Total};
use crate::operator::{Dropped, Output};

/// The settings of a window operator.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The unit of event time.
    pub tick: Span,
    /// Late events go to the side output.
    pub side: bool,
    horizon: Span,
    when: LateWhen,
    by: LateBy,
    future: Future,
    stamp: ResultStamp,
    /// Windows without events answer too.
    pub emit_empty: bool,
    /// Sessions that just touch merge.
    pub touching_merge: bool,
    /// Early and late answers.
    pub emit: Option<Emit>,
    /// Which ends belong to a window.
    pub bounds: WindowBounds,
    /// How far the end that is shown lies before the end that counts; the start too where only the end belongs to it.
    pub shift: Span,
}

impl Settings {
    /// From a scenario's operator; `tick` is the unit of event time.
    pub fn new(operator: &script::Operator, tick: Span) -> Self {
        Self {
            tick,
            side: operator.late == Late::Side,
            horizon: operator.horizon,
            when: operator.late_when,
            by: operator.late_by,
            future: operator.future,
            stamp: operator.result_stamp,
            emit_empty: operator.emit_empty,
            touching_merge: operator.session_touching_merge,
            emit: operator.emit,
            bounds: operator.bounds,
            shift: Span::ZERO,
        }
    }
    /// The same for windows that watermarks have no part in.
    pub const fn without_lateness(self) -> Self {
        Self {
            horizon: Span::ZERO,
            when: LateWhen::AtEnd,
            ..self
        }
    }
    /// True when a window can take events in after it has fired.
    pub fn corrects(&self) -> bool {
        self.horizon > Span::ZERO || self.when == LateWhen::AfterEnd
    }
    /// True when each answer holds only what was in none before it.
    pub fn discards(&self) -> bool {
        self.emit.is_some_and(|emit| emit.panes == Panes::Discarding)
    }
    /// True when a window may answer more than once.
    pub fn answers_again(&self) -> bool {
        self.corrects() || self.emit.is_some()
    }
    /// What is compared with the watermark for something whose last instant is `last`.
    fn bound(&self, last: Time) -> Time {
        let last = last + self.horizon;
        match self.when {
            LateWhen::AtEnd => last,
            LateWhen::TickBeforeEnd => last - self.tick,
            LateWhen::AfterEnd => last + self.tick,
        }
    }
    /// Whether an event is late at watermark `w` when the last window that it belongs to ends at `end`.
    #[inline]
    pub fn is_late(&self, stamp: Time, end: Time, w: Time) -> bool {
        match self.by {
            LateBy::Window => w >= self.bound(end - self.tick),
            LateBy::Event => w >= self.bound(stamp),
        }
    }
    /// Whether an event is late by its own stamp.
    pub fn is_late_itself(&self, stamp: Time, w: Time) -> bool {
        w >= self.bound(stamp)
    }
    /// Whether a window that ends at `end` takes no more events in at watermark `w`.
    pub fn is_shut(&self, end: Time, w: Time) -> bool {
        self.by == LateBy::Window && w >= self.bound(end - self.tick)
    }
    /// Whether a window that ends at `end` is complete at watermark `w`.
    pub fn is_complete(&self, end: Time, w: Time) -> bool {
        w >= end - self.tick
    }
    /// Whether nothing more can come of a window that ends at `end`: its state goes.
    pub fn is_over(&self, end: Time, w: Time) -> bool {
        w >= end - self.tick && w >= self.bound(end - self.tick)
    }
    /// A window as it is shown: inside, all are `[start, end)`.
    pub fn shown(&self, (start, end): Bounds) -> Bounds {
        match self.bounds {
            WindowBounds::Start => (start, end),
            WindowBounds::End => (start - self.shift, end - self.shift),
            WindowBounds::Both => (start, end - self.shift),
        }
    }
    /// The stamp of a result.
    pub(super) fn stamp(&self, end: Time, brief: &Brief) -> Time {
        let (_, shown) = self.shown((end, end));
        let last = if self.bounds == WindowBounds::Start {
            end - self.tick
        } else {
            shown
        };
        match self.stamp {
            ResultStamp::Last if end != Time::MAX || brief.events == 0 => last,
            ResultStamp::End if end != Time::MAX || brief.events == 0 => shown,
            ResultStamp::Earliest if brief.events > 0 => brief.earliest,
            _ if brief.events > 0 => brief.latest.0,
            _ => last,
        }
    }
}

/// The farthest stamp from the epoch that windows work on: about 146,000 years. Sums of stamps and spans then fit.
pub(super) const FARTHEST: i64 = i64::MAX / 2;

/// Start and end of a window, or of the slices that it is made of.
pub(super) type Bounds = (Time, Time);

/// Plan, groups and books of a window operator.
#[derive(Debug)]
pub struct Core {
    /// The query.
    pub plan: Plan,
    /// Groups with state.
    pub groups: Groups,
    /// The settings.
    pub settings: Settings,
    /// The latest watermark.
    pub watermark: Time,
    /// Events in the state.
    pub held: u64,
    /// Slices in the state.
    pub slices: u64,
    /// What was said so far, and what is still to be said.
    pub(super) said: Said,
    /// The event with the largest (stamp, id) so far, for empty windows.
    pub(super) latest: Brief,
}

impl Core {
    /// Of a compiled query.
    pub fn new(plan: Plan, settings: Settings) -> Self {
        Self {
            plan,
            groups: Groups::default(),
            settings,
            watermark: Time::MIN,
            held: 0,
            slices: 0,
            said: Said::default(),
            latest: Brief::default(),
        }
    }

    /// Whether an event is let in; if not, its fate is reported.
    #[inline]
    pub fn admit(&mut self, event: &Event, now: Time, out: &mut Output) -> bool {
        if event.stamp.micros().unsigned_abs() > FARTHEST as u64 {
            out.failed(event.clone(), "its stamp is too far from the epoch for windows");
            return false;
        }
        if let Future::Refuse(tolerance) = self.settings.future
            && event.stamp > now + tolerance
        {
            let ahead = event.stamp.since(now);
            let reason = format!("it is stamped {ahead} ahead of its arrival; at most {tolerance} is let in");
            out.failed(event.clone(), reason);
            return false;
        }
        match self.plan.admit(event) {
            Admission::In => return true,
            Admission::Filtered => out.dropped(event.id, Dropped::Filtered),
            Admission::Failed(reason) => out.failed(event.clone(), reason),
        }
        false
    }

    /// Adds the event that was admitted last to the slice at `at` of its group. Gives the group, and whether the slice is
    /// a new one.
    #[inline]
    pub fn add(&mut self, event: &Event, at: Time) -> (u32, bool) {
        let index = self.groups.find(&self.plan.keys(event));
        self.held += 1;
        if self.settings.emit_empty {
            self.latest.count(event);
        }
        let Some(group) = self.groups.get_mut(index) else {
            return (index, false);
        };
        let (slice, new) = group.slice_mut(at, &self.plan.kinds);
        self.plan.add(slice, event);
        self.slices += u64::from(new);
        (index, new)
    }

    /// A slice leaves the state.
    pub fn release(&mut self, slice: Slice, out: &mut Output) {
        self.slices -= 1;
        self.held -= slice.release(&mut self.said.failing, out);
    }

    /// Takes the oldest slice of a group out of the state, and the group when it was the last.
    pub fn pop(&mut self, index: u32, out: &mut Output) {
        if let Some(group) = self.groups.get_mut(index) {
            let slice = group.pop(&self.plan.kinds);
            if group.slices.is_empty() {
                self.groups.remove(index);
            }
            if let Some(slice) = slice {
                self.release(slice, out);
            }
        }
    }

    /// Takes the oldest slice of each of these groups out of the state, where its fates show in the order of keys.
    pub fn pop_all(&mut self, mut groups: Vec<u32>, out: &mut Output) {
        if self.plan.tracks() {
            self.groups.sort(&mut groups);
        }
        groups.into_iter().for_each(|group| self.pop(group, out));
    }

    /// Takes out of `closing` the ends of windows that are over by now: their groups, once each, where fates show in the
    /// order of keys.
    pub(super) fn over(&self, closing: &mut BTreeSet<(Time, u32)>) -> Vec<u32> {
        let mut groups = Vec::new();
        while let Some((end, index)) = closing.first().copied() {
            if !self.settings.is_over(end, self.watermark) {
                break;
            }
            closing.pop_first();
            groups.push(index);
        }
        groups.sort_unstable();
        groups.dedup();
        if self.plan.tracks() {
            self.groups.sort(&mut groups);
        }
        groups
    }

    /// The events of these groups have a result that could not be computed.
    pub(super) fn note_failures(&mut self, groups: &[u32], within: (Time, Time)) {
        for index in groups {
            if let Some(group) = self.groups.get_mut(*index) {
                let range = group.range(within.0, within.1);
                group.slices.range_mut(range).for_each(|slice| slice.failed = true);
            }
        }
    }

    pub(super) fn key_of(&self, group: u32) -> Row {
        self.groups.get(group).map_or_else(|| Row::from([]), |g| g.key.clone())
    }

    /// The total of a window without events, with the latest event before it to go back to.
    pub fn empty_total(&self) -> Total {
        let mut total = Total::empty(&self.plan.kinds);
        total.brief = Brief {
            events: 0,
            ..self.latest
        };
        total
    }

    /// Whether a window without events answers.
    pub fn answers_empty(&self) -> bool {
        self.settings.emit_empty && self.plan.is_ungrouped()
    }

    /// Roughly how many bytes all this takes.
    pub fn state_bytes(&self) -> usize {
        use super::aggregate::State;
        let slice = size_of::<Slice>() + self.plan.kinds.len() * size_of::<State>();
        let ids = if self.plan.tracks() { 16 } else { 0 } + if self.plan.keeps_lineage() { 16 } else { 0 };
        let values = self.plan.kinds.iter().filter(|k| k.holistic()).count() * size_of::<wavetank_scenarios::Value>();
        self.slices as usize * slice
            + self.held as usize * (ids + values)
            + self.groups.len() * size_of::<super::slice::Group>()
            + self.said.bytes()
    }
}

/// No group: that of a window without events.
pub const NO_GROUP: u32 = u32::MAX;
/// The bounds of windows that have none.
pub const ALWAYS: (Time, Time) = (Time::MIN, Time::MAX);
