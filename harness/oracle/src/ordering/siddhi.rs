//! The two buffers of Siddhi.
//!
//! The model in words: `apart` is what came since the largest stamp last grew, `before` all earlier events that have not
//! gone, both in order of arrival. When an event is stamped above all others, the distance from the smallest stamp of
//! `apart` (the event stands there, too) may raise `K`; then `apart` joins `before`, and what is stamped `K` or more below
//! the event goes, the smallest stamp first. The timer empties `before` (of `akslack`: then `apart`).

use wavetank_scenarios::query::Expr;
use wavetank_scenarios::script::{Late, Operator, SiddhiAkSlack, SiddhiKSlack};
use wavetank_scenarios::{Event, Schema, Span, Time};

use super::quality::deviations;
use super::{as_it_is, number_of};
use crate::{Arrival, Due, DueResult, Reference, Why};

#[derive(Clone)]
struct Siddhi {
    late: Late,
    flush: bool,
    max_k: Option<Span>,
    tick: Span,
    schema: Schema,
    alpha: Option<SiddhiAkSlack>,
    state: State,
}

#[derive(Clone)]
struct State {
    apart: Vec<Event>,
    before: Vec<Event>,
    largest: Option<Time>,
    last: Option<Time>,
    k: Span,
    control: Control,
}

/// What `akslack` remembers.
#[derive(Clone)]
struct Control {
    values: Vec<f64>,
    stamps: Vec<Time>,
    taken: u64,
    l: Span,
    error: f64,
    alpha_before: f64,
    alpha: f64,
}

impl State {
    const fn new() -> Self {
        Self {
            apart: vec![],
            before: vec![],
            largest: None,
            last: None,
            k: Span::ZERO,
            control: Control {
                values: vec![],
                stamps: vec![],
                taken: 0,
                l: Span::ZERO,
                error: 0.0,
                alpha_before: 0.0,
                alpha: 1.0,
            },
        }
    }
}

pub(super) fn k_slack(operator: &Operator, k: &SiddhiKSlack, schema: &Schema, tick: Span) -> Box<dyn Reference> {
    Box::new(Siddhi {
        late: operator.late,
        flush: operator.flush_at_end,
        max_k: k.max_k,
        tick,
        schema: schema.clone(),
        alpha: None,
        state: State::new(),
    })
}

pub(super) fn ak_slack(operator: &Operator, k: &SiddhiAkSlack, schema: &Schema, tick: Span) -> Box<dyn Reference> {
    Box::new(Siddhi {
        late: operator.late,
        flush: operator.flush_at_end,
        max_k: k.max_k,
        tick,
        schema: schema.clone(),
        alpha: Some(k.clone()),
        state: State::new(),
    })
}

/// Takes those out for which that is true, by stamp; of equal ones the first that came is the first that goes.
fn by_stamp(events: &mut Vec<Event>, goes: impl Fn(&Event) -> bool) -> Vec<Event> {
    let (mut going, staying): (Vec<_>, Vec<_>) = events.drain(..).partition(goes);
    *events = staying;
    going.sort_by_key(|event| event.stamp);
    going
}

fn results(events: &[Event]) -> Vec<DueResult> {
    events.iter().map(as_it_is).collect()
}

impl Siddhi {
    fn take(&mut self, event: &Event, due: &mut Due) {
        let state = &mut self.state;
        if let Some(settings) = &self.alpha {
            let value: &Expr = &settings.value.expr;
            state
                .control
                .values
                .push(number_of(value, &self.schema, event).unwrap_or_default());
            state.control.stamps.push(event.stamp);
        }
        let late = state.last.is_some_and(|last| event.stamp < last);
        if late && self.late != Late::Emit {
            due.dropped.push((event.id, Why::Late));
            return;
        }
        state.apart.push(event.clone());
        if let Some(settings) = &self.alpha {
            state.control.taken += 1;
            if state.control.taken == settings.batch + 1 {
                state.control.adapt(settings, event.stamp, state.k);
            }
        }
        if state.largest.is_some_and(|largest| event.stamp <= largest) {
            return;
        }
        state.largest = Some(event.stamp);
        let smallest = state.apart.iter().map(|e| e.stamp).min().unwrap_or(event.stamp);
        let distance = event.stamp.since(smallest);
        if distance > state.k {
            state.k = match self.max_k {
                Some(most) if distance >= most => most,
                _ if self.alpha.is_none() => distance,
                _ => distance.scale(state.control.alpha),
            };
        }
        state.before.append(&mut state.apart);
        let k = state.k;
        let gone = by_stamp(&mut state.before, |e| e.stamp + k <= event.stamp);
        state.last = gone.last().map(|e| e.stamp).or(state.last);
        due.results = results(&gone);
    }
}

impl Control {
    fn adapt(&mut self, settings: &SiddhiAkSlack, now: Time, k: Span) {
        let wanted = threshold(&self.values, settings.error, deviations(settings.confidence));
        let measured = if self.l == Span::ZERO {
            1.0
        } else {
            let (from, to) = (now - self.l - settings.window, now - self.l);
            let first = self.stamps.iter().position(|t| *t >= to).unwrap_or(self.stamps.len());
            let inside = |stamps: &[Time]| stamps.iter().filter(|t| from <= **t && **t <= to).count() as f64;
            let share = inside(&self.stamps[..first]) / inside(&self.stamps);
            self.stamps.retain(|t| *t > from);
            if share.is_nan() { 1.0 } else { share }
        };
        let error = wanted - measured;
        let by = settings.proportional * error + settings.derivative * (error - self.error);
        self.alpha = (self.alpha_before + by).abs();
        self.alpha_before = self.alpha;
        self.error = error;
        self.l = if self.alpha >= 1.0 { k } else { k.scale(self.alpha) };
        self.taken = 0;
        self.values.clear();
    }
}

/// The smallest `x` with `(1 − e − x)² = q·x·(1 − x)` or `(1 + e − x)² = q·x·(1 − x)`, where `q` squares the variance, as
/// that engine does; none is 0.
fn threshold(values: &[f64], e: f64, z: f64) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let q = z.powi(2) * (mean.powi(2) + variance.powi(2)) / (n * mean.powi(2));
    let smallest = |end: f64| {
        let b = 2.0 * end + q;
        let under = b.powi(2) - 4.0 * (1.0 + q) * end.powi(2);
        if under < 0.0 {
            f64::NAN
        } else {
            (b - under.sqrt()) / (2.0 + 2.0 * q)
        }
    };
    let both = smallest(1.0 - e).min(smallest(1.0 + e));
    if both.is_nan() { 0.0 } else { both }
}

impl Reference for Siddhi {
    fn arrive(&mut self, arrival: &Arrival) -> Due {
        let mut due = Due::default();
        match arrival {
            Arrival::Event { event, .. } => self.take(event, &mut due),
            Arrival::Timer { .. } => {
                due.results = results(&by_stamp(&mut self.state.before, |_| true));
                if self.alpha.is_some() {
                    due.results.extend(results(&by_stamp(&mut self.state.apart, |_| true)));
                }
            }
            Arrival::Watermark(Time::MAX) if self.flush => {
                let mut all = std::mem::take(&mut self.state.before);
                all.append(&mut self.state.apart);
                due.results = results(&by_stamp(&mut all, |_| true));
            }
            Arrival::Watermark(_) => {}
            Arrival::Crash => self.state = State::new(),
        }
        let held = || self.state.before.iter().chain(&self.state.apart);
        due.held = held().count() as u64;
        due.limit = held().map(|event| event.stamp - self.tick).min();
        due
    }
}
