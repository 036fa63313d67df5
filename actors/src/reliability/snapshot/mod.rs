//! Periodic snapshots: the states of all participants that belong together, put away from time to time, so that a crash
//! costs no more than what came since.
//!
//! Everything here is pure: messages and timers in, messages and timers out.

pub mod barrier;
pub mod format;
mod keys;

pub use keys::{KeyId, Keys};
