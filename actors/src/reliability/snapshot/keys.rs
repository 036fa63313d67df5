//! Keys of encrypted snapshots.
//!
//! A key is never used on the data itself: each file has a data key of its own, derived from the key and the file's whole
//! header (run, attempt, number, participant and the rest) with HKDF-SHA256 (RFC 5869). No two files share a data key, so
//! the nonce can be the same for all. A file names the key that it was made with, and several can be held, so that files
//! from before a rotation stay readable.

use std::collections::BTreeMap;
use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key as DataKey, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;

/// The name of a key: derived from it, and of no use to find it out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The keys that a run holds: one to write with, and those that older files may need.
#[derive(Clone, Default)]
pub struct Keys {
    newest: Option<KeyId>,
    held: BTreeMap<KeyId, [u8; 32]>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("held", &self.held.keys())
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// One key.
    pub fn one(key: [u8; 32]) -> Self {
        let mut keys = Self::default();
        keys.add(key);
        keys
    }
    /// A key that protects nothing, for runs whose disk is simulated too: anyone who knows the seed can work it out.
    pub fn from_seed(seed: u64) -> Self {
        let mut key = [0; 32];
        expand(&seed.to_le_bytes(), b"wavetank: key of a simulated disk", &mut key);
        Self::one(key)
    }
    /// Reads keys as a file or an environment variable holds them: 64 hexadecimal digits a line, the one to write with
    /// first, older ones below; empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// The line that is no key, and why. The text itself is not repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Self::default();
        let lines = text.lines().map(str::trim).enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let key = digits(line).map_err(|why| format!("line {}: {why}", index + 1))?;
            let newest = keys.newest;
            keys.add(key);
            keys.newest = newest.or(keys.newest);
        }
        if keys.newest.is_none() {
            return Err("there is no key: 64 hexadecimal digits are needed".to_owned());
        }
        Ok(keys)
    }
    /// Holds one more key, and writes with it from now on.
    pub fn add(&mut self, key: [u8; 32]) {
        let id = id_of(&key);
        self.held.insert(id, key);
        self.newest = Some(id);
    }
    /// The key to write with.
    pub const fn newest(&self) -> Option<KeyId> {
        self.newest
    }
    /// Whether a key is held.
    pub fn holds(&self, id: KeyId) -> bool {
        self.held.contains_key(&id)
    }
    /// The names of all keys held.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.held.keys().copied()
    }

    /// Encrypts a body, bound to its header; `None` without that key.
    pub(super) fn seal(&self, id: KeyId, header: &[u8], body: &[u8]) -> Option<Vec<u8>> {
        let payload = Payload { msg: body, aad: header };
        self.cipher(id, header)?.encrypt(&Nonce::default(), payload).ok()
    }
    /// Decrypts a body; `None` without that key, and when body and header are not what was written with it.
    pub(super) fn open(&self, id: KeyId, header: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let payload = Payload {
            msg: sealed,
            aad: header,
        };
        self.cipher(id, header)?.decrypt(&Nonce::default(), payload).ok()
    }
    fn cipher(&self, id: KeyId, header: &[u8]) -> Option<ChaCha20Poly1305> {
        let mut data_key = [0; 32];
        expand(self.held.get(&id)?, header, &mut data_key);
        Some(ChaCha20Poly1305::new(&DataKey::from(data_key)))
    }
}

/// Fills `made`, at most 32 bytes, with what follows from a secret for one purpose.
fn expand(secret: &[u8], purpose: &[u8], made: &mut [u8]) {
    let derived = Hkdf::<Sha256>::new(Some(b"wavetank snapshot"), secret);
    // Refuses only what is longer than 255 hashes.
    let _ = derived.expand(purpose, made);
}

fn id_of(key: &[u8; 32]) -> KeyId {
    let mut id = [0; 8];
    expand(key, b"wavetank: name of the key", &mut id);
    KeyId(id)
}

fn digits(line: &str) -> Result<[u8; 32], String> {
    let mut key = [0; 32];
    if line.len() != 64 {
        return Err(format!(
            "a key is 64 hexadecimal digits, not {} characters",
            line.chars().count()
        ));
    }
    for (byte, pair) in key.iter_mut().zip(line.as_bytes().chunks_exact(2)) {
        let digit = |c: u8| char::from(c).to_digit(16);
        match (digit(pair[0]), digit(pair[1])) {
            (Some(high), Some(low)) => *byte = (high * 16 + low) as u8,
            _ => return Err("a key is 64 hexadecimal digits; there is another character".to_owned()),
        }
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";

    #[test]
    fn the_first_key_of_a_file_is_the_one_to_write_with() {
        let text = format!("# new\n{A}\n\n# old\n{}\n", "ff".repeat(32));
        let keys = Keys::parse(&text).unwrap();
        assert_eq!(keys.ids().count(), 2);
        assert_eq!(keys.newest(), Keys::parse(A).unwrap().newest());
    }

    #[test]
    fn what_is_no_key_is_named_by_its_line_and_never_shown() {
        let error = |text: &str| Keys::parse(text).unwrap_err();
        assert_eq!(error("# none"), "there is no key: 64 hexadecimal digits are needed");
        assert_eq!(
            error(&format!("{A}\nsecret")),
            "line 2: a key is 64 hexadecimal digits, not 6 characters"
        );
        let wrong = "x".repeat(64);
        assert!(!error(&wrong).contains(&wrong));
        assert!(error(&"é".repeat(32)).starts_with("line 1: a key is 64"));
        assert!(!format!("{:?}", Keys::parse(A).unwrap()).contains("0001020304"));
    }

    #[test]
    fn another_header_is_another_data_key() {
        let keys = Keys::parse(A).unwrap();
        let id = keys.newest().unwrap();
        let one = keys.seal(id, b"one", b"state").unwrap();
        assert_ne!(one[..5], keys.seal(id, b"two", b"state").unwrap()[..5]);
        assert_eq!(keys.open(id, b"one", &one).unwrap(), b"state");
        assert_eq!(keys.open(id, b"two", &one), None);
        assert_eq!(Keys::from_seed(1).open(id, b"one", &one), None);
    }
}
