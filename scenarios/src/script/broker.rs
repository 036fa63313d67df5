//! Brokers: where events are kept until they have been worked on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distribution::Delay;
use crate::time::Span;

/// `[[broker]]`: an actor that keeps the events of its inputs on a disk of its own, which survives its node's crash, and
/// gives them to those who name it in their `input`. It keeps events alone: watermarks end here, and whoever reads it
/// makes its own.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// Its name.
    pub name: String,
    /// The sources and operators that it takes events from.
    pub input: Vec<String>,
    /// The node that it stands on. Default: one of its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// A log, or a queue.
    #[serde(default)]
    pub kind: BrokerKind,
    /// Log: how many partitions it has. Each is in order by itself.
    #[serde(default = "one")]
    pub partitions: u32,
    /// Log: the field whose hash says which partition an event goes to. Default: by who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Log: how much it keeps. Default: everything.
    #[serde(default)]
    pub retention: Retention,
    /// Log: what becomes of a reader who asks for what is kept no longer.
    #[serde(default)]
    pub expired: Expired,
    /// An event that it has already, by its producer and number, is not kept again.
    #[serde(default = "yes")]
    pub dedup: bool,
    /// Queue: an event that is not acknowledged after this long is given again.
    #[serde(default = "half_a_minute")]
    pub visibility: Span,
    /// Queue: an event that has been given so often and never acknowledged goes to `name.dead`. Default: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_deliveries: Option<u32>,
    /// Queue: the most events that a reader has and has not acknowledged.
    #[serde(default = "a_thousand")]
    pub in_flight: u32,
    /// Its disk.
    #[serde(default)]
    pub disk: Disk,
}

/// What kind of broker it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BrokerKind {
    /// Events stay when they have been read: whoever reads says from where.
    #[default]
    Log,
    /// Events stay until they are acknowledged: a durable subscription.
    Queue,
}

/// How much a log keeps: what is beyond either bound is deleted, oldest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// By time since an event was kept, of the broker's wall clock. Default: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Span>,
    /// By size, in bytes of a partition. Default: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// What becomes of a reader who asks for what is kept no longer. In any case the gap is counted and named.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expired {
    /// The run stops with the gap.
    #[default]
    Fail,
    /// It goes on with the oldest that is kept.
    Earliest,
    /// It goes on with what comes from now on.
    Latest,
}

/// A simulated disk.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Disk {
    /// How long a write takes, apart from its size. Default: no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<Delay>,
    /// How long a read takes, apart from its size. Default: no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Delay>,
    /// Bytes per second, for writes and reads alike. Default: size takes no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// How many bytes fit. Default: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

impl Default for Disk {
    /// A disk that takes no time and is never full.
    fn default() -> Self {
        Self {
            write: None,
            read: None,
            rate: None,
            size: None,
        }
    }
}

const fn one() -> u32 {
    1
}
const fn yes() -> bool {
    true
}
const fn half_a_minute() -> Span {
    Span::from_micros(30_000_000)
}
const fn a_thousand() -> u32 {
    1000
}
