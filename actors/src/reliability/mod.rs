//! The patterns that lose nothing: what an operator keeps, as it goes into a snapshot and comes back out of it.

mod state;

pub use state::{Change, State, StateError};
