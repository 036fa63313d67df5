//! The Hoeffding tree: a decision tree that grows while events pass.
//!
//! P. Domingos and G. Hulten, "Mining high-speed data streams", KDD 2000; leaves that choose between the majority
//! class and naive Bayes after G. Holmes, R. Kirkby and B. Pfahringer, "Stress-testing Hoeffding trees", PKDD 2005. A
//! leaf keeps, for each feature and class, a normal distribution (or the counts of the categories); every so many
//! events it looks for the split with the largest gain of information, and splits when Hoeffding's bound says that
//! the best is better than the second best.
//!
//! The arithmetic is river's `HoeffdingTreeClassifier`, with two stated differences: a class of which a leaf has no
//! example has no say in its naive Bayes vote (in river it outvotes the others), and there is no limit on memory
//! (river's acts from the millionth example on).

use crate::error::{at_least, not_negative, open_unit};
use crate::learner::first_largest;
use crate::{FeatureKind, Label, Learner, ModelError, Prediction, Predictor, Schema, Target};
use serde::{Deserialize, Serialize};

/// What a leaf answers with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LeafPrediction {
    /// The shares of the classes.
    MajorityClass,
    /// Naive Bayes on the features.
    NaiveBayes,
    /// Whichever of the two has been right more often in this leaf.
    #[default]
    Adaptive,
}

/// Settings of [`HoeffdingTree`]. The defaults are river's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HoeffdingTreeSettings {
    /// Events in a leaf between two attempts to split it: 200.
    pub grace_period: u64,
    /// Probability that a split is not the best, between 0 and 1: 1e-7.
    pub delta: f64,
    /// The bound below which two splits count as equally good and the first is taken: 0.05.
    pub tau: f64,
    /// Cuts from the root to a leaf: 900.
    pub max_depth: u32,
    /// What a leaf answers with.
    pub leaf_prediction: LeafPrediction,
    /// Places at which a number is tried as a cut: 10.
    pub numeric_cuts: u32,
    /// Only two branches at a category: no.
    pub binary_split: bool,
    /// Least share of the events that a branch must get: 0.01.
    pub min_branch_fraction: f64,
    /// No split while one class has more than this share: 0.99.
    pub max_share_to_split: f64,
}

impl Default for HoeffdingTreeSettings {
    fn default() -> Self {
        Self {
            grace_period: 200,
            delta: 1e-7,
            tau: 0.05,
            max_depth: 900,
            leaf_prediction: LeafPrediction::Adaptive,
            numeric_cuts: 10,
            binary_split: false,
            min_branch_fraction: 0.01,
            max_share_to_split: 0.99,
        }
    }
}

/// Weights of classes, in the order in which the classes came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Classes(Vec<(usize, f64)>);

impl Classes {
    fn add(&mut self, class: usize, weight: f64) {
        match self.0.iter_mut().find(|(c, _)| *c == class) {
            Some((_, w)) => *w += weight,
            None => self.0.push((class, weight)),
        }
    }

    fn total(&self) -> f64 {
        self.0.iter().map(|(_, w)| w).sum()
    }

    fn largest(&self) -> f64 {
        self.0.iter().map(|(_, w)| *w).fold(0.0, f64::max)
    }

    fn is_pure(&self) -> bool {
        self.0.iter().filter(|(_, w)| *w != 0.0).count() < 2
    }

    fn entropy(&self) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for (_, weight) in &self.0 {
            if *weight > 0.0 {
                sum -= weight * weight.log2();
                total += weight;
            }
        }
        if total > 0.0 {
            (sum + total * total.log2()) / total
        } else {
            0.0
        }
    }

    /// The first class of the largest weight.
    fn majority(&self) -> Option<usize> {
        let weights: Vec<f64> = self.0.iter().map(|(_, w)| *w).collect();
        self.0.get(first_largest(&weights)).map(|(class, _)| *class)
    }

    fn shares(&self) -> Self {
        let total = self.total();
        if total == 0.0 {
            self.clone()
        } else {
            Self(self.0.iter().map(|(c, w)| (*c, w / total)).collect())
        }
    }
}

/// Gain of information of a split, none when fewer than two branches get enough.
fn merit(before: &Classes, branches: &[Classes], least_share: f64) -> f64 {
    let totals: Vec<f64> = branches.iter().map(Classes::total).collect();
    let total: f64 = totals.iter().sum();
    if total <= 0.0 || totals.iter().filter(|t| **t / total > least_share).count() < 2 {
        return f64::NEG_INFINITY;
    }
    let after: f64 = branches.iter().zip(&totals).map(|(b, t)| t * b.entropy()).sum();
    before.entropy() - after / total
}

/// A normal distribution of the values of one feature in one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Normal {
    class: usize,
    count: f64,
    mean: f64,
    squares: f64,
    least: f64,
    most: f64,
}

impl Normal {
    fn add(&mut self, value: f64) {
        let before = self.mean;
        self.count += 1.0;
        self.mean += 1.0 / self.count * (value - self.mean);
        self.squares += (value - before) * (value - self.mean);
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    fn variance(&self) -> f64 {
        if self.count > 1.0 {
            self.squares / (self.count - 1.0)
        } else {
            0.0
        }
    }

    fn log_density(&self, value: f64) -> Option<f64> {
        let variance = self.variance();
        if variance <= 0.0 {
            return None;
        }
        let distance = value - self.mean;
        let log = distance * distance / (-2.0 * variance) - 0.5 * std::f64::consts::TAU.ln() - 0.5 * variance.ln();
        // Numbers so large that their squares are infinite say nothing.
        log.is_finite().then_some(log)
    }

    /// How many of the values are at or below a cut, by the distribution.
    fn below(&self, cut: f64) -> f64 {
        let deviation = self.variance().sqrt();
        if deviation == 0.0 || !deviation.is_finite() || !self.mean.is_finite() {
            return 0.0;
        }
        let z = (cut - self.mean) / deviation;
        0.5 * (1.0 + libm::erf(z / std::f64::consts::SQRT_2)) * self.count
    }
}

/// What a leaf knows of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Observer {
    Number(Vec<Normal>),
    /// For each class the weight of each category.
    Category(Vec<(usize, Classes)>),
}

struct Split {
    merit: f64,
    test: Test,
    branches: Vec<Classes>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Test {
    /// At or below the threshold goes to the first branch, above it to the second.
    Threshold { feature: usize, threshold: f64 },
    /// This category goes to the first branch, all others to the second.
    Is { feature: usize, category: usize },
    /// A branch for each category.
    Which { feature: usize, categories: Vec<usize> },
}

impl Test {
    /// The branch of an event; none for a category that no branch knows.
    fn branch(&self, features: &[f64]) -> Option<usize> {
        match self {
            Self::Threshold { feature, threshold } => Some(usize::from(features[*feature] > *threshold)),
            Self::Is { feature, category } => Some(usize::from(features[*feature] != *category as f64)),
            Self::Which { feature, categories } => categories.iter().position(|c| *c as f64 == features[*feature]),
        }
    }
}

impl Observer {
    fn of(kind: &FeatureKind) -> Self {
        match kind {
            FeatureKind::Number => Self::Number(Vec::new()),
            FeatureKind::Category(_) => Self::Category(Vec::new()),
        }
    }

    fn add(&mut self, value: f64, class: usize) {
        match self {
            Self::Number(normals) => match normals.iter_mut().find(|n| n.class == class) {
                Some(normal) => normal.add(value),
                None => {
                    let normal = Normal {
                        class,
                        count: 1.0,
                        mean: value,
                        squares: 0.0,
                        least: value,
                        most: value,
                    };
                    normals.push(normal);
                }
            },
            Self::Category(counts) => match counts.iter_mut().find(|(c, _)| *c == class) {
                Some((_, categories)) => categories.add(value as usize, 1.0),
                None => counts.push((class, Classes(vec![(value as usize, 1.0)]))),
            },
        }
    }

    /// Logarithm of the probability of a value in a class, if anything is known of it.
    fn log_probability(&self, value: f64, class: usize) -> Option<f64> {
        match self {
            Self::Number(normals) => normals.iter().find(|n| n.class == class)?.log_density(value),
            Self::Category(counts) => {
                let (_, categories) = counts.iter().find(|(c, _)| *c == class)?;
                let (_, weight) = categories.0.iter().find(|(c, _)| *c == value as usize)?;
                Some((weight / categories.total()).ln())
            }
        }
    }

    fn best_split(&self, feature: usize, before: &Classes, settings: &HoeffdingTreeSettings) -> Option<Split> {
        let mut best: Option<Split> = None;
        let mut consider = |test: Test, branches: Vec<Classes>, must: bool| {
            let merit = merit(before, &branches, settings.min_branch_fraction);
            let better = best
                .as_ref()
                .map_or(must || merit > f64::NEG_INFINITY, |b| merit > b.merit);
            if better {
                best = Some(Split { merit, test, branches });
            }
        };
        match self {
            Self::Number(normals) => {
                for threshold in candidate_cuts(normals, settings.numeric_cuts) {
                    consider(Test::Threshold { feature, threshold }, cut(normals, threshold), false);
                }
            }
            Self::Category(counts) => {
                let categories: std::collections::BTreeSet<usize> = counts
                    .iter()
                    .flat_map(|(_, c)| c.0.iter().map(|(category, _)| *category))
                    .collect();
                let of = |wanted: &dyn Fn(usize) -> bool| {
                    let mut classes = Classes::default();
                    for (class, categories) in counts {
                        for (category, weight) in &categories.0 {
                            if wanted(*category) {
                                classes.add(*class, *weight);
                            }
                        }
                    }
                    classes
                };
                if !settings.binary_split {
                    let branches = categories.iter().map(|c| of(&|other| other == *c)).collect();
                    consider(
                        Test::Which {
                            feature,
                            categories: categories.iter().copied().collect(),
                        },
                        branches,
                        true,
                    );
                }
                for &category in &categories {
                    let branches = vec![of(&|other| other == category), of(&|other| other != category)];
                    consider(Test::Is { feature, category }, branches, false);
                }
            }
        }
        best
    }
}

fn candidate_cuts(normals: &[Normal], cuts: u32) -> Vec<f64> {
    let least = normals.iter().map(|n| n.least).fold(f64::INFINITY, f64::min);
    let most = normals.iter().map(|n| n.most).fold(f64::NEG_INFINITY, f64::max);
    let width = (most - least) / (f64::from(cuts) + 1.0);
    (0..cuts)
        .map(|i| least + width * f64::from(i + 1))
        .filter(|c| least < *c && *c < most)
        .collect()
}

/// What would come to the two sides of a cut.
fn cut(normals: &[Normal], threshold: f64) -> Vec<Classes> {
    let (mut left, mut right) = (Classes::default(), Classes::default());
    for normal in normals {
        if threshold < normal.least {
            right.add(normal.class, normal.count);
        } else if threshold >= normal.most {
            left.add(normal.class, normal.count);
        } else {
            let below = normal.below(threshold);
            left.add(normal.class, below);
            right.add(normal.class, normal.count - below);
        }
    }
    vec![left, right]
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Leaf {
    depth: u32,
    classes: Classes,
    /// One for each feature once the leaf has learned; none when the leaf no longer grows.
    observers: Option<Vec<Observer>>,
    last_attempt: f64,
    majority_hits: f64,
    bayes_hits: f64,
}

impl Leaf {
    fn new(classes: Classes, depth: u32) -> Self {
        let last_attempt = classes.total();
        Self {
            depth,
            classes,
            observers: Some(Vec::new()),
            last_attempt,
            majority_hits: 0.0,
            bayes_hits: 0.0,
        }
    }

    /// Class and probability by naive Bayes; empty when nothing is known.
    fn bayes(&self, features: &[f64]) -> Classes {
        let total = self.classes.total();
        let observers = self.observers.as_deref().unwrap_or_default();
        let votes: Vec<(usize, f64)> = self
            .classes
            .0
            .iter()
            .filter(|(_, weight)| *weight > 0.0)
            .map(|(class, weight)| {
                let prior = (weight / total).ln();
                let evidence = observers
                    .iter()
                    .zip(features)
                    .filter_map(|(o, x)| o.log_probability(*x, *class));
                (*class, evidence.fold(prior, |sum, log| sum + log))
            })
            .collect();
        let most = votes.iter().map(|(_, v)| *v).fold(f64::NEG_INFINITY, f64::max);
        let log_sum = most + votes.iter().map(|(_, v)| (v - most).exp()).sum::<f64>().ln();
        Classes(
            votes
                .into_iter()
                .map(|(class, vote)| (class, (vote - log_sum).exp()))
                .collect(),
        )
    }

    fn predict(&self, features: &[f64], how: LeafPrediction) -> Classes {
        let bayes = match how {
            LeafPrediction::MajorityClass => false,
            LeafPrediction::NaiveBayes => true,
            LeafPrediction::Adaptive => self.bayes_hits >= self.majority_hits,
        };
        if bayes && self.observers.is_some() {
            self.bayes(features)
        } else {
            self.classes.shares()
        }
    }

    fn learn(&mut self, features: &[f64], class: usize, schema: &Schema, how: LeafPrediction) {
        if how == LeafPrediction::Adaptive && self.observers.is_some() {
            if self.classes.0.is_empty() || self.classes.shares().majority() == Some(class) {
                self.majority_hits += 1.0;
            }
            if self.bayes(features).majority() == Some(class) {
                self.bayes_hits += 1.0;
            }
        }
        self.classes.add(class, 1.0);
        if let Some(observers) = &mut self.observers {
            if observers.is_empty() {
                observers.extend(schema.features().iter().map(|f| Observer::of(&f.kind)));
            }
            observers.iter_mut().zip(features).for_each(|(o, x)| o.add(*x, class));
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Node {
    Leaf(Leaf),
    Branch {
        depth: u32,
        test: Test,
        children: Vec<usize>,
    },
}

/// The Hoeffding tree, a classifier of any number of classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HoeffdingTree {
    settings: HoeffdingTreeSettings,
    schema: Schema,
    /// The first is the root.
    nodes: Vec<Node>,
    learned: u64,
}

impl HoeffdingTree {
    /// Roughly how many bytes its state takes.
    pub fn state_bytes(&self) -> usize {
        let width = self.schema.width() * self.schema.classes().len().max(1);
        self.nodes.len() * (size_of::<Node>() + width * size_of::<[f64; 5]>())
    }

    /// A tree that is a single leaf.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range, [`ModelError::Schema`] when the target is no class.
    pub fn new(schema: Schema, settings: HoeffdingTreeSettings) -> Result<Self, ModelError> {
        if !matches!(schema.target(), Target::Class { .. }) {
            return Err(ModelError::Schema(
                "a Hoeffding tree needs classes as its target".into(),
            ));
        }
        at_least("grace_period", settings.grace_period as usize, 1)?;
        open_unit("delta", settings.delta)?;
        not_negative("tau", settings.tau)?;
        at_least("numeric_cuts", settings.numeric_cuts as usize, 1)?;
        if !(0.0..0.5).contains(&settings.min_branch_fraction) {
            return Err(ModelError::setting(
                "min_branch_fraction",
                "0 or above, below 0.5",
                settings.min_branch_fraction,
            ));
        }
        if !(settings.max_share_to_split > 0.0 && settings.max_share_to_split <= 1.0) {
            return Err(ModelError::setting(
                "max_share_to_split",
                "above 0 and up to 1",
                settings.max_share_to_split,
            ));
        }
        Ok(Self {
            settings,
            schema,
            nodes: vec![Node::Leaf(Leaf::new(Classes::default(), 0))],
            learned: 0,
        })
    }

    /// How many leaves the tree has.
    pub fn leaves(&self) -> usize {
        self.nodes.iter().filter(|n| matches!(n, Node::Leaf(_))).count()
    }

    /// How many nodes the tree has, leaves included.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Weight of the examples in the leaves below a node.
    fn weight(&self, node: usize) -> f64 {
        match &self.nodes[node] {
            Node::Leaf(leaf) => leaf.classes.total(),
            Node::Branch { children, .. } => children.iter().map(|c| self.weight(*c)).sum(),
        }
    }

    /// The first child with the most examples.
    fn most_common(&self, children: &[usize]) -> usize {
        let weights: Vec<f64> = children.iter().map(|c| self.weight(*c)).collect();
        children[first_largest(&weights)]
    }

    fn leaf_of(&self, features: &[f64]) -> &Leaf {
        let mut node = 0;
        loop {
            match &self.nodes[node] {
                Node::Leaf(leaf) => return leaf,
                Node::Branch { test, children, .. } => {
                    node = match test.branch(features) {
                        Some(branch) => children[branch],
                        None => self.most_common(children),
                    };
                }
            }
        }
    }

    /// The leaf that an example belongs to; a category that no branch knows gets a branch of its own.
    fn leaf_for_learning(&mut self, features: &[f64]) -> usize {
        let (mut node, fresh) = (0, self.nodes.len());
        loop {
            match &mut self.nodes[node] {
                Node::Leaf(_) => return node,
                Node::Branch { depth, test, children } => match test.branch(features) {
                    Some(branch) => node = children[branch],
                    None => {
                        if let Test::Which { feature, categories } = test {
                            categories.push(features[*feature] as usize);
                        }
                        children.push(fresh);
                        let leaf = Leaf::new(Classes::default(), *depth + 1);
                        self.nodes.push(Node::Leaf(leaf));
                        return fresh;
                    }
                },
            }
        }
    }

    /// The split that a leaf would make now: none to go on as before, an inner none to forget what it observed.
    fn attempt(&self, leaf: &Leaf) -> Option<Option<Split>> {
        if leaf.classes.is_pure() {
            return None;
        }
        if leaf.classes.largest() / leaf.classes.total() > self.settings.max_share_to_split {
            return Some(None);
        }
        let observers = leaf.observers.as_deref().unwrap_or_default();
        let mut best: Option<Split> = None;
        let mut second = f64::NEG_INFINITY;
        for (feature, observer) in observers.iter().enumerate() {
            let Some(split) = observer.best_split(feature, &leaf.classes, &self.settings) else {
                continue;
            };
            match &best {
                Some(so_far) if split.merit < so_far.merit => second = second.max(split.merit),
                _ => {
                    second = best.as_ref().map_or(second, |b| second.max(b.merit));
                    best = Some(split);
                }
            }
        }
        let range = (leaf.classes.0.len().max(2) as f64).log2();
        let bound = (range * range * (1.0 / self.settings.delta).ln() / (2.0 * leaf.classes.total())).sqrt();
        let merit = best.as_ref().map_or(f64::NEG_INFINITY, |b| b.merit);
        let clear = merit - second > bound || bound < self.settings.tau;
        clear.then(|| best.filter(|b| b.merit > f64::NEG_INFINITY))
    }

    fn try_to_split(&mut self, node: usize) {
        let Node::Leaf(leaf) = &self.nodes[node] else { return };
        let (depth, weight) = (leaf.depth, leaf.classes.total());
        match self.attempt(leaf) {
            Some(Some(split)) => {
                let first = self.nodes.len();
                let children = (first..first + split.branches.len()).collect();
                let leaves = split.branches.into_iter().map(|b| Node::Leaf(Leaf::new(b, depth + 1)));
                self.nodes.extend(leaves);
                self.nodes[node] = Node::Branch {
                    depth,
                    test: split.test,
                    children,
                };
            }
            nothing => {
                if let Node::Leaf(leaf) = &mut self.nodes[node] {
                    leaf.last_attempt = weight;
                    if nothing.is_some() {
                        leaf.observers = Some(Vec::new());
                    }
                }
            }
        }
    }
}

impl Predictor for HoeffdingTree {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The class and the probabilities of all; equal ones while nothing is known.
    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
        self.schema.check(features)?;
        let known = self.leaf_of(features).predict(features, self.settings.leaf_prediction);
        let classes = self.schema.classes().len();
        let mut probabilities = vec![if known.0.is_empty() { 1.0 / classes as f64 } else { 0.0 }; classes];
        known.0.iter().for_each(|(class, p)| probabilities[*class] = *p);
        Ok(Prediction::from_probabilities(probabilities))
    }
}

impl Learner for HoeffdingTree {
    fn learn(&mut self, features: &[f64], label: Label) -> Result<(), ModelError> {
        let class = label.as_class(self.schema.classes().len())?;
        self.schema.check(features)?;
        self.learned += 1;
        let before = self.nodes.len();
        let node = self.leaf_for_learning(features);
        let HoeffdingTreeSettings {
            max_depth,
            grace_period,
            leaf_prediction,
            ..
        } = self.settings;
        let Node::Leaf(leaf) = &mut self.nodes[node] else {
            return Ok(());
        };
        leaf.learn(features, class, &self.schema, leaf_prediction);
        if node == before || leaf.observers.is_none() {
            return Ok(());
        }
        if leaf.depth >= max_depth {
            leaf.observers = None;
        } else if leaf.classes.total() - leaf.last_attempt >= grace_period as f64 {
            self.try_to_split(node);
        }
        Ok(())
    }

    fn learned(&self) -> u64 {
        self.learned
    }
}
