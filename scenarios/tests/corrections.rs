//! Settings of early answers, bounds, compensations and watermarks: what makes no sense is told at its place, with what was
//! probably meant.

use wavetank_scenarios::{LibraryFiles, Script};

const COUNT: &str = "query = \"select k, count(*) as n from readings window tumbling(1 min) group by k\"";

fn scenario(operator: &str, more: &str) -> String {
    format!(
        r#"schema  = 1
name    = "corrected"
pattern = "course-correction"

[[source]]
name   = "readings"
events = [{{ t = "1s", row = {{ k = "a", n = 1 }} }}]

[[operator]]
name    = "op"
input   = ["readings"]
{operator}
{more}
[[sink]]
name  = "to"
input = ["op"]
"#
    )
}

fn told(text: &str) -> Vec<String> {
    let script = Script::load(text, "corrected.toml", &LibraryFiles, &[]);
    let problems = script.err().unwrap_or_default();
    let told = |p: &wavetank_scenarios::Problem| {
        assert!(p.line > 0 && p.column > 0, "{p:?}");
        format!("{}; {}", p.message, p.help.clone().unwrap_or_default())
    };
    problems.iter().map(told).collect()
}

#[test]
fn each_wrong_setting_is_told_with_what_was_probably_meant() {
    let windows = |settings: &str| format!("{COUNT}\n{settings}");
    for (operator, wanted) in [
        (windows("emit = { early = {} }"), "never goes off"),
        (windows("emit = { early = { count = 0 } }"), "after no events"),
        (windows("emit = { late = { every = \"0s\" } }"), "longer than zero"),
        (windows("emit = { panes = \"retracted\" }"), "retracting"),
        (windows("emit = { erly = { count = 1 } }"), "did you mean `early`?"),
        (
            windows("emit = { panes = \"discarding\" }\nemit_empty = true"),
            "a part of nothing",
        ),
        (
            "filter = \"n > 1\"\nemit = { early = { count = 1 } }".into(),
            "no windows",
        ),
        (windows("bounds = \"both\""), "cannot have these bounds"),
        ("filter = \"n > 1\"\nalign = \"first-event\"".into(), "no grid"),
        ("compensate = { by = [] }\nhorizon = \"1m\"".into(), "without a key"),
        ("compensate = { by = [\"k\"] }".into(), "without a horizon"),
        (
            "compensate = { by = [\"m\"] }\nhorizon = \"1m\"".into(),
            "there is no field `m`",
        ),
        (
            "compensate = { by = [\"k\"], stands = \"first\" }".into(),
            "first-to-arrive",
        ),
    ] {
        let problems = told(&scenario(&operator, ""));
        assert!(
            problems.iter().any(|problem| problem.contains(wanted)),
            "{operator} should say `{wanted}`: {problems:#?}"
        );
    }
}

#[test]
fn whoever_aggregates_corrections_is_told_that_each_would_count() {
    let reader = "[[operator]]\nname = \"sum\"\ninput = [\"few\"]\n\
                  query = \"select sum(n) as n from few window tumbling(1 min)\"\n\
                  [[operator]]\nname = \"few\"\ninput = [\"op\"]\nfilter = \"n < 5\"\n";
    let behind = |settings: &str| told(&scenario(&format!("{COUNT}\n{settings}"), reader));
    let wanted = "would count each correction as an event more";
    for settings in [
        "horizon = \"1m\"",
        "emit = { early = { count = 1 } }",
        "late_when = \"after-end\"",
    ] {
        let problems = behind(settings);
        assert!(problems.iter().any(|p| p.contains(wanted)), "{settings}: {problems:#?}");
    }
    for settings in ["", "emit = { early = { count = 1 }, panes = \"discarding\" }"] {
        assert_eq!(behind(settings), Vec::<String>::new(), "{settings}");
    }
}

#[test]
fn a_decision_has_a_field_of_its_own_which_must_be_free() {
    let text = scenario("compensate = { by = [\"k\"] }\nhorizon = \"1m\"", "").replace("n = 1", "decision = 1");
    assert!(told(&text)[0].contains("a field `decision`"), "{:?}", told(&text));
    let script = Script::load(
        &scenario("compensate = { by = [\"k\"] }\nhorizon = \"1m\"", ""),
        "x",
        &LibraryFiles,
        &[],
    )
    .expect("good");
    let op = script.topology.actor("op").expect("there");
    let names: Vec<&str> = script.topology.actors[op.0 as usize].schema.names().collect();
    assert_eq!(names, ["k", "n", "decision"]);
}

#[test]
fn watermarks_of_every_kind_are_told_what_they_lack_or_cannot_use() {
    for (watermark, wanted) in [
        ("{}", "behind"),
        ("{ behind = \"-1s\" }", "must not be negative"),
        ("{ kind = \"ascending\", behind = \"1s\" }", "behind"),
        ("{ kind = \"punctuated\" }", "when"),
        ("{ kind = \"punctuated\", when = \"m > 1\" }", "there is no field `m`"),
        ("{ kind = \"percentile\" }", "share"),
        ("{ kind = \"percentile\", share = 1.5 }", "a share is above 0"),
        ("{ kind = \"percentil\", share = 0.9 }", "percentile"),
        ("{ behind = \"1s\", idle = \"0s\" }", "longer than zero"),
        ("{ kind = \"arrival\" }", "`every` is missing"),
        ("{ kind = \"arrival\", every = 10 }", "the clock goes on without events"),
        ("{ kind = \"arrival\", every = \"0s\" }", "longer than zero"),
        (
            "{ kind = \"arrival\", every = \"1s\", behind = \"1s\" }",
            "reads no `behind`",
        ),
        (
            "{ kind = \"arrival\", every = \"1s\", idle = \"1s\" }",
            "a silent input",
        ),
        ("{ kind = \"arrival\", every = \"1s\", scope = \"input\" }", "one clock"),
        ("{ kind = \"arrival\", every = \"1s\", back = 2 }", "behind the clock"),
        (
            "{ kind = \"arrival\", every = \"1s\", align = { ahead = \"1s\" } }",
            "no input is ahead",
        ),
        (
            "{ kind = \"arrival\", every = \"1s\" }\nvalve = { combine = \"max\" }",
            "no watermarks are combined",
        ),
        (
            "{ behind = \"1s\", align = { ahead = \"-1s\" } }",
            "must not be negative",
        ),
    ] {
        let problems = told(&scenario(&format!("filter = \"n > 0\"\nwatermark = {watermark}"), ""));
        assert!(
            problems.iter().any(|problem| problem.contains(wanted)),
            "{watermark} should say `{wanted}`: {problems:#?}"
        );
    }
}
