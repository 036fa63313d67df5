//! A model that another program has made, in a world. Built with the feature `onnx` alone.
#![cfg(feature = "onnx")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value as Json;
use wavetank_harness::run::{Options, run};
use wavetank_reports::record::Verdict;
use wavetank_scenarios::{DiskFiles, Script};

#[test]
fn a_learner_says_of_events_what_scikit_learn_says_of_rows() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/fixtures");
    let text = std::fs::read_to_string(fixtures.join("onnx.json")).expect("the fixtures");
    let fixture: Json = serde_json::from_str(&text).expect("JSON");
    let rows = fixture["rows"].as_array().expect("rows");
    let mut events = String::new();
    for (n, row) in rows.iter().enumerate() {
        // Floats in TOML have a point.
        let [distance, hour, wind] = [0, 1, 2].map(|i| format!("{:?}", row[i].as_f64().expect("a number")));
        let row = format!("distance = {distance}, hour = {hour}, wind = {wind}");
        let _ = writeln!(events, "  {{ t = \"{n}s\", row = {{ n = {n}, {row} }} }},");
    }
    let text = format!(
        "schema = 1\nname = \"other\"\npattern = \"machine-learner\"\n[[source]]\nname = \"flights\"\nevents = [\n{events}]\n\
         [[operator]]\nname = \"estimate\"\ninput = [\"flights\"]\n\
         learn = {{ pretrained = [{{ file = \"linear.onnx\" }}] }}\n\
         [[sink]]\nname = \"board\"\ninput = [\"estimate\"]\n\
         [[expect]]\nname = \"as without faults\"\nfinal = \"board == truth\"\n"
    );
    let files = DiskFiles::new(fixtures.join("onnx"));
    let script = Script::load(&text, "other.toml", &files, &[]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let record = run(&Arc::new(script), &Options::default()).expect("it runs").record;
    assert_eq!(record.verdict, Verdict::Pass);
    let sink = &record.sinks[0];
    assert_eq!(sink.rows, rows.len() as u64);
    let column = |name: &str| sink.columns.iter().position(|column| column == name).expect(name);
    let (n, prediction) = (column("n"), column("prediction"));
    let case = fixture["cases"]
        .as_array()
        .expect("cases")
        .iter()
        .find(|case| case["name"] == "linear");
    let theirs = &case.expect("the model")["numbers"];
    assert!(!sink.first.is_empty());
    for row in &sink.first {
        let of = row[n].as_u64().expect("its number") as usize;
        let (ours, theirs) = (
            row[prediction].as_f64().expect("a number"),
            theirs[of].as_f64().expect("a number"),
        );
        assert!(
            (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0),
            "{of}: {ours}, scikit-learn {theirs}"
        );
    }
}
