//! Everything that is under way, in one stated order: by (time, class, sequence).
//!
//! The sequence is the order in which entries were put in, which is itself decided by what caused them, so that two runs
//! of one scenario take the same entries in the same order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use wavetank_scenarios::Time;
use wavetank_scenarios::script::Tie;

/// What comes first at one instant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// What the world does to itself: crashes, restarts, pauses.
    World,
    /// Deliveries and departures, unless timers go first.
    Event,
    /// Timers.
    Timer,
}

/// A priority queue of entries. The heap holds keys only; what is under way lies still in slots.
#[derive(Debug)]
pub(crate) struct Fabric<E> {
    heap: BinaryHeap<Reverse<Key>>,
    slots: Vec<Option<E>>,
    free: Vec<u32>,
    sequence: u64,
    rank: [u64; 3],
    /// How many entries are no timers.
    others: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    time: Time,
    /// Rank of the class in the top bits, sequence below.
    order: u64,
    slot: u32,
}

const SEQUENCE_BITS: u32 = 62;

impl<E> Fabric<E> {
    /// An empty fabric.
    pub fn new(tie: Tie) -> Self {
        let rank = match tie {
            Tie::EventFirst => [0, 1, 2],
            Tie::TimerFirst => [0, 2, 1],
        };
        Self {
            heap: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            sequence: 0,
            rank,
            others: 0,
        }
    }
    /// A sequence that nothing has, behind all others.
    pub const fn fresh(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence - 1
    }
    /// Puts an entry in and says its sequence.
    pub fn push(&mut self, time: Time, class: Class, entry: E) -> u64 {
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(entry);
            slot
        } else {
            self.slots.push(Some(entry));
            (self.slots.len() - 1) as u32
        };
        let sequence = self.sequence;
        self.sequence += 1;
        self.others += usize::from(class != Class::Timer);
        let order = self.rank[class as usize] << SEQUENCE_BITS | sequence;
        self.heap.push(Reverse(Key { time, order, slot }));
        sequence
    }
    /// Whether nothing is under way but timers.
    pub const fn only_timers(&self) -> bool {
        self.others == 0
    }
    /// The time of the next entry.
    pub fn next_time(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(key)| key.time)
    }
    /// Moves into `round` all entries due by `now` that share time and class of the first, in order, with their sequences.
    /// What they cause at the same instant forms a round of its own, so an event that was caused by an event still goes
    /// before a timer. Effects of a round are put in order by sequence alone: entries of several times, which a pace that
    /// does not keep up finds due together, must not share one.
    pub fn take_round(&mut self, now: Time, round: &mut Vec<(u64, E)>) {
        let mut first = None;
        while let Some(Reverse(key)) = self.heap.peek().copied() {
            let turn = (key.time, key.order >> SEQUENCE_BITS);
            if key.time > now || first.is_some_and(|first| first != turn) {
                break;
            }
            first = Some(turn);
            self.heap.pop();
            self.others -= usize::from(turn.1 != self.rank[Class::Timer as usize]);
            if let Some(entry) = self.slots[key.slot as usize].take() {
                self.free.push(key.slot);
                round.push((key.order & ((1 << SEQUENCE_BITS) - 1), entry));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(fabric: &mut Fabric<u32>) -> Vec<Vec<u32>> {
        let mut rounds = Vec::new();
        while let Some(now) = fabric.next_time() {
            let mut round = Vec::new();
            fabric.take_round(now, &mut round);
            rounds.push(round.into_iter().map(|(_, e)| e).collect());
        }
        rounds
    }

    #[test]
    fn entries_of_several_times_make_several_rounds_when_all_are_due() {
        let mut fabric = Fabric::new(Tie::EventFirst);
        let at = Time::from_micros;
        fabric.push(at(2), Class::Event, 2);
        fabric.push(at(1), Class::Event, 1);
        let mut round = Vec::new();
        fabric.take_round(at(3), &mut round);
        assert_eq!(round, [(1, 1)]);
        round.clear();
        fabric.take_round(at(3), &mut round);
        assert_eq!(round, [(0, 2)]);
    }

    #[test]
    fn events_go_before_timers_unless_the_tie_says_otherwise() {
        for (tie, expected) in [
            (Tie::EventFirst, vec![vec![3], vec![2], vec![1]]),
            (Tie::TimerFirst, vec![vec![3], vec![1], vec![2]]),
        ] {
            let mut fabric = Fabric::new(tie);
            fabric.push(Time::ZERO, Class::Timer, 1);
            fabric.push(Time::ZERO, Class::Event, 2);
            fabric.push(Time::ZERO, Class::World, 3);
            assert_eq!(drain(&mut fabric), expected);
        }
    }

    proptest! {
        #[test]
        fn entries_come_out_by_time_then_in_the_order_they_went_in(times in prop::collection::vec(0i64..20, 0..200)) {
            let mut fabric = Fabric::new(Tie::EventFirst);
            for (i, t) in times.iter().enumerate() {
                fabric.push(Time::from_micros(*t), Class::Event, i as u32);
            }
            let mut expected: Vec<u32> = (0..times.len() as u32).collect();
            expected.sort_by_key(|i| times[*i as usize]);
            prop_assert_eq!(drain(&mut fabric).concat(), expected);
        }
    }
}
