//! Brokers: where events are kept until they have been worked on.
//!
//! A **log** ([`Log`]) keeps events in partitions, each in order by itself, and gives them from any place that it still
//! has; groups of readers say how far they are. A **queue** ([`Queue`]) keeps events until they are acknowledged, and
//! gives again what is not. Both are pure: they are told what comes and what time it is.
//!
//! What they keep lies in a [`Journal`] on a disk that survives their node. What is promised: an event that has been
//! written is there after a crash, and readers are given none that has not been written. What was still on its way to the
//! disk is lost in a crash, and counted. A disk that lies (torn or flipped bytes, lost files) is found out: what it lost is
//! named by partition and offsets.

mod faults;
mod journal;
mod log;
mod numbers;
mod queue;
#[cfg(test)]
mod tests;

pub use faults::{Befalls, BrokerFaults, CalmBroker};
pub use journal::{Commit, Entry, Files, Found, Journal, MAGIC, Page, Problem, Summary, VERSION, Why, journal_files};
pub use log::{Ask, Asked, Gap, GapReason, Kept, Limits, Log, Next, Record};
pub use numbers::Numbers;
pub use queue::{Delivery, Queue, QueueLimits, Settled};
