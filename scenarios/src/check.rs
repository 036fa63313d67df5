//! What is wrong with a scenario whose every key can be read: names that lead nowhere, settings that contradict each
//! other, columns that do not exist. All of it is collected, each at its place.

use std::collections::BTreeMap;

use crate::expectation::{Claim, Table, parse_claim};
use crate::fault::{Place, Timing};
use crate::load::Problem;
use crate::metric::{Form, METRICS, Measured, Metric as MetricName, STATISTICS};
use crate::places::{Places, place};
use crate::query::SyntaxError;
use crate::script::{Fault, LinkKind, Must, Scenario, TransformStep};
use crate::suggest;
use crate::time::Span;
use crate::topology::{Port, Role, Topology, input_name};

/// Collects problems of one file.
pub(crate) struct Checker<'a> {
    pub scenario: &'a Scenario,
    pub places: &'a Places,
    pub text: &'a str,
    pub origin: &'a str,
    pub problems: Vec<Problem>,
}

impl Checker<'_> {
    pub fn say(&mut self, path: &str, message: impl Into<String>, help: impl Into<Option<String>>) {
        let at = place(self.text, self.places.value_at(path));
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

    fn unknown(&mut self, path: &str, what: &str, name: &str, known: &[&str]) {
        self.say(
            path,
            format!("there is no {what} `{name}`"),
            suggest::help(name, known.iter().copied()),
        );
    }

    fn positive(&mut self, path: &str, span: Option<Span>) {
        if let Some(span) = span.filter(|s| *s <= Span::ZERO) {
            self.say(
                path,
                format!("this must be longer than zero, and is {span}"),
                "give a duration such as \"1s\"".to_owned(),
            );
        }
    }

    fn not_negative(&mut self, path: &str, span: Option<Span>) {
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
        let lists: [(&str, &str, Vec<&str>); 6] = [
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
                self.name(&path, name);
                let is_actor = matches!(list, "source" | "operator" | "sink");
                let first = if is_actor {
                    actors.get(*name).cloned()
                } else {
                    own.get(name).map(|_| list.to_owned())
                };
                if let Some(first) = first {
                    self.say(
                        &path,
                        format!("there is a {first} `{name}` already"),
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
            if !generated && (!source.fields.is_empty() || source.count.is_some()) {
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

    fn inputs(&mut self, list: &str, index: usize, own: &str, inputs: &[String]) {
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
        known.extend(
            scenario
                .operators
                .iter()
                .map(|o| o.name.as_str())
                .filter(|name| *name != own),
        );
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
            let bodies = [
                ("query", operator.query.is_some()),
                ("transform", operator.transform.is_some()),
                ("filter", operator.filter.is_some()),
                ("threshold", operator.threshold.is_some()),
                ("change", operator.change.is_some()),
                ("first", operator.first.is_some()),
            ];
            let given: Vec<&str> = bodies
                .iter()
                .filter(|(_, there)| *there)
                .map(|(name, _)| *name)
                .collect();
            match given.as_slice() {
                [_] => {}
                [] => self.say(
                    &at("name"),
                    format!("the operator `{}` does nothing", operator.name),
                    "add one of query, transform, filter, threshold, change and first".to_owned(),
                ),
                [first, second, ..] => self.say(
                    &at(second),
                    format!("an operator does one thing, and this one has `{first}` and `{second}`"),
                    "make two operators of it, one reading the other".to_owned(),
                ),
            }
            if let Some(watermark) = &operator.watermark {
                self.not_negative(&at("watermark.behind"), Some(watermark.behind));
                self.positive(&at("watermark.idle"), watermark.idle);
                self.positive(&at("watermark.every"), watermark.every);
            }
            self.not_negative(&at("horizon"), Some(operator.horizon));
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
            if let Some(first) = &operator.first {
                self.positive(&at("first.quiet"), Some(first.quiet));
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
                let ready = |entry: &String| index(input_name(entry).0).is_none_or(|from| done[from]);
                if !done[i] && operator.input.iter().all(ready) {
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

    /// Everything that is about links, faults and expectations; returns the statements of the expectations.
    pub fn against(&mut self, topology: &Topology) -> Vec<Claim> {
        self.links(topology);
        for (i, fault) in self.scenario.faults.iter().enumerate() {
            self.fault(i, fault, topology);
        }
        self.nodes_stand(topology);
        self.expectations(topology)
    }

    fn nodes_stand(&mut self, topology: &Topology) {
        for (i, node) in self.scenario.nodes.iter().enumerate() {
            if topology.nodes_named(&node.name).is_empty() {
                let known: Vec<&str> = topology.nodes.iter().map(|n| n.name.as_str()).collect();
                let message = format!("nobody stands on the node `{}`", node.name);
                self.say(&format!("node[{i}].name"), message, suggest::help(&node.name, known));
            }
        }
    }

    fn links(&mut self, topology: &Topology) {
        let scenario = self.scenario;
        let known: Vec<&str> = topology.links.iter().map(|l| l.name.as_str()).collect();
        for (i, link) in scenario.links.iter().enumerate() {
            let at = |key: &str| format!("link[{i}].{key}");
            let name = format!("{} -> {}", link.from, link.to);
            let found = topology.links_named(&name);
            if found.is_empty() {
                let help = suggest::help(&name, known.iter().copied());
                self.say(&at("from"), format!("there is no link `{name}`"), help);
                continue;
            }
            if scenario.links[..i]
                .iter()
                .any(|l| l.from == link.from && l.to == link.to)
            {
                self.say(
                    &at("from"),
                    format!("the link `{name}` is described twice"),
                    "make one of them".to_owned(),
                );
            }
            if link.kind == LinkKind::Datagram && scenario.must != Must::Fail && !datagram_fits(topology, found[0]) {
                let help = "declare a `watermark` on the receiving operator, keep it a stream, or say must = \"fail\""
                    .to_owned();
                let message = format!(
                    "a datagram link may lose and reorder watermarks, and `{}` relies on them",
                    link.to
                );
                self.say(&at("kind"), message, help);
            }
            if link.bandwidth.is_some_and(|b| !b.is_finite() || b <= 0.0) {
                self.say(
                    &at("bandwidth"),
                    "a link carries more than nothing",
                    "elements per second, above zero".to_owned(),
                );
            }
            for (key, value) in [("batch", link.batch), ("capacity", link.capacity)] {
                if value == Some(0) {
                    self.say(
                        &at(key),
                        format!("`{key}` is 1 at least"),
                        "leave it out for no bound".to_owned(),
                    );
                }
            }
            self.positive(&at("linger"), link.linger);
            self.positive(&at("resend"), Some(link.resend));
            if link.linger.is_some() && link.batch.is_none() {
                self.say(
                    &at("linger"),
                    "`linger` ends the waiting of a batch, and there is none",
                    "add batch".to_owned(),
                );
            }
            if link
                .delay
                .as_ref()
                .is_some_and(|d| matches!(d, crate::distribution::Delay::Constant(s) if s.is_negative()))
            {
                self.say(
                    &at("delay"),
                    "nothing arrives before it was sent",
                    "leave the sign out".to_owned(),
                );
            }
        }
    }

    fn fault(&mut self, index: usize, fault: &Fault, topology: &Topology) {
        let at = |key: &str| format!("fault[{index}].{key}");
        let descriptor = fault.kind.descriptor();
        let (found, known): (bool, Vec<String>) = match descriptor.place {
            Place::Link => {
                let mut known: Vec<String> = topology.links.iter().map(|l| l.name.to_string()).collect();
                let source = |s: &crate::script::Source, l: &str| {
                    l.strip_prefix(&format!("{}-0 -> ", s.name))
                        .map(|to| format!("{} -> {to}", s.name))
                };
                let whole = |l: &String| {
                    self.scenario
                        .sources
                        .iter()
                        .filter(|s| s.nodes > 1)
                        .find_map(|s| source(s, l))
                };
                known.extend(known.iter().filter_map(whole).collect::<Vec<_>>());
                (!topology.links_named(&fault.on).is_empty(), known)
            }
            Place::Node => {
                let known = topology.nodes.iter().map(|n| n.name.clone()).collect();
                (!topology.nodes_named(&fault.on).is_empty(), known)
            }
            Place::Source => {
                let known = self.scenario.sources.iter().map(|s| s.name.clone()).collect();
                (!topology.sources_named(&fault.on).is_empty(), known)
            }
        };
        if !found {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            self.unknown(&at("on"), descriptor.place.name(), &fault.on, &known);
        }
        let there = [
            ("at", fault.at.is_some()),
            ("during", fault.during.is_some()),
            ("every", fault.every.is_some()),
            ("for", fault.lasting.is_some()),
            ("amount", fault.amount.is_some()),
            ("restart", fault.restart.is_some()),
            ("way", fault.way.is_some()),
            ("factor", fault.factor.is_some()),
            ("copies", fault.copies.is_some()),
            ("field", fault.field.is_some()),
            ("value", fault.value.is_some()),
        ];
        for (key, _) in there.iter().filter(|(_, there)| *there) {
            if !descriptor.keys().any(|k| k == *key) {
                let keys: Vec<&str> = descriptor.keys().collect();
                let help = format!("it takes {}", keys.join(", "));
                self.say(
                    &at(key),
                    format!("a `{}` fault takes no `{key}`", descriptor.name),
                    help,
                );
            }
        }
        for key in descriptor.needs {
            if !there.iter().any(|(k, there)| k == key && *there) {
                let help = format!("for example:\n{}", descriptor.example);
                self.say(
                    &at("kind"),
                    format!("a `{}` fault needs `{key}`", descriptor.name),
                    help,
                );
            }
        }
        let moments = fault.at.is_some() || fault.every.is_some();
        match descriptor.timing {
            Timing::Point if !moments => {
                let help = "add at = \"4m\", or every = \"1m\"".to_owned();
                self.say(
                    &at("kind"),
                    format!("a `{}` fault happens at moments, and none is named", descriptor.name),
                    help,
                );
            }
            Timing::Interval if moments && fault.lasting.is_none() => {
                let help = "add for = \"10s\"".to_owned();
                self.say(
                    &at("kind"),
                    format!(
                        "a `{}` fault with `at` or `every` needs to know for how long",
                        descriptor.name
                    ),
                    help,
                );
            }
            Timing::Interval if !moments && fault.lasting.is_some() => {
                let help = "add `at` or `every`, or write during = \"2m..3m\"".to_owned();
                self.say(&at("for"), "`for` counts from a moment, and none is named", help);
            }
            _ => {}
        }
        if !(0.0..=1.0).contains(&fault.rate) {
            self.say(
                &at("rate"),
                format!("a rate is a share from 0 to 1, and this is {}", fault.rate),
                "0.05 is five of a hundred".to_owned(),
            );
        }
        self.positive(&at("every"), fault.every);
        self.positive(&at("for"), fault.lasting);
        self.not_negative(&at("restart"), fault.restart);
        if fault.copies == Some(0) {
            self.say(
                &at("copies"),
                "no copy is no fault",
                "1 at least; rate = 0.0 turns a fault off".to_owned(),
            );
        }
        let drift = fault.kind == crate::fault::FaultKind::Drift;
        if fault
            .factor
            .is_some_and(|f| !f.is_finite() || (!drift && f <= 0.0) || (drift && f <= -1e6))
        {
            self.say(
                &at("factor"),
                "this factor is not above zero",
                "give a number such as 10.0".to_owned(),
            );
        }
        let delays = descriptor.place != Place::Node;
        if delays && let Some(crate::distribution::Delay::Constant(span)) = fault.amount {
            self.not_negative(&at("amount"), Some(span));
        }
    }

    fn expectations(&mut self, topology: &Topology) -> Vec<Claim> {
        let mut claims = Vec::with_capacity(self.scenario.expects.len());
        for (i, expect) in self.scenario.expects.iter().enumerate() {
            let at = |key: &str| format!("expect[{i}].{key}");
            let statements = expect.statements();
            let (kind, text) = match statements.as_slice() {
                [one] => *one,
                [] => {
                    let help = "add one of always, eventually, sometimes, never and final".to_owned();
                    self.say(&at("name"), "this expectation states nothing", help);
                    continue;
                }
                [_, (second, _), ..] => {
                    let help = "make two expectations of it".to_owned();
                    self.say(&at(second.name()), "an expectation states one thing", help);
                    continue;
                }
            };
            let eventually = kind == crate::expectation::ExpectationKind::Eventually;
            match expect.within {
                None if eventually => {
                    self.say(
                        &at("eventually"),
                        "`eventually` needs to know within how long",
                        "add within = \"30s\"".to_owned(),
                    );
                }
                Some(_) if !eventually => {
                    self.say(
                        &at("within"),
                        "`within` belongs to `eventually`",
                        "leave it out".to_owned(),
                    );
                }
                within => self.positive(&at("within"), within),
            }
            match parse_claim(text) {
                Ok(claim) => {
                    self.subjects(&at(kind.name()), &claim, topology);
                    claims.push(claim);
                }
                Err(e) => self.say_inside(&at(kind.name()), &e),
            }
        }
        claims
    }

    fn subjects(&mut self, path: &str, claim: &Claim, topology: &Topology) {
        let (metrics, tables) = claim.subjects();
        for table in tables {
            if let Table::Sink(name) = table
                && !self.scenario.sinks.iter().any(|s| s.name == *name)
            {
                let mut known: Vec<&str> = self.scenario.sinks.iter().map(|s| s.name.as_str()).collect();
                known.extend(["truth", "admitted", "twin"]);
                self.unknown(path, "sink or table", name, &known);
            }
        }
        for metric in metrics {
            let Some(measured) = self.measured(&metric.of, topology) else {
                let mut known: Vec<String> = topology.actors.iter().map(|a| a.name.to_string()).collect();
                known.extend(topology.links.iter().map(|l| l.name.to_string()));
                known.extend(self.scenario.faults.iter().map(|f| format!("fault.{}", f.id)));
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                self.unknown(path, "actor, link or fault", &metric.of, &known);
                continue;
            };
            let possible = METRICS.iter().filter(|m| m.of.contains(&measured));
            match MetricName::named(&metric.name)
                .map(MetricName::descriptor)
                .filter(|m| m.of.contains(&measured))
            {
                None => {
                    let known: Vec<&str> = possible.map(|m| m.name).collect();
                    self.unknown(path, &format!("metric of a {}", measured.name()), &metric.name, &known);
                }
                Some(found) if found.form == Form::Histogram && metric.statistic.is_none() => {
                    let help = format!(
                        "write {}.{}.p99; there are {}",
                        metric.of,
                        found.name,
                        STATISTICS.join(", ")
                    );
                    self.say(
                        path,
                        format!("`{}` is a distribution: which number of it?", found.name),
                        help,
                    );
                }
                Some(found) if found.form == Form::Counter && metric.statistic.is_some() => {
                    let help = format!("write {}.{}", metric.of, found.name);
                    self.say(path, format!("`{}` is a single number", found.name), help);
                }
                Some(_) => {}
            }
        }
    }

    fn measured(&self, of: &str, topology: &Topology) -> Option<Measured> {
        if let Some(id) = of.strip_prefix("fault.") {
            return self
                .scenario
                .faults
                .iter()
                .any(|f| f.id == id)
                .then_some(Measured::Fault);
        }
        if of.contains("->") {
            return (!topology.links_named(of).is_empty()).then_some(Measured::Link);
        }
        if let Some(actor) = topology.actor(of) {
            return Some(match topology.actors[actor.0 as usize].role {
                Role::Source { .. } => Measured::Source,
                Role::Watermark { .. } => Measured::Generator,
                Role::Operator { .. } => Measured::Operator,
                Role::Sink { .. } => Measured::Sink,
            });
        }
        (!topology.sources_named(of).is_empty()).then_some(Measured::Source)
    }
}

/// Whether a datagram link may stand there: at the end, before a generator, or where no watermark has been made yet and
/// one is made further down.
fn datagram_fits(topology: &Topology, link: crate::topology::LinkId) -> bool {
    let link = &topology.links[link.0 as usize];
    let receiver = &topology.actors[link.to.0 as usize];
    match receiver.role {
        Role::Sink { .. } | Role::Watermark { .. } => true,
        Role::Source { .. } | Role::Operator { .. } => {
            !behind_generator(topology, link.from)
                && !receiver.outputs.is_empty()
                && receiver.outputs.iter().all(|out| datagram_fits(topology, *out))
                && receiver.outputs.iter().any(|out| leads_to_generator(topology, *out))
        }
    }
}

fn leads_to_generator(topology: &Topology, link: crate::topology::LinkId) -> bool {
    let actor = &topology.actors[topology.links[link.0 as usize].to.0 as usize];
    matches!(actor.role, Role::Watermark { .. }) || actor.outputs.iter().any(|out| leads_to_generator(topology, *out))
}

fn behind_generator(topology: &Topology, actor: crate::topology::ActorId) -> bool {
    let actor = &topology.actors[actor.0 as usize];
    matches!(actor.role, Role::Watermark { .. })
        || actor
            .inputs
            .iter()
            .any(|input| behind_generator(topology, topology.links[input.0 as usize].from))
}
