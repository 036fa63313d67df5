//! The record: the one result of a run, which everything a person sees is a rendering of.
//!
//! It goes to JSON and back without loss. All its numbers follow from the scenario and the seed alone, but for
//! [`Record::wall`], which is what the run cost on this machine and is never compared. Times are whole microseconds of
//! virtual time unless a field says otherwise.

mod failure;
mod outcome;
mod read;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use failure::{Command, Culprit, Failure, Idea, Purpose, ScriptLine, Touched};
pub use outcome::{Holds, Must, Outcome, Verdict};
pub use read::ReadError;
pub(crate) use read::read_versioned;
pub use values::{Metric, Number, TraceHash};

use crate::histogram::Histogram;
use crate::time::{Span, Time};

/// The version of the record that this program writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;

/// Metrics: of what (an actor, a link `a -> b`, `fault.id`, or the world), then which one.
pub type Metrics = BTreeMap<String, BTreeMap<String, Metric>>;

/// Histograms: of what (as in [`Metrics`]), then which one.
pub type Histograms = BTreeMap<String, BTreeMap<String, Histogram>>;

/// The result of a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Version of this format: [`SCHEMA`].
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The pattern that it is about, by its name in files.
    pub pattern: String,
    /// What it shows, in one or two sentences.
    #[serde(default)]
    pub about: String,
    /// Where the scenario came from: a path, or a name in the library.
    pub origin: String,
    /// The seed of all draws.
    pub seed: u64,
    /// Settings that were changed from outside, each as `key=value`.
    #[serde(default)]
    pub overrides: Vec<String>,
    /// Whether the scenario is to pass or to fail.
    pub must: Must,
    /// With `must = "fail"`: the expectations that must be the ones to fail.
    #[serde(default)]
    pub because: Vec<String>,
    /// What the judge says about the expectations.
    pub verdict: Verdict,
    /// What that means for a scenario of this kind: whether it did what it must.
    pub outcome: Outcome,
    /// The hash of the whole trace, which names the run.
    pub trace_hash: TraceHash,
    /// How many events the sources sent.
    pub events: u64,
    /// How many elements were delivered, over all links.
    pub deliveries: u64,
    /// How many entries of the fabric were worked on: deliveries, timers, faults.
    pub steps: u64,
    /// Where virtual time started.
    #[serde(rename = "start_us")]
    pub start: Time,
    /// How much virtual time went by.
    #[serde(rename = "simulated_us")]
    pub simulated: Span,
    /// What the run cost on this machine, wall clock. The only number here that differs from run to run.
    #[serde(rename = "wall_us")]
    pub wall: Span,
    /// How many times as fast as the machine's clock the run went, when it followed that: its times are then measured, and
    /// differ from run to run. None for a run in virtual time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real_time: Option<f64>,
    /// True when the run was stopped before its end: what is here is what there was until then.
    #[serde(default)]
    pub interrupted: bool,
    /// What else a person should know of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// Every declared fault and what it did.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// Every expectation and whether it holds, the scenario's own first.
    #[serde(default)]
    pub expectations: Vec<Expectation>,
    /// Numbers of actors, links and faults.
    #[serde(default)]
    pub metrics: Metrics,
    /// Distributions of simulated spans.
    #[serde(default)]
    pub histograms: Histograms,
    /// What each actor did with its events.
    #[serde(default)]
    pub actors: Vec<ActorCounts>,
    /// What each link did with its elements.
    #[serde(default)]
    pub links: Vec<LinkCounts>,
    /// What each sink holds in the end.
    #[serde(default)]
    pub sinks: Vec<SinkTable>,
    /// How far each sink is from the references.
    #[serde(default)]
    pub distances: Vec<Distance>,
    /// Data that could not be read.
    #[serde(default)]
    pub data: DataProblems,
    /// What else a person should know, each a sentence.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The command that runs this again.
    pub reproduce: String,
    /// Where the run's files are (the record, tables, the trace), if they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<String>,
}

/// A declared fault and what it did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// Its id in the scenario.
    pub id: String,
    /// What it is, by its name in files.
    pub kind: String,
    /// What it disturbs: a link, a node or a source.
    pub on: String,
    /// What it was declared to do, in words: `5 % of events late by ~20s, 2m..5m`.
    #[serde(default)]
    pub about: String,
    /// False for a fault with rate 0, which counts as not declared.
    #[serde(default = "yes")]
    pub declared: bool,
    /// How often it acted.
    pub fired: u64,
    /// How many events it touched.
    #[serde(default)]
    pub touched: u64,
    /// When it first acted.
    #[serde(default, rename = "first_us")]
    pub first: Option<Time>,
    /// When it last acted.
    #[serde(default, rename = "last_us")]
    pub last: Option<Time>,
    /// How long after it acted something noticed it (a new incarnation, a take-over), where something does; of several
    /// times the longest.
    #[serde(default, rename = "detected_after_us")]
    pub detected_after: Option<Span>,
    /// How long after it acted everything that had been taken before was taken again, where it comes again; of several
    /// times the longest.
    #[serde(default, rename = "recovered_after_us")]
    pub recovered_after: Option<Span>,
    /// What became of the service of two copies of an operator, where it cost one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
}

/// What a fault did to the service of two copies of an operator, until the next fault that did something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// From the moment in which the primary was lost to the first result of its successor at a receiver; of several times
    /// the longest.
    #[serde(default, rename = "gap_us")]
    pub gap: Option<Span>,
    /// How long both were primary.
    #[serde(default, rename = "overlap_us")]
    pub overlap: Span,
    /// Results that a receiver had already.
    #[serde(default)]
    pub repeated: u64,
    /// Results that a receiver refused because of their old token.
    #[serde(default)]
    pub refused: u64,
    /// Results that no receiver will get any more.
    #[serde(default)]
    pub missing: u64,
}

const fn yes() -> bool {
    true
}

/// When an expectation must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// At every instant.
    Always,
    /// From some instant on, within a stated time.
    Eventually,
    /// At one instant at least.
    Sometimes,
    /// At no instant.
    Never,
    /// When all is over.
    Final,
    /// Follows from the topology and its promises; not written in the scenario.
    Derived,
}

/// A statement about the run and whether it holds.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Expectation {
    /// The statement in words.
    pub name: String,
    /// When it must hold.
    pub kind: Kind,
    /// The statement as the scenario writes it, or the rule that a derived one follows from.
    #[serde(default)]
    pub text: String,
    /// Whether it holds.
    pub holds: Holds,
    /// Why it was not put to the test, where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untested: Option<String>,
    /// The first moment at which it was seen to be broken.
    #[serde(default, rename = "first_broken_us")]
    pub first_broken: Option<Time>,
    /// What broke it and why, where it does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// What an actor did with its events. At every instant
/// `in + restored = caused + filtered + late + shed + failed + held + lost_in_crash + undone`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ActorCounts {
    /// Its name.
    pub actor: String,
    /// What it is: `source`, `operator`, `watermark`, `sink`.
    #[serde(default)]
    pub role: String,
    /// Events that came to it: taken in, turned away by a full mailbox, or lost in front of it when its node crashed.
    #[serde(rename = "in")]
    pub taken: u64,
    /// Events that went out, side outputs included.
    #[serde(rename = "out")]
    pub emitted: u64,
    /// Of those that came in: done, with a result to their name.
    pub caused: u64,
    /// Done without a result, because a predicate said so.
    pub filtered: u64,
    /// Came too late.
    pub late: u64,
    /// Dropped because a mailbox was full.
    pub shed: u64,
    /// Could not be worked on.
    pub failed: u64,
    /// Still in its state.
    pub held: u64,
    /// In its state or mailbox when its node crashed.
    pub lost_in_crash: u64,
    /// In its state when it went back to what was saved, and not in that: what had come since the cut comes again.
    #[serde(default)]
    pub undone: u64,
    /// In the state that it went back to: they get a fate once more.
    #[serde(default)]
    pub restored: u64,
}

impl ActorCounts {
    /// How many more events came in than have a fate: 0, or something disappeared (positive) or was counted twice.
    pub const fn unaccounted(&self) -> i128 {
        let fates = self.caused as i128
            + self.filtered as i128
            + self.late as i128
            + self.shed as i128
            + self.failed as i128
            + self.held as i128
            + self.lost_in_crash as i128
            + self.undone as i128;
        self.taken as i128 + self.restored as i128 - fates
    }
}

/// What a link did with its elements.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct LinkCounts {
    /// `from -> to`.
    pub link: String,
    /// Elements that were given to it.
    pub sent: u64,
    /// Elements that came out, copies included.
    pub delivered: u64,
    /// Elements that never came out.
    pub lost: u64,
    /// Copies that came out besides the first.
    pub duplicated: u64,
    /// Packets that a stream sent again.
    pub retransmitted: u64,
    /// Elements that came out after one that was sent later.
    pub reordered: u64,
}

/// The results that a sink holds in the end, its answers folded.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SinkTable {
    /// The sink's name.
    pub sink: String,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// Which of the columns (by index) name a row: window and group. Empty when rows have no name of their own.
    #[serde(default)]
    pub key: Vec<usize>,
    /// How many rows it has.
    pub rows: u64,
    /// The hash of all rows, in their stated order: equal tables have equal hashes.
    pub hash: TraceHash,
    /// The first rows (or all of them), each with a value for every column.
    #[serde(default)]
    pub first: Vec<Vec<serde_json::Value>>,
}

impl SinkTable {
    /// True when [`SinkTable::first`] is the whole table.
    pub fn is_whole(&self) -> bool {
        self.first.len() as u64 == self.rows
    }
}

/// What a sink is compared with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reference {
    /// The result over every event of the fault-free input, by true time.
    Truth,
    /// The result over what arrived and was not late, by stamp.
    Admitted,
    /// The same scenario and seed without its faults.
    Twin,
}

/// How far a sink's table is from a reference, row by row.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Distance {
    /// The sink.
    pub sink: String,
    /// What it is compared with.
    pub reference: Reference,
    /// Rows of the reference.
    pub expected_rows: u64,
    /// Rows that are the same in both.
    pub equal: u64,
    /// Rows of both that differ in a value.
    pub different: u64,
    /// Rows of the reference that the sink does not have.
    pub missing: u64,
    /// Rows of the sink that the reference does not have.
    pub extra: u64,
    /// For columns of numbers: how far apart they are.
    #[serde(default)]
    pub columns: Vec<ColumnDistance>,
}

impl Distance {
    /// True when the tables are the same.
    pub const fn is_zero(&self) -> bool {
        self.different == 0 && self.missing == 0 && self.extra == 0
    }
}

/// How far a column's numbers are from the reference's, over the rows that both have.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ColumnDistance {
    /// The column.
    pub column: String,
    /// The mean of |value − reference|.
    pub mean: Number,
    /// The largest |value − reference|.
    pub max: Number,
}

/// Data that could not be read.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct DataProblems {
    /// How many rows were skipped.
    pub skipped: u64,
    /// The first problems.
    #[serde(default)]
    pub first: Vec<DataProblem>,
}

/// A row of a data file that could not be read.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct DataProblem {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1; 0 for the whole line.
    #[serde(default)]
    pub column: u64,
    /// What is wrong, and what was probably meant.
    pub message: String,
}

impl Record {
    /// A record of a run about which nothing is known yet but its name and seed; fill in the rest.
    pub fn new(scenario: impl Into<String>, pattern: impl Into<String>, seed: u64) -> Self {
        Self {
            schema: SCHEMA,
            scenario: scenario.into(),
            pattern: pattern.into(),
            about: String::new(),
            origin: String::new(),
            seed,
            overrides: Vec::new(),
            must: Must::Pass,
            because: Vec::new(),
            verdict: Verdict::Inconclusive,
            outcome: Outcome::Inconclusive,
            trace_hash: TraceHash::default(),
            events: 0,
            deliveries: 0,
            steps: 0,
            start: Time::default(),
            simulated: Span::default(),
            wall: Span::default(),
            real_time: None,
            interrupted: false,
            remarks: Vec::new(),
            faults: Vec::new(),
            expectations: Vec::new(),
            metrics: Metrics::new(),
            histograms: Histograms::new(),
            actors: Vec::new(),
            links: Vec::new(),
            sinks: Vec::new(),
            distances: Vec::new(),
            data: DataProblems::default(),
            notes: Vec::new(),
            reproduce: String::new(),
            outputs: None,
        }
    }

    /// Works verdict and outcome out from the expectations and the fault ledger (see [`Verdict::of`] and
    /// [`Outcome::of`]) and puts them in.
    pub fn conclude(&mut self) {
        self.verdict = Verdict::of(&self.expectations, &self.faults, self.interrupted);
        self.outcome = Outcome::of(self.must, &self.because, self.verdict, &self.expectations);
    }

    /// Sets a metric.
    pub fn set_metric(&mut self, of: impl Into<String>, name: impl Into<String>, value: Metric) {
        self.metrics.entry(of.into()).or_default().insert(name.into(), value);
    }

    /// A metric, if the run has it.
    pub fn metric(&self, of: &str, name: &str) -> Option<Metric> {
        self.metrics.get(of)?.get(name).copied()
    }

    /// The histogram, if the run has it.
    pub fn histogram(&self, of: &str, name: &str) -> Option<&Histogram> {
        self.histograms.get(of)?.get(name)
    }

    /// Declared faults that never acted.
    pub fn silent_faults(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(|fault| fault.declared && fault.fired == 0)
    }

    /// Expectations that do not hold.
    pub fn broken(&self) -> impl Iterator<Item = &Expectation> {
        self.expectations.iter().filter(|e| e.holds == Holds::No)
    }

    /// True when both are records of one and the same run: everything but the wall-clock cost and the place of the files
    /// is equal.
    pub fn same_run(&self, other: &Self) -> bool {
        let plain = |record: &Self| Self {
            wall: Span::default(),
            outputs: None,
            ..record.clone()
        };
        plain(self) == plain(other)
    }
}

/// Concludes the runs of one scenario over a range of seeds: a declared fault counts as fired when it fired in any of
/// them, so that a rare one does not make the runs that it spared inconclusive.
pub fn conclude_range(runs: &mut [Record]) {
    let fired: BTreeSet<String> = runs
        .iter()
        .flat_map(|run| &run.faults)
        .filter(|f| f.fired > 0)
        .map(|f| f.id.clone())
        .collect();
    for run in runs {
        let silent: Vec<Fault> = run.faults.iter().filter(|f| !fired.contains(&f.id)).cloned().collect();
        run.verdict = Verdict::of(&run.expectations, &silent, run.interrupted);
        run.outcome = Outcome::of(run.must, &run.because, run.verdict, &run.expectations);
    }
}
