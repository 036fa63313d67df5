//! A broker as an actor: it keeps events, writes them down, and gives them to those who read it.
//!
//! One write is under way at a time; what comes meanwhile goes with the next one. Readers are given what has been written
//! and nothing else. What the disk refuses is tried again a second later.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use wavetank_scenarios::event::Position;
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::script::{self, BrokerKind, Expired};
use wavetank_scenarios::topology::{ActorId, Port};
use wavetank_scenarios::{Event, Span, Time};

use crate::element::Element;
use crate::host::Part;
use crate::reliability::broker::{
    Ask, Befalls, BrokerFaults, Commit, Gap, Journal, Kept as Taken, Limits, Log, Next, Page, Problem, Queue,
    QueueLimits, Settled, journal_files,
};
use crate::reliability::disk::{Disk, Outcome};
use crate::reliability::{Control, From};
use crate::world::{Account, Effect, Input, Stage};

/// What outlives a broker: its disk, and what others remember of it.
pub(crate) struct Kept {
    pub disk: Box<dyn Disk>,
    /// What goes wrong between it and its readers.
    faults: Box<dyn BrokerFaults>,
    /// The inputs that have ended.
    ended: BTreeSet<usize>,
    /// Where each reader is in each partition: it would say so when the broker comes back.
    reads: BTreeMap<ActorId, Vec<u64>>,
    /// What befalls events that wait to be given, by reader and place.
    befalls: BTreeMap<(ActorId, u32, u64), Befalls>,
}

impl Kept {
    pub fn new(disk: Box<dyn Disk>, faults: Box<dyn BrokerFaults>) -> Self {
        Self {
            disk,
            faults,
            ended: BTreeSet::new(),
            reads: BTreeMap::new(),
            befalls: BTreeMap::new(),
        }
    }
}

/// Who is linked to a broker.
#[derive(Clone, Debug)]
pub(crate) struct Shelves {
    /// How many of its inputs carry events.
    pub inputs: usize,
    /// By input: who is there.
    pub senders: Vec<ActorId>,
    /// Who reads it, and what their positions are called by.
    pub readers: BTreeMap<ActorId, String>,
    /// Where the field that events are dealt by stands.
    pub by: Option<usize>,
}

/// What is kept, by kind.
enum Shelf {
    Log(Log),
    Queue(Queue),
}

/// A write that is under way: what it holds, and up to where everything is then written.
struct Writing {
    ticket: u64,
    pages: Vec<Page>,
    below: Vec<u64>,
    /// Files of the journal to delete when it is done.
    delete: usize,
}

/// A broker.
pub(crate) struct Broker {
    settings: script::Broker,
    shelves: Shelves,
    kept: Rc<RefCell<Kept>>,
    shelf: Shelf,
    journal: Journal,
    pending: Vec<Page>,
    writing: Option<Writing>,
    /// Readers that have been told the end.
    told: BTreeSet<ActorId>,
    /// When the timer of visibility comes, as far as it is set.
    armed: Option<Time>,
    /// Events that came since it entered, and those of them that it had already.
    taken: u64,
    again: u64,
    /// Events let go because their time was over, of which watchers know.
    expired: u64,
    /// The faults of the disk that fired when it was read.
    fired: Vec<usize>,
    /// What is wrong with what was read.
    problems: Vec<Problem>,
    /// What the disk has lost of a queue; readers of a log come upon it.
    lost: Vec<Gap>,
}

/// Its timers: a write is over, a refused write is tried again, an event was not acknowledged in time.
const WRITTEN: u64 = 0;
const AGAIN: u64 = 1;
const VISIBLE: u64 = 2;

/// A file of the journal grows to so many bytes.
const ROLL: u64 = 1 << 16;

impl Broker {
    /// A broker with an empty disk, or one that comes back and finds what was written.
    ///
    /// # Errors
    /// What is wrong with its disk.
    pub fn new(settings: script::Broker, shelves: Shelves, kept: Rc<RefCell<Kept>>, now: Time) -> Result<Self, String> {
        let mut journal = Journal::new(settings.name.clone(), ROLL);
        let mut fired = Vec::new();
        let files = journal_files(&mut *kept.borrow_mut().disk, &journal.prefix(), now, &mut fired);
        let found = journal.read(&files.map_err(|error| error.to_string())?);
        let limits = Limits {
            time: settings.retention.time,
            size: settings.retention.size,
        };
        let partitions = settings.partitions.max(1);
        let mut lost = Vec::new();
        let shelf = match settings.kind {
            BrokerKind::Log => Shelf::Log(Log::recovered(partitions, limits, settings.dedup, &found).0),
            BrokerKind::Queue => {
                let limits = QueueLimits {
                    visibility: settings.visibility,
                    max_deliveries: settings.max_deliveries,
                    in_flight: settings.in_flight,
                };
                let (queue, gaps) = Queue::recovered(limits, settings.dedup, &found);
                lost = gaps;
                Shelf::Queue(queue)
            }
        };
        Ok(Self {
            settings,
            shelves,
            kept,
            shelf,
            journal,
            pending: Vec::new(),
            writing: None,
            told: BTreeSet::new(),
            armed: None,
            taken: 0,
            again: 0,
            expired: 0,
            fired,
            problems: found.problems,
            lost,
        })
    }

    /// Says what is wrong with what was read.
    fn tell_problems(&mut self, stage: &Stage) {
        for problem in std::mem::take(&mut self.problems) {
            stage.put(Effect::Measured(Metric::Damaged, 1));
            stage.put(Effect::Note(problem.to_string()));
        }
        for gap in std::mem::take(&mut self.lost) {
            stage.put(Effect::Measured(Metric::Gap, gap.len()));
            stage.put(Effect::Note(gap.to_string()));
            for reader in self.shelves.readers.keys() {
                stage.tell(*reader, Control::Missing(gap));
            }
        }
    }

    fn partitions(&self) -> u32 {
        match &self.shelf {
            Shelf::Log(log) => log.partitions(),
            Shelf::Queue(_) => 1,
        }
    }

    /// An event has come.
    fn keep(&mut self, event: Event, stage: &Stage) {
        self.taken += 1;
        let at = stage.wall();
        let bytes = match Journal::encode(&event) {
            Ok(bytes) => bytes,
            Err(why) => return stage.put(Effect::Broken(why)),
        };
        let place = match &mut self.shelf {
            Shelf::Log(log) => {
                let partition = match self.shelves.by.and_then(|slot| event.row.get(slot)) {
                    Some(value) => log.partition_of(value),
                    None => event.id.producer.0 % log.partitions(),
                };
                match log.take(partition, event, bytes.len() as u64, at) {
                    Taken::At { partition, offset } => Some((partition, offset)),
                    Taken::Again => None,
                }
            }
            Shelf::Queue(queue) => queue.take(event).map(|offset| (0, offset)),
        };
        match place {
            Some((partition, offset)) => {
                let event = bytes;
                self.pending.push(Page::Kept {
                    partition,
                    offset,
                    at,
                    event,
                });
                stage.put(Effect::Measured(Metric::Kept, 1));
            }
            None => {
                self.again += 1;
                stage.put(Effect::Measured(Metric::Repeated, 1));
            }
        }
        self.tell_expired(stage);
    }

    /// Lets go what faults say is kept no longer.
    fn let_go(&mut self, stage: &Stage) {
        let fired = self.kept.borrow_mut().faults.expire(stage.monotonic());
        for (fault, older) in fired {
            stage.put(Effect::Fired(fault));
            if let Shelf::Log(log) = &mut self.shelf {
                log.expire_older(stage.wall() - older);
            }
        }
        self.tell_expired(stage);
    }

    fn tell_expired(&mut self, stage: &Stage) {
        if let Shelf::Log(log) = &self.shelf {
            let gone = log.expired();
            if gone > self.expired {
                stage.put(Effect::Measured(Metric::Expired, gone - self.expired));
                self.expired = gone;
            }
        }
    }

    /// Writes what waits to be written, when nothing is being written.
    fn write(&mut self, stage: &Stage) {
        if self.writing.is_some() || self.pending.is_empty() {
            return;
        }
        let first = |partition: u32| match &self.shelf {
            Shelf::Log(log) => log.bounds(partition).0,
            Shelf::Queue(queue) => queue.first(),
        };
        let delete = self.journal.deletable(first);
        let mut pages = std::mem::take(&mut self.pending);
        if let (Shelf::Log(_), 1..) = (&self.shelf, delete) {
            let expired = |partition| Page::Expired {
                partition,
                below: first(partition),
            };
            pages.extend((0..self.partitions()).map(expired));
        }
        let below = match &self.shelf {
            Shelf::Log(log) => (0..log.partitions()).map(|partition| log.bounds(partition).1).collect(),
            Shelf::Queue(queue) => vec![queue.next()],
        };
        let shelf = &self.shelf;
        let summary = || match shelf {
            Shelf::Log(log) => log.summary(),
            Shelf::Queue(queue) => queue.summary(),
        };
        let request = match self.journal.write(&pages, summary) {
            Ok(request) => request,
            Err(why) => return stage.put(Effect::Broken(why)),
        };
        let now = stage.monotonic();
        let ticket = self.kept.borrow_mut().disk.start(now, request);
        tell_fired(&ticket.fired, stage);
        self.writing = Some(Writing {
            ticket: ticket.number,
            pages,
            below,
            delete,
        });
        if ticket.due > now {
            stage.timer(ticket.due.since(now), WRITTEN);
        } else {
            self.written(stage);
        }
    }

    /// A write is over.
    fn written(&mut self, stage: &Stage) {
        let Some(writing) = self.writing.take() else { return };
        let outcome = self.kept.borrow_mut().disk.finish(writing.ticket);
        if !matches!(outcome, Some(Ok(Outcome::Appended(_)))) {
            // What did not get there goes to a new file, with all that has come since.
            self.journal.turn();
            let later = std::mem::replace(&mut self.pending, writing.pages);
            self.pending.extend(later);
            stage.put(Effect::Measured(Metric::Refused, 1));
            return stage.timer(Span::from_secs(1), AGAIN);
        }
        for request in self.journal.delete(writing.delete) {
            let mut kept = self.kept.borrow_mut();
            let ticket = kept.disk.start(stage.monotonic(), request);
            tell_fired(&ticket.fired, stage);
            kept.disk.finish(ticket.number);
        }
        match &mut self.shelf {
            Shelf::Log(log) => {
                for (partition, below) in (0..).zip(&writing.below) {
                    log.written(partition, *below);
                }
            }
            Shelf::Queue(queue) => queue.written(writing.below[0]),
        }
        self.give(stage);
        self.write(stage);
    }

    /// Gives readers what has been written.
    fn give(&mut self, stage: &Stage) {
        let readers: Vec<ActorId> = self.shelves.readers.keys().copied().collect();
        match self.settings.kind {
            BrokerKind::Log => readers.iter().for_each(|reader| self.give_log(*reader, stage)),
            BrokerKind::Queue => self.give_queue(stage),
        }
        for reader in readers {
            self.end(reader, stage);
        }
    }

    fn give_log(&mut self, reader: ActorId, stage: &Stage) {
        let mut kept = self.kept.borrow_mut();
        let over = kept.ended.len() == self.shelves.inputs;
        let Kept {
            reads, befalls, faults, ..
        } = &mut *kept;
        let (Shelf::Log(log), Some(offsets)) = (&self.shelf, reads.get_mut(&reader)) else {
            return;
        };
        let over = over && log.unwritten() == 0;
        for (partition, next) in (0..).zip(offsets) {
            loop {
                // What is to be given behind the one after it waits for that one.
                let (mut batch, mut at) = (Vec::new(), *next);
                let (gap, whole) = loop {
                    match log.next(partition, at, false) {
                        Next::End => break (None, over),
                        Next::Gap(gap) => break (Some(gap), true),
                        Next::Record(record) => {
                            let position = Some(Position {
                                partition,
                                offset: record.offset,
                            });
                            at = record.offset + 1;
                            let draw = || faults.give(record.event.id, stage.monotonic());
                            let befall = *befalls.entry((reader, partition, record.offset)).or_insert_with(draw);
                            let event = Event {
                                position,
                                ..record.event.clone()
                            };
                            batch.push((event, befall));
                            if befall.behind.is_none() {
                                break (None, true);
                            }
                        }
                    }
                };
                if !batch.is_empty() {
                    if !whole {
                        break;
                    }
                    *next = at;
                    for (event, befall) in &batch[..batch.len() - 1] {
                        befall
                            .behind
                            .iter()
                            .for_each(|fault| stage.put(Effect::Fault(*fault, event.id)));
                    }
                    for (event, befall) in batch.into_iter().rev() {
                        let place = event.position.map_or(0, |position| position.offset);
                        befalls.remove(&(reader, partition, place));
                        hand_out(reader, event, befall, stage);
                    }
                } else if let Some(gap) = gap {
                    if !tell_gap(&self.settings, reader, gap, stage) {
                        return;
                    }
                    *next = match self.settings.expired {
                        Expired::Latest => log.bounds(partition).1,
                        Expired::Earliest | Expired::Fail => gap.to,
                    };
                } else {
                    break;
                }
            }
        }
    }

    fn give_queue(&mut self, stage: &Stage) {
        let Shelf::Queue(queue) = &mut self.shelf else { return };
        let now = stage.monotonic();
        for delivery in queue.deliver(now, false) {
            let to = ActorId(delivery.reader);
            if delivery.again {
                stage.put(Effect::Measured(Metric::Redelivered, 1));
            }
            let position = Some(Position {
                partition: 0,
                offset: delivery.offset,
            });
            let event = Event {
                position,
                ..delivery.event
            };
            let befalls = self.kept.borrow_mut().faults.give(event.id, now);
            hand_out(to, event, befalls, stage);
        }
        let (dead, places) = queue.dead();
        for event in dead {
            stage.put(Effect::Measured(Metric::Dead, 1));
            stage.send(Port::Failed, Element::Event(Box::new(event)));
        }
        self.pending
            .extend(places.into_iter().map(|offset| Page::Gone { offset }));
        if let Some(due) = queue.next_expiry()
            && self.armed.is_none_or(|armed| due < armed)
        {
            self.armed = Some(due);
            stage.timer(due.since(now).max(Span::ZERO), VISIBLE);
        }
    }

    /// Tells a reader the end, when nothing more can come.
    fn end(&mut self, reader: ActorId, stage: &Stage) {
        let ended = self.kept.borrow().ended.len() == self.shelves.inputs;
        let over = match &self.shelf {
            Shelf::Log(log) => log.unwritten() == 0,
            Shelf::Queue(queue) => queue.unwritten() == 0 && queue.in_flight() == queue.len(),
        };
        if ended && over && self.pending.is_empty() && self.told.insert(reader) {
            let element = Element::End;
            stage.put(Effect::Give { to: reader, element });
        }
    }

    fn seek(&mut self, reader: ActorId, attempt: u32, from: &From, stage: &Stage) {
        let group = self.shelves.readers.get(&reader).cloned().unwrap_or_default();
        let partitions = self.partitions();
        let mut offsets = Vec::new();
        match &mut self.shelf {
            Shelf::Log(log) => {
                log.expire(stage.wall());
                for partition in 0..partitions {
                    let position = |positions: &[Position]| {
                        let of = positions.iter().find(|position| position.partition == partition);
                        of.map_or(0, |position| position.offset)
                    };
                    let ask = match from {
                        From::Positions(positions) => Ask::Offset(position(positions)),
                        From::Committed => Ask::Offset(log.committed(&group, partition).unwrap_or_default().safe),
                        From::Earliest => Ask::Earliest,
                        From::Latest => Ask::Latest,
                        From::Time(time) => Ask::Taken(*time),
                    };
                    let asked = log.ask(partition, ask);
                    let mut offset = asked.offset;
                    if let Some(gap) = asked.gap {
                        if !tell_gap(&self.settings, reader, gap, stage) {
                            return;
                        }
                        if self.settings.expired == Expired::Latest {
                            offset = log.bounds(partition).1;
                        }
                    }
                    let kept = self.kept.borrow();
                    let had = kept
                        .reads
                        .get(&reader)
                        .and_then(|reads| reads.get(partition as usize).copied());
                    let had = had.unwrap_or(0);
                    drop(kept);
                    stage.put(Effect::Measured(Metric::Replayed, had.saturating_sub(offset)));
                    offsets.push(offset);
                }
            }
            Shelf::Queue(queue) => {
                queue.join(reader.0);
                offsets.push(0);
            }
        }
        self.kept.borrow_mut().reads.insert(reader, offsets);
        self.told.remove(&reader);
        stage.put(Effect::Attempt { to: reader, attempt });
        self.tell_expired(stage);
        self.give(stage);
    }

    fn acknowledge(&mut self, reader: ActorId, positions: &[Position], stage: &Stage) {
        let group = self.shelves.readers.get(&reader).cloned().unwrap_or_default();
        for position in positions {
            let event = match &self.shelf {
                Shelf::Log(log) => log.id_at(position.partition, position.offset),
                Shelf::Queue(queue) => queue.id_at(position.offset),
            };
            let lost = |event| self.kept.borrow_mut().faults.acknowledge(event, stage.monotonic());
            if let Some((event, fault)) = event.and_then(|event| Some((event, lost(event)?))) {
                stage.put(Effect::Fault(fault, event));
                continue;
            }
            match &mut self.shelf {
                Shelf::Log(log) => {
                    let below = position.offset + 1;
                    let commit = Commit {
                        safe: below,
                        read: below,
                        done: None,
                    };
                    log.commit(&group, position.partition, commit);
                    self.pending.push(Page::Committed {
                        group: group.clone(),
                        partition: position.partition,
                        commit,
                    });
                }
                Shelf::Queue(queue) => {
                    if queue.acknowledge(position.offset) == Settled::Gone {
                        self.pending.push(Page::Gone {
                            offset: position.offset,
                        });
                    }
                }
            }
        }
    }

    /// What became of what it took: it lies on the disk, was there already, or has not been written yet.
    fn account(&self) -> Account {
        let held = match &self.shelf {
            Shelf::Log(log) => log.unwritten(),
            Shelf::Queue(queue) => queue.unwritten(),
        };
        Account {
            taken: self.taken,
            caused: self.taken - self.again - held,
            filtered: self.again,
            held,
            ..Account::default()
        }
    }

    /// How much is kept that has not been acknowledged, or read: by the slowest reader.
    fn lag(&self, stage: &Stage) {
        let behind = match &self.shelf {
            Shelf::Queue(queue) => queue.len(),
            Shelf::Log(log) => {
                let of = |group: &String| {
                    let open = |partition| {
                        let committed = log.committed(group, partition).unwrap_or_default();
                        log.bounds(partition).1.saturating_sub(committed.safe)
                    };
                    (0..log.partitions()).map(open).sum::<u64>()
                };
                self.shelves.readers.values().map(of).max().unwrap_or(0)
            }
        };
        stage.put(Effect::Measured(Metric::Backlog, behind));
    }
}

/// Gives an event to a reader, as often as faults say.
fn hand_out(to: ActorId, event: Event, befalls: Befalls, stage: &Stage) {
    if let Some(fault) = befalls.again {
        stage.put(Effect::Fault(fault, event.id));
        let element = Element::Event(Box::new(event.clone()));
        stage.put(Effect::Give { to, element });
    }
    let element = Element::Event(Box::new(event));
    stage.put(Effect::Give { to, element });
}

/// Counts a gap and names it to its reader; false when the run stops with it.
fn tell_gap(settings: &script::Broker, reader: ActorId, gap: Gap, stage: &Stage) -> bool {
    stage.put(Effect::Measured(Metric::Gap, gap.len()));
    stage.put(Effect::Note(format!("a reader asks for what is not there: {gap}")));
    stage.tell(reader, Control::Missing(gap));
    let fails = settings.expired == Expired::Fail;
    if fails {
        stage.put(Effect::Broken(format!(
            "a reader asks `{}` for what is not there: {gap}",
            settings.name
        )));
    }
    !fails
}

/// Tells the faults of the disk that fired.
fn tell_fired(fired: &[usize], stage: &Stage) {
    for fault in fired {
        stage.put(Effect::Fired(*fault));
    }
}

impl Part for Broker {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        self.let_go(stage);
        match input {
            Input::Enter { .. } => {
                tell_fired(&std::mem::take(&mut self.fired), stage);
                self.tell_problems(stage);
                let partitions = self.partitions() as usize;
                for reader in self.shelves.readers.keys() {
                    let mut kept = self.kept.borrow_mut();
                    kept.reads.entry(*reader).or_insert_with(|| vec![0; partitions]);
                    if let Shelf::Queue(queue) = &mut self.shelf {
                        queue.join(reader.0);
                    }
                }
                self.give(stage);
            }
            Input::Timer(WRITTEN) => self.written(stage),
            Input::Timer(AGAIN) => {}
            Input::Timer(_) => {
                self.armed = None;
                if let Shelf::Queue(queue) = &mut self.shelf {
                    queue.expire(stage.monotonic());
                }
                self.give(stage);
            }
            Input::Element { input, element, .. } => match element {
                Element::Event(event) => self.keep(*event, stage),
                Element::End => {
                    self.kept.borrow_mut().ended.insert(input);
                    self.give(stage);
                }
                Element::Control(control) => {
                    let Some(from) = self.shelves.senders.get(input).copied() else {
                        return;
                    };
                    match &*control {
                        Control::Seek { attempt, from: place } => self.seek(from, *attempt, place, stage),
                        Control::Acknowledge(positions) => {
                            self.acknowledge(from, positions, stage);
                            self.give(stage);
                        }
                        _ => {}
                    }
                }
                _ => {}
            },
        }
        self.write(stage);
        if stage.watched() {
            self.lag(stage);
            stage.put(Effect::Account(Box::new(self.account())));
        }
    }
}
