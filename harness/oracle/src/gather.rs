//! Scatter-gather: what is due when a part, a watermark or a timer arrives.
//!
//! The model in words. Rounds stand in a plain list in the order in which they were opened. A part goes into the first
//! round of its key that it is near enough to; into a new one where there is none. A round answers when all its parts
//! are there, or when its deadline is past; until then the parts are held. It stays in the list for another `within`
//! behind its deadline.

use std::collections::BTreeSet;
use std::sync::Arc;

use wavetank_scenarios::script::{Future, Gather as Settings, GatherClock, LateBy, LateWhen, Operator, ResultStamp};
use wavetank_scenarios::{Event, EventId, Schema, Span, Time, Value};

use crate::{Arrival, Due, DueResult, Reference, Why};

/// One answer in the making.
#[derive(Clone)]
struct Round {
    number: u64,
    key: Vec<Value>,
    parts: Vec<Option<(usize, Event)>>,
    asked: u32,
    answered: bool,
    /// By the node's clock: how many of its timers have gone off since it was answered.
    remembered: u32,
}

impl Round {
    fn events(&self) -> impl Iterator<Item = &Event> {
        self.parts.iter().flatten().map(|(_, event)| event)
    }
    fn earliest(&self) -> Time {
        self.events().map(|e| e.stamp).min().unwrap_or(Time::MIN)
    }
    fn latest(&self) -> Time {
        self.events().map(|e| e.stamp).max().unwrap_or(Time::MIN)
    }
}

/// The naive model.
#[derive(Clone)]
pub(crate) struct Gather {
    settings: Settings,
    schemas: Vec<Schema>,
    names: Vec<String>,
    tick: Span,
    shift: Span,
    future: Future,
    late_by: LateBy,
    stamp: ResultStamp,
    watermark: Time,
    opened: u64,
    rounds: Vec<Round>,
}

impl Gather {
    pub fn new(operator: &Operator, settings: &Settings, schemas: &[&Schema], tick: Span) -> Self {
        Self {
            settings: settings.clone(),
            schemas: schemas.iter().map(|s| (*s).clone()).collect(),
            names: settings.names(&operator.input).to_vec(),
            tick,
            shift: match operator.late_when {
                LateWhen::AtEnd => Span::ZERO,
                LateWhen::TickBeforeEnd => -tick,
                LateWhen::AfterEnd => tick,
            },
            future: operator.future,
            late_by: operator.late_by,
            stamp: operator.result_stamp,
            watermark: Time::MIN,
            opened: 0,
            rounds: vec![],
        }
    }

    fn on_node(&self) -> bool {
        self.settings.clock == GatherClock::Node
    }

    fn times(&self, n: u32) -> Span {
        (0..n).fold(Span::ZERO, |sum, _| sum + self.settings.within)
    }

    fn deadline(&self, round: &Round) -> Time {
        round.earliest() + self.times(round.asked + 1)
    }

    fn field(&self, input: usize, event: &Event, name: &str) -> Value {
        let slot = self.schemas[input].slot(name);
        slot.and_then(|slot| event.row.get(slot).cloned()).unwrap_or_default()
    }

    fn event_time(&self, round: &Round) -> Time {
        match self.stamp {
            ResultStamp::Earliest => round.earliest(),
            ResultStamp::Latest => round.latest(),
            _ if self.on_node() => round.latest(),
            _ => self.deadline(round),
        }
    }

    fn say(&self, round: &Round, asking: bool) -> DueResult {
        let mut row = round.key.clone();
        let mut missing = Vec::new();
        for (name, part) in self.names.iter().zip(&round.parts) {
            row.push(match part {
                Some((input, event)) => {
                    let names = self.schemas[*input].fields.iter().map(|f| f.name.clone());
                    Value::Record(Arc::new(names.zip(event.row.iter().cloned()).collect()))
                }
                None => {
                    missing.push(Value::from(name.as_str()));
                    Value::Null
                }
            });
        }
        row.push(Value::Bool(missing.is_empty()));
        row.push(Value::List(Arc::new(missing)));
        if self.settings.ask > 0 {
            row.push(Value::Int(i64::from(round.asked)));
            row.push(Value::Bool(asking));
        }
        let last = round.events().max_by_key(|e| (e.stamp, e.id));
        let origins: BTreeSet<EventId> = round.events().flat_map(|e| e.origins().iter().copied()).collect();
        DueResult {
            stamp: self.event_time(round),
            row: row.into(),
            bounds: vec![],
            pane: None,
            correlation: last.map(|e| e.correlation).unwrap_or_default(),
            origins: origins.into_iter().collect(),
        }
    }

    /// The deadline of an open round is past: it asks, or answers.
    fn end(&mut self, place: usize, due: &mut Due) {
        let asks = self.rounds[place].asked < self.settings.ask && self.watermark < Time::MAX;
        due.results.push(self.say(&self.rounds[place], asks));
        if asks {
            self.rounds[place].asked += 1;
        } else {
            self.rounds[place].answered = true;
        }
    }

    /// What the watermark says of all rounds: the one whose time came first is first.
    fn look(&mut self, due: &mut Due) {
        loop {
            let when = |round: &Round| match (self.on_node(), round.answered) {
                (true, _) => Time::MAX,
                (false, false) => self.deadline(round),
                (false, true) => self.deadline(round) + self.settings.within,
            };
            let next = (0..self.rounds.len())
                .map(|i| (when(&self.rounds[i]), self.rounds[i].number, i))
                .min();
            let Some((_, _, place)) = next.filter(|(at, ..)| *at <= self.watermark) else {
                return;
            };
            if self.rounds[place].answered {
                self.rounds.remove(place);
            } else {
                self.end(place, due);
            }
        }
    }

    fn part_of(&self, input: usize, event: &Event) -> Option<usize> {
        let Some(field) = &self.settings.part else {
            return Some(input);
        };
        match self.field(input, event, field) {
            Value::Null => None,
            value => self.names.iter().position(|name| *name == value.to_string()),
        }
    }

    fn take(&mut self, input: usize, event: &Event, now: Time, due: &mut Due) -> Option<Why> {
        if let Future::Refuse(tolerance) = self.future
            && event.stamp > now + tolerance
        {
            return Some(Why::Failed);
        }
        let Some(part) = self.part_of(input, event) else {
            return Some(Why::Filtered);
        };
        let t = event.stamp;
        if self.watermark >= t && (self.on_node() || self.late_by == LateBy::Event) {
            return Some(Why::Late);
        }
        let key: Vec<Value> = self
            .settings
            .by
            .iter()
            .map(|name| self.field(input, event, name))
            .collect();
        let near = |round: &Round| {
            let length = self.times(round.asked + 1);
            self.on_node() || (t <= round.earliest() + length && t + length >= round.latest())
        };
        let place = match self.rounds.iter().position(|round| round.key == key && near(round)) {
            Some(place) => place,
            None if !self.on_node() && self.watermark >= t + self.settings.within => return Some(Why::Late),
            None => {
                self.rounds.push(Round {
                    number: self.opened,
                    key,
                    parts: vec![None; self.names.len()],
                    asked: 0,
                    answered: false,
                    remembered: 0,
                });
                self.opened += 1;
                self.rounds.len() - 1
            }
        };
        let length = self.times(self.rounds[place].asked + 1);
        if self.rounds[place].parts[part].is_some() {
            return Some(Why::Filtered);
        }
        if self.rounds[place].answered || (!self.on_node() && self.watermark >= t + length) {
            return Some(Why::Late);
        }
        self.rounds[place].parts[part] = Some((input, event.clone()));
        if self.rounds[place].parts.iter().all(Option::is_some) {
            due.results.push(self.say(&self.rounds[place], false));
            self.rounds[place].answered = true;
        }
        None
    }

    fn limit(&self) -> Time {
        if self.on_node() {
            let open = self.rounds.iter().filter(|round| !round.answered);
            let first = open.map(|round| self.event_time(round) - self.tick).min();
            return first.unwrap_or(Time::MAX).min(self.watermark);
        }
        match self.stamp {
            ResultStamp::Last | ResultStamp::End => self.watermark,
            _ => self.watermark - self.times(self.settings.ask + 1),
        }
    }
}

impl Reference for Gather {
    fn arrive(&mut self, arrival: &Arrival) -> Due {
        let mut due = Due::default();
        match arrival {
            Arrival::Event { input, event, now, .. } => {
                if let Some(why) = self.take(*input, event, *now, &mut due) {
                    due.dropped.push((event.id, why));
                }
                self.look(&mut due);
            }
            Arrival::Watermark(watermark) => {
                self.watermark = self.watermark.max(*watermark - self.shift);
                self.look(&mut due);
            }
            Arrival::Timer { token, .. } => {
                if let Some(place) = self.rounds.iter().position(|round| round.number == *token) {
                    if !self.rounds[place].answered {
                        self.end(place, &mut due);
                        self.rounds[place].remembered = u32::from(self.rounds[place].answered);
                    } else if self.rounds[place].remembered == 0 {
                        self.rounds[place].remembered = 1;
                    } else {
                        self.rounds.remove(place);
                    }
                }
            }
            Arrival::Crash => {
                self.rounds.clear();
                self.opened = 0;
                self.watermark = Time::MIN;
            }
        }
        let open = self.rounds.iter().filter(|round| !round.answered);
        due.held = open.map(|round| round.events().count() as u64).sum();
        due.limit = Some(self.limit());
        due
    }
}
