//! The HTML report without its plots: what stands in the file itself.

mod sample;

use std::collections::BTreeSet;

use wavetank_reports::html::{Run, report, sweep};
use wavetank_reports::record::{Metric, Verdict};
use wavetank_reports::sweep::{Sweep, Swept};
use wavetank_reports::{Record, Span};

fn page(records: &[Record]) -> String {
    let runs: Vec<Run<'_>> = records
        .iter()
        .map(|record| Run {
            record,
            timeline: None,
            scenario: "name = \"<b>\"\n",
        })
        .collect();
    report(&runs).expect("a page")
}

/// The part from one text to another, both left out.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).expect(from);
    rest.split_once(to).expect(to).0
}

/// Markup without blank lines, so that a template can be laid out freely.
fn tidy(html: &str) -> String {
    let lines = html.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_head_of_a_failed_run_says_what_came_of_it_and_how_to_bring_it_back() {
    let page = page(&[sample::failing()]);
    insta::assert_snapshot!(tidy(between(&page, "<article", "<nav")));
}

#[test]
fn expectations_stand_with_their_first_broken_moments_and_reasons() {
    let page = page(&[sample::failing()]);
    insta::assert_snapshot!(tidy(between(&page, "<ul class=\"expectations\">", "</section>")));
}

#[test]
fn the_fault_ledger_is_a_table() {
    let page = page(&[sample::failing()]);
    insta::assert_snapshot!(tidy(between(&page, "-faults-h\">Faults</h2>", "</section>")));
}

#[test]
fn a_page_names_each_place_once_and_every_label_is_there() {
    let page = page(&[sample::passing(), sample::failing()]);
    let quoted = |attribute: &str| -> Vec<String> {
        let opening = format!(" {attribute}=\"");
        let parts = page.split(opening.as_str()).skip(1);
        parts
            .filter_map(|part| part.split('"').next())
            .map(str::to_owned)
            .collect()
    };
    let ids = quoted("id");
    let unique: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "an id is there twice: {ids:?}");
    let anchors = quoted("href")
        .into_iter()
        .filter_map(|href| href.strip_prefix('#').map(str::to_owned));
    for label in quoted("aria-labelledby").into_iter().chain(anchors) {
        assert!(unique.contains(&label), "{label} is not there");
    }
}

#[test]
fn a_run_without_a_timeline_has_its_tables_and_no_plots() {
    let page = page(&[sample::passing()]);
    assert!(page.contains("What each actor did with its events") || page.contains("Books"));
    assert!(!page.contains("id=\"timeline-0\"") && !page.contains("<figure"));
    assert!(page.contains("name = &#34;&#60;b&#62;&#34;") || page.contains("name = &quot;&lt;b&gt;&quot;"));
}

#[test]
fn the_record_in_the_page_is_the_record() {
    let record = sample::failing();
    let page = page(std::slice::from_ref(&record));
    let json = between(&page, "id=\"record-0\">", "</script>");
    let back = Record::from_json(json, "the page").expect("a record");
    assert_eq!(back, record);
}

#[test]
fn a_sweep_has_its_table_beside_its_plot() {
    let run = |value: &str, late: u64, verdict| Swept {
        set: vec![value.to_owned()],
        shown: vec![Some(Metric::Count(late)), Some(Metric::Us(Span(1_500_000))), None],
        verdict,
        trace_hash: 7u64.into(),
    };
    let swept = Sweep {
        scenario: "slack-enough".into(),
        seed: 42,
        sweep: vec!["operator.order.reorder.slack".into()],
        show: ["order.late", "order.wait.p99", "order.gaps"].map(str::to_owned).into(),
        runs: vec![run("0s", 917, Verdict::Fail), run("2s", 0, Verdict::Pass)],
    };
    let page = sweep(&swept).expect("a page");
    insta::assert_snapshot!(tidy(between(&page, "<table id=\"sweep\">", "</table>")));
}
