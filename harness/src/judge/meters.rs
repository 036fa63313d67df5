//! What a run measures: the metrics of every actor, link and fault, in virtual time and exact.

use std::collections::BTreeMap;

use wavetank_actors::world::{Account, LinkCounts};
use wavetank_reports::histogram::Histogram;
use wavetank_scenarios::metric::{Form, Metric};
use wavetank_scenarios::{EventId, Span, Time};

/// The meters of one actor.
#[derive(Clone, Debug)]
pub struct ActorMeter {
    /// The books of an operator.
    pub account: Account,
    /// Books of incarnations that ended in a crash.
    pub before: Account,
    pub taken: u64,
    pub emitted: u64,
    pub shed: u64,
    pub missed: u64,
    pub lost_in_crash: u64,
    pub corrections: u64,
    pub queue: u64,
    pub queue_max: u64,
    pub held_max: u64,
    pub state_max: u64,
    pub results: u64,
    pub differs: Option<u64>,
    pub bad: u64,
    pub watermark: Time,
    /// When which watermark was reached, for explanations.
    pub watermarks: Vec<(Time, Time)>,
    /// Largest stamp taken.
    pub largest: Time,
    pub lag: Histogram,
    pub emit_delay: Histogram,
    pub latency: Histogram,
    pub lateness: Histogram,
    /// What the pattern measures of itself: the reading now, the largest one, and the distribution.
    own: BTreeMap<Metric, Own>,
}

/// A metric of the pattern's own.
#[derive(Clone, Debug, Default)]
struct Own {
    now: u64,
    max: u64,
    histogram: Histogram,
}

impl Default for ActorMeter {
    fn default() -> Self {
        Self {
            account: Account::default(),
            before: Account::default(),
            taken: 0,
            emitted: 0,
            shed: 0,
            missed: 0,
            lost_in_crash: 0,
            corrections: 0,
            queue: 0,
            queue_max: 0,
            held_max: 0,
            state_max: 0,
            results: 0,
            differs: None,
            bad: 0,
            watermark: Time::MIN,
            watermarks: Vec::new(),
            largest: Time::MIN,
            lag: Histogram::default(),
            emit_delay: Histogram::default(),
            latency: Histogram::default(),
            lateness: Histogram::default(),
            own: BTreeMap::new(),
        }
    }
}

/// The meters of one link.
#[derive(Clone, Debug, Default)]
pub struct LinkMeter {
    pub sent: u64,
    pub arrived: u64,
    pub lost: u64,
    pub in_flight: u64,
    pub in_flight_max: u64,
    pub transit: Histogram,
    /// What the link itself counted; filled in at the end of the run.
    pub counts: LinkCounts,
}

/// The meters of one fault.
#[derive(Clone, Debug, Default)]
pub struct FaultMeter {
    pub fired: u64,
    pub touched: u64,
    pub first: Option<Time>,
    pub last: Option<Time>,
}

impl FaultMeter {
    /// The fault fired.
    pub fn fire(&mut self, at: Time, event: Option<EventId>) {
        self.fired += 1;
        self.touched += u64::from(event.is_some());
        self.first.get_or_insert(at);
        self.last = Some(at);
    }
}

/// A reading: a number, or a histogram to take a statistic from.
#[derive(Debug)]
pub enum Reading<'a> {
    /// A number.
    Number(f64),
    /// A distribution.
    Histogram(&'a Histogram),
    /// Nothing has been measured.
    Nothing,
}

impl ActorMeter {
    /// The pattern has measured something of itself.
    pub fn measure(&mut self, metric: Metric, reading: u64) {
        let own = self.own.entry(metric).or_default();
        match metric.descriptor().form {
            Form::Counter => own.now += reading,
            Form::Gauge => own.now = reading,
            Form::Histogram => own
                .histogram
                .record(wavetank_reports::time::Span(reading.min(i64::MAX as u64) as i64)),
        }
        own.max = own.max.max(own.now);
    }
    /// What the pattern has measured of itself.
    fn own(&self, metric: Metric, max: bool) -> Reading<'_> {
        let form = metric.descriptor().form;
        match self.own.get(&metric) {
            Some(own) if form == Form::Histogram => Reading::Histogram(&own.histogram),
            Some(own) => Reading::Number(if max { own.max } else { own.now } as f64),
            None if form == Form::Counter => Reading::Number(0.0),
            None => Reading::Nothing,
        }
    }
    /// What the meter shows; the largest value so far of a gauge when `max`.
    pub fn read(&self, metric: Metric, max: bool) -> Reading<'_> {
        let both = |f: fn(&Account) -> u64| f(&self.account) + f(&self.before);
        let number = match metric {
            Metric::Sent | Metric::Emitted => self.emitted,
            Metric::Bad => self.bad,
            Metric::Arrived => self.taken,
            Metric::Caused => both(|a| a.caused),
            Metric::Filtered => both(|a| a.filtered),
            Metric::Late => both(|a| a.late),
            Metric::Failed => both(|a| a.failed),
            Metric::Shed => self.shed,
            Metric::LostInCrash => self.lost_in_crash,
            Metric::Held if max => self.held_max,
            Metric::Held => self.account.held,
            Metric::Corrections => self.corrections,
            Metric::StateBytes if max => self.state_max,
            Metric::StateBytes => self.account.state_bytes,
            Metric::Queue if max => self.queue_max,
            Metric::Queue => self.queue,
            Metric::Results => self.results,
            Metric::Differs => match self.differs {
                Some(differs) => differs,
                None => return Reading::Nothing,
            },
            Metric::Runs | Metric::TimedOut | Metric::Slack => return self.own(metric, max),
            Metric::Watermark if self.watermark == Time::MIN => return Reading::Nothing,
            Metric::Watermark => return Reading::Number(self.watermark.micros() as f64),
            Metric::Lag => return Reading::Histogram(&self.lag),
            Metric::EmitDelay => return Reading::Histogram(&self.emit_delay),
            Metric::Latency => return Reading::Histogram(&self.latency),
            Metric::Lateness => return Reading::Histogram(&self.lateness),
            Metric::Delivered
            | Metric::Lost
            | Metric::Resent
            | Metric::Copies
            | Metric::InFlight
            | Metric::Transit
            | Metric::Fired
            | Metric::Touched => return Reading::Nothing,
        };
        Reading::Number(number as f64)
    }
}

impl LinkMeter {
    /// What the meter shows.
    pub fn read(&self, metric: Metric, max: bool) -> Reading<'_> {
        Reading::Number(match metric {
            Metric::Sent => self.sent,
            Metric::Delivered => self.arrived,
            Metric::Lost => self.lost,
            Metric::Resent => self.counts.resent,
            Metric::Copies => self.counts.copies + self.counts.copies_dropped,
            Metric::InFlight if max => self.in_flight_max,
            Metric::InFlight => self.in_flight,
            Metric::Transit => return Reading::Histogram(&self.transit),
            _ => return Reading::Nothing,
        } as f64)
    }
}

impl FaultMeter {
    /// What the meter shows.
    pub fn read(&self, metric: Metric) -> Reading<'static> {
        match metric {
            Metric::Fired => Reading::Number(self.fired as f64),
            Metric::Touched => Reading::Number(self.touched as f64),
            _ => Reading::Nothing,
        }
    }
}

/// Records a span of virtual time.
pub fn record(histogram: &mut Histogram, span: Span) {
    histogram.record(wavetank_reports::time::Span(span.micros()));
}
