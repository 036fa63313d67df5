//! The patterns that lose nothing: what an operator keeps, as it goes into a snapshot and comes back out of it; the disk
//! that such things lie on; and brokers, which keep events until they have been worked on.

pub mod broker;
mod check;
mod chunks;
mod control;
mod coordinator;
pub mod disk;
#[cfg(test)]
mod kept;
mod participant;
pub mod replay;
#[cfg(test)]
mod replay_tests;
mod state;
mod store;
#[cfg(test)]
pub(crate) mod twin;

pub use check::{FAR, counted};
pub use control::{Control, From, StoreNews, StoreOrder};
pub(crate) use coordinator::{Coordinator, Crew};
pub(crate) use participant::{Make, Participant, Peers};
pub use state::{Change, State, StateError};
pub(crate) use store::{Shelf, Store};
