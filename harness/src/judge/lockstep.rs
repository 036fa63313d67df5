//! One operator and its naive model, step by step: after each input the operator must have done exactly what the model
//! says, no more and no less.

mod comparing;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use wavetank_actors::Element;
use wavetank_actors::reliability::Control;
use wavetank_actors::reliability::snapshot::Message;
use wavetank_actors::world::NodeClock;
use wavetank_actors::{RIPE, TELL};
use wavetank_models::{LoadedModel, Predictor};
use wavetank_oracle::conservation::{self, Step};
use wavetank_oracle::convey::{Sent, Split};
use wavetank_oracle::convey_worker::Worker;
use wavetank_oracle::waiting::Waiting;
use wavetank_oracle::watermark::{Generator, Heard, Minimum, Signal};
use wavetank_oracle::{Arrival, Due, DueResult, Reference, Why};
use wavetank_scenarios::asking::Answer;
use wavetank_scenarios::numbering::Progress;
use wavetank_scenarios::script::ValveSettings;
use wavetank_scenarios::topology::Port;
use wavetank_scenarios::{Event, EventId, Span, Time};

use super::words::describe;

/// What was given to an actor and is not finished.
#[derive(Clone, Debug)]
pub enum Given {
    /// An element, on a link and for an entry of the `input` list.
    Element {
        input: usize,
        lane: usize,
        element: Element,
    },
    /// A timer.
    Timer(u64),
}

/// Something that an actor did.
#[derive(Clone, Debug)]
pub enum Did {
    /// It put out a result.
    Result(Event),
    /// It passed on a watermark, an idle marker or the end.
    Control(Element),
    /// It was done with an event, without a result.
    Ended(EventId, Why),
    /// It said that it had decided something.
    Note(String),
    /// It asked a service, or answered as one.
    Told(Arc<Control>),
    /// It held an input back (`true`), or let it go.
    Hold(usize, bool),
    /// A fault acted on a watermark that it was about to pass on: by its index in the scenario.
    Fault(usize),
    /// It dealt an event to a sub-stream, or told progress, on that output.
    Sent(Port, Element),
}

/// How an actor departed from its model.
#[derive(Clone, Debug)]
pub struct Deviation {
    /// When.
    pub at: Time,
    /// What it was given.
    pub given: String,
    /// The event that it was given, if it was one.
    pub event: Option<Event>,
    /// What it should have done.
    pub expected: String,
    /// What it did.
    pub came: String,
    /// The faults that had acted on what it did.
    pub faults: Vec<usize>,
}

/// The model that an actor is held to.
#[derive(Clone)]
pub enum Model {
    /// An operator.
    Operator {
        /// Its naive model.
        reference: Box<dyn Reference>,
        /// What waits before it.
        waiting: Waiting,
        /// The watermarks of its inputs.
        minimum: Minimum,
        /// Its account of events.
        account: Box<conservation::Account>,
    },
    /// A split.
    Split {
        /// Its naive model.
        model: Box<Split>,
        /// The watermarks of its inputs.
        minimum: Minimum,
    },
    /// A sub-stream.
    Worker {
        /// Its naive model.
        model: Box<Worker>,
        /// The watermarks of its input.
        minimum: Minimum,
        /// Its account of events.
        account: Box<conservation::Account>,
    },
    /// A watermark generator.
    Generator {
        /// Its naive model.
        model: Box<Generator>,
        /// When it entered, by its node's monotonic clock.
        entered: Time,
    },
    /// A service that has the versions of a model.
    Service(Vec<Arc<LoadedModel>>),
}

impl Model {
    /// The model of an operator with that many links leading to it.
    pub fn operator(reference: Box<dyn Reference>, waiting: Waiting, inputs: usize, valve: ValveSettings) -> Self {
        Self::Operator {
            reference,
            waiting,
            minimum: Minimum::new(inputs, valve),
            account: Box::default(),
        }
    }
    /// The model of a split with that many links leading to it.
    pub fn split(model: Split, inputs: usize, valve: ValveSettings) -> Self {
        Self::Split {
            model: Box::new(model),
            minimum: Minimum::new(inputs, valve),
        }
    }
    /// The model of a sub-stream.
    pub fn worker(model: Worker) -> Self {
        Self::Worker {
            model: Box::new(model),
            minimum: Minimum::new(1, ValveSettings::default()),
            account: Box::default(),
        }
    }
}

/// A model as it was at a cut, with how many events were held and had caused a result, and how far the watermark could go.
pub type KeptModel = (Model, u64, u64, Option<Time>);

/// An actor in lockstep with its model.
pub struct Lockstep {
    model: Model,
    clock: Rc<NodeClock>,
    lineage: bool,
    given: VecDeque<Given>,
    did: Vec<Did>,
    /// Held events by the operator's own books after the last input.
    pub held: u64,
    /// Events that caused a result, by the operator's own books: now, and before the last input.
    pub caused: u64,
    caused_before: u64,
    /// How far the operator lets the watermark go, by the model.
    limit: Option<Time>,
    /// The model as it is before anything was given.
    beginning: Model,
    /// The model as it was at each cut, with what was held then.
    cuts: BTreeMap<u64, KeptModel>,
    /// The last snapshot whose barrier was passed on.
    barrier: u64,
    /// Whether its first incarnation has entered.
    entered: bool,
    /// It has begun afresh with what it is given.
    afresh: bool,
    /// The recovery that it was told of last, and whether it waits for what it is to go back to.
    attempt: u32,
    away: bool,
    /// It has just gone back.
    back: bool,
    /// Input events that the model has seen.
    pub steps: u64,
    /// The first departure from the model.
    pub deviation: Option<Deviation>,
    /// The first watermark, idle marker or end that was not passed on as it should have been.
    pub misplaced: Option<Deviation>,
    /// The first moment at which its events did not add up by id.
    pub imbalance: Option<(Time, String)>,
}

impl Lockstep {
    /// An actor and its model, on a node with that clock.
    pub fn new(model: Model, clock: Rc<NodeClock>, lineage: bool) -> Self {
        let given = VecDeque::new();
        Self {
            beginning: model.clone(),
            model,
            clock,
            lineage,
            given,
            did: Vec::new(),
            held: 0,
            caused: 0,
            caused_before: 0,
            limit: None,
            cuts: BTreeMap::new(),
            barrier: 0,
            entered: false,
            afresh: false,
            attempt: 0,
            away: false,
            back: false,
            steps: 0,
            deviation: None,
            misplaced: None,
            imbalance: None,
        }
    }
    /// The actor is given something.
    pub fn give(&mut self, given: Given) {
        if let Given::Element {
            element: Element::Control(control),
            ..
        } = &given
            && let Control::Snapshot(Message::GoBack { attempt, .. }) = **control
            && attempt > self.attempt
        {
            (self.attempt, self.away) = (attempt, true);
        }
        self.given.push_back(given);
    }
    /// The actor does something.
    pub fn act(&mut self, did: Did) {
        // What it holds back after it has gone back it held back when it was saved.
        // So it is with what it had asked, which it asks again.
        if self.back && matches!(did, Did::Hold(..) | Did::Told(_)) {
            return;
        }
        self.did.push(did);
    }
    /// The node crashed: everything held is lost. Who comes back to what was saved waits for it.
    pub fn crash(&mut self, comes_again: bool) {
        self.given.clear();
        self.did.clear();
        if !comes_again {
            self.forget();
        }
        (self.held, self.caused, self.caused_before, self.limit) = (0, 0, 0, None);
        self.away = comes_again;
    }
    /// A part of a snapshot has been cut.
    pub fn cut(&mut self, snapshot: u64) {
        let (held, caused, limit) = (self.held, self.caused, self.limit);
        self.cuts.insert(snapshot, (self.model.clone(), held, caused, limit));
    }
    /// The model as it was at a cut.
    pub fn kept(&self, snapshot: u64) -> Option<KeptModel> {
        self.cuts.get(&snapshot).cloned()
    }
    /// The model of another actor as it was at a cut, which this one is given.
    pub fn keep(&mut self, snapshot: u64, model: KeptModel) {
        self.cuts.insert(snapshot, model);
    }
    /// The actor has gone back to a cut, or to its beginning.
    pub fn restored(&mut self, snapshot: Option<u64>) {
        (self.away, self.back) = (false, true);
        match snapshot.and_then(|snapshot| self.cuts.get(&snapshot)) {
            Some((model, held, caused, limit)) => {
                self.model = model.clone();
                (self.held, self.caused, self.caused_before, self.limit) = (*held, *caused, *caused, *limit);
            }
            None => {
                // Nothing of the attempt before counts: its numbers too begin again.
                self.model = self.beginning.clone();
                (self.held, self.caused, self.caused_before, self.limit) = (0, 0, 0, None);
                self.afresh = true;
            }
        }
    }
    /// The model begins afresh.
    fn forget(&mut self) {
        match &mut self.model {
            Model::Operator {
                reference,
                waiting,
                minimum,
                account,
            } => {
                reference.arrive(&Arrival::Crash);
                waiting.crash();
                account.crash();
                *minimum = minimum.afresh();
            }
            Model::Generator { model, .. } => **model = model.afresh(),
            Model::Split { model, minimum } => {
                model.crash();
                *minimum = minimum.afresh();
            }
            Model::Worker {
                model,
                minimum,
                account,
            } => {
                model.crash();
                account.crash();
                *minimum = minimum.afresh();
            }
            Model::Service(_) => {}
        }
        (self.held, self.caused, self.caused_before, self.limit) = (0, 0, 0, None);
    }

    /// The actor is done with the oldest thing that it was given. Hands every result that is due to `due`.
    pub fn done(&mut self, at: Time, mut due: impl FnMut(&DueResult)) {
        let given = self.given.pop_front();
        self.back = false;
        if given.is_none() && self.away {
            // A new incarnation, which does nothing before it has gone back.
            return self.did.clear();
        }
        if std::mem::take(&mut self.afresh) || given.is_none() {
            // A new incarnation has entered.
            let now = self.clock.monotonic(at);
            let first = !std::mem::replace(&mut self.entered, true);
            match &mut self.model {
                Model::Generator { entered, .. } => *entered = now,
                Model::Split { model, .. } => {
                    let due = Implied {
                        sent: model.enter(now),
                        ..Implied::default()
                    };
                    self.hold_to(at, None, &due);
                }
                Model::Operator { .. } | Model::Worker { .. } | Model::Service(_) => {}
            }
            if first && let Model::Split { .. } = self.model {
                // The moments of moves are counted from here, whatever begins again.
                self.beginning = self.model.clone();
            }
            self.did.clear();
            return;
        }
        let Some(given) = given else { return };
        self.steps += 1;
        let implied = self.expect(at, &given);
        for result in &implied.due.results {
            due(result);
        }
        self.hold_to(at, Some(&given), &implied);
        if self.imbalance.is_none() {
            self.balance(at, &given);
        }
        self.caused_before = self.caused;
        self.did.clear();
    }

    /// Notes where what was done departs from what follows.
    fn hold_to(&mut self, at: Time, given: Option<&Given>, implied: &Implied) {
        let departs = |(expected, came): (String, String)| Deviation {
            at,
            given: given.map_or_else(|| "its entry".into(), describe),
            event: match given {
                Some(Given::Element { element, .. }) => element.event().cloned(),
                Some(Given::Timer(_)) | None => None,
            },
            expected,
            came,
            faults: self.did.iter().filter_map(Did::fault).collect(),
        };
        if self.deviation.is_none()
            && let Err(wrong) = self.compare(implied)
        {
            self.deviation = Some(departs(wrong));
        }
        if self.misplaced.is_none()
            && let Err(wrong) = self.compare_controls(implied)
        {
            self.misplaced = Some(departs(wrong));
        }
    }

    /// Enters the input into the account of events.
    fn balance(&mut self, at: Time, given: &Given) {
        let (Model::Operator { account, .. } | Model::Worker { account, .. }) = &mut self.model else {
            return;
        };
        let arrived = match given {
            Given::Element {
                element: Element::Event(event),
                ..
            } => Some((event.id, event.origins())),
            _ => None,
        };
        let mut results: Vec<&[EventId]> = Vec::new();
        let mut dropped = Vec::new();
        for did in &self.did {
            match did {
                Did::Result(event) => results.push(event.origins()),
                Did::Ended(id, why) => dropped.push((*id, *why)),
                Did::Control(_) | Did::Hold(..) | Did::Fault(_) | Did::Sent(..) => {}
                Did::Note(_) | Did::Told(_) => {}
            }
        }
        let caused = self.caused.saturating_sub(self.caused_before);
        let (results, dropped) = (results.as_slice(), dropped.as_slice());
        let step = Step {
            at,
            arrived,
            shed: &[],
            results,
            dropped,
            caused,
            held: self.held,
        };
        if let Some(broken) = account.step(&step) {
            self.imbalance = Some((broken.at, format!("{:?}", broken.what)));
        }
    }

    /// What the model does with an input: results and ends, then the watermarks, idle markers and ends that it passes on.
    fn expect(&mut self, at: Time, given: &Given) -> Implied {
        if let Some(said) = self.expect_of_recovery(given) {
            let held = self.held;
            return Implied {
                due: Due { held, ..Due::default() },
                controls: said,
                ..Implied::default()
            };
        }
        match &mut self.model {
            Model::Service(versions) => expect_of_service(versions, given),
            Model::Split { .. } => self.expect_of_split(given),
            Model::Worker { .. } => self.expect_of_worker(at, given),
            Model::Generator { .. } => self.expect_of_generator(at, given),
            Model::Operator { .. } => {
                let (due, controls) = self.expect_of_one(at, given);
                Implied {
                    due,
                    controls,
                    ..Implied::default()
                }
            }
        }
    }

    /// What an actor passes on of what snapshots and recovery are agreed by: each barrier once, while it has not ended.
    fn expect_of_recovery(&mut self, given: &Given) -> Option<Vec<Signal>> {
        let Given::Element { element, .. } = given else {
            return None;
        };
        let number = match element {
            Element::Barrier(number) => *number,
            Element::Control(control) => match **control {
                Control::Snapshot(Message::Trigger { number, .. }) if !self.away => number,
                Control::Answer(_) if !self.away => return None,
                Control::Question(_) => return None,
                _ => return Some(vec![]),
            },
            _ => return None,
        };
        let over = match &self.model {
            Model::Operator { minimum, .. } | Model::Worker { minimum, .. } => minimum.over(),
            Model::Split { model, .. } => model.over(),
            Model::Generator { model, .. } => model.over(),
            Model::Service(_) => true,
        };
        let new = number > self.barrier;
        self.barrier = self.barrier.max(number);
        Some(if new && !over {
            vec![Signal::Barrier(number)]
        } else {
            vec![]
        })
    }

    fn expect_of_split(&mut self, given: &Given) -> Implied {
        let Model::Split { model, minimum } = &mut self.model else {
            return Implied::default();
        };
        let mut implied = Implied::default();
        let over = model.over();
        match given {
            Given::Timer(TELL) => implied.sent = model.tick(),
            Given::Timer(k) => implied.sent = model.moment(*k as usize),
            Given::Element { lane, element, input } => match element {
                Element::Event(event) => implied.sent = model.event(event),
                Element::Progress(progress) => implied.sent = model.answer(*lane as u32, progress),
                _ => {
                    if let Some(signal) = signal(element) {
                        minimum.arrive(*input, signal);
                        implied.controls = minimum.say(Time::MAX, true);
                    }
                    if implied.controls.contains(&Signal::End) {
                        model.end();
                    }
                }
            },
        }
        // The end waits for the state of keys that move.
        implied.controls.retain(|signal| *signal != Signal::End);
        if model.over() && !over {
            implied.sent.extend(model.last());
            implied.controls.push(Signal::End);
        }
        implied
    }

    fn expect_of_worker(&mut self, at: Time, given: &Given) -> Implied {
        let Model::Worker { model, minimum, .. } = &mut self.model else {
            return Implied::default();
        };
        let (wall, monotonic) = (self.clock.wall(at), self.clock.monotonic(at));
        let mut signalled = false;
        let worked = match given {
            Given::Timer(_) if minimum.over() => None,
            Given::Timer(_) => Some(model.tick()),
            Given::Element { lane, element, input } => match element {
                Element::Event(event) => Some(model.event(*lane, event, wall, monotonic)),
                Element::Progress(progress) => Some(model.told(progress, wall, monotonic)),
                _ => {
                    signalled = true;
                    let grown = signal(element).and_then(|signal| minimum.arrive(*input, signal));
                    grown.map(|watermark| model.watermark(watermark))
                }
            },
        };
        let mut implied = Implied::default();
        match worked {
            Some(worked) => {
                self.limit = worked.due.limit;
                implied.due = worked.due;
                implied.sent = worked.sent;
                implied.numbers = Some(worked.numbers);
            }
            None => implied.due.held = self.held,
        }
        // What is told changes no watermark; the next event, watermark or state does.
        let passes = !matches!(given, Given::Timer(_));
        if passes {
            implied.controls = minimum.say(self.limit.unwrap_or(Time::MAX), signalled);
        }
        implied
    }

    fn expect_of_generator(&mut self, at: Time, given: &Given) -> Implied {
        let Model::Generator { model, entered } = &mut self.model else {
            return Implied::default();
        };
        let mut implied = Implied::default();
        if let Given::Element {
            element: Element::Epoch(number),
            ..
        } = given
        {
            // A marker changes nothing, and is passed on where it stands.
            implied.controls = vec![Signal::Epoch(*number)];
            return implied;
        }
        let (wall, at) = (self.clock.wall(at), self.clock.monotonic(at).since(*entered));
        if let Some(heard) = heard(given, at, wall) {
            implied.controls = model.arrive(&heard);
        }
        if let Given::Element {
            element: Element::Event(event),
            ..
        } = given
        {
            let stamped = model.stamps();
            implied.leads = stamped.is_some();
            implied.passed = Some(Event {
                stamp: stamped.unwrap_or(event.stamp),
                ..(**event).clone()
            });
        }
        implied
    }

    fn expect_of_one(&mut self, at: Time, given: &Given) -> (Due, Vec<Signal>) {
        let monotonic = self.clock.monotonic(at);
        if let Given::Element {
            element: Element::Epoch(number),
            ..
        } = given
        {
            // A marker changes nothing, and is passed on where it stands.
            let nothing = Due {
                held: self.held,
                ..Due::default()
            };
            return (nothing, vec![Signal::Epoch(*number)]);
        }
        match &mut self.model {
            Model::Operator {
                reference,
                waiting,
                minimum,
                ..
            } => {
                let (reference, wall) = (&mut **reference, self.clock.wall(at));
                let nothing = Due {
                    held: self.held,
                    ..Due::default()
                };
                let (due, said) = match given {
                    // What comes after the end cannot be put out any more.
                    Given::Timer(_) if minimum.over() => return (nothing, vec![]),
                    Given::Timer(RIPE) if waiting.holds() => {
                        let combined = minimum.watermark();
                        (waiting.go(reference, combined, false, wall, monotonic), None)
                    }
                    Given::Timer(token) => {
                        let (token, at) = (*token, monotonic);
                        (waiting.tell(reference, &Arrival::Timer { token, at }), None)
                    }
                    Given::Element {
                        lane,
                        element: Element::Event(event),
                        ..
                    } => (waiting.event(reference, *lane, event, wall, monotonic), None),
                    Given::Element {
                        element: Element::Control(control),
                        ..
                    } => {
                        let still = Due {
                            limit: self.limit,
                            ..nothing
                        };
                        let due = match &**control {
                            Control::Answer(answer) if !minimum.over() => waiting.answer(reference, answer),
                            _ => None,
                        };
                        (due.unwrap_or(still), None)
                    }
                    Given::Element {
                        input,
                        element: Element::Progress(progress),
                        ..
                    } => {
                        let still = Due {
                            limit: self.limit,
                            ..nothing
                        };
                        (waiting.progress(reference, *input, progress).unwrap_or(still), None)
                    }
                    Given::Element { input, element, .. } => {
                        let Some(signal) = signal(element) else {
                            return (Due::default(), vec![]);
                        };
                        let mut due = Due {
                            limit: self.limit,
                            ..nothing
                        };
                        let mut then = |more: Option<Due>| {
                            let Some(more) = more else { return };
                            due.results.extend(more.results);
                            due.dropped.extend(more.dropped);
                            due.notes.extend(more.notes);
                            due.asked.extend(more.asked);
                            (due.held, due.limit) = (more.held, more.limit);
                        };
                        let before = minimum.watermark();
                        let grown = minimum.arrive(*input, signal);
                        if signal == Signal::End {
                            if waiting.holds() && minimum.ended() {
                                then(Some(waiting.go(reference, before, true, wall, monotonic)));
                            }
                            let all = Progress::Done(u64::MAX);
                            then(waiting.progress(reference, *input, &all));
                        }
                        then(grown.and_then(|watermark| waiting.watermark(reference, watermark)));
                        (due, Some(signal))
                    }
                };
                self.limit = due.limit;
                let limit = due.limit.unwrap_or(Time::MAX);
                let controls = minimum.say_when(limit, said.is_some(), reference.waits());
                (due, controls)
            }
            Model::Generator { .. } | Model::Split { .. } | Model::Worker { .. } | Model::Service(_) => {
                (Due::default(), vec![])
            }
        }
    }
}

impl Did {
    const fn fault(&self) -> Option<usize> {
        match self {
            Self::Fault(fault) => Some(*fault),
            _ => None,
        }
    }
}

/// What a service must answer: what the model says that was asked, or why it says nothing.
fn expect_of_service(versions: &[Arc<LoadedModel>], given: &Given) -> Implied {
    let mut implied = Implied::default();
    if let Given::Element {
        element: Element::Control(control),
        ..
    } = given
        && let Control::Question(asked) = &**control
    {
        let said = match versions.get(asked.version as usize) {
            Some(model) => model.predict(&asked.features).map_err(|error| error.to_string()),
            None => Err(format!("there is no version number {}", asked.version)),
        };
        let (event, version) = (asked.event, asked.version);
        implied.answer = Some(Answer { event, version, said });
    }
    implied
}

/// What a generator hears when it is given something; `at` counts from when it entered, and `wall` is its node's clock.
fn heard(given: &Given, at: Span, wall: Time) -> Option<Heard> {
    let (input, lane, element) = match given {
        Given::Timer(wavetank_actors::EVERY) => return Some(Heard::Tick { wall }),
        Given::Timer(wavetank_actors::ALIGN) => return Some(Heard::Align { at }),
        Given::Timer(RIPE) => return Some(Heard::Ripe { wall, at }),
        Given::Timer(_) => return Some(Heard::Look { at }),
        Given::Element { input, lane, element } => (*input, *lane, element),
    };
    Some(match element {
        Element::Event(event) => Heard::Event {
            input,
            lane,
            id: event.id,
            stamp: event.stamp,
            row: event.row.clone(),
            at,
            wall,
        },
        Element::Watermark(watermark) => Heard::Watermark {
            input,
            watermark: *watermark,
            at,
        },
        Element::Idle(idle) => Heard::Idle { input, idle: *idle, at },
        Element::Epoch(_) | Element::Barrier(_) | Element::Ask | Element::Progress(_) | Element::Control(_) => {
            return None;
        }
        Element::End => Heard::End { input, at },
    })
}

/// What follows from an input.
#[derive(Default)]
struct Implied {
    due: Due,
    controls: Vec<Signal>,
    sent: Vec<Sent>,
    /// The number of each result, which part of it it is, and whether it is the last; of sub-streams.
    numbers: Option<Vec<Option<(u64, u32, bool)>>>,
    /// What a service answers.
    answer: Option<Answer>,
    /// The event that a generator passes on, and whether what it sends because of it goes before it.
    passed: Option<Event>,
    leads: bool,
}

pub(super) fn signal(element: &Element) -> Option<Signal> {
    match element {
        Element::Event(_) | Element::Progress(_) | Element::Ask | Element::Control(_) => None,
        Element::Barrier(number) => Some(Signal::Barrier(*number)),
        Element::Watermark(watermark) => Some(Signal::Watermark(*watermark)),
        Element::Epoch(number) => Some(Signal::Epoch(*number)),
        Element::Idle(idle) => Some(Signal::Idle(*idle)),
        Element::End => Some(Signal::End),
    }
}
