//! The judge's references: what the answer should have been, in the simplest words.
//!
//! This crate knows the script and nothing of the actors. Each operator is written here a second time from the same
//! definitions, naively: plain lists, everything worked out from scratch, no state that could be derived. Where the two
//! writings differ, one of them is wrong, and it is easier to see here which.
//!
//! # Truth
//!
//! Every event of the fault-free input, ordered by true time, through the whole pipeline: [`truth`].
//!
//! # Admitted
//!
//! Truth without what never arrived and what was late, ordered by stamp. It needs no procedure of its own; it follows from
//! two recordings and the settings:
//!
//! - what arrived at each operator, in the order in which it took it (what never arrived is not among it);
//! - what arrived at each watermark generator, from which [`watermark::Generator`] works out the watermarks that had to be
//!   sent, and [`watermark::Minimum`] those of a stage with several inputs.
//!
//! Told these arrivals one by one, the [`Reference`] of an operator says at each *exactly what is due*: which events are
//! late by the watermark at that moment, which results come, and how many events are held. So the operator is judged in
//! lockstep, the first wrong moment is known at once, and the admitted events are those that the reference did not call
//! late. The results of all steps, folded into a [`table::Table`], are the admitted table. Nothing is taken from an
//! operator's counters, watermarks or code.
//!
//! For windows on a grid, sliding windows and snapshots the folded results of any arrivals equal [`truth::Truth`] over the
//! admitted events alone (with their stamps for true times); sessions and staggered windows may differ from it where an
//! event would have joined one that had closed and was forgotten.
//!
//! # What each module answers
//!
//! | question | module |
//! | --- | --- |
//! | What is an expression worth? | [`expr`] |
//! | What is an aggregate worth, and what may a sketch say? | [`aggregate`] |
//! | What must an operator do with an arrival? | [`reference()`] |
//! | What must a generator send, and what is the minimum? | [`watermark`] |
//! | What must a split, a sub-stream and a merge do? | [`convey`], [`convey_worker`], [`convey_merge`] |
//! | Is every event accounted for? | [`conservation`] |
//! | What waits before an operator for its time to come? | [`waiting`] |
//! | Who must be given what by a broker? | [`broker`] |
//! | Between which markers does an event belong? | [`epoch`] |
//! | What does a receiver have, and how far is that from right? | [`table`] |
//! | What would everyone say if nothing went wrong? | [`truth`] |

pub mod aggregate;
mod answer;
pub mod broker;
mod by_key;
mod codec;
mod compensation;
pub mod conservation;
pub mod convey;
pub mod convey_merge;
pub mod convey_worker;
mod counted;
pub mod epoch;
pub mod expr;
mod gather;
mod join;
mod joined_windows;
mod learner;
mod learner_gate;
mod ordering;
mod panes;
pub mod publication;
mod reference;
mod sequence;
mod sequence_value;
mod sequence_ways;
mod single;
pub mod table;
mod transform;
pub mod truth;
pub mod waiting;
pub mod watermark;
mod windowed;
mod windows;

pub use aggregate::Bound;
pub use reference::{Tables, reference, tables};
use wavetank_scenarios::asking::{Answer, Question};
use wavetank_scenarios::numbering::Progress;
use wavetank_scenarios::{Event, EventId, Pane, Row, Time};

/// Something that reached an operator, as the world recorded it. Arrivals come in the order in which the operator took
/// them.
#[derive(Clone, PartialEq, Debug)]
pub enum Arrival {
    /// An event on input `input` (counted as in the operator's `input` list); `now` is the wall clock of the node.
    Event {
        /// Which input.
        input: usize,
        /// What came.
        event: Event,
        /// The node's wall clock.
        now: Time,
        /// The node's monotonic clock.
        at: Time,
    },
    /// A timer that the operator had set is due.
    Timer {
        /// The token that it was set with.
        token: u64,
        /// The node's monotonic clock.
        at: Time,
    },
    /// The combined watermark of all inputs grew to this; [`Time::MAX`] at the end of input (which means nothing to windows
    /// that are told not to flush).
    Watermark(Time),
    /// The node crashed: everything held is lost.
    Crash,
}

/// What an operator must do with one arrival: exactly this and nothing else.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Due {
    /// Results, in their stated order.
    pub results: Vec<DueResult>,
    /// Events that end without a result, each with the reason, ascending by id.
    pub dropped: Vec<(EventId, Why)>,
    /// How many input events are held afterwards.
    pub held: u64,
    /// No watermark above this may be passed on now, because events are held that will go out with their own stamps.
    pub limit: Option<Time>,
    /// What it says of its decisions, in order.
    pub notes: Vec<String>,
    /// What it asks its service, in order.
    pub asked: Vec<Question>,
}

/// A result that is due.
#[derive(Clone, PartialEq, Debug)]
pub struct DueResult {
    /// Its event time.
    pub stamp: Time,
    /// Its payload. Where a column is a sketch, the exact answer stands for it.
    pub row: Row,
    /// The columns that come from a sketch, and what they must keep to instead of being equal to those of `row`.
    pub bounds: Vec<(usize, Bound)>,
    /// Which answer of which window it is; `None` for results of single events and of counted windows.
    pub pane: Option<Pane>,
    /// The source event that it goes back to; of several, that of the input event with the largest (stamp, id).
    pub correlation: EventId,
    /// All source events behind it, ascending.
    pub origins: Vec<EventId>,
}

impl DueResult {
    /// Whether `row` is a right payload for this result: equal, but for the columns judged by a bound.
    pub fn admits(&self, row: &Row) -> bool {
        row.len() == self.row.len()
            && row.iter().zip(self.row.iter()).enumerate().all(|(slot, (came, due))| {
                let bound = self.bounds.iter().find(|(bounded, _)| *bounded == slot);
                bound.map_or_else(|| table::same(came, due), |(_, bound)| bound.admits(came))
            })
    }
}

/// Why an event ends without a result.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Why {
    /// A predicate was not true, or every result that it contributed to was filtered.
    Filtered,
    /// It came too late.
    Late,
    /// It could not be worked on.
    Failed,
}

/// A model that can be copied as it stands: for the judge, who goes back to the copy when its operator goes back to a
/// snapshot.
pub trait Copied {
    /// Another one in the same state.
    fn copied(&self) -> Box<dyn Reference>;
}

impl<R: Reference + Clone + 'static> Copied for R {
    fn copied(&self) -> Box<dyn Reference> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Reference> {
    fn clone(&self) -> Self {
        (**self).copied()
    }
}

/// The naive model of one operator, told what arrived and saying what is due.
pub trait Reference: Copied {
    /// The next arrival.
    fn arrive(&mut self, arrival: &Arrival) -> Due;
    /// A service has answered. `None` where that means nothing to the operator.
    fn answer(&mut self, _answer: &Answer) -> Option<Due> {
        None
    }
    /// Whether it waits for answers, so that the end of its output waits with it.
    fn waits(&self) -> bool {
        false
    }
    /// An input of a merge said how far it has come (the end: that it is done with everything). `None` where that means
    /// nothing to the operator.
    fn progress(&mut self, _input: usize, _progress: &Progress) -> Option<Due> {
        None
    }
}
