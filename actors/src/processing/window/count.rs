//! Windows by number: the last n events, every n events, everything. In order of arrival; no event is late, and watermarks
//! play no part but that everything so far answers at the end of input (and as its triggers say), and that what is left
//! then goes.
//!
//! A firing is of every group that has events in the window. The results of the first two kinds have no pane; their
//! window's bounds are the smallest stamp inside and a tick after the largest. Everything has no bounds at all.

use std::collections::{BTreeMap, VecDeque};

use wavetank_scenarios::{Event, Time};

use super::answers::{Again, Occasion, set_timers};
use super::core::{ALWAYS, Core, NO_GROUP};
use super::plan::Firing;
use crate::operator::{Operator, Output};
use crate::reliability::{State, StateError, counted};

/// How many events came, since the last batch where there are batches.
const SEEN: &str = "seen";

/// Which events answer together, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    /// The last so many, at each event.
    Last(u64),
    /// So many, when they are there.
    Every(u64),
    /// All, at the end of input.
    All,
}

/// The operator.
#[derive(Debug)]
pub struct CountWindows {
    core: Core,
    count: Count,
    /// Group and stamp of the events inside, in order of arrival, for the last n.
    ring: VecDeque<(u32, Time)>,
    /// How many events inside have each stamp.
    stamps: BTreeMap<Time, u64>,
    /// How many events came, since the last batch where there are batches.
    seen: i64,
}

impl CountWindows {
    /// Windows of `core`'s query.
    pub const fn new(mut core: Core, count: Count) -> Self {
        if matches!(count, Count::Every(_)) {
            // What is left at the end has caused nothing.
            core.plan.track();
        }
        Self {
            core,
            count,
            ring: VecDeque::new(),
            stamps: BTreeMap::new(),
            seen: 0,
        }
    }

    fn fire(&mut self, out: &mut Output) {
        let bounds = match (self.count, self.stamps.first_key_value(), self.stamps.last_key_value()) {
            (Count::Last(_) | Count::Every(_), Some((first, _)), Some((last, _))) => {
                (*first, *last + self.core.settings.tick)
            }
            _ => ALWAYS,
        };
        let mut firing = Firing::new(&self.core.plan, self.core.settings.shown(bounds));
        for index in self.core.groups.sorted() {
            if let Some(group) = self.core.groups.get_mut(index) {
                let key = group.key.clone();
                if let Some(total) = group.slide(ALWAYS.0, ALWAYS.1, &self.core.plan.kinds) {
                    firing.offer(index, &key, &total);
                }
            }
        }
        let answers = firing.answers();
        for mut draft in self.core.first_answers(answers, bounds, ALWAYS) {
            if self.count != Count::All {
                draft.pane = None;
            }
            out.emit(draft);
        }
    }

    /// Answers these groups of everything so far.
    fn answer_again(&mut self, of: Vec<u32>, on_time: bool, out: &mut Output) {
        let again = Again {
            window: ALWAYS,
            within: ALWAYS,
            of,
        };
        self.core.answer_again(NO_GROUP, &[], &[again], on_time, out);
    }

    /// Answers what has something new to say.
    fn on_occasion(&mut self, occasion: Occasion, out: &mut Output) {
        let again = self.core.with_news(occasion, |window| window);
        self.core.answer_again(NO_GROUP, &[], &again, false, out);
    }

    /// Everything leaves.
    fn clear(&mut self, out: &mut Output) {
        for group in self.core.groups.sorted() {
            while self.core.groups.get(group).is_some() {
                self.core.pop(group, out);
            }
        }
        self.ring.clear();
        self.stamps.clear();
        self.seen = 0;
    }
}

impl Operator for CountWindows {
    fn on_event(&mut self, _input: usize, event: Event, now: Time, out: &mut Output) {
        if !self.core.admit(&event, now, out) {
            return;
        }
        self.seen += 1;
        match self.count {
            Count::Last(n) => {
                if self.ring.len() as u64 >= n
                    && let Some((group, stamp)) = self.ring.pop_front()
                {
                    self.core.pop(group, out);
                    if let Some(count) = self.stamps.get_mut(&stamp) {
                        *count -= 1;
                        if *count == 0 {
                            self.stamps.remove(&stamp);
                        }
                    }
                }
                let (group, _) = self.core.add(&event, Time::from_micros(self.seen));
                self.ring.push_back((group, event.stamp));
                *self.stamps.entry(event.stamp).or_default() += 1;
                self.fire(out);
            }
            Count::Every(n) => {
                self.core.add(&event, Time::ZERO);
                *self.stamps.entry(event.stamp).or_default() += 1;
                if self.seen.unsigned_abs() >= n {
                    self.fire(out);
                    self.clear(out);
                }
            }
            Count::All => {
                let (group, _) = self.core.add(&event, Time::ZERO);
                if self.core.note(ALWAYS, group, &event) {
                    let all = self.core.plan.has_limit() && !self.core.settings.discards();
                    let of = if all { self.core.groups.sorted() } else { vec![group] };
                    self.answer_again(of, false, out);
                }
            }
        }
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        self.core.watermark = watermark;
        if watermark == Time::MAX {
            match self.count {
                Count::All => {
                    if self.core.settings.emit.is_some() {
                        let of = self.core.groups.sorted();
                        self.answer_again(of, true, out);
                    } else {
                        self.fire(out);
                    }
                    self.clear(out);
                    self.core.forget();
                }
                Count::Every(_) | Count::Last(_) => self.clear(out),
            }
        } else {
            self.on_occasion(Occasion::Watermark, out);
        }
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
        state.put(SEEN, &self.seen);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.core.restore(state)?;
        self.seen = state.get(SEEN)?;
        let Core { held, slices, .. } = self.core;
        let seen = counted(SEEN, u64::try_from(self.seen).unwrap_or(u64::MAX))?;
        let fits = match self.count {
            Count::Last(n) => held == slices && held <= n.min(seen),
            Count::Every(n) => held == seen && held < n,
            Count::All => true,
        };
        StateError::unless(fits, SEEN, "it is not that of such windows")?;
        if self.count == Count::All {
            return Ok(());
        }
        let mut arrivals = Vec::new();
        for (index, group) in self.core.groups.iter() {
            for slice in &group.slices {
                let brief = &slice.total.brief;
                arrivals.push((slice.at, index, brief.latest.0));
                // Of a batch the first and the last instant count, of the last so many events each has its own slice.
                *self.stamps.entry(brief.latest.0).or_default() += 1;
                if matches!(self.count, Count::Every(_)) {
                    *self.stamps.entry(brief.earliest).or_default() += 1;
                }
            }
        }
        if matches!(self.count, Count::Last(_)) {
            arrivals.sort_unstable();
            let latest = arrivals.last().map_or(0, |(at, ..)| at.micros());
            StateError::unless(latest <= self.seen, SEEN, "it is not that of such windows")?;
            self.ring = arrivals.into_iter().map(|(_, index, stamp)| (index, stamp)).collect();
        }
        Ok(())
    }

    fn held(&self) -> u64 {
        self.core.held
    }

    fn state_bytes(&self) -> usize {
        self.core.state_bytes() + self.ring.len() * size_of::<(u32, Time)>()
    }
}
