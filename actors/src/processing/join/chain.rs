//! Joins over a distance in time, over versions and over last events: a chain of stages, one for each joined stream.
//!
//! What a stage pairs goes on to the next as a combination; what the last one pairs is a result. A combination waits on
//! the left of a stage until no event of its stream can be near enough any more, by the watermark; an event waits on
//! the right until no combination can come any more that is near enough. That is the watermark too, but held back by
//! what the stages before may still give: [`Chain::promised`].

use wavetank_scenarios::query::{Anchor, Query};
use wavetank_scenarios::script::{Future, Late, ResultStamp};
use wavetank_scenarios::{Event, Span, Time, script};

use super::names::Streams;
use super::parts::{PartId, Parts};
use super::results::{Results, Tuple, ids};
use super::stage::{Entry, Mode, Stage};
use crate::operator::{Operator, Output};
use crate::processing::{Surroundings, shift};
use crate::reliability::{State, StateError};

/// The parts of a saved state: what waits on the left of a stage, and on its right.
const LEFTS: &str = "lefts";
const RIGHTS: &str = "rights";

/// The operator.
#[derive(Debug)]
pub struct Chain {
    of_input: Vec<usize>,
    stages: Vec<Stage>,
    results: Results,
    parts: Parts,
    /// How far the watermark that counts is behind the one that comes.
    behind: Span,
    /// The watermark that counts.
    watermark: Time,
    tick: Span,
    side: bool,
    future: Future,
    earliest: bool,
    /// Combinations that are results of this step.
    ready: Vec<Tuple>,
}

impl Chain {
    /// Builds the stages.
    ///
    /// # Errors
    /// A condition or column that cannot be compiled.
    pub fn new(
        operator: &script::Operator,
        query: &Query,
        streams: &Streams,
        around: Surroundings<'_>,
    ) -> Result<Self, String> {
        let mut stages = Stage::of(query, streams, &operator.join)?;
        // Where a later stage measures time from stream x, everything that x's events wait in is watched.
        for later in 0..stages.len() {
            if let Anchor::Stream(x) = stages[later].anchor {
                for (k, stage) in stages.iter_mut().enumerate().take(later) {
                    if x <= k {
                        stage.lefts.guard(x);
                    } else if x == k + 1 {
                        stage.rights.guard(x);
                    }
                }
            }
        }
        let tick = around.tick;
        Ok(Self {
            of_input: streams.of_input.clone(),
            stages,
            results: Results::new(query, streams, around.lineage)?,
            parts: Parts::default(),
            behind: operator.horizon + shift(operator.late_when, tick),
            watermark: Time::MIN,
            tick,
            side: operator.late == Late::Side,
            future: operator.future,
            earliest: operator.result_stamp == ResultStamp::Earliest,
            ready: Vec::new(),
        })
    }

    /// No combination will come to this stage any more whose anchor is at or before this.
    fn promised(&self, stage: usize, anchor: Anchor) -> Time {
        let before = &self.stages[..stage];
        let first = match anchor {
            Anchor::Left => {
                let open = before
                    .iter()
                    .flat_map(|s| [s.lefts.first_open(), s.rights.first_open()]);
                open.flatten().min()
            }
            Anchor::Stream(x) => {
                let waiting = before.iter().flat_map(|s| [s.lefts.first_of(x), s.rights.first_of(x)]);
                waiting.flatten().min()
            }
        };
        first.map_or(self.watermark, |first| self.watermark.min(first - self.tick))
    }

    fn anchor(&self, stage: usize, tuple: &Tuple) -> Option<Time> {
        match self.stages[stage].anchor {
            Anchor::Left => Some(tuple.stamp),
            Anchor::Stream(x) => {
                let part = tuple.parts.get(x).copied().flatten();
                part.and_then(|id| self.parts.event(id)).map(|event| event.stamp)
            }
        }
    }

    /// The stamps of the streams that a side keeps track of.
    fn stamps(parts: &Parts, guarded: &[usize], tuple: &[Option<PartId>]) -> Vec<(usize, Time)> {
        let stamp = |stream: &usize| {
            let part = tuple.get(*stream).copied().flatten();
            Some((*stream, parts.event(part?)?.stamp))
        };
        guarded.iter().filter_map(stamp).collect()
    }

    fn wait_left(&mut self, k: usize, entry: Entry, open: bool) {
        self.parts.hold(&entry.tuple.parts);
        let mode = self.stages[k].mode;
        let side = &mut self.stages[k].lefts;
        let stamps = Self::stamps(&self.parts, &side.guarded(), &entry.tuple.parts);
        let seq = side.insert(entry, open, &stamps);
        if let Mode::Last { .. } = mode {
            side.queue.push_back(seq);
        }
    }
    fn wait_right(&mut self, k: usize, entry: Entry, open: bool) -> u64 {
        self.parts.hold(&entry.tuple.parts);
        let mode = self.stages[k].mode;
        let side = &mut self.stages[k].rights;
        let stamps = Self::stamps(&self.parts, &side.guarded(), &entry.tuple.parts);
        let seq = side.insert(entry, open, &stamps);
        if let Mode::Last { .. } = mode {
            side.queue.push_back(seq);
        }
        seq
    }
    fn leave_left(&mut self, k: usize, seq: u64) -> Option<Entry> {
        let (side, parts) = (&mut self.stages[k].lefts, &self.parts);
        let guarded = side.guarded();
        side.remove(seq, |entry| Self::stamps(parts, &guarded, &entry.tuple.parts))
    }
    fn leave_right(&mut self, k: usize, seq: u64) -> Option<Entry> {
        let (side, parts) = (&mut self.stages[k].rights, &self.parts);
        let guarded = side.guarded();
        side.remove(seq, |entry| Self::stamps(parts, &guarded, &entry.tuple.parts))
    }

    /// A combination with one more part.
    fn with(&self, tuple: &Tuple, part: Option<PartId>) -> Tuple {
        let mut parts = tuple.parts.clone();
        parts.push(part);
        let other = part.and_then(|id| self.parts.event(id)).map(|event| event.stamp);
        let stamp = match other {
            None => tuple.stamp,
            Some(other) if self.earliest => tuple.stamp.min(other),
            Some(other) => tuple.stamp.max(other),
        };
        Tuple { parts, stamp }
    }

    /// Whether the conditions besides the keys hold for a pair.
    fn agree(&self, k: usize, tuple: &Tuple) -> bool {
        let stage = &self.stages[k];
        !stage.has_conditions() || stage.agree(&self.results.row(&self.parts, &tuple.parts), tuple.stamp)
    }

    /// A combination comes to a stage, or is a result behind the last one.
    fn come(&mut self, k: usize, tuple: Tuple, out: &mut Output) {
        if k == self.stages.len() {
            self.parts.hold(&tuple.parts);
            self.ready.push(tuple);
            return;
        }
        let anchor = self.anchor(k, &tuple);
        let row = self.results.row(&self.parts, &tuple.parts);
        let key = self.stages[k].left_key(&row, tuple.stamp);
        let (kind, eager) = (self.stages[k].kind, self.stages[k].eager);
        match self.stages[k].mode {
            Mode::Interval { lower, upper } => {
                let matched = match (&key, anchor) {
                    (Some(key), Some(at)) => {
                        let near = self.stages[k].rights.between(key, at + lower, at + upper);
                        self.pair_left(k, &tuple, &near, out)
                    }
                    _ => false,
                };
                let waits = anchor.filter(|at| self.watermark < *at + upper);
                if !matched && kind.keeps_left() && (eager || waits.is_none()) {
                    let alone = self.with(&tuple, None);
                    self.come(k + 1, alone, out);
                }
                if let Some(at) = waits {
                    let open = self.earliest || (kind.keeps_left() && !eager && !matched);
                    let due = at + upper;
                    self.wait_left(
                        k,
                        Entry {
                            tuple,
                            at,
                            due,
                            key,
                            matched,
                        },
                        open,
                    );
                }
            }
            Mode::Version { .. } => match anchor.filter(|at| self.watermark < *at) {
                Some(at) => self.wait_left(
                    k,
                    Entry {
                        tuple,
                        at,
                        due: at,
                        key,
                        matched: false,
                    },
                    true,
                ),
                None => self.look_up(k, &tuple, key.as_ref(), anchor, out),
            },
            Mode::Current { .. } => self.look_up(k, &tuple, key.as_ref(), anchor, out),
            // Of windows another operator takes care.
            Mode::Window => {}
            Mode::Last { left, .. } => {
                let there = key
                    .as_ref()
                    .map(|key| self.stages[k].rights.between(key, Time::ZERO, Time::ZERO));
                let matched = self.pair_left(k, &tuple, &there.unwrap_or_default(), out);
                if !matched && kind.keeps_left() && eager {
                    let alone = self.with(&tuple, None);
                    self.come(k + 1, alone, out);
                }
                let open = self.earliest || (kind.keeps_left() && !eager && !matched);
                self.wait_left(k, Self::last(tuple, key, matched), open);
                if self.stages[k].lefts.len() as u64 > left
                    && let Some(oldest) = self.stages[k].lefts.queue.front().copied()
                {
                    self.end_left(k, oldest, out);
                }
            }
        }
    }

    /// Something that waits until it is pushed out.
    const fn last(tuple: Tuple, key: Option<wavetank_scenarios::Row>, matched: bool) -> Entry {
        Entry {
            tuple,
            at: Time::ZERO,
            due: Time::MAX,
            key,
            matched,
        }
    }

    /// Pairs a combination with what waits on the right; says whether anything matched.
    fn pair_left(&mut self, k: usize, tuple: &Tuple, near: &[u64], out: &mut Output) -> bool {
        let mut matched = false;
        for seq in near {
            let part = self.stages[k]
                .rights
                .get(*seq)
                .and_then(|e| e.tuple.parts.last().copied().flatten());
            let pair = self.with(tuple, part);
            if self.agree(k, &pair) {
                matched = true;
                self.stages[k].rights.matched(*seq, self.earliest);
                self.come(k + 1, pair, out);
            }
        }
        matched
    }

    /// Pairs a combination with the version that it finds.
    fn look_up(
        &mut self,
        k: usize,
        tuple: &Tuple,
        key: Option<&wavetank_scenarios::Row>,
        anchor: Option<Time>,
        out: &mut Output,
    ) {
        let (to, max_age) = match self.stages[k].mode {
            Mode::Version { max_age } => (anchor, max_age),
            Mode::Current { max_age } => (anchor.map(|_| Time::MAX), max_age),
            _ => (None, None),
        };
        let rights = &self.stages[k].rights;
        let found = key.zip(to).and_then(|(key, to)| rights.newest(key, to));
        let found = found.and_then(|seq| rights.get(seq)).filter(|version| {
            let age = anchor.map_or(Span::ZERO, |at| at.since(version.tuple.stamp));
            max_age.is_none_or(|most| age <= most)
        });
        let pair = found.and_then(|version| version.tuple.parts.last().copied().flatten());
        let pair = pair.map(|part| Tuple {
            stamp: tuple.stamp,
            ..self.with(tuple, Some(part))
        });
        match pair.filter(|pair| self.agree(k, pair)) {
            Some(pair) => self.come(k + 1, pair, out),
            None if self.stages[k].kind.keeps_left() => {
                let alone = self.with(tuple, None);
                self.come(k + 1, alone, out);
            }
            None => {}
        }
    }

    /// An event of the joined stream comes to its stage.
    fn come_right(&mut self, k: usize, part: PartId, out: &mut Output) {
        let Some((key, at)) = self.parts.event(part).map(|event| {
            let key = self.stages[k].right_key(&event.row, event.stamp);
            (key, event.stamp)
        }) else {
            return;
        };
        let (kind, eager) = (self.stages[k].kind, self.stages[k].eager);
        let mut parts = vec![None; k + 1];
        parts.push(Some(part));
        let tuple = Tuple { parts, stamp: at };
        match self.stages[k].mode {
            Mode::Interval { lower, upper } => {
                let near = key
                    .as_ref()
                    .map(|key| self.stages[k].lefts.between(key, at - upper, at - lower));
                let matched = self.pair_right(k, part, &near.unwrap_or_default(), out);
                let due = at - lower;
                let waits = self.promised(k, self.stages[k].anchor) < due;
                if !matched && kind.keeps_right() && (eager || !waits) {
                    self.come(k + 1, tuple.clone(), out);
                }
                if waits {
                    let open = self.earliest || (kind.keeps_right() && !eager && !matched);
                    self.wait_right(
                        k,
                        Entry {
                            tuple,
                            at,
                            due,
                            key,
                            matched,
                        },
                        open,
                    );
                }
            }
            Mode::Version { max_age } => {
                let Some(key) = key else { return };
                let entry = Entry {
                    tuple,
                    at,
                    due: Time::MAX,
                    key: Some(key.clone()),
                    matched: false,
                };
                let seq = self.wait_right(k, entry, false);
                let too_old = |at: Time| max_age.map_or(Time::MAX, |most| at + most);
                let rights = &mut self.stages[k].rights;
                let (before, behind) = rights.neighbours(&key, at, seq);
                let replaced = behind.map_or(Time::MAX, |(next, _)| next);
                rights.set_due(seq, replaced.min(too_old(at)));
                if let Some((before, old)) = before.and_then(|seq| Some((seq, rights.get(seq)?.at))) {
                    rights.set_due(before, at.min(too_old(old)));
                }
            }
            Mode::Window => {}
            Mode::Current { .. } => {
                let Some(key) = key else { return };
                let before = self.stages[k].rights.newest(&key, Time::MAX);
                if let Some(old) = before.and_then(|seq| self.leave_right(k, seq)) {
                    self.parts.release(&old.tuple.parts, out);
                }
                // By arrival, whatever the stamp.
                self.wait_right(k, Self::last(tuple, Some(key), false), false);
            }
            Mode::Last { right, .. } => {
                let there = key
                    .as_ref()
                    .map(|key| self.stages[k].lefts.between(key, Time::ZERO, Time::ZERO));
                let matched = self.pair_right(k, part, &there.unwrap_or_default(), out);
                if !matched && kind.keeps_right() && eager {
                    self.come(k + 1, tuple.clone(), out);
                }
                let open = self.earliest || (kind.keeps_right() && !eager && !matched);
                self.wait_right(k, Self::last(tuple, key, matched), open);
                if self.stages[k].rights.len() as u64 > right
                    && let Some(oldest) = self.stages[k].rights.queue.front().copied()
                {
                    self.end_right(k, oldest, out);
                }
            }
        }
    }

    /// Pairs an event with what waits on the left; says whether anything matched.
    fn pair_right(&mut self, k: usize, part: PartId, near: &[u64], out: &mut Output) -> bool {
        let mut matched = false;
        for seq in near {
            let Some(pair) = self.stages[k].lefts.get(*seq).map(|e| self.with(&e.tuple, Some(part))) else {
                continue;
            };
            if self.agree(k, &pair) {
                matched = true;
                self.stages[k].lefts.matched(*seq, self.earliest);
                self.come(k + 1, pair, out);
            }
        }
        matched
    }

    /// What waits on the left goes.
    fn end_left(&mut self, k: usize, seq: u64, out: &mut Output) {
        let Some(entry) = self.leave_left(k, seq) else { return };
        let stage = &self.stages[k];
        if let Mode::Version { .. } = stage.mode {
            self.look_up(k, &entry.tuple, entry.key.as_ref(), Some(entry.at), out);
        } else if !entry.matched && stage.kind.keeps_left() && !stage.eager {
            let alone = self.with(&entry.tuple, None);
            self.come(k + 1, alone, out);
        }
        self.parts.release(&entry.tuple.parts, out);
        self.tidy(k);
    }

    /// What waits on the right goes.
    fn end_right(&mut self, k: usize, seq: u64, out: &mut Output) {
        let Some(entry) = self.leave_right(k, seq) else { return };
        let stage = &self.stages[k];
        let pairs = matches!(stage.mode, Mode::Interval { .. } | Mode::Last { .. });
        if pairs && !entry.matched && stage.kind.keeps_right() && !stage.eager {
            self.come(k + 1, entry.tuple.clone(), out);
        }
        self.parts.release(&entry.tuple.parts, out);
        self.tidy(k);
    }

    /// Takes what is gone from the front of the queues.
    fn tidy(&mut self, k: usize) {
        let stage = &mut self.stages[k];
        for side in [&mut stage.lefts, &mut stage.rights] {
            while side.queue.front().is_some_and(|seq| side.get(*seq).is_none()) {
                side.queue.pop_front();
            }
        }
    }

    /// Everything goes whose time has come, and what is ready is given.
    fn settle(&mut self, out: &mut Output) {
        for k in 0..self.stages.len() {
            while let Some(seq) = self.stages[k].lefts.due(self.watermark) {
                self.end_left(k, seq, out);
            }
            let promised = self.promised(k, self.stages[k].anchor);
            while let Some(seq) = self.stages[k].rights.due(promised) {
                self.end_right(k, seq, out);
            }
        }
        let mut ready = std::mem::take(&mut self.ready);
        ready.sort_by_cached_key(|tuple| (tuple.stamp, ids(tuple, &self.parts)));
        for tuple in ready.drain(..) {
            self.results.give(&tuple, None, &mut self.parts, out);
            self.parts.release(&tuple.parts, out);
        }
        self.ready = ready;
    }
}

impl Operator for Chain {
    fn on_event(&mut self, input: usize, event: Event, now: Time, out: &mut Output) {
        let Some(stream) = self.of_input.get(input).copied() else {
            return out.failed(event, "it came on an input that is not joined");
        };
        if let Future::Refuse(tolerance) = self.future
            && event.stamp > now + tolerance
        {
            let ahead = event.stamp.since(now);
            let reason = format!("it is stamped {ahead} ahead of its arrival; at most {tolerance} is let in");
            return out.failed(event, reason);
        }
        let timeless = stream > 0 && matches!(self.stages[stream - 1].mode, Mode::Current { .. });
        if self.watermark >= event.stamp && !timeless {
            return out.late(event, self.side);
        }
        let stamp = event.stamp;
        let part = self.parts.take(event);
        if stream == 0 {
            let parts = vec![Some(part)];
            self.come(0, Tuple { parts, stamp }, out);
        } else {
            self.come_right(stream - 1, part, out);
        }
        self.settle(out);
        self.parts.release(&[Some(part)], out);
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        self.watermark = self.watermark.max(watermark - self.behind);
        self.settle(out);
    }

    fn watermark_limit(&self) -> Time {
        self.promised(self.stages.len(), Anchor::Left)
    }

    fn save(&self, state: &mut State) {
        state.put("watermark", &self.watermark);
        self.parts.save(state);
        let next = |stage: &Stage| (stage.lefts.next(), stage.rights.next());
        state.put("next", &self.stages.iter().map(next).collect::<Vec<_>>());
        for (k, stage) in self.stages.iter().enumerate() {
            stage.lefts.save(state, LEFTS, k);
            stage.rights.save(state, RIGHTS, k);
        }
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.watermark = state.get("watermark")?;
        self.parts = Parts::restore(state)?;
        let next: Vec<(u64, u64)> = state.get("next")?;
        StateError::unless(
            next.len() == self.stages.len(),
            "next",
            "it joins another number of streams",
        )?;
        for (stage, (left, right)) in self.stages.iter_mut().zip(next) {
            stage.lefts.begin_again(left)?;
            stage.rights.begin_again(right)?;
        }
        for part in [LEFTS, RIGHTS] {
            let right = part == RIGHTS;
            for ((k, seq), (entry, open)) in state.each::<(usize, u64), (Entry, bool)>(part)? {
                // On the left wait combinations of the streams so far, on the right one event in its place behind them.
                let streams = k.saturating_add(1 + usize::from(right));
                let fits = k < self.stages.len() && entry.tuple.parts.len() == streams;
                StateError::unless(fits, part, "a combination is of other streams")?;
                self.parts.hold_again(part, &entry.tuple.parts)?;
                let stage = &mut self.stages[k];
                let side = if right { &mut stage.rights } else { &mut stage.lefts };
                let stamps = Self::stamps(&self.parts, &side.guarded(), &entry.tuple.parts);
                side.restore(part, seq, (entry, open), &stamps)?;
            }
        }
        for stage in &mut self.stages {
            if let Mode::Last { .. } = stage.mode {
                stage.lefts.queue_all();
                stage.rights.queue_all();
            }
        }
        self.parts.all_held()
    }

    fn held(&self) -> u64 {
        self.parts.held()
    }

    fn state_bytes(&self) -> usize {
        self.parts.bytes() + self.stages.iter().map(Stage::bytes).sum::<usize>()
    }
}
