//! Sequential convey: what a split must give to whom.
//!
//! The model in words. Events get the numbers 0, 1, 2, … in order of arrival. Where an event goes follows from its row (by
//! hash, ring, type or predicates), from how many went before it (one after the other), or from what has been given and
//! not been told to be done (load); then every move so far is followed, in its order: whoever has the key is asked, and if
//! it is the old owner of a key that moves, it is the new one. After so many numbers the split tells how far they have
//! come: everyone, or those who got none of them. Moves wait for each other; between the request for the state and the
//! state itself the events of the moving keys carry the number of the move.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_scenarios::numbering::{EPOCH, Moves, Moving, Progress, Sequence, key_hash, ring_place};
use wavetank_scenarios::query::Expr;
use wavetank_scenarios::script::{Convey, Gaps, Route};
use wavetank_scenarios::topology::Port;
use wavetank_scenarios::{Event, EventId, Row, Schema, Time, Value};

use crate::expr::{OfEvent, holds};

/// Something that a split or a sub-stream must send, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Sent {
    /// An event, with its place in the sequence.
    Event(Port, EventId, Sequence),
    /// Progress. Of state only which move it belongs to.
    Progress(Port, Progress),
}

/// The naive model of a split.
#[derive(Clone)]
pub struct Split {
    settings: Convey,
    schema: Schema,
    incarnation: u64,
    /// All numbers since it entered: whom each was given to.
    given: Vec<u32>,
    /// How many of them have been told of.
    told: usize,
    /// How many of them have been looked at for hot sub-streams.
    looked_at: usize,
    /// Given, and not told to be done.
    outstanding: Vec<(u32, u64)>,
    moves: Vec<Arc<Moving>>,
    waiting: Vec<(u32, u32, Moves)>,
    under_way: bool,
    started: Option<Time>,
    ended: bool,
}

impl Split {
    /// The split of a conveyed operator whose input has these fields.
    pub fn new(settings: &Convey, schema: &Schema) -> Self {
        Self {
            settings: settings.clone(),
            schema: schema.clone(),
            incarnation: 0,
            given: vec![],
            told: 0,
            looked_at: 0,
            outstanding: vec![],
            moves: vec![],
            waiting: vec![],
            under_way: false,
            started: None,
            ended: false,
        }
    }

    /// Its node crashed.
    pub fn crash(&mut self) {
        *self = Self {
            incarnation: self.incarnation + 1,
            started: self.started,
            ..Self::new(&self.settings, &self.schema)
        };
    }

    /// It entered, at that reading of its monotonic clock.
    pub fn enter(&mut self, at: Time) -> Vec<Sent> {
        let started = *self.started.get_or_insert(at);
        let mut due: Vec<usize> = (0..self.settings.moves.len()).collect();
        due.retain(|k| started + self.settings.moves[*k].at <= at);
        due.sort_by_key(|k| (self.settings.moves[*k].at, *k));
        due.into_iter().for_each(|k| self.declared(k));
        self.next_move().into_iter().collect()
    }

    /// The moment of a declared move has come.
    pub fn moment(&mut self, k: usize) -> Vec<Sent> {
        if k >= self.settings.moves.len() {
            return vec![];
        }
        self.declared(k);
        self.next_move().into_iter().collect()
    }

    /// The timer for messages about progress.
    pub fn tick(&mut self) -> Vec<Sent> {
        if self.given.len() > self.told && !self.over() {
            self.tell()
        } else {
            vec![]
        }
    }

    /// An event came.
    pub fn event(&mut self, event: &Event) -> Vec<Sent> {
        let number = self.next();
        let (stream, last_move) = self.owner(event);
        self.given.push(stream);
        if matches!(self.settings.by, Route::Load) {
            self.outstanding.push((stream, number));
        }
        let sequence = Sequence {
            number,
            part: 0,
            last: true,
            after: last_move
                .filter(|id| self.under_way && self.moves.last().is_some_and(|m| m.id == *id))
                .unwrap_or(0),
        };
        let mut sent = vec![Sent::Event(Port::Stream(stream), event.id, sequence)];
        let tells = matches!(self.settings.gaps, Gaps::Processed | Gaps::EndOfSequence);
        if tells && self.given.len() - self.told >= self.settings.events as usize {
            sent.extend(self.tell());
        }
        sent.extend(self.heat());
        sent
    }

    /// A sub-stream told something.
    pub fn answer(&mut self, stream: u32, progress: &Progress) -> Vec<Sent> {
        match progress {
            Progress::Done(below) => {
                self.outstanding.retain(|(to, number)| *to != stream || number >= below);
                vec![]
            }
            Progress::State(moved) => {
                if self.moves.last().is_some_and(|last| last.id == moved.moving.id) {
                    self.under_way = false;
                }
                let mut sent = vec![Sent::Progress(Port::Stream(moved.moving.to), progress.clone())];
                sent.extend(self.next_move());
                sent
            }
            _ => vec![],
        }
    }

    /// All inputs have ended. What is due with the end comes with [`Split::last`].
    pub const fn end(&mut self) {
        self.ended = true;
    }

    /// Whether the end may be passed on: when no state is under way any more.
    pub const fn over(&self) -> bool {
        self.ended && !self.under_way
    }

    /// What is due just before the end is passed on: to tell the last number.
    pub fn last(&self) -> Vec<Sent> {
        match self.settings.gaps {
            Gaps::Processed | Gaps::EndOfSequence => {
                let to = 0..self.settings.streams;
                to.map(|stream| Sent::Progress(Port::Stream(stream), Progress::Given(self.next())))
                    .collect()
            }
            Gaps::Skip | Gaps::None => vec![],
        }
    }

    fn next(&self) -> u64 {
        self.incarnation * EPOCH + self.given.len() as u64
    }

    fn tell(&mut self) -> Vec<Sent> {
        let lately = &self.given[self.told..];
        let all = self.settings.gaps == Gaps::EndOfSequence;
        let to = (0..self.settings.streams).filter(|stream| all || !lately.contains(stream));
        let sent = to.map(|stream| Sent::Progress(Port::Stream(stream), Progress::Given(self.next())));
        let sent = sent.collect();
        self.told = self.given.len();
        sent
    }

    /// Whose an event is, and the last move that its key was part of.
    fn owner(&self, event: &Event) -> (u32, Option<u32>) {
        let field = |name: &String| {
            let slot = self.schema.slot(name);
            slot.and_then(|slot| event.row.get(slot)).cloned().unwrap_or_default()
        };
        let key: Vec<Value> = self.settings.by.key().unwrap_or_default().iter().map(field).collect();
        let active = self.settings.streams - self.settings.spare;
        let mut owner = match &self.settings.by {
            Route::Key(_) => (key_hash(&key, 0) % u64::from(active)) as u32,
            Route::Ring { points, .. } => {
                // The nearest place at or behind the key, around the ring.
                let hash = key_hash(&key, 0);
                let all = (0..active).flat_map(|stream| (0..*points).map(move |point| (stream, point)));
                let far = all.map(|(stream, point)| (ring_place(stream, point).wrapping_sub(hash), stream));
                far.min().map_or(0, |(_, stream)| stream)
            }
            Route::Type { to, otherwise, .. } => {
                let known = to
                    .iter()
                    .find(|(name, _)| key[0] != Value::Null && key[0].to_string() == **name);
                known.map_or(*otherwise, |(_, stream)| *stream)
            }
            Route::Predicates(predicates) => {
                let scope = OfEvent {
                    schema: &self.schema,
                    row: &event.row,
                    stamp: event.stamp,
                    called: &[],
                    window: None,
                };
                let is_true = |expr: &Expr| holds(expr, &scope).unwrap_or(false);
                let true_ones = predicates.iter().enumerate().filter(|(_, p)| is_true(&p.expr));
                let first = true_ones.map(|(i, _)| i).next();
                first.unwrap_or(predicates.len()) as u32
            }
            Route::Load => {
                let load = |stream: u32| self.outstanding.iter().filter(|(to, _)| *to == stream).count();
                (0..active).min_by_key(|stream| (load(*stream), *stream)).unwrap_or(0)
            }
            Route::RoundRobin => (self.given.len() % active as usize) as u32,
        };
        let mut last = None;
        for moving in &self.moves {
            if moving.from == owner && moving.takes(&key) {
                owner = moving.to;
                last = Some(moving.id);
            }
        }
        (owner, last)
    }

    fn declared(&mut self, k: usize) {
        let moving = &self.settings.moves[k];
        let row = |key: &Vec<wavetank_scenarios::script::Scalar>| -> Row { key.iter().map(Value::from).collect() };
        let keys = match moving.share {
            Some(share) => Moves::Share(share, k as u64),
            None => Moves::Keys(moving.keys.iter().map(row).collect()),
        };
        self.waiting.push((moving.from, moving.to, keys));
    }

    fn next_move(&mut self) -> Option<Sent> {
        if self.under_way || self.ended || self.waiting.is_empty() {
            return None;
        }
        let (from, to, keys) = self.waiting.remove(0);
        let moving = Arc::new(Moving {
            id: self.id(),
            from,
            to,
            cut: self.next(),
            keys,
        });
        self.under_way = true;
        self.moves.push(Arc::clone(&moving));
        Some(Sent::Progress(Port::Stream(from), Progress::Give(moving)))
    }

    /// The next move's number: no two moves have the same, in any incarnation.
    fn id(&self) -> u32 {
        ((self.incarnation as u32) << 16) + self.moves.len() as u32 + 1
    }

    /// Looks for a hot sub-stream among the events since it last looked.
    fn heat(&mut self) -> Option<Sent> {
        let hot = self.settings.hot?;
        let lately = &self.given[self.looked_at..];
        if lately.len() < hot.events as usize {
            return None;
        }
        self.looked_at = self.given.len();
        let mut counts: BTreeMap<u32, usize> = (0..self.settings.streams).map(|stream| (stream, 0)).collect();
        lately
            .iter()
            .for_each(|stream| *counts.entry(*stream).or_default() += 1);
        let all = lately.len() as f64;
        let most = counts.values().copied().max()?;
        let least = counts.values().copied().min()?;
        let from = *counts.iter().find(|(_, n)| **n == most)?.0;
        let to = *counts.iter().find(|(_, n)| **n == least)?.0;
        if most as f64 <= hot.share * all || from == to || self.under_way || !self.waiting.is_empty() {
            return None;
        }
        let salt = (1 << 32) + u64::from(self.id());
        self.waiting.push((from, to, Moves::Share(0.5, salt)));
        self.next_move()
    }
}
