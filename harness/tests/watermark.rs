//! Watermarks, alignment and epochs in whole runs: whatever is set and whatever goes wrong outside of the stages, each of
//! them does what the judge's models say; and what must be seen, is.

mod common;

use common::{broken, millis, play, play_at, taken};
use proptest::prelude::*;

/// Three sources with clocks of their own, two stages that make watermarks, and one that combines them.
fn pipeline(first: &str, second: &str, valve: &str, epoch: &str, faults: &str) -> String {
    // The engine's clock combines nothing.
    let with = |generator: &str| if generator.contains("arrival") { "" } else { valve };
    let (first_valve, second_valve) = (with(first), with(second));
    format!(
        r#"
schema = 1
name = "any"
pattern = "watermark"
[time]
length = "20s"
{epoch}
[[node]]
name = "meters-1"
offset = "-2s"
[[source]]
name = "meters"
rate = "8/s"
nodes = 2
fields = {{ power = {{ uniform = [0, 9] }} }}
[[source]]
name = "gauges"
rate = "5/s"
fields = {{ power = {{ uniform = [0, 9] }} }}
[[operator]]
name = "left"
input = ["meters"]
filter = "power > 1"
watermark = {first}
{first_valve}
[[operator]]
name = "right"
input = ["gauges", "meters"]
filter = "power < 8"
watermark = {second}
{second_valve}
[[operator]]
name = "both"
input = ["left", "right"]
query = "select count(*) as n, sum(power) as power from left window tumbling(2 sec)"
{valve}
[[sink]]
name = "board"
input = ["both", "left"]
[[link]]
from = "meters"
to = "left"
kind = "datagram"
delay = {{ uniform = ["0s", "700ms"] }}
[[link]]
from = "right"
to = "both"
delay = {{ uniform = ["0s", "900ms"] }}
{faults}
"#
    )
}

fn generator() -> impl Strategy<Value = String> {
    let kind = prop_oneof![
        Just(r#"behind = "1s""#),
        Just(r#"behind = "300ms""#),
        Just(r#"kind = "ascending""#),
        Just(r#"kind = "punctuated", when = "power = 5""#),
        Just(r#"kind = "punctuated", when = "power > 3", time = "event_time() - 1000000", behind = "10ms""#),
        Just(r#"kind = "percentile", share = 0.9, over = 20"#),
        Just(r#"kind = "percentile", share = 0.5, over = 7, least = "100ms", most = "1s""#),
        Just(r#"kind = "forward""#),
    ];
    let scope = prop_oneof![Just(""), Just(r#", scope = "source""#), Just(r#", scope = "input""#)];
    let every = prop_oneof![
        Just(""),
        Just(r#", every = "300ms""#),
        Just(", every = 5"),
        Just(", every = 3, back = 2"),
        Just(", back = 4")
    ];
    let idle = prop_oneof![Just(""), Just(r#", idle = "800ms""#), Just(r#", idle = "3s""#)];
    let align = prop_oneof![
        Just(""),
        Just(r#", align = { ahead = "500ms" }"#),
        Just(r#", align = { ahead = "1s", every = "250ms" }"#)
    ];
    let by_stamps = (kind, scope, every, idle, align).prop_map(|(kind, scope, every, idle, align)| {
        let align = if scope.contains("input") { "" } else { align };
        format!("{{ {kind}{scope}{every}{idle}{align} }}")
    });
    prop_oneof![4 => by_stamps, 1 => by_clock()]
}

/// The engine's clock, which reads no more than how often it is looked at.
fn by_clock() -> impl Strategy<Value = String> {
    prop_oneof![Just("70ms"), Just("500ms"), Just("3s")]
        .prop_map(|every| format!("{{ kind = \"arrival\", every = \"{every}\" }}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_stage_does_what_the_judge_says_under_any_settings_and_waves(
        first in generator(),
        second in generator(),
        valve in prop_oneof![
            Just(""),
            Just("valve = { returns = \"caught-up\", all_idle = \"flush\" }"),
            Just("valve = { combine = \"max\" }"),
            Just("valve = { combine = \"max\", returns = \"caught-up\" }"),
            Just("valve = { all_idle = \"flush\" }"),
        ],
        waves in prop::sample::subsequence(vec![
            "id = \"a\"\nkind = \"idle\"\non = \"meters-0\"\nduring = \"4s..9s\"",
            "id = \"b\"\nkind = \"late-start\"\non = \"gauges\"\nduring = \"..6s\"",
            "id = \"c\"\nkind = \"reorder\"\non = \"meters -> left\"\nrate = 0.3\namount = { uniform = [\"0s\", \"2s\"] }",
            "id = \"d\"\nkind = \"drop\"\non = \"meters -> left\"\nrate = 0.1",
            "id = \"e\"\nkind = \"crash\"\non = \"left\"\nat = \"8s\"\nrestart = \"1s\"",
            "id = \"f\"\nkind = \"pause\"\non = \"right\"\nevery = \"5s\"\nfor = \"900ms\"",
            "id = \"g\"\nkind = \"jump\"\non = \"gauges\"\nat = \"7s\"\namount = \"-1s\"",
        ], 0..=7),
        seed in 0u64..1000,
    ) {
        // A source that two stages hold can be stopped for good by both, and is refused.
        let second = second.replace(", align = { ahead = \"500ms\" }", "");
        let second = second.replace(", align = { ahead = \"1s\", every = \"250ms\" }", "");
        let faults: String = waves.iter().map(|wave| format!("[[fault]]\n{wave}\n")).collect();
        let text = pipeline(&first, &second, valve, "", &faults);
        let ran = play_at(&text, seed);
        prop_assert!(broken(&ran).is_empty(), "{:#?}\n{}", broken(&ran), text);
    }

    #[test]
    fn epochs_are_the_same_on_every_path_over_streams_of_any_delay(
        every in 200i64..3_000,
        (near, far) in (0i64..3_000, 0i64..3_000),
        order in prop_oneof![Just("arrival"), Just("stamp")],
        counter in prop_oneof![Just(""), Just("counter = { ask = \"150ms\" }")],
        slow in any::<bool>(),
        seed in 0u64..1000,
    ) {
        let epoch = format!("[epoch]\nevery = \"{every}ms\"\norder = \"{order}\"\n{counter}\n");
        let links = format!(
            "[[link]]\nfrom = \"gauges\"\nto = \"right\"\ndelay = {{ uniform = [\"0s\", \"{}ms\"] }}\n\
             [[link]]\nfrom = \"left\"\nto = \"both\"\ncapacity = 4\ndelay = {{ uniform = [\"0s\", \"{}ms\"] }}\n{}",
            near + 1,
            far + 1,
            if slow { "[[node]]\nname = \"both\"\nservice = \"30ms\"\nmailbox = 5\n" } else { "" }
        );
        let text = pipeline("{ behind = \"4s\" }", "{ behind = \"4s\" }", "", &epoch, &links)
            .replace("kind = \"datagram\"", "kind = \"stream\"");
        let ran = play_at(&text, seed);
        prop_assert!(broken(&ran).is_empty(), "{:#?}\n{}", broken(&ran), text);
        prop_assert!(ran.record.expectations.iter().any(|e| e.name == "epochs are the same on every path"));
    }
}

#[test]
fn a_stage_that_swallows_watermarks_is_named_with_the_first_that_is_missing_and_the_fault() {
    let fault = "[[fault]]\nid = \"mute\"\nkind = \"swallow-watermarks\"\non = \"right\"\nduring = \"5s..8s\"\n";
    let record = play(&pipeline("{ behind = \"1s\" }", "{ behind = \"1s\" }", "", "", fault)).record;
    let name = "right passes watermarks on at their place";
    let found = record
        .expectations
        .iter()
        .find(|e| e.name == name)
        .expect("the stage is named");
    let failure = found.failure.as_ref().expect("it is broken");
    let since = failure.first_broken.expect("since when").0;
    assert!((5_000_000..6_000_000).contains(&since), "{since}");
    assert!(failure.expected.starts_with("watermark "), "{}", failure.expected);
    assert_eq!(failure.came, "nothing: swallow-watermarks by fault.mute");
    let others = record
        .expectations
        .iter()
        .filter(|e| e.name.contains("passes watermarks") && e.name != name);
    assert_eq!(others.count(), 0, "nobody else is blamed");
}

#[test]
fn a_held_source_says_everything_later_and_nothing_is_lost() {
    let align = "{ behind = \"1s\", align = { ahead = \"100ms\" } }";
    let ran = play(&pipeline(align, "{ behind = \"1s\" }", "", "", ""));
    assert!(broken(&ran).is_empty(), "{:#?}", broken(&ran));
}

/// Orders at half past each second, and windows of two seconds by the engine's clock.
fn by_the_clock(more: &str) -> String {
    format!(
        r#"
schema = 1
name = "clock"
pattern = "windowed-aggregation"
[[source]]
name = "orders"
events = [
  {{ t = "500ms", row = {{ n = 1 }} }}, {{ t = "1500ms", row = {{ n = 2 }} }}, {{ t = "2s", row = {{ n = 4 }} }},
  {{ t = "2500ms", row = {{ n = 8 }} }}, {{ t = "9500ms", row = {{ n = 16 }} }},
]
[[operator]]
name = "per-two"
input = ["orders"]
query = "select count(*) as c, sum(n) as n from orders window tumbling(2 sec)"
watermark = {{ kind = "arrival", every = "1s" }}
[[sink]]
name = "board"
input = ["per-two"]
{more}
"#
    )
}

/// When each answer came, in milliseconds, and what it says.
fn answers(text: &str) -> Vec<(i64, String)> {
    let ran = play(text);
    assert!(broken(&ran).is_empty(), "{:#?}", broken(&ran));
    let row = |line: &wavetank_reports::trace::TraceLine| format!("{:?}", line.row.as_ref().expect("a row"));
    taken(&ran, "board")
        .into_iter()
        .map(|line| (millis(line), row(line)))
        .collect()
}

#[test]
fn by_the_engines_clock_windows_close_at_their_end_though_no_event_comes() {
    let truth = "[[expect]]\nname = \"right\"\nfinal = \"board == truth\"";
    for tie in ["event-first", "timer-first"] {
        let came = answers(&by_the_clock(&format!("[time]\ntie = \"{tie}\"\n{truth}")));
        let when: Vec<i64> = came.iter().map(|(at, _)| *at).collect();
        assert_eq!(when, [2_000, 4_000, 9_500], "the last one at the end of the input");
    }
}

#[test]
fn by_the_engines_clock_an_event_belongs_to_the_window_in_which_it_comes() {
    let link = "[[link]]\nfrom = \"orders\"\nto = \"per-two\"\ndelay = \"600ms\"";
    let came = answers(&by_the_clock(link));
    let when: Vec<i64> = came.iter().map(|(at, _)| *at).collect();
    assert_eq!(when, [2_000, 4_000, 10_100]);
    assert!(came[0].1.contains('1') && came[1].1.contains("14"), "{came:?}");
}

#[test]
fn a_clock_that_jumps_back_stands_still_and_one_that_jumps_ahead_closes_what_it_skips() {
    let jump = |at: &str, by: &str| {
        let node = "[[fault]]\nid = \"leap\"\nkind = \"jump\"\non = \"per-two\"";
        answers(&by_the_clock(&format!("{node}\nat = \"{at}\"\namount = \"{by}\"\n")))
    };
    let when = |came: &[(i64, String)]| came.iter().map(|(at, _)| *at).collect::<Vec<_>>();
    // At 2.2 s the clock goes back to 1.2 s; 4 s it shows at 5 s.
    assert_eq!(when(&jump("2200ms", "-1s")), [2_000, 5_000, 9_500]);
    // At 2.2 s it goes on to 5.2 s: what was open is over, which is known at the next event; 6 s it shows at 3 s.
    assert_eq!(when(&jump("2200ms", "3s")), [2_000, 2_500, 3_000, 9_500]);
}

#[test]
fn by_the_engines_clock_every_pattern_says_the_truth_when_nothing_takes_time_on_its_way() {
    let one = "input = [\"lefts\"]";
    let both = "input = [\"lefts\", \"rights\"]";
    for (input, body) in [
        (
            one,
            r#"query = "select k, count(*) as n, sum(v) as v from lefts window tumbling(1 sec) group by k""#,
        ),
        (
            one,
            r#"query = "select k, count(*) as n from lefts window session(300 ms) group by k""#,
        ),
        (
            both,
            r#"query = "select k, max(v) as v from lefts window hop(2 sec, 500 ms) group by k""#,
        ),
        (
            both,
            r#"query = "select l.k, l.v, r.v as w from lefts l join rights r on l.k = r.k within (400 ms)""#,
        ),
        (
            one,
            r#"sequence = { pattern = "low -> high", by = ["k"], within = "2s", where = { low = "v < 3", high = "v > 6" }, select = { k = "k", v = "high.v" } }"#,
        ),
        (both, r#"reorder = { until = "watermark" }"#),
    ] {
        let text = format!(
            r#"
schema = 1
name = "all"
pattern = "watermark"
[[source]]
name = "lefts"
rate = {{ poisson = "20/s" }}
count = 80
fields = {{ k = {{ zipf = 1.0, count = 4 }}, v = {{ uniform = [0, 9] }} }}
[[source]]
name = "rights"
rate = {{ poisson = "15/s" }}
count = 60
fields = {{ k = {{ zipf = 1.0, count = 4 }}, v = {{ uniform = [0, 9] }} }}
[[operator]]
name = "work"
{input}
{body}
watermark = {{ kind = "arrival", every = "250ms" }}
[[sink]]
name = "out"
input = ["work"]
[[expect]]
name = "as it was"
final = "out == truth"
"#
        );
        for seed in 0..4 {
            let ran = play_at(&text, seed);
            assert!(broken(&ran).is_empty(), "{:#?}\n{text}", broken(&ran));
            assert!(ran.record.sinks[0].rows > 0, "{text}");
        }
    }
}
