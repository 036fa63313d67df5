//! `wavetank run --sweep`.

use serde_json::Value;

use crate::support::Place;

#[test]
fn a_sweep_is_a_table_with_a_line_for_each_value_that_fits_a_terminal() {
    let place = Place::new();
    let ran = place
        .run(&[
            "run",
            "lossy.toml",
            "--sweep",
            "fault.loss.rate=0,0.2,0.5",
            "--show",
            "fault.loss.fired,high.arrived,high.lateness.p99",
        ])
        .ends(0);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 5, "{}", ran.out);
    assert_eq!(lines[0], "readings@7: fault.loss.rate");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{}", ran.out);
    let verdicts: Vec<&str> = lines[2..]
        .iter()
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert_eq!(verdicts, ["holds", "broken", "broken"]);
    assert!(!place.join(".wavetank").exists(), "a sweep keeps nothing");
}

#[test]
fn every_run_of_a_sweep_is_the_run_that_its_settings_and_seed_name() {
    let place = Place::new();
    let swept = place.run(&[
        "run",
        "lossy.toml",
        "--seed",
        "3",
        "--sweep",
        "fault.loss.rate=0,0.2",
        "--sweep",
        "operator.high.watermark.behind=1s,2s",
        "--show",
        "high.watermark.max",
        "--format",
        "json",
    ]);
    let swept: Value = serde_json::from_str(&swept.ends(0).out).expect("an object");
    assert_eq!(swept["seed"], 3);
    let runs = swept["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 4);
    assert_eq!(runs[1]["set"], serde_json::json!(["0", "2s"]));
    let alone = place.run(&[
        "run",
        "lossy.toml",
        "--seed",
        "3",
        "--set",
        "fault.loss.rate=0",
        "--set",
        "operator.high.watermark.behind=2s",
        "--format",
        "jsonl",
    ]);
    let alone: Value = serde_json::from_str(&alone.ends(0).out).expect("an object");
    assert_eq!(runs[1]["trace_hash"], alone["trace_hash"]);
}

#[test]
fn a_sweep_that_says_nothing_or_the_wrong_thing_is_a_wrong_command_line() {
    let place = Place::new();
    let rate = "fault.loss.rate=0,0.2";
    for (args, wanted) in [
        (&["--sweep", rate][..], "--show"),
        (&["--show", "high.late"], "--sweep"),
        (
            &["--sweep", "fault.loss.rate", "--show", "high.late"],
            "write key=value,value",
        ),
        (
            &["--sweep", "fault.loss.rate=0,,1", "--show", "high.late"],
            "write key=value,value",
        ),
        (&["--sweep", rate, "--show", "hihg.late"], "did you mean `high`?"),
        (&["--sweep", rate, "--show", "high.laet"], "did you mean `late`?"),
        (&["--sweep", rate, "--show", "high.lag"], "ask for one of p50"),
        (&["--sweep", rate, "--show", "high.late.p50"], "has no `p50`"),
        (
            &["--sweep", rate, "--show", "high.late", "--seeds", "0..3"],
            "cannot be used with",
        ),
    ] {
        let ran = place.run(&[&["run", "lossy.toml"], args].concat()).ends(2);
        assert!(ran.err.contains(wanted), "{args:?}: {}", ran.err);
    }
    let several = ["run", "lossy.toml", "calm.toml", "--sweep", rate, "--show", "high.late"];
    assert!(place.run(&several).ends(2).err.contains("name one"));
    let unknown = [
        "run",
        "lossy.toml",
        "--sweep",
        "fault.los.rate=1",
        "--show",
        "high.late",
    ];
    place.run(&unknown).ends(3);
}
