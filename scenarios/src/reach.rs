//! How far back an operator's answers reach: which events must be read again when its state is gone.
//!
//! The answers of an operator with a *bounded* reach depend on events alone that lie not longer before them than a certain
//! time. When everything up to the watermark `w` has been answered, and the answers have been passed on, events before
//! [`Back::since`] can matter no more. An operator that begins afresh, is given all events from there on, and keeps to
//! itself what it has answered before (stamps up to [`Back::given`]) goes on as if nothing had happened:
//!
//! - windows that were not complete are answered from all their events;
//! - windows that were answered once, and some of whose events are not read again, are not answered again from the rest;
//! - what was answered after `w`, and before the crash, is answered again, the same: whoever reads it must recognise it
//!   by its window and key, or by the event that it goes back to.
//!
//! An operator whose reach is *unbounded* would go on otherwise: with a fresh state the same events do not lead to the
//! same answers. It needs its state to be saved.

use crate::query::{JoinBound, JoinKind, Limit, Query, Window};
use crate::script::{
    AfterMatch, Body, Future, GatherClock, LateWhen, LearnOrder, Operator, Order, Panes, Precedence, Restart,
    ResultStamp, Since, TransformStep, Versions, Watermark, WatermarkKind, WindowAlign, WindowBounds,
};
use crate::sequence::{Part, Tree};
use crate::time::{Span, Time};

/// How far back an operator's answers reach.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reach {
    /// So far.
    Bounded(Back),
    /// For ever, or as far as nobody can say; and why.
    Unbounded(String),
}

/// A bounded reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Back {
    /// How long before an answer an event may lie that it depends on.
    pub span: Span,
    /// How long after its stamp an answer may still be given, or change, as the watermark tells time.
    pub settle: Span,
    /// Answers are those of windows that begin on a grid and are this long.
    pub grid: Option<Grid>,
    /// Each result comes of one event, whenever that comes: none has to be kept back.
    pub single: bool,
    /// How much earlier than its end the last instant of a window is: the unit of event time, where its end does not
    /// belong to it.
    pub short_of_end: Span,
    /// How long before the watermark reaches its stamp an event may be late: the unit of event time with
    /// `late_when = "tick-before-end"`.
    pub late_ahead: Span,
}

/// Windows on a grid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grid {
    /// How long a window is.
    pub size: Span,
    /// How far apart windows begin.
    pub every: Span,
    /// The shift of the grid.
    pub offset: Span,
    /// How much later than its beginning the first instant of a window is: the unit of event time, where its beginning
    /// does not belong to it.
    pub past_start: Span,
}

impl Back {
    /// Answers up to here can neither come nor change any more when the watermark is `done`; of single events one always
    /// can.
    pub fn given(&self, done: Time) -> Time {
        if self.single { Time::MIN } else { self.settled(done) }
    }
    /// Answers up to here need not be worked out again when the watermark is `done`.
    pub fn settled(&self, done: Time) -> Time {
        if done == Time::MIN || done == Time::MAX {
            done
        } else {
            done - self.settle
        }
    }
    /// The smallest stamp of an event that can still matter when the watermark is `done`.
    pub fn since(&self, done: Time) -> Time {
        let given = self.settled(done);
        if given == Time::MIN || given == Time::MAX {
            return given;
        }
        match self.grid {
            None => given - self.span + Span::UNIT,
            Some(grid) => {
                let over = given + self.short_of_end - grid.size;
                over.floor_to(grid.every, grid.offset) + grid.every + grid.past_start
            }
        }
    }
}

impl Reach {
    /// It, where it is bounded.
    pub const fn back(&self) -> Option<Back> {
        match self {
            Self::Bounded(back) => Some(*back),
            Self::Unbounded(_) => None,
        }
    }
    /// Each event by itself.
    const fn single() -> Self {
        Self::Bounded(Back {
            span: Span::ZERO,
            settle: Span::ZERO,
            grid: None,
            single: true,
            short_of_end: Span::ZERO,
            late_ahead: Span::ZERO,
        })
    }
    const fn within(span: Span, settle: Span, short_of_end: Span) -> Self {
        Self::Bounded(Back {
            span,
            settle,
            grid: None,
            single: false,
            short_of_end,
            late_ahead: Span::ZERO,
        })
    }
    fn never(why: &str) -> Self {
        Self::Unbounded(why.to_owned())
    }
}

impl Operator {
    /// How far back its answers reach, where `tick` is the unit of event time.
    pub fn reach(&self, tick: Span) -> Reach {
        if self.future != Future::Accept {
            return Reach::never("with `future = { refuse = … }` what is taken in depends on when it arrives");
        }
        if self.emit_empty {
            return Reach::never(
                "with `emit_empty` an answer for an empty window depends on whether any event came before",
            );
        }
        if let Some(why) = self.watermark.as_ref().and_then(unsteady) {
            return Reach::never(why);
        }
        match (self.of_body(tick), self.late_when) {
            (Reach::Bounded(back), LateWhen::TickBeforeEnd) if !back.single => Reach::Bounded(Back {
                late_ahead: tick,
                ..back
            }),
            (reach, _) => reach,
        }
    }

    fn of_body(&self, tick: Span) -> Reach {
        let Ok(body) = self.body() else {
            return Reach::single();
        };
        match body {
            Body::Query(query) if !query.joins.is_empty() => self.joined(query, tick),
            Body::Query(query) if query.aggregates() => self.windowed(query.window.as_ref(), tick),
            Body::Query(_) | Body::Filter(_) => Reach::single(),
            Body::Transform(steps) => {
                if steps.iter().any(|step| matches!(step, TransformStep::SetStamp(_))) {
                    return Reach::never("with `set_stamp` the time of a result is not that of its event");
                }
                Reach::single()
            }
            Body::Threshold(_) => Reach::never("whether a threshold is on may go back to an event of any age"),
            Body::Change(_) => Reach::never("the event before, of the same key, may be of any age"),
            Body::First(_) => Reach::never("a burst may have begun at any time"),
            Body::Compensate(_) => Reach::never("which event stands depends on all decisions before"),
            Body::Reorder(_) => Reach::never("what is late for a buffer depends on what it has let go before"),
            Body::Gather(gather) => {
                if gather.clock != GatherClock::EventTime {
                    return Reach::never("with `clock = \"node\"` an answer depends on when its parts arrive");
                }
                if gather.ask > 0 {
                    return Reach::never("with `ask` an answer depends on what was asked for before");
                }
                let settle = match self.result_stamp {
                    ResultStamp::Last | ResultStamp::End => Span::ZERO,
                    ResultStamp::Latest | ResultStamp::Earliest => gather.within,
                };
                Reach::within(gather.within + gather.within + gather.within, settle, Span::ZERO)
            }
            Body::Sequence(sequence) => self.sequenced(sequence),
            Body::Learn(learn) => {
                if learn.online.is_some() {
                    return Reach::never("what was learned goes back to events of any age");
                }
                if learn.order == LearnOrder::EventTime || learn.labels.is_some() || learn.pretrained.len() > 1 {
                    return Reach::never("what waits for its label or its turn, and which version serves, is state");
                }
                Reach::single()
            }
        }
    }

    /// How much longer than the watermark says a window or join takes events in.
    fn behind(&self, tick: Span) -> Span {
        match self.late_when {
            LateWhen::AfterEnd => self.horizon + tick,
            LateWhen::AtEnd | LateWhen::TickBeforeEnd => self.horizon,
        }
    }

    fn windowed(&self, window: Option<&Window>, tick: Span) -> Reach {
        let behind = self.behind(tick);
        if self.align == WindowAlign::FirstEvent {
            return Reach::never("with `align = \"first-event\"` all windows depend on the first event");
        }
        if let Some(emit) = self.emit.filter(|emit| emit.panes == Panes::Discarding)
            && (emit.early.is_some() || behind > Span::ZERO)
        {
            return Reach::never(
                "with `panes = \"discarding\"` a part of an answer depends on which were given before",
            );
        }
        let short_of_end = match self.bounds {
            WindowBounds::Start => tick,
            WindowBounds::End | WindowBounds::Both => Span::ZERO,
        };
        let past_start = match self.bounds {
            WindowBounds::End => tick,
            WindowBounds::Start | WindowBounds::Both => Span::ZERO,
        };
        let on_grid = |size: Span, every: Span, offset: Span| {
            let grid = Grid {
                size,
                every,
                offset,
                past_start,
            };
            Reach::Bounded(Back {
                span: size,
                settle: behind,
                grid: Some(grid),
                single: false,
                short_of_end,
                late_ahead: Span::ZERO,
            })
        };
        let within = |span: Span| Reach::within(span, behind, short_of_end);
        match window {
            Some(Window::Tumbling { size, offset }) => on_grid(*size, *size, *offset),
            Some(Window::Hop { size, every, offset }) => on_grid(*size, *every, *offset),
            Some(Window::Cumulate { max, offset, .. }) => on_grid(*max, *max, *offset),
            // The instant at which an event leaves is answered too.
            Some(Window::Sliding { size, .. }) => within(*size + tick + tick),
            Some(Window::Snapshot { lasts }) => match &**lasts {
                crate::query::Expr::Span(span) if !self.snapshot_by_stamp => within(*span + tick),
                _ if self.snapshot_by_stamp => within(tick),
                _ => Reach::never("how long an event lasts stands in the event alone"),
            },
            Some(Window::Session { .. }) => Reach::never("a session lasts as long as events keep coming"),
            Some(Window::Stagger { .. }) => Reach::never("a staggered window begins where the one before has ended"),
            Some(Window::Length(_) | Window::LengthBatch(_)) => {
                Reach::never("a window that counts events may hold some of any age")
            }
            Some(Window::Global) | None => Reach::never("an aggregate over everything depends on everything"),
        }
    }

    fn joined(&self, query: &Query, tick: Span) -> Reach {
        if self.result_stamp == ResultStamp::Earliest {
            return Reach::never("with `result_stamp = \"earliest\"` a result bears the time of its oldest part");
        }
        if let Some(window) = &query.window {
            return self.windowed(Some(window), tick);
        }
        let longest = |limit: &Limit| {
            let span = limit.span;
            if span.is_negative() { -span } else { span }
        };
        let (mut span, mut waits) = (Span::ZERO, Span::ZERO);
        for join in &query.joins {
            match &join.bound {
                JoinBound::Interval { lower, upper, .. } => {
                    let longest = longest(lower).max(longest(upper));
                    // A distance from an earlier stream is added to that one's own.
                    span = span + longest;
                    if join.kind != JoinKind::Inner {
                        waits = waits + longest;
                    }
                }
                JoinBound::Version { max_age: Some(age), .. } if self.join.versions == Versions::EventTime => {
                    span = span + longest(age);
                }
                JoinBound::Version { .. } => return Reach::never("the version that is valid may be of any age"),
                JoinBound::Last { .. } => return Reach::never("the last events of a stream may be of any age"),
                JoinBound::Window => return Reach::never("its windows are not known"),
            }
        }
        Reach::within(span + tick, self.behind(tick) + waits, Span::ZERO)
    }

    fn sequenced(&self, sequence: &crate::script::Sequence) -> Reach {
        let why = if sequence.order == Order::Arrival {
            "in order of arrival a match depends on when its events come"
        } else if sequence.after != AfterMatch::KeepAll || sequence.restart != Restart::Always {
            "which matches are put out depends on all before (with `after = \"keep-all\"`, `restart = \"always\"` it does not)"
        } else if sequence.within_since != Since::First {
            "with `within_since = \"previous\"` a match may last for ever"
        } else if let Some(within) = sequence.within {
            let absences = absences(&sequence.pattern.tree);
            let late = match sequence.precedence {
                Precedence::Complete => absences,
                Precedence::Start => within + absences,
            };
            let settle = if sequence.timeouts { late + within } else { late };
            return Reach::within(within + absences + Span::UNIT, settle, Span::ZERO);
        } else {
            "without `within` a match may last for ever"
        };
        Reach::never(why)
    }
}

/// The times of all absences of a pattern together.
fn absences(tree: &Tree) -> Span {
    match tree {
        Tree::Step(_) | Tree::OneOf(_) | Tree::AllOf(..) => Span::ZERO,
        Tree::Either(branches) => branches.iter().fold(Span::ZERO, |sum, tree| sum + absences(tree)),
        Tree::Parts(parts) => parts.iter().fold(Span::ZERO, |sum, part| {
            sum + match part {
                Part::Take(_, tree) => absences(tree),
                Part::Not(absence) => absence.lasts.unwrap_or(Span::ZERO),
            }
        }),
        // Within the time of the whole match.
        Tree::Repeat(repeat) => absences(&repeat.body),
    }
}

/// Why the watermarks of a generator are not the same when events are read again, if so.
fn unsteady(watermark: &Watermark) -> Option<&'static str> {
    match watermark.kind {
        WatermarkKind::Bounded | WatermarkKind::Ascending => None,
        WatermarkKind::Percentile => Some("a watermark by `percentile` is learnt from delays that are forgotten"),
        WatermarkKind::Punctuated => Some("a punctuated watermark goes back to a mark of any age"),
        WatermarkKind::Forward => Some("a watermark from upstream does not come again"),
        WatermarkKind::Arrival => Some("by the engine's clock what comes again has another time"),
    }
}
