//! What the judge says in the end: every expectation, written or derived, with its first broken moment and its reason.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_actors::world::{Outcome, WorldError};
use wavetank_oracle::table::{Distance, Name, Table as Results};
use wavetank_reports::record::{Expectation, Failure, Holds, Kind};
use wavetank_scenarios::expectation::Table;
use wavetank_scenarios::script::{Delivery, Promise};
use wavetank_scenarios::topology::{ActorId, Role};
use wavetank_scenarios::{EventId, Time};

use super::claims::{self, Watch, When};
use super::explain::Reason;
use super::lockstep::Deviation;
use super::{Breach, Judge, Loss};

/// The name of the rule that a run ends by itself.
pub const COMES_TO_ITS_END: &str = "the run comes to its end";

/// How a run ended, and what it is compared with.
pub struct Ending {
    /// The run's own account, or why it stopped.
    pub outcome: Result<Outcome, WorldError>,
    /// What each sink should have over the fault-free input, where that was worked out.
    pub truth: Option<BTreeMap<ActorId, Results>>,
    /// What each sink has in the twin, where it was run.
    pub twin: Option<BTreeMap<ActorId, Results>>,
}

impl Ending {
    /// When the run ended, or was stopped by an error; `start` where it did not begin.
    pub fn at(&self, start: Time) -> Time {
        match &self.outcome {
            Ok(outcome) => outcome.ended,
            Err(error) => error.at().unwrap_or(start),
        }
    }
    /// Whether somebody has stopped the run before its end.
    pub fn interrupted(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|outcome| outcome.interrupted)
    }
}

impl Judge {
    /// Whether an expectation speaks of the twin.
    pub fn wants_twin(&self) -> bool {
        self.watches
            .iter()
            .flat_map(|watch| watch.claim.tables())
            .any(|(left, right)| *left == Table::Twin || *right == Table::Twin)
    }

    /// What each sink has.
    pub fn sink_tables(self) -> BTreeMap<ActorId, Results> {
        self.sinks.into_iter().map(|(sink, watch)| (sink, watch.came)).collect()
    }

    /// Takes the end of the run into account: what the links counted, and how far each sink is from truth.
    pub fn close(&mut self, ending: &Ending) {
        if let Ok(outcome) = &ending.outcome {
            for meter in &mut self.actors {
                meter.look_behind(outcome.ended);
            }
            for meter in &mut self.links {
                if let Some(since) = meter.held_since.take() {
                    meter.paused = meter.paused + outcome.ended.since(since);
                }
            }
            for (meter, counts) in self.links.iter_mut().zip(&outcome.links) {
                meter.counts = *counts;
            }
        }
        if let Some(truth) = &ending.truth {
            for (sink, watch) in &self.sinks {
                let Some(truth) = truth.get(sink) else { continue };
                let columns = self.columns(*sink);
                let distance = watch.came.distance(truth, &columns);
                self.actors[sink.0 as usize].differs = Some(distance.missing + distance.extra + distance.different);
            }
        }
    }

    /// The names of a sink's columns.
    pub fn columns(&self, sink: ActorId) -> Vec<&str> {
        self.topology.actors[sink.0 as usize].schema.names().collect()
    }

    /// Every expectation of the scenario, then every one that follows from the topology and its promises.
    pub fn expectations(&self, ending: &Ending) -> Vec<Expectation> {
        let mut all: Vec<Expectation> = self.watches.iter().map(|watch| self.written(watch, ending)).collect();
        self.derived(ending, &mut all);
        all
    }

    fn written(&self, watch: &Watch, ending: &Ending) -> Expectation {
        let expect = &self.script.scenario.expects[watch.index];
        let text = claims::kind(expect).map_or_else(String::new, |(_, text)| text.to_owned());
        let end = ending.at(self.start);
        // What holds in the end is unknown of a run that was stopped before it.
        let stopped = ending.interrupted();
        let finally = || {
            let holds = || {
                watch
                    .claim
                    .holds(self, &mut |left, right| self.compare(left, right, ending))
            };
            if stopped { None } else { holds() }
        };
        let (kind, holds, broken) = match watch.when {
            When::Final => {
                let holds = finally();
                (
                    Kind::Final,
                    holds,
                    (holds == Some(false)).then(|| (end, watch.claim.show(self))),
                )
            }
            When::Always => {
                let last = (finally() == Some(false)).then(|| (end, watch.claim.show(self)));
                let broken = watch.first_false.clone().or(last);
                (Kind::Always, watch.judged.then_some(broken.is_none()), broken)
            }
            When::Never => (
                Kind::Never,
                watch.judged.then_some(watch.first_true.is_none()),
                watch.first_false.clone(),
            ),
            When::Sometimes | When::Eventually { .. } => {
                // Tables are compared in the end alone, and only if that is in time.
                let last = if end <= watch.deadline { finally() } else { None };
                let holds = watch.first_true.is_some() || last == Some(true);
                let moment = watch.deadline.min(end);
                let kind = if watch.when == When::Sometimes {
                    Kind::Sometimes
                } else {
                    Kind::Eventually
                };
                // It might still have come.
                let open = stopped && !holds && (kind == Kind::Sometimes || end < watch.deadline);
                (
                    kind,
                    ((watch.judged || last.is_some()) && !open).then_some(holds),
                    (!holds).then(|| (moment, watch.claim.show(self))),
                )
            }
        };
        let failure = match (holds, broken) {
            (Some(false), Some((at, numbers))) => {
                let reason = self.reason(watch, numbers, ending);
                Some(self.explain(&reason, &expect.name, at, &text))
            }
            _ => None,
        };
        Expectation {
            name: expect.name.clone(),
            kind,
            holds: match holds {
                Some(true) => Holds::Yes,
                Some(false) => Holds::No,
                None => Holds::Untested,
            },
            untested: holds.is_none().then(|| {
                if stopped {
                    "the run was stopped before its end".to_owned()
                } else {
                    self.untested(watch)
                }
            }),
            first_broken: failure.as_ref().and_then(|failure| failure.first_broken),
            failure,
            text,
        }
    }

    fn untested(&self, watch: &Watch) -> String {
        let numbers = watch.claim.show(self);
        if numbers.is_empty() {
            "nothing came that it speaks of".into()
        } else {
            numbers
        }
    }

    /// Whether two tables are equal; `None` when there is nothing in either, or a reference is not there.
    fn compare(&self, left: &Table, right: &Table, ending: &Ending) -> Option<bool> {
        let (came, reference) = self.tables(left, right, ending)?;
        if came.is_empty() && reference.is_empty() {
            return None;
        }
        Some(came.equals(reference))
    }

    /// The two tables of a comparison, the sink's first.
    fn tables<'a>(&'a self, left: &Table, right: &Table, ending: &'a Ending) -> Option<(&'a Results, &'a Results)> {
        let (sink, other) = match (left, right) {
            (Table::Sink(sink), other) | (other, Table::Sink(sink)) => (self.sink(sink)?, other),
            _ => return None,
        };
        let watch = self.sinks.get(&sink)?;
        let reference = match other {
            Table::Truth => ending.truth.as_ref()?.get(&sink)?,
            Table::Twin => ending.twin.as_ref()?.get(&sink)?,
            Table::Admitted => &watch.admitted,
            Table::Sink(other) => &self.sinks.get(&self.sink(other)?)?.came,
        };
        Some((&watch.came, reference))
    }

    /// The sink of that name.
    pub fn sink(&self, name: &str) -> Option<ActorId> {
        let named = self.topology.actors.iter().position(|actor| actor.name == name);
        named
            .map(|i| ActorId(i as u32))
            .filter(|id| self.sinks.contains_key(id))
    }

    fn reason(&self, watch: &Watch, numbers: String, ending: &Ending) -> Reason {
        for (left, right) in watch.claim.tables() {
            let Some((came, reference)) = self.tables(left, right, ending) else {
                continue;
            };
            let name = match (left, right) {
                (Table::Sink(sink), _) | (_, Table::Sink(sink)) => self.sink(sink),
                _ => None,
            };
            let columns = name.map(|sink| self.columns(sink)).unwrap_or_default();
            let distance: Distance = came.distance(reference, &columns);
            if let Some(first) = distance.first.clone() {
                return Reason::Table {
                    difference: Box::new(first),
                    distance: Box::new(distance),
                };
            }
        }
        let loss = watch.claim.probes().iter().find_map(|probe| self.first_loss(probe));
        Reason::Numbers {
            numbers,
            event: loss.map(|(_, id)| id),
        }
    }

    /// The first event that a counting metric counted.
    fn first_loss(&self, probe: &claims::Probe) -> Option<(Time, EventId)> {
        use wavetank_scenarios::metric::Metric as M;
        let counts = |loss: &Loss| match (probe.metric(), loss) {
            (M::Late, Loss::Late(actor)) | (M::Failed, Loss::Failed(actor)) | (M::Shed, Loss::Shed(actor)) => {
                probe.actors().contains(actor)
            }
            (M::LostInCrash, Loss::Mailbox(actor)) => probe.actors().contains(actor),
            (M::Lost, Loss::Link(_) | Loss::Crash(_)) | (M::Differs, _) => true,
            _ => false,
        };
        let first = self
            .losses
            .iter()
            .filter(|(loss, _)| counts(loss))
            .map(|(_, (_, at, id))| (*at, *id));
        first.min()
    }

    fn derived(&self, ending: &Ending, all: &mut Vec<Expectation>) {
        if let Err(error) = &ending.outcome {
            let at = match error {
                WorldError::Endless { at, .. } | WorldError::Stopped { at, .. } | WorldError::Panicked { at } => *at,
                WorldError::Enter { .. } => self.start,
            };
            let breach = Breach {
                at,
                event: None,
                expected: COMES_TO_ITS_END.into(),
                came: error.to_string(),
            };
            all.push(self.rule(
                COMES_TO_ITS_END,
                "no endless exchange, no stop on error",
                true,
                Some(&breach),
            ));
        }
        for (index, lockstep) in self.lockstep.iter().enumerate() {
            let Some(lockstep) = lockstep else { continue };
            let actor = &self.topology.actors[index];
            let generator = matches!(actor.role, Role::Watermark { .. });
            let (name, text) = match actor.role {
                Role::Watermark { .. } => (
                    format!("{} sends the watermarks that its arrivals allow", actor.name),
                    "what its kind says of them, combined over the inputs that count, and every event at its place",
                ),
                Role::Split { .. } => (
                    format!("{} deals its arrivals as it must", actor.name),
                    "numbers without gaps, each event to the sub-stream that it belongs to, and all told that is due",
                ),
                _ => (
                    format!("{} does with its arrivals what they imply", actor.name),
                    "results, late and failed events and their order equal those of the reference over admitted",
                ),
            };
            let misplaced = lockstep.misplaced.as_ref();
            let broken = lockstep.deviation.as_ref().or(misplaced.filter(|_| generator));
            let breach = broken.map(|deviation| self.deviation(deviation));
            all.push(self.rule(&name, text, lockstep.steps > 0, breach.as_ref()));
            if let Some(misplaced) = misplaced.filter(|_| !generator) {
                let name = format!("{} passes watermarks on at their place", actor.name);
                let text = "the combined watermark, once, behind all that it follows from";
                all.push(self.rule(&name, text, true, Some(&self.deviation(misplaced))));
            }
        }
        for (name, tested, wrong) in self.published.verdicts() {
            let name = format!("the copies of {name} publish what one machine alone would");
            let text =
                "by who leads alone, at once and in order of places, what is pending first; receivers take each once";
            all.push(self.rule(&name, text, tested, wrong));
        }
        for (actor, shelf) in self.topology.actors.iter().zip(&self.shelves) {
            let Some(shelf) = shelf else { continue };
            let name = format!("{} gives what came, as it may", actor.name);
            let text = "each in its place, none passed over unnamed, none again that is done with";
            all.push(self.rule(&name, text, shelf.tested, shelf.breach.as_ref()));
        }
        let streams: Vec<_> = self
            .laws
            .iter()
            .enumerate()
            .filter_map(|(i, law)| Some((i, law.as_ref()?)))
            .collect();
        if !streams.is_empty() {
            let end = ending.at(self.start);
            let interrupted = ending.outcome.as_ref().map_or(true, |outcome| outcome.interrupted);
            let breach = streams
                .iter()
                .filter_map(|(_, law)| law.breach.clone())
                .min_by_key(|breach| breach.at);
            let left = streams
                .iter()
                .find(|(_, law)| !interrupted && !law.under_way.is_empty())
                .map(|(i, law)| Breach {
                    at: end,
                    event: law.under_way.iter().flatten().next().copied(),
                    expected: format!("everything that was put on {} arrives", self.topology.links[*i].name),
                    came: format!("{} never did", law.under_way.len()),
                });
            let tested = self.links.iter().any(|link| link.arrived > 0);
            let text = "everything that is put on a stream comes out once, in order";
            all.push(self.rule("streams keep their promise", text, tested, breach.or(left).as_ref()));
        }
        if self.scope.oracle {
            let operators = self.topology.actors.iter().any(|actor| actor.role.works().is_some());
            if operators {
                let tested = self
                    .actors
                    .iter()
                    .any(|actor| actor.account.taken + actor.before.taken > 0);
                let text = "taken in = caused a result + filtered + late + failed + held, at every instant; and over the \
                            whole run, with what crashes and recoveries took and brought back";
                let sums = self.sums(ending);
                let books = self.books.as_ref().or(sums.as_ref());
                let breach = books.map(|(actor, breach)| self.at_actor(*actor, breach));
                all.push(self.rule("every event is accounted for", text, tested, breach.as_ref()));
            }
            if let Some((actor, breach)) = &self.changed {
                let text = "what an operator keeps after a recovery is what was saved, to the last bit";
                let breach = self.at_actor(*actor, breach);
                all.push(self.rule("what was saved is what comes back", text, true, Some(&breach)));
            }
            let tested = self.actors.iter().any(|actor| actor.watermark > Time::MIN) || self.stepped_back.is_some();
            if tested {
                let breach = self
                    .stepped_back
                    .as_ref()
                    .map(|(actor, breach)| self.at_actor(*actor, breach));
                all.push(self.rule(
                    "watermarks never step back",
                    "on any output, at any instant",
                    true,
                    breach.as_ref(),
                ));
            }
            if self.actors.iter().any(|actor| actor.epoch > 0) || self.misplaced.is_some() {
                let breach = self
                    .misplaced
                    .as_ref()
                    .map(|(actor, breach)| self.at_actor(*actor, breach));
                let text = "the same events lie between the same two markers, whoever takes them";
                all.push(self.rule("epochs are the same on every path", text, true, breach.as_ref()));
            }
            self.promises(ending, all);
        }
    }

    /// A departure from a model, with the faults that made it.
    fn deviation(&self, deviation: &Deviation) -> Breach {
        let faults = deviation
            .faults
            .iter()
            .map(|fault| &self.script.scenario.faults[*fault]);
        let faults: Vec<String> = faults
            .map(|fault| format!("{} by fault.{}", fault.kind.name(), fault.id))
            .collect();
        let because = if faults.is_empty() {
            String::new()
        } else {
            format!(": {}", faults.join(", "))
        };
        Breach {
            at: deviation.at,
            event: deviation.event.as_ref().map(|event| event.id),
            expected: format!("{} (given {})", deviation.expected, deviation.given),
            came: format!("{}{because}", deviation.came),
        }
    }

    fn at_actor(&self, actor: ActorId, breach: &Breach) -> Breach {
        let name = &self.topology.actors[actor.0 as usize].name;
        Breach {
            came: format!("{} at {name}", breach.came),
            ..breach.clone()
        }
    }

    fn promises(&self, ending: &Ending, all: &mut Vec<Expectation>) {
        for (index, actor) in self.topology.actors.iter().enumerate() {
            let (Role::Sink { sink }, Some(watch)) = (actor.role, self.sinks.get(&ActorId(index as u32))) else {
                continue;
            };
            let promise = self.script.scenario.sinks[sink].promise;
            let tested = self.actors[index].taken > 0;
            // That an empty sink has nothing twice is nothing that anybody asked.
            if promise != Promise::AtLeastOnce && tested {
                let truth = ending
                    .truth
                    .as_ref()
                    .and_then(|truth| truth.get(&ActorId(index as u32)));
                let again = truth
                    .filter(|_| promise == Promise::ExactlyOnce)
                    .and_then(|truth| self.again(watch, truth));
                let twice = watch.twice.as_ref().or(again.as_ref());
                let name = format!("{} gets nothing twice", actor.name);
                all.push(self.rule(&name, "each result arrives at most once", tested, twice));
            }
            // What comes again does not follow from what was there already.
            let again = self.recovers && self.script.scenario.sinks[sink].delivery == Delivery::AtLeastOnce;
            if watch.inconsistent.is_some() && !again {
                let name = format!("{} can fold its answers", actor.name);
                let text = "each answer follows from those before it, and changes something";
                all.push(self.rule(&name, text, true, watch.inconsistent.as_ref()));
            }
            if promise != Promise::AtMostOnce {
                let upstream = self.upstream(ActorId(index as u32));
                let first = self
                    .losses
                    .iter()
                    .filter(|(loss, _)| upstream(loss))
                    .min_by_key(|(_, (_, at, id))| (*at, *id));
                let total: u64 = self
                    .losses
                    .iter()
                    .filter(|(loss, _)| upstream(loss))
                    .map(|(_, (n, ..))| n)
                    .sum();
                let breach = first.map(|(loss, (_, at, id))| Breach {
                    at: *at,
                    event: (!matches!(loss, Loss::State(_))).then_some(*id),
                    expected: "no event lost on the way".into(),
                    came: format!("{total} lost, the first {}", self.how(*loss)),
                });
                let name = format!("{} loses nothing", actor.name);
                all.push(self.rule(
                    &name,
                    "every event of the input reaches its result",
                    tested,
                    breach.as_ref(),
                ));
            }
        }
    }

    /// A source event with more results than it has in truth: it came twice to an operator on the way, which gave each
    /// result a number of its own.
    fn again(&self, watch: &super::SinkWatch, truth: &Results) -> Option<Breach> {
        let due: BTreeSet<&Name> = truth.rows().into_iter().map(|(name, _)| name).collect();
        watch.came.rows().into_iter().find_map(|(name, _)| match name {
            Name::Single(id, result) if *result > 0 && !due.contains(name) => Some(Breach {
                at: self.seen.get(id).map_or(self.start, |(at, ..)| *at),
                event: Some(*id),
                expected: "each event once".into(),
                came: format!("event {id} again, behind an operator"),
            }),
            _ => None,
        })
    }

    /// The first actor whose books over the whole run do not come to zero. A run that was cut off stops between an event
    /// and its fate.
    fn sums(&self, ending: &Ending) -> Option<(ActorId, Breach)> {
        let outcome = ending.outcome.as_ref().ok().filter(|outcome| !outcome.interrupted)?;
        let actors = self.topology.actors.iter().zip(&self.actors).enumerate();
        let mut counts = actors.map(|(index, (actor, meter))| (ActorId(index as u32), meter.counts(actor)));
        let (actor, counts) = counts.find(|(_, counts)| counts.unaccounted() != 0)?;
        let breach = Breach {
            at: outcome.ended,
            event: None,
            expected: format!("a fate for each of {} events", counts.taken),
            came: format!("{} too few", counts.unaccounted()),
        };
        Some((actor, breach))
    }

    /// What a loss on the way to a sink is.
    fn upstream(&self, sink: ActorId) -> impl Fn(&Loss) -> bool + use<> {
        let (mut actors, mut links) = (vec![sink], Vec::new());
        let mut next = 0;
        while let Some(actor) = actors.get(next).copied() {
            for link in &self.topology.actors[actor.0 as usize].inputs {
                links.push(*link);
                let from = self.topology.links[link.0 as usize].from;
                if !actors.contains(&from) {
                    actors.push(from);
                }
            }
            next += 1;
        }
        move |loss| match loss {
            Loss::Link(link) | Loss::Crash(link) => links.contains(link),
            Loss::Missed(actor)
            | Loss::Mailbox(actor)
            | Loss::State(actor)
            | Loss::Shed(actor)
            | Loss::Late(actor)
            | Loss::Failed(actor) => actors.contains(actor),
        }
    }

    fn rule(&self, name: &str, text: &str, tested: bool, breach: Option<&Breach>) -> Expectation {
        let failure: Option<Failure> = breach.map(|breach| {
            let reason = Reason::Rule {
                breach: Box::new(breach.clone()),
            };
            self.explain(&reason, name, breach.at, text)
        });
        Expectation {
            name: name.to_owned(),
            kind: Kind::Derived,
            text: text.to_owned(),
            holds: match (breach, tested) {
                (Some(_), _) => Holds::No,
                (None, true) => Holds::Yes,
                (None, false) => Holds::Untested,
            },
            untested: (breach.is_none() && !tested).then(|| "nothing came".into()),
            first_broken: breach.map(|breach| super::explain::time(breach.at)),
            failure,
        }
    }
}
