//! What linfa trains: logistic regression and one-class support vectors.
//!
//! Takes a table of numbers and gives back plain numbers; no type of linfa crosses this file.

use super::plain::{Linear, Support};
use super::{LogisticSettings, OneClassSettings};
use crate::ModelError;
use linfa::dataset::Pr;
use linfa::traits::Fit;
use linfa::{Dataset, DatasetBase};
use linfa_logistic::{LogisticRegression, MultiLogisticRegression};
use linfa_svm::Svm;
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

/// B. Schölkopf, J. Platt, J. Shawe-Taylor, A. Smola and R. Williamson, "Estimating the support of a high-dimensional
/// distribution", Neural Computation 13, 2001.
pub(super) fn one_class(rows: &[Vec<f64>], settings: &OneClassSettings) -> Result<Support, ModelError> {
    let width = rows.first().map_or(0, Vec::len);
    let gamma = settings.gamma.unwrap_or(1.0 / width.max(1) as f64);
    let records = Array2::from_shape_fn((rows.len(), width), |(row, column)| rows[row][column]);
    let data = DatasetBase::new(records, Array1::from_elem(rows.len(), ()));
    let model: Svm<f64, bool> = Svm::<f64, Pr>::params()
        .nu_weight(settings.nu)
        .gaussian_kernel(1.0 / gamma)
        .eps(1e-7)
        .fit(&data)
        .map_err(failed)?;
    let points = model
        .alpha
        .iter()
        .zip(rows)
        .filter(|(a, _)| **a > 0.0)
        .map(|(a, row)| (*a, row.clone()))
        .collect();
    Ok(Support {
        gamma,
        border: model.rho,
        points,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use linfa::traits::Predict;

    #[test]
    fn the_support_vectors_say_what_linfa_says() {
        let rows: Vec<Vec<f64>> = (0..80).map(|i| vec![f64::from(i * i % 17), f64::from(i % 9)]).collect();
        let settings = OneClassSettings {
            nu: 0.2,
            gamma: Some(0.05),
            scale: false,
        };
        let ours = one_class(&rows, &settings).unwrap();
        let records = Array2::from_shape_fn((80, 2), |(row, column)| rows[row][column]);
        let data = DatasetBase::new(records, Array1::from_elem(80, ()));
        let params = Svm::<f64, Pr>::params().nu_weight(0.2).gaussian_kernel(20.0).eps(1e-7);
        let theirs: Svm<f64, bool> = params.fit(&data).unwrap();
        for point in [[3.0, 3.0], [8.0, 4.0], [40.0, 40.0], [16.0, 0.0]] {
            let inside = theirs.predict(Array1::from_vec(point.to_vec()));
            let sum = theirs.weighted_sum(&Array1::from_vec(point.to_vec()));
            assert!((ours.likeness(&point) - sum).abs() < 1e-9, "{point:?}");
            assert_eq!(ours.likeness(&point) >= ours.border, inside);
        }
    }
}
