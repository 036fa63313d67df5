//! What travels on a link.

use wavetank_scenarios::{Event, Time};

/// What travels on a link. Watermarks and the end keep their place among events.
#[derive(Clone, PartialEq, Debug)]
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
    /// Nothing more will come on this link.
    End,
}

impl Element {
    /// The event, if it is one.
    pub const fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(e) => Some(e),
            _ => None,
        }
    }
}
