//! One joined stream of a chain: what waits on its left and on its right, found by key and time in logarithmic time.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use wavetank_scenarios::query::{Anchor, Join, JoinBound, JoinKind, Limit, Query};
use wavetank_scenarios::script::{End, JoinSettings, Nulls, Versions};
use wavetank_scenarios::{Row, Span, Time, Value};

use super::names::Streams;
use super::results::Tuple;
use crate::processing::expr::{Compiled, Scope, normal};
use crate::reliability::{State, StateError, counted};

/// How a stage pairs.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// By the distance of the right one from the left one, both ends included.
    Interval {
        /// The least.
        lower: Span,
        /// The greatest.
        upper: Span,
    },
    /// With the version valid at the left one's time, if it is not older than this.
    Version {
        /// The greatest age.
        max_age: Option<Span>,
    },
    /// With the version that came last, if it is not older than this.
    Current {
        /// The greatest age.
        max_age: Option<Span>,
    },
    /// With whatever is in the same window.
    Window,
    /// With the last events of the other side, in order of arrival.
    Last {
        /// So many of the left.
        left: u64,
        /// So many of the right.
        right: u64,
    },
}

/// One joined stream.
#[derive(Debug)]
pub struct Stage {
    /// What happens to what has no partner.
    pub kind: JoinKind,
    /// How it pairs.
    pub mode: Mode,
    /// Whose time counts on the left.
    pub anchor: Anchor,
    /// Null rows come at once.
    pub eager: bool,
    left_key: Vec<Compiled>,
    right_key: Vec<Compiled>,
    rest: Vec<Compiled>,
    /// What waits on the left.
    pub lefts: Side,
    /// What waits on the right.
    pub rights: Side,
}

impl Stage {
    /// The stages of a query, one for each stream that it joins.
    ///
    /// # Errors
    /// A condition that cannot be compiled.
    pub fn of(query: &Query, streams: &Streams, settings: &JoinSettings) -> Result<Vec<Self>, String> {
        let joins = query.joins.iter().enumerate();
        joins
            .map(|(i, join)| Self::new(join, i + 1, streams, settings))
            .collect()
    }

    /// The stage of the join that adds stream `joined`.
    ///
    /// # Errors
    /// A condition that cannot be compiled.
    fn new(join: &Join, joined: usize, streams: &Streams, settings: &JoinSettings) -> Result<Self, String> {
        let closed = |limit: &Limit, end: End| limit.inclusive.unwrap_or(end == End::Inclusive);
        let inside = |limit: &Limit, end: End| if closed(limit, end) { Span::ZERO } else { Span::UNIT };
        let (mode, anchor) = match &join.bound {
            JoinBound::Interval { anchor, lower, upper } => {
                let lower = lower.span + inside(lower, settings.lower);
                let upper = upper.span - inside(upper, settings.upper);
                (Mode::Interval { lower, upper }, *anchor)
            }
            JoinBound::Version { anchor, max_age } => {
                let max_age = max_age.map(|limit| limit.span - inside(&limit, settings.lower));
                let mode = match settings.versions {
                    Versions::EventTime => Mode::Version { max_age },
                    Versions::Arrival => Mode::Current { max_age },
                };
                (mode, *anchor)
            }
            JoinBound::Last { left, right } => {
                let (left, right) = (*left, *right);
                (Mode::Last { left, right }, Anchor::Left)
            }
            JoinBound::Window => (Mode::Window, Anchor::Left),
        };
        let (mut left_key, mut right_key, mut rest) = (vec![], vec![], vec![]);
        for condition in &join.on {
            let compiled = match streams.key(condition, joined) {
                Some((left, right)) => streams.compile(left, joined).and_then(|left| {
                    left_key.push(left);
                    right_key.push(streams.compile_alone(right, joined)?);
                    Ok(())
                }),
                None => streams
                    .compile(condition, joined + 1)
                    .map(|condition| rest.push(condition)),
            };
            compiled.map_err(|e| format!("in `on`: {e}"))?;
        }
        Ok(Self {
            kind: join.kind,
            mode,
            anchor,
            eager: settings.nulls == Nulls::Eager,
            left_key,
            right_key,
            rest,
            lefts: Side::default(),
            rights: Side::default(),
        })
    }

    /// The key of a combination on the left, whose long row this is; `None` when nothing can equal it.
    pub fn left_key(&self, row: &[Value], stamp: Time) -> Option<Row> {
        key(&self.left_key, &Scope::event(row, stamp))
    }
    /// The key of an event on the right.
    pub fn right_key(&self, row: &[Value], stamp: Time) -> Option<Row> {
        key(&self.right_key, &Scope::event(row, stamp))
    }
    /// Whether pairs with equal keys have more conditions to meet.
    pub const fn has_conditions(&self) -> bool {
        !self.rest.is_empty()
    }
    /// Whether the other conditions are all true of a pair, whose long row this is.
    pub fn agree(&self, row: &[Value], stamp: Time) -> bool {
        let scope = Scope::event(row, stamp);
        self.rest
            .iter()
            .all(|condition| condition.test(&scope) == Ok(Some(true)))
    }
    /// Roughly how many bytes it takes, without the events.
    pub fn bytes(&self) -> usize {
        (self.lefts.entries.len() + self.rights.entries.len()) * (size_of::<Entry>() + 4 * size_of::<(Time, u64)>())
    }
}

fn key(exprs: &[Compiled], scope: &Scope<'_>) -> Option<Row> {
    let value = |expr: &Compiled| match expr.eval(scope) {
        Ok(value) if !value.is_null() => Some(normal(&value)),
        _ => None,
    };
    exprs.iter().map(value).collect()
}

/// Something that waits for partners.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    /// What waits.
    pub tuple: Tuple,
    /// The time by which it is paired.
    pub at: Time,
    /// When it goes.
    pub due: Time,
    /// What a partner's key must equal; `None` when nothing can.
    pub key: Option<Row>,
    /// It has had a partner.
    pub matched: bool,
}

/// In order of arrival at this stage.
pub type Seq = u64;

/// What waits on one side of a stage.
#[derive(Debug, Default)]
pub struct Side {
    entries: FxHashMap<Seq, Entry>,
    by_key: FxHashMap<Row, BTreeSet<(Time, Seq)>>,
    by_due: BTreeSet<(Time, Seq)>,
    /// The stamps of those that may still be given with their own stamp.
    open: BTreeSet<(Time, Seq)>,
    /// For streams that a later stage measures time from: their stamps in what waits.
    guards: BTreeMap<usize, BTreeSet<(Time, Seq)>>,
    /// In order of arrival, where that is what counts.
    pub queue: std::collections::VecDeque<Seq>,
    next: Seq,
}

impl Side {
    /// Keeps track of the stamps of that stream.
    pub fn guard(&mut self, stream: usize) {
        self.guards.entry(stream).or_default();
    }
    /// The streams whose stamps are kept track of.
    pub fn guarded(&self) -> Vec<usize> {
        self.guards.keys().copied().collect()
    }
    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    /// Lets something wait. `stamps` are those of the guarded streams.
    pub fn insert(&mut self, entry: Entry, open: bool, stamps: &[(usize, Time)]) -> Seq {
        let seq = self.next;
        self.next += 1;
        self.insert_as(seq, entry, open, stamps);
        seq
    }
    fn insert_as(&mut self, seq: Seq, entry: Entry, open: bool, stamps: &[(usize, Time)]) {
        if let Some(key) = &entry.key {
            self.by_key.entry(key.clone()).or_default().insert((entry.at, seq));
        }
        self.by_due.insert((entry.due, seq));
        if open {
            self.open.insert((entry.tuple.stamp, seq));
        }
        for (stream, stamp) in stamps {
            if let Some(guard) = self.guards.get_mut(stream) {
                guard.insert((*stamp, seq));
            }
        }
        self.entries.insert(seq, entry);
    }
    /// Takes something away. `stamps` as they were when it came.
    pub fn remove(&mut self, seq: Seq, stamps: impl Fn(&Entry) -> Vec<(usize, Time)>) -> Option<Entry> {
        let entry = self.entries.remove(&seq)?;
        if let Some(key) = &entry.key
            && let Some(alike) = self.by_key.get_mut(key)
        {
            alike.remove(&(entry.at, seq));
            if alike.is_empty() {
                self.by_key.remove(key);
            }
        }
        self.by_due.remove(&(entry.due, seq));
        self.open.remove(&(entry.tuple.stamp, seq));
        for (stream, stamp) in stamps(&entry) {
            if let Some(guard) = self.guards.get_mut(&stream) {
                guard.remove(&(stamp, seq));
            }
        }
        Some(entry)
    }
    /// The entry.
    pub fn get(&self, seq: Seq) -> Option<&Entry> {
        self.entries.get(&seq)
    }
    /// It has a partner now; it is `open` no longer unless told so.
    pub fn matched(&mut self, seq: Seq, stays_open: bool) {
        if let Some(entry) = self.entries.get_mut(&seq) {
            entry.matched = true;
            if !stays_open {
                self.open.remove(&(entry.tuple.stamp, seq));
            }
        }
    }
    /// Those with that key at a time between these, both included, in order of (time, arrival).
    pub fn between(&self, key: &Row, from: Time, to: Time) -> Vec<Seq> {
        let Some(alike) = self.by_key.get(key).filter(|_| from <= to) else {
            return vec![];
        };
        alike.range((from, 0)..=(to, Seq::MAX)).map(|(_, seq)| *seq).collect()
    }
    /// The last one with that key up to a time.
    pub fn newest(&self, key: &Row, to: Time) -> Option<Seq> {
        let alike = self.by_key.get(key)?;
        alike.range(..=(to, Seq::MAX)).next_back().map(|(_, seq)| *seq)
    }
    /// The neighbours of an entry among those with its key: the one before, the one behind.
    pub fn neighbours(&self, key: &Row, at: Time, seq: Seq) -> (Option<Seq>, Option<(Time, Seq)>) {
        let Some(alike) = self.by_key.get(key) else {
            return (None, None);
        };
        let before = alike.range(..(at, seq)).next_back().map(|(_, seq)| *seq);
        let behind = alike.range((at, seq + 1)..).next().copied();
        (before, behind)
    }
    /// Sets when an entry goes.
    pub fn set_due(&mut self, seq: Seq, due: Time) {
        if let Some(entry) = self.entries.get_mut(&seq) {
            self.by_due.remove(&(entry.due, seq));
            entry.due = due;
            self.by_due.insert((due, seq));
        }
    }
    /// The next one that goes, if its time has come.
    pub fn due(&self, watermark: Time) -> Option<Seq> {
        self.by_due
            .first()
            .filter(|(due, _)| *due <= watermark)
            .map(|(_, seq)| *seq)
    }
    /// The smallest stamp of those that may still be given with their own.
    pub fn first_open(&self) -> Option<Time> {
        self.open.first().map(|(stamp, _)| *stamp)
    }
    /// The smallest stamp of a guarded stream.
    pub fn first_of(&self, stream: usize) -> Option<Time> {
        self.guards.get(&stream)?.first().map(|(stamp, _)| *stamp)
    }

    /// Puts what waits here, at stage `k`, into a part of a snapshot, one by one.
    pub fn save(&self, state: &mut State, part: &str, k: usize) {
        let entries = self.entries.iter().map(|(seq, entry)| {
            let open = self.open.contains(&(entry.tuple.stamp, *seq));
            ((k, *seq), (entry, open))
        });
        state.put_each(part, entries);
    }
    /// What the next one that waits here will be.
    pub const fn next(&self) -> Seq {
        self.next
    }
    /// Everything goes; what comes is counted from there on.
    ///
    /// # Errors
    /// No run counts that far.
    pub fn begin_again(&mut self, next: Seq) -> Result<(), StateError> {
        self.entries.clear();
        self.by_key.clear();
        self.by_due.clear();
        self.open.clear();
        self.guards.values_mut().for_each(BTreeSet::clear);
        self.queue.clear();
        self.next = counted("next", next)?;
        Ok(())
    }
    /// Takes one back that [`Side::save`] put in. `stamps` are those of the guarded streams.
    ///
    /// # Errors
    /// It cannot have waited here, or is there already.
    pub fn restore(
        &mut self,
        part: &str,
        seq: Seq,
        (entry, open): (Entry, bool),
        stamps: &[(usize, Time)],
    ) -> Result<(), StateError> {
        let is_new = seq < self.next && !self.entries.contains_key(&seq);
        StateError::unless(is_new, part, "something waits twice, or has not come yet")?;
        self.insert_as(seq, entry, open, stamps);
        Ok(())
    }
    /// All that waits is in the queue, in order of arrival.
    pub fn queue_all(&mut self) {
        let mut all: Vec<Seq> = self.entries.keys().copied().collect();
        all.sort_unstable();
        self.queue = all.into();
    }
}
