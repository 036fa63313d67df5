//! Joins.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{cut, kept, steps};
use crate::reliability::twin::spoils;

fn kind() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["join", "left join", "right join", "full join"])
}

fn shared() -> impl Strategy<Value = Json> {
    let when = prop::sample::select(vec!["at-end", "tick-before-end", "after-end"]);
    let by = prop::sample::select(vec!["window", "event"]);
    let stamp = prop::sample::select(vec!["last", "end", "latest", "earliest"]);
    (when, by, stamp, any::<[bool; 3]>()).prop_map(|(when, by, stamp, [eager, horizon, touching])| {
        json!({
            "late_when": when, "late_by": by, "result_stamp": stamp, "late": "side",
            "horizon": if horizon { "5us" } else { "0s" },
            "session_touching_merge": touching,
            "join": {"nulls": if eager { "eager" } else { "watermark" }},
        })
    })
}

fn with(mut settings: Json, query: String) -> Json {
    settings["query"] = json!(query);
    settings
}

proptest! {
    #[test]
    fn what_waits_within_a_distance_is_kept(
        settings in shared(), (one, two) in (kind(), kind()), steps in steps(3), cut in cut(), spoils in spoils(),
        anchor in prop::sample::select(vec!["x", "y"]),
    ) {
        let query = format!(
            "select x.v as a, y.v as b, z.v / x.v as c, event_time() as t from x {one} y on y.k = x.k and y.v >= x.v \
             within (5us before, 3us after) {two} z on z.k = coalesce(x.k, y.k) and event_time(z) between \
             event_time({anchor}) - interval '4us' and event_time({anchor}) + interval '6us'"
        );
        kept(&with(settings, query), &["z", "x", "y"], &steps, cut, &spoils)?;
    }

    #[test]
    fn versions_are_kept(
        settings in shared(), arrival: bool, two in kind(), age in prop::option::of(1i64..20), steps in steps(3),
        cut in cut(), spoils in spoils(),
    ) {
        let age = age.map_or_else(String::new, |age| format!("within ({age}us before)"));
        let query = format!(
            "select x.k, x.v as a, y.v as b, z.n from x left join y for system_time as of event_time(x) on x.k = y.k \
             {age} {two} z on z.k = x.k within (4us) of x"
        );
        let mut settings = settings;
        settings["join"]["versions"] = json!(if arrival { "arrival" } else { "event-time" });
        kept(&with(settings, query), &["x", "y", "z"], &steps, cut, &spoils)?;
    }

    #[test]
    fn last_events_are_kept(
        settings in shared(), kind in kind(), (left, right) in (1u64..5, 1u64..5), steps in steps(2), cut in cut(),
        spoils in spoils(),
    ) {
        let query = format!(
            "select x.v as a, y.v as b from x window length({left}) {kind} y window length({right}) on x.k = y.k"
        );
        kept(&with(settings, query), &["x", "y"], &steps, cut, &spoils)?;
    }

    #[test]
    fn windows_and_sessions_are_kept(
        settings in shared(), kind in kind(), window in 0usize..4, steps in steps(2), cut in cut(), spoils in spoils(),
    ) {
        let window = ["tumbling(8us)", "hop(9us, 3us)", "cumulate(12us, 4us)", "session(3us)"][window];
        let query = format!(
            "select x.v as a, y.v / x.v as b, window_start as t from x {kind} y on x.k = y.k window {window}"
        );
        kept(&with(settings, query), &["x", "y"], &steps, cut, &spoils)?;
    }

    #[test]
    fn rounds_are_kept(
        settings in shared(), node: bool, ask in 0u32..3, within in 3i64..12, named: bool, steps in steps(3),
        cut in cut(), spoils in spoils(),
    ) {
        let mut settings = settings;
        settings.as_object_mut().map(|all| all.remove("join"));
        settings["gather"] = json!({
            "by": ["k"], "within": format!("{within}us"), "clock": if node { "node" } else { "event-time" }, "ask": ask,
        });
        if named {
            settings["gather"]["part"] = json!("n");
            settings["gather"]["parts"] = json!(["1", "2", "3"]);
        }
        kept(&settings, &["x", "y", "z"], &steps, cut, &spoils)?;
    }
}
