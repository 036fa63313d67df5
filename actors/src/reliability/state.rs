//! What an operator keeps, in the form in which it is saved: named parts, cut into chunks.
//!
//! A part that is kept by key has a chunk for each key, everything else is one chunk. Two states differ in their chunks:
//! an incremental snapshot holds only those that have changed. A chunk is postcard; the names and their order are the
//! same in every process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::chunks::Chunks;

/// What an operator keeps.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct State {
    /// By part, then by key; a part that is not kept by key has one chunk, with the empty key.
    parts: BTreeMap<String, Chunks>,
    /// Why something could not be put in, if so.
    #[serde(skip)]
    broken: Option<String>,
}

/// A part of a state. Copies share their memory.
#[derive(Clone, Default, Debug)]
pub struct Part(Chunks);

/// What is wrong with a saved state: it is not one of such an operator with such settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateError {
    /// The part that is wrong.
    pub part: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part `{}` of the saved state: {}", self.part, self.why)
    }
}

impl std::error::Error for StateError {}

/// What has become of one chunk: its part and key, and what it holds now; `None` where it is gone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// The part.
    pub part: String,
    /// The key; empty where the part is one chunk.
    pub key: Vec<u8>,
    /// What it holds now.
    pub chunk: Option<Vec<u8>>,
}

impl State {
    /// Puts a part in that is one chunk.
    pub fn put(&mut self, part: &str, value: &(impl Serialize + ?Sized)) {
        self.put_chunk(part, Vec::new(), value);
    }
    /// Puts a part in that has a chunk for each key. Keys that are equal must serialise alike. A part that has no entry
    /// leaves no trace, and is read back as one that has none.
    pub fn put_each<K: Serialize, V: Serialize>(&mut self, part: &str, entries: impl IntoIterator<Item = (K, V)>) {
        let mut entries = entries.into_iter().peekable();
        if entries.peek().is_none() {
            return;
        }
        let chunks = self.parts.entry(part.to_owned()).or_default();
        if let Err(error) = chunks.put_each(entries.map(|(key, value)| (key, Some(value)))) {
            self.broken = Some(format!("part `{part}`: {error}"));
        }
    }
    /// Puts a part in as it was put in `before`, but for what is `changed` since then: the keys, and what they have now;
    /// nothing where one is gone. It is as if [`State::put_each`] had put all of it in.
    pub fn put_changed<K: Serialize, V: Serialize>(
        &mut self,
        part: &str,
        before: &Part,
        changed: impl IntoIterator<Item = (K, Option<V>)>,
    ) {
        let mut chunks = before.0.clone();
        if let Err(error) = chunks.put_each(changed) {
            self.broken = Some(format!("part `{part}`: {error}"));
        }
        if chunks.len() > 0 {
            self.parts.insert(part.to_owned(), chunks);
        }
    }
    /// A part as it is here, to go on from.
    pub fn part(&self, part: &str) -> Part {
        Part(self.parts.get(part).cloned().unwrap_or_default())
    }
    /// Puts one entry of a part in that is kept by key.
    pub fn put_at(&mut self, part: &str, key: &(impl Serialize + ?Sized), value: &(impl Serialize + ?Sized)) {
        match postcard::to_stdvec(key) {
            Ok(bytes) => self.put_chunk(part, bytes, value),
            Err(error) => self.broken = Some(format!("a key of part `{part}`: {error}")),
        }
    }
    fn put_chunk(&mut self, part: &str, key: Vec<u8>, value: &(impl Serialize + ?Sized)) {
        match postcard::to_stdvec(value) {
            Ok(bytes) => {
                if !self.parts.contains_key(part) {
                    self.parts.insert(part.to_owned(), Chunks::default());
                }
                if let Some(chunks) = self.parts.get_mut(part) {
                    chunks.put(key, bytes);
                }
            }
            Err(error) => self.broken = Some(format!("part `{part}`: {error}")),
        }
    }
    /// Puts another state in as a whole, its parts named `within/part`: for what hosts or wraps an operator.
    pub fn put_state(&mut self, within: &str, state: Self) {
        for (part, chunks) in state.parts {
            self.parts.insert(format!("{within}/{part}"), chunks);
        }
        self.broken = self.broken.take().or(state.broken);
    }
    /// What [`State::put_state`] put in.
    pub fn state(&self, within: &str) -> Self {
        let mut state = Self::default();
        for (part, chunks) in &self.parts {
            if let Some(name) = part.strip_prefix(within).and_then(|rest| rest.strip_prefix('/')) {
                state.parts.insert(name.to_owned(), chunks.clone());
            }
        }
        state
    }

    /// A part that is one chunk.
    ///
    /// # Errors
    /// It is missing, or not of that type.
    pub fn get<V: DeserializeOwned>(&self, part: &str) -> Result<V, StateError> {
        let chunk = self.parts.get(part).and_then(|chunks| chunks.get(&[]));
        read(part, chunk.ok_or_else(|| wrong(part, "it is missing"))?)
    }
    /// The entries of a part that is kept by key, ascending by the bytes of the key.
    ///
    /// # Errors
    /// A key or value is not of that type.
    pub fn each<K: DeserializeOwned, V: DeserializeOwned>(&self, part: &str) -> Result<Vec<(K, V)>, StateError> {
        let chunks = self.parts.get(part).into_iter().flat_map(Chunks::iter);
        chunks
            .map(|(key, value)| Ok((read(part, key)?, read(part, value)?)))
            .collect()
    }

    /// Why something could not be put in, if so: the state is then not to be used.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }
    /// How many bytes it takes: its chunks and their keys.
    pub fn size(&self) -> usize {
        self.parts.values().map(Chunks::size).sum()
    }
    /// What makes `before` into this.
    pub fn changes_since(&self, before: &Self) -> Vec<Change> {
        let nothing = Chunks::default();
        let mut changes = Vec::new();
        let parts: BTreeSet<&String> = self.parts.keys().chain(before.parts.keys()).collect();
        for part in parts {
            let note = |key: &[u8], chunk: Option<&[u8]>| {
                changes.push(Change {
                    part: part.clone(),
                    key: key.to_vec(),
                    chunk: chunk.map(<[u8]>::to_vec),
                });
            };
            let (now, old) = (self.parts.get(part), before.parts.get(part));
            now.unwrap_or(&nothing).changes_since(old.unwrap_or(&nothing), note);
        }
        changes
    }
    /// Makes the changes that [`State::changes_since`] found.
    pub fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            let chunks = self.parts.entry(change.part.clone()).or_default();
            match change.chunk {
                Some(chunk) => chunks.put(change.key, chunk),
                None => chunks.remove(&change.key),
            }
            if chunks.len() == 0 {
                self.parts.remove(&change.part);
            }
        }
    }
}

fn wrong(part: &str, why: impl Into<String>) -> StateError {
    StateError {
        part: part.to_owned(),
        why: why.into(),
    }
}

fn read<V: DeserializeOwned>(part: &str, bytes: &[u8]) -> Result<V, StateError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(wrong(part, format!("{} bytes too many", rest.len()))),
        Err(error) => Err(wrong(part, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state(entries: &BTreeMap<u8, u16>, count: u32) -> State {
        let mut state = State::default();
        state.put_each("by key", entries);
        state.put("count", &count);
        state
    }

    #[test]
    fn a_part_that_is_missing_or_of_another_type_is_named() {
        let saved = state(&BTreeMap::from([(1, 2)]), 7);
        assert_eq!(saved.get::<u32>("count"), Ok(7));
        assert_eq!(saved.get::<u32>("sum").map_err(|e| e.to_string()), {
            Err("part `sum` of the saved state: it is missing".to_owned())
        });
        assert_eq!(
            saved.get::<()>("count").map_err(|e| e.why),
            Err("1 bytes too many".to_owned())
        );
        assert!(saved.get::<String>("count").is_err());
    }

    #[test]
    fn a_state_within_a_state_comes_out_as_it_went_in() {
        let inner = state(&BTreeMap::from([(1, 2)]), 7);
        let mut outer = state(&BTreeMap::new(), 1);
        outer.put_state("operator", inner.clone());
        assert_eq!(outer.state("operator"), inner);
        assert_eq!(outer.get::<u32>("count"), Ok(1));
    }

    proptest! {
        #[test]
        fn the_way_in_which_chunks_were_put_in_does_not_show(
            many in prop::collection::vec((any::<u16>(), any::<u8>()), 0..30),
            single in prop::collection::vec((any::<u16>(), any::<u8>(), any::<bool>()), 0..30), late in any::<bool>()
        ) {
            let mut model = BTreeMap::new();
            let mut state = State::default();
            // Few keys, so that some come again.
            let key = |k: u16| k % 300;
            let all = |state: &mut State, model: &mut BTreeMap<u16, u8>| {
                state.put_each("part", many.iter().map(|(k, v)| (key(*k), *v)));
                model.extend(many.iter().map(|(k, v)| (key(*k), *v)));
            };
            if !late {
                all(&mut state, &mut model);
            }
            for (k, v, keep) in &single {
                let chunk = keep.then(|| vec![*v]);
                let change = Change { part: "part".into(), key: postcard::to_stdvec(&key(*k)).unwrap(), chunk };
                state.apply(vec![change]);
                if *keep { model.insert(key(*k), *v) } else { model.remove(&key(*k)) };
            }
            if late {
                all(&mut state, &mut model);
            }
            let mut one_by_one = State::default();
            model.iter().for_each(|(k, v)| one_by_one.put_at("part", k, v));
            prop_assert_eq!(&state, &one_by_one);
            prop_assert_eq!(postcard::to_stdvec(&state).unwrap(), postcard::to_stdvec(&one_by_one).unwrap());
            prop_assert_eq!(state.changes_since(&one_by_one), vec![]);
            prop_assert_eq!(state.each::<u16, u8>("part").unwrap().into_iter().collect::<BTreeMap<_, _>>(), model);
        }

        #[test]
        fn what_has_changed_over_what_there_was_is_what_there_is(
            before in prop::collection::btree_map(any::<u8>(), any::<u16>(), 0..40),
            changed in prop::collection::vec((any::<u8>(), any::<Option<u16>>()), 0..40),
        ) {
            let mut first = State::default();
            first.put_each("by key", &before);
            let mut second = State::default();
            second.put_changed("by key", &first.part("by key"), changed.iter().copied());
            let mut after = before.clone();
            for (key, value) in changed {
                match value {
                    Some(value) => after.insert(key, value),
                    None => after.remove(&key),
                };
            }
            let mut whole = State::default();
            whole.put_each("by key", &after);
            prop_assert_eq!(&second, &whole);
            prop_assert_eq!(second.size(), whole.size());
            prop_assert_eq!(second.changes_since(&first), whole.changes_since(&first));
            prop_assert_eq!(first.each::<u8, u16>("by key").unwrap(), before.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn the_changes_make_one_state_into_the_other(
            a in prop::collection::btree_map(any::<u8>(), any::<u16>(), 0..8),
            b in prop::collection::btree_map(any::<u8>(), any::<u16>(), 0..8),
            count: u32,
        ) {
            let (before, after) = (state(&a, 1), state(&b, count));
            let changes = after.changes_since(&before);
            let changed = a.keys().chain(b.keys()).collect::<BTreeSet<_>>();
            let expected = changed.iter().filter(|k| a.get(k) != b.get(k)).count() + usize::from(count != 1);
            prop_assert_eq!(changes.len(), expected);
            let mut made = before;
            made.apply(changes);
            prop_assert_eq!(made, after);
        }

        #[test]
        fn what_was_put_in_comes_out(entries in prop::collection::btree_map(any::<u8>(), any::<u16>(), 0..8)) {
            let saved = state(&entries, 0);
            let bytes = postcard::to_stdvec(&saved).unwrap();
            let back: State = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(&back, &saved);
            prop_assert_eq!(back.each::<u8, u16>("by key").unwrap().into_iter().collect::<BTreeMap<_, _>>(), entries);
        }
    }
}
