//! One run of a scenario: a world built from its script, its waves made, watched and judged, and the record of it all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use wavetank_actors::operator::Operator;
use wavetank_actors::reliability::disk::SimulatedDisk;
use wavetank_actors::reliability::snapshot::Keys;
use wavetank_actors::world::{Happening, Observer, Outcome, Setup, Virtual, World, WorldError};
use wavetank_actors::{Players, Vault, processing};
use wavetank_oracle::table::Table;
use wavetank_oracle::truth::Truth;
use wavetank_reports::record::Record;
use wavetank_reports::timeline::Timeline;
use wavetank_reports::trace::TraceLine;
use wavetank_scenarios::input::Planned;
use wavetank_scenarios::topology::{ActorId, Role, Topology};
use wavetank_scenarios::{Row, Schema, Script, Span, Time};

use crate::disk::RealDisk;
use crate::exposition::{Exposer, Shown};
use crate::faults::{Faults, Run};
use crate::judge::{Ending, Judge, Scope};
use crate::recording;
use crate::timeline::Gatherer;
use crate::tracing::Tracer;

/// How a scenario is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed; the scenario's own where there is none.
    pub seed: Option<u64>,
    /// Hold operators to their naive models, and compare with truth.
    pub oracle: bool,
    /// Watch the run at all: without it nothing is measured or judged, and the record tells deliveries alone.
    pub watch: bool,
    /// Keep every line of the trace.
    pub trace: bool,
    /// Gather what plots need over time.
    pub timeline: bool,
    /// Put what is measured on show while the run follows the machine's clock.
    pub exposition: Option<Shown>,
    /// Hash the trace.
    pub hash: bool,
    /// Leave how long things took out of the record until so much time has gone by.
    pub warm_up: Span,
    /// Follow the machine's clock instead of virtual time, this many times as fast.
    pub real_time: Option<f64>,
    /// On the machine's clock: brokers keep their events in this folder, and find there what was kept before.
    pub disk: Option<PathBuf>,
    /// The keys of encrypted snapshots; without them one is made from the seed, and protects nothing.
    pub keys: Option<Arc<Keys>>,
    /// Set from outside to end the run early; what was seen up to then is judged.
    pub interrupt: Arc<AtomicBool>,
    /// Told how far virtual time has come, now and then.
    pub progress: Option<Progress>,
}

/// Told how far a run has come in virtual time, and how long it will be at least.
#[derive(Clone)]
pub struct Progress(pub Arc<dyn Fn(Span, Span) + Send + Sync>);

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: None,
            oracle: true,
            watch: true,
            trace: false,
            timeline: false,
            exposition: None,
            hash: true,
            warm_up: Span::ZERO,
            real_time: None,
            disk: None,
            keys: None,
            interrupt: Arc::default(),
            progress: None,
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The one record that every rendering reads.
    pub record: Record,
    /// The trace, when it was asked for.
    pub trace: Vec<TraceLine>,
    /// What went on over time, when it was asked for.
    pub timeline: Option<Box<Timeline>>,
}

/// Why a run could not begin.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RunError {
    /// The scenario asks for something that cannot be built.
    #[error("{scenario}: {why}")]
    Build {
        /// Which scenario.
        scenario: String,
        /// Why.
        why: String,
    },
}

/// Runs scenarios one after another on this thread. Making an actix system costs more than a small world, so one of them
/// serves many.
pub struct Tank {
    system: actix_rt::SystemRunner,
}

impl Default for Tank {
    fn default() -> Self {
        // Virtual time needs no driver: without one an idle runtime asks the machine for nothing.
        let bare = || match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime,
            Err(error) => panic!("the machine refuses a runtime: {error}"),
        };
        Self {
            system: actix_rt::System::with_tokio_rt(bare),
        }
    }
}

impl Tank {
    /// Runs a scenario and judges it.
    ///
    /// # Errors
    /// When the scenario asks for something that cannot be built; everything that happens in the run itself is in the
    /// record.
    pub fn run(&self, script: &Arc<Script>, options: &Options) -> Result<Ran, RunError> {
        let judged = self.judged(script, options)?;
        let trace = judged.tracer.map_or_else(Vec::new, Tracer::into_lines);
        let (record, timeline) = (judged.record, judged.timeline.map(Box::new));
        Ok(Ran {
            record,
            trace,
            timeline,
        })
    }

    /// Runs a scenario and judges it; its record, and what a crash must not change.
    pub(crate) fn outcome(
        &self,
        script: &Arc<Script>,
        options: &Options,
    ) -> Result<(Record, crate::everywhere::Outcome), RunError> {
        let judged = self.judged(script, options)?;
        Ok((judged.record, crate::everywhere::Outcome::new(judged.judge)))
    }

    fn judged(&self, script: &Arc<Script>, options: &Options) -> Result<Judged, RunError> {
        let build = |why: String| RunError::Build {
            scenario: script.scenario.name.clone(),
            why,
        };
        let run = conditions(script, options);
        if let Some(folder) = &options.disk {
            open_disks(folder, script, run).map_err(build)?;
        }
        let scope = Scope {
            oracle: options.oracle,
            resumes: options.disk.is_some(),
            warm_up: options.warm_up,
            real_time: options.real_time,
        };
        let faults = Faults::new(&script.scenario, &script.topology, run);
        let started = crate::clock::Stopwatch::start();
        let played = self.play(script, options, &faults, run, scope).map_err(build)?;
        let (mut judge, tracer, gatherer) = (played.judge, played.tracer, played.gatherer);
        let outcome = played.outcome;
        // What was stopped has no end that could be held against another one's.
        let stopped = outcome.as_ref().is_ok_and(|outcome| outcome.interrupted);
        let wants_twin = judge.wants_twin() && !stopped;
        let truth = if options.oracle && !stopped {
            Some(truth(script, run.seed).map_err(build)?)
        } else {
            None
        };
        let twin = if wants_twin {
            let calm = Options {
                trace: false,
                timeline: false,
                exposition: None,
                hash: false,
                progress: None,
                disk: None,
                ..options.clone()
            };
            let none = Faults::none(&script.topology, run);
            let twin = self.play(script, &calm, &none, run, scope).map_err(build)?;
            Some(twin.judge.sink_tables())
        } else {
            None
        };
        let ending = Ending { outcome, truth, twin };
        judge.close(&ending);
        let wall = started.elapsed();
        let mut record = recording::record(&judge, &ending, wall);
        record.real_time = options.real_time;
        if let Some(shown) = &options.exposition {
            shown.show(&judge);
        }
        let snapshot = script.scenario.snapshot.as_ref();
        if options.keys.is_none() && snapshot.is_some_and(|snapshot| snapshot.encrypt) {
            let remark = "the key of its snapshots follows from the seed: it protects nothing";
            record.remarks.push(remark.to_owned());
        }
        let timeline = gatherer.map(|gatherer| gatherer.finish(&record, ending.truth.as_ref()));
        Ok(Judged {
            record,
            judge,
            tracer,
            timeline,
        })
    }

    /// Plays one world to its end.
    fn play(
        &self,
        script: &Arc<Script>,
        options: &Options,
        faults: &Faults,
        run: Run,
        scope: Scope,
    ) -> Result<Played, String> {
        let clocks = faults.clocks()?;
        let watchers = Rc::new(RefCell::new(Watchers {
            judge: Judge::new(script, &clocks, scope, run)?,
            tracer: options.trace.then(|| Tracer::new(script)),
            gatherer: options.timeline.then(|| Gatherer::new(script, run)),
            exposer: options.exposition.clone().map(Exposer::new),
            progress: options.progress.clone(),
            run,
            told: run.start,
        }));
        let departures: Vec<(ActorId, _)> = sources(&script.topology)
            .map(|actor| (actor, faults.departures(actor, script.input(actor, run.seed))))
            .collect();
        let setup = Setup {
            topology: Arc::clone(&script.topology),
            seed: run.seed,
            start: run.start,
            tie: script.scenario.time.tie,
            step_budget: script.scenario.time.step_budget,
            clocks,
            node_plan: faults.node_plan(),
            strikes: faults.strikes(),
            network: Box::new(faults.waves()),
            epoch: script.scenario.epoch.clone(),
            barrier: script
                .scenario
                .snapshot
                .as_ref()
                .map_or_else(Default::default, |s| s.barrier),
            cast: Box::new(players(script, departures, scope.oracle).with_vault(vault(script, faults, run, options))),
            observer: options
                .watch
                .then(|| Box::new(Shared(Rc::clone(&watchers))) as Box<dyn Observer>),
            hash: options.hash,
            interrupt: Arc::clone(&options.interrupt),
        };
        let world = World::new(setup);
        let outcome = match options.real_time {
            None => self.system.block_on(world.run(Virtual)),
            Some(speed) => self
                .system
                .block_on(world.run(crate::clock::Real::new(run.start, speed))),
        };
        let watchers = Rc::try_unwrap(watchers)
            .map_err(|_| "the world is still watched after its end")?
            .into_inner();
        Ok(Played {
            judge: watchers.judge,
            tracer: watchers.tracer,
            gatherer: watchers.gatherer,
            outcome,
        })
    }
}

/// A world that has been played to its end.
struct Played {
    judge: Judge,
    tracer: Option<Tracer>,
    gatherer: Option<Gatherer>,
    outcome: Result<Outcome, WorldError>,
}

/// A world that has been played and judged.
struct Judged {
    record: Record,
    judge: Judge,
    tracer: Option<Tracer>,
    timeline: Option<Timeline>,
}

/// Runs a scenario on a tank of its own.
///
/// # Errors
/// As [`Tank::run`].
pub fn run(script: &Arc<Script>, options: &Options) -> Result<Ran, RunError> {
    Tank::default().run(script, options)
}

/// Seed, start and length of a run.
pub fn conditions(script: &Script, options: &Options) -> Run {
    let seed = options.seed.unwrap_or(script.scenario.time.seed);
    let start = script.start();
    let end = script.end().or_else(|| {
        // Only faults need to know the end of a run that its sources alone decide: repeated ones would have none.
        if script.scenario.faults.is_empty() {
            return None;
        }
        let sources = sources(&script.topology);
        sources
            .filter_map(|actor| script.input(actor, seed).filter_map(|planned| planned.leaves).max())
            .max()
    });
    // The last event still belongs to the run.
    let length = end.map_or(Span::MAX, |end| end.since(start).max(Span::UNIT));
    Run { seed, start, length }
}

/// The source actors of a topology.
fn sources(topology: &Topology) -> impl Iterator<Item = ActorId> + '_ {
    let actors = topology.actors.iter().enumerate();
    actors
        .filter(|(_, actor)| matches!(actor.role, Role::Source { .. }))
        .map(|(i, _)| ActorId(i as u32))
}

/// What snapshots are kept with. Without a key from outside one follows from the seed: it protects nothing, and neither
/// does it have to, because the disk is simulated too.
fn vault(script: &Arc<Script>, faults: &Faults, run: Run, options: &Options) -> Vault {
    let (faults, at_brokers) = (faults.clone(), faults.clone());
    let (topology, folder) = (Arc::clone(&script.topology), options.disk.as_ref());
    let folder = folder.map(|folder| disk_folder(folder, script, run));
    let from_seed = || Arc::new(Keys::from_seed(run.seed));
    Vault {
        disks: Box::new(move |actor, settings| {
            let befalls = Box::new(faults.disk(actor, settings));
            match (&folder, topology.actors[actor.0 as usize].role) {
                (Some(folder), Role::Broker { .. }) => {
                    let file = disk_file(folder, &topology, actor);
                    let disk = RealDisk::with_faults(file, befalls).map_err(|error| error.to_string())?;
                    Ok(Box::new(disk))
                }
                _ => Ok(Box::new(SimulatedDisk::of(settings, befalls))),
            }
        }),
        brokers: Box::new(move |actor| Box::new(at_brokers.broker(actor))),
        keys: options.keys.clone().unwrap_or_else(from_seed),
        run: xxhash_rust::xxh3::xxh3_128_with_seed(script.scenario.name.as_bytes(), run.seed),
    }
}

/// Where the brokers of a run keep their events: runs of other scenarios, and at other seeds, have events of their own.
fn disk_folder(folder: &Path, script: &Script, run: Run) -> PathBuf {
    folder.join(format!("{}@{}", script.scenario.name, run.seed))
}

/// The file of a broker's disk.
fn disk_file(folder: &Path, topology: &Topology, broker: ActorId) -> PathBuf {
    folder.join(format!("{}.redb", topology.actors[broker.0 as usize].name))
}

/// Makes the folder of real disks, and looks whether each can be opened.
fn open_disks(folder: &Path, script: &Script, run: Run) -> Result<(), String> {
    let folder = disk_folder(folder, script, run);
    std::fs::create_dir_all(&folder).map_err(|error| format!("the folder `{}`: {error}", folder.display()))?;
    for (index, actor) in script.topology.actors.iter().enumerate() {
        if let Role::Broker { .. } = actor.role {
            let file = disk_file(&folder, &script.topology, ActorId(index as u32));
            RealDisk::open(file).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// Who plays in a script's world.
pub fn players(
    script: &Arc<Script>,
    departures: Vec<(ActorId, wavetank_actors::Departures)>,
    lineage: bool,
) -> Players {
    let made = Arc::clone(script);
    let make = move |index: usize| operator(&made, index, lineage);
    let scenario = Arc::new(script.scenario.clone());
    Players::new(scenario, Arc::clone(&script.topology), departures, Box::new(make))
}

/// The operator of that index in the scenario, as its actor hosts it.
///
/// # Errors
/// What is wrong with its settings.
pub fn operator(script: &Script, index: usize, lineage: bool) -> Result<Box<dyn Operator>, String> {
    let topology = &script.topology;
    let worker = topology.workers(index).next().ok_or("nobody plays it")?;
    let at = worker.0 as usize;
    let read = script.scenario.tables.iter().zip(script.tables.iter());
    let tables: Vec<processing::Table> = read
        .map(|(named, read)| processing::Table {
            name: named.name.clone(),
            schema: read.schema.clone(),
            rows: read.rows.clone(),
        })
        .collect();
    let around = processing::Surroundings {
        inputs: &topology.input_schemas(worker),
        output: &topology.actors[at].schema,
        tables: &tables,
        tick: script.scenario.time.tick,
        lineage,
    };
    processing::build(&script.scenario.operators[index], around)
}

/// The tables to enrich from, by name.
pub fn tables(script: &Script) -> BTreeMap<String, (Schema, Vec<Row>)> {
    let names = script.scenario.tables.iter().map(|table| table.name.clone());
    names
        .zip(
            script
                .tables
                .iter()
                .map(|table| (table.schema.clone(), table.rows.clone())),
        )
        .collect()
}

/// What each sink should have over the fault-free input.
fn truth(script: &Script, seed: u64) -> Result<BTreeMap<ActorId, Table>, String> {
    let tables = tables(script);
    let plans = |actor: ActorId| -> Box<dyn Iterator<Item = Planned>> { Box::new(script.input(actor, seed)) };
    let truth = Truth::new(&script.scenario, &script.topology, &tables, &plans);
    let sinks = script.topology.actors.iter().enumerate();
    let sinks = sinks
        .filter(|(_, actor)| matches!(actor.role, Role::Sink { .. }))
        .map(|(i, _)| ActorId(i as u32));
    sinks.map(|sink| Ok((sink, truth.table(sink)?))).collect()
}

/// Everyone who watches a run.
struct Watchers {
    judge: Judge,
    tracer: Option<Tracer>,
    gatherer: Option<Gatherer>,
    exposer: Option<Exposer>,
    progress: Option<Progress>,
    run: Run,
    told: Time,
}

/// The watchers, shared between the world, which owns an observer, and the run, which wants them back.
struct Shared(Rc<RefCell<Watchers>>);

impl Observer for Shared {
    fn see(&mut self, at: Time, happening: &Happening<'_>) {
        let mut watchers = self.0.borrow_mut();
        watchers.judge.see(at, happening);
        if let Some(tracer) = &mut watchers.tracer {
            tracer.see(at, happening);
        }
        if let Some(gatherer) = &mut watchers.gatherer {
            gatherer.see(at, happening);
        }
    }
    fn instant_over(&mut self, at: Time) -> bool {
        let mut watchers = self.0.borrow_mut();
        let watchers = &mut *watchers;
        watchers.judge.instant_over(at);
        if let Some(exposer) = &mut watchers.exposer {
            exposer.see(&watchers.judge);
        }
        // Twenty times a run is often enough for a person.
        let step = Span::from_micros((watchers.run.length.micros() / 20).max(1));
        if let Some(progress) = &watchers.progress
            && at.since(watchers.told) >= step
        {
            (progress.0)(at.since(watchers.run.start), watchers.run.length);
            watchers.told = at;
        }
        true
    }
}

/// What each sink holds, by actor.
pub type SinkTables = BTreeMap<ActorId, Table>;
