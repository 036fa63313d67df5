//! The six event-time patterns: what an event costs through each, in the world and in a plain loop; how that grows with the
//! number of events at a fixed open state and output, and with the number of keys.

use std::sync::Arc;

use wavetank_scenarios::Script;

use super::{Case, only_input, plain_loop, report, script};

/// Events a second of simulated time, of all sources together.
const RATE: u64 = 10_000;

/// A source of so many events with a key and a value.
fn source(name: &str, rate: u64, events: u64, keys: u64) -> String {
    format!(
        "[[source]]\nname = \"{name}\"\nrate = \"{rate}/s\"\ncount = {events}\n\
         fields = {{ k = {{ uniform = [1, {keys}] }}, v = {{ uniform = [0, 9] }} }}\n"
    )
}

fn scenario(pattern: &str, sources: &str, operator: &str) -> Arc<Script> {
    script(&format!(
        "schema = 1\nname = \"bench\"\npattern = \"{pattern}\"\n[time]\nseed = 1\n{sources}\
         [[operator]]\nname = \"op\"\n{operator}\n[[sink]]\nname = \"to\"\ninput = [\"op\"]\n"
    ))
}

const WATERMARK: &str = "watermark = { behind = \"0s\", every = \"1s\" }";

/// Pairs within so long that each event has one partner on average.
fn join(events: u64, keys: u64) -> Arc<Script> {
    let within = keys * 1_000_000 / (RATE / 2) / 2;
    let sources = source("l", RATE / 2, events / 2, keys) + &source("r", RATE / 2, events / 2, keys);
    let query = format!(
        "select l.k, l.v as a, r.v as b from l join r on l.k = r.k within ({within} us before, {within} us after)"
    );
    scenario(
        "stream-join",
        &sources,
        &format!("input = [\"l\", \"r\"]\nquery = \"{query}\"\n{WATERMARK}"),
    )
}

/// A zero and then a one of the same key, within ten events of that key.
fn sequence(events: u64, keys: u64) -> Arc<Script> {
    let within = keys * 10 * 1_000_000 / RATE;
    let settings = format!(
        "sequence = {{ pattern = \"zero -> one\", by = [\"k\"], within = \"{within}us\", \
         where = {{ zero = \"v = 0\", one = \"v = 1\" }}, select = {{ k = \"k\" }} }}"
    );
    scenario(
        "temporal-event-ordering",
        &source("s", RATE, events, keys),
        &format!("input = [\"s\"]\n{settings}\n{WATERMARK}"),
    )
}

/// K-slack over arrivals that are up to tens of milliseconds out of order.
fn k_slack(events: u64, keys: u64) -> Arc<Script> {
    let link = "\n[[link]]\nfrom = \"s\"\nto = \"op\"\nkind = \"datagram\"\ndelay = { uniform = [\"0ms\", \"20ms\"] }";
    scenario(
        "buffered-event-ordering",
        &source("s", RATE, events, keys),
        &format!("input = [\"s\"]\nreorder = {{ k_slack = {{ samples = 1000 }} }}{link}"),
    )
}

/// Four sub-streams by key, a tenth of the events filtered, merged in order.
fn convey(events: u64, keys: u64) -> Arc<Script> {
    scenario(
        "sequential-convey",
        &source("s", RATE, events, keys),
        "input = [\"s\"]\nfilter = \"v > 0\"\nconvey = { streams = 4, by = { key = [\"k\"] } }",
    )
}

/// Ten-second counts, answered again at each event.
fn correction(events: u64, keys: u64) -> Arc<Script> {
    let query = "select k, count(*) as n, sum(v) as total from s window tumbling(10 sec) group by k";
    scenario(
        "course-correction",
        &source("s", RATE, events, keys),
        &format!("input = [\"s\"]\nquery = \"{query}\"\nemit = {{ early = {{ count = 1 }} }}\n{WATERMARK}"),
    )
}

/// A watermark behind every event, at a percentile of the delays of the last thousand.
fn watermark(events: u64, keys: u64) -> Arc<Script> {
    scenario(
        "watermark",
        &source("s", RATE, events, keys),
        "input = [\"s\"]\nfilter = \"v >= 0\"\nwatermark = { kind = \"percentile\", share = 0.99 }",
    )
}

type Make = fn(u64, u64) -> Arc<Script>;

const PATTERNS: [(&str, Make); 6] = [
    ("stream join", join),
    ("temporal event ordering", sequence),
    ("sequential convey", convey),
    ("buffered event ordering", k_slack),
    ("course correction", correction),
    ("watermark", watermark),
];

/// All of it. `run` runs a scenario in the world, with nobody watching.
pub fn measure_all(quick: bool, run: &dyn Fn(&Arc<Script>)) {
    let (small, large, rounds) = if quick {
        (1_000, 10_000, 1)
    } else {
        (100_000, 1_000_000, 3)
    };
    let scripts: Vec<(&str, [Arc<Script>; 2])> = PATTERNS
        .iter()
        .map(|(name, make)| (*name, [make(small, 100), make(large, 100)]))
        .collect();
    let mut cases = Vec::new();
    for (name, [script, _]) in &scripts {
        cases.push(Case {
            name: format!("{name}, in the world"),
            things: small,
            run: Box::new(move || run(script)),
        });
        cases.push(Case {
            name: format!("{name}, plain loop, input included"),
            things: small,
            run: Box::new(move || plain_loop(script)),
        });
        cases.push(Case {
            name: format!("{name}, the input alone"),
            things: small,
            run: Box::new(move || only_input(script)),
        });
    }
    report("patterns: an event through each, 100 keys", "event", &cases, rounds);
    let mut cases = Vec::new();
    for (name, both) in &scripts {
        for (script, events) in both.iter().zip([small, large]) {
            cases.push(Case {
                name: format!("{name}, {events} events"),
                things: events,
                run: Box::new(move || run(script)),
            });
        }
    }
    let each = report(
        "patterns: cost per event over the number of events",
        "event",
        &cases,
        rounds,
    );
    for ((name, _), pair) in scripts
        .iter()
        .zip(each.chunks(2))
        .filter(|(_, pair)| pair[0].is_finite())
    {
        println!(
            "  {name}: the larger run costs {:.2} times the smaller, each event",
            pair[1] / pair[0]
        );
    }
    let keys: &[u64] = if quick {
        &[10, 100]
    } else {
        &[10, 100, 1_000, 10_000, 100_000]
    };
    let growing: Vec<(&str, u64, Arc<Script>)> = [
        ("stream join", join as Make),
        ("temporal event ordering", sequence),
        ("k-slack", k_slack),
    ]
    .iter()
    .flat_map(|(name, make)| keys.iter().map(move |keys| (*name, *keys, make(small * 2, *keys))))
    .collect();
    let cases: Vec<Case<'_>> = growing
        .iter()
        .map(|(name, keys, script)| Case {
            name: format!("{name}, {keys} keys"),
            things: small * 2,
            run: Box::new(move || run(script)),
        })
        .collect();
    report(
        "patterns: cost per event over the number of keys",
        "event",
        &cases,
        rounds,
    );
}
