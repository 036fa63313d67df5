//! A quantile sketch with bounded relative error.
//!
//! DDSketch (Masson, Rim, Lee 2019) in its unbounded form: a value `x > 0` counts in bucket `⌈log_γ x⌉` with
//! `γ = (1 + a) / (1 − a)`, negative values in a mirror of it, zero apart. Merging adds counts, so the sketch is a function
//! of the set of values. The published crates collapse buckets, which makes the state depend on the order of arrival, and
//! fail on extreme values; buckets here are sparse, at most 71,000 over all floats and a few hundred on real data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Relative value error `a`.
pub const ERROR: f64 = 0.01;

/// Counts by bucket.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Quantiles {
    positive: BTreeMap<i32, u64>,
    negative: BTreeMap<i32, u64>,
    zero: u64,
    count: u64,
}

fn log_gamma() -> f64 {
    libm::log((1.0 + ERROR) / (1.0 - ERROR))
}

impl Quantiles {
    /// Takes in a finite value.
    pub fn add(&mut self, x: f64) {
        self.count += 1;
        if x == 0.0 {
            self.zero += 1;
            return;
        }
        let bucket = libm::ceil(libm::log(x.abs()) / log_gamma()) as i32;
        let side = if x > 0.0 {
            &mut self.positive
        } else {
            &mut self.negative
        };
        *side.entry(bucket).or_default() += 1;
    }
    /// Takes in another sketch.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.positive, &other.positive),
            (&mut self.negative, &other.negative),
        ] {
            for (bucket, count) in theirs {
                *mine.entry(*bucket).or_default() += count;
            }
        }
        self.zero += other.zero;
        self.count += other.count;
    }
    /// Whether its counts are those of at most so many values.
    pub fn holds_at_most(&self, values: u64) -> bool {
        let mut counts = self.positive.values().chain(self.negative.values());
        let sum = counts.try_fold(self.zero, |sum, n| sum.checked_add(*n));
        sum == Some(self.count) && self.count <= values
    }
    /// A value within [`ERROR`] of the one of rank `⌊q·(n − 1)⌋` (from 0, ascending); `None` of no values.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let mut rank = (q.clamp(0.0, 1.0) * (self.count - 1) as f64) as u64;
        let value = |bucket: i32| {
            let gamma = (1.0 + ERROR) / (1.0 - ERROR);
            (libm::exp(f64::from(bucket) * log_gamma()) * (2.0 / (1.0 + gamma))).min(f64::MAX)
        };
        let below = self.negative.iter().rev().map(|(b, n)| (-value(*b), *n));
        let at = std::iter::once((0.0, self.zero));
        let above = self.positive.iter().map(|(b, n)| (value(*b), *n));
        for (x, n) in below.chain(at).chain(above) {
            if rank < n {
                return Some(x);
            }
            rank -= n;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_quantile_is_within_its_error_whatever_the_order(
            mut values in prop::collection::vec(-1e9..1e9f64, 1..200), q in 0.0..=1.0f64, cut in 0usize..200
        ) {
            let cut = cut.min(values.len());
            let (mut sketch, mut rest) = (Quantiles::default(), Quantiles::default());
            values[..cut].iter().for_each(|x| sketch.add(*x));
            values[cut..].iter().for_each(|x| rest.add(*x));
            sketch.merge(&rest);
            values.sort_by(f64::total_cmp);
            let exact = values[(q * (values.len() - 1) as f64) as usize];
            let said = sketch.quantile(q).unwrap();
            prop_assert!((said - exact).abs() <= ERROR * exact.abs() * (1.0 + 1e-9), "{said} against {exact}");
        }
    }
}
