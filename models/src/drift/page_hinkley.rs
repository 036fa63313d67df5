//! The Page-Hinkley test.
//!
//! E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954. The deviations of the values from their running
//! mean are summed, with a tolerance `delta` and a forgetting factor `alpha`; when the sum has risen more than
//! `threshold` above its minimum the mean has gone up, when it has fallen as far below its maximum the mean has gone
//! down. River keeps both sums, and so does this.

use super::{DriftDetector, Signal, finite};
use crate::ModelError;
use crate::error::{not_negative, positive};
use serde::{Deserialize, Serialize};

/// Which changes of the mean count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Only a rise.
    Up,
    /// Only a fall.
    Down,
    /// Both.
    #[default]
    Both,
}

/// Settings of [`PageHinkley`]. The defaults are river's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PageHinkleySettings {
    /// Values before anything is said: 30.
    pub min_instances: u64,
    /// Change of the mean that is tolerated, in the unit of the values: 0.005.
    pub delta: f64,
    /// How far the sum must go, in the unit of the values: 50.
    pub threshold: f64,
    /// Share of the sum that is kept at each value, above 0 and up to 1: 0.9999.
    pub alpha: f64,
    /// Which changes count.
    pub direction: Direction,
}

impl Default for PageHinkleySettings {
    fn default() -> Self {
        Self {
            min_instances: 30,
            delta: 0.005,
            threshold: 50.0,
            alpha: 1.0 - 0.0001,
            direction: Direction::Both,
        }
    }
}

/// The Page-Hinkley detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageHinkley {
    settings: PageHinkleySettings,
    seen: u64,
    mean: f64,
    rise: f64,
    fall: f64,
    least_rise: f64,
    most_fall: f64,
    signal: Signal,
}

impl PageHinkley {
    /// A detector that has seen nothing.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range.
    pub fn new(settings: PageHinkleySettings) -> Result<Self, ModelError> {
        not_negative("delta", settings.delta)?;
        positive("threshold", settings.threshold)?;
        if !(settings.alpha > 0.0 && settings.alpha <= 1.0) {
            return Err(ModelError::setting("alpha", "above 0 and up to 1", settings.alpha));
        }
        Ok(Self::empty(settings))
    }

    fn empty(settings: PageHinkleySettings) -> Self {
        Self {
            settings,
            seen: 0,
            mean: 0.0,
            rise: 0.0,
            fall: 0.0,
            least_rise: f64::INFINITY,
            // River's start value; with it a first value far below 0 counts as a fall.
            most_fall: -1.0,
            signal: Signal::Stable,
        }
    }

    /// The mean since the start or the last drift.
    pub fn mean(&self) -> f64 {
        self.mean
    }
}

impl DriftDetector for PageHinkley {
    fn update(&mut self, value: f64) -> Result<Signal, ModelError> {
        finite(value)?;
        if self.signal == Signal::Drift {
            *self = Self::empty(self.settings);
        }
        let PageHinkleySettings {
            min_instances,
            delta,
            threshold,
            alpha,
            direction,
        } = self.settings;
        self.seen += 1;
        self.mean += 1.0 / self.seen as f64 * (value - self.mean);
        let deviation = value - self.mean;
        self.rise = alpha * self.rise + deviation - delta;
        self.fall = alpha * self.fall + deviation + delta;
        self.least_rise = self.least_rise.min(self.rise);
        self.most_fall = self.most_fall.max(self.fall);
        if self.seen >= min_instances {
            let up = self.rise - self.least_rise > threshold;
            let down = self.most_fall - self.fall > threshold;
            let drift = match direction {
                Direction::Up => up,
                Direction::Down => down,
                Direction::Both => up || down,
            };
            self.signal = if drift { Signal::Drift } else { Signal::Stable };
        }
        Ok(self.signal)
    }

    fn signal(&self) -> Signal {
        self.signal
    }
}
