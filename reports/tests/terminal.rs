//! What a person sees at 80 columns.

mod sample;

use proptest::prelude::*;
use sample::{failing, inconclusive, passing};
use unicode_width::UnicodeWidthStr;
use wavetank_reports::record::{Must, Outcome, ScriptLine};
use wavetank_reports::terminal::{Detail, StatusLines, Summary, details, failure};
use wavetank_reports::{Record, Span, Time, table};

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn screen(records: &[Record], seeds: bool, width: usize) -> String {
    let layout = StatusLines::new(
        records.iter().map(|r| (r.scenario.as_str(), r.pattern.as_str())),
        seeds,
        width,
    );
    let mut text = layout.header() + "\n";
    let mut summary = Summary::default();
    for record in records {
        text += &(layout.line(record) + "\n");
        summary.add(record);
    }
    text + "\n" + &summary.render(Span(1_234_567), width)
}

fn must_fail() -> Record {
    let mut record = failing();
    record.must = Must::Fail;
    record.because = vec!["every order is counted in the end".into()];
    record.conclude();
    record
}

#[test]
fn a_run_of_several_scenarios_is_one_aligned_line_each_and_a_summary() {
    let mut interrupted = inconclusive();
    interrupted.interrupted = true;
    interrupted.events = 3;
    let records = [passing(), must_fail(), failing(), inconclusive(), interrupted];
    let text = plain(&screen(&records, false, 80));
    insta::assert_snapshot!(text);
    assert!(text.lines().all(|line| line.width() <= 80), "{text}");
}

#[test]
fn a_wide_terminal_shows_names_in_full_and_seeds_tell_runs_apart() {
    let mut other = passing();
    other.seed = 43;
    insta::assert_snapshot!(plain(&screen(&[passing(), other, inconclusive()], true, 110)));
}

#[test]
fn colours_are_written_as_styles_that_a_caller_can_strip() {
    insta::assert_debug_snapshot!(screen(&[passing()], false, 80));
}

#[test]
fn a_failure_is_explained_in_the_order_in_which_a_person_asks() {
    let record = failing();
    let text = plain(&failure(&record, &record.expectations[0], 80));
    insta::assert_snapshot!(text);
    assert!(text.lines().all(|line| line.width() <= 80), "{text}");
}

#[test]
fn a_failing_run_among_many_says_what_went_wrong_and_nothing_else() {
    insta::assert_snapshot!(plain(&details(&failing(), Detail::Problems, 80)));
}

#[test]
fn a_scenario_that_runs_alone_shows_everything() {
    let text = plain(&details(&failing(), Detail::All, 80));
    insta::assert_snapshot!(text);
    assert!(text.lines().all(|line| line.width() <= 80), "{text}");
}

#[test]
fn a_passing_run_among_many_needs_no_words() {
    assert_eq!(details(&passing(), Detail::Problems, 80), "");
    assert_eq!(
        plain(&details(&must_fail(), Detail::Problems, 80))
            .lines()
            .filter(|l| l.contains("expected"))
            .count(),
        0
    );
}

#[test]
fn a_scenario_that_must_fail_says_when_it_did_not_or_did_so_for_another_reason() {
    let mut holds = passing();
    holds.must = Must::Fail;
    holds.because = vec!["every order is counted in the end".into()];
    holds.conclude();
    assert_eq!(holds.outcome, Outcome::DidNotFail);
    let mut other = failing();
    other.must = Must::Fail;
    other.because = vec!["nothing comes twice".into()];
    other.expectations[0].failure = None;
    other.conclude();
    assert_eq!(other.outcome, Outcome::FailedForAnotherReason);
    let text = [holds, other]
        .map(|r| plain(&details(&r, Detail::Problems, 80)))
        .join("\n----\n");
    insta::assert_snapshot!(text);
}

#[test]
fn a_long_line_of_a_scenario_keeps_the_part_that_counts_in_sight() {
    let mut record = failing();
    let line = record.expectations[0]
        .failure
        .as_mut()
        .and_then(|f| f.decided_by.as_mut());
    if let Some(line) = line {
        line.text = format!(
            "\tquery = \"select {} from orders window tumbling(1 min)\"",
            "store, ".repeat(20)
        );
        line.column = line.text.chars().count() - 15;
        line.length = 15;
    }
    let text = plain(&failure(&record, &record.expectations[0], 80));
    let shown: Vec<_> = text
        .lines()
        .skip_while(|l| !l.contains("decided by"))
        .skip(1)
        .take(2)
        .collect();
    insta::assert_snapshot!(format!("\n{}", shown.join("\n")));
}

#[test]
fn data_cannot_write_to_the_terminal() {
    let mut record = failing();
    if let Some(failure) = &mut record.expectations[0].failure {
        failure.came = "\x1b[2J\x1b[H".into();
        if let Some(event) = &mut failure.event {
            event.row = "evil\r\n\x07".into();
        }
    }
    let text = failure(&record, &record.expectations[0], 80);
    assert!(
        !text.contains("\x1b[2J") && !text.contains('\r') && !text.contains('\x07'),
        "{text:?}"
    );
}

#[test]
fn a_list_wraps_its_descriptions_and_keeps_its_names_whole() {
    let rows = vec![
        vec![
            "watermark".to_owned(),
            "A statement that no event with a smaller stamp is expected any more, as an element on its link."
                .to_owned(),
        ],
        vec![
            "temporal-event-ordering".to_owned(),
            "Sequences of events, and their absence.".to_owned(),
        ],
    ];
    let text = table::list(&["pattern", "what it does"], &rows, 80);
    insta::assert_snapshot!(text);
    assert!(text.lines().all(|line| line.width() <= 80), "{text}");
}

#[test]
fn a_table_of_results_cuts_what_is_too_wide_and_says_how_much_is_left_out() {
    let mut sink = passing().sinks.remove(0);
    sink.first[0][1] = serde_json::json!("a name that goes on and on and on and on, as names in data files do");
    insta::assert_snapshot!(plain(&table::result_table(&sink, 10, 80)));
}

proptest! {
    #[test]
    fn whatever_a_record_says_its_rendering_fits_and_obeys_no_one(
        // Terminals do not agree on how wide exotic sequences are; what is wide or obeyed by all of them is in here.
        words in prop::collection::vec("[\\x00-\\x9fäß日本🌊]{0,60}", 12),
        numbers in prop::collection::vec(any::<i64>(), 4),
        (line, column, length) in (any::<usize>(), 0usize..200, 0usize..200),
        width in 0usize..200,
    ) {
        let mut record = failing();
        record.scenario.clone_from(&words[0]);
        record.pattern.clone_from(&words[1]);
        record.about.clone_from(&words[2]);
        record.reproduce.clone_from(&words[3]);
        record.notes = vec![words[4].clone()];
        record.faults[0].id.clone_from(&words[5]);
        record.simulated = Span(numbers[0]);
        record.wall = Span(numbers[1]);
        record.sinks[0].first[0][1] = words[6].clone().into();
        record.sinks[0].columns[1].clone_from(&words[7]);
        if let Some(failure) = &mut record.expectations[0].failure {
            failure.expected.clone_from(&words[8]);
            failure.came.clone_from(&words[9]);
            failure.first_broken = Some(Time(numbers[2]));
            if let Some(event) = &mut failure.event {
                event.row.clone_from(&words[10]);
                event.happened = Time(numbers[3]);
            }
            failure.decided_by = Some(ScriptLine { line, column, length, text: words[11].clone(), ..ScriptLine::default() });
            failure.picture.clear();
            failure.commands.clear();
        }
        let text = plain(&details(&record, Detail::All, width));
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        let widest = width.max(60);
        let wide: Vec<_> = text.lines().filter(|l| l.width() > widest && !l.starts_with("kept in")).collect();
        prop_assert!(wide.is_empty(), "{wide:?}");
        let status = plain(&screen(std::slice::from_ref(&record), true, width));
        prop_assert!(!status.chars().any(|c| c.is_control() && c != '\n'), "{status:?}");
    }
}

#[test]
fn the_next_command_goes_on_from_what_was_run_alone() {
    let next = |record: &Record| {
        let mut summary = Summary::default();
        summary.add(record);
        summary.next_command()
    };
    let mut from_file = passing();
    from_file.reproduce = "wavetank run my/orders.toml --seed 42 --set a.b=1".into();
    assert_eq!(
        next(&from_file),
        "wavetank run my/orders.toml --seeds 0..20 --set a.b=1"
    );
    assert_eq!(next(&failing()), "wavetank replay latest --until 3m11.1s");
    assert_eq!(next(&inconclusive()), "wavetank explain inconclusive");
}
