//! What an expression is worth over the events that a match has taken.
//!
//! The model in words: the events stand in a list in the order in which they were taken, each with its step; the event
//! that is looked at is the last one. `price` is of the last one, `b.price` of the last one that step b took, `nth` and
//! `prev` count along the list, an aggregate goes through it. What is not there is null, and so is an aggregate that cannot
//! be computed.

use arcstr::ArcStr;
use wavetank_scenarios::query::{Aggregate, Expr, Function};
use wavetank_scenarios::{Event, Schema, Time, Value};

use crate::aggregate::{compute, fits};
use crate::expr::{OfEvent, Scope, eval};

/// The names that expressions may use.
#[derive(Clone)]
pub(crate) struct Names {
    pub steps: Vec<ArcStr>,
    pub inputs: Vec<Schema>,
    pub called: Vec<ArcStr>,
}

/// An event that was taken.
#[derive(Clone)]
pub(crate) struct Taken<'a> {
    pub event: &'a Event,
    pub input: usize,
    pub step: ArcStr,
}

impl Names {
    /// The step that stands before the dot, if any, and what is behind it.
    fn split<'p>(&self, path: &'p [ArcStr]) -> (Option<ArcStr>, &'p [ArcStr]) {
        let same = |a: &ArcStr, b: &ArcStr| a.eq_ignore_ascii_case(b);
        if let Some(step) = path
            .first()
            .and_then(|first| self.steps.iter().find(|step| same(step, first)))
        {
            return (Some(step.clone()), &path[1..]);
        }
        if path.len() > 1 && self.called.iter().any(|name| same(name, &path[0])) {
            return (None, &path[1..]);
        }
        (None, path)
    }

    /// A field of an event; null where its input has none.
    fn field(&self, taken: &Taken<'_>, of_step: bool, path: &[ArcStr]) -> Value {
        let schema = &self.inputs[taken.input];
        let known = path.first().is_some_and(|name| schema.slot(name).is_some());
        if !known && of_step && path.len() == 1 && path[0].eq_ignore_ascii_case("event_time") {
            return Value::Time(taken.event.stamp);
        }
        if !known {
            return Value::Null;
        }
        let event = OfEvent {
            schema,
            row: &taken.event.row,
            stamp: taken.event.stamp,
            called: &[],
            window: None,
        };
        event.column(path).unwrap_or_default()
    }
}

/// A list of taken events, as a scope.
pub(crate) struct OfMatch<'a> {
    pub names: &'a Names,
    pub taken: Vec<Taken<'a>>,
    /// The stamp of the event that is looked at, or of the match.
    pub stamp: Time,
}

impl OfMatch<'_> {
    fn of(&self, step: Option<&ArcStr>) -> Vec<&Taken<'_>> {
        let wanted = |taken: &&Taken<'_>| step.is_none_or(|step| taken.step == *step);
        self.taken.iter().filter(wanted).collect()
    }

    /// `nth(b.x, n)`, `prev(b.x, n)`, `prev(x, n)`.
    fn navigate(&self, function: Function, args: &[Expr]) -> Option<Value> {
        let Expr::Column(path) = args.first()? else { return None };
        let n = match args.get(1) {
            Some(Expr::Literal(Value::Int(n))) => usize::try_from(*n).ok()?,
            _ => 1,
        };
        let (step, field) = self.names.split(path);
        let all = self.of(step.as_ref());
        let place = match function {
            Function::Nth => Some(n),
            _ => all.len().checked_sub(n + 1),
        };
        let found = place.and_then(|place| all.get(place).copied());
        Some(found.map_or(Value::Null, |taken| self.names.field(taken, step.is_some(), field)))
    }
}

impl Scope for OfMatch<'_> {
    fn column(&self, path: &[ArcStr]) -> Result<Value, String> {
        let (step, field) = self.names.split(path);
        let last = self.of(step.as_ref()).last().copied();
        Ok(last.map_or(Value::Null, |taken| self.names.field(taken, step.is_some(), field)))
    }
    fn event_time(&self) -> Result<Time, String> {
        Ok(self.stamp)
    }
    fn aggregate(&self, aggregate: &Aggregate) -> Result<Value, String> {
        let mut step = None;
        for part in aggregate.argument.iter().chain(&aggregate.filter) {
            step = step.or(named(part, self.names));
        }
        let mut values = Vec::new();
        for taken in self.of(step.as_ref()) {
            let one = OfOne {
                names: self.names,
                taken,
            };
            if let Some(filter) = &aggregate.filter {
                match eval(filter, &one) {
                    Ok(Value::Bool(true)) => {}
                    Ok(Value::Bool(false) | Value::Null) => continue,
                    _ => return Ok(Value::Null),
                }
            }
            let Ok(value) = aggregate
                .argument
                .as_ref()
                .map_or(Ok(Value::Bool(true)), |x| eval(x, &one))
            else {
                return Ok(Value::Null);
            };
            if fits(aggregate.function, &value).is_err() {
                return Ok(Value::Null);
            }
            values.push(value);
        }
        Ok(compute(aggregate.function, aggregate.distinct, &values, false).unwrap_or_default())
    }
    fn known(&self, expr: &Expr) -> Option<Value> {
        match expr {
            Expr::Call(function @ (Function::Nth | Function::Prev), args) => self.navigate(*function, args),
            _ => None,
        }
    }
}

/// The first step that an expression names.
fn named(expr: &Expr, names: &Names) -> Option<ArcStr> {
    match expr {
        Expr::Column(path) => names.split(path).0,
        other => other.children().into_iter().find_map(|child| named(child, names)),
    }
}

/// One event inside an aggregate.
struct OfOne<'a> {
    names: &'a Names,
    taken: &'a Taken<'a>,
}

impl Scope for OfOne<'_> {
    fn column(&self, path: &[ArcStr]) -> Result<Value, String> {
        let (step, field) = self.names.split(path);
        if step.is_some() && field.is_empty() {
            return Ok(Value::Bool(true));
        }
        Ok(self.names.field(self.taken, step.is_some(), field))
    }
    fn event_time(&self) -> Result<Time, String> {
        Ok(self.taken.event.stamp)
    }
}
