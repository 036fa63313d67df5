//! What remains of a model once it is trained: numbers, and how to answer from them.

use crate::learner::{first_largest, nearest, softmax};
use crate::online::sigmoid;
use crate::{Label, ModelError, Prediction};
use serde::{Deserialize, Serialize};

/// A variance below this is taken for this when it is divided by.
const LEAST_VARIANCE: f64 = 1e-12;

/// A linear function for a number, or one for each class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Linear {
    pub(super) weights: Vec<Vec<f64>>,
    pub(super) intercepts: Vec<f64>,
}

impl Linear {
    fn at(&self, row: usize, inputs: &[f64]) -> f64 {
        self.weights[row].iter().zip(inputs).map(|(w, x)| w * x).sum::<f64>() + self.intercepts[row]
    }

    pub(super) fn number(&self, inputs: &[f64]) -> Prediction {
        Prediction::Number(self.at(0, inputs))
    }

    /// One function: the logarithm of the odds of the second of two classes. More: one for each class.
    pub(super) fn class(&self, inputs: &[f64]) -> Prediction {
        if self.weights.len() == 1 {
            let p = sigmoid(self.at(0, inputs));
            return Prediction::from_probabilities(vec![1.0 - p, p]);
        }
        let logs: Vec<f64> = (0..self.weights.len()).map(|row| self.at(row, inputs)).collect();
        Prediction::from_probabilities(softmax(&logs))
    }

    pub(super) fn fits(&self, width: usize, rows: usize) -> bool {
        let finite = self
            .weights
            .iter()
            .flatten()
            .chain(&self.intercepts)
            .all(|w| !w.is_nan());
        finite
            && self.weights.len() == rows
            && self.intercepts.len() == rows
            && self.weights.iter().all(|w| w.len() == width)
    }
}

/// A node of a tree; the children come after their parent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum TreeNode {
    /// The answer: a number, or the index of a class.
    Leaf(f64),
    /// At or below the threshold goes left.
    Split {
        feature: u32,
        threshold: f64,
        left: u32,
        right: u32,
    },
}

/// Trees that vote or whose answers are averaged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Forest {
    pub(super) trees: Vec<Vec<TreeNode>>,
}

impl Forest {
    fn answer(tree: &[TreeNode], inputs: &[f64]) -> f64 {
        let mut node = 0;
        loop {
            match tree[node] {
                TreeNode::Leaf(answer) => return answer,
                TreeNode::Split {
                    feature,
                    threshold,
                    left,
                    right,
                } => {
                    node = if inputs[feature as usize] <= threshold {
                        left
                    } else {
                        right
                    } as usize;
                }
            }
        }
    }

    pub(super) fn number(&self, inputs: &[f64]) -> Prediction {
        let sum: f64 = self.trees.iter().map(|t| Self::answer(t, inputs)).sum();
        Prediction::Number(sum / self.trees.len() as f64)
    }

    /// The shares of the votes.
    pub(super) fn class(&self, inputs: &[f64], classes: usize) -> Prediction {
        let mut votes = vec![0.0; classes];
        self.trees
            .iter()
            .for_each(|t| votes[Self::answer(t, inputs) as usize] += 1.0);
        votes.iter_mut().for_each(|v| *v /= self.trees.len() as f64);
        Prediction::from_probabilities(votes)
    }

    /// Whether every walk ends: children are in the tree and come after their parent; classes exist.
    pub(super) fn fits(&self, width: usize, classes: Option<usize>) -> bool {
        !self.trees.is_empty()
            && self.trees.iter().all(|tree| {
                !tree.is_empty()
                    && tree.iter().enumerate().all(|(index, node)| match *node {
                        TreeNode::Leaf(answer) => {
                            classes.map_or(answer.is_finite(), |c| answer >= 0.0 && answer < c as f64)
                        }
                        TreeNode::Split {
                            feature, left, right, ..
                        } => {
                            let after = |child: u32| (child as usize) > index && (child as usize) < tree.len();
                            (feature as usize) < width && after(left) && after(right)
                        }
                    })
            })
    }
}

/// Normal distributions of the features in each class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Bayes {
    /// For each class that came: its index, its share, the means and the variances.
    pub(super) classes: Vec<(usize, f64, Vec<f64>, Vec<f64>)>,
}

impl Bayes {
    pub(super) fn class(&self, inputs: &[f64], classes: usize) -> Prediction {
        let mut logs = vec![f64::NEG_INFINITY; classes];
        for (class, share, means, variances) in &self.classes {
            let mut log = share.ln();
            for ((mean, variance), x) in means.iter().zip(variances).zip(inputs) {
                let variance = variance.max(LEAST_VARIANCE);
                log -= 0.5 * ((std::f64::consts::TAU * variance).ln() + (x - mean) * (x - mean) / variance);
            }
            logs[*class] = log;
        }
        Prediction::from_probabilities(softmax(&logs))
    }

    pub(super) fn fits(&self, width: usize, classes: usize) -> bool {
        !self.classes.is_empty()
            && self.classes.iter().all(|(class, _, means, variances)| {
                *class < classes && means.len() == width && variances.len() == width
            })
    }
}

/// The examples themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Neighbours {
    pub(super) k: usize,
    pub(super) points: Vec<Vec<f64>>,
    pub(super) labels: Vec<Label>,
}

impl Neighbours {
    /// The nearest examples by Euclidean distance; of equally near ones the earlier.
    fn nearest(&self, inputs: &[f64]) -> Vec<Label> {
        let distance = |point: &[f64]| point.iter().zip(inputs).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
        let mut order: Vec<(f64, usize)> = self
            .points
            .iter()
            .enumerate()
            .map(|(index, point)| (distance(point), index))
            .collect();
        let by = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if self.k < order.len() {
            order.select_nth_unstable_by(self.k - 1, by);
            order.truncate(self.k);
        }
        order.sort_unstable_by(by);
        order.into_iter().map(|(_, index)| self.labels[index]).collect()
    }

    pub(super) fn number(&self, inputs: &[f64]) -> Result<Prediction, ModelError> {
        let near: Vec<f64> = self
            .nearest(inputs)
            .iter()
            .map(Label::as_number)
            .collect::<Result<_, _>>()?;
        Ok(Prediction::Number(near.iter().sum::<f64>() / near.len() as f64))
    }

    pub(super) fn class(&self, inputs: &[f64], classes: usize) -> Result<Prediction, ModelError> {
        let mut votes = vec![0.0; classes];
        for label in self.nearest(inputs) {
            votes[label.as_class(classes)?] += 1.0 / self.k as f64;
        }
        Ok(Prediction::Class {
            class: first_largest(&votes),
            probabilities: votes,
        })
    }

    pub(super) fn fits(&self, width: usize) -> bool {
        (1..=self.points.len()).contains(&self.k)
            && self.points.len() == self.labels.len()
            && self.points.iter().all(|p| p.len() == width)
    }
}

/// Centres of clusters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Centres {
    pub(super) centres: Vec<Vec<f64>>,
}

impl Centres {
    pub(super) fn cluster(&self, inputs: &[f64]) -> Prediction {
        nearest(&self.centres, inputs)
    }

    pub(super) fn fits(&self, width: usize) -> bool {
        !self.centres.is_empty()
            && self
                .centres
                .iter()
                .all(|c| c.len() == width && c.iter().all(|v| v.is_finite()))
    }
}

/// Examples that stand for all, with their weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Support {
    pub(super) gamma: f64,
    /// The weighted likeness at the border between usual and unusual.
    pub(super) border: f64,
    pub(super) points: Vec<(f64, Vec<f64>)>,
}

impl Support {
    /// The weighted likeness to the examples.
    pub(super) fn likeness(&self, inputs: &[f64]) -> f64 {
        let distance = |point: &[f64]| point.iter().zip(inputs).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
        self.points
            .iter()
            .map(|(weight, point)| weight * (-self.gamma * distance(point)).exp())
            .sum()
    }

    /// 1 for what is like nothing, one half at the border, 0 for what is twice as usual as that.
    pub(super) fn anomaly(&self, inputs: &[f64]) -> Prediction {
        Prediction::Anomaly {
            score: (1.0 - self.likeness(inputs) / (2.0 * self.border)).clamp(0.0, 1.0),
        }
    }

    pub(super) fn fits(&self, width: usize) -> bool {
        let finite = |p: &(f64, Vec<f64>)| p.0.is_finite() && p.1.len() == width && p.1.iter().all(|x| x.is_finite());
        self.gamma.is_finite() && self.border.is_finite() && self.border > 0.0 && self.points.iter().all(finite)
    }
}
