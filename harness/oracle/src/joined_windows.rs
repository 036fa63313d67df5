//! Joins over windows: what is due when a watermark arrives.
//!
//! The model in words. All events that were taken in are in one plain list, until every window that they could be in is
//! complete. When the watermark grows, every window that has become complete is written down anew, and in it every
//! combination of its events is tried, stream by stream, with nothing beside those that an outer join keeps.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_scenarios::query::{Query, Window};
use wavetank_scenarios::script::{Future, LateBy, LateWhen, Operator, ResultStamp};
use wavetank_scenarios::{Event, EventId, Schema, Span, Time};

use crate::join::{Combination, OfCombination, Stream, agree, answer, streams};
use crate::windows::{Bounds, Shape};
use crate::{Arrival, Due, Reference, Why};

/// An event that was taken in.
#[derive(Clone)]
struct Held {
    stream: usize,
    event: Event,
    /// Windows that end up to here were complete when it came.
    shut_to: Time,
    caused: bool,
    failed: bool,
}

/// The naive model.
#[derive(Clone)]
pub(crate) struct JoinedWindows {
    query: Query,
    streams: Vec<Stream>,
    of_input: Vec<usize>,
    shape: Shape,
    patience: Span,
    future: Future,
    late_by: LateBy,
    stamp: ResultStamp,
    watermark: Time,
    held: Vec<Held>,
}

impl JoinedWindows {
    pub fn new(operator: &Operator, query: &Query, schemas: &[&Schema], tick: Span) -> Result<Self, String> {
        let (streams, of_input) = streams(operator, query, schemas)?;
        Ok(Self {
            query: query.clone(),
            streams,
            of_input,
            shape: Shape {
                window: query.window.clone().ok_or("the join has no window")?,
                tick,
                touching: operator.session_touching_merge,
                by_stamp: false,
            },
            patience: operator.horizon
                + match operator.late_when {
                    LateWhen::AtEnd => Span::ZERO,
                    LateWhen::TickBeforeEnd => -tick,
                    LateWhen::AfterEnd => tick,
                },
            future: operator.future,
            late_by: operator.late_by,
            stamp: operator.result_stamp,
            watermark: Time::MIN,
            held: vec![],
        })
    }

    /// Windows that end up to here are complete.
    fn complete_to(&self) -> Time {
        self.watermark + self.shape.tick
    }

    /// Every window that the held events make and that ends after `after`, and the places of its events.
    fn windows(&self, after: Time) -> Vec<(Bounds, Vec<usize>)> {
        if let Window::Session { gap } = self.shape.window {
            return self.sessions(gap);
        }
        let mut windows: BTreeMap<Bounds, Vec<usize>> = BTreeMap::new();
        for (i, h) in self.held.iter().enumerate() {
            let own = self.shape.on_grid(h.event.stamp, h.shut_to.max(after));
            for bounds in own.into_iter().flatten() {
                windows.entry(bounds).or_default().push(i);
            }
        }
        windows.into_iter().collect()
    }

    /// Chains of events whose keys are equal, pair by pair; an event whose key equals nothing, not even itself, stands
    /// alone.
    fn sessions(&self, gap: Span) -> Vec<(Bounds, Vec<usize>)> {
        let mut order: Vec<usize> = (0..self.held.len()).collect();
        order.sort_by_key(|i| self.held[*i].event.stamp);
        let mut sessions: Vec<Vec<usize>> = Vec::new();
        for i in order {
            let t = self.held[i].event.stamp;
            let near = |last: usize| {
                let end = self.held[last].event.stamp + gap;
                t < end || (self.shape.touching && t == end)
            };
            let same = |other: usize| self.same_key(&self.held[i], &self.held[other]);
            let own = sessions
                .iter_mut()
                .find(|s| s.last().is_some_and(|l| near(*l)) && s.first().is_some_and(|f| same(*f)));
            match own {
                Some(session) => session.push(i),
                None => sessions.push(vec![i]),
            }
        }
        let stamp = |i: Option<&usize>| i.map_or(Time::MIN, |i| self.held[*i].event.stamp);
        let mut all: Vec<(Bounds, Vec<usize>)> = sessions
            .into_iter()
            .map(|s| ((stamp(s.last()) + gap, stamp(s.first())), s))
            .collect();
        all.sort();
        all
    }

    /// The values by which the two streams must be equal, of one event.
    fn key(&self, held: &Held) -> Option<Vec<wavetank_scenarios::Value>> {
        let mut events = vec![None; 2];
        events[held.stream] = Some(held.event.clone());
        let alone = Combination {
            events,
            stamp: held.event.stamp,
        };
        let scope = OfCombination {
            streams: &self.streams,
            combination: &alone,
            window: None,
        };
        let mut key = Vec::new();
        for condition in &self.query.joins[0].on {
            let Some((left, right)) = crate::join::equality(condition, &self.streams, 1) else {
                continue;
            };
            match crate::expr::eval(if held.stream == 0 { left } else { right }, &scope) {
                Ok(value) if !value.is_null() => key.push(value),
                _ => return None,
            }
        }
        Some(key)
    }

    fn same_key(&self, a: &Held, b: &Held) -> bool {
        let (Some(a), Some(b)) = (self.key(a), self.key(b)) else {
            return false;
        };
        let equal = |(x, y): (&wavetank_scenarios::Value, &wavetank_scenarios::Value)| {
            crate::expr::compare(x, y) == Ok(Some(std::cmp::Ordering::Equal))
        };
        a.iter().zip(&b).all(equal)
    }

    fn event_time(&self, events: &[Option<Event>], end: Time) -> Time {
        let stamps: BTreeSet<Time> = events.iter().flatten().map(|e| e.stamp).collect();
        match self.stamp {
            ResultStamp::Last => end - self.shape.tick,
            ResultStamp::End => end,
            ResultStamp::Latest => stamps.last().copied().unwrap_or(end),
            ResultStamp::Earliest => stamps.first().copied().unwrap_or(end),
        }
    }

    /// Every combination of the events of a window.
    fn combinations(&self, places: &[usize], end: Time) -> Vec<Combination> {
        let of = |stream: usize| -> Vec<&Event> {
            let own = places.iter().filter(|i| self.held[**i].stream == stream);
            own.map(|i| &self.held[*i].event).collect()
        };
        let mut so_far: Vec<Vec<Option<Event>>> = of(0).into_iter().map(|e| vec![Some(e.clone())]).collect();
        for (k, join) in self.query.joins.iter().enumerate() {
            let rights = of(k + 1);
            let mut paired = BTreeSet::new();
            let mut next = Vec::new();
            for left in so_far {
                let mut alone = true;
                for right in &rights {
                    let mut events = left.clone();
                    events.push(Some((*right).clone()));
                    let stamp = self.event_time(&events, end);
                    let pair = Combination { events, stamp };
                    if agree(&join.on, &self.streams[..k + 2], &pair) {
                        alone = false;
                        paired.insert(right.id);
                        next.push(pair.events);
                    }
                }
                if alone && join.kind.keeps_left() {
                    next.push(left.into_iter().chain([None]).collect());
                }
            }
            for right in rights
                .iter()
                .filter(|r| join.kind.keeps_right() && !paired.contains(&r.id))
            {
                let mut events = vec![None; k + 1];
                events.push(Some((*right).clone()));
                next.push(events);
            }
            so_far = next;
        }
        let stamped = so_far.into_iter().map(|events| Combination {
            stamp: self.event_time(&events, end),
            events,
        });
        let mut all: Vec<Combination> = stamped.collect();
        all.sort_by_key(|c| (c.stamp, c.ids()));
        all
    }

    fn take(&mut self, stream: usize, event: &Event, now: Time) -> Option<Why> {
        if let Future::Refuse(tolerance) = self.future
            && event.stamp > now + tolerance
        {
            return Some(Why::Failed);
        }
        if self.late_by == LateBy::Event && self.watermark >= event.stamp {
            return Some(Why::Late);
        }
        let shut_to = self.complete_to();
        if let Some(mut all) = self.shape.on_grid(event.stamp, Time::MIN) {
            if all.next().is_none() {
                return Some(Why::Filtered);
            }
            let open = self.shape.on_grid(event.stamp, shut_to);
            if open.is_none_or(|mut open| open.next().is_none()) {
                return Some(Why::Late);
            }
        }
        if let Window::Session { gap } = self.shape.window
            && event.stamp + gap <= shut_to
        {
            return Some(Why::Late);
        }
        self.held.push(Held {
            stream,
            event: event.clone(),
            shut_to,
            caused: false,
            failed: false,
        });
        None
    }

    fn advance(&mut self, watermark: Time) -> Due {
        let before = self.complete_to();
        self.watermark = self.watermark.max(watermark - self.patience);
        let mut due = Due::default();
        let mut over: BTreeSet<EventId> = BTreeSet::new();
        let windows = self.windows(before);
        let mut firings: BTreeMap<Bounds, Vec<Combination>> = BTreeMap::new();
        for (bounds, places) in &windows {
            if bounds.0 <= self.complete_to() {
                firings
                    .entry(*bounds)
                    .or_default()
                    .extend(self.combinations(places, bounds.0));
            }
        }
        for ((end, start), mut combinations) in firings {
            combinations.sort_by_key(|c| (c.stamp, c.ids()));
            for combination in combinations {
                let result = answer(&self.query, &self.streams, &combination, Some((start, end)));
                let ids: Vec<EventId> = combination.ids().into_iter().flatten().collect();
                for h in self.held.iter_mut().filter(|h| ids.contains(&h.event.id)) {
                    h.caused |= result.is_ok();
                    h.failed |= matches!(result, Err(Why::Failed));
                }
                due.results.extend(result.ok());
            }
        }
        if let Window::Session { .. } = self.shape.window {
            for ((end, _), places) in &windows {
                if *end <= self.complete_to() {
                    over.extend(places.iter().map(|i| self.held[*i].event.id));
                }
            }
        } else {
            let past = |h: &&Held| {
                let open = self.shape.on_grid(h.event.stamp, self.complete_to());
                open.is_none_or(|mut open| open.next().is_none())
            };
            over.extend(self.held.iter().filter(past).map(|h| h.event.id));
        }
        for h in self.held.iter().filter(|h| over.contains(&h.event.id) && !h.caused) {
            due.dropped
                .push((h.event.id, if h.failed { Why::Failed } else { Why::Filtered }));
        }
        self.held.retain(|h| !over.contains(&h.event.id));
        due.dropped.sort_unstable();
        due
    }

    /// Results may still come for every instant after this.
    fn limit(&self) -> Time {
        if matches!(self.stamp, ResultStamp::Last | ResultStamp::End) {
            return self.watermark;
        }
        match self.shape.window {
            Window::Tumbling { size, .. } | Window::Hop { size, .. } => self.watermark - size,
            Window::Cumulate { max, .. } => self.watermark - max,
            Window::Session { gap } => {
                let first = self.held.iter().map(|h| h.event.stamp - self.shape.tick).min();
                first.unwrap_or(Time::MAX).min(self.watermark - gap)
            }
            _ => self.watermark,
        }
    }
}

impl Reference for JoinedWindows {
    fn arrive(&mut self, arrival: &Arrival) -> Due {
        let mut due = match arrival {
            Arrival::Event { input, event, now, .. } => {
                let stream = self.of_input.get(*input).copied().unwrap_or_default();
                let dropped = self.take(stream, event, *now).map(|why| (event.id, why));
                Due {
                    dropped: dropped.into_iter().collect(),
                    ..Due::default()
                }
            }
            Arrival::Watermark(watermark) => self.advance(*watermark),
            Arrival::Timer { .. } => Due::default(),
            Arrival::Crash => {
                self.held.clear();
                self.watermark = Time::MIN;
                Due::default()
            }
        };
        due.held = self.held.len() as u64;
        due.limit = Some(self.limit());
        due
    }
}
