//! The naive model of a stage that combines the watermarks of its inputs.

use wavetank_scenarios::Time;
use wavetank_scenarios::script::ValveSettings;

use super::{Channels, Signal};

/// The naive model of a stage that combines the watermarks of its inputs.
#[derive(Clone)]
pub struct Minimum {
    channels: Channels,
    /// The watermark that has passed.
    passed: Time,
    idle: bool,
    /// All inputs have ended, and the end was held back.
    ending: bool,
    over: bool,
}

impl Minimum {
    /// A stage with that many inputs.
    pub fn new(inputs: usize, settings: ValveSettings) -> Self {
        Self {
            channels: Channels::new(inputs, settings),
            passed: Time::MIN,
            idle: false,
            ending: false,
            over: false,
        }
    }

    /// The same stage, which has heard nothing yet.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self::new(self.channels.all.len(), self.channels.settings)
    }

    /// The combined watermark so far.
    pub fn watermark(&self) -> Time {
        self.channels.sent.unwrap_or(Time::MIN)
    }

    /// Whether all inputs have ended.
    pub fn ended(&self) -> bool {
        self.channels.all_ended()
    }

    /// Whether the end has been passed on.
    pub const fn over(&self) -> bool {
        self.over
    }

    /// Takes a signal of an input; the combined watermark, if it has grown.
    pub fn arrive(&mut self, input: usize, signal: Signal) -> Option<Time> {
        if self.over || input >= self.channels.all.len() {
            return None;
        }
        match signal {
            Signal::Watermark(watermark) => self.channels.say(input, watermark),
            Signal::Idle(idle) => self.channels.idle(input, idle),
            Signal::End => self.channels.all[input].ended = true,
            Signal::Hold(..) | Signal::Epoch(_) | Signal::Barrier(_) => {}
        }
        let grown = self.channels.next()?;
        self.channels.sent = Some(grown);
        Some(grown)
    }

    /// What must be passed on now, by a stage that lets no watermark above `limit` pass: whether all are idle, the
    /// watermark if it is larger than the last one that passed, the end. Only the watermark where `signalled` is false:
    /// nothing came on an input but an event, or a timer.
    pub fn say(&mut self, limit: Time, signalled: bool) -> Vec<Signal> {
        self.say_when(limit, signalled, false)
    }

    /// The same of a stage that may still wait for something when all inputs have ended: the end then comes when it does not
    /// any more.
    pub fn say_when(&mut self, limit: Time, signalled: bool, waits: bool) -> Vec<Signal> {
        let mut due = Vec::new();
        if self.over {
            return due;
        }
        let silent = self.channels.silent();
        let turns = signalled && silent != self.idle;
        if turns {
            self.idle = silent;
        }
        // That one speaks again is said before anything else, that all are silent after it.
        due.extend((turns && !silent).then_some(Signal::Idle(false)));
        let allowed = self.watermark().min(limit);
        if allowed > self.passed {
            self.passed = allowed;
            due.push(Signal::Watermark(allowed));
        }
        due.extend((turns && silent).then_some(Signal::Idle(true)));
        if (signalled || self.ending) && self.channels.all_ended() {
            (self.ending, self.over) = (waits, !waits);
            due.extend(self.over.then_some(Signal::End));
        }
        due
    }
}

#[cfg(test)]
mod tests;
