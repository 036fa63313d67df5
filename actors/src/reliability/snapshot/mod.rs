//! Periodic snapshots: the states of all participants that belong together, put away from time to time, so that a crash
//! costs no more than what came since.
//!
//! A [`Coordinator`] lets the readers among the [`Saver`]s cut; a barrier takes the cut to all others in its place among
//! the elements ([`barrier`]). Each sends its part, a file ([`format`](mod@format)), to the [`Store`]; when all parts and
//! the manifest that names them are durable, the set is complete ([`catalog`]). After a crash everybody goes back to the
//! newest complete set of which nothing is damaged.
//!
//! Everything here is pure: messages and timers in, messages and timers out.

pub mod barrier;
pub mod catalog;
mod coordinator;
pub mod format;
mod keys;
mod message;
#[cfg(test)]
mod restoring;
mod saver;
mod store;
#[cfg(test)]
mod tests;

pub use coordinator::{Coordinator, Member, Plan, Trigger};
pub use keys::{KeyId, Keys};
pub use message::{Cleaned, Doings, Message, Note, To};
pub use saver::{Habit, Saver, Step};
pub use store::Store;
pub use wavetank_scenarios::script::Overlap;
