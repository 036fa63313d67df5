//! Conservation: every event that reached an operator is accounted for, at every instant.
//!
//! The model in words: each time an event arrives it must, from then on and at every instant, be in exactly one class:
//! it has caused a result, it was dropped for a stated reason (filtered, late, failed), it was shed before the operator
//! saw it, it is held, or a crash took it. Ids say which events were dropped and which a result goes back to; of those
//! held and those done with a result the operator reports the numbers. So: what was dropped had arrived and was not
//! dropped before; a result goes back to nothing that has not arrived or has only been dropped; what nobody has said
//! anything about must be held; and the numbers add up.

use std::collections::BTreeMap;

use wavetank_scenarios::{EventId, Time};

use crate::Why;

/// What one step of an operator did.
#[derive(Clone, Debug, Default)]
pub struct Step<'a> {
    /// When, in virtual time.
    pub at: Time,
    /// The event that arrived, if one did, and the source events behind it.
    pub arrived: Option<(EventId, &'a [EventId])>,
    /// Events that were shed before the operator saw them: they had not arrived.
    pub shed: &'a [EventId],
    /// For each result the source events behind it. (Of an answer that is taken back none: it goes back to nothing new.)
    pub results: &'a [&'a [EventId]],
    /// Events that ended without a result.
    pub dropped: &'a [(EventId, Why)],
    /// How many input events ended with one, by the operator's count.
    pub caused: u64,
    /// How many it holds afterwards, by its own count.
    pub held: u64,
}

/// The first moment at which an operator's account was wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// When, in virtual time.
    pub at: Time,
    /// Which step of the operator, from 0.
    pub step: u64,
    /// What is wrong.
    pub what: Imbalance,
}

/// What can be wrong with an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Imbalance {
    /// An event was dropped that had not arrived, or more often than it had.
    DroppedTooOften(EventId),
    /// An event was dropped though a result goes back to it.
    DroppedAndCaused(EventId),
    /// A result goes back to a source event that is behind nothing that arrived and was kept.
    Invented(EventId),
    /// More events are neither dropped nor behind a result than are held: so many have disappeared, this one first.
    Disappeared {
        /// The first of them.
        first: EventId,
        /// How many.
        events: u64,
    },
    /// in ≠ caused + dropped + held.
    Sum {
        /// How many came in.
        arrived: u64,
        /// How many ended with a result.
        caused: u64,
        /// How many ended without.
        dropped: u64,
        /// How many are held.
        held: u64,
    },
}

/// The account of one operator.
#[derive(Clone, Debug, Default)]
pub struct Account {
    events: BTreeMap<EventId, Fate>,
    /// Which input events a source event is behind.
    behind: BTreeMap<EventId, Vec<EventId>>,
    steps: u64,
    arrived: u64,
    caused: u64,
    dropped: u64,
    lost: u64,
    shed: u64,
    /// How often an event arrived without having been dropped or having a result.
    open: u64,
    broken: Option<Broken>,
}

/// What is known of one id.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    arrived: u32,
    dropped: u32,
    answered: bool,
}

impl Fate {
    const fn open(self) -> bool {
        !self.answered && self.dropped < self.arrived
    }
}

impl Account {
    /// The next step. Returns what is wrong, the first time that something is.
    pub fn step(&mut self, step: &Step<'_>) -> Option<&Broken> {
        let wrong = self.enter(step);
        self.steps += 1;
        match (wrong, &self.broken) {
            (Some(what), None) => {
                self.broken = Some(Broken {
                    at: step.at,
                    step: self.steps - 1,
                    what,
                });
                self.broken.as_ref()
            }
            _ => None,
        }
    }

    /// The node crashed: what was held is lost, so many events.
    pub fn crash(&mut self) -> u64 {
        let lost = self.arrived - self.caused - self.dropped - self.lost;
        self.lost += lost;
        self.open = 0;
        self.events.clear();
        self.behind.clear();
        lost
    }

    /// The first moment at which something was wrong.
    pub const fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// How many events were lost in crashes and how many were shed.
    pub const fn lost_and_shed(&self) -> (u64, u64) {
        (self.lost, self.shed)
    }

    /// What nobody has said anything about, ascending: at the end these are the events that are still held.
    pub fn open(&self) -> Vec<EventId> {
        let open = self.events.iter().filter(|(_, fate)| fate.open());
        open.map(|(id, _)| *id).collect()
    }

    fn enter(&mut self, step: &Step<'_>) -> Option<Imbalance> {
        let mut wrong = None;
        self.shed += step.shed.len() as u64;
        if let Some((id, origins)) = step.arrived {
            self.arrived += 1;
            self.change(id, |fate| fate.arrived += 1);
            for origin in origins {
                let behind = self.behind.entry(*origin).or_default();
                if !behind.contains(&id) {
                    behind.push(id);
                }
            }
        }
        for origin in step.results.iter().flat_map(|r| r.iter()) {
            let ids = self.behind.get(origin).cloned().unwrap_or_default();
            let kept: Vec<EventId> = ids
                .into_iter()
                .filter(|id| self.events.get(id).is_some_and(|f| f.answered || f.dropped < f.arrived))
                .collect();
            if kept.is_empty() {
                wrong = wrong.or(Some(Imbalance::Invented(*origin)));
            }
            for id in kept {
                self.change(id, |fate| fate.answered = true);
            }
        }
        for (id, _) in step.dropped {
            self.dropped += 1;
            self.change(*id, |fate| fate.dropped += 1);
            let fate = self.events.get(id).copied().unwrap_or_default();
            if fate.dropped > fate.arrived {
                wrong = wrong.or(Some(Imbalance::DroppedTooOften(*id)));
            } else if fate.answered && fate.dropped == fate.arrived {
                wrong = wrong.or(Some(Imbalance::DroppedAndCaused(*id)));
            }
        }
        self.caused += step.caused;
        if self.arrived != self.caused + self.dropped + self.lost + step.held {
            wrong = wrong.or(Some(Imbalance::Sum {
                arrived: self.arrived - self.lost,
                caused: self.caused,
                dropped: self.dropped,
                held: step.held,
            }));
        }
        if self.open > step.held {
            let first = self.open().first().copied().unwrap_or_default();
            wrong = wrong.or(Some(Imbalance::Disappeared {
                first,
                events: self.open - step.held,
            }));
        }
        wrong
    }

    /// Changes what is known of an id, and counts whether it is open.
    fn change(&mut self, id: EventId, change: impl FnOnce(&mut Fate)) {
        let fate = self.events.entry(id).or_default();
        let before = fate.open();
        change(fate);
        match (before, fate.open()) {
            (false, true) => self.open += 1,
            (true, false) => self.open -= 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_scenarios::Producer;

    fn id(number: u64) -> EventId {
        EventId {
            producer: Producer(0),
            number,
        }
    }
    fn account(steps: &[Step<'_>]) -> Option<(u64, Imbalance)> {
        let mut account = Account::default();
        steps.iter().for_each(|s| {
            account.step(s);
        });
        account.broken().map(|b| (b.step, b.what.clone()))
    }
    fn came<'a>(number: &'a [EventId; 1], held: u64) -> Step<'a> {
        Step {
            arrived: Some((number[0], number)),
            held,
            ..Step::default()
        }
    }

    #[test]
    fn held_dropped_and_caused_events_add_up() {
        let (a, b) = ([id(0)], [id(1)]);
        let done = Step {
            results: &[&a],
            dropped: &[(b[0], Why::Filtered)],
            caused: 1,
            ..Step::default()
        };
        assert_eq!(account(&[came(&a, 1), came(&b, 2), done]), None);
    }

    #[test]
    fn an_event_that_disappears_is_named_at_its_moment() {
        let (a, b) = ([id(0)], [id(1)]);
        let lie = Step {
            caused: 1,
            ..came(&b, 1)
        };
        assert_eq!(
            account(&[came(&a, 1), lie]),
            Some((
                1,
                Imbalance::Disappeared {
                    first: id(0),
                    events: 1
                }
            ))
        );
    }

    #[test]
    fn a_wrong_sum_is_seen_at_its_step() {
        let a = [id(0)];
        let sum = Imbalance::Sum {
            arrived: 1,
            caused: 0,
            dropped: 0,
            held: 0,
        };
        assert_eq!(account(&[came(&a, 0)]), Some((0, sum)));
    }

    #[test]
    fn results_from_nowhere_and_from_dropped_events_are_invented() {
        let a = [id(0)];
        let from_nowhere = Step {
            results: &[&[EventId {
                producer: Producer(7),
                number: 1,
            }]],
            caused: 1,
            ..came(&a, 0)
        };
        let named = EventId {
            producer: Producer(7),
            number: 1,
        };
        assert_eq!(account(&[from_nowhere]), Some((0, Imbalance::Invented(named))));
        let late = Step {
            dropped: &[(id(0), Why::Late)],
            ..came(&a, 0)
        };
        let again = Step {
            results: &[&a],
            ..Step::default()
        };
        assert_eq!(account(&[late, again]), Some((1, Imbalance::Invented(id(0)))));
    }

    #[test]
    fn an_event_is_not_dropped_twice_nor_dropped_after_a_result() {
        let a = [id(0)];
        let drop = || Step {
            dropped: &[(
                EventId {
                    producer: Producer(0),
                    number: 0,
                },
                Why::Late,
            )],
            ..Step::default()
        };
        let twice = [
            Step {
                dropped: drop().dropped,
                ..came(&a, 0)
            },
            drop(),
        ];
        assert_eq!(account(&twice), Some((1, Imbalance::DroppedTooOften(id(0)))));
        let answered = Step {
            results: &[&a],
            ..came(&a, 1)
        };
        assert_eq!(
            account(&[answered, drop()]),
            Some((1, Imbalance::DroppedAndCaused(id(0))))
        );
    }

    #[test]
    fn a_copy_of_an_event_may_have_another_fate_than_the_first() {
        let a = [id(0)];
        let late = Step {
            dropped: &[(id(0), Why::Late)],
            ..came(&a, 1)
        };
        let done = Step {
            results: &[&a],
            caused: 1,
            ..Step::default()
        };
        assert_eq!(account(&[came(&a, 1), late, done]), None);
    }

    #[test]
    fn a_crash_takes_what_was_held_and_nothing_else() {
        let (a, b) = ([id(0)], [id(1)]);
        let mut account = Account::default();
        account.step(&came(&a, 1));
        assert_eq!(account.crash(), 1);
        assert_eq!(account.step(&came(&b, 1)), None);
        assert_eq!(account.open(), [id(1)]);
        assert_eq!(account.lost_and_shed(), (1, 0));
    }
}
