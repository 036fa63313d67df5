//! The counter that sources ask for the number of the epoch, where they share no clock.

use wavetank_scenarios::script::Epoch;
use wavetank_scenarios::{Span, Time};

use crate::element::Element;
use crate::host::Part;
use crate::world::{Effect, Input, Stage};

/// Answers with how often `every` has passed on its node's wall clock since the run began.
pub(crate) struct Counter {
    every: Span,
    start: Time,
}

impl Counter {
    pub const fn new(epoch: &Epoch, start: Time) -> Self {
        Self {
            every: epoch.every,
            start,
        }
    }
}

impl Part for Counter {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        if let Input::Element {
            input,
            element: Element::Ask,
            ..
        } = input
        {
            let passed = stage.wall().since(self.start).micros().max(0);
            let number = (passed / self.every.micros().max(1)) as u64;
            stage.put(Effect::Answer { input, number });
        }
    }
}
