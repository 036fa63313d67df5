//! What all kinds of windows share: admission of events, lateness, the answers given so far, and drafts of results.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_scenarios::script::{Future, Late, LateBy, LateWhen, ResultStamp};
use wavetank_scenarios::{Change, Event, EventId, Pane, Row, Span, Time, Timing, script};

use super::plan::{Admission, Answered, Answers, Firing, Plan};
use super::slice::{Brief, Groups, Slice, Total, lineage};
use crate::operator::{Draft, Dropped, Output};

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
    /// The stamp of a result.
    fn stamp(&self, end: Time, brief: &Brief) -> Time {
        match self.stamp {
            ResultStamp::Last if end != Time::MAX || brief.events == 0 => end - self.tick,
            ResultStamp::End if end != Time::MAX || brief.events == 0 => end,
            ResultStamp::Earliest if brief.events > 0 => brief.earliest,
            _ if brief.events > 0 => brief.latest.0,
            _ => end - self.tick,
        }
    }
}

/// The farthest stamp from the epoch that windows work on: about 146,000 years. Sums of stamps and spans then fit.
const FARTHEST: i64 = i64::MAX / 2;

/// Start and end of a window, or of the slices that it is made of.
type Bounds = (Time, Time);

/// What was last said of a group in a window.
#[derive(Debug)]
struct Answer {
    /// Absent when it was never in the result, or was taken out of it.
    given: Option<Given>,
    revision: u32,
}

/// What was given, so that a deletion can take back exactly that.
#[derive(Clone, Debug)]
struct Given {
    row: Row,
    stamp: Time,
    correlation: EventId,
    lineage: Option<Arc<[EventId]>>,
}

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
    /// By (end, start) and key; kept only where windows correct.
    answers: BTreeMap<(Time, Time), BTreeMap<Row, Answer>>,
    /// The event with the largest (stamp, id) so far, for empty windows.
    latest: Brief,
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
            answers: BTreeMap::new(),
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
            Admission::In => {
                if self.settings.emit_empty {
                    self.latest.count(event);
                }
                return true;
            }
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
        self.held -= slice.release(out);
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

    /// The drafts of a window's first answers, which come from a [`Firing`]; `within` are the bounds of its slices.
    pub fn first_answers(&mut self, answers: Answers, window: (Time, Time), within: (Time, Time)) -> Vec<Draft> {
        self.note_failures(&answers.failed, within);
        let draft = |answered| self.answer(answered, window, within, Timing::OnTime, Change::Insert);
        answers.rows.into_iter().map(draft).collect()
    }

    /// The events of these groups have a result that could not be computed.
    fn note_failures(&mut self, groups: &[u32], within: (Time, Time)) {
        for index in groups {
            if let Some(group) = self.groups.get_mut(*index) {
                let range = group.range(within.0, within.1);
                group.slices.range_mut(range).for_each(|slice| slice.failed = true);
            }
        }
    }

    fn key_of(&self, group: u32) -> Row {
        self.groups.get(group).map_or_else(|| Row::from([]), |g| g.key.clone())
    }

    /// The draft of one row, noted down where windows correct; its events have caused a result.
    fn answer(
        &mut self,
        answered: Answered,
        (start, end): (Time, Time),
        within: (Time, Time),
        timing: Timing,
        change: Change,
    ) -> Draft {
        let Answered { group, row, brief } = answered;
        let key = self.key_of(group);
        let mut origins = None;
        if let Some(group) = self.groups.get_mut(group) {
            let range = group.range(within.0, within.1);
            if self.plan.tracks() {
                group.settle(range.clone());
            }
            if self.plan.keeps_lineage() {
                origins = lineage(group.slices.range(range), brief.correlation);
            }
        }
        let mut revision = 0;
        let mut given = Given {
            row,
            stamp: self.settings.stamp(end, &brief),
            correlation: brief.correlation,
            lineage: origins,
        };
        if self.settings.corrects() {
            let answers = self.answers.entry((end, start)).or_default();
            match answers.get_mut(&key) {
                Some(answer) => {
                    answer.revision += 1;
                    revision = answer.revision;
                    if change != Change::Delete {
                        answer.given = Some(given.clone());
                    } else if let Some(old) = answer.given.take() {
                        given = old;
                    }
                }
                None => {
                    let given = (change != Change::Delete).then(|| given.clone());
                    answers.insert(key.clone(), Answer { given, revision });
                }
            }
        }
        let pane = Pane {
            start,
            end,
            key,
            revision,
            timing,
            change,
        };
        Draft {
            stamp: given.stamp,
            correlation: given.correlation,
            planned: brief.planned,
            row: given.row,
            lineage: given.lineage,
            pane: Some(Arc::new(pane)),
        }
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
    pub const fn answers_empty(&self) -> bool {
        self.settings.emit_empty && self.plan.is_ungrouped()
    }

    /// An event of group `cause` was taken in by windows that have fired: says again what has changed. `gone` are windows
    /// of the group that became part of others, `windows` those to work out again with the bounds of their slices, `of`
    /// the groups to look at, ascending by key. Rows that are gone come first, by (end, start) and key, then new and changed
    /// ones in the order of firings.
    pub fn correct(
        &mut self,
        cause: u32,
        of: &[u32],
        gone: &[(Time, Time)],
        windows: &[(Bounds, Bounds)],
        out: &mut Output,
    ) {
        let mut deleted = Vec::new();
        let mut changed = Vec::new();
        let mut brief = Brief::default();
        let cause_key = self.key_of(cause);
        for (window, within) in windows {
            let mut firing = Firing::new(&self.plan, *window);
            let mut looked_at = Vec::new();
            for index in of {
                let Some(group) = self.groups.get(*index) else { continue };
                looked_at.push((group.key.clone(), *index));
                if let Some(total) = group.plain_total(group.range(within.0, within.1), &self.plan.kinds) {
                    firing.offer(*index, &group.key, &total);
                    if *index == cause {
                        brief.merge(&total.brief);
                    }
                }
            }
            if !firing.any && self.answers_empty() {
                firing.offer(NO_GROUP, &[], &self.empty_total());
            }
            let answers = firing.answers();
            self.note_failures(&answers.failed, *within);
            let old = self.answers.get(&(window.1, window.0));
            let row_of = |key: &Row| old.and_then(|o| Some(o.get(key)?.given.as_ref()?.row.clone()));
            for (key, index) in looked_at {
                if answers.rows.iter().all(|r| self.key_of(r.group) != key)
                    && let Some(row) = row_of(&key)
                {
                    deleted.push(((window.1, window.0), key, index, row, *within));
                }
            }
            for answered in answers.rows {
                let change = match row_of(&self.key_of(answered.group)) {
                    Some(row) if row == answered.row => continue,
                    Some(_) => Change::UpdateAfter,
                    None => Change::Insert,
                };
                changed.push((answered, change, *window, *within));
            }
        }
        for window in gone {
            let key = (window.1, window.0);
            if let Some(row) = self
                .answers
                .get(&key)
                .and_then(|a| Some(a.get(&cause_key)?.given.as_ref()?.row.clone()))
            {
                deleted.push((key, cause_key.clone(), cause, row, NOWHERE));
            }
        }
        deleted.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        if !deleted.is_empty()
            && let Some(group) = self.groups.get_mut(cause)
        {
            // They go back to the event that came, with all that it was added to.
            for (_, within) in windows {
                let range = group.range(within.0, within.1);
                group.settle(range);
            }
        }
        for ((end, start), _, group, row, within) in deleted {
            let answered = Answered { group, row, brief };
            out.emit(self.answer(answered, (start, end), within, Timing::Late, Change::Delete));
        }
        for (answered, change, window, within) in changed {
            out.emit(self.answer(answered, window, within, Timing::Late, change));
        }
    }

    /// Forgets the answers of windows of which nothing more can come.
    pub fn forget(&mut self) {
        while let Some(entry) = self.answers.first_entry() {
            if !self.settings.is_over(entry.key().0, self.watermark) {
                break;
            }
            entry.remove();
        }
    }

    /// Roughly how many bytes all this takes.
    pub fn state_bytes(&self) -> usize {
        use super::aggregate::State;
        let slice = size_of::<Slice>() + self.plan.kinds.len() * size_of::<State>();
        let ids = if self.plan.tracks() { 16 } else { 0 } + if self.plan.keeps_lineage() { 16 } else { 0 };
        let values = self.plan.kinds.iter().filter(|k| k.holistic()).count() * size_of::<wavetank_scenarios::Value>();
        let answers: usize = self.answers.values().map(BTreeMap::len).sum();
        self.slices as usize * slice
            + self.held as usize * (ids + values)
            + self.groups.len() * size_of::<super::slice::Group>()
            + answers * size_of::<(Row, Answer)>()
    }
}

/// No group: that of a window without events.
pub const NO_GROUP: u32 = u32::MAX;
/// Bounds between which there is no slice.
const NOWHERE: (Time, Time) = (Time::MIN, Time::MIN);
/// The bounds of windows that have none.
pub const ALWAYS: (Time, Time) = (Time::MIN, Time::MAX);
