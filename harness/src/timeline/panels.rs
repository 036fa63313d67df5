//! What the views of single patterns need: what lasted, what happened at an instant, answers and their corrections, what
//! results are made of, and places in logs.

use std::collections::{BTreeMap, VecDeque};

use rustc_hash::FxHashMap;
use wavetank_actors::Element;
use wavetank_actors::reliability::Control;
use wavetank_actors::reliability::failover::Note;
use wavetank_actors::reliability::snapshot::Message;
use wavetank_actors::world::{Happening, NodeFault};
use wavetank_oracle::table::{Name, Table};
use wavetank_reports::timeline::{Answers, Lasting, LeftOut, Made, Mark, Offsets, Sample, Timeline, sample};
use wavetank_scenarios::script::Body;
use wavetank_scenarios::topology::{ActorId, Port, Role, Topology};
use wavetank_scenarios::{Change, Event, EventId, Pane, Row, Script, Time, Timing, Value};

use super::{Seen, hash_of, on_node};

/// Spans of work that are kept.
const WORK: usize = 2_000;
/// Spans of other kinds, and marks.
const SPANS: usize = 1_000;
const MARKS: usize = 1_000;
/// Windows whose answers are kept, and answers of one of them.
const ANSWERED: usize = 150;
const ANSWERS: usize = 24;
/// Results whose parts are kept, and parts of one of them.
const MADE: usize = 600;
const PARTS: usize = 8;
/// Events whose stamp is remembered for the results that they may be part of.
const REMEMBERED: usize = 60_000;
/// What is kept of the places that readers were given.
const OFFSETS: usize = 1_500;
/// Most acknowledgements of a reader.
const ACKNOWLEDGED: usize = 600;

struct Reader {
    given: u64,
    again: u64,
    reached: BTreeMap<u32, u64>,
    kept: Sample<(i64, u64, u32), bool>,
    acknowledged: Vec<(i64, u32, u64)>,
}

/// What is gathered for the views of patterns.
pub struct Panels {
    spans: Vec<Lasting>,
    spans_had: u64,
    marks: Vec<Mark>,
    marks_had: u64,
    work: Sample<(i64, usize), Lasting>,
    working: Vec<Option<(i64, String)>>,
    /// By copy: since when it is the primary, and under which token.
    primary: BTreeMap<usize, (i64, String)>,
    down: BTreeMap<usize, (i64, usize, &'static str)>,
    /// By fault: when it laid a node low.
    low: BTreeMap<usize, Vec<(i64, Option<i64>)>>,
    snapshots: BTreeMap<u64, (i64, usize)>,
    answers: Sample<(ActorId, Time, Time, String), Answered>,
    /// By actor: the stamps of the events that it has taken, where results are made of several.
    stamps: FxHashMap<(u32, EventId), (i64, usize)>,
    order: VecDeque<(u32, EventId)>,
    made: Sample<(i64, EventId), Made>,
    combines: Vec<bool>,
    readers: BTreeMap<usize, Reader>,
}

struct Answered {
    pane: Pane,
    slot: usize,
    at: Vec<i64>,
    value: Vec<Option<f64>>,
    timing: Vec<&'static str>,
}

impl Panels {
    pub fn new(script: &Script) -> Self {
        let topology = &script.topology;
        let combines = |role: Role| {
            let operator = role.works()?;
            let (_, body) = script.scenario.operators[operator].bodies().next()?;
            Some(match body {
                Body::Query(query) => !query.joins.is_empty(),
                Body::Sequence(_) | Body::Gather(_) => true,
                _ => false,
            })
        };
        Self {
            spans: Vec::new(),
            spans_had: 0,
            marks: Vec::new(),
            marks_had: 0,
            work: Sample::new(WORK),
            working: vec![None; topology.actors.len()],
            primary: BTreeMap::new(),
            down: BTreeMap::new(),
            low: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            answers: Sample::new(ANSWERED),
            stamps: FxHashMap::default(),
            order: VecDeque::new(),
            made: Sample::new(MADE),
            combines: topology
                .actors
                .iter()
                .map(|actor| combines(actor.role).unwrap_or(false))
                .collect(),
            readers: BTreeMap::new(),
        }
    }

    /// When a fault laid nodes low: from when, until when.
    pub fn lain_low(&self, fault: usize) -> impl Iterator<Item = (i64, Option<i64>)> + '_ {
        self.low.get(&fault).into_iter().flatten().copied()
    }

    fn span(&mut self, actor: usize, kind: &str, from: i64, to: i64, label: String) {
        self.spans_had += 1;
        if self.spans.len() < SPANS {
            let kind = kind.to_owned();
            self.spans.push(Lasting {
                actor,
                kind,
                from,
                to,
                label,
            });
        }
    }

    fn mark(&mut self, at: i64, actor: usize, kind: &str, text: String) {
        self.marks_had += 1;
        if self.marks.len() < MARKS {
            let kind = kind.to_owned();
            self.marks.push(Mark { at, actor, kind, text });
        }
    }

    pub fn see(&mut self, seen: Seen<'_>, happening: &Happening<'_>) {
        let at = seen.at;
        match happening {
            Happening::Delivered {
                actor,
                input,
                element: Element::Event(event),
                ..
            } => self.delivered(seen, *actor, *input, event),
            Happening::Done { actor } => {
                let index = actor.0 as usize;
                if let Some((from, label)) = self.working[index].take()
                    && from < at
                {
                    let hash = sample::hash(u64::from(actor.0), from as u64);
                    let (kind, to) = ("work".to_owned(), at);
                    let span = Lasting {
                        actor: index,
                        kind,
                        from,
                        to,
                        label,
                    };
                    self.work.offer((from, index), hash, span);
                }
            }
            Happening::Emitted {
                actor,
                port: Port::Main,
                element: Element::Event(event),
            } => {
                self.answered(seen, *actor, event);
                self.combined(seen, *actor, event);
            }
            Happening::Node { node, fault, by } => self.node(seen, *node, fault, *by),
            Happening::Cut { actor, snapshot } => {
                self.mark(at, actor.0 as usize, "cut", format!("part of snapshot {snapshot}"));
            }
            Happening::Restored { actor, snapshot, .. } => {
                let to = snapshot.map_or_else(|| "the beginning".to_owned(), |n| format!("snapshot {n}"));
                self.mark(at, actor.0 as usize, "recovery", format!("goes back to {to}"));
            }
            Happening::OfCopy { actor, note } => self.copy(seen, *actor, note),
            Happening::GaveUp { actor, number } => {
                self.mark(
                    at,
                    actor.0 as usize,
                    "gave-up",
                    format!("no longer waits for marker {number}"),
                );
            }
            Happening::Noted { actor, text } => self.mark(at, actor.0 as usize, "note", (*text).to_owned()),
            Happening::Told {
                link,
                element: Element::Control(control),
            } => {
                let from = seen.topology.links[link.0 as usize].from.0 as usize;
                self.told(seen, from, control);
            }
            _ => {}
        }
    }

    fn delivered(&mut self, seen: Seen<'_>, actor: ActorId, input: usize, event: &Event) {
        let (at, index) = (seen.at, actor.0 as usize);
        let role = seen.role(actor);
        if role.works().is_some() {
            self.working[index] = Some((seen.began, seen.name(event.correlation)));
        }
        if self.combines[index] {
            let key = (actor.0, event.correlation);
            let listed = seen.topology.actors[index].inputs.get(input);
            let listed = listed.map_or(0, |link| seen.topology.links[link.0 as usize].listed);
            if self
                .stamps
                .insert(key, (seen.event_time(event.stamp), listed))
                .is_none()
            {
                self.order.push_back(key);
                if self.order.len() > REMEMBERED
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.stamps.remove(&oldest);
                }
            }
        }
        let Some(position) = event.position else { return };
        let from = seen.topology.actors[index].inputs.get(input);
        let from = from.map(|link| seen.role(seen.topology.links[link.0 as usize].from));
        if !matches!(from, Some(Role::Broker { .. })) {
            return;
        }
        let reader = self.readers.entry(index).or_insert_with(|| Reader {
            given: 0,
            again: 0,
            reached: BTreeMap::new(),
            kept: Sample::new(OFFSETS),
            acknowledged: Vec::new(),
        });
        let reached = reader.reached.get(&position.partition).copied();
        let again = reached.is_some_and(|reached| position.offset <= reached);
        let reached = reached.map_or(position.offset, |reached| reached.max(position.offset));
        reader.reached.insert(position.partition, reached);
        reader.given += 1;
        reader.again += u64::from(again);
        let hash = sample::hash(u64::from(position.partition), position.offset);
        reader
            .kept
            .offer((at, position.offset, position.partition), hash, again);
    }

    /// An answer of a window.
    fn answered(&mut self, seen: Seen<'_>, actor: ActorId, event: &Event) {
        let Some(pane) = event.pane.as_deref() else { return };
        let group: Vec<String> = pane.key.iter().map(ToString::to_string).collect();
        let key = (actor, pane.end, pane.start, group.join(", "));
        let text = key
            .3
            .bytes()
            .fold(0u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
        let hash = sample::hash(
            pane.end.micros() as u64 ^ (pane.start.micros() as u64).rotate_left(17),
            text,
        );
        let value = |slot: usize| event.row.get(slot).and_then(Value::as_f64);
        let timing = match pane.timing {
            Timing::Early => "early",
            Timing::OnTime => "on-time",
            Timing::Late => "late",
        };
        if let Some(answered) = self.answers.get_mut(&key) {
            let gone = matches!(pane.change, Change::UpdateBefore | Change::Delete);
            if answered.at.len() < ANSWERS {
                answered.at.push(seen.at);
                answered.value.push(if gone { None } else { value(answered.slot) });
                answered.timing.push(timing);
            }
            return;
        }
        if !self.answers.takes(hash) {
            if pane.revision == 0 {
                self.answers.skip();
            }
            return;
        }
        // The last number that is no part of the group.
        let slots = (0..event.row.len()).rev();
        let mut numbers = slots.filter(|slot| value(*slot).is_some());
        let own = |slot: &usize| !pane.key.iter().any(|key| Some(key) == event.row.get(*slot));
        let Some(slot) = numbers.clone().find(own).or_else(|| numbers.next()) else {
            return;
        };
        let answered = Answered {
            pane: pane.clone(),
            slot,
            at: vec![seen.at],
            value: vec![value(slot)],
            timing: vec![timing],
        };
        self.answers.offer(key, hash, answered);
    }

    /// A result that is made of several events.
    fn combined(&mut self, seen: Seen<'_>, actor: ActorId, event: &Event) {
        if !self.combines[actor.0 as usize] {
            return;
        }
        let parts = event.origins().iter().take(PARTS);
        let parts: Vec<(i64, usize)> = parts
            .filter_map(|id| self.stamps.get(&(actor.0, *id)).copied())
            .collect();
        if parts.is_empty() {
            return;
        }
        let (actor, at) = (actor.0 as usize, seen.at);
        self.made
            .offer((at, event.id), hash_of(event.id), Made { actor, at, parts });
    }

    fn node(&mut self, seen: Seen<'_>, node: wavetank_scenarios::topology::NodeId, fault: &NodeFault, by: usize) {
        let (at, number) = (seen.at, node.0 as usize);
        let first = on_node(seen.topology, node).next().unwrap_or(0);
        let (kind, begins) = match fault {
            NodeFault::Crash => ("down", true),
            NodeFault::Pause => ("paused", true),
            NodeFault::Slow(factor) => ("slow", *factor != 1.0),
            NodeFault::Restart | NodeFault::Resume => ("", false),
            NodeFault::Clock => return,
        };
        if begins {
            self.low.entry(by).or_default().push((at, None));
            self.down.insert(number, (at, by, kind));
            let name = &seen.topology.nodes[number].name;
            self.mark(
                at,
                first,
                kind,
                format!("{name}: {}", seen.script.scenario.faults[by].id),
            );
            if kind == "down" {
                for index in on_node(seen.topology, node) {
                    self.working[index] = None;
                    if let Some((from, label)) = self.primary.remove(&index) {
                        self.span(index, "primary", from, at, label);
                    }
                }
            }
        } else if let Some((from, by, kind)) = self.down.remove(&number) {
            self.over(seen.topology, number, from, at, kind);
            if let Some(last) = self.low.get_mut(&by).and_then(|all| all.last_mut()) {
                last.1 = Some(at);
            }
        }
    }

    fn over(&mut self, topology: &Topology, node: usize, from: i64, to: i64, kind: &str) {
        let node = wavetank_scenarios::topology::NodeId(node as u32);
        for index in on_node(topology, node) {
            self.span(index, kind, from, to, topology.nodes[node.0 as usize].name.clone());
        }
    }

    fn copy(&mut self, seen: Seen<'_>, actor: ActorId, note: &Note) {
        let (at, index) = (seen.at, actor.0 as usize);
        let kind = match note {
            Note::Suspects => "suspects",
            Note::Primary { token, .. } => {
                self.primary.insert(index, (at, format!("token {token}")));
                "primary"
            }
            Note::SteppedDown(_) | Note::Rests => {
                if let Some((from, label)) = self.primary.remove(&index) {
                    self.span(index, "primary", from, at, label);
                }
                "stepped-down"
            }
            Note::CaughtUp => "caught-up",
            Note::Diverged { .. } => "diverged",
        };
        self.mark(at, index, kind, crate::judge::show_note(note));
    }

    fn told(&mut self, seen: Seen<'_>, from: usize, control: &Control) {
        let at = seen.at;
        match control {
            Control::Snapshot(Message::Trigger { number, .. }) => {
                self.snapshots.entry(*number).or_insert((at, from));
            }
            Control::Snapshot(Message::Completed { number }) => {
                if let Some((began, actor)) = self.snapshots.remove(number) {
                    self.span(actor, "snapshot", began, at, format!("snapshot {number}"));
                }
            }
            Control::Snapshot(Message::Aborted { number }) => {
                if let Some((began, actor)) = self.snapshots.remove(number) {
                    self.span(actor, "aborted", began, at, format!("snapshot {number}, given up"));
                }
            }
            Control::Seek { .. } => self.mark(at, from, "seek", crate::judge::show_control(control)),
            Control::Acknowledge(positions) => {
                if let Some(reader) = self.readers.get_mut(&from) {
                    for position in positions {
                        let last = reader.acknowledged.last().copied();
                        // One by one is finer than anybody can see.
                        let soon = last.is_some_and(|(when, partition, _)| {
                            partition == position.partition && (when == at || reader.acknowledged.len() >= ACKNOWLEDGED)
                        });
                        if soon {
                            reader.acknowledged.pop();
                        }
                        if reader.acknowledged.len() < 2 * ACKNOWLEDGED {
                            reader.acknowledged.push((at, position.partition, position.offset));
                        }
                    }
                }
            }
            _ => {}
        }
    }

    pub fn finish(
        mut self,
        length: i64,
        truth: Option<&BTreeMap<ActorId, Table>>,
        script: &Script,
        timeline: &mut Timeline,
    ) {
        let topology = &script.topology;
        for (node, (from, _, kind)) in std::mem::take(&mut self.down) {
            self.over(topology, node, from, length, kind);
        }
        for (index, (from, label)) in std::mem::take(&mut self.primary) {
            self.span(index, "primary", from, length, label);
        }
        for (number, (from, actor)) in std::mem::take(&mut self.snapshots) {
            self.span(
                actor,
                "aborted",
                from,
                length,
                format!("snapshot {number}, not complete"),
            );
        }
        let mut left_out = |what: &str, had: u64, kept: u64, rule: String| {
            if had != kept {
                let what = what.to_owned();
                timeline.left_out.push(LeftOut { what, had, kept, rule });
            }
        };
        let first = || "the first ones".to_owned();
        left_out("spans", self.spans_had, self.spans.len() as u64, first());
        left_out("marks", self.marks_had, self.marks.len() as u64, first());
        left_out(
            "spans of work",
            self.work.had(),
            self.work.len() as u64,
            self.work.rule(),
        );
        left_out(
            "windows and groups whose answers are drawn",
            self.answers.had(),
            self.answers.len() as u64,
            self.answers.rule(),
        );
        left_out(
            "results whose parts are drawn",
            self.made.had(),
            self.made.len() as u64,
            self.made.rule(),
        );
        timeline.spans = self.spans;
        timeline.spans.extend(self.work.into_things().map(|(_, span)| span));
        timeline.marks = self.marks;
        timeline.made = self.made.into_things().map(|(_, made)| made).collect();
        for ((actor, ..), answered) in self.answers.into_things() {
            let truth = truth.and_then(|tables| true_value(topology, tables, actor, &answered));
            let bound =
                |time: Time| (time != Time::MIN && time != Time::MAX).then(|| time.micros() - script.start().micros());
            let schema = &topology.actors[actor.0 as usize].schema;
            timeline.answers.push(Answers {
                actor: actor.0 as usize,
                column: schema.names().nth(answered.slot).unwrap_or_default().to_owned(),
                group: said(&answered.pane.key),
                start: bound(answered.pane.start),
                end: bound(answered.pane.end),
                at: answered.at,
                value: answered.value,
                timing: answered.timing.into_iter().map(str::to_owned).collect(),
                truth,
            });
        }
        for (actor, reader) in self.readers {
            let (had, kept, rule) = (reader.kept.had(), reader.kept.len() as u64, reader.kept.rule());
            if had != kept {
                let what = format!("places that {} was given", timeline.actors[actor].actor);
                timeline.left_out.push(LeftOut { what, had, kept, rule });
            }
            let mut offsets = Offsets {
                actor,
                given: reader.given,
                again: reader.again,
                acknowledged: reader.acknowledged,
                ..Offsets::default()
            };
            for ((at, offset, partition), again) in reader.kept.into_things() {
                offsets.at.push(at);
                offsets.partition.push(partition);
                offsets.offset.push(offset);
                offsets.repeated.push(again);
            }
            timeline.offsets.push(offsets);
        }
    }
}

fn said(key: &Row) -> String {
    key.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What an undisturbed and complete input would have given, by the sinks that read the answers.
fn true_value(
    topology: &Topology,
    tables: &BTreeMap<ActorId, Table>,
    actor: ActorId,
    answered: &Answered,
) -> Option<f64> {
    let outputs = topology.actors[actor.0 as usize].outputs.iter();
    let readers = outputs.map(|link| &topology.links[link.0 as usize]);
    let mut main = readers.filter(|link| link.port == Port::Main);
    let table = main.find_map(|link| tables.get(&link.to))?;
    let pane = &answered.pane;
    let name = Name::Window(pane.end, pane.start, pane.key.clone());
    table.get(&name)?.row.get(answered.slot)?.as_f64()
}
