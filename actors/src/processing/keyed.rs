//! State by key, found from an event's row without making a key of it first.

use std::hash::{Hash, Hasher};

use hashbrown::HashTable;
use rustc_hash::FxHasher;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wavetank_scenarios::{Row, Schema, Value};

use super::expr::unknown;
use crate::reliability::{State, StateError};

/// The key of one event's group: slots of its row, or values that were computed.
#[derive(Clone, Copy, Debug)]
pub enum Keys<'a> {
    /// These slots of this row.
    Slots(&'a [usize], &'a [Value]),
    /// These values.
    Values(&'a [Value]),
}

const NULL: Value = Value::Null;

impl Keys<'_> {
    #[inline]
    fn each(&self, mut visit: impl FnMut(&Value)) {
        match self {
            Self::Slots(slots, row) => slots.iter().for_each(|slot| visit(row.get(*slot).unwrap_or(&NULL))),
            Self::Values(values) => values.iter().for_each(visit),
        }
    }
    /// The hash of the values.
    #[inline]
    pub fn hash(&self) -> u64 {
        let mut hasher = FxHasher::default();
        self.each(|value| value.hash(&mut hasher));
        hasher.finish()
    }
    /// Whether these are the values of that key.
    #[inline]
    pub fn equals(&self, key: &[Value]) -> bool {
        match self {
            Self::Slots(slots, row) => slots
                .iter()
                .zip(key)
                .all(|(slot, k)| row.get(*slot).unwrap_or(&NULL) == k),
            Self::Values(values) => *values == key,
        }
    }
    /// Writes the values of the key into `values`, in place of what is there.
    pub fn write_to(self, values: &mut Vec<Value>) {
        values.clear();
        self.each(|value| values.push(value.clone()));
    }
    /// The values of the key.
    pub fn to_row(self) -> Row {
        let mut key = Vec::new();
        self.each(|value| key.push(value.clone()));
        key.into()
    }
}

/// One state for each value of some fields.
#[derive(Debug)]
pub struct Keyed<S> {
    slots: Vec<usize>,
    table: HashTable<(Row, S)>,
}

fn hash_of(key: &Row) -> u64 {
    Keys::Values(key).hash()
}

impl<S: Default> Keyed<S> {
    /// By these fields of a schema.
    ///
    /// # Errors
    /// A field that is not there.
    pub fn new(by: &[String], schema: &Schema) -> Result<Self, String> {
        let slot = |name: &String| schema.slot(name).ok_or_else(|| unknown("field", name, schema.names()));
        Ok(Self {
            slots: by.iter().map(slot).collect::<Result<_, _>>()?,
            table: HashTable::new(),
        })
    }
    /// The state of the key of this row, made if there is none.
    pub fn of(&mut self, row: &[Value]) -> &mut S {
        let key = Keys::Slots(&self.slots, row);
        let entry = self
            .table
            .entry(key.hash(), |(k, _)| key.equals(k), |(k, _)| hash_of(k));
        &mut entry.or_insert_with(|| (key.to_row(), S::default())).into_mut().1
    }
    /// All keys and their states, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Row, &S)> {
        self.table.iter().map(|(key, state)| (key, state))
    }
    /// Takes out the states of the keys that `moves` says yes to, ascending by key.
    pub fn take(&mut self, moves: &dyn Fn(&[Value]) -> bool) -> Vec<(Row, S)> {
        let taken = self.table.extract_if(|(key, _)| moves(key));
        let mut taken: Vec<(Row, S)> = taken.collect();
        taken.sort_by(|(a, _), (b, _)| a.cmp(b));
        taken
    }
    /// Puts a state in, in place of the one that the key has.
    pub fn put(&mut self, key: Row, state: S) {
        let keys = Keys::Values(&key);
        let entry = self
            .table
            .entry(keys.hash(), |(k, _)| keys.equals(k), |(k, _)| hash_of(k));
        entry.insert((key.clone(), state));
    }
    /// Puts all states in as a part of a saved state.
    pub fn save(&self, part: &str, state: &mut State)
    where
        S: Serialize,
    {
        state.put_each(part, self.table.iter().map(|(key, value)| (key, value)));
    }
    /// Takes the states of a part back.
    ///
    /// # Errors
    /// It is not a part with such keys and states.
    pub fn restore(&mut self, part: &str, state: &State) -> Result<(), StateError>
    where
        S: DeserializeOwned,
    {
        for (key, value) in state.each::<Row, S>(part)? {
            StateError::unless(
                key.len() == self.slots.len(),
                part,
                "a key is not of the fields that it is by",
            )?;
            self.put(key, value);
        }
        Ok(())
    }
    /// Roughly how many bytes it takes.
    pub fn state_bytes(&self) -> usize {
        self.table.len() * (size_of::<(Row, S)>() + self.slots.len() * size_of::<Value>())
    }
}
