//! Time as integers of microseconds: [`Time`] is a point, [`Span`] a distance.
//!
//! Virtual time, wall clocks of nodes and event time share one axis whose zero is the Unix epoch, so that a recorded
//! file and a generated stream can meet in one scenario. A scenario that names no start begins at zero.

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: microseconds since the Unix epoch, negative before it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Time(i64);

/// A distance between two points in time, in microseconds; may be negative.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Span(i64);

impl Time {
    /// Before everything: a watermark that promises nothing.
    pub const MIN: Self = Self(i64::MIN);
    /// After everything: the watermark at the end of input.
    pub const MAX: Self = Self(i64::MAX);
    /// The Unix epoch, where a scenario starts unless it says otherwise.
    pub const ZERO: Self = Self(0);

    /// The point that many microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }
    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }
    /// The distance from `earlier` to this point, clamped at the ends of the axis.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
    /// The last grid point `offset + k·size` at or before this point (floor division, so negative times work too), clamped at
    /// the ends of the axis.
    ///
    /// `size` must be positive; the parsers of windows refuse anything else.
    pub const fn floor_to(self, size: Span, offset: Span) -> Self {
        Self(
            self.0
                .saturating_sub((self.0.wrapping_sub(offset.0)).rem_euclid(size.0)),
        )
    }
    /// Reads an RFC 3339 instant such as `2013-01-01T10:15:00Z`; anything finer than a microsecond is cut off.
    ///
    /// # Errors
    /// What is wrong with the text, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.parse::<jiff::Timestamp>()
            .map(|t| Self(t.as_microsecond()))
            .map_err(|e| e.to_string())
    }
}

impl Span {
    /// No distance at all.
    pub const ZERO: Self = Self(0);
    /// The longest distance there is.
    pub const MAX: Self = Self(i64::MAX);
    /// One microsecond, the unit of all times.
    pub const UNIT: Self = Self(1);

    /// A distance of that many microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }
    /// A distance of that many milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis * 1_000)
    }
    /// A distance of that many seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs * 1_000_000)
    }
    /// In microseconds.
    pub const fn micros(self) -> i64 {
        self.0
    }
    /// In seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    /// The nearest whole number of microseconds to `secs` seconds (ties away from zero), clamped to what fits; not a
    /// number is zero.
    pub fn from_secs_f64(secs: f64) -> Self {
        Self::from_micros_f64(secs * 1e6)
    }
    /// The nearest whole number of microseconds (ties away from zero), clamped to what fits; not a number is zero.
    pub fn from_micros_f64(micros: f64) -> Self {
        Self(libm::round(micros) as i64)
    }
    /// This distance times `factor`, rounded to whole microseconds.
    pub fn scale(self, factor: f64) -> Self {
        Self::from_micros_f64(self.0 as f64 * factor)
    }
    /// True below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Reads a duration: numbers with units, summed, such as `90s`, `1 min`, `1h30m`, `250ms`, `40us`, `-2s`.
    ///
    /// # Errors
    /// What is wrong with the text and how a duration is written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| {
            format!("`{text}` is not a duration: {why}; write a number with a unit, like \"250ms\", \"2s\", \"1h30m\"")
        };
        let trimmed = text.trim();
        let (negative, mut rest) = match trimmed.strip_prefix('-') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, trimmed),
        };
        if rest.is_empty() {
            return Err(bad("it is empty"));
        }
        let mut micros = 0i128;
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
                .unwrap_or(rest.len());
            let (number, after) = rest.split_at(digits);
            if number.is_empty() {
                return Err(bad("a number is missing"));
            }
            let after = after.trim_start();
            let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(letters);
            let unit: i128 = match unit {
                "us" | "µs" | "μs" | "usec" | "microsecond" | "microseconds" => 1,
                "ms" | "msec" | "millisecond" | "milliseconds" => 1_000,
                "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000,
                "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000,
                "h" | "hr" | "hour" | "hours" => 3_600_000_000,
                "d" | "day" | "days" => 86_400_000_000,
                "" => return Err(bad("the unit is missing")),
                other => return Err(bad(&format!("`{other}` is no unit (us, ms, s, m, h, d)"))),
            };
            let number = number.replace('_', "");
            let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
            let digits = |s: &str| if s.is_empty() { Some(0) } else { s.parse::<i128>().ok() };
            let scale = 10i128
                .checked_pow(fraction.len() as u32)
                .filter(|_| fraction.len() <= 18);
            let (Some(whole), Some(part), Some(scale)) = (digits(whole), digits(fraction), scale) else {
                return Err(bad("its number cannot be read"));
            };
            let part = part * unit;
            if part % scale != 0 {
                return Err(bad("it is finer than a microsecond"));
            }
            let sum = whole
                .checked_mul(unit)
                .and_then(|w| w.checked_add(part / scale))
                .and_then(|w| micros.checked_add(w));
            micros = sum.ok_or_else(|| bad("it is too long"))?;
            rest = after.trim_start();
        }
        i64::try_from(if negative { -micros } else { micros })
            .map(Self)
            .map_err(|_| bad("it is too long"))
    }
}

impl fmt::Display for Span {
    /// The shortest exact form: `1m30s`, `250ms`, `-2s`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut rest = self.0.unsigned_abs();
        for (unit, size) in [
            ("d", 86_400_000_000),
            ("h", 3_600_000_000),
            ("m", 60_000_000),
            ("s", 1_000_000),
            ("ms", 1_000),
            ("us", 1),
        ] {
            let whole = rest / size;
            rest %= size;
            if unit == "s" && whole > 0 && rest > 0 && rest.is_multiple_of(1_000) {
                return write!(f, "{whole}.{}s", format!("{:03}", rest / 1_000).trim_end_matches('0'));
            }
            if whole > 0 {
                write!(f, "{whole}{unit}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC; the ends of the axis are `-inf` and `+inf`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MIN => f.write_str("-inf"),
            Self::MAX => f.write_str("+inf"),
            Self(micros) => match jiff::Timestamp::from_microsecond(micros) {
                Ok(t) => write!(f, "{t}"),
                Err(_) => write!(f, "{micros}us"),
            },
        }
    }
}

impl Add<Span> for Time {
    type Output = Self;
    /// Saturates, so that the ends of the axis stay where they are.
    fn add(self, by: Span) -> Self {
        if self == Self::MIN || self == Self::MAX {
            self
        } else {
            Self(self.0.saturating_add(by.0))
        }
    }
}
impl Sub<Span> for Time {
    type Output = Self;
    fn sub(self, by: Span) -> Self {
        self + -by
    }
}
impl AddAssign<Span> for Time {
    fn add_assign(&mut self, by: Span) {
        *self = *self + by;
    }
}
impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}
impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}
impl Neg for Span {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

/// A span in a file is its text, so that units are always seen; in a binary format it is its microseconds.
impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            s.collect_str(self)
        } else {
            s.serialize_i64(self.micros())
        }
    }
}
impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with a unit, like \"250ms\", \"2s\" or \"1h30m\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text).map_err(E::custom)
            }
        }
        if !d.is_human_readable() {
            return i64::deserialize(d).map(Self::from_micros);
        }
        d.deserialize_str(Visitor)
    }
}
impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            s.collect_str(self)
        } else {
            s.serialize_i64(self.micros())
        }
    }
}
impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if !d.is_human_readable() {
            return i64::deserialize(d).map(Self::from_micros);
        }
        let text = String::deserialize(d)?;
        match text.as_str() {
            "-inf" => Ok(Self::MIN),
            "+inf" => Ok(Self::MAX),
            text => Self::parse(text).map_err(serde::de::Error::custom),
        }
    }
}
impl schemars::JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "description": "a duration with a unit: 250ms, 2s, 1h30m"})
    }
}
impl schemars::JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "description": "an RFC 3339 instant: 2013-01-01T10:15:00Z"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_in_every_unit_and_summed() {
        for (text, micros) in [
            ("1h30m", 5_400_000_000),
            ("1 min", 60_000_000),
            ("1.5s", 1_500_000),
            ("-2ms", -2_000),
            ("7us", 7),
        ] {
            assert_eq!(Span::parse(text), Ok(Span(micros)), "{text}");
        }
    }

    #[test]
    fn a_duration_without_unit_or_finer_than_a_microsecond_is_refused() {
        for text in ["5", "", "s", "1.0000001s", "1 parsec", "99999999999d", "-", "1..5s"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_grid_is_floored_for_negative_times_too() {
        let floor = |t, size, offset| Time(t).floor_to(Span(size), Span(offset)).micros();
        assert_eq!(
            [floor(-1, 10, 0), floor(-10, 10, 0), floor(9, 10, 3), floor(2, 10, 3)],
            [-10, -10, 3, -7]
        );
    }

    proptest! {
        #[test]
        fn a_printed_span_reads_back(micros in -10_000_000_000_000i64..10_000_000_000_000) {
            prop_assert_eq!(Span::parse(&Span(micros).to_string()), Ok(Span(micros)));
        }
    }
}
