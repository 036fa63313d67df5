//! A bounded share of many things, chosen by what they are.
//!
//! Each thing has a hash of its identity. All are kept until there are more than the bound; then those stay whose hash ends
//! in one zero bit more, and so on. What is kept therefore depends on neither order nor chance, and an event that is kept
//! in one place is kept in all others with the same share.

use std::collections::BTreeMap;

/// A bounded share of things with keys.
#[derive(Clone, Debug)]
pub struct Sample<K, T> {
    most: usize,
    bits: u32,
    had: u64,
    kept: BTreeMap<K, (u64, T)>,
}

impl<K: Ord + Clone, T> Sample<K, T> {
    /// An empty one that keeps at most so many.
    pub const fn new(most: usize) -> Self {
        Self {
            most,
            bits: 0,
            had: 0,
            kept: BTreeMap::new(),
        }
    }

    /// Whether a thing with that hash has a place, as things stand.
    pub const fn takes(&self, hash: u64) -> bool {
        hash.trailing_zeros() >= self.bits
    }

    /// One thing more, kept if its hash says so.
    pub fn offer(&mut self, key: K, hash: u64, thing: T) {
        self.had += 1;
        if !self.takes(hash) {
            return;
        }
        self.kept.insert(key, (hash, thing));
        while self.kept.len() > self.most && self.bits < u64::BITS {
            self.bits += 1;
            let bits = self.bits;
            self.kept.retain(|_, (hash, _)| hash.trailing_zeros() >= bits);
        }
    }

    /// One thing more that has no place, see [`Sample::takes`]: for those who would rather not make it first.
    pub const fn skip(&mut self) {
        self.had += 1;
    }

    /// A thing that is kept.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut T> {
        self.kept.get_mut(key).map(|(_, thing)| thing)
    }

    /// Takes a thing out again, as if it had never been offered; nothing when it is not kept.
    pub fn remove(&mut self, key: &K) -> Option<T> {
        let (_, thing) = self.kept.remove(key)?;
        self.had -= 1;
        Some(thing)
    }

    /// How many were offered.
    pub const fn had(&self) -> u64 {
        self.had
    }
    /// How many are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }
    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
    /// The rule, for a person: `one in 8, by a hash of its identity`.
    pub fn rule(&self) -> String {
        format!("one in {}, by a hash of its identity", 1u64 << self.bits.min(63))
    }
    /// What is kept, by key.
    pub fn into_things(self) -> impl Iterator<Item = (K, T)> {
        self.kept.into_iter().map(|(key, (_, thing))| (key, thing))
    }
}

/// A hash of two numbers that tell things apart (the finaliser of MurmurHash3 by Austin Appleby, over their mix).
pub const fn hash(a: u64, b: u64) -> u64 {
    let mut x = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_add(0x2545_f491_4f6c_dd1d);
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_kept_up_to_the_bound_and_a_stated_share_beyond() {
        let mut sample = Sample::new(100);
        for n in 0..100u64 {
            sample.offer(n, hash(1, n), n);
        }
        assert_eq!((sample.len(), sample.had()), (100, 100));
        for n in 100..100_000u64 {
            sample.offer(n, hash(1, n), n);
        }
        assert!(sample.len() <= 100 && sample.len() > 20, "{}", sample.len());
        assert_eq!(sample.had(), 100_000);
        let share = sample.rule();
        assert!(
            share.starts_with("one in 1024") || share.starts_with("one in 2048"),
            "{share}"
        );
    }

    #[test]
    fn what_is_kept_depends_on_identity_alone() {
        let kept = |order: &mut dyn Iterator<Item = u64>| {
            let mut sample = Sample::new(50);
            order.for_each(|n| sample.offer(n, hash(7, n), ()));
            sample.into_things().map(|(key, ())| key).collect::<Vec<_>>()
        };
        assert_eq!(kept(&mut (0..5_000)), kept(&mut (0..5_000).rev()));
    }
}
