//! Windows that slide by event: at each event's time `t` the events in `(t − size, t]`.
//!
//! Answers come in order of event time, when the watermark has reached `t`; events of one instant answer together. A firing
//! answers for the groups of its events; with `on = "change"` a group answers too at the instant at which an event leaves
//! it, unless nothing is left. As an interval the window is `[t − size + tick, t + tick)`. An event is late by its own
//! stamp: that is the end of the first window that it belongs to.

use std::collections::BTreeMap;

use wavetank_scenarios::{Event, Span, Time};

use super::core::Core;
use super::plan::Firing;
use crate::operator::{Operator, Output};

/// The operator.
#[derive(Debug)]
pub struct SlidingWindows {
    core: Core,
    size: Span,
    on_change: bool,
    /// Instants that are to answer, with their groups.
    due: BTreeMap<Time, Vec<u32>>,
    /// Instants that hold events, with their groups.
    live: BTreeMap<Time, Vec<u32>>,
}

impl SlidingWindows {
    /// Windows of `core`'s query.
    pub const fn new(core: Core, size: Span, on_change: bool) -> Self {
        Self {
            core,
            size,
            on_change,
            due: BTreeMap::new(),
            live: BTreeMap::new(),
        }
    }

    /// The window of the instant `t`, and the bounds of its slices.
    fn window(&self, t: Time) -> ((Time, Time), (Time, Time)) {
        let tick = self.core.settings.tick;
        let (start, end) = (t - self.size, t);
        ((start + tick, end + tick), (start + Span::UNIT, end + Span::UNIT))
    }

    fn fire(&mut self, t: Time, mut groups: Vec<u32>, out: &mut Output) {
        let (window, within) = self.window(t);
        self.core.groups.sort(&mut groups);
        groups.dedup();
        let mut firing = Firing::new(&self.core.plan, window.0, window.1);
        for index in groups {
            if let Some(group) = self.core.groups.get_mut(index) {
                let key = group.key.clone();
                if let Some(total) = group.slide(within.0, within.1, &self.core.plan.kinds) {
                    firing.offer(index, &key, &total);
                }
            }
        }
        let rows = firing.rows();
        for draft in self.core.first_answers(rows, window, within) {
            out.emit(draft);
        }
    }

    /// Says again what an event at `t` changes of the instants that have answered, its own included.
    fn correct(&mut self, t: Time, cause: u32, out: &mut Output) {
        let w = self.core.watermark;
        let mut instants: Vec<Time> = Vec::new();
        let leaves = t + self.size;
        if let Some(group) = self.core.groups.get(cause) {
            // Nothing of the group before `t − size` bears on a window that has `t`.
            for slice in group.slices.range(group.range(t - self.size, leaves)) {
                instants.push(slice.at);
                if self.on_change {
                    instants.push(slice.at + self.size);
                }
            }
        }
        if self.on_change {
            instants.push(leaves);
        }
        instants.retain(|x| *x >= t && *x <= w && (*x < leaves || (self.on_change && *x == leaves)));
        instants.sort_unstable();
        instants.dedup();
        for x in instants {
            let (window, within) = self.window(x);
            self.core.correct(cause, &[cause], window, within, out);
        }
    }
}

impl Operator for SlidingWindows {
    fn on_event(&mut self, _input: usize, event: Event, now: Time, out: &mut Output) {
        let Some(event) = self.core.admit(event, now, out) else {
            return;
        };
        let (t, w) = (event.stamp, self.core.watermark);
        if self.core.settings.is_late_itself(t, w) {
            return out.late(event, self.core.settings.side);
        }
        let (group, new) = self.core.add(&event, t);
        if new {
            self.live.entry(t).or_default().push(group);
            for instant in [Some(t), self.on_change.then_some(t + self.size)].into_iter().flatten() {
                if instant > w {
                    self.due.entry(instant).or_default().push(group);
                }
            }
        }
        if t <= w {
            self.correct(t, group, out);
        }
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        self.core.watermark = watermark;
        while let Some(entry) = self.due.first_entry() {
            if *entry.key() > watermark {
                break;
            }
            let (t, groups) = entry.remove_entry();
            self.fire(t, groups, out);
        }
        // A group still answers at the instant at which its event has left.
        let leaves = self.size + if self.on_change { self.core.settings.tick } else { Span::ZERO };
        while let Some(entry) = self.live.first_entry() {
            if !self.core.settings.is_over(*entry.key() + leaves, watermark) {
                break;
            }
            for group in entry.remove() {
                self.core.pop(group, out);
            }
        }
        self.core.forget();
    }

    fn held(&self) -> u64 {
        self.core.held
    }

    fn state_bytes(&self) -> usize {
        self.core.state_bytes()
    }
}
