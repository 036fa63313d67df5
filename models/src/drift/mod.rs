//! Drift detectors: has what the stream looks like changed?
//!
//! A detector is told one number after another, most often the error of a prediction, and says after each whether it
//! sees no change, a warning or a drift. It never looks at features and never changes a model: what to do about a
//! drift is decided elsewhere (see the gate).
//!
//! All three follow the behaviour of river 0.26: after a drift a detector starts anew with the next value.

mod adwin;
mod ddm;
mod page_hinkley;

pub use adwin::{Adwin, AdwinSettings, AfterDrift};
pub use ddm::{Ddm, DdmSettings};
pub use page_hinkley::{Direction, PageHinkley, PageHinkleySettings};

use crate::ModelError;
use serde::{Deserialize, Serialize};

/// What a detector says after a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Signal {
    /// Nothing has changed.
    #[default]
    Stable,
    /// Something may be changing.
    Warning,
    /// The stream has changed.
    Drift,
}

/// A detector of change in a stream of numbers.
pub trait DriftDetector {
    /// Takes the next value and says what it makes of the stream so far.
    ///
    /// # Errors
    /// [`ModelError::Value`] when the value is not one that the detector takes; the detector is as it was before.
    fn update(&mut self, value: f64) -> Result<Signal, ModelError>;

    /// What it said last.
    fn signal(&self) -> Signal;
}

/// Which detector, with which settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DetectorSettings {
    /// Adaptive windowing.
    Adwin(AdwinSettings),
    /// The drift detection method on a stream of errors (1) and hits (0).
    Ddm(DdmSettings),
    /// The Page-Hinkley test.
    PageHinkley(PageHinkleySettings),
}

/// Any of the detectors, as one value that can be a part of an operator's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Detector {
    /// Adaptive windowing.
    Adwin(Adwin),
    /// The drift detection method.
    Ddm(Ddm),
    /// The Page-Hinkley test.
    PageHinkley(PageHinkley),
}

impl Detector {
    /// A detector that has seen nothing.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range.
    pub fn new(settings: DetectorSettings) -> Result<Self, ModelError> {
        Ok(match settings {
            DetectorSettings::Adwin(settings) => Self::Adwin(Adwin::new(settings)?),
            DetectorSettings::Ddm(settings) => Self::Ddm(Ddm::new(settings)?),
            DetectorSettings::PageHinkley(settings) => Self::PageHinkley(PageHinkley::new(settings)?),
        })
    }
}

impl DriftDetector for Detector {
    fn update(&mut self, value: f64) -> Result<Signal, ModelError> {
        match self {
            Self::Adwin(detector) => detector.update(value),
            Self::Ddm(detector) => detector.update(value),
            Self::PageHinkley(detector) => detector.update(value),
        }
    }

    fn signal(&self) -> Signal {
        match self {
            Self::Adwin(detector) => detector.signal(),
            Self::Ddm(detector) => detector.signal(),
            Self::PageHinkley(detector) => detector.signal(),
        }
    }
}

fn finite(value: f64) -> Result<(), ModelError> {
    if value.is_finite() {
        Ok(())
    } else {
        Err(ModelError::Value {
            what: "a value given to a drift detector",
            must: "finite",
            got: value,
        })
    }
}
