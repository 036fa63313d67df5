//! Who plays what: from a script's topology to actors on the stage, at the start and again after every crash.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use actix::Recipient;
use wavetank_scenarios::Time;
use wavetank_scenarios::input::What;
use wavetank_scenarios::numbering::EPOCH;
use wavetank_scenarios::script::{self, Future, Keeps, Late, OnError, Scenario, ValveSettings};
use wavetank_scenarios::topology::{ActorId, Role, Topology};

use crate::host::enter;
use crate::operator::Operator;
use crate::roles::{Counter, Marked, Operating, Plan, Sink, Source};
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

/// Makes a pattern's operator for an operator of the scenario.
pub type MakeOperator = Box<dyn Fn(usize) -> Result<Box<dyn Operator>, String>>;

/// The players of one scenario.
pub struct Players {
    scenario: Arc<Scenario>,
    topology: Arc<Topology>,
    plans: BTreeMap<ActorId, (Plan, Rc<Cell<Marked>>)>,
    /// When the run began.
    start: Option<Time>,
    make: MakeOperator,
    incarnations: BTreeMap<ActorId, u64>,
    /// When a split entered first, by its monotonic clock.
    entered: BTreeMap<ActorId, Time>,
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
        Self {
            scenario,
            topology,
            plans,
            start: None,
            make,
            incarnations: BTreeMap::new(),
            entered: BTreeMap::new(),
        }
    }
}

impl Cast for Players {
    fn enter(&mut self, actor: ActorId, stage: Stage) -> Result<Recipient<Deliver>, String> {
        let spec = &self.topology.actors[actor.0 as usize];
        let entered = self.incarnations.entry(actor).or_default();
        let entries = *entered;
        let first = entries * NUMBERS_PER_INCARNATION;
        *entered += 1;
        let start = *self.start.get_or_insert(stage.plan_time());
        Ok(match spec.role {
            Role::Source { .. } => {
                let (plan, marked) = self.plans.get(&actor).ok_or("it has no departures")?;
                let source = Source::new(Rc::clone(plan), self.scenario.epoch.clone(), Rc::clone(marked));
                enter(source, stage)
            }
            Role::Watermark { operator } => {
                let of = &self.scenario.operators[operator];
                let settings = of.generator().cloned().ok_or("it has no settings")?;
                let schemas = self.topology.input_schemas(actor);
                let names: Vec<&str> = of.input.iter().map(String::as_str).collect();
                let (tick, inputs) = (self.scenario.time.tick, spec.inputs.len());
                let generator = Generator::new(settings, of.valve, tick, inputs, &schemas, &names)?;
                enter(generator.holding(of.future == Future::Hold), stage)
            }
            Role::Operator { operator } => {
                let settings = &self.scenario.operators[operator];
                let part = (self.make)(operator)?;
                let operating = Operating::new(part, spec.inputs.len(), settings, first);
                enter(operating.holding(settings, self.scenario.time.tick), stage)
            }
            Role::Split { operator } => {
                let settings = &self.scenario.operators[operator];
                let convey = settings.convey.clone().ok_or("it has no settings")?;
                let schemas = self.topology.input_schemas(actor);
                let schema = schemas.first().ok_or("it has no input")?;
                let mut names: Vec<&str> = settings.input.iter().map(String::as_str).collect();
                names.extend(settings.query.as_ref().and_then(|query| query.alias.as_deref()));
                let router = Router::new(&convey, schema, &names)?;
                let inputs = self.topology.forward(actor).count();
                let now = stage.monotonic();
                let started = *self.entered.entry(actor).or_insert(now);
                let first = entries * EPOCH;
                enter(Split::new(convey, router, inputs, first, started), stage)
            }
            Role::Worker { operator, .. } => {
                let settings = &self.scenario.operators[operator];
                let convey = settings.convey.as_ref().ok_or("it has no settings")?;
                let part = (self.make)(operator)?;
                let operating = Operating::new(part, spec.inputs.len(), settings, first);
                // The fields that events are dealt by, in the key of the operator's state.
                let key = match (settings.body()?.keeps(), convey.by.key()) {
                    (Keeps::Keys(kept), Some(by)) => {
                        let place = |field: &String| kept.iter().position(|kept| kept == field);
                        by.iter().map(place).collect()
                    }
                    _ => None,
                };
                enter(Worker::new(operating, convey, key, self.scenario.time.tick), stage)
            }
            Role::Merge { operator } => {
                let settings = &self.scenario.operators[operator];
                let convey = settings.convey.as_ref().ok_or("it has no settings")?;
                let side = settings.late == Late::Side;
                let part = Box::new(Merge::new(convey, side, self.scenario.time.tick, entries > 0));
                // Its settings are those of the work; a merge combines and lets go as it must.
                let settings = script::Operator {
                    flush_at_end: true,
                    on_error: OnError::Side,
                    valve: ValveSettings::default(),
                    ..settings.clone()
                };
                enter(Operating::new(part, spec.inputs.len(), &settings, first), stage)
            }
            Role::Sink { .. } => enter(Sink::default(), stage),
            Role::Counter => {
                let epoch = self.scenario.epoch.as_ref().ok_or("there are no epochs to count")?;
                enter(Counter::new(epoch, start), stage)
            }
        })
    }
}
