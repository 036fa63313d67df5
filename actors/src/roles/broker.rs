//! A broker: it keeps events, and gives them to those who read it, from where they say.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use wavetank_scenarios::event::Position;
use wavetank_scenarios::numbering::key_hash;
use wavetank_scenarios::topology::ActorId;
use wavetank_scenarios::{Event, EventId};

use crate::element::Element;
use crate::host::Part;
use crate::reliability::{Control, From};
use crate::world::{Effect, Input, Stage};

/// What lies on a broker's disk: it outlives the broker.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    partitions: Vec<Vec<Event>>,
    seen: BTreeSet<EventId>,
    /// The inputs that have ended.
    ended: BTreeSet<usize>,
    /// What each reader has acknowledged: the next offset of each partition.
    acknowledged: BTreeMap<ActorId, BTreeMap<u32, u64>>,
}

/// Who is linked to a broker.
#[derive(Clone, Debug)]
pub(crate) struct Shelves {
    /// How many of its inputs carry events.
    pub inputs: usize,
    /// By input: who is there.
    pub senders: Vec<ActorId>,
    /// Who reads it.
    pub readers: BTreeSet<ActorId>,
    /// Where the field that events are dealt by stands.
    pub by: Option<usize>,
    pub partitions: u32,
    pub dedup: bool,
}

/// A log-based broker.
pub(crate) struct Broker {
    kept: Rc<RefCell<Kept>>,
    shelves: Shelves,
    /// By reader: the next offset of each partition, and whether it has been told the end.
    reads: BTreeMap<ActorId, (Vec<u64>, bool)>,
}

impl Broker {
    pub fn new(kept: Rc<RefCell<Kept>>, shelves: Shelves) -> Self {
        let partitions = shelves.partitions as usize;
        kept.borrow_mut().partitions.resize_with(partitions, Vec::new);
        let reads = shelves
            .readers
            .iter()
            .map(|reader| (*reader, (vec![0; partitions], false)));
        Self {
            reads: reads.collect(),
            kept,
            shelves,
        }
    }

    fn keep(&self, mut event: Event) {
        let mut kept = self.kept.borrow_mut();
        if self.shelves.dedup && !kept.seen.insert(event.id) {
            return;
        }
        let partitions = u64::from(self.shelves.partitions);
        let partition = match self.shelves.by.and_then(|slot| event.row.get(slot)) {
            Some(value) => key_hash(std::slice::from_ref(value), 0) % partitions,
            None => u64::from(event.id.producer.0) % partitions,
        };
        let log = &mut kept.partitions[partition as usize];
        event.position = Some(Position {
            partition: partition as u32,
            offset: log.len() as u64,
        });
        log.push(event);
    }

    /// Gives a reader all that it has not been given.
    fn give(&mut self, reader: ActorId, stage: &Stage) {
        let kept = self.kept.borrow();
        let Some((offsets, told)) = self.reads.get_mut(&reader) else {
            return;
        };
        for (next, log) in offsets.iter_mut().zip(&kept.partitions) {
            for event in &log[(*next as usize).min(log.len())..] {
                let element = Element::Event(Box::new(event.clone()));
                stage.put(Effect::Give { to: reader, element });
            }
            *next = log.len() as u64;
        }
        if kept.ended.len() == self.shelves.inputs && !std::mem::replace(told, true) {
            let element = Element::End;
            stage.put(Effect::Give { to: reader, element });
        }
    }

    fn seek(&mut self, reader: ActorId, attempt: u32, from: &From, stage: &Stage) {
        let kept = self.kept.borrow();
        let mut offsets = vec![0; kept.partitions.len()];
        match from {
            From::Positions(positions) => {
                for position in positions {
                    if let Some(next) = offsets.get_mut(position.partition as usize) {
                        *next = position.offset;
                    }
                }
            }
            From::Committed => {
                for (partition, next) in kept.acknowledged.get(&reader).into_iter().flatten() {
                    if let Some(offset) = offsets.get_mut(*partition as usize) {
                        *offset = *next;
                    }
                }
            }
            From::Earliest => {}
            From::Latest => {
                let ends = kept.partitions.iter().map(|log| log.len() as u64);
                offsets = ends.collect();
            }
            From::Time(time) => {
                let first = |log: &Vec<Event>| log.partition_point(|event| event.planned < *time) as u64;
                offsets = kept.partitions.iter().map(first).collect();
            }
        }
        drop(kept);
        self.reads.insert(reader, (offsets, false));
        stage.put(Effect::Attempt { to: reader, attempt });
        self.give(reader, stage);
    }

    fn everyone(&mut self, stage: &Stage) {
        for reader in self.shelves.readers.clone() {
            self.give(reader, stage);
        }
    }
}

impl Part for Broker {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        let Input::Element { input, element, .. } = input else {
            return;
        };
        match element {
            Element::Event(event) => {
                self.keep(*event);
                self.everyone(stage);
            }
            Element::End => {
                self.kept.borrow_mut().ended.insert(input);
                self.everyone(stage);
            }
            Element::Control(control) => {
                let Some(from) = self.shelves.senders.get(input).copied() else {
                    return;
                };
                match &*control {
                    Control::Seek { attempt, from: place } => self.seek(from, *attempt, place, stage),
                    Control::Acknowledge(positions) => {
                        let mut kept = self.kept.borrow_mut();
                        let acknowledged = kept.acknowledged.entry(from).or_default();
                        for position in positions {
                            let next = acknowledged.entry(position.partition).or_default();
                            *next = (*next).max(position.offset + 1);
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}
