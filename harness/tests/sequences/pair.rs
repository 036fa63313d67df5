//! An operator and its naive model side by side: both are told the same, and must say the same at every step.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use wavetank_actors::operator::{Dropped, Emitted, Operator, Output};
use wavetank_actors::processing::{Surroundings, build};
use wavetank_oracle::{Arrival, Due, Reference, Why, reference};
use wavetank_scenarios::{Event, EventId, FieldType, Producer, Row, Schema, Span, Time, Value, script};

/// A result in words: stamp, fields, the events behind it.
pub type Said = (i64, String, Vec<u64>);

/// Fields `key`, `k` and `v`.
pub fn schema() -> Schema {
    Schema::new([("key", FieldType::Text), ("k", FieldType::Text), ("v", FieldType::Any)])
}

pub fn settings(keys: &Json, inputs: &[&str]) -> script::Operator {
    let mut all = json!({"name": "op", "input": inputs});
    for (key, value) in keys.as_object().expect("keys") {
        all[key] = value.clone();
    }
    serde_json::from_value(all).expect("settings that can be read")
}

pub struct Pair {
    settings: script::Operator,
    schemas: Vec<Schema>,
    operator: Box<dyn Operator>,
    model: Box<dyn Reference>,
    next: u64,
    pub said: Vec<Said>,
    pub dropped: Vec<(u64, Why)>,
    pub held: u64,
    pub caused: u64,
    taken: u64,
}

impl Pair {
    pub fn new(keys: &Json) -> Self {
        Self::over(keys, &["s"], vec![schema()])
    }

    pub fn over(keys: &Json, inputs: &[&str], schemas: Vec<Schema>) -> Self {
        let settings = settings(keys, inputs);
        let known: Vec<&Schema> = schemas.iter().collect();
        let model = reference(&settings, &known, None, &BTreeMap::new(), Span::UNIT).expect("a model");
        Self {
            operator: operator(&settings, &known),
            model,
            settings,
            schemas,
            next: 0,
            said: vec![],
            dropped: vec![],
            held: 0,
            caused: 0,
            taken: 0,
        }
    }

    /// The next event, whose number is its place in the input.
    pub fn event(&mut self, input: usize, stamp: i64, row: Vec<Value>) {
        let id = EventId {
            producer: Producer(0),
            number: self.next,
        };
        self.next += 1;
        self.taken += 1;
        let stamp = Time::from_micros(stamp);
        let event = Event {
            id,
            stamp,
            correlation: id,
            planned: stamp,
            row: Row::from(row),
            lineage: None,
            pane: None,
            sequence: None,
            position: None,
        };
        let mut out = Output::default();
        self.operator.on_event(input, event.clone(), stamp, &mut out);
        let (now, at) = (stamp, stamp);
        let due = self.model.arrive(&Arrival::Event { input, event, now, at });
        self.compare(out, due);
    }

    pub fn watermark(&mut self, watermark: Time) {
        let mut out = Output::default();
        if watermark < Time::MAX || self.settings.flush_at_end {
            self.operator.on_watermark(watermark, &mut out);
        }
        let due = self.model.arrive(&Arrival::Watermark(watermark));
        self.compare(out, due);
    }

    pub fn end(&mut self) -> &mut Self {
        self.watermark(Time::MAX);
        self
    }

    pub fn crash(&mut self) {
        self.model.arrive(&Arrival::Crash);
        let known: Vec<&Schema> = self.schemas.iter().collect();
        self.operator = operator(&self.settings, &known);
        self.taken = 0;
        (self.caused, self.held) = (0, 0);
        self.dropped.clear();
    }

    fn compare(&mut self, out: Output, due: Due) {
        let results = out.emitted.iter().filter_map(|emitted| match emitted {
            Emitted::Result(draft) => {
                let alone = [draft.correlation];
                let origins = draft.lineage.as_deref().unwrap_or(&alone);
                Some((draft.stamp, draft.row.clone(), draft.correlation, origins.to_vec()))
            }
            _ => None,
        });
        let results: Vec<_> = results.collect();
        let wanted: Vec<_> = due
            .results
            .into_iter()
            .map(|r| (r.stamp, r.row, r.correlation, r.origins))
            .collect();
        assert_eq!(results, wanted, "results, of the operator and of its model");
        let mut dropped: Vec<(EventId, Why)> = out
            .dropped
            .iter()
            .map(|(id, why)| match why {
                Dropped::Filtered => (*id, Why::Filtered),
                Dropped::Late => (*id, Why::Late),
                Dropped::Failed => (*id, Why::Failed),
            })
            .collect();
        dropped.sort_unstable();
        assert_eq!(dropped, due.dropped, "dropped events, of the operator and of its model");
        assert_eq!(
            self.operator.held(),
            due.held,
            "held events, of the operator and of its model"
        );
        let limit = due.limit.unwrap_or(Time::MAX);
        assert_eq!(self.operator.watermark_limit(), limit, "how far the watermark may go");
        self.held = due.held;
        self.caused += out.caused;
        self.dropped.extend(dropped.iter().map(|(id, why)| (id.number, *why)));
        let ended = self.caused + self.dropped.len() as u64;
        assert_eq!(self.taken, ended + self.held, "every event has one fate");
        for (stamp, row, _, origins) in results {
            let fields: Vec<String> = row.iter().map(ToString::to_string).collect();
            let origins = origins.iter().map(|id| id.number).collect();
            self.said.push((stamp.micros(), fields.join(" "), origins));
        }
    }
}

fn operator(settings: &script::Operator, inputs: &[&Schema]) -> Box<dyn Operator> {
    let around = Surroundings {
        inputs,
        output: &Schema::default(),
        tables: &[],
        tick: Span::UNIT,
        lineage: true,
    };
    build(settings, around).expect("an operator")
}
