//! The rules of the house, as tests: the crates' arrows point one way, and nothing of the machine gets into a world.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the harness lies in the workspace")
        .to_owned()
}

/// The wavetank crates that a crate's manifest names, without its tests' own.
fn arrows(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).expect(manifest);
    let normal = text.split("[dev-dependencies]").next().unwrap_or_default();
    let named = normal.lines().filter_map(|line| line.strip_prefix("wavetank-"));
    named
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_arrows_between_crates_point_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("models/Cargo.toml", [].as_slice()),
        // Settings of models are those that the models themselves take.
        ("scenarios/Cargo.toml", &["models"]),
        ("reports/Cargo.toml", &[]),
        ("actors/Cargo.toml", &["scenarios", "models"]),
        // What surrounds a model is judged; models are judged by what other programs say.
        ("harness/oracle/Cargo.toml", &["scenarios", "models"]),
        (
            "harness/Cargo.toml",
            &["scenarios", "models", "reports", "actors", "oracle"],
        ),
    ]);
    for (manifest, allowed) in allowed {
        for arrow in arrows(manifest) {
            assert!(
                allowed.contains(&arrow.as_str()),
                "{manifest} must not know wavetank-{arrow}"
            );
        }
    }
}

#[test]
fn the_script_and_the_judge_know_no_actix() {
    for manifest in [
        "scenarios/Cargo.toml",
        "models/Cargo.toml",
        "reports/Cargo.toml",
        "harness/oracle/Cargo.toml",
    ] {
        let text = fs::read_to_string(root().join(manifest)).expect(manifest);
        assert!(!text.contains("actix"), "{manifest} must not know actix");
    }
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn nothing_of_the_machine_gets_into_a_world() {
    let forbidden = [
        "Instant::now",
        "SystemTime",
        "thread_rng",
        "env::var",
        "HashMap::new",
        "HashSet::new",
        "spawn_blocking",
        "actix::Arbiter",
        "actix_rt::Arbiter",
        "SyncArbiter",
        "thread::spawn",
        "thread::sleep",
    ];
    let mut files = Vec::new();
    for folder in [
        "actors/src",
        "models/src",
        "scenarios/src",
        "harness/oracle/src",
        "harness/src/judge",
        "harness/src/faults",
    ] {
        sources(&root().join(folder), &mut files);
    }
    assert!(files.len() > 30, "the folders have been found");
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in forbidden {
                let allowed = word.ends_with("::new") && (code.contains("FxHash") || code.contains("BTree"));
                assert!(
                    !code.contains(word) || allowed,
                    "{}:{}: {word}",
                    file.display(),
                    number + 1
                );
            }
        }
    }
}
