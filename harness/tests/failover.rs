//! Two-node failover as a whole: whatever node is lost at whatever moment, what comes out is what one machine alone would
//! have put out, and the gap of service is within its bound.

mod common;

use std::sync::Arc;

use common::{broken, play_at, script};
use proptest::prelude::*;
use wavetank_harness::everywhere::{Proof, nodes};
use wavetank_harness::{Options, Tank};
use wavetank_reports::record::Verdict;
use wavetank_scenarios::script::{Detector, Failover, GapParts};
use wavetank_scenarios::{Script, Span};

/// Work on a log, done by two copies with these settings, and what disturbs it.
fn text(work: &str, failover: &str, more: &str) -> String {
    format!(
        r#"
schema  = 1
name    = "two"
pattern = "two-node-failover"
[[source]]
name   = "rows"
rate   = "50/s"
count  = 1500
fields = {{ id = {{ seq = 0 }}, k = {{ uniform = [1, 5] }}, v = {{ uniform = [1, 100] }} }}
[[broker]]
name  = "log"
input = ["rows"]
[[operator]]
name   = "work"
input  = ["log"]
{work}
[operator.failover]
lease     = "3s"
renew     = "500ms"
heartbeat = "200ms"
detector  = {{ fixed = "1s" }}
{failover}
[[sink]]
name    = "out"
input   = ["work"]
promise = "exactly-once"
[[link]]
from  = "work"
to    = "out"
delay = "3ms"
[[expect]]
name  = "as one machine alone"
final = "out == truth"
[[expect]]
name  = "never both, and both the same"
final = "work.overlap == 0 and work.diverged == 0 and work.missing == 0"
{more}
"#
    )
}

const WORK: [&str; 4] = [
    r#"filter = "v > 30""#,
    r#"threshold = { value = "v", high = 60.0, low = 40.0, by = ["k"], emit = "crossings" }"#,
    "query = \"select k, count(*) as n from log window tumbling(1s) group by k\"\nwatermark = { behind = \"0s\" }",
    r#"learn = { features = ["v"], target = { number = "k" }, online = { linear-regression = { scale = true } }, drift = { adwin = {} } }"#,
];

const REJOIN: [&str; 4] = ["", "rejoin = \"log\"", "snapshot = \"4s\"", "trim = 7"];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn whatever_node_is_lost_the_results_are_those_of_one_machine(
        seed in 0u64..1_000_000,
        work in 0..WORK.len(),
        rejoin in 0..REJOIN.len(),
        faults in prop::collection::vec((0usize..4, 1u32..28_000, 50u32..9_000, any::<bool>()), 1..4),
    ) {
        let nodes = ["work-a", "work-b", "work.arbiter", "work-a"];
        let fault = |(i, (node, at, length, pause)): (usize, &(usize, u32, u32, bool))| {
            let node = nodes[*node];
            let (kind, key) = if *pause { ("pause", "for") } else { ("crash", "restart") };
            format!("[[fault]]\nid = \"f{i}\"\nkind = \"{kind}\"\non = \"{node}\"\nat = \"{at}ms\"\n{key} = \"{length}ms\"\n")
        };
        let faults: String = faults.iter().enumerate().map(fault).collect();
        let ran = play_at(&text(WORK[work], REJOIN[rejoin], &faults), seed);
        // A fault on a node that is down already does not fire, which leaves a run inconclusive.
        prop_assert_ne!(ran.record.verdict, Verdict::Fail, "{:#?}", broken(&ran));
    }
}

/// What the others are protected with.
const AMONG: [&str; 3] = [
    "[snapshot]\nevery = \"4s\"\ncompress = true\n",
    "[snapshot]\nevents = 100\nbarrier = \"unaligned\"\n",
    "[replay]\nfrom = \"earliest\"\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    #[test]
    fn two_copies_that_are_lost_together_go_back_to_their_snapshots_and_the_log(
        seed in 0u64..1_000_000,
        work in 0..WORK.len(),
        among in 0..AMONG.len(),
        at in 1u32..28_000,
        down in (50u32..6_000, 50u32..6_000),
    ) {
        let fault = |(node, down): (&str, u32)| {
            format!("[[fault]]\nid = \"{node}\"\nkind = \"crash\"\non = \"{node}\"\nat = \"{at}ms\"\nrestart = \"{down}ms\"\n")
        };
        let faults: String = [("work-a", down.0), ("work-b", down.1)].into_iter().map(fault).collect();
        let ran = play_at(&text(WORK[work], "", &format!("{faults}{}", AMONG[among])), seed);
        prop_assert_eq!(ran.record.verdict, Verdict::Pass, "{:#?}", broken(&ran));
    }

    #[test]
    fn whatever_copy_of_a_sub_stream_is_lost_the_results_come_in_the_order_of_the_log(
        seed in 0u64..1_000_000,
        work in 0..2usize,
        by in 0..3usize,
        rejoin in 0..REJOIN.len(),
        faults in prop::collection::vec((0usize..4, 1u32..28_000, 50u32..9_000, any::<bool>()), 1..4),
    ) {
        let nodes = ["work-0-a", "work-0-b", "work-1-a", "work-1.arbiter"];
        let fault = |(i, (node, at, length, pause)): (usize, &(usize, u32, u32, bool))| {
            let node = nodes[*node];
            let (kind, key) = if *pause { ("pause", "for") } else { ("crash", "restart") };
            format!("[[fault]]\nid = \"f{i}\"\nkind = \"{kind}\"\non = \"{node}\"\nat = \"{at}ms\"\n{key} = \"{length}ms\"\n")
        };
        let faults: String = faults.iter().enumerate().map(fault).collect();
        let by = ["{ key = [\"k\"] }", "\"round-robin\"", "{ ring = { key = [\"k\"] } }"][if work == 1 { 2 * (by % 2) } else { by }];
        let work = format!("{}\nconvey = {{ streams = 2, by = {by}, gaps = \"skip\" }}", WORK[work]);
        let order = "[[expect]]\nname = \"in order\"\nfinal = \"out.unordered == 0\"\n";
        let ran = play_at(&text(&work, REJOIN[rejoin], &format!("{faults}{order}")), seed);
        prop_assert_ne!(ran.record.verdict, Verdict::Fail, "{:#?}", broken(&ran));
    }
}

/// A small scenario that is crashed at every delivery.
fn small(failover: &str, more: &str) -> Arc<Script> {
    script(&format!(
        r#"
schema  = 1
name    = "small"
pattern = "two-node-failover"
[[source]]
name   = "rows"
rate   = "20/s"
count  = 40
fields = {{ id = {{ seq = 0 }}, k = {{ uniform = [1, 3] }}, v = {{ uniform = [1, 100] }} }}
[[broker]]
name  = "log"
input = ["rows"]
[[operator]]
name      = "work"
input     = ["log"]
query     = "select k, count(*) as n from log window tumbling(500 ms) group by k"
watermark = {{ behind = "0s" }}
[operator.failover]
lease     = "600ms"
renew     = "200ms"
heartbeat = "150ms"
detector  = {{ fixed = "400ms" }}
{failover}
[[sink]]
name    = "out"
input   = ["work"]
promise = "exactly-once"
{more}
"#
    ))
}

#[test]
fn a_crash_of_a_copy_before_any_of_its_deliveries_does_not_show() {
    for (failover, more) in [
        ("", ""),
        ("rejoin = \"log\"", ""),
        ("snapshot = \"300ms\"", ""),
        ("", "[snapshot]\nevery = \"300ms\"\n"),
    ] {
        let script = small(failover, more);
        assert_eq!(nodes(&script), ["work-a", "work-b"]);
        let tank = Tank::default();
        let proof = Proof::new(&tank, &script, &Options::default()).expect("it runs");
        assert!(proof.size().0 > 8, "there is something to compare");
        for node in ["work-a", "work-b"] {
            let crashes = proof
                .crash_everywhere(node, 1, Span::from_millis(700))
                .expect("it runs");
            assert!(crashes.deliveries > 100, "{}", crashes.deliveries);
            assert_eq!(crashes.broken, [], "{node} with {failover:?} {more:?}");
        }
    }
}

#[test]
fn a_fault_says_when_it_was_detected_and_recovered_from_and_what_it_did_to_the_service() {
    let more = "[[fault]]\nid = \"kill\"\nkind = \"crash\"\non = \"work-a\"\nat = \"10s\"\nrestart = \"4s\"\n";
    let ran = play_at(&text(WORK[0], "", more), 3);
    let [fault] = ran.record.faults.as_slice() else {
        panic!("{:?}", ran.record.faults)
    };
    let (ms, least) = (
        |ms: i64| wavetank_reports::Span(ms * 1_000),
        Some(wavetank_reports::Span(0)),
    );
    // The last heartbeat came 200 ms before at most, and is waited for a second behind the next.
    assert!(
        fault.detected_after > least && fault.detected_after <= Some(ms(1_001)),
        "{fault:?}"
    );
    assert!(
        fault.recovered_after >= Some(ms(4_000)) && fault.recovered_after < Some(ms(5_000)),
        "{fault:?}"
    );
    let service = fault.service.expect("it cost the primary");
    assert!(
        service.gap > fault.detected_after && service.gap <= Some(ms(3_700)),
        "{service:?}"
    );
    assert_eq!((service.overlap, service.missing, service.refused), (ms(0), 0, 0));
    // Two that cannot hear each other and ask nobody are both primary.
    let cut = |from: &str, to: &str| {
        format!("[[fault]]\nid = \"to-{to}\"\nkind = \"partition\"\non = \"{from} -> {to}\"\nduring = \"10s..15s\"\n")
    };
    let split = cut("work-a", "work-b") + &cut("work-b", "work-a");
    let ran = play_at(&text(WORK[0], "elect = \"detector\"", &split), 3);
    let services = || ran.record.faults.iter().filter_map(|fault| fault.service);
    let overlap: i64 = services().map(|service| service.overlap.0).sum();
    let repeated: u64 = services().map(|service| service.repeated).sum();
    assert!(overlap > 3_000_000 && repeated > 0, "{:?}", ran.record.faults);
}

#[test]
fn the_gap_of_service_is_within_its_bound_whenever_the_primary_is_killed() {
    let ms = Span::from_millis;
    let settings = Failover {
        lease: ms(3_000),
        renew: ms(500),
        heartbeat: ms(200),
        detector: Detector::Fixed(ms(1_000)),
        ..Failover::default()
    };
    let parts = GapParts {
        link: ms(3),
        // A row that passes the filter comes at the latest after this long.
        work: ms(1_000),
        ..GapParts::default()
    };
    let bound = settings.largest_gap(parts).expect("a fixed time-out");
    for at in (5_000..9_000).step_by(370) {
        let more = format!(
            "[[fault]]\nid = \"kill\"\nkind = \"crash\"\non = \"work-a\"\nat = \"{at}ms\"\nrestart = \"20s\"\n\
             [[expect]]\nname = \"within the bound\"\nfinal = \"work.service_gap.max <= {}us and work.failovers == 1\"\n",
            bound.micros()
        );
        let ran = play_at(&text(WORK[0], "", &more), 1);
        assert_eq!(ran.record.verdict, Verdict::Pass, "{at}: {:#?}", broken(&ran));
    }
}
