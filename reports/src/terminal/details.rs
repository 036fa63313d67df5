//! What there is to say about one run below its status line.

use crate::record::{ActorCounts, Distance, Holds, Kind, LinkCounts, Outcome, Record, Reference, Service};
use crate::table::result_table;
use crate::terminal::failure;
use crate::text::{BAD, DIM, GOOD, STRONG, UNSURE, fit, hang, one_line, plural, printable, short_count, styled};
use crate::time::Span;

/// How much is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// What a person must know when many scenarios run: why a run did not do what it must. Nothing for one that did,
    /// unless something was skipped or is to be noted.
    Problems,
    /// Everything, for a scenario that runs alone.
    All,
}

/// Broken expectations that are explained at length; those that follow are named.
const EXPLAINED: usize = 3;
/// Rows of a sink that are shown.
const ROWS: usize = 10;

/// What there is to say about a run, as lines below its status line; empty when there is nothing.
pub fn details(record: &Record, detail: Detail, width: usize) -> String {
    let width = width.max(60);
    let all = detail == Detail::All;
    let mut parts: Vec<String> = Vec::new();
    if all && !record.about.is_empty() {
        parts.push(hang("", &one_line(&record.about), width) + "\n");
    }
    if !record.outcome.is_ok() || all {
        parts.extend(failures(record, width));
        parts.push(judgement(record, width));
    }
    if all {
        parts.push(expectations(record, width));
        parts.push(faults(record, width));
    }
    if all || !record.outcome.is_ok() {
        parts.push(fates(record, width));
        parts.push(distances(record, width));
    }
    if all {
        parts.extend(record.sinks.iter().map(|sink| result_table(sink, ROWS, width)));
        parts.push(latencies(record, width));
    }
    parts.push(data(record, width));
    if all || !record.outcome.is_ok() {
        parts.push(list("note", &record.notes, width));
    }
    if let Some(place) = record.outputs.as_ref().filter(|_| all) {
        parts.push(format!("{} {}\n", styled(DIM, "kept in"), printable(place)));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

fn failures(record: &Record, width: usize) -> Vec<String> {
    let mut parts: Vec<_> = record
        .broken()
        .take(EXPLAINED)
        .map(|e| failure(record, e, width))
        .collect();
    let others: Vec<_> = record.broken().skip(EXPLAINED).map(|e| e.name.as_str()).collect();
    if !others.is_empty() {
        let text = format!(
            "{} broken too: {}",
            plural(others.len() as u64, "expectation"),
            others.join("; ")
        );
        parts.push(hang("", &text, width) + "\n");
    }
    parts
}

/// What is to be said about the verdict itself: why it is inconclusive, or that a scenario which must fail did not do so.
pub(crate) fn judgement(record: &Record, width: usize) -> String {
    let mut lines = Vec::new();
    let reasons = || match record.because.as_slice() {
        [] => "any expectation".to_owned(),
        names => names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" and "),
    };
    match record.outcome {
        Outcome::DidNotFail => lines.push(format!(
            "this scenario says must = \"fail\", and everything holds: {} should have been broken",
            reasons()
        )),
        Outcome::FailedForAnotherReason => {
            let broken: Vec<_> = record.broken().map(|e| format!("`{}`", e.name)).collect();
            lines.push(format!(
                "this scenario must fail by {} and by nothing else, but {} broken",
                reasons(),
                match broken.as_slice() {
                    [one] => format!("{one} is"),
                    several => format!("{} are", several.join(" and ")),
                }
            ));
        }
        _ => {}
    }
    lines.extend(record.remarks.iter().cloned());
    if record.interrupted {
        lines.push("the run was interrupted: what is here is what there was until then".to_owned());
    }
    for fault in record.silent_faults() {
        let about = if fault.about.is_empty() {
            format!("{} on {}", fault.kind, fault.on)
        } else {
            fault.about.clone()
        };
        lines.push(format!(
            "fault {} never fired ({about}): the run says nothing about it; widen its period, raise its rate or take it out",
            fault.id
        ));
    }
    for untested in record.expectations.iter().filter(|e| e.holds == Holds::Untested) {
        let why = untested
            .untested
            .as_deref()
            .unwrap_or("nothing in the run put it to the test");
        lines.push(format!("`{}` was not put to the test: {why}", untested.name));
    }
    if record.expectations.is_empty() {
        lines.push("nothing is expected of this run: add an [[expect]]".to_owned());
    }
    let mut text = String::new();
    for line in lines {
        text += &hang("! ", &line, width).replacen('!', &styled(UNSURE, '!'), 1);
        text.push('\n');
    }
    text
}

fn expectations(record: &Record, width: usize) -> String {
    let mut text = String::new();
    for e in &record.expectations {
        let (word, style) = match e.holds {
            Holds::Yes => ("holds", GOOD),
            Holds::No => ("broken", BAD),
            Holds::Untested => ("untested", UNSURE),
        };
        let mut line = e.name.clone();
        if e.kind == Kind::Derived {
            line += " (derived)";
        }
        if let Some(at) = e.first_broken {
            line += &format!(", first broken {at}");
        }
        text += &styled_head(&format!("{word:<9}"), style, &line, width);
    }
    section("expectations", &text)
}

/// What a fault cost those who wait for the results of two copies.
fn cost(service: Service) -> String {
    let mut cost = String::new();
    if let Some(gap) = service.gap {
        cost += &format!(", service back after {}", gap.short());
    }
    if service.overlap > Span::default() {
        cost += &format!(", two primaries for {}", service.overlap.short());
    }
    for (count, what) in [
        (service.repeated, "came again"),
        (service.refused, "refused"),
        (service.missing, "missing"),
    ] {
        if count > 0 {
            cost += &format!(", {} {what}", plural(count, "result"));
        }
    }
    cost
}

fn faults(record: &Record, width: usize) -> String {
    let mut text = String::new();
    for fault in record.faults.iter().filter(|f| f.declared) {
        let mut line = match fault.about.as_str() {
            "" => format!("{} on {}", fault.kind, fault.on),
            about => about.to_owned(),
        };
        line += &format!("; fired {}", plural(fault.fired, "time"));
        if fault.touched > 0 {
            line += &format!(", touched {}", plural(fault.touched, "event"));
        }
        if let (Some(first), Some(last)) = (fault.first, fault.last) {
            line += &if first == last {
                format!(", at {first}")
            } else {
                format!(", {first} to {last}")
            };
        }
        if let Some(after) = fault.detected_after {
            line += &format!(", detected after {}", after.short());
        }
        if let Some(after) = fault.recovered_after {
            line += &format!(", recovered after {}", after.short());
        }
        if let Some(service) = fault.service {
            line += &cost(service);
        }
        text += &styled_head(&format!("{} ", fit(&printable(&fault.id), 12)), STRONG, &line, width);
    }
    section("faults", &text)
}

/// Where events ended that caused nothing: late, shed, failed, lost.
fn fates(record: &Record, width: usize) -> String {
    let mut text = String::new();
    for actor in &record.actors {
        let ActorCounts {
            late,
            shed,
            failed,
            held,
            lost_in_crash,
            undone,
            restored,
            ..
        } = *actor;
        let said = named(&[
            (late, "late"),
            (shed, "shed"),
            (failed, "failed"),
            (lost_in_crash, "lost in a crash"),
            (undone, "undone"),
            (restored, "restored"),
            (held, "still held"),
        ]);
        if !said.is_empty() {
            text += &hang(
                "  ",
                &format!("{}: {said}, of {}", actor.actor, plural(actor.taken, "event")),
                width,
            );
            text.push('\n');
        }
        if actor.unaccounted() != 0 {
            let line = format!("{}: {} events are not accounted for", actor.actor, actor.unaccounted());
            text += &styled(BAD, hang("  ", &line, width));
            text.push('\n');
        }
    }
    for link in &record.links {
        let LinkCounts {
            lost,
            duplicated,
            retransmitted,
            reordered,
            ..
        } = *link;
        let said = named(&[
            (lost, "lost"),
            (duplicated, "duplicated"),
            (retransmitted, "sent again"),
            (reordered, "out of order"),
        ]);
        if !said.is_empty() {
            text += &hang(
                "  ",
                &format!("{}: {said}, of {} sent", link.link, plural(link.sent, "element")),
                width,
            );
            text.push('\n');
        }
    }
    section("on the way", &text)
}

fn named(counts: &[(u64, &str)]) -> String {
    let said: Vec<_> = counts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{} {word}", crate::text::count(*n)))
        .collect();
    said.join(", ")
}

fn distances(record: &Record, width: usize) -> String {
    let mut text = String::new();
    for distance in &record.distances {
        text += &hang("  ", &distance_in_words(distance), width);
        text.push('\n');
    }
    section("against the references", &text)
}

/// `dashboard: equals admitted (200 rows)` or what is different.
pub(crate) fn distance_in_words(distance: &Distance) -> String {
    let reference = match distance.reference {
        Reference::Truth => "truth",
        Reference::Admitted => "admitted",
        Reference::Twin => "the twin",
    };
    if distance.is_zero() {
        return format!(
            "{}: equals {reference} ({})",
            distance.sink,
            plural(distance.expected_rows, "row")
        );
    }
    let said = named(&[
        (distance.different, "different"),
        (distance.missing, "missing"),
        (distance.extra, "too many"),
    ]);
    let mut text = format!(
        "{}: against {reference} {said}, of {}",
        distance.sink,
        plural(distance.expected_rows, "row")
    );
    for column in &distance.columns {
        if column.max.0 != 0.0 {
            text += &format!(
                "; {} off by {} on average, {} at most",
                column.column, column.mean, column.max
            );
        }
    }
    text
}

fn latencies(record: &Record, width: usize) -> String {
    // Five columns of eight stand behind the name.
    let name_width = (width - 42).min(28);
    let mut text = String::new();
    for (of, histograms) in &record.histograms {
        for (name, histogram) in histograms.iter().filter(|(_, h)| h.count() > 0) {
            text += &format!("  {}", fit(&printable(&format!("{of}.{name}")), name_width));
            text += &format!("{:>8}", short_count(histogram.count()));
            for statistic in ["p50", "p99", "p999", "max"] {
                text += &format!(
                    "{:>8}",
                    histogram.statistic(statistic).map_or_else(String::new, Span::short)
                );
            }
            text.push('\n');
        }
    }
    let title = format!(
        "{}{:>8}{:>8}{:>8}{:>8}{:>8}",
        fit(
            if record.real_time.is_some() {
                "measured time"
            } else {
                "simulated time"
            },
            name_width + 2
        ),
        "count",
        "p50",
        "p99",
        "p99.9",
        "max"
    );
    section(&title, &text)
}

fn data(record: &Record, width: usize) -> String {
    let mut text = String::new();
    if record.data.skipped > 0 {
        let verb = if record.data.skipped == 1 { "was" } else { "were" };
        text += &format!("{} of data {verb} skipped\n", plural(record.data.skipped, "row"));
    }
    for problem in &record.data.first {
        let column = if problem.column > 0 {
            format!(":{}", problem.column)
        } else {
            String::new()
        };
        text += &hang(
            "  ",
            &format!("{}:{}{column}: {}", problem.file, problem.line, problem.message),
            width,
        );
        text.push('\n');
    }
    let more = record.data.skipped.saturating_sub(record.data.first.len() as u64);
    if more > 0 && !record.data.first.is_empty() {
        text += &format!("  and {} more\n", crate::text::count(more));
    }
    text
}

fn list(word: &str, lines: &[String], width: usize) -> String {
    lines
        .iter()
        .map(|line| hang(&format!("{word}: "), &one_line(line), width) + "\n")
        .collect()
}

fn section(title: &str, body: &str) -> String {
    if body.is_empty() {
        String::new()
    } else {
        format!("{}\n{body}", styled(STRONG, title))
    }
}

fn styled_head(word: &str, style: anstyle::Style, line: &str, width: usize) -> String {
    let head = format!("  {word}");
    let wrapped = hang(&head, line, width);
    let body = wrapped.strip_prefix(head.as_str()).unwrap_or(&wrapped);
    format!("{}{body}\n", styled(style, head))
}
