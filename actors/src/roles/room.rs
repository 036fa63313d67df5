//! Where events wait that are stamped later than they arrive (`future = "hold"`), until the node's wall clock shows their
//! stamps.

use std::collections::BTreeMap;

use wavetank_scenarios::{EventId, Span, Time};

use crate::world::Stage;

/// The token of the timer that looks for events whose time has come.
pub const RIPE: u64 = u64::MAX - 2;

/// Things that wait, by the stamp and id of their event.
#[derive(Debug)]
pub(crate) struct Room<T> {
    /// In the order in which they go; what came twice goes in the order in which it came.
    waiting: BTreeMap<(Time, EventId, u64), T>,
    came: u64,
    /// The earliest stamp that an alarm is set for.
    armed: Option<Time>,
}

impl<T> Room<T> {
    pub const fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            came: 0,
            armed: None,
        }
    }

    /// Something comes in.
    pub fn wait(&mut self, stamp: Time, id: EventId, thing: T, stage: &Stage) {
        self.came += 1;
        self.waiting.insert((stamp, id, self.came), thing);
        self.arm(stage);
    }

    /// The alarm has gone off: lets the first one go whose time has come, if there is one.
    pub fn ripe(&mut self, stage: &Stage) -> Option<T> {
        let ((stamp, ..), _) = self.waiting.first_key_value()?;
        if *stamp > stage.wall() {
            return None;
        }
        self.next()
    }

    /// Lets the first one go, its time come or not.
    pub fn next(&mut self) -> Option<T> {
        self.waiting.pop_first().map(|(_, thing)| thing)
    }

    /// The alarm has gone off, and what it was set for has gone: sets the next one.
    pub fn again(&mut self, stage: &Stage) {
        self.armed = None;
        self.arm(stage);
    }

    fn arm(&mut self, stage: &Stage) {
        if let Some(first) = self.first()
            && self.armed.is_none_or(|armed| first < armed)
        {
            self.armed = Some(first);
            stage.alarm(first, RIPE);
        }
    }

    /// The smallest stamp that waits.
    fn first(&self) -> Option<Time> {
        self.waiting.first_key_value().map(|((stamp, ..), _)| *stamp)
    }

    /// How far a watermark may go: two ticks below what waits, so that nothing of it is late, however that is judged.
    pub fn limit(&self, tick: Span) -> Time {
        self.first().map_or(Time::MAX, |first| first - (tick + tick))
    }
}
