//! Models: what each kind makes of the values of its fields.

use super::bayes::Bayes;
use super::clustering::Clustering;
use super::expression::{self, EXPRESSIONS, Expression, Interval, Names};
use super::general::General;
use super::mining::Mining;
use super::regression::Regression;
use super::scope::{Builder, Field, Function, Scope, Values};
use super::scorecard::Scorecard;
use super::tree::Tree;
use super::value::{DataType, Value};
use super::xml::Element;
use super::{Failure, PmmlError};
use std::sync::Arc;

/// The elements that are models.
pub(super) const MODELS: [&str; 7] = [
    "RegressionModel",
    "TreeModel",
    "MiningModel",
    "GeneralRegressionModel",
    "NaiveBayesModel",
    "ClusteringModel",
    "Scorecard",
];

/// What may stand in any model without a meaning for its answers.
const SILENT: [&str; 6] = [
    "ModelStats",
    "ModelExplanation",
    "ModelVerification",
    "MiningBuildTask",
    "Header",
    "UnivariateStats",
];

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    Regression,
    Classification,
    Clustering,
}

/// What a model says.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    /// The number, the class or the cluster; none when there is no answer.
    pub(super) value: Option<Value>,
    /// Classes and their probabilities.
    pub(super) probabilities: Vec<(Arc<str>, f64)>,
    /// Clusters and the distances to them.
    pub(super) affinities: Vec<(Arc<str>, f64)>,
    /// The node or the cluster that gave the answer.
    pub(super) entity: Option<Arc<str>>,
    /// Why a score is as it is, the weightiest first.
    pub(super) reasons: Vec<Arc<str>>,
}

impl Outcome {
    pub(super) fn number(number: f64) -> Self {
        Self {
            value: Some(Value::Number(number)),
            ..Self::default()
        }
    }

    /// The most probable class; of equal ones the first.
    pub(super) fn classes(probabilities: Vec<(Arc<str>, f64)>) -> Self {
        let mut best: Option<&(Arc<str>, f64)> = None;
        for class in &probabilities {
            if best.is_none_or(|b| class.1 > b.1) {
                best = Some(class);
            }
        }
        Self {
            value: best.map(|(class, _)| Value::Text(class.clone())),
            probabilities,
            ..Self::default()
        }
    }
}

/// The arithmetic of a model.
#[derive(Debug)]
pub(super) enum Kind {
    Regression(Regression),
    Tree(Tree),
    Mining(Mining),
    General(General),
    Bayes(Bayes),
    Clustering(Clustering),
    Scorecard(Scorecard),
}

/// What is done with a value that its field does not allow.
#[derive(Debug, Clone, PartialEq)]
enum Invalid {
    Refuse,
    AsIs,
    AsMissing,
    AsValue(Value),
}

/// What is done with a number far out.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outlier {
    /// It stays.
    Keep,
    /// It is missing.
    Drop(f64, f64),
    /// It becomes the nearest that is not.
    Clamp(f64, f64),
}

/// The values that a field of the data dictionary allows.
#[derive(Debug, Clone)]
pub(super) struct DataField {
    pub(super) name: String,
    pub(super) kind: DataType,
    /// Whether it has categories rather than amounts.
    pub(super) categorical: bool,
    pub(super) valid: Vec<Value>,
    missing: Vec<Value>,
    invalid: Vec<Value>,
    intervals: Vec<Interval>,
}

impl DataField {
    pub(super) fn read(element: &Element) -> Result<Self, PmmlError> {
        element.only(&["Value", "Interval"])?;
        let kind = element.choice("dataType", &DataType::ALL)?;
        element.need("dataType")?;
        let categorical = element.choice(
            "optype",
            &[("continuous", false), ("categorical", true), ("ordinal", true)],
        )?;
        let (mut valid, mut missing, mut invalid) = (Vec::new(), Vec::new(), Vec::new());
        for value in element.all("Value") {
            let text = value.need("value")?;
            match value.attribute("property") {
                None | Some("valid") => valid.push(kind.parse(text, value)?),
                Some("missing") => missing.push(kind.cast(Value::text(text)).unwrap_or_else(|| Value::text(text))),
                Some("invalid") => invalid.push(kind.cast(Value::text(text)).unwrap_or_else(|| Value::text(text))),
                Some(other) => return Err(value.place.unsupported(format!("`property=\"{other}\"` of <Value>"))),
            }
        }
        let intervals = element.all("Interval").map(Interval::read).collect::<Result<_, _>>()?;
        Ok(Self {
            name: element.need("name")?.into(),
            kind,
            categorical,
            valid,
            missing,
            invalid,
            intervals,
        })
    }

    fn allows(&self, value: &Value) -> bool {
        !self.invalid.contains(value)
            && (self.valid.is_empty() || self.valid.contains(value))
            && (self.intervals.is_empty()
                || value
                    .number()
                    .is_some_and(|n| self.intervals.iter().any(|i| i.holds(n))))
    }
}

/// How a field comes into a model.
#[derive(Debug)]
struct Input {
    from: usize,
    to: usize,
    /// Only where it comes in from outside.
    field: Option<DataField>,
    name: String,
    kind: DataType,
    replacement: Option<Value>,
    must_be_there: bool,
    invalid: Invalid,
    outlier: Outlier,
}

impl Input {
    fn read(element: &Element, field: Field, to: usize, data: Option<&DataField>) -> Result<Self, PmmlError> {
        let parse = |name: &str| {
            element
                .attribute(name)
                .map(|text| field.kind.parse(text, element))
                .transpose()
        };
        let must_be_there = element.choice(
            "missingValueTreatment",
            &[
                ("asIs", false),
                ("asMean", false),
                ("asMode", false),
                ("asMedian", false),
                ("asValue", false),
                ("returnInvalid", true),
            ],
        )?;
        let treatment = element.choice(
            "invalidValueTreatment",
            &[("returnInvalid", 0), ("asIs", 1), ("asMissing", 2), ("asValue", 3)],
        )?;
        let invalid = match treatment {
            0 => Invalid::Refuse,
            1 => Invalid::AsIs,
            2 => Invalid::AsMissing,
            _ => Invalid::AsValue(field.kind.parse(element.need("invalidValueReplacement")?, element)?),
        };
        let outlier = element.choice(
            "outliers",
            &[("asIs", 0), ("asMissingValues", 1), ("asExtremeValues", 2)],
        )?;
        let outlier = match outlier {
            0 => Outlier::Keep,
            1 => Outlier::Drop(element.need_number("lowValue")?, element.need_number("highValue")?),
            _ => {
                let (low, high) = (element.need_number("lowValue")?, element.need_number("highValue")?);
                if low > high {
                    return Err(element.place.invalid("`lowValue` is above `highValue`"));
                }
                Outlier::Clamp(low, high)
            }
        };
        Ok(Self {
            from: field.slot,
            to,
            field: data.cloned(),
            name: element.need("name")?.into(),
            kind: field.kind,
            replacement: parse("missingValueReplacement")?,
            must_be_there,
            invalid,
            outlier,
        })
    }

    /// Whether the value comes in unchanged.
    fn is_plain(&self) -> bool {
        self.field.is_none() && self.replacement.is_none() && !self.must_be_there && self.outlier == Outlier::Keep
    }

    fn admit(&self, values: &mut Values) -> Result<(), Failure> {
        let mut value = values[self.from].clone();
        if let Some(field) = &self.field
            && !value.is_missing()
        {
            let given = value.clone();
            value = match self.kind.cast(value) {
                Some(value) if field.missing.contains(&value) => Value::Missing,
                Some(value) if field.allows(&value) => value,
                other => match &self.invalid {
                    Invalid::Refuse => return Err(Failure::InvalidValue(self.name.clone(), given)),
                    Invalid::AsIs => other.unwrap_or(given),
                    Invalid::AsMissing => Value::Missing,
                    Invalid::AsValue(value) => value.clone(),
                },
            };
        }
        if let Some(number) = value.number() {
            value = match self.outlier {
                Outlier::Drop(low, high) if number < low || number > high => Value::Missing,
                Outlier::Clamp(low, high) => Value::Number(number.clamp(low, high)),
                Outlier::Keep | Outlier::Drop(..) => value,
            };
        }
        if value.is_missing() {
            value = match &self.replacement {
                Some(replacement) => replacement.clone(),
                None if self.must_be_there => return Err(Failure::MissingValue(self.name.clone())),
                None => Value::Missing,
            };
        }
        values[self.to] = value;
        Ok(())
    }
}

#[derive(Debug)]
struct Derived {
    slot: usize,
    kind: DataType,
    expression: Expression,
}

/// What becomes of a number before it is the answer.
#[derive(Debug)]
struct Rescale {
    low: f64,
    high: f64,
    factor: f64,
    constant: f64,
    whole: Option<fn(f64) -> f64>,
}

impl Rescale {
    fn read(element: &Element) -> Result<Self, PmmlError> {
        element.only(&[])?;
        let whole: Option<fn(f64) -> f64> = match element.attribute("castInteger") {
            None => None,
            Some("round") => Some(|x| (x + 0.5).floor()),
            Some("ceiling") => Some(f64::ceil),
            Some("floor") => Some(f64::floor),
            Some(other) => return Err(element.place.unsupported(format!("`castInteger=\"{other}\"`"))),
        };
        Ok(Self {
            low: element.number("min")?.unwrap_or(f64::NEG_INFINITY),
            high: element.number("max")?.unwrap_or(f64::INFINITY),
            factor: element.number("rescaleFactor")?.unwrap_or(1.0),
            constant: element.number("rescaleConstant")?.unwrap_or(0.0),
            whole,
        })
    }

    fn apply(&self, number: f64) -> f64 {
        let number = number.max(self.low).min(self.high) * self.factor + self.constant;
        self.whole.map_or(number, |whole| whole(number))
    }
}

#[derive(Debug)]
enum Feature {
    Predicted,
    Probability(Option<Arc<str>>),
    Affinity(Option<Arc<str>>),
    Entity,
    Reason(usize),
    Expression(Expression),
}

#[derive(Debug)]
struct Output {
    slot: usize,
    kind: Option<DataType>,
    feature: Feature,
}

/// A model whose names are resolved.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) task: Task,
    /// The field of the mining schema that it predicts, if it names one.
    pub(super) target: Option<String>,
    inputs: Vec<Input>,
    derived: Vec<Derived>,
    kind: Kind,
    rescale: Option<Rescale>,
    outputs: Vec<Output>,
}

/// Reads `<DerivedField>`s into a scope, in their order.
fn read_derived(
    parent: &Element,
    scope: &mut Scope<'_>,
    builder: &mut Builder,
    into: &mut Vec<Derived>,
) -> Result<(), PmmlError> {
    for element in parent.all("DerivedField") {
        let expression = expression::read_child(element, Names::Fields(scope), builder)?;
        element.need("dataType")?;
        let kind = element.choice("dataType", &DataType::ALL)?;
        let slot = builder.slot();
        scope.add(element.need("name")?, Field { slot, kind });
        into.push(Derived { slot, kind, expression });
    }
    Ok(())
}

/// Reads the functions of a transformation dictionary.
pub(super) fn read_functions(dictionary: &Element, builder: &mut Builder) -> Result<(), PmmlError> {
    dictionary.only(&["DefineFunction", "DerivedField"])?;
    for element in dictionary.all("DefineFunction") {
        let names: Vec<String> = element
            .all("ParameterField")
            .map(|p| p.need("name").map(String::from))
            .collect::<Result<_, _>>()?;
        let body = element.children().find(|c| EXPRESSIONS.contains(&c.name.as_str()));
        let body = body.ok_or_else(|| element.place.invalid("<DefineFunction> needs an expression"))?;
        let body = expression::read(body, Names::Parameters(&names), builder)?;
        let function = Function {
            parameters: names.len(),
            body,
            kind: DataType::of(element)?,
        };
        builder.functions.insert(element.need("name")?.into(), function);
    }
    Ok(())
}

impl Model {
    /// Reads a model. `data` is there for the outermost: its fields come in from outside.
    pub(super) fn read(
        element: &Element,
        around: &Scope<'_>,
        data: Option<(&[DataField], Option<&Element>)>,
        builder: &mut Builder,
    ) -> Result<Self, PmmlError> {
        if element.attribute("isScorable") == Some("false") {
            return Err(element.place.unsupported("a model with `isScorable=\"false\"`"));
        }
        element.need("functionName")?;
        let task = element.choice(
            "functionName",
            &[
                ("regression", Task::Regression),
                ("classification", Task::Classification),
                ("clustering", Task::Clustering),
            ],
        )?;
        let mut scope = Scope::new(Some(around));
        let (mut inputs, mut target) = (Vec::new(), None);
        for field in element.need_child("MiningSchema")?.all("MiningField") {
            let name = field.need("name")?;
            match field.attribute("usageType") {
                None | Some("active") => {}
                Some("target" | "predicted") => {
                    target = target.or(Some(name.to_owned()));
                    continue;
                }
                Some("supplementary" | "frequencyWeight" | "analysisWeight" | "group" | "order") => continue,
                Some(other) => return Err(field.place.unsupported(format!("`usageType=\"{other}\"`"))),
            }
            let found = around.field(field, "name")?;
            let data = data.and_then(|(fields, _)| fields.iter().find(|f| f.name == name));
            let mut input = Input::read(field, found, found.slot, data)?;
            if !input.is_plain() {
                input.to = builder.slot();
                scope.add(
                    name,
                    Field {
                        slot: input.to,
                        kind: found.kind,
                    },
                );
                inputs.push(input);
            }
        }
        let mut derived = Vec::new();
        if let Some((_, Some(dictionary))) = data {
            read_derived(dictionary, &mut scope, builder, &mut derived)?;
        }
        if let Some(local) = element.child("LocalTransformations") {
            local.only(&["DerivedField"])?;
            read_derived(local, &mut scope, builder, &mut derived)?;
        }
        let mut understood = vec!["MiningSchema", "Output", "LocalTransformations", "Targets"];
        understood.extend(SILENT);
        let kind = match element.name.as_str() {
            "RegressionModel" => {
                understood.push("RegressionTable");
                Kind::Regression(Regression::read(element, task, &scope)?)
            }
            "TreeModel" => {
                understood.push("Node");
                Kind::Tree(Tree::read(element, task, &scope)?)
            }
            "MiningModel" => {
                understood.push("Segmentation");
                Kind::Mining(Mining::read(element, task, &mut scope, builder)?)
            }
            "GeneralRegressionModel" => {
                understood.extend([
                    "ParameterList",
                    "FactorList",
                    "CovariateList",
                    "PPMatrix",
                    "ParamMatrix",
                ]);
                Kind::General(General::read(element, task, &scope)?)
            }
            "NaiveBayesModel" => {
                understood.extend(["BayesInputs", "BayesOutput"]);
                Kind::Bayes(Bayes::read(element, &scope, builder)?)
            }
            "ClusteringModel" => {
                understood.extend(["ComparisonMeasure", "ClusteringField", "MissingValueWeights", "Cluster"]);
                Kind::Clustering(Clustering::read(element, &scope)?)
            }
            "Scorecard" => {
                understood.push("Characteristics");
                Kind::Scorecard(Scorecard::read(element, &scope, builder)?)
            }
            other => return Err(element.place.unsupported(format!("<{other}>"))),
        };
        element.only(&understood)?;
        let fits = match &kind {
            Kind::Mining(_) => true,
            Kind::Regression(_) | Kind::Tree(_) | Kind::General(_) => task != Task::Clustering,
            Kind::Bayes(_) => task == Task::Classification,
            Kind::Clustering(_) => task == Task::Clustering,
            Kind::Scorecard(_) => task == Task::Regression,
        };
        if !fits {
            return Err(element
                .place
                .unsupported(format!("this `functionName` for <{}>", element.name)));
        }
        let rescale = match element.child("Targets") {
            Some(targets) => match (targets.all("Target").next(), targets.all("Target").nth(1)) {
                (_, Some(second)) => return Err(second.place.unsupported("a second <Target>")),
                (Some(first), None) => Some(Rescale::read(first)?),
                (None, None) => None,
            },
            None => None,
        };
        let mut model = Self {
            task,
            target,
            inputs,
            derived,
            kind,
            rescale,
            outputs: Vec::new(),
        };
        if let Some(output) = element.child("Output") {
            output.only(&["OutputField"])?;
            for field in output.all("OutputField") {
                let output = read_output(field, &model, &scope, builder)?;
                let kind = output.kind.unwrap_or(if task == Task::Regression {
                    DataType::Double
                } else {
                    DataType::Text
                });
                scope.add(
                    field.need("name")?,
                    Field {
                        slot: output.slot,
                        kind,
                    },
                );
                if field.attribute("isFinalResult") != Some("false") {
                    builder.answers.push((field.need("name")?.into(), output.slot));
                }
                model.outputs.push(output);
            }
        }
        Ok(model)
    }

    /// The names of its clusters, if it has any; of a chain those of its last model.
    pub(super) fn clusters(&self) -> Vec<Arc<str>> {
        match &self.kind {
            Kind::Clustering(clustering) => clustering.names().cloned().collect(),
            Kind::Mining(mining) => mining.last().map_or_else(Vec::new, Self::clusters),
            _ => Vec::new(),
        }
    }

    /// The fields that its outputs become for the models after it in a chain.
    pub(super) fn output_fields(&self, element: &Element) -> Result<Vec<(String, Field)>, PmmlError> {
        let mut fields = Vec::new();
        if let Some(output) = element.child("Output") {
            for (element, output) in output.all("OutputField").zip(&self.outputs) {
                let usual = if self.task == Task::Regression {
                    DataType::Double
                } else {
                    DataType::Text
                };
                let usual = match output.feature {
                    Feature::Probability(_) | Feature::Affinity(_) => DataType::Double,
                    _ => usual,
                };
                let field = Field {
                    slot: output.slot,
                    kind: output.kind.unwrap_or(usual),
                };
                fields.push((element.need("name")?.to_owned(), field));
            }
        }
        Ok(fields)
    }

    /// What it says of the values.
    pub(super) fn ask(&self, values: &mut Values) -> Result<Outcome, Failure> {
        for input in &self.inputs {
            input.admit(values)?;
        }
        for derived in &self.derived {
            values[derived.slot] = derived
                .kind
                .cast(derived.expression.value(values))
                .unwrap_or(Value::Missing);
        }
        let mut outcome = match &self.kind {
            Kind::Regression(model) => model.ask(values),
            Kind::Tree(model) => model.ask(values),
            Kind::Mining(model) => model.ask(values)?,
            Kind::General(model) => model.ask(values),
            Kind::Bayes(model) => model.ask(values),
            Kind::Clustering(model) => model.ask(values),
            Kind::Scorecard(model) => model.ask(values),
        };
        if let (Some(rescale), Some(Value::Number(number))) = (&self.rescale, &outcome.value) {
            outcome.value = Some(Value::Number(rescale.apply(*number)));
        }
        for output in &self.outputs {
            let value = output.feature.of(&outcome, values);
            values[output.slot] = match output.kind {
                Some(kind) => kind.cast(value).unwrap_or(Value::Missing),
                None => value,
            };
        }
        Ok(outcome)
    }
}

fn read_output(
    element: &Element,
    model: &Model,
    scope: &Scope<'_>,
    builder: &mut Builder,
) -> Result<Output, PmmlError> {
    for attribute in ["segmentId", "ruleFeature"] {
        if element.attribute(attribute).is_some() {
            return Err(element.place.unsupported(format!("`{attribute}` of <OutputField>")));
        }
    }
    let value = element.attribute("value").map(Arc::from);
    let feature = match element.attribute("feature") {
        None | Some("predictedValue") => Feature::Predicted,
        Some("probability") => Feature::Probability(value),
        Some("affinity") => Feature::Affinity(value),
        Some("entityId" | "clusterId") => Feature::Entity,
        Some("reasonCode") => {
            let rank = element.number("rank")?.unwrap_or(1.0);
            if rank < 1.0 || rank.fract() != 0.0 {
                return Err(element.place.invalid("`rank` must be 1, 2, 3 …"));
            }
            Feature::Reason(rank as usize - 1)
        }
        Some("transformedValue" | "decision") => {
            Feature::Expression(expression::read_child(element, Names::Fields(scope), builder)?)
        }
        Some(other) => {
            return Err(element
                .place
                .unsupported(format!("`feature=\"{other}\"` of <OutputField>")));
        }
    };
    if matches!(feature, Feature::Affinity(_)) && !matches!(model.kind, Kind::Clustering(_)) {
        return Err(element
            .place
            .unsupported("`feature=\"affinity\"` outside of <ClusteringModel>"));
    }
    Ok(Output {
        slot: builder.slot(),
        kind: DataType::of(element)?,
        feature,
    })
}

impl Feature {
    fn of(&self, outcome: &Outcome, values: &Values) -> Value {
        let text = |text: Option<&Arc<str>>| text.map_or(Value::Missing, |t| Value::Text(t.clone()));
        let winner = || match &outcome.value {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let number = |list: &[(Arc<str>, f64)], of: &Option<Arc<str>>| {
            let name = of.clone().or_else(winner);
            let found = list.iter().find(|(n, _)| Some(n) == name.as_ref());
            found.map_or(Value::Missing, |(_, number)| Value::Number(*number))
        };
        match self {
            Self::Predicted => outcome.value.clone().unwrap_or(Value::Missing),
            Self::Probability(class) => number(&outcome.probabilities, class),
            Self::Affinity(cluster) => number(&outcome.affinities, cluster),
            Self::Entity => text(outcome.entity.as_ref()),
            Self::Reason(rank) => text(outcome.reasons.get(*rank)),
            Self::Expression(expression) => expression.value(values),
        }
    }
}
