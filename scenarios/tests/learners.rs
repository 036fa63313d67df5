//! Learners with something wrong in their settings, their models or the fields that they look at: each gets an error at
//! its place that says what to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use wavetank_models::pretrained::{Pretrained, Table, TrainingSettings};
use wavetank_models::{Label, Schema, Target};
use wavetank_scenarios::{Files, LibraryFiles, Script};

/// Files in memory, then the library's.
#[derive(Default)]
struct Given(BTreeMap<&'static str, Vec<u8>>);

impl Files for Given {
    fn read(&self, name: &str) -> Result<Arc<[u8]>, String> {
        match self.0.get(name) {
            Some(bytes) => Ok(bytes.as_slice().into()),
            None => LibraryFiles.read(name),
        }
    }
}

const GOOD: &str = r#"schema  = 1
name    = "learner"
pattern = "machine-learner"
about   = "Everything is right here."

[time]
length = "1m"

[[source]]
name   = "readings"
rate   = "2/s"
fields = { id = { seq = 1 }, heat = { uniform = [1.0, 9.0] }, town = { choice = ["Ulm", "Jena"] }, worth = { uniform = [1.0, 2.0] } }

[[source]]
name   = "reports"
rate   = "2/s"
fields = { id = { seq = 1 }, broke = { choice = [true, false] } }

[[operator]]
name  = "forecast"
input = ["readings", "reports"]
[operator.learn]
features = ["heat", { town = ["Ulm", "Jena"] }]
target   = { class = { field = "broke", of = ["false", "true"] } }
labels   = { input = "reports", by = ["id"], within = "10s" }
online   = { logistic-regression = {} }

[[sink]]
name  = "desk"
input = ["forecast"]
"#;

fn model(version: &str) -> Vec<u8> {
    let schema = Schema::numbers(["heat"], Target::Number { name: "worth".into() }).unwrap();
    let mut table = Table::new(schema);
    for i in 0..5 {
        table.push(&[f64::from(i)], Label::Number(f64::from(2 * i))).unwrap();
    }
    let model = Pretrained::train("heat", version, &table, TrainingSettings::Linear, 1).unwrap();
    model.to_bytes().unwrap()
}

fn files() -> Given {
    let mut files = Given::default();
    files.0.insert("heat.model", model("1"));
    let mut cut = model("1");
    cut.truncate(cut.len() - 3);
    files.0.insert("cut.model", cut);
    let mut flipped = model("1");
    let last = flipped.len() - 20;
    flipped[last] ^= 4;
    files.0.insert("flipped.model", flipped);
    let mut newer = model("1");
    newer[8] = 9;
    files.0.insert("newer.model", newer);
    files.0.insert("text.model", b"distance,delay\n1,2\n".to_vec());
    let bomb =
        r#"<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><PMML version="4.4">&b;</PMML>"#;
    files.0.insert("bomb.pmml", bomb.into());
    files.0.insert(
        "deep.pmml",
        format!("<PMML version=\"4.4\">{}", "<x>".repeat(100_000)).into(),
    );
    let unknown = "<PMML version=\"4.4\">\n  <DataDictionary><DataField name=\"heat\" optype=\"continuous\" \
                   dataType=\"double\"/></DataDictionary>\n  <NeuralNetwork/>\n</PMML>";
    files.0.insert("network.pmml", unknown.into());
    files
}

fn problems(text: &str) -> Vec<String> {
    match Script::load(text, "here", &files(), &[]) {
        Ok(_) => vec![],
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// The scenario with another operator table.
fn with(learn: &str) -> String {
    let (before, rest) = GOOD.split_once("[operator.learn]\n").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    format!("{before}[operator.learn]\n{learn}\n\n{after}")
}

/// Each of these is wrong, and the error names these words.
fn wrong(text: &str, words: &[&str]) {
    let found = problems(text);
    assert!(
        found
            .iter()
            .any(|problem| words.iter().all(|word| problem.contains(word))),
        "{words:?} is not said of\n{text}\nbut {found:#?}"
    );
    let placed = |problem: &String| problem.starts_with("here:") && problem.contains('(');
    assert!(found.iter().all(placed), "a place and a help: {found:#?}");
}

#[test]
fn the_good_one_is_good() {
    assert_eq!(problems(GOOD), Vec::<String>::new());
    assert_eq!(
        problems(&with("pretrained = [{ file = \"heat.model\", version = \"1\" }]").replace(", \"reports\"]", "]")),
        Vec::<String>::new()
    );
}

#[test]
fn settings_that_do_not_go_together_are_named() {
    wrong(
        &with("target = \"anomaly\""),
        &["there is no model", "half"].map(|w| if w == "half" { "online" } else { w }),
    );
    wrong(
        &with("features = [\"heat\"]\ntarget = { number = \"worth\" }\nonline = { linear-regression = {} }\ngate = {}"),
        &["a gate stands between two models"],
    );
    let both = "features = [\"heat\"]\ntarget = { number = \"worth\" }\nonline = { linear-regression = {} }\n\
                pretrained = [{ file = \"heat.model\" }]\n";
    wrong(&with(both), &["which of the two models is served", "gate"]);
    wrong(
        &with(&format!("{both}gate = {{}}\ndrift = {{ adwin = {{}} }}")),
        &["it is the gate that watches"],
    );
    wrong(&with(&format!("{both}gate = {{ confidence = 0.2 }}")), &["confidence"]);
    wrong(
        &with(&format!("{both}gate = {{ drift = {{ ddm = {{}} }} }}")),
        &["ddm counts mistakes"],
    );
    wrong(
        &GOOD.replace("input = \"reports\"", "input = \"report\""),
        &["there is no input `report`", "reports"],
    );
    wrong(
        &GOOD.replace("by = [\"id\"]", "by = []"),
        &["every label would belong to every event"],
    );
    wrong(
        &GOOD.replace("within = \"10s\"", "within = \"0s\""),
        &["longer than zero"],
    );
    wrong(
        &GOOD.replace("[operator.learn]", "late = \"correct\"\n[operator.learn]"),
        &["does not take its answers back"],
    );
    let versions = "pretrained = [{ file = \"heat.model\" }, { file = \"heat.model\" }]";
    wrong(&with(versions), &["when this version begins to serve is not said"]);
    let versions = "pretrained = [{ file = \"heat.model\", from = \"1s\" }]";
    wrong(&with(versions), &["the first version serves from the beginning"]);
    let versions = "pretrained = [{ file = \"heat.model\" }, { file = \"heat.model\", from = \"5s\" }, \
                    { file = \"heat.model\", from = \"5s\" }]";
    wrong(&with(versions), &["begins no later than the one above it"]);
}

#[test]
fn fields_that_are_not_there_or_of_another_kind_are_named() {
    wrong(
        &GOOD.replace("[\"heat\", {", "[\"heet\", {"),
        &["looks at `heet`", "did you mean `heat`"],
    );
    wrong(
        &GOOD
            .replace("[\"heat\", {", "[\"town\", {")
            .replace("{ town =", "{ heat ="),
        &["takes `town` as a number"],
    );
    wrong(
        &GOOD.replace("field = \"broke\"", "field = \"broken\""),
        &["the label is `broken`", "broke"],
    );
    wrong(
        &GOOD.replace("by = [\"id\"]", "by = [\"heat\"]"),
        &["the labels have no field `heat`"],
    );
    wrong(
        &GOOD
            .replace(
                "target   = { class = { field = \"broke\", of = [\"false\", \"true\"] } }",
                "target = { number = \"broke\" }",
            )
            .replace("logistic", "linear"),
        &["the label `broke` is a bool"],
    );
    wrong(
        &GOOD.replace("of = [\"false\", \"true\"]", "of = [\"true\"]"),
        &["fewer than two classes"],
    );
    wrong(&GOOD.replace("logistic-regression", "linear-regression"), &["number"]);
    wrong(
        &GOOD.replace(
            "logistic-regression = {}",
            "logistic-regression = { learning_rate = -1.0 }",
        ),
        &["learning_rate"],
    );
    wrong(
        &GOOD.replace("online   =", "fallback = \"perhaps\"\nonline   ="),
        &["`perhaps` is no answer"],
    );
    wrong(&GOOD.replace("worth = {", "model = {"), &["adds a field `model`"]);
    wrong(
        &GOOD.replace("features = [\"heat\", { town = [\"Ulm\", \"Jena\"] }]\n", ""),
        &["no feature"],
    );
}

#[test]
fn a_model_file_that_cannot_be_used_says_why() {
    let from = |file: &str| with(&format!("pretrained = [{{ file = \"{file}\" }}]"));
    wrong(&from("none.model"), &["`none.model` cannot be read"]);
    wrong(&from("cut.model"), &["cut short"]);
    wrong(&from("flipped.model"), &["corrupt"]);
    wrong(&from("newer.model"), &["format 9"]);
    wrong(
        &from("text.model"),
        &["neither a file that `wavetank train` wrote nor a PMML document"],
    );
    wrong(&from("bomb.pmml"), &["document type declaration"]);
    wrong(&from("deep.pmml"), &["too large"]);
    wrong(&from("network.pmml"), &["line 3", "<NeuralNetwork>"]);
    wrong(
        &with("pretrained = [{ file = \"heat.model\", version = \"2\" }]"),
        &["the file holds version `1`", "asked for was version `2`"],
    );
    wrong(
        &from("heat.model").replace("heat = {", "warmth = {"),
        &["the model `heat` looks at `heat`"],
    );
    wrong(
        &from("heat.model").replace("heat = { uniform = [1.0, 9.0] }", "heat = { choice = [\"hot\"] }"),
        &["as a number"],
    );
    wrong(
        &with(
            "target = { class = { field = \"town\", of = [\"Ulm\", \"Jena\"] } }\npretrained = [{ file = \"heat.model\" }]",
        ),
        &["the model `heat` answers with a number"],
    );
}

#[test]
fn a_service_has_a_model_that_is_waited_for_and_not_paid_for() {
    let asks = |more: &str| with(&format!("pretrained = [{{ file = \"heat.model\" }}]\n{more}"));
    wrong(
        &asks("service = { within = \"0s\" }"),
        &["this must be longer than zero"],
    );
    wrong(
        &asks("service = { within = \"1s\" }\ncost = \"5ms\""),
        &["`service` of the node `forecast.service`"],
    );
    wrong(
        &GOOD.replace("online ", "service = { within = \"1s\" }\nonline "),
        &["there is no model that the service could have"],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_of_a_model_file_make_reading_a_scenario_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..300, at in 0usize..300, with_byte in any::<u8>()
    ) {
        let mut files = files();
        files.0.insert("any.model", bytes);
        let mut spoilt = model("1");
        spoilt.truncate(spoilt.len().saturating_sub(cut % 40));
        let length = spoilt.len();
        spoilt[at % length] = with_byte;
        files.0.insert("spoilt.model", spoilt);
        for file in ["any.model", "spoilt.model"] {
            let text = with(&format!("pretrained = [{{ file = \"{file}\" }}]"));
            drop(Script::load(&text, "here", &files, &[]));
        }
    }
}
