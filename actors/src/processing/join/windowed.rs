//! Joins of the events of one window: kept until the window is complete, then put together by key.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use wavetank_scenarios::query::{Query, Window};
use wavetank_scenarios::script::{Future, Late, LateBy, ResultStamp};
use wavetank_scenarios::{Event, Row, Span, Time, script};

use super::names::Streams;
use super::parts::{PartId, Parts};
use super::results::{Results, Tuple, ids};
use super::stage::Stage;
use crate::operator::{Dropped, Operator, Output};
use crate::processing::{Surroundings, shift};
use crate::reliability::{State, StateError, counted};

/// End and start of a window: so windows sort as they are given.
type Bounds = (Time, Time);

/// The operator.
#[derive(Debug)]
pub struct Windowed {
    of_input: Vec<usize>,
    stages: Vec<Stage>,
    results: Results,
    parts: Parts,
    window: Window,
    touching: bool,
    behind: Span,
    watermark: Time,
    tick: Span,
    side: bool,
    future: Future,
    late_by: LateBy,
    stamp: ResultStamp,
    /// Open windows on the grid, and the events of each stream in them.
    grid: BTreeMap<Bounds, Vec<Vec<PartId>>>,
    sessions: Sessions,
}

/// Open sessions.
#[derive(Debug, Default)]
struct Sessions {
    all: FxHashMap<u64, Session>,
    by_key: FxHashMap<Row, Vec<u64>>,
    by_end: BTreeSet<(Time, Time, u64)>,
    stamps: BTreeSet<(Time, PartId)>,
    next: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Session {
    /// Nothing joins one without a key.
    key: Option<Row>,
    first: Time,
    last: Time,
    events: Vec<Vec<PartId>>,
}

impl Windowed {
    /// Builds the operator.
    ///
    /// # Errors
    /// A condition or column that cannot be compiled, or a window that streams are not joined over.
    pub fn new(
        operator: &script::Operator,
        query: &Query,
        streams: &Streams,
        around: Surroundings<'_>,
    ) -> Result<Self, String> {
        let stages = Stage::of(query, streams, &operator.join)?;
        let window = query.window.clone().ok_or("the join has no window")?;
        if !matches!(
            window,
            Window::Tumbling { .. } | Window::Hop { .. } | Window::Cumulate { .. } | Window::Session { .. }
        ) {
            return Err("streams are joined over tumbling, hop, cumulate and session windows".into());
        }
        let tick = around.tick;
        Ok(Self {
            of_input: streams.of_input.clone(),
            stages,
            results: Results::new(query, streams, around.lineage)?,
            parts: Parts::default(),
            window,
            touching: operator.session_touching_merge,
            behind: operator.horizon + shift(operator.late_when, tick),
            watermark: Time::MIN,
            tick,
            side: operator.late == Late::Side,
            future: operator.future,
            late_by: operator.late_by,
            stamp: operator.result_stamp,
            grid: BTreeMap::new(),
            sessions: Sessions::default(),
        })
    }

    fn is_complete(&self, end: Time) -> bool {
        self.watermark >= end - self.tick
    }

    /// The windows on the grid around a stamp, as (end, start); `None` for sessions.
    fn around(&self, stamp: Time) -> Option<Vec<Bounds>> {
        let hops = |size: Span, every: Span, offset: Span| {
            let mut start = stamp.floor_to(every, offset);
            let mut found = Vec::new();
            while start + size > stamp {
                found.push((start + size, start));
                start = start - every;
            }
            found
        };
        match self.window {
            Window::Tumbling { size, offset } => Some(hops(size, size, offset)),
            Window::Hop { size, every, offset } => Some(hops(size, every, offset)),
            Window::Cumulate { max, step, offset } => {
                let start = stamp.floor_to(max, offset);
                let steps = 1..=max.micros() / step.micros();
                let ends = steps.map(|k| start + Span::from_micros(k * step.micros()));
                Some(ends.filter(|end| *end > stamp).map(|end| (end, start)).collect())
            }
            _ => None,
        }
    }

    /// How long before the watermark's successor an event of an open window may lie.
    const fn reach(&self) -> Span {
        match self.window {
            Window::Tumbling { size, .. } | Window::Hop { size, .. } => size,
            Window::Cumulate { max, .. } => max,
            Window::Session { gap } => gap,
            _ => Span::ZERO,
        }
    }

    /// Puts an event into its windows; says whether there was one that is open.
    fn place(&mut self, part: PartId, stream: usize, open: &[Bounds]) {
        let streams = self.stages.len() + 1;
        for bounds in open {
            let window = self.grid.entry(*bounds).or_insert_with(|| vec![vec![]; streams]);
            window[stream].push(part);
            self.parts.hold(&[Some(part)]);
        }
    }

    /// Puts an event into the session of its key.
    fn place_in_session(&mut self, part: PartId, stream: usize, stamp: Time, key: Option<Row>, gap: Span) {
        let touching = self.touching;
        let near = |s: &Session| {
            let (from, to) = (s.first - gap, s.last + gap);
            (stamp > from && stamp < to) || (touching && (stamp == from || stamp == to))
        };
        let sessions = &mut self.sessions;
        let known: Vec<u64> = key
            .as_ref()
            .and_then(|key| sessions.by_key.get(key))
            .cloned()
            .unwrap_or_default();
        let (merged, apart): (Vec<u64>, Vec<u64>) =
            known.into_iter().partition(|id| sessions.all.get(id).is_some_and(near));
        let mut session = Session {
            key: key.clone(),
            first: stamp,
            last: stamp,
            events: vec![vec![]; self.stages.len() + 1],
        };
        session.events[stream].push(part);
        for id in merged {
            if let Some(old) = sessions.all.remove(&id) {
                sessions.by_end.remove(&(old.last + gap, old.first, id));
                session.first = session.first.min(old.first);
                session.last = session.last.max(old.last);
                for (events, more) in session.events.iter_mut().zip(old.events) {
                    events.extend(more);
                }
            }
        }
        let id = sessions.next;
        sessions.next += 1;
        sessions.by_end.insert((session.last + gap, session.first, id));
        sessions.stamps.insert((stamp, part));
        if let Some(key) = key {
            let mut apart = apart;
            apart.push(id);
            sessions.by_key.insert(key, apart);
        }
        sessions.all.insert(id, session);
        self.parts.hold(&[Some(part)]);
    }

    fn event_time(&self, tuple: &[Option<PartId>], (end, _): Bounds) -> Time {
        let stamps = tuple
            .iter()
            .flatten()
            .filter_map(|id| self.parts.event(*id))
            .map(|event| event.stamp);
        match self.stamp {
            ResultStamp::Last => end - self.tick,
            ResultStamp::End => end,
            ResultStamp::Latest => stamps.max().unwrap_or(end),
            ResultStamp::Earliest => stamps.min().unwrap_or(end),
        }
    }

    /// All combinations of the events of one window.
    fn combine(&self, events: &[Vec<PartId>], bounds: Bounds) -> Vec<Tuple> {
        let mut tuples: Vec<Vec<Option<PartId>>> = events[0].iter().map(|part| vec![Some(*part)]).collect();
        for (k, (stage, rights)) in self.stages.iter().zip(&events[1..]).enumerate() {
            let mut by_key: FxHashMap<Row, Vec<usize>> = FxHashMap::default();
            for (i, part) in rights.iter().enumerate() {
                let event = self.parts.event(*part);
                if let Some(key) = event.and_then(|event| stage.right_key(&event.row, event.stamp)) {
                    by_key.entry(key).or_default().push(i);
                }
            }
            let mut matched = vec![false; rights.len()];
            let mut out = Vec::new();
            for tuple in tuples {
                let stamp = self.event_time(&tuple, bounds);
                let key = stage.left_key(&self.results.row(&self.parts, &tuple), stamp);
                let mut alone = true;
                for i in key.and_then(|key| by_key.get(&key)).into_iter().flatten() {
                    let mut pair = tuple.clone();
                    pair.push(Some(rights[*i]));
                    if !stage.has_conditions() || stage.agree(&self.results.row(&self.parts, &pair), stamp) {
                        matched[*i] = true;
                        alone = false;
                        out.push(pair);
                    }
                }
                if alone && stage.kind.keeps_left() {
                    let mut tuple = tuple;
                    tuple.push(None);
                    out.push(tuple);
                }
            }
            if stage.kind.keeps_right() {
                for (part, matched) in rights.iter().zip(matched) {
                    if !matched {
                        let mut tuple = vec![None; k + 1];
                        tuple.push(Some(*part));
                        out.push(tuple);
                    }
                }
            }
            tuples = out;
        }
        let stamped = tuples.into_iter().map(|parts| Tuple {
            stamp: self.event_time(&parts, bounds),
            parts,
        });
        stamped.collect()
    }

    /// Gives what complete windows hold.
    fn settle(&mut self, out: &mut Output) {
        let mut complete: Vec<(Bounds, Vec<Vec<PartId>>)> = Vec::new();
        while let Some((bounds, _)) = self.grid.first_key_value()
            && self.is_complete(bounds.0)
        {
            complete.extend(self.grid.pop_first());
        }
        while let Some((end, start, id)) = self.sessions.by_end.first().copied()
            && self.is_complete(end)
        {
            self.sessions.by_end.pop_first();
            let Some(session) = self.sessions.all.remove(&id) else {
                continue;
            };
            if let Some(key) = &session.key
                && let Some(alike) = self.sessions.by_key.get_mut(key)
            {
                alike.retain(|other| *other != id);
                if alike.is_empty() {
                    self.sessions.by_key.remove(key);
                }
            }
            for part in session.events.iter().flatten() {
                if let Some(event) = self.parts.event(*part) {
                    self.sessions.stamps.remove(&(event.stamp, *part));
                }
            }
            complete.push(((end, start), session.events));
        }
        let mut ready: Vec<(Bounds, Tuple)> = Vec::new();
        for (bounds, events) in &complete {
            ready.extend(self.combine(events, *bounds).into_iter().map(|tuple| (*bounds, tuple)));
        }
        ready.sort_by_cached_key(|(bounds, tuple)| (*bounds, tuple.stamp, ids(tuple, &self.parts)));
        for ((end, start), tuple) in &ready {
            self.results.give(tuple, Some((*start, *end)), &mut self.parts, out);
        }
        for (_, events) in complete {
            let events: Vec<Option<PartId>> = events.into_iter().flatten().map(Some).collect();
            self.parts.release(&events, out);
        }
    }
}

/// The parts of a saved state.
const WINDOWS: &str = "windows";
const SESSIONS: &str = "sessions";

impl Windowed {
    /// The events of a window that was saved are held by it again.
    fn take_back(&mut self, part: &str, events: &[Vec<PartId>]) -> Result<(), StateError> {
        let streams = self.stages.len() + 1;
        StateError::unless(events.len() == streams, part, "it joins another number of streams")?;
        let all: Vec<Option<PartId>> = events.iter().flatten().copied().map(Some).collect();
        self.parts.hold_again(part, &all)
    }

    /// A session that was saved is open again.
    fn take_session(&mut self, id: u64, session: Session) -> Result<(), StateError> {
        let Window::Session { gap } = self.window else {
            return Err(StateError::of(SESSIONS, "the windows of this join are none"));
        };
        let sessions = &mut self.sessions;
        if let Some(key) = &session.key {
            sessions.by_key.entry(key.clone()).or_default().push(id);
        }
        sessions.by_end.insert((session.last + gap, session.first, id));
        for part in session.events.iter().flatten() {
            let stamp = self.parts.event(*part).map(|event| event.stamp);
            sessions.stamps.extend(stamp.map(|stamp| (stamp, *part)));
        }
        sessions.all.insert(id, session);
        Ok(())
    }
}

impl Operator for Windowed {
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
        let stamp = event.stamp;
        if self.late_by == LateBy::Event && self.watermark >= stamp {
            return out.late(event, self.side);
        }
        if let Some(windows) = self.around(stamp) {
            if windows.is_empty() {
                return out.dropped(event.id, Dropped::Filtered);
            }
            let open: Vec<Bounds> = windows.into_iter().filter(|(end, _)| !self.is_complete(*end)).collect();
            if open.is_empty() {
                return out.late(event, self.side);
            }
            let part = self.parts.take(event);
            self.place(part, stream, &open);
            return self.parts.release(&[Some(part)], out);
        }
        let Window::Session { gap } = self.window else {
            return out.failed(event, "it belongs to no window");
        };
        if self.is_complete(stamp + gap) {
            return out.late(event, self.side);
        }
        let stage = &self.stages[0];
        let key = if stream == 0 {
            let mut row = Vec::new();
            super::names::append(&mut row, self.results.widths[0], Some(&event));
            stage.left_key(&row, stamp)
        } else {
            stage.right_key(&event.row, stamp)
        };
        let part = self.parts.take(event);
        self.place_in_session(part, stream, stamp, key, gap);
        self.parts.release(&[Some(part)], out);
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        self.watermark = self.watermark.max(watermark - self.behind);
        self.settle(out);
    }

    fn watermark_limit(&self) -> Time {
        if matches!(self.stamp, ResultStamp::Last | ResultStamp::End) {
            return self.watermark;
        }
        let first = self
            .sessions
            .stamps
            .first()
            .map_or(Time::MAX, |(stamp, _)| *stamp - self.tick);
        first.min(self.watermark - self.reach())
    }

    fn save(&self, state: &mut State) {
        state.put("watermark", &self.watermark);
        self.parts.save(state);
        state.put_each(WINDOWS, &self.grid);
        state.put("next-session", &self.sessions.next);
        state.put_each(SESSIONS, &self.sessions.all);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.watermark = state.get("watermark")?;
        self.parts = Parts::restore(state)?;
        self.grid.clear();
        for (bounds, events) in state.each::<Bounds, Vec<Vec<PartId>>>(WINDOWS)? {
            self.take_back(WINDOWS, &events)?;
            let twice = self.grid.insert(bounds, events).is_some();
            StateError::unless(!twice, WINDOWS, "a window is there twice")?;
        }
        self.sessions = Sessions {
            next: counted("next-session", state.get("next-session")?)?,
            ..Sessions::default()
        };
        // Those of one key stand in the order in which they began.
        let sessions: BTreeMap<u64, Session> = state.each(SESSIONS)?.into_iter().collect();
        for (id, session) in sessions {
            StateError::unless(
                id < self.sessions.next,
                SESSIONS,
                "a session has a number that was not given out",
            )?;
            self.take_back(SESSIONS, &session.events)?;
            self.take_session(id, session)?;
        }
        self.parts.all_held()
    }

    fn held(&self) -> u64 {
        self.parts.held()
    }

    fn state_bytes(&self) -> usize {
        let placed: usize = self.grid.values().flatten().map(Vec::len).sum();
        let windows = self.grid.len() + self.sessions.all.len();
        self.parts.bytes() + placed * size_of::<PartId>() + windows * size_of::<(Bounds, Session)>()
    }
}
