//! The part around a part that is saved and set back: it cuts snapshots at barriers, keeps track of timers and of how far
//! it has read, and begins again from what was saved.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use wavetank_scenarios::event::Position;
use wavetank_scenarios::script::{Replay, ReplayFrom};
use wavetank_scenarios::topology::{ActorId, Port};
use wavetank_scenarios::{Span, Time};

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
    fn cuts(&mut self, cuts: Vec<Cut>, stage: &Stage) {
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
                self.cuts(cuts, stage);
            }
            Step::Begin { from, .. } => self.go_back(from, stage),
            Step::Nothing | Step::Cut(_) | Step::Completed(_) | Step::Aborted(_) => {}
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
        self.cuts(cuts, stage);
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
        self.part.play(Input::Element { input, lane, element }, stage);
        if end {
            self.ended[input] = true;
            let cuts = self.alignment.end(input);
            self.cuts(cuts, stage);
        }
        self.pace(stage);
        self.tell_over(stage);
    }
}

impl<P: Part + Keeps> Part for Participant<P> {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        stage.armed.get_or_insert_with(|| Rc::clone(&self.armed));
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
                    let Control::Snapshot(message) = &*control else { return };
                    self.told(message, stage);
                    if let Message::Completed { .. } = message
                        && !self.away
                    {
                        let element = Element::Control(control);
                        self.part.play(Input::Element { input, lane, element }, stage);
                    }
                }
                element => self.element(input, lane, element, stage),
            },
        }
    }
}
