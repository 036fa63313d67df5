//! A queue: a durable subscription. Each event is given to one of the readers, and again until one acknowledges it.
//!
//! Events are given in the order in which they came, as far as they are there to be given: one that comes back keeps its
//! place, so that it is given before later ones that wait, and after those that were given meanwhile. That is where order
//! breaks. Whoever is given an event a second time is told so.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_scenarios::{Event, EventId, Producer, Span, Time};

use super::journal::{Entry, Found, Summary};
use super::log::{Gap, GapReason};
use super::numbers::Numbers;

/// How a queue gives its events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueLimits {
    /// What has not been acknowledged after this long is given again.
    pub visibility: Span,
    /// What has been given so often, and comes back once more, is given up.
    pub max_deliveries: Option<u32>,
    /// The most events that a reader has and has not acknowledged.
    pub in_flight: u32,
}

/// An event for a reader.
#[derive(Clone, PartialEq, Debug)]
pub struct Delivery {
    /// Which reader.
    pub reader: u32,
    /// The place of the event: what is acknowledged.
    pub offset: u64,
    /// The how-manieth time it is given, from 1 (a crash of the broker forgets how often it was given before).
    pub count: u32,
    /// Whether somebody may have been given it before.
    pub again: bool,
    /// What it is.
    pub event: Event,
}

/// What became of an acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// The event is gone.
    Gone,
    /// It was gone already.
    Stale,
}

#[derive(Clone, PartialEq, Debug)]
struct Message {
    event: Event,
    count: u32,
    /// It was given before a crash of the broker, for all that is known.
    suspect: bool,
    given: Option<Given>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Given {
    reader: u32,
    /// Until when it is waited for the acknowledgement.
    until: Time,
}

/// A queue of events.
#[derive(Clone, PartialEq, Debug)]
pub struct Queue {
    limits: QueueLimits,
    /// What is not acknowledged, by place.
    messages: BTreeMap<u64, Message>,
    /// Of them those that wait to be given.
    waiting: BTreeSet<u64>,
    /// Of them those that were given, by when it is waited for the acknowledgement.
    given: BTreeSet<(Time, u64)>,
    next: u64,
    /// All before this have been written.
    written: u64,
    /// The readers that are there, and how much each has.
    readers: BTreeMap<u32, u32>,
    /// Whose turn it is.
    turn: u32,
    had: Option<BTreeMap<Producer, Numbers>>,
    dead: Vec<Event>,
    /// The places of what was given up since it was last asked.
    buried: Vec<u64>,
}

impl Queue {
    /// An empty queue. `dedup`: an event that is there, or was, is not taken again.
    pub fn new(limits: QueueLimits, dedup: bool) -> Self {
        Self {
            limits,
            messages: BTreeMap::new(),
            waiting: BTreeSet::new(),
            given: BTreeSet::new(),
            next: 0,
            written: 0,
            readers: BTreeMap::new(),
            turn: 0,
            had: dedup.then(BTreeMap::new),
            dead: Vec::new(),
            buried: Vec::new(),
        }
    }

    /// The queue that the files of a journal hold. Every event in it may have been given before.
    pub fn recovered(limits: QueueLimits, dedup: bool, found: &Found) -> (Self, Vec<Gap>) {
        let mut queue = Self::new(limits, dedup);
        // Places of which the journal knows what became, and the first that it must know.
        let (mut known, mut first) = (BTreeSet::new(), None);
        for entry in &found.entries {
            if let Entry::Kept { offset, .. } | Entry::Gone { offset } = entry {
                known.insert(*offset);
            }
            match entry {
                Entry::Kept { offset, event, .. } => {
                    queue.put(*offset, (**event).clone(), true);
                }
                Entry::Gone { offset } => _ = queue.messages.remove(offset),
                Entry::Committed { .. } | Entry::Expired { .. } => {}
                Entry::Summary(summary) => {
                    first = first.or(summary.partitions.first().map(|(first, _)| *first));
                    queue.next = queue.next.max(summary.partitions.first().map_or(0, |(_, next)| *next));
                    if let Some(had) = &mut queue.had {
                        had.extend(summary.had.iter().cloned());
                    }
                }
            }
        }
        queue.written = queue.next;
        queue.waiting = queue.messages.keys().copied().collect();
        let mut gaps: Vec<Gap> = Vec::new();
        for offset in (first.unwrap_or(0)..queue.next).filter(|offset| !known.contains(offset)) {
            match gaps.last_mut() {
                Some(gap) if gap.to == offset => gap.to += 1,
                _ => gaps.push(Gap {
                    partition: 0,
                    from: offset,
                    to: offset + 1,
                    why: GapReason::Damaged,
                }),
            }
        }
        (queue, gaps)
    }

    /// What a new file of the journal begins with. What has not been written is not in it: a crash may yet take it.
    pub fn summary(&self) -> Summary {
        let mut had = self.had.clone().unwrap_or_default();
        for (_, message) in self.messages.range(self.written..) {
            if let Some(numbers) = had.get_mut(&message.event.id.producer) {
                numbers.take(message.event.id.number);
            }
        }
        Summary {
            partitions: vec![(self.first().min(self.written), self.written)],
            groups: Vec::new(),
            had: had.into_iter().collect(),
        }
    }
    /// The place that the next event gets.
    pub const fn next(&self) -> u64 {
        self.next
    }
    /// The place of the oldest event that is not acknowledged.
    pub fn first(&self) -> u64 {
        self.messages.keys().next().copied().unwrap_or(self.next)
    }

    fn put(&mut self, offset: u64, event: Event, suspect: bool) {
        if let Some(had) = &mut self.had {
            had.entry(event.id.producer).or_default().put(event.id.number);
        }
        self.next = self.next.max(offset + 1);
        let message = Message {
            event,
            count: 0,
            suspect,
            given: None,
        };
        self.messages.insert(offset, message);
        self.waiting.insert(offset);
    }
    /// Whether an event of this identity has been taken.
    pub fn has(&self, id: EventId) -> bool {
        let had = self.had.as_ref().and_then(|had| had.get(&id.producer));
        had.is_some_and(|numbers| numbers.has(id.number))
    }
    /// Takes an event: its place; `None` when it was there already.
    pub fn take(&mut self, event: Event) -> Option<u64> {
        if self.has(event.id) {
            return None;
        }
        let offset = self.next;
        self.put(offset, event, false);
        Some(offset)
    }
    /// All events before this place have been written.
    pub fn written(&mut self, below: u64) {
        self.written = self.written.max(below.min(self.next));
    }

    /// A reader is there, or there again: what it had comes back. How many events that were.
    pub fn join(&mut self, reader: u32) -> u64 {
        self.readers.insert(reader, 0);
        self.take_back(reader)
    }
    /// A reader is gone: what it had comes back. How many events that were.
    pub fn leave(&mut self, reader: u32) -> u64 {
        self.readers.remove(&reader);
        self.take_back(reader)
    }
    fn take_back(&mut self, reader: u32) -> u64 {
        let had = self.given.iter().copied();
        let of_it = |(_, offset): &(Time, u64)| {
            let given = self.messages.get(offset).and_then(|message| message.given);
            given.is_some_and(|given| given.reader == reader)
        };
        let had: Vec<(Time, u64)> = had.filter(of_it).collect();
        for (until, offset) in &had {
            self.given.remove(&(*until, *offset));
            self.come_back(*offset);
        }
        had.len() as u64
    }
    /// An event that was given comes back: it waits again, or is given up.
    fn come_back(&mut self, offset: u64) {
        let Some(message) = self.messages.get_mut(&offset) else {
            return;
        };
        message.given = None;
        if self.limits.max_deliveries.is_some_and(|max| message.count >= max) {
            if let Some(message) = self.messages.remove(&offset) {
                self.dead.push(message.event);
                self.buried.push(offset);
            }
        } else {
            self.waiting.insert(offset);
        }
    }

    /// Takes back what has not been acknowledged in time; how many events that were.
    pub fn expire(&mut self, now: Time) -> u64 {
        let mut count = 0;
        while let Some((until, offset)) = self.given.first().copied().filter(|(until, _)| *until <= now) {
            self.given.remove(&(until, offset));
            let reader = self.messages.get(&offset).and_then(|message| message.given);
            self.frees(reader);
            self.come_back(offset);
            count += 1;
        }
        count
    }
    fn frees(&mut self, given: Option<Given>) {
        if let Some(has) = given.and_then(|given| self.readers.get_mut(&given.reader)) {
            *has = has.saturating_sub(1);
        }
    }
    /// When the next event is taken back.
    pub fn next_expiry(&self) -> Option<Time> {
        self.given.first().map(|(until, _)| *until)
    }

    /// Gives what waits to readers that have room, one after the other in turn. `all`: of what has not been written, too.
    pub fn deliver(&mut self, now: Time, all: bool) -> Vec<Delivery> {
        let end = if all { self.next } else { self.written };
        let mut deliveries = Vec::new();
        while let Some(offset) = self.waiting.first().copied().filter(|offset| *offset < end) {
            let free = |(_, has): &(&u32, &u32)| **has < self.limits.in_flight;
            let later = self.readers.range(self.turn..).find(free);
            let Some((reader, _)) = later.or_else(|| self.readers.iter().find(free)) else {
                break;
            };
            let reader = *reader;
            self.turn = reader.wrapping_add(1);
            self.waiting.remove(&offset);
            let Some(message) = self.messages.get_mut(&offset) else {
                continue;
            };
            message.count = message.count.saturating_add(1);
            let until = now + self.limits.visibility;
            message.given = Some(Given { reader, until });
            self.given.insert((until, offset));
            self.readers.entry(reader).and_modify(|has| *has += 1);
            deliveries.push(Delivery {
                reader,
                offset,
                count: message.count,
                again: message.suspect || message.count > 1,
                event: message.event.clone(),
            });
        }
        deliveries
    }

    /// An event has been worked on, whoever had it. Before it is gone it must be written that it is.
    pub fn acknowledge(&mut self, offset: u64) -> Settled {
        let Some(message) = self.messages.remove(&offset) else {
            return Settled::Stale;
        };
        self.waiting.remove(&offset);
        if let Some(given) = message.given {
            self.given.remove(&(given.until, offset));
            self.frees(Some(given));
        }
        Settled::Gone
    }
    /// What lies at a place, if it is there.
    pub fn id_at(&self, offset: u64) -> Option<EventId> {
        self.messages.get(&offset).map(|message| message.event.id)
    }
    /// A reader gives an event back: it could not be worked on.
    pub fn refuse(&mut self, offset: u64) -> Settled {
        let Some(given) = self.messages.get(&offset).and_then(|message| message.given) else {
            return Settled::Stale;
        };
        self.given.remove(&(given.until, offset));
        self.frees(Some(given));
        self.come_back(offset);
        Settled::Gone
    }
    /// What was given up since it was last asked, and where it lay.
    pub fn dead(&mut self) -> (Vec<Event>, Vec<u64>) {
        (std::mem::take(&mut self.dead), std::mem::take(&mut self.buried))
    }

    /// How many events are not acknowledged.
    pub fn len(&self) -> u64 {
        self.messages.len() as u64
    }
    /// True when every event has been acknowledged.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
    /// How many events have been given and are not acknowledged.
    pub fn in_flight(&self) -> u64 {
        self.given.len() as u64
    }
    /// How many events have been taken and not written.
    pub const fn unwritten(&self) -> u64 {
        self.next - self.written
    }
}
