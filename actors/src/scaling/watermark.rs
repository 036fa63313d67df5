//! The watermark pattern: a generator with bounded disorder, and the minimum over inputs.
//!
//! A watermark `w` says that no more event with a stamp at or below `w` is expected. The generator stands behind the
//! links that lead to its operator, passes every event on at its place, and sends `M − behind − 1 tick` behind it, `M`
//! being the largest stamp seen.

use wavetank_scenarios::script::{Scope, Watermark};
use wavetank_scenarios::topology::Port;
use wavetank_scenarios::{Span, Time};

use crate::element::Element;
use crate::host::Part;
use crate::world::{Input, Stage};

/// The generator of one operator.
#[derive(Debug)]
pub(crate) struct Generator {
    settings: Watermark,
    tick: Span,
    inputs: Vec<Heard>,
    /// One largest stamp for all inputs, with scope `input`.
    largest: Option<Time>,
    sent: Time,
    idle: bool,
    ended: bool,
}

/// What a generator knows of one input.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    largest: Option<Time>,
    /// By the monotonic clock.
    last: Time,
    idle: bool,
    ended: bool,
    /// A timer that looks for silence is under way.
    armed: bool,
}

/// The token of a generator's timer of `every`; its timers that look for silence carry the number of an input.
pub const EVERY: u64 = u64::MAX;

impl Generator {
    pub fn new(settings: Watermark, tick: Span, inputs: usize) -> Self {
        Self {
            settings,
            tick,
            inputs: vec![Heard::default(); inputs],
            largest: None,
            sent: Time::MIN,
            idle: false,
            ended: false,
        }
    }

    /// The largest stamp that rules: the minimum over the inputs that count, `None` when one of them has not spoken.
    fn ruling(&self) -> Option<Time> {
        match self.settings.scope {
            Scope::Input => self.largest,
            Scope::Source => {
                let mut counting = self
                    .inputs
                    .iter()
                    .filter(|input| !input.idle && !input.ended)
                    .peekable();
                counting.peek()?;
                counting.map(|input| input.largest).min().flatten()
            }
        }
    }

    fn send_if_grown(&mut self, stage: &Stage) {
        if self.inputs.iter().all(|input| input.idle || input.ended) {
            return;
        }
        let Some(ruling) = self.ruling() else { return };
        let watermark = ruling - self.settings.behind - self.tick;
        if watermark > self.sent {
            self.sent = watermark;
            stage.send(Port::Main, Element::Watermark(watermark));
        }
    }

    /// What follows when an input fell silent or ended.
    fn fewer(&mut self, stage: &Stage) {
        if self.ended {
            return;
        }
        if self.inputs.iter().all(|input| input.ended) {
            self.ended = true;
            stage.send(Port::Main, Element::Watermark(Time::MAX));
            stage.send(Port::Main, Element::End);
        } else if self.inputs.iter().all(|input| input.idle || input.ended) {
            if !self.idle {
                self.idle = true;
                stage.send(Port::Main, Element::Idle(true));
            }
        } else if self.settings.every.is_none() {
            self.send_if_grown(stage);
        }
    }
}

impl Part for Generator {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        match input {
            Input::Enter { .. } => {
                let now = stage.monotonic();
                for (number, heard) in self.inputs.iter_mut().enumerate() {
                    heard.last = now;
                    heard.armed = self.settings.idle.is_some();
                    if let Some(idle) = self.settings.idle {
                        stage.timer(idle, number as u64);
                    }
                }
                if let Some(every) = self.settings.every {
                    stage.timer(every, EVERY);
                }
            }
            Input::Timer(EVERY) => {
                self.send_if_grown(stage);
                if let Some(every) = self.settings.every.filter(|_| !self.ended) {
                    stage.timer(every, EVERY);
                }
            }
            Input::Timer(number) => {
                let Some(idle) = self.settings.idle else { return };
                let now = stage.monotonic();
                // All that are silent by now are found silent together, whichever timer looks first.
                for heard in &mut self.inputs {
                    heard.idle |= now.since(heard.last) >= idle;
                }
                if let Some(heard) = self.inputs.get_mut(number as usize) {
                    heard.armed = !heard.idle && !heard.ended;
                    if heard.armed {
                        stage.timer(idle - now.since(heard.last), number);
                    }
                }
                self.fewer(stage);
            }
            Input::Element { input, lane, element } => match element {
                Element::Event(event) => {
                    let heard = &mut self.inputs[input];
                    let stamp = event.stamp;
                    heard.largest = heard.largest.max(Some(stamp));
                    self.largest = self.largest.max(Some(stamp));
                    if let Some(idle) = self.settings.idle {
                        heard.last = stage.monotonic();
                        heard.idle = false;
                        if !std::mem::replace(&mut heard.armed, true) {
                            stage.timer(idle, input as u64);
                        }
                    }
                    if std::mem::take(&mut self.idle) {
                        stage.send(Port::Main, Element::Idle(false));
                    }
                    stage.pass_on(lane, Element::Event(event));
                    if self.settings.every.is_none() {
                        self.send_if_grown(stage);
                    }
                }
                // What comes from upstream promises nothing about what its link did since: this generator is the judge.
                Element::Watermark(_) | Element::Idle(_) | Element::Progress(_) => {}
                Element::End => {
                    self.inputs[input].ended = true;
                    self.fewer(stage);
                }
            },
        }
    }
}

/// The combined watermark of several inputs: the minimum, an idle input left out until it speaks again, an ended one out
/// for good. It never steps back.
#[derive(Clone, Debug)]
pub struct Valve {
    inputs: Vec<Gauge>,
    combined: Time,
    idle: bool,
    told_end: bool,
}

#[derive(Clone, Copy, Debug)]
struct Gauge {
    watermark: Time,
    idle: bool,
    ended: bool,
}

impl Valve {
    /// For that many inputs, none of which has said anything.
    pub fn new(inputs: usize) -> Self {
        let silent = Gauge {
            watermark: Time::MIN,
            idle: false,
            ended: false,
        };
        Self {
            inputs: vec![silent; inputs],
            combined: Time::MIN,
            idle: false,
            told_end: false,
        }
    }
    /// An input sent a watermark; one that is lower than its last is ignored.
    pub fn watermark(&mut self, input: usize, watermark: Time) {
        let gauge = &mut self.inputs[input];
        gauge.watermark = gauge.watermark.max(watermark);
    }
    /// An input became idle, or spoke again.
    pub fn idle(&mut self, input: usize, idle: bool) {
        self.inputs[input].idle = idle;
    }
    /// An input ended.
    pub fn end(&mut self, input: usize) {
        self.inputs[input].ended = true;
    }
    /// The combined watermark, if it has grown since this was last asked.
    pub fn grown(&mut self) -> Option<Time> {
        let mut counting = self
            .inputs
            .iter()
            .filter(|gauge| !gauge.ended && !gauge.idle)
            .peekable();
        let all_ended = self.inputs.iter().all(|gauge| gauge.ended);
        let minimum = match counting.peek() {
            Some(_) => counting.map(|gauge| gauge.watermark).min()?,
            None if all_ended => Time::MAX,
            None => return None,
        };
        (minimum > self.combined).then(|| {
            self.combined = minimum;
            minimum
        })
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
    /// True once: when the last input has ended.
    pub fn ended(&mut self) -> bool {
        !std::mem::replace(&mut self.told_end, self.inputs.iter().all(|gauge| gauge.ended)) && self.told_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Time {
        Time::from_micros(micros)
    }

    #[test]
    fn the_slowest_input_rules_and_nothing_grows_before_all_have_spoken() {
        let mut valve = Valve::new(2);
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
        let mut valve = Valve::new(2);
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
        let mut valve = Valve::new(2);
        valve.idle(0, true);
        assert_eq!(valve.turned(), None);
        valve.idle(1, true);
        assert_eq!((valve.turned(), valve.turned()), (Some(true), None));
        valve.idle(0, false);
        assert_eq!((valve.turned(), valve.turned()), (Some(false), None));
    }

    #[test]
    fn the_end_of_all_inputs_is_the_last_watermark_and_is_told_once() {
        let mut valve = Valve::new(2);
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
