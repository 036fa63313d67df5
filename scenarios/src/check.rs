//! What is wrong with a scenario whose every key can be read: names that lead nowhere, settings that contradict each
//! other, columns that do not exist. All of it is collected, each at its place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use wavetank_models::LoadedModel;

use crate::load::Problem;
use crate::places::{Places, place};
use crate::query::SyntaxError;
use crate::script::{Must, Scenario, TransformStep};
use crate::suggest;
use crate::time::Span;
use crate::topology::{Port, input_name};

/// Collects problems of one file.
pub(crate) struct Checker<'a> {
    pub scenario: &'a Scenario,
    pub places: &'a Places,
    pub text: &'a str,
    pub origin: &'a str,
    pub problems: Vec<Problem>,
    /// The pre-trained models that could be read: by operator, and version of it.
    pub models: BTreeMap<(usize, usize), Arc<LoadedModel>>,
}

impl Checker<'_> {
    pub fn say(&mut self, path: &str, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.say_at(self.places.value_at(path), message, help);
    }

    /// As [`Checker::say`], about these bytes of the file.
    pub fn say_at(&mut self, range: Range<usize>, message: impl Into<String>, help: impl Into<Option<String>>) {
        let at = place(self.text, range);
        self.problems.push(Problem {
            file: self.origin.to_owned(),
            line: at.line,
            column: at.column,
            length: at.length,
            message: message.into(),
            help: help.into(),
        });
    }

    /// An error inside a text of the file, such as a query.
    pub fn say_inside(&mut self, path: &str, error: &SyntaxError) {
        let problem = crate::load::inside(self.text, self.origin, self.places.value_at(path), error);
        self.problems.push(problem);
    }

    pub fn unknown(&mut self, path: &str, what: &str, name: &str, known: &[&str]) {
        self.say(
            path,
            format!("there is no {what} `{name}`"),
            suggest::help(name, known.iter().copied()),
        );
    }

    pub fn positive(&mut self, path: &str, span: Option<Span>) {
        if let Some(span) = span.filter(|s| *s <= Span::ZERO) {
            self.say(
                path,
                format!("this must be longer than zero, and is {span}"),
                "give a duration such as \"1s\"".to_owned(),
            );
        }
    }

    pub fn not_negative(&mut self, path: &str, span: Option<Span>) {
        if let Some(span) = span.filter(|s| s.is_negative()) {
            self.say(
                path,
                format!("this must not be negative, and is {span}"),
                "leave the sign out".to_owned(),
            );
        }
    }

    /// Everything that can be told before data is read.
    pub fn structure(&mut self) {
        self.head();
        self.names();
        self.sources();
        self.operators();
        self.brokers();
        self.recovery();
        self.broker_settings();
        self.epoch();
        self.tables_and_nodes();
        self.cycles();
    }

    fn head(&mut self) {
        let scenario = self.scenario;
        if scenario.schema != 1 {
            self.say(
                "schema",
                format!("version {} of the file format is not known", scenario.schema),
                "write schema = 1".to_owned(),
            );
        }
        self.name("name", &scenario.name);
        if scenario.sources.is_empty() {
            self.say(
                "name",
                "this scenario has no source",
                "add a [[source]] with a name and a rate or file".to_owned(),
            );
        }
        if scenario.sinks.is_empty() {
            self.say(
                "name",
                "this scenario has no sink",
                "add a [[sink]] with a name and an input".to_owned(),
            );
        }
        if !scenario.because.is_empty() && scenario.must != Must::Fail {
            self.say(
                "because",
                "`because` says why a scenario fails, and this one must pass",
                "set must = \"fail\"".to_owned(),
            );
        }
        self.positive("time.length", scenario.time.length);
        self.positive("time.tick", Some(scenario.time.tick));
        if scenario.time.step_budget == 0 {
            self.say(
                "time.step_budget",
                "no delivery at all is allowed at an instant",
                "leave it out: a million".to_owned(),
            );
        }
    }

    fn name(&mut self, path: &str, name: &str) {
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || !name.chars().all(fits) {
            self.say(
                path,
                format!("`{name}` is not a name"),
                "a name has letters, digits, `-` and `_`".to_owned(),
            );
        }
    }

    fn names(&mut self) {
        let scenario = self.scenario;
        let lists: [(&str, &str, Vec<&str>); 7] = [
            (
                "source",
                "name",
                scenario.sources.iter().map(|x| x.name.as_str()).collect(),
            ),
            (
                "operator",
                "name",
                scenario.operators.iter().map(|x| x.name.as_str()).collect(),
            ),
            ("sink", "name", scenario.sinks.iter().map(|x| x.name.as_str()).collect()),
            (
                "broker",
                "name",
                scenario.brokers.iter().map(|x| x.name.as_str()).collect(),
            ),
            ("node", "name", scenario.nodes.iter().map(|x| x.name.as_str()).collect()),
            (
                "table",
                "name",
                scenario.tables.iter().map(|x| x.name.as_str()).collect(),
            ),
            ("fault", "id", scenario.faults.iter().map(|x| x.id.as_str()).collect()),
        ];
        let mut actors: BTreeMap<String, String> = BTreeMap::new();
        for (list, key, names) in lists {
            let mut own: BTreeMap<&str, usize> = BTreeMap::new();
            for (i, name) in names.iter().enumerate() {
                let path = format!("{list}[{i}].{key}");
                let ends = [".split", ".merge", ".service"]
                    .iter()
                    .find_map(|end| name.strip_suffix(end));
                self.name(&path, ends.filter(|_| list == "node").unwrap_or(name));
                let is_actor = matches!(list, "source" | "operator" | "sink" | "broker");
                let first = if is_actor {
                    actors.get(*name).cloned()
                } else {
                    own.get(name).map(|_| list.to_owned())
                };
                if let Some(first) = first {
                    self.say(
                        &path,
                        format!("there is {} `{name}` already", article(&first)),
                        "every name is used once".to_owned(),
                    );
                    continue;
                }
                own.insert(name, i);
                if is_actor {
                    actors.insert((*name).to_owned(), list.to_owned());
                    let parts = if list == "source" { scenario.sources[i].nodes } else { 1 };
                    if parts > 1 && parts <= 10_000 {
                        actors.extend((0..parts).map(|p| (format!("{name}-{p}"), "part of a source".to_owned())));
                    }
                    let convey = (list == "operator")
                        .then(|| scenario.operators[i].convey.as_ref())
                        .flatten();
                    let streams = convey.map_or(0, |convey| convey.streams.min(1_000));
                    actors
                        .extend((0..streams).map(|p| (format!("{name}-{p}"), "sub-stream of an operator".to_owned())));
                }
            }
        }
        let mut expects: Vec<&str> = Vec::new();
        for (i, expect) in scenario.expects.iter().enumerate() {
            if expects.contains(&expect.name.as_str()) {
                let path = format!("expect[{i}].name");
                self.say(
                    &path,
                    format!("there is an expectation `{}` already", expect.name),
                    "every name is used once".to_owned(),
                );
            }
            expects.push(&expect.name);
        }
    }

    fn sources(&mut self) {
        for (i, source) in self.scenario.sources.iter().enumerate() {
            let at = |key: &str| format!("source[{i}].{key}");
            let from_file = source.file.is_some();
            let kinds = [
                ("rate", source.rate.is_some() && !from_file),
                ("file", from_file),
                ("events", !source.events.is_empty()),
                ("marbles", source.marbles.is_some()),
            ];
            let given: Vec<&str> = kinds
                .iter()
                .filter(|(_, there)| *there)
                .map(|(name, _)| *name)
                .collect();
            match given.as_slice() {
                [] if self.places.has(&at("events")) => self.say(
                    &at("events"),
                    format!("the source `{}` says nothing: its `events` are empty", source.name),
                    "write some: events = [{ t = \"1s\", row = { n = 1 } }]".to_owned(),
                ),
                [] => self.say(
                    &at("name"),
                    format!("the source `{}` says nothing", source.name),
                    "add one of rate, file, events and marbles".to_owned(),
                ),
                [_] => {}
                [first, second, ..] => self.say(
                    &at(second),
                    format!(
                        "a source has one of rate, file, events and marbles, and this one has `{first}` and `{second}`"
                    ),
                    "make two sources of it".to_owned(),
                ),
            }
            if source.nodes == 0 || source.nodes > 10_000 {
                self.say(
                    &at("nodes"),
                    "a source has from 1 to 10000 nodes",
                    "leave it out: 1".to_owned(),
                );
            }
            let generated = given == ["rate"];
            if !generated && !given.is_empty() && (!source.fields.is_empty() || source.count.is_some()) {
                let key = if source.fields.is_empty() { "count" } else { "fields" };
                self.say(
                    &at(key),
                    format!("`{key}` belongs to a generated source"),
                    "add a rate, or leave it out".to_owned(),
                );
            }
            if generated && source.count.is_none() && self.scenario.time.length.is_none() {
                let help = "set [time] length, or count".to_owned();
                self.say(&at("rate"), "this source would never end", help);
            }
            for (key, there) in [
                ("event_time", source.event_time.is_some()),
                ("arrival_time", source.arrival_time.is_some()),
            ] {
                if there && !from_file {
                    self.say(
                        &at(key),
                        format!("`{key}` names a column of a file"),
                        "add `file`, or leave it out".to_owned(),
                    );
                }
            }
            if let Some(done) = &source.done {
                let folder = source.file.as_deref().filter(|file| file.ends_with('/'));
                if folder.is_none() || source.nodes > 1 {
                    let message = "`done` is where the files of a folder are moved, which one node reads";
                    let help = "file = \"lines/\" is a folder; or leave `done` out".to_owned();
                    self.say(&at("done"), message, help);
                } else if folder.is_some_and(|folder| folder.trim_end_matches('/') == done.trim_end_matches('/')) {
                    let message = "files cannot be moved to where they are read from";
                    self.say(&at("done"), message, "name another folder".to_owned());
                }
            }
            self.positive(&at("marble_step"), Some(source.marble_step));
            if generated {
                for (name, generator) in &source.fields {
                    if let crate::generate::FieldGenerator::Walk { by: Some(by), .. } = generator {
                        let path = at(&format!("fields.{name}"));
                        match source.fields.get(by.as_str()) {
                            None => {
                                let known: Vec<&str> = source.fields.keys().map(arcstr::ArcStr::as_str).collect();
                                self.unknown(&path, "field", by, &known);
                            }
                            Some(crate::generate::FieldGenerator::Walk { .. }) => {
                                let message = format!("`{name}` walks by `{by}`, which walks itself");
                                self.say(&path, message, "walk by a field with few values".to_owned());
                            }
                            Some(_) => {}
                        }
                    }
                }
            }
        }
    }

    /// The names in an `input` list.
    pub fn inputs(&mut self, list: &str, index: usize, own: &str, inputs: &[String]) {
        let scenario = self.scenario;
        let path = format!("{list}[{index}].input");
        if inputs.is_empty() {
            self.say(
                &path,
                format!("`{own}` reads nothing"),
                "name a source or operator in `input`".to_owned(),
            );
        }
        let mut known: Vec<&str> = scenario.sources.iter().map(|s| s.name.as_str()).collect();
        let operators = scenario.operators.iter().map(|o| o.name.as_str());
        let brokers = scenario.brokers.iter().map(|b| b.name.as_str());
        known.extend(operators.chain(brokers).filter(|name| *name != own));
        for (i, entry) in inputs.iter().enumerate() {
            let path = format!("{path}[{i}]");
            let (name, port) = input_name(entry);
            if name == own {
                self.say(
                    &path,
                    format!("`{own}` reads itself"),
                    suggest::help(name, known.iter().copied()),
                );
            } else if !known.contains(&name) {
                self.unknown(&path, "source or operator", name, &known);
            } else if port != Port::Main && scenario.sources.iter().any(|s| s.name == name) {
                let help = format!("write `{name}`");
                self.say(
                    &path,
                    format!("`{name}` is a source: only operators put events aside"),
                    help,
                );
            } else if port != Port::Main && !scenario.operators.iter().any(|o| o.name == name)
                || entry.ends_with(".dead")
            {
                self.broker_output(&path, entry);
            } else if inputs[..i].contains(entry) {
                self.say(
                    &path,
                    format!("`{entry}` is read twice"),
                    "name each input once".to_owned(),
                );
            }
        }
    }

    fn operators(&mut self) {
        let scenario = self.scenario;
        for (i, operator) in scenario.operators.iter().enumerate() {
            let at = |key: &str| format!("operator[{i}].{key}");
            self.inputs("operator", i, &operator.name, &operator.input);
            let given: Vec<&str> = operator.bodies().map(|(key, _)| key).collect();
            match given.as_slice() {
                [_] => {}
                [] => self.say(
                    &at("name"),
                    format!("the operator `{}` does nothing", operator.name),
                    format!("add one of {}", crate::script::Operator::BODIES.join(", ")),
                ),
                [first, second, ..] => self.say(
                    &at(second),
                    format!("an operator does one thing, and this one has `{first}` and `{second}`"),
                    "make two operators of it, one reading the other".to_owned(),
                ),
            }
            if let Some(watermark) = &operator.watermark {
                self.watermark(i, watermark);
                self.key_clocks(i, watermark);
            }
            self.behind_key_clocks(i);
            self.future(i, operator);
            self.windows(i, operator);
            self.not_negative(&at("horizon"), Some(operator.horizon));
            self.joins(i, operator);
            if let Some(threshold) = &operator.threshold {
                self.not_negative(&at("threshold.hold"), Some(threshold.hold));
                let low = threshold.low.unwrap_or(threshold.high);
                if !threshold.high.is_finite() || !low.is_finite() || low > threshold.high {
                    let help = "what is off below `low` turns on above `high`: low is at most high".to_owned();
                    self.say(
                        &at("threshold.low"),
                        format!("low is {low} and high is {}", threshold.high),
                        help,
                    );
                }
            }
            if let Some(change) = &operator.change {
                self.positive(&at("change.per"), Some(change.per));
                if change.above.is_none() && change.below.is_none() {
                    self.say(
                        &at("change"),
                        "nothing would ever pass",
                        "set `above`, `below`, or both".to_owned(),
                    );
                }
            }
            if let Some(convey) = &operator.convey {
                self.convey(i, operator, convey);
            }
            if let Some(failover) = &operator.failover {
                self.failover(i, operator, failover);
            }
            if let Some(first) = &operator.first {
                self.positive(&at("first.quiet"), Some(first.quiet));
            }
            self.reorder(i);
            if let Ok(crate::script::Body::Sequence(sequence)) = operator.body() {
                self.sequence(i, operator, sequence);
            }
            if let Some(learn) = &operator.learn {
                self.learner(i, operator, learn);
            }
            if let Some(steps) = &operator.transform {
                if steps.is_empty() {
                    self.say(
                        &at("transform"),
                        "a transformation has one step at least",
                        "add { project = [...] }".to_owned(),
                    );
                }
                let known: Vec<&str> = scenario.tables.iter().map(|t| t.name.as_str()).collect();
                for (k, step) in steps.iter().enumerate() {
                    if let TransformStep::Enrich(enrich) = step {
                        let path = format!("operator[{i}].transform[{k}].enrich.cost");
                        self.not_negative(&path, Some(enrich.cost));
                    }
                    if let TransformStep::Enrich(enrich) = step
                        && !known.contains(&enrich.table.as_str())
                    {
                        self.unknown(
                            &format!("operator[{i}].transform[{k}].enrich.table"),
                            "table",
                            &enrich.table,
                            &known,
                        );
                    }
                }
            }
        }
        self.corrections();
        self.bounds();
        for (i, sink) in scenario.sinks.iter().enumerate() {
            self.inputs("sink", i, &sink.name, &sink.input);
        }
    }

    fn tables_and_nodes(&mut self) {
        for (i, table) in self.scenario.tables.iter().enumerate() {
            if table.rows.is_empty() == table.file.is_none() {
                let path = format!("table[{i}].name");
                self.say(
                    &path,
                    format!("the table `{}` needs either rows or a file", table.name),
                    "rows = [{ a = 1 }]".to_owned(),
                );
            }
        }
        for (i, node) in self.scenario.nodes.iter().enumerate() {
            if node.mailbox == Some(0) {
                self.say(
                    &format!("node[{i}].mailbox"),
                    "a mailbox without room takes nothing",
                    "1 is the smallest".to_owned(),
                );
            }
            if !node.drift_ppm.is_finite() || node.drift_ppm.abs() >= 1e6 {
                let help = "parts per million: a quartz drifts by 20 to 200".to_owned();
                self.say(
                    &format!("node[{i}].drift_ppm"),
                    "a clock cannot run backwards or infinitely fast",
                    help,
                );
            }
            if node
                .service
                .as_ref()
                .is_some_and(|d| matches!(d, crate::distribution::Delay::Constant(s) if s.is_negative()))
            {
                self.say(
                    &format!("node[{i}].service"),
                    "work cannot take less than no time",
                    "leave the sign out".to_owned(),
                );
            }
        }
    }

    /// The operators, each behind all that it reads; what is in a ring is left out and reported.
    pub fn order(&self) -> (Vec<usize>, Vec<usize>) {
        let operators = &self.scenario.operators;
        let index = |name: &str| operators.iter().position(|o| o.name == name);
        let mut done = vec![false; operators.len()];
        let mut order = Vec::with_capacity(operators.len());
        loop {
            let before = order.len();
            for (i, operator) in operators.iter().enumerate() {
                let ready = |entry: &str| index(input_name(entry).0).is_none_or(|from| done[from]);
                let mut inputs = operator.input.iter().flat_map(|entry| self.scenario.behind(entry));
                if !done[i] && inputs.all(ready) {
                    done[i] = true;
                    order.push(i);
                }
            }
            if order.len() == before {
                let left = (0..operators.len()).filter(|i| !done[*i]).collect();
                return (order, left);
            }
        }
    }

    fn cycles(&mut self) {
        let (_, left) = self.order();
        if let Some(first) = left.first() {
            let names: Vec<&str> = left.iter().map(|i| self.scenario.operators[*i].name.as_str()).collect();
            let help = "a pipeline flows one way: take one of these inputs out".to_owned();
            self.say(
                &format!("operator[{first}].input"),
                format!("these operators read each other in a ring: {}", names.join(", ")),
                help,
            );
        }
    }
}

/// The word with `a` or `an` before it.
pub(crate) fn article(word: &str) -> String {
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {word}", if vowel { "an" } else { "a" })
}
