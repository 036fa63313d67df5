//! Slices: what the events of one group in one stretch of time (or one event) add up to, and the queue of a group's slices
//! over which windows slide.
//!
//! All windows share slices, so that an event is added once however many windows it belongs to; the fates of its events
//! are kept with a slice too. A window's total comes from a queue of two stacks (Tangwongsan, Hirzel, Schneider 2017, give
//! its history): suffix totals of the older slices, one running total of the newer ones; when the suffixes are used up they
//! are built anew. Each slice is merged a constant number of times over its life. Aggregates that are as large as their
//! input (exact quantiles, distinct values) are left out of that and added up from the window's slices when asked for.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use wavetank_scenarios::{Event, EventId, Row, Time, Value};

use super::aggregate::{Kind, State};
use super::marks::Marks;
use crate::operator::{Dropped, Output};
use crate::processing::keyed::Keys;

/// How many events, and which were the first and the last.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Brief {
    /// How many events.
    pub events: u64,
    /// The smallest stamp.
    pub earliest: Time,
    /// The largest (stamp, id).
    pub latest: (Time, EventId),
    /// The source event behind that one.
    pub correlation: EventId,
    /// When the latest source event behind any of them was planned.
    pub planned: Time,
}

impl Default for Brief {
    fn default() -> Self {
        Self {
            events: 0,
            earliest: Time::MAX,
            latest: (Time::MIN, EventId::default()),
            correlation: EventId::default(),
            planned: Time::MIN,
        }
    }
}

impl Brief {
    /// Counts an event in.
    #[inline]
    pub fn count(&mut self, event: &Event) {
        self.events += 1;
        self.earliest = self.earliest.min(event.stamp);
        self.planned = self.planned.max(event.planned);
        if self.events == 1 || (event.stamp, event.id) > self.latest {
            self.latest = (event.stamp, event.id);
            self.correlation = event.correlation;
        }
    }
    /// Counts others in.
    pub fn merge(&mut self, other: &Self) {
        if other.events == 0 {
            return;
        }
        self.earliest = self.earliest.min(other.earliest);
        self.planned = self.planned.max(other.planned);
        if self.events == 0 || other.latest > self.latest {
            self.latest = other.latest;
            self.correlation = other.correlation;
        }
        self.events += other.events;
    }
}

/// What some events of one group add up to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Total {
    /// How many, first and last.
    pub brief: Brief,
    /// One for each aggregate.
    pub states: Box<[State]>,
}

impl Total {
    /// Of no events.
    pub fn empty(kinds: &[Kind]) -> Self {
        Self {
            brief: Brief::default(),
            states: kinds.iter().map(Kind::empty).collect(),
        }
    }
    /// Adds another total to this one; holistic aggregates only when `all`.
    pub fn merge(&mut self, other: &Self, kinds: &[Kind], all: bool) {
        self.brief.merge(&other.brief);
        for ((kind, mine), theirs) in kinds.iter().zip(&mut self.states).zip(&other.states) {
            if all || !kind.holistic() {
                kind.merge(mine, theirs);
            }
        }
    }
    /// The same without its holistic aggregates.
    fn sketch(&self, kinds: &[Kind]) -> Self {
        let states = kinds
            .iter()
            .zip(&self.states)
            .map(|(kind, state)| if kind.holistic() { State::Absent } else { state.clone() })
            .collect();
        Self {
            brief: self.brief,
            states,
        }
    }
}

/// The events of one group in one slice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Slice {
    /// Where the slice starts (in event time, or in numbers of arrival).
    pub at: Time,
    /// What they add up to.
    pub total: Total,
    /// Events that have caused no result yet; kept only where some may never do.
    pub pending: Vec<EventId>,
    /// The source events behind them, where the run keeps lineage.
    pub origins: Vec<EventId>,
    /// Whether a result over them could not be computed.
    pub failed: bool,
}

impl Slice {
    /// A slice without events.
    pub fn new(at: Time, kinds: &[Kind]) -> Self {
        Self {
            at,
            total: Total::empty(kinds),
            pending: Vec::new(),
            origins: Vec::new(),
            failed: false,
        }
    }
    /// Adds another slice to this one, fates included.
    pub fn absorb(&mut self, other: Self, kinds: &[Kind]) {
        self.total.merge(&other.total, kinds, true);
        self.pending.extend(other.pending);
        self.origins.extend(other.origins);
        self.failed |= other.failed;
    }
    /// Its events leave the state: reports their fates and returns how many they are.
    ///
    /// `failing` are events of which a part of the answer could not be computed.
    pub fn release(self, failing: &mut BTreeSet<EventId>, out: &mut Output) -> u64 {
        let events = self.total.brief.events;
        out.caused(events - self.pending.len() as u64);
        for id in self.pending {
            let failed = failing.remove(&id) || self.failed;
            let why = if failed { Dropped::Failed } else { Dropped::Filtered };
            out.dropped(id, why);
        }
        events
    }
}

/// The lineage of a result over some slices: all source events, ascending, without repetition; `None` when it is only
/// the correlation itself.
pub fn lineage<'a>(slices: impl Iterator<Item = &'a Slice>, correlation: EventId) -> Option<Arc<[EventId]>> {
    let mut all: Vec<EventId> = slices.flat_map(|s| s.origins.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    (!all.is_empty() && all != [correlation]).then(|| all.into())
}

/// A group and its slices in order.
#[derive(Debug)]
pub struct Group {
    /// The values of `group by`.
    pub key: Row,
    /// In ascending order of [`Slice::at`].
    pub slices: VecDeque<Slice>,
    hash: u64,
    /// How far the window over them has come.
    pub queue: Queue,
    /// The [`Marks::saves`] in which it was last marked as changed.
    marked: u64,
}

/// The window over a group's slices: totals in two stacks, so that it moves on at constant cost.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Queue {
    /// Slices before this index are behind the current window, those from `pushed` on are ahead of it.
    pub behind: usize,
    /// See `behind`.
    pub pushed: usize,
    /// Totals from each of the oldest slices of the window up to where `back` begins; the oldest one's is last.
    pub front: Vec<Total>,
    /// Total of the slices after those.
    pub back: Option<Total>,
}

impl Group {
    fn new(key: Row, hash: u64) -> Self {
        Self {
            key,
            slices: VecDeque::new(),
            hash,
            queue: Queue::default(),
            marked: 0,
        }
    }
    /// The slice that starts at `at`, and whether it is a new one.
    #[inline]
    pub fn slice_mut(&mut self, at: Time, kinds: &[Kind]) -> (&mut Slice, bool) {
        let index = match self.slices.back() {
            Some(last) if last.at == at => {
                let index = self.slices.len() - 1;
                if index < self.queue.pushed {
                    self.rewind();
                }
                return (&mut self.slices[index], false);
            }
            Some(last) if last.at > at => self.slices.partition_point(|s| s.at < at),
            _ => self.slices.len(),
        };
        let new = self.slices.get(index).is_none_or(|s| s.at != at);
        if index < self.queue.behind {
            // Behind the window: only the indices move.
            self.queue.behind += usize::from(new);
            self.queue.pushed += usize::from(new);
        } else if index < self.queue.pushed {
            self.rewind();
        }
        if new {
            self.slices.insert(index, Slice::new(at, kinds));
        }
        (&mut self.slices[index], new)
    }
    /// An event came into the middle of the window: its totals are built anew when they are next asked for.
    #[cold]
    fn rewind(&mut self) {
        self.queue.pushed = self.queue.behind;
        self.queue.front.clear();
        self.queue.back = None;
    }
    /// The indices of the slices in `[start, end)`.
    pub fn range(&self, start: Time, end: Time) -> std::ops::Range<usize> {
        let from = self.slices.partition_point(|s| s.at < start);
        from..from.max(self.slices.partition_point(|s| s.at < end))
    }
    /// The total of a range of slices, added up one by one; `None` of an empty range.
    pub fn plain_total(&self, range: std::ops::Range<usize>, kinds: &[Kind]) -> Option<Cow<'_, Total>> {
        let mut slices = self.slices.range(range);
        let mut total = Cow::Borrowed(&slices.next()?.total);
        for slice in slices {
            total.to_mut().merge(&slice.total, kinds, true);
        }
        Some(total)
    }
    /// Moves the window on to `[start, end)` (neither may step back) and gives its total, at constant cost a slice over
    /// the slice's life; `None` of an empty window.
    pub fn slide(&mut self, start: Time, end: Time, kinds: &[Kind]) -> Option<Cow<'_, Total>> {
        while self.queue.pushed < self.slices.len() && self.slices[self.queue.pushed].at < end {
            let total = &self.slices[self.queue.pushed].total;
            match &mut self.queue.back {
                Some(back) => back.merge(total, kinds, false),
                None => self.queue.back = Some(total.sketch(kinds)),
            }
            self.queue.pushed += 1;
        }
        while self.queue.behind < self.queue.pushed && self.slices[self.queue.behind].at < start {
            self.step(kinds);
        }
        let (range, front) = (self.queue.behind..self.queue.pushed, self.queue.front.last());
        if range.len() < 2 {
            return self
                .slices
                .get(self.queue.behind)
                .filter(|_| range.len() == 1)
                .map(|s| Cow::Borrowed(&s.total));
        }
        let mut total = match (front, &self.queue.back) {
            (Some(front), Some(back)) => {
                let mut total = front.clone();
                total.merge(back, kinds, false);
                total
            }
            (Some(total), None) | (None, Some(total)) => total.clone(),
            (None, None) => return None,
        };
        for (i, kind) in kinds.iter().enumerate().filter(|(_, k)| k.holistic()) {
            let mut state = kind.empty();
            for slice in self.slices.range(range.clone()) {
                kind.merge(&mut state, &slice.total.states[i]);
            }
            total.states[i] = state;
        }
        Some(Cow::Owned(total))
    }
    /// Takes the oldest slice out of the window.
    fn step(&mut self, kinds: &[Kind]) {
        if self.queue.front.is_empty() {
            for slice in self.slices.range(self.queue.behind..self.queue.pushed).rev() {
                let mut total = slice.total.sketch(kinds);
                if let Some(later) = self.queue.front.last() {
                    total.merge(later, kinds, false);
                }
                self.queue.front.push(total);
            }
            self.queue.back = None;
        }
        self.queue.front.pop();
        self.queue.behind += 1;
    }
    /// Takes the oldest slice off altogether.
    pub fn pop(&mut self, kinds: &[Kind]) -> Option<Slice> {
        if self.queue.behind == 0 && self.queue.pushed > 0 {
            self.step(kinds);
        }
        self.queue.behind = self.queue.behind.saturating_sub(1);
        self.queue.pushed = self.queue.pushed.saturating_sub(1);
        self.slices.pop_front()
    }
    /// These events, ascending by id, have caused a result.
    pub fn settle_some(&mut self, range: std::ops::Range<usize>, ids: &[EventId]) {
        for slice in self.slices.range_mut(range) {
            slice.pending.retain(|id| ids.binary_search(id).is_err());
        }
    }
    /// Every event of those slices has caused a result.
    pub fn settle(&mut self, range: std::ops::Range<usize>) {
        self.slices.range_mut(range).for_each(|s| s.pending = Vec::new());
    }
}

/// All groups that have state, found by the values of their key. Their indices differ between two operators that have
/// the same groups: nothing that is put out may go by them.
#[derive(Debug, Default)]
pub struct Groups {
    table: HashTable<u32>,
    list: Vec<Option<Group>>,
    free: Vec<u32>,
    /// By key, ascending; empty when it must be worked out again.
    sorted: Vec<u32>,
    /// What has changed since the last save. Saving does not change what is saved, but what is known of it.
    pub marks: RefCell<Marks>,
}

impl Groups {
    /// The index of the group with that key, made if there is none.
    #[inline]
    pub fn find(&mut self, key: &Keys<'_>) -> u32 {
        let hash = key.hash();
        let list = &self.list;
        let found = self.table.find(hash, |index| {
            list[*index as usize]
                .as_ref()
                .is_some_and(|g| g.hash == hash && key.equals(&g.key))
        });
        match found {
            Some(index) => *index,
            None => self.insert(key, hash),
        }
    }
    #[cold]
    fn insert(&mut self, key: &Keys<'_>, hash: u64) -> u32 {
        let group = Group::new(key.to_row(), hash);
        let index = self.free.pop().unwrap_or_else(|| {
            self.list.push(None);
            self.list.len() as u32 - 1
        });
        self.list[index as usize] = Some(group);
        let list = &self.list;
        self.table
            .insert_unique(hash, index, |i| list[*i as usize].as_ref().map_or(0, |g| g.hash));
        self.sorted.clear();
        index
    }
    /// A group by its index, marked as changed.
    #[inline]
    pub fn get_mut(&mut self, index: u32) -> Option<&mut Group> {
        let group = self.list.get_mut(index as usize)?.as_mut()?;
        let marks = self.marks.get_mut();
        if group.marked != marks.saves() {
            group.marked = marks.saves();
            marks.changed(index);
        }
        Some(group)
    }
    /// A group by its index.
    pub fn get(&self, index: u32) -> Option<&Group> {
        self.list.get(index as usize)?.as_ref()
    }
    /// The index of the group with that key, if there is one.
    pub fn index_of(&self, key: &[Value]) -> Option<u32> {
        let (keys, list) = (Keys::Values(key), &self.list);
        let same = |index: &u32| list[*index as usize].as_ref().is_some_and(|g| keys.equals(&g.key));
        self.table.find(keys.hash(), same).copied()
    }
    /// All groups with their indices, in no stated order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Group)> {
        let all = self.list.iter().enumerate();
        all.filter_map(|(index, group)| Some((index as u32, group.as_ref()?)))
    }
    /// Forgets a group.
    pub fn remove(&mut self, index: u32) {
        if let Some(group) = self.list[index as usize].take() {
            if let Ok(entry) = self.table.find_entry(group.hash, |i| *i == index) {
                entry.remove();
            }
            self.free.push(index);
            self.sorted.clear();
            self.marks.get_mut().gone(group.key, self.list.len());
        }
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len() - self.free.len()
    }
    /// The indices of all groups, ascending by key.
    pub fn sorted(&mut self) -> Vec<u32> {
        if self.sorted.is_empty() {
            self.sorted = (0..self.list.len() as u32)
                .filter(|i| self.list[*i as usize].is_some())
                .collect();
            let list = &self.list;
            let key = |i: &u32| list[*i as usize].as_ref().map(|g| &g.key);
            self.sorted.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
        }
        self.sorted.clone()
    }
    /// Sorts some indices by their groups' keys, ascending.
    pub fn sort(&self, indices: &mut [u32]) {
        indices.sort_unstable_by(|a, b| self.get(*a).map(|g| &g.key).cmp(&self.get(*b).map(|g| &g.key)));
    }
}
