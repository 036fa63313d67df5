//! The thirteen patterns: one descriptor each, which code, help and docs all read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::Metric;

/// A pattern of stream processing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the descriptor says what each is")]
pub enum Pattern {
    Transformation,
    Filter,
    WindowedAggregation,
    StreamJoin,
    TemporalEventOrdering,
    MachineLearner,
    SequentialConvey,
    BufferedEventOrdering,
    CourseCorrection,
    Watermark,
    Replay,
    PeriodicSnapshot,
    TwoNodeFailover,
}

/// The three families of patterns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// What is done with events.
    Processing,
    /// How it is done with many of them.
    Scaling,
    /// How it goes on when something breaks.
    Reliability,
}

impl Family {
    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Scaling => "scaling",
            Self::Reliability => "reliability",
        }
    }
}

/// Everything there is to know about a pattern before it is tried.
#[derive(Clone, Debug, Serialize)]
pub struct PatternDescriptor {
    /// Which.
    pub pattern: Pattern,
    /// As a file names it; also the folder of its scenarios in the library.
    pub name: &'static str,
    /// For a heading.
    pub title: &'static str,
    /// Its family.
    pub family: Family,
    /// What it does, in a sentence or two.
    pub summary: &'static str,
    /// The keys of an operator that are about it.
    pub settings: &'static [&'static str],
    /// The metrics to look at.
    pub metrics: &'static [Metric],
    /// The scenario of the library to start from.
    pub example: &'static str,
}

macro_rules! patterns {
    ($($pattern:ident $name:literal $title:literal $family:ident settings $settings:expr,
       metrics [$($metric:ident),*] example $example:literal $summary:literal;)*) => {
        /// Every pattern, by family.
        pub static PATTERNS: &[PatternDescriptor] = &[$(PatternDescriptor {
            pattern: Pattern::$pattern,
            name: $name,
            title: $title,
            family: Family::$family,
            summary: $summary,
            settings: &$settings,
            metrics: &[$(Metric::$metric),*],
            example: $example,
        }),*];

        impl Pattern {
            /// Its name in a file, and its folder in the library.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$pattern => $name),*
                }
            }
        }
    };
}

patterns! {
    Transformation "transformation" "Transformation" Processing
        settings ["transform", "query", "on_error"], metrics [Arrived, Emitted, Failed] example "loan-applications"
        "Each event becomes none, one or several others: fields projected, renamed, derived, nested, flattened or looked up, \
         another format, another version. Order and duplicates pass through.";
    Filter "filter" "Filter and threshold" Processing
        settings ["filter", "threshold", "change", "first", "query"], metrics [Arrived, Emitted, Filtered]
        example "alarm-with-hysteresis"
        "Lets through what a predicate says, or what crosses a threshold with hysteresis, changes too fast, or comes first \
         after silence. Null is not true.";
    WindowedAggregation "windowed-aggregation" "Windowed aggregation" Processing
        settings ["query", "watermark", "late", "horizon", "emit", "late_when", "late_by", "bounds", "align", "flush_at_end", "emit_empty", "result_stamp", "future"],
        metrics [Late, Held, EmitDelay, Lag, Corrections] example "orders-per-minute"
        "Counts, sums and other aggregates over windows of event time. A window answers when the watermark says that it is \
         complete; what comes after that is late.";
    StreamJoin "stream-join" "Stream join" Processing
        settings ["query", "join", "gather", "late", "horizon", "late_when", "late_by", "result_stamp", "flush_at_end"],
        metrics [Held, StateBytes, Late, Filtered, Incomplete, Asked] example "prices-and-mentions"
        "Pairs events of two or more streams by key and a bound on the distance of their times; every pair exactly once. Of \
         what has no partner an outer join says so, when none can come any more.";
    TemporalEventOrdering "temporal-event-ordering" "Temporal event ordering" Processing
        settings ["sequence", "query", "watermark", "late", "flush_at_end", "future"],
        metrics [Runs, TimedOut, Held, Late, EmitDelay] example "card-home-and-abroad"
        "Finds sequences of events of one key in event-time order, and their absence, by a non-deterministic automaton: steps, \
         loops, choices and what must not come, within a time. An absence is answered when the watermark says that nothing \
         can come any more.";
    MachineLearner "machine-learner" "Machine learner" Processing
        settings ["learn", "late", "on_error", "watermark"],
        metrics [Learned, Accuracy, BalancedAccuracy, Mae, Drifts, Switches, ModelVersion, AwaitingLabels, MissingLabels, Fallbacks, TimedOut]
        example "flights-gated"
        "Predicts for each event and learns when its label comes, with a model from a file, one that learns as it goes, or \
         both and a gate between them. What was learned is a part of its state.";
    SequentialConvey "sequential-convey" "Sequential convey" Scaling
        settings ["convey"], metrics [Queue, MergeWait, Gaps, GivenUp, MovedKeys] example "orders-by-store"
        "Numbers events, deals them to sub-streams by key, type, predicate or load, works on them side by side, and merges \
         the results in the order of the numbers. Keys move with their state while events flow.";
    BufferedEventOrdering "buffered-event-ordering" "Buffered event ordering" Scaling
        settings ["reorder", "late", "flush_at_end"],
        metrics [Slack, Wait, Unordered, Late, Gaps, Duplicates, Held] example "slack-enough"
        "Holds events back for a while and releases them in order: order is bought with waiting.";
    CourseCorrection "course-correction" "Course correction" Scaling
        settings ["emit", "horizon", "late", "compensate"], metrics [Corrections, EmitDelay, Held, Late]
        example "orders-on-a-dashboard"
        "Answers early and repairs later: each correction says which answer it replaces.";
    Watermark "watermark" "Watermark" Scaling
        settings ["watermark", "valve", "epoch"],
        metrics [Watermark, Lag, LagNow, Late, Paused, Epoch, HeldBack, GivenUp] example "idle-partition"
        "A mark among the events that says how far event time has come, so that operators know when to answer; or that \
         carries a number alone, so that everything before it is known to have been worked on.";
    Replay "replay" "Replay" Reliability
        settings ["broker", "replay", "delivery"],
        metrics [Kept, Backlog, Replayed, Expired, Gap, Repeated, Redelivered, Dead, Refused]
        example "orders-read-again"
        "Reads a broker's log again from the last safe point after a crash: from as far back as an event can still matter, or \
         from where a snapshot was cut. What was kept too short a time is a gap that is named.";
    PeriodicSnapshot "periodic-snapshot" "Periodic snapshot state persistence" Reliability
        settings ["snapshot"],
        metrics [Completed, Aborted, SnapshotTime, SnapshotBytes, SnapshotAge, Recoveries, RestoreTime, Damaged, Orphaned, AlignTime]
        example "weather-hourly"
        "Saves the states of all operators together, again and again, and goes on from the newest complete set of which nothing \
         is damaged after a crash.";
    TwoNodeFailover "two-node-failover" "Two-node failover" Reliability
        settings ["failover"],
        metrics [Failovers, ServiceGap, Overlap, NotRedundant, Pending, Repeated, Refused, Missing, Diverged]
        example "primary-killed"
        "Two copies on two nodes work on the same log; one publishes, the other holds its results back, compares, and takes \
         over when the first goes silent: by a lease and a token that an arbiter gives, so that there are never two.";
}

impl Pattern {
    /// What there is to know about it.
    pub fn descriptor(self) -> &'static PatternDescriptor {
        PATTERNS.iter().find(|d| d.pattern == self).unwrap_or(&PATTERNS[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thirteen_patterns_have_the_names_that_files_use() {
        assert_eq!(PATTERNS.len(), 13);
        for pattern in PATTERNS {
            assert_eq!(serde_json::to_value(pattern.pattern).expect("a name"), pattern.name);
            assert_eq!(pattern.pattern.descriptor().name, pattern.name);
        }
    }
}
