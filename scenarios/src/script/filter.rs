//! Thresholds, rates of change, and the first of a burst.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

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
