//! The proof of recovery: a node crashes at every single delivery of a run, one run for each, and after each the results,
//! the late events and everything that is always held to must be as without that crash.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use wavetank_oracle::table::Table;
use wavetank_reports::record::Holds;
use wavetank_scenarios::fault::FaultKind;
use wavetank_scenarios::script::Fault;
use wavetank_scenarios::topology::{ActorId, NodeId, Role};
use wavetank_scenarios::{EventId, Script, Span};

use crate::judge::Judge;
use crate::run::{Options, RunError, Tank};

/// What the id of a crash that is added begins with; the node's name follows.
pub const CRASH: &str = "crash-of-";

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
    pub(crate) fn new(mut judge: Judge) -> Self {
        let mut taken = vec![0; judge.topology.nodes.len()];
        for (actor, meter) in judge.topology.actors.iter().zip(&judge.actors) {
            taken[actor.node.0 as usize] += meter.delivered;
        }
        Self {
            late: std::mem::take(&mut judge.late),
            taken,
            tables: judge.sink_tables(),
        }
    }
}

/// How a run with crashes differs from the one without.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference {
    /// A sink has other rows.
    Results(String),
    /// Other events were late.
    Late(String),
    /// Something that is always held to is broken: an operator is not in step with its model, or its books do not add up.
    Broken(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Results(what) | Self::Late(what) | Self::Broken(what) => f.write_str(what),
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
    pub broken: Vec<(u64, Difference)>,
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
        id: format!("{CRASH}{node}"),
        kind: FaultKind::Crash,
        on: node.into(),
        delivery: Some(delivery),
        restart: Some(restart),
        ..Fault::of(FaultKind::Crash)
    });
    script
}

/// A script and what it comes to without crashes, which runs with them are compared with.
pub struct Proof<'a> {
    tank: &'a Tank,
    script: &'a Arc<Script>,
    options: Options,
    calm: Outcome,
}

impl<'a> Proof<'a> {
    /// Runs the script as it is.
    ///
    /// # Errors
    /// When the scenario cannot be run.
    pub fn new(tank: &'a Tank, script: &'a Arc<Script>, options: &Options) -> Result<Self, RunError> {
        let options = Options {
            hash: false,
            trace: false,
            progress: None,
            ..options.clone()
        };
        let (_, calm) = tank.outcome(script, &options)?;
        Ok(Self {
            tank,
            script,
            options,
            calm,
        })
    }

    /// How many elements a node takes; none, when there is no such node.
    pub fn deliveries(&self, node: &str) -> u64 {
        let index = self.script.topology.nodes.iter().position(|known| known.name == node);
        index.map_or(0, |index| self.calm.taken[index])
    }

    /// How many rows the sinks have, and how many events were late: what there is to compare.
    pub fn size(&self) -> (usize, usize) {
        let rows = self.calm.tables.values().map(Table::len).sum();
        (rows, self.calm.late.len())
    }

    /// Runs the same script with crashes, and says what is different, if anything is.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn compare(&self, crashed: &Arc<Script>) -> Result<Option<Difference>, RunError> {
        let calm = &self.calm;
        let (record, came) = self.tank.outcome(crashed, &self.options)?;
        let unkept = record.expectations.iter().find(|expectation| {
            matches!(expectation.kind, wavetank_reports::record::Kind::Derived) && expectation.holds == Holds::No
        });
        if let Some(unkept) = unkept {
            return Ok(Some(Difference::Broken(format!("broken: {}", unkept.name))));
        }
        let different = calm.tables.iter().find(|(sink, table)| {
            let same = |came: &Table| came.equals(table) && table.equals(came);
            !came.tables.get(sink).is_some_and(same)
        });
        let name = |actor: &ActorId| &self.script.topology.actors[actor.0 as usize].name;
        if let Some((sink, table)) = different {
            let (rows, expected) = (came.tables.get(sink).map_or(0, Table::len), table.len());
            let what = if rows == expected {
                format!(
                    "{} has {rows} rows, and some are other than in the run without it",
                    name(sink)
                )
            } else {
                format!(
                    "{} has {rows} rows, not the {expected} of the run without it",
                    name(sink)
                )
            };
            return Ok(Some(Difference::Results(what)));
        }
        let late = calm.late.symmetric_difference(&came.late).next();
        Ok(late.map(|event| {
            let (actor, id) = event;
            let is = if came.late.contains(event) { "is" } else { "is not" };
            Difference::Late(format!("event {id} {is} late at {}", name(actor)))
        }))
    }

    /// Crashes a node at every `step`th delivery, from the first on, and says which of these crashes show.
    ///
    /// # Errors
    /// When the scenario cannot be run.
    pub fn crash_everywhere(&self, node: &str, step: usize, restart: Span) -> Result<Crashes, RunError> {
        let deliveries = self.deliveries(node);
        let mut broken = Vec::new();
        for delivery in (1..=deliveries).step_by(step) {
            if self.options.interrupt.load(std::sync::atomic::Ordering::Relaxed) {
                break;
            }
            let crashed = Arc::new(with_crash(self.script, node, delivery, restart));
            let difference = self.compare(&crashed)?;
            broken.extend(difference.map(|difference| (delivery, difference)));
        }
        Ok(Crashes {
            node: node.into(),
            deliveries,
            broken,
        })
    }
}
