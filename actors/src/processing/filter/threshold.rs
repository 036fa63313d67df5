//! A threshold with hysteresis: on above `high`, off below `low`; and with a hold (debounce): on only when the value has
//! been above `high` for so long, from the stamp of the first event above to that of the event that turns it on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wavetank_scenarios::script::{Threshold as Settings, ThresholdEmit};
use wavetank_scenarios::{Event, Row, Schema, Span, Time, Value};

use super::{Gate, KEYS, Verdict, number, saved, unreadable};
use crate::processing::expr::{Compiled, Fields};
use crate::processing::keyed::Keyed;
use crate::reliability::{State, StateError};

/// The gate.
#[derive(Debug)]
pub struct Threshold {
    value: Compiled,
    high: f64,
    low: f64,
    hold: Span,
    emit: ThresholdEmit,
    /// Where the field `on` goes.
    on_slot: Option<usize>,
    states: Keyed<Switch>,
}

/// One key's state.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Switch {
    on: bool,
    /// While off: since when the value has been above `high` without a break.
    above: Option<Time>,
}

impl Threshold {
    /// From its settings.
    ///
    /// # Errors
    /// A name that is not there; `low` above `high`.
    pub fn new(settings: &Settings, fields: Fields<'_>) -> Result<Self, String> {
        let low = settings.low.unwrap_or(settings.high);
        if low > settings.high {
            return Err(format!(
                "the threshold turns off below low = {low}, which is above high = {}; low must not be above high",
                settings.high
            ));
        }
        Ok(Self {
            value: Compiled::new(&settings.value.expr, fields).map_err(|e| format!("in `value`: {e}"))?,
            high: settings.high,
            low,
            hold: settings.hold,
            emit: settings.emit,
            on_slot: exact_slot(fields.schema, "on"),
            states: Keyed::new(&settings.by, fields.schema)?,
        })
    }
}

/// The slot of a field of exactly that name.
fn exact_slot(schema: &Schema, name: &str) -> Option<usize> {
    schema.names().position(|n| n == name)
}

impl Gate for Threshold {
    fn judge(&mut self, event: &Event) -> Result<Verdict, String> {
        let Some(value) = number(&self.value, event)? else {
            return Ok(Verdict::Filter);
        };
        let state = self.states.of(&event.row);
        let was = state.on;
        if state.on {
            state.on = value >= self.low || value.is_nan();
        } else if value > self.high {
            let since = *state.above.get_or_insert(event.stamp);
            state.on = event.stamp.since(since) >= self.hold;
        }
        if state.on || value <= self.high {
            state.above = None;
        }
        let on = state.on;
        Ok(match self.emit {
            ThresholdEmit::On if on => Verdict::Pass,
            ThresholdEmit::Crossings if on != was => {
                let mut row = event.row.to_vec();
                match self.on_slot {
                    Some(slot) => row[slot] = Value::Bool(on),
                    None => row.push(Value::Bool(on)),
                }
                Verdict::PassAs(row.into())
            }
            ThresholdEmit::On | ThresholdEmit::Crossings => Verdict::Filter,
        })
    }
    fn state_bytes(&self) -> usize {
        self.states.state_bytes()
    }
    fn save(&self, state: &mut State) {
        self.states.save(KEYS, state);
    }
    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.states.restore(KEYS, state)
    }
    fn take_keys(&mut self, moves: &dyn Fn(&[Value]) -> bool) -> Option<Vec<(Row, Value)>> {
        let above = |above: Option<Time>| above.map_or(Value::Null, Value::Time);
        let value = |state: Switch| Value::List(Arc::new(vec![Value::Bool(state.on), above(state.above)]));
        saved(self.states.take(moves), value)
    }
    fn put_key(&mut self, key: &Row, state: &Value) -> Result<(), String> {
        let Value::List(list) = state else {
            return Err(unreadable(key, state));
        };
        let (on, above) = match list.as_slice() {
            [Value::Bool(on), Value::Null] => (*on, None),
            [Value::Bool(on), Value::Time(above)] => (*on, Some(*above)),
            _ => return Err(unreadable(key, state)),
        };
        self.states.put(Arc::clone(key), Switch { on, above });
        Ok(())
    }
}
