//! Buffered event ordering.
//!
//! The model in words, for order by time: everything that came and has not gone stands in a plain list. When an event
//! comes, `M` is looked up among the stamps of all that ever came, the event's delay is `M` less its stamp, and `K` is
//! found from the list of all delays there ever were. An event stamped before something that has gone out is late.
//! Otherwise it joins the list, and everything in it that is stamped `M − K` or before goes, sorted by (stamp, source,
//! number). An event that has waited for its time goes with all that stands before it in that order.
//!
//! Order by number is in [`number`], the share of events that a quality asks for in [`quality`], Siddhi's two in
//! [`siddhi`].

mod number;
mod quality;
mod siddhi;

use std::collections::BTreeSet;

use wavetank_scenarios::query::Expr;
use wavetank_scenarios::script::{self, Late, Operator, Release, Reorder, Until};
use wavetank_scenarios::{Event, EventId, Producer, Schema, Span, Time};

use crate::expr::{OfEvent, eval};
use crate::{Arrival, Due, DueResult, Reference, Why};

/// The naive model of a reordering buffer.
pub(crate) fn reorder(
    operator: &Operator,
    settings: &Reorder,
    schema: &Schema,
    tick: Span,
) -> Result<Box<dyn Reference>, String> {
    let rule = match settings.release()? {
        Release::Slack(k) => Rule::Fixed(k),
        Release::KSlack(k) => Rule::Largest(usize::try_from(k.samples).ok(), k.max_k),
        Release::MpKSlack(k) => Rule::Largest(None, k.max_k),
        Release::AqKSlack(k) => Rule::Quality(quality::Quality::new(k)),
        Release::Until(Until::Watermark) => Rule::Watermark(Time::MIN),
        Release::SiddhiKSlack(k) => return Ok(siddhi::k_slack(operator, k, schema, tick)),
        Release::SiddhiAkSlack(k) => return Ok(siddhi::ak_slack(operator, k, schema, tick)),
        Release::Number(numbers) => return number::by_number(operator, numbers, schema, tick),
    };
    Ok(Box::new(ByTime {
        rule,
        scope: settings.scope(),
        late: operator.late,
        flush: operator.flush_at_end,
        schema: schema.clone(),
        tick,
        came: vec![],
        held: vec![],
        gone: None,
        k: Span::ZERO,
    }))
}

/// The result that an event becomes when it goes as it is.
fn as_it_is(event: &Event) -> DueResult {
    DueResult {
        stamp: event.stamp,
        row: event.row.clone(),
        bounds: vec![],
        pane: event.pane.as_deref().cloned(),
        correlation: event.correlation,
        origins: event.origins().to_vec(),
    }
}

/// What an expression says of an event, as a number; `None` where it says none.
fn number_of(expr: &Expr, schema: &Schema, event: &Event) -> Option<f64> {
    let scope = OfEvent {
        schema,
        row: &event.row,
        stamp: event.stamp,
        called: &[],
        window: None,
    };
    eval(expr, &scope).ok()?.as_f64()
}

#[derive(Clone)]
enum Rule {
    Fixed(Span),
    /// The largest of the last so many delays, or of all; and never more than that.
    Largest(Option<usize>, Option<Span>),
    Quality(quality::Quality),
    /// No slack: the watermark is here.
    Watermark(Time),
}

/// Something that came.
#[derive(Clone)]
pub(crate) struct Came {
    pub producer: Producer,
    pub stamp: Time,
    pub delay: Span,
    pub late: bool,
    pub value: Option<f64>,
}

#[derive(Clone)]
struct ByTime {
    rule: Rule,
    scope: script::SlackScope,
    late: Late,
    flush: bool,
    schema: Schema,
    tick: Span,
    came: Vec<Came>,
    /// Each with how many came before it.
    held: Vec<(Event, usize)>,
    /// The largest stamp that went.
    gone: Option<Time>,
    k: Span,
}

impl ByTime {
    /// The largest stamp so far of the events that these are.
    fn largest(&self, of: impl Fn(Producer) -> bool) -> Option<Time> {
        self.came.iter().filter(|c| of(c.producer)).map(|c| c.stamp).max()
    }

    fn k(&self) -> Span {
        match &self.rule {
            Rule::Fixed(k) => *k,
            Rule::Largest(samples, most) => {
                let skipped = samples.map_or(0, |samples| self.came.len().saturating_sub(samples));
                let largest = self.came[skipped..].iter().map(|c| c.delay).max().unwrap_or_default();
                most.map_or(largest, |most| largest.min(most))
            }
            Rule::Quality(quality) => quality.k(&self.came).unwrap_or(self.k),
            Rule::Watermark(_) => Span::ZERO,
        }
    }

    /// Lets those go for which that is true, in order.
    fn go(&mut self, leaves: impl Fn(&(Event, usize)) -> bool) -> Vec<DueResult> {
        let (mut going, staying): (Vec<_>, Vec<_>) = self.held.drain(..).partition(leaves);
        self.held = staying;
        going.sort_by_key(order);
        self.gone = going.iter().map(|(event, _)| event.stamp).chain(self.gone).max();
        going.iter().map(|(event, _)| as_it_is(event)).collect()
    }

    fn take(&mut self, event: &Event, due: &mut Due) {
        let late = self.gone.is_some_and(|gone| event.stamp < gone);
        let value = match &self.rule {
            Rule::Quality(quality) => quality.value(&self.schema, event),
            _ => None,
        };
        self.came.push(Came {
            producer: event.id.producer,
            stamp: event.stamp,
            delay: Span::ZERO,
            late,
            value,
        });
        let own = |producer| producer == event.id.producer;
        let (mine, all) = match self.scope {
            script::SlackScope::Input => (self.largest(|_| true), self.largest(|_| true)),
            script::SlackScope::Source => {
                let producers: BTreeSet<Producer> = self.came.iter().map(|c| c.producer).collect();
                let slowest = producers
                    .into_iter()
                    .filter_map(|each| self.largest(|p| p == each))
                    .min();
                (self.largest(own), slowest)
            }
        };
        let (mine, all) = (mine.unwrap_or(event.stamp), all.unwrap_or(event.stamp));
        if let Some(last) = self.came.last_mut() {
            last.delay = mine.since(event.stamp);
        }
        match self.late {
            _ if !late => self.held.push((event.clone(), self.came.len() - 1)),
            Late::Emit => due.results.push(as_it_is(event)),
            _ => due.dropped.push((event.id, Why::Late)),
        }
        let bound = match &self.rule {
            Rule::Watermark(watermark) => *watermark,
            _ => {
                self.k = self.k();
                all - self.k
            }
        };
        due.results.extend(self.go(|(event, _)| event.stamp <= bound));
    }
}

/// The stated order.
const fn order((event, turn): &(Event, usize)) -> (Time, EventId, usize) {
    (event.stamp, event.id, *turn)
}

impl Reference for ByTime {
    fn arrive(&mut self, arrival: &Arrival) -> Due {
        let mut due = Due::default();
        match arrival {
            Arrival::Event { event, .. } => self.take(event, &mut due),
            // The token is how many events came before the one that has waited for long enough.
            Arrival::Timer { token, .. } => {
                let waited = self.held.iter().filter(|(_, turn)| *turn as u64 <= *token);
                if let Some(last) = waited.map(order).max() {
                    due.results = self.go(|held| order(held) <= last);
                }
            }
            Arrival::Watermark(Time::MAX) if self.flush => {
                if let Rule::Watermark(reached) = &mut self.rule {
                    *reached = Time::MAX;
                }
                due.results = self.go(|_| true);
            }
            Arrival::Watermark(Time::MAX) => {}
            Arrival::Watermark(watermark) => {
                if let Rule::Watermark(reached) = &mut self.rule {
                    *reached = *watermark;
                    due.results = self.go(|(event, _)| event.stamp <= *watermark);
                }
            }
            Arrival::Crash => {
                self.came.clear();
                self.held.clear();
                self.gone = None;
                if let Rule::Watermark(reached) = &mut self.rule {
                    *reached = Time::MIN;
                }
            }
        }
        due.held = self.held.len() as u64;
        due.limit = self.held.iter().map(|(event, _)| event.stamp - self.tick).min();
        due
    }
}
