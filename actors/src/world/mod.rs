//! The world: one run on virtual time.
//!
//! The law, on one page. Virtual time is a whole number of microseconds. Everything that takes time is an entry in the
//! fabric, and so is a message without delay; entries are taken in the order of (time, class, sequence). Each round takes
//! the entries of the next instant and class, delivers them through actix, waits until no message is in flight, and
//! commits what the handlers did in the order of (the cause's sequence, output index). Nothing here reads the machine's
//! clock, random source, environment or hash order; every random decision is a keyed draw. One world lives on one thread.
//!
//! The same actors run on the real clock when the run is paced by it ([`Pace`]): then an entry is delivered when its
//! instant has come by that clock. Results in event time are the same; the trace is not promised to be.

/// Tells hash and observer of a happening, which is only made when one of them listens.
macro_rules! tell {
    ($world:expr, $happening:expr) => {
        if $world.hash.is_some() || $world.observer.is_some() {
            let at = $world.now.get();
            let happening = $happening;
            if let Some(hash) = &mut $world.hash {
                hash.add(at, &happening);
            }
            if let Some(observer) = &mut $world.observer {
                observer.see(at, &happening);
            }
        }
    };
}

mod acting;
mod align;
mod arriving;
mod clock;
mod fabric;
mod link;
mod meddling;
mod merge;
mod nodes;
mod quiescence;
mod shedding;
mod stage;
mod station;
mod trace;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::Recipient;
use wavetank_scenarios::draw::{DrawKey, name_key};
use wavetank_scenarios::script::{BarrierMode, Epoch, LinkKind, OnCrash, Overflow};
use wavetank_scenarios::topology::{ActorId, LinkId, NodeId, Port, Role, Topology};
use wavetank_scenarios::{Event, EventId, Span, Time};

pub use clock::{NodeClock, Segment};
pub use fabric::Class;
pub use link::{CalmNetwork, LinkCounts, Meddling, Network, Packet, Transit};
pub use quiescence::{Guard, InFlight};
pub use stage::{Account, Deliver, Effect, Input, Stage};
pub use trace::{Happening, LossReason, TraceHash};

use crate::element::Element;
use align::Recovery;
use fabric::Fabric;
use link::{Arriving, Link, Shipped};
use merge::Merge;
use shedding::Shedding;
use station::{Station, Waiting};

/// Who plays: makes the actor of an id, at the start and again after each crash.
pub trait Cast {
    /// Starts a new incarnation of an actor on the current thread.
    ///
    /// # Errors
    /// Why it cannot be made.
    fn enter(&mut self, actor: ActorId, stage: Stage) -> Result<Recipient<Deliver>, String>;

    /// An actor's node has crashed, when its monotonic clock showed this: for what outlives the actor.
    fn left(&mut self, _actor: ActorId, _at: Time) {}
}

/// Something the world does to a node at an instant.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum NodeFault {
    /// It stops; state and mailbox are lost.
    Crash,
    /// It comes back, with new actors.
    Restart,
    /// It stands still; what reaches it waits.
    Pause,
    /// It goes on.
    Resume,
    /// Its services take this many times as long from now on (1 ends it).
    Slow(f64),
    /// Its clock changes here; the change itself is in the node's [`NodeClock`].
    Clock,
}

/// Declared happenings on nodes: when, where, what, and by which fault (index in the scenario).
pub type NodePlan = Vec<(Time, NodeId, NodeFault, usize)>;

/// A crash that is set off by what a node takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strike {
    /// Which node.
    pub node: NodeId,
    /// Just before it takes its so-manieth element, from 1.
    pub delivery: u64,
    /// How long it is down; `None` for ever.
    pub restart: Option<Span>,
    /// By which fault.
    pub by: usize,
}

/// Sees everything that happens, in the one stated order. It cannot change anything.
pub trait Observer {
    /// Something happened at `at`.
    fn see(&mut self, at: Time, happening: &Happening<'_>);
    /// Nothing more happens at `at`. `false` ends the run.
    fn instant_over(&mut self, at: Time) -> bool;
}

/// What the run follows: virtual time, which jumps, or a real clock, which is waited for.
#[allow(async_fn_in_trait, reason = "one world lives on one thread; no Send is needed")]
pub trait Pace {
    /// Waits until `until` has come and says what time it then is: never before `until`.
    async fn wait(&mut self, until: Time) -> Time;
}

/// Virtual time: whatever comes next is now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Virtual;

impl Pace for Virtual {
    async fn wait(&mut self, until: Time) -> Time {
        until
    }
}

/// What a world is made of.
pub struct Setup {
    /// Actors, nodes, links.
    pub topology: Arc<Topology>,
    /// The seed of all draws.
    pub seed: u64,
    /// Where virtual time starts.
    pub start: Time,
    /// Which comes first at one instant.
    pub tie: wavetank_scenarios::script::Tie,
    /// The most entries at one instant.
    pub step_budget: u64,
    /// The clocks of the nodes, in their order.
    pub clocks: Vec<NodeClock>,
    /// What befalls nodes.
    pub node_plan: NodePlan,
    /// What befalls nodes because of what they take.
    pub strikes: Vec<Strike>,
    /// What befalls links.
    pub network: Box<dyn Network>,
    /// The markers that cut the run into epochs, if there are any.
    pub epoch: Option<Epoch>,
    /// How snapshots are cut where several inputs meet.
    pub barrier: BarrierMode,
    /// Who plays.
    pub cast: Box<dyn Cast>,
    /// Who watches.
    pub observer: Option<Box<dyn Observer>>,
    /// Whether the trace is hashed.
    pub hash: bool,
    /// Set from outside to end the run early.
    pub interrupt: Arc<AtomicBool>,
}

/// Why a run stopped before its end.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum WorldError {
    /// Too many entries at one instant: actors answer each other without delay and without end.
    #[error(
        "endless exchange without delay: more than {budget} deliveries at {at}, the last of them to {actors}; give one of \
         the links between them a delay, or raise `time.step_budget`"
    )]
    Endless {
        /// The instant.
        at: Time,
        /// The bound.
        budget: u64,
        /// Names of the actors that were delivered to last.
        actors: String,
    },
    /// An actor cannot be made.
    #[error("{actor} cannot start: {why}")]
    Enter {
        /// Its name.
        actor: String,
        /// Why.
        why: String,
    },
    /// A handler panicked: a fault of this program, not of the scenario.
    #[error("an actor panicked at {at}")]
    Panicked {
        /// When.
        at: Time,
    },
    /// An event could not be worked on, and the operator's `on_error` is `"stop"`.
    #[error("{actor} stops the run at {at}: {failure}")]
    Stopped {
        /// The operator.
        actor: String,
        /// When.
        at: Time,
        /// What went wrong.
        failure: String,
    },
}

impl WorldError {
    /// When it stopped the run, where it had begun.
    pub const fn at(&self) -> Option<Time> {
        match self {
            Self::Endless { at, .. } | Self::Panicked { at } | Self::Stopped { at, .. } => Some(*at),
            Self::Enter { .. } => None,
        }
    }
}

/// How a run went, in numbers that do not depend on the machine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// When the last thing happened.
    pub ended: Time,
    /// Elements that were delivered to actors.
    pub deliveries: u64,
    /// Entries that were taken from the fabric.
    pub steps: u64,
    /// What each link did.
    pub links: Vec<LinkCounts>,
    /// Hash of the trace, when it was asked for.
    pub trace_hash: Option<u64>,
    /// True when the run was ended from outside or by its observer.
    pub interrupted: bool,
}

enum Entry {
    Arrive(Arriving),
    Timer {
        actor: ActorId,
        incarnation: u32,
        /// In which recovery it was set; `None` where none changes it.
        attempt: Option<u32>,
        token: u64,
    },
    Served {
        actor: ActorId,
        incarnation: u32,
        waiting: Waiting,
    },
    /// Work is over: what came of it takes effect.
    Finished {
        actor: ActorId,
        incarnation: u32,
    },
    Flush {
        link: LinkId,
        batch: u64,
    },
    /// A marker has been waited for long enough.
    GiveUp {
        actor: ActorId,
        incarnation: u32,
        number: u64,
    },
    /// What a fault has kept an actor from passing on until now.
    Delayed {
        actor: ActorId,
        incarnation: u32,
        element: Element,
    },
    Node {
        node: NodeId,
        fault: NodeFault,
        by: usize,
    },
}

struct Player {
    node: NodeId,
    address: Option<Recipient<Deliver>>,
    /// The sequence of what was delivered to it last.
    last: u64,
    station: Option<Station>,
    /// What is known of it, where it is saved and set back.
    recovery: Option<Recovery>,
}

struct Node {
    up: bool,
    paused: u32,
    incarnation: u32,
    slow: f64,
    clock: Rc<NodeClock>,
    /// What reached it while it was paused.
    stalled: Vec<Entry>,
    /// Elements that its actors have taken, where it is counted.
    taken: u64,
    /// It takes nothing more: it crashes when what was done at this instant has taken effect.
    doomed: Option<Strike>,
    actors: Vec<ActorId>,
}

/// When so many rounds of timers in a row have had nothing under way beside them, the run has come to its end.
const STANDSTILL: u64 = 100_000;

/// One run.
pub struct World {
    topology: Arc<Topology>,
    now: Rc<Cell<Time>>,
    fabric: Fabric<Entry>,
    players: Vec<Player>,
    nodes: Vec<Node>,
    links: Vec<Link>,
    producers: Vec<u64>,
    /// How many watermarks and other marks each actor has passed on, where a fault meddles with them.
    marks: Vec<u64>,
    /// What waits in front of each actor for a marker; none where there are no markers.
    merges: Vec<Merge>,
    epoch: Option<Epoch>,
    outbox: stage::Outbox,
    in_flight: InFlight,
    network: Box<dyn Network>,
    cast: Box<dyn Cast>,
    observer: Option<Box<dyn Observer>>,
    hash: Option<TraceHash>,
    interrupt: Arc<AtomicBool>,
    budget: u64,
    outcome: Outcome,
    to_start: Vec<ActorId>,
    strikes: Vec<Strike>,
    transit: Transit,
}

impl World {
    /// Builds a world; nothing has happened in it yet.
    pub fn new(setup: Setup) -> Self {
        let topology = setup.topology;
        let mut fabric = Fabric::new(setup.tie);
        for (at, node, fault, by) in setup.node_plan {
            fabric.push(at, Class::World, Entry::Node { node, fault, by });
        }
        let mut links = Vec::with_capacity(topology.links.len());
        for (i, link) in topology.links.iter().enumerate() {
            let id = LinkId(i as u32);
            let mut link = Link::new(id, link, setup.seed, setup.network.disturbs(id));
            let from = topology.links[i].from;
            let broker = matches!(topology.actors[from.0 as usize].role, Role::Broker { .. });
            let to = topology.links[i].to;
            let counts = topology.links[i].port != Port::Control && topology.takes_part(to);
            link.attempt = (counts && (broker || topology.takes_part(from))).then_some(0);
            link.resends_markers = setup.epoch.as_ref().is_some_and(|epoch| epoch.resend);
            links.push(link);
        }
        let mut players = Vec::with_capacity(topology.actors.len());
        for (i, actor) in topology.actors.iter().enumerate() {
            let id = ActorId(i as u32);
            let node = &topology.nodes[actor.node.0 as usize];
            let service = match &node.service {
                Some(delay) => Some((
                    delay.sampler(),
                    DrawKey::new(setup.seed, "node", "service", &actor.name),
                )),
                None => None,
            };
            let stops = actor.outputs.iter().any(|l| links[l.0 as usize].capacity.is_some());
            let station =
                (service.is_some() || node.mailbox.is_some() || node.shed.is_some() || stops).then(|| Station {
                    service,
                    bound: node.mailbox.map(|bound| bound as usize),
                    overflow: node.overflow,
                    shedding: node
                        .shed
                        .as_ref()
                        .map(|shed| Shedding::new(shed, &topology, id, setup.seed)),
                    ..Station::open()
                });
            players.push(Player {
                node: actor.node,
                address: None,
                last: 0,
                station,
                recovery: topology
                    .takes_part(id)
                    .then(|| Recovery::new(&topology, id, setup.barrier)),
            });
        }
        let mut nodes: Vec<Node> = setup
            .clocks
            .into_iter()
            .map(|clock| Node {
                up: true,
                paused: 0,
                incarnation: 0,
                slow: 1.0,
                clock: Rc::new(clock),
                stalled: Vec::new(),
                taken: 0,
                doomed: None,
                actors: Vec::new(),
            })
            .collect();
        for (i, actor) in topology.actors.iter().enumerate() {
            nodes[actor.node.0 as usize].actors.push(ActorId(i as u32));
        }
        Self {
            producers: topology.actors.iter().map(|actor| name_key(&actor.name)).collect(),
            marks: vec![0; topology.actors.len()],
            merges: match &setup.epoch {
                Some(epoch) => {
                    let merge = |actor: &wavetank_scenarios::topology::Actor| {
                        let inputs = actor.inputs.iter();
                        let forward = inputs.map(|link| topology.links[link.0 as usize].port != Port::Control);
                        Merge::new(actor, &forward.collect::<Vec<_>>(), epoch)
                    };
                    topology.actors.iter().map(merge).collect()
                }
                None => Vec::new(),
            },
            epoch: setup.epoch,
            topology,
            now: Rc::new(Cell::new(setup.start)),
            fabric,
            players,
            nodes,
            links,
            outbox: Rc::new(RefCell::new(Vec::new())),
            in_flight: InFlight::default(),
            network: setup.network,
            cast: setup.cast,
            observer: setup.observer,
            hash: setup.hash.then(TraceHash::default),
            interrupt: setup.interrupt,
            budget: setup.step_budget,
            outcome: Outcome {
                ended: setup.start,
                ..Outcome::default()
            },
            to_start: Vec::new(),
            strikes: setup.strikes,
            transit: Transit::default(),
        }
    }

    /// Plays the run to its end: until nothing is under way. Must be awaited inside an actix system; afterwards the
    /// world's actors are gone and the system may serve another.
    ///
    /// # Errors
    /// See [`WorldError`]. What the observer saw up to then stays valid.
    ///
    /// # Panics
    /// Passes a panic inside an actor or observer on.
    pub async fn run(self, pace: impl Pace + 'static) -> Result<Outcome, WorldError> {
        // As a task among the actors' tasks the world takes turns with them inside the local queue; as the root future it
        // would send the runtime to its park and back at every instant.
        match actix_rt::spawn(self.perform(pace)).await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    async fn perform(mut self, mut pace: impl Pace) -> Result<Outcome, WorldError> {
        let result = self.play(&mut pace).await;
        for player in &mut self.players {
            player.address = None;
        }
        self.outcome.links = self.links.iter().map(|link| link.counts).collect();
        for (counts, link) in self.outcome.links.iter_mut().zip(&self.links) {
            counts.stuck += (link.parked.len() + link.blocked.len()) as u64;
        }
        self.outcome.trace_hash = self.hash.as_ref().map(TraceHash::value);
        result.map(|()| self.outcome)
    }

    async fn play(&mut self, pace: &mut impl Pace) -> Result<(), WorldError> {
        for actor in 0..self.players.len() {
            self.enter(ActorId(actor as u32), false)?;
        }
        self.settle().await?;
        let mut round = Vec::new();
        let mut at_instant = 0u64;
        let mut instants = 0u64;
        let mut timers = 0u64;
        while let Some(next) = self.fabric.next_time() {
            if next > self.now.get() {
                if let Some(observer) = &mut self.observer
                    && !observer.instant_over(self.now.get())
                {
                    self.outcome.interrupted = true;
                    break;
                }
                if next == Time::MAX {
                    break;
                }
                instants += 1;
                if instants.is_multiple_of(1024) && self.interrupt.load(Ordering::Relaxed) {
                    self.outcome.interrupted = true;
                    break;
                }
                let now = pace.wait(next).await;
                self.now.set(now);
                self.outcome.ended = now;
                at_instant = 0;
            }
            self.fabric.take_round(self.now.get(), &mut round);
            // Timers that set themselves again would go on for ever where a source is held for good, or never comes back.
            timers = if self.fabric.only_timers() { timers + 1 } else { 0 };
            if timers > STANDSTILL {
                break;
            }
            self.outcome.steps += round.len() as u64;
            at_instant += round.len() as u64;
            if at_instant > self.budget {
                return Err(self.endless(&round));
            }
            for (sequence, entry) in round.drain(..) {
                self.take(sequence, entry)?;
            }
            self.settle().await?;
            if !self.strikes.is_empty() {
                self.strike()?;
                self.settle().await?;
            }
        }
        if let Some(observer) = &mut self.observer {
            observer.instant_over(self.now.get());
        }
        Ok(())
    }

    fn endless(&self, round: &[(u64, Entry)]) -> WorldError {
        let mut names: Vec<&str> = round
            .iter()
            .filter_map(|(_, entry)| match entry {
                Entry::Arrive(arriving) => Some(self.links[arriving.link.0 as usize].to),
                Entry::Timer { actor, .. } | Entry::Served { actor, .. } | Entry::Finished { actor, .. } => {
                    Some(*actor)
                }
                Entry::Flush { .. } | Entry::Node { .. } | Entry::Delayed { .. } | Entry::GiveUp { .. } => None,
            })
            .map(|actor| self.topology.actors[actor.0 as usize].name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        WorldError::Endless {
            at: self.now.get(),
            budget: self.budget,
            actors: names.join(", "),
        }
    }

    /// Waits for the handlers of a round, commits what they did, and starts what may start because of it, until nothing
    /// more happens without another entry.
    async fn settle(&mut self) -> Result<(), WorldError> {
        loop {
            self.in_flight.quiescence().await;
            if self.in_flight.panicked() {
                return Err(WorldError::Panicked { at: self.now.get() });
            }
            self.commit()?;
            if self.to_start.is_empty() {
                return Ok(());
            }
            let mut started = false;
            for actor in std::mem::take(&mut self.to_start) {
                started |= self.serve_next(actor);
            }
            if !started && self.to_start.is_empty() {
                return Ok(());
            }
        }
    }

    fn enter(&mut self, actor: ActorId, again: bool) -> Result<(), WorldError> {
        let node = &self.nodes[self.players[actor.0 as usize].node.0 as usize];
        let stage = Stage {
            actor,
            cause: 0,
            now: Rc::clone(&self.now),
            clock: Rc::clone(&node.clock),
            outbox: Rc::clone(&self.outbox),
            watched: self.observer.is_some(),
            armed: None,
        };
        let address = self.cast.enter(actor, stage).map_err(|why| WorldError::Enter {
            actor: self.topology.actors[actor.0 as usize].name.to_string(),
            why,
        })?;
        self.players[actor.0 as usize].address = Some(address);
        self.hand_over(actor, u64::from(actor.0), Input::Enter { again });
        Ok(())
    }

    /// Gives an input to an actor, through actix.
    fn hand_over(&mut self, actor: ActorId, cause: u64, input: Input) {
        if !self.strikes.is_empty() && self.doomed(actor, &input) {
            return;
        }
        // What has waited comes behind what was delivered since it came, and so do its effects.
        let last = &mut self.players[actor.0 as usize].last;
        let cause = if cause < *last { self.fabric.fresh() } else { cause };
        *last = cause;
        if let Input::Element { input, lane, element } = &input {
            self.outcome.deliveries += 1;
            tell!(
                self,
                Happening::Delivered {
                    actor,
                    input: *input,
                    lane: *lane,
                    element
                }
            );
        } else if let Input::Timer(token) = &input {
            tell!(self, Happening::Timer { actor, token: *token });
        }
        if let Some(address) = &self.players[actor.0 as usize].address {
            address.do_send(Deliver {
                cause,
                input,
                guard: self.in_flight.guard(),
            });
        }
    }

    fn take(&mut self, sequence: u64, entry: Entry) -> Result<(), WorldError> {
        match entry {
            Entry::Arrive(arriving) => self.arrive(sequence, arriving),
            Entry::Timer {
                actor,
                incarnation,
                attempt,
                token,
            } => {
                let current = self.attempt_of(actor);
                let node = self.node_of(actor);
                if node.paused > 0 {
                    node.stalled.push(Entry::Timer {
                        actor,
                        incarnation,
                        attempt,
                        token,
                    });
                } else if node.up && node.incarnation == incarnation && attempt == current {
                    self.reach(
                        actor,
                        Waiting {
                            cause: sequence,
                            input: Input::Timer(token),
                            link: None,
                            attempt,
                        },
                    );
                }
            }
            Entry::Served {
                actor,
                incarnation,
                waiting,
            } => {
                let node = self.node_of(actor);
                if node.paused > 0 {
                    node.stalled.push(Entry::Served {
                        actor,
                        incarnation,
                        waiting,
                    });
                } else if node.up && node.incarnation == incarnation {
                    if let Some(station) = &mut self.players[actor.0 as usize].station {
                        station.busy = false;
                    }
                    self.to_start.push(actor);
                    self.hand_over(actor, sequence, waiting.input);
                } else if let Input::Element { element, .. } = &waiting.input
                    && let Some(event) = element.event()
                {
                    let (id, taken) = (event.id, false);
                    tell!(self, Happening::LostAtWork { actor, id, taken });
                }
            }
            Entry::Finished { actor, incarnation } => {
                let node = self.node_of(actor);
                if node.paused > 0 {
                    node.stalled.push(Entry::Finished { actor, incarnation });
                } else if node.up && node.incarnation == incarnation {
                    self.finished(actor)?;
                }
            }
            Entry::Flush { link, batch } => {
                if self.links[link.0 as usize].batches == batch {
                    self.flush(link);
                }
            }
            Entry::GiveUp {
                actor,
                incarnation,
                number,
            } => {
                if self.node_of(actor).incarnation == incarnation {
                    self.give_up(sequence, actor, number);
                }
            }
            Entry::Delayed {
                actor,
                incarnation,
                element,
            } => {
                if self.node_of(actor).incarnation == incarnation {
                    self.emit(actor, Port::Main, None, element);
                }
            }
            Entry::Node { node, fault, by } => self.befall(node, fault, by)?,
        }
        Ok(())
    }

    /// In which recovery an actor works, where it is set back.
    fn attempt_of(&self, actor: ActorId) -> Option<u32> {
        let recovery = self.players[actor.0 as usize].recovery.as_ref();
        recovery.map(|recovery| recovery.attempt)
    }

    /// Tells hash and observer.
    fn say(&mut self, happening: &Happening<'_>) {
        let at = self.now.get();
        if let Some(hash) = &mut self.hash {
            hash.add(at, happening);
        }
        if let Some(observer) = &mut self.observer {
            observer.see(at, happening);
        }
    }

    fn node_of(&mut self, actor: ActorId) -> &mut Node {
        let node = self.players[actor.0 as usize].node;
        &mut self.nodes[node.0 as usize]
    }
}

/// An event's identity and origins, for those who follow it.
impl Happening<'_> {
    /// The event that this is about, if any.
    pub const fn event(&self) -> Option<&Event> {
        match self {
            Self::Delivered { element, .. } | Self::Emitted { element, .. } | Self::Lost { element, .. } => {
                element.event()
            }
            Self::Took { event, .. } | Self::Shed { event, .. } | Self::LostInMailbox { event, .. } => Some(event),
            _ => None,
        }
    }
    /// The identity of the event that this is about, if any.
    pub fn id(&self) -> Option<EventId> {
        match self {
            Self::Dropped { id, .. } | Self::Missed { id, .. } | Self::LostAtWork { id, .. } => Some(*id),
            Self::Fault { id, .. } => *id,
            Self::Failed { failure, .. } => Some(failure.event.id),
            _ => self.event().map(|event| event.id),
        }
    }
}
