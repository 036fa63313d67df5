//! Stream join: events of two or more streams paired by key and nearness in time.
//!
//! `chain` joins over a distance in time, over versions and over last events, one stage for each joined stream;
//! `windowed` joins what is in the same window; `gather` puts the parts of an answer together. What
//! names in a query mean is in `names`, which events are held and what becomes of them in `parts`. What exactly is
//! given, and when, is said in [`wavetank_scenarios::query::join`].

mod chain;
mod gather;
mod names;
mod parts;
mod results;
mod stage;
mod windowed;

use wavetank_scenarios::query::Query;
use wavetank_scenarios::script;

use self::names::Streams;
pub(super) use self::results::draft;
use super::{Operator, Surroundings};

/// Builds the operator of a scatter-gather.
///
/// # Errors
/// A field that is not there, or parts that are not as many as inputs.
pub(super) fn gather(
    operator: &script::Operator,
    settings: &script::Gather,
    around: Surroundings<'_>,
) -> Result<Box<dyn Operator>, String> {
    gather::Gather::new(operator, settings, around).map(|gather| Box::new(gather) as Box<dyn Operator>)
}

/// Builds the operator of a query with joins.
///
/// # Errors
/// A name that leads nowhere or to several fields, or an input that is not joined.
pub(super) fn build(
    operator: &script::Operator,
    query: &Query,
    around: Surroundings<'_>,
) -> Result<Box<dyn Operator>, String> {
    let streams = Streams::new(operator, query, around.inputs)?;
    if query.window.is_some() {
        let windowed = windowed::Windowed::new(operator, query, &streams, around);
        return windowed.map(|windowed| Box::new(windowed) as Box<dyn Operator>);
    }
    chain::Chain::new(operator, query, &streams, around).map(|chain| Box::new(chain) as Box<dyn Operator>)
}

#[cfg(test)]
mod tests;
