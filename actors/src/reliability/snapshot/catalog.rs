//! Which snapshots there are, what belongs to each, and which of them can be gone back to.
//!
//! A snapshot is a set: a manifest names its parts with their sizes and checksums, and is written when all of them are
//! durable. A set without a manifest was never complete. A part that holds changes needs the part of an earlier set, down
//! to a full one: that *chain* has to be whole. What nothing that is kept refers to is deleted.

use std::collections::{BTreeMap, BTreeSet};

use arcstr::ArcStr;
use serde::{Deserialize, Serialize};
use wavetank_scenarios::Time;
use xxhash_rust::xxh3::xxh3_64;

use super::format::{self, Expected, FormatError, Header, Kind, Packing, Writing};
use super::keys::Keys;

/// The name by which manifests go in their headers and files.
pub const MANIFEST: &str = "manifest";

/// One part of a set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Whose.
    pub participant: ArcStr,
    /// The whole state, or changes.
    pub kind: Kind,
    /// The size of the file.
    pub bytes: u64,
    /// The XXH3 hash of the file.
    pub checksum: u64,
}

impl Entry {
    /// Of a file.
    pub fn of(participant: ArcStr, kind: Kind, file: &[u8]) -> Self {
        Self {
            participant,
            kind,
            bytes: file.len() as u64,
            checksum: xxh3_64(file),
        }
    }
    /// Whether a file is the one.
    pub fn is(&self, file: &[u8]) -> bool {
        self.bytes == file.len() as u64 && self.checksum == xxh3_64(file)
    }
}

/// What belongs to a set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The number of the set.
    pub number: u64,
    /// The attempt that it was taken in.
    pub attempt: u32,
    /// When it was begun, by the coordinator's clock, in microseconds.
    pub began: i64,
    /// Its parts, ascending by participant.
    pub parts: Vec<Entry>,
}

impl Manifest {
    /// When it was begun.
    pub const fn began(&self) -> Time {
        Time::from_micros(self.began)
    }
    fn part(&self, participant: &str) -> Option<&Entry> {
        self.parts.iter().find(|entry| entry.participant == participant)
    }
    /// As a file.
    ///
    /// # Errors
    /// Encryption was asked for without a key.
    pub fn write(&self, run: u128, writing: Writing<'_>) -> Result<Vec<u8>, String> {
        let header = Header {
            kind: Kind::Manifest,
            run,
            attempt: self.attempt,
            number: self.number,
            participant: MANIFEST.to_owned(),
            fingerprint: 0,
            plain: 0,
            packing: Packing::Plain,
            key: None,
        };
        format::encode(header, self, writing)
    }
    /// From a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(number: u64, file: &[u8], keys: &Keys) -> Result<Self, FormatError> {
        let name = manifest_file(number);
        let opened = format::open(&name, file)?;
        opened.expect(Expected {
            participant: MANIFEST,
            number,
            fingerprint: 0,
        })?;
        opened.body(keys)
    }
}

/// The name of a part's file.
pub fn part_file(number: u64, participant: &str) -> String {
    format!("{number:012}/{participant}.state")
}
/// The name of a manifest's file.
pub fn manifest_file(number: u64) -> String {
    format!("{number:012}/{MANIFEST}")
}
/// The number of the set that a file belongs to.
pub fn number_of(file: &str) -> Option<u64> {
    file.split_once('/')?.0.parse().ok()
}

/// What a participant goes back to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The number of the set.
    pub number: u64,
    /// The participant's parts, each with the number of its set: a full one first, then changes, the newest last.
    pub chain: Vec<(u64, Entry)>,
}

/// The complete sets.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    sets: BTreeMap<u64, Manifest>,
    /// Parts that turned out to be of no use: their set and participant.
    damaged: BTreeSet<(u64, ArcStr)>,
}

impl Catalog {
    /// A set is complete.
    pub fn add(&mut self, manifest: Manifest) {
        self.sets.insert(manifest.number, manifest);
    }
    /// A set, whether it can be used or not.
    pub fn set(&self, number: u64) -> Option<&Manifest> {
        self.sets.get(&number)
    }
    /// The newest complete set, whether it can be used or not.
    pub fn newest(&self) -> Option<&Manifest> {
        self.sets.last_key_value().map(|(_, manifest)| manifest)
    }
    /// A part is not to be used, nor what builds on it.
    pub fn distrust(&mut self, number: u64, participant: ArcStr) {
        self.damaged.insert((number, participant));
    }
    /// Distrusts every part whose file is not there in its full size, and says which. `files` are all files with sizes.
    pub fn compare(&mut self, files: &BTreeMap<String, u64>) -> Vec<(u64, String)> {
        let mut missing = Vec::new();
        for manifest in self.sets.values() {
            for entry in &manifest.parts {
                let file = part_file(manifest.number, &entry.participant);
                let why = match files.get(&file) {
                    Some(size) if *size == entry.bytes => continue,
                    Some(size) => format!("snapshot file `{file}` has {size} bytes and not {}", entry.bytes),
                    None => format!("snapshot file `{file}` is not there"),
                };
                missing.push((manifest.number, why));
                self.damaged.insert((manifest.number, entry.participant.clone()));
            }
        }
        missing
    }
    /// What a participant needs to go back to a set; `None` when something of it is missing or damaged.
    pub fn chain(&self, number: u64, participant: &str) -> Option<Target> {
        let mut chain = Vec::new();
        let mut at = number;
        loop {
            let entry = self.sets.get(&at)?.part(participant)?;
            if self.damaged.contains(&(at, entry.participant.clone())) {
                return None;
            }
            chain.push((at, entry.clone()));
            match entry.kind {
                Kind::Full => break,
                Kind::Incremental { over } if over < at => at = over,
                Kind::Incremental { .. } | Kind::Manifest => return None,
            }
        }
        chain.reverse();
        Some(Target { number, chain })
    }
    /// Whether all of these can go back to a set.
    pub fn intact<'a>(&self, number: u64, mut participants: impl Iterator<Item = &'a ArcStr>) -> bool {
        participants.all(|participant| self.chain(number, participant).is_some())
    }
    /// The newest set that all of these can go back to.
    pub fn newest_intact<'a>(&self, participants: impl Iterator<Item = &'a ArcStr> + Clone) -> Option<u64> {
        let mut newest_first = self.sets.keys().rev().copied();
        newest_first.find(|number| self.intact(*number, participants.clone()))
    }
    /// Forgets the sets beyond the newest `keep` that can be used, and names those that are still needed: these, what they
    /// build on, and damaged ones that are newer than the oldest of them.
    pub fn retain<'a>(&mut self, keep: usize, participants: impl Iterator<Item = &'a ArcStr> + Clone) -> BTreeSet<u64> {
        let newest_first = self.sets.keys().rev().copied();
        let usable = newest_first.filter(|number| self.intact(*number, participants.clone()));
        // While none can be used, all stay for a person to look at.
        let oldest = usable.take(keep.max(1)).last().unwrap_or(0);
        let mut needed: BTreeSet<u64> = self.sets.range(oldest..).map(|(number, _)| *number).collect();
        let mut look: Vec<u64> = needed.iter().copied().collect();
        while let Some(number) = look.pop() {
            for entry in self.sets.get(&number).into_iter().flat_map(|manifest| &manifest.parts) {
                if let Kind::Incremental { over } = entry.kind
                    && needed.insert(over)
                {
                    look.push(over);
                }
            }
        }
        self.sets.retain(|number, _| needed.contains(number));
        self.damaged.retain(|(number, _)| needed.contains(number));
        needed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: ArcStr = arcstr::literal!("a");
    const B: ArcStr = arcstr::literal!("b");

    fn set(number: u64, a_over: Option<u64>) -> Manifest {
        let part = |participant: ArcStr, over: Option<u64>| {
            let kind = over.map_or(Kind::Full, |over| Kind::Incremental { over });
            Entry::of(participant, kind, &number.to_le_bytes())
        };
        Manifest {
            number,
            attempt: 0,
            began: 0,
            parts: vec![part(A, a_over), part(B, None)],
        }
    }
    fn catalog(sets: &[(u64, Option<u64>)]) -> Catalog {
        let mut catalog = Catalog::default();
        for (number, over) in sets {
            catalog.add(set(*number, *over));
        }
        catalog
    }
    fn everyone() -> [ArcStr; 2] {
        [A, B]
    }

    #[test]
    fn a_chain_leads_from_a_full_part_to_the_newest() {
        let catalog = catalog(&[(1, None), (2, Some(1)), (3, Some(2))]);
        let numbers = |target: Target| target.chain.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        assert_eq!(catalog.chain(3, "a").map(numbers), Some(vec![1, 2, 3]));
        assert_eq!(catalog.chain(3, "b").map(numbers), Some(vec![3]));
        assert_eq!(catalog.chain(3, "c"), None);
        assert_eq!(catalog.chain(4, "a"), None);
    }

    #[test]
    fn a_damaged_base_spoils_what_builds_on_it_and_an_older_set_serves() {
        let mut catalog = catalog(&[(1, None), (2, None), (3, Some(2)), (4, Some(3))]);
        assert_eq!(catalog.newest_intact(everyone().iter()), Some(4));
        catalog.distrust(4, B);
        assert_eq!(catalog.newest_intact(everyone().iter()), Some(3));
        catalog.distrust(2, A);
        assert_eq!(catalog.newest_intact(everyone().iter()), Some(1));
        catalog.distrust(1, A);
        assert_eq!(catalog.newest_intact(everyone().iter()), None);
    }

    #[test]
    fn a_base_is_kept_as_long_as_something_kept_refers_to_it() {
        let mut catalog = catalog(&[(1, None), (2, Some(1)), (3, Some(2)), (4, None), (5, Some(4))]);
        assert_eq!(
            catalog.clone().retain(3, everyone().iter()),
            BTreeSet::from([1, 2, 3, 4, 5])
        );
        assert_eq!(catalog.clone().retain(2, everyone().iter()), BTreeSet::from([4, 5]));
        assert_eq!(catalog.retain(1, everyone().iter()), BTreeSet::from([4, 5]));
        assert!(catalog.set(3).is_none());
    }

    #[test]
    fn damaged_sets_do_not_count_among_those_kept() {
        let mut catalog = catalog(&[(1, None), (2, None), (3, None)]);
        catalog.distrust(3, A);
        assert_eq!(catalog.retain(1, everyone().iter()), BTreeSet::from([2, 3]));
        catalog.distrust(2, A);
        assert_eq!(
            catalog.retain(1, everyone().iter()),
            BTreeSet::from([2, 3]),
            "for a person to look at"
        );
    }

    #[test]
    fn files_that_are_missing_or_of_another_size_are_named() {
        let mut catalog = catalog(&[(1, None), (2, None)]);
        let files = BTreeMap::from([(part_file(1, "a"), 8), (part_file(1, "b"), 8), (part_file(2, "a"), 3)]);
        let why: Vec<String> = catalog.compare(&files).into_iter().map(|(_, why)| why).collect();
        assert_eq!(
            why,
            [
                "snapshot file `000000000002/a.state` has 3 bytes and not 8",
                "snapshot file `000000000002/b.state` is not there"
            ]
        );
        assert_eq!(catalog.newest_intact(everyone().iter()), Some(1));
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_under_its_own_number_only() {
        let manifest = set(7, Some(3));
        let keys = Keys::one([1; 32]);
        for keyed in [None, Some(&keys)] {
            let writing = Writing {
                compress: true,
                keys: keyed,
            };
            let file = manifest.write(1, writing).unwrap();
            assert_eq!(Manifest::read(7, &file, &keys), Ok(manifest.clone()));
            assert!(Manifest::read(8, &file, &keys).is_err());
        }
        assert_eq!(number_of(&manifest_file(7)), Some(7));
        assert_eq!(number_of("elsewhere"), None);
    }

    proptest! {
        #[test]
        fn what_is_kept_can_be_gone_back_to_exactly_as_before(
            overs in prop::collection::vec(prop::option::of(1_u64..4), 1..12),
            damaged in prop::collection::btree_set((1_u64..12, any::<bool>()), 0..4),
            keep in 1_usize..5,
        ) {
            let sets: Vec<(u64, Option<u64>)> = overs.iter().enumerate().map(|(index, back)| {
                let number = index as u64 + 1;
                (number, back.and_then(|back| number.checked_sub(back)).filter(|over| *over > 0))
            }).collect();
            let mut catalog = catalog(&sets);
            for (number, a) in damaged {
                catalog.distrust(number, if a { A } else { B });
            }
            let names = everyone();
            let usable: Vec<u64> = (1..=overs.len() as u64).rev().filter(|n| catalog.intact(*n, names.iter())).collect();
            let before = catalog.clone();
            let needed = catalog.retain(keep, names.iter());
            for number in usable.iter().take(keep) {
                prop_assert!(catalog.intact(*number, names.iter()));
                prop_assert_eq!(catalog.chain(*number, "a"), before.chain(*number, "a"));
            }
            prop_assert_eq!(catalog.newest_intact(names.iter()), usable.first().copied());
            // Nothing is kept without a reason: it is new enough, or something kept builds on it.
            let oldest = usable.get(keep.min(usable.len()).saturating_sub(1)).copied().unwrap_or(0);
            for number in &needed {
                let built_on = sets.iter().any(|(n, over)| needed.contains(n) && *over == Some(*number));
                prop_assert!(*number >= oldest || built_on);
            }
        }
    }
}
