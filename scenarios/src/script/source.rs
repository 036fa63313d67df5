//! Where events come from: `[[source]]`.

use std::collections::BTreeMap;

use arcstr::ArcStr;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Scalar;
use crate::generate::{FieldGenerator, Rate};
use crate::schema::{FieldType, StreamId};
use crate::time::Span;

/// `[[source]]`: where events come from. Exactly one of `rate`, `file`, `events` and `marbles` says how.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// The stream that its events belong to. Default: the source's name, version 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamId>,
    /// How many nodes produce it: each has its own clock, numbers and link; events are dealt to them in turn, or by
    /// `node_by`.
    #[serde(default = "one")]
    pub nodes: u32,
    /// Deal events to nodes by the hash of this field instead of in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_by: Option<String>,
    /// The declared schema: names and types. What is declared is checked; what is not is inferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, FieldType>>")]
    pub schema: Option<IndexMap<ArcStr, FieldType>>,
    /// Generated: how often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Generated: what.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "BTreeMap<String, FieldGenerator>")]
    pub fields: IndexMap<ArcStr, FieldGenerator>,
    /// Generated: how many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// From a file: CSV (`.csv`) or JSON Lines (`.jsonl`, `.ndjson`), beside the scenario file or in the library's data. A
    /// name with a slash behind is a folder: its files are read one after the other, in the order of their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// From a folder, when the machine's clock is followed (`--real-time`): where its files are moved when a run that read
    /// them has come to its end. With virtual time nothing is moved. Numbers of events go on behind those of the files that
    /// lie there. Default: files stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<String>,
    /// From a file: the column of the event time. Default: the arrival column, or the row's turn at `rate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<String>,
    /// From a file: the column of the arrival time. Arrivals are then replayed as recorded; a row whose arrival is empty
    /// never arrives. Default: events leave at their event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival_time: Option<String>,
    /// From a file: how times are written: `"rfc3339"`, `"seconds"`, `"millis"` or `"micros"` since the epoch.
    #[serde(default)]
    pub time_format: TimeFormat,
    /// From a file: what happens to a row that cannot be read.
    #[serde(default)]
    pub on_bad: OnBad,
    /// Literal events and watermarks, in order of arrival.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<LiteralEvent>,
    /// Marbles: `-` lets one `marble_step` pass, a letter is an event with field `marble`, `(ab)` events at one instant,
    /// `|` the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marbles: Option<String>,
    /// How long a `-` of `marbles` takes.
    #[serde(default = "one_second")]
    pub marble_step: Span,
}

/// How a file writes its times.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TimeFormat {
    /// `2013-01-01T10:15:00Z`.
    #[default]
    Rfc3339,
    /// Seconds since the epoch, fractions allowed.
    Seconds,
    /// Milliseconds since the epoch.
    Millis,
    /// Microseconds since the epoch.
    Micros,
}

/// What happens to data that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnBad {
    /// It is reported with its place, counted and skipped.
    Skip,
    /// The run does not start; the first place is the error.
    #[default]
    Stop,
}

/// A literal event, or a literal watermark (`{ watermark = "10s", at = "12s" }`).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiteralEvent {
    /// Event time since the start of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t: Option<Span>,
    /// When it leaves the source, since the start of the run. Default: `t`, or the one before it if that is later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Span>,
    /// The fields.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub row: IndexMap<ArcStr, Scalar>,
    /// Instead of an event: a watermark of that event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Span>,
}

const fn one() -> u32 {
    1
}

const fn one_second() -> Span {
    Span::from_secs(1)
}
