//! Windows that go by the clocks of their keys: by hand, and against windows that see one key alone.

use proptest::prelude::*;
use serde_json::json;
use wavetank_scenarios::{Time, Value};

use crate::operator::{Dropped, Output};
use crate::processing::testing::{Hand, event, row, schema, try_build};

fn hand(window: &str, behind: &str, more: serde_json::Value) -> Hand {
    let mut keys = json!({
        "query": format!("select k, count(*) as n, sum(v) as total from s window {window} group by k"),
        "watermark": {"behind": behind, "scope": "key"},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        keys[key] = value.clone();
    }
    Hand::on(keys)
}

#[test]
fn a_key_completes_its_windows_by_its_own_events_and_no_other_key_does() {
    let mut hand = hand("tumbling(10 us)", "0us", json!({}));
    hand.event(5, "a", 1).event(7, "b", 1).event(1_000, "c", 1);
    assert!(hand.said().is_empty());
    hand.event(9, "a", 1);
    assert!(hand.said().is_empty(), "w = 9 - 0 - 1");
    hand.event(10, "a", 1);
    assert_eq!(hand.said(), ["[0,10) a 2 2"], "w = 9, the window's last instant");
    hand.event(3, "a", 1).event(3, "b", 1);
    assert_eq!(hand.ids(Dropped::Late), [5], "a is at 10, b still at 7");
    hand.end();
    assert_eq!(
        hand.said(),
        ["[10,20) a 1 1", "[0,10) b 2 2", "[1000,1010) c 1 1"],
        "key by key"
    );
    assert_eq!(hand.operator.held(), 0);
}

#[test]
fn watermarks_of_the_input_complete_nothing_before_the_end_and_none_may_pass() {
    let mut hand = hand("tumbling(10 us)", "0us", json!({}));
    hand.event(5, "a", 1).watermark(5_000).event(6, "a", 1);
    assert!(hand.said().is_empty());
    assert!(hand.dropped.is_empty());
    assert_eq!(hand.operator.watermark_limit(), Time::MIN);
    hand.end();
    assert_eq!(hand.said(), ["[0,10) a 2 2"]);
    assert_eq!(hand.operator.watermark_limit(), Time::MAX);
    hand.event(6, "a", 1).event(6, "new", 1);
    assert_eq!(hand.ids(Dropped::Late), [2, 3], "after the end everything is late");
}

#[test]
fn the_bound_of_disorder_holds_for_each_key() {
    let mut hand = hand("tumbling(10 us)", "4us", json!({"late": "side"}));
    hand.event(13, "a", 1)
        .event(9, "a", 1)
        .event(14, "a", 1)
        .event(9, "a", 1);
    assert_eq!(hand.said(), ["[0,10) a 1 1"]);
    assert_eq!(hand.aside.len(), 1);
}

#[test]
fn what_where_leaves_out_or_nobody_can_read_moves_no_clock() {
    let mut hand = Hand::on(json!({
        "query": "select k, sum(v) as total from s window tumbling(10 us) where v < 5 group by k",
        "watermark": {"behind": "0us", "scope": "key"}, "future": {"refuse": "50us"},
    }));
    hand.event(5, "a", 1).event(30, "a", 9).event(90, "a", 1);
    hand.take(event(3, 40, [Value::from("a"), Value::from("x"), Value::Null].into()));
    assert!(hand.said().is_empty());
    assert_eq!(
        (hand.dropped.as_slice(), hand.failed.len()),
        ([(1, Dropped::Filtered)].as_slice(), 2)
    );
    hand.event(6, "a", 1).end();
    assert_eq!(hand.said(), ["[0,10) a 2"]);
}

#[test]
fn windows_without_events_are_forgotten_and_their_clock_is_not() {
    let mut hand = hand("session(5 us)", "0us", json!({}));
    for key in 0..100 {
        hand.event(1_000, &format!("k{key}"), 1);
    }
    let full = hand.operator.state_bytes();
    for key in 0..100 {
        hand.event(2_000, &format!("k{key}"), 1);
    }
    assert_eq!(hand.said().len(), 100);
    assert_eq!((hand.operator.held(), hand.operator.state_bytes()), (100, full));
    hand.end();
    let clocks = hand.operator.state_bytes();
    assert!(clocks > 0 && clocks < full / 4, "{clocks} of {full}");
    hand.event(1_000, "k7", 1);
    assert_eq!(hand.ids(Dropped::Late).len(), 1);
    assert_eq!(
        hand.operator.state_bytes(),
        clocks,
        "what was late leaves nothing behind"
    );
}

#[test]
fn one_timer_goes_round_for_the_windows_of_all_keys() {
    let mut hand = hand("tumbling(10 us)", "0us", json!({"emit": {"early": {"every": "1s"}}}));
    let mut out = Output::default();
    hand.operator.on_enter(&mut out);
    assert_eq!(out.timers.len(), 1);
    hand.event(5, "b", 1).event(5, "a", 1);
    let mut out = Output::default();
    hand.operator
        .on_timer(out.timers.first().map_or(0, |(_, token)| *token), &mut out);
    assert_eq!((out.emitted.len(), out.timers.len()), (2, 1));
}

#[test]
fn windows_that_are_not_of_one_key_each_are_refused() {
    for query in [
        "select count(*) as n from s window tumbling(10 us)",
        "select k, count(*) as n from s window tumbling(10 us) group by k limit 1",
        "select k, count(*) as n from s window time(10 us) group by k",
        "select k, count(*) as n from s window snapshot(10 us) group by k",
        "select k, count(*) as n from s window global() group by k",
    ] {
        let keys = json!({"query": query, "watermark": {"behind": "0us", "scope": "key"}});
        let refused = try_build(keys, &schema(), &[]).err().unwrap();
        assert!(refused.contains("scope = \"key\""), "{refused}");
    }
}

proptest! {
    /// A key's answers are those of an operator that has never heard of the other keys, and hears that key's watermark.
    #[test]
    fn a_key_is_answered_as_if_it_were_alone(
        inputs in prop::collection::vec((-40i64..60, 0u8..3, -5i64..6), 0..50),
        window in prop::sample::select(vec![
            "tumbling(10 us)", "hop(10 us, 4 us)", "hop(3 us, 7 us)", "cumulate(12 us, 3 us)", "session(6 us)",
            "stagger(10 us)",
        ]),
        behind in 0i64..12,
        horizon in prop::sample::select(vec!["0us", "7us", "1s"]),
        when in prop::sample::select(vec!["at-end", "tick-before-end", "after-end"]),
        by in prop::sample::select(vec!["window", "event"]),
    ) {
        let more = json!({"horizon": horizon, "late_when": when, "late_by": by});
        let mut together = hand(window, &format!("{behind}us"), more.clone());
        for (number, (stamp, key, value)) in inputs.iter().enumerate() {
            together.take(event(number as u64, *stamp, row(["a", "b", "c"][usize::from(*key)], *value)));
        }
        together.end();
        let (mut said, mut dropped) = (Vec::new(), Vec::new());
        for key in 0u8..3 {
            let mut keys = json!({
                "query": format!("select k, count(*) as n, sum(v) as total from s window {window} group by k"),
            });
            for (name, value) in more.as_object().into_iter().flatten() {
                keys[name] = value.clone();
            }
            let mut alone = Hand::on(keys);
            let mut largest = i64::MIN;
            for (number, (stamp, of, value)) in inputs.iter().enumerate().filter(|(_, (_, of, _))| *of == key) {
                alone.take(event(number as u64, *stamp, row(["a", "b", "c"][usize::from(*of)], *value)));
                if *stamp > largest {
                    largest = *stamp;
                    alone.watermark(largest - behind - 1);
                }
            }
            alone.end();
            said.extend(alone.said());
            dropped.append(&mut alone.dropped);
        }
        let (mut of_all, mut lost) = (together.said(), together.dropped.clone());
        of_all.sort();
        said.sort();
        lost.sort();
        dropped.sort();
        prop_assert_eq!(of_all, said);
        prop_assert_eq!(lost, dropped);
        prop_assert_eq!(together.operator.held(), 0);
    }
}
