//! What a look-up, or whoever asks a model, remembers: the keys that were asked for last.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use wavetank_scenarios::{Span, Value};

use crate::reliability::{State, StateError, counted};

/// The memory of one look-up step: the least recently used key goes first.
#[derive(Debug)]
pub struct Cache {
    size: usize,
    cost: Span,
    /// When each key was used last, in look-ups.
    used: FxHashMap<Vec<Value>, u64>,
    /// The same, by when.
    order: BTreeMap<u64, Vec<Value>>,
    lookups: u64,
}

impl Cache {
    pub fn new(size: u32, cost: Span) -> Self {
        Self {
            size: size as usize,
            cost,
            used: FxHashMap::default(),
            order: BTreeMap::new(),
            lookups: 0,
        }
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        self.used.clear();
        self.order.clear();
    }

    /// Whether anybody wants to know of hits and misses.
    pub fn counts(&self) -> bool {
        self.size > 0 || self.cost > Span::ZERO
    }

    /// Uses a key: what that takes, and whether it was there.
    pub fn ask(&mut self, key: &[Value]) -> (Span, bool) {
        if self.size == 0 {
            return (self.cost, false);
        }
        self.lookups += 1;
        let before = self.used.get_mut(key).map(|used| std::mem::replace(used, self.lookups));
        let key = match before.and_then(|before| self.order.remove(&before)) {
            Some(key) => {
                self.order.insert(self.lookups, key);
                return (Span::ZERO, true);
            }
            None => key.to_vec(),
        };
        if self.order.len() >= self.size
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.used.remove(&oldest);
        }
        self.used.insert(key.clone(), self.lookups);
        self.order.insert(self.lookups, key);
        (self.cost, false)
    }

    /// Puts it in as that of the `number`-th look-up: how many look-ups there were, and by key when it was used last.
    pub fn save(&self, number: usize, state: &mut State) {
        state.put(&format!("lookups {number}"), &self.lookups);
        state.put_each(&format!("cache {number}"), &self.used);
    }

    /// Takes it back.
    ///
    /// # Errors
    /// It is not that of such a look-up.
    pub fn restore(&mut self, number: usize, state: &State) -> Result<(), StateError> {
        let part = format!("lookups {number}");
        self.lookups = counted(&part, state.get(&part)?)?;
        let part = format!("cache {number}");
        for (key, used) in state.each::<Vec<Value>, u64>(&part)? {
            let known = self.used.insert(key.clone(), used).is_some() || self.order.insert(used, key).is_some();
            let fits = !known && used <= self.lookups && self.order.len() <= self.size;
            StateError::unless(fits, &part, "it is not what such look-ups leave behind")?;
        }
        Ok(())
    }

    pub fn state_bytes(&self) -> usize {
        let keys = self.order.values().map(|key| key.len() * size_of::<Value>());
        2 * keys.sum::<usize>() + self.order.len() * (size_of::<(Vec<Value>, u64)>() + size_of::<(u64, Vec<Value>)>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The model in words: of all keys asked for, those asked for last are there, as many as there is room for.
        #[test]
        fn what_is_remembered_is_what_was_used_last(size in 0u32..6, asked in proptest::collection::vec(0i64..9, 0..60)) {
            let mut cache = Cache::new(size, Span::from_secs(1));
            let mut history: Vec<i64> = Vec::new();
            for key in asked {
                let mut recent: Vec<i64> = Vec::new();
                for old in history.iter().rev() {
                    if !recent.contains(old) {
                        recent.push(*old);
                    }
                }
                let there = recent.iter().take(size as usize).any(|recent| *recent == key);
                let cost = if there { Span::ZERO } else { Span::from_secs(1) };
                prop_assert_eq!(cache.ask(&[Value::Int(key)]), (cost, there));
                prop_assert!(cache.order.len() <= size as usize);
                history.push(key);
            }
        }
    }
}
