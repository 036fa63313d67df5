//! The patterns that lose nothing: what an operator keeps, as it goes into a snapshot and comes back out of it; the disk
//! that such things lie on; and brokers, which keep events until they have been worked on.

pub mod broker;
pub mod disk;
pub mod replay;
#[cfg(test)]
mod replay_tests;
mod state;

pub use state::{Change, State, StateError};
