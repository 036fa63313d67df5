//! AQ-K-slack: `K` is the smallest that keeps the expected error of a window's aggregate under a target.
//!
//! After Ji, Zhou, Jerzak, Nica, Hackenbroich and Fetzer, *Quality-driven processing of sliding window aggregates over
//! out-of-order data streams* (DEBS 2015). What is missing from a window is taken for a random sample of it. Of `n` events
//! with mean `m` and variance `s²`, a share `x` being there:
//!
//! - a sum is off by `1 − x` on average, with deviation `√(c·x·(1 − x))`, `c = (m² + s²) / (n·m²)`; so the share that is
//!   wanted solves `1 − x + z·√(c·x·(1 − x)) = error`. A count is a sum of ones.
//! - a mean is off by `z·(s/|m|)·√((1 − x) / (n·x))`.
//!
//! Shares are kept in whole parts per million.

use std::collections::VecDeque;
use std::f64::consts::{PI, SQRT_2};

use serde::{Deserialize, Serialize};
use wavetank_scenarios::script::{AqKSlack, QualityOf};
use wavetank_scenarios::{Span, Time};

use super::compiled;
use super::slack::{Seen, Slack};
use crate::processing::expr::{Compiled, Fields, Scope};
use crate::reliability::{State, StateError};

/// All of something, in parts per million.
const ALL: i64 = 1_000_000;

/// What is remembered of an event.
#[derive(Debug, Serialize, Deserialize)]
struct Sample {
    delay: Span,
    stamp: Time,
    value: Option<f64>,
}

/// The controller.
#[derive(Debug)]
pub struct Quality {
    settings: AqKSlack,
    value: Option<Compiled>,
    /// How many deviations make the confidence.
    z: f64,
    samples: VecDeque<Sample>,
    /// Events, and late ones among them, since the last step.
    since: u64,
    late: u64,
    correction: i64,
    error: i64,
    stepped: bool,
    k: Span,
}

impl Quality {
    /// A controller that knows nothing yet.
    ///
    /// # Errors
    /// A name that is not there.
    pub fn new(settings: &AqKSlack, fields: Fields<'_>) -> Result<Self, String> {
        let value = settings.value.as_ref();
        Ok(Self {
            value: value.map(|v| compiled(v, "aq_k_slack.value", fields)).transpose()?,
            z: deviations(settings.confidence),
            samples: VecDeque::new(),
            since: 0,
            late: 0,
            correction: 0,
            error: 0,
            stepped: false,
            k: Span::ZERO,
            settings: settings.clone(),
        })
    }

    /// How many events a window has, going by the samples.
    fn per_window(&self) -> f64 {
        let stamps = || self.samples.iter().map(|sample| sample.stamp);
        let count = self.samples.len() as f64;
        match stamps().max().zip(stamps().min()) {
            Some((last, first)) if last.since(first) > self.settings.window => {
                let share = self.settings.window.micros() as f64 / last.since(first).micros() as f64;
                (count * share).max(1.0)
            }
            _ => count,
        }
    }

    /// Mean and variance of the values.
    fn moments(&self) -> (f64, f64) {
        let values = || self.samples.iter().filter_map(|sample| sample.value);
        let count = values().count() as f64;
        if count == 0.0 {
            return (0.0, 0.0);
        }
        let mean = values().sum::<f64>() / count;
        let variance = values().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
        (mean, variance)
    }

    /// The share of events that has to be in time.
    fn wanted(&self) -> i64 {
        let n = self.per_window();
        let e = self.settings.error;
        let share = match self.settings.aggregate {
            QualityOf::Count => share_of_sum(self.z * self.z / n, e),
            QualityOf::Sum => {
                let (mean, variance) = self.moments();
                if mean == 0.0 {
                    1.0
                } else {
                    let square = mean * mean;
                    share_of_sum(self.z * self.z * (square + variance) / (n * square), e)
                }
            }
            QualityOf::Avg => {
                let (mean, variance) = self.moments();
                if variance == 0.0 {
                    0.0
                } else {
                    1.0 / (1.0 + n * e * e * mean * mean / (self.z * self.z * variance))
                }
            }
        };
        parts(share).clamp(0, ALL)
    }

    fn step(&mut self) {
        let wanted = self.wanted();
        let in_time = (self.since - self.late) as i64 * ALL / self.since as i64;
        let error = wanted - in_time;
        let AqKSlack {
            proportional,
            derivative,
            ..
        } = self.settings;
        let change = proportional * error as f64 + derivative * (error - self.error) as f64;
        self.correction = (self.correction + libm::round(change) as i64).clamp(-ALL, ALL);
        self.error = error;
        let share = (wanted + self.correction).clamp(0, ALL);
        let count = self.samples.len();
        let needed = (share as usize * count).div_ceil(ALL as usize);
        self.k = match needed.checked_sub(1) {
            None => Span::ZERO,
            Some(last) => {
                let mut delays: Vec<Span> = self.samples.iter().map(|sample| sample.delay).collect();
                *delays.select_nth_unstable(last).1
            }
        };
        (self.since, self.late, self.stepped) = (0, 0, true);
    }
}

/// A share in parts per million.
fn parts(share: f64) -> i64 {
    libm::round(share * ALL as f64) as i64
}

/// The smallest share `x` for which `1 − x + √(q·x·(1 − x)) ≤ error`, from the square of that.
fn share_of_sum(q: f64, error: f64) -> f64 {
    let b = 2.0 * (1.0 - error) + q;
    let root = libm::sqrt((b * b - 4.0 * (1.0 + q) * (1.0 - error) * (1.0 - error)).max(0.0));
    (b + root) / (2.0 * (1.0 + q))
}

/// How many deviations to both sides hold a share of a normal distribution, by Newton's method: below the root the error
/// function bends downwards, so that it is never overshot.
pub fn deviations(share: f64) -> f64 {
    let mut z = 0.0;
    for _ in 0..200 {
        let missing = share - libm::erf(z / SQRT_2);
        let slope = libm::sqrt(2.0 / PI) * libm::exp(-z * z / 2.0);
        let next = z + missing / slope;
        if !next.is_finite() || next - z <= 1e-15 * next {
            break;
        }
        z = next;
    }
    z
}

impl Slack for Quality {
    fn learn(&mut self, seen: Seen<'_>) -> Span {
        let event = seen.event;
        let value = self.value.as_ref().and_then(|value| {
            let value = value.eval(&Scope::event(&event.row, event.stamp)).ok()?;
            value.as_f64().filter(|value| value.is_finite())
        });
        self.samples.push_back(Sample {
            delay: seen.delay,
            stamp: event.stamp,
            value,
        });
        if self.samples.len() as u64 > self.settings.samples {
            self.samples.pop_front();
        }
        self.since += 1;
        self.late += u64::from(seen.late);
        if !self.stepped {
            self.k = self.k.max(seen.delay);
        }
        if self.since == self.settings.every {
            self.step();
        }
        self.k.min(self.settings.max_k.unwrap_or(Span::MAX))
    }
    fn state_bytes(&self) -> usize {
        self.samples.len() * size_of::<Sample>()
    }
    fn save(&self, state: &mut State) {
        state.put("samples", &self.samples);
        let Self {
            since,
            late,
            correction,
            error,
            stepped,
            k,
            ..
        } = self;
        state.put(CONTROLLER, &(since, late, correction, error, stepped, k));
    }
    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.samples = state.get("samples")?;
        let fits = self.samples.len() as u64 <= self.settings.samples;
        StateError::unless(fits, "samples", "there are more than are remembered")?;
        (self.since, self.late, self.correction, self.error, self.stepped, self.k) = state.get(CONTROLLER)?;
        let counts = self.late <= self.since && self.since < self.settings.every;
        let shares = [self.correction, self.error]
            .iter()
            .all(|share| (-ALL..=ALL).contains(share));
        StateError::unless(
            counts && shares,
            CONTROLLER,
            "it counts or corrects further than it can",
        )
    }
}

/// The part of a saved state that says where the controller stands.
const CONTROLLER: &str = "controller";
