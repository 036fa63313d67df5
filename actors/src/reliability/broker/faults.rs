//! What may go wrong between a broker and its readers.

use wavetank_scenarios::{EventId, Span, Time};

/// What befalls an event when it is about to be given: faults by their index in the scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Befalls {
    /// It is given twice.
    pub again: Option<usize>,
    /// It is given behind the one after it.
    pub behind: Option<usize>,
}

/// What goes wrong at a broker. Times are those of its monotonic clock.
pub trait BrokerFaults {
    /// The faults by which what is older than a span is let go now.
    fn expire(&mut self, now: Time) -> Vec<(usize, Span)>;
    /// What befalls an event that is about to be given.
    fn give(&mut self, event: EventId, now: Time) -> Befalls;
    /// The fault by which the acknowledgement of an event is lost.
    fn acknowledge(&mut self, event: EventId, now: Time) -> Option<usize>;
}

/// A broker at which nothing goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct CalmBroker;

impl BrokerFaults for CalmBroker {
    fn expire(&mut self, _: Time) -> Vec<(usize, Span)> {
        Vec::new()
    }
    fn give(&mut self, _: EventId, _: Time) -> Befalls {
        Befalls::default()
    }
    fn acknowledge(&mut self, _: EventId, _: Time) -> Option<usize> {
        None
    }
}
