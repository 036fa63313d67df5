//! Brokers that crash and readers that crash, at every delivery: what comes out is what was kept, once, and what is missing
//! is counted.

mod common;

use std::fmt::Write as _;
use std::sync::Arc;

use common::script;
use wavetank_harness::everywhere::with_crash;
use wavetank_harness::{Options, Ran, Tank};
use wavetank_reports::record::Metric;
use wavetank_scenarios::Span;

const EVENTS: u64 = 30;

/// Events at a log or queue whose disk is slow, and an operator that passes on two thirds of them.
fn text(broker: &str, replay: &str, more: &str) -> String {
    let mut events = String::new();
    for n in 0..EVENTS {
        let _ = writeln!(
            events,
            "  {{ t = \"{}ms\", row = {{ k = {}, n = {n} }} }},",
            500 + n * 130,
            n % 3
        );
    }
    format!(
        "schema = 1\nname = \"kept\"\npattern = \"replay\"\n[time]\nlength = \"20s\"\n\
         [[source]]\nname = \"orders\"\nevents = [\n{events}]\n\
         [[broker]]\nname = \"kept\"\ninput = [\"orders\"]\n{broker}disk = {{ write = \"200ms\" }}\n\
         [replay]\n{replay}\
         [[operator]]\nname = \"some\"\ninput = [\"kept\"]\nfilter = \"k <> 1\"\n\
         [[sink]]\nname = \"shown\"\ninput = [\"some\"]\ndelivery = \"by-result\"\n\
         [[link]]\nfrom = \"kept\"\nto = \"some\"\ndelay = \"70ms\"\n{more}"
    )
}

const KINDS: [&str; 4] = [
    "kind = \"log\"\n",
    "kind = \"log\"\npartitions = 2\nby = \"k\"\n",
    "kind = \"queue\"\nvisibility = \"1s\"\n",
    "kind = \"queue\"\nvisibility = \"300ms\"\nin_flight = 2\n",
];

fn run(text: &str, node: &str, delivery: u64) -> Ran {
    let crashing = with_crash(&script(text), node, delivery, Span::from_micros(400_000));
    let ran = Tank::default().run(&Arc::new(crashing), &Options::default());
    ran.expect("it runs")
}

fn metric(ran: &Ran, actor: &str, name: &str) -> u64 {
    match ran.record.metric(actor, name) {
        Some(Metric::Count(count)) => count,
        other => panic!("{actor}.{name}: {other:?}"),
    }
}

fn rows(ran: &Ran) -> u64 {
    ran.record.sinks.iter().map(|sink| sink.rows).sum()
}

/// What is broken, but for what a crash of the broker must break: what was not written is lost.
fn broken(ran: &Ran) -> Vec<String> {
    let broken = ran.record.broken();
    broken
        .filter(|expectation| expectation.text != "every event of the input reaches its result")
        .map(|expectation| format!("{}: {:#?}", expectation.name, expectation.failure))
        .collect()
}

#[test]
fn a_reader_that_crashes_before_any_event_has_everything_in_the_end() {
    for kind in KINDS {
        let text = text(kind, "acknowledge = \"done\"\n", "");
        for delivery in 1..=EVENTS {
            let ran = run(&text, "some", delivery);
            assert_eq!(broken(&ran), [""; 0], "{kind} at {delivery}");
            assert_eq!(rows(&ran), EVENTS / 3 * 2, "{kind} at {delivery}");
        }
    }
}

#[test]
fn a_broker_that_crashes_before_any_event_gives_what_it_had_written_and_what_it_had_not_is_counted() {
    let mut lost_some = 0;
    for kind in KINDS {
        let text = text(kind, "acknowledge = \"done\"\n", "");
        for delivery in 1..=EVENTS {
            let ran = run(&text, "kept", delivery);
            assert_eq!(broken(&ran), [""; 0], "{kind} at {delivery}");
            let lost = metric(&ran, "kept", "lost_in_crash");
            let passed = metric(&ran, "some", "caused") + metric(&ran, "some", "filtered");
            assert!(
                passed + lost >= EVENTS,
                "{kind} at {delivery}: {passed} and {lost} lost"
            );
            assert!(rows(&ran) + lost >= EVENTS / 3 * 2, "{kind} at {delivery}");
            lost_some += lost;
        }
    }
    assert!(lost_some > 0, "the disk is slow enough to lose something");
}
