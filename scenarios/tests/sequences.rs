//! Sequences that cannot be: what is wrong, where, and what was probably meant.

use wavetank_scenarios::{LibraryFiles, Script};

/// A scenario with this operator body, and what is wrong with it: `line: message; help`.
fn wrong(body: &str) -> String {
    let text = format!(
        r#"schema  = 1
name    = "s"
pattern = "temporal-event-ordering"

[[source]]
name   = "logins"
events = [{{ t = "1s", row = {{ user = "hans", ok = true, tries = 3 }} }}]

[[source]]
name   = "doors"
events = [{{ t = "1s", row = {{ user = "hans", door = 4 }} }}]

[[operator]]
name  = "op"
input = ["logins", "doors"]
{body}

[[sink]]
name  = "sink"
input = ["op"]
"#
    );
    match Script::load(&text, "s.toml", &LibraryFiles, &[]) {
        Ok(_) => "nothing".to_owned(),
        Err(problems) => problems
            .iter()
            .map(|p| format!("{}: {}; {}", p.line, p.message, p.help.clone().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(" | "),
    }
}

#[track_caller]
fn says(body: &str, parts: &[&str]) {
    let said = wrong(body);
    for part in parts {
        assert!(said.contains(part), "{said}\n  has no\n{part}");
    }
}

#[test]
fn a_sequence_over_two_streams_with_other_fields_is_fine() {
    let body =
        r#"sequence = { pattern = "fail{3,} -> opened", by = ["user"], within = "5m", from = { opened = "doors" },
        where = { fail = "not ok" }, select = { user = "user", fails = "count(fail)", door = "opened.door" } }"#
            .replace('\n', " ");
    assert_eq!(wrong(&body), "nothing");
}

#[test]
fn patterns_that_cannot_end_or_begin_are_refused_with_a_way_out() {
    says(
        r#"sequence = { pattern = "a -> b" }"#,
        &["16: beginnings of this pattern may be kept for ever", "within"],
    );
    says(
        r#"sequence = { pattern = "a*", within = "1s", loops = "every" }"#,
        &["matches where nothing happens"],
    );
    says(
        r#"sequence = { pattern = "a -> b+", within = "1s" }"#,
        &["nothing says when the greedy loop", "reluctant"],
    );
    says(
        r#"sequence = { pattern = "not a -> b", within = "1s" }"#,
        &["no beginning of its own", "not b for 10s"],
    );
    says(
        r#"sequence = { pattern = "a not b", unbounded = true }"#,
        &["never over"],
    );
    says(
        r#"sequence = { pattern = "(a?)+ b", within = "1s" }"#,
        &["can be empty"],
    );
    says(
        r#"sequence = { pattern = "a{200} b", within = "1s" }"#,
        &["has 201 places, more than 120"],
    );
    says(
        r#"sequence = { pattern = "(a b)+ until c -> d", within = "1s" }"#,
        &["of a single step"],
    );
    assert_eq!(
        wrong(r#"sequence = { pattern = "a b" }"#),
        "nothing",
        "strict and bounded: it ends by itself"
    );
    assert_eq!(
        wrong(r#"sequence = { pattern = "a -> b", unbounded = true }"#),
        "nothing"
    );
}

#[test]
fn names_that_lead_nowhere_come_with_the_nearest_one() {
    let with = |settings: &str| format!(r#"sequence = {{ pattern = "fail -> opened", within = "1m", {settings} }}"#);
    says(
        &with(r#"where = { fial = "not ok" }"#),
        &["there is no step `fial`", "did you mean `fail`?"],
    );
    says(
        &with(r#"from = { fail = "login" }"#),
        &["there is no input `login`", "did you mean `logins`?"],
    );
    says(&with(r#"by = ["door"]"#), &["`logins` has no field `door`"]);
    says(&with(r#"where = { fail = "not okay" }"#), &["there is no field `okay`"]);
    says(
        &with(r#"where = { opened = "opened.dor > 1" }"#),
        &["there is no field `dor`", "did you mean `door`?"],
    );
    says(
        &with(r#"select = { x = "fail" }"#),
        &["`fail` is a step, not a value", "count(fail)"],
    );
    says(
        &with(r#"select = { x = "sum(fail.tries + opened.door)" }"#),
        &["several steps at once"],
    );
    says(
        &with(r#"select = { x = "nth(tries, 1)" }"#),
        &["`nth` takes a field of a step"],
    );
    says(
        &with(r#"select = { x = "approx_count_distinct(user)" }"#),
        &["is a sketch"],
    );
    says(
        &with(r#"after = { to-last = "opend" }"#),
        &["there is no step that takes events `opend`", "`opened`"],
    );
    says(
        r#"sequence = { pattern = "user -> fail", within = "1m" }"#,
        &["`user` is a step and a field"],
    );
    says(
        r#"sequence = { pattern = "a -> -> b", within = "1m" }"#,
        &["the name of a step is missing"],
    );
}

#[test]
fn settings_that_would_do_nothing_are_refused() {
    says(
        r#"sequence = { pattern = "a b", timeouts = true }"#,
        &["no beginning ever times out"],
    );
    let late = "late = \"correct\"\nsequence = { pattern = \"a b\" }";
    says(late, &["does not correct its matches"]);
}

#[test]
fn match_recognize_is_checked_like_the_short_form() {
    let query = |inside: &str| format!("query = \"select * from logins match_recognize ({inside})\"");
    says(
        &query("pattern (a b*) define a as ok"),
        &["nothing says when the greedy loop"],
    );
    says(
        &query("measures b.tris as t pattern (a b) define a as ok"),
        &["there is no field `tris`"],
    );
    says(
        &query("measures b.tries as t pattern (a b) defin a as ok"),
        &["begins no clause"],
    );
    assert_eq!(
        wrong(&query("measures b.tries as t pattern (a b) define a as ok")),
        "nothing"
    );
}
