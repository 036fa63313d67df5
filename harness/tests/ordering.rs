//! Reordering buffers and their models, side by side over random events, timers and settings: at every step both must do
//! the same, to the last result.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use wavetank_actors::operator::{Dropped, Emitted, Operator, Output};
use wavetank_actors::processing::{Surroundings, build};
use wavetank_oracle::{Arrival, Due, Reference, Why, reference};
use wavetank_scenarios::{Event, EventId, FieldType, Producer, Row, Schema, Span, Time, Value, script};

/// One thing that happens, and how long after the one before.
#[derive(Clone, Debug)]
enum Step {
    Event {
        source: u32,
        number: u64,
        behind: i64,
        value: i64,
    },
    Watermark {
        behind: i64,
    },
    Crash,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    let event = |span: std::ops::Range<i64>| {
        (0u32..3, 0u64..30, span, 0i64..9).prop_map(|(source, number, behind, value)| Step::Event {
            source,
            number,
            behind,
            value,
        })
    };
    prop_oneof![
        30 => event(0..6),
        10 => event(0..60),
        4 => (0i64..40).prop_map(|behind| Step::Watermark { behind }),
        1 => Just(Step::Crash),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    prop::collection::vec((0i64..5, step()), 0..120).prop_map(|mut steps| {
        steps.push((1, Step::End));
        steps
    })
}

fn reorder() -> impl Strategy<Value = Json> {
    let us = |span: std::ops::Range<i64>| span.prop_map(|us| format!("{us}us"));
    let scoped = prop_oneof![
        us(0..30).prop_map(|slack| json!({"slack": slack})),
        (1u64..20, prop::option::of(us(0..30)))
            .prop_map(|(samples, max_k)| json!({"k_slack": {"samples": samples, "max_k": max_k}})),
        prop::option::of(us(0..30)).prop_map(|max_k| json!({"mp_k_slack": {"max_k": max_k}})),
        (0.01f64..0.5, 0.5f64..0.99, 1u64..12, 1u64..30, 0usize..3, us(5..60)).prop_map(
            |(error, confidence, every, samples, aggregate, window)| {
                let aggregate = ["count", "sum", "avg"][aggregate];
                let mut aq = json!({
                    "error": error, "confidence": confidence, "every": every, "samples": samples,
                    "aggregate": aggregate, "window": window,
                });
                if aggregate != "count" {
                    aq["value"] = json!("x");
                }
                json!({"aq_k_slack": aq})
            }
        ),
    ];
    let scoped = (scoped, any::<bool>()).prop_map(|(mut reorder, source)| {
        reorder["scope"] = json!(if source { "source" } else { "input" });
        reorder
    });
    let other = prop_oneof![
        Just(json!({"until": "watermark"})),
        prop::option::of(us(0..30)).prop_map(|max_k| json!({"siddhi_k_slack": {"max_k": max_k, "every": "20us"}})),
        (prop::option::of(us(1..60)), 1u64..10, us(5..60)).prop_map(|(max_k, batch, window)| {
            json!({"siddhi_ak_slack": {"value": "x", "max_k": max_k, "batch": batch, "window": window}})
        }),
        (any::<bool>(), any::<bool>(), 0u64..4, 0u64..3).prop_map(|(field, mark, remember, first)| {
            let mut number = json!({"mark_gaps": mark, "remember": remember, "first": first, "end": "x = 8"});
            if field {
                number["field"] = json!("n");
                number["by"] = json!(["k"]);
            }
            json!({"number": number})
        }),
    ];
    (prop_oneof![scoped, other], prop::option::of(us(1..40))).prop_map(|(mut reorder, timeout)| {
        if let Some(timeout) = timeout {
            reorder["timeout"] = json!(timeout);
        }
        reorder
    })
}

fn schema() -> Schema {
    Schema::new([("k", FieldType::Text), ("n", FieldType::Int), ("x", FieldType::Int)])
}

/// What came of a step, in one form for both.
#[derive(PartialEq, Debug)]
struct Did {
    results: Vec<(Time, Row, EventId)>,
    dropped: BTreeSet<(EventId, Why)>,
    held: u64,
    limit: Time,
}

fn of_operator(operator: &dyn Operator, out: &Output) -> Did {
    let mut dropped: BTreeSet<(EventId, Why)> = BTreeSet::new();
    let mut results = Vec::new();
    for (id, why) in &out.dropped {
        let why = match why {
            Dropped::Filtered => Why::Filtered,
            Dropped::Late => Why::Late,
            Dropped::Failed => Why::Failed,
        };
        dropped.insert((*id, why));
    }
    for emitted in &out.emitted {
        match emitted {
            Emitted::Result(draft) => results.push((draft.stamp, draft.row.clone(), draft.correlation)),
            Emitted::Failed(failure) => _ = dropped.insert((failure.event.id, Why::Failed)),
            Emitted::Late(_) => {}
        }
    }
    Did {
        results,
        dropped,
        held: operator.held(),
        limit: operator.watermark_limit(),
    }
}

fn of_model(due: Due) -> Did {
    Did {
        results: due
            .results
            .into_iter()
            .map(|r| (r.stamp, r.row, r.correlation))
            .collect(),
        dropped: due.dropped.into_iter().collect(),
        held: due.held,
        limit: due.limit.unwrap_or(Time::MAX),
    }
}

/// An operator, its model, and the clock that they share.
struct Both {
    settings: script::Operator,
    operator: Box<dyn Operator>,
    model: Box<dyn Reference>,
    timers: BTreeMap<(i64, u64), u64>,
    set: u64,
}

impl Both {
    fn new(settings: script::Operator) -> Self {
        let schema = schema();
        let model = reference(&settings, &[&schema], None, &BTreeMap::new(), Span::UNIT).expect("a model");
        Self {
            operator: operator(&settings),
            settings,
            model,
            timers: BTreeMap::new(),
            set: 0,
        }
    }

    fn compare(&mut self, now: i64, out: Output, due: Due) -> Result<(), TestCaseError> {
        for (after, token) in &out.timers {
            self.timers.insert((now + after.micros(), self.set), *token);
            self.set += 1;
        }
        prop_assert_eq!(of_operator(&*self.operator, &out), of_model(due));
        Ok(())
    }

    /// Every timer that is due before that moment.
    fn ring(&mut self, until: i64) -> Result<(), TestCaseError> {
        while let Some(first) = self.timers.first_entry().filter(|timer| timer.key().0 < until) {
            let at = first.key().0;
            let token = first.remove();
            let mut out = Output::default();
            self.operator.on_timer(token, &mut out);
            let at_clock = Time::from_micros(at);
            let due = self.model.arrive(&Arrival::Timer { token, at: at_clock });
            self.compare(at, out, due)?;
        }
        Ok(())
    }

    fn event(&mut self, at: i64, event: Event) -> Result<(), TestCaseError> {
        let mut out = Output::default();
        let now = Time::from_micros(at);
        self.operator.on_event(0, event.clone(), now, &mut out);
        let input = 0;
        let due = self.model.arrive(&Arrival::Event {
            input,
            event,
            now,
            at: now,
        });
        self.compare(at, out, due)
    }

    fn watermark(&mut self, at: i64, to: Time) -> Result<(), TestCaseError> {
        let mut out = Output::default();
        // The host says nothing of the end to an operator that does not flush.
        if to < Time::MAX || self.settings.flush_at_end {
            self.operator.on_watermark(to, &mut out);
        }
        let due = self.model.arrive(&Arrival::Watermark(to));
        self.compare(at, out, due)
    }

    fn crash(&mut self) {
        self.operator = operator(&self.settings);
        self.model.arrive(&Arrival::Crash);
        self.timers.clear();
    }
}

fn operator(settings: &script::Operator) -> Box<dyn Operator> {
    let (input, output) = (schema(), Schema::default());
    let around = Surroundings {
        inputs: &[&input],
        output: &output,
        tables: &[],
        tick: Span::UNIT,
        lineage: true,
    };
    build(settings, around).expect("an operator")
}

fn made(source: u32, number: u64, stamp: i64, value: i64) -> Event {
    let id = EventId {
        producer: Producer(source),
        number,
    };
    let n = if value == 7 {
        Value::Null
    } else {
        Value::Int(number as i64)
    };
    let key = ["a", "b"][source as usize % 2];
    Event {
        id,
        stamp: Time::from_micros(stamp),
        correlation: id,
        planned: Time::from_micros(stamp),
        row: [Value::from(key), n, Value::Int(value)].into(),
        lineage: None,
        pane: None,
        sequence: None,
        position: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_buffer_does_at_every_step_what_its_model_does(
        reorder in reorder(), late in 0usize..3, flush in prop::bool::weighted(0.8), steps in steps()
    ) {
        let late = ["drop", "side", "emit"][late];
        let settings = json!({
            "name": "op", "input": ["s"], "reorder": reorder, "late": late, "flush_at_end": flush,
        });
        let mut both = Both::new(serde_json::from_value(settings).expect("settings"));
        let mut now = 100;
        let mut watermark = i64::MIN;
        for (after, step) in steps {
            now += after;
            both.ring(now)?;
            match step {
                Step::Event { source, number, behind, value } => {
                    both.event(now, made(source, number, now - behind, value))?;
                }
                Step::Watermark { behind } if now - behind > watermark => {
                    watermark = now - behind;
                    both.watermark(now, Time::from_micros(watermark))?;
                }
                Step::Watermark { .. } => {}
                Step::Crash => {
                    both.crash();
                    watermark = i64::MIN;
                }
                Step::End => both.watermark(now, Time::MAX)?,
            }
        }
    }
}
