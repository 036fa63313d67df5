//! Faults in operators: what becomes of the watermarks that they pass on.

use wavetank_actors::world::Meddling;
use wavetank_scenarios::distribution::Sampler;
use wavetank_scenarios::draw::{DrawKey, name_key};
use wavetank_scenarios::fault::FaultKind;
use wavetank_scenarios::{Span, Time};

use super::Active;

/// One fault in one operator.
#[derive(Debug)]
pub(super) struct StageFault {
    active: Active,
    /// Decides which watermarks are hit.
    hit: DrawKey,
    /// Decides how much.
    amount: Option<(Sampler, DrawKey)>,
    /// Hits the first watermark at or after each of these moments, where there are any.
    moments: Option<std::iter::Peekable<std::vec::IntoIter<Span>>>,
    name: u64,
}

impl StageFault {
    pub fn new(active: &Active, operator: &str) -> Self {
        let fault = &active.fault;
        let key = |purpose| DrawKey::new(active.run.seed, &fault.id, purpose, operator);
        let moments = || active.schedule.moments().collect::<Vec<_>>().into_iter().peekable();
        Self {
            hit: key("hit"),
            amount: fault.amount.as_ref().map(|amount| (amount.sampler(), key("amount"))),
            moments: active.schedule.has_moments().then(moments),
            name: name_key(operator),
            active: active.clone(),
        }
    }

    /// What becomes of the watermark of that number, and by which fault, if this one hits it.
    pub fn meddle(&mut self, number: u64, at: Time) -> Option<(usize, Meddling)> {
        let since = self.active.since_start(at);
        let hit = match &mut self.moments {
            Some(moments) => {
                let mut due = false;
                while moments.next_if(|moment| *moment <= since).is_some() {
                    due = true;
                }
                due
            }
            None => self.active.schedule.within(since) && self.hit.unit(self.name, number, 0) < self.active.fault.rate,
        };
        let meddling = match self.active.fault.kind {
            FaultKind::SwallowWatermarks => Meddling::Swallow,
            FaultKind::RepeatWatermarks => Meddling::Repeat,
            FaultKind::HastenWatermarks => Meddling::Hasten,
            _ => {
                let (sampler, key) = self.amount.as_ref()?;
                Meddling::Delay(sampler.sample(&mut key.rng(self.name, number, 0)).max(Span::ZERO))
            }
        };
        hit.then_some((self.active.index, meddling))
    }
}
