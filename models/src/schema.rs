//! What goes into a model and what comes out: names, kinds, checks.
//!
//! Features travel as a slice of `f64` in the order of the schema. A category travels as its index among the
//! categories that the schema names; a value that is absent travels as [`MISSING`], which is not the same as a
//! calculation that went wrong (any other not-a-number): the first may be allowed by a model, the second never is.

use crate::ModelError;
use serde::{Deserialize, Serialize};

const MISSING_BITS: u64 = 0x7ff8_0000_6d69_7373;

/// The value of a feature that has none: a not-a-number with a bit pattern of its own, as in R's `NA_real_`.
pub const MISSING: f64 = f64::from_bits(MISSING_BITS);

/// Whether `value` is [`MISSING`]. Other not-a-numbers are not.
pub fn is_missing(value: f64) -> bool {
    value.to_bits() == MISSING_BITS
}

/// What kind of values a feature has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeatureKind {
    /// A number.
    Number,
    /// One of the named categories; travels as its index in this list.
    Category(Vec<String>),
}

/// A named input of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name, unique in a schema.
    pub name: String,
    /// Its kind.
    pub kind: FeatureKind,
}

/// What a model says about an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// A number.
    Number {
        /// The target's name.
        name: String,
    },
    /// One of the named classes. With two classes the second is the positive one.
    Class {
        /// The target's name.
        name: String,
        /// The classes, in the order of their indices.
        classes: Vec<String>,
    },
    /// The number of a cluster; there are no labels.
    Cluster,
    /// How unusual the event is; there are no labels.
    Anomaly,
}

/// The features that a model takes, in order, and what it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    features: Vec<Feature>,
    target: Target,
}

impl Schema {
    /// A schema of these features and this target.
    ///
    /// # Errors
    /// [`ModelError::Schema`] when there is no feature, when two share a name, when a categorical feature has no
    /// category, or when a class target has fewer than two classes or names one twice.
    pub fn new(features: Vec<Feature>, target: Target) -> Result<Self, ModelError> {
        if features.is_empty() {
            return Err(ModelError::Schema("it names no feature".into()));
        }
        unique(features.iter().map(|f| f.name.as_str()), "feature")?;
        for feature in &features {
            if let FeatureKind::Category(categories) = &feature.kind {
                if categories.is_empty() {
                    return Err(ModelError::Schema(format!("`{}` has no category", feature.name)));
                }
                unique(categories.iter().map(String::as_str), "category")?;
            }
        }
        if let Target::Class { name, classes } = &target {
            if classes.len() < 2 {
                return Err(ModelError::Schema(format!("`{name}` has fewer than two classes")));
            }
            unique(classes.iter().map(String::as_str), "class")?;
        }
        Ok(Self { features, target })
    }

    /// A schema of numbers only.
    ///
    /// # Errors
    /// As [`Schema::new`].
    pub fn numbers<'a>(names: impl IntoIterator<Item = &'a str>, target: Target) -> Result<Self, ModelError> {
        let features = names
            .into_iter()
            .map(|name| Feature {
                name: name.into(),
                kind: FeatureKind::Number,
            })
            .collect();
        Self::new(features, target)
    }

    /// The features, in order.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// What comes out.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// How many features there are.
    pub fn width(&self) -> usize {
        self.features.len()
    }

    /// The classes of the target, if it has any.
    pub fn classes(&self) -> &[String] {
        match &self.target {
            Target::Class { classes, .. } => classes,
            _ => &[],
        }
    }

    /// The index of a class by its name.
    ///
    /// # Errors
    /// [`ModelError::UnknownCategory`] when there is none.
    pub fn class(&self, name: &str) -> Result<usize, ModelError> {
        self.classes()
            .iter()
            .position(|c| c == name)
            .ok_or_else(|| ModelError::UnknownCategory {
                feature: match &self.target {
                    Target::Number { name } | Target::Class { name, .. } => name.clone(),
                    Target::Cluster => "cluster".into(),
                    Target::Anomaly => "anomaly".into(),
                },
                value: name.into(),
            })
    }

    /// The value under which a category travels.
    ///
    /// # Errors
    /// [`ModelError::UnknownCategory`] when the schema has no such feature or the feature no such category.
    pub fn category(&self, feature: &str, value: &str) -> Result<f64, ModelError> {
        self.features
            .iter()
            .find(|f| f.name == feature)
            .and_then(|f| match &f.kind {
                FeatureKind::Category(values) => values.iter().position(|v| v == value),
                FeatureKind::Number => None,
            })
            .map(|index| index as f64)
            .ok_or_else(|| ModelError::UnknownCategory {
                feature: feature.into(),
                value: value.into(),
            })
    }

    /// Checks that every feature is there and is finite.
    ///
    /// # Errors
    /// [`ModelError::FeatureCount`], [`ModelError::Missing`], [`ModelError::NotANumber`], [`ModelError::Infinite`]
    /// or [`ModelError::NoSuchCategory`], for the first feature at fault.
    pub fn check(&self, features: &[f64]) -> Result<(), ModelError> {
        self.check_each(features, false)
    }

    /// Like [`Schema::check`], but a feature may be [`MISSING`].
    ///
    /// # Errors
    /// As [`Schema::check`], without [`ModelError::Missing`].
    pub fn check_allowing_missing(&self, features: &[f64]) -> Result<(), ModelError> {
        self.check_each(features, true)
    }

    fn check_each(&self, features: &[f64], may_miss: bool) -> Result<(), ModelError> {
        if features.len() != self.features.len() {
            return Err(ModelError::FeatureCount {
                expected: self.features.len(),
                got: features.len(),
            });
        }
        for (index, (&value, feature)) in features.iter().zip(&self.features).enumerate() {
            let name = || feature.name.clone();
            if is_missing(value) {
                if !may_miss {
                    return Err(ModelError::Missing { feature: name(), index });
                }
            } else if value.is_nan() {
                return Err(ModelError::NotANumber { feature: name(), index });
            } else if value.is_infinite() {
                return Err(ModelError::Infinite { feature: name(), index });
            } else if let FeatureKind::Category(categories) = &feature.kind
                && !(value >= 0.0 && value.fract() == 0.0 && value < categories.len() as f64)
            {
                return Err(ModelError::NoSuchCategory {
                    feature: name(),
                    index,
                    value,
                    categories: categories.len(),
                });
            }
        }
        Ok(())
    }
}

fn unique<'a>(names: impl Iterator<Item = &'a str>, what: &str) -> Result<(), ModelError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(ModelError::Schema(format!("the {what} `{name}` is named twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let features = vec![
            Feature {
                name: "distance".into(),
                kind: FeatureKind::Number,
            },
            Feature {
                name: "carrier".into(),
                kind: FeatureKind::Category(vec!["AA".into(), "UA".into()]),
            },
        ];
        let target = Target::Class {
            name: "late".into(),
            classes: vec!["no".into(), "yes".into()],
        };
        Schema::new(features, target).unwrap()
    }

    #[test]
    fn a_missing_value_is_not_the_same_as_not_a_number() {
        let s = schema();
        assert_eq!(
            s.check(&[MISSING, 0.0]),
            Err(ModelError::Missing {
                feature: "distance".into(),
                index: 0
            })
        );
        assert_eq!(
            s.check(&[f64::NAN, 0.0]),
            Err(ModelError::NotANumber {
                feature: "distance".into(),
                index: 0
            })
        );
        assert_eq!(s.check_allowing_missing(&[MISSING, 0.0]), Ok(()));
        assert!(s.check_allowing_missing(&[f64::NAN, 0.0]).is_err());
    }

    #[test]
    fn wrong_counts_infinities_and_categories_that_do_not_exist_are_named() {
        let s = schema();
        assert_eq!(s.check(&[1.0]), Err(ModelError::FeatureCount { expected: 2, got: 1 }));
        assert_eq!(
            s.check(&[f64::INFINITY, 0.0]),
            Err(ModelError::Infinite {
                feature: "distance".into(),
                index: 0
            })
        );
        for value in [2.0, -1.0, 0.5] {
            assert_eq!(
                s.check(&[1.0, value]),
                Err(ModelError::NoSuchCategory {
                    feature: "carrier".into(),
                    index: 1,
                    value,
                    categories: 2
                })
            );
        }
        assert_eq!(s.check(&[1.0, s.category("carrier", "UA").unwrap()]), Ok(()));
        assert!(s.category("carrier", "BA").is_err());
        assert_eq!(s.class("yes"), Ok(1));
        assert!(s.class("maybe").is_err());
    }

    #[test]
    fn a_schema_without_features_or_with_a_name_twice_is_refused() {
        assert!(Schema::numbers([], Target::Cluster).is_err());
        assert!(Schema::numbers(["a", "a"], Target::Cluster).is_err());
        let one = Target::Class {
            name: "t".into(),
            classes: vec!["only".into()],
        };
        assert!(Schema::numbers(["a"], one).is_err());
    }
}
