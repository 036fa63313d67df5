//! Saving and restoring what was learned, bit for bit.
//!
//! The encoding is postcard's: floats as their eight bytes, lists in order, nothing that depends on a process.

use crate::ModelError;
use serde::{Serialize, de::DeserializeOwned};

/// The bytes of a learner, a detector, a metric or a gate.
///
/// # Errors
/// [`ModelError::State`] when the value cannot be encoded.
pub fn save<T: Serialize>(value: &T) -> Result<Vec<u8>, ModelError> {
    postcard::to_stdvec(value).map_err(|e| ModelError::State(e.to_string()))
}

/// The value that [`save`] made these bytes of.
///
/// # Errors
/// [`ModelError::State`] when the bytes end too early, are of another type, or go on after the value.
pub fn restore<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ModelError> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|e| ModelError::State(e.to_string()))?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(ModelError::State(format!("{} bytes are left over", rest.len())))
    }
}
