//! Settings of reordering buffers: what makes no sense is told at its place, with what was probably meant.

mod common;

use common::{About, load};

fn scenario(operator: &str, link: &str) -> String {
    let about = About {
        pattern: "buffered-event-ordering",
        source: "readings",
        row: "{ sensor = \"a\", n = 1 }",
        operator: "order",
        sink: "history",
    };
    common::scenario(&about, operator, link)
}

#[test]
fn each_wrong_setting_is_told_with_what_was_probably_meant() {
    for (operator, wanted) in [
        ("reorder = {}", "not said when events are let go; add one of slack"),
        (
            "reorder = { slack = \"1s\", k_slack = {} }",
            "this one has `slack` and `k_slack`",
        ),
        ("reorder = { slak = \"1s\" }", "did you mean `slack`?"),
        ("reorder = { slack = \"-1s\" }", "must not be negative"),
        ("reorder = { slack = \"1s\", timeout = \"0s\" }", "longer than zero"),
        (
            "reorder = { until = \"watermark\", scope = \"source\" }",
            "`until` does not ask where",
        ),
        ("reorder = { k_slack = { samples = 0 } }", "nothing to go by"),
        (
            "reorder = { aq_k_slack = { error = 1.5, window = \"1s\" } }",
            "this is a share, and is 1.5",
        ),
        (
            "reorder = { aq_k_slack = { error = 0.1, window = \"0s\" } }",
            "longer than zero",
        ),
        (
            "reorder = { aq_k_slack = { error = 0.1, window = \"1s\", proportional = -1.0 } }",
            "a weight of -1",
        ),
        (
            "reorder = { aq_k_slack = { error = 0.1, window = \"1s\", aggregate = \"sum\" } }",
            "not said of what",
        ),
        (
            "reorder = { aq_k_slack = { error = 0.1, window = \"1s\", value = \"n\" } }",
            "a count has no value",
        ),
        (
            "reorder = { aq_k_slack = { error = 0.1, window = \"1s\", aggregate = \"avg\", value = \"m\" } }",
            "there is no field `m`",
        ),
        (
            "reorder = { siddhi_ak_slack = { value = \"n\", batch = 0 } }",
            "nothing to go by",
        ),
        ("reorder = { number = { by = [\"sensor\"] } }", "kept by producer"),
        ("reorder = { number = { field = \"m\" } }", "there is no field `m`"),
        ("reorder = { number = { end = \"count(*) > 1\" } }", "aggregate"),
        (
            "reorder = { slack = \"1s\" }\nlate = \"correct\"",
            "no answers to correct",
        ),
        ("filter = \"n > 1\"\nlate = \"emit\"", "only a reordering buffer"),
        ("reorder = { slack = \"1s\" }\nfilter = \"n > 1\"", "does one thing"),
    ] {
        let problems = load(&scenario(operator, "")).expect_err(operator);
        assert!(
            problems.iter().any(|problem| problem.contains(wanted)),
            "{operator} should say `{wanted}`: {problems:#?}"
        );
    }
}

#[test]
fn gaps_are_marked_in_fields_of_their_own() {
    let marked = "reorder = { number = { mark_gaps = true } }";
    let script = load(&scenario(marked, "")).expect("it is valid");
    let order = script.topology.actor("order").expect("it is there");
    let fields = &script.topology.actors[order.0 as usize].schema;
    assert!(fields.names().eq(["sensor", "n", "missing_first", "missing_last"]));
    let twice = "reorder = { number = { mark_gaps = true } }\n[[operator]]\nname = \"again\"\ninput = [\"order\"]\n\
                 reorder = { number = { mark_gaps = true } }";
    let problems = load(&scenario(twice, "")).expect_err("the fields are there");
    assert!(problems[0].contains("there is one already"), "{problems:?}");
}

#[test]
fn a_buffer_that_needs_no_watermark_may_stand_behind_a_datagram_link() {
    let link = "[[link]]\nfrom = \"readings\"\nto = \"order\"\nkind = \"datagram\"";
    assert!(load(&scenario("reorder = { slack = \"1s\" }", link)).is_ok());
    let problems = load(&scenario("reorder = { until = \"watermark\" }", link)).expect_err("it needs one");
    assert!(problems[0].contains("relies on them"), "{problems:?}");
}
