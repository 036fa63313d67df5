//! Pre-trained models: against scikit-learn on the same table, and what their files must and must not do.

use serde_json::Value;
use wavetank_models::pretrained::{
    ForestSettings, KMeansSettings, LoadError, LogisticSettings, NeighboursSettings, OnBadRow, OneClassSettings,
    Pretrained, Table, TableError, TrainingSettings,
};
use wavetank_models::{Feature, FeatureKind, Label, MISSING, ModelError, Prediction, Predictor, Schema, Target};

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/pretrained.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn rows(fixture: &Value) -> Vec<Vec<f64>> {
    fixture["rows"].as_array().unwrap().iter().map(floats).collect()
}

fn number() -> Target {
    Target::Number { name: "y".into() }
}

fn classes(count: usize) -> Target {
    Target::Class {
        name: "c".into(),
        classes: (0..count).map(|c| format!("class {c}")).collect(),
    }
}

fn abc(target: Target) -> Schema {
    Schema::numbers(["a", "b", "c"], target).unwrap()
}

/// The first 240 rows of the fixture with the labels that the target wants.
fn table(fixture: &Value, target: Target) -> Table {
    let mut table = Table::new(abc(target.clone()));
    for (index, row) in rows(fixture)[..240].iter().enumerate() {
        let class = fixture["classes"][index].as_u64().unwrap() as usize;
        let label = match &target {
            Target::Number { .. } => Label::Number(fixture["numbers"][index].as_f64().unwrap()),
            Target::Class { classes, .. } => Label::Class(class.min(classes.len() - 1)),
            _ => Label::None,
        };
        table.push(row, label).unwrap();
    }
    table
}

fn settings_of_each() -> Vec<(Target, TrainingSettings)> {
    let forest = ForestSettings {
        trees: 12,
        ..Default::default()
    };
    vec![
        (number(), TrainingSettings::Linear),
        (classes(2), TrainingSettings::Logistic(LogisticSettings::default())),
        (classes(3), TrainingSettings::Logistic(LogisticSettings::default())),
        (number(), TrainingSettings::Forest(forest)),
        (classes(3), TrainingSettings::Forest(forest)),
        (number(), TrainingSettings::Neighbours(NeighboursSettings::default())),
        (classes(3), TrainingSettings::Neighbours(NeighboursSettings::default())),
        (classes(3), TrainingSettings::Bayes),
        (
            Target::Cluster,
            TrainingSettings::KMeans(KMeansSettings {
                clusters: 3,
                ..Default::default()
            }),
        ),
        (Target::Anomaly, TrainingSettings::OneClass(OneClassSettings::default())),
    ]
}

fn train(fixture: &Value, target: Target, settings: TrainingSettings) -> Pretrained {
    Pretrained::train("late", "3", &table(fixture, target), settings, 7).unwrap()
}

#[test]
fn models_trained_on_the_same_table_answer_as_scikit_learns() {
    let fixture = fixture();
    let exact = LogisticSettings {
        tolerance: 1e-9,
        ..Default::default()
    };
    let unscaled = LogisticSettings {
        l2: 0.25,
        scale: false,
        ..exact
    };
    let one_class = OneClassSettings {
        nu: 0.15,
        gamma: Some(0.4),
        scale: true,
    };
    let four = NeighboursSettings { k: 4, scale: false };
    for (name, target, settings, tolerance) in [
        ("linear", number(), TrainingSettings::Linear, 1e-9),
        ("logistic-two", classes(2), TrainingSettings::Logistic(exact), 1e-6),
        (
            "logistic-two-unscaled",
            classes(2),
            TrainingSettings::Logistic(unscaled),
            1e-6,
        ),
        ("logistic-three", classes(3), TrainingSettings::Logistic(exact), 1e-6),
        ("bayes", classes(3), TrainingSettings::Bayes, 1e-9),
        (
            "neighbours-class",
            classes(3),
            TrainingSettings::Neighbours(NeighboursSettings::default()),
            1e-9,
        ),
        ("neighbours-number", number(), TrainingSettings::Neighbours(four), 1e-9),
        (
            "one-class",
            Target::Anomaly,
            TrainingSettings::OneClass(one_class),
            1e-6,
        ),
    ] {
        let model = train(&fixture, target, settings);
        for (row, theirs) in rows(&fixture)[240..]
            .iter()
            .zip(fixture["answers"][name].as_array().unwrap())
        {
            let (ours, theirs) = match model.predict(row).unwrap() {
                Prediction::Number(number) => (vec![number], vec![theirs.as_f64().unwrap()]),
                Prediction::Class { probabilities, .. } => (probabilities, floats(theirs)),
                Prediction::Anomaly { score } => (vec![score], vec![theirs.as_f64().unwrap()]),
                other => panic!("{other:?}"),
            };
            assert_eq!(ours.len(), theirs.len());
            for (a, b) in ours.iter().zip(&theirs) {
                assert!(
                    (a - b).abs() <= tolerance * b.abs().max(1.0),
                    "{name}: {ours:?}, scikit-learn {theirs:?}"
                );
            }
        }
    }
}

#[test]
fn a_forest_finds_the_classes_and_kmeans_the_clusters_that_are_there() {
    let fixture = fixture();
    let forest = train(&fixture, classes(3), settings_of_each()[4].1.clone());
    let truth = |index: usize| fixture["classes"][index].as_u64().unwrap() as usize;
    let hits = (240..300)
        .filter(|i| forest.predict(&rows(&fixture)[*i]).unwrap().class() == Some(truth(*i)))
        .count();
    assert!(hits > 36, "{hits} of 60, three classes that overlap");

    let mut table = Table::new(Schema::numbers(["x", "y"], Target::Cluster).unwrap());
    for i in 0..90 {
        let corner = f64::from(i % 3) * 10.0;
        table
            .push(
                &[corner + f64::from(i % 7) / 10.0, f64::from(i % 5) / 10.0],
                Label::None,
            )
            .unwrap();
    }
    let three = KMeansSettings {
        clusters: 3,
        scale: false,
        ..Default::default()
    };
    let model = Pretrained::train("c", "1", &table, TrainingSettings::KMeans(three), 1).unwrap();
    let cluster = |x: f64| match model.predict(&[x, 0.2]).unwrap() {
        Prediction::Cluster { cluster, distance } => {
            assert!(distance < 1.0);
            cluster
        }
        other => panic!("{other:?}"),
    };
    let mut found = [cluster(0.3), cluster(10.3), cluster(20.3)];
    found.sort_unstable();
    assert_eq!(found, [0, 1, 2]);
}

#[test]
fn one_class_detection_finds_what_is_like_nothing_it_was_trained_on() {
    let fixture = fixture();
    let model = train(&fixture, Target::Anomaly, settings_of_each()[9].1.clone());
    let score = |row: &[f64]| match model.predict(row).unwrap() {
        Prediction::Anomaly { score } => score,
        other => panic!("{other:?}"),
    };
    assert!(score(&[60.0, 60.0, 60.0]) > 0.999);
    let strange = rows(&fixture)[..240].iter().filter(|row| score(row) > 0.5).count();
    assert!(
        (10..=34).contains(&strange),
        "about a tenth of the 240 examples: {strange}"
    );
    let mut table = Table::new(Schema::numbers(["x"], Target::Anomaly).unwrap());
    for i in 0..5001 {
        table.push(&[f64::from(i)], Label::None).unwrap();
    }
    let all = TrainingSettings::OneClass(OneClassSettings::default());
    let error = Pretrained::train("m", "1", &table, all, 0).unwrap_err();
    assert!(error.to_string().contains("5001 examples are too many"), "{error}");
    let mut few = Table::new(Schema::numbers(["x"], Target::Anomaly).unwrap());
    few.push(&[1.0], Label::None).unwrap();
    for settings in [
        OneClassSettings {
            nu: 1.0,
            ..Default::default()
        },
        OneClassSettings {
            nu: 0.1,
            ..Default::default()
        },
    ] {
        assert!(Pretrained::train("m", "1", &few, TrainingSettings::OneClass(settings), 0).is_err());
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_another_forest() {
    let fixture = fixture();
    for (target, settings) in settings_of_each() {
        let bytes = |seed| {
            let table = table(&fixture, target.clone());
            Pretrained::train("late", "3", &table, settings.clone(), seed)
                .unwrap()
                .to_bytes()
                .unwrap()
        };
        assert_eq!(bytes(7), bytes(7), "{settings:?}");
        if matches!(settings, TrainingSettings::Forest(_)) {
            let (a, b) = (bytes(7), bytes(8));
            assert_ne!(a.len(), b.len(), "other seeds draw other trees");
        }
    }
}

#[test]
fn a_model_that_was_saved_and_loaded_answers_as_before_and_knows_what_it_is() {
    let fixture = fixture();
    for (target, settings) in settings_of_each() {
        let model = train(&fixture, target.clone(), settings.clone());
        let loaded = Pretrained::from_bytes(&model.to_bytes().unwrap()).unwrap();
        assert_eq!(loaded, model);
        assert_eq!((loaded.name(), loaded.version(), loaded.seed()), ("late", "3", 7));
        assert_eq!((loaded.settings(), loaded.examples()), (&settings, 240));
        for row in &rows(&fixture)[240..] {
            assert_eq!(loaded.predict(row), model.predict(row));
        }
        assert_eq!(loaded.expect("late", "3", &abc(target)), Ok(()));
    }
}

#[test]
fn each_kind_of_damage_to_a_file_is_named() {
    let fixture = fixture();
    for (target, settings) in settings_of_each() {
        let bytes = train(&fixture, target, settings).to_bytes().unwrap();
        let expected = bytes.len() as u64;
        for got in [8, 17, 18, bytes.len() / 2, bytes.len() - 1] {
            match Pretrained::from_bytes(&bytes[..got]) {
                Err(LoadError::Truncated { got: g, .. }) => assert_eq!(g, got as u64),
                other => panic!("{got} of {expected}: {other:?}"),
            }
        }
        assert_eq!(Pretrained::from_bytes(&[]), Err(LoadError::Foreign));
        let longer = [bytes.clone(), vec![0]].concat();
        assert_eq!(
            Pretrained::from_bytes(&longer),
            Err(LoadError::TooLong {
                expected,
                got: expected + 1
            })
        );
        for at in (18..bytes.len()).step_by(bytes.len() / 40 + 1) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(Pretrained::from_bytes(&flipped), Err(LoadError::Corrupt), "byte {at}");
        }
        let mut other = bytes.clone();
        other[8] = 9;
        assert_eq!(
            Pretrained::from_bytes(&other),
            Err(LoadError::Format { found: 9, supported: 1 })
        );
        assert_eq!(
            Pretrained::from_bytes(b"<PMML version=\"4.4\">"),
            Err(LoadError::Foreign)
        );
    }
}

#[test]
fn another_name_version_or_schema_is_refused() {
    let fixture = fixture();
    let model = train(&fixture, number(), TrainingSettings::Linear);
    let schema = abc(number());
    assert!(matches!(
        model.expect("late", "4", &schema),
        Err(LoadError::OtherModel { .. })
    ));
    assert!(matches!(
        model.expect("early", "3", &schema),
        Err(LoadError::OtherModel { .. })
    ));
    let swapped = Schema::numbers(["a", "c", "b"], number()).unwrap();
    let error = model.expect("late", "3", &swapped).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model does not fit the events: feature 1 is `b`, not `c`"
    );
    let fewer = Schema::numbers(["a", "b"], number()).unwrap();
    assert!(matches!(model.expect_schema(&fewer), Err(LoadError::OtherSchema(_))));
    assert!(matches!(
        model.expect_schema(&abc(classes(2))),
        Err(LoadError::OtherSchema(_))
    ));
}

#[test]
fn what_cannot_be_trained_says_why() {
    let fixture = fixture();
    let train = |t: &Table, s: TrainingSettings| Pretrained::train("m", "1", t, s, 0).unwrap_err();
    let empty = Table::new(abc(number()));
    assert!(matches!(
        train(&empty, TrainingSettings::Linear),
        ModelError::Training(_)
    ));
    assert!(matches!(
        train(&table(&fixture, classes(2)), TrainingSettings::Linear),
        ModelError::Schema(_)
    ));
    let forest = ForestSettings {
        trees: 0,
        ..Default::default()
    };
    let numbers = table(&fixture, number());
    assert!(matches!(
        train(&numbers, TrainingSettings::Forest(forest)),
        ModelError::Setting { name: "trees", .. }
    ));
    let wide = ForestSettings {
        features_per_split: Some(4),
        ..Default::default()
    };
    assert!(matches!(
        train(&numbers, TrainingSettings::Forest(wide)),
        ModelError::Setting { .. }
    ));
    let mut one = Table::new(abc(classes(2)));
    (0..10).for_each(|i| one.push(&[f64::from(i), 0.0, 1.0], Label::Class(1)).unwrap());
    assert!(matches!(
        train(&one, TrainingSettings::Logistic(LogisticSettings::default())),
        ModelError::Training(reason) if reason.contains("one class")
    ));
    let mut same = Table::new(abc(Target::Cluster));
    (0..10).for_each(|_| same.push(&[1.0, 2.0, 3.0], Label::None).unwrap());
    assert!(matches!(
        train(&same, TrainingSettings::KMeans(KMeansSettings::default())),
        ModelError::Training(_)
    ));
    let many = NeighboursSettings { k: 241, scale: false };
    assert!(matches!(
        train(&numbers, TrainingSettings::Neighbours(many)),
        ModelError::Training(_)
    ));
}

#[test]
fn features_that_depend_on_one_another_and_categories_can_be_trained_on() {
    let features = vec![
        Feature {
            name: "distance".into(),
            kind: FeatureKind::Number,
        },
        Feature {
            name: "carrier".into(),
            kind: FeatureKind::Category(vec!["AA".into(), "UA".into()]),
        },
    ];
    let mut table = Table::new(Schema::new(features.clone(), number()).unwrap());
    let mut kinds = Table::new(Schema::new(features, classes(3)).unwrap());
    for i in 0..40 {
        let (distance, carrier) = (f64::from(i), f64::from(i % 2));
        table
            .push(&[distance, carrier], Label::Number(2.0 * distance + 10.0 * carrier))
            .unwrap();
        kinds
            .push(&[distance, carrier], Label::Class((i % 2) as usize))
            .unwrap();
    }
    let model = Pretrained::train("m", "1", &table, TrainingSettings::Linear, 0).unwrap();
    assert!((model.predict(&[50.0, 1.0]).unwrap().number().unwrap() - 110.0).abs() < 1e-9);
    for settings in [
        TrainingSettings::Logistic(LogisticSettings::default()),
        TrainingSettings::Bayes,
        TrainingSettings::Forest(ForestSettings::default()),
        TrainingSettings::Neighbours(NeighboursSettings { k: 3, scale: true }),
    ] {
        let model = Pretrained::train("m", "1", &kinds, settings.clone(), 0).unwrap();
        let model = Pretrained::from_bytes(&model.to_bytes().unwrap()).unwrap();
        let answer = model.predict(&[17.5, 1.0]).unwrap();
        assert_eq!(answer.class(), Some(1), "{settings:?}");
        assert_eq!(
            answer.probability(2),
            Some(0.0),
            "a class that never came: {settings:?}"
        );
    }
}

#[test]
fn a_trained_model_names_the_feature_that_it_refuses() {
    let fixture = fixture();
    for (target, settings) in settings_of_each() {
        let model = train(&fixture, target, settings);
        let b = || "b".to_string();
        assert_eq!(
            model.predict(&[1.0]),
            Err(ModelError::FeatureCount { expected: 3, got: 1 })
        );
        assert_eq!(
            model.predict(&[1.0, MISSING, 2.0]),
            Err(ModelError::Missing { feature: b(), index: 1 })
        );
        assert_eq!(
            model.predict(&[1.0, f64::NAN, 2.0]),
            Err(ModelError::NotANumber { feature: b(), index: 1 })
        );
    }
}

const FLIGHTS: &str = "\
origin,late,distance,carrier
JFK,yes,2475,AA
EWR,no,719,UA
JFK,no,,AA
JFK,perhaps,100,AA
LGA,no,far,UA
LGA,no,10,XX
LGA,no
LGA,yes,NaN,UA
LGA,yes,12,UA
";

fn flights() -> Schema {
    let features = vec![
        Feature {
            name: "carrier".into(),
            kind: FeatureKind::Category(vec!["AA".into(), "UA".into()]),
        },
        Feature {
            name: "distance".into(),
            kind: FeatureKind::Number,
        },
    ];
    let late = Target::Class {
        name: "late".into(),
        classes: vec!["no".into(), "yes".into()],
    };
    Schema::new(features, late).unwrap()
}

#[test]
fn a_table_is_read_by_the_names_of_its_columns_and_bad_rows_are_reported_by_line() {
    let (table, skipped) = Table::from_csv(FLIGHTS.as_bytes(), flights(), OnBadRow::Skip).unwrap();
    assert_eq!(table.rows(), [vec![0.0, 2475.0], vec![1.0, 719.0], vec![1.0, 12.0]]);
    assert_eq!(table.labels(), [Label::Class(1), Label::Class(0), Label::Class(1)]);
    let said: Vec<String> = skipped.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "line 4: feature 1 `distance` has no value",
            "line 5: `perhaps` is no category of `late`",
            "line 6: `distance` is `far`, which is no number",
            "line 7: `XX` is no category of `carrier`",
            "line 8: `carrier` is not there",
            "line 9: feature 1 `distance` is not a number",
        ]
    );
}

#[test]
fn a_bad_row_stops_the_reading_when_it_must() {
    let error = Table::from_csv(FLIGHTS.as_bytes(), flights(), OnBadRow::Stop).unwrap_err();
    assert!(matches!(&error, TableError::BadRow(row) if row.line == 4), "{error}");
    let error = Table::from_csv("carrier,late\nAA,no\n".as_bytes(), flights(), OnBadRow::Skip).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no column `distance`; the header has carrier, late"
    );
    let garbage: &[u8] = b"carrier,late,distance\n\xff\xfe,no,1\nUA,no,5\n";
    let (table, skipped) = Table::from_csv(garbage, flights(), OnBadRow::Skip).unwrap();
    assert_eq!((table.len(), skipped.len(), skipped[0].line), (1, 1, 2));
}
