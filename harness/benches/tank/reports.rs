//! What a report costs: the distributions that every run keeps, the observer of a timeline, and the page.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use wavetank_harness::run::{Options, Ran, Tank};
use wavetank_reports::{Histogram, Record, Span, html, markdown};
use wavetank_scenarios::Script;

use super::{Case, SEEN, report, script};

/// Ten-second windows over a link that delays, at 1,000 events a second.
fn orders(events: u64) -> Arc<Script> {
    script(&format!(
        "schema = 1\nname = \"orders\"\npattern = \"windowed-aggregation\"\n[time]\nseed = 1\n\
         [[source]]\nname = \"orders\"\nrate = \"1000/s\"\ncount = {events}\n\
         fields = {{ store = {{ uniform = [1, 100] }}, amount = {{ uniform = [1, 1000] }} }}\n\
         [[operator]]\nname = \"per-store\"\ninput = [\"orders\"]\n\
         query = \"select store, sum(amount) as s, count(*) as n from orders window tumbling(10 sec) group by store\"\n\
         watermark = {{ behind = \"200ms\", every = \"500ms\" }}\n\
         [[sink]]\nname = \"to\"\ninput = [\"per-store\"]\n\
         [[link]]\nfrom = \"orders\"\nto = \"per-store\"\nkind = \"datagram\"\ndelay = {{ exp = \"40ms\" }}\n\
         [[fault]]\nid = \"slow\"\nkind = \"delay\"\non = \"orders -> per-store\"\nrate = 0.01\namount = \"1s\"\n"
    ))
}

/// Every value that the run has put into a distribution, in no order.
fn values(record: &Record) -> Vec<Span> {
    let all = record.histograms.values().flat_map(|metrics| metrics.values());
    let mut values: Vec<Span> = all
        .flat_map(Histogram::bars)
        .flat_map(|(value, many)| std::iter::repeat_n(value, many as usize))
        .collect();
    let mixed = |n: usize| {
        let mut hasher = DefaultHasher::new();
        n.hash(&mut hasher);
        hasher.finish() as usize
    };
    for n in 1..values.len() {
        values.swap(n, mixed(n) % (n + 1));
    }
    values
}

fn page(ran: &Ran) -> String {
    let run = html::Run {
        record: &ran.record,
        timeline: ran.timeline.as_deref(),
        scenario: "",
    };
    html::report(&[run]).expect("a page")
}

pub fn measure(tank: &Tank, scale: u64, rounds: usize) {
    let title = "reports: a run, what it keeps, and its page";
    if !super::wanted(title) {
        return;
    }
    let events = 100_000 / scale;
    let orders = orders(events);
    let judged = Options::default();
    let watched = Options {
        timeline: true,
        ..Options::default()
    };
    let ran = tank.run(&orders, &watched).expect("it runs");
    let values = values(&ran.record);
    let run = |options: &Options| {
        let ran = tank.run(&orders, options).expect("it runs");
        SEEN.fetch_add(ran.record.deliveries, Ordering::Relaxed);
    };
    let each = report(
        title,
        "event",
        &[
            Case {
                name: "run and judged".into(),
                things: events,
                run: Box::new(|| run(&judged)),
            },
            Case {
                name: "the values of its distributions, recorded again".into(),
                things: events,
                run: Box::new(|| {
                    let mut histogram = Histogram::default();
                    for value in &values {
                        histogram.record(*value);
                    }
                    SEEN.fetch_add(histogram.count(), Ordering::Relaxed);
                }),
            },
            Case {
                name: "run and judged, with its timeline".into(),
                things: events,
                run: Box::new(|| run(&watched)),
            },
            Case {
                name: "the page written".into(),
                things: events,
                run: Box::new(|| {
                    SEEN.fetch_add(page(&ran).len() as u64, Ordering::Relaxed);
                }),
            },
            Case {
                name: "the same record as Markdown".into(),
                things: events,
                run: Box::new(|| {
                    let text = markdown::markdown(std::slice::from_ref(&ran.record));
                    SEEN.fetch_add(text.len() as u64, Ordering::Relaxed);
                }),
            },
        ],
        rounds,
    );
    println!(
        "  distributions cost {:.1} % of a run, the timeline {:.1} % more; the page of {events} events has {} kB and \
         takes {:.0} ms",
        100.0 * each[1] / each[0],
        100.0 * (each[2] / each[0] - 1.0),
        page(&ran).len() / 1_000,
        each[3] * events as f64 / 1e6,
    );
}
