//! What the judge knows of two copies of an operator: who was the primary when, how long nobody or both were, and how long
//! one of them was missing.
//!
//! The model in words. A copy leads from the moment at which it says so until it steps down or its node crashes; while its
//! node is paused it does nothing, and does not count. A gap of service begins when the copy that led last stops leading, or
//! stands still, and ends when something that another reign has published reaches a receiver. A crash or a pause of a copy is
//! detected when the other takes it for gone, and has been recovered from when the copy has caught up, or goes on.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use wavetank_actors::Element;
use wavetank_actors::reliability::failover::{Cut, Message, Note, Why};
use wavetank_actors::world::{Happening, NodeFault};
use wavetank_reports::record::Service;
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::topology::{Actor, ActorId, LinkId, NodeId, Role, Topology};
use wavetank_scenarios::{Span, Time};

use super::ActorMeter;
use super::meters::FaultMeter;

/// Whose results an actor passes on: its own, or those of the two copies in front of whose receiver it stands.
pub(super) fn origins(topology: &Topology, actor: ActorId) -> Vec<ActorId> {
    match topology.actors[actor.0 as usize].role {
        Role::Gate { .. } | Role::Replica { .. } => {
            let mut origins: Vec<ActorId> = Vec::new();
            for link in topology.forward(actor) {
                for origin in self::origins(topology, topology.links[link.0 as usize].from) {
                    if !origins.contains(&origin) {
                        origins.push(origin);
                    }
                }
            }
            origins
        }
        _ => vec![actor],
    }
}

/// One of two copies.
#[derive(Clone, Copy)]
struct Copy {
    publishes: ActorId,
    node: NodeId,
    leads: bool,
    paused: bool,
    /// Down, or back and not yet up to date.
    missing: bool,
    /// What it suffers from: since when, and by which fault.
    suffers: Option<(Time, usize)>,
}

impl Copy {
    /// The other takes it for gone.
    fn detected(&self, at: Time, faults: &mut [FaultMeter]) {
        if let Some((since, by)) = self.suffers {
            let detected = &mut faults[by].detected;
            *detected = (*detected).max(Some(at.since(since)));
        }
    }
    /// It is as good as ever.
    fn recovers(&mut self, at: Time, faults: &mut [FaultMeter]) {
        if let Some((since, by)) = self.suffers.take() {
            let recovered = &mut faults[by].recovered;
            *recovered = (*recovered).max(Some(at.since(since)));
        }
    }

    const fn works(&self) -> bool {
        self.leads && !self.paused
    }
}

/// An operator with two copies.
struct Pair {
    copies: [Copy; 2],
    /// Since when nobody has published, and which of the two published last.
    lost: Option<Time>,
    last: Option<usize>,
    /// The fault that the loss is put down to.
    cause: Option<usize>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Pairs {
    pairs: Vec<Pair>,
    /// By link from a copy to a receiver: which pair and which copy.
    links: FxHashMap<LinkId, (usize, usize)>,
    /// The gates in front of receivers.
    gates: BTreeSet<ActorId>,
    /// The fault that did something last.
    recent: Option<usize>,
    now: Time,
}

/// What that fault did to the service.
fn service(by: Option<usize>, faults: &mut [FaultMeter]) -> Option<&mut Service> {
    by.map(|by| faults[by].service.get_or_insert_default())
}

impl Pairs {
    /// Those of a topology.
    pub fn new(topology: &Topology, start: Time) -> Self {
        let mut pairs = Self {
            now: start,
            ..Self::default()
        };
        let actors = topology.actors.iter().enumerate();
        let gate =
            |(index, actor): (usize, &Actor)| matches!(actor.role, Role::Gate { .. }).then_some(ActorId(index as u32));
        pairs.gates = actors.clone().filter_map(gate).collect();
        let replicas: Vec<(ActorId, (usize, Option<u32>), u8)> = actors
            .filter_map(|(index, actor)| match actor.role {
                Role::Replica { operator, stream, side } => Some((ActorId(index as u32), (operator, stream), side)),
                _ => None,
            })
            .collect();
        for (a, pair, _) in replicas.iter().filter(|(.., side)| *side == 0) {
            let Some((b, ..)) = replicas.iter().find(|(_, of, side)| of == pair && *side == 1) else {
                continue;
            };
            let copy = |publishes: ActorId| Copy {
                publishes,
                node: topology.actors[publishes.0 as usize].node,
                leads: false,
                paused: false,
                missing: false,
                suffers: None,
            };
            let pair = pairs.pairs.len();
            for (index, link) in topology.links.iter().enumerate() {
                let gate = matches!(topology.actors[link.to.0 as usize].role, Role::Gate { .. });
                if let Some(copy) = [*a, *b].iter().position(|copy| *copy == link.from).filter(|_| gate) {
                    pairs.links.insert(LinkId(index as u32), (pair, copy));
                }
            }
            let (lost, last, cause) = (None, None, None);
            let copies = [copy(*a), copy(*b)];
            pairs.pairs.push(Pair {
                copies,
                lost,
                last,
                cause,
            });
        }
        pairs
    }

    /// Something happened.
    pub fn see(&mut self, at: Time, happening: &Happening<'_>, meters: &mut [ActorMeter], faults: &mut [FaultMeter]) {
        if self.pairs.is_empty() {
            return;
        }
        self.pass(at, meters, faults);
        match happening {
            Happening::OfCopy { actor, note } => self.noted(at, *actor, note, faults),
            Happening::Node { node, fault, by } => {
                if matches!(fault, NodeFault::Crash | NodeFault::Pause) {
                    self.recent = Some(*by);
                }
                for pair in &mut self.pairs {
                    pair.befalls(at, *node, *fault, *by, faults);
                }
            }
            Happening::Fault { fault, .. } => self.recent = Some(*fault),
            Happening::Measured { actor, metric, reading } if self.gates.contains(actor) => {
                if let Some(service) = service(self.recent, faults) {
                    match metric {
                        Metric::Repeated => service.repeated += reading,
                        Metric::Refused => service.refused += reading,
                        Metric::Missing => service.missing += reading,
                        _ => {}
                    }
                }
            }
            Happening::Arrived { link, element, .. } if !matches!(element, Element::Control(_)) => {
                if let Some((pair, copy)) = self.links.get(link).copied() {
                    self.pairs[pair].reaches(at, copy, meters, faults);
                }
            }
            _ => {}
        }
    }

    /// Time passes.
    fn pass(&mut self, at: Time, meters: &mut [ActorMeter], faults: &mut [FaultMeter]) {
        let passed = at.since(self.now).max(Span::ZERO).micros() as u64;
        self.now = at;
        if passed == 0 {
            return;
        }
        for pair in &self.pairs {
            let meter = &mut meters[pair.copies[0].publishes.0 as usize];
            if pair.copies.iter().all(Copy::works) {
                meter.measure(Metric::Overlap, passed);
                if let Some(service) = service(self.recent, faults) {
                    service.overlap.0 += passed as i64;
                }
            }
            if pair.copies.iter().any(|copy| copy.missing) {
                meter.measure(Metric::NotRedundant, passed);
            }
        }
    }

    fn noted(&mut self, at: Time, actor: ActorId, note: &Note, faults: &mut [FaultMeter]) {
        for pair in &mut self.pairs {
            let Some(copy) = pair.copies.iter().position(|copy| copy.publishes == actor) else {
                continue;
            };
            match note {
                Note::Primary { .. } => pair.copies[copy].leads = true,
                Note::SteppedDown(_) => pair.stops(at, copy, self.recent),
                Note::Rests => pair.copies[copy].leads = false,
                Note::CaughtUp => {
                    pair.copies[copy].missing = false;
                    pair.copies[copy].recovers(at, faults);
                }
                Note::Suspects => pair.copies[1 - copy].detected(at, faults),
                Note::Diverged { .. } => {}
            }
        }
    }
}

impl Pair {
    fn befalls(&mut self, at: Time, node: NodeId, fault: NodeFault, by: usize, faults: &mut [FaultMeter]) {
        for copy in 0..2 {
            if self.copies[copy].node != node {
                continue;
            }
            match fault {
                NodeFault::Crash => {
                    self.copies[copy].missing = true;
                    self.copies[copy].paused = false;
                    self.copies[copy].suffers = Some((at, by));
                    self.stops(at, copy, Some(by));
                }
                NodeFault::Pause => {
                    if self.copies[copy].leads && !self.copies[1 - copy].works() {
                        self.loses(at, Some(by));
                    }
                    self.copies[copy].paused = true;
                    self.copies[copy].suffers.get_or_insert((at, by));
                }
                NodeFault::Resume => {
                    self.copies[copy].paused = false;
                    if !self.copies[copy].missing {
                        self.copies[copy].recovers(at, faults);
                    }
                }
                NodeFault::Restart | NodeFault::Slow(_) | NodeFault::Clock => {}
            }
        }
    }

    /// A copy leads no longer.
    fn stops(&mut self, at: Time, copy: usize, by: Option<usize>) {
        let led = std::mem::take(&mut self.copies[copy].leads);
        if led && !self.copies[1 - copy].works() {
            self.loses(at, by);
        }
    }

    /// Nobody publishes any more.
    fn loses(&mut self, at: Time, by: Option<usize>) {
        if self.lost.is_none() {
            (self.lost, self.cause) = (Some(at), by);
        }
    }

    /// Something that a copy has published reaches a receiver.
    fn reaches(&mut self, at: Time, copy: usize, meters: &mut [ActorMeter], faults: &mut [FaultMeter]) {
        if !self.copies[copy].leads {
            return; // it was on its way when its sender stopped
        }
        let meter = &mut meters[self.copies[0].publishes.0 as usize];
        if let Some(lost) = self.lost.take() {
            let gap = at.since(lost).micros().max(0);
            meter.measure(Metric::ServiceGap, gap as u64);
            if let Some(service) = service(self.cause, faults) {
                service.gap = service.gap.max(Some(wavetank_reports::Span(gap)));
            }
        }
        if self.last.is_some_and(|last| last != copy) {
            meter.measure(Metric::Failovers, 1);
        }
        self.last = Some(copy);
    }
}

/// What happened to one of two copies, in words.
pub(crate) fn show_note(note: &Note) -> String {
    match note {
        Note::Suspects => "takes the other copy for gone".into(),
        Note::Primary { token, pending } => format!("is the primary from now on, token {token}, {pending} pending"),
        Note::SteppedDown(Why::LeaseOver) => "is the primary no longer: its lease is over".into(),
        Note::SteppedDown(Why::Superseded) => "is the primary no longer: there is a larger token".into(),
        Note::SteppedDown(Why::OtherLeads) => "is the primary no longer: the other became it later".into(),
        Note::Rests => "has nothing left to publish, and its lease is over".into(),
        Note::CaughtUp => "has caught up".into(),
        Note::Diverged { place, .. } => format!("made something else than the other published at place {place}"),
    }
}

/// What two copies, their arbiter and their receivers say to each other, in words.
pub(super) fn show(message: &Message<Element, Arc<Cut>>) -> String {
    match message {
        Message::Heartbeat { primary, position, .. } => {
            let role = if *primary { "primary" } else { "not primary" };
            format!("heartbeat: {role}, {position} events of the log read")
        }
        Message::Published(copies) => match copies.last() {
            Some(last) => format!("{} published, up to place {}", copies.len(), last.place),
            None => "nothing published".into(),
        },
        Message::Fetch => "wants to know where everything stands".into(),
        Message::State { position, .. } => format!("the state at event {position} of the log"),
        Message::Grant(grant) => format!("the lease, under token {}", grant.token),
        Message::Taken(token) => format!("the lease is taken, under token {token}"),
        Message::Confirmed { place, .. } => format!("has everything up to place {place}"),
        Message::Refused(token) => format!("refused: token {token} has been seen"),
    }
}
