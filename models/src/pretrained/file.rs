//! The file of a model: how it begins, what it says of itself, how it ends.
//!
//! Eight bytes of magic, two of the version of the format, eight of the length of the content, the content in
//! postcard, eight of an XXH3 checksum of all that comes before. Numbers are little-endian. Checks go from the
//! outside in, so that each kind of damage is named for what it is.

use super::Pretrained;
use crate::state;

const MAGIC: [u8; 8] = *b"WTMODEL\n";
const FORMAT: u16 = 1;
const HEAD: usize = 18;

/// Why a file is not the model that was asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LoadError {
    /// It is no file of a model.
    #[error("this is no model file: it does not begin with its mark")]
    Foreign,
    /// It is of a format that this program does not read.
    #[error("the file has format {found}, this program reads format {supported}")]
    Format {
        /// Format of the file.
        found: u16,
        /// The format that can be read.
        supported: u16,
    },
    /// It ends too early.
    #[error("the file is cut short: {expected} bytes expected, {got} there")]
    Truncated {
        /// Bytes that it should have.
        expected: u64,
        /// Bytes that it has.
        got: u64,
    },
    /// It goes on after its end.
    #[error("the file goes on after its end: {expected} bytes expected, {got} there")]
    TooLong {
        /// Bytes that it should have.
        expected: u64,
        /// Bytes that it has.
        got: u64,
    },
    /// Its bytes do not fit their checksum.
    #[error("the file is corrupt: its bytes do not fit their checksum")]
    Corrupt,
    /// Its bytes are as they were written, but make no model.
    #[error("the file makes no model: {0}")]
    Content(String),
    /// It is another model, or another version of it.
    #[error("the file holds `{name}` version `{version}`, asked for was `{asked}`")]
    OtherModel {
        /// Name in the file.
        name: String,
        /// Version in the file.
        version: String,
        /// Name and version that were asked for.
        asked: String,
    },
    /// Its features or its target are not those of the pipeline.
    #[error("the model does not fit the events: {0}")]
    OtherSchema(String),
}

pub(super) fn write(model: &Pretrained) -> Result<Vec<u8>, crate::ModelError> {
    let content = state::encode(model)?;
    let mut bytes = Vec::with_capacity(HEAD + content.len() + state::CHECKSUM);
    bytes.extend(MAGIC);
    bytes.extend(FORMAT.to_le_bytes());
    bytes.extend((content.len() as u64).to_le_bytes());
    bytes.extend(content);
    bytes.extend(xxhash_rust::xxh3::xxh3_64(&bytes).to_le_bytes());
    Ok(bytes)
}

pub(super) fn read(bytes: &[u8]) -> Result<Pretrained, LoadError> {
    let got = bytes.len() as u64;
    let least = (HEAD + state::CHECKSUM) as u64;
    let mark = bytes.len().min(MAGIC.len());
    if bytes[..mark] != MAGIC[..mark] || bytes.is_empty() {
        return Err(LoadError::Foreign);
    }
    let Some((head, _)) = bytes.split_first_chunk::<HEAD>() else {
        return Err(LoadError::Truncated { expected: least, got });
    };
    let found = u16::from_le_bytes([head[8], head[9]]);
    if found != FORMAT {
        return Err(LoadError::Format {
            found,
            supported: FORMAT,
        });
    }
    let mut length = [0; 8];
    length.copy_from_slice(&head[10..]);
    let expected = u64::from_le_bytes(length).saturating_add(least);
    if got < expected {
        return Err(LoadError::Truncated { expected, got });
    }
    if got > expected {
        return Err(LoadError::TooLong { expected, got });
    }
    let checked = state::checked(bytes).ok_or(LoadError::Corrupt)?;
    state::decode(&checked[HEAD..]).map_err(|e| LoadError::Content(e.to_string()))
}
