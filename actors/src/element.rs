//! What travels on a link.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wavetank_scenarios::numbering::Progress;
use wavetank_scenarios::topology::Port;
use wavetank_scenarios::{Event, Time};

use crate::reliability::Control;

/// What travels on a link. Watermarks and the end keep their place among events.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Element {
    /// An event. Boxed, because it changes hands often and its content never does.
    Event(Box<Event>),
    /// No more event with a stamp at or below this is expected on this link.
    Watermark(Time),
    /// Whether this link is idle (`true`): its watermark is left out of the receiver's minimum until it speaks again.
    Idle(bool),
    /// The end of the epoch of that number: everything before it on this link belongs to it or an earlier one.
    Epoch(u64),
    /// Asks a counter for the number of the epoch.
    Ask,
    /// The cut of the snapshot of that number: what came before it on this link belongs to it.
    Barrier(u64),
    /// Nothing more will come on this link.
    End,
    /// Between a split, its sub-streams and their merge: how far the numbers have come, or the state of keys that move.
    Progress(Progress),
    /// On a control link: what actors agree on beside the events.
    #[serde(skip)]
    Control(Arc<Control>),
}

impl Element {
    /// The event, if it is one.
    pub const fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(e) => Some(e),
            _ => None,
        }
    }
    /// Whether what is put on one output goes to a link of another: what speaks of all events goes wherever some of them go
    /// (but neither back to the one they came from nor to a counter), all else to its own output alone.
    pub fn goes(&self, put: Port, link: Port) -> bool {
        match self {
            Self::Event(_) | Self::Progress(_) | Self::Ask => put == link,
            // What sub-streams have told their split by then belongs to the cut as well.
            Self::Barrier(_) => put == link || (put == Port::Main && !matches!(link, Port::Counter | Port::Control)),
            Self::Watermark(_) | Self::Idle(_) | Self::Epoch(_) | Self::End => {
                put == link || (put != Port::Counter && !matches!(link, Port::Back | Port::Counter | Port::Control))
            }
            // It goes to one actor, by the link to it.
            Self::Control(_) => false,
        }
    }
}
