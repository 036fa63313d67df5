//! Series over time, a few for each actor.

use std::collections::BTreeMap;

use wavetank_actors::Element;
use wavetank_actors::operator::Dropped;
use wavetank_actors::world::Happening;
use wavetank_reports::timeline::{Cause, Form, Series, Strip};
use wavetank_scenarios::Time;
use wavetank_scenarios::metric::{self, Metric, Unit};
use wavetank_scenarios::topology::{ActorId, Port, Topology};

use super::Seen;

/// What every actor has.
struct Actor {
    taken: Strip,
    emitted: Strip,
    late: Strip,
    filtered: Strip,
    failed: Strip,
    shed: Strip,
    lost: Strip,
    corrections: Strip,
    held: Strip,
    state: Strip,
    queue: Strip,
    held_back: Strip,
    lag: Strip,
    latency: Strip,
    emit_delay: Strip,
    /// Of a sink: the time of its results, by cause, and how many they were.
    why: Vec<Strip>,
    split: Strip,
    /// What the pattern measures of itself.
    own: BTreeMap<Metric, (i64, Strip)>,
    watermark: Time,
}

impl Actor {
    fn new() -> Self {
        let count = || Strip::new(Form::Count);
        let gauge = || Strip::new(Form::Gauge);
        let reading = || Strip::new(Form::Reading);
        Self {
            taken: count(),
            emitted: count(),
            late: count(),
            filtered: count(),
            failed: count(),
            shed: count(),
            lost: count(),
            corrections: count(),
            held: gauge(),
            state: gauge(),
            queue: gauge(),
            held_back: gauge(),
            lag: reading(),
            latency: reading(),
            emit_delay: reading(),
            why: Vec::new(),
            split: count(),
            own: BTreeMap::new(),
            watermark: Time::MIN,
        }
    }

    fn look_behind(&mut self, seen: Seen<'_>) {
        if self.watermark > Time::MIN && self.watermark < Time::MAX {
            self.lag.put(seen.at, seen.at - seen.event_time(self.watermark));
        }
    }
}

/// The series of a run.
pub struct Strips(Vec<Actor>);

impl Strips {
    pub fn new(topology: &Topology) -> Self {
        Self(topology.actors.iter().map(|_| Actor::new()).collect())
    }

    fn of(&mut self, actor: ActorId) -> &mut Actor {
        &mut self.0[actor.0 as usize]
    }

    /// The time of a sink's result went there.
    pub fn split(&mut self, at: i64, sink: ActorId, parts: &[i64; 8]) {
        let actor = self.of(sink);
        if actor.why.is_empty() {
            actor.why = Cause::ALL.iter().map(|_| Strip::new(Form::Count)).collect();
        }
        for (strip, part) in actor.why.iter_mut().zip(parts) {
            if *part != 0 {
                strip.put(at, *part);
            }
        }
        actor.split.put(at, 1);
    }

    pub fn see(&mut self, seen: Seen<'_>, happening: &Happening<'_>) {
        let at = seen.at;
        match happening {
            Happening::Delivered { actor, element, .. } => {
                let of = self.of(*actor);
                of.look_behind(seen);
                if element.event().is_some() {
                    of.taken.put(at, 1);
                }
            }
            Happening::Emitted { actor, port, element } => {
                let of = self.of(*actor);
                match element {
                    Element::Event(event) if *port == Port::Main => {
                        of.emitted.put(at, 1);
                        match event.pane.as_deref() {
                            Some(pane) if pane.revision > 0 => of.corrections.put(at, 1),
                            Some(pane) if pane.end < Time::MAX => {
                                of.emit_delay.put(at, at - seen.event_time(pane.end));
                            }
                            _ => {}
                        }
                    }
                    Element::Event(_) if matches!(port, Port::Stream(_)) => of.emitted.put(at, 1),
                    Element::Watermark(watermark) => {
                        of.watermark = *watermark;
                        of.look_behind(seen);
                    }
                    _ => {}
                }
            }
            Happening::Dropped { actor, why, .. } => {
                let of = self.of(*actor);
                match why {
                    Dropped::Late => of.late.put(at, 1),
                    Dropped::Filtered => of.filtered.put(at, 1),
                    Dropped::Failed => of.failed.put(at, 1),
                }
            }
            Happening::Failed { actor, .. } => self.of(*actor).failed.put(at, 1),
            Happening::Shed { actor, .. } => self.of(*actor).shed.put(at, 1),
            Happening::LostInMailbox { actor, .. } | Happening::LostAtWork { actor, .. } => {
                self.of(*actor).lost.put(at, 1);
            }
            Happening::Took { actor, event } => {
                let latency = at - seen.event_time(event.planned);
                self.of(*actor).latency.put(at, latency);
            }
            Happening::Account { actor, account } => {
                let of = self.of(*actor);
                of.held.put(at, account.held as i64);
                of.state.put(at, account.state_bytes as i64);
            }
            Happening::Queue { actor, depth } => self.of(*actor).queue.put(at, *depth as i64),
            Happening::HeldBack { actor, elements } => self.of(*actor).held_back.put(at, *elements as i64),
            // Late, and put out all the same: late as the metric counts it.
            Happening::Measured {
                actor,
                metric: Metric::Late,
                reading,
            } => self.of(*actor).late.put(at, *reading as i64),
            Happening::Measured { actor, metric, reading } => {
                let reading = i64::try_from(*reading).unwrap_or(i64::MAX);
                let form = metric.descriptor().form;
                let (sum, strip) = self.of(*actor).own.entry(*metric).or_insert_with(|| {
                    let form = match form {
                        metric::Form::Counter | metric::Form::Gauge => Form::Gauge,
                        metric::Form::Histogram => Form::Reading,
                    };
                    (0, Strip::new(form))
                });
                *sum = if form == metric::Form::Counter {
                    sum.saturating_add(reading)
                } else {
                    reading
                };
                strip.put(at, *sum);
            }
            Happening::Node {
                node,
                fault: wavetank_actors::world::NodeFault::Crash,
                ..
            } => {
                for index in super::on_node(seen.topology, *node) {
                    let of = &mut self.0[index];
                    of.held.put(at, 0);
                    of.state.put(at, 0);
                    of.queue.put(at, 0);
                    of.watermark = Time::MIN;
                }
            }
            _ => {}
        }
    }

    /// The series of each actor, in buckets of that width.
    pub fn finish(self, width: i64) -> Vec<Vec<Series>> {
        let of = |actor: Actor| {
            let mut all = vec![
                ("in", "count", actor.taken),
                ("out", "count", actor.emitted),
                ("late", "count", actor.late),
                ("filtered", "count", actor.filtered),
                ("failed", "count", actor.failed),
                ("shed", "count", actor.shed),
                ("lost_in_crash", "count", actor.lost),
                ("corrections", "count", actor.corrections),
                ("held", "count", actor.held),
                ("state_bytes", "bytes", actor.state),
                ("queue", "count", actor.queue),
                ("held_back", "count", actor.held_back),
                ("lag", "us", actor.lag),
                ("latency", "us", actor.latency),
                ("emit_delay", "us", actor.emit_delay),
                ("why.results", "count", actor.split),
            ];
            const WHY: [&str; 8] = [
                "why.source",
                "why.link",
                "why.fault",
                "why.broker",
                "why.queue",
                "why.reorder",
                "why.window",
                "why.work",
            ];
            all.extend(WHY.into_iter().zip(actor.why).map(|(name, strip)| (name, "us", strip)));
            let mut series: Vec<Series> = all
                .into_iter()
                .filter_map(|(name, unit, strip)| strip.finish(name, unit, width))
                .collect();
            for (metric, (_, strip)) in actor.own {
                let descriptor = metric.descriptor();
                let unit = match descriptor.unit {
                    Unit::Count => "count",
                    Unit::Micros => "us",
                    Unit::Bytes => "bytes",
                    Unit::Ratio => "millionths",
                };
                series.extend(strip.finish(descriptor.name, unit, width));
            }
            series
        };
        self.0.into_iter().map(of).collect()
    }
}
