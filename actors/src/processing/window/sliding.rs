//! Windows that slide by event: at each event's time `t` the events in `(t − size, t]`.
//!
//! Answers come in order of event time, one firing for each instant at which events happened, when the watermark has
//! reached it: of every group that has an event in the window `[t + tick − size, t + tick)`. With `on = "change"` there is
//! a firing too at each instant at which an event leaves. An event is late by the window that ends with it.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_scenarios::{Event, Span, Time};

use super::answers::Again;
use super::core::{Core, NO_GROUP};
use super::plan::Firing;
use crate::operator::{Operator, Output};
use crate::reliability::{State, StateError};

/// Instants that are to answer because of events that have left.
const LEFT: &str = "left";

/// The operator.
#[derive(Debug)]
pub struct SlidingWindows {
    core: Core,
    size: Span,
    on_change: bool,
    /// Instants that are to answer.
    due: BTreeSet<Time>,
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
            due: BTreeSet::new(),
            live: BTreeMap::new(),
        }
    }

    /// The window of the instant `t`, and the bounds of its slices.
    fn window(&self, t: Time) -> ((Time, Time), (Time, Time)) {
        let tick = self.core.settings.tick;
        let (start, end) = (t - self.size, t);
        ((start + tick, end + tick), (start + Span::UNIT, end + Span::UNIT))
    }

    fn fire(&mut self, t: Time, out: &mut Output) {
        let (window, within) = self.window(t);
        let mut firing = Firing::new(&self.core.plan, self.core.settings.shown(window));
        for index in self.core.groups.sorted() {
            if let Some(group) = self.core.groups.get_mut(index) {
                let key = group.key.clone();
                if let Some(total) = group.slide(within.0, within.1, &self.core.plan.kinds) {
                    firing.offer(index, &key, &total);
                }
            }
        }
        if !firing.any && self.core.answers_empty() {
            firing.offer(NO_GROUP, &[], &self.core.empty_total());
        }
        let answers = firing.answers();
        for draft in self.core.first_answers(answers, window, within) {
            out.emit(draft);
        }
    }

    /// The instants that are to answer because of the events at `t`, as long as the watermark has not reached them.
    fn instants(&self, t: Time) -> impl Iterator<Item = Time> + use<> {
        let w = self.core.watermark;
        let leaves = self.on_change.then_some(t + self.size);
        let both = [Some(t), leaves].into_iter().flatten();
        both.filter(move |instant| *instant > w)
    }

    /// Says again what an event at `t` changes of the instants that have answered, its own included.
    fn correct(&mut self, t: Time, cause: u32, out: &mut Output) {
        let leaves = t + self.size;
        let mut instants: BTreeSet<Time> = self.live.range(t..leaves).map(|(x, _)| *x).collect();
        if self.on_change {
            instants.extend(self.live.range(t - self.size..=t).map(|(x, _)| *x + self.size));
        }
        let w = self.core.watermark;
        let windows: Vec<_> = instants
            .into_iter()
            .filter(|x| *x <= w)
            .map(|x| self.window(x))
            .collect();
        let of = self.core.groups.sorted();
        let again = |(window, within)| Again {
            window,
            within,
            of: of.clone(),
        };
        let windows: Vec<Again> = windows.into_iter().map(again).collect();
        self.core.answer_again(cause, &[], &windows, false, out);
    }
}

impl Operator for SlidingWindows {
    fn on_event(&mut self, _input: usize, event: Event, now: Time, out: &mut Output) {
        if !self.core.admit(&event, now, out) {
            return;
        }
        let (t, w) = (event.stamp, self.core.watermark);
        if self.core.settings.is_late_itself(t, w) {
            return out.late(event, self.core.settings.side);
        }
        let (group, new) = self.core.add(&event, t);
        if new {
            self.live.entry(t).or_default().push(group);
            self.due.extend(self.instants(t));
        }
        if t <= w {
            self.correct(t, group, out);
        }
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        self.core.watermark = watermark;
        while let Some(t) = self.due.first().copied().filter(|t| *t <= watermark) {
            self.due.pop_first();
            self.fire(t, out);
        }
        while let Some(entry) = self.live.first_entry() {
            if !self.core.settings.is_over(*entry.key() + self.size, watermark) {
                break;
            }
            self.core.pop_all(entry.remove(), out);
        }
        self.core.forget();
    }

    fn save(&self, state: &mut State) {
        self.core.save(state);
        let due: BTreeSet<Time> = self.live.keys().flat_map(|t| self.instants(*t)).collect();
        state.put(LEFT, &self.due.difference(&due).collect::<Vec<_>>());
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.core.restore(state)?;
        self.due = state.get(LEFT)?;
        for (index, group) in self.core.groups.iter() {
            for slice in &group.slices {
                self.live.entry(slice.at).or_default().push(index);
            }
        }
        let due: Vec<Time> = self.live.keys().flat_map(|t| self.instants(*t)).collect();
        self.due.extend(due);
        Ok(())
    }

    fn held(&self) -> u64 {
        self.core.held
    }

    fn state_bytes(&self) -> usize {
        self.core.state_bytes()
    }
}
