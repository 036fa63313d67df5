use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use wavetank_models::pretrained::{Pretrained, Table, TrainingSettings};
use wavetank_models::{Label, LoadedModel, Prediction, Schema as ModelSchema, Target};
use wavetank_scenarios::asking::{Answer, Question};
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::script::ReadModel;
use wavetank_scenarios::{Event, FieldType, Producer, Row, Schema, Span, Time, Value, script};

use crate::element::Element;
use crate::operator::{Dropped, Emitted, Operator, Output};
use crate::processing::testing::{event, schema, settings};
use crate::processing::{Surroundings, build};
use crate::reliability::State;
use crate::reliability::twin::{Step, spoils, spoilt, twins};

/// A model that says `factor` times `x`.
fn model(version: &str, factor: f64) -> Arc<LoadedModel> {
    let schema = ModelSchema::numbers(["x"], Target::Number { name: "v".into() }).unwrap();
    let mut table = Table::new(schema);
    for i in 0..5 {
        let x = f64::from(i);
        table.push(&[x], Label::Number(factor * x)).unwrap();
    }
    let model = Pretrained::train("line", version, &table, TrainingSettings::Linear, 1).unwrap();
    Arc::new(LoadedModel::trained(model, 100))
}

/// The settings, with two versions in the places of the files: the second serves from 100 on.
fn learner(learn: &Json, inputs: &[&str], more: &Json) -> script::Operator {
    let mut keys = json!({"learn": learn, "input": inputs});
    for (key, value) in more.as_object().into_iter().flatten() {
        keys[key] = value.clone();
    }
    let mut operator = settings(keys);
    let files = operator.learn.as_mut().map(|learn| &mut learn.pretrained);
    for (k, file) in files.into_iter().flatten().enumerate() {
        file.read = Some(ReadModel {
            model: model(&(k + 1).to_string(), (k + 1) as f64),
            from: if k == 0 { Time::MIN } else { Time::from_micros(100) },
        });
    }
    operator
}

fn made(operator: &script::Operator) -> Box<dyn Operator> {
    let events = schema();
    let labels = Schema::new([("k", FieldType::Text), ("v", FieldType::Float)]);
    let around = Surroundings {
        inputs: &[&events, &labels][..operator.input.len()],
        output: &Schema::default(),
        tables: &[],
        tick: Span::UNIT,
        lineage: true,
    };
    build(operator, around).unwrap()
}

/// A learner, and everything that came of what it was given.
struct Bench {
    learner: Box<dyn Operator>,
    next: u64,
    out: Output,
}

impl Bench {
    fn of(learn: &Json, inputs: &[&str]) -> Self {
        let mut out = Output::default();
        let mut learner = made(&learner(learn, inputs, &json!({})));
        learner.on_enter(&mut out);
        Self { learner, next: 0, out }
    }
    fn give(&mut self, input: usize, stamp: i64, row: Row) -> &mut Self {
        let mut event: Event = event(self.next, stamp, row);
        event.id.producer = Producer(input as u32);
        self.next += 1;
        self.learner.on_event(input, event, Time::ZERO, &mut self.out);
        self
    }
    /// An event named `k`, with that `x` and label `v`.
    fn event(&mut self, stamp: i64, k: &str, v: i64, x: f64) -> &mut Self {
        self.give(0, stamp, [Value::from(k), Value::Int(v), Value::Float(x)].into())
    }
    fn label(&mut self, stamp: i64, k: &str, v: f64) -> &mut Self {
        self.give(1, stamp, [Value::from(k), Value::Float(v)].into())
    }
    fn watermark(&mut self, w: i64) -> &mut Self {
        self.learner.on_watermark(Time::from_micros(w), &mut self.out);
        self
    }
    /// The columns behind those of the event, of all results so far.
    fn said(&self) -> Vec<String> {
        let results = self.out.emitted.iter().filter_map(|emitted| match emitted {
            Emitted::Result(draft) => Some(draft),
            _ => None,
        });
        results
            .map(|draft| {
                draft.row[3..]
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect()
    }
    fn failures(&self) -> Vec<String> {
        let failed = self.out.emitted.iter().filter_map(|emitted| match emitted {
            Emitted::Failed(failure) => Some(failure.reason.clone()),
            _ => None,
        });
        failed.collect()
    }
    fn count(&self, metric: Metric) -> u64 {
        let all = self.out.measured.iter().filter(|(m, _)| *m == metric);
        all.map(|(_, reading)| reading).sum()
    }
    fn last(&self, metric: Metric) -> Option<u64> {
        let mut latest_first = self.out.measured.iter().rev();
        latest_first.find(|(m, _)| *m == metric).map(|(_, reading)| *reading)
    }
}

fn online() -> Json {
    json!({"features": ["x"], "target": {"number": "v"}, "online": {"linear-regression": {"learning_rate": 0.25}}})
}

fn apart() -> Json {
    let mut learn = online();
    learn["labels"] = json!({"input": "l", "by": ["k"], "within": "50us"});
    learn
}

#[test]
fn an_event_is_predicted_before_anything_is_learned_from_it() {
    let mut bench = Bench::of(&online(), &["e"]);
    bench.event(1, "a", 2, 1.0).event(2, "b", 2, 1.0).event(3, "c", 2, 1.0);
    // The gradient of the squared error is twice the error, for the weight and for the intercept alike.
    assert!(bench.said()[0] == "0.0 online null 0", "{:?}", bench.said());
    assert!(bench.said()[1].ends_with("online null 1") && !bench.said()[1].starts_with("0.0 "));
    assert_eq!(bench.count(Metric::Learned), 3);
    // The first answer was off by 2; what was right is known only in hindsight.
    assert!(bench.last(Metric::Mae).unwrap() < 2_000_000);
}

#[test]
fn a_label_that_comes_later_teaches_the_event_that_it_names() {
    let mut bench = Bench::of(&apart(), &["e", "l"]);
    bench.event(1, "a", 0, 1.0).event(2, "b", 0, 1.0);
    assert_eq!(bench.last(Metric::AwaitingLabels), Some(2));
    bench.label(9, "b", 4.0).event(10, "c", 0, 1.0);
    assert!(bench.said()[2].ends_with(" 1"), "{:?}", bench.said());
    assert_eq!(bench.last(Metric::AwaitingLabels), Some(2), "a and c");
    assert_eq!(bench.count(Metric::LabelDelay), 7);
    // Who teaches gives no result of its own.
    assert_eq!(bench.out.dropped.len(), 1);
    assert_eq!(bench.learner.held(), 0, "an event is done when it has been answered");
}

#[test]
fn a_label_that_comes_before_its_event_waits_for_it_and_no_longer_than_it_can_come() {
    let mut bench = Bench::of(&apart(), &["e", "l"]);
    bench.label(9, "a", 4.0).label(9, "b", 4.0);
    assert_eq!(bench.learner.held(), 2);
    bench.event(1, "a", 0, 1.0);
    assert_eq!((bench.learner.held(), bench.count(Metric::Learned)), (1, 1));
    assert!(bench.said()[0].ends_with(" 0"), "first the answer: {:?}", bench.said());
    bench.watermark(8);
    assert_eq!(bench.learner.held(), 1);
    bench.watermark(9);
    assert_eq!((bench.learner.held(), bench.count(Metric::Unmatched)), (0, 1));
}

#[test]
fn a_label_is_of_no_event_that_happened_after_it() {
    let mut bench = Bench::of(&apart(), &["e", "l"]);
    // Whichever of the two comes first.
    bench.label(5, "a", 4.0).event(9, "a", 0, 1.0);
    assert_eq!(bench.count(Metric::Learned), 0);
    bench.event(20, "b", 0, 1.0).label(15, "b", 4.0);
    assert_eq!(bench.count(Metric::Learned), 0);
    bench.watermark(20);
    assert_eq!(bench.count(Metric::Unmatched), 2);
}

#[test]
fn what_no_label_comes_for_in_time_is_given_up_and_counted() {
    let mut bench = Bench::of(&apart(), &["e", "l"]);
    bench.event(1, "a", 0, 1.0).event(1, "b", 0, 1.0).watermark(50);
    assert_eq!(bench.count(Metric::MissingLabels), 0);
    bench.label(51, "b", 1.0).watermark(51);
    assert_eq!(bench.count(Metric::MissingLabels), 1);
    bench.label(51, "a", 1.0);
    assert_eq!(
        bench.count(Metric::Unmatched),
        1,
        "and its label belongs to nothing any more"
    );
    // A label is of events up to so long before it, however long the prediction still waits.
    bench.event(60, "c", 0, 1.0).label(111, "c", 1.0);
    assert_eq!(bench.count(Metric::Learned), 1);
}

#[test]
fn copies_of_an_event_are_learned_each() {
    let mut bench = Bench::of(&apart(), &["e", "l"]);
    bench
        .event(1, "a", 0, 1.0)
        .event(1, "a", 0, 1.0)
        .label(5, "a", 1.0)
        .label(5, "a", 1.0);
    assert_eq!((bench.count(Metric::Learned), bench.count(Metric::Unmatched)), (2, 0));
    bench.watermark(5);
    assert_eq!(
        bench.count(Metric::Unmatched),
        1,
        "the copy of the label had nothing left to teach"
    );
}

#[test]
fn outcomes_come_with_their_labels() {
    let mut learn = apart();
    learn["results"] = json!("outcomes");
    let mut bench = Bench::of(&learn, &["e", "l"]);
    bench.event(1, "a", 0, 1.0).event(2, "b", 0, 1.0).label(9, "a", 4.0);
    assert_eq!(bench.said(), ["0.0 online null 0 4.0 4.0"]);
    assert_eq!((bench.out.caused, bench.learner.held()), (2, 1));
    bench.watermark(52);
    assert_eq!(bench.out.dropped.last().map(|(_, why)| *why), Some(Dropped::Filtered));
    assert_eq!(bench.learner.held(), 0);
}

#[test]
fn a_new_version_serves_from_when_the_watermark_has_come_to_its_time() {
    let files = json!({"pretrained": [{"file": "one"}, {"file": "two", "from": "100us"}]});
    let mut bench = Bench::of(&files, &["e"]);
    bench
        .event(1, "a", 0, 3.0)
        .event(120, "b", 0, 3.0)
        .watermark(99)
        .event(121, "c", 0, 3.0);
    bench.watermark(100).event(110, "d", 0, 3.0);
    let whose = |said: &String| said.rsplit(' ').next().unwrap_or_default().to_owned();
    assert_eq!(bench.said().iter().map(whose).collect::<Vec<_>>(), ["1", "1", "1", "2"]);
    assert_eq!(bench.out.notes, ["`line` version `2` serves from here"]);
    assert_eq!(bench.last(Metric::ModelVersion), Some(2));
    // By event time it is the stamp that says which version answers.
    let mut files = files;
    files["order"] = json!("event-time");
    let mut bench = Bench::of(&files, &["e"]);
    bench
        .event(1, "a", 0, 3.0)
        .event(120, "b", 0, 3.0)
        .event(99, "c", 0, 3.0)
        .event(100, "d", 0, 3.0);
    bench.watermark(200);
    assert_eq!(bench.said().iter().map(whose).collect::<Vec<_>>(), ["1", "1", "2", "2"]);
}

#[test]
fn what_cannot_be_answered_fails_or_gets_the_fallback_and_is_counted() {
    let bad = |bench: &mut Bench| {
        let row = |x: Value| Row::from([Value::from("a"), Value::Int(1), x]);
        bench
            .give(0, 1, row(Value::Null))
            .give(0, 2, row(Value::Float(f64::NAN)));
        bench
            .give(0, 3, row(Value::Float(f64::INFINITY)))
            .give(0, 4, row(Value::from("many")));
    };
    let mut bench = Bench::of(&online(), &["e"]);
    bad(&mut bench);
    assert_eq!(
        bench.failures(),
        [
            "feature 0 `x` has no value",
            "feature 0 `x` is not a number",
            "feature 0 `x` is infinite",
            "feature 0 `x` is not a number"
        ]
    );
    let mut learn = online();
    learn["fallback"] = json!(7);
    let mut bench = Bench::of(&learn, &["e"]);
    bad(&mut bench);
    assert_eq!(bench.said(), ["7.0 fallback null 0"; 4]);
    assert_eq!((bench.count(Metric::Fallbacks), bench.count(Metric::Unlearned)), (4, 4));
    // A model that has not learned anything yet is no fault of the event's: without a fallback the answer is null.
    let young = json!({"features": ["x"], "target": "cluster", "online": {"k-means": {"clusters": 2}}});
    let mut bench = Bench::of(&young, &["e"]);
    bench.event(1, "a", 0, 1.0);
    assert_eq!(bench.said(), ["null null fallback null 0"]);
}

#[test]
fn a_label_that_is_none_fails_and_an_empty_one_is_refused() {
    let mut bench = Bench::of(&apart(), &["e", "l"]);
    bench.event(1, "a", 0, 1.0);
    bench.give(1, 2, [Value::from("a"), Value::Float(f64::NAN)].into());
    assert_eq!(
        bench.failures(),
        ["the label is NaN, which nothing can be learned from"]
    );
    bench.give(1, 2, [Value::from("a"), Value::Null].into());
    assert_eq!((bench.count(Metric::Unlearned), bench.out.dropped.len()), (1, 1));
    bench.give(1, 2, [Value::Null, Value::Float(1.0)].into());
    assert_eq!(bench.count(Metric::Unmatched), 1);
    bench.give(0, 1, [Value::Null, Value::Int(1), Value::Float(1.0)].into());
    assert_eq!(bench.count(Metric::MissingLabels), 1, "what has no id has no label");
    assert_eq!(bench.count(Metric::Learned), 0);
}

#[test]
fn a_drift_is_told_and_what_was_learned_can_be_forgotten() {
    let mut learn = online();
    learn["drift"] = json!({"page-hinkley": {"min_instances": 5, "threshold": 20.0}});
    learn["on_drift"] = json!("forget");
    let mut bench = Bench::of(&learn, &["e"]);
    for i in 0..40 {
        bench.event(i, "a", if i < 30 { 1 } else { 50 }, 1.0);
    }
    assert!(bench.count(Metric::Drifts) > 0);
    let told = &bench.out.notes[0];
    assert!(
        told.starts_with("the losses have drifted: what was learned from 3"),
        "{told}"
    );
    let learned = |said: &String| said.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok());
    let counts: Vec<u64> = bench.said().iter().filter_map(learned).collect();
    assert!(
        counts.windows(2).any(|pair| pair[1] < pair[0]),
        "it began again: {counts:?}"
    );
}

#[test]
fn a_gate_serves_the_online_model_once_it_is_better_and_the_pre_trained_one_after_a_drift() {
    let mut learn = online();
    learn["pretrained"] = json!([{"file": "one"}]);
    learn["gate"] = json!({
        "window": 40, "least_labels": 10, "test_every": 5, "in_a_row": 2,
        "drift": {"page-hinkley": {"min_instances": 5, "threshold": 50.0}},
    });
    let mut bench = Bench::of(&learn, &["e"]);
    assert_eq!(bench.last(Metric::OnlineServed), Some(0));
    let serves = |bench: &Bench| {
        bench
            .said()
            .last()
            .and_then(|said| said.split(' ').nth(1).map(str::to_owned))
    };
    for i in 0..60 {
        // The pre-trained model says x where 4 x is right, and the online one learns that.
        let x = 1 + i % 2;
        bench.event(i, "a", 2 * x, x as f64 / 2.0);
        if i == 0 {
            assert_eq!(serves(&bench).as_deref(), Some("pre-trained"), "{:?}", bench.said());
        }
    }
    assert_eq!(serves(&bench).as_deref(), Some("online"), "{:?}", bench.said().last());
    assert_eq!(
        (bench.count(Metric::Switches), bench.out.notes.len()),
        (1, 1),
        "{:?}",
        bench.out.notes
    );
    assert_eq!(bench.last(Metric::OnlineServed), Some(1));
    bench.event(60, "a", 500, 1.0).event(61, "a", 500, 1.0);
    assert_eq!(serves(&bench).as_deref(), Some("pre-trained"), "{:?}", bench.out.notes);
    assert_eq!(
        (bench.count(Metric::Switches), bench.last(Metric::OnlineServed)),
        (2, Some(0))
    );
    assert!(bench.count(Metric::Drifts) > 0);
}

#[test]
fn an_answer_that_is_remembered_costs_nothing_until_a_new_version_serves() {
    let learn = json!({
        "pretrained": [{"file": "one"}, {"file": "two", "from": "100us"}], "cost": "7us", "cache": 2,
    });
    let mut bench = Bench::of(&learn, &["e"]);
    let busy = |bench: &mut Bench, x: f64| {
        bench.out.busy = Span::ZERO;
        bench.event(1, "a", 0, x);
        bench.out.busy.micros()
    };
    let first: Vec<i64> = [1.0, 2.0, 1.0, 3.0, 1.0, 2.0].map(|x| busy(&mut bench, x)).into();
    assert_eq!(
        first,
        [7, 7, 0, 7, 0, 7],
        "the one that was asked for longest ago is forgotten"
    );
    bench.watermark(100);
    assert_eq!(busy(&mut bench, 1.0), 7);
    assert_eq!(
        (bench.count(Metric::CacheHits), bench.count(Metric::CacheMisses)),
        (2, 5)
    );
    // Remembered or not, the answer is the model's.
    assert_eq!(bench.said()[2], bench.said()[0]);
    assert_ne!(bench.said()[6], bench.said()[0]);
}

/// A learner that asks a service with two versions, and waits 30 µs.
fn asking(cache: u32) -> Json {
    json!({
        "pretrained": [{"file": "one"}, {"file": "two", "from": "100us"}],
        "service": {"within": "30us"}, "cache": cache, "fallback": -1,
    })
}

impl Bench {
    /// The service answers the question that was put as that one, counted from 0, with `answer`.
    fn answer(&mut self, question: usize, answer: f64) -> &mut Self {
        let Question { event, version, .. } = self.out.asked[question];
        let said = Ok(Prediction::Number(answer));
        self.learner.on_answer(&Answer { event, version, said }, &mut self.out);
        self
    }
    /// The time for the answer to that question is over.
    fn over(&mut self, question: usize) -> &mut Self {
        let (within, token) = self.out.timers[question];
        assert_eq!(within, Span::from_micros(30));
        self.learner.on_timer(token, &mut self.out);
        self
    }
}

#[test]
fn who_has_an_answer_waits_for_those_before() {
    let mut bench = Bench::of(&asking(0), &["e"]);
    bench.event(1, "a", 0, 1.0).event(2, "b", 0, 2.0).event(3, "c", 0, 3.0);
    assert_eq!((bench.out.asked.len(), bench.learner.held()), (3, 3));
    bench.answer(1, 2.5);
    assert!(bench.said().is_empty());
    assert_eq!(bench.learner.watermark_limit(), Time::from_micros(0));
    bench.answer(0, 1.5);
    assert_eq!(bench.said(), ["1.5 pre-trained 1", "2.5 pre-trained 1"]);
    assert_eq!(bench.learner.watermark_limit(), Time::from_micros(2));
    bench.over(2);
    assert_eq!(bench.said()[2], "-1.0 fallback null");
    assert_eq!(bench.learner.watermark_limit(), Time::MAX);
    assert_eq!((bench.count(Metric::TimedOut), bench.count(Metric::Fallbacks)), (1, 1));
    bench.answer(2, 3.5).over(0);
    assert_eq!(bench.said().len(), 3, "what comes too late changes nothing");
}

#[test]
fn an_event_asks_the_version_that_serves_it_and_nothing_of_the_old_one_is_remembered() {
    let mut bench = Bench::of(&asking(2), &["e"]);
    bench.event(1, "a", 0, 1.0).answer(0, 10.0).event(2, "b", 0, 1.0);
    assert_eq!(bench.said(), ["10.0 pre-trained 1", "10.0 pre-trained 1"]);
    bench.event(3, "c", 0, 2.0).watermark(100).event(101, "d", 0, 1.0);
    let versions: Vec<u32> = bench.out.asked.iter().map(|question| question.version).collect();
    assert_eq!(versions, [0, 0, 1], "the watermark has come, and its turn has not");
    assert!(bench.out.notes.is_empty());
    bench.answer(2, 30.0).answer(1, 20.0);
    assert_eq!(bench.said()[2..], ["20.0 pre-trained 1", "30.0 pre-trained 2"]);
    assert_eq!(bench.out.notes, ["`line` version `2` serves from here"]);
    assert_eq!(
        (bench.count(Metric::CacheHits), bench.count(Metric::CacheMisses)),
        (1, 3)
    );
    bench.event(102, "e", 0, 2.0);
    assert_eq!(
        bench.out.asked.len(),
        4,
        "an answer of the old version is not remembered"
    );
}

#[test]
fn what_was_asked_is_known_after_a_restore_and_asked_again() {
    let learn = asking(2);
    let mut bench = Bench::of(&learn, &["e"]);
    bench.event(1, "a", 0, 1.0).event(2, "b", 0, 2.0).answer(1, 2.5);
    let mut state = State::default();
    bench.learner.save(&mut state);
    bench.learner = made(&learner(&learn, &["e"], &json!({})));
    bench.learner.restore(&state).unwrap();
    assert_eq!(bench.learner.asked(), bench.out.asked[..1]);
    bench.answer(0, 1.5);
    assert_eq!(bench.said(), ["1.5 pre-trained 1", "2.5 pre-trained 1"]);
    assert!(bench.learner.asked().is_empty());
}

/// Siddhi's test of a perceptron that is restored: what was learned after the snapshot is gone, and what was learned
/// before it is there to the last bit.
#[test]
fn a_perceptron_goes_back_to_what_it_had_learned_when_it_was_saved() {
    let learn = json!({
        "features": ["x"], "target": {"class": {"field": "v", "of": ["0", "1"]}},
        "online": {"perceptron": {"learning_rate": 0.01, "threshold": 0.5, "learn_intercept": false}},
    });
    let saved = |bench: &Bench| {
        let mut state = State::default();
        bench.learner.save(&mut state);
        state
    };
    let mut bench = Bench::of(&learn, &["e"]);
    bench.event(1, "a", 1, 0.8);
    let snapshot = saved(&bench);
    bench
        .event(2, "b", 0, 0.65)
        .event(3, "c", 1, 0.95)
        .event(4, "d", 0, 0.58);
    assert_ne!(saved(&bench), snapshot);
    bench.learner = made(&learner(&learn, &["e"], &json!({})));
    bench.learner.restore(&snapshot).unwrap();
    assert_eq!(saved(&bench), snapshot);
    bench.event(8, "b", 0, 0.65);
    let mut without = Bench::of(&learn, &["e"]);
    without.event(1, "a", 1, 0.8).event(8, "b", 0, 0.65);
    assert_eq!(bench.said().last(), without.said().last());
    assert_eq!(saved(&bench), saved(&without));
}

fn row() -> impl Strategy<Value = Row> {
    let x = prop_oneof![
        8 => (-9i64..9).prop_map(|x| Value::Float(x as f64)),
        1 => Just(Value::Null),
        1 => Just(Value::Float(f64::NAN)),
    ];
    let v = prop_oneof![8 => (-3i64..4).prop_map(Value::Int), 1 => Just(Value::Null)];
    (prop::sample::select(vec!["a", "b", "c"]), v, x).prop_map(|(k, v, x)| Row::from([Value::from(k), v, x]))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (any::<bool>(), -12i64..9, row()).prop_map(|(label, near, row)| (Some((label, near, row)), 0)),
        2 => (0i64..12).prop_map(|grown| (None, grown)),
    ];
    prop::collection::vec(step, 1..50).prop_map(|course| {
        let (mut steps, mut watermark) = (Vec::new(), 0);
        for (number, (comes, grown)) in course.into_iter().enumerate() {
            steps.push(match comes {
                Some((label, near, row)) => {
                    let input = usize::from(label);
                    let row = if label {
                        Row::from([row[0].clone(), row[2].clone()])
                    } else {
                        row
                    };
                    let mut event = event(number as u64, watermark + 10 + near, row);
                    event.id.producer = Producer(input as u32);
                    Step::Element(input, Element::Event(Box::new(event)))
                }
                None => {
                    watermark += grown;
                    Step::Element(0, Element::Watermark(Time::from_micros(watermark)))
                }
            });
        }
        steps.push(Step::Element(0, Element::End));
        steps
    })
}

fn learners() -> impl Strategy<Value = script::Operator> {
    let order = prop::sample::select(vec!["arrival", "event-time"]);
    let results = prop::sample::select(vec!["predictions", "outcomes"]);
    (order, results, any::<[bool; 3]>()).prop_map(|(order, results, [fallback, gated, side])| {
        let mut learn = apart();
        learn["order"] = json!(order);
        learn["results"] = json!(results);
        if fallback {
            learn["fallback"] = json!(1);
        }
        if gated {
            learn["pretrained"] = json!([{"file": "one"}, {"file": "two", "from": "100us"}]);
            learn["gate"] = json!({
                "window": 8, "least_labels": 2, "test_every": 1, "in_a_row": 1, "confidence": 0.6,
                "drift": {"page-hinkley": {"min_instances": 3, "threshold": 1.0}},
            });
        }
        learner(
            &learn,
            &["e", "l"],
            &json!({"late": if side { "side" } else { "drop" }}),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn learners_go_on_from_what_they_saved(learner in learners(), steps in steps(), at in 0usize..40) {
        twins(|| made(&learner), &steps, at)?;
    }

    #[test]
    fn no_bytes_make_a_restored_learner_panic(
        learner in learners(), steps in steps(), at in 0usize..40, spoils in spoils()
    ) {
        spoilt(|| made(&learner), &steps, at, &spoils);
    }
}
