//! What happened in a run, in order; its hash names the run.

use std::hash::{Hash, Hasher};

use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::topology::{ActorId, LinkId, NodeId, Port};
use wavetank_scenarios::{Event, EventId, Time};
use xxhash_rust::xxh3::Xxh3Default;

use super::{Account, NodeFault};
use wavetank_scenarios::numbering::Progress;

use crate::element::Element;
use crate::operator::{Dropped, Failure};
use crate::reliability::failover::Note;

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the fields are named for what they are")]
pub enum Happening<'a> {
    /// An element arrived at the far end of its link, and stands in front of its actor.
    Arrived {
        link: LinkId,
        element: &'a Element,
        sent: Time,
    },
    /// An actor takes an element.
    Delivered {
        actor: ActorId,
        input: usize,
        lane: usize,
        element: &'a Element,
    },
    /// A timer of an actor is due.
    Timer { actor: ActorId, token: u64 },
    /// An actor puts out an element.
    Emitted {
        actor: ActorId,
        port: Port,
        element: &'a Element,
    },
    /// An actor is done with the oldest input that it was given and had not finished.
    Done { actor: ActorId },
    /// The books of an operator after an input.
    Account { actor: ActorId, account: Account },
    /// A reading of a metric of an actor's own.
    Measured {
        /// Which actor.
        actor: ActorId,
        /// Which metric.
        metric: Metric,
        /// What it shows.
        reading: u64,
    },
    /// An actor says something that a person should know of the run.
    Noted {
        /// Which actor.
        actor: ActorId,
        /// What it says.
        text: &'a str,
    },
    /// An operator is done with an event, without a result.
    Dropped { actor: ActorId, id: EventId, why: Dropped },
    /// An operator could not work on an event.
    Failed { actor: ActorId, failure: &'a Failure },
    /// A sink takes an event.
    Took { actor: ActorId, event: &'a Event },
    /// An event of the plan does not leave its source.
    Missed { actor: ActorId, id: EventId },
    /// An element is lost on a link.
    Lost {
        link: LinkId,
        element: &'a Element,
        why: LossReason,
    },
    /// A full mailbox turns an event away.
    Shed { actor: ActorId, event: &'a Event },
    /// An event was in the mailbox of an actor whose node crashed.
    LostInMailbox { actor: ActorId, event: &'a Event },
    /// An actor was busy with an event when its node crashed: it had taken it in, or its node was about to hand it over.
    LostAtWork {
        /// Which actor.
        actor: ActorId,
        /// Which event.
        id: EventId,
        /// Whether it had taken it in.
        taken: bool,
    },
    /// So many things wait in front of an actor.
    Queue { actor: ActorId, depth: usize },
    /// A declared fault acts on a watermark that an actor is about to pass on.
    Meddled {
        /// Which actor.
        actor: ActorId,
        /// Which fault.
        fault: usize,
    },
    /// So many elements wait in front of an actor for a marker on another input.
    HeldBack {
        /// Which actor.
        actor: ActorId,
        /// How many.
        elements: usize,
    },
    /// An actor no longer waits for a marker on every input.
    GaveUp {
        /// Which actor.
        actor: ActorId,
        /// The marker's number.
        number: u64,
    },
    /// A counter puts its answer on the link to whoever asked.
    Answered {
        /// Which link.
        link: LinkId,
        /// The answer.
        element: &'a Element,
    },
    /// The receiver of a link holds it back (`true`), or lets it go.
    Hold {
        /// Which link.
        link: LinkId,
        /// Whether it is held.
        hold: bool,
    },
    /// An actor gives one other something, by the link to it.
    Told {
        /// Which link.
        link: LinkId,
        /// What.
        element: &'a Element,
    },
    /// An actor has cut its part of a snapshot, behind what it had taken until then.
    Cut {
        /// Which actor.
        actor: ActorId,
        /// The snapshot's number.
        snapshot: u64,
    },
    /// An actor has gone back to a snapshot, or to its beginning.
    Restored {
        /// Which actor.
        actor: ActorId,
        /// Which recovery of the run it is, from 1.
        attempt: u32,
        /// The snapshot; `None` for the beginning.
        snapshot: Option<u64>,
        /// Whether it keeps, to the last bit, what was saved.
        same: bool,
    },
    /// Something happened to one of two copies of an operator.
    OfCopy {
        /// What publishes its results.
        actor: ActorId,
        /// What happened.
        note: Note,
    },
    /// What an actor was sent before everybody went back counts no longer, and does not reach it.
    Superseded {
        /// Which actor.
        actor: ActorId,
        /// What.
        element: &'a Element,
    },
    /// Something befalls a node; `by` is the fault's index in the scenario.
    Node { node: NodeId, fault: NodeFault, by: usize },
    /// A declared fault fires, on this event if it is about one.
    Fault { fault: usize, id: Option<EventId> },
}

/// Why an element was lost on a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LossReason {
    /// By the network.
    Network,
    /// Its receiver had crashed.
    Crash,
}

/// The hash of a trace: equal for equal runs.
#[derive(Clone, Default)]
pub struct TraceHash(Xxh3Default, u64);

impl TraceHash {
    /// Adds the next thing that happened. Payloads count where they are new: as results and at sinks.
    pub fn add(&mut self, at: Time, happening: &Happening<'_>) {
        let mut words = [0u64; 8];
        words[0] = at.micros() as u64;
        let element = |words: &mut [u64; 8], element: &Element| match element {
            Element::Event(event) => id(words, event.id, event.stamp),
            Element::Watermark(w) => words[5..8].copy_from_slice(&[1, w.micros() as u64, 0]),
            Element::Idle(idle) => words[5..8].copy_from_slice(&[2, u64::from(*idle), 0]),
            Element::Epoch(number) => words[5..8].copy_from_slice(&[4, *number, 0]),
            Element::Barrier(number) => words[5..8].copy_from_slice(&[9, *number, 0]),
            Element::Control(control) => {
                let [kind, number] = control.code();
                words[5..8].copy_from_slice(&[10, kind, number]);
            }
            Element::Ask => words[5] = 5,
            Element::End => words[5] = 3,
            Element::Progress(progress) => words[5..8].copy_from_slice(&told(progress)),
        };
        let mut content = None;
        match happening {
            Happening::Arrived { link, element: e, sent } => {
                words[1..4].copy_from_slice(&[1, u64::from(link.0), sent.micros() as u64]);
                element(&mut words, e);
            }
            Happening::Delivered {
                actor,
                input,
                lane,
                element: e,
            } => {
                words[1..5].copy_from_slice(&[2, u64::from(actor.0), *input as u64, *lane as u64]);
                element(&mut words, e);
            }
            Happening::Timer { actor, token } => words[1..4].copy_from_slice(&[3, u64::from(actor.0), *token]),
            Happening::Emitted {
                actor,
                port,
                element: e,
            } => {
                words[1..4].copy_from_slice(&[4, u64::from(actor.0), port.code()]);
                element(&mut words, e);
                content = e.event().filter(|event| event.correlation != event.id);
            }
            // The books follow from everything else, and the depth of a queue from arrivals and services.
            Happening::Done { .. }
            | Happening::Account { .. }
            | Happening::Measured { .. }
            | Happening::Noted { .. }
            | Happening::HeldBack { .. }
            | Happening::Queue { .. } => return,
            Happening::Dropped {
                actor,
                id: dropped,
                why,
            } => {
                words[1..4].copy_from_slice(&[5, u64::from(actor.0), *why as u64]);
                id(&mut words, *dropped, Time::ZERO);
            }
            Happening::Failed { actor, failure } => {
                words[1..3].copy_from_slice(&[6, u64::from(actor.0)]);
                id(&mut words, failure.event.id, failure.event.stamp);
            }
            Happening::Took { actor, event } => {
                words[1..3].copy_from_slice(&[7, u64::from(actor.0)]);
                id(&mut words, event.id, event.stamp);
                content = Some(event);
            }
            Happening::Missed { actor, id: missed } => {
                words[1..3].copy_from_slice(&[13, u64::from(actor.0)]);
                id(&mut words, *missed, Time::ZERO);
            }
            Happening::Lost { link, element: e, why } => {
                words[1..4].copy_from_slice(&[8, u64::from(link.0), *why as u64]);
                element(&mut words, e);
            }
            Happening::Shed { actor, event } => {
                words[1..3].copy_from_slice(&[9, u64::from(actor.0)]);
                id(&mut words, event.id, event.stamp);
            }
            Happening::LostInMailbox { actor, event } => {
                words[1..3].copy_from_slice(&[10, u64::from(actor.0)]);
                id(&mut words, event.id, event.stamp);
            }
            Happening::Meddled { actor, fault } => {
                words[1..4].copy_from_slice(&[15, u64::from(actor.0), *fault as u64]);
            }
            Happening::GaveUp { actor, number } => {
                words[1..4].copy_from_slice(&[16, u64::from(actor.0), *number]);
            }
            Happening::Answered { link, element: e } => {
                words[1..3].copy_from_slice(&[17, u64::from(link.0)]);
                element(&mut words, e);
            }
            Happening::Told { link, element: e } => {
                words[1..3].copy_from_slice(&[19, u64::from(link.0)]);
                element(&mut words, e);
            }
            Happening::Cut { actor, snapshot } => {
                words[1..4].copy_from_slice(&[20, u64::from(actor.0), *snapshot]);
            }
            Happening::Restored {
                actor,
                attempt,
                snapshot,
                same,
            } => {
                let to = snapshot.map_or(0, |snapshot| snapshot + 1);
                words[1..6].copy_from_slice(&[21, u64::from(actor.0), u64::from(*attempt), to, u64::from(*same)]);
            }
            Happening::OfCopy { actor, note } => {
                let [kind, number] = note.code();
                words[1..5].copy_from_slice(&[23, u64::from(actor.0), kind, number]);
            }
            Happening::Superseded { actor, element: e } => {
                words[1..3].copy_from_slice(&[22, u64::from(actor.0)]);
                element(&mut words, e);
            }
            Happening::Hold { link, hold } => {
                words[1..4].copy_from_slice(&[14, u64::from(link.0), u64::from(*hold)]);
            }
            Happening::LostAtWork { actor, id: lost, .. } => {
                words[1..3].copy_from_slice(&[18, u64::from(actor.0)]);
                id(&mut words, *lost, Time::ZERO);
            }
            Happening::Node { node, fault, by } => {
                let what = match fault {
                    NodeFault::Crash => 0,
                    NodeFault::Restart => 1,
                    NodeFault::Pause => 2,
                    NodeFault::Resume => 3,
                    NodeFault::Slow(factor) => factor.to_bits(),
                    NodeFault::Clock => 4,
                };
                words[1..5].copy_from_slice(&[11, u64::from(node.0), what, *by as u64]);
            }
            Happening::Fault { fault, id: touched } => {
                words[1..3].copy_from_slice(&[12, *fault as u64]);
                if let Some(touched) = touched {
                    id(&mut words, *touched, Time::ZERO);
                }
            }
        }
        let mut bytes = [0u8; 64];
        for (slot, word) in bytes.chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        self.0.update(&bytes);
        self.1 += 1;
        if let Some(event) = content {
            event.row.hash(&mut self.0);
        }
    }
    /// The hash so far.
    pub fn value(&self) -> u64 {
        let mut all = self.0.clone();
        all.write_u64(self.1);
        all.digest()
    }
}

impl std::fmt::Debug for TraceHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TraceHash({:016x})", self.value())
    }
}

/// Progress in three words. The state of keys follows from what was worked on before.
fn told(progress: &Progress) -> [u64; 3] {
    match progress {
        Progress::Given(next) => [4, *next, 0],
        Progress::Done(below) => [5, *below, 0],
        Progress::Skip(number) => [6, *number, 0],
        Progress::Give(moving) => [7, moving.cut, u64::from(moving.id)],
        Progress::State(moved) => [8, moved.moving.cut, moved.state.len() as u64],
    }
}

fn id(words: &mut [u64; 8], id: EventId, stamp: Time) {
    words[5..8].copy_from_slice(&[u64::from(id.producer.0) << 8, id.number, stamp.micros() as u64]);
}
