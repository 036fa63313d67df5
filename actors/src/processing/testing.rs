//! What the tests of operators share: rows and events in few words, an operator from the keys of a scenario file, and a
//! hand that feeds it and checks at every step that each event has exactly one fate.

use std::collections::BTreeSet;

use serde_json::json;
use wavetank_scenarios::{Change, Event, EventId, FieldType, Pane, Producer, Row, Schema, Span, Time, Value, script};

use super::{Surroundings, Table, build};
use crate::operator::{Draft, Dropped, Emitted, Failure, Operator, Output};

/// Fields `k` (text), `v` (whole) and `x` (float).
pub fn schema() -> Schema {
    Schema::new([("k", FieldType::Text), ("v", FieldType::Int), ("x", FieldType::Float)])
}

pub fn row(k: &str, v: i64) -> Row {
    [Value::from(k), Value::Int(v), Value::Float(v as f64 / 10.0)].into()
}

pub fn event(number: u64, stamp: i64, row: Row) -> Event {
    let id = EventId {
        producer: Producer(0),
        number,
    };
    Event {
        id,
        stamp: Time::from_micros(stamp),
        correlation: id,
        planned: Time::from_micros(stamp),
        row,
        lineage: None,
        pane: None,
        sequence: None,
        position: None,
    }
}

/// The settings of an operator, from the keys of a scenario file.
pub fn settings(keys: serde_json::Value) -> script::Operator {
    let mut all = json!({"name": "op", "input": ["s"]});
    for (key, value) in keys.as_object().unwrap() {
        all[key] = value.clone();
    }
    serde_json::from_value(all).unwrap()
}

pub fn try_build(keys: serde_json::Value, schema: &Schema, tables: &[Table]) -> Result<Box<dyn Operator>, String> {
    let around = Surroundings {
        inputs: &[schema],
        output: &Schema::default(),
        tables,
        tick: Span::UNIT,
        lineage: true,
    };
    build(&settings(keys), around)
}

/// An operator with these inputs, which all have the same fields.
pub fn try_build_on(
    inputs: &[&str],
    mut keys: serde_json::Value,
    schema: &Schema,
) -> Result<Box<dyn Operator>, String> {
    keys["input"] = json!(inputs);
    let schemas = vec![schema; inputs.len()];
    let around = Surroundings {
        inputs: &schemas,
        output: &Schema::default(),
        tables: &[],
        tick: Span::UNIT,
        lineage: true,
    };
    build(&settings(keys), around)
}

/// A table that has names for two keys.
pub fn names() -> Table {
    Table {
        name: "names".into(),
        schema: Schema::new([("key", FieldType::Text), ("name", FieldType::Text)]),
        rows: vec![
            [Value::from("a"), Value::from("Alpha")].into(),
            [Value::from("b"), Value::from("Beta")].into(),
        ],
    }
}

/// Feeds an operator and keeps books on it.
pub struct Hand {
    pub operator: Box<dyn Operator>,
    /// The number of the next event.
    pub next: u64,
    taken: u64,
    caused: u64,
    pub dropped: Vec<(u64, Dropped)>,
    pub failed: Vec<Failure>,
    pub aside: Vec<Event>,
    pub results: Vec<Draft>,
}

impl Hand {
    pub fn on(keys: serde_json::Value) -> Self {
        Self::of(try_build(keys, &schema(), &[]).unwrap())
    }
    pub fn query(sql: &str) -> Self {
        Self::on(json!({"query": sql}))
    }
    pub fn of(operator: Box<dyn Operator>) -> Self {
        Self {
            // What was restored holds events already.
            taken: operator.held(),
            operator,
            next: 0,
            caused: 0,
            dropped: Vec::new(),
            failed: Vec::new(),
            aside: Vec::new(),
            results: Vec::new(),
        }
    }
    /// An event with the next number.
    pub fn event(&mut self, stamp: i64, k: &str, v: i64) -> &mut Self {
        let next = event(self.next, stamp, row(k, v));
        self.take(next)
    }
    pub fn take(&mut self, event: Event) -> &mut Self {
        self.take_at(event, Time::ZERO)
    }
    pub fn take_at(&mut self, event: Event, now: Time) -> &mut Self {
        self.next = self.next.max(event.id.number + 1);
        self.taken += 1;
        let mut out = Output::default();
        self.operator.on_event(0, event, now, &mut out);
        self.settle(out);
        self
    }
    pub fn watermark(&mut self, w: i64) -> &mut Self {
        let mut out = Output::default();
        self.operator.on_watermark(Time::from_micros(w), &mut out);
        self.settle(out);
        self
    }
    /// A timer is due.
    pub fn timer(&mut self, token: u64) -> &mut Self {
        let mut out = Output::default();
        self.operator.on_timer(token, &mut out);
        self.settle(out);
        self
    }
    pub fn end(&mut self) -> &mut Self {
        self.watermark(i64::MAX)
    }
    fn settle(&mut self, out: Output) {
        self.caused += out.caused;
        self.dropped
            .extend(out.dropped.iter().map(|(id, why)| (id.number, *why)));
        for emitted in out.emitted {
            match emitted {
                Emitted::Result(draft) => self.results.push(draft),
                Emitted::Late(event) => self.aside.push(event),
                Emitted::Failed(failure) => self.failed.push(failure),
            }
        }
        let ids: BTreeSet<u64> = self.dropped.iter().map(|(id, _)| *id).collect();
        assert_eq!(
            ids.len(),
            self.dropped.len(),
            "an event was dropped twice: {:?}",
            self.dropped
        );
        let gone = self.caused + (self.dropped.len() + self.failed.len()) as u64;
        assert_eq!(
            self.taken,
            gone + self.operator.held(),
            "in = caused + filtered + late + failed + held"
        );
    }
    /// The results since the last time, as text: window, row, and what it does where it is not a first answer.
    pub fn said(&mut self) -> Vec<String> {
        self.results.drain(..).map(|draft| describe(&draft)).collect()
    }
    pub fn ids(&self, why: Dropped) -> Vec<u64> {
        self.dropped
            .iter()
            .filter(|(_, w)| *w == why)
            .map(|(id, _)| *id)
            .collect()
    }
}

pub fn describe(draft: &Draft) -> String {
    let values: Vec<String> = draft.row.iter().map(ToString::to_string).collect();
    let row = values.join(" ");
    match &draft.pane {
        None => row,
        Some(pane) => {
            let Pane {
                start,
                end,
                revision,
                change,
                ..
            } = &**pane;
            let bound = |t: &Time| match *t {
                Time::MIN => "-".to_owned(),
                Time::MAX => "+".to_owned(),
                t => t.micros().to_string(),
            };
            let sign = match change {
                Change::Insert => "",
                Change::UpdateBefore => "<",
                Change::UpdateAfter => "~",
                Change::Delete => "-",
                Change::Part => "+",
            };
            let revision = if *revision > 0 {
                format!(" r{revision}")
            } else {
                String::new()
            };
            format!("{sign}[{},{}) {row}{revision}", bound(start), bound(end))
        }
    }
}
