//! The place in front of an actor that is saved and set back: where an input that has its barrier waits for the others,
//! and where what was sent in another recovery is told from what counts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use wavetank_scenarios::script::BarrierMode;
use wavetank_scenarios::topology::{ActorId, Topology};

use super::link::Arriving;
use super::station::Waiting;
use super::trace::Happening;
use super::{Input, World};
use crate::element::Element;

/// What is known of one actor that is saved and set back.
#[derive(Debug)]
pub(super) struct Recovery {
    /// In which recovery it works.
    pub attempt: u32,
    /// It waits for what it is to go back to.
    pub away: bool,
    /// What came meanwhile, and what was sent in a recovery that it has not heard of.
    ahead: VecDeque<Arriving>,
    aligned: bool,
    /// By input: whether barriers travel on it, and it has not ended.
    carries: Vec<bool>,
    /// The barrier that is waited for.
    current: Option<u64>,
    /// The inputs that have it.
    came: Vec<bool>,
    /// What follows it there, in the order of arrival.
    blocked: VecDeque<Arriving>,
    /// By snapshot: what `carries` was when its barrier passed.
    cuts: BTreeMap<u64, Vec<bool>>,
}

impl Recovery {
    pub fn new(topology: &Topology, actor: ActorId, mode: BarrierMode) -> Self {
        let inputs = &topology.actors[actor.0 as usize].inputs;
        Self {
            attempt: 0,
            away: false,
            ahead: VecDeque::new(),
            aligned: mode == BarrierMode::Aligned,
            carries: inputs.iter().map(|link| topology.carries_barriers(*link)).collect(),
            current: None,
            came: vec![false; inputs.len()],
            blocked: VecDeque::new(),
            cuts: BTreeMap::new(),
        }
    }
    /// Whether the barrier that is waited for has come on every input that carries it and has not ended.
    fn complete(&self) -> bool {
        self.carries
            .iter()
            .zip(&self.came)
            .all(|(carries, came)| !carries || *came)
    }
    /// The alignment is over, complete or not.
    fn release(&mut self) -> VecDeque<Arriving> {
        self.current = None;
        self.came.fill(false);
        std::mem::take(&mut self.blocked)
    }
}

impl World {
    /// Tells what counts from what does not, and lets what counts wait for barriers.
    pub(super) fn align(&mut self, sequence: u64, arriving: Arriving) {
        let actor = self.links[arriving.link.0 as usize].to;
        let Some(recovery) = &mut self.players[actor.0 as usize].recovery else {
            return self.merge(sequence, arriving);
        };
        if matches!(arriving.element, Element::Control(_)) {
            return self.merge(sequence, arriving);
        }
        if recovery.away || arriving.attempt.is_some_and(|attempt| attempt > recovery.attempt) {
            recovery.ahead.push_back(arriving);
        } else if arriving.attempt.is_some_and(|attempt| attempt < recovery.attempt) {
            self.supersede(actor, arriving);
        } else {
            self.line_up(sequence, actor, arriving);
        }
    }

    fn line_up(&mut self, sequence: u64, actor: ActorId, arriving: Arriving) {
        let input = self.links[arriving.link.0 as usize].input;
        let Some(recovery) = &mut self.players[actor.0 as usize].recovery else {
            return;
        };
        if !recovery.carries[input] || !recovery.aligned {
            return self.merge(sequence, arriving);
        }
        if recovery.came[input] {
            recovery.blocked.push_back(arriving);
            let elements = recovery.blocked.len();
            return self.say(&Happening::HeldBack { actor, elements });
        }
        match arriving.element {
            Element::Barrier(number) => {
                self.acknowledge(Some(arriving.link));
                let Some(recovery) = &mut self.players[actor.0 as usize].recovery else {
                    return;
                };
                if recovery.current.is_some_and(|current| number < current) {
                    return;
                }
                // A later barrier ends the waiting for an earlier one, which can be complete no more.
                let given_up = match recovery.current {
                    Some(current) if number > current => recovery.release(),
                    _ => VecDeque::new(),
                };
                recovery.current = Some(number);
                recovery.came[input] = true;
                for arriving in given_up {
                    self.line_up(sequence, actor, arriving);
                }
            }
            Element::End => {
                recovery.carries[input] = false;
                self.merge(sequence, arriving);
            }
            _ => return self.merge(sequence, arriving),
        }
        self.cut(sequence, actor);
    }

    /// Lets the barrier pass when it has come everywhere, and what waited for it.
    fn cut(&mut self, sequence: u64, actor: ActorId) {
        let Some(recovery) = &mut self.players[actor.0 as usize].recovery else {
            return;
        };
        let Some(number) = recovery.current.filter(|_| recovery.complete()) else {
            return;
        };
        recovery.cuts.insert(number, recovery.carries.clone());
        let blocked = recovery.release();
        let input = Input::Element {
            input: 0,
            lane: 0,
            element: Element::Barrier(number),
        };
        let attempt = Some(recovery.attempt);
        self.reach(
            actor,
            Waiting {
                cause: sequence,
                input,
                link: None,
                attempt,
            },
        );
        if !blocked.is_empty() {
            self.say(&Happening::HeldBack { actor, elements: 0 });
        }
        for arriving in blocked {
            self.line_up(sequence, actor, arriving);
        }
    }

    /// The actor waits for what it is to go back to.
    pub(super) fn goes_away(&mut self, actor: ActorId) {
        if let Some(recovery) = &mut self.players[actor.0 as usize].recovery {
            recovery.away = true;
        }
    }

    /// The actor has gone back: what it was sent before that counts no longer, and what has waited for it comes.
    pub(super) fn comes_back(&mut self, actor: ActorId, attempt: u32, snapshot: Option<u64>) {
        let index = actor.0 as usize;
        let inputs = self.topology.actors[index].inputs.clone();
        let topology = Arc::clone(&self.topology);
        let carries = inputs.iter().map(|link| topology.carries_barriers(*link));
        let Some(recovery) = &mut self.players[index].recovery else {
            return;
        };
        recovery.attempt = attempt;
        recovery.away = false;
        let cut = snapshot.and_then(|snapshot| recovery.cuts.get(&snapshot));
        recovery.carries = cut.map_or_else(|| carries.collect(), Clone::clone);
        let blocked = recovery.release();
        let ahead = std::mem::take(&mut recovery.ahead);
        let stale = |waiting: &Waiting| waiting.attempt.is_some_and(|sent| sent < attempt);
        let mut old = Vec::new();
        if let Some(station) = &mut self.players[index].station {
            for waiting in std::mem::take(&mut station.queue) {
                if stale(&waiting) {
                    station.events -= usize::from(super::station::is_event(&waiting.input));
                    old.push(waiting);
                } else {
                    station.queue.push_back(waiting);
                }
            }
        }
        // Who holds an input back says so again.
        for link in inputs {
            self.hold(link, false);
        }
        for waiting in old {
            self.acknowledge(waiting.link);
            if let Input::Element { element, .. } = &waiting.input {
                self.say(&Happening::Superseded { actor, element });
            }
        }
        for link in self.topology.actors[index].outputs.clone() {
            let link = &mut self.links[link.0 as usize];
            link.attempt = link.attempt.map(|_| attempt);
        }
        for arriving in blocked {
            self.supersede(actor, arriving);
        }
        for arriving in ahead {
            let sequence = self.fabric.fresh();
            self.align(sequence, arriving);
        }
    }

    /// What waited there is lost with its node.
    pub(super) fn forget_ahead(&mut self, actor: ActorId) {
        let Some(recovery) = &mut self.players[actor.0 as usize].recovery else {
            return;
        };
        let mut lost = recovery.release();
        lost.append(&mut recovery.ahead);
        for arriving in lost {
            self.acknowledge(Some(arriving.link));
            if let Some(event) = arriving.element.event() {
                self.say(&Happening::LostInMailbox { actor, event });
            }
        }
    }

    fn supersede(&mut self, actor: ActorId, arriving: Arriving) {
        self.acknowledge(Some(arriving.link));
        let element = &arriving.element;
        self.say(&Happening::Superseded { actor, element });
    }
}
