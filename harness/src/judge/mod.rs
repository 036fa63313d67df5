//! The judge: watches a run, holds every actor to its naive model and every link to its law, measures, and says in the
//! end whether what was expected holds.

mod broker;
pub mod claims;
mod explain;
mod lockstep;
mod meters;
mod models;
mod pair;
mod published;
mod recovery;
mod sinks;
mod streams;
mod verdict;
mod words;

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use wavetank_actors::Element;
use wavetank_actors::operator::Dropped;
use wavetank_actors::reliability::Control;
use wavetank_actors::reliability::snapshot::Message;
use wavetank_actors::world::{Account, Happening, LossReason, NodeClock, NodeFault};
use wavetank_oracle::{Tables, Why};
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::script::{Delivery, LinkKind, OnCrash};
use wavetank_scenarios::topology::{ActorId, LinkId, Port, Role, Topology};
use wavetank_scenarios::{EventId, Script, Span, Time};

use claims::Watch;
pub use explain::time as explain_time;
use lockstep::{Did, Given, Lockstep};
pub use meters::{ActorMeter, FaultMeter, LinkMeter, Reading};
use models::Models;
pub(crate) use pair::show_note;
pub(crate) use recovery::show_control;
pub(crate) use sinks::SinkWatch;
pub(crate) use verdict::COMES_TO_ITS_END;
pub use verdict::Ending;
pub(crate) use words::show_progress;

/// Why an event of the input is missing from the results.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Loss {
    /// It never left its source.
    Missed(ActorId),
    /// It was lost on a link.
    Link(LinkId),
    /// It was on the way to a node that crashed.
    Crash(LinkId),
    /// It stood in the mailbox of an actor whose node crashed.
    Mailbox(ActorId),
    /// It was in the state of an operator whose node crashed.
    State(ActorId),
    /// It found a full mailbox.
    Shed(ActorId),
    /// It came too late.
    Late(ActorId),
    /// The operator could not work on it.
    Failed(ActorId),
}

/// How much of what actors say is kept.
const NOTES: usize = 20;

/// A rule of the world that was broken, for the first time.
#[derive(Clone, Debug)]
pub struct Breach {
    /// When.
    pub at: Time,
    /// By which event.
    pub event: Option<EventId>,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub came: String,
}

/// A stream's law: everything that is put on comes out, once, in order.
#[derive(Default)]
struct StreamLaw {
    under_way: VecDeque<Option<EventId>>,
    breach: Option<Breach>,
}

/// How much the judge does.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scope {
    /// Hold operators to their models, and fold results into tables.
    pub oracle: bool,
    /// Brokers may have events that were kept before the run began.
    pub resumes: bool,
    /// How long things take is forgotten once, after so long.
    pub warm_up: Span,
    /// How many times as fast as the machine's clock the run goes, where it follows that.
    pub real_time: Option<f64>,
}

/// The judge of one run.
pub struct Judge {
    pub(crate) script: Arc<Script>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) actors: Vec<ActorMeter>,
    pub(crate) links: Vec<LinkMeter>,
    pub(crate) faults: Vec<FaultMeter>,
    lockstep: Vec<Option<Lockstep>>,
    laws: Vec<Option<StreamLaw>>,
    shelves: Vec<Option<broker::Shelf>>,
    pub(crate) sinks: FxHashMap<ActorId, SinkWatch>,
    /// For each operator: the sinks that read its main output.
    readers: Vec<Vec<ActorId>>,
    /// For each actor: whether it is a reordering buffer, whose events are timed.
    buffers: Vec<bool>,
    books: Option<(ActorId, Breach)>,
    /// Who first kept something else after a recovery than was saved.
    changed: Option<(ActorId, Breach)>,
    /// What was due, where it may be undone.
    history: recovery::History,
    /// Crashes that are not made good yet.
    outages: Vec<recovery::Outage>,
    /// Whether anybody is set back after a crash.
    recovers: bool,
    /// The operators with two copies.
    pairs: pair::Pairs,
    /// What they may publish.
    published: published::Published,
    /// By actor: the other of two copies, where it is one.
    twins: Vec<Option<ActorId>>,
    /// Those who go back begin afresh, and not at the beginning: what they gave stays given.
    afresh: bool,
    stepped_back: Option<(ActorId, Breach)>,
    epochs: wavetank_oracle::epoch::Epochs,
    /// The first event or marker that was in a wrong epoch.
    misplaced: Option<(ActorId, Breach)>,
    /// When the warm-up is over, until then.
    warm: Option<Time>,
    /// When events were sent that were planned for an earlier moment, by that moment.
    pub(crate) sent_late: FxHashMap<Time, Time>,
    pub(crate) losses: FxHashMap<Loss, (u64, Time, EventId)>,
    /// What was lost, with when and how: for explanations.
    pub(crate) lost: FxHashMap<EventId, (Time, Loss)>,
    /// Which events were late, and where: of several places each.
    pub(crate) late: BTreeSet<(ActorId, EventId)>,
    /// Which faults touched an event, and when.
    pub(crate) touches: FxHashMap<EventId, Vec<(usize, Time)>>,
    /// When an event was first taken by an operator or sink.
    pub(crate) seen: FxHashMap<EventId, (Time, ActorId, Time)>,
    pub(crate) watches: Vec<Watch>,
    scope: Scope,
    start: Time,
    pub(crate) run: crate::faults::Run,
    pub(crate) events: u64,
    /// What actors said that a person should know.
    pub(crate) notes: Vec<String>,
    /// How much they said beyond that.
    pub(crate) unnoted: usize,
    tick: u64,
}

impl Judge {
    /// A judge for a run of a script. `clocks` are those of the nodes; `twin` says that there will be a twin to compare
    /// with.
    ///
    /// # Errors
    /// When an operator has no model, or an expectation names what is not there.
    pub fn new(
        script: &Arc<Script>,
        clocks: &[NodeClock],
        scope: Scope,
        run: crate::faults::Run,
    ) -> Result<Self, String> {
        let topology = Arc::clone(&script.topology);
        let clocks: Vec<Rc<NodeClock>> = clocks.iter().cloned().map(Rc::new).collect();
        let tables: Tables = crate::run::tables(script);
        let mut lockstep = Vec::new();
        let mut readers = vec![Vec::new(); topology.actors.len()];
        let mut sinks = FxHashMap::default();
        let mut models = Models::new(script, &tables);
        for (i, actor) in topology.actors.iter().enumerate() {
            let id = ActorId(i as u32);
            if let (true, Role::Sink { sink }) = (scope.oracle, actor.role) {
                let delivery = script.scenario.sinks[sink].delivery;
                let tells = delivery == Delivery::ByResult && script.scenario.resumes_midway();
                let watch = SinkWatch {
                    answers: tells.then(BTreeSet::new),
                    ..SinkWatch::default()
                };
                sinks.insert(id, watch);
                for link in &actor.inputs {
                    let link = &topology.links[link.0 as usize];
                    if link.port == Port::Main {
                        for from in pair::origins(&topology, link.from) {
                            readers[from.0 as usize].push(id);
                        }
                    }
                }
            }
            let clock = &clocks[actor.node.0 as usize];
            let model = scope
                .oracle
                .then(|| models.of(id, clock.monotonic(run.start)))
                .transpose()?;
            let held = model
                .flatten()
                .map(|model| Lockstep::new(model, Rc::clone(clock), true));
            lockstep.push(held);
        }
        let laws = topology.links.iter().map(|link| {
            (scope.oracle && link.settings.kind == LinkKind::Stream && link.settings.on_crash != Some(OnCrash::Lost))
                .then(StreamLaw::default)
        });
        let shelves = topology.actors.iter().map(|actor| match actor.role {
            Role::Broker { broker } if scope.oracle => {
                let clock = Rc::clone(&clocks[actor.node.0 as usize]);
                Some(broker::Shelf::new(
                    &script.scenario.brokers[broker],
                    clock,
                    scope.resumes,
                ))
            }
            _ => None,
        });
        let shelves = shelves.collect();
        let buffers = topology.actors.iter().map(|actor| match actor.role {
            Role::Operator { operator } => script.scenario.operators[operator].reorder.is_some(),
            _ => false,
        });
        let mut judge = Self {
            buffers: buffers.collect(),
            actors: vec![ActorMeter::default(); topology.actors.len()],
            links: vec![LinkMeter::default(); topology.links.len()],
            faults: vec![FaultMeter::default(); script.scenario.faults.len()],
            lockstep,
            laws: laws.collect(),
            shelves,
            sinks,
            readers,
            books: None,
            changed: None,
            history: recovery::History::default(),
            afresh: script.scenario.resumes_midway(),
            outages: Vec::new(),
            recovers: script.scenario.snapshot.is_some()
                || script.scenario.replay.is_some()
                || script
                    .scenario
                    .operators
                    .iter()
                    .any(|operator| operator.failover.is_some()),
            pairs: pair::Pairs::new(&topology, run.start),
            published: if scope.oracle {
                published::Published::new(&topology, &script.scenario)
            } else {
                published::Published::default()
            },
            twins: (0..topology.actors.len() as u32)
                .map(|index| topology.twin(ActorId(index)))
                .collect(),
            stepped_back: None,
            epochs: wavetank_oracle::epoch::Epochs::default(),
            misplaced: None,
            warm: (scope.warm_up > Span::ZERO).then(|| run.start + scope.warm_up),
            sent_late: FxHashMap::default(),
            losses: FxHashMap::default(),
            lost: FxHashMap::default(),
            late: BTreeSet::new(),
            touches: FxHashMap::default(),
            seen: FxHashMap::default(),
            watches: Vec::new(),
            scope,
            start: run.start,
            run,
            events: 0,
            notes: Vec::new(),
            unnoted: 0,
            tick: 0,
            script: Arc::clone(script),
            topology,
        };
        judge.watches = claims::watches(&judge)?;
        Ok(judge)
    }

    /// Something happened.
    pub fn see(&mut self, at: Time, happening: &Happening<'_>) {
        self.pairs.see(at, happening, &mut self.actors, &mut self.faults);
        self.published.see(at, happening);
        match happening {
            Happening::OfCopy { .. } => {}
            Happening::Emitted { actor, port, element } => self.emitted(at, *actor, *port, element),
            Happening::Arrived { link, element, sent } => {
                let meter = &mut self.links[link.0 as usize];
                meter.arrived += 1;
                meter.in_flight = meter.in_flight.saturating_sub(1);
                if element.event().is_some() {
                    meters::record(&mut meter.transit, at.since(*sent));
                }
                if let Some(law) = &mut self.laws[link.0 as usize] {
                    let came = element.event().map(|event| event.id);
                    let due = law.under_way.pop_front();
                    if due != Some(came) && law.breach.is_none() {
                        let show = |id: Option<EventId>| {
                            id.map_or_else(|| "a control element".into(), |id| format!("event {id}"))
                        };
                        let expected = due.map_or_else(|| "nothing".into(), show);
                        law.breach = Some(Breach {
                            at,
                            event: came,
                            expected,
                            came: show(came),
                        });
                    }
                }
            }
            Happening::Delivered {
                actor,
                input,
                lane,
                element,
            } => self.delivered(at, *actor, *input, *lane, element),
            Happening::Timer { actor, token } => {
                if let Some(lockstep) = &mut self.lockstep[actor.0 as usize] {
                    lockstep.give(Given::Timer(*token));
                }
                if let Some(shelf) = &mut self.shelves[actor.0 as usize] {
                    shelf.woken();
                }
            }
            Happening::Done { actor } => {
                if let Some(shelf) = &mut self.shelves[actor.0 as usize] {
                    shelf.done();
                }
                self.done(at, *actor);
            }
            Happening::Account { actor, account } => self.account(at, *actor, account),
            Happening::Measured { actor, metric, reading } => {
                self.actors[actor.0 as usize].measure(*metric, *reading);
            }
            Happening::Noted { actor, text } => {
                self.note(at, *actor, text);
                if let Some(lockstep) = &mut self.lockstep[actor.0 as usize] {
                    lockstep.act(Did::Note((*text).into()));
                }
            }
            Happening::Dropped { actor, id, why } => {
                let why = match why {
                    Dropped::Filtered => Why::Filtered,
                    Dropped::Late => Why::Late,
                    Dropped::Failed => Why::Failed,
                };
                match why {
                    Why::Late => self.lose(at, *id, Loss::Late(*actor)),
                    Why::Failed => self.lose(at, *id, Loss::Failed(*actor)),
                    Why::Filtered => {}
                }
                self.actors[actor.0 as usize].dropped(*id);
                self.actors[actor.0 as usize].waits.refused();
                if let Some(lockstep) = &mut self.lockstep[actor.0 as usize] {
                    lockstep.act(Did::Ended(*id, why));
                }
            }
            Happening::Failed { actor, failure } => {
                self.lose(at, failure.event.id, Loss::Failed(*actor));
                self.actors[actor.0 as usize].dropped(failure.event.id);
                if let Some(lockstep) = &mut self.lockstep[actor.0 as usize] {
                    lockstep.act(Did::Ended(failure.event.id, Why::Failed));
                }
            }
            Happening::Took { actor, event } => self.took(at, *actor, event),
            Happening::Lost { link, element, why } => {
                let meter = &mut self.links[link.0 as usize];
                meter.lost += 1;
                meter.in_flight = meter.in_flight.saturating_sub(1);
                let id = element.event().map(|event| event.id);
                if let Some(law) = &mut self.laws[link.0 as usize]
                    && let Some(place) = law.under_way.iter().position(|waiting| *waiting == id)
                {
                    law.under_way.remove(place);
                }
                if let Some(id) = id {
                    let loss = match why {
                        LossReason::Network => Loss::Link(*link),
                        LossReason::Crash => Loss::Crash(*link),
                    };
                    if *why != LossReason::Crash || !self.link_comes_again(*link) {
                        self.lose(at, id, loss);
                    }
                }
            }
            Happening::Shed { actor, event } => {
                self.actors[actor.0 as usize].shed += 1;
                self.lose(at, event.id, Loss::Shed(*actor));
                // On a stream it was still under way, unless it had already stood in the mailbox.
                for link in &self.topology.actors[actor.0 as usize].inputs {
                    if let Some(law) = &mut self.laws[link.0 as usize]
                        && let Some(place) = law.under_way.iter().position(|waiting| *waiting == Some(event.id))
                    {
                        law.under_way.remove(place);
                        let meter = &mut self.links[link.0 as usize];
                        meter.in_flight = meter.in_flight.saturating_sub(1);
                        break;
                    }
                }
            }
            Happening::Missed { actor, id } => {
                self.actors[actor.0 as usize].missed += 1;
                self.lose(at, *id, Loss::Missed(*actor));
            }
            Happening::LostInMailbox { actor, event } => {
                self.actors[actor.0 as usize].lost_in_crash += 1;
                self.actors[actor.0 as usize].lost_before += 1;
                if !self.comes_again(*actor) {
                    self.lose(at, event.id, Loss::Mailbox(*actor));
                }
            }
            Happening::LostAtWork { actor, id, taken } => {
                self.actors[actor.0 as usize].lost_in_crash += 1;
                self.actors[actor.0 as usize].lost_before += u64::from(!taken);
                if !self.comes_again(*actor) {
                    self.lose(at, *id, Loss::Mailbox(*actor));
                }
            }
            Happening::Queue { actor, depth } => {
                let meter = &mut self.actors[actor.0 as usize];
                meter.queue = *depth as u64;
                meter.queue_max = meter.queue_max.max(meter.queue);
            }
            Happening::Meddled { actor, fault } => {
                self.faults[*fault].fire(at, None);
                if let Some(lockstep) = &mut self.lockstep[actor.0 as usize] {
                    lockstep.act(Did::Fault(*fault));
                }
            }
            Happening::HeldBack { actor, elements } => {
                let meter = &mut self.actors[actor.0 as usize];
                meter.held_back = *elements as u64;
                meter.held_back_max = meter.held_back_max.max(meter.held_back);
            }
            Happening::GaveUp { actor, .. } => self.actors[actor.0 as usize].given_up += 1,
            Happening::Answered { link, .. } => self.put_on(*link, None),
            Happening::Told { link, element } => {
                self.handed(at, *link, element);
                let from = self.topology.links[link.0 as usize].from;
                if let (Element::Control(control), Some(lockstep)) = (element, &mut self.lockstep[from.0 as usize])
                    && let Control::Question(_) | Control::Answer(_) = **control
                {
                    lockstep.act(Did::Told(Arc::clone(control)));
                }
                self.put_on(*link, element.event().map(|event| event.id));
            }
            Happening::Cut { actor, snapshot } => self.cut(*actor, *snapshot),
            Happening::Restored {
                actor, snapshot, same, ..
            } => self.restored(at, *actor, *snapshot, *same),
            Happening::Superseded { actor, .. } => self.actors[actor.0 as usize].superseded += 1,
            Happening::Hold { link, hold } => self.hold(at, *link, *hold),
            Happening::Node { node, fault, by } => {
                if !matches!(fault, NodeFault::Restart | NodeFault::Resume | NodeFault::Slow(1.0)) {
                    self.faults[*by].fire(at, None);
                }
                if *fault == NodeFault::Crash {
                    self.crashed(at, *node, *by);
                }
            }
            Happening::Fault { fault, id } => {
                self.faults[*fault].fire(at, *id);
                if let Some(id) = id {
                    self.meddled_at_broker(*fault, *id);
                }
                if let Some(id) = id
                    && self.scope.oracle
                {
                    self.touches.entry(*id).or_default().push((*fault, at));
                }
            }
        }
    }

    /// Nothing more happens at `at`: statements about single instants are judged now.
    pub fn instant_over(&mut self, at: Time) {
        if self.warm.is_some_and(|warm| at >= warm) {
            self.warm = None;
            self.actors.iter_mut().for_each(ActorMeter::warm);
            self.links
                .iter_mut()
                .for_each(|link| link.transit = wavetank_reports::Histogram::default());
        }
        self.tick += 1;
        if self.watches.is_empty() {
            return;
        }
        let mut watches = std::mem::take(&mut self.watches);
        for watch in &mut watches {
            watch.look(at, self);
        }
        self.watches = watches;
    }

    /// The receiver of a link holds it back, or lets it go.
    fn hold(&mut self, at: Time, link: LinkId, hold: bool) {
        let meter = &mut self.links[link.0 as usize];
        match (meter.held_since, hold) {
            (None, true) => meter.held_since = Some(at),
            (Some(since), false) => {
                meter.paused = meter.paused + at.since(since);
                meter.held_since = None;
            }
            _ => {}
        }
        let to = &self.topology.links[link.0 as usize];
        if let Some(lockstep) = &mut self.lockstep[to.to.0 as usize] {
            lockstep.act(Did::Hold(to.input, hold));
        }
    }

    /// An actor says something; the first of it is kept.
    fn note(&mut self, at: Time, actor: ActorId, text: &str) {
        if self.notes.len() < NOTES {
            let name = &self.topology.actors[actor.0 as usize].name;
            self.notes.push(format!("`{name}` at {}: {text}", explain_time(at)));
        } else {
            self.unnoted += 1;
        }
    }

    fn lose(&mut self, at: Time, id: EventId, loss: Loss) {
        self.losses.entry(loss).or_insert((0, at, id)).0 += 1;
        if let Loss::Late(actor) = loss {
            self.late.insert((actor, id));
        }
        if self.scope.oracle {
            self.lost.entry(id).or_insert((at, loss));
        }
    }

    /// An element is put on a link: this event, or something else.
    fn put_on(&mut self, link: LinkId, event: Option<EventId>) {
        let meter = &mut self.links[link.0 as usize];
        meter.sent += 1;
        meter.in_flight += 1;
        meter.in_flight_max = meter.in_flight_max.max(meter.in_flight);
        if let Some(law) = &mut self.laws[link.0 as usize] {
            law.under_way.push_back(event);
        }
    }

    /// What an actor puts out belongs to an epoch.
    fn mark(&mut self, at: Time, actor: ActorId, element: &Element) {
        let source = matches!(self.topology.actors[actor.0 as usize].role, Role::Source { .. });
        match element {
            Element::Event(event) if source => self.epochs.said(event.id),
            Element::Epoch(number) => {
                if let Err(expected) = self.epochs.marks(actor.0, *number) {
                    let came = format!("marker {number}");
                    self.misplaced.get_or_insert((
                        actor,
                        Breach {
                            at,
                            event: None,
                            expected,
                            came,
                        },
                    ));
                }
            }
            _ => {}
        }
    }

    /// An actor takes an element, in the epoch that the markers before it say.
    fn takes(&mut self, at: Time, actor: ActorId, element: &Element) {
        match element {
            Element::Epoch(number) => {
                self.epochs.takes_marker(actor.0, *number);
                self.actors[actor.0 as usize].epoch = *number;
            }
            Element::Event(event) if self.scope.oracle => {
                if let Err(expected) = self.epochs.takes(actor.0, event.id, event.origins()) {
                    let came = format!("taken behind marker {}", self.epochs.at(actor.0));
                    let event = Some(event.id);
                    self.misplaced.get_or_insert((
                        actor,
                        Breach {
                            at,
                            event,
                            expected,
                            came,
                        },
                    ));
                }
            }
            _ => {}
        }
    }

    fn emitted(&mut self, at: Time, actor: ActorId, port: Port, element: &Element) {
        let index = actor.0 as usize;
        let topology = Arc::clone(&self.topology);
        let spec = &topology.actors[index];
        let event = element.event();
        for link in &spec.outputs {
            if element.goes(port, topology.links[link.0 as usize].port) {
                self.put_on(*link, event.map(|event| event.id));
            }
        }
        if self.scope.oracle && self.script.scenario.epoch.is_some() {
            self.mark(at, actor, element);
        }
        if let (Port::Failed, Some(event)) = (port, event) {
            self.buried(at, actor, event.id);
        }
        if let (Role::Source { .. }, Some(event)) = (&spec.role, event) {
            meters::record(
                &mut self.actors[index].send_delay,
                at.since(event.planned).max(Span::ZERO),
            );
            if at > event.planned {
                // Of several that were planned for one moment the last.
                self.sent_late.insert(event.planned, at);
            }
        }
        let sends = matches!(port, Port::Stream(_)) || matches!(element, Element::Progress(_));
        if sends && let Some(lockstep) = &mut self.lockstep[index] {
            lockstep.act(Did::Sent(port, element.clone()));
        }
        let meter = &mut self.actors[index];
        match element {
            Element::Event(event) if port == Port::Main => {
                meter.emitted += 1;
                meter.in_order(event.stamp);
                if self.buffers[index] {
                    meter.leaves(at, event);
                }
                match spec.role {
                    Role::Source { .. } => self.events += 1,
                    Role::Operator { .. } | Role::Worker { .. } | Role::Merge { .. } => {
                        if let Role::Merge { .. } = spec.role
                            && let Some(since) = meter.waits.goes(event)
                        {
                            meter.measure(Metric::MergeWait, at.since(since).micros().unsigned_abs());
                        }
                        let due = match event.pane.as_deref() {
                            Some(pane) if pane.end < Time::MAX => pane.end,
                            Some(_) => event.planned,
                            None => event.stamp,
                        };
                        // A correction comes as late as what it corrects: the delay is that of first answers.
                        if event.pane.as_ref().is_none_or(|pane| pane.revision == 0) {
                            meters::record(&mut meter.emit_delay, at.since(due));
                        }
                        meter.corrections += u64::from(event.pane.as_ref().is_some_and(|pane| pane.revision > 0));
                    }
                    _ => {}
                }
                if let Some(lockstep) = &mut self.lockstep[index] {
                    lockstep.act(Did::Result((**event).clone()));
                }
            }
            Element::Event(_) => meter.emitted += u64::from(matches!(port, Port::Stream(_))),
            Element::Progress(_) => {}
            control => {
                if let Element::Watermark(watermark) = control {
                    if *watermark < meter.watermark && self.stepped_back.is_none() {
                        let show = |t: Time| format!("watermark {}", wavetank_reports::time::Time(t.micros()));
                        let expected = format!("at least {}", show(meter.watermark));
                        self.stepped_back = Some((
                            actor,
                            Breach {
                                at,
                                event: None,
                                expected,
                                came: show(*watermark),
                            },
                        ));
                    }
                    meter.watermark = *watermark;
                    if self.scope.oracle && spec.role.works().is_some() {
                        meter.watermarks.push((at, *watermark));
                    }
                    if *watermark < Time::MAX {
                        meters::record(&mut meter.lag, at.since(*watermark));
                        meter.look_behind(at);
                    }
                }
                if let Some(lockstep) = &mut self.lockstep[index] {
                    lockstep.act(Did::Control(control.clone()));
                }
            }
        }
    }

    fn delivered(&mut self, at: Time, actor: ActorId, input: usize, lane: usize, element: &Element) {
        let index = actor.0 as usize;
        let role = self.topology.actors[index].role;
        if let Role::Broker { .. } = role {
            self.shelved(actor, input, element);
        }
        if self.script.scenario.epoch.is_some() {
            self.takes(at, actor, element);
        }
        if let Element::Control(control) = element
            && let Control::Snapshot(Message::Entered { .. }) = **control
        {
            self.noticed(at, actor, input);
        }
        let meter = &mut self.actors[index];
        meter.look_behind(at);
        meter.delivered += 1;
        if let Element::Event(event) = element {
            meter.taken += 1;
            if let Role::Merge { .. } = role {
                meter.waits.came(at, event);
            }
            if role.works().is_some() {
                if meter.largest > Time::MIN {
                    meters::record(&mut meter.lateness, meter.largest.since(event.stamp).max(Span::ZERO));
                }
                meter.largest = meter.largest.max(event.stamp);
            }
            if self.buffers[index] {
                meter.enters(at, event);
            }
            if self.scope.oracle && !role.passes() && !matches!(role, Role::Broker { .. }) && role.pairs().is_none() {
                self.seen.entry(event.id).or_insert((at, actor, event.stamp));
            }
        }
        if let Some(lockstep) = &mut self.lockstep[index] {
            lockstep.give(Given::Element {
                input,
                lane,
                element: element.clone(),
            });
        }
    }

    fn done(&mut self, at: Time, actor: ActorId) {
        let index = actor.0 as usize;
        if let Some(lockstep) = &mut self.lockstep[index] {
            let (sinks, readers) = (&mut self.sinks, &self.readers[index]);
            let history = self
                .recovers
                .then_some(&mut self.history)
                .filter(|_| !readers.is_empty());
            let mut history = history;
            let twin = self.twins[index];
            lockstep.done(at, |due| {
                if let Some(history) = &mut history
                    && !history.due(actor, twin, due)
                {
                    // The other copy has been due the same before.
                    return;
                }
                for sink in readers {
                    if let Some(watch) = sinks.get_mut(sink)
                        && watch.shows(due)
                    {
                        watch.admitted.fold_due(due);
                    }
                }
            });
        }
    }

    fn account(&mut self, at: Time, actor: ActorId, account: &Account) {
        let meter = &mut self.actors[actor.0 as usize];
        meter.account = *account;
        meter.held_max = meter.held_max.max(account.held);
        meter.state_max = meter.state_max.max(account.state_bytes);
        if !account.balances() && self.books.is_none() {
            let came = format!(
                "{} caused + {} filtered + {} late + {} failed + {} held",
                account.caused, account.filtered, account.late, account.failed, account.held
            );
            self.books = Some((
                actor,
                Breach {
                    at,
                    event: None,
                    expected: format!("{} taken in", account.taken),
                    came,
                },
            ));
        }
        if let Some(lockstep) = &mut self.lockstep[actor.0 as usize] {
            lockstep.held = account.held;
            lockstep.caused = account.caused;
        }
        if !self.outages.is_empty() {
            self.catches_up(at, actor, account.taken);
        }
    }
}
