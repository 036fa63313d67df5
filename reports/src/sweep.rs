//! A sweep: the same scenario at the same seed with one setting or several at different values, and what was measured
//! each time. What differs between the rows comes from the setting alone.

use serde::Serialize;

use crate::record::{Metric, TraceHash, Verdict};
use crate::table;
use crate::text::{STRONG, printable, styled};

/// Runs of one scenario side by side.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Sweep {
    /// The scenario's name.
    pub scenario: String,
    /// The seed of all draws, the same in every run.
    pub seed: u64,
    /// The settings that differ, as dotted paths.
    pub sweep: Vec<String>,
    /// What is shown of each run, as expectations name it.
    pub show: Vec<String>,
    /// The runs, in the order of the values; of several settings the last one changes fastest.
    pub runs: Vec<Swept>,
}

/// One run of a sweep.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Swept {
    /// The value of each setting, as it was written.
    pub set: Vec<String>,
    /// What was measured; nothing where the run has no such number.
    pub shown: Vec<Option<Metric>>,
    /// What the judge says of the run.
    pub verdict: Verdict,
    /// The hash of its trace.
    pub trace_hash: TraceHash,
}

impl Sweep {
    /// As an aligned table in at most `width` columns.
    pub fn render(&self, width: usize) -> String {
        let title = format!("{}@{}: {}", self.scenario, self.seed, self.sweep.join(", "));
        let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
        let unique = |key: &String| self.sweep.iter().filter(|other| last(other) == last(key)).count() == 1;
        let keys = self
            .sweep
            .iter()
            .map(|key| if unique(key) { last(key) } else { key.clone() });
        let header: Vec<String> = keys
            .chain(self.show.iter().cloned())
            .chain(["verdict".into()])
            .collect();
        let rows: Vec<Vec<String>> = self
            .runs
            .iter()
            .map(|run| {
                let shown = run.shown.iter().map(|shown| shown.map_or_else(|| "-".to_owned(), cell));
                let verdict = match run.verdict {
                    Verdict::Pass => "holds",
                    Verdict::Fail => "broken",
                    Verdict::Inconclusive => "untested",
                };
                let set = run.set.iter().map(|value| printable(value));
                set.chain(shown).chain([verdict.to_owned()]).collect()
            })
            .collect();
        let body = table::numbers(&header, &rows, width.saturating_sub(2));
        let mut text = styled(STRONG, printable(&title)) + "\n";
        for line in body.lines() {
            text += &format!("  {line}\n");
        }
        text
    }
}

/// A number as a person reads it in a column.
fn cell(metric: Metric) -> String {
    match metric {
        Metric::Count(n) => crate::text::count(n),
        Metric::Us(span) => span.short(),
        other => other.to_string(),
    }
}
