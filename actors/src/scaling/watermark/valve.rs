//! The combined watermark of several inputs.
//!
//! The rule of `Flink`'s valve is that of its class `StatusWatermarkValve`: an input that was idle counts again when it has
//! caught up, and when all are idle the largest watermark of all is sent before that is said.

use serde::{Deserialize, Serialize};
use wavetank_scenarios::Time;
use wavetank_scenarios::script::{AllIdle, Combine, Returns, ValveSettings};

use crate::reliability::{State, StateError};

/// The combined watermark of several inputs: the minimum or maximum, an idle input left out until it counts again, an
/// ended one out for good. It never steps back.
#[derive(Clone, Debug)]
pub struct Valve {
    settings: ValveSettings,
    inputs: Vec<Gauge>,
    combined: Time,
    idle: bool,
    told_end: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Gauge {
    watermark: Time,
    idle: bool,
    ended: bool,
    /// False for one that was idle and has not caught up.
    aligned: bool,
}

impl Gauge {
    const fn counts(&self) -> bool {
        !self.ended && !self.idle && self.aligned
    }
}

impl Valve {
    /// For that many inputs, none of which has said anything.
    pub fn new(inputs: usize, settings: ValveSettings) -> Self {
        let silent = Gauge {
            watermark: Time::MIN,
            idle: false,
            ended: false,
            aligned: true,
        };
        Self {
            settings,
            inputs: vec![silent; inputs],
            combined: Time::MIN,
            idle: false,
            told_end: false,
        }
    }
    /// An input sent a watermark; one that is lower than its last is ignored, and so is what an idle one says.
    pub fn watermark(&mut self, input: usize, watermark: Time) {
        let gauge = &mut self.inputs[input];
        if !gauge.idle {
            gauge.watermark = gauge.watermark.max(watermark);
            gauge.aligned |= gauge.watermark >= self.combined;
        }
    }
    /// An input became idle, or spoke again.
    pub fn idle(&mut self, input: usize, idle: bool) {
        let gauge = &mut self.inputs[input];
        if gauge.idle != idle {
            gauge.idle = idle;
            gauge.aligned = self.settings.returns == Returns::AtOnce || gauge.watermark >= self.combined;
        }
    }
    /// An input ended.
    pub fn end(&mut self, input: usize) {
        self.inputs[input].ended = true;
    }
    /// The combined watermark by now, where it is larger than the last one.
    pub fn ready(&self) -> Option<Time> {
        let all_ended = self.inputs.iter().all(|gauge| gauge.ended);
        let silent = !all_ended && self.inputs.iter().all(|gauge| gauge.ended || gauge.idle);
        let counting = self
            .inputs
            .iter()
            .filter(|gauge| gauge.counts())
            .map(|gauge| gauge.watermark);
        let combined = if all_ended {
            Some(Time::MAX)
        } else if silent && self.settings.all_idle == AllIdle::Flush {
            let open = self.inputs.iter().filter(|gauge| !gauge.ended);
            open.map(|gauge| gauge.watermark).max()
        } else if silent {
            None
        } else if self.settings.combine == Combine::Max {
            counting.max()
        } else {
            counting.min()
        };
        combined.filter(|combined| *combined > self.combined)
    }
    /// The combined watermark is now this; false when that is no step forward.
    pub fn advance(&mut self, watermark: Time) -> bool {
        let grows = watermark > self.combined;
        self.combined = self.combined.max(watermark);
        grows
    }
    /// The combined watermark, if it has grown since this was last asked.
    pub fn grown(&mut self) -> Option<Time> {
        self.ready().inspect(|watermark| self.combined = *watermark)
    }
    /// The combined watermark so far.
    pub const fn combined(&self) -> Time {
        self.combined
    }
    /// Whether all inputs together became idle (`true`) or active again (`false`) since this was last asked.
    pub fn turned(&mut self) -> Option<bool> {
        let ended = self.inputs.iter().all(|gauge| gauge.ended);
        let idle = !ended && self.inputs.iter().all(|gauge| gauge.ended || gauge.idle);
        (idle != self.idle).then(|| {
            self.idle = idle;
            idle
        })
    }
    /// Whether all inputs have ended.
    pub fn all_ended(&self) -> bool {
        self.inputs.iter().all(|gauge| gauge.ended)
    }
    /// True once: when the last input has ended.
    pub fn ended(&mut self) -> bool {
        !std::mem::replace(&mut self.told_end, self.inputs.iter().all(|gauge| gauge.ended)) && self.told_end
    }

    /// Puts what all inputs have said into a snapshot.
    pub fn save(&self, state: &mut State) {
        state.put(VALVE, &(&self.inputs, self.combined, self.idle, self.told_end));
    }
    /// Takes it back.
    ///
    /// # Errors
    /// It is not that of a valve with so many inputs.
    pub fn restore(&mut self, state: &State) -> Result<(), StateError> {
        let (inputs, combined, idle, told_end): (Vec<Gauge>, _, _, _) = state.get(VALVE)?;
        StateError::unless(
            inputs.len() == self.inputs.len(),
            VALVE,
            "it is of another number of inputs",
        )?;
        (self.inputs, self.combined, self.idle, self.told_end) = (inputs, combined, idle, told_end);
        Ok(())
    }
}

/// The part of a saved state that is a valve.
const VALVE: &str = "valve";

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Time {
        Time::from_micros(micros)
    }

    #[test]
    fn the_slowest_input_rules_and_nothing_grows_before_all_have_spoken() {
        let mut valve = Valve::new(2, ValveSettings::default());
        valve.watermark(0, at(10));
        assert_eq!(valve.grown(), None);
        valve.watermark(1, at(4));
        assert_eq!(valve.grown(), Some(at(4)));
        valve.watermark(0, at(20));
        assert_eq!(valve.grown(), None);
        valve.watermark(1, at(15));
        assert_eq!(valve.grown(), Some(at(15)));
    }

    #[test]
    fn an_idle_input_is_left_out_until_it_speaks_again_and_then_holds_the_rest() {
        let mut valve = Valve::new(2, ValveSettings::default());
        valve.watermark(0, at(10));
        valve.idle(1, true);
        assert_eq!(valve.grown(), Some(at(10)));
        valve.idle(1, false);
        valve.watermark(1, at(5));
        valve.watermark(0, at(30));
        assert_eq!(
            valve.grown(),
            None,
            "the late riser is at 5 and the watermark never steps back"
        );
        valve.watermark(1, at(12));
        assert_eq!(valve.grown(), Some(at(12)));
    }

    #[test]
    fn all_idle_is_told_once_and_ends_with_the_first_that_speaks() {
        let mut valve = Valve::new(2, ValveSettings::default());
        valve.idle(0, true);
        assert_eq!(valve.turned(), None);
        valve.idle(1, true);
        assert_eq!((valve.turned(), valve.turned()), (Some(true), None));
        valve.idle(0, false);
        assert_eq!((valve.turned(), valve.turned()), (Some(false), None));
    }

    #[test]
    fn the_end_of_all_inputs_is_the_last_watermark_and_is_told_once() {
        let mut valve = Valve::new(2, ValveSettings::default());
        valve.end(0);
        assert_eq!((valve.grown(), valve.ended()), (None, false));
        valve.watermark(1, at(3));
        assert_eq!(valve.grown(), Some(at(3)), "an ended input holds nothing back");
        valve.end(1);
        assert_eq!(
            (valve.grown(), valve.ended(), valve.ended()),
            (Some(Time::MAX), true, false)
        );
    }
}
