//! Things by small numbers, which are used again.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::reliability::{State, StateError};

/// Things by small numbers. A number stands for its thing until that is taken out, and is given out again after that.
#[derive(Debug)]
pub struct Slab<T> {
    items: Vec<Option<T>>,
    /// The numbers that are free; the last one is given out next.
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Puts one in.
    pub fn insert(&mut self, item: T) -> u32 {
        match self.free.pop() {
            Some(at) => {
                self.items[at as usize] = Some(item);
                at
            }
            None => {
                self.items.push(Some(item));
                (self.items.len() - 1) as u32
            }
        }
    }
    /// Takes one out.
    pub fn remove(&mut self, at: u32) -> Option<T> {
        let item = self.items.get_mut(at as usize)?.take();
        if item.is_some() {
            self.free.push(at);
        }
        item
    }
    /// Looks at one.
    pub fn get(&self, at: u32) -> Option<&T> {
        self.items.get(at as usize)?.as_ref()
    }
    /// Changes one.
    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.items.get_mut(at as usize)?.as_mut()
    }
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }
    /// All of them, ascending by number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let numbered = self.items.iter().enumerate();
        numbered.filter_map(|(at, item)| Some((at as u32, item.as_ref()?)))
    }
}

impl<T: Serialize> Slab<T> {
    /// Puts each into a part by its number, and the free numbers, in the order in which they are given out again, into
    /// another one: what comes later gets the same number everywhere.
    pub fn save(&self, state: &mut State, part: &str, free: &str) {
        state.put_each(part, self.iter());
        state.put(free, &self.free);
    }
}

impl<T: DeserializeOwned> Slab<T> {
    /// What [`Slab::save`] put in.
    ///
    /// # Errors
    /// A part is missing or of another type, or a number is given twice or not at all.
    pub fn restore(state: &State, part: &str, free: &str) -> Result<Self, StateError> {
        let kept: Vec<(u32, T)> = state.each(part)?;
        let vacant: Vec<u32> = state.get(free)?;
        let mut items: Vec<Option<T>> = Vec::new();
        items.resize_with(kept.len() + vacant.len(), || None);
        for (at, item) in kept {
            match items.get_mut(at as usize) {
                Some(place @ None) => *place = Some(item),
                _ => {
                    return Err(StateError::of(
                        part,
                        format!("number {at} is given twice, or too large"),
                    ));
                }
            }
        }
        let mut seen = vec![false; items.len()];
        for at in &vacant {
            let is_free = items.get(*at as usize).is_some_and(Option::is_none);
            if !is_free || std::mem::replace(&mut seen[*at as usize], true) {
                return Err(StateError::of(free, format!("number {at} is not free, or free twice")));
            }
        }
        Ok(Self { items, free: vacant })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slab_comes_back_with_the_same_numbers_to_give_out() {
        let mut slab = Slab::default();
        (0..6).for_each(|i| _ = slab.insert(i * 10));
        [4, 0, 2].into_iter().for_each(|at| _ = slab.remove(at));
        let mut state = State::default();
        slab.save(&mut state, "items", "free");
        let mut back: Slab<i32> = Slab::restore(&state, "items", "free").unwrap();
        assert!(back.iter().eq(slab.iter()));
        for _ in 0..5 {
            assert_eq!(back.insert(1), slab.insert(1));
        }
    }

    #[test]
    fn numbers_that_are_missing_or_twice_there_are_refused() {
        let with = |items: &[(u32, i32)], free: &[u32]| {
            let mut state = State::default();
            state.put_each("items", items.iter().map(|(at, item)| (at, item)));
            state.put("free", free);
            Slab::<i32>::restore(&state, "items", "free").map(|slab| slab.len())
        };
        assert_eq!(with(&[(1, 5)], &[0]), Ok(1));
        for (items, free, part) in [
            (&[(1, 5)][..], &[][..], "items"),
            (&[(0, 5)], &[0], "free"),
            (&[(2, 5)], &[0, 0], "free"),
            (&[(0, 5)], &[u32::MAX], "free"),
        ] {
            assert_eq!(with(items, free).map_err(|e| e.part), Err(part.to_owned()));
        }
    }
}
