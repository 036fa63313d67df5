//! The course correction pattern: answer at once, repair later.
//!
//! Windows that answer early and correct themselves are in `processing/window/answers.rs`. Here are decisions that have left
//! the system and can only be compensated: of several events with one key the first by event time may stand. Whichever
//! comes first is accepted at once; when one comes that was before it, the acceptance is taken back by a compensation
//! event, which repeats it as cancelled. What was decided of a key is remembered until the watermark has passed the event
//! that stands by `horizon`; an event that the watermark has passed by as much is late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wavetank_scenarios::script::{self, Compensate, Late, Stands};
use wavetank_scenarios::{Change, Event, EventId, Pane, Row, Schema, Span, Time, Timing, Value};

use crate::operator::{Draft, Dropped, Operator, Output};
use crate::processing::expr::unknown;
use crate::processing::shift;
use crate::reliability::{State, StateError};

/// The latest watermark.
const WATERMARK: &str = "watermark";
/// By key: what was decided.
const DECIDED: &str = "decided";

/// The operator.
#[derive(Debug)]
pub struct Compensation {
    by: Vec<usize>,
    stands: Stands,
    /// From an event's stamp to the watermark that is too late for it.
    patience: Span,
    side: bool,
    watermark: Time,
    decided: BTreeMap<Row, Decision>,
    /// When decisions are forgotten.
    forget: BTreeSet<(Time, Row)>,
}

/// What was decided of a key.
#[derive(Debug, Serialize, Deserialize)]
struct Decision {
    /// The event that stands, and the revision of its answer.
    stands: (Event, u32),
    /// The source events behind all that were decided.
    known: BTreeSet<EventId>,
}

fn order(event: &Event) -> (Time, EventId) {
    (event.stamp, event.correlation)
}

impl Compensation {
    /// Over events of that schema.
    ///
    /// # Errors
    /// A field that is not there.
    pub fn new(
        settings: &Compensate,
        operator: &script::Operator,
        schema: &Schema,
        tick: Span,
    ) -> Result<Self, String> {
        let slot = |name: &String| schema.slot(name).ok_or_else(|| unknown("field", name, schema.names()));
        let by = settings.by.iter().map(slot).collect::<Result<_, _>>();
        Ok(Self {
            by: by.map_err(|problem: String| format!("in `compensate.by`: {problem}"))?,
            stands: settings.stands,
            patience: operator.horizon + shift(operator.late_when, tick),
            side: operator.late == Late::Side,
            watermark: Time::MIN,
            decided: BTreeMap::new(),
            forget: BTreeSet::new(),
        })
    }

    fn late(&self, stamp: Time) -> bool {
        self.watermark > Time::MIN && self.watermark >= stamp + self.patience
    }
}

/// The answer for one event.
fn answer(event: &Event, key: &Row, accepted: bool, revision: u32) -> Draft {
    let decision = Value::from(if accepted { "accepted" } else { "cancelled" });
    let whole = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    let identity = [
        whole(event.correlation.producer.0.into()),
        whole(event.correlation.number),
    ];
    let pane = Pane {
        start: Time::MIN,
        end: Time::MAX,
        key: key.iter().cloned().chain(identity).collect(),
        revision,
        timing: Timing::Early,
        change: if revision == 0 {
            Change::Insert
        } else {
            Change::UpdateAfter
        },
    };
    let row = event.row.iter().cloned().chain([decision]).collect();
    Draft {
        pane: Some(Arc::new(pane)),
        ..Draft::of(event, row)
    }
}

impl Operator for Compensation {
    fn on_event(&mut self, _input: usize, event: Event, _now: Time, out: &mut Output) {
        if self.late(event.stamp) {
            return out.late(event, self.side);
        }
        let key: Row = self
            .by
            .iter()
            .map(|slot| event.row.get(*slot).cloned().unwrap_or(Value::Null))
            .collect();
        let Some(decision) = self.decided.get_mut(&key) else {
            out.emit(answer(&event, &key, true, 0));
            out.caused(1);
            self.forget.insert((event.stamp + self.patience, key.clone()));
            let known = BTreeSet::from([event.correlation]);
            let stands = (event, 0);
            self.decided.insert(key, Decision { stands, known });
            return;
        };
        if !decision.known.insert(event.correlation) {
            // It was decided already; a copy changes nothing.
            return out.dropped(event.id, Dropped::Filtered);
        }
        if self.stands == Stands::FirstByEventTime && order(&event) < order(&decision.stands.0) {
            let (old, revision) = std::mem::replace(&mut decision.stands, (event, 0));
            self.forget.remove(&(old.stamp + self.patience, key.clone()));
            let event = &decision.stands.0;
            self.forget.insert((event.stamp + self.patience, key.clone()));
            out.emit(answer(&old, &key, false, revision + 1));
            out.emit(answer(event, &key, true, 0));
        } else {
            out.emit(answer(&event, &key, false, 0));
        }
        out.caused(1);
    }

    fn on_watermark(&mut self, watermark: Time, _out: &mut Output) {
        self.watermark = watermark;
        while let Some((until, _)) = self.forget.first() {
            if *until > watermark {
                break;
            }
            if let Some((_, key)) = self.forget.pop_first() {
                self.decided.remove(&key);
            }
        }
    }

    fn save(&self, state: &mut State) {
        state.put(WATERMARK, &self.watermark);
        state.put_each(DECIDED, &self.decided);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.watermark = state.get(WATERMARK)?;
        for (key, decision) in state.each::<Row, Decision>(DECIDED)? {
            let (event, revision) = &decision.stands;
            let fits = key.len() == self.by.len() && *revision == 0;
            StateError::unless(fits, DECIDED, "it is no decision on such a key")?;
            self.forget.insert((event.stamp + self.patience, key.clone()));
            self.decided.insert(key, decision);
        }
        Ok(())
    }

    fn held(&self) -> u64 {
        0
    }

    fn state_bytes(&self) -> usize {
        let known: usize = self.decided.values().map(|d| d.known.len()).sum();
        self.decided.len() * (size_of::<(Row, Decision)>() + size_of::<(Time, Row)>()) + known * size_of::<EventId>()
    }
}
