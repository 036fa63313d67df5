//! The place in front of an actor where what follows a marker waits until the marker has come on every input.
//!
//! Every element knows the last marker that was put on its link before it, as a packet knows its number. It is handed on
//! when that marker has passed: it never overtakes it, and one that was lost on a datagram link is missed by what comes
//! after it. A marker passes when it has come, and all before it, on every input that has not ended; then the actor takes
//! it once, and after it what had waited, in the order in which it had come. A marker that is waited for in vain blocks
//! its inputs until it is given up, where the scenario says so. Snapshots that are cut at markers need the same.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_scenarios::Span;
use wavetank_scenarios::script::{Epoch, EpochOrder};
use wavetank_scenarios::topology::{Actor, ActorId, Role};

use super::fabric::Class;
use super::link::Arriving;
use super::trace::Happening;
use super::{Entry, World};
use crate::element::Element;

/// What waits in front of one actor.
#[derive(Debug)]
pub(super) struct Merge {
    /// Up to which number all markers have come on each input; [`u64::MAX`] once it has ended.
    came: Vec<u64>,
    /// Markers that came before one with a lower number, by input.
    early: BTreeSet<(usize, u64)>,
    /// A later marker stands for those before it: so it is with the answers of a counter.
    skips: bool,
    /// The largest number that has come on any input, ended or not.
    highest: u64,
    /// The number of the last marker that passed.
    passed: u64,
    /// The first marker that no timer is set for.
    untimed: u64,
    /// Elements by the marker that they wait for, each in the order of arrival.
    waiting: BTreeMap<u64, Vec<Arriving>>,
    /// The elements of the epoch under way, where they are put in order at its end.
    gathered: Option<Vec<Arriving>>,
}

impl Merge {
    /// For an actor and its inputs, each of which carries events, or is a control link (`false`).
    pub fn new(actor: &Actor, forward: &[bool], epoch: &Epoch) -> Self {
        let inputs = forward.iter().filter(|forward| **forward).count();
        let controls = forward.iter().map(|forward| if *forward { 0 } else { u64::MAX });
        // What a counter is asked belongs to no epoch.
        let orders = epoch.order == EpochOrder::Stamp && inputs > 1 && actor.role != Role::Counter;
        Self {
            // No marker comes by a control link.
            came: controls.collect(),
            early: BTreeSet::new(),
            highest: 0,
            skips: matches!(actor.role, Role::Source { .. }),
            passed: 0,
            untimed: 1,
            waiting: BTreeMap::new(),
            gathered: orders.then(Vec::new),
        }
    }

    /// A marker has come on an input.
    fn comes(&mut self, input: usize, number: u64) {
        self.highest = self.highest.max(number);
        if self.skips {
            self.came[input] = self.came[input].max(number);
        } else if number > self.came[input] {
            self.early.insert((input, number));
            self.count_up(input);
        }
    }

    /// Takes the markers that came early and follow without a gap.
    fn count_up(&mut self, input: usize) {
        while self.came[input] < u64::MAX && self.early.remove(&(input, self.came[input] + 1)) {
            self.came[input] += 1;
        }
    }

    fn held(&self) -> usize {
        self.waiting.values().map(Vec::len).sum::<usize>() + self.gathered.as_ref().map_or(0, Vec::len)
    }

    /// The next marker, if it may pass: it has come on one input at least, and on every one that has not ended.
    fn next(&self) -> Option<u64> {
        let next = self.passed + 1;
        (next <= self.highest && self.came.iter().all(|came| *came >= next)).then_some(next)
    }
}

impl World {
    /// Brings an element to its actor, or lets it wait for a marker.
    pub(super) fn merge(&mut self, sequence: u64, arriving: Arriving) {
        let link = &self.links[arriving.link.0 as usize];
        let (actor, input) = (link.to, link.input);
        let Some(merge) = self.merges.get_mut(actor.0 as usize) else {
            return self.stand(sequence, arriving);
        };
        if let Element::Epoch(number) = arriving.element {
            // The actor gets it once, from here.
            merge.comes(input, number);
            self.acknowledge(Some(arriving.link));
            self.time_markers(actor, number);
        } else {
            if arriving.element == Element::End {
                merge.came[input] = u64::MAX;
            }
            match &mut merge.gathered {
                _ if arriving.epoch > merge.passed => {
                    merge.waiting.entry(arriving.epoch).or_default().push(arriving);
                }
                Some(gathered) => gathered.push(arriving),
                None => self.stand(sequence, arriving),
            }
        }
        self.pass_markers(sequence, actor);
    }

    /// Sets the timers that give markers up, up to this one.
    fn time_markers(&mut self, actor: ActorId, number: u64) {
        let Some(after) = self.epoch.as_ref().and_then(|epoch| epoch.give_up) else {
            return;
        };
        let incarnation = self.node_of(actor).incarnation;
        let merge = &mut self.merges[actor.0 as usize];
        let first = merge.untimed;
        merge.untimed = first.max(number + 1);
        for number in first..=number {
            let give_up = Entry::GiveUp {
                actor,
                incarnation,
                number,
            };
            let due = self.now.get() + after.max(Span::UNIT);
            self.fabric.push(due, Class::Timer, give_up);
        }
    }

    /// A marker has been waited for long enough: the inputs that lack it are taken to have had it.
    pub(super) fn give_up(&mut self, sequence: u64, actor: ActorId, number: u64) {
        let merge = &mut self.merges[actor.0 as usize];
        if merge.passed >= number {
            return;
        }
        for input in 0..merge.came.len() {
            merge.came[input] = merge.came[input].max(number);
            merge.count_up(input);
        }
        self.tell_gave_up(actor, number);
        self.pass_markers(sequence, actor);
    }

    /// Lets every marker pass that may, and what waited for it.
    fn pass_markers(&mut self, sequence: u64, actor: ActorId) {
        let index = actor.0 as usize;
        while let Some(number) = self.merges[index].next() {
            self.put_in_order(sequence, actor);
            let merge = &mut self.merges[index];
            merge.passed = number;
            self.mark(sequence, actor, number);
            let merge = &mut self.merges[index];
            let later = merge.waiting.split_off(&(number + 1));
            let released = std::mem::replace(&mut merge.waiting, later).into_values().flatten();
            match &mut merge.gathered {
                Some(gathered) => gathered.extend(released),
                None => {
                    for arriving in released.collect::<Vec<_>>() {
                        self.stand(sequence, arriving);
                    }
                }
            }
        }
        let merge = &mut self.merges[index];
        if merge.came.iter().all(|came| *came == u64::MAX) {
            // No marker will come any more.
            let rest = std::mem::take(&mut merge.waiting).into_values().flatten();
            match &mut merge.gathered {
                Some(gathered) => gathered.extend(rest),
                None => {
                    for arriving in rest.collect::<Vec<_>>() {
                        self.stand(sequence, arriving);
                    }
                }
            }
            self.put_in_order(sequence, actor);
        }
        let elements = self.merges[index].held();
        self.tell_held(actor, elements);
    }

    /// Hands on what was gathered of an epoch: the events by their stamps, then everything else as it came.
    fn put_in_order(&mut self, sequence: u64, actor: ActorId) {
        let Some(gathered) = &mut self.merges[actor.0 as usize].gathered else {
            return;
        };
        let mut gathered = std::mem::take(gathered);
        let order = |arriving: &Arriving| match arriving.element.event() {
            Some(event) => (false, Some((event.stamp, event.id))),
            None => (true, None),
        };
        gathered.sort_by_key(order);
        for arriving in gathered {
            self.stand(sequence, arriving);
        }
    }

    /// Hands a marker to its actor.
    fn mark(&mut self, sequence: u64, actor: ActorId, number: u64) {
        let input = super::Input::Element {
            input: 0,
            lane: 0,
            element: Element::Epoch(number),
        };
        let waiting = super::Waiting {
            cause: sequence,
            input,
            link: None,
            attempt: None,
        };
        self.reach(actor, waiting);
    }

    /// What waited in front of an actor is lost with its node.
    pub(super) fn forget_held(&mut self, actor: ActorId) {
        let Some(merge) = self.merges.get_mut(actor.0 as usize) else {
            return;
        };
        let mut lost: Vec<Arriving> = std::mem::take(&mut merge.waiting).into_values().flatten().collect();
        if let Some(gathered) = &mut merge.gathered {
            lost.append(gathered);
        }
        for arriving in lost {
            self.acknowledge(Some(arriving.link));
            if let Some(event) = arriving.element.event() {
                self.say(&Happening::LostInMailbox { actor, event });
            }
        }
    }

    fn tell_gave_up(&mut self, actor: ActorId, number: u64) {
        self.say(&Happening::GaveUp { actor, number });
    }

    fn tell_held(&mut self, actor: ActorId, elements: usize) {
        self.say(&Happening::HeldBack { actor, elements });
    }
}
