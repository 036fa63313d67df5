//! Ordering by time: an event stamped `t` waits until `t ≤ M − K`, or until the watermark has reached it.
//!
//! Each event is taken in this order: it counts in `M`, its delay is learnt from, it is late or held, and what `M` and `K`
//! now allow is let go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::script::{Late, Reorder, SlackScope};
use wavetank_scenarios::{Event, EventId, Producer, Span, Time};

use super::slack::{Seen, Slack};
use super::{overdue, pass};
use crate::operator::{Operator, Output};
use crate::reliability::{State, StateError, counted};

/// What lets events go.
#[derive(Debug)]
pub enum Rule {
    /// The largest stamp, so far ahead of them.
    Slack(Box<dyn Slack>),
    /// The watermark, which is here.
    Watermark(Time),
}

impl Rule {
    /// The watermark, before there is one.
    pub const fn watermark() -> Self {
        Self::Watermark(Time::MIN)
    }
}

/// The place of an event in the order: its stamp, its source and number, and its turn among copies.
type Place = (Time, EventId, u64);

/// The part of a saved state that holds the events.
const HELD: &str = "held";

/// The buffer.
#[derive(Debug)]
pub struct ByTime {
    rule: Rule,
    clock: Clock,
    late: Late,
    timeout: Option<Span>,
    tick: Span,
    held: BTreeMap<Place, Event>,
    /// With a time-out: what was held on arrival, in order of arrival, until its timer is due.
    waiting: VecDeque<Place>,
    /// How many events came.
    arrivals: u64,
    /// The largest stamp that was put out.
    released: Time,
    /// `K` as it was measured last.
    measured: Option<Span>,
}

impl ByTime {
    /// An empty buffer.
    pub fn new(rule: Rule, late: Late, settings: &Reorder, tick: Span) -> Self {
        Self {
            rule,
            clock: Clock::new(settings.scope()),
            late,
            timeout: settings.timeout,
            tick,
            held: BTreeMap::new(),
            waiting: VecDeque::new(),
            arrivals: 0,
            released: Time::MIN,
            measured: None,
        }
    }

    /// Lets everything go that stands at or before a place.
    fn release(&mut self, to: Place, out: &mut Output) {
        while let Some(first) = self.held.first_entry().filter(|first| *first.key() <= to) {
            let event = first.remove();
            self.released = self.released.max(event.stamp);
            pass(&event, out);
        }
    }

    fn release_stamps(&mut self, to: Time, out: &mut Output) {
        let last = EventId {
            producer: Producer(u32::MAX),
            number: u64::MAX,
        };
        self.release((to, last, u64::MAX), out);
    }
}

impl Operator for ByTime {
    fn on_event(&mut self, _input: usize, event: Event, _now: Time, out: &mut Output) {
        let turn = self.arrivals;
        self.arrivals += 1;
        let (delay, largest) = self.clock.see(&event);
        let late = event.stamp < self.released;
        let bound = match &mut self.rule {
            Rule::Watermark(watermark) => *watermark,
            Rule::Slack(slack) => {
                let seen = Seen {
                    event: &event,
                    delay,
                    late,
                };
                let k = slack.learn(seen);
                if self.measured.replace(k) != Some(k) {
                    out.measure(Metric::Slack, k.micros().max(0).cast_unsigned());
                }
                largest - k
            }
        };
        if late {
            overdue(event, self.late, out);
        } else {
            let place = (event.stamp, event.id, turn);
            self.held.insert(place, event);
            self.release_stamps(bound, out);
            if let Some(timeout) = self.timeout
                && self.held.contains_key(&place)
            {
                self.waiting.push_back(place);
                out.timer(timeout, turn);
            }
            return;
        }
        self.release_stamps(bound, out);
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        if let Rule::Watermark(reached) = &mut self.rule {
            *reached = watermark;
        } else if watermark < Time::MAX {
            return;
        }
        self.release_stamps(watermark, out);
    }

    /// The token is the turn of the event that has waited for long enough.
    fn on_timer(&mut self, token: u64, out: &mut Output) {
        while let Some(place) = self.waiting.pop_front_if(|(.., turn)| *turn <= token) {
            if self.held.contains_key(&place) {
                self.release(place, out);
            }
        }
    }

    fn watermark_limit(&self) -> Time {
        let first = self.held.first_key_value();
        first.map_or(Time::MAX, |((stamp, ..), _)| *stamp - self.tick)
    }

    fn save(&self, state: &mut State) {
        match &self.rule {
            Rule::Slack(slack) => slack.save(state),
            Rule::Watermark(watermark) => state.put("watermark", watermark),
        }
        self.clock.save(state);
        state.put_each(HELD, self.held.iter().map(|((.., turn), event)| (turn, event)));
        state.put(
            "waiting",
            &self.waiting.iter().map(|(.., turn)| *turn).collect::<Vec<_>>(),
        );
        state.put("arrivals", &self.arrivals);
        state.put("released", &self.released);
        state.put("measured", &self.measured);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        match &mut self.rule {
            Rule::Slack(slack) => slack.restore(state)?,
            Rule::Watermark(watermark) => *watermark = state.get("watermark")?,
        }
        self.clock.restore(state)?;
        self.arrivals = counted("arrivals", state.get("arrivals")?)?;
        self.released = state.get("released")?;
        self.measured = state.get("measured")?;
        let held: BTreeMap<u64, Event> = state.each(HELD)?.into_iter().collect();
        // Of one that waits no more only the turn counts.
        let place = |turn: u64| match held.get(&turn) {
            Some(event) => (event.stamp, event.id, turn),
            None => (Time::MIN, EventId::default(), turn),
        };
        self.waiting = state.get::<Vec<u64>>("waiting")?.into_iter().map(place).collect();
        let came = held.keys().all(|turn| *turn < self.arrivals);
        StateError::unless(came, HELD, "an event has a turn that was not given out")?;
        let placed = held
            .into_iter()
            .map(|(turn, event)| ((event.stamp, event.id, turn), event));
        self.held = placed.collect();
        Ok(())
    }

    fn held(&self) -> u64 {
        self.held.len() as u64
    }

    fn state_bytes(&self) -> usize {
        let slack = match &self.rule {
            Rule::Slack(slack) => slack.state_bytes(),
            Rule::Watermark(_) => 0,
        };
        let rows: usize = self.held.values().map(|event| size_of_val(&*event.row)).sum();
        slack
            + self.clock.state_bytes()
            + self.held.len() * size_of::<(Place, Event)>()
            + rows
            + self.waiting.len() * size_of::<Place>()
    }
}

/// The largest stamps.
#[derive(Debug)]
enum Clock {
    /// That of the whole input.
    Input(Time),
    /// That of each producer, and all of them in order.
    Source(BTreeMap<Producer, Time>, BTreeSet<(Time, Producer)>),
}

impl Clock {
    const fn new(scope: SlackScope) -> Self {
        match scope {
            SlackScope::Input => Self::Input(Time::MIN),
            SlackScope::Source => Self::Source(BTreeMap::new(), BTreeSet::new()),
        }
    }

    /// An event has come: how far it is behind its largest stamp, and the largest stamp that all have reached.
    fn see(&mut self, event: &Event) -> (Span, Time) {
        match self {
            Self::Input(largest) => {
                *largest = event.stamp.max(*largest);
                (largest.since(event.stamp), *largest)
            }
            Self::Source(each, all) => {
                let producer = event.id.producer;
                let largest = each.entry(producer).or_insert(Time::MIN);
                if event.stamp >= *largest {
                    all.remove(&(*largest, producer));
                    all.insert((event.stamp, producer));
                    *largest = event.stamp;
                }
                let slowest = all.first().map_or(*largest, |(slowest, _)| *slowest);
                (largest.since(event.stamp), slowest)
            }
        }
    }

    fn save(&self, state: &mut State) {
        match self {
            Self::Input(largest) => state.put("largest", largest),
            Self::Source(each, _) => state.put_each("largest", each),
        }
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        match self {
            Self::Input(largest) => *largest = state.get("largest")?,
            Self::Source(each, all) => {
                *each = state.each("largest")?.into_iter().collect();
                *all = each.iter().map(|(producer, largest)| (*largest, *producer)).collect();
            }
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        match self {
            Self::Input(_) => 0,
            Self::Source(each, _) => each.len() * 2 * size_of::<(Time, Producer)>(),
        }
    }
}
