//! The proof of recovery: a node crashes at every single delivery of a run, one run for each, and after each the results,
//! the late events and everything that is always held to must be as without that crash. The same for what is kept: every
//! single time that the store of snapshots writes or deletes, that goes wrong in every way, and a node crashes later.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use wavetank_oracle::table::Table;
use wavetank_reports::record::{Holds, Metric, Record};
use wavetank_scenarios::distribution::Delay;
use wavetank_scenarios::fault::FaultKind;
use wavetank_scenarios::script::Fault;
use wavetank_scenarios::topology::{ActorId, NodeId, Role};
use wavetank_scenarios::{EventId, Script, Span};

use crate::judge::Judge;
use crate::run::{Options, RunError, Tank};

/// What the id of a crash that is added begins with; the node's name follows.
pub const CRASH: &str = "crash-of-";

/// What the id of a fault begins with that breaks a write; the disk's name follows.
pub const BREAK: &str = "break-of-";

/// In what ways a write goes wrong. The first one befalls deletions, too: where it finds nothing, there is nothing.
pub const BREAKS: [FaultKind; 6] = [
    FaultKind::SlowWrite,
    FaultKind::FailedWrite,
    FaultKind::FullDisk,
    FaultKind::TornWrite,
    FaultKind::BitFlip,
    FaultKind::LostFile,
];

/// How much longer a slow write takes: long enough for other snapshots to be due.
const SLOW: Span = Span::from_secs(3);

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

/// What came of the writes of a disk that went wrong, each with a crash of a node afterwards.
#[derive(Clone, Debug)]
pub struct Breaks {
    /// The node that crashed.
    pub node: String,
    /// How many writes there were at most.
    pub writes: u64,
    /// How many runs were made.
    pub runs: u64,
    /// In how many of them something was found to be damaged.
    pub noticed: u64,
    /// The runs that came out otherwise: how which write went wrong, before which delivery the node crashed, and what was
    /// different.
    pub broken: Vec<(FaultKind, u64, u64, Difference)>,
}

/// Who keeps snapshots, where somebody does.
pub fn store(script: &Script) -> Option<String> {
    let actors = &script.topology.actors;
    let store = actors.iter().find(|actor| actor.role == Role::Store)?;
    Some(store.name.to_string())
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

/// The same script, in which a disk's `write`th change goes wrong in this way.
pub fn with_break(script: &Script, disk: &str, kind: FaultKind, write: u64) -> Script {
    let mut script = script.clone();
    script.scenario.faults.push(Fault {
        id: format!("{BREAK}{disk}"),
        kind,
        on: disk.into(),
        write: Some(write),
        amount: (kind == FaultKind::SlowWrite).then_some(Delay::Constant(SLOW)),
        ..Fault::of(kind)
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
        Ok(self.run(crashed)?.1)
    }

    /// Runs the same script with something gone wrong; its record, and what is different.
    fn run(&self, crashed: &Arc<Script>) -> Result<(Record, Option<Difference>), RunError> {
        let (record, came) = self.tank.outcome(crashed, &self.options)?;
        let difference = self.difference(&record, &came);
        Ok((record, difference))
    }

    fn difference(&self, record: &Record, came: &Outcome) -> Option<Difference> {
        let calm = &self.calm;
        let unkept = record.expectations.iter().find(|expectation| {
            matches!(expectation.kind, wavetank_reports::record::Kind::Derived) && expectation.holds == Holds::No
        });
        if let Some(unkept) = unkept {
            return Some(Difference::Broken(format!("broken: {}", unkept.name)));
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
            return Some(Difference::Results(what));
        }
        let late = calm.late.symmetric_difference(&came.late).next();
        late.map(|event| {
            let (actor, id) = event;
            let is = if came.late.contains(event) { "is" } else { "is not" };
            Difference::Late(format!("event {id} {is} late at {}", name(actor)))
        })
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

    /// Lets every single write and deletion of a disk go wrong in every way, each with crashes of a node afterwards, the last
    /// of them at the end of the run, and says which of these show.
    ///
    /// # Errors
    /// When the scenario cannot be run.
    pub fn break_writes(&self, disk: &str, node: &str, restart: Span) -> Result<Breaks, RunError> {
        const CRASHES: u64 = 3;
        let mut breaks = Breaks {
            node: node.into(),
            writes: 0,
            runs: 0,
            noticed: 0,
            broken: Vec::new(),
        };
        let deliveries = self.deliveries(node);
        let mut crashes: Vec<u64> = (1..=CRASHES).map(|part| deliveries * part / CRASHES).collect();
        crashes.retain(|delivery| *delivery > 0);
        crashes.dedup();
        for delivery in crashes {
            let crashed = with_crash(self.script, node, delivery, restart);
            'writes: for write in 1.. {
                for kind in BREAKS {
                    if self.options.interrupt.load(std::sync::atomic::Ordering::Relaxed) {
                        return Ok(breaks);
                    }
                    let (record, difference) = self.run(&Arc::new(with_break(&crashed, disk, kind, write)))?;
                    // The crash is declared first. What is written behind it is broken when a later one comes.
                    let [.., crash, broken] = &record.faults[..] else {
                        break 'writes;
                    };
                    let before = broken
                        .first
                        .is_some_and(|at| crash.first.is_none_or(|crash| at <= crash));
                    if !before {
                        if kind == BREAKS[0] {
                            break 'writes;
                        }
                        continue;
                    }
                    breaks.writes = breaks.writes.max(write);
                    breaks.runs += 1;
                    breaks.noticed += u64::from(damaged(&record));
                    let shows = difference.map(|difference| (kind, write, delivery, difference));
                    breaks.broken.extend(shows);
                }
            }
        }
        Ok(breaks)
    }
}

/// Whether somebody found something damaged.
fn damaged(record: &Record) -> bool {
    let some = |metrics: &BTreeMap<String, Metric>| matches!(metrics.get("damaged"), Some(Metric::Count(n)) if *n > 0);
    record.metrics.values().any(some)
}
