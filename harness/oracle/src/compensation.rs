//! Compensated decisions: of all events of a key that are remembered, the first by (stamp, source event) stands.
//!
//! The model in words: keep every event that was decided, with what was said of it. When one more comes, work out anew who
//! stands, and say again whatever is not as it was said: first what is taken back, then the event that came. A key is
//! forgotten, with all its events, once the watermark has passed the event that stands by the horizon.

use std::collections::BTreeMap;

use wavetank_scenarios::script::{Compensate, LateWhen, Operator, Stands};
use wavetank_scenarios::{Change, Event, Pane, Row, Schema, Span, Time, Timing, Value};

use crate::{Arrival, Due, DueResult, Reference, Why};

#[derive(Clone)]
pub(crate) struct Compensated {
    by: Vec<usize>,
    stands: Stands,
    patience: Span,
    watermark: Time,
    keys: BTreeMap<Row, Vec<Said>>,
}

/// An event that was decided, what was said of it, and how often.
#[derive(Clone)]
struct Said {
    event: Event,
    accepted: Option<bool>,
    times: u32,
}

impl Compensated {
    pub fn new(settings: &Compensate, operator: &Operator, schema: &Schema, tick: Span) -> Result<Self, String> {
        let slot = |name: &String| schema.slot(name).ok_or_else(|| format!("there is no field `{name}`"));
        let earlier_or_later = match operator.late_when {
            LateWhen::AtEnd => Span::ZERO,
            LateWhen::TickBeforeEnd => -tick,
            LateWhen::AfterEnd => tick,
        };
        Ok(Self {
            by: settings.by.iter().map(slot).collect::<Result<_, _>>()?,
            stands: settings.stands,
            patience: operator.horizon + earlier_or_later,
            watermark: Time::MIN,
            keys: BTreeMap::new(),
        })
    }

    fn take(&mut self, event: &Event) -> Result<Vec<DueResult>, Why> {
        if self.watermark > Time::MIN && event.stamp + self.patience <= self.watermark {
            return Err(Why::Late);
        }
        let key: Row = self.by.iter().map(|slot| event.row[*slot].clone()).collect();
        let all = self.keys.entry(key.clone()).or_default();
        if all.iter().any(|said| said.event.correlation == event.correlation) {
            return Err(Why::Filtered);
        }
        all.push(Said {
            event: event.clone(),
            accepted: None,
            times: 0,
        });
        let mut order = all.iter().map(|said| (said.event.stamp, said.event.correlation));
        let first = match self.stands {
            Stands::FirstByEventTime => order.min(),
            Stands::FirstToArrive => order.next(),
        };
        let mut due = Vec::new();
        for said in all {
            let accepted = first == Some((said.event.stamp, said.event.correlation));
            if said.accepted != Some(accepted) {
                due.push(result(&key, said, accepted));
                said.accepted = Some(accepted);
                said.times += 1;
            }
        }
        Ok(due)
    }
}

fn result(key: &Row, said: &Said, accepted: bool) -> DueResult {
    let event = &said.event;
    let mut row = event.row.to_vec();
    row.push(Value::from(if accepted { "accepted" } else { "cancelled" }));
    let mut identity = key.to_vec();
    identity.push(Value::Int(event.correlation.producer.0.into()));
    identity.push(Value::Int(event.correlation.number as i64));
    DueResult {
        stamp: event.stamp,
        row: row.into(),
        bounds: vec![],
        pane: Some(Pane {
            start: Time::MIN,
            end: Time::MAX,
            key: identity.into(),
            revision: said.times,
            timing: Timing::Early,
            change: if said.times == 0 {
                Change::Insert
            } else {
                Change::UpdateAfter
            },
        }),
        correlation: event.correlation,
        origins: event.origins().to_vec(),
    }
}

impl Reference for Compensated {
    fn arrive(&mut self, arrival: &Arrival) -> Due {
        let mut due = Due::default();
        match arrival {
            Arrival::Event { event, .. } => match self.take(event) {
                Ok(results) => due.results = results,
                Err(why) => due.dropped.push((event.id, why)),
            },
            Arrival::Watermark(w) => {
                self.watermark = *w;
                let patience = self.patience;
                self.keys.retain(|_, all| {
                    let stands = all.iter().find(|said| said.accepted == Some(true));
                    stands.is_some_and(|said| said.event.stamp + patience > *w)
                });
            }
            Arrival::Timer { .. } => {}
            Arrival::Crash => {
                self.keys.clear();
                self.watermark = Time::MIN;
            }
        }
        due
    }
}
