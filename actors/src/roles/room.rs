//! Where events wait that are stamped later than they arrive (`future = "hold"`), until the node's wall clock shows their
//! stamps.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use wavetank_scenarios::{EventId, Span, Time};

use crate::reliability::{State, StateError, counted};
use crate::world::Stage;

/// The token of the timer that looks for events whose time has come.
pub const RIPE: u64 = u64::MAX - 2;

/// Things that wait, by the stamp and id of their event.
#[derive(Debug)]
pub(crate) struct Room<T> {
    /// In the order in which they go; what came twice goes in the order in which it came.
    waiting: BTreeMap<(Time, EventId, u64), T>,
    came: u64,
    /// The stamps that alarms are set for. They go off in this order, whenever they were set.
    alarms: BTreeSet<Time>,
}

/// The parts of a saved state: what waits, and the rest.
const WAITING: &str = "ahead";
const ALARMS: &str = "alarms";

impl<T> Room<T> {
    pub const fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            came: 0,
            alarms: BTreeSet::new(),
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
        self.alarms.pop_first();
        self.arm(stage);
    }

    fn arm(&mut self, stage: &Stage) {
        if let Some(first) = self.first()
            && self.alarms.first().is_none_or(|alarm| first < *alarm)
        {
            self.alarms.insert(first);
            stage.alarm(first, RIPE);
        }
    }

    /// Sets the alarms again that were set when it was saved.
    pub fn resume(&self, stage: &Stage) {
        for stamp in &self.alarms {
            stage.alarm(*stamp, RIPE);
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

impl<T: Serialize + DeserializeOwned> Room<T> {
    /// Puts in what waits, and which alarms are set.
    pub fn save(&self, state: &mut State) {
        state.put_each(WAITING, &self.waiting);
        state.put(ALARMS, &(self.came, &self.alarms));
    }

    /// Takes back what was put in; `fits` says whether something can have come in.
    ///
    /// # Errors
    /// It is not that of such a room.
    pub fn restore(&mut self, state: &State, fits: impl Fn(&T) -> bool) -> Result<(), StateError> {
        for (place, thing) in state.each(WAITING)? {
            let fits = fits(&thing) && self.waiting.insert(place, thing).is_none();
            StateError::unless(fits, WAITING, "it cannot have come")?;
        }
        (self.came, self.alarms) = state.get(ALARMS)?;
        counted(ALARMS, self.came)?;
        let covered = match (self.first(), self.alarms.first()) {
            (Some(first), Some(alarm)) => *alarm <= first,
            (Some(_), None) => false,
            (None, _) => true,
        };
        StateError::unless(covered, ALARMS, "none is set for what waits")
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }
}
