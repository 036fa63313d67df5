//! What actors agree on beside the events: who is to save or to go back to what, and from where a broker sends again.

use std::sync::Arc;

use wavetank_scenarios::Time;
use wavetank_scenarios::event::Position;

use super::State;
use super::failover::{Ask, Cut, Head, Message};
use crate::element::Element;

/// A message on a control link.
#[derive(Clone, PartialEq, Debug)]
pub enum Control {
    /// From the coordinator to those that read: snapshot `snapshot` is cut here and now.
    Trigger {
        /// Its number, from 1.
        snapshot: u64,
    },
    /// From the coordinator to everyone that takes part: the snapshot is complete, and durable.
    Complete {
        /// Its number.
        snapshot: u64,
    },
    /// From the coordinator to everyone that takes part: back to that snapshot, or to the beginning.
    Recover {
        /// Which recovery of the run it is, from 1: what is sent before it no longer counts.
        attempt: u32,
        /// The snapshot to go back to; `None` to begin afresh.
        snapshot: Option<u64>,
    },
    /// To the coordinator: a new incarnation has entered, and knows nothing.
    Entered,
    /// To the coordinator: it has gone back, and works again.
    Recovered {
        /// In which recovery.
        attempt: u32,
    },
    /// To the coordinator: what was saved cannot be used.
    Unusable {
        /// In which recovery.
        attempt: u32,
        /// Why.
        why: String,
    },
    /// To the coordinator: its inputs have ended, and it has put out all that it will.
    Over,
    /// To the coordinator, from those that read: how far they have come, where snapshots are made by that.
    Taken {
        /// Events since the last word.
        events: u64,
        /// Its watermark.
        watermark: Time,
    },
    /// To the store: a part of a snapshot.
    Save {
        /// The number of the snapshot.
        snapshot: u64,
        /// What the sender keeps.
        part: Arc<State>,
    },
    /// To the store: the sender's part of a snapshot is wanted.
    Load {
        /// In which recovery.
        attempt: u32,
        /// The number of the snapshot.
        snapshot: u64,
    },
    /// From the store: the part.
    Loaded {
        /// In which recovery.
        attempt: u32,
        /// The part, or why it cannot be read.
        part: Result<Arc<State>, String>,
    },
    /// To the store: what it has is wanted, or is to change.
    Store(StoreOrder),
    /// From the store: what has become of it.
    Stored(StoreNews),
    /// From a reader to its broker: send again from there, in that recovery.
    Seek {
        /// Which recovery.
        attempt: u32,
        /// From where.
        from: From,
    },
    /// In band, from a copy of an operator to a receiver: what follows on this link.
    Head(Head),
    /// From a copy of an operator to its arbiter: it asks for the lease.
    Ask(Ask),
    /// To a copy of an operator: from the other, the arbiter or a receiver.
    Copy(Box<Message<Element, Arc<Cut>>>),
    /// From a reader to its broker: it has worked on these, and will not want them again.
    Acknowledge(Vec<Position>),
}

/// Where a broker begins to send again.
#[derive(Clone, PartialEq, Debug)]
pub enum From {
    /// From these positions on, one for each partition that was read; the others from their beginning.
    Positions(Vec<Position>),
    /// Behind what was acknowledged.
    Committed,
    /// From the oldest that is kept.
    Earliest,
    /// From what comes from now on.
    Latest,
    /// From what was kept at or after that time of the broker's clock.
    Time(Time),
}

/// What the coordinator wants of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreOrder {
    /// The snapshot has all its parts: that is to be written down.
    Seal {
        /// Its number.
        snapshot: u64,
    },
    /// A snapshot is not wanted any more.
    Delete {
        /// Its number.
        snapshot: u64,
    },
    /// The newest complete snapshot that is intact is wanted.
    Newest {
        /// Those from this number on are no good.
        below: u64,
    },
}

/// What the store says to the coordinator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreNews {
    /// A part is on the disk.
    Durable {
        /// The number of the snapshot.
        snapshot: u64,
        /// Whose part, by its actor's number.
        of: u32,
        /// How many bytes were written for it.
        bytes: u64,
    },
    /// A part, or the word that a snapshot is complete, could not be written.
    Failed {
        /// The number of the snapshot.
        snapshot: u64,
        /// Why.
        why: String,
    },
    /// It is written down that the snapshot is complete.
    Sealed {
        /// The number of the snapshot.
        snapshot: u64,
    },
    /// The newest complete snapshot that is intact.
    Newest {
        /// Its number; `None` when there is none.
        snapshot: Option<u64>,
        /// How many newer ones were damaged, and why.
        damaged: Vec<String>,
    },
}

impl Control {
    /// What kind of message it is, and its number, for the trace.
    pub fn code(&self) -> [u64; 2] {
        match self {
            Self::Trigger { snapshot } => [1, *snapshot],
            Self::Complete { snapshot } => [2, *snapshot],
            Self::Recover { attempt, snapshot } => [3, u64::from(*attempt) << 32 | snapshot.map_or(0, |n| n + 1)],
            Self::Entered => [4, 0],
            Self::Recovered { attempt } => [5, u64::from(*attempt)],
            Self::Unusable { attempt, .. } => [6, u64::from(*attempt)],
            Self::Over => [7, 0],
            Self::Taken { events, .. } => [8, *events],
            Self::Save { snapshot, part } => [9, *snapshot << 32 | part.size() as u64],
            Self::Load { snapshot, .. } => [10, *snapshot],
            Self::Loaded { part, .. } => [11, part.as_ref().map_or(0, |part| part.size() as u64)],
            Self::Store(_) => [12, 0],
            Self::Stored(_) => [13, 0],
            Self::Seek { attempt, .. } => [14, u64::from(*attempt)],
            Self::Acknowledge(positions) => [15, positions.len() as u64],
            Self::Head(head) => [16, head.token << 40 | head.place],
            Self::Ask(ask) => [17, ask.sent.micros() as u64],
            Self::Copy(message) => message.code(),
        }
    }
}
