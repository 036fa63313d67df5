//! The time plane of each operator: its events by when they happened and when they came, its watermark and its windows.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_actors::Element;
use wavetank_actors::operator::Dropped;
use wavetank_actors::world::Happening;
use wavetank_reports::timeline::{Fate, LeftOut, Named, Plane, Points, Sample, Steps, Timeline, Windows, sample};
use wavetank_scenarios::schema::FieldType;
use wavetank_scenarios::script::Body;
use wavetank_scenarios::topology::{ActorId, Port, Role};
use wavetank_scenarios::{Event, EventId, Script, Span, Time};

use super::{Seen, hash_of};

/// Ordinary events that are kept, over all planes.
const ORDINARY: usize = 2_400;
/// Unlucky ones.
const UNLUCKY: usize = 1_600;
/// Windows of a plane.
const WINDOWS: usize = 300;
/// Steps of a watermark.
const STEPS: usize = 1_200;

#[derive(Clone, Copy)]
struct Point {
    stamp: i64,
    at: i64,
    out: Option<i64>,
    fate: Fate,
    value: Option<f64>,
}

/// A field of events: its slot and its name.
type Field = (usize, String);

/// Which event, and when it came.
type Key = (i64, EventId);

#[derive(Default)]
struct Walk {
    steps: Steps,
    last: Option<i64>,
}

impl Walk {
    fn to(&mut self, at: i64, value: i64) {
        if self.last.replace(value) == Some(value) {
            return;
        }
        self.steps.at.push(at);
        self.steps.value.push(value);
        if self.steps.at.len() > STEPS {
            // Every other one, the latest among those that stay.
            let odd = |column: &mut Vec<i64>| {
                let mut index = 0;
                let parity = (column.len() - 1) % 2;
                column.retain(|_| {
                    index += 1;
                    (index - 1) % 2 == parity
                });
            };
            odd(&mut self.steps.at);
            odd(&mut self.steps.value);
        }
    }
}

#[derive(Clone, Copy)]
struct Window {
    first: i64,
    last: i64,
    gone: Option<i64>,
    answers: u32,
}

struct Watch {
    actor: ActorId,
    horizon: Span,
    fates: BTreeMap<Fate, u64>,
    ordinary: Sample<Key, Point>,
    unlucky: Sample<Key, Point>,
    /// When each event that is kept came last, for those who know it by name alone.
    latest: BTreeMap<EventId, Key>,
    watermark: Walk,
    /// The watermark generator in front, where there is one.
    generator: Option<ActorId>,
    inputs: BTreeMap<(usize, usize), Walk>,
    windows: Sample<(Time, Time), Window>,
    open: BTreeSet<(Time, Time)>,
    reached: Time,
    value: Option<Field>,
    rules: Vec<(String, f64)>,
    /// The event that came last.
    fresh: Option<(EventId, Point)>,
    /// The start of the run, in microseconds.
    start_of_time: i64,
}

/// The planes of a run.
pub struct Planes {
    planes: Vec<Watch>,
    /// By actor: the plane of what comes to it.
    plane: Vec<Option<usize>>,
}

impl Planes {
    pub fn new(script: &Script) -> Self {
        let topology = &script.topology;
        let mut plane = vec![None; topology.actors.len()];
        let mut planes: Vec<Watch> = Vec::new();
        let working = |role: Role| match role {
            Role::Merge { operator } => Some(operator),
            role => role.works(),
        };
        let many = topology
            .actors
            .iter()
            .filter(|actor| working(actor.role).is_some())
            .count();
        for (index, actor) in topology.actors.iter().enumerate() {
            let Some(operator) = working(actor.role) else { continue };
            let settings = &script.scenario.operators[operator];
            let id = ActorId(index as u32);
            plane[index] = Some(planes.len());
            let (value, rules) = value_of(script, id, operator);
            planes.push(Watch {
                actor: id,
                horizon: settings.horizon,
                fates: BTreeMap::new(),
                ordinary: Sample::new(ORDINARY / many.max(1)),
                unlucky: Sample::new(UNLUCKY / many.max(1)),
                latest: BTreeMap::new(),
                watermark: Walk::default(),
                generator: None,
                inputs: BTreeMap::new(),
                windows: Sample::new(WINDOWS),
                open: BTreeSet::new(),
                reached: Time::MIN,
                value,
                rules,
                fresh: None,
                start_of_time: script.start().micros(),
            });
        }
        // What is lost in front of a generator or a split is lost for the operator behind it.
        for (index, actor) in topology.actors.iter().enumerate() {
            if let Role::Watermark { operator } | Role::Split { operator } = actor.role {
                let worker = topology.workers(operator).next();
                plane[index] = worker.and_then(|worker| plane[worker.0 as usize]);
                if let (Role::Watermark { .. }, Some(behind)) = (actor.role, plane[index]) {
                    planes[behind].generator = Some(ActorId(index as u32));
                }
            }
        }
        Self { planes, plane }
    }

    fn of(&mut self, actor: ActorId) -> Option<&mut Watch> {
        let plane = self.plane[actor.0 as usize]?;
        self.planes.get_mut(plane)
    }

    pub fn see(&mut self, seen: Seen<'_>, happening: &Happening<'_>) {
        match happening {
            Happening::Delivered {
                actor,
                input,
                lane,
                element,
            } => {
                let passes = seen.role(*actor).passes();
                let Some(watch) = self.of(*actor) else { return };
                match element {
                    Element::Event(event) if !passes => watch.comes(seen, event),
                    // In front of a generator no input has a watermark: it reaches as far as its largest stamp.
                    Element::Event(event) if watch.generator == Some(*actor) => {
                        let walk = watch.inputs.entry((*input, *lane)).or_default();
                        let stamp = seen.event_time(event.stamp);
                        walk.to(seen.at, walk.last.map_or(stamp, |last| last.max(stamp)));
                    }
                    Element::Watermark(watermark) if *watermark < Time::MAX && watch.generator.is_none() => {
                        let walk = watch.inputs.entry((*input, *lane)).or_default();
                        walk.to(seen.at, seen.event_time(*watermark));
                    }
                    _ => {}
                }
            }
            Happening::Emitted { actor, port, element } => {
                if seen.role(*actor).passes() {
                    return;
                }
                let Some(watch) = self.of(*actor) else { return };
                match element {
                    Element::Event(event) if *port == Port::Main => watch.answers(seen, event),
                    Element::Watermark(watermark) => watch.moves(seen, *watermark),
                    _ => {}
                }
            }
            Happening::Dropped { actor, id, why } => {
                let fate = match why {
                    Dropped::Filtered => Fate::Filtered,
                    Dropped::Late => Fate::Late,
                    Dropped::Failed => Fate::Failed,
                };
                if let Some(watch) = self.of(*actor) {
                    watch.ends(*id, fate);
                }
            }
            Happening::Failed { actor, failure } => {
                if let Some(watch) = self.of(*actor) {
                    watch.ends(failure.event.id, Fate::Failed);
                }
            }
            Happening::Shed { actor, event } => self.never(seen, *actor, event, Fate::Shed),
            Happening::LostInMailbox { actor, event } => self.never(seen, *actor, event, Fate::Crashed),
            Happening::LostAtWork { actor, id, taken: true } => {
                if let Some(watch) = self.of(*actor) {
                    watch.ends(*id, Fate::Crashed);
                }
            }
            Happening::Lost { link, element, .. } => {
                if let Some(event) = element.event() {
                    let to = seen.topology.links[link.0 as usize].to;
                    self.never(seen, to, event, Fate::Lost);
                }
            }
            _ => {}
        }
    }

    /// An event that the operator never saw.
    fn never(&mut self, seen: Seen<'_>, actor: ActorId, event: &Event, fate: Fate) {
        let Some(watch) = self.of(actor) else { return };
        *watch.fates.entry(fate).or_default() += 1;
        let point = watch.point(seen, event, fate);
        watch.unlucky.offer((seen.at, event.id), hash_of(event.id), point);
    }

    pub fn finish(self, timeline: &mut Timeline) {
        let mut ordinary = (0, 0, String::new());
        let mut unlucky = (0, 0, String::new());
        let count = |of: &mut (u64, u64, String), had: u64, kept: usize, rule: String| {
            *of = (of.0 + had, of.1 + kept as u64, rule);
        };
        for watch in self.planes {
            let names: Vec<String> = watch
                .inputs
                .keys()
                .map(|(input, lane)| input_name(timeline, watch.generator.unwrap_or(watch.actor), *input, *lane))
                .collect();
            count(
                &mut ordinary,
                watch.ordinary.had(),
                watch.ordinary.len(),
                watch.ordinary.rule(),
            );
            count(
                &mut unlucky,
                watch.unlucky.had(),
                watch.unlucky.len(),
                watch.unlucky.rule(),
            );
            let (had, kept, rule) = (watch.windows.had(), watch.windows.len(), watch.windows.rule());
            if kept as u64 != had {
                let what = format!("windows of {}", timeline.actors[watch.actor.0 as usize].actor);
                let kept = kept as u64;
                timeline.left_out.push(LeftOut { what, had, kept, rule });
            }
            timeline.planes.push(watch.finish(names));
        }
        for ((had, kept, rule), what) in [
            (ordinary, "events that were taken in or filtered, in the planes"),
            (unlucky, "events that were late, lost, shed or failed, in the planes"),
        ] {
            if had != kept {
                let what = what.to_owned();
                timeline.left_out.push(LeftOut { what, had, kept, rule });
            }
        }
    }
}

/// What an input is called: the link, and the lane where it has several.
fn input_name(timeline: &Timeline, actor: ActorId, input: usize, lane: usize) -> String {
    let into: Vec<&str> = timeline
        .links
        .iter()
        .filter(|link| link.to == actor.0 as usize)
        .map(|link| timeline.actors[link.from].actor.as_str())
        .collect();
    match into.get(input) {
        Some(name) if lane == 0 => (*name).to_owned(),
        Some(name) => format!("{name}, lane {lane}"),
        None => format!("input {input}"),
    }
}

/// A value of an operator's input to show: that of its threshold, or the first number that its predicate speaks of.
fn value_of(script: &Script, actor: ActorId, operator: usize) -> (Option<Field>, Vec<(String, f64)>) {
    let settings = &script.scenario.operators[operator];
    let Some((_, body)) = settings.bodies().next() else {
        return (None, vec![]);
    };
    let (text, rules) = match body {
        Body::Threshold(threshold) => {
            let low = threshold.low.map(|low| ("low".to_owned(), low));
            let rules = std::iter::once(("high".to_owned(), threshold.high))
                .chain(low)
                .collect();
            (threshold.value.text.as_str(), rules)
        }
        Body::Filter(predicate) => (predicate.text.as_str(), vec![]),
        Body::Change(_) | Body::First(_) | Body::Transform(_) => ("", vec![]),
        _ => return (None, vec![]),
    };
    let schemas = script.topology.input_schemas(actor);
    let Some(schema) = schemas.first() else {
        return (None, vec![]);
    };
    let words: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let numeric = |name: &&str| {
        let slot = schema.slot(name);
        slot.is_some_and(|slot| matches!(schema.fields[slot].kind, FieldType::Int | FieldType::Float))
    };
    let named = words.iter().copied().find(numeric);
    let name = named.or_else(|| schema.names().find(numeric));
    let value = name.and_then(|name| Some((schema.slot(name)?, name.to_owned())));
    (value, rules)
}

impl Watch {
    fn point(&self, seen: Seen<'_>, event: &Event, fate: Fate) -> Point {
        let value = self.value.as_ref();
        Point {
            stamp: seen.event_time(event.stamp),
            at: seen.at,
            out: None,
            fate,
            value: value.and_then(|(slot, _)| event.row.get(*slot)?.as_f64()),
        }
    }

    fn comes(&mut self, seen: Seen<'_>, event: &Event) {
        *self.fates.entry(Fate::Taken).or_default() += 1;
        let point = self.point(seen, event, Fate::Taken);
        // It is looked for by the name that it has here and by the one that its results go back to.
        let key = event.id;
        self.ordinary.offer((seen.at, key), hash_of(key), point);
        if self.latest.len() > 4 * ORDINARY {
            // Those that have gone out of the sample need not be found.
            let ordinary = &self.ordinary;
            self.latest.retain(|_, (_, id)| ordinary.takes(hash_of(*id)));
        }
        // The one that came last may still turn out late, whether it is in the sample or not.
        self.latest.insert(key, (seen.at, key));
        if event.correlation != key {
            self.latest.insert(event.correlation, (seen.at, key));
        }
        self.fresh = Some((key, point));
    }

    /// The operator is done with an event, without a result.
    fn ends(&mut self, id: EventId, fate: Fate) {
        // One that was restored from a snapshot ends without having come.
        let taken = self.fates.entry(Fate::Taken).or_default();
        *taken = taken.saturating_sub(1);
        *self.fates.entry(fate).or_default() += 1;
        let fresh = self.fresh.take_if(|(fresh, _)| *fresh == id).map(|(_, point)| point);
        let at = fresh
            .map(|point| point.at)
            .or_else(|| self.latest.get(&id).map(|(at, _)| *at));
        let Some(at) = at else { return };
        if !fate.is_unlucky() {
            if let Some(point) = self.ordinary.get_mut(&(at, id)) {
                point.fate = fate;
            }
            return;
        }
        let kept = self.ordinary.remove(&(at, id));
        if let Some(point) = fresh.or(kept) {
            self.unlucky.offer((at, id), hash_of(id), Point { fate, ..point });
        }
    }

    /// A result goes out.
    fn answers(&mut self, seen: Seen<'_>, event: &Event) {
        if let Some(key) = self.latest.get(&event.correlation)
            && let Some(point) = self.ordinary.get_mut(key)
        {
            point.out.get_or_insert(seen.at);
        }
        let Some(pane) = event.pane.as_deref() else { return };
        if pane.start == Time::MIN || pane.end == Time::MAX {
            return;
        }
        let key = (pane.end, pane.start);
        if let Some(window) = self.windows.get_mut(&key) {
            window.last = seen.at;
            window.answers += 1;
            return;
        }
        let hash = sample::hash(pane.end.micros() as u64, pane.start.micros() as u64);
        if !self.windows.takes(hash) {
            return;
        }
        let over = pane.end.micros().saturating_add(self.horizon.micros()) <= self.reached.micros();
        let window = Window {
            first: seen.at,
            last: seen.at,
            gone: over.then_some(seen.at),
            answers: 1,
        };
        self.windows.offer(key, hash, window);
        if !over {
            self.open.insert(key);
        }
    }

    /// The watermark has come so far.
    fn moves(&mut self, seen: Seen<'_>, watermark: Time) {
        self.reached = watermark;
        if watermark < Time::MAX {
            self.watermark.to(seen.at, seen.event_time(watermark));
        }
        while let Some(key) = self.open.first().copied()
            && key.0.micros().saturating_add(self.horizon.micros()) <= watermark.micros()
        {
            self.open.remove(&key);
            if let Some(window) = self.windows.get_mut(&key) {
                window.gone = Some(seen.at);
            }
        }
    }

    fn finish(self, names: Vec<String>) -> Plane {
        let mut points: Vec<(Key, Point)> = self.ordinary.into_things().chain(self.unlucky.into_things()).collect();
        points.sort_by_key(|(key, _)| *key);
        let mut columns = Points::default();
        for ((_, id), point) in points {
            columns.stamp.push(point.stamp);
            columns.at.push(point.at);
            columns.out.push(point.out);
            columns.fate.push(point.fate as u8);
            columns.from.push(id.producer.0 as usize);
            columns.number.push(id.number);
            if self.value.is_some() {
                columns.value.push(point.value);
            }
        }
        let mut windows = Windows::default();
        let start = self.start_of_time;
        for ((end, begin), window) in self.windows.into_things() {
            windows.start.push(begin.micros().saturating_sub(start));
            windows.end.push(end.micros().saturating_sub(start));
            windows.first.push(window.first);
            windows.last.push(window.last);
            windows.gone.push(window.gone);
            windows.answers.push(window.answers);
        }
        let inputs = names
            .into_iter()
            .zip(self.inputs.into_values())
            .map(|(name, walk)| Named {
                name,
                steps: walk.steps,
            });
        Plane {
            actor: self.actor.0 as usize,
            fates: self
                .fates
                .iter()
                .map(|(fate, n)| (fate.name().to_owned(), *n))
                .collect(),
            points: columns,
            watermark: self.watermark.steps,
            inputs: inputs.collect(),
            windows,
            value: self.value.map(|(_, name)| name),
            rules: self.rules,
        }
    }
}
