//! Watermark generators, and how a stage combines the watermarks of its inputs.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::query::Predicate;
use crate::time::Span;

/// A watermark generator: what it goes by, how often it speaks, and when an input is left out.
///
/// Its `kind` is also the time domain of everything behind it. Event time, where nothing else is said: stamps are those of
/// the sources. A clock that events drive (playback) with `ascending`: the largest stamp is now. The engine's clock with
/// `arrival`: an event belongs to the window of the instant at which it reaches the generator (a wait in a mailbox behind
/// it does not count). The watermark is sent before each event, as all before now is over, and by a timer. So a window
/// that ends at a multiple of `every` closes exactly at its end; one that owns its end, at what is next. When the input
/// has ended the end follows at once, whatever the clock shows.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Watermark {
    /// What the watermark is worked out from.
    #[serde(default)]
    pub kind: WatermarkKind,
    /// `bounded`: the disorder `B`; the watermark is `M − B − 1 tick`, where `M` is the largest stamp seen. `punctuated`
    /// and `forward`: taken off the time that the mark states; default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Span>,
    /// `punctuated`: a condition in SQL. An event for which it is true is a mark; null and errors are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub when: Option<Predicate>,
    /// `punctuated`: the time that a mark states, in SQL: a time, or a whole number of microseconds since the epoch. A
    /// mark for which it is null or an error states nothing. Default: the event's stamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub time: Option<Predicate>,
    /// `percentile`: the share of recent events, above 0 and up to 1, whose delay the watermark allows for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// `percentile`: how many of the last events count. Default: 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<u32>,
    /// `percentile`: allows for this much delay at least. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<Span>,
    /// `percentile`: allows for no more delay than this. Default: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<Span>,
    /// An input that has been silent for this long, by the node's monotonic clock, is left out of the minimum; when all
    /// are silent, `valve.all_idle` says what becomes of the watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Span>,
    /// Where `M` is kept: whose clock says what is complete and what is late.
    #[serde(default)]
    pub scope: Scope,
    /// How often a watermark is sent: a time by the node's monotonic clock (`"200ms"`), or every so many events (`100`).
    /// Default: whenever it grows. `arrival`, which needs it: a time; one is sent whenever the node's wall clock shows a
    /// whole multiple of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Every>,
    /// What is sent is the watermark that was worked out this many turns of `every` ago (of events, where there is no
    /// `every`).
    #[serde(default)]
    pub back: u32,
    /// Inputs that run ahead of the others are held until the others have come up. Default: none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub align: Option<Align>,
}

/// What a watermark is worked out from. `M` is the largest stamp seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WatermarkKind {
    /// `M − behind − 1 tick`: no event is later than `behind`.
    #[default]
    Bounded,
    /// `M − 1 tick`: stamps never step back.
    Ascending,
    /// The largest time that a marked event has stated, less `behind`: the data say how far they are.
    Punctuated,
    /// `M − K − 1 tick`, `K` being the smallest delay that at least `share` of the last `over` events do not exceed, and
    /// within `least` and `most`. An event's delay is how far its stamp is behind the largest one seen when it comes, its
    /// own included.
    Percentile,
    /// The watermarks that come from upstream (a source's literal ones, an operator's), less `behind`: they are believed.
    Forward,
    /// The engine's clock: each event is stamped anew with what the node's wall clock shows when it comes, and the
    /// watermark is a tick behind that clock. Nothing is late, and windows close though no event comes. A clock that is
    /// set back stands still until it has come up again.
    Arrival,
}

/// How often a generator speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Every {
    /// By a timer of the node.
    Time(Span),
    /// When this many more events have come.
    Events(u64),
}

/// Inputs that run ahead are held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Align {
    /// An input whose own watermark is more than this ahead of the smallest is held: its link takes nothing more, and
    /// its sender stops.
    pub ahead: Span,
    /// How often that is looked at, by the node's monotonic clock. Default: at every event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
}

/// Where the largest stamp is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One for all inputs together.
    Input,
    /// One for each producer (source node), and they are combined by `valve`.
    #[default]
    Source,
    /// One for each key, as Bytewax and Quix keep it: windows with `group by` go by their key's own watermark,
    /// `M − behind − 1 tick`, where `M` is the largest stamp of that key that `where` has let in. It moves behind each of
    /// the key's events, and with nothing else: a key that falls silent keeps its windows open until the input ends. No
    /// watermark is passed on before the end, since an unknown key may come with any stamp; who reads the results and
    /// needs a watermark makes its own.
    Key,
}

/// How a stage with several inputs combines their watermarks: its generator where it has one, itself otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValveSettings {
    /// Which of the inputs' watermarks rules.
    pub combine: Combine,
    /// When an idle input that speaks again counts again.
    pub returns: Returns,
    /// What becomes of the watermark when all inputs are idle.
    pub all_idle: AllIdle,
}

/// Which of several watermarks rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Combine {
    /// The smallest: nothing is late because of another input.
    #[default]
    Min,
    /// The largest, as Spark can be set to: a slow input's events are late.
    Max,
}

/// When an idle input that speaks again counts again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Returns {
    /// At once: it holds the others back until it has come up.
    #[default]
    AtOnce,
    /// When its watermark has reached the last one that was sent, as Flink has it.
    CaughtUp,
}

/// What becomes of the watermark when all inputs are idle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllIdle {
    /// It stays.
    #[default]
    Stay,
    /// It goes to the largest of the inputs' watermarks, as Flink has it.
    Flush,
}

impl Watermark {
    /// Bounded disorder, a watermark whenever it grows, one for each source.
    pub fn bounded(behind: Span) -> Self {
        Self {
            behind: Some(behind),
            ..Self::default()
        }
    }
    /// Whether it goes by the engine's clock, and stamps events by it.
    pub fn by_clock(&self) -> bool {
        self.kind == WatermarkKind::Arrival
    }
    /// What is taken off the largest stamp or a mark; nothing where that is not set.
    pub fn behind(&self) -> Span {
        self.behind.unwrap_or_default()
    }
    /// How many of the last events a percentile looks at.
    pub fn over(&self) -> usize {
        self.over.unwrap_or(1000) as usize
    }
    /// Of so many delays, in ascending order, the how-manieth a percentile takes, from 1: the nearest rank, the share
    /// counted in whole millionths.
    pub fn rank(&self, delays: usize) -> usize {
        let share = (self.share.unwrap_or(1.0) * 1e6).round() as u128;
        ((share * delays as u128).div_ceil(1_000_000) as usize).clamp(1, delays.max(1))
    }
    /// The delay that a percentile allows for, within its bounds.
    pub fn within(&self, delay: Span) -> Span {
        let capped = delay.min(self.most.unwrap_or(Span::MAX));
        capped.max(self.least.unwrap_or_default())
    }
}

impl Serialize for Every {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Time(span) => span.serialize(s),
            Self::Events(events) => events.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Every;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"200ms\", or a number of events")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Every, E> {
                Span::parse(text).map(Every::Time).map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, events: i64) -> Result<Every, E> {
                let events = u64::try_from(events).map_err(|_| E::custom("a number of events is not negative"))?;
                Ok(Every::Events(events))
            }
            fn visit_u64<E: serde::de::Error>(self, events: u64) -> Result<Every, E> {
                Ok(Every::Events(events))
            }
        }
        d.deserialize_any(Visitor)
    }
}

impl JsonSchema for Every {
    fn schema_name() -> Cow<'static, str> {
        "Every".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "integer"],
            "description": "a duration with a unit, or a number of events"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rank_is_the_smallest_that_covers_the_share() {
        let of = |share| Watermark {
            share: Some(share),
            ..Watermark::default()
        };
        assert_eq!(of(0.9).rank(10), 9);
        assert_eq!(of(0.9).rank(11), 10);
        assert_eq!(of(0.001).rank(10), 1);
        assert_eq!(of(1.0).rank(7), 7);
    }

    #[test]
    fn a_turn_is_a_duration_or_a_number_of_events() {
        let read = |text: &str| toml::from_str::<Watermark>(text).map(|w| w.every);
        assert_eq!(read("every = \"2s\""), Ok(Some(Every::Time(Span::from_secs(2)))));
        assert_eq!(read("every = 100"), Ok(Some(Every::Events(100))));
        let refused = read("every = -1").expect_err("negative").to_string();
        assert!(refused.contains("not negative"), "{refused}");
        let refused = read("every = true").expect_err("a boolean").to_string();
        assert!(refused.contains("a number of events"), "{refused}");
    }
}
