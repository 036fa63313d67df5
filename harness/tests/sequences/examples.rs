//! What a sequence says of single inputs, step by step.

use serde_json::{Value as Json, json};
use wavetank_oracle::Why;
use wavetank_scenarios::{FieldType, Schema, Time, Value};

use crate::pair::Pair;

/// A pattern over events `(key, k, v)`: a step takes what `k` names like it.
fn keys(pattern: &str, more: &Json) -> Json {
    let mut sequence = json!({"pattern": pattern, "by": ["key"], "where": {}, "unbounded": true});
    let tree = wavetank_scenarios::sequence::parse_pattern(pattern)
        .expect("a pattern")
        .tree;
    for step in tree.steps() {
        sequence["where"][step.as_str()] = json!(format!("k = '{step}'"));
    }
    for (key, value) in more.as_object().expect("settings") {
        sequence[key] = value.clone();
    }
    json!({"sequence": sequence})
}

fn give(pair: &mut Pair, stamp: i64, key: &str, k: &str, v: impl Into<Value>) {
    pair.event(0, stamp, vec![key.into(), k.into(), v.into()]);
}

fn rows(pair: &Pair) -> Vec<String> {
    pair.said
        .iter()
        .map(|(stamp, row, _)| format!("{stamp}: {row}"))
        .collect()
}

#[test]
fn events_are_matched_within_their_key_alone() {
    let mut pair = Pair::new(&keys("a -> b", &json!({"select": {"key": "key", "sum": "a.v + b.v"}})));
    give(&mut pair, 1, "x", "a", 1);
    give(&mut pair, 2, "y", "a", 10);
    give(&mut pair, 3, "y", "b", 20);
    give(&mut pair, 4, "x", "b", 2);
    assert_eq!(rows(pair.end()), ["3: y 30", "4: x 3"]);
}

#[test]
fn an_event_is_held_until_it_has_caused_a_result_or_cannot_any_more() {
    let mut pair = Pair::new(&keys("a -> b", &json!({"within": "10us", "after": "keep-all"})));
    give(&mut pair, 1, "x", "a", 1);
    give(&mut pair, 2, "x", "c", 1);
    assert_eq!(pair.held, 2, "both wait for the watermark");
    pair.watermark(Time::from_micros(2));
    assert_eq!(
        (pair.held, &pair.dropped[..]),
        (1, &[(1, Why::Filtered)][..]),
        "c is in no beginning"
    );
    pair.watermark(Time::from_micros(9));
    assert_eq!(pair.held, 1, "a b at 10 would still be within");
    pair.watermark(Time::from_micros(10));
    assert_eq!(pair.held, 0);
    assert_eq!(pair.dropped, [(1, Why::Filtered), (0, Why::Filtered)]);
}

#[test]
fn an_event_behind_the_watermark_is_late_and_one_before_it_is_put_in_its_place() {
    let mut pair = Pair::new(&keys("a b", &json!({})));
    give(&mut pair, 5, "x", "b", 1);
    pair.watermark(Time::from_micros(2));
    give(&mut pair, 3, "x", "a", 1);
    give(&mut pair, 2, "x", "c", 1);
    assert_eq!(pair.dropped, [(2, Why::Late)]);
    assert_eq!(pair.end().said.len(), 1);
}

#[test]
fn a_match_that_cannot_be_computed_is_not_put_out_and_its_events_have_failed() {
    let mut pair = Pair::new(&keys("a -> b", &json!({"select": {"ratio": "a.v / b.v"}})));
    give(&mut pair, 1, "x", "a", 6);
    give(&mut pair, 2, "x", "b", 0);
    give(&mut pair, 3, "x", "a", 6);
    give(&mut pair, 4, "x", "b", 3);
    assert_eq!(rows(pair.end()), ["4: 2"]);
    assert_eq!(pair.dropped, [(0, Why::Failed), (1, Why::Failed)]);
}

#[test]
fn what_cannot_be_computed_and_what_is_null_does_not_fit() {
    let settings = json!({"where": {"a": "v > 1", "b": "v > a.v"}, "select": {"last": "v"}});
    let mut pair = Pair::new(&keys("a -> b", &settings));
    for (stamp, v) in [
        Value::from("text"),
        Value::Null,
        Value::Int(2),
        Value::Null,
        Value::Int(3),
    ]
    .into_iter()
    .enumerate()
    {
        give(&mut pair, stamp as i64, "x", "k", v);
    }
    assert_eq!(rows(pair.end()), ["4: 3"]);
}

#[test]
fn steps_may_read_streams_with_fields_of_their_own() {
    let orders = Schema::new([("id", FieldType::Int), ("amount", FieldType::Int)]);
    let payments = Schema::new([("method", FieldType::Text), ("id", FieldType::Int)]);
    let settings = json!({"sequence": {
        "pattern": "order -> paid",
        "by": ["id"],
        "from": {"order": "orders", "paid": "payments"},
        "within": "1h",
        "select": {"id": "id", "amount": "order.amount", "method": "paid.method", "other": "amount is null"},
    }});
    let mut pair = Pair::over(&settings, &["orders", "payments"], vec![orders, payments]);
    pair.event(0, 1, vec![Value::Int(7), Value::Int(100)]);
    pair.event(1, 2, vec!["card".into(), Value::Int(8)]);
    pair.event(1, 3, vec!["cash".into(), Value::Int(7)]);
    assert_eq!(rows(pair.end()), ["3: 7 100 cash true"]);
}

#[test]
fn until_ends_a_loop_and_what_ends_it_is_not_taken() {
    let settings = json!({"loops": "every", "after": "keep-all", "select": {"took": "collect(v)"}});
    let mut pair = Pair::new(&keys("a -> b+ until stop", &settings));
    for (stamp, k) in ["a", "b", "b", "stop", "b"].into_iter().enumerate() {
        give(&mut pair, stamp as i64, "x", k, stamp as i64);
    }
    assert_eq!(rows(pair.end()), ["1: [0, 1]", "2: [0, 1, 2]"]);
}

#[test]
fn a_beginning_is_tried_again_as_told() {
    let say = |restart: &str| {
        let settings =
            json!({"restart": restart, "after": "keep-all", "within": "5us", "select": {"took": "collect(v)"}});
        let mut pair = Pair::new(&keys("a -> b", &settings));
        for (stamp, k) in [(0, "a"), (1, "a"), (2, "b"), (10, "a"), (20, "a"), (21, "b")] {
            give(&mut pair, stamp, "x", k, stamp);
        }
        rows(pair.end())
    };
    assert_eq!(say("always"), ["2: [0, 2]", "2: [1, 2]", "21: [20, 21]"]);
    assert_eq!(say("once"), ["2: [0, 2]"]);
    assert_eq!(
        say("on-complete"),
        ["2: [0, 2]"],
        "the beginning at 10 fails, and that is the end of it"
    );
    assert_eq!(say("on-complete-or-fail"), ["2: [0, 2]", "21: [20, 21]"]);
}

#[test]
fn matches_that_wait_for_earlier_beginnings_hold_the_watermark_back() {
    let settings =
        json!({"precedence": "start", "after": "keep-all", "within": "20us", "select": {"took": "collect(v)"}});
    let mut pair = Pair::new(&keys("a b -> c | a -> d", &settings));
    for (stamp, k) in [(1, "a"), (2, "b"), (3, "a"), (4, "d"), (9, "c")] {
        give(&mut pair, stamp, "x", k, stamp);
    }
    pair.watermark(Time::from_micros(4));
    assert_eq!(
        rows(&pair),
        ["4: [1, 4]"],
        "the one that begins at 3 waits for a c behind the b"
    );
    pair.end();
    assert_eq!(rows(&pair), ["4: [1, 4]", "9: [1, 2, 9]", "4: [3, 4]"]);
}

#[test]
fn the_time_of_a_gap_can_be_bounded_instead_of_the_whole() {
    let settings = json!({"within": "5us", "within_since": "previous", "select": {"took": "collect(v)"}});
    let mut pair = Pair::new(&keys("a -> b -> c", &settings));
    for (stamp, k) in [(0, "a"), (4, "b"), (8, "c"), (20, "a"), (21, "b"), (26, "c")] {
        give(&mut pair, stamp, "x", k, stamp);
    }
    assert_eq!(rows(pair.end()), ["8: [0, 4, 8]"]);
}

#[test]
fn at_the_end_absences_are_complete_or_wait_for_ever_as_told() {
    let mut settings = keys("a -> not b for 10us", &json!({}));
    for (flush, said, held) in [(true, 1, 0), (false, 0, 1)] {
        settings["flush_at_end"] = json!(flush);
        let mut pair = Pair::new(&settings);
        give(&mut pair, 1, "x", "a", 1);
        pair.watermark(Time::from_micros(5));
        pair.end();
        assert_eq!((pair.said.len(), pair.held), (said, held));
    }
}

#[test]
fn an_absence_beside_one_that_lasts_is_broken_by_what_the_last_step_would_take() {
    // A b may come for the last step, and not before the absence of c is over.
    let settings = json!({"where": {"a": "k = 'a'", "b": "k = 'b'", "c": "k = 'c'", "d": "k in ('b', 'd')"}});
    for pattern in ["a -> not b -> not c for 4us -> d", "a -> not c for 4us -> not b -> d"] {
        let mut early = Pair::new(&keys(pattern, &settings));
        give(&mut early, 1, "x", "a", 1);
        give(&mut early, 2, "x", "b", 1);
        give(&mut early, 7, "x", "d", 1);
        early.end();
        assert!(early.said.is_empty(), "{pattern}: {:?}", rows(&early));
        let mut in_time = Pair::new(&keys(pattern, &settings));
        give(&mut in_time, 1, "x", "a", 1);
        give(&mut in_time, 7, "x", "b", 1);
        in_time.end();
        assert_eq!(in_time.said.len(), 1, "{pattern}");
    }
}
