//! Load shedding: which events a node gives up, and that each of them is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_harness::run::{Options, Ran, run};
use wavetank_reports::record::Metric;
use wavetank_reports::trace::TraceKind;
use wavetank_scenarios::Script;
use wavetank_scenarios::library::LibraryFiles;

/// Twice as many orders as can be worked on.
fn text(shed: &str) -> String {
    format!(
        "schema = 1\nname = \"overload\"\npattern = \"filter\"\n[time]\nlength = \"20s\"\nseed = 11\n\
         [[source]]\nname = \"orders\"\nrate = {{ poisson = \"50/s\" }}\n\
         fields = {{ store = {{ uniform = [1, 20] }}, amount = {{ uniform = [1, 500] }} }}\n\
         [[operator]]\nname = \"large\"\ninput = [\"orders\"]\nfilter = \"amount > 0\"\n\
         [[sink]]\nname = \"board\"\ninput = [\"large\"]\n\
         [[node]]\nname = \"large\"\nservice = \"40ms\"\n{shed}\n"
    )
}

fn load(shed: &str) -> Result<Script, String> {
    Script::load(&text(shed), "overload.toml", &LibraryFiles, &[]).map_err(|problems| {
        problems
            .iter()
            .map(|p| format!("{} {:?}\n", p.message, p.help))
            .collect()
    })
}

fn ran(shed: &str) -> Ran {
    let options = Options {
        trace: true,
        ..Options::default()
    };
    run(&Arc::new(load(shed).expect("it is valid")), &options).expect("it runs")
}

/// Number, store and amount of each order that was shed, and of each that was not.
fn orders(ran: &Ran) -> [BTreeMap<String, (i64, i64)>; 2] {
    let of = |kind: TraceKind, actor: &str| {
        let lines = ran
            .trace
            .iter()
            .filter(|line| line.kind == kind && line.actor.as_deref() == Some(actor));
        let read = |line: &wavetank_reports::trace::TraceLine| {
            let row = line.row.as_ref()?;
            let cell = |name: &str| row.get(name).and_then(serde_json::Value::as_i64);
            Some((line.event.clone()?, (cell("store")?, cell("amount")?)))
        };
        lines.filter_map(read).collect::<BTreeMap<_, _>>()
    };
    let all = of(TraceKind::Emit, "orders");
    let shed = of(TraceKind::Shed, "large");
    let kept = all.into_iter().filter(|(event, _)| !shed.contains_key(event)).collect();
    [shed, kept]
}

fn counted(ran: &Ran) {
    let metric = |of: &str, name: &str| match ran.record.metrics.get(of).and_then(|metrics| metrics.get(name)) {
        Some(Metric::Count(n)) => *n,
        other => panic!("{of}.{name}: {other:?}"),
    };
    let [shed, kept] = orders(ran);
    assert!(!shed.is_empty() && !kept.is_empty());
    assert_eq!(metric("large", "shed"), shed.len() as u64);
    assert_eq!(metric("large", "arrived"), kept.len() as u64);
    assert_eq!(ran.record.events, (shed.len() + kept.len()) as u64);
    let books = ran
        .record
        .actors
        .iter()
        .find(|actor| actor.actor == "large")
        .expect("its books");
    assert_eq!(
        books.taken,
        books.caused + books.filtered + books.late + books.failed + books.held + books.shed
    );
}

#[test]
fn every_event_that_is_shed_is_counted_whatever_the_policy() {
    for shed in [
        "shed = { above = 5 }",
        "shed = { above = 5, share = 0.7 }",
        "shed = { above = 5, by = \"store\", share = 0.7 }",
        "shed = { above = 5, priority = \"amount\" }",
        "mailbox = 8\noverflow = \"drop\"\nshed = { above = 5, share = 0.2 }",
    ] {
        counted(&ran(shed));
    }
}

#[test]
fn by_key_some_are_shed_and_the_others_are_whole() {
    // The queue is never short once it has grown.
    let ran = ran("shed = { above = 1, by = \"store\", share = 0.6 }");
    let [shed, kept] = orders(&ran);
    let stores =
        |orders: &BTreeMap<String, (i64, i64)>| orders.values().map(|(store, _)| *store).collect::<BTreeSet<_>>();
    let (hit, whole) = (stores(&shed), &stores(&kept) - &stores(&shed));
    assert!(hit.len() > 5 && whole.len() > 3, "{hit:?} {whole:?}");
    // A larger share takes the same stores, and more.
    let more = orders(&self::ran("shed = { above = 1, by = \"store\", share = 0.9 }"));
    assert!(stores(&more[0]).is_superset(&hit));
}

#[test]
fn by_priority_what_is_worth_least_goes() {
    let ran = ran("shed = { above = 10, priority = \"amount\" }");
    let [shed, kept] = orders(&ran);
    let mean = |orders: &BTreeMap<String, (i64, i64)>| {
        orders.values().map(|(_, amount)| *amount as f64).sum::<f64>() / orders.len() as f64
    };
    assert!(mean(&shed) + 150.0 < mean(&kept), "{} {}", mean(&shed), mean(&kept));
    // Whatever is shed is worth no more than anything that waits then: here what is taken later and came before.
    let place = |kind: TraceKind, event: &str| {
        let found = ran.trace.iter().find(|line| {
            line.kind == kind && line.event.as_deref() == Some(event) && line.actor.as_deref() == Some("large")
        });
        found.map(|line| line.seq)
    };
    let emitted = |event: &str| {
        let found = ran
            .trace
            .iter()
            .find(|line| line.kind == TraceKind::Emit && line.event.as_deref() == Some(event));
        found.map(|line| line.seq)
    };
    let mut compared = 0;
    for (event, (_, amount)) in &shed {
        let at = place(TraceKind::Shed, event).expect("it is in the trace");
        let taken = |event| place(TraceKind::Deliver, event).filter(|taken| *taken > at);
        // What is delivered next is being worked on already: it does not wait any more.
        let next = kept.keys().filter_map(|event| taken(event)).min();
        for (other, (_, more)) in &kept {
            if emitted(other) < Some(at) && taken(other) > next {
                assert!(
                    amount <= more,
                    "{event} of {amount} was shed while {other} of {more} waited"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn policies_that_make_no_sense_are_refused_with_what_was_meant() {
    let wrong = |shed: &str| load(shed).expect_err(shed);
    assert!(wrong("shed = { above = 0 }").contains("1 is the smallest"));
    assert!(wrong("shed = { above = 5, share = 1.5 }").contains("a share lies above 0"));
    assert!(wrong("shed = { above = 5, priority = \"amuont\" }").contains("did you mean `amount`"));
    assert!(wrong("shed = { above = 5, by = \"shop\" }").contains("has no field `shop`"));
    assert!(wrong("shed = { above = 5, by = \"store\", priority = \"amount\" }").contains("or `priority`"));
    assert!(wrong("[[node]]\nname = \"orders\"\nshed = { above = 5 }").contains("nothing comes to this node"));
    assert!(wrong("shed = 5").contains("a table, as in { above = 20, share = 0.5 }"));
    assert!(wrong("mailbox = 4\nshed = { above = 5 }").contains("nothing is ever shed"));
}
