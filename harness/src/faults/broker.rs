//! Faults on brokers: retention that runs out early, acknowledgements that are lost, events that are given twice or out
//! of order.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_actors::reliability::broker::{Befalls, BrokerFaults};
use wavetank_scenarios::distribution::{Delay, Sampler};
use wavetank_scenarios::draw::{DrawKey, name_key};
use wavetank_scenarios::fault::FaultKind;
use wavetank_scenarios::topology::Topology;
use wavetank_scenarios::{EventId, Span, Time};

use super::Active;

/// One broker with all its declared faults.
///
/// Whether an event is hit is a draw for the event and the how-manieth time that it is given, or acknowledged: what is
/// done with other events changes nothing.
#[derive(Debug)]
pub struct BrokerWaves {
    topology: Arc<Topology>,
    faults: Vec<BrokerFault>,
    /// How often each event has been given and acknowledged.
    given: BTreeMap<EventId, u32>,
    acknowledged: BTreeMap<EventId, u32>,
}

/// One fault on one broker.
#[derive(Debug)]
struct BrokerFault {
    active: Active,
    hit: DrawKey,
    amount: DrawKey,
    sampler: Option<Sampler>,
    /// The moments at which it acts that have not come.
    moments: std::iter::Peekable<std::vec::IntoIter<Time>>,
    /// How often it has acted at a moment.
    fired: u64,
}

impl BrokerWaves {
    pub(super) fn new(faults: &[Active], topology: &Arc<Topology>, broker: &str) -> Self {
        let fault = |active: &Active| {
            let key = |purpose| DrawKey::new(active.run.seed, &active.fault.id, purpose, broker);
            let moments = active.schedule.moments().map(|moment| active.run.start + moment);
            BrokerFault {
                hit: key("hit"),
                amount: key("amount"),
                sampler: active.fault.amount.as_ref().map(Delay::sampler),
                moments: moments.collect::<Vec<_>>().into_iter().peekable(),
                fired: 0,
                active: active.clone(),
            }
        };
        Self {
            topology: Arc::clone(topology),
            faults: faults.iter().map(fault).collect(),
            given: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
        }
    }

    /// The producer of an event, by its name.
    fn producer(&self, event: EventId) -> u64 {
        let actor = self.topology.actors.get(event.producer.0 as usize);
        actor.map_or(0, |actor| name_key(&actor.name))
    }
}

impl BrokerFault {
    /// Whether it acts on an event the `times`th time.
    fn hits(&mut self, producer: u64, event: EventId, times: u32, now: Time) -> Option<usize> {
        let hit = if self.active.schedule.has_moments() {
            self.moment(now)
        } else {
            self.active.schedule.within(self.active.since_start(now))
                && self.hit.unit(producer, event.number, times) < self.active.fault.rate
        };
        hit.then_some(self.active.index)
    }

    /// Whether a moment of its has come.
    fn moment(&mut self, now: Time) -> bool {
        let mut due = false;
        while self.moments.next_if(|moment| *moment <= now).is_some() {
            due = true;
        }
        due
    }
}

impl BrokerFaults for BrokerWaves {
    fn expire(&mut self, now: Time) -> Vec<(usize, Span)> {
        let mut fired = Vec::new();
        for fault in self
            .faults
            .iter_mut()
            .filter(|f| f.active.fault.kind == FaultKind::Expire)
        {
            if fault.moment(now) {
                let sampler = fault.sampler.as_ref();
                let older = sampler.map(|sampler| sampler.sample(&mut fault.amount.rng(0, fault.fired, 0)));
                fault.fired += 1;
                fired.push((fault.active.index, older.unwrap_or(Span::ZERO).max(Span::ZERO)));
            }
        }
        fired
    }

    fn give(&mut self, event: EventId, now: Time) -> Befalls {
        let mut befalls = Befalls::default();
        if self.faults.is_empty() {
            return befalls;
        }
        let producer = self.producer(event);
        let times = self.given.entry(event).or_default();
        *times += 1;
        let times = *times;
        for fault in &mut self.faults {
            let hit = match fault.active.fault.kind {
                FaultKind::Redeliver => &mut befalls.again,
                FaultKind::ReorderPartition => &mut befalls.behind,
                _ => continue,
            };
            *hit = hit.or(fault.hits(producer, event, times, now));
        }
        befalls
    }

    fn acknowledge(&mut self, event: EventId, now: Time) -> Option<usize> {
        if self.faults.is_empty() {
            return None;
        }
        let producer = self.producer(event);
        let times = self.acknowledged.entry(event).or_default();
        *times += 1;
        let times = *times;
        let of_kind = |fault: &&mut BrokerFault| fault.active.fault.kind == FaultKind::LostAcknowledgement;
        let mut faults = self.faults.iter_mut().filter(of_kind);
        faults.find_map(|fault| fault.hits(producer, event, times, now))
    }
}
