//! Every exit code, each reached in the ways that lead to it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use wavetank_scenarios::exit::{EXITS, Exit};

use crate::support::{Place, Ran};

#[test]
fn all_hold_is_0() {
    let place = Place::new();
    place.run(&["run", "calm.toml"]).ends(0);
    place.run(&["run", "must-fail.toml"]).ends(0);
    place.run(&["run", "lossy.toml", "--set", "fault.loss.rate=0"]).ends(0);
}

#[test]
fn a_broken_expectation_is_1_and_so_is_a_scenario_that_must_fail_and_does_not() {
    let place = Place::new();
    place.run(&["run", "lossy.toml"]).ends(1);
    place.run(&["run", "calm.toml", "lossy.toml", "silent.toml"]).ends(1);
    place
        .run(&["run", "must-fail.toml", "--set", "fault.loss.rate=0"])
        .ends(1);
}

#[test]
fn a_wrong_command_line_is_2() {
    let place = Place::new();
    for args in [
        &["run", "--sed", "3"][..],
        &["rum"],
        &["run", "--seeds", "5..5"],
        &["run", "--real-time=0"],
        &["run", "--set", "nothing"],
        &["run", "--seed", "1", "--seeds", "1..3"],
        &["run", "--jobs", "0"],
        &["check"],
        &["tap", "calm.toml"],
        &["tap", "calm.toml", "--at", "nobody"],
        &["explain", "qqqq"],
        &["new", "nothing"],
        &["run", "calm.toml", "--junit", "no/such/folder.xml"],
    ] {
        let ran = place.run(args).ends(2);
        assert!(ran.err.contains("error: "), "{args:?}: {}", ran.err);
        assert!(ran.out.is_empty(), "{args:?}: {}", ran.out);
    }
    place.write("there.toml", "mine");
    place.run(&["new", "filter", "--output", "there.toml"]).ends(2);
    assert_eq!(place.read("there.toml"), "mine");
}

#[test]
fn what_cannot_be_read_is_3() {
    let place = Place::new();
    place.write("binary.toml", "x");
    std::fs::write(place.join("binary.toml"), b"\xff\xfe").expect("written");
    for args in [
        &["run", "broken.toml"][..],
        &["run", "calm.toml", "broken.toml"],
        &["check", "broken.toml"],
        &["run", "binary.toml"],
        &["run", "missing.toml"],
        &["check", "missing.toml"],
        &["run", "calm.toml", "--set", "time.sed=3"],
        &["replay", "latest"],
        &["replay", "nothing-1-1234567"],
        &["diff", "latest", "calm.toml"],
        &["tap", "missing", "--at", "high"],
    ] {
        let ran = place.run(args).ends(3);
        assert!(ran.err.contains("error: "), "{args:?}: {}", ran.err);
    }
    assert!(!place.join(".wavetank").exists(), "nothing was run");
}

#[test]
fn a_folder_without_scenarios_is_4() {
    let place = Place::new();
    std::fs::create_dir(place.join("empty")).expect("made");
    place.run(&["run", "empty"]).ends(4);
    place.run(&["check", "empty"]).ends(4);
    place.run(&["diff", "empty", "empty"]).ends(4);
}

#[test]
fn a_fault_that_never_fires_is_5() {
    let place = Place::new();
    let ran = place.run(&["run", "silent.toml"]).ends(5);
    assert!(ran.out.contains("next: wavetank explain inconclusive"), "{}", ran.out);
    place.run(&["run", "calm.toml", "silent.toml"]).ends(5);
}

#[test]
fn a_run_that_does_not_come_out_as_it_is_on_record_is_7() {
    let place = Place::new();
    place.run(&["run", "calm.toml", "--trace"]).ends(0);
    let run = place.only_run();
    place.run(&["replay", "latest"]).ends(0);
    let record = run.join("record.json");
    let text = std::fs::read_to_string(&record).expect("a record");
    let events = text.find("\"events\": ").expect("events") + 10;
    std::fs::write(&record, text[..events].to_owned() + "9" + &text[events..]).expect("written");
    let ran = place.run(&["replay", "latest"]).ends(7);
    assert!(ran.out.contains("the kept trace and this one are equal"), "{}", ran.out);
    // And where the trace differs, the first place at which it does is shown.
    let trace = run.join("trace.jsonl");
    let text = std::fs::read_to_string(&trace).expect("a trace");
    let third = text.match_indices('\n').nth(2).expect("lines").0;
    let changed = text[..third].to_owned() + &text[third..].replacen("\"kind\":\"emit\"", "\"kind\":\"note\"", 1);
    std::fs::write(&trace, changed).expect("written");
    let ran = place.run(&["replay", "latest"]).ends(7);
    assert!(ran.out.contains("part at line "), "{}", ran.out);
    assert!(ran.err.contains("did not come out as it is on record"), "{}", ran.err);
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_written_is_70() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("it is there");
    let output = Command::new(env!("CARGO_BIN_EXE_wavetank"))
        .args(["list", "faults"])
        .stdout(full)
        .output();
    let ran = Ran::from(output.expect("it starts")).ends(70);
    assert!(ran.err.contains("standard output cannot be written"), "{}", ran.err);
}

#[cfg(unix)]
#[test]
fn ctrl_c_is_130_and_leaves_a_record_that_can_be_read() {
    let place = Place::new();
    // Twenty virtual minutes at a hundred times the machine's speed: time enough to be stopped in.
    let args = [
        "run",
        "calm.toml",
        "--set",
        "time.length=20m",
        "--real-time=100",
        "--progress",
        "counter",
    ];
    let mut child = Command::new(env!("CARGO_BIN_EXE_wavetank"))
        .current_dir(place.path())
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut progress = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    progress.read_line(&mut line).expect("progress");
    assert!(line.contains("of 20m of virtual time"), "{line}");
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill starts");
    assert!(killed.success());
    let mut out = String::new();
    child
        .stdout
        .take()
        .expect("piped")
        .read_to_string(&mut out)
        .expect("text");
    let mut err = String::new();
    progress.read_to_string(&mut err).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{out}\n{err}");
    assert!(out.starts_with("INTERRUPTED"), "{out}");
    assert!(err.contains("stopping: what was seen so far is judged"), "{err}");
    let record: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(place.only_run().join("record.json")).expect("a record"))
            .expect("JSON");
    assert_eq!(record["interrupted"], true);
    assert!(record["events"].as_u64().is_some_and(|events| events > 0), "{record}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_among_many_runs_keeps_what_was_finished() {
    let place = Place::new();
    let many = vec!["calm.toml"; 5_000];
    let mut child = Command::new(env!("CARGO_BIN_EXE_wavetank"))
        .current_dir(place.path())
        .args(["run", "-j", "1", "--format", "jsonl"])
        .args(many)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a run");
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .expect("kill")
            .success()
    );
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let runs = 1 + rest.lines().count();
    assert!(runs < 5_000, "all of them were run");
    for line in std::iter::once(line.as_str()).chain(rest.lines()) {
        serde_json::from_str::<serde_json::Value>(line).expect("a whole line");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let wavetank = env!("CARGO_BIN_EXE_wavetank");
    for command in [
        "tap calm.toml --at high",
        "run calm.toml",
        "explain late",
        "list metrics",
        "schema",
    ] {
        let line = format!("set -o pipefail; {wavetank} {command} | head -n 1");
        let output = Command::new("bash")
            .current_dir(place.path())
            .args(["-c", &line])
            .output()
            .expect("bash");
        let ran = Ran::from(output).ends(0);
        assert_eq!(ran.err, "", "{command}");
        assert_eq!(ran.out.lines().count(), 1, "{command}: {}", ran.out);
    }
}

#[test]
fn every_exit_code_can_be_explained_and_stands_in_the_help() {
    let place = Place::new();
    let help = place.run(&["--help"]).ends(0).out;
    for exit in EXITS {
        assert!(help.contains(&format!("{:>3}  {}", exit.code, exit.name)), "{help}");
        let ran = place.run(&["explain", &exit.code.to_string()]).ends(0);
        assert!(ran.out.contains(exit.name), "{}", ran.out);
    }
    assert_eq!(
        Exit::Worse.code(),
        6,
        "for measured baselines; nothing that exists compares with one"
    );
}
