//! Worked examples, by hand, of every window kind and setting.

mod common;

use common::Told;
use serde_json::json;

fn sums(window: &str) -> String {
    format!("select k, sum(v) as total from s window {window} group by k")
}

#[test]
fn a_tumbling_window_fires_at_the_watermark_of_its_last_instant() {
    let mut told = Told::query(&sums("tumbling(2ms)"), json!({}));
    assert_eq!(told.event(0, "a", 1), "");
    assert_eq!(told.event(1999, "a", 2), "");
    assert_eq!(told.event(2000, "a", 4), "");
    assert_eq!(told.watermark(1998), "");
    assert_eq!(told.held(), 3);
    assert_eq!(told.watermark(1999), "[0,2000) a 3");
    assert_eq!(told.held(), 1);
    assert_eq!(told.end(), "[2000,4000) a 4");
}

#[test]
fn an_offset_moves_the_grid_and_negative_times_have_windows_too() {
    let mut told = Told::query(&sums("tumbling(2ms, 500us)"), json!({}));
    for (stamp, value) in [(0, 1), (499, 2), (500, 4), (2499, 8), (2500, 16)] {
        told.event(stamp, "k", value);
    }
    assert_eq!(
        told.watermark(10_000),
        "[-1500,500) k 3; [500,2500) k 12; [2500,4500) k 16"
    );
}

#[test]
fn an_event_belongs_to_every_hop_that_contains_it() {
    let query = "select collect(v) as vs from s window hop(4us, 2us)";
    let mut told = Told::query(query, json!({}));
    for t in 1..=3 {
        told.event(t, "a", t);
    }
    assert_eq!(told.end(), "[-2,2) [1]; [0,4) [1, 2, 3]; [2,6) [2, 3]");
}

#[test]
fn hops_may_have_an_offset() {
    let query = "select count(*) as n from s window hop(15us, 5us, 2us)";
    for t in [7, 8, 11] {
        let mut told = Told::query(query, json!({}));
        told.event(t, "a", t);
        assert_eq!(told.end(), "[-3,12) 1; [2,17) 1; [7,22) 1");
    }
}

#[test]
fn an_event_between_hops_that_leave_gaps_is_filtered() {
    let mut told = Told::query("select count(*) as n from s window hop(2us, 10us)", json!({}));
    assert_eq!(told.event(5, "a", 1), "#0 filtered");
    assert_eq!(told.event(11, "a", 1), "");
}

#[test]
fn an_event_is_late_only_when_all_its_hops_are_closed() {
    let mut told = Told::query("select count(*) as n from s window hop(3us, 1us)", json!({}));
    told.event(2, "a", 1);
    assert_eq!(told.watermark(2), "[0,3) 1");
    assert_eq!(told.event(1, "a", 1), "", "goes into [1,4) alone");
    assert_eq!(told.watermark(3), "[1,4) 2");
    assert_eq!(told.event(1, "a", 1), "#2 late");
    assert_eq!(told.end(), "[2,5) 1");
}

#[test]
fn sessions_end_a_gap_after_their_last_event_and_each_group_has_its_own() {
    let mut told = Told::query(&sums("session(3ms)"), json!({}));
    for (t, k, v) in [
        (0, "k2", 1),
        (1000, "k2", 2),
        (2500, "k2", 3),
        (10, "k1", 1),
        (1000, "k1", 2),
        (2500, "k1", 3),
    ] {
        told.event(t, k, v);
    }
    for (t, v) in [(5501, 4), (6000, 5), (6000, 5), (6050, 6)] {
        told.event(t, "k2", v);
    }
    assert_eq!(
        told.watermark(12_000),
        "[0,5500) k2 6; [10,5500) k1 6; [5501,9050) k2 20"
    );
    told.event(15_000, "k2", 10);
    told.event(15_000, "k2", 20);
    assert_eq!(told.watermark(17_999), "[15000,18000) k2 30");
}

#[test]
fn an_event_between_two_sessions_bridges_them() {
    let mut told = Told::query(&sums("session(3ms)"), json!({}));
    for t in [0, 5000, 2500] {
        told.event(t, "k", 1);
    }
    assert_eq!(told.watermark(20_000), "[0,8000) k 3");
}

#[test]
fn sessions_exactly_one_gap_apart_merge_unless_told_otherwise() {
    let run = |settings| {
        let mut told = Told::query(&sums("session(10us)"), settings);
        for t in [0, 9, 19] {
            told.event(t, "k", 1);
        }
        told.end()
    };
    assert_eq!(run(json!({})), "[0,29) k 3");
    assert_eq!(run(json!({"session_touching_merge": false})), "[0,19) k 2; [19,29) k 1");
}

#[test]
fn a_late_bridge_takes_back_the_sessions_that_it_merges() {
    let mut told = Told::query(&sums("session(3us)"), json!({"horizon": "100us"}));
    told.event(0, "k", 1);
    told.event(5, "k", 2);
    assert_eq!(told.watermark(7), "[0,3) k 1; [5,8) k 2");
    assert_eq!(told.event(3, "k", 4), "[0,3) k 1 -1; [5,8) k 2 -1; [0,8) k 7");
}

#[test]
fn a_session_that_grows_past_the_watermark_is_taken_back_until_it_is_complete() {
    let mut told = Told::query(&sums("session(3us)"), json!({"horizon": "100us"}));
    told.event(0, "k", 1);
    assert_eq!(told.watermark(2), "[0,3) k 1");
    assert_eq!(told.event(2, "k", 1), "[0,3) k 1 -1");
    assert_eq!(told.watermark(4), "[0,5) k 2");
}

#[test]
fn a_session_is_late_when_it_would_be_closed_at_birth() {
    let mut told = Told::query(&sums("session(3us)"), json!({}));
    told.event(10, "k", 1);
    told.watermark(8);
    assert_eq!(told.event(6, "k", 1), "#1 late");
    assert_eq!(told.event(7, "k", 1), "", "it touches the session that is open");
    assert_eq!(told.end(), "[7,13) k 2");
}

#[test]
fn cumulating_windows_grow_by_their_step_and_fire_at_each_once_they_have_an_event() {
    let query = "select sum(v) as total from s window cumulate(10us, 2us)";
    let mut told = Told::query(query, json!({}));
    for (t, v) in [(5, 4), (7, 2), (9, 5), (11, 3), (13, 1), (17, 6)] {
        told.event(t, "a", v);
    }
    assert_eq!(
        told.end(),
        "[0,6) 4; [0,8) 6; [0,10) 11; [10,12) 3; [10,14) 4; [10,16) 4; [10,18) 10; [10,20) 10"
    );
}

#[test]
fn a_sliding_window_fires_once_for_each_instant_with_events() {
    let mut told = Told::query("select count(*) as n from s window time(5us)", json!({}));
    for t in [1, 2, 7, 6, 8, 8, 8] {
        told.event(t, "a", 1);
    }
    assert_eq!(told.watermark(7), "[-3,2) 1; [-2,3) 2; [2,7) 2; [3,8) 2");
    assert_eq!(told.held(), 5, "those at 6, 7 and 8 can still be in a window to come");
    assert_eq!(told.event(7, "a", 1), "#7 late");
    assert_eq!(told.watermark(8), "[4,9) 5");
}

#[test]
fn a_sliding_window_on_change_also_fires_when_an_event_leaves() {
    let query = "select count(*) as n from s window time(5us, on = 'change')";
    let mut told = Told::query(query, json!({}));
    told.event(1, "a", 1);
    told.event(3, "a", 1);
    assert_eq!(told.watermark(7), "[-3,2) 1; [-1,4) 2; [2,7) 1");
    assert_eq!(told.held(), 1, "the second leaves at 8");
    assert_eq!(told.end(), "", "an empty window gives nothing");
    let mut told = Told::query(query, json!({"emit_empty": true}));
    told.event(1, "a", 1);
    assert_eq!(told.end(), "[-3,2) 1; [2,7) 0");
}

#[test]
fn three_rejections_in_a_row_are_seen_by_a_window_of_three_events() {
    let query = "select sum(case when v = 'no' then 1 else 0 end) as bad from s window length(3) having bad = 3";
    let mut told = Told::query(query, json!({}));
    let came: Vec<String> = ["no", "no", "yes", "no", "no", "no", "no"]
        .iter()
        .enumerate()
        .map(|(t, v)| told.event(t as i64, "a", *v))
        .collect();
    assert_eq!(came, ["", "", "", "#0 filtered", "#1 filtered", "3; #2 filtered", "3"]);
    assert_eq!(told.end(), "", "those left had their result");
    assert_eq!(told.held(), 0);
}

#[test]
fn a_batch_of_four_answers_when_full_and_an_odd_tail_never() {
    let mut told = Told::query("select sum(v) as total from s window length_batch(4)", json!({}));
    let came: Vec<String> = [10, 20, 30, 40, 50, 60, 60, 70, 80]
        .iter()
        .map(|v| told.event(0, "a", *v))
        .collect();
    assert_eq!(came, ["", "", "", "100", "", "", "", "240", ""]);
    assert_eq!(told.end(), "#8 filtered");
}

#[test]
fn staggered_windows_open_at_the_first_event_of_their_group() {
    let mut told = Told::query(&sums("stagger(10us)"), json!({}));
    for (t, k) in [(3, "a"), (12, "a"), (13, "a"), (5, "b")] {
        told.event(t, k, 1);
    }
    assert_eq!(told.watermark(12), "[3,13) a 2");
    assert_eq!(told.event(4, "b", 1), "", "opens b's window earlier");
    assert_eq!(told.end(), "[4,14) b 2; [13,23) a 1");
}

#[test]
fn snapshots_lie_between_instants_at_which_something_begins_or_ends() {
    let query = "select count(*) as n from s window snapshot(10us)";
    let mut told = Told::query(query, json!({}));
    told.event(0, "a", 1);
    told.event(4, "a", 1);
    told.event(30, "a", 1);
    assert_eq!(told.watermark(9), "[0,4) 1; [4,10) 2");
    assert_eq!(told.held(), 2);
    assert_eq!(told.end(), "[10,14) 1; [30,40) 1");
}

#[test]
fn a_snapshot_event_lasts_as_many_seconds_as_its_field_says_or_has_failed() {
    let query = "select count(*) as n from s window snapshot(v)";
    let mut told = Told::query(query, json!({}));
    told.event(0, "a", 2);
    told.event(1_000_000, "a", 0.5);
    assert_eq!(told.event(1, "a", 0), "#2 failed");
    assert_eq!(told.event(1, "a", "long"), "#3 failed");
    assert_eq!(told.end(), "[0,1000000) 1; [1000000,1500000) 2; [1500000,2000000) 1");
}

#[test]
fn snapshots_by_stamp_group_equal_stamps() {
    let query = "select count(*) as n from s window snapshot(10us)";
    let mut told = Told::query(query, json!({"snapshot_by_stamp": true}));
    for t in [5, 7, 5] {
        told.event(t, "a", 1);
    }
    assert_eq!(told.watermark(5), "[5,6) 2");
    assert_eq!(told.end(), "[7,8) 1");
}

#[test]
fn without_a_window_everything_is_answered_at_the_end() {
    let mut told = Told::query("select k, count(*) as n from s group by k", json!({}));
    told.event(5, "a", 1);
    told.event(1, "b", 1);
    assert_eq!(told.watermark(1_000), "");
    assert_eq!(told.event(2, "a", 1), "", "nothing is late before the end");
    assert_eq!(told.end(), "all a 2; all b 1");
    assert_eq!(told.due.last().unwrap().results[0].stamp, common::at(5));
}

#[test]
fn a_window_is_late_from_its_last_instant_plus_horizon_on() {
    let mut told = Told::query(&sums("tumbling(2ms)"), json!({"horizon": "500us"}));
    told.event(1000, "a", 1);
    assert_eq!(told.watermark(1999), "[0,2000) a 1");
    assert_eq!(told.watermark(2498), "");
    assert_eq!(told.event(1500, "a", 2), "[0,2000) a 3 ~1");
    assert_eq!(told.held(), 2);
    assert_eq!(told.watermark(2499), "");
    assert_eq!(told.held(), 0);
    assert_eq!(told.event(1500, "a", 4), "#2 late");
}

#[test]
fn state_is_dropped_at_the_very_watermark_that_closes_it() {
    for (window, settings, closes) in [
        ("tumbling(10us)", json!({"horizon": "20us"}), 29),
        ("session(5us)", json!({"horizon": "20us"}), 27),
        ("time(10us)", json!({"horizon": "20us"}), 32),
        ("time(10us)", json!({}), 12),
        ("snapshot(4us)", json!({"horizon": "20us"}), 26),
        (
            "hop(6us, 2us)",
            json!({"horizon": "20us", "late_when": "after-end"}),
            28,
        ),
        (
            "cumulate(8us, 4us)",
            json!({"horizon": "20us", "late_when": "tick-before-end"}),
            26,
        ),
    ] {
        let mut told = Told::query(
            "select count(*) as n from s window W".replace('W', window).as_str(),
            settings,
        );
        told.event(3, "a", 1);
        for w in 0..closes {
            told.watermark(w);
            assert_eq!(told.held(), 1, "{window} at {w}");
        }
        told.watermark(closes);
        assert_eq!(told.held(), 0, "{window}");
    }
}

#[test]
fn strictness_moves_lateness_by_a_tick() {
    let late_at = |when: &str| {
        (90..=110)
            .find(|w| {
                let mut told = Told::query(&sums("tumbling(100us)"), json!({"late_when": when}));
                told.watermark(*w);
                told.event(50, "a", 1).contains("late")
            })
            .unwrap()
    };
    assert_eq!(["at-end", "tick-before-end", "after-end"].map(late_at), [99, 98, 100]);
}

#[test]
fn a_late_pane_can_follow_at_horizon_zero_when_late_is_after_the_end() {
    let mut told = Told::query(&sums("tumbling(100us)"), json!({"late_when": "after-end"}));
    told.event(1, "a", 1);
    assert_eq!(told.watermark(99), "[0,100) a 1");
    assert_eq!(told.held(), 1);
    assert_eq!(told.event(2, "a", 1), "[0,100) a 2 ~1");
    assert_eq!(told.watermark(100), "");
    assert_eq!(told.held(), 0);
}

#[test]
fn lateness_can_be_judged_by_the_events_own_time() {
    let mut told = Told::query(&sums("tumbling(100us)"), json!({"late_by": "event"}));
    told.watermark(50);
    assert_eq!(told.event(50, "a", 1), "#0 late");
    assert_eq!(told.event(51, "a", 1), "");
}

#[test]
fn a_correction_that_changes_nothing_is_not_given() {
    let query = "select max(v) as top from s window tumbling(10us)";
    let mut told = Told::query(query, json!({"horizon": "50us"}));
    told.event(1, "a", 5);
    told.watermark(20);
    assert_eq!(told.event(2, "a", 3), "");
    assert_eq!(told.event(3, "a", 7), "[0,10) 7 ~1");
    assert_eq!(
        told.watermark(59),
        "",
        "the second one is in the last answer, so it caused a result"
    );
    assert_eq!(told.held(), 0);
}

#[test]
fn a_correction_pushes_another_group_out_of_the_best_two() {
    let query = "select k, sum(v) as total from s window tumbling(10us) group by k order by total desc limit 2";
    let mut told = Told::query(query, json!({"horizon": "50us"}));
    for (k, v) in [("a", 5), ("b", 4), ("c", 3)] {
        told.event(1, k, v);
    }
    assert_eq!(told.watermark(10), "[0,10) a 5; [0,10) b 4");
    assert_eq!(told.event(2, "c", 6), "[0,10) b 4 -1; [0,10) c 9");
    assert_eq!(told.event(3, "b", 6), "[0,10) a 5 -1; [0,10) b 10 +2");
}

#[test]
fn rows_are_held_to_having_then_sorted_with_ties_by_key_then_cut() {
    let query = "select k, count(*) as n from s window tumbling(10us) group by k having n > 1 order by n desc limit 2";
    let mut told = Told::query(query, json!({}));
    for k in ["d", "d", "c", "c", "b", "b", "b", "a"] {
        told.event(1, k, 1);
    }
    assert_eq!(
        told.end(),
        "[0,10) b 3; [0,10) c 2; #0 filtered; #1 filtered; #7 filtered"
    );
}

#[test]
fn nulls_sort_last_ascending_and_first_descending() {
    let order = |how: &str| {
        let query = format!("select k, max(v) as m from s window tumbling(10us) group by k order by m {how}");
        let mut told = Told::query(&query, json!({}));
        told.event(1, "a", wavetank_scenarios::Value::Null);
        told.event(1, "b", 1);
        told.event(1, "c", 2);
        told.end()
    };
    assert_eq!(order("asc"), "[0,10) b 1; [0,10) c 2; [0,10) a null");
    assert_eq!(order("desc"), "[0,10) a null; [0,10) c 2; [0,10) b 1");
    assert_eq!(order("desc nulls last"), "[0,10) c 2; [0,10) b 1; [0,10) a null");
}

#[test]
fn empty_windows_answer_between_those_with_events_when_asked_for() {
    let query = "select count(*) as n, sum(v) as total from s window tumbling(10us)";
    let mut told = Told::query(query, json!({"emit_empty": true}));
    assert_eq!(told.watermark(5), "");
    told.event(12, "a", 1);
    assert_eq!(told.watermark(35), "[10,20) 1 1; [20,30) 0 null");
    told.event(52, "a", 1);
    assert_eq!(told.end(), "[30,40) 0 null; [40,50) 0 null; [50,60) 1 1");
}

#[test]
fn unflushed_windows_stay_open_at_the_end() {
    let mut told = Told::query(&sums("tumbling(10us)"), json!({"flush_at_end": false}));
    told.event(1, "a", 1);
    assert_eq!(told.end(), "");
    assert_eq!(told.held(), 1);
}

#[test]
fn a_crash_forgets_what_was_held() {
    let mut told = Told::query(&sums("tumbling(10us)"), json!({}));
    told.event(1, "a", 1);
    told.watermark(20);
    told.event(25, "a", 1);
    told.arrive(&wavetank_oracle::Arrival::Crash);
    assert_eq!(told.held(), 0);
    assert_eq!(told.event(2, "a", 4), "", "the watermark is forgotten too");
    assert_eq!(told.end(), "[0,10) a 4");
}

#[test]
fn events_from_the_future_are_refused_beyond_the_tolerance() {
    let mut told = Told::query(&sums("tumbling(10us)"), json!({"future": {"refuse": "5us"}}));
    let mut send = |stamp| {
        let event = common::event(stamp as u64, stamp, vec!["a".into(), 1.into()]);
        let now = common::at(0);
        common::shown(told.arrive(&wavetank_oracle::Arrival::Event {
            input: 0,
            event,
            now,
            at: now,
        }))
    };
    assert_eq!(send(5), "");
    assert_eq!(send(6), "#6 failed");
}

#[test]
fn the_stamp_of_a_result_is_the_windows_last_instant_unless_told_otherwise() {
    let stamp = |which: &str| {
        let mut told = Told::query(&sums("tumbling(10us)"), json!({"result_stamp": which}));
        told.event(3, "a", 1);
        told.event(7, "a", 1);
        told.end();
        told.due.last().unwrap().results[0].stamp.micros()
    };
    assert_eq!(["last", "end", "latest", "earliest"].map(stamp), [9, 10, 7, 3]);
}

#[test]
fn whole_means_truncate_when_told() {
    let query = "select avg(v) as mean from s window tumbling(10us)";
    let mean = |settings| {
        let mut told = Told::query(query, settings);
        told.event(1, "a", 14);
        told.event(1, "a", 15);
        told.end()
    };
    assert_eq!(mean(json!({})), "[0,10) 14.5");
    assert_eq!(mean(json!({"truncate_integer_avg": true})), "[0,10) 14");
}

#[test]
fn where_and_broken_arguments_take_events_out_before_the_window() {
    let query = "select sum(10 / v) as x, sum(1 / v) filter (where v <> 0 and v < 9) as y \
                 from s window tumbling(10us) where v is null or v < 5";
    let mut told = Told::query(query, json!({}));
    assert_eq!(told.event(1, "a", 7), "#0 filtered");
    assert_eq!(told.event(1, "a", 0), "#1 failed");
    assert_eq!(told.event(1, "a", "x"), "#2 failed");
    assert_eq!(told.event(1, "a", wavetank_scenarios::Value::Null), "");
    assert_eq!(told.event(1, "a", 2), "");
    assert_eq!(told.end(), "[0,10) 5 0");
}

#[test]
fn a_result_that_overflows_is_not_given_and_its_events_have_failed() {
    let query = "select k, max(v) + 1 as n from s window tumbling(10us) group by k";
    let mut told = Told::query(query, json!({}));
    told.event(1, "a", i64::MAX);
    told.event(1, "a", 1);
    told.event(1, "b", 1);
    assert_eq!(told.end(), "[0,10) b 2; #0 failed; #1 failed");
}

#[test]
fn the_bounds_of_the_window_can_be_selected() {
    let query = "select window_start, window_end(), count(*) as n from s window tumbling(1 sec)";
    let mut told = Told::query(query, json!({}));
    told.event(1_500_000, "a", 1);
    assert_eq!(
        told.end(),
        "[1000000,2000000) 1970-01-01T00:00:01Z 1970-01-01T00:00:02Z 1"
    );
}

#[test]
fn an_aggregate_may_look_at_the_window_that_asks() {
    let query = "select max(event_time() - window_start) as latest from s window hop(10us, 5us)";
    let mut told = Told::query(query, json!({}));
    told.event(7, "a", 1);
    assert_eq!(told.end(), "[0,10) 7; [5,15) 2");
}

#[test]
fn a_sketch_is_judged_by_its_bound_and_never_decides() {
    let mut told = Told::query(
        "select approx_quantile(0.5, v) as q from s window tumbling(10us)",
        json!({}),
    );
    told.event(1, "a", 100);
    told.end();
    let due = &told.due.last().unwrap().results[0];
    assert!(due.admits(&vec![100.9.into()].into()));
    assert!(!due.admits(&vec![102.0.into()].into()));
    let refused = |query: &str, settings: serde_json::Value| {
        let mut all = settings;
        all["query"] = json!(query);
        let tables = std::collections::BTreeMap::new();
        let tick = wavetank_scenarios::Span::UNIT;
        let operator = common::operator(all);
        wavetank_oracle::reference(&operator, &[&common::schema()], None, &tables, tick).err()
    };
    for (query, settings) in [
        ("select approx_count_distinct(v) + 1 as q from s", json!({})),
        ("select approx_count_distinct(v) as q from s having q > 1", json!({})),
        ("select approx_count_distinct(v) as q from s", json!({"horizon": "1s"})),
    ] {
        assert!(refused(query, settings).unwrap().contains("operator `op`"), "{query}");
    }
}
