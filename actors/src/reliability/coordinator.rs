//! Who has snapshots made, says when one is complete, and sets everybody back after a crash.

use std::collections::BTreeSet;

use wavetank_scenarios::script::Snapshot;
use wavetank_scenarios::topology::ActorId;
use wavetank_scenarios::{Span, Time};

use super::{Control, StoreNews, StoreOrder};
use crate::element::Element;
use crate::host::Part;
use crate::world::{Input, Stage};

/// Its timers: a snapshot is due.
const DUE: u64 = 0;
/// From here on: snapshot so-many below has taken too long.
const TIME_OUT: u64 = 1;

/// Who takes part, and who of them reads from a source or a broker.
#[derive(Clone, Debug)]
pub(crate) struct Crew {
    pub all: BTreeSet<ActorId>,
    pub readers: BTreeSet<ActorId>,
    pub store: Option<ActorId>,
    /// By input of the coordinator: who is there.
    pub inputs: Vec<ActorId>,
}

/// A snapshot that is not complete.
struct Pending {
    snapshot: u64,
    durable: BTreeSet<ActorId>,
    triggered: BTreeSet<ActorId>,
    sealed: bool,
}

/// A recovery that is not over.
struct Recovering {
    attempt: u32,
    back: BTreeSet<ActorId>,
    /// Whether everybody has been told to where.
    told: bool,
    /// Snapshots from this number on are no good.
    below: u64,
}

/// The coordinator of a run.
pub(crate) struct Coordinator {
    settings: Option<Snapshot>,
    crew: Crew,
    /// The number of the last snapshot that was begun.
    last: u64,
    pending: Option<Pending>,
    recovering: Option<Recovering>,
    attempt: u32,
    over: BTreeSet<ActorId>,
    /// Complete snapshots that are kept, ascending.
    complete: BTreeSet<u64>,
    /// Events since the last snapshot was begun.
    events: u64,
    /// The multiple of `watermark` up to which snapshots have been made.
    reached: i64,
}

impl Coordinator {
    pub const fn new(settings: Option<Snapshot>, crew: Crew) -> Self {
        Self {
            settings,
            crew,
            last: 0,
            pending: None,
            recovering: None,
            attempt: 0,
            over: BTreeSet::new(),
            complete: BTreeSet::new(),
            events: 0,
            reached: i64::MIN,
        }
    }

    fn everyone(&self, control: &Control, stage: &Stage) {
        for actor in &self.crew.all {
            stage.tell(*actor, control.clone());
        }
    }

    /// Begins a snapshot, when nothing stands against it.
    fn begin(&mut self, stage: &Stage) {
        if self.recovering.is_some() {
            return;
        }
        let given_up = self.pending.take().map(|pending| pending.snapshot);
        if let (Some(snapshot), Some(store)) = (given_up, self.crew.store) {
            stage.tell(store, Control::Store(StoreOrder::Delete { snapshot }));
        }
        self.last += 1;
        self.events = 0;
        let snapshot = self.last;
        // Those who are over pass no barrier on, and hear of none.
        let triggered: BTreeSet<ActorId> = self.crew.readers.union(&self.over).copied().collect();
        for reader in &triggered {
            stage.tell(*reader, Control::Trigger { snapshot });
        }
        self.pending = Some(Pending {
            snapshot,
            durable: BTreeSet::new(),
            triggered,
            sealed: false,
        });
        if let Some(after) = self.settings.as_ref().and_then(|settings| settings.time_out) {
            stage.timer(after, TIME_OUT + snapshot);
        }
    }

    /// The pending snapshot will not be complete.
    fn give_up(&mut self, snapshot: u64, stage: &Stage) {
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.snapshot == snapshot)
        {
            self.pending = None;
            if let Some(store) = self.crew.store {
                stage.tell(store, Control::Store(StoreOrder::Delete { snapshot }));
            }
        }
    }

    /// Everybody goes back, to the newest complete snapshot that is intact and lies below a number.
    fn recover(&mut self, below: u64, stage: &Stage) {
        self.attempt += 1;
        if let Some(pending) = &self.pending {
            self.give_up(pending.snapshot, stage);
        }
        self.over.clear();
        self.recovering = Some(Recovering {
            attempt: self.attempt,
            back: BTreeSet::new(),
            told: false,
            below,
        });
        match self.crew.store {
            Some(store) => stage.tell(store, Control::Store(StoreOrder::Newest { below })),
            None => self.go_back(None, stage),
        }
    }

    fn go_back(&mut self, snapshot: Option<u64>, stage: &Stage) {
        let attempt = self.attempt;
        if let Some(recovering) = &mut self.recovering
            && !std::mem::replace(&mut recovering.told, true)
        {
            recovering.below = snapshot.unwrap_or(0);
            self.everyone(&Control::Recover { attempt, snapshot }, stage);
        }
    }

    fn stored(&mut self, news: &StoreNews, stage: &Stage) {
        match news {
            StoreNews::Durable { snapshot, of, .. } => {
                let Some(pending) = self.pending.as_mut().filter(|pending| pending.snapshot == *snapshot) else {
                    return;
                };
                pending.durable.insert(ActorId(*of));
                let whole = self.crew.all.is_subset(&pending.durable);
                if let (true, false, Some(store)) = (whole, pending.sealed, self.crew.store) {
                    pending.sealed = true;
                    let snapshot = *snapshot;
                    stage.tell(store, Control::Store(StoreOrder::Seal { snapshot }));
                }
            }
            StoreNews::Failed { snapshot, .. } => self.give_up(*snapshot, stage),
            StoreNews::Sealed { snapshot } => {
                if self.pending.take_if(|pending| pending.snapshot == *snapshot).is_none() {
                    return;
                }
                self.complete.insert(*snapshot);
                let keep = self.settings.as_ref().map_or(1, |settings| settings.keep) as usize;
                while self.complete.len() > keep {
                    if let (Some(snapshot), Some(store)) = (self.complete.pop_first(), self.crew.store) {
                        stage.tell(store, Control::Store(StoreOrder::Delete { snapshot }));
                    }
                }
                let snapshot = *snapshot;
                self.everyone(&Control::Complete { snapshot }, stage);
            }
            StoreNews::Newest { snapshot, .. } => self.go_back(*snapshot, stage),
        }
    }

    fn told(&mut self, from: ActorId, control: &Control, stage: &Stage) {
        match control {
            // A crash ends a recovery that is under way: it begins again.
            Control::Entered => self.recover(u64::MAX, stage),
            Control::Recovered { attempt } => {
                let all = &self.crew.all;
                let over = self.recovering.as_mut().is_some_and(|recovering| {
                    recovering.attempt == *attempt && recovering.back.insert(from) && all.is_subset(&recovering.back)
                });
                if over {
                    self.recovering = None;
                }
            }
            Control::Unusable { attempt, .. } => {
                let now = self
                    .recovering
                    .as_ref()
                    .filter(|recovering| recovering.attempt == *attempt);
                if let Some(below) = now.map(|recovering| recovering.below) {
                    self.complete.retain(|snapshot| *snapshot < below);
                    self.recover(below, stage);
                }
            }
            Control::Over => {
                self.over.insert(from);
                if let Some(pending) = &mut self.pending
                    && pending.triggered.insert(from)
                {
                    let snapshot = pending.snapshot;
                    stage.tell(from, Control::Trigger { snapshot });
                }
            }
            Control::Taken { events, watermark } => self.taken(*events, *watermark, stage),
            Control::Stored(news) => self.stored(news, stage),
            _ => {}
        }
    }

    fn taken(&mut self, events: u64, watermark: Time, stage: &Stage) {
        self.events += events;
        let Some(settings) = &self.settings else { return };
        let by_events = settings.events.is_some_and(|after| self.events >= after);
        let by_watermark = settings.watermark.is_some_and(|every| {
            let reached = watermark.micros().div_euclid(every.micros().max(1));
            watermark > Time::MIN && watermark < Time::MAX && reached > self.reached && {
                let first = self.reached == i64::MIN;
                self.reached = reached;
                !first
            }
        });
        if by_events || by_watermark {
            self.begin(stage);
        }
    }

    fn again(&self, stage: &Stage) {
        let all_over = self.crew.all.is_subset(&self.over);
        if let (Some(every), false) = (self.settings.as_ref().and_then(|settings| settings.every), all_over) {
            stage.timer(every.max(Span::UNIT), DUE);
        }
    }
}

impl Part for Coordinator {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        match input {
            Input::Enter { again } => {
                if again {
                    self.recover(u64::MAX, stage);
                }
                self.again(stage);
            }
            Input::Timer(DUE) => {
                if !self.crew.all.is_subset(&self.over) {
                    self.begin(stage);
                }
                self.again(stage);
            }
            Input::Timer(token) => self.give_up(token - TIME_OUT, stage),
            Input::Element {
                input,
                element: Element::Control(control),
                ..
            } => {
                if let Some(from) = self.crew.inputs.get(input).copied() {
                    self.told(from, &control, stage);
                }
            }
            Input::Element { .. } => {}
        }
    }
}
