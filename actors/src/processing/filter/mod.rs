//! Filter and threshold: what lets single events through as they are, or does not. Order of arrival rules; null is not
//! true.
//!
//! The predicate is here; the threshold with hysteresis and hold is in [`threshold`], the rate of change in [`change`], the
//! first of a burst in [`first`].

pub mod change;
pub mod first;
pub mod threshold;

use wavetank_scenarios::{Event, Row, Time, Value};

use super::expr::{Compiled, Scope};
use crate::operator::{Draft, Dropped, Operator, Output};
use crate::reliability::{State, StateError};

/// What is said of one event.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    /// It goes through as it is.
    Pass,
    /// It goes through with this payload.
    PassAs(Row),
    /// It does not.
    Filter,
}

/// Something that judges one event after the other.
pub trait Gate {
    /// The verdict on an event.
    ///
    /// # Errors
    /// Why it cannot be judged.
    fn judge(&mut self, event: &Event) -> Result<Verdict, String>;
    /// Roughly how many bytes its state takes.
    fn state_bytes(&self) -> usize {
        0
    }
    /// See [`Operator::save`].
    fn save(&self, state: &mut State);
    /// See [`Operator::restore`].
    ///
    /// # Errors
    /// What is wrong with it.
    fn restore(&mut self, state: &State) -> Result<(), StateError>;
    /// See [`Operator::take_keys`].
    fn take_keys(&mut self, _moves: &dyn Fn(&[Value]) -> bool) -> Option<Vec<(Row, Value)>> {
        None
    }
    /// Puts the state of one key in.
    ///
    /// # Errors
    /// What is wrong with it.
    fn put_key(&mut self, key: &Row, _state: &Value) -> Result<(), String> {
        Err(format!("it keeps no state by key, and was given one for {key:?}"))
    }
}

/// The part of a saved state that holds what a gate keeps by key.
const KEYS: &str = "keys";

/// The states that a gate took out, as values.
fn saved<S>(taken: Vec<(Row, S)>, save: impl Fn(S) -> Value) -> Option<Vec<(Row, Value)>> {
    Some(taken.into_iter().map(|(key, state)| (key, save(state))).collect())
}

/// What is wrong with the state of a key.
fn unreadable(key: &Row, state: &Value) -> String {
    format!("`{state}` is no state that it keeps for {key:?}")
}

/// The operator around a gate.
#[derive(Debug)]
pub struct Filter<G>(pub G);

impl<G: Gate> Operator for Filter<G> {
    fn on_event(&mut self, _input: usize, event: Event, _now: Time, out: &mut Output) {
        let row = match self.0.judge(&event) {
            Ok(Verdict::Pass) => event.row.clone(),
            Ok(Verdict::PassAs(row)) => row,
            Ok(Verdict::Filter) => return out.dropped(event.id, Dropped::Filtered),
            Err(reason) => return out.failed(event, reason),
        };
        out.emit(Draft::of(&event, row));
        out.caused(1);
    }
    fn on_watermark(&mut self, _watermark: Time, _out: &mut Output) {}
    fn held(&self) -> u64 {
        0
    }
    fn state_bytes(&self) -> usize {
        self.0.state_bytes()
    }
    fn save(&self, state: &mut State) {
        self.0.save(state);
    }
    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.0.restore(state)
    }
    fn take_keys(&mut self, moves: &dyn Fn(&[Value]) -> bool) -> Option<Vec<(Row, Value)>> {
        self.0.take_keys(moves)
    }
    fn put_keys(&mut self, state: &[(Row, Value)]) -> Result<(), String> {
        state.iter().try_for_each(|(key, state)| self.0.put_key(key, state))
    }
}

/// A predicate: what is true passes, all else (null too) does not.
#[derive(Debug)]
pub struct Predicate(pub Compiled);

impl Gate for Predicate {
    fn judge(&mut self, event: &Event) -> Result<Verdict, String> {
        Ok(match self.0.test(&Scope::event(&event.row, event.stamp))? {
            Some(true) => Verdict::Pass,
            _ => Verdict::Filter,
        })
    }
    fn save(&self, _state: &mut State) {}
    fn restore(&mut self, _state: &State) -> Result<(), StateError> {
        Ok(())
    }
}

/// The number that an expression has for an event; `None` for null.
fn number(value: &Compiled, event: &Event) -> Result<Option<f64>, String> {
    let value = value.eval(&Scope::event(&event.row, event.stamp))?;
    match value.as_f64() {
        Some(number) => Ok(Some(number)),
        None if value.is_null() => Ok(None),
        None => Err(format!("its value is {} `{value}`, not a number", value.type_name())),
    }
}

#[cfg(test)]
mod tests;
