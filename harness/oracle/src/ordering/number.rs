//! Order by number.
//!
//! The model in words: each sequence has a list of what is held and a list of what was given up. The number that is due is
//! one above the last that went. What is held goes as long as the smallest number held is the one that is due; where an
//! event has waited for its time, or says that its sequence ends, or the input ends, whatever is missing below it is given
//! up, and everything up to it goes. A number below the one that is due is late if it is on the second list, and a
//! duplicate if it is not.

use wavetank_scenarios::query::Predicate;
use wavetank_scenarios::script::{Late, Numbers, Operator};
use wavetank_scenarios::{Event, Row, Schema, Span, Time, Value};

use super::as_it_is;
use crate::expr::{OfEvent, holds};
use crate::{Arrival, Due, DueResult, Reference, Why};

#[derive(Clone)]
struct ByNumber {
    settings: Numbers,
    end: Option<Predicate>,
    late: Late,
    flush: bool,
    schema: Schema,
    tick: Span,
    lines: Vec<Line>,
    came: u64,
}

/// A sequence.
#[derive(Clone)]
struct Line {
    key: Row,
    due: u64,
    held: Vec<Held>,
    /// Ranges, ascending.
    given_up: Vec<(u64, u64)>,
}

#[derive(Clone)]
struct Held {
    number: u64,
    turn: u64,
    event: Event,
}

pub(super) fn by_number(
    operator: &Operator,
    settings: &Numbers,
    schema: &Schema,
    tick: Span,
) -> Result<Box<dyn Reference>, String> {
    for name in settings.field.iter().chain(&settings.by) {
        if schema.slot(name).is_none() {
            return Err(format!("there is no field `{name}` to order by"));
        }
    }
    Ok(Box::new(ByNumber {
        settings: settings.clone(),
        end: settings.end.clone(),
        late: operator.late,
        flush: operator.flush_at_end,
        schema: schema.clone(),
        tick,
        lines: vec![],
        came: 0,
    }))
}

impl ByNumber {
    fn field(&self, event: &Event, name: &str) -> Value {
        let slot = self.schema.slot(name);
        slot.and_then(|slot| event.row.get(slot)).cloned().unwrap_or_default()
    }

    /// The sequence and the number of an event, and whether it ends its sequence.
    fn read(&self, event: &Event) -> Option<(Row, u64, bool)> {
        let ends = match &self.end {
            None => false,
            Some(end) => {
                let scope = OfEvent {
                    schema: &self.schema,
                    row: &event.row,
                    stamp: event.stamp,
                    called: &[],
                    window: None,
                };
                holds(&end.expr, &scope).ok()?
            }
        };
        let Some(field) = &self.settings.field else {
            let producer = Value::Int(i64::from(event.id.producer.0));
            return Some(([producer].into(), event.id.number, ends));
        };
        let Value::Int(number) = self.field(event, field) else {
            return None;
        };
        let key = self.settings.by.iter().map(|name| self.field(event, name)).collect();
        Some((key, number.try_into().ok()?, ends))
    }

    fn result(&self, event: &Event) -> DueResult {
        let mut result = as_it_is(event);
        if self.settings.mark_gaps {
            result.row = result.row.iter().cloned().chain([Value::Null, Value::Null]).collect();
        }
        result
    }

    fn marker(&self, behind: &Event, first: u64, last: u64) -> DueResult {
        let mut row = vec![Value::Null; behind.row.len()];
        for name in &self.settings.by {
            if let Some(slot) = self.schema.slot(name) {
                row[slot] = self.field(behind, name);
            }
        }
        for number in [first, last] {
            row.push(number.try_into().map_or(Value::Null, Value::Int));
        }
        DueResult {
            row: row.into(),
            ..as_it_is(behind)
        }
    }

    /// Lets go what is due in a line, and everything up to `upto` in any case.
    fn go(&mut self, line: usize, upto: Option<u64>) -> Vec<DueResult> {
        let mut results = Vec::new();
        loop {
            let this = &self.lines[line];
            let Some(first) = (0..this.held.len()).min_by_key(|i| this.held[*i].number) else {
                return results;
            };
            let (number, due) = (this.held[first].number, this.due);
            if number != due && upto.is_none_or(|upto| upto < number) {
                return results;
            }
            let held = self.lines[line].held.remove(first);
            if number != due {
                if self.settings.mark_gaps {
                    results.push(self.marker(&held.event, due, number - 1));
                }
                self.lines[line].given_up.push((due, number - 1));
                self.trim(line);
            }
            results.push(self.result(&held.event));
            self.lines[line].due = number.saturating_add(1);
        }
    }

    /// Forgets the smallest ranges of which there are too many.
    fn trim(&mut self, line: usize) {
        let ranges = &mut self.lines[line].given_up;
        ranges.sort_unstable();
        while ranges.len() as u64 > self.settings.remember {
            ranges.remove(0);
        }
    }

    fn take(&mut self, event: &Event, due: &mut Due) {
        let turn = self.came;
        self.came += 1;
        let Some((key, number, ends)) = self.read(event) else {
            due.dropped.push((event.id, Why::Failed));
            return;
        };
        let line = self.lines.iter().position(|line| line.key == key).unwrap_or_else(|| {
            self.lines.push(Line {
                key,
                due: self.settings.first,
                held: vec![],
                given_up: vec![],
            });
            self.lines.len() - 1
        });
        let this = &mut self.lines[line];
        if this.held.iter().any(|held| held.number == number) {
            due.dropped.push((event.id, Why::Filtered));
        } else if number < this.due {
            let missed = this
                .given_up
                .iter()
                .position(|(first, last)| *first <= number && number <= *last);
            let Some(missed) = missed else {
                due.dropped.push((event.id, Why::Filtered));
                return;
            };
            let (first, last) = this.given_up.remove(missed);
            if first < number {
                this.given_up.push((first, number - 1));
                self.trim(line);
            }
            if number < last {
                self.lines[line].given_up.push((number + 1, last));
                self.trim(line);
            }
            match self.late {
                Late::Emit => due.results.push(self.result(event)),
                _ => due.dropped.push((event.id, Why::Late)),
            }
        } else {
            let event = event.clone();
            this.held.push(Held { number, turn, event });
            due.results = self.go(line, ends.then_some(number));
        }
    }
}

impl Reference for ByNumber {
    fn arrive(&mut self, arrival: &Arrival) -> Due {
        let mut due = Due::default();
        match arrival {
            Arrival::Event { event, .. } => self.take(event, &mut due),
            // The token is how many events came before the one that has waited for long enough.
            Arrival::Timer { token, .. } => {
                let mut waited: Vec<(u64, usize, u64)> = Vec::new();
                for (i, line) in self.lines.iter().enumerate() {
                    let here = line.held.iter().filter(|held| held.turn <= *token);
                    waited.extend(here.map(|held| (held.turn, i, held.number)));
                }
                waited.sort_unstable();
                for (_, line, number) in waited {
                    if self.lines[line].held.iter().any(|held| held.number == number) {
                        due.results.extend(self.go(line, Some(number)));
                    }
                }
            }
            Arrival::Watermark(Time::MAX) if self.flush => {
                for line in 0..self.lines.len() {
                    due.results.extend(self.go(line, Some(u64::MAX)));
                }
            }
            Arrival::Watermark(_) => {}
            Arrival::Crash => {
                self.lines.clear();
                self.came = 0;
            }
        }
        let held = || self.lines.iter().flat_map(|line| &line.held);
        due.held = held().count() as u64;
        due.limit = held().map(|held| held.event.stamp - self.tick).min();
        due
    }
}
