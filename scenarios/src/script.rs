//! The settings of a scenario, as its file writes them. Data and parsing only: what a setting does is written in the
//! actors, and once more, naively, in the judge.
//!
//! Unknown keys are errors. Durations carry units. What a key means when it is left out is its `Default`, so that
//! `wavetank check --expand` can print it.

use std::collections::BTreeMap;

use arcstr::ArcStr;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distribution::Delay;
use crate::generate::{FieldGenerator, Rate};
use crate::pattern::Pattern;
use crate::query::Query;
use crate::schedule::{Moments, Periods};
use crate::schema::{FieldType, StreamId};
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
    /// Nodes that need settings of their own; every actor without `node` stands on a node of its own name.
    #[serde(default, rename = "node", skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Node>,
    /// Tables to enrich from.
    #[serde(default, rename = "table", skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
    /// Where events come from.
    #[serde(default, rename = "source")]
    pub sources: Vec<Source>,
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
    /// From a file: CSV (`.csv`) or JSON Lines (`.jsonl`, `.ndjson`), beside the scenario file or in the library's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
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

/// `[[operator]]`: one pattern at work. Exactly one of `query`, `transform`, `filter`, `threshold`, `change` and `first`
/// says which.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// Its name.
    pub name: String,
    /// The sources and operators that it reads.
    pub input: Vec<String>,
    /// The node that it stands on. Default: one of its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The stream that its results belong to. Default: its name, version 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamId>,
    /// SQL over one input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub query: Option<Query>,
    /// Steps of a transformation, one after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Vec<TransformStep>>,
    /// A predicate in SQL: what is true passes, all else (null too) is filtered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub filter: Option<crate::query::Predicate>,
    /// A threshold with hysteresis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
    /// A rate of change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<RateOfChange>,
    /// The first event of a burst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<FirstOfBurst>,
    /// What happens to an event that the operator cannot work on.
    #[serde(default)]
    pub on_error: OnError,
    /// A watermark generator on this operator's node, behind its input link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Watermark>,
    /// Windows: what happens to late events.
    #[serde(default)]
    pub late: Late,
    /// Windows: how long after its completeness a window takes events in (allowed lateness).
    #[serde(default)]
    pub horizon: Span,
    /// Windows: when exactly an event counts as late.
    #[serde(default)]
    pub late_when: LateWhen,
    /// Windows: what is compared with the watermark.
    #[serde(default)]
    pub late_by: LateBy,
    /// Windows: whether open windows fire when the input ends.
    #[serde(default = "yes")]
    pub flush_at_end: bool,
    /// Windows without a group: whether a window without events gives a result. Of windows on a grid those that
    /// complete from the first one with an event on, at the end of input up to the last one with an event; of sliding
    /// windows with `on = "change"` the instant at which the last event leaves.
    #[serde(default)]
    pub emit_empty: bool,
    /// Sessions that just touch merge.
    #[serde(default = "yes")]
    pub session_touching_merge: bool,
    /// The stamp of a window's result.
    #[serde(default)]
    pub result_stamp: ResultStamp,
    /// Integer averages are cut to whole numbers.
    #[serde(default)]
    pub truncate_integer_avg: bool,
    /// Snapshot windows: events with the same stamp instead of events that last.
    #[serde(default)]
    pub snapshot_by_stamp: bool,
    /// Windows: what happens to events stamped later than they arrive.
    #[serde(default)]
    pub future: Future,
}

/// One step of a transformation. Exactly one key each.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TransformStep {
    /// Keep these fields, in this order.
    Project(Vec<String>),
    /// Leave these fields out.
    Drop(Vec<String>),
    /// Old name to new name.
    #[schemars(with = "BTreeMap<String, String>")]
    Rename(IndexMap<String, String>),
    /// Name to SQL expression over the fields so far, one after another; an existing field is replaced at its place, a new
    /// one stands behind the others.
    #[schemars(with = "BTreeMap<String, String>")]
    Derive(IndexMap<String, crate::query::Predicate>),
    /// One event for each item of this list field, in order; no item, no event (filtered). Records become fields, behind
    /// the others in place of the list; other items take the list's place.
    Flatten(String),
    /// Put fields into one record, which stands behind the other fields.
    Nest {
        /// The record's name.
        into: String,
        /// The fields that go in.
        fields: Vec<String>,
    },
    /// Put a record's fields behind the others, in place of the record.
    Unnest(String),
    /// Look fields up in a table; they stand behind the others.
    Enrich(Enrich),
    /// Read a text or bytes field as a message: its fields stand behind the others, in place of the message.
    Decode(Codec),
    /// Write the whole row as a message into a single field.
    Encode(Codec),
    /// Upgrade events of one version of the stream to another by declared renames, defaults (new fields behind the others)
    /// and removals.
    Upgrade(Upgrade),
    /// Take the event time from this field (a time, or microseconds since the epoch).
    SetStamp(String),
}

/// Looking fields up in a table.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrich {
    /// The table.
    pub table: String,
    /// Field of the event to column of the table: all must be equal.
    #[schemars(with = "BTreeMap<String, String>")]
    pub on: IndexMap<String, String>,
    /// The columns to add.
    pub fields: Vec<String>,
    /// What happens when there is no such row.
    #[serde(default)]
    pub missing: Missing,
}

/// What happens when a look-up finds nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// The added fields are null.
    #[default]
    Null,
    /// The event is filtered.
    Drop,
    /// The event has failed.
    Fail,
}

/// A message format and its fields.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Codec {
    /// The format.
    pub format: Format,
    /// The field that holds the message.
    pub field: String,
    /// Names and types of the message's fields, in order. Decoding needs them; encoding takes the row's where left out.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "BTreeMap<String, FieldType>")]
    pub fields: IndexMap<ArcStr, FieldType>,
}

/// Message formats.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A JSON object.
    Json,
    /// One line of CSV, in the order of the fields.
    Csv,
    /// An Avro datum (binary, no container) whose record schema follows from the fields, each a union with null.
    Avro,
}

/// From one version of a stream to the next.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// The version that comes out.
    pub to: StreamId,
    /// Old name to new name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub rename: IndexMap<String, String>,
    /// New fields and their values.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub default: IndexMap<ArcStr, Scalar>,
    /// Fields that the new version no longer has.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// A threshold with hysteresis: turns on above `high`, off below `low`. Judged in order of arrival, for each key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The value, in SQL. Events for which it is null are filtered.
    #[schemars(with = "String")]
    pub value: crate::query::Predicate,
    /// Turns on when the value is above this.
    pub high: f64,
    /// Turns off when the value is below this. Default: `high`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The value must have been above `high` (never at or below it) for this long, by event time, to turn on: counted
    /// from the stamp of the first event above, to that of the event that turns it on.
    #[serde(default)]
    pub hold: Span,
    /// One state for each value of these fields.
    #[serde(default)]
    pub by: Vec<String>,
    /// What passes.
    #[serde(default)]
    pub emit: ThresholdEmit,
}

/// What passes a threshold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdEmit {
    /// Every event while it is on (the one that turns it on included, the one that turns it off not).
    #[default]
    On,
    /// The events that turn it on or off, with a field `on` added.
    Crossings,
}

/// How fast a value changes between an event and the one before it with the same key, in order of arrival: `(value −
/// value before) · per / (stamp − stamp before)`. Events without a value are filtered and forgotten; so there is no
/// rate, and nothing passes, for the first of a key and where the stamp did not grow.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateOfChange {
    /// The value, in SQL.
    #[schemars(with = "String")]
    pub value: crate::query::Predicate,
    /// Change is counted per this much event time.
    pub per: Span,
    /// Passes when the value rises by more than this per `per`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// Passes when the value falls by more than this per `per` (a positive number).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// One state for each value of these fields.
    #[serde(default)]
    pub by: Vec<String>,
}

/// The first event after silence: later ones of the same key pass only when `quiet` has gone by without any, by event
/// time (`stamp − largest stamp so far ≥ quiet`).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstOfBurst {
    /// The silence that ends a burst.
    pub quiet: Span,
    /// One state for each value of these fields.
    #[serde(default)]
    pub by: Vec<String>,
}

/// What happens to an event that an operator cannot work on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// It goes aside with the reason, and is counted as failed.
    #[default]
    Side,
    /// The run stops with the reason.
    Stop,
}

/// A watermark generator: bounded disorder with an idle time-out.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Watermark {
    /// Bounded disorder `B`: the watermark is `M − B − 1 tick`, where `M` is the largest stamp seen.
    pub behind: Span,
    /// An input that has been silent for this long, by the node's monotonic clock, is left out of the minimum; when all
    /// are silent, the watermark stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Span>,
    /// Where `M` is kept.
    #[serde(default)]
    pub scope: Scope,
    /// How often a watermark is sent, by the node's monotonic clock. Default: whenever it grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
}

/// Where the largest stamp is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One for all inputs together.
    Input,
    /// One for each producer (source node), and the minimum of them rules.
    #[default]
    Source,
}

/// What happens to late events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Late {
    /// Counted and dropped.
    #[default]
    Drop,
    /// Counted and sent to the operator's side output, which a sink reads as `name.late`.
    Side,
    /// Taken in for up to `horizon` after completeness: the window answers again with the next revision. What comes
    /// later still is dropped. (`horizon` does the same beside `drop` and `side`, which say what happens to what comes
    /// later.)
    Correct,
}

/// When exactly an event is late, `w` being the watermark and `last` the last instant of the window (or the event's
/// stamp, by `late_by`) plus `horizon`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LateWhen {
    /// `w ≥ last`: with bounded disorder `B`, when `M ≥ end + B`. As Flink's DataStream and Pathway.
    #[default]
    AtEnd,
    /// One tick earlier: `M ≥ end + B − 1 tick`. As Flink's SQL.
    TickBeforeEnd,
    /// One tick later: `M > end + B`. As Beam, where a late pane can follow at lateness 0.
    AfterEnd,
}

/// What lateness is judged on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LateBy {
    /// The end of each window that the event belongs to.
    #[default]
    Window,
    /// The event's own stamp.
    Event,
}

/// The stamp of a window's result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResultStamp {
    /// The window's end minus one tick: its last instant.
    #[default]
    Last,
    /// The window's end.
    End,
    /// The largest stamp among its events.
    Latest,
    /// The smallest stamp among its events.
    Earliest,
}

/// What happens to an event stamped later than it arrives, by the node's wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Future {
    /// Taken as it is.
    #[default]
    Accept,
    /// Refused when it is ahead by more than the given tolerance, and counted as failed.
    Refuse(Span),
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

/// `[[link]]`: the way from one actor to another.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The source or operator that sends.
    pub from: String,
    /// The operator or sink that receives.
    pub to: String,
    /// Reliable and in order, or as the network has it.
    #[serde(default)]
    pub kind: LinkKind,
    /// How long a packet is under way. Default: no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// Datagrams: whether packets keep their order (a later one waits for the earlier one). Streams always do.
    #[serde(default)]
    pub fifo: bool,
    /// Elements per second that the link carries; more queue up before it. Default: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<f64>,
    /// Elements are sent in batches of this many …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// … or when the first of a batch has waited this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linger: Option<Span>,
    /// Streams: elements sent and not yet taken from the receiver's mailbox, at most; then the sender stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// Streams: how long the sender waits for an acknowledgement before it sends again.
    #[serde(default = "default_resend")]
    pub resend: Span,
    /// What happens to elements on their way to a node that crashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_crash: Option<OnCrash>,
}

impl Link {
    /// A link without settings of its own: a stream without delay.
    pub fn plain(from: &str, to: &str) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            kind: LinkKind::Stream,
            delay: None,
            fifo: false,
            bandwidth: None,
            batch: None,
            linger: None,
            capacity: None,
            resend: default_resend(),
            on_crash: None,
        }
    }
}

/// How a link treats its elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// Numbered, acknowledged, sent again: loss and disorder of packets show as delay.
    #[default]
    Stream,
    /// What the network does is what arrives: lost, twice, out of order.
    Datagram,
}

/// What happens to elements on their way to a node that crashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnCrash {
    /// They are lost. The default of datagrams.
    Lost,
    /// They wait for the next incarnation. The default of streams, whose sender keeps what was not acknowledged; what was
    /// already in the mailbox is lost all the same.
    Redirect,
}

/// `[[fault]]`: a declared disturbance. Which keys a kind takes is in its descriptor
/// ([`crate::fault::FaultKind::descriptor`]).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its name in the trace, the ledger and in `--set fault.ID.key=…`.
    pub id: String,
    /// What it is.
    pub kind: crate::fault::FaultKind,
    /// What it disturbs: a link (`"a -> b"`), a node or a source.
    pub on: String,
    /// At these moments since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moments>,
    /// In these periods since the start. Default: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<Periods>,
    /// Again and again at this distance (within `during`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// With `at` or `every`: for how long each time.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasting: Option<Span>,
    /// The share of identities (events, packets, or moments of `at` and `every`) that are hit. Default: all.
    #[serde(default = "rate_of_all")]
    pub rate: f64,
    /// How much: extra delay, displacement, distance of a duplicate, clock offset or jump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Delay>,
    /// Crash: back after this long. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Span>,
    /// Partition: which way is cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// Slow and burst: times how much. Drift: parts per million. Bandwidth: elements per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Duplicate, duplicate-send: how many copies more. Replayed-send: how many of the last events again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<u32>,
    /// Corrupt, poison: the field that is hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Poison: what is put there. Default: null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Scalar>,
}

/// Which way a partition cuts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Neither data nor acknowledgements pass.
    #[default]
    Both,
    /// Data is lost, acknowledgements pass.
    Data,
    /// Data passes, acknowledgements are lost: a stream sends again what has arrived, and drops the copies.
    Acks,
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

const fn one() -> u32 {
    1
}
const fn yes() -> bool {
    true
}
const fn rate_of_all() -> f64 {
    1.0
}
const fn one_second() -> Span {
    Span::from_secs(1)
}
const fn default_resend() -> Span {
    Span::from_millis(200)
}
