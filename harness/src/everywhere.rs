//! The proof of recovery: a node crashes at every single delivery of a run, one run for each, and after each the results,
//! the late events and everything that is always held to must be as without that crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_oracle::table::Table;
use wavetank_reports::record::Holds;
use wavetank_scenarios::fault::FaultKind;
use wavetank_scenarios::script::Fault;
use wavetank_scenarios::topology::{ActorId, NodeId, Role};
use wavetank_scenarios::{EventId, Script, Span};

use crate::judge::Judge;
use crate::run::{Options, RunError, Tank};

/// The id of the crash that is added.
pub const CRASH: &str = "crash-everywhere";

/// What a run comes to, as far as a crash must not change it.
pub struct Outcome {
    /// What each sink has, folded.
    tables: BTreeMap<ActorId, Table>,
    /// Which events were late, and where.
    late: BTreeSet<(ActorId, EventId)>,
    /// How many elements each node has taken.
    taken: Vec<u64>,
}

impl Outcome {
    /// The outcome of a run that has been judged.
    pub(crate) fn new(judge: Judge) -> Self {
        let mut taken = vec![0; judge.topology.nodes.len()];
        for (actor, meter) in judge.topology.actors.iter().zip(&judge.actors) {
            taken[actor.node.0 as usize] += meter.delivered;
        }
        Self {
            late: judge.late(),
            taken,
            tables: judge.sink_tables(),
        }
    }
}

/// What came of the crashes of one node.
#[derive(Clone, Debug)]
pub struct Crashes {
    /// The node.
    pub node: String,
    /// How many elements it takes without a crash: so many runs were made.
    pub deliveries: u64,
    /// The runs that came out otherwise, each with the delivery before which the node crashed, and what was different.
    pub broken: Vec<(u64, String)>,
}

/// The nodes that operators stand on, in the order of the scenario.
pub fn nodes(script: &Script) -> Vec<String> {
    let mut nodes: Vec<NodeId> = Vec::new();
    for (index, actor) in script.topology.actors.iter().enumerate() {
        let operator = matches!(
            actor.role,
            Role::Operator { .. } | Role::Split { .. } | Role::Worker { .. } | Role::Merge { .. }
        );
        if operator && script.topology.takes_part(ActorId(index as u32)) && !nodes.contains(&actor.node) {
            nodes.push(actor.node);
        }
    }
    let name = |node: &NodeId| script.topology.nodes[node.0 as usize].name.clone();
    nodes.iter().map(name).collect()
}

/// The same script, in which a node crashes just before it takes its `delivery`th element.
pub fn with_crash(script: &Script, node: &str, delivery: u64, restart: Span) -> Script {
    let mut script = script.clone();
    script.scenario.faults.push(Fault {
        id: CRASH.into(),
        kind: FaultKind::Crash,
        on: node.into(),
        delivery: Some(delivery),
        restart: Some(restart),
        ..Fault::of(FaultKind::Crash)
    });
    script
}

/// Crashes a node at every delivery, and says which of these crashes show.
///
/// # Errors
/// When the scenario cannot be run.
pub fn crash_everywhere(
    tank: &Tank,
    script: &Arc<Script>,
    options: &Options,
    node: &str,
    restart: Span,
) -> Result<Crashes, RunError> {
    let options = Options {
        hash: false,
        trace: false,
        progress: None,
        ..options.clone()
    };
    let (_, calm) = tank.outcome(script, &options)?;
    let index = script.topology.nodes.iter().position(|known| known.name == node);
    let deliveries = index.map_or(0, |index| calm.taken[index]);
    let mut broken = Vec::new();
    for delivery in 1..=deliveries {
        if options.interrupt.load(std::sync::atomic::Ordering::Relaxed) {
            break;
        }
        let crashed = Arc::new(with_crash(script, node, delivery, restart));
        let (record, came) = tank.outcome(&crashed, &options)?;
        let unkept = record.expectations.iter().find(|expectation| {
            matches!(expectation.kind, wavetank_reports::record::Kind::Derived) && expectation.holds == Holds::No
        });
        let different = calm.tables.iter().find(|(sink, table)| {
            let same = |came: &Table| came.equals(table) && table.equals(came);
            !came.tables.get(sink).is_some_and(same)
        });
        let why = if let Some((sink, table)) = different {
            let name = &script.topology.actors[sink.0 as usize].name;
            let rows = came.tables.get(sink).map_or(0, Table::len);
            Some(format!(
                "{name} has {rows} rows, not the {} of the run without it",
                table.len()
            ))
        } else if let Some(event) = calm.late.symmetric_difference(&came.late).next() {
            let (actor, id) = event;
            let name = &script.topology.actors[actor.0 as usize].name;
            let is = if came.late.contains(event) { "is" } else { "is not" };
            Some(format!("event {id} {is} late at {name}"))
        } else {
            unkept.map(|expectation| format!("broken: {}", expectation.name))
        };
        broken.extend(why.map(|why| (delivery, why)));
    }
    Ok(Crashes {
        node: node.into(),
        deliveries,
        broken,
    })
}
