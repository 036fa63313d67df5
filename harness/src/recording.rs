//! From a judged run to its record.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use wavetank_oracle::table::{Entry, Name, Table};
use wavetank_reports::record::{
    ColumnDistance, DataProblem, DataProblems, Distance, Fault, LinkCounts, Metric, Must, Number, Record, Reference,
    SinkTable, TraceHash,
};
use wavetank_scenarios::metric::{Form, METRICS, Measured, MetricDescriptor, Unit};
use wavetank_scenarios::script;
use wavetank_scenarios::topology::ActorId;
use wavetank_scenarios::{Time, Value};
use xxhash_rust::xxh3::Xxh3Default;

use crate::judge::{Ending, Judge, Reading, explain_time};
use crate::tracing::json;

/// Rows of a sink that are kept in a record; the hash covers all.
const MOST_ROWS: usize = 1_000;

/// The record of a run.
pub fn record(judge: &Judge, ending: &Ending, wall: Duration) -> Record {
    let scenario = &judge.script.scenario;
    let mut record = Record::new(&scenario.name, scenario.pattern.name(), judge.run.seed);
    record.about = scenario.about.clone();
    record.origin = judge.script.origin.to_string();
    record.overrides = judge
        .script
        .overrides
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    record.must = match scenario.must {
        script::Must::Pass => Must::Pass,
        script::Must::Fail => Must::Fail,
    };
    record.because = scenario.because.clone();
    record.start = explain_time(judge.run.start);
    if let Ok(outcome) = &ending.outcome {
        record.trace_hash = outcome.trace_hash.map(TraceHash::from).unwrap_or_default();
        record.deliveries = outcome.deliveries;
        record.steps = outcome.steps;
        record.interrupted = outcome.interrupted;
    }
    let end = ending.at(judge.run.start);
    record.simulated = wavetank_reports::time::Span(end.since(judge.run.start).micros());
    record.events = judge.events;
    record.notes.clone_from(&judge.notes);
    if judge.unnoted > 0 {
        record.notes.push(format!("and {} more of such", judge.unnoted));
    }
    record.wall = wavetank_reports::time::Span(i64::try_from(wall.as_micros()).unwrap_or(i64::MAX));
    record.expectations = judge.expectations(ending);
    record.faults = scenario
        .faults
        .iter()
        .zip(&judge.faults)
        .map(|(fault, meter)| Fault {
            id: fault.id.clone(),
            kind: fault.kind.name().into(),
            on: fault.on.clone(),
            about: about(fault),
            declared: fault.rate > 0.0,
            fired: meter.fired,
            touched: meter.touched,
            first: meter.first.map(explain_time),
            last: meter.last.map(explain_time),
            detected_after: meter.detected.map(|span| wavetank_reports::Span(span.micros())),
            recovered_after: meter.recovered.map(|span| wavetank_reports::Span(span.micros())),
            service: meter.service,
        })
        .collect();
    metrics(judge, &mut record);
    record.actors = judge
        .topology
        .actors
        .iter()
        .zip(&judge.actors)
        .map(|(actor, meter)| meter.counts(actor))
        .collect();
    record.links = judge
        .topology
        .links
        .iter()
        .zip(&judge.links)
        .map(|(link, meter)| LinkCounts {
            link: link.name.to_string(),
            sent: meter.sent,
            delivered: meter.arrived,
            lost: meter.lost,
            duplicated: meter.counts.copies,
            retransmitted: meter.counts.resent,
            reordered: meter.counts.overtaken,
        })
        .collect();
    for (index, actor) in judge.topology.actors.iter().enumerate() {
        let id = ActorId(index as u32);
        let Some(watch) = judge.sinks.get(&id) else { continue };
        let columns: Vec<String> = judge.columns(id).iter().map(ToString::to_string).collect();
        record.sinks.push(sink_table(&actor.name, &columns, &watch.came));
        let twin = ending.twin.as_ref().and_then(|tables| tables.get(&id));
        let truth = ending.truth.as_ref().and_then(|tables| tables.get(&id));
        let references = [
            (Reference::Truth, truth),
            (Reference::Admitted, Some(&watch.admitted)),
            (Reference::Twin, twin),
        ];
        for (reference, table) in references {
            if let Some(table) = table {
                record
                    .distances
                    .push(distance(&actor.name, reference, &columns, &watch.came, table));
            }
        }
    }
    record.data = DataProblems {
        skipped: judge.script.skipped.iter().map(|(rows, _)| rows).sum(),
        first: judge
            .script
            .skipped
            .iter()
            .flat_map(|(_, problems)| problems)
            .take(20)
            .map(|problem| DataProblem {
                file: problem.file.clone(),
                line: problem.line as u64,
                column: problem.column as u64,
                message: problem.message.clone(),
            })
            .collect(),
    };
    record.reproduce = judge.reproduce();
    record.conclude();
    record
}

/// What a fault was declared to do, in words.
fn about(fault: &script::Fault) -> String {
    let text = |value: Option<serde_json::Value>| match value {
        Some(serde_json::Value::String(text)) => text,
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let mut parts = Vec::new();
    if fault.rate < 1.0 {
        parts.push(format!("{} %", Number(fault.rate * 100.0)));
    }
    if let Some(amount) = &fault.amount {
        parts.push(text(Some(amount.clone().into())));
    }
    if let Some(factor) = fault.factor {
        parts.push(format!("x{}", Number(factor)));
    }
    if let Some(at) = &fault.at {
        parts.push(format!("at {}", text(Some(at.clone().into()))));
    }
    if let Some(every) = fault.every {
        parts.push(format!("every {every}"));
    }
    if let Some(lasting) = fault.lasting {
        parts.push(format!("for {lasting}"));
    }
    if let Some(during) = &fault.during {
        parts.push(text(Some(during.clone().into())));
    }
    parts.join(", ")
}

/// Puts everything that was measured into the record, by name.
fn metrics(judge: &Judge, record: &mut Record) {
    for descriptor in METRICS {
        readings(judge, descriptor, |_, of, largest, reading| match reading {
            Reading::Nothing => {}
            Reading::Number(number) => {
                let suffix = if largest { ".max" } else { "" };
                let value = match descriptor.unit {
                    Unit::Count => Metric::Count(number as u64),
                    Unit::Micros => Metric::Us(wavetank_reports::time::Span(number as i64)),
                    Unit::Bytes => Metric::Bytes(number as u64),
                    Unit::Ratio => Metric::Number(Number(number)),
                };
                record.set_metric(of, format!("{}{suffix}", descriptor.name), value);
            }
            Reading::Histogram(histogram) => {
                if histogram.count() > 0 {
                    let histograms = record.histograms.entry(of.to_owned()).or_default();
                    histograms.insert(descriptor.name.to_owned(), histogram.clone());
                }
            }
        });
    }
}

/// What a metric shows of everything that has it: what that is, its name, whether this is the largest reading of a gauge
/// instead of the one now, and the reading.
pub fn readings(judge: &Judge, descriptor: &MetricDescriptor, mut take: impl FnMut(Measured, &str, bool, Reading<'_>)) {
    let metric = descriptor.metric;
    let gauge = descriptor.form == Form::Gauge;
    for (actor, meter) in judge.topology.actors.iter().zip(&judge.actors) {
        let measured = actor.role.measured();
        if descriptor.of.contains(&measured) {
            take(measured, &actor.name, false, meter.read(metric, false));
            if gauge {
                take(measured, &actor.name, true, meter.read(metric, true));
            }
        }
    }
    for (link, meter) in judge.topology.links.iter().zip(&judge.links) {
        if descriptor.of.contains(&Measured::Link) {
            take(Measured::Link, &link.name, false, meter.read(metric, false));
            if gauge {
                take(Measured::Link, &link.name, true, meter.read(metric, true));
            }
        }
    }
    for (fault, meter) in judge.script.scenario.faults.iter().zip(&judge.faults) {
        if descriptor.of.contains(&Measured::Fault) {
            take(
                Measured::Fault,
                &format!("fault.{}", fault.id),
                false,
                meter.read(metric),
            );
        }
    }
}

fn sink_table(sink: &str, columns: &[String], table: &Table) -> SinkTable {
    let rows = table.rows();
    let mut hash = Xxh3Default::new();
    for (_, entry) in &rows {
        entry.row.hash(&mut hash);
    }
    let bounds = |name: &Name| match name {
        Name::Window(end, start, _) | Name::Part(end, start, ..) if *start > Time::MIN => Some((*start, *end)),
        _ => None,
    };
    let windows = rows.iter().any(|(name, _)| bounds(name).is_some());
    let mut names = columns.to_vec();
    if windows {
        names.splice(0..0, ["window_start".to_owned(), "window_end".to_owned()]);
    }
    let first = rows.iter().take(MOST_ROWS).map(|(name, entry)| {
        let cells = entry.row.iter().map(json);
        let bound = |t: Time| serde_json::Value::String(explain_time(t).to_string());
        match bounds(name) {
            Some((start, end)) => [bound(start), bound(end)].into_iter().chain(cells).collect(),
            None if windows => [serde_json::Value::Null, serde_json::Value::Null]
                .into_iter()
                .chain(cells)
                .collect(),
            None => cells.collect(),
        }
    });
    SinkTable {
        sink: sink.into(),
        columns: names,
        key: if windows { vec![0, 1] } else { vec![] },
        rows: rows.len() as u64,
        hash: TraceHash::from(hash.finish()),
        first: first.collect(),
    }
}

fn distance(sink: &str, reference: Reference, columns: &[String], came: &Table, should: &Table) -> Distance {
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let found = came.distance(should, &names);
    let ours: BTreeMap<&Name, &Entry> = came.rows().into_iter().collect();
    let mut off: Vec<(f64, f64, u64)> = vec![(0.0, 0.0, 0); columns.len()];
    for (name, entry) in should.rows() {
        let Some(mine) = ours.get(name) else { continue };
        for (slot, (a, b)) in mine.row.iter().zip(entry.row.iter()).enumerate() {
            if let (Some(a), Some(b), Some(off)) = (Value::as_f64(a), Value::as_f64(b), off.get_mut(slot)) {
                let by = (a - b).abs();
                *off = (off.0 + by, off.1.max(by), off.2 + 1);
            }
        }
    }
    let columns = columns
        .iter()
        .zip(off)
        .filter(|(_, (_, max, _))| *max > 0.0)
        .map(|(column, (sum, max, n))| ColumnDistance {
            column: column.clone(),
            mean: Number(sum / n as f64),
            max: Number(max),
        });
    Distance {
        sink: sink.into(),
        reference,
        expected_rows: found.due,
        equal: found.right,
        different: found.different,
        missing: found.missing,
        extra: found.extra,
        columns: columns.collect(),
    }
}
