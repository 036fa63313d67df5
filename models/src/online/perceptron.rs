//! The perceptron: weights move only after a mistake.
//!
//! F. Rosenblatt, "The perceptron: a probabilistic model for information storage and organization in the brain",
//! Psychological Review 65, 1958. Engines differ in the details, so they are settings: [`PerceptronSettings::default`]
//! is river's, [`PerceptronSettings::siddhi`] is the updating classifier of Siddhi's streaming machine learning
//! extension.

use super::linear::{Weights, sigmoid};
use super::two_classes;
use crate::error::positive;
use crate::inputs::Inputs;
use crate::{Label, Learner, ModelError, Prediction, Predictor, Schema};
use serde::{Deserialize, Serialize};

/// Settings of [`Perceptron`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PerceptronSettings {
    /// Length of a step: 1.
    pub learning_rate: f64,
    /// The weighted sum above which the second class is predicted: 0.
    pub threshold: f64,
    /// The intercept at the start: 0.
    pub intercept: f64,
    /// Whether the intercept moves too: yes.
    pub learn_intercept: bool,
    /// Whether a sum exactly at the threshold counts as a mistake whatever the label: yes.
    pub boundary_is_mistake: bool,
    /// Bring numeric features to mean 0 and standard deviation 1 first: no.
    pub scale: bool,
}

impl Default for PerceptronSettings {
    fn default() -> Self {
        Self {
            learning_rate: 1.0,
            threshold: 0.0,
            intercept: 0.0,
            learn_intercept: true,
            boundary_is_mistake: true,
            scale: false,
        }
    }
}

impl PerceptronSettings {
    /// As `updatePerceptronClassifier` of Siddhi: the intercept stays, the threshold is 0.5.
    pub fn siddhi(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            threshold: 0.5,
            intercept: 0.0,
            learn_intercept: false,
            boundary_is_mistake: false,
            scale: false,
        }
    }
}

/// The perceptron, a classifier of two classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Perceptron {
    settings: PerceptronSettings,
    inputs: Inputs,
    weights: Weights,
    learned: u64,
}

impl Perceptron {
    /// Roughly how many bytes its state takes.
    pub fn state_bytes(&self) -> usize {
        self.inputs.state_bytes()
    }

    /// A perceptron whose weights are 0.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range, [`ModelError::Schema`] when there are not two classes.
    pub fn new(schema: Schema, settings: PerceptronSettings) -> Result<Self, ModelError> {
        two_classes(&schema, "a perceptron")?;
        positive("learning_rate", settings.learning_rate)?;
        for (name, value) in [("threshold", settings.threshold), ("intercept", settings.intercept)] {
            if !value.is_finite() {
                return Err(ModelError::setting(name, "finite", value));
            }
        }
        let inputs = Inputs::new(schema, settings.scale);
        let mut weights = Weights::zeros(inputs.width());
        weights.intercept = settings.intercept;
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
}

impl Predictor for Perceptron {
    fn schema(&self) -> &Schema {
        self.inputs.schema()
    }

    /// The class; its probability is the logistic function of the distance to the threshold, as in river, which says
    /// which side and how far, but is not calibrated.
    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
        let p = sigmoid(self.weights.at(&self.inputs.of(features)?) - self.settings.threshold);
        Prediction::from_probabilities(vec![1.0 - p, p]).finite()
    }
}

impl Learner for Perceptron {
    fn learn(&mut self, features: &[f64], label: Label) -> Result<(), ModelError> {
        let sign = if label.as_class(2)? == 1 { 1.0 } else { -1.0 };
        let (inputs, scaler) = self.inputs.learn(features)?;
        let distance = self.weights.at(&inputs) - self.settings.threshold;
        let hit = if distance == 0.0 {
            !self.settings.boundary_is_mistake && sign < 0.0
        } else {
            (distance > 0.0) == (sign > 0.0)
        };
        if !hit {
            let step = self.settings.learning_rate * sign;
            let mut next = self.weights.clone();
            next.weights.iter_mut().zip(&inputs).for_each(|(w, x)| *w += step * x);
            if self.settings.learn_intercept {
                next.intercept += step;
            }
            self.weights = next.finite()?;
        }
        self.inputs.commit(scaler);
        self.learned += 1;
        Ok(())
    }

    fn learned(&self) -> u64 {
        self.learned
    }
}
