//! Events: what happened, with the identity, the stamp and the lineage that follow it through every operator.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::numbering::Sequence;
use crate::time::Time;
use crate::value::Row;

/// Who made an event: an index into the producers of a [`crate::topology::Topology`] (every source partition and every
/// operator is one).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Producer(pub u32);

/// The identity of an event: its producer and the number that the producer gave it, counted from 0 without gaps.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct EventId {
    /// Who made it.
    pub producer: Producer,
    /// The how-manieth of that producer, from 0.
    pub number: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.producer.0, self.number)
    }
}

/// An event on its way. Cloning shares the payload.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its identity.
    pub id: EventId,
    /// Event time, by the clock of the node that saw it.
    pub stamp: Time,
    /// The source event that this one goes back to; of an aggregate, the one that completed it. It survives every
    /// operator.
    pub correlation: EventId,
    /// When the latest source event behind this one was planned to leave its source, in virtual time: latency is counted
    /// from here, so that a source held up by back-pressure cannot hide its queue.
    pub planned: Time,
    /// The payload.
    pub row: Row,
    /// All source events behind this one in ascending order; `None` when they are only [`Event::correlation`] itself or
    /// when the run does not keep lineage.
    pub lineage: Option<Arc<[EventId]>>,
    /// Which result this is a version of, for the results of windows; `None` for single events.
    pub pane: Option<Arc<Pane>>,
    /// Its place between a split and its merge; `None` everywhere else.
    #[serde(default)]
    pub sequence: Option<Sequence>,
    /// Where it lies in the broker that it was read from; `None` everywhere else.
    #[serde(default)]
    pub position: Option<Position>,
}

/// Where an event lies in a broker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Position {
    /// Which partition, from 0; 0 in a queue.
    pub partition: u32,
    /// Which event of it, from 0: those of a log have no gaps; in a queue a number for each delivery.
    pub offset: u64,
}

impl Event {
    /// The source events behind this event, as far as the run keeps them.
    pub fn origins(&self) -> &[EventId] {
        match &self.lineage {
            Some(all) => all,
            None => std::slice::from_ref(&self.correlation),
        }
    }
}

/// The identity of a window's result: which window of which group, and the how-manieth answer for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pane {
    /// Start of the window, inclusive; [`Time::MIN`] where it has none.
    pub start: Time,
    /// End of the window, exclusive; [`Time::MAX`] where it has none.
    pub end: Time,
    /// The values of `group by`.
    pub key: Row,
    /// 0 for the first answer for this window and group, then counted up without gaps.
    pub revision: u32,
    /// Why it was given.
    pub timing: Timing,
    /// What it does to the answers before it.
    pub change: Change,
}

/// Why a window gave an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Timing {
    /// Before the window was complete.
    Early,
    /// The window was complete.
    OnTime,
    /// An event came within the allowed lateness after that.
    Late,
}

/// What an answer does to the table that a receiver folds the answers into.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// A row that was not there.
    Insert,
    /// Takes the old row away; an `UpdateAfter` follows.
    UpdateBefore,
    /// Replaces the old row.
    UpdateAfter,
    /// Takes the row away.
    Delete,
    /// A part of the answer: adds to the parts before it, and replaces nothing.
    Part,
}
