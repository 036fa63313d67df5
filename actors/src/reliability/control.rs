//! What actors agree on beside the events: who is to save or to go back to what, and from where a broker sends again.

use std::sync::Arc;

use wavetank_scenarios::Time;
use wavetank_scenarios::asking::{Answer, Question};
use wavetank_scenarios::event::Position;

use super::broker::Gap;
use super::failover::{Ask, Cut, Head};
use super::{failover, snapshot};
use crate::element::Element;

/// A message on a control link.
#[derive(Clone, PartialEq, Debug)]
pub enum Control {
    /// Between coordinator, store and participants of snapshots and recovery.
    Snapshot(snapshot::Message),
    /// From a reader to its broker: send again from there, in that recovery.
    Seek {
        /// Which recovery.
        attempt: u32,
        /// From where.
        from: From,
    },
    /// In band, from a copy of an operator to a receiver: what follows on this link.
    Head(Head),
    /// From a learner to the service that has its model.
    Question(Question),
    /// From a service to whoever asked.
    Answer(Answer),
    /// From a copy of an operator to its arbiter: it asks for the lease.
    Ask(Ask),
    /// To a copy of an operator: from the other, the arbiter or a receiver.
    Copy(Box<failover::Message<Element, Arc<Cut>>>),
    /// From a reader to its broker: it has worked on these, and will not want them again. In a log all before them count as
    /// well.
    Acknowledge(Vec<Position>),
    /// From a broker to its reader: what it would have been given is not there.
    Missing(Gap),
    /// To the coordinator, from those whose results leave the pipeline: the watermark that they have passed on.
    Passed {
        /// In which recovery.
        attempt: u32,
        /// The watermark.
        watermark: Time,
    },
    /// From the coordinator to those that read: this watermark has come out wherever results leave the pipeline.
    Done {
        /// In which recovery.
        attempt: u32,
        /// The watermark.
        watermark: Time,
    },
}

/// Where a broker begins to send again.
#[derive(Clone, PartialEq, Debug)]
pub enum From {
    /// From these positions on, one for each partition that was read; the others from their beginning.
    Positions(Vec<Position>),
    /// Behind what was acknowledged.
    Committed,
    /// From the oldest that is kept.
    Earliest,
    /// From what comes from now on.
    Latest,
    /// From what was kept at or after that time of the broker's clock.
    Time(Time),
}

impl Control {
    /// What kind of message it is, and its number, for the trace.
    pub fn code(&self) -> [u64; 2] {
        match self {
            Self::Snapshot(message) => message.code(),
            Self::Seek { attempt, .. } => [40, u64::from(*attempt)],
            Self::Acknowledge(positions) => [41, positions.len() as u64],
            Self::Missing(gap) => [42, gap.from],
            Self::Passed { watermark, .. } => [43, watermark.micros() as u64],
            Self::Done { watermark, .. } => [44, watermark.micros() as u64],
            Self::Head(head) => [45, head.token << 40 | head.place],
            Self::Ask(ask) => [46, ask.sent.micros() as u64],
            Self::Copy(message) => message.code(),
            Self::Question(question) => [47, question.event.number],
            Self::Answer(answer) => [48 | u64::from(answer.said.is_ok()) << 8, answer.event.number],
        }
    }
}
