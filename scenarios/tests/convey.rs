//! What a conveyed operator becomes: its actors, their nodes, the links between them, and what they can be called.

use wavetank_scenarios::Script;
use wavetank_scenarios::distribution::Delay;
use wavetank_scenarios::library::LibraryFiles;
use wavetank_scenarios::topology::{Port, Role};
use wavetank_scenarios::{Span, load};

const TEXT: &str = r#"
schema  = 1
name    = "belt"
pattern = "sequential-convey"
[[source]]
name   = "rows"
rate   = "10/s"
count  = 10
nodes  = 2
fields = { k = { seq = 0 } }
[[operator]]
name   = "work"
input  = ["rows"]
transform = [{ derive = { w = "k * 2" } }]
late   = "side"
convey = { streams = 3, by = "load" }
[[sink]]
name  = "out"
input = ["work"]
[[sink]]
name  = "aside"
input = ["work.failed"]
[[sink]]
name  = "behind"
input = ["work.late"]
[[node]]
name    = "work"
service = "3ms"
[[node]]
name    = "work-1"
service = "9ms"
[[node]]
name    = "work.merge"
service = "1ms"
[[link]]
from  = "work"
to    = "work.merge"
delay = "5ms"
[[link]]
from  = "work.split"
to    = "work-2"
delay = "7ms"
"#;

fn script(text: &str) -> Script {
    match Script::load(text, "inline.toml", &LibraryFiles, &[]) {
        Ok(script) => script,
        Err(problems) => panic!("{problems:#?}"),
    }
}

#[test]
fn a_conveyed_operator_is_a_split_its_sub_streams_and_a_merge() {
    let topology = script(TEXT).topology;
    let names: Vec<&str> = topology.actors.iter().map(|actor| actor.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "rows-0",
            "rows-1",
            "work.split",
            "work-0",
            "work-1",
            "work-2",
            "work.merge",
            "out",
            "aside",
            "behind"
        ]
    );
    assert_eq!(topology.actors[4].role, Role::Worker { operator: 0, stream: 1 });
    let fields = |actor: usize| topology.actors[actor].schema.names().collect::<Vec<_>>().join(" ");
    assert_eq!([2, 3, 6, 7].map(fields), ["k", "k w", "k w", "k w"]);
    assert_eq!(
        [8, 9].map(fields),
        ["k", "k w"],
        "what failed is as it came, what is late is a result"
    );
}

#[test]
fn a_sub_stream_has_a_node_of_its_own_or_that_of_the_operator_for_a_model() {
    let topology = script(TEXT).topology;
    let service = |name: &str| {
        let node = topology.node(name).expect("a node");
        topology.nodes[node.0 as usize].service.clone()
    };
    let millis = |n| Some(Delay::Constant(Span::from_millis(n)));
    assert_eq!(
        ["work-0", "work-1", "work-2"].map(service),
        [millis(3), millis(9), millis(3)]
    );
    assert_eq!([service("work.merge"), service("work.split")], [millis(1), None]);
    assert_eq!(topology.nodes_named("work").len(), 3);
    assert_eq!(topology.node("work"), None);
}

#[test]
fn its_links_are_called_by_the_operator_and_by_each_sub_stream() {
    let topology = script(TEXT).topology;
    let count = |name: &str| topology.links_named(name).len();
    let whole = [
        "rows -> work",
        "work -> out",
        "work.split -> work",
        "work -> work.merge",
        "work -> work.split",
    ];
    assert_eq!(whole.map(count), [2, 1, 3, 3, 3]);
    let each = [
        "work.split -> work-1",
        "work-1 -> work.merge",
        "work-0.failed -> aside",
        "work.late -> behind",
    ];
    assert_eq!(each.map(count), [1, 1, 1, 1]);
    assert_eq!(count("work.failed -> aside"), 3);
    let delay = |name: &str| {
        let link = topology.links_named(name)[0];
        topology.links[link.0 as usize].settings.delay.clone()
    };
    let millis = |n| Some(Delay::Constant(Span::from_millis(n)));
    assert_eq!(delay("work-0 -> work.merge"), millis(5));
    assert_eq!(
        (delay("work.split -> work-2"), delay("work.split -> work-0")),
        (millis(7), None)
    );
    let back = topology.links.iter().filter(|link| link.port == Port::Back).count();
    assert_eq!(back, 3);
    let split = topology.actor("work.split").expect("a split");
    assert_eq!(topology.forward(split).count(), 2, "what sub-streams tell is no input");
}

#[test]
fn settings_are_written_and_read_again_as_they_were() {
    let scenario = script(TEXT).scenario;
    let text = load::expand(&scenario).expect("it can be written");
    let again = script(&text).scenario;
    assert_eq!(scenario.operators[0].convey, again.operators[0].convey);
}
