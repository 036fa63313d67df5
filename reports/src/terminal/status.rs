//! One aligned line for each scenario, and the line that sums them up.

use crate::record::{Outcome, Purpose, Record};
use crate::text::{
    BAD, DIM, GOOD, STRONG, TYPED, UNSURE, count, elide, fit, plural, printable, short_count, styled, without_styles,
};
use crate::time::Span;
use anstyle::Style;
use unicode_width::UnicodeWidthStr;

const STATUS: usize = 12;
const EVENTS: usize = 6;
const SIMULATED: usize = 7;
const HASH: usize = 7;
const WALL: usize = 5;
/// All columns but name and pattern, and the blank between each two.
const FIXED: usize = STATUS + EVENTS + SIMULATED + HASH + WALL + 6;

/// The layout of the status lines of one command, so that they line up although they are printed one by one.
///
/// The columns are: status word, scenario (with `@seed` where several seeds run), pattern, events sent by the sources,
/// simulated time, the first digits of the trace's hash, and the wall-clock cost.
#[derive(Clone, Copy, Debug)]
pub struct StatusLines {
    name: usize,
    pattern: usize,
    seeds: bool,
}

/// The word for an outcome and its colour.
pub(crate) fn word(record: &Record) -> (&'static str, Style) {
    match record.outcome {
        Outcome::Inconclusive if record.interrupted => ("INTERRUPTED", UNSURE),
        Outcome::Passed => ("PASS", GOOD),
        Outcome::FailedAsItMust => ("PASS (fails)", GOOD),
        Outcome::Failed => ("FAIL", BAD),
        Outcome::DidNotFail => ("FAIL (holds)", BAD),
        Outcome::FailedForAnotherReason => ("FAIL (other)", BAD),
        Outcome::Inconclusive => ("INCONCLUSIVE", UNSURE),
    }
}

impl StatusLines {
    /// A layout for scenarios given as (name, pattern), in `width` columns. With `seeds` each name carries its seed, for
    /// which ten columns are kept.
    pub fn new<'a>(scenarios: impl IntoIterator<Item = (&'a str, &'a str)>, seeds: bool, width: usize) -> Self {
        let (mut name, mut pattern) = (8, 7);
        for (scenario, of) in scenarios {
            name = name.max(scenario.width() + if seeds { 10 } else { 0 });
            pattern = pattern.max(of.width());
        }
        let room = width.saturating_sub(FIXED).max(24);
        if name + pattern > room {
            // The name tells scenarios apart, so the pattern gives way first, down to what can still be recognised.
            pattern = pattern.min(room.saturating_sub(name).max(12));
            name = room - pattern;
        }
        Self { name, pattern, seeds }
    }

    /// The names of the columns.
    pub fn header(&self) -> String {
        let names = ["", "scenario", "pattern", "events", "virtual", "trace", "wall"];
        styled(
            DIM,
            self.columns(names.map(str::to_owned), Style::new(), Style::new())
                .trim_end(),
        )
    }

    /// The line of a run.
    pub fn line(&self, record: &Record) -> String {
        let (word, style) = word(record);
        let seed = if self.seeds {
            format!("@{}", record.seed)
        } else {
            String::new()
        };
        let name = printable(&record.scenario);
        let cells = [
            word.to_owned(),
            elide(&name, self.name.saturating_sub(seed.len())) + &seed,
            printable(&record.pattern),
            short_count(record.events),
            record.simulated.short(),
            record.trace_hash.short().to_owned(),
            wall(record.wall),
        ];
        self.columns(cells, style, STRONG)
    }

    /// A line with its cells in their columns; styles go around whole cells, so that they count for nothing in the
    /// widths.
    fn columns(&self, cells: [String; 7], of_status: Style, of_name: Style) -> String {
        let [status, name, pattern, events, simulated, hash, wall] = cells;
        format!(
            "{} {} {} {events:>EVENTS$} {simulated:>SIMULATED$} {hash:<HASH$} {wall:>WALL$}",
            styled(of_status, fit(&status, STATUS)),
            styled(of_name, fit(&name, self.name)),
            fit(&pattern, self.pattern),
        )
    }
}

/// A wall-clock cost: coarse on purpose, it is noisy.
fn wall(cost: Span) -> String {
    match cost.0 {
        us @ 1_000..1_000_000 => format!("{}ms", us / 1_000),
        _ => cost.short(),
    }
}

/// How a number of runs ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Runs in all.
    pub runs: u64,
    /// Runs that did what they must.
    pub passed: u64,
    /// Of those: by failing as they must.
    pub failed_as_they_must: u64,
    /// Runs that did not do what they must.
    pub failed: u64,
    /// Runs in which something was not put to the test.
    pub inconclusive: u64,
    /// Runs that were stopped before their end, with nothing broken until then.
    pub interrupted: u64,
    /// Events sent by sources.
    pub events: u64,
    /// Simulated time in all.
    pub simulated: Span,
    /// What to type next about the first run that failed or was inconclusive, failures first.
    worst: Option<(Outcome, String)>,
    /// The command that runs the only run again, and its seed.
    only: Option<(String, u64)>,
    /// The command that looks into the only run, where it failed.
    look: Option<String>,
}

impl Summary {
    /// Takes a run in.
    pub fn add(&mut self, record: &Record) {
        self.runs += 1;
        self.events += record.events;
        self.simulated.0 = self.simulated.0.saturating_add(record.simulated.0);
        match record.outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::FailedAsItMust => {
                self.passed += 1;
                self.failed_as_they_must += 1;
            }
            Outcome::Failed | Outcome::DidNotFail | Outcome::FailedForAnotherReason => self.failed += 1,
            Outcome::Inconclusive if record.interrupted => self.interrupted += 1,
            Outcome::Inconclusive => self.inconclusive += 1,
        }
        let unsure = |outcome: Outcome| outcome == Outcome::Inconclusive;
        let worse = self
            .worst
            .as_ref()
            .is_none_or(|(held, _)| unsure(*held) && !unsure(record.outcome));
        if !record.outcome.is_ok() && worse {
            self.worst = Some((record.outcome, record.reproduce.clone()));
        }
        self.only = (self.runs == 1).then(|| (record.reproduce.clone(), record.seed));
        self.look = if self.runs == 1 { look(record) } else { None };
    }

    /// The summary, and a line with the command to type next. `wall` is the wall-clock time of the whole command.
    pub fn render(&self, wall: Span, width: usize) -> String {
        let mut verdicts = Vec::new();
        if self.passed > 0 || self.runs == 0 {
            let passed = styled(GOOD, format!("{} passed", count(self.passed)));
            verdicts.push(match self.failed_as_they_must {
                0 => passed,
                n => format!("{passed} ({} by failing as it must)", count(n)),
            });
        }
        for (n, word, style) in [
            (self.failed, "failed", BAD),
            (self.inconclusive, "inconclusive", UNSURE),
            (self.interrupted, "interrupted", UNSURE),
        ] {
            if n > 0 {
                verdicts.push(styled(style, format!("{} {word}", count(n))));
            }
        }
        let last = verdicts.len() - 1;
        verdicts[..last].iter_mut().for_each(|verdict| verdict.push(','));
        let mut parts = vec![styled(STRONG, plural(self.runs, "run")) + ":"];
        parts.append(&mut verdicts);
        parts.push(format!("in {}:", self::wall(wall)));
        parts.push(plural(self.events, "event") + ",");
        parts.push(format!("{} of virtual time", self.simulated.short()));
        format!(
            "{}\n{} {}\n",
            flow(&parts, width),
            styled(DIM, "next:"),
            styled(TYPED, printable(&self.next_command()))
        )
    }

    /// The command that is worth typing next.
    pub fn next_command(&self) -> String {
        match (&self.worst, &self.only) {
            (Some((Outcome::Inconclusive, _)), _) => "wavetank explain inconclusive".to_owned(),
            // Whoever has just run it alone need not be told to.
            (Some(_), _) if self.look.is_some() => self.look.clone().unwrap_or_default(),
            (Some((_, reproduce)), _) if !reproduce.is_empty() => reproduce.clone(),
            (None, Some((command, seed))) if !command.is_empty() => {
                command.replace(&format!(" --seed {seed}"), " --seeds 0..20")
            }
            _ => "wavetank list scenarios".to_owned(),
        }
    }
}

/// What to type to look into a failed run, or else to learn what is behind it.
fn look(record: &Record) -> Option<String> {
    let commands = || {
        let failures = record.broken().filter_map(|broken| broken.failure.as_ref());
        failures.flat_map(|failure| &failure.commands)
    };
    let of = |purpose| {
        let mut found = commands().filter(move |command| command.purpose == purpose);
        found.next().map(|command| command.line.clone())
    };
    of(Purpose::Look).or_else(|| of(Purpose::Learn))
}

/// Joins parts by blanks, and by a new line before the part that would go beyond `width`.
fn flow(parts: &[String], width: usize) -> String {
    let mut text = String::new();
    let mut used = 0;
    for part in parts {
        let columns = without_styles(part).width();
        if used > 0 && used + 1 + columns > width {
            text.push_str("\n  ");
            used = 2;
        } else if used > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(part);
        used += columns;
    }
    text
}
