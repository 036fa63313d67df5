//! Settings of whose clock counts: what makes no sense is told at its place, with what was probably meant.

mod common;

use common::{About, load};

const WINDOWS: &str = "query = \"select k, count(*) as n from s window tumbling(10 sec) group by k\"";
const BY_KEY: &str = "watermark = { behind = \"2s\", scope = \"key\" }";

fn scenario(operator: &str, more: &str) -> String {
    let about = About {
        pattern: "watermark",
        source: "s",
        row: "{ k = \"a\", v = 1 }",
        operator: "op",
        sink: "to",
    };
    common::scenario(&about, operator, more)
}

#[test]
fn windows_of_each_key_may_go_by_its_own_clock() {
    for window in [
        "tumbling(10 sec)",
        "hop(10 sec, 5 sec)",
        "cumulate(10 sec, 5 sec)",
        "session(3 sec)",
        "stagger(9 sec)",
    ] {
        let query = format!("query = \"select k, count(*) as n from s window {window} group by k\"\n{BY_KEY}");
        let script = load(&scenario(&query, "")).expect("it loads");
        assert!(
            script.topology.actor("op.watermark").is_none(),
            "no generator stands before it"
        );
    }
}

#[test]
fn what_cannot_go_by_the_clocks_of_keys_is_told() {
    let of = |query: &str| format!("query = \"select {query}\"\n{BY_KEY}");
    let with = |settings: &str| format!("{WINDOWS}\nwatermark = {{ behind = \"2s\", scope = \"key\", {settings} }}");
    for (operator, wanted) in [
        (
            of("count(*) as n from s window tumbling(10 sec)"),
            "without `group by` there is no key",
        ),
        (
            of("k, count(*) as n from s window tumbling(10 sec) group by k order by n limit 3"),
            "rank the results in an",
        ),
        (
            of("k, count(*) as n from s window time(10 sec) group by k"),
            "at the events of all keys together; a watermark",
        ),
        (
            of("k, count(*) as n from s window global() group by k"),
            "nothing that a watermark could complete",
        ),
        (of("k, v from s"), "nothing that a watermark could complete"),
        (
            format!("filter = \"v > 0\"\n{BY_KEY}"),
            "windows with `group by`, and `filter` is none; leave `scope` out",
        ),
        (
            format!("sequence = {{ pattern = \"a\" }}\n{BY_KEY}"),
            "and `sequence` is none",
        ),
        (
            format!("{WINDOWS}\n{BY_KEY}\nalign = \"first-event\""),
            "first event of all keys is no key's own",
        ),
        (
            format!("{WINDOWS}\n{BY_KEY}\nvalve = {{ combine = \"max\" }}"),
            "leave out `valve`",
        ),
        (with("idle = \"5s\""), "`idle` says nothing of it; leave out `idle`"),
        (with("every = \"5s\""), "`every` says nothing of it"),
        (with("back = 2"), "`back` says nothing of it"),
        (with("align = { ahead = \"1s\" }"), "`align` says nothing of it"),
        (
            format!("{WINDOWS}\nwatermark = {{ kind = \"percentile\", share = 0.9, scope = \"key\" }}"),
            "say kind = \"bounded\" or kind = \"ascending\"",
        ),
        (
            format!("{WINDOWS}\nwatermark = {{ behind = \"2s\", scope = \"keys\" }}"),
            "did you mean `key`?",
        ),
        ("reorder = { slack = \"1s\", scope = \"key\" }".to_owned(), "`key`"),
    ] {
        let told = load(&scenario(&operator, "")).err().unwrap_or_default();
        assert!(
            told.iter().any(|told| told.contains(wanted)),
            "{operator}: {told:?}, not {wanted}"
        );
    }
}

#[test]
fn who_waits_for_watermarks_behind_clocks_of_keys_is_told_that_none_will_come() {
    let behind = |settings: &str| {
        format!(
            "[[operator]]\nname = \"totals\"\ninput = [\"passed\"]\n\
             query = \"select sum(n) as n from passed window tumbling(1 min)\"\n{settings}\n\
             [[operator]]\nname = \"passed\"\ninput = [\"op\"]\nfilter = \"n > 1\"\n\
             [[sink]]\nname = \"end\"\ninput = [\"totals\"]\n"
        )
    };
    let operator = format!("{WINDOWS}\n{BY_KEY}");
    let told = load(&scenario(&operator, &behind(""))).err().unwrap_or_default();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("none comes from `op` before the end") && told[0].contains("behind ="),
        "{told:?}"
    );
    let told = load(&scenario(&operator, &behind("watermark = { kind = \"forward\" }"))).err();
    assert!(
        told.is_some_and(|told| told[0].contains("none comes from `op`")),
        "what never comes is not passed on"
    );
    assert!(load(&scenario(&operator, &behind("watermark = { behind = \"10s\" }"))).is_ok());
}

#[test]
fn where_events_cannot_wait_for_the_clock_is_told() {
    assert!(load(&scenario("filter = \"v > 0\"\nfuture = \"hold\"", "")).is_ok());
    for (operator, more, wanted) in [
        (
            "filter = \"v > 0\"\nfuture = \"hold\"\nconvey = { by = { key = [\"k\"] }, streams = 2 }",
            "",
            "hold them in an operator before it: name = \"op-held\"",
        ),
        (
            "filter = \"v > 0\"\nfuture = \"hold\"",
            "[epoch]\nevery = \"10s\"",
            "would leave its epoch",
        ),
        (
            "query = \"select k, count(*) as n from s window tumbling(10 sec) group by k\"\nfuture = \"hold\"\n\
             watermark = { kind = \"arrival\", every = \"1s\" }",
            "",
            "none of them is ahead of it",
        ),
        (
            "filter = \"v > 0\"\nfuture = { refuse = \"-1s\" }",
            "",
            "must not be negative",
        ),
        ("filter = \"v > 0\"\nfuture = \"holds\"", "", "did you mean `hold`?"),
    ] {
        let told = load(&scenario(operator, more)).err().unwrap_or_default();
        assert!(
            told.iter().any(|told| told.contains(wanted)),
            "{operator}: {told:?}, not {wanted}"
        );
    }
}
