//! Watermarks: what a generator must send, and the minimum over inputs.
//!
//! The model in words. A generator with bounded disorder `B` keeps the largest stamp `M` of each input (or one for all,
//! by `scope`). Its watermark is the smallest `M − B − 1 tick` of the inputs that still count: those that have neither
//! ended nor been silent for `idle` on the node's monotonic clock. It is sent behind the event that made it grow, or at
//! the next tick of its timer where there is `every`. Nothing is sent until every input that counts has spoken. When all
//! that have not ended are idle, that is said, and the watermark stays; the next event takes it back first. When all have
//! ended, the last watermark and the end follow at once.
//!
//! A stage with several inputs takes the minimum over those that are not idle; one that speaks again counts again at once,
//! so it holds the others back until it has caught up. An ended input counts as one that has seen everything. A watermark
//! never steps back.

use wavetank_scenarios::script::{Scope, Watermark};
use wavetank_scenarios::{Span, Time};

/// Something that happened at a generator. Times are readings of its node's monotonic clock since it started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// An event came.
    Event {
        /// On which input. Every producer has an input of its own.
        input: usize,
        /// Its event time.
        stamp: Time,
        /// When.
        at: Span,
    },
    /// The sender said that it is idle (`true`) or active again.
    Idle {
        /// Which input.
        input: usize,
        /// Whether it is idle.
        idle: bool,
    },
    /// The input ended.
    End {
        /// Which input.
        input: usize,
    },
    /// The timer of `every`.
    Tick,
    /// A timer that looks for silence.
    Look {
        /// When.
        at: Span,
    },
}

/// Something that a generator or a stage must send, in order, behind the event that is its cause (but [`Signal::Idle`]
/// `false`, which goes before it).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// A watermark.
    Watermark(Time),
    /// All inputs are idle (`true`), or one is active again.
    Idle(bool),
    /// Everything has ended.
    End,
}

/// The naive model of a watermark generator with bounded disorder.
pub struct Generator {
    settings: Watermark,
    tick: Span,
    inputs: Vec<Heart>,
    sent: Time,
    idle: bool,
    over: bool,
}

/// What is known of one input.
#[derive(Clone, Copy)]
struct Heart {
    largest: Option<Time>,
    last_heard: Span,
    idle: bool,
    ended: bool,
}

impl Generator {
    /// A generator over that many inputs, just started.
    pub fn new(settings: &Watermark, inputs: usize, tick: Span) -> Self {
        Self {
            settings: settings.clone(),
            tick,
            inputs: vec![
                Heart {
                    largest: None,
                    last_heard: Span::ZERO,
                    idle: false,
                    ended: false,
                };
                inputs
            ],
            sent: Time::MIN,
            idle: false,
            over: false,
        }
    }

    /// What must be sent because of this.
    pub fn arrive(&mut self, heard: Heard) -> Vec<Signal> {
        let mut due = Vec::new();
        if self.over {
            return due;
        }
        match heard {
            Heard::Event { input, stamp, at } => {
                if let Some(heart) = self.inputs.get_mut(input) {
                    heart.largest = heart.largest.max(Some(stamp));
                    heart.last_heard = at;
                    heart.idle = false;
                }
            }
            Heard::Idle { input, idle } => {
                if let Some(heart) = self.inputs.get_mut(input) {
                    heart.idle = idle;
                }
            }
            Heard::End { input } => {
                if let Some(heart) = self.inputs.get_mut(input) {
                    heart.ended = true;
                }
            }
            Heard::Look { at } => self.look(at),
            Heard::Tick => {}
        }
        let silent = !self.counting().any(|_| true);
        let all_ended = self.inputs.iter().all(|h| h.ended);
        if self.idle != (silent && !all_ended) && !all_ended {
            self.idle = silent;
            due.push(Signal::Idle(silent));
        }
        if self.settings.every.is_none() || heard == Heard::Tick {
            due.extend(self.grown());
        }
        if all_ended {
            self.over = true;
            due.extend([Signal::Watermark(Time::MAX), Signal::End]);
        }
        due
    }

    /// The inputs that still count.
    fn counting(&self) -> impl Iterator<Item = &Heart> {
        self.inputs.iter().filter(|h| !h.idle && !h.ended)
    }

    /// Inputs that have been silent for too long are idle. Where all share one largest stamp, they are silent together.
    fn look(&mut self, at: Span) {
        let Some(limit) = self.settings.idle else {
            return;
        };
        let last_of_all = self.inputs.iter().map(|h| h.last_heard).max().unwrap_or_default();
        for heart in &mut self.inputs {
            let last = match self.settings.scope {
                Scope::Source => heart.last_heard,
                Scope::Input => last_of_all,
            };
            heart.idle |= at - last >= limit;
        }
    }

    /// The watermark, if it has grown.
    fn grown(&mut self) -> Option<Signal> {
        let largest = match self.settings.scope {
            Scope::Input if self.counting().next().is_some() => self.inputs.iter().filter_map(|h| h.largest).max(),
            Scope::Input => None,
            // An input without an event makes this `None`, which is the smallest of all.
            Scope::Source => self.counting().map(|h| h.largest).min().flatten(),
        };
        let watermark = largest? - self.settings.behind - self.tick;
        (watermark > self.sent).then(|| {
            self.sent = watermark;
            Signal::Watermark(watermark)
        })
    }
}

/// The naive model of a stage that combines the watermarks of its inputs.
pub struct Minimum {
    inputs: Vec<Channel>,
    combined: Time,
    sent: Time,
    idle: bool,
    over: bool,
}

#[derive(Clone, Copy)]
struct Channel {
    watermark: Option<Time>,
    idle: bool,
    ended: bool,
}

impl Minimum {
    /// A stage with that many inputs.
    pub fn new(inputs: usize) -> Self {
        let channel = Channel {
            watermark: None,
            idle: false,
            ended: false,
        };
        Self {
            inputs: vec![channel; inputs],
            combined: Time::MIN,
            sent: Time::MIN,
            idle: false,
            over: false,
        }
    }

    /// How many inputs it has.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// The combined watermark so far.
    pub const fn watermark(&self) -> Time {
        self.combined
    }

    /// Whether the end has been passed on.
    pub const fn over(&self) -> bool {
        self.over
    }

    /// Takes a signal of an input; the combined watermark, if it has grown.
    pub fn arrive(&mut self, input: usize, signal: Signal) -> Option<Time> {
        let channel = self.inputs.get_mut(input).filter(|_| !self.over)?;
        match signal {
            Signal::Watermark(w) if !channel.idle => {
                channel.watermark = channel.watermark.max(Some(w));
            }
            Signal::Watermark(_) => {}
            Signal::Idle(idle) => channel.idle = idle,
            Signal::End => {
                channel.ended = true;
                channel.idle = false;
                channel.watermark = Some(Time::MAX);
            }
        }
        let silent = self.silent();
        let counting = self.inputs.iter().filter(|c| !c.idle);
        let minimum = counting.map(|c| c.watermark).min().flatten().filter(|_| !silent);
        let grown = minimum.filter(|w| *w > self.combined)?;
        self.combined = grown;
        Some(grown)
    }

    /// What must be passed on now, by a stage that lets no watermark above `limit` pass: whether all are idle, the
    /// watermark if it is larger than the last one that passed, the end. Only the watermark where `signalled` is false:
    /// nothing came on an input but an event, or a timer.
    pub fn say(&mut self, limit: Time, signalled: bool) -> Vec<Signal> {
        let mut due = Vec::new();
        if self.over {
            return due;
        }
        let silent = self.silent();
        if signalled && silent != self.idle {
            self.idle = silent;
            due.push(Signal::Idle(silent));
        }
        let allowed = self.combined.min(limit);
        if allowed > self.sent {
            self.sent = allowed;
            due.push(Signal::Watermark(allowed));
        }
        if signalled && self.all_ended() {
            self.over = true;
            due.push(Signal::End);
        }
        due
    }

    fn all_ended(&self) -> bool {
        self.inputs.iter().all(|c| c.ended)
    }

    fn silent(&self) -> bool {
        !self.all_ended() && self.inputs.iter().all(|c| c.idle || c.ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a stage passes on because of a signal.
    fn tell(minimum: &mut Minimum, input: usize, signal: Signal) -> Vec<Signal> {
        minimum.arrive(input, signal);
        minimum.say(Time::MAX, true)
    }

    fn at(micros: i64) -> Time {
        Time::from_micros(micros)
    }
    fn span(micros: i64) -> Span {
        Span::from_micros(micros)
    }
    fn generator(behind: i64, idle: Option<i64>, scope: Scope, every: Option<i64>, inputs: usize) -> Generator {
        let settings = Watermark {
            behind: span(behind),
            idle: idle.map(span),
            scope,
            every: every.map(span),
        };
        Generator::new(&settings, inputs, Span::UNIT)
    }
    fn event(input: usize, stamp: i64, when: i64) -> Heard {
        Heard::Event {
            input,
            stamp: at(stamp),
            at: span(when),
        }
    }
    fn sent(micros: i64) -> Vec<Signal> {
        vec![Signal::Watermark(at(micros))]
    }

    #[test]
    fn a_watermark_is_the_largest_stamp_less_the_disorder_and_a_tick_and_never_steps_back() {
        let mut g = generator(10, None, Scope::Source, None, 1);
        assert_eq!(g.arrive(event(0, 100, 0)), sent(89));
        assert_eq!(g.arrive(event(0, 95, 1)), []);
        assert_eq!(g.arrive(event(0, 101, 2)), sent(90));
    }

    #[test]
    fn nothing_is_sent_until_every_source_has_spoken_or_is_idle() {
        let mut g = generator(0, Some(50), Scope::Source, None, 2);
        assert_eq!(g.arrive(event(0, 100, 10)), []);
        assert_eq!(g.arrive(Heard::Look { at: span(49) }), []);
        assert_eq!(g.arrive(Heard::Look { at: span(50) }), sent(99));
        assert_eq!(
            g.arrive(event(1, 20, 55)),
            [],
            "it speaks again and holds the minimum, which stays"
        );
        assert_eq!(g.arrive(event(0, 200, 56)), []);
        assert_eq!(g.arrive(event(1, 150, 57)), sent(149));
    }

    #[test]
    fn one_scope_for_all_inputs_goes_with_the_fastest() {
        let mut g = generator(0, None, Scope::Input, None, 2);
        assert_eq!(g.arrive(event(0, 100, 0)), sent(99));
        assert_eq!(g.arrive(event(1, 20, 1)), []);
    }

    #[test]
    fn when_all_are_silent_that_is_said_once_and_taken_back_before_the_next_event() {
        let mut g = generator(0, Some(50), Scope::Source, None, 1);
        assert_eq!(g.arrive(event(0, 100, 10)), sent(99));
        assert_eq!(g.arrive(Heard::Look { at: span(60) }), [Signal::Idle(true)]);
        assert_eq!(g.arrive(Heard::Look { at: span(70) }), []);
        assert_eq!(
            g.arrive(event(0, 120, 80)),
            [Signal::Idle(false), Signal::Watermark(at(119))]
        );
    }

    #[test]
    fn with_a_timer_it_is_sent_at_its_ticks_if_it_has_grown() {
        let mut g = generator(0, None, Scope::Source, Some(10), 1);
        assert_eq!(g.arrive(event(0, 100, 1)), []);
        assert_eq!(g.arrive(Heard::Tick), sent(99));
        assert_eq!(g.arrive(Heard::Tick), []);
    }

    #[test]
    fn an_ended_input_holds_nothing_back_and_the_last_end_ends_all() {
        let mut g = generator(0, None, Scope::Source, None, 2);
        assert_eq!(g.arrive(event(0, 100, 0)), []);
        assert_eq!(g.arrive(Heard::End { input: 1 }), sent(99));
        assert_eq!(
            g.arrive(Heard::End { input: 0 }),
            [Signal::Watermark(Time::MAX), Signal::End]
        );
    }

    #[test]
    fn the_end_of_one_and_the_silence_of_the_other_promise_nothing() {
        let mut g = generator(0, Some(50), Scope::Source, None, 2);
        g.arrive(event(0, 100, 0));
        g.arrive(event(1, 200, 0));
        assert_eq!(g.arrive(Heard::End { input: 1 }), []);
        assert_eq!(g.arrive(Heard::Look { at: span(60) }), [Signal::Idle(true)]);
    }

    #[test]
    fn the_minimum_waits_for_all_and_leaves_the_idle_out() {
        let mut m = Minimum::new(2);
        let w = |t| Signal::Watermark(at(t));
        assert_eq!(tell(&mut m, 0, w(10)), []);
        assert_eq!(tell(&mut m, 1, w(5)), [w(5)]);
        assert_eq!(tell(&mut m, 1, w(4)), [], "a step back is ignored");
        assert_eq!(tell(&mut m, 1, Signal::Idle(true)), [w(10)]);
        assert_eq!(tell(&mut m, 0, w(20)), [w(20)]);
        assert_eq!(tell(&mut m, 1, w(30)), [], "what an idle input says is ignored");
        assert_eq!(tell(&mut m, 1, Signal::Idle(false)), []);
        assert_eq!(tell(&mut m, 0, w(25)), [], "it lags, and holds the other back");
        assert_eq!(tell(&mut m, 1, w(40)), [w(25)]);
        assert_eq!(tell(&mut m, 0, w(50)), [w(40)]);
    }

    #[test]
    fn the_minimum_says_when_all_are_idle_and_when_all_have_ended() {
        let mut m = Minimum::new(2);
        let w = |t| Signal::Watermark(at(t));
        tell(&mut m, 0, w(10));
        tell(&mut m, 1, w(12));
        assert_eq!(tell(&mut m, 0, Signal::Idle(true)), [w(12)]);
        assert_eq!(tell(&mut m, 1, Signal::Idle(true)), [Signal::Idle(true)]);
        assert_eq!(tell(&mut m, 1, Signal::Idle(false)), [Signal::Idle(false)]);
        assert_eq!(
            tell(&mut m, 1, Signal::End),
            [Signal::Idle(true)],
            "the other may still speak"
        );
        assert_eq!(
            tell(&mut m, 0, Signal::End),
            [Signal::Idle(false), Signal::Watermark(Time::MAX), Signal::End]
        );
    }

    #[test]
    fn a_watermark_that_may_not_pass_yet_follows_when_the_stage_lets_it() {
        let mut m = Minimum::new(1);
        assert_eq!(m.arrive(0, Signal::Watermark(at(10))), Some(at(10)));
        assert_eq!(m.say(at(4), true), [Signal::Watermark(at(4))]);
        assert_eq!(m.say(at(4), false), []);
        assert_eq!(m.say(Time::MAX, false), [Signal::Watermark(at(10))]);
    }

    proptest! {
        #[test]
        fn no_event_within_the_disorder_is_ever_behind_the_watermark(
            gaps in proptest::collection::vec((0i64..20, 0i64..=30), 1..60)
        ) {
            let mut g = generator(30, None, Scope::Source, None, 1);
            let (mut now, mut w) = (0, Time::MIN);
            for (gap, late) in gaps {
                now += gap;
                let stamp = now - late;
                prop_assert!(at(stamp) > w);
                for signal in g.arrive(event(0, stamp, now)) {
                    if let Signal::Watermark(next) = signal {
                        prop_assert!(next > w);
                        w = next;
                    }
                }
            }
        }
    }
}
