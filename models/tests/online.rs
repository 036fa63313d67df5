//! The online learners against river, scikit-learn, Siddhi's worked cases and plain loops.

use serde_json::Value;
use wavetank_models::online::{
    Aggressiveness, Cut, DecayingKMeans, DecayingKMeansSettings, Ftrl, FtrlSettings, HalfSpaceTrees,
    HalfSpaceTreesSettings, HoeffdingTree, HoeffdingTreeSettings, KMeans, KMeansSettings, LeafPrediction,
    LinearRegression, LinearSettings, LogisticRegression, NaiveBayes, NaiveBayesSettings, OnlineModel, OnlineSettings,
    PassiveAggressive, PassiveAggressiveSettings, Perceptron, PerceptronSettings,
};
use wavetank_models::state;
use wavetank_models::{
    Feature, FeatureKind, Label, Learner, MISSING, ModelError, Prediction, Predictor, Schema, Target,
};

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/online.json")).unwrap()
}

fn worked_case(id: &str) -> Value {
    let text = include_str!("fixtures/worked_cases.jsonl");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|c: &Value| c["id"] == id)
        .unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn matrix(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(floats).collect()
}

fn number() -> Target {
    Target::Number { name: "y".into() }
}

fn pair() -> Target {
    Target::Class {
        name: "y".into(),
        classes: vec!["no".into(), "yes".into()],
    }
}

fn abc(target: Target) -> Schema {
    Schema::numbers(["a", "b", "c"], target).unwrap()
}

fn with_category() -> Schema {
    let number = |name: &str| Feature {
        name: name.into(),
        kind: FeatureKind::Number,
    };
    let values = (0..5).map(|v| v.to_string()).collect();
    let features = vec![
        number("a"),
        number("b"),
        number("c"),
        Feature {
            name: "d".into(),
            kind: FeatureKind::Category(values),
        },
    ];
    let classes = vec!["zero".into(), "one".into(), "two".into()];
    Schema::new(
        features,
        Target::Class {
            name: "y".into(),
            classes,
        },
    )
    .unwrap()
}

fn close(ours: f64, theirs: f64, tolerance: f64) -> bool {
    (ours - theirs).abs() <= tolerance * theirs.abs().max(1.0)
}

/// The number of interest in a prediction: the number, the chance of the second class, the cluster or the score.
fn gist(prediction: &Prediction) -> f64 {
    match prediction {
        Prediction::Number(value) => *value,
        Prediction::Class { probabilities, .. } => probabilities[1],
        Prediction::Cluster { cluster, .. } => *cluster as f64,
        Prediction::Anomaly { score } => *score,
    }
}

fn label(fixture: &Value, target: &Target, index: usize) -> Label {
    match target {
        Target::Number { .. } => Label::Number(fixture["numbers"][index].as_f64().unwrap()),
        Target::Class { .. } => Label::Class(fixture["pairs"][index].as_u64().unwrap() as usize),
        Target::Cluster | Target::Anomaly => Label::None,
    }
}

fn assert_run(model: &mut impl Learner, fixture: &Value, expected: &[f64], tolerance: f64, name: &str) {
    let target = model.schema().target().clone();
    for (index, row) in matrix(&fixture["rows"]).iter().enumerate() {
        let ours = gist(&model.predict(row).unwrap());
        assert!(
            close(ours, expected[index], tolerance),
            "{name} at {index}: {ours}, expected {}",
            expected[index]
        );
        model.learn(row, label(fixture, &target, index)).unwrap();
    }
    assert_eq!(model.learned(), expected.len() as u64);
}

#[test]
fn linear_models_predict_what_river_predicts() {
    let fixture = fixture();
    let plain = LinearSettings::default();
    let scaled = LinearSettings { scale: true, ..plain };
    let ridge = LinearSettings {
        learning_rate: 0.02,
        intercept_rate: 0.05,
        l2: 0.1,
        clip_gradient: 0.5,
        scale: false,
    };
    let steep = LinearSettings {
        learning_rate: 0.3,
        intercept_rate: 0.2,
        l2: 0.01,
        ..plain
    };
    for (name, settings) in [("linear", plain), ("linear-ridge", ridge), ("linear-scaled", scaled)] {
        let mut model = LinearRegression::new(abc(number()), settings).unwrap();
        assert_run(&mut model, &fixture, &floats(&fixture["runs"][name]), 1e-9, name);
    }
    for (name, settings) in [
        ("logistic", plain),
        ("logistic-ridge", steep),
        ("logistic-scaled", scaled),
    ] {
        let mut model = LogisticRegression::new(abc(pair()), settings).unwrap();
        assert_run(&mut model, &fixture, &floats(&fixture["runs"][name]), 1e-9, name);
    }
    let mut model = Perceptron::new(abc(pair()), PerceptronSettings::default()).unwrap();
    assert_run(
        &mut model,
        &fixture,
        &floats(&fixture["runs"]["perceptron"]),
        1e-9,
        "perceptron",
    );
}

#[test]
fn passive_aggressive_learners_predict_what_river_predicts_with_the_loss_of_the_paper() {
    let fixture = fixture();
    let plain = PassiveAggressiveSettings::default();
    let unlimited = PassiveAggressiveSettings {
        mode: Aggressiveness::Unlimited,
        epsilon: 0.3,
        ..plain
    };
    let damped = |c| PassiveAggressiveSettings {
        c,
        mode: Aggressiveness::Damped,
        learn_intercept: false,
        ..plain
    };
    for (name, target, settings) in [
        ("pa-classifier", pair(), plain),
        ("pa-classifier-unlimited", pair(), unlimited),
        ("pa-classifier-damped", pair(), damped(0.3)),
        ("pa-regressor", number(), PassiveAggressiveSettings { c: 0.05, ..plain }),
        ("pa-regressor-unlimited", number(), unlimited),
        ("pa-regressor-damped", number(), damped(0.01)),
    ] {
        let mut model = PassiveAggressive::new(abc(target), settings).unwrap();
        assert_run(&mut model, &fixture, &floats(&fixture["runs"][name]), 1e-9, name);
    }
}

#[test]
fn hoeffding_trees_grow_and_predict_as_rivers() {
    let fixture = fixture();
    let plain = HoeffdingTreeSettings::default();
    let rows = matrix(&fixture["tree_rows"]);
    for (name, settings) in [
        ("adaptive", plain),
        (
            "majority",
            HoeffdingTreeSettings {
                grace_period: 50,
                delta: 1e-3,
                leaf_prediction: LeafPrediction::MajorityClass,
                ..plain
            },
        ),
        (
            "bayes",
            HoeffdingTreeSettings {
                grace_period: 100,
                delta: 1e-5,
                leaf_prediction: LeafPrediction::NaiveBayes,
                max_depth: 3,
                ..plain
            },
        ),
        (
            "binary",
            HoeffdingTreeSettings {
                grace_period: 60,
                delta: 1e-4,
                tau: 0.1,
                binary_split: true,
                ..plain
            },
        ),
        (
            "eager",
            HoeffdingTreeSettings {
                grace_period: 30,
                delta: 0.05,
                tau: 0.3,
                max_depth: 4,
                ..plain
            },
        ),
    ] {
        let mut tree = HoeffdingTree::new(with_category(), settings).unwrap();
        let run = &fixture["tree_runs"][name];
        let mut asked = run["asked"].as_array().unwrap().iter();
        for (index, row) in rows.iter().enumerate() {
            if index % 7 == 6 {
                let theirs = floats(asked.next().unwrap());
                let Prediction::Class { probabilities, .. } = tree.predict(row).unwrap() else {
                    panic!()
                };
                for (ours, theirs) in probabilities.iter().zip(&theirs) {
                    assert!(
                        close(*ours, *theirs, 1e-9),
                        "{name} at {index}: {probabilities:?}, river {theirs:?}"
                    );
                }
            }
            let class = fixture["tree_labels"][index].as_u64().unwrap() as usize;
            tree.learn(row, Label::Class(class)).unwrap();
        }
        assert_eq!(tree.nodes() as u64, run["nodes"].as_u64().unwrap(), "{name}");
        assert_eq!(tree.leaves() as u64, run["leaves"].as_u64().unwrap(), "{name}");
    }
}

fn half_space(fixture: &Value) -> HalfSpaceTrees {
    let cut = |c: &Value| Cut {
        feature: c[0].as_u64().unwrap() as usize,
        threshold: c[1].as_f64().unwrap(),
    };
    let trees = fixture["half_space"]["cuts"].as_array().unwrap();
    let trees = trees
        .iter()
        .map(|t| t.as_array().unwrap().iter().map(cut).collect())
        .collect();
    HalfSpaceTrees::with_cuts(abc(Target::Anomaly), 30, trees).unwrap()
}

#[test]
fn half_space_trees_with_rivers_cuts_score_as_river() {
    let fixture = fixture();
    let expected = floats(&fixture["half_space"]["scores"]);
    assert_run(&mut half_space(&fixture), &fixture, &expected, 1e-9, "half-space trees");
}

#[test]
fn half_space_trees_find_what_lies_where_nothing_was() {
    let schema = Schema::numbers(["x", "y"], Target::Anomaly).unwrap();
    let mut trees = HalfSpaceTrees::new(
        schema.clone(),
        HalfSpaceTreesSettings {
            seed: 5,
            ..Default::default()
        },
    )
    .unwrap();
    for i in 0..500 {
        let x = 0.2 + 0.1 * f64::from(i % 10) / 10.0;
        trees.learn(&[x, 1.0 - x], Label::None).unwrap();
    }
    let usual = gist(&trees.predict(&[0.25, 0.75]).unwrap());
    let strange = gist(&trees.predict(&[0.9, 0.1]).unwrap());
    assert!(strange > 0.9 && usual < strange, "usual {usual}, strange {strange}");
    let again = HalfSpaceTrees::new(
        schema.clone(),
        HalfSpaceTreesSettings {
            seed: 5,
            ..Default::default()
        },
    )
    .unwrap();
    let other = HalfSpaceTrees::new(
        schema.clone(),
        HalfSpaceTreesSettings {
            seed: 6,
            ..Default::default()
        },
    )
    .unwrap();
    let first = HalfSpaceTrees::new(
        schema,
        HalfSpaceTreesSettings {
            seed: 5,
            ..Default::default()
        },
    )
    .unwrap();
    assert_eq!(
        state::save(&first).unwrap(),
        state::save(&again).unwrap(),
        "same seed, same bytes"
    );
    assert_ne!(state::save(&first).unwrap(), state::save(&other).unwrap());
}

#[test]
fn naive_bayes_predicts_what_scikit_learn_predicts_after_each_batch() {
    let fixture = fixture();
    let mut model = NaiveBayes::new(abc(pair()), NaiveBayesSettings::default()).unwrap();
    let rows = matrix(&fixture["rows"]);
    let mut asked = fixture["naive_bayes"].as_array().unwrap().iter();
    for (index, row) in rows.iter().enumerate() {
        if index > 0 && index % 10 == 0 && model.waiting() == 0 {
            let Some(theirs) = asked.next() else { break };
            let Prediction::Class { probabilities, .. } = model.predict(row).unwrap() else {
                panic!()
            };
            for (ours, theirs) in probabilities.iter().zip(floats(theirs)) {
                assert!(close(*ours, theirs, 1e-9), "{index}: {ours}, scikit-learn {theirs}");
            }
        }
        model.learn(row, label(&fixture, &pair(), index)).unwrap();
    }
    assert!(asked.next().is_none(), "every batch was compared");
}

#[test]
fn ftrl_follows_the_algorithm_of_the_paper() {
    let fixture = fixture();
    let settings = FtrlSettings {
        alpha: 0.1,
        beta: 1.0,
        l1: 0.02,
        l2: 0.1,
        intercept: true,
        scale: false,
    };
    for (name, tolerance) in [("narrow", 1e-9), ("wide", 1e-6)] {
        let mut model = Ftrl::new(abc(pair()), settings).unwrap();
        assert_run(&mut model, &fixture, &floats(&fixture["ftrl"][name]), tolerance, name);
    }
}

#[test]
fn kmeans_moves_the_nearest_centre_to_the_mean_of_its_points() {
    let fixture = fixture();
    let mut model = KMeans::new(
        abc(Target::Cluster),
        KMeansSettings {
            clusters: 3,
            scale: false,
        },
    )
    .unwrap();
    for (row, cluster) in matrix(&fixture["rows"])
        .iter()
        .zip(fixture["kmeans"]["clusters"].as_array().unwrap())
    {
        match model.predict(row) {
            Ok(prediction) => assert_eq!(gist(&prediction), cluster.as_f64().unwrap()),
            Err(error) => {
                assert!(matches!(error, ModelError::NotReady(_)));
                assert_eq!(cluster.as_i64(), Some(-1));
            }
        }
        model.learn(row, Label::None).unwrap();
    }
    for (ours, theirs) in model.centres().iter().zip(matrix(&fixture["kmeans"]["centres"])) {
        assert!(
            ours.iter().zip(&theirs).all(|(a, b)| close(*a, *b, 1e-9)),
            "{ours:?} {theirs:?}"
        );
    }
}

#[test]
fn incremental_kmeans_answers_as_siddhi_in_the_worked_case() {
    let case = worked_case("kmeans-incremental");
    let schema = Schema::numbers(["x", "y"], Target::Cluster).unwrap();
    let settings = DecayingKMeansSettings {
        clusters: 2,
        decay: 0.2,
        decimals: Some(4),
        scale: false,
    };
    let mut model = DecayingKMeans::new(schema, settings).unwrap();
    let mut answers = Vec::new();
    for event in case["input"].as_array().unwrap() {
        let point = floats(&event["x"]);
        answers.push(
            model
                .predict(&point)
                .ok()
                .map(|p| model.centres()[gist(&p) as usize].clone()),
        );
        model.learn(&point, Label::None).unwrap();
    }
    let expected = case["expected"].as_array().unwrap();
    assert_eq!(expected.len(), 20);
    for answer in expected {
        let ours = answers[answer["after"].as_u64().unwrap() as usize].as_ref().unwrap();
        let theirs = floats(&answer["closest_centroid"]);
        assert!(
            ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= 1e-4 + 1e-12),
            "{ours:?}, Siddhi {theirs:?}"
        );
    }
}

#[test]
fn the_perceptron_learns_as_siddhi_in_the_worked_case() {
    let case = worked_case("perceptron-online");
    let schema = Schema::numbers(["a", "b", "c", "d"], pair()).unwrap();
    let mut model = Perceptron::new(schema, PerceptronSettings::siddhi(0.01)).unwrap();
    for (event, expected) in case["input"]
        .as_array()
        .unwrap()
        .iter()
        .zip(case["expected"].as_array().unwrap())
    {
        let class = usize::from(event["label"].as_bool().unwrap());
        model.learn(&floats(&event["x"]), Label::Class(class)).unwrap();
        for (ours, theirs) in model.weights().iter().zip(floats(&expected["weights"])) {
            assert!(close(*ours, theirs, 1e-12), "{:?}", model.weights());
        }
    }
    assert_eq!(model.intercept(), 0.0, "the intercept stays");
}

#[test]
fn the_perceptron_that_is_restored_has_the_weights_of_the_worked_case_bit_for_bit() {
    let case = worked_case("perceptron-restore");
    let schema = Schema::numbers(["a", "b", "c", "d"], pair()).unwrap();
    let mut model = Perceptron::new(schema, PerceptronSettings::siddhi(0.01)).unwrap();
    let (mut saved, mut as_saved) = (Vec::new(), Vec::new());
    let mut compared = 0;
    for (step, input) in case["input"].as_array().unwrap().iter().enumerate() {
        match input["kind"].as_str().unwrap() {
            "event" => {
                let class = usize::from(input["label"].as_bool().unwrap());
                model.learn(&floats(&input["x"]), Label::Class(class)).unwrap();
            }
            "snapshot" => {
                saved = state::save(&model).unwrap();
                as_saved = model.weights().to_vec();
            }
            "restore" => {
                model = state::restore(&saved).unwrap();
                assert_eq!(model.weights(), as_saved);
            }
            "restart" => {}
            other => panic!("the case has a new kind of input: {other}"),
        }
        let expected = case["expected"].as_array().unwrap().iter();
        for expected in expected.filter(|expected| expected["after"] == step) {
            compared += 1;
            for (ours, theirs) in model.weights().iter().zip(floats(&expected["weights"])) {
                assert!(close(*ours, theirs, 1e-12), "after {step}: {:?}", model.weights());
            }
        }
    }
    assert_eq!(compared, 3);
}

/// One of each, with settings under which it learns something from the rows of the fixture.
fn one_of_each(fixture: &Value) -> Vec<OnlineModel> {
    let scaled = LinearSettings {
        scale: true,
        ..Default::default()
    };
    let trees = HalfSpaceTreesSettings {
        window: 40,
        limits: vec![(0.0, 1.0), (-8.0, 12.0), (-4.0, 4.0)],
        ..Default::default()
    };
    let settings = [
        (number(), OnlineSettings::LinearRegression(scaled)),
        (pair(), OnlineSettings::LogisticRegression(scaled)),
        (pair(), OnlineSettings::Perceptron(PerceptronSettings::default())),
        (
            pair(),
            OnlineSettings::PassiveAggressive(PassiveAggressiveSettings {
                scale: true,
                ..Default::default()
            }),
        ),
        (
            number(),
            OnlineSettings::PassiveAggressive(PassiveAggressiveSettings::default()),
        ),
        (
            pair(),
            OnlineSettings::Ftrl(FtrlSettings {
                alpha: 0.1,
                l1: 0.01,
                l2: 0.01,
                ..Default::default()
            }),
        ),
        (
            pair(),
            OnlineSettings::NaiveBayes(NaiveBayesSettings {
                batch: 7,
                smoothing: 1e-9,
            }),
        ),
        (
            pair(),
            OnlineSettings::HoeffdingTree(HoeffdingTreeSettings {
                grace_period: 30,
                tau: 0.6,
                ..Default::default()
            }),
        ),
        (Target::Anomaly, OnlineSettings::HalfSpaceTrees(trees)),
        (
            Target::Cluster,
            OnlineSettings::KMeans(KMeansSettings {
                clusters: 3,
                scale: true,
            }),
        ),
        (
            Target::Cluster,
            OnlineSettings::DecayingKMeans(DecayingKMeansSettings::default()),
        ),
    ];
    let mut models: Vec<_> = settings
        .into_iter()
        .map(|(t, s)| OnlineModel::new(abc(t), s).unwrap())
        .collect();
    models.push(OnlineModel::HalfSpaceTrees(half_space(fixture)));
    models
}

#[test]
fn a_restored_learner_predicts_what_the_saved_one_would_have() {
    let fixture = fixture();
    let rows = matrix(&fixture["rows"]);
    for mut through in one_of_each(&fixture) {
        let target = through.schema().target().clone();
        let (before, after) = rows.split_at(203);
        for (index, row) in before.iter().enumerate() {
            through.learn(row, label(&fixture, &target, index)).unwrap();
        }
        let mut restored: OnlineModel = state::restore(&state::save(&through).unwrap()).unwrap();
        for (index, row) in after.iter().enumerate() {
            assert_eq!(restored.predict(row), through.predict(row), "{target:?} {index}");
            through.learn(row, label(&fixture, &target, 203 + index)).unwrap();
            restored.learn(row, label(&fixture, &target, 203 + index)).unwrap();
        }
        assert_eq!(
            state::save(&restored).unwrap(),
            state::save(&through).unwrap(),
            "{target:?}"
        );
    }
}

#[test]
fn a_state_that_is_cut_short_flipped_or_of_something_else_does_not_come_back() {
    let fixture = fixture();
    for model in one_of_each(&fixture) {
        let bytes = state::save(&model).unwrap();
        for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert!(matches!(
                state::restore::<OnlineModel>(&bytes[..length]),
                Err(ModelError::State(_))
            ));
        }
        for at in (0..bytes.len()).step_by(bytes.len() / 50 + 1) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert!(
                matches!(state::restore::<OnlineModel>(&flipped), Err(ModelError::State(_))),
                "bit of byte {at}"
            );
        }
        assert!(state::restore::<Schema>(&bytes).is_err(), "a learner is no schema");
        let longer = [bytes, vec![0]].concat();
        assert!(matches!(
            state::restore::<OnlineModel>(&longer),
            Err(ModelError::State(_))
        ));
    }
}

#[test]
fn what_a_learner_refuses_is_named_and_changes_nothing() {
    let fixture = fixture();
    let rows = matrix(&fixture["rows"]);
    for mut model in one_of_each(&fixture) {
        let target = model.schema().target().clone();
        for (index, row) in rows[..100].iter().enumerate() {
            model.learn(row, label(&fixture, &target, index)).unwrap();
        }
        let before = state::save(&model).unwrap();
        let good = label(&fixture, &target, 100);
        let bad = |at: usize, value: f64| {
            let mut row = rows[100].clone();
            row[at] = value;
            row
        };
        let b = || "b".to_string();
        let refusals = [
            (
                rows[100][..2].to_vec(),
                ModelError::FeatureCount { expected: 3, got: 2 },
            ),
            (bad(1, MISSING), ModelError::Missing { feature: b(), index: 1 }),
            (bad(1, f64::NAN), ModelError::NotANumber { feature: b(), index: 1 }),
            (bad(1, f64::INFINITY), ModelError::Infinite { feature: b(), index: 1 }),
        ];
        for (row, error) in refusals {
            assert_eq!(model.learn(&row, good).unwrap_err(), error);
            assert_eq!(model.predict(&row).unwrap_err(), error);
        }
        let wrong = match target {
            Target::Number { .. } => vec![Label::Class(0), Label::None, Label::Number(f64::NAN)],
            Target::Class { .. } => vec![Label::Number(0.0), Label::None, Label::Class(2)],
            Target::Cluster | Target::Anomaly => vec![Label::Number(0.0), Label::Class(0)],
        };
        for label in wrong {
            assert!(model.learn(&rows[100], label).is_err(), "{target:?} {label:?}");
        }
        assert_eq!(state::save(&model).unwrap(), before, "{target:?}");
    }
}

#[test]
fn an_example_that_would_make_a_weight_infinite_is_refused() {
    let settings = LinearSettings {
        learning_rate: 1e3,
        clip_gradient: 1e300,
        ..Default::default()
    };
    let mut model = LinearRegression::new(abc(number()), settings).unwrap();
    let mut refused = 0;
    for i in 0..300 {
        match model.learn(&[1e8, -1e8, 1.0], Label::Number(f64::from(i))) {
            Ok(()) => assert!(model.weights().iter().all(|w| w.is_finite())),
            Err(error) => {
                assert!(matches!(error, ModelError::Diverged { .. }), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    assert!(model.predict(&[1.0, 1.0, 1.0]).unwrap().number().unwrap().is_finite());
}

#[test]
fn extreme_but_finite_examples_never_make_an_answer_that_is_not_finite() {
    let fixture = fixture();
    let extremes = [f64::MAX, -f64::MAX, 1e155, f64::MIN_POSITIVE, 0.0];
    for mut model in one_of_each(&fixture) {
        let target = model.schema().target().clone();
        for i in 0..60 {
            let row = [extremes[i % 5], extremes[(i / 5) % 5], extremes[(i / 2) % 5]];
            let label = match target {
                Target::Number { .. } => Label::Number(extremes[i % 4]),
                Target::Class { .. } => Label::Class(i % 2),
                _ => Label::None,
            };
            let _ = model.learn(&row, label);
            if let Ok(Prediction::Class { probabilities, .. }) = model.predict(&[0.5, 1.0, -1.0]) {
                assert!(
                    probabilities.iter().all(|p| !p.is_nan()),
                    "{target:?} {probabilities:?}"
                );
            }
        }
        let restored: OnlineModel = state::restore(&state::save(&model).unwrap()).unwrap();
        assert_eq!(state::save(&restored).unwrap(), state::save(&model).unwrap());
    }
}

#[test]
fn a_category_is_one_number_for_each_of_its_values_in_a_linear_model() {
    let features = vec![Feature {
        name: "carrier".into(),
        kind: FeatureKind::Category(vec!["AA".into(), "DL".into(), "UA".into()]),
    }];
    let schema = Schema::new(features, number()).unwrap();
    let settings = LinearSettings {
        learning_rate: 0.1,
        intercept_rate: 0.0,
        ..Default::default()
    };
    let mut model = LinearRegression::new(schema, settings).unwrap();
    for _ in 0..200 {
        for (category, delay) in [(0.0, 5.0), (1.0, -3.0), (2.0, 40.0)] {
            model.learn(&[category], Label::Number(delay)).unwrap();
        }
    }
    for (category, delay) in [(0.0, 5.0), (1.0, -3.0), (2.0, 40.0)] {
        assert!((model.predict(&[category]).unwrap().number().unwrap() - delay).abs() < 1e-9);
    }
    assert!(matches!(model.predict(&[3.0]), Err(ModelError::NoSuchCategory { .. })));
}

#[test]
fn schemas_that_do_not_fit_and_settings_outside_their_range_are_refused() {
    let schema = |error: Result<OnlineModel, ModelError>| matches!(error, Err(ModelError::Schema(_)));
    let linear = OnlineSettings::LinearRegression(LinearSettings::default());
    assert!(schema(OnlineModel::new(abc(pair()), linear)));
    let logistic = OnlineSettings::LogisticRegression(LinearSettings::default());
    assert!(schema(OnlineModel::new(with_category(), logistic)), "three classes");
    let trees = OnlineSettings::HalfSpaceTrees(HalfSpaceTreesSettings::default());
    assert!(schema(OnlineModel::new(abc(Target::Cluster), trees)));
    let means = OnlineSettings::KMeans(KMeansSettings::default());
    assert!(schema(OnlineModel::new(abc(number()), means)));
    let setting = |s: OnlineSettings, t: Target| matches!(OnlineModel::new(abc(t), s), Err(ModelError::Setting { .. }));
    let rate = LinearSettings {
        learning_rate: f64::NAN,
        ..Default::default()
    };
    assert!(setting(OnlineSettings::LinearRegression(rate), number()));
    let height = HalfSpaceTreesSettings {
        height: 60,
        ..Default::default()
    };
    assert!(setting(OnlineSettings::HalfSpaceTrees(height), Target::Anomaly));
    let limits = HalfSpaceTreesSettings {
        limits: vec![(1.0, 0.0); 3],
        ..Default::default()
    };
    assert!(setting(OnlineSettings::HalfSpaceTrees(limits), Target::Anomaly));
    assert!(setting(
        OnlineSettings::Ftrl(FtrlSettings {
            l1: 2.0,
            ..Default::default()
        }),
        pair()
    ));
    assert!(setting(
        OnlineSettings::NaiveBayes(NaiveBayesSettings {
            batch: 1,
            smoothing: 0.0
        }),
        pair()
    ));
    let delta = HoeffdingTreeSettings {
        delta: 1.0,
        ..Default::default()
    };
    assert!(setting(OnlineSettings::HoeffdingTree(delta), pair()));
    let decay = DecayingKMeansSettings {
        decay: 0.0,
        ..Default::default()
    };
    assert!(setting(OnlineSettings::DecayingKMeans(decay), Target::Cluster));
}
