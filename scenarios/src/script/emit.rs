//! When windows answer besides at their completeness, and how a later answer stands to those before it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

/// `emit`: early and late answers of windows, and what they hold. A window and group is *answered* when what it comes to
/// is worked out and given, if it differs from what was given last. At completeness (and, with changes not yet answered,
/// when a window closes) every window and group is answered, whatever the triggers say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Emit {
    /// When a window that is not complete yet is answered. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<Trigger>,
    /// When a window that is complete, and still takes events in, is answered. Default: at each event that it takes in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<Trigger>,
    /// What a later answer holds.
    #[serde(default)]
    pub panes: Panes,
}

/// When a window and group is answered; any of the keys is enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// When so many events have come for it since it was last answered; 1: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Again and again after this long on the node's monotonic clock, counted from the operator's start, when events have
    /// come for it since it was last answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// Whenever the watermark grows, when events have come for it since it was last answered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub watermark: bool,
}

impl Trigger {
    /// True when it never goes off.
    pub const fn is_never(&self) -> bool {
        self.count.is_none() && self.every.is_none() && !self.watermark
    }
}

/// What a later answer for the same window and group holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Panes {
    /// All events so far; it replaces the answer before it.
    #[default]
    Accumulating,
    /// Only the events that were in no answer before it; the receiver adds the parts up.
    Discarding,
    /// All events so far, behind a retraction of the answer before it.
    Retracting,
}

/// `compensate`: of several events with the same key only one may stand, the first. Each is decided at once, as far as is
/// known; when one comes that was before the one that stands, the decision is compensated.
///
/// Every event is answered with its fields, and behind them `decision`: `accepted`, or `cancelled` when another stands. An
/// acceptance that must be taken back is answered again, as cancelled, before the event that stands in its place is
/// accepted: the compensation repeats what it undoes, and replaces it in the table of whoever folds the answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compensate {
    /// The fields that make the key.
    pub by: Vec<String>,
    /// Which of the events may stand.
    #[serde(default)]
    pub stands: Stands,
}

/// Which of several events may stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stands {
    /// The first by event time.
    #[default]
    FirstByEventTime,
    /// The first that arrives: nothing is ever taken back.
    FirstToArrive,
}
