//! A model behind a service: who is asked what, who has answered, and who waits for those before it.
//!
//! Whatever comes to a learner that asks a service joins one line: events, labels and watermarks. An event puts its
//! question when it joins. What stands first is done when it needs no answer, has it, or has waited too long for it; so
//! everything has its turn in the order in which it came, whoever answers first.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use wavetank_models::Prediction;
use wavetank_scenarios::asking::{Answer, Question, Said};
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::{Event, EventId, Span, Time, Value};

use super::plan::Plan;
use crate::operator::Output;
use crate::reliability::{State, StateError, counted};

/// What has a turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Turn {
    Event(Event),
    Label(Event),
    Watermark(Time),
}

impl Turn {
    /// The event or label.
    const fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(event) | Self::Label(event) => Some(event),
            Self::Watermark(_) => None,
        }
    }
}

/// A question of an event, and what has become of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Asked {
    question: Question,
    /// What is remembered the answer by, where anything is.
    key: Option<Vec<Value>>,
    said: Option<Said>,
}

/// The line, and what a service has answered before.
pub(super) struct Asking {
    within: Span,
    /// Which version is asked by what joins now.
    version: usize,
    /// The number of what joins next; a timer that is set for a question has its number.
    next: u64,
    line: BTreeMap<u64, (Turn, Option<Asked>)>,
    /// By what was asked: the numbers of those that have no answer.
    open: BTreeMap<(EventId, u32), Vec<u64>>,
    /// The stamps of the events and labels in the line.
    stamps: BTreeSet<(Time, u64)>,
    remembered: Remembered,
}

impl Asking {
    pub fn new(within: Span, cache: u32) -> Self {
        Self {
            within,
            version: 0,
            next: 0,
            line: BTreeMap::new(),
            open: BTreeMap::new(),
            stamps: BTreeSet::new(),
            remembered: Remembered::new(cache as usize),
        }
    }

    /// Something joins the line; an event asks.
    pub fn joins(&mut self, turn: Turn, plan: &Plan, out: &mut Output) {
        let number = self.next;
        self.next += 1;
        let serves = match &turn {
            Turn::Event(event) | Turn::Label(event) => plan.by_event_time.then_some(event.stamp),
            // At the end nothing comes that another version could serve.
            Turn::Watermark(watermark) => (*watermark < Time::MAX).then_some(*watermark),
        };
        while let (Some(now), Some(next)) = (serves, plan.versions.get(self.version + 1))
            && next.from <= now
        {
            self.version += 1;
            self.remembered.forget();
        }
        let asked = match &turn {
            Turn::Event(event) => self.ask(number, event, plan, out),
            Turn::Label(_) | Turn::Watermark(_) => None,
        };
        self.enters(number, turn, asked);
    }

    fn enters(&mut self, number: u64, turn: Turn, asked: Option<Asked>) {
        if let Some(event) = turn.event() {
            self.stamps.insert((event.stamp, number));
        }
        if let Some(Asked {
            question, said: None, ..
        }) = &asked
        {
            let whose = (question.event, question.version);
            self.open.entry(whose).or_default().push(number);
        }
        self.line.insert(number, (turn, asked));
    }

    fn ask(&mut self, number: u64, event: &Event, plan: &Plan, out: &mut Output) -> Option<Asked> {
        let version = plan.versions.get(self.version)?;
        let mut question = Question {
            event: event.id,
            version: self.version as u32,
            features: Vec::new(),
        };
        let (key, said) = match version.looks.at(&event.row) {
            Err(error) => (None, Some(Err(error.to_string()))),
            Ok(features) => {
                question.features = features;
                let key = self.remembered.anything().then(|| version.looks.question(&event.row));
                let known = key.as_ref().and_then(|key| self.remembered.recall(key));
                if key.is_some() {
                    let hit = known.is_some();
                    out.measure(if hit { Metric::CacheHits } else { Metric::CacheMisses }, 1);
                }
                if known.is_none() {
                    out.ask(question.clone());
                    out.timer(self.within, number);
                }
                (key, known.map(Ok))
            }
        };
        Some(Asked { question, key, said })
    }

    /// An answer has come: all who asked that have it.
    pub fn answered(&mut self, answer: &Answer) {
        for number in self.open.remove(&(answer.event, answer.version)).unwrap_or_default() {
            let Some((_, Some(asked))) = self.line.get_mut(&number) else {
                continue;
            };
            if let (Some(key), Ok(said)) = (&asked.key, &answer.said)
                && answer.version as usize == self.version
            {
                self.remembered.remember(key.clone(), said.clone());
            }
            asked.said = Some(answer.said.clone());
        }
    }

    /// A question has waited long enough. True if it had no answer.
    pub fn too_late(&mut self, number: u64) -> bool {
        let Some((_, Some(asked))) = self.line.get_mut(&number) else {
            return false;
        };
        if asked.said.is_some() {
            return false;
        }
        asked.said = Some(Err(format!("the service did not answer within {}", self.within)));
        let whose = (asked.question.event, asked.question.version);
        if let Some(numbers) = self.open.get_mut(&whose) {
            numbers.retain(|n| *n != number);
            if numbers.is_empty() {
                self.open.remove(&whose);
            }
        }
        true
    }

    /// Takes out what stands first, if its turn has come, with what was answered.
    pub fn turn(&mut self) -> Option<(Turn, Option<Said>)> {
        let first = self.line.first_entry()?;
        if matches!(first.get(), (_, Some(Asked { said: None, .. }))) {
            return None;
        }
        let number = *first.key();
        let (turn, asked) = first.remove();
        if let Some(event) = turn.event() {
            self.stamps.remove(&(event.stamp, number));
        }
        Some((turn, asked.and_then(|asked| asked.said)))
    }

    /// The questions that have no answer, in the order in which they were put.
    pub fn questions(&self) -> Vec<Question> {
        let asked = self.line.values().filter_map(|(_, asked)| asked.as_ref());
        asked.filter(|a| a.said.is_none()).map(|a| a.question.clone()).collect()
    }

    /// The smallest stamp in the line.
    pub fn smallest(&self) -> Option<Time> {
        self.stamps.first().map(|(stamp, _)| *stamp)
    }

    /// How many events and labels stand in the line.
    pub fn held(&self) -> u64 {
        self.stamps.len() as u64
    }

    pub fn save(&self, state: &mut State) {
        state.put("asking", &(self.version, self.next));
        state.put_each("line", &self.line);
        self.remembered.save(state);
    }

    /// Takes back what was saved by one that asks `versions`.
    ///
    /// # Errors
    /// It is not that of such a learner.
    pub fn restore(&mut self, state: &State, versions: usize) -> Result<(), StateError> {
        (self.version, self.next) = state.get("asking")?;
        counted("asking", self.next)?;
        StateError::unless(self.version < versions.max(1), "asking", "there is no such version")?;
        let mut line = state.each::<u64, (Turn, Option<Asked>)>("line")?;
        line.sort_by_key(|(number, _)| *number);
        for (number, (turn, asked)) in line {
            let fits = number < self.next && (asked.is_none() || matches!(turn, Turn::Event(_)));
            StateError::unless(fits, "line", "what stands in it is not what such a learner puts there")?;
            let known = asked.as_ref().is_none_or(|asked| {
                let of = turn.event().is_some_and(|event| event.id == asked.question.event);
                of && (asked.question.version as usize) <= self.version
            });
            StateError::unless(known, "line", "a question is not that of its event")?;
            self.enters(number, turn, asked);
        }
        self.remembered.restore(state)
    }

    pub fn state_bytes(&self) -> usize {
        let one = size_of::<(u64, Turn, Option<Asked>)>() + size_of::<(Time, u64)>();
        let row = |turn: &Turn| turn.event().map_or(0, |event| event.row.len() * size_of::<Value>());
        let first = self.line.values().next().map_or(0, |(turn, _)| row(turn));
        self.line.len() * (one + first) + self.remembered.state_bytes()
    }
}

/// The answers that were used last: the least recently used goes first.
struct Remembered {
    size: usize,
    uses: u64,
    known: FxHashMap<Vec<Value>, (u64, Prediction)>,
    /// The same, by when they were used last.
    order: BTreeMap<u64, Vec<Value>>,
}

impl Remembered {
    fn new(size: usize) -> Self {
        Self {
            size,
            uses: 0,
            known: FxHashMap::default(),
            order: BTreeMap::new(),
        }
    }

    const fn anything(&self) -> bool {
        self.size > 0
    }

    fn forget(&mut self) {
        self.known.clear();
        self.order.clear();
    }

    fn recall(&mut self, key: &[Value]) -> Option<Prediction> {
        let (used, said) = self.known.get_mut(key)?;
        self.uses += 1;
        if let Some(key) = self.order.remove(used) {
            self.order.insert(self.uses, key);
        }
        *used = self.uses;
        Some(said.clone())
    }

    fn remember(&mut self, key: Vec<Value>, said: Prediction) {
        self.uses += 1;
        match self.known.get(&key) {
            Some((used, _)) => {
                self.order.remove(used);
            }
            None if self.order.len() >= self.size => {
                if let Some((_, oldest)) = self.order.pop_first() {
                    self.known.remove(&oldest);
                }
            }
            None => {}
        }
        self.order.insert(self.uses, key.clone());
        self.known.insert(key, (self.uses, said));
    }

    fn save(&self, state: &mut State) {
        state.put("uses", &self.uses);
        state.put_each("remembered", &self.known);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.uses = counted("uses", state.get("uses")?)?;
        for (key, (used, said)) in state.each::<Vec<Value>, (u64, Prediction)>("remembered")? {
            let again =
                self.known.insert(key.clone(), (used, said)).is_some() || self.order.insert(used, key).is_some();
            let fits = !again && used <= self.uses && self.order.len() <= self.size;
            StateError::unless(fits, "remembered", "it is not what such questions leave behind")?;
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        let keys = self.order.values().map(|key| key.len() * size_of::<Value>());
        let one = size_of::<(Vec<Value>, u64, Prediction)>() + size_of::<(u64, Vec<Value>)>();
        2 * keys.sum::<usize>() + self.order.len() * one
    }
}
