//! Watermarks, alignment and epochs in whole runs: whatever is set and whatever goes wrong outside of the stages, each of
//! them does what the judge's models say; and what must be seen, is.

mod common;

use common::{play, script};
use proptest::prelude::*;
use wavetank_harness::{Options, Tank};
use wavetank_reports::record::{Holds, Record};

/// Three sources with clocks of their own, two stages that make watermarks, and one that combines them.
fn pipeline(first: &str, second: &str, valve: &str, epoch: &str, faults: &str) -> String {
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
{valve}
[[operator]]
name = "right"
input = ["gauges", "meters"]
filter = "power < 8"
watermark = {second}
{valve}
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

/// What is broken, besides what links that lose and disorder do to epochs.
fn broken(record: &Record) -> Vec<String> {
    let wrong = record.expectations.iter().filter(|e| e.holds == Holds::No);
    wrong.map(|e| format!("{}: {:?}", e.name, e.failure)).collect()
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
    (kind, scope, every, idle, align).prop_map(|(kind, scope, every, idle, align)| {
        let align = if scope.contains("input") { "" } else { align };
        format!("{{ {kind}{scope}{every}{idle}{align} }}")
    })
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
        let options = Options { seed: Some(seed), ..Options::default() };
        let record = Tank::default().run(&script(&text), &options).expect("it runs").record;
        prop_assert!(broken(&record).is_empty(), "{:#?}\n{}", broken(&record), text);
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
        let options = Options { seed: Some(seed), ..Options::default() };
        let record = Tank::default().run(&script(&text), &options).expect("it runs").record;
        prop_assert!(broken(&record).is_empty(), "{:#?}\n{}", broken(&record), text);
        prop_assert!(record.expectations.iter().any(|e| e.name == "epochs are the same on every path"));
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
    let record = play(&pipeline(align, "{ behind = \"1s\" }", "", "", "")).record;
    assert!(broken(&record).is_empty(), "{:#?}", broken(&record));
}
