//! What the operator does besides its results: its state, its metrics, what it sets aside. That its results are right is
//! shown against the judge's model, where both are at hand.

use serde_json::json;
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::{FieldType, Schema, Time, Value};

use super::automaton::Automaton;
use crate::operator::{Dropped, Output};
use crate::processing::testing::{Hand, event, row, schema, settings, try_build};
use crate::processing::{Surroundings, build};

fn rising(more: &serde_json::Value) -> Hand {
    let mut sequence = json!({
        "pattern": "a -> b", "by": ["k"], "within": "100us", "where": {"b": "v > a.v"}, "select": {"low": "a.v", "high": "b.v"},
    });
    for (key, value) in more.as_object().unwrap() {
        sequence[key] = value.clone();
    }
    Hand::on(json!({"sequence": sequence, "late": "side"}))
}

#[test]
fn a_match_is_put_out_when_the_watermark_passes_its_last_event() {
    let mut hand = rising(&json!({}));
    hand.event(1, "x", 1).event(5, "x", 3).event(3, "x", 2).watermark(4);
    assert_eq!(hand.said(), ["1 2"]);
    hand.end();
    assert_eq!(
        hand.said(),
        Vec::<String>::new(),
        "past the last event there is only one left"
    );
}

#[test]
fn late_events_are_set_aside_and_counted() {
    let mut hand = rising(&json!({}));
    hand.event(5, "x", 1)
        .watermark(5)
        .event(5, "x", 2)
        .event(6, "x", 3)
        .end();
    assert_eq!(hand.said(), ["1 3"]);
    assert_eq!((hand.ids(Dropped::Late), hand.aside.len()), (vec![1], 1));
}

#[test]
fn results_name_all_their_events() {
    let mut hand = rising(&json!({}));
    hand.event(1, "x", 1).event(2, "x", 2).end();
    let result = &hand.results[0];
    assert_eq!(result.correlation.number, 1);
    let lineage: Vec<u64> = result
        .lineage
        .iter()
        .flat_map(|all| all.iter())
        .map(|id| id.number)
        .collect();
    assert_eq!(lineage, [0, 1]);
}

#[test]
fn state_goes_when_within_is_over_and_only_then() {
    let mut hand = rising(&json!({"after": "keep-all"}));
    let empty = hand.operator.state_bytes();
    for key in 0..100 {
        hand.event(key, &format!("k{key}"), 1);
    }
    hand.watermark(98);
    assert_eq!(hand.operator.held(), 100);
    hand.watermark(197);
    assert_eq!(hand.operator.held(), 1, "the last one began at 99");
    hand.watermark(198);
    assert_eq!((hand.operator.held(), hand.operator.state_bytes()), (0, empty));
}

#[test]
fn forks_share_what_they_have_taken() {
    let pattern = json!({"pattern": "a -> b+ every -> c", "after": "keep-all", "where": {"a": "v = 0", "b": "v = 1", "c": "v = 2"}});
    let bytes = |n: i64| {
        let mut hand = rising(&pattern);
        hand.event(0, "x", 0);
        (1..=n).for_each(|at| {
            hand.event(at, "x", 1);
        });
        hand.watermark(n);
        hand.operator.state_bytes()
    };
    let (ten, twenty, forty) = (bytes(10), bytes(20), bytes(40));
    assert_eq!(
        forty - twenty,
        2 * (twenty - ten),
        "each event costs the same, however many lists it is in"
    );
}

#[test]
fn runs_and_those_that_time_out_are_measured() {
    let schema = schema();
    let mut operator = try_build(
        json!({"sequence": {"pattern": "a -> b", "within": "5us", "where": {"a": "v = 1", "b": "v = 2"}}}),
        &schema,
        &[],
    )
    .unwrap();
    let mut out = Output::default();
    operator.on_event(0, event(0, 1, row("x", 1)), Time::ZERO, &mut out);
    operator.on_watermark(Time::from_micros(1), &mut out);
    assert_eq!(out.measured, [(Metric::Runs, 1)]);
    out.clear();
    operator.on_watermark(Time::from_micros(5), &mut out);
    assert_eq!(out.measured, [(Metric::TimedOut, 1), (Metric::Runs, 0)]);
}

#[test]
fn names_that_are_not_there_are_named_with_the_nearest_one() {
    let refuse = |sequence: serde_json::Value| {
        let settings = settings(json!({"sequence": sequence}));
        let schema = Schema::new([("price", FieldType::Int)]);
        let around = Surroundings {
            inputs: &[&schema],
            output: &Schema::default(),
            tables: &[],
            tick: wavetank_scenarios::Span::UNIT,
            lineage: false,
        };
        build(&settings, around).map(|_| ()).unwrap_err()
    };
    let wrong = refuse(json!({"pattern": "a b", "where": {"b": "a.prise > 1"}}));
    assert!(
        wrong.contains("in `where.b`: there is no field `prise`; did you mean `price`?"),
        "{wrong}"
    );
    let wrong = refuse(json!({"pattern": "a b", "by": ["symbol"]}));
    assert!(wrong.contains("there is no field `symbol`"), "{wrong}");
    let wrong = refuse(json!({"pattern": "a b", "from": {"a": "orders"}}));
    assert!(wrong.contains("there is no input `orders`"), "{wrong}");
}

#[test]
fn bounded_repetitions_are_written_out_and_unbounded_ones_come_back() {
    use wavetank_scenarios::sequence::{Contiguity, Loop, parse_pattern};
    let states = |text: &str| {
        let tree = parse_pattern(text).unwrap().tree;
        Automaton::new(&tree, &tree.steps(), Loop::Greedy, Contiguity::Relaxed)
            .unwrap()
            .states
            .len()
    };
    assert_eq!(states("a b c"), 4, "the start, and one behind each step");
    assert_eq!(states("a{2,4} b"), 6);
    assert_eq!(states("a+ b"), 4 - 1, "behind each a it goes on in the same way");
}

#[test]
fn an_event_ahead_of_its_arrival_is_refused_when_told() {
    let mut hand = Hand::on(json!({"sequence": {"pattern": "a"}, "future": {"refuse": "10us"}}));
    hand.take_at(event(0, 11, row("x", 1)), Time::ZERO);
    hand.take_at(event(1, 10, row("x", 1)), Time::ZERO);
    hand.end();
    assert_eq!((hand.failed.len(), hand.results.len()), (1, 1));
    assert_eq!(hand.results[0].row[0], Value::Time(Time::from_micros(10)));
}
