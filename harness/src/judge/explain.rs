//! Why an expectation is broken: the event behind it, the faults that touched that event, the line of the scenario that
//! decided its fate, a picture, and what could be done at what price.

use wavetank_oracle::table::{Difference, Distance, Entry, Name};
use wavetank_reports::picture;
use wavetank_reports::record::{Command, Culprit, Failure, Idea, Purpose, ScriptLine, Touched};
use wavetank_reports::time as shown;
use wavetank_scenarios::fault::FaultKind;
use wavetank_scenarios::input::What;
use wavetank_scenarios::script::{self, Late, LinkKind};
use wavetank_scenarios::topology::{ActorId, Role};
use wavetank_scenarios::{EventId, Span, Time};

use super::words::row;
use super::{Breach, Judge, Loss};

/// What broke an expectation.
pub enum Reason {
    /// Two tables differ.
    Table {
        /// The first row that does.
        difference: Box<Difference>,
        /// All rows that do.
        distance: Box<Distance>,
    },
    /// Numbers are not as stated.
    Numbers {
        /// The numbers, for a person.
        numbers: String,
        /// The first event that one of them counts.
        event: Option<EventId>,
    },
    /// A rule of the world is broken.
    Rule {
        /// How.
        breach: Box<Breach>,
    },
}

/// A point in time as a record has it.
pub const fn time(at: Time) -> shown::Time {
    shown::Time(at.micros())
}

const fn span(span: Span) -> shown::Span {
    shown::Span(span.micros())
}

/// An event of the input as its source planned it.
struct Origin {
    happened: Time,
    leaves: Option<Time>,
    row: String,
}

impl Judge {
    /// Explains a broken expectation.
    pub(super) fn explain(&self, reason: &Reason, name: &str, at: Time, text: &str) -> Failure {
        let (expected, came) = match reason {
            Reason::Table { difference, distance } => {
                let wrong = distance.missing + distance.extra + distance.different;
                let more = if wrong > 1 {
                    format!("; {wrong} of {} rows are wrong", distance.due + distance.extra)
                } else {
                    String::new()
                };
                let under = window(&difference.name);
                (
                    format!("{under}{}", entry(difference.due.as_ref())),
                    entry(difference.came.as_ref()) + &more,
                )
            }
            Reason::Numbers { numbers, .. } => (text.to_owned(), numbers.clone()),
            Reason::Rule { breach } => (breach.expected.clone(), breach.came.clone()),
        };
        let event = match reason {
            Reason::Table { difference, .. } => self.guilty(difference),
            Reason::Numbers { event, .. } => *event,
            Reason::Rule { breach } => breach.event,
        };
        let loss = event.and_then(|id| self.lost.get(&id)).copied();
        let at = match (reason, loss) {
            (Reason::Table { .. }, Some((lost, _))) => lost,
            _ => at,
        };
        let touched = event.and_then(|id| self.touches.get(&id));
        let decided_by = self.deciding_line(reason, name, event, loss.map(|(_, loss)| loss));
        Failure {
            first_broken: Some(time(at)),
            event: event.and_then(|id| self.culprit(id, loss)),
            expected,
            came,
            faults: touched.map_or_else(Vec::new, |touches| self.touched(touches)),
            decided_by,
            picture: self.picture(reason, event, loss),
            commands: self.commands(loss.map(|(_, loss)| loss), event),
            ideas: self.ideas(event, loss),
        }
    }

    /// The source event that explains a wrong row: one that was lost if there is one, else the first that is lacking or
    /// too many.
    fn guilty(&self, difference: &Difference) -> Option<EventId> {
        let all = || difference.lacks.iter().chain(&difference.too_many);
        all()
            .find(|id| self.lost.contains_key(id))
            .or_else(|| all().find(|id| self.touches.contains_key(id)))
            .or_else(|| all().next())
            .copied()
    }

    fn is_source(&self, id: EventId) -> bool {
        self.topology
            .actors
            .get(id.producer.0 as usize)
            .is_some_and(|a| matches!(a.role, Role::Source { .. }))
    }

    fn origin(&self, id: EventId) -> Option<Origin> {
        let actor = self.topology.actors.get(id.producer.0 as usize)?;
        let Role::Source { .. } = actor.role else { return None };
        let planned = self
            .script
            .input(ActorId(id.producer.0), self.run.seed)
            .find(|planned| planned.number == id.number)?;
        let What::Event(values) = planned.what else { return None };
        Some(Origin {
            happened: planned.happened,
            leaves: planned.leaves,
            row: row(&values),
        })
    }

    /// The operator that first saw an event, if it goes by its own clock and so counted the event at another time than that
    /// at which it happened.
    fn stamped_anew(&self, id: EventId) -> Option<&script::Operator> {
        let (_, actor, stamp) = self.seen.get(&id)?;
        let of = self.topology.actors.get(actor.0 as usize)?.role.works()?;
        let operator = &self.script.scenario.operators[of];
        let by_clock = operator.watermark.as_ref().is_some_and(script::Watermark::by_clock);
        let anew = by_clock && self.origin(id).is_some_and(|origin| origin.happened != *stamp);
        anew.then_some(operator)
    }

    fn name_of(&self, id: EventId) -> String {
        let name = self
            .topology
            .actors
            .get(id.producer.0 as usize)
            .map_or("?", |actor| actor.name.as_str());
        format!("{name}#{}", id.number)
    }

    fn culprit(&self, id: EventId, loss: Option<(Time, Loss)>) -> Option<Culprit> {
        let seen = self.seen.get(&id);
        if !self.is_source(id) {
            let (at, actor, stamp) = seen?;
            return Some(Culprit {
                id: self.name_of(id),
                happened: time(*stamp),
                stamp: Some(time(*stamp)),
                seen: Some(time(*at)),
                at: self.topology.actors[actor.0 as usize].name.to_string(),
                fate: loss.map_or_else(String::new, |(_, loss)| self.how(loss)),
                ..Culprit::default()
            });
        }
        let origin = self.origin(id)?;
        let fate = match (loss, seen) {
            (Some((_, loss)), _) => self.how(loss),
            (None, Some((_, _, stamp))) if self.stamped_anew(id).is_some() => {
                let after = span(stamp.since(origin.happened)).short();
                format!("stamped when it came, {after} after it happened")
            }
            (None, Some((_, _, stamp))) if *stamp != origin.happened => {
                let off = stamp.since(origin.happened);
                let way = if off.is_negative() { "behind" } else { "ahead" };
                let size = if off.is_negative() { -off } else { off };
                format!("stamped by a clock that is {} {way}", span(size).short())
            }
            (None, None) if origin.leaves.is_none() => "it never arrives, as recorded".into(),
            _ => String::new(),
        };
        Some(Culprit {
            id: self.name_of(id),
            correlation: None,
            row: origin.row,
            happened: time(origin.happened),
            stamp: seen.map(|(.., stamp)| time(*stamp)),
            seen: seen.map(|(at, ..)| time(*at)),
            at: seen.map_or_else(String::new, |(_, actor, _)| {
                self.topology.actors[actor.0 as usize].name.to_string()
            }),
            fate,
        })
    }

    /// How an event was lost, in words.
    pub(super) fn how(&self, loss: Loss) -> String {
        let actor = |id: ActorId| &self.topology.actors[id.0 as usize].name;
        match loss {
            Loss::Missed(id) => format!("never left {}", actor(id)),
            Loss::Link(link) => format!("lost on {}", self.topology.links[link.0 as usize].name),
            Loss::Crash(link) => format!(
                "on its way over {} when the receiver crashed",
                self.topology.links[link.0 as usize].name
            ),
            Loss::Mailbox(id) => format!("in the mailbox of {} when its node crashed", actor(id)),
            Loss::State(id) => format!("in the state of {} when its node crashed", actor(id)),
            Loss::Shed(id) if self.node_of(id).shed.is_some() => {
                format!("shed in front of {}, where too many waited", actor(id))
            }
            Loss::Shed(id) => format!("shed at the full mailbox of {}", actor(id)),
            Loss::Late(id) => format!("late at {}", actor(id)),
            Loss::Failed(id) => format!("failed at {}", actor(id)),
        }
    }

    fn node_of(&self, actor: ActorId) -> &script::Node {
        &self.topology.nodes[self.topology.actors[actor.0 as usize].node.0 as usize]
    }

    fn touched(&self, touches: &[(usize, Time)]) -> Vec<Touched> {
        let mut named: Vec<Touched> = Vec::new();
        for (fault, at) in touches {
            let fault = &self.script.scenario.faults[*fault];
            if named.iter().all(|touched| touched.id != fault.id) {
                named.push(Touched {
                    id: fault.id.clone(),
                    how: format!("{} on {} at {}", fault.kind.name(), fault.on, time(*at)),
                });
            }
        }
        named
    }

    fn deciding_line(
        &self,
        reason: &Reason,
        name: &str,
        event: Option<EventId>,
        loss: Option<Loss>,
    ) -> Option<ScriptLine> {
        let scenario = &self.script.scenario;
        let touch = event
            .and_then(|id| self.touches.get(&id))
            .and_then(|touches| touches.first());
        let fault = |kind: &[FaultKind]| {
            scenario
                .faults
                .iter()
                .find(|f| kind.contains(&f.kind))
                .map(|f| format!("fault.{}", f.id))
        };
        let actor = |id: ActorId| &self.topology.actors[id.0 as usize];
        let anew = event.and_then(|id| self.stamped_anew(id));
        let (path, note) = match loss {
            None if anew.is_some() => (
                anew.map(|operator| format!("operator.{}.watermark", operator.name)),
                "stamps events when they come".into(),
            ),
            Some(Loss::Late(id)) => {
                let operator = actor(id).role.works()?;
                let operator = &scenario.operators[operator];
                match &operator.watermark {
                    _ if operator.reorder.is_some() => (
                        Some(format!("operator.{}.reorder", operator.name)),
                        "had put out what is stamped later".into(),
                    ),
                    Some(watermark) => (
                        Some(format!("operator.{}.watermark", operator.name)),
                        format!(
                            "waits {} for what is behind{}",
                            span(watermark.behind()).short(),
                            if operator.key_clocks().is_some() {
                                ", by its key's clock"
                            } else {
                                ""
                            }
                        ),
                    ),
                    None => (
                        Some(format!("operator.{}.query", operator.name)),
                        "closes its windows by upstream watermarks".into(),
                    ),
                }
            }
            Some(Loss::Failed(id)) => (Some(format!("operator.{}", actor(id).name)), "cannot work on it".into()),
            Some(Loss::Shed(id)) => {
                let node = self.node_of(id);
                if node.shed.is_some() {
                    (Some(format!("node.{}.shed", node.name)), "too many wait".into())
                } else {
                    (
                        Some(format!("node.{}.mailbox", node.name)),
                        "the mailbox is full".into(),
                    )
                }
            }
            Some(Loss::Mailbox(_) | Loss::State(_) | Loss::Crash(_)) => {
                (fault(&[FaultKind::Crash]), "what was not saved is lost".into())
            }
            Some(Loss::Link(_) | Loss::Missed(_)) | None => match touch {
                Some((fault, _)) => (
                    Some(format!("fault.{}", scenario.faults[*fault].id)),
                    "this fault did it".into(),
                ),
                None => {
                    let clocks = [FaultKind::Offset, FaultKind::Drift, FaultKind::Jump];
                    let skewed = event.is_some_and(|id| {
                        self.origin(id)
                            .zip(self.seen.get(&id))
                            .is_some_and(|(o, (.., stamp))| o.happened != *stamp)
                    });
                    if skewed {
                        let node = event.map(|id| actor(ActorId(id.producer.0)).node);
                        let own = node.map(|node| format!("node.{}.offset", self.topology.nodes[node.0 as usize].name));
                        (fault(&clocks).or(own), "the clock that gave the stamp is wrong".into())
                    } else {
                        (None, String::new())
                    }
                }
            },
        };
        let written = || match reason {
            Reason::Rule { .. } => None,
            _ => Some(format!("expect.{name}")),
        };
        let (path, note) = match path.filter(|path| self.script.span(path).is_some()) {
            Some(path) => (path, note),
            None => (written()?, "says so".into()),
        };
        let place = self.script.span(&path)?;
        let text = self
            .script
            .text
            .lines()
            .nth(place.line - 1)
            .unwrap_or_default()
            .to_owned();
        let file = self.script.origin.to_string();
        Some(ScriptLine {
            file,
            line: place.line,
            column: place.column,
            length: place.length,
            text,
            note,
        })
    }

    fn picture(&self, reason: &Reason, event: Option<EventId>, loss: Option<(Time, Loss)>) -> Vec<String> {
        let Some(id) = event else { return vec![] };
        let Some(origin) = self.origin(id) else { return vec![] };
        let seen = self.seen.get(&id);
        let bounds = match reason {
            Reason::Table { difference, .. } => match &difference.name {
                Name::Window(end, start, _) | Name::Part(end, start, ..) if *start > Time::MIN && *end < Time::MAX => {
                    Some((*start, *end))
                }
                _ => None,
            },
            _ => None,
        };
        match (loss, seen) {
            (Some((at, Loss::Late(actor))), _) => {
                let stamp = seen.map_or(origin.happened, |(.., stamp)| *stamp);
                let Some((start, end)) = bounds.or_else(|| self.tumbling(actor, stamp)) else {
                    return vec![];
                };
                let last = end - self.script.scenario.time.tick;
                let history = &self.actors[actor.0 as usize].watermarks;
                let closed = history
                    .iter()
                    .find(|(_, watermark)| *watermark >= last)
                    .map_or(at, |(at, _)| *at);
                let mut others: Vec<(shown::Time, shown::Time)> = self
                    .seen
                    .iter()
                    .filter(|(other, (at, by, stamp))| {
                        **other != id && *by == actor && start <= *stamp && *stamp < end && *at <= closed
                    })
                    .map(|(_, (at, _, stamp))| (time(*stamp), time(*at)))
                    .collect();
                others.sort_unstable();
                let step = others.len().div_ceil(12).max(1);
                let others: Vec<_> = others.into_iter().step_by(step).collect();
                picture::late(&picture::LateEvent {
                    window: (time(start), time(end)),
                    closed: time(closed),
                    stamp: time(stamp),
                    seen: time(at),
                    others: &others,
                })
            }
            (Some((_, Loss::Link(_) | Loss::Crash(_))), _) => {
                let sent = origin.leaves.unwrap_or(origin.happened);
                let by = self.touches.get(&id).and_then(|touches| touches.first());
                let by = by.map_or("", |(fault, _)| self.script.scenario.faults[*fault].id.as_str());
                let mut others: Vec<_> = self
                    .seen
                    .iter()
                    .filter(|(other, _)| other.producer == id.producer && other.number.abs_diff(id.number) <= 5)
                    .map(|(_, (at, _, stamp))| (time(*stamp), Some(time(*at))))
                    .collect();
                others.sort_unstable();
                picture::lost(time(sent), by, &others)
            }
            (None, Some((.., stamp))) if *stamp != origin.happened => {
                let Some((start, end)) = bounds else { return vec![] };
                let size = end.since(start);
                let belongs = origin.happened.floor_to(size, start.since(Time::ZERO));
                let counted = stamp.floor_to(size, start.since(Time::ZERO));
                picture::skewed(&picture::SkewedEvent {
                    by: match self.stamped_anew(id) {
                        Some(_) => picture::Stamped::Arrival,
                        None => picture::Stamped::Clock,
                    },
                    happened: time(origin.happened),
                    stamp: time(*stamp),
                    belongs: (time(belongs), time(belongs + size)),
                    counted: (time(counted), time(counted + size)),
                })
            }
            _ => vec![],
        }
    }

    /// The window of a stamp where the operator's windows form a plain grid.
    fn tumbling(&self, actor: ActorId, stamp: Time) -> Option<(Time, Time)> {
        let operator = self.topology.actors[actor.0 as usize].role.works()?;
        match self.script.scenario.operators[operator]
            .query
            .as_ref()?
            .window
            .as_ref()?
        {
            wavetank_scenarios::query::Window::Tumbling { size, offset } => {
                let start = stamp.floor_to(*size, *offset);
                Some((start, start + *size))
            }
            _ => None,
        }
    }

    fn commands(&self, loss: Option<Loss>, event: Option<EventId>) -> Vec<Command> {
        let scenario = &self.script.scenario;
        let target = self.script.target();
        let at = match loss {
            Some(
                Loss::Late(actor) | Loss::Failed(actor) | Loss::Shed(actor) | Loss::Mailbox(actor) | Loss::State(actor),
            ) => Some(actor),
            _ => event.and_then(|id| self.seen.get(&id)).map(|(_, actor, _)| *actor),
        };
        let mut commands = vec![Command {
            purpose: Purpose::Reproduce,
            line: self.reproduce(),
        }];
        if let Some(actor) = at {
            let name = &self.topology.actors[actor.0 as usize].name;
            let line = format!("wavetank tap {target}@{} --at {name}", self.run.seed);
            commands.push(Command {
                purpose: Purpose::Look,
                line,
            });
        }
        let word = match loss {
            Some(Loss::Late(_)) => "late",
            Some(Loss::Shed(_)) => "shed",
            Some(Loss::Mailbox(_) | Loss::State(_) | Loss::Crash(_)) => "crash",
            _ => scenario.pattern.name(),
        };
        commands.push(Command {
            purpose: Purpose::Learn,
            line: format!("wavetank explain {word}"),
        });
        commands
    }

    /// The command that runs this run again.
    pub fn reproduce(&self) -> String {
        let mut command = self.script.command(self.run.seed);
        if let Some(speed) = self.scope.real_time {
            command += &format!(" --real-time={speed}");
        }
        command
    }

    fn ideas(&self, event: Option<EventId>, loss: Option<(Time, Loss)>) -> Vec<Idea> {
        let scenario = &self.script.scenario;
        let idea = |change: String, gain: &str, price: String| Idea {
            change,
            gain: gain.into(),
            price,
        };
        match loss {
            None => {
                let seen = event.and_then(|id| Some((self.stamped_anew(id)?, self.origin(id)?, self.seen.get(&id)?)));
                let Some((operator, origin, (at, ..))) = seen else {
                    return vec![];
                };
                let late = at.since(origin.happened).max(Span::ZERO);
                let wait = Span::from_secs((late.micros() + 999_999) / 1_000_000);
                let change = format!("operator.{}.watermark = {{ behind = \"{wait}\" }}", operator.name);
                let price = format!("every answer waits for stamps that are {wait} behind the largest");
                vec![idea(change, "this event is counted where it happened", price)]
            }
            Some((at, Loss::Late(actor))) => {
                let Some(operator) = self.topology.actors[actor.0 as usize].role.works() else {
                    return vec![];
                };
                let operator = &scenario.operators[operator];
                if let Some(reorder) = &operator.reorder {
                    let name = &operator.name;
                    let mut ideas = Vec::new();
                    let largest = self.actors[actor.0 as usize].lateness.statistic("max");
                    if let (Some(slack), Some(largest)) = (reorder.slack, largest) {
                        let enough = Span::from_micros(largest.0).max(slack);
                        let change = format!("operator.{name}.reorder.slack = \"{enough}\"");
                        let price = format!(
                            "every event waits for {} more of event time",
                            span(enough - slack).short()
                        );
                        ideas.push(idea(change, "nothing of this run is late", price));
                    }
                    if operator.late != Late::Emit {
                        let change = format!("operator.{name}.late = \"emit\"");
                        let price = "it comes out of order, and readers must take that".into();
                        ideas.push(idea(change, "the event is put out all the same", price));
                    }
                    return ideas;
                }
                let stamp = event.and_then(|id| self.seen.get(&id)).map(|(.., stamp)| *stamp);
                // How far a key's own clock was ahead of the event no watermark has shown.
                let shown = operator.key_clocks().is_none();
                let behind = stamp.filter(|_| shown).map(|stamp| self.behind(actor, at, stamp));
                let mut ideas = Vec::new();
                if let (Some(watermark), Some(needed)) = (&operator.watermark, behind) {
                    let wait = Span::from_secs((needed.micros() + 999_999) / 1_000_000).max(watermark.behind());
                    let price = format!("every answer comes {} later", span(wait - watermark.behind()).short());
                    let change = format!("operator.{}.watermark.behind = \"{wait}\"", operator.name);
                    ideas.push(idea(change, "this event is in time", price));
                }
                if operator.late != Late::Correct {
                    let horizon = behind.unwrap_or(Span::from_secs(60));
                    let horizon = Span::from_secs((horizon.micros() + 59_999_999) / 60_000_000 * 60);
                    let change = format!("operator.{}.late = \"correct\", horizon = \"{horizon}\"", operator.name);
                    let price = "state is kept for longer, and readers must take corrections".into();
                    ideas.push(idea(change, "the answer is corrected when it comes", price));
                }
                ideas
            }
            Some((_, Loss::Link(link))) if self.topology.links[link.0 as usize].settings.kind == LinkKind::Datagram => {
                let settings = &self.topology.links[link.0 as usize].settings;
                let change = format!("link {} -> {}: kind = \"stream\"", settings.from, settings.to);
                let price = format!(
                    "a lost packet holds up what follows by {}",
                    span(settings.resend).short()
                );
                vec![idea(change, "what is lost is sent again", price)]
            }
            Some((_, Loss::Shed(actor))) => {
                let node = self.node_of(actor);
                let change = match &node.shed {
                    Some(shed) => format!("node.{}.shed.above = {}", node.name, u64::from(shed.above) * 4),
                    None => format!("node.{}.overflow = \"back-pressure\"", node.name),
                };
                vec![idea(
                    change,
                    "nothing is shed",
                    "senders wait, and results come later".into(),
                )]
            }
            Some((_, Loss::Crash(link))) => {
                let settings = &self.topology.links[link.0 as usize].settings;
                let change = format!("link {} -> {}: on_crash = \"redirect\"", settings.from, settings.to);
                vec![idea(
                    change,
                    "the next incarnation gets it",
                    "the sender keeps what was not acknowledged".into(),
                )]
            }
            _ => vec![],
        }
    }

    /// How far behind the largest stamp an event was when an operator took it: the disorder that would have had to be
    /// allowed.
    fn behind(&self, actor: ActorId, at: Time, stamp: Time) -> Span {
        let history = &self.actors[actor.0 as usize].watermarks;
        let place = history.partition_point(|(when, _)| *when <= at);
        let Some(operator) = self.topology.actors[actor.0 as usize].role.works() else {
            return Span::ZERO;
        };
        let allowed = self.script.scenario.operators[operator]
            .watermark
            .as_ref()
            .map_or(Span::ZERO, script::Watermark::behind);
        let last = place
            .checked_sub(1)
            .map(|place| history[place].1)
            .filter(|watermark| *watermark < Time::MAX);
        last.map_or(Span::ZERO, |watermark| watermark.since(stamp).max(Span::ZERO) + allowed)
    }
}

fn window(name: &Name) -> String {
    match name {
        Name::Window(end, start, key) | Name::Part(end, start, key, _) => {
            let group = if key.is_empty() {
                String::new()
            } else {
                format!("{} ", row(key))
            };
            format!("[{}, {}) {group}", time(*start), time(*end))
        }
        Name::Single(..) => String::new(),
    }
}

fn entry(entry: Option<&Entry>) -> String {
    entry.map_or_else(|| "no row".into(), |entry| row(&entry.row))
}
