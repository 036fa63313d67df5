//! Scenarios with two copies of an operator: who stands where, and what is said of settings that cannot work.

use wavetank_scenarios::topology::Role;
use wavetank_scenarios::{LibraryFiles, Script};

fn scenario(broker: &str, operator: &str, more: &str) -> String {
    format!(
        r#"
schema  = 1
name    = "two"
pattern = "two-node-failover"

[[source]]
name   = "orders"
rate   = "1/s"
count  = 10
fields = {{ id = {{ seq = 0 }}, store = "a" }}

[[broker]]
name  = "kept"
input = ["orders"]
{broker}

[[operator]]
name   = "work"
input  = ["kept"]
filter = "id > 0"
{operator}
[operator.failover]
lease = "5s"

{more}
"#
    )
}

const SINK: &str = "[[sink]]\nname = \"board\"\ninput = [\"work\"]\n";
const CONVEY: &str = "convey = { streams = 2, by = { key = [\"store\"] }, gaps = \"skip\" }";

/// What is wrong, and the help.
fn told(broker: &str, operator: &str, more: &str) -> String {
    match Script::load(&scenario(broker, operator, more), "two.toml", &LibraryFiles, &[]) {
        Ok(_) => String::new(),
        Err(problems) => {
            let said = problems.iter().map(|p| {
                assert!(p.line > 1, "it has a place: {p:?}");
                format!("{}; {}", p.message, p.help.clone().unwrap_or_default())
            });
            said.collect::<Vec<_>>().join("\n")
        }
    }
}

#[test]
fn each_sub_stream_has_two_copies_with_a_split_each_and_an_arbiter_and_one_merge_reads_all() {
    let script = Script::load(&scenario("", CONVEY, SINK), "two.toml", &LibraryFiles, &[]).expect("it loads");
    let topology = &script.topology;
    let nodes: Vec<&str> = topology.nodes.iter().map(|node| node.name.as_str()).collect();
    for stream in 0..2 {
        for end in ["-a", "-b", ".arbiter"] {
            let node = format!("work-{stream}{end}");
            assert!(nodes.contains(&node.as_str()), "{node} of {nodes:?}");
        }
    }
    let count = |fits: fn(&Role) -> bool| topology.actors.iter().filter(|actor| fits(&actor.role)).count();
    assert_eq!(count(|role| matches!(role, Role::Split { .. })), 4);
    assert_eq!(count(|role| matches!(role, Role::Worker { .. })), 4);
    assert_eq!(
        count(|role| matches!(role, Role::Gate { .. })),
        2,
        "both before the merge"
    );
    let merge = topology.actor("work.merge").expect("a merge");
    let feeds = topology.forward(merge).map(|link| topology.links[link.0 as usize].from);
    let feeds: Vec<&str> = feeds
        .map(|from| topology.actors[from.0 as usize].name.as_str())
        .collect();
    assert_eq!(feeds, ["work-0 at work.merge", "work-1 at work.merge"]);
    let copies = |name: &str| {
        let copies = topology.replicas_named(name).into_iter();
        let names = copies.map(|copy| topology.actors[copy.0 as usize].name.to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(copies("work-1"), ["work-1-a.output", "work-1-b.output"]);
    assert_eq!(copies("work").len(), 4);
    assert_eq!(topology.links_named("kept -> work-0").len(), 2);
    assert_eq!(topology.links_named("kept -> work").len(), 4);
    assert_eq!(topology.links_named("work-0-a -> work-0-b").len(), 1);
}

#[test]
fn what_the_copies_of_sub_streams_publish_must_follow_from_the_log() {
    let convey = |by: &str, more: &str| format!("convey = {{ streams = 2, by = {by}, {more} }}");
    assert_eq!(told("", CONVEY, SINK), "");
    assert_eq!(
        told(
            "",
            &convey("\"round-robin\"", "gaps = \"none\", timeout = \"5s\""),
            SINK
        ),
        ""
    );
    let by_clock = told("", &convey("\"round-robin\"", "events = 4"), SINK);
    assert!(
        by_clock.contains("two copies have two of them; gaps = \"skip\""),
        "{by_clock}"
    );
    let load = told("", &convey("\"load\"", "gaps = \"skip\""), SINK);
    assert!(load.contains("not the same at both copies"), "{load}");
    let moves = "gaps = \"skip\", move = [{ at = \"1s\", from = 0, to = 1, share = 0.5 }]";
    let moved = told("", &convey("{ key = [\"store\"] }", moves), SINK);
    assert!(
        moved.contains("none hands keys over; leave out `move`") || moved.contains("leave out `move`"),
        "{moved}"
    );
    let set_back = told("", CONVEY, &format!("{SINK}[snapshot]\nevery = \"1s\"\n"));
    assert!(set_back.contains("would set the merge back"), "{set_back}");
}

#[test]
fn copies_stand_among_operators_that_are_set_back_only_with_a_log_between_them() {
    let snapshot = "[snapshot]\nevery = \"10s\"\n";
    assert_eq!(told("", "", &format!("{SINK}{snapshot}")), "");
    let next = "[[operator]]\nname = \"next\"\ninput = [\"work\"]\nfilter = \"id > 1\"\n\
                [[sink]]\nname = \"board\"\ninput = [\"next\"]\n";
    let direct = told("", "", &format!("{next}{snapshot}"));
    assert!(direct.contains("would set `next` back"), "{direct}");
    assert!(direct.contains("put a [[broker]] between them"), "{direct}");
    let log = "[[broker]]\nname = \"found\"\ninput = [\"work\"]\n";
    let between = next.replace("[\"work\"]", "[\"found\"]");
    assert_eq!(told("", "", &format!("{log}{between}{snapshot}")), "");
    let whole = SINK.replace("input", "delivery = \"transactional\"\ninput");
    let whole = told("", "", &format!("{whole}{snapshot}"));
    assert!(whole.contains("keep their snapshots for themselves"), "{whole}");
    let again = told("", "", &format!("{SINK}[replay]\nfrom = \"committed\"\n"));
    assert!(
        again.contains("counts places from the beginning of the log, not from `committed`"),
        "{again}"
    );
    assert_eq!(told("", "", &format!("{SINK}[replay]\nfrom = \"earliest\"\n")), "");
}

#[test]
fn both_copies_read_one_log_whole() {
    let skips = told("retention = { time = \"5s\" }\nexpired = \"earliest\"", "", SINK);
    assert!(skips.contains("counts other places than the other copy"), "{skips}");
    assert_eq!(told("retention = { time = \"5s\" }", "", SINK), "");
    let dealt = told("partitions = 2", "", SINK);
    assert!(
        dealt.contains("a log of several partitions in different orders"),
        "{dealt}"
    );
}
