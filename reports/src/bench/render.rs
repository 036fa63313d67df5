//! A benchmark for a person: a table of percentiles for each case, or the cases side by side.

use super::curve::{self, Point};
use super::{Bench, Case, Clock};
use crate::histogram::{Histogram, PERCENTILES};
use crate::record::{Metric, Verdict};
use crate::table;
use crate::text::{BAD, DIM, STRONG, count, plural, printable, short_count, styled};

/// From so many columns on there is room for all percentiles.
const WIDE: usize = 110;

impl Bench {
    /// Every case with its percentiles, in at most `width` columns.
    pub fn render(&self, width: usize) -> String {
        let mut text = String::new();
        for case in &self.cases {
            text += &self.case(case, width);
            text.push('\n');
        }
        text += &self.loads(width);
        text
    }

    fn case(&self, case: &Case, width: usize) -> String {
        let mut text = styled(STRONG, printable(&case.name())) + "\n";
        text += &format!("  {}\n", styled(DIM, self.circumstances(case)));
        let broken = case
            .trials
            .iter()
            .filter(|trial| trial.verdict == Some(Verdict::Fail))
            .count();
        if broken > 0 {
            let runs = plural(case.trials.len() as u64, "run");
            text += &format!(
                "  {}\n",
                styled(BAD, format!("an expectation is broken in {broken} of {runs}"))
            );
        }
        // In a narrow terminal names need the room.
        let percentiles: Vec<&str> = PERCENTILES
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| width >= WIDE || !["p75", "p999"].contains(name))
            .collect();
        let named = |name: &str| match name {
            "p999" => "p99.9".to_owned(),
            "p9999" => "p99.99".to_owned(),
            name => name.to_owned(),
        };
        let header: Vec<String> = ["count"]
            .into_iter()
            .chain(percentiles.iter().copied())
            .chain(["max", "what"])
            .map(named)
            .collect();
        let (timeless, all): (Vec<_>, Vec<_>) = self
            .distributions(case)
            .partition(|(_, h)| h.max().is_some_and(|max| max.0 == 0) && h.min().is_some_and(|min| min.0 == 0));
        let rows: Vec<Vec<String>> = all.iter().map(|(name, h)| row(name, h, &percentiles)).collect();
        if rows.is_empty() {
            return text + "  nothing took any time\n";
        }
        for line in table::numbers(&header, &rows, width.saturating_sub(2)).lines() {
            text += &format!("  {line}\n");
        }
        if !timeless.is_empty() {
            text += &format!("  {}\n", styled(DIM, format!("{} more took no time", timeless.len())));
        }
        text
    }

    /// What a person waits for first, then what it is made of.
    fn distributions<'a>(&self, case: &'a Case) -> impl Iterator<Item = (String, &'a Histogram)> + use<'a> {
        let rank = |metric: &str| match metric {
            "latency" => 0,
            "latency_sent" => 1,
            "emit_delay" => 2,
            "transit" => 9,
            _ => 5,
        };
        let mut all: Vec<(u32, String, &Histogram)> = Vec::new();
        for (of, histograms) in &case.histograms {
            for (metric, histogram) in histograms {
                // Sizes are distributions too, and no spans.
                if histogram.count() > 0 && !metric.ends_with("_bytes") {
                    all.push((rank(metric), format!("{of} {metric}"), histogram));
                }
            }
        }
        all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        all.into_iter().map(|(_, name, histogram)| (name, histogram))
    }

    fn circumstances(&self, case: &Case) -> String {
        let events: u64 = case.trials.iter().map(|trial| trial.events).sum();
        let seeds: std::collections::BTreeSet<u64> = case.trials.iter().map(|trial| trial.seed).collect();
        let at = match (seeds.first(), seeds.len()) {
            (Some(seed), 1) => format!("seed {seed}"),
            (_, n) => format!("{n} seeds"),
        };
        let throughput: f64 = case.trials.iter().map(super::Trial::throughput).sum();
        let throughput = short_count((throughput / case.trials.len().max(1) as f64) as u64);
        let events = plural(events, "event");
        let changed: String = self
            .overrides
            .iter()
            .map(|set| format!(", {}", printable(set)))
            .collect();
        match self.clock {
            Clock::Virtual => {
                format!("virtual time, exact; {at}, {events}{changed}; {throughput} a second on this machine")
            }
            Clock::Real => {
                let warm_up = if self.warm_up.0 > 0 {
                    format!(" without the first {}", self.warm_up.short())
                } else {
                    String::new()
                };
                let runs = plural(case.trials.len() as u64, "repetition");
                format!("the machine's clock; {at}, {runs}{warm_up}, {events}{changed}")
            }
        }
    }

    /// Where several loads were asked for: each with its latency, and where the knee is.
    fn loads(&self, width: usize) -> String {
        let loaded: Vec<&Case> = self.cases.iter().filter(|case| case.load.is_some()).collect();
        if loaded.len() < 2 {
            return String::new();
        }
        let header = ["load", "done", "p50", "p99", "max", "", "scenario"].map(ToOwned::to_owned);
        let mut rows = Vec::new();
        for case in &loaded {
            let first = loaded
                .iter()
                .find(|first| first.scenario == case.scenario && first.set == case.set);
            let knee = first.is_some_and(|first| case.beyond_the_knee(first));
            let all = case
                .histograms
                .values()
                .flatten()
                .filter(|(name, _)| *name == "latency");
            let worst = all.map(|(_, h)| h).max_by_key(|h| h.percentile(99.0));
            let cell = |statistic: &str| {
                let span = worst.and_then(|h| h.statistic(statistic));
                span.map_or_else(|| "-".to_owned(), crate::time::Span::short)
            };
            rows.push(vec![
                format!("{}/s", short_count(case.load.unwrap_or(0.0).round() as u64)),
                format!(
                    "{}/s",
                    short_count(case.load.map_or(0.0, |load| case.done(load)).round() as u64)
                ),
                cell("p50"),
                cell("p99"),
                cell("max"),
                if knee { "beyond the knee" } else { "" }.to_owned(),
                printable(&case.scenario),
            ]);
        }
        let mut text = styled(STRONG, "latency over load") + "\n";
        for line in table::numbers(&header, &rows, width.saturating_sub(2)).lines() {
            text += &format!("  {line}\n");
        }
        text
    }

    /// The cases side by side by what is shown of them, and with two numbers the trade-off between them.
    pub fn side_by_side(&self, width: usize) -> String {
        let header: Vec<String> = self.show.iter().cloned().chain(["design".to_owned()]).collect();
        let rows: Vec<Vec<String>> = self
            .cases
            .iter()
            .map(|case| {
                let shown = (0..self.show.len()).map(|index| shown(case, index).map_or_else(|| "-".to_owned(), cell));
                shown.chain([printable(&case.name())]).collect()
            })
            .collect();
        let mut text = String::new();
        for line in table::numbers(&header, &rows, width).lines() {
            text += &format!("{line}\n");
        }
        if let [across, upwards, ..] = self.show.as_slice() {
            let points: Vec<Point> = self
                .cases
                .iter()
                .filter_map(|case| {
                    Some(Point {
                        name: case.name(),
                        x: shown(case, 0)?,
                        y: shown(case, 1)?,
                    })
                })
                .collect();
            text.push('\n');
            text += &curve::draw(across, upwards, &points, width);
            text += "  capitals: no other is better in one and as good in the other\n";
        }
        text
    }

    /// As Markdown, for the summary of a build.
    pub fn markdown(&self) -> String {
        let mut text = "# Wavetank benchmark\n".to_owned();
        for case in &self.cases {
            text += &format!("\n## {}\n\n{}\n\n", case.name(), self.circumstances(case));
            text += "| what | count | p50 | p90 | p99 | p99.99 | max |\n|---|--:|--:|--:|--:|--:|--:|\n";
            for (name, h) in self.distributions(case) {
                let cell = |statistic| {
                    h.statistic(statistic)
                        .map_or_else(String::new, crate::time::Span::short)
                };
                text += &format!(
                    "| {} | {} | {} | {} | {} | {} | {} |\n",
                    name.replace('|', "\\|"),
                    count(h.count()),
                    cell("p50"),
                    cell("p90"),
                    cell("p99"),
                    cell("p9999"),
                    cell("max")
                );
            }
        }
        text
    }
}

impl Case {
    /// Events a second that were sent of a load: less than that where the sources fell behind their plan.
    fn done(&self, load: f64) -> f64 {
        let events: u64 = self.trials.iter().map(|trial| trial.events).sum();
        let planned = events as f64 / self.trials.len().max(1) as f64 / load;
        let behind = self.histograms.values().filter_map(|of| of.get("behind")?.max()).max();
        let behind = behind.map_or(0.0, |behind| behind.0 as f64 / 1e6);
        load * planned / (planned + behind)
    }
    /// Whether the load is more than can be done, held against the `first` and smallest one: a twentieth of it is not done in
    /// its time, or the slowest sink waits ten times as long as under the first load, and more than ten milliseconds longer.
    pub fn beyond_the_knee(&self, first: &Self) -> bool {
        let behind = self.load.is_some_and(|load| self.done(load) < load * 0.95);
        let slower = match (first.slowest(), self.slowest()) {
            (Some(first), Some(now)) => now.0 > first.0.saturating_mul(10) && now.0 > first.0 + 10_000,
            _ => false,
        };
        behind || slower
    }
}

/// A number of a case: that of its only run, else the mean over all.
fn shown(case: &Case, index: usize) -> Option<Metric> {
    let all: Option<Vec<Metric>> = case
        .trials
        .iter()
        .map(|trial| trial.shown.get(index).copied().flatten())
        .collect();
    let all = all?;
    let mean = |sum: f64| (sum / all.len() as f64).round();
    match all.first()? {
        Metric::Us(_) => {
            let sum: f64 = all
                .iter()
                .map(|m| if let Metric::Us(span) = m { span.0 as f64 } else { 0.0 })
                .sum();
            Some(Metric::Us(crate::time::Span(mean(sum) as i64)))
        }
        Metric::Count(_) => {
            let sum: f64 = all
                .iter()
                .map(|m| if let Metric::Count(n) = m { *n as f64 } else { 0.0 })
                .sum();
            Some(Metric::Count(mean(sum) as u64))
        }
        Metric::Bytes(_) => {
            let sum: f64 = all
                .iter()
                .map(|m| if let Metric::Bytes(n) = m { *n as f64 } else { 0.0 })
                .sum();
            Some(Metric::Bytes(mean(sum) as u64))
        }
        other if all.len() == 1 => Some(*other),
        _ => None,
    }
}

fn cell(metric: Metric) -> String {
    match metric {
        Metric::Count(n) => count(n),
        Metric::Us(span) => span.short(),
        other => other.to_string(),
    }
}

fn row(name: &str, histogram: &Histogram, percentiles: &[&str]) -> Vec<String> {
    let statistics = percentiles.iter().copied().chain(["max"]);
    let spans = statistics.map(|statistic| {
        histogram
            .statistic(statistic)
            .map_or_else(String::new, crate::time::Span::short)
    });
    [short_count(histogram.count())]
        .into_iter()
        .chain(spans)
        .chain([printable(name)])
        .collect()
}
