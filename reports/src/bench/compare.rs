//! A benchmark against an earlier one: what has become slower, by how much, and how sure that is.
//!
//! Runs of the same seed on virtual time meet the same waves: they are compared pair by pair, and what differs comes from
//! what was changed. With several seeds the mean of the differences has an interval by Student's t; with one there is
//! nothing to be unsure of, and the difference is what it is for that seed. On the machine's clock repetitions differ by
//! themselves: the means of the two sides are compared by Welch's t (B. L. Welch 1947), and a single repetition tells
//! nothing.

use std::collections::BTreeMap;

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{Bench, Case, Clock, Trial};
use crate::table;
use crate::text::{BAD, DIM, GOOD, UNSURE, plural, printable, styled};
use crate::time::Span;

/// How sure an interval is.
const CONFIDENCE: f64 = 0.95;

/// What has changed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comparison {
    /// How much slower, as a share of what it was, is not yet worse.
    pub tolerance: f64,
    /// What differs, the worst first.
    pub changes: Vec<Change>,
    /// How many statistics are the same.
    pub same: u64,
    /// Cases and statistics that one side lacks, in words.
    pub missing: Vec<String>,
}

/// A statistic that is not what it was.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Change {
    /// The case.
    pub case: String,
    /// The statistic, as expectations name it.
    pub name: String,
    /// The mean over the trials before, in microseconds.
    pub before: f64,
    /// The mean over the trials now, in microseconds.
    pub now: f64,
    /// An interval of 95 % for the difference, in microseconds; nothing where one seed on virtual time leaves nothing open,
    /// or one repetition on the machine's clock everything.
    pub interval: Option<(f64, f64)>,
    /// What that means.
    pub judgement: Judgement,
}

/// Whether something is worse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// Slower than the tolerance allows, all of the interval.
    Worse,
    /// It may be worse: the interval says neither.
    Unclear,
    /// Slower, within the tolerance.
    Tolerated,
    /// Faster, all of the interval.
    Better,
}

impl Comparison {
    /// Holds `now` against `before`. `tolerance` is a share: 0.05 lets everything be 5 % slower.
    ///
    /// # Errors
    /// The two followed different clocks.
    pub fn of(before: &Bench, now: &Bench, tolerance: f64) -> Result<Self, String> {
        if before.clock != now.clock {
            return Err(
                "the baseline followed another clock: spans of virtual time and of the machine's are not compared; \
                 measure the baseline again, with or without --real-time as now"
                    .to_owned(),
            );
        }
        let mut comparison = Self {
            tolerance,
            changes: Vec::new(),
            same: 0,
            missing: Vec::new(),
        };
        let old: BTreeMap<String, &Case> = before.cases.iter().map(|case| (case.name(), case)).collect();
        for case in &now.cases {
            match old.get(&case.name()) {
                Some(old) => comparison.case(old, case, now.clock),
                None => comparison
                    .missing
                    .push(format!("{} is not in the baseline", case.name())),
            }
        }
        let new: Vec<String> = now.cases.iter().map(Case::name).collect();
        let gone = old.keys().filter(|name| !new.contains(name));
        comparison
            .missing
            .extend(gone.map(|name| format!("{name} is in the baseline, and was not measured now")));
        comparison
            .changes
            .sort_by(|a, b| (a.judgement, &a.case, &a.name).cmp(&(b.judgement, &b.case, &b.name)));
        Ok(comparison)
    }

    fn case(&mut self, before: &Case, now: &Case, clock: Clock) {
        let name = now.name();
        let seeds = |case: &Case| case.trials.iter().map(|trial| trial.seed).collect::<Vec<_>>();
        let paired = clock == Clock::Virtual;
        if paired && seeds(before) != seeds(now) {
            self.missing
                .push(format!("{name} was measured at other seeds: it is not compared"));
            return;
        }
        let names = |case: &Case| {
            let all = case.trials.iter().flat_map(|trial| trial.spans.keys().cloned());
            all.collect::<std::collections::BTreeSet<String>>()
        };
        for statistic in names(before).union(&names(now)) {
            let read = |case: &Case| -> Option<Vec<f64>> {
                let of = |trial: &Trial| trial.spans.get(statistic).map(|span| span.0 as f64);
                case.trials.iter().map(of).collect()
            };
            let (Some(old), Some(new)) = (read(before), read(now)) else {
                self.missing
                    .push(format!("{name}: {statistic} was not measured in every run of both"));
                continue;
            };
            if old == new {
                self.same += 1;
                continue;
            }
            let interval = if paired {
                paired_interval(&old, &new)
            } else {
                welch_interval(&old, &new)
            };
            let (before, now) = (mean(&old), mean(&new));
            let change = Change {
                case: name.clone(),
                name: statistic.clone(),
                before,
                now,
                interval,
                judgement: judge(before, now, interval, self.tolerance, paired && old.len() == 1),
            };
            self.changes.push(change);
        }
    }

    /// How many statistics are worse.
    pub fn worse(&self) -> usize {
        let worse = |change: &&Change| change.judgement == Judgement::Worse;
        self.changes.iter().filter(worse).count()
    }

    /// How many statistics were compared.
    pub fn compared(&self) -> u64 {
        self.same + self.changes.len() as u64
    }

    /// For a person, in at most `width` columns.
    pub fn render(&self, width: usize) -> String {
        let mut text = String::new();
        let tolerance = if self.tolerance > 0.0 {
            format!(" by more than {}", percent(self.tolerance))
        } else {
            String::new()
        };
        let worse = self.worse();
        let head = if worse > 0 {
            styled(
                BAD,
                format!(
                    "worse than the baseline{tolerance}: {}",
                    plural(worse as u64, "statistic")
                ),
            )
        } else {
            styled(GOOD, format!("nothing is worse than the baseline{tolerance}"))
        };
        text += &head;
        text += &styled(DIM, format!("  ({} the same)\n", plural(self.same, "statistic")));
        let mut cases: Vec<&str> = self.changes.iter().map(|change| change.case.as_str()).collect();
        cases.sort_unstable();
        cases.dedup();
        for case in cases {
            let rows = self.changes.iter().filter(|change| change.case == case);
            let rows: Vec<Vec<String>> = rows.map(|change| change.cells().to_vec()).collect();
            text += &format!("  {}\n", printable(case));
            let header = ["before", "now", "change", "95 % interval", "", "what"].map(ToOwned::to_owned);
            for line in table::numbers(&header, &rows, width.saturating_sub(4)).lines() {
                text += &format!("    {line}\n");
            }
        }
        for missing in &self.missing {
            text += &format!("  {}\n", styled(UNSURE, printable(missing)));
        }
        text
    }

    /// As Markdown, for the summary of a build.
    pub fn markdown(&self) -> String {
        let mut text = format!("## Against the baseline: {} worse\n", self.worse());
        if !self.changes.is_empty() {
            text += "\n| | case | statistic | before | now | change | 95 % interval |\n|---|---|---|--:|--:|--:|---|\n";
        }
        for change in &self.changes {
            let [before, now, by, interval, word, _] = change.cells();
            let name = change.name.replace('|', "\\|");
            text += &format!(
                "| {word} | {} | {name} | {before} | {now} | {by} | {interval} |\n",
                change.case
            );
        }
        for missing in &self.missing {
            text += &format!("\n- {missing}\n");
        }
        text
    }
}

impl Change {
    fn cells(&self) -> [String; 6] {
        let share = |by: f64| {
            if self.before == 0.0 {
                format!(
                    "{}{}",
                    if by < 0.0 { "-" } else { "+" },
                    Span(by.abs().round() as i64).short()
                )
            } else {
                format!(
                    "{}{}",
                    if by < 0.0 { "-" } else { "+" },
                    percent((by / self.before).abs())
                )
            }
        };
        let interval = self.interval.map_or_else(
            || "exact".to_owned(),
            |(low, high)| {
                if low.is_finite() {
                    format!("{} to {}", share(low), share(high))
                } else {
                    "one repetition".to_owned()
                }
            },
        );
        let word = match self.judgement {
            Judgement::Worse => "worse",
            Judgement::Unclear => "unclear",
            Judgement::Tolerated => "tolerated",
            Judgement::Better => "better",
        };
        [
            Span(self.before.round() as i64).short(),
            Span(self.now.round() as i64).short(),
            share(self.now - self.before),
            interval,
            word.to_owned(),
            printable(&self.name),
        ]
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The unbiased variance; nothing of a single value.
fn variance(values: &[f64]) -> Option<f64> {
    let middle = mean(values);
    let squares: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
    (values.len() > 1).then(|| squares / (values.len() - 1) as f64)
}

/// How many standard errors to either side hold [`CONFIDENCE`].
fn width(freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(0.5 + CONFIDENCE / 2.0))
}

/// For the mean of the differences of pairs; nothing of a single pair.
fn paired_interval(before: &[f64], now: &[f64]) -> Option<(f64, f64)> {
    let differences: Vec<f64> = now.iter().zip(before).map(|(now, before)| now - before).collect();
    let error = (variance(&differences)? / differences.len() as f64).sqrt();
    let (middle, half) = (mean(&differences), error * width((differences.len() - 1) as f64));
    Some((middle - half, middle + half))
}

/// For the difference of two means; without bounds where a side has a single value.
fn welch_interval(before: &[f64], now: &[f64]) -> Option<(f64, f64)> {
    let (Some(a), Some(b)) = (variance(before), variance(now)) else {
        return Some((f64::NEG_INFINITY, f64::INFINITY));
    };
    let (m, n) = (before.len() as f64, now.len() as f64);
    let (a, b) = (a / m, b / n);
    let middle = mean(now) - mean(before);
    if a + b == 0.0 {
        return Some((middle, middle));
    }
    let freedom = (a + b).powi(2) / (a.powi(2) / (m - 1.0) + b.powi(2) / (n - 1.0));
    let half = (a + b).sqrt() * width(freedom);
    Some((middle - half, middle + half))
}

fn judge(before: f64, now: f64, interval: Option<(f64, f64)>, tolerance: f64, exact: bool) -> Judgement {
    let allowed = before.abs() * tolerance;
    let (low, high) = match interval {
        None if exact => (now - before, now - before),
        None => return Judgement::Unclear,
        Some(interval) => interval,
    };
    if low > allowed {
        Judgement::Worse
    } else if high < 0.0 {
        Judgement::Better
    } else if high <= allowed {
        Judgement::Tolerated
    } else {
        Judgement::Unclear
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TraceHash;

    fn bench(clock: Clock, trials: &[&[i64]]) -> Bench {
        let mut bench = Bench::new(clock, Span(0), vec![]);
        let mut case = Case::new("orders", vec![], None);
        for (seed, values) in trials.iter().enumerate() {
            let spans = values
                .iter()
                .enumerate()
                .map(|(i, value)| (format!("sink.latency.{i}"), Span(*value)));
            case.trials.push(Trial {
                seed: seed as u64,
                events: 1,
                simulated: Span(1),
                wall: Span(1),
                verdict: None,
                trace_hash: TraceHash::default(),
                spans: spans.collect(),
                shown: vec![],
            });
        }
        bench.cases.push(case);
        bench
    }

    fn one(clock: Clock, before: &[i64], now: &[i64], tolerance: f64) -> Option<Change> {
        let each = |values: &[i64]| -> Bench {
            let rows: Vec<Vec<i64>> = values.iter().map(|value| vec![*value]).collect();
            let rows: Vec<&[i64]> = rows.iter().map(Vec::as_slice).collect();
            bench(clock, &rows)
        };
        Comparison::of(&each(before), &each(now), tolerance)
            .unwrap()
            .changes
            .pop()
    }

    #[test]
    fn a_single_seed_on_virtual_time_is_exact() {
        let judged = |now: i64, tolerance| one(Clock::Virtual, &[1_000], &[now], tolerance).map(|c| c.judgement);
        assert_eq!(judged(1_000, 0.0), None);
        assert_eq!(judged(1_001, 0.0), Some(Judgement::Worse));
        assert_eq!(judged(1_050, 0.05), Some(Judgement::Tolerated));
        assert_eq!(judged(1_051, 0.05), Some(Judgement::Worse));
        assert_eq!(judged(999, 0.0), Some(Judgement::Better));
    }

    #[test]
    fn a_single_repetition_on_the_machines_clock_tells_nothing() {
        let change = one(Clock::Real, &[1_000], &[9_000], 0.0).unwrap();
        assert_eq!(change.judgement, Judgement::Unclear);
        assert!(change.cells().contains(&"one repetition".to_owned()));
    }

    #[test]
    fn pairs_show_what_means_alone_would_not() {
        // Seeds differ much, and each has become slower by ten.
        let (before, now) = ([100, 900, 5_000, 20_000], [110, 910, 5_010, 20_011]);
        let paired = one(Clock::Virtual, &before, &now, 0.0).unwrap();
        assert_eq!(paired.judgement, Judgement::Worse);
        let (low, high) = paired.interval.unwrap();
        // Mean 10.25, deviation 0.5, four values: 10.25 -+ 3.1824 * 0.25.
        assert!(
            (low - 9.454_4).abs() < 1e-3 && (high - 11.045_6).abs() < 1e-3,
            "{low} {high}"
        );
        assert_eq!(
            one(Clock::Real, &before, &now, 0.0).unwrap().judgement,
            Judgement::Unclear
        );
    }

    #[test]
    fn welchs_interval_is_that_of_a_worked_example() {
        // Means 5 and 9, variances 1 and 4, four values each: error sqrt(1.25), freedom 25/16 / (1/48 + 1/3) = 4.4118.
        let (before, now) = ([4, 4, 6, 6], [8, 8, 8, 12]);
        let (a, b) = (
            variance(&[4.0, 4.0, 6.0, 6.0]).unwrap(),
            variance(&[8.0, 8.0, 8.0, 12.0]).unwrap(),
        );
        assert!((a - 4.0 / 3.0).abs() < 1e-12 && (b - 4.0).abs() < 1e-12);
        let error = (a / 4.0 + b / 4.0).sqrt();
        let freedom = (a / 4.0 + b / 4.0).powi(2) / ((a / 4.0).powi(2) / 3.0 + (b / 4.0).powi(2) / 3.0);
        // The t of 0.975 lies between those of 4 (2.7764) and 5 (2.5706) degrees of freedom.
        assert!((4.0..5.0).contains(&freedom));
        let (low, high) = one(Clock::Real, &before, &now, 0.0).unwrap().interval.unwrap();
        assert!(((low + high) / 2.0 - 4.0).abs() < 1e-9);
        let half = (high - low) / 2.0 / error;
        assert!((2.5706..2.7765).contains(&half), "{half}");
    }

    #[test]
    fn what_one_side_lacks_is_said_and_other_clocks_are_refused() {
        let a = bench(Clock::Virtual, &[&[1, 2]]);
        let b = bench(Clock::Virtual, &[&[1]]);
        let comparison = Comparison::of(&a, &b, 0.0).unwrap();
        assert_eq!(comparison.same, 1);
        assert_eq!(
            comparison.missing,
            ["orders: sink.latency.1 was not measured in every run of both"]
        );
        let mut renamed = b.clone();
        renamed.cases[0].set.push("a=1".to_owned());
        let missing = Comparison::of(&b, &renamed, 0.0).unwrap().missing;
        assert_eq!(
            missing,
            [
                "orders (a=1) is not in the baseline",
                "orders is in the baseline, and was not measured now"
            ]
        );
        let seeds = bench(Clock::Virtual, &[&[1], &[1]]);
        assert_eq!(
            Comparison::of(&b, &seeds, 0.0).unwrap().missing,
            ["orders was measured at other seeds: it is not compared"]
        );
        assert!(Comparison::of(&b, &bench(Clock::Real, &[&[1]]), 0.0).is_err());
    }
}
