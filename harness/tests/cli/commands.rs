//! What each command does, beyond how it ends.

use serde_json::Value;
use wavetank_scenarios::pattern::PATTERNS;

use crate::support::Place;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_run_is_kept_with_record_and_expanded_scenario_and_the_trace_when_asked_for() {
    let place = Place::new();
    place.run(&["run", "calm.toml"]).ends(0);
    let run = place.only_run();
    let names = |run: &std::path::Path| {
        let mut names: Vec<_> = std::fs::read_dir(run)
            .expect("a folder")
            .flatten()
            .map(|e| e.file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&run), ["conditions.json", "record.json", "scenario.toml"]);
    let id = run.file_name().expect("a name").to_str().expect("text").to_owned();
    assert!(id.starts_with("readings-7-"), "{id}");
    assert_eq!(place.read(".wavetank/latest").trim(), id);
    place.run(&["run", "calm.toml", "--trace"]).ends(0);
    assert_eq!(place.only_run(), run, "the same run has the same place");
    assert_eq!(
        names(&run),
        ["conditions.json", "record.json", "scenario.toml", "trace.jsonl"]
    );
    // The expanded scenario is a scenario, and the same one.
    let path = run.join("scenario.toml").display().to_string();
    let ran = place.run(&["run", &path, "--no-store", "--format", "jsonl"]).ends(0);
    let record = json(&std::fs::read_to_string(run.join("record.json")).expect("a record"));
    assert_eq!(json(&ran.out)["trace_hash"], record["trace_hash"]);
}

#[test]
fn an_unwritable_store_is_a_warning_and_keeps_nobody_from_running() {
    let place = Place::new();
    let ran = place
        .run(&["run", "calm.toml", "must-fail.toml", "--store", "calm.toml/store"])
        .ends(0);
    assert_eq!(ran.err.matches("warning: runs are not kept").count(), 1, "{}", ran.err);
    assert!(!ran.out.contains("kept in"), "{}", ran.out);
    place.run(&["run", "calm.toml", "--no-store"]).ends(0);
    assert!(!place.join(".wavetank").exists());
}

#[test]
fn many_runs_come_in_order_whatever_the_number_of_threads() {
    let place = Place::new();
    let seeds = |jobs: &str| {
        let args = [
            "run",
            "calm.toml",
            "must-fail.toml",
            "--seeds",
            "3..=12",
            "-j",
            jobs,
            "--format",
            "jsonl",
            "--no-store",
        ];
        let ran = place.run(&args).ends(0);
        let runs: Vec<(String, u64, String)> = ran
            .out
            .lines()
            .map(json)
            .map(|run| {
                (
                    run["outcome"].to_string(),
                    run["seed"].as_u64().expect("a seed"),
                    run["trace_hash"].to_string(),
                )
            })
            .collect();
        runs
    };
    let one = seeds("1");
    assert_eq!(one.len(), 20);
    let order: Vec<u64> = one.iter().map(|run| run.1).collect();
    assert_eq!(order, (3..=12).chain(3..=12).collect::<Vec<_>>());
    assert_eq!(seeds("4"), one);
}

#[test]
fn a_range_of_seeds_is_judged_as_a_range() {
    let place = Place::new();
    // Some seeds see the fault, others are spared.
    let args = [
        "run",
        "lossy.toml",
        "--set",
        "fault.loss.rate=0.0005",
        "--set",
        "expect.0.final=board.results > 0",
    ];
    let outcomes = |more: &[&str]| {
        let all: Vec<&str> = args
            .iter()
            .chain(more)
            .chain(&["--format", "jsonl", "--no-store"])
            .copied()
            .collect();
        let ran = place.run(&all);
        let runs: Vec<Value> = ran.out.lines().map(json).collect();
        (ran.code, runs)
    };
    let (code, together) = outcomes(&["--seeds", "0..30"]);
    let spared = together
        .iter()
        .find(|run| run["faults"][0]["fired"] == 0)
        .expect("one is spared");
    assert!(together.iter().any(|run| run["faults"][0]["fired"] != 0), "one is hit");
    assert_eq!((code, &spared["verdict"]), (Some(0), &Value::from("pass")));
    let seed = spared["seed"].to_string();
    let (code, alone) = outcomes(&["--seed", &seed]);
    assert_eq!((code, &alone[0]["verdict"]), (Some(5), &Value::from("inconclusive")));
}

#[test]
fn fail_fast_begins_nothing_after_the_first_failure() {
    let place = Place::new();
    let args = [
        "run",
        "calm.toml",
        "lossy.toml",
        "calm.toml",
        "-j",
        "1",
        "--fail-fast",
        "--format",
        "jsonl",
    ];
    let ran = place.run(&args).ends(1);
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
    assert!(ran.err.contains("1 run was not begun"), "{}", ran.err);
}

#[test]
fn the_formats_for_programs_hold_nothing_else() {
    let place = Place::new();
    let report = json(
        &place
            .run(&["run", "calm.toml", "lossy.toml", "--format", "json"])
            .ends(1)
            .out,
    );
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&Value::from(1), &Value::from(1))
    );
    let line = json(&place.run(&["run", "lossy.toml", "--format", "jsonl"]).ends(1).out);
    for key in [
        "scenario",
        "pattern",
        "seed",
        "verdict",
        "trace_hash",
        "events",
        "simulated_us",
        "wall_us",
        "faults",
        "expectations",
        "outputs",
    ] {
        assert!(!line[key].is_null(), "{key}: {line}");
    }
    let outputs = line["outputs"].as_str().expect("a place");
    assert!(place.join(outputs).join("record.json").is_file(), "{outputs}");
    place.run(&["run", "lossy.toml", "--junit", "report.xml"]).ends(1);
    let xml = place.read("report.xml");
    assert!(
        xml.contains("<testsuite name=\"readings\"") && xml.contains("<failure"),
        "{xml}"
    );
}

#[test]
fn a_setting_from_outside_is_in_the_record_and_in_the_command_that_brings_it_back() {
    let place = Place::new();
    let ran = place
        .run(&["run", "lossy.toml", "--set", "fault.loss.rate=0.5", "--format", "json"])
        .ends(1);
    let run = json(&ran.out)["runs"][0].clone();
    assert_eq!(run["overrides"][0], "fault.loss.rate=0.5");
    assert_eq!(
        run["reproduce"],
        "wavetank run lossy.toml --seed 7 --set fault.loss.rate=0.5"
    );
    let words: Vec<&str> = run["reproduce"].as_str().expect("text").split(' ').skip(1).collect();
    let again = place.run(&[&words[..], &["--format", "json"]].concat()).ends(1);
    assert_eq!(json(&again.out)["runs"][0]["trace_hash"], run["trace_hash"]);
    place.run(&["replay", "latest"]).ends(0);
}

#[test]
fn a_recorded_run_is_replayed_from_another_folder_and_with_data_beside_its_scenario() {
    let place = Place::new();
    std::fs::create_dir(place.join("sub")).expect("made");
    place.write(
        "sub/readings.csv",
        "at,value\n2024-01-01T00:00:00Z,60\n2024-01-01T00:00:01Z,40\n2024-01-01T00:00:02Z,70\n",
    );
    let text = place.read("calm.toml").replace(
        "rate   = \"10/s\"\nfields = { value = { uniform = [0, 100] } }",
        "file = \"readings.csv\"\nevent_time = \"at\"",
    );
    place.write("sub/file.toml", &text);
    place.run(&["run", "sub/file.toml"]).ends(0);
    place.run(&["replay", "latest"]).ends(0);
    let run = place.only_run().display().to_string();
    let elsewhere = Place::new();
    let ran = elsewhere.run(&["replay", &run]).ends(0);
    assert!(ran.out.starts_with("the same run readings@7"), "{}", ran.out);
    let until = elsewhere
        .run(&["replay", &run, "--until", "2024-01-01T00:00:01Z", "--lines", "0"])
        .ends(0);
    assert!(until.out.contains("2024-01-01T00:00:01Z"), "{}", until.out);
    assert!(!until.out.contains("sensors#2"), "{}", until.out);
}

#[test]
fn a_run_that_followed_the_clock_or_was_stopped_is_not_verified() {
    let place = Place::new();
    place.run(&["run", "calm.toml", "--real-time=1000"]).ends(0);
    let ran = place.run(&["replay", "latest"]).ends(5);
    assert!(ran.err.contains("followed the machine's clock"), "{}", ran.err);
}

#[test]
fn differences_are_shown_for_kept_runs_and_for_scenarios_at_a_seed() {
    let place = Place::new();
    place.run(&["run", "calm.toml"]).ends(0);
    let same = place.run(&["diff", "latest", "calm.toml@7"]).ends(0);
    assert!(same.out.contains("the same run: equal traces"), "{}", same.out);
    let other = place.run(&["diff", "calm.toml@7", "calm.toml@8"]).ends(0);
    assert!(
        other.out.contains("seed") && other.out.contains("7 → 8"),
        "{}",
        other.out
    );
    let machine = json(
        &place
            .run(&["diff", "calm.toml", "lossy.toml", "--format", "json"])
            .ends(0)
            .out,
    );
    assert_eq!(machine["same_trace"], false);
}

#[test]
fn what_passes_an_actor_and_what_becomes_of_an_event_is_shown_line_by_line() {
    let place = Place::new();
    let at = place.run(&["tap", "calm.toml@7", "--at", "board"]).ends(0);
    let lines: Vec<Value> = at.out.lines().map(json).collect();
    assert!(!lines.is_empty());
    assert!(lines.iter().all(|line| line["actor"] == "board"), "{}", at.out);
    let followed = lines
        .iter()
        .find_map(|line| line["origins"][0].as_str())
        .expect("a result goes back to a reading");
    let story = place.run(&["tap", "calm.toml@7", "--follow", followed]).ends(0);
    let actors: Vec<Value> = story.out.lines().map(|line| json(line)["actor"].clone()).collect();
    assert_eq!(actors.first(), Some(&Value::from("sensors")), "{}", story.out);
    assert_eq!(actors.last(), Some(&Value::from("board")), "{}", story.out);
    let none = place.run(&["tap", "calm.toml", "--follow", "sensors#999999"]).ends(0);
    assert!(
        none.out.is_empty() && none.err.contains("there is no event sensors#999999"),
        "{}",
        none.err
    );
}

#[test]
fn a_new_scenario_is_valid_and_passes_and_nothing_is_overwritten() {
    let place = Place::new();
    for pattern in PATTERNS.iter().map(|pattern| pattern.name) {
        let file = format!("{pattern}-new.toml");
        place.run(&["new", pattern, "--output", &file]).ends(0);
        place.run(&["check", &file]).ends(0);
        place.run(&["run", &file, "--no-store"]).ends(0);
        assert_eq!(place.run(&["new", pattern]).ends(0).out, place.read(&file));
    }
}

#[test]
fn what_is_expanded_means_the_same() {
    let place = Place::new();
    let expanded = place.run(&["check", "lossy.toml", "--expand"]).ends(0).out;
    assert!(expanded.contains("step_budget"), "{expanded}");
    place.write("expanded.toml", &expanded);
    assert_eq!(
        place
            .run(&["check", "expanded.toml", "--expand"])
            .ends(0)
            .out
            .lines()
            .skip(1)
            .collect::<Vec<_>>(),
        expanded.lines().skip(1).collect::<Vec<_>>()
    );
    let same = place.run(&["diff", "lossy.toml", "expanded.toml"]).ends(0);
    assert!(same.out.contains("the same run: equal traces"), "{}", same.out);
}

#[test]
fn everything_is_listed_for_people_and_for_programs() {
    let place = Place::new();
    for what in ["patterns", "faults", "metrics", "scenarios"] {
        let people = place.run(&["list", what]).ends(0).out;
        assert!(people.lines().all(|line| line.chars().count() <= 80), "{people}");
        let items = json(&place.run(&["list", what, "--format", "json"]).ends(0).out);
        let items = items.as_array().expect("a list");
        for name in items.iter().map(|item| item["name"].as_str().expect("a name")) {
            assert!(
                people.lines().any(|line| line.starts_with(name)),
                "{name} is not in\n{people}"
            );
        }
    }
    assert!(place.run(&["list", "lessons"]).ends(0).out.contains("yet"));
    assert_eq!(
        place.run(&["list", "lessons", "--format", "json"]).ends(0).out.trim(),
        "[]"
    );
}

#[test]
fn schemas_are_schemas_and_completions_know_the_commands() {
    let place = Place::new();
    for of in ["scenario", "record", "line", "trace"] {
        let schema = json(&place.run(&["schema", of]).ends(0).out);
        assert!(schema["properties"].is_object(), "{of}");
    }
    assert_eq!(
        place.run(&["schema"]).ends(0).out,
        place.run(&["schema", "scenario"]).ends(0).out
    );
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.run(&["completions", shell]).ends(0).out;
        assert!(script.contains("replay") && script.contains("fail-fast"), "{shell}");
    }
}

#[test]
fn colours_are_written_only_where_they_are_wanted() {
    let place = Place::new();
    let plain = |args: &[&str]| !place.run(args).out.contains('\x1b');
    assert!(plain(&["explain", "late"]));
    let colours = |args: &[&str]| {
        let output = place.command(args).env_remove("NO_COLOR").output().expect("it starts");
        output.stdout.contains(&b'\x1b')
    };
    assert!(colours(&["explain", "late", "--color", "always"]));
    assert!(!colours(&["explain", "late", "--color", "never"]));
    assert!(!colours(&["explain", "late"]), "not a terminal");
}
