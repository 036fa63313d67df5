//! Windows on a grid: tumbling, hopping and cumulating ones.
//!
//! Time is cut into slices at every start and end of a window (Krishnamurthy, Wu, Franklin 2006), so that an event goes
//! into one slice and windows are ranges of slices.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use wavetank_scenarios::script::WindowAlign;
use wavetank_scenarios::{Event, Span, Time};

use super::answers::{Again, Occasion, set_timers};
use super::core::{Core, NO_GROUP};
use super::keep::is_far;
use super::plan::Firing;
use crate::operator::{Draft, Dropped, Emitted, Operator, Output};
use crate::reliability::{State, StateError};

/// Where the grid begins, when that is at the first event; the ends of the last windows that have fired and passed.
const GRID: &str = "grid";
/// Answers that wait for their window to be complete.
const SEALED: &str = "sealed";

/// Where windows start and end.
#[derive(Clone, Copy, Debug)]
pub enum Grid {
    /// Every `[start, start + size)` whose start is `offset + k·every`.
    Hop {
        /// Length.
        size: Span,
        /// Distance of starts.
        every: Span,
        /// Shift.
        offset: Span,
    },
    /// `[start, start + k·step)` for k = 1 … max/step, whose start is `offset + k·max`.
    Cumulate {
        /// Longest.
        max: Span,
        /// Growth.
        step: Span,
        /// Shift.
        offset: Span,
    },
}

impl Grid {
    /// The slice that `t` falls into and the end of the last window that has it; `None` where there is no window.
    fn slice(&self, t: Time) -> Option<Cell> {
        match *self {
            Self::Hop { size, every, offset } => {
                let start = t.floor_to(every, offset);
                let cut = start + Span::from_micros(size.micros() % every.micros());
                let (from, to) = match (cut > start, t < cut) {
                    (false, _) => (start, start + every),
                    (true, true) => (start, cut),
                    (true, false) => (cut, start + every),
                };
                let last_end = start + size;
                (t < last_end).then_some(Cell { from, to, last_end })
            }
            Self::Cumulate { max, step, offset } => {
                let from = t.floor_to(step, offset);
                Some(Cell {
                    from,
                    to: from + step,
                    last_end: t.floor_to(max, offset) + max,
                })
            }
        }
    }
    /// The first end of a window after `t`.
    fn end_after(&self, t: Time) -> Time {
        match *self {
            Self::Hop { size, every, offset } => t.floor_to(every, offset + size) + every,
            Self::Cumulate { step, offset, .. } => t.floor_to(step, offset) + step,
        }
    }
    /// The last end of a window at or before `t`.
    fn end_until(&self, t: Time) -> Time {
        match *self {
            Self::Hop { size, every, offset } => t.floor_to(every, offset + size),
            Self::Cumulate { step, offset, .. } => t.floor_to(step, offset),
        }
    }
    /// The start of the window that ends at `end`.
    fn start_of(&self, end: Time) -> Time {
        match *self {
            Self::Hop { size, .. } => end - size,
            Self::Cumulate { max, offset, .. } => (end - Span::UNIT).floor_to(max, offset),
        }
    }
    /// The grid shifted to begin at `anchor`.
    fn anchored(self, anchor: Time) -> Self {
        let by = anchor.since(Time::ZERO);
        match self {
            Self::Hop { size, every, offset } => Self::Hop {
                size,
                every,
                offset: offset + by,
            },
            Self::Cumulate { max, step, offset } => Self::Cumulate {
                max,
                step,
                offset: offset + by,
            },
        }
    }
    /// True when no two windows share an instant.
    fn is_disjoint(&self) -> bool {
        matches!(self, Self::Hop { size, every, .. } if size <= every)
    }
}

/// A slice of time.
#[derive(Clone, Copy, Debug)]
struct Cell {
    from: Time,
    to: Time,
    last_end: Time,
}

/// The operator.
#[derive(Debug)]
pub struct GridWindows {
    core: Core,
    grid: Grid,
    /// The grid begins at the first event, which has not come yet.
    anchor: bool,
    /// Where that was, when it has.
    origin: Option<Time>,
    disjoint: bool,
    /// The slice of the event before, which is mostly that of the next one too.
    cell: Cell,
    /// Slices that hold events, with the groups that have some there.
    live: BTreeMap<Time, Vec<u32>>,
    /// The end of the last window that has fired.
    fired: Time,
    /// The end of the last window that is complete or shut, whether it had anything to say or not.
    passed: Time,
    /// Answers worked out when their window was shut, which is a tick before it is complete where lateness is judged so.
    sealed: VecDeque<(Time, Vec<Draft>)>,
}

impl GridWindows {
    /// Windows of `core`'s query on `grid`.
    pub fn new(core: Core, grid: Grid, align: WindowAlign) -> Self {
        Self {
            core,
            grid,
            anchor: align == WindowAlign::FirstEvent,
            origin: None,
            disjoint: grid.is_disjoint(),
            cell: Cell {
                from: Time::MAX,
                to: Time::MIN,
                last_end: Time::MIN,
            },
            live: BTreeMap::new(),
            fired: Time::MIN,
            passed: Time::MIN,
            sealed: VecDeque::new(),
        }
    }

    /// The end of the next window that has something to say, if there is one now.
    fn next_end(&self) -> Option<Time> {
        let next = match self.fired {
            Time::MIN => self.grid.end_after(*self.live.first_key_value()?.0),
            fired => self.grid.end_after(fired),
        };
        let slice = self.live.range(self.grid.start_of(next)..).next();
        if self.core.answers_empty() {
            // At the end of input only up to the last window with an event.
            return (slice.is_some() || self.core.watermark != Time::MAX).then_some(next);
        }
        Some(next.max(self.grid.end_after(*slice?.0)))
    }

    /// The answers of the window that ends at `end`.
    fn fire(&mut self, end: Time) -> Vec<Draft> {
        let start = self.grid.start_of(end);
        let window = (start, end);
        self.fired = end;
        if self.core.settings.emit.is_some() {
            let mut out = Output::default();
            let again = Again {
                window,
                within: window,
                of: self.groups_in(window),
            };
            self.core.answer_again(NO_GROUP, &[], &[again], true, &mut out);
            let result = |emitted| match emitted {
                Emitted::Result(draft) => Some(draft),
                _ => None,
            };
            return out.emitted.into_iter().filter_map(result).collect();
        }
        let groups = if self.disjoint {
            self.groups_in(window)
        } else {
            self.core.groups.sorted()
        };
        let mut firing = Firing::new(&self.core.plan, self.core.settings.shown((start, end)));
        for index in groups {
            let Some(group) = self.core.groups.get_mut(index) else {
                continue;
            };
            let key = group.key.clone();
            let total = if self.disjoint {
                group.plain_total(group.range(start, end), &self.core.plan.kinds)
            } else {
                group.slide(start, end, &self.core.plan.kinds)
            };
            if let Some(total) = total {
                firing.offer(index, &key, &total);
            }
        }
        if !firing.any && self.core.answers_empty() {
            firing.offer(NO_GROUP, &[], &self.core.empty_total());
        }
        let answers = firing.answers();
        self.core.first_answers(answers, window, window)
    }

    /// The groups that have events in a window, ascending by key.
    fn groups_in(&self, window: (Time, Time)) -> Vec<u32> {
        let slices = self.live.range(window.0..window.1);
        let mut here: Vec<u32> = slices.flat_map(|(_, groups)| groups.iter().copied()).collect();
        self.core.groups.sort(&mut here);
        here.dedup();
        here
    }

    /// An event of group `cause`, admitted last, came into a slice: answers the windows that have fired and still take events
    /// in, and those that are to answer early.
    fn answer_again(&mut self, cause: u32, cell: Cell, event: &Event, out: &mut Output) {
        let settings = self.core.settings;
        let mut windows = Vec::new();
        let mut end = self.grid.end_after(cell.from);
        while end <= cell.last_end && (end <= self.fired || settings.emit.is_some()) {
            let window = (self.grid.start_of(end), end);
            let open = !settings.is_shut(end, self.core.watermark);
            if open && (settings.emit.is_none() || self.core.note(window, cause, event)) {
                let all = self.core.plan.has_limit() && !settings.discards();
                windows.push(Again {
                    window,
                    within: window,
                    of: if all { self.core.groups.sorted() } else { vec![cause] },
                });
            }
            end = self.grid.end_after(end);
        }
        if !windows.is_empty() {
            self.core.answer_again(cause, &[], &windows, false, out);
        }
    }

    /// Notes which windows are complete, or take nothing in any more, at a watermark.
    fn pass(&mut self, watermark: Time) {
        if watermark < Time::MAX && watermark > Time::MIN && !self.anchor {
            let complete = self.grid.end_until(watermark + self.core.settings.tick);
            let next = self.grid.end_after(complete);
            // Lateness may be judged a tick before the end.
            let shut = self.core.settings.is_shut(next, watermark);
            self.passed = if shut { next } else { complete };
        }
    }

    /// Answers what has something new to say.
    fn on_occasion(&mut self, occasion: Occasion, out: &mut Output) {
        let again = self.core.with_news(occasion, |window| window);
        self.core.answer_again(NO_GROUP, &[], &again, false, out);
    }

    /// Takes out slices whose last window is over.
    fn purge(&mut self, out: &mut Output) {
        while let Some(entry) = self.live.first_entry() {
            let over = self
                .grid
                .slice(*entry.key())
                .is_none_or(|cell| self.core.settings.is_over(cell.last_end, self.core.watermark));
            if !over {
                break;
            }
            self.core.pop_all(entry.remove(), out);
        }
        self.core.forget();
    }
}

impl Operator for GridWindows {
    fn on_event(&mut self, _input: usize, event: Event, now: Time, out: &mut Output) {
        if !self.core.admit(&event, now, out) {
            return;
        }
        if std::mem::take(&mut self.anchor) {
            self.origin = Some(event.stamp);
            self.grid = self.grid.anchored(event.stamp);
            self.pass(self.core.watermark);
        }
        if event.stamp < self.cell.from || event.stamp >= self.cell.to {
            match self.grid.slice(event.stamp) {
                Some(cell) => self.cell = cell,
                // Between windows that leave gaps.
                None => return out.dropped(event.id, Dropped::Filtered),
            }
        }
        let cell = self.cell;
        if self
            .core
            .settings
            .is_late(event.stamp, cell.last_end, self.core.watermark)
        {
            return out.late(event, self.core.settings.side);
        }
        let (group, new) = self.core.add(&event, cell.from);
        if new {
            self.live.entry(cell.from).or_default().push(group);
        }
        if self.grid.end_after(cell.from) <= self.passed {
            // The first event of a window that was complete without one: what it says comes late.
            self.fired = self.fired.max(self.passed);
        }
        let settings = self.core.settings;
        if settings.emit.is_some() || cell.from < self.fired && settings.corrects() {
            self.answer_again(group, cell, &event, out);
        }
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        self.core.watermark = watermark;
        self.pass(watermark);
        while let Some(end) = self.next_end() {
            let settings = &self.core.settings;
            let has_events = || self.live.range(self.grid.start_of(end)..end).next().is_some();
            let ripe = settings.is_complete(end, watermark) || settings.is_shut(end, watermark) && has_events();
            if !ripe {
                break;
            }
            let answers = self.fire(end);
            self.sealed.push_back((end, answers));
            self.unseal(out);
        }
        self.unseal(out);
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
        state.put(GRID, &(self.origin, self.fired, self.passed));
        state.put(SEALED, &self.sealed);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.core.restore(state)?;
        let (origin, fired, passed): (Option<Time>, Time, Time) = state.get(GRID)?;
        self.sealed = state.get(SEALED)?;
        let far = |t: Time| t != Time::MIN && is_far(t);
        let fits = !far(fired) && !far(passed) && origin.is_none_or(|origin| self.anchor && !is_far(origin));
        StateError::unless(fits, GRID, "it is not that of such windows")?;
        if let Some(origin) = origin {
            self.anchor = false;
            self.grid = self.grid.anchored(origin);
        }
        (self.origin, self.fired, self.passed) = (origin, fired, passed);
        for (index, group) in self.core.groups.iter() {
            for slice in &group.slices {
                let begins = self.grid.slice(slice.at).is_some_and(|cell| cell.from == slice.at);
                StateError::unless(begins, GRID, "a slice does not begin where one of such windows begins")?;
                self.live.entry(slice.at).or_default().push(index);
            }
        }
        Ok(())
    }

    fn held(&self) -> u64 {
        self.core.held
    }

    fn state_bytes(&self) -> usize {
        self.core.state_bytes()
    }
}

impl GridWindows {
    /// Puts out the answers of windows that are complete by now.
    fn unseal(&mut self, out: &mut Output) {
        while let Some((end, _)) = self.sealed.front() {
            if !self.core.settings.is_complete(*end, self.core.watermark) {
                break;
            }
            for draft in self.sealed.pop_front().map(|(_, drafts)| drafts).unwrap_or_default() {
                out.emit(draft);
            }
        }
    }
}
