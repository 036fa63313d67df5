//! K-means with forgetting, as in Siddhi's `kMeansIncremental`.
//!
//! The first distinct points are the first centres. From then on the nearest centre of a point moves towards it by a
//! fixed share of the way, so that old points fade. This is the assignment of J. MacQueen, "Some methods for
//! classification and analysis of multivariate observations", 1967, with a constant rate.

use crate::error::at_least;
use crate::inputs::Inputs;
use crate::learner::nearest;
use crate::{Label, Learner, ModelError, Prediction, Predictor, Schema, Target};
use serde::{Deserialize, Serialize};

/// Settings of [`DecayingKMeans`]. The defaults are Siddhi's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DecayingKMeansSettings {
    /// Number of clusters: 2.
    pub clusters: usize,
    /// Share of the way that a centre moves, above 0 and up to 1: 0.01.
    pub decay: f64,
    /// Decimals to which the centres are rounded, if they are: 4.
    pub decimals: Option<u8>,
    /// Bring numeric features to mean 0 and standard deviation 1 first: no.
    pub scale: bool,
}

impl Default for DecayingKMeansSettings {
    fn default() -> Self {
        Self {
            clusters: 2,
            decay: 0.01,
            decimals: Some(4),
            scale: false,
        }
    }
}

/// K-means with forgetting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecayingKMeans {
    settings: DecayingKMeansSettings,
    inputs: Inputs,
    centres: Vec<Vec<f64>>,
    learned: u64,
}

impl DecayingKMeans {
    /// Roughly how many bytes its state takes.
    pub fn state_bytes(&self) -> usize {
        self.inputs.state_bytes() + self.centres.len() * self.inputs.width() * size_of::<f64>()
    }

    /// Clusters without centres.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range, [`ModelError::Schema`] when the target is not
    /// [`Target::Cluster`].
    pub fn new(schema: Schema, settings: DecayingKMeansSettings) -> Result<Self, ModelError> {
        if *schema.target() != Target::Cluster {
            return Err(ModelError::Schema("k-means needs clusters as its target".into()));
        }
        at_least("clusters", settings.clusters, 1)?;
        if !(settings.decay > 0.0 && settings.decay <= 1.0) {
            return Err(ModelError::setting("decay", "above 0 and up to 1", settings.decay));
        }
        if settings.decimals.is_some_and(|d| d > 15) {
            return Err(ModelError::setting(
                "decimals",
                "15 or fewer",
                settings.decimals.unwrap_or_default(),
            ));
        }
        Ok(Self {
            settings,
            inputs: Inputs::new(schema, settings.scale),
            centres: Vec::new(),
            learned: 0,
        })
    }

    /// The centres found so far.
    pub fn centres(&self) -> &[Vec<f64>] {
        &self.centres
    }

    fn round(&self, value: f64) -> f64 {
        match self.settings.decimals {
            None => value,
            Some(decimals) => {
                let unit = 10f64.powi(i32::from(decimals));
                let rounded = (value * unit).round() / unit;
                if rounded.is_finite() { rounded } else { value }
            }
        }
    }
}

impl Predictor for DecayingKMeans {
    fn schema(&self) -> &Schema {
        self.inputs.schema()
    }

    /// The nearest centre and the Euclidean distance to it.
    ///
    /// # Errors
    /// As [`Schema::check`], and [`ModelError::NotReady`] until there are as many distinct points as clusters.
    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
        let point = self.inputs.of(features)?;
        if self.centres.len() < self.settings.clusters {
            return Err(ModelError::NotReady(format!(
                "{} of {} distinct points",
                self.centres.len(),
                self.settings.clusters
            )));
        }
        nearest(&self.centres, &point).finite()
    }
}

impl Learner for DecayingKMeans {
    fn learn(&mut self, features: &[f64], label: Label) -> Result<(), ModelError> {
        if label != Label::None {
            return Err(ModelError::LabelKind {
                expected: "nothing",
                got: label.kind(),
            });
        }
        let (point, scaler) = self.inputs.learn(features)?;
        if self.centres.len() < self.settings.clusters {
            if !self.centres.contains(&point) {
                self.centres.push(point);
            }
        } else if let Prediction::Cluster { cluster, .. } = nearest(&self.centres, &point) {
            let decay = self.settings.decay;
            let moved = self.centres[cluster]
                .iter()
                .zip(&point)
                .map(|(old, x)| self.round((1.0 - decay) * old + decay * x))
                .collect();
            self.centres[cluster] = moved;
        }
        self.inputs.commit(scaler);
        self.learned += 1;
        Ok(())
    }

    fn learned(&self) -> u64 {
        self.learned
    }
}
