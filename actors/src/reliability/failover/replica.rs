//! One of the two copies: what it does with the results of its operator.
//!
//! The secondary holds its results, and lets go of those of which it knows that nobody will ask for them again: every
//! receiver has confirmed them, or (with `discard = "published"`) the primary says that it has published them. It compares
//! them with what the primary published. When it becomes the primary it publishes what it holds, in order, and goes on.
//!
//! ```text
//! rejoining ──caught up──▶ secondary ──the other is gone──▶ becoming ──lease──▶ primary
//!                              ▲  ▲──────the other is back──────┘                  │
//!                              └────────lease over, refused, or another leads──────┘
//! ```

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use wavetank_scenarios::script::{Discard, Elect, Failover, Rejoin};
use wavetank_scenarios::{Span, Time};

use super::detector::Detector;
use super::message::{Ask, Copied, Grant, Head, Message, Output, Party, Side};

/// What a copy is at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It was down, and has not come up with the other yet.
    Rejoining,
    /// It works on everything and publishes nothing.
    Secondary,
    /// It has asked for the lease.
    Becoming,
    /// It publishes.
    Primary,
}

/// Why a primary stopped being one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Its lease was over by its own clock.
    LeaseOver,
    /// The arbiter or a receiver knows of a larger token.
    Superseded,
    /// Without an arbiter: the other has become the primary later.
    OtherLeads,
}

/// Something that happened, for those who watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// The other is taken for gone.
    Suspects,
    /// It became the primary, under a token, with so many results to publish that it held.
    Primary {
        /// The token, or without an arbiter the term.
        token: u64,
        /// What was pending.
        pending: u64,
    },
    /// It is not the primary any more.
    SteppedDown(Why),
    /// It was the primary, has nothing left to publish, and has let its lease run out.
    Rests,
    /// It has come up with the other.
    CaughtUp,
    /// Its result at a place is not the one that the other published there.
    Diverged {
        /// On which output, from 0.
        output: usize,
        /// At which place.
        place: u64,
    },
}

impl Note {
    /// What kind of note it is, and its number, for the trace.
    pub const fn code(&self) -> [u64; 2] {
        match self {
            Self::Suspects => [0, 0],
            Self::Primary { token, .. } => [1, *token],
            Self::SteppedDown(why) => [2, *why as u64],
            Self::CaughtUp => [3, 0],
            Self::Rests => [5, 0],
            Self::Diverged { place, .. } => [4, *place],
        }
    }
}

/// What a copy wants done, in order. `T` is a result, `S` the state of the operator.
#[derive(Clone, PartialEq, Debug)]
pub enum Act<T, S> {
    /// Say something.
    Tell(Party, Message<T, S>),
    /// Ask the arbiter.
    Ask(Ask),
    /// Put a head on every link of an output.
    Head(usize, Head),
    /// Put a result on every link of an output.
    Publish(usize, T),
    /// Come back when that much of the monotonic clock has passed.
    Timer(Span, u64),
    /// The other wants the operator's state: see [`Replica::state`].
    GiveState,
    /// Take this state, and read the log from behind that position.
    Restore(u64, S),
    /// Begin with an operator that has seen nothing, and read the log from its beginning.
    Restart,
    /// Somebody may want to know.
    Note(Note),
}

/// What is saved of a copy beside the state of its operator.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Saved<T> {
    /// How many elements of the log have been worked on.
    pub position: u64,
    /// The outputs.
    pub outputs: Vec<Output<T>>,
}

/// How many results are kept for comparison only, and how many of the other's copies that are ahead.
const COMPARED: usize = 4_096;

const HEARTBEAT: u64 = 0;
const DETECT: u64 = 1;
const RENEW: u64 = 2;
const LEASE: u64 = 3;
const TRIM: u64 = 4;
const FETCH: u64 = 5;
const TIMERS: usize = 6;

/// The results of one output.
struct Kept<T> {
    made: u64,
    discarded: u64,
    /// The results at the places from behind `floor` up to `made`. Those at or below `discarded` are kept only until they
    /// have been compared.
    results: VecDeque<T>,
    floor: u64,
    /// The place up to which the other's copies have come.
    copied: u64,
    /// Copies of what this one has not made yet.
    ahead: BTreeMap<u64, T>,
    /// The place of what was published last.
    published: u64,
    /// Whether `published` has gone on without anything being published: receivers must be told before the next result.
    skipped: bool,
    /// By receiver, the place up to which it has everything.
    confirmed: Vec<u64>,
}

impl<T: Clone + PartialEq> Kept<T> {
    fn new(receivers: usize) -> Self {
        Self {
            made: 0,
            discarded: 0,
            results: VecDeque::new(),
            floor: 0,
            copied: 0,
            ahead: BTreeMap::new(),
            published: 0,
            skipped: false,
            confirmed: vec![0; receivers],
        }
    }
    /// How many results would be published if this copy became the primary.
    fn pending(&self) -> u64 {
        self.made.saturating_sub(self.discarded)
    }
    fn at(&self, place: u64) -> Option<&T> {
        self.results
            .get(usize::try_from(place.checked_sub(self.floor + 1)?).ok()?)
    }
    /// Adds a result; false when the other published something else at its place.
    fn add(&mut self, what: T) -> bool {
        self.made += 1;
        let agrees = self.ahead.remove(&self.made).is_none_or(|copy| copy == what);
        self.results.push_back(what);
        agrees
    }
    /// A copy of what the other published; false when it is not what was made here.
    fn copy(&mut self, place: u64, what: T) -> bool {
        self.copied = self.copied.max(place);
        if place > self.made {
            self.ahead.insert(place, what);
            if self.ahead.len() > COMPARED {
                self.ahead.pop_first();
            }
            return true;
        }
        self.at(place).is_none_or(|own| *own == what)
    }
    /// Nobody will ask for anything up to that place.
    fn discard(&mut self, place: u64) {
        self.discarded = self.discarded.max(place);
        self.skipped |= place > self.published;
        self.published = self.published.max(place);
    }
    /// Lets go of what is neither pending nor to be compared.
    fn let_go(&mut self, compares: bool) {
        while self.floor < self.discarded.min(self.made) {
            let waits = compares && self.floor >= self.copied && self.results.len() <= COMPARED;
            if waits {
                break;
            }
            self.results.pop_front();
            self.floor += 1;
        }
    }
    fn output(&self) -> Output<T> {
        let spared = usize::try_from(self.discarded.saturating_sub(self.floor)).unwrap_or(usize::MAX);
        Output {
            made: self.made,
            discarded: self.discarded,
            held: self.results.iter().skip(spared).cloned().collect(),
        }
    }
    fn take(&mut self, output: Output<T>) {
        (self.made, self.discarded) = (output.made, output.discarded);
        self.results = output.held.into();
        self.floor = self.made.saturating_sub(self.results.len() as u64);
        self.published = self.discarded;
        self.copied = self.floor;
        self.ahead.clear();
    }
}

/// One of the two copies.
pub struct Replica<T, S> {
    settings: Failover,
    side: Side,
    incarnation: u64,
    phase: Phase,
    detector: Detector,
    suspects: bool,
    /// Whether the other is the primary, by its last heartbeat.
    other_leads: Option<bool>,
    outputs: Vec<Kept<T>>,
    position: u64,
    /// The position at which it has caught up, once the other has said where it is.
    target: Option<u64>,
    /// It has asked the other for the state and works on nothing yet.
    fetching: bool,
    /// The largest token or term that it knows of.
    term: u64,
    /// Its own, while it is the primary.
    token: u64,
    /// Until when it may publish, by its own clock.
    until: Time,
    untold: Vec<Copied<T>>,
    /// Whether its operator has put out all that it will.
    over: bool,
    due: [Option<Time>; TIMERS],
    armed: [Option<Time>; TIMERS],
    acts: Vec<Act<T, S>>,
}

impl<T: Clone + PartialEq, S> Replica<T, S> {
    /// A copy that has not entered yet. `receivers` says of each output how many receivers it has.
    pub fn new(settings: &Failover, side: Side, incarnation: u64, receivers: &[usize], now: Time) -> Self {
        Self {
            settings: settings.clone(),
            side,
            incarnation,
            phase: Phase::Secondary,
            detector: Detector::new(settings.detector, settings.heartbeat, now),
            suspects: false,
            other_leads: None,
            outputs: receivers.iter().map(|count| Kept::new(*count)).collect(),
            position: 0,
            target: None,
            fetching: false,
            term: 0,
            token: 0,
            until: Time::MIN,
            untold: vec![],
            over: false,
            due: [None; TIMERS],
            armed: [None; TIMERS],
            acts: vec![],
        }
    }

    /// It enters for the first time: everything is at its beginning, and A is the primary if nothing speaks against it.
    pub fn enter(&mut self, now: Time) -> Vec<Act<T, S>> {
        if self.side == Side::A {
            self.want(now);
        }
        self.begin(now);
        self.done()
    }

    /// It enters after a crash, with nothing or with what was saved; whose state the operator has been given back.
    pub fn enter_again(&mut self, saved: Option<Saved<T>>, now: Time) -> Vec<Act<T, S>> {
        self.phase = Phase::Rejoining;
        match saved {
            Some(saved) => self.take_outputs(saved.position, saved.outputs),
            None if self.settings.rejoin == Rejoin::Transfer => {
                self.fetching = true;
                self.acts.push(Act::Tell(Party::Peer, Message::Fetch));
                self.set(FETCH, self.detector.deadline(), now);
            }
            None => self.acts.push(Act::Restart),
        }
        self.begin(now);
        self.done()
    }

    fn begin(&mut self, now: Time) {
        self.beat(now);
        self.set(DETECT, self.detector.deadline(), now);
    }

    fn take_outputs(&mut self, position: u64, outputs: Vec<Output<T>>) {
        self.position = position;
        for (kept, output) in self.outputs.iter_mut().zip(outputs) {
            kept.take(output);
        }
    }

    /// What this is at the moment.
    pub const fn phase(&self) -> Phase {
        self.phase
    }
    /// Whether it may publish, by its own clock.
    pub fn leads(&self, now: Time) -> bool {
        self.phase == Phase::Primary && (self.settings.elect == Elect::Detector || now < self.until)
    }
    /// How many results it holds that it would publish if it became the primary.
    pub fn pending(&self) -> u64 {
        self.outputs.iter().map(Kept::pending).sum()
    }
    /// How many results it has published and not told of.
    pub const fn untold(&self) -> u64 {
        self.untold.len() as u64
    }
    /// How many elements of the log it has worked on.
    pub const fn position(&self) -> u64 {
        self.position
    }
    /// Whether it waits for a state and must be given nothing to work on.
    pub const fn fetching(&self) -> bool {
        self.fetching
    }
    /// What is to be saved with the state of its operator.
    pub fn saved(&self) -> Saved<T> {
        Saved {
            position: self.position,
            outputs: self.outputs.iter().map(Kept::output).collect(),
        }
    }
    /// The answer to [`Act::GiveState`].
    pub fn state(&self, state: S) -> Message<T, S> {
        let Saved { position, outputs } = self.saved();
        Message::State {
            position,
            outputs,
            state,
        }
    }

    /// The operator has made a result.
    pub fn made(&mut self, output: usize, what: T, now: Time) -> Vec<Act<T, S>> {
        let kept = &mut self.outputs[output];
        if !kept.add(what) {
            let place = kept.made;
            self.acts.push(Act::Note(Note::Diverged { output, place }));
        }
        if self.phase == Phase::Primary {
            if self.leads(now) {
                self.publish(output, now);
            } else {
                self.step_down(Why::LeaseOver, now);
            }
        }
        self.let_go();
        self.done()
    }

    /// The operator has worked on one more element of the log.
    pub fn worked(&mut self, now: Time) -> Vec<Act<T, S>> {
        self.position += 1;
        self.caught_up(now);
        self.done()
    }

    /// The operator has put out all that it will.
    pub const fn over(&mut self) {
        self.over = true;
    }

    /// Whether there is nothing left to publish, now or ever: it need not be watched any more, nor watch.
    fn quiet(&self) -> bool {
        self.over && self.untold.is_empty() && self.pending() == 0
    }

    /// Somebody told it something.
    pub fn told(&mut self, message: Message<T, S>, now: Time) -> Vec<Act<T, S>> {
        match message {
            Message::Heartbeat {
                primary,
                term,
                position,
                discarded,
            } => {
                self.detector.heard(now);
                self.suspects = false;
                self.set(DETECT, self.detector.deadline(), now);
                self.other_leads = Some(primary);
                let all = self.outputs.iter().map(|kept| kept.discarded);
                let behind = position < self.position || discarded.iter().zip(all).any(|(other, own)| *other < own);
                let leads = primary && (term, self.side.other()) > (self.token, self.side);
                self.term = self.term.max(term);
                if !self.fetching {
                    for (kept, place) in self.outputs.iter_mut().zip(discarded) {
                        kept.discard(place);
                    }
                    self.target.get_or_insert(position);
                }
                if self.phase == Phase::Primary && self.settings.elect == Elect::Detector && leads {
                    self.step_down(Why::OtherLeads, now);
                }
                self.caught_up(now);
                self.consider(now);
                if behind && self.quiet() {
                    // It says nothing by itself any more, and the other does not know that.
                    self.tell_where_it_is(now);
                }
            }
            Message::Published(copies) => {
                for Copied { output, place, what } in copies {
                    let Some(kept) = self.outputs.get_mut(output).filter(|_| !self.fetching) else {
                        continue;
                    };
                    if !kept.copy(place, what) {
                        self.acts.push(Act::Note(Note::Diverged { output, place }));
                    }
                    if self.settings.discard == Discard::Published {
                        kept.discard(place);
                    }
                }
            }
            Message::Fetch => {
                if self.phase != Phase::Rejoining {
                    self.acts.push(Act::GiveState);
                }
            }
            Message::State {
                position,
                outputs,
                state,
            } => {
                if std::mem::take(&mut self.fetching) {
                    self.due[FETCH as usize] = None;
                    self.take_outputs(position, outputs);
                    self.acts.push(Act::Restore(position, state));
                }
            }
            Message::Grant(grant) => self.granted(grant, now),
            Message::Taken(token) | Message::Refused(token) => {
                self.term = self.term.max(token);
                if self.phase == Phase::Primary && token > self.token {
                    self.step_down(Why::Superseded, now);
                }
            }
            Message::Confirmed {
                output,
                receiver,
                place,
            } => self.confirmed(output, receiver, place),
        }
        self.let_go();
        self.done()
    }

    /// A timer that it has set is due.
    pub fn timer(&mut self, timer: u64, now: Time) -> Vec<Act<T, S>> {
        let index = timer as usize;
        self.armed[index] = None;
        match self.due[index] {
            Some(at) if now < at => self.set(timer, at, now),
            Some(_) => {
                self.due[index] = None;
                self.ring(timer, now);
            }
            None => {}
        }
        self.let_go();
        self.done()
    }

    fn ring(&mut self, timer: u64, now: Time) {
        match timer {
            HEARTBEAT | DETECT | RENEW if self.quiet() => {}
            LEASE if self.quiet() => {
                if self.phase == Phase::Primary && !self.leads(now) {
                    (self.phase, self.token) = (Phase::Secondary, 0);
                    self.acts.push(Act::Note(Note::Rests));
                }
            }
            HEARTBEAT => self.beat(now),
            DETECT => {
                if !std::mem::replace(&mut self.suspects, true) {
                    self.acts.push(Act::Note(Note::Suspects));
                }
                self.caught_up(now);
                self.consider(now);
            }
            RENEW => match self.phase {
                Phase::Becoming | Phase::Primary => self.ask(now),
                Phase::Rejoining | Phase::Secondary => {}
            },
            LEASE => {
                if self.phase == Phase::Primary && !self.leads(now) {
                    self.step_down(Why::LeaseOver, now);
                }
            }
            TRIM => self.tell(now),
            _ => {
                if std::mem::take(&mut self.fetching) {
                    self.acts.push(Act::Restart);
                }
            }
        }
    }

    fn done(&mut self) -> Vec<Act<T, S>> {
        std::mem::take(&mut self.acts)
    }

    /// Sets a timer for an instant of the monotonic clock; one that is under way for later is left to ring in vain.
    fn set(&mut self, timer: u64, at: Time, now: Time) {
        let index = timer as usize;
        self.due[index] = Some(at);
        if self.armed[index].is_none_or(|armed| armed > at) {
            self.armed[index] = Some(at);
            self.acts.push(Act::Timer(at.since(now).max(Span::UNIT), timer));
        }
    }

    fn beat(&mut self, now: Time) {
        self.tell_where_it_is(now);
        self.set(HEARTBEAT, now + self.settings.heartbeat, now);
    }

    fn tell_where_it_is(&mut self, now: Time) {
        let heartbeat = Message::Heartbeat {
            primary: self.leads(now),
            term: self.token.max(self.term),
            position: self.position,
            discarded: self.outputs.iter().map(|kept| kept.discarded).collect(),
        };
        self.acts.push(Act::Tell(Party::Peer, heartbeat));
    }

    /// Whether it wants to be the primary, by what it knows of the other.
    fn consider(&mut self, now: Time) {
        let gone = self.suspects || self.other_leads == Some(false);
        match self.phase {
            Phase::Secondary if gone && !self.quiet() => self.want(now),
            Phase::Becoming if !gone => self.phase = Phase::Secondary,
            _ => {}
        }
    }

    fn want(&mut self, now: Time) {
        match self.settings.elect {
            Elect::Arbiter => {
                self.phase = Phase::Becoming;
                if self.due[RENEW as usize].is_none() {
                    self.ask(now);
                }
            }
            Elect::Detector => self.lead(self.term + 1, now),
        }
    }

    fn ask(&mut self, now: Time) {
        let incarnation = self.incarnation;
        self.acts.push(Act::Ask(Ask { incarnation, sent: now }));
        self.set(RENEW, now + self.settings.renew, now);
    }

    fn granted(&mut self, grant: Grant, now: Time) {
        let Grant { ask, token, waited } = grant;
        if ask.incarnation != self.incarnation || token < self.term || self.phase == Phase::Rejoining {
            return;
        }
        // What the arbiter's clock took for `waited` may have been shorter by twice the drift, measured by this clock.
        let began = ask.sent + self.settings.shrunk(self.settings.shrunk(waited));
        let until = began + self.settings.holds();
        if until <= now {
            return;
        }
        self.until = if self.token == token {
            self.until.max(until)
        } else {
            until
        };
        self.set(LEASE, self.until, now);
        if self.phase != Phase::Primary || self.token != token {
            self.lead(token, now);
        }
        if self.due[RENEW as usize].is_none() {
            self.set(RENEW, now + self.settings.renew, now);
        }
    }

    /// It is the primary from now on: what is pending goes first.
    fn lead(&mut self, token: u64, now: Time) {
        let pending = self.pending();
        self.phase = Phase::Primary;
        (self.token, self.term) = (token, token);
        self.acts.push(Act::Note(Note::Primary { token, pending }));
        for output in 0..self.outputs.len() {
            let kept = &mut self.outputs[output];
            kept.published = kept.discarded;
            self.head(output);
            self.publish(output, now);
        }
        self.beat(now);
    }

    fn head(&mut self, output: usize) {
        let token = match self.settings.elect {
            Elect::Arbiter => self.token,
            Elect::Detector => 0,
        };
        let kept = &mut self.outputs[output];
        kept.skipped = false;
        let place = kept.published;
        self.acts.push(Act::Head(output, Head { token, place }));
    }

    /// Publishes what has been made on an output and not been published.
    fn publish(&mut self, output: usize, now: Time) {
        loop {
            let kept = &mut self.outputs[output];
            let place = kept.published + 1;
            let Some(what) = kept.at(place).cloned() else { break };
            if kept.skipped {
                self.head(output);
            }
            self.outputs[output].published = place;
            self.acts.push(Act::Publish(output, what.clone()));
            self.untold.push(Copied { output, place, what });
            if self.untold.len() >= self.settings.trim as usize {
                self.tell(now);
            } else if self.due[TRIM as usize].is_none() {
                self.set(TRIM, now + self.settings.trim_every, now);
            }
        }
    }

    /// Tells the other what it has published, and the receivers how far it has come.
    fn tell(&mut self, now: Time) {
        self.due[TRIM as usize] = None;
        if self.untold.is_empty() {
            return;
        }
        let copies = std::mem::take(&mut self.untold);
        if self.settings.discard == Discard::Published {
            for copied in &copies {
                self.outputs[copied.output].discard(copied.place);
            }
        }
        if self.leads(now) {
            for output in 0..self.outputs.len() {
                if copies.iter().any(|copied| copied.output == output) {
                    self.head(output);
                }
            }
        }
        self.acts.push(Act::Tell(Party::Peer, Message::Published(copies)));
    }

    fn step_down(&mut self, why: Why, now: Time) {
        self.tell(now);
        self.phase = Phase::Secondary;
        self.token = 0;
        self.until = Time::MIN;
        self.due[LEASE as usize] = None;
        self.acts.push(Act::Note(Note::SteppedDown(why)));
        self.beat(now);
        self.consider(now);
    }

    fn confirmed(&mut self, output: usize, receiver: usize, place: u64) {
        let Some(kept) = self.outputs.get_mut(output) else {
            return;
        };
        if let Some(confirmed) = kept.confirmed.get_mut(receiver) {
            *confirmed = place.max(*confirmed);
        }
        let all = kept.confirmed.iter().copied().min().unwrap_or(0);
        kept.discard(all);
    }

    fn caught_up(&mut self, now: Time) {
        let there = self.suspects || self.target.is_some_and(|target| self.position >= target);
        if self.phase == Phase::Rejoining && !self.fetching && there {
            self.phase = Phase::Secondary;
            self.acts.push(Act::Note(Note::CaughtUp));
            self.consider(now);
        }
    }

    fn let_go(&mut self) {
        let compares = self.phase != Phase::Primary && !self.suspects;
        for kept in &mut self.outputs {
            kept.let_go(compares);
        }
    }
}
