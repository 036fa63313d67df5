//! From a combination of events to a result: `where`, `select`, and the result's origins.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wavetank_scenarios::query::{Expr, Query, SelectItem};
use wavetank_scenarios::{Event, EventId, Row, Time, Value};

use super::names::{Streams, append};
use super::parts::{PartId, Parts};
use crate::operator::{Draft, Output};
use crate::processing::expr::{Compiled, Scope};

/// Some events, one of each stream or none, and the event time of their combination.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tuple {
    /// One of each stream so far.
    pub parts: Vec<Option<PartId>>,
    /// Its event time.
    pub stamp: Time,
}

/// What is asked of combinations.
#[derive(Debug)]
pub struct Results {
    /// How many fields each stream has.
    pub widths: Vec<usize>,
    filter: Option<Compiled>,
    /// What is computed; `None` for the fields of all streams.
    items: Vec<Option<Compiled>>,
    lineage: bool,
}

impl Results {
    /// Compiles `where` and `select`.
    ///
    /// # Errors
    /// What cannot be compiled, with the clause it stands in.
    pub fn new(query: &Query, streams: &Streams, lineage: bool) -> Result<Self, String> {
        let compile = |expr: &Expr, clause: &str| {
            let compiled = streams.compile(expr, streams.len());
            compiled.map_err(|e| format!("in `{clause}`: {e}"))
        };
        let item = |item: &SelectItem| match item {
            SelectItem::All => Ok(None),
            SelectItem::Expr { expr, .. } => compile(expr, "select").map(Some),
        };
        Ok(Self {
            widths: (0..streams.len()).map(|stream| streams.fields(stream)).collect(),
            filter: query.filter.as_ref().map(|expr| compile(expr, "where")).transpose()?,
            items: query.select.iter().map(item).collect::<Result<_, String>>()?,
            lineage,
        })
    }

    /// The long row of a combination of the first streams.
    pub fn row(&self, parts: &Parts, tuple: &[Option<PartId>]) -> Vec<Value> {
        let mut row = Vec::with_capacity(self.widths.iter().sum::<usize>() + self.widths.len());
        for (part, width) in tuple.iter().zip(&self.widths) {
            append(&mut row, *width, part.and_then(|id| parts.event(id)));
        }
        row
    }

    /// The payload of a combination; `None` where `where` is not true of it.
    fn payload(&self, row: &[Value], stamp: Time, window: Option<(Time, Time)>) -> Result<Option<Row>, String> {
        let scope = Scope { row, stamp, window };
        if let Some(filter) = &self.filter
            && filter.test(&scope)? != Some(true)
        {
            return Ok(None);
        }
        let mut out: Vec<Value> = Vec::with_capacity(self.items.len());
        for item in &self.items {
            match item {
                Some(expr) => out.push(expr.eval(&scope)?.into_owned()),
                None => {
                    let mut first = 0;
                    for width in &self.widths {
                        out.extend_from_slice(&row[first..first + width]);
                        first += width + 1;
                    }
                }
            }
        }
        Ok(Some(out.into()))
    }

    /// Gives a combination, if it is wanted, and notes with its parts what came of it.
    pub fn give(&self, tuple: &Tuple, window: Option<(Time, Time)>, parts: &mut Parts, out: &mut Output) {
        let row = self.row(parts, &tuple.parts);
        match self.payload(&row, tuple.stamp, window) {
            Ok(None) => {}
            Err(_) => parts.failed(&tuple.parts),
            Ok(Some(row)) => {
                let events: Vec<&Event> = tuple.parts.iter().flatten().filter_map(|id| parts.event(*id)).collect();
                out.emit(draft(&events, row, tuple.stamp, self.lineage));
                parts.caused(&tuple.parts);
            }
        }
    }
}

/// The ids of a combination, by which those of one event time are ordered; none is smallest.
pub fn ids(tuple: &Tuple, parts: &Parts) -> Vec<Option<EventId>> {
    let id = |part: &Option<PartId>| part.and_then(|id| parts.event(id)).map(|event| event.id);
    tuple.parts.iter().map(id).collect()
}

/// A result of several events.
pub fn draft(events: &[&Event], row: Row, stamp: Time, lineage: bool) -> Draft {
    let last = events.iter().max_by_key(|event| (event.stamp, event.id));
    let correlation = last.map(|event| event.correlation).unwrap_or_default();
    let origins = lineage.then(|| {
        let mut all: Vec<EventId> = events
            .iter()
            .flat_map(|event| event.origins().iter().copied())
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    });
    Draft {
        stamp,
        correlation,
        planned: events.iter().map(|event| event.planned).max().unwrap_or(stamp),
        row,
        lineage: origins.filter(|all| *all != [correlation]).map(Arc::from),
        pane: None,
    }
}
