//! The settings of a scenario, as its file writes them. Data and parsing only: what a setting does is written in the
//! actors, and once more, naively, in the judge.
//!
//! Unknown keys are errors. Durations carry units. What a key means when it is left out is its `Default`, so that
//! `wavetank check --expand` can print it.

mod bounds;
mod broker;
mod convey;
mod emit;
mod epoch;
mod failover;
mod fault;
mod filter;
mod gather;
mod join;
mod learner;
mod link;
mod operator;
mod recovery;
mod reorder;
mod sequence;
mod shed;
mod source;
mod transform;
mod watermark;

use std::collections::BTreeMap;

use arcstr::ArcStr;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use bounds::*;
pub use broker::*;
pub use convey::*;
pub use emit::*;
pub use epoch::*;
pub use failover::*;
pub use fault::*;
pub use filter::*;
pub use gather::*;
pub use join::*;
pub use learner::*;
pub use link::*;
pub use operator::*;
pub use recovery::*;
pub use reorder::*;
pub use sequence::*;
pub use shed::*;
pub use source::*;
pub use transform::*;
pub use watermark::*;

use crate::distribution::Delay;
use crate::pattern::Pattern;
use crate::time::{Span, Time};
use crate::value::Value;

/// A scenario: what flows, through what, disturbed by what, and what must hold.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Version of the file format: 1.
    pub schema: u32,
    /// Short name, unique in a library: letters, digits, `-`.
    pub name: String,
    /// The pattern that it is about.
    pub pattern: Pattern,
    /// One or two sentences for a person.
    #[serde(default)]
    pub about: String,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// `"pass"`, or `"fail"` for a scenario that exists to show what goes wrong.
    #[serde(default)]
    pub must: Must,
    /// With `must = "fail"`: the names of the expectations that must be the ones to fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// Length, start, seed and limits of the run.
    #[serde(default)]
    pub time: TimeSettings,
    /// Markers that cut the run into epochs. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// What is saved of the operators' state, and how often. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Snapshot>,
    /// Where operators begin to read again after a crash. Default: where they were, when the links still have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// Nodes that need settings of their own; every actor without `node` stands on a node of its own name.
    #[serde(default, rename = "node", skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Node>,
    /// Tables to enrich from.
    #[serde(default, rename = "table", skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
    /// Where events come from.
    #[serde(default, rename = "source")]
    pub sources: Vec<Source>,
    /// Where events are kept until they have been worked on.
    #[serde(default, rename = "broker", skip_serializing_if = "Vec::is_empty")]
    pub brokers: Vec<Broker>,
    /// What is done with them.
    #[serde(default, rename = "operator", skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<Operator>,
    /// Where results go.
    #[serde(default, rename = "sink")]
    pub sinks: Vec<Sink>,
    /// Links that need settings of their own; all others are streams without delay.
    #[serde(default, rename = "link", skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// What disturbs the run.
    #[serde(default, rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// What must hold, besides what follows from the topology's promises.
    #[serde(default, rename = "expect", skip_serializing_if = "Vec::is_empty")]
    pub expects: Vec<Expect>,
}

impl Scenario {
    /// Whether those who go back after a crash begin with nothing saved, and are given what comes from some place of a log
    /// on that is not its beginning: what they find and number is not what they found at first.
    pub fn resumes_midway(&self) -> bool {
        let from = self.replay.map(|replay| replay.from);
        self.snapshot.is_none() && from != Some(ReplayFrom::Earliest)
    }
    /// The sources and operators whose events an entry of an `input` list carries: itself, or what a broker takes in.
    pub fn behind<'a>(&'a self, entry: &'a str) -> Vec<&'a str> {
        let mut found = Vec::new();
        let mut left = vec![entry];
        // A ring of brokers is an error that is told elsewhere.
        let mut brokers = self.brokers.len();
        while let Some(entry) = left.pop() {
            match self.brokers.iter().find(|broker| broker.name == entry) {
                Some(broker) if brokers > 0 => {
                    brokers -= 1;
                    left.extend(broker.input.iter().rev().map(String::as_str));
                }
                Some(_) => {}
                None => found.push(entry),
            }
        }
        found
    }
}

/// Whether a scenario is to pass or to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Must {
    /// Every expectation holds.
    #[default]
    Pass,
    /// The expectations named in `because` fail (any one, where none is named).
    Fail,
}

/// `[time]`: length, start, seed and limits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeSettings {
    /// How long sources run, in virtual time; what is under way then still arrives. Default: until all sources end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<Span>,
    /// Where virtual time starts. Default: the epoch, or the first arrival of the earliest file source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Time>,
    /// The seed of all draws.
    pub seed: u64,
    /// The unit of event time: a watermark is behind the largest stamp by `behind` and one unit.
    pub tick: Span,
    /// Which comes first at one instant: a delivered event or a due timer.
    pub tie: Tie,
    /// The most deliveries and timers at one instant; more is an endless exchange without delay.
    pub step_budget: u64,
}

impl Default for TimeSettings {
    fn default() -> Self {
        Self {
            length: None,
            start: None,
            seed: 42,
            tick: Span::UNIT,
            tie: Tie::EventFirst,
            step_budget: 1_000_000,
        }
    }
}

/// What comes first of an event and a timer at one instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tie {
    /// Events first.
    #[default]
    EventFirst,
    /// Timers first.
    TimerFirst,
}

/// `[[node]]`: a machine that actors stand on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name. A source with several nodes makes `name-0`, `name-1`, …
    pub name: String,
    /// How long each event occupies each actor of the node. Default: no time at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Delay>,
    /// The most events that wait for each actor of the node. Default: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<u32>,
    /// What happens when the mailbox is full.
    #[serde(default)]
    pub overflow: Overflow,
    /// Which events are given up before the mailbox is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shed: Option<Shed>,
    /// How far its wall clock is ahead of true time; negative for behind.
    #[serde(default)]
    pub offset: Span,
    /// How much faster its clocks run, in parts per million.
    #[serde(default)]
    pub drift_ppm: f64,
}

impl Node {
    /// A node without settings of its own: no service time, no bound, a true clock.
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.into(),
            service: None,
            mailbox: None,
            overflow: Overflow::default(),
            shed: None,
            offset: Span::ZERO,
            drift_ppm: 0.0,
        }
    }
}

/// What happens to an event that finds a full mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// It waits on the link, and the sender stops when the link's `capacity` is used up.
    #[default]
    BackPressure,
    /// The new event is dropped, and counted as shed.
    Drop,
    /// The oldest waiting event is dropped for it, and counted as shed.
    Shed,
}

/// `[[table]]`: rows to look up, in the file itself or in a CSV file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The rows, as inline tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<BTreeMap<String, serde_json::Value>>")]
    pub rows: Vec<IndexMap<ArcStr, Scalar>>,
    /// Or a CSV file with a header, beside the scenario file or in the library's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// A constant in a scenario file: a [`Value`] written the natural way.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// `true`.
    Bool(bool),
    /// `3`.
    Int(i64),
    /// `3.5`.
    Float(f64),
    /// `"text"`.
    Text(String),
    /// `[1, 2]`.
    List(Vec<Scalar>),
    /// `{ a = 1 }`.
    Record(#[schemars(with = "BTreeMap<String, serde_json::Value>")] IndexMap<ArcStr, Scalar>),
}

impl From<&Scalar> for Value {
    fn from(scalar: &Scalar) -> Self {
        match scalar {
            Scalar::Bool(b) => Self::Bool(*b),
            Scalar::Int(i) => Self::Int(*i),
            Scalar::Float(f) => Self::Float(*f),
            Scalar::Text(t) => Self::text(t.as_str()),
            Scalar::List(l) => Self::List(l.iter().map(Self::from).collect::<Vec<_>>().into()),
            Scalar::Record(r) => Self::Record(r.iter().map(|(n, v)| (n.clone(), v.into())).collect::<Vec<_>>().into()),
        }
    }
}

/// `[[sink]]`: where results end.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    /// Its name.
    pub name: String,
    /// The sources and operators that it reads; `op.late` and `op.failed` read what an operator put aside.
    pub input: Vec<String>,
    /// The node that it stands on. Default: one of its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What the pipeline promises this sink; the harness derives expectations from it.
    #[serde(default)]
    pub promise: Promise,
    /// When it shows what it is given, and what it does with what comes again.
    #[serde(default)]
    pub delivery: Delivery,
}

/// What a pipeline promises a sink.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// Nothing twice, nothing invented; what is lost is counted.
    #[default]
    AtMostOnce,
    /// Nothing lost, nothing invented.
    AtLeastOnce,
    /// Nothing lost, nothing twice, nothing invented.
    ExactlyOnce,
}

/// `[[expect]]`: a statement about the run. Exactly one of the five kinds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The statement in words.
    pub name: String,
    /// Holds at every instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub always: Option<String>,
    /// Becomes true within `within` after the start, or after the end of the last fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eventually: Option<String>,
    /// Holds at one instant at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sometimes: Option<String>,
    /// Holds at no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never: Option<String>,
    /// Holds when all is over.
    #[serde(default, rename = "final", skip_serializing_if = "Option::is_none")]
    pub finally: Option<String>,
    /// With `eventually`: within how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// With `eventually`: counted from the start, or from the end of the last fault.
    #[serde(default)]
    pub after: After,
}

/// Where `within` is counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// The start of the run.
    #[default]
    Start,
    /// The end of the last fault that fired.
    Faults,
}
