//! Records for other programs: JSON for a whole command, JSON Lines for a scenario each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::{Holds, Kind, Outcome, ReadError, Record, SCHEMA, TraceHash, Verdict};
use crate::time::{Span, Time};

/// What `--format jsonl` writes for each scenario: the outcome and where the rest is. All of it is in the [`Record`] too.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// The scenario.
    pub scenario: String,
    /// Its pattern.
    pub pattern: String,
    /// The seed.
    pub seed: u64,
    /// What the judge says.
    pub verdict: Verdict,
    /// What that means for a scenario of its kind.
    pub outcome: Outcome,
    /// The hash of the trace.
    pub trace_hash: TraceHash,
    /// Events sent by sources.
    pub events: u64,
    /// Virtual time that went by, in microseconds.
    #[serde(rename = "simulated_us")]
    pub simulated: Span,
    /// Wall-clock cost in microseconds: the only noisy number.
    #[serde(rename = "wall_us")]
    pub wall: Span,
    /// Whether the run was stopped before its end.
    pub interrupted: bool,
    /// The declared faults.
    pub faults: Vec<FaultLine>,
    /// The expectations.
    pub expectations: Vec<ExpectationLine>,
    /// Where the run's files are, if they were kept.
    pub outputs: Option<String>,
    /// The command that runs it again.
    pub reproduce: String,
}

/// A fault of a [`Line`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FaultLine {
    /// Its id.
    pub id: String,
    /// How often it acted.
    pub fired: u64,
}

/// An expectation of a [`Line`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ExpectationLine {
    /// The statement in words.
    pub name: String,
    /// When it must hold.
    pub kind: Kind,
    /// Whether it holds.
    pub holds: Holds,
    /// When it was first seen to be broken, in virtual time.
    #[serde(rename = "first_broken_us")]
    pub first_broken: Option<Time>,
}

impl From<&Record> for Line {
    fn from(record: &Record) -> Self {
        Self {
            scenario: record.scenario.clone(),
            pattern: record.pattern.clone(),
            seed: record.seed,
            verdict: record.verdict,
            outcome: record.outcome,
            trace_hash: record.trace_hash.clone(),
            events: record.events,
            simulated: record.simulated,
            wall: record.wall,
            interrupted: record.interrupted,
            faults: record
                .faults
                .iter()
                .filter(|f| f.declared)
                .map(|f| FaultLine {
                    id: f.id.clone(),
                    fired: f.fired,
                })
                .collect(),
            expectations: record
                .expectations
                .iter()
                .map(|e| ExpectationLine {
                    name: e.name.clone(),
                    kind: e.kind,
                    holds: e.holds,
                    first_broken: e.first_broken,
                })
                .collect(),
            outputs: record.outputs.clone(),
            reproduce: record.reproduce.clone(),
        }
    }
}

/// What `--format json` writes: every record of the command.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Version of the records: [`SCHEMA`].
    pub schema: u32,
    /// How many runs did what they must.
    pub passed: u64,
    /// How many did not.
    pub failed: u64,
    /// In how many something was not put to the test.
    pub inconclusive: u64,
    /// The runs.
    pub runs: Vec<Record>,
}

impl Report {
    /// The report of these runs.
    pub fn new(runs: Vec<Record>) -> Self {
        let how_many = |what: fn(Outcome) -> bool| runs.iter().filter(|r| what(r.outcome)).count() as u64;
        Self {
            schema: SCHEMA,
            passed: how_many(Outcome::is_ok),
            failed: how_many(|o| !o.is_ok() && o != Outcome::Inconclusive),
            inconclusive: how_many(|o| o == Outcome::Inconclusive),
            runs,
        }
    }
}

/// The JSON Lines object of a run: one line, without its end.
///
/// # Errors
/// None that a record can cause; serialising is fallible by type.
pub fn line(record: &Record) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Line::from(record))
}

/// A record as indented JSON, ending with a new line: the form of the run store.
///
/// # Errors
/// None that a record can cause; serialising is fallible by type.
pub fn record(record: &Record) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(record).map(|text| text + "\n")
}

/// A whole command's records as indented JSON.
///
/// # Errors
/// None that a record can cause; serialising is fallible by type.
pub fn report(runs: Vec<Record>) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&Report::new(runs)).map(|text| text + "\n")
}

/// The records in a JSON text: of one run, or of a whole command. `origin` is where the text came from, for errors.
///
/// # Errors
/// As [`Record::from_json`].
pub fn read(text: &str, origin: &str) -> Result<Vec<Record>, ReadError> {
    #[derive(Deserialize)]
    struct Probe {
        #[serde(default)]
        runs: Option<serde::de::IgnoredAny>,
    }
    match serde_json::from_str::<Probe>(text) {
        Ok(Probe { runs: Some(_) }) => crate::record::read_versioned::<Report>(text, origin).map(|report| report.runs),
        _ => Record::from_json(text, origin).map(|record| vec![record]),
    }
}

/// The JSON Schema of a record.
pub fn record_schema() -> schemars::Schema {
    schemars::schema_for!(Record)
}

/// The JSON Schema of a JSON Lines object.
pub fn line_schema() -> schemars::Schema {
    schemars::schema_for!(Line)
}
