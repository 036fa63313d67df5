//! Sessions: events of one group less than a gap apart, `[first, last + gap)`.
//!
//! A session is one slice that grows and merges; whether two that just touch are one is a setting. An event is late when
//! the session that it would make, merged with those it reaches, would be late (as Flink has it). An event that comes for
//! sessions that have answered takes back the answers of those that become part of a longer one, and the longer one answers
//! when it is complete, or at once if it is.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_scenarios::{Event, Span, Time};

use super::answers::{Again, Occasion, set_timers};
use super::core::{Bounds, Core, NO_GROUP};
use super::plan::Firing;
use super::slice::{Group, Slice};
use crate::operator::{Operator, Output};
use crate::reliability::{State, StateError};

/// The operator.
#[derive(Debug)]
pub struct SessionWindows {
    core: Core,
    gap: Span,
    /// Ends at which a session of a group may be complete: one for each open session, noted down when it was opened; a
    /// session that has grown since is looked at again at its new end.
    due: BTreeSet<(Time, u32)>,
    /// Ends at which a session that has answered may be over.
    closing: BTreeSet<(Time, u32)>,
}

impl SessionWindows {
    /// Windows of `core`'s query.
    pub const fn new(core: Core, gap: Span) -> Self {
        Self {
            core,
            gap,
            due: BTreeSet::new(),
            closing: BTreeSet::new(),
        }
    }

    fn bounds(&self, slice: &Slice) -> (Time, Time) {
        (slice.at, slice.total.brief.latest.0 + self.gap)
    }

    /// The indices of a group's sessions that an event at `t` is part of.
    fn reached(&self, group: &Group, t: Time) -> std::ops::Range<usize> {
        let touching = self.core.settings.touching_merge;
        let own_end = t + self.gap;
        let before = |slice: &Slice| {
            let end = self.bounds(slice).1;
            if touching { end < t } else { end <= t }
        };
        let from = group.slices.partition_point(before);
        let beyond = |slice: &Slice| {
            if touching {
                slice.at <= own_end
            } else {
                slice.at < own_end
            }
        };
        let to = group.slices.partition_point(beyond);
        from..to.max(from)
    }

    /// Merges the event that was admitted last with the sessions that it reaches. Gives the bounds of those sessions, and
    /// of the one that they make.
    fn merge(
        &mut self,
        index: u32,
        event: &Event,
        reached: std::ops::Range<usize>,
    ) -> (Vec<(Time, Time)>, (Time, Time)) {
        let gap = self.gap;
        let Some(group) = self.core.groups.get_mut(index) else {
            return (Vec::new(), (event.stamp, event.stamp));
        };
        let bounds = |slice: &Slice| (slice.at, slice.total.brief.latest.0 + gap);
        let old: Vec<(Time, Time)> = group.slices.range(reached.clone()).map(bounds).collect();
        let mut parts = group.slices.drain(reached.clone());
        let mut session = match parts.next() {
            Some(first) => first,
            None => Slice::new(event.stamp, &self.core.plan.kinds),
        };
        for part in parts {
            session.absorb(part, &self.core.plan.kinds);
        }
        session.at = session.at.min(event.stamp);
        self.core.plan.add(&mut session, event);
        let new = bounds(&session);
        group.slices.insert(reached.start, session);
        self.core.held += 1;
        self.core.slices = self.core.slices + 1 - old.len() as u64;
        (old, new)
    }

    /// The groups that have a session of exactly these bounds, ascending by key.
    fn with_session(&mut self, window: (Time, Time)) -> Vec<u32> {
        let mut groups = self.core.groups.sorted();
        groups.retain(|index| {
            self.core.groups.get(*index).is_some_and(|group| {
                let at = group.slices.partition_point(|s| s.at < window.0);
                group.slices.get(at).is_some_and(|s| self.bounds(s) == window)
            })
        });
        groups
    }

    fn fire(&mut self, window: (Time, Time), mut groups: Vec<u32>, out: &mut Output) {
        self.core.groups.sort(&mut groups);
        groups.dedup();
        let within = (window.0, window.0 + Span::UNIT);
        for group in &groups {
            self.closing.insert((window.1, *group));
        }
        if self.core.settings.emit.is_some() {
            let of = groups;
            let again = Again { window, within, of };
            return self.core.answer_again(NO_GROUP, &[], &[again], true, out);
        }
        let mut firing = Firing::new(&self.core.plan, self.core.settings.shown(window));
        for index in &groups {
            if let Some(group) = self.core.groups.get(*index)
                && let Some(total) = group.plain_total(group.range(within.0, within.1), &self.core.plan.kinds)
            {
                firing.offer(*index, &group.key, &total);
            }
        }
        let answers = firing.answers();
        for draft in self.core.first_answers(answers, window, within) {
            out.emit(draft);
        }
    }

    /// Answers what has something new to say.
    fn on_occasion(&mut self, occasion: Occasion, out: &mut Output) {
        let mut again = self
            .core
            .with_news(occasion, |window| (window.0, window.0 + Span::UNIT));
        if self.core.plan.has_limit() && !self.core.settings.discards() {
            for again in &mut again {
                again.of = self.with_session(again.window);
            }
        }
        self.core.answer_again(NO_GROUP, &[], &again, false, out);
    }

    /// Takes sessions that are over out of the state.
    fn purge(&mut self, out: &mut Output) {
        for index in self.core.over(&mut self.closing) {
            let w = self.core.watermark;
            let over = |session: &Slice| self.core.settings.is_over(self.bounds(session).1, w);
            let sessions = self
                .core
                .groups
                .get(index)
                .map(|g| g.slices.iter().take_while(|s| over(s)).count());
            for _ in 0..sessions.unwrap_or(0) {
                self.core.pop(index, out);
            }
        }
        self.core.forget();
    }
}

impl Operator for SessionWindows {
    fn on_event(&mut self, _input: usize, event: Event, now: Time, out: &mut Output) {
        if !self.core.admit(&event, now, out) {
            return;
        }
        let index = self.core.groups.find(&self.core.plan.keys(&event));
        let Some(group) = self.core.groups.get(index) else {
            return;
        };
        let reached = self.reached(group, event.stamp);
        let mut end = event.stamp + self.gap;
        if let Some(last) = group.slices.range(reached.clone()).next_back() {
            end = end.max(self.bounds(last).1);
        }
        let (settings, w) = (self.core.settings, self.core.watermark);
        if settings.is_late(event.stamp, end, w) {
            if group.slices.is_empty() {
                self.core.groups.remove(index);
            }
            return out.late(event, settings.side);
        }
        let (old, new) = self.merge(index, &event, reached);
        let noted = old.iter().any(|window| !settings.is_complete(window.1, w));
        let complete = settings.is_complete(new.1, w);
        self.core.grown(index, &old, new);
        let triggered = settings.emit.is_some() && self.core.note(new, index, &event);
        // Only what was answered can be taken back.
        let answered = |window: &Bounds| settings.emit.is_some() || settings.is_complete(window.1, w);
        let gone: Vec<Bounds> = old
            .into_iter()
            .filter(|window| *window != new && answered(window) && self.core.stands(*window, index))
            .collect();
        let again = if settings.emit.is_some() { triggered } else { complete };
        if again || !gone.is_empty() {
            // With a limit a row's place depends on the other groups that have the session, also where this one no longer
            // has it.
            let limit = self.core.plan.has_limit() && !settings.discards();
            let mut windows: Vec<Bounds> = again.then_some(new).into_iter().collect();
            windows.extend(gone.iter().filter(|_| limit));
            windows.sort_unstable_by_key(|(start, end)| (*end, *start));
            let again = |window: Bounds| Again {
                window,
                within: (window.0, window.0 + Span::UNIT),
                of: if limit { self.with_session(window) } else { vec![index] },
            };
            let windows: Vec<Again> = windows.into_iter().map(again).collect();
            self.core.answer_again(index, &gone, &windows, false, out);
        }
        if complete {
            self.closing.insert((new.1, index));
        } else if !noted {
            self.due.insert((new.1, index));
        }
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        self.core.watermark = watermark;
        let mut firings: BTreeMap<(Time, Time), Vec<u32>> = BTreeMap::new();
        while let Some((end, index)) = self.due.first().copied() {
            if !self.core.settings.is_complete(end, watermark) {
                break;
            }
            self.due.pop_first();
            let Some(group) = self.core.groups.get(index) else {
                continue;
            };
            let at = group.slices.partition_point(|s| self.bounds(s).1 < end);
            match group.slices.get(at).map(|s| self.bounds(s)) {
                Some((start, grown)) if start < end => {
                    if self.core.settings.is_complete(grown, watermark) {
                        firings.entry((grown, start)).or_default().push(index);
                    } else {
                        self.due.insert((grown, index));
                    }
                }
                _ => {}
            }
        }
        for ((end, start), groups) in firings {
            self.fire((start, end), groups, out);
        }
        self.on_occasion(Occasion::Watermark, out);
        self.purge(out);
    }

    fn on_enter(&mut self, out: &mut Output) {
        set_timers(&self.core.settings, None, out);
    }

    fn on_timer(&mut self, token: u64, out: &mut Output) {
        let occasion = Occasion::of_token(token);
        self.on_occasion(occasion, out);
        set_timers(&self.core.settings, Some(occasion), out);
    }

    fn save(&self, state: &mut State) {
        self.core.save(state);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.core.restore(state)?;
        for (index, group) in self.core.groups.iter() {
            for session in &group.slices {
                let (_, end) = self.bounds(session);
                if self.core.settings.is_complete(end, self.core.watermark) {
                    self.closing.insert((end, index));
                } else {
                    self.due.insert((end, index));
                }
            }
        }
        Ok(())
    }

    fn held(&self) -> u64 {
        self.core.held
    }

    fn state_bytes(&self) -> usize {
        // Each session is noted down once: as one that is due, or one that is closing.
        self.core.state_bytes() + self.core.slices as usize * size_of::<(Time, u32)>()
    }
}
