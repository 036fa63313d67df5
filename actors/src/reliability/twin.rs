//! A part beside its twins: one is made afresh and restored before every step, one before a single step only, and both must
//! do exactly what the part itself does that has run on straight, from what comes out to the bytes of the next save. A third
//! runs on straight too, and is saved now and then: what it then puts in must not go by what it had put in before.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use proptest::prelude::*;
use wavetank_scenarios::topology::ActorId;
use wavetank_scenarios::{Span, Time};

use super::{State, StateError};
use crate::element::Element;
use crate::host::{Keeps, Part};
use crate::operator::{Operator, Output};
use crate::world::{Effect, Input, NodeClock, Stage};

/// Something that happens to a part.
#[derive(Clone, Debug)]
pub enum Step {
    /// An element comes on a link, which is the input of the operator too.
    Element(usize, Element),
    /// One of the timers that were set is due.
    Timer(usize),
    /// Time passes.
    Wait(i64),
}

/// What a part did, in full, and the timers that it set.
#[derive(Debug, PartialEq)]
pub struct Did(String, Vec<u64>);

/// A part that can have a twin.
pub trait Twin {
    fn enter(&mut self) -> Did;
    fn take(&mut self, input: usize, element: Element, now: Time) -> Did;
    fn timer(&mut self, token: u64, now: Time) -> Did;
    fn saved(&self) -> State;
    fn restored(&mut self, state: &State) -> Result<(), StateError>;
}

impl Twin for Box<dyn Operator> {
    fn enter(&mut self) -> Did {
        let mut out = Output::default();
        self.on_enter(&mut out);
        told(&**self, &out)
    }
    fn take(&mut self, input: usize, element: Element, now: Time) -> Did {
        let mut out = Output::default();
        match element {
            Element::Event(event) => self.on_event(input, *event, now, &mut out),
            Element::Watermark(watermark) => self.on_watermark(watermark, &mut out),
            Element::Progress(progress) => self.on_progress(input, &progress, &mut out),
            Element::End => self.on_watermark(Time::MAX, &mut out),
            _ => {}
        }
        told(&**self, &out)
    }
    fn timer(&mut self, token: u64, _now: Time) -> Did {
        let mut out = Output::default();
        self.on_timer(token, &mut out);
        told(&**self, &out)
    }
    fn saved(&self) -> State {
        let mut state = State::default();
        self.save(&mut state);
        state
    }
    fn restored(&mut self, state: &State) -> Result<(), StateError> {
        self.restore(state)
    }
}

fn told(operator: &dyn Operator, out: &Output) -> Did {
    let (held, bytes, limit) = (operator.held(), operator.state_bytes(), operator.watermark_limit());
    let did = format!("{out:?}; holds {held} events, {bytes} bytes, {limit:?}");
    Did(did, out.timers.iter().map(|(_, token)| *token).collect())
}

/// A part on a stage of its own.
pub struct Staged<P> {
    part: P,
    stage: Stage,
    now: Rc<Cell<Time>>,
}

impl<P: Part + Keeps> Staged<P> {
    pub fn new(part: P) -> Self {
        let now = Rc::new(Cell::new(Time::ZERO));
        let stage = Stage {
            actor: ActorId(7),
            cause: 0,
            now: Rc::clone(&now),
            clock: Rc::new(NodeClock::right()),
            outbox: Rc::new(RefCell::new(Vec::new())),
            watched: true,
            armed: None,
        };
        Self { part, stage, now }
    }
    /// What it does when it goes on after it was restored.
    pub fn resumed(&self) -> String {
        self.part.resume(&self.stage);
        format!("{:?}", self.stage.outbox.take())
    }
    fn play(&mut self, input: Input, now: Time) -> Did {
        self.now.set(now);
        self.part.play(input, &mut self.stage);
        let effects = self.stage.outbox.take();
        let tokens = effects.iter().filter_map(|(.., effect)| match effect {
            Effect::Timer { token, .. } => Some(*token),
            _ => None,
        });
        Did(format!("{effects:?}"), tokens.collect())
    }
}

impl<P: Part + Keeps> Twin for Staged<P> {
    fn enter(&mut self) -> Did {
        self.play(Input::Enter { again: false }, Time::ZERO)
    }
    fn take(&mut self, input: usize, element: Element, now: Time) -> Did {
        let lane = input;
        self.play(Input::Element { input, lane, element }, now)
    }
    fn timer(&mut self, token: u64, now: Time) -> Did {
        self.play(Input::Timer(token), now)
    }
    fn saved(&self) -> State {
        let mut state = State::default();
        self.part.save(&mut state);
        state
    }
    fn restored(&mut self, state: &State) -> Result<(), StateError> {
        self.part.restore(state)
    }
}

/// What happens next, the same for all twins.
enum Given<'a> {
    Element(usize, &'a Element),
    Timer(u64),
}

/// The time, and the timers that are set.
struct Course {
    now: Time,
    timers: Vec<u64>,
}

impl Course {
    /// From what was done on entering.
    fn begin(did: Did) -> Self {
        Self {
            now: Time::ZERO,
            timers: did.1,
        }
    }
    fn next<'a>(&mut self, step: &'a Step) -> Option<Given<'a>> {
        match step {
            Step::Element(input, element) => Some(Given::Element(*input, element)),
            Step::Timer(_) if self.timers.is_empty() => None,
            Step::Timer(which) => Some(Given::Timer(self.timers.remove(which % self.timers.len()))),
            Step::Wait(micros) => {
                self.now += Span::from_micros(*micros);
                None
            }
        }
    }
    fn play(&self, twin: &mut impl Twin, given: &Given<'_>) -> Did {
        match given {
            Given::Element(input, element) => twin.take(*input, (*element).clone(), self.now),
            Given::Timer(token) => twin.timer(*token, self.now),
        }
    }
}

fn again<T: Twin>(make: &impl Fn() -> T, state: &State) -> Result<T, TestCaseError> {
    let mut twin = make();
    twin.restored(state)
        .map_err(|wrong| TestCaseError::fail(format!("{wrong}")))?;
    prop_assert_eq!(&twin.saved(), state, "what was restored is saved in other bytes");
    Ok(twin)
}

/// Takes a part through the steps beside its twins; one of them is restored before step `at` and then runs on.
pub fn twins<T: Twin>(make: impl Fn() -> T, steps: &[Step], at: usize) -> Result<(), TestCaseError> {
    let mut straight = make();
    let mut course = Course::begin(straight.enter());
    let mut seldom = make();
    seldom.enter();
    let mut once = None;
    for (number, step) in steps.iter().enumerate() {
        let Some(given) = course.next(step) else { continue };
        let state = straight.saved();
        prop_assert_eq!(state.broken(), None);
        let mut often = again(&make, &state)?;
        if number >= at && once.is_none() {
            once = Some(again(&make, &state)?);
        }
        let did = course.play(&mut straight, &given);
        let saved = straight.saved();
        course.play(&mut seldom, &given);
        if (number + at).is_multiple_of(4) {
            prop_assert_eq!(&seldom.saved(), &saved, "saved now and then, behind step {}", number);
        }
        for twin in std::iter::once(&mut often).chain(&mut once) {
            prop_assert_eq!(&course.play(twin, &given), &did, "at step {}, {:?}", number, step);
            prop_assert_eq!(&twin.saved(), &saved, "saved behind step {}, {:?}", number, step);
        }
        course.timers.extend(did.1);
    }
    Ok(())
}

/// What befalls a chunk of a saved state.
#[derive(Clone, Debug)]
pub enum Spoil {
    /// A byte is another one.
    Byte(usize, u8),
    /// It ends early.
    Cut(usize),
    /// There is more of it.
    More(u8),
    /// It is gone.
    Gone,
    /// It stands under a key with another byte.
    Key(usize, u8),
    /// It holds what another chunk holds.
    Like(usize),
}

/// Spoils, each with the chunk that it befalls.
pub fn spoils() -> impl Strategy<Value = Vec<(usize, Spoil)>> {
    let place = 0usize..1 << 20;
    let spoil = prop_oneof![
        8 => (place.clone(), any::<u8>()).prop_map(|(at, byte)| Spoil::Byte(at, byte)),
        4 => (place.clone(), 0u8..4).prop_map(|(at, byte)| Spoil::Byte(at, byte)),
        1 => place.clone().prop_map(Spoil::Cut),
        1 => any::<u8>().prop_map(Spoil::More),
        2 => Just(Spoil::Gone),
        2 => (place.clone(), any::<u8>()).prop_map(|(at, byte)| Spoil::Key(at, byte)),
        1 => place.clone().prop_map(Spoil::Like),
    ];
    prop::collection::vec((place, spoil), 1..4)
}

fn spoil(state: &State, spoils: &[(usize, Spoil)]) -> State {
    let mut chunks = state.changes_since(&State::default());
    for (which, spoil) in spoils {
        if chunks.is_empty() {
            break;
        }
        let (which, all) = (which % chunks.len(), chunks.clone());
        let change = &mut chunks[which];
        let chunk = change.chunk.get_or_insert_default();
        match spoil {
            Spoil::Byte(at, byte) => {
                let at = at % chunk.len().max(1);
                chunk.splice(at.min(chunk.len())..(at + 1).min(chunk.len()), [*byte]);
            }
            Spoil::Cut(to) => chunk.truncate(to % chunk.len().max(1)),
            Spoil::More(byte) => chunk.push(*byte),
            Spoil::Gone => _ = chunks.remove(which),
            Spoil::Key(at, byte) => {
                let at = at % change.key.len().max(1);
                change
                    .key
                    .splice(at.min(change.key.len())..(at + 1).min(change.key.len()), [*byte]);
            }
            Spoil::Like(other) => *chunk = all[other % all.len()].chunk.clone().unwrap_or_default(),
        }
    }
    let mut spoilt = State::default();
    spoilt.apply(chunks);
    spoilt
}

/// Takes a part as far as step `at`, spoils what it saves there and has a twin restored from that: it refuses, or works on.
/// Whether it refused.
pub fn spoilt<T: Twin>(make: impl Fn() -> T, steps: &[Step], at: usize, spoils: &[(usize, Spoil)]) -> bool {
    let mut part = make();
    let mut course = Course::begin(part.enter());
    for (number, step) in steps.iter().enumerate() {
        if number == at {
            let mut twin = make();
            if twin.restored(&spoil(&part.saved(), spoils)).is_err() {
                return true;
            }
            part = twin;
        }
        let Some(given) = course.next(step) else { continue };
        let timers = course.play(&mut part, &given).1;
        course.timers.extend(timers);
    }
    let _ = part.saved();
    false
}
