//! The part around a part that is saved and set back: it cuts snapshots at barriers, keeps track of timers and of how far
//! it has read, and begins again from what was saved.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use wavetank_scenarios::event::Position;
use wavetank_scenarios::script::{Acknowledge, Replay, ReplayFrom};
use wavetank_scenarios::topology::{ActorId, Port};
use wavetank_scenarios::{Span, Time};

use super::replay::{Plan, Tracker};
use super::snapshot::barrier::{Alignment, AtEnd, Cut, Cutting, Passage};
use super::snapshot::{Doings, Habit, Message, Saver, Step};
use super::{Control, Crew, From, State, StateError};
use crate::element::Element;
use crate::host::{Keeps, Part};
use crate::world::{Effect, Input, Stage};

/// Whom a participant deals with.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    pub crew: Crew,
    /// How its part of a snapshot is written.
    pub habit: Habit,
    /// By input: the broker that it reads there.
    pub brokers: Vec<Option<ActorId>>,
    /// By input: whether what comes there after a cut, and was sent before it, is saved with it: the way back of a
    /// sub-stream, and with unaligned barriers every input that carries them.
    pub recorded: Vec<bool>,
    /// Whether it is a sub-stream that answers its split.
    pub answers: bool,
    /// The coordinator hears whenever it has taken so many events more.
    pub counts: Option<u64>,
    /// The coordinator hears whenever its watermark has passed a multiple of this.
    pub paces: Option<Span>,
    pub replay: Option<Replay>,
    /// Which of its brokers are queues.
    pub queues: BTreeSet<ActorId>,
    /// When it tells its brokers that an event has been worked on.
    pub acknowledge: Acknowledge,
    /// Where that depends on how far the pipeline is: how far back it reaches.
    pub plan: Option<Rc<Plan>>,
    /// Whether the coordinator hears what watermark it passes on.
    pub ends: bool,
}

/// A cut that lacks what is under way on some inputs.
struct Recording {
    snapshot: u64,
    state: State,
    log: Vec<(usize, usize, Element)>,
}

/// Makes a part afresh.
pub(crate) type Make<P> = Box<dyn FnMut() -> Result<P, String>>;

/// A part that takes part in snapshots and recovery.
pub(crate) struct Participant<P> {
    make: Make<P>,
    part: P,
    peers: Peers,
    armed: Rc<RefCell<Vec<(Time, u64)>>>,
    /// By broker and partition: the next offset to read.
    offsets: BTreeMap<(u32, u32), u64>,
    /// By input: whether it has ended.
    ended: Vec<bool>,
    /// The barriers of the inputs on which what comes after a cut is saved with it; the others are taken to have ended.
    alignment: Alignment,
    recording: Option<Recording>,
    saver: Saver,
    /// It waits for what it is to go back to.
    away: bool,
    /// How many events it has taken in this recovery, and up to which multiple its watermark has come.
    taken: u64,
    reached: Option<i64>,
    /// Whether the coordinator knows that it is over.
    told_over: bool,
    /// By broker and partition: what has been read and not acknowledged.
    open: BTreeMap<(u32, u32), Tracker>,
    /// By snapshot: what had been read at its cut and not been acknowledged.
    cuts: BTreeMap<u64, Vec<(u32, Position)>>,
    /// What has been read since the last cut.
    since_cut: Vec<(u32, Position)>,
    /// The watermark that has been passed on, as the coordinator knows.
    passed: Time,
}

impl<P: Part + Keeps> Participant<P> {
    pub fn new(mut make: Make<P>, peers: Peers) -> Result<Self, String> {
        let part = make()?;
        let inputs = peers.brokers.len();
        Ok(Self {
            make,
            part,
            saver: Saver::new(peers.habit.clone()),
            peers,
            armed: Rc::default(),
            offsets: BTreeMap::new(),
            ended: vec![false; inputs],
            alignment: Alignment::new(inputs, Cutting::Unaligned, AtEnd::Counts),
            recording: None,
            away: false,
            taken: 0,
            reached: None,
            told_over: false,
            open: BTreeMap::new(),
            cuts: BTreeMap::new(),
            since_cut: Vec::new(),
            passed: Time::MIN,
        }
        .behind(0))
    }

    /// Its barriers begin anew behind a snapshot.
    fn behind(mut self, snapshot: u64) -> Self {
        self.await_barriers(snapshot);
        self
    }
    fn await_barriers(&mut self, snapshot: u64) {
        let inputs = self.peers.recorded.iter().zip(&self.ended);
        self.alignment
            .reset(snapshot, inputs.map(|(recorded, ended)| !recorded || *ended));
    }

    /// Barriers have come so far.
    fn follow(&mut self, cuts: Vec<Cut>, stage: &Stage) {
        for cut in cuts {
            match cut {
                Cut::Started(snapshot) => self.cut(snapshot, stage),
                Cut::Complete(_) => self.finish_cut(stage),
                Cut::Aborted(_) => self.recording = None,
            }
        }
    }

    /// Cuts its part of a snapshot, behind all that it has taken, and passes the barrier on.
    fn cut(&mut self, snapshot: u64, stage: &Stage) {
        self.part.cut(snapshot);
        if self.peers.acknowledge == Acknowledge::Snapshot {
            let read = std::mem::take(&mut self.since_cut);
            self.cuts.insert(snapshot, read);
        }
        stage.put(Effect::Cut(snapshot));
        // Who is over says nothing more, but what a sub-stream has told its split still belongs to the cut.
        let over = self.part.over();
        if !over || self.peers.answers {
            let port = if over { Port::Back } else { Port::Main };
            stage.send(port, Element::Barrier(snapshot));
        }
        self.recording = Some(Recording {
            snapshot,
            state: self.save(),
            log: Vec::new(),
        });
    }

    /// Sends the part of a snapshot to the store: nothing is missing any more.
    fn finish_cut(&mut self, stage: &Stage) {
        let Some(mut recording) = self.recording.take() else {
            return;
        };
        recording.state.put("under way", &recording.log);
        if let Some(why) = recording.state.broken() {
            return stage.put(Effect::Broken(format!("its state cannot be saved: {why}")));
        }
        let mut out = Doings::default();
        self.saver.save(recording.snapshot, recording.state, &mut out);
        self.peers.crew.carry_out(out, stage);
    }

    fn say(&self, what: impl FnOnce(&Saver, &mut Doings), stage: &Stage) {
        let mut out = Doings::default();
        what(&self.saver, &mut out);
        self.peers.crew.carry_out(out, stage);
    }

    fn save(&self) -> State {
        let mut part = State::default();
        self.part.save(&mut part);
        let mut state = State::default();
        state.put_state("part", part);
        let mut timers = self.armed.borrow().clone();
        timers.sort_unstable();
        state.put("timers", &timers);
        state.put_each("read", &self.offsets);
        state.put("ended", &self.ended);
        state
    }

    /// Begins again, from what was saved or afresh.
    fn begin(&mut self, saved: Option<(u64, &State)>, stage: &mut Stage) -> Result<(), String> {
        let mut part = (self.make)()?;
        let mut offsets = BTreeMap::new();
        let mut timers: Vec<(Time, u64)> = Vec::new();
        let mut under_way: Vec<(usize, usize, Element)> = Vec::new();
        let mut ended = vec![false; self.ended.len()];
        if let Some((_, state)) = saved {
            let wrong = |error: StateError| error.to_string();
            part.restore(&state.state("part")).map_err(wrong)?;
            offsets = state.each("read").map_err(wrong)?.into_iter().collect();
            timers = state.get("timers").map_err(wrong)?;
            under_way = state.get("under way").map_err(wrong)?;
            ended = state.get("ended").map_err(wrong)?;
            if ended.len() != self.ended.len() {
                return Err(format!(
                    "it has {} inputs, and was saved with {}",
                    self.ended.len(),
                    ended.len()
                ));
            }
        }
        (self.part, self.offsets, self.ended) = (part, offsets, ended);
        *self.armed.borrow_mut() = timers.clone();
        self.recording = None;
        self.away = false;
        self.await_barriers(saved.map_or(0, |(snapshot, _)| snapshot));
        (self.taken, self.reached) = (0, None);
        self.open.clear();
        self.since_cut.clear();
        self.cuts.clear();
        self.passed = Time::MIN;
        let same = saved.is_none_or(|(_, state)| {
            let mut again = self.save();
            again.put("under way", &under_way);
            again == *state
        });
        self.armed.borrow_mut().clear();
        let (attempt, snapshot) = (self.saver.attempt(), saved.map(|(snapshot, _)| snapshot));
        stage.put(Effect::Restored {
            attempt,
            snapshot,
            same,
        });
        let now = stage.monotonic();
        for (due, token) in timers {
            stage.timer(due.since(now).max(Span::ZERO), token);
        }
        if saved.is_some() {
            self.part.resume(stage);
        } else {
            self.part.play(Input::Enter { again: true }, stage);
        }
        for (input, lane, element) in under_way {
            stage.put(Effect::Again { input, lane, element });
        }
        let brokers: BTreeSet<ActorId> = self.peers.brokers.iter().flatten().copied().collect();
        for broker in brokers {
            let from = self.from(broker, saved.is_some(), stage);
            stage.tell(broker, Control::Seek { attempt, from });
        }
        self.say(Saver::restored, stage);
        self.told_over = false;
        self.tell_over(stage);
        Ok(())
    }

    /// Where a broker is to begin to send again.
    fn from(&self, broker: ActorId, saved: bool, stage: &Stage) -> From {
        let replay = self.peers.replay.map(|replay| replay.from);
        match replay {
            Some(ReplayFrom::Latest) => From::Latest,
            _ if saved => {
                let offsets = self.offsets.iter().filter(|((of, _), _)| *of == broker.0);
                let position = |((_, partition), offset): (&(u32, u32), &u64)| Position {
                    partition: *partition,
                    offset: *offset,
                };
                From::Positions(offsets.map(position).collect())
            }
            None | Some(ReplayFrom::Earliest) => From::Earliest,
            Some(ReplayFrom::Committed | ReplayFrom::Reach) => From::Committed,
            Some(ReplayFrom::Back(span)) => From::Time(stage.wall() - span),
        }
    }

    /// It begins again where it was told to, or says why it cannot.
    fn go_back(&mut self, from: Option<(u64, State)>, stage: &mut Stage) {
        let saved = from.as_ref().map(|(number, state)| (*number, state));
        match (self.begin(saved, stage), from) {
            (Ok(()), _) => {}
            (Err(why), Some((number, _))) => {
                let why = format!("`{}` cannot begin with snapshot {number}: {why}", self.saver.name());
                let mut out = Doings::default();
                self.saver.unusable(number, why, &mut out);
                self.peers.crew.carry_out(out, stage);
            }
            (Err(why), None) => stage.put(Effect::Broken(why)),
        }
    }

    fn told(&mut self, message: &Message, stage: &mut Stage) {
        let mut out = Doings::default();
        let before = self.saver.attempt();
        let step = self.saver.on_message(message.clone(), &mut out);
        if self.saver.attempt() != before {
            self.recording = None;
            self.away = true;
            stage.put(Effect::Away);
        }
        self.peers.crew.carry_out(out, stage);
        match step {
            Step::Cut(snapshot) if !self.away => {
                let cuts = self.alignment.begin(snapshot);
                self.follow(cuts, stage);
            }
            Step::Begin { from, .. } => self.go_back(from, stage),
            Step::Completed(snapshot) => self.complete(snapshot, stage),
            Step::Nothing | Step::Cut(_) | Step::Aborted(_) => {}
        }
    }

    /// An event has been read, and worked on.
    fn read(&mut self, broker: ActorId, position: Position, stamp: Time, stage: &Stage) {
        match self.peers.acknowledge {
            Acknowledge::Taken => stage.tell(broker, Control::Acknowledge(vec![position])),
            Acknowledge::Snapshot => self.since_cut.push((broker.0, position)),
            Acknowledge::Done => {
                let at_once = self.peers.plan.as_ref().is_some_and(|plan| plan.at_once(stage.actor()));
                if at_once {
                    return stage.tell(broker, Control::Acknowledge(vec![position]));
                }
                let open = self.open.entry((broker.0, position.partition)).or_default();
                open.take(position.offset, stamp);
            }
        }
    }

    /// The watermark `done` has come out at the end of the pipeline: what cannot matter any more is acknowledged.
    fn done(&mut self, done: Time, stage: &Stage) {
        let Some(plan) = &self.peers.plan else { return };
        let since = plan.floor(stage.actor(), done).since;
        for ((broker, partition), open) in &mut self.open {
            let broker = ActorId(*broker);
            let before = open.commit().safe;
            let safe = open.done(done, since);
            let position = |offset| Position {
                partition: *partition,
                offset,
            };
            let positions: Vec<Position> = if self.peers.queues.contains(&broker) {
                safe.into_iter().map(position).collect()
            } else {
                let below = open.commit().safe;
                let last = below.checked_sub(1).filter(|_| below > before);
                last.map(position).into_iter().collect()
            };
            if !positions.is_empty() {
                stage.tell(broker, Control::Acknowledge(positions));
            }
        }
    }

    /// A snapshot is complete: what had been read at its cut need not come again.
    fn complete(&mut self, snapshot: u64, stage: &Stage) {
        let later = self.cuts.split_off(&(snapshot + 1));
        let mut read: BTreeMap<u32, Vec<Position>> = BTreeMap::new();
        for (broker, position) in std::mem::replace(&mut self.cuts, later).into_values().flatten() {
            read.entry(broker).or_default().push(position);
        }
        for (broker, positions) in read {
            stage.tell(ActorId(broker), Control::Acknowledge(positions));
        }
    }

    /// Tells the coordinator the watermark that it has passed on.
    fn tell_passed(&mut self, before: usize, stage: &Stage) {
        let over = self.part.over().then_some(Time::MAX);
        let watermark = stage.passed_since(before).max(over);
        if let Some(watermark) = watermark.filter(|watermark| *watermark > self.passed)
            && let Some(coordinator) = self.peers.crew.coordinator
        {
            self.passed = watermark;
            let attempt = self.saver.attempt();
            stage.tell(coordinator, Control::Passed { attempt, watermark });
        }
    }

    fn tell_over(&mut self, stage: &Stage) {
        if self.part.over() && !std::mem::replace(&mut self.told_over, true) {
            self.say(Saver::over, stage);
        }
    }

    /// It has taken an event of a broker or a source; the coordinator hears of it now and then.
    fn count(&mut self, stage: &Stage) {
        self.taken += 1;
        if self.peers.counts.is_some_and(|every| self.taken.is_multiple_of(every)) {
            let taken = self.taken;
            self.say(|saver, out| saver.taken(taken, out), stage);
        }
    }

    /// Its watermark may have grown.
    fn pace(&mut self, stage: &Stage) {
        let Some(every) = self.peers.paces else { return };
        let watermark = self.part.watermark();
        let multiple = watermark.micros().div_euclid(every.micros().max(1));
        if watermark > Time::MIN && self.reached.is_none_or(|reached| reached < multiple) {
            self.reached = Some(multiple);
            self.say(|saver, out| saver.reached(watermark, out), stage);
        }
    }

    /// A barrier has come.
    fn barrier(&mut self, input: usize, number: u64, stage: &Stage) {
        let cuts = if self.peers.recorded[input] {
            self.alignment.barrier(input, number)
        } else {
            self.alignment.begin(number)
        };
        self.follow(cuts, stage);
    }

    fn element(&mut self, input: usize, lane: usize, element: Element, stage: &mut Stage) {
        if let (Passage::InFlight(_), Some(recording)) = (self.alignment.element(input), &mut self.recording)
            && element != Element::End
        {
            recording.log.push((input, lane, element.clone()));
        }
        if let (Some(event), Some(broker)) = (element.event(), self.peers.brokers[input])
            && let Some(position) = event.position
        {
            let next = position.offset + 1;
            self.offsets.insert((broker.0, position.partition), next);
        }
        if element.event().is_some() {
            self.count(stage);
        }
        let end = element == Element::End;
        let read = element
            .event()
            .and_then(|event| Some((self.peers.brokers[input]?, event.position?, event.stamp)));
        self.part.play(Input::Element { input, lane, element }, stage);
        if let Some((broker, position, stamp)) = read {
            self.read(broker, position, stamp, stage);
        }
        if end {
            self.ended[input] = true;
            let cuts = self.alignment.end(input);
            self.follow(cuts, stage);
        }
        self.pace(stage);
        self.tell_over(stage);
    }
}

impl<P: Part + Keeps> Part for Participant<P> {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        stage.armed.get_or_insert_with(|| Rc::clone(&self.armed));
        let before = stage.put_so_far();
        match input {
            Input::Enter { again: true } => {
                self.away = true;
                self.say(Saver::entered, stage);
            }
            Input::Enter { again: false } => self.part.play(input, stage),
            Input::Timer(token) => {
                let mut armed = self.armed.borrow_mut();
                let due = armed.iter().enumerate().filter(|(_, (_, set))| *set == token);
                if let Some((first, _)) = due.min_by_key(|(_, (due, _))| *due) {
                    armed.remove(first);
                }
                drop(armed);
                self.part.play(Input::Timer(token), stage);
                self.pace(stage);
            }
            Input::Element { input, lane, element } => match element {
                Element::Barrier(number) => self.barrier(input, number, stage),
                Element::Control(control) => {
                    match &*control {
                        Control::Snapshot(message) => self.told(message, stage),
                        Control::Done { attempt, watermark } if *attempt == self.saver.attempt() && !self.away => {
                            self.done(*watermark, stage);
                        }
                        _ => {}
                    }
                    if let Control::Snapshot(Message::Completed { .. }) | Control::Answer(_) = *control
                        && !self.away
                    {
                        let element = Element::Control(control);
                        self.part.play(Input::Element { input, lane, element }, stage);
                    }
                }
                element => self.element(input, lane, element, stage),
            },
        }
        if self.peers.ends && !self.away {
            self.tell_passed(before, stage);
        }
    }
}
