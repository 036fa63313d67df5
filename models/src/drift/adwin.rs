//! ADWIN, adaptive windowing.
//!
//! A. Bifet and R. Gavaldà, "Learning from time-changing data with adaptive windowing", SDM 2007. The window is kept
//! as an exponential histogram: row *i* holds buckets of 2^*i* values, at most `max_buckets` of them; two of the
//! oldest are merged into the next row when there is one more. Every `clock` values each boundary between buckets is
//! tried as a cut; if the means on both sides differ by more than a bound at confidence `delta`, the oldest bucket
//! is dropped and the cuts are tried again.

use super::{DriftDetector, Signal, finite};
use crate::ModelError;
use crate::error::{at_least, open_unit};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What becomes of the window after a drift.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AfterDrift {
    /// The next value starts an empty window, as in river since 0.10.
    #[default]
    StartAnew,
    /// The values after the cut stay, as in the paper.
    KeepRecent,
}

/// Settings of [`Adwin`]. The defaults are river's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdwinSettings {
    /// Probability of a false alarm at one test, between 0 and 1: 0.002.
    pub delta: f64,
    /// Test after every so many values: 32.
    pub clock: u64,
    /// Buckets of one size before two are merged: 5.
    pub max_buckets: usize,
    /// Values that each side of a cut must have: 5.
    pub min_window_length: u64,
    /// No test while the window holds no more than this many values: 10.
    pub grace_period: u64,
    /// What becomes of the window after a drift.
    pub after_drift: AfterDrift,
}

impl Default for AdwinSettings {
    fn default() -> Self {
        Self {
            delta: 0.002,
            clock: 32,
            max_buckets: 5,
            min_window_length: 5,
            grace_period: 10,
            after_drift: AfterDrift::StartAnew,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Bucket {
    total: f64,
    /// Sum of squared deviations from the bucket's mean.
    deviation: f64,
}

/// The ADWIN detector. Memory grows with the logarithm of the window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adwin {
    settings: AdwinSettings,
    /// Row *i* holds buckets of 2^*i* values, oldest first.
    rows: Vec<VecDeque<Bucket>>,
    width: f64,
    total: f64,
    deviation: f64,
    ticks: u64,
    signal: Signal,
}

impl Adwin {
    /// A detector that has seen nothing.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range.
    pub fn new(settings: AdwinSettings) -> Result<Self, ModelError> {
        open_unit("delta", settings.delta)?;
        at_least("clock", settings.clock as usize, 1)?;
        at_least("max_buckets", settings.max_buckets, 2)?;
        at_least("min_window_length", settings.min_window_length as usize, 1)?;
        Ok(Self::empty(settings))
    }

    fn empty(settings: AdwinSettings) -> Self {
        Self {
            settings,
            rows: vec![VecDeque::new()],
            width: 0.0,
            total: 0.0,
            deviation: 0.0,
            ticks: 0,
            signal: Signal::Stable,
        }
    }

    /// How many values the window holds.
    pub fn width(&self) -> u64 {
        self.width as u64
    }

    /// The mean of the window, 0 when it is empty.
    pub fn mean(&self) -> f64 {
        if self.width > 0.0 { self.total / self.width } else { 0.0 }
    }

    /// The sum of the window.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// The sum of squared deviations from the mean of the window, as the buckets know it.
    pub fn deviation(&self) -> f64 {
        self.deviation
    }

    fn insert(&mut self, value: f64) {
        self.rows[0].push_back(Bucket {
            total: value,
            deviation: 0.0,
        });
        self.width += 1.0;
        if self.width > 1.0 {
            let before = self.width - 1.0;
            let distance = value - self.total / before;
            self.deviation += before * distance * distance / self.width;
        }
        self.total += value;
        self.compress();
    }

    fn compress(&mut self) {
        let mut row = 0;
        while self.rows[row].len() > self.settings.max_buckets {
            let (Some(a), Some(b)) = (self.rows[row].pop_front(), self.rows[row].pop_front()) else {
                return;
            };
            let size = bucket_size(row);
            let distance = a.total / size - b.total / size;
            let merged = Bucket {
                total: a.total + b.total,
                deviation: a.deviation + b.deviation + size * size * distance * distance / (size + size),
            };
            row += 1;
            if self.rows.len() == row {
                self.rows.push(VecDeque::new());
            }
            self.rows[row].push_back(merged);
        }
    }

    /// Whether some cut of the window separates two means that differ too much.
    fn has_cut(&self) -> bool {
        let least = self.settings.min_window_length as f64;
        let (mut old, mut old_total) = (0.0, 0.0);
        let (mut new, mut new_total) = (self.width, self.total);
        for (row, buckets) in self.rows.iter().enumerate().rev() {
            let size = bucket_size(row);
            for bucket in buckets {
                old += size;
                new -= size;
                old_total += bucket.total;
                new_total -= bucket.total;
                if old >= least && new >= least {
                    let difference = (old_total / old - new_total / new).abs();
                    if difference > self.bound(old, new) {
                        return true;
                    }
                }
            }
        }
        false
    }

    fn bound(&self, old: f64, new: f64) -> f64 {
        let least = self.settings.min_window_length as f64;
        let delta = (2.0 * self.width.ln() / self.settings.delta).ln();
        let harmonic = 1.0 / (old - least + 1.0) + 1.0 / (new - least + 1.0);
        (2.0 * harmonic * (self.deviation / self.width) * delta).sqrt() + 2.0 / 3.0 * delta * harmonic
    }

    fn drop_oldest(&mut self) {
        let row = self.rows.len() - 1;
        let Some(bucket) = self.rows[row].pop_front() else {
            return;
        };
        let size = bucket_size(row);
        self.width -= size;
        self.total -= bucket.total;
        let distance = bucket.total / size - self.total / self.width;
        self.deviation -= bucket.deviation + size * self.width * distance * distance / (size + self.width);
        if self.rows[row].is_empty() && row > 0 {
            self.rows.pop();
        }
    }
}

fn bucket_size(row: usize) -> f64 {
    (row as f64).exp2()
}

impl DriftDetector for Adwin {
    fn update(&mut self, value: f64) -> Result<Signal, ModelError> {
        finite(value)?;
        if self.signal == Signal::Drift && self.settings.after_drift == AfterDrift::StartAnew {
            *self = Self::empty(self.settings);
        }
        self.insert(value);
        self.ticks += 1;
        self.signal = Signal::Stable;
        if self.ticks.is_multiple_of(self.settings.clock) && self.width > self.settings.grace_period as f64 {
            while self.has_cut() {
                self.signal = Signal::Drift;
                self.drop_oldest();
            }
        }
        Ok(self.signal)
    }

    fn signal(&self) -> Signal {
        self.signal
    }
}
