//! Sequential convey as a whole: what comes out is what one machine alone would have put out, in its order; how long it
//! takes is exact; and the merge does what its naive model says.

mod common;

use common::{broken, play, play_at, script, taken};
use proptest::prelude::*;
use wavetank_actors::operator::{Dropped, Emitted, Operator, Output};
use wavetank_actors::scaling::convey::Merge;
use wavetank_harness::{Options, Ran, Tank};
use wavetank_oracle::{Arrival, Due, Reference, Why, convey_merge};
use wavetank_reports::record::Verdict;
use wavetank_scenarios::library::LibraryFiles;
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::numbering::{Progress, Sequence};
use wavetank_scenarios::script::Convey;
use wavetank_scenarios::{Event, EventId, Producer, Script, Span, Time, Value};

/// Work on numbered rows with a key, conveyed as these settings say (nothing: by one machine), and more tables.
fn text(work: &str, convey: &str, more: &str) -> String {
    let convey = if convey.is_empty() {
        String::new()
    } else {
        format!("convey = {{ {convey} }}")
    };
    format!(
        r#"
schema  = 1
name    = "belt"
pattern = "sequential-convey"
[[source]]
name   = "rows"
rate   = {{ poisson = "200/s" }}
count  = 300
fields = {{ id = {{ seq = 0 }}, k = {{ zipf = 1.0, count = 12 }}, v = {{ normal = [50.0, 20.0] }} }}
[[operator]]
name   = "work"
input  = ["rows"]
{work}
{convey}
[[sink]]
name  = "out"
input = ["work"]
[[expect]]
name  = "as one machine alone"
final = "out == truth"
{more}
"#
    )
}

/// The rows that the sink took, in its order.
fn rows(ran: &Ran) -> Vec<String> {
    let row =
        |line: &&wavetank_reports::trace::TraceLine| line.row.as_ref().map_or_else(String::new, ToString::to_string);
    taken(ran, "out").iter().map(row).collect()
}

const WORK: [&str; 6] = [
    r#"filter = "v > 45""#,
    r#"query = "select id, k, v * 2.0 as w from rows where k < 9""#,
    r#"transform = [{ derive = { w = "v / 2.0" } }, { project = ["id", "k", "w"] }]"#,
    r#"threshold = { value = "v", high = 60.0, low = 40.0, by = ["k"], emit = "crossings" }"#,
    r#"change = { value = "v", per = "1s", above = 200.0, by = ["k"] }"#,
    r#"first = { quiet = "100ms", by = ["k"] }"#,
];

const MOVES: [&str; 4] = [
    "",
    r#", move = [{ at = "300ms", from = 0, to = 1, share = 0.5 }]"#,
    r#", move = [{ at = "200ms", from = 1, to = 0, keys = [[1], [2], [3]] }, { at = "200ms", from = 0, to = 1, share = 0.7 }]"#,
    r#", hot = { share = 0.4, events = 30 }"#,
];

const ROUTES: [&str; 2] = [r#"{ key = ["k"] }"#, r#"{ ring = { key = ["k"], points = 16 } }"#];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The law: any number of sub-streams of any speed, however they learn of gaps, whatever keys move on the way, put out
    /// what one machine alone puts out, in its order.
    #[test]
    fn conveyed_is_what_one_machine_alone_puts_out_in_its_order(
        seed in 0u64..1_000_000,
        work in 0..WORK.len(),
        streams in 2u32..6,
        route in 0..ROUTES.len(),
        gaps in prop::sample::select(vec!["processed", "end-of-sequence", "skip", "none"]),
        events in 1u32..20,
        moves in 0..MOVES.len(),
        service in prop::collection::vec(0u32..12, 6),
        back in 0u32..40,
    ) {
        let nodes: String = (0..streams)
            .map(|i| format!("[[node]]\nname = \"work-{i}\"\nservice = {{ exp = \"{}ms\" }}\n", service[i as usize] + 1))
            .collect();
        let link = format!("[[link]]\nfrom = \"work\"\nto = \"work.split\"\ndelay = \"{back}ms\"\n");
        let link = if MOVES[moves].is_empty() { String::new() } else { link };
        let convey = format!(
            "streams = {streams}, by = {}, gaps = \"{gaps}\", events = {events}, every = \"50ms\" {}",
            ROUTES[route], MOVES[moves]
        );
        let options = Options { seed: Some(seed), trace: true, ..Options::default() };
        let tank = Tank::default();
        let conveyed = tank.run(&script(&text(WORK[work], &convey, &(nodes + &link))), &options).expect("it runs");
        let alone = tank.run(&script(&text(WORK[work], "", "")), &options).expect("it runs");
        prop_assert_eq!(conveyed.record.verdict, Verdict::Pass, "{:#?}", broken(&conveyed));
        prop_assert_eq!(rows(&conveyed), rows(&alone));
    }

    /// With crashes anywhere something is lost, and it is exactly what is counted: every actor still does what its model
    /// says, and the sink has what was due.
    #[test]
    fn beyond_what_crashes_take_every_part_does_what_its_model_says(
        seed in 0u64..1_000_000,
        work in 0..WORK.len(),
        moves in 0..MOVES.len(),
        gaps in prop::sample::select(vec!["processed", "end-of-sequence", "skip", "none"]),
        timeout in prop::sample::select(vec!["", r#", timeout = "80ms""#]),
        node in prop::sample::select(vec!["work-0", "work-1", "work.split", "work.merge"]),
        at in 1u32..1400,
    ) {
        let fault = format!(
            "[[node]]\nname = \"work\"\nservice = \"6ms\"\n[[fault]]\nid = \"outage\"\nkind = \"crash\"\non = \"{node}\"\n\
             at = \"{at}ms\"\nrestart = \"150ms\"\n"
        );
        let convey = format!(
            "streams = 3, by = {{ key = [\"k\"] }}, gaps = \"{gaps}\", events = 5, every = \"50ms\" {timeout} {}",
            MOVES[moves]
        );
        let text = text(WORK[work], &convey, &fault).replace("out == truth", "out == admitted");
        let ran = play_at(&text, seed);
        // A crash after the end puts nothing to the test.
        prop_assert_ne!(ran.record.verdict, Verdict::Fail, "{:#?}", broken(&ran));
    }

    /// The merge against its naive model, over arrivals in any order with copies, parts, tombstones and time-outs.
    #[test]
    fn the_merge_does_what_its_model_says(
        steps in prop::collection::vec((0u8..6, 0u64..14, 0u32..3, 0usize..3), 0..120),
        timed in any::<bool>(),
        again in any::<bool>(),
    ) {
        let mut settings = serde_json::json!({"streams": 3, "by": "round-robin"});
        if timed {
            settings["timeout"] = "1s".into();
        }
        let settings: Convey = serde_json::from_value(settings).expect("settings");
        let mut merge = Merge::new(&settings, false, Span::UNIT, again);
        let mut model = convey_merge::Merge::new(&settings, Span::UNIT);
        if again {
            model.arrive(&Arrival::Crash);
        }
        let (mut passed, mut out) = ((0, 0), Output::default());
        for (kind, number, part, stream) in steps {
            let due = match kind {
                0..3 => {
                    // Of each number there are as many parts as it says: one, two or three.
                    let of = number as u32 % 3 + 1;
                    let part = part % of;
                    let event = numbered(number, part, part + 1 == of);
                    merge.on_event(stream, event.clone(), Time::ZERO, &mut out);
                    let (now, at) = (Time::ZERO, Time::ZERO);
                    model.arrive(&Arrival::Event { input: stream, event, now, at })
                }
                3 => {
                    merge.on_timer(number, &mut out);
                    model.arrive(&Arrival::Timer { token: number, at: Time::ZERO })
                }
                _ => {
                    let progress = if kind == 4 { Progress::Done(number) } else { Progress::Skip(number) };
                    merge.on_progress(stream, &progress, &mut out);
                    model.progress(stream, &progress).expect("a merge listens")
                }
            };
            for (metric, reading) in &out.measured {
                match metric {
                    Metric::Gaps => passed.0 += reading,
                    Metric::GivenUp => passed.1 += reading,
                    _ => {}
                }
            }
            prop_assert_eq!(did(&out, &merge), due_of(&due));
            prop_assert_eq!(passed, model.passed);
            out.clear();
        }
    }
}

fn numbered(number: u64, part: u32, last: bool) -> Event {
    let id = EventId {
        producer: Producer(part),
        number,
    };
    Event {
        id,
        stamp: Time::from_micros((number as i64 * 7) % 5),
        correlation: id,
        planned: Time::ZERO,
        row: [Value::Int(i64::from(part))].into(),
        lineage: None,
        pane: None,
        sequence: Some(Sequence {
            number,
            part,
            last,
            after: 0,
        }),
        position: None,
    }
}

/// Results, ends, what is held, and how far a watermark may go.
type Seen = (Vec<EventId>, Vec<(EventId, Why)>, u64, Time);

fn did(out: &Output, merge: &Merge) -> Seen {
    let results = out.emitted.iter().filter_map(|emitted| match emitted {
        Emitted::Result(draft) => Some(draft.correlation),
        Emitted::Late(_) | Emitted::Failed(_) => None,
    });
    let why = |why: &Dropped| match why {
        Dropped::Filtered => Why::Filtered,
        Dropped::Late => Why::Late,
        Dropped::Failed => Why::Failed,
    };
    let dropped = out.dropped.iter().map(|(id, reason)| (*id, why(reason)));
    (
        results.collect(),
        dropped.collect(),
        merge.held(),
        merge.watermark_limit(),
    )
}

fn due_of(due: &Due) -> Seen {
    let results = due.results.iter().map(|result| result.correlation).collect();
    (results, due.dropped.clone(), due.held, due.limit.unwrap_or(Time::MAX))
}

/// A run of 240 rows that come at once and take 10 ms each, on so many machines.
fn throughput(streams: u32, merge: &str) -> i64 {
    let text = format!(
        r#"
schema  = 1
name    = "throughput"
pattern = "sequential-convey"
[[source]]
name   = "rows"
schema = {{ id = "int" }}
events = [{}]
[[operator]]
name   = "work"
input  = ["rows"]
filter = "id >= 0"
convey = {{ streams = {streams}, by = "round-robin" }}
[[sink]]
name  = "out"
input = ["work"]
[[node]]
name    = "work"
service = "10ms"
{merge}
[[expect]]
name  = "all of them"
final = "out.results == 240 and out == truth"
"#,
        (0..240)
            .map(|id| format!("{{ t = \"0s\", row = {{ id = {id} }} }}"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let ran = play(&text);
    assert_eq!(ran.record.verdict, Verdict::Pass, "{:#?}", broken(&ran));
    taken(&ran, "out")
        .iter()
        .map(|line| line.time.0)
        .max()
        .expect("something came")
}

#[test]
fn throughput_scales_with_sub_streams_exactly() {
    for streams in [1, 2, 4, 8] {
        assert_eq!(throughput(streams, ""), 2_400_000 / i64::from(streams));
    }
}

#[test]
fn a_slow_merge_is_the_bottleneck_and_more_sub_streams_do_not_help() {
    let merge = "[[node]]\nname = \"work.merge\"\nservice = \"5ms\"";
    // The first result comes after one piece of work; then 240 results, 5 ms each, one after the other.
    for streams in [4, 8] {
        assert_eq!(throughput(streams, merge), 10_000 + 240 * 5_000);
    }
    // Two sub-streams bring two results every 10 ms, which is what the merge can do.
    assert_eq!(throughput(2, merge), 10_000 + 240 * 5_000);
}

#[test]
fn a_look_up_takes_its_time_exactly_and_a_remembered_one_none() {
    let ran = play(
        r#"
schema  = 1
name    = "look-ups"
pattern = "transformation"
[[source]]
name   = "rows"
schema = { code = "int" }
events = [
  { t = "0ms", row = { code = 1 } },
  { t = "10ms", row = { code = 1 } },     # waits for the first, then knows the answer
  { t = "20ms", row = { code = 2 } },     # another 30 ms
  { t = "200ms", row = { code = 9 } },    # that there is none takes as long to learn
  { t = "300ms", row = { code = 1 } },
  { t = "301ms", row = { code = 2 } },    # 9 and 1 were used after it
  { t = "400ms", row = {} },              # nobody is asked
]
[[table]]
name = "names"
rows = [{ code = 1, name = "one" }, { code = 2, name = "two" }]
[[operator]]
name      = "named"
input     = ["rows"]
transform = [{ enrich = { table = "names", on = { code = "code" }, fields = ["name"], cost = "30ms", cache = 2 } }]
[[sink]]
name  = "out"
input = ["named"]
[[expect]]
name  = "hits and misses"
final = "named.cache_hits == 1 and named.cache_misses == 5"
[[expect]]
name  = "as one would expect"
final = "out == truth"
"#,
    );
    assert_eq!(ran.record.verdict, Verdict::Pass, "{:#?}", broken(&ran));
    let times: Vec<i64> = taken(&ran, "out").iter().map(|line| common::millis(line)).collect();
    assert_eq!(times, [30, 30, 60, 230, 330, 360, 400]);
}

#[test]
fn a_worker_that_crashes_at_a_look_up_loses_that_event_and_says_so() {
    let ran = play(
        r#"
schema  = 1
name    = "look-ups"
pattern = "transformation"
[[source]]
name   = "rows"
schema = { code = "int" }
events = [{ t = "0ms", row = { code = 1 } }, { t = "10ms", row = { code = 1 } }, { t = "500ms", row = { code = 1 } }]
[[table]]
name = "names"
rows = [{ code = 1, name = "one" }]
[[operator]]
name      = "named"
input     = ["rows"]
transform = [{ enrich = { table = "names", on = { code = "code" }, fields = ["name"], cost = "100ms" } }]
[[sink]]
name  = "out"
input = ["named"]
[[fault]]
id      = "outage"
kind    = "crash"
on      = "named"
at      = "50ms"
restart = "100ms"
[[expect]]
name  = "the one at work and the one that waited"
final = "named.lost_in_crash == 2 and out.results == 1"
"#,
    );
    assert_eq!(ran.record.verdict, Verdict::Pass, "{:#?}", broken(&ran));
}

/// The problems of a conveyed filter or other work.
fn problems(work: &str, convey: &str) -> String {
    let text = text(work, convey, "");
    match Script::load(&text, "inline.toml", &LibraryFiles, &[]) {
        Ok(_) => panic!("nothing is wrong with\n{text}"),
        Err(problems) => {
            let say = |p: &wavetank_scenarios::Problem| format!("{} ({})", p.message, p.help.as_deref().unwrap_or("-"));
            problems.iter().map(say).collect::<Vec<_>>().join("; ")
        }
    }
}

#[test]
fn what_is_wrong_is_said_with_what_was_probably_meant() {
    let filter = WORK[0];
    let by = r#"by = { key = ["k"] }"#;
    let cases = [
        (filter, r#"streams = 0, by = "load""#.to_owned(), "from 1 to 1000"),
        (
            filter,
            format!("streams = 2, spare = 2, {by}"),
            "2 of 2 sub-streams are spare",
        ),
        (
            filter,
            r#"streams = 2, by = { key = ["kk"] }"#.to_owned(),
            "no field `kk`",
        ),
        (
            filter,
            r#"streams = 2, by = { key = [] }"#.to_owned(),
            "a key of no fields",
        ),
        (
            filter,
            r#"streams = 2, by = { predicates = ["k > 1", "k > 2"] }"#.to_owned(),
            "3 sub-streams, and there are 2",
        ),
        (
            filter,
            r#"streams = 2, by = { type = { field = "k", to = { a = 5 } } }"#.to_owned(),
            "no sub-stream 5",
        ),
        (
            filter,
            format!(r#"streams = 2, {by}, merge = "arrival", timeout = "1s""#),
            "waits for nothing",
        ),
        (
            filter,
            format!(r#"streams = 2, {by}, move = [{{ at = "1s", from = 0, to = 0, share = 0.5 }}]"#),
            "there already",
        ),
        (
            filter,
            format!(r#"streams = 2, {by}, move = [{{ at = "1s", from = 0, to = 1 }}]"#),
            "which keys move",
        ),
        (
            filter,
            format!(r#"streams = 2, {by}, move = [{{ at = "1s", from = 0, to = 1, keys = [[1, 2]] }}]"#),
            "has 2 values",
        ),
        (
            filter,
            r#"streams = 2, by = "load", hot = { share = 0.5, events = 9 }"#.to_owned(),
            "dealt by key",
        ),
        (
            filter,
            format!("streams = 2, {by}, hot = {{ share = 1.5, events = 9 }}"),
            "between 0 and 1",
        ),
        (
            WORK[3],
            r#"streams = 2, by = "round-robin""#.to_owned(),
            r#"by = { key = ["k"] }"#,
        ),
        (
            WORK[3],
            r#"streams = 2, by = { key = ["id"] }"#.to_owned(),
            "a state for each k",
        ),
        (
            r#"first = { quiet = "1s" }"#,
            format!("streams = 2, {by}"),
            "one state for all keys",
        ),
        (
            r#"query = "select k, count(*) as n from rows window tumbling(1 sec) group by k""#,
            format!("streams = 2, {by}"),
            r#"merge = "arrival""#,
        ),
        (
            r#"query = "select count(*) as n from rows window length(5)""#,
            format!(r#"streams = 2, {by}, merge = "arrival""#),
            "one state for all events",
        ),
    ];
    for (work, convey, expected) in cases {
        let said = problems(work, &convey);
        assert!(said.contains(expected), "`{convey}` says\n{said}\nnot\n{expected}");
    }
}

#[test]
fn windows_by_key_can_be_conveyed_and_merged_as_they_arrive() {
    let windows = r#"query = "select k, count(*) as n, sum(v) as total from rows window tumbling(200 ms) group by k"
watermark = { behind = "10ms" }"#;
    let convey = r#"streams = 3, by = { key = ["k"] }, merge = "arrival""#;
    let ran = play(&text(
        windows,
        convey,
        "[[node]]\nname = \"work-1\"\nservice = \"7ms\"\n",
    ));
    assert_eq!(ran.record.verdict, Verdict::Pass, "{:#?}", broken(&ran));
    assert!(rows(&ran).len() > 20);
}

#[test]
fn what_fails_goes_aside_from_every_sub_stream_and_late_results_from_the_merge() {
    let work = r#"transform = [{ derive = { w = "1 / (k - 3)" } }]
late = "side""#;
    let convey = r#"streams = 3, by = { key = ["k"] }, timeout = "20ms""#;
    let more = r#"
[[sink]]
name  = "aside"
input = ["work.failed"]
[[sink]]
name  = "behind"
input = ["work.late"]
[[node]]
name    = "work-0"
service = "30ms"
[[expect]]
name  = "what is too late for the order is put aside"
final = "behind.results > 0 and work.merge.late == behind.results and work.merge.given_up >= behind.results"
[[expect]]
name  = "what cannot be worked on too"
final = "aside == truth and aside.results == work.failed and work.failed > 0"
"#;
    let text = text(work, convey, more).replace("out == truth", "out == admitted");
    let ran = play(&text);
    assert_eq!(ran.record.verdict, Verdict::Pass, "{:#?}", broken(&ran));
}
