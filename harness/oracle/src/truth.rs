//! Truth: what every actor would put out if nothing were ever late, lost, skewed or slow.
//!
//! The model in words: every source says everything it has to say, also what never leaves it in the run, stamped with true
//! time and in the order of true time. Every operator gets what its inputs put out, merged by (stamp, id), with a watermark
//! that is always far enough behind that nothing is late and, at the end, one that is behind everything. What it puts out
//! is again in order of time. Sinks fold what reaches them.
//!
//! Everything is pulled: an operator asks its inputs for the next event, so that memory is what open windows hold. An
//! actor that several others read is worked out once for each. Only what is out of order by its settings (a file in
//! another order, stamps taken from a field, windows stamped by their events) is collected and sorted.
//!
//! For a script at a seed:
//!
//! ```
//! # use wavetank_oracle::{tables, truth::Truth};
//! # use wavetank_scenarios::Script;
//! # fn show(script: &Script, seed: u64) -> Result<(), String> {
//! let tables = tables(script);
//! let plans = |actor| -> Box<dyn Iterator<Item = _>> { script.input(actor, seed) };
//! let truth = Truth::new(&script.scenario, &script.topology, &tables, &plans);
//! let sink = script.topology.actor("dashboard").ok_or("there is no such sink")?;
//! let table = truth.table(sink)?;
//! # Ok(())
//! # }
//! ```
//!
//! Generators leave stamps as they are, also those that go by the engine's clock: what is true does not depend on when it is
//! processed. So the truth of a pipeline that stamps events by their arrival is what it would say if each arrived at
//! the instant at which it happened.
//!
//! Windows that are told not to fire at the end see a last watermark as a generator with that operator's bounded disorder
//! would have sent it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use wavetank_scenarios::input::{Planned, What};
use wavetank_scenarios::script::{
    self, Body, LateBy, LateWhen, Operator, Panes, Precedence, ResultStamp, Scenario, TransformStep,
};
use wavetank_scenarios::topology::{ActorId, Port, Role, Topology};
use wavetank_scenarios::{Event, EventId, Producer, Span, Time};

use crate::aggregate::Bound;
use crate::reference::{Tables, reference};
use crate::table::Table;
use crate::{Arrival, DueResult, Reference, Why};

/// Something that an actor puts out in truth.
#[derive(Clone, PartialEq, Debug)]
pub struct Said {
    /// The event; its lineage is kept.
    pub event: Event,
    /// The columns that a sketch would only know within a bound.
    pub bounds: Vec<(usize, Bound)>,
    /// Which entry of the receiver's `input` list it comes for.
    pub lane: usize,
}

impl Said {
    const fn order(&self) -> (Time, EventId) {
        (self.event.stamp, self.event.id)
    }
}

/// What an actor puts out, in order of time.
pub type Stream<'a> = Box<dyn Iterator<Item = Said> + 'a>;

/// What a part of a source will say; asked again, it says the same.
pub type Plans<'a> = &'a dyn Fn(ActorId) -> Box<dyn Iterator<Item = Planned> + 'a>;

/// The whole pipeline over the fault-free input.
#[derive(Clone, Copy)]
pub struct Truth<'a> {
    scenario: &'a Scenario,
    topology: &'a Topology,
    tables: &'a Tables,
    plans: Plans<'a>,
}

impl<'a> Truth<'a> {
    /// The truth of a scenario, whose sources say what `plans` says for each source actor.
    pub const fn new(scenario: &'a Scenario, topology: &'a Topology, tables: &'a Tables, plans: Plans<'a>) -> Self {
        Self {
            scenario,
            topology,
            tables,
            plans,
        }
    }

    /// What a source or an operator puts out, or what reaches a sink or generator, in order of time.
    ///
    /// # Errors
    /// An operator on the way cannot be judged.
    pub fn stream(&self, actor: ActorId) -> Result<Stream<'a>, String> {
        self.port(actor, Port::Main)
    }

    /// The table of a sink.
    ///
    /// # Errors
    /// An operator on the way cannot be judged.
    pub fn table(&self, sink: ActorId) -> Result<Table, String> {
        let mut table = Table::default();
        for said in self.stream(sink)? {
            table.fold_due(&DueResult {
                stamp: said.event.stamp,
                row: said.event.row.clone(),
                bounds: said.bounds,
                pane: said.event.pane.as_deref().cloned(),
                correlation: said.event.correlation,
                origins: said.event.origins().to_vec(),
            });
        }
        Ok(table)
    }

    fn port(&self, actor: ActorId, port: Port) -> Result<Stream<'a>, String> {
        let role = self.topology.actors.get(actor.0 as usize).map(|a| a.role);
        match role {
            None => Err(format!("there is no actor {}", actor.0)),
            Some(Role::Source { .. }) => Ok(self.source(actor)),
            Some(Role::Watermark { .. } | Role::Split { .. } | Role::Sink { .. } | Role::Broker { .. }) => {
                self.inputs(actor)
            }
            // Two copies say what the first of them says.
            Some(Role::Gate { .. } | Role::Replica { .. }) => {
                let mut links = self
                    .topology
                    .forward(actor)
                    .map(|link| &self.topology.links[link.0 as usize]);
                let gate = matches!(role, Some(Role::Gate { .. }));
                match links.find(|link| gate || link.port == port) {
                    Some(link) => self.port(link.from, link.port),
                    None => Err(format!("nothing comes to actor {}", actor.0)),
                }
            }
            Some(Role::Counter | Role::Coordinator | Role::Store | Role::Arbiter { .. } | Role::Service { .. }) => {
                Ok(Box::new(std::iter::empty()))
            }
            Some(Role::Operator { operator }) => self.operator(actor, actor, operator, port),
            // A conveyed operator must say what it would say if it stood there alone: its merge says all of it, and its
            // first sub-stream what failed.
            Some(Role::Merge { operator } | Role::Worker { operator, stream: 0 }) => match self.split(operator) {
                Some(split) => self.operator(actor, split, operator, port),
                None => Err(format!("there is no split of operator {operator}")),
            },
            Some(Role::Worker { .. }) => Ok(Box::new(std::iter::empty())),
        }
    }

    fn split(&self, operator: usize) -> Option<ActorId> {
        let mut actors = self.topology.actors.iter();
        let split = actors.position(|actor| actor.role == Role::Split { operator })?;
        Some(ActorId(split as u32))
    }

    fn source(&self, actor: ActorId) -> Stream<'a> {
        let plans = self.plans;
        let said = move || {
            plans(actor).filter_map(move |planned| match planned.what {
                What::Watermark(_) => None,
                What::Event(row) => {
                    let id = EventId {
                        producer: Producer(actor.0),
                        number: planned.number,
                    };
                    Some(Said {
                        event: Event {
                            id,
                            stamp: planned.happened,
                            correlation: id,
                            planned: planned.leaves.unwrap_or(planned.happened),
                            row,
                            lineage: None,
                            pane: None,
                            sequence: None,
                            position: None,
                        },
                        bounds: vec![],
                        lane: 0,
                    })
                }
            })
        };
        if said().map(|s| s.order()).is_sorted() {
            Box::new(said())
        } else {
            sorted(Box::new(said()))
        }
    }

    /// All that is on the way to an actor, merged.
    fn inputs(&self, actor: ActorId) -> Result<Stream<'a>, String> {
        let links = self.topology.forward(actor);
        let mut streams = Vec::new();
        for link in links {
            let Some(link) = self.topology.links.get(link.0 as usize) else {
                return Err(format!("there is no link {}", link.0));
            };
            let stream = self.port(link.from, link.port)?;
            // What a generator passes on keeps its lane.
            let passed = self.topology.actors[link.from.0 as usize].role.passes();
            let listed = link.listed;
            let lane = move |said: Said| if passed { said } else { Said { lane: listed, ..said } };
            streams.push(Box::new(stream.map(lane)) as Stream<'a>);
        }
        Ok(merged(streams))
    }

    /// What an operator says whose input comes to `reads`.
    fn operator(&self, actor: ActorId, reads: ActorId, operator: usize, port: Port) -> Result<Stream<'a>, String> {
        let Some(settings) = self.scenario.operators.get(operator) else {
            return Err(format!("there is no operator {operator}"));
        };
        if port == Port::Late {
            return Ok(Box::new(std::iter::empty()));
        }
        let this = &self.topology.actors[actor.0 as usize];
        let schemas = self.topology.input_schemas(reads);
        let tick = self.scenario.time.tick;
        let stage = Stage {
            input: self.inputs(reads)?,
            model: reference(&calm(settings), &schemas, Some(&this.schema), self.tables, tick)?,
            port,
            producer: Producer(actor.0),
            number: 0,
            tick,
            behind: last_watermark(settings),
            largest: None,
            planned: Time::MIN,
            ready: VecDeque::new(),
            over: false,
        };
        if keeps_order(settings) {
            Ok(Box::new(stage))
        } else {
            Ok(sorted(Box::new(stage)))
        }
    }
}

/// The same operator without early answers that are replaced later: what is true does not depend on when it is said, nor
/// on whose clock says that it is complete. Clocks of keys decide only which windows of a key stay open in the end, where
/// they do not fire then; in order of time nothing is late by them.
fn calm(settings: &Operator) -> Operator {
    let mut settings = settings.clone();
    settings.emit = settings.emit.filter(|emit| emit.panes == Panes::Discarding);
    // Nor on who has to be asked.
    if let Some(learn) = &mut settings.learn {
        learn.service = None;
    }
    if settings.key_clocks().is_some() {
        if settings.flush_at_end {
            settings.watermark = None;
        } else {
            (settings.late_when, settings.late_by) = (LateWhen::AtEnd, LateBy::Window);
        }
    }
    settings
}

/// How far the last watermark is behind, of windows that do not fire at the end.
fn last_watermark(settings: &Operator) -> Option<Span> {
    let behind = settings
        .watermark
        .as_ref()
        .map_or(Span::ZERO, script::Watermark::behind);
    (!settings.flush_at_end).then_some(behind)
}

/// Whether results come in the order of their stamps when events do.
fn keeps_order(settings: &Operator) -> bool {
    let set = |step: &TransformStep| matches!(step, TransformStep::SetStamp(_));
    if settings.joins() || (settings.key_clocks().is_some() && !settings.flush_at_end) {
        return false;
    }
    let by_end = matches!(settings.result_stamp, ResultStamp::Last | ResultStamp::End);
    let bounded = settings
        .query
        .as_ref()
        .is_none_or(|q| q.window.is_some() || !q.aggregates());
    let by_number = settings
        .reorder
        .as_ref()
        .is_some_and(|reorder| reorder.number.is_some());
    let first_complete = match settings.body() {
        Ok(Body::Sequence(sequence)) => sequence.precedence == Precedence::Complete,
        _ => true,
    };
    by_end && bounded && !by_number && first_complete && !settings.transform.iter().flatten().any(set)
}

fn sorted(stream: Stream<'_>) -> Stream<'_> {
    let mut all: Vec<Said> = stream.collect();
    all.sort_by_key(Said::order);
    Box::new(all.into_iter())
}

/// Several streams as one, by (stamp, id).
fn merged(mut streams: Vec<Stream<'_>>) -> Stream<'_> {
    if streams.len() == 1 {
        return streams.swap_remove(0);
    }
    let mut next: Vec<Option<Said>> = streams.iter_mut().map(Iterator::next).collect();
    let head = |i: usize, said: &Option<Said>| said.as_ref().map(|s| Reverse((s.order(), i)));
    let mut heads: BinaryHeap<_> = next.iter().enumerate().filter_map(|(i, s)| head(i, s)).collect();
    Box::new(std::iter::from_fn(move || {
        let Reverse((_, i)) = heads.pop()?;
        let said = std::mem::replace(&mut next[i], streams[i].next());
        heads.extend(head(i, &next[i]));
        said
    }))
}

/// An operator at work on events in order of time.
struct Stage<'a> {
    input: Stream<'a>,
    model: Box<dyn Reference>,
    port: Port,
    producer: Producer,
    number: u64,
    tick: Span,
    /// `Some` when open windows do not fire at the end.
    behind: Option<Span>,
    largest: Option<Time>,
    planned: Time,
    ready: VecDeque<Said>,
    over: bool,
}

impl Stage<'_> {
    fn tell(&mut self, arrival: &Arrival) {
        let due = self.model.arrive(arrival);
        if self.port == Port::Failed {
            if let Arrival::Event { event, .. } = arrival
                && due.dropped.contains(&(event.id, Why::Failed))
            {
                self.ready.push_back(Said {
                    event: event.clone(),
                    bounds: vec![],
                    lane: 0,
                });
            }
            return;
        }
        for result in due.results {
            let alone = result.origins == [result.correlation];
            let event = Event {
                id: EventId {
                    producer: self.producer,
                    number: self.number,
                },
                stamp: result.stamp,
                correlation: result.correlation,
                planned: self.planned,
                row: result.row,
                lineage: (!alone).then(|| result.origins.into()),
                pane: result.pane.map(std::sync::Arc::new),
                sequence: None,
                position: None,
            };
            self.number += 1;
            self.ready.push_back(Said {
                event,
                bounds: result.bounds,
                lane: 0,
            });
        }
    }
}

impl Iterator for Stage<'_> {
    type Item = Said;
    fn next(&mut self) -> Option<Said> {
        while self.ready.is_empty() && !self.over {
            match self.input.next() {
                Some(Said { event, lane, .. }) => {
                    // Two ticks behind: windows that touch this event are still open to it, however lateness is judged.
                    let margin = self.behind.unwrap_or_default().max(self.tick) + self.tick;
                    if self.largest.is_none_or(|largest| event.stamp > largest) {
                        self.tell(&Arrival::Watermark(event.stamp - margin));
                        self.largest = Some(event.stamp);
                    }
                    self.planned = self.planned.max(event.planned);
                    let now = event.stamp;
                    self.tell(&Arrival::Event {
                        input: lane,
                        event,
                        now,
                        at: now,
                    });
                }
                None => {
                    if let (Some(behind), Some(largest)) = (self.behind, self.largest) {
                        self.tell(&Arrival::Watermark(largest - behind - self.tick));
                    }
                    self.tell(&Arrival::Watermark(Time::MAX));
                    self.over = true;
                }
            }
        }
        self.ready.pop_front()
    }
}
