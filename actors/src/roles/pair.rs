//! The parts of two-node failover on the stage: what publishes the results of one copy, the arbiter, and the gate in front of
//! a receiver. What they decide is decided by the state machines in `reliability/failover/`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use wavetank_scenarios::Time;
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::script::Failover;
use wavetank_scenarios::topology::{ActorId, Port, Role, Topology};

use crate::element::Element;
use crate::host::Part;
use crate::reliability::failover::{
    Act, Arbiter, Cut, Disk, Gate, Message, Note, Party, Passed, Replica, Saved, SavedPart, Side, Verdict,
};
use crate::reliability::snapshot::catalog::Target;
use crate::reliability::snapshot::{Keys, Trigger, format};
use crate::reliability::{Control, State, snapshot};
use crate::world::{Effect, Input, Stage};

type Told = Message<Element, Arc<Cut>>;

/// What a copy has on its own disk: its last cut, with what it held then.
pub(crate) type OwnDisk = Option<(Arc<Cut>, Saved<Element>)>;

/// The timer of a copy's own snapshots; those below are its state machine's.
const SNAPSHOT: u64 = 1 << 32;

/// Where something that reaches a copy comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    /// Its operator, on an output.
    Output(usize),
    /// One of its parts, by its place among them.
    Part(usize),
    /// The other copy, the arbiter, or a gate.
    Outside,
    /// An output of its operator that nobody reads.
    Nowhere,
}

/// To whom a copy is linked.
#[derive(Clone, Debug)]
pub(crate) struct Ties {
    /// By input.
    from: Vec<From>,
    /// By output that somebody reads: the gates.
    outputs: Vec<(Port, Vec<ActorId>)>,
    /// Its generator, if it has one, its split, if it is one of a sub-stream, then its operator.
    parts: Vec<ActorId>,
    peer: Option<ActorId>,
    arbiter: Option<ActorId>,
}

impl Ties {
    /// Those of a copy's publishing part.
    pub fn of(topology: &Topology, actor: ActorId) -> Self {
        let role = |actor: ActorId| topology.actors[actor.0 as usize].role;
        let gate = |actor: ActorId| matches!(role(actor), Role::Gate { .. });
        let spec = &topology.actors[actor.0 as usize];
        let mut outputs: Vec<(Port, Vec<ActorId>)> = Vec::new();
        for link in &spec.outputs {
            let link = &topology.links[link.0 as usize];
            if link.port == Port::Control || !gate(link.to) {
                continue;
            }
            match outputs.iter_mut().find(|(port, _)| *port == link.port) {
                Some((_, gates)) => gates.push(link.to),
                None => outputs.push((link.port, vec![link.to])),
            }
        }
        let mut peers: Vec<ActorId> = topology.peers(actor).collect();
        peers.dedup();
        let part = |actor: &ActorId| {
            let role = role(*actor);
            role.works().is_some() || matches!(role, Role::Watermark { .. } | Role::Split { .. })
        };
        let parts: Vec<ActorId> = peers.iter().copied().filter(part).collect();
        let from = spec.inputs.iter().map(|link| {
            let link = &topology.links[link.0 as usize];
            let output = outputs.iter().position(|(port, _)| *port == link.port);
            match (link.port, parts.iter().position(|part| *part == link.from)) {
                (Port::Control, Some(part)) => From::Part(part),
                (Port::Control, None) => From::Outside,
                _ => output.map_or(From::Nowhere, From::Output),
            }
        });
        Self {
            from: from.collect(),
            peer: peers
                .iter()
                .copied()
                .find(|peer| matches!(role(*peer), Role::Replica { .. })),
            arbiter: peers
                .iter()
                .copied()
                .find(|peer| matches!(role(*peer), Role::Arbiter { .. })),
            parts,
            outputs,
        }
    }
}

/// A cut that lacks something.
struct Cutting {
    number: u64,
    parts: Vec<Option<SavedPart>>,
    saved: Option<Saved<Element>>,
    /// Whether the other copy waits for it.
    given: bool,
}

/// What a copy keeps for itself.
pub(crate) struct Keeping {
    /// When.
    pub pace: Option<Trigger>,
    /// The keys that it is encrypted with, if it is.
    pub keys: Arc<Keys>,
    /// Where.
    pub disk: Rc<RefCell<OwnDisk>>,
}

/// What publishes the results of one copy, and sets it back after a crash.
pub(crate) struct Publishing {
    replica: Replica<Element, Arc<Cut>>,
    ties: Ties,
    side: Side,
    keeping: Keeping,
    /// How often its parts have been set back, over all incarnations.
    attempt: u32,
    cutting: Option<Cutting>,
    /// What its parts are being set back to.
    restoring: Option<Arc<Cut>>,
    /// The number of the last cut, its own or one that its parts were set back to.
    newest: u64,
    /// By part: whether it has put out all that it will.
    over: Vec<bool>,
}

/// Recoveries of one incarnation are fewer than this.
const ATTEMPTS: u32 = 1 << 10;

/// Tells a part of the copy what the coordinator and the store of snapshots would tell it.
fn tell(part: ActorId, message: snapshot::Message, stage: &Stage) {
    stage.tell(part, Control::Snapshot(message));
}

/// How many elements of the log a part had read when it was saved.
fn read_up_to(saved: &SavedPart, keys: &Keys) -> Result<u64, String> {
    let opened = format::open(&saved.entry.participant, &saved.bytes);
    let state: State = opened
        .and_then(|opened| opened.body(keys))
        .map_err(|error| error.to_string())?;
    let read = state
        .each::<(u32, u32), u64>("read")
        .map_err(|error| error.to_string())?;
    Ok(read.into_iter().map(|(_, next)| next).sum())
}

impl Publishing {
    /// That of a copy which enters for the how-manieth time, counted from 0.
    pub fn new(settings: &Failover, side: Side, incarnation: u64, ties: Ties, keeping: Keeping, now: Time) -> Self {
        let receivers: Vec<usize> = ties.outputs.iter().map(|(_, gates)| gates.len()).collect();
        Self {
            replica: Replica::new(settings, side, incarnation, &receivers, now),
            over: vec![false; ties.parts.len()],
            ties,
            side,
            keeping,
            attempt: (incarnation as u32).saturating_mul(ATTEMPTS),
            cutting: None,
            restoring: None,
            newest: 0,
        }
    }

    fn enter(&mut self, again: bool, stage: &Stage) {
        let now = stage.monotonic();
        if let Some(Trigger::Every(every)) = self.keeping.pace {
            stage.timer(every, SNAPSHOT);
        }
        if !again {
            let acts = self.replica.enter(now);
            return self.act(acts, stage);
        }
        let disk = self.keeping.disk.borrow().clone();
        match disk {
            Some((cut, saved)) => {
                self.set_back(Some(cut), stage);
                let acts = self.replica.enter_again(Some(saved), now);
                self.act(acts, stage);
            }
            None => {
                let acts = self.replica.enter_again(None, now);
                self.act(acts, stage);
            }
        }
    }

    /// Whether its operator has put out all that it will.
    fn ended(&self) -> bool {
        self.over.last().copied().unwrap_or_default()
    }

    /// Sets the copy's parts back, to a cut or to the beginning.
    fn set_back(&mut self, to: Option<Arc<Cut>>, stage: &Stage) {
        self.attempt += 1;
        self.over.fill(false);
        self.cutting = None;
        self.newest = to.as_ref().map_or(self.newest, |cut| cut.number.max(self.newest));
        let attempt = self.attempt;
        for (place, part) in self.ties.parts.iter().enumerate() {
            let target = |cut: &Arc<Cut>| Target {
                number: cut.number,
                chain: cut
                    .parts
                    .get(place)
                    .map(|saved| (cut.number, saved.entry.clone()))
                    .into_iter()
                    .collect(),
            };
            let to = to.as_ref().map(target);
            tell(*part, snapshot::Message::GoBack { attempt, to }, stage);
        }
        self.restoring = to;
    }

    /// It is time for a snapshot of its own.
    fn keep(&mut self, stage: &Stage) {
        // One that is not complete by now will not be.
        self.cutting.take_if(|cutting| !cutting.given);
        if !self.replica.fetching() {
            self.cut(false, stage);
        }
    }

    /// Has a cut made of everything that the copy keeps.
    fn cut(&mut self, given: bool, stage: &Stage) {
        if let Some(cutting) = &mut self.cutting {
            cutting.given |= given;
            return;
        }
        // Larger than all before it, whoever made them, and never one of the other's.
        let least = self.newest / 2 + 1;
        let number = least.max(stage.monotonic().micros().unsigned_abs()) * 2 + self.side.index() as u64;
        self.newest = number;
        self.cutting = Some(Cutting {
            number,
            parts: vec![None; self.ties.parts.len()],
            saved: None,
            given,
        });
        // Behind who is over no barrier comes.
        for (place, part) in self.ties.parts.iter().enumerate() {
            if place == 0 || self.over[place] {
                let attempt = self.attempt;
                tell(*part, snapshot::Message::Trigger { number, attempt }, stage);
            }
        }
    }

    /// The cut is complete when the last of its parts has come.
    fn close(&mut self, stage: &Stage) {
        let whole = |cutting: &mut Cutting| cutting.saved.is_some() && cutting.parts.iter().all(Option::is_some);
        let Some(cutting) = self.cutting.take_if(whole) else {
            return;
        };
        let Some(mut saved) = cutting.saved else { return };
        let parts: Vec<SavedPart> = cutting.parts.into_iter().flatten().collect();
        // What has been read says exactly where in the log the cut is.
        match parts
            .first()
            .map_or(Ok(0), |first| read_up_to(first, &self.keeping.keys))
        {
            Ok(position) => saved.position = position,
            Err(why) => return stage.put(Effect::Broken(why)),
        }
        let cut = Arc::new(Cut {
            number: cutting.number,
            parts,
        });
        if cutting.given
            && let Some(peer) = self.ties.peer
        {
            let message = Message::State {
                position: saved.position,
                outputs: saved.outputs.clone(),
                state: Arc::clone(&cut),
            };
            stage.tell(peer, Control::Copy(Box::new(message)));
        }
        if self.keeping.pace.is_some() {
            *self.keeping.disk.borrow_mut() = Some((cut, saved));
        }
    }

    fn hears_part(&mut self, part: usize, message: &snapshot::Message, stage: &Stage) {
        use snapshot::Message;
        let current = self.attempt;
        match message {
            Message::Taken { attempt, events, .. } if *attempt == current => {
                let acts = self.replica.worked(stage.monotonic());
                self.act(acts, stage);
                if matches!(self.keeping.pace, Some(Trigger::Events(every)) if events.is_multiple_of(every.max(1))) {
                    self.keep(stage);
                }
            }
            Message::Reached { attempt, .. } if *attempt == current => {
                if let Some(Trigger::Watermark(_)) = self.keeping.pace {
                    self.keep(stage);
                }
            }
            Message::Keep {
                number, entry, bytes, ..
            } => {
                let over = self.ended();
                if let Some(cutting) = self.cutting.as_mut().filter(|cutting| cutting.number == *number) {
                    let (entry, bytes) = (entry.clone(), Arc::clone(bytes));
                    cutting.parts[part] = Some(SavedPart { entry, bytes });
                    // Where all is said no barrier follows.
                    if over && part + 1 == cutting.parts.len() {
                        cutting.saved = Some(self.replica.saved());
                    }
                    self.close(stage);
                }
            }
            Message::Fetch { attempt, numbers, .. } => {
                let cut = |number: &u64| self.restoring.as_ref().filter(|cut| cut.number == *number);
                let file = |number: &u64| {
                    let saved = cut(number).and_then(|cut| cut.parts.get(part));
                    let bytes = saved.map(|saved| Arc::clone(&saved.bytes));
                    (
                        *number,
                        bytes.ok_or_else(|| format!("the copy has no cut {number} of it")),
                    )
                };
                let fetched = Message::Fetched {
                    attempt: *attempt,
                    files: numbers.iter().map(file).collect(),
                };
                tell(self.ties.parts[part], fetched, stage);
            }
            Message::Unreadable { why, .. } | Message::Kept { outcome: Err(why), .. } => {
                stage.put(Effect::Broken(why.clone()));
            }
            Message::Over { attempt, .. } if *attempt == current => {
                self.over[part] = true;
                if part + 1 == self.ties.parts.len() {
                    self.replica.over();
                }
            }
            _ => {}
        }
    }

    fn element(&mut self, output: usize, element: Element, stage: &Stage) {
        match element {
            Element::Barrier(number) => {
                if let Some(cutting) = self.cutting.as_mut().filter(|cutting| cutting.number == number)
                    && cutting.saved.is_none()
                {
                    cutting.saved = Some(self.replica.saved());
                }
                self.close(stage);
            }
            element => {
                let acts = self.replica.made(output, element, stage.monotonic());
                self.act(acts, stage);
            }
        }
    }

    fn act(&mut self, acts: Vec<Act<Element, Arc<Cut>>>, stage: &Stage) {
        for act in acts {
            match act {
                Act::Tell(Party::Peer, message) => {
                    if let Some(peer) = self.ties.peer {
                        stage.tell(peer, Control::Copy(Box::new(message)));
                    }
                }
                Act::Tell(Party::Arbiter, _) => {}
                Act::Ask(ask) => {
                    if let Some(arbiter) = self.ties.arbiter {
                        stage.tell(arbiter, Control::Ask(ask));
                    }
                }
                Act::Head(output, head) => {
                    let control = Arc::new(Control::Head(head));
                    self.publish(output, &Element::Control(control), stage);
                }
                Act::Publish(output, element) => self.publish(output, &element, stage),
                Act::Timer(after, token) => stage.timer(after, token),
                Act::GiveState => self.cut(true, stage),
                Act::Restore(_, cut) => self.set_back(Some(cut), stage),
                Act::Restart => self.set_back(None, stage),
                Act::Note(note) => {
                    let measured = match note {
                        Note::Primary { .. } => Some(Metric::Promotions),
                        Note::Diverged { .. } => Some(Metric::Diverged),
                        Note::Suspects => Some(Metric::Suspected),
                        Note::SteppedDown(_) => Some(Metric::SteppedDown),
                        Note::CaughtUp | Note::Rests => None,
                    };
                    if let Some(metric) = measured {
                        stage.put(Effect::Measured(metric, 1));
                    }
                    stage.put(Effect::OfCopy(note));
                }
            }
        }
    }

    fn publish(&self, output: usize, element: &Element, stage: &Stage) {
        let gates = self.ties.outputs.get(output).into_iter();
        for gate in gates.flat_map(|(_, gates)| gates) {
            let (to, element) = (*gate, element.clone());
            stage.put(Effect::Give { to, element });
        }
    }
}

impl Part for Publishing {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        match input {
            Input::Enter { again } => self.enter(again, stage),
            Input::Timer(SNAPSHOT) => {
                self.keep(stage);
                if let Some(Trigger::Every(every)) = self.keeping.pace
                    && !self.ended()
                {
                    stage.timer(every, SNAPSHOT);
                }
            }
            Input::Timer(token) => {
                let acts = self.replica.timer(token, stage.monotonic());
                self.act(acts, stage);
            }
            Input::Element { input, element, .. } => match (self.ties.from.get(input), element) {
                (Some(From::Part(part)), Element::Control(control)) => {
                    if let Control::Snapshot(message) = &*control {
                        self.hears_part(*part, message, stage);
                    }
                }
                (Some(From::Outside), Element::Control(control)) => {
                    if let Control::Copy(message) = &*control {
                        let message: Told = (**message).clone();
                        let acts = self.replica.told(message, stage.monotonic());
                        self.act(acts, stage);
                    }
                }
                (Some(From::Output(output)), element) => self.element(*output, element, stage),
                _ => {}
            },
        }
        if stage.watched() {
            stage.put(Effect::Measured(Metric::Pending, self.replica.pending()));
            stage.put(Effect::Measured(Metric::TrimLag, self.replica.untold()));
        }
    }
}

/// The arbiter of two copies.
pub(crate) struct Arbitrating {
    arbiter: Arbiter,
    /// By input: the copy that is there.
    senders: Vec<ActorId>,
    disk: Rc<RefCell<Option<Disk>>>,
}

impl Arbitrating {
    /// An arbiter with what is on its disk.
    pub fn new(settings: Failover, senders: Vec<ActorId>, disk: Rc<RefCell<Option<Disk>>>, now: Time) -> Self {
        let arbiter = Arbiter::new(&settings, *disk.borrow(), now);
        Self { arbiter, senders, disk }
    }

    fn answer(&self, verdicts: Vec<Verdict>, stage: &Stage) {
        *self.disk.borrow_mut() = Some(self.arbiter.disk());
        for verdict in verdicts {
            let (side, message) = match verdict {
                Verdict::Grant(side, grant) => (side, Told::Grant(grant)),
                Verdict::Taken(side, token) => (side, Told::Taken(token)),
            };
            if let Some(copy) = self.senders.get(side.index()) {
                stage.tell(*copy, Control::Copy(Box::new(message)));
            }
        }
        if let Some(wakes) = self.arbiter.wakes(stage.monotonic()) {
            stage.timer(wakes, 0);
        }
    }
}

impl Part for Arbitrating {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        let now = stage.monotonic();
        match input {
            Input::Enter { .. } => self.answer(vec![], stage),
            Input::Timer(_) => {
                let verdicts = self.arbiter.due(now);
                self.answer(verdicts, stage);
            }
            Input::Element {
                input,
                element: Element::Control(control),
                ..
            } => {
                if let Control::Ask(ask) = *control {
                    let side = if input == 0 { Side::A } else { Side::B };
                    let verdicts = self.arbiter.ask(side, ask, now);
                    self.answer(verdicts, stage);
                }
            }
            Input::Element { .. } => {}
        }
    }
}

/// What stands in front of a receiver of two copies' results.
pub(crate) struct Gating {
    gate: Gate,
    /// The publishing parts of the two copies, which are its inputs in this order.
    copies: Vec<ActorId>,
    /// Which output of theirs this is, and which of its receivers.
    output: usize,
    receiver: usize,
}

impl Gating {
    /// The gate of a topology.
    pub fn new(settings: &Failover, topology: &Topology, actor: ActorId) -> Self {
        let copies: Vec<ActorId> = topology
            .forward(actor)
            .map(|link| topology.links[link.0 as usize].from)
            .collect();
        let outputs = copies
            .first()
            .map(|copy| Ties::of(topology, *copy).outputs)
            .unwrap_or_default();
        let place = |gates: &Vec<ActorId>| gates.iter().position(|gate| *gate == actor);
        let mut places = outputs.iter().enumerate();
        let found = places.find_map(|(output, (_, gates))| Some((output, place(gates)?)));
        let (output, receiver) = found.unwrap_or_default();
        Self {
            gate: Gate::new(settings),
            copies,
            output,
            receiver,
        }
    }
}

impl Part for Gating {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        let Input::Element { input, element, .. } = input else {
            return;
        };
        let side = if input == 0 { Side::A } else { Side::B };
        if let Element::Control(control) = &element {
            let Control::Head(head) = **control else { return };
            let headed = self.gate.head(side, head);
            if let Some(place) = headed.confirm {
                for copy in &self.copies {
                    let (output, receiver) = (self.output, self.receiver);
                    let confirmed = Told::Confirmed {
                        output,
                        receiver,
                        place,
                    };
                    stage.tell(*copy, Control::Copy(Box::new(confirmed)));
                }
            }
            if let (Some(token), Some(copy)) = (headed.refuse, self.copies.get(input)) {
                stage.tell(*copy, Control::Copy(Box::new(Told::Refused(token))));
            }
            if headed.missing > 0 {
                stage.put(Effect::Measured(Metric::Missing, headed.missing));
            }
            return;
        }
        let event = element.event().is_some();
        let (passes, counted) = match self.gate.element(side) {
            Passed::New => (true, None),
            Passed::Again => (true, Some(Metric::Repeated)),
            Passed::Repeated => (false, Some(Metric::Repeated)),
            Passed::Refused => (false, Some(Metric::Refused)),
        };
        if let Some(metric) = counted.filter(|_| event) {
            stage.put(Effect::Measured(metric, 1));
        }
        if passes {
            stage.send(Port::Main, element);
        }
    }
}
