//! The proof of recovery: for every kind of operator there is, its node crashes before every single element that it takes
//! in a small scenario. After each crash the folded results and the late events are as without it, the operator is in
//! step with its naive model, and what it has gone back to is what was saved.
//!
//! What goes by the machine's clock cannot promise so much: an outage takes time. Those cases say which part of the
//! promise is left; being in step with the model, and books that add up, always are.

mod cases;

use std::fmt::Write as _;
use std::sync::Arc;

use cases::Case;
use wavetank_harness::everywhere::{Difference, Proof, nodes, store, with_crash};
use wavetank_harness::{Options, Tank};
use wavetank_reports::record::Verdict;
use wavetank_scenarios::fault::FaultKind;
use wavetank_scenarios::library::LibraryFiles;
use wavetank_scenarios::{Script, Span};

/// How long a node is down.
const DOWN: Span = Span::from_micros(400_000);

/// How a scenario is protected.
#[derive(Clone, Copy, Debug)]
struct Protection {
    barrier: &'static str,
    delivery: &'static str,
    /// How a log deals its events.
    log: &'static str,
    /// How snapshots are kept.
    kept: &'static str,
}

const ALIGNED: Protection = Protection {
    barrier: "aligned",
    delivery: "by-number",
    log: "",
    kept: "",
};
const UNALIGNED: Protection = Protection {
    barrier: "unaligned",
    delivery: "transactional",
    log: "",
    kept: "",
};
/// Where results may have other numbers after a crash: of several inputs, that come again in another order, and of answers
/// that go by the clock.
const TRANSACTIONAL: Protection = Protection {
    barrier: "aligned",
    delivery: "transactional",
    log: "",
    kept: "",
};

/// Events of a source: most come within a second of their event time and some out of order, every seventh far too late.
fn events(source: &str) -> String {
    let (seed, count, every) = if source == "a" { (7_u64, 24, 250) } else { (11, 15, 400) };
    let mut draw = seed;
    let mut next = |below: u64| {
        draw = draw
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (draw >> 33) % below
    };
    let mut text = String::new();
    for n in 0..count {
        let at = 500 + n * every + next(every / 2);
        let lag = if n % 7 == 5 { 2_500 + next(500) } else { next(900) };
        let stamp = at.saturating_sub(lag);
        let (key, value, lasts) = (["x", "y"][next(2) as usize], next(100), 1 + next(3));
        let _ = writeln!(
            text,
            "  {{ t = \"{stamp}ms\", at = \"{at}ms\", row = {{ k = \"{key}\", v = {value}, n = {n}, lasts = {lasts} }} }},"
        );
    }
    text
}

/// A case as a scenario.
fn text(case: &Case, protection: Protection) -> String {
    let Protection {
        barrier,
        delivery,
        log,
        kept,
    } = protection;
    let name = case.name;
    let mut text = format!(
        "schema = 1\nname = \"{name}\"\npattern = \"periodic-snapshot\"\n{}\n[time]\nlength = \"30s\"\nseed = 5\n\
         [snapshot]\nevery = \"700ms\"\nbarrier = \"{barrier}\"\n{kept}\n",
        case.top
    );
    for source in case.sources {
        let _ = write!(
            text,
            "[[source]]\nname = \"{source}\"\nschema = {{ k = \"text\", v = \"int\", n = \"int\", lasts = \"int\" }}\n\
             events = [\n{}]\n[[broker]]\nname = \"{source}_log\"\ninput = [\"{source}\"]\n{log}\n",
            events(source)
        );
    }
    for (operator, inputs, body) in &case.operators {
        let listed = inputs.join("\", \"");
        let _ = write!(
            text,
            "[[operator]]\nname = \"{operator}\"\ninput = [\"{listed}\"]\n{body}\n"
        );
        for (index, input) in inputs.iter().enumerate() {
            // Something is always under way, and no two paths take the same time.
            let slowest = 90 + 40 * index;
            let _ = write!(
                text,
                "[[link]]\nfrom = \"{input}\"\nto = \"{operator}\"\ndelay = {{ uniform = [\"5ms\", \"{slowest}ms\"] }}\n"
            );
        }
    }
    for (index, sink) in case.sinks.iter().enumerate() {
        let _ = write!(
            text,
            "[[sink]]\nname = \"out-{index}\"\ninput = [\"{sink}\"]\ndelivery = \"{delivery}\"\n"
        );
    }
    text + case.more
}

fn load(case: &Case, protection: Protection) -> Arc<Script> {
    let text = text(case, protection);
    match Script::load(&text, "case.toml", &LibraryFiles, &[]) {
        Ok(script) => Arc::new(script),
        Err(problems) => panic!("{}: {problems:#?}\n{text}", case.name),
    }
}

/// What shows of the crashes of these nodes, or of all that operators stand on.
fn shows(case: &Case, protection: Protection, only: &[&str]) -> Vec<String> {
    let script = load(case, protection);
    let tank = Tank::default();
    let proof = Proof::new(&tank, &script, &Options::default()).expect(case.name);
    let (rows, late) = proof.size();
    assert!(rows > 0, "{}: there are no rows to compare", case.name);
    assert_eq!(late > 0, case.late, "{}: {late} events are late", case.name);
    let nodes = if only.is_empty() {
        nodes(&script)
    } else {
        only.iter().map(ToString::to_string).collect()
    };
    let mut shows = Vec::new();
    for node in nodes {
        let crashes = proof.crash_everywhere(&node, 1, DOWN).expect(case.name);
        assert!(
            crashes.deliveries > 5,
            "{}: {node} takes {}",
            case.name,
            crashes.deliveries
        );
        for (delivery, difference) in crashes.broken {
            let matters = match &difference {
                Difference::Results(_) | Difference::Late(_) => case.same,
                Difference::Broken(_) => true,
            };
            if matters {
                shows.push(format!("{} {protection:?} {node}@{delivery}: {difference}", case.name));
            }
        }
    }
    shows
}

/// Every crash of every one of these cases, under all protections that promise something for it.
fn prove(cases: &[Case]) {
    let mut all = Vec::new();
    for case in cases {
        let several = case.operators.iter().any(|(_, inputs, _)| inputs.len() > 1);
        let protections = if several || case.clock {
            [TRANSACTIONAL, UNALIGNED]
        } else {
            [ALIGNED, UNALIGNED]
        };
        for protection in protections {
            let shows = shows(case, protection, &[]);
            if shows.len() > 4 {
                all.push(format!("{} in all", shows.len()));
            }
            all.extend(shows.into_iter().take(4));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn filters_transformations_and_decisions_recover_from_every_crash() {
    prove(&cases::singles());
}

#[test]
fn windows_recover_from_every_crash() {
    prove(&cases::windows());
}

#[test]
fn windows_with_triggers_recover_from_every_crash() {
    prove(&cases::triggers());
}

#[test]
fn sequences_recover_from_every_crash() {
    prove(&cases::sequences());
}

#[test]
fn reordering_buffers_recover_from_every_crash() {
    prove(&cases::reordering());
}

#[test]
fn watermark_generators_recover_from_every_crash() {
    prove(&cases::watermarks());
}

#[test]
fn joins_recover_from_every_crash() {
    prove(&cases::joins());
}

#[test]
fn learners_recover_from_every_crash() {
    prove(&cases::learners());
}

#[test]
fn sub_streams_recover_from_every_crash() {
    prove(&cases::conveys());
}

#[test]
fn chains_and_meshes_recover_from_every_crash() {
    prove(&cases::meshes());
}

#[test]
fn what_goes_by_the_machines_clock_stays_in_step_with_its_model() {
    prove(&cases::clocks());
}

#[test]
fn crashes_of_coordinator_and_store_do_not_show() {
    let mesh = cases::meshes().remove(0);
    let mut all = Vec::new();
    for protection in [TRANSACTIONAL, UNALIGNED] {
        all.extend(shows(&mesh, protection, &["snapshots", "snapshot-store"]));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// Parts, manifests and deletions, of whole and of incremental snapshots.
#[test]
fn every_write_of_the_store_may_go_wrong() {
    const SLOWLY: &str = "keep = 2\ndisk = { write = \"20ms\", read = \"5ms\" }";
    let whole: &str = format!("{SLOWLY}\nfull_every = 1").leak();
    let changes: &str = format!("{SLOWLY}\nfull_every = 3").leak();
    let window = cases::windows().remove(0);
    let mesh = cases::meshes().remove(0);
    let mut shows = Vec::new();
    for (case, kept, protection) in [(&window, whole, ALIGNED), (&mesh, changes, TRANSACTIONAL)] {
        let script = load(case, Protection { kept, ..protection });
        let tank = Tank::default();
        let proof = Proof::new(&tank, &script, &Options::default()).expect(case.name);
        let store = store(&script).expect("a store");
        let node = nodes(&script).pop().expect("an operator");
        let breaks = proof.break_writes(&store, &node, DOWN).expect(case.name);
        assert!(breaks.writes > 20, "{}: {} writes", case.name, breaks.writes);
        assert!(
            breaks.noticed > 10,
            "{}: {} runs found damage",
            case.name,
            breaks.noticed
        );
        for (kind, write, delivery, difference) in breaks.broken {
            // What was shown because a snapshot was complete comes again when the disk has lost that snapshot.
            let lies = matches!(kind, FaultKind::TornWrite | FaultKind::BitFlip | FaultKind::LostFile);
            let twice = difference.to_string().ends_with("gets nothing twice");
            if protection.delivery == "transactional" && lies && twice {
                continue;
            }
            let kind = kind.name();
            shows.push(format!(
                "{} {protection:?}: {kind} of write {write}, crash before {delivery}: {difference}",
                case.name
            ));
        }
    }
    assert!(
        shows.is_empty(),
        "{} show:\n{}",
        shows.len(),
        shows[..shows.len().min(10)].join("\n")
    );
}

#[test]
fn two_nodes_that_crash_at_once_recover_together() {
    let mesh = cases::meshes().remove(0);
    let script = load(&mesh, TRANSACTIONAL);
    let tank = Tank::default();
    let proof = Proof::new(&tank, &script, &Options::default()).expect(mesh.name);
    let all = nodes(&script);
    let mut shows = Vec::new();
    for (index, first) in all.iter().enumerate() {
        for second in all.iter().skip(index + 1) {
            let (ones, others) = (proof.deliveries(first), proof.deliveries(second));
            for delivery in 1..=ones {
                // The other one at about the same point of its life.
                let other = (delivery * others / ones).max(1);
                let crashed = with_crash(&with_crash(&script, first, delivery, DOWN), second, other, DOWN);
                if let Some(difference) = proof.compare(&Arc::new(crashed)).expect(mesh.name) {
                    shows.push(format!("{first}@{delivery} and {second}@{other}: {difference}"));
                }
            }
        }
    }
    assert!(shows.is_empty(), "{}", shows.join("\n"));
}

/// Between partitions there is no order, and none when they are read again: the first result may be another one.
#[test]
fn several_partitions_show_where_results_go_by_number_and_not_in_a_transaction() {
    let log = "partitions = 3\nby = \"n\"";
    let case = &cases::singles()[0];
    assert_ne!(shows(case, Protection { log, ..ALIGNED }, &[]), Vec::<String>::new());
    assert_eq!(
        shows(case, Protection { log, ..TRANSACTIONAL }, &[]),
        Vec::<String>::new()
    );
}

/// Answers by the clock come at other moments after an outage, and so results have other numbers: who drops what has a
/// number that it knows drops what it has never seen. In a transaction nothing hangs on numbers.
#[test]
fn results_that_are_numbered_otherwise_are_lost_by_number_and_not_in_a_transaction() {
    let clocks = cases::clocks();
    let case = clocks
        .iter()
        .find(|case| case.name == "early-by-the-clock")
        .expect("it is there");
    assert_ne!(shows(case, ALIGNED, &[]), Vec::<String>::new());
    assert_eq!(shows(case, TRANSACTIONAL, &[]), Vec::<String>::new());
}

#[test]
fn a_crash_before_a_delivery_is_a_fault_that_a_scenario_can_declare() {
    let case = &cases::windows()[0];
    let fault = "[[fault]]\nid = \"kill\"\nkind = \"crash\"\non = \"op\"\ndelivery = 9\nrestart = \"1s\"\n\
                 [[expect]]\nname = \"as without it\"\nfinal = \"out-0 == twin\"\n";
    let text = text(case, ALIGNED) + fault;
    let run = |text: &str| {
        let script = Script::load(text, "case.toml", &LibraryFiles, &[]).expect("valid");
        Tank::default()
            .run(&Arc::new(script), &Options::default())
            .expect("it runs")
            .record
    };
    let record = run(&text);
    assert_eq!(record.faults[0].fired, 1);
    assert_eq!(record.verdict, Verdict::Pass);
    // Nobody takes so many: the run says nothing about the crash.
    let record = run(&text.replace("delivery = 9", "delivery = 9000"));
    assert_eq!(record.faults[0].fired, 0);
    assert_eq!(record.verdict, Verdict::Inconclusive);
}
