//! Keyed draws: every random decision is a hash of what it decides, never the next number of a shared generator.
//!
//! A draw is keyed by (seed, who decides, purpose, place, producer, number, attempt). Adding a fault, a link or a source
//! therefore leaves all other decisions as they were; a decision with a higher rate hits a superset; and a run can be
//! shrunk one fault at a time while the same waves keep coming.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::SeedableRng;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The part of a key that is the same for many decisions, hashed once: seed, decider, purpose and place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DrawKey(u64);

impl DrawKey {
    /// The key of the decisions that `decider` (a fault's id, or a source's or link's name) takes for one `purpose`
    /// (such as `hit` or `amount`) at one `place` (a link or an actor by name).
    pub fn new(seed: u64, decider: &str, purpose: &str, place: &str) -> Self {
        let mut text = Vec::with_capacity(decider.len() + purpose.len() + place.len() + 24);
        for part in [decider, purpose, place] {
            text.extend_from_slice(&(part.len() as u64).to_le_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        Self(xxh3_64_with_seed(&text, seed))
    }
    /// A generator for the decision about one identity. `producer` is the hash of the producer's *name*
    /// ([`name_key`]), so that another source in the scenario shifts nothing.
    pub fn rng(self, producer: u64, number: u64, attempt: u32) -> SplitMix64 {
        let mut bytes = [0u8; 20];
        bytes[..8].copy_from_slice(&producer.to_le_bytes());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        bytes[16..].copy_from_slice(&attempt.to_le_bytes());
        SplitMix64::seed_from_u64(xxh3_64_with_seed(&bytes, self.0))
    }
    /// A number in `[0, 1)` for the decision about one identity: the identity is hit when it lies below the rate.
    pub fn unit(self, producer: u64, number: u64, attempt: u32) -> f64 {
        use rand::Rng as _;
        (self.rng(producer, number, attempt).next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }
    /// A number in `[0, 1)` for the decision about a slot of time, such as the k-th period of a repeated fault.
    pub fn slot(self, slot: u64) -> f64 {
        self.unit(u64::MAX, slot, 0)
    }
}

/// The key of a producer's name.
pub fn name_key(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}
