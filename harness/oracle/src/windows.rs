//! Which windows there are, given the events that are held.
//!
//! The model in words: look at all events held, and write down every window that they make, with the events in it. A
//! window on a grid is there when an event is in it; a session is a chain of events that are near enough to each other; a
//! staggered window opens at the first event that is in no window yet; a sliding window ends with each event; a snapshot
//! lies between two instants at which something begins or ends to last.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_scenarios::query::Window;
use wavetank_scenarios::{Row, Span, Time};

use crate::answer::Read;

/// A window's end and start, in this order: so windows sort as they fire. Without bounds: the ends of the axis.
pub(crate) type Bounds = (Time, Time);

/// An event that was taken in.
#[derive(Clone)]
pub(crate) struct Held {
    pub read: Read,
    /// Snapshots: how long it lasts.
    pub lasts: Span,
    /// Windows on a grid: those that end up to here were closed to it when it came.
    pub shut_to: Time,
    /// The windows in which it was part of an answer, where there are triggers.
    pub said: BTreeSet<Bounds>,
    /// A result goes back to it.
    pub caused: bool,
    /// A result that it was in could not be computed.
    pub failed: bool,
}

/// What decides which windows there are.
#[derive(Clone)]
pub(crate) struct Shape {
    pub window: Window,
    pub tick: Span,
    /// Sessions that touch merge.
    pub touching: bool,
    /// Snapshots: by stamp.
    pub by_stamp: bool,
}

impl Shape {
    /// The windows on the grid that contain `stamp` and end after `after`, as they fire; `None` for windows on no grid.
    pub fn on_grid(&self, stamp: Time, after: Time) -> Option<Box<dyn Iterator<Item = Bounds>>> {
        let hops = |size: Span, every: Span, offset: Span| -> Box<dyn Iterator<Item = Bounds>> {
            // The first start whose end lies after both: one grid step behind the last whose end does not.
            let first = (stamp.max(after) - size).floor_to(every, offset) + every;
            let starts = std::iter::successors(Some(first), move |start| Some(*start + every));
            Box::new(
                starts
                    .take_while(move |s| *s <= stamp && after < Time::MAX)
                    .map(move |s| (s + size, s)),
            )
        };
        match self.window {
            Window::Tumbling { size, offset } => Some(hops(size, size, offset)),
            Window::Hop { size, every, offset } => Some(hops(size, every, offset)),
            Window::Cumulate { max, step, offset } => {
                let start = stamp.floor_to(max, offset);
                let ends =
                    (1..=max.micros() / step.micros()).map(move |k| start + Span::from_micros(k * step.micros()));
                Some(Box::new(
                    ends.filter(move |end| *end > stamp && *end > after)
                        .map(move |end| (end, start)),
                ))
            }
            _ => None,
        }
    }

    /// The windows on the grid after `after` up to `last`, with events or without.
    pub fn grid(&self, after: Bounds, first: Bounds, last: Bounds) -> Vec<Bounds> {
        let (size, every) = match self.window {
            Window::Tumbling { size, .. } => (size, size),
            Window::Hop { size, every, .. } => (size, every),
            Window::Cumulate { max, .. } => (max, max),
            _ => return vec![],
        };
        let mut start = first.1;
        if after.0 > first.0 {
            let whole = after.0.since(first.0).micros() / every.micros() - size.micros() / every.micros() - 1;
            start += Span::from_micros(whole.max(0) * every.micros());
        }
        // A cumulating window that starts earlier may end later than one that starts later begins: look one period back.
        start = start - every;
        let mut found = Vec::new();
        while start <= last.0 {
            found.extend(match self.window {
                Window::Cumulate { step, .. } => (1..=size.micros() / step.micros())
                    .map(|k| (start + Span::from_micros(k * step.micros()), start))
                    .collect(),
                _ => vec![(start + size, start)],
            });
            start += every;
        }
        found.retain(|bounds| *bounds > after && *bounds >= first && *bounds <= last);
        found.sort_unstable();
        found
    }

    /// Every window that the held events make, and the places of the events in it. `closed` is the last window that has
    /// closed: instants up to it are over. Of windows whose bounds do not depend on other events only those that end up to
    /// `until` are written down.
    pub fn windows(&self, held: &[Held], closed: Bounds, until: Time) -> BTreeMap<Bounds, Vec<usize>> {
        let mut windows: BTreeMap<Bounds, Vec<usize>> = BTreeMap::new();
        match self.window {
            Window::Tumbling { .. } | Window::Hop { .. } | Window::Cumulate { .. } => {
                for (i, h) in held.iter().enumerate() {
                    let own = self.on_grid(h.read.event.stamp, h.shut_to.max(closed.0));
                    for bounds in own.into_iter().flatten().take_while(|(end, _)| *end <= until) {
                        windows.entry(bounds).or_default().push(i);
                    }
                }
            }
            Window::Session { gap } => {
                let touching = self.touching;
                let chain = |first: Time, last: Time, t: Time| {
                    (t < last + gap || (touching && t == last + gap)).then_some((first, t))
                };
                self.chains(held, chain, |first, last| (last + gap, first), &mut windows);
            }
            Window::Stagger { size } => {
                let chain = |first: Time, _: Time, t: Time| (t < first + size).then_some((first, t));
                self.chains(held, chain, |first, _| (first + size, first), &mut windows);
            }
            Window::Sliding { size, on_change } => {
                let mut instants: BTreeSet<Time> = held.iter().map(|h| h.read.event.stamp).collect();
                if on_change {
                    instants.extend(held.iter().map(|h| h.read.event.stamp + size));
                }
                for t in instants {
                    let bounds = (t + self.tick, t + self.tick - size);
                    if bounds.0 > closed.0 && bounds.0 <= until {
                        let inside = |h: &Held| h.read.event.stamp > t - size && h.read.event.stamp <= t;
                        windows.insert(bounds, places(held, inside));
                    }
                }
            }
            Window::Snapshot { .. } if self.by_stamp => {
                for (i, h) in held.iter().enumerate() {
                    let t = h.read.event.stamp;
                    windows.entry((t + self.tick, t)).or_default().push(i);
                }
            }
            Window::Snapshot { .. } => {
                let begins = held.iter().map(|h| h.read.event.stamp);
                let ends = held.iter().map(|h| h.read.event.stamp + h.lasts);
                let mut instants: BTreeSet<Time> = begins.chain(ends).filter(|t| *t >= closed.0).collect();
                if closed.0 > Time::MIN {
                    instants.insert(closed.0);
                }
                for (&a, &b) in instants.iter().zip(instants.iter().skip(1)) {
                    let lasting = places(held, |h| h.read.event.stamp <= a && h.read.event.stamp + h.lasts >= b);
                    if !lasting.is_empty() {
                        windows.insert((b, a), lasting);
                    }
                }
            }
            Window::Global => {
                if !held.is_empty() {
                    windows.insert((Time::MAX, Time::MIN), (0..held.len()).collect());
                }
            }
            Window::Length(_) | Window::LengthBatch(_) => {}
        }
        windows
    }

    /// For each group: its events in order of time, cut where `next` says that one does not belong to those before it
    /// (the first and last stamp so far, and its own).
    fn chains(
        &self,
        held: &[Held],
        next: impl Fn(Time, Time, Time) -> Option<(Time, Time)>,
        bounds: impl Fn(Time, Time) -> Bounds,
        windows: &mut BTreeMap<Bounds, Vec<usize>>,
    ) {
        let mut groups: BTreeMap<&Row, Vec<usize>> = BTreeMap::new();
        for (i, h) in held.iter().enumerate() {
            groups.entry(&h.read.key).or_default().push(i);
        }
        for mut members in groups.into_values() {
            members.sort_by_key(|i| held[*i].read.event.stamp);
            let mut open: Option<(Time, Time)> = None;
            let mut chain: Vec<usize> = Vec::new();
            for i in members {
                let t = held[i].read.event.stamp;
                match open.map(|(first, last)| ((first, last), next(first, last, t))) {
                    Some((_, Some(longer))) => open = Some(longer),
                    Some(((first, last), None)) => {
                        windows.entry(bounds(first, last)).or_default().append(&mut chain);
                        open = Some((t, t));
                    }
                    None => open = Some((t, t)),
                }
                chain.push(i);
            }
            if let Some((first, last)) = open {
                windows.entry(bounds(first, last)).or_default().append(&mut chain);
            }
        }
    }
}

fn places(held: &[Held], inside: impl Fn(&Held) -> bool) -> Vec<usize> {
    (0..held.len()).filter(|i| inside(&held[*i])).collect()
}
