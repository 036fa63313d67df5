//! `wavetank train`: a pre-trained model from a table in a file.
//!
//! The file is read as a source of a scenario reads it, and what is learned from is what a query over it selects: so a
//! feature is worked out by the same code here and in a pipeline. Training stands outside of every world: the same
//! file, settings and seed give the same bytes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};
use wavetank_actors::operator::{Emitted, Output as Out};
use wavetank_models::evaluation::{Memory, Prequential};
use wavetank_models::pretrained::{Pretrained, Table, TrainingSettings};
use wavetank_models::{Feature, FeatureKind, Label, MISSING, ModelError, Predictor, Schema as ModelSchema, Target};
use wavetank_reports::text::printable;
use wavetank_scenarios::exit::Exit;
use wavetank_scenarios::input::What;
use wavetank_scenarios::library::DiskFiles;

use wavetank_scenarios::{Event, EventId, Problem, Producer, Row, Schema, Script, Time, Value};

use super::output::Output;
use super::{Stop, notice};

/// What `wavetank train` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file of examples: CSV, or JSON Lines
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which model
    #[arg(long, value_enum)]
    model: Kind,
    /// The column that is to be predicted; k-means and one-class have none
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// The classes in their order, the positive one last [default: as they are sorted]
    #[arg(long, value_name = "ONE,OTHER", value_delimiter = ',', requires = "target")]
    classes: Vec<String>,
    /// What is learned from: SQL over `data`, one row for each example; all columns but the target are features
    #[arg(long, value_name = "SQL", default_value = "select * from data")]
    query: String,
    /// A setting of the model, such as trees=50; may be given again
    #[arg(long = "with", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, Json)>,
    /// What chance there is in training follows from this
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The model's name [default: that of the file it is written to]
    #[arg(long)]
    name: Option<String>,
    /// The model's version
    #[arg(long = "as-version", value_name = "VERSION", default_value = "1")]
    version: String,
    /// Leave out rows that are no examples, instead of giving up
    #[arg(long)]
    skip_bad: bool,
    /// Write the model to this file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// The models that can be trained.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Kind {
    /// Linear regression: a number
    Linear,
    /// Logistic regression: a class
    Logistic,
    /// Random forest: a number or a class
    Forest,
    /// Nearest neighbours: a number or a class
    Neighbours,
    /// Gaussian naive Bayes: a class
    Bayes,
    /// K-means: a cluster
    KMeans,
    /// One-class support vectors: how unusual an example is
    OneClass,
}

impl Kind {
    /// As settings name it.
    const fn key(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Logistic => "logistic",
            Self::Forest => "forest",
            Self::Neighbours => "neighbours",
            Self::Bayes => "bayes",
            Self::KMeans => "k-means",
            Self::OneClass => "one-class",
        }
    }
}

const SKIPS: &str = "--skip-bad leaves such rows out; or select others in --query";

fn setting(text: &str) -> Result<(String, Json), String> {
    let (key, value) = text.split_once('=').ok_or("write it as key=value")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Json::String(value.to_owned()));
    Ok((key.trim().to_owned(), value))
}

/// Trains a model and writes it to a file.
///
/// # Errors
/// The file cannot be read, the query does not fit it, the table is none that the model can learn from, or the model
/// cannot be written.
pub fn train(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let invalid = |why: String| Stop::new(Exit::Invalid, why);
    let settings = settings(args.model, &args.settings).map_err(|why| Stop::new(Exit::Usage, why))?;
    let Examples {
        schema,
        rows,
        lines,
        unread,
    } = examples(args).map_err(invalid)?;
    let (table, bad) = table(args, &schema, &rows)?;
    for row in unread.iter().chain(&bad).take(3) {
        notice::note(&format!("left out: {row}"));
    }
    let stem = args.output.file_stem().unwrap_or_default().to_string_lossy();
    let name = args.name.as_deref().unwrap_or(&stem);
    let model = Pretrained::train(name, args.version.as_str(), &table, settings, args.seed);
    let model = model.map_err(|error| invalid(error.to_string()))?;
    let bytes = model
        .to_bytes()
        .map_err(|error| Stop::new(Exit::Internal, error.to_string()))?;
    let path = args.output.display();
    std::fs::write(&args.output, &bytes)
        .map_err(|error| Stop::new(Exit::Usage, format!("{path}: the model cannot be written: {error}")))?;
    let features: Vec<&str> = model.schema().features().iter().map(|f| f.name.as_str()).collect();
    let mut text = format!(
        "{} version {}: {} on {} examples, {} left out\n  features  {}\n",
        printable(model.name()),
        printable(model.version()),
        args.model.key(),
        model.examples(),
        lines + bad.len() as u64,
        printable(&features.join(", "))
    );
    text += &on_its_own(&model, &table).map_err(|error| invalid(error.to_string()))?;
    text += &format!("written to {path}: {} bytes\n", bytes.len());
    output.print(&text)?;
    Ok(Exit::AllHold)
}

/// How good the model is on what it was trained on: what it cannot be worse at.
fn on_its_own(model: &Pretrained, table: &Table) -> Result<String, ModelError> {
    let Ok(mut metrics) = Prequential::new(model.schema(), Memory::All) else {
        return Ok(String::new());
    };
    for (row, label) in table.rows().iter().zip(table.labels()) {
        metrics.update(&model.predict(row)?, *label)?;
    }
    Ok(match metrics {
        Prequential::Number(metrics) => format!(
            "  on its own examples: mean absolute error {:.4}, root of the mean square {:.4}\n",
            metrics.mae(),
            metrics.rmse()
        ),
        Prequential::Class(metrics) => format!(
            "  on its own examples: accuracy {:.4}, balanced accuracy {:.4}\n",
            metrics.accuracy(),
            metrics.balanced_accuracy()
        ),
    })
}

fn settings(kind: Kind, given: &[(String, Json)]) -> Result<TrainingSettings, String> {
    let plain = matches!(kind, Kind::Linear | Kind::Bayes);
    if let (true, Some((key, _))) = (plain, given.first()) {
        return Err(format!("{} has no settings, so no `{key}` either", kind.key()));
    }
    let read = if plain {
        serde_json::from_value(Json::from(kind.key()))
    } else {
        let table: Map<String, Json> = given.iter().cloned().collect();
        serde_json::from_value(Json::Object(Map::from_iter([(kind.key().to_owned(), table.into())])))
    };
    read.map_err(|error| format!("the settings of {} do not fit: {error}", kind.key()))
}

/// What a query selects from a file.
struct Examples {
    schema: Schema,
    rows: Vec<Row>,
    /// How many lines of the file are left out, and what is wrong with the first of them.
    lines: u64,
    unread: Vec<String>,
}

/// What the query selects from the file.
fn examples(args: &Args) -> Result<Examples, String> {
    let file = args.file.as_path();
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| format!("{}: this names no file", file.display()))?;
    let quoted = |text: &str| Json::from(text).to_string();
    let text = format!(
        "schema = 1\nname = \"train\"\npattern = \"machine-learner\"\n\
         [[source]]\nname = \"data\"\nfile = {}\nrate = \"1000/s\"\non_bad = \"{}\"\n\
         [[operator]]\nname = \"examples\"\ninput = [\"data\"]\nquery = {}\n\
         [[sink]]\nname = \"out\"\ninput = [\"examples\"]\n",
        quoted(name),
        if args.skip_bad { "skip" } else { "stop" },
        quoted(&args.query)
    );
    let files = DiskFiles::new(file.parent().unwrap_or(Path::new("")));
    let script = Script::load(&text, "the query", &files, &[]).map_err(|problems| {
        let told = problems.iter().map(|problem| {
            let help = problem
                .help
                .as_ref()
                .map_or_else(String::new, |help| format!(" ({help})"));
            match problem.file == "the query" {
                true => format!("{}{help}", problem.message),
                // What could be set in a scenario's source is an option here.
                false => Problem {
                    help: None,
                    ..problem.clone()
                }
                .to_string(),
            }
        });
        let mut told: Vec<String> = told.collect();
        if !args.skip_bad && problems.iter().any(|problem| problem.file != "the query") {
            told.push(SKIPS.to_owned());
        }
        told.join("\n")
    })?;
    let mut operator = crate::run::operator(&script, 0, false)?;
    let worker = script.topology.workers(0).next().ok_or("nobody reads the file")?;
    let source = script.topology.actor("data").ok_or("nobody reads the file")?;
    let schema = script.topology.actors[worker.0 as usize].schema.clone();
    let (mut out, mut rows) = (Out::default(), Vec::new());
    let mut drain = |out: &mut Out| -> Result<(), String> {
        for emitted in out.emitted.drain(..) {
            match emitted {
                Emitted::Result(draft) => rows.push(draft.row),
                Emitted::Failed(failure) => {
                    return Err(format!("row {}: {}", failure.event.id.number + 1, failure.reason));
                }
                Emitted::Late(_) => {}
            }
        }
        out.clear();
        Ok(())
    };
    for planned in script.input(source, 0) {
        let What::Event(row) = planned.what else { continue };
        let id = EventId {
            producer: Producer(source.0),
            number: planned.number,
        };
        let event = Event {
            id,
            stamp: planned.happened,
            correlation: id,
            planned: planned.happened,
            row,
            lineage: None,
            pane: None,
            sequence: None,
            position: None,
        };
        operator.on_event(0, event, planned.happened, &mut out);
        drain(&mut out)?;
    }
    operator.on_watermark(Time::MAX, &mut out);
    drain(&mut out)?;
    let skipped = script.skipped.iter().find(|(lines, _)| *lines > 0).cloned();
    let (lines, problems) = skipped.unwrap_or_default();
    let unhelped = |problem: Problem| Problem { help: None, ..problem }.to_string();
    Ok(Examples {
        schema,
        rows,
        lines,
        unread: problems.into_iter().map(unhelped).collect(),
    })
}

/// The names that the values of a column have, sorted.
fn names(rows: &[Row], slot: usize) -> Vec<String> {
    let known = rows
        .iter()
        .filter_map(|row| row.get(slot))
        .filter(|value| !value.is_null());
    let known: BTreeSet<String> = known.map(ToString::to_string).collect();
    known.into_iter().collect()
}

fn is_number(rows: &[Row], slot: usize) -> bool {
    let mut values = rows
        .iter()
        .filter_map(|row| row.get(slot))
        .filter(|value| !value.is_null());
    values.all(|value| value.as_f64().is_some())
}

/// The examples as a table, and what is wrong with those that are left out.
fn table(args: &Args, schema: &Schema, rows: &[Row]) -> Result<(Table, Vec<String>), Stop> {
    let usage = |why: String| Stop::new(Exit::Usage, why);
    let invalid = |why: String| Stop::new(Exit::Invalid, why);
    let unlabelled = matches!(args.model, Kind::KMeans | Kind::OneClass);
    let slot = match &args.target {
        Some(_) if unlabelled => {
            let message = format!("{} learns without labels: leave out --target", args.model.key());
            return Err(usage(message));
        }
        None if !unlabelled => {
            let message = format!(
                "{} learns from labels: say with --target which column they are",
                args.model.key()
            );
            return Err(usage(message));
        }
        Some(name) => Some(schema.slot(name).ok_or_else(|| {
            let help = wavetank_scenarios::suggest::help(name, schema.names()).unwrap_or_default();
            usage(format!("the query selects no column `{name}`; {help}"))
        })?),
        None => None,
    };
    let target = match (slot, args.model) {
        (None, Kind::KMeans) => Target::Cluster,
        (None, _) => Target::Anomaly,
        (Some(slot), kind) => {
            let name = args.target.clone().unwrap_or_default();
            let of_number = match kind {
                Kind::Linear => true,
                Kind::Forest | Kind::Neighbours => args.classes.is_empty() && is_number(rows, slot),
                _ => false,
            };
            if of_number {
                Target::Number { name }
            } else if args.classes.is_empty() {
                let classes = names(rows, slot);
                Target::Class { name, classes }
            } else {
                let classes = args.classes.clone();
                Target::Class { name, classes }
            }
        }
    };
    let slots: Vec<usize> = (0..schema.names().count()).filter(|s| Some(*s) != slot).collect();
    let all: Vec<&str> = schema.names().collect();
    let features = slots.iter().map(|slot| Feature {
        name: all[*slot].to_owned(),
        kind: match rows.iter().any(|row| matches!(row.get(*slot), Some(Value::Text(_)))) {
            true => FeatureKind::Category(names(rows, *slot)),
            false => FeatureKind::Number,
        },
    });
    let model = ModelSchema::new(features.collect(), target).map_err(|error| invalid(error.to_string()))?;
    let mut table = Table::new(model.clone());
    let mut bad = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let pushed = example(&model, &slots, slot, row)
            .and_then(|(features, label)| table.push(&features, label).map_err(|error| error.to_string()));
        if let Err(why) = pushed {
            let why = format!("row {}: {why}", number + 1);
            if !args.skip_bad {
                return Err(invalid(format!("{why}\n{SKIPS}")));
            }
            bad.push(why);
        }
    }
    Ok((table, bad))
}

fn example(model: &ModelSchema, slots: &[usize], label: Option<usize>, row: &Row) -> Result<(Vec<f64>, Label), String> {
    let value = |slot: usize| row.get(slot).unwrap_or(&Value::Null);
    let mut features = Vec::with_capacity(slots.len());
    for (feature, slot) in model.features().iter().zip(slots) {
        features.push(match (&feature.kind, value(*slot)) {
            (_, Value::Null) => MISSING,
            (FeatureKind::Category(_), value) => {
                let found = model.category(&feature.name, &value.to_string());
                found.map_err(|error| error.to_string())?
            }
            (FeatureKind::Number, Value::Bool(is)) => f64::from(u8::from(*is)),
            (FeatureKind::Number, value) => value
                .as_f64()
                .ok_or_else(|| format!("`{}` is {value}, which is no number", feature.name))?,
        });
    }
    let label = match (model.target(), label.map(value)) {
        (_, Some(Value::Null)) => return Err("the target has no value".into()),
        (Target::Number { name }, Some(value)) => {
            let number = value.as_f64();
            Label::Number(number.ok_or_else(|| format!("`{name}` is {value}, which is no number"))?)
        }
        (Target::Class { .. }, Some(value)) => {
            Label::Class(model.class(&value.to_string()).map_err(|error| error.to_string())?)
        }
        _ => Label::None,
    };
    Ok((features, label))
}
