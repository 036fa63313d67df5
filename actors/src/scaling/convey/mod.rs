//! Sequential convey: a split that numbers events and deals them to sub-streams, the sub-streams, and the merge that
//! brings their results into the order of the numbers again.
//!
//! Each is an actor of its own. Beside events they exchange [`Progress`](wavetank_scenarios::numbering::Progress): how far
//! the numbers have come, which are done, and the state of keys that move.

mod merge;
mod router;
mod split;
mod worker;

pub use merge::Merge;
pub use router::Router;
pub(crate) use split::Split;
pub(crate) use worker::Worker;

/// The token of the timer that a split or a sub-stream sets to tell of its progress.
pub const TELL: u64 = u64::MAX;

#[cfg(test)]
mod tests;
