//! What the template shows: a run, the summary of several, and a sweep, as text.

use serde::Serialize;

use super::figures::{self, Group};
use super::tables::{self, Head, Table};
use super::{ReportError, embedded};
use crate::Histogram;
use crate::record::{Expectation, Holds, Kind, Metric, Must, Outcome, Purpose, Record, Verdict};
use crate::sweep::Sweep;
use crate::terminal::judgement;
use crate::text::{count, plural, without_styles};
use crate::time::Span;
use crate::timeline::{Cause, Timeline, Why};

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
    /// How many the groups are made of, when that is not all of them.
    pub sample: String,
    /// Whether no result took any time.
    pub at_once: bool,
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
    /// Whether it followed the machine's clock.
    pub real_time: bool,
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
            real_time: record.real_time.is_some(),
            facts,
            reproduce: record.reproduce.clone(),
            holds: holds(Holds::Yes),
            broken: holds(Holds::No),
            untested: holds(Holds::Untested),
            expectations: own,
            derived_broken: derived.iter().any(|e| e.holds == "no"),
            derived,
            faults: tables::faults(record, id("faults")),
            service: tables::service(record, id("service")),
            actors: tables::actors(record, id("actors")),
            links: tables::links(record, id("links")),
            sinks: record
                .sinks
                .iter()
                .enumerate()
                .map(|(n, sink)| tables::rows(sink, id(&format!("sink{n}"))))
                .collect(),
            distances: tables::distances(record, id("distances")),
            latencies: tables::latencies(record, id("latencies")),
            metrics: tables::metrics(record, id("metrics")),
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
        broken: broken.map_or_else(String::new, |at| at.to_string()),
        untested: expectation.untested.clone().unwrap_or_default(),
        failure: failure.map(|failure| {
            let event = failure.event.as_ref().map_or_else(String::new, |event| {
                let mut text = event.id.clone();
                if !event.row.is_empty() {
                    text += &format!(" {}", event.row);
                }
                text += &format!(", happened {}", event.happened);
                if let Some(stamp) = event.stamp {
                    text += &format!(", stamped {}", stamp);
                }
                match event.seen {
                    Some(seen) if event.at.is_empty() => text += &format!(", seen {}", seen),
                    Some(seen) => text += &format!(", seen by {} at {}", event.at, seen),
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
        sample: match why.parts.iter().map(|(_, results, _)| results).sum() {
            grouped if grouped < why.results => count(grouped),
            _ => String::new(),
        },
        at_once: total == 0,
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
                tables::maybe(*shown, |metric| match metric {
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
