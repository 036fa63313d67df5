//! Linear and logistic regression by stochastic gradient descent.
//!
//! H. Robbins and S. Monro, "A stochastic approximation method", 1951: after each example the weights take one step
//! against the gradient of the loss at that example. The arithmetic is river's `LinearRegression` and
//! `LogisticRegression` with a constant learning rate.

use super::two_classes;
use crate::error::{not_negative, positive};
use crate::inputs::Inputs;
use crate::{Label, Learner, ModelError, Prediction, Predictor, Schema, Target};
use serde::{Deserialize, Serialize};

/// Settings of [`LinearRegression`] and [`LogisticRegression`]. The defaults are river's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LinearSettings {
    /// Length of a step for the weights: 0.01.
    pub learning_rate: f64,
    /// Length of a step for the intercept, 0 to leave it as it is: 0.01.
    pub intercept_rate: f64,
    /// Pull of the weights towards 0 (ridge): 0.
    pub l2: f64,
    /// The gradient of the loss is cut to this size: 1e12.
    pub clip_gradient: f64,
    /// Bring numeric features to mean 0 and standard deviation 1 first: no.
    pub scale: bool,
}

impl Default for LinearSettings {
    fn default() -> Self {
        Self {
            learning_rate: 0.01,
            intercept_rate: 0.01,
            l2: 0.0,
            clip_gradient: 1e12,
            scale: false,
        }
    }
}

impl LinearSettings {
    fn check(&self) -> Result<(), ModelError> {
        positive("learning_rate", self.learning_rate)?;
        not_negative("intercept_rate", self.intercept_rate)?;
        not_negative("l2", self.l2)?;
        positive("clip_gradient", self.clip_gradient)
    }
}

/// Weights and intercept of a linear function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Weights {
    pub(super) weights: Vec<f64>,
    pub(super) intercept: f64,
}

impl Weights {
    pub(super) fn zeros(width: usize) -> Self {
        Self {
            weights: vec![0.0; width],
            intercept: 0.0,
        }
    }

    pub(super) fn at(&self, inputs: &[f64]) -> f64 {
        self.weights.iter().zip(inputs).map(|(w, x)| w * x).sum::<f64>() + self.intercept
    }

    /// Refuses weights that are no longer numbers.
    pub(super) fn finite(self) -> Result<Self, ModelError> {
        if !self.intercept.is_finite() {
            return Err(ModelError::Diverged {
                parameter: "intercept".into(),
            });
        }
        match self.weights.iter().position(|w| !w.is_finite()) {
            Some(index) => Err(ModelError::Diverged {
                parameter: format!("weight {index}"),
            }),
            None => Ok(self),
        }
    }
}

/// The logistic function; 0 below -30 and 1 above 30, as in river.
pub(crate) fn sigmoid(x: f64) -> f64 {
    if x < -30.0 {
        0.0
    } else if x > 30.0 {
        1.0
    } else {
        1.0 / (1.0 + (-x).exp())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Gradient {
    settings: LinearSettings,
    inputs: Inputs,
    weights: Weights,
    learned: u64,
}

impl Gradient {
    fn state_bytes(&self) -> usize {
        self.inputs.state_bytes()
    }

    fn new(schema: Schema, settings: LinearSettings) -> Result<Self, ModelError> {
        settings.check()?;
        let inputs = Inputs::new(schema, settings.scale);
        let weights = Weights::zeros(inputs.width());
        Ok(Self {
            settings,
            inputs,
            weights,
            learned: 0,
        })
    }

    fn step(&mut self, features: &[f64], slope: impl Fn(f64) -> f64) -> Result<(), ModelError> {
        let (inputs, scaler) = self.inputs.learn(features)?;
        let LinearSettings {
            learning_rate,
            intercept_rate,
            l2,
            clip_gradient,
            ..
        } = self.settings;
        let slope = slope(self.weights.at(&inputs)).clamp(-clip_gradient, clip_gradient);
        let mut next = self.weights.clone();
        next.intercept -= intercept_rate * slope;
        for (weight, x) in next.weights.iter_mut().zip(&inputs) {
            *weight -= learning_rate * (x * slope + l2 * *weight);
        }
        self.weights = next.finite()?;
        self.inputs.commit(scaler);
        self.learned += 1;
        Ok(())
    }
}

/// Linear regression that learns by one gradient step of the squared error for each example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinearRegression(Gradient);

impl LinearRegression {
    /// Roughly how many bytes its state takes.
    pub fn state_bytes(&self) -> usize {
        self.0.state_bytes()
    }

    /// A regression whose weights are 0.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range, [`ModelError::Schema`] when the target is no number.
    pub fn new(schema: Schema, settings: LinearSettings) -> Result<Self, ModelError> {
        if !matches!(schema.target(), Target::Number { .. }) {
            return Err(ModelError::Schema(
                "linear regression needs a number as its target".into(),
            ));
        }
        Ok(Self(Gradient::new(schema, settings)?))
    }

    /// The weights, one for each number that the features become.
    pub fn weights(&self) -> &[f64] {
        &self.0.weights.weights
    }

    /// The intercept.
    pub fn intercept(&self) -> f64 {
        self.0.weights.intercept
    }
}

impl Predictor for LinearRegression {
    fn schema(&self) -> &Schema {
        self.0.inputs.schema()
    }

    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
        Prediction::Number(self.0.weights.at(&self.0.inputs.of(features)?)).finite()
    }
}

impl Learner for LinearRegression {
    fn learn(&mut self, features: &[f64], label: Label) -> Result<(), ModelError> {
        let truth = label.as_number()?;
        self.0.step(features, |at| 2.0 * (at - truth))
    }

    fn learned(&self) -> u64 {
        self.0.learned
    }
}

/// Logistic regression of two classes that learns by one gradient step of the log loss for each example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogisticRegression(Gradient);

impl LogisticRegression {
    /// Roughly how many bytes its state takes.
    pub fn state_bytes(&self) -> usize {
        self.0.state_bytes()
    }

    /// A regression whose weights are 0, so that both classes have probability one half.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range, [`ModelError::Schema`] when there are not two classes.
    pub fn new(schema: Schema, settings: LinearSettings) -> Result<Self, ModelError> {
        two_classes(&schema, "logistic regression")?;
        Ok(Self(Gradient::new(schema, settings)?))
    }

    /// The weights, one for each number that the features become.
    pub fn weights(&self) -> &[f64] {
        &self.0.weights.weights
    }

    /// The intercept.
    pub fn intercept(&self) -> f64 {
        self.0.weights.intercept
    }
}

impl Predictor for LogisticRegression {
    fn schema(&self) -> &Schema {
        self.0.inputs.schema()
    }

    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
        let p = sigmoid(self.0.weights.at(&self.0.inputs.of(features)?));
        Prediction::from_probabilities(vec![1.0 - p, p]).finite()
    }
}

impl Learner for LogisticRegression {
    fn learn(&mut self, features: &[f64], label: Label) -> Result<(), ModelError> {
        let sign = if label.as_class(2)? == 1 { 1.0 } else { -1.0 };
        self.0.step(features, |at| {
            let margin = at * sign;
            if margin > 18.0 {
                -sign * (-margin).exp()
            } else if margin < -18.0 {
                -sign
            } else {
                -sign / (margin.exp() + 1.0)
            }
        })
    }

    fn learned(&self) -> u64 {
        self.0.learned
    }
}
