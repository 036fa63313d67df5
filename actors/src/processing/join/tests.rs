use serde_json::{Value as Json, json};
use wavetank_scenarios::{Event, FieldType, Schema, Time, Value};

use crate::operator::{Dropped, Emitted, Operator, Output};
use crate::processing::testing::{event, try_build_on};

/// A join at work: inputs `a`, `b`, `c` with rows `(k, v)`, told in few words.
struct Join {
    operator: Box<dyn Operator>,
    next: u64,
}

fn schema() -> Schema {
    Schema::new([("k", FieldType::Text), ("v", FieldType::Int)])
}

fn try_join(inputs: &[&str], keys: Json) -> Result<Box<dyn Operator>, String> {
    try_build_on(inputs, keys, &schema())
}

impl Join {
    fn on(inputs: &[&str], keys: Json) -> Self {
        let operator = try_join(inputs, keys).unwrap();
        Self { operator, next: 0 }
    }
    fn query(query: &str) -> Self {
        Self::on(&["a", "b"], json!({"query": query}))
    }
    fn step(&mut self, f: impl FnOnce(&mut dyn Operator, &mut Output)) -> String {
        let mut out = Output::default();
        f(&mut *self.operator, &mut out);
        let dropped = out.dropped.iter().map(|(id, why)| match why {
            Dropped::Filtered => format!("#{} filtered", id.number),
            Dropped::Late => format!("#{} late", id.number),
            Dropped::Failed => format!("#{} failed", id.number),
        });
        let emitted = out.emitted.iter().filter_map(|emitted| match emitted {
            Emitted::Result(draft) => {
                let values: Vec<String> = draft.row.iter().map(ToString::to_string).collect();
                Some(format!("{}@{}", values.join(" "), draft.stamp.micros()))
            }
            _ => None,
        });
        emitted.chain(dropped).collect::<Vec<_>>().join("; ")
    }
    fn event(&mut self, input: usize, stamp: i64, k: &str, v: i64) -> String {
        let row = [Value::from(k), Value::Int(v)].into();
        let event: Event = event(self.next, stamp, row);
        self.next += 1;
        self.step(|operator, out| operator.on_event(input, event, Time::ZERO, out))
    }
    fn watermark(&mut self, to: i64) -> String {
        self.step(|operator, out| operator.on_watermark(Time::from_micros(to), out))
    }
    fn timer(&mut self, token: u64) -> String {
        self.step(|operator, out| operator.on_timer(token, out))
    }
}

#[test]
fn both_ends_of_a_distance_pair_and_each_pair_comes_once() {
    let mut join = Join::query("select a.v as a, b.v as b from a join b on a.k = b.k within (2us before, 3us after)");
    for (stamp, v) in [(7, 7), (8, 8), (13, 13), (14, 14)] {
        assert_eq!(join.event(1, stamp, "x", v), "");
    }
    assert_eq!(join.event(0, 10, "x", 10), "10 8@10; 10 13@13");
    assert_eq!(join.event(0, 10, "y", 0), "");
    assert_eq!(join.event(1, 12, "x", 12), "10 12@12");
}

#[test]
fn the_null_row_comes_when_the_watermark_says_that_nobody_can_come_and_not_a_tick_before() {
    let mut join = Join::query("select a.v as a, b.v as b from a left join b on a.k = b.k within (3us after)");
    assert_eq!(join.event(0, 10, "x", 1), "");
    assert_eq!(join.watermark(12), "");
    assert_eq!((join.operator.held(), join.operator.watermark_limit().micros()), (1, 9));
    assert_eq!(join.watermark(13), "1 null@10");
    assert_eq!(
        (join.operator.held(), join.operator.watermark_limit().micros()),
        (0, 13)
    );
    assert_eq!(join.event(1, 13, "x", 2), "#1 late");
}

#[test]
fn an_eager_null_row_comes_at_once_and_a_pair_may_follow() {
    let query = "select a.v as a, b.v as b from a left join b on a.k = b.k within (3us after)";
    let mut join = Join::on(&["a", "b"], json!({"query": query, "join": {"nulls": "eager"}}));
    assert_eq!(join.event(0, 10, "x", 1), "1 null@10");
    assert_eq!(join.event(1, 11, "x", 2), "1 2@11");
    assert_eq!(join.watermark(20), "");
    assert_eq!(join.operator.held(), 0);
}

#[test]
fn a_condition_that_is_null_or_cannot_be_computed_is_no_match() {
    let mut join = Join::query("select a.v as a, b.v as b from a full join b on a.k = b.v within (3us)");
    assert_eq!(join.event(0, 10, "5", 1), "");
    assert_eq!(join.event(1, 10, "x", 5), "");
    assert_eq!(join.watermark(13), "null 5@10; 1 null@10");
}

#[test]
fn the_watermark_that_is_passed_on_waits_for_what_may_still_be_given() {
    let query = "select a.v as a, b.v as b from a join b on a.k = b.k within (5us)";
    let mut join = Join::on(&["a", "b"], json!({"query": query, "result_stamp": "earliest"}));
    join.event(0, 10, "x", 1);
    join.watermark(12);
    assert_eq!(join.operator.watermark_limit().micros(), 9);
    assert_eq!(join.event(1, 13, "x", 2), "1 2@10");
    join.watermark(18);
    assert_eq!(join.operator.watermark_limit().micros(), 18);
}

#[test]
fn a_horizon_makes_the_whole_join_wait() {
    let query = "select a.v as a, b.v as b from a left join b on a.k = b.k within (3us after)";
    let mut join = Join::on(&["a", "b"], json!({"query": query, "horizon": "4us"}));
    join.event(0, 10, "x", 1);
    assert_eq!(join.watermark(16), "");
    assert_eq!(join.operator.watermark_limit().micros(), 9);
    assert_eq!(join.event(1, 13, "x", 2), "1 2@13");
    assert_eq!(join.event(1, 12, "x", 3), "#2 late");
}

#[test]
fn a_version_is_the_newest_that_is_not_later_and_old_ones_are_forgotten() {
    let query = "select a.v as a, b.v as b from a left join b for system_time as of event_time(a) on a.k = b.k";
    let mut join = Join::query(query);
    join.event(1, 5, "x", 50);
    join.event(1, 15, "x", 150);
    assert_eq!(join.event(0, 14, "x", 1), "");
    assert_eq!(join.event(0, 15, "x", 2), "");
    assert_eq!(join.event(0, 15, "y", 3), "");
    assert_eq!(join.watermark(14), "1 50@14");
    assert_eq!(join.operator.held(), 4);
    assert_eq!(join.watermark(15), "2 150@15; 3 null@15");
    assert_eq!(join.operator.held(), 1);
}

#[test]
fn by_arrival_the_version_that_came_last_answers_at_once() {
    let query = "select a.v as a, b.v as b from a join b for system_time as of event_time(a) on a.k = b.k";
    let mut join = Join::on(&["a", "b"], json!({"query": query, "join": {"versions": "arrival"}}));
    join.event(1, 20, "x", 1);
    assert_eq!(join.event(0, 10, "x", 0), "0 1@10");
    assert_eq!(join.event(1, 5, "x", 2), "");
    assert_eq!(join.event(0, 30, "x", 3), "3 2@30");
}

#[test]
fn last_events_join_in_order_of_arrival() {
    let query = "select a.v as a, b.v as b from a window length(2) full join b window length(1) on a.k = b.k";
    let mut join = Join::on(&["a", "b"], json!({"query": query, "join": {"nulls": "eager"}}));
    assert_eq!(join.event(0, 1, "w", 55), "55 null@1");
    assert_eq!(join.event(1, 2, "w", 7), "55 7@2");
    assert_eq!(join.event(0, 3, "i", 75), "75 null@3");
    assert_eq!(join.event(0, 4, "w", 57), "57 7@4");
    assert_eq!(join.operator.held(), 3);
}

#[test]
fn a_chain_keeps_a_result_as_long_as_a_partner_can_come() {
    let query = "select a.v as a, b.v as b, c.v as c from a left join b on a.k = b.k within (5us after) \
                 left join c on a.k = c.k within (10us after) of a";
    let mut join = Join::on(&["a", "b", "c"], json!({"query": query}));
    join.event(0, 10, "x", 1);
    assert_eq!(join.event(2, 17, "x", 3), "");
    assert_eq!(join.watermark(15), "1 null 3@17");
    assert_eq!(join.event(2, 20, "x", 4), "1 null 4@20");
    assert_eq!(join.operator.held(), 3);
    assert_eq!(join.watermark(20), "");
    assert_eq!(join.operator.held(), 0);
}

#[test]
fn a_window_gives_its_pairs_when_it_is_complete() {
    let query = "select a.v as a, b.v as b from a left join b on a.k = b.k window tumbling(10us)";
    let mut join = Join::query(query);
    join.event(0, 1, "x", 1);
    join.event(1, 9, "x", 2);
    join.event(0, 12, "x", 3);
    assert_eq!(join.watermark(8), "");
    assert_eq!(join.watermark(9), "1 2@9");
    assert_eq!(join.event(1, 5, "x", 4), "#3 late");
    assert_eq!(join.watermark(19), "3 null@19");
}

#[test]
fn gathered_parts_are_answered_when_all_are_there_or_at_the_deadline() {
    let mut join = Join::on(&["a", "b"], json!({"gather": {"by": ["k"], "within": "10us"}}));
    join.event(0, 1, "x", 1);
    assert_eq!(join.event(0, 2, "x", 9), "#1 filtered");
    assert!(join.event(1, 3, "x", 2).ends_with("true []@11"));
    join.event(1, 5, "y", 3);
    assert_eq!(join.watermark(14), "");
    let partial = join.watermark(15);
    assert!(
        partial.starts_with("y null {") && partial.ends_with("false [a]@15"),
        "{partial}"
    );
    assert_eq!(join.event(0, 6, "y", 4), "#4 late");
    assert_eq!(join.operator.held(), 0);
}

#[test]
fn what_is_missing_is_asked_for_by_the_nodes_clock() {
    let gather = json!({"by": ["k"], "within": "10us", "clock": "node", "ask": 1});
    let mut join = Join::on(&["a", "b"], json!({"gather": gather}));
    join.event(0, 1, "x", 1);
    assert!(join.timer(0).contains("false [b] 0 true@1"));
    assert!(join.timer(0).contains("false [b] 1 false@1"));
    assert_eq!(join.event(1, 3, "x", 2), "#1 late");
    assert_eq!(join.timer(0), "");
}

#[test]
fn what_cannot_be_built_says_why() {
    let refused = |keys: Json| match try_join(&["a", "b"], keys) {
        Ok(_) => panic!("it was built"),
        Err(problem) => problem,
    };
    let ambiguous = refused(json!({"query": "select k from a join b on a.k = b.k within (1us)"}));
    assert!(ambiguous.contains("could be a field of several streams"), "{ambiguous}");
    let unknown = refused(json!({"query": "select a.vv from a join b on a.k = b.k within (1us)"}));
    assert!(unknown.contains("did you mean `v`?"), "{unknown}");
    let unread = refused(json!({"query": "select a.v from a join c on a.k = c.k within (1us)"}));
    assert!(unread.contains("joins `c`"), "{unread}");
    let by = refused(json!({"gather": {"by": ["kk"], "within": "1s"}}));
    assert!(by.contains("did you mean `k`?"), "{by}");
}
