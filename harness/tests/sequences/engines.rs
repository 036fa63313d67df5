//! Worked examples of public engines: facts, typed in from their documentation and tests. An input is a line of words, each
//! `name@time`, or `name` alone where one unit of time lies between; the name's letters are what the conditions look at.

use serde_json::{Value as Json, json};
use wavetank_scenarios::{FieldType, Schema, Time, Value};

use crate::pair::Pair;

/// Settings of a pattern over letters: step `b` takes events whose letters are `b`.
fn letters(pattern: &str, more: Json) -> Json {
    let mut sequence = json!({
        "pattern": pattern,
        "unbounded": true,
        "loops": "every",
        "after": "keep-all",
        "select": {"took": "collect(id)"},
        "where": {},
    });
    let tree = wavetank_scenarios::sequence::parse_pattern(pattern)
        .expect("a pattern")
        .tree;
    for step in tree.steps() {
        sequence["where"][step.as_str()] = json!(format!("kind = '{step}'"));
    }
    for (key, value) in more.as_object().expect("settings") {
        sequence[key] = value.clone();
    }
    json!({"sequence": sequence})
}

/// What is put out, without quotes and brackets.
fn said(keys: &Json, input: &str) -> Vec<String> {
    let schema = Schema::new([("id", FieldType::Text), ("kind", FieldType::Text)]);
    let mut pair = Pair::over(keys, &["s"], vec![schema]);
    let mut now = 0;
    for word in input.split_whitespace() {
        let (id, at) = word.split_once('@').unwrap_or((word, ""));
        now = at.parse().unwrap_or(now + 1);
        let kind = id.trim_end_matches(|c: char| c.is_ascii_digit());
        pair.event(0, now, vec![id.into(), kind.into()]);
    }
    pair.end();
    let plain = |row: &String| row.replace(['[', ']', '"', ','], "");
    pair.said.iter().map(|(_, row, _)| plain(row)).collect()
}

/// The same, in any order.
fn set(keys: &Json, input: &str) -> Vec<String> {
    let mut all = said(keys, input);
    all.sort();
    all
}

#[test]
fn flink_contiguity_followed_by_takes_the_first_and_followed_by_any_each() {
    // Flink, docs/content/docs/libs/cep.md.
    assert_eq!(said(&letters("a -> b", json!({})), "a c b1 b2"), ["a b1"]);
    assert_eq!(said(&letters("a => b", json!({})), "a c b1 b2"), ["a b1", "a b2"]);
    assert_eq!(said(&letters("a b", json!({})), "a c b1 b2"), Vec::<String>::new());
}

#[test]
fn flink_loops_are_relaxed_combined_or_consecutive() {
    let input = "a b1 d1 b2 d2 b3 c";
    let relaxed = ["a b1 b2 b3 c", "a b1 b2 c", "a b1 c", "a b2 b3 c", "a b2 c", "a b3 c"];
    assert_eq!(set(&letters("a => b+ -> c", json!({})), input), relaxed);
    let combined = letters("a => b+ combinations -> c", json!({}));
    assert_eq!(set(&combined, input).len(), 7);
    assert_eq!(set(&letters("a => b+ consecutive c", json!({})), input), ["a b3 c"]);
    let first_fixed = letters("C -> A+ combinations -> B", json!({}));
    assert_eq!(set(&first_fixed, "C D A1 A2 A3 D A4 B").len(), 8);
    assert_eq!(
        said(&letters("c -> a{2} consecutive -> b", json!({})), "c a1 x a2 a3 b"),
        Vec::<String>::new()
    );
}

#[test]
fn flink_an_optional_step_is_there_or_left_out() {
    let keys = letters("c -> a? -> b", json!({}));
    assert_eq!(set(&keys, "c1 a1 d e b1 b2"), ["c1 a1 b1", "c1 b1"]);
}

#[test]
fn flink_skip_strategies_drop_what_began_too_early() {
    // Flink, AfterMatchSkipITCase.
    let any = |after: Json| letters("a => b", json!({"after": after}));
    assert_eq!(
        said(&any(json!("keep-all")), "a1 b1 a2 b2"),
        ["a1 b1", "a1 b2", "a2 b2"]
    );
    assert_eq!(said(&any(json!("to-next")), "a1 b1 a2 b2"), ["a1 b1", "a2 b2"]);
    let long = letters("a => b => c -> d", json!({"after": "past-last"}));
    assert_eq!(said(&long, "a1 a2 b1 b2 c1 c2 d1 d2"), ["a1 b1 c1 d1"]);
    let three = letters("a{3}", json!({"after": "past-last"}));
    assert_eq!(said(&three, "a1 a2 a3 a4 a5 a6"), ["a1 a2 a3", "a4 a5 a6"]);
    let growing = |after: &str| letters("a -> b+", json!({"after": after}));
    assert_eq!(
        said(&growing("keep-all"), "a b1 b2 b3"),
        ["a b1", "a b1 b2", "a b1 b2 b3"]
    );
    assert_eq!(said(&growing("to-next"), "a b1 b2 b3"), ["a b1"]);
    let row = |after: Json| letters("b+ consecutive c", json!({"after": after}));
    assert_eq!(
        said(&row(json!("keep-all")), "b1 b2 b3 c"),
        ["b1 b2 b3 c", "b2 b3 c", "b3 c"]
    );
    assert_eq!(
        said(&row(json!("to-next")), "b1 b2 b3 c"),
        ["b1 b2 b3 c", "b2 b3 c", "b3 c"]
    );
    assert_eq!(
        said(&row(json!({"to-last": "b"})), "b1 b2 b3 c"),
        ["b1 b2 b3 c", "b3 c"]
    );
    assert_eq!(set(&letters("b+ -> c", json!({})), "b1 b2 b3 c").len(), 6);
    let twice = json!({
        "after": {"to-first": "last"},
        "where": {"first": "kind = 'ab'", "last": "kind = 'ab'"},
    });
    assert_eq!(
        said(&letters("first{2} last{2}", twice), "ab1 ab2 ab3 ab4 ab5 ab6"),
        ["ab1 ab2 ab3 ab4", "ab3 ab4 ab5 ab6"]
    );
}

#[test]
fn flink_a_greedy_loop_takes_what_fits_it() {
    let keys = |after: Json| {
        letters(
            "x -> y -> z+ greedy -> d",
            json!({
                "after": after,
                "where": {
                    "x": "kind in ('a', 'b', 'c')", "y": "kind in ('b', 'c')", "z": "kind = 'c'", "d": "kind = 'd'",
                },
            }),
        )
    };
    let input = "a b c1 c2 c3 d";
    assert_eq!(
        said(&keys(json!("keep-all")), input),
        ["a b c1 c2 c3 d", "b c1 c2 c3 d", "c1 c2 c3 d"]
    );
    assert_eq!(
        said(&keys(json!({"to-first": "z"})), input),
        ["a b c1 c2 c3 d", "c1 c2 c3 d"]
    );
}

#[test]
fn flink_within_leaves_its_end_out_and_reports_each_beginning_that_times_out() {
    // Flink, CEPITCase.testSimplePatternWithTimeoutHandling and its neighbours.
    let keys = letters("start -> middle -> end", json!({"within": "10us", "timeouts": true}));
    let input = "start1@1 start2@2 middle@3 foobar@4 end1@11 end2@13";
    assert_eq!(said(&keys, input), ["start1 middle true", "start2 middle end1 false"]);
    let any = letters("start => middle => end", json!({"within": "10us", "timeouts": true}));
    assert_eq!(
        set(&any, input),
        [
            "start1 middle true",
            "start1 true",
            "start2 middle end1 false",
            "start2 middle true",
            "start2 true"
        ]
    );
    let pair = |settings: Json| letters("a -> b", settings);
    assert_eq!(said(&pair(json!({"within": "10us"})), "a@0 b@10"), Vec::<String>::new());
    assert_eq!(said(&pair(json!({"within": "10us"})), "a@0 b@9"), ["a b"]);
    assert_eq!(
        said(
            &pair(json!({"within": "10us", "within_includes_end": true})),
            "a@0 b@10"
        ),
        ["a b"]
    );
}

#[test]
fn flink_absence_at_the_end_lasts_until_within_is_over() {
    // Flink, NotPatternITCase.
    let keys = |within: &str| letters("a -> not b", json!({"within": within}));
    assert_eq!(
        said(&keys("10us"), "a@1 b@11 z@20"),
        ["a"],
        "an event at its end comes too late"
    );
    assert_eq!(said(&keys("10us"), "a@1 b@10 z@20"), Vec::<String>::new());
    assert_eq!(said(&keys("3us"), "a1@1 b1@2 a2@4 c@5 b2@10 a3@11 b3@13"), ["a2"]);
    let next = letters("a not b => c -> d", json!({}));
    assert_eq!(said(&next, "a1 b1 c1 c2 d"), Vec::<String>::new());
    assert_eq!(said(&next, "a1 x b1 c1 c2 d"), ["a1 c1 d", "a1 c2 d"]);
}

#[test]
fn flink_events_are_matched_in_event_time_order() {
    assert_eq!(said(&letters("a b c", json!({})), "b@2 a@1 c@3"), ["a b c"]);
    assert_eq!(
        said(&letters("a b c", json!({"order": "arrival"})), "b@2 a@1 c@3"),
        Vec::<String>::new()
    );
}

/// The settings of a `match_recognize` over `price`.
fn query(clauses: &str) -> Json {
    json!({"query": format!("select * from s match_recognize ({clauses})")})
}

/// What is put out over prices, each with its time.
fn priced(keys: &Json, input: &[(i64, i64)]) -> Vec<String> {
    let schema = Schema::new([("price", FieldType::Int), ("ts", FieldType::Int)]);
    let mut pair = Pair::over(keys, &["s"], vec![schema]);
    for (ts, price) in input {
        pair.event(0, *ts, vec![Value::Int(*price), Value::Int(*ts)]);
    }
    pair.end();
    pair.said.iter().map(|(_, row, _)| row.clone()).collect()
}

fn at(first: i64, prices: &[i64]) -> Vec<(i64, i64)> {
    prices
        .iter()
        .enumerate()
        .map(|(i, price)| (first + i as i64, *price))
        .collect()
}

#[test]
fn flink_sql_aggregates_in_define_see_the_rows_so_far() {
    // Flink, docs/content/docs/dev/table/sql/queries/match_recognize.md.
    let keys = query(
        "measures first(a.ts) as started, last(a.ts) as ended, avg(a.price) as mean pattern (a+ b)
         define a as avg(a.price) < 15",
    );
    let input = at(0, &[12, 17, 13, 16, 25, 2, 4, 10, 15, 25, 25, 30]);
    assert_eq!(priced(&keys, &input), ["0 3 14.5", "5 10 13.5"]);
}

#[test]
fn flink_sql_skips_decide_where_it_goes_on() {
    let keys = |skip: &str| {
        query(&format!(
            "measures sum(a.price) as total, first(a.ts) as started, last(c.ts) as ended after match skip {skip}
             pattern (a+ c) define a as sum(a.price) < 30"
        ))
    };
    let input = at(1, &[7, 9, 10, 5, 10, 7, 14]);
    assert_eq!(priced(&keys("past last row"), &input), ["26 1 4", "17 5 7"]);
    assert_eq!(priced(&keys("to last a"), &input), ["26 1 4", "25 3 6", "17 5 7"]);
    assert_eq!(
        priced(&keys("to next row"), &input),
        ["26 1 4", "24 2 5", "25 3 6", "22 4 7", "17 5 7"]
    );
}

#[test]
fn flink_sql_a_v_shape_and_a_drop_within_an_hour() {
    let keys = query(
        "measures start.ts as began, last(down.ts) as bottom, last(up.ts) as ended after match skip to last up
         pattern (start down+ up)
         define down as price < prev(price), up as price > last(down.price)",
    );
    let input = at(0, &[12, 17, 19, 21, 25, 18, 15, 14, 24, 25, 19]);
    assert_eq!(priced(&keys, &input), ["4 7 8"]);
    let keys = query(
        "measures a.ts as began, c.ts as dropped, a.price - c.price as by_how_much pattern (a b* c) within '61us'
         define b as price > a.price - 10, c as price < a.price - 10",
    );
    let prices = [
        (0, 20),
        (20, 17),
        (40, 18),
        (60, 11),
        (80, 14),
        (100, 9),
        (120, 15),
        (140, 14),
        (160, 24),
        (180, 1),
    ];
    assert_eq!(priced(&keys, &prices), ["120 180 14"]);
}

#[test]
fn flink_sql_a_reluctant_loop_ends_as_soon_as_it_can() {
    let keys =
        query("measures c.price as price pattern (a b*? c) define a as price > 10, b as price < 15, c as price > 12");
    assert_eq!(priced(&keys, &at(0, &[10, 11, 12, 13, 14, 16])), ["13", "16"]);
}

/// Settings of a pattern in the manner of Siddhi: streams `Stream1` and `Stream2`, looked at as they come.
fn siddhi(pattern: &str, from: Json, conditions: Json, more: Json) -> Json {
    let mut sequence = json!({
        "pattern": pattern,
        "from": from,
        "where": conditions,
        "unbounded": true,
        "loops": "reluctant",
        "after": "keep-all",
        "restart": "once",
        "order": "arrival",
        "within_includes_end": true,
        "all_may_share": true,
    });
    for (key, value) in more.as_object().expect("settings") {
        sequence[key] = value.clone();
    }
    json!({"sequence": sequence})
}

/// What is put out over events of two streams, each with its time, symbol and price.
fn streamed(keys: &Json, input: &[(i64, usize, &str, f64)]) -> Vec<String> {
    let schema = || Schema::new([("symbol", FieldType::Text), ("price", FieldType::Float)]);
    let mut pair = Pair::over(
        keys,
        &["Stream1", "Stream2", "Stream3"],
        vec![schema(), schema(), schema()],
    );
    for (stamp, stream, symbol, price) in input {
        pair.event(*stream - 1, *stamp, vec![(*symbol).into(), Value::Float(*price)]);
    }
    pair.end();
    let plain =
        |(stamp, row, _): &(i64, String, Vec<u64>)| format!("{stamp}: {}", row.replace(['[', ']', '"', ','], ""));
    pair.said.iter().map(plain).collect()
}

#[test]
fn siddhi_counting_collects_until_the_next_state_matches() {
    // Siddhi, CountPatternTestCase.
    let keys = |second: &str| {
        siddhi(
            "e1{2,5} -> e2",
            json!({"e1": "Stream1", "e2": "Stream2"}),
            json!({"e1": "price > 20", "e2": second}),
            json!({"select": {"first": "collect(e1.price)", "second": "e2.price"}}),
        )
    };
    let plain = keys("price > 20");
    let one = [
        (0, 1, "WSO2", 25.6),
        (100, 1, "GOOG", 47.6),
        (200, 1, "GOOG", 13.7),
        (300, 1, "GOOG", 47.8),
        (400, 2, "IBM", 45.7),
        (500, 2, "IBM", 55.7),
    ];
    assert_eq!(streamed(&plain, &one), ["400: 25.6 47.6 47.8 45.7"]);
    let [a, b, c, ..] = one;
    assert_eq!(
        streamed(
            &plain,
            &[
                a,
                b,
                c,
                (300, 2, "IBM", 45.7),
                (400, 1, "GOOG", 47.8),
                (500, 2, "IBM", 55.7)
            ]
        ),
        ["300: 25.6 47.6 45.7"]
    );
    assert_eq!(
        streamed(
            &plain,
            &[a, (100, 2, "IBM", 45.7), (200, 1, "GOOG", 47.8), (300, 2, "IBM", 55.7)]
        ),
        ["300: 25.6 47.8 55.7"]
    );
    assert_eq!(streamed(&plain, &[a, (100, 2, "IBM", 45.7)]), Vec::<String>::new());
    let capped: Vec<(i64, usize, &str, f64)> = [25.6, 47.6, 23.7, 24.7, 25.7, 27.6]
        .iter()
        .enumerate()
        .map(|(i, price)| (i as i64 * 100, 1, "X", *price))
        .chain([(600, 2, "IBM", 45.7), (700, 1, "GOOG", 47.8), (800, 2, "IBM", 55.7)])
        .collect();
    assert_eq!(streamed(&plain, &capped), ["600: 25.6 47.6 23.7 24.7 25.7 45.7"]);
    let indexed = keys("price > nth(e1.price, 1)");
    assert_eq!(
        streamed(&indexed, &[a, b, (200, 2, "IBM", 45.7), (300, 2, "IBM", 55.7)]),
        ["300: 25.6 47.6 55.7"]
    );
}

#[test]
fn siddhi_every_starts_at_each_event_and_within_includes_its_end() {
    // Siddhi, EveryPatternTestCase and WithinPatternTestCase; the boundary was probed live.
    let keys = |more: Json| {
        siddhi(
            "e1 -> e2",
            json!({"e1": "Stream1", "e2": "Stream2"}),
            json!({"e1": "price > 20", "e2": "price > e1.price"}),
            {
                let mut all = json!({"select": {"first": "e1.symbol", "second": "e2.symbol"}, "restart": "always"});
                for (key, value) in more.as_object().expect("settings") {
                    all[key] = value.clone();
                }
                all
            },
        )
    };
    let input = [(0, 1, "WSO2", 55.6), (100, 1, "GOOG", 55.6), (200, 2, "IBM", 55.7)];
    assert_eq!(streamed(&keys(json!({})), &input), ["200: WSO2 IBM", "200: GOOG IBM"]);
    assert_eq!(streamed(&keys(json!({"restart": "once"})), &input), ["200: WSO2 IBM"]);
    let input = [(0, 1, "WSO2", 55.6), (1500, 1, "GOOG", 54.0), (2000, 2, "IBM", 55.7)];
    assert_eq!(streamed(&keys(json!({"within": "1ms"})), &input), ["2000: GOOG IBM"]);
    let input = [
        (1000, 1, "a1", 21.0),
        (2000, 2, "b1", 22.0),
        (3000, 1, "a2", 21.0),
        (4001, 2, "b2", 22.0),
    ];
    assert_eq!(streamed(&keys(json!({"within": "1ms"})), &input), ["2000: a1 b1"]);
}

#[test]
fn siddhi_and_takes_both_in_any_order_and_or_the_first_that_fits() {
    // Siddhi, LogicalPatternTestCase.
    let keys = |pattern: &str| {
        siddhi(
            pattern,
            json!({"e1": "Stream1", "e2": "Stream2", "e3": "Stream2"}),
            json!({"e1": "price > 20", "e2": "price > e1.price", "e3": "symbol = 'IBM'"}),
            json!({"select": {"first": "e1.symbol", "second": "e2.price", "third": "e3.price"}}),
        )
    };
    let input = [(0, 1, "WSO2", 55.6), (100, 2, "GOOG", 72.7), (200, 2, "IBM", 4.7)];
    assert_eq!(streamed(&keys("e1 -> all(e2, e3)"), &input), ["200: WSO2 72.7 4.7"]);
    let input = [(0, 1, "WSO2", 55.6), (100, 2, "IBM", 72.7), (200, 2, "IBM", 75.7)];
    assert_eq!(streamed(&keys("e1 -> all(e2, e3)"), &input), ["100: WSO2 72.7 72.7"]);
    assert_eq!(streamed(&keys("e1 -> (e2 | e3)"), &input), ["100: WSO2 72.7 null"]);
    let input = [(0, 1, "WSO2", 55.6), (100, 2, "IBM", 10.7)];
    assert_eq!(streamed(&keys("e1 -> (e2 | e3)"), &input), ["100: WSO2 null 10.7"]);
}

#[test]
fn siddhi_absence_is_put_out_at_its_end_and_one_event_breaks_all_that_wait() {
    // Siddhi, AbsentPatternTestCase and EveryAbsentPatternTestCase.
    let keys = |pattern: &str, restart: &str| {
        siddhi(
            pattern,
            if pattern.contains("e3") {
                json!({"e1": "Stream1", "e2": "Stream2", "e3": "Stream3"})
            } else {
                json!({"e1": "Stream1", "e2": "Stream2"})
            },
            json!({"e1": "price > 20", "e2": "price > e1.price", "e3": "price > e1.price"}),
            json!({"select": {"first": "e1.symbol", "last": "symbol"}, "restart": restart}),
        )
    };
    let absent = |restart: &str| keys("e1 -> not e2 for 1ms", restart);
    let first = (0, 1, "WSO2", 55.6);
    assert_eq!(streamed(&absent("once"), &[first]), ["1000: WSO2 WSO2"]);
    assert_eq!(
        streamed(&absent("once"), &[first, (1100, 2, "IBM", 58.7)]),
        ["1000: WSO2 WSO2"]
    );
    assert_eq!(
        streamed(&absent("once"), &[first, (100, 2, "IBM", 50.7)]),
        ["1000: WSO2 WSO2"]
    );
    let second = (100, 1, "GOOG", 55.6);
    assert_eq!(
        streamed(&absent("always"), &[first, second]),
        ["1000: WSO2 WSO2", "1100: GOOG GOOG"]
    );
    assert_eq!(
        streamed(&absent("always"), &[first, second, (200, 2, "IBM", 55.7)]),
        Vec::<String>::new()
    );
    let then = keys("e1 -> not e2 for 1ms -> e3", "always");
    assert_eq!(
        streamed(&then, &[first, second, (1200, 3, "IBM", 55.7)]),
        ["1200: WSO2 IBM", "1200: GOOG IBM"]
    );
    let boundary = [
        (1000, 1, "a1", 21.0),
        (2000, 2, "b1", 99.0),
        (3000, 1, "a2", 21.0),
        (3999, 2, "b2", 99.0),
    ];
    assert_eq!(streamed(&absent("always"), &boundary), ["2000: a1 a1"]);
    let quiet = siddhi(
        "not e1 for 1ms -> e2",
        json!({"e1": "Stream1", "e2": "Stream2"}),
        json!({"e1": "price > 10", "e2": "price > 20"}),
        json!({"select": {"second": "e2.symbol"}, "restart": "always"}),
    );
    let input = [(1100, 2, "WSO2", 55.6), (1200, 2, "GOOG", 55.6)];
    assert_eq!(streamed(&quiet, &input), ["1100: WSO2", "1200: GOOG"]);
    let broken = [(1000, 1, "X", 55.6), (1999, 2, "WSO2", 55.6), (2000, 2, "GOOG", 55.6)];
    assert_eq!(streamed(&quiet, &broken), ["2000: GOOG"]);
}

#[test]
fn siddhi_every_around_the_whole_starts_again_when_it_is_complete() {
    // Siddhi, WithinPatternTestCase.testQuery6: seven events give two disjoint triples.
    let keys = siddhi(
        "e1 -> e2 -> e3",
        json!({"e1": "Stream1", "e2": "Stream1", "e3": "Stream1"}),
        json!({"e2": "symbol = e1.symbol", "e3": "symbol = e2.symbol"}),
        json!({"select": {"all": "collect(price)"}, "restart": "on-complete", "within": "5ms"}),
    );
    let input: Vec<(i64, usize, &str, f64)> = (1..8)
        .map(|i| (if i < 5 { 0 } else { 500 }, 1, "W", f64::from(i)))
        .collect();
    assert_eq!(streamed(&keys, &input), ["0: 1.0 2.0 3.0", "500: 4.0 5.0 6.0"]);
}

#[test]
fn siddhi_sequences_are_strict_and_a_new_start_replaces_the_old_run() {
    // Siddhi, SequenceTestCase.
    let keys = |pattern: &str, conditions: Json, select: Json| {
        siddhi(
            pattern,
            json!({"e1": "Stream1", "e2": "Stream2"}),
            conditions,
            json!({"select": select, "restart": "always"}),
        )
    };
    let plain = keys(
        "e1 e2",
        json!({"e1": "price > 20", "e2": "price > e1.price"}),
        json!({"first": "e1.symbol", "second": "e2.symbol"}),
    );
    let input = [(0, 1, "WSO2", 55.6), (100, 1, "GOOG", 57.6), (200, 2, "IBM", 65.7)];
    assert_eq!(streamed(&plain, &input), ["200: GOOG IBM"]);
    let star = keys(
        "e1 e2*",
        json!({"e1": "price > 20", "e2": "price > e1.price"}),
        json!({"first": "e1.symbol"}),
    );
    assert_eq!(
        streamed(&star, &[(0, 1, "WSO2", 55.6), (100, 1, "IBM", 55.7)]),
        ["0: WSO2", "100: IBM"]
    );
    let both = siddhi(
        "e1 (e2 | e3)",
        json!({"e1": "Stream2", "e2": "Stream2", "e3": "Stream2"}),
        json!({"e1": "price > 20", "e2": "price > e1.price", "e3": "symbol = 'IBM'"}),
        json!({"select": {"a": "e1.price", "b": "e2.price", "c": "e3.price"}, "restart": "always"}),
    );
    let input = [
        (0, 2, "WSO2", 59.6),
        (100, 2, "WSO2", 55.6),
        (200, 2, "IBM", 55.7),
        (300, 2, "WSO2", 57.6),
    ];
    assert_eq!(streamed(&both, &input), ["200: 55.6 55.7 null", "300: 55.7 57.6 null"]);
}

#[test]
fn a_watermark_is_what_time_goes_by() {
    let keys = letters("a -> not b for 5us", json!({}));
    let schema = Schema::new([("id", FieldType::Text), ("kind", FieldType::Text)]);
    let mut pair = Pair::over(&keys, &["s"], vec![schema]);
    pair.event(0, 10, vec!["a1".into(), "a".into()]);
    pair.watermark(Time::from_micros(13));
    assert_eq!(pair.said.len(), 0, "at 14 a b may still come");
    pair.watermark(Time::from_micros(14));
    assert_eq!(pair.said, [(15, "[a1]".to_owned(), vec![0])]);
    assert_eq!((pair.held, pair.caused), (0, 1));
}
