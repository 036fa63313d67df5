//! Staggered windows: each opens at the first event of its group, by event time, that no window before it has.
//!
//! The events of each instant are a slice; windows are cut out of a group's slices from the first one on, so that an
//! earlier event that comes later moves them. What had answered and is cut differently then is taken back.

use std::collections::BTreeSet;

use wavetank_scenarios::{Event, Span, Time};

use super::core::Core;
use super::plan::Firing;
use super::slice::Group;
use crate::operator::{Operator, Output};

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
fn starts(group: &Group, size: Span) -> Vec<Time> {
    let mut starts = Vec::new();
    let mut end = Time::MIN;
    for slice in &group.slices {
        if slice.at >= end {
            starts.push(slice.at);
            end = slice.at + size;
        }
    }
    starts
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

    fn fire(&mut self, end: Time, mut groups: Vec<u32>, out: &mut Output) {
        let window = (end - self.size, end);
        self.core.groups.sort(&mut groups);
        let mut firing = Firing::new(&self.core.plan, window.0, window.1);
        for index in &groups {
            if let Some(group) = self.core.groups.get(*index)
                && let Some(total) = group.plain_total(group.range(window.0, window.1), &self.core.plan.kinds)
            {
                firing.offer(*index, &group.key, &total);
            }
        }
        let rows = firing.rows();
        for draft in self.core.first_answers(rows, window, window) {
            out.emit(draft);
        }
        for index in groups {
            self.closing.insert((end, index));
            if let Some(group) = self.core.groups.get_mut(index) {
                group.fired = end;
                let next = group.slices.partition_point(|s| s.at < end);
                if let Some(slice) = group.slices.get(next) {
                    self.due.insert((slice.at + self.size, index));
                }
            }
        }
    }

    /// Takes windows that are over out of the state. A group without events is remembered as long as an event could come
    /// that one of its windows has had its turn for.
    fn purge(&mut self, out: &mut Output) {
        let w = self.core.watermark;
        while let Some((end, index)) = self.closing.first().copied() {
            if !self.core.settings.is_over(end, w) {
                break;
            }
            self.closing.pop_first();
            let kinds = &self.core.plan.kinds;
            let Some(group) = self.core.groups.get_mut(index) else { continue };
            let mut gone = Vec::new();
            match group.slices.front() {
                Some(first) if first.at + self.size == end => {
                    group.gone = end;
                    while group.slices.front().is_some_and(|s| s.at < end) {
                        gone.extend(group.pop(kinds));
                    }
                    if group.slices.is_empty() {
                        self.closing.insert((end + self.size, index));
                    }
                }
                // Cut differently since, and noted down under another end.
                Some(_) => {}
                None => self.core.groups.remove(index),
            }
            for slice in gone {
                self.core.release(slice, out);
            }
        }
        self.core.forget();
    }

    /// An event of group `index` came behind what has answered: takes back windows that are cut differently now and says
    /// again what has changed.
    fn recut(&mut self, index: u32, before: &[Time], out: &mut Output) {
        let (w, size) = (self.core.watermark, self.size);
        let Some(group) = self.core.groups.get(index) else { return };
        let after = starts(group, size);
        let brief = group.slices.iter().fold(super::slice::Brief::default(), |mut all, slice| {
            all.merge(&slice.total.brief);
            all
        });
        let fired = group.fired;
        let complete = |start: &&Time| self.core.settings.is_complete(**start + size, w);
        let answered: Vec<Time> = before.iter().filter(|s| **s < fired).copied().collect();
        let now: Vec<Time> = after.iter().filter(complete).copied().collect();
        for start in answered.iter().filter(|s| !now.contains(s)) {
            self.core.retract(index, (*start, *start + size), brief, out);
        }
        for start in &now {
            let window = (*start, *start + size);
            let of = if self.core.plan.has_limit() {
                self.core.groups.sorted()
            } else {
                vec![index]
            };
            self.core.correct(index, &of, window, window, out);
            self.closing.insert((window.1, index));
        }
        if let Some(group) = self.core.groups.get_mut(index) {
            group.fired = now.last().map_or(group.gone, |start| *start + size);
        }
        if let Some(next) = after.get(now.len()) {
            self.due.insert((*next + size, index));
        }
    }
}

impl Operator for StaggerWindows {
    fn on_event(&mut self, _input: usize, event: Event, now: Time, out: &mut Output) {
        let Some(event) = self.core.admit(event, now, out) else {
            return;
        };
        let (t, w, settings) = (event.stamp, self.core.watermark, self.core.settings);
        let index = self.core.groups.find(&self.core.plan.keys(&event));
        let Some(group) = self.core.groups.get(index) else { return };
        // Windows are only worked out where the event may be behind one that has answered, or may move one.
        let before = if t < group.fired {
            starts(group, self.size)
        } else {
            Vec::new()
        };
        let own = |start: &&Time| **start <= t && t < **start + self.size;
        let anchor = if t < group.fired {
            before.iter().find(own).copied()
        } else {
            let from = group.slices.partition_point(|s| s.at < group.fired);
            let mut start = group.slices.get(from).map(|s| s.at).filter(|s| *s <= t);
            while let Some(s) = start.filter(|s| t >= *s + self.size) {
                let next = group.slices.partition_point(|x| x.at < s + self.size);
                start = group.slices.get(next).map(|x| x.at).filter(|x| *x <= t);
            }
            start
        };
        let end = anchor.unwrap_or(t) + self.size;
        if t < group.gone || settings.is_late(t, end, w) {
            if group.slices.is_empty() && group.gone == Time::MIN {
                self.core.groups.remove(index);
            }
            return out.late(event, settings.side);
        }
        let fired = group.fired;
        self.core.add(&event, t);
        if t < fired || settings.is_complete(end, w) {
            self.recut(index, &before, out);
        } else if anchor.is_none() {
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
                // A window that has been moved since is noted down under another end.
                let opens = self.core.groups.get(index).and_then(|group| {
                    let from = group.slices.partition_point(|s| s.at < group.fired);
                    group.slices.get(from).map(|s| s.at)
                });
                if opens == Some(end - self.size) {
                    groups.push(index);
                }
            }
            if !groups.is_empty() {
                self.fire(end, groups, out);
            }
        }
        self.purge(out);
    }

    fn held(&self) -> u64 {
        self.core.held
    }

    fn state_bytes(&self) -> usize {
        self.core.state_bytes() + (self.due.len() + self.closing.len()) * size_of::<(Time, u32)>()
    }
}
