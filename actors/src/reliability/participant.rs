//! The part around a part that is saved and set back: it cuts snapshots at barriers, keeps track of timers and of how far
//! it has read, and begins again from what was saved.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use wavetank_scenarios::event::Position;
use wavetank_scenarios::script::{Replay, ReplayFrom};
use wavetank_scenarios::topology::{ActorId, Port};
use wavetank_scenarios::{Span, Time};

use super::{Control, From, State, StateError};
use crate::element::Element;
use crate::host::{Keeps, Part};
use crate::world::{Effect, Input, Stage};

/// Whom a participant deals with.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    pub coordinator: ActorId,
    pub store: Option<ActorId>,
    /// By input: the broker that it reads there.
    pub brokers: Vec<Option<ActorId>>,
    /// By input: whether what comes there after a cut, and was sent before it, is saved with it: the way back of a
    /// sub-stream, and with unaligned barriers every input that carries them.
    pub recorded: Vec<bool>,
    /// Whether it is a sub-stream that answers its split.
    pub answers: bool,
    /// Whether the coordinator hears how far it has come.
    pub tells: bool,
    pub replay: Option<Replay>,
}

/// A cut that lacks what is under way on some inputs.
struct Recording {
    snapshot: u64,
    state: State,
    /// The inputs whose barrier has not come.
    waits: BTreeSet<usize>,
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
    /// The last snapshot that was cut.
    snapshot: u64,
    recording: Option<Recording>,
    attempt: u32,
    /// The snapshot that is waited for, or the beginning.
    away: Option<Option<u64>>,
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
            peers,
            armed: Rc::default(),
            offsets: BTreeMap::new(),
            ended: vec![false; inputs],
            snapshot: 0,
            recording: None,
            attempt: 0,
            away: None,
            told_over: false,
        })
    }

    /// Cuts its part of a snapshot, behind all that it has taken, and passes the barrier on.
    fn cut(&mut self, snapshot: u64, by: Option<usize>, stage: &Stage) {
        self.snapshot = snapshot;
        self.part.cut(snapshot);
        stage.put(Effect::Cut(snapshot));
        // Who is over says nothing more, but what a sub-stream has told its split still belongs to the cut.
        let over = self.part.over();
        if !over || self.peers.answers {
            let port = if over { Port::Back } else { Port::Main };
            stage.send(port, Element::Barrier(snapshot));
        }
        let recorded = self.peers.recorded.iter().enumerate();
        let waits = recorded.filter(|(input, recorded)| **recorded && !self.ended[*input] && Some(*input) != by);
        self.recording = Some(Recording {
            snapshot,
            state: self.save(),
            waits: waits.map(|(input, _)| input).collect(),
            log: Vec::new(),
        });
        self.finish_cut(stage);
    }

    /// Sends the part of a snapshot to the store, when nothing is missing any more.
    fn finish_cut(&mut self, stage: &Stage) {
        let whole = |recording: &mut Recording| recording.waits.is_empty();
        let Some(mut recording) = self.recording.take_if(whole) else {
            return;
        };
        recording.state.put("under way", &recording.log);
        if let Some(why) = recording.state.broken() {
            return stage.put(Effect::Broken(format!("its state cannot be saved: {why}")));
        }
        if let Some(store) = self.peers.store {
            let (snapshot, part) = (recording.snapshot, Arc::new(recording.state));
            stage.tell(store, Control::Save { snapshot, part });
        }
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
        self.away = None;
        let same = saved.is_none_or(|(_, state)| {
            let mut again = self.save();
            again.put("under way", &under_way);
            again == *state
        });
        self.armed.borrow_mut().clear();
        let (attempt, snapshot) = (self.attempt, saved.map(|(snapshot, _)| snapshot));
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
        self.told_over = false;
        stage.tell(self.peers.coordinator, Control::Recovered { attempt });
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

    fn told(&mut self, control: &Control, stage: &mut Stage) {
        match control {
            Control::Trigger { snapshot } if self.away.is_none() && *snapshot > self.snapshot => {
                self.cut(*snapshot, None, stage);
            }
            Control::Recover { attempt, snapshot } if *attempt > self.attempt => {
                self.attempt = *attempt;
                self.recording = None;
                self.away = Some(*snapshot);
                stage.put(Effect::Away);
                match (snapshot, self.peers.store) {
                    (Some(snapshot), Some(store)) => {
                        let (attempt, snapshot) = (*attempt, *snapshot);
                        stage.tell(store, Control::Load { attempt, snapshot });
                    }
                    _ => {
                        if let Err(why) = self.begin(None, stage) {
                            stage.put(Effect::Broken(why));
                        }
                    }
                }
            }
            Control::Loaded { attempt, part } if *attempt == self.attempt => {
                let Some(Some(snapshot)) = self.away else { return };
                let begun = match part {
                    Ok(state) => self.begin(Some((snapshot, state)), stage),
                    Err(why) => Err(why.clone()),
                };
                if let Err(why) = begun {
                    let attempt = self.attempt;
                    stage.tell(self.peers.coordinator, Control::Unusable { attempt, why });
                }
            }
            _ => {}
        }
    }

    /// A barrier has come.
    fn barrier(&mut self, input: usize, number: u64, stage: &Stage) {
        let recorded = self.peers.recorded[input];
        if number > self.snapshot {
            return self.cut(number, recorded.then_some(input), stage);
        }
        if let Some(recording) = &mut self.recording
            && recording.snapshot == number
            && recorded
        {
            recording.waits.remove(&input);
            self.finish_cut(stage);
        }
    }

    fn element(&mut self, input: usize, lane: usize, element: Element, stage: &mut Stage) {
        if let Some(recording) = &mut self.recording
            && recording.waits.contains(&input)
            && element != Element::End
        {
            recording.log.push((input, lane, element.clone()));
        }
        if let (Some(event), Some(broker)) = (element.event(), self.peers.brokers[input])
            && let Some(position) = event.position
        {
            let next = position.offset + 1;
            self.offsets.insert((broker.0, position.partition), next);
            if self.peers.tells {
                let (events, watermark) = (1, Time::MIN);
                stage.tell(self.peers.coordinator, Control::Taken { events, watermark });
            }
        }
        let end = element == Element::End;
        self.part.play(Input::Element { input, lane, element }, stage);
        if end {
            self.ended[input] = true;
            if let Some(recording) = &mut self.recording {
                recording.waits.remove(&input);
                self.finish_cut(stage);
            }
        }
        if self.part.over() && !std::mem::replace(&mut self.told_over, true) {
            stage.tell(self.peers.coordinator, Control::Over);
        }
    }
}

impl<P: Part + Keeps> Part for Participant<P> {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        stage.armed.get_or_insert_with(|| Rc::clone(&self.armed));
        match input {
            Input::Enter { again: true } => {
                self.away = Some(None);
                stage.tell(self.peers.coordinator, Control::Entered);
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
            }
            Input::Element { input, lane, element } => match element {
                Element::Barrier(number) => self.barrier(input, number, stage),
                Element::Control(control) => {
                    self.told(&control, stage);
                    if let Control::Complete { .. } = *control
                        && self.away.is_none()
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
