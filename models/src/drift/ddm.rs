//! DDM, the drift detection method.
//!
//! J. Gama, P. Medas, G. Castillo and P. Rodrigues, "Learning with drift detection", SBIA 2004. The error rate *p* of
//! a learner on a steady stream falls; its standard deviation is *s* = √(*p*(1-*p*)/*n*). The smallest *p* + *s* seen
//! is remembered; when *p* + *s* rises above the remembered *p* plus so many remembered *s*, that is a warning, and
//! above more of them a drift.

use super::{DriftDetector, Signal};
use crate::ModelError;
use crate::error::positive;
use serde::{Deserialize, Serialize};

/// Settings of [`Ddm`]. The defaults are those of the paper and of river.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DdmSettings {
    /// Values before anything is said: 30.
    pub warm_start: u64,
    /// Standard deviations above the minimum for a warning: 2.
    pub warning: f64,
    /// Standard deviations above the minimum for a drift: 3.
    pub drift: f64,
}

impl Default for DdmSettings {
    fn default() -> Self {
        Self {
            warm_start: 30,
            warning: 2.0,
            drift: 3.0,
        }
    }
}

/// The DDM detector. It takes 1 for an error and 0 for a hit, and nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ddm {
    settings: DdmSettings,
    seen: u64,
    rate: f64,
    /// Error rate and standard deviation when their sum was smallest.
    best: Option<(f64, f64)>,
    signal: Signal,
}

impl Ddm {
    /// A detector that has seen nothing.
    ///
    /// # Errors
    /// [`ModelError::Setting`] when a threshold is not above 0 or the drift threshold is below the warning's.
    pub fn new(settings: DdmSettings) -> Result<Self, ModelError> {
        positive("warning", settings.warning)?;
        positive("drift", settings.drift)?;
        if settings.drift < settings.warning {
            return Err(ModelError::setting(
                "drift",
                "no smaller than `warning`",
                settings.drift,
            ));
        }
        Ok(Self {
            settings,
            seen: 0,
            rate: 0.0,
            best: None,
            signal: Signal::Stable,
        })
    }

    /// The error rate since the start or the last drift.
    pub fn error_rate(&self) -> f64 {
        self.rate
    }
}

impl DriftDetector for Ddm {
    fn update(&mut self, value: f64) -> Result<Signal, ModelError> {
        if value != 0.0 && value != 1.0 {
            return Err(ModelError::Value {
                what: "a value given to DDM",
                must: "0 (a hit) or 1 (an error)",
                got: value,
            });
        }
        if self.signal == Signal::Drift {
            (self.seen, self.rate, self.best, self.signal) = (0, 0.0, None, Signal::Stable);
        }
        self.seen += 1;
        self.rate += 1.0 / self.seen as f64 * (value - self.rate);
        if self.seen <= self.settings.warm_start {
            return Ok(self.signal);
        }
        let spread = (self.rate * (1.0 - self.rate)).max(0.0) / self.seen as f64;
        let spread = spread.sqrt();
        let level = self.rate + spread;
        let (rate, least) = match self.best {
            Some((rate, least)) if level > rate + least => (rate, least),
            _ => (self.rate, spread),
        };
        self.best = Some((rate, least));
        self.signal = if level > rate + self.settings.drift * least {
            Signal::Drift
        } else if level > rate + self.settings.warning * least {
            Signal::Warning
        } else {
            Signal::Stable
        };
        Ok(self.signal)
    }

    fn signal(&self) -> Signal {
        self.signal
    }
}
