//! The two traits that every model speaks: ask it, teach it.

use crate::{ModelError, Schema};
use serde::{Deserialize, Serialize};

/// What a model says about one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Prediction {
    /// A number.
    Number(f64),
    /// A class.
    Class {
        /// Index of the class in the schema.
        class: usize,
        /// The probability of each class, in the order of the schema; empty when the model has none.
        probabilities: Vec<f64>,
    },
    /// The nearest cluster.
    Cluster {
        /// Its number, from 0.
        cluster: usize,
        /// Distance to its centre, in the measure of the model.
        distance: f64,
    },
    /// How unusual the event is: higher is stranger, 0 to 1.
    Anomaly {
        /// The score.
        score: f64,
    },
}

impl Prediction {
    /// The most probable class and the probabilities; of equal ones the first.
    pub fn from_probabilities(probabilities: Vec<f64>) -> Self {
        Self::Class {
            class: first_largest(&probabilities),
            probabilities,
        }
    }

    /// The prediction, unless its arithmetic has overflowed.
    pub(crate) fn finite(self) -> Result<Self, ModelError> {
        let finite = match &self {
            Self::Number(value) => value.is_finite(),
            Self::Class { probabilities, .. } => probabilities.iter().all(|p| p.is_finite()),
            Self::Cluster { distance, .. } => distance.is_finite(),
            Self::Anomaly { score } => score.is_finite(),
        };
        if finite {
            Ok(self)
        } else {
            Err(ModelError::NoAnswer("the result is not a finite number".into()))
        }
    }

    /// The number predicted, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// The class predicted, if it is one.
    pub fn class(&self) -> Option<usize> {
        match self {
            Self::Class { class, .. } => Some(*class),
            _ => None,
        }
    }

    /// The probability of `class`, if the model gave one.
    pub fn probability(&self, class: usize) -> Option<f64> {
        match self {
            Self::Class { probabilities, .. } => probabilities.get(class).copied(),
            _ => None,
        }
    }
}

/// The index of the largest value; of equal ones the first; 0 when there is none.
pub(crate) fn first_largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

/// Probabilities in proportion to the exponentials; equal ones when none is finite.
pub(crate) fn softmax(logs: &[f64]) -> Vec<f64> {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return vec![1.0 / logs.len() as f64; logs.len()];
    }
    let raised: Vec<f64> = logs.iter().map(|l| (l - most).exp()).collect();
    let sum: f64 = raised.iter().sum();
    raised.into_iter().map(|r| r / sum).collect()
}

/// The nearest of the centres by Euclidean distance; of equal ones the first.
pub(crate) fn nearest(centres: &[Vec<f64>], point: &[f64]) -> Prediction {
    let mut best = (0, f64::INFINITY);
    for (cluster, centre) in centres.iter().enumerate() {
        let distance = centre.iter().zip(point).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
        if distance < best.1 {
            best = (cluster, distance);
        }
    }
    Prediction::Cluster {
        cluster: best.0,
        distance: best.1.sqrt(),
    }
}

/// What turned out to be true of an event.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Label {
    /// A number.
    Number(f64),
    /// Index of a class in the schema.
    Class(usize),
    /// Nothing: the event itself is the lesson (clusters, anomalies).
    None,
}

impl Label {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Number(_) => "a number",
            Self::Class(_) => "a class",
            Self::None => "nothing",
        }
    }

    /// The number.
    ///
    /// # Errors
    /// [`ModelError::LabelKind`] when it is none, [`ModelError::LabelNotFinite`] when it is not finite.
    pub fn as_number(&self) -> Result<f64, ModelError> {
        match self {
            Self::Number(value) if value.is_finite() => Ok(*value),
            Self::Number(_) => Err(ModelError::LabelNotFinite),
            _ => Err(ModelError::LabelKind {
                expected: "a number",
                got: self.kind(),
            }),
        }
    }

    /// The class, one of so many.
    ///
    /// # Errors
    /// [`ModelError::LabelKind`] when it is none, [`ModelError::NoSuchClass`] when there are not so many.
    pub fn as_class(&self, classes: usize) -> Result<usize, ModelError> {
        match self {
            Self::Class(class) if *class < classes => Ok(*class),
            Self::Class(class) => Err(ModelError::NoSuchClass { class: *class, classes }),
            _ => Err(ModelError::LabelKind {
                expected: "a class",
                got: self.kind(),
            }),
        }
    }
}

/// A model that can be asked.
pub trait Predictor {
    /// The features that it takes and what it answers.
    fn schema(&self) -> &Schema;

    /// What it says about an event. Asking changes nothing.
    ///
    /// # Errors
    /// A [`ModelError`] that names the feature at fault, or [`ModelError::NotReady`] when it has learned too little.
    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError>;
}

/// A model that can be taught one event at a time.
pub trait Learner: Predictor {
    /// Learns from one event and its label. After an error the model is as it was before.
    ///
    /// # Errors
    /// A [`ModelError`] that names the feature at fault, the kind of label that was expected, or
    /// [`ModelError::Diverged`].
    fn learn(&mut self, features: &[f64], label: Label) -> Result<(), ModelError>;

    /// How many examples it has learned from.
    fn learned(&self) -> u64;
}
