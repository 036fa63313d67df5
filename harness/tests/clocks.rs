//! Whose clock counts: events that are ahead of the node's clock wait until it shows their stamps, and windows go by the
//! clocks of their keys. Whatever the arrivals, the clocks and the settings, operators and references say the same at
//! every step.

mod common;

use std::fmt::Write;

use common::{millis, play, script, stamp, taken};
use proptest::prelude::*;
use wavetank_harness::{Options, Tank};

/// A node with this clock, one event stamped 50 s that arrives at 40 s, and where a filter that holds it lets it go.
fn held_until(clock: &str, faults: &str) -> i64 {
    let text = format!(
        "schema = 1\nname = \"held\"\npattern = \"filter\"\n\
         [[source]]\nname = \"s\"\nevents = [\n  {{ t = \"50s\", at = \"40s\", row = {{ v = 1 }} }},\n\
         {{ t = \"30s\", at = \"41s\", row = {{ v = 2 }} }},\n  {{ t = \"2m\", row = {{ v = 3 }} }},\n]\n\
         [[node]]\nname = \"op\"\n{clock}\n{faults}\n\
         [[operator]]\nname = \"op\"\ninput = [\"s\"]\nfilter = \"v < 3\"\nfuture = \"hold\"\n\
         [[sink]]\nname = \"to\"\ninput = [\"op\"]\n"
    );
    let ran = play(&text);
    assert_eq!(ran.record.broken().count(), 0, "{text}");
    let taken = taken(&ran, "to");
    let [first, second] = taken.as_slice() else {
        panic!("{taken:#?}");
    };
    assert_eq!(millis(first), 41_000, "what is not ahead does not wait");
    millis(second)
}

fn jump(at: &str, amount: &str) -> String {
    format!("[[fault]]\nid = \"leap{at}\"\nkind = \"jump\"\non = \"op\"\nat = \"{at}\"\namount = \"{amount}\"\n")
}

#[test]
fn an_event_is_held_until_the_very_moment_at_which_the_clock_shows_its_stamp() {
    assert_eq!(held_until("", ""), 50_000);
    assert_eq!(held_until("offset = \"-5s\"", ""), 55_000);
    assert_eq!(held_until("offset = \"4s\"", ""), 46_000);
    // Faster by a tenth: at 40 s it shows 44 s.
    assert_eq!(
        held_until("drift_ppm = 100000.0", ""),
        45_454,
        "50 s / 1.1, in whole milliseconds"
    );
}

#[test]
fn a_clock_that_is_set_meanwhile_lets_it_go_sooner_or_later() {
    assert_eq!(held_until("", &jump("45s", "3s")), 47_000);
    assert_eq!(held_until("", &jump("45s", "20s")), 45_000, "at the jump");
    assert_eq!(held_until("", &jump("45s", "-5s")), 55_000);
    assert_eq!(held_until("", &(jump("45s", "-5s") + &jump("52s", "2s"))), 53_000);
}

#[test]
fn the_end_of_input_lets_all_go_in_the_order_of_stamps_and_a_crash_loses_and_counts_them() {
    let text = |fault: &str| {
        format!(
            "schema = 1\nname = \"held\"\npattern = \"filter\"\n{fault}\n\
             [[source]]\nname = \"s\"\nevents = [\n\
               {{ t = \"90s\", at = \"1s\", row = {{ v = 3 }} }}, {{ t = \"70s\", at = \"2s\", row = {{ v = 2 }} }},\n\
               {{ t = \"8s\", row = {{ v = 1 }} }},\n]\n\
             [[operator]]\nname = \"op\"\ninput = [\"s\"]\nfuture = \"hold\"\nfilter = \"v > 0\"\n\
             [[sink]]\nname = \"to\"\ninput = [\"op\"]\n\
             [[expect]]\nname = \"two wait\"\nsometimes = \"op.held == 2\"\n\
             [[expect]]\nname = \"none is lost\"\nfinal = \"op.lost_in_crash == 0\"\n\
             [[expect]]\nname = \"two are lost\"\nfinal = \"op.lost_in_crash == 2\"\n"
        )
    };
    let went = |text: &str| {
        let ran = play(text);
        let own = |name: &String| ["two wait", "none is lost", "two are lost"].contains(&name.as_str());
        let broken = ran
            .record
            .broken()
            .map(|e| e.name.clone())
            .filter(own)
            .collect::<Vec<_>>();
        let stamps: Vec<i64> = taken(&ran, "to").into_iter().map(stamp).collect();
        let last = taken(&ran, "to").into_iter().map(millis).max();
        (broken, stamps, last)
    };
    let all = (
        vec!["two are lost".to_owned()],
        vec![8_000, 70_000, 90_000],
        Some(8_000),
    );
    assert_eq!(went(&text("")), all);
    let crash = "[[fault]]\nid = \"crash\"\nkind = \"crash\"\non = \"op\"\nat = \"5s\"\nrestart = \"1s\"";
    let one = (vec!["none is lost".to_owned()], vec![8_000], Some(8_000));
    assert_eq!(went(&text(crash)), one);
}

/// What a sink gets of these events over a broker, where an operator crashes at 45 s: when, and their stamps.
fn over_a_broker(operator: &str, events: &str) -> Vec<(i64, i64)> {
    let text = format!(
        "schema = 1\nname = \"kept\"\npattern = \"periodic-snapshot\"\n[snapshot]\nevery = \"1s\"\n\
         [[source]]\nname = \"s\"\nevents = [\n{events}]\n\
         [[broker]]\nname = \"log\"\ninput = [\"s\"]\n\
         [[operator]]\nname = \"op\"\ninput = [\"log\"]\n{operator}\n\
         [[sink]]\nname = \"to\"\ninput = [\"op\"]\ndelivery = \"by-number\"\n\
         [[fault]]\nid = \"kill\"\nkind = \"crash\"\non = \"op\"\nat = \"45s\"\nrestart = \"2s\"\n\
         [[expect]]\nname = \"as without the crash\"\nfinal = \"to == twin\"\n"
    );
    let ran = play(&text);
    let broken: Vec<_> = ran.record.broken().collect();
    assert!(broken.is_empty(), "{broken:#?}\n{text}");
    taken(&ran, "to")
        .into_iter()
        .map(|took| (millis(took), stamp(took)))
        .collect()
}

#[test]
fn what_waits_for_the_clock_survives_a_crash_and_goes_when_its_time_has_come() {
    let events = "{ t = \"50s\", at = \"40s\", row = { v = 1 } },\n{ t = \"46s\", at = \"41s\", row = { v = 2 } },\n\
                  { t = \"2m\", row = { v = 3 } },\n";
    let went = over_a_broker("filter = \"v < 3\"\nfuture = \"hold\"", events);
    assert_eq!(
        went,
        [(47_000, 46_000), (50_000, 50_000)],
        "at once when it is back, and on time"
    );
}

#[test]
fn the_clocks_of_keys_survive_a_crash() {
    let event =
        |t: i64, at: i64, key: &str| format!("{{ t = \"{t}s\", at = \"{at}s\", row = {{ k = \"{key}\" }} }},\n");
    // The window [0, 10) of `a` is over before the crash: what comes for it afterwards is late; that of `b` is open.
    let events = event(5, 40, "a") + &event(12, 41, "a") + &event(3, 42, "b") + &event(6, 50, "a") + &event(6, 51, "b");
    let operator = "query = \"select k, count(*) as n from log window tumbling(10 sec) group by k\"\n\
                    watermark = { kind = \"ascending\", scope = \"key\" }";
    let went = over_a_broker(operator, &(events + &event(15, 52, "b")));
    let stamps: Vec<i64> = went.iter().map(|(_, stamp)| *stamp).collect();
    assert_eq!(stamps.len(), 4, "two windows of each: {went:?}");
}

/// An event: how long after the one before it arrives, how far its stamp is ahead, its key, its value and its source.
type Wave = (u64, i64, u8, i64, bool);

fn waves() -> impl Strategy<Value = Vec<Wave>> {
    let ahead = prop_oneof![3 => -2i64..3, 2 => 0i64..20, 1 => -20i64..0];
    prop::collection::vec((0u64..4, ahead, 0u8..3, -2i64..3, any::<bool>()), 1..40)
}

fn sources(waves: &[Wave], two: bool) -> String {
    let (mut first, mut second) = (String::new(), String::new());
    let mut now = 40;
    for (gap, ahead, key, value, other) in waves {
        now += gap;
        let events = if *other && two { &mut second } else { &mut first };
        let _ = writeln!(
            events,
            "  {{ t = \"{}s\", at = \"{now}s\", row = {{ k = \"{}\", v = {value} }} }},",
            (now as i64 + ahead).max(0),
            (b'a' + key) as char
        );
    }
    let mut text = String::new();
    for (name, events) in [("s", first), ("t", second)] {
        if name == "s" || two {
            // A source has something to say.
            let _ = write!(
                text,
                "[[source]]\nname = \"{name}\"\nevents = [\n  {{ t = \"30s\", row = {{ k = \"z\", v = 0 }} }},\n{events}]\n"
            );
        }
    }
    text
}

fn works() -> impl Strategy<Value = String> {
    let window = prop_oneof![
        Just("tumbling(10 sec)"),
        Just("hop(10 sec, 4 sec)"),
        Just("session(4 sec)"),
        Just("stagger(7 sec)"),
        Just("time(6 sec)"),
    ];
    let settings = (
        window,
        prop_oneof![Just("at-end"), Just("tick-before-end"), Just("after-end")],
        prop_oneof![Just("window"), Just("event")],
        prop_oneof![Just("0s"), Just("6s")],
        any::<bool>(),
    );
    prop_oneof![
        4 => settings.prop_map(|(window, when, by, horizon, flush)| format!(
            "query = \"select k, count(*) as n, sum(v) as total from s window {window} group by k\"\n\
             late_when = \"{when}\"\nlate_by = \"{by}\"\nhorizon = \"{horizon}\"\nflush_at_end = {flush}"
        )),
        1 => Just("sequence = { pattern = \"a -> b\", by = [\"k\"], within = \"8s\", where = { a = \"v > 0\", b = \"v < 0\" } }"
            .to_owned()),
        1 => Just("filter = \"v > 0\"".to_owned()),
        1 => Just("reorder = { slack = \"3s\" }".to_owned()),
        1 => Just("change = { value = \"v\", by = [\"k\"], per = \"2s\", above = 0.5 }".to_owned()),
    ]
}

fn generators() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0u64..4, any::<bool>()).prop_map(|(behind, one)| format!(
            "watermark = {{ behind = \"{behind}s\", scope = \"{}\" }}", if one { "input" } else { "source" }
        )),
        1 => (1u64..4).prop_map(|n| format!("watermark = {{ behind = \"1s\", every = {n}, back = 1 }}")),
        1 => (1u64..7).prop_map(|s| format!("watermark = {{ behind = \"1s\", every = \"{s}s\" }}")),
        1 => (1u64..9).prop_map(|s| format!("watermark = {{ behind = \"1s\", idle = \"{s}s\" }}")),
        1 => Just("watermark = { kind = \"percentile\", share = 0.8, over = 5 }".to_owned()),
        1 => Just("watermark = { kind = \"punctuated\", when = \"v = 2\" }".to_owned()),
        1 => Just("watermark = { behind = \"1s\", align = { ahead = \"3s\" } }".to_owned()),
        1 => Just(String::new()),
    ]
}

fn faults() -> impl Strategy<Value = String> {
    let jump = (35u64..90, -15i64..15).prop_map(|(at, amount)| jump(&format!("{at}s"), &format!("{amount}s")));
    let crash = (35u64..90).prop_map(|at| {
        format!("[[fault]]\nid = \"crash\"\nkind = \"crash\"\non = \"op\"\nat = \"{at}s\"\nrestart = \"2s\"\n")
    });
    let pause = (35u64..90).prop_map(|at| {
        format!(
            "[[fault]]\nid = \"pause\"\nkind = \"pause\"\non = \"op\"\nduring = \"{at}s..{}s\"\n",
            at + 9
        )
    });
    prop_oneof![3 => Just(String::new()), 3 => jump, 1 => crash, 1 => pause]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn operators_that_hold_what_is_ahead_of_the_clock_do_what_their_reference_does(
        waves in waves(), work in works(), generator in generators(), faults in faults(),
        offset in -5i64..6, drift in prop_oneof![Just(0i64), -90_000i64..90_000], two in any::<bool>(),
    ) {
        let inputs = if two { "\"s\", \"t\"" } else { "\"s\"" };
        let text = format!(
            "schema = 1\nname = \"fuzz\"\npattern = \"watermark\"\n{}\n\
             [[node]]\nname = \"op\"\noffset = \"{offset}s\"\ndrift_ppm = {drift}.0\n\
             [[operator]]\nname = \"op\"\ninput = [{inputs}]\nfuture = \"hold\"\n{work}\n{generator}\n\
             [[sink]]\nname = \"to\"\ninput = [\"op\"]\n{faults}",
            sources(&waves, two)
        );
        let ran = Tank::default().run(&script(&text), &Options::default());
        let ran = ran.map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        // Who forgets in a crash that it has answered may answer for the same window again.
        let forgets = |text: &str| text.starts_with("each answer follows") && faults.contains("\"crash\"");
        let broken: Vec<_> = ran.record.broken().filter(|broken| !forgets(&broken.text)).collect();
        prop_assert!(broken.is_empty(), "{broken:#?}\n{text}");
    }
}
