//! Which naive model belongs to which operator.

use std::collections::BTreeMap;

use wavetank_scenarios::script::{self, Body};
use wavetank_scenarios::{Row, Schema, Script, Span};

use crate::by_key::ByKey;
use crate::compensation::Compensated;
use crate::counted::Counted;
use crate::gather::Gather;
use crate::join::Joined;
use crate::joined_windows::JoinedWindows;
use crate::learner::Learning;
use crate::sequence::Sequences;
use crate::windowed::Windowed;
use crate::{Reference, ordering, single, transform};

/// The tables that operators look up in, by name: their columns and rows.
pub type Tables = BTreeMap<String, (Schema, Vec<Row>)>;

/// The tables of a scenario.
pub fn tables(script: &Script) -> Tables {
    let named = script.scenario.tables.iter().zip(script.tables.iter());
    named
        .map(|(settings, table)| (settings.name.clone(), (table.schema.clone(), table.rows.clone())))
        .collect()
}

/// The naive model of an operator, for inputs with these schemas (one for each of its inputs; alike unless it joins them) and, where it
/// is known, the schema of what it puts out.
///
/// # Errors
/// The operator's settings do not fit its input, or ask for something that nobody can judge.
pub fn reference(
    operator: &script::Operator,
    inputs: &[&Schema],
    output: Option<&Schema>,
    tables: &Tables,
    tick: Span,
) -> Result<Box<dyn Reference>, String> {
    let name = &operator.name;
    let Some(schema) = inputs.first() else {
        return Err(format!("operator `{name}` has no input"));
    };
    let built = operator.body().and_then(|body| match body {
        Body::Query(query) if !query.joins.is_empty() && query.window.is_some() => {
            JoinedWindows::new(operator, query, inputs, tick).map(|joined| Box::new(joined) as Box<dyn Reference>)
        }
        Body::Query(query) if !query.joins.is_empty() => {
            Joined::new(operator, query, inputs, tick).map(|joined| Box::new(joined) as Box<dyn Reference>)
        }
        Body::Query(query) if !query.aggregates() => Ok(single::select(query, schema)),
        Body::Query(query) => match Counted::new(operator, query, schema, tick)? {
            Some(counted) => Ok(Box::new(counted) as Box<dyn Reference>),
            None if let Some(behind) = operator.key_clocks() => {
                ByKey::new(operator, query, schema, tick, behind).map(|keys| Box::new(keys) as Box<dyn Reference>)
            }
            None => Windowed::new(operator, query, schema, tick).map(|w| Box::new(w) as Box<dyn Reference>),
        },
        Body::Gather(gather) => Ok(Box::new(Gather::new(operator, gather, inputs, tick)) as Box<dyn Reference>),
        Body::Filter(filter) => Ok(single::filter(&filter.expr, schema)),
        Body::Threshold(threshold) => single::threshold(threshold, schema),
        Body::Compensate(settings) => {
            Compensated::new(settings, operator, schema, tick).map(|c| Box::new(c) as Box<dyn Reference>)
        }
        Body::Change(change) => single::change(change, schema),
        Body::Sequence(settings) => {
            Sequences::new(operator, settings, inputs, tick).map(|s| Box::new(s) as Box<dyn Reference>)
        }
        Body::First(first) => single::first(first, schema),
        Body::Reorder(settings) => ordering::reorder(operator, settings, schema, tick),
        Body::Learn(learn) => Learning::new(operator, learn, inputs, tick).map(|l| Box::new(l) as Box<dyn Reference>),
        Body::Transform(steps) => transform::transform(steps, schema, output, tables),
    });
    built.map_err(|why| format!("operator `{name}`: {why}"))
}
