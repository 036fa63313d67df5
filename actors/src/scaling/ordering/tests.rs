use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::{Event, EventId, FieldType, Producer, Schema, Time, Value};

use super::quality::deviations;
use crate::operator::{Dropped, Emitted, Operator, Output};
use crate::processing::testing::try_build;

/// A buffer on a clock of its own, with its timers; at one instant events come before timers.
pub struct Played {
    operator: Box<dyn Operator>,
    now: i64,
    timers: BTreeMap<(i64, u64), u64>,
    set: u64,
    taken: u64,
    /// Numbers, or what the field `n` says, in the order in which they went.
    pub out: Vec<i64>,
    /// The rest of the rows that went.
    pub rows: Vec<String>,
    pub stamps: Vec<i64>,
    pub dropped: Vec<(u64, Dropped)>,
    pub aside: Vec<u64>,
    pub failed: Vec<String>,
    pub measured: BTreeMap<Metric, u64>,
    caused: u64,
}

pub fn fields() -> Schema {
    Schema::new([("k", FieldType::Text), ("n", FieldType::Int), ("x", FieldType::Float)])
}

pub fn reading(source: u32, number: u64, stamp: i64, key: &str, n: i64) -> Event {
    let id = EventId {
        producer: Producer(source),
        number,
    };
    Event {
        id,
        stamp: Time::from_micros(stamp),
        correlation: id,
        planned: Time::from_micros(stamp),
        row: [Value::from(key), Value::Int(n), Value::Float(n as f64)].into(),
        lineage: None,
        pane: None,
        sequence: None,
        position: None,
    }
}

impl Played {
    pub fn on(reorder: &Json, late: &str) -> Self {
        let operator = try_build(json!({"reorder": reorder, "late": late}), &fields(), &[]).expect("it is built");
        Self {
            operator,
            now: 0,
            timers: BTreeMap::new(),
            set: 0,
            taken: 0,
            out: vec![],
            rows: vec![],
            stamps: vec![],
            dropped: vec![],
            aside: vec![],
            failed: vec![],
            measured: BTreeMap::new(),
            caused: 0,
        }
    }

    pub fn take(&mut self, event: Event) -> &mut Self {
        let mut out = Output::default();
        self.taken += 1;
        self.operator.on_event(0, event, Time::ZERO, &mut out);
        self.settle(out);
        self
    }

    /// An event of source 0 whose number and field `n` are how many came before.
    pub fn stamped(&mut self, stamp: i64) -> &mut Self {
        let n = self.taken;
        self.take(reading(0, n, stamp, "a", n as i64))
    }

    /// An event of source 0 with that number, stamped the same.
    pub fn numbered(&mut self, number: u64) -> &mut Self {
        self.take(reading(0, number, number as i64, "a", number as i64))
    }

    /// Lets time go on, with what is due before then.
    pub fn until(&mut self, at: i64) -> &mut Self {
        while let Some(first) = self.timers.first_entry().filter(|timer| timer.key().0 < at) {
            self.now = first.key().0;
            let token = first.remove();
            let mut out = Output::default();
            self.operator.on_timer(token, &mut out);
            self.settle(out);
        }
        self.now = at;
        self
    }

    pub fn watermark(&mut self, to: i64) -> &mut Self {
        let mut out = Output::default();
        self.operator.on_watermark(Time::from_micros(to), &mut out);
        self.settle(out);
        self
    }

    pub fn end(&mut self) -> &mut Self {
        self.watermark(i64::MAX)
    }

    pub fn held(&self) -> u64 {
        self.operator.held()
    }

    pub fn limit(&self) -> i64 {
        self.operator.watermark_limit().micros()
    }

    pub fn measured(&self, metric: Metric) -> u64 {
        self.measured.get(&metric).copied().unwrap_or_default()
    }

    pub fn ids(&self, why: Dropped) -> Vec<u64> {
        let of = self.dropped.iter().filter(|(_, w)| *w == why);
        of.map(|(number, _)| *number).collect()
    }

    fn settle(&mut self, out: Output) {
        for (after, token) in out.timers {
            self.timers.insert((self.now + after.micros(), self.set), token);
            self.set += 1;
        }
        for (metric, reading) in out.measured {
            let now = self.measured.entry(metric).or_default();
            *now = if metric == Metric::Slack {
                reading
            } else {
                *now + reading
            };
        }
        self.caused += out.caused;
        self.dropped
            .extend(out.dropped.iter().map(|(id, why)| (id.number, *why)));
        for emitted in out.emitted {
            match emitted {
                Emitted::Result(draft) => {
                    self.stamps.push(draft.stamp.micros());
                    if let Some(Value::Int(n)) = draft.row.get(1) {
                        self.out.push(*n);
                    }
                    let row: Vec<String> = draft.row.iter().map(ToString::to_string).collect();
                    self.rows.push(row.join(" "));
                }
                Emitted::Late(event) => self.aside.push(event.id.number),
                Emitted::Failed(failure) => self.failed.push(failure.reason),
            }
        }
        let gone = self.caused + (self.dropped.len() + self.failed.len()) as u64;
        assert_eq!(self.taken, gone + self.operator.held(), "each event has one fate");
    }
}

fn by(reorder: Json) -> Played {
    Played::on(&reorder, "drop")
}

#[test]
fn after_700_s_a_stamp_of_650_s_makes_k_at_least_50_s() {
    let s = 1_000_000;
    for reorder in [
        json!({"k_slack": {}}),
        json!({"mp_k_slack": {}}),
        json!({"aq_k_slack": {"error": 0.05, "window": "10s"}}),
    ] {
        let mut played = by(reorder);
        played.stamped(700 * s);
        assert_eq!(played.measured(Metric::Slack), 0);
        played.stamped(650 * s);
        assert_eq!(played.measured(Metric::Slack), 50_000_000);
        // From now on it is waited for: what is not 50 s behind stays.
        played.stamped(701 * s).stamped(751 * s);
        assert_eq!(played.out, [0, 2]);
    }
    // Siddhi learns when the largest stamp grows.
    let mut played = Played::on(&json!({"siddhi_k_slack": {}}), "emit");
    played.stamped(700 * s).stamped(650 * s).stamped(701 * s);
    assert_eq!(played.measured(Metric::Slack), 51_000_000);
}

#[test]
fn with_a_fixed_slack_an_event_goes_when_the_largest_stamp_is_that_far_ahead() {
    let mut played = by(json!({"slack": "10us"}));
    played.stamped(5).stamped(3).stamped(12);
    assert!(played.out.is_empty());
    played.stamped(13);
    assert_eq!(played.out, [1]);
    played.stamped(14).stamped(16);
    assert_eq!(played.out, [1, 0]);
    played.end();
    assert_eq!(played.stamps, [3, 5, 12, 13, 14, 16]);
}

#[test]
fn equal_stamps_go_by_source_then_number() {
    let mut played = by(json!({"slack": "10us"}));
    for (source, number, n) in [(1, 0, 3), (0, 7, 2), (0, 2, 1), (1, 1, 4)] {
        played.take(reading(source, number, 5, "a", n));
    }
    played.end();
    assert_eq!(played.out, [1, 2, 3, 4]);
}

#[test]
fn late_events_are_counted_and_dropped_put_aside_or_put_out_of_order() {
    let play = |late| {
        let mut played = Played::on(&json!({"slack": "0s"}), late);
        played.stamped(5).stamped(4).stamped(5).stamped(6).end();
        played
    };
    let (dropped, aside, emitted) = (play("drop"), play("side"), play("emit"));
    assert_eq!(
        (dropped.out.as_slice(), dropped.ids(Dropped::Late)),
        ([0, 2, 3].as_slice(), vec![1])
    );
    assert_eq!(
        (aside.out, aside.aside, aside.dropped.len()),
        (vec![0, 2, 3], vec![1], 1)
    );
    assert_eq!(emitted.out, [0, 1, 2, 3]);
    assert_eq!((emitted.dropped.len(), emitted.measured(Metric::Late)), (0, 1));
}

#[test]
fn the_largest_of_the_latest_delays_shrinks_again_and_that_of_all_never() {
    let slack = |reorder| {
        let mut played = by(reorder);
        played.stamped(100).stamped(60);
        let grown = played.measured(Metric::Slack);
        for stamp in [101, 102, 95, 103, 104] {
            played.stamped(stamp);
        }
        (grown, played.measured(Metric::Slack))
    };
    assert_eq!(slack(json!({"k_slack": {"samples": 4}})), (40, 7));
    assert_eq!(slack(json!({"k_slack": {"samples": 2}})), (40, 0));
    assert_eq!(slack(json!({"k_slack": {"samples": 4, "max_k": "5us"}})), (5, 5));
    assert_eq!(slack(json!({"mp_k_slack": {}})), (40, 40));
    assert_eq!(slack(json!({"mp_k_slack": {"max_k": "12us"}})), (12, 12));
}

#[test]
fn with_a_largest_stamp_for_each_source_the_slowest_one_rules() {
    let mut played = by(json!({"slack": "0s", "scope": "source"}));
    played.take(reading(0, 0, 10, "a", 10)).take(reading(1, 0, 2, "a", 2));
    // The first one was alone when it came; the other one is late by that, and orders what follows.
    assert_eq!(
        (played.out.as_slice(), played.ids(Dropped::Late)),
        ([10].as_slice(), vec![0])
    );
    played.take(reading(0, 1, 30, "a", 30)).take(reading(0, 2, 20, "a", 20));
    assert_eq!(played.held(), 2);
    played.take(reading(1, 1, 25, "a", 25));
    assert_eq!(played.out, [10, 20, 25]);
}

#[test]
fn a_source_that_goes_quiet_leaves_nothing_behind_for_longer_than_the_time_out() {
    let mut played = by(json!({"slack": "10us", "timeout": "100us"}));
    played.stamped(5).until(30).stamped(3).until(100);
    assert!(played.out.is_empty());
    // The first one goes with all that belongs before it.
    played.until(101);
    assert_eq!((played.out.as_slice(), played.held()), ([1, 0].as_slice(), 0));
    played.until(1_000);
    assert_eq!(played.out, [1, 0]);
}

#[test]
fn held_events_keep_the_watermark_back() {
    let mut played = by(json!({"slack": "10us"}));
    assert_eq!(played.limit(), i64::MAX);
    played.stamped(5).stamped(3);
    assert_eq!(played.limit(), 2);
    played.end();
    assert_eq!(played.limit(), i64::MAX);
    let mut played = by(json!({"number": {}}));
    played.take(reading(0, 2, 9, "a", 2)).take(reading(0, 1, 7, "a", 1));
    assert_eq!(played.limit(), 6);
}

#[test]
fn until_the_watermark_lets_go_what_it_has_reached() {
    let mut played = by(json!({"until": "watermark"}));
    played.stamped(5).stamped(3).watermark(3);
    assert_eq!(played.out, [1]);
    played.stamped(4).watermark(5).stamped(4);
    assert_eq!(
        (played.out.as_slice(), played.ids(Dropped::Late)),
        ([1, 2, 0].as_slice(), vec![3])
    );
}

#[test]
fn numbers_go_one_after_the_other_and_once() {
    let mut played = by(json!({"number": {}}));
    played
        .numbered(1)
        .numbered(2)
        .numbered(1)
        .numbered(0)
        .numbered(0)
        .numbered(4);
    assert_eq!(played.out, [0, 1, 2]);
    assert_eq!(played.measured(Metric::Duplicates), 2);
    assert_eq!(played.ids(Dropped::Filtered), [1, 0]);
    played.end();
    assert_eq!(
        (played.out.as_slice(), played.measured(Metric::Gaps)),
        ([0, 1, 2, 4].as_slice(), 1)
    );
}

#[test]
fn a_gap_is_given_up_when_the_event_behind_it_has_waited_long_enough() {
    let mut played = by(json!({"number": {"mark_gaps": true}, "timeout": "100us"}));
    played
        .numbered(0)
        .numbered(3)
        .until(50)
        .numbered(4)
        .numbered(8)
        .until(101);
    assert_eq!(
        played.rows,
        [
            "a 0 0.0 null null",
            "null null null 1 2",
            "a 3 3.0 null null",
            "a 4 4.0 null null"
        ]
    );
    assert_eq!((played.measured(Metric::Gaps), played.held()), (2, 1));
    // What was given up is late when it comes after all, and once only; what went is a duplicate.
    played.numbered(2).numbered(2).numbered(3).numbered(1);
    assert_eq!(played.ids(Dropped::Late), [2, 1]);
    assert_eq!(played.ids(Dropped::Filtered), [2, 3]);
    played.until(151);
    assert_eq!(played.measured(Metric::Gaps), 5);
}

#[test]
fn an_end_of_sequence_message_gives_up_what_is_missing_at_once_and_its_tail_too() {
    let settings = json!({"number": {"field": "n", "by": ["k"], "first": 1, "end": "x < 0", "mark_gaps": true}});
    let mut played = by(settings);
    let mut say = |key: &str, n: i64, x: f64| {
        let mut event = reading(0, n as u64, n, key, n);
        event.row = [Value::from(key), Value::Int(n), Value::Float(x)].into();
        played.take(event);
        std::mem::take(&mut played.rows).join(", ")
    };
    assert_eq!(say("a", 1, 1.0), "a 1 1.0 null null");
    assert_eq!(say("b", 2, 1.0), "");
    assert_eq!(say("a", 3, 1.0), "");
    // The chapter's case, with 2 missing and 4 and 5 lost behind it.
    assert_eq!(
        say("a", 6, -1.0),
        "a null null 2 2, a 3 1.0 null null, a null null 4 5, a 6 -1.0 null null"
    );
    assert_eq!(say("b", 1, 1.0), "b 1 1.0 null null, b 2 1.0 null null");
    assert_eq!(played.measured(Metric::Gaps), 3);
}

#[test]
fn a_number_that_is_none_is_a_failure_with_its_reason() {
    let mut played = by(json!({"number": {"field": "n"}}));
    played.take(reading(0, 0, 0, "a", -1));
    assert_eq!(
        played.failed,
        ["its number is `-1`, and must be whole and not negative"]
    );
}

#[test]
fn numbers_of_forgotten_gaps_count_as_duplicates() {
    let mut played = by(json!({"number": {"remember": 1}, "timeout": "10us"}));
    played
        .numbered(1)
        .until(11)
        .numbered(3)
        .until(22)
        .numbered(0)
        .numbered(2);
    assert_eq!(
        (played.ids(Dropped::Filtered), played.ids(Dropped::Late)),
        (vec![0], vec![2])
    );
}

#[test]
fn settings_that_lead_nowhere_are_refused_with_what_was_meant() {
    let refused = |reorder: Json| match try_build(json!({"reorder": reorder}), &fields(), &[]) {
        Ok(_) => panic!("it was built"),
        Err(problem) => problem,
    };
    assert!(refused(json!({})).contains("when shall it let events go?"));
    assert!(refused(json!({"number": {"field": "nn"}})).contains("did you mean `n`?"));
    assert!(refused(json!({"number": {"field": "n", "by": ["kk"]}})).contains("did you mean `k`?"));
    let aq = json!({"aq_k_slack": {"error": 0.1, "window": "1s", "aggregate": "sum", "value": "xx"}});
    assert!(refused(aq).contains("in `aq_k_slack.value`"));
}

#[test]
fn quality_lets_the_slowest_share_of_events_be_late() {
    // One event in fifty is very late; a count over windows of about a hundred may miss one in twenty.
    let play = |reorder| {
        let mut played = by(reorder);
        for i in 0..20_000i64 {
            let stamp = i * 10_000;
            played.stamped(if i % 50 == 49 {
                stamp - 900_000
            } else {
                stamp - (i % 7) * 10_000
            });
        }
        (played.measured(Metric::Slack), played.ids(Dropped::Late).len())
    };
    let (most, _) = play(json!({"mp_k_slack": {}}));
    let aq = json!({"aq_k_slack": {"error": 0.1, "window": "1s"}});
    let (enough, late) = play(aq);
    assert!(
        enough <= 60_000 && most >= 800_000,
        "K is {enough} where the largest delay is {most}"
    );
    assert!(late > 0 && late < 20_000 / 20, "{late} were late");
    // A tighter target waits for all of them.
    let (tight, late) = play(json!({"aq_k_slack": {"error": 0.0001, "window": "1s"}}));
    assert!(tight >= 800_000 && late < 400, "K is {tight}, and {late} were late");
}

#[test]
fn so_many_deviations_hold_a_share_of_a_normal_distribution() {
    for (share, z) in [
        (0.5, 0.674_489_750),
        (0.95, 1.959_963_985),
        (0.99, 2.575_829_304),
        (0.999_999, 4.891_638_475),
    ] {
        assert!((deviations(share) - z).abs() < 1e-8, "{share}: {}", deviations(share));
    }
}

/// What `reorder:kslack` of Siddhi makes of events `(stamp, arrival)` in milliseconds, numbered from 1.
fn siddhi(timeout: Option<&str>, discard: bool, events: &[(i64, i64)]) -> Played {
    let mut reorder = json!({"siddhi_k_slack": {}});
    if let Some(timeout) = timeout {
        reorder["timeout"] = json!(timeout);
    }
    let mut played = Played::on(&reorder, if discard { "drop" } else { "emit" });
    for (i, (stamp, at)) in events.iter().enumerate() {
        let n = i as u64 + 1;
        played
            .until(at * 1_000)
            .take(reading(0, n, stamp * 1_000, "a", n as i64));
    }
    played.until(60_000_000);
    played
}

const ALL_AT_ONCE: [(i64, i64); 11] = [
    (0, 0),
    (-6000, 0),
    (-500, 0),
    (-4000, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (-6000, 0),
    (-500, 0),
    (0, 0),
    (1000, 0),
];

const WITH_PAUSES: [(i64, i64); 11] = [
    (0, 0),
    (-6000, 0),
    (-500, 0),
    (1500, 2000),
    (2000, 2000),
    (2000, 2000),
    (6000, 6000),
    (0, 6000),
    (5500, 6000),
    (6000, 6000),
    (7000, 6000),
];

#[test]
fn siddhi_k_slack_does_what_its_published_tests_say() {
    let timed = siddhi(Some("1s"), false, &ALL_AT_ONCE);
    assert_eq!(timed.out, [1, 2, 8, 4, 3, 9, 5, 6, 7, 10, 11]);
    assert_eq!(timed.measured(Metric::Slack), 7_000_000);
    assert_eq!(siddhi(None, false, &ALL_AT_ONCE).out, [1, 2, 8]);

    let mut other = WITH_PAUSES;
    other[3] = (-2000, 2000);
    assert_eq!(
        siddhi(Some("1s"), false, &other).out,
        [1, 2, 4, 3, 5, 8, 6, 9, 7, 10, 11]
    );
    assert_eq!(
        siddhi(Some("1s"), false, &WITH_PAUSES).out,
        [1, 2, 3, 4, 5, 8, 6, 9, 7, 10, 11]
    );

    let discarding = siddhi(Some("1s"), true, &WITH_PAUSES);
    assert_eq!(discarding.out, [1, 4, 5, 6, 9, 7, 10, 11]);
    assert_eq!(discarding.ids(Dropped::Late), [2, 3, 8]);
    assert_eq!(siddhi(None, true, &WITH_PAUSES).out, [1, 4, 5, 6]);
}

#[test]
fn siddhi_ak_slack_multiplies_a_new_slack_by_its_factor_and_empties_itself_when_its_timer_is_due() {
    let reorder = json!({"siddhi_ak_slack": {"value": "x", "batch": 15}, "timeout": "1s"});
    let mut played = Played::on(&reorder, "emit");
    for i in 0..40i64 {
        played.take(reading(0, i as u64, i * 100 - (i % 5) * 250, "a", i + 1));
    }
    let k = played.measured(Metric::Slack);
    assert!(k > 0 && played.held() > 0);
    played.until(1_000_001);
    assert_eq!((played.held(), played.out.len()), (0, 40));
}
