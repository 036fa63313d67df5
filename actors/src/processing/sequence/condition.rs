//! Expressions over what a beginning of a match has taken: the fields of the event that is looked at, `a.price`,
//! `nth(a.price, 0)`, `prev(price)`, `sum(a.price)`.

use arcstr::ArcStr;
use wavetank_scenarios::query::{Aggregate, Expr, Function};
use wavetank_scenarios::{Event, EventId, Schema, Time, Value};

use crate::processing::expr::{Compiled, Fields, Node, Resolve, Scope, node, unknown};
use crate::processing::window::aggregate::Kind;

/// What names in a sequence stand for.
#[derive(Clone, Debug)]
pub struct Names<'a> {
    /// The steps.
    pub steps: &'a [ArcStr],
    /// The fields of each input.
    pub inputs: &'a [&'a Schema],
    /// What may stand before the dot instead of a step.
    pub called: &'a [&'a str],
}

/// An event that was taken: the event, which input it came on, and the step that took it.
pub type Seen<'a> = (&'a Event, usize, usize);

/// Which of the events that were taken.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Which {
    /// The n-th before the last one (of a step).
    Back(Option<usize>, usize),
    /// The n-th of a step.
    Nth(usize, usize),
}

#[derive(Debug)]
enum Term {
    /// A field, by input; `None` where the input has no such field.
    Field(Which, Vec<Option<Compiled>>),
    /// An aggregate over the events of a step, or of all: its argument and its filter by input.
    Aggregate(Option<usize>, Kind, Option<Vec<Compiled>>, Option<Vec<Compiled>>),
}

/// An expression, compiled.
#[derive(Debug)]
pub struct Condition {
    /// Over the event alone, by input, where it looks at nothing else.
    alone: Option<Vec<Compiled>>,
    terms: Vec<Term>,
    expr: Compiled,
}

impl Condition {
    /// Compiles an expression; `own` is the step whose condition it is.
    ///
    /// # Errors
    /// A name that is not there.
    pub fn new(expr: &Expr, own: Option<usize>, names: &Names<'_>) -> Result<Self, String> {
        let mut resolver = InMatch {
            names,
            terms: Vec::new(),
        };
        let compiled = Compiled::of(node(expr, &mut resolver)?);
        let last = |which: &Which| match which {
            Which::Back(step, 0) => step.is_none() || *step == own,
            _ => false,
        };
        let simple = own.is_some()
            && resolver
                .terms
                .iter()
                .all(|t| matches!(t, Term::Field(which, _) if last(which)));
        let alone = simple.then(|| {
            let compile = |schema: &&Schema| {
                let mut one = Alone { names, schema };
                node(expr, &mut one).map(Compiled::of)
            };
            names.inputs.iter().map(compile).collect::<Result<Vec<_>, _>>()
        });
        Ok(Self {
            alone: alone.transpose()?,
            terms: resolver.terms,
            expr: compiled,
        })
    }

    /// Whether an event on an input fits, behind those that `taken` lists, as that step. What cannot be computed is not
    /// true.
    pub fn holds<'a>(
        &self,
        event: &'a Event,
        input: usize,
        step: usize,
        taken: impl FnOnce() -> Vec<Seen<'a>>,
    ) -> bool {
        if let Some(alone) = &self.alone {
            return alone[input].test(&Scope::event(&event.row, event.stamp)) == Ok(Some(true));
        }
        let mut taken = taken();
        taken.push((event, input, step));
        let values = self.values(&taken);
        self.expr.test(&Scope::event(&values, event.stamp)) == Ok(Some(true))
    }

    /// The value over all that was taken, for a match with that stamp.
    ///
    /// # Errors
    /// Why it has none.
    pub fn value(&self, taken: &[Seen<'_>], stamp: Time) -> Result<Value, String> {
        let values = self.values(taken);
        Ok(self.expr.eval(&Scope::event(&values, stamp))?.into_owned())
    }

    fn values(&self, taken: &[Seen<'_>]) -> Vec<Value> {
        let value = |term: &Term| term.value(taken).unwrap_or_default();
        self.terms.iter().map(value).collect()
    }
}

impl Term {
    /// `None` is null: there is no such event or field, or no such aggregate of these values.
    fn value(&self, taken: &[Seen<'_>]) -> Option<Value> {
        match self {
            Self::Field(which, fields) => {
                let (event, input, _) = match which {
                    Which::Back(step, n) => of(taken, *step).rev().nth(*n)?,
                    Which::Nth(step, n) => of(taken, Some(*step)).nth(*n)?,
                };
                let field = fields[*input].as_ref()?;
                Some(field.eval(&Scope::event(&event.row, event.stamp)).ok()?.into_owned())
            }
            Self::Aggregate(step, kind, argument, filter) => {
                let mut state = kind.empty();
                for (place, (event, input, _)) in of(taken, *step).enumerate() {
                    let scope = Scope::event(&event.row, event.stamp);
                    if let Some(filter) = filter
                        && filter[*input].test(&scope).ok()? != Some(true)
                    {
                        continue;
                    }
                    let value = match argument {
                        Some(argument) => argument[*input].eval(&scope).ok()?.into_owned(),
                        None => Value::Bool(true),
                    };
                    if kind.refuses(&value).is_some() {
                        return None;
                    }
                    // The order in which they were taken decides what is first and last.
                    let place = Time::from_micros(place as i64);
                    kind.add(&mut state, &value, place, EventId::default());
                }
                Some(kind.result(&state))
            }
        }
    }
}

/// The events of a step, or all.
fn of<'t, 'a>(
    taken: &'t [Seen<'a>],
    step: Option<usize>,
) -> impl DoubleEndedIterator<Item = &'t Seen<'a>> + use<'t, 'a> {
    taken.iter().filter(move |(_, _, s)| step.is_none_or(|step| step == *s))
}

impl Names<'_> {
    fn step(&self, name: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.eq_ignore_ascii_case(name))
    }
    /// The step before the dot, if there is one, and the field behind it.
    fn split<'p>(&self, path: &'p [ArcStr]) -> (Option<usize>, &'p [ArcStr]) {
        match path {
            [first, rest @ ..] => match self.step(first) {
                Some(step) => (Some(step), rest),
                None if !rest.is_empty() && self.called.iter().any(|name| name.eq_ignore_ascii_case(first)) => {
                    (None, rest)
                }
                None => (None, path),
            },
            [] => (None, path),
        }
    }
    /// A field of an input; the stamp as `event_time`, where a step stands before it.
    fn field(&self, schema: &Schema, step: Option<usize>, path: &[ArcStr]) -> Option<Node> {
        let fields = Fields { schema, inputs: &[] };
        let stamp = step.is_some() && matches!(path, [name] if name.eq_ignore_ascii_case("event_time"));
        match path.first().and_then(|name| schema.slot(name)) {
            Some(_) => fields.slot(path).ok(),
            None => stamp.then_some(Node::Stamp),
        }
    }
    fn fields(&self, step: Option<usize>, path: &[ArcStr]) -> Result<Vec<Option<Compiled>>, String> {
        let all: Vec<Option<Compiled>> = self
            .inputs
            .iter()
            .map(|schema| self.field(schema, step, path).map(Compiled::of))
            .collect();
        if all.iter().all(Option::is_none) {
            let name = path.first().map_or("", ArcStr::as_str);
            return Err(unknown(
                "field",
                name,
                self.inputs.iter().flat_map(|schema| schema.names()),
            ));
        }
        Ok(all)
    }
}

/// Names in a condition or in a field of a match.
struct InMatch<'a> {
    names: &'a Names<'a>,
    terms: Vec<Term>,
}

impl InMatch<'_> {
    fn term(&mut self, term: Term) -> Node {
        self.terms.push(term);
        Node::Slot(self.terms.len() - 1)
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Result<Term, String> {
        let names = self.names;
        let mut step = None;
        let parts = aggregate.argument.iter().chain(&aggregate.filter);
        parts.for_each(|part| step_in(part, names, &mut step));
        let compile = |expr: &Expr| {
            let one = |schema: &&Schema| node(expr, &mut Alone { names, schema }).map(Compiled::of);
            names.inputs.iter().map(one).collect::<Result<Vec<_>, _>>()
        };
        let kind = Kind {
            function: aggregate.function,
            distinct: aggregate.distinct,
            truncate: false,
        };
        let argument = aggregate.argument.as_ref().map(compile).transpose()?;
        Ok(Term::Aggregate(
            step,
            kind,
            argument,
            aggregate.filter.as_ref().map(compile).transpose()?,
        ))
    }
}

fn step_in(expr: &Expr, names: &Names<'_>, found: &mut Option<usize>) {
    if let Expr::Column(path) = expr {
        *found = found.or(names.split(path).0);
    }
    expr.children()
        .into_iter()
        .for_each(|child| step_in(child, names, found));
}

impl Resolve for InMatch<'_> {
    fn resolve(&mut self, expr: &Expr) -> Result<Option<Node>, String> {
        let term = match expr {
            Expr::Column(path) => {
                let (step, field) = self.names.split(path);
                Term::Field(Which::Back(step, 0), self.names.fields(step, field)?)
            }
            Expr::Call(function @ (Function::Nth | Function::Prev), args) => {
                let Some(Expr::Column(path)) = args.first() else {
                    return Err("`nth` and `prev` take a field of a step".into());
                };
                let n = match args.get(1) {
                    Some(Expr::Literal(Value::Int(n))) => usize::try_from(*n).map_err(|_| "a negative place")?,
                    _ => 1,
                };
                let (step, field) = self.names.split(path);
                let which = match (function, step) {
                    (Function::Nth, Some(step)) => Which::Nth(step, n),
                    (Function::Nth, None) => return Err("`nth` takes a field of a step".into()),
                    _ => Which::Back(step, n),
                };
                Term::Field(which, self.names.fields(step, field)?)
            }
            Expr::Aggregate(aggregate) => self.aggregate(aggregate)?,
            _ => return Ok(None),
        };
        Ok(Some(self.term(term)))
    }
}

/// Names where one event of one input is looked at: a step's own name may stand before a field.
struct Alone<'a> {
    names: &'a Names<'a>,
    schema: &'a Schema,
}

impl Resolve for Alone<'_> {
    fn resolve(&mut self, expr: &Expr) -> Result<Option<Node>, String> {
        Ok(match expr {
            Expr::Column(path) => {
                let (step, field) = self.names.split(path);
                let counted = step.is_some() && field.is_empty();
                let known = self.names.field(self.schema, step, field);
                Some(known.unwrap_or(Node::Const(if counted { Value::Bool(true) } else { Value::Null })))
            }
            Expr::Aggregate(_) | Expr::Call(Function::Nth | Function::Prev, _) => {
                return Err("an aggregate cannot stand inside another".into());
            }
            _ => None,
        })
    }
}
