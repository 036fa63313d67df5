//! Functions of single values, and `like`.

use std::borrow::Cow;
use std::cmp::Ordering;

use wavetank_scenarios::Value;
use wavetank_scenarios::query::Function;

use super::{Node, Scope, compare};

/// Refuses a wrong number of arguments when the expression is compiled.
pub(super) fn check_arity(function: Function, given: usize) -> Result<(), String> {
    let (least, most) = match function {
        Function::EventTime | Function::WindowStart | Function::WindowEnd => (0, 0),
        Function::Nth => (2, 2),
        Function::Prev => (1, 2),
        Function::Abs
        | Function::Floor
        | Function::Ceil
        | Function::Sqrt
        | Function::Ln
        | Function::Exp
        | Function::Lower
        | Function::Upper
        | Function::Trim
        | Function::Length => (1, 1),
        Function::Round => (1, 2),
        Function::Power | Function::NullIf => (2, 2),
        Function::Substring => (2, 3),
        Function::Replace => (3, 3),
        Function::Least | Function::Greatest | Function::Coalesce => (1, usize::MAX),
    };
    if (least..=most).contains(&given) {
        return Ok(());
    }
    let name = format!("{function:?}").to_lowercase();
    let wanted = match (least, most) {
        (a, b) if a == b => a.to_string(),
        (a, usize::MAX) => format!("at least {a}"),
        (a, b) => format!("{a} to {b}"),
    };
    Err(format!("`{name}` takes {wanted} arguments, not {given}"))
}

/// Calls a function. A null argument makes the result null, but for `coalesce` and `nullif`; `least` and `greatest` look at
/// what is not null.
pub(super) fn call<'a>(function: Function, args: &'a [Node], scope: &Scope<'a>) -> Result<Cow<'a, Value>, String> {
    if function == Function::Coalesce {
        for arg in args {
            let value = arg.eval(scope)?;
            if !value.is_null() {
                return Ok(value);
            }
        }
        return Ok(Cow::Owned(Value::Null));
    }
    let mut values = Vec::with_capacity(args.len());
    for arg in args {
        values.push(arg.eval(scope)?);
    }
    if function == Function::NullIf {
        let equal = compare(&values[0], &values[1])? == Some(Ordering::Equal);
        return Ok(if equal {
            Cow::Owned(Value::Null)
        } else {
            values.swap_remove(0)
        });
    }
    if let Function::Least | Function::Greatest = function {
        let wanted = if function == Function::Least {
            Ordering::Less
        } else {
            Ordering::Greater
        };
        let mut best: Option<Cow<'a, Value>> = None;
        for value in values.into_iter().filter(|v| !v.is_null()) {
            match &best {
                Some(b) if compare(&value, b)? != Some(wanted) => {}
                _ => best = Some(value),
            }
        }
        return Ok(best.unwrap_or(Cow::Owned(Value::Null)));
    }
    if values.iter().any(|v| v.is_null()) {
        return Ok(Cow::Owned(Value::Null));
    }
    compute(function, &values).map(Cow::Owned)
}

/// The functions that compute something from values that are not null.
fn compute(function: Function, values: &[Cow<'_, Value>]) -> Result<Value, String> {
    let name = || format!("{function:?}").to_lowercase();
    let number = |i: usize| {
        values[i]
            .as_f64()
            .ok_or_else(|| format!("`{}` of {} `{}`", name(), values[i].type_name(), values[i]))
    };
    let text = |i: usize| match &*values[i] {
        Value::Text(t) => Ok(t.as_str()),
        other => Err(format!("`{}` of {} `{other}`", name(), other.type_name())),
    };
    let whole = |i: usize| match &*values[i] {
        Value::Int(n) => Ok(*n),
        other => Err(format!(
            "`{}` wants a whole number, not {} `{other}`",
            name(),
            other.type_name()
        )),
    };
    Ok(match (function, &*values[0]) {
        (Function::Abs, Value::Int(i)) => Value::Int(i.checked_abs().ok_or("abs does not fit 64 bits")?),
        (Function::Abs, _) => Value::Float(number(0)?.abs()),
        (Function::Round | Function::Floor | Function::Ceil, Value::Int(i)) => Value::Int(*i),
        (Function::Round, _) => {
            let digits = if values.len() > 1 { whole(1)? } else { 0 };
            let scale = libm::pow(10.0, digits as f64);
            Value::Float(libm::round(number(0)? * scale) / scale)
        }
        (Function::Floor, _) => Value::Float(libm::floor(number(0)?)),
        (Function::Ceil, _) => Value::Float(libm::ceil(number(0)?)),
        (Function::Sqrt, _) => match number(0)? {
            x if x < 0.0 => return Err(format!("sqrt of {x}, which is negative")),
            x => Value::Float(libm::sqrt(x)),
        },
        (Function::Ln, _) => match number(0)? {
            x if x <= 0.0 => return Err(format!("ln of {x}, which is not positive")),
            x => Value::Float(libm::log(x)),
        },
        (Function::Exp, _) => Value::Float(libm::exp(number(0)?)),
        (Function::Power, _) => Value::Float(libm::pow(number(0)?, number(1)?)),
        (Function::Lower, _) => Value::text(text(0)?.to_lowercase()),
        (Function::Upper, _) => Value::text(text(0)?.to_uppercase()),
        (Function::Trim, _) => Value::text(text(0)?.trim()),
        (Function::Length, Value::List(items)) => Value::Int(items.len() as i64),
        (Function::Length, Value::Bytes(bytes)) => Value::Int(bytes.len() as i64),
        (Function::Length, _) => Value::Int(text(0)?.chars().count() as i64),
        (Function::Substring, _) => {
            // Positions count from 1 in characters; what lies outside the text is empty, as in SQL.
            let from = whole(1)?;
            let end = if values.len() > 2 {
                let length = whole(2)?;
                if length < 0 {
                    return Err(format!("substring of negative length {length}"));
                }
                from.saturating_add(length)
            } else {
                i64::MAX
            };
            let skip = from.max(1) - 1;
            let take = end.saturating_sub(1).saturating_sub(skip).max(0);
            let clamp = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
            Value::text(text(0)?.chars().skip(clamp(skip)).take(clamp(take)).collect::<String>())
        }
        (Function::Replace, _) => Value::text(text(0)?.replace(text(1)?, text(2)?)),
        (
            Function::Least
            | Function::Greatest
            | Function::Coalesce
            | Function::NullIf
            | Function::EventTime
            | Function::WindowStart
            | Function::WindowEnd
            | Function::Nth
            | Function::Prev,
            _,
        ) => return Err(format!("`{}` cannot be computed here", name())),
    })
}

/// SQL's `like`: `%` stands for any text, `_` for one character, and a backslash takes the meaning from either.
pub(super) fn like(text: &str, pattern: &str) -> bool {
    enum Piece {
        Any,
        One,
        Just(char),
    }
    let mut pieces = Vec::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '%' => Piece::Any,
            '_' => Piece::One,
            '\\' => Piece::Just(chars.next().unwrap_or('\\')),
            c => Piece::Just(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let (mut t, mut p) = (0, 0);
    // Where to go on when the text after the latest `%` does not fit: one character further.
    let mut again = None;
    while t < text.len() {
        match pieces.get(p) {
            Some(Piece::Any) => {
                again = Some((t, p));
                p += 1;
            }
            Some(Piece::One) => (t, p) = (t + 1, p + 1),
            Some(Piece::Just(c)) if *c == text[t] => (t, p) = (t + 1, p + 1),
            _ => match again {
                Some((from, any)) => {
                    again = Some((from + 1, any));
                    (t, p) = (from + 1, any + 1);
                }
                None => return false,
            },
        }
    }
    pieces[p..].iter().all(|piece| matches!(piece, Piece::Any))
}
