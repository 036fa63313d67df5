//! The patterns that lose nothing: what an operator keeps, as it goes into a snapshot and comes back out of it; the disk
//! on which snapshots and logs lie.

pub mod disk;
pub mod snapshot;
mod state;

pub use state::{Change, State, StateError};
