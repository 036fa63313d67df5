//! Rate of change between an event and the one before it with the same key, in order of arrival:
//! `(value − value before) · per / (stamp − stamp before)`, worked out in floats from left to right, times in microseconds.
//!
//! Where the stamp did not grow there is no rate. Events without a value are filtered and forgotten.

use std::sync::Arc;

use wavetank_scenarios::script::RateOfChange as Settings;
use wavetank_scenarios::{Event, Row, Span, Time, Value};

use super::{Gate, KEYS, Verdict, number, saved, unreadable};
use crate::processing::expr::{Compiled, Fields};
use crate::processing::keyed::Keyed;
use crate::reliability::{State, StateError};

/// The gate.
#[derive(Debug)]
pub struct RateOfChange {
    value: Compiled,
    per: f64,
    above: Option<f64>,
    below: Option<f64>,
    before: Keyed<Option<(f64, Time)>>,
}

impl RateOfChange {
    /// From its settings.
    ///
    /// # Errors
    /// A name that is not there, no bound, or a `per` that is no length of time.
    pub fn new(settings: &Settings, fields: Fields<'_>) -> Result<Self, String> {
        if settings.per <= Span::ZERO {
            return Err(format!(
                "change is counted per {}; `per` must be longer than nothing",
                settings.per
            ));
        }
        if settings.above.is_none() && settings.below.is_none() {
            return Err("a rate of change needs `above` or `below`, or nothing would ever pass".into());
        }
        Ok(Self {
            value: Compiled::new(&settings.value.expr, fields).map_err(|e| format!("in `value`: {e}"))?,
            per: settings.per.micros() as f64,
            above: settings.above,
            below: settings.below,
            before: Keyed::new(&settings.by, fields.schema)?,
        })
    }
}

impl Gate for RateOfChange {
    fn judge(&mut self, event: &Event) -> Result<Verdict, String> {
        let Some(value) = number(&self.value, event)? else {
            return Ok(Verdict::Filter);
        };
        let before = self.before.of(&event.row).replace((value, event.stamp));
        let Some((old, then)) = before.filter(|(_, then)| event.stamp > *then) else {
            return Ok(Verdict::Filter);
        };
        let rate = (value - old) * self.per / event.stamp.since(then).micros() as f64;
        let passes = self.above.is_some_and(|above| rate > above) || self.below.is_some_and(|below| -rate > below);
        Ok(if passes { Verdict::Pass } else { Verdict::Filter })
    }
    fn state_bytes(&self) -> usize {
        self.before.state_bytes()
    }
    fn save(&self, state: &mut State) {
        self.before.save(KEYS, state);
    }
    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.before.restore(KEYS, state)
    }
    fn take_keys(&mut self, moves: &dyn Fn(&[Value]) -> bool) -> Option<Vec<(Row, Value)>> {
        let value = |(value, stamp)| Value::List(Arc::new(vec![Value::Float(value), Value::Time(stamp)]));
        saved(self.before.take(moves), |before| before.map_or(Value::Null, value))
    }
    fn put_key(&mut self, key: &Row, state: &Value) -> Result<(), String> {
        let before = match state {
            Value::Null => None,
            Value::List(list) => match list.as_slice() {
                [Value::Float(value), Value::Time(stamp)] => Some((*value, *stamp)),
                _ => return Err(unreadable(key, state)),
            },
            _ => return Err(unreadable(key, state)),
        };
        self.before.put(Arc::clone(key), before);
        Ok(())
    }
}
