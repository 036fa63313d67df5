//! Models made elsewhere: ONNX, the open neural network exchange format, by `tract-onnx`; behind the feature `onnx`.
//!
//! Understood are graphs that answer with one number, or with a class and its probabilities, as skl2onnx exports
//! them. Features have names, so that a learner finds them among the fields of an event: each is an input of one
//! column, or all are the columns of one input, and the metadata entry `features` names them, separated by commas.
//! Of a class the probabilities are worked out and the label is not: the answer is the most probable class, of
//! equal ones the first. The classes are named by the file's `ZipMap`, or by a classifier of `ai.onnx.ml`.
//!
//! A model that was exported with doubles answers with doubles. One that was exported with floats is given each
//! feature rounded to a float, and its answers are as exact as floats are; a feature beside a tree's threshold can
//! then fall on its other side. How floats are multiplied depends on the processor: the last bits of such an answer
//! can differ between two kinds of machine, never between two runs on one.
//!
//! A file that is not understood is refused when it is read: the graph is asked once, so that what it lacks is said
//! then. Unlike PMML, ONNX has no limits of size here: a graph can ask for any amount of memory. Take files from
//! those whom you trust.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tract_onnx::Onnx;
use tract_onnx::data_resolver::ModelDataResolver;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Size;
use tract_onnx::pb::type_proto::Value as Kind;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use tract_onnx::prelude::*;

use crate::{Feature, FeatureKind, ModelError, Prediction, Predictor, Schema, Target};

/// `TensorProto.DataType` of the standard: the types of what goes into a model and comes out of it.
const FLOAT: i32 = 1;
const INT64: i32 = 7;
const STRING: i32 = 8;
const DOUBLE: i32 = 11;

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// It is not ONNX, or ends too early.
    #[error("it is no ONNX file, or only a part of one: {0}")]
    Unreadable(String),
    /// An input is not a feature, or not several.
    #[error("the input `{input}` {problem}")]
    Input {
        /// Its name in the graph.
        input: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It answers with something else than a number, or a class and its probabilities.
    #[error("a model answers with one number, or with a class and its probabilities; this one answers with {0}")]
    Outputs(String),
    /// It asks for something that is not understood.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// It does not make sense.
    #[error("{0}")]
    Invalid(String),
}

/// An input of the graph: some columns of the features.
#[derive(Debug)]
struct Input {
    doubles: bool,
    columns: usize,
}

/// A model that was read from a file.
pub struct OnnxModel {
    schema: Schema,
    inputs: Vec<Input>,
    graph: Arc<TypedRunnableModel>,
}

impl fmt::Debug for OnnxModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schema, inputs, .. } = self;
        f.debug_struct("OnnxModel")
            .field("schema", schema)
            .field("inputs", inputs)
            .finish_non_exhaustive()
    }
}

impl OnnxModel {
    /// Reads a file.
    ///
    /// # Errors
    /// [`OnnxError`], which says what is wrong or not supported.
    pub fn read(bytes: &[u8]) -> Result<Self, OnnxError> {
        let onnx = onnx().with_ignore_value_info(true);
        let onnx = Onnx {
            provider: Arc::new(NoOtherFiles),
            ..onnx
        };
        let mut document = onnx
            .proto_model_for_read(&mut &*bytes)
            .map_err(|error| OnnxError::Unreadable(said(&error)))?;
        let Some(mut graph) = document.graph.take() else {
            return Err(OnnxError::Unreadable("there is no graph in it".into()));
        };
        let (features, inputs) = features(&document, &graph)?;
        let target = answer(&mut graph)?;
        keep_what_is_needed(&mut graph);
        numbers_for_labels(&mut graph);
        check_nodes(&onnx, &document, &graph)?;
        if inputs.iter().all(|input| input.doubles) {
            sigmoids_of_doubles(&mut graph);
        }
        let schema = Schema::new(features, target).map_err(|error| OnnxError::Invalid(error.to_string()))?;
        document.graph = Some(graph);
        let graph = runnable(&onnx, &document, &inputs).map_err(|error| OnnxError::Unsupported(said(&error)))?;
        let model = Self { schema, inputs, graph };
        model.try_once()?;
        Ok(model)
    }

    /// Asks the graph about a row of zeros: what it lacks is seen now, and how many numbers it answers with.
    fn try_once(&self) -> Result<(), OnnxError> {
        let answered = self
            .values(&vec![0.0; self.schema.width()])
            .map_err(|error| OnnxError::Unsupported(said(&error)))?;
        let expected = self.schema.classes().len().max(1);
        if answered.len() == expected {
            return Ok(());
        }
        let got = answered.len();
        Err(OnnxError::Outputs(match self.schema.target() {
            Target::Class { .. } => format!("{got} probabilities of {expected} classes"),
            _ => format!("{got} numbers"),
        }))
    }

    fn values(&self, features: &[f64]) -> TractResult<Vec<f64>> {
        let mut rest = features;
        let mut given = TVec::new();
        for input in &self.inputs {
            let (columns, after) = rest.split_at(input.columns);
            rest = after;
            let floats = || columns.iter().map(|x| *x as f32).collect::<Vec<_>>();
            let shape = [1, columns.len()];
            let tensor = match input.doubles {
                true => Tensor::from_shape(&shape, columns)?,
                false => Tensor::from_shape(&shape, &floats())?,
            };
            given.push(tensor.into());
        }
        let answered = self.graph.run(given)?;
        let values = answered[0].cast_to::<f64>()?;
        Ok(values.to_plain_array_view::<f64>()?.iter().copied().collect())
    }
}

impl Predictor for OnnxModel {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
        self.schema.check(features)?;
        let mut doubles = self
            .inputs
            .iter()
            .flat_map(|i| std::iter::repeat_n(i.doubles, i.columns));
        if let Some(index) = features
            .iter()
            .position(|x| doubles.next() == Some(false) && (*x as f32).is_infinite())
        {
            let feature = self.schema.features()[index].name.clone();
            return Err(ModelError::Infinite { feature, index });
        }
        let values = self
            .values(features)
            .map_err(|error| ModelError::NoAnswer(said(&error)))?;
        match (self.schema.target(), &values[..]) {
            (Target::Number { .. }, &[number]) => Prediction::Number(number),
            (Target::Class { classes, .. }, _) if classes.len() == values.len() => {
                Prediction::from_probabilities(values)
            }
            _ => return Err(ModelError::NoAnswer(format!("the graph gave {} numbers", values.len()))),
        }
        .finite()
    }
}

/// Values that a file keeps in another file are not read: a model is one file.
struct NoOtherFiles;

impl ModelDataResolver for NoOtherFiles {
    fn read_bytes_from_path(&self, _: &mut Vec<u8>, _: &Path, _: usize, _: Option<usize>) -> TractResult<()> {
        Err(TractError::msg("its values are in another file"))
    }
}

/// What went wrong first, in one line.
fn said(error: &TractError) -> String {
    let text = error.root_cause().to_string();
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

fn runnable(onnx: &Onnx, document: &ModelProto, inputs: &[Input]) -> TractResult<Arc<TypedRunnableModel>> {
    let mut model = onnx.parse(document, None)?.model;
    for (index, input) in inputs.iter().enumerate() {
        let kind = if input.doubles {
            f64::datum_type()
        } else {
            f32::datum_type()
        };
        model.set_input_fact(index, InferenceFact::dt_shape(kind, [1, input.columns]))?;
    }
    model.into_optimized()?.into_runnable()
}

/// The features, and the inputs by which they go into the graph.
fn features(document: &ModelProto, graph: &GraphProto) -> Result<(Vec<Feature>, Vec<Input>), OnnxError> {
    let given = |input: &&ValueInfoProto| graph.initializer.iter().all(|fixed| fixed.name != input.name);
    let given: Vec<&ValueInfoProto> = graph.input.iter().filter(given).collect();
    let (mut names, mut inputs) = (Vec::new(), Vec::new());
    for input in &given {
        let wrong = |problem: String| OnnxError::Input {
            input: input.name.clone(),
            problem,
        };
        let (kind, sizes) = shape(input).ok_or_else(|| wrong("is not a tensor".into()))?;
        if kind != FLOAT && kind != DOUBLE {
            let what = match kind {
                STRING => "text".to_owned(),
                INT64 => "whole numbers".to_owned(),
                other => format!("type {other}"),
            };
            return Err(wrong(format!("takes {what}: a feature is a float or a double")));
        }
        let [_, Some(columns)] = sizes[..] else {
            let problem = "is no matrix of events and a known number of columns";
            return Err(wrong(problem.to_owned()));
        };
        match (given.len(), columns) {
            (_, 1) => names.push(input.name.clone()),
            (1, _) => names = named(document, &input.name, columns)?,
            _ => {
                let problem = format!("takes {columns} columns: where there are several inputs, each takes one");
                return Err(wrong(problem));
            }
        }
        inputs.push(Input {
            doubles: kind == DOUBLE,
            columns,
        });
    }
    let number = |name| Feature {
        name,
        kind: FeatureKind::Number,
    };
    Ok((names.into_iter().map(number).collect(), inputs))
}

/// The names of the columns of the only input.
fn named(document: &ModelProto, input: &str, columns: usize) -> Result<Vec<String>, OnnxError> {
    let wrong = |problem: String| OnnxError::Input {
        input: input.to_owned(),
        problem,
    };
    let entry = document.metadata_props.iter().find(|entry| entry.key == "features");
    let Some(entry) = entry else {
        let problem = format!(
            "takes {columns} columns and the file does not name them: export one input for each feature, or name \
             them in the metadata entry `features`, separated by commas"
        );
        return Err(wrong(problem));
    };
    let names: Vec<String> = entry.value.split(',').map(|name| name.trim().to_owned()).collect();
    if names.len() != columns {
        return Err(wrong(format!(
            "takes {columns} columns, and the metadata entry `features` names {}",
            names.len()
        )));
    }
    Ok(names)
}

/// The type of a tensor's elements, and its sizes as far as they are known.
fn shape(value: &ValueInfoProto) -> Option<(i32, Vec<Option<usize>>)> {
    let Kind::TensorType(tensor) = value.r#type.as_ref()?.value.as_ref()?;
    let sizes = tensor.shape.iter().flat_map(|shape| &shape.dim);
    let sizes = sizes.map(|size| match size.value {
        Some(Size::DimValue(known)) => usize::try_from(known).ok().filter(|known| *known > 0),
        _ => None,
    });
    Some((tensor.elem_type, sizes.collect()))
}

/// What the model says. Of the outputs one is left, the number or the probabilities.
fn answer(graph: &mut GraphProto) -> Result<Target, OnnxError> {
    let makes = |name: &str| {
        graph
            .node
            .iter()
            .find(|node| node.output.iter().any(|output| output == name))
    };
    let zipped = |output: &ValueInfoProto| makes(&output.name).filter(|node| node.op_type == "ZipMap");
    let is = |output: &ValueInfoProto, kinds: &[i32]| shape(output).is_some_and(|(kind, _)| kinds.contains(&kind));
    let values = |output: &&ValueInfoProto| zipped(output).is_some() || is(output, &[FLOAT, DOUBLE]);
    let labels = |output: &ValueInfoProto| is(output, &[INT64, STRING]);
    let target = match &graph.output[..] {
        [only] if zipped(only).is_none() && is(only, &[FLOAT, DOUBLE]) => {
            let name = only.name.clone();
            (Target::Number { name }, only.clone())
        }
        [label, scores] | [scores, label] if labels(label) && values(&scores) => {
            let mut classifiers = graph.node.iter().rev().filter_map(classes);
            let Some(classes) = zipped(scores).and_then(classes).or_else(|| classifiers.next()) else {
                let problem = "a label and numbers, and does not name its classes (export a classifier with `zipmap`)";
                return Err(OnnxError::Outputs(problem.to_owned()));
            };
            let from = zipped(scores).and_then(|zip| zip.input.first());
            let from = from.unwrap_or(&scores.name).clone();
            let name = label.name.clone();
            let values = ValueInfoProto {
                name: from,
                ..ValueInfoProto::default()
            };
            (Target::Class { name, classes }, values)
        }
        [] => return Err(OnnxError::Outputs("nothing".into())),
        others => {
            let names: Vec<String> = others.iter().map(|output| format!("`{}`", output.name)).collect();
            return Err(OnnxError::Outputs(names.join(", ")));
        }
    };
    let (target, left) = target;
    graph.output = vec![left];
    Ok(target)
}

/// The classes that a node names.
fn classes(node: &NodeProto) -> Option<Vec<String>> {
    let named = |attribute: &&AttributeProto| attribute.name.starts_with("classlabels_");
    let attribute = node.attribute.iter().filter(named);
    let texts = |attribute: &AttributeProto| -> Vec<String> {
        let texts = attribute
            .strings
            .iter()
            .map(|text| String::from_utf8_lossy(text).into_owned());
        texts.chain(attribute.ints.iter().map(ToString::to_string)).collect()
    };
    attribute.map(texts).find(|classes| !classes.is_empty())
}

/// Takes out what the answer does not need: labels, and the maps of names to probabilities.
fn keep_what_is_needed(graph: &mut GraphProto) {
    let mut needed: BTreeSet<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    let mut kept: BTreeSet<usize> = BTreeSet::new();
    loop {
        let before = kept.len();
        for (index, node) in graph.node.iter().enumerate() {
            if node.output.iter().any(|output| needed.contains(output)) && kept.insert(index) {
                needed.extend(node.input.iter().cloned());
            }
        }
        if kept.len() == before {
            break;
        }
    }
    let mut index = 0..;
    graph
        .node
        .retain(|_| index.next().is_some_and(|index| kept.contains(&index)));
}

/// tract knows no classifiers whose labels are text: they get numbers for labels, which nobody looks at.
fn numbers_for_labels(graph: &mut GraphProto) {
    for node in &mut graph.node {
        let numbers = match node.op_type.as_str() {
            "LinearClassifier" => "classlabels_ints",
            "TreeEnsembleClassifier" => "classlabels_int64s",
            _ => continue,
        };
        for attribute in &mut node.attribute {
            if attribute.name == "classlabels_strings" {
                attribute.name = numbers.into();
                attribute.r#type = AttributeType::Ints.into();
                attribute.ints = (0..)
                    .zip(attribute.strings.drain(..))
                    .map(|(number, _)| number)
                    .collect();
            }
        }
    }
}

/// Whether everything that the graph asks for is there, before it is built.
fn check_nodes(onnx: &Onnx, document: &ModelProto, graph: &GraphProto) -> Result<(), OnnxError> {
    let standard = |domain: &str| {
        if domain == "ai.onnx" {
            String::new()
        } else {
            domain.to_owned()
        }
    };
    let versions: BTreeSet<String> = document.opset_import.iter().map(|set| standard(&set.domain)).collect();
    let fixed = graph.initializer.iter().map(|tensor| &tensor.name);
    let inputs = graph.input.iter().map(|input| &input.name);
    let made = graph.node.iter().flat_map(|node| &node.output);
    let known: BTreeSet<&String> = fixed.chain(inputs).chain(made).collect();
    let unknown = |name: &str| OnnxError::Invalid(format!("`{name}` is used in the graph, and nothing makes it"));
    for node in &graph.node {
        let operator = &node.op_type;
        if !versions.contains(&standard(&node.domain)) {
            let problem = format!("the file does not say which version of the operator `{operator}` it means");
            return Err(OnnxError::Unreadable(problem));
        }
        if !onnx.op_register.0.contains_key(operator) {
            return Err(OnnxError::Unsupported(format!("the operator `{operator}`")));
        }
        let nested = |attribute: &AttributeProto| attribute.g.is_some() || !attribute.graphs.is_empty();
        if node.attribute.iter().any(nested) {
            let problem = format!("the operator `{operator}` with a graph of its own");
            return Err(OnnxError::Unsupported(problem));
        }
        if operator == "TreeEnsembleClassifier" {
            trees_end(node)?;
        }
        if let Some(input) = node.input.iter().find(|name| !name.is_empty() && !known.contains(name)) {
            return Err(unknown(input));
        }
    }
    match graph.output.iter().find(|output| !known.contains(&output.name)) {
        Some(output) => Err(unknown(&output.name)),
        None => Ok(()),
    }
}

/// A way through a tree that came back to a node would never end: every branch leads to a node of a larger number, as
/// exporters number them.
fn trees_end(node: &NodeProto) -> Result<(), OnnxError> {
    let given = |name: &str| {
        let attribute = node.attribute.iter().find(|attribute| attribute.name == name);
        attribute.map_or(&[][..], |attribute| &attribute.ints)
    };
    let modes = node.attribute.iter().find(|attribute| attribute.name == "nodes_modes");
    let modes = modes.map_or(&[][..], |attribute| &attribute.strings);
    let branches = given("nodes_truenodeids").iter().zip(given("nodes_falsenodeids"));
    let mut nodes = given("nodes_nodeids").iter().zip(modes).zip(branches);
    match nodes.find(|((own, mode), (yes, no))| mode.as_slice() != b"LEAF" && yes.min(no) <= own) {
        Some(((own, _), _)) => Err(OnnxError::Invalid(format!(
            "in a tree, node {own} leads to one before it"
        ))),
        None => Ok(()),
    }
}

/// tract works out `Sigmoid` for floats alone: for doubles it is spelled out as 1 / (1 + exp(-x)).
fn sigmoids_of_doubles(graph: &mut GraphProto) {
    const ONE: &str = "wavetank.one";
    if !graph.node.iter().any(|node| node.op_type == "Sigmoid") {
        return;
    }
    graph.initializer.push(TensorProto {
        name: ONE.into(),
        data_type: DOUBLE,
        double_data: vec![1.0],
        ..TensorProto::default()
    });
    let spelled = |node: NodeProto| -> Vec<NodeProto> {
        let ([from], [to]) = (&node.input[..], &node.output[..]) else {
            return vec![node];
        };
        if node.op_type != "Sigmoid" {
            return vec![node];
        }
        let step = |kind: &str, inputs: [&str; 2], output: &str| NodeProto {
            name: format!("{to}.{kind}"),
            op_type: kind.into(),
            input: inputs
                .iter()
                .filter(|name| !name.is_empty())
                .map(ToString::to_string)
                .collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        };
        let (negated, raised, more) = (format!("{to}.n"), format!("{to}.e"), format!("{to}.m"));
        vec![
            step("Neg", [from, ""], &negated),
            step("Exp", [&negated, ""], &raised),
            step("Add", [&raised, ONE], &more),
            step("Div", [ONE, &more], to),
        ]
    };
    graph.node = std::mem::take(&mut graph.node).into_iter().flat_map(spelled).collect();
}
