//! What the sources will say: the events of a scenario, each with when it happened and when it leaves its source.
//!
//! A function of the scenario's files and seed alone, computed as it is read: sources play it, and the judge's truth
//! reads the same. Generated events are computed one at a time; files are read once and shared.

use std::iter::Peekable;
use std::sync::Arc;

use crate::load::Script;
use crate::sampling::{Arrivals, Fields, part_of};
use crate::script::Source;
use crate::time::{Span, Time};
use crate::topology::{ActorId, Role};
use crate::value::{Row, Value};

/// One thing that a source will say.
#[derive(Clone, PartialEq, Debug)]
pub struct Planned {
    /// Its number within its part of the source, from 0 without gaps. In the order of a file, not of arrival. A watermark
    /// has the number of the event behind it.
    pub number: u64,
    /// When it happened, in true time.
    pub happened: Time,
    /// When it leaves its source in virtual time; `None` when it never does (a recorded arrival that is empty).
    pub leaves: Option<Time>,
    /// What it is.
    pub what: What,
}

/// An event or a literal watermark.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// An event with this payload.
    Event(Row),
    /// A watermark written into the scenario.
    Watermark(Time),
}

/// What one part of a source will say, in order of leaving; what never leaves stands where it happened.
pub type Input = Box<dyn Iterator<Item = Planned> + Send>;

/// What is known of a source before the run, apart from its settings.
#[derive(Clone, Debug)]
pub(crate) enum Stock {
    /// Computed as it is read.
    Generated,
    /// What each part says, in order of leaving.
    Listed(Vec<Arc<[Planned]>>),
}

impl Script {
    /// What the part of a source that `actor` plays will say at that seed, in order of leaving; nothing for an actor that
    /// is no source.
    pub fn input(&self, actor: ActorId, seed: u64) -> Input {
        let Some(Role::Source { source, part }) = self.topology.actors.get(actor.0 as usize).map(|a| a.role) else {
            return Box::new(std::iter::empty());
        };
        match &self.stock[source] {
            Stock::Listed(parts) => {
                let part = Arc::clone(&parts[part as usize]);
                Box::new((0..part.len()).map(move |i| part[i].clone()))
            }
            Stock::Generated => Box::new(Generated::new(
                &self.scenario.sources[source],
                part,
                self.start(),
                self.end(),
                seed,
            )),
        }
    }

    /// The truth: every event of the fault-free input, what never leaves its source included, ordered by when it happened
    /// (then by actor, then by number), with the actor that says it.
    pub fn truth(&self, seed: u64) -> Truth {
        let parts = self
            .topology
            .actors
            .iter()
            .enumerate()
            .filter_map(|(index, actor)| match actor.role {
                Role::Source { source, part } => {
                    let actor = ActorId(index as u32);
                    let events: Input = match &self.stock[source] {
                        // Events leave in another order than they happened only where both are recorded.
                        Stock::Listed(parts) => {
                            let mut by_time: Vec<Planned> = parts[part as usize].to_vec();
                            by_time.retain(|p| matches!(p.what, What::Event(_)));
                            by_time.sort_by_key(|p| (p.happened, p.number));
                            Box::new(by_time.into_iter())
                        }
                        Stock::Generated => self.input(actor, seed),
                    };
                    Some((actor, events.peekable()))
                }
                _ => None,
            });
        Truth { parts: parts.collect() }
    }
}

/// The events of all sources in the order in which they happened.
pub struct Truth {
    parts: Vec<(ActorId, Peekable<Input>)>,
}

impl std::fmt::Debug for Truth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Truth")
            .field("parts", &self.parts.len())
            .finish_non_exhaustive()
    }
}

impl Iterator for Truth {
    type Item = (ActorId, Planned);

    fn next(&mut self) -> Option<Self::Item> {
        let mut first: Option<(Time, usize)> = None;
        for (index, (_, part)) in self.parts.iter_mut().enumerate() {
            if let Some(planned) = part.peek()
                && first.is_none_or(|(time, _)| planned.happened < time)
            {
                first = Some((planned.happened, index));
            }
        }
        let (actor, part) = &mut self.parts[first?.1];
        part.next().map(|planned| (*actor, planned))
    }
}

/// One part of a generated source.
struct Generated {
    arrivals: Arrivals,
    fields: Fields,
    row: Vec<Value>,
    start: Time,
    end: Time,
    count: u64,
    part: u32,
    parts: u32,
    /// Events are dealt by this field instead of in turn.
    by: Option<usize>,
    /// The next number over all parts.
    next: u64,
    /// The next number of this part.
    number: u64,
}

impl Generated {
    fn new(source: &Source, part: u32, start: Time, end: Option<Time>, seed: u64) -> Self {
        let rate = source
            .rate
            .clone()
            .unwrap_or(crate::generate::Rate::Curve(vec![(Span::ZERO, 0.0)]));
        Self {
            arrivals: Arrivals::new(&rate, &source.name, seed),
            fields: Fields::new(&source.fields, &source.name, seed),
            row: Vec::with_capacity(source.fields.len()),
            start,
            end: end.unwrap_or(Time::MAX),
            count: source.count.unwrap_or(u64::MAX),
            part,
            parts: source.nodes,
            by: source
                .node_by
                .as_ref()
                .and_then(|name| source.fields.get_index_of(name.as_str())),
            next: 0,
            number: 0,
        }
    }
}

impl Iterator for Generated {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        while self.next < self.count {
            let happened = self.start + self.arrivals.next()?;
            if happened >= self.end {
                break;
            }
            let overall = self.next;
            self.next += 1;
            let turn = (overall % u64::from(self.parts)) as u32;
            if self.by.is_none() && turn != self.part {
                self.fields.skip(overall, &mut self.row);
                continue;
            }
            self.fields.fill(overall, &mut self.row);
            if let Some(by) = self.by
                && part_of(&self.row[by], self.parts) != self.part
            {
                continue;
            }
            let number = self.number;
            self.number += 1;
            return Some(Planned {
                number,
                happened,
                leaves: Some(happened),
                what: What::Event(self.row.drain(..).collect()),
            });
        }
        self.count = 0;
        None
    }
}

/// Deals listed events to the parts of a source, numbers them in their order from `first`, then cuts what would leave at or after
/// `end` (so that the length of a run changes nobody's number or part), and sorts by leaving.
pub(crate) fn deal(
    source: &Source,
    by: Option<usize>,
    listed: Vec<Planned>,
    end: Option<Time>,
    first: u64,
) -> Vec<Arc<[Planned]>> {
    let mut parts: Vec<Vec<Planned>> = vec![Vec::new(); source.nodes as usize];
    let mut numbers = vec![first; source.nodes as usize];
    let mut turn = 0u64;
    for planned in listed {
        match &planned.what {
            What::Watermark(_) => {
                for (part, number) in parts.iter_mut().zip(&numbers) {
                    part.push(Planned {
                        number: *number,
                        ..planned.clone()
                    });
                }
            }
            What::Event(row) => {
                let part = match by {
                    Some(by) => part_of(&row[by], source.nodes) as usize,
                    None => (turn % u64::from(source.nodes)) as usize,
                };
                turn += 1;
                let number = numbers[part];
                numbers[part] += 1;
                parts[part].push(Planned { number, ..planned });
            }
        }
    }
    parts
        .into_iter()
        .map(|mut part| {
            // What never leaves takes its turn where it happened, so that a longer run only adds to a shorter one.
            part.retain(|p| end.is_none_or(|end| p.leaves.unwrap_or(p.happened) < end));
            part.sort_by_key(|p| p.leaves.unwrap_or(p.happened));
            part.into()
        })
        .collect()
}
