//! Watermark generators.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

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
