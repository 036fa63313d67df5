//! Every fault keeps what its descriptor pledges, and does what its summary says.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{millis, number, play, script, stamp, taken};
use proptest::prelude::*;
use wavetank_harness::{Options, Ran, Tank};
use wavetank_reports::record::TraceHash;
use wavetank_reports::trace::{TraceKind, TraceLine};
use wavetank_scenarios::fault::{FAULTS, FaultDescriptor, FaultKind, Place, Pledge, Timing};

// ---- the laws ----

/// Orders over a datagram link into ten-second counts, and over another as they are into a sink. Nothing in it is drawn
/// but by its faults.
const TANK: &str = r#"
schema  = 1
name    = "laws"
pattern = "windowed-aggregation"

[time]
length = "20s"

[[node]]
name    = "count"
service = "10ms"

[[source]]
name   = "orders"
rate   = "20/s"
fields = { amount = 7, store = "a" }

[[operator]]
name      = "count"
input     = ["orders"]
query     = "select count(*) as n, sum(amount) as total from orders window tumbling(5 sec)"
watermark = { behind = "BEHIND" }

[[sink]]
name  = "counts"
input = ["count"]

[[sink]]
name  = "raw"
input = ["orders"]

[[link]]
from = "orders"
to   = "count"
kind = "datagram"

[[link]]
from = "orders"
to   = "raw"
kind = "datagram"
"#;

/// Faults beside the one under test: one on the same link, one on another link, one in the source.
const BESIDE: &str = r#"
[[fault]]
id   = "beside-same-link"
kind = "drop"
on   = "orders -> count"
rate = 0.3

[[fault]]
id   = "beside-other-link"
kind = "duplicate"
on   = "orders -> raw"
rate = 0.3

[[fault]]
id    = "beside-source"
kind  = "poison"
on    = "orders"
field = "store"
rate  = 0.3
"#;

/// Where the fault under test acts, and its settings besides its schedule.
const fn settings(kind: FaultKind) -> (&'static str, &'static str) {
    const LINK: &str = "orders -> count";
    const STORE: &str = "snapshot-store";
    match kind {
        FaultKind::Delay | FaultKind::Reorder => (LINK, r#"amount = { uniform = ["100ms", "900ms"] }"#),
        FaultKind::Drop | FaultKind::Partition | FaultKind::Hold => (LINK, ""),
        FaultKind::Duplicate => (LINK, "copies = 2\namount = \"50ms\""),
        FaultKind::Corrupt => (LINK, r#"field = "amount""#),
        FaultKind::Bandwidth => (LINK, "factor = 10.0"),
        FaultKind::Crash => ("count", r#"restart = "200ms""#),
        FaultKind::Pause => ("count", ""),
        FaultKind::Slow => ("count", "factor = 3.0"),
        FaultKind::Offset => ("orders", r#"amount = "-700ms""#),
        FaultKind::Drift => ("orders", "factor = 5000.0"),
        FaultKind::Jump => ("orders", r#"amount = "300ms""#),
        FaultKind::Burst => ("orders", "factor = 4.0"),
        FaultKind::Idle | FaultKind::LateStart => ("orders", ""),
        FaultKind::DuplicateSend => ("orders", "copies = 2"),
        FaultKind::ReplayedSend => ("orders", "copies = 3"),
        FaultKind::Poison => ("orders", "field = \"amount\"\nvalue = -1"),
        FaultKind::SwallowWatermarks | FaultKind::RepeatWatermarks | FaultKind::HastenWatermarks => ("count", ""),
        FaultKind::DelayWatermarks => ("count", "amount = \"700ms\""),
        FaultKind::Expire => ("shelf", r#"amount = "100ms""#),
        FaultKind::Redeliver | FaultKind::ReorderPartition => ("shelf", ""),
        FaultKind::LostAcknowledgement => ("line", ""),
        FaultKind::SlowWrite => (STORE, r#"amount = { uniform = ["10ms", "90ms"] }"#),
        FaultKind::FailedWrite | FaultKind::FullDisk | FaultKind::TornWrite => (STORE, ""),
        FaultKind::BitFlip | FaultKind::StaleRead | FaultKind::LostFile => (STORE, ""),
    }
}

/// The fault under test, with a share `rate` of what its schedule names.
fn tested(descriptor: &FaultDescriptor, rate: f64) -> String {
    let (on, settings) = settings(descriptor.kind);
    let schedule = match descriptor.timing {
        Timing::Element => "",
        Timing::Interval => "every = \"1s\"\nfor = \"300ms\"",
        Timing::Point => "every = \"1s\"",
    };
    let kind = descriptor.name;
    format!("[[fault]]\nid = \"tested\"\nkind = \"{kind}\"\non = \"{on}\"\nrate = {rate:?}\n{schedule}\n{settings}\n")
}

/// What there must be for a fault to act on: faults on disks need one.
const fn stage(place: Place) -> &'static str {
    match place {
        Place::Disk => {
            r#"
[snapshot]
every = "200ms"

# Whoever goes back reads what was saved.
[[fault]]
id      = "beside-kill"
kind    = "crash"
on      = "count"
every   = "900ms"
restart = "10ms"
"#
        }
        Place::Broker => {
            r#"
[[broker]]
name  = "shelf"
input = ["orders"]

[[broker]]
name       = "line"
kind       = "queue"
input      = ["orders"]
visibility = "1s"

[replay]

[[operator]]
name   = "all"
input  = ["shelf"]
filter = "true"

[[operator]]
name   = "every"
input  = ["line"]
filter = "true"

[[sink]]
name     = "shelved"
input    = ["all", "every"]
delivery = "by-result"
"#
        }
        Place::Link | Place::Node | Place::Source | Place::Operator => "",
    }
}

fn tank(behind: &str, faults: &[&str]) -> String {
    TANK.replace("BEHIND", behind) + &faults.concat()
}

/// A run without judgement, which no law asks for.
fn sail(text: &str, seed: u64) -> Ran {
    let options = Options {
        seed: Some(seed),
        trace: true,
        oracle: false,
        ..Options::default()
    };
    Tank::default().run(&script(text), &options).expect("it runs")
}

fn hash(ran: &Ran) -> &TraceHash {
    &ran.record.trace_hash
}

/// Which events each fault touched, by the fault's id.
fn touched(ran: &Ran) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut touched: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in ran.trace.iter().filter(|line| line.kind == TraceKind::Fault) {
        let (Some(detail), Some(event)) = (&line.detail, &line.event) else {
            continue;
        };
        let id = detail.split(' ').next().unwrap_or_default();
        touched.entry(id).or_default().insert(event);
    }
    touched
}

/// Everything that faults did: when, what, and to which event.
fn waves(ran: &Ran) -> Vec<(i64, TraceKind, &str, Option<&str>)> {
    use TraceKind::{Crash, Fault, Pause, Restart, Resume};
    let wave = |line: &&TraceLine| matches!(line.kind, Crash | Fault | Pause | Restart | Resume);
    let lines = ran.trace.iter().filter(wave);
    lines
        .map(|line| {
            let detail = line.detail.as_deref().unwrap_or_default();
            (line.time.0, line.kind, detail, line.event.as_deref())
        })
        .collect()
}

fn pledging(pledge: Pledge) -> impl Iterator<Item = &'static FaultDescriptor> {
    FAULTS.iter().filter(move |fault| fault.pledges.contains(&pledge))
}

/// What is written to a disk depends on what was: the laws of its faults are tested where single files are, in
/// `harness/src/faults/disk.rs`.
fn touches_events(fault: &&FaultDescriptor) -> bool {
    fault.place != Place::Disk
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fault_at_rate_zero_is_no_fault(seed in any::<u64>()) {
        let without = [Place::Link, Place::Disk, Place::Broker].map(|place| sail(&tank("1s", &[stage(place), BESIDE]), seed));
        for fault in pledging(Pledge::Zero) {
            let place = match fault.place {
                Place::Disk => 1,
                Place::Broker => 2,
                _ => 0,
            };
            let without = &without[place];
            let with = sail(&tank("1s", &[stage(fault.place), BESIDE, &tested(fault, 0.0)]), seed);
            prop_assert_eq!(hash(without), hash(&with), "{}", fault.name);
        }
    }

    #[test]
    fn a_higher_rate_touches_what_a_lower_one_does_and_more(seed in any::<u64>()) {
        for fault in pledging(Pledge::Superset).filter(touches_events) {
            let runs = [0.05, 0.2, 0.6].map(|rate| sail(&tank("1s", &[stage(fault.place), &tested(fault, rate)]), seed));
            let hit = runs.each_ref().map(|ran| touched(ran).remove("tested").unwrap_or_default());
            prop_assert!(hit[0].is_subset(&hit[1]) && hit[1].is_subset(&hit[2]), "{}", fault.name);
            prop_assert!(hit[0].len() < hit[2].len(), "{} hits {} and {}", fault.name, hit[0].len(), hit[2].len());
        }
    }

    #[test]
    fn a_fault_leaves_the_decisions_of_all_others_as_they_were(seed in any::<u64>()) {
        let alone = sail(&tank("1s", &[BESIDE]), seed);
        let alone = touched(&alone);
        prop_assert_eq!(alone.len(), 3);
        for fault in pledging(Pledge::Independence).filter(touches_events) {
            let this = tested(fault, 0.4);
            for order in [[BESIDE, this.as_str()], [this.as_str(), BESIDE]] {
                let order = [stage(fault.place), order[0], order[1]];
                let ran = sail(&tank("1s", &order), seed);
                let mut together = touched(&ran);
                prop_assert!(together.remove("tested").is_some(), "{} acts", fault.name);
                prop_assert_eq!(&alone, &together, "{}", fault.name);
            }
        }
    }
}

#[test]
fn a_seed_brings_the_same_waves_again_and_another_seed_others() {
    for fault in pledging(Pledge::Pairing) {
        let text = tank("1s", &[stage(fault.place), &tested(fault, 0.5)]);
        let [first, again, other] = [7, 7, 8].map(|seed| sail(&text, seed));
        assert_eq!(hash(&first), hash(&again), "{}", fault.name);
        assert_eq!(first.trace, again.trace, "{}", fault.name);
        assert_ne!(hash(&first), hash(&other), "{}", fault.name);
        assert_ne!(waves(&first), waves(&other), "{}", fault.name);
    }
}

#[test]
fn two_designs_meet_the_same_waves() {
    // What an operator has to pass on, or to save, is part of the design: only when that is meddled with is not.
    let outside = |fault: &&FaultDescriptor| !matches!(fault.place, Place::Operator | Place::Broker | Place::Disk);
    for fault in pledging(Pledge::Pairing).filter(outside) {
        let this = tested(fault, 0.5);
        let [hasty, patient] = ["0s", "3s"].map(|behind| sail(&tank(behind, &[BESIDE, &this]), 7));
        assert_ne!(hash(&hasty), hash(&patient), "the designs differ");
        assert!(!waves(&hasty).is_empty());
        assert_eq!(waves(&hasty), waves(&patient), "{}", fault.name);
    }
}

#[test]
fn every_fault_pledges_that_rate_zero_is_none_and_that_waves_come_again() {
    for fault in FAULTS {
        for pledge in [Pledge::Zero, Pledge::Pairing] {
            assert!(fault.pledges.contains(&pledge), "{} pledges no {pledge:?}", fault.name);
        }
        let keyed = fault.timing == Timing::Element;
        for pledge in [Pledge::Superset, Pledge::Independence] {
            assert_eq!(fault.pledges.contains(&pledge), keyed, "{} and {pledge:?}", fault.name);
        }
    }
}

// ---- what each does ----

/// Ten orders a second for ten seconds, straight into a sink: number `n` leaves its source at `n` tenths of a second
/// after the first.
fn straight(link: &str, fault: &str) -> Ran {
    play(&format!(
        r#"
schema  = 1
name    = "straight"
pattern = "transformation"
[time]
length = "10s"
[[source]]
name   = "orders"
rate   = "10/s"
fields = {{ amount = {{ seq = 1 }}, store = "a" }}
[[sink]]
name  = "raw"
input = ["orders"]
[[link]]
from = "orders"
to   = "raw"
kind = "{link}"
{fault}
"#
    ))
}

/// Ten orders a second for ten seconds, counted by two seconds on a node with the given settings.
fn counted(node: &str, fault: &str) -> Ran {
    play(&format!(
        r#"
schema  = 1
name    = "counted"
pattern = "windowed-aggregation"
[time]
length = "10s"
[[node]]
name = "count"
{node}
[[source]]
name   = "orders"
rate   = "10/s"
fields = {{ amount = 1 }}
[[operator]]
name      = "count"
input     = ["orders"]
query     = "select count(*) as n from orders window tumbling(10 sec)"
watermark = {{ behind = "0s" }}
[[sink]]
name  = "counts"
input = ["count"]
[[link]]
from = "orders"
to   = "count"
kind = "datagram"
{fault}
"#
    ))
}

fn fault(kind: &str, on: &str, keys: &str) -> String {
    format!("[[fault]]\nid = \"it\"\nkind = \"{kind}\"\non = \"{on}\"\n{keys}\n")
}

const LINK: &str = "orders -> raw";

/// (number, when) of all that the sink took, in order.
fn arrivals(ran: &Ran) -> Vec<(u64, i64)> {
    taken(ran, "raw")
        .into_iter()
        .map(|line| (number(line), millis(line)))
        .collect()
}

/// The arrivals by number, each with what a calm run has for it. Nothing may be missing or twice.
fn beside_calm(ran: &Ran) -> Vec<(i64, i64)> {
    let calm: BTreeMap<u64, i64> = arrivals(&straight("datagram", "")).into_iter().collect();
    let all = arrivals(ran);
    assert_eq!(all.len(), calm.len(), "each once");
    let found: BTreeMap<u64, i64> = all.into_iter().collect();
    assert!(found.keys().eq(calm.keys()));
    calm.values().copied().zip(found.into_values()).collect()
}

/// The numbers that a fault touched, by the trace.
fn hit(ran: &Ran) -> BTreeSet<u64> {
    let lines = ran
        .trace
        .iter()
        .filter(|line| line.kind == TraceKind::Fault && line.event.is_some());
    lines.map(number).collect()
}

/// How many orders were counted, over all windows.
fn total(ran: &Ran) -> i64 {
    let lines = taken(ran, "counts");
    lines
        .iter()
        .map(|line| line.row.as_ref().and_then(|row| row["n"].as_i64()).expect("a count"))
        .sum()
}

/// When, in milliseconds, each order was handed to the operator.
fn handed(ran: &Ran) -> Vec<i64> {
    let to = |line: &&TraceLine| line.kind == TraceKind::Deliver && line.actor.as_deref() == Some("count");
    ran.trace.iter().filter(to).map(millis).collect()
}

#[test]
fn delay_lets_elements_of_its_period_arrive_later_by_the_amount() {
    let ran = straight(
        "datagram",
        &fault("delay", LINK, "during = \"2s..4s\"\namount = \"5s\""),
    );
    for (calm, found) in beside_calm(&ran) {
        let late = if (2_000..4_000).contains(&calm) { 5_000 } else { 0 };
        assert_eq!(found, calm + late);
    }
}

#[test]
fn reorder_lets_the_first_element_at_a_moment_fall_behind_the_next() {
    let ran = straight("datagram", &fault("reorder", LINK, "at = \"3s\"\namount = \"150ms\""));
    let calm = arrivals(&straight("datagram", ""));
    let place = calm.iter().position(|(_, at)| *at >= 3_000).expect("later orders");
    let mut due: Vec<u64> = calm.iter().map(|(number, _)| *number).collect();
    due.swap(place, place + 1);
    assert_eq!(
        arrivals(&ran).into_iter().map(|(number, _)| number).collect::<Vec<_>>(),
        due
    );
}

#[test]
fn drop_loses_the_first_element_at_each_moment_of_a_period() {
    let ran = straight("datagram", &fault("drop", LINK, "every = \"1s\"\nduring = \"2s..5s\""));
    let calm = arrivals(&straight("datagram", ""));
    let due: BTreeSet<u64> = [2_000, 3_000, 4_000]
        .into_iter()
        .filter_map(|moment| calm.iter().find(|(_, at)| *at >= moment))
        .map(|(number, _)| *number)
        .collect();
    let found: BTreeSet<u64> = arrivals(&ran).into_iter().map(|(number, _)| number).collect();
    let missing: BTreeSet<u64> = calm.iter().map(|(n, _)| *n).filter(|n| !found.contains(n)).collect();
    assert_eq!((missing.len(), missing), (3, due.clone()));
    assert_eq!(hit(&ran), due);
}

#[test]
fn a_stream_sends_again_what_drop_loses() {
    let ran = straight("stream", &fault("drop", LINK, "rate = 0.2"));
    let calm = straight("stream", "");
    let numbers = |ran: &Ran| arrivals(ran).into_iter().map(|(n, _)| n).collect::<Vec<_>>();
    assert_eq!(numbers(&ran), numbers(&calm));
    assert!(ran.record.links[0].retransmitted >= hit(&ran).len() as u64 && !hit(&ran).is_empty());
    assert_ne!(arrivals(&ran), arrivals(&calm), "it takes its time");
}

#[test]
fn duplicate_delivers_what_it_hits_as_often_as_stated() {
    let ran = straight(
        "datagram",
        &fault("duplicate", LINK, "rate = 0.3\ncopies = 2\namount = \"30ms\""),
    );
    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    for (number, _) in arrivals(&ran) {
        *times.entry(number).or_default() += 1;
    }
    let hit = hit(&ran);
    assert!(!hit.is_empty() && hit.len() < times.len());
    for (number, times) in times {
        assert_eq!(times, if hit.contains(&number) { 3 } else { 1 }, "#{number}");
    }
    let stream = straight("stream", &fault("duplicate", LINK, "rate = 0.3\ncopies = 2"));
    assert_eq!(
        arrivals(&stream),
        arrivals(&straight("stream", "")),
        "a stream drops copies"
    );
}

/// The rows of the sink by the number of the event.
fn rows(ran: &Ran) -> BTreeMap<u64, serde_json::Value> {
    let lines = taken(ran, "raw").into_iter();
    lines
        .map(|line| (number(line), line.row.clone().expect("a row")))
        .collect()
}

#[test]
fn corrupt_changes_the_field_of_what_it_hits_and_no_other() {
    let ran = straight("datagram", &fault("corrupt", LINK, "rate = 0.3\nfield = \"amount\""));
    let (calm, hit) = (rows(&straight("datagram", "")), hit(&ran));
    assert!(!hit.is_empty() && hit.len() < calm.len());
    for (number, row) in rows(&ran) {
        assert_eq!(
            row["amount"] != calm[&number]["amount"],
            hit.contains(&number),
            "#{number}"
        );
        assert_eq!(row["store"], calm[&number]["store"]);
    }
    let stream = straight("stream", &fault("corrupt", LINK, "rate = 0.3\nfield = \"amount\""));
    assert_eq!(rows(&stream), calm, "a stream finds it and sends again");
}

#[test]
fn partition_loses_datagrams_and_holds_up_streams() {
    let cut = fault("partition", LINK, "during = \"2s..3s\"");
    let calm = arrivals(&straight("datagram", ""));
    let outside: Vec<_> = calm
        .iter()
        .copied()
        .filter(|(_, at)| !(2_000..3_000).contains(at))
        .collect();
    assert_eq!(arrivals(&straight("datagram", &cut)), outside);
    let stream = straight("stream", &cut);
    for (calm, found) in beside_calm(&stream) {
        if (2_000..3_000).contains(&calm) {
            assert!(found >= 3_000, "{calm} came at {found}");
        }
    }
    let acks = straight(
        "stream",
        &fault("partition", LINK, "during = \"2s..3s\"\nway = \"acks\""),
    );
    assert_eq!(
        arrivals(&acks),
        calm,
        "data passes where only acknowledgements are lost"
    );
    assert!(acks.record.links[0].retransmitted > 0);
}

#[test]
fn hold_lets_everything_go_when_it_ends() {
    let ran = straight("datagram", &fault("hold", LINK, "at = [\"2s\", \"6s\"]\nfor = \"1s\""));
    for (calm, found) in beside_calm(&ran) {
        let due = match calm {
            2_000..3_000 => 3_000,
            6_000..7_000 => 7_000,
            other => other,
        };
        assert_eq!(found, due);
    }
}

#[test]
fn bandwidth_lets_so_many_elements_a_second_through() {
    let ran = straight(
        "datagram",
        &fault("bandwidth", LINK, "during = \"2s..4s\"\nfactor = 2.0"),
    );
    let mut queued: Vec<i64> = Vec::new();
    for (calm, found) in beside_calm(&ran) {
        if (2_000..4_000).contains(&calm) {
            queued.push(found);
        } else {
            assert_eq!(found, calm);
        }
    }
    assert!(queued.windows(2).all(|pair| pair[1] - pair[0] == 500), "{queued:?}");
}

#[test]
fn crash_loses_the_state_and_what_comes_before_the_restart() {
    let ran = counted("", &fault("crash", "count", "at = \"4s\"\nrestart = \"1s\""));
    let calm = total(&counted("", ""));
    let state = ran
        .record
        .actors
        .iter()
        .find(|actor| actor.actor == "count")
        .expect("it is there")
        .lost_in_crash;
    let link = ran
        .record
        .links
        .iter()
        .find(|link| link.link == "orders -> count")
        .expect("it is there")
        .lost;
    // Ten a second, for four seconds and for one; an order on the boundary belongs to the latter.
    assert!(
        (39..=41).contains(&state) && (9..=11).contains(&link),
        "{state} and {link}"
    );
    assert_eq!(total(&ran), calm - state as i64 - link as i64);
    let forever = counted("", &fault("crash", "count", "at = \"4s\""));
    assert_eq!(handed(&forever).into_iter().max().map(|last| last <= 4_000), Some(true));
    assert_eq!(total(&forever), 0);
}

#[test]
fn pause_stops_the_node_and_loses_nothing() {
    let ran = counted("", &fault("pause", "count", "at = \"3s\"\nfor = \"1s\""));
    let calm = counted("", "");
    let within = |ran: &Ran| handed(ran).into_iter().filter(|at| (3_001..4_000).contains(at)).count();
    assert!(within(&calm) > 0);
    assert_eq!(within(&ran), 0);
    assert_eq!(ran.record.sinks[0].hash, calm.record.sinks[0].hash);
}

#[test]
fn slow_multiplies_the_service_time_where_there_is_one() {
    let slow = fault("slow", "count", "during = \"2s..4s\"\nfactor = 20.0");
    let queue = |ran: &Ran| {
        // Events wait before the first actor of the node, which is the watermark generator.
        let deepest = ran.record.metric("count.watermark", "queue.max");
        deepest.map_or(0.0, wavetank_reports::record::Metric::as_f64)
    };
    let served = "service = \"10ms\"";
    let (calm, ran) = (counted(served, ""), counted(served, &slow));
    // Two tenths of a second for what comes every tenth: half of it waits.
    assert!(
        queue(&ran) >= queue(&calm) + 8.0,
        "{} and {}",
        queue(&ran),
        queue(&calm)
    );
    assert_eq!(total(&ran), total(&calm), "all of it is worked on");
    assert_eq!(
        handed(&counted("", &slow)),
        handed(&counted("", "")),
        "no time stays no time"
    );
}

/// How far each stamp is from true time, in milliseconds, with that time.
fn skew(ran: &Ran) -> Vec<(i64, i64)> {
    taken(ran, "raw")
        .into_iter()
        .map(|line| (millis(line), stamp(line) - millis(line)))
        .collect()
}

#[test]
fn offset_shifts_stamps_while_it_lasts() {
    let ran = straight(
        "datagram",
        &fault("offset", "orders", "during = \"2s..4s\"\namount = \"-5s\""),
    );
    for (at, skew) in skew(&ran) {
        assert_eq!(skew, if (2_000..4_000).contains(&at) { -5_000 } else { 0 }, "at {at}");
    }
}

#[test]
fn drift_lets_stamps_run_away_by_parts_per_million() {
    let ran = straight(
        "datagram",
        &fault("drift", "orders", "during = \"0s..10s\"\nfactor = 10000.0"),
    );
    for line in taken(&ran, "raw") {
        let elapsed = line.time.0;
        assert_eq!(line.stamp.map(|stamp| stamp.0), Some(elapsed + elapsed / 100));
    }
}

#[test]
fn jump_sets_stamps_forward_from_then_on() {
    let ran = straight(
        "datagram",
        &fault("jump", "orders", "at = [\"4s\", \"7s\"]\namount = \"1s\""),
    );
    for (at, skew) in skew(&ran) {
        assert_eq!(
            skew,
            [4_000, 7_000].into_iter().filter(|jump| *jump <= at).count() as i64 * 1_000,
            "at {at}"
        );
    }
}

#[test]
fn burst_sends_at_so_many_times_the_pace_and_invents_nothing() {
    let ran = straight(
        "datagram",
        &fault("burst", "orders", "during = \"2s..4s\"\nfactor = 4.0"),
    );
    for (calm, found) in beside_calm(&ran) {
        let due = if (2_000..4_000).contains(&calm) {
            4_000 - (4_000 - calm) / 4
        } else {
            calm
        };
        assert_eq!(found, due);
    }
}

#[test]
fn idle_says_afterwards_what_it_would_have_said() {
    let ran = straight("datagram", &fault("idle", "orders", "during = \"2s..4s\""));
    for (calm, found) in beside_calm(&ran) {
        assert_eq!(found, if (2_000..4_000).contains(&calm) { 4_000 } else { calm });
    }
}

#[test]
fn late_start_says_at_once_what_it_missed_saying() {
    let ran = straight("datagram", &fault("late-start", "orders", "during = \"..3s\""));
    for (calm, found) in beside_calm(&ran) {
        assert_eq!(found, calm.max(3_000));
    }
}

#[test]
fn duplicate_send_repeats_an_event_under_its_number() {
    let ran = straight("stream", &fault("duplicate-send", "orders", "rate = 0.3\ncopies = 2"));
    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    for (number, _) in arrivals(&ran) {
        *times.entry(number).or_default() += 1;
    }
    let hit = hit(&ran);
    assert!(!hit.is_empty() && hit.len() < times.len());
    for (number, times) in times {
        assert_eq!(times, if hit.contains(&number) { 3 } else { 1 }, "#{number}");
    }
}

#[test]
fn replayed_send_repeats_the_last_events_in_their_order() {
    let ran = straight("stream", &fault("replayed-send", "orders", "at = \"3s\"\ncopies = 5"));
    let calm: Vec<u64> = arrivals(&straight("stream", ""))
        .into_iter()
        .map(|(number, _)| number)
        .collect();
    let found: Vec<u64> = arrivals(&ran).into_iter().map(|(number, _)| number).collect();
    let again = found
        .windows(2)
        .position(|pair| pair[1] < pair[0])
        .expect("it goes back")
        + 1;
    assert_eq!(found.len(), calm.len() + 5);
    let (before, rest) = found.split_at(again);
    let (copies, after) = rest.split_at(5);
    assert_eq!(
        [before, after].concat(),
        calm,
        "besides the copies everything is as it was"
    );
    // The event at the moment itself may already have left when the producer goes back.
    assert!(
        before.ends_with(copies) || before[..before.len() - 1].ends_with(copies),
        "{before:?} {copies:?}"
    );
    assert_eq!(hit(&ran), copies.iter().copied().collect());
}

#[test]
fn poison_puts_its_value_into_the_field_of_the_first_event_at_each_moment() {
    let keys = "every = \"2s\"\nfield = \"amount\"\nvalue = \"n/a\"";
    let ran = straight("stream", &fault("poison", "orders", keys));
    let calm = rows(&straight("stream", ""));
    let poisoned = hit(&ran);
    assert_eq!(poisoned.len(), 4);
    for (number, row) in rows(&ran) {
        let due = if poisoned.contains(&number) {
            &serde_json::json!("n/a")
        } else {
            &calm[&number]["amount"]
        };
        assert_eq!(&row["amount"], due, "#{number}");
        assert_eq!(row["store"], calm[&number]["store"]);
    }
}
