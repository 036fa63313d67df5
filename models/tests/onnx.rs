//! ONNX: files of skl2onnx against scikit-learn's own answers, and files that must be refused.
#![cfg(feature = "onnx")]

use serde_json::Value as Json;
use wavetank_models::onnx::{OnnxError, OnnxModel};
use wavetank_models::{LoadedModel, MISSING, ModelError, Prediction, Predictor, ReadError, Target};

fn fixture() -> Json {
    serde_json::from_str(include_str!("fixtures/onnx.json")).unwrap()
}

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/onnx/{name}.onnx", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

fn read(name: &str) -> OnnxModel {
    OnnxModel::read(&file(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn floats(row: &Json) -> Vec<f64> {
    row.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn files_of_skl2onnx_answer_as_scikit_learn() {
    let fixture = fixture();
    let cases = fixture["cases"].as_array().unwrap();
    assert!(cases.len() >= 14, "{}", cases.len());
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let model = read(name);
        let names: Vec<&str> = model.schema().features().iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["distance", "hour", "wind"], "{name}");
        // A float has 24 bits; sums of some of them lose a few.
        let within = if case["doubles"] == true { 1e-9 } else { 2e-6 };
        let close = |ours: f64, theirs: f64| (ours - theirs).abs() <= within * theirs.abs().max(1.0);
        for (index, row) in fixture["rows"].as_array().unwrap().iter().enumerate() {
            let said = model
                .predict(&floats(row))
                .unwrap_or_else(|e| panic!("{name} {index}: {e}"));
            match said {
                Prediction::Number(number) => {
                    let theirs = case["numbers"][index].as_f64().unwrap();
                    assert!(close(number, theirs), "{name} {index}: {number}, scikit-learn {theirs}");
                }
                Prediction::Class { class, probabilities } => {
                    let classes = model.schema().classes();
                    assert_eq!(case["classes"], serde_json::json!(classes), "{name}");
                    assert_eq!(case["predicted"][index], classes[class], "{name} {index}");
                    let theirs = floats(&case["probabilities"][index]);
                    assert_eq!(probabilities.len(), theirs.len());
                    for (ours, theirs) in probabilities.iter().zip(theirs) {
                        assert!(close(*ours, theirs), "{name} {index}: {ours}, scikit-learn {theirs}");
                    }
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn what_a_model_says_is_named_as_in_its_file() {
    assert_eq!(
        *read("linear").schema().target(),
        Target::Number {
            name: "variable".into()
        }
    );
    let class = |name: &str, classes: &[&str]| Target::Class {
        name: name.into(),
        classes: classes.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(
        *read("logistic-two").schema().target(),
        class("output_label", &["late", "punctual"])
    );
    assert_eq!(
        *read("logistic-numbered").schema().target(),
        class("output_label", &["0", "1"])
    );
    assert_eq!(
        *read("tree-floats").schema().target(),
        class("label", &["late", "punctual"])
    );
}

#[test]
fn a_file_is_a_model_like_any_other_by_its_name() {
    let bytes = file("linear");
    let model = LoadedModel::read("models/Delay.v2.ONNX", &bytes, Some("2")).unwrap();
    assert_eq!((model.name(), model.version()), ("Delay.v2", "2"));
    assert_eq!(model.state_bytes(), bytes.len());
    assert_eq!(model.schema(), read("linear").schema());
    let row = [1.0, 12.0, 10.0];
    assert_eq!(model.predict(&row), read("linear").predict(&row));
    assert_eq!(
        LoadedModel::read("delay.model", &bytes, None).unwrap_err(),
        ReadError::Foreign
    );
}

#[test]
fn files_that_cannot_be_used_say_why() {
    for (name, says) in [
        ("bad-several-outputs", "this one answers with `sum`, `difference`"),
        ("bad-two-targets", "this one answers with 2 numbers"),
        ("bad-text", "the input `a` takes text: a feature is a float or a double"),
        ("bad-operator", "not supported: the operator `Frobnicate`"),
        (
            "bad-unnamed",
            "the input `X` takes 3 columns and the file does not name them: export one input for each feature, or \
             name them in the metadata entry `features`, separated by commas",
        ),
    ] {
        let error = OnnxModel::read(&file(name)).unwrap_err().to_string();
        assert!(error.ends_with(says), "{name}: {error}");
    }
    for foreign in [&b""[..], b"no model at all", b"<PMML/>", &[8, 8, 18, 255], &[0; 40]] {
        let error = OnnxModel::read(foreign).unwrap_err();
        assert!(matches!(error, OnnxError::Unreadable(_)), "{error}");
    }
}

#[test]
fn features_that_do_not_fit_are_refused() {
    let model = read("linear-floats");
    assert_eq!(
        model.predict(&[1.0, 2.0]),
        Err(ModelError::FeatureCount { expected: 3, got: 2 })
    );
    let missing = model.predict(&[1.0, MISSING, 3.0]);
    assert!(
        matches!(missing, Err(ModelError::Missing { index: 1, .. })),
        "{missing:?}"
    );
    let broken = model.predict(&[1.0, 2.0, f64::NAN]);
    assert!(
        matches!(broken, Err(ModelError::NotANumber { index: 2, .. })),
        "{broken:?}"
    );
    // A double that no float can hold is infinite to a model of floats, and an ordinary number to one of doubles.
    let large = [1e300, 2.0, 3.0];
    let refused = model.predict(&large);
    assert!(
        matches!(refused, Err(ModelError::Infinite { index: 0, .. })),
        "{refused:?}"
    );
    assert!(read("linear").predict(&large).is_ok());
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused_or_answers_as_the_whole_one() {
    let row = [1.0, 12.0, 10.0];
    for name in ["linear", "logistic-two", "poisson"] {
        let whole = file(name);
        let answer = read(name).predict(&row);
        let mut refused = 0;
        for end in 0..whole.len() {
            match OnnxModel::read(&whole[..end]) {
                Ok(model) => assert_eq!(model.predict(&row), answer, "{name} cut at {end}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused + 40 > whole.len(), "{name}: {refused} of {}", whole.len());
    }
}

#[test]
fn a_file_with_any_byte_changed_is_read_or_refused_and_never_breaks_the_reader() {
    for name in ["linear-scaled", "logistic-two", "tree-floats", "linear-floats"] {
        let whole = file(name);
        for at in 0..whole.len() {
            for flip in [0x01, 0x80] {
                let mut changed = whole.clone();
                changed[at] ^= flip;
                if let Ok(model) = OnnxModel::read(&changed) {
                    let _ = model.predict(&vec![1.0; model.schema().width()]);
                }
            }
        }
    }
}
