//! The clocks of a node. Each is a piecewise linear function of true (virtual) time, known before the run begins: its
//! faults are declared, so a stamp is a pure function of the instant at which it is taken.

use wavetank_scenarios::{Span, Time};

/// From `from` on, the clock shows `shows` and runs `ppb` parts per billion too fast.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// In true time.
    pub from: Time,
    /// What the clock shows then.
    pub shows: Time,
    /// How much faster than true time it runs, in parts per billion.
    pub ppb: i64,
}

impl Segment {
    /// What the clock shows at a true time, as far as this segment goes.
    pub fn read(&self, at: Time) -> Time {
        if self.ppb == 0 {
            return self.shows + at.since(self.from);
        }
        let passed = i128::from(at.since(self.from).micros());
        let shown =
            i128::from(self.shows.micros()) + passed + (passed * i128::from(self.ppb)).div_euclid(1_000_000_000);
        Time::from_micros(shown.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

/// A node's wall clock (offset, drift, jumps: it gives stamps) and its monotonic clock (drift only: it gives timers).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeClock {
    wall: Vec<Segment>,
    monotonic: Vec<Segment>,
}

impl NodeClock {
    /// Clocks that show true time.
    pub fn right() -> Self {
        let right = vec![Segment {
            from: Time::ZERO,
            shows: Time::ZERO,
            ppb: 0,
        }];
        Self {
            wall: right.clone(),
            monotonic: right,
        }
    }
    /// Clocks from their segments, each ascending in `from` and not empty; the first counts before its `from` too.
    ///
    /// # Errors
    /// When a list is empty or not ascending, or a clock would stand still or run backwards.
    pub fn new(wall: Vec<Segment>, monotonic: Vec<Segment>) -> Result<Self, String> {
        for (name, segments) in [("wall", &wall), ("monotonic", &monotonic)] {
            if segments.is_empty() || !segments.is_sorted_by_key(|s| s.from) {
                return Err(format!(
                    "the segments of a {name} clock must be there and ascend in time"
                ));
            }
            if segments.iter().any(|s| s.ppb <= -1_000_000_000) {
                return Err(format!(
                    "a {name} clock cannot drift by a million parts per million or more"
                ));
            }
        }
        Ok(Self { wall, monotonic })
    }
    /// What the wall clock shows at a true time.
    pub fn wall(&self, at: Time) -> Time {
        segment(&self.wall, at).read(at)
    }
    /// What the monotonic clock shows at a true time.
    pub fn monotonic(&self, at: Time) -> Time {
        segment(&self.monotonic, at).read(at)
    }
    /// The first true time at which the monotonic clock has advanced by `after` since `now`.
    pub fn due(&self, now: Time, after: Span) -> Time {
        if let [Segment { ppb: 0, .. }] = self.monotonic.as_slice() {
            return now + after;
        }
        first(&self.monotonic, now, self.monotonic(now) + after)
    }
    /// The first true time from `now` on at which the wall clock shows `stamp` or more.
    pub fn shows(&self, now: Time, stamp: Time) -> Time {
        first(&self.wall, now, stamp)
    }
}

/// The first true time from `now` on at which a clock shows `target` or more.
fn first(segments: &[Segment], now: Time, target: Time) -> Time {
    let mut at = now;
    loop {
        let here = segment(segments, at);
        let next = segments.iter().map(|s| s.from).find(|from| *from > at);
        let missing = i128::from(target.since(here.read(at)).micros()).max(0);
        let rate = 1_000_000_000 + i128::from(here.ppb);
        let guess = at + Span::from_micros((missing * 1_000_000_000 / rate).min(i128::from(i64::MAX)) as i64);
        if guess == Time::MAX {
            match next {
                Some(next) => at = next,
                None => return guess,
            }
            continue;
        }
        // What a clock shows is rounded down, so the guess may be a few microseconds off either way.
        let mut due = guess;
        while due > at && here.read(due - Span::UNIT) >= target {
            due = due - Span::UNIT;
        }
        while here.read(due) < target {
            due += Span::UNIT;
        }
        match next {
            Some(next) if next <= due => at = next,
            _ => return due,
        }
    }
}

fn segment(segments: &[Segment], at: Time) -> &Segment {
    let index = segments.partition_point(|s| s.from <= at).max(1) - 1;
    &segments[index]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(micros: i64) -> Time {
        Time::from_micros(micros)
    }

    #[test]
    fn a_drifting_clock_gains_in_proportion_and_a_jump_moves_it_at_once() {
        let wall = vec![
            Segment {
                from: at(0),
                shows: at(500),
                ppb: 1_000_000,
            },
            Segment {
                from: at(10_000_000),
                shows: at(3_000),
                ppb: 0,
            },
        ];
        let clock = NodeClock::new(wall, NodeClock::right().monotonic).unwrap();
        assert_eq!(clock.wall(at(2_000_000)), at(2_000_000 + 500 + 2_000));
        assert_eq!(clock.wall(at(10_000_001)), at(3_001));
        assert_eq!(clock.monotonic(at(10_000_001)), at(10_000_001));
    }

    #[test]
    fn a_clock_that_would_stand_still_is_refused() {
        let still = vec![Segment {
            from: at(0),
            shows: at(0),
            ppb: -1_000_000_000,
        }];
        assert!(NodeClock::new(NodeClock::right().wall, still).is_err());
    }

    proptest! {
        #[test]
        fn a_timer_is_due_at_the_first_instant_at_which_its_time_has_passed(
            ppb in -400_000_000i64..400_000_000, later in -400_000_000i64..400_000_000,
            bend in 0i64..5_000, now in 0i64..5_000, after in 0i64..5_000
        ) {
            let first = Segment { from: at(0), shows: at(0), ppb };
            let second = Segment { from: at(bend), shows: first.read(at(bend)), ppb: later };
            let clock = NodeClock::new(NodeClock::right().wall, vec![first, second]).unwrap();
            let due = clock.due(at(now), Span::from_micros(after));
            let target = clock.monotonic(at(now)) + Span::from_micros(after);
            prop_assert!(clock.monotonic(due) >= target);
            prop_assert!(due == at(now) || clock.monotonic(due - Span::UNIT) < target);
        }

        #[test]
        fn a_wall_clock_shows_a_stamp_at_the_first_instant_that_trying_all_finds(
            ppb in -400_000_000i64..400_000_000, later in -400_000_000i64..400_000_000,
            bend in 0i64..300, jump in -200i64..200, now in 0i64..400, stamp in -100i64..500
        ) {
            let first = Segment { from: at(0), shows: at(0), ppb };
            let shows = first.read(at(bend)) + Span::from_micros(jump);
            let second = Segment { from: at(bend), shows, ppb: later };
            let clock = NodeClock::new(vec![first, second], NodeClock::right().monotonic).unwrap();
            let found = (now..5_000).map(at).find(|instant| clock.wall(*instant) >= at(stamp));
            prop_assert_eq!(Some(clock.shows(at(now), at(stamp))), found);
        }
    }
}
