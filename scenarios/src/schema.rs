//! Streams and the schemas of their events.

use std::fmt;
use std::str::FromStr;

use arcstr::ArcStr;
use serde::{Deserialize, Serialize};

/// A stream's name and version, written `StockStream/1.0`. All events of one stream share one schema.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId {
    /// The name, which queries may use after `from`.
    pub name: ArcStr,
    /// Major version: differs where readers of the older one break.
    pub major: u32,
    /// Minor version.
    pub minor: u32,
}

impl FromStr for StreamId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a stream; write name and version, like \"StockStream/1.0\"");
        let (name, version) = text.split_once('/').ok_or_else(bad)?;
        let (major, minor) = version.split_once('.').ok_or_else(bad)?;
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || !name.chars().all(fits) {
            return Err(bad());
        }
        let number = |s: &str| s.parse().map_err(|_| bad());
        Ok(Self {
            name: name.into(),
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}
impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.name, self.major, self.minor)
    }
}
impl Serialize for StreamId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
impl schemars::JsonSchema for StreamId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Stream".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[\\w-]+/\\d+\\.\\d+$", "description": "name and version"})
    }
}

/// The type of a field. `Any` is the type of what cannot be known before the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// Not known before the run.
    Any,
    /// `true` or `false`.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// A floating-point number of 64 bits.
    Float,
    /// Text.
    Text,
    /// A point in time.
    Time,
    /// Bytes.
    Bytes,
    /// A list.
    List,
    /// A nested record.
    Record,
}

/// A field of a schema.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Field {
    /// Its name, unique within the schema.
    pub name: ArcStr,
    /// Its type. Every field may be null.
    #[serde(rename = "type")]
    pub kind: FieldType,
}

/// The fields of a stream's events: field `i` describes slot `i` of every row.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Schema {
    /// In the order of the slots.
    pub fields: Vec<Field>,
}

impl Schema {
    /// A schema from names and types.
    pub fn new<N: Into<ArcStr>>(fields: impl IntoIterator<Item = (N, FieldType)>) -> Self {
        Self {
            fields: fields
                .into_iter()
                .map(|(name, kind)| Field {
                    name: name.into(),
                    kind,
                })
                .collect(),
        }
    }
    /// The slot of the field with that name: exact if there is one, else the only one that differs in case alone.
    pub fn slot(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|f| f.name == name).or_else(|| {
            let mut alike = self
                .fields
                .iter()
                .enumerate()
                .filter(|(_, f)| f.name.eq_ignore_ascii_case(name));
            match (alike.next(), alike.next()) {
                (Some((slot, _)), None) => Some(slot),
                _ => None,
            }
        })
    }
    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|f| f.name.as_str())
    }
}
