//! Settings of the machine learner.

use std::sync::Arc;

use arcstr::ArcStr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use wavetank_models::drift::DetectorSettings;
use wavetank_models::evaluation::Memory;
use wavetank_models::gate::GateSettings;
use wavetank_models::online::OnlineSettings;
use wavetank_models::{Feature, FeatureKind, LoadedModel, Predictor, Schema as ModelSchema, Target};

use super::Scalar;
use crate::schema::FieldType;
use crate::time::{Span, Time};

/// A machine learner: it predicts for each event, and learns when the label comes. There is a pre-trained model, one that
/// learns as it goes (online), or both with a gate between them.
///
/// Each event is answered as soon as it is its turn, and learned from when its label is known: predict first, then learn.
/// A result has the fields of the event and behind them `prediction`, `probability` (of the class that is predicted) or
/// `distance` (to the centre of the cluster), `model` (`pre-trained`, `online` or `fallback`), `version` (of the
/// pre-trained model) and, where one learns, `learned`: from how many examples it had learned.
///
/// Features are fields of the events, found by name: those of a pre-trained model are in its file, those of the online
/// model in `features`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Learn {
    /// What the online model looks at, in order: `"distance"` for a field that is a number, `{ carrier = ["AA", "UA"] }`
    /// for one that is one of these. Default: the features of the first pre-trained model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Json>")]
    pub features: Vec<LearnFeature>,
    /// What is predicted, and the field that holds the label. Default: what the first pre-trained model answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<LearnTarget>,
    /// Where labels come from, if they come later than the events. Default: the label is a field of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    /// In which order it predicts and learns.
    #[serde(default)]
    pub order: LearnOrder,
    /// The files of the pre-trained model, one for each version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pretrained: Vec<ModelFile>,
    /// The model that learns as it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<OnlineSettings>,
    /// With both: when which of them is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateSettings>,
    /// What watches the losses for a drift: those of the online model, else those of the pre-trained one. With a gate it
    /// is a setting of the gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DetectorSettings>,
    /// What a drift means for the online model.
    #[serde(default)]
    pub on_drift: OnDrift,
    /// Which labels count for the measures of how good the answers are.
    #[serde(default)]
    pub evaluate: Memory,
    /// What is answered when no model can: a feature is missing or not a number, a category is unknown, nothing has been
    /// learned yet. Default: such an event fails, but that nothing has been learned yet is answered with null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Scalar>,
    /// What comes out.
    #[serde(default)]
    pub results: LearnResults,
    /// The pre-trained model is not in the operator: it stands behind a service, which is asked by messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ModelService>,
    /// How long a prediction keeps the operator busy: the work of a large model, or the way to a service and back where
    /// whoever asks does nothing else until the answer is there. Default: no time.
    #[serde(default)]
    pub cost: Span,
    /// How many answers of the pre-trained model are remembered, those that were asked for last: they cost no time, and
    /// are not asked of a service. A new version remembers nothing of the old one. Default: none.
    #[serde(default)]
    pub cache: u32,
}

/// A field of the events that a model looks at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Json", into = "Json")]
pub struct LearnFeature(pub Feature);

impl TryFrom<Json> for LearnFeature {
    type Error = String;
    fn try_from(value: Json) -> Result<Self, String> {
        const FORM: &str = "a feature is the name of a field, or { field = [\"one\", \"other\"] } with its categories";
        match value {
            Json::String(name) => Ok(Self(Feature {
                name,
                kind: FeatureKind::Number,
            })),
            Json::Object(table) if table.len() == 1 => {
                let (name, of) = table.into_iter().next().ok_or(FORM)?;
                let of: Vec<String> = serde_json::from_value(of).map_err(|_| FORM)?;
                Ok(Self(Feature {
                    name,
                    kind: FeatureKind::Category(of),
                }))
            }
            _ => Err(FORM.into()),
        }
    }
}

impl From<LearnFeature> for Json {
    fn from(LearnFeature(feature): LearnFeature) -> Self {
        match feature.kind {
            FeatureKind::Number => Self::String(feature.name),
            FeatureKind::Category(of) => json!({ feature.name: of }),
        }
    }
}

/// What is predicted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LearnTarget {
    /// The number in this field.
    Number(String),
    /// Which of these classes is in this field. Of two, the second is the positive one. The classes of a field that is
    /// true or false are `"false"` and `"true"`.
    Class {
        /// The field.
        field: String,
        /// The classes.
        of: Vec<String>,
    },
    /// To which cluster the event belongs; there are no labels.
    Cluster,
    /// How unusual the event is, from 0 to 1; there are no labels.
    Anomaly,
}

impl LearnTarget {
    /// The same, as models name it.
    pub fn target(&self) -> Target {
        match self {
            Self::Number(name) => Target::Number { name: name.clone() },
            Self::Class { field, of } => Target::Class {
                name: field.clone(),
                classes: of.clone(),
            },
            Self::Cluster => Target::Cluster,
            Self::Anomaly => Target::Anomaly,
        }
    }
}

/// Labels that come later than their events.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// The entry of `input` that they come from.
    pub input: String,
    /// The fields, of events and labels alike, whose values say to which event a label belongs.
    pub by: Vec<String>,
    /// How long after its event a label may come, in event time. A label belongs to the events with its id that are
    /// stamped at most so long before it, and not after it. When the watermark has passed the end of that time, the
    /// event is not waited for any longer, and its label counts as missing.
    pub within: Span,
}

/// A service that has the pre-trained model: an actor of its own, `NAME.service`, on a node of that name, whose `service` is
/// the time that an answer takes. Questions travel on the link `NAME -> NAME.service`, answers on the one back; they can
/// be datagrams. What is asked names its version, and the service has all of them.
///
/// Events and labels have their turn in the order in which they came, watermarks keep their place among them, and whoever
/// has an answer waits for those before. Without an answer in time an event gets that of the online model, else the
/// `fallback`, else it fails. The end of the input waits for what has been asked. After a recovery it is asked again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelService {
    /// How long an answer is waited for, by the monotonic clock of the node of whoever asks.
    pub within: Span,
}

/// In which order events are predicted and labels learned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LearnOrder {
    /// As they arrive, at once. A label that arrives before its event waits until the watermark has passed it. A new
    /// version serves from when the watermark has come to its time.
    #[default]
    Arrival,
    /// By their stamps; at the same stamp events before labels. They are held until the watermark has passed them, and
    /// what the watermark has passed already is late. A new version serves the events stamped at its time or later.
    EventTime,
}

/// A file of a pre-trained model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// The file: one that `wavetank train` wrote; a PMML document of a RegressionModel, TreeModel, MiningModel,
    /// GeneralRegressionModel, NaiveBayesModel, ClusteringModel or Scorecard; or, where Wavetank was built with the
    /// feature `onnx`, an ONNX file, whose name ends in `.onnx`.
    pub file: String,
    /// Its version, which must be the one that is in the file. Default: whatever the file says; PMML and ONNX say none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// From when on it serves, in event time since the start of the run. The first one serves from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Span>,
    /// What was read, once it was.
    #[serde(skip)]
    pub read: Option<ReadModel>,
}

/// A pre-trained model that was read.
#[derive(Clone, Debug)]
pub struct ReadModel {
    /// The model.
    pub model: Arc<LoadedModel>,
    /// From when on it serves.
    pub from: Time,
}

/// What a drift means for the online model.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnDrift {
    /// It learns on from where it is.
    #[default]
    GoOn,
    /// It forgets all that it has learned, and begins again with the example that the drift was seen on.
    Forget,
}

/// What a learner puts out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LearnResults {
    /// Each prediction, when it is made.
    #[default]
    Predictions,
    /// Each prediction beside what came of it, when the label is there: with `label` and `loss` (0 or 1 for a class, the
    /// absolute difference for a number). Stamped as the label. An event whose label never comes is filtered.
    Outcomes,
}

impl Learn {
    /// What the learner predicts, `first` being what the first pre-trained model is for.
    ///
    /// # Errors
    /// There is neither a `target` nor such a model.
    pub fn target_beside(&self, first: Option<&ModelSchema>) -> Result<Target, String> {
        match (&self.target, first) {
            (Some(target), _) => Ok(target.target()),
            (None, Some(first)) => Ok(first.target().clone()),
            (None, None) => Err("nobody says what is to be predicted: there is no `target`".into()),
        }
    }

    /// What the online model looks at and answers, `first` being what the first pre-trained model is for.
    ///
    /// # Errors
    /// There are no features, or features and target do not go together.
    pub fn schema_beside(&self, first: Option<&ModelSchema>) -> Result<ModelSchema, String> {
        let target = self.target_beside(first)?;
        let features = match first {
            Some(first) if self.features.is_empty() => first.features().to_vec(),
            _ => self
                .features
                .iter()
                .map(|LearnFeature(feature)| feature.clone())
                .collect(),
        };
        ModelSchema::new(features, target).map_err(|error| error.to_string())
    }

    /// What the online model looks at and answers, once files have been read; without one, what the pre-trained one does.
    ///
    /// # Errors
    /// As [`Learn::schema_beside`].
    pub fn schema(&self) -> Result<ModelSchema, String> {
        let first = self.pretrained.first().and_then(|file| file.read.as_ref());
        self.schema_beside(first.map(|read| read.model.schema()))
    }

    /// The field that holds the labels of such a target, if labels are asked for at all: a model that only answers needs
    /// none.
    pub fn label_of<'a>(&self, target: &'a Target) -> Option<&'a str> {
        let asked = self.target.is_some()
            || self.labels.is_some()
            || self.online.is_some()
            || self.drift.is_some()
            || self.results == LearnResults::Outcomes;
        match target {
            Target::Number { name } | Target::Class { name, .. } => asked.then_some(name),
            Target::Cluster | Target::Anomaly => None,
        }
    }

    /// The fields that stand behind those of the event, for such a target.
    pub fn adds(&self, target: &Target) -> Vec<(ArcStr, FieldType)> {
        let (kind, label) = match target {
            Target::Number { .. } | Target::Anomaly => (FieldType::Float, FieldType::Float),
            Target::Class { .. } => (FieldType::Text, FieldType::Text),
            Target::Cluster => (FieldType::Int, FieldType::Int),
        };
        let mut fields = vec![("prediction".into(), kind)];
        match target {
            Target::Class { .. } => fields.push(("probability".into(), FieldType::Float)),
            Target::Cluster => fields.push(("distance".into(), FieldType::Float)),
            Target::Number { .. } | Target::Anomaly => {}
        }
        fields.push(("model".into(), FieldType::Text));
        fields.push(("version".into(), FieldType::Text));
        if self.online.is_some() {
            fields.push(("learned".into(), FieldType::Int));
        }
        if self.results == LearnResults::Outcomes {
            fields.push(("label".into(), label));
            fields.push(("loss".into(), FieldType::Float));
        }
        fields
    }

    /// Where labels stand in a list of inputs, if they come on one of their own.
    pub fn label_input(&self, inputs: &[String]) -> Option<usize> {
        let labels = self.labels.as_ref()?;
        inputs.iter().position(|entry| *entry == labels.input)
    }
}
