//! Two records side by side: what is different in their outputs, expectations, faults and numbers.
//!
//! Wall-clock cost is never compared. Tables are compared row by row as far as the records hold them; equal hashes say
//! that what the records leave out is equal too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::{Expectation, Metric, Record, SinkTable};
use crate::table::cell_text;
use crate::text::{BAD, DIM, GOOD, STRONG, count, elide, plural, printable, styled};

/// What is different between a first and a second record.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Difference {
    /// The first run, as `scenario@seed`.
    pub first: String,
    /// The second.
    pub second: String,
    /// True when both have the same trace, so that nothing can be different.
    pub same_trace: bool,
    /// Single values of the records: verdict, outcome, events, simulated time, settings changed from outside.
    pub heads: Vec<Changed>,
    /// Expectations that hold in one and not in the other, or are in one only.
    pub expectations: Vec<Changed>,
    /// How often faults acted.
    pub faults: Vec<Changed>,
    /// Sinks whose tables are different.
    pub outputs: Vec<TableDifference>,
    /// Metrics, counts of actors and links, and percentiles that are different, each `of.name`.
    pub numbers: Vec<Changed>,
}

/// Something with two values; nothing where a record does not have it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Changed {
    /// What.
    pub what: String,
    /// Its value in the first record.
    pub first: Option<String>,
    /// Its value in the second.
    pub second: Option<String>,
}

/// How a sink's table differs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TableDifference {
    /// The sink.
    pub sink: String,
    /// How many rows the first has.
    pub first_rows: u64,
    /// How many the second has.
    pub second_rows: u64,
    /// Rows in which they differ, among those that the records hold.
    pub rows: Vec<RowDifference>,
    /// False when a record holds only the first rows, so that there may be more differences.
    pub complete: bool,
}

/// A row that is not the same in both.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RowDifference {
    /// Its name: the values of the key columns, or its place where rows have none.
    pub row: String,
    /// The columns that differ, when both have the row.
    pub columns: Vec<Changed>,
    /// True when only the first has it.
    pub only_first: bool,
    /// True when only the second has it.
    pub only_second: bool,
}

/// Compares two records.
pub fn diff(first: &Record, second: &Record) -> Difference {
    let name = |r: &Record| format!("{}@{}", r.scenario, r.seed);
    let heads = |r: &Record| {
        BTreeMap::from([
            ("scenario".to_owned(), r.scenario.clone()),
            ("pattern".to_owned(), r.pattern.clone()),
            ("seed".to_owned(), r.seed.to_string()),
            ("changed settings".to_owned(), r.overrides.join(" ")),
            ("verdict".to_owned(), format!("{:?}", r.verdict).to_lowercase()),
            ("trace".to_owned(), r.trace_hash.to_string()),
            ("events".to_owned(), count(r.events)),
            ("deliveries".to_owned(), count(r.deliveries)),
            ("virtual time".to_owned(), r.simulated.to_string()),
        ])
    };
    let expectations = |r: &Record| r.expectations.iter().map(|e| (e.name.clone(), state(e))).collect();
    let faults = |r: &Record| {
        r.faults
            .iter()
            .map(|f| (f.id.clone(), format!("fired {}", count(f.fired))))
            .collect()
    };
    Difference {
        first: name(first),
        second: name(second),
        same_trace: first.trace_hash == second.trace_hash,
        heads: changes(&heads(first), &heads(second)),
        expectations: changes(&expectations(first), &expectations(second)),
        faults: changes(&faults(first), &faults(second)),
        outputs: outputs(first, second),
        numbers: changes(&numbers(first), &numbers(second)),
    }
}

fn state(expectation: &Expectation) -> String {
    let holds = format!("{:?}", expectation.holds).to_lowercase();
    match expectation.first_broken {
        Some(at) => format!("{holds} (first broken {at})"),
        None => holds,
    }
}

fn changes(first: &BTreeMap<String, String>, second: &BTreeMap<String, String>) -> Vec<Changed> {
    let names: std::collections::BTreeSet<_> = first.keys().chain(second.keys()).collect();
    names
        .into_iter()
        .filter(|name| first.get(*name) != second.get(*name))
        .map(|name| Changed {
            what: name.clone(),
            first: first.get(name).cloned(),
            second: second.get(name).cloned(),
        })
        .collect()
}

/// Every number of a record that follows from the run, by name.
fn numbers(record: &Record) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (of, metrics) in &record.metrics {
        all.extend(
            metrics
                .iter()
                .map(|(name, value)| (format!("{of}.{name}"), exact(*value))),
        );
    }
    for (of, histograms) in &record.histograms {
        for (name, histogram) in histograms {
            for statistic in ["min", "p50", "p99", "max"] {
                if let Some(value) = histogram.statistic(statistic) {
                    all.insert(format!("{of}.{name}.{statistic}"), value.to_string());
                }
            }
            all.insert(format!("{of}.{name}.count"), count(histogram.count()));
        }
    }
    for a in &record.actors {
        let named = [
            ("in", a.taken),
            ("out", a.emitted),
            ("caused", a.caused),
            ("filtered", a.filtered),
            ("late", a.late),
            ("shed", a.shed),
            ("failed", a.failed),
            ("held", a.held),
            ("lost_in_crash", a.lost_in_crash),
            ("undone", a.undone),
            ("restored", a.restored),
        ];
        all.extend(named.map(|(name, n)| (format!("{}.{name}", a.actor), count(n))));
    }
    for l in &record.links {
        let named = [
            ("sent", l.sent),
            ("delivered", l.delivered),
            ("lost", l.lost),
            ("duplicated", l.duplicated),
            ("retransmitted", l.retransmitted),
            ("reordered", l.reordered),
        ];
        all.extend(named.map(|(name, n)| (format!("{}.{name}", l.link), count(n))));
    }
    all
}

/// A metric with all its digits: two that differ never look alike.
fn exact(metric: Metric) -> String {
    match metric {
        Metric::Number(x) => format!("{:?}", x.0),
        Metric::PerSecond(x) => format!("{:?}/s", x.0),
        Metric::Share(x) => format!("{:?}", x.0),
        Metric::Count(_) | Metric::Us(_) | Metric::Bytes(_) => metric.to_string(),
    }
}

fn outputs(first: &Record, second: &Record) -> Vec<TableDifference> {
    let by_name = |r: &Record| {
        r.sinks
            .iter()
            .map(|s| (s.sink.clone(), s.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    let (mut ours, mut theirs) = (by_name(first), by_name(second));
    let names: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).cloned().collect();
    names
        .into_iter()
        .filter_map(|name| {
            let empty = || SinkTable {
                sink: name.clone(),
                ..SinkTable::default()
            };
            let (a, b) = (
                ours.remove(&name).unwrap_or_else(empty),
                theirs.remove(&name).unwrap_or_else(empty),
            );
            table(&a, &b)
        })
        .collect()
}

/// The difference of two tables; nothing when they are the same.
fn table(first: &SinkTable, second: &SinkTable) -> Option<TableDifference> {
    if first.hash == second.hash && first.rows == second.rows && first.columns == second.columns {
        return None;
    }
    let (ours, theirs) = (named_rows(first), named_rows(second));
    let mut rows = Vec::new();
    for (name, row) in &ours {
        match theirs.get(name) {
            None => rows.push((name, true, false, Vec::new())),
            Some(other) => {
                let changed = changes(row, other);
                if !changed.is_empty() {
                    rows.push((name, false, false, changed));
                }
            }
        }
    }
    rows.extend(
        theirs
            .keys()
            .filter(|name| !ours.contains_key(*name))
            .map(|name| (name, false, true, Vec::new())),
    );
    rows.sort_by_key(|row| row.0);
    // What lies beyond the rows that a record holds may be in both: only whole tables tell what one has alone.
    let complete = first.is_whole() && second.is_whole();
    Some(TableDifference {
        sink: first.sink.clone(),
        first_rows: first.rows,
        second_rows: second.rows,
        rows: rows
            .into_iter()
            .filter(|(_, a, b, _)| (!a || second.is_whole()) && (!b || first.is_whole()))
            .map(|((row, copy), only_first, only_second, columns)| RowDifference {
                row: if *copy > 0 {
                    format!("{row} (again)")
                } else {
                    row.clone()
                },
                columns,
                only_first,
                only_second,
            })
            .collect(),
        complete,
    })
}

/// Rows by their name and how many of that name came before; each as column and value.
fn named_rows(sink: &SinkTable) -> BTreeMap<(String, usize), BTreeMap<String, String>> {
    let mut rows = BTreeMap::new();
    for (place, row) in sink.first.iter().enumerate() {
        let name = match sink.key.is_empty() {
            true => format!("row {}", place + 1),
            false => {
                let values: Vec<_> = sink.key.iter().filter_map(|i| row.get(*i)).map(cell_text).collect();
                values.join(", ")
            }
        };
        let values: BTreeMap<_, _> = sink.columns.iter().cloned().zip(row.iter().map(cell_text)).collect();
        let mut copy = 0;
        while rows.contains_key(&(name.clone(), copy)) {
            copy += 1;
        }
        rows.insert((name, copy), values);
    }
    rows
}

impl Difference {
    /// True when nothing that is compared is different.
    pub const fn is_empty(&self) -> bool {
        self.heads.is_empty()
            && self.expectations.is_empty()
            && self.faults.is_empty()
            && self.outputs.is_empty()
            && self.numbers.is_empty()
    }

    /// The difference for people; at most `most` rows of each table are shown.
    pub fn render(&self, most: usize, width: usize) -> String {
        let width = width.max(60);
        let mut text = format!("{} → {}\n", styled(STRONG, &self.first), styled(STRONG, &self.second));
        if self.is_empty() {
            text += if self.same_trace {
                "the same run: equal traces\n"
            } else {
                "equal in everything that is compared\n"
            };
            return text;
        }
        if self.same_trace {
            text += "equal traces: only the judgement differs\n";
        }
        for (title, changed) in [
            ("", &self.heads),
            ("expectations", &self.expectations),
            ("faults", &self.faults),
            ("numbers", &self.numbers),
        ] {
            if changed.is_empty() {
                continue;
            }
            if !title.is_empty() {
                text += &format!("\n{}\n", styled(STRONG, title));
            }
            let name = changed
                .iter()
                .map(|c| c.what.chars().count())
                .max()
                .unwrap_or(0)
                .min(width / 2);
            for change in changed {
                text += &format!(
                    "  {}  {}\n",
                    crate::text::fit(&change.what, name),
                    arrow(change, width - name - 4)
                );
            }
        }
        for output in &self.outputs {
            text += &self.table(output, most, width);
        }
        text
    }

    fn table(&self, output: &TableDifference, most: usize, width: usize) -> String {
        let title = format!(
            "{}: {} → {}",
            output.sink,
            plural(output.first_rows, "row"),
            plural(output.second_rows, "row")
        );
        let mut text = format!("\n{}\n", styled(STRONG, title));
        for row in output.rows.iter().take(most) {
            let name = printable(&row.row);
            let line = match (row.only_first, row.only_second) {
                (true, _) => styled(BAD, elide(&format!("- {name}"), width - 2)),
                (_, true) => styled(GOOD, elide(&format!("+ {name}"), width - 2)),
                _ => {
                    let columns: Vec<_> = row
                        .columns
                        .iter()
                        .map(|c| format!("{} {} → {}", c.what, shown(c.first.as_ref()), shown(c.second.as_ref())))
                        .collect();
                    elide(&format!("~ {name}: {}", columns.join(", ")), width - 2)
                }
            };
            text += &format!("  {line}\n");
        }
        if output.rows.len() > most {
            text += &format!("  and {} more\n", count((output.rows.len() - most) as u64));
        }
        if !output.complete {
            let note = "  only the first rows are kept in the records; there may be more differences";
            text += &format!("{}\n", styled(DIM, elide(note, width)));
        }
        text
    }
}

fn shown(value: Option<&String>) -> String {
    value.map_or_else(|| "—".to_owned(), |v| printable(v))
}

fn arrow(change: &Changed, width: usize) -> String {
    elide(
        &format!("{} → {}", shown(change.first.as_ref()), shown(change.second.as_ref())),
        width,
    )
}
