//! When silence means that the other is gone: after a fixed time, or by φ-accrual.
//!
//! φ-accrual is that of Hayashibara, Défago, Yared and Katayama, "The φ accrual failure detector" (2004): the intervals
//! between heartbeats are taken to be normally distributed with the mean μ and deviation σ of the last of them, and
//! φ(t) = −log10(½·erfc((t − μ) / (σ·√2))) for a silence of length t. Mean and variance are exact sums of integers, the rest
//! is `libm`, so that the answer is the same on every platform.

use std::collections::VecDeque;

use wavetank_scenarios::script::{self, Phi};
use wavetank_scenarios::{Span, Time};

/// What one copy thinks of the other, from its heartbeats.
#[derive(Clone, Debug)]
pub struct Detector {
    settings: script::Detector,
    last: Time,
    /// The last intervals, in microseconds, with their sum and the sum of their squares.
    intervals: VecDeque<i64>,
    sum: i128,
    squares: i128,
    /// How long a silence makes it suspicious, by the intervals so far.
    patience: Span,
}

impl Detector {
    /// One that begins to listen at `now`, for heartbeats that are sent every `heartbeat`.
    pub fn new(settings: script::Detector, heartbeat: Span, now: Time) -> Self {
        let mut detector = Self {
            settings,
            last: now,
            intervals: VecDeque::new(),
            sum: 0,
            squares: 0,
            patience: Span::ZERO,
        };
        if let script::Detector::Phi(phi) = settings {
            // Before the first interval: what is agreed, give or take a quarter, so that a first one that is off is learned.
            let quarter = heartbeat.micros() / 4;
            for interval in [heartbeat.micros() - quarter, heartbeat.micros() + quarter] {
                detector.learn(interval, phi.window.max(2) as usize);
            }
        }
        detector.patience = detector.work_out();
        detector
    }

    /// A heartbeat came.
    pub fn heard(&mut self, now: Time) {
        if let script::Detector::Phi(phi) = self.settings {
            // A silence that it was suspicious of was no interval between heartbeats: it says nothing of the next.
            if !self.suspects(now) {
                self.learn(now.since(self.last).micros(), phi.window.max(2) as usize);
                self.patience = self.work_out();
            }
        }
        self.last = self.last.max(now);
    }

    fn learn(&mut self, interval: i64, window: usize) {
        let square = |x: i64| i128::from(x) * i128::from(x);
        self.intervals.push_back(interval);
        self.sum += i128::from(interval);
        self.squares += square(interval);
        if self.intervals.len() > window
            && let Some(old) = self.intervals.pop_front()
        {
            self.sum -= i128::from(old);
            self.squares -= square(old);
        }
    }

    /// Whether the other is to be taken for gone.
    pub fn suspects(&self, now: Time) -> bool {
        now >= self.deadline()
    }
    /// The first moment at which the other is taken for gone when nothing more is heard of it.
    pub fn deadline(&self) -> Time {
        self.last + self.patience
    }

    /// φ of the silence at `now`; of a fixed time-out there is none.
    pub fn phi(&self, now: Time) -> Option<f64> {
        match &self.settings {
            script::Detector::Fixed(_) => None,
            script::Detector::Phi(phi) => Some(self.phi_of(now.since(self.last), phi)),
        }
    }

    fn phi_of(&self, silence: Span, phi: &Phi) -> f64 {
        let (mean, deviation) = self.spread(phi);
        let z = (silence.micros() as f64 - mean) / deviation;
        let later = 0.5 * libm::erfc(z / std::f64::consts::SQRT_2);
        -libm::log10(later)
    }

    /// Mean and deviation of the intervals, in microseconds, as the settings have it.
    fn spread(&self, phi: &Phi) -> (f64, f64) {
        let least = phi.min_deviation.max(Span::UNIT).micros() as f64;
        let pause = phi.pause.micros() as f64;
        let count = self.intervals.len() as i128;
        // n²σ² = n·Σx² − (Σx)²: whole numbers, so that nothing is lost to rounding before the division.
        let variance = (count * self.squares - self.sum * self.sum) as f64 / (count * count) as f64;
        (self.sum as f64 / count as f64 + pause, libm::sqrt(variance).max(least))
    }

    /// The shortest silence that is suspicious: φ grows with the silence, so it is found by halving.
    fn work_out(&self) -> Span {
        let phi = match &self.settings {
            script::Detector::Fixed(time_out) => return *time_out,
            script::Detector::Phi(phi) => phi,
        };
        let (mut calm, mut suspicious) = (0, i64::MAX / 4);
        while suspicious - calm > 1 {
            let middle = calm + (suspicious - calm) / 2;
            if self.phi_of(Span::from_micros(middle), phi) >= phi.threshold {
                suspicious = middle;
            } else {
                calm = middle;
            }
        }
        Span::from_micros(suspicious)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> Time {
        Time::from_micros(ms * 1_000)
    }
    fn accrual(threshold: f64, window: u32, least: i64) -> Detector {
        let settings = script::Detector::Phi(Phi {
            threshold,
            window,
            min_deviation: Span::from_millis(least),
            pause: Span::ZERO,
        });
        Detector::new(settings, Span::from_millis(500), at(0))
    }

    #[test]
    fn a_fixed_time_out_counts_from_the_last_heartbeat() {
        let settings = script::Detector::Fixed(Span::from_secs(2));
        let mut detector = Detector::new(settings, Span::from_millis(500), at(0));
        assert!(!detector.suspects(at(1_999)) && detector.suspects(at(2_000)));
        detector.heard(at(1_500));
        assert_eq!((detector.deadline(), detector.phi(at(9))), (at(3_500), None));
    }

    #[test]
    fn phi_is_what_the_normal_distribution_says() {
        let mut detector = accrual(8.0, 4, 1);
        for ms in [900, 2_000, 2_900, 4_000] {
            detector.heard(at(ms));
        }
        // Intervals 900, 1100, 900, 1100: mean 1000, deviation 100.
        let phi = |ms: i64| detector.phi(at(4_000 + ms)).unwrap();
        // P(later) of 0, 1, 2 and 3 deviations: 0.5, 0.158655, 0.022750, 0.001350.
        for (ms, later) in [
            (1_000, 0.5),
            (1_100, 0.158_655_254),
            (1_200, 0.022_750_132),
            (1_300, 0.001_349_898),
        ] {
            assert!((phi(ms) + f64::log10(later)).abs() < 1e-6, "{ms}");
        }
    }

    #[test]
    fn uneven_heartbeats_make_it_patient_and_even_ones_make_it_quick() {
        let (mut even, mut uneven) = (accrual(8.0, 20, 10), accrual(8.0, 20, 10));
        for beat in 1..=50 {
            even.heard(at(beat * 500));
            uneven.heard(at(beat * 500 + (beat % 2) * 200));
        }
        assert!(even.patience < Span::from_millis(600), "{}", even.patience);
        assert!(uneven.patience > Span::from_millis(1_000), "{}", uneven.patience);
    }

    #[test]
    fn the_silence_of_a_crash_is_not_learned() {
        let mut detector = accrual(8.0, 100, 10);
        (1..=50).for_each(|beat| detector.heard(at(beat * 500)));
        let before = detector.patience;
        detector.heard(at(1_000_000));
        assert_eq!(detector.patience, before);
    }

    proptest! {
        #[test]
        fn it_suspects_from_the_first_moment_at_which_phi_has_reached_the_threshold(
            intervals in prop::collection::vec(1i64..3_000, 0..20), threshold in 0.5f64..12.0, window in 2u32..10
        ) {
            let mut detector = accrual(threshold, window, 20);
            let mut now = 0;
            for interval in intervals {
                now += interval;
                detector.heard(at(now));
            }
            let deadline = detector.deadline();
            prop_assert!(detector.suspects(deadline) && !detector.suspects(deadline - Span::UNIT));
            prop_assert!(detector.phi(deadline).unwrap() >= threshold);
            prop_assert!(deadline - Span::UNIT <= detector.last || detector.phi(deadline - Span::UNIT).unwrap() < threshold);
        }
    }
}
