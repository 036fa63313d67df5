//! The split: it numbers every event, passes it on to the sub-stream that it belongs to, and tells how far the numbers
//! have come. When keys move it asks their old owner for the state and passes that on to the new one.
//!
//! A move. At the number *cut* the split writes a request for the state of the moving keys on the link to their old owner:
//! behind all that it gave it before. From that number on the new owner gets the events of these keys, marked as to wait
//! for the state. The old owner answers when it comes to the request, so it has worked on everything below *cut*; the
//! split passes the state on, and behind it events need no mark any more. One move is under way at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use wavetank_scenarios::numbering::{EPOCH, Moves, Moving, Progress, Sequence};
use wavetank_scenarios::script::{Convey, Gaps, KeyMove, ValveSettings};
use wavetank_scenarios::topology::Port;
use wavetank_scenarios::{Event, Span, Time, Value};

use super::{Router, TELL};
use crate::element::Element;
use crate::host::{Keeps, Part};
use crate::reliability::{State, StateError, counted};
use crate::scaling::watermark::Valve;
use crate::world::{Input, Stage};

/// The split of one operator.
pub(crate) struct Split {
    settings: Convey,
    router: Router,
    valve: Valve,
    /// The next number.
    next: u64,
    /// The watermark that was passed on.
    passed: Time,
    /// Numbers given out since the last message about them.
    untold: u32,
    /// Which sub-streams were given something since then.
    spoken_to: Vec<bool>,
    armed: bool,
    /// When the first incarnation entered, by the monotonic clock.
    started: Time,
    /// Moves that are due, but for their cut.
    due: VecDeque<Moving>,
    under_way: Option<u32>,
    moves: u32,
    /// How many events each sub-stream was given since hot ones were last looked for, where they are.
    given: Vec<u32>,
    ending: bool,
    over: bool,
}

impl Split {
    /// A split with so many inputs, whose first number is `first`.
    pub fn new(settings: Convey, router: Router, inputs: usize, first: u64, started: Time) -> Self {
        let streams = settings.streams as usize;
        Self {
            router,
            valve: Valve::new(inputs, ValveSettings::default()),
            next: first,
            passed: Time::MIN,
            untold: 0,
            spoken_to: vec![false; streams],
            armed: false,
            started,
            due: VecDeque::new(),
            under_way: None,
            moves: ((first / EPOCH) as u32) << 16,
            given: vec![0; streams],
            ending: false,
            over: false,
            settings,
        }
    }

    fn event(&mut self, lane: usize, mut event: Box<Event>, stage: &Stage) {
        let number = self.next;
        self.next += 1;
        let (stream, last_move) = self.router.choose(number, &event);
        event.sequence = Some(Sequence {
            number,
            part: 0,
            last: true,
            after: if self.under_way == Some(last_move) {
                last_move
            } else {
                0
            },
        });
        stage.pass_on_to(Port::Stream(stream), lane, Element::Event(event));
        self.spoken_to[stream as usize] = true;
        if self.settings.hot.is_some() {
            self.given[stream as usize] += 1;
        }
        if matches!(self.settings.gaps, Gaps::Processed | Gaps::EndOfSequence) {
            self.untold += 1;
            if self.untold >= self.settings.events {
                self.tell(stage);
            } else if !std::mem::replace(&mut self.armed, true) {
                stage.timer(self.settings.every, TELL);
            }
        }
        self.look_for_heat(stage);
    }

    /// Tells how far the numbers have come: everyone at the end of a sequence, else those who could not know.
    fn tell(&mut self, stage: &Stage) {
        self.untold = 0;
        for (stream, spoken_to) in self.spoken_to.iter_mut().enumerate() {
            if !std::mem::take(spoken_to) || self.settings.gaps == Gaps::EndOfSequence {
                stage.send(
                    Port::Stream(stream as u32),
                    Element::Progress(Progress::Given(self.next)),
                );
            }
        }
    }

    fn look_for_heat(&mut self, stage: &Stage) {
        let Some(hot) = self.settings.hot else { return };
        let all: u32 = self.given.iter().sum();
        if all < hot.events {
            return;
        }
        let most = (0..self.given.len()).max_by_key(|i| (self.given[*i], std::cmp::Reverse(*i)));
        let least = (0..self.given.len()).min_by_key(|i| (self.given[*i], *i));
        if let (Some(from), Some(to)) = (most, least)
            && f64::from(self.given[from]) > hot.share * f64::from(all)
            && from != to
            && self.due.is_empty()
            && self.under_way.is_none()
        {
            let salt = (1 << 32) + u64::from(self.moves + 1);
            self.plan(from as u32, to as u32, Moves::Share(0.5, salt));
            self.next_move(stage);
        }
        self.given.fill(0);
    }

    fn plan(&mut self, from: u32, to: u32, keys: Moves) {
        let (id, cut) = (0, 0);
        self.due.push_back(Moving {
            id,
            from,
            to,
            cut,
            keys,
        });
    }

    /// Begins the next move that is due, unless one is under way.
    fn next_move(&mut self, stage: &Stage) {
        if self.under_way.is_some() || self.over || self.ending {
            return;
        }
        let Some(mut moving) = self.due.pop_front() else { return };
        self.moves += 1;
        (moving.id, moving.cut) = (self.moves, self.next);
        let moving = Arc::new(moving);
        self.under_way = Some(moving.id);
        self.router.moved(Arc::clone(&moving));
        let port = Port::Stream(moving.from);
        stage.send(port, Element::Progress(Progress::Give(moving)));
    }

    fn declared(&mut self, k: usize, moving: &KeyMove) {
        let keys = match moving.share {
            Some(share) => Moves::Share(share, k as u64),
            None => Moves::Keys(
                moving
                    .keys
                    .iter()
                    .map(|key| key.iter().map(Value::from).collect())
                    .collect(),
            ),
        };
        self.plan(moving.from, moving.to, keys);
    }

    fn advance(&mut self, stage: &Stage) {
        if let Some(idle) = self.valve.turned() {
            stage.send(Port::Main, Element::Idle(idle));
        }
        self.valve.grown();
        let watermark = self.valve.combined();
        if watermark > self.passed {
            self.passed = watermark;
            stage.send(Port::Main, Element::Watermark(watermark));
        }
        if self.valve.ended() {
            self.ending = true;
            self.end(stage);
        }
    }

    /// Passes the end on, when no state is under way any more.
    fn end(&mut self, stage: &Stage) {
        if self.ending && !self.over && self.under_way.is_none() {
            self.over = true;
            // The end carries the last number: otherwise nobody would know that the last ones are lost.
            if matches!(self.settings.gaps, Gaps::Processed | Gaps::EndOfSequence) {
                for stream in 0..self.settings.streams {
                    stage.send(Port::Stream(stream), Element::Progress(Progress::Given(self.next)));
                }
            }
            stage.send(Port::Main, Element::End);
        }
    }
}

impl Part for Split {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        match input {
            Input::Enter { .. } => {
                let now = stage.monotonic();
                let mut moves: Vec<(usize, KeyMove)> = self.settings.moves.iter().cloned().enumerate().collect();
                moves.sort_by_key(|(k, moving)| (moving.at, *k));
                for (k, moving) in &moves {
                    let after = (self.started + moving.at).since(now);
                    if after > Span::ZERO {
                        stage.timer(after, *k as u64);
                    } else {
                        self.declared(*k, moving);
                    }
                }
                self.next_move(stage);
            }
            Input::Timer(TELL) => {
                self.armed = false;
                if self.untold > 0 && !self.over {
                    self.tell(stage);
                }
            }
            Input::Timer(k) => {
                if let Some(moving) = self.settings.moves.get(k as usize).cloned() {
                    self.declared(k as usize, &moving);
                    self.next_move(stage);
                }
            }
            Input::Element { input, lane, element } => match element {
                Element::Event(event) => self.event(lane, event, stage),
                Element::Watermark(watermark) => {
                    self.valve.watermark(input, watermark);
                    self.advance(stage);
                }
                Element::Idle(idle) => {
                    self.valve.idle(input, idle);
                    self.advance(stage);
                }
                Element::End => {
                    self.valve.end(input);
                    self.advance(stage);
                }
                Element::Progress(Progress::Done(below)) => self.router.done(lane as u32, below),
                Element::Progress(Progress::State(moved)) => {
                    let to = moved.moving.to;
                    if self.under_way == Some(moved.moving.id) {
                        self.under_way = None;
                    }
                    stage.send(Port::Stream(to), Element::Progress(Progress::State(moved)));
                    self.next_move(stage);
                    self.end(stage);
                }
                // `check` keeps epochs and conveyed operators apart.
                Element::Progress(_) | Element::Epoch(_) | Element::Ask | Element::Barrier(_) | Element::Control(_) => {
                }
            },
        }
    }
}

/// The parts of a saved state: what has been told of the numbers, and how far the moves of keys are.
const TOLD: &str = "told";
const MOVING: &str = "moving";

impl Keeps for Split {
    fn save(&self, state: &mut State) {
        state.put("next", &self.next);
        state.put("passed", &self.passed);
        self.valve.save(state);
        let mut of_router = State::default();
        self.router.save(&mut of_router);
        state.put_state("router", of_router);
        state.put(TOLD, &(self.untold, &self.spoken_to, self.armed));
        state.put(MOVING, &(self.started, &self.due, self.under_way, self.moves));
        state.put("given", &self.given);
        state.put("end", &(self.ending, self.over));
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        let streams = self.settings.streams;
        self.next = counted("next", state.get("next")?)?;
        self.passed = state.get("passed")?;
        self.valve.restore(state)?;
        let of_router = self.router.restore(&state.state("router"), streams);
        of_router.map_err(|wrong| StateError::of(&format!("router/{}", wrong.part), wrong.why))?;
        (self.untold, self.spoken_to, self.armed) = state.get(TOLD)?;
        let fits = self.spoken_to.len() == streams as usize && self.untold <= self.settings.events;
        StateError::unless(
            fits,
            TOLD,
            "more numbers are untold than can be, or it is of other sub-streams",
        )?;
        (self.started, self.due, self.under_way, self.moves) = state.get(MOVING)?;
        let known = self
            .due
            .iter()
            .all(|moving| moving.from < streams && moving.to < streams);
        StateError::unless(
            known && self.moves < u32::MAX / 2,
            MOVING,
            "keys move to a sub-stream that there is not",
        )?;
        self.given = state.get("given")?;
        let all = self.given.iter().map(|given| u64::from(*given)).sum::<u64>();
        let fits = self.given.len() == streams as usize && all < u64::from(u32::MAX);
        StateError::unless(fits, "given", "it is of other sub-streams, or no run counts that far")?;
        (self.ending, self.over) = state.get("end")?;
        Ok(())
    }

    fn over(&self) -> bool {
        self.over
    }
}
