//! How much slack the quality of an aggregate asks for.
//!
//! The model in words. Suppose that a window of `n` events is worked out while a share `x` of them is there, drawn at
//! random. How wrong is the aggregate, with the wanted confidence? A sum misses the share `1 − x` and, beyond that, as
//! many deviations as the confidence says; a mean only the latter. The share that keeps that below the target is looked
//! for by halving an interval, as is the number of deviations. Every `every` events the share that was in time is
//! compared with it, and a correction summed up, from the first step to the last; then the delays are sorted, and the
//! slack is that of the event up to which the corrected share of them lies. Shares are whole parts per million.

use wavetank_scenarios::script::{AqKSlack, QualityOf};
use wavetank_scenarios::{Event, Schema, Span};

use super::{Came, number_of};

const MILLION: i64 = 1_000_000;

#[derive(Clone)]
pub(super) struct Quality {
    settings: AqKSlack,
    deviations: f64,
}

impl Quality {
    pub fn new(settings: &AqKSlack) -> Self {
        Self {
            settings: settings.clone(),
            deviations: deviations(settings.confidence),
        }
    }

    /// The value of an event that counts.
    pub fn value(&self, schema: &Schema, event: &Event) -> Option<f64> {
        let value = self.settings.value.as_ref()?;
        number_of(&value.expr, schema, event).filter(|value| value.is_finite())
    }

    /// The slack after all that came; `None` between two steps, when it stays as it is.
    pub fn k(&self, came: &[Came]) -> Option<Span> {
        let every = usize::try_from(self.settings.every).unwrap_or(usize::MAX);
        let steps = came.len() / every;
        if steps > 0 && !came.len().is_multiple_of(every) {
            return None;
        }
        let k = if steps == 0 {
            came.iter().map(|c| c.delay).max().unwrap_or_default()
        } else {
            let mut correction = 0;
            let mut before = 0;
            for step in 1..=steps {
                let wanted = self.wanted(self.latest(&came[..step * every]));
                let since = &came[(step - 1) * every..step * every];
                let in_time = since.iter().filter(|c| !c.late).count() as i64 * MILLION / every as i64;
                let missing = wanted - in_time;
                let by =
                    missing as f64 * self.settings.proportional + (missing - before) as f64 * self.settings.derivative;
                correction = (correction + by.round() as i64).clamp(-MILLION, MILLION);
                before = missing;
            }
            let latest = self.latest(&came[..steps * every]);
            let share = (self.wanted(latest) + correction).clamp(0, MILLION);
            let mut delays: Vec<Span> = latest.iter().map(|c| c.delay).collect();
            delays.sort_unstable();
            // The smallest delay, or none at all, up to which so large a share lies.
            let within = |k: Span| delays.iter().filter(|d| **d <= k).count() as i64 * MILLION;
            let wanted = share * delays.len() as i64;
            if wanted == 0 {
                Span::ZERO
            } else {
                delays
                    .iter()
                    .copied()
                    .find(|k| within(*k) >= wanted)
                    .unwrap_or_default()
            }
        };
        Some(self.settings.max_k.map_or(k, |most| k.min(most)))
    }

    fn latest<'a>(&self, came: &'a [Came]) -> &'a [Came] {
        let samples = usize::try_from(self.settings.samples).unwrap_or(usize::MAX);
        &came[came.len().saturating_sub(samples)..]
    }

    /// The share that is wanted, in parts per million.
    fn wanted(&self, latest: &[Came]) -> i64 {
        let error = self.settings.error;
        let first = latest.iter().map(|c| c.stamp).min().unwrap_or_default();
        let last = latest.iter().map(|c| c.stamp).max().unwrap_or_default();
        let mut n = latest.len() as f64;
        if last.since(first) > self.settings.window {
            n *= self.settings.window.micros() as f64 / last.since(first).micros() as f64;
            n = n.max(1.0);
        }
        let values: Vec<f64> = latest.iter().filter_map(|c| c.value).collect();
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len().max(1) as f64;
        let share = match self.settings.aggregate {
            QualityOf::Count => least(|x| (1.0 - x) + self.deviations * (x * (1.0 - x) / n).sqrt() <= error),
            QualityOf::Sum if mean == 0.0 => 1.0,
            QualityOf::Sum => {
                let spread = (mean * mean + square) / (n * mean * mean);
                least(|x| (1.0 - x) + self.deviations * (spread * x * (1.0 - x)).sqrt() <= error)
            }
            QualityOf::Avg if square == 0.0 => 0.0,
            QualityOf::Avg => least(|x| {
                x > 0.0 && self.deviations * square.sqrt() * ((1.0 - x) / (x * n)).sqrt() <= error * mean.abs()
            }),
        };
        ((share * MILLION as f64).round() as i64).clamp(0, MILLION)
    }
}

/// The least share for which something is true that is true of all larger ones.
fn least(good: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if good(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// How many deviations to both sides of its mean hold that share of a normal distribution.
pub(super) fn deviations(share: f64) -> f64 {
    40.0 * least(|part| libm::erf(40.0 * part / 2f64.sqrt()) >= share)
}
