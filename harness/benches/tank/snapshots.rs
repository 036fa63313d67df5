//! What it costs to save ten megabytes of state each second, and to begin again after a crash.

use std::sync::Arc;

use wavetank_harness::run::{Options, Tank};
use wavetank_reports::record::Metric;
use wavetank_scenarios::Script;

use super::{Case, report, script};

/// Totals of so many accounts, all of which have had an order within the first second; then so many more orders a second.
fn totals(accounts: u64, orders: u64, seconds: u64, more: &str) -> Arc<Script> {
    script(&format!(
        "schema = 1\nname = \"totals\"\npattern = \"periodic-snapshot\"\n[time]\nlength = \"{seconds}500ms\"\nseed = 1\n\
         [[source]]\nname = \"first\"\nrate = \"{accounts}/s\"\ncount = {accounts}\n\
         fields = {{ account = {{ seq = 1 }}, amount = {{ uniform = [1, 500] }} }}\n\
         [[source]]\nname = \"orders\"\nrate = \"{orders}/s\"\n\
         fields = {{ account = {{ uniform = [1, {accounts}] }}, amount = {{ uniform = [1, 500] }} }}\n\
         [[broker]]\nname = \"log\"\ninput = [\"first\", \"orders\"]\n\
         [[operator]]\nname = \"totals\"\ninput = [\"log\"]\n\
         query = \"select account, count(*) as n, sum(amount) as total from log window tumbling(1 hour) group by account\"\n\
         watermark = {{ behind = \"0s\", every = \"1s\" }}\nflush_at_end = false\n\
         [[sink]]\nname = \"bank\"\ninput = [\"totals\"]\n{more}"
    ))
}

/// How snapshots are written: its name, and its settings.
const WAYS: [(&str, &str); 5] = [
    ("whole", "full_every = 1"),
    ("changes, every tenth whole", "full_every = 10"),
    ("changes, compressed", "full_every = 10\ncompress = true"),
    (
        "changes, compressed and encrypted",
        "full_every = 10\ncompress = true\nencrypt = true",
    ),
    (
        "whole, compressed and encrypted",
        "full_every = 1\ncompress = true\nencrypt = true",
    ),
];

/// A number of a run.
fn number(script: &Arc<Script>, tank: &Tank, of: &str, metric: &str) -> f64 {
    let options = Options {
        oracle: false,
        hash: false,
        ..Options::default()
    };
    let record = tank.run(script, &options).expect("it runs").record;
    match record.metrics.get(of).and_then(|metrics| metrics.get(metric)) {
        Some(Metric::Count(n) | Metric::Bytes(n)) => *n as f64,
        Some(Metric::Us(span)) => span.0 as f64,
        _ => f64::NAN,
    }
}

/// What snapshots cost in the course of processing.
fn cost(quick: bool, tank: &Tank, run: &dyn Fn(&Arc<Script>), rounds: usize) {
    let title = "snapshots: a second with a snapshot of ten megabytes";
    if !super::wanted(title) {
        return;
    }
    let (accounts, orders, seconds) = if quick { (1_000, 100, 3) } else { (100_000, 5_000, 20) };
    let saved = |settings: &str| {
        totals(
            accounts,
            orders,
            seconds,
            &format!("[snapshot]\nevery = \"1s\"\n{settings}\n"),
        )
    };
    let scripts: Vec<Arc<Script>> = WAYS.iter().map(|(_, settings)| saved(settings)).collect();
    let calm = totals(accounts, orders, seconds, "");
    let mut cases = vec![Case {
        name: "no snapshots".into(),
        things: seconds,
        run: Box::new(|| run(&calm)),
    }];
    for ((name, _), script) in WAYS.iter().zip(&scripts) {
        cases.push(Case {
            name: (*name).into(),
            things: seconds,
            run: Box::new(|| run(script)),
        });
    }
    let each = report(title, "second", &cases, rounds);
    for (((name, _), script), each_second) in WAYS.iter().zip(&scripts).zip(&each[1..]) {
        let bytes = number(script, tank, "totals", "saved_bytes") / 1e6;
        let snapshots = number(script, tank, "snapshots", "completed");
        let took = (each_second - each[0]) * seconds as f64 / snapshots / 1e6;
        println!(
            "  {name}: {took:.1} ms a snapshot, {:.2} MB each, {:.2} ms/MB written; {:.1} % of a second of one core",
            bytes / snapshots,
            took * snapshots / bytes,
            took / 10.0
        );
    }
}

/// What it takes to be back where one was.
fn recovery(quick: bool, tank: &Tank, run: &dyn Fn(&Arc<Script>), rounds: usize) {
    let title = "snapshots: recovery over length of log and interval";
    if !super::wanted(title) {
        return;
    }
    let (accounts, orders) = if quick { (100, 100) } else { (5_000, 1_000) };
    let lengths: &[u64] = if quick { &[4] } else { &[15, 30, 60] };
    let delay = "[[link]]\nfrom = \"log\"\nto = \"totals\"\ndelay = \"5ms\"\n";
    let mut scripts = Vec::new();
    for length in lengths {
        for (how, settings) in [
            ("from the beginning", "[replay]\nfrom = \"earliest\"\n".to_owned()),
            ("a snapshot each second", "[snapshot]\nevery = \"1s\"\n".to_owned()),
            ("one in ten seconds", "[snapshot]\nevery = \"10s\"\n".to_owned()),
        ] {
            let crash = format!(
                "[[fault]]\nid = \"kill\"\nkind = \"crash\"\non = \"totals\"\nat = \"{}900ms\"\nrestart = \"10ms\"\n",
                length - 2
            );
            let calm = totals(accounts, orders, *length, &format!("{settings}{delay}"));
            let crashed = totals(accounts, orders, *length, &format!("{settings}{delay}{crash}"));
            scripts.push((format!("{length} s of log, {how}"), calm, crashed));
        }
    }
    let cases: Vec<Case<'_>> = scripts
        .iter()
        .flat_map(|(name, calm, crashed)| {
            [("", calm), (", with a crash", crashed)].map(|(more, script)| Case {
                name: format!("{name}{more}"),
                things: 1,
                run: Box::new(move || run(script)),
            })
        })
        .collect();
    let each = report(title, "run", &cases, rounds);
    for ((name, _, crashed), pair) in scripts.iter().zip(each.chunks(2)) {
        let options = Options {
            oracle: false,
            hash: false,
            ..Options::default()
        };
        let record = tank.run(crashed, &options).expect("it runs").record;
        let after = record.faults.first().and_then(|fault| fault.recovered_after);
        let after = after.map_or_else(|| "never".into(), |span| span.short().to_string());
        let read = number(crashed, tank, "totals", "arrived");
        println!(
            "  {name}: recovered after {after} of virtual time, {:.1} ms of CPU time; {read} events taken in all",
            (pair[1] - pair[0]) / 1e6
        );
    }
}

/// All of it. `run` plays a scenario without a watcher.
pub fn measure_all(quick: bool, tank: &Tank, run: &dyn Fn(&Arc<Script>)) {
    let rounds = if quick { 1 } else { 5 };
    cost(quick, tank, run, rounds);
    recovery(quick, tank, run, rounds);
}
