//! Windowed aggregation: what is due when an event or a watermark arrives.
//!
//! The model in words. All events that were taken in and whose windows have not closed are kept in a plain list. There is
//! one law: *the answers given so far, folded, are the answers of all complete windows*. So when the watermark grows, or
//! an event comes that is not after it, every window is written down anew from the list ([`crate::windows`]), those that
//! are complete are answered from scratch ([`crate::answer`]), and what differs from what was given is due. Then closed
//! windows are forgotten, with the events that are in no other window.
//!
//! An event is late for a window that is closed to it: `w ≥ last + horizon`, a tick less or more by `late_when`, where
//! `last` is the window's last instant (or the event's stamp, by `late_by`).

use std::collections::{BTreeMap, BTreeSet};

use wavetank_scenarios::query::{Expr, Query, Window};
use wavetank_scenarios::script::{Emit, Future, LateBy, LateWhen, Operator, WindowAlign, WindowBounds};
use wavetank_scenarios::{Change, Event, EventId, Pane, Row, Schema, Span, Time, Timing, Value};

use crate::answer::{Answer, Asked, Read};
use crate::expr::eval;
use crate::windows::{Bounds, Held, Shape};
use crate::{Arrival, Due, DueResult, Reference, Why};

/// The naive model of a query over windows of time.
#[derive(Clone)]
pub(crate) struct Windowed {
    pub(crate) asked: Asked,
    pub(crate) shape: Shape,
    future: Future,
    horizon: Span,
    late_when: LateWhen,
    late_by: LateBy,
    flush: bool,
    pub(crate) emit_empty: bool,
    emit: Option<Emit>,
    /// The window before its grid begins at an event.
    base: Window,
    bounds: WindowBounds,
    anchored: bool,
    pub(crate) state: State,
}

/// What a crash takes away.
#[derive(Clone)]
pub(crate) struct State {
    watermark: Time,
    pub held: Vec<Held>,
    /// The windows that have fired and are not closed yet.
    pub fired: BTreeSet<Bounds>,
    /// What was answered for them.
    pub given: BTreeMap<(Bounds, Row), Given>,
    /// The last window that has closed.
    pub closed: Bounds,
    /// The first and the last window on the grid that ever had an event.
    span: Option<(Bounds, Bounds)>,
    /// The event with the largest (stamp, id) that was taken in: what an answer without events goes back to.
    latest: Option<(Time, EventId, EventId)>,
    /// The grid has begun.
    anchored: bool,
    /// Until the watermark gets here nothing is due; a shortcut and nothing else.
    nothing_before: Time,
}

/// The last answer for a window and group.
#[derive(Clone)]
pub(crate) struct Given {
    pub result: DueResult,
    pub revision: u32,
    /// It was taken back.
    pub gone: bool,
}

impl State {
    const fn new() -> Self {
        Self {
            watermark: Time::MIN,
            held: Vec::new(),
            fired: BTreeSet::new(),
            given: BTreeMap::new(),
            closed: (Time::MIN, Time::MIN),
            span: None,
            latest: None,
            anchored: false,
            nothing_before: Time::MIN,
        }
    }
}

impl Windowed {
    pub fn new(operator: &Operator, query: &Query, schema: &Schema, tick: Span) -> Result<Self, String> {
        let asked = Asked::new(operator, query, schema, tick)?;
        if asked.has_sketch() && (operator.horizon > Span::ZERO || operator.emit.is_some()) {
            return Err(
                "with a `horizon` or `emit` a window answers again when its answer changes, and whether a sketch's does cannot be \
                 known; take an exact aggregate, or neither of them"
                    .into(),
            );
        }
        // Inside, every window is half-open, with its start: one that has its end instead begins and ends a tick later, one
        // that has both is a tick longer.
        let base = match (operator.bounds, query.window.clone().unwrap_or(Window::Global)) {
            (WindowBounds::End, window) => shifted(window, tick),
            (WindowBounds::Both, Window::Sliding { size, on_change }) => Window::Sliding {
                size: size + tick,
                on_change,
            },
            (_, window) => window,
        };
        Ok(Self {
            asked,
            base: base.clone(),
            bounds: operator.bounds,
            anchored: operator.align == WindowAlign::FirstEvent,
            shape: Shape {
                window: base,
                tick,
                touching: operator.session_touching_merge,
                by_stamp: operator.snapshot_by_stamp,
            },
            future: operator.future,
            horizon: operator.horizon,
            late_when: operator.late_when,
            late_by: operator.late_by,
            flush: operator.flush_at_end,
            // The bounds of sessions and staggered windows follow from their events: none is without.
            emit_empty: operator.emit_empty
                && query.group_by.is_empty()
                && !matches!(query.window, Some(Window::Session { .. } | Window::Stagger { .. })),
            emit: operator.emit,
            state: State::new(),
        })
    }

    /// Nothing with this last instant is taken in any more.
    pub(crate) fn shut(&self, last: Time) -> bool {
        self.state.watermark > Time::MIN && last + self.shape.tick <= self.shut_to()
    }

    /// How long after its last instant something shuts.
    fn patience(&self) -> Span {
        self.horizon
            + match self.late_when {
                LateWhen::AtEnd => Span::ZERO,
                LateWhen::TickBeforeEnd => -self.shape.tick,
                LateWhen::AfterEnd => self.shape.tick,
            }
    }

    /// Windows that end up to here are shut.
    fn shut_to(&self) -> Time {
        self.state.watermark + self.shape.tick - self.patience()
    }

    pub(crate) fn complete(&self, end: Time) -> bool {
        self.state.watermark >= self.last(end)
    }

    pub(crate) fn closed(&self, end: Time) -> bool {
        self.complete(end) && self.shut(self.last(end))
    }

    /// The last instant of what ends there.
    pub(crate) fn last(&self, end: Time) -> Time {
        end - self.shape.tick
    }

    /// A window as it is named in answers: start and end.
    pub(crate) fn shown(&self, (end, start): Bounds) -> (Time, Time) {
        let tick = self.shape.tick;
        match (self.bounds, &self.shape.window) {
            (WindowBounds::Start, _) => (start, end),
            (WindowBounds::End, _) => (start - tick, end - tick),
            (WindowBounds::Both, Window::Session { gap }) => (start, end - *gap),
            (WindowBounds::Both, _) => (start, end - tick),
        }
    }

    /// What says which answer for which window and group it is.
    pub(crate) fn pane(&self, (bounds, key): &(Bounds, Row), revision: u32, timing: Timing, change: Change) -> Pane {
        let (start, end) = self.shown(*bounds);
        Pane {
            start,
            end,
            key: key.clone(),
            revision,
            timing,
            change,
        }
    }

    /// How long the event lasts, where that matters.
    fn lasts(&self, event: &Event) -> Result<Span, String> {
        let Window::Snapshot { lasts } = &self.shape.window else {
            return Ok(Span::ZERO);
        };
        if self.shape.by_stamp {
            return Ok(Span::ZERO);
        }
        let lasts = match &**lasts {
            Expr::Span(span) => *span,
            other => match eval(other, &self.asked.scope(event))? {
                Value::Int(seconds) => Span::from_micros(seconds.saturating_mul(1_000_000)),
                Value::Float(seconds) => Span::from_secs_f64(seconds),
                other => return Err(format!("it lasts `{other}`, which is no number of seconds")),
            },
        };
        if lasts <= Span::ZERO {
            return Err(format!("it lasts {lasts}, so it never is in a window"));
        }
        Ok(lasts)
    }

    /// What the query sees of an event, or why it sees nothing.
    pub(crate) fn read(&self, event: &Event, now: Time) -> Result<Read, Why> {
        if let Future::Refuse(tolerance) = self.future
            && event.stamp > now + tolerance
        {
            return Err(Why::Failed);
        }
        match self.asked.wanted(event) {
            Ok(true) => self.asked.read(event).map_err(|_| Why::Failed),
            Ok(false) => Err(Why::Filtered),
            Err(_) => Err(Why::Failed),
        }
    }

    /// Takes an event in, or says why not.
    fn take(&mut self, event: &Event, now: Time) -> Result<(), Why> {
        let held = Held {
            read: self.read(event, now)?,
            lasts: self.lasts(event).map_err(|_| Why::Failed)?,
            shut_to: self.shut_to(),
            said: BTreeSet::new(),
            caused: false,
            failed: false,
        };
        if self.anchored && !self.state.anchored {
            self.state.anchored = true;
            self.shape.window = shifted(self.base.clone(), event.stamp.since(Time::ZERO));
        }
        let in_none = self
            .shape
            .on_grid(event.stamp, Time::MIN)
            .is_some_and(|mut all| all.next().is_none());
        if in_none {
            return Err(Why::Filtered);
        }
        if self.late_by == LateBy::Event && self.shut(event.stamp) {
            return Err(Why::Late);
        }
        match &self.shape.window {
            Window::Sliding { .. } | Window::Snapshot { .. } if self.shut(event.stamp) => return Err(Why::Late),
            Window::Global if self.shut(Time::MAX) => return Err(Why::Late),
            _ => {}
        }
        if let Some(open) = self.shape.on_grid(event.stamp, held.shut_to) {
            let open: Vec<Bounds> = open.collect();
            let (Some(first), Some(last)) = (open.first().copied(), open.last().copied()) else {
                return Err(Why::Late);
            };
            // What was complete without an event stays unsaid.
            let first = (
                first.0.max(self.state.watermark + self.shape.tick + Span::UNIT),
                first.1,
            );
            let (earliest, latest) = self.state.span.unwrap_or((first, last));
            self.state.span = Some((earliest.min(first), latest.max(last)));
        }
        self.state.held.push(held);
        // A session reaches a gap beyond each of its events, a staggered window beyond each: most cannot be closed.
        let at_least = match self.shape.window {
            Window::Session { gap } => self.last(event.stamp + gap),
            Window::Stagger { .. } => event.stamp,
            _ => return Ok(()),
        };
        if self.shut(at_least) {
            let place = self.state.held.len() - 1;
            let windows = self.shape.windows(&self.state.held, self.state.closed, Time::MAX);
            let own = windows.iter().find(|(_, events)| events.contains(&place));
            if own.is_some_and(|((end, _), _)| self.shut(self.last(*end))) {
                self.state.held.pop();
                return Err(Why::Late);
            }
        }
        Ok(())
    }

    /// All windows that are complete (and those that are not, where that depends on other events), also those without
    /// events where they are asked for.
    pub(crate) fn windows(&self) -> BTreeMap<Bounds, Vec<usize>> {
        let until = self.state.watermark + self.shape.tick;
        let mut windows = self.shape.windows(&self.state.held, self.state.closed, until);
        if let (true, Some((first, last))) = (self.emit_empty, self.state.span) {
            let until = if until == Time::MAX { last } else { (until, Time::MAX) };
            for bounds in self.shape.grid(self.state.closed, first, until) {
                windows.entry(bounds).or_default();
            }
        }
        windows.retain(|_, events| self.emit_empty || !events.is_empty());
        windows
    }

    /// The rows of a firing, as [`Asked::firing`] works them out.
    pub(crate) fn firing(&self, bounds: Option<(Time, Time)>, events: &[&Read]) -> (Vec<Answer>, Vec<usize>) {
        let bounds = bounds.map(|(start, end)| self.shown((end, start)));
        let (mut rows, failed) = self.asked.firing(bounds, events);
        for answer in rows.iter_mut().filter(|answer| answer.events.is_empty()) {
            answer.correlation = self.state.latest.map_or(EventId::default(), |(.., source)| source);
            answer.origins = vec![answer.correlation];
        }
        (rows, failed)
    }

    /// The difference between the answers of the complete windows and what was given. A watermark moves no event, so
    /// behind one only windows that have not fired need to be looked at.
    fn difference(&mut self, timing: Timing) -> Vec<DueResult> {
        let mut windows = self.windows();
        windows.retain(|(end, _), _| self.complete(*end));
        if timing == Timing::OnTime {
            windows.retain(|bounds, _| !self.state.fired.contains(bounds));
        }
        let mut answers: Vec<(Bounds, Answer, Vec<usize>)> = Vec::new();
        for (bounds, places) in &windows {
            let (end, start) = *bounds;
            let has_bounds = end != Time::MAX;
            let held = &self.state.held;
            let events: Vec<&Read> = places.iter().map(|i| &held[*i].read).collect();
            let (rows, failed) = self.firing(has_bounds.then_some((start, end)), &events);
            for i in failed {
                self.state.held[places[i]].failed = true;
            }
            for answer in rows {
                let members = answer.events.iter().map(|i| places[*i]).collect();
                answers.push((*bounds, answer, members));
            }
        }
        let mut due = Vec::new();
        if timing == Timing::Late {
            let standing: BTreeSet<(Bounds, Row)> = answers.iter().map(|(b, a, _)| (*b, a.key.clone())).collect();
            let given = self.state.given.iter().filter(|(_, given)| !given.gone);
            let gone = given
                .map(|(identity, _)| identity)
                .filter(|identity| !standing.contains(*identity));
            for identity in gone.cloned().collect::<Vec<_>>() {
                due.extend(self.take_back(&identity, timing, Change::Delete));
            }
        }
        for (bounds, answer, members) in answers {
            let identity = (bounds, answer.key.clone());
            let before = self.state.given.get(&identity);
            let standing = before.is_some_and(|g| !g.gone);
            if standing && before.is_some_and(|g| g.result.row == answer.row) {
                continue;
            }
            let change = if standing { Change::UpdateAfter } else { Change::Insert };
            due.push(self.give(&identity, answer, &members, timing, change));
        }
        self.state.fired.extend(windows.into_keys());
        due
    }

    /// Gives an answer, which stands from now on; its events have caused a result.
    pub(crate) fn give(
        &mut self,
        identity: &(Bounds, Row),
        answer: Answer,
        members: &[usize],
        timing: Timing,
        change: Change,
    ) -> DueResult {
        let revision = self.state.given.get(identity).map_or(0, |given| given.revision + 1);
        let result = DueResult {
            stamp: answer.stamp,
            row: answer.row,
            bounds: answer.bounds,
            pane: Some(self.pane(identity, revision, timing, change)),
            correlation: answer.correlation,
            origins: answer.origins,
        };
        for i in members {
            self.state.held[*i].caused = true;
        }
        let given = Given {
            result: result.clone(),
            revision,
            gone: false,
        };
        self.state.given.insert(identity.clone(), given);
        result
    }

    /// Gives a standing answer again, as taken back.
    pub(crate) fn take_back(&mut self, identity: &(Bounds, Row), timing: Timing, change: Change) -> Option<DueResult> {
        let given = self.state.given.get_mut(identity)?;
        given.gone = change == Change::Delete;
        given.revision += 1;
        let (result, revision) = (given.result.clone(), given.revision);
        Some(DueResult {
            pane: Some(self.pane(identity, revision, timing, change)),
            ..result
        })
    }

    /// Forgets closed windows and the events that are in no other, and says how those ended that caused nothing.
    fn forget(&mut self) -> Vec<(EventId, Why)> {
        let windows = self.windows();
        let mut over = vec![self.state.watermark == Time::MAX; self.state.held.len()];
        for ((end, _), places) in &windows {
            let in_one = matches!(
                self.shape.window,
                Window::Session { .. } | Window::Stagger { .. } | Window::Global
            );
            if in_one && self.closed(*end) {
                places.iter().for_each(|i| over[*i] = true);
            }
        }
        let held = std::mem::take(&mut self.state.held);
        for (h, over) in held.iter().zip(&mut over) {
            *over |= self.gone_at(h).is_some_and(|end| self.closed(end));
        }
        let mut dropped = Vec::new();
        for (h, over) in held.into_iter().zip(over) {
            match (over, h.caused, h.failed) {
                (false, ..) => self.state.held.push(h),
                (true, true, _) => {}
                (true, false, true) => dropped.push((h.read.event.id, Why::Failed)),
                (true, false, false) => dropped.push((h.read.event.id, Why::Filtered)),
            }
        }
        dropped.sort_unstable();
        let past = windows.keys().filter(|(end, _)| self.closed(*end)).max().copied();
        self.state.closed = past.unwrap_or(self.state.closed).max(self.state.closed);
        let (fired, given) = (
            std::mem::take(&mut self.state.fired),
            std::mem::take(&mut self.state.given),
        );
        self.state.fired = fired.into_iter().filter(|(end, _)| !self.closed(*end)).collect();
        self.state.given = given
            .into_iter()
            .filter(|(((end, _), _), _)| !self.closed(*end))
            .collect();
        self.state.nothing_before = self.next();
        dropped
    }

    /// The end of the last window that can have this event in it, or comes of its leaving; `None` where that depends on
    /// other events.
    fn gone_at(&self, held: &Held) -> Option<Time> {
        let stamp = held.read.event.stamp;
        match self.shape.window {
            Window::Tumbling { size, offset } => Some(stamp.floor_to(size, offset) + size),
            Window::Hop { size, every, offset } => Some(stamp.floor_to(every, offset) + size),
            Window::Cumulate { max, step, offset } => {
                let longest = max.micros() / step.micros() * step.micros();
                Some(stamp.floor_to(max, offset) + Span::from_micros(longest))
            }
            Window::Sliding { size, on_change: true } => Some(stamp + size + self.shape.tick),
            Window::Sliding { size, .. } => Some(stamp + size),
            Window::Snapshot { .. } if self.shape.by_stamp => Some(stamp + self.shape.tick),
            Window::Snapshot { .. } => Some(stamp + held.lasts),
            _ => None,
        }
    }

    /// The next watermark at which a window can fire or close or an event leave.
    fn next(&self) -> Time {
        if self.emit_empty && self.state.span.is_some() {
            return Time::MIN;
        }
        let closes = |end: Time| self.last(end).max(self.last(end) + self.patience());
        let windows = self.windows();
        let firing = windows
            .keys()
            .filter(|b| !self.state.fired.contains(*b))
            .map(|b| self.last(b.0));
        let closing = windows.keys().chain(&self.state.fired).map(|b| closes(b.0));
        let complete = self.state.watermark + self.shape.tick;
        let held = self.state.held.iter().flat_map(|h| {
            let leaves = self.gone_at(h).map(closes);
            let own = self.shape.on_grid(h.read.event.stamp, h.shut_to.max(complete));
            let fires = own.and_then(|mut open| open.next()).map(|(end, _)| self.last(end));
            let sliding = matches!(self.shape.window, Window::Sliding { .. });
            let instant = (sliding && h.read.event.stamp > self.state.watermark).then_some(h.read.event.stamp);
            [leaves, fires, instant].into_iter().flatten()
        });
        // What an event leaves behind at a moment that is past waits for a window to close, which is among them.
        let ahead = |t: &Time| *t > self.state.watermark;
        firing
            .chain(closing)
            .chain(held)
            .filter(ahead)
            .min()
            .unwrap_or(Time::MAX)
    }
}

/// A window whose grid begins later.
fn shifted(window: Window, by: Span) -> Window {
    match window {
        Window::Tumbling { size, offset } => Window::Tumbling {
            size,
            offset: offset + by,
        },
        Window::Hop { size, every, offset } => Window::Hop {
            size,
            every,
            offset: offset + by,
        },
        Window::Cumulate { max, step, offset } => Window::Cumulate {
            max,
            step,
            offset: offset + by,
        },
        other => other,
    }
}

impl Reference for Windowed {
    fn arrive(&mut self, arrival: &Arrival) -> Due {
        let mut due = Due::default();
        match arrival {
            Arrival::Event { event, now, .. } => match self.take(event, *now) {
                Err(why) => due.dropped.push((event.id, why)),
                Ok(()) => {
                    let newest = Some((event.stamp, event.id, event.correlation));
                    self.state.latest = self.state.latest.max(newest);
                    if let Some(emit) = self.emit {
                        due.results = self.after_event(emit);
                    } else if event.stamp - self.shape.tick <= self.state.watermark {
                        due.results = self.difference(Timing::Late);
                    }
                    // No window of this event is over before its own stamp is, and no session before the gap is.
                    let gap = if let Window::Session { gap } = self.shape.window {
                        gap
                    } else {
                        Span::ZERO
                    };
                    let earliest = event.stamp + gap - self.shape.tick - self.shape.tick;
                    let own = self.shape.on_grid(event.stamp, self.shut_to());
                    let first = own.and_then(|mut open| open.next());
                    let first = first.map_or(earliest, |(end, _)| self.last(end) - self.shape.tick);
                    self.state.nothing_before = self.state.nothing_before.min(first);
                }
            },
            Arrival::Watermark(Time::MAX) if !self.flush => {}
            Arrival::Watermark(w) => {
                self.state.watermark = self.state.watermark.max(*w);
                let each = self
                    .emit
                    .is_some_and(|emit| [emit.early, emit.late].iter().flatten().any(|t| t.watermark));
                if each || self.state.watermark >= self.state.nothing_before {
                    due.results = match self.emit {
                        Some(emit) => self.after_watermark(emit),
                        None => self.difference(Timing::OnTime),
                    };
                    due.dropped = self.forget();
                }
            }
            Arrival::Timer { token, .. } => {
                if let Some(emit) = self.emit {
                    due.results = self.after_timer(*token, emit);
                }
            }
            Arrival::Crash => {
                self.state = State::new();
                self.shape.window = self.base.clone();
            }
        }
        due.held = self.state.held.len() as u64;
        due
    }
}
