//! The numbers of a sequential convey: what a split writes on its events, and what its sub-streams tell the merge.

use std::hash::Hash;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::value::{Row, Value};

/// The place of an event in the order that a split has seen. Results keep the number of the event that caused them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sequence {
    /// The number, from 0 without gaps; see [`EPOCH`].
    pub number: u64,
    /// Which of the results of that number it is, from 0.
    pub part: u32,
    /// Whether it is the last result of that number.
    pub last: bool,
    /// The move of keys that must have been completed before this event is worked on; 0 for none.
    pub after: u32,
}

/// A split that has crashed cannot know its last number: each incarnation counts from the next multiple of this.
pub const EPOCH: u64 = 1 << 40;

/// What travels between a split, its sub-streams and their merge beside events. It keeps its place among them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Progress {
    /// From a split: all numbers below this have been given out.
    Given(u64),
    /// From a sub-stream: of the numbers that it was given, all below this are done.
    Done(u64),
    /// From a sub-stream: this number is done and has no result (a tombstone).
    Skip(u64),
    /// From a split to the old owner of keys: what was given before this is all that it gets of them.
    Give(Arc<Moving>),
    /// The state of the keys of a move, from the old owner by way of the split to the new one.
    State(Arc<Moved>),
}

/// A move of keys from one sub-stream to another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Moving {
    /// The number of the move, which no other move of the same split has; never 0.
    pub id: u32,
    /// The old owner.
    pub from: u32,
    /// The new owner.
    pub to: u32,
    /// The first number that the new owner may get.
    pub cut: u64,
    /// Which keys of the old owner.
    pub keys: Moves,
}

/// Which keys move.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Moves {
    /// These.
    Keys(Vec<Row>),
    /// This share of all: those whose hash with this seed, as a number from 0 to 1, is below it.
    Share(f64, u64),
}

impl Moving {
    /// Whether a key of the old owner moves.
    pub fn takes(&self, key: &[Value]) -> bool {
        match &self.keys {
            Moves::Keys(keys) => keys.iter().any(|moving| **moving == *key),
            Moves::Share(share, seed) => unit(key_hash(key, EPOCH + *seed)) < *share,
        }
    }
}

/// State on its way to its new owner: what an operator took out, key by key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Moved {
    /// Which move.
    pub moving: Arc<Moving>,
    /// Each key and its state, ascending by key.
    pub state: Vec<(Row, Value)>,
}

/// The hash of a key: XXH3 over its values, with a seed. The same in every process.
pub fn key_hash(key: &[Value], seed: u64) -> u64 {
    let mut hasher = Xxh3::with_seed(seed);
    key.iter().for_each(|value| value.hash(&mut hasher));
    hasher.digest()
}

/// A hash as a number in [0, 1).
fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// The place of the virtual node `point` of a sub-stream on the ring of a consistent hash.
pub fn ring_place(stream: u32, point: u32) -> u64 {
    key_hash(&[Value::Int(i64::from(stream)), Value::Int(i64::from(point))], EPOCH)
}
