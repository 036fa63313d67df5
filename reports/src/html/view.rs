//! What the template shows: a run as tables of text.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figures::{self, Group};
use super::{ReportError, embedded};
use crate::Histogram;
use crate::record::{Expectation, Holds, Kind, Metric, Must, Outcome, Purpose, Record, Reference, Service, Verdict};
use crate::sweep::Sweep;
use crate::terminal::judgement;
use crate::text::{count, plural, without_styles};
use crate::time::{Span, Time};
use crate::timeline::{Cause, Timeline, Why};

/// Rows of a sink that are shown; the record has more.
const ROWS: usize = 200;

/// A table.
#[derive(Default)]
pub struct Table {
    pub id: String,
    pub caption: String,
    pub head: Vec<Head>,
    pub rows: Vec<Vec<String>>,
    pub note: String,
}

/// A column's heading.
pub struct Head {
    pub text: String,
    /// Whether numbers stand below it.
    pub number: bool,
}

fn table(id: String, caption: &str, head: &[&str], rows: Vec<Vec<String>>) -> Table {
    let head = head.iter().map(|text| Head {
        text: text.trim_start_matches('#').to_owned(),
        number: text.starts_with('#'),
    });
    Table {
        id,
        caption: caption.to_owned(),
        head: head.collect(),
        rows,
        note: String::new(),
    }
}

/// An expectation.
pub struct Expected {
    pub name: String,
    pub kind: &'static str,
    pub text: String,
    /// `yes`, `no` or `untested`.
    pub holds: &'static str,
    pub symbol: &'static str,
    pub word: &'static str,
    /// Microseconds since the start.
    pub broken_at: Option<i64>,
    pub broken: String,
    pub untested: String,
    pub failure: Option<Failed>,
}

/// Why it does not hold.
pub struct Failed {
    pub expected: String,
    pub came: String,
    pub event: String,
    pub faults: Vec<(String, String)>,
    pub line: String,
    pub underline: String,
    pub place: String,
    pub picture: String,
    pub ideas: Vec<(String, String, String)>,
    pub commands: Vec<(&'static str, String)>,
}

/// The bars of a sink's latency by cause.
pub struct WhyBars {
    pub sink: String,
    pub results: String,
    pub unsplit: String,
    pub rows: Vec<WhyRow>,
    pub legend: Vec<(usize, &'static str, String)>,
}

/// One bar.
pub struct WhyRow {
    pub group: String,
    pub results: String,
    pub total: String,
    pub parts: Vec<WhyPart>,
}

/// A piece of a bar, in percent of the widest.
pub struct WhyPart {
    pub cause: usize,
    pub name: &'static str,
    pub from: String,
    pub width: String,
    pub span: String,
}

/// A run.
pub struct Run {
    pub index: usize,
    pub scenario: String,
    pub pattern_title: String,
    pub about: String,
    pub seed: u64,
    pub hash: String,
    pub outcome: &'static str,
    pub outcome_class: &'static str,
    pub outcome_symbol: &'static str,
    pub verdict_text: String,
    pub judgement: String,
    pub events: String,
    pub simulated: String,
    pub facts: Vec<(String, String)>,
    pub reproduce: String,
    pub holds: usize,
    pub broken: usize,
    pub untested: usize,
    pub expectations: Vec<Expected>,
    pub derived: Vec<Expected>,
    pub derived_broken: bool,
    pub faults: Option<Table>,
    pub service: Option<Table>,
    pub actors: Table,
    pub links: Table,
    pub sinks: Vec<Table>,
    pub distances: Option<Table>,
    pub latencies: Option<Table>,
    pub metrics: Table,
    pub why: Vec<WhyBars>,
    pub groups: Vec<Group>,
    pub left_out: Vec<String>,
    pub notes: Vec<String>,
    pub settings: String,
    pub record_json: String,
    pub timeline_json: Option<String>,
    pub extra_json: String,
    pub file: String,
}

impl Run {
    pub fn new(index: usize, run: &super::Run<'_>, drawn: bool) -> Result<Self, ReportError> {
        let record = run.record;
        let timeline = run.timeline.filter(|_| drawn);
        let (outcome, outcome_class, outcome_symbol) = outcome(record);
        let id = |name: &str| format!("r{index}-{name}");
        let expected: Vec<(bool, Expected)> = record
            .expectations
            .iter()
            .map(|e| (e.kind == Kind::Derived, expected(record, e)))
            .collect();
        let holds = |which: Holds| record.expectations.iter().filter(|e| e.holds == which).count();
        let (mut own, mut derived) = (Vec::new(), Vec::new());
        for (follows, expected) in expected {
            if follows {
                derived.push(expected);
            } else {
                own.push(expected);
            }
        }
        let broken_first = |list: &mut Vec<Expected>| list.sort_by_key(|e| e.holds != "no");
        broken_first(&mut derived);
        let mut facts = vec![
            ("Pattern".to_owned(), figures::title(&record.pattern)),
            ("Seed".to_owned(), record.seed.to_string()),
            ("Trace".to_owned(), record.trace_hash.as_str().to_owned()),
            ("Events".to_owned(), count(record.events)),
            ("Deliveries".to_owned(), count(record.deliveries)),
            ("Virtual time".to_owned(), record.simulated.to_string()),
            ("Scenario".to_owned(), record.origin.clone()),
        ];
        if !record.overrides.is_empty() {
            facts.push(("Changed".to_owned(), record.overrides.join(", ")));
        }
        let mut left_out: Vec<String> = Vec::new();
        if let Some(timeline) = timeline {
            left_out.push(format!(
                "Series are in buckets of {}; each keeps the least, the greatest and the last value, and counts are exact.",
                timeline.bucket
            ));
            left_out.extend(timeline.left_out.iter().map(|left| {
                format!(
                    "Of {} {}, {} are drawn: {}.",
                    count(left.had),
                    left.what,
                    count(left.kept),
                    left.rule
                )
            }));
        }
        if let Some(more) = timeline
            .map(|timeline| figures::planes(timeline).count())
            .filter(|n| *n > figures::PLANES)
        {
            left_out.push(format!(
                "Of {more} operators and sub-streams, {} have their time plane drawn.",
                figures::PLANES
            ));
        }
        let mut notes: Vec<String> = record.remarks.iter().chain(&record.notes).cloned().collect();
        if record.data.skipped > 0 {
            notes.push(format!(
                "{} could not be read and were skipped.",
                plural(record.data.skipped, "row of data")
            ));
            notes.extend(
                record
                    .data
                    .first
                    .iter()
                    .map(|p| format!("{}:{}: {}", p.file, p.line, p.message)),
            );
        }
        if run.timeline.is_some() && timeline.is_none() {
            notes.push(format!(
                "Plots are drawn for {} runs of a report; report this run alone to see its own.",
                super::DRAWN
            ));
        }
        Ok(Self {
            index,
            scenario: record.scenario.clone(),
            pattern_title: figures::title(&record.pattern),
            about: record.about.clone(),
            seed: record.seed,
            hash: record.trace_hash.short().to_owned(),
            outcome,
            outcome_class,
            outcome_symbol,
            verdict_text: verdict(record),
            judgement: without_styles(&judgement(record, 100)).trim().to_owned(),
            events: count(record.events),
            simulated: record.simulated.short(),
            facts,
            reproduce: record.reproduce.clone(),
            holds: holds(Holds::Yes),
            broken: holds(Holds::No),
            untested: holds(Holds::Untested),
            expectations: own,
            derived_broken: derived.iter().any(|e| e.holds == "no"),
            derived,
            faults: faults(record, id("faults")),
            service: service(record, id("service")),
            actors: actors(record, id("actors")),
            links: links(record, id("links")),
            sinks: record
                .sinks
                .iter()
                .enumerate()
                .map(|(n, sink)| rows(sink, id(&format!("sink{n}"))))
                .collect(),
            distances: distances(record, id("distances")),
            latencies: latencies(record, id("latencies")),
            metrics: metrics(record, id("metrics")),
            why: timeline.map_or_else(Vec::new, |timeline| {
                timeline
                    .why
                    .iter()
                    .filter(|why| why.results > 0)
                    .map(|why| bars(timeline, why))
                    .collect()
            }),
            groups: timeline.map_or_else(Vec::new, |timeline| figures::groups(record, timeline)),
            left_out,
            notes,
            settings: run.scenario.to_owned(),
            record_json: embedded(record)?,
            timeline_json: timeline.map(embedded).transpose()?,
            extra_json: embedded(&Extra::new(record, timeline))?,
            file: format!("{}-{}", record.scenario, record.seed),
        })
    }

    /// The figures of a section.
    pub fn section(&self, name: &str) -> Vec<&Group> {
        self.groups.iter().filter(|group| group.section == name).collect()
    }
}

/// What the script draws and neither record nor timeline holds in a form that it could read.
#[derive(Serialize)]
struct Extra {
    /// Percentile spectra: of what, in which way counted, and the points (share below, microseconds).
    spectra: Vec<Spectrum>,
    /// For reordering buffers: by how much events came behind the largest stamp, as (microseconds, share that came later).
    slack: Vec<SlackCurve>,
    causes: Vec<&'static str>,
}

#[derive(Serialize)]
struct Spectrum {
    of: String,
    from: &'static str,
    count: u64,
    points: Vec<(f64, i64)>,
}

#[derive(Serialize)]
struct SlackCurve {
    of: String,
    yours: Option<i64>,
    points: Vec<(i64, f64)>,
}

impl Extra {
    fn new(record: &Record, timeline: Option<&Timeline>) -> Self {
        let mut spectra = Vec::new();
        let mut add = |of: &str, from: &'static str, histogram: &Histogram| {
            if histogram.count() > 0 {
                spectra.push(Spectrum {
                    of: of.to_owned(),
                    from,
                    count: histogram.count(),
                    points: spectrum(histogram),
                });
            }
        };
        for (of, all) in &record.histograms {
            if let Some(histogram) = all.get("latency") {
                add(of, "planned", histogram);
            }
        }
        for why in timeline.iter().flat_map(|timeline| &timeline.why) {
            let of = timeline.and_then(|timeline| timeline.actors.get(why.actor));
            add(of.map_or("", |track| track.actor.as_str()), "sent", &why.from_sent);
        }
        let slack = record.histograms.iter().filter_map(|(of, all)| {
            let yours = match record.metric(of, "slack.max") {
                Some(Metric::Us(span)) => Some(span.0),
                _ => return None,
            };
            let lateness = all.get("lateness")?;
            let total = lateness.count() as f64;
            let mut above = lateness.count();
            let mut points = vec![];
            for (value, n) in lateness.bars() {
                above -= n;
                points.push((value.0, above as f64 / total));
            }
            // As many as can be told apart.
            let step = points.len().div_ceil(300).max(1);
            let last = points.last().copied();
            let mut points: Vec<_> = points.into_iter().step_by(step).collect();
            points.extend(last);
            Some(SlackCurve {
                of: of.clone(),
                yours,
                points,
            })
        });
        Self {
            slack: slack.collect(),
            spectra,
            causes: Cause::ALL.iter().map(|cause| cause.name()).collect(),
        }
    }
}

/// Points of a percentile spectrum: ten for each halving of what is left, as far as there are values.
fn spectrum(histogram: &Histogram) -> Vec<(f64, i64)> {
    let mut points = Vec::new();
    let total = histogram.count() as f64;
    let mut left = 1.0f64;
    while left * total >= 1.0 && points.len() < 400 {
        let share = 1.0 - left;
        if let Some(value) = histogram.percentile(share * 100.0) {
            points.push((share, value.0));
        }
        left *= 0.93;
    }
    if let Some(max) = histogram.max() {
        points.push((1.0 - 1.0 / (total + 1.0), max.0));
    }
    points
}

fn outcome(record: &Record) -> (&'static str, &'static str, &'static str) {
    match record.outcome {
        Outcome::Passed => ("Passed", "good", "✓"),
        Outcome::FailedAsItMust => ("Failed, as it must", "good", "✓"),
        Outcome::Failed => ("Failed", "bad", "✗"),
        Outcome::DidNotFail => ("Did not fail, and must", "bad", "✗"),
        Outcome::FailedForAnotherReason => ("Failed for another reason", "bad", "✗"),
        Outcome::Inconclusive => ("Inconclusive", "unsure", "○"),
    }
}

fn verdict(record: &Record) -> String {
    let broken = record.broken().count() as u64;
    let all = record.expectations.len() as u64;
    let mut text = match record.verdict {
        Verdict::Pass => format!("All of {} hold.", plural(all, "expectation")),
        Verdict::Fail => format!("{} of {} broken.", count(broken), plural(all, "expectation")),
        Verdict::Inconclusive => "Nothing is broken, and not everything was put to the test.".to_owned(),
    };
    if record.must == Must::Fail {
        text += " This scenario exists to show what goes wrong.";
    }
    if record.interrupted {
        text += " The run was stopped before its end.";
    }
    text
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Always => "always",
        Kind::Eventually => "eventually",
        Kind::Sometimes => "sometimes",
        Kind::Never => "never",
        Kind::Final => "final",
        Kind::Derived => "derived",
    }
}

fn expected(record: &Record, expectation: &Expectation) -> Expected {
    let (holds, symbol, word) = match expectation.holds {
        Holds::Yes => ("yes", "✓", "holds"),
        Holds::No => ("no", "✗", "broken"),
        Holds::Untested => ("untested", "○", "untested"),
    };
    let failure = expectation.failure.as_ref();
    let broken = expectation
        .first_broken
        .or_else(|| failure.and_then(|f| f.first_broken));
    Expected {
        name: expectation.name.clone(),
        kind: kind(expectation.kind),
        text: expectation.text.clone(),
        holds,
        symbol,
        word,
        broken_at: broken.filter(|_| holds == "no").map(|at| at.since(record.start).0),
        broken: broken.map_or_else(String::new, |at| moment(record, at)),
        untested: expectation.untested.clone().unwrap_or_default(),
        failure: failure.map(|failure| {
            let event = failure.event.as_ref().map_or_else(String::new, |event| {
                let mut text = event.id.clone();
                if !event.row.is_empty() {
                    text += &format!(" {}", event.row);
                }
                text += &format!(", happened {}", moment(record, event.happened));
                if let Some(stamp) = event.stamp {
                    text += &format!(", stamped {}", moment(record, stamp));
                }
                match event.seen {
                    Some(seen) if event.at.is_empty() => text += &format!(", seen {}", moment(record, seen)),
                    Some(seen) => text += &format!(", seen by {} at {}", event.at, moment(record, seen)),
                    None => text += ", never seen",
                }
                if let Some(lag) = event.lag() {
                    text += &format!(", lag {}", lag.short());
                }
                if !event.fate.is_empty() {
                    text += &format!("; {}", event.fate);
                }
                text
            });
            let line = failure.decided_by.as_ref();
            Failed {
                expected: failure.expected.clone(),
                came: failure.came.clone(),
                event,
                faults: failure.faults.iter().map(|f| (f.id.clone(), f.how.clone())).collect(),
                line: line.map_or_else(String::new, |line| line.text.clone()),
                underline: line.map_or_else(String::new, |line| {
                    let marks = "^".repeat(line.length.clamp(1, 200));
                    format!(
                        "{}{} {}",
                        " ".repeat(line.column.saturating_sub(1).min(200)),
                        marks,
                        line.note
                    )
                }),
                place: line.map_or_else(String::new, |line| {
                    format!("{}:{}:{}", line.file, line.line, line.column)
                }),
                picture: failure.picture.join("\n"),
                ideas: failure
                    .ideas
                    .iter()
                    .map(|idea| (idea.change.clone(), idea.gain.clone(), idea.price.clone()))
                    .collect(),
                commands: failure
                    .commands
                    .iter()
                    .map(|command| {
                        let purpose = match command.purpose {
                            Purpose::Reproduce => "again",
                            Purpose::Look => "look",
                            Purpose::Learn => "learn",
                        };
                        (purpose, command.line.clone())
                    })
                    .collect(),
            }
        }),
    }
}

/// A moment as everywhere: since the start, or a date.
fn moment(_: &Record, at: Time) -> String {
    at.to_string()
}

fn maybe<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), show)
}

fn faults(record: &Record, id: String) -> Option<Table> {
    let row = |fault: &crate::record::Fault| {
        let fired = match (fault.declared, fault.fired) {
            (false, _) => "off (rate 0)".to_owned(),
            (_, 0) => "0: never fired".to_owned(),
            (_, n) => count(n),
        };
        vec![
            fault.id.clone(),
            fault.kind.clone(),
            fault.on.clone(),
            fault.about.clone(),
            fired,
            count(fault.touched),
            maybe(fault.first, |at| moment(record, at)),
            maybe(fault.last, |at| moment(record, at)),
            maybe(fault.detected_after, Span::short),
            maybe(fault.recovered_after, Span::short),
        ]
    };
    let head = [
        "fault",
        "kind",
        "on",
        "declared",
        "#fired",
        "#events touched",
        "#first",
        "#last",
        "#detected after",
        "#recovered after",
    ];
    (!record.faults.is_empty()).then(|| {
        table(
            id,
            "What each declared fault did",
            &head,
            record.faults.iter().map(row).collect(),
        )
    })
}

fn service(record: &Record, id: String) -> Option<Table> {
    let row = |(fault, service): (&String, Service)| {
        vec![
            fault.clone(),
            maybe(service.gap, Span::short),
            service.overlap.short(),
            count(service.repeated),
            count(service.refused),
            count(service.missing),
        ]
    };
    let served = record
        .faults
        .iter()
        .filter_map(|fault| Some((&fault.id, fault.service?)));
    let rows: Vec<_> = served.map(row).collect();
    let head = [
        "fault",
        "#gap of service",
        "#both primary",
        "#repeated",
        "#refused",
        "#missing",
    ];
    (!rows.is_empty()).then(|| table(id, "What faults did to the service of two copies", &head, rows))
}

fn actors(record: &Record, id: String) -> Table {
    let rows = record.actors.iter().map(|actor| {
        let fates = [
            actor.taken,
            actor.emitted,
            actor.caused,
            actor.filtered,
            actor.late,
            actor.shed,
            actor.failed,
            actor.held,
            actor.lost_in_crash,
            actor.undone,
            actor.restored,
        ];
        let mut row = vec![actor.actor.clone(), actor.role.clone()];
        row.extend(fates.map(count));
        row.push(match actor.unaccounted() {
            // A source is given nothing.
            _ if actor.taken == 0 && actor.restored == 0 => "–".to_owned(),
            0 => "balanced".to_owned(),
            n => format!("{n} unaccounted"),
        });
        row
    });
    let head = [
        "actor",
        "role",
        "#in",
        "#out",
        "#caused",
        "#filtered",
        "#late",
        "#shed",
        "#failed",
        "#held",
        "#lost in crash",
        "#undone",
        "#restored",
        "books",
    ];
    table(id, "What each actor did with its events", &head, rows.collect())
}

fn links(record: &Record, id: String) -> Table {
    let rows = record.links.iter().map(|link| {
        let counts = [
            link.sent,
            link.delivered,
            link.lost,
            link.duplicated,
            link.retransmitted,
            link.reordered,
        ];
        let mut row = vec![link.link.clone()];
        row.extend(counts.map(count));
        row
    });
    let head = [
        "link",
        "#sent",
        "#delivered",
        "#lost",
        "#copies",
        "#sent again",
        "#out of order",
    ];
    table(id, "What each link did with its elements", &head, rows.collect())
}

fn rows(sink: &crate::record::SinkTable, id: String) -> Table {
    let cell = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => "–".to_owned(),
        other => other.to_string(),
    };
    let head = sink.columns.iter().enumerate().map(|(n, name)| Head {
        text: name.clone(),
        number: sink
            .first
            .first()
            .and_then(|row| row.get(n))
            .is_some_and(serde_json::Value::is_number),
    });
    let shown = sink.first.iter().take(ROWS);
    let note = if sink.rows > shown.len() as u64 {
        format!("The first {} of {}.", shown.len(), plural(sink.rows, "row"))
    } else {
        String::new()
    };
    Table {
        id,
        caption: format!("{}: {} in the end", sink.sink, plural(sink.rows, "row")),
        head: head.collect(),
        rows: shown.map(|row| row.iter().map(cell).collect()).collect(),
        note,
    }
}

fn distances(record: &Record, id: String) -> Option<Table> {
    let rows = record.distances.iter().map(|distance| {
        let reference = match distance.reference {
            Reference::Truth => "truth: every event of the undisturbed input",
            Reference::Admitted => "admitted: what arrived and was not late",
            Reference::Twin => "twin: the same run without its faults",
        };
        let columns = distance
            .columns
            .iter()
            .map(|c| format!("{} by {} on average, {} at most", c.column, c.mean, c.max));
        vec![
            distance.sink.clone(),
            reference.to_owned(),
            count(distance.expected_rows),
            count(distance.equal),
            count(distance.different),
            count(distance.missing),
            count(distance.extra),
            columns.collect::<Vec<_>>().join("; "),
        ]
    });
    let head = [
        "sink",
        "against",
        "#rows",
        "#equal",
        "#different",
        "#missing",
        "#extra",
        "numbers are off",
    ];
    (!record.distances.is_empty()).then(|| {
        table(
            id,
            "How far each sink is from what it should have",
            &head,
            rows.collect(),
        )
    })
}

fn latencies(record: &Record, id: String) -> Option<Table> {
    let mut rows = Vec::new();
    let mut nought = 0;
    for (of, all) in &record.histograms {
        for (name, histogram) in all {
            if histogram.min() == Some(Span(0)) && histogram.max() == Some(Span(0)) {
                nought += 1;
                continue;
            }
            let mut row = vec![of.clone(), name.replace('_', " "), count(histogram.count())];
            for statistic in ["min", "p50", "p90", "p99", "p999", "p9999", "max", "mean"] {
                // A few distributions are of sizes.
                row.push(maybe(histogram.statistic(statistic), |value| {
                    match name.ends_with("bytes") {
                        true => format!("{} B", count(value.0.unsigned_abs())),
                        false => value.short(),
                    }
                }));
            }
            rows.push(row);
        }
    }
    let head = [
        "of", "what", "#count", "#min", "#p50", "#p90", "#p99", "#p99.9", "#p99.99", "#max", "#mean",
    ];
    let mut table = table(id, "Distributions, all of them simulated", &head, rows);
    if nought > 0 {
        table.note = format!("{} of nothing but zeros left away.", plural(nought, "distribution"));
    }
    (!table.rows.is_empty()).then_some(table)
}

fn metrics(record: &Record, id: String) -> Table {
    let mut rows = Vec::new();
    for (of, all) in &record.metrics {
        let zero = |metric: &Metric| metric.as_f64() == 0.0;
        let told: BTreeMap<_, _> = all.iter().filter(|(_, metric)| !zero(metric)).collect();
        rows.extend(told.into_iter().map(|(name, metric)| {
            let value = match metric {
                Metric::Count(n) => count(*n),
                other => other.to_string(),
            };
            vec![of.clone(), name.clone(), value]
        }));
    }
    let mut table = table(id, "Every metric that is not zero", &["of", "metric", "#value"], rows);
    table.note = "Metrics that are zero are left away; the record has them.".to_owned();
    table
}

fn bars(timeline: &Timeline, why: &Why) -> WhyBars {
    let sum = |parts: &[f64; 8]| parts.iter().sum::<f64>();
    let widest = why.parts.iter().map(|(_, _, parts)| sum(parts)).fold(1.0, f64::max);
    let rows = why.parts.iter().map(|(group, results, parts)| {
        let mut from = 0.0;
        let mut pieces = Vec::new();
        for (cause, part) in Cause::ALL.iter().zip(parts) {
            let width = part.max(0.0) / widest * 100.0;
            if width > 0.0 {
                pieces.push(WhyPart {
                    cause: *cause as usize,
                    name: cause.name(),
                    from: format!("{from:.3}%"),
                    width: format!("{:.3}%", width.max(0.15)),
                    span: Span(part.round() as i64).short(),
                });
            }
            from += width;
        }
        WhyRow {
            group: group.clone(),
            results: count(*results),
            total: Span(sum(parts).round() as i64).short(),
            parts: pieces,
        }
    });
    let total: u64 = why.total.iter().sum();
    let share = |part: u64| {
        let share = part as f64 / total.max(1) as f64 * 100.0;
        if share >= 10.0 {
            format!("{share:.0} %")
        } else {
            format!("{share:.1} %")
        }
    };
    let legend = Cause::ALL.iter().zip(why.total).filter(|(_, part)| *part > 0);
    WhyBars {
        sink: timeline
            .actors
            .get(why.actor)
            .map_or_else(String::new, |track| track.actor.clone()),
        results: count(why.results),
        unsplit: if why.unsplit > 0 {
            count(why.unsplit)
        } else {
            String::new()
        },
        rows: rows.collect(),
        legend: legend
            .map(|(cause, part)| (*cause as usize, cause.name(), share(part)))
            .collect(),
    }
}

/// The page in front of several runs.
pub struct Summary {
    pub title: String,
    pub rows: Vec<SummaryRow>,
}

/// A run in a line.
pub struct SummaryRow {
    pub index: usize,
    pub scenario: String,
    pub pattern: String,
    pub seed: u64,
    pub outcome: &'static str,
    pub class: &'static str,
    pub symbol: &'static str,
    pub broken: String,
    pub events: String,
    pub simulated: String,
    pub hash: String,
}

impl Summary {
    pub fn new(runs: &[Run]) -> Self {
        let ok = runs.iter().filter(|run| run.outcome_class == "good").count();
        let rows = runs.iter().map(|run| {
            let broken = run.expectations.iter().chain(&run.derived).filter(|e| e.holds == "no");
            let names: Vec<&str> = broken.map(|e| e.name.as_str()).take(3).collect();
            SummaryRow {
                index: run.index,
                scenario: run.scenario.clone(),
                pattern: run.pattern_title.clone(),
                seed: run.seed,
                outcome: run.outcome,
                class: run.outcome_class,
                symbol: run.outcome_symbol,
                broken: names.join("; "),
                events: run.events.clone(),
                simulated: run.simulated.clone(),
                hash: run.hash.clone(),
            }
        });
        Self {
            title: format!("{ok} of {} runs did what they must", runs.len()),
            rows: rows.collect(),
        }
    }
}

/// A sweep.
pub struct SweepView {
    pub title: String,
    pub table: Table,
    pub json: String,
}

impl SweepView {
    pub fn new(sweep: &Sweep) -> Result<Self, ReportError> {
        let head = sweep
            .sweep
            .iter()
            .map(|text| (text, false))
            .chain(sweep.show.iter().map(|text| (text, true)));
        let mut head: Vec<Head> = head
            .map(|(text, number)| Head {
                text: text.clone(),
                number,
            })
            .collect();
        head.push(Head {
            text: "verdict".to_owned(),
            number: false,
        });
        let row = |run: &crate::sweep::Swept| {
            let shown = run.shown.iter().map(|shown| {
                maybe(*shown, |metric| match metric {
                    Metric::Count(n) => count(n),
                    Metric::Us(span) => span.short(),
                    other => other.to_string(),
                })
            });
            let verdict = match run.verdict {
                Verdict::Pass => "✓ holds",
                Verdict::Fail => "✗ broken",
                Verdict::Inconclusive => "○ untested",
            };
            run.set
                .iter()
                .cloned()
                .chain(shown)
                .chain([verdict.to_owned()])
                .collect()
        };
        Ok(Self {
            title: format!("{} at seed {}", sweep.scenario, sweep.seed),
            table: Table {
                id: "sweep".to_owned(),
                caption: "The same waves, met with different settings".to_owned(),
                head,
                rows: sweep.runs.iter().map(row).collect(),
                note: String::new(),
            },
            json: embedded(sweep)?,
        })
    }
}
