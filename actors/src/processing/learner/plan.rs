//! What follows from the settings of a learner and the fields of its inputs: where everything stands in a row.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use wavetank_models::{FeatureKind, Label, LoadedModel, MISSING, ModelError, Prediction, Predictor, Target};
use wavetank_scenarios::script::{self, Learn, LearnOrder, LearnResults};
use wavetank_scenarios::{Row, Schema, Span, Time, Value};

use crate::processing::Surroundings;
use crate::processing::expr::unknown;

/// How a feature is read from a row.
enum Read {
    Number,
    Category(FxHashMap<String, f64>),
}

/// What a model looks at.
pub struct Looks(Vec<(String, usize, Read)>);

impl Looks {
    /// What is asked with a row: the values that the model looks at.
    pub fn question(&self, row: &[Value]) -> Vec<Value> {
        let value = |(_, slot, _): &(String, usize, Read)| row.get(*slot).cloned().unwrap_or_default();
        self.0.iter().map(value).collect()
    }

    fn new(model: &wavetank_models::Schema, events: &Schema) -> Result<Self, String> {
        let features = model.features().iter().map(|feature| {
            let slot = events.slot(&feature.name);
            let slot = slot.ok_or_else(|| unknown("field", &feature.name, events.names()))?;
            let read = match &feature.kind {
                FeatureKind::Number => Read::Number,
                FeatureKind::Category(of) => {
                    let places = of.iter().enumerate().map(|(i, name)| (name.clone(), i as f64));
                    Read::Category(places.collect())
                }
            };
            Ok((feature.name.clone(), slot, read))
        });
        features.collect::<Result<_, String>>().map(Self)
    }

    /// The features of a row.
    ///
    /// # Errors
    /// A value that is of another kind than the model takes, or a category that it does not know. What is null is
    /// missing: what that means is the model's to say.
    pub fn at(&self, row: &[Value]) -> Result<Vec<f64>, ModelError> {
        let feature = |(index, (name, slot, read)): (usize, &(String, usize, Read))| {
            let value = row.get(*slot).unwrap_or(&Value::Null);
            match (read, value) {
                (_, Value::Null) => Ok(MISSING),
                (Read::Number, Value::Bool(is)) => Ok(f64::from(u8::from(*is))),
                (Read::Number, value) => value.as_f64().ok_or_else(|| ModelError::NotANumber {
                    feature: name.clone(),
                    index,
                }),
                (Read::Category(places), value) => {
                    let place = match value {
                        Value::Text(text) => places.get(text.as_str()),
                        value => places.get(&value.to_string()),
                    };
                    place.copied().ok_or_else(|| ModelError::UnknownCategory {
                        feature: name.clone(),
                        value: value.to_string(),
                    })
                }
            }
        };
        self.0.iter().enumerate().map(feature).collect()
    }
}

/// A version of the pre-trained model.
pub struct Version {
    pub model: Arc<LoadedModel>,
    pub looks: Looks,
    /// From when on it serves.
    pub from: Time,
}

/// Labels that come on an input of their own.
pub struct Apart {
    pub input: usize,
    by_event: Vec<usize>,
    by_label: Vec<usize>,
    pub within: Span,
}

/// Where a label stands, and on what.
pub struct LabelAt {
    slot: usize,
    pub apart: Option<Apart>,
}

/// What a learner goes by.
pub struct Plan {
    pub schema: wavetank_models::Schema,
    pub versions: Vec<Version>,
    /// What the online model looks at, if there is one.
    pub online: Option<Looks>,
    pub label: Option<LabelAt>,
    pub fallback: Option<Prediction>,
    pub by_event_time: bool,
    pub outcomes: bool,
    pub side: bool,
    pub lineage: bool,
}

fn slots(by: &[String], schema: &Schema) -> Result<Vec<usize>, String> {
    by.iter()
        .map(|name| schema.slot(name).ok_or_else(|| unknown("field", name, schema.names())))
        .collect()
}

fn key(slots: &[usize], row: &[Value]) -> Option<Row> {
    let values: Vec<Value> = slots
        .iter()
        .map(|slot| row.get(*slot).cloned().unwrap_or_default())
        .collect();
    (!values.iter().any(Value::is_null)).then(|| values.into())
}

impl Apart {
    /// The id of an event; none where a part of it is null.
    pub fn id_of_event(&self, row: &[Value]) -> Option<Row> {
        key(&self.by_event, row)
    }
    /// The id that a label names.
    pub fn id_of_label(&self, row: &[Value]) -> Option<Row> {
        key(&self.by_label, row)
    }
}

impl Plan {
    pub fn new(operator: &script::Operator, learn: &Learn, around: &Surroundings<'_>) -> Result<Self, String> {
        let of_labels = learn.label_input(&operator.input);
        let mut events = (0..around.inputs.len()).filter(|input| Some(*input) != of_labels);
        let schema = events
            .next()
            .map(|input| around.inputs[input])
            .ok_or("it has no events")?;
        if let Some(other) = events.find(|input| !around.inputs[*input].names().eq(schema.names())) {
            let name = operator.input.get(other).map_or("", String::as_str);
            return Err(format!("the events of `{name}` have other fields than those before"));
        }
        let models = learn.schema()?;
        let versions = learn.pretrained.iter().map(|file| {
            let read = file.read.as_ref();
            let read = read.ok_or_else(|| format!("the model `{}` has not been read", file.file))?;
            Ok(Version {
                model: Arc::clone(&read.model),
                looks: Looks::new(read.model.schema(), schema)?,
                from: read.from,
            })
        });
        let versions = versions.collect::<Result<Vec<Version>, String>>()?;
        let online = learn.online.as_ref().map(|_| Looks::new(&models, schema)).transpose()?;
        let label = match learn.label_of(models.target()) {
            None => None,
            Some(name) => {
                let holds = of_labels.map_or(schema, |input| around.inputs[input]);
                let slot = holds.slot(name).ok_or_else(|| unknown("field", name, holds.names()))?;
                let apart = match (&learn.labels, of_labels) {
                    (Some(labels), Some(input)) => Some(Apart {
                        input,
                        by_event: slots(&labels.by, schema)?,
                        by_label: slots(&labels.by, holds)?,
                        within: labels.within,
                    }),
                    _ => None,
                };
                Some(LabelAt { slot, apart })
            }
        };
        let fallback = match &learn.fallback {
            Some(value) => Some(answer(&models, &value.into()).ok_or("the fallback is no answer")?),
            None => None,
        };
        Ok(Self {
            schema: models,
            versions,
            online,
            label,
            fallback,
            by_event_time: learn.order == LearnOrder::EventTime,
            outcomes: learn.results == LearnResults::Outcomes,
            side: operator.late == script::Late::Side,
            lineage: around.lineage,
        })
    }

    /// Labels on an input of their own, if they are.
    pub fn apart(&self) -> Option<&Apart> {
        self.label.as_ref()?.apart.as_ref()
    }

    /// The label in a row; nothing where it is null.
    ///
    /// # Errors
    /// It is none that this learner could learn from.
    pub fn label_in(&self, row: &[Value]) -> Result<Option<Label>, String> {
        let Some(at) = &self.label else { return Ok(None) };
        let value = row.get(at.slot).unwrap_or(&Value::Null);
        if value.is_null() {
            return Ok(None);
        }
        let label = match self.schema.target() {
            Target::Number { .. } => value.as_f64().filter(|x| x.is_finite()).map(Label::Number),
            _ => self.class(value).map(Label::Class),
        };
        match label {
            Some(label) => Ok(Some(label)),
            None => Err(format!("the label is {value}, which nothing can be learned from")),
        }
    }

    fn class(&self, value: &Value) -> Option<usize> {
        match value {
            Value::Text(text) => self.schema.class(text).ok(),
            value => self.schema.class(&value.to_string()).ok(),
        }
    }

    /// The columns of a prediction: what is predicted, and how sure the model is or how far away.
    pub fn columns(&self, prediction: Option<&Prediction>, columns: &mut Vec<Value>) {
        let float = |x: Option<f64>| x.filter(|x| x.is_finite()).map_or(Value::Null, Value::Float);
        match prediction {
            None => {
                columns.push(Value::Null);
                if matches!(self.schema.target(), Target::Class { .. } | Target::Cluster) {
                    columns.push(Value::Null);
                }
            }
            Some(Prediction::Number(number)) => columns.push(Value::Float(*number)),
            Some(Prediction::Anomaly { score }) => columns.push(Value::Float(*score)),
            Some(Prediction::Cluster { cluster, distance }) => {
                columns.push(Value::Int(*cluster as i64));
                columns.push(float(Some(*distance)));
            }
            Some(answer @ Prediction::Class { class, .. }) => {
                columns.push(self.class_name(*class));
                columns.push(float(answer.probability(*class)));
            }
        }
    }

    /// The column of a label.
    pub fn label_column(&self, label: Label) -> Value {
        match label {
            Label::Number(number) => Value::Float(number),
            Label::Class(class) => self.class_name(class),
            Label::None => Value::Null,
        }
    }

    fn class_name(&self, class: usize) -> Value {
        let name = self.schema.classes().get(class);
        name.map_or(Value::Null, |name| Value::text(name.as_str()))
    }
}

/// A constant as an answer.
fn answer(schema: &wavetank_models::Schema, value: &Value) -> Option<Prediction> {
    Some(match schema.target() {
        Target::Number { .. } => Prediction::Number(value.as_f64()?),
        Target::Anomaly => Prediction::Anomaly { score: value.as_f64()? },
        Target::Cluster => match value {
            Value::Int(cluster) => Prediction::Cluster {
                cluster: usize::try_from(*cluster).ok()?,
                distance: f64::NAN,
            },
            _ => return None,
        },
        Target::Class { .. } => match value {
            Value::Text(text) => Prediction::Class {
                class: schema.class(text).ok()?,
                probabilities: vec![],
            },
            _ => return None,
        },
    })
}
