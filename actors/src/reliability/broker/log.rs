//! A log: partitions that are appended to, read from any place, and cut off at the old end.
//!
//! An event is first *taken* (it has its place), then *written* (it survives a crash). Places are offsets, counted from 0
//! in each partition and never given twice, but for what a crash took before it was written.

use std::collections::BTreeMap;
use std::fmt;

use wavetank_scenarios::numbering::key_hash;
use wavetank_scenarios::{Event, EventId, Producer, Span, Time, Value};

use super::journal::{Commit, Entry, Found, Summary};
use super::numbers::Numbers;

/// How much a log keeps of each partition; what is beyond either bound goes, oldest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// An event goes when it was kept this long ago or longer.
    pub time: Option<Span>,
    /// The most bytes: the sizes of the events as the journal holds them.
    pub size: Option<u64>,
}

/// An event in its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// Its place in its partition.
    pub offset: u64,
    /// When it was taken, by the broker's clock.
    pub at: Time,
    /// How many bytes it takes.
    pub size: u64,
    /// What it is.
    pub event: Event,
}

/// What became of an event that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// It has a place.
    At {
        /// In this partition.
        partition: u32,
        /// There.
        offset: u64,
    },
    /// It was there already, by its producer and number.
    Again,
}

/// Offsets that were asked for and are not there: `from..to` of a partition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Gap {
    /// Which partition.
    pub partition: u32,
    /// The first that is missing.
    pub from: u64,
    /// One behind the last.
    pub to: u64,
    /// Why.
    pub why: GapReason,
}

/// Why something is not there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GapReason {
    /// Retention was over before it was read.
    Expired,
    /// The disk lost it.
    Damaged,
}

impl Gap {
    /// How many offsets are missing.
    pub const fn len(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }
    /// True when nothing is missing.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            GapReason::Expired => "kept no longer",
            GapReason::Damaged => "lost by the disk",
        };
        let Self {
            partition, from, to, ..
        } = self;
        write!(f, "offsets [{from}, {to}) of partition {partition}: {why}")
    }
}

/// Where a reader wants to begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask {
    /// At this offset.
    Offset(u64),
    /// With the oldest that is there.
    Earliest,
    /// With what comes from now on.
    Latest,
    /// With the first that was taken at this time or later.
    Taken(Time),
    /// With the first event that has this stamp or a later one, wherever it lies: all that may matter lies behind it.
    Stamp(Time),
}

/// Where a reader begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The offset of what comes next.
    pub offset: u64,
    /// What was asked for and is not there any more. The reader would begin behind it.
    pub gap: Option<Gap>,
}

/// What comes next for a reader.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Next<'a> {
    /// An event.
    Record(&'a Record),
    /// Nothing yet.
    End,
    /// Something is missing.
    Gap(Gap),
}

/// A partition.
#[derive(Clone, PartialEq, Debug, Default)]
struct Partition {
    /// The first offset that is not expired.
    first: u64,
    /// The next offset to give.
    next: u64,
    /// All before this have been written.
    written: u64,
    /// What is there.
    records: BTreeMap<u64, Record>,
    /// How many bytes that is.
    bytes: u64,
    /// When the last one was taken that is expired.
    expired_at: Option<Time>,
    /// The largest stamp of those that are expired.
    expired_stamp: Option<Time>,
}

impl Partition {
    /// An event is kept no longer.
    fn goes(&mut self, record: &Record) {
        self.bytes -= record.size;
        self.first = record.offset + 1;
        self.expired_at = self.expired_at.max(Some(record.at));
        self.expired_stamp = self.expired_stamp.max(Some(record.event.stamp));
    }
    /// Lets go everything before an offset; how many events that were.
    fn let_go(&mut self, below: u64) -> u64 {
        let kept = self.records.split_off(&below);
        let gone = std::mem::replace(&mut self.records, kept);
        gone.values().for_each(|record| self.goes(record));
        gone.len() as u64
    }
}

/// A log of events.
#[derive(Clone, PartialEq, Debug)]
pub struct Log {
    partitions: Vec<Partition>,
    limits: Limits,
    /// What each producer's events were numbered; `None` when events may be there twice.
    had: Option<BTreeMap<Producer, Numbers>>,
    /// How far each group is in each partition.
    groups: BTreeMap<(String, u32), Commit>,
    expired: u64,
}

impl Log {
    /// An empty log. `dedup`: an event that is there, or was, is not taken again.
    pub fn new(partitions: u32, limits: Limits, dedup: bool) -> Self {
        Self {
            partitions: vec![Partition::default(); partitions.max(1) as usize],
            limits,
            had: dedup.then(BTreeMap::new),
            groups: BTreeMap::new(),
            expired: 0,
        }
    }

    /// The log that the files of a journal hold, and what is missing in it. All of it has been written.
    pub fn recovered(partitions: u32, limits: Limits, dedup: bool, found: &Found) -> (Self, Vec<Gap>) {
        let mut log = Self::new(partitions, limits, dedup);
        for entry in &found.entries {
            log.redo(entry);
        }
        let mut gaps = Vec::new();
        for (index, partition) in log.partitions.iter_mut().enumerate() {
            let mut from = partition.first;
            let there = partition.records.keys().copied().chain([partition.next]);
            for offset in there {
                if offset > from {
                    let (partition, to, why) = (index as u32, offset, GapReason::Damaged);
                    gaps.push(Gap {
                        partition,
                        from,
                        to,
                        why,
                    });
                }
                from = offset + 1;
            }
            partition.written = partition.next;
        }
        (log, gaps)
    }

    /// Does again what an entry of the journal says was done.
    fn redo(&mut self, entry: &Entry) {
        match entry {
            Entry::Kept {
                partition,
                offset,
                at,
                size,
                event,
            } => {
                if let Some(had) = &mut self.had {
                    had.entry(event.id.producer).or_default().put(event.id.number);
                }
                let Some(there) = self.partitions.get_mut(*partition as usize) else {
                    return;
                };
                there.next = there.next.max(offset + 1);
                if *offset >= there.first {
                    let (offset, at, size) = (*offset, *at, *size);
                    let event = (**event).clone();
                    let record = Record {
                        offset,
                        at,
                        size,
                        event,
                    };
                    let old = there.records.insert(offset, record).map_or(0, |old| old.size);
                    there.bytes = there.bytes + size - old;
                }
            }
            Entry::Committed {
                group,
                partition,
                commit,
            } => self.commit(group, *partition, *commit),
            Entry::Gone { .. } => {}
            Entry::Expired { partition, below } => {
                if let Some(there) = self.partitions.get_mut(*partition as usize) {
                    there.let_go(*below);
                    there.first = there.first.max(*below);
                }
            }
            Entry::Summary(summary) => {
                for (there, (first, next)) in self.partitions.iter_mut().zip(&summary.partitions) {
                    // What lies behind was never acknowledged to be there when the summary was written.
                    drop(there.records.split_off(next));
                    there.records = there.records.split_off(first);
                    there.bytes = there.records.values().map(|record| record.size).sum();
                    (there.first, there.next) = (*first, *next);
                }
                for (group, partition, commit) in &summary.groups {
                    self.groups.insert((group.clone(), *partition), *commit);
                }
                if let Some(had) = &mut self.had {
                    for (producer, numbers) in &summary.had {
                        had.insert(*producer, numbers.clone());
                    }
                }
            }
        }
    }

    /// What a new file of the journal begins with: all that counts of the files before it but the events themselves. What
    /// has not been written is not in it: a crash may yet take it.
    pub fn summary(&self) -> Summary {
        let groups = self.groups.iter();
        let mut had = self.had.clone().unwrap_or_default();
        for partition in &self.partitions {
            for (_, record) in partition.records.range(partition.written..) {
                if let Some(numbers) = had.get_mut(&record.event.id.producer) {
                    numbers.take(record.event.id.number);
                }
            }
        }
        let bounds = |p: &Partition| {
            let next = p.written.min(p.next);
            (p.first.min(next), next)
        };
        Summary {
            partitions: self.partitions.iter().map(bounds).collect(),
            groups: groups
                .map(|((group, partition), commit)| (group.clone(), *partition, *commit))
                .collect(),
            had: had.into_iter().collect(),
        }
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> u32 {
        self.partitions.len() as u32
    }
    /// The partition of an event whose value of the deciding field this is: by XXH3 of the value.
    pub fn partition_of(&self, value: &Value) -> u32 {
        (key_hash(std::slice::from_ref(value), 0) % self.partitions.len() as u64) as u32
    }

    /// Whether an event of this identity has been taken.
    pub fn has(&self, id: EventId) -> bool {
        let had = self.had.as_ref().and_then(|had| had.get(&id.producer));
        had.is_some_and(|numbers| numbers.has(id.number))
    }

    /// Takes an event, at a time of the broker's clock. `size` is what it takes in the journal.
    pub fn take(&mut self, partition: u32, event: Event, size: u64, at: Time) -> Kept {
        if let Some(had) = &mut self.had
            && !had.entry(event.id.producer).or_default().put(event.id.number)
        {
            return Kept::Again;
        }
        let partition = partition.min(self.partitions() - 1);
        let there = &mut self.partitions[partition as usize];
        let offset = there.next;
        there.next += 1;
        there.bytes += size;
        there.records.insert(
            offset,
            Record {
                offset,
                at,
                size,
                event,
            },
        );
        self.expire_in(partition, at);
        Kept::At { partition, offset }
    }

    /// All events of a partition before this offset have been written.
    pub fn written(&mut self, partition: u32, below: u64) {
        if let Some(there) = self.partitions.get_mut(partition as usize) {
            there.written = there.written.max(below.min(there.next));
        }
    }

    /// Lets go what is kept no longer at a time; how many events that were.
    pub fn expire(&mut self, now: Time) -> u64 {
        (0..self.partitions())
            .map(|partition| self.expire_in(partition, now))
            .sum()
    }
    fn expire_in(&mut self, partition: u32, now: Time) -> u64 {
        let Limits { time, size } = self.limits;
        let there = &mut self.partitions[partition as usize];
        let mut count = 0;
        while let Some(oldest) = there.records.first_entry() {
            let old = time.is_some_and(|time| now.since(oldest.get().at) >= time);
            // The newest is kept, however large it is.
            let large = size.is_some_and(|size| there.bytes > size) && oldest.get().offset + 1 < there.next;
            if !old && !large {
                break;
            }
            let record = oldest.remove();
            there.goes(&record);
            count += 1;
        }
        self.expired += count;
        count
    }
    /// Lets go everything before this offset, whatever the limits say; how many events that were.
    pub fn expire_below(&mut self, partition: u32, offset: u64) -> u64 {
        let Some(there) = self.partitions.get_mut(partition as usize) else {
            return 0;
        };
        let gone = there.let_go(offset);
        self.expired += gone;
        gone
    }
    /// Lets go what was written and kept before a time, whatever the limits say; how many events that were.
    pub fn expire_older(&mut self, before: Time) -> u64 {
        let mut count = 0;
        for partition in 0..self.partitions() {
            let there = &self.partitions[partition as usize];
            let old = |(offset, record): &(&u64, &Record)| **offset < there.written && record.at <= before;
            let end = there
                .records
                .iter()
                .take_while(old)
                .last()
                .map(|(offset, _)| offset + 1);
            count += end.map_or(0, |end| self.expire_below(partition, end));
        }
        count
    }
    /// What lies at a place, if it is there.
    pub fn id_at(&self, partition: u32, offset: u64) -> Option<EventId> {
        let there = self.partitions.get(partition as usize)?;
        there.records.get(&offset).map(|record| record.event.id)
    }
    /// When the next event is kept no longer, if time decides.
    pub fn next_expiry(&self) -> Option<Time> {
        let time = self.limits.time?;
        let oldest = self.partitions.iter().filter_map(|p| p.records.values().next());
        oldest.map(|record| record.at + time).min()
    }
    /// How many events it has let go.
    pub const fn expired(&self) -> u64 {
        self.expired
    }

    /// Where a reader begins who asks so, and what of it is missing.
    pub fn ask(&self, partition: u32, ask: Ask) -> Asked {
        let Some(there) = self.partitions.get(partition as usize) else {
            return Asked { offset: 0, gap: None };
        };
        let whole = |offset| Asked { offset, gap: None };
        let behind = |from: u64, to: u64, why| {
            let gap = Gap {
                partition,
                from,
                to,
                why,
            };
            Asked {
                offset: to,
                gap: Some(gap),
            }
        };
        // Of what is asked for by a time, at least the last one that went is missing.
        let since = |missing: bool, offset: u64| {
            let from = there.first.saturating_sub(1);
            Asked {
                offset,
                ..if missing {
                    behind(from, there.first, GapReason::Expired)
                } else {
                    whole(offset)
                }
            }
        };
        match ask {
            Ask::Offset(offset) if offset < there.first => behind(offset, there.first, GapReason::Expired),
            // It has read what is not there: a crash of the broker took it.
            Ask::Offset(offset) if offset > there.next => Asked {
                offset: there.next,
                ..behind(there.next, offset, GapReason::Damaged)
            },
            Ask::Offset(offset) => whole(offset),
            Ask::Earliest => whole(there.first),
            Ask::Latest => whole(there.next),
            Ask::Taken(time) => {
                let found = there.records.values().find(|record| record.at >= time);
                let offset = found.map_or(there.next, |record| record.offset);
                since(there.expired_at.is_some_and(|at| at >= time), offset)
            }
            Ask::Stamp(time) => {
                let found = there.records.values().find(|record| record.event.stamp >= time);
                let offset = found.map_or(there.next, |record| record.offset);
                since(there.expired_stamp.is_some_and(|stamp| stamp >= time), offset)
            }
        }
    }

    /// What comes next for a reader who is at this offset. `all`: of what has not been written, too.
    pub fn next(&self, partition: u32, offset: u64, all: bool) -> Next<'_> {
        let Some(there) = self.partitions.get(partition as usize) else {
            return Next::End;
        };
        let gap = |to, why| {
            Next::Gap(Gap {
                partition,
                from: offset,
                to,
                why,
            })
        };
        if offset < there.first {
            return gap(there.first, GapReason::Expired);
        }
        let end = if all { there.next } else { there.written };
        match there.records.range(offset..).next() {
            Some((at, _)) if *at > offset && offset < end => gap((*at).min(end), GapReason::Damaged),
            Some((at, record)) if *at < end => Next::Record(record),
            None if offset < end => gap(end, GapReason::Damaged),
            _ => Next::End,
        }
    }

    /// A group says how far it is. It never goes back.
    pub fn commit(&mut self, group: &str, partition: u32, commit: Commit) {
        let there = self.groups.entry((group.to_owned(), partition)).or_default();
        *there = Commit {
            safe: there.safe.max(commit.safe),
            read: there.read.max(commit.read),
            done: there.done.max(commit.done),
        };
    }
    /// How far a group is; nothing when it has never said so.
    pub fn committed(&self, group: &str, partition: u32) -> Option<Commit> {
        self.groups.get(&(group.to_owned(), partition)).copied()
    }

    /// The first offset that is there, and the next to be given.
    pub fn bounds(&self, partition: u32) -> (u64, u64) {
        let there = self.partitions.get(partition as usize);
        there.map_or((0, 0), |there| (there.first, there.next))
    }
    /// How many bytes the events of a partition take.
    pub fn bytes(&self, partition: u32) -> u64 {
        self.partitions.get(partition as usize).map_or(0, |there| there.bytes)
    }
    /// How many events are there.
    pub fn len(&self) -> u64 {
        self.partitions.iter().map(|there| there.records.len() as u64).sum()
    }
    /// True when no event is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// How many events have been taken and not written.
    pub fn unwritten(&self) -> u64 {
        self.partitions
            .iter()
            .map(|there| there.next - there.written.min(there.next))
            .sum()
    }
}
