//! The patterns that lose nothing: what an operator keeps, as it goes into a snapshot and comes back out of it; who has
//! snapshots made and sets everybody back; the disk on which snapshots and logs lie; brokers, which keep events until they
//! have been worked on; and two copies of an operator, one of which takes over when the other is lost.

pub mod broker;
mod check;
mod chunks;
mod control;
mod coordinator;
pub mod disk;
pub mod failover;
#[cfg(test)]
mod kept;
mod participant;
pub mod replay;
#[cfg(test)]
mod replay_tests;
pub mod snapshot;
mod state;
mod store;
#[cfg(test)]
pub(crate) mod twin;

pub use check::{FAR, counted};
pub use control::{Control, From};
pub(crate) use coordinator::{Coordinator, Crew, Ends};
pub(crate) use participant::{Make, Participant, Peers};
pub use state::{Change, Part, State, StateError};
pub(crate) use store::{Shelf, Store};
