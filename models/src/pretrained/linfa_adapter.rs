//! What linfa trains: logistic regression.
//!
//! Takes a table of numbers and gives back plain numbers; no type of linfa crosses this file.

use super::LogisticSettings;
use super::plain::Linear;
use crate::ModelError;
use linfa::Dataset;
use linfa::traits::Fit;
use linfa_logistic::{LogisticRegression, MultiLogisticRegression};
use ndarray::{Array1, Array2};
use std::collections::BTreeSet;

fn failed(error: impl std::fmt::Display) -> ModelError {
    ModelError::Training(error.to_string())
}

/// One function for the odds of the second of two classes, else one for each class; a class that did not come gets
/// the intercept minus infinity.
pub(super) fn logistic(
    rows: &[Vec<f64>],
    classes: &[usize],
    count: usize,
    settings: &LogisticSettings,
) -> Result<Linear, ModelError> {
    let width = rows.first().map_or(0, Vec::len);
    let came: BTreeSet<usize> = classes.iter().copied().collect();
    if came.len() < 2 {
        return Err(failed("all examples are of one class"));
    }
    let records = Array2::from_shape_fn((rows.len(), width), |(row, column)| rows[row][column]);
    let data = Dataset::new(records, Array1::from_vec(classes.to_vec()));
    if count == 2 {
        let model = LogisticRegression::default()
            .alpha(settings.l2)
            .max_iterations(settings.iterations)
            .gradient_tolerance(settings.tolerance)
            .fit(&data)
            .map_err(failed)?;
        let sign = if model.labels().pos.class == 1 { 1.0 } else { -1.0 };
        let weights = model.params().iter().map(|w| sign * w).collect();
        return Ok(Linear {
            weights: vec![weights],
            intercepts: vec![sign * model.intercept()],
        });
    }
    let model = MultiLogisticRegression::default()
        .alpha(settings.l2)
        .max_iterations(settings.iterations)
        .gradient_tolerance(settings.tolerance)
        .fit(&data)
        .map_err(failed)?;
    let mut linear = Linear {
        weights: vec![vec![0.0; width]; count],
        intercepts: vec![f64::NEG_INFINITY; count],
    };
    for (column, class) in model.classes().iter().enumerate() {
        linear.weights[*class] = model.params().column(column).to_vec();
        linear.intercepts[*class] = model.intercept()[column];
    }
    Ok(linear)
}
