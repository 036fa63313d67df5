//! What smartcore trains: linear regression, random forests, naive Bayes, k-means.
//!
//! Each function takes a table of numbers and gives back plain numbers; no type of smartcore crosses this file. The
//! trees of a forest are read out of its serialised form, because smartcore does not lend them; a test compares what
//! comes out with what smartcore itself predicts.

use super::plain::{Bayes, Centres, Forest, Linear, TreeNode};
use super::{ForestSettings, KMeansSettings};
use crate::{ModelError, state};
use serde::Deserialize;
use smartcore::cluster::kmeans::{KMeans, KMeansParameters};
use smartcore::ensemble::random_forest_classifier::{RandomForestClassifier, RandomForestClassifierParameters};
use smartcore::ensemble::random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::linear_regression::{LinearRegression, LinearRegressionParameters, LinearRegressionSolverName};
use smartcore::naive_bayes::gaussian::GaussianNB;

type Matrix = DenseMatrix<f64>;
type ForestOfClasses = RandomForestClassifier<f64, u32, Matrix, Vec<u32>>;
type ForestOfNumbers = RandomForestRegressor<f64, f64, Matrix, Vec<f64>>;

fn failed(error: impl std::fmt::Display) -> ModelError {
    ModelError::Training(error.to_string())
}

fn matrix(rows: &[Vec<f64>]) -> Result<Matrix, ModelError> {
    DenseMatrix::from_2d_vec(&rows.to_vec()).map_err(failed)
}

fn small(classes: &[usize]) -> Result<Vec<u32>, ModelError> {
    classes.iter().map(|c| u32::try_from(*c).map_err(failed)).collect()
}

/// Least squares by singular value decomposition, which takes features that depend on one another.
pub(super) fn linear(rows: &[Vec<f64>], numbers: &[f64]) -> Result<Linear, ModelError> {
    let settings = LinearRegressionParameters {
        solver: LinearRegressionSolverName::SVD,
    };
    let model = LinearRegression::fit(&matrix(rows)?, &numbers.to_vec(), settings).map_err(failed)?;
    let weights: Vec<f64> = model.coefficients().iterator(0).copied().collect();
    Ok(Linear {
        weights: vec![weights],
        intercepts: vec![*model.intercept()],
    })
}

pub(super) fn bayes(rows: &[Vec<f64>], classes: &[usize]) -> Result<Bayes, ModelError> {
    let model = GaussianNB::fit(&matrix(rows)?, &small(classes)?, Default::default()).map_err(failed)?;
    let classes = model
        .classes()
        .iter()
        .enumerate()
        .map(|(i, class)| {
            (
                *class as usize,
                model.class_priors()[i],
                model.theta()[i].clone(),
                model.var()[i].clone(),
            )
        })
        .collect();
    Ok(Bayes { classes })
}

/// The fields of smartcore's k-means, in its order.
#[derive(Deserialize)]
struct KMeansFields {
    _k: usize,
    _y: Vec<usize>,
    _size: Vec<usize>,
    _distortion: f64,
    centroids: Vec<Vec<f64>>,
}

pub(super) fn kmeans(rows: &[Vec<f64>], settings: &KMeansSettings, seed: u64) -> Result<Centres, ModelError> {
    let parameters = KMeansParameters {
        k: settings.clusters,
        max_iter: settings.iterations,
        seed: Some(seed),
    };
    let model: KMeans<f64, u32, Matrix, Vec<u32>> = KMeans::fit(&matrix(rows)?, parameters).map_err(failed)?;
    let fields: KMeansFields = state::decode(&state::encode(&model)?)?;
    Ok(Centres {
        centres: fields.centroids,
    })
}

#[derive(Deserialize)]
struct ClassNode {
    output: usize,
    _samples: usize,
    split_feature: usize,
    split_value: Option<f64>,
    _split_score: Option<f64>,
    true_child: Option<usize>,
    false_child: Option<usize>,
    _impurity: Option<f64>,
}

/// Criterion, depth, samples in a leaf and at a split, seed.
type ClassParameters = (u32, Option<u16>, usize, usize, Option<u64>);

/// Depth, samples in a leaf and at a split, seed, splitter.
type NumberParameters = (Option<u16>, usize, usize, Option<u64>, u32);

#[derive(Deserialize)]
struct ClassTree {
    nodes: Vec<ClassNode>,
    _parameters: Option<ClassParameters>,
    _num_classes: usize,
    _classes: Vec<u32>,
    _depth: u16,
    _num_features: usize,
}

#[derive(Deserialize)]
struct ClassForest {
    trees: Option<Vec<ClassTree>>,
    classes: Option<Vec<u32>>,
    _samples: Option<Vec<Vec<bool>>>,
}

#[derive(Deserialize)]
struct NumberNode {
    output: f64,
    split_feature: usize,
    split_value: Option<f64>,
    _split_score: Option<f64>,
    true_child: Option<usize>,
    false_child: Option<usize>,
}

#[derive(Deserialize)]
struct NumberTree {
    nodes: Vec<NumberNode>,
    _parameters: Option<NumberParameters>,
    _depth: u16,
    _root_mass: f64,
}

#[derive(Deserialize)]
struct NumberForest {
    trees: Option<Vec<NumberTree>>,
    _num_features: Option<usize>,
    _samples: Option<Vec<Vec<bool>>>,
}

fn node(
    output: f64,
    feature: usize,
    threshold: Option<f64>,
    children: (Option<usize>, Option<usize>),
) -> Result<TreeNode, ModelError> {
    let small = |n: usize| u32::try_from(n).map_err(failed);
    match children {
        (Some(left), Some(right)) => Ok(TreeNode::Split {
            feature: small(feature)?,
            threshold: threshold.unwrap_or(f64::NAN),
            left: small(left)?,
            right: small(right)?,
        }),
        _ => Ok(TreeNode::Leaf(output)),
    }
}

fn fit_classes(
    rows: &[Vec<f64>],
    classes: &[usize],
    settings: &ForestSettings,
    seed: u64,
) -> Result<ForestOfClasses, ModelError> {
    let parameters = RandomForestClassifierParameters {
        max_depth: settings.max_depth,
        min_samples_leaf: settings.min_samples_leaf,
        min_samples_split: settings.min_samples_split,
        n_trees: settings.trees,
        m: settings.features_per_split,
        seed,
        ..Default::default()
    };
    RandomForestClassifier::fit(&matrix(rows)?, &small(classes)?, parameters).map_err(failed)
}

fn fit_numbers(
    rows: &[Vec<f64>],
    numbers: &[f64],
    settings: &ForestSettings,
    seed: u64,
) -> Result<ForestOfNumbers, ModelError> {
    let parameters = RandomForestRegressorParameters {
        max_depth: settings.max_depth,
        min_samples_leaf: settings.min_samples_leaf,
        min_samples_split: settings.min_samples_split,
        n_trees: usize::from(settings.trees),
        m: settings.features_per_split,
        keep_samples: false,
        seed,
    };
    RandomForestRegressor::fit(&matrix(rows)?, &numbers.to_vec(), parameters).map_err(failed)
}

fn read_classes(model: &ForestOfClasses) -> Result<Forest, ModelError> {
    let fields: ClassForest = state::decode(&state::encode(model)?)?;
    let classes = fields.classes.unwrap_or_default();
    let leaf = |n: &ClassNode| {
        <[u32]>::get(&classes, n.output)
            .map(|c| f64::from(*c))
            .ok_or_else(|| failed("no such class"))
    };
    let tree = |t: ClassTree| {
        t.nodes
            .iter()
            .map(|n| node(leaf(n)?, n.split_feature, n.split_value, (n.true_child, n.false_child)))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(Forest {
        trees: fields
            .trees
            .unwrap_or_default()
            .into_iter()
            .map(tree)
            .collect::<Result<_, _>>()?,
    })
}

fn read_numbers(model: &ForestOfNumbers) -> Result<Forest, ModelError> {
    let fields: Option<NumberForest> = state::decode(&state::encode(model)?)?;
    let tree = |t: NumberTree| {
        t.nodes
            .iter()
            .map(|n| node(n.output, n.split_feature, n.split_value, (n.true_child, n.false_child)))
            .collect::<Result<Vec<_>, _>>()
    };
    let trees = fields.and_then(|f| f.trees).unwrap_or_default();
    Ok(Forest {
        trees: trees.into_iter().map(tree).collect::<Result<_, _>>()?,
    })
}

pub(super) fn forest_of_classes(
    rows: &[Vec<f64>],
    classes: &[usize],
    settings: &ForestSettings,
    seed: u64,
) -> Result<Forest, ModelError> {
    read_classes(&fit_classes(rows, classes, settings, seed)?)
}

pub(super) fn forest_of_numbers(
    rows: &[Vec<f64>],
    numbers: &[f64],
    settings: &ForestSettings,
    seed: u64,
) -> Result<Forest, ModelError> {
    read_numbers(&fit_numbers(rows, numbers, settings, seed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<f64>> {
        (0..120)
            .map(|i| vec![f64::from(i % 11), f64::from(i % 7) / 3.0, f64::from(i * i % 13)])
            .collect()
    }

    #[test]
    fn the_trees_read_out_of_a_forest_predict_what_smartcore_predicts() {
        let rows = rows();
        let settings = ForestSettings {
            trees: 9,
            ..Default::default()
        };
        let classes: Vec<usize> = rows
            .iter()
            .map(|r| usize::from(r[0] + r[1] > 6.0) + usize::from(r[2] > 9.0))
            .collect();
        let theirs = fit_classes(&rows, &classes, &settings, 3).unwrap();
        let ours = read_classes(&theirs).unwrap();
        assert_eq!(ours.trees.len(), 9);
        assert!(ours.fits(3, Some(3)));
        let predicted = theirs.predict(&matrix(&rows).unwrap()).unwrap();
        for (row, class) in rows.iter().zip(predicted) {
            assert_eq!(ours.class(row, 3).class(), Some(class as usize));
        }
        let numbers: Vec<f64> = rows.iter().map(|r| r[0] * 2.0 - r[1] * r[2]).collect();
        let theirs = fit_numbers(&rows, &numbers, &settings, 3).unwrap();
        let ours = read_numbers(&theirs).unwrap();
        assert!(ours.fits(3, None));
        let predicted = theirs.predict(&matrix(&rows).unwrap()).unwrap();
        for (row, number) in rows.iter().zip(predicted) {
            assert!((ours.number(row).number().unwrap() - number).abs() < 1e-12);
        }
    }
}
