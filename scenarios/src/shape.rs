//! Reading the small tables of a scenario file, such as `{ lognormal = { median = "20s", sigma = 1.0 } }`: one key that
//! names a shape, and what belongs to it.

use serde_json::{Map, Value};

use crate::suggest;
use crate::time::Span;

/// The only entry of a table, whose key must be one of `shapes`; `extra` keys may stand beside it.
pub(crate) fn shape<'a>(
    table: &'a Map<String, Value>,
    what: &str,
    shapes: &[&str],
    extra: &[&str],
) -> Result<(&'a str, &'a Value), String> {
    let mut found = None;
    for (key, value) in table {
        if shapes.contains(&key.as_str()) {
            if let Some((first, _)) = found {
                return Err(format!("{what} has one shape, and here are `{first}` and `{key}`"));
            }
            found = Some((key.as_str(), value));
        } else if !extra.contains(&key.as_str()) {
            let near = suggest::hint(key, shapes.iter().chain(extra).copied());
            let near = if near.is_empty() {
                format!("; there are {}", shapes.join(", "))
            } else {
                near
            };
            return Err(format!("{what} knows no `{key}`{near}"));
        }
    }
    found.ok_or_else(|| format!("{what} says which one: {}", shapes.join(", ")))
}

/// The values of a table with exactly these keys.
pub(crate) fn entries<'a, const N: usize>(
    value: &'a Value,
    what: &str,
    keys: [&str; N],
) -> Result<[&'a Value; N], String> {
    let wanted = || format!("`{what}` takes {{ {} }}", keys.join(", "));
    let table = value.as_object().ok_or_else(wanted)?;
    if let Some(key) = table.keys().find(|k| !keys.contains(&k.as_str())) {
        return Err(format!(
            "`{what}` knows no `{key}`{}; it takes {}",
            suggest::hint(key, keys),
            keys.join(", ")
        ));
    }
    let mut out = [value; N];
    for (slot, key) in out.iter_mut().zip(keys) {
        *slot = table
            .get(key)
            .ok_or_else(|| format!("`{what}` lacks `{key}`; it takes {}", keys.join(", ")))?;
    }
    Ok(out)
}

/// The two items of a list.
pub(crate) fn pair<'a>(value: &'a Value, what: &str, meaning: &str) -> Result<(&'a Value, &'a Value), String> {
    match value.as_array().map(Vec::as_slice) {
        Some([a, b]) => Ok((a, b)),
        _ => Err(format!("`{what}` takes [{meaning}]")),
    }
}

/// A duration.
pub(crate) fn span(value: &Value, what: &str) -> Result<Span, String> {
    match value {
        Value::String(text) => Span::parse(text).map_err(|why| format!("`{what}`: {why}")),
        other => Err(format!(
            "`{what}` is a duration with a unit in quotes, like \"250ms\", not {other}"
        )),
    }
}

/// A duration longer than zero.
pub(crate) fn positive_span(value: &Value, what: &str) -> Result<Span, String> {
    let read = span(value, what)?;
    if read > Span::ZERO {
        Ok(read)
    } else {
        Err(format!("`{what}` must be longer than zero, not {read}"))
    }
}

/// A finite number; text with a number in it is one too.
pub(crate) fn number(value: &Value, what: &str) -> Result<f64, String> {
    let read = match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    read.filter(|x: &f64| x.is_finite())
        .ok_or_else(|| format!("`{what}` is a number, not {value}"))
}

/// A number above zero.
pub(crate) fn positive(value: &Value, what: &str) -> Result<f64, String> {
    let read = number(value, what)?;
    if read > 0.0 {
        Ok(read)
    } else {
        Err(format!("`{what}` must be above zero, not {read}"))
    }
}

/// A number that is not negative.
pub(crate) fn not_negative(value: &Value, what: &str) -> Result<f64, String> {
    let read = number(value, what)?;
    if read >= 0.0 {
        Ok(read)
    } else {
        Err(format!("`{what}` must not be negative, and is {read}"))
    }
}

/// A whole number from 1 to `most`.
pub(crate) fn count(value: &Value, what: &str, most: u64) -> Result<u64, String> {
    match value.as_u64() {
        Some(n) if (1..=most).contains(&n) => Ok(n),
        _ => Err(format!("`{what}` is a whole number from 1 to {most}, not {value}")),
    }
}
