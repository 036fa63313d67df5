//! Early and late answers: which windows and groups answer when, and what an answer holds.
//!
//! The model in words. Each event held knows in which of its windows it has been part of an answer (been *said*). A window
//! and group has something new to say when some event of it has not been said there. When a trigger goes off, a window
//! completes, or a window closes with something new to say, then it is answered: everything in it is worked out from
//! scratch and compared with what was given; or, with discarding panes, only what has not been said. Sessions have no
//! lasting bounds: there an event that was said in any session is said.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_scenarios::query::Window;
use wavetank_scenarios::script::{Emit, Panes, Trigger};
use wavetank_scenarios::{Change, Row, Time, Timing};

use crate::DueResult;
use crate::answer::{Answer, Read};
use crate::windowed::Windowed;
use crate::windows::Bounds;

/// The token of the timer of late triggers; that of early ones is 0.
const LATE: u64 = 1;

/// Which groups of which windows are to be answered; `None` for all groups of a window.
type Asked = BTreeMap<Bounds, Option<BTreeSet<Row>>>;

impl Windowed {
    /// An event came, the last one held: what is answered because of it.
    pub(crate) fn after_event(&mut self, emit: Emit) -> Vec<DueResult> {
        let newest = self.state.held.len() - 1;
        let windows = self.own_windows(newest).unwrap_or_else(|| self.all_windows());
        let key = self.state.held[newest].read.key.clone();
        let mut asked = Asked::new();
        for ((end, start), events) in &windows {
            let bounds = (*end, *start);
            if self.complete(*end) {
                self.state.fired.insert(bounds);
            }
            if !events.contains(&newest) {
                continue;
            }
            let once = Trigger {
                count: Some(1),
                ..Trigger::default()
            };
            let trigger = match self.complete(*end) {
                true => emit.late.unwrap_or(once),
                false => emit.early.unwrap_or_default(),
            };
            let new = self
                .new_in(bounds, events)
                .iter()
                .filter(|i| self.state.held[**i].read.key == key)
                .count();
            if trigger.count.is_some_and(|n| new as u64 >= n) {
                asked.insert(bounds, self.groups(emit, [key.clone()].into()));
            }
        }
        // Only sessions change their bounds.
        let vanished = match (&self.shape.window, emit.panes) {
            (Window::Session { .. }, Panes::Accumulating | Panes::Retracting) => self.vanished(&windows),
            _ => vec![],
        };
        if self.asked.query.limit.is_some() {
            // What is gone makes room for other groups that have the same window.
            asked.extend(vanished.iter().map(|(bounds, _)| (*bounds, None)));
        }
        self.answer(&windows, &asked, vanished, emit, false)
    }

    /// A timer of triggers went off.
    pub(crate) fn after_timer(&mut self, token: u64, emit: Emit) -> Vec<DueResult> {
        let windows = self.all_windows();
        let late = token == LATE;
        let wanted = |this: &Self, (end, _): Bounds| this.complete(end) == late && (late || !this.shut(this.last(end)));
        let asked = self.with_news(&windows, emit, wanted);
        self.answer(&windows, &asked, vec![], emit, false)
    }

    /// The watermark has grown: windows that are complete now answer one by one, then those that have something new to say
    /// and close, or answer at watermarks.
    pub(crate) fn after_watermark(&mut self, emit: Emit) -> Vec<DueResult> {
        let windows = self.all_windows();
        let mut due = Vec::new();
        for bounds in windows.keys().copied().collect::<Vec<_>>() {
            if self.complete(bounds.0) && self.state.fired.insert(bounds) {
                let asked = Asked::from([(bounds, None)]);
                due.extend(self.answer(&windows, &asked, vec![], emit, true));
            }
        }
        let wanted = |this: &Self, (end, _): Bounds| {
            let trigger = if this.complete(end) { emit.late } else { emit.early };
            let shut_early = !this.complete(end) && this.shut(this.last(end));
            this.closed(end) || (trigger.is_some_and(|t| t.watermark) && !shut_early)
        };
        let asked = self.with_news(&windows, emit, wanted);
        due.extend(self.answer(&windows, &asked, vec![], emit, false));
        due
    }

    /// All windows of what is held, complete or not, and those without events where they are asked for.
    fn all_windows(&self) -> BTreeMap<Bounds, Vec<usize>> {
        let mut all = self.shape.windows(&self.state.held, self.state.closed, Time::MAX);
        for (bounds, events) in self.windows() {
            all.entry(bounds).or_insert(events);
        }
        all
    }

    /// The windows on a grid that an event is in; `None` for windows on no grid.
    fn own_windows(&self, place: usize) -> Option<BTreeMap<Bounds, Vec<usize>>> {
        let event = &self.state.held[place];
        let own = self
            .shape
            .on_grid(event.read.event.stamp, event.shut_to.max(self.state.closed.0))?;
        let inside = |(end, start): Bounds| {
            let held = self.state.held.iter().enumerate();
            let inside = held.filter(|(_, h)| {
                let stamp = h.read.event.stamp;
                stamp >= start && stamp < end && end > h.shut_to
            });
            inside.map(|(i, _)| i).collect()
        };
        Some(own.map(|bounds| (bounds, inside(bounds))).collect())
    }

    /// The windows that `wanted` names and the groups in them that have something new to say.
    fn with_news(
        &self,
        windows: &BTreeMap<Bounds, Vec<usize>>,
        emit: Emit,
        wanted: impl Fn(&Self, Bounds) -> bool,
    ) -> Asked {
        let mut asked = Asked::new();
        for (bounds, events) in windows {
            let new = self.new_in(*bounds, events);
            if !new.is_empty() && wanted(self, *bounds) {
                let keys = new.iter().map(|i| self.state.held[*i].read.key.clone());
                asked.insert(*bounds, self.groups(emit, keys.collect()));
            }
        }
        asked
    }

    /// With `limit` a row's place depends on the other groups, so that all are worked out.
    fn groups(&self, emit: Emit, keys: BTreeSet<Row>) -> Option<BTreeSet<Row>> {
        let all = self.asked.query.limit.is_some() && emit.panes != Panes::Discarding;
        (!all).then_some(keys)
    }

    /// Under which name an event remembers that it was said in a window.
    fn said_as(&self, bounds: Bounds) -> Bounds {
        match self.shape.window {
            Window::Session { .. } => (Time::MAX, Time::MIN),
            _ => bounds,
        }
    }

    fn new_in(&self, bounds: Bounds, events: &[usize]) -> Vec<usize> {
        let name = self.said_as(bounds);
        let unsaid = |i: &usize| !self.state.held[*i].said.contains(&name);
        events.iter().copied().filter(unsaid).collect()
    }

    /// Standing answers of windows that are no more.
    fn vanished(&self, windows: &BTreeMap<Bounds, Vec<usize>>) -> Vec<(Bounds, Row)> {
        let there = |(bounds, key): &(Bounds, Row)| {
            let events = windows.get(bounds);
            events
                .is_some_and(|events| events.is_empty() || events.iter().any(|i| self.state.held[*i].read.key == *key))
        };
        let standing = self.state.given.iter().filter(|(_, given)| !given.gone);
        standing
            .map(|(identity, _)| identity.clone())
            .filter(|identity| !there(identity))
            .collect()
    }

    /// Answers what is asked, behind the deletion of what has vanished.
    fn answer(
        &mut self,
        windows: &BTreeMap<Bounds, Vec<usize>>,
        asked: &Asked,
        vanished: Vec<(Bounds, Row)>,
        emit: Emit,
        on_time: bool,
    ) -> Vec<DueResult> {
        let mut deleted = vanished;
        let mut answers: Vec<(Bounds, Answer, Vec<usize>)> = Vec::new();
        for (bounds, groups) in asked {
            let all = windows.get(bounds).cloned().unwrap_or_default();
            let of = |key: &Row| groups.as_ref().is_none_or(|groups| groups.contains(key));
            let mut places = match emit.panes {
                Panes::Discarding => self.new_in(*bounds, &all),
                _ => all,
            };
            places.retain(|i| of(&self.state.held[*i].read.key));
            if places.is_empty() && (emit.panes == Panes::Discarding || !self.emit_empty) {
                continue;
            }
            let (end, start) = *bounds;
            let events: Vec<&Read> = places.iter().map(|i| &self.state.held[*i].read).collect();
            let (rows, failed) = self.firing((end != Time::MAX).then_some((start, end)), &events);
            for i in failed {
                self.state.held[places[i]].failed = true;
            }
            let name = self.said_as(*bounds);
            for i in &places {
                self.state.held[*i].said.insert(name);
            }
            if emit.panes != Panes::Discarding {
                let answered: BTreeSet<&Row> = rows.iter().map(|answer| &answer.key).collect();
                let given = self.state.given.iter();
                let lost =
                    given.filter(|((b, key), given)| b == bounds && of(key) && !given.gone && !answered.contains(key));
                deleted.extend(lost.map(|(identity, _)| identity.clone()));
            }
            for answer in rows {
                let members: Vec<usize> = answer.events.iter().map(|i| places[*i]).collect();
                answers.push((*bounds, answer, members));
            }
        }
        let timing = |this: &Self, (end, _): Bounds| match (on_time, this.complete(end)) {
            (true, _) => Timing::OnTime,
            (false, true) => Timing::Late,
            (false, false) => Timing::Early,
        };
        let mut due = Vec::new();
        deleted.sort();
        deleted.dedup();
        for identity in deleted {
            let timing = timing(self, identity.0);
            due.extend(self.take_back(&identity, timing, Change::Delete));
        }
        for (bounds, answer, members) in answers {
            let identity = (bounds, answer.key.clone());
            let timing = timing(self, bounds);
            let before = self.state.given.get(&identity);
            let standing = before.filter(|given| !given.gone);
            let change = match (emit.panes, standing) {
                (Panes::Discarding, _) => Change::Part,
                (_, Some(given)) if given.result.row == answer.row => continue,
                (_, Some(_)) => Change::UpdateAfter,
                (_, None) => Change::Insert,
            };
            if emit.panes == Panes::Retracting && change == Change::UpdateAfter {
                due.extend(self.take_back(&identity, timing, Change::UpdateBefore));
            }
            due.push(self.give(&identity, answer, &members, timing, change));
        }
        due
    }
}
