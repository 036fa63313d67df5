//! Buffered event ordering: events are held back for a while and put out in order.
//!
//! By time ([`by_time`]) an event waits until the largest stamp is a slack `K` ahead of it; [`slack`] and [`quality`] say
//! how large `K` is. By number ([`by_number`]) it waits for the number before it. [`siddhi`] has the two buffers of Siddhi,
//! which differ in when they learn and let go.

pub mod by_number;
pub mod by_time;
pub mod quality;
pub mod siddhi;
pub mod slack;

use wavetank_scenarios::query::Predicate;
use wavetank_scenarios::script::{self, Late, Release, Reorder};
use wavetank_scenarios::{Event, Span};

use self::by_number::ByNumber;
use self::by_time::{ByTime, Rule};
use self::quality::Quality;
use self::siddhi::{AkSlack, Siddhi};
use self::slack::{Fixed, Latest};
use crate::operator::{Draft, Operator, Output};
use crate::processing::expr::{Compiled, Fields};

/// Builds a reordering buffer.
///
/// # Errors
/// A name that is not there, or nothing that says when events are let go.
pub fn build(
    operator: &script::Operator,
    settings: &Reorder,
    fields: Fields<'_>,
    tick: Span,
) -> Result<Box<dyn Operator>, String> {
    let by_time = |rule| -> Box<dyn Operator> { Box::new(ByTime::new(rule, operator.late, settings, tick)) };
    Ok(match settings.release()? {
        Release::Slack(slack) => by_time(Rule::Slack(Box::new(Fixed(slack)))),
        Release::KSlack(k) => by_time(Rule::Slack(Box::new(Latest::new(Some(k.samples), k.max_k)))),
        Release::MpKSlack(k) => by_time(Rule::Slack(Box::new(Latest::new(None, k.max_k)))),
        Release::AqKSlack(k) => by_time(Rule::Slack(Box::new(Quality::new(k, fields)?))),
        Release::Until(script::Until::Watermark) => by_time(Rule::watermark()),
        Release::SiddhiKSlack(k) => Box::new(Siddhi::k_slack(k, operator.late, settings.timeout, tick)),
        Release::SiddhiAkSlack(k) => {
            let controller = AkSlack::new(k, fields)?;
            Box::new(Siddhi::ak_slack(k, controller, operator.late, settings.timeout, tick))
        }
        Release::Number(number) => Box::new(ByNumber::new(number, operator.late, settings.timeout, fields, tick)?),
    })
}

/// An expression of a buffer's settings.
fn compiled(expr: &Predicate, key: &str, fields: Fields<'_>) -> Result<Compiled, String> {
    Compiled::new(&expr.expr, fields).map_err(|e| format!("in `{key}`: {e}"))
}

/// An event goes out as it is.
fn pass(event: &Event, out: &mut Output) {
    out.emit(Draft::of(event, event.row.clone()));
    out.caused(1);
}

/// A late event is counted and goes where the setting says.
fn overdue(event: Event, late: Late, out: &mut Output) {
    if late == Late::Emit {
        out.measure(wavetank_scenarios::metric::Metric::Late, 1);
        pass(&event, out);
    } else {
        out.late(event, late == Late::Side);
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
