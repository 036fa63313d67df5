//! Which sub-stream an event goes to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use wavetank_scenarios::numbering::{Moving, key_hash, ring_place};
use wavetank_scenarios::script::{Convey, Route};
use wavetank_scenarios::{Event, Schema, Value};

use crate::processing::expr::{Compiled, Fields, Scope, unknown};
use crate::reliability::{State, StateError};

/// Chooses sub-streams.
#[derive(Debug)]
pub struct Router {
    way: Way,
    /// The sub-streams that get events before keys move.
    active: u32,
    /// Slots of the fields that decide, where they alone do.
    key: Vec<usize>,
    /// Completed and current moves, in their order.
    moves: Vec<Arc<Moving>>,
    /// The values of the last key, kept for their memory.
    values: Vec<Value>,
}

#[derive(Debug)]
enum Way {
    Hash,
    /// Places on the ring, ascending, and whose they are.
    Ring(Vec<(u64, u32)>),
    Type(BTreeMap<String, u32>, u32),
    Predicates(Vec<Compiled>),
    /// The numbers that each sub-stream was given and has not told to be done, ascending.
    Load(Vec<VecDeque<u64>>),
    RoundRobin(u32),
}

impl Router {
    /// From its settings, for events with these fields.
    ///
    /// # Errors
    /// A name that is not there, or a predicate that cannot be compiled.
    pub fn new(settings: &Convey, schema: &Schema, inputs: &[&str]) -> Result<Self, String> {
        let active = settings.streams.saturating_sub(settings.spare).max(1);
        let slot = |name: &String| schema.slot(name).ok_or_else(|| unknown("field", name, schema.names()));
        let key = settings.by.key().unwrap_or_default().iter().map(slot);
        let way = match &settings.by {
            Route::Key(_) => Way::Hash,
            Route::Ring { points, .. } => {
                let places = (0..active).flat_map(|stream| (0..*points).map(move |p| (ring_place(stream, p), stream)));
                let mut ring: Vec<(u64, u32)> = places.collect();
                ring.sort_unstable();
                Way::Ring(ring)
            }
            Route::Type { to, otherwise, .. } => {
                Way::Type(to.iter().map(|(k, v)| (k.clone(), *v)).collect(), *otherwise)
            }
            Route::Predicates(predicates) => {
                let fields = Fields { schema, inputs };
                let compile = |p: &wavetank_scenarios::query::Predicate| Compiled::new(&p.expr, fields);
                Way::Predicates(predicates.iter().map(compile).collect::<Result<_, _>>()?)
            }
            Route::Load => Way::Load(vec![VecDeque::new(); settings.streams as usize]),
            Route::RoundRobin => Way::RoundRobin(0),
        };
        Ok(Self {
            way,
            active,
            key: key.collect::<Result<_, _>>()?,
            moves: Vec::new(),
            values: Vec::new(),
        })
    }

    /// The sub-stream of an event that gets this number, and the last move that its key was part of (0 for none).
    pub fn choose(&mut self, number: u64, event: &Event) -> (u32, u32) {
        self.values.clear();
        let value = |slot: &usize| event.row.get(*slot).cloned().unwrap_or_default();
        self.values.extend(self.key.iter().map(value));
        let active = self.active;
        let mut stream = match &mut self.way {
            Way::Hash => (key_hash(&self.values, 0) % u64::from(active)) as u32,
            Way::Ring(ring) => {
                let place = ring.partition_point(|(at, _)| *at < key_hash(&self.values, 0));
                ring.get(place)
                    .or_else(|| ring.first())
                    .map_or(0, |(_, stream)| *stream)
            }
            Way::Type(to, otherwise) => match &self.values[0] {
                Value::Null => *otherwise,
                Value::Text(text) => to.get(text.as_str()).copied().unwrap_or(*otherwise),
                value => to.get(&value.to_string()).copied().unwrap_or(*otherwise),
            },
            Way::Predicates(predicates) => {
                let scope = Scope::event(&event.row, event.stamp);
                let first = predicates.iter().position(|p| p.test(&scope) == Ok(Some(true)));
                first.unwrap_or(predicates.len()) as u32
            }
            Way::Load(given) => {
                let least = given[..active as usize]
                    .iter()
                    .enumerate()
                    .min_by_key(|(_, given)| given.len());
                let least = least.map_or(0, |(stream, _)| stream);
                given[least].push_back(number);
                least as u32
            }
            Way::RoundRobin(next) => {
                let stream = *next;
                *next = (stream + 1) % active;
                stream
            }
        };
        let mut last = 0;
        for moving in &self.moves {
            if moving.from == stream && moving.takes(&self.values) {
                (stream, last) = (moving.to, moving.id);
            }
        }
        (stream, last)
    }

    /// From here on keys belong to their new owner.
    pub fn moved(&mut self, moving: Arc<Moving>) {
        self.moves.push(moving);
    }

    /// A sub-stream told that it is done with all that it was given below this number.
    pub fn done(&mut self, stream: u32, below: u64) {
        if let Way::Load(given) = &mut self.way
            && let Some(given) = given.get_mut(stream as usize)
        {
            while given.front().is_some_and(|number| *number < below) {
                given.pop_front();
            }
        }
    }

    /// Puts what its choices depend on into a snapshot.
    pub fn save(&self, state: &mut State) {
        match &self.way {
            Way::Load(given) => state.put_each(GIVEN, (0u32..).zip(given)),
            Way::RoundRobin(next) => state.put(TURN, next),
            Way::Hash | Way::Ring(_) | Way::Type(..) | Way::Predicates(_) => {}
        }
        state.put(MOVES, &self.moves.iter().map(|moving| &**moving).collect::<Vec<_>>());
    }

    /// Takes it back.
    ///
    /// # Errors
    /// It is not that of a router with these settings, between so many sub-streams.
    pub fn restore(&mut self, state: &State, streams: u32) -> Result<(), StateError> {
        match &mut self.way {
            Way::Load(given) => {
                let kept: BTreeMap<u32, VecDeque<u64>> = state.each(GIVEN)?.into_iter().collect();
                let all = kept.keys().copied().eq(0..given.len() as u32);
                StateError::unless(all, GIVEN, "it is of other sub-streams")?;
                *given = kept.into_values().collect();
            }
            Way::RoundRobin(next) => {
                *next = state.get(TURN)?;
                StateError::unless(*next < self.active, TURN, "there is no such sub-stream")?;
            }
            Way::Hash | Way::Ring(_) | Way::Type(..) | Way::Predicates(_) => {}
        }
        let moves: Vec<Moving> = state.get(MOVES)?;
        let known = moves.iter().all(|moving| moving.from < streams && moving.to < streams);
        StateError::unless(known, MOVES, "keys moved to a sub-stream that there is not")?;
        self.moves = moves.into_iter().map(Arc::new).collect();
        Ok(())
    }
}

/// The parts of a saved state: the numbers that are outstanding, whose turn it is, and the moves of keys.
const GIVEN: &str = "outstanding";
const TURN: &str = "turn";
const MOVES: &str = "moves";
