//! The patterns that lose nothing: what an operator keeps, as it goes into a snapshot and comes back out of it.

mod check;
mod chunks;
mod state;
#[cfg(test)]
pub(crate) mod twin;

pub use check::{FAR, counted};
pub use state::{Change, State, StateError};
