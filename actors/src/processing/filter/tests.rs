use serde_json::json;
use wavetank_scenarios::Value;

use crate::operator::Dropped;
use crate::processing::testing::{Hand, event, schema, try_build};

/// The numbers of the events that pass.
fn passing(keys: serde_json::Value, events: &[(i64, &str, i64)]) -> Vec<u64> {
    let mut hand = Hand::on(keys);
    for (stamp, key, value) in events {
        hand.event(*stamp, key, *value);
    }
    hand.results.iter().map(|draft| draft.correlation.number).collect()
}

#[test]
fn a_predicate_lets_through_what_is_true_and_nothing_else() {
    let mut hand = Hand::on(json!({"filter": "v < 70"}));
    hand.event(0, "a", 55).event(1, "b", 75).event(2, "c", 57);
    hand.take(event(3, 3, [Value::from("d"), Value::Null, Value::Null].into()));
    hand.take(event(4, 4, [Value::from("d"), Value::from("text"), Value::Null].into()));
    assert_eq!(hand.said(), ["a 55 5.5", "c 57 5.7"]);
    assert_eq!(hand.ids(Dropped::Filtered), [1, 3]);
    assert_eq!(hand.failed[0].reason, "text `text` cannot be compared with int `70`");
}

#[test]
fn a_threshold_turns_on_above_high_and_off_below_low_for_each_key() {
    let keys = json!({"threshold": {"value": "v", "high": 10.0, "low": 5.0, "by": ["k"]}});
    let events = [
        (0, "a", 10),
        (1, "a", 11),
        (2, "b", 7),
        (3, "a", 5),
        (4, "a", 4),
        (5, "a", 9),
        (6, "b", 12),
    ];
    assert_eq!(passing(keys, &events), [1, 3, 6]);
}

#[test]
fn crossings_say_which_way() {
    let mut hand = Hand::on(json!({"threshold": {"value": "v", "high": 10.0, "emit": "crossings"}}));
    for v in [9, 11, 12, 9, 8] {
        hand.event(0, "a", v);
    }
    assert_eq!(hand.said(), ["a 11 1.1 true", "a 9 0.9 false"]);
}

#[test]
fn a_hold_wants_the_value_above_without_a_break() {
    let keys = json!({"threshold": {"value": "v", "high": 10.0, "hold": "5us"}});
    let events = [
        (0, "a", 11),
        (4, "a", 11),
        (5, "a", 10),
        (6, "a", 11),
        (10, "a", 11),
        (11, "a", 11),
        (12, "a", 11),
    ];
    assert_eq!(passing(keys, &events), [5, 6]);
}

#[test]
fn a_rate_of_change_is_between_neighbours_of_one_key() {
    let keys = json!({"change": {"value": "v", "per": "10us", "above": 5.0, "below": 20.0, "by": ["k"]}});
    let events = [
        (0, "a", 0),
        (10, "a", 5),
        (20, "b", 100),
        (20, "a", 11),
        (20, "a", 100),
        (30, "a", 79),
        (40, "a", 59),
    ];
    assert_eq!(passing(keys, &events), [3, 5]);
}

#[test]
fn the_first_of_a_burst_passes_and_what_is_older_belongs_to_it() {
    let keys = json!({"first": {"quiet": "10us", "by": ["k"]}});
    let events = [
        (0, "a", 0),
        (5, "a", 0),
        (15, "a", 0),
        (2, "a", 0),
        (24, "a", 0),
        (3, "b", 0),
        (34, "a", 0),
    ];
    assert_eq!(passing(keys, &events), [0, 2, 5, 6]);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |keys| match try_build(keys, &schema(), &[]) {
        Ok(_) => panic!("it was built"),
        Err(problem) => problem,
    };
    let low = json!({"threshold": {"value": "v", "high": 1.0, "low": 2.0}});
    assert!(refused(low).contains("low must not be above high"));
    assert!(refused(json!({"change": {"value": "v", "per": "1s"}})).contains("`above` or `below`"));
    assert!(refused(json!({"first": {"quiet": "1s", "by": ["kk"]}})).contains("did you mean `k`?"));
}

#[test]
fn queries_without_windows_map_and_filter() {
    let mut hand = Hand::query("select k, v * 2 as twice from s where v > 1");
    for v in [1, 2, 3, 4] {
        hand.event(0, "a", v);
    }
    assert_eq!(hand.said(), ["a 4", "a 6", "a 8"]);
    assert_eq!(hand.ids(Dropped::Filtered), [0]);
}
