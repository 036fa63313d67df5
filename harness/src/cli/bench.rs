//! `wavetank bench`: how long everything takes, in virtual time or on the machine's clock, at several seeds and loads, of
//! several designs; and how that compares with an earlier benchmark.
//!
//! On the machine's clock the load is open: sources keep to their plan whether or not the pipeline keeps up, and latency
//! counts from the planned moment. One run at a time is made there, so that runs do not disturb each other.

use std::fs;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;

use clap::ValueEnum;
use wavetank_reports::bench::{Bench, Case, Clock, Comparison};
use wavetank_reports::record::Metric;
use wavetank_reports::{Record, time};
use wavetank_scenarios::exit::Exit;
use wavetank_scenarios::{Script, Span};

use super::output::Output;
use super::progress::{Progress, Style};
use super::run::{Seeds, parse_seeds, parse_speed};
use super::runs::{self, Came};
use super::sweep::{self, Shown};
use super::targets::{self, Ready, Target};
use super::{Stop, batch, distributions, interrupt, notice, report};
use crate::{Options, Tank};

/// What `wavetank bench` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, folders, names of library scenarios, or patterns [default: the whole library]
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// The seed of all draws [default: each scenario's own; with --compare that of the first]
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run at each of these seeds, B not included (`A..=B`: included), and merge what was measured
    #[arg(long, value_name = "A..B", value_parser = parse_seeds)]
    seeds: Option<Seeds>,
    /// Change a setting, such as operator.order.reorder.slack=2s; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = targets::parse_override)]
    overrides: Vec<(String, String)>,
    /// Measure every scenario at each of these values of a setting; given again, every combination
    #[arg(long, value_name = "KEY=V,W,…", value_parser = sweep::parse)]
    matrix: Vec<sweep::Values>,
    /// Follow the machine's clock, this many times as fast [default: 1]
    #[arg(long, value_name = "SPEED", num_args = 0..=1, require_equals = true, default_missing_value = "1",
          value_parser = parse_speed)]
    real_time: Option<f64>,
    /// Events a second of all generated sources together, such as 1k/s,10k/s; steps end with the first that is too much
    #[arg(long, value_name = "RATE,…", value_delimiter = ',', value_parser = parse_load)]
    load: Vec<f64>,
    /// Let each run last so long [default: as the scenario says]
    #[arg(long = "for", value_name = "SPAN", value_parser = parse_span)]
    length: Option<Span>,
    /// Leave out how long things took in the first so much of each run
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    warm_up: Option<Span>,
    /// On the machine's clock: how often each run is repeated
    #[arg(long, value_name = "N", default_value = "1", requires = "real_time")]
    repeat: NonZero<u32>,
    /// Show designs side by side, all at one seed on the same waves, by the numbers that --show names
    #[arg(long, requires = "show", conflicts_with_all = ["seeds", "load"])]
    compare: bool,
    /// The numbers of --compare, such as dashboard.latency.p99,per-minute.late; the first two make the trade-off curve
    #[arg(long, value_name = "METRIC,…", value_delimiter = ',')]
    show: Vec<String>,
    /// Write what was measured to this file, to compare with later
    #[arg(long, value_name = "FILE")]
    save_baseline: Option<PathBuf>,
    /// Compare with what --save-baseline wrote; the exit code is 6 when something is worse
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// How much slower than the baseline is not yet worse, such as 5%
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = parse_share, requires = "baseline")]
    tolerance: f64,
    /// Write the distributions into this folder: for each case a log (.hlog), and a percentile file (.hgrm) each
    #[arg(long, value_name = "DIR")]
    histograms: Option<PathBuf>,
    /// On virtual time: do not hold operators to their models nor compare with truth; never done on the machine's clock
    #[arg(long)]
    no_oracle: bool,
    /// Also say what latency is made of: links, faults, queues, reordering, windows, work; this watches every message, and
    /// makes the runs slower
    #[arg(long)]
    causes: bool,
    /// How results are written
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// How many runs at a time, on virtual time [default: one for each core]
    #[arg(short, long, value_name = "N", conflicts_with = "real_time")]
    jobs: Option<NonZero<usize>>,
    /// How progress is shown, on standard error
    #[arg(long, value_enum, default_value = "auto", value_name = "STYLE")]
    progress: Style,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// For a person
    Human,
    /// One JSON object: what --save-baseline writes
    Json,
    /// For the summary of a build
    Markdown,
}

/// Reads `10k/s`, `200/s`, `1.5M/s`.
fn parse_load(text: &str) -> Result<f64, String> {
    let how = "write events a second, like 200/s or 10k/s";
    let number = text.trim().strip_suffix("/s").ok_or(how)?;
    let (number, unit) = match number.strip_suffix(['k', 'M']) {
        Some(rest) if number.ends_with('k') => (rest, 1e3),
        Some(rest) => (rest, 1e6),
        None => (number, 1.0),
    };
    let load: f64 = number.trim().parse().map_err(|_| how)?;
    if load.is_finite() && load > 0.0 {
        Ok(load * unit)
    } else {
        Err("must be above zero".into())
    }
}

fn parse_span(text: &str) -> Result<Span, String> {
    match Span::parse(text) {
        Ok(span) if span > Span::ZERO => Ok(span),
        Ok(_) => Err("must be longer than no time".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads `5%` or `0.05`.
fn parse_share(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.trim().strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    let share: f64 = number.trim().parse().map_err(|_| "write a share, like 5%")?;
    if share.is_finite() && share >= 0.0 {
        Ok(share / unit)
    } else {
        Err("must not be below zero".into())
    }
}

/// A case to be measured.
struct Plan {
    ready: Ready,
    set: Vec<String>,
    load: Option<f64>,
    shown: Vec<Option<Shown>>,
}

/// Measures.
///
/// # Errors
/// When something cannot be read or written, or a scenario is invalid.
pub fn bench(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let targets = targets::find(&args.paths)?;
    if targets.is_empty() {
        let message = "nothing was measured: there is no scenario here; see `wavetank list scenarios`";
        return Err(Stop::new(Exit::NothingRan, message));
    }
    // Better now than after all runs.
    let baseline = args.baseline.as_deref().map(read_baseline).transpose()?;
    if let Some(file) = &args.save_baseline {
        report::open(file)?;
    }
    if let Some(folder) = &args.histograms {
        distributions::open(folder)?;
    }
    let plans = plans(args, &targets, output.width())?;
    if let Some((plan, warm_up)) = plans.iter().find_map(|plan| Some((plan, args.warm_up?))) {
        let length = crate::run::conditions(&plan.ready.script, &Options::default()).length;
        if warm_up >= length {
            let message = format!(
                "--warm-up {warm_up}: {} lasts {length}, so nothing is left to measure",
                plan.ready.script.scenario.name
            );
            return Err(Stop::new(Exit::Usage, message));
        }
    }
    let clock = if args.real_time.is_some() {
        Clock::Real
    } else {
        Clock::Virtual
    };
    let warm_up = args.warm_up.unwrap_or(Span::ZERO);
    let mut bench = Bench::new(clock, time::Span(warm_up.micros()), args.show.clone());
    bench.overrides = changed(args)
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let interrupted = measure(args, &plans, &mut bench)?;

    if let Some(folder) = &args.histograms {
        for case in &bench.cases {
            let length = case.trials.iter().map(|trial| trial.simulated.0).sum();
            distributions::write(folder, &case.name(), &case.histograms, time::Span(length))?;
        }
        notice::note(&format!("distributions are in {}", folder.display()));
    }
    let json = || {
        bench
            .to_json()
            .map_err(|error| Stop::new(Exit::Internal, error.to_string()))
    };
    let comparison = baseline
        .map(|before| Comparison::of(&before, &bench, args.tolerance))
        .transpose()
        .map_err(|why| Stop::new(Exit::Usage, why))?;
    let mut text = match args.format {
        Format::Human if args.compare => bench.side_by_side(output.width()),
        Format::Human => bench.render(output.width()),
        Format::Json => json()?,
        Format::Markdown => bench.markdown(),
    };
    if let Some(comparison) = &comparison {
        match args.format {
            Format::Human => text += &comparison.render(output.width()),
            Format::Markdown => text += &format!("\n{}", comparison.markdown()),
            // What is worse belongs to the reader of the notices there.
            Format::Json => notice::say(&comparison.render(output.width())),
        }
    }
    output.print(&text)?;
    if interrupted {
        notice::note("not everything was measured: nothing is kept as a baseline");
        return Ok(Exit::Interrupted);
    }
    if let Some(file) = &args.save_baseline {
        write(file, &json()?)?;
        notice::note(&format!("kept as {}; compare with --baseline", file.display()));
    }
    Ok(match comparison {
        Some(comparison) if comparison.worse() > 0 => Exit::Worse,
        Some(comparison) if comparison.compared() == 0 => {
            notice::warning("the baseline has none of what was measured: nothing was compared");
            Exit::Inconclusive
        }
        _ => Exit::AllHold,
    })
}

fn read_baseline(file: &Path) -> Result<Bench, Stop> {
    let invalid = |why: String| Stop::new(Exit::Invalid, why);
    let text = fs::read_to_string(file).map_err(|error| {
        invalid(format!(
            "the baseline {} cannot be read: {error}; --save-baseline writes one",
            file.display()
        ))
    })?;
    Bench::from_json(&text, &file.display().to_string()).map_err(invalid)
}

/// Every scenario with every combination of settings at every load.
fn plans(args: &Args, targets: &[Target], width: usize) -> Result<Vec<Plan>, Stop> {
    let mut plans = Vec::new();
    let combinations = sweep::combinations(&args.matrix);
    let loads: Vec<Option<f64>> = if args.load.is_empty() {
        vec![None]
    } else {
        args.load.iter().copied().map(Some).collect()
    };
    for target in targets {
        for values in &combinations {
            let matrix = args
                .matrix
                .iter()
                .map(|values| values.key.clone())
                .zip(values.iter().cloned());
            let given: Vec<(String, String)> = matrix.collect();
            let overrides: Vec<(String, String)> = changed(args).into_iter().chain(given.iter().cloned()).collect();
            for load in &loads {
                let mut ready = load_one(target, &overrides, width)?;
                if let Some(load) = load {
                    let rates = rates(&ready.script, *load)?;
                    let overrides: Vec<(String, String)> = overrides.iter().cloned().chain(rates).collect();
                    ready = load_one(target, &overrides, width)?;
                }
                plans.push(Plan {
                    shown: shown(args, &ready.script)?,
                    set: given.iter().map(|(key, value)| format!("{key}={value}")).collect(),
                    load: *load,
                    ready,
                });
            }
        }
    }
    // A number that no design has is a mistake, and one that some lack is not.
    for (index, name) in args.show.iter().enumerate() {
        if plans.iter().all(|plan| plan.shown[index].is_none())
            && let Some(plan) = plans.first()
            && let Err(problem) = Shown::new(name.trim(), &plan.ready.script)
        {
            return Err(Stop::new(Exit::Usage, format!("--show {problem}")));
        }
    }
    Ok(plans)
}

/// Settings that are changed in all cases.
fn changed(args: &Args) -> Vec<(String, String)> {
    let length = args.length.map(|length| ("time.length".to_owned(), length.to_string()));
    args.overrides.iter().cloned().chain(length).collect()
}

fn load_one(target: &Target, overrides: &[(String, String)], width: usize) -> Result<Ready, Stop> {
    let mut ready = targets::load(std::slice::from_ref(target), overrides, width)?;
    ready
        .pop()
        .ok_or_else(|| Stop::new(Exit::NothingRan, "there is nothing to run"))
}

fn shown(args: &Args, script: &Script) -> Result<Vec<Option<Shown>>, Stop> {
    Ok(args
        .show
        .iter()
        .map(|name| Shown::new(name.trim(), script).ok())
        .collect())
}

/// The rates of generated sources, as settings, so that all of them together send so many events a second.
fn rates(script: &Script, load: f64) -> Result<Vec<(String, String)>, Stop> {
    let scenario = &script.scenario;
    let generated = || {
        scenario
            .sources
            .iter()
            .filter(|source| source.file.is_none())
            .filter_map(|source| Some((source, source.rate.as_ref()?)))
    };
    let now: f64 = generated().map(|(_, rate)| rate.per_second()).sum();
    if now <= 0.0 {
        let message = format!(
            "--load: {} has no source with a `rate`: what files, literal events and marbles send is given",
            scenario.name
        );
        return Err(Stop::new(Exit::Usage, message));
    }
    let each = generated().map(|(source, rate)| {
        let rate = rate.times(load / now).to_string();
        (format!("source.{}.rate", source.name), rate)
    });
    Ok(each.collect())
}

/// Makes all runs; whether it was interrupted.
fn measure(args: &Args, plans: &[Plan], bench: &mut Bench) -> Result<bool, Stop> {
    let seeds: Vec<Option<u64>> = match (args.seed, args.seeds) {
        (_, Some(Seeds { first, last })) => (first..=last).map(Some).collect(),
        (None, None) if args.compare => vec![plans.first().map(|plan| plan.ready.script.scenario.time.seed)],
        (seed, None) => vec![seed],
    };
    let repeat = args.repeat.get() as usize;
    let each = seeds.len() * repeat;
    let interrupt = interrupt::listen();
    let progress = Progress::new(args.progress, plans.len() * each);
    // Judging on the machine's clock would be measured too.
    let judged = args.real_time.is_none() && !args.no_oracle;
    let options = Options {
        oracle: judged,
        // The hash names a run of virtual time; the machine's clock gives none.
        hash: args.real_time.is_none(),
        warm_up: args.warm_up.unwrap_or(Span::ZERO),
        timeline: args.causes,
        real_time: args.real_time,
        interrupt: interrupt.clone(),
        progress: progress.of_run(),
        ..Options::default()
    };
    let threads = if args.real_time.is_some() {
        1
    } else {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        args.jobs.map_or_else(cores, NonZero::get)
    };
    let of_job = |job: usize| {
        let (plan, trial) = (&plans[job / each], job % each);
        let options = Options {
            seed: seeds[trial / repeat],
            ..options.clone()
        };
        (plan, options)
    };
    let work = |tank: &mut Option<Tank>, job: usize| {
        let (plan, options) = of_job(job);
        let came = runs::once(tank, &plan.ready.script, &options);
        progress.done();
        came
    };
    // The steps of a load end with the first that is too much; those behind it are not begun.
    let mut done = 0;
    let mut stopped = false;
    while done < plans.len() && !stopped && !interrupt.load(Ordering::SeqCst) {
        let group = if args.load.is_empty() { plans.len() } else { 1 };
        let first = done;
        let mut stop = None;
        let take = |job: usize, came: Came| {
            let (plan, options) = of_job(first * each + job);
            match came {
                Came::Ran(ran, _) if ran.record.interrupted => return ControlFlow::Break(()),
                Came::Ran(ran, _) => {
                    if job.is_multiple_of(each) {
                        let name = plan.ready.script.scenario.name.as_str();
                        bench.cases.push(Case::new(name, plan.set.clone(), plan.load));
                    }
                    if let Some(case) = bench.cases.last_mut() {
                        case.add(&ran.record, judged, numbers(&plan.shown, &ran.record));
                        if let Some(timeline) = &ran.timeline {
                            case.split(timeline);
                        }
                    }
                    return ControlFlow::Continue(());
                }
                Came::Unbuildable(why) => stop = Some(Stop::new(Exit::Invalid, why)),
                Came::Panicked(panic) => {
                    let message = runs::internal(&plan.ready.script, &options, &panic);
                    stop = Some(Stop::new(Exit::Internal, message));
                }
            }
            ControlFlow::Break(())
        };
        let work = |tank: &mut Option<Tank>, job: usize| work(tank, first * each + job);
        batch::in_order(group * each, threads, &interrupt, || None, work, take);
        if let Some(stop) = stop {
            progress.finish();
            return Err(stop);
        }
        done += group;
        if !args.load.is_empty() && beyond_the_knee(bench) {
            // On to the next scenario or setting.
            let (set, name) = (&plans[first].set, &plans[first].ready.script.scenario.name);
            let same = |plan: &&Plan| plan.set == *set && plan.ready.script.scenario.name == *name;
            done += plans[done..].iter().take_while(same).count();
        }
        stopped = interrupt.load(Ordering::SeqCst);
    }
    progress.finish();
    Ok(stopped)
}

/// Whether the load of the last case is more than can be done, held against the first of its kind.
fn beyond_the_knee(bench: &Bench) -> bool {
    let Some(last) = bench.cases.last() else { return false };
    let first = bench
        .cases
        .iter()
        .find(|case| case.scenario == last.scenario && case.set == last.set);
    first.is_some_and(|first| last.beyond_the_knee(first))
}

fn numbers(shown: &[Option<Shown>], record: &Record) -> Vec<Option<Metric>> {
    shown
        .iter()
        .map(|shown| shown.as_ref().and_then(|shown| shown.read(record)))
        .collect()
}

fn write(file: &Path, text: &str) -> Result<(), Stop> {
    fs::write(file, text)
        .map_err(|error| Stop::new(Exit::Invalid, format!("{} cannot be written: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_and_shares_are_read_with_their_units() {
        assert_eq!(parse_load("200/s"), Ok(200.0));
        assert_eq!(parse_load("1.5k/s"), Ok(1_500.0));
        assert_eq!(parse_load(" 2M/s"), Ok(2_000_000.0));
        for wrong in ["", "10", "k/s", "-3/s", "0/s", "10k"] {
            assert!(parse_load(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_share("5%"), Ok(0.05));
        assert_eq!(parse_share("0.25"), Ok(0.25));
        for wrong in ["", "five", "-1%", "inf"] {
            assert!(parse_share(wrong).is_err(), "{wrong}");
        }
    }
}
