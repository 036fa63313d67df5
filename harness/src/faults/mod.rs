//! Makes the waves: from the faults that a scenario declares to what happens on links, nodes and in sources.
//!
//! What can be known before the run is worked out before it: the instants at which nodes crash and pause, the clocks'
//! segments, the periods of partitions. What is decided for single events is a keyed draw.

mod link;
mod node;
mod source;

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_actors::world::{NodeClock, NodePlan};
use wavetank_actors::{Departure, Departures};
use wavetank_scenarios::fault::{FaultKind, Place};
use wavetank_scenarios::input::Planned;
use wavetank_scenarios::schedule::Schedule;
use wavetank_scenarios::script::{Fault, Scenario};
use wavetank_scenarios::topology::{ActorId, LinkId, NodeId, Role, Topology};
use wavetank_scenarios::{Span, Time};

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
        let at = |span: Span| if span == Span::MAX { Time::MAX } else { self.run.start + span };
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
            run,
        };
        for (index, fault) in scenario.faults.iter().enumerate().filter(|(_, fault)| fault.rate > 0.0) {
            let schedule = Schedule::new(fault, run.seed, run.length);
            let active = Active { index, fault: fault.clone(), schedule, run };
            match fault.kind.descriptor().place {
                Place::Link => {
                    for link in links_of(topology, &fault.on) {
                        faults.links.entry(link).or_default().push(active.clone());
                    }
                }
                Place::Node => {
                    for node in nodes_of(scenario, topology, &fault.on) {
                        faults.nodes.entry(node).or_default().push(active.clone());
                    }
                }
                Place::Source => {
                    for source in sources_of(scenario, topology, &fault.on) {
                        faults.sources.entry(source).or_default().push(active.clone());
                    }
                }
            }
        }
        faults
    }

    /// No faults at all: the calm of the twin.
    pub fn none(topology: &Arc<Topology>, run: Run) -> Self {
        let none = BTreeMap::new;
        Self { topology: Arc::clone(topology), links: none(), nodes: BTreeMap::new(), sources: BTreeMap::new(), run }
    }

    /// What befalls links.
    pub fn waves(&self) -> Waves {
        Waves::new(&self.topology, &self.links, self.run.seed)
    }

    /// What befalls nodes, in order of time.
    pub fn node_plan(&self) -> NodePlan {
        node::plan(&self.nodes)
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
    pub fn departures(&self, source: ActorId, plan: Box<dyn Iterator<Item = Planned>>) -> Departures {
        let plain = plan.filter_map(|planned| {
            let at = planned.leaves?;
            let faults = Vec::new();
            let (number, happened) = (planned.number, planned.happened);
            Some(Departure { at, planned: at, happened, number, what: Some(planned.what), faults })
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

/// The links that a fault's `on` names: `a -> b`, where `a` may be a whole source.
pub fn links_of(topology: &Topology, on: &str) -> Vec<LinkId> {
    let ends = |text: &str| text.split_once("->").map(|(from, to)| (from.trim().to_owned(), to.trim().to_owned()));
    let named = ends(on);
    let all = topology.links.iter().enumerate();
    all.filter(|(_, link)| {
        ends(&link.name) == named || named.as_ref().is_some_and(|(f, t)| *f == link.settings.from && *t == link.settings.to)
    })
    .map(|(i, _)| LinkId(i as u32))
    .collect()
}

/// The nodes that a fault's `on` names: a node, or an actor for the node that it stands on, or a source for all of its.
pub fn nodes_of(scenario: &Scenario, topology: &Topology, on: &str) -> Vec<NodeId> {
    if let Some(node) = topology.nodes.iter().position(|node| node.name == on) {
        return vec![NodeId(node as u32)];
    }
    let named = topology.actors.iter().filter(|actor| match actor.role {
        Role::Source { source, .. } => actor.name == on || scenario.sources[source].name == on,
        _ => actor.name == on,
    });
    let mut nodes: Vec<NodeId> = named.map(|actor| actor.node).collect();
    nodes.dedup();
    nodes
}

/// The source actors that a fault's `on` names: one part, or all of a source.
pub fn sources_of(scenario: &Scenario, topology: &Topology, on: &str) -> Vec<ActorId> {
    let all = topology.actors.iter().enumerate();
    all.filter(|(_, actor)| match actor.role {
        Role::Source { source, .. } => actor.name == on || scenario.sources[source].name == on,
        _ => false,
    })
    .map(|(i, _)| ActorId(i as u32))
    .collect()
}

/// When each fault is over for good: the end of its last period or moment, [`Time::MAX`] when it never is.
pub fn over(fault: &Fault, run: Run) -> Time {
    let schedule = Schedule::new(fault, run.seed, run.length);
    let point = matches!(fault.kind, FaultKind::Crash | FaultKind::Jump);
    let end = if point || (schedule.has_moments() && fault.lasting.is_none()) {
        schedule.moments().last().map(|moment| moment + fault.restart.unwrap_or_default())
    } else if schedule.has_moments() {
        schedule.periods().map(|(_, end)| end).max()
    } else {
        fault.during.as_ref().map_or(Some(run.length), |periods| periods.0.iter().map(|(_, end)| *end).max())
    };
    run.start + end.unwrap_or_default().min(run.length)
}
