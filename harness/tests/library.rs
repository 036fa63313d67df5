//! The library of scenarios: each does what it must, each fault in it acts, each that must fail stands beside its twin,
//! and all of it comes out the same in every process and on any number of threads.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;

use toml::Value;
use wavetank_harness::{Options, Tank};
use wavetank_reports::Record;
use wavetank_scenarios::fault::FAULTS;
use wavetank_scenarios::library::{LIBRARY, LibraryFiles};
use wavetank_scenarios::pattern::PATTERNS;
use wavetank_scenarios::script::{Must, Scenario};
use wavetank_scenarios::{Script, load};

fn scenarios() -> Vec<Script> {
    let load = |path, text| match Script::load(text, path, &LibraryFiles, &[]) {
        Ok(script) => script,
        Err(problems) => panic!("{path}: {problems:#?}"),
    };
    LIBRARY.entries().map(|entry| load(entry.path, entry.text)).collect()
}

#[test]
fn every_scenario_does_what_it_must_and_every_fault_acts() {
    let tank = Tank::default();
    let mut wrong = Vec::new();
    for script in scenarios() {
        let script = Arc::new(script);
        let record = match tank.run(&script, &Options::default()) {
            Ok(ran) => ran.record,
            Err(error) => {
                wrong.push(error.to_string());
                continue;
            }
        };
        if !record.outcome.is_ok() {
            wrong.push(explained(&record));
        }
        // One at rate 0 is there for a twin to turn on.
        let declared = |id: &str| {
            script
                .scenario
                .faults
                .iter()
                .any(|fault| fault.id == id && fault.rate > 0.0)
        };
        for fault in record
            .faults
            .iter()
            .filter(|fault| fault.fired == 0 && declared(&fault.id))
        {
            wrong.push(format!("{}: the fault `{}` never acted", record.scenario, fault.id));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn books_come_to_zero_where_everybody_goes_back_too() {
    let tank = Tank::default();
    let (mut restored, mut undone) = (0, 0);
    let recovers = |script: &Script| script.scenario.snapshot.is_some() || script.scenario.replay.is_some();
    for script in scenarios().into_iter().filter(recovers) {
        let record = match tank.run(&Arc::new(script), &Options::default()) {
            Ok(ran) => ran.record,
            Err(error) => panic!("{error}"),
        };
        for actor in &record.actors {
            assert_eq!(actor.unaccounted(), 0, "{}: {actor:?}", record.scenario);
            restored += actor.restored;
            undone += actor.undone;
        }
    }
    assert!(restored > 0 && undone > 0, "{restored} restored, {undone} undone");
}

fn explained(record: &Record) -> String {
    let text = wavetank_reports::terminal::details(record, wavetank_reports::terminal::Detail::Problems, 120);
    format!("{} ({:?})\n{text}", record.scenario, record.outcome)
}

#[test]
fn every_pattern_has_scenarios_that_pass_and_one_that_must_fail() {
    let scenarios = scenarios();
    for pattern in PATTERNS {
        let of = |must| {
            scenarios
                .iter()
                .filter(|s| s.scenario.pattern == pattern.pattern && s.scenario.must == must)
                .count()
        };
        assert!(of(Must::Pass) > 0 && of(Must::Fail) > 0, "{}", pattern.name);
    }
}

#[test]
fn every_fault_is_in_the_library() {
    let scenarios = scenarios();
    let there: BTreeSet<&str> = scenarios
        .iter()
        .flat_map(|s| &s.scenario.faults)
        .map(|fault| fault.kind.name())
        .collect();
    let all: BTreeSet<&str> = FAULTS.iter().map(|fault| fault.name).collect();
    assert_eq!(there, all);
}

#[test]
fn every_scenario_says_what_it_shows_and_expects_something_in_more_than_one_way() {
    for script in scenarios() {
        let scenario = &script.scenario;
        let kinds: BTreeSet<_> = scenario
            .expects
            .iter()
            .flat_map(|e| e.statements())
            .map(|(kind, _)| kind)
            .collect();
        assert!(kinds.len() >= 2, "{} expects in one way only", scenario.name);
        assert!(
            !scenario.about.trim().is_empty() && !scenario.tags.is_empty(),
            "{}",
            scenario.name
        );
        let comments = script.text.lines().filter(|line| line.contains("# ")).count();
        assert!(comments > 0, "{} explains nothing", scenario.name);
    }
}

#[test]
fn a_scenario_that_must_fail_names_its_reason_and_differs_from_its_twin_in_one_setting() {
    let scenarios: BTreeMap<String, Scenario> = scenarios()
        .into_iter()
        .map(|script| (script.scenario.name.clone(), script.scenario))
        .collect();
    let failing: Vec<&Scenario> = scenarios.values().filter(|s| s.must == Must::Fail).collect();
    assert!(!failing.is_empty());
    for scenario in failing {
        assert!(
            !scenario.because.is_empty(),
            "{} does not say which expectation it breaks",
            scenario.name
        );
        let twin = twin(&scenario.about).and_then(|name| scenarios.get(name));
        let twin = twin.unwrap_or_else(|| panic!("{} names no twin", scenario.name));
        assert_eq!(twin.must, Must::Pass, "{}", twin.name);
        let settings = differences(scenario, twin);
        let (expected, set): (Vec<&String>, Vec<&String>) =
            settings.iter().partition(|path| path.starts_with("expect"));
        // Either a setting, or what is promised.
        let one = if set.is_empty() {
            !expected.is_empty()
        } else {
            set.len() == 1
        };
        assert!(one, "{} and {} differ in {settings:?}", scenario.name, twin.name);
    }
}

/// The first name in back quotes behind the word `twin`.
fn twin(about: &str) -> Option<&str> {
    let (_, rest) = about.split_once("twin")?;
    rest.split('`').nth(1)
}

/// The settings in which two scenarios differ, but for what they are called. A setting of several keys that only one of
/// them has is one.
fn differences(a: &Scenario, b: &Scenario) -> BTreeSet<String> {
    let settings = |scenario: &Scenario| {
        let text = load::expand(scenario).expect("a scenario can be written");
        let mut table: toml::Table = toml::from_str(&text).expect("and read again");
        for key in ["name", "about", "tags", "must", "because"] {
            table.remove(key);
        }
        let mut leaves = BTreeMap::new();
        flatten("", &Value::Table(table), &mut leaves);
        leaves
    };
    let (a, b) = (settings(a), settings(b));
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    keys.into_iter()
        .filter(|key| a.get(*key) != b.get(*key))
        .map(|key| match (a.contains_key(key), b.contains_key(key)) {
            (true, true) => key.clone(),
            (true, false) => missing_in(&b, key),
            _ => missing_in(&a, key),
        })
        .collect()
}

/// The outermost setting around a key of which the other scenario has nothing.
fn missing_in(other: &BTreeMap<String, String>, key: &str) -> String {
    let mut missing = key;
    while let Some((around, _)) = missing.rsplit_once('.') {
        let inside = format!("{around}.");
        let item = around
            .rsplit('.')
            .next()
            .is_some_and(|last| last.parse::<u32>().is_ok());
        if item || other.keys().any(|key| key.starts_with(&inside)) {
            break;
        }
        missing = around;
    }
    missing.to_owned()
}

fn flatten(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    let under = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match value {
        Value::Table(table) => table
            .iter()
            .for_each(|(key, value)| flatten(&under(key), value, leaves)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(i, item)| flatten(&under(&i.to_string()), item, leaves)),
        leaf => _ = leaves.insert(path.to_owned(), leaf.to_string()),
    }
}

#[test]
fn separate_processes_and_any_number_of_threads_give_equal_runs() {
    let runs = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
        let ran = command
            .args(["run", "--no-store", "--format", "jsonl"])
            .args(arguments)
            .output()
            .expect("it runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let line = |line: &str| {
            let mut run: serde_json::Value = serde_json::from_str(line).expect("an object a line");
            // What it cost on this machine is the only number that may differ.
            run.as_object_mut()
                .expect("an object")
                .remove("wall_us")
                .expect("the cost");
            run
        };
        String::from_utf8_lossy(&ran.stdout).lines().map(line).collect()
    };
    let first = runs(&[]);
    assert_eq!(first.len(), LIBRARY.entries().count());
    for run in &first {
        // A run that stops on an error has no end, and no trace with a name.
        let named = run["trace_hash"].as_str().is_some_and(|hash| !hash.is_empty());
        let stopped = |e: &serde_json::Value| e["name"] == "the run comes to its end" && e["holds"] == "no";
        let stopped = run["expectations"]
            .as_array()
            .is_some_and(|all| all.iter().any(stopped));
        assert!(named != stopped, "{run}");
    }
    for other in [runs(&["-j", "1"]), runs(&["-j", "2"])] {
        for (a, b) in first.iter().zip(&other) {
            assert_eq!(a, b);
        }
        assert_eq!(first.len(), other.len());
    }
}
