//! Settings of scatter-gather.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

/// Scatter-gather: work was given to several at once, and what each says is put together again, as one answer for each
/// value of the key. The answer is complete as soon as all parts are there; else, at the deadline, it is partial and names
/// what is missing. Of the same part the first to come counts, others are filtered.
///
/// A part is late when its answer has been given, or when the deadline of an answer that it would begin has passed; with
/// `late_by = "event"`, and by the node's clock, also when the watermark has passed its stamp. An answer is remembered for
/// another `within` after its deadline, so that a part of it that comes later begins no new one. The answer's event time
/// is its deadline; with `result_stamp = "latest"` or `"earliest"`, and by the node's clock, that of its latest or
/// earliest part, and the watermark is passed on so much later.
///
/// The answer has the fields of the key, a record for each part (null where it is missing) under the part's name,
/// `complete`, and `missing`, a list of names. With `ask` it also has `asks`, how often was asked before, and `asking`,
/// true for a row that asks for what is missing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gather {
    /// The fields whose values say what belongs together.
    pub by: Vec<String>,
    /// The field whose value says which part an event is. Default: the input that it comes from does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The names of the parts, in the order of the answer's fields. Events that are none of them are filtered. Default: the
    /// inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    /// How long after the earliest of its parts the answer is given at the latest.
    pub within: Span,
    /// What counts as time.
    #[serde(default)]
    pub clock: GatherClock,
    /// How often a row asks for what is missing, each time waiting for another `within`, before the partial answer.
    #[serde(default)]
    pub ask: u32,
}

/// What the deadline of scatter-gather is measured by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GatherClock {
    /// Event time: the deadline is `within` after the smallest stamp of its parts, and has come when the watermark says
    /// so.
    #[default]
    EventTime,
    /// The node's monotonic clock: the deadline is `within` after the arrival of its first part. A part whose stamp the
    /// watermark has passed is late.
    Node,
}

impl Gather {
    /// The names of the parts of an operator with these inputs.
    pub fn names<'a>(&'a self, inputs: &'a [String]) -> &'a [String] {
        if self.parts.is_empty() { inputs } else { &self.parts }
    }
}
