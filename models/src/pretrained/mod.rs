//! Pre-trained models: trained once on a table, saved, and asked from then on.
//!
//! Training happens outside worlds. It takes a [`Table`] and a seed and gives a [`Pretrained`]: the same table, the
//! same settings and the same seed give the same bytes. What is kept is plain numbers, checked when a file is loaded,
//! so that asking a model never fails for what is in the model.
//!
//! | settings | target | trained by |
//! | --- | --- | --- |
//! | [`TrainingSettings::Linear`] | a number | smartcore, least squares by singular value decomposition |
//! | [`TrainingSettings::Logistic`] | a class | linfa, L-BFGS on the log loss |
//! | [`TrainingSettings::Forest`] | a number or a class | smartcore, random forest |
//! | [`TrainingSettings::Neighbours`] | a number or a class | nothing is trained: the table is kept |
//! | [`TrainingSettings::Bayes`] | a class | smartcore, Gaussian naive Bayes |
//! | [`TrainingSettings::KMeans`] | a cluster | smartcore, Lloyd's algorithm from k-means++ |
//! | [`TrainingSettings::OneClass`] | an anomaly score | linfa, one-class support vectors |

mod file;
mod linfa_adapter;
mod plain;
mod smartcore_adapter;
mod table;

pub use file::LoadError;
pub use table::{BadRow, OnBadRow, Table, TableError};

use crate::error::{at_least, not_negative, open_unit, positive};
use crate::inputs::Inputs;
use crate::{ModelError, Prediction, Predictor, Schema, Target};
use plain::{Bayes, Centres, Forest, Linear, Neighbours, Support};
use serde::{Deserialize, Serialize};

/// Settings of logistic regression.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogisticSettings {
    /// Pull of the weights towards 0 (ridge): 1.
    pub l2: f64,
    /// Steps of the search at most: 1000.
    pub iterations: u64,
    /// The search ends when the gradient is no longer than this: 1e-6.
    pub tolerance: f64,
    /// Bring numeric features to mean 0 and standard deviation 1 first: yes.
    pub scale: bool,
}

impl Default for LogisticSettings {
    fn default() -> Self {
        Self {
            l2: 1.0,
            iterations: 1000,
            tolerance: 1e-6,
            scale: true,
        }
    }
}

/// Settings of a random forest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForestSettings {
    /// Number of trees: 100.
    pub trees: u16,
    /// Cuts from the root to a leaf, if they are limited.
    pub max_depth: Option<u16>,
    /// Least examples in a leaf: 1.
    pub min_samples_leaf: usize,
    /// Least examples to try a cut: 2.
    pub min_samples_split: usize,
    /// Features drawn at each cut; the root of their number when not given.
    pub features_per_split: Option<usize>,
}

impl Default for ForestSettings {
    fn default() -> Self {
        Self {
            trees: 100,
            max_depth: None,
            min_samples_leaf: 1,
            min_samples_split: 2,
            features_per_split: None,
        }
    }
}

/// Settings of nearest neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NeighboursSettings {
    /// How many neighbours are asked: 5.
    pub k: usize,
    /// Bring numeric features to mean 0 and standard deviation 1 first: yes.
    pub scale: bool,
}

impl Default for NeighboursSettings {
    fn default() -> Self {
        Self { k: 5, scale: true }
    }
}

/// Settings of k-means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KMeansSettings {
    /// Number of clusters: 2.
    pub clusters: usize,
    /// Rounds at most: 100.
    pub iterations: usize,
    /// Bring numeric features to mean 0 and standard deviation 1 first: yes.
    pub scale: bool,
}

impl Default for KMeansSettings {
    fn default() -> Self {
        Self {
            clusters: 2,
            iterations: 100,
            scale: true,
        }
    }
}

/// Settings of one-class detection.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OneClassSettings {
    /// Share of the examples that may count as unusual, above 0 and below 1: 0.1.
    pub nu: f64,
    /// How fast likeness falls with the squared distance; one over the number of features when not given.
    pub gamma: Option<f64>,
    /// Bring numeric features to mean 0 and standard deviation 1 first: yes.
    pub scale: bool,
}

impl Default for OneClassSettings {
    fn default() -> Self {
        Self {
            nu: 0.1,
            gamma: None,
            scale: true,
        }
    }
}

/// Examples that one-class detection takes at most: its table of likeness has the square of them.
const MOST_ONE_CLASS: usize = 5000;

/// Which model is trained, with which settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainingSettings {
    /// Linear regression.
    Linear,
    /// Logistic regression.
    Logistic(LogisticSettings),
    /// A random forest.
    Forest(ForestSettings),
    /// Nearest neighbours.
    Neighbours(NeighboursSettings),
    /// Gaussian naive Bayes.
    Bayes,
    /// K-means.
    KMeans(KMeansSettings),
    /// One-class support vectors.
    OneClass(OneClassSettings),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Trained {
    Linear(Linear),
    Logistic(Linear),
    Forest(Forest),
    Neighbours(Neighbours),
    Bayes(Bayes),
    KMeans(Centres),
    OneClass(Support),
}

/// A model that was trained on a table, with what it must say of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pretrained {
    name: String,
    version: String,
    settings: TrainingSettings,
    seed: u64,
    examples: u64,
    inputs: Inputs,
    trained: Trained,
}

impl Pretrained {
    /// Trains a model.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range, [`ModelError::Schema`] when the target does not fit
    /// the model, [`ModelError::Training`] when there are too few examples or the search does not end.
    pub fn train(
        name: impl Into<String>,
        version: impl Into<String>,
        table: &Table,
        settings: TrainingSettings,
        seed: u64,
    ) -> Result<Self, ModelError> {
        settings.check(table)?;
        let mut inputs = Inputs::new(table.schema().clone(), settings.scale());
        for row in table.rows() {
            let (_, scaler) = inputs.learn(row)?;
            inputs.commit(scaler);
        }
        let rows: Vec<Vec<f64>> = table
            .rows()
            .iter()
            .map(|row| inputs.of(row))
            .collect::<Result<_, _>>()?;
        let classes = table.schema().classes().len();
        let of_classes = classes > 0;
        let trained = match &settings {
            TrainingSettings::Linear => Trained::Linear(smartcore_adapter::linear(&rows, &table.numbers()?)?),
            TrainingSettings::Logistic(settings) => {
                Trained::Logistic(linfa_adapter::logistic(&rows, &table.classes()?, classes, settings)?)
            }
            TrainingSettings::Forest(settings) if of_classes => Trained::Forest(smartcore_adapter::forest_of_classes(
                &rows,
                &table.classes()?,
                settings,
                seed,
            )?),
            TrainingSettings::Forest(settings) => Trained::Forest(smartcore_adapter::forest_of_numbers(
                &rows,
                &table.numbers()?,
                settings,
                seed,
            )?),
            TrainingSettings::Neighbours(settings) => Trained::Neighbours(Neighbours {
                k: settings.k,
                points: rows,
                labels: table.labels().to_vec(),
            }),
            TrainingSettings::Bayes => Trained::Bayes(smartcore_adapter::bayes(&rows, &table.classes()?)?),
            TrainingSettings::KMeans(settings) => Trained::KMeans(smartcore_adapter::kmeans(&rows, settings, seed)?),
            TrainingSettings::OneClass(settings) => Trained::OneClass(linfa_adapter::one_class(&rows, settings)?),
        };
        let examples = table.len() as u64;
        let model = Self {
            name: name.into(),
            version: version.into(),
            settings,
            seed,
            examples,
            inputs,
            trained,
        };
        if model.fits() {
            Ok(model)
        } else {
            Err(ModelError::Training(
                "the result is not finite; scaling the features may help".into(),
            ))
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The settings it was trained with.
    pub fn settings(&self) -> &TrainingSettings {
        &self.settings
    }

    /// The seed it was trained with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many examples it was trained on.
    pub fn examples(&self) -> u64 {
        self.examples
    }

    /// The bytes of its file.
    ///
    /// # Errors
    /// [`ModelError::State`] when it cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        file::write(self)
    }

    /// The model that these bytes of a file hold.
    ///
    /// # Errors
    /// [`LoadError`], which says what is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        let model = file::read(bytes)?;
        if model.fits() {
            Ok(model)
        } else {
            Err(LoadError::Content("its parts do not fit together".into()))
        }
    }

    /// Makes sure that this is the model that was asked for.
    ///
    /// # Errors
    /// [`LoadError::OtherModel`] for another name or version, [`LoadError::OtherSchema`] for other features or
    /// another target, naming the first difference.
    pub fn expect(&self, name: &str, version: &str, schema: &Schema) -> Result<(), LoadError> {
        if self.name != name || self.version != version {
            return Err(LoadError::OtherModel {
                name: self.name.clone(),
                version: self.version.clone(),
                asked: format!("{name} {version}"),
            });
        }
        self.expect_schema(schema)
    }

    /// Makes sure that the features and the target are those of the events, in this order.
    ///
    /// # Errors
    /// [`LoadError::OtherSchema`], naming the first difference.
    pub fn expect_schema(&self, schema: &Schema) -> Result<(), LoadError> {
        let (ours, theirs) = (self.schema(), schema);
        if ours.width() != theirs.width() {
            let text = format!("it takes {} features, there are {}", ours.width(), theirs.width());
            return Err(LoadError::OtherSchema(text));
        }
        for (index, (ours, theirs)) in ours.features().iter().zip(theirs.features()).enumerate() {
            if ours != theirs {
                let what = if ours.name == theirs.name {
                    format!("feature {index} `{}` is of another kind", ours.name)
                } else {
                    format!("feature {index} is `{}`, not `{}`", ours.name, theirs.name)
                };
                return Err(LoadError::OtherSchema(what));
            }
        }
        if ours.target() != theirs.target() {
            return Err(LoadError::OtherSchema("it answers another question".into()));
        }
        Ok(())
    }

    /// Whether the parts fit together, so that asking cannot fail for them.
    fn fits(&self) -> bool {
        let width = self.inputs.width();
        let classes = self.schema().classes().len();
        let of_number = matches!(self.schema().target(), Target::Number { .. });
        self.inputs.fits()
            && match &self.trained {
                Trained::Linear(linear) => of_number && linear.fits(width, 1),
                Trained::Logistic(linear) => classes > 1 && linear.fits(width, if classes == 2 { 1 } else { classes }),
                Trained::Forest(forest) if of_number => forest.fits(width, None),
                Trained::Forest(forest) => classes > 1 && forest.fits(width, Some(classes)),
                Trained::Neighbours(neighbours) => (of_number || classes > 1) && neighbours.fits(width),
                Trained::Bayes(bayes) => classes > 1 && bayes.fits(width, classes),
                Trained::KMeans(centres) => *self.schema().target() == Target::Cluster && centres.fits(width),
                Trained::OneClass(support) => *self.schema().target() == Target::Anomaly && support.fits(width),
            }
    }
}

impl TrainingSettings {
    fn scale(&self) -> bool {
        match self {
            Self::Linear | Self::Forest(_) | Self::Bayes => false,
            Self::Logistic(settings) => settings.scale,
            Self::Neighbours(settings) => settings.scale,
            Self::KMeans(settings) => settings.scale,
            Self::OneClass(settings) => settings.scale,
        }
    }

    fn check(&self, table: &Table) -> Result<(), ModelError> {
        let target = table.schema().target();
        let fits = match (self, target) {
            (Self::Linear, Target::Number { .. })
            | (Self::Logistic(_) | Self::Bayes, Target::Class { .. })
            | (Self::Forest(_) | Self::Neighbours(_), Target::Number { .. } | Target::Class { .. })
            | (Self::KMeans(_), Target::Cluster)
            | (Self::OneClass(_), Target::Anomaly) => true,
            (Self::Linear | Self::Logistic(_) | Self::Bayes, _)
            | (Self::Forest(_) | Self::Neighbours(_) | Self::KMeans(_) | Self::OneClass(_), _) => false,
        };
        if !fits {
            return Err(ModelError::Schema(
                "the model does not answer with such a target".into(),
            ));
        }
        let need = match self {
            Self::Linear => {
                let numbers = Inputs::new(table.schema().clone(), false).width() + 1;
                numbers.max(2)
            }
            Self::Logistic(settings) => {
                not_negative("l2", settings.l2)?;
                positive("tolerance", settings.tolerance)?;
                at_least("iterations", settings.iterations as usize, 1)?;
                2
            }
            Self::Forest(settings) => {
                at_least("trees", usize::from(settings.trees), 1)?;
                at_least("min_samples_leaf", settings.min_samples_leaf, 1)?;
                at_least("min_samples_split", settings.min_samples_split, 2)?;
                let width = Inputs::new(table.schema().clone(), false).width();
                if settings.features_per_split.is_some_and(|m| m == 0 || m > width) {
                    let got = settings.features_per_split.unwrap_or_default();
                    return Err(ModelError::setting(
                        "features_per_split",
                        "1 up to the number of features",
                        got,
                    ));
                }
                2
            }
            Self::Neighbours(settings) => {
                at_least("k", settings.k, 1)?;
                settings.k
            }
            Self::Bayes => 2,
            Self::KMeans(settings) => {
                at_least("clusters", settings.clusters, 2)?;
                at_least("iterations", settings.iterations, 1)?;
                let mut points: Vec<&Vec<f64>> = table.rows().iter().collect();
                points.sort_by(|a, b| {
                    a.iter()
                        .zip(*b)
                        .map(|(x, y)| x.total_cmp(y))
                        .find(|o| o.is_ne())
                        .unwrap_or(std::cmp::Ordering::Equal)
                });
                points.dedup();
                if points.len() < settings.clusters {
                    let (have, need) = (points.len(), settings.clusters);
                    return Err(ModelError::Training(format!(
                        "{have} distinct examples are too few for {need} clusters"
                    )));
                }
                settings.clusters
            }
            Self::OneClass(settings) => {
                open_unit("nu", settings.nu)?;
                if let Some(gamma) = settings.gamma {
                    positive("gamma", gamma)?;
                }
                if table.len() > MOST_ONE_CLASS {
                    let what = format!(
                        "{} examples are too many, it takes {MOST_ONE_CLASS} at most",
                        table.len()
                    );
                    return Err(ModelError::Training(what));
                }
                (1.0 / settings.nu).ceil().min(1e9) as usize + 1
            }
        };
        if table.len() < need {
            return Err(ModelError::Training(format!(
                "{} examples are too few, it takes {need}",
                table.len()
            )));
        }
        Ok(())
    }
}

impl Predictor for Pretrained {
    fn schema(&self) -> &Schema {
        self.inputs.schema()
    }

    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
        let inputs = self.inputs.of(features)?;
        let classes = self.schema().classes().len();
        let prediction = match &self.trained {
            Trained::Linear(linear) => linear.number(&inputs),
            Trained::Logistic(linear) => linear.class(&inputs),
            Trained::Forest(forest) if classes > 0 => forest.class(&inputs, classes),
            Trained::Forest(forest) => forest.number(&inputs),
            Trained::Neighbours(neighbours) if classes > 0 => neighbours.class(&inputs, classes)?,
            Trained::Neighbours(neighbours) => neighbours.number(&inputs)?,
            Trained::Bayes(bayes) => bayes.class(&inputs, classes),
            Trained::KMeans(centres) => centres.cluster(&inputs),
            Trained::OneClass(support) => support.anomaly(&inputs),
        };
        prediction.finite()
    }
}
