//! Temporal event ordering: the settings of a sequence. The pattern itself is in [`crate::sequence`].

use std::collections::BTreeMap;

use arcstr::ArcStr;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::query::{Aggregate, AggregateFunction, Expr, Function, Predicate};
use crate::sequence::{Contiguity, Loop, Pattern};
use crate::time::Span;

/// `sequence = { pattern = "a -> b+ -> c", … }`: events of one key in an order, or the absence of one. A query with
/// `match_recognize` says the same in SQL.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// The steps and what lies between them: `a b` (b is the very next event), `a -> b` (the next event that is a b),
    /// `a => b` (any later b); `b?`, `b+`, `b*`, `b{2,5}`; `(a | b)`, `all(a, b)`; `a -> not b -> c`, `a -> not b for 10s`.
    #[schemars(with = "String")]
    pub pattern: Pattern,
    /// The fields that make the key: a match is made of events of one key. Default: all events are of one key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// When an event fits a step: a predicate over the event and over what earlier steps took. Null is not true, and
    /// neither is what cannot be computed. A step without one takes every event of its stream.
    #[serde(default, rename = "where", skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub conditions: IndexMap<String, Predicate>,
    /// The input that a step reads, by its name in the operator's `input` list. Default: all of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub from: BTreeMap<String, String>,
    /// The fields of a match. Default: the key, then `started` and `ended`, the stamps of its first and last event.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub select: IndexMap<String, Predicate>,
    /// The longest that a match may last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// Whether `within` includes its end: a match of exactly that length. As Siddhi; Flink and Esper leave it out.
    #[serde(default)]
    pub within_includes_end: bool,
    /// What `within` is measured from.
    #[serde(default)]
    pub within_since: Since,
    /// Says that beginnings of matches may be kept for ever. Without it `within` must be there, unless no event can lie
    /// between the steps and their number is bounded.
    #[serde(default)]
    pub unbounded: bool,
    /// What is dropped when a match is put out.
    #[serde(default)]
    pub after: AfterMatch,
    /// Which of two matches is put out first.
    #[serde(default)]
    pub precedence: Precedence,
    /// When a new beginning is tried.
    #[serde(default)]
    pub restart: Restart,
    /// In which order events are looked at.
    #[serde(default)]
    pub order: Order,
    /// Whether an event exactly at the end of an absence still breaks it.
    #[serde(default)]
    pub absence_includes_end: bool,
    /// Whether one event may be several of the events that `all(…)` asks for. As Siddhi's `and`.
    #[serde(default)]
    pub all_may_share: bool,
    /// How often a step with `+`, `*`, `?` or `{n,m}` repeats, where the pattern does not say.
    #[serde(default)]
    pub loops: Loop,
    /// What may lie between the repetitions of a step, where the pattern does not say.
    #[serde(default)]
    pub inside_loops: Inside,
    /// Whether beginnings that time out are put out too. Results then have a last field `timed_out`.
    #[serde(default)]
    pub timeouts: bool,
}

impl Sequence {
    /// The fields of a match: those that `select` names, or the default ones.
    pub fn fields(&self) -> Vec<(ArcStr, Expr)> {
        if !self.select.is_empty() {
            let named = self.select.iter();
            return named
                .map(|(name, value)| (name.as_str().into(), value.expr.clone()))
                .collect();
        }
        let stamp = |function| {
            Expr::Aggregate(Box::new(Aggregate {
                function,
                argument: Some(Expr::Call(Function::EventTime, vec![])),
                distinct: false,
                filter: None,
            }))
        };
        let by = self
            .by
            .iter()
            .map(|name| (name.as_str().into(), Expr::Column(vec![name.as_str().into()])));
        by.chain([
            ("started".into(), stamp(AggregateFunction::First)),
            ("ended".into(), stamp(AggregateFunction::Last)),
        ])
        .collect()
    }
}

/// What may lie between the repetitions of a step, where the pattern does not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Inside {
    /// Nothing: `b+ consecutive`.
    Consecutive,
    /// Events that do not fit: `b+ relaxed`.
    #[default]
    Relaxed,
    /// Anything: `b+ combinations`.
    Combinations,
}

impl Inside {
    /// The edge from one repetition to the next.
    pub const fn contiguity(self) -> Contiguity {
        match self {
            Self::Consecutive => Contiguity::Strict,
            Self::Relaxed => Contiguity::Relaxed,
            Self::Combinations => Contiguity::Any,
        }
    }
}

/// What `within` is measured from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Since {
    /// From the first event of the match to its last.
    #[default]
    First,
    /// From each event to the next one.
    Previous,
}

/// What is dropped when a match is put out. Of several that are complete at one moment, the one that takes earlier
/// events comes first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AfterMatch {
    /// What began at or before its last event.
    #[default]
    PastLast,
    /// What began at or before its first event.
    ToNext,
    /// What began before the first event that this step took; nothing, if it took none.
    ToFirst(String),
    /// What began before the last event that this step took; nothing, if it took none.
    ToLast(String),
    /// Nothing: every match is put out.
    KeepAll,
}

/// Which of two matches is put out first, and so decides by `after` what becomes of the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precedence {
    /// The one that is complete first: each is put out at once.
    #[default]
    Complete,
    /// The one that begins first: a match waits while an earlier beginning of its key can still become one, and watermarks
    /// wait with it. As SQL's `match_recognize`, where it is the default.
    Start,
}

/// When a new beginning is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// At every event.
    #[default]
    Always,
    /// Until one has been found, and for that key never again.
    Once,
    /// Not from a beginning until a match that goes back to it is put out; from the event after that on again.
    OnComplete,
    /// Not while any beginning can still become a match. At the event that ends the last one it is tried again, unless
    /// that event made it a match.
    OnCompleteOrFail,
}

/// In which order events are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// By (stamp, source, number): events wait for the watermark, and what is behind it is late.
    #[default]
    EventTime,
    /// As they come. Nothing waits and nothing is late; an event older than the newest counts as of that one's time.
    Arrival,
}
