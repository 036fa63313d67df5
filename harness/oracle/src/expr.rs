//! What an expression is worth: a walk over its tree, names looked up as they come.
//!
//! The model in words: nothing is prepared and nothing is remembered. To know what `a + b` is worth, look what `a` is
//! worth, then `b`, then add. Who asks says what names stand for through a [`Scope`]: the fields of one event
//! ([`OfEvent`]), or what is known of a group of events when a window answers. Unknown (null) is a third truth value; an
//! error belongs to the event that was looked at. The rules are those of [`wavetank_scenarios::query`].

use std::cmp::Ordering;

use wavetank_scenarios::query::{Aggregate, BinaryOp, Expr, Function, UnaryOp};
use wavetank_scenarios::schema::FieldType;
use wavetank_scenarios::{Row, Schema, Time, Value};

/// What the names in an expression stand for.
pub trait Scope {
    /// The value of a field.
    ///
    /// # Errors
    /// There is no such field.
    fn column(&self, path: &[arcstr::ArcStr]) -> Result<Value, String>;
    /// The stamp of the event that is looked at.
    ///
    /// # Errors
    /// There is no single event.
    fn event_time(&self) -> Result<Time, String>;
    /// Start and end of the window, where there is one that has them.
    fn window(&self) -> Option<(Time, Time)> {
        None
    }
    /// The value of an aggregate.
    ///
    /// # Errors
    /// There is no group of events here, or it cannot be computed over it.
    fn aggregate(&self, _aggregate: &Aggregate) -> Result<Value, String> {
        Err("an aggregate needs a window or a group, and here is a single event".into())
    }
    /// The value of a whole expression, if the scope knows it without a walk (such as a `group by` expression).
    fn known(&self, _expr: &Expr) -> Option<Value> {
        None
    }
}

/// One event: its fields by name, its stamp, and the window in whose eyes it is looked at.
#[derive(Clone, Copy)]
pub struct OfEvent<'a> {
    /// The names of the fields.
    pub schema: &'a Schema,
    /// Their values.
    pub row: &'a Row,
    /// The event time.
    pub stamp: Time,
    /// What the input is called: `name.field` means its field.
    pub called: &'a [arcstr::ArcStr],
    /// The window, if one looks.
    pub window: Option<(Time, Time)>,
}

impl Scope for OfEvent<'_> {
    fn column(&self, path: &[arcstr::ArcStr]) -> Result<Value, String> {
        let of_input = path.len() > 1 && self.called.iter().any(|name| name.eq_ignore_ascii_case(&path[0]));
        let path = if of_input { &path[1..] } else { path };
        let Some((first, inner)) = path.split_first() else {
            return Err("a column without a name".into());
        };
        let Some(slot) = self.schema.slot(first) else {
            return match first.as_str() {
                "window_start" => Ok(self.window.map_or(Value::Null, |(start, _)| Value::Time(start))),
                "window_end" => Ok(self.window.map_or(Value::Null, |(_, end)| Value::Time(end))),
                _ => Err(format!(
                    "there is no field `{first}`; there are: {}",
                    self.schema.names().collect::<Vec<_>>().join(", ")
                )),
            };
        };
        let whole = self.row.get(slot).cloned().unwrap_or_default();
        inner.iter().try_fold(whole, |value, name| field_of(&value, name))
    }
    fn event_time(&self) -> Result<Time, String> {
        Ok(self.stamp)
    }
    fn window(&self) -> Option<(Time, Time)> {
        self.window
    }
}

/// Field `name` of a nested record: null where it has none, and of null.
pub(crate) fn field_of(value: &Value, name: &str) -> Result<Value, String> {
    match value {
        Value::Null => Ok(Value::Null),
        Value::Record(fields) => {
            let exact = fields.iter().find(|(n, _)| n == name);
            let alike = || fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
            Ok(exact.or_else(alike).map_or(Value::Null, |(_, v)| v.clone()))
        }
        other => Err(format!(
            "`.{name}` asks for a field of a {}, which has none",
            other.type_name()
        )),
    }
}

/// What `expr` is worth in `scope`.
///
/// # Errors
/// What is wrong, for a person: a type that does not fit, an overflow, a division by zero, a name that is not there.
pub fn eval(expr: &Expr, scope: &dyn Scope) -> Result<Value, String> {
    if let Some(value) = scope.known(expr) {
        return Ok(value);
    }
    match expr {
        Expr::Literal(value) => Ok(value.clone()),
        Expr::Span(span) => Ok(Value::Int(span.micros())),
        Expr::Column(path) => scope.column(path),
        Expr::Unary(UnaryOp::Minus, x) => match eval(x, scope)? {
            Value::Null => Ok(Value::Null),
            Value::Int(i) => i.checked_neg().map(Value::Int).ok_or_else(|| overflow("-")),
            Value::Float(f) => Ok(Value::Float(-f)),
            other => Err(format!("`-` of a {}", other.type_name())),
        },
        Expr::Unary(UnaryOp::Not, x) => Ok(truth_value(truth(eval(x, scope)?)?.map(|t| !t))),
        Expr::Binary(BinaryOp::And, x, y) => logic(x, y, false, scope),
        Expr::Binary(BinaryOp::Or, x, y) => logic(x, y, true, scope),
        Expr::Binary(op, x, y) => binary(*op, eval(x, scope)?, eval(y, scope)?),
        Expr::IsNull(x, negated) => Ok(Value::Bool(eval(x, scope)?.is_null() != *negated)),
        Expr::Between(x, low, high, negated) => {
            let x = eval(x, scope)?;
            let above = compare(&x, &eval(low, scope)?)?.map(Ordering::is_ge);
            let below = compare(&x, &eval(high, scope)?)?.map(Ordering::is_le);
            let inside = match (above, below) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
            Ok(truth_value(inside.map(|t| t != *negated)))
        }
        Expr::InList(x, list, negated) => {
            let x = eval(x, scope)?;
            let mut found = Some(false);
            for item in list {
                match compare(&x, &eval(item, scope)?)? {
                    Some(Ordering::Equal) => {
                        found = Some(true);
                        break;
                    }
                    Some(_) => {}
                    None => found = None,
                }
            }
            Ok(truth_value(found.map(|t| t != *negated)))
        }
        Expr::Like(x, pattern, negated) => match (eval(x, scope)?, eval(pattern, scope)?) {
            (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
            (Value::Text(x), Value::Text(pattern)) => {
                let (x, pattern): (Vec<char>, Vec<char>) = (x.chars().collect(), pattern.chars().collect());
                Ok(Value::Bool(like(&x, &pattern) != *negated))
            }
            (x, y) => Err(format!("`like` of a {} and a {}", x.type_name(), y.type_name())),
        },
        Expr::Case(arms, otherwise) => {
            for (condition, value) in arms {
                if truth(eval(condition, scope)?)? == Some(true) {
                    return eval(value, scope);
                }
            }
            otherwise.as_ref().map_or(Ok(Value::Null), |e| eval(e, scope))
        }
        Expr::Cast(x, to) => cast(eval(x, scope)?, *to),
        Expr::Call(function, args) => call(*function, args, scope),
        Expr::Aggregate(aggregate) => scope.aggregate(aggregate),
    }
}

/// Whether a predicate is true; null is not.
///
/// # Errors
/// It cannot be computed, or is neither true, false nor null.
pub fn holds(predicate: &Expr, scope: &dyn Scope) -> Result<bool, String> {
    Ok(truth(eval(predicate, scope)?)? == Some(true))
}

/// The comparison of SQL: `None` when either is null.
///
/// # Errors
/// The two have types that do not compare.
pub fn compare(x: &Value, y: &Value) -> Result<Option<Ordering>, String> {
    match (x, y) {
        (Value::Null, _) | (_, Value::Null) => Ok(None),
        (Value::Int(a), Value::Int(b)) => Ok(Some(a.cmp(b))),
        _ => match (x.as_f64(), y.as_f64()) {
            (Some(a), Some(b)) => Ok(Some(compare_floats(a, b))),
            _ if x.type_name() == y.type_name() => Ok(Some(x.cmp(y))),
            _ => Err(format!("a {} and a {} do not compare", x.type_name(), y.type_name())),
        },
    }
}

/// Not-a-number equals itself and is larger than all; the two zeros are equal.
fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn overflow(op: &str) -> String {
    format!("`{op}` gives more than a whole number of 64 bits can hold")
}

const fn truth_value(truth: Option<bool>) -> Value {
    match truth {
        Some(t) => Value::Bool(t),
        None => Value::Null,
    }
}

fn truth(value: Value) -> Result<Option<bool>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(t) => Ok(Some(t)),
        other => Err(format!("`{other}` is a {}, not true or false", other.type_name())),
    }
}

/// `and` (decided by false) and `or` (decided by true).
fn logic(x: &Expr, y: &Expr, decided_by: bool, scope: &dyn Scope) -> Result<Value, String> {
    let x = truth(eval(x, scope)?)?;
    if x == Some(decided_by) {
        return Ok(Value::Bool(decided_by));
    }
    let y = truth(eval(y, scope)?)?;
    Ok(truth_value(match (x, y) {
        (_, Some(y)) if y == decided_by => Some(decided_by),
        (Some(_), Some(_)) => Some(!decided_by),
        _ => None,
    }))
}

fn binary(op: BinaryOp, x: Value, y: Value) -> Result<Value, String> {
    if x.is_null() || y.is_null() {
        return Ok(Value::Null);
    }
    let ordered = |fits: fn(Ordering) -> bool| Ok(truth_value(compare(&x, &y)?.map(fits)));
    match op {
        BinaryOp::Equal => ordered(Ordering::is_eq),
        BinaryOp::NotEqual => ordered(Ordering::is_ne),
        BinaryOp::Less => ordered(Ordering::is_lt),
        BinaryOp::LessOrEqual => ordered(Ordering::is_le),
        BinaryOp::Greater => ordered(Ordering::is_gt),
        BinaryOp::GreaterOrEqual => ordered(Ordering::is_ge),
        BinaryOp::Concat => Ok(Value::text(format!("{}{}", as_text(&x)?, as_text(&y)?))),
        BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo => {
            arithmetic(op, &x, &y)
        }
        BinaryOp::And | BinaryOp::Or => Err("`and` and `or` are looked at before their operands".into()),
    }
}

fn arithmetic(op: BinaryOp, x: &Value, y: &Value) -> Result<Value, String> {
    let symbol = match op {
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        _ => "%",
    };
    let by_zero = matches!(op, BinaryOp::Divide | BinaryOp::Modulo) && y.as_f64() == Some(0.0);
    if by_zero && x.as_f64().is_some() {
        return Err(format!("`{symbol}` by zero"));
    }
    match (x, y) {
        (Value::Int(a), Value::Int(b)) => match op {
            BinaryOp::Add => a.checked_add(*b),
            BinaryOp::Subtract => a.checked_sub(*b),
            BinaryOp::Multiply => a.checked_mul(*b),
            BinaryOp::Divide => a.checked_div(*b),
            _ => Some(a.wrapping_rem(*b)),
        }
        .map(Value::Int)
        .ok_or_else(|| overflow(symbol)),
        (Value::Time(a), Value::Time(b)) if op == BinaryOp::Subtract => a
            .micros()
            .checked_sub(b.micros())
            .map(Value::Int)
            .ok_or_else(|| overflow(symbol)),
        (Value::Time(t), Value::Int(d)) if op == BinaryOp::Add => moved(*t, Some(*d)),
        (Value::Int(d), Value::Time(t)) if op == BinaryOp::Add => moved(*t, Some(*d)),
        (Value::Time(t), Value::Int(d)) if op == BinaryOp::Subtract => moved(*t, d.checked_neg()),
        _ => match (x.as_f64(), y.as_f64()) {
            (Some(a), Some(b)) => Ok(Value::Float(match op {
                BinaryOp::Add => a + b,
                BinaryOp::Subtract => a - b,
                BinaryOp::Multiply => a * b,
                BinaryOp::Divide => a / b,
                _ => a % b,
            })),
            _ => Err(format!("`{symbol}` of a {} and a {}", x.type_name(), y.type_name())),
        },
    }
}

fn moved(time: Time, by: Option<i64>) -> Result<Value, String> {
    by.and_then(|by| time.micros().checked_add(by))
        .map(|t| Value::Time(Time::from_micros(t)))
        .ok_or_else(|| "a time beyond the end of the axis".into())
}

/// `%` is any text, `_` any one character.
fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => (0..=text.len()).any(|skip| like(&text[skip..], rest)),
        Some((first, rest)) => text
            .split_first()
            .is_some_and(|(c, after)| (*first == '_' || first == c) && like(after, rest)),
    }
}

fn as_text(value: &Value) -> Result<String, String> {
    match value {
        Value::Bytes(bytes) => String::from_utf8(bytes.to_vec()).map_err(|_| "these bytes are no text".into()),
        other => Ok(other.to_string()),
    }
}

/// `cast(value as to)`.
///
/// # Errors
/// The value has no counterpart of that type.
pub fn cast(value: Value, to: FieldType) -> Result<Value, String> {
    let fail = |value: &Value| Err(format!("`{value}` ({}) is no {}", value.type_name(), name_of(to)));
    match (&value, to) {
        (Value::Null, _) | (_, FieldType::Any) => Ok(value),
        _ if value.type_name() == name_of(to) => Ok(value),
        (_, FieldType::Text) => as_text(&value).map(Value::text),
        (Value::Float(f), FieldType::Int) if *f >= -(2f64.powi(63)) && *f < 2f64.powi(63) => Ok(Value::Int(*f as i64)),
        (Value::Bool(b), FieldType::Int) => Ok(Value::Int((*b).into())),
        (Value::Time(t), FieldType::Int) => Ok(Value::Int(t.micros())),
        (Value::Int(i), FieldType::Float) => Ok(Value::Float(*i as f64)),
        (Value::Int(i), FieldType::Bool) => Ok(Value::Bool(*i != 0)),
        (Value::Int(i), FieldType::Time) => Ok(Value::Time(Time::from_micros(*i))),
        (Value::Text(t), FieldType::Bytes) => Ok(Value::Bytes(t.as_bytes().to_vec().into())),
        (Value::Text(t), _) => {
            let text = t.trim();
            let read = match to {
                FieldType::Int => text.parse().ok().map(Value::Int),
                FieldType::Float => text.parse().ok().map(Value::Float),
                FieldType::Bool if text.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
                FieldType::Bool if text.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
                FieldType::Time => Time::parse(text).ok().map(Value::Time),
                _ => None,
            };
            read.map_or_else(|| fail(&value), Ok)
        }
        _ => fail(&value),
    }
}

/// The name of a type, as [`Value::type_name`] has it.
pub(crate) const fn name_of(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Any => "any",
        FieldType::Bool => "bool",
        FieldType::Int => "int",
        FieldType::Float => "float",
        FieldType::Text => "text",
        FieldType::Time => "time",
        FieldType::Bytes => "bytes",
        FieldType::List => "list",
        FieldType::Record => "record",
    }
}

fn call(function: Function, args: &[Expr], scope: &dyn Scope) -> Result<Value, String> {
    match function {
        Function::EventTime => return scope.event_time().map(Value::Time),
        Function::WindowStart => return Ok(scope.window().map_or(Value::Null, |(start, _)| Value::Time(start))),
        Function::WindowEnd => return Ok(scope.window().map_or(Value::Null, |(_, end)| Value::Time(end))),
        Function::Coalesce => {
            for arg in args {
                let value = eval(arg, scope)?;
                if !value.is_null() {
                    return Ok(value);
                }
            }
            return Ok(Value::Null);
        }
        _ => {}
    }
    let args = args.iter().map(|a| eval(a, scope)).collect::<Result<Vec<_>, _>>()?;
    if let (Function::NullIf, [x, y]) = (function, &args[..]) {
        let same = compare(x, y)? == Some(Ordering::Equal);
        return Ok(if same { Value::Null } else { x.clone() });
    }
    let there: Vec<_> = args.iter().filter(|a| !a.is_null()).cloned().collect();
    match function {
        Function::Least | Function::Greatest if !there.is_empty() => of_values(function, &there),
        _ if there.len() < args.len() => Ok(Value::Null),
        _ => of_values(function, &args),
    }
}

/// The functions of values that are all there.
fn of_values(function: Function, args: &[Value]) -> Result<Value, String> {
    let text = |change: fn(&str) -> String, t: &str| Ok(Value::text(change(t)));
    match (function, args) {
        (Function::Abs, [Value::Int(i)]) => i.checked_abs().map(Value::Int).ok_or_else(|| overflow("abs")),
        (Function::Abs, [Value::Float(f)]) => Ok(Value::Float(f.abs())),
        (Function::Round | Function::Floor | Function::Ceil, [Value::Int(i)])
        | (Function::Round, [Value::Int(i), Value::Int(_)]) => Ok(Value::Int(*i)),
        (Function::Round, [Value::Float(f)]) => Ok(Value::Float(libm::round(*f))),
        (Function::Round, [Value::Float(f), Value::Int(digits)]) => {
            let scale = libm::pow(10.0, *digits as f64);
            Ok(Value::Float(libm::round(f * scale) / scale))
        }
        (Function::Floor, [Value::Float(f)]) => Ok(Value::Float(f.floor())),
        (Function::Ceil, [Value::Float(f)]) => Ok(Value::Float(f.ceil())),
        (Function::Sqrt | Function::Ln | Function::Exp, [x]) => {
            let Some(x) = x.as_f64() else {
                return misfit(function, args);
            };
            match function {
                Function::Sqrt if x < 0.0 => Err(format!("the root of {x}")),
                Function::Ln if x <= 0.0 => Err(format!("the logarithm of {x}")),
                Function::Sqrt => Ok(Value::Float(x.sqrt())),
                Function::Ln => Ok(Value::Float(libm::log(x))),
                _ => Ok(Value::Float(libm::exp(x))),
            }
        }
        (Function::Power, [x, y]) => match (x.as_f64(), y.as_f64()) {
            (Some(x), Some(y)) => Ok(Value::Float(libm::pow(x, y))),
            _ => misfit(function, args),
        },
        (Function::Least | Function::Greatest, [first, rest @ ..]) => {
            let better = if function == Function::Least {
                Ordering::Less
            } else {
                Ordering::Greater
            };
            rest.iter().try_fold(first.clone(), |best, x| {
                Ok(if compare(x, &best)? == Some(better) {
                    x.clone()
                } else {
                    best
                })
            })
        }
        (Function::Lower, [Value::Text(t)]) => text(str::to_lowercase, t),
        (Function::Upper, [Value::Text(t)]) => text(str::to_uppercase, t),
        (Function::Trim, [Value::Text(t)]) => text(|t| t.trim().to_owned(), t),
        (Function::Length, [Value::Text(t)]) => Ok(Value::Int(t.chars().count() as i64)),
        (Function::Substring, [Value::Text(t), Value::Int(from)]) => Ok(substring(t, *from, i64::MAX)),
        (Function::Substring, [Value::Text(_), Value::Int(_), Value::Int(length)]) if *length < 0 => {
            Err("a substring of negative length".into())
        }
        (Function::Substring, [Value::Text(t), Value::Int(from), Value::Int(length)]) => {
            Ok(substring(t, *from, *length))
        }
        (Function::Replace, [Value::Text(t), Value::Text(old), Value::Text(new)]) => {
            Ok(Value::text(if old.is_empty() {
                t.to_string()
            } else {
                t.replace(old.as_str(), new)
            }))
        }
        _ => misfit(function, args),
    }
}

/// Characters `from` to `from + length − 1`, counted from 1; what lies outside the text is not there.
fn substring(text: &str, from: i64, length: i64) -> Value {
    let wanted = |position: i64| position >= from && i128::from(position) < i128::from(from) + i128::from(length);
    Value::text(
        text.chars()
            .zip(1..)
            .filter(|(_, position)| wanted(*position))
            .map(|(c, _)| c)
            .collect::<String>(),
    )
}

fn misfit(function: Function, args: &[Value]) -> Result<Value, String> {
    let types: Vec<_> = args.iter().map(Value::type_name).collect();
    Err(format!("`{function:?}` does not go with ({})", types.join(", ")).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Expr as E;
    use wavetank_scenarios::Span;

    fn col(name: &str) -> E {
        E::Column(name.split('.').map(Into::into).collect())
    }
    fn lit(value: impl Into<Value>) -> E {
        E::Literal(value.into())
    }
    fn null() -> E {
        E::Literal(Value::Null)
    }
    fn op(op: BinaryOp, x: E, y: E) -> E {
        E::Binary(op, Box::new(x), Box::new(y))
    }
    fn worth(expr: &E) -> Result<Value, String> {
        let schema = Schema::new([("a", FieldType::Int), ("r", FieldType::Record)]);
        let record = Value::Record(vec![("b".into(), Value::Int(7))].into());
        let row: Row = vec![Value::Int(5), record].into();
        eval(
            expr,
            &OfEvent {
                schema: &schema,
                row: &row,
                stamp: Time::from_micros(9),
                called: &["orders".into(), "o".into()],
                window: None,
            },
        )
    }

    #[test]
    fn and_and_or_follow_the_three_valued_tables() {
        let values = [Some(true), Some(false), None];
        let min = |x: Option<bool>, y: Option<bool>| match (x, y) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
        for x in values {
            for y in values {
                let e = |v| E::Literal(truth_value(v));
                assert_eq!(worth(&op(BinaryOp::And, e(x), e(y))), Ok(truth_value(min(x, y))));
                let not = |v: Option<bool>| v.map(|t| !t);
                assert_eq!(
                    worth(&op(BinaryOp::Or, e(x), e(y))),
                    Ok(truth_value(not(min(not(x), not(y)))))
                );
            }
        }
    }

    #[test]
    fn a_decided_and_does_not_look_at_its_right_side() {
        let error = op(BinaryOp::Divide, lit(1), lit(0));
        assert_eq!(worth(&op(BinaryOp::And, lit(false), error.clone())), Ok(false.into()));
        assert!(worth(&op(BinaryOp::And, lit(true), error)).is_err());
    }

    #[test]
    fn null_makes_every_comparison_and_sum_unknown() {
        for o in [
            BinaryOp::Add,
            BinaryOp::Equal,
            BinaryOp::Less,
            BinaryOp::Concat,
            BinaryOp::Divide,
        ] {
            assert_eq!(worth(&op(o, null(), lit(1))), Ok(Value::Null));
        }
        assert_eq!(
            worth(&E::InList(Box::new(lit(1)), vec![lit(2), null()], false)),
            Ok(Value::Null)
        );
        assert_eq!(
            worth(&E::InList(Box::new(lit(1)), vec![null(), lit(1)], false)),
            Ok(true.into())
        );
        assert_eq!(
            worth(&E::Between(Box::new(lit(9)), Box::new(null()), Box::new(lit(5)), false)),
            Ok(false.into())
        );
        assert_eq!(worth(&E::IsNull(Box::new(null()), true)), Ok(false.into()));
    }

    #[test]
    fn whole_numbers_divide_towards_zero_and_refuse_zero_and_overflow() {
        assert_eq!(worth(&op(BinaryOp::Divide, lit(-7), lit(2))), Ok(Value::Int(-3)));
        assert_eq!(worth(&op(BinaryOp::Modulo, lit(-7), lit(2))), Ok(Value::Int(-1)));
        assert!(worth(&op(BinaryOp::Divide, lit(1.0), lit(0.0))).is_err());
        assert!(worth(&op(BinaryOp::Add, lit(i64::MAX), lit(1))).is_err());
    }

    #[test]
    fn whole_numbers_and_floats_compare_by_value_and_text_with_number_not_at_all() {
        assert_eq!(worth(&op(BinaryOp::Equal, lit(1), lit(1.0))), Ok(true.into()));
        assert!(worth(&op(BinaryOp::Equal, lit(1), lit("1"))).is_err());
        assert_eq!(
            worth(&op(BinaryOp::Greater, lit(f64::NAN), lit(1e300))),
            Ok(true.into())
        );
    }

    #[test]
    fn names_reach_inputs_first_and_nested_records_then() {
        assert_eq!(worth(&col("o.a")), Ok(Value::Int(5)));
        assert_eq!(worth(&col("orders.r.b")), Ok(Value::Int(7)));
        assert_eq!(worth(&col("r.b")), Ok(Value::Int(7)));
        assert_eq!(worth(&col("r.none")), Ok(Value::Null));
        assert!(worth(&col("a.b")).is_err());
        assert!(worth(&col("amont")).unwrap_err().contains("there are: a, r"));
    }

    #[test]
    fn times_and_spans_do_their_sums_in_microseconds() {
        let stamp = E::Call(Function::EventTime, vec![]);
        let second = E::Span(Span::from_micros(4));
        assert_eq!(
            worth(&op(BinaryOp::Subtract, stamp.clone(), second)),
            Ok(Value::Time(Time::from_micros(5)))
        );
        assert_eq!(worth(&op(BinaryOp::Subtract, stamp.clone(), stamp)), Ok(Value::Int(0)));
    }

    #[test]
    fn like_knows_any_text_and_any_character() {
        let like = |t: &str, p: &str| worth(&E::Like(Box::new(lit(t)), Box::new(lit(p)), false));
        assert_eq!(like("wavetank", "w%t_nk"), Ok(true.into()));
        assert_eq!(like("wavetank", "w_tank"), Ok(false.into()));
        assert_eq!(like("", "%"), Ok(true.into()));
    }

    #[test]
    fn casts_cut_floats_and_refuse_what_cannot_be_read() {
        assert_eq!(cast(Value::Float(-2.9), FieldType::Int), Ok(Value::Int(-2)));
        assert_eq!(cast("  12 ".into(), FieldType::Int), Ok(Value::Int(12)));
        assert_eq!(cast(Value::Float(2.0), FieldType::Text), Ok("2.0".into()));
        for (value, to) in [
            (Value::Float(f64::NAN), FieldType::Int),
            (Value::Float(1e19), FieldType::Int),
            ("x".into(), FieldType::Float),
            (Value::Bool(true), FieldType::Time),
        ] {
            assert!(cast(value, to).is_err());
        }
    }

    #[test]
    fn functions_are_null_of_null_but_for_those_that_pass_over_it() {
        let call = |f, args: Vec<E>| worth(&E::Call(f, args));
        assert_eq!(call(Function::Greatest, vec![lit(1), null()]), Ok(Value::Int(1)));
        assert_eq!(call(Function::Least, vec![null(), null()]), Ok(Value::Null));
        assert_eq!(call(Function::Power, vec![lit(1), null()]), Ok(Value::Null));
        assert_eq!(call(Function::Greatest, vec![lit(1), lit(2.5)]), Ok(2.5.into()));
        assert_eq!(call(Function::Coalesce, vec![null(), lit(3)]), Ok(Value::Int(3)));
        assert_eq!(call(Function::NullIf, vec![lit(3), lit(3.0)]), Ok(Value::Null));
        assert_eq!(call(Function::Round, vec![lit(-2.5)]), Ok(Value::Float(-3.0)));
        assert_eq!(
            call(Function::Substring, vec![lit("wave"), lit(0), lit(3)]),
            Ok("wa".into())
        );
        assert!(call(Function::Ln, vec![lit(0)]).is_err());
        assert!(call(Function::Lower, vec![lit(1)]).unwrap_err().contains("lower"));
    }
}
