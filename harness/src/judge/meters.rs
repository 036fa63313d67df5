//! What a run measures: the metrics of every actor, link and fault, in virtual time and exact.

use std::collections::{BTreeMap, VecDeque};

use rustc_hash::FxHashMap;
use wavetank_actors::world::{Account, LinkCounts};
use wavetank_reports::histogram::Histogram;
use wavetank_reports::record::ActorCounts;
use wavetank_scenarios::metric::{Form, Metric, Unit};
use wavetank_scenarios::topology::{Actor, Role};
use wavetank_scenarios::{Event, EventId, Span, Time};

/// The meters of one actor.
#[derive(Clone, Debug)]
pub struct ActorMeter {
    /// The books of an operator.
    pub account: Account,
    /// Books of incarnations that ended in a crash.
    pub before: Account,
    /// Elements that it has taken, of every kind.
    pub delivered: u64,
    pub taken: u64,
    pub emitted: u64,
    pub shed: u64,
    pub missed: u64,
    pub lost_in_crash: u64,
    /// Of those lost in a crash: events that it had not taken in yet.
    pub lost_before: u64,
    /// Events that its state held when it went back, and no longer does: they come again.
    pub undone: u64,
    /// Events that the state held to which it went back: they have had a fate since, and get one again.
    pub restored: u64,
    /// Elements that did not reach it any more, because everybody had gone back.
    pub superseded: u64,
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
    /// How far the watermark was behind when something last came, and at most.
    pub lag_now: Option<Span>,
    pub lag_max: Span,
    /// The last marker that was taken, those that were given up, and what waits in front of a merge.
    pub epoch: u64,
    pub given_up: u64,
    pub held_back: u64,
    pub held_back_max: u64,
    pub emit_delay: Histogram,
    pub latency: Histogram,
    /// As `latency`, from the moment of sending; whether that was ever another one.
    pub latency_sent: Histogram,
    pub sent_late: bool,
    /// Of a source: how far behind its plan events were sent.
    pub behind: Histogram,
    pub lateness: Histogram,
    pub wait: Histogram,
    /// Events put out, or taken by a sink, with a stamp below `ahead`.
    pub unordered: u64,
    /// Largest stamp put out, or taken by a sink.
    ahead: Time,
    /// When the events came that a reordering buffer holds, by the source event that they go back to.
    inside: FxHashMap<(EventId, Time), VecDeque<Time>>,
    /// The event that was taken last: if it is dropped, it was not held.
    entered: Option<(EventId, (EventId, Time))>,
    /// What the pattern measures of itself: the reading now, the largest one, and the distribution.
    own: BTreeMap<Metric, Own>,
    /// Of a merge: what waits.
    pub waits: Waits,
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
            delivered: 0,
            taken: 0,
            emitted: 0,
            shed: 0,
            missed: 0,
            lost_in_crash: 0,
            lost_before: 0,
            undone: 0,
            restored: 0,
            superseded: 0,
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
            lag_now: None,
            lag_max: Span::ZERO,
            epoch: 0,
            given_up: 0,
            held_back: 0,
            held_back_max: 0,
            emit_delay: Histogram::default(),
            latency: Histogram::default(),
            latency_sent: Histogram::default(),
            sent_late: false,
            behind: Histogram::default(),
            lateness: Histogram::default(),
            wait: Histogram::default(),
            unordered: 0,
            ahead: Time::MIN,
            inside: FxHashMap::default(),
            entered: None,
            own: BTreeMap::new(),
            waits: Waits::default(),
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
    /// How long its receiver has held it back, and since when it does.
    pub paused: Span,
    pub held_since: Option<Time>,
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
    /// The longest time until somebody noticed what it did.
    pub detected: Option<Span>,
    /// The longest time until everything that had been taken before it had been taken again.
    pub recovered: Option<Span>,
    /// What it did to the service of two copies of an operator.
    pub service: Option<wavetank_reports::record::Service>,
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

/// Events that wait at a merge, and since when: by the source event that they go back to, in order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    since: FxHashMap<EventId, VecDeque<Time>>,
    last: EventId,
}

impl Waits {
    /// An event came.
    pub fn came(&mut self, at: Time, event: &Event) {
        self.last = event.correlation;
        self.since.entry(event.correlation).or_default().push_back(at);
    }
    /// The event that came last does not wait.
    pub fn refused(&mut self) {
        if let Some(times) = self.since.get_mut(&self.last) {
            times.pop_back();
        }
    }
    /// An event goes; since when it has waited.
    pub fn goes(&mut self, event: &Event) -> Option<Time> {
        let times = self.since.get_mut(&event.correlation)?;
        let since = times.pop_front();
        if times.is_empty() {
            self.since.remove(&event.correlation);
        }
        since
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
    /// Its books over the whole run, with what ended in crashes and what has been undone.
    pub fn counts(&self, actor: &Actor) -> ActorCounts {
        let both = |f: fn(&Account) -> u64| f(&self.account) + f(&self.before);
        ActorCounts {
            actor: actor.name.to_string(),
            role: actor.role.measured().name().into(),
            taken: self.taken + self.shed + self.lost_before,
            emitted: self.emitted,
            // A broker keeps what it has not had; a sink keeps what it takes; a generator and a split pass it on.
            caused: match actor.role {
                Role::Operator { .. } | Role::Worker { .. } | Role::Merge { .. } | Role::Broker { .. } => {
                    both(|a| a.caused)
                }
                _ => self.taken,
            },
            filtered: both(|a| a.filtered),
            late: both(|a| a.late),
            shed: self.shed,
            failed: both(|a| a.failed),
            held: self.account.held,
            lost_in_crash: self.lost_in_crash,
            undone: self.undone,
            restored: self.restored,
        }
    }
    /// An event goes out, or is taken by a sink: is it behind what went before?
    pub fn in_order(&mut self, stamp: Time) {
        self.unordered += u64::from(stamp < self.ahead);
        self.ahead = self.ahead.max(stamp);
    }
    /// A reordering buffer takes an event in.
    pub fn enters(&mut self, at: Time, event: &Event) {
        let known_by = (event.correlation, event.stamp);
        self.inside.entry(known_by).or_default().push_back(at);
        self.entered = Some((event.id, known_by));
    }
    /// A reordering buffer puts an event out.
    pub fn leaves(&mut self, at: Time, event: &Event) {
        let known_by = (event.correlation, event.stamp);
        if let Some(entered) = self.inside.get_mut(&known_by).and_then(VecDeque::pop_front) {
            record(&mut self.wait, at.since(entered));
        }
        if self.inside.get(&known_by).is_some_and(VecDeque::is_empty) {
            self.inside.remove(&known_by);
        }
    }
    /// A reordering buffer drops an event that it has just taken in.
    pub fn dropped(&mut self, id: EventId) {
        if let Some((_, known_by)) = self.entered.take_if(|(entered, _)| *entered == id)
            && let Some(inside) = self.inside.get_mut(&known_by)
        {
            inside.pop_back();
        }
    }
    /// Forgets how long things took up to now: they belong to the warm-up.
    pub fn warm(&mut self) {
        let own = self.own.values_mut().map(|own| &mut own.histogram);
        let all = [
            &mut self.lag,
            &mut self.emit_delay,
            &mut self.latency,
            &mut self.latency_sent,
            &mut self.behind,
            &mut self.lateness,
            &mut self.wait,
        ];
        all.into_iter()
            .chain(own)
            .for_each(|histogram| *histogram = Histogram::default());
    }
    /// The node has crashed, and what was held is gone.
    pub fn forget(&mut self) {
        self.inside.clear();
        self.entered = None;
    }
    /// Looks how far the watermark is behind true time, while there is one and the input has not ended.
    pub fn look_behind(&mut self, at: Time) {
        if self.watermark > Time::MIN && self.watermark < Time::MAX {
            let lag = at.since(self.watermark);
            self.lag_max = self.lag_now.map_or(lag, |_| self.lag_max.max(lag));
            self.lag_now = Some(lag);
        }
    }
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
            Some(own) => {
                let reading = if max { own.max } else { own.now } as f64;
                let ratio = metric.descriptor().unit == Unit::Ratio;
                Reading::Number(if ratio { reading / 1e6 } else { reading })
            }
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
            // What was put out all the same is no loss in the books, and late.
            Metric::Late => both(|a| a.late) + self.own.get(&metric).map_or(0, |own| own.now),
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
            // A merge of numbers counts for itself.
            Metric::GivenUp if self.own.contains_key(&metric) => return self.own(metric, max),
            // Without markers there is nothing to tell of them.
            Metric::Epoch | Metric::GivenUp | Metric::HeldBack if self.epoch == 0 && self.held_back_max == 0 => {
                return Reading::Nothing;
            }
            Metric::Epoch => self.epoch,
            Metric::GivenUp => self.given_up,
            Metric::HeldBack if max => self.held_back_max,
            Metric::HeldBack => self.held_back,
            Metric::Differs => match self.differs {
                Some(differs) => differs,
                None => return Reading::Nothing,
            },
            Metric::Runs | Metric::TimedOut | Metric::Slack => return self.own(metric, max),
            Metric::Gaps | Metric::Duplicates => return self.own(metric, max),
            // What two copies, their gates and the judge have counted of them.
            Metric::Promotions
            | Metric::SteppedDown
            | Metric::Suspected
            | Metric::Diverged
            | Metric::Pending
            | Metric::TrimLag
            | Metric::Missing
            | Metric::Failovers
            | Metric::ServiceGap
            | Metric::Overlap
            | Metric::NotRedundant => return self.own(metric, max),
            Metric::Incomplete | Metric::Asked => return self.own(metric, max),
            Metric::MergeWait | Metric::MovedKeys => return self.own(metric, max),
            Metric::Learned | Metric::Unlearned | Metric::Fallbacks => return self.own(metric, max),
            Metric::MissingLabels | Metric::Unmatched | Metric::AwaitingLabels => return self.own(metric, max),
            Metric::LabelDelay | Metric::Drifts | Metric::DriftWarnings => return self.own(metric, max),
            Metric::Switches | Metric::OnlineServed | Metric::ModelVersion => return self.own(metric, max),
            Metric::Accuracy | Metric::BalancedAccuracy | Metric::MacroF1 => return self.own(metric, max),
            Metric::Precision | Metric::Recall | Metric::Kappa => return self.own(metric, max),
            Metric::Mae | Metric::Rmse => return self.own(metric, max),
            Metric::PretrainedLoss | Metric::OnlineLoss => return self.own(metric, max),
            Metric::CacheHits | Metric::CacheMisses => return self.own(metric, max),
            Metric::Kept | Metric::Repeated | Metric::Expired | Metric::Gap => return self.own(metric, max),
            Metric::Replayed | Metric::Redelivered | Metric::Dead => return self.own(metric, max),
            Metric::Refused | Metric::Backlog => return self.own(metric, max),
            Metric::Completed | Metric::Aborted | Metric::Skipped | Metric::Damaged | Metric::Recoveries => {
                return self.own(metric, max);
            }
            Metric::SnapshotTime | Metric::SnapshotBytes | Metric::SnapshotInterval | Metric::SnapshotAge => {
                return self.own(metric, max);
            }
            Metric::RestoreTime | Metric::Deleted | Metric::Orphaned => return self.own(metric, max),
            Metric::SavedBytes | Metric::AlignTime => return self.own(metric, max),
            Metric::Unordered => self.unordered,
            Metric::Watermark if self.watermark == Time::MIN => return Reading::Nothing,
            Metric::Watermark => return Reading::Number(self.watermark.micros() as f64),
            Metric::Lag => return Reading::Histogram(&self.lag),
            Metric::LagNow => {
                let lag = self.lag_now.map(|now| if max { self.lag_max } else { now });
                return lag.map_or(Reading::Nothing, |lag| Reading::Number(lag.micros() as f64));
            }
            Metric::EmitDelay => return Reading::Histogram(&self.emit_delay),
            Metric::Latency => return Reading::Histogram(&self.latency),
            Metric::Behind if self.behind.max().is_none_or(|max| max.0 == 0) => return Reading::Nothing,
            Metric::Behind => return Reading::Histogram(&self.behind),
            Metric::LatencySent if self.sent_late => return Reading::Histogram(&self.latency_sent),
            Metric::LatencySent => return Reading::Nothing,
            Metric::Lateness => return Reading::Histogram(&self.lateness),
            Metric::Wait => return Reading::Histogram(&self.wait),
            Metric::Delivered
            | Metric::Lost
            | Metric::Resent
            | Metric::Copies
            | Metric::InFlight
            | Metric::Transit
            | Metric::Paused
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
            Metric::Paused => self.paused.micros() as u64,
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
