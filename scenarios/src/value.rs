//! Values and rows. A row is a shared slice of values: passing it on or projecting it copies pointers, not text.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arcstr::ArcStr;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// The payload of an event: one value a slot, in the order of its schema.
pub type Row = Arc<[Value]>;

/// One value of a row.
///
/// `==`, [`Ord`] and [`Hash`] are structural and total (null equals null, every float has its place by
/// [`f64::total_cmp`], values of different types differ): they serve grouping and stated orders. The comparison of SQL
/// (null is unknown, 1 = 1.0) belongs to the evaluators.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub enum Value {
    /// Missing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// Text, shared.
    Text(ArcStr),
    /// A point in time.
    Time(Time),
    /// Raw bytes, such as an Avro datum.
    Bytes(Arc<Vec<u8>>),
    /// A list, whose items need not be of one type.
    List(#[serde(deserialize_with = "depth::one_deeper")] Arc<Vec<Value>>),
    /// A nested record: names and values, in order.
    Record(#[serde(deserialize_with = "depth::one_deeper")] Arc<Vec<(ArcStr, Value)>>),
}

/// Values that are read may lie within each other only so deep: bytes that say otherwise must not use up the stack.
mod depth {
    use std::cell::Cell;

    use serde::de::{Deserialize, Deserializer, Error};

    /// How deep. What is read from JSON is less deep than this.
    pub const DEEPEST: u32 = 128;

    thread_local! {
        /// How deep the value lies that is being read.
        static DEPTH: Cell<u32> = const { Cell::new(0) };
    }

    struct Level;

    impl Drop for Level {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }

    pub fn one_deeper<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<T, D::Error> {
        if DEPTH.get() == DEEPEST {
            return Err(D::Error::custom(format!(
                "values lie within each other more than {DEEPEST} deep"
            )));
        }
        DEPTH.set(DEPTH.get() + 1);
        let _level = Level;
        T::deserialize(from)
    }
}

impl Value {
    /// Text from anything that can become a shared string.
    pub fn text(text: impl Into<ArcStr>) -> Self {
        Self::Text(text.into())
    }
    /// The number that this is, whole or not; `None` for everything else.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(i) => Some(*i as f64),
            Self::Float(f) => Some(*f),
            _ => None,
        }
    }
    /// True for null.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
    /// What kind of value this is, as a schema and an error name it.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Time(_) => "time",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Record(_) => "record",
        }
    }
    /// Roughly how many bytes of memory this takes, its heap part included.
    pub fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Text(t) => t.len(),
                Self::Bytes(b) => b.len(),
                Self::List(l) => l.iter().map(Self::size).sum(),
                Self::Record(r) => r.iter().map(|(n, v)| n.len() + v.size()).sum(),
                _ => 0,
            }
    }
    const fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Text(_) => 4,
            Self::Time(_) => 5,
            Self::Bytes(_) => 6,
            Self::List(_) => 7,
            Self::Record(_) => 8,
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::List(a), Self::List(b)) => a.cmp(b),
            (Self::Record(a), Self::Record(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}
impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Value {}
impl Hash for Value {
    fn hash<H: Hasher>(&self, h: &mut H) {
        self.rank().hash(h);
        match self {
            Self::Null => {}
            Self::Bool(b) => b.hash(h),
            Self::Int(i) => i.hash(h),
            Self::Float(f) => f.to_bits().hash(h),
            Self::Text(t) => t.hash(h),
            Self::Time(t) => t.hash(h),
            Self::Bytes(b) => b.hash(h),
            Self::List(l) => l.hash(h),
            Self::Record(r) => r.hash(h),
        }
    }
}

impl std::fmt::Display for Value {
    /// As a person reads it in a table: null is `null`, text is bare, whole floats keep their `.0`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(i) => write!(f, "{i}"),
            Self::Float(x) => write!(f, "{x:?}"),
            Self::Text(t) => f.write_str(t),
            Self::Time(t) => write!(f, "{t}"),
            Self::Bytes(b) => {
                f.write_str("0x")?;
                b.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::List(l) => {
                f.write_str("[")?;
                for (i, v) in l.iter().enumerate() {
                    write!(f, "{}{v}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Record(r) => {
                f.write_str("{")?;
                for (i, (n, v)) in r.iter().enumerate() {
                    write!(f, "{}{n}: {v}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}

impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Self::Int(v)
    }
}
impl From<f64> for Value {
    fn from(v: f64) -> Self {
        Self::Float(v)
    }
}
impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Self::Bool(v)
    }
}
impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Self::Text(v.into())
    }
}
impl From<Time> for Value {
    fn from(v: Time) -> Self {
        Self::Time(v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(deep: usize) -> Vec<u8> {
        let list = postcard::to_stdvec(&Value::List(Arc::new(vec![]))).unwrap();
        let mut bytes = [list[0], 1].repeat(deep - 1);
        bytes.extend(list);
        bytes
    }

    #[test]
    fn values_within_values_are_read_to_a_depth_and_no_deeper() {
        let deepest = depth::DEEPEST as usize;
        assert!(postcard::from_bytes::<Value>(&nested(deepest)).is_ok());
        assert!(postcard::from_bytes::<Value>(&nested(deepest + 1)).is_err());
        assert!(postcard::from_bytes::<Value>(&nested(1_000_000)).is_err());
        assert!(
            postcard::from_bytes::<Value>(&nested(deepest)).is_ok(),
            "an error leaves nothing behind"
        );
    }
}
