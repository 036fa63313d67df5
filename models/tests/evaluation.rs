//! Metrics, intervals and tests against river and scipy.

use serde_json::Value;
use wavetank_models::evaluation::{
    ClassMetrics, Memory, NumberMetrics, Prequential, loss, mcnemar, mean_above, mean_interval, paired_t,
    share_interval,
};
use wavetank_models::{Label, ModelError, Prediction, Schema, Target, state};

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/evaluation.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn close(ours: f64, theirs: &Value, what: &str) {
    let theirs = theirs.as_f64().unwrap();
    assert!(
        (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0),
        "{what}: {ours}, expected {theirs}"
    );
}

#[test]
fn metrics_of_classes_are_those_of_river() {
    let fixture = fixture();
    let (truths, guesses) = (floats(&fixture["truths"]), floats(&fixture["guesses"]));
    for (name, memory) in [("all", Memory::All), ("window", Memory::Window(40))] {
        let mut metrics = ClassMetrics::new(3, memory).unwrap();
        let mut expected = fixture["classes"][name].as_array().unwrap().iter();
        for (index, (truth, guess)) in truths.iter().zip(&guesses).enumerate() {
            metrics.update(*truth as usize, *guess as usize).unwrap();
            if index % 25 == 24 {
                let expected = expected.next().unwrap();
                close(metrics.accuracy(), &expected["accuracy"], name);
                close(metrics.balanced_accuracy(), &expected["balanced_accuracy"], name);
                close(metrics.kappa(), &expected["kappa"], name);
                close(metrics.macro_f1(), &expected["macro_f1"], name);
                for class in 0..3 {
                    close(metrics.precision(class), &expected[format!("precision_{class}")], name);
                    close(metrics.recall(class), &expected[format!("recall_{class}")], name);
                    close(metrics.f1(class), &expected[format!("f1_{class}")], name);
                }
            }
        }
        assert_eq!(metrics.seen(), 300);
        assert_eq!(metrics.weight(), if name == "all" { 300.0 } else { 40.0 });
    }
}

#[test]
fn metrics_of_numbers_are_those_of_river() {
    let fixture = fixture();
    let (truths, predicted) = (floats(&fixture["numbers"]), floats(&fixture["predicted"]));
    for (name, memory) in [("all", Memory::All), ("window", Memory::Window(40))] {
        let mut metrics = NumberMetrics::new(memory).unwrap();
        let mut expected = fixture["regression"][name].as_array().unwrap().iter();
        for (index, (truth, predicted)) in truths.iter().zip(&predicted).enumerate() {
            metrics.update(*truth, *predicted).unwrap();
            if index % 25 == 24 {
                let expected = expected.next().unwrap();
                close(metrics.mae(), &expected["mae"], name);
                close(metrics.rmse(), &expected["rmse"], name);
            }
        }
    }
}

#[test]
fn a_fading_factor_forgets_as_it_should() {
    let fixture = fixture();
    let mut classes = ClassMetrics::new(3, Memory::Fading(0.97)).unwrap();
    let mut numbers = NumberMetrics::new(Memory::Fading(0.97)).unwrap();
    let mut expected = fixture["fading"].as_array().unwrap().iter();
    for index in 0..300 {
        let of = |key: &str| fixture[key][index].as_f64().unwrap();
        classes.update(of("truths") as usize, of("guesses") as usize).unwrap();
        numbers.update(of("numbers"), of("predicted")).unwrap();
        if index % 25 == 24 {
            let expected = expected.next().unwrap();
            close(classes.accuracy(), &expected["accuracy"], "accuracy");
            close(numbers.mae(), &expected["mae"], "mae");
            close(numbers.rmse(), &expected["rmse"], "rmse");
        }
    }
}

#[test]
fn bias_has_the_sign_of_prediction_minus_truth() {
    let mut metrics = NumberMetrics::new(Memory::Window(2)).unwrap();
    for (truth, predicted) in [(0.0, -100.0), (1.0, 4.0), (2.0, 3.0)] {
        metrics.update(truth, predicted).unwrap();
    }
    assert_eq!((metrics.bias(), metrics.mae()), (2.0, 2.0), "the first is forgotten");
}

#[test]
fn accuracy_misleads_where_classes_are_rare_and_the_others_do_not() {
    let mut metrics = ClassMetrics::new(2, Memory::All).unwrap();
    for index in 0..1000 {
        metrics.update(usize::from(index % 100 == 0), 0).unwrap();
    }
    assert_eq!(metrics.accuracy(), 0.99);
    assert_eq!(
        (
            metrics.balanced_accuracy(),
            metrics.recall(1),
            metrics.f1(1),
            metrics.kappa()
        ),
        (0.5, 0.0, 0.0, 0.0)
    );
    assert_eq!(metrics.pair(1, 0), Ok(10.0));
    assert!(metrics.pair(2, 0).is_err());
}

#[test]
fn intervals_and_tests_are_those_of_scipy() {
    let fixture = fixture();
    for case in fixture["shares"].as_array().unwrap() {
        let interval = share_interval(
            case[0].as_u64().unwrap(),
            case[1].as_u64().unwrap(),
            case[2].as_f64().unwrap(),
        )
        .unwrap();
        close(interval.low, &case[3], "share, low");
        close(interval.high, &case[4], "share, high");
    }
    let (a, b) = (floats(&fixture["losses"][0]), floats(&fixture["losses"][1]));
    for case in fixture["means"].as_array().unwrap() {
        let (n, confidence) = (case[0].as_u64().unwrap() as usize, case[1].as_f64().unwrap());
        let interval = mean_interval(&a[..n], confidence).unwrap();
        close(interval.low, &case[2], "mean, low");
        close(interval.high, &case[3], "mean, high");
        close(mean_above(&a[..n], confidence).unwrap(), &case[4], "mean, above");
    }
    for case in fixture["paired"].as_array().unwrap() {
        let n = case[0].as_u64().unwrap() as usize;
        let test = paired_t(&a[..n], &b[..n]).unwrap();
        close(test.statistic, &case[1], "statistic");
        close(test.p_value, &case[2], "p");
    }
    for case in fixture["mcnemar"].as_array().unwrap() {
        let test = mcnemar(case[0].as_u64().unwrap(), case[1].as_u64().unwrap()).unwrap();
        close(test.p_value, &case[2], "McNemar");
    }
}

#[test]
fn samples_that_say_nothing_are_refused() {
    assert!(matches!(mean_interval(&[1.0], 0.95), Err(ModelError::NotReady(_))));
    assert!(matches!(
        mean_interval(&[1.0, f64::NAN], 0.95),
        Err(ModelError::Value { .. })
    ));
    assert!(matches!(
        mean_interval(&[1.0, 2.0], 1.0),
        Err(ModelError::Setting { .. })
    ));
    assert!(matches!(share_interval(0, 0, 0.9), Err(ModelError::Value { .. })));
    assert!(matches!(share_interval(3, 2, 0.9), Err(ModelError::Value { .. })));
    assert!(matches!(paired_t(&[1.0, 2.0], &[1.0]), Err(ModelError::Value { .. })));
    assert_eq!(paired_t(&[1.0, 2.0], &[1.0, 2.0]).unwrap().p_value, 1.0);
    assert_eq!(paired_t(&[2.0, 3.0], &[1.0, 2.0]).unwrap().p_value, 0.0);
    assert!(ClassMetrics::new(1, Memory::All).is_err());
    assert!(ClassMetrics::new(2, Memory::Window(0)).is_err());
    assert!(NumberMetrics::new(Memory::Fading(0.0)).is_err());
    let mut metrics = ClassMetrics::new(2, Memory::All).unwrap();
    assert_eq!(
        metrics.update(0, 2),
        Err(ModelError::NoSuchClass { class: 2, classes: 2 })
    );
    let mut metrics = NumberMetrics::new(Memory::All).unwrap();
    assert!(metrics.update(f64::NAN, 1.0).is_err() && metrics.update(1.0, f64::MAX).is_err());
    assert_eq!((metrics.seen(), metrics.mae()), (0, 0.0));
}

#[test]
fn prequential_metrics_take_predictions_and_labels_and_come_back_bit_for_bit() {
    let classes = vec!["no".into(), "yes".into()];
    let schema = Schema::numbers(
        ["x"],
        Target::Class {
            name: "y".into(),
            classes,
        },
    )
    .unwrap();
    let mut through = Prequential::new(&schema, Memory::Window(10)).unwrap();
    let predicted = |p: f64| Prediction::from_probabilities(vec![1.0 - p, p]);
    for index in 0..25_u32 {
        through
            .update(
                &predicted(f64::from(index % 4) / 3.0),
                Label::Class((index % 2) as usize),
            )
            .unwrap();
    }
    let mut restored: Prequential = state::restore(&state::save(&through).unwrap()).unwrap();
    for index in 0..25_u32 {
        for metrics in [&mut through, &mut restored] {
            metrics
                .update(
                    &predicted(f64::from(index % 3) / 2.0),
                    Label::Class((index % 2) as usize),
                )
                .unwrap();
        }
        assert_eq!(state::save(&restored).unwrap(), state::save(&through).unwrap());
    }
    assert!(matches!(
        through.update(&Prediction::Number(1.0), Label::Number(1.0)),
        Err(ModelError::LabelKind { .. })
    ));
    assert!(matches!(
        through.update(&predicted(0.1), Label::Number(1.0)),
        Err(ModelError::LabelKind { .. })
    ));
    let anomalies = Schema::numbers(["x"], Target::Anomaly).unwrap();
    assert!(matches!(
        Prequential::new(&anomalies, Memory::All),
        Err(ModelError::Schema(_))
    ));
    assert_eq!(loss(&predicted(0.9), Label::Class(1)), Ok(0.0));
    assert_eq!(loss(&predicted(0.9), Label::Class(0)), Ok(1.0));
    assert_eq!(loss(&Prediction::Number(3.0), Label::Number(5.5)), Ok(2.5));
    assert!(loss(&Prediction::Anomaly { score: 0.5 }, Label::None).is_err());
}
