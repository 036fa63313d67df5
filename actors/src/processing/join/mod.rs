//! Stream join: events of two or more streams paired by key and nearness in time.
//!
//! [`chain`] joins over a distance in time, over versions and over last events, one stage for each joined stream; what
//! names in a query mean is in [`names`], which events are held and what becomes of them in [`parts`]. What exactly is
//! given, and when, is said in [`wavetank_scenarios::query::join`].

mod chain;
mod names;
mod parts;
mod results;
mod stage;

use wavetank_scenarios::query::Query;
use wavetank_scenarios::script;

use self::names::Streams;
use super::{Operator, Surroundings};

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
    chain::Chain::new(operator, query, &streams, around).map(|chain| Box::new(chain) as Box<dyn Operator>)
}
