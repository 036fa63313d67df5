//! Half-space trees: how unusual is an event, seen against the window before?
//!
//! S. C. Tan, K. M. Ting and T. F. Liu, "Fast anomaly detection for streaming data", IJCAI 2011. Each tree halves the
//! space of the features at random places; the events of a window are counted in each half-space, and an event that
//! lies where few came in the last full window is unusual. The arithmetic is river's `HalfSpaceTrees`; the places of
//! the cuts come from the seed by another generator than Python's.

use crate::error::at_least;
use crate::{FeatureKind, Label, Learner, ModelError, Prediction, Predictor, Schema, Target};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// Settings of [`HalfSpaceTrees`]. The defaults are river's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HalfSpaceTreesSettings {
    /// Number of trees: 10.
    pub trees: usize,
    /// Cuts from the root to a leaf, up to 20: 8.
    pub height: u32,
    /// Events in a window: 250.
    pub window: u64,
    /// The smallest and largest value of each feature, in the order of the schema; 0 to 1 when empty.
    pub limits: Vec<(f64, f64)>,
    /// Seed of the places of the cuts.
    pub seed: u64,
}

impl Default for HalfSpaceTreesSettings {
    fn default() -> Self {
        Self {
            trees: 10,
            height: 8,
            window: 250,
            limits: Vec::new(),
            seed: 0,
        }
    }
}

/// A cut of the space: events whose `feature` is below `threshold` go left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// Index of the feature.
    pub feature: usize,
    /// Where it is cut.
    pub threshold: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tree {
    /// The inner nodes of a complete binary tree: the children of node *i* are 2*i*+1 and 2*i*+2.
    cuts: Vec<Cut>,
    /// Events in the last full window, for each node.
    reference: Vec<u64>,
    /// Events in the window that is filling.
    filling: Vec<u64>,
}

impl Tree {
    fn new(cuts: Vec<Cut>) -> Self {
        let nodes = cuts.len() * 2 + 1;
        Self {
            cuts,
            reference: vec![0; nodes],
            filling: vec![0; nodes],
        }
    }

    fn child(&self, node: usize, features: &[f64]) -> Option<usize> {
        let cut = self.cuts.get(node)?;
        Some(if features[cut.feature] < cut.threshold {
            2 * node + 1
        } else {
            2 * node + 2
        })
    }

    fn learn(&mut self, features: &[f64]) {
        let mut node = 0;
        loop {
            self.filling[node] += 1;
            match self.child(node, features) {
                Some(child) => node = child,
                None => return,
            }
        }
    }

    /// Sum over the path of the count times two to the depth; the path ends early where fewer than `least` came.
    fn mass(&self, features: &[f64], least: f64) -> f64 {
        let (mut node, mut weight, mut sum) = (0, 1.0, 0.0);
        loop {
            let count = self.reference[node] as f64;
            sum += count * weight;
            match self.child(node, features) {
                Some(child) if count >= least => node = child,
                _ => return sum,
            }
            weight *= 2.0;
        }
    }

    fn turn_window(&mut self) {
        std::mem::swap(&mut self.reference, &mut self.filling);
        self.filling.fill(0);
    }
}

/// Half-space trees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HalfSpaceTrees {
    schema: Schema,
    window: u64,
    height: u32,
    trees: Vec<Tree>,
    in_window: u64,
    learned: u64,
}

impl HalfSpaceTrees {
    /// Roughly how many bytes its state takes.
    pub fn state_bytes(&self) -> usize {
        self.trees
            .iter()
            .map(|tree| tree.cuts.len() * size_of::<Cut>() + tree.reference.len() * 2 * size_of::<u64>())
            .sum()
    }

    /// Trees whose cuts are drawn from the seed.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range, [`ModelError::Schema`] when the target is not
    /// [`Target::Anomaly`] or a feature is a category.
    pub fn new(schema: Schema, settings: HalfSpaceTreesSettings) -> Result<Self, ModelError> {
        at_least("trees", settings.trees, 1)?;
        if !(1..=20).contains(&settings.height) {
            return Err(ModelError::setting("height", "1 to 20", settings.height));
        }
        let limits = if settings.limits.is_empty() {
            vec![(0.0, 1.0); schema.width()]
        } else {
            settings.limits
        };
        if limits.len() != schema.width() {
            let got = format!("{} for {} features", limits.len(), schema.width());
            return Err(ModelError::setting("limits", "one pair for each feature", got));
        }
        if limits
            .iter()
            .any(|(low, high)| !(low.is_finite() && high.is_finite() && low < high))
        {
            return Err(ModelError::setting(
                "limits",
                "finite, the first below the second",
                format!("{limits:?}"),
            ));
        }
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(settings.seed);
        let cuts = (0..settings.trees)
            .map(|_| {
                let mut cuts = vec![
                    Cut {
                        feature: 0,
                        threshold: 0.0
                    };
                    (1 << settings.height) - 1
                ];
                draw_cuts(&mut cuts, 0, &mut limits.clone(), &mut generator);
                cuts
            })
            .collect();
        Self::with_cuts(schema, settings.window, cuts)
    }

    /// Trees with given cuts: each the inner nodes of a complete binary tree from the root down, level by level.
    ///
    /// # Errors
    /// As [`HalfSpaceTrees::new`], and [`ModelError::Setting`] when the trees are not complete, not of one height, or
    /// cut a feature that is not there.
    pub fn with_cuts(schema: Schema, window: u64, trees: Vec<Vec<Cut>>) -> Result<Self, ModelError> {
        if *schema.target() != Target::Anomaly {
            return Err(ModelError::Schema(
                "half-space trees need anomaly as their target".into(),
            ));
        }
        if let Some(feature) = schema.features().iter().find(|f| f.kind != FeatureKind::Number) {
            return Err(ModelError::Schema(format!(
                "half-space trees need numbers, `{}` is a category",
                feature.name
            )));
        }
        at_least("window", window as usize, 1)?;
        let nodes = trees.first().map_or(0, Vec::len);
        let complete = nodes > 0 && (nodes + 1).is_power_of_two();
        if !complete || trees.iter().any(|t| t.len() != nodes) {
            return Err(ModelError::setting("cuts", "complete trees of one height", nodes));
        }
        if trees
            .iter()
            .flatten()
            .any(|c| c.feature >= schema.width() || !c.threshold.is_finite())
        {
            return Err(ModelError::setting("cuts", "at a feature of the schema", "another"));
        }
        let height = (nodes + 1).trailing_zeros();
        let trees = trees.into_iter().map(Tree::new).collect();
        Ok(Self {
            schema,
            window,
            height,
            trees,
            in_window: 0,
            learned: 0,
        })
    }
}

/// A number from 0 (included) to 1 (not included), from the upper 53 bits.
fn unit(generator: &mut Xoshiro256PlusPlus) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Draws the cuts below `node`: the feature with a chance in proportion to its range, the place in the middle 70 %.
fn draw_cuts(cuts: &mut [Cut], node: usize, limits: &mut [(f64, f64)], generator: &mut Xoshiro256PlusPlus) {
    if node >= cuts.len() {
        return;
    }
    let total: f64 = limits.iter().map(|(low, high)| high - low).sum();
    let mut left = unit(generator) * total;
    let mut feature = limits.len() - 1;
    for (index, (low, high)) in limits.iter().enumerate() {
        left -= high - low;
        if left < 0.0 {
            feature = index;
            break;
        }
    }
    let (low, high) = limits[feature];
    let padding = 0.15 * (high - low);
    let threshold = low + padding + unit(generator) * (high - low - 2.0 * padding);
    cuts[node] = Cut { feature, threshold };
    limits[feature] = (low, threshold);
    draw_cuts(cuts, 2 * node + 1, limits, generator);
    limits[feature] = (threshold, high);
    draw_cuts(cuts, 2 * node + 2, limits, generator);
    limits[feature] = (low, high);
}

impl Predictor for HalfSpaceTrees {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The score, 0 until the first window is full.
    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
        self.schema.check(features)?;
        if self.learned < self.window {
            return Ok(Prediction::Anomaly { score: 0.0 });
        }
        let least = 0.1 * self.window as f64;
        let mass: f64 = self.trees.iter().map(|t| t.mass(features, least)).sum();
        let most = self.trees.len() as f64 * self.window as f64 * (f64::from(self.height + 1).exp2() - 1.0);
        Ok(Prediction::Anomaly {
            score: 1.0 - mass / most,
        })
    }
}

impl Learner for HalfSpaceTrees {
    fn learn(&mut self, features: &[f64], label: Label) -> Result<(), ModelError> {
        if label != Label::None {
            return Err(ModelError::LabelKind {
                expected: "nothing",
                got: label.kind(),
            });
        }
        self.schema.check(features)?;
        self.trees.iter_mut().for_each(|t| t.learn(features));
        self.learned += 1;
        self.in_window += 1;
        if self.in_window == self.window {
            self.trees.iter_mut().for_each(Tree::turn_window);
            self.in_window = 0;
        }
        Ok(())
    }

    fn learned(&self) -> u64 {
        self.learned
    }
}
