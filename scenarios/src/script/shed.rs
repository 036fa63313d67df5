//! Load shedding: giving up some events early, so that the others are not late.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `shed`: which events a node gives up when too many wait for one of its actors. Each is counted as shed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, as in { above = 20, share = 0.5 }")]
pub struct Shed {
    /// Events are shed while so many wait.
    pub above: u32,
    /// The share of the events that come then which are shed: a keyed draw for each. Not with `priority`. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Shed all events of some keys, and none of the others: a keyed draw for each value of this field. Results over the
    /// other keys stay right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Shed the event with the least value of this field, of those that wait and the one that comes; of several the newest.
    /// A missing value is less than any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
}
