//! Scenarios with brokers: what is said of settings that cannot work, and how far back operators reach.

use wavetank_scenarios::{LibraryFiles, Script};

fn scenario(broker: &str, operator: &str, more: &str) -> String {
    format!(
        r#"
schema  = 1
name    = "brokered"
pattern = "replay"

[time]
length = "1m"

[[source]]
name   = "orders"
rate   = "1/s"
fields = {{ id = {{ seq = 0 }}, store = "a" }}

[[broker]]
name  = "kept"
input = ["orders"]
{broker}

[[operator]]
name  = "work"
input = ["kept"]
{operator}

[[sink]]
name     = "board"
input    = ["work"]
delivery = "by-result"

{more}
"#
    )
}

/// What is wrong, and the help.
fn told(text: &str) -> String {
    match Script::load(text, "brokered.toml", &LibraryFiles, &[]) {
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

const FILTER: &str = "filter = \"id > 0\"";
const MINUTES: &str =
    "query = \"select count(*) as n from kept window tumbling(1 min)\"\nwatermark = { behind = \"1s\" }";
const DONE: &str = "[replay]\nacknowledge = \"done\"";

#[test]
fn a_log_and_a_queue_that_are_read_again_are_fine() {
    assert_eq!(
        told(&scenario("retention = { time = \"1m\" }\npartitions = 2", FILTER, DONE)),
        ""
    );
    assert_eq!(
        told(&scenario("kind = \"queue\"\nmax_deliveries = 3", FILTER, DONE)),
        ""
    );
    assert_eq!(told(&scenario("by = \"store\"", MINUTES, DONE)), "");
    assert_eq!(told(&scenario("", FILTER, "")), "");
}

#[test]
fn each_wrong_setting_is_told_with_what_was_probably_meant() {
    let wrong = [
        (
            "kind = \"queue\"\npartitions = 3",
            FILTER,
            DONE,
            "`partitions` is a setting of a log",
        ),
        (
            "max_deliveries = 3",
            FILTER,
            DONE,
            "`max_deliveries` is a setting of a queue",
        ),
        ("kind = \"queue\"\nin_flight = 0", FILTER, DONE, "may have nothing"),
        (
            "kind = \"queue\"\nmax_deliveries = 0",
            FILTER,
            DONE,
            "given once at least",
        ),
        (
            "disk = { write = { exp = \"5ms\" } }",
            FILTER,
            DONE,
            "the same time for each request",
        ),
        ("kind = \"queue\"", FILTER, "", "nobody acknowledges"),
        ("by = \"shop\"", FILTER, DONE, "shop"),
        (
            "",
            "filter = \"id > 0\"\nthreshold = { value = \"id\", high = 3.0 }",
            DONE,
            "threshold",
        ),
    ];
    for (broker, operator, more, expected) in wrong {
        let said = told(&scenario(broker, operator, more));
        assert!(said.contains(expected), "{broker} {operator}: {said}");
    }
}

#[test]
fn an_operator_that_reaches_back_for_ever_needs_a_snapshot_to_be_read_again() {
    let sessions = "query = \"select count(*) as n from kept window session(5 sec)\"\nwatermark = { behind = \"1s\" }";
    let said = told(&scenario("", sessions, DONE));
    assert!(
        said.contains("a session lasts as long as events keep coming") && said.contains("[snapshot]"),
        "{said}"
    );
    assert_eq!(
        told(&scenario(
            "",
            sessions,
            "[snapshot]\nevery = \"10s\"\n[replay]\nacknowledge = \"snapshot\""
        )),
        ""
    );
}

#[test]
fn what_a_queue_gave_up_is_read_by_its_name_and_nothing_else_gives_up() {
    let dead = |of: &str| format!("{DONE}\n[[sink]]\nname = \"dead\"\ninput = [\"{of}\"]");
    assert_eq!(
        told(&scenario(
            "kind = \"queue\"\nmax_deliveries = 3",
            FILTER,
            &dead("kept.dead")
        )),
        ""
    );
    for (broker, of, expected) in [
        ("", "kept.dead", "gives nothing up"),
        ("", "kept.late", "is a broker"),
        ("", "work.dead", "is no queue"),
        ("kind = \"queue\"", "kept", "a sink acknowledges nothing"),
    ] {
        let said = told(&scenario(broker, FILTER, &dead(of)));
        assert!(said.contains(expected), "{of}: {said}");
    }
}

#[test]
fn results_of_what_nobody_keeps_do_not_go_where_their_numbers_would_be_taken_for_old_ones() {
    let more = |dedup: &str| {
        format!(
            "[snapshot]\nevery = \"10s\"\n[[operator]]\nname = \"early\"\ninput = [\"orders\"]\nfilter = \"true\"\n\
             [[operator]]\nname = \"later\"\ninput = [\"early\"]\nfilter = \"true\"\n\
             [[broker]]\nname = \"results\"\ninput = [\"later\"]\n{dedup}\n\
             [[sink]]\nname = \"shown\"\ninput = [\"results\"]"
        )
    };
    let said = told(&scenario("", FILTER, &more("")));
    assert!(
        said.contains("`early` reads") && said.contains("put a [[broker]] between"),
        "{said}"
    );
    assert_eq!(told(&scenario("", FILTER, &more("dedup = false"))), "");
    let kept = more("").replace("input = [\"orders\"]", "input = [\"kept\"]");
    assert_eq!(told(&scenario("", FILTER, &kept)), "");
}
