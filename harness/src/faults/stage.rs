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
    periods: Vec<(Time, Time)>,
    /// Decides how much.
    amount: Option<(Sampler, DrawKey)>,
    name: u64,
}

impl StageFault {
    pub fn new(active: &Active, operator: &str) -> Self {
        let fault = &active.fault;
        let key = || DrawKey::new(active.run.seed, &fault.id, "amount", operator);
        Self {
            periods: active.periods(),
            amount: fault.amount.as_ref().map(|amount| (amount.sampler(), key())),
            name: name_key(operator),
            active: active.clone(),
        }
    }

    /// What becomes of the watermark of that number, and by which fault, if this one acts then.
    pub fn meddle(&self, number: u64, at: Time) -> Option<(usize, Meddling)> {
        if !self.periods.iter().any(|(from, to)| *from <= at && at < *to) {
            return None;
        }
        let meddling = match self.active.fault.kind {
            FaultKind::SwallowWatermarks => Meddling::Swallow,
            FaultKind::RepeatWatermarks => Meddling::Repeat,
            FaultKind::HastenWatermarks => Meddling::Hasten,
            _ => {
                let (sampler, key) = self.amount.as_ref()?;
                Meddling::Delay(sampler.sample(&mut key.rng(self.name, number, 0)).max(Span::ZERO))
            }
        };
        Some((self.active.index, meddling))
    }
}
