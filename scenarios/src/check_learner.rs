//! What is wrong with a learner as it is written, with its models and the fields that they look at.

use wavetank_models::drift::{Detector, DetectorSettings};
use wavetank_models::evaluation::Prequential;
use wavetank_models::gate::Gate;
use wavetank_models::online::OnlineModel;
use wavetank_models::{FeatureKind, LoadedModel, Predictor, Schema as ModelSchema, Target};

use crate::check::{Checker, article};
use crate::data::name_of;
use crate::schema::FieldType;
use crate::script::{Late, Learn, LearnResults, LearnTarget, ModelService, Operator};
use crate::serving::service_of;
use crate::shapes::{Shape, Shapes, schema};
use crate::suggest;
use crate::time::Span;
use crate::value::Value;

/// Where the ranges of a setting are said.
const RANGES: &str = "what it may be is said by: wavetank explain learn";

impl Checker<'_> {
    /// What can be told of a learner before files are read.
    pub fn learner(&mut self, index: usize, operator: &Operator, learn: &Learn) {
        let at = |key: &str| format!("operator[{index}].learn{key}");
        if learn.pretrained.is_empty() && learn.online.is_none() {
            let help = "add pretrained = [{ file = \"…\" }], or online = { logistic-regression = {} }, or both";
            self.say(&at(""), "there is no model", help.to_owned());
        }
        self.versions(index, learn);
        if let Some(gate) = learn.gate {
            if learn.pretrained.is_empty() || learn.online.is_none() {
                let help = "give it both, `pretrained` and `online`, or leave `gate` out".to_owned();
                self.say(&at(".gate"), "a gate stands between two models", help);
            }
            if learn.drift.is_some() {
                let help = "write it as gate = { drift = … }".to_owned();
                self.say(
                    &at(".drift"),
                    "with a gate it is the gate that watches for a drift",
                    help,
                );
            }
            if let Err(error) = Gate::new(gate) {
                self.say(&at(".gate"), error.to_string(), RANGES.to_owned());
            }
        } else if !learn.pretrained.is_empty() && learn.online.is_some() {
            let help = "add gate = {}, and the online model is served as soon as it is better".to_owned();
            self.say(&at(".online"), "nobody says which of the two models is served", help);
        }
        if let Some(drift) = learn.drift
            && let Err(error) = Detector::new(drift)
        {
            self.say(&at(".drift"), error.to_string(), RANGES.to_owned());
        }
        self.not_negative(&at(".cost"), Some(learn.cost));
        if let Some(service) = &learn.service {
            self.service(index, operator, learn, service);
        } else if learn.cache > 0 && learn.online.is_some() {
            let help = "leave `cache` out, or `online`".to_owned();
            let message = "a model that learns answers the same question differently the next time";
            self.say(&at(".cache"), message, help);
        }
        if operator.late == Late::Correct || operator.late == Late::Emit {
            let help = "drop late events, or set them aside".to_owned();
            let path = format!("operator[{index}].late");
            self.say(&path, "a learner does not take its answers back", help);
        }
        let unlabelled = matches!(learn.target, Some(LearnTarget::Cluster | LearnTarget::Anomaly));
        if unlabelled {
            for (key, there) in [
                (".labels", learn.labels.is_some()),
                (".gate", learn.gate.is_some()),
                (".drift", learn.drift.is_some()),
                (".results", learn.results == LearnResults::Outcomes),
            ] {
                if there {
                    let help = "leave it out; or predict a number or a class".to_owned();
                    self.say(
                        &at(key),
                        "clusters and anomalies have no labels that this could go by",
                        help,
                    );
                }
            }
        }
        self.labels(index, operator, learn);
    }

    fn service(&mut self, index: usize, operator: &Operator, learn: &Learn, service: &ModelService) {
        let at = |key: &str| format!("operator[{index}].learn{key}");
        self.positive(&at(".service.within"), Some(service.within));
        if learn.pretrained.is_empty() {
            let help = "add pretrained = [{ file = \"…\" }]; the online model is always in the operator";
            self.say(
                &at(".service"),
                "there is no model that the service could have",
                help.to_owned(),
            );
        }
        if learn.cost > Span::ZERO {
            let help = format!(
                "leave it out; what an answer takes is the `service` of the node `{}`",
                service_of(&operator.name)
            );
            self.say(&at(".cost"), "whoever asks a service is not busy with the answer", help);
        }
        for (what, there) in [
            ("sub-streams", operator.convey.is_some()),
            ("two copies", operator.failover.is_some()),
        ] {
            if there {
                let message = format!("an operator with {what} has its model inside");
                self.say(&at(".service"), message, "leave `service` out".to_owned());
            }
        }
    }

    /// The versions of the pre-trained model, one after another.
    fn versions(&mut self, index: usize, learn: &Learn) {
        let mut before = None;
        for (k, file) in learn.pretrained.iter().enumerate() {
            let path = format!("operator[{index}].learn.pretrained[{k}]");
            match (k, file.from) {
                (0, Some(_)) => {
                    let help = "leave `from` out".to_owned();
                    self.say(&path, "the first version serves from the beginning", help);
                }
                (0, None) => {}
                (_, None) => {
                    let help = "add from = \"…\", counted from the start".to_owned();
                    self.say(&path, "when this version begins to serve is not said", help);
                }
                (_, Some(from)) => {
                    self.positive(&format!("{path}.from"), Some(from));
                    if before.is_some_and(|before| from <= before) {
                        let help = "write the versions in the order in which they serve".to_owned();
                        self.say(&path, "this version begins no later than the one above it", help);
                    }
                    before = Some(from);
                }
            }
        }
    }

    fn labels(&mut self, index: usize, operator: &Operator, learn: &Learn) {
        let Some(labels) = &learn.labels else { return };
        let at = |key: &str| format!("operator[{index}].learn.labels.{key}");
        self.positive(&at("within"), Some(labels.within));
        if labels.by.is_empty() {
            let help = "name the fields that an event and its label have in common".to_owned();
            self.say(&at("by"), "every label would belong to every event", help);
        }
        if !operator.input.contains(&labels.input) {
            let known: Vec<&str> = operator.input.iter().map(String::as_str).collect();
            self.unknown(&at("input"), "input", &labels.input, &known);
        } else if operator.input.len() < 2 {
            let help = "name the events in `input` too; or leave `labels` out: they are in the events".to_owned();
            self.say(&at("input"), "labels come, and no events", help);
        }
    }

    /// The fields of what a learner puts out; `models` are the pre-trained ones, as far as they could be read.
    pub fn learned(&mut self, index: usize, inputs: &[Shapes]) -> Shapes {
        let scenario = self.scenario;
        let operator = &scenario.operators[index];
        let Some(learn) = &operator.learn else { return vec![] };
        let of_labels = learn.label_input(&operator.input);
        let events = (0..inputs.len()).filter(|i| Some(*i) != of_labels);
        let mut fields: Option<Shapes> = None;
        for i in events {
            fields = Some(match fields {
                None => inputs[i].clone(),
                Some(first) if schema(&first).names().ne(schema(&inputs[i]).names()) => {
                    let message = format!("`{}` has other fields than the inputs before it", operator.input[i]);
                    let help = "the events that are predicted have the same fields; transform one of them first";
                    self.say(&format!("operator[{index}].input[{i}]"), message, help.to_owned());
                    first
                }
                Some(first) => {
                    let both = first.into_iter().zip(&inputs[i]);
                    both.map(|((name, a), (_, b))| (name, a.merge(b.clone()))).collect()
                }
            });
        }
        let fields = fields.unwrap_or_default();
        let models: Vec<std::sync::Arc<LoadedModel>> = (0..learn.pretrained.len())
            .filter_map(|k| self.models.get(&(index, k)).cloned())
            .collect();
        if models.len() < learn.pretrained.len() {
            // What is wrong with the files has been said.
            return fields;
        }
        let first = models.first().map(|model| model.schema());
        let target = match learn.target_beside(first) {
            Ok(target) => target,
            Err(why) => {
                let help = "add target = { class = { field = \"late\", of = [\"no\", \"yes\"] } }".to_owned();
                self.say(&format!("operator[{index}].learn"), why, help);
                return fields;
            }
        };
        for (k, model) in models.iter().enumerate() {
            self.pretrained(index, k, model, &target, &fields);
        }
        self.online(index, learn, first, &fields);
        self.of_label(index, learn, &target, inputs, &fields);
        self.fallback(index, learn, &target);
        let mut out = fields;
        for (name, kind) in learn.adds(&target) {
            if out.iter().any(|(n, _)| *n == name) {
                let message = format!("a learner adds a field `{name}`, and there is one already");
                self.say(
                    &format!("operator[{index}].learn"),
                    message,
                    "rename it first".to_owned(),
                );
            }
            out.push((name, Shape::of_type(kind)));
        }
        out
    }

    fn pretrained(&mut self, index: usize, k: usize, model: &LoadedModel, target: &Target, fields: &Shapes) {
        let path = format!("operator[{index}].learn.pretrained[{k}].file");
        self.looked_at(&path, model.schema(), fields, Some(model.name()));
        let same = match (model.schema().target(), target) {
            (Target::Class { classes: ours, .. }, Target::Class { classes: theirs, .. }) => ours == theirs,
            (ours, theirs) => std::mem::discriminant(ours) == std::mem::discriminant(theirs),
        };
        if !same {
            let message = format!(
                "the model `{}` answers with {}, and asked for is {}",
                model.name(),
                describe(model.schema().target()),
                describe(target)
            );
            let help = "all versions, and `target`, ask for the same".to_owned();
            self.say(&path, message, help);
        }
    }

    fn online(&mut self, index: usize, learn: &Learn, first: Option<&ModelSchema>, fields: &Shapes) {
        let at = |key: &str| format!("operator[{index}].learn{key}");
        let Some(online) = &learn.online else {
            if !learn.features.is_empty() {
                let help = "leave `features` out".to_owned();
                let message = "what a pre-trained model looks at is in its file";
                self.say(&at(".features"), message, help);
            }
            return;
        };
        let model = match learn.schema_beside(first) {
            Ok(model) => model,
            Err(why) => {
                let key = if learn.features.is_empty() { "" } else { ".features" };
                let help = "features = [\"distance\", { carrier = [\"AA\", \"UA\"] }]".to_owned();
                return self.say(&at(key), why, help);
            }
        };
        let key = if learn.features.is_empty() {
            ".online"
        } else {
            ".features"
        };
        self.looked_at(&at(key), &model, fields, None);
        if let Err(error) = OnlineModel::new(model, online.clone()) {
            self.say(&at(".online"), error.to_string(), RANGES.to_owned());
        }
    }

    /// Whether the events have what a model looks at.
    fn looked_at(&mut self, path: &str, model: &ModelSchema, fields: &Shapes, named: Option<&str>) {
        let who = named.map_or_else(|| "the online model".to_owned(), |name| format!("the model `{name}`"));
        for feature in model.features() {
            let Some(slot) = schema(fields).slot(&feature.name) else {
                let help = suggest::help(&feature.name, fields.iter().map(|(n, _)| n.as_str()));
                let message = format!("{who} looks at `{}`, and the events have no such field", feature.name);
                self.say(path, message, help);
                continue;
            };
            let found = fields[slot].1.kind();
            let (fits, wants) = match feature.kind {
                FeatureKind::Number => (
                    matches!(
                        found,
                        FieldType::Int | FieldType::Float | FieldType::Bool | FieldType::Any
                    ),
                    "a number",
                ),
                FeatureKind::Category(_) => (
                    matches!(
                        found,
                        FieldType::Text | FieldType::Int | FieldType::Bool | FieldType::Any
                    ),
                    "a category",
                ),
            };
            if !fits {
                let message = format!(
                    "{who} takes `{}` as {wants}, and it is {}",
                    feature.name,
                    article(name_of(found))
                );
                let help = match feature.kind {
                    FeatureKind::Number if found == FieldType::Text => {
                        format!("name its categories: {{ {} = [\"one\", \"other\"] }}", feature.name)
                    }
                    _ => "derive what it takes in a transformation before it".to_owned(),
                };
                self.say(path, message, help);
            }
        }
    }

    fn of_label(&mut self, index: usize, learn: &Learn, target: &Target, inputs: &[Shapes], events: &Shapes) {
        let at = |key: &str| format!("operator[{index}].learn{key}");
        let operator = &self.scenario.operators[index];
        let drift = learn.drift.or(learn.gate.and_then(|gate| gate.drift));
        if matches!(drift, Some(DetectorSettings::Ddm(_))) && !matches!(target, Target::Class { .. }) {
            let help = "take adwin or page-hinkley".to_owned();
            let key = if learn.gate.is_some() { ".gate" } else { ".drift" };
            self.say(&at(key), "ddm counts mistakes, and only classes can be mistaken", help);
        }
        let Some(label) = learn.label_of(target) else { return };
        if let Err(error) =
            ModelSchema::numbers(["x"], target.clone()).and_then(|s| Prequential::new(&s, learn.evaluate))
        {
            self.say(&at(".evaluate"), error.to_string(), RANGES.to_owned());
        }
        let input = learn.label_input(&operator.input);
        let holds = input.map_or(events, |input| &inputs[input]);
        let path = if learn.target.is_some() { at(".target") } else { at("") };
        match schema(holds).slot(label) {
            None => {
                let whose = if input.is_some() { "labels" } else { "events" };
                let help = match suggest::help(label, holds.iter().map(|(n, _)| n.as_str())) {
                    help if input.is_some() => help,
                    help => help.map(|help| format!("{help}; or say in `labels` which input the labels come from")),
                };
                let message = format!("the label is `{label}`, and the {whose} have no such field");
                self.say(&path, message, help);
            }
            Some(slot) => {
                let found = holds[slot].1.kind();
                let fits = match target {
                    Target::Number { .. } => matches!(found, FieldType::Int | FieldType::Float | FieldType::Any),
                    _ => matches!(
                        found,
                        FieldType::Text | FieldType::Bool | FieldType::Int | FieldType::Any
                    ),
                };
                if !fits {
                    let message = format!(
                        "the label `{label}` is {}, and predicted is {}",
                        article(name_of(found)),
                        describe(target)
                    );
                    let help = "derive the label in a transformation before it".to_owned();
                    self.say(&path, message, help);
                }
            }
        }
        let Some((labels, input)) = learn.labels.as_ref().zip(input) else {
            return;
        };
        for name in &labels.by {
            for (whose, shapes) in [("events", events), ("labels", &inputs[input])] {
                if schema(shapes).slot(name).is_none() {
                    let help = suggest::help(name, shapes.iter().map(|(n, _)| n.as_str()));
                    let message = format!("the {whose} have no field `{name}`");
                    self.say(&at(".labels.by"), message, help);
                }
            }
        }
    }

    fn fallback(&mut self, index: usize, learn: &Learn, target: &Target) {
        let Some(fallback) = &learn.fallback else { return };
        let value = Value::from(fallback);
        let fits = match (target, &value) {
            (Target::Class { classes, .. }, Value::Text(text)) => classes.iter().any(|class| *class == **text),
            (Target::Number { .. } | Target::Anomaly, value) => value.as_f64().is_some_and(f64::is_finite),
            (Target::Cluster, Value::Int(cluster)) => *cluster >= 0,
            _ => false,
        };
        if !fits {
            let message = format!("`{value}` is no answer: predicted is {}", describe(target));
            let help = "answer with what a model could say, or leave `fallback` out".to_owned();
            self.say(&format!("operator[{index}].learn.fallback"), message, help);
        }
    }
}

/// What a target is, in words.
fn describe(target: &Target) -> String {
    match target {
        Target::Number { .. } => "a number".into(),
        Target::Class { classes, .. } => format!("one of `{}`", classes.join("`, `")),
        Target::Cluster => "a cluster".into(),
        Target::Anomaly => "how unusual the event is".into(),
    }
}
