//! Staggered windows: each opens at the first event of its group, by event time, that no window before it has.
//!
//! The events of each instant are a slice; windows are cut out of a group's slices from the first one on, so that an
//! earlier event that comes later moves them. What had answered and is cut differently then is taken back.

use std::collections::BTreeSet;

use wavetank_scenarios::{Event, Span, Time};

use super::answers::Again;
use super::core::Core;
use super::plan::Firing;
use super::slice::Group;
use crate::operator::{Operator, Output};
use crate::reliability::{State, StateError};

/// The operator.
#[derive(Debug)]
pub struct StaggerWindows {
    core: Core,
    size: Span,
    /// Ends at which a window of a group may be complete.
    due: BTreeSet<(Time, u32)>,
    /// Ends at which a window that has answered may be over.
    closing: BTreeSet<(Time, u32)>,
}

/// The starts of the windows that `group`'s slices fall into.
fn starts(group: &Group, size: Span) -> impl Iterator<Item = Time> {
    let mut next = group.slices.front().map(|s| s.at);
    std::iter::from_fn(move || {
        let start = next?;
        let after = group.slices.partition_point(|s| s.at < start + size);
        next = group.slices.get(after).map(|s| s.at);
        Some(start)
    })
}

impl StaggerWindows {
    /// Windows of `core`'s query.
    pub const fn new(core: Core, size: Span) -> Self {
        Self {
            core,
            size,
            due: BTreeSet::new(),
            closing: BTreeSet::new(),
        }
    }

    /// The groups that have a window of these bounds, ascending by key.
    fn with_window(&mut self, window: (Time, Time)) -> Vec<u32> {
        let mut groups = self.core.groups.sorted();
        let size = self.size;
        groups.retain(|index| {
            self.core
                .groups
                .get(*index)
                .is_some_and(|g| starts(g, size).any(|s| s == window.0))
        });
        groups
    }

    fn fire(&mut self, end: Time, mut groups: Vec<u32>, out: &mut Output) {
        let window = (end - self.size, end);
        self.core.groups.sort(&mut groups);
        let mut firing = Firing::new(&self.core.plan, self.core.settings.shown(window));
        for index in &groups {
            if let Some(group) = self.core.groups.get(*index)
                && let Some(total) = group.plain_total(group.range(window.0, window.1), &self.core.plan.kinds)
            {
                firing.offer(*index, &group.key, &total);
            }
        }
        let answers = firing.answers();
        for draft in self.core.first_answers(answers, window, window) {
            out.emit(draft);
        }
        for index in groups {
            self.closing.insert((end, index));
            if let Some(group) = self.core.groups.get(index) {
                let next = group.slices.partition_point(|s| s.at < end);
                if let Some(slice) = group.slices.get(next) {
                    self.due.insert((slice.at + self.size, index));
                }
            }
        }
    }

    /// Takes windows that are over out of the state.
    fn purge(&mut self, out: &mut Output) {
        let w = self.core.watermark;
        for index in self.core.over(&mut self.closing) {
            while let Some(first) = self.core.groups.get(index).and_then(|g| g.slices.front()) {
                let end = first.at + self.size;
                if !self.core.settings.is_over(end, w) {
                    break;
                }
                let inside = |core: &Core| {
                    core.groups
                        .get(index)?
                        .slices
                        .front()
                        .filter(|s| s.at < end)
                        .map(|_| ())
                };
                while inside(&self.core).is_some() {
                    self.core.pop(index, out);
                }
            }
        }
        self.core.forget();
    }

    /// An event of group `index` came for windows that have answered, the starts of which were `before`: takes back those
    /// that are cut differently now and says again what has changed.
    fn recut(&mut self, index: u32, before: &[Time], out: &mut Output) {
        let (w, size, settings) = (self.core.watermark, self.size, self.core.settings);
        let Some(group) = self.core.groups.get(index) else {
            return;
        };
        let after: Vec<Time> = starts(group, size).collect();
        let answered = |start: &&Time| settings.is_complete(**start + size, w);
        let bounds = |start: &Time| (*start, *start + size);
        let gone: Vec<_> = before
            .iter()
            .filter(answered)
            .filter(|s| !after.contains(s))
            .map(bounds)
            .collect();
        let now: Vec<_> = after.iter().filter(answered).map(bounds).collect();
        let again = |window, of| Again {
            window,
            within: window,
            of,
        };
        let windows: Vec<Again> = if self.core.plan.has_limit() {
            // A row's place depends on the other groups that have the window, also where this one no longer has it.
            let mut windows: Vec<(Time, Time)> = now.iter().chain(&gone).copied().collect();
            windows.sort_unstable_by_key(|(start, end)| (*end, *start));
            let all = windows
                .into_iter()
                .map(|window| again(window, self.with_window(window)));
            all.collect()
        } else {
            now.iter().map(|window| again(*window, vec![index])).collect()
        };
        self.core.answer_again(index, &gone, &windows, false, out);
        for window in &now {
            self.closing.insert((window.1, index));
        }
        if let Some(next) = after.get(now.len()) {
            self.due.insert((*next + size, index));
        }
    }
}

impl Operator for StaggerWindows {
    fn on_event(&mut self, _input: usize, event: Event, now: Time, out: &mut Output) {
        if !self.core.admit(&event, now, out) {
            return;
        }
        let (t, w, settings, size) = (event.stamp, self.core.watermark, self.core.settings, self.size);
        let index = self.core.groups.find(&self.core.plan.keys(&event));
        let Some(group) = self.core.groups.get(index) else {
            return;
        };
        let joins = starts(group, size)
            .take_while(|s| *s <= t)
            .last()
            .filter(|s| t < *s + size);
        let end = joins.unwrap_or(t) + size;
        if settings.is_late(t, end, w) {
            if group.slices.is_empty() {
                self.core.groups.remove(index);
            }
            return out.late(event, settings.side);
        }
        // A window that it joins stays as it is; one that it opens may move those after it.
        let first = group.slices.front().map(|s| s.at + size);
        let touches_answered = settings.corrects() && first.is_some_and(|end| settings.is_complete(end, w));
        if touches_answered || settings.is_complete(end, w) {
            let before: Vec<Time> = starts(group, size).collect();
            self.core.add(&event, t);
            self.recut(index, &before, out);
        } else {
            self.core.add(&event, t);
        }
        if joins.is_none() && !settings.is_complete(end, w) {
            self.due.insert((end, index));
        }
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        self.core.watermark = watermark;
        while let Some((end, _)) = self.due.first().copied() {
            if !self.core.settings.is_complete(end, watermark) {
                break;
            }
            let mut groups = Vec::new();
            while let Some((_, index)) = self.due.first().copied().filter(|(e, _)| *e == end) {
                self.due.pop_first();
                // What has been cut differently since is noted down under another end.
                let opens = end - self.size;
                if self
                    .core
                    .groups
                    .get(index)
                    .is_some_and(|g| starts(g, self.size).any(|s| s == opens))
                {
                    groups.push(index);
                }
            }
            if !groups.is_empty() {
                self.fire(end, groups, out);
            }
        }
        self.purge(out);
    }

    fn save(&self, state: &mut State) {
        self.core.save(state);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.core.restore(state)?;
        let (settings, w) = (self.core.settings, self.core.watermark);
        for (index, group) in self.core.groups.iter() {
            for end in starts(group, self.size).map(|start| start + self.size) {
                // What is due after the first window is found when that has answered.
                if !settings.is_complete(end, w) {
                    self.due.insert((end, index));
                    break;
                }
                self.closing.insert((end, index));
            }
        }
        Ok(())
    }

    fn held(&self) -> u64 {
        self.core.held
    }

    fn state_bytes(&self) -> usize {
        // Each window is noted down once: as one that is due, or one that is closing.
        self.core.state_bytes() + self.core.slices as usize * size_of::<(Time, u32)>()
    }
}
