//! What is done with events: `[[operator]]`, and the settings that several patterns share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Compensate, Convey, Emit, Failover, FirstOfBurst, Gather, JoinSettings, Learn, RateOfChange, Reorder, Scope,
    Sequence, Threshold, TransformStep, ValveSettings, Watermark, WindowAlign, WindowBounds,
};
use crate::query::{Predicate, Query};
use crate::schema::StreamId;
use crate::time::Span;

/// `[[operator]]`: one pattern at work. Exactly one of the keys in [`Operator::BODIES`] says which.
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
    /// SQL over one input, or over several that it joins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub query: Option<Query>,
    /// Steps of a transformation, one after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Vec<TransformStep>>,
    /// A predicate in SQL: what is true passes, all else (null too) is filtered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub filter: Option<Predicate>,
    /// A threshold with hysteresis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
    /// A rate of change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<RateOfChange>,
    /// The first event of a burst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<FirstOfBurst>,
    /// One of several events may stand; the others are compensated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate: Option<Compensate>,
    /// A buffer that puts events in order: they are held back for a while, and let go by time or by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reorder: Option<Reorder>,
    /// Several copies of this operator side by side, between a split and a merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convey: Option<Convey>,
    /// Two copies of this operator on two nodes, one of which takes over when the other is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<Failover>,
    /// The parts of an answer, put together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gather: Option<Gather>,
    /// A query with joins: how it pairs and answers.
    #[serde(default)]
    pub join: JoinSettings,
    /// A sequence of events, or their absence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
    /// A model that predicts, learns, or both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learn: Option<Learn>,
    /// What happens to an event that the operator cannot work on.
    #[serde(default)]
    pub on_error: OnError,
    /// A watermark generator on this operator's node, behind its input link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Watermark>,
    /// How the watermarks of several inputs are combined.
    #[serde(default)]
    pub valve: ValveSettings,
    /// Windows, joins, reordering, sequences and learners: what happens to late events. (An event is late for a sequence at or behind
    /// the watermark.)
    #[serde(default)]
    pub late: Late,
    /// Windows: how long after its completeness a window takes events in (allowed lateness). Joins: how much longer than
    /// the watermark says they wait for everything. Compensation: how long after
    /// the event that stands a decision is remembered, and can be taken back.
    #[serde(default)]
    pub horizon: Span,
    /// Windows: when they answer besides at completeness, and what later answers hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emit: Option<Emit>,
    /// Windows and joins: when exactly an event counts as late.
    #[serde(default)]
    pub late_when: LateWhen,
    /// Windows: what is compared with the watermark. (Joins with a bound on distance go by the event's own stamp.)
    #[serde(default)]
    pub late_by: LateBy,
    /// Windows and reordering: whether open windows fire, and held events are put out, when the input ends. Sequences:
    /// whether absences are then complete, and beginnings given up.
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
    /// Windows: which of their ends belong to them.
    #[serde(default)]
    pub bounds: WindowBounds,
    /// Windows: where their grid begins.
    #[serde(default)]
    pub align: WindowAlign,
    /// The stamp of a window's result; of a join's pair the latest of its parts, or with `earliest` the earliest.
    #[serde(default)]
    pub result_stamp: ResultStamp,
    /// Integer averages are cut to whole numbers.
    #[serde(default)]
    pub truncate_integer_avg: bool,
    /// Snapshot windows: events with the same stamp instead of events that last.
    #[serde(default)]
    pub snapshot_by_stamp: bool,
    /// Windows, joins and sequences: what happens to events stamped later than they arrive. (To hold them back is done
    /// before any operator.)
    #[serde(default)]
    pub future: Future,
}

/// What an operator does: the one of its keys that says so.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each is the key of the operator of that name")]
pub enum Body<'a> {
    Query(&'a Query),
    Transform(&'a [TransformStep]),
    Filter(&'a Predicate),
    Threshold(&'a Threshold),
    Change(&'a RateOfChange),
    First(&'a FirstOfBurst),
    Compensate(&'a Compensate),
    Reorder(&'a Reorder),
    Gather(&'a Gather),
    /// `sequence`, or a query with `match_recognize`.
    Sequence(&'a Sequence),
    Learn(&'a Learn),
}

impl Operator {
    /// The keys that say what an operator does; each operator has exactly one.
    pub const BODIES: &'static [&'static str] = &[
        "query",
        "transform",
        "filter",
        "threshold",
        "change",
        "first",
        "compensate",
        "reorder",
        "gather",
        "sequence",
        "learn",
    ];

    /// All that it is said to do, with the key that says so, in the order of [`Operator::BODIES`]. A checked scenario
    /// has exactly one.
    pub fn bodies(&self) -> impl Iterator<Item = (&'static str, Body<'_>)> {
        let all = [
            self.query.as_ref().map(|query| match &query.matching {
                Some(sequence) => Body::Sequence(sequence),
                None => Body::Query(query),
            }),
            self.transform.as_deref().map(Body::Transform),
            self.filter.as_ref().map(Body::Filter),
            self.threshold.as_ref().map(Body::Threshold),
            self.change.as_ref().map(Body::Change),
            self.first.as_ref().map(Body::First),
            self.compensate.as_ref().map(Body::Compensate),
            self.reorder.as_ref().map(Body::Reorder),
            self.gather.as_ref().map(Body::Gather),
            self.sequence.as_ref().map(Body::Sequence),
            self.learn.as_ref().map(Body::Learn),
        ];
        Self::BODIES
            .iter()
            .copied()
            .zip(all)
            .filter_map(|(key, body)| Some((key, body?)))
    }

    /// The settings of the watermark generator that stands before it: none where it goes by the clocks of its keys.
    pub fn generator(&self) -> Option<&Watermark> {
        self.watermark
            .as_ref()
            .filter(|watermark| watermark.scope != Scope::Key)
    }

    /// How far the watermark of each key is behind its largest stamp, less the tick; `None` where keys have none of their
    /// own.
    pub fn key_clocks(&self) -> Option<Span> {
        let watermark = self.watermark.as_ref()?;
        (watermark.scope == Scope::Key).then(|| watermark.behind())
    }

    /// Whether it pairs events of inputs that may have different fields.
    pub fn joins(&self) -> bool {
        self.gather.is_some()
            || self.learn.is_some()
            || self.query.as_ref().is_some_and(|query| !query.joins.is_empty())
    }

    /// What it does.
    ///
    /// # Errors
    /// None of the keys that could say so is there.
    pub fn body(&self) -> Result<Body<'_>, String> {
        let first = self.bodies().next();
        first.map(|(_, body)| body).ok_or_else(|| {
            let keys = Self::BODIES.join("`, `");
            format!("it has none of `{keys}`: what shall it do?")
        })
    }
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
    /// Reordering: counted, and put out at once, out of order. A watermark that has gone by may be ahead of it.
    Emit,
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
    /// The window's last instant: its end minus one tick, or its end where that belongs to it.
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
    /// Held until the clock shows its stamp, jumps and drift of the clock included, and then taken as if it came then:
    /// in the order of stamps, and heard by the operator's own watermark generator no sooner. Until then it counts as
    /// held, is lost in a crash, and keeps the watermark two ticks below its stamp, so that it is not late for having
    /// waited. When the input ends all that is held is taken at once.
    Hold,
}

const fn yes() -> bool {
    true
}
