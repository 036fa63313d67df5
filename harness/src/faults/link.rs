//! Faults on links: what becomes of each packet.

use std::collections::BTreeMap;

use rand::Rng as _;
use wavetank_actors::world::{Meddling, Network, Packet, Transit};
use wavetank_scenarios::distribution::{Delay, Sampler};
use wavetank_scenarios::draw::DrawKey;
use wavetank_scenarios::fault::FaultKind;
use wavetank_scenarios::script::Way;
use wavetank_scenarios::topology::{ActorId, LinkId, Topology};
use wavetank_scenarios::{Event, Span, Time, Value};

use super::Active;
use super::stage::StageFault;

/// The network with all its declared faults.
#[derive(Debug)]
pub struct Waves {
    links: Vec<Vec<LinkFault>>,
    operators: BTreeMap<ActorId, Vec<StageFault>>,
}

/// One fault on one link.
#[derive(Debug)]
struct LinkFault {
    active: Active,
    acts: Acts,
    /// Decides who is hit.
    hit: DrawKey,
    /// Decides how much.
    amount: Option<(Sampler, DrawKey)>,
    /// The slot of the field that is corrupted, and the key of what is done to it.
    field: Option<usize>,
    change: DrawKey,
}

/// When a fault acts on a link.
#[derive(Debug)]
enum Acts {
    /// On single packets by a draw, within the schedule's `during`.
    Drawn,
    /// On the first packet at or after each of these moments.
    Moments(std::iter::Peekable<std::vec::IntoIter<Time>>),
    /// In these periods.
    Periods(Vec<(Time, Time)>),
}

/// How far a reordered packet falls behind where the scenario does not say.
const DISPLACEMENT: Span = Span::from_millis(100);

impl Waves {
    pub(super) fn new(
        topology: &Topology,
        faults: &BTreeMap<LinkId, Vec<Active>>,
        operators: &BTreeMap<ActorId, Vec<Active>>,
        seed: u64,
    ) -> Self {
        let mut links: Vec<Vec<LinkFault>> = topology.links.iter().map(|_| Vec::new()).collect();
        for (link, active) in faults {
            let spec = &topology.links[link.0 as usize];
            let schema = &topology.actors[spec.from.0 as usize].schema;
            links[link.0 as usize] = active
                .iter()
                .map(|active| LinkFault::new(active.clone(), &spec.name, schema, seed))
                .collect();
        }
        let operators = operators.iter().map(|(actor, faults)| {
            let name = &topology.actors[actor.0 as usize].name;
            (
                *actor,
                faults.iter().map(|active| StageFault::new(active, name)).collect(),
            )
        });
        Self {
            links,
            operators: operators.collect(),
        }
    }
}

impl LinkFault {
    fn new(active: Active, link: &str, schema: &wavetank_scenarios::Schema, seed: u64) -> Self {
        let fault = &active.fault;
        let key = |purpose| DrawKey::new(seed, &fault.id, purpose, link);
        let standard = (fault.kind == FaultKind::Reorder).then_some(Delay::Constant(DISPLACEMENT));
        let amount = fault
            .amount
            .clone()
            .or(standard)
            .map(|amount| (amount.sampler(), key("amount")));
        let interval = matches!(
            fault.kind,
            FaultKind::Partition | FaultKind::Hold | FaultKind::Bandwidth
        );
        let acts = if interval {
            Acts::Periods(active.periods())
        } else if active.schedule.has_moments() {
            let moments: Vec<Time> = active
                .schedule
                .moments()
                .map(|moment| active.run.start + moment)
                .collect();
            Acts::Moments(moments.into_iter().peekable())
        } else {
            Acts::Drawn
        };
        let field = fault.field.as_deref().and_then(|field| schema.slot(field));
        Self {
            hit: key("hit"),
            amount,
            field,
            change: key("change"),
            acts,
            active,
        }
    }

    /// Whether a fault on single packets hits this one.
    fn hits(&mut self, packet: &Packet<'_>) -> bool {
        match &mut self.acts {
            Acts::Drawn => {
                self.active.schedule.within(packet.departs.since(self.active.run.start))
                    && self.hit.unit(packet.producer, packet.number, packet.attempt) < self.active.fault.rate
            }
            Acts::Moments(moments) => {
                let mut due = false;
                while packet.event.is_some() && moments.next_if(|moment| *moment <= packet.departs).is_some() {
                    due = true;
                }
                due
            }
            Acts::Periods(_) => false,
        }
    }

    /// The end of the period that an interval fault is in.
    fn until(&self, at: Time) -> Option<Time> {
        match &self.acts {
            Acts::Periods(periods) => periods
                .iter()
                .filter(|(from, to)| *from <= at && at < *to)
                .map(|(_, to)| *to)
                .max(),
            Acts::Drawn | Acts::Moments(_) => None,
        }
    }

    fn draw(&self, packet: &Packet<'_>, copy: u32) -> Span {
        self.amount.as_ref().map_or(Span::ZERO, |(sampler, key)| {
            sampler
                .sample(&mut key.rng(packet.producer, packet.number, packet.attempt + (copy << 16)))
                .max(Span::ZERO)
        })
    }

    /// The event with one field damaged: another value of the same type where there is a sensible one, else null.
    fn corrupt(&self, event: &Event, packet: &Packet<'_>) -> Option<Event> {
        let mut rng = self.change.rng(packet.producer, packet.number, packet.attempt);
        let slots = event.row.len();
        if slots == 0 {
            return None;
        }
        let slot = self.field.unwrap_or_else(|| (rng.next_u64() % slots as u64) as usize);
        let mut row = event.row.to_vec();
        row[slot] = match &row[slot] {
            Value::Bool(b) => Value::Bool(!b),
            Value::Int(i) => Value::Int(i ^ (1 << (rng.next_u64() % 31))),
            Value::Float(f) => Value::Float(-f - 1.0),
            Value::Text(text) => Value::text(text.chars().rev().chain(['?']).collect::<String>()),
            Value::Time(t) => Value::Time(*t + Span::from_secs(3600)),
            _ => Value::Null,
        };
        Some(Event {
            row: row.into(),
            ..event.clone()
        })
    }
}

impl Network for Waves {
    fn meddles(&self, actor: ActorId) -> bool {
        self.operators.contains_key(&actor)
    }
    fn meddle(&mut self, actor: ActorId, number: u64, at: Time) -> Option<(usize, Meddling)> {
        let faults = self.operators.get(&actor)?;
        faults.iter().find_map(|fault| fault.meddle(number, at))
    }
    fn disturbs(&self, link: LinkId) -> bool {
        !self.links[link.0 as usize].is_empty()
    }

    fn bandwidth(&self, link: LinkId, at: Time) -> Option<(f64, usize)> {
        let narrow = self.links[link.0 as usize]
            .iter()
            .filter(|f| f.active.fault.kind == FaultKind::Bandwidth);
        narrow
            .filter(|fault| fault.until(at).is_some())
            .filter_map(|fault| Some((fault.active.fault.factor?, fault.active.index)))
            .min_by(|a, b| a.0.total_cmp(&b.0))
    }

    fn transit(&mut self, packet: Packet<'_>, transit: &mut Transit) {
        for fault in &mut self.links[packet.link.0 as usize] {
            let (kind, index) = (fault.active.fault.kind, fault.active.index);
            match kind {
                FaultKind::Partition => {
                    let Some(until) = fault.until(packet.departs) else {
                        continue;
                    };
                    match fault.active.fault.way.unwrap_or_default() {
                        Way::Both | Way::Data => transit.cut_until = transit.cut_until.max(Some(until)),
                        Way::Acks => transit.unacknowledged_until = transit.unacknowledged_until.max(Some(until)),
                    }
                    transit.fired.push(index);
                }
                FaultKind::Hold => {
                    let Some(until) = fault.until(packet.departs) else {
                        continue;
                    };
                    transit.held_until = transit.held_until.max(Some(until));
                    transit.fired.push(index);
                }
                FaultKind::Delay | FaultKind::Reorder | FaultKind::Drop | FaultKind::Duplicate | FaultKind::Corrupt => {
                    if !fault.hits(&packet) {
                        continue;
                    }
                    match kind {
                        FaultKind::Delay => transit.extra = transit.extra + fault.draw(&packet, 0),
                        FaultKind::Reorder => {
                            transit.extra = transit.extra + fault.draw(&packet, 0);
                            transit.displaced = true;
                        }
                        FaultKind::Drop => transit.lost = true,
                        FaultKind::Duplicate => {
                            let copies = fault.active.fault.copies.unwrap_or(1);
                            transit
                                .copies
                                .extend((1..=copies).map(|copy| fault.draw(&packet, copy)));
                        }
                        _ => {
                            let Some(event) = packet.event else { continue };
                            transit.corrupted = fault.corrupt(transit.corrupted.as_ref().unwrap_or(event), &packet);
                        }
                    }
                    transit.fired.push(index);
                }
                _ => {}
            }
        }
    }
}
