//! Times as the record keeps them: whole microseconds, typed, and written for people in one way everywhere.
//!
//! In JSON both are plain integers, in fields whose names end in `_us`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A point in virtual or event time: microseconds since the Unix epoch, negative before it. A scenario that names no
/// start begins at zero, so that a point is then the time since the start.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Time(pub i64);

/// A distance between two points, in microseconds; may be negative.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Span(pub i64);

/// Points closer to the epoch than this are read as time since the start of a scenario without dates.
const DATES_FROM: u64 = 1_000 * 86_400_000_000;

const UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

impl Time {
    /// Before everything.
    pub const MIN: Self = Self(i64::MIN);
    /// After everything.
    pub const MAX: Self = Self(i64::MAX);

    /// The distance from `earlier` to this point, clamped at the ends of the axis.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Time {
    /// Near the epoch the time since the start (`3m41.2s`), else the date in UTC (RFC 3339); the ends of the axis are
    /// `-inf` and `+inf`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MIN => f.pad("-inf"),
            Self::MAX => f.pad("+inf"),
            Self(us) if us.unsigned_abs() < DATES_FROM => Span(us).fmt(f),
            Self(us) => match jiff::Timestamp::from_microsecond(us) {
                Ok(date) => f.pad(&date.to_string()),
                Err(_) => f.pad(&format!("{us}us")),
            },
        }
    }
}

impl Span {
    /// To about three digits, for columns and pictures: `3m41s`, `2.35s`, `41.2ms`, `-7us`.
    pub fn short(self) -> String {
        let us = self.0.unsigned_abs();
        // The second unit shown decides how finely is rounded; below a minute it is a fraction of the first.
        let grain = match us {
            0..10_000 => 1,
            10_000..100_000 => 100,
            100_000..1_000_000 => 1_000,
            1_000_000..10_000_000 => 10_000,
            10_000_000..60_000_000 => 100_000,
            60_000_000..3_600_000_000 => 1_000_000,
            3_600_000_000..86_400_000_000 => 60_000_000,
            _ => 3_600_000_000,
        };
        let rounded = us.saturating_add(grain / 2) / grain * grain;
        format!(
            "{}{}",
            if self.0 < 0 && rounded > 0 { "-" } else { "" },
            write_out(rounded)
        )
    }
}

impl fmt::Display for Span {
    /// The shortest exact form: `1m30s`, `250ms`, `-2s`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        f.pad(&format!("{sign}{}", write_out(self.0.unsigned_abs())))
    }
}

/// Units from days down; seconds and milliseconds take what is finer as a fraction where that is exact.
fn write_out(mut rest: u64) -> String {
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, size) in UNITS {
        let whole = rest / size;
        rest %= size;
        if whole == 0 {
            continue;
        }
        let fraction = match unit {
            "s" if rest > 0 => Some(format!("{rest:06}")),
            "ms" if rest > 0 => Some(format!("{rest:03}")),
            _ => None,
        };
        text += &whole.to_string();
        if let Some(digits) = fraction {
            text += ".";
            text += digits.trim_end_matches('0');
            rest = 0;
        }
        text += unit;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_exactly_and_in_short() {
        for (us, exact, short) in [
            (0, "0s", "0s"),
            (7, "7us", "7us"),
            (-7, "-7us", "-7us"),
            (41_237, "41.237ms", "41.2ms"),
            (250_000, "250ms", "250ms"),
            (999_999, "999.999ms", "1s"),
            (2_345_678, "2.345678s", "2.35s"),
            (221_200_000, "3m41.2s", "3m41s"),
            (5_400_000_000, "1h30m", "1h30m"),
            (-90_061_000_000, "-1d1h1m1s", "-1d1h"),
        ] {
            assert_eq!(Span(us).to_string(), exact);
            assert_eq!(Span(us).short(), short);
        }
        assert_eq!(Span(i64::MIN).to_string(), "-106751991d4h54.775808s");
    }

    #[test]
    fn a_point_is_a_date_unless_the_scenario_has_none() {
        assert_eq!(Time(221_200_000).to_string(), "3m41.2s");
        assert_eq!(Time(1_357_035_300_000_000).to_string(), "2013-01-01T10:15:00Z");
        assert_eq!(Time::MIN.to_string(), "-inf");
        assert_eq!(Time(i64::MAX - 1).to_string(), format!("{}us", i64::MAX - 1));
    }

    #[test]
    fn width_and_alignment_apply_to_times() {
        assert_eq!(format!("[{:>6}]", Span(2_000_000)), "[    2s]");
    }
}
