//! `wavetank run --sweep`: one scenario at one seed, a setting at different values, and a table of what was measured.
//!
//! Draws are keyed, so that all runs meet the same waves: what differs comes from the setting. Whether the scenario's
//! expectations hold is shown, and no failure: a sweep is there to see where they stop holding.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::thread;

use wavetank_reports::Record;
use wavetank_reports::record::Metric;
use wavetank_reports::sweep::{Sweep, Swept};
use wavetank_scenarios::exit::Exit;
use wavetank_scenarios::metric::{Form, METRICS, Measured, STATISTICS};
use wavetank_scenarios::{Script, suggest};

use super::output::Output;
use super::progress::Progress;
use super::run::{Args, Format};
use super::runs::{self, Came};
use super::targets::{self, Ready};
use super::{Stop, batch, interrupt, notice, report};
use crate::{Options, Tank};

/// A setting and the values that it is to have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Values {
    /// The setting.
    pub key: String,
    values: Vec<String>,
}

/// Reads `KEY=V,W`. A comma inside brackets or quotes belongs to its value.
pub fn parse(text: &str) -> Result<Values, String> {
    let how = "write key=value,value, like operator.order.reorder.slack=0s,1s,2s";
    let (key, rest) = text.split_once('=').ok_or(how)?;
    let mut values = vec![String::new()];
    let (mut depth, mut quoted) = (0u32, false);
    for c in rest.chars() {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                values.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(value) = values.last_mut() {
            value.push(c);
        }
    }
    let values: Vec<String> = values.iter().map(|value| value.trim().to_owned()).collect();
    if key.trim().is_empty() || values.iter().any(String::is_empty) {
        return Err(how.into());
    }
    let key = key.trim().to_owned();
    Ok(Values { key, values })
}

/// Every combination of values, the last setting changing fastest.
pub fn combinations(sweeps: &[Values]) -> Vec<Vec<String>> {
    sweeps.iter().fold(vec![vec![]], |before, sweep| {
        let with = |done: &Vec<String>| -> Vec<Vec<String>> {
            let each = sweep
                .values
                .iter()
                .map(|value| [done.as_slice(), std::slice::from_ref(value)].concat());
            each.collect()
        };
        before.iter().flat_map(with).collect()
    })
}

/// A number of a record, by the name that an expectation would give it.
pub struct Shown {
    of: String,
    /// The metric, with `.max` for the largest value of a gauge.
    name: String,
    /// Of a histogram.
    statistic: Option<String>,
}

impl Shown {
    /// Finds what a name means in a scenario.
    ///
    /// # Errors
    /// There is nothing of that name; with what was probably meant.
    pub fn new(name: &str, script: &Script) -> Result<Self, String> {
        let topology = &script.topology;
        let mut places: Vec<(String, Measured)> = Vec::new();
        for actor in &topology.actors {
            places.push((actor.name.to_string(), actor.role.measured()));
        }
        let links = topology
            .links
            .iter()
            .map(|link| (link.name.to_string(), Measured::Link));
        places.extend(links);
        let faults = script.scenario.faults.iter();
        places.extend(faults.map(|fault| (format!("fault.{}", fault.id), Measured::Fault)));

        let plain = name.replace('"', "");
        // The longest name that fits: a generator's begins with its operator's.
        let found = places
            .iter()
            .filter_map(|(of, measured)| {
                let rest = plain.strip_prefix(of.as_str())?.strip_prefix('.')?;
                let metric = rest.split('.').next().unwrap_or(rest);
                let known = METRICS.iter().find(|m| m.name == metric && m.of.contains(measured));
                Some((of, *measured, rest, known))
            })
            .max_by_key(|(of, _, _, known)| (known.is_some(), of.len()));
        let Some((of, measured, rest, known)) = found else {
            let help = suggest::help(
                plain.split('.').next().unwrap_or(&plain),
                places.iter().map(|(of, _)| of.as_str()),
            );
            return Err(said(&format!("nothing here is measured under `{plain}`"), help));
        };
        let (metric, statistic) = rest.split_once('.').map_or((rest, None), |(m, s)| (m, Some(s)));
        let Some(known) = known else {
            let names = METRICS.iter().filter(|m| m.of.contains(&measured)).map(|m| m.name);
            let what = format!("{} has no metric `{metric}`", measured.name());
            return Err(said(&what, suggest::help(metric, names)));
        };
        let choices: &[&str] = match known.form {
            Form::Counter => &[],
            Form::Gauge => &["max"],
            Form::Histogram => STATISTICS,
        };
        match statistic {
            None if known.form == Form::Histogram => Err(format!(
                "`{plain}` is a distribution; ask for one of {}",
                STATISTICS.join(", ")
            )),
            Some(statistic) if !choices.contains(&statistic) => {
                let help = suggest::help(statistic, choices.iter().copied());
                Err(said(&format!("`{of}.{metric}` has no `{statistic}`"), help))
            }
            Some(statistic) if known.form == Form::Histogram => Ok(Self {
                of: of.clone(),
                name: metric.into(),
                statistic: Some(statistic.into()),
            }),
            _ => Ok(Self {
                of: of.clone(),
                name: rest.into(),
                statistic: None,
            }),
        }
    }

    /// What it was in a run.
    pub fn read(&self, record: &Record) -> Option<Metric> {
        let Some(statistic) = &self.statistic else {
            return record.metrics.get(&self.of)?.get(&self.name).copied();
        };
        let histogram = record.histograms.get(&self.of)?.get(&self.name)?;
        if statistic == "count" {
            return Some(Metric::Count(histogram.count()));
        }
        histogram.statistic(statistic).map(Metric::Us)
    }
}

fn said(what: &str, help: Option<String>) -> String {
    help.map_or_else(|| what.to_owned(), |help| format!("{what}; {help}"))
}

/// Runs a scenario at every combination of values and compares.
///
/// # Errors
/// When it cannot be read with one of the values, or there is nothing of a name that is to be shown.
pub fn sweep(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let usage = |message: String| Stop::new(Exit::Usage, message);
    let [path] = args.paths.as_slice() else {
        return Err(usage("--sweep compares runs of one scenario: name one".into()));
    };
    if let Some(path) = &args.report {
        report::open(path)?;
    }
    let target = targets::find_one(path)?;
    let combinations = combinations(&args.sweeps);
    let keys: Vec<String> = args.sweeps.iter().map(|sweep| sweep.key.clone()).collect();
    let mut ready: Vec<Ready> = Vec::new();
    for values in &combinations {
        let set = keys.iter().cloned().zip(values.iter().cloned());
        let overrides: Vec<(String, String)> = args.overrides.iter().cloned().chain(set).collect();
        ready.extend(targets::load(
            std::slice::from_ref(&target),
            &overrides,
            output.width(),
        )?);
    }
    let script = &ready[0].script;
    let shown: Vec<Shown> = args
        .show
        .iter()
        .map(|name| Shown::new(name.trim(), script))
        .collect::<Result<_, _>>()
        .map_err(|problem| usage(format!("--show {problem}")))?;

    let interrupt = interrupt::listen();
    let progress = Progress::new(args.progress, ready.len());
    let options = Options {
        seed: args.seed,
        oracle: !args.no_oracle,
        keys: args.keys.read()?,
        interrupt: interrupt.clone(),
        progress: progress.of_run(),
        ..Options::default()
    };
    let threads = args.jobs.or_else(|| thread::available_parallelism().ok());
    let work = |tank: &mut Option<Tank>, job: usize| {
        let came = runs::once(tank, &ready[job].script, &options);
        progress.done();
        came
    };
    let mut swept = Vec::new();
    let mut seed = args.seed.unwrap_or(script.scenario.time.seed);
    let mut stop = None;
    let take = |job: usize, came: Came| {
        let record = match came {
            Came::Ran(ran, _) if ran.record.interrupted => return ControlFlow::Break(()),
            Came::Ran(ran, _) => ran.record,
            Came::Unbuildable(why) => {
                stop = Some(Stop::new(Exit::Invalid, why));
                return ControlFlow::Break(());
            }
            Came::Panicked(panic) => {
                let message = runs::internal(&ready[job].script, &options, &panic);
                stop = Some(Stop::new(Exit::Internal, message));
                return ControlFlow::Break(());
            }
        };
        seed = record.seed;
        swept.push(Swept {
            set: combinations[job].clone(),
            shown: shown.iter().map(|shown| shown.read(&record)).collect(),
            verdict: record.verdict,
            trace_hash: record.trace_hash,
        });
        ControlFlow::Continue(())
    };
    let threads = threads.map_or(1, NonZero::get);
    batch::in_order(ready.len(), threads, &interrupt, || None, work, take);
    progress.finish();
    if let Some(stop) = stop {
        return Err(stop);
    }
    let interrupted = interrupt.load(Ordering::SeqCst);
    let sweep = Sweep {
        scenario: script.scenario.name.clone(),
        seed,
        sweep: keys,
        show: args.show.iter().map(|name| name.trim().to_owned()).collect(),
        runs: swept,
    };
    let unwritable = |error: serde_json::Error| Stop::new(Exit::Internal, error.to_string());
    let text = match args.format {
        Format::Human => sweep.render(output.width()),
        Format::Json => serde_json::to_string_pretty(&sweep).map_err(unwritable)? + "\n",
        Format::Jsonl => {
            let lines = sweep
                .runs
                .iter()
                .map(|run| serde_json::to_string(run).map(|line| line + "\n"));
            lines.collect::<Result<String, _>>().map_err(unwritable)?
        }
    };
    output.print(&text)?;
    if let Some(path) = &args.report {
        let page = wavetank_reports::html::sweep(&sweep);
        let page = page.map_err(|error| Stop::new(Exit::Internal, error.to_string()))?;
        report::put(&page, path, output)?;
    }
    if interrupted {
        notice::note("not all values were run");
        return Ok(Exit::Interrupted);
    }
    Ok(Exit::AllHold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parted_by_commas_outside_of_brackets_and_quotes() {
        let read = parse("operator.order.reorder=0s, {a = 1, b = [2, 3]},\"x,y\"").expect("it is well written");
        assert_eq!(read.key, "operator.order.reorder");
        assert_eq!(read.values, ["0s", "{a = 1, b = [2, 3]}", "\"x,y\""]);
        for wrong in ["", "a.b", "=1,2", "a.b=", "a.b=1,,2", "a.b=1,"] {
            assert!(
                parse(wrong)
                    .expect_err("it is not")
                    .starts_with("write key=value,value")
            );
        }
    }

    #[test]
    fn several_settings_make_every_combination_the_last_changing_fastest() {
        let sweeps = ["a=1,2", "b=x,y"].map(|text| parse(text).expect("it is well written"));
        assert_eq!(combinations(&sweeps), [["1", "x"], ["1", "y"], ["2", "x"], ["2", "y"]]);
    }
}
