//! The patterns that lose nothing: what an operator keeps, as it goes into a snapshot and comes back out of it; and two
//! copies of an operator, one of which takes over when the other is lost.

mod check;
mod chunks;
mod control;
mod coordinator;
pub mod failover;
#[cfg(test)]
mod kept;
mod participant;
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
