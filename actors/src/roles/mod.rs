//! The parts that are not patterns themselves: sources, sinks, and the host of an operator.

mod broker;
mod counter;
mod operating;
mod pair;
mod room;
mod service;
mod sink;
mod source;

pub(crate) use broker::{Broker, Kept, Shelves};
pub(crate) use counter::Counter;
pub(crate) use operating::Operating;
pub(crate) use pair::{Arbitrating, Gating, Keeping, OwnDisk, Publishing, Ties};
pub use room::RIPE;
pub(crate) use room::Room;
pub(crate) use service::Serving;
pub(crate) use sink::{Sink, Written};
pub(crate) use source::{Marked, Plan, Source};
