//! The operators of stream joins beside their naive models, step by step over random arrivals, and beside nested loops
//! over all events.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use wavetank_actors::operator::{Dropped, Emitted, Output};
use wavetank_actors::processing::{Surroundings, build};
use wavetank_oracle::{Arrival, Due, Why, reference};
use wavetank_scenarios::{Event, EventId, FieldType, Producer, Schema, Span, Time, Value, script};

/// Something that happens to an operator.
#[derive(Clone, Debug)]
enum Step {
    Event(usize, i64, u8, Option<i64>),
    Watermark(i64),
    Timer(u64),
    End,
}

fn schema() -> Schema {
    Schema::new([("k", FieldType::Text), ("v", FieldType::Int)])
}

fn operator(settings: &Json, inputs: &[&str]) -> script::Operator {
    let mut all = json!({"name": "op", "input": inputs});
    for (key, value) in settings.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    serde_json::from_value(all).expect("settings")
}

fn event(number: u64, input: usize, stamp: i64, key: u8, value: Option<i64>) -> Event {
    let id = EventId {
        producer: Producer(input as u32),
        number,
    };
    let key = if key == 0 {
        Value::Null
    } else {
        Value::text(format!("k{key}"))
    };
    Event {
        id,
        stamp: Time::from_micros(stamp),
        correlation: id,
        planned: Time::from_micros(stamp),
        row: vec![key, value.map_or(Value::Null, Value::Int)].into(),
        lineage: None,
        pane: None,
        sequence: None,
        position: None,
    }
}

/// What an operator did, in the words of a model.
fn did(out: Output) -> (Vec<String>, Vec<(EventId, Why)>) {
    let mut results = Vec::new();
    let mut dropped: Vec<(EventId, Why)> = out
        .dropped
        .iter()
        .map(|(id, why)| {
            let why = match why {
                Dropped::Filtered => Why::Filtered,
                Dropped::Late => Why::Late,
                Dropped::Failed => Why::Failed,
            };
            (*id, why)
        })
        .collect();
    for emitted in out.emitted {
        match emitted {
            Emitted::Result(draft) => {
                let origins = draft
                    .lineage
                    .as_deref()
                    .map_or_else(|| vec![draft.correlation], <[_]>::to_vec);
                results.push(format!(
                    "{:?} {:?} {} {origins:?}",
                    draft.stamp, draft.row, draft.correlation
                ));
            }
            Emitted::Late(_) => {}
            Emitted::Failed(failure) => dropped.push((failure.event.id, Why::Failed)),
        }
    }
    dropped.sort_unstable();
    (results, dropped)
}

fn due(due: &Due) -> (Vec<String>, Vec<(EventId, Why)>) {
    let results = due.results.iter();
    let results = results.map(|r| format!("{:?} {:?} {} {:?}", r.stamp, r.row, r.correlation, r.origins));
    let mut dropped = due.dropped.clone();
    dropped.sort_unstable();
    (results.collect(), dropped)
}

/// Both are told the same, and must do the same at every step.
fn together(settings: &Json, inputs: &[&str], steps: &[Step]) -> Result<(), TestCaseError> {
    let settings = operator(settings, inputs);
    let schema = schema();
    let schemas = vec![&schema; inputs.len()];
    let around = Surroundings {
        inputs: &schemas,
        output: &schema,
        tables: &[],
        tick: Span::UNIT,
        lineage: true,
    };
    let mut operator = build(&settings, around).map_err(TestCaseError::fail)?;
    let mut model = reference(&settings, &schemas, None, &BTreeMap::new(), Span::UNIT).map_err(TestCaseError::fail)?;
    let (mut watermark, mut passed) = (Time::MIN, Time::MIN);
    let mut timers: Vec<u64> = Vec::new();
    let mut taken = 0;
    let mut done = 0;
    for (number, step) in steps.iter().enumerate() {
        let mut out = Output::default();
        let expected = match step {
            Step::Event(input, stamp, key, value) => {
                let event = event(number as u64, input % inputs.len(), *stamp, *key, *value);
                taken += 1;
                operator.on_event(input % inputs.len(), event.clone(), Time::ZERO, &mut out);
                model.arrive(&Arrival::Event {
                    input: input % inputs.len(),
                    event,
                    now: Time::ZERO,
                    at: Time::ZERO,
                })
            }
            Step::Timer(which) => {
                if timers.is_empty() {
                    continue;
                }
                let token = timers.remove(*which as usize % timers.len());
                operator.on_timer(token, &mut out);
                model.arrive(&Arrival::Timer { token, at: Time::ZERO })
            }
            Step::Watermark(_) | Step::End => {
                let to = match step {
                    Step::Watermark(to) => Time::from_micros(*to),
                    _ => Time::MAX,
                };
                if to <= watermark {
                    continue;
                }
                watermark = to;
                operator.on_watermark(to, &mut out);
                model.arrive(&Arrival::Watermark(to))
            }
        };
        timers.extend(out.timers.iter().map(|(_, token)| *token));
        done += out.caused + out.dropped.len() as u64;
        done += out.emitted.iter().filter(|e| matches!(e, Emitted::Failed(_))).count() as u64;
        for emitted in &out.emitted {
            if let Emitted::Result(draft) = emitted {
                prop_assert!(
                    draft.stamp > passed,
                    "step {number} {step:?}: {:?} behind {passed:?}",
                    draft.stamp
                );
            }
        }
        let came = did(out);
        prop_assert_eq!(&came, &due(&expected), "step {} {:?} of {:?}", number, step, steps);
        prop_assert_eq!(operator.held(), expected.held, "held after step {} {:?}", number, step);
        prop_assert_eq!(taken, done + operator.held(), "every event has one fate");
        let limit = expected.limit.unwrap_or(Time::MAX).min(watermark);
        prop_assert_eq!(
            operator.watermark_limit().min(watermark),
            limit,
            "limit after step {} {:?}",
            number,
            step
        );
        passed = passed.max(limit);
    }
    if watermark == Time::MAX {
        prop_assert_eq!(operator.held(), 0);
    }
    Ok(())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let event = (0usize..6, 0i64..60, 0u8..4, prop::option::weighted(0.9, -2i64..3));
    let step = prop_oneof![
        5 => event.prop_map(|(input, stamp, key, value)| Step::Event(input, stamp, key, value)),
        2 => (0i64..70).prop_map(Step::Watermark),
        1 => (0u64..4).prop_map(Step::Timer),
    ];
    prop::collection::vec(step, 0..50).prop_map(|mut steps| {
        steps.push(Step::End);
        steps
    })
}

/// Arrivals in almost the order of time, with a watermark that follows: little is late.
fn orderly() -> impl Strategy<Value = Vec<Step>> {
    let event = (0usize..6, -6i64..1, 1u8..4, prop::option::weighted(0.9, -2i64..3));
    prop::collection::vec(event, 0..60).prop_map(|events| {
        let mut steps = Vec::new();
        for (i, (input, back, key, value)) in events.into_iter().enumerate() {
            let now = i as i64;
            steps.push(Step::Event(input, now + back, key, value));
            if i % 3 == 0 {
                steps.push(Step::Watermark(now - 7));
            }
        }
        steps.push(Step::End);
        steps
    })
}

fn shared() -> impl Strategy<Value = Json> {
    let when = prop::sample::select(vec!["at-end", "tick-before-end", "after-end"]);
    let by = prop::sample::select(vec!["window", "event"]);
    let stamp = prop::sample::select(vec!["last", "end", "latest", "earliest"]);
    let nulls = prop::sample::select(vec!["watermark", "eager"]);
    let ends = prop::sample::select(vec!["inclusive", "exclusive"]);
    let horizon = prop::sample::select(vec!["0s", "5us"]);
    (when, by, stamp, nulls, (ends.clone(), ends), horizon, any::<bool>()).prop_map(
        |(when, by, stamp, nulls, (lower, upper), horizon, touching)| {
            json!({
                "late_when": when, "late_by": by, "result_stamp": stamp, "horizon": horizon,
                "session_touching_merge": touching,
                "join": {"nulls": nulls, "lower": lower, "upper": upper},
            })
        },
    )
}

fn kind() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["join", "left join", "right join", "full join"])
}

fn with(mut settings: Json, query: String) -> Json {
    settings["query"] = json!(query);
    settings
}

/// Arrivals of any kind.
fn arrivals() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![steps(), orderly()]
}

/// Every combination of events `(number, stream, stamp, key)` that an interval join should give, by nested loops.
fn by_hand(
    events: &[(usize, usize, i64, u8)],
    kind: &str,
    before: i64,
    after: i64,
) -> Vec<(Option<usize>, Option<usize>)> {
    let (left, right): (Vec<_>, Vec<_>) = events.iter().partition(|(_, stream, ..)| *stream == 0);
    let near = |a: &(usize, usize, i64, u8), b: &(usize, usize, i64, u8)| {
        a.3 == b.3 && b.2 - a.2 >= -before && b.2 - a.2 <= after
    };
    let mut all = Vec::new();
    for a in &left {
        let partners = right.iter().filter(|b| near(a, b));
        all.extend(partners.map(|b| (Some(a.0), Some(b.0))));
        if kind.starts_with(['l', 'f']) && !right.iter().any(|b| near(a, b)) {
            all.push((Some(a.0), None));
        }
    }
    for b in right
        .iter()
        .filter(|b| kind.starts_with(['r', 'f']) && !left.iter().any(|a| near(a, b)))
    {
        all.push((None, Some(b.0)));
    }
    all.sort_unstable();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any order within the bound gives every pair; beyond it, what is missing is what the late events would have given.
    #[test]
    fn what_is_lost_is_what_is_late(
        kind in kind(),
        given in prop::collection::vec((0usize..2, 0i64..60, 1u8..4, 0i64..12), 0..50),
        bound in 0i64..14,
        (before, after) in (0i64..8, 0i64..8),
    ) {
        let query = format!(
            "select x.v as a, y.v as b from x {kind} y on x.k = y.k within ({before} us before, {after} us after)"
        );
        let settings = operator(&json!({"query": query}), &["x", "y"]);
        let schema = schema();
        let around = Surroundings {
            inputs: &[&schema, &schema],
            output: &schema,
            tables: &[],
            tick: Span::UNIT,
            lineage: true,
        };
        let mut join = build(&settings, around).map_err(TestCaseError::fail)?;
        let mut order: Vec<usize> = (0..given.len()).collect();
        order.sort_by_key(|i| given[*i].1 + given[*i].3);
        let (mut out, mut largest) = (Output::default(), i64::MIN);
        for i in order {
            let (stream, stamp, key, _) = given[i];
            let event = event(i as u64, stream, stamp, key, Some(i as i64));
            join.on_event(stream, event, Time::ZERO, &mut out);
            largest = largest.max(stamp);
            join.on_watermark(Time::from_micros(largest - bound - 1), &mut out);
        }
        join.on_watermark(Time::MAX, &mut out);
        let late: Vec<u64> =
            out.dropped.iter().filter(|(_, why)| *why == Dropped::Late).map(|(id, _)| id.number).collect();
        prop_assert!(bound < 11 || late.is_empty(), "{:?} are late", late);
        let admitted: Vec<(usize, usize, i64, u8)> = (0..given.len())
            .filter(|i| !late.contains(&(*i as u64)))
            .map(|i| (i, given[i].0, given[i].1, given[i].2))
            .collect();
        let number = |value: &Value| match value {
            Value::Int(i) => Some(*i as usize),
            _ => None,
        };
        let mut came: Vec<_> = out
            .emitted
            .iter()
            .filter_map(|emitted| match emitted {
                Emitted::Result(draft) => Some((number(&draft.row[0]), number(&draft.row[1]))),
                _ => None,
            })
            .collect();
        came.sort_unstable();
        prop_assert_eq!(came, by_hand(&admitted, kind, before, after));
    }

    #[test]
    fn pairs_within_a_distance(
        settings in shared(),
        kind in kind(),
        steps in arrivals(),
        (before, after) in (-4i64..12, 4i64..12),
    ) {
        let query = format!(
            "select x.k as a, x.v, y.k as b, y.v / x.v as w, event_time() as t from x {kind} y on x.k = y.k \
             and y.v >= x.v within ({} us before, {after} us after) where x.v is null or x.v < 2",
            before.max(0)
        );
        together(&with(settings, query), &["x", "y"], &steps)?;
    }

    #[test]
    fn chains_of_three(
        settings in shared(),
        (one, two) in (kind(), kind()),
        steps in arrivals(),
        anchor in prop::sample::select(vec!["x", "y"]),
        (low, high) in (-9i64..3, 3i64..9),
    ) {
        let query = format!(
            "select x.v as a, y.v as b, z.v as c, event_time(x) as t, event_time(y) as u from x {one} y on y.k = x.k \
             and event_time(y) > event_time(x) - interval '6us' and event_time(y) - event_time(x) <= interval '4us' \
             {two} z on z.k = coalesce(x.k, y.k) and event_time(z) between event_time({anchor}) + interval '{low}us' \
             and event_time({anchor}) + interval '{high}us'"
        );
        let mut settings = settings;
        settings["join"] = json!({"nulls": settings["join"]["nulls"]});
        together(&with(settings, query), &["z", "x", "y"], &steps)?;
    }

    #[test]
    fn chains_measured_from_results(settings in shared(), (one, two) in (kind(), kind()), steps in arrivals()) {
        let query = format!(
            "select x.v as a, y.v as b, z.v as c from x {one} y on y.k = x.k within (5us before, 3us after) \
             {two} z on z.k = x.k within (4us)"
        );
        together(&with(settings, query), &["x", "y", "z"], &steps)?;
    }

    #[test]
    fn versions(
        settings in shared(),
        (left, arrival) in any::<(bool, bool)>(),
        age in prop::option::of(1i64..20),
        steps in arrivals(),
    ) {
        let kind = if left { "left join" } else { "join" };
        let age = age.map_or_else(String::new, |age| format!("within ({age}us before)"));
        let query = format!(
            "select x.k, x.v as a, y.v as b, event_time(y) as since from x {kind} y for system_time as of \
             event_time(x) on x.k = y.k and y.v <> 0 {age}"
        );
        let mut settings = settings;
        let versions = if arrival { "arrival" } else { "event-time" };
        settings["join"] = json!({"versions": versions, "lower": settings["join"]["lower"]});
        together(&with(settings, query), &["x", "y"], &steps)?;
    }

    #[test]
    fn a_version_within_a_chain(settings in shared(), (one, two) in (kind(), kind()), steps in arrivals()) {
        let query = format!(
            "select x.v as a, y.v as b, z.v as c, event_time() as t from x {one} y on y.k = x.k within (4us) \
             left join w for system_time as of event_time(y) on w.k = y.k \
             {two} z on z.k = x.k within (4us) of x"
        );
        together(&with(settings, query), &["x", "y", "w", "z"], &steps)?;
    }

    #[test]
    fn last_events(settings in shared(), kind in kind(), steps in steps()) {
        let query = format!("select x.v as a, y.v as b from x window length(3) {kind} y window length(1) on x.k = y.k");
        together(&with(settings, query), &["x", "y"], &steps)?;
    }

    #[test]
    fn windows(
        settings in shared(),
        (one, two) in (kind(), kind()),
        steps in arrivals(),
        window in prop::sample::select(vec!["tumbling(10us)", "hop(9us, 4us)", "hop(4us, 7us)", "cumulate(12us, 4us)"]),
    ) {
        let query = format!(
            "select x.v as a, y.v / y.v as b, z.v as c, window_start, window_end from x {one} y on y.k = x.k \
             and y.v <= x.v {two} z on z.k = y.k window {window}"
        );
        let mut settings = settings;
        settings["join"] = json!({});
        together(&with(settings, query), &["x", "y", "z"], &steps)?;
    }

    #[test]
    fn sessions(settings in shared(), kind in kind(), steps in arrivals()) {
        let query = format!(
            "select x.v as a, y.v as b, window_start, window_end from x {kind} y on y.k = x.k window session(5us)"
        );
        let mut settings = settings;
        settings["join"] = json!({});
        together(&with(settings, query), &["x", "y"], &steps)?;
    }

    #[test]
    fn gathered_parts(
        settings in shared(),
        ask in 0u32..3,
        (node, by_field) in any::<(bool, bool)>(),
        steps in arrivals(),
    ) {
        let clock = if node { "node" } else { "event-time" };
        let mut gather = json!({"by": ["k"], "within": "8us", "ask": ask, "clock": clock});
        if by_field {
            gather["part"] = json!("v");
            gather["parts"] = json!(["-1", "0", "1"]);
        }
        let mut settings = settings;
        settings["join"] = json!({});
        settings["gather"] = gather;
        together(&settings, &["x", "y", "z"], &steps)?;
    }
}
