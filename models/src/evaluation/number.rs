//! How good a regression is.

use super::Memory;
use crate::ModelError;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Errors of a regression, over all events, a window, or fading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberMetrics {
    memory: Memory,
    weight: f64,
    absolute: f64,
    squared: f64,
    signed: f64,
    /// The errors of the window, oldest first.
    window: VecDeque<f64>,
    seen: u64,
}

impl NumberMetrics {
    /// Metrics that have seen nothing.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a memory outside its range.
    pub fn new(memory: Memory) -> Result<Self, ModelError> {
        memory.check()?;
        let window = VecDeque::new();
        Ok(Self {
            memory,
            weight: 0.0,
            absolute: 0.0,
            squared: 0.0,
            signed: 0.0,
            window,
            seen: 0,
        })
    }

    /// Takes what was true and what was predicted.
    ///
    /// # Errors
    /// [`ModelError::Value`] when one of them, or the square of their difference, is not finite.
    pub fn update(&mut self, truth: f64, predicted: f64) -> Result<(), ModelError> {
        let error = predicted - truth;
        if !(error * error).is_finite() {
            return Err(ModelError::Value {
                what: "an error of a prediction",
                must: "finite",
                got: error,
            });
        }
        let factor = match self.memory {
            Memory::Fading(factor) => factor,
            Memory::All | Memory::Window(_) => 1.0,
        };
        if let Memory::Window(length) = self.memory {
            if self.window.len() == length {
                self.window.pop_front();
            }
            self.window.push_back(error);
        } else {
            self.weight = self.weight * factor + 1.0;
            self.absolute = self.absolute * factor + error.abs();
            self.squared = self.squared * factor + error * error;
            self.signed = self.signed * factor + error;
        }
        self.seen += 1;
        Ok(())
    }

    /// How many events were seen, those that are forgotten included.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Weight of the events that are remembered: their number, unless they fade.
    pub fn weight(&self) -> f64 {
        if matches!(self.memory, Memory::Window(_)) {
            self.window.len() as f64
        } else {
            self.weight
        }
    }

    /// A window is added up when it is asked for: taking a float out of a sum again would leave a trace.
    fn mean(&self, sum: f64, of: impl Fn(f64) -> f64) -> f64 {
        let weight = self.weight();
        if weight <= 0.0 {
            return 0.0;
        }
        match self.memory {
            Memory::Window(_) => self.window.iter().map(|e| of(*e)).sum::<f64>() / weight,
            Memory::All | Memory::Fading(_) => sum / weight,
        }
    }

    /// The mean absolute error, in the unit of the target; 0 when nothing was seen.
    pub fn mae(&self) -> f64 {
        self.mean(self.absolute, f64::abs)
    }

    /// The root of the mean squared error, in the unit of the target; 0 when nothing was seen.
    pub fn rmse(&self) -> f64 {
        self.mean(self.squared, |e| e * e).sqrt()
    }

    /// The mean error, prediction minus truth, in the unit of the target; 0 when nothing was seen.
    pub fn bias(&self) -> f64 {
        self.mean(self.signed, |e| e)
    }
}
