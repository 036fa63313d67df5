//! Generated events: how often they come and what is in them. Both are functions of the seed alone.

use serde::{Deserialize, Serialize};

use crate::script::Scalar;
use crate::time::Span;

/// How often a generated source produces. In a file: `"200/s"` (evenly spaced), `{ poisson = "200/s" }`,
/// `{ bursts = { size = 50, every = "10s" } }`, `{ curve = [["0s", "10/s"], ["5m", "200/s"]] }` (rate in between is
/// linear; events come where its integral reaches the next whole number).
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub enum Rate {
    /// Evenly spaced, events per second.
    Even(f64),
    /// Independent gaps, exponential, events per second on average.
    Poisson(f64),
    /// That many events at one instant, again and again.
    Bursts {
        /// Events of a burst.
        size: u64,
        /// Distance of bursts.
        every: Span,
    },
    /// Points of (time since start, events per second), ascending in time.
    Curve(Vec<(Span, f64)>),
}

/// What is in a generated field. In a file a constant (`3`, `"x"`) or one of the tables below.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub enum FieldGenerator {
    /// Always the same.
    Constant(Scalar),
    /// `{ seq = 100 }`: counts up from there, over all nodes of the source.
    Sequence(i64),
    /// `{ uniform = [low, high] }`: whole numbers in `[low, high]` when both are whole, else floats in `[low, high)`.
    Uniform(Number, Number),
    /// `{ normal = [mean, sd] }`.
    Normal(f64, f64),
    /// `{ lognormal = [mu, sigma] }`: the exponential of a normal value.
    LogNormal(f64, f64),
    /// `{ exp = mean }`.
    Exp(f64),
    /// `{ zipf = 1.1, count = 20 }` or with `names = [...]`: rank 1 is the most frequent; whole numbers from 1, or names.
    /// With `prefix = "store-"` text `store-1`, ….
    Zipf {
        /// Exponent.
        exponent: f64,
        /// How many ranks.
        count: u64,
        /// Text before the rank, if text is wanted.
        prefix: Option<String>,
    },
    /// `{ choice = ["a", "b"], weights = [3, 1] }`.
    Choice {
        /// What can come.
        values: Vec<Scalar>,
        /// How often, in proportion; all alike when empty.
        weights: Vec<f64>,
    },
    /// `{ walk = { start = 100.0, step = 0.5 } }`: a random walk with normal steps, one for each value of `by` if given.
    Walk {
        /// First value.
        start: f64,
        /// Standard deviation of a step.
        step: f64,
        /// The field whose values walk by themselves.
        by: Option<String>,
    },
}

/// A number that remembers whether it was written as a whole one.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Number {
    /// Whole.
    Int(i64),
    /// With a fraction.
    Float(f64),
}

impl TryFrom<serde_json::Value> for Rate {
    type Error = String;
    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        Err(format!("{value} is not read yet"))
    }
}
impl From<Rate> for serde_json::Value {
    fn from(_: Rate) -> Self {
        Self::Null
    }
}
impl schemars::JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!(true)
    }
}

impl TryFrom<serde_json::Value> for FieldGenerator {
    type Error = String;
    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        Err(format!("{value} is not read yet"))
    }
}
impl From<FieldGenerator> for serde_json::Value {
    fn from(_: FieldGenerator) -> Self {
        Self::Null
    }
}
impl schemars::JsonSchema for FieldGenerator {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FieldGenerator".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!(true)
    }
}
