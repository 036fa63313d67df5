//! The run store: what is kept of runs on disk, so that they can be verified, compared and looked into later.
//!
//! `.wavetank/runs/<id>/` holds `record.json` (with the histograms), `scenario.toml` (expanded: nothing is left to
//! defaults), `conditions.json` (what else decided the run) and, when it was asked for, `trace.jsonl`;
//! `.wavetank/latest` names the last run. The id is the scenario, the seed and the first digits of the trace's hash, so
//! the same run has the same place. Every file is written beside its place and then renamed, the record last: a folder
//! with a record is complete, whatever interrupted the writing.

use std::fs;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use wavetank_reports::record::ReadError;
use wavetank_reports::trace::{TraceHeader, TraceLine, TraceReader, TraceWriter};
use wavetank_reports::{Record, json};
use wavetank_scenarios::suggest;

/// Where the store is when nothing else is said.
pub const DEFAULT: &str = ".wavetank";

const RECORD: &str = "record.json";
const SCENARIO: &str = "scenario.toml";
const CONDITIONS: &str = "conditions.json";
const TRACE: &str = "trace.jsonl";
const LATEST: &str = "latest";

/// A folder of runs.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// What decided a run besides its scenario and seed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Conditions {
    /// Whether operators were held to their models.
    pub oracle: bool,
    /// Times how fast the run followed the machine's clock, where it did.
    pub real_time: Option<f64>,
    /// The folder that data files were read from; nothing for a scenario of the library.
    pub data: Option<PathBuf>,
}

/// A run to keep.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// What came of it.
    pub record: &'a Record,
    /// Its scenario, expanded.
    pub scenario: &'a str,
    /// What else decided it.
    pub conditions: &'a Conditions,
    /// Everything that happened, where that is to be kept.
    pub trace: Option<&'a [TraceLine]>,
}

/// A run that was kept.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its folder.
    pub folder: PathBuf,
    /// What came of it.
    pub record: Record,
}

/// Why a kept run cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such run.
    #[error("there is no run `{wanted}` in {store}{help}")]
    NoSuchRun {
        /// What was asked for.
        wanted: String,
        /// Where.
        store: String,
        /// What was probably meant, or what to do.
        help: String,
    },
    /// A file of it cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its record is broken.
    #[error(transparent)]
    Record(#[from] ReadError),
    /// Its conditions are broken.
    #[error("{}: {why}", path.display())]
    Conditions {
        /// The file.
        path: PathBuf,
        /// Why.
        why: serde_json::Error,
    },
    /// Its trace is broken.
    #[error(transparent)]
    Trace(#[from] wavetank_reports::trace::TraceError),
}

/// The name of a run's folder.
pub fn id(record: &Record) -> String {
    let hash = record.trace_hash.short();
    let hash = if hash.is_empty() { "unhashed" } else { hash };
    // Names are checked when a scenario is read; a record may come from anywhere.
    let name: String = record
        .scenario
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "-_".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    format!("{name}-{}-{hash}", record.seed)
}

impl Store {
    /// The store in that folder, which need not be there yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// The folder that a run has, or would have.
    pub fn folder(&self, record: &Record) -> PathBuf {
        self.runs().join(id(record))
    }

    /// Keeps a run, in the place of an equal one if there is one. Nothing half-written is left where a reader looks.
    ///
    /// # Errors
    /// When the folder or a file cannot be written.
    pub fn keep(&self, run: Kept<'_>) -> io::Result<PathBuf> {
        let folder = self.folder(run.record);
        fs::create_dir_all(&folder)?;
        write(&folder, SCENARIO, |to| to.write_all(run.scenario.as_bytes()))?;
        write(&folder, CONDITIONS, |to| {
            serde_json::to_writer_pretty(&mut *to, run.conditions)?;
            to.write_all(b"\n")
        })?;
        if let Some(lines) = run.trace {
            write(&folder, TRACE, |to| {
                let mut writer = TraceWriter::new(to, &TraceHeader::new(&run.record.scenario, run.record.seed))?;
                lines.iter().try_for_each(|line| writer.write(line))
            })?;
        }
        let text = json::record(run.record)?;
        write(&folder, RECORD, |to| to.write_all(text.as_bytes()))?;
        Ok(folder)
    }

    /// Remembers a run as the last one.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn set_latest(&self, record: &Record) -> io::Result<()> {
        let id = id(record);
        write(&self.root, LATEST, |to| writeln!(to, "{id}"))
    }

    /// The ids of all runs, sorted.
    pub fn ids(&self) -> Vec<String> {
        let entries = fs::read_dir(self.runs()).into_iter().flatten().flatten();
        let complete = entries.filter(|entry| entry.path().join(RECORD).is_file());
        let mut ids: Vec<String> = complete
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        ids.sort();
        ids
    }

    /// The run that a person means: `latest`, an id or the only id that starts so, a run's folder, or its record.
    ///
    /// # Errors
    /// When there is none, or its record cannot be read.
    pub fn find(&self, wanted: &str) -> Result<Found, StoreError> {
        let path = Path::new(wanted);
        if path.is_file() {
            return Found::read(path.parent().unwrap_or(Path::new("")), path);
        }
        if path.join(RECORD).is_file() {
            return Found::read(path, &path.join(RECORD));
        }
        let no_such = |help: String| StoreError::NoSuchRun {
            wanted: wanted.to_owned(),
            store: self.runs().display().to_string(),
            help,
        };
        let ids = self.ids();
        let meant = if wanted == LATEST {
            let text = fs::read_to_string(self.root.join(LATEST));
            text.map_err(|_| no_such(": nothing was run yet; try `wavetank run`".into()))?
                .trim()
                .to_owned()
        } else {
            wanted.to_owned()
        };
        let alike: Vec<&String> = ids.iter().filter(|id| id.starts_with(&meant)).collect();
        let id = match (ids.iter().find(|id| **id == meant), alike.as_slice()) {
            (Some(id), _) => id,
            (None, [only]) if !meant.is_empty() => *only,
            (None, [_, _, ..]) if !meant.is_empty() => {
                let names: Vec<&str> = alike.iter().take(5).map(|id| id.as_str()).collect();
                return Err(no_such(format!(
                    " alone: it may be {}; write more of it",
                    names.join(", ")
                )));
            }
            _ => {
                let near = suggest::closest(&meant, ids.iter().map(String::as_str));
                return Err(no_such(near.map_or_else(
                    || ": `wavetank run` keeps runs there, and names them at its end".into(),
                    |near| format!("; did you mean `{near}`?"),
                )));
            }
        };
        let folder = self.runs().join(id);
        let record = folder.join(RECORD);
        Found::read(&folder, &record)
    }
}

impl Found {
    fn read(folder: &Path, record: &Path) -> Result<Self, StoreError> {
        let text = read(record)?;
        let record = Record::from_json(&text, &record.display().to_string())?;
        Ok(Self {
            folder: folder.to_owned(),
            record,
        })
    }

    /// The path of its scenario.
    pub fn scenario_path(&self) -> PathBuf {
        self.folder.join(SCENARIO)
    }

    /// Its scenario, expanded.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn scenario(&self) -> Result<String, StoreError> {
        read(&self.scenario_path())
    }

    /// What else decided it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn conditions(&self) -> Result<Conditions, StoreError> {
        let path = self.folder.join(CONDITIONS);
        serde_json::from_str(&read(&path)?).map_err(|why| StoreError::Conditions { path, why })
    }

    /// Its trace, where it was kept.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn trace(&self) -> Result<Option<TraceReader<BufReader<fs::File>>>, StoreError> {
        let path = self.folder.join(TRACE);
        match fs::File::open(&path) {
            Ok(file) => Ok(Some(TraceReader::new(
                BufReader::new(file),
                path.display().to_string(),
            )?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Unreadable { path, source }),
        }
    }
}

fn read(path: &Path) -> Result<String, StoreError> {
    fs::read_to_string(path).map_err(|source| StoreError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file beside its place and renames it, so that whoever reads sees the old one or the new one.
fn write(
    folder: &Path,
    name: &str,
    content: impl FnOnce(&mut BufWriter<fs::File>) -> io::Result<()>,
) -> io::Result<()> {
    // Two runs of one id may be kept at the same time, by threads or by processes: each has an attempt of its own.
    static ATTEMPT: AtomicU64 = AtomicU64::new(0);
    let attempt = ATTEMPT.fetch_add(1, Ordering::Relaxed);
    let aside = folder.join(format!(".{name}.{}.{attempt}", std::process::id()));
    let written = (|| {
        let mut to = BufWriter::new(fs::File::create(&aside)?);
        content(&mut to)?;
        to.flush()?;
        fs::rename(&aside, folder.join(name))
    })();
    if written.is_err() {
        // What is left of the attempt helps nobody; the error that counts is the first one.
        let _ = fs::remove_file(&aside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_reports::Time;
    use wavetank_reports::record::TraceHash;
    use wavetank_reports::trace::TraceKind;

    fn run(seed: u64, hash: u64) -> Record {
        let mut record = Record::new("orders", "filter", seed);
        record.trace_hash = TraceHash::from(hash);
        record
    }

    fn keep(store: &Store, record: &Record, trace: Option<&[TraceLine]>) -> PathBuf {
        let conditions = Conditions {
            oracle: true,
            real_time: None,
            data: None,
        };
        store
            .keep(Kept {
                record,
                scenario: "name = \"orders\"\n",
                conditions: &conditions,
                trace,
            })
            .expect("kept")
    }

    #[test]
    fn a_kept_run_is_found_by_its_id_the_start_of_it_its_folder_and_as_the_latest() {
        let place = tempfile::tempdir().expect("a folder");
        let store = Store::new(place.path());
        let record = run(42, 0x3fa2_b1c9_0000_0000);
        let folder = keep(&store, &record, None);
        store.set_latest(&record).expect("kept");
        assert_eq!(store.ids(), ["orders-42-3fa2b1c"]);
        let path = folder.display().to_string();
        for wanted in [
            "orders-42-3fa2b1c",
            "orders-42",
            "latest",
            path.as_str(),
            &format!("{path}/record.json"),
        ] {
            let found = store.find(wanted).expect(wanted);
            assert_eq!(found.record, record);
            assert_eq!(found.scenario().expect("a scenario"), "name = \"orders\"\n");
            assert!(found.conditions().expect("conditions").oracle);
            assert!(found.trace().expect("readable").is_none());
        }
    }

    #[test]
    fn a_run_that_is_not_there_or_not_the_only_one_is_explained() {
        let place = tempfile::tempdir().expect("a folder");
        let store = Store::new(place.path());
        let error = |wanted: &str| store.find(wanted).expect_err("there is none").to_string();
        assert!(error("latest").contains("nothing was run yet"), "{}", error("latest"));
        keep(&store, &run(1, 1 << 60), None);
        keep(&store, &run(2, 2 << 60), None);
        assert!(
            error("orders-").contains("may be orders-1-1000000, orders-2-2000000"),
            "{}",
            error("orders-")
        );
        assert!(
            error("order-1-100000").contains("did you mean `orders-1-1000000`?"),
            "{}",
            error("order-1-100000")
        );
        assert!(error("").contains("there is no run"), "{}", error(""));
    }

    #[test]
    fn a_folder_without_a_record_is_no_run_and_a_broken_record_says_where() {
        let place = tempfile::tempdir().expect("a folder");
        let store = Store::new(place.path());
        fs::create_dir_all(place.path().join("runs/half")).expect("a folder");
        assert!(store.ids().is_empty());
        let folder = keep(&store, &run(1, 1), None);
        fs::write(folder.join(RECORD), "{\"schema\": 1,\n!").expect("written");
        let error = store.find("orders-1").expect_err("broken").to_string();
        assert!(error.contains("record.json:2:1"), "{error}");
    }

    #[test]
    fn keeping_a_run_again_leaves_its_trace_and_nothing_half_written() {
        let place = tempfile::tempdir().expect("a folder");
        let store = Store::new(place.path());
        let record = run(7, 7);
        let line = TraceLine::new(Time(5), 0, TraceKind::Note);
        keep(&store, &record, Some(std::slice::from_ref(&line)));
        let folder = keep(&store, &record, None);
        let found = store.find("orders-7").expect("found");
        let reader: TraceReader<_> = found.trace().expect("readable").expect("there");
        assert_eq!(reader.header(), &TraceHeader::new("orders", 7));
        let lines: Vec<_> = reader.map(|line| line.expect("a line")).collect();
        assert_eq!(lines, [line]);
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("a folder")
            .flatten()
            .map(|e| e.file_name().into_string().expect("text"))
            .collect();
        names.sort();
        assert_eq!(names, [CONDITIONS, RECORD, SCENARIO, TRACE]);
    }
}
