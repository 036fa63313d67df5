//! Epochs: markers with a number and no event time, which every source puts among its events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

/// `[epoch]`: every source puts markers 1, 2, 3, … among its events, every stage passes each on at its place, and a stage
/// with several inputs passes a marker on when it has come on all of them, and takes nothing that follows it before.
/// What lies between two markers is the same on every path, however the paths interleave.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// The length of an epoch: marker `n` follows the start of the run by `n` times this, by each source's own wall
    /// clock, or by that of the counter.
    pub every: Span,
    /// Sources that share no clock ask a counter for the number. Default: each goes by its own wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter: Option<Counter>,
    /// A marker that a datagram link loses is sent again until it arrives, at the distance of the link's `resend`. What
    /// follows it on that link waits for it in any case.
    #[serde(default)]
    pub resend: bool,
    /// A receiver goes on without a marker when this has passed since it first came on any of its inputs. Default: it
    /// waits for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub give_up: Option<Span>,
    /// In which order a stage with several inputs takes the events of an epoch.
    #[serde(default)]
    pub order: EpochOrder,
    /// Sources end with the marker of this number: the run is over when it is through everywhere. Default: they say all
    /// that they have to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// A counter that sources ask for the number of the epoch. It is an actor named `epoch-counter`; links to and from it
/// are set like any other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counter {
    /// How often a source asks, by its monotonic clock.
    pub ask: Span,
}

/// In which order a stage with several inputs takes the events of an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EpochOrder {
    /// As they come.
    #[default]
    Arrival,
    /// By their stamps, when the epoch's last marker has come: so that all events are in the order of (number, own
    /// time).
    Stamp,
}
