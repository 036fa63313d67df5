//! The first event of a burst: an event passes when none of its key came for `quiet` before it, by event time against the
//! largest stamp so far. An event older than that is part of the burst.

use std::sync::Arc;

use wavetank_scenarios::script::FirstOfBurst as Settings;
use wavetank_scenarios::{Event, Row, Schema, Span, Time, Value};

use super::{Gate, KEYS, Verdict, saved, unreadable};
use crate::processing::keyed::Keyed;
use crate::reliability::{State, StateError};

/// The gate.
#[derive(Debug)]
pub struct FirstOfBurst {
    quiet: Span,
    latest: Keyed<Option<Time>>,
}

impl FirstOfBurst {
    /// From its settings.
    ///
    /// # Errors
    /// A name that is not there.
    pub fn new(settings: &Settings, schema: &Schema) -> Result<Self, String> {
        Ok(Self {
            quiet: settings.quiet,
            latest: Keyed::new(&settings.by, schema)?,
        })
    }
}

impl Gate for FirstOfBurst {
    fn judge(&mut self, event: &Event) -> Result<Verdict, String> {
        let latest = self.latest.of(&event.row);
        let first = latest.is_none_or(|latest| event.stamp.since(latest) >= self.quiet);
        *latest = Some(latest.map_or(event.stamp, |latest| latest.max(event.stamp)));
        Ok(if first { Verdict::Pass } else { Verdict::Filter })
    }
    fn state_bytes(&self) -> usize {
        self.latest.state_bytes()
    }
    fn save(&self, state: &mut State) {
        self.latest.save(KEYS, state);
    }
    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.latest.restore(KEYS, state)
    }
    fn take_keys(&mut self, moves: &dyn Fn(&[Value]) -> bool) -> Option<Vec<(Row, Value)>> {
        saved(self.latest.take(moves), |latest| {
            latest.map_or(Value::Null, Value::Time)
        })
    }
    fn put_key(&mut self, key: &Row, state: &Value) -> Result<(), String> {
        let latest = match state {
            Value::Null => None,
            Value::Time(latest) => Some(*latest),
            _ => return Err(unreadable(key, state)),
        };
        self.latest.put(Arc::clone(key), latest);
        Ok(())
    }
}
