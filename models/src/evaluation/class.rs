//! How good a classifier is: everything that follows from the table of truths and predictions.

use super::Memory;
use crate::ModelError;
use crate::error::at_least;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The confusion matrix of a classifier and what follows from it, over all events, a window, or fading.
///
/// Precision, recall and the like are 0 where nothing was there to divide by, as in river and scikit-learn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    memory: Memory,
    classes: usize,
    /// Weight of each pair: truth times the number of classes, plus prediction.
    weights: Vec<f64>,
    /// The pairs of the window, oldest first.
    window: VecDeque<(usize, usize)>,
    seen: u64,
}

impl ClassMetrics {
    /// Metrics that have seen nothing.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for fewer than two classes or a memory outside its range.
    pub fn new(classes: usize, memory: Memory) -> Result<Self, ModelError> {
        at_least("classes", classes, 2)?;
        memory.check()?;
        Ok(Self {
            memory,
            classes,
            weights: vec![0.0; classes * classes],
            window: VecDeque::new(),
            seen: 0,
        })
    }

    /// Takes what was true and what was predicted.
    ///
    /// # Errors
    /// [`ModelError::NoSuchClass`] for a class that is not there.
    pub fn update(&mut self, truth: usize, predicted: usize) -> Result<(), ModelError> {
        for class in [truth, predicted] {
            if class >= self.classes {
                return Err(ModelError::NoSuchClass {
                    class,
                    classes: self.classes,
                });
            }
        }
        match self.memory {
            Memory::All => {}
            Memory::Fading(factor) => self.weights.iter_mut().for_each(|w| *w *= factor),
            Memory::Window(length) => {
                if self.window.len() == length
                    && let Some((truth, predicted)) = self.window.pop_front()
                {
                    self.weights[truth * self.classes + predicted] -= 1.0;
                }
                self.window.push_back((truth, predicted));
            }
        }
        self.weights[truth * self.classes + predicted] += 1.0;
        self.seen += 1;
        Ok(())
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many events were seen, those that are forgotten included.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Weight of the events that are remembered: their number, unless they fade.
    pub fn weight(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// Weight of the events of one class that were predicted to be of another.
    ///
    /// # Errors
    /// [`ModelError::NoSuchClass`] for a class that is not there.
    pub fn pair(&self, truth: usize, predicted: usize) -> Result<f64, ModelError> {
        match truth.max(predicted) {
            class if class >= self.classes => Err(ModelError::NoSuchClass {
                class,
                classes: self.classes,
            }),
            _ => Ok(self.weights[truth * self.classes + predicted]),
        }
    }

    fn hits(&self, class: usize) -> f64 {
        self.weights
            .get(class * self.classes + class)
            .copied()
            .unwrap_or_default()
    }

    fn true_of(&self, class: usize) -> f64 {
        (0..self.classes)
            .filter_map(|p| self.weights.get(class * self.classes + p))
            .sum()
    }

    fn predicted_of(&self, class: usize) -> f64 {
        (0..self.classes)
            .filter_map(|t| self.weights.get(t * self.classes + class))
            .sum()
    }

    /// Share of the events that were predicted rightly.
    pub fn accuracy(&self) -> f64 {
        ratio((0..self.classes).map(|c| self.hits(c)).sum(), self.weight())
    }

    /// Share of the events predicted to be of a class that are; 0 for a class that is not there.
    pub fn precision(&self, class: usize) -> f64 {
        if class < self.classes {
            ratio(self.hits(class), self.predicted_of(class))
        } else {
            0.0
        }
    }

    /// Share of the events of a class that were predicted to be; 0 for a class that is not there.
    pub fn recall(&self, class: usize) -> f64 {
        if class < self.classes {
            ratio(self.hits(class), self.true_of(class))
        } else {
            0.0
        }
    }

    /// The harmonic mean of precision and recall.
    pub fn f1(&self, class: usize) -> f64 {
        let (precision, recall) = (self.precision(class), self.recall(class));
        ratio(2.0 * precision * recall, precision + recall)
    }

    /// The mean of F1 over the classes that came or were predicted.
    pub fn macro_f1(&self) -> f64 {
        let known: Vec<usize> = (0..self.classes)
            .filter(|c| self.true_of(*c) > 0.0 || self.predicted_of(*c) > 0.0)
            .collect();
        ratio(known.iter().map(|c| self.f1(*c)).sum(), known.len() as f64)
    }

    /// The mean of recall over the classes that came: what accuracy would be if all classes were as frequent.
    pub fn balanced_accuracy(&self) -> f64 {
        let came: Vec<usize> = (0..self.classes).filter(|c| self.true_of(*c) > 0.0).collect();
        ratio(came.iter().map(|c| self.recall(*c)).sum(), came.len() as f64)
    }

    /// Cohen's kappa: how much better than chance with the same frequencies, 1 at best and 0 for chance.
    ///
    /// J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20, 1960.
    pub fn kappa(&self) -> f64 {
        let total = self.weight();
        let chance = ratio(
            (0..self.classes).map(|c| self.true_of(c) * self.predicted_of(c)).sum(),
            total * total,
        );
        ratio(self.accuracy() - chance, 1.0 - chance)
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
