//! The two buffers of Siddhi, `reorder:kslack` and `reorder:akslack`, as their engine behaves (commit 3b23514feb52 of
//! siddhi-execution-reorder): nothing is learnt or let go but when the largest stamp grows; what came since it last grew
//! stands apart until then. Both may break the order while `K` is still being learnt.

use std::collections::{BTreeMap, VecDeque};

use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::script::{Late, SiddhiAkSlack, SiddhiKSlack};
use wavetank_scenarios::{Event, Span, Time};

use super::pass;
use super::quality::deviations;
use super::{compiled, overdue};
use crate::operator::{Operator, Output};
use crate::processing::expr::{Compiled, Fields, Scope};
use crate::reliability::{State, StateError, counted};

/// Events by stamp, then in order of arrival.
type Tree = BTreeMap<(Time, u64), Event>;

/// The part of a saved state that holds the events.
const HELD: &str = "held";

/// The buffer.
#[derive(Debug)]
pub struct Siddhi {
    kind: Kind,
    max_k: Span,
    late: Late,
    timeout: Option<Span>,
    tick: Span,
    /// What came since the largest stamp last grew.
    primary: Tree,
    /// What came before.
    expired: Tree,
    arrivals: u64,
    largest: Time,
    /// The stamp that was let go last, by the largest stamp.
    released: Time,
    k: Span,
    /// Whether a timer is under way.
    armed: bool,
}

#[derive(Debug)]
enum Kind {
    KSlack {
        /// How often the timer comes again.
        every: Span,
    },
    AkSlack(Box<AkSlack>),
}

impl Siddhi {
    /// As `reorder:kslack`.
    pub fn k_slack(settings: &SiddhiKSlack, late: Late, timeout: Option<Span>, tick: Span) -> Self {
        let every = settings.every;
        Self::new(Kind::KSlack { every }, settings.max_k, late, timeout, tick)
    }
    /// As `reorder:akslack`.
    pub fn ak_slack(
        settings: &SiddhiAkSlack,
        controller: AkSlack,
        late: Late,
        timeout: Option<Span>,
        tick: Span,
    ) -> Self {
        Self::new(Kind::AkSlack(Box::new(controller)), settings.max_k, late, timeout, tick)
    }

    fn new(kind: Kind, max_k: Option<Span>, late: Late, timeout: Option<Span>, tick: Span) -> Self {
        Self {
            kind,
            max_k: max_k.unwrap_or(Span::MAX),
            late,
            timeout,
            tick,
            primary: Tree::new(),
            expired: Tree::new(),
            arrivals: 0,
            largest: Time::MIN,
            released: Time::MIN,
            k: Span::ZERO,
            armed: false,
        }
    }

    /// The largest stamp has grown: `K` is learnt, and what it allows let go.
    fn grow(&mut self, stamp: Time, out: &mut Output) {
        self.largest = stamp;
        let earliest = self
            .primary
            .first_key_value()
            .map_or(stamp, |((earliest, _), _)| *earliest);
        let delay = stamp.since(earliest);
        if delay > self.k {
            self.k = match &self.kind {
                _ if delay >= self.max_k => self.max_k,
                Kind::KSlack { .. } => delay,
                Kind::AkSlack(controller) => delay.scale(controller.alpha),
            };
            out.measure(Metric::Slack, self.k.micros().max(0).cast_unsigned());
        }
        self.expired.append(&mut self.primary);
        while let Some(first) = self
            .expired
            .first_entry()
            .filter(|first| first.key().0 + self.k <= stamp)
        {
            self.released = first.key().0;
            pass(&first.remove(), out);
        }
    }
}

/// Lets a whole tree go.
fn flush(tree: &mut Tree, out: &mut Output) {
    std::mem::take(tree).into_values().for_each(|event| pass(&event, out));
}

impl Operator for Siddhi {
    fn on_event(&mut self, _input: usize, event: Event, _now: Time, out: &mut Output) {
        let stamp = event.stamp;
        if let Kind::AkSlack(controller) = &mut self.kind {
            controller.see(&event);
        }
        if stamp < self.released {
            if self.late != Late::Emit {
                return overdue(event, self.late, out);
            }
            // It takes its place among the others, but it is late.
            out.measure(Metric::Late, 1);
        }
        if let Some(timeout) = self.timeout
            && !std::mem::replace(&mut self.armed, true)
        {
            out.timer(timeout, 0);
        }
        self.primary.insert((stamp, self.arrivals), event);
        self.arrivals += 1;
        if let Kind::AkSlack(controller) = &mut self.kind {
            controller.taken(stamp, self.k);
        }
        if stamp > self.largest {
            self.grow(stamp, out);
        }
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        if watermark == Time::MAX {
            self.expired.append(&mut self.primary);
            flush(&mut self.expired, out);
        }
    }

    fn on_timer(&mut self, token: u64, out: &mut Output) {
        flush(&mut self.expired, out);
        match &self.kind {
            Kind::KSlack { every } => out.timer(*every, token),
            Kind::AkSlack(_) => {
                flush(&mut self.primary, out);
                self.armed = false;
            }
        }
    }

    fn watermark_limit(&self) -> Time {
        let first = |tree: &Tree| tree.first_key_value().map(|((stamp, _), _)| *stamp);
        let both = first(&self.primary).into_iter().chain(first(&self.expired));
        both.min().map_or(Time::MAX, |first| first - self.tick)
    }

    fn save(&self, state: &mut State) {
        // Those that came since the largest stamp last grew have the last turns.
        let grown = self.primary.keys().map(|(_, turn)| *turn).min();
        state.put("grown", &grown.unwrap_or(self.arrivals));
        let held = self.primary.iter().chain(&self.expired);
        state.put_each(HELD, held.map(|((_, turn), event)| (turn, event)));
        state.put("arrivals", &self.arrivals);
        state.put("largest", &self.largest);
        state.put("released", &self.released);
        state.put("slack", &self.k);
        state.put("armed", &self.armed);
        if let Kind::AkSlack(controller) = &self.kind {
            controller.save(state);
        }
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.arrivals = counted("arrivals", state.get("arrivals")?)?;
        self.largest = state.get("largest")?;
        self.released = state.get("released")?;
        self.k = state.get("slack")?;
        self.armed = state.get("armed")?;
        let grown: u64 = state.get("grown")?;
        (self.primary, self.expired) = (Tree::new(), Tree::new());
        for (turn, event) in state.each::<u64, Event>(HELD)? {
            StateError::unless(turn < self.arrivals, HELD, "an event has a turn that was not given out")?;
            let tree = if turn < grown {
                &mut self.expired
            } else {
                &mut self.primary
            };
            tree.insert((event.stamp, turn), event);
        }
        match &mut self.kind {
            Kind::KSlack { .. } => Ok(()),
            Kind::AkSlack(controller) => controller.restore(state),
        }
    }

    fn held(&self) -> u64 {
        (self.primary.len() + self.expired.len()) as u64
    }

    fn state_bytes(&self) -> usize {
        let remembered = match &self.kind {
            Kind::KSlack { .. } => 0,
            Kind::AkSlack(controller) => controller.state_bytes(),
        };
        let events = self.primary.values().chain(self.expired.values());
        let rows: usize = events.map(|event| size_of_val(&*event.row)).sum();
        remembered + rows + self.held() as usize * size_of::<((Time, u64), Event)>()
    }
}

/// The controller of `reorder:akslack`. It squares the variance where the formula for samples has the deviation, takes the
/// smallest of all roots, and uses its `l` for measuring only: so its quality is in truth not controlled. Kept as it is,
/// because it is what that engine does.
#[derive(Debug)]
pub struct AkSlack {
    settings: SiddhiAkSlack,
    value: Compiled,
    z: f64,
    /// The values since the last step.
    values: Vec<f64>,
    /// Stamps in order of arrival.
    stamps: VecDeque<Time>,
    taken: u64,
    /// How far the measured window is behind.
    l: Span,
    error: f64,
    previous: f64,
    alpha: f64,
}

impl AkSlack {
    /// A controller that knows nothing yet.
    ///
    /// # Errors
    /// A name that is not there.
    pub fn new(settings: &SiddhiAkSlack, fields: Fields<'_>) -> Result<Self, String> {
        Ok(Self {
            value: compiled(&settings.value, "siddhi_ak_slack.value", fields)?,
            z: deviations(settings.confidence),
            settings: settings.clone(),
            values: Vec::new(),
            stamps: VecDeque::new(),
            taken: 0,
            l: Span::ZERO,
            error: 0.0,
            previous: 0.0,
            alpha: 1.0,
        })
    }

    /// An event has come, whatever becomes of it.
    fn see(&mut self, event: &Event) {
        let value = self.value.eval(&Scope::event(&event.row, event.stamp));
        let value = value.ok().and_then(|value| value.as_f64()).unwrap_or_default();
        self.values.push(value);
        self.stamps.push_back(event.stamp);
    }

    /// It was taken in.
    fn taken(&mut self, stamp: Time, k: Span) {
        self.taken += 1;
        if self.taken <= self.settings.batch {
            return;
        }
        let coverage = if self.l == Span::ZERO {
            1.0
        } else {
            self.coverage(stamp)
        };
        let error = self.threshold() - coverage;
        let change = self.settings.proportional * error + self.settings.derivative * (error - self.error);
        self.alpha = libm::fabs(self.previous + change);
        (self.error, self.previous) = (error, self.alpha);
        self.l = k.scale(self.alpha).min(k);
        self.taken = 0;
        self.values.clear();
    }

    /// Which share of a window's events has to be there.
    fn threshold(&self) -> f64 {
        let n = self.values.len() as f64;
        let mean = self.values.iter().sum::<f64>() / n;
        let variance = self
            .values
            .iter()
            .map(|value| (mean - value) * (mean - value))
            .sum::<f64>()
            / n;
        let square = mean * mean;
        let q = self.z * self.z * (square + variance * variance) / (n * square);
        let e = self.settings.error;
        let roots = |b: f64, c: f64| {
            let a = 1.0 + q;
            let under = b * b - 4.0 * a * c;
            // Both roots of one equation: the smaller one comes first.
            (under >= 0.0).then(|| (b - libm::sqrt(under)) / (2.0 * a))
        };
        let low = roots(2.0 - 2.0 * e + q, (1.0 - e) * (1.0 - e));
        let high = roots(2.0 + 2.0 * e + q, (1.0 + e) * (1.0 + e));
        low.into_iter().chain(high).reduce(f64::min).unwrap_or(0.0)
    }

    /// Which share of the window that ends `l` before `stamp` came before anything as late as its end. What no later
    /// window can ask for is forgotten.
    fn coverage(&mut self, stamp: Time) -> f64 {
        let end = stamp - self.l;
        let start = end - self.settings.window;
        let (mut inside, mut in_time, mut over) = (0u64, 0u64, false);
        for stamp in &self.stamps {
            over |= end <= *stamp;
            if start <= *stamp && *stamp <= end {
                inside += 1;
                in_time += u64::from(!over);
            }
        }
        self.stamps.retain(|stamp| *stamp > start);
        if inside == 0 {
            1.0
        } else {
            in_time as f64 / inside as f64
        }
    }

    fn state_bytes(&self) -> usize {
        self.values.len() * size_of::<f64>() + self.stamps.len() * size_of::<Time>()
    }

    fn save(&self, state: &mut State) {
        state.put("values", &self.values);
        state.put("stamps", &self.stamps);
        let Self {
            taken,
            l,
            error,
            previous,
            alpha,
            ..
        } = self;
        state.put("controller", &(taken, l, error, previous, alpha));
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.values = state.get("values")?;
        self.stamps = state.get("stamps")?;
        (self.taken, self.l, self.error, self.previous, self.alpha) = state.get("controller")?;
        self.taken = counted("controller", self.taken)?;
        Ok(())
    }
}
