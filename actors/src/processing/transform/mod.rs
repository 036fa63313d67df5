//! Transformation: one event in; none, one or several out. Structure, content, format and version.
//!
//! Steps are compiled one after another, each against the schema that the one before leaves behind. When a step cannot be
//! done, the whole event has failed: nothing of it comes out. Order and duplicates pass through.
//!
//! A record's fields are not part of a schema. Where one is taken apart, its fields are those that were put into it by
//! `nest` in the same transformation, else every name that later steps or the operator's output ask for and nothing else
//! provides; what a record has besides is left out, and what it lacks is null.

pub(super) mod cache;
mod codec;

use std::collections::BTreeSet;

use arcstr::ArcStr;
use rustc_hash::FxHashMap;
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::query::Expr;
use wavetank_scenarios::script::{Enrich, Missing, TransformStep, Upgrade};
use wavetank_scenarios::{Event, Field, FieldType, Schema, Time, Value};

use self::cache::Cache;
use self::codec::{Decoder, Encoder};
use super::Table;
use super::expr::{Compiled, Fields, Scope, normal, unknown};
use crate::operator::{Draft, Dropped, Operator, Output};
use crate::reliability::{State, StateError};

/// The operator.
#[derive(Debug)]
pub struct Transform {
    steps: Vec<Step>,
    /// The memories of look-ups, in the order of their steps.
    caches: Vec<Cache>,
}

/// A compiled step.
#[derive(Debug)]
enum Step {
    /// The new row is these slots of the old one: project and drop.
    Take(Vec<usize>),
    /// Evaluated over the row so far, put at this slot or behind the last one.
    Derive(Vec<(Compiled, Option<usize>)>),
    Flatten(usize, Option<Vec<ArcStr>>),
    Nest {
        keep: Vec<usize>,
        record: Vec<(ArcStr, usize)>,
    },
    Unnest(usize, Vec<ArcStr>),
    Enrich(Lookup),
    Decode(usize, Decoder),
    Encode(Encoder),
    /// Kept slots, then constants.
    Upgrade(Vec<usize>, Vec<Value>),
    SetStamp(usize),
}

/// A table by the values of its key.
#[derive(Debug)]
struct Lookup {
    on: Vec<usize>,
    rows: FxHashMap<Vec<Value>, Vec<Value>>,
    width: usize,
    missing: Missing,
    table: String,
    /// Which of the operator's caches is its.
    cache: usize,
}

impl Transform {
    /// Compiles steps over the fields of one input.
    ///
    /// # Errors
    /// What cannot be done, with the number and name of the step.
    pub fn new(steps: &[TransformStep], fields: Fields<'_>, output: &Schema, tables: &[Table]) -> Result<Self, String> {
        let mut shape = Shape {
            schema: fields.schema.clone(),
            records: Vec::new(),
            caches: Vec::new(),
        };
        let mut compiled = Vec::with_capacity(steps.len());
        for (i, step) in steps.iter().enumerate() {
            let wanted = Wanted::after(&steps[i + 1..], output);
            let step = shape
                .step(step, fields.inputs, &wanted, tables)
                .map_err(|e| format!("in step {} (`{}`) of `transform`: {e}", i + 1, name(step)))?;
            compiled.extend(step);
        }
        compiled.extend(shape.as_output(output)?);
        let caches = shape.caches;
        Ok(Self {
            steps: compiled,
            caches,
        })
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "it calls itself for each item of a list, with all it has"
    )]
    fn run(
        steps: &[Step],
        caches: &mut [Cache],
        from: usize,
        mut row: Vec<Value>,
        mut stamp: Time,
        event: &Event,
        out: &mut Output,
        drafts: &mut Vec<Draft>,
    ) -> Result<(), String> {
        for (i, step) in steps.iter().enumerate().skip(from) {
            match step {
                Step::Take(slots) => row = slots.iter().map(|s| row[*s].clone()).collect(),
                Step::Derive(expressions) => {
                    for (expr, slot) in expressions {
                        let value = expr.eval(&Scope::event(&row, stamp))?.into_owned();
                        match slot {
                            Some(slot) => row[*slot] = value,
                            None => row.push(value),
                        }
                    }
                }
                Step::Flatten(slot, names) => {
                    let items = match &row[*slot] {
                        Value::List(items) => items.clone(),
                        Value::Null => return Ok(()),
                        other => return Err(format!("{} `{other}` is not a list", other.type_name())),
                    };
                    for item in items.iter() {
                        let mut one = row.clone();
                        one[*slot] = item.clone();
                        if let Some(names) = names {
                            unnest(&mut one, *slot, names)?;
                        }
                        Self::run(steps, caches, i + 1, one, stamp, event, out, drafts)?;
                    }
                    return Ok(());
                }
                Step::Nest { keep, record } => {
                    let inside: Vec<_> = record.iter().map(|(n, s)| (n.clone(), row[*s].clone())).collect();
                    row = keep.iter().map(|s| row[*s].clone()).collect();
                    row.push(Value::Record(inside.into()));
                }
                Step::Unnest(slot, names) => unnest(&mut row, *slot, names)?,
                Step::Enrich(lookup) => match lookup.find(&row, &mut caches[lookup.cache], out) {
                    Some(found) => row.extend_from_slice(found),
                    None => match lookup.missing {
                        Missing::Null => row.resize(row.len() + lookup.width, Value::Null),
                        Missing::Drop => return Ok(()),
                        Missing::Fail => {
                            let key: Vec<String> = lookup.on.iter().map(|s| row[*s].to_string()).collect();
                            return Err(format!("table `{}` has no row for {}", lookup.table, key.join(", ")));
                        }
                    },
                },
                Step::Decode(slot, decoder) => {
                    let fields = decoder.decode(&row[*slot])?;
                    row.remove(*slot);
                    row.extend(fields);
                }
                Step::Encode(encoder) => row = vec![encoder.encode(&row)?],
                Step::Upgrade(keep, defaults) => {
                    row = keep
                        .iter()
                        .map(|s| row[*s].clone())
                        .chain(defaults.iter().cloned())
                        .collect();
                }
                Step::SetStamp(slot) => {
                    stamp = match &row[*slot] {
                        Value::Time(t) => *t,
                        Value::Int(micros) => Time::from_micros(*micros),
                        other => return Err(format!("{} `{other}` is not a time", other.type_name())),
                    }
                }
            }
        }
        let mut draft = Draft::of(event, row.into());
        draft.stamp = stamp;
        drafts.push(draft);
        Ok(())
    }
}

impl Lookup {
    fn find(&self, row: &[Value], cache: &mut Cache, out: &mut Output) -> Option<&[Value]> {
        let key: Vec<Value> = self.on.iter().map(|s| normal(&row[*s])).collect();
        if cache.counts() && !key.iter().any(Value::is_null) {
            let (cost, hit) = cache.ask(&key);
            out.occupied(cost);
            out.measure(if hit { Metric::CacheHits } else { Metric::CacheMisses }, 1);
        }
        self.rows.get(&key).map(Vec::as_slice)
    }
}

/// Takes the record at `slot` out and puts its fields behind the others.
fn unnest(row: &mut Vec<Value>, slot: usize, names: &[ArcStr]) -> Result<(), String> {
    let fields: Vec<Value> = match &row[slot] {
        Value::Null => vec![Value::Null; names.len()],
        Value::Record(fields) => names
            .iter()
            .map(|name| {
                fields
                    .iter()
                    .find(|(n, _)| n == name)
                    .map_or(Value::Null, |(_, v)| v.clone())
            })
            .collect(),
        other => return Err(format!("{} `{other}` is not a record", other.type_name())),
    };
    row.remove(slot);
    row.extend(fields);
    Ok(())
}

impl Operator for Transform {
    fn on_event(&mut self, _input: usize, event: Event, _now: Time, out: &mut Output) {
        let mut drafts = Vec::with_capacity(1);
        let row = event.row.to_vec();
        match Self::run(
            &self.steps,
            &mut self.caches,
            0,
            row,
            event.stamp,
            &event,
            out,
            &mut drafts,
        ) {
            Err(reason) => out.failed(event, reason),
            Ok(()) if drafts.is_empty() => out.dropped(event.id, Dropped::Filtered),
            Ok(()) => {
                drafts.into_iter().for_each(|draft| out.emit(draft));
                out.caused(1);
            }
        }
    }
    fn on_watermark(&mut self, _watermark: Time, _out: &mut Output) {}
    fn save(&self, state: &mut State) {
        for (i, cache) in self.caches.iter().enumerate() {
            cache.save(i, state);
        }
    }
    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        let mut caches = self.caches.iter_mut().enumerate();
        caches.try_for_each(|(i, cache)| cache.restore(i, state))
    }
    fn held(&self) -> u64 {
        0
    }
    fn state_bytes(&self) -> usize {
        self.caches.iter().map(Cache::state_bytes).sum()
    }
}

const fn name(step: &TransformStep) -> &'static str {
    match step {
        TransformStep::Project(_) => "project",
        TransformStep::Drop(_) => "drop",
        TransformStep::Rename(_) => "rename",
        TransformStep::Derive(_) => "derive",
        TransformStep::Flatten(_) => "flatten",
        TransformStep::Nest { .. } => "nest",
        TransformStep::Unnest(_) => "unnest",
        TransformStep::Enrich(_) => "enrich",
        TransformStep::Decode(_) => "decode",
        TransformStep::Encode(_) => "encode",
        TransformStep::Upgrade(_) => "upgrade",
        TransformStep::SetStamp(_) => "set_stamp",
    }
}

/// The type of a constant.
const fn kind_of(value: &Value) -> FieldType {
    match value {
        Value::Null => FieldType::Any,
        Value::Bool(_) => FieldType::Bool,
        Value::Int(_) => FieldType::Int,
        Value::Float(_) => FieldType::Float,
        Value::Text(_) => FieldType::Text,
        Value::Time(_) => FieldType::Time,
        Value::Bytes(_) => FieldType::Bytes,
        Value::List(_) => FieldType::List,
        Value::Record(_) => FieldType::Record,
    }
}

/// What the rest of a transformation asks for.
struct Wanted {
    /// Names that are read, or come out.
    read: BTreeSet<String>,
    /// Names that later steps provide themselves.
    made: BTreeSet<String>,
}

impl Wanted {
    fn after(steps: &[TransformStep], output: &Schema) -> Self {
        let mut wanted = Self {
            read: BTreeSet::new(),
            made: BTreeSet::new(),
        };
        for step in steps {
            match step {
                TransformStep::Project(names) | TransformStep::Drop(names) => wanted.read(names),
                TransformStep::Rename(names) => {
                    wanted.read(names.keys());
                    wanted.make(names.values());
                }
                TransformStep::Derive(fields) => {
                    fields.values().for_each(|p| wanted.read_in(&p.expr));
                    wanted.make(fields.keys());
                }
                TransformStep::Nest { into, fields } => {
                    wanted.read(fields);
                    wanted.make([into]);
                }
                TransformStep::Flatten(name) | TransformStep::Unnest(name) | TransformStep::SetStamp(name) => {
                    wanted.read([name]);
                }
                TransformStep::Enrich(enrich) => {
                    wanted.read(enrich.on.keys());
                    wanted.make(&enrich.fields);
                }
                TransformStep::Decode(codec) => {
                    wanted.read([&codec.field]);
                    wanted.make(codec.fields.keys());
                }
                TransformStep::Encode(codec) => {
                    wanted.read(codec.fields.keys());
                    wanted.make([&codec.field]);
                }
                TransformStep::Upgrade(upgrade) => {
                    wanted.read(upgrade.rename.keys());
                    wanted.read(&upgrade.remove);
                    wanted.make(upgrade.rename.values());
                    wanted.make(upgrade.default.keys());
                }
            }
        }
        wanted.read(output.names());
        wanted
    }
    fn read(&mut self, names: impl IntoIterator<Item = impl ToString>) {
        for name in names {
            let name = name.to_string();
            if !self.made.contains(&name) {
                self.read.insert(name);
            }
        }
    }
    fn read_in(&mut self, expr: &Expr) {
        if let Expr::Column(name) = expr {
            self.read(name.first());
        }
        expr.children().into_iter().for_each(|e| self.read_in(e));
    }
    fn make(&mut self, names: impl IntoIterator<Item = impl ToString>) {
        self.made.extend(names.into_iter().map(|n| n.to_string()));
    }
}

/// The schema between two steps.
struct Shape {
    schema: Schema,
    /// Fields of records that were nested on the way.
    records: Vec<(ArcStr, Vec<Field>)>,
    /// The memories of look-ups so far.
    caches: Vec<Cache>,
}

impl Shape {
    fn slot(&self, name: &str) -> Result<usize, String> {
        self.schema
            .slot(name)
            .ok_or_else(|| unknown("field", name, self.schema.names()))
    }
    fn slots(&self, names: &[String]) -> Result<Vec<usize>, String> {
        names.iter().map(|n| self.slot(n)).collect()
    }
    fn take(&mut self, slots: &[usize]) {
        self.schema.fields = slots.iter().map(|s| self.schema.fields[*s].clone()).collect();
    }
    /// Adds a field, which must be a new one.
    fn add(&mut self, name: &str, kind: FieldType) -> Result<(), String> {
        self.is_free(name)?;
        self.schema.fields.push(Field {
            name: name.into(),
            kind,
        });
        Ok(())
    }
    fn is_free(&self, name: &str) -> Result<(), String> {
        if self.schema.names().any(|n| n == name) {
            return Err(format!("there is a field `{name}` already; rename or drop it first"));
        }
        Ok(())
    }
    fn rename<'a>(&mut self, names: impl Iterator<Item = (&'a String, &'a String)>) -> Result<(), String> {
        let slots: Vec<(usize, &String)> = names
            .map(|(old, new)| Ok((self.slot(old)?, new)))
            .collect::<Result<_, String>>()?;
        for (slot, new) in slots {
            let old = std::mem::replace(&mut self.schema.fields[slot].name, ArcStr::from(new.as_str()));
            for (record, _) in self.records.iter_mut().filter(|(n, _)| *n == old) {
                *record = new.as_str().into();
            }
        }
        let mut seen = BTreeSet::new();
        match self.schema.names().find(|n| !seen.insert(n.to_string())) {
            Some(twice) => Err(format!("two fields would be named `{twice}`")),
            None => Ok(()),
        }
    }
    /// The fields of the record at `slot`: those that were nested, else those that are asked for and not there.
    fn inside(&self, slot: usize, wanted: &Wanted) -> Vec<Field> {
        let name = &self.schema.fields[slot].name;
        if let Some((_, fields)) = self.records.iter().rev().find(|(n, _)| n == name) {
            return fields.clone();
        }
        let asked = wanted.read.iter().filter(|n| self.schema.slot(n).is_none());
        asked
            .map(|n| Field {
                name: n.as_str().into(),
                kind: FieldType::Any,
            })
            .collect()
    }
    /// Takes a field out and puts others behind the rest.
    fn replace(&mut self, slot: usize, fields: Vec<Field>) -> Result<Vec<ArcStr>, String> {
        let old = self.schema.fields.remove(slot);
        for field in &fields {
            self.is_free(&field.name)?;
        }
        self.records.retain(|(n, _)| *n != old.name);
        let names = fields.iter().map(|f| f.name.clone()).collect();
        self.schema.fields.extend(fields);
        Ok(names)
    }

    /// Compiles a step and moves on to the schema behind it.
    fn step(
        &mut self,
        step: &TransformStep,
        inputs: &[&str],
        wanted: &Wanted,
        tables: &[Table],
    ) -> Result<Option<Step>, String> {
        Ok(Some(match step {
            TransformStep::Project(names) => {
                let slots = self.slots(names)?;
                self.take(&slots);
                Step::Take(slots)
            }
            TransformStep::Drop(names) => {
                let out = self.slots(names)?;
                let slots: Vec<usize> = (0..self.schema.fields.len()).filter(|s| !out.contains(s)).collect();
                self.take(&slots);
                Step::Take(slots)
            }
            TransformStep::Rename(names) => {
                self.rename(names.iter())?;
                return Ok(None);
            }
            TransformStep::Derive(fields) => {
                let mut compiled = Vec::new();
                for (name, predicate) in fields {
                    let over = Fields {
                        schema: &self.schema,
                        inputs,
                    };
                    let expr = Compiled::new(&predicate.expr, over).map_err(|e| format!("`{name}`: {e}"))?;
                    let slot = self.schema.names().position(|n| n == name);
                    match slot {
                        Some(slot) => self.schema.fields[slot].kind = FieldType::Any,
                        None => self.add(name, FieldType::Any)?,
                    }
                    compiled.push((expr, slot));
                }
                Step::Derive(compiled)
            }
            TransformStep::Flatten(name) => {
                let slot = self.slot(name)?;
                let fields = self.inside(slot, wanted);
                if wanted.read.contains(name) || fields.is_empty() {
                    self.schema.fields[slot].kind = FieldType::Any;
                    Step::Flatten(slot, None)
                } else {
                    Step::Flatten(slot, Some(self.replace(slot, fields)?))
                }
            }
            TransformStep::Nest { into, fields } => {
                let slots = self.slots(fields)?;
                let inside: Vec<Field> = slots.iter().map(|s| self.schema.fields[*s].clone()).collect();
                let keep: Vec<usize> = (0..self.schema.fields.len()).filter(|s| !slots.contains(s)).collect();
                let record = inside.iter().map(|f| f.name.clone()).zip(slots).collect();
                self.take(&keep);
                self.add(into, FieldType::Record)?;
                self.records.push((into.as_str().into(), inside));
                Step::Nest { keep, record }
            }
            TransformStep::Unnest(name) => {
                let slot = self.slot(name)?;
                let fields = self.inside(slot, wanted);
                if fields.is_empty() {
                    return Err(format!(
                        "which fields does the record `{name}` have? Name them in a later step, such as `project`"
                    ));
                }
                let names = self.replace(slot, fields)?;
                Step::Unnest(slot, names)
            }
            TransformStep::Enrich(enrich) => Step::Enrich(self.enrich(enrich, tables)?),
            TransformStep::Decode(codec) => {
                let slot = self.slot(&codec.field)?;
                let decoder = Decoder::new(codec)?;
                let fields = codec.fields.iter().map(|(name, kind)| Field {
                    name: name.clone(),
                    kind: *kind,
                });
                self.replace(slot, fields.collect())?;
                Step::Decode(slot, decoder)
            }
            TransformStep::Encode(codec) => {
                let encoder = Encoder::new(codec, &self.schema)?;
                self.schema.fields.clear();
                self.add(&codec.field, encoder.kind())?;
                Step::Encode(encoder)
            }
            TransformStep::Upgrade(upgrade) => self.upgrade(upgrade)?,
            TransformStep::SetStamp(name) => Step::SetStamp(self.slot(name)?),
        }))
    }

    /// The step that brings the fields into the order of the operator's output, where one is needed: the fields of a record
    /// that was taken apart are known by name only.
    fn as_output(&self, output: &Schema) -> Result<Option<Step>, String> {
        if output.fields.is_empty() || self.schema.names().eq(output.names()) {
            return Ok(None);
        }
        let list = |s: &Schema| s.names().collect::<Vec<_>>().join(", ");
        let slot = |name| self.schema.names().position(|n| n == name);
        match output.names().map(slot).collect::<Option<Vec<usize>>>() {
            Some(slots) if slots.len() == self.schema.fields.len() => Ok(Some(Step::Take(slots))),
            _ => Err(format!(
                "`transform` gives {}, and its output has {}",
                list(&self.schema),
                list(output)
            )),
        }
    }

    fn upgrade(&mut self, upgrade: &Upgrade) -> Result<Step, String> {
        self.rename(upgrade.rename.iter())?;
        let out = self.slots(&upgrade.remove)?;
        let keep: Vec<usize> = (0..self.schema.fields.len()).filter(|s| !out.contains(s)).collect();
        self.take(&keep);
        let mut defaults = Vec::new();
        for (name, value) in &upgrade.default {
            let value = Value::from(value);
            // A constant's type is known, and a message format that has types asks for it.
            self.add(name, kind_of(&value))?;
            defaults.push(value);
        }
        Ok(Step::Upgrade(keep, defaults))
    }

    fn enrich(&mut self, enrich: &Enrich, tables: &[Table]) -> Result<Lookup, String> {
        let table = tables
            .iter()
            .find(|t| t.name == enrich.table)
            .ok_or_else(|| unknown("table", &enrich.table, tables.iter().map(|t| t.name.as_str())))?;
        let column = |name: &str| {
            let what = format!("column of table `{}`", table.name);
            table
                .schema
                .slot(name)
                .ok_or_else(|| unknown(&what, name, table.schema.names()))
        };
        if enrich.on.is_empty() {
            return Err("`on` names no fields to look up by".into());
        }
        let mut on = Vec::new();
        let mut key = Vec::new();
        for (field, by) in &enrich.on {
            on.push(self.slot(field)?);
            key.push(column(by)?);
        }
        let added: Vec<usize> = enrich.fields.iter().map(|f| column(f)).collect::<Result<_, _>>()?;
        let mut rows = FxHashMap::default();
        for row in &table.rows {
            let at = |slot: &usize| row.get(*slot).cloned().unwrap_or_default();
            let key: Vec<Value> = key.iter().map(|s| normal(&at(s))).collect();
            // Null equals nothing; of several rows with one key the first is meant.
            if !key.iter().any(Value::is_null) {
                rows.entry(key).or_insert_with(|| added.iter().map(at).collect());
            }
        }
        self.caches.push(Cache::new(enrich.cache, enrich.cost));
        for (name, slot) in enrich.fields.iter().zip(&added) {
            self.add(name, table.schema.fields[*slot].kind)?;
        }
        Ok(Lookup {
            on,
            rows,
            width: added.len(),
            missing: enrich.missing,
            table: table.name.clone(),
            cache: self.caches.len() - 1,
        })
    }
}

#[cfg(test)]
mod tests;
