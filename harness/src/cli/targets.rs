//! Which scenarios are meant: files, folders, names of the library, each loaded and checked.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wavetank_scenarios::exit::Exit;
use wavetank_scenarios::library::{DiskFiles, Entry, LIBRARY, LibraryFiles};
use wavetank_scenarios::{Files, Problem, Script};

use super::problems::{self, Texts};
use super::{Stop, notice};

/// The text of a scenario and where it came from.
#[derive(Clone, Debug)]
pub struct Target {
    /// For a person: a path, or a path in the library.
    pub origin: String,
    /// The scenario's text.
    pub text: String,
    /// Where its data files are: a folder, or nothing for those of the library.
    pub folder: Option<PathBuf>,
}

impl Target {
    fn library(entry: Entry) -> Self {
        Self {
            origin: format!("library/{}", entry.path),
            text: entry.text.to_owned(),
            folder: None,
        }
    }

    fn file(path: &Path) -> Result<Self, Stop> {
        let text = fs::read(path)
            .map_err(|error| Stop::new(Exit::Invalid, format!("{}: cannot be read: {error}", path.display())))?;
        let text = String::from_utf8(text).map_err(|error| {
            let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1;
            Stop::new(
                Exit::Invalid,
                format!("{}:{line}:1: this is not UTF-8 text", path.display()),
            )
        })?;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self {
            origin: path.display().to_string(),
            text,
            folder: Some(folder),
        })
    }

    /// Where its data files come from.
    pub fn files(&self) -> Box<dyn Files> {
        match &self.folder {
            Some(folder) => Box::new(DiskFiles::new(folder)),
            None => Box::new(LibraryFiles),
        }
    }

    /// Reads and checks it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self, overrides: &[(String, String)]) -> Result<Script, Vec<Problem>> {
        Script::load(&self.text, &self.origin, &*self.files(), overrides)
    }

    /// Its problems for a person.
    pub fn render(&self, problems: &[Problem], width: usize) -> String {
        let files = self.files();
        let texts = Texts {
            origin: &self.origin,
            text: &self.text,
            files: &*files,
        };
        problems
            .iter()
            .map(|problem| problems::render(problem, &texts, width))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// The scenarios that `names` mean, in order; the whole library where there are none. A name is a file, a folder (all of
/// its `.toml` files, in order of their paths), a scenario of the library, or a pattern, for all of its scenarios there.
///
/// # Errors
/// When a name leads nowhere or a file cannot be read.
pub fn find(names: &[String]) -> Result<Vec<Target>, Stop> {
    if names.is_empty() {
        return Ok(LIBRARY.entries().map(Target::library).collect());
    }
    let mut targets = Vec::new();
    for name in names {
        let path = Path::new(name);
        if path.is_dir() {
            let mut files = Vec::new();
            collect(path, &mut files)
                .map_err(|error| Stop::new(Exit::Invalid, format!("{name}: cannot be read: {error}")))?;
            files.sort();
            for file in files {
                targets.push(Target::file(&file)?);
            }
        } else if path.exists() {
            targets.push(Target::file(path)?);
        } else {
            let found = in_library(name);
            if found.is_empty() {
                return Err(Stop::new(Exit::Invalid, nowhere(name)));
            }
            targets.extend(found);
        }
    }
    Ok(targets)
}

/// The one scenario that a name means.
///
/// # Errors
/// When it leads nowhere, or to several.
pub fn find_one(name: &str) -> Result<Target, Stop> {
    let mut found = find(&[name.to_owned()])?;
    match (found.pop(), found.len()) {
        (Some(target), 0) => Ok(target),
        (None, _) => Err(Stop::new(Exit::NothingRan, format!("there is no scenario in {name}"))),
        (Some(_), more) => {
            let message = format!(
                "{name} has {} scenarios, and here is room for one: name its file",
                more + 1
            );
            Err(Stop::new(Exit::Usage, message))
        }
    }
}

fn in_library(name: &str) -> Vec<Target> {
    let name = name.strip_prefix("library/").unwrap_or(name);
    match LIBRARY.find(name) {
        Some(entry) => vec![Target::library(entry)],
        None => LIBRARY
            .entries()
            .filter(|entry| entry.folder() == name)
            .map(Target::library)
            .collect(),
    }
}

fn nowhere(name: &str) -> String {
    let help = LIBRARY.closest(name).map_or_else(
        || "see `wavetank list scenarios` for those that are built in".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    format!("`{name}` is no file, no folder and no scenario of the library; {help}")
}

/// All `.toml` files below a folder; hidden folders (such as the run store) are left out.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            collect(&path, files)?;
        } else if path.is_file() && path.extension().is_some_and(|ending| ending == "toml") {
            files.push(path);
        }
    }
    Ok(())
}

/// A scenario that is ready to be run, and where it came from.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Read and checked.
    pub script: Arc<Script>,
    /// Where its data files are.
    pub folder: Option<PathBuf>,
}

/// Loads all of them, or shows everything that is wrong with any.
///
/// # Errors
/// When one is not valid; its problems have been shown by then.
pub fn load(targets: &[Target], overrides: &[(String, String)], width: usize) -> Result<Vec<Ready>, Stop> {
    let mut ready = Vec::new();
    let mut wrong = 0;
    for target in targets {
        match target.load(overrides) {
            Ok(script) => ready.push(Ready {
                script: Arc::new(script),
                folder: target.folder.clone(),
            }),
            Err(problems) => {
                wrong += problems.len();
                notice::say(&(target.render(&problems, width) + "\n"));
            }
        }
    }
    if wrong > 0 {
        let problems = if wrong == 1 {
            "1 problem".to_owned()
        } else {
            format!("{wrong} problems")
        };
        return Err(Stop::new(Exit::Invalid, format!("{problems}: nothing was run")));
    }
    Ok(ready)
}

/// A setting from outside, `key=value`.
///
/// # Errors
/// When it is not written so.
pub fn parse_override(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| "write key=value, like fault.slow-link.rate=0.2".to_owned())?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// `scenario@seed`, the seed left out for the scenario's own.
///
/// # Errors
/// When the seed is no number.
pub fn parse_seeded(text: &str) -> Result<(&str, Option<u64>), Stop> {
    // A path may have an `@` of its own.
    if Path::new(text).exists() {
        return Ok((text, None));
    }
    match text.rsplit_once('@') {
        None => Ok((text, None)),
        Some((name, seed)) => match seed.parse() {
            Ok(seed) => Ok((name, Some(seed))),
            Err(_) => Err(Stop::new(Exit::Usage, format!("`{seed}` is no seed; write {name}@42"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_library_a_pattern_and_nothing_at_all_are_found_there() {
        let all = find(&[]).expect("the library");
        let one = find(&["orders-per-minute".to_owned()]).expect("one");
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].origin, "library/windowed-aggregation/orders-per-minute.toml");
        assert_eq!(find(&[one[0].origin.clone()]).expect("by its path").len(), 1);
        let pattern = find(&["windowed-aggregation".to_owned()]).expect("a pattern");
        assert!(!pattern.is_empty() && pattern.len() < all.len());
    }

    #[test]
    fn a_name_that_leads_nowhere_says_what_was_probably_meant() {
        let stop = find(&["order-per-minute".to_owned()]).expect_err("there is none");
        assert_eq!(stop.exit, Exit::Invalid);
        assert!(
            stop.message.contains("did you mean `orders-per-minute`?"),
            "{}",
            stop.message
        );
    }

    #[test]
    fn a_folder_is_read_in_order_without_hidden_folders() {
        let place = tempfile::tempdir().expect("a folder");
        for name in [
            "b.toml",
            "a.toml",
            "sub/c.toml",
            ".wavetank/runs/x/scenario.toml",
            "notes.txt",
        ] {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, "x = 1").expect("written");
        }
        let found = find(&[place.path().display().to_string()]).expect("a folder");
        let names: Vec<String> = found
            .iter()
            .map(|t| {
                Path::new(&t.origin)
                    .strip_prefix(place.path())
                    .expect("below")
                    .display()
                    .to_string()
            })
            .collect();
        assert_eq!(names, ["a.toml", "b.toml", "sub/c.toml"]);
    }

    #[test]
    fn settings_and_seeds_are_taken_apart() {
        assert_eq!(parse_override("a.b = 3"), Ok(("a.b".into(), "3".into())));
        assert!(parse_override("a.b").is_err());
        assert_eq!(parse_seeded("orders@7").expect("a seed"), ("orders", Some(7)));
        assert_eq!(parse_seeded("orders").expect("none"), ("orders", None));
        assert_eq!(parse_seeded("orders@x").expect_err("no number").exit, Exit::Usage);
    }
}
