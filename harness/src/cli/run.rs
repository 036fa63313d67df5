//! `wavetank run`: runs scenarios, says which of them did what they must, and why the others did not.

use std::borrow::Cow;
use std::fs::File;
use std::io::Write;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use clap::ValueEnum;
use wavetank_reports::record::{Outcome, conclude_range};
use wavetank_reports::terminal::{Detail, StatusLines, Summary, details};
use wavetank_reports::text::{STRONG, styled};
use wavetank_reports::timeline::Timeline;
use wavetank_reports::{Record, json, junit};
use wavetank_scenarios::exit::Exit;

use super::keys::KeyArgs;
use super::output::Output;
use super::progress::{Progress, Style};
use super::runs::{self, Came};
use super::targets::{self, Ready};
use super::{Stop, batch, everywhere, interrupt, notice, report, sweep};
use crate::clock::Stopwatch;
use crate::exposition::{Exposition, Shown};
use crate::store::{self, Store};
use crate::{Options, Tank};

/// What `wavetank run` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, folders, names of library scenarios, or patterns [default: the whole library]
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<String>,
    /// The seed of all draws [default: each scenario's own]
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    pub(super) seed: Option<u64>,
    /// Run at each of these seeds, B not included (`A..=B`: included), and judge them together
    #[arg(long, value_name = "A..B", value_parser = parse_seeds)]
    seeds: Option<Seeds>,
    /// Change a setting, such as fault.slow-link.rate=0.2; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = targets::parse_override)]
    pub(super) overrides: Vec<(String, String)>,
    /// Run one scenario at each of these values of a setting, at one seed, and compare what --show names; given again,
    /// every combination is run
    #[arg(long = "sweep", value_name = "KEY=V,W,…", value_parser = sweep::parse, requires = "show",
          conflicts_with_all = ["seeds", "junit", "trace", "real_time", "fail_fast"])]
    pub(super) sweeps: Vec<sweep::Values>,
    /// With --sweep: the numbers to compare, such as per-minute.late,per-minute.emit_delay.p99
    #[arg(long, value_name = "METRIC,…", value_delimiter = ',', requires = "sweeps")]
    pub(super) show: Vec<String>,
    /// Crash this node before each single element that it takes, one run for each, and hold the results against those of the
    /// run without that crash; without a name every node that an operator stands on
    #[arg(long, value_name = "NODE", num_args = 0..=1, require_equals = true, default_missing_value = "",
          conflicts_with_all = ["seeds", "junit", "trace", "real_time", "fail_fast", "sweeps", "crash_at",
                                "break_at"])]
    pub(super) crash_everywhere: Option<String>,
    /// Break each single write and deletion of the store of snapshots in every way (slow, refused, full, torn, a bit flipped,
    /// lost), one run for each, with a crash later on, and hold the results against those of the run without
    #[arg(long, conflicts_with_all = ["seeds", "junit", "trace", "real_time", "fail_fast", "sweeps", "crash_everywhere",
                                      "crash_at", "break_at"])]
    pub(super) break_writes: bool,
    /// Crash a node before the so-manieth element that it takes: a single run of --crash-everywhere
    #[arg(long, value_name = "NODE@N", value_parser = everywhere::parse)]
    pub(super) crash_at: Option<everywhere::Place>,
    /// Break the so-manieth write of the store of snapshots, as in torn-write@12: a run of --break-writes, with --crash-at
    #[arg(long, value_name = "KIND@N", value_parser = everywhere::parse_break)]
    pub(super) break_at: Option<everywhere::Broken>,
    /// With --crash-everywhere, --crash-at and --break-writes: how long the node is down
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = everywhere::parse_span)]
    pub(super) restart: wavetank_scenarios::Span,
    /// How many runs at a time [default: one for each core; one with --real-time]
    #[arg(short, long, value_name = "N")]
    pub(super) jobs: Option<NonZero<usize>>,
    /// Begin no further run after the first that did not do what it must
    #[arg(long)]
    fail_fast: bool,
    /// How results are written
    #[arg(long, value_enum, default_value = "human")]
    pub(super) format: Format,
    /// Also write a JUnit report to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write a page about the runs to this file; with --sweep about how what was measured follows from the setting
    #[arg(long, value_name = "FILE", conflicts_with_all = ["crash_everywhere", "break_writes"])]
    pub(super) report: Option<PathBuf>,
    /// How progress is shown, on standard error
    #[arg(long, value_enum, default_value = "auto", value_name = "STYLE")]
    pub(super) progress: Style,
    /// Keep the trace of each run in the store
    #[arg(long, conflicts_with = "no_store")]
    trace: bool,
    /// Follow the machine's clock instead of virtual time, this many times as fast [default: 1]
    #[arg(long, value_name = "SPEED", num_args = 0..=1, require_equals = true, default_missing_value = "1",
          value_parser = parse_speed)]
    real_time: Option<f64>,
    /// On the machine's clock: brokers keep their events in this folder, where a run that is started again finds them
    #[arg(long, value_name = "FOLDER", requires = "real_time")]
    disk: Option<PathBuf>,
    /// On the machine's clock: answer at http://ADDRESS/metrics what is measured, for Prometheus (port 0: any that is free)
    #[arg(long, value_name = "ADDRESS", requires = "real_time", conflicts_with = "jobs")]
    metrics: Option<String>,
    /// The run store
    #[arg(long, value_name = "DIR", default_value = store::DEFAULT)]
    store: PathBuf,
    /// Keep nothing
    #[arg(long, conflicts_with = "store")]
    no_store: bool,
    /// Do not hold operators to their models nor compare with truth: faster, and finds less
    #[arg(long)]
    pub(super) no_oracle: bool,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Format {
    /// For a person
    Human,
    /// One JSON object for the whole command
    Json,
    /// One JSON object a run, each on a line
    Jsonl,
}

/// A range of seeds, the last one included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seeds {
    pub(super) first: u64,
    pub(super) last: u64,
}

pub(super) fn parse_seeds(text: &str) -> Result<Seeds, String> {
    let how = "write A..B, like 0..20 for twenty seeds";
    let (first, last) = text.split_once("..").ok_or(how)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| how.to_owned());
    let first = number(first)?;
    let last = match last.strip_prefix('=') {
        Some(last) => number(last)?,
        None => number(last)?
            .checked_sub(1)
            .ok_or("no seed is in this range; write it as smaller..larger")?,
    };
    if last < first {
        return Err("no seed is in this range; write it as smaller..larger".into());
    }
    Ok(Seeds { first, last })
}

pub(super) fn parse_speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "write a number, like 1 or 0.5".to_owned())?;
    if speed.is_finite() && speed > 0.0 {
        Ok(speed)
    } else {
        Err("must be above zero".into())
    }
}

/// Answers what is measured at an address, and says where.
fn expose(address: &str, shown: Shown) -> Result<Exposition, Stop> {
    let exposition = Exposition::listen(address, shown).map_err(|error| {
        let message = format!("--metrics {address}: {error}; an address is a host and a port, as in 127.0.0.1:9464");
        Stop::new(Exit::Usage, message)
    })?;
    notice::note(&format!(
        "what is measured is at http://{}/metrics",
        exposition.address()
    ));
    Ok(exposition)
}

/// One run of the command.
struct Job<'a> {
    ready: &'a Ready,
    seed: Option<u64>,
    /// Whether it is the last one of its scenario.
    last: bool,
}

/// Runs scenarios.
///
/// # Errors
/// When something cannot be read or written; what is wrong in a run is in its record.
pub fn run(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    if !args.sweeps.is_empty() {
        return sweep::sweep(args, output);
    }
    if args.crash_everywhere.is_some() || args.break_writes {
        return everywhere::everywhere(args, output);
    }
    let since = Stopwatch::start();
    let targets = targets::find(&args.paths)?;
    if targets.is_empty() {
        let message = "nothing was run: there is no scenario here; see `wavetank list scenarios` and `wavetank new`";
        return Err(Stop::new(Exit::NothingRan, message));
    }
    let mut ready = targets::load(&targets, &args.overrides, output.width())?;
    if let Some(place) = &args.crash_at {
        everywhere::crash(&mut ready, place, args.restart)?;
    }
    if let Some(broken) = &args.break_at {
        everywhere::break_at(&mut ready, broken)?;
    }
    // Better now than after all runs.
    let mut junit = args.junit.as_ref().map(|path| open(path)).transpose()?;
    if let Some(path) = &args.report {
        report::open(path)?;
    }
    let seeds = || match (args.seed, args.seeds) {
        (_, Some(range)) => (range.first..=range.last).map(Some).collect(),
        (seed, None) => vec![seed],
    };
    let jobs: Vec<Job<'_>> = ready
        .iter()
        .flat_map(|ready| {
            let seeds: Vec<Option<u64>> = seeds();
            let last = seeds.len() - 1;
            seeds.into_iter().enumerate().map(move |(i, seed)| Job {
                ready,
                seed,
                last: i == last,
            })
        })
        .collect();
    let interrupt = interrupt::listen();
    let shown = args.metrics.as_ref().map(|_| Shown::default());
    let exposition = args.metrics.as_deref().zip(shown.clone());
    let exposition = exposition.map(|(address, shown)| expose(address, shown)).transpose()?;
    let progress = Progress::new(args.progress, jobs.len());
    let options = Options {
        oracle: !args.no_oracle,
        trace: args.trace,
        timeline: args.report.is_some(),
        exposition: shown,
        real_time: args.real_time,
        disk: args.disk.clone(),
        keys: args.keys.read()?,
        interrupt: interrupt.clone(),
        progress: progress.of_run(),
        ..Options::default()
    };
    let store = (!args.no_store).then(|| Store::new(&args.store));
    let default = if args.real_time.is_some() {
        1
    } else {
        thread::available_parallelism().map_or(1, NonZero::get)
    };
    let threads = args.jobs.map_or(default, NonZero::get);
    let work = |tank: &mut Option<Tank>, job: usize| {
        let job = &jobs[job];
        let options = Options {
            seed: job.seed,
            ..options.clone()
        };
        let mut came = runs::once(tank, &job.ready.script, &options);
        if let (Came::Ran(ran, warning), Some(_)) = (&mut came, options.real_time) {
            *warning = runs::moved(job.ready, ran).err();
        }
        if let (Came::Ran(ran, warning), Some(store)) = (&mut came, &store)
            // Of a range those runs are kept that a person will look into.
            && (args.seeds.is_none() || args.trace || !ran.record.outcome.is_ok())
        {
            *warning = warning.take().or(runs::keep(store, job.ready, &options, ran).err());
            ran.trace = Vec::new();
        }
        progress.done();
        came
    };
    let mut taken = Taken::new(args, &jobs, output);
    let mut failed = Ok(());
    batch::in_order(
        jobs.len(),
        threads,
        &interrupt,
        || None,
        work,
        |index, came| {
            let job = &jobs[index];
            let took = progress.suspend(|| taken.take(job, came, &options));
            match took {
                Ok(go_on) => go_on,
                Err(stop) => {
                    failed = Err(stop);
                    ControlFlow::Break(())
                }
            }
        },
    );
    progress.finish();
    drop(exposition);
    failed?;
    taken.conclude()?;
    if let (Some(store), Some(record)) = (
        &store,
        taken.records.iter().rev().find(|record| record.outputs.is_some()),
    ) && let Err(error) = store.set_latest(record)
    {
        taken.warn(format!("`latest` is not kept: {}: {error}", store.root().display()));
    }
    taken.finish(since, junit.as_mut(), &interrupt)
}

fn open(path: &PathBuf) -> Result<(File, &PathBuf), Stop> {
    let file = File::create(path).map_err(|error| {
        Stop::new(
            Exit::Usage,
            format!("--junit {}: cannot be written: {error}", path.display()),
        )
    })?;
    Ok((file, path))
}

/// What has come so far, and what was made of it.
struct Taken<'a> {
    args: &'a Args,
    output: &'a mut Output,
    lines: StatusLines,
    /// Runs in all.
    runs: usize,
    records: Vec<Record>,
    /// What the report needs of each record besides: timeline and scenario.
    told: Vec<(Option<Box<Timeline>>, String)>,
    /// The records from here on belong to the scenario whose runs are not all there yet.
    open: usize,
    unbuildable: bool,
    panicked: bool,
    warned: Vec<String>,
}

impl<'a> Taken<'a> {
    fn new(args: &'a Args, jobs: &[Job<'_>], output: &'a mut Output) -> Self {
        let names = jobs.iter().map(|job| {
            let scenario = &job.ready.script.scenario;
            (scenario.name.as_str(), scenario.pattern.name())
        });
        Self {
            args,
            lines: StatusLines::new(names, args.seeds.is_some(), output.width()),
            output,
            runs: jobs.len(),
            records: Vec::new(),
            told: Vec::new(),
            open: 0,
            unbuildable: false,
            panicked: false,
            warned: Vec::new(),
        }
    }

    fn warn(&mut self, warning: String) {
        // An unwritable store would say the same for each run.
        let first_words = |text: &str| text.split(':').next().map(str::to_owned);
        if !self
            .warned
            .iter()
            .any(|told| first_words(told) == first_words(&warning))
        {
            notice::warning(&warning);
            self.warned.push(warning);
        }
    }

    fn take(&mut self, job: &Job<'_>, came: Came, options: &Options) -> Result<ControlFlow<()>, Stop> {
        let options = Options {
            seed: job.seed,
            ..options.clone()
        };
        let mut bad = true;
        match came {
            Came::Ran(ran, warning) => {
                if let Some(warning) = warning {
                    self.warn(warning);
                }
                let mut record = ran.record;
                if self.args.report.is_some() {
                    let scenario = runs::expanded(&job.ready.script, record.seed).unwrap_or_default();
                    self.told.push((ran.timeline, scenario));
                }
                bad = !record.outcome.is_ok() && record.outcome != Outcome::Inconclusive;
                let slims = self.args.seeds.is_some() && self.args.format != Format::Json && self.args.report.is_none();
                if slims && record.outcome.is_ok() {
                    slim(&mut record);
                }
                self.records.push(record);
            }
            Came::Unbuildable(why) => {
                self.unbuildable = true;
                notice::error(&why);
            }
            Came::Panicked(panic) => {
                self.panicked = true;
                notice::error(&runs::internal(&job.ready.script, &options, &panic));
            }
        }
        if job.last {
            self.conclude()?;
        }
        Ok(if bad && self.args.fail_fast {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    /// Judges the runs of a scenario together and shows them.
    fn conclude(&mut self) -> Result<(), Stop> {
        if self.open == self.records.len() {
            return Ok(());
        }
        let group = &mut self.records[self.open..];
        conclude_range(group);
        let mut text = String::new();
        match self.args.format {
            Format::Human => {
                if self.open == 0 && self.runs > 1 {
                    text += &format!("{}\n", self.lines.header());
                }
                for record in &*group {
                    text += &format!("{}\n", self.lines.line(record));
                }
            }
            Format::Jsonl => {
                for record in &*group {
                    text += &format!("{}\n", json::line(record).map_err(unwritable)?);
                }
            }
            Format::Json => {}
        }
        self.open = self.records.len();
        self.output.print(&text)
    }

    fn finish(
        self,
        since: Stopwatch,
        junit: Option<&mut (File, &PathBuf)>,
        interrupt: &AtomicBool,
    ) -> Result<Exit, Stop> {
        let interrupted = interrupt.load(Ordering::SeqCst) || self.records.iter().any(|record| record.interrupted);
        let exit = self.exit(interrupted);
        if let Some((file, path)) = junit {
            let text = junit::junit(&self.records).map_err(unwritable)?;
            file.write_all(text.as_bytes()).map_err(|error| {
                Stop::new(
                    Exit::Internal,
                    format!("--junit {}: cannot be written: {error}", path.display()),
                )
            })?;
        }
        if let Some(path) = &self.args.report {
            let reported: Vec<report::Reported<'_>> = self
                .records
                .iter()
                .zip(&self.told)
                .map(|(record, (timeline, scenario))| report::Reported {
                    record: Cow::Borrowed(record),
                    timeline: timeline.as_deref().map(Cow::Borrowed),
                    scenario: Cow::Borrowed(scenario),
                })
                .collect();
            if !reported.is_empty() {
                report::write(&reported, path, self.output)?;
            }
        }
        let not_begun = self.runs - self.records.len();
        match self.args.format {
            Format::Human => {
                let width = self.output.width();
                let detail = if self.runs == 1 { Detail::All } else { Detail::Problems };
                let mut text = String::new();
                let mut summary = Summary::default();
                let mut left_out = 0;
                let mut shown = 0;
                for record in &self.records {
                    summary.add(record);
                    let told = details(record, detail, width);
                    if told.is_empty() {
                        continue;
                    }
                    if shown == MOST_DETAILS {
                        left_out += 1;
                        continue;
                    }
                    shown += 1;
                    // What is broken says whose it is; what is merely to be noted does not.
                    if self.runs > 1 && record.broken().next().is_none() {
                        text += &format!("\n{}", styled(STRONG, format!("{}@{}", record.scenario, record.seed)));
                    }
                    text += &format!("\n{told}");
                }
                if left_out > 0 {
                    text += &format!(
                        "\nand {left_out} more with something to tell: run them alone, or see --format json\n"
                    );
                }
                let wall = wavetank_reports::Span(i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX));
                text += &format!("\n{}", summary.render(wall, width));
                self.output.print(&text)?;
            }
            Format::Json => self.output.print(&json::report(self.records).map_err(unwritable)?)?,
            Format::Jsonl => {}
        }
        if not_begun > 0 && (interrupted || self.args.fail_fast) {
            let runs = if not_begun == 1 {
                "1 run was"
            } else {
                &format!("{not_begun} runs were")
            };
            notice::note(&format!("{runs} not begun or not finished"));
        }
        Ok(exit)
    }

    /// The worst that came.
    fn exit(&self, interrupted: bool) -> Exit {
        let any = |what: fn(&Record) -> bool| self.records.iter().any(what);
        if self.panicked {
            Exit::Internal
        } else if interrupted {
            Exit::Interrupted
        } else if self.unbuildable {
            Exit::Invalid
        } else if any(|record| !record.outcome.is_ok() && record.outcome != Outcome::Inconclusive) {
            Exit::Failed
        } else if any(|record| record.outcome == Outcome::Inconclusive) {
            Exit::Inconclusive
        } else if self.records.is_empty() {
            Exit::NothingRan
        } else {
            Exit::AllHold
        }
    }
}

/// Nobody reads more explanations than this at once.
const MOST_DETAILS: usize = 10;

fn unwritable(error: impl std::fmt::Display) -> Stop {
    Stop::new(Exit::Internal, format!("a record cannot be written: {error}"))
}

/// Leaves away what nobody asks of one passing run among many, so that a long range of seeds fits into memory.
fn slim(record: &mut Record) {
    record.metrics.clear();
    record.histograms.clear();
    record.actors.clear();
    record.links.clear();
    record.sinks.clear();
    record.distances.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_seeds_is_read_with_and_without_its_end() {
        assert_eq!(parse_seeds("0..20"), Ok(Seeds { first: 0, last: 19 }));
        assert_eq!(parse_seeds("5..=5"), Ok(Seeds { first: 5, last: 5 }));
        for wrong in ["", "3", "3..", "..3", "3..3", "5..3", "0..0", "a..b", "-1..3", "1..=0"] {
            assert!(parse_seeds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_speed_is_a_number_above_zero() {
        assert_eq!(parse_speed("0.5"), Ok(0.5));
        for wrong in ["", "x", "0", "-1", "inf", "nan"] {
            assert!(parse_speed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_worst_that_came_decides_the_exit_code() {
        let args = <Parsed as clap::Parser>::parse_from(["run"]).args;
        let mut output = Output::stdout();
        let mut taken = Taken::new(&args, &[], &mut output);
        assert_eq!(taken.exit(false), Exit::NothingRan);
        let record = |outcome| Record {
            outcome,
            ..Record::new("a", "filter", 1)
        };
        for (outcome, exit) in [
            (Outcome::Passed, Exit::AllHold),
            (Outcome::FailedAsItMust, Exit::AllHold),
            (Outcome::Inconclusive, Exit::Inconclusive),
            (Outcome::DidNotFail, Exit::Failed),
        ] {
            taken.records.push(record(outcome));
            assert_eq!(taken.exit(false), exit);
        }
        taken.unbuildable = true;
        assert_eq!(taken.exit(false), Exit::Invalid);
        assert_eq!(taken.exit(true), Exit::Interrupted);
        taken.panicked = true;
        assert_eq!(taken.exit(true), Exit::Internal);
    }

    #[derive(clap::Parser)]
    struct Parsed {
        #[command(flatten)]
        args: Args,
    }
}
