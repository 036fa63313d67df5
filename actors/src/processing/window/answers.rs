//! What windows say: first answers, early and late ones, and how each stands to those before it.
//!
//! A window and group is *answered* by working out what it comes to and giving the difference to what was given last:
//! nothing where there is none. Rows that are gone come first, by (end, start) and key, then in the order of firings rows
//! that are new or other. With discarding panes an answer is a part instead: only of events that were in no part before.
//! A deletion repeats the row that it takes back; the event because of which it is given is not in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wavetank_scenarios::script::{Emit, Panes, Trigger};
use wavetank_scenarios::{Change, Event, EventId, Pane, Row, Time, Timing};

use super::core::{Bounds, Core, NO_GROUP, Settings};
use super::plan::{Answered, Answers, Firing};
use super::slice::{Slice, lineage};
use crate::operator::{Draft, Output};

/// What was last said of a group in a window.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Absent when it was never in the result, or was taken out of it.
    given: Option<Given>,
    revision: u32,
}

/// What was given, so that it can be taken back as it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Given {
    row: Row,
    stamp: Time,
    correlation: EventId,
    planned: Time,
    lineage: Option<Arc<[EventId]>>,
}

/// What came for a window and group since it was last answered.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Fresh {
    pub events: u64,
    /// What it adds up to; only with discarding panes.
    pub part: Option<Slice>,
}

/// What was said of windows so far, and what is still to be said.
#[derive(Debug, Default)]
pub struct Said {
    /// By (end, start) and key; kept only where windows may answer again.
    pub(super) answers: BTreeMap<Bounds, BTreeMap<Row, Answer>>,
    /// By (end, start) and group; kept only where there are triggers.
    pub(super) fresh: BTreeMap<Bounds, BTreeMap<u32, Fresh>>,
    /// Events of which a part could not be computed.
    pub failing: BTreeSet<EventId>,
}

impl Said {
    /// Roughly how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let answers: usize = self.answers.values().map(BTreeMap::len).sum();
        let fresh: usize = self.fresh.values().map(BTreeMap::len).sum();
        answers * size_of::<(Row, Answer)>() + fresh * size_of::<(u32, Fresh)>()
    }
    fn given(&self, (start, end): Bounds, key: &Row) -> Option<&Given> {
        self.answers.get(&(end, start))?.get(key)?.given.as_ref()
    }
    /// The number of the next answer.
    fn number(&mut self, (start, end): Bounds, key: &Row) -> &mut Answer {
        let answers = self.answers.entry((end, start)).or_default();
        let answer = answers.entry(key.clone()).or_insert(Answer {
            given: None,
            revision: u32::MAX,
        });
        answer.revision = answer.revision.wrapping_add(1);
        answer
    }
}

/// A window to answer: its bounds, those of its slices, and the groups to look at, ascending by key.
#[derive(Clone, Debug)]
pub struct Again {
    /// `[start, end)`.
    pub window: Bounds,
    /// The bounds of its slices.
    pub within: Bounds,
    /// Which groups.
    pub of: Vec<u32>,
}

/// When windows with something new to say are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Occasion {
    /// The timer of early triggers.
    EarlyTick,
    /// The timer of late triggers.
    LateTick,
    /// The watermark has grown.
    Watermark,
}

/// The tokens of the timers.
const EARLY: u64 = 0;
const LATE: u64 = 1;

impl Occasion {
    /// That of a timer.
    pub const fn of_token(token: u64) -> Self {
        if token == LATE { Self::LateTick } else { Self::EarlyTick }
    }
}

fn trigger(emit: &Emit, complete: bool) -> Option<&Trigger> {
    if complete {
        emit.late.as_ref()
    } else {
        emit.early.as_ref()
    }
}

/// Sets the timers of triggers: the first ones, or the next one of the occasion that has come.
pub fn set_timers(settings: &Settings, after: Option<Occasion>, out: &mut Output) {
    let Some(emit) = &settings.emit else { return };
    for (token, occasion, trigger) in [
        (EARLY, Occasion::EarlyTick, &emit.early),
        (LATE, Occasion::LateTick, &emit.late),
    ] {
        if let Some(every) = trigger.as_ref().and_then(|t| t.every)
            && after.is_none_or(|after| after == occasion)
        {
            out.timer(every, token);
        }
    }
}

impl Core {
    /// The drafts of a window's first answers, which come from a [`Firing`]; `within` are the bounds of its slices. Only
    /// where nothing was said of it before.
    pub fn first_answers(&mut self, answers: Answers, window: Bounds, within: Bounds) -> Vec<Draft> {
        self.note_failures(&answers.failed, within);
        let draft = |answered| self.answer(answered, window, within, Timing::OnTime, Change::Insert);
        answers.rows.into_iter().map(draft).collect()
    }

    /// The draft of one row, noted down where windows may answer again; its events have caused a result.
    fn answer(&mut self, answered: Answered, window: Bounds, within: Bounds, timing: Timing, change: Change) -> Draft {
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
        let given = Given {
            row,
            stamp: self.settings.stamp(window.1, &brief),
            correlation: brief.correlation,
            planned: brief.planned,
            lineage: origins,
        };
        let mut revision = 0;
        if self.settings.answers_again() {
            let answer = self.said.number(window, &key);
            answer.given = Some(given.clone());
            revision = answer.revision;
        }
        let shown = self.settings.shown(window);
        given.draft(shown, key, revision, timing, change)
    }

    /// The draft that takes an answer back.
    fn retract(&mut self, window: Bounds, key: &Row, timing: Timing, change: Change) -> Option<Draft> {
        self.said.given(window, key)?;
        let answer = self.said.number(window, key);
        let given = match change {
            Change::UpdateBefore => answer.given.clone(),
            _ => answer.given.take(),
        };
        let revision = answer.revision;
        let shown = self.settings.shown(window);
        given.map(|given| given.draft(shown, key.clone(), revision, timing, change))
    }

    /// Answers windows again. `gone` are windows of the group `cause` that became part of others; `on_time` says that the
    /// windows are complete by now and were not before.
    pub fn answer_again(&mut self, cause: u32, gone: &[Bounds], windows: &[Again], on_time: bool, out: &mut Output) {
        let panes = self
            .settings
            .emit
            .as_ref()
            .map_or(Panes::Accumulating, |emit| emit.panes);
        if panes == Panes::Discarding {
            for again in windows {
                self.part(again, on_time, out);
            }
            return;
        }
        let mut deleted: Vec<(Bounds, Row, Timing)> = Vec::new();
        let mut changed = Vec::new();
        for Again { window, within, of } in windows {
            let timing = self.timing(*window, on_time);
            let mut firing = Firing::new(&self.plan, self.settings.shown(*window));
            let mut looked_at = Vec::new();
            for index in of {
                self.said.settle_fresh(*window, *index);
                let Some(group) = self.groups.get(*index) else { continue };
                looked_at.push(group.key.clone());
                if let Some(total) = group.plain_total(group.range(within.0, within.1), &self.plan.kinds) {
                    firing.offer(*index, &group.key, &total);
                }
            }
            if !firing.any && self.answers_empty() {
                firing.offer(NO_GROUP, &[], &self.empty_total());
            }
            let answers = firing.answers();
            self.note_failures(&answers.failed, *within);
            for key in looked_at {
                if answers.rows.iter().all(|r| self.key_of(r.group) != key) && self.said.given(*window, &key).is_some()
                {
                    deleted.push(((window.1, window.0), key, timing));
                }
            }
            for answered in answers.rows {
                let change = match self.said.given(*window, &self.key_of(answered.group)) {
                    Some(given) if given.row == answered.row => continue,
                    Some(_) => Change::UpdateAfter,
                    None => Change::Insert,
                };
                changed.push((answered, change, *window, *within, timing));
            }
        }
        let key = self.key_of(cause);
        for window in gone {
            deleted.push(((window.1, window.0), key.clone(), self.timing(*window, false)));
        }
        deleted.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for ((end, start), key, timing) in deleted {
            let draft = self.retract((start, end), &key, timing, Change::Delete);
            draft.into_iter().for_each(|draft| out.emit(draft));
        }
        for (answered, change, window, within, timing) in changed {
            if change == Change::UpdateAfter && panes == Panes::Retracting {
                let key = self.key_of(answered.group);
                let draft = self.retract(window, &key, timing, Change::UpdateBefore);
                draft.into_iter().for_each(|draft| out.emit(draft));
            }
            out.emit(self.answer(answered, window, within, timing, change));
        }
    }

    fn timing(&self, window: Bounds, on_time: bool) -> Timing {
        match (on_time, self.settings.is_complete(window.1, self.watermark)) {
            (true, _) => Timing::OnTime,
            (false, true) => Timing::Late,
            (false, false) => Timing::Early,
        }
    }

    /// Answers a window with what came since its last part.
    fn part(&mut self, again: &Again, on_time: bool, out: &mut Output) {
        let timing = self.timing(again.window, on_time);
        let mut parts: BTreeMap<u32, Slice> = BTreeMap::new();
        let mut firing = Firing::new(&self.plan, self.settings.shown(again.window));
        for index in &again.of {
            let Some(part) = self.said.settle_fresh(again.window, *index) else {
                continue;
            };
            if let Some(group) = self.groups.get(*index) {
                firing.offer(*index, &group.key, &part.total);
            }
            parts.insert(*index, part);
        }
        let answers = firing.answers();
        for index in answers.failed {
            let ids = parts.remove(&index).map(|part| part.pending);
            self.said.failing.extend(ids.into_iter().flatten());
        }
        for Answered {
            group: index,
            row,
            brief,
        } in answers.rows
        {
            let key = self.key_of(index);
            let mut part = parts.remove(&index);
            if let (Some(part), Some(group)) = (&mut part, self.groups.get_mut(index)) {
                part.pending.sort_unstable();
                let range = group.range(again.within.0, again.within.1);
                group.settle_some(range, &part.pending);
            }
            let given = Given {
                row,
                stamp: self.settings.stamp(again.window.1, &brief),
                correlation: brief.correlation,
                planned: brief.planned,
                lineage: part
                    .filter(|_| self.plan.keeps_lineage())
                    .and_then(|part| lineage(std::iter::once(&part), brief.correlation)),
            };
            let revision = self.said.number(again.window, &key).revision;
            out.emit(given.draft(self.settings.shown(again.window), key, revision, timing, Change::Part));
        }
    }

    /// Notes that an event of group `index`, admitted last, was taken in by a window. True when a trigger that counts
    /// says that it is to be answered now.
    pub fn note(&mut self, window: Bounds, index: u32, event: &Event) -> bool {
        let Some(emit) = &self.settings.emit else {
            return false;
        };
        let complete = self.settings.is_complete(window.1, self.watermark);
        let fresh = self.said.fresh.entry((window.1, window.0)).or_default();
        let fresh = fresh.entry(index).or_default();
        fresh.events += 1;
        if emit.panes == Panes::Discarding {
            let part = fresh
                .part
                .get_or_insert_with(|| Slice::new(event.stamp, &self.plan.kinds));
            self.plan.add(part, event);
        }
        match (trigger(emit, complete), complete) {
            (Some(trigger), _) => trigger.count.is_some_and(|n| fresh.events >= n),
            // A complete window without a trigger of its own answers at once.
            (None, complete) => complete,
        }
    }

    /// Windows of a group became part of a longer one, with what is still to be said of them.
    pub fn grown(&mut self, index: u32, old: &[Bounds], new: Bounds) {
        if self.settings.emit.is_none() {
            return;
        }
        let mut all = Fresh::default();
        for (start, end) in old.iter().filter(|window| **window != new) {
            if let Some(groups) = self.said.fresh.get_mut(&(*end, *start)) {
                if let Some(fresh) = groups.remove(&index) {
                    all.absorb(fresh, &self.plan.kinds);
                }
                if groups.is_empty() {
                    self.said.fresh.remove(&(*end, *start));
                }
            }
        }
        if all.events > 0 {
            let into = self
                .said
                .fresh
                .entry((new.1, new.0))
                .or_default()
                .entry(index)
                .or_default();
            into.absorb(all, &self.plan.kinds);
        }
    }

    /// Whether anything was said of a window of the group that still stands.
    pub fn stands(&self, window: Bounds, index: u32) -> bool {
        self.said.given(window, &self.key_of(index)).is_some()
    }

    /// The windows that have something new to say and are to be answered now, in the order in which they fire, each with
    /// the groups to look at. `within` gives the bounds of a window's slices.
    pub fn with_news(&mut self, occasion: Occasion, within: impl Fn(Bounds) -> Bounds) -> Vec<Again> {
        let Some(emit) = self.settings.emit else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for ((end, start), groups) in &self.said.fresh {
            let complete = self.settings.is_complete(*end, self.watermark);
            let over = self.settings.is_over(*end, self.watermark);
            let trigger = trigger(&emit, complete);
            let now = match occasion {
                Occasion::EarlyTick => !complete && trigger.is_some_and(|t| t.every.is_some()),
                Occasion::LateTick => complete && trigger.is_some_and(|t| t.every.is_some()),
                // What closes says what it has not said yet.
                Occasion::Watermark => over || trigger.is_some_and(|t| t.watermark),
            };
            if now {
                found.push(((*start, *end), groups.keys().copied().collect::<Vec<u32>>()));
            }
        }
        let mut again = Vec::new();
        for (window, mut of) in found {
            if self.plan.has_limit() && emit.panes != Panes::Discarding {
                of = self.groups.sorted();
            }
            self.groups.sort(&mut of);
            again.push(Again {
                window,
                within: within(window),
                of,
            });
        }
        again
    }

    /// Forgets what was said of windows of which nothing more can come.
    pub fn forget(&mut self) {
        let (settings, watermark) = (&self.settings, self.watermark);
        while let Some(entry) = self.said.answers.first_entry() {
            if !settings.is_over(entry.key().0, watermark) {
                break;
            }
            entry.remove();
        }
        while let Some(entry) = self.said.fresh.first_entry() {
            if !settings.is_over(entry.key().0, watermark) {
                break;
            }
            entry.remove();
        }
    }
}

impl Said {
    /// There is nothing new to say of a window and group any more; what it added up to.
    fn settle_fresh(&mut self, (start, end): Bounds, index: u32) -> Option<Slice> {
        let groups = self.fresh.get_mut(&(end, start))?;
        let fresh = groups.remove(&index);
        if groups.is_empty() {
            self.fresh.remove(&(end, start));
        }
        fresh?.part
    }
}

impl Fresh {
    fn absorb(&mut self, other: Self, kinds: &[super::aggregate::Kind]) {
        self.events += other.events;
        match (&mut self.part, other.part) {
            (Some(mine), Some(theirs)) => mine.absorb(theirs, kinds),
            (mine @ None, theirs) => *mine = theirs,
            (Some(_), None) => {}
        }
    }
}

impl Given {
    fn draft(self, (start, end): Bounds, key: Row, revision: u32, timing: Timing, change: Change) -> Draft {
        let pane = Pane {
            start,
            end,
            key,
            revision,
            timing,
            change,
        };
        Draft {
            stamp: self.stamp,
            correlation: self.correlation,
            planned: self.planned,
            row: self.row,
            lineage: self.lineage,
            pane: Some(Arc::new(pane)),
        }
    }
}
