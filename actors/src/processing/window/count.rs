//! Windows by number: the last n events, every n events, everything. In order of arrival; watermarks play no part, but
//! that everything so far answers at the end of input.
//!
//! The last n events answer at each event, for the group of that event. Batches and everything answer for all groups.
//! Their windows have no bounds in time: `Last` and `End` as stamps of results mean the largest stamp.

use std::collections::VecDeque;

use wavetank_scenarios::{Event, Time};

use super::core::{ALWAYS, Core};
use super::plan::Firing;
use crate::operator::{Operator, Output};

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
    /// The groups of the events that are held, in order of arrival, for the last n.
    ring: VecDeque<u32>,
    /// How many events came.
    seen: i64,
}

impl CountWindows {
    /// Windows of `core`'s query.
    pub const fn new(core: Core, count: Count) -> Self {
        Self {
            core,
            count,
            ring: VecDeque::new(),
            seen: 0,
        }
    }

    fn fire(&mut self, groups: &[u32], out: &mut Output) {
        let mut firing = Firing::new(&self.core.plan, ALWAYS.0, ALWAYS.1);
        for index in groups {
            if let Some(group) = self.core.groups.get_mut(*index) {
                let key = group.key.clone();
                if let Some(total) = group.slide(ALWAYS.0, ALWAYS.1, &self.core.plan.kinds) {
                    firing.offer(*index, &key, &total);
                }
            }
        }
        let rows = firing.rows();
        for draft in self.core.first_answers(rows, ALWAYS, ALWAYS) {
            out.emit(draft);
        }
    }

    /// All groups answer and are forgotten.
    fn fire_all(&mut self, out: &mut Output) {
        let groups = self.core.groups.sorted();
        self.fire(&groups, out);
        for group in groups {
            self.core.pop(group, out);
        }
    }
}

impl Operator for CountWindows {
    fn on_event(&mut self, _input: usize, event: Event, now: Time, out: &mut Output) {
        let Some(event) = self.core.admit(event, now, out) else {
            return;
        };
        self.seen += 1;
        match self.count {
            Count::Last(n) => {
                if self.ring.len() as u64 >= n
                    && let Some(oldest) = self.ring.pop_front()
                {
                    self.core.pop(oldest, out);
                }
                let (group, _) = self.core.add(&event, Time::from_micros(self.seen));
                self.ring.push_back(group);
                self.fire(&[group], out);
            }
            Count::Every(n) => {
                self.core.add(&event, Time::ZERO);
                if self.seen.unsigned_abs() >= n {
                    self.fire_all(out);
                    self.seen = 0;
                }
            }
            Count::All => {
                self.core.add(&event, Time::ZERO);
            }
        }
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        if self.count == Count::All && watermark == Time::MAX {
            self.fire_all(out);
        }
    }

    fn held(&self) -> u64 {
        self.core.held
    }

    fn state_bytes(&self) -> usize {
        self.core.state_bytes()
    }
}
