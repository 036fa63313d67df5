//! What linfa can learn one step at a time: FTRL, Gaussian naive Bayes and k-means.
//!
//! The only place in `online` that knows linfa. No type of its matrices and no random number crosses this file: where
//! linfa would start from random numbers a stated start is put in, where it would answer in the order of a hash map
//! the classes are sorted.

use super::linear::sigmoid;
use super::two_classes;
use crate::error::{at_least, not_negative, positive};
use crate::inputs::Inputs;
use crate::learner::{nearest, softmax};
use crate::{Label, Learner, ModelError, Prediction, Predictor, Schema, Target, state};
use linfa::DatasetBase;
use linfa::prelude::ParamGuard;
use linfa::traits::FitWith;
use linfa_bayes::GaussianNb;
use linfa_clustering::{IncrKMeansError, KMeans as LinfaKMeans, KMeansInit};
use linfa_ftrl::Ftrl as LinfaFtrl;
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

fn row(values: &[f64]) -> Array2<f64> {
    Array2::from_shape_fn((1, values.len()), |(_, column)| values[column])
}

fn failed(error: impl std::fmt::Display) -> ModelError {
    ModelError::Training(error.to_string())
}

/// Settings of [`Ftrl`]. The defaults are linfa's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FtrlSettings {
    /// How fast weights move: 0.005.
    pub alpha: f64,
    /// How much the first steps are held back: 0.
    pub beta: f64,
    /// Pull of the weights to exactly 0 (lasso), 0 to 1: 0.5.
    pub l1: f64,
    /// Pull of the weights towards 0 (ridge), 0 to 1: 0.5.
    pub l2: f64,
    /// Give the learner an intercept, as one more feature that is always 1: yes.
    pub intercept: bool,
    /// Bring numeric features to mean 0 and standard deviation 1 first: no.
    pub scale: bool,
}

impl Default for FtrlSettings {
    fn default() -> Self {
        Self {
            alpha: 0.005,
            beta: 0.0,
            l1: 0.5,
            l2: 0.5,
            intercept: true,
            scale: false,
        }
    }
}

/// Follow the regularised leader: logistic regression whose learning rate is each weight's own.
///
/// H. B. McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013, algorithm 1, which starts from
/// zeros. Linfa rounds the predicted probability to 32 bits before it takes the gradient, so that this agrees with
/// the algorithm in 64 bits to about six digits. River's optimiser takes the gradient at the weights of one step
/// before and is another algorithm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ftrl {
    settings: FtrlSettings,
    inputs: Inputs,
    model: LinfaFtrl<f64>,
    learned: u64,
}

/// The fields of linfa's FTRL model, in its order, to begin from zeros.
#[derive(Serialize)]
struct FtrlFields {
    alpha: f64,
    beta: f64,
    l1_ratio: f64,
    l2_ratio: f64,
    z: Array1<f64>,
    n: Array1<f64>,
}

impl Ftrl {
    /// Roughly how many bytes its state takes.
    pub fn state_bytes(&self) -> usize {
        self.inputs.state_bytes() + self.inputs.width() * size_of::<f64>()
    }

    /// A learner whose weights are 0.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range, [`ModelError::Schema`] when there are not two classes.
    pub fn new(schema: Schema, settings: FtrlSettings) -> Result<Self, ModelError> {
        two_classes(&schema, "FTRL")?;
        positive("alpha", settings.alpha)?;
        not_negative("beta", settings.beta)?;
        for (name, value) in [("l1", settings.l1), ("l2", settings.l2)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(ModelError::setting(name, "0 to 1", value));
            }
        }
        let inputs = Inputs::new(schema, settings.scale);
        let width = inputs.width() + usize::from(settings.intercept);
        let zeros = Array1::zeros(width);
        let fields = FtrlFields {
            alpha: settings.alpha,
            beta: settings.beta,
            l1_ratio: settings.l1,
            l2_ratio: settings.l2,
            z: zeros.clone(),
            n: zeros,
        };
        let model = state::decode(&state::encode(&fields)?)?;
        Ok(Self {
            settings,
            inputs,
            model,
            learned: 0,
        })
    }

    /// The weights, one for each number that the features become, and the intercept's last if there is one.
    pub fn weights(&self) -> Vec<f64> {
        self.model.get_weights().to_vec()
    }

    fn with_intercept(&self, mut inputs: Vec<f64>) -> Vec<f64> {
        if self.settings.intercept {
            inputs.push(1.0);
        }
        inputs
    }
}

impl PartialEq for Ftrl {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
            && self.inputs == other.inputs
            && self.learned == other.learned
            && self.model.z() == other.model.z()
            && self.model.n() == other.model.n()
    }
}

impl Predictor for Ftrl {
    fn schema(&self) -> &Schema {
        self.inputs.schema()
    }

    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
        let inputs = self.with_intercept(self.inputs.of(features)?);
        let p = sigmoid(self.model.get_weights().iter().zip(&inputs).map(|(w, x)| w * x).sum());
        Prediction::from_probabilities(vec![1.0 - p, p]).finite()
    }
}

impl Learner for Ftrl {
    fn learn(&mut self, features: &[f64], label: Label) -> Result<(), ModelError> {
        let class = label.as_class(2)?;
        let (inputs, scaler) = self.inputs.learn(features)?;
        let inputs = self.with_intercept(inputs);
        let data = DatasetBase::new(row(&inputs), Array1::from_elem(1, class == 1));
        let params = LinfaFtrl::params()
            .alpha(self.settings.alpha)
            .beta(self.settings.beta)
            .l1_ratio(self.settings.l1)
            .l2_ratio(self.settings.l2)
            .check()
            .map_err(failed)?;
        let model = params.fit_with(Some(self.model.clone()), &data).map_err(failed)?;
        if let Some(index) = model.z().iter().chain(model.n()).position(|v| !v.is_finite()) {
            return Err(ModelError::Diverged {
                parameter: format!("weight {}", index % inputs.len()),
            });
        }
        self.model = model;
        self.inputs.commit(scaler);
        self.learned += 1;
        Ok(())
    }

    fn learned(&self) -> u64 {
        self.learned
    }
}

/// Settings of [`NaiveBayes`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NaiveBayesSettings {
    /// Examples that are gathered before they are learned together: 10.
    pub batch: usize,
    /// Share of the largest variance in a batch that is added to all variances: 1e-9.
    pub smoothing: f64,
}

impl Default for NaiveBayesSettings {
    fn default() -> Self {
        Self {
            batch: 10,
            smoothing: 1e-9,
        }
    }
}

/// Gaussian naive Bayes that learns batch by batch.
///
/// T. F. Chan, G. H. Golub and R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
/// variances", 1979, as in linfa and in scikit-learn's `partial_fit`. The smoothing is of the variances of a batch,
/// so a batch of one would leave a class with a variance of 0; hence examples are gathered, and wait as a part of the
/// state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NaiveBayes {
    settings: NaiveBayesSettings,
    inputs: Inputs,
    model: NaiveBayesFields,
    waiting: Vec<(Vec<f64>, usize)>,
    learned: u64,
}

/// The fields of linfa's model, in its order, with the classes sorted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct NaiveBayesFields {
    class_info: BTreeMap<usize, ClassFields>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ClassFields {
    class_count: usize,
    prior: f64,
    theta: Array1<f64>,
    sigma: Array1<f64>,
}

/// A variance below this is taken for this when it is divided by.
const LEAST_VARIANCE: f64 = 1e-12;

impl NaiveBayes {
    /// Roughly how many bytes its state takes.
    pub fn state_bytes(&self) -> usize {
        let width = self.inputs.width() * size_of::<f64>();
        self.inputs.state_bytes() + (self.waiting.len() + 2 * self.model.class_info.len()) * width
    }

    /// A learner that has seen nothing.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range, [`ModelError::Schema`] when the target is no class.
    pub fn new(schema: Schema, settings: NaiveBayesSettings) -> Result<Self, ModelError> {
        if !matches!(schema.target(), Target::Class { .. }) {
            return Err(ModelError::Schema("naive Bayes needs classes as its target".into()));
        }
        at_least("batch", settings.batch, 2)?;
        not_negative("smoothing", settings.smoothing)?;
        let inputs = Inputs::new(schema, false);
        Ok(Self {
            settings,
            inputs,
            model: NaiveBayesFields::default(),
            waiting: Vec::new(),
            learned: 0,
        })
    }

    /// How many examples wait for their batch to be full.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn fit(&self, batch: &[(Vec<f64>, usize)]) -> Result<NaiveBayesFields, ModelError> {
        let width = self.inputs.width();
        let records = Array2::from_shape_fn((batch.len(), width), |(row, column)| batch[row].0[column]);
        let targets: Array1<usize> = batch.iter().map(|(_, class)| *class).collect();
        let params = GaussianNb::<f64, usize>::params().var_smoothing(self.settings.smoothing);
        let params = params.check().map_err(failed)?;
        let before: Option<GaussianNb<f64, usize>> = if self.model.class_info.is_empty() {
            None
        } else {
            Some(state::decode(&state::encode(&self.model)?)?)
        };
        let after = params
            .fit_with(before, &DatasetBase::new(records, targets))
            .map_err(failed)?;
        state::decode(&state::encode(&after)?)
    }
}

impl Predictor for NaiveBayes {
    fn schema(&self) -> &Schema {
        self.inputs.schema()
    }

    /// The class and the probabilities of all; equal ones until the first batch is full.
    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
        let inputs = self.inputs.of(features)?;
        let classes = self.schema().classes().len();
        if self.model.class_info.is_empty() {
            return Ok(Prediction::from_probabilities(vec![1.0 / classes as f64; classes]));
        }
        let mut logs = vec![f64::NEG_INFINITY; classes];
        for (class, info) in &self.model.class_info {
            let mut log = info.prior.ln();
            for ((mean, variance), x) in info.theta.iter().zip(&info.sigma).zip(&inputs) {
                let variance = variance.max(LEAST_VARIANCE);
                log -= 0.5 * ((std::f64::consts::TAU * variance).ln() + (x - mean) * (x - mean) / variance);
            }
            logs[*class] = log;
        }
        Prediction::from_probabilities(softmax(&logs)).finite()
    }
}

impl Learner for NaiveBayes {
    fn learn(&mut self, features: &[f64], label: Label) -> Result<(), ModelError> {
        let class = label.as_class(self.schema().classes().len())?;
        let inputs = self.inputs.of(features)?;
        if self.waiting.len() + 1 < self.settings.batch {
            self.waiting.push((inputs, class));
        } else {
            let mut batch = self.waiting.clone();
            batch.push((inputs, class));
            let model = self.fit(&batch)?;
            let finite = |c: &ClassFields| c.theta.iter().chain(&c.sigma).all(|v| v.is_finite());
            if !model.class_info.values().all(finite) {
                return Err(ModelError::Diverged {
                    parameter: "variance".into(),
                });
            }
            self.model = model;
            self.waiting.clear();
        }
        self.learned += 1;
        Ok(())
    }

    fn learned(&self) -> u64 {
        self.learned
    }
}

/// Settings of [`KMeans`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KMeansSettings {
    /// Number of clusters: 2.
    pub clusters: usize,
    /// Bring numeric features to mean 0 and standard deviation 1 first: no.
    pub scale: bool,
}

impl Default for KMeansSettings {
    fn default() -> Self {
        Self {
            clusters: 2,
            scale: false,
        }
    }
}

/// K-means that moves the nearest centre of each point to the mean of all points that it was nearest to.
///
/// D. Sculley, "Web-scale k-means clustering", WWW 2010, with batches of one, as in linfa. The first distinct points
/// are the first centres; a centre counts the points since then, so that the first of them takes its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KMeans {
    settings: KMeansSettings,
    inputs: Inputs,
    centres: Vec<Vec<f64>>,
    counts: Vec<f64>,
    learned: u64,
}

/// The fields of linfa's model, in its order; the measure of distance has no bytes.
#[derive(Serialize)]
struct KMeansFields {
    centroids: Array2<f64>,
    cluster_count: Array1<f64>,
    inertia: f64,
}

impl KMeans {
    /// Roughly how many bytes its state takes.
    pub fn state_bytes(&self) -> usize {
        self.inputs.state_bytes() + self.centres.len() * self.inputs.width() * size_of::<f64>()
    }

    /// Clusters without centres.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range, [`ModelError::Schema`] when the target is not
    /// [`Target::Cluster`].
    pub fn new(schema: Schema, settings: KMeansSettings) -> Result<Self, ModelError> {
        if *schema.target() != Target::Cluster {
            return Err(ModelError::Schema("k-means needs clusters as its target".into()));
        }
        at_least("clusters", settings.clusters, 1)?;
        let inputs = Inputs::new(schema, settings.scale);
        Ok(Self {
            settings,
            inputs,
            centres: Vec::new(),
            counts: Vec::new(),
            learned: 0,
        })
    }

    /// The centres found so far.
    pub fn centres(&self) -> &[Vec<f64>] {
        &self.centres
    }

    fn fields(&self) -> KMeansFields {
        let shape = (self.centres.len(), self.inputs.width());
        KMeansFields {
            centroids: Array2::from_shape_fn(shape, |(row, column)| self.centres[row][column]),
            cluster_count: Array1::from_vec(self.counts.clone()),
            inertia: 0.0,
        }
    }
}

impl Predictor for KMeans {
    fn schema(&self) -> &Schema {
        self.inputs.schema()
    }

    /// The nearest centre and the Euclidean distance to it.
    ///
    /// # Errors
    /// As [`Schema::check`], and [`ModelError::NotReady`] until there are as many distinct points as clusters.
    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
        let point = self.inputs.of(features)?;
        let (have, need) = (self.centres.len(), self.settings.clusters);
        if have < need {
            return Err(ModelError::NotReady(format!("{have} of {need} distinct points")));
        }
        nearest(&self.centres, &point).finite()
    }
}

impl Learner for KMeans {
    fn learn(&mut self, features: &[f64], label: Label) -> Result<(), ModelError> {
        if label != Label::None {
            return Err(ModelError::LabelKind {
                expected: "nothing",
                got: label.kind(),
            });
        }
        let (point, scaler) = self.inputs.learn(features)?;
        if self.centres.len() < self.settings.clusters {
            if !self.centres.contains(&point) {
                self.centres.push(point);
                self.counts.push(0.0);
            }
        } else {
            let fields = self.fields();
            let start = KMeansInit::Precomputed(fields.centroids.clone());
            let params = LinfaKMeans::params(self.settings.clusters)
                .init_method(start)
                .check()
                .map_err(failed)?;
            let before = state::decode(&state::encode(&fields)?)?;
            let model = match params.fit_with(Some(before), &DatasetBase::from(row(&point))) {
                Ok(model) | Err(IncrKMeansError::NotConverged(model)) => model,
                Err(error) => return Err(failed(error)),
            };
            if model.centroids().iter().any(|c| !c.is_finite()) {
                return Err(ModelError::Diverged {
                    parameter: "centre".into(),
                });
            }
            self.centres = model.centroids().outer_iter().map(|c| c.to_vec()).collect();
            self.counts = model.cluster_count().to_vec();
        }
        self.inputs.commit(scaler);
        self.learned += 1;
        Ok(())
    }

    fn learned(&self) -> u64 {
        self.learned
    }
}
