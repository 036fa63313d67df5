//! The chunks of a part, by key.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashSet;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Chunks by key. Those that are put in all at once, as those of a large state are, lie in one buffer: no memory is asked for
/// for each of them, and a copy shares it.
#[derive(Clone, Default, Debug)]
pub(super) struct Chunks {
    many: Arc<Many>,
    /// Those that were put in one by one; no key is in both.
    single: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Chunks that were put in all at once.
#[derive(Clone, Default, Debug)]
struct Many {
    /// Keys and chunks, one behind the other.
    buffer: Vec<u8>,
    /// Where they lie, ascending by key.
    places: Vec<Place>,
}

/// Where a key and its chunk lie in the buffer.
#[derive(Clone, Copy, Debug)]
struct Place {
    key: usize,
    chunk: usize,
    end: usize,
    /// The hash of both: where it is another one, so are they.
    hash: u64,
}

/// The hash of a key and its chunk as they lie one behind the other, and of where the chunk begins.
fn hash(both: &[u8], chunk: usize) -> u64 {
    xxh3_64_with_seed(both, chunk as u64)
}

impl Place {
    fn key(self, buffer: &[u8]) -> &[u8] {
        &buffer[self.key..self.chunk]
    }
    fn chunk(self, buffer: &[u8]) -> &[u8] {
        &buffer[self.chunk..self.end]
    }
    /// The same entry where it begins at `start`.
    const fn moved(self, start: usize) -> Self {
        Self {
            key: start,
            chunk: start + (self.chunk - self.key),
            end: start + (self.end - self.key),
            hash: self.hash,
        }
    }
}

impl Many {
    /// Puts an entry behind the others, wherever its key belongs.
    fn push<K: Serialize, V: Serialize>(&mut self, key: &K, value: Option<&V>) -> Result<(), postcard::Error> {
        let start = self.buffer.len();
        self.buffer = postcard::to_extend(key, std::mem::take(&mut self.buffer))?;
        let chunk = self.buffer.len();
        if let Some(value) = value {
            self.buffer = postcard::to_extend(value, std::mem::take(&mut self.buffer))?;
        }
        let end = self.buffer.len();
        self.places.push(Place {
            key: start,
            chunk,
            end,
            hash: hash(&self.buffer[start..end], chunk - start),
        });
        Ok(())
    }
    /// Sorts the places by key; of several with one key the last is left.
    fn sort(&mut self) {
        let buffer = &self.buffer;
        // The keys of a part begin alike: what tells them apart is behind that, and mostly the first bytes of it do.
        let mut alike = self.places.first().map_or(&[][..], |place| place.key(buffer));
        for place in &self.places {
            let same = place.key(buffer).iter().zip(alike).take_while(|(a, b)| a == b).count();
            alike = &alike[..same];
        }
        let first_bytes = |place: &Place| {
            let mut first = [0; 8];
            let rest = &place.key(buffer)[alike.len()..];
            first.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            u64::from_be_bytes(first)
        };
        // Numbers are moved about, and places only once.
        let mut order: Vec<(u64, usize)> = self.places.iter().map(first_bytes).zip(0..).collect();
        order.sort_unstable_by(|(a, x), (b, y)| {
            let key = |index: &usize| self.places[*index].key(buffer);
            a.cmp(b).then_with(|| key(x).cmp(key(y)).then(x.cmp(y)))
        });
        self.places = order.into_iter().map(|(_, index)| self.places[index]).collect();
        self.places.dedup_by(|later, earlier| {
            let again = later.key(buffer) == earlier.key(buffer);
            if again {
                *earlier = *later;
            }
            again
        });
    }
    /// Where a key is, or belongs.
    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        self.places.binary_search_by(|place| place.key(&self.buffer).cmp(key))
    }
    /// What of these and `newer` is left when the newer of two with one key counts, and those that are `gone` do not. Runs of
    /// places that nothing comes between are copied as a whole.
    fn overlaid(&self, newer: &Self, gone: impl Fn(&Place) -> bool) -> Self {
        let mut both = Self {
            buffer: Vec::with_capacity(self.buffer.len() + newer.buffer.len()),
            places: Vec::with_capacity(self.places.len() + newer.places.len()),
        };
        let mut next = 0;
        for place in &newer.places {
            let key = place.key(&newer.buffer);
            let before = next + self.ahead(next, key);
            both.copy(self, next..before);
            let replaced = self.places.get(before).is_some_and(|old| old.key(&self.buffer) == key);
            next = before + usize::from(replaced);
            if !gone(place) {
                let start = both.buffer.len();
                both.buffer.extend_from_slice(&newer.buffer[place.key..place.end]);
                both.places.push(place.moved(start));
            }
        }
        both.copy(self, next..self.places.len());
        both
    }
    /// How many places from `next` on have smaller keys. It is looked for in steps that double, because mostly it is near.
    fn ahead(&self, next: usize, key: &[u8]) -> usize {
        let rest = &self.places[next..];
        let smaller = |old: &Place| old.key(&self.buffer) < key;
        let mut reach = 1;
        while rest.get(reach - 1).is_some_and(smaller) {
            reach *= 2;
        }
        let known = reach / 2;
        known + rest[known..rest.len().min(reach)].partition_point(smaller)
    }
    /// Puts some places of another behind its own.
    fn copy(&mut self, of: &Self, range: Range<usize>) {
        let mut rest = &of.places[range];
        while let Some(first) = rest.first() {
            // As far as they lie one behind the other in the buffer too.
            let ends = rest.windows(2).take_while(|pair| pair[0].end == pair[1].key).count();
            let (run, others) = rest.split_at(ends + 1);
            let (start, end) = (self.buffer.len(), run.last().map_or(first.end, |place| place.end));
            self.buffer.extend_from_slice(&of.buffer[first.key..end]);
            self.places
                .extend(run.iter().map(|place| place.moved(start + place.key - first.key)));
            rest = others;
        }
    }
}

impl Chunks {
    /// Puts one in, in place of the one that the key has.
    pub fn put(&mut self, key: Vec<u8>, chunk: Vec<u8>) {
        self.remove(&key);
        self.single.insert(key, chunk);
    }
    /// Puts many in, in place of those that the keys have; of several with one key the last. Where there is nothing for a
    /// key, what it has is taken out.
    pub fn put_each<K: Serialize, V: Serialize>(
        &mut self,
        entries: impl IntoIterator<Item = (K, Option<V>)>,
    ) -> Result<(), postcard::Error> {
        let mut newer = Many::default();
        let mut gone = FxHashSet::default();
        for (key, value) in entries {
            if value.is_none() {
                gone.insert(newer.buffer.len());
            }
            newer.push(&key, value.as_ref())?;
        }
        newer.sort();
        if !self.single.is_empty() {
            for place in &newer.places {
                self.single.remove(place.key(&newer.buffer));
            }
        }
        self.many = if self.many.places.is_empty() && gone.is_empty() {
            Arc::new(newer)
        } else {
            Arc::new(self.many.overlaid(&newer, |place| gone.contains(&place.key)))
        };
        Ok(())
    }
    /// Takes one out.
    pub fn remove(&mut self, key: &[u8]) {
        self.single.remove(key);
        if let Ok(index) = self.many.find(key) {
            Arc::make_mut(&mut self.many).places.remove(index);
        }
    }
    /// The one with that key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        match self.many.find(key) {
            Ok(index) => self.many.places.get(index).map(|place| place.chunk(&self.many.buffer)),
            Err(_) => self.single.get(key).map(Vec::as_slice),
        }
    }
    /// What is here and not the same in `before`, and what is gone: each key, with what it has now.
    pub fn changes_since<'a>(&'a self, before: &'a Self, mut note: impl FnMut(&'a [u8], Option<&'a [u8]>)) {
        // Both ascend by key: one walk along the two of them. What has the same hash is the same, and is not looked at; that
        // two others have it by chance does not happen (one in 2^64 for each chunk).
        let (mut now, mut old) = (self.hashed().peekable(), before.hashed().peekable());
        loop {
            match (now.peek(), old.peek()) {
                (Some((hash, ..)), Some((same, ..))) if hash == same => {
                    now.next();
                    old.next();
                }
                (Some((_, key, _)), Some((_, gone, _))) if gone < key => {
                    note(gone, None);
                    old.next();
                }
                (Some((_, key, chunk)), Some((_, other, _))) => {
                    note(key, Some(chunk));
                    if key == other {
                        old.next();
                    }
                    now.next();
                }
                (Some((_, key, chunk)), None) => {
                    note(key, Some(chunk));
                    now.next();
                }
                (None, Some((_, gone, _))) => {
                    note(gone, None);
                    old.next();
                }
                (None, None) => return,
            }
        }
    }
    /// Hashes, keys and chunks, ascending by key.
    fn hashed(&self) -> impl Iterator<Item = (u64, &[u8], &[u8])> {
        let (places, buffer) = (&self.many.places, &self.many.buffer);
        let many = places.iter();
        let many = many.map(|place| (place.hash, place.key(buffer), place.chunk(buffer)));
        let single = self.single.iter().map(|(key, chunk)| {
            let both = [key.as_slice(), chunk.as_slice()].concat();
            (hash(&both, key.len()), key.as_slice(), chunk.as_slice())
        });
        let (mut many, mut single) = (many.peekable(), single.peekable());
        std::iter::from_fn(move || match (many.peek(), single.peek()) {
            (Some((_, a, _)), Some((_, b, _))) if b < a => single.next(),
            (Some(_), _) => many.next(),
            (None, _) => single.next(),
        })
    }
    /// Keys and chunks, ascending by key.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (places, buffer) = (&self.many.places, &self.many.buffer);
        let many = places.iter();
        let many = many.map(|place| (place.key(buffer), place.chunk(buffer)));
        let (mut many, mut single) = (many.peekable(), self.single.iter().peekable());
        std::iter::from_fn(move || match (many.peek(), single.peek()) {
            (Some((a, _)), Some((b, _))) if b.as_slice() < *a => {
                single.next().map(|(k, v)| (k.as_slice(), v.as_slice()))
            }
            (Some(_), _) => many.next(),
            (None, _) => single.next().map(|(k, v)| (k.as_slice(), v.as_slice())),
        })
    }
    /// How many bytes keys and chunks take.
    pub fn size(&self) -> usize {
        let many = self.many.places.iter().map(|place| place.end - place.key);
        let single = self.single.iter().map(|(key, chunk)| key.len() + chunk.len());
        many.sum::<usize>() + single.sum::<usize>()
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.many.places.len() + self.single.len()
    }
}

impl PartialEq for Chunks {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
impl Eq for Chunks {}

/// Bytes that are written at once: the same form as one by one.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(self.0)
    }
}

impl Serialize for Chunks {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.len()))?;
        for (key, chunk) in self.iter() {
            map.serialize_entry(&Bytes(key), &Bytes(chunk))?;
        }
        map.end()
    }
}
impl<'de> Deserialize<'de> for Chunks {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let single = BTreeMap::deserialize(d)?;
        Ok(Self {
            single,
            ..Self::default()
        })
    }
}
