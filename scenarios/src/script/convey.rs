//! The settings of a sequential convey.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Body, Scalar};
use crate::query::{Expr, Predicate, Window};
use crate::time::Span;

/// Several copies of an operator side by side: `NAME.split` numbers its input and deals it to `NAME-0`, `NAME-1`, …, each
/// of which works at its own pace, and `NAME.merge` brings their results into the order of the numbers again. Each of them
/// stands on a node of its own name; a node `NAME` is the model for all the copies that have none.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Convey {
    /// How many sub-streams there are, the spare ones included.
    pub streams: u32,
    /// How many of them, the last ones, get nothing before keys are moved to them.
    #[serde(default)]
    pub spare: u32,
    /// How the split chooses the sub-stream of an event.
    pub by: Route,
    /// What the merge does.
    #[serde(default)]
    pub merge: Merge,
    /// How the merge learns of numbers that will not come, because their events were filtered or failed. At the end of
    /// input it knows in any case.
    #[serde(default)]
    pub gaps: Gaps,
    /// A message about progress is sent after so many events: of a sub-stream with `processed`, of all of them with
    /// `end-of-sequence`.
    #[serde(default = "sixteen")]
    pub events: u32,
    /// And at the latest so long after the first event that no message has told of, by the sender's monotonic clock.
    #[serde(default = "second")]
    pub every: Span,
    /// How long a result waits at the merge for smaller numbers, by the monotonic clock of its node; then they are given
    /// up, and what comes of them after that is late. Default: for as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Keys that move to another sub-stream with their state, while events flow.
    #[serde(default, rename = "move", skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<KeyMove>,
    /// When half of the keys of a sub-stream move to another by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hot: Option<Hot>,
}

impl Convey {
    /// Whether sub-streams have a link back to the split: where it counts what is outstanding, or moves state.
    pub fn answers(&self) -> bool {
        matches!(self.by, Route::Load) || !self.moves.is_empty() || self.hot.is_some()
    }
}

/// How a split chooses the sub-stream of an event.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Route {
    /// By the hash of these fields (XXH3 of their values), modulo the number of sub-streams.
    Key(Vec<String>),
    /// By the hash of these fields on a ring, where each sub-stream has so many places and owns what lies before them:
    /// with one more sub-stream only the keys that it gets change their owner.
    Ring {
        /// The fields.
        key: Vec<String>,
        /// Places of each sub-stream on the ring.
        #[serde(default = "points")]
        points: u32,
    },
    /// By the value of a field.
    Type {
        /// The field.
        field: String,
        /// Value, as text, to sub-stream, from 0.
        #[schemars(with = "BTreeMap<String, u32>")]
        to: IndexMap<String, u32>,
        /// The sub-stream of all other values, null too.
        #[serde(default)]
        otherwise: u32,
    },
    /// By the first of these predicates that is true: the first leads to sub-stream 0, the next to 1, and so on; where
    /// none is true (null and what cannot be worked out are not), to the one behind them.
    #[schemars(with = "Vec<String>")]
    Predicates(Vec<Predicate>),
    /// To the sub-stream with the fewest events given and not told to be done, the first of several.
    Load,
    /// To one after the other.
    RoundRobin,
}

impl Route {
    /// The fields whose values decide, where they alone do: events that are alike in them go to one sub-stream.
    pub fn key(&self) -> Option<&[String]> {
        match self {
            Self::Key(key) | Self::Ring { key, .. } => Some(key),
            Self::Type { field, .. } => Some(std::slice::from_ref(field)),
            Self::Predicates(_) | Self::Load | Self::RoundRobin => None,
        }
    }
}

/// What a merge does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Merge {
    /// Results come out in the order of the numbers.
    #[default]
    Number,
    /// Results come out as they arrive.
    Arrival,
}

/// How a merge learns of numbers that will not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Gaps {
    /// Each sub-stream tells the last number that it has processed; one that is given nothing learns from the split how
    /// far the numbers have come.
    #[default]
    Processed,
    /// The split sends a message to all sub-streams behind a sequence of events; each passes it on when it is there.
    EndOfSequence,
    /// A message for each number without a result. What is lost on the way leaves none.
    Skip,
    /// Not before the end of input: only `timeout` frees the merge.
    None,
}

/// Keys that move at a moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyMove {
    /// When, from the start of the run, by the monotonic clock of the split's node.
    pub at: Span,
    /// The sub-stream that has them.
    pub from: u32,
    /// The sub-stream that gets them.
    pub to: u32,
    /// Which: values of the fields that the split routes by, one list for each key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Vec<serde_json::Value>>")]
    pub keys: Vec<Vec<Scalar>>,
    /// Or this share of its keys, by hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// When a sub-stream is hot: half of its keys, by hash, move to the sub-stream that was given the least.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hot {
    /// When it was given more than this share of the events …
    pub share: f64,
    /// … among so many events. They are counted anew behind each of them.
    pub events: u32,
}

const fn sixteen() -> u32 {
    16
}
const fn second() -> Span {
    Span::from_secs(1)
}
const fn points() -> u32 {
    64
}

/// What an operator keeps between events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Keeps {
    /// Nothing: any copy of it answers any event alike.
    Nothing,
    /// A state for each value of these fields, which answers events one by one.
    Keys(Vec<String>),
    /// Windows for each value of these fields, or decisions that may be taken back.
    Windows(Vec<String>),
    /// One state for everything.
    All,
}

impl Body<'_> {
    /// What an operator with this body keeps between events, as far as copies of it are concerned.
    pub fn keeps(&self) -> Keeps {
        match self {
            Body::Filter(_) | Body::Transform(_) => Keeps::Nothing,
            Body::Threshold(threshold) => Keeps::Keys(threshold.by.clone()),
            Body::Change(change) => Keeps::Keys(change.by.clone()),
            Body::First(first) => Keeps::Keys(first.by.clone()),
            Body::Compensate(compensate) => Keeps::Windows(compensate.by.clone()),
            Body::Reorder(_) | Body::Gather(_) | Body::Sequence(_) | Body::Learn(_) => Keeps::All,
            Body::Query(query) if !query.joins.is_empty() => Keeps::All,
            Body::Query(query) if !query.aggregates() => Keeps::Nothing,
            Body::Query(query) => {
                let own = matches!(
                    query.window,
                    Some(
                        Window::Tumbling { .. }
                            | Window::Hop { .. }
                            | Window::Cumulate { .. }
                            | Window::Session { .. }
                            | Window::Stagger { .. }
                    )
                );
                if !own || query.limit.is_some() {
                    return Keeps::All;
                }
                let fields = query.group_by.iter().filter_map(|by| match by {
                    Expr::Column(name) => name.last().map(ToString::to_string),
                    _ => None,
                });
                Keeps::Windows(fields.collect())
            }
        }
    }
}
