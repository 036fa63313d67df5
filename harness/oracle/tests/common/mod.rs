//! A short way to write down what arrives at an operator and to read what is due.
#![allow(dead_code, reason = "each test target uses a part of this")]

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use wavetank_oracle::{Arrival, Due, DueResult, Reference, Why, reference};
use wavetank_scenarios::{Change, Event, EventId, FieldType, Producer, Schema, Span, Time, Value, script};

pub fn at(micros: i64) -> Time {
    Time::from_micros(micros)
}

/// Operators of the tests read rows `(k, v)`.
pub fn schema() -> Schema {
    Schema::new([("k", FieldType::Text), ("v", FieldType::Any)])
}

/// An operator named `op` from the settings of a scenario file.
pub fn operator(settings: Json) -> script::Operator {
    let mut all = json!({"name": "op", "input": ["s"]});
    for (key, value) in settings.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    serde_json::from_value(all).unwrap()
}

/// A model that is told what arrives in a word each, and writes down what is due.
pub struct Told {
    model: Box<dyn Reference>,
    next: u64,
    pub due: Vec<Due>,
}

impl Told {
    pub fn new(settings: Json) -> Self {
        Self::over(settings, &schema())
    }
    pub fn query(query: &str, mut settings: Json) -> Self {
        settings["query"] = json!(query);
        Self::new(settings)
    }
    pub fn over(settings: Json, schema: &Schema) -> Self {
        let model = reference(&operator(settings), &[schema], None, &BTreeMap::new(), Span::UNIT).unwrap();
        Self {
            model,
            next: 0,
            due: vec![],
        }
    }
    pub fn arrive(&mut self, arrival: &Arrival) -> &Due {
        let due = self.model.arrive(arrival);
        self.due.push(due);
        self.due.last().unwrap()
    }
    /// The next event, with that stamp and row; ids count up.
    pub fn row(&mut self, stamp: i64, row: Vec<Value>) -> String {
        let event = event(self.next, stamp, row);
        self.next += 1;
        let now = event.stamp;
        shown(self.arrive(&Arrival::Event {
            input: 0,
            event,
            now,
            at: now,
        }))
    }
    /// An event `(k, v)`.
    pub fn event(&mut self, stamp: i64, key: &str, value: impl Into<Value>) -> String {
        self.row(stamp, vec![key.into(), value.into()])
    }
    pub fn watermark(&mut self, to: i64) -> String {
        shown(self.arrive(&Arrival::Watermark(at(to))))
    }
    pub fn end(&mut self) -> String {
        shown(self.arrive(&Arrival::Watermark(Time::MAX)))
    }
    pub fn held(&self) -> u64 {
        self.due.last().map_or(0, |d| d.held)
    }
}

pub fn event(number: u64, stamp: i64, row: Vec<Value>) -> Event {
    let id = EventId {
        producer: Producer(0),
        number,
    };
    Event {
        id,
        stamp: at(stamp),
        correlation: id,
        planned: at(stamp),
        row: row.into(),
        lineage: None,
        pane: None,
        sequence: None,
        position: None,
    }
}

/// What is due on one line: results as `[start,end) values`, later ones with their change and revision; then what was
/// dropped.
pub fn shown(due: &Due) -> String {
    let dropped = due.dropped.iter().map(|(id, why)| {
        let why = match why {
            Why::Filtered => "filtered",
            Why::Late => "late",
            Why::Failed => "failed",
        };
        format!("#{} {why}", id.number)
    });
    let all: Vec<String> = due.results.iter().map(result).chain(dropped).collect();
    all.join("; ")
}

fn result(result: &DueResult) -> String {
    let values: Vec<String> = result.row.iter().map(ToString::to_string).collect();
    let values = values.join(" ");
    match &result.pane {
        None => values,
        Some(pane) if pane.end == Time::MAX => format!("all {values}"),
        Some(pane) => {
            let bounds = format!("[{},{})", pane.start.micros(), pane.end.micros());
            let change = match (pane.change, pane.revision) {
                (Change::Insert, 0) => String::new(),
                (Change::Insert, r) => format!(" +{r}"),
                (Change::UpdateAfter, r) => format!(" ~{r}"),
                (Change::UpdateBefore, r) => format!(" <{r}"),
                (Change::Delete, r) => format!(" -{r}"),
                (Change::Part, r) => format!(" part {r}"),
            };
            format!("{bounds} {values}{change}")
        }
    }
}
