//! The naive model of a watermark generator.

use std::collections::BTreeSet;

use arcstr::ArcStr;
use wavetank_scenarios::query::Predicate;
use wavetank_scenarios::script::{AllIdle, Every, Scope, ValveSettings, Watermark, WatermarkKind as Kind};
use wavetank_scenarios::{EventId, Row, Schema, Span, Time, Value};

use super::{Channels, Signal};
use crate::expr::{OfEvent, eval, holds};

/// Something that happened at a generator. Times are readings of its node's monotonic clock since it started.
#[derive(Clone, PartialEq, Debug)]
pub enum Heard {
    /// An event came.
    Event {
        /// On which input. Every producer has an input of its own.
        input: usize,
        /// For which entry of the operator's `input` list.
        lane: usize,
        /// Which one it is.
        id: EventId,
        /// Its event time.
        stamp: Time,
        /// Its payload.
        row: Row,
        /// When.
        at: Span,
        /// What the node's wall clock shows.
        wall: Time,
    },
    /// A watermark came from upstream.
    Watermark {
        /// On which input.
        input: usize,
        /// Which.
        watermark: Time,
        /// When.
        at: Span,
    },
    /// The sender said that it is idle (`true`) or active again.
    Idle {
        /// Which input.
        input: usize,
        /// Whether it is idle.
        idle: bool,
        /// When.
        at: Span,
    },
    /// The input ended.
    End {
        /// Which input.
        input: usize,
        /// When.
        at: Span,
    },
    /// The timer of `every`.
    Tick {
        /// What the node's wall clock shows.
        wall: Time,
    },
    /// The timer of `align.every`.
    Align {
        /// When.
        at: Span,
    },
    /// The alarm for events that are ahead of the wall clock.
    Ripe {
        /// What the node's wall clock shows.
        wall: Time,
        /// When.
        at: Span,
    },
    /// A timer that looks for silence.
    Look {
        /// When.
        at: Span,
    },
}

/// The naive model of a watermark generator.
#[derive(Clone)]
pub struct Generator {
    settings: Watermark,
    valve: ValveSettings,
    tick: Span,
    /// The fields of each entry of the `input` list, and what the entries are called.
    schemas: Vec<Schema>,
    called: Vec<ArcStr>,
    inputs: Vec<Heart>,
    /// What has been said by each input, or by all together.
    said: Vec<Said>,
    channels: Channels,
    /// The watermark of each turn.
    turns: Vec<Option<Time>>,
    events: u64,
    /// Everything that the node's wall clock has shown.
    shown: BTreeSet<Time>,
    idle: bool,
    over: bool,
    /// What is ahead of the clock is heard when its time has come.
    holds: bool,
    ahead: Vec<Heard>,
}

/// What is known of one input.
#[derive(Clone, Copy, Default)]
struct Heart {
    last_heard: Span,
    idle: bool,
    ended: bool,
    held: bool,
}

/// What has been said.
#[derive(Clone, Default)]
struct Said {
    /// The largest time: a stamp, a mark's, or a watermark from upstream.
    largest: Option<Time>,
    /// The delays of the last events.
    delays: Vec<Span>,
}

impl Generator {
    /// A generator over that many inputs, just started. `schemas` are those of the entries of the `input` list, and
    /// `called` their names.
    pub fn new(
        settings: &Watermark,
        valve: ValveSettings,
        inputs: usize,
        tick: Span,
        schemas: &[&Schema],
        called: &[String],
    ) -> Self {
        let mut settings = settings.clone();
        if settings.kind == Kind::Arrival {
            settings.scope = Scope::Input;
        }
        let lists = if settings.scope == Scope::Input { 1 } else { inputs };
        Self {
            settings,
            valve,
            tick,
            schemas: schemas.iter().map(|schema| (*schema).clone()).collect(),
            called: called.iter().map(|name| name.as_str().into()).collect(),
            inputs: vec![Heart::default(); inputs],
            said: vec![Said::default(); lists],
            channels: Channels::new(lists, valve),
            turns: vec![],
            events: 0,
            shown: BTreeSet::new(),
            idle: false,
            over: false,
            holds: false,
            ahead: vec![],
        }
    }

    /// The same, which hears events that are ahead of the wall clock when the clock shows their stamps, or does not wait.
    #[must_use]
    pub fn holding(self, holds: bool) -> Self {
        Self { holds, ..self }
    }

    /// The same generator, which has heard nothing yet.
    #[must_use]
    pub fn afresh(&self) -> Self {
        let schemas: Vec<&Schema> = self.schemas.iter().collect();
        let called: Vec<String> = self.called.iter().map(ToString::to_string).collect();
        Self::new(
            &self.settings,
            self.valve,
            self.inputs.len(),
            self.tick,
            &schemas,
            &called,
        )
        .holding(self.holds)
    }

    /// Whether the end has been passed on.
    pub const fn over(&self) -> bool {
        self.over
    }

    /// The stamp with which the event that came last must be passed on, where it is not its own: by the engine's clock,
    /// the latest time that it has shown. What is sent because of the event then goes before it.
    pub fn stamps(&self) -> Option<Time> {
        let by_clock = self.settings.kind == Kind::Arrival;
        self.shown.last().copied().filter(|_| by_clock)
    }

    /// What must be sent because of this.
    pub fn arrive(&mut self, heard: &Heard) -> Vec<Signal> {
        if self.over {
            return vec![];
        }
        match heard {
            Heard::Event { stamp, wall, .. } if self.holds && stamp > wall => {
                self.ahead.push(heard.clone());
                return vec![];
            }
            Heard::Ripe { wall, at } => return self.ripe(*wall, *at),
            _ => {}
        }
        // Who is silent, and what was said.
        match heard {
            Heard::Event {
                input,
                lane,
                stamp,
                row,
                at,
                wall,
                ..
            } => {
                self.shown.insert(*wall);
                self.speaks(*input, *at);
                let mark = self.mark(*lane, row, *stamp);
                let kind = self.settings.kind;
                let said = self.list(*input);
                match kind {
                    Kind::Bounded | Kind::Ascending => said.largest = said.largest.max(Some(*stamp)),
                    Kind::Punctuated => said.largest = said.largest.max(mark),
                    Kind::Percentile => {
                        let largest = said.largest.map_or(*stamp, |largest| largest.max(*stamp));
                        said.largest = Some(largest);
                        said.delays.push(largest.since(*stamp));
                    }
                    Kind::Forward | Kind::Arrival => {}
                }
                self.events += 1;
            }
            Heard::Watermark { input, watermark, at } if self.settings.kind == Kind::Forward => {
                self.speaks(*input, *at);
                let said = self.list(*input);
                said.largest = said.largest.max(Some(*watermark));
            }
            Heard::Idle { input, idle, .. } if self.settings.kind == Kind::Forward => self.inputs[*input].idle = *idle,
            Heard::Watermark { .. } | Heard::Idle { .. } => return vec![],
            Heard::End { input, .. } => self.inputs[*input].ended = true,
            Heard::Look { at } => self.look(*at),
            Heard::Tick { wall } => {
                self.shown.insert(*wall);
            }
            Heard::Align { .. } | Heard::Ripe { .. } => {}
        }
        self.listen(heard);
        let mut due = self.signals(heard);
        due.extend(self.holds(heard));
        due
    }

    /// Hears those whose time has come, by stamp and id, as if they came now.
    fn ripe(&mut self, now: Time, at: Span) -> Vec<Signal> {
        let order = |heard: &Heard| match heard {
            Heard::Event { stamp, id, .. } => Some((*stamp, *id)),
            _ => None,
        };
        let mut all = std::mem::take(&mut self.ahead);
        all.sort_by_key(order);
        let come = all.partition_point(|heard| order(heard).is_some_and(|(stamp, _)| stamp <= now));
        self.ahead = all.split_off(come);
        let mut due = Vec::new();
        for mut heard in all {
            if let Heard::Event {
                wall: then, at: when, ..
            } = &mut heard
            {
                (*then, *when) = (now, at);
            }
            due.extend(self.arrive(&heard));
        }
        due
    }

    fn list(&mut self, input: usize) -> &mut Said {
        let list = if self.settings.scope == Scope::Input { 0 } else { input };
        &mut self.said[list]
    }

    fn speaks(&mut self, input: usize, at: Span) {
        self.inputs[input].last_heard = at;
        self.inputs[input].idle = false;
    }

    /// The time that an event states, if it is a mark.
    fn mark(&self, lane: usize, row: &Row, stamp: Time) -> Option<Time> {
        let of = |expr: &Predicate| expr.expr.clone();
        let event = OfEvent {
            schema: self.schemas.get(lane)?,
            row,
            stamp,
            called: &self.called,
            window: None,
        };
        let marked = holds(&of(self.settings.when.as_ref()?), &event).unwrap_or(false);
        match (&self.settings.time, marked) {
            (_, false) => None,
            (None, true) => Some(stamp),
            (Some(time), true) => match eval(&of(time), &event) {
                Ok(Value::Time(time)) => Some(time),
                Ok(Value::Int(micros)) => Some(Time::from_micros(micros)),
                _ => None,
            },
        }
    }

    /// Inputs that have been silent for too long are idle; one that is held back is not silent.
    fn look(&mut self, at: Span) {
        let Some(limit) = self.settings.idle else {
            return;
        };
        for heart in &mut self.inputs {
            heart.idle |= !heart.held && at - heart.last_heard >= limit;
        }
    }

    /// How far a list says that its input is.
    fn own(&self, list: usize) -> Option<Time> {
        if let Some(latest) = self.stamps() {
            return Some(latest - self.tick);
        }
        let said = &self.said[list];
        let largest = said.largest?;
        if largest == Time::MAX {
            return Some(Time::MAX);
        }
        let (behind, tick) = (self.settings.behind(), self.tick);
        Some(match self.settings.kind {
            Kind::Bounded => largest - (behind + tick),
            Kind::Ascending | Kind::Arrival => largest - tick,
            Kind::Punctuated | Kind::Forward => largest - behind,
            Kind::Percentile => {
                let first = said.delays.len().saturating_sub(self.settings.over());
                let mut recent = said.delays[first..].to_vec();
                recent.sort_unstable();
                let ranked = recent[self.settings.rank(recent.len()) - 1];
                largest - (self.settings.within(ranked) + tick)
            }
        })
    }

    /// Tells the channels what there is to know of them.
    fn listen(&mut self, heard: &Heard) {
        for list in 0..self.said.len() {
            let of_it: Vec<Heart> = if self.settings.scope == Scope::Input {
                self.inputs.clone()
            } else {
                vec![self.inputs[list]]
            };
            if of_it.iter().all(|heart| heart.ended) {
                self.channels.all[list].ended = true;
            } else {
                self.channels
                    .idle(list, of_it.iter().all(|heart| heart.idle || heart.ended));
            }
        }
        let of = match heard {
            Heard::Event { input, .. } | Heard::Watermark { input, .. } => Some(*input),
            Heard::Tick { .. } if self.settings.kind == Kind::Arrival => Some(0),
            _ => None,
        };
        if let Some(input) = of {
            let list = if self.settings.scope == Scope::Input { 0 } else { input };
            if let Some(own) = self.own(list) {
                self.channels.say(list, own);
            }
        }
    }

    /// What is sent, but for those that are held.
    fn signals(&mut self, heard: &Heard) -> Vec<Signal> {
        let mut due = Vec::new();
        if self.channels.all_ended() {
            self.over = true;
            due.extend(self.send(Some(Time::MAX)));
            due.push(Signal::End);
            return due;
        }
        let silent = self.channels.silent();
        if std::mem::replace(&mut self.idle, silent) != silent {
            if silent && self.valve.all_idle == AllIdle::Flush {
                let largest = self.channels.next();
                due.extend(self.send(largest));
            }
            due.push(Signal::Idle(silent));
        }
        let event = matches!(heard, Heard::Event { .. });
        let turn = match (self.settings.every, heard) {
            (None, Heard::Event { .. } | Heard::Watermark { .. }) => true,
            (None, Heard::Idle { .. } | Heard::End { .. } | Heard::Look { .. }) => self.settings.back == 0,
            (Some(_), Heard::Event { .. }) if self.settings.kind == Kind::Arrival => true,
            (Some(Every::Events(events)), _) => event && self.events.is_multiple_of(events),
            (Some(Every::Time(_)), Heard::Tick { .. }) => true,
            _ => false,
        };
        if turn {
            self.turns.push(self.channels.next());
            let back = self.settings.back as usize;
            if let Some(then) = self.turns.len().checked_sub(back + 1) {
                let worked_out = self.turns[then];
                due.extend(self.send(worked_out));
            }
        }
        due
    }

    fn send(&mut self, watermark: Option<Time>) -> Option<Signal> {
        let grown = watermark.filter(|w| Some(*w) > self.channels.sent)?;
        self.channels.sent = Some(grown);
        Some(Signal::Watermark(grown))
    }

    /// Who is held from now on, and who goes on.
    fn holds(&mut self, heard: &Heard) -> Vec<Signal> {
        let Some(align) = self.settings.align else {
            return vec![];
        };
        let now = match heard {
            Heard::Align { at } if align.every.is_some() => *at,
            Heard::Event { at, .. }
            | Heard::Watermark { at, .. }
            | Heard::Idle { at, .. }
            | Heard::End { at, .. }
            | Heard::Look { at }
                if align.every.is_none() =>
            {
                *at
            }
            _ => return vec![],
        };
        let counts = |heart: &Heart| !heart.idle && !heart.ended;
        let counting: Vec<usize> = (0..self.inputs.len()).filter(|i| counts(&self.inputs[*i])).collect();
        let spoken: Option<Vec<Time>> = counting.iter().map(|i| self.own(*i)).collect();
        let smallest = spoken.and_then(|own| own.into_iter().min());
        let mut due = Vec::new();
        for input in 0..self.inputs.len() {
            let own = self.own(input).filter(|_| counting.contains(&input) && !self.over);
            let ahead = own
                .zip(smallest)
                .is_some_and(|(own, smallest)| own > smallest + align.ahead);
            if self.inputs[input].held != ahead {
                self.inputs[input].held = ahead;
                self.inputs[input].last_heard = now;
                due.push(Signal::Hold(input, ahead));
            }
        }
        due
    }
}

#[cfg(test)]
mod tests;
