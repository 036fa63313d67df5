//! What coordinator, store and participants say to each other.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arcstr::ArcStr;
use wavetank_scenarios::{Span, Time};

use super::catalog::{Entry, Target};

/// Who a message is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum To {
    /// The one that decides when a snapshot is taken and whether it is complete.
    Coordinator,
    /// The one that keeps the files.
    Store,
    /// One whose state is saved, by its name.
    Participant(ArcStr),
}

/// One message.
///
/// `attempt` counts how often everybody has gone back to a snapshot, or to the beginning: what belongs to an older attempt
/// is out of date, and is left alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Participant to coordinator: it has entered again after a crash, with no state.
    Entered {
        /// Who.
        participant: ArcStr,
    },
    /// Participant to coordinator: it has gone back.
    Restored {
        /// Who.
        participant: ArcStr,
        /// In which attempt.
        attempt: u32,
    },
    /// Participant to coordinator: what the store gave it cannot be used.
    Unreadable {
        /// Who.
        participant: ArcStr,
        /// In which attempt.
        attempt: u32,
        /// The snapshot whose file is of no use.
        number: u64,
        /// What is wrong, with the name of the file.
        why: String,
    },
    /// Participant to coordinator: its inputs have ended, and it has put out all that it will.
    Over {
        /// Who.
        participant: ArcStr,
        /// In which attempt.
        attempt: u32,
    },
    /// Reader to coordinator: how many events it has taken in this attempt.
    Taken {
        /// Who.
        participant: ArcStr,
        /// In which attempt.
        attempt: u32,
        /// How many.
        events: u64,
    },
    /// Reader to coordinator: how far its watermark has come.
    Reached {
        /// Who.
        participant: ArcStr,
        /// In which attempt.
        attempt: u32,
        /// The watermark.
        watermark: Time,
    },
    /// Coordinator to readers: save your state here, and put the barrier behind what you have put out.
    Trigger {
        /// The snapshot.
        number: u64,
        /// In which attempt.
        attempt: u32,
    },
    /// Coordinator to all: the snapshot is complete and durable.
    Completed {
        /// The snapshot.
        number: u64,
    },
    /// Coordinator to all: the snapshot will never be complete.
    Aborted {
        /// The snapshot.
        number: u64,
    },
    /// Coordinator to all: go back.
    GoBack {
        /// The attempt that begins.
        attempt: u32,
        /// To this; to the beginning when there is none.
        to: Option<Target>,
    },
    /// Participant to store: keep this.
    Keep {
        /// The snapshot.
        number: u64,
        /// In which attempt.
        attempt: u32,
        /// What it is.
        entry: Entry,
        /// The file.
        bytes: Arc<[u8]>,
    },
    /// Store to coordinator (or the participant itself, when it could not save): whether a part is durable.
    Kept {
        /// The snapshot.
        number: u64,
        /// In which attempt.
        attempt: u32,
        /// Whose part.
        participant: ArcStr,
        /// What is durable, or why nothing is.
        outcome: Result<Entry, String>,
    },
    /// Coordinator to store: keep this manifest.
    Record {
        /// The snapshot.
        number: u64,
        /// In which attempt.
        attempt: u32,
        /// The file.
        bytes: Arc<[u8]>,
    },
    /// Store to coordinator: whether a manifest is durable.
    Recorded {
        /// The snapshot.
        number: u64,
        /// In which attempt.
        attempt: u32,
        /// Its size in bytes, or why it is not.
        outcome: Result<u64, String>,
    },
    /// Participant to store: give me these parts of mine.
    Fetch {
        /// Who.
        participant: ArcStr,
        /// In which attempt.
        attempt: u32,
        /// Of which snapshots.
        numbers: Vec<u64>,
    },
    /// Store to participant: the parts, in the order in which they were asked for.
    Fetched {
        /// In which attempt.
        attempt: u32,
        /// What was asked for.
        files: Files,
    },
    /// Coordinator to store: what is there? Parts of older attempts are refused from now on.
    Survey {
        /// The attempt that it is asked in.
        attempt: u32,
    },
    /// Store to coordinator: what is there.
    Surveyed {
        /// The attempt that it was asked in.
        attempt: u32,
        /// All files with their sizes, ascending by name; or why they could not be listed.
        files: Result<Vec<(String, u64)>, String>,
        /// The manifests.
        manifests: Files,
    },
    /// Store to coordinator: it has entered again after a crash. What it was asked for and had not answered is lost.
    StoreEntered,
    /// Coordinator to store: delete what is not needed.
    Clean {
        /// The attempt.
        attempt: u32,
        /// The snapshots that are needed.
        keep: BTreeSet<u64>,
        /// Snapshots from this number on are left alone.
        below: u64,
    },
    /// Store to coordinator: what was deleted.
    Cleaned(Cleaned),
}

impl Message {
    /// The participant that it comes from, of those to the coordinator that come from one.
    pub const fn participant(&self) -> Option<&ArcStr> {
        match self {
            Self::Entered { participant }
            | Self::Restored { participant, .. }
            | Self::Unreadable { participant, .. }
            | Self::Over { participant, .. }
            | Self::Taken { participant, .. }
            | Self::Reached { participant, .. }
            | Self::Kept { participant, .. } => Some(participant),
            _ => None,
        }
    }
    /// What kind of message it is, and a number of its own, for the trace.
    pub fn code(&self) -> [u64; 2] {
        let back = |attempt: u32, number: Option<u64>| u64::from(attempt) << 32 | number.map_or(0, |n| n + 1);
        match self {
            Self::Entered { .. } => [1, 0],
            Self::Restored { attempt, .. } => [2, u64::from(*attempt)],
            Self::Unreadable { attempt, number, .. } => [3, back(*attempt, Some(*number))],
            Self::Over { attempt, .. } => [4, u64::from(*attempt)],
            Self::Taken { events, .. } => [5, *events],
            Self::Reached { watermark, .. } => [6, watermark.micros() as u64],
            Self::Trigger { number, .. } => [7, *number],
            Self::Completed { number } => [8, *number],
            Self::Aborted { number } => [9, *number],
            Self::GoBack { attempt, to } => [10, back(*attempt, to.as_ref().map(|to| to.number))],
            Self::Keep { number, entry, .. } => [11, *number << 32 | entry.bytes],
            Self::Kept { number, outcome, .. } => [12, *number << 1 | u64::from(outcome.is_ok())],
            Self::Record { number, .. } => [13, *number],
            Self::Recorded { number, outcome, .. } => [14, *number << 1 | u64::from(outcome.is_ok())],
            Self::Fetch { numbers, .. } => [15, numbers.last().copied().unwrap_or(0)],
            Self::Fetched { files, .. } => [16, files.iter().filter(|(_, file)| file.is_ok()).count() as u64],
            Self::Survey { attempt } => [17, u64::from(*attempt)],
            Self::Surveyed { manifests, .. } => [18, manifests.len() as u64],
            Self::StoreEntered => [19, 0],
            Self::Clean { below, .. } => [20, *below],
            Self::Cleaned(cleaned) => [21, cleaned.expired + cleaned.orphaned],
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entered { .. } => f.write_str("a new incarnation"),
            Self::Restored { attempt, .. } => write!(f, "back, in recovery {attempt}"),
            Self::Unreadable { attempt, why, .. } => write!(f, "cannot go back in recovery {attempt}: {why}"),
            Self::Over { .. } => f.write_str("all is said"),
            Self::Taken { events, .. } => write!(f, "{events} taken"),
            Self::Reached { .. } => f.write_str("the watermark has grown"),
            Self::Trigger { number, .. } => write!(f, "cut snapshot {number}"),
            Self::Completed { number } => write!(f, "snapshot {number} is complete"),
            Self::Aborted { number } => write!(f, "snapshot {number} is given up"),
            Self::GoBack { attempt, to: Some(to) } => write!(f, "recovery {attempt}: back to snapshot {}", to.number),
            Self::GoBack { attempt, to: None } => write!(f, "recovery {attempt}: back to the beginning"),
            Self::Keep { number, entry, .. } => {
                write!(
                    f,
                    "{} of `{}` for snapshot {number}, {} bytes",
                    entry.kind, entry.participant, entry.bytes
                )
            }
            Self::Kept {
                number,
                participant,
                outcome: Ok(entry),
                ..
            } => write!(
                f,
                "the part of `{participant}` of snapshot {number} is durable, {} bytes",
                entry.bytes
            ),
            Self::Kept {
                number,
                outcome: Err(why),
                ..
            } => write!(f, "a part of snapshot {number} is not durable: {why}"),
            Self::Record { number, .. } => write!(f, "the manifest of snapshot {number}"),
            Self::Recorded {
                number, outcome: Ok(_), ..
            } => write!(f, "the manifest of snapshot {number} is durable"),
            Self::Recorded {
                number,
                outcome: Err(why),
                ..
            } => write!(f, "the manifest of snapshot {number} is not durable: {why}"),
            Self::Fetch { numbers, .. } => write!(f, "wants its parts of snapshots {numbers:?}"),
            Self::Fetched { files, .. } => match files.iter().find_map(|(_, file)| file.as_ref().err()) {
                Some(why) => write!(f, "not all parts: {why}"),
                None => write!(f, "{} parts", files.len()),
            },
            Self::Survey { .. } => f.write_str("which snapshots are there?"),
            Self::Surveyed { manifests, .. } => write!(f, "{} complete snapshots are there", manifests.len()),
            Self::StoreEntered => f.write_str("the store has entered again"),
            Self::Clean { keep, below, .. } => write!(f, "of those before {below} keep snapshots {keep:?} alone"),
            Self::Cleaned(cleaned) => write!(
                f,
                "{} files had expired, {} were orphans",
                cleaned.expired, cleaned.orphaned
            ),
        }
    }
}

/// What was read of files, each with its snapshot's number: the file, or why there is none.
pub type Files = Vec<(u64, Result<Arc<[u8]>, String>)>;

/// What was deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cleaned {
    /// Files of complete snapshots that had expired.
    pub expired: u64,
    /// Files that no manifest speaks of: of snapshots that were never complete, or half written at a crash.
    pub orphaned: u64,
    /// How many bytes all of them took.
    pub bytes: u64,
}

/// What somebody does in answer to a message or a timer.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Doings {
    /// Messages, in order.
    pub messages: Vec<(To, Message)>,
    /// Timers to set: from now, and the token that comes back.
    pub timers: Vec<(Span, u64)>,
    /// What is worth telling.
    pub notes: Vec<Note>,
}

impl Doings {
    pub(super) fn tell(&mut self, to: To, message: Message) {
        self.messages.push((to, message));
    }
    pub(super) fn timer(&mut self, after: Span, token: u64) {
        self.timers.push((after, token));
    }
    pub(super) fn note(&mut self, note: Note) {
        self.notes.push(note);
    }
}

/// What is worth telling of snapshots: for metrics and the trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// A snapshot has begun.
    Began {
        /// Its number.
        number: u64,
        /// Since the last complete one began, or since the coordinator entered.
        age: Span,
    },
    /// None has begun although it was time, because one is under way.
    Skipped,
    /// A snapshot is complete.
    Completed {
        /// Its number.
        number: u64,
        /// How long it took.
        took: Span,
        /// Since the complete one before it began.
        interval: Option<Span>,
        /// How many bytes were written.
        bytes: u64,
        /// How many of its parts hold changes only.
        incremental: u64,
    },
    /// A snapshot is given up.
    Aborted {
        /// Its number.
        number: u64,
        /// Why.
        why: String,
    },
    /// A snapshot, or a file of one, is not to be used.
    Distrusted {
        /// Its number.
        number: u64,
        /// What is wrong with which file.
        why: String,
    },
    /// Everybody goes back.
    GoingBack {
        /// The attempt that begins.
        attempt: u32,
        /// To this; to the beginning when there is none.
        to: Option<u64>,
        /// Since that one began.
        age: Option<Span>,
    },
    /// Everybody has gone back.
    Recovered {
        /// The attempt.
        attempt: u32,
        /// Since it was known that it had to be.
        took: Span,
    },
    /// Files were deleted.
    Cleaned(Cleaned),
    /// The store could not do something.
    Trouble {
        /// What, with which file, and why.
        why: String,
    },
    /// A fault of the disk fired, by its index in the scenario.
    Fault(usize),
    /// A participant has saved its state.
    Saved {
        /// The snapshot.
        number: u64,
        /// How many bytes the file has.
        bytes: u64,
        /// How many bytes the whole state takes.
        state: u64,
        /// Whether it holds changes only.
        incremental: bool,
    },
}
