//! The laws of the timeline: it disturbs nothing, counts what the record books, and stays small.

mod common;

use std::sync::Arc;

use wavetank_harness::{Options, Ran, Tank};
use wavetank_reports::html;
use wavetank_reports::record::Metric;
use wavetank_reports::timeline::{Cause, Fate, Series, Strip, Timeline};
use wavetank_scenarios::Script;
use wavetank_scenarios::library::{LIBRARY, LibraryFiles};
use wavetank_scenarios::pattern::PATTERNS;
use wavetank_scenarios::topology::ActorId;

fn watched(script: &Arc<Script>, oracle: bool) -> (Ran, Timeline) {
    let options = Options {
        timeline: true,
        oracle,
        ..Options::default()
    };
    let mut ran = Tank::default().run(script, &options).expect("it runs");
    let timeline = *ran.timeline.take().expect("it was asked for");
    (ran, timeline)
}

fn library(name: &str) -> Arc<Script> {
    let entry = LIBRARY.find(name).expect(name);
    Arc::new(Script::load(entry.text, entry.path, &LibraryFiles, &[]).expect("it is valid"))
}

#[test]
fn a_run_that_is_watched_for_its_timeline_is_the_same_run() {
    for pattern in PATTERNS {
        let script = library(pattern.example);
        let plain = Tank::default().run(&script, &Options::default()).expect("it runs");
        assert!(plain.timeline.is_none());
        let (ran, timeline) = watched(&script, true);
        assert!(ran.record.same_run(&plain.record), "{}", pattern.example);
        assert_eq!(timeline.trace_hash, ran.record.trace_hash);
        assert_eq!(timeline.length, ran.record.simulated);
    }
}

#[test]
fn what_a_timeline_counts_is_what_the_record_books() {
    let mut counted = 0;
    for entry in LIBRARY.entries() {
        let script = Arc::new(Script::load(entry.text, entry.path, &LibraryFiles, &[]).expect("it is valid"));
        let (ran, timeline) = watched(&script, false);
        let record = &ran.record;
        let name = &record.scenario;
        // One that an error stopped in the middle of something has no closed books.
        if record.trace_hash.as_str().is_empty() {
            continue;
        }
        assert_eq!(timeline.actors.len(), record.actors.len());
        for (index, books) in record.actors.iter().enumerate() {
            let actor = &books.actor;
            let sum = |series: &str| timeline.series(actor, series).map_or(0, Series::sum);
            // What a crash or a recovery undid came all the same, and is counted as often as it came.
            if books.lost_in_crash > 0 || books.undone > 0 || books.restored > 0 {
                continue;
            }
            // The books of a copy that came back with the state of the other go on from the other's.
            if script.topology.twin(ActorId(index as u32)).is_some() {
                continue;
            }
            counted += 1;
            assert_eq!(sum("in"), (books.taken - books.shed) as i64, "{name}: into {actor}");
            assert_eq!(sum("shed"), books.shed as i64, "{name}: shed by {actor}");
            // The metric counts those as well that were put out all the same.
            let late = record.metric(actor, "late").map_or(books.late as f64, Metric::as_f64);
            assert_eq!(sum("late"), late as i64, "{name}: late at {actor}");
            assert_eq!(sum("filtered"), books.filtered as i64, "{name}: filtered by {actor}");
            assert_eq!(sum("failed"), books.failed as i64, "{name}: failed at {actor}");
            if let Some(Metric::Count(most)) = record.metric(actor, "held.max") {
                let held = timeline.series(actor, "held").map_or(0, Series::max);
                assert_eq!(held, most as i64, "{name}: held by {actor}");
            }
            let plane = timeline
                .planes
                .iter()
                .find(|plane| timeline.actors[plane.actor].actor == *actor);
            if let Some(plane) = plane {
                let fate = |fate: Fate| plane.fates.get(fate.name()).copied().unwrap_or(0);
                assert_eq!(fate(Fate::Late), books.late, "{name}: late at {actor}");
                assert_eq!(fate(Fate::Filtered), books.filtered, "{name}: filtered by {actor}");
                let came = [Fate::Taken, Fate::Filtered, Fate::Late, Fate::Failed]
                    .map(fate)
                    .iter()
                    .sum::<u64>();
                assert_eq!(came, books.taken - books.shed, "{name}: into {actor}");
                // Those that are kept are some of them, and with a fate each.
                assert!(plane.points.at.len() as u64 <= plane.fates.values().sum());
                assert_eq!(plane.points.at.len(), plane.points.fate.len());
            }
        }
        for why in &timeline.why {
            let sink = &timeline.actors[why.actor].actor;
            let latency = record.histogram(sink, "latency").expect("a sink that took something");
            assert_eq!(why.results + why.unsplit, latency.count(), "{name}: results of {sink}");
            assert_eq!(why.from_planned.count(), why.results);
            if why.unsplit == 0 {
                assert_eq!(why.from_planned, *latency, "{name}: latency of {sink}");
            }
            let series = timeline.series(sink, "why.results").map_or(0, Series::sum);
            assert_eq!(series, why.results as i64);
        }
    }
    assert!(counted > 500, "only {counted} actors were compared");
}

#[test]
fn a_timeline_goes_to_json_and_back() {
    let (_, timeline) = watched(&library("primary-killed"), true);
    let text = serde_json::to_string(&timeline).expect("text");
    let back: Timeline = serde_json::from_str(&text).expect("a timeline");
    assert_eq!(back, timeline);
}

/// Readings that are windowed over a link that loses, doubles and delays some of them.
fn readings(rate: u64, seconds: u64) -> String {
    format!(
        r#"
schema  = 1
name    = "readings"
pattern = "windowed-aggregation"
[time]
length = "{seconds}s"
[[source]]
name   = "readings"
stream = "ReadingStream/1.0"
rate   = "{rate}/s"
fields = {{ sensor = {{ zipf = 1.0, count = 20, prefix = "s-" }}, value = {{ uniform = [0, 100] }} }}
[[operator]]
name  = "per-second"
input = ["readings"]
query = """
  select sensor, count(*) as n, avg(value) as mean
  from readings window tumbling(1 sec) group by sensor
"""
watermark = {{ behind = "200ms" }}
[[sink]]
name  = "dashboard"
input = ["per-second"]
[[link]]
from  = "readings"
to    = "per-second"
kind  = "datagram"
delay = {{ uniform = ["10ms", "150ms"] }}
[[fault]]
id     = "held-up"
kind   = "delay"
on     = "readings -> per-second"
rate   = 0.01
amount = "1s"
[[fault]]
id   = "lossy"
kind = "drop"
on   = "readings -> per-second"
rate = 0.01
[[expect]]
name      = "some are late"
sometimes = "per-second.late > 0"
"#
    )
}

fn page(ran: &Ran, timeline: &Timeline) -> String {
    let run = html::Run {
        record: &ran.record,
        timeline: Some(timeline),
        scenario: "",
    };
    html::report(&[run]).expect("a page")
}

#[test]
fn a_report_of_a_minute_at_twenty_events_a_second_is_small_and_leaves_no_event_out() {
    let (ran, timeline) = watched(&common::script(&readings(20, 60)), true);
    assert_eq!(ran.record.events, 1_200);
    let size = page(&ran, &timeline).len();
    assert!(size < 1_000_000, "{size} bytes");
    let events = |line: &&wavetank_reports::timeline::LeftOut| line.what.contains("planes");
    assert_eq!(timeline.left_out.iter().find(events), None);
    let plane = &timeline.planes[0];
    assert_eq!(plane.points.at.len() as u64, plane.fates.values().sum::<u64>());
}

#[test]
fn a_report_does_not_grow_with_the_run_and_says_what_it_leaves_out() {
    let (ran, timeline) = watched(&common::script(&readings(2_000, 30)), false);
    assert_eq!(ran.record.events, 60_000);
    let text = page(&ran, &timeline);
    assert!(text.len() < 2_000_000, "{} bytes", text.len());
    let plane = &timeline.planes[0];
    let unlucky = plane
        .fates
        .iter()
        .filter(|(fate, _)| ["late", "lost on the way"].contains(&fate.as_str()));
    let unlucky: u64 = unlucky.map(|(_, n)| n).sum();
    let kept = plane
        .points
        .fate
        .iter()
        .filter(|fate| Fate::ALL[usize::from(**fate)].is_unlucky());
    // A share of one in thirty of all, and of the unlucky ones all or nearly all.
    assert_eq!(kept.count() as u64, unlucky);
    let left = timeline.left_out.iter().find(|left| left.what.contains("taken in"));
    let left = left.expect("most of them are left out");
    assert!(left.kept < left.had && left.rule.starts_with("one in "), "{left:?}");
    assert!(text.contains(&left.rule), "the page says so");
    // Whatever is left out, sums are whole.
    let series = timeline.series("per-second", "in").expect("a series");
    assert_eq!(series.sum() as u64, ran.record.actors[2].taken);
    assert!(series.bucket.len() <= wavetank_reports::timeline::strip::BUCKETS as usize);
    assert_eq!(timeline.bucket.0, Strip::width_for(timeline.length.0));
}

#[test]
fn a_lost_message_has_no_arrival_and_the_time_of_a_delayed_one_is_the_faults() {
    let (ran, timeline) = watched(&common::script(&readings(20, 60)), true);
    let lost = timeline.messages.got.iter().filter(|got| got.is_none()).count() as u64;
    assert_eq!(lost, ran.record.links.iter().map(|link| link.lost).sum::<u64>());
    let held_up = ran.record.faults.iter().position(|fault| fault.id == "held-up");
    let of_it = timeline.messages.fault.iter().zip(&timeline.messages.got);
    let touched = of_it.filter(|(fault, got)| **fault == held_up && got.is_some()).count() as u64;
    assert!(touched > 0 && touched <= ran.record.faults[0].touched);
    assert_eq!(timeline.bands.len(), 2, "both were at work all the time");
    assert!(timeline.bands.iter().all(|band| band.from == 0));
}

#[test]
fn the_time_of_every_result_is_split_without_a_rest() {
    for scenario in [
        "watermark-with-room",
        "slack-enough",
        "primary-killed",
        "orders-by-store",
    ] {
        let (_, timeline) = watched(&library(scenario), true);
        for why in timeline.why.iter().filter(|why| why.unsplit == 0) {
            let parts: f64 = why
                .parts
                .iter()
                .map(|(_, n, parts)| *n as f64 * parts.iter().sum::<f64>())
                .sum();
            let total: u64 = why.total.iter().sum();
            // Means of groups, added up again.
            assert!(
                (parts - total as f64).abs() < 1.0 + total as f64 * 1e-9,
                "{scenario}: {parts} of {total}"
            );
            let groups: u64 = why.parts.iter().map(|(_, n, _)| n).sum();
            assert_eq!(groups, why.results, "{scenario}");
        }
    }
}

/// What most of the time of a sink's results went to.
fn most(timeline: &Timeline) -> Cause {
    let totals = timeline.why[0].total;
    let most = Cause::ALL.into_iter().max_by_key(|cause| totals[*cause as usize]);
    most.expect("there are causes")
}

#[test]
fn the_time_of_a_correction_went_to_what_made_its_event_late() {
    // A slow link, and a source that says late what it has had for long.
    let (_, delayed) = watched(&library("orders-on-a-dashboard"), true);
    assert_eq!(most(&delayed), Cause::Fault);
    let (_, held_up) = watched(&library("idle-partition"), true);
    assert_eq!(most(&held_up), Cause::Source);
    // Without either it is the work of those who decrypt, and the wait of a buffer.
    let (_, worked) = watched(&library("eight-sub-streams"), true);
    assert_eq!(most(&worked), Cause::Work);
    let (_, ordered) = watched(&library("slack-enough"), true);
    assert_eq!(most(&ordered), Cause::Reorder);
}
