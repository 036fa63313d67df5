//! Records as Markdown, for the summary of a build or the body of a report.

use std::fmt::Write as _;

use crate::record::{Outcome, Record};
use crate::terminal::{distance_in_words, failure, judgement, word};
use crate::text::{count, plural, printable, without_styles};

/// Columns of explanations inside code blocks.
const WIDTH: usize = 100;

/// A table with a row for each run, then a section for each that did not do what it must. Wall-clock cost is left out, so
/// that the same runs give the same text.
pub fn markdown(records: &[Record]) -> String {
    let ok = records.iter().filter(|r| r.outcome.is_ok()).count();
    let mut text = format!(
        "# Wavetank: {ok} of {} as they must\n\n",
        plural(records.len() as u64, "run")
    );
    text += "| | scenario | pattern | seed | events | virtual time | trace |\n|---|---|---|--:|--:|--:|---|\n";
    for record in records {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | `{}` |",
            word(record).0,
            cell(&record.scenario),
            cell(&record.pattern),
            record.seed,
            count(record.events),
            record.simulated.short(),
            record.trace_hash.short(),
        );
    }
    for record in records.iter().filter(|r| !r.outcome.is_ok()) {
        text += &section(record);
    }
    text
}

fn section(record: &Record) -> String {
    let mut text = format!("\n## {} (seed {})\n", cell(&record.scenario), record.seed);
    if !record.about.is_empty() {
        let about: Vec<&str> = record.about.split_whitespace().collect();
        let _ = writeln!(text, "\n{}", cell(&about.join(" ")));
    }
    let mut block = |content: String| {
        let content = without_styles(&content);
        // The fence is longer than any run of back-quotes inside, so that nothing in it can close it.
        let longest = content.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        let _ = write!(text, "\n{fence}text\n{}\n{fence}\n", content.trim_end());
    };
    for expectation in record.broken() {
        block(failure(record, expectation, WIDTH));
    }
    let judged = judgement(record, WIDTH);
    if !judged.is_empty() {
        block(judged);
    }
    for distance in &record.distances {
        let _ = write!(text, "\n- {}", cell(&distance_in_words(distance)));
    }
    if !record.distances.is_empty() {
        text.push('\n');
    }
    if record.outcome != Outcome::Inconclusive || !record.reproduce.is_empty() {
        let _ = writeln!(text, "\nRun it again: `{}`", record.reproduce.replace('`', "'"));
    }
    text
}

/// Text that stays inside its cell and its line, with nothing that Markdown would obey.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printable(text).chars() {
        if matches!(c, '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '#' | '\\') {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}
