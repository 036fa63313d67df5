//! What names in a query with joins stand for.
//!
//! A combination of events is evaluated over one long row: the fields of each stream's event and behind them its stamp,
//! in the order of the streams; of a stream without an event all of it is null.

use arcstr::ArcStr;
use wavetank_scenarios::query::{BinaryOp, Expr, Function, Query};
use wavetank_scenarios::{Schema, Value, script};

use crate::processing::expr::{Compiled, Node, Resolve, node, unknown};

/// The streams of a join.
#[derive(Debug)]
pub struct Streams {
    streams: Vec<Stream>,
    /// For each entry of the operator's `input` list, the stream that it is.
    pub of_input: Vec<usize>,
}

#[derive(Debug)]
struct Stream {
    names: Vec<ArcStr>,
    schema: Schema,
    /// Where its fields begin in the long row.
    first: usize,
}

impl Streams {
    /// The streams of a query, whose operator has inputs of these schemas.
    ///
    /// # Errors
    /// A stream that is no input, or an input that is not read.
    pub fn new(operator: &script::Operator, query: &Query, schemas: &[&Schema]) -> Result<Self, String> {
        let places = query.inputs_of(&operator.input).map_err(|wrong| wrong.to_string())?;
        let mut of_input = vec![0; operator.input.len()];
        let mut streams = Vec::with_capacity(places.len());
        let mut first = 0;
        for (index, ((name, alias), place)) in query.streams().into_iter().zip(&places).enumerate() {
            of_input[*place] = index;
            let schema = schemas.get(*place).ok_or("an input has no schema")?;
            streams.push(Stream {
                names: alias.into_iter().chain([name]).cloned().collect(),
                schema: (*schema).clone(),
                first,
            });
            first += schema.fields.len() + 1;
        }
        Ok(Self { streams, of_input })
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.streams.len()
    }
    /// How many fields the events of a stream have.
    pub fn fields(&self, stream: usize) -> usize {
        self.streams[stream].schema.fields.len()
    }
    /// An expression over combinations of the first `among` streams.
    ///
    /// # Errors
    /// A name that leads nowhere or to several fields.
    pub fn compile(&self, expr: &Expr, among: usize) -> Result<Compiled, String> {
        let mut long = Long {
            streams: &self.streams[..among],
            offset: 0,
        };
        node(expr, &mut long).map(Compiled::of)
    }
    /// An expression over an event of one stream alone.
    ///
    /// # Errors
    /// A name that is no field of it.
    pub fn compile_alone(&self, expr: &Expr, stream: usize) -> Result<Compiled, String> {
        let streams = &self.streams[stream..=stream];
        let mut alone = Long {
            streams,
            offset: streams[0].first,
        };
        node(expr, &mut alone).map(Compiled::of)
    }
    /// When a condition is an equality between what is known of the streams before `joined` and of `joined` alone: both
    /// sides, in this order.
    pub fn key<'a>(&self, condition: &'a Expr, joined: usize) -> Option<(&'a Expr, &'a Expr)> {
        let Expr::Binary(BinaryOp::Equal, x, y) = condition else {
            return None;
        };
        let (a, b) = (self.streams_in(x, joined + 1), self.streams_in(y, joined + 1));
        let left = |s: &[usize]| !s.is_empty() && s.iter().all(|i| *i < joined);
        let right = |s: &[usize]| !s.is_empty() && s.iter().all(|i| *i == joined);
        match () {
            () if left(&a) && right(&b) => Some((x, y)),
            () if right(&a) && left(&b) => Some((y, x)),
            () => None,
        }
    }
    fn streams_in(&self, expr: &Expr, among: usize) -> Vec<usize> {
        let long = Long {
            streams: &self.streams[..among],
            offset: 0,
        };
        let mut found = Vec::new();
        long.streams_in(expr, &mut found);
        found
    }
}

/// The names that lead into the long row, or into the row of one stream.
struct Long<'a> {
    streams: &'a [Stream],
    /// What is taken from every slot.
    offset: usize,
}

impl Long<'_> {
    fn streams_in(&self, expr: &Expr, found: &mut Vec<usize>) {
        match expr {
            Expr::Column(path) => found.extend(self.field(path).ok().map(|(stream, ..)| stream)),
            Expr::Call(Function::EventTime, arguments) => {
                if let [Expr::Column(path)] = arguments.as_slice() {
                    found.extend(path.first().and_then(|name| self.called(name)));
                }
            }
            other => other
                .children()
                .into_iter()
                .for_each(|part| self.streams_in(part, found)),
        }
    }

    fn called(&self, name: &str) -> Option<usize> {
        let goes_by = |s: &Stream| s.names.iter().any(|n| n.eq_ignore_ascii_case(name));
        self.streams.iter().position(goes_by)
    }

    /// The stream, the slot and the path inside that a column leads to.
    fn field<'p>(&self, path: &'p [ArcStr]) -> Result<(usize, usize, &'p [ArcStr]), String> {
        let slot = |stream: usize, name: &str| {
            let Stream { schema, first, .. } = &self.streams[stream];
            schema.slot(name).map(|slot| first + slot - self.offset)
        };
        if let [of, name, rest @ ..] = path
            && let Some(stream) = self.called(of)
        {
            return match slot(stream, name) {
                Some(slot) => Ok((stream, slot, rest)),
                None => Err(unknown("field", name, self.streams[stream].schema.names())),
            };
        }
        let Some((name, rest)) = path.split_first() else {
            return Err("a field without a name".into());
        };
        let mut found = (0..self.streams.len()).filter_map(|stream| Some((stream, slot(stream, name)?)));
        match (found.next(), found.next()) {
            (Some((stream, slot)), None) => Ok((stream, slot, rest)),
            (Some(_), Some(_)) => Err(format!(
                "`{name}` could be a field of several streams; write its stream's name before it"
            )),
            (None, _) => {
                let names = self.streams.iter().flat_map(|s| s.schema.names());
                Err(unknown("field", name, names))
            }
        }
    }
}

impl Resolve for Long<'_> {
    fn resolve(&mut self, expr: &Expr) -> Result<Option<Node>, String> {
        Ok(Some(match expr {
            Expr::Column(path) => match self.field(path)? {
                (_, slot, []) => Node::Slot(slot),
                (_, slot, rest) => Node::Path(slot, rest.to_vec()),
            },
            Expr::Call(Function::EventTime, arguments) => match arguments.as_slice() {
                [Expr::Column(path)] if path.len() == 1 => match self.called(&path[0]) {
                    // Alone, the row has no stamp behind it.
                    Some(_) if self.offset > 0 || self.streams.len() == 1 => Node::Stamp,
                    Some(stream) => {
                        let Stream { schema, first, .. } = &self.streams[stream];
                        Node::Slot(first + schema.fields.len())
                    }
                    None => return Err(format!("there is no stream `{}` in this join", path[0])),
                },
                _ => return Ok(None),
            },
            Expr::Aggregate(_) => return Err("a join gives pairs, not aggregates".into()),
            _ => return Ok(None),
        }))
    }
}

/// Puts a stream's part of a long row behind what is there.
pub fn append(row: &mut Vec<Value>, fields: usize, event: Option<&wavetank_scenarios::Event>) {
    match event {
        Some(event) => {
            row.extend(event.row.iter().take(fields).cloned());
            row.resize(row.len() + fields.saturating_sub(event.row.len()), Value::Null);
            row.push(Value::Time(event.stamp));
        }
        None => row.resize(row.len() + fields + 1, Value::Null),
    }
}
