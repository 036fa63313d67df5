//! Replay: where reading begins again after a crash, when no state was saved.
//!
//! A reader of a log tells the broker how far it is ([`Commit`]): what it has read, and what is *safe*: events that can
//! matter to no answer any more. What is safe follows from the watermark that has come out at the end of the pipeline,
//! and from how far back its operators reach (`wavetank_scenarios::reach`): an event is safe when its stamp is below
//! [`Floor::since`] of its reader.
//!
//! After a crash every operator begins afresh, and the readers read from the first offset that was not safe. What is
//! answered again falls into two parts. Answers up to [`Floor::given`] were given before the crash, and some of them are now
//! worked out from fewer events; later ones are worked out from all their events, and are the same as at first. So a
//! receiver must keep the first answer that it has for a window, key and revision (`delivery = "by-result"`), or an
//! operator that knows its floor must keep the first part to itself ([`Floor::mutes`], and [`Resume::skips`] for events that
//! would only be counted as late). Then the folded results are those of the run without the crash.
//!
//! This holds where events come in one order (one partition, or watermarks for each source combined by the smallest), and
//! for operators with a bounded reach; all others need a snapshot, and `check` says so.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_scenarios::reach::{Back, Reach};
use wavetank_scenarios::script::Scenario;
use wavetank_scenarios::topology::{ActorId, Port, Role, Topology};
use wavetank_scenarios::{Event, Span, Time};

use super::broker::Commit;

/// What an operator begins afresh with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Floor {
    /// Events before this cannot matter any more.
    pub since: Time,
    /// Answers up to this time have been given.
    pub given: Time,
    /// How much earlier than its end the last instant of a window is.
    pub short_of_end: Span,
    /// How long before the watermark reaches its stamp an event may be late.
    pub late_ahead: Span,
}

impl Floor {
    /// Nothing has been given.
    pub const NOTHING: Self = Self {
        since: Time::MIN,
        given: Time::MIN,
        short_of_end: Span::ZERO,
        late_ahead: Span::ZERO,
    };
    /// Of an operator that reaches so far back, when everything up to the watermark `done` has come out.
    pub fn of(back: Back, done: Time) -> Self {
        Self {
            since: back.since(done),
            given: back.given(done),
            short_of_end: back.short_of_end,
            late_ahead: back.late_ahead,
        }
    }
    /// The watermark to begin with: events that cannot matter any more are late.
    pub fn watermark(&self) -> Time {
        if self.since == Time::MAX {
            Time::MAX
        } else {
            self.since - Span::UNIT - self.late_ahead
        }
    }
    /// Whether a result has been given before. A window's answer goes by the window's last instant.
    pub fn mutes(&self, result: &Event) -> bool {
        self.answers(result) <= self.given
    }
    /// The time that a result answers for.
    fn answers(&self, result: &Event) -> Time {
        match &result.pane {
            Some(pane) if pane.end != Time::MAX => pane.end - self.short_of_end,
            _ => result.stamp,
        }
    }
}

/// How far back every operator of a scenario reaches, and those behind it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// By operator: its own reach, and who reads it.
    operators: BTreeMap<ActorId, Place>,
}

#[derive(Clone, Debug)]
struct Place {
    back: Back,
    /// How much longer than the watermark says answers may come here or before.
    settle: Span,
    /// The operators that read its results.
    readers: Vec<ActorId>,
    /// Results of it leave the pipeline.
    ends: bool,
}

/// An operator whose state must be saved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NeedsState {
    /// Which operator, by its place in the scenario.
    pub operator: usize,
    /// Why.
    pub why: String,
}

impl Plan {
    /// From the operators of a scenario.
    ///
    /// # Errors
    /// The first operator whose reach is unbounded.
    pub fn new(scenario: &Scenario, topology: &Topology) -> Result<Self, NeedsState> {
        let mut operators = BTreeMap::new();
        for (index, actor) in topology.actors.iter().enumerate() {
            // The copies of an operator read again by rules of their own.
            if topology.twin(ActorId(index as u32)).is_some() {
                continue;
            }
            let back = match actor.role {
                Role::Operator { operator } | Role::Worker { operator, .. } => {
                    let back = match scenario.operators[operator].reach(scenario.time.tick) {
                        Reach::Bounded(back) => back,
                        Reach::Unbounded(why) => return Err(NeedsState { operator, why }),
                    };
                    Some(back)
                }
                Role::Watermark { .. } | Role::Split { .. } | Role::Merge { .. } => Some(Back {
                    single: true,
                    ..Back::default()
                }),
                _ => None,
            };
            let Some(back) = back else { continue };
            let (mut readers, mut ends) = (Vec::new(), false);
            for link in &actor.outputs {
                let link = &topology.links[link.0 as usize];
                match topology.actors[link.to.0 as usize].role {
                    _ if matches!(link.port, Port::Back | Port::Counter | Port::Control) => {}
                    Role::Watermark { .. }
                    | Role::Operator { .. }
                    | Role::Split { .. }
                    | Role::Worker { .. }
                    | Role::Merge { .. } => readers.push(link.to),
                    _ => ends = true,
                }
            }
            let place = Place {
                back,
                settle: Span::ZERO,
                readers,
                ends,
            };
            operators.insert(ActorId(index as u32), place);
        }
        let mut plan = Self { operators };
        plan.settle();
        Ok(plan)
    }

    /// Works out how late answers may come at each place; operators form no circle.
    fn settle(&mut self) {
        let mut before: BTreeMap<ActorId, Span> = BTreeMap::new();
        for _ in 0..=self.operators.len() {
            let mut next = BTreeMap::new();
            for (actor, place) in &mut self.operators {
                place.settle = before.get(actor).copied().unwrap_or(Span::ZERO) + place.back.settle;
                for reader in &place.readers {
                    let there: &mut Span = next.entry(*reader).or_insert(Span::ZERO);
                    *there = (*there).max(place.settle);
                }
            }
            if next == before {
                break;
            }
            before = next;
        }
    }

    /// Whether everything from an operator on works on each event by itself, and is done with it at once.
    pub fn at_once(&self, actor: ActorId) -> bool {
        let single = |place: &Place| place.back.single && place.readers.iter().all(|reader| self.at_once(*reader));
        self.operators.get(&actor).is_none_or(single)
    }
    /// Whose results leave the pipeline.
    pub fn ends(&self) -> BTreeSet<ActorId> {
        let ends = self.operators.iter().filter(|(_, place)| place.ends);
        ends.map(|(actor, _)| *actor).collect()
    }

    /// What an operator begins with, when the watermark `done` has come out at the end of the pipeline.
    pub fn floor(&self, actor: ActorId, done: Time) -> Floor {
        let mut known = BTreeMap::new();
        self.floor_of(actor, done, &mut known)
    }
    fn floor_of(&self, actor: ActorId, done: Time, known: &mut BTreeMap<ActorId, Floor>) -> Floor {
        if let Some(floor) = known.get(&actor) {
            return *floor;
        }
        let Some(place) = self.operators.get(&actor) else {
            return Floor {
                since: if done == Time::MAX { done } else { done + Span::UNIT },
                ..Floor::NOTHING
            };
        };
        let mut given = if place.ends || place.readers.is_empty() {
            let settled = Back {
                settle: place.settle,
                ..Back::default()
            };
            settled.settled(done)
        } else {
            Time::MAX
        };
        for reader in &place.readers {
            let needs = self.floor_of(*reader, done, known).since;
            given = given.min(if needs == Time::MAX { needs } else { needs - Span::UNIT });
        }
        let own = Back {
            settle: Span::ZERO,
            ..place.back
        };
        let floor = Floor::of(own, given);
        known.insert(actor, floor);
        floor
    }
}

/// What a reader has read of a partition and is not safe yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tracker {
    open: BTreeMap<u64, Time>,
    by_stamp: BTreeSet<(Time, u64)>,
    /// The next offset to read.
    read: u64,
    done: Option<Time>,
}

impl Tracker {
    /// A reader that reads from this offset on.
    pub fn at(offset: u64) -> Self {
        Self {
            read: offset,
            ..Self::default()
        }
    }
    /// An event has been read.
    pub fn take(&mut self, offset: u64, stamp: Time) {
        self.pass(offset);
        self.open.insert(offset, stamp);
        self.by_stamp.insert((stamp, offset));
    }
    /// What lies at this offset was read and cannot matter, or is not there.
    pub fn pass(&mut self, offset: u64) {
        self.read = self.read.max(offset + 1);
    }
    /// The watermark `done` has come out at the end: events before `since` are safe. Those that have become so.
    pub fn done(&mut self, done: Time, since: Time) -> Vec<u64> {
        self.done = self.done.max(Some(done));
        let mut safe = Vec::new();
        while let Some((stamp, offset)) = self.by_stamp.first().copied().filter(|(stamp, _)| *stamp < since) {
            self.by_stamp.remove(&(stamp, offset));
            self.open.remove(&offset);
            safe.push(offset);
        }
        safe
    }
    /// How far the reader is.
    pub fn commit(&self) -> Commit {
        Commit {
            safe: self.open.keys().next().copied().unwrap_or(self.read),
            read: self.read,
            done: self.done,
        }
    }
    /// How many events are not safe.
    pub fn open(&self) -> usize {
        self.open.len()
    }
}

/// Where a reader goes on in a partition, and what it passes over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resume {
    /// The first offset to read.
    pub from: u64,
    /// Everything before this had been read before the crash.
    pub read: u64,
    /// Of that, events with an earlier stamp have had their effect.
    pub since: Time,
}

impl Resume {
    /// From what was committed: at the first offset that is not safe.
    pub fn safe(commit: Commit, since: Time) -> Self {
        Self {
            from: commit.safe,
            read: commit.read,
            since,
        }
    }
    /// Whether the reader passes an event over.
    pub fn skips(&self, offset: u64, stamp: Time) -> bool {
        offset < self.read && stamp < self.since
    }
}
