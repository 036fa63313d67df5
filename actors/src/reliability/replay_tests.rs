//! The law of replay: begin afresh at any moment, read again what is not safe, and the folded answers are the same.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use wavetank_scenarios::reach::{Back, Reach};
use wavetank_scenarios::{Event, Row, Span, Time};

use super::replay::{Floor, Resume, Tracker};
use crate::operator::{Draft, Dropped, Emitted, Operator, Output};
use crate::processing::testing::{event, row, schema, settings, try_build};

fn at(micros: i64) -> Time {
    Time::from_micros(micros)
}

/// One operator behind a log of one partition, with a watermark that stays behind the largest stamp.
struct Line {
    operator: Box<dyn Operator>,
    floor: Floor,
    largest: Time,
    watermark: Time,
    behind: i64,
    /// What a receiver that folds has: by window and group, or by the event that a result goes back to and its row.
    late: Vec<u64>,
}

type Name = (Option<(Time, Time, Row)>, u64, Option<Row>);
type Shown = BTreeMap<Name, Row>;

impl Line {
    fn new(keys: &serde_json::Value, behind: i64, floor: Floor) -> Self {
        let mut line = Self {
            operator: try_build(keys.clone(), &schema(), &[]).unwrap(),
            floor,
            largest: Time::MIN,
            watermark: Time::MIN,
            behind,
            late: vec![],
        };
        line.advance(floor.watermark(), &mut Shown::new());
        line
    }
    fn take(&mut self, event: Event, shown: &mut Shown) {
        let stamp = event.stamp;
        let mut out = Output::default();
        self.operator.on_event(0, event, Time::ZERO, &mut out);
        self.settle(out, shown);
        self.largest = self.largest.max(stamp);
        self.advance(self.largest - Span::from_micros(self.behind + 1), shown);
    }
    fn advance(&mut self, watermark: Time, shown: &mut Shown) {
        if watermark > self.watermark {
            self.watermark = watermark;
            let mut out = Output::default();
            self.operator.on_watermark(watermark, &mut out);
            self.settle(out, shown);
        }
    }
    fn settle(&mut self, out: Output, shown: &mut Shown) {
        let late = out.dropped.iter().filter(|(_, why)| *why == Dropped::Late);
        self.late.extend(late.map(|(id, _)| id.number));
        for emitted in out.emitted {
            let Emitted::Result(draft) = emitted else { continue };
            if !self.floor.mutes(&as_event(&draft)) {
                show(draft, shown);
            }
        }
    }
}

fn as_event(draft: &Draft) -> Event {
    Event {
        pane: draft.pane.clone(),
        correlation: draft.correlation,
        ..event(0, draft.stamp.micros(), draft.row.clone())
    }
}
fn show(draft: Draft, shown: &mut Shown) {
    match &draft.pane {
        Some(pane) => {
            let name = (Some((pane.start, pane.end, pane.key.clone())), 0, None);
            shown.insert(name, draft.row);
        }
        None => {
            let name = (None, draft.correlation.number, Some(draft.row.clone()));
            shown.insert(name, draft.row);
        }
    }
}

/// Operators with a bounded reach.
fn bounded() -> impl Strategy<Value = serde_json::Value> {
    let window = prop_oneof![
        Just("tumbling(10 us)"),
        Just("tumbling(10 us, 3 us)"),
        Just("hop(12 us, 5 us)"),
        Just("hop(10 us, 5 us)"),
        Just("hop(3 us, 7 us)"),
        Just("cumulate(12 us, 4 us)"),
        Just("time(7 us)"),
        Just("time(12 us, 4 us)"),
    ];
    let windowed = (
        window,
        0_i64..6,
        prop_oneof![Just("start"), Just("end"), Just("both")],
        0_usize..3,
    )
        .prop_map(|(window, horizon, bounds, late_when)| {
            let late_when = ["at-end", "after-end", "tick-before-end"][late_when];
            let sliding = window.starts_with("time(7") || window.starts_with("time(12");
            let mut keys = json!({
                "query": format!("select k, count(*) as n, sum(v) as total from s window {window} group by k"),
                "horizon": format!("{horizon}us"),
                "late_when": late_when,
            });
            if !sliding {
                keys["bounds"] = json!(bounds);
            }
            keys
        });
    let sequence = (2_i64..15, any::<bool>(), 0_usize..3).prop_map(|(within, start, pattern)| {
        let pattern = ["a -> b", "a -> b+ -> c", "a -> not c -> b"][pattern];
        json!({"sequence": {
            "pattern": pattern,
            "by": ["k"],
            "where": {"a": "v = 0", "b": "v = 1", "c": "v = 2"},
            "within": format!("{within}us"),
            "after": "keep-all",
            "precedence": if start { "start" } else { "complete" },
        }})
    });
    prop_oneof![
        3 => windowed,
        2 => sequence,
        1 => Just(json!({"filter": "v > 0"})),
    ]
}

fn back(keys: &serde_json::Value) -> Back {
    match settings(keys.clone()).reach(Span::UNIT) {
        Reach::Bounded(back) => back,
        Reach::Unbounded(why) => panic!("{keys}: {why}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn after_a_crash_at_any_event_the_folded_answers_and_the_late_events_are_those_without_it(
        keys in bounded(),
        stamps in prop::collection::vec((0_i64..60, 0_u8..2, 0_i64..3), 1..50),
        disorder in 0_i64..15,
        behind in 0_i64..15,
        crash in any::<prop::sample::Index>(),
        commit_before in 0_usize..6,
    ) {
        let log: Vec<Event> = stamps.iter().enumerate().map(|(i, (stamp, k, v))| {
            let stamp = i as i64 * 2 - stamp % (disorder + 1);
            event(i as u64, stamp, row(["x", "y"][*k as usize], *v))
        }).collect();
        let back = back(&keys);

        let mut calm = Line::new(&keys, behind, Floor::NOTHING);
        let mut due = Shown::new();
        log.iter().for_each(|event| calm.take(event.clone(), &mut due));
        calm.advance(Time::MAX, &mut due);

        // What was shown before the crash stays shown; the last commit may be older than the crash.
        let crash = crash.index(log.len() + 1);
        let commit_at = crash.saturating_sub(commit_before);
        let (mut line, mut tracker, mut shown) = (Line::new(&keys, behind, Floor::NOTHING), Tracker::default(), Shown::new());
        let mut commit = tracker.commit();
        let mut late: Vec<u64> = vec![];
        for (offset, event) in log[..crash].iter().enumerate() {
            tracker.take(offset as u64, event.stamp);
            line.take(event.clone(), &mut shown);
            let passed = line.watermark.min(line.operator.watermark_limit());
            if passed > Time::MIN {
                tracker.done(passed, back.since(passed));
            }
            if offset < commit_at {
                commit = tracker.commit();
                late = line.late.clone();
            }
        }
        let floor = commit.done.map_or(Floor::NOTHING, |done| Floor::of(back, done));
        let resume = Resume::safe(commit, floor.since);
        let mut line = Line::new(&keys, behind, floor);
        for (offset, event) in log.iter().enumerate().skip(resume.from as usize) {
            if !resume.skips(offset as u64, event.stamp) {
                line.take(event.clone(), &mut shown);
            }
        }
        line.advance(Time::MAX, &mut shown);
        prop_assert_eq!(&shown, &due, "{} {:?} {:?}", keys, commit, floor);
        late.extend(&line.late);
        late.sort_unstable();
        late.dedup();
        let mut expected = calm.late.clone();
        expected.sort_unstable();
        prop_assert_eq!(late, expected, "{} {:?} {:?}", keys, commit, floor);
    }

    #[test]
    fn what_is_safe_is_never_more_than_what_was_read_and_holds_nothing_open(
        stamps in prop::collection::vec(0_i64..30, 0..40), since in 0_i64..40,
    ) {
        let mut tracker = Tracker::default();
        for (offset, stamp) in stamps.iter().enumerate() {
            tracker.take(offset as u64, at(*stamp));
        }
        let safe = tracker.done(at(since), at(since));
        let open: Vec<usize> = (0..stamps.len()).filter(|i| stamps[*i] >= since).collect();
        prop_assert_eq!(safe.len(), stamps.len() - open.len());
        let commit = tracker.commit();
        prop_assert_eq!(commit.safe, open.first().copied().unwrap_or(stamps.len()) as u64);
        prop_assert_eq!((commit.read, tracker.open()), (stamps.len() as u64, open.len()));
    }
}

#[test]
fn a_minute_is_safe_when_it_is_closed_and_not_before() {
    let keys = json!({"query": "select count(*) as n from s window tumbling(60 us)"});
    let back = back(&keys);
    assert_eq!(
        [58, 59, 60, 118, 119].map(|w| back.since(at(w)).micros()),
        [0, 60, 60, 60, 120]
    );
}

#[test]
fn operators_that_remember_more_than_a_while_say_why_they_need_their_state() {
    let reasons = [
        (
            json!({"query": "select count(*) as n from s window session(5 us)"}),
            "a session lasts",
        ),
        (json!({"query": "select count(*) as n from s"}), "depends on everything"),
        (
            json!({"query": "select count(*) as n from s window length(3)"}),
            "of any age",
        ),
        (json!({"threshold": {"value": "v", "high": 3.0}}), "any age"),
        (json!({"reorder": {"until": "watermark"}}), "let go before"),
        (json!({"sequence": {"pattern": "a -> b", "within": "5us"}}), "keep-all"),
    ];
    for (keys, why) in reasons {
        match settings(keys.clone()).reach(Span::UNIT) {
            Reach::Unbounded(said) => assert!(said.contains(why), "{keys}: {said}"),
            Reach::Bounded(back) => panic!("{keys}: {back:?}"),
        }
    }
}
