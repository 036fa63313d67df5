//! The machine learner: predict for each event, learn when its label comes.
//!
//! `plan` is what follows from the settings: where features, ids and labels stand in a row. `minds` is what has been
//! learned and what is known of how good it is: the models, the gate between them, the detector, the measures. `asking`
//! is the line before a service, where the model stands behind one. Here is what waits: predictions for their labels,
//! labels for their events, and, in the order of event time, everything for the watermark.
//!
//! The rules:
//!
//! - An event is answered when it is its turn: when it arrives, or (by event time) when the watermark has passed it. What
//!   is learned from it, is learned afterwards.
//! - A label belongs to the events with its id that are stamped at most `within` before it and not after it. It teaches
//!   all of them that are waiting, in the order in which they were predicted.
//! - An event is waited for no longer when the watermark has come to its stamp plus `within`.
//! - A label that comes before its event waits until the watermark has come to its stamp. In the order of event time
//!   there is no such label.
//! - Whatever was learned is the operator's state, and is saved to the last bit.

mod asking;
mod minds;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wavetank_models::Label;
use wavetank_scenarios::asking::{Answer, Question, Said as Heard};
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::script::{self, Learn};
use wavetank_scenarios::{Event, EventId, Row, Span, Time, Value};

use self::asking::{Asking, Turn};
use self::minds::{By, Minds, Said};
use self::plan::Plan;
use super::Surroundings;
use super::join::draft;
use super::transform::cache::Cache;
use crate::operator::{Draft, Dropped, Operator, Output};
use crate::reliability::{State, StateError, counted};

/// A prediction that waits for its label.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Example {
    id: Row,
    stamp: Time,
    said: Said,
    /// The event, its row already that of the result, where it is put out with its label.
    event: Option<Box<Event>>,
}

/// The place of an event or label in event time: events before labels of the same stamp, then by the source event that
/// they go back to.
type Place = (Time, bool, EventId, EventId);

/// A machine learner.
struct Learner {
    settings: Learn,
    plan: Plan,
    minds: Minds,
    /// The watermark that has come, and the one whose turn has come.
    told: Time,
    watermark: Time,
    /// The number of the next example or early label.
    next: u64,
    /// Predictions that wait, in the order in which they were made; and their numbers by id, and by the end of waiting.
    examples: BTreeMap<u64, Example>,
    by_id: BTreeMap<Row, Vec<u64>>,
    by_end: BTreeMap<(Time, u64), ()>,
    /// Labels that came before their events, by id in order of arrival; and by stamp.
    early: BTreeMap<Row, Vec<(u64, Event)>>,
    early_by_stamp: BTreeMap<(Time, u64), Row>,
    /// By event time: what the watermark has not passed.
    queue: BTreeMap<Place, (bool, Event)>,
    /// What the pre-trained model was asked last, and what asking costs.
    cache: Cache,
    /// Where the pre-trained model stands behind a service: who waits for it.
    asking: Option<Asking>,
    /// The unit of event time.
    tick: Span,
}

/// Builds a machine learner.
///
/// # Errors
/// A field that is not there, settings outside their range, or a model that was not read.
pub(super) fn build(
    operator: &script::Operator,
    settings: &Learn,
    around: &Surroundings<'_>,
) -> Result<Box<dyn Operator>, String> {
    let plan = Plan::new(operator, settings, around)?;
    let minds = Minds::new(settings, &plan)?;
    Ok(Box::new(Learner {
        settings: settings.clone(),
        plan,
        minds,
        told: Time::MIN,
        watermark: Time::MIN,
        next: 0,
        examples: BTreeMap::new(),
        by_id: BTreeMap::new(),
        by_end: BTreeMap::new(),
        early: BTreeMap::new(),
        early_by_stamp: BTreeMap::new(),
        queue: BTreeMap::new(),
        cache: match settings.service {
            Some(_) => Cache::new(0, Span::ZERO),
            None => Cache::new(settings.cache, settings.cost),
        },
        asking: settings
            .service
            .as_ref()
            .map(|service| Asking::new(service.within, settings.cache)),
        tick: around.tick,
    }))
}

impl Learner {
    fn is_label(&self, input: usize) -> bool {
        self.plan.apart().is_some_and(|apart| apart.input == input)
    }

    /// Something comes to those who wait for a service, or has its turn at once.
    fn comes(&mut self, turn: Turn, out: &mut Output) {
        match &mut self.asking {
            None => self.turn(turn, None, out),
            Some(asking) => {
                asking.joins(turn, &self.plan, out);
                self.go_on(out);
            }
        }
    }

    /// All whose turn has come.
    fn go_on(&mut self, out: &mut Output) {
        while let Some((turn, heard)) = self.asking.as_mut().and_then(Asking::turn) {
            self.turn(turn, heard, out);
        }
    }

    /// It is the turn of an event, of which a service said what was `heard`, of a label or of a watermark.
    fn turn(&mut self, turn: Turn, heard: Option<Heard>, out: &mut Output) {
        match turn {
            Turn::Event(event) => {
                self.serves(&event, out);
                self.event(event, heard, out);
            }
            Turn::Label(label) => {
                self.serves(&label, out);
                self.label(label, out);
            }
            Turn::Watermark(watermark) => {
                self.watermark = watermark;
                // At the end nothing comes that another version could serve.
                if watermark < Time::MAX {
                    self.swap(watermark, out);
                }
                self.give_up(out);
            }
        }
    }

    /// By event time, the version for an event is that of its stamp.
    fn serves(&mut self, event: &Event, out: &mut Output) {
        if self.plan.by_event_time {
            self.swap(event.stamp, out);
        }
    }

    fn turn_of(is_label: bool, event: Event) -> Turn {
        if is_label {
            Turn::Label(event)
        } else {
            Turn::Event(event)
        }
    }

    /// What it costs to ask: nothing where the answer is remembered.
    fn pay(&mut self, row: &[Value], out: &mut Output) {
        if !self.cache.counts() {
            return;
        }
        let question = self.minds.question(&self.plan, row);
        let (cost, hit) = self.cache.ask(&question.unwrap_or_default());
        out.occupied(cost);
        if self.settings.cache > 0 {
            out.measure(if hit { Metric::CacheHits } else { Metric::CacheMisses }, 1);
        }
    }

    /// Lets the versions serve whose time has come.
    fn swap(&mut self, now: Time, out: &mut Output) {
        if self.minds.swap(&self.plan, now, out) {
            self.cache.clear();
        }
    }

    fn event(&mut self, event: Event, heard: Option<Heard>, out: &mut Output) {
        self.pay(&event.row, out);
        let (said, by) = match self.minds.predict(&self.plan, &event.row, heard) {
            Ok(answer) => answer,
            Err(why) => return out.failed(event, why),
        };
        if by == By::Nobody {
            out.measure(Metric::Fallbacks, 1);
        }
        let mut columns = event.row.to_vec();
        self.plan.columns(said.served.as_ref(), &mut columns);
        self.minds.signed(&self.plan, by, &mut columns);
        if self.plan.apart().is_some() {
            return self.awaits(event, columns, said, out);
        }
        if self.plan.label.is_none() {
            out.emit(Draft::of(&event, columns.into()));
            out.caused(1);
            return self.minds.observe(&said, out);
        }
        let label = self.plan.label_in(&event.row).ok().flatten();
        match label {
            Some(label) if self.plan.outcomes => {
                let loss = self.minds.teach(&self.settings, &self.plan, &said, label, out);
                let row = self.with_outcome(columns, label, loss);
                out.emit(Draft::of(&event, row));
                out.caused(1);
            }
            None if self.plan.outcomes => {
                out.measure(Metric::Unlearned, 1);
                out.dropped(event.id, Dropped::Filtered);
            }
            label => {
                out.emit(Draft::of(&event, columns.into()));
                out.caused(1);
                match label {
                    Some(label) => {
                        self.minds.teach(&self.settings, &self.plan, &said, label, out);
                    }
                    None => out.measure(Metric::Unlearned, 1),
                }
            }
        }
    }

    fn with_outcome(&self, mut columns: Vec<Value>, label: Label, loss: Option<f64>) -> Row {
        columns.push(self.plan.label_column(label));
        columns.push(loss.map_or(Value::Null, Value::Float));
        columns.into()
    }

    /// A prediction has been made whose label comes later, or waits already.
    fn awaits(&mut self, mut event: Event, columns: Vec<Value>, said: Said, out: &mut Output) {
        let id = self.plan.apart().and_then(|apart| apart.id_of_event(&event.row));
        let (stamp, outcomes) = (event.stamp, self.plan.outcomes);
        if !outcomes {
            out.emit(Draft::of(&event, columns.clone().into()));
            out.caused(1);
        }
        let Some(id) = id else {
            out.measure(Metric::MissingLabels, 1);
            if outcomes {
                out.dropped(event.id, Dropped::Filtered);
            }
            return;
        };
        let early = self.early_label(&id, stamp);
        let kept = outcomes.then(|| {
            event.row = columns.into();
            Box::new(event)
        });
        let example = Example {
            id,
            stamp,
            said,
            event: kept,
        };
        match early {
            Some(label) => self.learn(vec![example], label, out),
            None => {
                self.wait(example);
                out.measure(Metric::AwaitingLabels, self.examples.len() as u64);
            }
        }
    }

    fn end_of(&self, stamp: Time) -> Time {
        self.plan.apart().map_or(stamp, |apart| stamp + apart.within)
    }

    fn wait(&mut self, example: Example) {
        let number = self.next;
        self.next += 1;
        self.by_id.entry(example.id.clone()).or_default().push(number);
        self.by_end.insert((self.end_of(example.stamp), number), ());
        self.examples.insert(number, example);
    }

    /// Takes an example out.
    fn waits_no_longer(&mut self, number: u64) -> Option<Example> {
        let example = self.examples.remove(&number)?;
        self.by_end.remove(&(self.end_of(example.stamp), number));
        if let Some(numbers) = self.by_id.get_mut(&example.id) {
            numbers.retain(|n| *n != number);
            if numbers.is_empty() {
                self.by_id.remove(&example.id);
            }
        }
        Some(example)
    }

    /// The first label that came before an event with that id and stamp.
    fn early_label(&mut self, id: &Row, stamp: Time) -> Option<Event> {
        let labels = self.early.get(id)?;
        let fits = |label: &Event| stamp <= label.stamp && label.stamp <= self.end_of(stamp);
        let place = labels.iter().position(|(_, label)| fits(label))?;
        let labels = self.early.get_mut(id)?;
        let (number, label) = labels.remove(place);
        if labels.is_empty() {
            self.early.remove(id);
        }
        self.early_by_stamp.remove(&(label.stamp, number));
        Some(label)
    }

    fn label(&mut self, label: Event, out: &mut Output) {
        match self.plan.label_in(&label.row) {
            Err(why) => return out.failed(label, why),
            Ok(None) => {
                out.measure(Metric::Unlearned, 1);
                return out.dropped(label.id, Dropped::Filtered);
            }
            Ok(Some(_)) => {}
        }
        let id = self.plan.apart().and_then(|apart| apart.id_of_label(&label.row));
        let Some(id) = id else {
            out.measure(Metric::Unmatched, 1);
            return out.dropped(label.id, Dropped::Filtered);
        };
        let numbers = self.by_id.get(&id).cloned().unwrap_or_default();
        let fits = |number: &u64| {
            let example = self.examples.get(number);
            example.is_some_and(|e| e.stamp <= label.stamp && label.stamp <= self.end_of(e.stamp))
        };
        let numbers: Vec<u64> = numbers.into_iter().filter(fits).collect();
        let examples: Vec<Example> = numbers.into_iter().filter_map(|n| self.waits_no_longer(n)).collect();
        if !examples.is_empty() {
            self.learn(examples, label, out);
            out.measure(Metric::AwaitingLabels, self.examples.len() as u64);
        } else if self.plan.by_event_time || label.stamp <= self.watermark {
            out.measure(Metric::Unmatched, 1);
            out.dropped(label.id, Dropped::Filtered);
        } else {
            let number = self.next;
            self.next += 1;
            self.early_by_stamp.insert((label.stamp, number), id.clone());
            self.early.entry(id).or_default().push((number, label));
        }
    }

    /// Learns from examples and the label of all of them.
    fn learn(&mut self, examples: Vec<Example>, label: Event, out: &mut Output) {
        let Ok(Some(value)) = self.plan.label_in(&label.row) else {
            return;
        };
        for example in &examples {
            out.measure(
                Metric::LabelDelay,
                label.stamp.since(example.stamp).micros().max(0) as u64,
            );
            let loss = self.minds.teach(&self.settings, &self.plan, &example.said, value, out);
            if let Some(event) = &example.event {
                let row = self.with_outcome(event.row.to_vec(), value, loss);
                out.emit(draft(&[&**event, &label], row, label.stamp, self.plan.lineage));
            }
        }
        if self.plan.outcomes {
            out.caused(examples.len() as u64 + 1);
        } else {
            out.dropped(label.id, Dropped::Filtered);
        }
    }

    /// Gives up what nothing can come for any more.
    fn give_up(&mut self, out: &mut Output) {
        while let Some(((end, number), ())) = self.by_end.first_key_value()
            && *end <= self.watermark
        {
            let Some(example) = self.waits_no_longer(*number) else {
                break;
            };
            out.measure(Metric::MissingLabels, 1);
            out.measure(Metric::AwaitingLabels, self.examples.len() as u64);
            if let Some(event) = example.event {
                out.dropped(event.id, Dropped::Filtered);
            }
        }
        while let Some(entry) = self.early_by_stamp.first_entry()
            && entry.key().0 <= self.watermark
        {
            let ((_, number), id) = entry.remove_entry();
            if let Some(labels) = self.early.get_mut(&id) {
                for (_, label) in labels.extract_if(.., |(n, _)| *n == number) {
                    out.measure(Metric::Unmatched, 1);
                    out.dropped(label.id, Dropped::Filtered);
                }
                if labels.is_empty() {
                    self.early.remove(&id);
                }
            }
        }
    }
}

impl Operator for Learner {
    fn on_enter(&mut self, out: &mut Output) {
        self.minds.enter(&self.plan, out);
    }

    fn on_event(&mut self, input: usize, event: Event, _now: Time, out: &mut Output) {
        let is_label = self.is_label(input);
        if !self.plan.by_event_time {
            self.comes(Self::turn_of(is_label, event), out);
        } else if event.stamp <= self.told {
            out.late(event, self.plan.side);
        } else {
            let place = (event.stamp, is_label, event.correlation, event.id);
            self.queue.insert(place, (is_label, event));
        }
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        self.told = watermark;
        while let Some(first) = self.queue.first_entry()
            && first.key().0 <= watermark
        {
            let (is_label, event) = first.remove();
            self.comes(Self::turn_of(is_label, event), out);
        }
        self.comes(Turn::Watermark(watermark), out);
    }

    fn on_timer(&mut self, token: u64, out: &mut Output) {
        if self.asking.as_mut().is_some_and(|asking| asking.too_late(token)) {
            out.measure(Metric::TimedOut, 1);
            self.go_on(out);
        }
    }

    fn on_answer(&mut self, answer: &Answer, out: &mut Output) {
        if let Some(asking) = &mut self.asking {
            asking.answered(answer);
            self.go_on(out);
        }
    }

    fn asked(&self) -> Vec<Question> {
        self.asking.as_ref().map(Asking::questions).unwrap_or_default()
    }

    fn watermark_limit(&self) -> Time {
        let smallest = self.asking.as_ref().and_then(Asking::smallest);
        smallest.map_or(Time::MAX, |stamp| stamp - self.tick)
    }

    fn save(&self, state: &mut State) {
        match wavetank_models::state::save(&self.minds) {
            Ok(bytes) => state.put("minds", &bytes),
            // Nothing that is kept here cannot be written; what cannot is found missing when it is read.
            Err(error) => state.put("unsaved", &error.to_string()),
        }
        state.put("clock", &(self.told, self.watermark, self.next));
        if let Some(asking) = &self.asking {
            asking.save(state);
        }
        self.cache.save(0, state);
        state.put_each("examples", &self.examples);
        let early = self.early.values().flatten().map(|(number, label)| (number, label));
        state.put_each("early", early);
        state.put_each(
            "queue",
            self.queue
                .values()
                .map(|(is_label, event)| ((*is_label, event.id), event)),
        );
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        let bytes: Vec<u8> = state.get("minds")?;
        let minds: Minds =
            wavetank_models::state::restore(&bytes).map_err(|error| StateError::of("minds", error.to_string()))?;
        StateError::unless(
            minds.like(&self.minds, &self.plan),
            "minds",
            "it is that of another model",
        )?;
        self.minds = minds;
        (self.told, self.watermark, self.next) = state.get("clock")?;
        counted("clock", self.next)?;
        if let Some(asking) = &mut self.asking {
            asking.restore(state, self.plan.versions.len())?;
        }
        self.cache.restore(0, state)?;
        for (number, example) in state.each::<u64, Example>("examples")? {
            StateError::unless(number < self.next, "examples", "one is of the future")?;
            let whole = example.event.is_some() == self.plan.outcomes && self.plan.apart().is_some();
            StateError::unless(whole, "examples", "one is not of such a learner")?;
            self.by_id.entry(example.id.clone()).or_default().push(number);
            self.by_end.insert((self.end_of(example.stamp), number), ());
            self.examples.insert(number, example);
        }
        for numbers in self.by_id.values_mut() {
            numbers.sort_unstable();
        }
        for (number, label) in state.each::<u64, Event>("early")? {
            StateError::unless(number < self.next, "early", "one is of the future")?;
            let id = self.plan.apart().and_then(|apart| apart.id_of_label(&label.row));
            let Some(id) = id else {
                return Err(StateError::of("early", "a label belongs to nothing"));
            };
            self.early_by_stamp.insert((label.stamp, number), id.clone());
            self.early.entry(id).or_default().push((number, label));
        }
        for labels in self.early.values_mut() {
            labels.sort_unstable_by_key(|(number, _)| *number);
        }
        for ((is_label, _), event) in state.each::<(bool, EventId), Event>("queue")? {
            let waits = self.plan.by_event_time && event.stamp > self.told;
            StateError::unless(waits, "queue", "one does not wait for the watermark")?;
            let place = (event.stamp, is_label, event.correlation, event.id);
            self.queue.insert(place, (is_label, event));
        }
        Ok(())
    }

    fn held(&self) -> u64 {
        let examples = if self.plan.outcomes { self.examples.len() } else { 0 };
        let line = self.asking.as_ref().map_or(0, Asking::held);
        (examples + self.early_by_stamp.len() + self.queue.len()) as u64 + line
    }

    fn state_bytes(&self) -> usize {
        let example = |example: &Example| {
            let event = example
                .event
                .as_ref()
                .map_or(0, |event| size_of::<Event>() + event.row.len() * size_of::<Value>());
            example.said.bytes() + size_of::<Row>() + event
        };
        let event = size_of::<Event>() + size_of::<Place>();
        let waiting = self.examples.values().next().map_or(0, example) * self.examples.len();
        self.minds.bytes(&self.plan)
            + self.cache.state_bytes()
            + self.asking.as_ref().map_or(0, Asking::state_bytes)
            + waiting
            + (self.early_by_stamp.len() + self.queue.len()) * event
    }
}
