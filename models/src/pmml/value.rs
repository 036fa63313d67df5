//! Values and their types.

use super::PmmlError;
use super::xml::Element;
use std::sync::Arc;

/// A value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// There is none.
    Missing,
    /// A number.
    Number(f64),
    /// A text, most often the name of a category.
    Text(Arc<str>),
    /// True or false.
    Boolean(bool),
}

impl Value {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// Whether there is none.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// The number, if it is one; true is 1 and false 0.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Boolean(value) => Some(f64::from(u8::from(*value))),
            Self::Missing | Self::Text(_) => None,
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            Self::Number(number) => Some(*number != 0.0),
            Self::Text(text) if &**text == "true" => Some(true),
            Self::Text(text) if &**text == "false" => Some(false),
            Self::Missing | Self::Text(_) => None,
        }
    }

    /// How the value is written; whole numbers without a point.
    pub(super) fn written(&self) -> Arc<str> {
        match self {
            Self::Missing => "".into(),
            Self::Number(number) => number.to_string().into(),
            Self::Text(text) => text.clone(),
            Self::Boolean(value) => if *value { "true" } else { "false" }.into(),
        }
    }
}

/// The types that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DataType {
    Double,
    Float,
    Integer,
    Text,
    Boolean,
}

impl DataType {
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("double", Self::Double),
        ("float", Self::Float),
        ("integer", Self::Integer),
        ("string", Self::Text),
        ("boolean", Self::Boolean),
    ];

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Double | Self::Float | Self::Integer)
    }

    /// The type that an element names, if it does.
    pub(super) fn of(element: &Element) -> Result<Option<Self>, PmmlError> {
        match element.attribute("dataType") {
            None => Ok(None),
            Some(_) => element.choice("dataType", &Self::ALL).map(Some),
        }
    }

    /// The value as this type; none when it is no such thing.
    pub(super) fn cast(self, value: Value) -> Option<Value> {
        if value.is_missing() {
            return Some(value);
        }
        let number = |value: &Value| match value {
            Value::Text(text) => text.trim().parse::<f64>().ok().filter(|n| !n.is_nan()),
            other => other.number(),
        };
        match self {
            Self::Double => number(&value).map(Value::Number),
            Self::Float => number(&value).map(|n| Value::Number(f64::from(n as f32))),
            Self::Integer => number(&value).filter(|n| n.fract() == 0.0).map(Value::Number),
            Self::Text => Some(Value::Text(value.written())),
            Self::Boolean => value.boolean().map(Value::Boolean),
        }
    }

    /// A constant of this type as it is written in a document.
    pub(super) fn parse(self, text: &str, element: &Element) -> Result<Value, PmmlError> {
        let text = if self == Self::Text { text } else { text.trim() };
        // A float is read as one, not as a double that is then rounded.
        let narrow = (self == Self::Float).then(|| text.parse::<f32>().ok()).flatten();
        match narrow {
            Some(narrow) => Some(Value::Number(f64::from(narrow))),
            None => self.cast(Value::text(text)),
        }
        .ok_or_else(|| {
            element.place.invalid(format!(
                "`{text}` in <{}> is not of the type of its field",
                element.name
            ))
        })
    }
}

/// Whether two values are the same; numbers written as texts count as numbers.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Text(text), other) | (other, Value::Text(text)) => match other {
            Value::Number(number) => text.trim().parse::<f64>() == Ok(*number),
            other => *other.written() == **text,
        },
        _ => a.number() == b.number(),
    }
}

/// The items of an `<Array>`: separated by blanks, an item with blanks in quotes.
pub(super) fn array(element: &Element) -> Result<Vec<String>, PmmlError> {
    let mut items = Vec::new();
    let mut letters = element.text.chars().peekable();
    loop {
        while letters.next_if(|c| c.is_whitespace()).is_some() {}
        let Some(first) = letters.next() else { break };
        let mut item = String::new();
        if first == '"' {
            loop {
                match letters.next() {
                    Some('\\') if letters.peek() == Some(&'"') => item.extend(letters.next()),
                    Some('"') => break,
                    Some(letter) => item.push(letter),
                    None => return Err(element.place.invalid("a quote in <Array> is not closed")),
                }
            }
        } else {
            item.push(first);
            while let Some(letter) = letters.next_if(|c| !c.is_whitespace()) {
                item.push(letter);
            }
        }
        items.push(item);
    }
    match element.number("n")? {
        Some(n) if n != items.len() as f64 => Err(element
            .place
            .invalid(format!("<Array> says {n} items and has {}", items.len()))),
        _ => Ok(items),
    }
}

/// The items of an `<Array>` or `<REAL-SparseArray>`-free element as numbers.
pub(super) fn numbers(element: &Element) -> Result<Vec<f64>, PmmlError> {
    array(element)?
        .iter()
        .map(|item| match item.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(element
                .place
                .invalid(format!("`{item}` in <Array> is no finite number"))),
        })
        .collect()
}
