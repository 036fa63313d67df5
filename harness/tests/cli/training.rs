//! `wavetank train`, and what is said of models that cannot be used.

use std::fs;

use crate::support::Place;

/// Twenty examples of `v = 2 a + 3 b + 1`.
fn examples() -> String {
    let row = |i: i32| {
        let (a, b) = (f64::from(i), f64::from(i * i % 7));
        format!("{a},{b},{}\n", 2.0 * a + 3.0 * b + 1.0)
    };
    "a,b,v\n".to_owned() + &(0..20).map(row).collect::<String>()
}

/// The words of a text, however its lines were broken.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A scenario that asks the model in a file.
fn asks(file: &str, more: &str) -> String {
    format!(
        r#"schema  = 1
name    = "asks"
pattern = "machine-learner"

[time]
length = "10s"
seed   = 1

[[source]]
name   = "seen"
rate   = "1/s"
fields = {{ a = {{ seq = 0 }}, b = {{ uniform = [0.0, 6.0] }} }}

[[operator]]
name   = "exact"
input  = ["seen"]
transform = [{{ derive = {{ v = "2.0 * a + 3.0 * b + 1.0" }} }}]

[[operator]]
name   = "guess"
input  = ["exact"]
[operator.learn]
target     = {{ number = "v" }}
pretrained = [{{ file = "{file}"{more} }}]

[[sink]]
name  = "out"
input = ["guess"]

[[expect]]
name  = "the answers are right"
final = "guess.mae <= 0.000001"
"#
    )
}

#[test]
fn a_model_is_trained_and_then_asked() {
    let place = Place::new();
    place.write("data.csv", &examples());
    let train = [
        "train",
        "data.csv",
        "--model",
        "linear",
        "--target",
        "v",
        "-o",
        "line.model",
        "--as-version",
        "3",
    ];
    let ran = place.run(&train).ends(0);
    assert!(
        ran.out.contains("line version 3: linear on 20 examples, 0 left out"),
        "{}",
        ran.out
    );
    let first = fs::read(place.join("line.model")).unwrap();
    place.run(&train).ends(0);
    assert_eq!(fs::read(place.join("line.model")).unwrap(), first, "the same bytes");
    place.write("asks.toml", &asks("line.model", ", version = \"3\""));
    place.run(&["run", "asks.toml", "--no-store"]).ends(0);
}

#[test]
fn lines_that_are_no_examples_stop_the_training_or_are_left_out_and_counted() {
    let place = Place::new();
    place.write("data.csv", &(examples() + "1,2\n1,2,\n"));
    let train = |more: &[&str]| {
        let args = [
            "train",
            "data.csv",
            "--model",
            "linear",
            "--target",
            "v",
            "-o",
            "line.model",
        ];
        place.run(&[&args[..], more].concat())
    };
    let ran = train(&[]).ends(3);
    assert!(ran.err.contains("data.csv:22:1: this row has 2 columns"), "{}", ran.err);
    assert!(
        ran.err.contains("--skip-bad") && !ran.err.contains("on_bad"),
        "{}",
        ran.err
    );
    assert!(!place.join("line.model").exists());
    let ran = train(&["--skip-bad"]).ends(0);
    assert!(ran.out.contains("on 20 examples, 2 left out"), "{}", ran.out);
    assert!(
        ran.err.contains("left out: data.csv:22:1: this row has 2 columns"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("left out: row 21: the target has no value"),
        "{}",
        ran.err
    );
}

#[test]
fn what_cannot_be_trained_is_an_error_that_says_why() {
    let place = Place::new();
    place.write("data.csv", &examples());
    place.write("few.csv", "a,b,v\n1,2,3\n");
    fs::write(place.join("noise.csv"), [0xff, 0xfe, 0x00, 0x0a].repeat(50)).unwrap();
    for (file, more, code, says) in [
        ("none.csv", &["--model", "linear", "--target", "v"][..], 3, "none.csv"),
        (
            "few.csv",
            &["--model", "linear", "--target", "v"],
            3,
            "examples are too few",
        ),
        (
            "noise.csv",
            &["--model", "linear", "--target", "v"],
            3,
            "not text in UTF-8",
        ),
        ("data.csv", &["--model", "linear", "--target", "w"], 2, "`w`"),
        (
            "data.csv",
            &["--model", "forest", "--target", "v", "--with", "tree=3"],
            2,
            "unknown field `tree`",
        ),
        (
            "data.csv",
            &["--model", "linear", "--target", "v", "--with", "x=3"],
            2,
            "linear has no settings",
        ),
        (
            "data.csv",
            &["--model", "linear", "--target", "v", "--query", "select a from nothing"],
            3,
            "nothing",
        ),
    ] {
        let ran = place
            .run(&[&["train", file, "-o", "it.model"][..], more].concat())
            .ends(code);
        assert!(ran.err.contains(says), "{more:?}: {}", ran.err);
        assert!(!place.join("it.model").exists(), "{more:?}");
    }
}

#[test]
fn a_file_that_is_no_model_is_refused_with_its_place() {
    let place = Place::new();
    place.write("data.csv", &examples());
    let train = [
        "train",
        "data.csv",
        "--model",
        "linear",
        "--target",
        "v",
        "-o",
        "line.model",
    ];
    place.run(&train).ends(0);
    let whole = fs::read(place.join("line.model")).unwrap();
    fs::write(place.join("cut.model"), &whole[..whole.len() - 9]).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 4;
    fs::write(place.join("flipped.model"), &flipped).unwrap();
    place.write("foreign.model", "a,b,v\n1,2,3\n");
    place.write(
        "deep.pmml",
        &("<PMML version=\"4.4\">".to_owned() + &"<A>".repeat(5000)),
    );
    place.write(
        "bomb.pmml",
        "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><PMML version=\"4.4\">&a;</PMML>",
    );
    for (file, more, says) in [
        ("cut.model", "", "cannot be used"),
        ("flipped.model", "", "cannot be used"),
        ("foreign.model", "", "this is no model"),
        ("line.model", ", version = \"7\"", "holds version `1`"),
        ("deep.pmml", "", "line 1, column"),
        ("bomb.pmml", "", "a document type declaration is not allowed"),
        ("absent.model", "", "cannot be read"),
    ] {
        place.write("asks.toml", &asks(file, more));
        let ran = place.run(&["run", "asks.toml", "--no-store"]).ends(3);
        let told = unwrapped(&ran.err);
        assert!(
            told.contains(says) && told.contains("asks.toml:24:"),
            "{file}: {}",
            ran.err
        );
    }
}

#[cfg(not(feature = "onnx"))]
#[test]
fn without_the_feature_an_onnx_file_is_refused_and_the_feature_is_named() {
    let place = Place::new();
    place.write("line.onnx", "whatever it holds");
    place.write("asks.toml", &asks("line.onnx", ""));
    let told = unwrapped(&place.run(&["check", "asks.toml"]).ends(3).out);
    assert!(told.contains("built without the feature `onnx`"), "{told}");
    assert!(told.contains("--features onnx"), "{told}");
}
