//! Transformation: one event in, none, one or several out.
//!
//! The model in words: an event is a list of names and values. Each step in turn makes of every such list none, one or
//! several others; new fields stand behind the others, also those that come in place of a record, list or message. When
//! any of the lists cannot be worked on, the event has failed and nothing comes of it; when none is left it was filtered. A
//! step that names a field which is not there fails. In the end the values are put in the order of the output's schema,
//! with null for what a record did not have.

use arcstr::ArcStr;
use wavetank_scenarios::script::{Missing, TransformStep};
use wavetank_scenarios::{Event, Row, Schema, Time, Value};

use crate::codec;
use crate::expr::{OfEvent, cast, compare, eval};
use crate::reference::Tables;
use crate::single::{Fate, Single};
use crate::{Reference, Why};

/// An event on its way through the steps.
#[derive(Clone)]
struct Draft {
    stamp: Time,
    fields: Vec<(ArcStr, Value)>,
}

/// Why a draft goes no further.
enum Stop {
    Drop,
    Fail,
}

impl From<String> for Stop {
    fn from(_reason: String) -> Self {
        Self::Fail
    }
}

#[derive(Clone)]
struct Steps {
    steps: Vec<TransformStep>,
    schema: Schema,
    output: Option<Schema>,
    tables: Tables,
}

pub(crate) fn transform(
    steps: &[TransformStep],
    schema: &Schema,
    output: Option<&Schema>,
    tables: &Tables,
) -> Result<Box<dyn Reference>, String> {
    for step in steps {
        if let TransformStep::Enrich(enrich) = step {
            let (columns, _) = tables
                .get(&enrich.table)
                .ok_or_else(|| format!("there is no table `{}`", enrich.table))?;
            for column in enrich.on.values().chain(&enrich.fields) {
                if columns.slot(column).is_none() {
                    return Err(format!("table `{}` has no column `{column}`", enrich.table));
                }
            }
        }
    }
    let state = Steps {
        steps: steps.to_vec(),
        schema: schema.clone(),
        output: output.cloned(),
        tables: tables.clone(),
    };
    Ok(Box::new(Single::new(state, |steps, event| steps.fate(event), |_| {})))
}

impl Steps {
    fn fate(&self, event: &Event) -> Fate {
        let names = self.schema.names().map(ArcStr::from);
        let mut drafts = vec![Draft {
            stamp: event.stamp,
            fields: names.zip(event.row.iter().cloned()).collect(),
        }];
        for step in &self.steps {
            let mut next = Vec::new();
            for draft in drafts {
                match self.step(step, draft) {
                    Ok(mut made) => next.append(&mut made),
                    Err(Stop::Drop) => {}
                    Err(Stop::Fail) => return Err(Why::Failed),
                }
            }
            drafts = next;
        }
        let row = |d: Draft| -> Row {
            match &self.output {
                None => d.fields.into_iter().map(|(_, value)| value).collect(),
                Some(output) => output.names().map(|name| d.value(name)).collect(),
            }
        };
        Ok(drafts.into_iter().map(|d| (d.stamp, row(d))).collect())
    }

    fn step(&self, step: &TransformStep, mut draft: Draft) -> Result<Vec<Draft>, Stop> {
        match step {
            TransformStep::Project(names) => {
                let kept = names.iter().map(|name| Ok(draft.fields[draft.place(name)?].clone()));
                draft.fields = kept.collect::<Result<_, Stop>>()?;
            }
            TransformStep::Drop(names) => {
                for name in names {
                    let place = draft.place(name)?;
                    draft.fields.remove(place);
                }
            }
            TransformStep::Rename(names) => draft.rename(names)?,
            TransformStep::Derive(derived) => {
                for (name, predicate) in derived {
                    let value = draft.eval(&predicate.expr)?;
                    draft.put(name, value);
                }
            }
            TransformStep::Flatten(field) => return draft.flatten(field),
            TransformStep::Nest { into, fields } => {
                let mut inside = Vec::new();
                for name in fields {
                    let place = draft.place(name)?;
                    inside.push(draft.fields.remove(place));
                }
                draft.put(into, Value::Record(inside.into()));
            }
            TransformStep::Unnest(field) => {
                let place = draft.place(field)?;
                match draft.fields.remove(place).1 {
                    Value::Record(fields) => draft.spread(fields.to_vec()),
                    Value::Null => {}
                    _ => return Err(Stop::Fail),
                }
            }
            TransformStep::Enrich(enrich) => {
                let (columns, rows) = self.tables.get(&enrich.table).ok_or(Stop::Fail)?;
                let mut wanted = Vec::new();
                for (field, column) in &enrich.on {
                    let value = draft.fields[draft.place(field)?].1.clone();
                    wanted.push((columns.slot(column).ok_or(Stop::Fail)?, value));
                }
                let equal = |x: &Value, y: &Value| matches!(compare(x, y), Ok(Some(std::cmp::Ordering::Equal)));
                let found = rows
                    .iter()
                    .find(|row| wanted.iter().all(|(slot, value)| equal(&row[*slot], value)));
                match (found, enrich.missing) {
                    (None, Missing::Drop) => return Err(Stop::Drop),
                    (None, Missing::Fail) => return Err(Stop::Fail),
                    (found, _) => {
                        for name in &enrich.fields {
                            let slot = columns.slot(name).ok_or(Stop::Fail)?;
                            draft.put(name, found.map(|row| row[slot].clone()).unwrap_or_default());
                        }
                    }
                }
            }
            TransformStep::Decode(codec) => {
                let place = draft.place(&codec.field)?;
                let (_, message) = draft.fields.remove(place);
                let fields = codec::decode(codec.format, &message, &codec.fields)?;
                draft.spread(fields);
            }
            TransformStep::Encode(codec) => {
                let mut fields = draft.fields.clone();
                if !codec.fields.is_empty() {
                    fields.clear();
                    for (name, kind) in &codec.fields {
                        let value = draft.fields[draft.place(name)?].1.clone();
                        fields.push((name.clone(), cast(value, *kind)?));
                    }
                }
                let message = codec::encode(codec.format, &fields)?;
                draft.fields = vec![(codec.field.as_str().into(), message)];
            }
            TransformStep::Upgrade(upgrade) => {
                draft.rename(&upgrade.rename)?;
                for name in &upgrade.remove {
                    let place = draft.place(name)?;
                    draft.fields.remove(place);
                }
                for (name, value) in &upgrade.default {
                    draft.put(name, value.into());
                }
            }
            TransformStep::SetStamp(field) => {
                draft.stamp = match draft.fields[draft.place(field)?].1 {
                    Value::Time(time) => time,
                    Value::Int(micros) => Time::from_micros(micros),
                    _ => return Err(Stop::Fail),
                };
            }
        }
        Ok(vec![draft])
    }
}

impl Draft {
    fn schema(&self) -> Schema {
        let any = wavetank_scenarios::FieldType::Any;
        Schema::new(self.fields.iter().map(|(name, _)| (name.clone(), any)))
    }

    fn place(&self, name: &str) -> Result<usize, Stop> {
        self.schema().slot(name).ok_or(Stop::Fail)
    }

    fn eval(&self, expr: &wavetank_scenarios::query::Expr) -> Result<Value, Stop> {
        let row: Row = self.fields.iter().map(|(_, value)| value.clone()).collect();
        let scope = OfEvent {
            schema: &self.schema(),
            row: &row,
            stamp: self.stamp,
            called: &[],
            window: None,
        };
        Ok(eval(expr, &scope)?)
    }

    /// The value of that field, null where there is none.
    fn value(&self, name: &str) -> Value {
        let found = self.fields.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// Sets a field: in its place where it is there, else behind all others.
    fn put(&mut self, name: &str, value: Value) {
        match self.fields.iter_mut().find(|(n, _)| n == name) {
            Some(field) => field.1 = value,
            None => self.fields.push((name.into(), value)),
        }
    }

    /// Puts fields behind the others.
    fn spread(&mut self, fields: Vec<(ArcStr, Value)>) {
        for (name, value) in fields {
            self.put(&name, value);
        }
    }

    /// All at once, so that two names can be exchanged.
    fn rename(&mut self, names: &indexmap::IndexMap<String, String>) -> Result<(), Stop> {
        let places = names.keys().map(|old| self.place(old));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        for (place, new) in places.into_iter().zip(names.values()) {
            self.fields[place].0 = new.as_str().into();
        }
        Ok(())
    }

    fn flatten(self, field: &str) -> Result<Vec<Self>, Stop> {
        let place = self.place(field)?;
        let items = match &self.fields[place].1 {
            Value::List(items) => items.to_vec(),
            Value::Null => vec![],
            _ => return Err(Stop::Fail),
        };
        let one = |item: Value| {
            let mut draft = self.clone();
            match item {
                Value::Record(fields) => {
                    draft.fields.remove(place);
                    draft.spread(fields.to_vec());
                }
                other => draft.fields[place].1 = other,
            }
            draft
        };
        Ok(items.into_iter().map(one).collect())
    }
}
