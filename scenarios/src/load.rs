//! Reading a scenario file: from text to a [`Script`], with every problem at its place.
//!
//! In three steps. The text is read as TOML and as settings; the first key or value that does not fit is the problem.
//! Then everything that the settings say of each other is checked, and all problems are collected. Last the data is read
//! and the topology built, with the fields of every output.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;

use crate::check::Checker;
use crate::expectation::Claim;
use crate::input::Stock;
use crate::places::{Place, Places, place};
use crate::prepare::{Loaded, Loader, fill_empirical, fill_model};
use crate::query::SyntaxError;
use crate::schema::Schema;
use crate::script::Scenario;
use crate::suggest;
use crate::time::Time;
use crate::topology::Topology;

/// A scenario read, checked and ready to be run any number of times, at any seed.
#[derive(Clone, Debug)]
pub struct Script {
    /// The settings.
    pub scenario: Scenario,
    /// Actors, nodes and links.
    pub topology: Arc<Topology>,
    /// The text it was read from, for pointing into it.
    pub text: Arc<str>,
    /// Where it came from, for a person: a path, or a name in the library.
    pub origin: Arc<str>,
    /// The settings that win over the file's, as they were given.
    pub overrides: Vec<(String, String)>,
    /// What else of the command line changed the settings: a flag and its value, each.
    pub flags: Vec<(&'static str, String)>,
    /// The statements of the scenario's expectations, in their order.
    pub claims: Vec<Claim>,
    /// The tables to enrich from, in the scenario's order, read.
    pub tables: Arc<[LoadedTable]>,
    /// Rows of sources that could not be read and are skipped, of each source: how many, and the first of them.
    pub skipped: Vec<(u64, Vec<Problem>)>,
    /// The folders that sources read.
    pub ingests: Arc<[Ingest]>,
    pub(crate) stock: Arc<[Stock]>,
    start: Time,
    places: Arc<Places>,
}

/// A table to look up in.
#[derive(Clone, PartialEq, Debug)]
pub struct LoadedTable {
    /// Its columns.
    pub schema: Schema,
    /// Its rows; in case of doubt the first one that fits is meant.
    pub rows: Vec<crate::value::Row>,
}

/// Something wrong with a scenario or a data file, at its place.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters are meant.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// What was probably meant, or what to do.
    pub help: Option<String>,
}

impl Problem {
    pub(crate) fn at(file: &str, line: usize, column: usize, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line,
            column,
            length: 1,
            message: message.into(),
            help: None,
        }
    }
    pub(crate) fn with_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

impl fmt::Display for Problem {
    /// `file:line:column: message`, and the help behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Where data files come from.
pub trait Files {
    /// The bytes of the file of that name.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, name: &str) -> Result<Arc<[u8]>, String>;

    /// The names of the plain files of a folder, in order; those that begin with a dot are passed over, such a file may
    /// still be written. `folder` ends with a slash.
    ///
    /// # Errors
    /// Why they cannot be listed.
    fn list(&self, folder: &str) -> Result<Vec<String>, String> {
        Err(format!("there is no folder `{folder}`"))
    }
}

/// A folder that a source reads: its files, whose events follow each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ingest {
    /// The source, by its place in the scenario.
    pub source: usize,
    /// The folder, with a slash behind.
    pub folder: String,
    /// Where its files are moved when they are done.
    pub done: Option<String>,
    /// The number of the first event.
    pub first: u64,
    /// The files in the order in which they are read, and how many events each has.
    pub files: Vec<(String, u64)>,
}

impl Script {
    /// Reads a scenario. `origin` names the file for a person; `files` finds its data; `overrides` are settings that win
    /// over the file's, as `--set` gives them: a dotted path, whose list entries go by their `name` or `id`, and a value
    /// (`fault.slow-link.rate`, `0.2`).
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file.
    pub fn load(
        text: &str,
        origin: &str,
        files: &dyn Files,
        overrides: &[(String, String)],
    ) -> Result<Self, Vec<Problem>> {
        let mut scenario = read_settings(text, origin)?;
        if !overrides.is_empty() {
            scenario = override_settings(text, overrides)?;
        }
        let places = Places::of(text);
        let checker = Checker {
            scenario: &scenario,
            places: &places,
            text,
            origin,
            problems: vec![],
            models: BTreeMap::new(),
        };
        let (loaded, scenario_delays) = match Loader::new(checker, files).load() {
            Ok(loaded) => loaded,
            Err(mut problems) => {
                problems.sort_by(|a, b| {
                    let key = |p: &Problem| (p.file != origin, p.file.clone(), p.line, p.column);
                    key(a).cmp(&key(b))
                });
                problems.dedup();
                return Err(problems);
            }
        };
        let Loaded {
            topology,
            claims,
            tables,
            skipped,
            ingests,
            stock,
            start,
            models,
        } = loaded;
        for (path, values) in scenario_delays {
            fill_empirical(&mut scenario, path, values);
        }
        for ((operator, version), model) in models {
            fill_model(&mut scenario, operator, version, model, start);
        }
        Ok(Self {
            scenario,
            topology: Arc::new(topology),
            text: text.into(),
            origin: origin.into(),
            overrides: overrides.to_vec(),
            flags: Vec::new(),
            claims,
            tables: tables.into(),
            skipped,
            ingests: ingests.into(),
            stock: stock.into(),
            start,
            places: Arc::new(places),
        })
    }

    /// What to type behind `wavetank run` for this scenario: the name of one of the library (whose origin is its path
    /// below `library/`), else the path.
    pub fn target(&self) -> &str {
        match self.origin.strip_prefix("library/") {
            Some(path) => {
                let file = path.rsplit('/').next().unwrap_or(path);
                file.strip_suffix(".toml").unwrap_or(file)
            }
            None => &self.origin,
        }
    }

    /// The command that runs this scenario at a seed, with the settings that won over the file's, and other flags
    /// that changed them; as a shell takes it.
    pub fn command(&self, seed: u64) -> String {
        let mut line = format!("wavetank run {} --seed {seed}", shell_word(self.target()));
        for (path, value) in &self.overrides {
            line += &format!(" --set {}", shell_word(&format!("{path}={value}")));
        }
        for (flag, value) in &self.flags {
            line += &format!(" {flag} {}", shell_word(value));
        }
        line
    }

    /// Where virtual time starts: as set, else at the first thing that leaves a source of files, else at the epoch.
    pub const fn start(&self) -> Time {
        self.start
    }

    /// Where sources stop, if the length of the run is set: nothing leaves at or after it.
    pub fn end(&self) -> Option<Time> {
        self.scenario.time.length.map(|length| self.start + length)
    }

    /// Where a setting stands in the file, from its key to the end of its line; list entries go by name, id or index
    /// (`operator.per-minute.watermark`, `fault[0].rate`). A setting that is not in the file, because it has its default,
    /// leads to what it belongs to; `None` where there is nothing of the kind.
    pub fn span(&self, path: &str) -> Option<Place> {
        self.places.line_of(path).map(|range| place(&self.text, range))
    }

    /// The scenario with everything that defaults fill in, as the text of a scenario file that means the same.
    ///
    /// # Errors
    /// A setting that TOML cannot express; none is known.
    pub fn expand(&self) -> Result<String, String> {
        let mut scenario = self.scenario.clone();
        scenario.time.start = Some(self.start);
        expand(&scenario)
    }
}

/// A word of a command line, in quotes where a shell would read it otherwise.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A scenario as the text of a file with every default written out.
///
/// # Errors
/// A setting that TOML cannot express; none is known.
pub fn expand(scenario: &Scenario) -> Result<String, String> {
    // By way of a table, so that plain values come before the tables that would swallow them.
    let table = toml::Table::try_from(scenario).map_err(|e| e.to_string())?;
    toml::to_string(&table).map_err(|e| e.to_string())
}

/// The JSON Schema of scenario files, for editors.
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Scenario);
    schema.insert("title".into(), "A scenario of Wavetank".into());
    schema.to_value()
}

fn read_settings(text: &str, origin: &str) -> Result<Scenario, Vec<Problem>> {
    let (_, errors) = toml::de::DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|e| from_toml(text, origin, e)).collect());
    }
    toml::from_str(text).map_err(|e| vec![from_toml(text, origin, &e)])
}

/// An error of the TOML reader in our words, with what was probably meant.
fn from_toml(text: &str, origin: &str, error: &toml::de::Error) -> Problem {
    let range = error.span().unwrap_or(0..0);
    let message = error.message().trim();
    if let Some(inner) = syntax_error(message) {
        return inside(text, origin, range, &inner);
    }
    let at = place(text, range);
    let (message, help) = explain(message);
    Problem {
        file: origin.into(),
        line: at.line,
        column: at.column,
        length: at.length,
        message,
        help,
    }
}

/// A message of a query's reader, which carries its place within the query as text.
fn syntax_error(message: &str) -> Option<SyntaxError> {
    let (line, rest) = message.strip_prefix("line ")?.split_once(", column ")?;
    let (column, message) = rest.split_once(": ")?;
    Some(SyntaxError::at((line.parse().ok()?, column.parse().ok()?), message))
}

/// A problem inside a text of a file: the text's own line and column, counted from where its content begins.
pub(crate) fn inside(text: &str, origin: &str, range: Range<usize>, error: &SyntaxError) -> Problem {
    let raw = text.get(range.clone()).unwrap_or_default();
    let mut start = range.start;
    if raw.starts_with("\"\"\"") || raw.starts_with("'''") {
        start += 3;
        // A line end right behind the opening quotes is not part of the text.
        let behind = &raw[3..];
        start += if behind.starts_with("\r\n") {
            2
        } else {
            usize::from(behind.starts_with('\n'))
        };
    } else if raw.starts_with(['"', '\'']) {
        start += 1;
    }
    let first = place(text, start..start);
    let (line, column) = if error.line <= 1 {
        (first.line, first.column + error.column - 1)
    } else {
        (first.line + error.line - 1, error.column)
    };
    let (message, help) = split_help(&error.message);
    Problem {
        file: origin.into(),
        line,
        column,
        length: 1,
        message,
        help,
    }
}

/// A message of serde with a help: unknown names get the nearest one there is.
fn explain(message: &str) -> (String, Option<String>) {
    let quoted = |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    for (prefix, what) in [
        ("unknown field ", "there is no key"),
        ("unknown variant ", "there is no choice"),
    ] {
        if let Some(rest) = message.strip_prefix(prefix) {
            let names = quoted(rest);
            if let Some((wrong, known)) = names.split_first() {
                let help = suggest::help(wrong, known.iter().map(String::as_str));
                let help = help.or_else(|| Some("leave it out: no key is possible here".into()));
                return (format!("{what} `{wrong}` here"), help);
            }
        }
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        let name = rest.trim_matches('`');
        return (format!("`{name}` is missing"), Some(format!("add {name} = …")));
    }
    for prefix in ["invalid type: ", "invalid value: "] {
        if let Some((found, wanted)) = message
            .strip_prefix(prefix)
            .and_then(|rest| rest.split_once(", expected "))
        {
            let wanted = match wanted {
                "u64" | "u32" | "usize" => "a whole number that is not negative",
                "i64" | "i32" => "a whole number",
                "f64" => "a number",
                "a sequence" => "a list: [ … ]",
                "a map" => "a table: { … }",
                other => other,
            };
            return (format!("{found} does not fit here"), Some(format!("write {wanted}")));
        }
    }
    if message.contains("duplicate key") {
        let help = "every key is written once; use [[…]] for several entries".to_owned();
        return (message.to_owned(), Some(help));
    }
    match message.split_once(", expected ") {
        Some((message, expected)) => (
            message.to_owned(),
            Some(format!("expected {}", expected.replace('\n', ", "))),
        ),
        None => split_help(message),
    }
}

/// A message and the help that stands behind its semicolon.
fn split_help(message: &str) -> (String, Option<String>) {
    let message = message.replace('\n', ", ");
    match message.split_once("; ") {
        Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
        None => (message, None),
    }
}

/// Puts the overrides over the file's settings, one after another, so that each answers for itself.
fn override_settings(text: &str, overrides: &[(String, String)]) -> Result<Scenario, Vec<Problem>> {
    let mut table: toml::Table = toml::from_str(text).map_err(|e| vec![from_toml(text, "", &e)])?;
    let mut scenario = None;
    for (path, value) in overrides {
        let origin = format!("--set {path}={value}");
        let problem = |column: usize, message: String, help: Option<String>| {
            vec![Problem::at(&origin, 1, column, message).with_help(help)]
        };
        let parsed = format!("value = {value}");
        let value: toml::Value = match toml::from_str::<toml::Table>(&parsed) {
            Ok(mut parsed) if parsed.len() == 1 => parsed.remove("value").unwrap_or(toml::Value::Boolean(true)),
            // What is not a value of TOML is text: durations and names need no quotes here.
            _ => toml::Value::String(value.clone()),
        };
        set(&mut table, path, value).map_err(|(at, message, help)| problem(7 + at, message, help))?;
        let read = Scenario::deserialize(table.clone());
        scenario = Some(read.map_err(|e| {
            let (message, help) = explain(e.message());
            problem(7, message, help)
        })?);
    }
    scenario.ok_or_else(Vec::new)
}

/// The first step of a dotted path and the rest; a step in quotes may have dots inside.
fn step(path: &str) -> (&str, &str) {
    let mut quoted = false;
    let dot = path.find(|c| {
        quoted ^= c == '"';
        c == '.' && !quoted
    });
    dot.map_or((path, ""), |dot| (&path[..dot], &path[dot + 1..]))
}

/// Sets the value at a dotted path; the error has the byte of the path at which it went wrong.
fn set(table: &mut toml::Table, path: &str, value: toml::Value) -> Result<(), (usize, String, Option<String>)> {
    let (head, rest) = step(path);
    if head.is_empty() {
        return Err((
            0,
            "a name is missing in this path".into(),
            Some("for example fault.slow-link.rate=0.2".into()),
        ));
    }
    if rest.is_empty() {
        table.insert(head.to_owned(), value);
        return Ok(());
    }
    let deeper = |(at, message, help): (usize, String, Option<String>)| (at + head.len() + 1, message, help);
    match table
        .entry(head.to_owned())
        .or_insert_with(|| toml::Value::Table(toml::Table::new()))
    {
        toml::Value::Table(inner) => set(inner, rest, value).map_err(deeper),
        toml::Value::Array(items) => {
            let name_of = |item: &toml::Value| {
                let text = |key: &str| item.get(key)?.as_str().map(str::to_owned);
                let way = || Some(format!("{} -> {}", text("from")?, text("to")?));
                text("name").or_else(|| text("id")).or_else(way)
            };
            let names: Vec<String> = items.iter().filter_map(name_of).collect();
            let (written, rest) = step(rest);
            let entry = written.trim_matches('"');
            let index = items.iter().position(|item| name_of(item).as_deref() == Some(entry));
            match index
                .or_else(|| entry.parse().ok())
                .and_then(|i: usize| items.get_mut(i))
            {
                Some(toml::Value::Table(inner)) if !rest.is_empty() => {
                    set(inner, rest, value).map_err(|e| deeper((e.0 + written.len() + 1, e.1, e.2)))
                }
                Some(item) if rest.is_empty() => {
                    *item = value;
                    Ok(())
                }
                _ => {
                    let help = suggest::help(entry, names.iter().map(String::as_str));
                    Err(deeper((0, format!("no {head} is called `{entry}`"), help)))
                }
            }
        }
        _ => Err((0, format!("`{head}` is a single value and has no `{rest}`"), None)),
    }
}
