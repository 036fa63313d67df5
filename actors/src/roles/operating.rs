//! The part that hosts an operator: everything that all operators need, once. It combines the watermarks of the inputs
//! and passes them on behind what they caused, gives results their identity, keeps the books, and sets timers.

use wavetank_scenarios::numbering::{Progress, Sequence};
use wavetank_scenarios::script::{self, Future, OnError};
use wavetank_scenarios::topology::{ActorId, Port};
use wavetank_scenarios::{Event, EventId, Producer, Row, Span, Time, Value};

use crate::element::Element;
use crate::host::{Keeps, Part};
use crate::operator::{Dropped, Emitted, Operator, Output};
use crate::reliability::{Control, State, StateError, counted};
use crate::roles::room::{RIPE, Room};
use crate::scaling::watermark::Valve;
use crate::world::{Account, Effect, Input, Stage};

pub(crate) struct Operating {
    operator: Box<dyn Operator>,
    valve: Valve,
    flush_at_end: bool,
    stop_on_error: bool,
    account: Account,
    numbered: u64,
    /// Whose results they are, where not its own: those of two copies are the same.
    producer: Option<ActorId>,
    /// The watermark that was passed on.
    passed: Time,
    over: bool,
    /// All inputs have ended, and the end waits for what has been asked.
    ending: bool,
    /// Who is asked what the operator asks.
    service: Option<ActorId>,
    output: Output,
    /// Events since the state was last measured.
    unmeasured: u32,
    /// The number of the event that is worked on, in a sub-stream.
    number: Option<u64>,
    /// Events that have come and wait outside of the operator, and the largest watermark that may pass them.
    waiting: u64,
    limit: Time,
    /// The watermark that the operator has been told.
    told: Time,
    /// Where events wait that are ahead of the clock, with their lanes, if they do.
    room: Option<Room<(usize, Event)>>,
    /// Of its `input` list.
    entries: usize,
    tick: Span,
}

impl Operating {
    pub fn new(operator: Box<dyn Operator>, inputs: usize, settings: &script::Operator, first: u64) -> Self {
        Self {
            operator,
            valve: Valve::new(inputs, settings.valve),
            flush_at_end: settings.flush_at_end,
            stop_on_error: settings.on_error == OnError::Stop,
            account: Account::default(),
            numbered: first,
            producer: None,
            passed: Time::MIN,
            over: false,
            ending: false,
            service: None,
            output: Output::default(),
            unmeasured: 0,
            number: None,
            waiting: 0,
            limit: Time::MAX,
            told: Time::MIN,
            room: None,
            entries: settings.input.len(),
            tick: Span::UNIT,
        }
    }

    /// Its results are those of another actor, whose copy it is.
    #[must_use]
    pub const fn for_producer(mut self, producer: ActorId) -> Self {
        self.producer = Some(producer);
        self
    }

    /// It asks that actor.
    #[must_use]
    pub const fn asking(mut self, service: Option<ActorId>) -> Self {
        self.service = service;
        self
    }

    /// The same, where events that are ahead of the clock wait if its settings say so; `tick` is the unit of event time.
    #[must_use]
    pub fn holding(mut self, settings: &script::Operator, tick: Span) -> Self {
        self.room = (settings.future == Future::Hold).then(Room::new);
        self.tick = tick;
        self
    }

    /// Takes an event in.
    pub fn event(&mut self, lane: usize, event: Event, stage: &Stage) {
        self.work(lane, event, stage);
        self.pass_on(stage);
    }
    /// An event reaches the operator.
    fn work(&mut self, lane: usize, event: Event, stage: &Stage) {
        self.account.taken += 1;
        let id = event.id;
        self.operator.on_event(lane, event, stage.wall(), &mut self.output);
        if self.output.busy > Span::ZERO {
            stage.put(Effect::Busy(self.output.busy, id));
        }
        self.finish(stage);
    }
    /// An event comes: it is taken in, or waits until its time has come.
    fn comes(&mut self, lane: usize, event: Event, stage: &Stage) {
        match &mut self.room {
            Some(room) if event.stamp > stage.wall() => {
                room.wait(event.stamp, event.id, (lane, event), stage);
                self.waits(stage);
            }
            _ => self.event(lane, event, stage),
        }
    }
    /// The time has come for some that wait, or for all of them.
    fn let_go(&mut self, all: bool, stage: &Stage) {
        let mut gone = false;
        while let Some(room) = &mut self.room
            && let Some((lane, event)) = if all { room.next() } else { room.ripe(stage) }
        {
            gone = true;
            self.waited();
            self.work(lane, event, stage);
        }
        if gone {
            self.tell(stage);
        }
    }
    /// Tells the operator how far the watermark has come, as far as what waits lets it.
    fn tell(&mut self, stage: &Stage) {
        let limit = self.room.as_ref().map_or(Time::MAX, |room| room.limit(self.tick));
        let watermark = self.valve.combined().min(limit);
        if watermark > self.told {
            self.told = watermark;
            if watermark < Time::MAX || self.flush_at_end {
                self.operator.on_watermark(watermark, &mut self.output);
                self.unmeasured = u32::MAX;
                self.finish(stage);
            }
        }
    }
    /// Takes an event in that has a number, which its results get; how many there are.
    pub fn numbered(&mut self, number: u64, lane: usize, event: Event, stage: &Stage) -> u64 {
        let before = self.numbered;
        self.number = Some(number);
        self.event(lane, event, stage);
        self.number = None;
        self.numbered - before
    }
    /// An event has come that waits outside of the operator.
    pub fn waits(&mut self, stage: &Stage) {
        self.account.taken += 1;
        self.waiting += 1;
        self.finish(stage);
    }
    /// One of those that wait is taken in next.
    pub const fn waited(&mut self) {
        self.account.taken -= 1;
        self.waiting -= 1;
    }
    /// How many have come that wait outside of the operator.
    pub const fn outside(&self) -> u64 {
        self.waiting
    }
    /// No watermark above this is passed on.
    pub const fn hold_back(&mut self, limit: Time) {
        self.limit = limit;
    }
    /// True when the end has been passed on.
    pub const fn over(&self) -> bool {
        self.over
    }
    /// Takes the state of keys out of the operator.
    pub fn take_keys(&mut self, moves: &dyn Fn(&[Value]) -> bool) -> Vec<(Row, Value)> {
        self.unmeasured = u32::MAX;
        self.operator.take_keys(moves).unwrap_or_default()
    }
    /// Puts the state of keys in.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn put_keys(&mut self, state: &[(Row, Value)]) -> Result<(), String> {
        self.unmeasured = u32::MAX;
        self.operator.put_keys(state)
    }

    fn advance(&mut self, stage: &Stage) {
        let turned = self.valve.turned();
        if turned == Some(false) {
            stage.send(Port::Main, Element::Idle(false));
        }
        if self.valve.grown().is_some() {
            self.tell(stage);
        }
        self.pass_on(stage);
        if turned == Some(true) {
            stage.send(Port::Main, Element::Idle(true));
        }
        self.ending |= self.valve.ended();
        self.end(stage);
    }

    /// Passes the end on when it has come and nothing is waited for.
    fn end(&mut self, stage: &Stage) {
        if self.ending && !self.over && self.operator.asked().is_empty() {
            self.over = true;
            stage.send(Port::Main, Element::End);
        }
    }

    /// Passes the watermark on, as far as the operator lets it go.
    pub fn pass_on(&mut self, stage: &Stage) {
        let limit = self.operator.watermark_limit().min(self.limit);
        let watermark = self.told.min(limit);
        if watermark > self.passed {
            self.passed = watermark;
            stage.send(Port::Main, Element::Watermark(watermark));
        }
    }

    /// Passes on what the operator put out, and closes the books of this input.
    fn finish(&mut self, stage: &Stage) {
        let account = &mut self.account;
        let result = |emitted: &Emitted| matches!(emitted, Emitted::Result(_));
        let of = self.output.emitted.iter().filter(|e| result(e)).count() as u32;
        let mut part = 0;
        for emitted in self.output.emitted.drain(..) {
            match emitted {
                Emitted::Result(draft) => {
                    let id = EventId {
                        producer: Producer(self.producer.unwrap_or_else(|| stage.actor()).0),
                        number: self.numbered,
                    };
                    self.numbered += 1;
                    let event = Event {
                        id,
                        stamp: draft.stamp,
                        correlation: draft.correlation,
                        planned: draft.planned,
                        row: draft.row,
                        lineage: draft.lineage,
                        pane: draft.pane,
                        sequence: self.number.map(|number| Sequence {
                            number,
                            part,
                            last: part + 1 == of,
                            after: 0,
                        }),
                        position: None,
                    };
                    part += 1;
                    stage.send(Port::Main, Element::Event(Box::new(event)));
                }
                Emitted::Late(event) => stage.send(Port::Late, Element::Event(Box::new(event))),
                Emitted::Failed(failure) => {
                    account.failed += 1;
                    stage.send(Port::Failed, Element::Event(Box::new(failure.event.clone())));
                    let failure = Box::new(failure);
                    stage.put(if self.stop_on_error {
                        Effect::Stop(failure)
                    } else {
                        Effect::Failed(failure)
                    });
                }
            }
        }
        account.caused += self.output.caused;
        for (id, why) in self.output.dropped.drain(..) {
            match why {
                Dropped::Filtered => account.filtered += 1,
                Dropped::Late => account.late += 1,
                Dropped::Failed => account.failed += 1,
            }
            stage.put(Effect::Dropped(id, why));
        }
        for (after, token) in self.output.timers.drain(..) {
            stage.timer(after, token);
        }
        for question in self.output.asked.drain(..) {
            if let Some(service) = self.service {
                stage.tell(service, Control::Question(question));
            }
        }
        for note in self.output.notes.drain(..) {
            stage.put(Effect::Note(note));
        }
        if stage.watched() {
            for (metric, reading) in self.output.measured.drain(..) {
                stage.put(Effect::Measured(metric, reading));
            }
            account.held = self.operator.held() + self.waiting;
            self.unmeasured = self.unmeasured.saturating_add(1);
            if self.unmeasured >= MEASURE_EVERY {
                account.state_bytes = self.operator.state_bytes() as u64;
                self.unmeasured = 0;
            }
            stage.put(Effect::Account(Box::new(*account)));
        }
        self.output.clear();
    }
}

/// Measuring a large state takes time: it is done at every watermark, and once in so many events between.
const MEASURE_EVERY: u32 = 64;

impl Part for Operating {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        match input {
            Input::Enter { .. } => {
                self.operator.on_enter(&mut self.output);
                self.finish(stage);
            }
            Input::Timer(RIPE) if self.room.is_some() => {
                if !self.over {
                    self.let_go(false, stage);
                    if let Some(room) = &mut self.room {
                        room.again(stage);
                    }
                    self.pass_on(stage);
                }
            }
            Input::Timer(token) => {
                // What comes after the end could not be put out any more.
                if !self.over {
                    self.operator.on_timer(token, &mut self.output);
                    self.finish(stage);
                    self.pass_on(stage);
                    self.end(stage);
                }
            }
            Input::Element { input, lane, element } => match element {
                Element::Event(event) => self.comes(lane, *event, stage),
                Element::Progress(progress) => {
                    self.operator.on_progress(input, &progress, &mut self.output);
                    self.finish(stage);
                    self.pass_on(stage);
                }
                Element::Watermark(watermark) => {
                    self.valve.watermark(input, watermark);
                    self.advance(stage);
                }
                Element::Idle(idle) => {
                    self.valve.idle(input, idle);
                    self.advance(stage);
                }
                // It comes when it has come on every input: all before it has been worked on, and put out.
                Element::Epoch(number) => stage.send(Port::Main, Element::Epoch(number)),
                Element::Control(control) => {
                    if let Control::Answer(answer) = &*control
                        && !self.over
                    {
                        self.operator.on_answer(answer, &mut self.output);
                        self.finish(stage);
                        self.pass_on(stage);
                        self.end(stage);
                    }
                }
                Element::Ask | Element::Barrier(_) => {}
                Element::End => {
                    self.valve.end(input);
                    if self.valve.all_ended() {
                        self.let_go(true, stage);
                    }
                    let all = Progress::Done(u64::MAX);
                    self.operator.on_progress(input, &all, &mut self.output);
                    self.finish(stage);
                    self.advance(stage);
                }
            },
        }
    }
}

/// The part of a saved state that holds the books.
const ACCOUNT: &str = "account";

impl Keeps for Operating {
    fn save(&self, state: &mut State) {
        let mut of_operator = State::default();
        self.operator.save(&mut of_operator);
        state.put_state("operator", of_operator);
        self.valve.save(state);
        state.put(ACCOUNT, &(self.account, self.unmeasured));
        state.put("numbered", &self.numbered);
        state.put("passed", &self.passed);
        state.put("over", &(self.over, self.ending));
        state.put("outside", &(self.waiting, self.limit));
        state.put("told", &self.told);
        if let Some(room) = &self.room {
            room.save(state);
        }
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        let of_operator = self.operator.restore(&state.state("operator"));
        of_operator.map_err(|wrong| StateError::of(&format!("operator/{}", wrong.part), wrong.why))?;
        self.valve.restore(state)?;
        (self.account, self.unmeasured) = state.get(ACCOUNT)?;
        let books = self.account;
        for count in [books.taken, books.caused, books.filtered, books.late, books.failed] {
            counted(ACCOUNT, count)?;
        }
        self.numbered = counted("numbered", state.get("numbered")?)?;
        self.passed = state.get("passed")?;
        (self.over, self.ending) = state.get("over")?;
        (self.waiting, self.limit) = state.get("outside")?;
        StateError::unless(self.waiting <= books.taken, "outside", "more wait than have come")?;
        self.told = state.get("told")?;
        if let Some(room) = &mut self.room {
            room.restore(state, |(lane, _)| *lane < self.entries)?;
            let agree = self.waiting == room.len() as u64;
            StateError::unless(agree, "outside", "another number of events waits for the clock")?;
        }
        Ok(())
    }

    fn resume(&self, stage: &Stage) {
        if let Some(room) = &self.room {
            room.resume(stage);
        }
        // What was asked before may have been answered to nobody.
        if let Some(service) = self.service {
            for question in self.operator.asked() {
                stage.tell(service, Control::Question(question));
            }
        }
    }

    fn over(&self) -> bool {
        self.over
    }

    fn watermark(&self) -> Time {
        self.passed
    }
}
