//! Truth over small pipelines, worked out by hand.

mod common;

use common::at;
use serde_json::{Value as Json, json};
use wavetank_oracle::Tables;
use wavetank_oracle::truth::Truth;
use wavetank_scenarios::input::{Planned, What};
use wavetank_scenarios::script::Scenario;
use wavetank_scenarios::topology::{Actor, ActorId, Link, LinkId, NodeId, Port, Role, Topology};
use wavetank_scenarios::{FieldType, Schema, script};

/// Two sources `a` and `b` (actors 0 and 1) into operators in a row, or beside each other, and a sink for the last.
fn pipeline(operators: &[Json]) -> (Scenario, Topology) {
    let all: Vec<Json> = operators
        .iter()
        .map(|o| serde_json::to_value(common::operator(o.clone())).unwrap())
        .collect();
    let scenario = json!({"schema": 1, "name": "t", "pattern": "filter", "operator": all});
    let scenario: Scenario = serde_json::from_value(scenario).unwrap();
    let mut topology = Topology::default();
    let actor = |topology: &mut Topology, role, schema: Schema, from: &[(u32, Port)]| {
        let to = ActorId(topology.actors.len() as u32);
        let mut inputs = Vec::new();
        for (input, (from, port)) in from.iter().enumerate() {
            inputs.push(LinkId(topology.links.len() as u32));
            topology.links.push(Link {
                name: "".into(),
                from: ActorId(*from),
                to,
                port: *port,
                input,
                listed: input,
                settings: script::Link::plain("x", "y"),
            });
        }
        topology.actors.push(Actor {
            name: "".into(),
            role,
            node: NodeId(0),
            stream: "S/1.0".parse().unwrap(),
            schema,
            inputs,
            outputs: vec![],
        });
        to.0
    };
    for part in 0..2 {
        actor(&mut topology, Role::Source { source: 0, part }, common::schema(), &[]);
    }
    let mut from = vec![(0, Port::Main), (1, Port::Main)];
    for (operator, settings) in scenario.operators.iter().enumerate() {
        let schema = settings.query.as_ref().map_or_else(common::schema, |query| {
            let names = query.select.iter().map(|item| match item {
                wavetank_scenarios::query::SelectItem::Expr { name, .. } => (name.clone(), FieldType::Any),
                wavetank_scenarios::query::SelectItem::All => ("k".into(), FieldType::Any),
            });
            Schema::new(names)
        });
        let input = from[0].0;
        let behind = topology.actors[input as usize].schema.clone();
        let generator = actor(&mut topology, Role::Watermark { operator }, behind, &from);
        from = vec![(
            actor(
                &mut topology,
                Role::Operator { operator },
                schema,
                &[(generator, Port::Main)],
            ),
            Port::Main,
        )];
    }
    actor(&mut topology, Role::Sink { sink: 0 }, common::schema(), &from);
    (scenario, topology)
}

fn plans(actor: ActorId) -> Box<dyn Iterator<Item = Planned>> {
    // (when it happened, when it leaves, value); the first source's file is not in order of time.
    let all: &[(i64, Option<i64>, i64)] = match actor.0 {
        0 => &[(12, Some(90), 4), (1, Some(5), 1), (9, None, 2)],
        _ => &[(3, Some(3), 10), (9, Some(9), 20), (25, Some(25), 40)],
    };
    Box::new(
        all.iter()
            .enumerate()
            .map(|(number, (happened, leaves, value))| Planned {
                number: number as u64,
                happened: at(*happened),
                leaves: leaves.map(at),
                what: What::Event(vec!["k".into(), (*value).into()].into()),
            }),
    )
}

fn rows(operators: &[Json]) -> Vec<String> {
    let (scenario, topology) = pipeline(operators);
    let tables = Tables::new();
    let truth = Truth::new(&scenario, &topology, &tables, &|actor| plans(actor));
    let sink = ActorId(topology.actors.len() as u32 - 1);
    let streamed: Vec<String> = truth
        .stream(sink)
        .unwrap()
        .map(|said| {
            let row: Vec<String> = said.event.row.iter().map(ToString::to_string).collect();
            let origins: Vec<String> = said.event.origins().iter().map(ToString::to_string).collect();
            format!(
                "{} {} <- {}",
                said.event.stamp.micros(),
                row.join(" "),
                origins.join(" ")
            )
        })
        .collect();
    assert_eq!(truth.table(sink).unwrap().len(), streamed.len());
    streamed
}

#[test]
fn truth_has_every_event_in_order_of_true_time_also_what_never_leaves() {
    assert_eq!(
        rows(&[json!({"filter": "v < 30"})]),
        [
            "1 k 1 <- 0#1",
            "3 k 10 <- 1#0",
            "9 k 2 <- 0#2",
            "9 k 20 <- 1#1",
            "12 k 4 <- 0#0"
        ]
    );
}

#[test]
fn windows_in_a_row_get_everything_and_their_results_go_back_to_sources() {
    let first = json!({"name": "first", "query": "select sum(v) as v from s window tumbling(5us)"});
    let second = json!({"name": "second", "query": "select count(*) as n, sum(v) as v from s window tumbling(20us)"});
    assert_eq!(
        rows(std::slice::from_ref(&first)),
        ["4 11 <- 0#1 1#0", "9 22 <- 0#2 1#1", "14 4 <- 0#0", "29 40 <- 1#2"]
    );
    assert_eq!(
        rows(&[first, second]),
        ["19 3 37 <- 0#0 0#1 0#2 1#0 1#1", "39 1 40 <- 1#2"]
    );
}

#[test]
fn results_stamped_by_their_events_are_sorted_before_the_next_operator() {
    let hop = json!({"query": "select min(v) as v from s window hop(20us, 10us)", "result_stamp": "latest"});
    let stamps: Vec<String> = rows(&[hop, json!({"filter": "v > 0"})]);
    let stamps: Vec<&str> = stamps.iter().filter_map(|r| r.split(' ').next()).collect();
    assert_eq!(stamps, ["9", "12", "25", "25"]);
}

#[test]
fn windows_that_do_not_flush_see_the_last_watermark_of_a_generator() {
    let query = "select sum(v) as v from s window tumbling(5us)";
    let unflushed =
        |behind: &str| rows(&[json!({"query": query, "flush_at_end": false, "watermark": {"behind": behind}})]).len();
    assert_eq!([unflushed("0us"), unflushed("10us"), unflushed("11us")], [3, 3, 2]);
}

#[test]
fn an_operator_that_cannot_be_judged_is_an_error_by_name() {
    let (scenario, topology) = pipeline(&[json!({"query": "select approx_count_distinct(v) + 1 as n from s"})]);
    let tables = Tables::new();
    let truth = Truth::new(&scenario, &topology, &tables, &|actor| plans(actor));
    assert!(truth.table(ActorId(4)).unwrap_err().contains("operator `op`"));
}

struct NoFiles;

impl wavetank_scenarios::Files for NoFiles {
    fn read(&self, name: &str) -> Result<std::sync::Arc<[u8]>, String> {
        Err(format!("there is no file {name}"))
    }
}

#[test]
fn the_truth_of_a_script_counts_every_event_of_every_part_once() {
    let text = r#"
        schema = 1
        name = "enriched"
        pattern = "windowed-aggregation"
        [time]
        length = "5s"
        [[table]]
        name = "stores"
        rows = [{ id = 1, town = "Bonn" }, { id = 2, town = "Kiel" }]
        [[source]]
        name = "orders"
        rate = { poisson = "100/s" }
        nodes = 3
        fields = { store = { uniform = [1, 2] }, amount = { normal = [10.0, 2.0] } }
        [[operator]]
        name = "located"
        input = ["orders"]
        transform = [{ enrich = { table = "stores", on = { store = "id" }, fields = ["town"] } }]
        [[operator]]
        name = "counted"
        input = ["located"]
        query = "select town, count(*) as n, sum(amount) as total from located window tumbling(1 sec) group by town"
        watermark = { behind = "1s" }
        [[sink]]
        name = "dashboard"
        input = ["counted"]
    "#;
    let script = wavetank_scenarios::Script::load(text, "test", &NoFiles, &[]).unwrap();
    let (seed, tables) = (7, wavetank_oracle::tables(&script));
    let plans = |actor| -> Box<dyn Iterator<Item = Planned>> { script.input(actor, seed) };
    let truth = Truth::new(&script.scenario, &script.topology, &tables, &plans);
    let sink = script.topology.actor("dashboard").unwrap();
    let mut expected = std::collections::BTreeMap::<(i64, String), (i64, Vec<f64>)>::new();
    for (_, planned) in script.truth(seed) {
        let What::Event(row) = planned.what else { continue };
        let town = if row[0] == 1.into() { "Bonn" } else { "Kiel" };
        let second = planned.happened.micros().div_euclid(1_000_000);
        let (n, amounts) = expected.entry((second, town.to_owned())).or_default();
        *n += 1;
        amounts.push(row[1].as_f64().unwrap());
    }
    let table = truth.table(sink).unwrap();
    let rows: Vec<_> = table.rows().iter().map(|(_, entry)| entry.row.clone()).collect();
    let due: Vec<wavetank_scenarios::Row> = expected
        .into_iter()
        .map(|((_, town), (n, amounts))| {
            let total = wavetank_oracle::aggregate::sum(&amounts);
            vec![town.as_str().into(), n.into(), total.into()].into()
        })
        .collect();
    assert!(due.len() >= 10);
    assert_eq!(rows, due);
}
