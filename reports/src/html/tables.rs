//! What a record holds, as tables: the books of actors and links, the fault ledger, results, distances, percentiles.

use std::collections::BTreeMap;

use crate::record::{Metric, Record, Reference, Service};
use crate::text::{count, plural};
use crate::time::Span;

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

/// A table without a note. A heading with `#` before it stands over numbers.
pub fn table(id: String, caption: &str, head: &[&str], rows: Vec<Vec<String>>) -> Table {
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

/// A value, or a dash where there is none.
pub fn maybe<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), show)
}

/// The fault ledger.
pub fn faults(record: &Record, id: String) -> Option<Table> {
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
            maybe(fault.first, |at| at.to_string()),
            maybe(fault.last, |at| at.to_string()),
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

/// What faults did to pairs of copies.
pub fn service(record: &Record, id: String) -> Option<Table> {
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

/// The books of the actors.
pub fn actors(record: &Record, id: String) -> Table {
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

/// The books of the links.
pub fn links(record: &Record, id: String) -> Table {
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

/// What came to a sink.
pub fn rows(sink: &crate::record::SinkTable, id: String) -> Table {
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

/// How far each sink is from what it should have.
pub fn distances(record: &Record, id: String) -> Option<Table> {
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

/// The percentiles of every distribution.
pub fn latencies(record: &Record, id: String) -> Option<Table> {
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
    let caption = match record.real_time {
        Some(_) => "Distributions, as they were measured",
        None => "Distributions, all of them simulated",
    };
    let mut table = table(id, caption, &head, rows);
    if nought > 0 {
        table.note = format!("{} of nothing but zeros left away.", plural(nought, "distribution"));
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Every metric that is not zero.
pub fn metrics(record: &Record, id: String) -> Table {
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
