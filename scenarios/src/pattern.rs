//! The thirteen patterns: one descriptor each, which code, help and docs all read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pattern of stream processing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the descriptor says what each is")]
pub enum Pattern {
    Transformation,
    Filter,
    WindowedAggregation,
    StreamJoin,
    TemporalEventOrdering,
    MachineLearner,
    SequentialConvey,
    BufferedEventOrdering,
    CourseCorrection,
    Watermark,
    Replay,
    PeriodicSnapshot,
    TwoNodeFailover,
}
