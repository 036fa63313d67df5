//! The result of a benchmark: how long everything took in each case, merged over seeds or repetitions.
//!
//! On virtual time all spans are exact and the same on every machine; what a run cost on this machine stands beside them
//! and is never compared. On the machine's clock the spans are what the machine made of the plan: the latency of a result
//! counts from the moment for which its latest event was planned, so that a source that falls behind hides nothing (Gil
//! Tene's "coordinated omission"); what it is from the moment of sending is measured beside it.

mod compare;
mod curve;
mod render;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use compare::{Change, Comparison, Judgement};

use crate::record::{Histograms, Metric, Record, TraceHash, Verdict};
use crate::time::Span;

/// The version of the format that this program writes, and the newest that it reads.
pub const BENCH_SCHEMA: u32 = 1;

/// A benchmark.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Bench {
    /// Version of this format: [`BENCH_SCHEMA`].
    pub bench: u32,
    /// The clock that was followed.
    pub clock: Clock,
    /// What was left out at the beginning of each run.
    #[serde(default, rename = "warm_up_us")]
    pub warm_up: Span,
    /// Settings that were changed in all cases, each as `key=value`. A case is compared with the one of the same name,
    /// whatever was changed in both: that is how a change is measured.
    #[serde(default)]
    pub overrides: Vec<String>,
    /// What is shown of each case side by side, as expectations name it.
    #[serde(default)]
    pub show: Vec<String>,
    /// What was measured.
    pub cases: Vec<Case>,
}

/// Which clock runs follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Virtual time: spans are exact.
    Virtual,
    /// The machine's: spans are what this machine did, and differ from run to run.
    Real,
}

/// A scenario with certain settings, at one load.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Case {
    /// The scenario.
    pub scenario: String,
    /// Settings that tell it from other cases, each as `key=value`.
    #[serde(default)]
    pub set: Vec<String>,
    /// Events a second of all sources together, where that was asked for.
    #[serde(default)]
    pub load: Option<f64>,
    /// The runs: one for each seed and repetition.
    pub trials: Vec<Trial>,
    /// The distributions of all runs together.
    pub histograms: Histograms,
}

/// One run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Trial {
    /// Its seed.
    pub seed: u64,
    /// How many events the sources sent.
    pub events: u64,
    /// How much virtual time went by; on the machine's clock that is how long it took, times the speed.
    #[serde(rename = "simulated_us")]
    pub simulated: Span,
    /// What it cost on this machine, judging included.
    #[serde(rename = "wall_us")]
    pub wall: Span,
    /// What the judge says; nothing where operators were not held to their models.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// The hash of its trace; empty where none was made.
    pub trace_hash: TraceHash,
    /// Statistics of its distributions, as expectations name them: `dashboard.latency.p99`.
    #[serde(default)]
    pub spans: BTreeMap<String, Span>,
    /// What was asked for of it, in the order of [`Bench::show`].
    #[serde(default)]
    pub shown: Vec<Option<Metric>>,
}

/// The statistics of a distribution that trials are compared by.
const COMPARED: [&str; 3] = ["p50", "p99", "max"];

impl Trial {
    /// What is kept of a run; its verdict where it was judged in full.
    fn of(record: &Record, judged: bool, shown: Vec<Option<Metric>>) -> Self {
        let each = record.histograms.iter().flat_map(|(of, histograms)| {
            histograms.iter().flat_map(move |(metric, histogram)| {
                let name = move |statistic: &str| format!("{of}.{metric}.{statistic}");
                let read = |statistic: &&str| Some((name(statistic), histogram.statistic(statistic)?));
                COMPARED.iter().filter_map(read).collect::<Vec<_>>()
            })
        });
        Self {
            seed: record.seed,
            events: record.events,
            simulated: record.simulated,
            wall: record.wall,
            verdict: judged.then_some(record.verdict),
            trace_hash: record.trace_hash.clone(),
            spans: each.collect(),
            shown,
        }
    }
    /// Events a second of wall-clock time.
    pub fn throughput(&self) -> f64 {
        self.events as f64 * 1e6 / (self.wall.0.max(1)) as f64
    }
}

impl Case {
    /// A case of which nothing has been run.
    pub fn new(scenario: impl Into<String>, set: Vec<String>, load: Option<f64>) -> Self {
        Self {
            scenario: scenario.into(),
            set,
            load,
            trials: Vec::new(),
            histograms: Histograms::new(),
        }
    }
    /// Takes a run in, `judged` against models and truth or not.
    pub fn add(&mut self, record: &Record, judged: bool, shown: Vec<Option<Metric>>) {
        self.trials.push(Trial::of(record, judged, shown));
        for (of, histograms) in &record.histograms {
            let all = self.histograms.entry(of.clone()).or_default();
            for (metric, histogram) in histograms {
                all.entry(metric.clone()).or_default().merge(histogram);
            }
        }
    }
    /// What it is called: the scenario, with what was changed.
    pub fn name(&self) -> String {
        let load = self
            .load
            .map(|load| format!("{}/s", crate::text::short_count(load.round() as u64)));
        let more: Vec<String> = self.set.iter().cloned().chain(load).collect();
        if more.is_empty() {
            self.scenario.clone()
        } else {
            format!("{} ({})", self.scenario, more.join(", "))
        }
    }
    /// Whether the distribution of a metric is of what a person waits for at a sink.
    fn end_to_end(metric: &str) -> bool {
        metric == "latency"
    }
    /// The latency from plan to sink at its 99th percentile, of the slowest sink.
    pub fn slowest(&self) -> Option<Span> {
        let all = self.histograms.values().flatten();
        let latencies = all.filter(|(metric, _)| Self::end_to_end(metric));
        latencies.filter_map(|(_, histogram)| histogram.percentile(99.0)).max()
    }
}

impl Bench {
    /// A benchmark without cases.
    pub const fn new(clock: Clock, warm_up: Span, show: Vec<String>) -> Self {
        Self {
            bench: BENCH_SCHEMA,
            clock,
            warm_up,
            overrides: Vec::new(),
            show,
            cases: Vec::new(),
        }
    }
    /// As JSON, ending with a line break.
    ///
    /// # Errors
    /// When a number cannot be written.
    pub fn to_json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
    /// Reads what [`Bench::to_json`] wrote. `origin` is where the text came from, for errors.
    ///
    /// # Errors
    /// It is not a benchmark (said with line and column), or one of a newer version.
    pub fn from_json(text: &str, origin: &str) -> Result<Self, String> {
        // The version first: whatever else a newer one holds, the version is what to talk about.
        #[derive(Deserialize)]
        struct Probe {
            bench: u32,
        }
        let broken = |error: serde_json::Error| {
            let (line, column) = (error.line().max(1), error.column().max(1));
            format!("{origin}:{line}:{column}: this is not a benchmark that --save-baseline wrote: {error}")
        };
        let Probe { bench } = serde_json::from_str(text).map_err(broken)?;
        if bench > BENCH_SCHEMA {
            return Err(format!(
                "{origin}: this benchmark has version {bench}, and this program reads up to {BENCH_SCHEMA}; use the \
                 wavetank that wrote it, or measure again with --save-baseline"
            ));
        }
        serde_json::from_str(text).map_err(broken)
    }
}
