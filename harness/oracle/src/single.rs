//! Operators that look at one event at a time: selection, filter, threshold, rate of change, first of a burst.
//!
//! The model in words: each event is answered when it arrives, in order of arrival, and never held. A threshold remembers
//! for each key whether it is on, and since when the value has been above; a rate of change remembers the event before; a
//! burst its largest stamp. A crash makes them forget that.

use std::collections::BTreeMap;

use wavetank_scenarios::query::{Expr, Query, SelectItem};
use wavetank_scenarios::script::{FirstOfBurst, RateOfChange, Threshold, ThresholdEmit};
use wavetank_scenarios::{Event, Row, Schema, Time, Value};

use crate::answer::called;
use crate::expr::{OfEvent, eval, holds};
use crate::{Arrival, Due, DueResult, Reference, Why};

/// What becomes of one event: its rows, or why there is none.
pub(crate) type Fate = Result<Vec<(Time, Row)>, Why>;

/// An operator that answers each event when it arrives.
#[derive(Clone)]
pub(crate) struct Single<S> {
    state: S,
    fate: fn(&mut S, &Event) -> Fate,
    crash: fn(&mut S),
}

impl<S> Single<S> {
    pub const fn new(state: S, fate: fn(&mut S, &Event) -> Fate, crash: fn(&mut S)) -> Self {
        Self { state, fate, crash }
    }
}

impl<S: Clone + 'static> Reference for Single<S> {
    fn arrive(&mut self, arrival: &Arrival) -> Due {
        let mut due = Due::default();
        match arrival {
            Arrival::Event { event, .. } => match (self.fate)(&mut self.state, event) {
                Err(why) => due.dropped.push((event.id, why)),
                Ok(rows) if rows.is_empty() => due.dropped.push((event.id, Why::Filtered)),
                Ok(rows) => {
                    due.results = rows
                        .into_iter()
                        .map(|(stamp, row)| DueResult {
                            stamp,
                            row,
                            bounds: vec![],
                            pane: event.pane.as_deref().cloned(),
                            correlation: event.correlation,
                            origins: event.origins().to_vec(),
                        })
                        .collect();
                }
            },
            Arrival::Watermark(_) | Arrival::Timer { .. } => {}
            Arrival::Crash => (self.crash)(&mut self.state),
        }
        due
    }
}

fn scope<'a>(schema: &'a Schema, event: &'a Event, called: &'a [arcstr::ArcStr]) -> OfEvent<'a> {
    OfEvent {
        schema,
        row: &event.row,
        stamp: event.stamp,
        called,
        window: None,
    }
}

/// `select … where …` without a window.
pub(crate) fn select(query: &Query, schema: &Schema) -> Box<dyn Reference> {
    let state = (query.clone(), schema.clone(), called(query));
    Box::new(Single::new(
        state,
        |(query, schema, called), event| {
            let scope = scope(schema, event, called);
            if let Some(filter) = &query.filter
                && !holds(filter, &scope).map_err(|_| Why::Failed)?
            {
                return Err(Why::Filtered);
            }
            let mut row = Vec::new();
            for item in &query.select {
                match item {
                    SelectItem::All => row.extend(event.row.iter().cloned()),
                    SelectItem::Expr { expr, .. } => row.push(eval(expr, &scope).map_err(|_| Why::Failed)?),
                }
            }
            Ok(vec![(event.stamp, row.into())])
        },
        |_| {},
    ))
}

/// A predicate.
pub(crate) fn filter(predicate: &Expr, schema: &Schema) -> Box<dyn Reference> {
    Box::new(Single::new(
        (predicate.clone(), schema.clone()),
        |(predicate, schema), event| match holds(predicate, &scope(schema, event, &[])) {
            Ok(true) => Ok(vec![(event.stamp, event.row.clone())]),
            Ok(false) => Err(Why::Filtered),
            Err(_) => Err(Why::Failed),
        },
        |_| {},
    ))
}

/// The slots of the fields that keys are made of.
fn slots(by: &[String], schema: &Schema) -> Result<Vec<usize>, String> {
    by.iter()
        .map(|name| {
            schema
                .slot(name)
                .ok_or_else(|| format!("there is no field `{name}` to keep a state by"))
        })
        .collect()
}

fn key(slots: &[usize], event: &Event) -> Row {
    slots
        .iter()
        .map(|slot| event.row.get(*slot).cloned().unwrap_or_default())
        .collect()
}

/// A value that must be a number; null filters the event.
fn number(expr: &Expr, schema: &Schema, event: &Event) -> Result<f64, Why> {
    match eval(expr, &scope(schema, event, &[])) {
        Ok(Value::Null) => Err(Why::Filtered),
        Ok(value) => value.as_f64().ok_or(Why::Failed),
        Err(_) => Err(Why::Failed),
    }
}

#[derive(Clone)]
struct ThresholdState {
    settings: Threshold,
    schema: Schema,
    slots: Vec<usize>,
    keys: BTreeMap<Row, Level>,
}

#[derive(Clone, Copy)]
enum Level {
    Off,
    /// Above `high` since that stamp, not long enough yet.
    Rising(Time),
    On,
}

/// A threshold with hysteresis and debounce.
pub(crate) fn threshold(settings: &Threshold, schema: &Schema) -> Result<Box<dyn Reference>, String> {
    let state = ThresholdState {
        settings: settings.clone(),
        schema: schema.clone(),
        slots: slots(&settings.by, schema)?,
        keys: BTreeMap::new(),
    };
    Ok(Box::new(Single::new(
        state,
        |state, event| {
            let Threshold {
                value,
                high,
                low,
                hold,
                emit,
                ..
            } = &state.settings;
            let value = number(&value.expr, &state.schema, event)?;
            let level = state.keys.entry(key(&state.slots, event)).or_insert(Level::Off);
            let was_on = matches!(level, Level::On);
            *level = match *level {
                Level::On if value < low.unwrap_or(*high) => Level::Off,
                Level::On => Level::On,
                Level::Off | Level::Rising(_) if value > *high => {
                    let since = if let Level::Rising(since) = *level {
                        since
                    } else {
                        event.stamp
                    };
                    if event.stamp.since(since) >= *hold {
                        Level::On
                    } else {
                        Level::Rising(since)
                    }
                }
                Level::Off | Level::Rising(_) => Level::Off,
            };
            let on = matches!(level, Level::On);
            match emit {
                ThresholdEmit::On if on => Ok(vec![(event.stamp, event.row.clone())]),
                ThresholdEmit::Crossings if on != was_on => {
                    let row = event.row.iter().cloned().chain([Value::Bool(on)]);
                    Ok(vec![(event.stamp, row.collect())])
                }
                _ => Err(Why::Filtered),
            }
        },
        |state| state.keys.clear(),
    )))
}

#[derive(Clone)]
struct ChangeState {
    settings: RateOfChange,
    schema: Schema,
    slots: Vec<usize>,
    before: BTreeMap<Row, (Time, f64)>,
}

/// A rate of change.
pub(crate) fn change(settings: &RateOfChange, schema: &Schema) -> Result<Box<dyn Reference>, String> {
    let state = ChangeState {
        settings: settings.clone(),
        schema: schema.clone(),
        slots: slots(&settings.by, schema)?,
        before: BTreeMap::new(),
    };
    Ok(Box::new(Single::new(
        state,
        |state, event| {
            let value = number(&state.settings.value.expr, &state.schema, event)?;
            let before = state.before.insert(key(&state.slots, event), (event.stamp, value));
            let Some((stamp, before)) = before else {
                return Err(Why::Filtered);
            };
            let time = event.stamp.since(stamp).micros();
            if time <= 0 {
                return Err(Why::Filtered);
            }
            let rate = (value - before) * state.settings.per.micros() as f64 / time as f64;
            let rises = state.settings.above.is_some_and(|above| rate > above);
            let falls = state.settings.below.is_some_and(|below| rate < -below);
            if rises || falls {
                Ok(vec![(event.stamp, event.row.clone())])
            } else {
                Err(Why::Filtered)
            }
        },
        |state| state.before.clear(),
    )))
}

/// The first event of a burst.
pub(crate) fn first(settings: &FirstOfBurst, schema: &Schema) -> Result<Box<dyn Reference>, String> {
    let state = (
        settings.quiet,
        slots(&settings.by, schema)?,
        BTreeMap::<Row, Time>::new(),
    );
    Ok(Box::new(Single::new(
        state,
        |(quiet, slots, latest), event| {
            let last = latest.get(&key(slots, event)).copied();
            let passes = last.is_none_or(|last| event.stamp.since(last) >= *quiet);
            latest.insert(
                key(slots, event),
                last.map_or(event.stamp, |last| last.max(event.stamp)),
            );
            if passes {
                Ok(vec![(event.stamp, event.row.clone())])
            } else {
                Err(Why::Filtered)
            }
        },
        |(_, _, latest)| latest.clear(),
    )))
}
