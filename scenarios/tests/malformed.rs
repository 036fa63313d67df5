//! Scenario and data files with something wrong in them: each gets an error with a place, nearly all a help, none a panic.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use wavetank_scenarios::{Files, LIBRARY, LibraryFiles, Problem, Script};

/// Files in memory, then the library's.
#[derive(Default)]
struct Given(BTreeMap<&'static str, &'static [u8]>);

impl Files for Given {
    fn read(&self, name: &str) -> Result<Arc<[u8]>, String> {
        match self.0.get(name) {
            Some(bytes) => Ok((*bytes).into()),
            None => LibraryFiles.read(name),
        }
    }
    fn list(&self, folder: &str) -> Result<Vec<String>, String> {
        LibraryFiles.list(folder)
    }
}

const GOOD: &str = r#"schema  = 1
name    = "good"
pattern = "windowed-aggregation"
about   = "Everything is right here."

[time]
length = "10m"
seed   = 42

[[table]]
name = "stores"
rows = [{ store = 1, city = "Ulm" }, { store = 2, city = "Jena" }]

[[node]]
name = "shop-1"
offset = "1s"

[[source]]
name   = "orders"
stream = "OrderStream/1.0"
rate   = "200/s"
nodes  = 3
fields = { store = { zipf = 1.1, count = 20 }, amount = { lognormal = [3.0, 0.9] } }

[[source]]
name = "shop"
events = [{ t = "1s", row = { a = 1 } }, { t = "2s", row = { a = 2 } }]
node_by = "a"
nodes = 2

[[operator]]
name  = "per-minute"
input = ["orders"]
query = """
  select store, count(*) as n, sum(amount) as total
  from orders window tumbling(1 min)
  group by store
"""
watermark = { behind = "2s", idle = "30s" }
late      = "correct"
horizon   = "10m"

[[operator]]
name = "enriched"
input = ["per-minute"]
transform = [{ enrich = { table = "stores", on = { store = "store" }, fields = ["city"] } }, { drop = ["n"] }]

[[operator]]
name = "high"
input = ["shop"]
threshold = { value = "a", high = 5.0, low = 3.0, by = ["a"] }

[[sink]]
name  = "dashboard"
input = ["enriched"]

[[sink]]
name  = "alarm"
input = ["high"]

[[link]]
from = "orders"
to   = "per-minute"
kind = "datagram"
delay = { exp = "40ms" }

[[fault]]
id = "slow-link"
kind = "delay"
on = "orders -> per-minute"
during = "2m..5m"
rate = 0.05
amount = { lognormal = { median = "20s", sigma = 1.0 } }

[[fault]]
id = "kill"
kind = "crash"
on = "per-minute"
at = "4m"
restart = "3s"

[[expect]]
name  = "complete"
final = "dashboard == truth"

[[expect]]
name = "in time"
eventually = "per-minute.emit_delay.p99 <= 2500ms"
within = "1m"
"#;

/// What is replaced by what, and a part of what the error must say.
const WRONG: &[(&str, &str, &str)] = &[
    // the text
    ("schema  = 1\n", "schema  = \n", ""),
    ("[time]", "[time", ""),
    ("name    = \"good\"", "name    = \"good", ""),
    (
        "name    = \"good\"",
        "name = \"good\"\nname = \"good\"",
        "duplicate key",
    ),
    ("[time]", "[time]\n= 3", ""),
    ("[[sink]]\nname  = \"alarm\"", "[sink]\nname  = \"alarm\"", ""),
    ("about   = \"Everything", "about   = \"\\q Everything", ""),
    // keys and choices
    ("about   =", "abuot   =", "there is no key `abuot`"),
    ("seed   =", "sed   =", "there is no key `sed`"),
    ("length =", "lenght =", "there is no key `lenght`"),
    ("rate   =", "rat   =", "there is no key `rat`"),
    (
        "[[operator]]\nname  = \"per-minute\"",
        "[[operatr]]\nname  = \"per-minute\"",
        "there is no key `operatr`",
    ),
    ("watermark = { behind", "watermark = { behnd", "there is no key `behnd`"),
    (
        "kind = \"datagram\"",
        "kind = \"datagrm\"",
        "there is no choice `datagrm`",
    ),
    ("kind = \"delay\"", "kind = \"dely\"", "there is no choice `dely`"),
    (
        "pattern = \"windowed-aggregation\"",
        "pattern = \"window-aggregation\"",
        "there is no choice",
    ),
    (
        "late      = \"correct\"",
        "late      = \"corect\"",
        "there is no choice `corect`",
    ),
    ("{ drop = [\"n\"] }", "{ drp = [\"n\"] }", "drp"),
    ("schema  = 1\n", "", "`schema` is missing"),
    ("name  = \"dashboard\"\n", "", "`name` is missing"),
    ("id = \"kill\"\n", "", "`id` is missing"),
    ("behind = \"2s\", ", "", "`behind` is missing"),
    ("input = [\"orders\"]\nquery", "query", "`input` is missing"),
    ("schema  = 1\n", "schema  = \"one\"\n", "does not fit"),
    ("schema  = 1\n", "schema  = 2\n", "version 2"),
    ("seed   = 42", "seed   = -42", ""),
    ("seed   = 42", "seed   = \"x\"", "does not fit"),
    ("input = [\"orders\"]", "input = \"orders\"", "does not fit"),
    ("nodes  = 3", "nodes  = -3", ""),
    ("nodes  = 3", "nodes  = 0", "1 to 10000 nodes"),
    (
        "stream = \"OrderStream/1.0\"",
        "stream = \"OrderStream\"",
        "is not a stream",
    ),
    // durations and rates
    ("length = \"10m\"", "length = 10", "does not fit"),
    ("length = \"10m\"", "length = \"10\"", "the unit is missing"),
    ("length = \"10m\"", "length = \"10 minuets\"", "is no unit"),
    ("length = \"10m\"", "length = \"0s\"", "longer than zero"),
    ("length = \"10m\"", "length = \"-1m\"", "longer than zero"),
    ("length = \"10m\"\n", "", "would never end"),
    ("seed   = 42", "tick = \"0s\"", "longer than zero"),
    ("behind = \"2s\"", "behind = \"-2s\"", "must not be negative"),
    ("idle = \"30s\"", "idle = \"0s\"", "longer than zero"),
    ("horizon   = \"10m\"", "horizon   = \"-10m\"", "must not be negative"),
    ("rate   = \"200/s\"", "rate   = 200", "a rate with a unit"),
    ("rate   = \"200/s\"", "rate   = \"200\"", "is not a rate"),
    ("rate   = \"200/s\"", "rate   = \"0/s\"", "above zero"),
    (
        "rate   = \"200/s\"",
        "rate   = { poison = \"200/s\" }",
        "knows no `poison`",
    ),
    (
        "rate   = \"200/s\"",
        "rate   = { bursts = { size = 3 } }",
        "lacks `every`",
    ),
    ("{ zipf = 1.1, count = 20 }", "{ zipf = 1.1 }", "how many ranks"),
    (
        "{ zipf = 1.1, count = 20 }",
        "{ zpif = 1.1, count = 20 }",
        "knows no `zpif`",
    ),
    (
        "{ lognormal = [3.0, 0.9] }",
        "{ lognormal = [3.0] }",
        "takes [mu, sigma]",
    ),
    (
        "{ lognormal = [3.0, 0.9] }",
        "{ walk = { start = 1.0, step = 1.0, by = \"stroe\" } }",
        "there is no field `stroe`",
    ),
    (
        "delay = { exp = \"40ms\" }",
        "delay = { expo = \"40ms\" }",
        "knows no `expo`",
    ),
    ("delay = { exp = \"40ms\" }", "delay = \"-40ms\"", "before it was sent"),
    (
        "delay = { exp = \"40ms\" }",
        "delay = { empirical = \"none.csv\" }",
        "cannot be read",
    ),
    (
        "delay = { exp = \"40ms\" }",
        "delay = { uniform = [\"2s\", \"1s\"] }",
        "is not above",
    ),
    (
        "delay = { exp = \"40ms\" }",
        "delay = { exp = \"40ms\" }\nbandwidth = 0.0",
        "more than nothing",
    ),
    (
        "delay = { exp = \"40ms\" }",
        "delay = { exp = \"40ms\" }\nbatch = 0",
        "1 at least",
    ),
    (
        "delay = { exp = \"40ms\" }",
        "delay = { exp = \"40ms\" }\nlinger = \"1s\"",
        "there is none",
    ),
    // names that lead nowhere
    (
        "input = [\"orders\"]",
        "input = [\"oders\"]",
        "no source or operator `oders`",
    ),
    ("input = [\"orders\"]", "input = []", "reads nothing"),
    ("input = [\"orders\"]", "input = [\"orders\", \"orders\"]", "read twice"),
    ("input = [\"orders\"]", "input = [\"per-minute\"]", "reads itself"),
    ("input = [\"orders\"]", "input = [\"enriched\"]", "in a ring"),
    (
        "input = [\"high\"]",
        "input = [\"dashboard\"]",
        "no source or operator `dashboard`",
    ),
    (
        "input = [\"high\"]",
        "input = [\"shop.late\"]",
        "only operators put events aside",
    ),
    ("input = [\"high\"]", "input = [\"high.lte\"]", "no source or operator"),
    ("from = \"orders\"\nto", "from = \"oders\"\nto", "there is no link"),
    ("to   = \"per-minute\"", "to   = \"dashboard\"", "there is no link"),
    (
        "on = \"orders -> per-minute\"",
        "on = \"orders -> per-minut\"",
        "there is no link",
    ),
    ("on = \"orders -> per-minute\"", "on = \"orders\"", "there is no link"),
    ("on = \"per-minute\"\nat", "on = \"per-mnute\"\nat", "there is no node"),
    ("name = \"shop-1\"", "name = \"shop-7\"", "nobody stands on"),
    ("name  = \"dashboard\"", "name  = \"per-minute\"", "already"),
    ("name = \"shop\"\n", "name = \"orders\"\n", "already"),
    ("name = \"shop\"\n", "name = \"orders-1\"\n", "already"),
    ("id = \"kill\"", "id = \"slow-link\"", "already"),
    ("name = \"in time\"", "name = \"complete\"", "already"),
    ("name    = \"good\"", "name    = \"so good\"", "is not a name"),
    ("name  = \"dashboard\"", "name  = \"\"", "is not a name"),
    ("table = \"stores\"", "table = \"store\"", "there is no table"),
    ("node_by = \"a\"", "node_by = \"b\"", "there is no field `b`"),
    // sources and operators
    (
        "rate   = \"200/s\"\n",
        "rate   = \"200/s\"\nmarbles = \"-a-\"\n",
        "`rate` and `marbles`",
    ),
    (
        "events = [{ t = \"1s\", row = { a = 1 } }, { t = \"2s\", row = { a = 2 } }]\n",
        "",
        "says nothing",
    ),
    (
        "events = [{ t = \"1s\", row = { a = 1 } }, { t = \"2s\", row = { a = 2 } }]\n",
        "events = []\nfields = { a = { seq = 1 } }\n",
        "its `events` are empty",
    ),
    ("{ t = \"2s\", row", "{ row", "when this event happened"),
    ("{ t = \"2s\", row", "{ t = \"2s\", watermark = \"1s\", row", "not both"),
    (
        "{ t = \"2s\", row",
        "{ t = \"2s\", at = \"500ms\", row",
        "before the one above",
    ),
    ("{ t = \"2s\", row", "{ t = \"2s\", rwo", "there is no key `rwo`"),
    (
        "events = [{ t = \"1s\", row = { a = 1 } }, { t = \"2s\", row = { a = 2 } }]\nnode_by = \"a\"",
        "marbles = \"-a(b-c)\"",
        "no `-` inside",
    ),
    (
        "events = [{ t = \"1s\", row = { a = 1 } }, { t = \"2s\", row = { a = 2 } }]\nnode_by = \"a\"",
        "marbles = \"-a|b\"",
        "behind the end",
    ),
    (
        "events = [{ t = \"1s\", row = { a = 1 } }, { t = \"2s\", row = { a = 2 } }]\nnode_by = \"a\"",
        "marbles = \"-a#\"",
        "is no marble",
    ),
    (
        "events = [{ t = \"1s\", row = { a = 1 } }, { t = \"2s\", row = { a = 2 } }]\nnode_by = \"a\"",
        "marbles = \"(a\"",
        "not closed",
    ),
    ("threshold = {", "filter = \"a > 1\"\nthreshold = {", "does one thing"),
    (
        "threshold = { value = \"a\", high = 5.0, low = 3.0, by = [\"a\"] }",
        "",
        "does nothing",
    ),
    ("low = 3.0", "low = 7.0", "low is 7"),
    ("by = [\"a\"]", "by = [\"b\"]", "there is no field `b`"),
    ("value = \"a\"", "value = \"b\"", "there is no field `b`"),
    ("value = \"a\"", "value = \"a +\"", "expected an expression"),
    ("value = \"a\"", "value = \"sum(a)\"", "an aggregate cannot stand here"),
    ("{ drop = [\"n\"] }", "{ drop = [\"m\"] }", "there is no field `m`"),
    (
        "fields = [\"city\"] }",
        "fields = [\"town\"] }",
        "there is no field `town`",
    ),
    (
        "on = { store = \"store\" }",
        "on = { shop = \"store\" }",
        "there is no field `shop`",
    ),
    (
        "rows = [{ store = 1, city = \"Ulm\" }, { store = 2, city = \"Jena\" }]",
        "",
        "either rows or a file",
    ),
    // queries
    ("select store,", "selct store,", "begins with `select`"),
    ("sum(amount)", "smu(amount)", "there is no function `smu`"),
    ("sum(amount)", "sum(amont)", "there is no field `amont`"),
    ("tumbling(1 min)", "tumblin(1 min)", "there is no window `tumblin`"),
    ("tumbling(1 min)", "tumbling(1 mni)", "is no unit"),
    ("tumbling(1 min)", "tumbling(1 min", "not closed"),
    ("group by store", "group by shop", "neither in `group by`"),
    ("from orders window", "from order window", "no input of this operator"),
    (
        "from orders window",
        "from orders join x window",
        "each stream of such a join has a window",
    ),
    ("group by store", "group by store limit x", "a whole number"),
    // links, faults, expectations
    (
        "[[link]]\nfrom = \"orders\"\nto   = \"per-minute\"",
        "[[link]]\nfrom = \"per-minute\"\nto   = \"enriched\"",
        "may lose and reorder watermarks",
    ),
    ("during = \"2m..5m\"", "during = \"5m..2m\"", "is empty"),
    ("during = \"2m..5m\"", "during = \"2m\"", "is not a period"),
    ("rate = 0.05", "rate = 1.5", "a share from 0 to 1"),
    ("rate = 0.05", "rate = -0.1", "a share from 0 to 1"),
    ("rate = 0.05", "rate = 0.05\nrestart = \"3s\"", "takes no `restart`"),
    (
        "amount = { lognormal = { median = \"20s\", sigma = 1.0 } }",
        "",
        "needs `amount`",
    ),
    (
        "amount = { lognormal = { median = \"20s\", sigma = 1.0 } }",
        "amount = \"-2s\"",
        "must not be negative",
    ),
    ("at = \"4m\"\n", "", "happens at moments"),
    ("at = \"4m\"", "at = \"2m..4m\"", "is a period"),
    ("at = \"4m\"", "every = \"0s\"", "longer than zero"),
    ("restart = \"3s\"", "restart = \"-3s\"", "longer than zero"),
    ("kind = \"crash\"", "kind = \"pause\"", "for how long"),
    ("kind = \"crash\"", "kind = \"slow\"", "needs `factor`"),
    (
        "final = \"dashboard == truth\"",
        "finl = \"dashboard == truth\"",
        "there is no key `finl`",
    ),
    ("final = \"dashboard == truth\"", "", "states nothing"),
    (
        "final = \"dashboard == truth\"",
        "final = \"dashboard == truth\"\nalways = \"1 > 0\"",
        "states one thing",
    ),
    (
        "final = \"dashboard == truth\"",
        "final = \"dashbord == truth\"",
        "no sink or table `dashbord`",
    ),
    (
        "final = \"dashboard == truth\"",
        "final = \"dashboard truth\"",
        "compared with",
    ),
    (
        "final = \"dashboard == truth\"",
        "final = \"per-minute.lat == 0\"",
        "no metric of an operator `lat`",
    ),
    (
        "final = \"dashboard == truth\"",
        "final = \"per-minut.late == 0\"",
        "no actor, link or fault",
    ),
    (
        "final = \"dashboard == truth\"",
        "final = \"per-minute.emit_delay < 3s\"",
        "which number of it",
    ),
    (
        "final = \"dashboard == truth\"",
        "final = \"per-minute.late.p99 < 3\"",
        "a single number",
    ),
    (
        "final = \"dashboard == truth\"",
        "final = \"fault.kil.fired > 0\"",
        "no actor, link or fault",
    ),
    ("within = \"1m\"\n", "", "within how long"),
    ("within = \"1m\"\n", "within = \"0s\"\n", "longer than zero"),
    (
        "final = \"dashboard == truth\"",
        "final = \"dashboard == truth\"\nwithin = \"1m\"",
        "belongs to `eventually`",
    ),
    (
        "about   = \"Everything is right here.\"",
        "because = [\"complete\"]",
        "must pass",
    ),
    (
        "[[sink]]\nname  = \"dashboard\"\ninput = [\"enriched\"]\n\n[[sink]]\nname  = \"alarm\"\ninput = [\"high\"]",
        "",
        "no sink",
    ),
];

/// The name of a data file, what is in it, the source's settings, and a part of what the error must say.
const BAD_DATA: &[(&str, &[u8], &str, &str)] = &[
    ("x.csv", b"", "event_time = \"t\"", "empty"),
    ("x.csv", b"t,t\n", "event_time = \"t\"", "two columns"),
    ("x.csv", b"t,\n", "event_time = \"t\"", "has no name"),
    ("x.csv", b"time,n\n", "event_time = \"t\"", "no column `t`"),
    (
        "x.csv",
        b"t,n\n2013-01-01T00:00:00Z\n",
        "event_time = \"t\"",
        "has 1 columns",
    ),
    (
        "x.csv",
        b"t,n\n2013-01-01T00:00:00Z,1,2\n",
        "event_time = \"t\"",
        "has 3 columns",
    ),
    ("x.csv", b"t,n\nnoon,1\n", "event_time = \"t\"", "is not a time"),
    (
        "x.csv",
        b"t,n\n2013-13-01T00:00:00Z,1\n",
        "event_time = \"t\"",
        "is not a time",
    ),
    ("x.csv", b"t,n\n,1\n", "event_time = \"t\"", "the time is missing"),
    (
        "x.csv",
        b"t,n\n2013-01-01T00:00:00Z,\xff\n",
        "event_time = \"t\"",
        "UTF-8",
    ),
    (
        "x.csv",
        b"t,n\n2013-01-01T00:00:00Z,x\n",
        "event_time = \"t\"\nschema = { n = \"int\" }",
        "is no int",
    ),
    (
        "x.csv",
        b"t,n\n2013-01-01T00:00:00Z,1\n",
        "event_time = \"t\"\nschema = { m = \"int\" }",
        "no column `m`",
    ),
    (
        "x.csv",
        b"t,n\n5m,1\n",
        "event_time = \"t\"\ntime_format = \"seconds\"",
        "is not a number",
    ),
    ("x.csv", b"t,n\n1,1\n", "", "is not known"),
    (
        "x.csv",
        b"t,n\n1,1\n",
        "event_time = \"t\"\ntime_format = \"secnds\"",
        "no choice `secnds`",
    ),
    ("x.jsonl", b"", "event_time = \"t\"", "empty"),
    ("x.jsonl", b"{\"t\": }\n", "event_time = \"t\"", "expected value"),
    ("x.jsonl", b"[1, 2]\n", "event_time = \"t\"", "expected a map"),
    (
        "x.jsonl",
        b"{\"n\": 1}\n",
        "event_time = \"t\"",
        "no line has a field `t`",
    ),
    ("x.jsonl", b"{\"t\": \"noon\"}\n", "event_time = \"t\"", "is not a time"),
    (
        "x.jsonl",
        b"{\"t\": \"2013-01-01T00:00:00Z\", \"n\": \"x\"}\n",
        "event_time = \"t\"\nschema = { n = \"int\" }",
        "is no int",
    ),
    ("x.jsonl", b"\xff\n", "event_time = \"t\"", "UTF-8"),
    ("x.xml", b"<a/>", "event_time = \"t\"", "what kind of file"),
    ("../x.csv", b"", "event_time = \"t\"", ""),
];

fn load(text: &str, files: &dyn Files) -> Result<Script, Vec<Problem>> {
    Script::load(text, "bad.toml", files, &[])
}

fn check(what: &str, text: &str, files: &dyn Files, wanted: &str) -> (Vec<Problem>, bool) {
    let Err(problems) = load(text, files) else {
        panic!("nothing is found wrong with: {what}")
    };
    for problem in &problems {
        assert!(
            problem.line > 0 && problem.column > 0 && problem.length > 0,
            "{what}: {problem:?}"
        );
        assert!(
            !problem.message.trim().is_empty() && !problem.file.is_empty(),
            "{what}: {problem:?}"
        );
    }
    assert!(
        problems.iter().any(|p| p.message.contains(wanted)),
        "{what} should say `{wanted}`: {problems:#?}"
    );
    let helped = problems.iter().any(|p| p.help.is_some());
    (problems, helped)
}

#[test]
fn the_scenario_that_all_others_are_made_from_is_good() {
    if let Err(problems) = load(GOOD, &LibraryFiles) {
        panic!("{problems:#?}");
    }
}

#[test]
fn each_of_a_hundred_wrong_scenarios_gets_an_error_with_place_and_most_a_help() {
    let mut helped = 0;
    let mut report = String::new();
    for (find, replace, wanted) in WRONG {
        assert!(GOOD.contains(find), "{find} is not in the good scenario");
        let text = GOOD.replacen(find, replace, 1);
        let (problems, help) = check(replace, &text, &LibraryFiles, wanted);
        helped += usize::from(help);
        let first = &problems[0];
        let line = text.lines().nth(first.line - 1).unwrap_or_default();
        report.push_str(&format!(
            "{first}\n  | {line}\n  | {}{}\n",
            " ".repeat(first.column - 1),
            "^".repeat(first.length.min(60))
        ));
    }
    assert!(WRONG.len() + BAD_DATA.len() >= 150);
    assert!(
        helped * 10 >= WRONG.len() * 8,
        "{helped} of {} have a help",
        WRONG.len()
    );
    insta::assert_snapshot!("wrong_scenarios", report);
}

#[test]
fn each_wrong_data_file_gets_an_error_with_its_line() {
    for (name, bytes, settings, wanted) in BAD_DATA {
        let text = format!(
            "schema = 1\nname = \"d\"\npattern = \"filter\"\n[[source]]\nname = \"s\"\nfile = \"{name}\"\n{settings}\n\
             [[operator]]\nname = \"o\"\ninput = [\"s\"]\nfilter = \"true\"\n[[sink]]\nname = \"k\"\ninput = [\"o\"]\n"
        );
        let files = Given(if name.starts_with("..") {
            BTreeMap::new()
        } else {
            BTreeMap::from([(*name, *bytes)])
        });
        check(&format!("{name} with {settings}"), &text, &files, wanted);
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let text = GOOD
        .replacen("input = [\"orders\"]", "input = [\"oders\"]", 1)
        .replacen("nodes  = 3", "nodes  = 0", 1)
        .replacen("idle = \"30s\"", "idle = \"0s\"", 1);
    let Err(problems) = load(&text, &LibraryFiles) else {
        panic!("three things are wrong")
    };
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(problems.is_sorted_by_key(|p| p.line));
}

#[test]
fn an_error_inside_a_query_points_into_the_file() {
    let text = GOOD.replacen("window tumbling", "window tumblin", 1);
    let Err(problems) = load(&text, &LibraryFiles) else {
        panic!("there is no such window")
    };
    let line = text.lines().nth(problems[0].line - 1).unwrap_or_default();
    let behind: String = line.chars().skip(problems[0].column - 1).collect();
    assert!(behind.starts_with("tumblin("), "{}: {behind}", problems[0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_file_with_bytes_changed_is_read_or_refused_with_a_place(
        entry in 0usize..4,
        at in 0.0f64..1.0,
        cut in 0usize..12,
        with in "[ -~\n]{0,6}",
    ) {
        let texts: Vec<&str> = LIBRARY.entries().filter(|e| !e.text.contains("file =")).map(|e| e.text).chain([GOOD]).collect();
        let text = texts[entry % texts.len()];
        let mut from = (at * text.len() as f64) as usize;
        while !text.is_char_boundary(from) {
            from -= 1;
        }
        let mut to = (from + cut).min(text.len());
        while !text.is_char_boundary(to) {
            to += 1;
        }
        let changed = format!("{}{with}{}", &text[..from], &text[to..]);
        if let Err(problems) = load(&changed, &LibraryFiles) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.line > 0 && problem.column > 0 && !problem.message.is_empty(), "{:?}", problem);
            }
        }
    }

    #[test]
    fn any_bytes_as_a_data_file_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), json: bool) {
        struct One(Vec<u8>);
        impl Files for One {
            fn read(&self, _: &str) -> Result<Arc<[u8]>, String> {
                Ok(self.0.as_slice().into())
            }
        }
        let name = if json { "x.jsonl" } else { "x.csv" };
        let text = format!(
            "schema = 1\nname = \"d\"\npattern = \"filter\"\n[[source]]\nname = \"s\"\nfile = \"{name}\"\nrate = \"1/s\"\non_bad = \"skip\"\n\
             [[operator]]\nname = \"o\"\ninput = [\"s\"]\nfilter = \"true\"\n[[sink]]\nname = \"k\"\ninput = [\"o\"]\n"
        );
        let _ = load(&text, &One(bytes));
    }
}
