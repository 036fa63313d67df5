//! Decides when a snapshot is taken, whether it is complete, which of the older ones stay, and what everybody goes back to
//! after a crash.
//!
//! One snapshot is under way at a time. It is complete when every participant's part and then the manifest are durable; it
//! is given up when something of it could not be written, when it takes too long, or when somebody has crashed. A number
//! of which there is a file is never used again: what comes late of an older attempt is refused by the store.
//!
//! When a participant enters again after a crash, *everybody* goes back to the newest set of which all is there, and a new
//! attempt begins. What turns out to be damaged on the way is not used again: the next attempt goes back further, to the
//! beginning if there is nothing left. A coordinator that has itself crashed asks the store what there is and lets
//! everybody go back, because it no longer knows what was under way.

use std::collections::{BTreeMap, BTreeSet};

use arcstr::ArcStr;
use wavetank_scenarios::script::Overlap;
use wavetank_scenarios::{Span, Time};

use super::catalog::{Catalog, Entry, Manifest, number_of};
use super::format::{Kind, Writing};
use super::keys::Keys;
use super::message::{Doings, Files, Message, Note, To};

/// When a snapshot is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// So often, by the coordinator's clock.
    Every(Span),
    /// Whenever the readers have together taken so many events more.
    Events(u64),
    /// Whenever the watermarks of all readers have passed the next multiple of this.
    Watermark(Span),
}

/// How a coordinator works.
#[derive(Clone, Debug)]
pub struct Plan {
    /// When a snapshot is taken; never, and there is no store, where everybody is to go back to the beginning.
    pub trigger: Option<Trigger>,
    /// What happens when one is still under way.
    pub overlap: Overlap,
    /// After how long one that is not complete is given up.
    pub time_out: Span,
    /// How many complete sets are kept.
    pub keep: usize,
    /// The run, for the headers of files.
    pub run: u128,
    /// The keys that manifests are read with.
    pub keys: Keys,
    /// Whether they are encrypted.
    pub encrypt: bool,
}

/// One whose state is saved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its name.
    pub name: ArcStr,
    /// Whether it cuts when it is told to: its input carries no barriers.
    pub reader: bool,
}

/// The timer for [`Trigger::Every`]; that for a snapshot's time-out has its number.
const TICK: u64 = 0;
/// The timer after which the store is asked again what there is.
const AGAIN: u64 = u64::MAX;
/// Attempts of one incarnation; a coordinator does not remember those before its crash.
const ATTEMPTS: u32 = 1 << 16;

/// Decides about snapshots.
#[derive(Debug)]
pub struct Coordinator {
    plan: Plan,
    members: Vec<Member>,
    attempt: u32,
    catalog: Catalog,
    /// The number of the next snapshot.
    next: u64,
    phase: Phase,
    /// Whether the timer for [`Trigger::Every`] is set.
    ticking: bool,
    /// Those who have put out all that they will.
    over: BTreeSet<ArcStr>,
    /// Those of whom nothing was heard for as long as a snapshot may take.
    silent: BTreeSet<ArcStr>,
    pending: Option<Pending>,
    /// By reader: events taken in this attempt, and how far its watermark has come.
    taken: BTreeMap<ArcStr, u64>,
    reached: BTreeMap<ArcStr, Time>,
    /// How many events had been taken when the last snapshot began, and up to which multiple of the watermark.
    counted: u64,
    multiple: Option<i64>,
    /// When the newest complete set was begun; when the coordinator entered, as long as there is none.
    last: Time,
    complete: Option<Time>,
}

#[derive(Debug, PartialEq)]
enum Phase {
    /// The store has been asked what there is; whether everybody has to go back then.
    Surveying { since: Time, go_back: bool },
    /// These have not gone back yet, who were told so at that instant.
    Going {
        since: Time,
        told: Time,
        waiting: BTreeSet<ArcStr>,
    },
    /// All is well.
    Running,
}

#[derive(Debug)]
struct Pending {
    number: u64,
    began: Time,
    /// Those who were told to cut.
    told: BTreeSet<ArcStr>,
    parts: BTreeMap<ArcStr, Entry>,
    /// The manifest, once it is being written.
    manifest: Option<Manifest>,
}

impl Coordinator {
    /// Enters at an instant of its clock, for the `incarnation`-th time after the first. Which other snapshots there are
    /// it learns from the store.
    pub fn enter(plan: Plan, members: Vec<Member>, incarnation: u64, now: Time, out: &mut Doings) -> Self {
        let incarnations = u32::try_from(incarnation).unwrap_or(u32::MAX);
        let mut coordinator = Self {
            attempt: incarnations.saturating_mul(ATTEMPTS),
            plan,
            members,
            catalog: Catalog::default(),
            next: 1,
            phase: Phase::Surveying {
                since: now,
                go_back: incarnation > 0,
            },
            ticking: false,
            over: BTreeSet::new(),
            silent: BTreeSet::new(),
            pending: None,
            taken: BTreeMap::new(),
            reached: BTreeMap::new(),
            counted: 0,
            multiple: None,
            last: now,
            complete: None,
        };
        if let Some(Trigger::Every(every)) = coordinator.plan.trigger {
            coordinator.ticking = true;
            out.timer(every.max(Span::UNIT), TICK);
        }
        if coordinator.plan.trigger.is_some() {
            coordinator.survey(out);
        } else if incarnation > 0 {
            coordinator.go_back(now, out);
        } else {
            coordinator.phase = Phase::Running;
        }
        coordinator
    }
    /// How often everybody has gone back.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }
    /// The snapshot under way.
    pub fn pending(&self) -> Option<u64> {
        self.pending.as_ref().map(|pending| pending.number)
    }
    /// Whether everybody is at work.
    pub fn running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Takes a message.
    pub fn on_message(&mut self, message: Message, now: Time, out: &mut Doings) {
        if let Some(participant) = message.participant()
            && self.silent.remove(participant)
        {
            self.tick(out);
        }
        match message {
            Message::Entered { participant } => self.lost(&participant, now, out),
            Message::Restored { participant, attempt } => self.restored(&participant, attempt, now, out),
            Message::Unreadable {
                participant,
                attempt,
                number,
                why,
            } => {
                if attempt == self.attempt && matches!(self.phase, Phase::Going { .. }) {
                    self.catalog.distrust(number, participant);
                    out.note(Note::Distrusted { number, why });
                    self.go_back(now, out);
                }
            }
            Message::Taken {
                participant,
                attempt,
                events,
            } => self.took(participant, attempt, events, now, out),
            Message::Reached {
                participant,
                attempt,
                watermark,
            } => self.reach(participant, attempt, watermark, now, out),
            Message::Over { participant, attempt } => {
                if attempt == self.attempt {
                    self.over.insert(participant.clone());
                    self.cut(participant, out);
                }
            }
            Message::Kept {
                number,
                attempt,
                participant,
                outcome,
            } => self.kept(number, attempt, &participant, outcome, out),
            Message::Recorded {
                number,
                attempt,
                outcome,
            } => self.recorded(number, attempt, outcome, now, out),
            Message::Surveyed {
                attempt,
                files,
                manifests,
            } => {
                if attempt == self.attempt {
                    self.surveyed(files, manifests, now, out);
                }
            }
            Message::StoreEntered => self.store_entered(now, out),
            Message::Cleaned(cleaned) => out.note(Note::Cleaned(cleaned)),
            // What is said to others.
            Message::Trigger { .. }
            | Message::Completed { .. }
            | Message::Aborted { .. }
            | Message::GoBack { .. }
            | Message::Keep { .. }
            | Message::Record { .. }
            | Message::Fetch { .. }
            | Message::Fetched { .. }
            | Message::Survey { .. }
            | Message::Clean { .. } => {}
        }
    }

    /// A timer is due.
    pub fn on_timer(&mut self, token: u64, now: Time, out: &mut Doings) {
        if token == TICK {
            self.ticking = false;
            if !self.all_over() {
                self.begin(now, out);
            }
            self.tick(out);
        } else if token == AGAIN {
            self.survey(out);
        } else if self.pending() == Some(token) {
            let missing = self
                .pending
                .as_ref()
                .map(|pending| self.missing(pending))
                .unwrap_or_default();
            let why = match missing.first() {
                Some(name) => format!("`{name}` had saved nothing in time"),
                None => "its manifest was not written in time".to_owned(),
            };
            self.silent = missing;
            self.abort(why, out);
        }
    }

    /// Those whose part is not durable.
    fn missing(&self, pending: &Pending) -> BTreeSet<ArcStr> {
        let names = self.members.iter().map(|member| &member.name);
        names
            .filter(|name| !pending.parts.contains_key(*name))
            .cloned()
            .collect()
    }

    fn everyone(&self, message: &Message, out: &mut Doings) {
        for member in &self.members {
            out.tell(To::Participant(member.name.clone()), message.clone());
        }
    }

    // A snapshot, from its beginning to its end.

    fn begin(&mut self, now: Time, out: &mut Doings) {
        if !self.running() || self.members.is_empty() {
            return;
        }
        self.counted = self.taken.values().sum();
        if self.pending.is_some() {
            match self.plan.overlap {
                Overlap::Skip => return out.note(Note::Skipped),
                Overlap::Replace => self.abort("the next one began".to_owned(), out),
            }
        }
        let number = self.next;
        self.next += 1;
        self.pending = Some(Pending {
            number,
            began: now,
            told: BTreeSet::new(),
            parts: BTreeMap::new(),
            manifest: None,
        });
        out.note(Note::Began {
            number,
            age: now.since(self.last),
        });
        // Those who are over hear of no barrier any more, nor do those behind them by way of them.
        let told = self
            .members
            .iter()
            .filter(|member| member.reader || self.over.contains(&member.name));
        for name in told.map(|member| member.name.clone()).collect::<Vec<_>>() {
            self.cut(name, out);
        }
        out.timer(self.plan.time_out, number);
    }

    /// Tells somebody to cut the snapshot under way, once.
    fn cut(&mut self, name: ArcStr, out: &mut Doings) {
        let attempt = self.attempt;
        if let Some(pending) = &mut self.pending
            && pending.told.insert(name.clone())
        {
            let number = pending.number;
            out.tell(To::Participant(name), Message::Trigger { number, attempt });
        }
    }

    /// Whether nobody is left who could say anything new.
    fn all_over(&self) -> bool {
        let gone = |name| self.over.contains(name) || self.silent.contains(name);
        self.members.iter().all(|member| gone(&member.name))
    }

    /// Sets the timer for the next snapshot, as long as there is something to save.
    fn tick(&mut self, out: &mut Doings) {
        if let Some(Trigger::Every(every)) = self.plan.trigger
            && !self.ticking
            && self.running()
            && !self.all_over()
        {
            self.ticking = true;
            out.timer(every.max(Span::UNIT), TICK);
        }
    }

    fn took(&mut self, participant: ArcStr, attempt: u32, events: u64, now: Time, out: &mut Doings) {
        if attempt != self.attempt {
            return;
        }
        self.taken.insert(participant, events);
        let all: u64 = self.taken.values().sum();
        if let Some(Trigger::Events(every)) = self.plan.trigger
            && all.saturating_sub(self.counted) >= every
        {
            self.begin(now, out);
        }
    }

    fn reach(&mut self, participant: ArcStr, attempt: u32, watermark: Time, now: Time, out: &mut Doings) {
        let Some(Trigger::Watermark(step)) = self.plan.trigger else {
            return;
        };
        if attempt != self.attempt {
            return;
        }
        let reached = self.reached.entry(participant).or_insert(watermark);
        *reached = watermark.max(*reached);
        let readers = self.members.iter().filter(|member| member.reader).count();
        if self.reached.len() < readers {
            return;
        }
        let least = self.reached.values().min().map(|time| time.micros());
        let multiple = least.map(|micros| micros.div_euclid(step.micros().max(1)));
        if multiple > self.multiple {
            // The first shows where the readers stand.
            let first = self.multiple.is_none();
            self.multiple = multiple;
            if !first {
                self.begin(now, out);
            }
        }
    }

    fn kept(
        &mut self,
        number: u64,
        attempt: u32,
        participant: &ArcStr,
        outcome: Result<Entry, String>,
        out: &mut Doings,
    ) {
        let known = self.members.iter().any(|member| member.name == *participant);
        let Some(pending) = &mut self.pending else { return };
        if pending.number != number || attempt != self.attempt || !known {
            return;
        }
        match outcome {
            Ok(entry) => {
                pending.parts.insert(participant.clone(), entry);
            }
            Err(why) => return self.abort(why, out),
        }
        if pending.parts.len() < self.members.len() || pending.manifest.is_some() {
            return;
        }
        let manifest = Manifest {
            number,
            attempt,
            began: pending.began.micros(),
            parts: pending.parts.values().cloned().collect(),
        };
        if let Some(why) = self.ungrounded(&manifest) {
            return self.abort(why, out);
        }
        let writing = Writing {
            compress: false,
            keys: self.plan.encrypt.then_some(&self.plan.keys),
        };
        match manifest.write(self.plan.run, writing) {
            Ok(file) => {
                if let Some(pending) = &mut self.pending {
                    pending.manifest = Some(manifest);
                }
                let bytes = file.into();
                out.tell(To::Store, Message::Record { number, attempt, bytes });
            }
            Err(why) => self.abort(why, out),
        }
    }

    /// A part that builds on what is not there any more.
    fn ungrounded(&self, manifest: &Manifest) -> Option<String> {
        manifest.parts.iter().find_map(|entry| match entry.kind {
            Kind::Incremental { over } if self.catalog.chain(over, &entry.participant).is_none() => Some(format!(
                "`{}` saved what has changed since snapshot {over}, which cannot be used",
                entry.participant
            )),
            _ => None,
        })
    }

    fn recorded(&mut self, number: u64, attempt: u32, outcome: Result<u64, String>, now: Time, out: &mut Doings) {
        if self.pending() != Some(number) || attempt != self.attempt {
            return;
        }
        let size = match outcome {
            Ok(size) => size,
            Err(why) => return self.abort(why, out),
        };
        let Some(Pending {
            began,
            manifest: Some(manifest),
            ..
        }) = self.pending.take()
        else {
            return;
        };
        out.note(Note::Completed {
            number,
            took: now.since(began),
            interval: self.complete.map(|before| began.since(before)),
            bytes: size + manifest.parts.iter().map(|entry| entry.bytes).sum::<u64>(),
            incremental: manifest.parts.iter().filter(|entry| entry.kind != Kind::Full).count() as u64,
        });
        self.last = began;
        self.complete = Some(began);
        self.catalog.add(manifest);
        self.everyone(&Message::Completed { number }, out);
        self.clean(out);
    }

    fn abort(&mut self, why: String, out: &mut Doings) {
        if let Some(Pending { number, .. }) = self.pending.take() {
            out.note(Note::Aborted { number, why });
            self.everyone(&Message::Aborted { number }, out);
            self.clean(out);
        }
    }

    fn clean(&mut self, out: &mut Doings) {
        if self.plan.trigger.is_none() {
            return;
        }
        let names = self.members.iter().map(|member| &member.name);
        let keep = self.catalog.retain(self.plan.keep, names);
        let (attempt, below) = (self.attempt, self.pending().unwrap_or(self.next));
        out.tell(To::Store, Message::Clean { attempt, keep, below });
    }

    // Going back.

    /// Somebody has no state.
    fn lost(&mut self, participant: &ArcStr, now: Time, out: &mut Doings) {
        match &mut self.phase {
            Phase::Surveying { go_back, .. } => *go_back = true,
            // Of those who crashed together the others say so at the same instant. They have been told already: nobody can
            // have gone back and crashed again in no time.
            Phase::Going { told, waiting, .. } if *told == now && waiting.contains(participant) => {}
            Phase::Going { .. } | Phase::Running => self.go_back(now, out),
        }
    }

    fn go_back(&mut self, now: Time, out: &mut Doings) {
        self.abort("somebody crashed".to_owned(), out);
        self.attempt += 1;
        self.taken.clear();
        self.reached.clear();
        self.over.clear();
        self.silent.clear();
        self.counted = 0;
        self.multiple = None;
        let since = match self.phase {
            Phase::Surveying { since, .. } | Phase::Going { since, .. } => since,
            Phase::Running => now,
        };
        let names = self.members.iter().map(|member| &member.name);
        let to = self.catalog.newest_intact(names.clone());
        let began = to.and_then(|number| self.catalog.set(number)).map(Manifest::began);
        self.complete = began;
        self.last = began.unwrap_or(self.last);
        let attempt = self.attempt;
        out.note(Note::GoingBack {
            attempt,
            to,
            age: began.map(|began| now.since(began)),
        });
        for name in names.clone() {
            let to = to.and_then(|number| self.catalog.chain(number, name));
            out.tell(To::Participant(name.clone()), Message::GoBack { attempt, to });
        }
        self.phase = Phase::Going {
            since,
            told: now,
            waiting: names.cloned().collect(),
        };
    }

    fn restored(&mut self, participant: &ArcStr, attempt: u32, now: Time, out: &mut Doings) {
        let Phase::Going { since, waiting, .. } = &mut self.phase else {
            return;
        };
        if attempt == self.attempt && waiting.remove(participant) && waiting.is_empty() {
            let took = now.since(*since);
            self.phase = Phase::Running;
            out.note(Note::Recovered { attempt, took });
            self.tick(out);
            self.clean(out);
        }
    }

    fn survey(&self, out: &mut Doings) {
        if matches!(self.phase, Phase::Surveying { .. }) {
            let attempt = self.attempt;
            out.tell(To::Store, Message::Survey { attempt });
        }
    }

    fn surveyed(&mut self, files: Result<Vec<(String, u64)>, String>, manifests: Files, now: Time, out: &mut Doings) {
        let Phase::Surveying { go_back, .. } = self.phase else {
            return;
        };
        let files: BTreeMap<String, u64> = match files {
            Ok(files) => files.into_iter().collect(),
            Err(why) => {
                // Without an answer nobody knows what to go back to.
                out.note(Note::Trouble { why });
                return out.timer(self.plan.time_out, AGAIN);
            }
        };
        for (number, file) in manifests {
            let manifest =
                file.and_then(|file| Manifest::read(number, &file, &self.plan.keys).map_err(|error| error.to_string()));
            match manifest {
                Ok(manifest) => self.catalog.add(manifest),
                Err(why) => out.note(Note::Distrusted { number, why }),
            }
        }
        for (number, why) in self.catalog.compare(&files) {
            out.note(Note::Distrusted { number, why });
        }
        let highest = files.keys().filter_map(|file| number_of(file)).max();
        self.next = self.next.max(highest.map_or(1, |highest| highest + 1));
        if go_back || self.catalog.newest().is_some() {
            self.go_back(now, out);
        } else {
            self.phase = Phase::Running;
            self.tick(out);
        }
    }

    fn store_entered(&mut self, now: Time, out: &mut Doings) {
        match self.phase {
            Phase::Surveying { .. } => self.survey(out),
            // Somebody may have asked for its parts in vain.
            Phase::Going { .. } => self.go_back(now, out),
            Phase::Running => self.abort("the store crashed".to_owned(), out),
        }
    }
}
