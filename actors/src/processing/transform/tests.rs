use proptest::prelude::*;
use serde_json::json;
use wavetank_scenarios::script::Codec;
use wavetank_scenarios::{FieldType, Schema, Time, Value};

use super::codec::{Decoder, Encoder};
use crate::operator::Dropped;
use crate::processing::testing::{Hand, event, names, schema, try_build};
use crate::processing::{Surroundings, build};

/// What comes of one event `k = "a", v = 1, x = 0.1` at 5.
fn once(steps: serde_json::Value) -> Vec<String> {
    let mut hand = Hand::of(try_build(json!({"transform": steps}), &schema(), &[names()]).unwrap());
    hand.event(5, "a", 1);
    assert!(hand.failed.is_empty(), "{}", hand.failed[0]);
    hand.said()
}

fn refused(steps: serde_json::Value) -> String {
    match try_build(json!({"transform": steps}), &schema(), &[names()]) {
        Ok(_) => panic!("it was built"),
        Err(problem) => problem,
    }
}

#[test]
fn structure_is_changed_step_by_step() {
    assert_eq!(once(json!([{"project": ["v", "k"]}])), ["1 a"]);
    assert_eq!(once(json!([{"drop": ["v"]}])), ["a 0.1"]);
    assert_eq!(
        once(json!([{"rename": {"v": "w"}}, {"derive": {"z": "w + 1", "k": "k || z"}}])),
        ["a2 1 0.1 2"]
    );
    assert_eq!(
        once(json!([{"nest": {"into": "r", "fields": ["v", "x"]}}])),
        ["a {v: 1, x: 0.1}"]
    );
    assert_eq!(
        once(json!([{"nest": {"into": "r", "fields": ["v", "x"]}}, {"derive": {"y": "r.v + 1"}}, {"unnest": "r"}])),
        ["a 2 1 0.1"]
    );
}

#[test]
fn a_list_becomes_an_event_for_each_item() {
    let schema = Schema::new([("id", FieldType::Int), ("items", FieldType::List)]);
    let item = |n: i64| Value::Record(vec![("sku".into(), Value::Int(n)), ("more".into(), Value::Null)].into());
    let keys = json!({"transform": [{"flatten": "items"}, {"project": ["id", "sku"]}]});
    let mut hand = Hand::of(try_build(keys, &schema, &[]).unwrap());
    hand.take(event(
        0,
        1,
        [Value::Int(9), Value::List(vec![item(1), item(2)].into())].into(),
    ));
    hand.take(event(1, 1, [Value::Int(8), Value::List(vec![].into())].into()));
    hand.take(event(2, 1, [Value::Int(7), Value::Int(1)].into()));
    assert_eq!(hand.said(), ["9 1", "9 2"]);
    assert_eq!(hand.ids(Dropped::Filtered), [1]);
    assert_eq!(hand.failed[0].reason, "int `1` is not a list");

    let keys = json!({"transform": [{"flatten": "items"}, {"derive": {"twice": "items * 2"}}]});
    let mut hand = Hand::of(try_build(keys, &schema, &[]).unwrap());
    hand.take(event(
        0,
        1,
        [Value::Int(9), Value::List(vec![Value::Int(1), Value::Int(2)].into())].into(),
    ));
    assert_eq!(hand.said(), ["9 1 2", "9 2 4"]);
}

#[test]
fn the_fields_of_a_record_may_be_named_by_the_output_alone() {
    let input = Schema::new([("id", FieldType::Int), ("r", FieldType::Record)]);
    let output = Schema::new([("id", FieldType::Int), ("z", FieldType::Int), ("a", FieldType::Int)]);
    let around = Surroundings {
        inputs: &[&input],
        output: &output,
        tables: &[],
        tick: wavetank_scenarios::Span::UNIT,
        lineage: false,
    };
    let settings = crate::processing::testing::settings(json!({"transform": [{"unnest": "r"}]}));
    let mut hand = Hand::of(build(&settings, around).unwrap());
    let record = Value::Record(vec![("b".into(), Value::Int(1)), ("a".into(), Value::Int(2))].into());
    hand.take(event(0, 1, [Value::Int(9), record].into()));
    assert_eq!(
        hand.said(),
        ["9 null 2"],
        "in the order of the output; what is not there is null"
    );
}

#[test]
fn a_table_adds_its_columns_and_a_missing_row_does_what_is_set() {
    let enrich = |missing: &str| json!([{"enrich": {"table": "names", "on": {"k": "key"}, "fields": ["name"], "missing": missing}}]);
    assert_eq!(once(enrich("null")), ["a 1 0.1 Alpha"]);
    for (missing, said, filtered, failed) in [("null", 1, 0, 0), ("drop", 0, 1, 0), ("fail", 0, 0, 1)] {
        let mut hand = Hand::of(try_build(json!({"transform": enrich(missing)}), &schema(), &[names()]).unwrap());
        hand.event(0, "z", 1);
        assert_eq!(
            (hand.said().len(), hand.dropped.len(), hand.failed.len()),
            (said, filtered, failed),
            "{missing}"
        );
    }
}

#[test]
fn versions_are_upgraded_by_renames_removals_and_defaults() {
    let steps = json!([{"upgrade": {
        "to": "S/2.0", "rename": {"k": "key"}, "remove": ["x"], "default": {"currency": "EUR"}
    }}, {"derive": {"both": "key || currency"}}]);
    assert_eq!(once(steps), ["a 1 EUR aEUR"]);
}

#[test]
fn event_time_is_changed_only_on_purpose() {
    let mut hand = Hand::on(json!({"transform": [{"set_stamp": "v"}]}));
    hand.event(5, "a", 77);
    assert_eq!(hand.results[0].stamp, Time::from_micros(77));
    assert_eq!(hand.results[0].correlation.number, 0);
}

#[test]
fn a_step_that_cannot_be_done_fails_the_whole_event() {
    let mut hand = Hand::on(json!({"transform": [{"derive": {"q": "10 / v"}}]}));
    hand.event(0, "a", 0).event(1, "a", 5);
    assert_eq!(hand.failed[0].reason, "10 / 0: division by zero");
    assert_eq!(hand.said(), ["a 5 0.5 2"]);
}

#[test]
fn steps_that_cannot_be_compiled_are_named() {
    assert_eq!(
        refused(json!([{"drop": ["k"]}, {"project": ["k"]}])),
        "operator `op`: in step 2 (`project`) of `transform`: there is no field `k`; there are `v`, `x`"
    );
    assert!(refused(json!([{"rename": {"v": "x"}}])).contains("two fields would be named `x`"));
    assert!(refused(json!([{"enrich": {"table": "nams", "on": {"k": "key"}, "fields": []}}])).contains("`names`"));
    assert!(refused(json!([{"unnest": "k"}])).contains("which fields"));
    assert!(refused(json!([{"decode": {"format": "json", "field": "k"}}])).contains("needs `fields`"));
}

#[test]
fn messages_are_written_and_read_in_every_format() {
    for (format, message) in [("json", r#"{"k":"a","v":1,"x":0.1}"#), ("csv", "a,1,0.1")] {
        assert_eq!(once(json!([{"encode": {"format": format, "field": "m"}}])), [message]);
    }
    for format in ["json", "csv", "avro"] {
        let steps = json!([
            {"encode": {"format": format, "field": "m"}},
            {"decode": {"format": format, "field": "m", "fields": {"k": "text", "v": "int", "x": "float"}}},
            {"derive": {"w": "v + 1"}},
        ]);
        assert_eq!(once(steps), ["a 1 0.1 2"], "{format}");
    }
}

#[test]
fn bad_messages_fail_with_the_field_and_the_reason() {
    let fields = json!({"a": "int", "b": "time"});
    let reason = |format: &str, message: Value| {
        let codec: Codec = serde_json::from_value(json!({"format": format, "field": "m", "fields": fields})).unwrap();
        Decoder::new(&codec).unwrap().decode(&message).unwrap_err()
    };
    assert_eq!(
        reason("json", Value::from(r#"{"a": "x"}"#)),
        r#"field `a`: "x" is not a value of type int"#
    );
    assert!(reason("json", Value::from("{")).starts_with("bad JSON"));
    assert_eq!(
        reason("csv", Value::from("1")),
        "bad CSV: 1 fields where 2 are declared"
    );
    assert_eq!(
        reason("csv", Value::from("x,")),
        "field `a`: text `x` cannot be cast to int"
    );
    assert!(reason("avro", Value::Bytes(vec![2].into())).starts_with("bad Avro"));
    assert_eq!(
        reason("avro", Value::Bytes(vec![0, 0, 0].into())),
        "bad Avro: 1 bytes are left over"
    );
    assert_eq!(reason("json", Value::Int(1)), "a message is text or bytes, not int `1`");
}

fn value(kind: FieldType) -> BoxedStrategy<Value> {
    match kind {
        FieldType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        FieldType::Int => any::<i64>().prop_map(Value::Int).boxed(),
        FieldType::Float => any::<f64>()
            .prop_filter("finite", |x| x.is_finite())
            .prop_map(Value::Float)
            .boxed(),
        FieldType::Time => (-1i64 << 50..1 << 50)
            .prop_map(|t| Value::Time(Time::from_micros(t)))
            .boxed(),
        FieldType::Bytes => prop::collection::vec(any::<u8>(), 1..9)
            .prop_map(|b| Value::Bytes(b.into()))
            .boxed(),
        FieldType::List => prop::collection::vec(any::<i64>().prop_map(Value::Int), 0..4)
            .prop_map(|l| Value::List(l.into()))
            .boxed(),
        _ => "[a-z,\"\n é]{1,12}".prop_map(|t| Value::text(t.as_str())).boxed(),
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_again(
        (kinds, values) in prop::collection::vec(prop::sample::select(vec![
            FieldType::Bool, FieldType::Int, FieldType::Float, FieldType::Text, FieldType::Time, FieldType::Bytes,
            FieldType::List,
        ]), 1..6).prop_flat_map(|kinds| {
            let values: Vec<_> = kinds.iter().map(|k| prop_oneof![9 => value(*k), 1 => Just(Value::Null)]).collect();
            (Just(kinds), values)
        })
    ) {
        let schema = Schema::new(kinds.iter().enumerate().map(|(i, k)| (format!("f{i}"), *k)));
        for format in ["json", "csv", "avro"] {
            let fields: serde_json::Map<String, serde_json::Value> = schema.fields.iter()
                .map(|f| (f.name.to_string(), serde_json::to_value(f.kind).unwrap())).collect();
            let codec: Codec =
                serde_json::from_value(json!({"format": format, "field": "m", "fields": fields})).unwrap();
            let message = Encoder::new(&codec, &schema).unwrap().encode(&values).unwrap();
            prop_assert_eq!(Decoder::new(&codec).unwrap().decode(&message).unwrap(), values.clone(), "{}", format);
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        for format in ["json", "csv", "avro"] {
            let fields = json!({"a": "int", "b": "text", "c": "list", "d": "bytes", "e": "time"});
            let codec: Codec =
                serde_json::from_value(json!({"format": format, "field": "m", "fields": fields})).unwrap();
            let _ = Decoder::new(&codec).unwrap().decode(&Value::Bytes(bytes.clone().into()));
        }
    }
}
