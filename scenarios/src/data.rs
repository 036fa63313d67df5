//! Reading data files: CSV and JSON Lines, for sources, tables and measured delays. Every row that cannot be read is a
//! [`Problem`] with its line and column.

use std::sync::Arc;

use arcstr::ArcStr;
use indexmap::IndexMap;
use rustc_hash::FxHashMap;

use crate::load::Problem;
use crate::schema::FieldType;
use crate::script::TimeFormat;
use crate::shapes::{Shape, Shapes};
use crate::suggest;
use crate::time::{Span, Time};
use crate::value::Value;

/// The most problems that are kept of one file; the others are counted.
const MOST_PROBLEMS: usize = 100;

/// The rows of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub fields: Shapes,
    pub rows: Vec<Vec<Value>>,
    /// The line of each row.
    pub lines: Vec<usize>,
    /// What could not be read: the first so many.
    pub problems: Vec<Problem>,
    /// How many rows could not be read.
    pub bad: u64,
}

/// What is asked of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// Declared types.
    pub declared: Option<&'a IndexMap<ArcStr, FieldType>>,
    /// Columns that hold times, as `format` has it; the first must not be empty.
    pub times: Vec<&'a str>,
    /// How those columns write times.
    pub format: TimeFormat,
}

/// Reads a file by what its name ends with.
pub(crate) fn read(name: &str, bytes: &[u8], wanted: &Wanted<'_>) -> Result<Rows, Problem> {
    let lower = name.to_ascii_lowercase();
    let at_start = |message: String, help: Option<String>| Problem::at(name, 1, 1, message).with_help(help);
    let reader = Reader {
        name,
        wanted,
        rows: Rows::default(),
    };
    if lower.ends_with(".csv") {
        reader.csv(bytes)
    } else if lower.ends_with(".jsonl") || lower.ends_with(".ndjson") {
        reader.json_lines(bytes)
    } else {
        let help = Some("data files end with .csv, .jsonl or .ndjson".to_owned());
        Err(at_start(
            format!("what kind of file `{name}` is cannot be told from its name"),
            help,
        ))
    }
}

/// Reads the values of a measured distribution: spans, or numbers of milliseconds, ascending.
pub(crate) fn read_spans(name: &str, bytes: &[u8]) -> Result<Arc<[Span]>, Problem> {
    let mut values = Vec::new();
    for (i, line) in String::from_utf8_lossy(bytes).lines().enumerate() {
        let cell = line.split(',').next().unwrap_or_default().trim().trim_matches('"');
        if cell.is_empty() {
            continue;
        }
        match Span::parse(cell).or_else(|_| Span::parse(&format!("{cell}ms"))) {
            Ok(span) => values.push(span),
            Err(_) if i == 0 => {}
            Err(_) => {
                let message = format!("`{cell}` is neither a duration nor a number of milliseconds");
                return Err(Problem::at(name, i + 1, 1, message));
            }
        }
    }
    if values.is_empty() {
        return Err(Problem::at(name, 1, 1, "there is no value in this file")
            .with_help(Some("one duration, or number of milliseconds, a line".into())));
    }
    values.sort_unstable();
    Ok(values.into())
}

/// A time as a file writes it.
fn parse_time(text: &str, format: TimeFormat) -> Result<Time, String> {
    let since = |unit: &str| {
        let plain = text
            .strip_prefix('-')
            .unwrap_or(text)
            .chars()
            .all(|c| c.is_ascii_digit() || c == '.');
        let span = if plain {
            Span::parse(&format!("{text}{unit}"))
        } else {
            Err(String::new())
        };
        span.map(|s| Time::from_micros(s.micros()))
            .map_err(|_| format!("`{text}` is not a number"))
    };
    match format {
        TimeFormat::Rfc3339 => {
            Time::parse(text).map_err(|_| format!("`{text}` is not a time like 2013-01-01T10:15:00Z"))
        }
        TimeFormat::Seconds => since("s"),
        TimeFormat::Millis => since("ms"),
        TimeFormat::Micros => since("us"),
    }
}

/// The narrowest type that every text of a column can be read as.
fn infer<'a>(cells: impl Iterator<Item = &'a str> + Clone) -> FieldType {
    if cells.clone().all(str::is_empty) {
        return FieldType::Any;
    }
    [FieldType::Int, FieldType::Float, FieldType::Bool, FieldType::Time]
        .into_iter()
        .find(|kind| {
            cells
                .clone()
                .filter(|c| !c.is_empty())
                .all(|c| cell(c, *kind).is_some())
        })
        .unwrap_or(FieldType::Text)
}

/// A text read as a value of that type.
fn cell(text: &str, kind: FieldType) -> Option<Value> {
    match kind {
        FieldType::Int => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
            if plain { text.parse().ok().map(Value::Int) } else { None }
        }
        FieldType::Float => {
            let starts = text
                .strip_prefix('-')
                .unwrap_or(text)
                .starts_with(|c: char| c.is_ascii_digit() || c == '.');
            if starts {
                text.parse().ok().filter(|x: &f64| x.is_finite()).map(Value::Float)
            } else {
                None
            }
        }
        FieldType::Bool => match text {
            "true" | "TRUE" | "True" => Some(Value::Bool(true)),
            "false" | "FALSE" | "False" => Some(Value::Bool(false)),
            _ => None,
        },
        FieldType::Time => Time::parse(text).ok().map(Value::Time),
        FieldType::Bytes => Some(Value::Bytes(Arc::new(text.as_bytes().to_vec()))),
        FieldType::Text | FieldType::Any => Some(Value::text(text)),
        FieldType::List | FieldType::Record => {
            let json: serde_json::Value = serde_json::from_str(text).ok()?;
            let value = from_json(&json);
            (value.type_name() == if kind == FieldType::List { "list" } else { "record" }).then_some(value)
        }
    }
}

/// A JSON value as a value of a row.
pub(crate) fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::Number(n) => n
            .as_i64()
            .map_or_else(|| n.as_f64().map_or(Value::Null, Value::Float), Value::Int),
        serde_json::Value::String(text) => Value::text(text.as_str()),
        serde_json::Value::Array(items) => Value::List(Arc::new(items.iter().map(from_json).collect())),
        serde_json::Value::Object(table) => Value::Record(Arc::new(
            table
                .iter()
                .map(|(name, v)| (ArcStr::from(name.as_str()), from_json(v)))
                .collect(),
        )),
    }
}

struct Reader<'a> {
    name: &'a str,
    wanted: &'a Wanted<'a>,
    rows: Rows,
}

impl Reader<'_> {
    fn bad(&mut self, line: usize, column: usize, message: String, help: Option<String>) {
        self.rows.bad += 1;
        if self.rows.problems.len() < MOST_PROBLEMS {
            self.rows
                .problems
                .push(Problem::at(self.name, line, column, message).with_help(help));
        }
    }

    fn wanted_columns(&self) -> impl Iterator<Item = &str> {
        let declared = self
            .wanted
            .declared
            .into_iter()
            .flat_map(|d| d.keys().map(ArcStr::as_str));
        self.wanted.times.iter().copied().chain(declared)
    }

    fn csv(mut self, bytes: &[u8]) -> Result<Rows, Problem> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let header: Vec<String> = match reader.byte_headers() {
            Ok(header) => header
                .iter()
                .map(|h| String::from_utf8_lossy(h).trim().to_owned())
                .collect(),
            Err(e) => return Err(Problem::at(self.name, 1, 1, format!("the header cannot be read: {e}"))),
        };
        if header.is_empty() {
            return Err(Problem::at(self.name, 1, 1, "this file is empty")
                .with_help(Some("the first line of a CSV file names its columns".into())));
        }
        for (i, name) in header.iter().enumerate() {
            let column = column_of(first_line(bytes), i);
            if name.is_empty() {
                return Err(Problem::at(
                    self.name,
                    1,
                    column,
                    format!("column {} has no name", i + 1),
                ));
            }
            if header[..i].contains(name) {
                return Err(Problem::at(
                    self.name,
                    1,
                    column,
                    format!("two columns are called `{name}`"),
                ));
            }
        }
        for name in self.wanted_columns() {
            if !header.iter().any(|h| h == name) {
                let help = suggest::help(name, header.iter().map(String::as_str));
                return Err(Problem::at(self.name, 1, 1, format!("there is no column `{name}`")).with_help(help));
            }
        }
        let mut records = Vec::new();
        let mut record = csv::ByteRecord::new();
        loop {
            match reader.read_byte_record(&mut record) {
                Ok(false) => break,
                Err(e) => {
                    let line = reader.position().line() as usize;
                    self.bad(line, 1, format!("this row cannot be read: {e}"), None);
                    break;
                }
                Ok(true) => {}
            }
            let line = record.position().map_or(0, |p| p.line() as usize);
            let start = record.position().map_or(0, |p| p.byte() as usize);
            if record.len() != header.len() {
                let message = format!(
                    "this row has {} columns, and the header names {}",
                    record.len(),
                    header.len()
                );
                self.bad(line, 1, message, None);
                continue;
            }
            match csv::StringRecord::from_byte_record(record.clone()) {
                Ok(text) => records.push((line, start, text)),
                Err(e) => {
                    let column = column_of(first_line(&bytes[start.min(bytes.len())..]), e.utf8_error().field());
                    self.bad(line, column, "this is not text in UTF-8".into(), None);
                }
            }
        }
        let kinds: Vec<FieldType> = header
            .iter()
            .enumerate()
            .map(|(i, name)| {
                if self.wanted.times.contains(&name.as_str()) {
                    FieldType::Time
                } else if let Some(kind) = self.wanted.declared.and_then(|d| d.get(name.as_str())) {
                    *kind
                } else {
                    infer(records.iter().map(|(_, _, r)| &r[i]))
                }
            })
            .collect();
        self.rows.fields = header
            .iter()
            .zip(&kinds)
            .map(|(n, k)| (n.as_str().into(), Shape::of_type(*k)))
            .collect();
        let mut known: FxHashMap<String, ArcStr> = FxHashMap::default();
        'rows: for (line, start, record) in &records {
            let mut row = Vec::with_capacity(kinds.len());
            for (i, (text, kind)) in record.iter().zip(&kinds).enumerate() {
                let first_time = self.wanted.times.first() == Some(&header[i].as_str());
                let value = if text.is_empty() {
                    if first_time {
                        Err("the time is missing".to_owned())
                    } else {
                        Ok(Value::Null)
                    }
                } else if self.wanted.times.contains(&header[i].as_str()) {
                    parse_time(text, self.wanted.format).map(Value::Time)
                } else if matches!(kind, FieldType::Text | FieldType::Any) {
                    Ok(Value::Text(match known.get(text) {
                        Some(shared) => shared.clone(),
                        None => {
                            let shared = ArcStr::from(text);
                            // Texts that hardly repeat are not worth remembering.
                            if known.len() < 100_000 {
                                known.insert(text.to_owned(), shared.clone());
                            }
                            shared
                        }
                    }))
                } else {
                    cell(text, *kind).ok_or_else(|| format!("`{text}` is no {}", name_of(*kind)))
                };
                match value {
                    Ok(value) => row.push(value),
                    Err(why) => {
                        let column = column_of(first_line(&bytes[(*start).min(bytes.len())..]), i);
                        self.bad(*line, column, format!("column `{}`: {why}", header[i]), None);
                        continue 'rows;
                    }
                }
            }
            self.rows.rows.push(row);
            self.rows.lines.push(*line);
        }
        Ok(self.rows)
    }

    fn json_lines(mut self, bytes: &[u8]) -> Result<Rows, Problem> {
        let mut fields: IndexMap<ArcStr, Shape> = IndexMap::new();
        let mut objects = Vec::new();
        for (i, raw) in bytes.split(|b| *b == b'\n').enumerate() {
            let line = i + 1;
            let Ok(text) = std::str::from_utf8(raw) else {
                self.bad(line, 1, "this is not text in UTF-8".into(), None);
                continue;
            };
            if text.trim().is_empty() {
                continue;
            }
            match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
                Ok(object) => objects.push((line, object)),
                Err(e) => {
                    let message = e.to_string();
                    let message = message.split(" at line ").next().unwrap_or_default().to_owned();
                    let help = Some("each line is one JSON object".to_owned());
                    self.bad(line, e.column().max(1), message, help);
                }
            }
        }
        if objects.is_empty() && self.rows.bad == 0 {
            return Err(Problem::at(self.name, 1, 1, "this file is empty")
                .with_help(Some("each line is one JSON object".into())));
        }
        for (_, object) in &objects {
            for (name, json) in object {
                let time = self.wanted.times.contains(&name.as_str());
                let declared = self.wanted.declared.and_then(|d| d.get(name.as_str()));
                let shape = match declared {
                    _ if time => Shape::of_type(FieldType::Time),
                    Some(kind) => Shape::of_type(*kind),
                    None => Shape::of(&from_json(json)),
                };
                match fields.get_mut(name.as_str()) {
                    Some(known) => *known = known.clone().merge(shape),
                    None => {
                        fields.insert(name.as_str().into(), shape);
                    }
                }
            }
        }
        for name in self.wanted_columns() {
            if !fields.contains_key(name) && self.rows.bad == 0 {
                let help = suggest::help(name, fields.keys().map(ArcStr::as_str));
                return Err(Problem::at(self.name, 1, 1, format!("no line has a field `{name}`")).with_help(help));
            }
        }
        'rows: for (line, object) in &objects {
            let mut row = Vec::with_capacity(fields.len());
            for (name, shape) in &fields {
                let json = object.get(name.as_str()).unwrap_or(&serde_json::Value::Null);
                let first_time = self.wanted.times.first() == Some(&name.as_str());
                let value = if json.is_null() {
                    if first_time {
                        Err("the time is missing".to_owned())
                    } else {
                        Ok(Value::Null)
                    }
                } else if self.wanted.times.contains(&name.as_str()) {
                    let text = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
                    parse_time(&text, self.wanted.format).map(Value::Time)
                } else {
                    fit(from_json(json), shape.kind())
                };
                match value {
                    Ok(value) => row.push(value),
                    Err(why) => {
                        self.bad(*line, 1, format!("field `{name}`: {why}"), None);
                        continue 'rows;
                    }
                }
            }
            self.rows.rows.push(row);
            self.rows.lines.push(*line);
        }
        self.rows.fields = fields.into_iter().collect();
        Ok(self.rows)
    }
}

/// A value as one of that type, where that loses nothing.
pub(crate) fn fit(value: Value, kind: FieldType) -> Result<Value, String> {
    Ok(match (value, kind) {
        (Value::Null, _) => Value::Null,
        (value, FieldType::Any) => value,
        (Value::Int(i), FieldType::Float) => Value::Float(i as f64),
        (Value::Text(text), FieldType::Time) => match Time::parse(&text) {
            Ok(time) => Value::Time(time),
            Err(_) => return Err(format!("`{text}` is not a time like 2013-01-01T10:15:00Z")),
        },
        (Value::Text(text), FieldType::Bytes) => Value::Bytes(Arc::new(text.as_bytes().to_vec())),
        (value, kind) if value.type_name() == name_of(kind) => value,
        (value, kind) => return Err(format!("`{value}` is no {}", name_of(kind))),
    })
}

/// The name of a type in a message.
pub(crate) const fn name_of(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Any => "any",
        FieldType::Bool => "bool",
        FieldType::Int => "int",
        FieldType::Float => "float",
        FieldType::Text => "text",
        FieldType::Time => "time",
        FieldType::Bytes => "bytes",
        FieldType::List => "list",
        FieldType::Record => "record",
    }
}

fn first_line(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == b'\n').next().unwrap_or_default()
}

/// The column, in characters from 1, at which a field of a line of CSV begins.
fn column_of(line: &[u8], field: usize) -> usize {
    let text = String::from_utf8_lossy(line);
    let mut quoted = false;
    let mut fields = 0;
    for (i, c) in text.chars().enumerate() {
        if fields == field {
            return i + 1;
        }
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields += 1,
            _ => {}
        }
    }
    text.chars().count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: &str, wanted: &Wanted<'_>) -> Rows {
        read("x.csv", text.as_bytes(), wanted).expect("a file")
    }
    fn kinds(rows: &Rows) -> Vec<FieldType> {
        rows.fields.iter().map(|(_, shape)| shape.kind()).collect()
    }

    #[test]
    fn the_types_of_columns_are_the_narrowest_that_fit_all_rows_and_empty_cells_are_null() {
        let rows = csv(
            "a,b,c,d,e,f\n1,1,true,2013-01-01T00:00:00Z,007,\n-2,1.5,false,2013-01-01T00:00:01Z,x,\n,,,,,\n",
            &Wanted::default(),
        );
        use FieldType as F;
        assert_eq!(kinds(&rows), [F::Int, F::Float, F::Bool, F::Time, F::Text, F::Any]);
        assert_eq!(rows.rows[0][4], Value::from("007"));
        assert!(rows.rows[2].iter().all(Value::is_null));
    }

    #[test]
    fn a_bad_row_is_reported_at_its_line_and_column_and_the_others_are_read() {
        let declared = IndexMap::from([(ArcStr::from("n"), FieldType::Int)]);
        let wanted = Wanted {
            declared: Some(&declared),
            times: vec!["t"],
            ..Wanted::default()
        };
        let rows = csv(
            "t,n,s\n2013-01-01T00:00:00Z,1,a\nnoon,2,b\n2013-01-01T00:00:02Z,x,c\n2013-01-01T00:00:03Z,3\n,4,d\n",
            &wanted,
        );
        assert_eq!((rows.rows.len(), rows.bad), (1, 4));
        let places: Vec<_> = rows
            .problems
            .iter()
            .map(|p| (p.line, p.column, p.message.as_str()))
            .collect();
        assert_eq!(
            places,
            [
                (5, 1, "this row has 2 columns, and the header names 3"),
                (3, 1, "column `t`: `noon` is not a time like 2013-01-01T10:15:00Z"),
                (4, 22, "column `n`: `x` is no int"),
                (6, 1, "column `t`: the time is missing"),
            ]
        );
    }

    #[test]
    fn times_are_read_in_every_format_exactly() {
        for (format, text, micros) in [
            (TimeFormat::Rfc3339, "1970-01-01T00:00:01.5Z", 1_500_000),
            (TimeFormat::Seconds, "1.000001", 1_000_001),
            (TimeFormat::Millis, "-3", -3_000),
            (TimeFormat::Micros, "7", 7),
        ] {
            assert_eq!(parse_time(text, format), Ok(Time::from_micros(micros)), "{text}");
        }
        for format in [
            TimeFormat::Rfc3339,
            TimeFormat::Seconds,
            TimeFormat::Millis,
            TimeFormat::Micros,
        ] {
            assert!(parse_time("soon", format).is_err());
            assert!(parse_time("5m", format).is_err());
        }
    }

    #[test]
    fn lines_of_json_may_lack_fields_and_nest() {
        let text = "{\"a\": 1, \"b\": {\"c\": \"x\"}}\n\n{\"a\": 2.5}\n{\"a\": }\n[1]\n";
        let rows = read("x.jsonl", text.as_bytes(), &Wanted::default()).expect("a file");
        assert_eq!(kinds(&rows), [FieldType::Float, FieldType::Record]);
        assert_eq!(rows.rows[0][0], Value::Float(1.0));
        assert!(rows.rows[1][1].is_null());
        assert_eq!(rows.problems.iter().map(|p| p.line).collect::<Vec<_>>(), [4, 5]);
    }

    #[test]
    fn a_missing_column_is_an_error_that_names_the_nearest() {
        let wanted = Wanted {
            times: vec!["observed"],
            ..Wanted::default()
        };
        let problem = read("x.csv", b"observed_at,x\n", &wanted).expect_err("no such column");
        assert!(
            problem
                .help
                .is_some_and(|help| help.contains("did you mean `observed_at`?"))
        );
    }

    #[test]
    fn measured_delays_are_spans_or_milliseconds_under_any_header() {
        let spans = read_spans("d.csv", b"delay\n3\n1.5s\n20us\n").expect("values");
        assert_eq!(
            spans.iter().map(|s| s.micros()).collect::<Vec<_>>(),
            [20, 3_000, 1_500_000]
        );
        assert_eq!(read_spans("d.csv", b"delay\n3\nx\n").expect_err("bad").line, 3);
        assert!(read_spans("d.csv", b"delay\n").is_err());
    }
}
