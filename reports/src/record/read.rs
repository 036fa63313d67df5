//! Reading records back, and saying clearly why one cannot be read.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Record, SCHEMA};

/// Why a record cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is not JSON, or not a record; at its place.
    #[error("{origin}:{line}:{column}: this is not a record of a run: {message}")]
    Broken {
        /// Where the text came from.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A newer program wrote it.
    #[error(
        "{origin}: this record has schema {found}, and this program reads up to {SCHEMA}; \
         use the wavetank that wrote it, or a newer one"
    )]
    Newer {
        /// Where the text came from.
        origin: String,
        /// The version that it has.
        found: u64,
    },
    /// No version of the format was ever called that.
    #[error("{origin}: there is no schema {found}; records have schema 1 to {SCHEMA}")]
    NoSuchSchema {
        /// Where the text came from.
        origin: String,
        /// The version that it claims.
        found: u64,
    },
}

impl Record {
    /// Reads a record from JSON. `origin` is where the text came from, for errors.
    ///
    /// # Errors
    /// When the text is no record, with line and column, or when its schema is newer than this program.
    pub fn from_json(text: &str, origin: &str) -> Result<Self, ReadError> {
        read_versioned(text, origin)
    }
}

/// Reads something that carries the version of the record's format in `schema`.
pub(crate) fn read_versioned<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T, ReadError> {
    // The version first: whatever else a newer record holds, the version is what to talk about.
    #[derive(Deserialize)]
    struct Probe {
        schema: u64,
    }
    let broken = |e: serde_json::Error| {
        let message = e.to_string();
        let place = format!(" at line {} column {}", e.line(), e.column());
        ReadError::Broken {
            origin: origin.to_owned(),
            line: e.line().max(1),
            column: e.column().max(1),
            message: message.strip_suffix(&place).unwrap_or(&message).to_owned(),
        }
    };
    let Probe { schema } = serde_json::from_str(text).map_err(broken)?;
    let origin = || origin.to_owned();
    match schema {
        0 => Err(ReadError::NoSuchSchema {
            origin: origin(),
            found: schema,
        }),
        newer if newer > u64::from(SCHEMA) => Err(ReadError::Newer {
            origin: origin(),
            found: newer,
        }),
        _ => serde_json::from_str(text).map_err(broken),
    }
}
