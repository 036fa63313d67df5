//! Models made elsewhere: PMML, the predictive model markup language of the Data Mining Group, versions 4.0 to 4.4.
//!
//! A document is read once, names are resolved, constants are read as the type of their field, and what is not
//! understood is refused with its line and column: a model answers as its maker meant, or not at all. A document type
//! declaration is refused (and with it entities), and so is more depth, more elements or more parts of expressions
//! than [`Limits`] allow.
//!
//! Understood: `DataDictionary`, `TransformationDictionary` with functions, `MiningSchema` (missing, invalid and
//! extreme values), `LocalTransformations`, `Targets`, `Output`, and
//!
//! | model | answers |
//! | --- | --- |
//! | `RegressionModel` | a number or a class |
//! | `TreeModel` | a number or a class |
//! | `MiningModel` with `Segmentation` | what its segments answer, together or in a chain |
//! | `GeneralRegressionModel` | a number or a class |
//! | `NaiveBayesModel` | a class |
//! | `ClusteringModel` with centres | a cluster |
//! | `Scorecard` | a number |

mod bayes;
mod clustering;
mod expression;
mod general;
mod mining;
mod models;
mod predicate;
mod regression;
mod scope;
mod scorecard;
mod tree;
mod value;
mod xml;

pub use value::Value;
pub use xml::Limits;

use crate::{Feature, FeatureKind, ModelError, Prediction, Predictor, Schema, Target, is_missing};
use models::{DataField, MODELS, Model, Outcome, Task};
use scope::{Builder, Field, Scope, Values};
use std::sync::Arc;
use xml::Element;

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PmmlProblem {
    /// It is not well-formed XML.
    #[error("not well-formed: {0}")]
    Xml(String),
    /// It declares a document type; with that come entities that grow or read other files.
    #[error("a document type declaration is not allowed")]
    DocumentType,
    /// It refers to an entity that is not XML's own.
    #[error("the entity `&{0};` is not known")]
    Entity(String),
    /// It is larger or deeper than is allowed.
    #[error("too large: {0}")]
    TooLarge(String),
    /// It asks for something that is not understood.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// It does not make sense.
    #[error("{0}")]
    Invalid(String),
}

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct PmmlError {
    /// Line, from 1.
    pub line: u64,
    /// Column in bytes, from 1.
    pub column: u64,
    /// What is wrong.
    pub problem: PmmlProblem,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq)]
enum Failure {
    InvalidValue(String, Value),
    MissingValue(String),
}

/// What a document's model says about an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The number, the class or the cluster.
    pub value: Value,
    /// The classes and their probabilities, in the order of the model; empty when it has none.
    pub probabilities: Vec<(Arc<str>, f64)>,
    /// The clusters and the distances to them; empty when it has none.
    pub distances: Vec<(Arc<str>, f64)>,
    /// The output fields and their values.
    pub outputs: Vec<(String, Value)>,
}

/// A model that was read from a document.
#[derive(Debug)]
pub struct PmmlModel {
    schema: Schema,
    /// The field of each feature.
    fields: Vec<DataField>,
    /// The slot of each feature.
    order: Vec<usize>,
    slots: usize,
    model: Model,
    answers: Vec<(String, usize)>,
    clusters: Vec<Arc<str>>,
}

impl PmmlModel {
    /// Reads a document, and of it the first model.
    ///
    /// # Errors
    /// [`PmmlError`] with the line and column of what is wrong or not supported.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, PmmlError> {
        let root = xml::parse(bytes, limits)?;
        if root.name != "PMML" {
            return Err(root
                .place
                .invalid(format!("the root element is <{}>, not <PMML>", root.name)));
        }
        match root.attribute("version") {
            Some("4.0" | "4.1" | "4.2" | "4.2.1" | "4.3" | "4.4" | "4.4.1") => {}
            Some(version) => return Err(root.place.unsupported(format!("PMML version {version}"))),
            None => return Err(root.place.invalid("<PMML> needs the attribute `version`")),
        }
        let mut builder = Builder::new(limits);
        let mut scope = Scope::new(None);
        let mut data = Vec::new();
        let dictionary = root.need_child("DataDictionary")?;
        dictionary.only(&["DataField"])?;
        for element in dictionary.all("DataField") {
            let field = DataField::read(element)?;
            if scope.find(&field.name).is_some() {
                return Err(element
                    .place
                    .invalid(format!("the field `{}` is there twice", field.name)));
            }
            scope.add(
                &field.name,
                Field {
                    slot: builder.slot(),
                    kind: field.kind,
                },
            );
            data.push(field);
        }
        let transformations = root.child("TransformationDictionary");
        if let Some(dictionary) = transformations {
            models::read_functions(dictionary, &mut builder)?;
        }
        let silent = [
            "Header",
            "MiningBuildTask",
            "DataDictionary",
            "TransformationDictionary",
        ];
        let mut found = root.children().filter(|c| !silent.contains(&c.name.as_str()));
        let element = found.next().ok_or_else(|| root.place.invalid("there is no model"))?;
        if !MODELS.contains(&element.name.as_str()) {
            return Err(element.place.unsupported(format!("<{}>", element.name)));
        }
        let model = Model::read(element, &scope, Some((&data, transformations)), &mut builder)?;
        let (fields, features) = features(element, &data)?;
        let clusters = model.clusters();
        let target = target(element, &model, &data)?;
        let schema = Schema::new(features, target).map_err(|e| element.place.invalid(e.to_string()))?;
        // The slots of the features are those of their fields; they come first, in the dictionary's order.
        let (slots, answers) = (builder.slots, builder.answers);
        let slot = |name: &str| scope.find(name).map(|f| f.slot);
        if fields.iter().any(|f| slot(&f.name).is_none()) {
            return Err(element
                .place
                .invalid("a field of the <MiningSchema> is not in the <DataDictionary>"));
        }
        let order: Vec<usize> = fields.iter().filter_map(|f| slot(&f.name)).collect();
        Ok(Self {
            schema,
            fields,
            slots,
            model,
            answers,
            clusters,
            order,
        })
    }

    /// What the model says, with all its output fields. The values are in the order of the schema.
    ///
    /// # Errors
    /// [`ModelError::FeatureCount`], [`ModelError::InvalidValue`] for a value that its field does not allow,
    /// [`ModelError::NotANumber`], or [`ModelError::NoAnswer`] when the model has none for these values.
    pub fn ask(&self, features: &[Value]) -> Result<Answer, ModelError> {
        if features.len() != self.fields.len() {
            return Err(ModelError::FeatureCount {
                expected: self.fields.len(),
                got: features.len(),
            });
        }
        let mut values: Values = vec![Value::Missing; self.slots];
        for (index, value) in features.iter().enumerate() {
            if let Value::Number(number) = value
                && number.is_nan()
            {
                return Err(ModelError::NotANumber {
                    feature: self.fields[index].name.clone(),
                    index,
                });
            }
            values[self.order[index]] = value.clone();
        }
        let outcome = self.model.ask(&mut values).map_err(|failure| match failure {
            Failure::InvalidValue(feature, value) => ModelError::InvalidValue {
                feature,
                value: value.written().to_string(),
            },
            Failure::MissingValue(feature) => {
                let index = self.fields.iter().position(|f| f.name == feature).unwrap_or_default();
                ModelError::Missing { feature, index }
            }
        })?;
        let Outcome {
            value,
            probabilities,
            affinities,
            ..
        } = outcome;
        let value = value.ok_or_else(|| ModelError::NoAnswer("the document gives none for these values".into()))?;
        let finite = |n: f64| n.is_finite();
        if !value.number().is_none_or(finite) || !probabilities.iter().all(|(_, p)| finite(*p)) {
            return Err(ModelError::NoAnswer("the result is not a finite number".into()));
        }
        let outputs = self
            .answers
            .iter()
            .map(|(name, slot)| (name.clone(), values[*slot].clone()))
            .collect();
        Ok(Answer {
            value,
            probabilities,
            distances: affinities,
            outputs,
        })
    }

    /// The features as values of their fields: a category's index becomes its name.
    fn values(&self, features: &[f64]) -> Result<Vec<Value>, ModelError> {
        self.schema.check_allowing_missing(features)?;
        let value = |(x, field): (&f64, &DataField)| match field.categories() {
            _ if is_missing(*x) => Value::Missing,
            Some(categories) => categories[*x as usize].clone(),
            None => Value::Number(*x),
        };
        Ok(features.iter().zip(&self.fields).map(value).collect())
    }
}

impl DataField {
    /// The values of a field that has categories; true and false when it is of that type.
    fn categories(&self) -> Option<Vec<Value>> {
        if !self.categorical || (self.valid.is_empty() && self.kind.is_number()) {
            return None;
        }
        if self.valid.is_empty() && self.kind == value::DataType::Boolean {
            return Some(vec![Value::Boolean(false), Value::Boolean(true)]);
        }
        Some(self.valid.clone())
    }
}

/// The fields that come in from outside, and what they are as features.
fn features(element: &Element, data: &[DataField]) -> Result<(Vec<DataField>, Vec<Feature>), PmmlError> {
    let (mut fields, mut features) = (Vec::new(), Vec::new());
    for mining in element.need_child("MiningSchema")?.all("MiningField") {
        if !matches!(mining.attribute("usageType"), None | Some("active")) {
            continue;
        }
        let name = mining.need("name")?;
        let Some(field) = data.iter().find(|f| f.name == name) else {
            return Err(mining.place.invalid(format!("`{name}` is not in the <DataDictionary>")));
        };
        let kind = match field.categories() {
            Some(values) if values.is_empty() => {
                let what =
                    format!("the categorical field `{name}`, because the <DataDictionary> names no values of it");
                return Err(mining.place.unsupported(what));
            }
            Some(values) => FeatureKind::Category(values.iter().map(|v| v.written().to_string()).collect()),
            None => FeatureKind::Number,
        };
        features.push(Feature {
            name: name.into(),
            kind,
        });
        fields.push(field.clone());
    }
    Ok((fields, features))
}

fn target(element: &Element, model: &Model, data: &[DataField]) -> Result<Target, PmmlError> {
    let name = model.target.clone().unwrap_or_else(|| "prediction".into());
    Ok(match model.task {
        Task::Regression => Target::Number { name },
        Task::Clustering => Target::Cluster,
        Task::Classification => {
            let field = data.iter().find(|f| f.name == name);
            let classes: Vec<String> = field
                .and_then(DataField::categories)
                .unwrap_or_default()
                .iter()
                .map(|v| v.written().to_string())
                .collect();
            if classes.len() < 2 {
                let what = format!("the target `{name}` needs two or more values in the <DataDictionary>");
                return Err(element.place.invalid(what));
            }
            Target::Class { name, classes }
        }
    })
}

impl Predictor for PmmlModel {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The answer as a prediction. A feature may be missing if the document has a rule for that.
    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
        let answer = self.ask(&self.values(features)?)?;
        let written = answer.value.written();
        match self.schema.target() {
            Target::Number { .. } => match answer.value.number() {
                Some(number) => Ok(Prediction::Number(number)),
                None => Err(ModelError::NoAnswer(format!("`{written}` is no number"))),
            },
            Target::Class { .. } => {
                let class = self.schema.class(&written)?;
                let known = |c: &String| {
                    answer
                        .probabilities
                        .iter()
                        .find(|(n, _)| **n == **c)
                        .map_or(0.0, |(_, p)| *p)
                };
                let probabilities = match answer.probabilities.is_empty() {
                    true => Vec::new(),
                    false => self.schema.classes().iter().map(known).collect(),
                };
                Ok(Prediction::Class { class, probabilities })
            }
            Target::Cluster | Target::Anomaly => {
                let cluster = self.clusters.iter().position(|c| *c == written);
                let distance = answer
                    .distances
                    .iter()
                    .find(|(n, _)| *n == written)
                    .map_or(f64::NAN, |(_, d)| *d);
                match cluster {
                    Some(cluster) => Ok(Prediction::Cluster { cluster, distance }),
                    None => Err(ModelError::NoAnswer(format!(
                        "`{written}` is no cluster of the document"
                    ))),
                }
            }
        }
    }
}
