//! Compiles the library into the crate: a sorted table of every scenario and data file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let mut text = String::from("static SCENARIO_FILES: &[(&str, &str)] = &[\n");
    for (name, path) in files(&root, "library", &["toml"])? {
        let _ = writeln!(text, "    ({name:?}, include_str!({path:?})),");
    }
    text.push_str("];\nstatic DATA_FILES: &[(&str, &[u8])] = &[\n");
    for (name, path) in files(&root, "data", &["csv", "jsonl", "ndjson", "model", "pmml"])? {
        let _ = writeln!(text, "    ({name:?}, include_bytes!({path:?})),");
    }
    text.push_str("];\n");
    fs::write(out.join("library.rs"), text)
}

/// The files below a folder with one of these endings, by their path within it, sorted.
fn files(root: &Path, folder: &str, endings: &[&str]) -> io::Result<Vec<(String, PathBuf)>> {
    let base = root.join(folder);
    let mut folders = vec![base.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        println!("cargo::rerun-if-changed={}", folder.display());
        if !folder.exists() {
            continue;
        }
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|e| path.extension().is_some_and(|x| x == *e)) {
                let name = path
                    .strip_prefix(&base)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .replace('\\', "/");
                found.push((name, path));
            }
        }
    }
    found.sort();
    Ok(found)
}
