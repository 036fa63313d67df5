use proptest::prelude::*;
use serde_json::json;
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::numbering::{EPOCH, Moves, Moving, Progress, Sequence, key_hash};
use wavetank_scenarios::script::Convey;
use wavetank_scenarios::{Event, EventId, Field, FieldType, Producer, Schema, Span, Time, Value};

use super::{Merge, Router};
use crate::operator::{Dropped, Emitted, Operator, Output};

fn convey(mut keys: serde_json::Value) -> Convey {
    let all = keys.as_object_mut().expect("an object");
    all.entry("by").or_insert(json!("round-robin"));
    all.entry("streams").or_insert(json!(2));
    serde_json::from_value(keys).expect("settings")
}

/// Part `part` of number `number`; its value is the number.
fn event(number: u64, part: u32, last: bool) -> Event {
    let id = EventId {
        producer: Producer(part),
        number,
    };
    let stamp = Time::from_micros(number as i64 * 10);
    Event {
        id,
        stamp,
        correlation: id,
        planned: stamp,
        row: [Value::Int(number as i64), Value::from("a")].into(),
        lineage: None,
        pane: None,
        sequence: Some(Sequence {
            number,
            part,
            last,
            after: 0,
        }),
        position: None,
    }
}

/// A merge by hand: what it put out as `number.part`, and what it did besides.
struct Hand {
    merge: Merge,
    out: Output,
    said: Vec<String>,
    gaps: u64,
    given_up: u64,
    late: Vec<u64>,
    twice: Vec<u64>,
    timers: Vec<u64>,
}

impl Hand {
    fn on(keys: serde_json::Value) -> Self {
        Self::entering(keys, false)
    }
    fn entering(keys: serde_json::Value, again: bool) -> Self {
        Self {
            merge: Merge::new(&convey(keys), true, Span::UNIT, again),
            out: Output::default(),
            said: vec![],
            gaps: 0,
            given_up: 0,
            late: vec![],
            twice: vec![],
            timers: vec![],
        }
    }
    fn read(&mut self) -> &mut Self {
        for emitted in self.out.emitted.drain(..) {
            if let Emitted::Result(draft) = emitted {
                let id = draft.correlation;
                self.said.push(format!("{}.{}", id.number, id.producer.0));
            }
        }
        for (id, why) in &self.out.dropped {
            match why {
                Dropped::Late => self.late.push(id.number),
                _ => self.twice.push(id.number),
            }
        }
        for (metric, reading) in &self.out.measured {
            match metric {
                Metric::Gaps => self.gaps += reading,
                Metric::GivenUp => self.given_up += reading,
                _ => {}
            }
        }
        self.timers.extend(self.out.timers.iter().map(|(_, token)| *token));
        self.out.clear();
        self
    }
    fn part(&mut self, number: u64, part: u32, last: bool) -> &mut Self {
        let event = event(number, part, last);
        self.merge.on_event(0, event, Time::ZERO, &mut self.out);
        self.read()
    }
    fn one(&mut self, number: u64) -> &mut Self {
        self.part(number, 0, true)
    }
    fn tell(&mut self, stream: usize, progress: Progress) -> &mut Self {
        self.merge.on_progress(stream, &progress, &mut self.out);
        self.read()
    }
    fn done(&mut self, stream: usize, below: u64) -> &mut Self {
        self.tell(stream, Progress::Done(below))
    }
    fn timer(&mut self, token: u64) -> &mut Self {
        self.merge.on_timer(token, &mut self.out);
        self.read()
    }
}

#[test]
fn results_leave_in_the_order_of_their_numbers() {
    let mut hand = Hand::on(json!({}));
    hand.one(1).one(3).one(0).one(2);
    assert_eq!(hand.said, ["0.0", "1.0", "2.0", "3.0"]);
    assert_eq!(hand.merge.held(), 0);
}

#[test]
fn a_number_with_several_results_is_passed_when_all_of_them_are_there() {
    let mut hand = Hand::on(json!({}));
    hand.part(0, 0, false).part(0, 2, true).one(1);
    assert_eq!(hand.said, [] as [&str; 0]);
    assert_eq!(hand.merge.held(), 3);
    hand.part(0, 1, false);
    assert_eq!(hand.said, ["0.0", "0.1", "0.2", "1.0"]);
}

#[test]
fn a_gap_is_passed_when_every_sub_stream_is_done_with_more() {
    let mut hand = Hand::on(json!({}));
    hand.one(2).done(0, 3);
    assert_eq!(hand.said, [] as [&str; 0], "the other sub-stream may still have 0 or 1");
    hand.done(1, 1);
    assert_eq!((hand.said.len(), hand.gaps), (0, 1));
    hand.done(1, 2);
    assert_eq!((hand.said.as_slice(), hand.gaps), (["2.0".to_owned()].as_slice(), 2));
}

#[test]
fn a_tombstone_names_one_number() {
    let mut hand = Hand::on(json!({"gaps": "skip"}));
    hand.one(2).tell(1, Progress::Skip(1)).tell(0, Progress::Skip(0));
    assert_eq!((hand.said.as_slice(), hand.gaps), (["2.0".to_owned()].as_slice(), 2));
}

#[test]
fn a_time_out_gives_up_what_is_smaller_and_what_comes_of_it_later_is_late() {
    let mut hand = Hand::on(json!({"timeout": "1s"}));
    hand.one(3).one(5);
    assert_eq!(hand.timers, [3, 5]);
    hand.timer(3);
    assert_eq!(
        (hand.said.as_slice(), hand.given_up),
        (["3.0".to_owned()].as_slice(), 3)
    );
    hand.one(1).one(4);
    assert_eq!((hand.late.as_slice(), hand.said.len()), ([1].as_slice(), 3));
    hand.timer(5);
    assert_eq!(hand.given_up, 3, "it had left already");
}

#[test]
fn what_is_there_already_is_not_taken_again() {
    let mut hand = Hand::on(json!({}));
    hand.one(1).one(1).one(0).one(0);
    assert_eq!(
        (hand.twice.as_slice(), hand.late.as_slice()),
        ([1].as_slice(), [0].as_slice())
    );
    assert_eq!(hand.said, ["0.0", "1.0"]);
}

#[test]
fn no_watermark_passes_what_waits() {
    let mut hand = Hand::on(json!({}));
    assert_eq!(hand.merge.watermark_limit(), Time::MAX);
    hand.one(7).one(4);
    assert_eq!(hand.merge.watermark_limit(), Time::from_micros(39));
    hand.done(0, u64::MAX).done(1, u64::MAX);
    assert_eq!((hand.said.len(), hand.merge.watermark_limit()), (2, Time::MAX));
}

#[test]
fn behind_a_crash_a_merge_begins_with_what_it_is_told_of() {
    let mut hand = Hand::entering(json!({}), true);
    hand.one(101).one(100).done(0, 102);
    assert_eq!(hand.said.len(), 0);
    hand.done(1, 100);
    assert_eq!(
        (hand.said.as_slice(), hand.gaps),
        (["100.0".to_owned(), "101.0".to_owned()].as_slice(), 0)
    );
}

#[test]
fn numbers_of_a_new_split_are_counted_from_its_first() {
    let mut hand = Hand::on(json!({}));
    hand.one(0).one(EPOCH + 2).done(0, EPOCH + 3).done(1, EPOCH + 2);
    assert_eq!((hand.said.len(), hand.gaps), (2, 2));
}

#[test]
fn in_order_of_arrival_nothing_waits() {
    let mut hand = Hand::on(json!({"merge": "arrival"}));
    hand.one(2).one(0);
    assert_eq!(
        (hand.said.as_slice(), hand.merge.held()),
        (["2.0".to_owned(), "0.0".to_owned()].as_slice(), 0)
    );
}

fn schema() -> Schema {
    let field = |name: &str, kind| Field {
        name: name.into(),
        kind,
    };
    Schema {
        fields: vec![field("v", FieldType::Int), field("k", FieldType::Text)],
    }
}

fn router(keys: serde_json::Value) -> Router {
    Router::new(&convey(keys), &schema(), &["in"]).expect("a router")
}

fn with(v: i64, k: Value) -> Event {
    Event {
        row: [Value::Int(v), k].into(),
        ..event(0, 0, true)
    }
}

/// How many of these keys each sub-stream gets.
fn shares(router: &mut Router, keys: i64, streams: usize) -> Vec<u32> {
    let mut shares = vec![0; streams];
    for v in 0..keys {
        shares[router.choose(0, &with(v, Value::Null)).0 as usize] += 1;
    }
    shares
}

#[test]
fn the_hash_of_a_key_is_the_same_in_every_process() {
    let bytes = [2, 7, 0, 0, 0, 0, 0, 0, 0]; // an integer, and which
    assert_eq!(key_hash(&[Value::Int(7)], 0), xxhash_rust::xxh3::xxh3_64(&bytes));
    assert_ne!(key_hash(&[Value::Int(7)], 0), key_hash(&[Value::Int(7)], 1));
}

#[test]
fn a_ring_shares_out_evenly_and_a_new_sub_stream_takes_keys_only_for_itself() {
    let ring = |streams: u32| router(json!({"by": {"ring": {"key": ["v"], "points": 128}}, "streams": streams}));
    let (mut four, mut five) = (ring(4), ring(5));
    let all = shares(&mut four, 10_000, 4);
    assert!(all.iter().all(|share| (1_700..3_300).contains(share)), "{all:?}");
    let mut moved = 0;
    for v in 0..10_000 {
        let (before, after) = (
            four.choose(0, &with(v, Value::Null)).0,
            five.choose(0, &with(v, Value::Null)).0,
        );
        assert!(after == before || after == 4, "only the new one takes keys");
        moved += u32::from(after != before);
    }
    assert!(
        (1_200..2_800).contains(&moved),
        "{moved} of 10000 moved, about a fifth should"
    );
    // Modulo the number of sub-streams nearly all keys move.
    let hash = |streams: u32| router(json!({"by": {"key": ["v"]}, "streams": streams}));
    let (mut four, mut five) = (hash(4), hash(5));
    let event = |v| with(v, Value::Null);
    let moved = (0..10_000).filter(|v| four.choose(0, &event(*v)).0 != five.choose(0, &event(*v)).0);
    assert!(moved.count() > 7_000);
}

#[test]
fn a_type_leads_to_its_sub_stream_and_all_else_to_one() {
    let to = json!({"gold": 0, "silver": 1});
    let mut router = router(json!({"streams": 3, "by": {"type": {"field": "k", "to": to, "otherwise": 2}}}));
    let kinds = [
        Value::from("silver"),
        Value::from("gold"),
        Value::from("tin"),
        Value::Null,
    ];
    let went = kinds.map(|kind| router.choose(0, &with(0, kind)).0);
    assert_eq!(went, [1, 0, 2, 2]);
}

#[test]
fn the_first_true_predicate_decides_and_null_and_errors_are_not_true() {
    let mut router = router(json!({"streams": 3, "by": {"predicates": ["k > 5", "v > 10"]}}));
    let (number, text) = (Value::Int(6), Value::from("six"));
    let went = [(20, number), (20, text), (20, Value::Null), (1, Value::Null)];
    assert_eq!(went.map(|(v, k)| router.choose(0, &with(v, k)).0), [0, 1, 1, 2]);
}

#[test]
fn load_goes_to_whoever_has_the_fewest_left() {
    let mut router = router(json!({"streams": 3, "by": "load"}));
    let went: Vec<u32> = (0..4).map(|n| router.choose(n, &event(n, 0, true)).0).collect();
    assert_eq!(went, [0, 1, 2, 0]);
    router.done(1, 2);
    assert_eq!(router.choose(4, &event(4, 0, true)).0, 1);
    router.done(0, 1);
    assert_eq!(
        (
            router.choose(5, &event(5, 0, true)).0,
            router.choose(6, &event(6, 0, true)).0
        ),
        (0, 1)
    );
}

#[test]
fn a_moved_key_goes_to_its_new_owner_and_all_others_stay() {
    let mut router = router(json!({"streams": 3, "spare": 1, "by": {"key": ["v"]}}));
    let before: Vec<u32> = (0..40).map(|v| router.choose(0, &with(v, Value::Null)).0).collect();
    assert!(before.iter().all(|stream| *stream < 2), "spare ones get nothing");
    let keys = Moves::Keys(vec![[Value::Int(3)].into(), [Value::Int(4)].into()]);
    let (id, from, to, cut) = (1, before[3], 2, 0);
    router.moved(
        Moving {
            id,
            from,
            to,
            cut,
            keys,
        }
        .into(),
    );
    for v in 0..40 {
        let owned = before[v as usize];
        let moves = v == 3 || (v == 4 && owned == from);
        let expected = if moves { (2, 1) } else { (owned, 0) };
        assert_eq!(router.choose(0, &with(v, Value::Null)), expected);
    }
}

#[test]
fn a_name_that_is_not_there_is_an_error() {
    let error = Router::new(&convey(json!({"by": {"key": ["kk"]}})), &schema(), &["in"]).expect_err("no such field");
    assert!(error.contains("kk") && error.contains('k'), "{error}");
}

proptest! {
    /// Whatever the order of arrival: all that came is put out once and in order, when all are done.
    #[test]
    fn everything_that_comes_leaves_once_and_in_order(
        (numbers, filtered) in (1usize..40).prop_flat_map(|n| {
            let numbers: Vec<u64> = (0..n as u64).collect();
            (Just(numbers).prop_shuffle(), proptest::collection::vec(any::<bool>(), n))
        })
    ) {
        let mut hand = Hand::on(json!({}));
        let came: Vec<u64> = numbers.into_iter().filter(|n| !filtered[*n as usize]).collect();
        for number in &came {
            hand.one(*number);
        }
        hand.done(0, filtered.len() as u64).done(1, filtered.len() as u64);
        let mut sorted = came.clone();
        sorted.sort_unstable();
        let expected: Vec<String> = sorted.iter().map(|n| format!("{n}.0")).collect();
        prop_assert_eq!(&hand.said, &expected);
        prop_assert_eq!(hand.gaps as usize, filtered.len() - came.len());
        prop_assert_eq!((hand.merge.held(), hand.late.len(), hand.given_up), (0, 0, 0));
    }
}
