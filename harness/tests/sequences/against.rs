//! Patterns, settings and inputs drawn at random.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use wavetank_oracle::Why;
use wavetank_scenarios::sequence::parse_pattern;
use wavetank_scenarios::{Time, Value};

use crate::pair::Pair;

fn step() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned)
}

fn edge() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![" -> ", " -> ", " => ", " "])
}

fn absence() -> impl Strategy<Value = Option<String>> {
    let lasts = prop::option::of(1..12i64);
    prop::option::weighted(0.2, (step(), lasts)).prop_map(|found| {
        found.map(|(step, lasts)| match lasts {
            Some(lasts) => format!("not {step} for {lasts}us"),
            None => format!("not {step}"),
        })
    })
}

fn times() -> impl Strategy<Value = String> {
    let how = prop::sample::select(vec![
        "",
        "",
        " greedy",
        " reluctant",
        " every",
        " consecutive",
        " combinations",
    ]);
    let until = prop::option::weighted(0.2, step());
    let times = prop::sample::select(vec!["+", "*", "?", "{2}", "{2,}", "{1,3}", "{0,2}"]);
    prop::option::weighted(0.4, (times, how, until)).prop_map(|found| match found {
        None => String::new(),
        Some((times, how, None)) => format!("{times}{how}"),
        Some((times, how, Some(until))) => format!("{times}{how} until {until}"),
    })
}

fn pattern() -> impl Strategy<Value = String> {
    let unit = prop_oneof![
        6 => step(),
        1 => (step(), step()).prop_map(|(a, b)| format!("({a} | {b})")),
        1 => Just("all(a, b)".to_owned()),
        1 => Just("all(b, c, d)".to_owned()),
    ];
    let item = (unit, times()).prop_map(|(unit, times)| format!("{unit}{times}"));
    let sequence = item.prop_recursive(2, 6, 4, |inner| {
        let group = prop::sample::select(vec!["", "", "+", "?", "{2}", "*? "]);
        prop_oneof![
            (
                prop::collection::vec((absence(), edge(), inner.clone()), 1..4),
                absence(),
                edge()
            )
                .prop_map(|(parts, last, edge)| {
                    let mut text = String::new();
                    for (i, (absence, edge, item)) in parts.into_iter().enumerate() {
                        if let Some(absence) = absence {
                            text += &format!("{}{absence}", if i > 0 { edge } else { "" });
                            text += edge;
                        } else if i > 0 {
                            text += edge;
                        }
                        text += &item;
                    }
                    last.map_or(text.clone(), |last| format!("{text}{edge}{last}"))
                }),
            (inner.clone(), group).prop_map(|(inner, group)| format!("({inner}){group}")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a} | {b})")),
        ]
    });
    sequence.prop_filter("a pattern that a scenario may have", |text| {
        let Ok(pattern) = parse_pattern(text) else { return false };
        let tree = &pattern.tree;
        let ends = !tree.ends_greedily(wavetank_scenarios::sequence::Loop::Greedy);
        let leads = tree.leading().iter().all(|absence| absence.lasts.is_some());
        !tree.can_be_empty() && ends && leads && tree.places() <= 40 && tree.is_plain()
    })
}

fn settings() -> impl Strategy<Value = Json> {
    let after = prop::sample::select(vec![
        json!("past-last"),
        json!("to-next"),
        json!("keep-all"),
        json!("keep-all"),
        json!({"to-first": "b"}),
        json!({"to-last": "b"}),
    ]);
    let restart = prop::sample::select(vec!["always", "always", "once", "on-complete", "on-complete-or-fail"]);
    let order = prop::sample::select(vec!["event-time", "event-time", "event-time", "arrival"]);
    let since = prop::sample::select(vec!["first", "previous"]);
    let conditions = prop::sample::select(vec![
        json!({"a": "k = 'a'", "b": "k = 'b'", "c": "k = 'c'", "d": "k = 'd'"}),
        json!({"a": "k = 'a'", "b": "k in ('b', 'c')", "c": "k in ('c', 'd')", "d": "k = 'd'"}),
        json!({"a": "k in ('a', 'b')", "b": "k = 'b' and v >= coalesce(a.v, 0)", "c": "c.v > prev(v)", "d": "k = 'd'"}),
        json!({"a": "v > 2", "b": "sum(b.v) < 14", "c": "count(b) > 1 or k = 'c'", "d": "d.v > first(a.v) + nth(b.v, 1)"}),
        json!({"a": "k <> 'd'", "b": "v > avg(v) - 1", "c": "event_time() >= first(event_time())"}),
    ]);
    (
        (pattern(), after, restart, order, since, conditions),
        (2..25i64, any::<[bool; 6]>(), 0..3usize, 0..3usize),
    )
        .prop_map(
            |((pattern, after, restart, order, since, conditions), (within, flags, loops, inside))| {
                let tree = parse_pattern(&pattern).map(|p| p.tree);
                // Conditions may only look at steps that there are.
                let has = |step: &str| tree.as_ref().is_ok_and(|tree| tree.steps().iter().any(|s| s == step));
                let conditions = if has("a") && has("b") {
                    conditions
                } else {
                    json!({"a": "k = 'a'", "b": "k in ('b', 'c') and v > 1", "c": "k = 'c'", "d": "k = 'd'"})
                };
                let takes = tree.is_ok_and(|tree| tree.taken().iter().any(|step| step == "b"));
                let after = if after.is_object() && !takes {
                    json!("to-next")
                } else {
                    after
                };
                let inside = ["relaxed", "consecutive", "combinations"][inside];
                let default = if loops == 2 {
                    "greedy"
                } else {
                    ["every", "reluctant"][loops]
                };
                json!({
                    "sequence": {
                        "pattern": pattern,
                        "by": ["key"],
                        "where": conditions,
                        "within": format!("{within}us"),
                        "within_includes_end": flags[0],
                        "absence_includes_end": flags[1],
                        "all_may_share": flags[2],
                        "timeouts": flags[3],
                        "within_since": since,
                        "after": after,
                        "precedence": if flags[5] { "start" } else { "complete" },
                        "restart": restart,
                        "order": order,
                        "loops": default,
                        "inside_loops": inside,
                        "select": {"n": "count(*)", "all": "collect(v)", "last": "v", "end": "event_time()"},
                    },
                    "flush_at_end": flags[4],
                })
            },
        )
}

#[derive(Clone, Debug)]
enum Given {
    Event(i64, &'static str, &'static str, Option<i64>),
    Watermark(i64),
    Crash,
}

fn given() -> impl Strategy<Value = Vec<Given>> {
    let event = (
        0..4i64,
        0..6i64,
        prop::sample::select(vec!["x", "x", "y"]),
        prop::sample::select(vec!["a", "b", "c", "d"]),
    );
    let one = prop_oneof![
        12 => (event, prop::option::weighted(0.9, 0..9i64)).prop_map(|((gap, back, key, k), v)| (gap, Some((back, key, k, v)), false)),
        4 => (0..8i64).prop_map(|behind| (behind, None, false)),
        1 => Just((0, None, true)),
    ];
    prop::collection::vec(one, 1..22).prop_map(|all| {
        let (mut now, mut watermark) = (0, -1);
        all.into_iter()
            .filter_map(|(gap, event, crash)| {
                if crash {
                    watermark = -1;
                    return Some(Given::Crash);
                }
                match event {
                    Some((back, key, k, v)) => {
                        now += gap;
                        Some(Given::Event(now - back, key, k, v))
                    }
                    None => {
                        let next = now - gap;
                        (next > watermark).then(|| {
                            watermark = next;
                            Given::Watermark(next)
                        })
                    }
                }
            })
            .collect()
    })
}

fn row(key: &str, k: &str, v: Option<i64>) -> Vec<Value> {
    vec![key.into(), k.into(), v.map_or(Value::Null, Value::Int)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn the_operator_says_at_every_step_what_trying_everything_says(keys in settings(), given in given()) {
        let mut pair = Pair::new(&keys);
        for given in given {
            match given {
                Given::Event(stamp, key, k, v) => pair.event(0, stamp, row(key, k, v)),
                Given::Watermark(watermark) => pair.watermark(Time::from_micros(watermark)),
                Given::Crash => pair.crash(),
            }
        }
        pair.end();
        if keys["flush_at_end"] == json!(true) {
            prop_assert_eq!(pair.held, 0, "at the end nothing is held");
        }
    }

    #[test]
    fn any_order_of_arrival_within_the_bound_comes_to_the_same_and_beyond_it_what_is_lost_is_counted(
        mut keys in settings(),
        events in prop::collection::vec((0..3i64, 0..12i64, prop::sample::select(vec!["a", "b", "c", "d"]), 0..9i64), 1..14),
        bound in 0..8i64,
    ) {
        keys["sequence"]["order"] = json!("event-time");
        keys["flush_at_end"] = json!(true);
        let mut stamp = 0;
        let mut arrivals: Vec<(i64, i64, Vec<Value>)> = Vec::new();
        for (gap, delay, k, v) in events {
            stamp += 1 + gap;
            arrivals.push((stamp + delay, stamp, row("x", k, Some(v))));
        }
        arrivals.sort_by_key(|(arrival, stamp, _)| (*arrival, *stamp));
        let mut disordered = Pair::new(&keys);
        let mut largest = i64::MIN;
        for (_, stamp, row) in &arrivals {
            disordered.event(0, *stamp, row.clone());
            largest = largest.max(*stamp);
            disordered.watermark(Time::from_micros(largest - bound - 1));
        }
        disordered.end();
        let late: Vec<u64> =
            disordered.dropped.iter().filter(|(_, why)| *why == Why::Late).map(|(number, _)| *number).collect();
        let mut in_order: Vec<_> = arrivals.iter().enumerate().filter(|(i, _)| !late.contains(&(*i as u64))).collect();
        in_order.sort_by_key(|(_, (_, stamp, _))| *stamp);
        let mut ordered = Pair::new(&keys);
        for (_, (_, stamp, row)) in &in_order {
            ordered.event(0, *stamp, row.clone());
            ordered.watermark(Time::from_micros(*stamp));
        }
        ordered.end();
        let said = |pair: &Pair| pair.said.iter().map(|(stamp, row, _)| (*stamp, row.clone())).collect::<Vec<_>>();
        prop_assert_eq!(said(&disordered), said(&ordered));
        if arrivals.iter().all(|(arrival, stamp, _)| arrival - stamp <= bound) {
            prop_assert_eq!(late, Vec::<u64>::new());
        }
    }
}
