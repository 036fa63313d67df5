//! Gathers the timeline of a run, for its report: an observer beside the judge that judges nothing, and whose memory
//! does not grow with the run.

mod panels;
mod planes;
mod strips;
mod ways;

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_actors::world::Happening;
use wavetank_oracle::table::Table;
use wavetank_reports::record::Record;
use wavetank_reports::timeline::{Band, LinkEnds, SCHEMA, Strip, Timeline, Track};
use wavetank_scenarios::fault::{FaultKind, Place, Timing};
use wavetank_scenarios::schedule::Schedule;
use wavetank_scenarios::topology::{ActorId, NodeId, Port, Role, Topology};
use wavetank_scenarios::{EventId, Script, Span, Time};

use crate::faults::Run;
use crate::judge::explain_time;
use panels::Panels;
use planes::Planes;
use strips::Strips;
use ways::Ways;

/// Watches a run for its timeline.
pub struct Gatherer {
    script: Arc<Script>,
    run: Run,
    strips: Strips,
    planes: Planes,
    ways: Ways,
    panels: Panels,
    /// When something last happened: a run that was stopped by an error has no other end.
    last: i64,
    /// By actor: how much waits in its mailbox, and since when something is being served.
    services: Vec<(usize, Option<i64>)>,
}

/// What all parts of a gatherer know of the run.
#[derive(Clone, Copy)]
struct Seen<'a> {
    script: &'a Script,
    topology: &'a Topology,
    /// Microseconds since the start.
    at: i64,
    start: Time,
    /// Of what an actor takes: when its service began, which is over now.
    began: i64,
}

impl Seen<'_> {
    /// A point of event time, counted from the start of the run.
    fn event_time(&self, stamp: Time) -> i64 {
        stamp.micros().saturating_sub(self.start.micros())
    }
    /// The name of an event.
    fn name(&self, id: EventId) -> String {
        let from = self.topology.actors.get(id.producer.0 as usize);
        from.map_or_else(|| id.to_string(), |actor| format!("{}#{}", actor.name, id.number))
    }
    fn role(&self, actor: ActorId) -> Role {
        self.topology.actors[actor.0 as usize].role
    }
}

/// The hash by which an event is kept or not, the same at every place.
fn hash_of(id: EventId) -> u64 {
    wavetank_reports::timeline::sample::hash(u64::from(id.producer.0), id.number)
}

impl Gatherer {
    /// A gatherer for a run of a script.
    pub fn new(script: &Arc<Script>, run: Run) -> Self {
        Self {
            strips: Strips::new(&script.topology),
            planes: Planes::new(script),
            ways: Ways::new(script),
            panels: Panels::new(script),
            script: Arc::clone(script),
            run,
            last: 0,
            services: vec![(0, None); script.topology.actors.len()],
        }
    }

    /// Something happened.
    pub fn see(&mut self, at: Time, happening: &Happening<'_>) {
        let at = at.micros().saturating_sub(self.run.start.micros());
        let mut began = at;
        match happening {
            Happening::Queue { actor, depth } => {
                let (before, service) = &mut self.services[actor.0 as usize];
                // What leaves the mailbox is served from now on, until it is delivered.
                if *depth < *before {
                    *service = Some(at);
                }
                *before = *depth;
            }
            Happening::Delivered { actor, .. } => began = self.services[actor.0 as usize].1.take().unwrap_or(at),
            _ => {}
        }
        let seen = Seen {
            script: &self.script,
            topology: &self.script.topology,
            at,
            start: self.run.start,
            began,
        };
        self.last = seen.at;
        self.strips.see(seen, happening);
        self.planes.see(seen, happening);
        self.ways.see(seen, happening, &mut self.strips);
        self.panels.see(seen, happening);
    }

    /// The timeline of the run that has come to its end, with that record. `truth` is what each sink should have.
    pub fn finish(self, record: &Record, truth: Option<&BTreeMap<ActorId, Table>>) -> Timeline {
        let length = record.simulated.0.max(self.last);
        let width = Strip::width_for(length);
        let topology = &self.script.topology;
        let mut timeline = Timeline {
            schema: SCHEMA,
            trace_hash: record.trace_hash.clone(),
            start: explain_time(self.run.start),
            length: wavetank_reports::Span(length),
            bucket: wavetank_reports::Span(width),
            bands: bands(&self.script, self.run, length, record, &self.panels),
            ..Timeline::default()
        };
        timeline.links = topology
            .links
            .iter()
            .map(|link| LinkEnds {
                link: link.name.to_string(),
                from: link.from.0 as usize,
                to: link.to.0 as usize,
                control: matches!(link.port, Port::Control | Port::Back | Port::Counter),
            })
            .collect();
        let series = self.strips.finish(width);
        timeline.actors = topology
            .actors
            .iter()
            .zip(series)
            .map(|(actor, series)| Track {
                actor: actor.name.to_string(),
                role: role_name(actor.role).into(),
                node: topology.nodes[actor.node.0 as usize].name.clone(),
                series,
            })
            .collect();
        self.planes.finish(&mut timeline);
        self.ways.finish(&mut timeline);
        self.panels.finish(length, truth, &self.script, &mut timeline);
        timeline
    }
}

/// What an actor is, in a word.
const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Source { .. } => "source",
        Role::Watermark { .. } => "watermark generator",
        Role::Operator { .. } => "operator",
        Role::Split { .. } => "split",
        Role::Worker { .. } => "sub-stream",
        Role::Merge { .. } => "merge",
        Role::Sink { .. } => "sink",
        Role::Broker { .. } => "broker",
        Role::Replica { .. } => "copy",
        Role::Arbiter { .. } => "arbiter",
        Role::Gate { .. } => "gate",
        Role::Counter => "counter",
        Role::Coordinator => "coordinator",
        Role::Store => "store",
        Role::Service { .. } => "model service",
    }
}

/// The actors on a node.
fn on_node(topology: &Topology, node: NodeId) -> impl Iterator<Item = usize> + '_ {
    let actors = topology.actors.iter().enumerate();
    actors.filter(move |(_, actor)| actor.node == node).map(|(i, _)| i)
}

/// Bands of one fault that are drawn.
const MOST_BANDS: usize = 200;

/// When faults were at work: as declared, and for those that lay a node low as it was.
fn bands(script: &Script, run: Run, length: i64, record: &Record, panels: &Panels) -> Vec<Band> {
    let mut bands = Vec::new();
    for (index, fault) in script.scenario.faults.iter().enumerate() {
        if fault.rate <= 0.0 {
            continue;
        }
        let mut band = |from: i64, to: i64| {
            bands.push(Band {
                fault: fault.id.clone(),
                kind: fault.kind.name().to_owned(),
                on: fault.on.clone(),
                from: from.clamp(0, length),
                to: to.clamp(0, length),
            });
        };
        let lays_low = matches!(fault.kind, FaultKind::Crash | FaultKind::Pause | FaultKind::Slow);
        if fault.kind.descriptor().place == Place::Node && lays_low {
            for (from, to) in panels.lain_low(index) {
                band(from, to.unwrap_or(length));
            }
            continue;
        }
        let schedule = Schedule::new(fault, run.seed, run.length);
        let until = |to: Span| if to == Span::MAX { length } else { to.micros() };
        if fault.kind.descriptor().timing == Timing::Interval {
            for (from, to) in schedule.periods().take(MOST_BANDS) {
                band(from.micros(), until(to));
            }
        } else if schedule.has_moments() {
            // It hits what comes next; how long that took shows in when it fired.
            let ledger = record.faults.get(index);
            if let Some((first, last)) = ledger.and_then(|fault| Some((fault.first?, fault.last?))) {
                let start = explain_time(run.start);
                band(first.since(start).0, last.since(start).0);
            }
        } else {
            match &fault.during {
                Some(periods) => periods
                    .0
                    .iter()
                    .take(MOST_BANDS)
                    .for_each(|(from, to)| band(from.micros(), until(*to))),
                None => band(0, length),
            }
        }
    }
    bands
}
