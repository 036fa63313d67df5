//! Makes the waves: from the faults that a scenario declares to what happens on links, nodes and in sources.
//!
//! What can be known before the run is worked out before it: the instants at which nodes crash and pause, the clocks'
//! segments, the periods of partitions. What is decided for single events is a keyed draw.

mod broker;
mod disk;
mod link;
mod node;
mod source;
mod stage;

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_actors::world::{NodeClock, NodePlan, Strike};
use wavetank_actors::{Departure, Departures};
use wavetank_scenarios::fault::{FaultKind, Place};
use wavetank_scenarios::schedule::Schedule;
use wavetank_scenarios::script::{self, Fault, Scenario};
use wavetank_scenarios::topology::{ActorId, LinkId, NodeId, Topology};
use wavetank_scenarios::{Span, Time};

pub use broker::BrokerWaves;
pub use disk::DiskWaves;
pub use link::Waves;

/// What a fault needs to know of the run that it disturbs.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The seed of its draws.
    pub seed: u64,
    /// Where virtual time starts.
    pub start: Time,
    /// How long sources run.
    pub length: Span,
}

/// A fault with its index in the scenario and its schedule, ready to act.
#[derive(Clone, Debug)]
struct Active {
    index: usize,
    fault: Fault,
    schedule: Schedule,
    run: Run,
}

impl Active {
    fn since_start(&self, at: Time) -> Span {
        at.since(self.run.start)
    }
    /// The periods in which an interval fault acts, in virtual time.
    fn periods(&self) -> Vec<(Time, Time)> {
        let at = |span: Span| {
            if span == Span::MAX {
                Time::MAX
            } else {
                self.run.start + span
            }
        };
        self.schedule.periods().map(|(from, to)| (at(from), at(to))).collect()
    }
}

/// All declared faults of a scenario that can fire at all, sorted by where they act. A fault with rate 0 counts as not
/// declared.
#[derive(Clone, Debug)]
pub struct Faults {
    topology: Arc<Topology>,
    links: BTreeMap<LinkId, Vec<Active>>,
    nodes: BTreeMap<NodeId, Vec<Active>>,
    sources: BTreeMap<ActorId, Vec<Active>>,
    operators: BTreeMap<ActorId, Vec<Active>>,
    brokers: BTreeMap<ActorId, Vec<Active>>,
    disks: BTreeMap<ActorId, Vec<Active>>,
    run: Run,
}

impl Faults {
    /// The faults of a scenario, for a run of it.
    pub fn new(scenario: &Scenario, topology: &Arc<Topology>, run: Run) -> Self {
        let mut faults = Self {
            topology: Arc::clone(topology),
            links: BTreeMap::new(),
            nodes: BTreeMap::new(),
            sources: BTreeMap::new(),
            operators: BTreeMap::new(),
            brokers: BTreeMap::new(),
            disks: BTreeMap::new(),
            run,
        };
        for (index, fault) in scenario.faults.iter().enumerate().filter(|(_, fault)| fault.rate > 0.0) {
            let schedule = Schedule::new(fault, run.seed, run.length);
            let active = Active {
                index,
                fault: fault.clone(),
                schedule,
                run,
            };
            match fault.kind.descriptor().place {
                Place::Link => {
                    for link in topology.links_named(&fault.on) {
                        faults.links.entry(link).or_default().push(active.clone());
                    }
                }
                Place::Node => {
                    for node in nodes_of(topology, &fault.on) {
                        faults.nodes.entry(node).or_default().push(active.clone());
                    }
                }
                Place::Source => {
                    for source in topology.sources_named(&fault.on) {
                        faults.sources.entry(source).or_default().push(active.clone());
                    }
                }
                Place::Operator => {
                    if let Some(operator) = topology.actor(&fault.on) {
                        faults.operators.entry(operator).or_default().push(active);
                    }
                }
                Place::Broker => {
                    if let Some(actor) = topology.actor(&fault.on) {
                        faults.brokers.entry(actor).or_default().push(active);
                    }
                }
                Place::Disk => {
                    if let Some(actor) = topology.actor(&fault.on) {
                        faults.disks.entry(actor).or_default().push(active);
                    }
                }
            }
        }
        faults
    }

    /// No faults at all: the calm of the twin.
    pub fn none(topology: &Arc<Topology>, run: Run) -> Self {
        let none = BTreeMap::new;
        Self {
            topology: Arc::clone(topology),
            links: none(),
            nodes: BTreeMap::new(),
            sources: BTreeMap::new(),
            operators: BTreeMap::new(),
            brokers: BTreeMap::new(),
            disks: BTreeMap::new(),
            run,
        }
    }

    /// What befalls links, and what operators pass on.
    pub fn waves(&self) -> Waves {
        Waves::new(&self.topology, &self.links, &self.operators, self.run.seed)
    }

    /// What befalls the disk of an actor, and how long it takes for what it does.
    pub fn disk(&self, actor: ActorId, settings: &script::Disk) -> DiskWaves {
        let name = &self.topology.actors[actor.0 as usize].name;
        let faults = self.disks.get(&actor).map_or(&[][..], Vec::as_slice);
        DiskWaves::new(settings, faults, name, self.run.seed)
    }

    /// What befalls a broker and its readers.
    pub fn broker(&self, actor: ActorId) -> BrokerWaves {
        let name = &self.topology.actors[actor.0 as usize].name;
        let faults = self.brokers.get(&actor).map_or(&[][..], Vec::as_slice);
        BrokerWaves::new(faults, &self.topology, name)
    }

    /// What befalls nodes, in order of time.
    pub fn node_plan(&self) -> NodePlan {
        node::plan(&self.nodes)
    }

    /// The crashes that are set off by what nodes take.
    pub fn strikes(&self) -> Vec<Strike> {
        node::strikes(&self.nodes)
    }

    /// The clock of every node.
    ///
    /// # Errors
    /// When a clock would stand still or run backwards.
    pub fn clocks(&self) -> Result<Vec<NodeClock>, String> {
        let none = Vec::new();
        self.topology
            .nodes
            .iter()
            .enumerate()
            .map(|(i, settings)| {
                let faults = self.nodes.get(&NodeId(i as u32)).unwrap_or(&none);
                node::clock(settings, faults, self.run.start).map_err(|why| format!("node {}: {why}", settings.name))
            })
            .collect()
    }

    /// What leaves a source, after its faults have had their way with its plan.
    pub fn departures(&self, source: ActorId, plan: wavetank_scenarios::input::Input) -> Departures {
        let plain = plan.filter_map(|planned| {
            let at = planned.leaves?;
            let faults = Vec::new();
            let (number, happened) = (planned.number, planned.happened);
            Some(Departure {
                at,
                planned: at,
                happened,
                number,
                what: Some(planned.what),
                faults,
            })
        });
        match self.sources.get(&source) {
            Some(faults) => {
                let actor = &self.topology.actors[source.0 as usize];
                source::disturb(Box::new(plain), faults, &actor.name, &actor.schema)
            }
            None => Box::new(plain),
        }
    }
}

/// The nodes that a fault's `on` names: a node, all those of a source, or the one that an actor stands on.
fn nodes_of(topology: &Topology, on: &str) -> Vec<NodeId> {
    let named = topology.nodes_named(on);
    match topology.actor(on) {
        Some(actor) if named.is_empty() => vec![topology.actors[actor.0 as usize].node],
        _ => named,
    }
}

/// When each fault is over for good: the end of its last period or moment, [`Time::MAX`] when it never is.
pub fn over(fault: &Fault, run: Run) -> Time {
    let schedule = Schedule::new(fault, run.seed, run.length);
    let point = matches!(fault.kind, FaultKind::Crash | FaultKind::Jump);
    let end = if point || (schedule.has_moments() && fault.lasting.is_none()) {
        schedule
            .moments()
            .last()
            .map(|moment| moment + fault.restart.unwrap_or_default())
    } else if schedule.has_moments() {
        schedule.periods().map(|(_, end)| end).max()
    } else {
        fault
            .during
            .as_ref()
            .map_or(Some(run.length), |periods| periods.0.iter().map(|(_, end)| *end).max())
    };
    run.start + end.unwrap_or_default().min(run.length)
}
