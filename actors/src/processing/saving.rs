//! Every operator of this folder that is restored from what it saved goes on as if nothing had been, and refuses what it
//! cannot have saved.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use wavetank_scenarios::{EventId, Producer, Row, Schema, Span, Time, Value};

use super::testing::{event, names, schema, settings};
use super::{Surroundings, build};
use crate::element::Element;
use crate::operator::Operator;
use crate::reliability::twin::{Step, spoils, spoilt, twins};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

fn row() -> impl Strategy<Value = Row> {
    let whole = prop_oneof![
        8 => (-5i64..6).prop_map(Value::Int),
        1 => Just(Value::Null),
        1 => (-2i64..3).prop_map(|v| Value::Float(v as f64)),
    ];
    let float = prop_oneof![
        8 => (-50i64..60).prop_map(|v| v as f64 / 10.0),
        1 => prop::sample::select(vec![1e300, -1e300, 1e-300, f64::INFINITY, 0.1]),
    ];
    let key = prop::sample::select(&KEYS[..]).prop_map(Value::from);
    (key, whole, float).prop_map(|(k, v, x)| Row::from([k, v, Value::Float(x)]))
}

/// Events in disorder, copies among them, growing watermarks and timers, with the end of input last.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (-12i64..9, row(), 0u64..12).prop_map(|(near, row, of)| (Some((near, row, of)), 0)),
        3 => (0i64..9).prop_map(|grown| (None, grown)),
        1 => Just((None, -1)),
        1 => Just((None, -2)),
    ];
    prop::collection::vec(step, 1..45).prop_map(|course| {
        let (mut steps, mut watermark, mut number) = (Vec::new(), -20, 0);
        for (comes, grown) in course {
            steps.push(match comes {
                Some((near, row, of)) => {
                    number += 1;
                    let mut event = event(number, watermark + 10 + near, row);
                    let origin = |number| EventId {
                        producer: Producer(2),
                        number,
                    };
                    event.correlation = origin(of);
                    event.planned = Time::from_micros(number as i64);
                    event.lineage = (of % 3 == 0).then(|| vec![origin(of), origin(of + 20)].into());
                    Step::Element(0, Element::Event(Box::new(event)))
                }
                None if grown == -2 => Step::Wait(3),
                None if grown < 0 => Step::Timer(number as usize),
                None => {
                    watermark += grown;
                    Step::Element(0, Element::Watermark(Time::from_micros(watermark)))
                }
            });
        }
        steps.push(Step::Element(0, Element::End));
        steps
    })
}

fn made(keys: &Json, tick: i64) -> Box<dyn Operator> {
    let schema = schema();
    let around = Surroundings {
        inputs: &[&schema],
        output: &Schema::default(),
        tables: &[names()],
        tick: Span::from_micros(tick),
        lineage: true,
    };
    build(&settings(keys.clone()), around).unwrap()
}

const GRID: [&str; 5] = [
    "tumbling(10 us)",
    "hop(12 us, 5 us)",
    "hop(20 us, 5 us, 3 us)",
    "hop(3 us, 7 us)",
    "cumulate(12 us, 4 us)",
];
const OTHERS: [&str; 9] = [
    "session(6 us)",
    "global",
    "time(9 us)",
    "time(9 us, on = 'change')",
    "length(3)",
    "length_batch(4)",
    "stagger(10 us)",
    "snapshot(7 us)",
    "snapshot(v)",
];

/// Every aggregate, those that fail, filters on rows and groups, a place among the other groups.
const QUERIES: [(&str, &str); 7] = [
    (
        "count(*) as n, sum(x) as s, min(v) as lo, max(v) as hi, avg(x) as mean, avg(v) as whole, variance(x) as var, \
         stddev_pop(x) as dev, first(v) as f, last(v) as l, median(v) as med, quantile(0.3, x) as q, sum(distinct v) as d, \
         top(2, v) as t, collect(v) as every_v, approx_count_distinct(v) as h, heavy_hitters(2, v) as hh",
        "where x < 1e200",
    ),
    ("count(*) as n, sum(v) as total, heavy_hitters(2, k) as hh", ""),
    ("sum(x) as total, stddev(x) as dev, approx_quantile(0.5, v) as q", ""),
    ("count(*) as n, sum(v) as total", "having n > 1"),
    ("max(v) as most, count(*) as n", "order by n desc limit 1"),
    ("count(*) as n, 10 / sum(v) as share", ""),
    ("count(*) as n, window_start() as begins, window_end() as ends", ""),
];

/// Windows with any settings that go with them, and the unit of event time.
fn windows() -> impl Strategy<Value = (Json, i64)> {
    let window = prop_oneof![prop::sample::select(&GRID[..]), prop::sample::select(&OTHERS[..])];
    let trigger = prop_oneof![
        (1u64..4).prop_map(|n| json!({"count": n})),
        Just(json!({"every": "5us"})),
        Just(json!({"watermark": true})),
        Just(json!({"count": 2, "every": "5us", "watermark": true})),
    ];
    let emit = (
        prop::option::of(trigger.clone()),
        prop::option::of(trigger),
        prop::sample::select(vec!["accumulating", "discarding", "retracting"]),
    );
    let late = (
        prop::sample::select(vec!["0us", "0us", "7us", "1s"]),
        prop::sample::select(vec!["at-end", "tick-before-end", "after-end"]),
        prop::sample::select(vec!["window", "window", "event"]),
    );
    let flags = (
        any::<[bool; 6]>(),
        prop::sample::select(vec!["last", "end", "latest", "earliest"]),
    );
    let query = (
        prop::sample::select(&QUERIES[..]),
        prop::sample::select(vec!["", "k", "k, v"]),
    );
    let tick = prop::sample::select(vec![1i64, 1, 5]);
    (window, query, late, flags, prop::option::of(emit), tick).prop_map(
        |(window, ((select, rest), by), (horizon, when, late_by), (flags, stamp), emit, tick)| {
            let [bounds, align, empty, touching, truncate, side] = flags;
            let grid = GRID.contains(&window);
            let (filter, having) = if rest.starts_with("where") {
                (rest, "")
            } else {
                ("", rest)
            };
            let over = if window == "global" {
                String::new()
            } else {
                format!("window {window}")
            };
            let by = if by.is_empty() {
                String::new()
            } else {
                format!("group by {by}")
            };
            let mut keys = json!({
                "query": format!("select {select} from s {over} {filter} {by} {having}"),
                "late_by": late_by, "result_stamp": stamp, "emit_empty": empty, "truncate_integer_avg": truncate,
                "session_touching_merge": touching, "late": if side { "side" } else { "drop" },
            });
            if !window.starts_with("snapshot") {
                keys["horizon"] = json!(horizon);
                keys["late_when"] = json!(when);
            }
            if bounds && grid {
                keys["bounds"] = json!("end");
            }
            if bounds && (window.starts_with("session") || window.starts_with("time")) {
                keys["bounds"] = json!("both");
            }
            if align && grid {
                keys["align"] = json!("first-event");
            }
            if let Some((early, late, panes)) = emit
                && (grid || ["session(6 us)", "global"].contains(&window))
            {
                keys["emit"] = json!({"panes": panes, "early": early, "late": late});
            }
            (keys, tick)
        },
    )
}

/// Those of them that each key can have for itself, by the clocks of the keys.
fn key_clocks() -> impl Strategy<Value = (Json, i64)> {
    let behind = prop::sample::select(vec!["0us", "3us", "8us"]);
    (windows(), behind).prop_filter_map("windows of one key each", |((mut keys, tick), behind)| {
        let query = keys["query"].as_str()?.to_owned();
        let placed = ["tumbling", "hop", "cumulate", "session", "stagger"].map(|kind| format!("window {kind}("));
        let fits = placed.iter().any(|window| query.contains(window));
        if !fits || !query.contains("group by") || query.contains("limit") {
            return None;
        }
        keys.as_object_mut()?.remove("align");
        keys["watermark"] = json!({"behind": behind, "scope": "key"});
        Some((keys, tick))
    })
}

/// The operators that look at one event after the other.
fn others() -> impl Strategy<Value = Json> {
    let by = prop::sample::select(vec![json!([]), json!(["k"]), json!(["k", "v"])]);
    (by, any::<bool>(), 0u32..4).prop_flat_map(|(by, flag, size)| {
        let keyed = if by == json!([]) { json!(["k"]) } else { by.clone() };
        let emit = if flag { "on" } else { "crossings" };
        prop::sample::select(vec![
            json!({"filter": "v > 1"}),
            json!({"query": "select k, v * 2 as twice from s where x < 3"}),
            json!({"threshold": {"value": "x", "high": 3.0, "low": 1.0, "hold": "4us", "by": by.clone(), "emit": emit}}),
            json!({"change": {"value": "x", "per": "5us", "above": 2.0, "by": by.clone()}}),
            json!({"first": {"quiet": "6us", "by": by}}),
            json!({
                "compensate": {"by": keyed, "stands": if flag { "first-by-event-time" } else { "first-to-arrive" }},
                "horizon": "9us", "late": "side",
            }),
            json!({"transform": [
                {"enrich": {"table": "names", "on": {"k": "key"}, "fields": ["name"], "cache": size, "cost": "2us"}},
                {"derive": {"again": "k"}},
                {"enrich": {"table": "names", "on": {"again": "name"}, "fields": ["key"], "cache": 2}},
            ]}),
        ])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn windows_go_on_from_what_they_saved((keys, tick) in windows(), steps in steps(), at in 0usize..40) {
        twins(|| made(&keys, tick), &steps, at)?;
    }

    #[test]
    fn windows_by_the_clocks_of_their_keys_go_on_from_what_they_saved(
        (keys, tick) in key_clocks(), steps in steps(), at in 0usize..40
    ) {
        twins(|| made(&keys, tick), &steps, at)?;
    }

    #[test]
    fn others_go_on_from_what_they_saved(keys in others(), steps in steps(), at in 0usize..40) {
        twins(|| made(&keys, 1), &steps, at)?;
    }

    #[test]
    fn no_bytes_make_a_restored_window_panic(
        (mut keys, tick) in windows(), steps in steps(), at in 0usize..40, spoils in spoils()
    ) {
        // From a spoilt watermark there may be any number of empty windows to the next one.
        keys["emit_empty"] = json!(false);
        spoilt(|| made(&keys, tick), &steps, at, &spoils);
    }

    #[test]
    fn no_bytes_make_a_restored_window_by_the_clock_of_its_key_panic(
        (mut keys, tick) in key_clocks(), steps in steps(), at in 0usize..40, spoils in spoils()
    ) {
        keys["emit_empty"] = json!(false);
        spoilt(|| made(&keys, tick), &steps, at, &spoils);
    }

    #[test]
    fn no_bytes_make_any_other_restored_operator_panic(
        keys in others(), steps in steps(), at in 0usize..40, spoils in spoils()
    ) {
        spoilt(|| made(&keys, 1), &steps, at, &spoils);
    }
}
