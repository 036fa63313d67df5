use serde_json::json;
use wavetank_scenarios::{Span, Time, Value};

use crate::operator::{Dropped, Output};
use crate::processing::testing::{Hand, event, row, settings, try_build};

const COUNT_BY_KEY: &str = "select k, count(*) as n from s window tumbling(2 ms) group by k";

/// A hand on an operator whose unit of event time is a millisecond.
fn in_millis(keys: serde_json::Value) -> Hand {
    let schema = crate::processing::testing::schema();
    let around = crate::processing::Surroundings {
        inputs: &[&schema],
        output: &schema,
        tables: &[],
        tick: Span::from_millis(1),
        lineage: false,
    };
    Hand::of(crate::processing::build(&settings(keys), around).unwrap())
}

#[test]
fn a_window_fires_at_the_watermark_of_its_last_instant_and_not_before() {
    let mut hand = in_millis(json!({"query": "select count(*) as n from s window tumbling(2 s)"}));
    hand.event(500_000, "a", 1).watermark(1_998_000);
    assert!(hand.said().is_empty());
    hand.watermark(1_999_000);
    assert_eq!(hand.said(), ["[0,2000000) 1"]);
    assert_eq!(hand.operator.held(), 0);
}

#[test]
fn an_event_is_late_from_the_watermark_of_its_windows_last_instant_plus_the_horizon() {
    let keys = json!({
        "query": "select count(*) as n from s window tumbling(2 s)", "late": "side", "horizon": "500ms",
    });
    let mut hand = in_millis(keys.clone());
    hand.event(0, "a", 1).watermark(2_498_000).event(1_000, "a", 1);
    assert_eq!(hand.said(), ["[0,2000000) 1", "~[0,2000000) 2 r1"]);
    let mut hand = in_millis(keys);
    hand.event(0, "a", 1).watermark(2_499_000).event(1_000, "a", 1);
    assert_eq!(hand.said(), ["[0,2000000) 1"]);
    assert_eq!(hand.ids(Dropped::Late), [1]);
    assert_eq!(hand.aside.len(), 1);
}

#[test]
fn strictness_moves_lateness_by_one_tick_to_either_side() {
    for (when, accepted_until) in [("tick-before-end", 1_997), ("at-end", 1_998), ("after-end", 1_999)] {
        for w in [1_997, 1_998, 1_999, 2_000] {
            let mut hand = in_millis(json!({
                "query": "select count(*) as n from s window tumbling(2 s)", "late_when": when,
            }));
            hand.watermark(w * 1_000).event(1_000, "a", 1);
            assert_eq!(hand.ids(Dropped::Late).is_empty(), w <= accepted_until, "{when} at {w}");
        }
    }
}

#[test]
fn lateness_may_be_judged_on_the_events_own_stamp() {
    let mut hand = Hand::on(json!({
        "query": "select count(*) as n from s window tumbling(10 us)", "late_by": "event",
    }));
    hand.event(3, "a", 1)
        .watermark(4)
        .event(4, "a", 1)
        .event(5, "a", 1)
        .end();
    assert_eq!(hand.ids(Dropped::Late), [1]);
    assert_eq!(hand.said(), ["[0,10) 2"]);
}

#[test]
fn rows_of_a_firing_come_by_order_by_then_by_key_and_are_cut_to_the_limit() {
    let mut hand =
        Hand::query("select k, sum(v) as total from s window tumbling(10 us) group by k order by total desc limit 3");
    for (k, v) in [("d", 5), ("a", 1), ("c", 5), ("b", 9), ("a", 4)] {
        hand.event(1, k, v);
    }
    hand.end();
    assert_eq!(hand.said(), ["[0,10) b 9", "[0,10) a 5", "[0,10) c 5"]);
    assert_eq!(hand.ids(Dropped::Filtered), [0]);
}

#[test]
fn having_filters_rows_and_their_events_are_filtered_unless_another_window_answers_with_them() {
    let mut hand = Hand::query("select k, count(*) as n from s window hop(4 us, 2 us) group by k having n >= 2");
    hand.event(1, "a", 1).event(3, "a", 1).event(3, "b", 1).end();
    assert_eq!(hand.said(), ["[0,4) a 2"]);
    assert_eq!(hand.ids(Dropped::Filtered), [2]);
}

#[test]
fn negative_times_have_windows_too() {
    let mut hand = Hand::query("select count(*) as n from s window tumbling(10 us)");
    hand.event(-1, "a", 1).event(-10, "a", 1).event(0, "a", 1).end();
    assert_eq!(hand.said(), ["[-10,0) 2", "[0,10) 1"]);
}

#[test]
fn events_between_hops_are_in_no_window_and_filtered() {
    let mut hand = Hand::query("select count(*) as n from s window hop(2 us, 5 us)");
    hand.event(1, "a", 1).event(2, "a", 1).event(6, "a", 1).end();
    assert_eq!(hand.said(), ["[0,2) 1", "[5,7) 1"]);
    assert_eq!(hand.ids(Dropped::Filtered), [1]);
}

#[test]
fn cumulating_windows_answer_at_each_step_once_they_have_a_row() {
    let mut hand = Hand::query("select sum(v) as total from s window cumulate(6 us, 2 us)");
    hand.event(2, "a", 1).event(5, "a", 10).event(6, "a", 100).end();
    assert_eq!(
        hand.said(),
        ["[0,4) 1", "[0,6) 11", "[6,8) 100", "[6,10) 100", "[6,12) 100"]
    );
}

#[test]
fn sliding_windows_answer_at_each_instant_with_every_group_inside() {
    let mut hand = Hand::query("select k, count(*) as n from s window time(10 us) group by k");
    hand.event(5, "a", 1).event(1, "b", 1).event(12, "a", 1).watermark(4);
    assert_eq!(hand.said(), ["[-8,2) b 1"]);
    hand.end();
    // b of 1 has left at 11.
    assert_eq!(hand.said(), ["[-4,6) a 1", "[-4,6) b 1", "[3,13) a 2"]);
}

#[test]
fn a_sliding_window_may_answer_when_an_event_leaves() {
    let mut hand = Hand::query("select count(*) as n from s window time(10 us, on = 'change')");
    hand.event(0, "a", 1).event(4, "a", 1).end();
    assert_eq!(hand.said(), ["[-9,1) 1", "[-5,5) 2", "[1,11) 1"]);
}

#[test]
fn the_last_three_events_answer_at_each_event_in_order_of_arrival() {
    let mut hand = Hand::query("select sum(v) as rejected from s window length(3) having rejected = 3");
    for v in [1, 1, 0, 1, 1, 1, 0] {
        hand.event(0, "a", v);
    }
    assert_eq!(hand.said(), ["3"]);
    assert_eq!(hand.operator.held(), 3);
    hand.end();
    assert_eq!(hand.ids(Dropped::Filtered), [0, 1, 2, 6]);
}

#[test]
fn a_batch_answers_when_it_is_full_and_the_tail_is_filtered() {
    let mut hand = Hand::query("select k, count(*) as n from s window length_batch(3) group by k");
    for k in ["b", "a", "b", "a"] {
        hand.event(0, k, 1);
    }
    hand.end();
    assert_eq!(hand.said(), ["a 1", "b 2"]);
    assert_eq!(hand.ids(Dropped::Filtered), [3]);
}

#[test]
fn sessions_merge_when_they_touch_unless_they_must_not() {
    for (merge, expected) in [(true, vec!["[9,29) 2"]), (false, vec!["[9,19) 1", "[19,29) 1"])] {
        let mut hand = Hand::on(json!({
            "query": "select count(*) as n from s window session(10 us)", "session_touching_merge": merge,
        }));
        hand.event(9, "a", 1).event(19, "a", 1).end();
        assert_eq!(hand.said(), expected);
    }
}

#[test]
fn a_late_event_that_bridges_two_sessions_takes_both_answers_back() {
    let mut hand = Hand::on(json!({
        "query": "select count(*) as n from s window session(10 us)", "late": "correct", "horizon": "1ms",
    }));
    hand.event(0, "a", 1).event(15, "a", 1).watermark(30);
    assert_eq!(hand.said(), ["[0,10) 1", "[15,25) 1"]);
    hand.event(8, "a", 1);
    assert_eq!(hand.said(), ["-[0,10) 1 r1", "-[15,25) 1 r1", "[0,25) 3"]);
}

#[test]
fn staggered_windows_open_at_the_earliest_event_of_their_group() {
    let mut hand = Hand::query("select k, count(*) as n from s window stagger(10 us) group by k");
    hand.event(7, "a", 1)
        .event(3, "a", 1)
        .event(12, "a", 1)
        .event(13, "a", 1)
        .event(8, "b", 1)
        .end();
    assert_eq!(hand.said(), ["[3,13) a 3", "[8,18) b 1", "[13,23) a 1"]);
}

#[test]
fn snapshots_answer_for_each_interval_between_changes() {
    let mut hand = Hand::query("select sum(v) as total from s window snapshot(5 us)");
    hand.event(0, "a", 1).event(3, "a", 10).event(20, "a", 100).end();
    assert_eq!(hand.said(), ["[0,3) 1", "[3,5) 11", "[5,8) 10", "[20,25) 100"]);
}

#[test]
fn snapshots_may_be_of_events_with_the_same_stamp() {
    let mut hand = Hand::on(json!({
        "query": "select count(*) as n from s window snapshot(5 us)", "snapshot_by_stamp": true,
    }));
    hand.event(3, "a", 1).event(4, "a", 1).event(3, "a", 1).end();
    assert_eq!(hand.said(), ["[3,4) 2", "[4,5) 1"]);
}

#[test]
fn a_global_window_answers_once_at_the_end() {
    let mut hand = Hand::query("select k, max(v) as m from s group by k");
    hand.event(3, "b", 1).watermark(100).event(1, "a", 5).event(2, "b", 7);
    assert!(hand.said().is_empty());
    hand.end();
    assert_eq!(hand.said(), ["[-,+) a 5", "[-,+) b 7"]);
}

#[test]
fn a_correction_says_only_what_has_changed() {
    let mut hand = Hand::on(json!({
        "query": "select k, max(v) as m from s window hop(4 us, 2 us) group by k", "late": "correct", "horizon": "1ms",
    }));
    hand.event(3, "a", 5).event(3, "b", 1).watermark(20);
    assert_eq!(hand.said(), ["[0,4) a 5", "[0,4) b 1", "[2,6) a 5", "[2,6) b 1"]);
    hand.event(1, "a", 9);
    assert_eq!(hand.said(), ["[-2,2) a 9", "~[0,4) a 9 r1"]);
    hand.event(3, "a", 2);
    assert!(hand.said().is_empty());
    hand.end();
    assert_eq!(hand.ids(Dropped::Filtered), [3], "what changes nothing causes nothing");
}

#[test]
fn a_correction_deletes_rows_that_the_limit_pushes_out() {
    let mut hand = Hand::on(json!({
        "query": "select k, sum(v) as t from s window tumbling(10 us) group by k order by t desc limit 1",
        "late": "correct", "horizon": "1ms",
    }));
    hand.event(1, "a", 5).event(1, "b", 4).watermark(20);
    assert_eq!(hand.said(), ["[0,10) a 5"]);
    hand.event(2, "b", 2);
    assert_eq!(hand.said(), ["-[0,10) a 5 r1", "[0,10) b 6"]);
    hand.event(2, "a", 2);
    assert_eq!(hand.said(), ["-[0,10) b 6 r1", "[0,10) a 7 r2"]);
}

#[test]
fn empty_windows_answer_when_asked_to() {
    let mut hand = Hand::on(json!({
        "query": "select count(*) as n, sum(v) as t from s window tumbling(10 us)", "emit_empty": true,
    }));
    hand.watermark(5).event(12, "a", 1).watermark(39);
    assert_eq!(hand.said(), ["[10,20) 1 1", "[20,30) 0 null", "[30,40) 0 null"]);
    hand.event(61, "a", 1).end();
    assert_eq!(hand.said(), ["[40,50) 0 null", "[50,60) 0 null", "[60,70) 1 1"]);
}

#[test]
fn an_event_too_far_ahead_is_refused_when_set() {
    let mut hand = Hand::on(json!({
        "query": COUNT_BY_KEY, "future": {"refuse": "5us"},
    }));
    hand.take_at(event(0, 15, row("a", 1)), Time::from_micros(10));
    hand.take_at(event(1, 16, row("a", 1)), Time::from_micros(10));
    assert_eq!(hand.failed.len(), 1);
    assert_eq!(
        hand.failed[0].reason,
        "it is stamped 6us ahead of its arrival; at most 5us is let in"
    );
}

#[test]
fn a_value_that_cannot_be_aggregated_fails_its_event_and_touches_nothing() {
    let mut hand = Hand::query("select count(*) as n, sum(k) as t from s window tumbling(10 us)");
    hand.event(1, "a", 1).end();
    assert_eq!(
        hand.failed[0].reason,
        "text `a` cannot be aggregated as a number by `sum`"
    );
    assert!(hand.said().is_empty());
}

#[test]
fn a_result_that_cannot_be_computed_is_not_given_and_its_events_have_failed() {
    let mut hand = Hand::query("select k, 10 / sum(v) as q from s window tumbling(10 us) group by k");
    hand.event(1, "a", 0).event(1, "b", 5).end();
    assert_eq!(hand.said(), ["[0,10) b 2"]);
    assert_eq!(hand.ids(Dropped::Failed), [0]);
}

#[test]
fn results_name_their_inputs_and_the_latest_of_them() {
    let mut hand = Hand::query("select count(*) as n from s window tumbling(10 us)");
    hand.event(7, "a", 1).event(3, "a", 1).end();
    let draft = &hand.results[0];
    assert_eq!(draft.correlation.number, 0);
    assert_eq!(
        draft
            .lineage
            .as_ref()
            .unwrap()
            .iter()
            .map(|id| id.number)
            .collect::<Vec<_>>(),
        [0, 1]
    );
    assert_eq!(draft.stamp, Time::from_micros(9));
}

#[test]
fn the_stamp_of_a_result_is_a_setting() {
    for (setting, stamp) in [("last", 9), ("end", 10), ("latest", 7), ("earliest", 3)] {
        let mut hand = Hand::on(json!({
            "query": "select count(*) as n from s window tumbling(10 us)", "result_stamp": setting,
        }));
        hand.event(7, "a", 1).event(3, "a", 1).end();
        assert_eq!(hand.results[0].stamp, Time::from_micros(stamp), "{setting}");
    }
}

#[test]
fn every_aggregate_says_what_its_definition_says() {
    let mut hand = Hand::query(
        "select count(*) as a, count(v) as b, count(distinct v) as c, sum(v) as d, avg(v) as e, min(v) as f, max(v) as g, \
         var_pop(v) as h, variance(v) as i, stddev_pop(v) as j, first(v) as k2, last(v) as l, top(2, v) as m, \
         median(v) as n, quantile(0.25, v) as o, collect(v) as p, sum(distinct v) as q, approx_count_distinct(v) as r, \
         heavy_hitters(2, v) as t, sum(v) filter (where v > 2) as u, window_start as w, sum(x) as y \
         from s window tumbling(10 us)",
    );
    for v in [4, 2, 2, 8] {
        hand.event(v, "a", v);
    }
    hand.take(event(9, 5, [Value::from("a"), Value::Null, Value::Float(0.1)].into()));
    hand.end();
    assert_eq!(
        hand.said(),
        [
            "[0,10) 5 4 3 16 4.0 2 8 6.0 8.0 2.449489742783178 2 8 [8, 4] 3.0 2 [2, 2, 4, 8] 14 3 \
          [{value: 2, count: 1}] 12 1970-01-01T00:00:00Z 1.7000000000000002"
        ]
    );
}

#[test]
fn of_no_values_counts_are_zero_and_all_else_is_null() {
    let mut hand = Hand::query(
        "select count(v) as a, sum(v) as b, avg(v) as c, min(v) as d, variance(v) as e, median(v) as f, top(2, v) as g, \
         count(distinct v) as h, approx_count_distinct(v) as i from s window tumbling(10 us)",
    );
    hand.take(event(0, 5, [Value::from("a"), Value::Null, Value::Null].into()))
        .end();
    assert_eq!(hand.said(), ["[0,10) 0 null null null null null null 0 0"]);
}

#[test]
fn windows_that_make_no_sense_are_refused_with_words() {
    let refused = |sql: &str| match try_build(json!({"query": sql}), &crate::processing::testing::schema(), &[]) {
        Ok(_) => panic!("{sql} was built"),
        Err(problem) => problem,
    };
    assert_eq!(
        refused("select count(*) as n from s window tumbling(1 min) group by kk"),
        "operator `op`: in `group by`: there is no field `kk`; did you mean `k`? There are `k`, `v`, `x`"
    );
    let late = json!({"query": "select count(*) as n from s window snapshot(5 s)", "horizon": "1s"});
    match try_build(late, &crate::processing::testing::schema(), &[]) {
        Ok(_) => panic!("it was built"),
        Err(problem) => assert!(problem.contains("leave out `horizon`"), "{problem}"),
    }
}

#[test]
fn a_window_answers_early_at_every_so_many_events_and_on_time_only_what_is_new() {
    let mut hand = Hand::on(json!({
        "query": "select k, sum(v) as s from s window tumbling(10 us) group by k",
        "emit": { "early": { "count": 2 } },
    }));
    hand.event(1, "a", 1).event(2, "b", 5);
    assert!(hand.said().is_empty(), "one event each");
    hand.event(3, "a", 2);
    assert_eq!(hand.said(), ["[0,10) a 3"]);
    hand.event(4, "a", 3).event(5, "a", -3);
    assert!(hand.said().is_empty(), "it comes to the same, and is not said again");
    hand.event(6, "a", 1).watermark(9);
    assert_eq!(
        hand.said(),
        ["~[0,10) a 4 r1", "[0,10) b 5"],
        "at completeness everything that is new"
    );
}

#[test]
fn retracting_panes_take_the_old_answer_back_and_discarding_ones_hold_what_is_new() {
    let windows = |panes: &str| {
        Hand::on(json!({
            "query": "select sum(v) as s from s window tumbling(10 us)",
            "emit": { "early": { "count": 1 }, "panes": panes },
        }))
    };
    let mut hand = windows("retracting");
    hand.event(1, "a", 1).event(2, "a", 2).watermark(9);
    assert_eq!(hand.said(), ["[0,10) 1", "<[0,10) 1 r1", "~[0,10) 3 r2"]);
    let mut hand = windows("discarding");
    hand.event(1, "a", 1).event(2, "a", 2).watermark(9);
    assert_eq!(
        hand.said(),
        ["+[0,10) 1", "+[0,10) 2 r1"],
        "nothing is left to say on time"
    );
}

#[test]
fn triggers_may_go_by_the_clock_or_by_the_watermark() {
    let mut hand = Hand::on(json!({
        "query": "select count(*) as n from s window global()",
        "emit": { "early": { "every": "5us", "watermark": true } },
    }));
    let mut out = Output::default();
    hand.operator.on_enter(&mut out);
    assert_eq!(out.timers, [(Span::from_micros(5), 0)]);
    hand.event(1, "a", 1).timer(0);
    assert_eq!(hand.said(), ["[-,+) 1"]);
    hand.timer(0).watermark(1);
    assert!(hand.said().is_empty(), "nothing has come since");
    hand.event(2, "a", 1).watermark(2);
    assert_eq!(hand.said(), ["~[-,+) 2 r1"]);
}

#[test]
fn a_session_that_grows_takes_its_early_answer_back_at_once() {
    let mut hand = Hand::on(json!({
        "query": "select count(*) as n from s window session(5 us)",
        "emit": { "early": { "count": 1 } },
    }));
    hand.event(1, "a", 1).event(3, "a", 1);
    assert_eq!(hand.said(), ["[1,6) 1", "-[1,6) 1 r1", "[1,8) 2"]);
}

#[test]
fn the_end_may_belong_to_a_window_instead_of_the_start() {
    let mut hand = Hand::on(json!({
        "query": "select count(*) as n from s window tumbling(10 us)", "bounds": "end",
    }));
    hand.event(10, "a", 1).event(11, "a", 1).watermark(9);
    assert!(hand.said().is_empty(), "complete at its end, not before");
    hand.watermark(10);
    assert_eq!(hand.results[0].stamp, Time::from_micros(10));
    assert_eq!(hand.said(), ["[0,10) 1"]);
    hand.watermark(20);
    assert_eq!(hand.said(), ["[10,20) 1"]);
}

#[test]
fn both_ends_may_belong_to_sliding_windows_and_to_sessions() {
    let mut hand = Hand::on(json!({"query": "select count(*) as n from s window time(5 us)", "bounds": "both"}));
    hand.event(1, "a", 1).event(6, "a", 1).watermark(9);
    assert_eq!(hand.said(), ["[-4,1) 1", "[1,6) 2"]);
    let mut hand = Hand::on(json!({"query": "select count(*) as n from s window session(5 us)", "bounds": "both"}));
    hand.event(1, "a", 1).event(3, "a", 1).end();
    assert_eq!(hand.said(), ["[1,3) 2"]);
}

#[test]
fn a_grid_may_begin_at_the_first_event() {
    let mut hand = Hand::on(json!({
        "query": "select count(*) as n from s window tumbling(10 us)", "align": "first-event",
    }));
    hand.event(7, "a", 1)
        .event(16, "a", 1)
        .event(17, "a", 1)
        .event(3, "a", 1)
        .end();
    assert_eq!(hand.said(), ["[-3,7) 1", "[7,17) 2", "[17,27) 1"]);
}

#[test]
fn an_event_for_a_window_that_was_complete_without_one_answers_at_once_within_the_horizon() {
    let mut hand = Hand::on(json!({
        "query": "select count(*) as n from s window tumbling(10 us)", "horizon": "100us",
    }));
    hand.watermark(39).event(12, "a", 1);
    assert_eq!(hand.said(), ["[10,20) 1"]);
    hand.watermark(60);
    assert!(hand.said().is_empty(), "and not again");
}
