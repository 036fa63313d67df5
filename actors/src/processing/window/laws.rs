//! Laws of windows, held against enumerations in other words.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;
use wavetank_scenarios::{Change, Time};

use crate::processing::testing::{Hand, event, row};

/// Stamp, key, value.
type Input = (i64, u8, i64);

const KEYS: [&str; 3] = ["a", "b", "c"];

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    prop::collection::vec((-40i64..60, 0u8..3, -5i64..6), 0..40)
}

/// What a hand that is fed in this order and told a watermark `behind` the largest stamp says in all.
fn fed(keys: serde_json::Value, arrivals: &[(u64, Input)], behind: i64) -> Hand {
    let mut hand = Hand::on(keys);
    let mut largest = i64::MIN;
    for (number, (stamp, key, value)) in arrivals {
        hand.take(event(*number, *stamp, row(KEYS[*key as usize], *value)));
        largest = largest.max(*stamp);
        hand.watermark(largest - behind - 1);
    }
    hand.end();
    hand
}

fn numbered(inputs: &[Input]) -> Vec<(u64, Input)> {
    inputs
        .iter()
        .copied()
        .enumerate()
        .map(|(i, input)| (i as u64, input))
        .collect()
}

/// The same, each moved back by less than `bound` in time: an order of arrival within bounded disorder.
fn disordered(inputs: &[Input], delays: &[i64]) -> Vec<(u64, Input)> {
    let mut all = numbered(inputs);
    all.sort_by_key(|(number, (stamp, ..))| (stamp + delays[*number as usize % delays.len()], *number));
    all
}

fn in_order(inputs: &[Input]) -> Vec<(u64, Input)> {
    disordered(inputs, &[0])
}

const WINDOWS: [&str; 9] = [
    "tumbling(10 us)",
    "hop(10 us, 4 us)",
    "hop(12 us, 4 us)",
    "hop(3 us, 7 us)",
    "cumulate(12 us, 3 us)",
    "time(9 us)",
    "session(6 us)",
    "stagger(10 us)",
    "snapshot(7 us)",
];

const AGGREGATES: &str = "count(*) as n, sum(x) as s, min(v) as lo, max(v) as hi, avg(x) as mean, variance(x) as var, \
     first(v) as f, last(v) as l, median(v) as med, count(distinct v) as d, collect(v) as all_of, \
     approx_quantile(0.5, v) as q, approx_count_distinct(v) as h";

proptest! {
    #[test]
    fn any_order_of_arrival_within_the_bound_gives_the_same_answers(
        inputs in inputs(), delays in prop::collection::vec(0i64..15, 1..20), window in prop::sample::select(&WINDOWS[..])
    ) {
        // Sessions that touch merge only as long as neither has answered, which is a matter of watermarks.
        let keys = json!({
            "query": format!("select k, {AGGREGATES} from s window {window} group by k"), "session_touching_merge": false,
        });
        let mut sorted = fed(keys.clone(), &in_order(&inputs), 0);
        let mut other = fed(keys, &disordered(&inputs, &delays), 15);
        prop_assert_eq!(other.said(), sorted.said());
        prop_assert_eq!(other.operator.held(), 0);
    }

    #[test]
    fn corrections_fold_to_the_answers_of_the_sorted_input(
        inputs in inputs(), delays in prop::collection::vec(0i64..60, 1..20), window in prop::sample::select(&WINDOWS[..8]),
        having in any::<bool>(), limit in any::<bool>(), on_change in any::<bool>()
    ) {
        let window = if on_change { window.replace("time(9 us)", "time(9 us, on = 'change')") } else { window.to_owned() };
        let having = if having { "having n > 1" } else { "" };
        let limit = if limit { "order by total desc limit 2" } else { "" };
        let keys = json!({
            "query": format!(
                "select k, count(*) as n, sum(v) as total from s window {window} group by k {having} {limit}"
            ),
            "late": "correct", "horizon": "1s", "session_touching_merge": false,
        });
        let sorted = folded(&fed(keys.clone(), &in_order(&inputs), 0))?;
        let corrected = folded(&fed(keys, &disordered(&inputs, &delays), 0))?;
        prop_assert_eq!(corrected, sorted);
    }

    #[test]
    fn windows_on_a_grid_hold_what_counting_every_start_says(
        inputs in inputs(), size in 1i64..15, every in 1i64..15, offset in -5i64..20
    ) {
        let query = format!("select k, sum(v) as t from s window hop({size} us, {every} us, {offset} us) group by k");
        let mut expected: BTreeMap<(i64, &str), i64> = BTreeMap::new();
        for start in -100..100 {
            if (start - offset).rem_euclid(every) == 0 {
                for (stamp, key, value) in &inputs {
                    if start <= *stamp && *stamp < start + size {
                        *expected.entry((start, KEYS[*key as usize])).or_default() += value;
                    }
                }
            }
        }
        let expected: Vec<String> =
            expected.iter().map(|((start, k), t)| format!("[{start},{}) {k} {t}", start + size)).collect();
        prop_assert_eq!(fed(json!({"query": query}), &in_order(&inputs), 0).said(), expected);
    }

    #[test]
    fn sessions_are_the_runs_without_a_gap(inputs in inputs(), gap in 1i64..10, touching in any::<bool>()) {
        let mut expected = Vec::new();
        for key in KEYS {
            let mut stamps: Vec<i64> =
                inputs.iter().filter(|(_, k, _)| KEYS[*k as usize] == key).map(|(t, ..)| *t).collect();
            stamps.sort_unstable();
            for run in stamps.chunk_by(|a, b| b - a < gap + i64::from(touching)) {
                expected.push((run[run.len() - 1] + gap, run[0], key, run.len()));
            }
        }
        expected.sort_unstable();
        let expected: Vec<String> =
            expected.iter().map(|(end, start, k, n)| format!("[{start},{end}) {k} {n}")).collect();
        let query = format!("select k, count(*) as n from s window session({gap} us) group by k");
        let keys = json!({"query": query, "session_touching_merge": touching});
        // No watermark until all are there: behind by more than there is.
        prop_assert_eq!(fed(keys, &numbered(&inputs), 1000).said(), expected);
    }

    #[test]
    fn staggered_windows_are_cut_from_the_first_event_on(inputs in inputs(), size in 1i64..15) {
        let mut expected = Vec::new();
        for key in KEYS {
            let mut stamps: Vec<i64> =
                inputs.iter().filter(|(_, k, _)| KEYS[*k as usize] == key).map(|(t, ..)| *t).collect();
            stamps.sort_unstable();
            while let Some(start) = stamps.first().copied() {
                let n = stamps.iter().filter(|t| **t < start + size).count();
                expected.push((start + size, key, n));
                stamps.drain(..n);
            }
        }
        expected.sort_unstable();
        let expected: Vec<String> =
            expected.iter().map(|(end, k, n)| format!("[{},{end}) {k} {n}", end - size)).collect();
        let query = format!("select k, count(*) as n from s window stagger({size} us) group by k");
        prop_assert_eq!(fed(json!({"query": query}), &in_order(&inputs), 0).said(), expected);
    }

    #[test]
    fn sliding_windows_look_back_from_every_instant(inputs in inputs(), size in 1i64..15) {
        let instants: BTreeSet<i64> = inputs.iter().map(|(t, ..)| *t).collect();
        let mut expected = Vec::new();
        for t in instants {
            for key in KEYS {
                let inside =
                    inputs.iter().filter(|(s, k, _)| KEYS[*k as usize] == key && t - size < *s && *s <= t);
                if let Some(most) = inside.map(|(.., v)| *v).max() {
                    expected.push(format!("[{},{}) {key} {most}", t - size + 1, t + 1));
                }
            }
        }
        let query = format!("select k, max(v) as m from s window time({size} us) group by k");
        prop_assert_eq!(fed(json!({"query": query}), &in_order(&inputs), 0).said(), expected);
    }

    #[test]
    fn snapshots_count_what_lasts(inputs in inputs(), lasts in 1i64..15) {
        let changes: BTreeSet<i64> = inputs.iter().flat_map(|(t, ..)| [*t, t + lasts]).collect();
        let changes: Vec<i64> = changes.into_iter().collect();
        let mut expected = Vec::new();
        for pair in changes.windows(2) {
            let n = inputs.iter().filter(|(t, ..)| *t <= pair[0] && pair[1] <= t + lasts).count();
            if n > 0 {
                expected.push(format!("[{},{}) {n}", pair[0], pair[1]));
            }
        }
        let query = format!("select count(*) as n from s window snapshot({lasts} us)");
        prop_assert_eq!(fed(json!({"query": query}), &in_order(&inputs), 0).said(), expected);
    }

    #[test]
    fn the_last_n_events_are_what_a_slice_of_the_input_says(inputs in inputs(), n in 1usize..6) {
        let mut expected = Vec::new();
        for end in 1..=inputs.len() {
            let inside = &inputs[end.saturating_sub(n)..end];
            for key in KEYS {
                let of: Vec<i64> =
                    inside.iter().filter(|(_, k, _)| KEYS[*k as usize] == key).map(|(.., v)| *v).collect();
                if let (Some(least), Some(most)) = (of.iter().min(), of.iter().max()) {
                    expected.push(format!("{key} {least} {most} {}", of.iter().sum::<i64>()));
                }
            }
        }
        let query = format!("select k, min(v) as a, max(v) as b, sum(v) as c from s window length({n}) group by k");
        prop_assert_eq!(fed(json!({"query": query}), &numbered(&inputs), 1000).said(), expected);
    }
}

/// The table that a receiver folds the answers into; every change must be one that can be made.
fn folded(hand: &Hand) -> Result<BTreeMap<String, String>, TestCaseError> {
    let mut table = BTreeMap::new();
    let mut revisions: BTreeMap<String, u32> = BTreeMap::new();
    for draft in &hand.results {
        let pane = draft.pane.as_ref().unwrap();
        let place = format!("{:?} {:?} {:?}", pane.start.micros(), pane.end.micros(), pane.key);
        let row = format!("{:?}", draft.row);
        let before = table.get(&place);
        match pane.change {
            Change::Insert => prop_assert!(before.is_none(), "inserted twice: {place}"),
            Change::UpdateAfter => prop_assert!(before.is_some_and(|b| *b != row), "no change: {place}"),
            Change::Delete => prop_assert_eq!(before, Some(&row)),
            Change::UpdateBefore | Change::Part => prop_assert!(false, "nothing asked for it"),
        }
        if let Some(last) = revisions.get(&place) {
            // A session that was taken back and comes again begins anew.
            prop_assert!(pane.revision == last + 1, "revisions have a gap: {place}");
        } else {
            prop_assert_eq!(pane.revision, 0);
        }
        revisions.insert(place.clone(), pane.revision);
        if pane.change == Change::Delete {
            table.remove(&place);
        } else {
            table.insert(place, row);
        }
        prop_assert!(pane.end < Time::MAX);
    }
    Ok(table)
}
