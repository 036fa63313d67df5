//! Queries without windows and aggregates: `select … from … where …` over single events.

use wavetank_scenarios::query::{Expr, Query, SelectItem};
use wavetank_scenarios::{Event, Row, Time, Value};

use super::expr::{Compiled, Fields, Scope};
use crate::operator::{Draft, Dropped, Operator, Output};
use crate::reliability::{State, StateError};

/// The operator.
#[derive(Debug)]
pub struct Select {
    filter: Option<Compiled>,
    /// What is computed; `None` for all fields as they are.
    items: Vec<Option<Compiled>>,
    /// `select *` and nothing else: rows are shared.
    as_is: bool,
}

impl Select {
    /// Compiles a query.
    ///
    /// # Errors
    /// What cannot be compiled, with the clause it stands in.
    pub fn new(query: &Query, fields: Fields<'_>) -> Result<Self, String> {
        let compile =
            |expr: &Expr, clause: &str| Compiled::new(expr, fields).map_err(|e| format!("in `{clause}`: {e}"));
        if !query.order_by.is_empty() || query.limit.is_some() {
            return Err("`order by` and `limit` work on the rows of a window; this query has no window".into());
        }
        let item = |item: &SelectItem| match item {
            SelectItem::All => Ok(None),
            SelectItem::Expr { expr, .. } => compile(expr, "select").map(Some),
        };
        let items: Vec<Option<Compiled>> = query.select.iter().map(item).collect::<Result<_, _>>()?;
        Ok(Self {
            filter: query.filter.as_ref().map(|e| compile(e, "where")).transpose()?,
            as_is: matches!(items.as_slice(), [None]),
            items,
        })
    }

    /// The new payload; `None` when the event is filtered.
    fn apply(&self, event: &Event) -> Result<Option<Row>, String> {
        let scope = Scope::event(&event.row, event.stamp);
        if let Some(filter) = &self.filter
            && filter.test(&scope)? != Some(true)
        {
            return Ok(None);
        }
        if self.as_is {
            return Ok(Some(event.row.clone()));
        }
        let mut row: Vec<Value> = Vec::with_capacity(self.items.len());
        for item in &self.items {
            match item {
                Some(expr) => row.push(expr.eval(&scope)?.into_owned()),
                None => row.extend_from_slice(&event.row),
            }
        }
        Ok(Some(row.into()))
    }
}

impl Operator for Select {
    fn on_event(&mut self, _input: usize, event: Event, _now: Time, out: &mut Output) {
        match self.apply(&event) {
            Ok(Some(row)) => {
                out.emit(Draft::of(&event, row));
                out.caused(1);
            }
            Ok(None) => out.dropped(event.id, Dropped::Filtered),
            Err(reason) => out.failed(event, reason),
        }
    }
    fn on_watermark(&mut self, _watermark: Time, _out: &mut Output) {}
    fn save(&self, _state: &mut State) {}
    fn restore(&mut self, _state: &State) -> Result<(), StateError> {
        Ok(())
    }
    fn held(&self) -> u64 {
        0
    }
    fn state_bytes(&self) -> usize {
        0
    }
}
