//! Two runs side by side.

mod sample;

use proptest::prelude::*;
use sample::{failing, passing};
use serde_json::json;
use wavetank_reports::Span;
use wavetank_reports::diff::diff;

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn a_run_does_not_differ_from_itself_whatever_it_cost() {
    let (first, mut second) = (failing(), failing());
    second.wall = Span(1);
    let difference = diff(&first, &second);
    assert!(difference.is_empty());
    insta::assert_snapshot!(plain(&difference.render(10, 80)), @r"
    orders-per-minute-late@42 → orders-per-minute-late@42
    the same run: equal traces
    ");
}

#[test]
fn what_is_different_is_listed_by_name_with_both_values() {
    let (first, mut second) = (passing(), failing());
    let table = &mut second.sinks[0];
    table.hash = 0x78_u64.into();
    table.first[0][2] = json!(203);
    table.first[0][3] = json!(2437.0);
    let text = plain(&diff(&first, &second).render(10, 80));
    insta::assert_snapshot!(text);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn rows_that_only_one_run_has_are_marked_when_the_tables_are_whole() {
    let (mut first, mut second) = (passing(), passing());
    first.sinks[0].rows = 2;
    second.sinks[0].rows = 3;
    second.sinks[0].hash = 0x79_u64.into();
    second.sinks[0].first.remove(0);
    for store in ["store-2", "store-3"] {
        second.sinks[0]
            .first
            .push(vec![json!("2m"), json!(store), json!(1), json!(1.5)]);
    }
    let difference = diff(&first, &second);
    insta::assert_snapshot!(plain(&difference.render(10, 80)));
    second.sinks[0].rows = 300;
    let partial = diff(&first, &second);
    assert!(!partial.outputs[0].complete && !partial.outputs[0].rows.iter().any(|row| row.only_first));
}

proptest! {
    #[test]
    fn swapping_the_runs_swaps_the_values(late in any::<u64>(), rows in 0u64..5) {
        let (first, mut second) = (passing(), failing());
        second.actors[0].late = late;
        second.sinks[0].rows = rows;
        let (there, back) = (diff(&first, &second), diff(&second, &first));
        prop_assert_eq!(there.numbers.len(), back.numbers.len());
        for (a, b) in there.numbers.iter().zip(&back.numbers) {
            prop_assert_eq!((&a.what, &a.first, &a.second), (&b.what, &b.second, &b.first));
        }
    }
}
