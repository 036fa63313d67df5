//! The library: scenarios and data that are compiled in, so that there is something to run without any file, and where
//! data files are looked for.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::load::Files;
use crate::suggest;

include!(concat!(env!("OUT_DIR"), "/library.rs"));

/// A scenario that is compiled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its path within the library: `windowed-aggregation/orders-per-minute.toml`.
    pub path: &'static str,
    /// Its text.
    pub text: &'static str,
}

impl Entry {
    /// Its name: the file's, without folder and ending.
    pub fn name(self) -> &'static str {
        let file = self.path.rsplit('/').next().unwrap_or(self.path);
        file.strip_suffix(".toml").unwrap_or(file)
    }
    /// The pattern's folder that it stands in.
    pub fn folder(self) -> &'static str {
        self.path.split_once('/').map_or("", |(folder, _)| folder)
    }
}

/// All scenarios that are compiled in.
#[derive(Clone, Copy, Debug)]
pub struct Library;

/// The library.
pub static LIBRARY: Library = Library;

impl Library {
    /// Every scenario, sorted by path.
    pub fn entries(self) -> impl Iterator<Item = Entry> {
        SCENARIO_FILES.iter().map(|(path, text)| Entry { path, text })
    }
    /// The scenario of that name, or of that path within the library.
    pub fn find(self, name: &str) -> Option<Entry> {
        self.entries()
            .find(|e| e.name() == name || e.path == name || e.path.strip_suffix(".toml") == Some(name))
    }
    /// The name most like a wrong one.
    pub fn closest(self, name: &str) -> Option<&'static str> {
        suggest::closest(name, self.entries().map(Entry::name))
    }
    /// The names of all data files, sorted.
    pub fn data(self) -> impl Iterator<Item = &'static str> {
        DATA_FILES.iter().map(|(name, _)| *name)
    }
}

/// The data files that are compiled in.
#[derive(Clone, Copy, Debug, Default)]
pub struct LibraryFiles;

impl Files for LibraryFiles {
    fn read(&self, name: &str) -> Result<Arc<[u8]>, String> {
        match DATA_FILES.iter().find(|(file, _)| *file == name) {
            Some((_, bytes)) => Ok(Arc::from(*bytes)),
            None => {
                let near = suggest::hint(name, LIBRARY.data());
                Err(format!("the library has no such file{near}"))
            }
        }
    }
    fn list(&self, folder: &str) -> Result<Vec<String>, String> {
        let below = DATA_FILES.iter().filter_map(|(file, _)| file.strip_prefix(folder));
        let names: Vec<String> = below.filter(|name| !name.contains('/')).map(str::to_owned).collect();
        if names.is_empty() {
            return Err("the library has no such folder".into());
        }
        Ok(names)
    }
}

/// Data files on disk, beside a scenario file; what is not there is looked for in the library.
#[derive(Clone, Debug)]
pub struct DiskFiles {
    folder: PathBuf,
}

impl DiskFiles {
    /// The files of this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
    /// The files beside this scenario file.
    pub fn beside(scenario: &Path) -> Self {
        Self::new(scenario.parent().unwrap_or(Path::new("")))
    }
}

impl Files for DiskFiles {
    fn read(&self, name: &str) -> Result<Arc<[u8]>, String> {
        let path = within(name)?;
        match std::fs::read(self.folder.join(path)) {
            Ok(bytes) => Ok(bytes.into()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => LibraryFiles
                .read(name)
                .map_err(|why| format!("it is not beside the scenario, and {why}")),
            Err(e) => Err(e.to_string()),
        }
    }
    fn list(&self, folder: &str) -> Result<Vec<String>, String> {
        let path = within(folder)?;
        let entries = match std::fs::read_dir(self.folder.join(path)) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return LibraryFiles
                    .list(folder)
                    .map_err(|why| format!("it is not beside the scenario, and {why}"));
            }
            Err(e) => return Err(e.to_string()),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| e.to_string())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().map_err(|e| e.to_string())?.is_file() && !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

/// A path that does not lead out of the folder that it is in: a scenario from elsewhere must not read what lies outside
/// its own folder.
fn within(name: &str) -> Result<&Path, String> {
    let path = Path::new(name);
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if path.components().all(inside) {
        Ok(path)
    } else {
        Err("a data file is named by a path within the folder of the scenario".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Script;

    #[test]
    fn every_scenario_of_the_library_can_be_read_and_stands_in_the_folder_of_its_pattern() {
        assert!(LIBRARY.entries().count() >= 3);
        for entry in LIBRARY.entries() {
            let script = Script::load(entry.text, entry.path, &LibraryFiles, &[]).unwrap_or_else(|problems| {
                panic!(
                    "{}",
                    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
                )
            });
            assert_eq!(script.scenario.name, entry.name(), "{}", entry.path);
            assert_eq!(script.scenario.pattern.name(), entry.folder(), "{}", entry.path);
            assert!(!script.scenario.about.is_empty(), "{}", entry.path);
        }
    }

    #[test]
    fn the_library_is_sorted_and_found_by_name_or_path() {
        let paths: Vec<&str> = LIBRARY.entries().map(|e| e.path).collect();
        assert!(paths.is_sorted());
        let entry = LIBRARY.find("orders-per-minute").expect("orders per minute");
        assert_eq!(LIBRARY.find(entry.path), Some(entry));
        assert_eq!(LIBRARY.closest("order-per-minute"), Some("orders-per-minute"));
    }

    #[test]
    fn the_examples_of_the_patterns_are_in_the_library() {
        for pattern in crate::pattern::PATTERNS.iter().filter(|p| !p.example.is_empty()) {
            assert!(LIBRARY.find(pattern.example).is_some(), "{}", pattern.example);
        }
    }

    #[test]
    fn files_outside_the_folder_are_not_read() {
        for name in ["../secret.csv", "/etc/passwd", "a/../../b.csv"] {
            let error = DiskFiles::new("anywhere").read(name).expect_err(name);
            assert!(error.contains("within the folder"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_nowhere_is_an_error_that_names_the_nearest() {
        let error = LibraryFiles.read("flights-2013-1.csv").expect_err("no such file");
        assert!(error.contains("did you mean `flights-2013-01.csv`?"), "{error}");
        assert!(
            DiskFiles::new("nowhere").read("weather-2013-01.csv").is_ok(),
            "the library helps out"
        );
    }
}
