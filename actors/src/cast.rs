//! Who plays what: from a script's topology to actors on the stage, at the start and again after every crash.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use actix::Recipient;
use wavetank_scenarios::input::What;
use wavetank_scenarios::numbering::EPOCH;
use wavetank_scenarios::script::{
    self, Acknowledge, BarrierMode, BrokerKind, Failover, Future, Keeps as KeepsBy, Late, OnError, ReplayFrom,
    Scenario, ValveSettings,
};
use wavetank_scenarios::topology::{ActorId, Port, Role, Topology};
use wavetank_scenarios::{Span, Time};

use crate::host::{Keeps, Part, enter};
use crate::operator::Operator;
use crate::reliability::broker::{BrokerFaults, CalmBroker};
use crate::reliability::disk::{CalmDisk, Disk, SimulatedDisk};
use crate::reliability::failover::{self, Side};
use crate::reliability::replay::Plan as Reaches;
use crate::reliability::snapshot::{self, Habit, Keys, Member, Overlap, Trigger};
use crate::reliability::{Coordinator, Crew, Ends, Make, Participant, Peers, Shelf, Store};
use crate::roles::{
    Arbitrating, Broker, Counter, Gating, Keeping, Kept, Marked, Operating, OwnDisk, Plan, Publishing, Serving,
    Shelves, Sink, Source, Ties, Written,
};
use crate::scaling::convey::{Merge, Router, Split, Worker};
use crate::scaling::watermark::Generator;
use crate::world::{Cast, Deliver, Stage};

/// Something that leaves a source, after the faults of the source have had their way with the plan.
#[derive(Clone, PartialEq, Debug)]
pub struct Departure {
    /// When it leaves.
    pub at: Time,
    /// When it would leave without faults.
    pub planned: Time,
    /// When it happened, in true time.
    pub happened: Time,
    /// Its number within the part.
    pub number: u64,
    /// What leaves; `None` when a fault keeps it from leaving.
    pub what: Option<What>,
    /// The faults that touched it, by their index in the scenario.
    pub faults: Vec<usize>,
}

/// The departures of one part of a source, ascending in `at`.
pub type Departures = Box<dyn Iterator<Item = Departure>>;

/// [`MakeOperator`], shared by those who make a part afresh.
type SharedMake = Rc<dyn Fn(usize) -> Result<Box<dyn Operator>, String>>;

/// Makes a pattern's operator for an operator of the scenario.
pub type MakeOperator = Box<dyn Fn(usize) -> Result<Box<dyn Operator>, String>>;

/// The players of one scenario.
pub struct Players {
    scenario: Arc<Scenario>,
    topology: Arc<Topology>,
    plans: BTreeMap<ActorId, (Plan, Rc<Cell<Marked>>)>,
    /// When the run began.
    start: Option<Time>,
    make: SharedMake,
    incarnations: BTreeMap<ActorId, u64>,
    /// When a split entered first, by its monotonic clock.
    entered: BTreeMap<ActorId, Time>,
    /// What the tables that sinks write to remember, whatever becomes of the sinks.
    written: BTreeMap<ActorId, Rc<RefCell<Written>>>,
    /// What lies on the disks of brokers, whatever becomes of the brokers.
    kept: BTreeMap<ActorId, Rc<RefCell<Kept>>>,
    /// What lies on the disks of the copies of operators, and of their arbiters.
    own: BTreeMap<ActorId, Rc<RefCell<OwnDisk>>>,
    leases: BTreeMap<ActorId, Rc<RefCell<Option<failover::Disk>>>>,
    /// The disk of the store of snapshots.
    shelf: Option<Shelf>,
    vault: Vault,
    /// How far back operators reach, where all of them do so for a while only.
    reaches: Option<Rc<Reaches>>,
}

/// The disk of an actor, by its settings.
pub type DiskOf = Box<dyn Fn(ActorId, &script::Disk) -> Result<Box<dyn Disk>, String>>;

/// What brokers and the store of snapshots keep things with: given to the players from outside.
pub struct Vault {
    /// Their disks.
    pub disks: DiskOf,
    /// What goes wrong at brokers.
    pub brokers: Box<dyn Fn(ActorId) -> Box<dyn BrokerFaults>>,
    /// The keys that snapshots are encrypted with.
    pub keys: Arc<Keys>,
    /// The number of the run, which its files bear.
    pub run: u128,
}

impl Default for Vault {
    /// Simulated disks on which nothing goes wrong, no keys, and run 0.
    fn default() -> Self {
        Self {
            disks: Box::new(|_, settings| Ok(Box::new(SimulatedDisk::of(settings, Box::new(CalmDisk))))),
            brokers: Box::new(|_| Box::new(CalmBroker)),
            keys: Arc::default(),
            run: 0,
        }
    }
}

/// A new incarnation numbers its results from here times how often it entered, so that no number is given twice.
const NUMBERS_PER_INCARNATION: u64 = 1 << 40;

impl Players {
    /// Players for a scenario whose sources play these departures, one list for each source actor.
    pub fn new(
        scenario: Arc<Scenario>,
        topology: Arc<Topology>,
        departures: impl IntoIterator<Item = (ActorId, Departures)>,
        make: MakeOperator,
    ) -> Self {
        let plans = departures
            .into_iter()
            .map(|(actor, plan)| (actor, (Rc::new(RefCell::new(plan.peekable())), Rc::default())))
            .collect();
        let reaches = Reaches::new(&scenario, &topology).ok().map(Rc::new);
        Self {
            reaches,
            scenario,
            topology,
            plans,
            start: None,
            make: make.into(),
            written: BTreeMap::new(),
            kept: BTreeMap::new(),
            own: BTreeMap::new(),
            leases: BTreeMap::new(),
            shelf: None,
            vault: Vault::default(),
            incarnations: BTreeMap::new(),
            entered: BTreeMap::new(),
        }
    }
}

impl Players {
    /// With what snapshots are kept.
    #[must_use]
    pub fn with_vault(mut self, vault: Vault) -> Self {
        self.vault = vault;
        self
    }

    /// Those who deal with snapshots.
    fn crew(&self) -> Crew {
        let actors = self.topology.actors.iter().zip(0..);
        let one = |role| {
            actors
                .clone()
                .find(|(actor, _)| actor.role == role)
                .map(|(_, id)| ActorId(id))
        };
        let members = actors.clone().filter(|(_, id)| self.answers(ActorId(*id)));
        Crew {
            coordinator: one(Role::Coordinator),
            store: one(Role::Store),
            participants: members.map(|(actor, id)| (actor.name.clone(), ActorId(id))).collect(),
        }
    }

    /// Whether an actor is set back by the coordinator of snapshots; the copies of an operator are not.
    fn answers(&self, actor: ActorId) -> bool {
        let coordinator = self.topology.coordinator(actor);
        coordinator.is_some_and(|by| self.topology.actors[by.0 as usize].role == Role::Coordinator)
    }

    /// What tells an actor that could read a saved state from one that could not: its settings and its schema.
    fn fingerprint(&self, actor: ActorId) -> u64 {
        let spec = &self.topology.actors[actor.0 as usize];
        let scenario = &self.scenario;
        let settings = match spec.role {
            Role::Watermark { operator }
            | Role::Operator { operator }
            | Role::Split { operator }
            | Role::Worker { operator, .. }
            | Role::Merge { operator } => serde_json::to_string(&scenario.operators[operator]),
            Role::Sink { sink } => serde_json::to_string(&scenario.sinks[sink]),
            Role::Source { .. } | Role::Broker { .. } | Role::Counter | Role::Coordinator | Role::Store => {
                Ok(String::new())
            }
            Role::Replica { .. } | Role::Arbiter { .. } | Role::Gate { .. } => Ok(String::new()),
            Role::Service { .. } => Ok(String::new()),
        };
        // What cannot be written down is told apart by its schema alone.
        let text = format!("{:?} {} {:?}", spec.role, settings.unwrap_or_default(), spec.schema);
        xxhash_rust::xxh3::xxh3_64(text.as_bytes())
    }

    fn habit(&self, actor: ActorId) -> Habit {
        let snapshot = self.scenario.snapshot.as_ref();
        let twin = self.topology.twin(actor);
        let (first, is_copy) = (twin.map_or(actor, |twin| actor.min(twin)), twin.is_some());
        Habit {
            // Two copies go by one name: either is set back to what the other has saved.
            name: self.topology.actors[first.0 as usize].name.clone(),
            fingerprint: self.fingerprint(actor),
            run: self.vault.run,
            // What a copy keeps for itself, or gives the other, is whole: there is nothing that changes could stand on.
            full_every: snapshot
                .filter(|_| !is_copy)
                .map_or(1, |snapshot| u64::from(snapshot.full_every)),
            compress: snapshot.is_some_and(|snapshot| snapshot.compress),
            encrypt: snapshot.is_some_and(|snapshot| snapshot.encrypt),
            keys: Arc::clone(&self.vault.keys),
        }
    }

    /// When snapshots are taken, and how many of them are kept.
    fn plan(&self) -> snapshot::Plan {
        let settings = self.scenario.snapshot.as_ref();
        let trigger = settings.and_then(|settings| {
            let every = settings.every.map(Trigger::Every);
            let events = settings.events.map(Trigger::Events);
            every.or(events).or(settings.watermark.map(Trigger::Watermark))
        });
        snapshot::Plan {
            trigger,
            overlap: settings.map_or(Overlap::Skip, |settings| settings.overlap),
            time_out: settings.map_or(Span::MAX, script::Snapshot::time_out),
            keep: settings.map_or(1, |settings| settings.keep as usize),
            run: self.vault.run,
            keys: (*self.vault.keys).clone(),
            encrypt: settings.is_some_and(|settings| settings.encrypt),
        }
    }

    /// Puts a part on the stage: as it is, or, where it is saved and set back, within a participant.
    fn stage<P: Part + Keeps + Unpin>(&self, stage: Stage, mut make: Make<P>) -> Result<Recipient<Deliver>, String> {
        let actor = stage.actor();
        Ok(match self.peers(actor) {
            Some(peers) => enter(Participant::new(make, peers)?, stage),
            None => enter(make()?, stage),
        })
    }

    /// Whom an actor deals with that is saved and set back.
    fn peers(&self, actor: ActorId) -> Option<Peers> {
        let topology = &self.topology;
        let role = |actor: ActorId| topology.actors[actor.0 as usize].role;
        let coordinator = topology.coordinator(actor)?;
        // What publishes the results of a copy sets that copy back, and has what it is set back to.
        let copy = matches!(role(coordinator), Role::Replica { .. });
        let snapshot = self.scenario.snapshot.as_ref();
        let reader = snapshot.filter(|_| topology.reads(actor));
        let readers = self
            .those(|actor| self.answers(actor) && topology.reads(actor))
            .len()
            .max(1) as u64;
        let unaligned = snapshot.is_some_and(|snapshot| snapshot.barrier == BarrierMode::Unaligned);
        let inputs = topology.actors[actor.0 as usize].inputs.iter();
        let links = inputs.map(|link| (*link, &topology.links[link.0 as usize]));
        let broker = |from: ActorId| Some(from).filter(|from| matches!(role(*from), Role::Broker { .. }));
        Some(Peers {
            crew: if copy { Crew::of_copy(coordinator) } else { self.crew() },
            habit: self.habit(actor),
            brokers: links
                .clone()
                .map(|(_, link)| broker(link.from).filter(|_| link.port != Port::Control))
                .collect(),
            recorded: links
                .map(|(id, link)| link.port == Port::Back || unaligned && topology.carries_barriers(id))
                .collect(),
            answers: topology.actors[actor.0 as usize]
                .outputs
                .iter()
                .any(|link| topology.links[link.0 as usize].port == Port::Back),
            // What publishes the results of a copy hears of each event.
            counts: Some(1).filter(|_| copy && topology.reads(actor)).or_else(|| {
                let events = reader.and_then(|snapshot| snapshot.events);
                events.map(|events| (events / readers).max(1))
            }),
            paces: reader.and_then(|snapshot| snapshot.watermark),
            // The places of results are counted from the beginning of the log: a copy that has nothing begins there.
            replay: self.scenario.replay.filter(|_| !copy),
            queues: self.those(|of| match role(of) {
                Role::Broker { broker } => self.scenario.brokers[broker].kind == BrokerKind::Queue,
                _ => false,
            }),
            // A copy may have to read all of the log again: that it has read something is worth telling, no more.
            acknowledge: if copy { Acknowledge::Taken } else { self.acknowledge() },
            ends: !copy
                && self.acknowledge() == Acknowledge::Done
                && self
                    .reaches
                    .as_ref()
                    .is_some_and(|reaches| reaches.ends().contains(&actor)),
            plan: self.reaches.clone(),
        })
    }

    fn failover(&self, operator: usize) -> Result<Failover, String> {
        let settings = self.scenario.operators[operator].failover.clone();
        settings.ok_or_else(|| "it has no settings".to_owned())
    }

    /// When a copy of an operator keeps a snapshot of its own: as its settings say, else as those of all snapshots.
    fn pace(&self, settings: &Failover) -> Option<Trigger> {
        settings.snapshot.map(Trigger::Every).or_else(|| self.plan().trigger)
    }

    /// When readers tell their brokers that an event has been worked on.
    fn acknowledge(&self) -> Acknowledge {
        match (&self.scenario.replay, &self.scenario.snapshot) {
            (Some(replay), _) if replay.from == ReplayFrom::Reach => Acknowledge::Done,
            (Some(replay), _) => replay.acknowledge,
            (None, Some(_)) => Acknowledge::Snapshot,
            (None, None) => Acknowledge::Taken,
        }
    }

    /// The actors that a role is true of.
    fn those(&self, fits: impl Fn(ActorId) -> bool) -> BTreeSet<ActorId> {
        let actors = (0..self.topology.actors.len() as u32).map(ActorId);
        actors.filter(|actor| fits(*actor)).collect()
    }

    /// By input: who is there.
    fn senders(&self, actor: ActorId) -> Vec<ActorId> {
        let inputs = self.topology.actors[actor.0 as usize].inputs.iter();
        inputs.map(|link| self.topology.links[link.0 as usize].from).collect()
    }

    /// The part of an operator or of one of its sub-streams.
    fn operating(&self, actor: ActorId, operator: usize, first: u64) -> Make<Operating> {
        let (make, scenario) = (Rc::clone(&self.make), Arc::clone(&self.scenario));
        let inputs = self.topology.forward(actor).count();
        let twin = self.topology.twin(actor);
        let producer = twin.map_or(actor, |twin| actor.min(twin));
        // Where other results come again than those of the beginning, no number is given twice.
        let again = if scenario.resumes_midway() && twin.is_none() {
            NUMBERS_PER_INCARNATION >> 10
        } else {
            0
        };
        let role = |actor: &ActorId| self.topology.actors[actor.0 as usize].role;
        let service = self
            .topology
            .peers(actor)
            .find(|peer| matches!(role(peer), Role::Service { .. }));
        let mut first = first;
        Box::new(move || {
            let (part, settings) = (make(operator)?, &scenario.operators[operator]);
            let number = first;
            first += again;
            let operating = Operating::new(part, inputs, settings, number);
            let operating = operating.holding(settings, scenario.time.tick).asking(service);
            Ok(operating.for_producer(producer))
        })
    }
}

impl Cast for Players {
    fn enter(&mut self, actor: ActorId, stage: Stage) -> Result<Recipient<Deliver>, String> {
        let topology = Arc::clone(&self.topology);
        let spec = &topology.actors[actor.0 as usize];
        let entered = self.incarnations.entry(actor).or_default();
        // What is set back numbers again as before.
        let entries = if topology.takes_part(actor) { 0 } else { *entered };
        let first = if self.scenario.resumes_midway() && topology.twin(actor).is_none() {
            *entered
        } else {
            entries
        } * NUMBERS_PER_INCARNATION;
        *entered += 1;
        let start = *self.start.get_or_insert(stage.plan_time());
        let inputs = topology.forward(actor).count();
        Ok(match spec.role {
            Role::Source { .. } => {
                let (plan, marked) = self.plans.get(&actor).ok_or("it has no departures")?;
                let source = Source::new(Rc::clone(plan), self.scenario.epoch.clone(), Rc::clone(marked));
                enter(source, stage)
            }
            Role::Watermark { operator } => {
                let scenario = Arc::clone(&self.scenario);
                let make = move || {
                    let of = &scenario.operators[operator];
                    let settings = of.generator().cloned().ok_or("it has no settings")?;
                    let schemas = topology.input_schemas(actor);
                    let names: Vec<&str> = of.input.iter().map(String::as_str).collect();
                    let tick = scenario.time.tick;
                    let generator = Generator::new(settings, of.valve, tick, inputs, &schemas, &names)?;
                    Ok(generator.holding(of.future == Future::Hold))
                };
                self.stage(stage, Box::new(make))?
            }
            Role::Operator { operator } => self.stage(stage, self.operating(actor, operator, first))?,
            Role::Split { operator } => {
                let scenario = Arc::clone(&self.scenario);
                let now = stage.monotonic();
                let started = *self.entered.entry(actor).or_insert(now);
                let make = move || {
                    let settings = &scenario.operators[operator];
                    let convey = settings.convey.clone().ok_or("it has no settings")?;
                    let schemas = topology.input_schemas(actor);
                    let schema = schemas.first().ok_or("it has no input")?;
                    let mut names: Vec<&str> = settings.input.iter().map(String::as_str).collect();
                    names.extend(settings.query.as_ref().and_then(|query| query.alias.as_deref()));
                    let router = Router::new(&convey, schema, &names)?;
                    Ok(Split::new(convey, router, inputs, entries * EPOCH, started))
                };
                self.stage(stage, Box::new(make))?
            }
            Role::Worker { operator, .. } => {
                let scenario = Arc::clone(&self.scenario);
                let mut operating = self.operating(actor, operator, first);
                let make = move || {
                    let settings = &scenario.operators[operator];
                    let convey = settings.convey.as_ref().ok_or("it has no settings")?;
                    // The fields that events are dealt by, in the key of the operator's state.
                    let key = match (settings.body()?.keeps(), convey.by.key()) {
                        (KeepsBy::Keys(kept), Some(by)) => {
                            let place = |field: &String| kept.iter().position(|kept| kept == field);
                            by.iter().map(place).collect()
                        }
                        _ => None,
                    };
                    Ok(Worker::new(operating()?, convey, key, scenario.time.tick))
                };
                self.stage(stage, Box::new(make))?
            }
            Role::Merge { operator } => {
                let scenario = Arc::clone(&self.scenario);
                let make = move || {
                    let settings = &scenario.operators[operator];
                    let convey = settings.convey.as_ref().ok_or("it has no settings")?;
                    let side = settings.late == Late::Side;
                    let part = Box::new(Merge::new(convey, side, scenario.time.tick, entries > 0));
                    // Its settings are those of the work; a merge combines and lets go as it must.
                    let settings = script::Operator {
                        flush_at_end: true,
                        on_error: OnError::Side,
                        valve: ValveSettings::default(),
                        ..settings.clone()
                    };
                    Ok(Operating::new(part, inputs, &settings, first))
                };
                self.stage(stage, Box::new(make))?
            }
            Role::Sink { sink } => {
                let delivery = self.scenario.sinks[sink].delivery;
                let written = Rc::clone(self.written.entry(actor).or_default());
                let make = move || Ok(Sink::new(delivery, inputs, Rc::clone(&written)));
                self.stage(stage, Box::new(make))?
            }
            Role::Broker { broker } => {
                let settings = self.scenario.brokers[broker].clone();
                let field = |by: &String| spec.schema.fields.iter().position(|field| field.name == *by);
                let named = |reader: ActorId| (reader, topology.actors[reader.0 as usize].name.to_string());
                let shelves = Shelves {
                    inputs,
                    senders: self.senders(actor),
                    readers: topology.peers(actor).map(named).collect(),
                    by: settings.by.as_ref().and_then(field),
                };
                let kept = match self.kept.get(&actor) {
                    Some(kept) => Rc::clone(kept),
                    None => {
                        let disk = (self.vault.disks)(actor, &settings.disk)?;
                        let kept = Rc::new(RefCell::new(Kept::new(disk, (self.vault.brokers)(actor))));
                        self.kept.insert(actor, Rc::clone(&kept));
                        kept
                    }
                };
                enter(Broker::new(settings, shelves, kept, stage.monotonic())?, stage)
            }
            Role::Replica { operator, side, .. } => {
                let failover = self.failover(operator)?;
                let side = if side == 0 { Side::A } else { Side::B };
                let ties = Ties::of(&topology, actor);
                let incarnation = self.incarnations.get(&actor).copied().unwrap_or(1) - 1;
                let keeping = Keeping {
                    pace: self.pace(&failover),
                    keys: Arc::clone(&self.vault.keys),
                    disk: Rc::clone(self.own.entry(actor).or_default()),
                };
                enter(
                    Publishing::new(&failover, side, incarnation, ties, keeping, stage.monotonic()),
                    stage,
                )
            }
            Role::Arbiter { operator, .. } => {
                let failover = self.failover(operator)?;
                let disk = Rc::clone(self.leases.entry(actor).or_default());
                let senders = self.senders(actor);
                enter(Arbitrating::new(failover, senders, disk, stage.monotonic()), stage)
            }
            Role::Gate { operator, .. } => {
                let failover = self.failover(operator)?;
                enter(Gating::new(&failover, &topology, actor), stage)
            }
            Role::Service { operator } => {
                let learn = self.scenario.operators[operator].learn.as_ref();
                let learn = learn.ok_or("it has no settings")?;
                let asker = self.senders(actor).first().copied().ok_or("nobody asks it")?;
                enter(Serving::new(learn, asker)?, stage)
            }
            Role::Counter => {
                let epoch = self.scenario.epoch.as_ref().ok_or("there are no epochs to count")?;
                enter(Counter::new(epoch, start), stage)
            }
            Role::Coordinator => {
                let crew = self.crew();
                let members = crew.participants.iter().map(|(name, actor)| Member {
                    name: name.clone(),
                    reader: topology.reads(*actor),
                });
                let members = members.collect();
                let ends = Ends {
                    all: match (&self.reaches, self.acknowledge()) {
                        (Some(reaches), Acknowledge::Done) => reaches.ends(),
                        _ => BTreeSet::new(),
                    },
                    readers: self.those(|actor| topology.reads(actor)),
                    inputs: self.senders(actor),
                };
                enter(Coordinator::new(self.plan(), members, crew, ends, entries), stage)
            }
            Role::Store => {
                let settings = self
                    .scenario
                    .snapshot
                    .as_ref()
                    .ok_or("there are no snapshots to keep")?;
                let shelf = match &self.shelf {
                    Some(shelf) => Rc::clone(shelf),
                    None => {
                        let disk = (self.vault.disks)(actor, &settings.disk)?;
                        let shelf = Rc::new(RefCell::new(disk));
                        self.shelf = Some(Rc::clone(&shelf));
                        shelf
                    }
                };
                enter(Store::new(shelf, self.crew()), stage)
            }
        })
    }

    fn left(&mut self, actor: ActorId, at: Time) {
        if let (Role::Store, Some(shelf)) = (self.topology.actors[actor.0 as usize].role, &mut self.shelf) {
            shelf.crash(at);
        }
        if let Some(kept) = self.kept.get(&actor) {
            kept.borrow_mut().disk.crash(at);
        }
    }
}
