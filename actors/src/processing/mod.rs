//! The processing patterns: transformation, filter and threshold, windowed aggregation, stream join, temporal event
//! ordering, machine learner.

pub mod expr;
pub mod filter;
pub mod join;
pub mod keyed;
mod learner;
pub mod select;
pub mod sequence;
mod slab;
pub mod transform;
pub mod window;

use wavetank_scenarios::script::{self, Body};
use wavetank_scenarios::{Row, Schema, Span};

use self::expr::{Compiled, Fields};
use self::filter::Filter;
use crate::operator::Operator;
use crate::scaling::course_correction::Compensation;
use crate::scaling::ordering;

/// A table to enrich from, read.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub schema: Schema,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// What an operator is built from besides its settings.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The schemas of its inputs, which must be alike unless they are joined.
    pub inputs: &'a [&'a Schema],
    /// The schema of its results: names the fields of records that a transformation takes apart.
    pub output: &'a Schema,
    /// Tables to enrich from.
    pub tables: &'a [Table],
    /// The unit of event time.
    pub tick: Span,
    /// Whether results name all their inputs.
    pub lineage: bool,
}

/// How much more than the horizon the watermark must be ahead before an event is late.
pub(crate) fn shift(late: script::LateWhen, tick: Span) -> Span {
    match late {
        script::LateWhen::AtEnd => Span::ZERO,
        script::LateWhen::TickBeforeEnd => -tick,
        script::LateWhen::AfterEnd => tick,
    }
}

/// Builds an operator, of the processing family or another one.
///
/// # Errors
/// What is wrong with its settings, named by the clause or step it stands in.
pub fn build(operator: &script::Operator, around: Surroundings<'_>) -> Result<Box<dyn Operator>, String> {
    let named = |problem: String| format!("operator `{}`: {problem}", operator.name);
    match operator.body().map_err(named)? {
        Body::Query(query) if !query.joins.is_empty() => return join::build(operator, query, around).map_err(named),
        Body::Gather(gather) => return join::gather(operator, gather, around).map_err(named),
        Body::Learn(learn) => return learner::build(operator, learn, &around).map_err(named),
        _ => {}
    }
    if let Ok(Body::Sequence(sequence)) = operator.body() {
        let built = sequence::build(operator, sequence, &around);
        return built.map_err(|problem| format!("operator `{}`: {problem}", operator.name));
    }
    let schema = one_schema(operator, around.inputs)?;
    let mut names: Vec<&str> = operator.input.iter().map(String::as_str).collect();
    if let Some(query) = &operator.query {
        names.push(&query.from);
        names.extend(query.alias.as_deref());
    }
    let fields = Fields { schema, inputs: &names };
    let built = operator.body().and_then(|body| match body {
        Body::Query(query) if query.aggregates() => window::build(operator, query, fields, around.tick, around.lineage),
        Body::Query(query) => boxed(select::Select::new(query, fields)),
        Body::Transform(steps) => boxed(transform::Transform::new(steps, fields, around.output, around.tables)),
        Body::Filter(predicate) => Compiled::new(&predicate.expr, fields)
            .map(|p| Box::new(Filter(filter::Predicate(p))) as Box<dyn Operator>)
            .map_err(|e| format!("in `filter`: {e}")),
        Body::Threshold(settings) => boxed(filter::threshold::Threshold::new(settings, fields).map(Filter)),
        Body::Change(settings) => boxed(filter::change::RateOfChange::new(settings, fields).map(Filter)),
        Body::Compensate(settings) => boxed(Compensation::new(settings, operator, schema, around.tick)),
        Body::Gather(_) | Body::Learn(_) => Err("its inputs are put together, not read as one".into()),
        Body::Sequence(sequence) => sequence::build(operator, sequence, &around),
        Body::First(settings) => boxed(filter::first::FirstOfBurst::new(settings, schema).map(Filter)),
        Body::Reorder(settings) => ordering::build(operator, settings, fields, around.tick),
    });
    built.map_err(named)
}

fn boxed(operator: Result<impl Operator + 'static, String>) -> Result<Box<dyn Operator>, String> {
    operator.map(|operator| Box::new(operator) as Box<dyn Operator>)
}

/// The one schema that all inputs have.
fn one_schema<'a>(operator: &script::Operator, inputs: &[&'a Schema]) -> Result<&'a Schema, String> {
    let [first, rest @ ..] = inputs else {
        return Err(format!("operator `{}` has no input", operator.name));
    };
    for (i, other) in rest.iter().enumerate() {
        if !first.names().eq(other.names()) {
            let list = |s: &Schema| s.names().collect::<Vec<_>>().join(", ");
            return Err(format!(
                "operator `{}` reads inputs of different schemas: the first has {}, number {} has {}; \
                 bring them to one form with a transformation each",
                operator.name,
                list(first),
                i + 2,
                list(other)
            ));
        }
    }
    Ok(first)
}

#[cfg(test)]
mod saving;
#[cfg(test)]
pub(crate) mod testing;
