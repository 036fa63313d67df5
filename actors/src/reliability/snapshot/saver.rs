//! What one whose state is saved does about it: it writes its part of each snapshot, and finds its way back.
//!
//! A part holds the whole state, or what has changed since the newest snapshot that is known to be complete. Snapshots are
//! divided by their numbers into series as long as the settings allow, and the first part of each series is whole: it is
//! so for all participants at the same number, whatever each has gone through. If their chains began at different
//! snapshots, each snapshot would build on the one before through one participant or another, and none could ever be
//! deleted. A whole part is also written whenever the changes would take as much room.

use std::collections::BTreeMap;
use std::sync::Arc;

use arcstr::ArcStr;
use wavetank_scenarios::Time;

use super::catalog::{Entry, Target, part_file};
use super::format::{self, Expected, Header, Kind, Packing, Writing};
use super::keys::Keys;
use super::message::{Doings, Files, Message, Note, To};
use crate::reliability::{Change, State};

/// How a participant writes its parts.
#[derive(Clone, Debug)]
pub struct Habit {
    /// Its name, the same in every run.
    pub name: ArcStr,
    /// The hash of its settings and of the schema of its state.
    pub fingerprint: u64,
    /// The run, for the headers of files.
    pub run: u128,
    /// How long a series is: with 1, all parts are whole.
    pub full_every: u64,
    /// Whether parts are compressed.
    pub compress: bool,
    /// Whether parts are encrypted.
    pub encrypt: bool,
    /// The keys to write and read them with.
    pub keys: Arc<Keys>,
}

/// One whose state is saved.
#[derive(Debug)]
pub struct Saver {
    habit: Habit,
    attempt: u32,
    /// The newest snapshot known to be complete.
    base: Option<Base>,
    /// Snapshots that it has saved its part of and that are not complete yet.
    pending: BTreeMap<u64, Base>,
    /// What it goes back to.
    target: Option<Target>,
}

/// A state to find changes since.
#[derive(Debug)]
struct Base {
    number: u64,
    state: State,
}

/// What a message asks of the one who plays the participant.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// Save the state now with [`Saver::save`], and put the barrier behind what was put out.
    Cut(u64),
    /// Forget everything, and begin with this state; from the beginning when there is none. Then say
    /// [`Saver::restored`].
    Begin {
        /// The attempt that begins.
        attempt: u32,
        /// The snapshot and the state in it.
        from: Option<(u64, State)>,
    },
    /// The snapshot is complete: what waited for that can be done.
    Completed(u64),
    /// It will never be complete.
    Aborted(u64),
}

impl Saver {
    /// One who works in attempt 0.
    pub const fn new(habit: Habit) -> Self {
        Self {
            habit,
            attempt: 0,
            base: None,
            pending: BTreeMap::new(),
            target: None,
        }
    }
    /// It has entered again after a crash, and asks what to go back to.
    pub fn entered(&self, out: &mut Doings) {
        let participant = self.habit.name.clone();
        out.tell(To::Coordinator, Message::Entered { participant });
    }
    /// It has put out all that it will.
    pub fn over(&self, out: &mut Doings) {
        let (participant, attempt) = (self.habit.name.clone(), self.attempt);
        out.tell(To::Coordinator, Message::Over { participant, attempt });
    }
    /// How many events it has taken in this attempt.
    pub fn taken(&self, events: u64, out: &mut Doings) {
        let (participant, attempt) = (self.habit.name.clone(), self.attempt);
        out.tell(
            To::Coordinator,
            Message::Taken {
                participant,
                attempt,
                events,
            },
        );
    }
    /// How far its watermark has come.
    pub fn reached(&self, watermark: Time, out: &mut Doings) {
        let (participant, attempt) = (self.habit.name.clone(), self.attempt);
        out.tell(
            To::Coordinator,
            Message::Reached {
                participant,
                attempt,
                watermark,
            },
        );
    }
    /// Its name.
    pub const fn name(&self) -> &ArcStr {
        &self.habit.name
    }
    /// The attempt that it works in.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Takes a message.
    pub fn on_message(&mut self, message: Message, out: &mut Doings) -> Step {
        match message {
            Message::Trigger { number, attempt } if attempt == self.attempt => Step::Cut(number),
            Message::Completed { number } => {
                let later = self.pending.split_off(&(number + 1));
                if let Some(base) = std::mem::replace(&mut self.pending, later).remove(&number) {
                    self.base = Some(base);
                }
                Step::Completed(number)
            }
            Message::Aborted { number } => {
                self.pending.remove(&number);
                Step::Aborted(number)
            }
            Message::GoBack { attempt, to } if attempt > self.attempt => {
                self.attempt = attempt;
                self.base = None;
                self.pending.clear();
                let Some(target) = to else {
                    self.target = None;
                    return Step::Begin { attempt, from: None };
                };
                let fetch = Message::Fetch {
                    participant: self.habit.name.clone(),
                    attempt,
                    numbers: target.chain.iter().map(|(number, _)| *number).collect(),
                };
                out.tell(To::Store, fetch);
                self.target = Some(target);
                Step::Nothing
            }
            Message::Fetched { attempt, files } if attempt == self.attempt => self.fetched(files, out),
            _ => Step::Nothing,
        }
    }

    /// Its state at the cut of a snapshot, on its way to the store.
    pub fn save(&mut self, number: u64, state: State, out: &mut Doings) {
        let attempt = self.attempt;
        match self.write(number, &state) {
            Ok((kind, bytes)) => {
                let entry = Entry::of(self.habit.name.clone(), kind, &bytes);
                out.note(Note::Saved {
                    number,
                    bytes: entry.bytes,
                    state: state.size() as u64,
                    incremental: kind != Kind::Full,
                });
                if self.habit.full_every > 1 {
                    self.pending.insert(number, Base { number, state });
                }
                let bytes = bytes.into();
                out.tell(
                    To::Store,
                    Message::Keep {
                        number,
                        attempt,
                        entry,
                        bytes,
                    },
                );
            }
            Err(why) => out.tell(
                To::Coordinator,
                Message::Kept {
                    number,
                    attempt,
                    participant: self.habit.name.clone(),
                    outcome: Err(format!("`{}` cannot be saved: {why}", self.habit.name)),
                },
            ),
        }
    }

    /// The series that a snapshot belongs to. The first snapshot has number 1.
    const fn series(&self, number: u64) -> u64 {
        number.saturating_sub(1) / self.habit.full_every
    }

    fn write(&self, number: u64, state: &State) -> Result<(Kind, Vec<u8>), String> {
        if let Some(why) = state.broken() {
            return Err(why.to_owned());
        }
        if let Some(base) = &self.base
            && self.series(base.number) == self.series(number)
        {
            let changes = state.changes_since(&base.state);
            let size = |change: &Change| change.key.len() + change.chunk.as_ref().map_or(0, Vec::len);
            let size = changes.iter().map(size).sum::<usize>();
            if size < state.size() {
                let kind = Kind::Incremental { over: base.number };
                return Ok((kind, self.encode(kind, number, &changes, size)?));
            }
        }
        Ok((Kind::Full, self.encode(Kind::Full, number, state, state.size())?))
    }

    fn encode(&self, kind: Kind, number: u64, body: &impl serde::Serialize, size: usize) -> Result<Vec<u8>, String> {
        let header = Header {
            kind,
            run: self.habit.run,
            attempt: self.attempt,
            number,
            participant: self.habit.name.to_string(),
            fingerprint: self.habit.fingerprint,
            plain: 0,
            packing: Packing::Plain,
            key: None,
        };
        let writing = Writing {
            compress: self.habit.compress,
            keys: self.habit.encrypt.then_some(&*self.habit.keys),
        };
        // Each chunk has its length before it, of a byte or two, and so has its key.
        format::encode_about(header, body, size + size / 8, writing)
    }

    fn fetched(&mut self, files: Files, out: &mut Doings) -> Step {
        let Some(target) = self.target.take() else {
            return Step::Nothing;
        };
        let attempt = self.attempt;
        match self.fold(&target, &files) {
            Ok(state) => {
                if self.habit.full_every > 1 {
                    self.base = Some(Base {
                        number: target.number,
                        state: state.clone(),
                    });
                }
                Step::Begin {
                    attempt,
                    from: Some((target.number, state)),
                }
            }
            Err((number, why)) => {
                self.unusable(number, why, out);
                Step::Nothing
            }
        }
    }

    /// The state that a whole one and the changes behind it make.
    fn fold(&self, target: &Target, files: &Files) -> Result<State, (u64, String)> {
        let mut state = None;
        for (number, entry) in &target.chain {
            let wrong = |why: String| (*number, why);
            let file = part_file(*number, &self.habit.name);
            let found = files.iter().find(|(found, _)| found == number);
            let bytes = match found {
                Some((_, Ok(bytes))) => bytes,
                Some((_, Err(why))) => return Err(wrong(why.clone())),
                None => return Err(wrong(format!("snapshot file `{file}` was not given"))),
            };
            let refused = |error: format::FormatError| wrong(error.to_string());
            let opened = format::open(&file, bytes).map_err(refused)?;
            let expected = Expected {
                participant: &self.habit.name,
                number: *number,
                fingerprint: self.habit.fingerprint,
            };
            opened.expect(expected).map_err(refused)?;
            if !entry.is(bytes) || opened.header.kind != entry.kind {
                return Err(wrong(format!(
                    "snapshot file `{file}`: it is a whole file, but not the one that the manifest names; an older \
                     snapshot has to serve"
                )));
            }
            match (entry.kind, &mut state) {
                (Kind::Full, state) => *state = Some(opened.body::<State>(&self.habit.keys).map_err(refused)?),
                (Kind::Incremental { .. }, Some(state)) => {
                    state.apply(opened.body::<Vec<Change>>(&self.habit.keys).map_err(refused)?);
                }
                (Kind::Incremental { .. } | Kind::Manifest, _) => {
                    return Err(wrong(format!(
                        "snapshot file `{file}`: it holds {} and nothing before it",
                        entry.kind
                    )));
                }
            }
        }
        state.ok_or_else(|| (target.number, "its chain is empty".to_owned()))
    }

    /// It has begun from where [`Step::Begin`] said.
    pub fn restored(&self, out: &mut Doings) {
        let (participant, attempt) = (self.habit.name.clone(), self.attempt);
        out.tell(To::Coordinator, Message::Restored { participant, attempt });
    }
    /// It could not begin with a state that it was given.
    pub fn unusable(&mut self, number: u64, why: String, out: &mut Doings) {
        self.base = None;
        out.tell(
            To::Coordinator,
            Message::Unreadable {
                participant: self.habit.name.clone(),
                attempt: self.attempt,
                number,
                why,
            },
        );
    }
}
