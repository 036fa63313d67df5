//! Two-node failover: two copies of an operator work on the same log, one of them publishes, and the other takes over
//! when it goes silent.
//!
//! All pieces are pure state machines: messages, timers and readings of their own node's monotonic clock in, messages and
//! timers out.
//! - A [`Detector`] says from the other copy's heartbeats when that is to be taken for gone.
//! - An [`Arbiter`] gives a lease to one of the two at a time, under a token that grows from grant to grant.
//! - A [`Replica`] is what one copy does with the results of its operator: publish them, or hold them back, compare them
//!   with what the other published, and discard them.
//! - A [`Gate`] stands in front of each receiver: it makes one input of the two copies', refuses old tokens, knows what it
//!   has had, and confirms.
//!
//! Results go out on several outputs (its main output, late events, failed ones). Each has a **place**, counted from 1 on
//! its output: both copies work on the same input in the same order, so that the same result has the same place at both.

mod arbiter;
mod detector;
mod gate;
mod message;
mod replica;
#[cfg(test)]
mod simulation;

pub use arbiter::{Arbiter, Disk, Verdict};
pub use detector::Detector;
pub use gate::{Gate, Headed, Passed};
pub use message::{Ask, Copied, Cut, Grant, Head, Message, Output, Party, SavedPart, Side};
pub use replica::{Act, Note, Phase, Replica, Saved, Why};
