//! What operators do with values: comparison, arithmetic, casts.

use std::cmp::Ordering;

use wavetank_scenarios::query::BinaryOp;
use wavetank_scenarios::{FieldType, Time, Value};

/// How two values compare in SQL: `None` when one is null.
///
/// # Errors
/// The two are of types that do not compare.
pub fn compare(x: &Value, y: &Value) -> Result<Option<Ordering>, String> {
    Ok(Some(match (x, y) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => floats(*a, *b),
        (Value::Int(a), Value::Float(b)) => mixed(*a, *b),
        (Value::Float(a), Value::Int(b)) => mixed(*b, *a).reverse(),
        (Value::Text(a), Value::Text(b)) => a.as_str().cmp(b.as_str()),
        (Value::Null, _) | (_, Value::Null) => return Ok(None),
        (Value::Time(a), Value::Time(b)) => a.cmp(b),
        // A literal has no type of its own for times, so text that is a time compares as one.
        (Value::Time(a), Value::Text(b)) => a.cmp(&Time::parse(b)?),
        (Value::Text(a), Value::Time(b)) => Time::parse(a)?.cmp(b),
        (Value::Bool(_), Value::Bool(_))
        | (Value::Bytes(_), Value::Bytes(_))
        | (Value::List(_), Value::List(_))
        | (Value::Record(_), Value::Record(_)) => x.cmp(y),
        (x, y) => {
            return Err(format!(
                "{} `{x}` cannot be compared with {} `{y}`",
                x.type_name(),
                y.type_name()
            ));
        }
    }))
}

/// A total order that agrees with [`compare`] where that has an answer: numbers by value whatever their type, all else
/// (and equal numbers of different types) by [`Value`]'s own order.
pub fn order(x: &Value, y: &Value) -> Ordering {
    match (x, y) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => floats(*a, *b).then_with(|| a.total_cmp(b)),
        (Value::Int(a), Value::Float(b)) => mixed(*a, *b).then(Ordering::Less),
        (Value::Float(a), Value::Int(b)) => mixed(*b, *a).reverse().then(Ordering::Greater),
        _ => x.cmp(y),
    }
}

/// Whole floats as whole numbers, so that structural equality is that of SQL.
pub fn normal(value: &Value) -> Value {
    match value {
        Value::Float(x) if *x == x.trunc() && x.abs() < 9.2e18 => Value::Int(*x as i64),
        other => other.clone(),
    }
}

/// Not-a-number equals itself and is larger than everything; the two zeros are equal.
fn floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// A whole number against a float: as the nearest float.
fn mixed(a: i64, b: f64) -> Ordering {
    floats(a as f64, b)
}

/// Whether a comparison holds for an outcome.
pub(super) const fn holds(op: BinaryOp, outcome: Ordering) -> bool {
    match op {
        BinaryOp::Equal => outcome.is_eq(),
        BinaryOp::NotEqual => outcome.is_ne(),
        BinaryOp::Less => outcome.is_lt(),
        BinaryOp::LessOrEqual => outcome.is_le(),
        BinaryOp::Greater => outcome.is_gt(),
        _ => outcome.is_ge(),
    }
}

pub(super) fn negate(x: &Value) -> Result<Value, String> {
    match x {
        Value::Null => Ok(Value::Null),
        Value::Int(i) => i
            .checked_neg()
            .map(Value::Int)
            .ok_or_else(|| format!("-({i}) does not fit 64 bits")),
        Value::Float(f) => Ok(Value::Float(-f)),
        other => Err(format!("{} `{other}` has no sign", other.type_name())),
    }
}

const fn symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Modulo => "%",
        _ => "||",
    }
}

pub(super) fn arithmetic(op: BinaryOp, x: &Value, y: &Value) -> Result<Value, String> {
    match (x, y) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        _ if op == BinaryOp::Concat => Ok(Value::text(match (x, y) {
            (Value::Text(a), Value::Text(b)) => [a.as_str(), b.as_str()].concat(),
            (x, y) => format!("{x}{y}"),
        })),
        (Value::Int(a), Value::Int(b)) => {
            let result = match op {
                BinaryOp::Add => a.checked_add(*b),
                BinaryOp::Subtract => a.checked_sub(*b),
                BinaryOp::Multiply => a.checked_mul(*b),
                _ if *b == 0 => return Err(format!("{a} {} 0: division by zero", symbol(op))),
                BinaryOp::Divide => a.checked_div(*b),
                // i64::MIN % -1 is 0, although the division overflows.
                _ => Some(a.wrapping_rem(*b)),
            };
            result
                .map(Value::Int)
                .ok_or_else(|| format!("{a} {} {b} does not fit 64 bits", symbol(op)))
        }
        (Value::Time(a), Value::Time(b)) if op == BinaryOp::Subtract => Ok(Value::Int(a.since(*b).micros())),
        (Value::Time(t), Value::Int(by)) | (Value::Int(by), Value::Time(t)) if op == BinaryOp::Add => {
            moved(*t, t.micros().checked_add(*by))
        }
        (Value::Time(t), Value::Int(by)) if op == BinaryOp::Subtract => moved(*t, t.micros().checked_sub(*by)),
        (x, y) => match (x.as_f64(), y.as_f64()) {
            (Some(a), Some(b)) => Ok(Value::Float(match op {
                BinaryOp::Add => a + b,
                BinaryOp::Subtract => a - b,
                BinaryOp::Multiply => a * b,
                _ if b == 0.0 => return Err(format!("{x} {} {y}: division by zero", symbol(op))),
                BinaryOp::Divide => a / b,
                _ => a % b,
            })),
            _ => Err(format!(
                "{} `{x}` {} {} `{y}` cannot be computed",
                x.type_name(),
                symbol(op),
                y.type_name()
            )),
        },
    }
}

fn moved(from: Time, to: Option<i64>) -> Result<Value, String> {
    to.map(|micros| Value::Time(Time::from_micros(micros)))
        .ok_or_else(|| format!("{from} cannot be moved that far"))
}

/// A value as another type. Null stays null; floats lose their fraction when they become whole; times are microseconds
/// since the epoch as numbers and RFC 3339 as text.
///
/// # Errors
/// It cannot be had as that type.
pub fn cast(x: &Value, kind: FieldType) -> Result<Value, String> {
    let refuse = || {
        Err(format!(
            "{} `{x}` cannot be cast to {}",
            x.type_name(),
            format!("{kind:?}").to_lowercase()
        ))
    };
    Ok(match (kind, x) {
        (_, Value::Null) => Value::Null,
        (FieldType::Any, x)
        | (FieldType::Bool, x @ Value::Bool(_))
        | (FieldType::Int, x @ Value::Int(_))
        | (FieldType::Float, x @ Value::Float(_))
        | (FieldType::Text, x @ Value::Text(_))
        | (FieldType::Time, x @ Value::Time(_))
        | (FieldType::Bytes, x @ Value::Bytes(_))
        | (FieldType::List, x @ Value::List(_))
        | (FieldType::Record, x @ Value::Record(_)) => x.clone(),
        (FieldType::Bool, Value::Int(i)) => Value::Bool(*i != 0),
        (FieldType::Bool, Value::Text(t)) => match t.trim() {
            t if t.eq_ignore_ascii_case("true") => Value::Bool(true),
            t if t.eq_ignore_ascii_case("false") => Value::Bool(false),
            _ => return refuse(),
        },
        // -2^63 is a float, 2^63 - 1 is not.
        (FieldType::Int, Value::Float(f))
            if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(f) =>
        {
            Value::Int(f.trunc() as i64)
        }
        (FieldType::Int, Value::Bool(b)) => Value::Int(i64::from(*b)),
        (FieldType::Int, Value::Time(t)) => Value::Int(t.micros()),
        (FieldType::Int, Value::Text(t)) => match t.trim().parse() {
            Ok(i) => Value::Int(i),
            Err(_) => return refuse(),
        },
        (FieldType::Float, Value::Int(i)) => Value::Float(*i as f64),
        (FieldType::Float, Value::Bool(b)) => Value::Float(f64::from(u8::from(*b))),
        (FieldType::Float, Value::Time(t)) => Value::Float(t.micros() as f64),
        (FieldType::Float, Value::Text(t)) => match t.trim().parse() {
            Ok(f) => Value::Float(f),
            Err(_) => return refuse(),
        },
        (FieldType::Time, Value::Int(i)) => Value::Time(Time::from_micros(*i)),
        (FieldType::Time, Value::Text(t)) => match Time::parse(t.trim()) {
            Ok(t) => Value::Time(t),
            Err(_) => return refuse(),
        },
        (FieldType::Bytes, Value::Text(t)) => Value::Bytes(t.as_bytes().to_vec().into()),
        (FieldType::Text, Value::Bytes(b)) => match std::str::from_utf8(b) {
            Ok(t) => Value::text(t),
            Err(_) => return refuse(),
        },
        (FieldType::Text, other) => Value::text(other.to_string()),
        _ => return refuse(),
    })
}
