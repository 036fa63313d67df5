//! The actor that has snapshots made and sets everybody back: it plays a [`snapshot::Coordinator`].

use std::collections::BTreeMap;

use arcstr::ArcStr;
use wavetank_scenarios::Span;
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::topology::ActorId;

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
        Note::Aborted { .. } => put(Metric::Aborted, 1),
        Note::Distrusted { .. } => put(Metric::Damaged, 1),
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

/// The coordinator of a run.
pub(crate) struct Coordinator {
    crew: Crew,
    plan: Plan,
    members: Vec<Member>,
    /// How often it has entered before.
    incarnation: u64,
    at_work: Option<snapshot::Coordinator>,
}

impl Coordinator {
    pub const fn new(plan: Plan, members: Vec<Member>, crew: Crew, incarnation: u64) -> Self {
        Self {
            crew,
            plan,
            members,
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
            (Input::Element { element, .. }, Some(at_work)) => {
                if let Element::Control(control) = element
                    && let Control::Snapshot(message) = &*control
                {
                    at_work.on_message(message.clone(), now, &mut out);
                }
            }
            (_, None) => {}
        }
        self.crew.carry_out(out, stage);
    }
}
