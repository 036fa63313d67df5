//! `wavetank bench`: what is measured, merged, compared and written.

use std::fs;

use serde_json::Value;

use crate::support::Place;

/// Readings over a link that takes so long.
fn slow(place: &Place, delay: &str) {
    let calm = place.read("calm.toml");
    place.write(
        "slow.toml",
        &calm.replace(
            "kind = \"datagram\"\n",
            &format!("kind = \"datagram\"\ndelay = \"{delay}\"\n"),
        ),
    );
}

fn json(place: &Place, args: &[&str]) -> Value {
    let ran = place.run(&[&["bench", "--format", "json"], args].concat()).ends(0);
    serde_json::from_str(&ran.out).expect("JSON")
}

fn counts(case: &Value, of: &str, metric: &str) -> u64 {
    case["histograms"][of][metric]["count"].as_u64().unwrap_or(0)
}

#[test]
fn every_event_is_in_the_histograms_and_those_of_several_seeds_are_merged() {
    let place = Place::new();
    let each: Vec<Value> = (3..6)
        .map(|seed: u32| json(&place, &["calm.toml", "--seed", &seed.to_string()])["cases"][0].take())
        .collect();
    for case in &each {
        let events = case["trials"][0]["events"].as_u64().expect("a number");
        // The first event is behind none.
        assert_eq!(counts(case, "high", "lateness"), events - 1);
        assert_eq!(counts(case, "sensors -> high", "transit"), events);
    }
    let all = json(&place, &["calm.toml", "--seeds", "3..6"])["cases"][0].take();
    for (of, metric) in [("high", "lateness"), ("board", "latency"), ("high", "emit_delay")] {
        let sum: u64 = each.iter().map(|case| counts(case, of, metric)).sum();
        assert!(sum > 0, "{of} {metric}");
        assert_eq!(counts(&all, of, metric), sum, "{of} {metric}");
    }
    let trials = all["trials"].as_array().expect("trials");
    let seeds: Vec<u64> = trials.iter().filter_map(|trial| trial["seed"].as_u64()).collect();
    assert_eq!(seeds, [3, 4, 5]);
}

#[test]
fn a_baseline_tells_what_has_become_worse_and_what_better() {
    let place = Place::new();
    slow(&place, "10ms");
    place
        .run(&["bench", "slow.toml", "--save-baseline", "before.json"])
        .ends(0);
    let same = place.run(&["bench", "slow.toml", "--baseline", "before.json"]).ends(0);
    assert!(same.out.contains("nothing is worse than the baseline"), "{}", same.out);

    slow(&place, "15ms");
    let worse = place.run(&["bench", "slow.toml", "--baseline", "before.json"]).ends(6);
    assert!(worse.out.contains("worse than the baseline"), "{}", worse.out);
    let line = worse
        .out
        .lines()
        .find(|line| line.contains("board.latency.p99"))
        .expect("it is listed");
    assert!(
        line.contains("+50.0 %") && line.contains("exact") && line.contains("worse"),
        "{line}"
    );
    let tolerated = place
        .run(&["bench", "slow.toml", "--baseline", "before.json", "--tolerance", "60%"])
        .ends(0);
    assert!(tolerated.out.contains("tolerated"), "{}", tolerated.out);

    slow(&place, "5ms");
    let better = place.run(&["bench", "slow.toml", "--baseline", "before.json"]).ends(0);
    let line = better
        .out
        .lines()
        .find(|line| line.contains("board.latency.p99"))
        .expect("it is listed");
    assert!(line.contains("-50.0 %") && line.contains("better"), "{line}");
    // A setting from outside is compared with the same case.
    let set = place
        .run(&[
            "bench",
            "slow.toml",
            "--baseline",
            "before.json",
            "--set",
            "time.length=40s",
        ])
        .ends(0);
    assert!(set.out.contains("board.latency.p99"), "{}", set.out);
    let markdown = place
        .run(&[
            "bench",
            "slow.toml",
            "--baseline",
            "before.json",
            "--format",
            "markdown",
        ])
        .ends(0);
    assert!(
        markdown.out.contains("## Against the baseline: 0 worse"),
        "{}",
        markdown.out
    );
}

#[test]
fn a_baseline_that_is_none_is_said_before_anything_is_run() {
    let place = Place::new();
    let compare = |file: &str| place.run(&["bench", "calm.toml", "--baseline", file]).ends(3).err;
    assert!(compare("nowhere.json").contains("--save-baseline writes one"));
    place.write("broken.json", "{\"bench\": 1,\n \"clock\": \"sun\"}");
    let broken = compare("broken.json");
    assert!(
        broken.contains("broken.json:2:") && broken.contains("not a benchmark"),
        "{broken}"
    );
    place.write("newer.json", "{\"bench\": 9}");
    let newer = compare("newer.json");
    assert!(
        newer.contains("version 9") && newer.contains("reads up to 1"),
        "{newer}"
    );
}

#[test]
fn what_cannot_be_compared_is_said() {
    let place = Place::new();
    place
        .run(&["bench", "calm.toml", "--save-baseline", "before.json"])
        .ends(0);
    let seeds = place
        .run(&["bench", "calm.toml", "--seed", "8", "--baseline", "before.json"])
        .ends(5);
    assert!(seeds.out.contains("at other seeds"), "{}", seeds.out);
    assert!(seeds.err.contains("nothing was compared"), "{}", seeds.err);
    let clock = place
        .run(&["bench", "calm.toml", "--real-time=500", "--baseline", "before.json"])
        .ends(2);
    assert!(clock.err.contains("another clock"), "{}", clock.err);
}

#[test]
fn designs_stand_side_by_side_with_the_curve_between_them() {
    let place = Place::new();
    let ran = place
        .run(&[
            "bench",
            "slack-enough",
            "--compare",
            "--matrix",
            "operator.order.reorder.slack=0s,1s,2s",
            "--show",
            "order.wait.p99,order.late",
        ])
        .ends(0);
    insta::assert_snapshot!(ran.out);
    let unknown = place
        .run(&["bench", "slack-enough", "--compare", "--show", "order.lat"])
        .ends(2);
    assert!(unknown.err.contains("did you mean `late`"), "{}", unknown.err);
    let alone = place.run(&["bench", "slack-enough", "--compare"]).ends(2);
    assert!(alone.err.contains("--show"), "{}", alone.err);
}

#[test]
fn a_load_is_shared_out_among_the_sources() {
    let place = Place::new();
    let bench = json(&place, &["calm.toml", "--load", "10/s,40/s,0.1k/s"]);
    let cases = bench["cases"].as_array().expect("cases");
    let events: Vec<u64> = cases
        .iter()
        .filter_map(|case| case["trials"][0]["events"].as_u64())
        .collect();
    assert_eq!(events, [200, 800, 2_000]);
    let human = place.run(&["bench", "calm.toml", "--load", "10/s,40/s"]).ends(0);
    assert!(human.out.contains("latency over load"), "{}", human.out);
    // What files and literal events send is given.
    let literal = place.read("calm.toml");
    let literal = literal.replace("rate   = \"10/s\"\n", "").replace(
        "fields = { value = { uniform = [0, 100] } }\n",
        "events = [{ t = \"1s\", row = { value = 60 } }]\n",
    );
    place.write("literal.toml", &literal);
    let refused = place.run(&["bench", "literal.toml", "--load", "10/s"]).ends(2);
    assert!(refused.err.contains("no source with a `rate`"), "{}", refused.err);
    let wrong = place.run(&["bench", "calm.toml", "--load", "10"]).ends(2);
    assert!(wrong.err.contains("like 200/s or 10k/s"), "{}", wrong.err);
}

#[test]
fn on_the_machines_clock_every_run_is_repeated_and_what_sources_hide_is_shown() {
    let place = Place::new();
    let bench = json(
        &place,
        &["calm.toml", "--real-time=400", "--repeat", "3", "--warm-up", "10s"],
    );
    assert_eq!(bench["clock"], "real");
    let case = &bench["cases"][0];
    assert_eq!(case["trials"].as_array().map(Vec::len), Some(3));
    assert_eq!(case["trials"][0]["trace_hash"], "");
    // The machine is never exactly on time: sources fall behind, and latency counts from the plan all the same.
    let (planned, sent) = (counts(case, "board", "latency"), counts(case, "board", "latency_sent"));
    assert!(planned > 0 && planned == sent, "{planned} {sent}");
    let most = |metric: &str| case["histograms"]["board"][metric]["sum"].as_i64().expect("a sum");
    assert!(most("latency") >= most("latency_sent"));
    // Half of each run was left out.
    let all = json(&place, &["calm.toml"])["cases"][0].take();
    assert!(counts(case, "sensors", "send_delay") < 3 * counts(&all, "high", "lateness"));
}

#[test]
fn a_warm_up_that_leaves_nothing_is_refused() {
    let place = Place::new();
    let refused = place.run(&["bench", "calm.toml", "--warm-up", "20s"]).ends(2);
    assert!(refused.err.contains("nothing is left to measure"), "{}", refused.err);
    place.run(&["bench", "calm.toml", "--warm-up", "19s"]).ends(0);
}

#[test]
fn distributions_are_written_for_other_tools() {
    let place = Place::new();
    slow(&place, "10ms");
    place.run(&["bench", "slow.toml", "--histograms", "out"]).ends(0);
    let hgrm = place.read("out/readings/board.latency.hgrm");
    assert!(
        hgrm.contains("1/(1-Percentile)") && hgrm.contains("Total count"),
        "{hgrm}"
    );
    let log = place.read("out/readings/all.hlog");
    assert!(log.lines().any(|line| line.starts_with("Tag=board.latency,")), "{log}");
    // A folder that cannot be made.
    fs::write(place.join("taken"), "").expect("written");
    let refused = place.run(&["bench", "slow.toml", "--histograms", "taken"]).ends(2);
    assert!(refused.err.contains("taken"), "{}", refused.err);
}

#[test]
fn what_latency_is_made_of_adds_up_to_all_of_it() {
    let place = Place::new();
    slow(&place, "10ms");
    let case = json(&place, &["slow.toml", "--causes", "--seeds", "1..4"])["cases"][0].take();
    let split = &case["causes"]["board"];
    let results = counts(&case, "board", "latency");
    assert!(results > 0);
    assert_eq!(split["results"], results);
    let us = |cause: &str| split["us"][cause].as_u64().expect(cause);
    let all: u64 = split["us"]
        .as_object()
        .expect("causes")
        .keys()
        .map(|cause| us(cause))
        .sum();
    assert!(us("link") > 0 && all >= 10_000 * results, "{split}");
    // Nothing of it is said where it was not asked for.
    let plain = json(&place, &["slow.toml"])["cases"][0].take();
    assert!(plain.get("causes").is_none(), "{plain}");
    let said = place.run(&["bench", "slow.toml", "--causes"]).ends(0).out;
    assert!(
        said.contains("board is made of ") && said.contains("on the way 100.0 %"),
        "{said}"
    );
}
