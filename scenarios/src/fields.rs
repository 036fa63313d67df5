//! The fields of what every operator puts out, worked out from those of its inputs. What cannot be worked out is a
//! problem at its place: a name that is not there, inputs that do not fit together.

use std::collections::BTreeMap;

use crate::check::Checker;
use crate::check_sequence::{self, Input};
use crate::joined;
use crate::script::{Body, Merge, Numbers, Route, Sequence};
use crate::shapes::{self, Misfit, Scope, Shape, Shapes};
use crate::suggest;
use crate::topology::{Port, input_name};

impl<'a> Checker<'a> {
    /// The fields of every operator's output.
    pub fn fields(&mut self, sources: &[&Shapes], tables: &[&Shapes]) -> Vec<Shapes> {
        let scenario = self.scenario;
        let tables: BTreeMap<&str, &Shapes> = scenario
            .tables
            .iter()
            .zip(tables)
            .map(|(table, fields)| (table.name.as_str(), *fields))
            .collect();
        let mut main: BTreeMap<&str, Shapes> = scenario
            .sources
            .iter()
            .zip(sources)
            .map(|(source, shapes)| (source.name.as_str(), (*shapes).clone()))
            .collect();
        let mut taken: BTreeMap<&str, Shapes> = BTreeMap::new();
        let mut late: BTreeMap<&str, Shapes> = BTreeMap::new();
        let mut out: Vec<Shapes> = vec![vec![]; scenario.operators.len()];
        let (order, _) = self.order();
        for index in order {
            let operator = &scenario.operators[index];
            self.brokered(&mut main);
            if operator.joins() {
                let inputs: Vec<Shapes> = (operator.input.iter())
                    .map(|entry| match input_name(entry) {
                        (name, Port::Main) => main.get(name).cloned().unwrap_or_default(),
                        (name, _) => taken.get(name).cloned().unwrap_or_default(),
                    })
                    .collect();
                out[index] = if operator.learn.is_some() {
                    self.learned(index, &inputs)
                } else {
                    self.joined(index, &inputs)
                };
                main.insert(&operator.name, out[index].clone());
                taken.insert(&operator.name, joined::common(&inputs).unwrap_or_default());
                continue;
            }
            let sequence = matches!(operator.body(), Ok(Body::Sequence(_)));
            let mut input: Option<Shapes> = None;
            let mut inputs: Vec<Input<'_>> = Vec::new();
            for (i, entry) in operator.input.iter().enumerate() {
                let (name, port) = input_name(entry);
                let found = match port {
                    Port::Main => main.get(name),
                    // Late at a merge are results.
                    Port::Late => late.get(name).or_else(|| taken.get(name)),
                    _ => taken.get(name),
                };
                let found = found.cloned().unwrap_or_default();
                let joins = |o: &crate::script::Operator| o.name == name && o.joins();
                if port != Port::Main && found.is_empty() && scenario.operators.iter().any(joins) {
                    let message = format!("`{entry}` carries events of inputs that have different fields");
                    let help = "a sink can take them; an operator reads events of one form".to_owned();
                    self.say(&format!("operator[{index}].input[{i}]"), message, help);
                }
                inputs.push(Input {
                    names: vec![entry.clone(), self.stream_of(entry)],
                    entry,
                    shapes: found.clone(),
                });
                match &input {
                    // Events of different fields set aside on one output have no common ones.
                    Some(first) if sequence && shapes::schema(first).names().ne(shapes::schema(&found).names()) => {
                        input = Some(vec![]);
                    }
                    Some(first) if shapes::schema(first).names().ne(shapes::schema(&found).names()) => {
                        let message = format!("`{entry}` has other fields than `{}`", operator.input[0]);
                        let help =
                            "the inputs of an operator have the same fields; transform one of them first".to_owned();
                        self.say(&format!("operator[{index}].input[{i}]"), message, help);
                    }
                    Some(first) => {
                        let merged = first.iter().cloned().zip(found).map(|((n, a), (_, b))| (n, a.merge(b)));
                        input = Some(merged.collect());
                    }
                    None => input = Some(found),
                }
            }
            let input = input.unwrap_or_default();
            out[index] = match operator.body() {
                Ok(Body::Sequence(sequence)) => self.matches(index, sequence, &inputs),
                _ => self.output(index, &input, &tables),
            };
            if operator
                .convey
                .as_ref()
                .is_some_and(|convey| convey.merge == Merge::Number)
            {
                late.insert(&operator.name, out[index].clone());
            }
            main.insert(&operator.name, out[index].clone());
            taken.insert(&operator.name, input);
        }
        self.brokered(&mut main);
        out
    }

    /// Adds the fields of every broker whose inputs are all known: what it gives is what it takes.
    fn brokered(&mut self, main: &mut BTreeMap<&'a str, Shapes>) {
        let scenario = self.scenario;
        loop {
            let open = |main: &BTreeMap<&str, Shapes>, name: &str| !main.contains_key(name);
            let ready = |main: &BTreeMap<&str, Shapes>, inputs: &[String]| {
                inputs.iter().all(|entry| main.contains_key(entry.as_str()))
            };
            let mut brokers = scenario.brokers.iter().enumerate();
            let next = brokers.find(|(_, broker)| open(main, &broker.name) && ready(main, &broker.input));
            let Some((index, broker)) = next else { return };
            let mut fields: Option<Shapes> = None;
            for (i, entry) in broker.input.iter().enumerate() {
                let found = main.get(entry.as_str()).cloned().unwrap_or_default();
                fields = Some(match fields {
                    None => found,
                    Some(first) if shapes::schema(&first).names().ne(shapes::schema(&found).names()) => {
                        let message = format!("`{entry}` has other fields than `{}`", broker.input[0]);
                        let help = "what a broker keeps has the same fields; make two brokers of it".to_owned();
                        self.say(&format!("broker[{index}].input[{i}]"), message, help);
                        first
                    }
                    Some(first) => {
                        let merged = first.into_iter().zip(found);
                        merged.map(|((name, a), (_, b))| (name, a.merge(b))).collect()
                    }
                });
            }
            let fields = fields.unwrap_or_default();
            if let Some(by) = &broker.by
                && !fields.iter().any(|(name, _)| name == by)
            {
                let known: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
                self.unknown(&format!("broker[{index}].by"), "field", by, &known);
            }
            main.insert(&broker.name, fields);
        }
    }

    /// The fields of an operator that joins its inputs.
    fn joined(&mut self, index: usize, inputs: &[Shapes]) -> Shapes {
        match joined::output(&self.scenario.operators[index], inputs) {
            Ok(fields) => fields,
            Err((key, misfit)) => {
                self.misfit(&format!("operator[{index}].{key}"), misfit);
                vec![]
            }
        }
    }

    /// A problem with a word of the text at a path: it points at the word where it is found.
    fn misfit(&mut self, path: &str, misfit: Misfit) {
        let whole = self.places.value_at(path);
        let text = self.text.get(whole.clone()).unwrap_or_default();
        let word = misfit.message.split('`').nth(1).unwrap_or_default();
        let inside = |c: char| c.is_alphanumeric() || c == '_';
        let found = text.match_indices(word).find(|(at, _)| {
            let before = text[..*at].chars().next_back();
            let behind = text[at + word.len()..].chars().next();
            !before.is_some_and(inside) && !behind.is_some_and(inside)
        });
        let range = match found {
            Some((at, _)) if !word.is_empty() => whole.start + at..whole.start + at + word.len(),
            _ => whole,
        };
        self.say_at(range, misfit.message, misfit.help);
    }

    /// The fields of a sequence's matches.
    fn matches(&mut self, index: usize, sequence: &Sequence, inputs: &[Input<'_>]) -> Shapes {
        let operator = &self.scenario.operators[index];
        if let Some(query) = &operator.query
            && !inputs
                .iter()
                .flat_map(|i| &i.names)
                .any(|name| name.eq_ignore_ascii_case(&query.from))
        {
            let help = suggest::help(&query.from, operator.input.iter().map(String::as_str));
            let message = format!("the query reads `{}`, which is no input of this operator", query.from);
            self.misfit(&format!("operator[{index}].query"), Misfit { message, help });
        }
        check_sequence::fields(sequence, inputs).unwrap_or_else(|wrong| {
            self.misfit(&check_sequence::path_of(operator, index, &wrong.key), wrong.misfit);
            vec![]
        })
    }

    fn output(&mut self, index: usize, input: &Shapes, tables: &BTreeMap<&str, &Shapes>) -> Shapes {
        let scenario = self.scenario;
        let operator = &scenario.operators[index];
        let at = |key: &str| format!("operator[{index}].{key}");
        let scope = Scope {
            shapes: input,
            input: vec![],
        };
        let looked_up = |checker: &mut Self, key: &str, expr: &crate::query::Expr| {
            if expr.has_aggregate() {
                let help = "aggregates work on windows: write a query".to_owned();
                checker.say(&at(key), "an aggregate cannot stand here", help);
            } else if let Err(misfit) = scope.shape(expr) {
                checker.misfit(&at(key), misfit);
            }
        };
        let by = |checker: &mut Self, key: &str, names: &[String]| {
            for name in names {
                if shapes::schema(input).slot(name).is_none() {
                    let help = suggest::help(name, input.iter().map(|(n, _)| n.as_str()));
                    checker.say(&at(key), format!("there is no field `{name}`"), help);
                }
            }
        };
        if let Some(watermark) = &operator.watermark {
            for (key, expr) in [("when", &watermark.when), ("time", &watermark.time)] {
                if let Some(expr) = expr {
                    looked_up(self, &format!("watermark.{key}"), &expr.expr);
                }
            }
        }
        if let Some(convey) = &operator.convey {
            by(self, "convey.by", convey.by.key().unwrap_or_default());
            if let Route::Predicates(predicates) = &convey.by {
                for (k, predicate) in predicates.iter().enumerate() {
                    looked_up(self, &format!("convey.by.predicates[{k}]"), &predicate.expr);
                }
            }
        }
        if let Some(query) = &operator.query {
            let streams: Vec<String> = operator.input.iter().map(|entry| self.stream_of(entry)).collect();
            let mut names: Vec<&str> = operator.input.iter().map(String::as_str).collect();
            names.extend(streams.iter().map(String::as_str));
            // What a broker gives goes by the names of what it takes, too.
            let behind = operator.input.iter().flat_map(|entry| self.scenario.behind(entry));
            names.extend(behind.map(|entry| input_name(entry).0));
            if !names.iter().any(|name| name.eq_ignore_ascii_case(&query.from)) {
                let help = suggest::help(&query.from, operator.input.iter().map(String::as_str));
                let message = format!("the query reads `{}`, which is no input of this operator", query.from);
                self.misfit(&at("query"), Misfit { message, help });
            }
            names.extend(query.alias.as_deref());
            let mut result = shapes::of_query(
                query,
                &Scope {
                    shapes: input,
                    input: names,
                },
            );
            if let Ok(fields) = &mut result
                && operator.truncate_integer_avg
            {
                truncate_averages(query, fields, input);
            }
            return result.unwrap_or_else(|misfit| {
                self.misfit(&at("query"), misfit);
                vec![]
            });
        }
        if let Some(steps) = &operator.transform {
            let mut fields = input.clone();
            for (k, step) in steps.iter().enumerate() {
                fields = match shapes::after(step, fields, tables) {
                    Ok(fields) => fields,
                    Err(misfit) => {
                        self.misfit(&at(&format!("transform[{k}]")), misfit);
                        return vec![];
                    }
                };
            }
            return fields;
        }
        if let Some(filter) = &operator.filter {
            looked_up(self, "filter", &filter.expr);
        }
        if let Some(change) = &operator.change {
            looked_up(self, "change.value", &change.value.expr);
            by(self, "change.by", &change.by);
        }
        if let Some(first) = &operator.first {
            by(self, "first.by", &first.by);
        }
        let mut fields = input.clone();
        if let Some(compensate) = &operator.compensate {
            by(self, "compensate.by", &compensate.by);
            if fields.iter().any(|(n, _)| n == "decision") {
                let help = "rename it first".to_owned();
                let message = "decisions add a field `decision`, and there is one already";
                self.say(&at("compensate"), message, help);
            }
            fields.push(("decision".into(), Shape::of_type(crate::schema::FieldType::Text)));
        }
        if let Some(reorder) = &operator.reorder {
            for (key, value) in reorder.expressions() {
                looked_up(self, &format!("reorder.{key}"), &value.expr);
            }
            if let Some(number) = &reorder.number {
                by(self, "reorder.number.field", number.field.as_slice());
                by(self, "reorder.number.by", &number.by);
                fields.extend(self.gap_fields(index, number, input));
            }
        }
        if let Some(threshold) = &operator.threshold {
            looked_up(self, "threshold.value", &threshold.value.expr);
            by(self, "threshold.by", &threshold.by);
            if threshold.emit == crate::script::ThresholdEmit::Crossings {
                if fields.iter().any(|(n, _)| n == "on") {
                    let help = "rename it first, or emit = \"on\"".to_owned();
                    self.say(
                        &at("threshold.emit"),
                        "crossings add a field `on`, and there is one already",
                        help,
                    );
                }
                fields.push(("on".into(), Shape::of_type(crate::schema::FieldType::Bool)));
            }
        }
        fields
    }

    /// The fields that name gaps, where a buffer marks them.
    fn gap_fields(&mut self, index: usize, number: &Numbers, input: &Shapes) -> Shapes {
        if !number.mark_gaps {
            return vec![];
        }
        let path = format!("operator[{index}].reorder.number.mark_gaps");
        for name in Numbers::GAP_FIELDS {
            if input.iter().any(|(n, _)| n == name) {
                let message = format!("gaps are marked in a field `{name}`, and there is one already");
                self.say(&path, message, "rename it first".to_owned());
            }
        }
        let whole = Shape::of_type(crate::schema::FieldType::Int);
        Numbers::GAP_FIELDS.map(|name| (name.into(), whole.clone())).into()
    }

    /// The name of the stream that an entry of an `input` list carries.
    fn stream_of(&self, entry: &str) -> String {
        let behind = self.scenario.behind(entry);
        let (name, _) = input_name(behind.first().copied().unwrap_or(entry));
        let source = self
            .scenario
            .sources
            .iter()
            .find(|s| s.name == name)
            .and_then(|s| s.stream.as_ref());
        let operator = self
            .scenario
            .operators
            .iter()
            .find(|o| o.name == name)
            .and_then(|o| o.stream.as_ref());
        source
            .or(operator)
            .map_or_else(|| name.to_owned(), |stream| stream.name.to_string())
    }
}

/// With truncated means, the mean of whole numbers is whole.
fn truncate_averages(query: &crate::query::Query, fields: &mut Shapes, input: &Shapes) {
    use crate::query::{AggregateFunction, Expr, SelectItem};
    use crate::schema::FieldType;
    for item in &query.select {
        if let SelectItem::Expr {
            expr: Expr::Aggregate(aggregate),
            name,
        } = item
            && aggregate.function == AggregateFunction::Avg
            && let Some(argument) = &aggregate.argument
            && let Ok(shape) = (Scope {
                shapes: input,
                input: vec![],
            })
            .shape(argument)
            && shape.kind() == FieldType::Int
            && let Some((_, field)) = fields.iter_mut().find(|(n, _)| n == name)
        {
            *field = Shape::of_type(FieldType::Int);
        }
    }
}
