//! How good a model is while it works: prequential metrics, intervals and tests.
//!
//! Prequential means that each event is predicted first and learned from afterwards (A. P. Dawid, "The prequential
//! approach", 1984), so that every event is a test. Old events can be forgotten, by a window or by a fading factor
//! (J. Gama, R. Sebastião and P. Rodrigues, "On evaluating stream learning algorithms", Machine Learning 90, 2013).

mod class;
mod inference;
mod number;

pub use class::ClassMetrics;
pub use inference::{Interval, Test, mcnemar, mean_above, mean_interval, paired_t, share_interval};
pub use number::NumberMetrics;

use crate::error::at_least;
use crate::{Label, ModelError, Prediction, Schema, Target};
use serde::{Deserialize, Serialize};

/// Which events count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// All.
    #[default]
    All,
    /// The last so many.
    Window(usize),
    /// All, each counting this share, above 0 and up to 1, of the next.
    Fading(f64),
}

impl Memory {
    fn check(self) -> Result<(), ModelError> {
        match self {
            Self::All => Ok(()),
            Self::Window(length) => at_least("window", length, 1),
            Self::Fading(factor) if factor > 0.0 && factor <= 1.0 => Ok(()),
            Self::Fading(factor) => Err(ModelError::setting("fading", "above 0 and up to 1", factor)),
        }
    }
}

/// How far a prediction was from the truth: 0 or 1 for a class, the absolute difference for a number.
///
/// # Errors
/// [`ModelError::LabelKind`] when the two do not go together, [`ModelError::LabelNotFinite`] or
/// [`ModelError::Value`] when one of them is not finite.
pub fn loss(prediction: &Prediction, label: Label) -> Result<f64, ModelError> {
    match prediction {
        Prediction::Number(predicted) => {
            let loss = (predicted - label.as_number()?).abs();
            if loss.is_finite() {
                Ok(loss)
            } else {
                Err(ModelError::Value {
                    what: "a loss",
                    must: "finite",
                    got: loss,
                })
            }
        }
        Prediction::Class { class, .. } => Ok(if label.as_class(usize::MAX)? == *class {
            0.0
        } else {
            1.0
        }),
        Prediction::Cluster { .. } | Prediction::Anomaly { .. } => Err(ModelError::LabelKind {
            expected: "a prediction that a label can be compared with",
            got: label.kind(),
        }),
    }
}

/// The metrics of whatever a model predicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Prequential {
    /// Of numbers.
    Number(NumberMetrics),
    /// Of classes.
    Class(ClassMetrics),
}

impl Prequential {
    /// The metrics for the target of a schema.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a memory outside its range, [`ModelError::Schema`] when the target has no labels.
    pub fn new(schema: &Schema, memory: Memory) -> Result<Self, ModelError> {
        match schema.target() {
            Target::Number { .. } => Ok(Self::Number(NumberMetrics::new(memory)?)),
            Target::Class { classes, .. } => Ok(Self::Class(ClassMetrics::new(classes.len(), memory)?)),
            Target::Cluster | Target::Anomaly => Err(ModelError::Schema(
                "there are no labels to compare predictions with".into(),
            )),
        }
    }

    /// Takes a prediction, made before the label was learned from, and the label.
    ///
    /// # Errors
    /// [`ModelError::LabelKind`] when they are not of the target, else as the metrics; nothing is changed then.
    pub fn update(&mut self, prediction: &Prediction, label: Label) -> Result<(), ModelError> {
        match (self, prediction) {
            (Self::Number(metrics), Prediction::Number(predicted)) => metrics.update(label.as_number()?, *predicted),
            (Self::Class(metrics), Prediction::Class { class, .. }) => {
                metrics.update(label.as_class(usize::MAX)?, *class)
            }
            (Self::Number(_), _) => Err(ModelError::LabelKind {
                expected: "a number",
                got: "another prediction",
            }),
            (Self::Class(_), _) => Err(ModelError::LabelKind {
                expected: "a class",
                got: "another prediction",
            }),
        }
    }
}
