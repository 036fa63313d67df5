//! The generator of one operator, as an actor: it hears every input, and says how far event time has come.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wavetank_scenarios::script::{AllIdle, Every, Scope, ValveSettings, Watermark, WatermarkKind};
use wavetank_scenarios::topology::Port;
use wavetank_scenarios::{Event, Schema, Span, Time};

use super::estimate::{Estimate, Kept, Marks};
use super::valve::Valve;
use crate::element::Element;
use crate::host::{Keeps, Part};
use crate::reliability::{State, StateError, counted};
use crate::roles::{RIPE, Room};
use crate::world::{Effect, Input, Stage};

/// The generator of one operator.
#[derive(Debug)]
pub(crate) struct Generator {
    settings: Watermark,
    all_idle: AllIdle,
    tick: Span,
    /// What makes an event a mark, by the entry of the `input` list that it comes for.
    marks: Vec<Marks>,
    inputs: Vec<Heard>,
    /// One for each input, or one for all.
    estimates: Vec<Estimate>,
    /// Combines the estimates.
    valve: Valve,
    /// Watermarks worked out and not yet due, where they are sent some turns later.
    worked_out: VecDeque<Option<Time>>,
    events: u64,
    ended: bool,
    /// The watermark that was put out last.
    said: Time,
    /// Events that have been passed on and are heard when the clock shows their stamps, if that is so: with their inputs
    /// and lanes.
    room: Option<Room<(usize, usize, Box<Event>)>>,
}

/// What a generator knows of one input.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Heard {
    /// By the monotonic clock.
    last: Time,
    idle: bool,
    ended: bool,
    /// Held back, because it is too far ahead.
    held: bool,
    /// A timer that looks for silence is under way.
    armed: bool,
}

/// The token of a generator's timer of `every`; its timers that look for silence carry the number of an input.
pub const EVERY: u64 = u64::MAX;
/// The token of a generator's timer that looks who is ahead.
pub const ALIGN: u64 = u64::MAX - 1;

impl Generator {
    /// A generator over that many inputs. `schemas` are those of the entries of its operator's `input` list, and `names`
    /// what they are called.
    ///
    /// # Errors
    /// What is wrong with its expressions.
    pub fn new(
        mut settings: Watermark,
        valve: ValveSettings,
        tick: Span,
        inputs: usize,
        schemas: &[&Schema],
        names: &[&str],
    ) -> Result<Self, String> {
        if settings.by_clock() {
            // There is one clock for all inputs.
            settings.scope = Scope::Input;
        }
        let marks = schemas.iter().map(|schema| Marks::new(&settings, schema, names));
        let estimates = if settings.scope == Scope::Input { 1 } else { inputs };
        Ok(Self {
            marks: marks.collect::<Result<_, _>>()?,
            all_idle: valve.all_idle,
            tick,
            inputs: vec![Heard::default(); inputs],
            estimates: vec![Estimate::default(); estimates],
            valve: Valve::new(estimates, valve),
            worked_out: VecDeque::new(),
            events: 0,
            ended: false,
            said: Time::MIN,
            room: None,
            settings,
        })
    }

    /// The same, which hears events that are ahead of the clock when their time has come, if its operator holds them.
    #[must_use]
    pub fn holding(mut self, holds: bool) -> Self {
        self.room = holds.then(Room::new);
        self
    }

    /// The estimate that an input goes into.
    fn slot(&self, input: usize) -> usize {
        input.min(self.estimates.len() - 1)
    }

    /// An input has said something.
    fn hear(&mut self, input: usize, stage: &Stage) {
        let slot = self.slot(input);
        let heard = &mut self.inputs[input];
        heard.idle = false;
        if let Some(idle) = self.settings.idle {
            heard.last = stage.monotonic();
            if !std::mem::replace(&mut heard.armed, true) {
                stage.timer(idle, input as u64);
            }
        }
        self.valve.idle(slot, false);
    }

    /// Tells the valve what an input's estimate has come to.
    fn update(&mut self, input: usize) {
        let slot = self.slot(input);
        if let Some(watermark) = self.estimates[slot].watermark(&self.settings, self.tick) {
            self.valve.watermark(slot, watermark);
        }
    }

    /// Reads the node's wall clock; the time that is taken for now.
    fn read_clock(&mut self, stage: &Stage) -> Time {
        let now = self.estimates[0].clock(stage.wall());
        self.update(0);
        now
    }

    /// Sets the timer of the next turn.
    fn next_turn(&self, stage: &Stage) {
        let Some(Every::Time(every)) = self.settings.every else {
            return;
        };
        let wait = if self.settings.by_clock() {
            // By what the clock shows, not by what it has shown: one that was set back may be set right at any time.
            let wall = stage.wall();
            (wall.floor_to(every, Span::ZERO) + every).since(wall)
        } else {
            every
        };
        stage.timer(wait, EVERY);
    }

    /// Tells the valve who is idle and who has ended.
    fn silences(&mut self) {
        if self.settings.scope != Scope::Input {
            for (input, heard) in self.inputs.iter().enumerate() {
                if heard.ended {
                    self.valve.end(input);
                } else {
                    self.valve.idle(input, heard.idle);
                }
            }
        } else if self.inputs.iter().all(|heard| heard.ended) {
            self.valve.end(0);
        } else {
            let idle = self.inputs.iter().all(|heard| heard.idle || heard.ended);
            self.valve.idle(0, idle);
        }
    }

    /// A turn at which a watermark may be due: works one out, and sends the one of some turns ago.
    fn turn(&mut self, stage: &Stage) {
        self.worked_out.push_back(self.valve.ready());
        if self.worked_out.len() > self.settings.back as usize
            && let Some(Some(watermark)) = self.worked_out.pop_front()
        {
            self.send(watermark, stage);
        }
    }

    fn send(&mut self, watermark: Time, stage: &Stage) {
        if self.valve.advance(watermark) {
            self.said = watermark;
            stage.send(Port::Main, Element::Watermark(watermark));
        }
    }

    /// What follows when an input fell silent, spoke again or ended.
    fn quieter(&mut self, stage: &Stage) {
        if self.ended {
            return;
        }
        self.silences();
        if self.valve.ended() {
            self.ended = true;
            self.send(Time::MAX, stage);
            stage.send(Port::Main, Element::End);
            return;
        }
        match self.valve.turned() {
            Some(true) => {
                if self.all_idle == AllIdle::Flush
                    && let Some(watermark) = self.valve.ready()
                {
                    self.send(watermark, stage);
                }
                stage.send(Port::Main, Element::Idle(true));
            }
            Some(false) => stage.send(Port::Main, Element::Idle(false)),
            None => {}
        }
        if self.settings.every.is_none() && self.settings.back == 0 {
            self.turn(stage);
        }
    }

    /// Holds the inputs that are too far ahead of the others, and lets those go that no longer are.
    fn align(&mut self, stage: &Stage) {
        let Some(align) = self.settings.align else { return };
        let own = |input: usize| self.estimates[input].watermark(&self.settings, self.tick);
        let counting = |heard: &Heard| !heard.idle && !heard.ended;
        let smallest = (0..self.inputs.len())
            .filter(|input| counting(&self.inputs[*input]))
            .map(own)
            .min()
            .flatten();
        let ahead: Vec<bool> = (0..self.inputs.len())
            .map(|input| match (own(input), smallest) {
                (Some(own), Some(smallest)) => {
                    counting(&self.inputs[input]) && own.since(smallest) > align.ahead && !self.ended
                }
                _ => false,
            })
            .collect();
        for (input, ahead) in ahead.into_iter().enumerate() {
            let heard = &mut self.inputs[input];
            if heard.held != ahead {
                heard.held = ahead;
                // What it could not say it was not silent about.
                heard.last = stage.monotonic();
                stage.put(Effect::Hold { input, hold: ahead });
            }
        }
    }

    /// Looks who is ahead, where that is not left to a timer.
    fn align_at_once(&mut self, stage: &Stage) {
        if self.settings.align.is_some_and(|align| align.every.is_none()) {
            self.align(stage);
        }
    }

    fn enter(&mut self, stage: &Stage) {
        let now = stage.monotonic();
        for (number, heard) in self.inputs.iter_mut().enumerate() {
            heard.last = now;
            heard.armed = self.settings.idle.is_some();
            if let Some(idle) = self.settings.idle {
                stage.timer(idle, number as u64);
            }
        }
        self.next_turn(stage);
        if let Some(every) = self.settings.align.and_then(|align| align.every) {
            stage.timer(every, ALIGN);
        }
    }

    fn timer(&mut self, token: u64, stage: &Stage) {
        match token {
            EVERY => {
                if !self.ended {
                    if self.settings.by_clock() {
                        self.read_clock(stage);
                    }
                    self.turn(stage);
                    self.next_turn(stage);
                }
            }
            ALIGN => {
                if !self.ended {
                    self.align(stage);
                    if let Some(every) = self.settings.align.and_then(|align| align.every) {
                        stage.timer(every, ALIGN);
                    }
                }
            }
            number => {
                let Some(idle) = self.settings.idle else { return };
                let now = stage.monotonic();
                // All that are silent by now are found silent together, whichever timer looks first.
                for heard in &mut self.inputs {
                    heard.idle |= !heard.held && now.since(heard.last) >= idle;
                }
                if let Some(heard) = self.inputs.get_mut(number as usize) {
                    heard.armed = !heard.idle && !heard.ended;
                    if heard.armed {
                        let silent = if heard.held { Span::ZERO } else { now.since(heard.last) };
                        stage.timer(idle - silent, number);
                    }
                }
                self.quieter(stage);
                self.align_at_once(stage);
            }
        }
    }

    /// Hears an event.
    fn heed(&mut self, input: usize, lane: usize, event: &Event, stage: &Stage) {
        self.hear(input, stage);
        let mark = self.marks.get(lane).and_then(|marks| marks.stated(event));
        let slot = self.slot(input);
        self.estimates[slot].hear(&self.settings, event.stamp, mark);
        self.update(input);
        if self.valve.turned() == Some(false) {
            stage.send(Port::Main, Element::Idle(false));
        }
    }

    /// Says what follows from an event, behind it.
    fn after_event(&mut self, stage: &Stage) {
        self.events += 1;
        let due = match self.settings.every {
            None => true,
            Some(Every::Events(events)) => self.events.is_multiple_of(events),
            Some(Every::Time(_)) => false,
        };
        if due {
            self.turn(stage);
        }
        self.align_at_once(stage);
    }

    /// Hears what has waited until now.
    fn ripen(&mut self, stage: &Stage) {
        while !self.ended
            && let Some(room) = &mut self.room
            && let Some((input, lane, event)) = room.ripe(stage)
        {
            self.heed(input, lane, &event, stage);
            self.after_event(stage);
        }
        if let Some(room) = &mut self.room
            && !self.ended
        {
            room.again(stage);
        }
    }

    fn element(&mut self, input: usize, lane: usize, element: Element, stage: &Stage) {
        let forward = self.settings.kind == WatermarkKind::Forward;
        match element {
            Element::Event(mut event) if self.settings.by_clock() => {
                event.stamp = self.read_clock(stage);
                // All before now is over, and is done with before what comes now.
                self.turn(stage);
                stage.pass_on(lane, Element::Event(event));
            }
            Element::Event(event) => match &mut self.room {
                Some(room) if event.stamp > stage.wall() => {
                    stage.pass_on(lane, Element::Event(event.clone()));
                    room.wait(event.stamp, event.id, (input, lane, event), stage);
                }
                _ => {
                    self.heed(input, lane, &event, stage);
                    stage.pass_on(lane, Element::Event(event));
                    self.after_event(stage);
                }
            },
            Element::Watermark(watermark) if forward => {
                self.hear(input, stage);
                let slot = self.slot(input);
                self.estimates[slot].forward(watermark);
                self.update(input);
                if self.valve.turned() == Some(false) {
                    stage.send(Port::Main, Element::Idle(false));
                }
                if self.settings.every.is_none() {
                    self.turn(stage);
                }
                self.align_at_once(stage);
            }
            Element::Idle(idle) if forward => {
                self.inputs[input].idle = idle;
                self.quieter(stage);
                self.align_at_once(stage);
            }
            // What comes from upstream promises nothing about what its link did since: this generator is the judge.
            Element::Watermark(_) | Element::Idle(_) | Element::Ask | Element::Progress(_) => {}
            // The participant around it deals with these.
            Element::Barrier(_) | Element::Control(_) => {}
            Element::Epoch(number) => stage.send(Port::Main, Element::Epoch(number)),
            Element::End => {
                self.inputs[input].ended = true;
                self.quieter(stage);
                self.align_at_once(stage);
            }
        }
    }
}

impl Part for Generator {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        match input {
            Input::Enter { .. } => self.enter(stage),
            Input::Timer(RIPE) => self.ripen(stage),
            Input::Timer(token) => self.timer(token, stage),
            Input::Element { input, lane, element } => self.element(input, lane, element, stage),
        }
    }
}

/// The parts of a saved state: what is known of each input, and the estimates.
const INPUTS: &str = "inputs";
const ESTIMATES: &str = "estimates";

impl Keeps for Generator {
    fn save(&self, state: &mut State) {
        state.put(INPUTS, &self.inputs);
        let estimates = self.estimates.iter().enumerate();
        state.put_each(ESTIMATES, estimates.map(|(slot, estimate)| (slot, estimate.kept())));
        self.valve.save(state);
        state.put("worked-out", &self.worked_out);
        state.put("events", &self.events);
        state.put("ended", &self.ended);
        if let Some(room) = &self.room {
            room.save(state);
        }
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        let inputs: Vec<Heard> = state.get(INPUTS)?;
        StateError::unless(
            inputs.len() == self.inputs.len(),
            INPUTS,
            "there is another number of them",
        )?;
        self.inputs = inputs;
        let kept: Vec<(usize, Kept<'_>)> = state.each(ESTIMATES)?;
        StateError::unless(
            kept.len() == self.estimates.len(),
            ESTIMATES,
            "there is another number of them",
        )?;
        for (slot, kept) in kept {
            let estimate = Estimate::again(kept, &self.settings).filter(|_| slot < self.estimates.len());
            let estimate = estimate.ok_or_else(|| StateError::of(ESTIMATES, "one cannot have been heard"))?;
            self.estimates[slot] = estimate;
        }
        self.valve.restore(state)?;
        self.worked_out = state.get("worked-out")?;
        self.events = counted("events", state.get("events")?)?;
        self.ended = state.get("ended")?;
        let inputs = self.inputs.len();
        match &mut self.room {
            Some(room) => room.restore(state, |(input, ..)| *input < inputs),
            None => Ok(()),
        }
    }

    fn resume(&self, stage: &Stage) {
        for (input, _) in self.inputs.iter().enumerate().filter(|(_, heard)| heard.held) {
            stage.put(Effect::Hold { input, hold: true });
        }
        if let Some(room) = &self.room {
            room.resume(stage);
        }
    }

    fn over(&self) -> bool {
        self.ended
    }
    fn watermark(&self) -> Time {
        self.said
    }
}
