//! The values of a record: numbers with a unit, floats that survive JSON, hashes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Span;

/// A number with its unit. In JSON `{"unit": "us", "value": 2500000}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "unit", content = "value", rename_all = "snake_case")]
pub enum Metric {
    /// How many.
    Count(u64),
    /// How long, in microseconds of simulated time.
    Us(Span),
    /// How much memory or data.
    Bytes(u64),
    /// Events per second of simulated time.
    PerSecond(Number),
    /// A share between 0 and 1.
    Share(Number),
    /// A number without a unit.
    Number(Number),
}

impl Metric {
    /// The bare number; spans in microseconds.
    pub const fn as_f64(self) -> f64 {
        match self {
            Self::Count(n) | Self::Bytes(n) => n as f64,
            Self::Us(span) => span.0 as f64,
            Self::PerSecond(x) | Self::Share(x) | Self::Number(x) => x.0,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(n) => f.pad(&n.to_string()),
            Self::Us(span) => span.fmt(f),
            Self::Bytes(n) => f.pad(&format!("{n} B")),
            Self::PerSecond(x) => f.pad(&format!("{x}/s")),
            Self::Share(x) => f.pad(&format!("{} %", Number(x.0 * 100.0))),
            Self::Number(x) => x.fmt(f),
        }
    }
}

/// A float that is compared bit by bit and goes to JSON and back whatever it is: what JSON has no number for is written
/// as `"nan"`, `"inf"` and `"-inf"`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Number(pub f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        (self.0.is_nan() && other.0.is_nan()) || self.0.to_bits() == other.0.to_bits()
    }
}
impl Eq for Number {}

impl fmt::Display for Number {
    /// At most four significant decimals, without trailing zeros; very large and very small ones with an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let x = self.0;
        let size = x.abs();
        let text = if x == 0.0 || !x.is_finite() {
            format!("{x}")
        } else if (1e-4..1e15).contains(&size) {
            let decimals = (3.0 - size.log10().floor()).clamp(0.0, 8.0) as usize;
            let text = format!("{x:.decimals$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text,
            }
        } else {
            format!("{x:.3e}")
        };
        f.pad(&text)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            x if x.is_finite() => s.serialize_f64(x),
            x if x.is_nan() => s.serialize_str("nan"),
            x => s.serialize_str(if x > 0.0 { "inf" } else { "-inf" }),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Text(String),
        }
        match Written::deserialize(d)? {
            Written::Number(x) => Ok(Self(x)),
            Written::Text(text) => match text.as_str() {
                "nan" => Ok(Self(f64::NAN)),
                "inf" => Ok(Self(f64::INFINITY)),
                "-inf" => Ok(Self(f64::NEG_INFINITY)),
                other => Err(serde::de::Error::custom(format!("`{other}` is no number"))),
            },
        }
    }
}

impl JsonSchema for Number {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Number".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{"type": "number"}, {"enum": ["nan", "inf", "-inf"]}],
            "description": "a number; what JSON has no number for is text",
        })
    }
}

/// A hash: hexadecimal digits, lower case. Of a trace it names the run, of a table its content.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct TraceHash(String);

impl TraceHash {
    /// The first seven digits, which tell runs apart at a glance.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
    /// All digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<u64> for TraceHash {
    fn from(hash: u64) -> Self {
        Self(format!("{hash:016x}"))
    }
}
impl From<u128> for TraceHash {
    fn from(hash: u128) -> Self {
        Self(format!("{hash:032x}"))
    }
}

impl fmt::Display for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for TraceHash {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        match text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
            true => Ok(Self(text)),
            false => Err(serde::de::Error::custom(format!(
                "`{text}` is no hash: hexadecimal digits, lower case"
            ))),
        }
    }
}
