//! The machine learner beside its naive model, step by step over random arrivals and settings; and the laws of its order.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use wavetank_actors::operator::{Dropped, Emitted, Operator, Output};
use wavetank_actors::processing::{Surroundings, build};
use wavetank_actors::reliability::State;
use wavetank_models::pretrained::{LogisticSettings, Pretrained, Table, TrainingSettings};
use wavetank_models::{Feature, FeatureKind, Label, LoadedModel, Predictor, Schema as ModelSchema, Target};
use wavetank_oracle::{Arrival, Due, Why, reference};
use wavetank_scenarios::asking::{Answer, Question};
use wavetank_scenarios::script::ReadModel;
use wavetank_scenarios::{Event, EventId, FieldType, Producer, Schema, Span, Time, Value, script};

/// What the events have: an id, a number, a category, and a label of their own.
fn events() -> Schema {
    Schema::new([
        ("id", FieldType::Int),
        ("x", FieldType::Float),
        ("kind", FieldType::Text),
        ("truth", FieldType::Text),
        ("amount", FieldType::Float),
    ])
}

fn labels() -> Schema {
    Schema::new([
        ("id", FieldType::Int),
        ("truth", FieldType::Text),
        ("amount", FieldType::Float),
    ])
}

fn features() -> Vec<Feature> {
    vec![
        Feature {
            name: "x".into(),
            kind: FeatureKind::Number,
        },
        Feature {
            name: "kind".into(),
            kind: FeatureKind::Category(vec!["a".into(), "b".into()]),
        },
    ]
}

/// Two versions of a model of classes, and two of a model of numbers, that answer differently.
static MODELS: LazyLock<BTreeMap<(bool, bool), Arc<LoadedModel>>> = LazyLock::new(|| {
    let mut all = BTreeMap::new();
    for of_class in [true, false] {
        for second in [false, true] {
            let target = if of_class {
                Target::Class {
                    name: "truth".into(),
                    classes: vec!["no".into(), "yes".into()],
                }
            } else {
                Target::Number { name: "amount".into() }
            };
            let mut table = Table::new(ModelSchema::new(features(), target).expect("a schema"));
            for i in 0..40 {
                let (x, kind) = (f64::from(i % 10) - 5.0, f64::from(i % 2));
                let high = (x > 1.0) != second;
                let label = if of_class {
                    Label::Class(usize::from(high))
                } else {
                    Label::Number(if second { 3.0 * x + kind } else { x - kind })
                };
                table.push(&[x, kind], label).expect("an example");
            }
            let settings = if of_class {
                TrainingSettings::Logistic(LogisticSettings::default())
            } else {
                TrainingSettings::Linear
            };
            let version = if second { "2" } else { "1" };
            let model = Pretrained::train("m", version, &table, settings, 1).expect("a model");
            all.insert((of_class, second), Arc::new(LoadedModel::trained(model, 100)));
        }
    }
    all
});

/// The settings, with the models in their places: version 2 serves from `from` on.
fn operator(settings: &Json, from: i64) -> script::Operator {
    let apart = settings["learn"]["labels"].is_object();
    let inputs = if apart { json!(["e", "l"]) } else { json!(["e"]) };
    let mut all = json!({"name": "op", "input": inputs});
    for (key, value) in settings.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    let of_class = settings["learn"]["target"]["class"].is_object();
    let mut operator: script::Operator = serde_json::from_value(all).expect("settings");
    if let Some(learn) = &mut operator.learn {
        for (k, file) in learn.pretrained.iter_mut().enumerate() {
            file.read = Some(ReadModel {
                model: Arc::clone(&MODELS[&(of_class, k > 0)]),
                from: if k > 0 { Time::from_micros(from) } else { Time::MIN },
            });
        }
    }
    operator
}

fn made(settings: &script::Operator) -> Box<dyn Operator> {
    let (events, labels) = (events(), labels());
    let both = [&events, &labels];
    let around = Surroundings {
        inputs: &both[..settings.input.len()],
        output: &Schema::default(),
        tables: &[],
        tick: Span::UNIT,
        lineage: true,
    };
    build(settings, around).expect("it can be built")
}

/// Something that happens to a learner.
#[derive(Clone, Debug)]
enum Step {
    Event(i64, Seen),
    Label(i64, Seen),
    Watermark(i64),
    Crash,
    /// It is saved, and goes on as another that was restored.
    Restored,
    /// Of what is asked and not answered, that one (counted around) is answered, or has been waited for long enough.
    Answered(usize, bool),
    End,
}

/// What an event or label has: all of it may be missing or strange.
#[derive(Clone, Debug)]
struct Seen {
    id: Option<i64>,
    x: Option<f64>,
    kind: Option<&'static str>,
    truth: Option<&'static str>,
    amount: Option<f64>,
}

fn seen() -> impl Strategy<Value = Seen> {
    let x = prop_oneof![
        12 => (-50i64..50).prop_map(|x| Some(x as f64 / 10.0)),
        1 => Just(Some(f64::NAN)),
        1 => Just(Some(f64::INFINITY)),
        1 => Just(None),
    ];
    let amount = prop_oneof![
        12 => (-50i64..50).prop_map(|x| Some(x as f64 / 10.0)),
        1 => Just(Some(f64::NAN)),
        1 => Just(None),
    ];
    let kind = prop::sample::select(vec![
        Some("a"),
        Some("b"),
        Some("a"),
        Some("b"),
        Some("a"),
        Some("strange"),
        None,
    ]);
    let truth = prop::sample::select(vec![
        Some("no"),
        Some("yes"),
        Some("no"),
        Some("yes"),
        Some("perhaps"),
        None,
    ]);
    (prop::option::weighted(0.95, 0i64..8), x, kind, truth, amount).prop_map(|(id, x, kind, truth, amount)| Seen {
        id,
        x,
        kind,
        truth,
        amount,
    })
}

fn event(number: u64, input: u32, stamp: i64, seen: &Seen) -> Event {
    let id = EventId {
        producer: Producer(input),
        number,
    };
    let text = |text: Option<&str>| text.map_or(Value::Null, Value::from);
    let float = |x: Option<f64>| x.map_or(Value::Null, Value::Float);
    let key = seen.id.map_or(Value::Null, Value::Int);
    let row = if input == 0 {
        vec![
            key,
            float(seen.x),
            text(seen.kind),
            text(seen.truth),
            float(seen.amount),
        ]
    } else {
        vec![key, text(seen.truth), float(seen.amount)]
    };
    Event {
        id,
        stamp: Time::from_micros(stamp),
        correlation: id,
        planned: Time::from_micros(stamp),
        row: row.into(),
        lineage: None,
        pane: None,
        sequence: None,
        position: None,
    }
}

/// What an operator did, in the words of a model.
fn did(out: &Output) -> (Vec<String>, Vec<(EventId, Why)>, Vec<String>) {
    let mut results = Vec::new();
    let dropped = out.dropped.iter().map(|(id, why)| {
        let why = match why {
            Dropped::Filtered => Why::Filtered,
            Dropped::Late => Why::Late,
            Dropped::Failed => Why::Failed,
        };
        (*id, why)
    });
    let mut dropped: Vec<(EventId, Why)> = dropped.collect();
    for emitted in &out.emitted {
        match emitted {
            Emitted::Result(draft) => {
                let alone = [draft.correlation];
                let origins = draft.lineage.as_deref().unwrap_or(&alone);
                results.push(format!(
                    "{:?} {:?} {} {origins:?}",
                    draft.stamp, draft.row, draft.correlation
                ));
            }
            Emitted::Late(_) => {}
            Emitted::Failed(failure) => dropped.push((failure.event.id, Why::Failed)),
        }
    }
    dropped.sort_unstable();
    (results, dropped, out.notes.clone())
}

fn due(due: &Due) -> (Vec<String>, Vec<(EventId, Why)>, Vec<String>) {
    let results = due.results.iter();
    let results = results.map(|r| format!("{:?} {:?} {} {:?}", r.stamp, r.row, r.correlation, r.origins));
    let mut dropped = due.dropped.clone();
    dropped.sort_unstable();
    (results.collect(), dropped, due.notes.clone())
}

/// Both are told the same, and must do the same at every step; whoever is restored goes on as if nothing had been.
fn together(settings: &Json, from: i64, steps: &[Step]) -> Result<(), TestCaseError> {
    let settings = operator(settings, from);
    let apart = settings.input.len() > 1;
    let (of_events, of_labels) = (events(), labels());
    let both = [&of_events, &of_labels];
    let inputs = &both[..settings.input.len()];
    let mut model = reference(&settings, inputs, None, &BTreeMap::new(), Span::UNIT).map_err(TestCaseError::fail)?;
    let mut operator = made(&settings);
    let (mut watermark, mut taken, mut done) = (Time::MIN, 0, 0);
    // What was asked, with the token of its timer.
    let mut open: Vec<(Question, u64)> = Vec::new();
    let served: Vec<_> = settings.learn.iter().flat_map(|learn| &learn.pretrained).collect();
    for (number, step) in steps.iter().enumerate() {
        let mut out = Output::default();
        let expected = match step {
            Step::Event(stamp, seen) | Step::Label(stamp, seen) => {
                let input = usize::from(matches!(step, Step::Label(..)) && apart);
                let event = event(number as u64, input as u32, *stamp, seen);
                taken += 1;
                operator.on_event(input, event.clone(), Time::ZERO, &mut out);
                model.arrive(&Arrival::Event {
                    input,
                    event,
                    now: Time::ZERO,
                    at: Time::ZERO,
                })
            }
            Step::Watermark(_) | Step::End => {
                let to = match step {
                    Step::Watermark(to) => Time::from_micros(*to),
                    _ => Time::MAX,
                };
                if to <= watermark {
                    continue;
                }
                watermark = to;
                operator.on_watermark(to, &mut out);
                model.arrive(&Arrival::Watermark(to))
            }
            Step::Answered(which, in_time) => {
                if open.is_empty() {
                    continue;
                }
                let (question, token) = open.remove(which % open.len());
                if *in_time {
                    let read = served[question.version as usize].read.as_ref().expect("a model");
                    let answer = Answer {
                        event: question.event,
                        version: question.version,
                        said: read
                            .model
                            .predict(&question.features)
                            .map_err(|error| error.to_string()),
                    };
                    operator.on_answer(&answer, &mut out);
                    model.answer(&answer).expect("it has a service")
                } else {
                    operator.on_timer(token, &mut out);
                    model.arrive(&Arrival::Timer { token, at: Time::ZERO })
                }
            }
            Step::Crash => {
                open.clear();
                operator = made(&settings);
                (watermark, taken, done) = (Time::MIN, 0, 0);
                model.arrive(&Arrival::Crash)
            }
            Step::Restored => {
                let mut state = State::default();
                operator.save(&mut state);
                prop_assert_eq!(state.broken(), None);
                let mut again = made(&settings);
                again
                    .restore(&state)
                    .map_err(|wrong| TestCaseError::fail(wrong.to_string()))?;
                let mut saved = State::default();
                again.save(&mut saved);
                prop_assert_eq!(&saved, &state, "what is restored is what was saved, to the last bit");
                prop_assert_eq!(again.state_bytes(), operator.state_bytes());
                operator = again;
                continue;
            }
        };
        prop_assert_eq!(out.asked.len(), out.timers.len(), "every question is waited for");
        let asked = out.asked.iter().map(|question| format!("{question:?}"));
        let should = expected.asked.iter().map(|question| format!("{question:?}"));
        prop_assert_eq!(
            asked.collect::<Vec<_>>(),
            should.collect::<Vec<_>>(),
            "asked in step {}",
            number
        );
        open.extend(
            out.asked
                .iter()
                .cloned()
                .zip(out.timers.iter().map(|(_, token)| *token)),
        );
        prop_assert_eq!(operator.watermark_limit(), expected.limit.unwrap_or(Time::MAX));
        prop_assert_eq!(!operator.asked().is_empty(), model.waits());
        done += out.caused + out.dropped.len() as u64;
        done += out.emitted.iter().filter(|e| matches!(e, Emitted::Failed(_))).count() as u64;
        prop_assert_eq!(did(&out), due(&expected), "step {} {:?}", number, step);
        prop_assert_eq!(operator.held(), expected.held, "held after step {} {:?}", number, step);
        prop_assert_eq!(taken, done + operator.held(), "every event has one fate");
    }
    if watermark == Time::MAX && operator.asked().is_empty() {
        prop_assert_eq!(operator.held(), 0, "nothing waits for ever");
    }
    Ok(())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (-6i64..3, seen()).prop_map(|(near, seen)| Step::Event(near, seen)),
        8 => (-4i64..9, seen()).prop_map(|(near, seen)| Step::Label(near, seen)),
        3 => (-9i64..0).prop_map(Step::Watermark),
        1 => Just(Step::Restored),
        9 => (0usize..9, prop::bool::weighted(0.8)).prop_map(|(which, in_time)| Step::Answered(which, in_time)),
    ];
    (prop::collection::vec(step, 0..120), prop::option::of(0usize..120)).prop_map(|(mut steps, crash)| {
        for (now, step) in steps.iter_mut().enumerate() {
            if let Step::Event(at, _) | Step::Label(at, _) | Step::Watermark(at) = step {
                *at += now as i64 / 2;
            }
        }
        if let Some(at) = crash.filter(|at| *at < steps.len()) {
            steps.insert(at, Step::Crash);
        }
        steps.push(Step::End);
        // Whatever is still asked then is answered in the end, or not.
        steps.extend((0..9).map(|which| Step::Answered(which, which % 2 == 0)));
        steps.extend((0..120).map(|_| Step::Answered(0, false)));
        steps
    })
}

/// Learners with any settings that go together.
fn settings() -> impl Strategy<Value = Json> {
    let online = |of_class: bool| {
        let rate = prop::sample::select(vec![0.05, 0.5]);
        let of_class_models = prop::sample::select(vec![
            json!({"logistic-regression": {"learning_rate": 0.3}}),
            json!({"perceptron": {}}),
            json!({"passive-aggressive": {}}),
            json!({"naive-bayes": {"batch": 4}}),
            json!({"hoeffding-tree": {"grace_period": 5}}),
            json!({"ftrl": {}}),
        ]);
        if of_class {
            of_class_models.boxed()
        } else {
            rate.prop_map(|rate| json!({"linear-regression": {"learning_rate": rate, "scale": true}}))
                .boxed()
        }
    };
    let drift = |of_class: bool| {
        let adwin = json!({"adwin": {"clock": 2, "grace_period": 2, "min_window_length": 1, "delta": 0.9}});
        let hinkley = json!({"page-hinkley": {"min_instances": 3, "threshold": 0.5}});
        let ddm = json!({"ddm": {"warm_start": 3, "warning": 0.1, "drift": 0.2}});
        let all = if of_class {
            vec![adwin, hinkley, ddm]
        } else {
            vec![adwin, hinkley]
        };
        prop::option::of(prop::sample::select(all))
    };
    let course = (
        prop::sample::select(vec!["arrival", "event-time"]),
        prop::sample::select(vec!["predictions", "outcomes"]),
        prop::option::of(1i64..12),
        prop::sample::select(vec!["go-on", "forget"]),
        any::<[bool; 3]>(),
        (any::<bool>(), 0u32..4),
    );
    let gate = (4usize..12, 2usize..4, 1usize..4, 1u32..3);
    (any::<bool>(), 0u8..3).prop_flat_map(move |(of_class, who)| {
        let parts = (online(of_class), drift(of_class), course.clone(), gate.clone());
        parts.prop_map(move |(online, drift, course, gate)| {
            let (order, results, within, on_drift, [fallback, side, fading], (service, cache)) = course;
            let mut learn = json!({"order": order, "results": results, "on_drift": on_drift});
            learn["target"] = if of_class {
                json!({"class": {"field": "truth", "of": ["no", "yes"]}})
            } else {
                json!({"number": "amount"})
            };
            if fallback {
                learn["fallback"] = if of_class { json!("no") } else { json!(0.5) };
            }
            if let Some(within) = within {
                learn["labels"] = json!({"input": "l", "by": ["id"], "within": format!("{within}us")});
            }
            if fading {
                learn["evaluate"] = json!({"fading": 0.9});
            }
            if who != 0 {
                learn["features"] = json!(["x", {"kind": ["a", "b"]}]);
                learn["online"] = online;
            }
            if who != 1 {
                learn["pretrained"] = json!([{"file": "one"}, {"file": "two", "from": "10us"}]);
                if service {
                    learn["service"] = json!({"within": "5us"});
                    learn["cache"] = json!(cache);
                }
            }
            if who == 2 {
                let (window, least, every, row) = gate;
                learn["gate"] = json!({
                    "window": window, "least_labels": least, "test_every": every, "in_a_row": row, "confidence": 0.6,
                });
                if let Some(drift) = drift {
                    learn["gate"]["drift"] = drift;
                }
            } else if let Some(drift) = drift {
                learn["drift"] = drift;
            }
            json!({"learn": learn, "late": if side { "side" } else { "drop" }})
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    #[test]
    fn a_learner_does_what_a_plain_loop_does(settings in settings(), from in 0i64..50, steps in steps()) {
        together(&settings, from, &steps)?;
    }

    #[test]
    fn what_has_no_labels_is_learned_by_seeing_it(
        target in prop::sample::select(vec!["cluster", "anomaly"]),
        order in prop::sample::select(vec!["arrival", "event-time"]),
        fallback in any::<bool>(),
        steps in steps(),
    ) {
        let online = if target == "cluster" {
            json!({"decaying-k-means": {"clusters": 2}})
        } else {
            json!({"half-space-trees": {"trees": 3, "height": 3, "window": 5, "limits": [[-5.0, 5.0]]}})
        };
        let mut learn = json!({"features": ["x"], "target": target, "online": online, "order": order});
        if fallback {
            learn["fallback"] = json!(0);
        }
        together(&json!({"learn": learn}), 0, &steps)?;
    }

    /// Whatever the order of arrival within the bound, by event time the same is predicted, learned and switched; beyond
    /// it, it is so for what was not late.
    #[test]
    fn by_event_time_the_order_of_arrival_does_not_matter(
        seen in prop::collection::vec((seen(), 0i64..12, 0i64..12, 1i64..9), 1..50),
        bound in 0i64..14,
        gate in any::<bool>(),
    ) {
        let mut learn = json!({
            "features": ["x", {"kind": ["a", "b"]}], "order": "event-time",
            "target": {"class": {"field": "truth", "of": ["no", "yes"]}}, "fallback": "no",
            "labels": {"input": "l", "by": ["id"], "within": "10us"},
            "online": {"logistic-regression": {"learning_rate": 0.5}},
        });
        if gate {
            learn["pretrained"] = json!([{"file": "one"}, {"file": "two", "from": "10us"}]);
            learn["gate"] = json!({"window": 10, "least_labels": 3, "test_every": 1, "in_a_row": 1, "confidence": 0.6});
        }
        let settings = operator(&json!({"learn": learn}), 20);
        // Each event, its label some time later, and how late each of them arrives.
        let mut all: Vec<(i64, usize, Event)> = Vec::new();
        for (i, (seen, lag, label_lag, after)) in seen.iter().enumerate() {
            let stamp = i as i64;
            all.push((stamp + lag, 0, event(i as u64, 0, stamp, seen)));
            all.push((stamp + after + label_lag, 1, event(i as u64, 1, stamp + after, seen)));
        }
        let mut arriving = all.clone();
        arriving.sort_by_key(|(at, input, event)| (*at, *input, event.id));
        let (came, late) = played(&settings, arriving, bound);
        let mut in_time: Vec<_> = all.into_iter().filter(|(_, _, event)| !late.contains(&event.id)).collect();
        in_time.sort_by_key(|(_, input, event)| (event.stamp, *input, event.id));
        let (should, none) = played(&settings, in_time, 0);
        prop_assert_eq!(none, vec![]);
        prop_assert_eq!(came, should);
        if bound >= 12 {
            prop_assert_eq!(late, vec![]);
        }
    }
}

/// Everything that a learner puts out and notes over arrivals, with a watermark that stays `bound` behind; and what was
/// late.
fn played(settings: &script::Operator, arriving: Vec<(i64, usize, Event)>, bound: i64) -> (Vec<String>, Vec<EventId>) {
    let mut operator = made(settings);
    let (mut out, mut watermark) = (Output::default(), i64::MIN);
    let (mut said, mut noted, mut late) = (Vec::new(), Vec::new(), Vec::new());
    let mut drain = |out: &mut Output| {
        let (results, dropped, notes) = did(out);
        said.extend(results);
        noted.extend(notes);
        late.extend(
            dropped
                .into_iter()
                .filter(|(_, why)| *why == Why::Late)
                .map(|(id, _)| id),
        );
        out.clear();
    };
    for (_, input, event) in arriving {
        let behind = event.stamp.micros() - bound - 1;
        operator.on_event(input, event, Time::ZERO, &mut out);
        drain(&mut out);
        if behind > watermark {
            watermark = behind;
            operator.on_watermark(Time::from_micros(behind), &mut out);
            drain(&mut out);
        }
    }
    operator.on_watermark(Time::MAX, &mut out);
    drain(&mut out);
    late.sort_unstable();
    said.extend(noted);
    (said, late)
}
