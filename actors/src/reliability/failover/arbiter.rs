//! Who of the two may be primary: a lease for one at a time, under tokens that grow.
//!
//! The law of the lease. Clocks run at rates within `drift_ppm` of true time. The holder counts from the moment at which it
//! asked and stops when `lease·(1 − drift)` is over by its clock; the arbiter counts from the moment at which it granted
//! and gives the lease to nobody else before `lease·(1 + drift)` is over by its own. The first is over within `lease` of
//! true time and the second is not, so there are never two holders. The token is written to disk before it is given, and
//! so is the lease, or else an arbiter that comes back grants nothing for as long as a lease can last.
//!
//! An ask that finds the lease taken waits, and is answered in the moment in which the lease is over; it is forgotten when
//! it has not been repeated for two intervals of asking, so that none is granted to who does not want it any more.

use serde::{Deserialize, Serialize};
use wavetank_scenarios::script::{Failover, Memory};
use wavetank_scenarios::{Span, Time};

use super::message::{Ask, Grant, Side};

/// What an arbiter has on its disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Disk {
    /// The last token that was given.
    pub token: u64,
    /// The last lease.
    pub lease: Option<Lease>,
}

/// A lease that was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// To whom.
    by: Side,
    incarnation: u64,
    /// From when on it may be given to another, by the arbiter's clock.
    over: Time,
}

/// What an arbiter answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The lease, for that copy. The disk is to be written before it is sent.
    Grant(Side, Grant),
    /// Another has it, under this token.
    Taken(Side, u64),
}

/// The third actor of a pair.
#[derive(Clone, Debug)]
pub struct Arbiter {
    settings: Failover,
    disk: Disk,
    /// It grants nothing before that.
    quiet: Time,
    waiting: [Option<(Ask, Time)>; 2],
}

impl Arbiter {
    /// An arbiter that enters at `now` and finds this on its disk; nothing, when it enters for the first time.
    pub fn new(settings: &Failover, disk: Option<Disk>, now: Time) -> Self {
        let (mut disk, again) = (disk.unwrap_or_default(), disk.is_some());
        let mut quiet = now;
        if settings.memory == Memory::Wait {
            disk.lease = None;
            quiet = if again { now + settings.keeps() } else { now };
        }
        Self {
            settings: settings.clone(),
            disk,
            quiet,
            waiting: [None; 2],
        }
    }

    /// What it has on its disk from now on.
    pub const fn disk(&self) -> Disk {
        self.disk
    }

    /// A copy asks; the answers.
    pub fn ask(&mut self, by: Side, ask: Ask, now: Time) -> Vec<Verdict> {
        self.waiting[by.index()] = Some((ask, now));
        let mut answers = self.due(now);
        if self.waiting[by.index()].is_some() && self.disk.lease.is_some_and(|lease| lease.by != by && now < lease.over)
        {
            answers.push(Verdict::Taken(by, self.disk.token));
        }
        answers
    }

    /// What can be granted by now.
    pub fn due(&mut self, now: Time) -> Vec<Verdict> {
        let forget = self.settings.renew + self.settings.renew;
        for waiting in &mut self.waiting {
            *waiting = waiting.filter(|(_, came)| now.since(*came) <= forget);
        }
        if now < self.quiet {
            return vec![];
        }
        // Who comes back after a crash cannot go on with what its earlier incarnation had; it asks like everyone else, and
        // who has waited longer comes first.
        let back =
            |lease: &Lease| self.waiting[lease.by.index()].is_some_and(|(ask, _)| ask.incarnation != lease.incarnation);
        let held = self.disk.lease.filter(|lease| now < lease.over && !back(lease));
        let by = match held {
            Some(lease) => lease.by,
            // The one that has waited longest.
            None => {
                let wants = [Side::A, Side::B]
                    .into_iter()
                    .filter(|side| self.waits(*side).is_some());
                let Some(first) = wants.min_by_key(|side| self.waits(*side)) else {
                    return vec![];
                };
                first
            }
        };
        let Some((ask, came)) = self.waiting[by.index()].take() else {
            return vec![];
        };
        // The holder goes on under its token; everyone else gets a new one.
        if held.is_none() {
            self.disk.token += 1;
        }
        self.disk.lease = Some(Lease {
            by,
            incarnation: ask.incarnation,
            over: now + self.settings.keeps(),
        });
        let (token, waited) = (self.disk.token, now.since(came));
        vec![Verdict::Grant(by, Grant { ask, token, waited })]
    }

    fn waits(&self, side: Side) -> Option<Time> {
        self.waiting[side.index()].map(|(_, came)| came)
    }

    /// How long from now until there is something to do, when nobody asks before that.
    pub fn wakes(&self, now: Time) -> Option<Span> {
        self.waiting.iter().any(Option::is_some).then(|| {
            let free = self.disk.lease.map_or(self.quiet, |lease| lease.over.max(self.quiet));
            free.since(now).max(Span::UNIT)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Time {
        Time::from_micros(ms * 1_000)
    }
    fn settings(memory: Memory) -> Failover {
        Failover {
            lease: Span::from_secs(5),
            renew: Span::from_secs(1),
            drift_ppm: 1_000,
            memory,
            ..Failover::default()
        }
    }
    fn ask(incarnation: u64, sent: i64) -> Ask {
        Ask {
            incarnation,
            sent: at(sent),
        }
    }
    fn tokens(answers: &[Verdict]) -> Vec<(Side, Option<u64>)> {
        let token = |answer: &Verdict| match answer {
            Verdict::Grant(side, grant) => (*side, Some(grant.token)),
            Verdict::Taken(side, _) => (*side, None),
        };
        answers.iter().map(token).collect()
    }
    /// When a lease that was granted at zero is over: 5 s, the drift and the microsecond that a clock is rounded by.
    fn over() -> Time {
        Time::from_micros(5_005_001)
    }

    #[test]
    fn the_first_who_asks_gets_it_and_renews_it_under_the_same_token() {
        let mut arbiter = Arbiter::new(&settings(Memory::Lease), None, at(0));
        assert_eq!(tokens(&arbiter.ask(Side::A, ask(0, 0), at(0))), [(Side::A, Some(1))]);
        assert_eq!(tokens(&arbiter.ask(Side::B, ask(0, 0), at(1))), [(Side::B, None)]);
        assert_eq!(
            tokens(&arbiter.ask(Side::A, ask(0, 1_000), at(1_000))),
            [(Side::A, Some(1))]
        );
    }

    #[test]
    fn who_waits_gets_it_in_the_moment_in_which_lease_and_drift_are_over() {
        let mut arbiter = Arbiter::new(&settings(Memory::Lease), None, at(0));
        arbiter.ask(Side::A, ask(0, 0), at(0));
        arbiter.ask(Side::B, ask(0, 4_000), at(4_500));
        assert_eq!(arbiter.wakes(at(4_500)), Some(over().since(at(4_500))));
        assert_eq!(arbiter.due(over() - Span::UNIT), []);
        let [Verdict::Grant(Side::B, grant)] = arbiter.due(over())[..] else {
            panic!("granted to B")
        };
        assert_eq!(
            (grant.token, grant.ask.sent, grant.waited),
            (2, at(4_000), over().since(at(4_500)))
        );
        assert_eq!(
            tokens(&arbiter.ask(Side::A, ask(0, 5_100), at(5_100))),
            [(Side::A, None)]
        );
    }

    #[test]
    fn an_ask_that_is_not_repeated_is_forgotten() {
        let mut arbiter = Arbiter::new(&settings(Memory::Lease), None, at(0));
        arbiter.ask(Side::A, ask(0, 0), at(0));
        arbiter.ask(Side::B, ask(0, 1_000), at(1_000));
        assert_eq!(arbiter.due(over()), []);
        assert_eq!(arbiter.wakes(over()), None);
    }

    #[test]
    fn a_new_incarnation_of_the_holder_gets_a_new_token_at_once() {
        let mut arbiter = Arbiter::new(&settings(Memory::Lease), None, at(0));
        arbiter.ask(Side::A, ask(0, 0), at(0));
        assert_eq!(
            tokens(&arbiter.ask(Side::A, ask(1, 100), at(100))),
            [(Side::A, Some(2))]
        );
    }

    #[test]
    fn an_arbiter_that_crashed_goes_on_with_the_lease_from_its_disk_or_waits_for_a_whole_one() {
        for (memory, free) in [(Memory::Lease, over()), (Memory::Wait, over() + Span::from_secs(2))] {
            let mut before = Arbiter::new(&settings(memory), None, at(0));
            before.ask(Side::A, ask(0, 0), at(0));
            let mut after = Arbiter::new(&settings(memory), Some(before.disk()), at(2_000));
            after.ask(Side::B, ask(0, 4_999), at(4_999));
            assert_eq!(after.wakes(at(4_999)), Some(free.since(at(4_999))));
            after.ask(Side::B, ask(0, 5_004), at(5_004));
            assert_eq!(after.due(free - Span::UNIT), []);
            after.ask(Side::B, ask(0, 6_500), free - Span::UNIT);
            assert_eq!(tokens(&after.due(free)), [(Side::B, Some(2))]);
        }
    }
}
