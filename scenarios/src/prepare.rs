//! From settings to what can be run: data read and dealt to the parts of sources, the topology built.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_models::{LoadedModel, ReadError};

use crate::check::Checker;
use crate::data::{self, Rows, Wanted};
use crate::distribution::Delay;
use crate::expectation::Claim;
use crate::input::{Planned, Stock, What, deal};
use crate::load::{Files, Ingest, LoadedTable, Problem};
use crate::query::SyntaxError;
use crate::sampling::shape_of;
use crate::schema::Schema;
use crate::script::{LiteralEvent, OnBad, ReadModel, Scenario, Source, Table};
use crate::shapes::{self, Shape, Shapes};
use crate::suggest;
use crate::time::{Span, Time};
use crate::topology::{self, Topology};
use crate::value::Value;

/// Which measured distribution of a scenario.
#[derive(Clone, Copy)]
pub(crate) enum DelayAt {
    Node(usize),
    Link(usize),
    Fault(usize),
}

/// The values of measured distributions, each with the place that it belongs to.
pub(crate) type Measured = Vec<(DelayAt, Arc<[Span]>)>;

/// Puts what was read where it belongs.
pub(crate) fn fill_empirical(scenario: &mut Scenario, at: DelayAt, read: Arc<[Span]>) {
    let delay = match at {
        DelayAt::Node(i) => &mut scenario.nodes[i].service,
        DelayAt::Link(i) => &mut scenario.links[i].delay,
        DelayAt::Fault(i) => &mut scenario.faults[i].amount,
    };
    if let Some(Delay::Empirical { values, .. }) = delay {
        *values = read;
    }
}

/// Puts a pre-trained model where it belongs.
pub(crate) fn fill_model(scenario: &mut Scenario, at: usize, version: usize, model: Arc<LoadedModel>, start: Time) {
    let learn = scenario
        .operators
        .get_mut(at)
        .and_then(|operator| operator.learn.as_mut());
    if let Some(file) = learn.and_then(|learn| learn.pretrained.get_mut(version)) {
        let from = file.from.map_or(Time::MIN, |from| start + from);
        file.read = Some(ReadModel { model, from });
    }
}

/// What follows from a scenario and its data.
pub(crate) struct Loaded {
    pub topology: Topology,
    pub claims: Vec<Claim>,
    pub tables: Vec<LoadedTable>,
    pub skipped: Vec<(u64, Vec<Problem>)>,
    pub ingests: Vec<Ingest>,
    pub stock: Vec<Stock>,
    pub start: Time,
    pub models: BTreeMap<(usize, usize), Arc<LoadedModel>>,
}

/// Reads the data of a scenario and works its topology out.
pub(crate) struct Loader<'a> {
    checker: Checker<'a>,
    scenario: &'a Scenario,
    files: &'a dyn Files,
    ingests: Vec<Ingest>,
}

/// A source as far as it can be read before it is known where time starts.
struct Read {
    shapes: Shapes,
    /// What it says: absolute times in files, times since the start elsewhere; `None` for generated ones.
    listed: Option<(bool, Vec<Planned>)>,
}

impl<'a> Loader<'a> {
    pub fn new(checker: Checker<'a>, files: &'a dyn Files) -> Self {
        Self {
            scenario: checker.scenario,
            checker,
            files,
            ingests: Vec::new(),
        }
    }

    pub fn load(mut self) -> Result<(Loaded, Measured), Vec<Problem>> {
        self.checker.structure();
        let delays = self.delays();
        self.models();
        let tables: Vec<Rows> = (0..self.scenario.tables.len()).map(|i| self.table(i)).collect();
        let mut skipped = Vec::with_capacity(self.scenario.sources.len());
        let mut read = Vec::with_capacity(self.scenario.sources.len());
        for index in 0..self.scenario.sources.len() {
            let (source, bad) = self.source(index);
            read.push(source);
            skipped.push(bad);
        }
        if !self.checker.problems.is_empty() {
            return Err(self.checker.problems);
        }
        let of_sources: Vec<&Shapes> = read.iter().map(|source| &source.shapes).collect();
        let of_tables: Vec<&Shapes> = tables.iter().map(|table| &table.fields).collect();
        let operators = self.checker.fields(&of_sources, &of_tables);
        if !self.checker.problems.is_empty() {
            return Err(self.checker.problems);
        }
        let sources: Vec<Schema> = read.iter().map(|r| shapes::schema(&r.shapes)).collect();
        let operators: Vec<Schema> = operators.iter().map(shapes::schema).collect();
        let topology = topology::build(self.scenario, &sources, &operators);
        let claims = self.checker.against(&topology);
        if !self.checker.problems.is_empty() {
            return Err(self.checker.problems);
        }
        let (stock, start) = self.stock(read);
        let tables = tables
            .into_iter()
            .map(|rows| LoadedTable {
                schema: shapes::schema(&rows.fields),
                rows: rows.rows.into_iter().map(Into::into).collect(),
            })
            .collect();
        Ok((
            Loaded {
                topology,
                claims,
                tables,
                skipped,
                ingests: self.ingests,
                stock,
                start,
                models: self.checker.models,
            },
            delays,
        ))
    }

    fn file(&mut self, path: &str, name: &str) -> Option<Arc<[u8]>> {
        match self.files.read(name) {
            Ok(bytes) => Some(bytes),
            Err(why) => {
                let help = "files are looked for beside the scenario file, then in the library's data".to_owned();
                self.checker
                    .say(path, format!("the file `{name}` cannot be read: {why}"), help);
                None
            }
        }
    }

    /// Reads the files of pre-trained models.
    fn models(&mut self) {
        let scenario = self.scenario;
        for (i, operator) in scenario.operators.iter().enumerate() {
            for (k, file) in operator.learn.iter().flat_map(|learn| &learn.pretrained).enumerate() {
                let path = format!("operator[{i}].learn.pretrained[{k}].file");
                let Some(bytes) = self.file(&path, &file.file) else {
                    continue;
                };
                match LoadedModel::read(&file.file, &bytes, file.version.as_deref()) {
                    Ok(model) => {
                        self.checker.models.insert((i, k), Arc::new(model));
                    }
                    Err(error) => {
                        let help = match error {
                            ReadError::Version { .. } => "ask for the version that is there, or for another file",
                            ReadError::Trained(_) | ReadError::Foreign => "wavetank train writes such files",
                            ReadError::WithoutOnnx => "build it with what reads them: cargo build --features onnx",
                            _ => "what is understood: wavetank explain operator.learn.pretrained.file",
                        };
                        let message = format!("the model `{}` cannot be used: {error}", file.file);
                        self.checker.say(&path, message, help.to_owned());
                    }
                }
            }
        }
    }

    /// The files that a source reads: one, or those of a folder.
    fn names(&mut self, path: &str, name: &str) -> Option<Vec<String>> {
        if !name.ends_with('/') {
            return Some(vec![name.to_owned()]);
        }
        let wrong = match self.files.list(name) {
            Ok(names) if !names.is_empty() => return Some(names.iter().map(|file| format!("{name}{file}")).collect()),
            Ok(_) => format!("there are no files in `{name}`"),
            Err(why) => format!("the folder `{name}` cannot be read: {why}"),
        };
        let help = "files are looked for beside the scenario file, then in the library's data".to_owned();
        self.checker.say(path, wrong, help);
        None
    }

    /// What is known of a folder that a source reads.
    fn ingest(&mut self, index: usize, source: &Source, folder: &str, files: Vec<(String, u64)>) {
        // A file that was moved says in its name which numbers its events had.
        let moved = |name: &String| {
            let (first, rest) = name.split_once('+')?;
            let (count, _) = rest.split_once('-')?;
            Some(first.parse::<u64>().ok()?.saturating_add(count.parse().ok()?))
        };
        let there = source.done.as_ref().map(|done| self.files.list(&format!("{done}/")));
        let before = there.and_then(Result::ok).unwrap_or_default();
        self.ingests.push(Ingest {
            source: index,
            folder: folder.to_owned(),
            done: source.done.clone(),
            first: before.iter().filter_map(moved).max().unwrap_or(0),
            files,
        });
    }

    fn delays(&mut self) -> Measured {
        let scenario = self.scenario;
        let nodes = scenario
            .nodes
            .iter()
            .enumerate()
            .map(|(i, n)| (DelayAt::Node(i), format!("node[{i}].service"), &n.service));
        let links = scenario
            .links
            .iter()
            .enumerate()
            .map(|(i, l)| (DelayAt::Link(i), format!("link[{i}].delay"), &l.delay));
        let faults = scenario
            .faults
            .iter()
            .enumerate()
            .map(|(i, f)| (DelayAt::Fault(i), format!("fault[{i}].amount"), &f.amount));
        let mut found = Vec::new();
        for (at, path, delay) in nodes.chain(links).chain(faults) {
            if let Some(Delay::Empirical { file, .. }) = delay
                && let Some(bytes) = self.file(&path, file)
            {
                match data::read_spans(file, &bytes) {
                    Ok(values) => found.push((at, values)),
                    Err(problem) => self.checker.problems.push(problem),
                }
            }
        }
        found
    }

    fn table(&mut self, index: usize) -> Rows {
        let table: &Table = &self.scenario.tables[index];
        if let Some(name) = &table.file {
            let Some(bytes) = self.file(&format!("table[{index}].file"), name) else {
                return Rows::default();
            };
            return match data::read(name, &bytes, &Wanted::default()) {
                Ok(rows) => {
                    self.checker.problems.extend(rows.problems.iter().cloned());
                    rows
                }
                Err(problem) => {
                    self.checker.problems.push(problem);
                    Rows::default()
                }
            };
        }
        let rows: Vec<Vec<(arcstr::ArcStr, Value)>> = table
            .rows
            .iter()
            .map(|row| row.iter().map(|(n, v)| (n.clone(), v.into())).collect())
            .collect();
        let (fields, rows) = line_up(&rows);
        Rows {
            fields,
            rows,
            ..Rows::default()
        }
    }

    fn source(&mut self, index: usize) -> (Read, (u64, Vec<Problem>)) {
        let source = &self.scenario.sources[index];
        let nothing = || Read {
            shapes: vec![],
            listed: Some((true, vec![])),
        };
        let (mut read, bad) = if let Some(name) = &source.file {
            match self.source_file(index, source, name) {
                Some((read, bad)) => (read, bad),
                None => return (nothing(), (0, vec![])),
            }
        } else if let Some(marbles) = &source.marbles {
            (self.marbles(index, source, marbles), (0, vec![]))
        } else if !source.events.is_empty() {
            (self.literal(index, source), (0, vec![]))
        } else {
            let shapes = source
                .fields
                .iter()
                .map(|(name, generator)| (name.clone(), shape_of(generator)))
                .collect();
            (Read { shapes, listed: None }, (0, vec![]))
        };
        if source.file.is_none() {
            self.declared(index, source, &mut read);
        }
        if let Some(by) = &source.node_by
            && shapes::schema(&read.shapes).slot(by).is_none()
        {
            let known: Vec<&str> = read.shapes.iter().map(|(n, _)| n.as_str()).collect();
            let help = suggest::help(by, known);
            self.checker.say(
                &format!("source[{index}].node_by"),
                format!("there is no field `{by}`"),
                help,
            );
        }
        (read, bad)
    }

    /// Compares a declared schema with what the source of a scenario file says itself.
    fn declared(&mut self, index: usize, source: &Source, read: &mut Read) {
        for (name, kind) in source.schema.iter().flatten() {
            let path = format!("source[{index}].schema.{name}");
            let Some(slot) = read.shapes.iter().position(|(n, _)| n == name) else {
                let help = suggest::help(name, read.shapes.iter().map(|(n, _)| n.as_str()));
                self.checker
                    .say(&path, format!("the source has no field `{name}`"), help);
                continue;
            };
            let found = read.shapes[slot].1.kind();
            let same = found == *kind || *kind == crate::schema::FieldType::Any;
            let Some((_, listed)) = &mut read.listed else {
                if !same {
                    let message = format!(
                        "`{name}` is declared {} and generated as {}",
                        data::name_of(*kind),
                        data::name_of(found)
                    );
                    self.checker.say(&path, message, "declare what is generated".to_owned());
                }
                continue;
            };
            if same {
                continue;
            }
            read.shapes[slot].1 = Shape::of_type(*kind);
            let mut wrong = None;
            for planned in listed.iter_mut() {
                if let What::Event(row) = &planned.what {
                    let mut values = row.to_vec();
                    match data::fit(values[slot].clone(), *kind) {
                        Ok(value) => values[slot] = value,
                        Err(why) => wrong = Some(why),
                    }
                    planned.what = What::Event(values.into());
                }
            }
            if let Some(why) = wrong {
                self.checker.say(
                    &path,
                    format!("`{name}` is declared {}: {why}", data::name_of(*kind)),
                    "declare what the events have".to_owned(),
                );
            }
        }
    }

    fn source_file(&mut self, index: usize, source: &Source, name: &str) -> Option<(Read, (u64, Vec<Problem>))> {
        let at = |key: &str| format!("source[{index}].{key}");
        let names = self.names(&at("file"), name)?;
        let event = source.event_time.as_deref();
        let arrival = source.arrival_time.as_deref();
        if event.is_none() && arrival.is_none() && source.rate.is_none() {
            let help = "name a column in event_time or arrival_time, or let the rows come at a rate".to_owned();
            self.checker
                .say(&at("file"), "when the rows of this file happened is not known", help);
            return None;
        }
        let times: Vec<&str> = event.into_iter().chain(arrival).collect();
        let wanted = Wanted {
            declared: source.schema.as_ref(),
            times,
            format: source.time_format,
        };
        let mut all: Option<Rows> = None;
        let mut counts = Vec::with_capacity(names.len());
        for file in &names {
            let bytes = self.file(&at("file"), file)?;
            let rows = match data::read(file, &bytes, &wanted) {
                Ok(rows) => rows,
                Err(problem) => {
                    self.checker.problems.push(problem);
                    return None;
                }
            };
            counts.push((
                file[name.rfind('/').map_or(0, |at| at + 1)..].to_owned(),
                rows.rows.len() as u64,
            ));
            match &mut all {
                None => all = Some(rows),
                Some(all) if all.fields == rows.fields => {
                    all.rows.extend(rows.rows);
                    all.bad += rows.bad;
                    all.problems.extend(rows.problems);
                }
                Some(_) => {
                    let help = format!(
                        "columns and types must be those of `{}`; a declared schema settles types",
                        names[0]
                    );
                    let problem = Problem::at(file, 1, 1, "this file has other columns than the first of its folder");
                    self.checker.problems.push(problem.with_help(Some(help)));
                    return None;
                }
            }
        }
        let rows = all?;
        if name.ends_with('/') {
            self.ingest(index, source, name, counts);
        }
        if source.on_bad == OnBad::Stop && rows.bad > 0 {
            self.checker.problems.extend(rows.problems.into_iter().map(|p| {
                let help = p
                    .help
                    .clone()
                    .or_else(|| Some("on_bad = \"skip\" leaves such rows out".into()));
                p.with_help(help)
            }));
            return None;
        }
        let slot = |name: Option<&str>| name.and_then(|name| rows.fields.iter().position(|(n, _)| n == name));
        let (event, arrival) = (slot(event), slot(arrival));
        let mut turn = crate::sampling::Arrivals::new(
            source.rate.as_ref().unwrap_or(&crate::generate::Rate::Even(1.0)),
            &source.name,
            self.scenario.time.seed,
        );
        let time = |row: &[Value], slot: Option<usize>| match slot.map(|slot| &row[slot]) {
            Some(Value::Time(time)) => Some(*time),
            _ => None,
        };
        let relative = event.is_none() && arrival.is_none();
        let mut listed = Vec::with_capacity(rows.rows.len());
        for row in rows.rows {
            let (happened, leaves) = if relative {
                let Some(since) = turn.next() else { break };
                let at = Time::ZERO + since;
                (at, Some(at))
            } else {
                let happened = time(&row, event).or_else(|| time(&row, arrival)).unwrap_or(Time::ZERO);
                (
                    happened,
                    if arrival.is_some() {
                        time(&row, arrival)
                    } else {
                        Some(happened)
                    },
                )
            };
            listed.push(Planned {
                number: 0,
                happened,
                leaves,
                what: What::Event(row.into()),
            });
        }
        Some((
            Read {
                shapes: rows.fields,
                listed: Some((!relative, listed)),
            },
            (rows.bad, rows.problems),
        ))
    }

    fn literal(&mut self, index: usize, source: &Source) -> Read {
        let rows: Vec<Vec<(arcstr::ArcStr, Value)>> = source
            .events
            .iter()
            .map(|event| event.row.iter().map(|(n, v)| (n.clone(), v.into())).collect())
            .collect();
        let (shapes, rows) = line_up(&rows);
        let mut listed = Vec::with_capacity(rows.len());
        let mut last = Span::ZERO;
        for (i, (event, row)) in source.events.iter().zip(rows).enumerate() {
            let path = format!("source[{index}].events[{i}]");
            let LiteralEvent { t, at, watermark, .. } = event;
            match (watermark, t) {
                (Some(_), Some(_)) => {
                    self.checker.say(
                        &path,
                        "this is an event or a watermark, not both",
                        "take `t` or `watermark` out".to_owned(),
                    );
                    continue;
                }
                (None, None) if at.is_none() => {
                    self.checker.say(
                        &path,
                        "when this event happened is not said",
                        "add t = \"5s\"".to_owned(),
                    );
                    continue;
                }
                (Some(_), None) if !event.row.is_empty() => {
                    self.checker
                        .say(&path, "a watermark has no row", "take `row` out".to_owned());
                    continue;
                }
                _ => {}
            }
            let leaves = at.unwrap_or_else(|| t.unwrap_or(last).max(last));
            if leaves < last || leaves.is_negative() {
                let help = format!("events stand in order of leaving: `at` is {last} at least");
                self.checker
                    .say(&path, format!("this leaves at {leaves}, before the one above it"), help);
                continue;
            }
            last = leaves;
            let since = |span: Span| Time::ZERO + span;
            let (happened, what) = match watermark {
                Some(mark) => (since(leaves), What::Watermark(since(*mark))),
                None => (since(t.unwrap_or(leaves)), What::Event(row.into())),
            };
            listed.push(Planned {
                number: 0,
                happened,
                leaves: Some(since(leaves)),
                what,
            });
        }
        Read {
            shapes,
            listed: Some((false, listed)),
        }
    }

    fn marbles(&mut self, index: usize, source: &Source, marbles: &str) -> Read {
        let path = format!("source[{index}].marbles");
        let mut listed = Vec::new();
        let mut now = Time::ZERO;
        let mut open = false;
        let mut ended = false;
        for (i, c) in marbles.chars().enumerate() {
            let mut wrong = |message: String| {
                self.checker.say_inside(&path, &SyntaxError::at((1, i + 1), message));
            };
            match c {
                _ if c.is_whitespace() => {}
                _ if ended => {
                    wrong("nothing comes behind the end `|`; take `|` or what follows out".into());
                    break;
                }
                '-' if open => wrong("a group stands at one instant: no `-` inside; close it with `)` first".into()),
                '-' => now += source.marble_step,
                '(' if open => wrong("a group inside a group".into()),
                '(' => open = true,
                ')' if !open => wrong("there is no `(` to this".into()),
                ')' => open = false,
                '|' => ended = true,
                _ if c.is_alphanumeric() => {
                    let row = [Value::text(c.to_string())].into();
                    listed.push(Planned {
                        number: 0,
                        happened: now,
                        leaves: Some(now),
                        what: What::Event(row),
                    });
                }
                _ => wrong(format!(
                    "`{c}` is no marble; letters are events, `-` waits, `(ab)` comes at once, `|` ends"
                )),
            }
        }
        if open {
            self.checker.say(&path, "a group is not closed", "add `)`".to_owned());
        }
        Read {
            shapes: vec![("marble".into(), Shape::of_type(crate::schema::FieldType::Text))],
            listed: Some((false, listed)),
        }
    }

    /// What each part says, with absolute times, and where time starts.
    fn stock(&self, read: Vec<Read>) -> (Vec<Stock>, Time) {
        let first = read
            .iter()
            .filter_map(|r| r.listed.as_ref())
            .filter(|(absolute, _)| *absolute)
            .flat_map(|(_, listed)| listed.iter().map(|p| p.leaves.unwrap_or(p.happened)))
            .min();
        let start = self.scenario.time.start.or(first).unwrap_or(Time::ZERO);
        let end = self.scenario.time.length.map(|length| start + length);
        let shift = start.since(Time::ZERO);
        let stock = read
            .into_iter()
            .zip(self.scenario.sources.iter().enumerate())
            .map(|(read, (index, source))| match read.listed {
                None => Stock::Generated,
                Some((absolute, mut listed)) => {
                    if !absolute {
                        for planned in &mut listed {
                            planned.happened += shift;
                            planned.leaves = planned.leaves.map(|at| at + shift);
                            if let What::Watermark(mark) = &mut planned.what {
                                *mark += shift;
                            }
                        }
                    }
                    let by = source
                        .node_by
                        .as_ref()
                        .and_then(|by| shapes::schema(&read.shapes).slot(by));
                    let first = self.ingests.iter().find(|ingest| ingest.source == index);
                    Stock::Listed(deal(source, by, listed, end, first.map_or(0, |ingest| ingest.first)))
                }
            });
        (stock.collect(), start)
    }
}

/// Rows of names and values under common fields, in order of first appearance; whole numbers in a column with fractions
/// become floats, and what is missing is null.
fn line_up(rows: &[Vec<(arcstr::ArcStr, Value)>]) -> (Shapes, Vec<Vec<Value>>) {
    let mut shapes: Shapes = Vec::new();
    for (name, value) in rows.iter().flatten() {
        let shape = Shape::of(value);
        match shapes.iter_mut().find(|(n, _)| n == name) {
            Some((_, known)) => *known = known.clone().merge(shape),
            None => shapes.push((name.clone(), shape)),
        }
    }
    let filled = rows.iter().map(|row| {
        let value = |(name, shape): &(arcstr::ArcStr, Shape)| {
            let value = row
                .iter()
                .find(|(n, _)| n == name)
                .map_or(Value::Null, |(_, v)| v.clone());
            data::fit(value.clone(), shape.kind()).unwrap_or(value)
        };
        shapes.iter().map(value).collect()
    });
    let rows = filled.collect();
    (shapes, rows)
}
