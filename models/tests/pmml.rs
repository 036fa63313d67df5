//! PMML: documents of sklearn2pmml against scikit-learn's own answers, and documents that must be refused.

use serde_json::Value as Json;
use wavetank_models::pmml::{Limits, PmmlError, PmmlModel, PmmlProblem, Value};
use wavetank_models::{FeatureKind, MISSING, ModelError, Prediction, Predictor, Target};

fn fixture() -> Json {
    serde_json::from_str(include_str!("fixtures/pmml.json")).unwrap()
}

fn document(name: &str) -> Vec<u8> {
    std::fs::read(format!(
        "{}/tests/fixtures/pmml/{name}.pmml",
        env!("CARGO_MANIFEST_DIR")
    ))
    .unwrap()
}

fn read(name: &str) -> PmmlModel {
    PmmlModel::read(&document(name), &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn refused(text: &str) -> PmmlError {
    PmmlModel::read(text.as_bytes(), &Limits::default()).unwrap_err()
}

/// A row of the fixture as the features that the model takes, by their names.
fn features(model: &PmmlModel, answer: &Json, row: &Json, index: usize) -> Vec<f64> {
    let names = ["distance", "hour", "wind", "carrier"];
    let feature = |name: &str| {
        if answer["missing"][name][index] == true {
            return MISSING;
        }
        let cell = &row[names.iter().position(|n| *n == name).unwrap()];
        match cell.as_str() {
            Some(text) => model.schema().category(name, text).unwrap(),
            None => cell.as_f64().unwrap(),
        }
    };
    model.schema().features().iter().map(|f| feature(&f.name)).collect()
}

fn close(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0)
}

#[test]
fn documents_of_sklearn2pmml_answer_as_scikit_learn() {
    let fixture = fixture();
    let answers = fixture["answers"].as_object().unwrap();
    assert!(answers.len() >= 23, "{}", answers.len());
    for (name, answer) in answers {
        let model = read(name);
        for (index, row) in fixture["rows"].as_array().unwrap().iter().enumerate() {
            let features = features(&model, answer, row, index);
            let said = model
                .predict(&features)
                .unwrap_or_else(|e| panic!("{name} {index}: {e}"));
            match said {
                Prediction::Number(number) if name != "isolation" => {
                    let theirs = answer["numbers"][index].as_f64().unwrap();
                    assert!(close(number, theirs), "{name} {index}: {number}, scikit-learn {theirs}");
                }
                Prediction::Number(_) => {}
                Prediction::Class { class, probabilities } => {
                    let classes = model.schema().classes();
                    assert_eq!(
                        classes[class],
                        answer["predicted"][index].as_str().unwrap(),
                        "{name} {index}"
                    );
                    for (c, theirs) in answer["probabilities"][index].as_array().unwrap().iter().enumerate() {
                        let name_of_class = answer["classes"][c].as_str().unwrap();
                        let ours = probabilities[model.schema().class(name_of_class).unwrap()];
                        let theirs = theirs.as_f64().unwrap();
                        assert!(
                            close(ours, theirs),
                            "{name} {index} {name_of_class}: {ours}, scikit-learn {theirs}"
                        );
                    }
                }
                Prediction::Cluster { cluster, .. } => {
                    assert_eq!(
                        cluster as u64,
                        answer["clusters"][index].as_u64().unwrap(),
                        "{name} {index}"
                    );
                }
                Prediction::Anomaly { .. } => panic!("{name}"),
            }
        }
    }
}

fn values(model: &PmmlModel, features: &[f64]) -> Vec<Value> {
    let value = |(x, f): (&f64, &wavetank_models::Feature)| match &f.kind {
        FeatureKind::Number => Value::Number(*x),
        FeatureKind::Category(names) => Value::text(&names[*x as usize]),
    };
    features.iter().zip(model.schema().features()).map(value).collect()
}

#[test]
fn output_fields_are_calculated_and_those_that_are_not_final_are_kept_back() {
    let fixture = fixture();
    let model = read("isolation");
    let answer = &fixture["answers"]["isolation"];
    let mut outliers = 0;
    for (index, row) in fixture["rows"].as_array().unwrap().iter().enumerate() {
        let answered = model
            .ask(&values(&model, &features(&model, answer, row, index)))
            .unwrap();
        let names: Vec<&str> = answered.outputs.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["decisionFunction", "outlier", "predict(outlier)"]);
        let theirs = answer["numbers"][index].as_f64().unwrap();
        let ours = answered.outputs[0].1.number().unwrap();
        assert!(close(ours, theirs), "{index}: {ours}, scikit-learn {theirs}");
        assert_eq!(answered.outputs[1].1, Value::Boolean(ours <= 0.0));
        assert_eq!(
            answered.outputs[2].1,
            Value::Number(if ours <= 0.0 { -1.0 } else { 1.0 })
        );
        outliers += u32::from(ours <= 0.0);
    }
    assert!((1..60).contains(&outliers), "{outliers}");
    let chain = read("boosted-two");
    let answered = chain.ask(&[
        Value::Number(900.0),
        Value::Number(8.0),
        Value::Number(9.0),
        Value::text("AA"),
    ]);
    let outputs = answered.unwrap().outputs;
    assert_eq!(outputs[0].0, "probability(late)");
    let sum: f64 = outputs.iter().map(|(_, v)| v.number().unwrap()).sum();
    assert!(close(sum, 1.0));
}

#[test]
fn the_schema_is_that_of_the_document() {
    let model = read("logistic-two");
    let names: Vec<&str> = model.schema().features().iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["carrier", "distance", "hour", "wind"]);
    let carriers = ["AA", "DL", "UA"].map(String::from).to_vec();
    assert_eq!(model.schema().features()[0].kind, FeatureKind::Category(carriers));
    let late = Target::Class {
        name: "late".into(),
        classes: vec!["late".into(), "punctual".into()],
    };
    assert_eq!(*model.schema().target(), late);
}

#[test]
fn a_scorecard_adds_up_and_says_why() {
    let model = read("scorecard");
    let ask = |age: Value, income: f64, home: &str| {
        let answer = model.ask(&[age, Value::Number(income), Value::text(home)]).unwrap();
        (
            answer.value.number().unwrap(),
            answer.outputs.into_iter().map(|(_, v)| v).collect::<Vec<_>>(),
        )
    };
    let (score, outputs) = ask(Value::Number(25.0), 1200.0, "rent");
    assert_eq!(score, 100.0 - 12.0 + 5.0 + 12.0);
    assert_eq!(outputs, [Value::Number(105.0), Value::text("AGE"), Value::text("RENT")]);
    let (score, outputs) = ask(Value::Number(40.0), 9000.0, "family");
    assert_eq!(score, 100.0 + 18.0 + 30.0 + 50.0);
    assert_eq!(
        outputs[1..],
        [Value::text("AGE"), Value::Missing],
        "0 points away is the only reason"
    );
    let (score, _) = ask(Value::Missing, 9000.0, "own");
    assert_eq!(score, 100.0 + 10.0 + 30.0, "without an age the income does not count");
}

#[test]
fn features_that_are_missing_wrong_or_not_numbers_are_named() {
    let linear = read("linear");
    let carrier = linear.schema().category("carrier", "UA").unwrap();
    let row = |distance: f64| vec![carrier, distance, 10.0, 5.0];
    assert!(linear.predict(&row(800.0)).is_ok());
    assert!(
        matches!(linear.predict(&row(MISSING)), Err(ModelError::NoAnswer(_))),
        "no rule for a missing number"
    );
    assert!(matches!(
        linear.predict(&row(f64::NAN)),
        Err(ModelError::NotANumber { .. })
    ));
    assert!(matches!(
        linear.predict(&[1.0]),
        Err(ModelError::FeatureCount { expected: 4, got: 1 })
    ));
    assert!(matches!(
        linear.predict(&[3.0, 1.0, 1.0, 1.0]),
        Err(ModelError::NoSuchCategory { .. })
    ));
    let mut values = vec![
        Value::text("XX"),
        Value::Number(800.0),
        Value::Number(10.0),
        Value::Number(5.0),
    ];
    let error = linear.ask(&values).unwrap_err();
    assert_eq!(error.to_string(), "`XX` is not allowed for the field `carrier`");
    values[0] = Value::text("UA");
    values[1] = Value::text("far");
    assert!(matches!(linear.ask(&values), Err(ModelError::InvalidValue { .. })));
    let tree = read("tree-number");
    assert!(matches!(
        tree.predict(&[800.0, 10.0, MISSING, 0.0]),
        Err(ModelError::NoAnswer(_))
    ));
}

/// A document around the body of a model of one number `x` (and a category `c`) for a number `y`.
fn around(dictionary: &str, model: &str) -> String {
    format!(
        r#"<?xml version="1.0"?>
<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">
<Header/>
<DataDictionary>
<DataField name="x" optype="continuous" dataType="double"/>
<DataField name="c" optype="categorical" dataType="string"><Value value="a"/><Value value="b"/></DataField>
<DataField name="y" optype="continuous" dataType="double"/>
</DataDictionary>
{dictionary}
{model}
</PMML>"#
    )
}

fn regression(schema: &str, local: &str, table: &str) -> String {
    let schema = format!("<MiningSchema>{schema}<MiningField name=\"y\" usageType=\"target\"/></MiningSchema>");
    format!("<RegressionModel functionName=\"regression\">{schema}{local}{table}</RegressionModel>")
}

const PLAIN: &str =
    "<RegressionTable intercept=\"1\"><NumericPredictor name=\"x\" coefficient=\"2\"/></RegressionTable>";

fn answer(text: &str, features: &[Value]) -> Result<f64, ModelError> {
    let model = PmmlModel::read(text.as_bytes(), &Limits::default()).unwrap_or_else(|e| panic!("{e}\n{text}"));
    model.ask(features).map(|a| a.value.number().unwrap())
}

#[test]
fn values_that_are_missing_invalid_or_extreme_are_treated_as_the_mining_schema_says() {
    let with = |attributes: &str, x: Value| {
        let field = format!("<MiningField name=\"x\" {attributes}/>");
        answer(&around("", &regression(&field, "", PLAIN)), &[x])
    };
    let number = Value::Number;
    assert_eq!(with("", number(3.0)), Ok(7.0));
    assert_eq!(with("missingValueReplacement=\"5\"", Value::Missing), Ok(11.0));
    assert!(matches!(
        with("missingValueTreatment=\"returnInvalid\"", Value::Missing),
        Err(ModelError::Missing { index: 0, .. })
    ));
    assert!(matches!(
        with("", Value::text("far")),
        Err(ModelError::InvalidValue { .. })
    ));
    let treated = "invalidValueTreatment=\"asMissing\" missingValueReplacement=\"5\"";
    assert_eq!(with(treated, Value::text("far")), Ok(11.0));
    let replaced = "invalidValueTreatment=\"asValue\" invalidValueReplacement=\"6\"";
    assert_eq!(with(replaced, Value::text("far")), Ok(13.0));
    let extreme = "outliers=\"asExtremeValues\" lowValue=\"0\" highValue=\"10\"";
    assert_eq!(with(extreme, number(50.0)), Ok(21.0));
    let missing = "outliers=\"asMissingValues\" lowValue=\"0\" highValue=\"10\" missingValueReplacement=\"5\"";
    assert_eq!(with(missing, number(-1.0)), Ok(11.0));
}

#[test]
fn transformations_calculate_what_they_say() {
    let with = |expression: &str, x: Value, c: Value| {
        let local = format!(
            "<LocalTransformations><DerivedField name=\"d\" optype=\"continuous\" dataType=\"double\">{expression}\
             </DerivedField></LocalTransformations>"
        );
        let fields = "<MiningField name=\"x\"/><MiningField name=\"c\"/>";
        let table =
            "<RegressionTable intercept=\"0\"><NumericPredictor name=\"d\" coefficient=\"1\"/></RegressionTable>";
        answer(&around("", &regression(fields, &local, table)), &[x, c]).ok()
    };
    let a = || Value::text("a");
    let number = Value::Number;
    let norm = "<NormContinuous field=\"x\" mapMissingTo=\"9\"><LinearNorm orig=\"0\" norm=\"0\"/>\
                <LinearNorm orig=\"10\" norm=\"1\"/><LinearNorm orig=\"20\" norm=\"5\"/></NormContinuous>";
    assert_eq!(with(norm, number(5.0), a()), Some(0.5));
    assert_eq!(with(norm, number(15.0), a()), Some(3.0));
    assert_eq!(
        with(norm, number(30.0), a()),
        Some(9.0),
        "beyond the end the line goes on"
    );
    assert_eq!(with(norm, Value::Missing, a()), Some(9.0));
    let ends = norm.replace("field=\"x\"", "field=\"x\" outliers=\"asExtremeValues\"");
    assert_eq!(with(&ends, number(30.0), a()), Some(5.0));
    let discrete = "<NormDiscrete field=\"c\" value=\"a\"/>";
    assert_eq!(with(discrete, number(0.0), a()), Some(1.0));
    assert_eq!(with(discrete, number(0.0), Value::text("b")), Some(0.0));
    let bins = "<Discretize field=\"x\" defaultValue=\"7\" dataType=\"double\">\
                <DiscretizeBin binValue=\"1\"><Interval closure=\"openClosed\" leftMargin=\"0\" rightMargin=\"1\"/>\
                </DiscretizeBin></Discretize>";
    assert_eq!(with(bins, number(1.0), a()), Some(1.0));
    assert_eq!(with(bins, number(0.0), a()), Some(7.0));
    let table = "<MapValues outputColumn=\"out\" dataType=\"double\"><FieldColumnPair field=\"c\" column=\"in\"/>\
                 <InlineTable><row><in>a</in><out>4</out></row><row><in>b</in><out>8</out></row></InlineTable>\
                 </MapValues>";
    assert_eq!(with(table, number(0.0), Value::text("b")), Some(8.0));
    assert_eq!(with(table, number(0.0), Value::Missing), None);
    let choice = "<Apply function=\"if\"><Apply function=\"and\">\
                  <Apply function=\"greaterThan\"><FieldRef field=\"x\"/><Constant>2</Constant></Apply>\
                  <Apply function=\"equal\"><FieldRef field=\"c\"/>\
                  <Constant dataType=\"string\">a</Constant></Apply></Apply>\
                  <Apply function=\"max\"><FieldRef field=\"x\"/><Constant>5</Constant></Apply>\
                  <Constant>-1</Constant></Apply>";
    assert_eq!(with(choice, number(3.0), a()), Some(5.0));
    assert_eq!(with(choice, number(8.0), a()), Some(8.0));
    assert_eq!(with(choice, number(8.0), Value::text("b")), Some(-1.0));
    let power = "<Apply function=\"modulo\"><Apply function=\"pow\"><FieldRef field=\"x\"/>\
                 <Constant>2</Constant></Apply><Constant>7</Constant></Apply>";
    assert_eq!(with(power, number(5.0), a()), Some(4.0));
    let log = "<Apply function=\"ln\" defaultValue=\"3\"><FieldRef field=\"x\"/></Apply>";
    assert_eq!(with(log, number(-1.0), a()), Some(3.0), "no value becomes the default");
}

#[test]
fn functions_of_a_document_are_called_with_their_arguments() {
    let functions = "<TransformationDictionary><DefineFunction name=\"twice\" optype=\"continuous\">\
        <ParameterField name=\"p\"/><Apply function=\"+\"><FieldRef field=\"p\"/><FieldRef field=\"p\"/></Apply>\
        </DefineFunction><DerivedField name=\"d\" optype=\"continuous\" dataType=\"double\">\
        <Apply function=\"twice\"><Apply function=\"twice\"><FieldRef field=\"x\"/></Apply></Apply></DerivedField>\
        </TransformationDictionary>";
    let table = "<RegressionTable intercept=\"1\"><NumericPredictor name=\"d\" coefficient=\"1\"/></RegressionTable>";
    let text = around(functions, &regression("<MiningField name=\"x\"/>", "", table));
    assert_eq!(answer(&text, &[Value::Number(3.0)]), Ok(13.0));
}

#[test]
fn segments_are_combined_as_the_document_says() {
    let leaf = |score: &str| {
        format!(
            "<TreeModel functionName=\"regression\"><MiningSchema><MiningField name=\"x\"/></MiningSchema>\
             <Node score=\"{score}\"><True/></Node></TreeModel>"
        )
    };
    let with = |method: &str, x: f64| {
        let model = format!(
            "<MiningModel functionName=\"regression\"><MiningSchema><MiningField name=\"x\"/></MiningSchema>\
             <Segmentation multipleModelMethod=\"{method}\">\
             <Segment weight=\"1\"><SimplePredicate field=\"x\" operator=\"greaterThan\" value=\"0\"/>{}</Segment>\
             <Segment weight=\"3\"><True/>{}</Segment><Segment weight=\"1\"><True/>{}</Segment>\
             </Segmentation></MiningModel>",
            leaf("1"),
            leaf("2"),
            leaf("6")
        );
        answer(&around("", &model), &[Value::Number(x)]).unwrap()
    };
    for (method, all, without_first) in [
        ("sum", 9.0, 8.0),
        ("average", 3.0, 4.0),
        ("weightedAverage", 13.0 / 5.0, 3.0),
        ("weightedSum", 13.0, 12.0),
        ("median", 2.0, 4.0),
        ("weightedMedian", 2.0, 2.0),
        ("max", 6.0, 6.0),
        ("selectFirst", 1.0, 2.0),
    ] {
        assert_eq!(
            (with(method, 1.0), with(method, -1.0)),
            (all, without_first),
            "{method}"
        );
    }
}

#[test]
fn a_tree_treats_missing_values_as_its_strategy_says() {
    let with = |strategy: &str, x: Value| {
        let model = format!(
            "<TreeModel functionName=\"regression\" {strategy}><MiningSchema><MiningField name=\"x\"/></MiningSchema>\
             <Node id=\"0\" score=\"10\" defaultChild=\"2\"><True/>\
             <Node id=\"1\" score=\"11\"><SimplePredicate field=\"x\" operator=\"lessThan\" value=\"0\"/></Node>\
             <Node id=\"2\" score=\"12\"><SimplePredicate field=\"x\" operator=\"greaterThan\" value=\"5\"/></Node>\
             </Node></TreeModel>"
        );
        answer(&around("", &model), &[x]).ok()
    };
    assert_eq!(with("", Value::Number(-1.0)), Some(11.0));
    assert_eq!(with("", Value::Number(3.0)), None, "no child holds");
    assert_eq!(
        with("noTrueChildStrategy=\"returnLastPrediction\"", Value::Number(3.0)),
        Some(10.0)
    );
    assert_eq!(
        with("missingValueStrategy=\"lastPrediction\"", Value::Missing),
        Some(10.0)
    );
    assert_eq!(
        with("missingValueStrategy=\"defaultChild\"", Value::Missing),
        Some(12.0)
    );
    assert_eq!(with("missingValueStrategy=\"nullPrediction\"", Value::Missing), None);
}

#[test]
fn what_is_not_supported_is_refused_with_its_place() {
    let error = PmmlModel::read(&document("network"), &Limits::default()).unwrap_err();
    assert!(
        matches!(&error.problem, PmmlProblem::Unsupported(what) if what == "<NeuralNetwork>"),
        "{error}"
    );
    let text = String::from_utf8(document("network")).unwrap();
    let line = text.lines().position(|l| l.contains("<NeuralNetwork ")).unwrap() as u64 + 1;
    assert_eq!((error.line, error.column), (line, 2), "after a tab");

    let field = "<MiningField name=\"x\"/>";
    let refused_in = |schema: &str, local: &str, table: &str| refused(&around("", &regression(schema, local, table)));
    let error = refused_in(field, "<Quantiles/>", PLAIN);
    assert_eq!(
        error.problem,
        PmmlProblem::Unsupported("<Quantiles> in <RegressionModel>".into())
    );
    assert_eq!(error.line, 10);
    let error = refused_in("<MiningField name=\"z\"/>", "", PLAIN);
    assert_eq!(error.problem, PmmlProblem::Invalid("there is no field `z` here".into()));
    let function = "<LocalTransformations><DerivedField name=\"d\" optype=\"continuous\" dataType=\"double\">\
                    <Apply function=\"erf\"><FieldRef field=\"x\"/></Apply></DerivedField></LocalTransformations>";
    let error = refused_in(field, function, PLAIN);
    assert_eq!(error.problem, PmmlProblem::Unsupported("the function `erf`".into()));
    let error = refused_in(field, &function.replace("erf", "pow"), PLAIN);
    assert_eq!(
        error.problem,
        PmmlProblem::Invalid("`pow` takes 2 arguments, not 1".into())
    );
    let error = refused_in(field, "", &PLAIN.replace("\"2\"", "\"two\""));
    assert!(error.to_string().contains("`two`, which is no number"), "{error}");
    let error = refused(&around("", "").replace("version=\"4.4\"", "version=\"3.2\""));
    assert_eq!(error.problem, PmmlProblem::Unsupported("PMML version 3.2".into()));
    assert_eq!(
        refused(&around("", "")).problem,
        PmmlProblem::Invalid("there is no model".into())
    );
    let output = "<Output><OutputField name=\"o\" feature=\"residual\"/></Output>";
    let error = refused_in(field, output, PLAIN);
    assert_eq!(
        error.problem,
        PmmlProblem::Unsupported("`feature=\"residual\"` of <OutputField>".into())
    );
}

#[test]
fn entities_are_refused() {
    let laughs = "<?xml version=\"1.0\"?>\n<!DOCTYPE PMML [<!ENTITY a \"ha\">\
                  <!ENTITY b \"&a;&a;&a;\">]>\n<PMML>&b;</PMML>";
    let error = refused(laughs);
    assert_eq!((error.line, error.problem), (2, PmmlProblem::DocumentType));
    let outside = "<!DOCTYPE PMML SYSTEM \"file:///etc/passwd\"><PMML version=\"4.4\"/>";
    assert_eq!(refused(outside).problem, PmmlProblem::DocumentType);
    let unknown = around("", "<Extension>&secret;</Extension>");
    assert_eq!(refused(&unknown).problem, PmmlProblem::Entity("secret".into()));
    let attribute = around("", "<Extension name=\"&secret;\"/>");
    assert!(matches!(refused(&attribute).problem, PmmlProblem::Xml(_)));
    let known = around(
        "",
        &regression(
            "<MiningField name=\"x\"/>",
            "<Extension>&lt;&#65;&amp;</Extension>",
            PLAIN,
        ),
    );
    assert_eq!(
        answer(&known, &[Value::Number(1.0)]),
        Ok(3.0),
        "XML's own entities are fine"
    );
}

#[test]
fn deep_large_or_exploding_documents_are_refused() {
    let deep = "<a>".repeat(100_000);
    assert!(matches!(refused(&deep).problem, PmmlProblem::TooLarge(_)));
    let nested = format!(
        "{}<True/>{}",
        "<Node score=\"1\"><True/>".repeat(300),
        "</Node>".repeat(300)
    );
    assert!(matches!(
        refused(&around("", &nested)).problem,
        PmmlProblem::TooLarge(_)
    ));
    let limits = Limits {
        elements: 5,
        ..Limits::default()
    };
    let text = around("", &regression("<MiningField name=\"x\"/>", "", PLAIN));
    assert!(matches!(
        PmmlModel::read(text.as_bytes(), &limits).unwrap_err().problem,
        PmmlProblem::TooLarge(_)
    ));
    let limits = Limits {
        bytes: 100,
        ..Limits::default()
    };
    assert!(matches!(
        PmmlModel::read(text.as_bytes(), &limits).unwrap_err().problem,
        PmmlProblem::TooLarge(_)
    ));

    let function = |index: usize, body: &str| {
        format!(
            "<DefineFunction name=\"f{index}\" optype=\"continuous\"><ParameterField name=\"p\"/>{body}\
             </DefineFunction>"
        )
    };
    let call = |index: usize| format!("<Apply function=\"f{index}\"><FieldRef field=\"p\"/></Apply>");
    let doubling: String = (1..60)
        .map(|i| {
            function(
                i,
                &format!("<Apply function=\"+\">{}{}</Apply>", call(i - 1), call(i - 1)),
            )
        })
        .collect();
    let first = function(0, "<FieldRef field=\"p\"/>");
    let text = around(
        &format!("<TransformationDictionary>{first}{doubling}</TransformationDictionary>"),
        "",
    );
    assert!(matches!(refused(&text).problem, PmmlProblem::TooLarge(_)), "2^60 parts");
    let chain: String = (1..5000)
        .map(|i| function(i, &format!("<Apply function=\"exp\">{}</Apply>", call(i - 1))))
        .collect();
    let text = around(
        &format!("<TransformationDictionary>{first}{chain}</TransformationDictionary>"),
        "",
    );
    assert!(
        matches!(refused(&text).problem, PmmlProblem::TooLarge(_)),
        "5000 calls deep"
    );
    let itself = function(0, &call(0));
    let text = around(
        &format!("<TransformationDictionary>{itself}</TransformationDictionary>"),
        "",
    );
    assert!(
        matches!(refused(&text).problem, PmmlProblem::Unsupported(_)),
        "a function that calls itself"
    );
}

#[test]
fn broken_documents_are_refused_and_never_panic() {
    for text in [
        "",
        "   ",
        "<PMML",
        "<PMML>",
        "no markup",
        "<a></b>",
        "<PMML version=\"4.4\"/>",
        "<x/><y/>",
        "<html/>",
    ] {
        refused(text);
    }
    assert!(PmmlModel::read(&[0xff, 0xfe, 0x00], &Limits::default()).is_err());
    for name in [
        "linear",
        "kmeans",
        "bayes",
        "boosted-two",
        "scorecard",
        "general-three",
        "linear-bins",
    ] {
        let bytes = document(name).trim_ascii_end().to_vec();
        for end in (0..bytes.len()).step_by(bytes.len() / 60 + 1) {
            assert!(
                PmmlModel::read(&bytes[..end], &Limits::default()).is_err(),
                "{name} cut at {end}"
            );
        }
        let text = String::from_utf8(bytes).unwrap();
        let quotes: Vec<usize> = text.match_indices('"').map(|(i, _)| i).collect();
        for pair in quotes.chunks(2).step_by(3).filter(|p| p.len() == 2) {
            for other in ["", "-1", "1e999", "NaN", "nobody", "99999999999999999999"] {
                let changed = format!("{}{other}{}", &text[..=pair[0]], &text[pair[1]..]);
                if let Ok(model) = PmmlModel::read(changed.as_bytes(), &Limits::default()) {
                    let zeros = vec![0.0; model.schema().width()];
                    let _ = model.predict(&zeros);
                }
            }
        }
    }
}
