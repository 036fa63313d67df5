//! Passive-aggressive learners: no step when the loss is 0, else the smallest step that makes it so.
//!
//! K. Crammer, O. Dekel, J. Keshet, S. Shalev-Shwartz and Y. Singer, "Online passive-aggressive algorithms", JMLR 7,
//! 2006. The arithmetic is river's `PAClassifier` and `PARegressor`, except that the loss of a regression is that of
//! the paper: river 0.26 takes it at 2*y*-1, as if the number were a class.

use super::linear::{Weights, sigmoid};
use super::two_classes;
use crate::error::{not_negative, positive};
use crate::inputs::Inputs;
use crate::{Label, Learner, ModelError, Prediction, Predictor, Schema, Target};
use serde::{Deserialize, Serialize};

/// How large a step may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Aggressiveness {
    /// As large as it takes (PA).
    Unlimited,
    /// No larger than `c` (PA-I).
    #[default]
    Capped,
    /// Smoothly less the larger it is (PA-II).
    Damped,
}

/// Settings of [`PassiveAggressive`]. The defaults are river's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PassiveAggressiveSettings {
    /// How aggressive a step is: 1.
    pub c: f64,
    /// How a step is limited by `c`.
    pub mode: Aggressiveness,
    /// For a number: errors up to this size, in its unit, cause no step: 0.1.
    pub epsilon: f64,
    /// Whether the intercept moves too: yes.
    pub learn_intercept: bool,
    /// Bring numeric features to mean 0 and standard deviation 1 first: no.
    pub scale: bool,
}

impl Default for PassiveAggressiveSettings {
    fn default() -> Self {
        Self {
            c: 1.0,
            mode: Aggressiveness::Capped,
            epsilon: 0.1,
            learn_intercept: true,
            scale: false,
        }
    }
}

/// A passive-aggressive learner: a regression when the target is a number, a classifier when it has two classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PassiveAggressive {
    settings: PassiveAggressiveSettings,
    inputs: Inputs,
    weights: Weights,
    learned: u64,
}

impl PassiveAggressive {
    /// Roughly how many bytes its state takes.
    pub fn state_bytes(&self) -> usize {
        self.inputs.state_bytes()
    }

    /// A learner whose weights are 0.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range, [`ModelError::Schema`] when the target is neither a
    /// number nor one of two classes.
    pub fn new(schema: Schema, settings: PassiveAggressiveSettings) -> Result<Self, ModelError> {
        if !matches!(schema.target(), Target::Number { .. }) {
            two_classes(&schema, "a passive-aggressive learner")?;
        }
        positive("c", settings.c)?;
        not_negative("epsilon", settings.epsilon)?;
        let inputs = Inputs::new(schema, settings.scale);
        let weights = Weights::zeros(inputs.width());
        Ok(Self {
            settings,
            inputs,
            weights,
            learned: 0,
        })
    }

    /// The weights, one for each number that the features become.
    pub fn weights(&self) -> &[f64] {
        &self.weights.weights
    }

    /// The intercept.
    pub fn intercept(&self) -> f64 {
        self.weights.intercept
    }

    fn is_regression(&self) -> bool {
        matches!(self.schema().target(), Target::Number { .. })
    }

    fn step(&self, loss: f64, inputs: &[f64]) -> f64 {
        let norm = inputs.iter().map(|x| x * x).sum::<f64>();
        let c = self.settings.c;
        match self.settings.mode {
            Aggressiveness::Unlimited if norm > 0.0 => loss / norm,
            Aggressiveness::Capped if norm > 0.0 => c.min(loss / norm),
            Aggressiveness::Damped => loss / (norm + 0.5 / c),
            Aggressiveness::Unlimited | Aggressiveness::Capped => 0.0,
        }
    }
}

impl Predictor for PassiveAggressive {
    fn schema(&self) -> &Schema {
        self.inputs.schema()
    }

    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
        let at = self.weights.at(&self.inputs.of(features)?);
        if self.is_regression() {
            return Prediction::Number(at).finite();
        }
        let p = sigmoid(at);
        Prediction::from_probabilities(vec![1.0 - p, p]).finite()
    }
}

impl Learner for PassiveAggressive {
    fn learn(&mut self, features: &[f64], label: Label) -> Result<(), ModelError> {
        let truth = if self.is_regression() {
            label.as_number()?
        } else if label.as_class(2)? == 1 {
            1.0
        } else {
            -1.0
        };
        let (inputs, scaler) = self.inputs.learn(features)?;
        let at = self.weights.at(&inputs);
        let (loss, sign) = if self.is_regression() {
            let sign = if truth > at { 1.0 } else { -1.0 };
            (((truth - at).abs() - self.settings.epsilon).max(0.0), sign)
        } else {
            ((1.0 - truth * at).max(0.0), truth)
        };
        let step = self.step(loss, &inputs) * sign;
        let mut next = self.weights.clone();
        next.weights.iter_mut().zip(&inputs).for_each(|(w, x)| *w += step * x);
        if self.settings.learn_intercept {
            next.intercept += step;
        }
        self.weights = next.finite()?;
        self.inputs.commit(scaler);
        self.learned += 1;
        Ok(())
    }

    fn learned(&self) -> u64 {
        self.learned
    }
}
