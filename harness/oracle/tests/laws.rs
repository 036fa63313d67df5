//! Laws that hold for any input.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Told, at, event, operator, schema, shown};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use wavetank_oracle::conservation::{Account, Step};
use wavetank_oracle::table::{Changes, Table};
use wavetank_oracle::{Arrival, Due, Why, reference};
use wavetank_scenarios::{EventId, Span, Time};

/// An event of the tests: stamp, key, value.
type Given = (i64, u8, i64);

fn arrival(number: usize, (stamp, key, value): Given) -> Arrival {
    let event = event(
        number as u64,
        stamp,
        vec![format!("k{key}").as_str().into(), value.into()],
    );
    let now = event.stamp;
    Arrival::Event {
        input: 0,
        event,
        now,
        at: now,
    }
}

fn run(settings: &Json, arrivals: &[Arrival]) -> Vec<Due> {
    let mut model = reference(
        &operator(settings.clone()),
        &[&schema()],
        None,
        &BTreeMap::new(),
        Span::UNIT,
    )
    .unwrap();
    arrivals.iter().map(|a| model.arrive(a)).collect()
}

/// What a receiver has in the end, the rows only.
fn table(due: &[Due]) -> Vec<String> {
    let mut table = Table::default();
    due.iter().flat_map(|d| &d.results).for_each(|r| table.fold_due(r));
    table
        .rows()
        .iter()
        .map(|(name, entry)| format!("{name:?} {:?} {:?}", entry.row, entry.origins))
        .collect()
}

fn with_end(mut arrivals: Vec<Arrival>) -> Vec<Arrival> {
    arrivals.push(Arrival::Watermark(Time::MAX));
    arrivals
}

fn query(window: &str) -> Json {
    let select = "select k, count(*) as n, sum(v) as total, min(v) as low, collect(v) as all_of_them from s";
    json!({"query": format!("{select} window {window} group by k")})
}

const WINDOWS: [&str; 9] = [
    "tumbling(7us)",
    "tumbling(7us, 3us)",
    "hop(10us, 4us)",
    "cumulate(12us, 4us)",
    "session(3us)",
    "stagger(6us)",
    "time(5us)",
    "snapshot(4us)",
    "global()",
];

fn events() -> impl Strategy<Value = Vec<Given>> {
    proptest::collection::vec((-20i64..60, 0u8..3, -5i64..5), 0..25)
}

/// Watermarks between the events, as a generator with bounded disorder would send them.
fn with_watermarks(events: &[Given], behind: i64) -> Vec<Arrival> {
    let mut largest = i64::MIN;
    let mut all = Vec::new();
    for (i, given) in events.iter().enumerate() {
        all.push(arrival(i, *given));
        if given.0 > largest {
            largest = given.0;
            all.push(Arrival::Watermark(at(largest - behind - 1)));
        }
    }
    with_end(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Ids stay with their events, so that only the order of arrival differs.
    #[test]
    fn the_final_table_does_not_depend_on_the_order_of_arrival(events in events(), seed in any::<u64>()) {
        for window in WINDOWS {
            let inorder: Vec<Arrival> = events.iter().enumerate().map(|(i, e)| arrival(i, *e)).collect();
            let mut shuffled = inorder.clone();
            let mut state = seed;
            for i in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                shuffled.swap(i, (state >> 33) as usize % (i + 1));
            }
            let settings = query(window);
            prop_assert_eq!(table(&run(&settings, &with_end(inorder))), table(&run(&settings, &with_end(shuffled))));
        }
    }

    #[test]
    fn within_the_disorder_watermarks_change_nothing_but_when_answers_come(events in events()) {
        for window in WINDOWS {
            let settings = query(window);
            let behind = 100;
            let due = run(&settings, &with_watermarks(&events, behind));
            prop_assert!(due.iter().all(|d| d.dropped.iter().all(|(_, why)| *why != Why::Late)));
            let plain: Vec<Arrival> = events.iter().enumerate().map(|(i, e)| arrival(i, *e)).collect();
            prop_assert_eq!(table(&due), table(&run(&settings, &with_end(plain))), "{}", window);
        }
    }

    /// Sessions and staggered windows are left out: a closed one is forgotten, and what comes then opens another.
    #[test]
    fn with_a_horizon_corrections_fold_to_the_answer_over_what_was_admitted(events in events(), behind in 0i64..20, horizon in 0i64..30) {
        for window in ["tumbling(7us)", "tumbling(7us, 3us)", "time(5us)", "snapshot(4us)", "global()"] {
            let mut settings = query(window);
            settings["horizon"] = json!(format!("{horizon}us"));
            let due = run(&settings, &with_watermarks(&events, behind));
            let late: BTreeSet<u64> = due.iter().flat_map(|d| &d.dropped).map(|(id, _)| id.number).collect();
            let admitted = (0..events.len()).filter(|i| !late.contains(&(*i as u64))).map(|i| arrival(i, events[i]));
            prop_assert_eq!(table(&due), table(&run(&settings, &with_end(admitted.collect()))), "{}", window);
        }
    }

    #[test]
    fn corrections_are_proper_changes(events in events(), behind in 0i64..20, horizon in 0i64..30) {
        for window in WINDOWS {
            let mut settings = query(window);
            settings["horizon"] = json!(format!("{horizon}us"));
            let mut changes = Changes::default();
            for result in run(&settings, &with_watermarks(&events, behind)).iter().flat_map(|d| &d.results) {
                prop_assert_eq!(changes.next(result.pane.as_ref().unwrap(), &result.row), Ok(()), "{}", window);
            }
        }
    }

    #[test]
    fn every_event_is_accounted_for_at_every_instant(events in events(), behind in 0i64..20, horizon in 0i64..30) {
        for window in WINDOWS.iter().chain(&["length(3)", "length_batch(4)"]) {
            let mut settings = query(window);
            settings["horizon"] = json!(format!("{horizon}us"));
            let arrivals = with_watermarks(&events, behind);
            let mut account = Account::default();
            let (mut arrived, mut ended) = (0, 0);
            for (arrival, due) in arrivals.iter().zip(run(&settings, &arrivals)) {
                let id = match arrival { Arrival::Event { event, .. } => Some([event.id]), _ => None };
                arrived += u64::from(id.is_some());
                let caused = arrived - due.held - ended - due.dropped.len() as u64;
                ended = arrived - due.held;
                let results: Vec<&[EventId]> = due.results.iter().map(|r| &r.origins[..]).collect();
                let broken = account.step(&Step {
                    arrived: id.as_ref().map(|id| (id[0], &id[..])),
                    results: &results,
                    dropped: &due.dropped,
                    caused,
                    held: due.held,
                    ..Step::default()
                });
                prop_assert_eq!(broken, None, "{}", window);
            }
            prop_assert_eq!(account.open(), [], "{}", window);
        }
    }

    #[test]
    fn tumbling_is_grouping_by_the_floor_of_time(events in events(), size in 1i64..15, offset in -9i64..9) {
        let settings = json!({"query": format!("select k, sum(v) as t from s window tumbling({size}us, {offset}us) group by k")});
        let mut groups: BTreeMap<(i64, u8), i64> = BTreeMap::new();
        for (t, k, v) in &events {
            *groups.entry(((t - offset).div_euclid(size), *k)).or_default() += v;
        }
        let expected: Vec<String> = groups
            .iter()
            .map(|((n, k), v)| format!("[{},{}) k{k} {v}", n * size + offset, (n + 1) * size + offset))
            .collect();
        let arrivals = with_end(events.iter().enumerate().map(|(i, e)| arrival(i, *e)).collect());
        prop_assert_eq!(shown(run(&settings, &arrivals).last().unwrap()), expected.join("; "));
    }

    #[test]
    fn a_hop_of_its_own_size_is_tumbling(events in events(), size in 1i64..15, behind in 0i64..20) {
        let arrivals = with_watermarks(&events, behind);
        let tumbling = run(&query(&format!("tumbling({size}us)")), &arrivals);
        prop_assert_eq!(run(&query(&format!("hop({size}us, {size}us)")), &arrivals), tumbling);
    }

    #[test]
    fn a_session_holds_a_chain_of_near_events_and_nothing_near_lies_outside(events in events(), gap in 1i64..8) {
        let query = format!("select k, collect(event_time()) as ts from s window session({gap}us) group by k");
        let arrivals = with_end(events.iter().enumerate().map(|(i, e)| arrival(i, *e)).collect());
        let due = run(&json!({"query": query}), &arrivals);
        let mut last: BTreeMap<String, i64> = BTreeMap::new();
        let mut seen = 0;
        for result in &due.last().unwrap().results {
            let pane = result.pane.as_ref().unwrap();
            let wavetank_scenarios::Value::List(ts) = &result.row[1] else { panic!("a list") };
            let ts: Vec<i64> = ts.iter().map(|t| match t {
                wavetank_scenarios::Value::Time(t) => t.micros(),
                other => panic!("{other}"),
            }).collect();
            seen += ts.len();
            prop_assert!(ts.windows(2).all(|w| w[1] - w[0] <= gap));
            prop_assert_eq!((pane.start, pane.end), (at(ts[0]), at(ts[ts.len() - 1] + gap)));
            if let Some(before) = last.insert(result.row[0].to_string(), ts[ts.len() - 1]) {
                prop_assert!(ts[0] - before > gap);
            }
        }
        prop_assert_eq!(seen, events.len());
    }
}

/// Every order of four events, with watermarks after any of them, for the windows on a grid: whatever was admitted is
/// answered, and only what came behind its last window was late.
#[test]
fn in_every_order_of_a_few_events_late_is_exactly_what_came_behind_its_last_window() {
    let stamps = [0, 3, 4, 9];
    for order in permutations(&[0, 1, 2, 3]) {
        for marks in 0..16u32 {
            let (mut largest, mut watermark) = (i64::MIN, i64::MIN);
            let mut told = Told::query("select collect(v) as vs from s window hop(4us, 2us)", json!({}));
            let mut late = BTreeSet::new();
            for (place, i) in order.iter().enumerate() {
                let t: i64 = stamps[*i];
                let came = told.event(t, "a", t);
                let last_end = t.div_euclid(2) * 2 + 4;
                let expected_late = watermark > i64::MIN && watermark >= last_end - 1;
                assert_eq!(came.contains("late"), expected_late, "{order:?} {marks:b} {t}");
                if expected_late {
                    late.insert(t);
                }
                largest = largest.max(t);
                if marks & (1 << place) != 0 && largest - 1 > watermark {
                    watermark = largest - 1;
                    told.watermark(watermark);
                }
            }
            told.end();
            assert_eq!(told.held(), 0);
            let answered: String = told.due.iter().map(|d| shown(d) + ";").collect();
            for t in stamps.iter().filter(|t| !late.contains(*t)) {
                let inside = |list: &str| list.split(", ").any(|x| x == t.to_string());
                let lists = answered.split(['[', ']']);
                assert!(lists.into_iter().any(inside), "{t} is in no answer: {answered}");
            }
        }
    }
}

fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for (i, first) in items.iter().enumerate() {
        let rest: Vec<usize> = items
            .iter()
            .enumerate()
            .filter(|(j, _)| *j != i)
            .map(|(_, x)| *x)
            .collect();
        for mut tail in permutations(&rest) {
            tail.insert(0, *first);
            all.push(tail);
        }
    }
    all
}
