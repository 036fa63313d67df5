//! The fields of joins: whose a column is, and what comes out.

use arcstr::ArcStr;

use crate::query::{Expr, Function, Query, SelectItem, WrongInput};
use crate::schema::FieldType;
use crate::script::{Gather, Operator};
use crate::shapes::{Misfit, Scope, Shape, Shapes, schema};
use crate::suggest;

/// A stream of a join: the names that it goes by, and its fields.
struct Stream<'a> {
    names: Vec<&'a str>,
    shapes: &'a Shapes,
}

impl Stream<'_> {
    fn slot(&self, name: &str) -> Option<usize> {
        schema(self.shapes).slot(name)
    }
    fn goes_by(&self, name: &str) -> bool {
        self.names.iter().any(|n| n.eq_ignore_ascii_case(name))
    }
    /// A field as a person names it.
    fn full(&self, slot: usize) -> ArcStr {
        format!("{}.{}", self.names[0], self.shapes[slot].0).into()
    }
}

fn misfit<T>(message: String, help: Option<String>) -> Result<T, Misfit> {
    Err(Misfit { message, help })
}

/// The fields of the results of an operator that joins inputs with these fields; else the key that is wrong, and why.
pub(crate) fn output(operator: &Operator, inputs: &[Shapes]) -> Result<Shapes, (&'static str, Misfit)> {
    if let Some(query) = &operator.query {
        let places = query.inputs_of(&operator.input).map_err(|wrong| {
            let help = match &wrong {
                WrongInput::Missing(name) => suggest::help(name, operator.input.iter().map(String::as_str)),
                WrongInput::Unread(_) => Some("join it, or take it out of `input`".into()),
            };
            let message = wrong.to_string();
            ("query", Misfit { message, help })
        })?;
        let shapes: Vec<&Shapes> = places.iter().map(|place| &inputs[*place]).collect();
        return of_join(query, &shapes).map_err(|misfit| ("query", misfit));
    }
    match &operator.gather {
        Some(gather) => of_gather(operator, gather, inputs).map_err(|misfit| ("gather", misfit)),
        None => Ok(vec![]),
    }
}

/// The fields of what is gathered from inputs with these fields.
fn of_gather(operator: &Operator, gather: &Gather, inputs: &[Shapes]) -> Result<Shapes, Misfit> {
    let no_field = |name: &str, input: usize| Misfit {
        message: format!("`{}` has no field `{name}`", operator.input[input]),
        help: suggest::help(name, inputs[input].iter().map(|(n, _)| n.as_str())),
    };
    let mut out: Shapes = Vec::new();
    for name in &gather.by {
        let mut shape: Option<Shape> = None;
        for (i, shapes) in inputs.iter().enumerate() {
            let slot = schema(shapes).slot(name).ok_or_else(|| no_field(name, i))?;
            let found = shapes[slot].1.clone();
            shape = Some(shape.map_or_else(|| found.clone(), |known| known.merge(found.clone())));
        }
        out.push((name.as_str().into(), shape.unwrap_or(Shape::ANY)));
    }
    if let Some(part) = &gather.part
        && let Some(i) = inputs.iter().position(|shapes| schema(shapes).slot(part).is_none())
    {
        return Err(no_field(part, i));
    }
    let several = common(inputs).map(Shape::Record);
    for (i, name) in gather.names(&operator.input).iter().enumerate() {
        let record = match gather.part {
            None => inputs.get(i).cloned().map(Shape::Record),
            Some(_) => several.clone(),
        };
        out.push((
            name.as_str().into(),
            record.unwrap_or(Shape::of_type(FieldType::Record)),
        ));
    }
    out.push(("complete".into(), Shape::of_type(FieldType::Bool)));
    out.push(("missing".into(), Shape::List(Box::new(Shape::of_type(FieldType::Text)))));
    if gather.ask > 0 {
        out.push(("asks".into(), Shape::of_type(FieldType::Int)));
        out.push(("asking".into(), Shape::of_type(FieldType::Bool)));
    }
    for (i, (name, _)) in out.iter().enumerate() {
        if out[..i].iter().any(|(n, _)| n == name) {
            let help = "give the parts other names with `parts`".to_owned();
            return misfit(format!("the answer would have two fields called `{name}`"), Some(help));
        }
    }
    Ok(out)
}

/// The fields of the results of a query with joins, whose streams have these fields.
fn of_join(query: &Query, shapes: &[&Shapes]) -> Result<Shapes, Misfit> {
    let named = query.streams().into_iter().zip(shapes);
    let streams: Vec<Stream<'_>> = named
        .map(|((stream, alias), shapes)| Stream {
            names: alias.into_iter().chain([stream]).map(ArcStr::as_str).collect(),
            shapes,
        })
        .collect();
    let all: Shapes = streams
        .iter()
        .flat_map(|s| (0..s.shapes.len()).map(|slot| (s.full(slot), s.shapes[slot].1.clone())))
        .collect();
    let scope = Scope {
        shapes: &all,
        input: vec![],
    };
    let shape = |expr: &Expr, among: usize| scope.shape(&resolve(expr, &streams[..among])?);
    for (i, join) in query.joins.iter().enumerate() {
        for condition in &join.on {
            shape(condition, i + 2)?;
        }
    }
    if let Some(filter) = &query.filter {
        shape(filter, streams.len())?;
    }
    let mut out: Shapes = Vec::new();
    for item in &query.select {
        match item {
            SelectItem::All => {
                for (i, stream) in streams.iter().enumerate() {
                    for (slot, (name, shape)) in stream.shapes.iter().enumerate() {
                        if let Some(other) = streams[..i].iter().find(|s| s.slot(name).is_some()) {
                            let message = format!("`*` would give two columns called `{name}`");
                            let (a, b) = (other.names[0], stream.full(slot));
                            let help = format!(
                                "`{a}` and `{}` both have one: name the columns, such as `{a}.{name}, {b} as {}_{name}`",
                                stream.names[0], stream.names[0]
                            );
                            return misfit(message, Some(help));
                        }
                        out.push((name.clone(), shape.clone()));
                    }
                }
            }
            SelectItem::Expr { expr, name } => {
                let shape = shape(expr, streams.len())?;
                if out.iter().any(|(n, _)| n == name) {
                    let help = "give one of them another name with `as`".to_owned();
                    return misfit(format!("two columns are called `{name}`"), Some(help));
                }
                out.push((name.clone(), shape));
            }
        }
    }
    Ok(out)
}

/// The expression with every column under its full name.
fn resolve(expr: &Expr, streams: &[Stream<'_>]) -> Result<Expr, Misfit> {
    expr.map(&mut |part| match part {
        Expr::Column(path) => column(path, streams).map(Some),
        Expr::Call(Function::EventTime, _) => Ok(Some(Expr::Call(Function::EventTime, vec![]))),
        _ => Ok(None),
    })
}

fn column(path: &[ArcStr], streams: &[Stream<'_>]) -> Result<Expr, Misfit> {
    let full = |stream: &Stream<'_>, slot: usize, rest: &[ArcStr]| {
        Expr::Column(std::iter::once(stream.full(slot)).chain(rest.iter().cloned()).collect())
    };
    if let [of, name, rest @ ..] = path
        && let Some(stream) = streams.iter().find(|s| s.goes_by(of))
    {
        return match stream.slot(name) {
            Some(slot) => Ok(full(stream, slot, rest)),
            None => misfit(
                format!("`{of}` has no field `{name}`"),
                suggest::help(name, stream.shapes.iter().map(|(n, _)| n.as_str())),
            ),
        };
    }
    let Some((name, rest)) = path.split_first() else {
        return Ok(Expr::Literal(crate::value::Value::Null));
    };
    let found: Vec<(&Stream<'_>, usize)> = streams
        .iter()
        .filter_map(|s| s.slot(name).map(|slot| (s, slot)))
        .collect();
    match found.as_slice() {
        [(stream, slot)] => Ok(full(stream, *slot, rest)),
        [] if path.len() > 1 => misfit(
            format!("there is no stream and no field `{name}` here"),
            suggest::help(name, streams.iter().map(|s| s.names[0])),
        ),
        [] => misfit(
            format!("there is no field `{name}`"),
            suggest::help(
                name,
                streams.iter().flat_map(|s| s.shapes.iter().map(|(n, _)| n.as_str())),
            ),
        ),
        several => {
            let full: Vec<String> = several.iter().map(|(s, slot)| format!("`{}`", s.full(*slot))).collect();
            misfit(
                format!("`{name}` could be a field of several streams"),
                Some(format!("write {}", full.join(" or "))),
            )
        }
    }
}

/// The fields of every input, when they are the same.
pub(crate) fn common(inputs: &[Shapes]) -> Option<Shapes> {
    let (first, rest) = inputs.split_first()?;
    let alike = rest.iter().all(|other| schema(first).names().eq(schema(other).names()));
    alike.then(|| {
        rest.iter().fold(first.clone(), |merged, other| {
            merged
                .into_iter()
                .zip(other.iter().cloned())
                .map(|((n, a), (_, b))| (n, a.merge(b)))
                .collect()
        })
    })
}
