//! The machine's clock: the one place at which real time enters, for runs that follow it and for what a person waits.

#![allow(clippy::disallowed_methods, reason = "this is where real time enters")]

use std::time::{Duration, Instant};

use wavetank_actors::world::Pace;
use wavetank_scenarios::{Span, Time};

/// How long something takes on the machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }
    /// What has gone by since.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A run that follows the machine's clock: an entry is delivered when its instant has come, or later when the machine
/// does not keep up.
#[derive(Clone, Copy, Debug)]
pub struct Real {
    began: Option<Instant>,
    start: Time,
    speed: f64,
}

impl Real {
    /// A clock that shows `start` when the run begins and then runs `speed` times as fast as the machine's.
    pub const fn new(start: Time, speed: f64) -> Self {
        Self {
            began: None,
            start,
            speed,
        }
    }
    fn now(&self, began: Instant) -> Time {
        self.start + Span::from_secs_f64(began.elapsed().as_secs_f64() * self.speed)
    }
}

impl Pace for Real {
    async fn wait(&mut self, until: Time) -> Time {
        let began = *self.began.get_or_insert_with(Instant::now);
        let ahead = until.since(self.now(began));
        if ahead > Span::ZERO {
            let wait = Duration::try_from_secs_f64(ahead.as_secs_f64() / self.speed).unwrap_or(Duration::MAX);
            tokio::time::sleep(wait).await;
        }
        self.now(began).max(until)
    }
}
