//! How long things take: the distributions of delays.

use crate::time::Span;

/// A distribution of spans. In a file: `"40ms"`, or `{ exp = "40ms" }`, `{ uniform = ["10ms", "50ms"] }`, … . A drawn
/// value below zero is cut to zero where a delay is meant; clock offsets keep their sign.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub enum Delay {
    /// Always the same. In a file just the span.
    Constant(Span),
    /// `{ uniform = [low, high] }`: evenly in `[low, high)`.
    Uniform(Span, Span),
    /// `{ exp = mean }`.
    Exp(Span),
    /// `{ normal = { mean, sd } }`.
    Normal {
        /// Mean.
        mean: Span,
        /// Standard deviation.
        sd: Span,
    },
    /// `{ lognormal = { median, sigma } }`.
    LogNormal {
        /// Half of the values are below.
        median: Span,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// `{ pareto = { min, alpha } }`.
    Pareto {
        /// Smallest value.
        min: Span,
        /// Tail index: smaller is heavier.
        alpha: f64,
    },
    /// `{ gamma = { shape, mean } }`.
    Gamma {
        /// Shape.
        shape: f64,
        /// Mean (scale times shape).
        mean: Span,
    },
    /// `{ weibull = { scale, shape } }`.
    Weibull {
        /// Scale.
        scale: Span,
        /// Shape.
        shape: f64,
    },
    /// `{ empirical = "file.csv" }`: values of the file's only or first column (spans, or numbers of milliseconds), each
    /// as likely as the next.
    Empirical {
        /// The file.
        file: String,
        /// What was in it, ascending; filled in when the scenario is loaded.
        values: std::sync::Arc<[Span]>,
    },
}

impl TryFrom<serde_json::Value> for Delay {
    type Error = String;
    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        Err(format!("{value} is not read yet"))
    }
}
impl From<Delay> for serde_json::Value {
    fn from(_: Delay) -> Self {
        Self::Null
    }
}
impl schemars::JsonSchema for Delay {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Delay".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!(true)
    }
}
