//! The place in front of an actor that is saved and set back: where an input that has its barrier waits for the others,
//! ([`Alignment`]), and where what was sent in another recovery is told from what counts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use wavetank_scenarios::Time;
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::script::BarrierMode;
use wavetank_scenarios::topology::{ActorId, LinkId, Topology};

use super::link::Arriving;
use super::station::Waiting;
use super::trace::Happening;
use super::{Input, World};
use crate::element::Element;
use crate::reliability::snapshot::barrier::{Alignment, AtEnd, Cut, Cutting, Passage};

/// What is known of one actor that is saved and set back.
#[derive(Debug)]
pub(super) struct Recovery {
    /// In which recovery it works.
    pub attempt: u32,
    /// It waits for what it is to go back to.
    pub away: bool,
    /// What came meanwhile, and what was sent in a recovery that it has not heard of.
    ahead: VecDeque<Arriving>,
    /// Its barriers, where inputs wait for one another; those that carry none are taken to have ended.
    alignment: Option<Alignment>,
    /// What follows a barrier on inputs that wait, in the order of arrival.
    blocked: VecDeque<Arriving>,
    /// Whether several inputs carry barriers, so that one can wait for another; and since when it does.
    several: bool,
    since: Option<Time>,
    /// By snapshot: on which inputs no barrier could come any more when it passed.
    cuts: BTreeMap<u64, Vec<bool>>,
}

impl Recovery {
    pub fn new(topology: &Topology, actor: ActorId, mode: BarrierMode) -> Self {
        let inputs = &topology.actors[actor.0 as usize].inputs;
        let mut alignment = Alignment::new(inputs.len(), Cutting::Aligned, AtEnd::Counts);
        alignment.reset(0, without_barriers(topology, inputs));
        Self {
            attempt: 0,
            away: false,
            ahead: VecDeque::new(),
            alignment: (mode == BarrierMode::Aligned).then_some(alignment),
            blocked: VecDeque::new(),
            several: without_barriers(topology, inputs).filter(|without| !without).count() > 1,
            since: None,
            cuts: BTreeMap::new(),
        }
    }
    /// It goes back to a snapshot, or to its beginning; what waited for a barrier.
    fn goes_back(&mut self, snapshot: Option<u64>, topology: &Topology, inputs: &[LinkId]) -> VecDeque<Arriving> {
        if let Some(alignment) = &mut self.alignment {
            match snapshot.and_then(|snapshot| self.cuts.get(&snapshot)) {
                Some(ended) => alignment.reset(snapshot.unwrap_or(0), ended.iter().copied()),
                None => alignment.reset(snapshot.unwrap_or(0), without_barriers(topology, inputs)),
            }
        }
        self.since = None;
        std::mem::take(&mut self.blocked)
    }
}

/// On which inputs no barriers travel.
fn without_barriers(topology: &Topology, inputs: &[LinkId]) -> impl Iterator<Item = bool> {
    inputs.iter().map(|link| !topology.carries_barriers(*link))
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
        let alignment = recovery.alignment.as_mut();
        let Some(alignment) = alignment.filter(|alignment| !alignment.ended(input)) else {
            return self.merge(sequence, arriving);
        };
        if alignment.element(input) == Passage::Waits {
            recovery.blocked.push_back(arriving);
            let elements = recovery.blocked.len();
            return self.say(&Happening::HeldBack { actor, elements });
        }
        let cuts = match arriving.element {
            Element::Barrier(number) => {
                let cuts = alignment.barrier(input, number);
                self.acknowledge(Some(arriving.link));
                cuts
            }
            Element::End => {
                let cuts = alignment.end(input);
                self.merge(sequence, arriving);
                cuts
            }
            _ => return self.merge(sequence, arriving),
        };
        let goes_on = cuts.iter().any(|cut| !matches!(cut, Cut::Started(_)));
        for cut in cuts {
            self.cut(sequence, actor, cut);
        }
        if goes_on {
            self.let_go(sequence, actor);
        }
    }

    /// Lets the barrier pass when it has come everywhere.
    fn cut(&mut self, sequence: u64, actor: ActorId, cut: Cut) {
        let now = self.now.get();
        let inputs = self.topology.actors[actor.0 as usize].inputs.len();
        let Some(recovery) = &mut self.players[actor.0 as usize].recovery else {
            return;
        };
        let since = recovery.since.take().filter(|_| recovery.several);
        if let Cut::Started(_) = cut {
            recovery.since = Some(now);
        }
        if let Cut::Complete(number) = cut
            && let Some(alignment) = &recovery.alignment
        {
            let ended = (0..inputs).map(|input| alignment.ended(input));
            recovery.cuts.insert(number, ended.collect());
        }
        let attempt = Some(recovery.attempt);
        if let Some(since) = since {
            let (metric, reading) = (Metric::AlignTime, now.since(since).micros().unsigned_abs());
            self.say(&Happening::Measured { actor, metric, reading });
        }
        let Cut::Complete(number) = cut else { return };
        let input = Input::Element {
            input: 0,
            lane: 0,
            element: Element::Barrier(number),
        };
        self.reach(
            actor,
            Waiting {
                cause: sequence,
                input,
                link: None,
                attempt,
            },
        );
    }

    /// Lets what has waited go on, when no barrier is waited for, or another one than before.
    fn let_go(&mut self, sequence: u64, actor: ActorId) {
        let Some(recovery) = &mut self.players[actor.0 as usize].recovery else {
            return;
        };
        let blocked = std::mem::take(&mut recovery.blocked);
        if blocked.is_empty() {
            return;
        }
        self.say(&Happening::HeldBack { actor, elements: 0 });
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
        let Some(recovery) = &mut self.players[index].recovery else {
            return;
        };
        recovery.attempt = attempt;
        recovery.away = false;
        let blocked = recovery.goes_back(snapshot, &topology, &inputs);
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
        let mut lost = std::mem::take(&mut recovery.blocked);
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
