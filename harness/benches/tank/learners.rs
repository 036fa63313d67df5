//! Learners: what a prediction and an update cost for each model, by itself, in the operator and behind a service on
//! another node; and the memory that each takes.

use std::hint::black_box;
use std::sync::Arc;

use wavetank_models::online::{OnlineModel, OnlineSettings};
use wavetank_models::pretrained::{Pretrained, Table, TrainingSettings};
use wavetank_models::{Label, Learner, Predictor, Schema, Target};
use wavetank_scenarios::{Files, LibraryFiles, Script};

use super::{Case, report};

/// The models that learn: how a scenario names them, and what they answer.
const ONLINE: [(&str, &str); 10] = [
    ("linear-regression = { scale = true }", "number"),
    ("logistic-regression = { scale = true }", "class"),
    ("perceptron = { scale = true }", "class"),
    ("passive-aggressive = { scale = true }", "class"),
    ("ftrl = { scale = true }", "class"),
    ("naive-bayes = {}", "class"),
    ("hoeffding-tree = {}", "class"),
    ("half-space-trees = {}", "anomaly"),
    ("k-means = {}", "cluster"),
    ("decaying-k-means = {}", "cluster"),
];

/// The models that are trained, and what they answer.
const TRAINED: [(&str, &str); 7] = [
    ("\"linear\"", "number"),
    ("{\"logistic\": {}}", "class"),
    ("{\"forest\": {\"trees\": 50}}", "class"),
    ("{\"neighbours\": {}}", "class"),
    ("\"bayes\"", "class"),
    ("{\"k-means\": {}}", "cluster"),
    ("{\"one-class\": {}}", "anomaly"),
];

const FEATURES: [&str; 4] = ["a", "b", "c", "d"];
/// Examples to train on, and to go round in.
const EXAMPLES: usize = 1_000;

fn schema(answers: &str) -> Schema {
    let target = match answers {
        "number" => Target::Number { name: "y".into() },
        "class" => Target::Class {
            name: "y".into(),
            classes: vec!["0".into(), "1".into()],
        },
        "cluster" => Target::Cluster,
        _ => Target::Anomaly,
    };
    Schema::numbers(FEATURES, target).expect("a schema")
}

/// Examples whose label follows from their features.
fn examples(answers: &str) -> Vec<([f64; 4], Label)> {
    let mut draw = 1_u64;
    let mut next = || {
        draw = draw
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (draw >> 40) as f64 / (1_u64 << 24) as f64
    };
    let one = |_| {
        let x = [next(), next(), next(), next()];
        let y = x[0] + 2.0 * x[1] - x[2];
        let label = match answers {
            "number" => Label::Number(y),
            "class" => Label::Class(usize::from(y > 1.0)),
            _ => Label::None,
        };
        (x, label)
    };
    (0..EXAMPLES).map(one).collect()
}

fn name(settings: &str) -> &str {
    let plain = settings.trim_matches(['{', '"', '}']);
    plain
        .split([' ', '"', ':'])
        .find(|word| !word.is_empty())
        .unwrap_or(plain)
}

fn online(settings: &str, answers: &str) -> OnlineModel {
    let table: toml::Table = toml::from_str(settings).expect("settings");
    let settings: OnlineSettings = table.try_into().expect("settings");
    let mut model = OnlineModel::new(schema(answers), settings).expect("a model");
    for (x, label) in examples(answers) {
        model.learn(&x, label).expect("an example");
    }
    model
}

fn trained(settings: &str, answers: &str) -> Pretrained {
    let settings: TrainingSettings = serde_json::from_str(settings).expect("settings");
    let mut table = Table::new(schema(answers));
    for (x, label) in examples(answers) {
        table.push(&x, label).expect("an example");
    }
    Pretrained::train("bench", "1", &table, settings, 1).expect("a model")
}

/// A file in memory.
struct Model(Arc<[u8]>);

impl Files for Model {
    fn read(&self, name: &str) -> Result<Arc<[u8]>, String> {
        match name {
            "bench.model" => Ok(Arc::clone(&self.0)),
            other => LibraryFiles.read(other),
        }
    }
}

/// So many events through a learner; behind a service when that is said.
fn scenario(events: u64, learn: &str, service: bool, files: &dyn Files) -> Arc<Script> {
    let fields = FEATURES
        .map(|name| format!("{name} = {{ uniform = [0.0, 1.0] }}"))
        .join(", ");
    let (learn, links) = if service {
        let links = "[[link]]\nfrom = \"op\"\nto = \"op.service\"\ndelay = \"5ms\"\n\
                     [[link]]\nfrom = \"op.service\"\nto = \"op\"\ndelay = \"5ms\"\n";
        (format!("{learn}\nservice = {{ within = \"1s\" }}"), links)
    } else {
        (learn.to_owned(), "")
    };
    let text = format!(
        "schema = 1\nname = \"bench\"\npattern = \"machine-learner\"\n[time]\nseed = 1\n\
         [[source]]\nname = \"s\"\nrate = \"10000/s\"\ncount = {events}\n\
         fields = {{ id = {{ seq = 1 }}, y = {{ uniform = [0, 1] }}, {fields} }}\n\
         [[operator]]\nname = \"op\"\ninput = [\"s\"]\n[operator.learn]\n{learn}\n{links}\
         [[sink]]\nname = \"to\"\ninput = [\"op\"]\n"
    );
    match Script::load(&text, "bench", files, &[]) {
        Ok(script) => Arc::new(script),
        Err(problems) => panic!("{problems:#?}\n{text}"),
    }
}

fn settings(answers: &str, online: &str) -> String {
    let target = match answers {
        "number" => "{ number = \"y\" }".to_owned(),
        "class" => "{ class = { field = \"y\", of = [\"0\", \"1\"] } }".to_owned(),
        other => format!("\"{other}\""),
    };
    format!("features = {FEATURES:?}\ntarget = {target}\nonline = {{ {online} }}\nfallback = 0").replace(
        "fallback = 0",
        if answers == "class" {
            "fallback = \"0\""
        } else {
            "fallback = 0"
        },
    )
}

/// All of it. `run` runs a scenario in the world, with nobody watching.
pub fn measure_all(quick: bool, run: &dyn Fn(&Arc<Script>)) {
    let (events, rounds) = if quick { (1_000, 1) } else { (50_000, 5) };
    let learners: Vec<(&str, &str, OnlineModel)> = ONLINE
        .iter()
        .map(|(settings, answers)| (name(settings), *answers, online(settings, answers)))
        .collect();
    let models: Vec<(&str, &str, Pretrained)> = TRAINED
        .iter()
        .map(|(settings, answers)| (name(settings), *answers, trained(settings, answers)))
        .collect();
    let mut cases = Vec::new();
    for (name, answers, model) in &learners {
        cases.push(Case {
            name: format!("{name}, online"),
            things: events,
            run: Box::new(move || asked(model, events, answers)),
        });
    }
    for (name, answers, model) in &models {
        cases.push(Case {
            name: format!("{name}, pre-trained"),
            things: events,
            run: Box::new(move || asked(model, events, answers)),
        });
    }
    report("learners: a prediction, by itself", "prediction", &cases, rounds);
    let mut cases = Vec::new();
    for (name, answers, model) in &learners {
        cases.push(Case {
            name: (*name).to_owned(),
            things: events,
            run: Box::new(move || {
                let mut model = model.clone();
                for (x, label) in examples(answers).iter().cycle().take(events as usize) {
                    drop(black_box(model.learn(x, *label)));
                }
            }),
        });
    }
    report("learners: an update, by itself", "update", &cases, rounds);
    for service in [false, true] {
        let where_ = if service { "behind a service" } else { "in the operator" };
        let none = Model(Arc::from([]));
        // What learns is always in the operator.
        let learning = ONLINE.iter().take(if service { 0 } else { ONLINE.len() });
        let scripts: Vec<(String, Arc<Script>)> = learning
            .map(|(online, answers)| {
                let script = scenario(events, &settings(answers, online), service, &none);
                (format!("{}, predicts and learns", name(online)), script)
            })
            .chain(models.iter().map(|(name, _, model)| {
                let bytes = Model(model.to_bytes().expect("a file").into());
                let script = scenario(events, "pretrained = [{ file = \"bench.model\" }]", service, &bytes);
                (format!("{name}, predicts"), script)
            }))
            .collect();
        let cases: Vec<Case<'_>> = scripts
            .iter()
            .map(|(name, script)| Case {
                name: name.clone(),
                things: events,
                run: Box::new(move || run(script)),
            })
            .collect();
        report(&format!("learners: an event, {where_}"), "event", &cases, rounds);
    }
    if super::wanted("learners: memory") {
        println!("\nlearners: memory after {EXAMPLES} examples of four numbers");
        for (name, _, model) in &learners {
            println!("  {name:<52} {:>10} bytes of state", model.state_bytes());
        }
        for (name, _, model) in &models {
            let bytes = model.to_bytes().map_or(0, |bytes| bytes.len());
            println!("  {name:<52} {bytes:>10} bytes in its file");
        }
    }
}

fn asked(model: &impl Predictor, events: u64, answers: &str) {
    for (x, _) in examples(answers).iter().cycle().take(events as usize) {
        drop(black_box(model.predict(x)));
    }
}
