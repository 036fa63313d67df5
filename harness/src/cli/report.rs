//! `wavetank report`: runs as a page to look at, or in the form that another program reads.
//!
//! A page and a trace show what went on over time, which no record holds. So the run is run again from its stored scenario
//! and watched, and its trace must have the hash that is on record: what is shown is that run and no other.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use wavetank_reports::html::{self, DRAWN};
use wavetank_reports::record::Record;
use wavetank_reports::text::{STRONG, plural, printable, styled};
use wavetank_reports::timeline::Timeline;
use wavetank_reports::{json, junit, markdown, perfetto};
use wavetank_scenarios::exit::Exit;

use super::output::Output;
use super::runs::{self, Named};
use super::targets::Ready;
use super::{Stop, distributions, interrupt, notice};
use crate::store::{self, Store};
use crate::{Options, Ran};

/// What `wavetank report` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Recorded runs (`latest`, an id, a folder), or scenario[@seed]; run again where the form shows what went on
    #[arg(value_name = "RUN", default_value = "latest")]
    runs: Vec<String>,
    /// How it is written
    #[arg(long, value_enum, default_value = "html")]
    format: Format,
    /// Where it is written, `-` for standard output; for hgrm a folder [default: report.html, report.json, report.xml,
    /// report.md, trace.json or percentiles]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The run store
    #[arg(long, value_name = "DIR", default_value = store::DEFAULT)]
    store: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// One page that opens without a network
    Html,
    /// The records, as `run --format json` prints them
    Json,
    /// JUnit's XML, for a build server
    Junit,
    /// Markdown, for the summary of a build
    Markdown,
    /// The trace of one run, for ui.perfetto.dev and chrome://tracing
    Perfetto,
    /// A file of percentiles for each distribution, and all of them as one interval log of HdrHistogram
    Hgrm,
}

impl Format {
    fn default_path(self) -> &'static str {
        match self {
            Self::Html => "report.html",
            Self::Json => "report.json",
            Self::Junit => "report.xml",
            Self::Markdown => "report.md",
            Self::Perfetto => "trace.json",
            Self::Hgrm => "percentiles",
        }
    }
    /// Whether it shows what went on over time, which no record holds.
    const fn watches(self) -> bool {
        matches!(self, Self::Html | Self::Perfetto)
    }
}

/// A run that is reported.
pub struct Reported<'a> {
    /// What came of it.
    pub record: Cow<'a, Record>,
    /// What went on.
    pub timeline: Option<Cow<'a, Timeline>>,
    /// Its scenario, expanded.
    pub scenario: Cow<'a, str>,
}

/// A run that was found or made.
struct Gathered {
    record: Record,
    /// Where it was made for this: what it was made of, and what was seen.
    seen: Option<(Ready, Option<Ran>)>,
}

/// Writes a report.
///
/// # Errors
/// When a run cannot be found, does not come out as it is on record, or the report cannot be written.
pub fn report(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let path = args.output.clone().unwrap_or_else(|| args.format.default_path().into());
    let store = Store::new(&args.store);
    let named = args
        .runs
        .iter()
        .map(|name| Ok((name.as_str(), runs::named(&store, name, output.width())?)));
    let named: Vec<(&str, Named)> = named.collect::<Result<_, Stop>>()?;
    let piped = path.as_os_str() == "-";
    match args.format {
        Format::Perfetto if named.len() > 1 => {
            let message = "a trace is of one run: name one, or write a page of several with --format html";
            return Err(Stop::new(Exit::Usage, message));
        }
        Format::Hgrm if piped => {
            let message = "--format hgrm writes a file for each distribution: name a folder with --output";
            return Err(Stop::new(Exit::Usage, message));
        }
        Format::Hgrm => distributions::open(&path)?,
        _ if piped => {}
        _ => open(&path)?,
    }
    let interrupt = interrupt::listen();
    let mut gathered: Vec<Gathered> = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, named) in named {
        let options = Options {
            timeline: args.format == Format::Html,
            trace: args.format == Format::Perfetto,
            interrupt: interrupt.clone(),
            ..Options::default()
        };
        let Some(run) = gather(name, named, args.format, options, output.width())? else {
            return Ok(Exit::Interrupted);
        };
        let record = &run.record;
        if seen.insert((record.scenario.clone(), record.seed, record.trace_hash.clone())) {
            gathered.push(run);
        }
    }
    let what = match gathered.as_slice() {
        [run] => format!("{}@{}", printable(&run.record.scenario), run.record.seed),
        runs => plural(runs.len() as u64, "run"),
    };
    let failed = |why: String| Stop::new(Exit::Internal, why);
    let records = |gathered: Vec<Gathered>| -> Vec<Record> { gathered.into_iter().map(|run| run.record).collect() };
    let text = match args.format {
        Format::Html => page(&gathered)?,
        Format::Json => json::report(records(gathered)).map_err(|error| failed(error.to_string()))?,
        Format::Junit => junit::junit(&records(gathered)).map_err(|error| failed(error.to_string()))?,
        Format::Markdown => markdown::markdown(&records(gathered)),
        Format::Perfetto => {
            let size = gathered.first().map_or(Ok(0), |run| trace(run, &path, output))?;
            return told(&what, &path, size, output);
        }
        Format::Hgrm => {
            for Gathered { record, .. } in &gathered {
                let name = format!("{}-{}-{}", record.scenario, record.seed, record.trace_hash.short());
                distributions::write(&path, &name, &record.histograms, record.simulated)?;
            }
            output.print(&format!(
                "{} {what}: {}\n",
                styled(STRONG, "distributions of"),
                path.display()
            ))?;
            return Ok(Exit::AllHold);
        }
    };
    put(&text, &path, output)?;
    told(&what, &path, text.len(), output)
}

/// Says what was written, unless it went to standard output itself.
fn told(what: &str, path: &Path, size: usize, output: &mut Output) -> Result<Exit, Stop> {
    if path.as_os_str() != "-" {
        output.print(&format!(
            "{} {what}: {} ({} kB)\n",
            styled(STRONG, "report of"),
            path.display(),
            size.div_ceil(1_000)
        ))?;
    }
    Ok(Exit::AllHold)
}

/// Finds what came of a run, and makes it again where the format asks for more. None when a person stopped it.
fn gather(name: &str, named: Named, format: Format, watch: Options, width: usize) -> Result<Option<Gathered>, Stop> {
    let (kept, ready, seed, oracle) = match named {
        Named::Kept(found) if !format.watches() => {
            let (record, seen) = (found.record, None);
            return Ok(Some(Gathered { record, seen }));
        }
        Named::Kept(found) => {
            refuse_real_time(&found)?;
            let (ready, options) = runs::again(&found, width)?;
            (Some(found), ready, options.seed, options.oracle)
        }
        Named::Fresh(ready, seed) => (None, ready, seed, watch.oracle),
    };
    let options = Options { seed, oracle, ..watch };
    if let Some(found) = kept.as_ref().filter(|found| found.record.interrupted) {
        let why = format!("{name} was stopped by a person: what went on is not on record");
        let all = format!("all of it: {}", found.record.reproduce);
        if format == Format::Perfetto {
            return Err(Stop::new(Exit::Inconclusive, format!("{why}; {all}")));
        }
        notice::warning(&format!("{why}, so there are no plots of it; {all}"));
        return Ok(Some(Gathered {
            record: found.record.clone(),
            seen: Some((ready, None)),
        }));
    }
    let ran = runs::single(&ready, &options)?;
    let Some(found) = kept else {
        let stopped = ran.record.interrupted;
        let (record, seen) = (ran.record.clone(), Some((ready, Some(ran))));
        return Ok((!stopped).then_some(Gathered { record, seen }));
    };
    if ran.record.interrupted {
        return Ok(None);
    }
    verify(name, &found.record, &ran.record)?;
    let (record, seen) = (found.record, Some((ready, Some(ran))));
    Ok(Some(Gathered { record, seen }))
}

/// The page about some runs.
fn page(gathered: &[Gathered]) -> Result<String, Stop> {
    let reported = gathered.iter().filter_map(|run| {
        let (ready, ran) = run.seen.as_ref()?;
        Some(runs::expanded(&ready.script, run.record.seed).map(|scenario| Reported {
            record: Cow::Borrowed(&run.record),
            timeline: ran.as_ref().and_then(|ran| ran.timeline.as_deref()).map(Cow::Borrowed),
            scenario: Cow::Owned(scenario),
        }))
    });
    let reported: Vec<Reported<'_>> = reported
        .collect::<Result<_, _>>()
        .map_err(|why| Stop::new(Exit::Internal, why))?;
    rendered(&reported)
}

/// Writes the trace of a run, and says how large it is.
fn trace(run: &Gathered, path: &Path, output: &mut Output) -> Result<usize, Stop> {
    let Some((ready, Some(ran))) = &run.seen else {
        return Ok(0);
    };
    let topology = &ready.script.topology;
    let nodes: BTreeMap<String, String> = topology
        .actors
        .iter()
        .map(|actor| {
            (
                actor.name.to_string(),
                topology.nodes[actor.node.0 as usize].name.clone(),
            )
        })
        .collect();
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let written = perfetto::write(&run.record, &nodes, &ran.trace, &mut bytes);
        written.map_err(|error| unwritable(path, &error))?;
        output.print(&String::from_utf8_lossy(&bytes))?;
        return Ok(bytes.len());
    }
    let write = || -> io::Result<u64> {
        let mut file = BufWriter::new(std::fs::File::create(path)?);
        perfetto::write(&run.record, &nodes, &ran.trace, &mut file)?;
        file.flush()?;
        Ok(file.get_ref().metadata()?.len())
    };
    let size = write().map_err(|error| unwritable(path, &error))?;
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}

/// Runs on the machine's clock never come again.
fn refuse_real_time(found: &store::Found) -> Result<(), Stop> {
    let conditions = found
        .conditions()
        .map_err(|error| Stop::new(Exit::Invalid, error.to_string()))?;
    if conditions.real_time.is_some() {
        let message = "this run followed the machine's clock, so it cannot be run again to see what went on; \
                       `wavetank run --real-time --report FILE` writes a report of such a run as it ends";
        return Err(Stop::new(Exit::Inconclusive, message));
    }
    Ok(())
}

/// The run must be the one that is on record.
fn verify(name: &str, recorded: &Record, again: &Record) -> Result<(), Stop> {
    if recorded.trace_hash == again.trace_hash {
        return Ok(());
    }
    Err(Stop::new(
        Exit::DeterminismBroken,
        format!(
            "{name} came out otherwise than it is on record (trace {}, now {}): another version of wavetank made the \
             record, or a data file has changed\n\
             run it with this version, then report that: {}\n\
             what differs: wavetank replay {name}",
            recorded.trace_hash.short(),
            again.trace_hash.short(),
            recorded.reproduce,
        ),
    ))
}

/// Writes the page of some runs.
///
/// # Errors
/// When it cannot be written.
pub fn write(reported: &[Reported<'_>], path: &Path, output: &mut Output) -> Result<(), Stop> {
    put(&rendered(reported)?, path, output)
}

/// The page of some runs.
fn rendered(reported: &[Reported<'_>]) -> Result<String, Stop> {
    if reported.len() > DRAWN {
        let failing = reported.iter().filter(|run| !run.record.outcome.is_ok()).count();
        let which = if failing > 0 {
            ", those first that did not do what they must"
        } else {
            ""
        };
        notice::note(&format!(
            "plots are drawn for {DRAWN} of {} runs{which}; report one alone to see its own",
            reported.len()
        ));
    }
    let runs: Vec<html::Run<'_>> = reported
        .iter()
        .map(|run| html::Run {
            record: &run.record,
            timeline: run.timeline.as_deref(),
            scenario: &run.scenario,
        })
        .collect();
    html::report(&runs).map_err(|error| Stop::new(Exit::Internal, error.to_string()))
}

/// Writes a page to a file, or for `-` to standard output.
///
/// # Errors
/// When it cannot be written.
pub fn put(page: &str, path: &Path, output: &mut Output) -> Result<(), Stop> {
    if path.as_os_str() == "-" {
        return output.print(page);
    }
    std::fs::write(path, page).map_err(|error| unwritable(path, &error))
}

/// Makes sure that a report can be written, before what it is about is made.
///
/// # Errors
/// When it cannot.
pub fn open(path: &Path) -> Result<(), Stop> {
    if path.as_os_str() == "-" {
        return Err(Stop::new(
            Exit::Usage,
            "--report - : standard output has the results of the runs; name a file, or use `wavetank report`",
        ));
    }
    let there = path.exists();
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    file.map_err(|error| unwritable(path, &error))?;
    if !there {
        // Whoever finds a file takes it for a report.
        std::fs::remove_file(path).map_err(|error| unwritable(path, &error))?;
    }
    Ok(())
}

/// Why a report cannot be written, and what to do.
fn unwritable(path: &Path, error: &io::Error) -> Stop {
    let help = match error.kind() {
        io::ErrorKind::NotFound => "; its folder is not there",
        io::ErrorKind::IsADirectory => "; it is a folder: name a file in it",
        _ => "",
    };
    Stop::new(
        Exit::Usage,
        format!("the report {} cannot be written: {error}{help}", path.display()),
    )
}
