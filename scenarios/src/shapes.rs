//! What can be known of fields before the run: types, and inside records and lists the types of what they hold. From
//! the fields of an input follow those of every query's and transformation's output.

use std::collections::BTreeMap;

use arcstr::ArcStr;

use crate::data::name_of;
use crate::query::{AggregateFunction, BinaryOp, Expr, Function, Query, SelectItem, UnaryOp};
use crate::schema::{FieldType, Schema};
use crate::script::{Codec, Format, TransformStep};
use crate::suggest;
use crate::value::Value;

/// The type of a field, as far as it is known, inside out.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Shape {
    Plain(FieldType),
    Record(Vec<(ArcStr, Shape)>),
    List(Box<Shape>),
}

/// The fields of a row, in order.
pub(crate) type Shapes = Vec<(ArcStr, Shape)>;

impl Shape {
    pub const ANY: Self = Self::Plain(FieldType::Any);

    pub const fn of_type(kind: FieldType) -> Self {
        Self::Plain(kind)
    }
    pub fn of(value: &Value) -> Self {
        Self::Plain(match value {
            Value::Null => FieldType::Any,
            Value::Bool(_) => FieldType::Bool,
            Value::Int(_) => FieldType::Int,
            Value::Float(_) => FieldType::Float,
            Value::Text(_) => FieldType::Text,
            Value::Time(_) => FieldType::Time,
            Value::Bytes(_) => FieldType::Bytes,
            Value::List(items) => {
                let inner = items.iter().map(Self::of).reduce(Self::merge);
                return Self::List(Box::new(inner.unwrap_or(Self::ANY)));
            }
            Value::Record(fields) => {
                return Self::Record(fields.iter().map(|(n, v)| (n.clone(), Self::of(v))).collect());
            }
        })
    }
    pub const fn kind(&self) -> FieldType {
        match self {
            Self::Plain(kind) => *kind,
            Self::Record(_) => FieldType::Record,
            Self::List(_) => FieldType::List,
        }
    }
    /// What both are; `Any` gives way to what is known, as null does.
    pub fn merge(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Plain(FieldType::Any), b) => b,
            (a, Self::Plain(FieldType::Any)) => a,
            (Self::Plain(FieldType::Int | FieldType::Float), Self::Plain(FieldType::Int | FieldType::Float)) => {
                Self::Plain(FieldType::Float)
            }
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.merge(*b))),
            (Self::Record(mut a), Self::Record(b)) => {
                for (name, shape) in b {
                    match a.iter_mut().find(|(n, _)| *n == name) {
                        Some((_, known)) => *known = known.clone().merge(shape),
                        None => a.push((name, shape)),
                    }
                }
                Self::Record(a)
            }
            _ => Self::ANY,
        }
    }
}

/// The schema that a person and the operators see.
pub(crate) fn schema(shapes: &Shapes) -> Schema {
    Schema::new(shapes.iter().map(|(name, shape)| (name.clone(), shape.kind())))
}

/// Where columns are looked up.
pub(crate) struct Scope<'a> {
    pub shapes: &'a Shapes,
    /// Names of the input that may stand before a dot.
    pub input: Vec<&'a str>,
}

/// Why `nth` and `prev` cannot stand outside sequences.
const LOOKS_BACK: &str = "`nth` and `prev` look back over the events of a match: they stand only in sequences";

/// Something that does not fit, and what was probably meant.
#[derive(Debug)]
pub(crate) struct Misfit {
    pub message: String,
    pub help: Option<String>,
}

impl Misfit {
    fn new(message: impl Into<String>, help: Option<String>) -> Self {
        Self {
            message: message.into(),
            help,
        }
    }
}

fn slot(shapes: &Shapes, name: &str) -> Option<usize> {
    schema(shapes).slot(name)
}

fn no_field(shapes: &Shapes, name: &str) -> Misfit {
    Misfit::new(
        format!("there is no field `{name}`"),
        suggest::help(name, shapes.iter().map(|(n, _)| n.as_str())),
    )
}

fn field(shapes: &Shapes, name: &str) -> Result<usize, Misfit> {
    slot(shapes, name).ok_or_else(|| no_field(shapes, name))
}

fn free(shapes: &Shapes, name: &str) -> Result<(), Misfit> {
    match shapes.iter().any(|(n, _)| n == name) {
        true => Err(Misfit::new(
            format!("there is a field `{name}` already"),
            Some("rename or drop it first".into()),
        )),
        false => Ok(()),
    }
}

impl Scope<'_> {
    fn column(&self, path: &[ArcStr]) -> Result<Shape, Misfit> {
        let mut rest = path;
        if let [first, _, ..] = path
            && self.input.iter().any(|name| name.eq_ignore_ascii_case(first))
        {
            rest = &path[1..];
        }
        let Some((first, inner)) = rest.split_first() else {
            return Ok(Shape::ANY);
        };
        let mut shape = &self.shapes[field(self.shapes, first)?].1;
        for name in inner {
            match shape {
                Shape::Record(fields) => match fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
                    Some((_, found)) => shape = found,
                    None => return Err(no_field(fields, name)),
                },
                Shape::Plain(FieldType::Any | FieldType::Record) => return Ok(Shape::ANY),
                other => {
                    let message = format!("`{first}` is {} and has no field `{name}`", name_of(other.kind()));
                    return Err(Misfit::new(message, None));
                }
            }
        }
        Ok(shape.clone())
    }

    /// The type of an expression; every column in it is looked up.
    pub fn shape(&self, expr: &Expr) -> Result<Shape, Misfit> {
        let shapes = expr
            .children()
            .into_iter()
            .map(|x| self.shape(x))
            .collect::<Result<Vec<_>, _>>()?;
        let kind = |i: usize| shapes.get(i).map_or(FieldType::Any, Shape::kind);
        let merged = |from: usize| {
            shapes
                .iter()
                .skip(from)
                .cloned()
                .reduce(Shape::merge)
                .unwrap_or(Shape::ANY)
        };
        Ok(Shape::Plain(match expr {
            Expr::Literal(value) => return Ok(Shape::of(value)),
            Expr::Span(_) => FieldType::Int,
            Expr::Column(path) => return self.column(path),
            Expr::Unary(UnaryOp::Minus, _) => kind(0),
            Expr::Unary(UnaryOp::Not, _) => FieldType::Bool,
            Expr::Binary(op, ..) => arithmetic(*op, kind(0), kind(1)),
            Expr::IsNull(..) | Expr::Between(..) | Expr::InList(..) | Expr::Like(..) => FieldType::Bool,
            Expr::Case(arms, otherwise) => {
                let mut value = Shape::ANY;
                for (i, _) in arms.iter().enumerate() {
                    value = value.merge(shapes[2 * i + 1].clone());
                }
                if otherwise.is_some() {
                    value = value.merge(shapes[2 * arms.len()].clone());
                }
                return Ok(value);
            }
            Expr::Cast(_, kind) => *kind,
            Expr::Call(function, _) => match function {
                Function::Abs => kind(0),
                Function::Round | Function::Floor | Function::Ceil => match kind(0) {
                    FieldType::Int => FieldType::Int,
                    FieldType::Float => FieldType::Float,
                    _ => FieldType::Any,
                },
                Function::Sqrt | Function::Ln | Function::Exp | Function::Power => FieldType::Float,
                Function::Least | Function::Greatest | Function::Coalesce => return Ok(merged(0)),
                Function::NullIf => kind(0),
                Function::Lower | Function::Upper | Function::Trim | Function::Substring | Function::Replace => {
                    FieldType::Text
                }
                Function::Length => FieldType::Int,
                Function::EventTime | Function::WindowStart | Function::WindowEnd => FieldType::Time,
                Function::Nth | Function::Prev => return Err(Misfit::new(LOOKS_BACK, None)),
            },
            Expr::Aggregate(aggregate) => {
                let argument = if aggregate.argument.is_some() {
                    kind(0)
                } else {
                    FieldType::Any
                };
                match aggregate.function {
                    AggregateFunction::Count | AggregateFunction::ApproxCountDistinct => FieldType::Int,
                    AggregateFunction::Sum | AggregateFunction::Min | AggregateFunction::Max => argument,
                    AggregateFunction::First | AggregateFunction::Last | AggregateFunction::Quantile(_) => argument,
                    AggregateFunction::StddevPop | AggregateFunction::StddevSamp => FieldType::Float,
                    AggregateFunction::VarPop | AggregateFunction::VarSamp => FieldType::Float,
                    AggregateFunction::ApproxQuantile(_) => FieldType::Float,
                    AggregateFunction::Avg if argument == FieldType::Float => FieldType::Float,
                    AggregateFunction::Median if argument == FieldType::Float => FieldType::Float,
                    AggregateFunction::Avg | AggregateFunction::Median => FieldType::Any,
                    AggregateFunction::Top(_) | AggregateFunction::HeavyHitters(_) | AggregateFunction::Collect => {
                        FieldType::List
                    }
                }
            }
        }))
    }
}

const fn arithmetic(op: BinaryOp, a: FieldType, b: FieldType) -> FieldType {
    use FieldType as F;
    match op {
        BinaryOp::Concat => F::Text,
        BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo => match (a, b) {
            (F::Int, F::Int) => F::Int,
            (F::Float, F::Int | F::Float) | (F::Int, F::Float) => F::Float,
            (F::Time, F::Int) | (F::Int, F::Time) => F::Time,
            (F::Time, F::Time) => F::Int,
            _ => F::Any,
        },
        _ => F::Bool,
    }
}

/// The fields of a query's results.
pub(crate) fn of_query(query: &Query, scope: &Scope<'_>) -> Result<Shapes, Misfit> {
    let mut out: Shapes = Vec::new();
    for item in &query.select {
        match item {
            SelectItem::All => out.extend(scope.shapes.iter().cloned()),
            SelectItem::Expr { expr, name } => {
                let shape = scope.shape(expr)?;
                match out.iter_mut().find(|(n, _)| n == name) {
                    Some(_) => return Err(Misfit::new(format!("two columns are called `{name}`"), None)),
                    None => out.push((name.clone(), shape)),
                }
            }
        }
    }
    for expr in query.filter.iter().chain(&query.group_by) {
        scope.shape(expr)?;
    }
    if let Some(crate::query::Window::Snapshot { lasts }) = &query.window {
        scope.shape(lasts)?;
    }
    // `having` and `order by` may also use the names given in `select`, which come first.
    let mut all = out.clone();
    all.extend(
        scope
            .shapes
            .iter()
            .filter(|(n, _)| out.iter().all(|(o, _)| o != n))
            .cloned(),
    );
    let rest = Scope {
        shapes: &all,
        input: scope.input.clone(),
    };
    for expr in query.having.iter().chain(query.order_by.iter().map(|o| &o.expr)) {
        rest.shape(expr)?;
    }
    Ok(out)
}

/// The fields after one step of a transformation.
pub(crate) fn after(
    step: &TransformStep,
    mut shapes: Shapes,
    tables: &BTreeMap<&str, &Shapes>,
) -> Result<Shapes, Misfit> {
    match step {
        TransformStep::Project(names) => {
            return names
                .iter()
                .map(|name| Ok(shapes[field(&shapes, name)?].clone()))
                .collect();
        }
        TransformStep::Drop(names) => remove(&mut shapes, names)?,
        TransformStep::Rename(names) => rename(&mut shapes, names.iter().map(|(a, b)| (a.as_str(), b.as_str())))?,
        TransformStep::Derive(fields) => {
            for (name, predicate) in fields {
                if predicate.expr.has_aggregate() {
                    return Err(Misfit::new(
                        format!("`{name}` is derived from one event: no aggregate can stand here"),
                        None,
                    ));
                }
                let shape = Scope {
                    shapes: &shapes,
                    input: vec![],
                }
                .shape(&predicate.expr)?;
                match slot(&shapes, name) {
                    Some(slot) => shapes[slot].1 = shape,
                    None => shapes.push((name.as_str().into(), shape)),
                }
            }
        }
        TransformStep::Flatten(name) => {
            let at = field(&shapes, name)?;
            match shapes[at].1.clone() {
                Shape::List(item) => match *item {
                    Shape::Record(fields) => append_in_place_of(&mut shapes, at, fields)?,
                    other => shapes[at].1 = other,
                },
                Shape::Plain(FieldType::Any | FieldType::List) => shapes[at].1 = Shape::ANY,
                other => {
                    let message = format!(
                        "`{name}` is {}, and only a list can be flattened",
                        name_of(other.kind())
                    );
                    return Err(Misfit::new(message, None));
                }
            }
        }
        TransformStep::Nest { into, fields } => {
            let inner = fields
                .iter()
                .map(|n| Ok(shapes[field(&shapes, n)?].clone()))
                .collect::<Result<Vec<_>, Misfit>>()?;
            remove(&mut shapes, fields)?;
            free(&shapes, into)?;
            shapes.push((into.as_str().into(), Shape::Record(inner)));
        }
        TransformStep::Unnest(name) => {
            let at = field(&shapes, name)?;
            match shapes[at].1.clone() {
                Shape::Record(fields) => append_in_place_of(&mut shapes, at, fields)?,
                other if matches!(other.kind(), FieldType::Any | FieldType::Record) => {
                    let help = Some("a record is known that was nested, or is in the source's data".into());
                    return Err(Misfit::new(
                        format!("what is in the record `{name}` is not known before the run"),
                        help,
                    ));
                }
                other => {
                    let message = format!(
                        "`{name}` is {}, and only a record can be unnested",
                        name_of(other.kind())
                    );
                    return Err(Misfit::new(message, None));
                }
            }
        }
        TransformStep::Enrich(enrich) => {
            let Some(table) = tables.get(enrich.table.as_str()) else {
                let help = suggest::help(&enrich.table, tables.keys().copied());
                return Err(Misfit::new(format!("there is no table `{}`", enrich.table), help));
            };
            for (event, column) in &enrich.on {
                field(&shapes, event)?;
                field(table, column)?;
            }
            for name in &enrich.fields {
                let at = field(table, name)?;
                free(&shapes, name)?;
                shapes.push(table[at].clone());
            }
        }
        TransformStep::Decode(codec) => {
            let at = field(&shapes, &codec.field)?;
            let fits = matches!(shapes[at].1.kind(), FieldType::Any | FieldType::Text | FieldType::Bytes);
            if !fits {
                let message = format!(
                    "`{}` is {}, and a message is text or bytes",
                    codec.field,
                    name_of(shapes[at].1.kind())
                );
                return Err(Misfit::new(message, None));
            }
            if codec.fields.is_empty() {
                let help = Some("fields = { name = \"text\", n = \"int\" }".into());
                return Err(Misfit::new(
                    "decoding needs the names and types of the message's `fields`",
                    help,
                ));
            }
            let fields = codec
                .fields
                .iter()
                .map(|(n, k)| (n.clone(), Shape::Plain(*k)))
                .collect();
            append_in_place_of(&mut shapes, at, fields)?;
        }
        TransformStep::Encode(codec) => return encoded(codec, &shapes),
        TransformStep::Upgrade(upgrade) => {
            rename(
                &mut shapes,
                upgrade.rename.iter().map(|(a, b)| (a.as_str(), b.as_str())),
            )?;
            remove(&mut shapes, &upgrade.remove)?;
            for (name, scalar) in &upgrade.default {
                free(&shapes, name)?;
                shapes.push((name.clone(), Shape::of(&Value::from(scalar))));
            }
        }
        TransformStep::SetStamp(name) => {
            let at = field(&shapes, name)?;
            let kind = shapes[at].1.kind();
            if !matches!(kind, FieldType::Any | FieldType::Time | FieldType::Int) {
                let message = format!("`{name}` is {}, and a stamp is a time or microseconds", name_of(kind));
                return Err(Misfit::new(message, None));
            }
        }
    }
    Ok(shapes)
}

fn encoded(codec: &Codec, shapes: &Shapes) -> Result<Shapes, Misfit> {
    for name in codec.fields.keys() {
        field(shapes, name)?;
    }
    let kind = if codec.format == Format::Avro {
        FieldType::Bytes
    } else {
        FieldType::Text
    };
    Ok(vec![(codec.field.as_str().into(), Shape::Plain(kind))])
}

fn remove(shapes: &mut Shapes, names: &[String]) -> Result<(), Misfit> {
    for name in names {
        let at = field(shapes, name)?;
        shapes.remove(at);
    }
    Ok(())
}

fn rename<'a>(shapes: &mut Shapes, names: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), Misfit> {
    let mut out = shapes.clone();
    for (old, new) in names {
        out[field(shapes, old)?].0 = new.into();
    }
    for (i, (name, _)) in out.iter().enumerate() {
        if out[..i].iter().any(|(n, _)| n == name) {
            return Err(Misfit::new(format!("two fields would be called `{name}`"), None));
        }
    }
    *shapes = out;
    Ok(())
}

fn append_in_place_of(shapes: &mut Shapes, at: usize, fields: Shapes) -> Result<(), Misfit> {
    shapes.remove(at);
    for (name, shape) in fields {
        free(shapes, &name)?;
        shapes.push((name, shape));
    }
    Ok(())
}
