//! The faults that can be declared: one descriptor each, which code, help and docs all read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a fault is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the descriptor says what each is")]
pub enum FaultKind {
    // links
    Delay,
    Reorder,
    Drop,
    Duplicate,
    Corrupt,
    Partition,
    Hold,
    Bandwidth,
    // nodes
    Crash,
    Pause,
    Slow,
    Offset,
    Drift,
    Jump,
    // sources
    Burst,
    Idle,
    LateStart,
    DuplicateSend,
    ReplayedSend,
    Poison,
}
