//! The drift detectors against the published results and against river.

use serde_json::Value;
use wavetank_models::drift::{
    Adwin, AdwinSettings, AfterDrift, Ddm, DdmSettings, Detector, DetectorSettings, Direction, DriftDetector,
    PageHinkley, PageHinkleySettings, Signal,
};
use wavetank_models::{ModelError, state};

fn worked_case(id: &str) -> (Vec<f64>, u64) {
    let text = include_str!("fixtures/worked_cases.jsonl");
    let case: Value = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|c: &Value| c["id"] == id)
        .unwrap();
    let values = &case["input"][0]["values"];
    let values = match values["repeat"].as_array() {
        Some(runs) => runs
            .iter()
            .flat_map(|run| std::iter::repeat_n(run[0].as_f64().unwrap(), run[1].as_u64().unwrap() as usize))
            .collect(),
        None => values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect(),
    };
    (values, case["expected"][0]["drift_at_index"].as_u64().unwrap())
}

fn signals(detector: &mut impl DriftDetector, values: &[f64]) -> Vec<Signal> {
    values.iter().map(|v| detector.update(*v).unwrap()).collect()
}

fn places(signals: &[Signal], signal: Signal) -> Vec<u64> {
    (0..)
        .zip(signals)
        .filter(|(_, s)| **s == signal)
        .map(|(i, _)| i)
        .collect()
}

#[test]
fn adwin_finds_the_drift_of_the_worked_cases_and_no_other() {
    for id in ["adwin-published", "adwin-step"] {
        let (values, at) = worked_case(id);
        let mut adwin = Adwin::new(AdwinSettings::default()).unwrap();
        assert_eq!(places(&signals(&mut adwin, &values), Signal::Drift), [at], "{id}");
    }
}

#[test]
fn page_hinkley_finds_the_drift_of_the_worked_cases_and_no_other() {
    for id in ["pagehinkley-published", "pagehinkley-step"] {
        let (values, at) = worked_case(id);
        let mut test = PageHinkley::new(PageHinkleySettings::default()).unwrap();
        assert_eq!(places(&signals(&mut test, &values), Signal::Drift), [at], "{id}");
    }
}

fn river() -> Value {
    serde_json::from_str(include_str!("fixtures/drift.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn ddm_warns_at_1084_finds_the_drift_at_1334_and_warns_again_at_1492() {
    let values = floats(&river()["streams"]["published-ddm"]);
    let said = signals(&mut Ddm::new(DdmSettings::default()).unwrap(), &values);
    assert_eq!(places(&said, Signal::Warning)[0], 1084);
    assert_eq!(places(&said, Signal::Drift), [1334]);
    assert_eq!(
        *places(&said, Signal::Warning).iter().find(|i| **i > 1334).unwrap(),
        1492
    );
}

fn settings(name: &str) -> DetectorSettings {
    let ph = PageHinkleySettings {
        min_instances: 10,
        delta: 0.05,
        threshold: 8.0,
        alpha: 0.99,
        ..Default::default()
    };
    match name {
        "adwin" => DetectorSettings::Adwin(AdwinSettings::default()),
        "adwin-tight" => DetectorSettings::Adwin(AdwinSettings {
            delta: 0.3,
            clock: 7,
            max_buckets: 3,
            min_window_length: 2,
            grace_period: 20,
            after_drift: AfterDrift::StartAnew,
        }),
        "page-hinkley" => DetectorSettings::PageHinkley(PageHinkleySettings {
            threshold: 20.0,
            ..Default::default()
        }),
        "page-hinkley-up" => DetectorSettings::PageHinkley(PageHinkleySettings {
            direction: Direction::Up,
            ..ph
        }),
        "page-hinkley-down" => DetectorSettings::PageHinkley(PageHinkleySettings {
            direction: Direction::Down,
            ..ph
        }),
        "ddm" => DetectorSettings::Ddm(DdmSettings::default()),
        "ddm-loose" => DetectorSettings::Ddm(DdmSettings {
            warm_start: 10,
            warning: 1.0,
            drift: 1.5,
        }),
        other => panic!("no settings for {other}"),
    }
}

#[test]
fn every_detector_says_what_river_says_at_every_index() {
    let river = river();
    let runs = river["runs"].as_array().unwrap();
    assert!(runs.len() > 30);
    for run in runs {
        let (stream, name) = (run["stream"].as_str().unwrap(), run["detector"].as_str().unwrap());
        let mut detector = Detector::new(settings(name)).unwrap();
        let said = signals(&mut detector, &floats(&river["streams"][stream]));
        let at = |key: &str| {
            run[key]
                .as_array()
                .unwrap()
                .iter()
                .map(|i| i.as_u64().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            places(&said, Signal::Drift),
            at("drifts"),
            "drifts of {name} on {stream}"
        );
        assert_eq!(
            places(&said, Signal::Warning),
            at("warnings"),
            "warnings of {name} on {stream}"
        );
    }
}

#[test]
fn the_window_of_adwin_is_that_of_river() {
    let river = river();
    for run in river["runs"].as_array().unwrap() {
        let (stream, name) = (run["stream"].as_str().unwrap(), run["detector"].as_str().unwrap());
        let DetectorSettings::Adwin(settings) = settings(name) else {
            continue;
        };
        let mut adwin = Adwin::new(settings).unwrap();
        let mut states = run["state"].as_array().unwrap().iter();
        for (i, value) in floats(&river["streams"][stream]).into_iter().enumerate() {
            adwin.update(value).unwrap();
            if i % 50 == 49 {
                let expected = floats(states.next().unwrap());
                assert_eq!(adwin.width() as f64, expected[0], "{name} {stream} {i}");
                assert!((adwin.total() - expected[1]).abs() < 1e-9, "{name} {stream} {i}");
                assert!((adwin.deviation() - expected[2]).abs() < 1e-9, "{name} {stream} {i}");
            }
        }
    }
}

#[test]
fn adwin_may_keep_the_values_after_the_cut() {
    let (values, at) = worked_case("adwin-step");
    let settings = AdwinSettings {
        after_drift: AfterDrift::KeepRecent,
        ..Default::default()
    };
    let mut adwin = Adwin::new(settings).unwrap();
    let said = signals(&mut adwin, &values);
    assert_eq!(places(&said, Signal::Drift)[0], at);
    assert!(adwin.mean() > 0.99, "the zeros are forgotten");
    assert!(adwin.width() > 1000 - at, "values from before the alarm are kept");
}

#[test]
fn a_restored_detector_goes_on_as_the_one_that_was_saved() {
    let river = river();
    for run in river["runs"].as_array().unwrap() {
        let (stream, name) = (run["stream"].as_str().unwrap(), run["detector"].as_str().unwrap());
        let values = floats(&river["streams"][stream]);
        let mut through = Detector::new(settings(name)).unwrap();
        let (before, after) = values.split_at(417);
        signals(&mut through, before);
        let mut restored: Detector = state::restore(&state::save(&through).unwrap()).unwrap();
        assert_eq!(signals(&mut restored, after), signals(&mut through, after));
        assert_eq!(state::save(&restored).unwrap(), state::save(&through).unwrap());
    }
}

#[test]
fn a_value_that_is_not_a_number_is_refused_and_changes_nothing() {
    for name in ["adwin", "page-hinkley", "ddm"] {
        let mut detector = Detector::new(settings(name)).unwrap();
        signals(&mut detector, &[0.0, 1.0, 0.0]);
        let before = detector.clone();
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(matches!(detector.update(bad), Err(ModelError::Value { .. })), "{name}");
        }
        assert_eq!(detector, before);
    }
    let mut ddm = Ddm::new(DdmSettings::default()).unwrap();
    assert!(
        matches!(ddm.update(0.5), Err(ModelError::Value { .. })),
        "DDM takes hits and errors only"
    );
}

#[test]
fn settings_outside_their_range_are_refused() {
    for delta in [0.0, 1.0, -1.0, f64::NAN] {
        assert!(
            Adwin::new(AdwinSettings {
                delta,
                ..Default::default()
            })
            .is_err()
        );
    }
    assert!(
        Adwin::new(AdwinSettings {
            clock: 0,
            ..Default::default()
        })
        .is_err()
    );
    assert!(
        Adwin::new(AdwinSettings {
            min_window_length: 0,
            ..Default::default()
        })
        .is_err()
    );
    assert!(
        PageHinkley::new(PageHinkleySettings {
            alpha: 1.5,
            ..Default::default()
        })
        .is_err()
    );
    assert!(
        PageHinkley::new(PageHinkleySettings {
            threshold: 0.0,
            ..Default::default()
        })
        .is_err()
    );
    assert!(
        Ddm::new(DdmSettings {
            warning: 3.0,
            drift: 2.0,
            ..Default::default()
        })
        .is_err()
    );
}
