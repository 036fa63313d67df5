//! The patterns that lose nothing: what an operator keeps, as it goes into a snapshot and comes back out of it; and two
//! copies of an operator, one of which takes over when the other is lost.

pub mod failover;
mod state;

pub use state::{Change, State, StateError};
