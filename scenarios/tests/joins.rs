//! Scenarios with joins: the fields that come out, and what is said when something does not fit.

use wavetank_scenarios::{FieldType, LibraryFiles, Problem, Script};

const QUERY: &str = "select o.id, p.method from orders o join payments p on p.order_id = o.id within (1 min)";

fn load(query: &str, more: &str) -> Result<Script, Vec<Problem>> {
    load_with(&format!("query = \"\"\"{query}\"\"\"\n{more}"))
}

fn load_with(body: &str) -> Result<Script, Vec<Problem>> {
    let text = format!(
        r#"
schema  = 1
name    = "joined"
pattern = "stream-join"

[time]
length = "1m"

[[source]]
name   = "orders"
rate   = "1/s"
fields = {{ id = {{ seq = 0 }}, amount = 2.5, store = "a" }}

[[source]]
name   = "payments"
rate   = "1/s"
fields = {{ order_id = {{ seq = 0 }}, method = "card", store = "a" }}

[[operator]]
name  = "both"
input = ["orders", "payments"]
{body}

[[sink]]
name  = "books"
input = ["both"]
"#
    );
    Script::load(&text, "joined.toml", &LibraryFiles, &[])
}

fn fields(script: &Script) -> Vec<(String, FieldType)> {
    let both = script.topology.actor("both").expect("an operator");
    let schema = &script.topology.actors[both.0 as usize].schema;
    schema.fields.iter().map(|f| (f.name.to_string(), f.kind)).collect()
}

fn names(script: &Script) -> Vec<String> {
    fields(script).into_iter().map(|(name, _)| name).collect()
}

/// What is wrong, and the help.
fn wrong(loaded: Result<Script, Vec<Problem>>) -> String {
    let problems = loaded.expect_err("something is wrong");
    let said = problems.iter().map(|p| {
        assert!(p.line > 1, "it has a place: {p:?}");
        format!("{}; {}", p.message, p.help.clone().unwrap_or_default())
    });
    said.collect::<Vec<_>>().join("\n")
}

#[test]
fn columns_come_from_the_streams_they_name_and_alone_where_only_one_has_them() {
    let script = load(QUERY, "").expect("it is right");
    assert_eq!(
        fields(&script),
        [("id".into(), FieldType::Int), ("method".into(), FieldType::Text)]
    );
    let query = "select amount, event_time(o) as t, o.store as \"where\" from orders o join payments p \
                 on order_id = id within (1 min)";
    let script = load(query, "").expect("it is right");
    let kinds: Vec<FieldType> = fields(&script).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, [FieldType::Float, FieldType::Time, FieldType::Text]);
}

#[test]
fn gathered_parts_are_records_beside_the_key() {
    let gather = r#"gather = { by = ["store"], within = "5s", ask = 2 }"#;
    let script = load_with(gather).expect("it is right");
    let expected = ["store", "orders", "payments", "complete", "missing", "asks", "asking"];
    assert_eq!(names(&script), expected);
}

#[test]
fn what_does_not_fit_together_is_said_with_what_was_probably_meant() {
    let from = "from orders o join payments p on p.order_id = o.id within (1 min)";
    for (query, words) in [
        (format!("select store {from}"), "write `o.store` or `p.store`"),
        (format!("select * {from}"), "two columns called `store`"),
        (format!("select o.idd {from}"), "did you mean `id`?"),
        (format!("select q.id {from}"), "there is no stream and no field `q`"),
        (
            format!("select o.id {from} where nothing > 1"),
            "there is no field `nothing`",
        ),
        (QUERY.replace("payments p", "paymnts p"), "did you mean `payments`?"),
        (QUERY.replace("o.id within", "o.nr within"), "`o` has no field `nr`"),
        (
            QUERY.replace(
                "within (1 min)",
                "and event_time(p) between event_time(o) + interval '2s' and event_time(o)",
            ),
            "nothing would ever match",
        ),
    ] {
        let said = wrong(load(&query, ""));
        assert!(said.contains(words), "{query}: {said}");
    }
}

#[test]
fn what_a_join_puts_aside_has_no_common_fields_for_an_operator_to_read() {
    let more = r#"
[[operator]]
name   = "after"
input  = ["both.late"]
filter = "id > 1"
"#;
    let said = wrong(load(QUERY, more));
    assert!(said.contains("inputs that have different fields"), "{said}");
}

#[test]
fn settings_that_do_nothing_in_a_join_are_refused() {
    for (more, words) in [
        (r#"late = "correct""#, "corrects nothing"),
        (r#"join = { nulls = "eager" }"#, "`nulls` changes nothing"),
        (r#"join = { versions = "arrival" }"#, "`versions` changes nothing"),
    ] {
        let said = wrong(load(QUERY, more));
        assert!(said.contains(words), "{more}: {said}");
    }
    let plain = r#"query = "select id from orders"
join = { nulls = "eager" }"#;
    assert!(wrong(load_with(plain)).contains("there is none"));
    for (gather, words) in [
        (r#"{ by = [], within = "1s" }"#, "nothing says which parts"),
        (r#"{ by = ["store"], within = "0s" }"#, "longer than zero"),
        (r#"{ by = ["stor"], within = "1s" }"#, "did you mean `store`?"),
        (
            r#"{ by = ["store"], within = "1s", parts = ["x"] }"#,
            "1 parts for 2 inputs",
        ),
        (
            r#"{ by = ["store"], within = "1s", parts = ["x", "x"] }"#,
            "two parts are called `x`",
        ),
        (
            r#"{ by = ["store"], within = "1s", part = "store" }"#,
            "which parts are there?",
        ),
        (
            r#"{ by = ["store"], within = "1s", parts = ["store", "y"] }"#,
            "two fields called `store`",
        ),
    ] {
        let said = wrong(load_with(&format!("gather = {gather}")));
        assert!(said.contains(words), "{gather}: {said}");
    }
}
