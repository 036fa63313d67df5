//! Scenario files read as a whole: what they become, what overrides do, what the expansion says.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_scenarios::input::{Planned, What};
use wavetank_scenarios::load::{expand, json_schema};
use wavetank_scenarios::script::LinkKind;
use wavetank_scenarios::topology::{Port, Role};
use wavetank_scenarios::{FieldType, Files, LIBRARY, LibraryFiles, Problem, Script, Span, Time, Value};

/// Files in memory, then the library's.
#[derive(Default)]
struct Given(BTreeMap<&'static str, &'static str>);

impl Files for Given {
    fn read(&self, name: &str) -> Result<Arc<[u8]>, String> {
        match self.0.get(name) {
            Some(text) => Ok(text.as_bytes().into()),
            None => LibraryFiles.read(name),
        }
    }
    fn list(&self, folder: &str) -> Result<Vec<String>, String> {
        LibraryFiles.list(folder)
    }
}

fn try_load(text: &str, overrides: &[(&str, &str)]) -> Result<Script, Vec<Problem>> {
    let overrides: Vec<_> = overrides
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect();
    Script::load(text, "test.toml", &Given::default(), &overrides)
}
fn load(text: &str) -> Script {
    try_load(text, &[]).unwrap_or_else(|problems| panic!("{problems:#?}"))
}
fn library(name: &str) -> &'static str {
    LIBRARY.find(name).expect(name).text
}
/// A scenario with this source (its name is `s`), this operator and a sink.
fn with(source: &str, operator: &str) -> String {
    format!(
        "schema = 1\nname = \"t\"\npattern = \"filter\"\n[time]\nlength = \"10s\"\n[[source]]\nname = \"s\"\n{source}\n\
         [[operator]]\nname = \"o\"\ninput = [\"s\"]\n{operator}\n[[sink]]\nname = \"k\"\ninput = [\"o\"]\n"
    )
}
fn inputs(script: &Script, name: &str, seed: u64) -> Vec<Planned> {
    script.input(script.topology.actor(name).expect(name), seed).collect()
}

#[test]
fn the_orders_scenario_has_three_source_parts_a_generator_an_operator_and_a_sink() {
    let script = load(library("orders-per-minute"));
    let names: Vec<&str> = script.topology.actors.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "orders-0",
            "orders-1",
            "orders-2",
            "per-minute.watermark",
            "per-minute",
            "dashboard"
        ]
    );
    let links: Vec<&str> = script.topology.links.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(
        links,
        [
            "orders-0 -> per-minute",
            "orders-1 -> per-minute",
            "orders-2 -> per-minute",
            "per-minute.watermark -> per-minute",
            "per-minute -> dashboard"
        ]
    );
    assert_eq!(script.topology.links_named("orders -> per-minute").len(), 3);
    assert_eq!(script.topology.links_named("orders-1 -> per-minute").len(), 1);
    let generator = script.topology.actor("per-minute.watermark").expect("a generator");
    let operator = script.topology.actor("per-minute").expect("an operator");
    let of = |actor: wavetank_scenarios::topology::ActorId| &script.topology.actors[actor.0 as usize];
    assert_eq!(of(generator).node, of(operator).node);
    assert_eq!(of(generator).inputs.len(), 3);
    assert_eq!(
        of(generator).schema,
        of(script.topology.actor("orders-0").expect("a part")).schema
    );
    let fields: Vec<_> = of(operator)
        .schema
        .fields
        .iter()
        .map(|f| (f.name.as_str(), f.kind))
        .collect();
    assert_eq!(
        fields,
        [
            ("store", FieldType::Int),
            ("n", FieldType::Int),
            ("total", FieldType::Float)
        ]
    );
    assert_eq!(
        of(script.topology.actor("dashboard").expect("a sink")).schema,
        of(operator).schema
    );
}

#[test]
fn what_an_operator_puts_aside_has_the_fields_of_what_came_in() {
    let mut text = with(
        "rate = \"1/s\"\nfields = { a = 1 }",
        "transform = [{ derive = { b = \"a + 1\" } }]",
    );
    text.push_str("[[sink]]\nname = \"aside\"\ninput = [\"o.failed\"]\n");
    let script = load(&text);
    let aside = &script.topology.actors[script.topology.actor("aside").expect("a sink").0 as usize];
    assert_eq!(aside.schema.names().collect::<Vec<_>>(), ["a"]);
    let link = &script.topology.links[aside.inputs[0].0 as usize];
    assert_eq!((link.name.as_str(), link.port), ("o.failed -> aside", Port::Failed));
}

#[test]
fn the_line_of_a_setting_is_found_by_name() {
    let script = load(library("orders-per-minute"));
    for (path, wanted) in [
        (
            "operator.per-minute.watermark",
            "watermark = { behind = \"2s\", idle = \"30s\" }",
        ),
        ("fault.slow-link.rate", "rate   = 0.05"),
        ("time.seed", "seed   = 42"),
        ("operator.per-minute.query", "query = \"\"\""),
    ] {
        let place = script.span(path).expect(path);
        let line = script.text.lines().nth(place.line - 1).expect("a line");
        let found: String = line.chars().skip(place.column - 1).take(place.length).collect();
        assert_eq!(found, wanted, "{path}");
    }
    assert_eq!(script.span("nothing.of.the.kind"), None);
}

#[test]
fn overrides_win_over_the_file_and_go_by_name() {
    let script = try_load(
        library("orders-per-minute"),
        &[
            ("fault.slow-link.rate", "0.2"),
            ("operator.per-minute.watermark.behind", "5s"),
            ("time.seed", "7"),
            ("link.0.delay", "{ exp = \"1s\" }"),
            ("link.orders -> per-minute.kind", "stream"),
            ("link.\"orders -> per-minute\".capacity", "9"),
            ("time.tick", "1ms"),
        ],
    )
    .expect("a script");
    assert_eq!(script.scenario.faults[0].rate, 0.2);
    assert_eq!(
        script.scenario.operators[0].watermark.as_ref().and_then(|w| w.behind),
        Some(Span::from_secs(5))
    );
    let link = &script.scenario.links[0];
    assert_eq!((link.kind, link.capacity), (LinkKind::Stream, Some(9)));
    assert_eq!(script.scenario.time.seed, 7);
    assert_eq!(script.scenario.time.tick, Span::from_millis(1));
}

#[test]
fn a_wrong_override_says_which_and_what_was_meant() {
    for (path, value, message, help) in [
        (
            "fault.slow-lnk.rate",
            "0.2",
            "no fault is called `slow-lnk`",
            "did you mean `slow-link`?",
        ),
        (
            "operator.per-minute.horizn",
            "3s",
            "there is no key `horizn` here",
            "did you mean `horizon`?",
        ),
        (
            "link.orders -> per-hour.kind",
            "stream",
            "no link is called `orders -> per-hour`",
            "did you mean `orders -> per-minute`?",
        ),
        ("time.length", "soon", "not a duration", ""),
        ("time.seed.x", "3", "is a single value", ""),
        ("", "3", "a name is missing", ""),
    ] {
        let problems = try_load(library("orders-per-minute"), &[(path, value)]).expect_err(path);
        let problem = &problems[0];
        assert!(problem.file.starts_with("--set "), "{problem}");
        assert!(problem.message.contains(message), "{problem}");
        assert!(problem.help.as_deref().unwrap_or_default().contains(help), "{problem}");
    }
}

#[test]
fn the_expansion_of_every_scenario_means_the_same_and_expands_to_itself() {
    for entry in LIBRARY.entries() {
        let script = load(entry.text);
        let expanded = script.expand().expect(entry.path);
        let again = load(&expanded);
        assert_eq!(again.expand().as_deref(), Ok(expanded.as_str()), "{}", entry.path);
        assert_eq!(
            format!("{:?}", again.topology),
            format!("{:?}", script.topology),
            "{}",
            entry.path
        );
        assert_eq!(again.claims, script.claims);
        let events = |s: &Script| s.truth(3).take(500).collect::<Vec<_>>();
        assert_eq!(events(&again), events(&script), "{}", entry.path);
    }
}

#[test]
fn the_expansion_writes_defaults_out() {
    let script = load(library("large-transactions"));
    let expanded = expand(&script.scenario).expect("text");
    for line in [
        "flush_at_end = true",
        "on_error = \"side\"",
        "step_budget = 1000000",
        "promise = \"at-most-once\"",
    ] {
        assert!(expanded.contains(line), "{line} in\n{expanded}");
    }
}

#[test]
fn the_json_schema_describes_every_section() {
    let schema = json_schema();
    let properties = schema["properties"].as_object().expect("properties");
    for section in [
        "schema", "name", "pattern", "time", "source", "operator", "sink", "link", "fault", "expect", "node", "table",
    ] {
        assert!(properties.contains_key(section), "{section}");
    }
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn generated_events_do_not_change_when_fields_nodes_or_sources_are_added() {
    let plain = load(&with(
        "rate = { poisson = \"50/s\" }\nfields = { a = { normal = [0, 1] } }",
        "filter = \"a > 0\"",
    ));
    let more = "rate = { poisson = \"50/s\" }\nfields = { b = { seq = 3 }, a = { normal = [0, 1] } }\n\
                [[source]]\nname = \"other\"\nrate = \"9/s\"";
    let more = load(&with(more, "filter = \"a > 0\""));
    let (plain, more) = (inputs(&plain, "s", 5), inputs(&more, "s", 5));
    assert_eq!(plain.len(), more.len());
    for (a, b) in plain.iter().zip(&more) {
        let (What::Event(x), What::Event(y)) = (&a.what, &b.what) else {
            panic!("events only")
        };
        assert_eq!((a.number, a.happened, &x[0]), (b.number, b.happened, &y[1]));
    }
}

#[test]
fn the_parts_of_a_source_share_its_events_in_turn() {
    let source = |nodes: u32| {
        let walk = "{ walk = { start = 0.0, step = 1.0, by = \"k\" } }";
        load(&with(
            &format!("rate = \"100/s\"\nnodes = {nodes}\nfields = {{ k = {{ zipf = 1, count = 5 }}, w = {walk} }}"),
            "filter = \"w > 0\"",
        ))
    };
    let (one, three) = (source(1), source(3));
    let all = inputs(&one, "s", 9);
    assert_eq!(all.len(), 1_000);
    for part in 0..3 {
        let own = inputs(&three, &format!("s-{part}"), 9);
        let dealt: Vec<_> = all.iter().skip(part).step_by(3).collect();
        assert_eq!(own.len(), dealt.len());
        for (i, (mine, whole)) in own.iter().zip(dealt).enumerate() {
            assert_eq!(
                (mine.number, &mine.what, mine.happened),
                (i as u64, &whole.what, whole.happened)
            );
        }
    }
}

#[test]
fn events_dealt_by_a_field_keep_each_value_on_one_node() {
    let text = with(
        "rate = \"100/s\"\nnodes = 4\nnode_by = \"k\"\nfields = { k = { zipf = 1, count = 20 } }",
        "filter = \"true\"",
    );
    let script = load(&text);
    let mut seen: BTreeMap<Value, usize> = BTreeMap::new();
    let mut total = 0;
    for part in 0..4 {
        for planned in inputs(&script, &format!("s-{part}"), 1) {
            let What::Event(row) = planned.what else {
                panic!("events only")
            };
            assert_eq!(*seen.entry(row[0].clone()).or_insert(part), part);
            total += 1;
        }
    }
    assert_eq!((total, seen.len()), (1_000, 20));
}

#[test]
fn another_seed_gives_other_events_and_the_same_seed_the_same() {
    let script = load(library("orders-per-minute"));
    assert_eq!(inputs(&script, "orders-1", 1), inputs(&script, "orders-1", 1));
    assert_ne!(inputs(&script, "orders-1", 1), inputs(&script, "orders-1", 2));
}

#[test]
fn literal_events_leave_in_the_order_written_and_carry_watermarks() {
    let events = "events = [\n{ t = \"2s\", row = { a = 1 } },\n{ t = \"1s\", row = { a = 2.5 } },\n{ watermark = \"2s\", at = \"3s\" },\n\
                  { t = \"1s\", at = \"4s\", row = { b = \"x\" } },\n]";
    let script = load(&with(events, "filter = \"a > 1\""));
    let seconds = |t: Option<Time>| t.map(|t| t.micros() / 1_000_000);
    let read: Vec<_> = inputs(&script, "s", 1)
        .into_iter()
        .map(|p| {
            (
                p.number,
                seconds(Some(p.happened)),
                seconds(p.leaves),
                matches!(p.what, What::Event(_)),
            )
        })
        .collect();
    assert_eq!(
        read,
        [
            (0, Some(2), Some(2), true),
            (1, Some(1), Some(2), true),
            (2, Some(3), Some(3), false),
            (2, Some(1), Some(4), true),
        ]
    );
    let truth: Vec<_> = script
        .truth(1)
        .map(|(_, p)| (p.happened.micros() / 1_000_000, p.number))
        .collect();
    assert_eq!(truth, [(1, 1), (1, 2), (2, 0)]);
    let source = &script.topology.actors[0];
    assert_eq!(
        source.schema.fields[0].kind,
        FieldType::Float,
        "a whole number among fractions is one of them"
    );
}

#[test]
fn marbles_wait_group_and_end() {
    let script = load(&with("marbles = \"--a-b--(cd)-|\"", "filter = \"true\""));
    let read: Vec<(i64, String)> = inputs(&script, "s", 1)
        .into_iter()
        .map(|p| match p.what {
            What::Event(row) => (p.happened.micros() / 1_000_000, row[0].to_string()),
            What::Watermark(_) => panic!("events only"),
        })
        .collect();
    let wanted: Vec<(i64, String)> = [(2, "a"), (3, "b"), (5, "c"), (5, "d")]
        .map(|(t, m)| (t, m.to_owned()))
        .into();
    assert_eq!(read, wanted);
}

#[test]
fn recorded_arrivals_are_replayed_as_recorded_and_cancelled_flights_never_leave() {
    let source =
        "file = \"flights-2013-01.csv\"\nevent_time = \"scheduled_departure\"\narrival_time = \"actual_departure\"";
    let text = with(source, "filter = \"origin = 'JFK'\"").replace("[time]\nlength = \"10s\"\n", "");
    let script = load(&text);
    let flights = inputs(&script, "s", 1);
    assert_eq!(flights.len(), 27_004);
    assert_eq!(flights.iter().filter(|p| p.leaves.is_none()).count(), 521);
    assert_eq!(
        flights
            .iter()
            .filter(|p| p.leaves.is_some_and(|at| at < p.happened))
            .count(),
        15_412
    );
    let leaving: Vec<Time> = flights.iter().filter_map(|p| p.leaves).collect();
    assert!(leaving.is_sorted());
    assert_eq!(Some(script.start()), leaving.first().copied());
    let mut numbers: Vec<u64> = flights.iter().map(|p| p.number).collect();
    numbers.sort_unstable();
    assert!(
        numbers.iter().enumerate().all(|(i, n)| i as u64 == *n),
        "numbers are those of the rows"
    );
    let truth: Vec<_> = script.truth(1).map(|(_, p)| (p.happened, p.number)).collect();
    assert_eq!(truth.len(), 27_004);
    assert!(truth.is_sorted());
}

#[test]
fn bad_rows_are_skipped_and_counted_or_stop_the_run_as_the_scenario_says() {
    let files = Given(BTreeMap::from([(
        "x.csv",
        "t,n\n2013-01-01T00:00:00Z,1\nnoon,2\n2013-01-01T00:00:02Z,x\n",
    )]));
    let text = |on_bad: &str| {
        with(
            &format!("file = \"x.csv\"\nevent_time = \"t\"\nschema = {{ n = \"int\" }}\n{on_bad}"),
            "filter = \"n > 0\"",
        )
    };
    let script = Script::load(&text("on_bad = \"skip\""), "test.toml", &files, &[]).expect("a script");
    assert_eq!(inputs(&script, "s", 1).len(), 1);
    let (count, problems) = &script.skipped[0];
    assert_eq!((*count, problems.len()), (2, 2));
    let problems = Script::load(&text(""), "test.toml", &files, &[]).expect_err("bad rows");
    assert_eq!(
        problems
            .iter()
            .map(|p| (p.file.as_str(), p.line, p.column))
            .collect::<Vec<_>>(),
        [("x.csv", 3, 1), ("x.csv", 4, 22)]
    );
}

#[test]
fn a_million_generated_events_are_read_one_at_a_time() {
    let text = with(
        "rate = \"200000/s\"\nfields = { k = { zipf = 1.1, count = 100 }, v = { exp = 1.0 } }",
        "filter = \"v > 1\"",
    );
    let script = load(&text);
    let last = script
        .input(script.topology.actor("s").expect("s"), 1)
        .last()
        .expect("events");
    assert_eq!(last.number, 1_999_999);
}

#[test]
fn settings_of_links_and_nodes_reach_all_parts_and_the_most_exact_ones_win() {
    let mut text = with(
        "rate = \"1/s\"\nnodes = 3",
        "filter = \"true\"\nwatermark = { behind = \"1s\" }",
    );
    text.push_str(
        "[[link]]\nfrom = \"s\"\nto = \"o\"\nkind = \"datagram\"\ndelay = \"1s\"\n[[link]]\nfrom = \"s-1\"\nto = \"o\"\ndelay = \"2s\"\n\
         [[node]]\nname = \"s\"\noffset = \"3s\"\n[[node]]\nname = \"s-2\"\noffset = \"4s\"\n",
    );
    let script = load(&text);
    let delays: Vec<_> = script.topology.links[..3]
        .iter()
        .map(|l| l.settings.delay.as_ref().map(|d| d.sampler().constant()))
        .collect();
    assert_eq!(delays, [1, 2, 1].map(|s| Some(Some(Span::from_secs(s)))));
    let offsets: Vec<_> = script.topology.nodes[..3]
        .iter()
        .map(|n| (n.name.as_str(), n.offset))
        .collect();
    assert_eq!(
        offsets,
        [
            ("s-0", Span::from_secs(3)),
            ("s-1", Span::from_secs(3)),
            ("s-2", Span::from_secs(4))
        ]
    );
    assert!(matches!(script.topology.actors[0].role, Role::Source { part: 0, .. }));
}

#[test]
fn a_transformation_s_fields_are_followed_step_by_step() {
    let steps = "transform = [
      { derive = { c = \"a * 2\" } },
      { nest = { into = \"r\", fields = [\"a\", \"b\"] } },
      { unnest = \"r\" },
      { rename = { a = \"x\" } },
      { flatten = \"items\" },
      { drop = [\"b\"] },
    ]";
    let events = "events = [{ t = \"1s\", row = { a = 1, b = \"x\", items = [{ p = 1, q = \"y\" }] } }]";
    let script = load(&with(events, steps));
    let out = &script.topology.actors[script.topology.actor("o").expect("o").0 as usize].schema;
    let fields: Vec<_> = out.fields.iter().map(|f| (f.name.as_str(), f.kind)).collect();
    use FieldType as F;
    assert_eq!(fields, [("c", F::Int), ("x", F::Int), ("p", F::Int), ("q", F::Text)]);
}
