//! A declared disturbance: `[[fault]]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Scalar;
use crate::distribution::Delay;
use crate::schedule::{Moments, Periods};
use crate::time::Span;

/// `[[fault]]`: a declared disturbance. Which keys a kind takes is in its descriptor
/// ([`crate::fault::FaultKind::descriptor`]).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its name in the trace, the ledger and in `--set fault.ID.key=…`.
    pub id: String,
    /// What it is.
    pub kind: crate::fault::FaultKind,
    /// What it disturbs: a link (`"a -> b"`), a node or a source.
    pub on: String,
    /// At these moments since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moments>,
    /// In these periods since the start. Default: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<Periods>,
    /// Again and again at this distance (within `during`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// With `at` or `every`: for how long each time.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasting: Option<Span>,
    /// The share of identities (events, packets, or moments of `at` and `every`) that are hit. Default: all.
    #[serde(default = "rate_of_all")]
    pub rate: f64,
    /// How much: extra delay, displacement, distance of a duplicate, clock offset or jump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Delay>,
    /// Crash: just before the node takes its so-manieth element, from 1, of all that its actors take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<u64>,
    /// On a disk: the so-manieth time that something is written, added or deleted, from 1, and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<u64>,
    /// Crash: back after this long. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Span>,
    /// Partition: which way is cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// Slow and burst: times how much. Drift: parts per million. Bandwidth: elements per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Duplicate, duplicate-send: how many copies more. Replayed-send: how many of the last events again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<u32>,
    /// Corrupt, poison: the field that is hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Poison: what is put there. Default: null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Scalar>,
}

impl Fault {
    /// A fault of that kind, without an id, a place or a schedule.
    pub const fn of(kind: crate::fault::FaultKind) -> Self {
        Self {
            id: String::new(),
            kind,
            on: String::new(),
            at: None,
            during: None,
            every: None,
            lasting: None,
            rate: 1.0,
            amount: None,
            delivery: None,
            write: None,
            restart: None,
            way: None,
            factor: None,
            copies: None,
            field: None,
            value: None,
        }
    }
}

/// Which way a partition cuts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Neither data nor acknowledgements pass.
    #[default]
    Both,
    /// Data is lost, acknowledgements pass.
    Data,
    /// Data passes, acknowledgements are lost: a stream sends again what has arrived, and drops the copies.
    Acks,
}

const fn rate_of_all() -> f64 {
    1.0
}
