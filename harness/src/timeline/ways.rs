//! The ways of events: their messages on links, and where the time of results went.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};
use wavetank_actors::Element;
use wavetank_actors::reliability::Control;
use wavetank_actors::world::{Happening, NodeFault};
use wavetank_reports::timeline::{Carried, Cause, LeftOut, Messages, Sample, Timeline, Why, sample};
use wavetank_reports::{Histogram, Span};
use wavetank_scenarios::fault::Place;
use wavetank_scenarios::script::Body;
use wavetank_scenarios::topology::{ActorId, LinkId, Role};
use wavetank_scenarios::{Event, EventId, Script, Timing};

use super::strips::Strips;
use super::{Seen, hash_of};

/// Messages with events that are kept: those that nothing happened to, and those that were lost or touched by a fault.
const ORDINARY: usize = 1_600;
const UNLUCKY: usize = 1_000;
/// Messages with anything else.
const OTHERS: usize = 1_200;
/// Ways that are followed at one time, and events of which it is known that a fault touched them.
const FOLLOWED: usize = 60_000;
/// Results of a sink whose split is kept one by one.
const SPLIT: usize = 5_000;

/// How far an event has come, and where its time went.
#[derive(Clone, Copy)]
struct Way {
    last: i64,
    parts: [i64; 8],
}

impl Way {
    fn spend(&mut self, cause: Cause, until: i64) {
        self.parts[cause as usize] += until - self.last;
        self.last = until;
    }
}

#[derive(Clone)]
struct Message {
    link: LinkId,
    sent: i64,
    got: Option<i64>,
    kind: Carried,
    about: String,
    id: String,
    fault: Option<usize>,
}

/// In the order in which messages were sent.
type Key = (i64, u32, EventId, i64);

struct SinkWhy {
    results: u64,
    unsplit: u64,
    from_sent: Histogram,
    from_planned: Histogram,
    total: [u64; 8],
    kept: Sample<(i64, EventId), [i64; 8]>,
}

/// The ways of a run.
pub struct Ways {
    /// By source event and the place that it has come to.
    followed: FxHashMap<(EventId, u32), Way>,
    order: VecDeque<(EventId, u32)>,
    /// What time between coming in and going out is, by actor.
    cause: Vec<Cause>,
    /// By actor: what it was given and is not done with, the oldest first, as far as it is an event.
    at_work: Vec<VecDeque<Option<EventId>>>,
    /// By fault: the links that it disturbs.
    disturbs: Vec<FxHashSet<u32>>,
    touched: FxHashMap<EventId, usize>,
    sinks: FxHashMap<u32, SinkWhy>,
    ordinary: Sample<Key, Message>,
    unlucky: Sample<Key, Message>,
    others: Sample<Key, Message>,
    turn: u64,
}

impl Ways {
    pub fn new(script: &Script) -> Self {
        let topology = &script.topology;
        let cause = |role: Role| match role {
            Role::Operator { operator } | Role::Worker { operator, .. } => {
                match script.scenario.operators[operator].bodies().next() {
                    Some((_, Body::Reorder(_))) => Cause::Reorder,
                    Some((_, Body::Transform(_) | Body::Filter(_) | Body::Change(_) | Body::First(_))) => Cause::Work,
                    _ => Cause::Window,
                }
            }
            Role::Merge { .. } => Cause::Reorder,
            Role::Broker { .. } => Cause::Broker,
            Role::Replica { .. } | Role::Gate { .. } => Cause::Queue,
            _ => Cause::Work,
        };
        let disturbs = script.scenario.faults.iter().map(|fault| {
            if fault.kind.descriptor().place != Place::Link {
                return FxHashSet::default();
            }
            topology.links_named(&fault.on).iter().map(|link| link.0).collect()
        });
        Self {
            followed: FxHashMap::default(),
            order: VecDeque::new(),
            cause: topology.actors.iter().map(|actor| cause(actor.role)).collect(),
            at_work: vec![VecDeque::new(); topology.actors.len()],
            disturbs: disturbs.collect(),
            touched: FxHashMap::default(),
            sinks: FxHashMap::default(),
            ordinary: Sample::new(ORDINARY),
            unlucky: Sample::new(UNLUCKY),
            others: Sample::new(OTHERS),
            turn: 0,
        }
    }

    fn follow(&mut self, event: EventId, place: ActorId, way: Way) {
        if self.followed.insert((event, place.0), way).is_none() {
            self.order.push_back((event, place.0));
            if self.order.len() > FOLLOWED
                && let Some(oldest) = self.order.pop_front()
            {
                self.followed.remove(&oldest);
            }
        }
    }

    fn fault_on(&self, link: LinkId, event: EventId) -> Option<usize> {
        let fault = *self.touched.get(&event)?;
        self.disturbs[fault].contains(&link.0).then_some(fault)
    }

    pub fn see(&mut self, seen: Seen<'_>, happening: &Happening<'_>, strips: &mut Strips) {
        let at = seen.at;
        match happening {
            Happening::Fault { fault, id: Some(id) } => {
                if self.touched.len() > FOLLOWED {
                    self.touched.clear();
                }
                self.touched.insert(*id, *fault);
            }
            Happening::Emitted {
                actor,
                element: Element::Event(event),
                ..
            } => self.leaves(seen, *actor, event),
            Happening::Told {
                link,
                element: Element::Event(event),
            } => self.leaves(seen, seen.topology.links[link.0 as usize].from, event),
            Happening::Arrived { link, element, sent } => {
                let sent = seen.event_time(*sent);
                self.message(seen, *link, element, sent, Some(at));
                if let Element::Event(event) = element {
                    let ends = &seen.topology.links[link.0 as usize];
                    let cause = self.fault_on(*link, event.id).map_or(Cause::Link, |_| Cause::Fault);
                    if let Some(mut way) = self.followed.get(&(event.correlation, ends.from.0)).copied() {
                        way.spend(cause, at);
                        self.follow(event.correlation, ends.to, way);
                    }
                }
            }
            // The network takes it where it is sent; a crashed receiver where it should have arrived.
            Happening::Lost { link, element, .. } => self.message(seen, *link, element, at, None),
            Happening::Delivered { actor, element, .. } => {
                let event = element.event().map(|event| event.correlation);
                self.given(seen, *actor, event);
                if let Some(event) = event
                    && let Some(way) = self.followed.get_mut(&(event, actor.0))
                {
                    way.spend(Cause::Queue, seen.began);
                    way.spend(Cause::Work, at);
                }
            }
            Happening::Timer { actor, .. } => self.given(seen, *actor, None),
            Happening::Done { actor } => {
                if let Some(event) = self.at_work[actor.0 as usize].pop_front().flatten()
                    && let Some(way) = self.followed.get_mut(&(event, actor.0))
                {
                    way.spend(Cause::Work, at);
                }
            }
            Happening::Node {
                node,
                fault: NodeFault::Crash,
                ..
            } => {
                for index in super::on_node(seen.topology, *node) {
                    self.at_work[index].clear();
                }
            }
            Happening::Took { actor, event } => self.taken(seen, *actor, event, strips),
            _ => {}
        }
    }

    /// An actor that says when it is done was given something.
    fn given(&mut self, seen: Seen<'_>, actor: ActorId, event: Option<EventId>) {
        if seen.role(actor).works().is_some() {
            self.at_work[actor.0 as usize].push_back(event);
        }
    }

    /// What the actor is working on.
    fn worked_on(&self, actor: ActorId) -> Option<EventId> {
        self.at_work[actor.0 as usize].front().copied().flatten()
    }

    fn leaves(&mut self, seen: Seen<'_>, actor: ActorId, event: &Event) {
        let at = seen.at;
        if let Role::Source { .. } = seen.role(actor) {
            let planned = seen.event_time(event.planned);
            let mut way = Way {
                last: planned,
                parts: [0; 8],
            };
            way.spend(Cause::Source, at);
            self.follow(event.correlation, actor, way);
            return;
        }
        // A correction came when it did because of the late event that is at work: the way is that one's.
        let late = event.pane.as_ref().is_some_and(|pane| pane.timing == Timing::Late);
        if late
            && let Some(brought) = self.worked_on(actor).filter(|brought| *brought != event.correlation)
            && let Some(mut way) = self.followed.get(&(brought, actor.0)).copied()
        {
            way.spend(Cause::Work, at);
            self.follow(event.correlation, actor, way);
            return;
        }
        let works = self.worked_on(actor) == Some(event.correlation);
        let cause = if works {
            Cause::Work
        } else {
            self.cause[actor.0 as usize]
        };
        if let Some(way) = self.followed.get_mut(&(event.correlation, actor.0)) {
            way.spend(cause, at);
        }
    }

    fn taken(&mut self, seen: Seen<'_>, sink: ActorId, event: &Event, strips: &mut Strips) {
        let why = self.sinks.entry(sink.0).or_insert_with(|| SinkWhy {
            results: 0,
            unsplit: 0,
            from_sent: Histogram::default(),
            from_planned: Histogram::default(),
            total: [0; 8],
            kept: Sample::new(SPLIT),
        });
        let Some(way) = self.followed.get_mut(&(event.correlation, sink.0)) else {
            why.unsplit += 1;
            return;
        };
        way.spend(Cause::Work, seen.at);
        why.results += 1;
        // Counted as the record counts, so that the two differ by what the source was held up alone.
        let planned = seen.at - seen.event_time(event.planned);
        why.from_planned.record(Span(planned));
        why.from_sent.record(Span(planned - way.parts[Cause::Source as usize]));
        for (total, part) in why.total.iter_mut().zip(way.parts) {
            *total += part.max(0).unsigned_abs();
        }
        why.kept.offer((seen.at, event.id), hash_of(event.id), way.parts);
        strips.split(seen.at, sink, &way.parts);
    }

    fn message(&mut self, seen: Seen<'_>, link: LinkId, element: &Element, sent: i64, got: Option<i64>) {
        self.turn += 1;
        let plain = |kind, about: String| Message {
            link,
            sent,
            got,
            kind,
            about,
            id: String::new(),
            fault: None,
        };
        if let Element::Event(event) = element {
            let fault = self.fault_on(link, event.id);
            let unlucky = got.is_none() || fault.is_some();
            let sample = if unlucky { &mut self.unlucky } else { &mut self.ordinary };
            // All messages of one source event are kept, or none.
            let hash = hash_of(event.correlation);
            let key = (sent, link.0, event.id, got.unwrap_or(i64::MAX));
            if !sample.takes(hash) {
                sample.skip();
                return;
            }
            let id = if event.id == event.correlation {
                String::new()
            } else {
                seen.name(event.id)
            };
            let message = Message {
                id,
                fault,
                ..plain(Carried::Event, seen.name(event.correlation))
            };
            sample.offer(key, hash, message);
            return;
        }
        let hash = sample::hash(u64::from(link.0), self.turn);
        if !self.others.takes(hash) {
            self.others.skip();
            return;
        }
        let time = |time| crate::judge::explain_time(time).to_string();
        let message = match element {
            Element::Event(_) => return,
            Element::Watermark(watermark) => plain(Carried::Watermark, format!("watermark {}", time(*watermark))),
            Element::Idle(idle) => plain(Carried::Watermark, if *idle { "idle" } else { "active" }.to_owned()),
            Element::Epoch(number) => plain(Carried::Barrier, format!("marker {number}")),
            Element::Barrier(number) => plain(Carried::Barrier, format!("barrier {number}")),
            Element::Control(control) => {
                let copies = matches!(**control, Control::Copy(_) | Control::Ask(_) | Control::Head(_));
                let kind = if copies { Carried::Copy } else { Carried::Control };
                plain(kind, crate::judge::show_control(control))
            }
            Element::Progress(progress) => plain(Carried::Control, crate::judge::show_progress(progress)),
            Element::Ask => plain(Carried::Control, "asks for the number of the epoch".to_owned()),
            Element::End => plain(Carried::Control, "end".to_owned()),
        };
        let turn = EventId {
            number: self.turn,
            ..EventId::default()
        };
        self.others.offer((sent, link.0, turn, 0), hash, message);
    }

    pub fn finish(self, timeline: &mut Timeline) {
        let mut all: Vec<(Key, Message)> = Vec::new();
        for (sample, what) in [
            (self.ordinary, "messages with events that nothing happened to"),
            (self.unlucky, "messages that were lost or touched by a fault"),
            (
                self.others,
                "messages with watermarks, barriers and what actors agree on",
            ),
        ] {
            let (had, kept) = (sample.had(), sample.len() as u64);
            if had != kept {
                let (what, rule) = (what.to_owned(), sample.rule());
                timeline.left_out.push(LeftOut { what, had, kept, rule });
            }
            all.extend(sample.into_things());
        }
        all.sort_by_key(|(key, _)| *key);
        let mut messages = Messages::default();
        for (_, message) in all {
            messages.link.push(message.link.0 as usize);
            messages.sent.push(message.sent);
            messages.got.push(message.got);
            messages.kind.push(message.kind as u8);
            messages.about.push(message.about);
            messages.id.push(message.id);
            messages.fault.push(message.fault);
        }
        timeline.messages = messages;
        let mut sinks: Vec<(u32, SinkWhy)> = self.sinks.into_iter().collect();
        sinks.sort_by_key(|(sink, _)| *sink);
        for (sink, why) in sinks {
            let (had, kept, rule) = (why.kept.had(), why.kept.len() as u64, why.kept.rule());
            if had != kept {
                let what = format!(
                    "results of {} that the groups of its latency are made of",
                    timeline.actors[sink as usize].actor
                );
                timeline.left_out.push(LeftOut { what, had, kept, rule });
            }
            timeline.why.push(Why {
                actor: sink as usize,
                results: why.results,
                unsplit: why.unsplit,
                from_sent: why.from_sent,
                from_planned: why.from_planned,
                total: why.total,
                parts: groups(why.kept.into_things().map(|(_, parts)| parts).collect()),
            });
        }
    }
}

/// Groups of results from the fastest to the slowest, and the mean time of one of each by cause.
fn groups(mut results: Vec<[i64; 8]>) -> Vec<(String, u64, [f64; 8])> {
    results.sort_by_key(|parts| parts.iter().sum::<i64>());
    let of = results.len();
    let place = |share: f64| ((of as f64 * share).ceil() as usize).min(of);
    let cuts = [
        ("fastest half", 0.0, 0.5),
        ("p50 to p90", 0.5, 0.9),
        ("p90 to p99", 0.9, 0.99),
        ("slowest 1 %", 0.99, 1.0),
    ];
    let group = |(name, from, to): (&str, f64, f64)| {
        let group = results.get(place(from)..place(to)).filter(|group| !group.is_empty())?;
        let mut mean = [0.0; 8];
        for parts in group {
            for (mean, part) in mean.iter_mut().zip(parts) {
                *mean += *part as f64 / group.len() as f64;
            }
        }
        Some((name.to_owned(), group.len() as u64, mean))
    };
    cuts.into_iter().filter_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::groups;

    #[test]
    fn every_result_is_in_one_group_and_the_slowest_come_last() {
        let results: Vec<[i64; 8]> = (0..1_000).map(|n| [0, n, 0, 0, 0, 0, 0, 0]).collect();
        let groups = groups(results);
        let sizes: Vec<u64> = groups.iter().map(|(_, n, _)| *n).collect();
        assert_eq!(sizes, [500, 400, 90, 10]);
        assert_eq!(groups[3].2[1], 994.5);
    }

    #[test]
    fn a_single_result_is_a_group_of_its_own() {
        assert_eq!(groups(vec![[0, 5, 0, 0, 0, 0, 0, 0]]).len(), 1);
    }
}
