//! The judge is judged: what holds, what is broken and when, what was not put to the test, and whom it names.

mod common;

use common::play;
use wavetank_reports::record::{Expectation, Holds, Record, Verdict};

/// Ten readings, one a second, counted in windows of five seconds; `more` is put behind.
fn run(more: &str) -> Record {
    let text = format!(
        "schema = 1\nname = \"judged\"\npattern = \"windowed-aggregation\"\n[time]\nseed = 3\n\
         [[source]]\nname = \"readings\"\nrate = \"1/s\"\ncount = 10\nfields = {{ n = {{ seq = 0 }} }}\n\
         [[operator]]\nname = \"fives\"\ninput = [\"readings\"]\n\
         query = \"select count(*) as n from readings window tumbling(5 sec)\"\nwatermark = {{ behind = \"500ms\" }}\n\
         [[sink]]\nname = \"board\"\ninput = [\"fives\"]\n\
         [[link]]\nfrom = \"readings\"\nto = \"fives\"\nkind = \"datagram\"\n{more}"
    );
    play(&text).record
}

fn expect(record: &Record, name: &str) -> Expectation {
    record.expectations.iter().find(|e| e.name == name).expect(name).clone()
}

fn one(kind: &str, claim: &str) -> Expectation {
    expect(
        &run(&format!("[[expect]]\nname = \"it\"\n{kind} = \"{claim}\"\n")),
        "it",
    )
}

#[test]
fn each_kind_holds_when_it_does_and_is_broken_when_it_is_not() {
    for (kind, holds, broken) in [
        ("always", "fives.held <= 6", "fives.held <= 2"),
        ("sometimes", "fives.held > 2", "fives.held > 7"),
        ("never", "fives.held > 7", "fives.held > 2"),
        ("final", "board == truth", "board.results == 3"),
        (
            "within = \"8s\"\neventually",
            "board.results >= 1",
            "board.results >= 2",
        ),
    ] {
        assert_eq!(one(kind, holds).holds, Holds::Yes, "{kind} {holds}");
        assert_eq!(one(kind, broken).holds, Holds::No, "{kind} {broken}");
    }
}

#[test]
fn the_first_broken_moment_is_exact() {
    let seconds = |e: Expectation| e.first_broken.map(|at| at.0 as f64 / 1e6);
    assert_eq!(seconds(one("always", "fives.held <= 2")), Some(2.0));
    assert_eq!(seconds(one("never", "board.results > 0")), Some(6.0));
}

#[test]
fn what_has_no_value_is_not_put_to_the_test_and_makes_the_run_inconclusive() {
    let record = run(
        "[[expect]]\nname = \"it\"\nfinal = \"fives.emit_delay.p99 < 1s\"\n[[fault]]\nid = \"dead\"\n\
                      kind = \"idle\"\non = \"readings\"\nduring = \"0s..\"\n",
    );
    assert_eq!(
        (expect(&record, "it").holds, record.verdict),
        (Holds::Untested, Verdict::Inconclusive)
    );
}

#[test]
fn a_declared_fault_that_never_fires_makes_the_run_inconclusive_and_rate_zero_is_not_declared() {
    let fault = |rate: &str| {
        run(&format!(
            "[[expect]]\nname = \"it\"\nfinal = \"board == truth\"\n[[fault]]\nid = \"never\"\nkind = \"drop\"\n\
             on = \"readings -> fives\"\nduring = \"1h..2h\"\nrate = {rate}\n"
        ))
        .verdict
    };
    assert_eq!((fault("1.0"), fault("0.0")), (Verdict::Inconclusive, Verdict::Pass));
}

#[test]
fn a_lost_event_is_named_with_the_fault_that_lost_it_and_the_line_that_declares_it() {
    let record = run(
        "[[expect]]\nname = \"it\"\nfinal = \"board == truth\"\n[[fault]]\nid = \"hole\"\nkind = \"drop\"\n\
                      on = \"readings -> fives\"\nat = \"3s\"\n",
    );
    let failure = expect(&record, "it").failure.expect("it is broken");
    assert_eq!(failure.event.map(|event| event.id), Some("readings#3".to_owned()));
    assert_eq!(failure.faults.first().map(|fault| fault.id.as_str()), Some("hole"));
    assert_eq!(failure.decided_by.map(|line| line.text), Some("[[fault]]".to_owned()));
    assert_eq!(
        (failure.first_broken.map(|at| at.0), failure.picture.is_empty()),
        (Some(3_000_000), false)
    );
}

#[test]
fn a_late_event_is_named_with_the_watermark_that_did_not_wait() {
    let record = run(
        "[[expect]]\nname = \"it\"\nfinal = \"board == truth\"\n[[fault]]\nid = \"slow\"\nkind = \"delay\"\n\
                      on = \"readings -> fives\"\nat = \"4s\"\namount = \"3s\"\n",
    );
    let failure = expect(&record, "it").failure.expect("it is broken");
    let event = failure.event.expect("an event");
    assert_eq!(
        (event.id.as_str(), event.fate.as_str()),
        ("readings#4", "late at fives")
    );
    assert_eq!(
        failure.decided_by.map(|line| line.text),
        Some("watermark = { behind = \"500ms\" }".to_owned())
    );
    assert!(failure.ideas[0].change.contains("behind"), "{:?}", failure.ideas);
    assert_eq!(
        record
            .metric("fives", "late")
            .map(wavetank_reports::record::Metric::as_f64),
        Some(1.0)
    );
}

#[test]
fn a_wrong_clock_moves_events_into_other_windows_and_is_named() {
    let record =
        run("[[expect]]\nname = \"it\"\nfinal = \"board == truth\"\n[[node]]\nname = \"readings\"\noffset = \"2s\"\n");
    let failure = expect(&record, "it").failure.expect("it is broken");
    assert!(
        failure.event.is_some_and(|event| event.fate.contains("2s ahead")),
        "the event tells its clock"
    );
    assert_eq!(
        failure.decided_by.map(|line| line.text),
        Some("offset = \"2s\"".to_owned())
    );
    // Equal to what was admitted all the same: the operator did what its arrivals imply.
    assert!(
        record
            .expectations
            .iter()
            .filter(|e| e.name != "it")
            .all(|e| e.holds == Holds::Yes)
    );
}

#[test]
fn what_a_crash_takes_is_counted_and_breaks_a_promise() {
    let record =
        run("[[fault]]\nid = \"kill\"\nkind = \"crash\"\non = \"fives\"\nat = \"3500ms\"\nrestart = \"100ms\"\n");
    let lost = record
        .actors
        .iter()
        .find(|actor| actor.actor == "fives")
        .map(|actor| actor.lost_in_crash);
    assert_eq!(lost, Some(4));
    assert!(
        record
            .distances
            .iter()
            .any(|distance| distance.different + distance.missing > 0)
    );
}

#[test]
fn an_event_that_passes_an_operator_twice_breaks_exactly_once_and_not_at_least_once() {
    let run = |promise: &str| {
        let text = format!(
            "schema = 1\nname = \"twice\"\npattern = \"filter\"\n[time]\nseed = 3\n\
             [[source]]\nname = \"readings\"\nrate = \"1/s\"\ncount = 10\nfields = {{ n = {{ seq = 0 }} }}\n\
             [[operator]]\nname = \"pass\"\ninput = [\"readings\"]\nfilter = \"n >= 0\"\n\
             [[sink]]\nname = \"board\"\ninput = [\"pass\"]\npromise = \"{promise}\"\n\
             [[fault]]\nid = \"again\"\nkind = \"duplicate-send\"\non = \"readings\"\nat = \"4s\"\n"
        );
        play(&text).record
    };
    let broken = expect(&run("exactly-once"), "board gets nothing twice");
    assert_eq!(broken.holds, Holds::No);
    assert_eq!(
        broken.failure.and_then(|failure| failure.event).map(|event| event.id),
        Some("readings#4".to_owned())
    );
    assert_eq!(run("at-least-once").verdict, Verdict::Pass);
}

/// A window whose first answer is corrected twice, and whatever reads it.
fn corrected(readers: &str) -> String {
    format!(
        "schema = 1\nname = \"corrected\"\npattern = \"course-correction\"\nmust = \"fail\"\n\
         [[source]]\nname = \"s\"\nevents = [\n\
           {{ t = \"1s\", row = {{ v = 1 }} }}, {{ t = \"12s\", row = {{ v = 1 }} }},\n\
           {{ t = \"2s\", at = \"13s\", row = {{ v = 1 }} }}, {{ t = \"25s\", row = {{ v = 1 }} }},\n\
           {{ t = \"3s\", at = \"26s\", row = {{ v = 1 }} }},\n]\n\
         [[operator]]\nname = \"counts\"\ninput = [\"s\"]\nhorizon = \"1m\"\nwatermark = {{ behind = \"0s\" }}\n\
         query = \"select count(*) as n from s window tumbling(10 sec)\"\n{readers}"
    )
}

fn cannot_fold(text: &str) -> Option<String> {
    let ran = play(text);
    let broken = ran.record.broken().find(|e| e.name.contains("can fold its answers"))?;
    Some(format!("{broken:?}"))
}

#[test]
fn who_lets_some_answers_for_a_window_pass_and_others_not_is_named() {
    let reader = |filter: &str| {
        corrected(&format!(
            "[[operator]]\nname = \"odd\"\ninput = [\"counts\"]\nfilter = \"{filter}\"\n\
             [[sink]]\nname = \"to\"\ninput = [\"odd\"]\n"
        ))
    };
    let told = cannot_fold(&reader("n != 2")).expect("the second answer is missing");
    assert!(
        told.contains("`odd` must let all answers for a window pass, or none"),
        "{told}"
    );
    assert_eq!(cannot_fold(&reader("n > 0")), None);
}

#[test]
fn late_answers_that_are_put_aside_need_not_follow_from_each_other() {
    let text = corrected(
        "[[operator]]\nname = \"totals\"\ninput = [\"counts\"]\nlate = \"side\"\nwatermark = { behind = \"0s\" }\n\
         query = \"select sum(n) as n from counts window tumbling(10 sec)\"\n\
         [[sink]]\nname = \"to\"\ninput = [\"totals\"]\n[[sink]]\nname = \"aside\"\ninput = [\"totals.late\"]\n",
    );
    assert_eq!(cannot_fold(&text).filter(|told| told.contains("aside")), None);
}
