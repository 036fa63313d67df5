//! `wavetank report`: runs as a page to look at.
//!
//! A report shows what went on over time, which no record holds. So the run is run again from its stored scenario, with
//! the observer of timelines on, and its trace must have the hash that is on record: the plots are of that run and of no
//! other.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use wavetank_reports::html::{self, DRAWN};
use wavetank_reports::record::Record;
use wavetank_reports::text::{STRONG, plural, printable, styled};
use wavetank_reports::timeline::Timeline;
use wavetank_scenarios::exit::Exit;

use super::output::Output;
use super::runs::{self, Named};
use super::{Stop, interrupt, notice};
use crate::Options;
use crate::store::{self, Store};

/// What `wavetank report` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Recorded runs (`latest`, an id, a folder), or scenario[@seed]; each is run again for this
    #[arg(value_name = "RUN", default_value = "latest")]
    runs: Vec<String>,
    /// How it is written
    #[arg(long, value_enum, default_value = "html")]
    format: Format,
    /// Where it is written; `-` for standard output [default: report.html]
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

/// Writes a report.
///
/// # Errors
/// When a run cannot be found, does not come out as it is on record, or the report cannot be written.
pub fn report(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let path = args.output.clone().unwrap_or_else(|| match args.format {
        Format::Html => PathBuf::from("report.html"),
    });
    let store = Store::new(&args.store);
    let named = args
        .runs
        .iter()
        .map(|name| Ok((name, runs::named(&store, name, output.width())?)));
    let named: Vec<(&String, Named)> = named.collect::<Result<_, Stop>>()?;
    if path.as_os_str() != "-" {
        open(&path)?;
    }
    let interrupt = interrupt::listen();
    let mut reported = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, named) in named {
        let (kept, ready, options) = match named {
            Named::Kept(found) => {
                refuse_real_time(&found)?;
                let (ready, options) = runs::again(&found, output.width())?;
                (Some(found), ready, options)
            }
            Named::Fresh(ready, seed) => {
                let options = Options {
                    seed,
                    ..Options::default()
                };
                (None, ready, options)
            }
        };
        let options = Options {
            timeline: true,
            interrupt: interrupt.clone(),
            ..options
        };
        let ran = runs::single(&ready, &options)?;
        if ran.record.interrupted && !kept.as_ref().is_some_and(|found| found.record.interrupted) {
            return Ok(Exit::Interrupted);
        }
        let scenario = runs::expanded(&ready.script, ran.record.seed).map_err(|why| Stop::new(Exit::Internal, why))?;
        let (record, timeline) = match kept {
            Some(found) if found.record.interrupted => {
                notice::warning(&format!(
                    "{name} was stopped by a person: there are no plots of it; all of it: {}",
                    found.record.reproduce
                ));
                (found.record, None)
            }
            Some(found) => {
                verify(name, &found.record, &ran.record)?;
                (found.record, ran.timeline)
            }
            None => (ran.record, ran.timeline),
        };
        if !seen.insert((record.scenario.clone(), record.seed, record.trace_hash.clone())) {
            continue;
        }
        reported.push(Reported {
            record: Cow::Owned(record),
            timeline: timeline.map(|timeline| Cow::Owned(*timeline)),
            scenario: Cow::Owned(scenario),
        });
    }
    let size = write(&reported, &path, output)?;
    if path.as_os_str() != "-" {
        let what = match reported.as_slice() {
            [run] => format!("{}@{}", printable(&run.record.scenario), run.record.seed),
            runs => plural(runs.len() as u64, "run"),
        };
        output.print(&format!(
            "{} {what}: {} ({} kB)\n",
            styled(STRONG, "report of"),
            path.display(),
            size.div_ceil(1_000)
        ))?;
    }
    Ok(Exit::AllHold)
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

/// Writes the page of some runs, and says how large it is.
///
/// # Errors
/// When it cannot be written.
pub fn write(reported: &[Reported<'_>], path: &Path, output: &mut Output) -> Result<usize, Stop> {
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
    let page = html::report(&runs).map_err(|error| Stop::new(Exit::Internal, error.to_string()))?;
    put(&page, path, output)?;
    Ok(page.len())
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
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    file.map(drop).map_err(|error| unwritable(path, &error))
}

/// Why a report cannot be written, and what to do.
fn unwritable(path: &Path, error: &std::io::Error) -> Stop {
    let help = match error.kind() {
        std::io::ErrorKind::NotFound => "; its folder is not there",
        std::io::ErrorKind::IsADirectory => "; it is a folder: name a file in it",
        _ => "",
    };
    Stop::new(
        Exit::Usage,
        format!("the report {} cannot be written: {error}{help}", path.display()),
    )
}
