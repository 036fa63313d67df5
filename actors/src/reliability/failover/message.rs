//! What the two copies, the arbiter and the receivers say to each other.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wavetank_scenarios::{Span, Time};

use crate::reliability::snapshot::catalog::Entry;

/// What a copy of an operator keeps, cut at one place of the log: for the other, which was down, or for its own disk.
#[derive(Clone, PartialEq, Debug)]
pub struct Cut {
    /// Its number: of two cuts of a copy the later has the larger.
    pub number: u64,
    /// The states of the parts of the copy: its generator, if it has one, then its operator.
    pub parts: Vec<SavedPart>,
}

/// The state of one part of a copy, as a snapshot file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedPart {
    /// What the file is.
    pub entry: Entry,
    /// The file.
    pub bytes: Arc<[u8]>,
}

/// One of the two copies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Side {
    /// The one that is primary at first.
    A,
    /// The other.
    B,
}

impl Side {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
    /// 0 or 1.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// To whom a copy speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Party {
    /// The other copy.
    Peer,
    /// The arbiter.
    Arbiter,
}

/// A copy asks for the lease, or for more of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// Which incarnation of the copy asks: what an earlier one was given is not this one's.
    pub incarnation: u64,
    /// When, by its own monotonic clock.
    pub sent: Time,
}

/// The lease, for a copy that asked for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// The ask that it answers.
    pub ask: Ask,
    /// The token: larger than that of every earlier holder.
    pub token: u64,
    /// How long the arbiter let the ask wait, by its own clock: the lease does not begin before that.
    pub waited: Span,
}

/// What a receiver must know of what follows on a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Head {
    /// What follows is published under this token; 0 where nobody gives tokens.
    pub token: u64,
    /// What follows begins behind this place of the output.
    pub place: u64,
}

/// An output of a copy, as the other must know it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Output<T> {
    /// The place of the last result that was made.
    pub made: u64,
    /// The place up to which nothing need be held any more.
    pub discarded: u64,
    /// What is held: everything from behind `discarded` up to `made`.
    pub held: Vec<T>,
}

/// A result that the primary has published.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Copied<T> {
    /// On which output, from 0.
    pub output: usize,
    /// Its place.
    pub place: u64,
    /// What it was.
    pub what: T,
}

/// What a copy is told. `T` is a result, `S` the state of the operator.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Message<T, S> {
    /// The other is there.
    Heartbeat {
        /// Whether it is the primary.
        primary: bool,
        /// The largest token, or without an arbiter the largest term, that it knows of.
        term: u64,
        /// How many elements of the log it has worked on.
        position: u64,
        /// For each output the place up to which nothing need be held.
        discarded: Vec<u64>,
    },
    /// The primary has published this, since it told last.
    Published(Vec<Copied<T>>),
    /// The other was down and wants to know where everything stands.
    Fetch,
    /// Where everything stands.
    State {
        /// How many elements of the log have been worked on.
        position: u64,
        /// The outputs.
        outputs: Vec<Output<T>>,
        /// The state of the operator.
        state: S,
    },
    /// From the arbiter: the lease.
    Grant(Grant),
    /// From the arbiter: another has the lease, under this token.
    Taken(u64),
    /// From a receiver: it has everything on this output up to this place.
    Confirmed {
        /// Which output, from 0.
        output: usize,
        /// Which of its receivers, from 0.
        receiver: usize,
        /// The place.
        place: u64,
    },
    /// From a receiver: it refuses this copy's token, because it has seen this one.
    Refused(u64),
}

impl<T, S> Message<T, S> {
    /// What kind of message it is, and its number, for the trace.
    pub fn code(&self) -> [u64; 2] {
        match self {
            Self::Heartbeat { primary, position, .. } => [50 + u64::from(*primary), *position],
            Self::Published(copies) => [52, copies.last().map_or(0, |copied| copied.place)],
            Self::Fetch => [53, 0],
            Self::State { position, .. } => [54, *position],
            Self::Grant(grant) => [55, grant.token],
            Self::Taken(token) => [56, *token],
            Self::Confirmed { place, .. } => [57, *place],
            Self::Refused(token) => [58, *token],
        }
    }
}
