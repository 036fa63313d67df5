//! Worked examples of the operators that answer each event when it arrives.

mod common;

use std::collections::BTreeMap;

use common::{Told, schema};
use serde_json::json;
use wavetank_oracle::reference;
use wavetank_scenarios::{FieldType, Schema, Span, Value};

fn all(told: &mut Told, events: &[(i64, i64)]) -> Vec<bool> {
    events
        .iter()
        .map(|(t, v)| !told.event(*t, "a", *v).contains("filtered"))
        .collect()
}

#[test]
fn a_filter_lets_true_pass_and_neither_false_nor_null() {
    let mut told = Told::new(json!({"filter": "v > 10"}));
    assert_eq!(told.event(1, "a", 11), "a 11");
    assert_eq!(told.event(1, "a", 10), "#1 filtered");
    assert_eq!(told.event(1, "a", Value::Null), "#2 filtered");
    assert_eq!(told.event(1, "a", "x"), "#3 failed");
}

#[test]
fn a_selection_maps_what_where_lets_pass() {
    let mut told = Told::query("select s.v * 2 as twice, k from s where k <> 'b'", json!({}));
    assert_eq!(told.event(1, "a", 4), "8 a");
    assert_eq!(told.event(1, "b", 4), "#1 filtered");
    assert_eq!(told.event(1, "a", i64::MAX), "#2 failed");
    assert_eq!(told.end(), "");
}

#[test]
fn a_threshold_turns_on_above_high_and_off_below_low() {
    let mut told = Told::new(json!({"threshold": {"value": "v", "high": 10.0, "low": 5.0}}));
    let events = [(0, 10), (1, 11), (2, 7), (3, 5), (4, 4), (5, 7), (6, 12)];
    assert_eq!(all(&mut told, &events), [false, true, true, true, false, false, true]);
}

#[test]
fn crossings_carry_which_way_it_went() {
    let mut told = Told::new(json!({"threshold": {"value": "v", "high": 10.0, "emit": "crossings", "by": ["k"]}}));
    assert_eq!(told.event(0, "a", 11), "a 11 true");
    assert_eq!(told.event(1, "a", 12), "#1 filtered");
    assert_eq!(told.event(2, "b", 9), "#2 filtered");
    assert_eq!(told.event(3, "a", 9), "a 9 false");
}

#[test]
fn a_value_must_hold_above_for_as_long_as_told_before_it_counts() {
    let mut told = Told::new(json!({"threshold": {"value": "v", "high": 10.0, "hold": "5us"}}));
    let events = [(0, 11), (4, 11), (4, 10), (5, 11), (9, 11), (10, 11)];
    assert_eq!(all(&mut told, &events), [false, false, false, false, false, true]);
}

#[test]
fn a_rate_of_change_compares_with_the_event_before_of_the_same_key() {
    let mut told = Told::new(json!({"change": {"value": "v", "per": "10us", "above": 5.0, "below": 2.0, "by": ["k"]}}));
    assert_eq!(told.event(0, "a", 0), "#0 filtered");
    assert_eq!(told.event(10, "a", 5), "#1 filtered", "exactly 5 is not above");
    assert_eq!(told.event(10, "b", 100), "#2 filtered", "first of its key");
    assert_eq!(told.event(20, "a", 11), "a 11");
    assert_eq!(told.event(20, "a", 50), "#4 filtered", "no time has gone by");
    assert_eq!(told.event(25, "a", 48), "a 48", "falls by 4 in 10");
}

#[test]
fn only_the_first_event_after_silence_passes() {
    let mut told = Told::new(json!({"first": {"quiet": "10us", "by": ["k"]}}));
    let events = [(0, 1), (9, 1), (18, 1), (28, 1), (20, 1), (37, 1)];
    assert_eq!(all(&mut told, &events), [true, false, false, true, false, false]);
    told.arrive(&wavetank_oracle::Arrival::Crash);
    assert_eq!(all(&mut told, &[(38, 1)]), [true]);
}

fn transform(steps: serde_json::Value, schema: &Schema) -> Told {
    Told::over(json!({"transform": steps}), schema)
}

#[test]
fn fields_are_kept_dropped_renamed_and_derived() {
    let steps = json!([
        {"derive": {"twice": "v * 2", "v": "twice + 1"}},
        {"rename": {"k": "v", "v": "k"}},
        {"project": ["twice", "k", "v"]},
        {"drop": ["twice"]}
    ]);
    let mut told = transform(steps, &schema());
    assert_eq!(told.event(1, "a", 4), "9 a");
    assert_eq!(told.event(1, "a", "x"), "#1 failed");
}

#[test]
fn records_are_nested_and_taken_apart_again() {
    let mut told = transform(json!([{"nest": {"into": "both", "fields": ["v", "k"]}}]), &schema());
    assert_eq!(told.event(1, "a", 4), "{v: 4, k: a}");
    let steps = json!([{"nest": {"into": "both", "fields": ["v", "k"]}}, {"unnest": "both"}]);
    assert_eq!(transform(steps, &schema()).event(1, "a", 4), "4 a");
}

#[test]
fn a_list_becomes_an_event_for_each_item_and_none_filters() {
    let list = |items: Vec<Value>| Value::List(items.into());
    let mut told = transform(json!([{"flatten": "v"}]), &schema());
    assert_eq!(told.event(1, "a", list(vec![1.into(), 2.into()])), "a 1; a 2");
    assert_eq!(told.event(1, "a", list(vec![])), "#1 filtered");
    assert_eq!(told.event(1, "a", 3), "#2 failed");
    let record = |n: i64| Value::Record(vec![("x".into(), n.into()), ("k".into(), "b".into())].into());
    assert_eq!(told.event(1, "a", list(vec![record(1), record(2)])), "b 1; b 2");
}

#[test]
fn a_failure_of_one_item_fails_the_whole_event() {
    let list = Value::List(vec![1.into(), 0.into()].into());
    let mut told = transform(json!([{"flatten": "v"}, {"derive": {"x": "1 / v"}}]), &schema());
    assert_eq!(told.event(1, "a", list), "#0 failed");
}

#[test]
fn an_event_is_enriched_from_the_row_that_fits() {
    let table = (
        Schema::new([("code", FieldType::Text), ("name", FieldType::Text)]),
        vec![
            vec!["a".into(), "Anna".into()].into(),
            vec!["b".into(), "Bert".into()].into(),
        ],
    );
    let tables = BTreeMap::from([("people".to_owned(), table)]);
    let shown = |missing: &str, key: &str| {
        let enrich = json!({"table": "people", "on": {"k": "code"}, "fields": ["name"], "missing": missing});
        let operator = common::operator(json!({"transform": [{"enrich": enrich}]}));
        let mut model = reference(&operator, &[&schema()], None, &tables, Span::UNIT).unwrap();
        let event = common::event(0, 1, vec![key.into(), 1.into()]);
        let now = event.stamp;
        common::shown(&model.arrive(&wavetank_oracle::Arrival::Event {
            input: 0,
            event,
            now,
            at: now,
        }))
    };
    assert_eq!(shown("null", "b"), "b 1 Bert");
    assert_eq!(shown("null", "c"), "c 1 null");
    assert_eq!(shown("drop", "c"), "#0 filtered");
    assert_eq!(shown("fail", "c"), "#0 failed");
}

#[test]
fn messages_are_written_and_read_back_in_every_format() {
    for format in ["json", "csv", "avro"] {
        let steps = json!([
            {"encode": {"format": format, "field": "m"}},
            {"decode": {"format": format, "field": "m", "fields": {"k": "text", "v": "int"}}}
        ]);
        assert_eq!(
            transform(steps, &schema()).event(1, "a,\"b\"", 4),
            "a,\"b\" 4",
            "{format}"
        );
    }
    let mut told = transform(json!([{"encode": {"format": "json", "field": "m"}}]), &schema());
    assert_eq!(told.event(1, "a", 4), r#"{"k":"a","v":4}"#);
}

#[test]
fn an_event_of_an_older_version_is_upgraded() {
    let steps =
        json!([{"upgrade": {"to": "S/2.0", "rename": {"k": "key"}, "default": {"unit": "EUR"}, "remove": ["v"]}}]);
    assert_eq!(transform(steps, &schema()).event(1, "a", 4), "a EUR");
}

#[test]
fn the_stamp_can_be_taken_from_a_field() {
    let mut told = transform(json!([{"set_stamp": "v"}]), &schema());
    told.event(1, "a", 77);
    assert_eq!(told.due[0].results[0].stamp, common::at(77));
    assert_eq!(told.event(1, "a", "soon"), "#1 failed");
}

#[test]
fn settings_that_do_not_fit_the_input_are_refused_by_name() {
    for settings in [
        json!({"threshold": {"value": "v", "high": 1.0, "by": ["kk"]}}),
        json!({"transform": [{"enrich": {"table": "t", "on": {"k": "c"}, "fields": ["n"]}}]}),
        json!({}),
    ] {
        let refused = reference(
            &common::operator(settings),
            &[&schema()],
            None,
            &BTreeMap::new(),
            Span::UNIT,
        );
        assert!(refused.err().unwrap().starts_with("operator `op`: "));
    }
}
