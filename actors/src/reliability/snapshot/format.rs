//! What a snapshot file looks like.
//!
//! ```text
//! magic           8 bytes, `WTsnap\r\n`
//! format version  2 bytes
//! header length   4 bytes
//! header          postcard
//! body length     8 bytes
//! body            postcard, then compressed, then encrypted, as the header says
//! checksum        4 bytes, CRC-32 of everything before
//! ```
//!
//! Numbers are little-endian. What is encrypted is bound to magic, version and header, so that no body can be moved under
//! another header. Version 1 knew neither compression nor attempts; its files are still read, and new ones are written as
//! version 2. A file of a version that is not known yet is refused by its number, whatever follows it.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::keys::{KeyId, Keys};

const MAGIC: &[u8; 8] = b"WTsnap\r\n";
/// The version that is written.
pub const VERSION: u16 = 2;
/// Magic, version and header length.
const PREFIX: usize = 14;
/// LZ4 makes nothing smaller than about a 255th.
const LARGEST_RATIO: u64 = 256;

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// A whole state.
    Full,
    /// The changes since the state in another snapshot.
    Incremental {
        /// The number of that one.
        over: u64,
    },
    /// What belongs to a snapshot.
    Manifest,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("a full state"),
            Self::Incremental { over } => write!(f, "the changes since snapshot {over}"),
            Self::Manifest => f.write_str("a manifest"),
        }
    }
}

/// What a file says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Header {
    /// What it holds.
    pub kind: Kind,
    /// The run that wrote it.
    pub run: u128,
    /// How often the run had gone back to a snapshot before; 0 in files of version 1, which did not say.
    pub attempt: u32,
    /// The number of the snapshot.
    pub number: u64,
    /// Whose state it is: a name that stays the same from run to run.
    pub participant: String,
    /// The hash of its settings and of the schema of its state: others cannot read it.
    pub fingerprint: u64,
    /// How many bytes the body has before it is compressed and encrypted.
    pub plain: u64,
    /// How the body is packed.
    pub packing: Packing,
    /// The key that it is encrypted with, if it is.
    pub key: Option<[u8; 8]>,
}

/// How a body is made smaller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// One LZ4 block.
    Lz4,
}

/// The header of version 1.
#[derive(Serialize, Deserialize)]
struct HeaderV1 {
    kind: Kind,
    run: u128,
    number: u64,
    participant: String,
    fingerprint: u64,
    key: Option<[u8; 8]>,
}

impl HeaderV1 {
    fn newer(self, plain: u64) -> Header {
        Header {
            kind: self.kind,
            run: self.run,
            attempt: 0,
            number: self.number,
            participant: self.participant,
            fingerprint: self.fingerprint,
            plain,
            packing: Packing::Plain,
            key: self.key,
        }
    }
}

/// What is wrong with a snapshot file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormatError {
    /// The file.
    pub file: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a snapshot file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// It is no snapshot file.
    Foreign,
    /// It ends too early.
    Truncated {
        /// How long it should be at least.
        needed: u64,
        /// How long it is.
        found: u64,
    },
    /// It goes on behind its end.
    TooLong {
        /// How long it should be.
        needed: u64,
        /// How long it is.
        found: u64,
    },
    /// It was written by a newer version.
    Newer {
        /// Its version.
        version: u16,
    },
    /// Its checksum is not that of its content.
    Damaged,
    /// It is encrypted, with a key that is not held.
    MissingKey {
        /// The key.
        key: KeyId,
        /// How many others are held.
        held: usize,
    },
    /// It is encrypted, and is not what was written with its key.
    Forged {
        /// The key.
        key: KeyId,
    },
    /// Its checksum is right, and yet it makes no sense.
    Malformed {
        /// What makes no sense.
        why: String,
    },
    /// It is a good file, but not the one that was looked for.
    Other {
        /// In what it differs.
        what: &'static str,
        /// What was looked for.
        expected: String,
        /// What it has.
        found: String,
    },
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "snapshot file `{}`: ", self.file)?;
        match &self.problem {
            Problem::Foreign => {
                f.write_str("it is no snapshot file (it does not begin like one); remove it from there")
            }
            Problem::Truncated { needed, found } => write!(
                f,
                "it is cut off ({found} bytes of {needed}); an older snapshot has to serve"
            ),
            Problem::TooLong { needed, found } => write!(
                f,
                "{} bytes follow its end; an older snapshot has to serve",
                found.saturating_sub(*needed)
            ),
            Problem::Newer { version } => write!(
                f,
                "it has version {version} of the format, and this program knows those up to {VERSION}; use a newer program"
            ),
            Problem::Damaged => {
                f.write_str("it is damaged (its checksum is not that of its content); an older snapshot has to serve")
            }
            Problem::MissingKey { key, held } => write!(
                f,
                "it is encrypted with key {key}, which is not among the {held} held; add that key to the key file"
            ),
            Problem::Forged { key } => write!(
                f,
                "it is not what was written with key {key}: it was tampered with, or another key has that name; \
                 an older snapshot has to serve"
            ),
            Problem::Malformed { why } => write!(f, "its checksum is right, but it makes no sense: {why}"),
            Problem::Other { what, expected, found } => write!(
                f,
                "it has another {what} ({found}, not {expected}); it belongs to another participant, snapshot or scenario"
            ),
        }
    }
}

impl std::error::Error for FormatError {}

/// What a file is written with.
#[derive(Clone, Copy, Debug)]
pub struct Writing<'a> {
    /// Whether bodies are compressed with LZ4. One that would not get smaller is left as it is.
    pub compress: bool,
    /// Encrypts with the newest of these, if there are any.
    pub keys: Option<&'a Keys>,
}

/// Writes a file. `packing`, `plain` and `key` of the header are filled in.
///
/// # Errors
/// The body cannot be serialised, or encryption was asked for without a key.
pub fn encode(header: Header, body: &impl Serialize, writing: Writing<'_>) -> Result<Vec<u8>, String> {
    encode_about(header, body, 0, writing)
}

/// The same, for a body of about so many bytes: memory for that is asked for at once.
///
/// # Errors
/// As [`encode`].
pub fn encode_about(
    mut header: Header,
    body: &impl Serialize,
    size: usize,
    writing: Writing<'_>,
) -> Result<Vec<u8>, String> {
    let mut body = postcard::to_extend(body, Vec::with_capacity(size)).map_err(|error| error.to_string())?;
    header.plain = body.len() as u64;
    header.packing = Packing::Plain;
    if writing.compress {
        let packed = lz4_flex::block::compress(&body);
        if packed.len() < body.len() {
            body = packed;
            header.packing = Packing::Lz4;
        }
    }
    let key = match writing.keys {
        Some(keys) => Some(keys.newest().ok_or("there is no key to encrypt with")?),
        None => None,
    };
    header.key = key.map(|id| id.0);
    let mut file = begin(VERSION, &header)?;
    if let (Some(keys), Some(id)) = (writing.keys, key) {
        body = keys.seal(id, &file, &body).ok_or("it could not be encrypted")?;
    }
    file.reserve_exact(body.len() + 12);
    file.extend_from_slice(&(body.len() as u64).to_le_bytes());
    file.extend_from_slice(&body);
    let checksum = crc32fast::hash(&file);
    file.extend_from_slice(&checksum.to_le_bytes());
    Ok(file)
}

/// Magic, version and header: what a body is bound to.
fn begin(version: u16, header: &impl Serialize) -> Result<Vec<u8>, String> {
    let header = postcard::to_stdvec(header).map_err(|error| error.to_string())?;
    let length = u32::try_from(header.len()).map_err(|_| "its header is too long".to_owned())?;
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&version.to_le_bytes());
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&header);
    Ok(file)
}

/// What a file holds, once all but its key has been looked at.
#[derive(Debug)]
pub struct Opened<'a> {
    file: &'a str,
    /// What it says of itself.
    pub header: Header,
    /// The format version that it was written with.
    pub version: u16,
    bound: &'a [u8],
    body: &'a [u8],
}

/// Looks at a file: its frame, checksum and header. `file` is its name, for errors.
///
/// # Errors
/// What is wrong with it.
pub fn open<'a>(file: &'a str, bytes: &'a [u8]) -> Result<Opened<'a>, FormatError> {
    inspect(bytes)
        .map(|(version, header, bound, body)| Opened {
            file,
            header,
            version,
            bound,
            body,
        })
        .map_err(|problem| FormatError {
            file: file.to_owned(),
            problem,
        })
}

type Inspected<'a> = (u16, Header, &'a [u8], &'a [u8]);

fn inspect(bytes: &[u8]) -> Result<Inspected<'_>, Problem> {
    let found = bytes.len() as u64;
    let cut = |needed: u64| Problem::Truncated { needed, found };
    let known = bytes.len().min(MAGIC.len());
    if bytes[..known] != MAGIC[..known] {
        return Err(Problem::Foreign);
    }
    let (prefix, rest) = bytes.split_at_checked(PREFIX).ok_or_else(|| cut(PREFIX as u64 + 12))?;
    let version = u16::from_le_bytes([prefix[8], prefix[9]]);
    if version > VERSION {
        return Err(Problem::Newer { version });
    }
    if version == 0 {
        return Err(Problem::Damaged);
    }
    let length = u32::from_le_bytes([prefix[10], prefix[11], prefix[12], prefix[13]]);
    let least = PREFIX as u64 + u64::from(length) + 12;
    let too_short = || cut(least);
    let (header, rest) = rest.split_at_checked(length as usize).ok_or_else(too_short)?;
    let (size, rest) = rest.split_first_chunk::<8>().ok_or_else(too_short)?;
    let size = u64::from_le_bytes(*size);
    let needed = least.saturating_add(size);
    if found > needed {
        return Err(Problem::TooLong { needed, found });
    }
    let body_and_checksum = usize::try_from(size).ok().and_then(|size| rest.split_at_checked(size));
    let (body, checksum) = body_and_checksum.ok_or_else(|| cut(needed))?;
    let checksum = checksum.first_chunk::<4>().ok_or_else(|| cut(needed))?;
    if u32::from_le_bytes(*checksum) != crc32fast::hash(&bytes[..bytes.len() - 4]) {
        return Err(Problem::Damaged);
    }
    let header = match version {
        1 => whole::<HeaderV1>(header).map(|old| old.newer(size)),
        _ => whole::<Header>(header),
    };
    let header = header.map_err(|why| Problem::Malformed {
        why: format!("its header: {why}"),
    })?;
    Ok((version, header, &bytes[..PREFIX + length as usize], body))
}

/// What is expected of a file.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Whose state.
    pub participant: &'a str,
    /// Of which snapshot.
    pub number: u64,
    /// With which settings.
    pub fingerprint: u64,
}

impl Opened<'_> {
    fn wrong(&self, problem: Problem) -> FormatError {
        FormatError {
            file: self.file.to_owned(),
            problem,
        }
    }

    /// Makes sure that it is the file that was looked for.
    ///
    /// # Errors
    /// In what it differs.
    pub fn expect(&self, expected: Expected<'_>) -> Result<(), FormatError> {
        let header = &self.header;
        let differs = |what, expected: String, found: String| Err(self.wrong(Problem::Other { what, expected, found }));
        if header.participant != expected.participant {
            differs(
                "participant",
                expected.participant.to_owned(),
                header.participant.clone(),
            )
        } else if header.number != expected.number {
            differs("number", expected.number.to_string(), header.number.to_string())
        } else if header.fingerprint != expected.fingerprint {
            let hex = |fingerprint: u64| format!("{fingerprint:016x}");
            differs(
                "settings fingerprint",
                hex(expected.fingerprint),
                hex(header.fingerprint),
            )
        } else {
            Ok(())
        }
    }

    /// What it holds.
    ///
    /// # Errors
    /// Its key is missing, it is not what was written, or it is no such value.
    pub fn body<T: DeserializeOwned>(&self, keys: &Keys) -> Result<T, FormatError> {
        let bytes;
        let mut body = self.body;
        if let Some(id) = self.header.key.map(KeyId) {
            if !keys.holds(id) {
                let held = keys.ids().count();
                return Err(self.wrong(Problem::MissingKey { key: id, held }));
            }
            let opened = keys.open(id, self.bound, body);
            bytes = opened.ok_or_else(|| self.wrong(Problem::Forged { key: id }))?;
            body = &bytes;
        }
        let unpacked;
        if self.header.packing == Packing::Lz4 {
            unpacked = unpack(body, self.header.plain).map_err(|why| self.wrong(Problem::Malformed { why }))?;
            body = &unpacked;
        }
        whole(body).map_err(|why| self.wrong(Problem::Malformed { why }))
    }
}

fn unpack(packed: &[u8], plain: u64) -> Result<Vec<u8>, String> {
    if plain > (packed.len() as u64 + 1).saturating_mul(LARGEST_RATIO) {
        return Err(format!("{} bytes cannot hold {plain}", packed.len()));
    }
    let size = usize::try_from(plain).map_err(|_| format!("{plain} bytes are too many for this machine"))?;
    let unpacked = lz4_flex::block::decompress(packed, size).map_err(|error| error.to_string())?;
    if unpacked.len() == size {
        Ok(unpacked)
    } else {
        Err(format!("it holds {} bytes and not {plain}", unpacked.len()))
    }
}

/// A value that takes all of the bytes.
fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::reliability::State;

    fn header() -> Header {
        Header {
            kind: Kind::Full,
            run: 7,
            attempt: 1,
            number: 12,
            participant: "per-minute".to_owned(),
            fingerprint: 0xfeed,
            plain: 0,
            packing: Packing::Plain,
            key: None,
        }
    }
    fn state(entries: usize) -> State {
        let entries: BTreeMap<usize, String> = (0..entries)
            .map(|key| (key, "the same again and again".repeat(3)))
            .collect();
        let mut state = State::default();
        state.put_each("by key", &entries);
        state
    }
    fn written(compress: bool, keys: Option<&Keys>) -> Vec<u8> {
        encode(header(), &state(20), Writing { compress, keys }).unwrap()
    }
    fn read(bytes: &[u8], keys: &Keys) -> Result<State, FormatError> {
        let opened = open("s/12/per-minute", bytes)?;
        opened.expect(Expected {
            participant: "per-minute",
            number: 12,
            fingerprint: 0xfeed,
        })?;
        opened.body(keys)
    }
    fn problem(bytes: &[u8]) -> String {
        read(bytes, &Keys::default()).unwrap_err().to_string()
    }
    /// The same file with a right checksum.
    fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
        let end = bytes.len() - 4;
        let checksum = crc32fast::hash(&bytes[..end]).to_le_bytes();
        bytes[end..].copy_from_slice(&checksum);
        bytes
    }

    #[test]
    fn what_was_written_is_read_in_every_packing() {
        let keys = Keys::one([3; 32]);
        let plain = written(false, None);
        for (compress, keyed) in [(false, false), (true, false), (false, true), (true, true)] {
            let bytes = written(compress, keyed.then_some(&keys));
            assert_eq!(read(&bytes, &keys), Ok(state(20)));
            assert_eq!(bytes.len() < plain.len() / 4, compress, "{}", bytes.len());
            let words = bytes.windows(8).any(|window| window == b"the same");
            assert_eq!(words, !keyed);
        }
    }

    #[test]
    fn what_does_not_get_smaller_is_not_compressed() {
        let bytes = encode(
            header(),
            &7_u8,
            Writing {
                compress: true,
                keys: None,
            },
        )
        .unwrap();
        assert_eq!(open("x", &bytes).unwrap().header.packing, Packing::Plain);
    }

    #[test]
    fn every_error_names_the_file_and_what_to_do() {
        let bytes = written(false, None);
        assert_eq!(
            problem(&bytes[..bytes.len() - 1]),
            format!(
                "snapshot file `s/12/per-minute`: it is cut off ({} bytes of {}); an older snapshot has to serve",
                bytes.len() - 1,
                bytes.len()
            )
        );
        assert!(problem(b"").contains("cut off (0 bytes"));
        assert!(problem(b"PK\x03\x04").contains("it is no snapshot file"));
        let mut longer = bytes.clone();
        longer.extend_from_slice(b"!!");
        assert!(problem(&longer).contains("2 bytes follow its end"));
        let mut flipped = bytes.clone();
        flipped[bytes.len() - 20] ^= 4;
        assert!(problem(&flipped).contains("it is damaged"));
        let mut newer = bytes.clone();
        newer[8] = 9;
        assert!(problem(&newer).contains("version 9 of the format, and this program knows those up to 2"));
        assert!(problem(&newer[..10 + 4]).contains("version 9"), "whatever follows");
        let mut huge = bytes.clone();
        huge[10..14].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(problem(&huge).contains("cut off"));
    }

    #[test]
    fn a_file_of_something_else_is_refused_by_what_differs() {
        let bytes = written(false, None);
        let opened = open("f", &bytes).unwrap();
        let right = Expected {
            participant: "per-minute",
            number: 12,
            fingerprint: 0xfeed,
        };
        assert_eq!(opened.expect(right), Ok(()));
        let wrong = |expected| opened.expect(expected).unwrap_err().to_string();
        assert!(
            wrong(Expected {
                participant: "joined",
                ..right
            })
            .contains("another participant (per-minute, not joined)")
        );
        assert!(wrong(Expected { number: 3, ..right }).contains("another number (12, not 3)"));
        assert!(
            wrong(Expected {
                fingerprint: 1,
                ..right
            })
            .contains("another settings fingerprint (000000000000feed,")
        );
        assert!(opened.body::<String>(&Keys::default()).is_err());
    }

    #[test]
    fn a_missing_key_and_a_forged_file_are_told_apart() {
        let (old, new) = (Keys::one([1; 32]), Keys::one([2; 32]));
        let bytes = written(true, Some(&old));
        let missing = read(&bytes, &new).unwrap_err().to_string();
        let id = old.newest().unwrap();
        assert!(
            missing.contains(&format!("key {id}, which is not among the 1 held")),
            "{missing}"
        );
        let mut forged = bytes.clone();
        let body = bytes.len() - 10;
        forged[body] ^= 1;
        let forged = read(&with_checksum(forged), &old).unwrap_err().to_string();
        assert!(forged.contains("tampered with"), "{forged}");

        let mut both = old;
        both.add([2; 32]);
        assert_eq!(both.newest(), new.newest());
        assert_eq!(read(&bytes, &both), Ok(state(20)), "rotation keeps old files readable");
    }

    #[test]
    fn no_header_can_be_put_before_another_body() {
        let keys = Keys::one([1; 32]);
        let mut bytes = written(false, Some(&keys));
        let name = bytes.windows(10).position(|window| window == b"per-minute").unwrap();
        bytes[name..name + 10].copy_from_slice(b"per-second");
        let bytes = with_checksum(bytes);
        let opened = open("f", &bytes).unwrap();
        assert_eq!(opened.header.participant, "per-second");
        assert!(matches!(
            opened.body::<State>(&keys).unwrap_err().problem,
            Problem::Forged { .. }
        ));
    }

    #[test]
    fn encryption_without_a_key_is_refused() {
        let keys = Keys::default();
        let writing = Writing {
            compress: false,
            keys: Some(&keys),
        };
        assert_eq!(
            encode(header(), &1_u8, writing),
            Err("there is no key to encrypt with".to_owned())
        );
    }

    proptest! {
        #[test]
        fn any_damage_is_an_error_and_never_a_wrong_state(
            compress: bool,
            keyed: bool,
            cut in prop::option::of(0_usize..3_000),
            flips in prop::collection::vec((0_usize..3_000, 1_u8..=255), 0..3),
            put_right: bool,
        ) {
            let keys = Keys::one([3; 32]);
            let bytes = written(compress, keyed.then_some(&keys));
            let mut damaged = bytes.clone();
            if let Some(cut) = cut {
                damaged.truncate(cut);
            }
            for (at, with) in flips {
                if let Some(byte) = damaged.get_mut(at) {
                    *byte ^= with;
                }
            }
            // Whoever forges a file can make its checksum right; then only a key protects what it holds.
            if put_right && damaged.len() >= 4 {
                damaged = with_checksum(damaged);
            }
            let result = read(&damaged, &keys);
            if damaged == bytes {
                prop_assert_eq!(result, Ok(state(20)));
            } else if keyed || !put_right {
                prop_assert!(result.is_err());
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), version in 0_u8..4) {
            let _ = open("any", &bytes);
            bytes.splice(0..0, [&MAGIC[..], &[version, 0, 20, 0, 0, 0]].concat());
            if bytes.len() >= 4 {
                let bytes = with_checksum(bytes);
                if let Ok(opened) = open("any", &bytes) {
                    let _ = opened.body::<State>(&Keys::default());
                }
            }
        }
    }
}
