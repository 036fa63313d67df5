//! The actor that has snapshots made and sets everybody back: it plays a [`snapshot::Coordinator`].

use std::collections::{BTreeMap, BTreeSet};

use arcstr::ArcStr;
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::topology::ActorId;
use wavetank_scenarios::{Span, Time};

use super::Control;
use super::snapshot::{self, Cleaned, Doings, Member, Message, Note, Plan, To};
use crate::element::Element;
use crate::host::Part;
use crate::world::{Effect, Input, Stage};

/// Whom those who deal with snapshots can tell something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crew {
    pub coordinator: Option<ActorId>,
    pub store: Option<ActorId>,
    /// By name.
    pub participants: BTreeMap<ArcStr, ActorId>,
}

impl Crew {
    /// For the parts of a copy of an operator: what publishes its results has it saved, keeps that, and sets it back.
    pub const fn of_copy(publishing: ActorId) -> Self {
        Self {
            coordinator: Some(publishing),
            store: Some(publishing),
            participants: BTreeMap::new(),
        }
    }
    /// Sends messages, sets timers, and tells what is worth telling.
    pub fn carry_out(&self, out: Doings, stage: &Stage) {
        for (to, message) in out.messages {
            self.tell(&to, message, stage);
        }
        for (after, token) in out.timers {
            stage.timer(after, token);
        }
        for note in out.notes {
            measure(note, stage);
        }
    }
    fn tell(&self, to: &To, message: Message, stage: &Stage) {
        let to = match to {
            To::Coordinator => self.coordinator,
            To::Store => self.store,
            To::Participant(name) => self.participants.get(name).copied(),
        };
        if let Some(to) = to {
            stage.tell(to, Control::Snapshot(message));
        }
    }
}

fn measure(note: Note, stage: &Stage) {
    let put = |metric, reading| stage.put(Effect::Measured(metric, reading));
    let span = |span: Span| span.micros().unsigned_abs();
    match note {
        Note::Began { age, .. } => put(Metric::SnapshotAge, span(age)),
        Note::Skipped => put(Metric::Skipped, 1),
        Note::Completed {
            took, interval, bytes, ..
        } => {
            put(Metric::Completed, 1);
            put(Metric::SnapshotTime, span(took));
            put(Metric::SnapshotBytes, bytes);
            if let Some(interval) = interval {
                put(Metric::SnapshotInterval, span(interval));
            }
        }
        Note::Aborted { number, why } => {
            put(Metric::Aborted, 1);
            stage.put(Effect::Note(format!("snapshot {number} is given up: {why}")));
        }
        Note::Distrusted { number, why } => {
            put(Metric::Damaged, 1);
            stage.put(Effect::Note(format!("snapshot {number} is of no use: {why}")));
        }
        Note::GoingBack { age, .. } => {
            put(Metric::Recoveries, 1);
            if let Some(age) = age {
                put(Metric::SnapshotAge, span(age));
            }
        }
        Note::Recovered { took, .. } => put(Metric::RestoreTime, span(took)),
        Note::Cleaned(Cleaned { expired, orphaned, .. }) => {
            put(Metric::Deleted, expired);
            put(Metric::Orphaned, orphaned);
        }
        Note::Fault(fault) => stage.put(Effect::Fired(fault)),
        Note::Saved { bytes, .. } => put(Metric::SavedBytes, bytes),
        // The answer to whoever asked carries it.
        Note::Trouble { .. } => {}
    }
}

/// Whose results leave the pipeline, where readers acknowledge what has come out there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    pub all: BTreeSet<ActorId>,
    /// Who is told.
    pub readers: BTreeSet<ActorId>,
    /// By input of the coordinator: who is there.
    pub inputs: Vec<ActorId>,
}

/// How far the ends of the pipeline have come in one recovery.
#[derive(Debug)]
struct Progress {
    ends: Ends,
    attempt: u32,
    /// The watermark that each end has passed on.
    passed: BTreeMap<ActorId, Time>,
    /// The smallest of them, as readers have been told.
    done: Time,
}

impl Progress {
    const fn new(ends: Ends) -> Self {
        Self {
            ends,
            attempt: 0,
            passed: BTreeMap::new(),
            done: Time::MIN,
        }
    }

    /// A recovery has begun: everything comes out again.
    fn begin(&mut self, attempt: u32) {
        if attempt != self.attempt {
            self.attempt = attempt;
            self.passed.clear();
            self.done = Time::MIN;
        }
    }

    /// A watermark has come out at one end.
    fn passed(&mut self, input: usize, watermark: Time, stage: &Stage) {
        let Some(from) = self.ends.inputs.get(input) else {
            return;
        };
        self.passed.insert(*from, watermark);
        let ends = self.ends.all.iter();
        let passed = ends.map(|end| self.passed.get(end).copied().unwrap_or(Time::MIN));
        let watermark = passed.min().unwrap_or(Time::MIN);
        if watermark > self.done {
            self.done = watermark;
            let attempt = self.attempt;
            for reader in &self.ends.readers {
                stage.tell(*reader, Control::Done { attempt, watermark });
            }
        }
    }
}

/// The coordinator of a run.
pub(crate) struct Coordinator {
    crew: Crew,
    plan: Plan,
    members: Vec<Member>,
    progress: Progress,
    /// How often it has entered before.
    incarnation: u64,
    at_work: Option<snapshot::Coordinator>,
}

impl Coordinator {
    pub const fn new(plan: Plan, members: Vec<Member>, crew: Crew, ends: Ends, incarnation: u64) -> Self {
        Self {
            crew,
            plan,
            members,
            progress: Progress::new(ends),
            incarnation,
            at_work: None,
        }
    }
}

impl Part for Coordinator {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        let mut out = Doings::default();
        let now = stage.monotonic();
        match (input, &mut self.at_work) {
            (Input::Enter { .. }, at_work) => {
                let (plan, members) = (self.plan.clone(), self.members.clone());
                let entered = snapshot::Coordinator::enter(plan, members, self.incarnation, now, &mut out);
                *at_work = Some(entered);
            }
            (Input::Timer(token), Some(at_work)) => at_work.on_timer(token, now, &mut out),
            (Input::Element { input, element, .. }, Some(at_work)) => {
                let Element::Control(control) = element else { return };
                match &*control {
                    Control::Snapshot(message) => at_work.on_message(message.clone(), now, &mut out),
                    Control::Passed { attempt, watermark } if *attempt == at_work.attempt() => {
                        self.progress.begin(*attempt);
                        self.progress.passed(input, *watermark, stage);
                    }
                    _ => {}
                }
            }
            (_, None) => {}
        }
        self.crew.carry_out(out, stage);
    }
}
