//! The steps of a transformation.

use std::collections::BTreeMap;

use arcstr::ArcStr;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Scalar;
use crate::schema::{FieldType, StreamId};
use crate::time::Span;

/// One step of a transformation. Exactly one key each.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TransformStep {
    /// Keep these fields, in this order.
    Project(Vec<String>),
    /// Leave these fields out.
    Drop(Vec<String>),
    /// Old name to new name.
    #[schemars(with = "BTreeMap<String, String>")]
    Rename(IndexMap<String, String>),
    /// Name to SQL expression over the fields so far, one after another; an existing field is replaced at its place, a new
    /// one stands behind the others.
    #[schemars(with = "BTreeMap<String, String>")]
    Derive(IndexMap<String, crate::query::Predicate>),
    /// One event for each item of this list field, in order; no item, no event (filtered). Records become fields, behind
    /// the others in place of the list; other items take the list's place.
    Flatten(String),
    /// Put fields into one record, which stands behind the other fields.
    Nest {
        /// The record's name.
        into: String,
        /// The fields that go in.
        fields: Vec<String>,
    },
    /// Put a record's fields behind the others, in place of the record.
    Unnest(String),
    /// Look fields up in a table; they stand behind the others.
    Enrich(Enrich),
    /// Read a text or bytes field as a message: its fields stand behind the others, in place of the message.
    Decode(Codec),
    /// Write the whole row as a message into a single field.
    Encode(Codec),
    /// Upgrade events of one version of the stream to another by declared renames, defaults (new fields behind the others)
    /// and removals.
    Upgrade(Upgrade),
    /// Take the event time from this field (a time, or microseconds since the epoch).
    SetStamp(String),
}

/// Looking fields up in a table.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrich {
    /// The table.
    pub table: String,
    /// Field of the event to column of the table: all must be equal.
    #[schemars(with = "BTreeMap<String, String>")]
    pub on: IndexMap<String, String>,
    /// The columns to add.
    pub fields: Vec<String>,
    /// What happens when there is no such row.
    #[serde(default)]
    pub missing: Missing,
    /// How long a look-up that asks the table keeps the operator busy: what comes in the meantime waits, and the result
    /// leaves when it is over. Events whose key has a null in it ask nobody.
    #[serde(default)]
    pub cost: Span,
    /// How many keys are remembered with what was found for them, also when that was nothing; the least recently used is
    /// forgotten first. What is remembered costs nothing.
    #[serde(default)]
    pub cache: u32,
}

/// What happens when a look-up finds nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// The added fields are null.
    #[default]
    Null,
    /// The event is filtered.
    Drop,
    /// The event has failed.
    Fail,
}

/// A message format and its fields.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Codec {
    /// The format.
    pub format: Format,
    /// The field that holds the message.
    pub field: String,
    /// Names and types of the message's fields, in order. Decoding needs them; encoding takes the row's where left out.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "BTreeMap<String, FieldType>")]
    pub fields: IndexMap<ArcStr, FieldType>,
}

/// Message formats.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A JSON object.
    Json,
    /// One line of CSV, in the order of the fields.
    Csv,
    /// An Avro datum (binary, no container) whose record schema follows from the fields, each a union with null.
    Avro,
}

/// From one version of a stream to the next.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// The version that comes out.
    pub to: StreamId,
    /// Old name to new name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub rename: IndexMap<String, String>,
    /// New fields and their values.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub default: IndexMap<ArcStr, Scalar>,
    /// Fields that the new version no longer has.
    #[serde(default)]
    pub remove: Vec<String>,
}
