//! Small scenarios, run and read, for the tests of whole runs.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;

use wavetank_harness::{Options, Ran, Tank};
use wavetank_reports::trace::{TraceKind, TraceLine};
use wavetank_scenarios::Script;
use wavetank_scenarios::library::LibraryFiles;

/// A scenario from its text.
pub fn script(text: &str) -> Arc<Script> {
    match Script::load(text, "inline.toml", &LibraryFiles, &[]) {
        Ok(script) => Arc::new(script),
        Err(problems) => panic!("{problems:#?}\n{text}"),
    }
}

/// A scenario run in virtual time with its whole trace.
pub fn play(text: &str) -> Ran {
    let options = Options {
        trace: true,
        ..Options::default()
    };
    Tank::default().run(&script(text), &options).expect("it runs")
}

/// A scenario run in virtual time at a seed.
pub fn play_at(text: &str, seed: u64) -> Ran {
    let options = Options {
        seed: Some(seed),
        ..Options::default()
    };
    Tank::default().run(&script(text), &options).expect("it runs")
}

/// What is broken in a run, each with its explanation.
pub fn broken(ran: &Ran) -> Vec<String> {
    let broken = ran.record.broken();
    broken.map(|e| format!("{}: {:#?}", e.name, e.failure)).collect()
}

/// What a sink took: one line an event.
pub fn taken<'a>(ran: &'a Ran, sink: &str) -> Vec<&'a TraceLine> {
    let lines = ran.trace.iter();
    lines
        .filter(|line| line.kind == TraceKind::Note && line.event.is_some() && line.actor.as_deref() == Some(sink))
        .collect()
}

/// The number behind the `#` of an event's name.
pub fn number(line: &TraceLine) -> u64 {
    let event = line.event.as_deref().expect("a line about an event");
    let (_, number) = event.split_once('#').expect("producer and number");
    number.parse().expect("a number")
}

/// Virtual time of a line in milliseconds.
pub fn millis(line: &TraceLine) -> i64 {
    line.time.0 / 1_000
}

/// Event time of a line in milliseconds.
pub fn stamp(line: &TraceLine) -> i64 {
    line.stamp.expect("a stamp").0 / 1_000
}
