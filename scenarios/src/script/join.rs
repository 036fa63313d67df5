//! Settings of stream joins.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `join`: how a query with joins pairs and answers. Each has a default; the clauses of the query say the rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JoinSettings {
    /// Whether a distance of exactly the lower end of `within` still pairs. (A bound written with `event_time` says so
    /// itself: `between` and `>=` are inclusive, `>` is not.)
    pub lower: End,
    /// Whether a distance of exactly the upper end of `within` still pairs.
    pub upper: End,
    /// When the null row of an outer join comes.
    pub nulls: Nulls,
    /// Which version `for system_time as of` finds.
    pub versions: Versions,
}

/// Whether an end belongs to an interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// It does.
    #[default]
    Inclusive,
    /// It does not.
    Exclusive,
}

/// When the null row of an outer join comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Nulls {
    /// When the watermark says that no partner can come any more; never before, and once only.
    #[default]
    Watermark,
    /// At once, when no partner is there on arrival. One may come later: then its pair follows, and the null row stays.
    /// As engines without watermarks do.
    Eager,
}

/// Which version of a row a table join finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Versions {
    /// The one valid at the event's time. The answer waits until the watermark says that no update up to that time can
    /// come any more.
    #[default]
    EventTime,
    /// The one that came last before the event did. The answer comes at once, and later updates do not revise it; no
    /// update is late.
    Arrival,
}
