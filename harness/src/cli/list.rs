//! `wavetank list`: what there is.

use clap::ValueEnum;
use serde::Serialize;
use wavetank_models::{LoadedModel, Predictor, Target};
use wavetank_reports::table;
use wavetank_scenarios::exit::Exit;
use wavetank_scenarios::fault::FAULTS;
use wavetank_scenarios::library::{Entry, LIBRARY, LibraryFiles};
use wavetank_scenarios::metric::METRICS;
use wavetank_scenarios::pattern::PATTERNS;
use wavetank_scenarios::script::Must;
use wavetank_scenarios::{Files, Scenario};

use super::Stop;
use super::output::Output;

/// What `wavetank list` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to list
    #[arg(value_enum)]
    what: What,
    /// How it is written
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The thirteen patterns, and which of them can be run
    Patterns,
    /// What can be made to go wrong
    Faults,
    /// What is measured
    Metrics,
    /// The scenarios that are built in
    Scenarios,
    /// Lessons in the terminal
    Lessons,
    /// Models that come with the command
    Models,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// For a person
    Human,
    /// A JSON list
    Json,
}

/// A scenario of the library in a list.
#[derive(Serialize)]
struct Listed {
    name: String,
    pattern: &'static str,
    about: String,
    tags: Vec<String>,
    must: Must,
}

/// A pre-trained model of the library in a list.
#[derive(Serialize)]
struct ListedModel {
    file: String,
    name: String,
    version: String,
    answers: String,
    features: Vec<String>,
}

/// Lists things.
///
/// # Errors
/// When the output cannot be written.
pub fn list(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let (header, rows, next): (&[&str], Vec<Vec<String>>, &str) = match args.what {
        What::Patterns => {
            if args.format == Format::Json {
                return json(PATTERNS, output);
            }
            let rows = PATTERNS
                .iter()
                .map(|p| vec![p.name.into(), p.family.name().into(), first_sentence(p.summary)]);
            (
                &["pattern", "family", "what it does"],
                rows.collect(),
                "wavetank explain watermark",
            )
        }
        What::Faults => {
            if args.format == Format::Json {
                return json(FAULTS, output);
            }
            let rows = FAULTS
                .iter()
                .map(|f| vec![f.name.into(), f.place.name().into(), f.summary.into()]);
            (
                &["fault", "on a", "what it does"],
                rows.collect(),
                "wavetank explain delay",
            )
        }
        What::Metrics => {
            if args.format == Format::Json {
                return json(METRICS, output);
            }
            let rows = METRICS.iter().map(|m| {
                let of: Vec<&str> = m.of.iter().map(|of| of.name()).collect();
                vec![m.name.into(), of.join(", "), m.meaning.into()]
            });
            (
                &["metric", "of a", "what it means"],
                rows.collect(),
                "wavetank explain emit_delay",
            )
        }
        What::Scenarios => {
            let all = scenarios()?;
            if args.format == Format::Json {
                return json(&all, output);
            }
            let rows = all.iter().map(|s| {
                let must = if s.must == Must::Fail { "must fail: " } else { "" };
                vec![
                    s.name.clone(),
                    s.pattern.into(),
                    format!("{must}{}", first_sentence(&s.about)),
                ]
            });
            (
                &["scenario", "pattern", "what it shows"],
                rows.collect(),
                "wavetank run orders-per-minute",
            )
        }
        What::Models => {
            let all = models()?;
            if args.format == Format::Json {
                return json(&all, output);
            }
            let rows = all.iter().map(|m| {
                vec![
                    m.file.clone(),
                    m.name.clone(),
                    m.version.clone(),
                    m.answers.clone(),
                    m.features.join(", "),
                ]
            });
            (
                &["file", "model", "version", "answers", "from"],
                rows.collect(),
                "wavetank explain machine-learner",
            )
        }
        What::Lessons => {
            if args.format == Format::Json {
                return json(&[] as &[Listed], output);
            }
            output.print("There are no lessons yet.\nnext: wavetank explain watermark\n")?;
            return Ok(Exit::AllHold);
        }
    };
    output.print(&format!("{}next: {next}\n", table::list(header, &rows, output.width())))?;
    Ok(Exit::AllHold)
}

fn scenarios() -> Result<Vec<Listed>, Stop> {
    let read = |entry: Entry| {
        let scenario: Scenario = toml::from_str(entry.text)
            .map_err(|error| Stop::new(Exit::Internal, format!("library/{}: {error}", entry.path)))?;
        Ok(Listed {
            name: entry.name().to_owned(),
            pattern: scenario.pattern.name(),
            about: scenario.about,
            tags: scenario.tags,
            must: scenario.must,
        })
    };
    LIBRARY.entries().map(read).collect()
}

/// The pre-trained models that are compiled in.
fn models() -> Result<Vec<ListedModel>, Stop> {
    let broken = |file: &str, why: String| Stop::new(Exit::Internal, format!("data/{file}: {why}"));
    let files = LIBRARY
        .data()
        .filter(|file| file.ends_with(".model") || file.ends_with(".pmml"));
    let read = |file: &str| {
        let bytes = LibraryFiles.read(file).map_err(|why| broken(file, why))?;
        let model = LoadedModel::read(file, &bytes, None).map_err(|error| broken(file, error.to_string()))?;
        let schema = model.schema();
        Ok(ListedModel {
            file: file.to_owned(),
            name: model.name().to_owned(),
            version: model.version().to_owned(),
            answers: match schema.target() {
                Target::Number { name } => format!("{name}: a number"),
                Target::Class { name, classes } => format!("{name}: {}", classes.join(" or ")),
                Target::Cluster => "a cluster".into(),
                Target::Anomaly => "how unusual".into(),
            },
            features: schema.features().iter().map(|feature| feature.name.clone()).collect(),
        })
    };
    files.map(read).collect()
}

fn json<T: Serialize>(all: &[T], output: &mut Output) -> Result<Exit, Stop> {
    let text = serde_json::to_string_pretty(all).map_err(|error| Stop::new(Exit::Internal, error.to_string()))?;
    output.print(&(text + "\n"))?;
    Ok(Exit::AllHold)
}

fn first_sentence(text: &str) -> String {
    // A text of several lines is one paragraph.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => text,
    }
}
