//! Laws of order: what lies within the bound is repaired completely, and what is lost beyond it is what was counted.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use wavetank_scenarios::metric::Metric;

use super::tests::{Played, reading};
use crate::operator::Dropped;

/// Events as they come: the stamp and how long each takes.
fn arrivals(slowest: i64) -> impl Strategy<Value = Vec<(i64, i64)>> {
    prop::collection::vec((0i64..200, 0i64..=slowest), 0..60)
}

/// Plays events in the order in which they arrive; numbers are places in the list, so that ties are told apart.
fn play(reorder: &Json, late: &str, events: &[(i64, i64)]) -> Played {
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_by_key(|i| (events[*i].0 + events[*i].1, *i));
    let mut played = Played::on(reorder, late);
    for i in order {
        let (stamp, delay) = events[i];
        played.until(stamp + delay);
        played.take(reading(i as u32 % 3, i as u64, stamp, "a", i as i64));
    }
    played.end();
    played
}

fn sorted(events: &[(i64, i64)]) -> Vec<i64> {
    let mut all: Vec<usize> = (0..events.len()).collect();
    all.sort_by_key(|i| (events[*i].0, i % 3, *i));
    all.into_iter().map(|i| i as i64).collect()
}

proptest! {
    #[test]
    fn disorder_below_the_slack_is_repaired_completely(events in arrivals(20)) {
        let played = play(&json!({"slack": "21us"}), "drop", &events);
        prop_assert_eq!(played.out, sorted(&events));
        prop_assert!(played.dropped.is_empty());
    }

    #[test]
    fn disorder_of_exactly_the_slack_is_repaired_but_for_the_order_of_equal_stamps(events in arrivals(20)) {
        let played = play(&json!({"slack": "20us"}), "drop", &events);
        prop_assert!(played.stamps.is_sorted() && played.dropped.is_empty());
    }

    #[test]
    fn beyond_the_slack_what_is_lost_is_what_was_counted_and_the_rest_is_in_order(
        events in arrivals(80), slack in 0i64..40, samples in 1u64..20
    ) {
        for reorder in [
            json!({"slack": format!("{slack}us")}),
            json!({"k_slack": {"samples": samples}}),
            json!({"mp_k_slack": {"max_k": format!("{slack}us")}}),
            json!({"mp_k_slack": {}, "timeout": "30us"}),
            json!({"aq_k_slack": {"error": 0.1, "window": "50us", "every": samples, "samples": 2 * samples}}),
        ] {
            let dropped = play(&reorder, "drop", &events);
            prop_assert!(dropped.stamps.is_sorted());
            let late: BTreeSet<i64> = dropped.ids(Dropped::Late).into_iter().map(|n| n as i64).collect();
            let there: BTreeSet<i64> = dropped.out.iter().copied().collect();
            let all: BTreeSet<i64> = (0..events.len() as i64).collect();
            prop_assert_eq!(&all - &there, late);
            prop_assert_eq!(there.len(), dropped.out.len());

            // Put out all the same, exactly as many come below an earlier stamp as were counted.
            let emitted = play(&reorder, "emit", &events);
            let mut ahead = i64::MIN;
            let mut behind = 0;
            for stamp in &emitted.stamps {
                behind += u64::from(*stamp < ahead);
                ahead = ahead.max(*stamp);
            }
            prop_assert_eq!((emitted.out.len(), behind), (events.len(), emitted.measured(Metric::Late)));
            prop_assert_eq!(behind, dropped.dropped.len() as u64);
        }
    }

    #[test]
    fn once_the_largest_delay_has_been_seen_nothing_is_late(events in arrivals(30)) {
        let mut played = Played::on(&json!({"mp_k_slack": {}}), "drop");
        played.stamped(-500).stamped(-530);
        prop_assert_eq!(played.ids(Dropped::Late).len(), 1);
        let mut order: Vec<&(i64, i64)> = events.iter().collect();
        order.sort_by_key(|(stamp, delay)| stamp + delay);
        for (stamp, _) in order {
            played.stamped(*stamp);
        }
        played.end();
        prop_assert!(played.stamps.is_sorted());
        prop_assert_eq!((played.out.len(), played.dropped.len()), (events.len() + 1, 1));
    }

    #[test]
    fn numbers_go_strictly_upwards_and_each_one_went_or_was_given_up(
        numbers in prop::collection::vec((0u64..40, 0i64..60), 0..60), timeout in prop::option::of(1i64..40)
    ) {
        let mut reorder = json!({"number": {}});
        if let Some(timeout) = timeout {
            reorder["timeout"] = json!(format!("{timeout}us"));
        }
        let mut sent = numbers.clone();
        sent.sort_by_key(|(number, at)| (*at, *number));
        let mut played = Played::on(&reorder, "drop");
        for (number, at) in &sent {
            played.until(*at).numbered(*number);
        }
        played.end();
        prop_assert!(played.out.is_sorted_by(|a, b| a < b));
        let came: BTreeSet<i64> = sent.iter().map(|(number, _)| *number as i64).collect();
        let went: BTreeSet<i64> = played.out.iter().copied().collect();
        let late: BTreeSet<i64> = played.ids(Dropped::Late).into_iter().map(|n| n as i64).collect();
        prop_assert_eq!(&came - &went, late);
        let last = came.last().copied().unwrap_or(-1);
        prop_assert_eq!(played.measured(Metric::Gaps) as i64, last + 1 - went.len() as i64);
        prop_assert_eq!(played.measured(Metric::Duplicates) as usize, played.ids(Dropped::Filtered).len());
    }
}
