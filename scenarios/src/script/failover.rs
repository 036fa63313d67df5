//! The settings of a two-node failover.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

/// Two copies of an operator, `NAME-a` and `NAME-b`, each on a node of its own name, that read the same log and work on
/// all of it. One of them, the primary, publishes its results; the other, the secondary, holds its own back, compares
/// them with what the primary says that it published, and takes over when the primary goes silent. A node `NAME` is the
/// model for those of the two that have none.
///
/// A conveyed operator has two copies of each of its sub-streams, `NAME-0-a`, `NAME-0-b`, …, each pair with an arbiter
/// `NAME-0.arbiter`; each copy deals the log for itself and takes what belongs to its sub-stream.
///
/// The defaults of `lease`, `deadline` and `renew` are those of leader election in Kubernetes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Failover {
    /// Who decides which of the two is the primary.
    pub elect: Elect,
    /// With an arbiter: how long a grant lasts. The arbiter gives no other before that time plus `drift_ppm` is over by its
    /// clock; the holder stops publishing before that time less `drift_ppm` is over by its own, counted from when it asked.
    pub lease: Span,
    /// With an arbiter: a holder that was granted nothing for so long by its clock stops publishing, even if its lease
    /// would last longer. Default: as long as the lease allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// With an arbiter: the holder asks again so often, and so does who wants to become it.
    pub renew: Span,
    /// By how many parts per million a clock may be wrong, either way. What is wrong by more can be primary for too long.
    pub drift_ppm: u32,
    /// With an arbiter: what it goes by when it has crashed.
    pub memory: Memory,
    /// How often each of the two tells the other that it is there.
    pub heartbeat: Span,
    /// When one of the two takes the other for gone.
    pub detector: Detector,
    /// With an arbiter: whether receivers refuse what was published under an older token than the largest they have seen.
    pub fencing: bool,
    /// What receivers do with a result that they have had.
    pub repeats: Repeats,
    /// When a result need not be held any longer.
    pub discard: Discard,
    /// The primary tells how far it has come after so many results …
    pub trim: u32,
    /// … and at the latest so long after the first that it has not told of, by its clock.
    pub trim_every: Span,
    /// How often each of the two puts what it keeps on its own disk, by its monotonic clock; one that was down begins with
    /// that. Default: whenever `[snapshot]` says (each copy by what it reads itself, and in the same format, always whole);
    /// never where there is none. A copy is not set back when others are, and nobody else when a copy is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Span>,
    /// Where one that was down and has nothing on its disk gets its state from.
    pub rejoin: Rejoin,
}

impl Default for Failover {
    fn default() -> Self {
        Self {
            elect: Elect::default(),
            lease: Span::from_secs(15),
            deadline: None,
            renew: Span::from_secs(2),
            drift_ppm: 200,
            memory: Memory::default(),
            heartbeat: Span::from_millis(500),
            detector: Detector::default(),
            fencing: true,
            repeats: Repeats::default(),
            discard: Discard::default(),
            trim: 1,
            trim_every: Span::from_secs(1),
            snapshot: None,
            rejoin: Rejoin::default(),
        }
    }
}

/// Who decides which of two copies is the primary.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Elect {
    /// A third actor, `NAME.arbiter` on a node of its own name: it grants a lease to one of them at a time, each grant
    /// under a token that is larger than all before it.
    #[default]
    Arbiter,
    /// Each by itself: it becomes the primary when its detector takes the other for gone. When both are there and cannot
    /// hear each other, both are primary (split brain), until they hear each other again: then the one that became it
    /// first steps down. There are no tokens.
    Detector,
}

/// What an arbiter goes by when it has crashed. The last token is on its disk in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// The lease is on its disk too, and goes on.
    #[default]
    Lease,
    /// It grants nothing before the longest lease that it may have given is over.
    Wait,
}

/// When one copy takes the other for gone, from its heartbeats.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Detector {
    /// When it has heard nothing for so long, by its monotonic clock.
    Fixed(Span),
    /// When silence as long as this has become unlikely, by the intervals between the heartbeats before it.
    Phi(Phi),
}

impl Default for Detector {
    fn default() -> Self {
        Self::Fixed(Span::from_secs(2))
    }
}

/// Phi-accrual detection, after Hayashibara and others, "The φ accrual failure detector" (2004): the intervals between
/// heartbeats are taken to be normally distributed, with the mean and deviation of the last `window` of them; φ is `−log10`
/// of the probability that a heartbeat comes later still.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Phi {
    /// The other is taken for gone from this φ on: at 8, one in a hundred million heartbeats would come later.
    pub threshold: f64,
    /// So many of the last intervals count, two at least. Before there are any, what counts is `heartbeat` less and plus a
    /// quarter.
    pub window: u32,
    /// The deviation is taken to be this at least, so that very even heartbeats do not make it nervous.
    pub min_deviation: Span,
    /// A pause that is nothing to worry about: added to the mean.
    pub pause: Span,
}

impl Default for Phi {
    fn default() -> Self {
        Self {
            threshold: 8.0,
            window: 100,
            min_deviation: Span::from_millis(100),
            pause: Span::ZERO,
        }
    }
}

/// What receivers do with a result that they have had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Repeats {
    /// Count it and drop it: they know the places of the results in the output, which are the same at both copies.
    #[default]
    Drop,
    /// Count it and take it once more.
    Pass,
}

/// When a result need not be held any longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Discard {
    /// When every receiver has told both copies that it has it.
    #[default]
    Confirmed,
    /// When the primary says that it has published it. What is then still on its way when the primary is lost, or is
    /// refused for its old token, is lost with it.
    Published,
}

/// Where a copy that was down gets its state from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rejoin {
    /// From the other copy, which is asked for it; from the log when that does not answer in the time after which it
    /// counts as gone.
    #[default]
    Transfer,
    /// From the log, read from its beginning.
    Log,
}

/// What the gap of service at a failover is made of, besides the settings. All in true time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GapParts {
    /// The longest way of a heartbeat.
    pub heartbeat: Span,
    /// The longest way to the arbiter and back.
    pub round_trip: Span,
    /// The longest way of a result to a receiver.
    pub link: Span,
    /// The longest time that the new primary works on what it holds, and on what it has not worked on yet.
    pub work: Span,
}

impl Failover {
    /// The most that a clock within `drift_ppm` of true time makes of `span`: rounded up.
    pub fn stretched(&self, span: Span) -> Span {
        let more = i128::from(span.micros()) * i128::from(self.drift_ppm);
        span + Span::from_micros((more + 999_999).div_euclid(1_000_000).min(i64::MAX.into()) as i64)
    }
    /// The least that a clock within `drift_ppm` of true time makes of `span`: rounded down.
    pub fn shrunk(&self, span: Span) -> Span {
        let less = i128::from(span.micros()) * i128::from(self.drift_ppm);
        span + -Span::from_micros((less + 999_999).div_euclid(1_000_000).min(i64::MAX.into()) as i64)
    }
    /// How long after the moment at which it asked a holder may publish, by its own clock. A reading of a clock is rounded
    /// down to a microsecond, hence the one less.
    pub fn holds(&self) -> Span {
        let holds = self.shrunk(self.lease) + -Span::UNIT;
        self.deadline.map_or(holds, |deadline| deadline.min(holds))
    }
    /// How long after a grant the arbiter grants nothing to another, by its own clock.
    pub fn keeps(&self) -> Span {
        self.stretched(self.lease) + Span::UNIT
    }
    /// The largest gap of service after a crash of the primary, whose secondary is there and up to date: until the first
    /// result that the new primary publishes reaches its receiver. `None` where the time-out of detection is no fixed one.
    ///
    /// It is the larger of the time-out of detection and what remains of the lease with the allowed drift (all of it, at
    /// worst), then a round trip to the arbiter, one way to the receiver, and the work on what is held.
    pub fn largest_gap(&self, parts: GapParts) -> Option<Span> {
        let Detector::Fixed(time_out) = self.detector else {
            return None;
        };
        let detected = parts.heartbeat + self.truly(time_out);
        let free = match self.elect {
            Elect::Arbiter => detected.max(self.truly(self.keeps()) + parts.round_trip) + parts.round_trip,
            Elect::Detector => detected,
        };
        Some(free + parts.link + parts.work)
    }
    /// The longest true time in which a clock within `drift_ppm` advances by `span`.
    fn truly(&self, span: Span) -> Span {
        let rate = 1_000_000 - i128::from(self.drift_ppm.min(999_999));
        let micros = (i128::from(span.micros()) * 1_000_000 + rate - 1).div_euclid(rate);
        Span::from_micros(micros.min(i64::MAX.into()) as i64) + Span::UNIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_left_out_has_the_stated_defaults() {
        let failover: Failover = toml::from_str("").unwrap();
        assert_eq!(failover, Failover::default());
        let phi: Failover = toml::from_str("detector = { phi = { threshold = 3.0 } }").unwrap();
        let Detector::Phi(phi) = phi.detector else {
            panic!("{phi:?}")
        };
        assert_eq!((phi.threshold, phi.window), (3.0, 100));
        assert!(toml::from_str::<Failover>("leese = \"5s\"").is_err());
    }

    #[test]
    fn the_gap_is_the_longer_wait_then_a_round_trip_a_link_and_the_work() {
        let settings = Failover {
            lease: Span::from_secs(5),
            drift_ppm: 0,
            detector: Detector::Fixed(Span::from_secs(2)),
            ..Failover::default()
        };
        let ms = Span::from_millis;
        let parts = GapParts {
            heartbeat: ms(1),
            round_trip: ms(10),
            link: ms(5),
            work: ms(100),
        };
        let gap = settings.largest_gap(parts).unwrap();
        assert_eq!(gap, Span::from_secs(5) + ms(10 + 10 + 5 + 100) + Span::from_micros(2));
        let alone = Failover {
            elect: Elect::Detector,
            ..settings
        };
        assert_eq!(
            alone.largest_gap(parts),
            Some(Span::from_secs(2) + ms(106) + Span::UNIT)
        );
    }

    proptest! {
        #[test]
        fn the_slowest_holder_stops_before_the_fastest_arbiter_gives_the_lease_to_another(
            lease in 1_000i64..100_000_000, drift_ppm in 0u32..200_000
        ) {
            let settings = Failover { lease: Span::from_micros(lease), drift_ppm, ..Failover::default() };
            let (slow, fast) = (1_000_000 - i128::from(drift_ppm), 1_000_000 + i128::from(drift_ppm));
            // Readings are rounded down: what a clock shows has passed is less than a microsecond off.
            let stops = (i128::from(settings.holds().micros()) + 1) * fast;
            let gives = (i128::from(settings.keeps().micros()) - 1) * slow;
            prop_assert!(stops <= gives, "{stops} {gives}");
        }
    }
}
