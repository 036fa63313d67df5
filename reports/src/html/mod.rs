//! The HTML report: one file that opens without a network, for one run or for many.
//!
//! Verdict and tables are HTML and need no script; plots are drawn by a script that lies in the file, from a
//! [`Timeline`] that lies there too. A strict content policy lets exactly that style and that script run, known by
//! their hashes, and nothing be fetched. What comes from a scenario is text everywhere: it is shown and never run.

mod figures;
mod tables;
mod view;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::record::Record;
use crate::sweep::Sweep;
use crate::timeline::Timeline;

/// The script, made from `reports/web` by its `build.mjs`.
const SCRIPT: &str = include_str!("../../web/dist/report.js");
/// The style, made there too.
const STYLE: &str = include_str!("../../web/dist/report.css");

/// Runs whose plots are in a report of several; of the others there are tables.
pub const DRAWN: usize = 8;

/// A run to report.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What came of it.
    pub record: &'a Record,
    /// What went on; without it there are no plots.
    pub timeline: Option<&'a Timeline>,
    /// Its scenario with nothing left to defaults, as text.
    pub scenario: &'a str,
}

/// The page for a run, or for several with a summary in front.
///
/// # Errors
/// When a record or timeline cannot be written as JSON.
pub fn report(runs: &[Run<'_>]) -> Result<String, ReportError> {
    // Those that did not do what they must are looked at first.
    let mut order: Vec<usize> = (0..runs.len()).collect();
    order.sort_by_key(|index| runs[*index].record.outcome.is_ok());
    let drawn = &order[..order.len().min(DRAWN)];
    let runs: Vec<view::Run> = runs
        .iter()
        .enumerate()
        .map(|(index, run)| view::Run::new(index, run, drawn.contains(&index)))
        .collect::<Result<_, _>>()?;
    let title = match runs.as_slice() {
        [run] => format!("{}@{}", run.scenario, run.seed),
        runs => format!("{} runs", runs.len()),
    };
    render(title, runs, None)
}

/// The page for a sweep: its table, and how what was measured follows from the setting.
///
/// # Errors
/// When the sweep cannot be written as JSON.
pub fn sweep(sweep: &Sweep) -> Result<String, ReportError> {
    let title = format!("{}@{}: {}", sweep.scenario, sweep.seed, sweep.sweep.join(", "));
    render(title, Vec::new(), Some(view::SweepView::new(sweep)?))
}

/// Why a report cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Something has no form in JSON.
    #[error("a report cannot be written: {0}")]
    Json(#[from] serde_json::Error),
    /// A template failed.
    #[error("a report cannot be written: {0}")]
    Template(#[from] askama::Error),
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    title: String,
    policy: String,
    style: &'static str,
    script: &'static str,
    summary: Option<view::Summary>,
    sweep: Option<view::SweepView>,
    runs: Vec<view::Run>,
    version: &'static str,
}

fn render(title: String, runs: Vec<view::Run>, sweep: Option<view::SweepView>) -> Result<String, ReportError> {
    let page = Page {
        title,
        policy: policy(),
        style: STYLE,
        script: SCRIPT,
        summary: (runs.len() > 1).then(|| view::Summary::new(&runs)),
        sweep,
        runs,
        version: env!("CARGO_PKG_VERSION"),
    };
    Ok(page.render()?)
}

/// What the page may do: run this script and this style, and nothing else.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; \
         form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

/// A value as JSON that may stand inside a `script` element: nothing in it ends the element or opens a comment.
fn embedded<T: serde::Serialize>(value: &T) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(value)?
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_json_cannot_leave_its_element_and_stays_the_same_value() {
        let value = "</script><!--<script>alert(1)</script>&amp;\u{2028}";
        let text = embedded(&value).expect("text");
        assert!(
            !text.contains('<') && !text.contains('>') && !text.contains('&'),
            "{text}"
        );
        let back: String = serde_json::from_str(&text).expect("JSON");
        assert_eq!(back, value);
    }

    #[test]
    fn the_bundle_can_stand_inside_the_page() {
        assert!(!SCRIPT.contains("</script") && !SCRIPT.contains("<!--"));
        assert!(!STYLE.contains("</style"));
        assert!(
            !SCRIPT.contains("http://")
                || SCRIPT.matches("http://").count() == SCRIPT.matches("http://www.w3.org/").count()
        );
    }
}
