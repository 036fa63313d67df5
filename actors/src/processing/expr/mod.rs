//! Expressions, compiled: names become slots once, evaluation walks a small tree over a row.
//!
//! Semantics are SQL's, as [`wavetank_scenarios::query`] states them: null in, null out; `and`, `or`, `not` in three
//! values; whole numbers and floats mix; overflow, division by zero and types that do not go together are errors of that
//! event. A span counts as whole microseconds.

mod function;
mod ops;

use std::borrow::Cow;

use arcstr::ArcStr;
use wavetank_scenarios::query::{BinaryOp, Expr, Function, UnaryOp};
use wavetank_scenarios::{FieldType, Schema, Time, Value, suggest};

pub use ops::{cast, compare, normal, order};

/// What an expression is evaluated over.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The row that slots point into.
    pub row: &'a [Value],
    /// The stamp of the event, for `event_time()`.
    pub stamp: Time,
    /// Start and end of the window, where there is one.
    pub window: Option<(Time, Time)>,
}

impl<'a> Scope<'a> {
    /// The scope of a single event.
    pub const fn event(row: &'a [Value], stamp: Time) -> Self {
        Self {
            row,
            stamp,
            window: None,
        }
    }
}

/// An expression ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Compiled(Node);

/// A node of a compiled expression.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Const(Value),
    Slot(usize),
    /// A field inside the record in a slot.
    Path(usize, Vec<ArcStr>),
    Stamp,
    WindowStart,
    WindowEnd,
    Negate(Box<Node>),
    Not(Box<Node>),
    Arithmetic(BinaryOp, Box<Node>, Box<Node>),
    Compare(BinaryOp, Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    IsNull(Box<Node>, bool),
    Between(Box<Node>, Box<Node>, Box<Node>, bool),
    InList(Box<Node>, Vec<Node>, bool),
    Like(Box<Node>, Box<Node>, bool),
    Case(Vec<(Node, Node)>, Option<Box<Node>>),
    Cast(Box<Node>, FieldType),
    Call(Function, Vec<Node>),
}

/// How names and aggregates become nodes: for single events (fields of the input) or for the rows of a window.
pub(crate) trait Resolve {
    /// The node of `expr`, when this resolver knows one for it as a whole; `None` to go on with its parts.
    fn resolve(&mut self, expr: &Expr) -> Result<Option<Node>, String>;
}

/// The fields of one input, under the names that a query may give it.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// Its fields.
    pub schema: &'a Schema,
    /// What may stand before the dot: the input's name, stream and alias.
    pub inputs: &'a [&'a str],
}

impl Fields<'_> {
    /// The slot of a field, and what remains of the name as a path into it.
    pub(crate) fn slot(&self, name: &[ArcStr]) -> Result<Node, String> {
        let (head, rest) = match name {
            [input, rest @ ..] if !rest.is_empty() && self.inputs.contains(&input.as_str()) => (&rest[0], &rest[1..]),
            [head, rest @ ..] => (head, rest),
            [] => return Err("a field without a name".into()),
        };
        let slot = match self.schema.slot(head) {
            Some(slot) => slot,
            None if rest.is_empty() && head.eq_ignore_ascii_case("window_start") => return Ok(Node::WindowStart),
            None if rest.is_empty() && head.eq_ignore_ascii_case("window_end") => return Ok(Node::WindowEnd),
            None => return Err(unknown("field", head, self.schema.names())),
        };
        Ok(if rest.is_empty() {
            Node::Slot(slot)
        } else {
            Node::Path(slot, rest.to_vec())
        })
    }
}

impl Resolve for Fields<'_> {
    fn resolve(&mut self, expr: &Expr) -> Result<Option<Node>, String> {
        match expr {
            Expr::Column(name) => self.slot(name).map(Some),
            Expr::Aggregate(_) => Err("an aggregate function stands where single events are looked at; \
                                       write it in `select`, `having` or `order by` of a query with a window"
                .into()),
            _ => Ok(None),
        }
    }
}

/// The message for a name that is not there, with the nearest one that is.
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match suggest::help(name, known) {
        Some(help) => format!("there is no {what} `{name}`; {help}"),
        None => format!("there is no {what} `{name}`; there are none at all"),
    }
}

/// Builds the tree of `expr`, asking `names` first at every node.
pub(crate) fn node(expr: &Expr, names: &mut dyn Resolve) -> Result<Node, String> {
    if let Some(known) = names.resolve(expr)? {
        return Ok(known);
    }
    let mut boxed = |e: &Expr| node(e, names).map(Box::new);
    Ok(match expr {
        Expr::Literal(value) => Node::Const(value.clone()),
        Expr::Span(span) => Node::Const(Value::Int(span.micros())),
        Expr::Column(name) => return Err(format!("`{}` cannot be used here", name.join("."))),
        Expr::Aggregate(_) => return Err("an aggregate function cannot be used here".into()),
        Expr::Unary(UnaryOp::Not, x) => Node::Not(boxed(x)?),
        Expr::Unary(UnaryOp::Minus, x) => match *boxed(x)? {
            Node::Const(value) => Node::Const(ops::negate(&value)?),
            other => Node::Negate(Box::new(other)),
        },
        Expr::Binary(op, x, y) => {
            let (x, y) = (boxed(x)?, boxed(y)?);
            match op {
                BinaryOp::And => Node::And(x, y),
                BinaryOp::Or => Node::Or(x, y),
                BinaryOp::Equal
                | BinaryOp::NotEqual
                | BinaryOp::Less
                | BinaryOp::LessOrEqual
                | BinaryOp::Greater
                | BinaryOp::GreaterOrEqual => Node::Compare(*op, x, y),
                BinaryOp::Add
                | BinaryOp::Subtract
                | BinaryOp::Multiply
                | BinaryOp::Divide
                | BinaryOp::Modulo
                | BinaryOp::Concat => Node::Arithmetic(*op, x, y),
            }
        }
        Expr::IsNull(x, negated) => Node::IsNull(boxed(x)?, *negated),
        Expr::Between(x, low, high, negated) => Node::Between(boxed(x)?, boxed(low)?, boxed(high)?, *negated),
        Expr::InList(x, list, negated) => {
            let x = boxed(x)?;
            Node::InList(
                x,
                list.iter().map(|e| node(e, names)).collect::<Result<_, _>>()?,
                *negated,
            )
        }
        Expr::Like(x, pattern, negated) => Node::Like(boxed(x)?, boxed(pattern)?, *negated),
        Expr::Case(arms, otherwise) => Node::Case(
            arms.iter()
                .map(|(c, v)| Ok((node(c, names)?, node(v, names)?)))
                .collect::<Result<_, String>>()?,
            otherwise.as_ref().map(|e| node(e, names).map(Box::new)).transpose()?,
        ),
        Expr::Cast(x, kind) => Node::Cast(boxed(x)?, *kind),
        Expr::Call(function, args) => {
            function::check_arity(*function, args.len())?;
            match function {
                Function::EventTime => Node::Stamp,
                Function::WindowStart => Node::WindowStart,
                Function::WindowEnd => Node::WindowEnd,
                Function::Nth | Function::Prev => return Err("`nth` and `prev` stand only in sequences".into()),
                _ => Node::Call(
                    *function,
                    args.iter().map(|e| node(e, names)).collect::<Result<_, _>>()?,
                ),
            }
        }
    })
}

impl Compiled {
    /// Compiles `expr` over the fields of one input.
    ///
    /// # Errors
    /// A name that is not there, with the nearest one that is; a wrong number of arguments; an aggregate.
    pub fn new(expr: &Expr, fields: Fields<'_>) -> Result<Self, String> {
        let mut fields = fields;
        node(expr, &mut fields).map(Self)
    }
    pub(crate) const fn of(node: Node) -> Self {
        Self(node)
    }
    /// The slot that this is, when it is nothing but a field.
    pub fn as_slot(&self) -> Option<usize> {
        match self.0 {
            Node::Slot(slot) => Some(slot),
            _ => None,
        }
    }
    /// True when evaluation can end in an error.
    pub(crate) const fn may_fail(&self) -> bool {
        !matches!(
            self.0,
            Node::Slot(_) | Node::Const(_) | Node::Path(..) | Node::Stamp | Node::WindowStart | Node::WindowEnd
        )
    }
    /// The value over `scope`.
    ///
    /// # Errors
    /// Why it has none, for a person.
    pub fn eval<'a>(&'a self, scope: &Scope<'a>) -> Result<Cow<'a, Value>, String> {
        self.0.eval(scope)
    }
    /// The truth over `scope`: `None` for unknown.
    ///
    /// # Errors
    /// Why it has none, for a person; a value that is neither true, false nor null is one reason.
    pub fn test(&self, scope: &Scope<'_>) -> Result<Option<bool>, String> {
        self.0.test(scope)
    }
}

const NULL: Value = Value::Null;

impl Node {
    fn eval<'a>(&'a self, scope: &Scope<'a>) -> Result<Cow<'a, Value>, String> {
        let owned = |v: Value| Ok(Cow::Owned(v));
        match self {
            Self::Slot(slot) => Ok(Cow::Borrowed(scope.row.get(*slot).unwrap_or(&NULL))),
            Self::Const(value) => Ok(Cow::Borrowed(value)),
            Self::Path(slot, path) => Ok(inside(scope.row.get(*slot).unwrap_or(&NULL), path)),
            Self::Stamp => owned(Value::Time(scope.stamp)),
            Self::WindowStart => owned(scope.window.map_or(Value::Null, |(start, _)| Value::Time(start))),
            Self::WindowEnd => owned(scope.window.map_or(Value::Null, |(_, end)| Value::Time(end))),
            Self::Negate(x) => owned(ops::negate(&*x.eval(scope)?)?),
            Self::Arithmetic(op, x, y) => owned(ops::arithmetic(*op, &*x.eval(scope)?, &*y.eval(scope)?)?),
            Self::Case(arms, otherwise) => {
                for (condition, value) in arms {
                    if condition.test(scope)? == Some(true) {
                        return value.eval(scope);
                    }
                }
                otherwise.as_ref().map_or(Ok(Cow::Borrowed(&NULL)), |e| e.eval(scope))
            }
            Self::Cast(x, kind) => owned(cast(&*x.eval(scope)?, *kind)?),
            Self::Call(function, args) => function::call(*function, args, scope),
            Self::Not(_)
            | Self::Compare(..)
            | Self::And(..)
            | Self::Or(..)
            | Self::IsNull(..)
            | Self::Between(..)
            | Self::InList(..)
            | Self::Like(..) => owned(self.test(scope)?.map_or(Value::Null, Value::Bool)),
        }
    }

    fn test(&self, scope: &Scope<'_>) -> Result<Option<bool>, String> {
        Ok(match self {
            Self::Compare(op, x, y) => compare(&*x.eval(scope)?, &*y.eval(scope)?)?.map(|o| ops::holds(*op, o)),
            Self::And(x, y) => match x.test(scope)? {
                Some(false) => Some(false),
                left => match (left, y.test(scope)?) {
                    (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                },
            },
            Self::Or(x, y) => match x.test(scope)? {
                Some(true) => Some(true),
                left => match (left, y.test(scope)?) {
                    (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                },
            },
            Self::Not(x) => x.test(scope)?.map(|b| !b),
            Self::IsNull(x, negated) => Some(x.eval(scope)?.is_null() != *negated),
            Self::Between(x, low, high, negated) => {
                let x = x.eval(scope)?;
                let above = compare(&x, &*low.eval(scope)?)?.map(std::cmp::Ordering::is_ge);
                let below = compare(&x, &*high.eval(scope)?)?.map(std::cmp::Ordering::is_le);
                let inside = match (above, below) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                };
                inside.map(|b| b != *negated)
            }
            Self::InList(x, list, negated) => {
                let x = x.eval(scope)?;
                let mut found = Some(false);
                for item in list {
                    match compare(&x, &*item.eval(scope)?)? {
                        Some(std::cmp::Ordering::Equal) => {
                            found = Some(true);
                            break;
                        }
                        None => found = None,
                        Some(_) => {}
                    }
                }
                found.map(|b| b != *negated)
            }
            Self::Like(x, pattern, negated) => match (&*x.eval(scope)?, &*pattern.eval(scope)?) {
                (Value::Null, _) | (_, Value::Null) => None,
                (Value::Text(text), Value::Text(pattern)) => Some(function::like(text, pattern) != *negated),
                (x, p) => {
                    return Err(format!(
                        "`like` compares text, not {} with {}",
                        x.type_name(),
                        p.type_name()
                    ));
                }
            },
            other => match &*other.eval(scope)? {
                Value::Bool(b) => Some(*b),
                Value::Null => None,
                value => return Err(format!("{} `{value}` is neither true nor false", value.type_name())),
            },
        })
    }
}

/// The value that a path of names leads to; null where it leads nowhere.
fn inside<'a>(value: &'a Value, path: &[ArcStr]) -> Cow<'a, Value> {
    let mut at = value;
    for name in path {
        let Value::Record(fields) = at else {
            return Cow::Borrowed(&NULL);
        };
        match fields.iter().find(|(n, _)| n == name) {
            Some((_, inner)) => at = inner,
            None => return Cow::Borrowed(&NULL),
        }
    }
    Cow::Borrowed(at)
}

#[cfg(test)]
mod tests;
