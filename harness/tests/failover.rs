//! Two-node failover as a whole: whatever node is lost at whatever moment, what comes out is what one machine alone would
//! have put out, and the gap of service is within its bound.

mod common;

use common::{broken, play_at};
use proptest::prelude::*;
use wavetank_reports::record::Verdict;
use wavetank_scenarios::Span;
use wavetank_scenarios::script::{Detector, Failover, GapParts};

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

const WORK: [&str; 3] = [
    r#"filter = "v > 30""#,
    r#"threshold = { value = "v", high = 60.0, low = 40.0, by = ["k"], emit = "crossings" }"#,
    "query = \"select k, count(*) as n from log window tumbling(1s) group by k\"\nwatermark = { behind = \"0s\" }",
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
