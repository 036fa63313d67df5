//! Where windows begin and which of their ends belong to them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which ends of a window belong to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WindowBounds {
    /// The start: `[start, end)`; of `time(size)` the end, `(t − size, t]`.
    #[default]
    Start,
    /// The end: `(start, end]`, as Azure Stream Analytics has it. Tumbling, hopping and cumulating windows; complete a tick
    /// later, when `w ≥ end`, which is also the stamp of the result.
    End,
    /// Both: `[t − size, t]` of `time(size)`, and sessions that are said to reach from their first to their last event, as
    /// Kafka Streams has it.
    Both,
}

/// Where the grid of tumbling, hopping and cumulating windows begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WindowAlign {
    /// At the epoch, shifted by the window's offset.
    #[default]
    Epoch,
    /// At the stamp of the first event that passes `where`, in order of arrival, shifted by the offset; as Siddhi and Esper
    /// have it. It depends on the order of arrival.
    FirstEvent,
}
