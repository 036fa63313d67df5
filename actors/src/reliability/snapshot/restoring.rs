//! Published cases of saving and restoring, played by operators that have nothing left of themselves but a snapshot file.

use serde_json::{Value as Json, json};
use wavetank_scenarios::Value;

use super::format::{self, Header, Kind, Packing, Writing};
use super::keys::Keys;
use crate::operator::Dropped;
use crate::processing::testing::Hand;
use crate::reliability::State;

const CASES: &str = include_str!("../../../tests/fixtures/snapshot_cases.jsonl");

fn case(id: &str) -> Json {
    let mut cases = CASES.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    cases.find(|case| case["id"] == id).expect("a case of that name")
}

/// An operator's state, as a file.
fn snapshot(hand: &Hand) -> Vec<u8> {
    let mut state = State::default();
    hand.operator.save(&mut state);
    let header = Header {
        kind: Kind::Full,
        run: 0,
        attempt: 0,
        number: 1,
        participant: "op".to_owned(),
        fingerprint: 0,
        plain: 0,
        packing: Packing::Plain,
        key: None,
    };
    let writing = Writing {
        compress: true,
        keys: Some(&Keys::one([5; 32])),
    };
    format::encode(header, &state, writing).unwrap()
}

/// A new operator with the same settings, from a file. Its events are numbered on from those of another.
fn restored(settings: &Json, file: &[u8], before: &Hand) -> Hand {
    let opened = format::open("op", file).unwrap();
    let state: State = opened.body(&Keys::one([5; 32])).unwrap();
    let mut operator = Hand::on(settings.clone()).operator;
    operator.restore(&state).unwrap();
    let mut hand = Hand::of(operator);
    hand.next = before.next;
    hand
}

/// The number in the last column of each result.
fn last_column(hand: &mut Hand) -> Vec<f64> {
    let results = hand.results.drain(..);
    let number = |value: Option<&Value>| match value {
        Some(Value::Int(n)) => *n as f64,
        Some(Value::Float(x)) => *x,
        other => panic!("{other:?}"),
    };
    results.map(|draft| number(draft.row.last())).collect()
}

#[test]
fn a_length_window_goes_on_from_what_was_saved_and_knows_nothing_of_what_came_after() {
    let case = case("siddhi-probe-length-restore");
    let settings = json!({"query": "select sum(v) as s from s window length(3)"});
    let mut hand = Hand::on(settings.clone());
    let mut file = Vec::new();
    for (step, input) in case["input"].as_array().unwrap().iter().enumerate() {
        match input["kind"].as_str().unwrap() {
            "event" => {
                let stamp = input["ts"].as_i64().unwrap();
                hand.event(stamp, "k", input["v"].as_f64().unwrap() as i64)
                    .watermark(stamp);
                let sums: Vec<f64> = last_column(&mut hand);
                let mut expected = case["expected"].as_array().unwrap().iter();
                let expected = expected.find(|e| e["after"] == step).unwrap();
                assert_eq!(sums, [expected["sum"].as_f64().unwrap()], "after {step}");
            }
            "snapshot" => file = snapshot(&hand),
            "restart" => {}
            _ => hand = restored(&settings, &file, &hand),
        }
    }
}

#[test]
fn the_boundary_of_a_batch_is_in_the_snapshot() {
    let case = case("siddhi-probe-timebatch-restore");
    // The engine forgets its boundary; the case says what it would have answered had it not.
    let ideal = case["config"]["ideal_without_restart"].as_array().unwrap();
    let settings = json!({
        "query": "select count(*) as n from s window tumbling(1 ms)",
        "align": "first-event",
    });
    let mut hand = Hand::on(settings.clone());
    let mut file = Vec::new();
    let mut events = 0;
    for input in case["input"].as_array().unwrap() {
        match input["kind"].as_str().unwrap() {
            "event" => {
                let stamp = input["ts"].as_i64().unwrap();
                // Timers that are due run before the event.
                hand.watermark(stamp - 1);
                let batches = last_column(&mut hand);
                let expected = ideal.iter().find(|e| e["after"] == events);
                let expected: Vec<f64> = expected
                    .map(|e| e["batch"].as_array().unwrap().len() as f64)
                    .into_iter()
                    .collect();
                assert_eq!(batches, expected, "after event {events}");
                hand.event(stamp, "k", 1);
                events += 1;
            }
            "snapshot" => file = snapshot(&hand),
            "restart" => {}
            _ => hand = restored(&settings, &file, &hand),
        }
    }
    assert_eq!(events, 6);
}

#[test]
fn watermark_and_windows_survive_restarts_and_what_is_late_stays_late() {
    let case = case("spark-recovery");
    let settings = json!({"query": "select count(*) as n from s window tumbling(5 us)"});
    let mut hand = Hand::on(settings.clone());
    let (mut largest, mut watermark, mut late) = (0, 0, 0);
    for (step, input) in case["input"].as_array().unwrap().iter().enumerate() {
        if input["kind"] == "restart" {
            let file = snapshot(&hand);
            late += hand.ids(Dropped::Late).len();
            hand = restored(&settings, &file, &hand);
            continue;
        }
        for event in input["events"].as_array().unwrap() {
            let stamp = event["ts"].as_i64().unwrap();
            largest = largest.max(stamp);
            hand.event(stamp, "k", 1);
        }
        // Theirs is the first stamp that may still come, ours the last that may not.
        watermark = watermark.max(largest - case["config"]["watermark_delay"].as_i64().unwrap());
        hand.watermark(watermark - 1);
        let came: Vec<String> = hand.said();
        let mut expected = case["expected"].as_array().unwrap().iter();
        let expected = expected.find(|e| e["after"] == step).unwrap();
        let rows = expected["rows"].as_array().unwrap().iter();
        let rows: Vec<String> = rows
            .map(|row| format!("[{},{}) {}", row["window"][0], row["window"][1], row["count"]))
            .collect();
        assert_eq!(came, rows, "after {step}");
        assert_eq!(Some(watermark), expected["watermark"].as_i64(), "after {step}");
    }
    assert_eq!(late + hand.ids(Dropped::Late).len(), 2, "10 the second time, and 17");
}
