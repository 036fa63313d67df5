//! What operators and parts keep, beside their twins over random inputs and settings.

mod joins;
mod orders;
mod parts;
mod sequences;

use proptest::prelude::*;
use serde_json::Value as Json;
use wavetank_scenarios::numbering::Progress;
use wavetank_scenarios::{Event, EventId, FieldType, Producer, Schema, Time, Value};

use super::twin::{Step, spoilt, twins};
use crate::element::Element;
use crate::operator::Operator;
use crate::processing::testing::try_build_on;

/// Fields `k` (text), `v` and `n` (whole).
fn schema() -> Schema {
    Schema::new([("k", FieldType::Text), ("v", FieldType::Int), ("n", FieldType::Int)])
}

/// An operator with these inputs, which all have the same fields.
fn operator(keys: Json, inputs: &[&str]) -> Result<Box<dyn Operator>, String> {
    try_build_on(inputs, keys, &schema())
}

/// An event: its input, how far it is behind, and what it says.
#[derive(Clone, Debug)]
struct Said {
    input: usize,
    behind: i64,
    key: u8,
    value: Option<i64>,
    number: u64,
}

fn said(inputs: usize) -> impl Strategy<Value = Said> {
    let behind = prop_oneof![3 => 0i64..6, 1 => 0i64..40];
    let value = prop::option::weighted(0.9, -1i64..7);
    (0..inputs, behind, 0u8..5, value, 0u64..24).prop_map(|(input, behind, key, value, number)| Said {
        input,
        behind,
        key,
        value,
        number,
    })
}

impl Said {
    fn event(&self, turn: u64, now: i64) -> Event {
        let id = EventId {
            producer: Producer(self.input as u32),
            number: self.number * 1_000 * (turn % 2) + turn,
        };
        let stamp = Time::from_micros(now - self.behind);
        let key = if self.key == 0 {
            Value::Null
        } else {
            Value::text(["a", "b", "c", "d"][usize::from(self.key) - 1])
        };
        let value = self.value.map_or(Value::Null, Value::Int);
        Event {
            id,
            stamp,
            correlation: id,
            planned: stamp,
            row: [key, value, Value::Int(self.number as i64)].into(),
            lineage: None,
            pane: None,
            sequence: None,
            position: None,
        }
    }
}

/// Something that happens, and how long after the one before: an event, a watermark so far behind, or a timer.
#[derive(Clone, Debug)]
enum Next {
    Event(Said),
    Watermark(i64),
    Timer(usize),
}

/// Events and watermarks in almost the order of time, timers, and at last the end.
fn steps(inputs: usize) -> impl Strategy<Value = Vec<Step>> {
    let next = prop_oneof![
        7 => said(inputs).prop_map(Next::Event),
        2 => (0i64..12).prop_map(Next::Watermark),
        1 => (0usize..4).prop_map(Next::Timer),
    ];
    prop::collection::vec((0i64..4, next), 1..50).prop_map(|all| {
        let (mut now, mut watermark) = (0, i64::MIN);
        let mut steps = Vec::new();
        for (turn, (later, next)) in all.into_iter().enumerate() {
            now += later;
            match next {
                Next::Event(said) => {
                    let event = Box::new(said.event(turn as u64, now));
                    steps.push(Step::Element(said.input, Element::Event(event)));
                }
                Next::Watermark(behind) if now - behind > watermark => {
                    watermark = now - behind;
                    steps.push(Step::Element(0, Element::Watermark(Time::from_micros(watermark))));
                }
                Next::Watermark(_) => {}
                Next::Timer(which) => steps.push(Step::Timer(which)),
            }
        }
        steps.push(Step::Element(0, Element::Watermark(Time::MAX)));
        steps
    })
}

/// Where a run is cut, as a part of a thousand.
fn cut() -> impl Strategy<Value = usize> {
    0usize..1_000
}

fn at(cut: usize, steps: &[Step]) -> usize {
    cut * steps.len() / 1_000
}

/// An operator beside its twins, and restored from what was spoilt.
fn kept(
    settings: &Json,
    inputs: &[&str],
    steps: &[Step],
    cut: usize,
    spoils: &[(usize, super::twin::Spoil)],
) -> Result<(), TestCaseError> {
    let make = || operator(settings.clone(), inputs).expect("it was built before");
    operator(settings.clone(), inputs).map_err(TestCaseError::fail)?;
    twins(make, steps, at(cut, steps))?;
    spoilt(make, steps, at(cut, steps), spoils);
    Ok(())
}

/// How far numbers have come, for merges.
fn progress() -> impl Strategy<Value = Progress> {
    prop_oneof![(0u64..20).prop_map(Progress::Done), (0u64..20).prop_map(Progress::Skip),]
}
