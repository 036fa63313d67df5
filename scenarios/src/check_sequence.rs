//! What is wrong with a sequence as it is written, and the fields of its matches.

use arcstr::ArcStr;

use crate::check::Checker;
use crate::query::{AggregateFunction, Expr, Function};
use crate::schema::FieldType;
use crate::script::{AfterMatch, Late, Operator, Sequence};
use crate::sequence::{Part, Tree};
use crate::shapes::{Misfit, Scope, Shape, Shapes};
use crate::suggest;
use crate::value::Value;

/// How large a pattern may be, in places of its automaton.
const MOST_PLACES: u64 = 120;
/// How many steps `all(…)` may ask for.
const MOST_OF_ALL: usize = 6;

/// Where a setting of a sequence stands in the file.
pub(crate) fn path_of(operator: &Operator, index: usize, key: &str) -> String {
    match operator.sequence {
        Some(_) => format!("operator[{index}].sequence.{key}"),
        None => format!("operator[{index}].query"),
    }
}

impl Checker<'_> {
    /// What can be told of a sequence before data is read.
    pub fn sequence(&mut self, index: usize, operator: &Operator, sequence: &Sequence) {
        let at = |key: &str| path_of(operator, index, key);
        let tree = &sequence.pattern.tree;
        let steps = tree.steps();
        let taken = tree.taken();
        self.shape_of_pattern(&at("pattern"), sequence);
        self.positive(&at("within"), sequence.within);
        let ends = tree.ends_by_itself(sequence.inside_loops);
        if sequence.within.is_none() && !sequence.unbounded && !ends {
            self.say(
                &at("pattern"),
                "beginnings of this pattern may be kept for ever: nothing says when it is too late for the rest",
                "add within = \"…\"; unbounded = true says that it is meant so".to_owned(),
            );
        }
        let known: Vec<&str> = steps.iter().map(ArcStr::as_str).collect();
        for name in sequence.conditions.keys() {
            if !known.contains(&name.as_str()) {
                self.unknown(&at(&format!("where.{name}")), "step", name, &known);
            }
        }
        for (name, input) in &sequence.from {
            let place = at(&format!("from.{name}"));
            if !known.contains(&name.as_str()) {
                self.unknown(&place, "step", name, &known);
            }
            if !operator.input.contains(input) {
                let inputs: Vec<&str> = operator.input.iter().map(String::as_str).collect();
                self.unknown(&place, "input", input, &inputs);
            }
        }
        if let AfterMatch::ToFirst(step) | AfterMatch::ToLast(step) = &sequence.after
            && !taken.iter().any(|name| name.eq_ignore_ascii_case(step))
        {
            let known: Vec<&str> = taken.iter().map(ArcStr::as_str).collect();
            self.unknown(&at("after"), "step that takes events", step, &known);
        }
        if sequence.timeouts && sequence.within.is_none() {
            let help = "add within = \"…\"".to_owned();
            self.say(&at("timeouts"), "without `within` no beginning ever times out", help);
        }
        if operator.late == Late::Correct {
            let help = "drop late events, or set them aside".to_owned();
            self.say(
                &format!("operator[{index}].late"),
                "a sequence does not correct its matches",
                help,
            );
        }
    }

    /// What is wrong with the pattern by itself.
    fn shape_of_pattern(&mut self, at: &str, sequence: &Sequence) {
        let tree = &sequence.pattern.tree;
        if tree.can_be_empty() {
            let help = "one step at least must be there: b+ instead of b*".to_owned();
            self.say(at, "this pattern matches where nothing happens", help);
        }
        if tree.places() > MOST_PLACES {
            let message = format!("this pattern has {} places, more than {MOST_PLACES}", tree.places());
            self.say(at, message, "repeat fewer times, or count in a window".to_owned());
        }
        if tree.ends_greedily(sequence.loops) {
            self.say(
                at,
                "nothing says when the greedy loop at the end of this pattern ends",
                "write what follows it; or make it `reluctant` (the fewest) or `every` (a match for each number)"
                    .to_owned(),
            );
        }
        if tree.leading().iter().any(|absence| absence.lasts.is_none()) {
            let help = "say for how long: not b for 10s -> c".to_owned();
            self.say(at, "an absence at the beginning has no beginning of its own", help);
        }
        if sequence.within.is_none() && tree.trailing().iter().any(|absence| absence.lasts.is_none()) {
            let help = "say for how long: not b for 10s; or add `within`".to_owned();
            self.say(at, "an absence at the end is never over", help);
        }
        self.parts_of_pattern(at, tree);
    }

    fn parts_of_pattern(&mut self, at: &str, tree: &Tree) {
        match tree {
            Tree::Step(_) | Tree::OneOf(_) => {}
            Tree::AllOf(names, _) => {
                if names.len() > MOST_OF_ALL {
                    let message = format!("`all(…)` asks for {} steps, more than {MOST_OF_ALL}", names.len());
                    self.say(at, message, "ask for some of them after the others".to_owned());
                }
            }
            Tree::Parts(parts) => {
                for part in parts {
                    if let Part::Take(_, tree) = part {
                        self.parts_of_pattern(at, tree);
                    }
                }
            }
            Tree::Either(branches) => branches.iter().for_each(|branch| self.parts_of_pattern(at, branch)),
            Tree::Repeat(repeat) => {
                if repeat.body.can_be_empty() {
                    let help = "write (b)* instead of (b?)+".to_owned();
                    self.say(
                        at,
                        "what repeats here can be empty, so how often it does has no meaning",
                        help,
                    );
                }
                if repeat.until.is_some() && !matches!(repeat.body, Tree::Step(_) | Tree::OneOf(_)) {
                    let help = "repeat a single step, or end the loop by what follows it".to_owned();
                    self.say(at, "`until` ends the repetition of a single step", help);
                }
                self.parts_of_pattern(at, &repeat.body);
            }
        }
    }
}

/// The names of an input: its entry in the `input` list, its stream; and its fields.
pub(crate) struct Input<'a> {
    pub names: Vec<String>,
    pub entry: &'a str,
    pub shapes: Shapes,
}

/// A setting of a sequence that does not fit the fields of its inputs.
pub(crate) struct Wrong {
    /// Which.
    pub key: String,
    pub misfit: Misfit,
}

fn misfit(message: String, help: Option<String>) -> Misfit {
    Misfit { message, help }
}

/// The fields of an operator's matches.
pub(crate) fn fields(sequence: &Sequence, inputs: &[Input<'_>]) -> Result<Shapes, Wrong> {
    let wrong = |key: &str| {
        let key = key.to_owned();
        move |misfit: Misfit| Wrong { key, misfit }
    };
    let all: Vec<&Input<'_>> = inputs.iter().collect();
    let every = union(&all);
    let steps = sequence.pattern.tree.steps();
    for step in &steps {
        if every.iter().any(|(name, _)| name.eq_ignore_ascii_case(step)) {
            let message = format!("`{step}` is a step and a field");
            return Err(wrong("pattern")(misfit(
                message,
                Some("give the step another name".into()),
            )));
        }
    }
    for name in &sequence.by {
        for input in inputs {
            if crate::shapes::schema(&input.shapes).slot(name).is_none() {
                let help = suggest::help(name, input.shapes.iter().map(|(n, _)| n.as_str()));
                return Err(wrong("by")(misfit(
                    format!("`{}` has no field `{name}`", input.entry),
                    help,
                )));
            }
        }
    }
    let of_step = |step: &str| match sequence.from.get(step) {
        Some(entry) => union(&inputs.iter().filter(|input| input.entry == entry).collect::<Vec<_>>()),
        None => every.clone(),
    };
    let records: Shapes = steps
        .iter()
        .map(|step| {
            let mut fields = of_step(step);
            if fields.iter().all(|(name, _)| name != "event_time") {
                fields.push(("event_time".into(), Shape::of_type(FieldType::Time)));
            }
            (step.clone(), Shape::Record(fields))
        })
        .collect();
    let mut names: Vec<&str> = inputs.iter().flat_map(|i| i.names.iter().map(String::as_str)).collect();
    names.retain(|name| !steps.iter().any(|step| step.eq_ignore_ascii_case(name)));
    let shape = |own: &Shapes, expr: &Expr| -> Result<Shape, Misfit> {
        let known = Shapes::from_iter(own.iter().chain(&records).cloned());
        let scope = Scope {
            shapes: &known,
            input: names.clone(),
        };
        scope.shape(&plain(expr, &steps, false)?)
    };
    for (step, condition) in &sequence.conditions {
        shape(&of_step(step), &condition.expr).map_err(wrong(&format!("where.{step}")))?;
    }
    let mut out = Shapes::new();
    if sequence.select.is_empty() {
        for name in &sequence.by {
            let slot = crate::shapes::schema(&every).slot(name).unwrap_or_default();
            out.push((name.as_str().into(), every[slot].1.clone()));
        }
        for name in ["started", "ended"] {
            out.push((name.into(), Shape::of_type(FieldType::Time)));
        }
    }
    for (name, expr) in &sequence.select {
        let shape = shape(&every, &expr.expr).map_err(wrong(&format!("select.{name}")))?;
        out.push((name.as_str().into(), shape));
    }
    if sequence.timeouts {
        out.push(("timed_out".into(), Shape::of_type(FieldType::Bool)));
    }
    for (i, (name, _)) in out.iter().enumerate() {
        if out[..i].iter().any(|(other, _)| other == name) {
            let message = format!("two fields of a match are called `{name}`");
            return Err(wrong("select")(misfit(message, Some("give one another name".into()))));
        }
    }
    Ok(out)
}

/// The fields of several inputs, by name.
fn union(inputs: &[&Input<'_>]) -> Shapes {
    let mut all = Shapes::new();
    for (name, shape) in inputs.iter().flat_map(|input| &input.shapes) {
        match all.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = known.clone().merge(shape.clone()),
            None => all.push((name.clone(), shape.clone())),
        }
    }
    all
}

/// The expression with `nth(x, n)` and `prev(x, n)` put as `x`, which has the same type.
fn plain(expr: &Expr, steps: &[ArcStr], in_aggregate: bool) -> Result<Expr, Misfit> {
    let is_step = |name: &ArcStr| steps.iter().any(|step| step.eq_ignore_ascii_case(name));
    let down = |x: &Expr| plain(x, steps, in_aggregate);
    let boxed = |x: &Expr| down(x).map(Box::new);
    let list = |all: &[Expr]| all.iter().map(down).collect::<Result<Vec<_>, _>>();
    Ok(match expr {
        Expr::Literal(_) | Expr::Span(_) => expr.clone(),
        Expr::Column(path) => match path.as_slice() {
            [name] if is_step(name) && !in_aggregate => {
                let message = format!("`{name}` is a step, not a value");
                return Err(misfit(
                    message,
                    Some(format!("name a field: {name}.event_time, or count({name})")),
                ));
            }
            _ => expr.clone(),
        },
        Expr::Unary(op, x) => Expr::Unary(*op, boxed(x)?),
        Expr::Binary(op, x, y) => Expr::Binary(*op, boxed(x)?, boxed(y)?),
        Expr::IsNull(x, negated) => Expr::IsNull(boxed(x)?, *negated),
        Expr::Between(x, low, high, negated) => Expr::Between(boxed(x)?, boxed(low)?, boxed(high)?, *negated),
        Expr::InList(x, items, negated) => Expr::InList(boxed(x)?, list(items)?, *negated),
        Expr::Like(x, pattern, negated) => Expr::Like(boxed(x)?, boxed(pattern)?, *negated),
        Expr::Case(arms, otherwise) => Expr::Case(
            arms.iter()
                .map(|(c, v)| Ok((down(c)?, down(v)?)))
                .collect::<Result<_, Misfit>>()?,
            otherwise.as_deref().map(boxed).transpose()?,
        ),
        Expr::Cast(x, kind) => Expr::Cast(boxed(x)?, *kind),
        Expr::Call(function @ (Function::Nth | Function::Prev), args) => {
            let name = if *function == Function::Nth { "nth" } else { "prev" };
            let wrong = |message: String| Err(misfit(message, Some(format!("write {name}(b.price, 1)"))));
            if in_aggregate {
                return wrong(format!("`{name}` cannot stand inside an aggregate"));
            }
            let Some(Expr::Column(path)) = args.first() else {
                return wrong(format!("`{name}` takes a field of a step"));
            };
            if *function == Function::Nth && !(path.len() > 1 && is_step(&path[0])) {
                return wrong("`nth` takes a field of a step".into());
            }
            match args.get(1) {
                None => {}
                Some(Expr::Literal(Value::Int(n))) if (0..=1_000_000).contains(n) => {}
                Some(other) => return wrong(format!("`{name}` counts by a whole number, not `{other}`")),
            }
            Expr::Column(path.clone())
        }
        Expr::Call(function, args) => Expr::Call(*function, list(args)?),
        Expr::Aggregate(aggregate) => {
            if matches!(
                aggregate.function,
                AggregateFunction::ApproxQuantile(_)
                    | AggregateFunction::ApproxCountDistinct
                    | AggregateFunction::HeavyHitters(_)
            ) {
                let message = format!("`{expr}` is a sketch; a match is short");
                return Err(misfit(message, Some("take an exact aggregate".into())));
            }
            let mut inner = (**aggregate).clone();
            let parts = inner.argument.iter().chain(&inner.filter);
            let mut named: Vec<String> = Vec::new();
            for part in parts {
                steps_in(part, &is_step, &mut named);
            }
            if named.len() > 1 {
                let message = format!("`{expr}` looks at several steps at once: {}", named.join(", "));
                return Err(misfit(
                    message,
                    Some("aggregate over one step, or over all without a name".into()),
                ));
            }
            let inside = |x: &Expr| plain(x, steps, true);
            inner.argument = inner.argument.as_ref().map(inside).transpose()?;
            inner.filter = inner.filter.as_ref().map(inside).transpose()?;
            Expr::Aggregate(Box::new(inner))
        }
    })
}

fn steps_in(expr: &Expr, is_step: &dyn Fn(&ArcStr) -> bool, found: &mut Vec<String>) {
    if let Expr::Column(path) = expr
        && let Some(first) = path.first().filter(|name| is_step(name))
    {
        let name = first.to_lowercase();
        if !found.contains(&name) {
            found.push(name);
        }
    }
    expr.children()
        .into_iter()
        .for_each(|child| steps_in(child, is_step, found));
}
