//! What stands in front of a receiver: two links from the two copies, one input.
//!
//! The primary puts a [`Head`] on its link before it publishes and again and again while it does; links keep their order, so
//! the gate knows under which token everything came, and counts the places itself. What comes under an older token than
//! the largest that it has seen is refused; what is at a place that it has had is a repetition.

use serde::{Deserialize, Serialize};
use wavetank_scenarios::script::{Discard, Failover, Repeats};

use super::message::{Head, Side};

/// What becomes of an element that comes to a gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passed {
    /// It is new, and passes.
    New,
    /// The receiver has had it; it passes all the same, because the settings say so.
    Again,
    /// The receiver has had it.
    Repeated,
    /// It came under an old token.
    Refused,
}

/// What a gate makes of a head.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Headed {
    /// Both copies are to be told that everything up to this place is there.
    pub confirm: Option<u64>,
    /// Who sent it is to be told that this token has been seen.
    pub refuse: Option<u64>,
    /// So many places that will not come any more have never come.
    pub missing: u64,
}

/// The gate of one receiver, for one output of a pair.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Gate {
    fencing: bool,
    pass_repeats: bool,
    confirms: bool,
    /// The largest token seen.
    token: u64,
    /// The place up to which everything has come; `None` before the first head.
    have: Option<u64>,
    /// By side: the token under which it publishes, and the place of what came last from it.
    links: [Option<Head>; 2],
}

impl Gate {
    /// A gate that has seen nothing.
    pub fn new(settings: &Failover) -> Self {
        Self {
            fencing: settings.fencing,
            pass_repeats: settings.repeats == Repeats::Pass,
            confirms: settings.discard == Discard::Confirmed,
            token: 0,
            have: None,
            links: [None; 2],
        }
    }

    /// A head came.
    pub fn head(&mut self, from: Side, head: Head) -> Headed {
        self.links[from.index()] = Some(head);
        if self.fencing && head.token < self.token {
            return Headed {
                refuse: Some(self.token),
                ..Headed::default()
            };
        }
        self.token = self.token.max(head.token);
        // One that has just entered, after a crash, cannot know what it had before.
        let had = self.have.unwrap_or(head.place);
        let have = had.max(head.place);
        self.have = Some(have);
        Headed {
            confirm: self.confirms.then_some(have),
            refuse: None,
            missing: have - had,
        }
    }

    /// Anything else came.
    pub fn element(&mut self, from: Side) -> Passed {
        let Some(link) = &mut self.links[from.index()] else {
            // Behind a crash of the receiver, before the next head.
            let known = self.fencing && self.token > 0;
            return if known { Passed::Refused } else { Passed::New };
        };
        link.place += 1;
        let (place, have) = (link.place, self.have.unwrap_or(0));
        if self.fencing && link.token < self.token {
            return Passed::Refused;
        }
        if place <= have {
            return if self.pass_repeats {
                Passed::Again
            } else {
                Passed::Repeated
            };
        }
        self.have = Some(place);
        Passed::New
    }

    /// Forgets what came on the links, which carry something else from now on: what was had stays known.
    pub fn relinked(&mut self) {
        self.links = [None; 2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(token: u64, place: u64) -> Head {
        Head { token, place }
    }

    #[test]
    fn what_comes_under_an_older_token_is_refused_and_its_sender_told() {
        let mut gate = Gate::new(&Failover::default());
        gate.head(Side::A, head(1, 0));
        assert_eq!([gate.element(Side::A), gate.element(Side::A)], [Passed::New; 2]);
        assert_eq!(gate.head(Side::B, head(2, 1)).confirm, Some(2));
        assert_eq!(gate.element(Side::A), Passed::Refused);
        assert_eq!(gate.head(Side::A, head(1, 3)).refuse, Some(2));
        assert_eq!(
            [gate.element(Side::B), gate.element(Side::B)],
            [Passed::Repeated, Passed::New]
        );
    }

    #[test]
    fn without_fencing_and_places_everything_passes() {
        let settings = Failover {
            fencing: false,
            repeats: Repeats::Pass,
            ..Failover::default()
        };
        let mut gate = Gate::new(&settings);
        gate.head(Side::A, head(1, 0));
        gate.element(Side::A);
        gate.head(Side::B, head(2, 0));
        assert_eq!(gate.element(Side::B), Passed::Again);
        assert_eq!(gate.element(Side::A), Passed::New);
    }

    #[test]
    fn what_never_came_and_will_not_come_is_counted() {
        let mut gate = Gate::new(&Failover::default());
        gate.head(Side::A, head(1, 0));
        gate.element(Side::A);
        assert_eq!(gate.head(Side::B, head(2, 4)).missing, 3);
    }

    #[test]
    fn a_gate_that_has_just_entered_knows_what_it_has_from_the_next_head_on() {
        let mut gate = Gate::new(&Failover::default());
        assert_eq!(gate.element(Side::A), Passed::New);
        assert_eq!(
            gate.head(Side::A, head(3, 7)),
            Headed {
                confirm: Some(7),
                refuse: None,
                missing: 0
            }
        );
        assert_eq!(gate.element(Side::A), Passed::New);
    }
}
