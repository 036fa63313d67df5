//! Scatter-gather: the parts of an answer put together, or at the deadline what there is of it.
//!
//! A *round* is one answer in the making: the parts of one key that lie near enough in time. It is open until its
//! answer is given, and remembered until no part of it can open another one, so that what comes after the answer is
//! known as late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arcstr::ArcStr;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::script::{Future, Gather as Settings, GatherClock, Late, LateBy, ResultStamp};
use wavetank_scenarios::{Event, Row, Schema, Span, Time, Value, script};

use super::results::draft;
use crate::operator::{Dropped, Operator, Output};
use crate::processing::expr::unknown;
use crate::processing::{Surroundings, shift};
use crate::reliability::{State, StateError, counted};

/// The part of a saved state that holds the rounds.
const ROUNDS: &str = "rounds";

/// The operator.
#[derive(Debug)]
pub struct Gather {
    settings: Settings,
    /// For each input: the slots of the key, and of the field that names the part.
    inputs: Vec<Input>,
    names: Vec<ArcStr>,
    lineage: bool,
    tick: Span,
    behind: Span,
    watermark: Time,
    side: bool,
    future: Future,
    late_by: LateBy,
    stamp: ResultStamp,
    rounds: FxHashMap<u64, Round>,
    by_key: FxHashMap<Row, Vec<u64>>,
    /// When something is to be done about a round, by the watermark.
    by_due: BTreeSet<(Time, u64)>,
    /// Open rounds by the stamp that their answer would have; kept where that is behind the watermark.
    by_stamp: BTreeSet<(Time, u64)>,
    next: u64,
    held: u64,
}

#[derive(Debug)]
struct Input {
    key: Vec<usize>,
    part: Option<usize>,
    fields: Vec<ArcStr>,
    /// Its part, where the input says it.
    index: Option<usize>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Round {
    key: Row,
    /// For each part the event, and on which input it came.
    parts: Vec<Option<(usize, Event)>>,
    earliest: Time,
    latest: Time,
    asks: u32,
    answered: bool,
    /// By the node's clock: its deadline is past and its answer given, so that it is forgotten next.
    over: bool,
    /// When it is next looked at, by the watermark.
    due: Time,
    /// What it stands under among the stamps.
    listed: Option<Time>,
}

impl Gather {
    /// Builds the operator.
    ///
    /// # Errors
    /// A field that is not there, or parts that are not as many as inputs.
    pub fn new(operator: &script::Operator, settings: &Settings, around: Surroundings<'_>) -> Result<Self, String> {
        if settings.within <= Span::ZERO {
            return Err("`within` must be longer than nothing".into());
        }
        let names: Vec<ArcStr> = settings
            .names(&operator.input)
            .iter()
            .map(|n| n.as_str().into())
            .collect();
        let slot =
            |schema: &Schema, name: &String| schema.slot(name).ok_or_else(|| unknown("field", name, schema.names()));
        if settings.part.is_none() && names.len() != operator.input.len() {
            return Err(
                "each input is a part: name as many parts as inputs, or say which `part` field names them".into(),
            );
        }
        let mut inputs = Vec::with_capacity(around.inputs.len());
        for (index, schema) in around.inputs.iter().enumerate() {
            inputs.push(Input {
                key: settings
                    .by
                    .iter()
                    .map(|name| slot(schema, name))
                    .collect::<Result<_, _>>()?,
                part: settings.part.as_ref().map(|name| slot(schema, name)).transpose()?,
                fields: schema.names().map(ArcStr::from).collect(),
                index: settings.part.is_none().then_some(index),
            });
        }
        let tick = around.tick;
        Ok(Self {
            settings: settings.clone(),
            inputs,
            names,
            lineage: around.lineage,
            tick,
            behind: shift(operator.late_when, tick),
            watermark: Time::MIN,
            side: operator.late == Late::Side,
            future: operator.future,
            late_by: operator.late_by,
            stamp: operator.result_stamp,
            rounds: FxHashMap::default(),
            by_key: FxHashMap::default(),
            by_due: BTreeSet::new(),
            by_stamp: BTreeSet::new(),
            next: 0,
            held: 0,
        })
    }

    fn by_node(&self) -> bool {
        self.settings.clock == GatherClock::Node
    }
    /// How long a round of that many asks goes on.
    fn length(&self, asks: u32) -> Span {
        Span::from_micros(self.settings.within.micros().saturating_mul(i64::from(asks) + 1))
    }
    fn deadline(&self, round: &Round) -> Time {
        round.earliest + self.length(round.asks)
    }
    /// Whether a part with that stamp is near enough to those of a round. By the node's clock only arrival counts.
    fn fits(&self, round: &Round, stamp: Time) -> bool {
        self.by_node() || (stamp <= self.deadline(round) && round.latest <= stamp + self.length(round.asks))
    }

    /// Which part an event is, if it is one.
    fn part(&self, input: &Input, row: &[Value]) -> Option<usize> {
        match input.part {
            None => input.index,
            Some(slot) => {
                let named = row.get(slot).filter(|value| !value.is_null())?.to_string();
                self.names.iter().position(|name| *name == named)
            }
        }
    }

    fn event_time(&self, round: &Round) -> Time {
        match self.stamp {
            ResultStamp::Earliest => round.earliest,
            ResultStamp::Latest => round.latest,
            ResultStamp::Last | ResultStamp::End if self.by_node() => round.latest,
            ResultStamp::Last | ResultStamp::End => self.deadline(round),
        }
    }

    /// Keeps the lists of a round as they should be.
    fn enlist(&mut self, id: u64, due: Option<Time>) {
        let by_node = self.by_node();
        let Some(round) = self.rounds.get(&id) else { return };
        let listed = (by_node && !round.answered).then(|| self.event_time(round));
        let Some(round) = self.rounds.get_mut(&id) else { return };
        if let Some(due) = due.filter(|due| *due != round.due) {
            self.by_due.remove(&(round.due, id));
            self.by_due.insert((due, id));
            round.due = due;
        }
        if listed != round.listed {
            if let Some(old) = round.listed {
                self.by_stamp.remove(&(old, id));
            }
            self.by_stamp.extend(listed.map(|stamp| (stamp, id)));
            round.listed = listed;
        }
    }

    /// Puts out what there is of a round.
    fn give(&self, round: &Round, asking: bool, out: &mut Output) {
        let mut row: Vec<Value> = round.key.to_vec();
        let mut missing = Vec::new();
        for (name, part) in self.names.iter().zip(&round.parts) {
            match part {
                Some((input, event)) => {
                    let fields = self.inputs[*input]
                        .fields
                        .iter()
                        .cloned()
                        .zip(event.row.iter().cloned());
                    row.push(Value::Record(Arc::new(fields.collect())));
                }
                None => {
                    missing.push(Value::text(name.clone()));
                    row.push(Value::Null);
                }
            }
        }
        row.push(Value::Bool(missing.is_empty()));
        if !missing.is_empty() {
            out.measure(if asking { Metric::Asked } else { Metric::Incomplete }, 1);
        }
        row.push(Value::List(Arc::new(missing)));
        if self.settings.ask > 0 {
            row.push(Value::Int(i64::from(round.asks)));
            row.push(Value::Bool(asking));
        }
        let events: Vec<&Event> = round.parts.iter().flatten().map(|(_, event)| event).collect();
        out.emit(draft(&events, row.into(), self.event_time(round), self.lineage));
    }

    /// Gives the answer of a round, and remembers it.
    fn answer(&mut self, id: u64, out: &mut Output) {
        let Some(round) = self.rounds.get(&id) else { return };
        self.give(round, false, out);
        let parts = round.parts.iter().flatten().count() as u64;
        let forget = self.deadline(round) + self.settings.within;
        if let Some(round) = self.rounds.get_mut(&id) {
            round.answered = true;
        }
        out.caused(parts);
        self.held -= parts;
        self.enlist(id, (!self.by_node()).then_some(forget));
    }

    /// The deadline of an open round has come.
    fn expire(&mut self, id: u64, last: bool, out: &mut Output) {
        let Some(round) = self.rounds.get(&id) else { return };
        if last || round.asks >= self.settings.ask {
            return self.answer(id, out);
        }
        self.give(round, true, out);
        if let Some(round) = self.rounds.get_mut(&id) {
            round.asks += 1;
        }
        let due = self.rounds.get(&id).map(|round| self.deadline(round));
        self.enlist(id, due.filter(|_| !self.by_node()));
    }

    fn forget(&mut self, id: u64) {
        let Some(round) = self.rounds.remove(&id) else { return };
        self.by_due.remove(&(round.due, id));
        if let Some(stamp) = round.listed {
            self.by_stamp.remove(&(stamp, id));
        }
        if let Some(alike) = self.by_key.get_mut(&round.key) {
            alike.retain(|other| *other != id);
            if alike.is_empty() {
                self.by_key.remove(&round.key);
            }
        }
    }

    fn settle(&mut self, out: &mut Output) {
        while let Some((_, id)) = self.by_due.first().copied().filter(|(due, _)| *due <= self.watermark) {
            match self.rounds.get(&id) {
                Some(round) if !round.answered => self.expire(id, self.watermark == Time::MAX, out),
                _ => self.forget(id),
            }
        }
    }

    /// Opens a round.
    fn open(&mut self, key: Row, stamp: Time, out: &mut Output) -> u64 {
        let id = self.next;
        self.next += 1;
        let due = if self.by_node() {
            Time::MAX
        } else {
            stamp + self.settings.within
        };
        if self.by_node() {
            out.timer(self.settings.within, id);
        }
        self.by_due.insert((due, id));
        self.by_key.entry(key.clone()).or_default().push(id);
        self.rounds.insert(
            id,
            Round {
                key,
                parts: vec![None; self.names.len()],
                earliest: stamp,
                latest: stamp,
                asks: 0,
                answered: false,
                over: false,
                due,
                listed: None,
            },
        );
        id
    }
}

impl Operator for Gather {
    fn on_event(&mut self, input: usize, event: Event, now: Time, out: &mut Output) {
        if let Future::Refuse(tolerance) = self.future
            && event.stamp > now + tolerance
        {
            let ahead = event.stamp.since(now);
            let reason = format!("it is stamped {ahead} ahead of its arrival; at most {tolerance} is let in");
            return out.failed(event, reason);
        }
        let Some(from) = self.inputs.get(input) else {
            return out.failed(event, "it came on an input that is no part");
        };
        let Some(part) = self.part(from, &event.row) else {
            return out.dropped(event.id, Dropped::Filtered);
        };
        let stamp = event.stamp;
        if (self.late_by == LateBy::Event || self.by_node()) && self.watermark >= stamp {
            return out.late(event, self.side);
        }
        let key: Row = from
            .key
            .iter()
            .map(|slot| event.row.get(*slot).cloned().unwrap_or_default())
            .collect();
        let known = self.by_key.get(&key).into_iter().flatten().copied();
        let near = known
            .into_iter()
            .find(|id| self.rounds.get(id).is_some_and(|round| self.fits(round, stamp)));
        let id = match near {
            Some(id) => id,
            None if !self.by_node() && self.watermark >= stamp + self.settings.within => {
                return out.late(event, self.side);
            }
            None => self.open(key, stamp, out),
        };
        let Some(round) = self.rounds.get_mut(&id) else { return };
        if round.parts[part].is_some() {
            return out.dropped(event.id, Dropped::Filtered);
        }
        let length = Span::from_micros(self.settings.within.micros().saturating_mul(i64::from(round.asks) + 1));
        if round.answered || (self.settings.clock == GatherClock::EventTime && self.watermark >= stamp + length) {
            return out.late(event, self.side);
        }
        round.parts[part] = Some((input, event));
        round.earliest = round.earliest.min(stamp);
        round.latest = round.latest.max(stamp);
        let complete = round.parts.iter().all(Option::is_some);
        self.held += 1;
        let due = self.rounds.get(&id).map(|round| self.deadline(round));
        self.enlist(id, due.filter(|_| !self.by_node()));
        if complete {
            self.answer(id, out);
        }
        self.settle(out);
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        self.watermark = self.watermark.max(watermark - self.behind);
        self.settle(out);
    }

    fn on_timer(&mut self, token: u64, out: &mut Output) {
        // A round always has one timer set: for its deadline, then for another `within` during which it is remembered.
        match self.rounds.get(&token) {
            None => return,
            Some(round) if round.over => return self.forget(token),
            Some(round) if round.answered => {}
            Some(_) => self.expire(token, false, out),
        }
        if let Some(round) = self.rounds.get_mut(&token) {
            round.over = round.answered;
        }
        out.timer(self.settings.within, token);
    }

    fn watermark_limit(&self) -> Time {
        if self.by_node() {
            let first = self.by_stamp.first().map_or(Time::MAX, |(stamp, _)| *stamp - self.tick);
            return first.min(self.watermark);
        }
        match self.stamp {
            ResultStamp::Last | ResultStamp::End => self.watermark,
            ResultStamp::Latest | ResultStamp::Earliest => self.watermark - self.length(self.settings.ask),
        }
    }

    fn save(&self, state: &mut State) {
        state.put("watermark", &self.watermark);
        state.put("next", &self.next);
        state.put_each(ROUNDS, &self.rounds);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.watermark = state.get("watermark")?;
        self.next = counted("next", state.get("next")?)?;
        self.rounds.clear();
        self.by_key.clear();
        self.by_due.clear();
        self.by_stamp.clear();
        self.held = 0;
        // Those of one key stand in the order in which they were opened.
        let rounds: BTreeMap<u64, Round> = state.each(ROUNDS)?.into_iter().collect();
        for (id, round) in rounds {
            StateError::unless(id < self.next, ROUNDS, "a round has a number that was not given out")?;
            let parts = round.parts.len() == self.names.len();
            let inputs = round
                .parts
                .iter()
                .flatten()
                .all(|(input, _)| *input < self.inputs.len());
            StateError::unless(parts && inputs, ROUNDS, "a round is of other parts or inputs")?;
            self.by_key.entry(round.key.clone()).or_default().push(id);
            self.by_due.insert((round.due, id));
            self.by_stamp.extend(round.listed.map(|stamp| (stamp, id)));
            if !round.answered {
                self.held += round.parts.iter().flatten().count() as u64;
            }
            self.rounds.insert(id, round);
        }
        Ok(())
    }

    fn held(&self) -> u64 {
        self.held
    }

    fn state_bytes(&self) -> usize {
        let part = size_of::<Option<(usize, Event)>>() + 64;
        self.rounds.len() * (size_of::<Round>() + self.names.len() * part)
    }
}
