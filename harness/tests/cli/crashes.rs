//! `run --crash-everywhere` and `--crash-at`: what is printed, and how it ends.

use crate::support::Place;

/// Readings through a log, saved again and again; `{sink}` is how the sink deals with what comes again.
const PROTECTED: &str = r#"schema  = 1
name    = "kept"
pattern = "periodic-snapshot"

[time]
length = "20s"

[snapshot]
every = "1s"

[[source]]
name   = "sensors"
rate   = "4/s"
count  = 12
fields = { value = { uniform = [0, 100] } }

[[broker]]
name  = "log"
input = ["sensors"]

[[operator]]
name   = "high"
input  = ["log"]
filter = "value > 10"

[[link]]
from  = "log"
to    = "high"
delay = "30ms"

[[sink]]
name     = "board"
input    = ["high"]
promise  = "exactly-once"
delivery = "{delivery}"
"#;

fn place() -> Place {
    let place = Place::new();
    place.write("kept.toml", &PROTECTED.replace("{delivery}", "by-number"));
    place.write("twice.toml", &PROTECTED.replace("{delivery}", "at-least-once"));
    place
}

#[test]
fn every_crash_is_made_and_none_shows() {
    let ran = place().run(&["run", "kept.toml", "--crash-everywhere"]).ends(0);
    assert!(
        ran.out.starts_with("kept\n  high: crashed before each of "),
        "{}",
        ran.out
    );
    let same = "elements; every time the same results and late events as without the crash\n";
    assert!(ran.out.ends_with(same), "{}", ran.out);
    assert_eq!(ran.err, "");
}

#[test]
fn a_node_that_no_operator_stands_on_is_crashed_when_it_is_named() {
    let ran = place()
        .run(&["run", "kept.toml", "--crash-everywhere=snapshots"])
        .ends(0);
    assert!(
        ran.out.starts_with("kept\n  snapshots: crashed before each of "),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("high"), "{}", ran.out);
}

#[test]
fn crashes_that_show_are_told_with_the_command_that_shows_one() {
    let place = place();
    let ran = place
        .run(&["run", "twice.toml", "--crash-everywhere", "--restart", "300ms"])
        .ends(1);
    assert!(
        ran.out.contains("of these crashes show\n    before element "),
        "{}",
        ran.out
    );
    let look = ran
        .out
        .lines()
        .find_map(|line| line.strip_prefix("    look: wavetank "));
    let look: Vec<&str> = look.expect("a command").split(' ').collect();
    assert_eq!(look[..3], ["run", "twice.toml", "--crash-at"]);
    assert!(look[3].starts_with("high@"), "{look:?}");
    assert_eq!(look[4..], ["--restart", "300ms"]);
    let shown = place.run(&look).ends(1);
    assert!(shown.out.contains("board gets nothing twice"), "{}", shown.out);
    let again = format!(
        "reproduce    wavetank run twice.toml --seed 42 --crash-at {} --restart 300ms",
        look[3]
    );
    assert!(shown.out.contains(&again), "{}", shown.out);
}

#[test]
fn every_write_is_broken_and_none_shows() {
    let ran = place().run(&["run", "kept.toml", "--break-writes"]).ends(0);
    assert!(ran.out.starts_with("kept\n  high: each of "), "{}", ran.out);
    let same = "runs; every time the same results and late events as without\n";
    assert!(ran.out.ends_with(same), "{}", ran.out);
}

#[test]
fn a_single_broken_write_is_a_run_that_says_how_it_is_made_again() {
    let place = place();
    let flags = ["--break-at", "bit-flip@2", "--crash-at", "high@7", "--format", "json"];
    let ran = place.run(&[&["run", "kept.toml"], &flags[..]].concat()).ends(0);
    let again = "--seed 42 --crash-at high@7 --break-at bit-flip@2";
    assert!(ran.out.contains(again), "{}", ran.out);
    let ran = place.run(&["run", "kept.toml", "--break-at", "torn@2"]).ends(2);
    assert!(ran.err.contains("torn-write"), "{}", ran.err);
}

#[test]
fn a_single_crash_is_a_run_like_any_other() {
    let place = place();
    place.run(&["run", "kept.toml", "--crash-at", "high@7"]).ends(0);
    let kept = std::fs::read_to_string(place.only_run().join("scenario.toml")).expect("a scenario");
    assert!(kept.contains("delivery = 7"), "{kept}");
}

#[test]
fn a_crash_behind_the_last_element_puts_nothing_to_the_test() {
    let ran = place().run(&["run", "kept.toml", "--crash-at", "high@1000"]);
    assert_ne!(ran.code, Some(0), "{}", ran.out);
    assert!(ran.out.contains("never fired"), "{}", ran.out);
}

#[test]
fn what_is_not_there_cannot_be_crashed() {
    let place = place();
    for args in [["--crash-everywhere=hihg", ""], ["--crash-at", "hihg@3"]] {
        let args: Vec<&str> = ["run", "kept.toml"]
            .into_iter()
            .chain(args)
            .filter(|arg| !arg.is_empty())
            .collect();
        let ran = place.run(&args).ends(2);
        assert!(ran.err.contains("kept has no node `hihg`"), "{}", ran.err);
        assert!(ran.err.contains("`high`"), "{}", ran.err);
    }
}

#[test]
fn a_scenario_that_keeps_nothing_is_refused_and_passed_over_among_others() {
    let place = place();
    let ran = place.run(&["run", "calm.toml", "--crash-everywhere"]).ends(2);
    assert!(ran.err.contains("neither a [snapshot] nor a [replay]"), "{}", ran.err);
    let ran = place
        .run(&["run", "calm.toml", "kept.toml", "--crash-everywhere"])
        .ends(0);
    assert!(ran.out.starts_with("1 of 2 scenarios can recover"), "{}", ran.out);
}

#[test]
fn a_place_or_a_time_that_is_none_is_a_usage_error() {
    let place = place();
    for wrong in ["high", "high@", "@3", "high@0", "high@x"] {
        let ran = place.run(&["run", "kept.toml", "--crash-at", wrong]).ends(2);
        assert!(ran.err.contains("write NODE@N"), "{}", ran.err);
    }
    let ran = place
        .run(&["run", "kept.toml", "--crash-everywhere", "--restart", "0s"])
        .ends(2);
    assert!(ran.err.contains("down for longer than no time"), "{}", ran.err);
    place
        .run(&["run", "kept.toml", "--crash-everywhere", "--seeds", "0..2"])
        .ends(2);
    place
        .run(&["run", "kept.toml", "--crash-everywhere", "--crash-at", "high@3"])
        .ends(2);
}
