//! What other programs read: JSON, JSON Lines, JUnit, and what happens when they are broken.

mod sample;

use proptest::prelude::*;
use sample::{S, failing, inconclusive, passing};
use wavetank_reports::record::*;
use wavetank_reports::{Histogram, Record, Span, Time, json, junit, markdown};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

#[test]
fn a_record_comes_back_from_json_as_it_was() -> Result {
    for record in [passing(), failing(), inconclusive()] {
        assert_eq!(Record::from_json(&json::record(&record)?, "run")?, record);
    }
    Ok(())
}

#[test]
fn a_whole_command_comes_back_from_json_and_so_does_a_single_run() -> Result {
    let runs = vec![passing(), failing()];
    assert_eq!(json::read(&json::report(runs.clone())?, "all.json")?, runs);
    assert_eq!(json::read(&json::record(&runs[0])?, "one.json")?, runs[..1]);
    Ok(())
}

#[test]
fn a_json_line_has_what_scripts_ask_for_and_is_one_line() -> Result {
    let line = json::line(&failing())?;
    assert!(!line.contains('\n'));
    let value: serde_json::Value = serde_json::from_str(&line)?;
    insta::assert_snapshot!(serde_json::to_string_pretty(&value)?);
    Ok(())
}

#[test]
fn the_json_of_a_record_is_what_it_was() -> Result {
    let mut record = failing();
    record.expectations.truncate(1);
    insta::assert_snapshot!(json::record(&record)?);
    Ok(())
}

#[test]
fn a_broken_record_is_refused_with_its_place_and_what_to_do() -> Result {
    let good = json::record(&passing())?;
    let cases = [
        ("empty", String::new()),
        ("no JSON", "PASS orders".to_owned()),
        ("cut off", good[..good.len() / 2].to_owned()),
        ("no schema", good.replacen("\"schema\": 1,", "", 1)),
        (
            "newer",
            good.replacen("\"schema\": 1,", "\"schema\": 2,", 1)
                .replace("\"verdict\"", "\"ruling\""),
        ),
        ("schema 0", good.replacen("\"schema\": 1,", "\"schema\": 0,", 1)),
        ("schema -1", good.replacen("\"schema\": 1,", "\"schema\": -1,", 1)),
        (
            "no such verdict",
            good.replacen("\"verdict\": \"pass\"", "\"verdict\": \"maybe\"", 1),
        ),
        ("seed as text", good.replacen("\"seed\": 42", "\"seed\": \"42\"", 1)),
        ("hash in capitals", good.replacen("3fa2b1c9", "3FA2B1C9", 1)),
        ("broken histogram", good.replacen("\"v2\": \"H", "\"v2\": \"*", 1)),
        ("a list", "[1, 2]".to_owned()),
        ("broken report", format!("{{\"schema\": 1, \"runs\": [{good}]}}")),
    ];
    let mut text = String::new();
    for (what, broken) in cases {
        match json::read(&broken, "run.json") {
            Ok(_) => text += &format!("{what}: read\n"),
            Err(error) => text += &format!("{what}: {error}\n"),
        }
    }
    insta::assert_snapshot!(text);
    Ok(())
}

#[test]
fn only_the_wall_clock_and_the_place_of_files_differ_between_two_records_of_one_run() {
    let (first, mut second) = (failing(), failing());
    second.wall = Span(1);
    second.outputs = None;
    assert!(first != second && first.same_run(&second));
    second.events += 1;
    assert!(!first.same_run(&second));
}

#[test]
fn junit_has_a_suite_for_each_scenario_and_a_case_for_each_expectation() -> Result {
    let mut must_fail = failing();
    must_fail.must = Must::Fail;
    must_fail.because = vec!["every order is counted in the end".into()];
    must_fail.conclude();
    insta::assert_snapshot!(junit::junit(&[passing(), failing(), must_fail, inconclusive()])?);
    Ok(())
}

#[test]
fn the_schema_of_a_record_names_every_field_that_json_has() -> Result {
    let schema = serde_json::to_value(json::record_schema())?;
    let record = serde_json::to_value(passing())?;
    let properties = schema["properties"].as_object().ok_or("no properties")?;
    for field in record.as_object().ok_or("no object")?.keys() {
        assert!(properties.contains_key(field), "{field}");
    }
    assert!(serde_json::to_value(json::line_schema())?["properties"]["simulated_us"].is_object());
    Ok(())
}

#[test]
fn conservation_is_told_from_the_counts_of_an_actor() {
    let mut counts = failing().actors.remove(0);
    assert_eq!(counts.unaccounted(), 0);
    counts.late -= 1;
    assert_eq!(counts.unaccounted(), 1);
}

#[test]
fn verdicts_follow_from_expectations_faults_and_interruption() {
    let good = passing();
    assert_eq!((good.verdict, good.outcome), (Verdict::Pass, Outcome::Passed));
    let silent = inconclusive();
    assert_eq!(
        (silent.verdict, silent.outcome),
        (Verdict::Inconclusive, Outcome::Inconclusive)
    );
    let of = |change: fn(&mut Record)| {
        let mut record = passing();
        change(&mut record);
        record.conclude();
        record.outcome
    };
    assert_eq!(of(|r| r.interrupted = true), Outcome::Inconclusive);
    assert_eq!(of(|r| r.expectations.clear()), Outcome::Inconclusive);
    assert_eq!(of(|r| r.expectations[1].holds = Holds::Untested), Outcome::Inconclusive);
    assert_eq!(of(|r| r.expectations[1].holds = Holds::No), Outcome::Failed);
    let not_declared = of(|r| {
        r.faults[0].fired = 0;
        r.faults[0].declared = false;
    });
    assert_eq!(not_declared, Outcome::Passed);
    let must = |broken: &[usize], because: &[usize]| {
        let mut record = passing();
        record.must = Must::Fail;
        record.because = because.iter().map(|i| record.expectations[*i].name.clone()).collect();
        broken.iter().for_each(|i| record.expectations[*i].holds = Holds::No);
        record.conclude();
        record.outcome
    };
    assert_eq!(must(&[], &[0]), Outcome::DidNotFail);
    assert_eq!(must(&[0], &[0]), Outcome::FailedAsItMust);
    assert_eq!(must(&[0], &[]), Outcome::FailedAsItMust);
    assert_eq!(must(&[1], &[0]), Outcome::FailedForAnotherReason);
    // The second is derived: it may break along with the reason that is named, but is no reason unless it is named.
    assert_eq!(must(&[0, 1], &[0]), Outcome::FailedAsItMust);
    assert_eq!(must(&[0, 1], &[1]), Outcome::FailedForAnotherReason);
    assert_eq!(must(&[0], &[0, 1]), Outcome::FailedForAnotherReason);
}

#[test]
fn over_a_range_of_seeds_a_fault_must_fire_once() {
    let mut runs = [passing(), inconclusive()];
    conclude_range(&mut runs);
    assert_eq!(runs.each_ref().map(|r| r.outcome), [Outcome::Passed, Outcome::Passed]);
    let mut silent = [inconclusive(), inconclusive()];
    conclude_range(&mut silent);
    assert_eq!(
        silent.each_ref().map(|r| r.outcome),
        [Outcome::Inconclusive, Outcome::Inconclusive]
    );
}

fn metric() -> impl Strategy<Value = Metric> {
    prop_oneof![
        any::<u64>().prop_map(Metric::Count),
        any::<i64>().prop_map(|us| Metric::Us(Span(us))),
        any::<u64>().prop_map(Metric::Bytes),
        any::<u64>().prop_map(|bits| Metric::Number(Number(f64::from_bits(bits)))),
        any::<f64>().prop_map(|x| Metric::PerSecond(Number(x))),
        any::<f64>().prop_map(|x| Metric::Share(Number(x))),
    ]
}

proptest! {
    #[test]
    fn any_record_comes_back_from_json_as_it_was(
        words in prop::collection::vec(any::<String>(), 6),
        seed in any::<u64>(),
        hash in any::<u128>(),
        times in prop::collection::vec(prop::option::of(any::<i64>()), 4),
        metrics in prop::collection::btree_map(any::<String>(), metric(), 0..5),
        values in prop::collection::vec(any::<i64>(), 0..20),
        must in any::<bool>(),
    ) {
        let mut record = failing();
        record.scenario.clone_from(&words[0]);
        record.about.clone_from(&words[1]);
        record.because = vec![words[2].clone()];
        record.overrides = words[3..].to_vec();
        record.seed = seed;
        record.trace_hash = hash.into();
        record.must = if must { Must::Fail } else { Must::Pass };
        record.faults[0].first = times[0].map(Time);
        record.faults[0].detected_after = times[1].map(Span);
        record.expectations[0].first_broken = times[2].map(Time);
        record.expectations[0].failure.as_mut().into_iter().for_each(|f| f.first_broken = times[3].map(Time));
        record.metrics.insert(words[4].clone(), metrics);
        let mut histogram = Histogram::default();
        values.into_iter().for_each(|us| histogram.record(Span(us % (1_000_000 * S))));
        record.histograms.entry(words[5].clone()).or_default().insert(words[0].clone(), histogram);
        record.conclude();
        let text = json::record(&record).unwrap_or_default();
        prop_assert_eq!(Record::from_json(&text, "run").map_err(|e| e.to_string()), Ok(record));
    }
}

#[test]
fn a_markdown_summary_has_a_row_for_each_run_and_a_section_for_each_that_needs_one() {
    let mut odd = inconclusive();
    odd.about = "Nothing | here *is* <b>obeyed</b>".into();
    insta::assert_snapshot!(markdown::markdown(&[passing(), failing(), odd]));
}
