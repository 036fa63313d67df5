//! Online learners: models that learn from one event at a time.
//!
//! Each learner is a plain value: it is taught in the order in which it is called and never looks at a clock or draws
//! a random number while it learns. What it refuses (a wrong number of features, a missing value, not-a-number, a
//! label of the wrong kind, an example that would make a weight infinite) leaves it as it was.
//!
//! | learner | answers | from |
//! | --- | --- | --- |
//! | [`LinearRegression`] | a number | gradient descent, as river |
//! | [`LogisticRegression`] | one of two classes | gradient descent, as river |
//! | [`Perceptron`] | one of two classes | Rosenblatt, as river or as Siddhi |
//! | [`PassiveAggressive`] | a number, or one of two classes | Crammer et al., as river |
//! | [`Ftrl`] | one of two classes | linfa |
//! | [`NaiveBayes`] | a class | linfa |
//! | [`HoeffdingTree`] | a class | Domingos and Hulten, as river |
//! | [`HalfSpaceTrees`] | an anomaly score | Tan et al., as river |
//! | [`KMeans`] | a cluster | linfa |
//! | [`DecayingKMeans`] | a cluster | as Siddhi |

mod decaying_kmeans;
mod half_space_trees;
mod hoeffding_tree;
mod linear;
mod linfa_adapter;
mod passive_aggressive;
mod perceptron;

pub use decaying_kmeans::{DecayingKMeans, DecayingKMeansSettings};
pub use half_space_trees::{Cut, HalfSpaceTrees, HalfSpaceTreesSettings};
pub use hoeffding_tree::{HoeffdingTree, HoeffdingTreeSettings, LeafPrediction};
pub(crate) use linear::sigmoid;
pub use linear::{LinearRegression, LinearSettings, LogisticRegression};
pub use linfa_adapter::{Ftrl, FtrlSettings, KMeans, KMeansSettings, NaiveBayes, NaiveBayesSettings};
pub use passive_aggressive::{Aggressiveness, PassiveAggressive, PassiveAggressiveSettings};
pub use perceptron::{Perceptron, PerceptronSettings};

use crate::{Label, Learner, ModelError, Prediction, Predictor, Schema};
use serde::{Deserialize, Serialize};

fn two_classes(schema: &Schema, what: &str) -> Result<(), ModelError> {
    match schema.classes().len() {
        2 => Ok(()),
        _ => Err(ModelError::Schema(format!(
            "{what} needs a target of exactly two classes"
        ))),
    }
}

macro_rules! learners {
    ($($(#[$doc:meta])* $name:ident($settings:ty),)*) => {
        /// Which learner, with which settings.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum OnlineSettings {
            $($(#[$doc])* $name($settings),)*
        }

        /// Any of the learners, as one value that can be a part of an operator's state.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub enum OnlineModel {
            $($(#[$doc])* $name($name),)*
        }

        impl OnlineModel {
            /// A learner that has learned nothing.
            ///
            /// # Errors
            /// [`ModelError::Setting`] for a setting outside its range, [`ModelError::Schema`] when the schema does
            /// not fit the learner.
            pub fn new(schema: Schema, settings: OnlineSettings) -> Result<Self, ModelError> {
                Ok(match settings {
                    $(OnlineSettings::$name(settings) => Self::$name($name::new(schema, settings)?),)*
                })
            }

            /// Roughly how many bytes its state takes.
            pub fn state_bytes(&self) -> usize {
                match self { $(Self::$name(model) => model.state_bytes(),)* }
            }

            /// Whether two are of the same kind, for the same schema.
            pub fn like(&self, other: &Self) -> bool {
                std::mem::discriminant(self) == std::mem::discriminant(other) && self.schema() == other.schema()
            }
        }

        impl Predictor for OnlineModel {
            fn schema(&self) -> &Schema {
                match self { $(Self::$name(model) => model.schema(),)* }
            }

            fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
                match self { $(Self::$name(model) => model.predict(features),)* }
            }
        }

        impl Learner for OnlineModel {
            fn learn(&mut self, features: &[f64], label: Label) -> Result<(), ModelError> {
                match self { $(Self::$name(model) => model.learn(features, label),)* }
            }

            fn learned(&self) -> u64 {
                match self { $(Self::$name(model) => model.learned(),)* }
            }
        }
    };
}

learners! {
    /// Linear regression by gradient descent.
    LinearRegression(LinearSettings),
    /// Logistic regression by gradient descent.
    LogisticRegression(LinearSettings),
    /// The perceptron.
    Perceptron(PerceptronSettings),
    /// A passive-aggressive learner.
    PassiveAggressive(PassiveAggressiveSettings),
    /// Follow the regularised leader.
    Ftrl(FtrlSettings),
    /// Gaussian naive Bayes.
    NaiveBayes(NaiveBayesSettings),
    /// The Hoeffding tree.
    HoeffdingTree(HoeffdingTreeSettings),
    /// Half-space trees.
    HalfSpaceTrees(HalfSpaceTreesSettings),
    /// K-means whose centres are means.
    KMeans(KMeansSettings),
    /// K-means with forgetting.
    DecayingKMeans(DecayingKMeansSettings),
}
