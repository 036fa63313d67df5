//! Saving and restoring what was learned, bit for bit.
//!
//! The encoding is postcard's: floats as their eight bytes, lists in order, nothing that depends on a process. A
//! checksum (XXH3, 64 bits) follows, so that bytes that a store has torn or flipped do not come back as a model.

use crate::ModelError;
use serde::{Serialize, de::DeserializeOwned};

/// Bytes of the checksum at the end.
pub(crate) const CHECKSUM: usize = 8;

/// The bytes of a learner, a detector, a metric or a gate.
///
/// # Errors
/// [`ModelError::State`] when the value cannot be encoded.
pub fn save<T: Serialize>(value: &T) -> Result<Vec<u8>, ModelError> {
    let mut bytes = encode(value)?;
    bytes.extend(xxhash_rust::xxh3::xxh3_64(&bytes).to_le_bytes());
    Ok(bytes)
}

/// The value that [`save`] made these bytes of.
///
/// # Errors
/// [`ModelError::State`] when the bytes end too early, do not fit their checksum, or are of another type.
pub fn restore<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ModelError> {
    decode(checked(bytes).ok_or_else(|| ModelError::State("the bytes do not fit their checksum".into()))?)
}

/// The bytes before the checksum, if they fit it.
pub(crate) fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (value, sum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    (xxhash_rust::xxh3::xxh3_64(value).to_le_bytes() == sum).then_some(value)
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, ModelError> {
    postcard::to_stdvec(value).map_err(|e| ModelError::State(e.to_string()))
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ModelError> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|e| ModelError::State(e.to_string()))?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(ModelError::State(format!("{} bytes are left over", rest.len())))
    }
}
