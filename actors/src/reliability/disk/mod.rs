//! A disk: whole files under names, written, appended to, read, deleted and listed, each taking its time, and able to go
//! wrong in every way that disks do.
//!
//! Whoever uses a disk asks it to [`Disk::start`] something, is told when that will be over, and fetches what came of it
//! then with [`Disk::finish`]. What was under way at a crash is never finished: [`Disk::crash`] leaves of it what such a
//! disk would. What was finished survives.
//!
//! [`SimulatedDisk`] keeps its files in memory and takes virtual time. Everything that goes wrong on it is decided by its
//! [`DiskFaults`], which the harness makes from keyed draws; nothing goes wrong by itself.

mod simulated;
#[cfg(test)]
mod tests;

use std::fmt;

use wavetank_scenarios::{Span, Time};

pub use simulated::SimulatedDisk;

/// What a disk is asked to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Puts a file there, in place of the one of that name.
    Write {
        /// Its name; `/` separates folders, which need not be made first.
        file: String,
        /// What it holds.
        bytes: Vec<u8>,
        /// How it takes the place of an older one.
        how: Replacing,
    },
    /// Adds to the end of a file, which is made when it is not there.
    Append {
        /// Its name.
        file: String,
        /// What is added.
        bytes: Vec<u8>,
    },
    /// Reads a file or a part of it; what lies beyond its end is left out.
    Read {
        /// Its name.
        file: String,
        /// The first byte.
        from: u64,
        /// How many bytes at most.
        limit: u64,
    },
    /// Deletes a file. It is no error when it is not there.
    Delete {
        /// Its name.
        file: String,
    },
    /// Names the files whose names begin so, ascending, with their sizes.
    List {
        /// The beginning.
        prefix: String,
    },
}

/// How a written file takes the place of an older one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replacing {
    /// It is written under another name (`name.part`) and then renamed: at any moment there is the old one or the new one.
    ByRenaming,
    /// It is written over the old one: a crash on the way leaves a part of the new one.
    InPlace,
}

impl Request {
    /// Reads a whole file.
    pub fn read(file: impl Into<String>) -> Self {
        Self::Read {
            file: file.into(),
            from: 0,
            limit: u64::MAX,
        }
    }
    /// What is done.
    pub const fn action(&self) -> Action {
        match self {
            Self::Write { .. } => Action::Write,
            Self::Append { .. } => Action::Append,
            Self::Read { .. } => Action::Read,
            Self::Delete { .. } => Action::Delete,
            Self::List { .. } => Action::List,
        }
    }
    /// The file, or the beginning of names.
    pub fn file(&self) -> &str {
        match self {
            Self::Write { file, .. } | Self::Append { file, .. } | Self::Read { file, .. } | Self::Delete { file } => {
                file
            }
            Self::List { prefix } => prefix,
        }
    }
}

/// What is done with a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "`Request` says what each is")]
pub enum Action {
    Write,
    Append,
    Read,
    Delete,
    List,
}

impl Action {
    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Append => "append",
            Self::Read => "read",
            Self::Delete => "delete",
            Self::List => "list",
        }
    }
    /// Whether it puts bytes on the disk.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Append)
    }
}

/// The receipt for something that was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// Fetches the outcome.
    pub number: u64,
    /// When it will be over.
    pub due: Time,
    /// The faults that fired on it, by their index in the scenario.
    pub fired: Vec<usize>,
}

/// What came of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A file was written; so many bytes.
    Written(u64),
    /// Bytes were added; the file is so long now.
    Appended(u64),
    /// What was read.
    Read(Vec<u8>),
    /// The file is gone; whether there was one.
    Deleted(bool),
    /// The files with their sizes, ascending by name.
    Listed(Vec<(String, u64)>),
}

/// Why something could not be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskError {
    /// What was to be done.
    pub action: Action,
    /// With which file.
    pub file: String,
    /// What is wrong.
    pub trouble: Trouble,
}

/// What is wrong with a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// There is no such file.
    NoFile,
    /// There is no room for it.
    Full {
        /// How many bytes were to be put there.
        bytes: u64,
        /// How many there is room for.
        free: u64,
    },
    /// The device reported an error.
    Failed,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (action, file) = (self.action.name(), &self.file);
        match self.trouble {
            Trouble::NoFile => write!(f, "cannot {action} `{file}`: there is no such file"),
            Trouble::Full { bytes, free } => {
                write!(
                    f,
                    "cannot {action} `{file}`: the disk is full ({bytes} bytes, room for {free})"
                )
            }
            Trouble::Failed => write!(f, "cannot {action} `{file}`: the disk reported an error"),
        }
    }
}

impl std::error::Error for DiskError {}

/// Keeps files. What is asked for is done one after the other, in the order in which it was asked for.
pub trait Disk {
    /// Begins something at an instant. The outcome is there when the ticket is due.
    fn start(&mut self, now: Time, request: Request) -> Ticket;
    /// The outcome of what is due, once; `None` for what was never asked for, was fetched, or was under way at a crash.
    fn finish(&mut self, number: u64) -> Option<Result<Outcome, DiskError>>;
    /// The machine that it belongs to stops at an instant: what is under way leaves what it has done so far.
    fn crash(&mut self, at: Time);
    /// How many bytes its files take.
    fn used(&self) -> u64;
}

/// What a disk can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskSpeed {
    /// How long it takes until a write, an append or a deletion begins.
    pub write: Span,
    /// How long it takes until reading or listing begins.
    pub read: Span,
    /// Bytes a second, either way; 0 for no limit.
    pub rate: u64,
    /// How many bytes its files can take.
    pub capacity: u64,
}

impl Default for DiskSpeed {
    /// A disk that takes no time and is never full.
    fn default() -> Self {
        Self {
            write: Span::ZERO,
            read: Span::ZERO,
            rate: 0,
            capacity: u64::MAX,
        }
    }
}

impl DiskSpeed {
    /// How long something takes once its turn has come.
    pub fn takes(&self, action: Action, bytes: u64) -> Span {
        let begin = match action {
            Action::Write | Action::Append | Action::Delete => self.write,
            Action::Read | Action::List => self.read,
        };
        if self.rate == 0 {
            return begin;
        }
        let micros = (u128::from(bytes) * 1_000_000).div_ceil(u128::from(self.rate));
        begin + Span::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

/// Something that a simulated disk is about to do, as its faults see it.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// What.
    pub action: Action,
    /// The file.
    pub file: &'a str,
    /// The how-manieth request of this disk, from 0.
    pub number: u64,
    /// How many bytes are to be written; 0 for all else.
    pub bytes: u64,
    /// When it was asked for.
    pub at: Time,
}

/// What goes wrong with one operation.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Mishap {
    /// It takes this much longer.
    pub slower: Span,
    /// The disk reports an error. Of what was to be written in place or added, nothing is there.
    pub failed: bool,
    /// The disk reports that it is full.
    pub full: bool,
    /// Only this share, in `[0, 1)`, of what was to be written is there, and the disk says that all is well.
    pub torn: Option<f64>,
    /// One bit of what was written is another one on the disk: where, as a share in `[0, 1)` of all bits.
    pub flipped: Option<f64>,
    /// The file as it was before it was last written or added to is what is read.
    pub stale: bool,
    /// The file is not there afterwards, or a deleted one still is, and the disk says that all is well.
    pub lost: bool,
    /// The faults that fired, by their index in the scenario.
    pub fired: Vec<usize>,
}

/// Decides what goes wrong on a simulated disk. Implemented by the harness.
pub trait DiskFaults {
    /// What goes wrong with this operation; `mishap` comes empty.
    fn befall(&mut self, operation: &Operation<'_>, mishap: &mut Mishap);
}

/// A disk on which nothing goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct CalmDisk;

impl DiskFaults for CalmDisk {
    fn befall(&mut self, _: &Operation<'_>, _: &mut Mishap) {}
}

/// What a disk has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DiskCounts {
    /// Requests that wrote or added.
    pub writes: u64,
    /// Bytes that they put there, as asked for.
    pub written: u64,
    /// Requests that read.
    pub reads: u64,
    /// Bytes that they got.
    pub read: u64,
    /// Files deleted.
    pub deleted: u64,
    /// Requests that were refused with an error.
    pub refused: u64,
}
