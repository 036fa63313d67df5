//! Early answers, corrections and compensations: whatever the arrivals and the settings, operator and reference say the
//! same at every step, and the changes that a receiver folds make sense.

mod common;

use std::fmt::Write;

use common::{broken, script};
use proptest::prelude::*;
use wavetank_harness::{Options, Tank};

/// An event: how long after the one before it arrives, how far its stamp is behind, its key and its value.
type Wave = (u64, u64, u8, i64);

fn waves() -> impl Strategy<Value = Vec<Wave>> {
    prop::collection::vec(
        (0u64..4, prop_oneof![3 => 0u64..3, 1 => 0u64..30], 0u8..3, -2i64..3),
        1..40,
    )
}

/// A source of literal events that arrive as the waves say, in seconds.
fn source(waves: &[Wave]) -> String {
    let mut events = String::new();
    let mut now = 40;
    for (gap, behind, key, value) in waves {
        now += gap;
        let _ = writeln!(
            events,
            "  {{ t = \"{}s\", at = \"{now}s\", row = {{ k = \"{}\", v = {value} }} }},",
            now - behind,
            (b'a' + key) as char
        );
    }
    format!("[[source]]\nname = \"s\"\nevents = [\n{events}]\n")
}

/// Runs a scenario of one operator over the waves; the operator must be what its reference is.
fn agrees(waves: &[Wave], operator: &str) -> Result<(), TestCaseError> {
    let text = format!(
        "schema = 1\nname = \"fuzz\"\npattern = \"course-correction\"\n{}\n[[operator]]\nname = \"op\"\ninput = [\"s\"]\n\
         {operator}\n[[sink]]\nname = \"to\"\ninput = [\"op\"]\n",
        source(waves)
    );
    let ran = Tank::default().run(&script(&text), &Options::default());
    let ran = ran.map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
    prop_assert!(broken(&ran).is_empty(), "{:#?}\n{text}", broken(&ran));
    Ok(())
}

fn trigger() -> impl Strategy<Value = String> {
    prop_oneof![
        (1u64..4).prop_map(|n| format!("{{ count = {n} }}")),
        (1u64..9).prop_map(|s| format!("{{ every = \"{s}s\" }}")),
        Just("{ watermark = true }".to_owned()),
        (2u64..5, 1u64..9).prop_map(|(n, s)| format!("{{ count = {n}, every = \"{s}s\" }}")),
    ]
}

fn windows() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("window tumbling(10 sec)"),
        Just("window hop(10 sec, 4 sec)"),
        Just("window cumulate(12 sec, 4 sec)"),
        Just("window session(4 sec)"),
        Just("window global()"),
    ]
}

/// Settings of bounds and grid that go with a window.
fn placed(window: &str, bounds: u8, first: bool) -> String {
    let grid = ["tumbling", "hop", "cumulate"].iter().any(|name| window.contains(name));
    let closed = window.contains("session") || window.contains("time(");
    let bounds = match bounds {
        1 if grid => "end",
        1 if closed => "both",
        _ => "start",
    };
    let align = if grid && first { "first-event" } else { "epoch" };
    format!("bounds = \"{bounds}\"\nalign = \"{align}\"")
}

/// A watermark generator, or the clocks of the keys where the windows can go by them.
fn watermark(behind: u64, window: &str, clause: &str, own: bool, first: bool) -> String {
    let each = ["tumbling", "hop", "cumulate", "session", "stagger"];
    let own = own && each.iter().any(|name| window.contains(name)) && !clause.contains("limit") && !first;
    let scope = if own { ", scope = \"key\"" } else { "" };
    format!("watermark = {{ behind = \"{behind}s\"{scope} }}")
}

fn clauses() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        3 => Just(""),
        1 => Just("having n < 3"),
        1 => Just("having total > 0"),
        1 => Just("order by total desc limit 1"),
        1 => Just("having n > 1 order by n limit 2"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn windows_with_triggers_say_what_their_reference_says(
        waves in waves(),
        window in windows(),
        clause in clauses(),
        early in prop::option::of(trigger()),
        late in prop::option::of(trigger()),
        panes in prop_oneof![Just("accumulating"), Just("discarding"), Just("retracting")],
        horizon in prop_oneof![Just(0u64), Just(5), Just(40)],
        behind in 0u64..4,
        late_when in prop_oneof![Just("at-end"), Just("tick-before-end"), Just("after-end")],
        by_key in any::<bool>(),
        emit_empty in any::<bool>(),
        (bounds, first, own) in (0u8..2, any::<bool>(), any::<bool>()),
    ) {
        let watermark = watermark(behind, window, clause, own && by_key, first);
        let placed = placed(window, bounds, first);
        let emit_empty = emit_empty && panes != "discarding";
        let (select, group) = if by_key { ("k, ", "group by k ") } else { ("", "") };
        let mut emit = format!("panes = \"{panes}\"");
        for (name, trigger) in [("early", early), ("late", late)] {
            if let Some(trigger) = trigger {
                let _ = write!(emit, ", {name} = {trigger}");
            }
        }
        agrees(&waves, &format!(
            "query = \"select {select}count(*) as n, sum(v) as total, max(v) as most from s {window} {group}{clause}\"\n\
             emit = {{ {emit} }}\nemit_empty = {emit_empty}\n{placed}\nhorizon = \"{horizon}s\"\nlate_when = \"{late_when}\"\n\
             {watermark}"
        ))?;
    }

    #[test]
    fn corrections_without_triggers_say_what_their_reference_says(
        waves in waves(),
        window in prop_oneof![
            windows(), Just("window time(6 sec)"), Just("window stagger(7 sec)"),
        ],
        clause in clauses(),
        horizon in prop_oneof![Just(0u64), Just(5), Just(40)],
        stamp in prop_oneof![Just("last"), Just("latest"), Just("earliest")],
        behind in 0u64..4,
        emit_empty in any::<bool>(),
        by_key in any::<bool>(),
        (bounds, first, own) in (0u8..2, any::<bool>(), any::<bool>()),
    ) {
        let watermark = watermark(behind, window, clause, own && by_key, first);
        let placed = placed(window, bounds, first);
        let (select, group) = if by_key { ("k, ", "group by k ") } else { ("", "") };
        agrees(&waves, &format!(
            "query = \"select {select}count(*) as n, sum(v) as total, max(v) as most from s {window} {group}{clause}\"\n\
             emit_empty = {emit_empty}\n{placed}\n\
             horizon = \"{horizon}s\"\nresult_stamp = \"{stamp}\"\n{watermark}"
        ))?;
    }

    #[test]
    fn compensations_say_what_their_reference_says(
        waves in waves(),
        horizon in prop_oneof![Just(1u64), Just(5), Just(100)],
        behind in 0u64..4,
        late_when in prop_oneof![Just("at-end"), Just("tick-before-end"), Just("after-end")],
        stands in prop_oneof![Just("first-by-event-time"), Just("first-to-arrive")],
    ) {
        agrees(&waves, &format!(
            "compensate = {{ by = [\"k\"], stands = \"{stands}\" }}\nhorizon = \"{horizon}s\"\nlate_when = \"{late_when}\"\n\
             watermark = {{ behind = \"{behind}s\" }}"
        ))?;
    }
}
