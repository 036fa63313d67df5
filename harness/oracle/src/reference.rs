//! Which naive model belongs to which operator.

use std::collections::BTreeMap;

use wavetank_scenarios::{Row, Schema, Script, Span, script};

use crate::counted::Counted;
use crate::windowed::Windowed;
use crate::{Reference, single, transform};

/// The tables that operators look up in, by name: their columns and rows.
pub type Tables = BTreeMap<String, (Schema, Vec<Row>)>;

/// The tables of a scenario.
pub fn tables(script: &Script) -> Tables {
    let named = script.scenario.tables.iter().zip(script.tables.iter());
    named
        .map(|(settings, table)| (settings.name.clone(), (table.schema.clone(), table.rows.clone())))
        .collect()
}

/// The naive model of an operator, for inputs with these schemas (one for each of its inputs; they are alike) and, where it
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
    let built = if let Some(query) = &operator.query {
        if !query.aggregates() {
            Ok(single::select(query, schema))
        } else if let Some(counted) = Counted::new(operator, query, schema, tick)? {
            Ok(Box::new(counted) as Box<dyn Reference>)
        } else {
            Windowed::new(operator, query, schema, tick).map(|w| Box::new(w) as Box<dyn Reference>)
        }
    } else if let Some(filter) = &operator.filter {
        Ok(single::filter(&filter.expr, schema))
    } else if let Some(threshold) = &operator.threshold {
        single::threshold(threshold, schema)
    } else if let Some(change) = &operator.change {
        single::change(change, schema)
    } else if let Some(first) = &operator.first {
        single::first(first, schema)
    } else if let Some(steps) = &operator.transform {
        transform::transform(steps, schema, output, tables)
    } else {
        Err("it says neither `query` nor `transform`, `filter`, `threshold`, `change` or `first`".into())
    };
    built.map_err(|why| format!("operator `{name}`: {why}"))
}
