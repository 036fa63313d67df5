//! What the tank costs, in one run: `cargo bench`.
//!
//! Times are CPU time of this process, because the machines that this runs on are shared, and each figure is the median
//! of rounds in which all cases take their turn, so that ratios within one run mean something. A harness of our own:
//! criterion and divan measure one case after another and print no ratios.

mod learners;
mod patterns;
mod reports;
mod snapshots;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, Context, Handler, Message};
use cpu_time::ProcessTime;
use wavetank_harness::run::{Options, Tank};
use wavetank_scenarios::Script;
use wavetank_scenarios::library::LibraryFiles;

/// A case: what it is called, how many things it does, and how.
struct Case<'a> {
    name: String,
    things: u64,
    run: Box<dyn Fn() + 'a>,
}

/// The median CPU time of each case over interleaved rounds, after one round to warm up.
fn measure(cases: &[Case<'_>], rounds: usize) -> Vec<Duration> {
    let mut times = vec![Vec::new(); cases.len()];
    for round in 0..=rounds {
        for (case, times) in cases.iter().zip(&mut times) {
            let start = ProcessTime::now();
            (case.run)();
            if round > 0 {
                times.push(start.elapsed());
            }
        }
    }
    times
        .into_iter()
        .map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2]
        })
        .collect()
}

/// Whether the command line asks for this part: `cargo bench -- seeds` runs the parts with that word in their title.
fn wanted(title: &str) -> bool {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    words.is_empty() || words.iter().any(|word| title.contains(word.as_str()))
}

fn report(title: &str, unit: &str, cases: &[Case<'_>], rounds: usize) -> Vec<f64> {
    if !wanted(title) {
        return vec![f64::NAN; cases.len()];
    }
    println!("\n{title} (median of {rounds} interleaved rounds, CPU time)");
    let times = measure(cases, rounds);
    cases
        .iter()
        .zip(times)
        .map(|(case, time)| {
            let each = time.as_nanos() as f64 / case.things as f64;
            println!(
                "  {:<52} {:>10.1} ns/{unit} {:>12.0} {unit}s/s",
                case.name,
                each,
                1e9 / each
            );
            each
        })
        .collect()
}

/// A bare actix actor that answers another until `left` is used up.
struct Bare {
    peer: Option<actix::Recipient<Ball>>,
}
struct Ball(u64, Option<actix::Recipient<Ball>>);
impl Message for Ball {
    type Result = ();
}
struct Introduction(actix::Recipient<Ball>);
impl Message for Introduction {
    type Result = ();
}
impl Handler<Introduction> for Bare {
    type Result = ();
    fn handle(&mut self, introduction: Introduction, _: &mut Context<Self>) {
        self.peer = Some(introduction.0);
    }
}
impl Actor for Bare {
    type Context = Context<Self>;
}
impl Handler<Ball> for Bare {
    type Result = ();
    fn handle(&mut self, ball: Ball, _: &mut Context<Self>) {
        if let Some(peer) = ball.1 {
            self.peer = Some(peer);
        }
        match (&self.peer, ball.0) {
            (_, 0) => actix_rt::System::current().stop(),
            (Some(peer), left) => peer.do_send(Ball(left - 1, None)),
            (None, _) => {}
        }
    }
}

fn raw_messages(messages: u64) {
    let system = actix_rt::System::new();
    system.block_on(async {
        let (a, b) = (Bare { peer: None }.start(), Bare { peer: None }.start());
        // Whoever is served first passes the ball on, so the other is told its peer before there is a ball.
        b.send(Introduction(a.clone().recipient())).await.expect("b lives");
        a.do_send(Ball(messages, Some(b.recipient())));
    });
    system.run().expect("the system runs");
}

fn script(text: &str) -> Arc<Script> {
    match Script::load(text, "bench", &LibraryFiles, &[]) {
        Ok(script) => Arc::new(script),
        Err(problems) => panic!("{}", problems[0]),
    }
}

/// A source, a link and a sink.
fn link(events: u64, delay: &str) -> Arc<Script> {
    script(&format!(
        "schema = 1\nname = \"link\"\npattern = \"transformation\"\n[time]\nseed = 1\n\
         [[source]]\nname = \"from\"\nrate = \"1000/s\"\ncount = {events}\nfields = {{ n = 1 }}\n\
         [[sink]]\nname = \"to\"\ninput = [\"from\"]\n\
         [[link]]\nfrom = \"from\"\nto = \"to\"\nkind = \"datagram\"\n{delay}\n"
    ))
}

/// Ten-second windows of sum, count, min and max for 100 keys.
fn windows(events: u64) -> Arc<Script> {
    script(&format!(
        "schema = 1\nname = \"windows\"\npattern = \"windowed-aggregation\"\n[time]\nseed = 1\n\
         [[source]]\nname = \"orders\"\nrate = \"10000/s\"\ncount = {events}\n\
         fields = {{ store = {{ uniform = [1, 100] }}, amount = {{ uniform = [1, 1000] }} }}\n\
         [[operator]]\nname = \"per-store\"\ninput = [\"orders\"]\n\
         query = \"select store, sum(amount) as s, count(*) as n, min(amount) as low, max(amount) as high \
         from orders window tumbling(10 sec) group by store\"\nwatermark = {{ behind = \"0s\", every = \"1s\" }}\n\
         [[sink]]\nname = \"to\"\ninput = [\"per-store\"]\n"
    ))
}

/// Ten simulated seconds and about a thousand deliveries.
fn small() -> Arc<Script> {
    script(
        "schema = 1\nname = \"small\"\npattern = \"windowed-aggregation\"\n[time]\nlength = \"10s\"\n\
         [[source]]\nname = \"orders\"\nrate = \"50/s\"\nfields = { store = { uniform = [1, 5] }, amount = { uniform = [1, 9] } }\n\
         [[operator]]\nname = \"per-store\"\ninput = [\"orders\"]\n\
         query = \"select store, count(*) as n, sum(amount) as s from orders window tumbling(1 sec) group by store\"\n\
         watermark = { behind = \"200ms\", every = \"500ms\" }\n\
         [[sink]]\nname = \"to\"\ninput = [\"per-store\"]\n\
         [[link]]\nfrom = \"orders\"\nto = \"per-store\"\nkind = \"datagram\"\ndelay = { exp = \"40ms\" }\n\
         [[fault]]\nid = \"slow\"\nkind = \"delay\"\non = \"orders -> per-store\"\nrate = 0.05\namount = \"1s\"\n",
    )
}

/// Two nodes with nothing to do for an hour.
fn idle() -> Arc<Script> {
    script(
        "schema = 1\nname = \"idle\"\npattern = \"watermark\"\n[time]\nlength = \"1h\"\n\
         [[source]]\nname = \"quiet\"\nevents = [{ t = \"0s\", row = { n = 1 } }, { t = \"59m\", row = { n = 2 } }]\n\
         [[operator]]\nname = \"pass\"\ninput = [\"quiet\"]\nfilter = \"n > 0\"\n\
         watermark = { behind = \"1s\", idle = \"30s\" }\n[[sink]]\nname = \"to\"\ninput = [\"pass\"]\n",
    )
}

/// The first operator of a scenario in a plain loop over the events of all its inputs in order of time, with a watermark
/// every simulated second.
fn plain_loop(script: &Arc<Script>) {
    use wavetank_actors::operator::Output;
    use wavetank_scenarios::input::What;
    use wavetank_scenarios::topology::{ActorId, Role};
    use wavetank_scenarios::{Event, EventId, Producer, Span, Time};
    let mut operator = wavetank_harness::run::operator(script, 0, false).expect("it builds");
    let actors = script.topology.actors.iter().enumerate();
    let sources = actors.filter_map(|(i, actor)| matches!(actor.role, Role::Source { .. }).then_some(i as u32));
    let mut streams: Vec<_> = sources
        .map(|source| script.input(ActorId(source), 1).peekable())
        .collect();
    let mut output = Output::default();
    operator.on_enter(&mut output);
    let mut next = Time::ZERO + Span::from_secs(1);
    loop {
        let heads = streams.iter_mut().enumerate();
        let first = heads.filter_map(|(i, stream)| Some((stream.peek()?.happened, i))).min();
        let Some(planned) = first.and_then(|(_, lane)| Some((lane, streams[lane].next()?))) else {
            break;
        };
        let (lane, planned) = planned;
        let What::Event(row) = planned.what else { continue };
        let id = EventId {
            producer: Producer(lane as u32),
            number: planned.number,
        };
        let stamp = planned.happened;
        let event = Event {
            id,
            stamp,
            correlation: id,
            planned: stamp,
            row,
            lineage: None,
            pane: None,
            sequence: None,
            position: None,
        };
        if stamp >= next {
            operator.on_watermark(stamp - Span::UNIT, &mut output);
            next = stamp + Span::from_secs(1);
        }
        operator.on_event(lane, event, stamp, &mut output);
        SEEN.fetch_add(output.emitted.len() as u64, Ordering::Relaxed);
        output.clear();
    }
    operator.on_watermark(Time::MAX, &mut output);
    SEEN.fetch_add(output.emitted.len() as u64, Ordering::Relaxed);
}

fn only_input(script: &Arc<Script>) {
    use wavetank_scenarios::topology::{ActorId, Role};
    for (i, actor) in script.topology.actors.iter().enumerate() {
        if let Role::Source { .. } = actor.role {
            let count = script.input(ActorId(i as u32), 1).count();
            SEEN.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
}

static SEEN: AtomicU64 = AtomicU64::new(0);

fn main() {
    // `cargo test --benches` asks whether it runs, not how fast.
    let quick = std::env::args().any(|argument| argument == "--test");
    let scale = if quick { 100 } else { 1 };
    let rounds = if quick { 1 } else { 7 };
    let tank = Tank::default();
    let bare = Options {
        oracle: false,
        hash: false,
        watch: false,
        ..Options::default()
    };
    let hashed = Options {
        hash: true,
        ..bare.clone()
    };
    let judged = Options {
        oracle: true,
        hash: true,
        watch: true,
        ..bare.clone()
    };
    let run = |script: &Arc<Script>, options: &Options| {
        let ran = tank.run(script, options).expect("it runs");
        SEEN.fetch_add(ran.record.deliveries, Ordering::Relaxed);
    };

    let n = 400_000 / scale;
    let (direct, delayed) = (
        link(n, ""),
        link(n, "delay = { lognormal = { median = \"40ms\", sigma = 0.5 } }"),
    );
    // A delivery is a message through actix: the departure of each event, and its arrival.
    let each = report(
        "messages",
        "message",
        &[
            Case {
                name: "raw actix do_send between two actors".into(),
                things: n,
                run: Box::new(|| raw_messages(n)),
            },
            Case {
                name: "through the fabric, no delay".into(),
                things: 2 * n,
                run: Box::new(|| run(&direct, &bare)),
            },
            Case {
                name: "through the fabric, log-normal delay".into(),
                things: 2 * n,
                run: Box::new(|| run(&delayed, &bare)),
            },
            Case {
                name: "the same, trace hashed".into(),
                things: 2 * n,
                run: Box::new(|| run(&delayed, &hashed)),
            },
        ],
        rounds,
    );
    if each[0].is_finite() {
        println!(
            "  a delivery through the fabric costs {:.2} raw messages",
            each[1] / each[0]
        );
    }

    let hour = idle();
    report(
        "an idle simulated hour of two nodes",
        "hour",
        &[Case {
            name: "two events in it".into(),
            things: 1,
            run: Box::new(|| run(&hour, &hashed)),
        }],
        rounds,
    );

    let seeds = 200 / scale.min(20);
    let ten_seconds = small();
    let deliveries = tank.run(&ten_seconds, &judged).expect("it runs").record.deliveries;
    let range = |options: &Options| {
        for seed in 0..seeds {
            let seed = Some(seed);
            run(
                &ten_seconds,
                &Options {
                    seed,
                    ..options.clone()
                },
            );
        }
    };
    let each = report(
        &format!("seeds of ten simulated seconds, {deliveries} deliveries each, one thread"),
        "seed",
        &[
            Case {
                name: "oracle on".into(),
                things: seeds,
                run: Box::new(|| range(&judged)),
            },
            Case {
                name: "oracle off".into(),
                things: seeds,
                run: Box::new(|| range(&hashed)),
            },
        ],
        rounds,
    );
    if each[0].is_finite() {
        println!("  the oracle costs {:.2} times the run", each[0] / each[1] - 1.0);
    }

    let events = 500_000 / scale;
    let windowed = windows(events);
    let each = report(
        "ten-second windows of sum, count, min and max for 100 keys",
        "event",
        &[
            Case {
                name: "source, link, generator, windows, sink".into(),
                things: events,
                run: Box::new(|| run(&windowed, &bare)),
            },
            Case {
                name: "plain loop over the same operator, input included".into(),
                things: events,
                run: Box::new(|| plain_loop(&windowed)),
            },
            Case {
                name: "the input alone".into(),
                things: events,
                run: Box::new(|| only_input(&windowed)),
            },
        ],
        rounds,
    );
    let operator = each[1] - each[2];
    if operator.is_finite() {
        println!(
            "  the operator alone: {operator:.1} ns/event, {:.1} million events/s",
            1e3 / operator
        );
        println!(
            "  the world costs {:.1} times the operator",
            (each[0] - each[2]) / operator
        );
    }

    let sizes = if quick {
        vec![1_000, 10_000]
    } else {
        vec![100_000, 1_000_000, 10_000_000]
    };
    let scripts: Vec<(u64, Arc<Script>)> = sizes.iter().map(|size| (*size, windows(*size))).collect();
    let cases: Vec<Case<'_>> = scripts
        .iter()
        .map(|(size, script)| Case {
            name: format!("{size} events"),
            things: *size,
            run: Box::new(|| run(script, &bare)),
        })
        .collect();
    let each = report(
        "cost per event over the number of events",
        "event",
        &cases,
        if quick { 1 } else { 3 },
    );
    if each[0].is_finite() {
        println!(
            "  the largest costs {:.3} times the smallest, each event",
            each[each.len() - 1] / each[0]
        );
    }
    patterns::measure_all(quick, &|script| run(script, &bare));
    learners::measure_all(quick, &|script| run(script, &bare));
    reports::measure(&tank, scale, rounds);
    snapshots::measure_all(quick, &tank, &|script| run(script, &bare));
    println!("\npeak memory of this process: {}", peak_memory());
}

/// The most memory that this process has had, as Linux tells it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown here".into(), |line| line.trim().to_owned())
}
