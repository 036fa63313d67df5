//! What an actor sees of its world: its own clocks, and a place to put what it does.
//!
//! Nothing that a handler does takes effect while it runs. Effects are gathered and committed when the system is
//! quiescent, in the order of (the cause's sequence, output index), so that the order in which actix polls its actors
//! cannot show.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::topology::{ActorId, Port};
use wavetank_scenarios::{Event, EventId, Span, Time};

use super::clock::NodeClock;
use super::fabric::Class;
use super::quiescence::Guard;
use crate::element::Element;
use crate::operator::{Dropped, Failure};
use crate::reliability::Control;
use crate::reliability::failover::Note;

/// What reaches an actor.
#[derive(Debug)]
pub enum Input {
    /// The actor has entered the stage: at the start of the run, or as a new incarnation after a crash (`true`).
    Enter {
        /// True after a crash.
        again: bool,
    },
    /// An element.
    Element {
        /// Which of the actor's links brought it, from 0.
        input: usize,
        /// Which entry of the operator's `input` list it belongs to, from 0.
        lane: usize,
        /// What it is.
        element: Element,
    },
    /// A timer is due.
    Timer(u64),
}

/// The message that carries an input to its actor.
#[derive(Debug)]
pub struct Deliver {
    /// The sequence of the entry in the fabric: what the actor does now is caused by it.
    pub cause: u64,
    /// What is delivered.
    pub input: Input,
    /// Keeps the world waiting until the handler has returned.
    pub guard: Guard,
}

impl actix::Message for Deliver {
    type Result = ();
}

/// What an actor did with an input.
#[derive(Debug)]
pub enum Effect {
    /// An element for every link of that output.
    Send {
        /// Which output.
        port: Port,
        /// Which entry of the receiver's `input` list it belongs to, where that is not the link's own (a generator passes
        /// on what it was given).
        lane: Option<usize>,
        /// What is sent.
        element: Element,
    },
    /// A timer.
    Timer {
        /// When, in virtual time.
        due: Time,
        /// What comes back.
        token: u64,
        /// [`Class::Event`] for the departures of a source, else [`Class::Timer`].
        class: Class,
    },
    /// What the input came to, told once for each element or timer that an operator took.
    Account(Box<Account>),
    /// The input keeps the actor busy for so long, with this event: what it does besides is done when that is over.
    Busy(Span, EventId),
    /// A reading of a metric of the actor's own: added to a counter, the new value of a gauge, an entry of a histogram.
    Measured(Metric, u64),
    /// Something that a person should know of the run, in words.
    Note(String),
    /// An event ended without a result.
    Dropped(EventId, Dropped),
    /// An event could not be worked on.
    Failed(Box<Failure>),
    /// A sink took an event.
    Took(Box<Event>),
    /// An event of the plan did not leave its source.
    Missed(EventId),
    /// A declared fault fired, by its index in the scenario, on this event.
    Fault(usize, EventId),
    /// A declared fault fired in what the actor uses, by its index in the scenario.
    Fired(usize),
    /// An element for every link of the main output, later: what a fault makes of [`Effect::Send`].
    Delayed {
        /// When, in virtual time.
        due: Time,
        /// What is sent then.
        element: Element,
    },
    /// A declared fault acted on a watermark of the actor, by its index in the scenario.
    Meddled(usize),
    /// A counter answers whoever asked on that input.
    Answer {
        /// Which input.
        input: usize,
        /// The number of the epoch.
        number: u64,
    },
    /// The link of an input of the actor's own takes nothing more, and its sender stops (`true`), or it goes on.
    Hold {
        /// Which input.
        input: usize,
        /// Whether it is held.
        hold: bool,
    },
    /// A message for one actor, by the control link to it.
    Tell {
        /// Who is told.
        to: ActorId,
        /// What.
        control: Arc<Control>,
    },
    /// An element for one actor, by the link for events to it.
    Give {
        /// Who gets it.
        to: ActorId,
        /// What.
        element: Element,
    },
    /// The actor's part of a snapshot has been cut.
    Cut(u64),
    /// The actor waits for what it is to go back to: nothing but messages reaches it from now on.
    Away,
    /// The actor has gone back, to that snapshot or to its beginning, and works in that recovery from now on. `same` says
    /// whether it would save again, to the last bit, what it has been given.
    Restored {
        /// Which recovery.
        attempt: u32,
        /// The snapshot.
        snapshot: Option<u64>,
        /// Whether what it keeps is what was saved.
        same: bool,
    },
    /// What the actor sends to another from now on belongs to that recovery.
    Attempt {
        /// To whom.
        to: ActorId,
        /// Which recovery.
        attempt: u32,
    },
    /// Something happened to one of two copies of an operator.
    OfCopy(Note),
    /// The actor takes an element again that was saved with a snapshot because a barrier had overtaken it.
    Again {
        /// By which input.
        input: usize,
        /// For which entry of its `input` list.
        lane: usize,
        /// What it is.
        element: Element,
    },
    /// The handler has returned: all that this input caused has been put.
    Done,
    /// The run must stop: an actor was given something that it cannot be given, and says what.
    Broken(String),
    /// The run must stop: an operator's settings say so.
    Stop(Box<Failure>),
}

/// An operator's books after an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Account {
    /// Events taken in since it entered.
    pub taken: u64,
    /// Of them: caused a result.
    pub caused: u64,
    /// Of them: filtered.
    pub filtered: u64,
    /// Of them: late.
    pub late: u64,
    /// Of them: failed.
    pub failed: u64,
    /// Of them: still in the state, with no fate yet.
    pub held: u64,
    /// Size of the state in bytes.
    pub state_bytes: u64,
}

impl Account {
    /// True when every event that was taken in is accounted for, once.
    pub const fn balances(&self) -> bool {
        self.taken == self.caused + self.filtered + self.late + self.failed + self.held
    }
}

pub(crate) type Effects = Vec<(u64, ActorId, Effect)>;
pub(crate) type Outbox = Rc<RefCell<Effects>>;

/// Timers that are set and have not come: when each is due by the node's monotonic clock, and its token.
pub(crate) type Armed = Rc<RefCell<Vec<(Time, u64)>>>;

/// What an actor sees of its world.
#[derive(Clone, Debug)]
pub struct Stage {
    pub(crate) actor: ActorId,
    pub(crate) cause: u64,
    pub(crate) now: Rc<Cell<Time>>,
    pub(crate) clock: Rc<NodeClock>,
    pub(crate) outbox: Outbox,
    pub(crate) watched: bool,
    /// The timers that are set and have not come, where somebody keeps track: when each is due by the node's monotonic
    /// clock, and its token.
    pub(crate) armed: Option<Armed>,
}

impl Stage {
    /// True when somebody watches: what only watchers want to know need not be put otherwise.
    pub const fn watched(&self) -> bool {
        self.watched
    }
    /// Who this is.
    pub const fn actor(&self) -> ActorId {
        self.actor
    }
    /// What the node's wall clock shows.
    pub fn wall(&self) -> Time {
        self.clock.wall(self.now.get())
    }
    /// What the node's monotonic clock shows.
    pub fn monotonic(&self) -> Time {
        self.clock.monotonic(self.now.get())
    }
    /// What the node's wall clock showed, or will show, at a true time: the stamp of what happens then.
    pub fn stamp(&self, happened: Time) -> Time {
        self.clock.wall(happened)
    }
    /// Puts an element on every link of an output.
    pub fn send(&self, port: Port, element: Element) {
        self.put(Effect::Send {
            port,
            lane: None,
            element,
        });
    }
    /// Passes an element on to the main output, for the entry of the receiver's `input` list that it came for.
    pub fn pass_on(&self, lane: usize, element: Element) {
        self.put(Effect::Send {
            port: Port::Main,
            lane: Some(lane),
            element,
        });
    }
    /// Passes an element on to an output, for the entry of the receiver's `input` list that it came for.
    pub fn pass_on_to(&self, port: Port, lane: usize, element: Element) {
        self.put(Effect::Send {
            port,
            lane: Some(lane),
            element,
        });
    }
    /// Comes back when the node's monotonic clock has advanced by `after`.
    pub fn timer(&self, after: Span, token: u64) {
        let due = self.clock.due(self.now.get(), after);
        if let Some(armed) = &self.armed {
            armed.borrow_mut().push((self.clock.monotonic(due), token));
        }
        self.put(Effect::Timer {
            due,
            token,
            class: Class::Timer,
        });
    }
    /// How many effects have been put and are not committed.
    pub(crate) fn put_so_far(&self) -> usize {
        self.outbox.borrow().len()
    }
    /// The watermark that the actor has put on its main output since so many effects had been put.
    pub(crate) fn passed_since(&self, before: usize) -> Option<Time> {
        let outbox = self.outbox.borrow();
        let own = outbox.iter().skip(before).filter(|(_, actor, _)| *actor == self.actor);
        own.filter_map(|(.., effect)| match effect {
            Effect::Send {
                port: Port::Main,
                element: Element::Watermark(watermark),
                ..
            } => Some(*watermark),
            _ => None,
        })
        .max()
    }
    /// Comes back when the node's wall clock shows `stamp`, however it is set until then: at once where it does already.
    ///
    /// Nobody keeps track of alarms: whoever is restored sets those again that it waits for.
    pub fn alarm(&self, stamp: Time, token: u64) {
        let due = self.clock.shows(self.now.get(), stamp);
        self.put(Effect::Timer {
            due,
            token,
            class: Class::Timer,
        });
    }
    /// Tells an actor something, by the control link to it.
    pub fn tell(&self, to: ActorId, control: Control) {
        self.put(Effect::Tell {
            to,
            control: Arc::new(control),
        });
    }
    /// Comes back at an instant of the plan: for sources, whose departures the world decides and no clock of a node.
    pub fn depart(&self, at: Time, token: u64) {
        self.put(Effect::Timer {
            due: at.max(self.now.get()),
            token,
            class: Class::Event,
        });
    }
    /// The instant of the plan: for sources alone.
    pub(crate) fn plan_time(&self) -> Time {
        self.now.get()
    }
    /// Puts any effect.
    pub fn put(&self, effect: Effect) {
        self.outbox.borrow_mut().push((self.cause, self.actor, effect));
    }
}
