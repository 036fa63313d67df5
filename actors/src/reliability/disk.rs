//! A disk: whole files under names, written, appended to, read, deleted and listed, each taking its time, and able to go
//! wrong in every way that disks do.
//!
//! Whoever uses a disk asks it to [`Disk::start`] something, is told when that will be over, and fetches what came of it
//! then with [`Disk::finish`]. What was under way at a crash is never finished: [`Disk::crash`] leaves of it what such a
//! disk would. What was finished survives.
//!
//! [`SimulatedDisk`] keeps its files in memory and takes virtual time. Everything that goes wrong on it is decided by its
//! [`DiskFaults`], which the harness makes from keyed draws; nothing goes wrong by itself.

use std::collections::BTreeMap;
use std::fmt;

use wavetank_scenarios::{Span, Time, script};

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
    /// The file is not there afterwards, and the disk says that all is well.
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

/// A disk in memory, on virtual time.
pub struct SimulatedDisk {
    speed: DiskSpeed,
    faults: Box<dyn DiskFaults>,
    files: BTreeMap<String, File>,
    used: u64,
    /// What is asked for and not fetched yet, by number.
    under_way: BTreeMap<u64, Job>,
    /// When the last of them is over.
    busy_until: Time,
    asked: u64,
    counts: DiskCounts,
}

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    before: Before,
}

/// A file as it was before the last change.
#[derive(Debug, Default)]
enum Before {
    /// It was not there.
    #[default]
    Missing,
    /// It was this much of what it is now.
    Shorter(usize),
    /// It was another one.
    Other(Vec<u8>),
}

#[derive(Debug)]
struct Job {
    request: Request,
    mishap: Mishap,
    /// From when to when the disk is at work on it.
    begins: Time,
    ends: Time,
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedDisk")
            .field("speed", &self.speed)
            .field("files", &self.files.keys())
            .field("under_way", &self.under_way)
            .finish_non_exhaustive()
    }
}

impl SimulatedDisk {
    /// An empty disk as a scenario sets it; how long a request takes apart from its size, and what goes wrong with it, is
    /// for `faults` to say.
    pub fn of(settings: &script::Disk, faults: Box<dyn DiskFaults>) -> Self {
        let speed = DiskSpeed {
            rate: settings.rate.map_or(0, |rate| rate.ceil() as u64),
            capacity: settings.size.unwrap_or(u64::MAX),
            ..DiskSpeed::default()
        };
        Self::new(speed, faults)
    }
    /// An empty disk.
    pub fn new(speed: DiskSpeed, faults: Box<dyn DiskFaults>) -> Self {
        Self {
            speed,
            faults,
            files: BTreeMap::new(),
            used: 0,
            under_way: BTreeMap::new(),
            busy_until: Time::MIN,
            asked: 0,
            counts: DiskCounts::default(),
        }
    }
    /// What it has done so far.
    pub const fn counts(&self) -> DiskCounts {
        self.counts
    }
    /// What a file holds, as it lies there: for those who look at the disk from outside.
    pub fn look(&self, file: &str) -> Option<&[u8]> {
        self.files.get(file).map(|file| &file.bytes[..])
    }
    /// The names of all files, ascending.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }
    /// How many requests are under way.
    pub fn pending(&self) -> usize {
        self.under_way.len()
    }

    fn length(&self, file: &str) -> u64 {
        self.files.get(file).map_or(0, |file| file.bytes.len() as u64)
    }

    /// How many bytes pass between disk and memory.
    fn moves(&self, request: &Request) -> u64 {
        match request {
            Request::Write { bytes, .. } | Request::Append { bytes, .. } => bytes.len() as u64,
            Request::Read { file, from, limit } => self.length(file).saturating_sub(*from).min(*limit),
            Request::Delete { .. } | Request::List { .. } => 0,
        }
    }

    fn put(&mut self, name: String, bytes: Vec<u8>) {
        self.used += bytes.len() as u64;
        let before = match self.files.remove(&name) {
            Some(old) => {
                self.used -= old.bytes.len() as u64;
                Before::Other(old.bytes)
            }
            None => Before::Missing,
        };
        self.files.insert(name, File { bytes, before });
    }

    fn add(&mut self, name: String, bytes: &[u8]) -> u64 {
        self.used += bytes.len() as u64;
        let new = !self.files.contains_key(&name);
        let file = self.files.entry(name).or_default();
        if !new {
            file.before = Before::Shorter(file.bytes.len());
        }
        file.bytes.extend_from_slice(bytes);
        file.bytes.len() as u64
    }

    fn remove(&mut self, name: &str) -> bool {
        match self.files.remove(name) {
            Some(file) => {
                self.used -= file.bytes.len() as u64;
                true
            }
            None => false,
        }
    }

    /// Why something cannot be done. While a file is written under another name, the old one is still there.
    fn trouble(&self, request: &Request, mishap: &Mishap) -> Option<Trouble> {
        if mishap.failed {
            return Some(Trouble::Failed);
        }
        let needed = match request {
            Request::Write { bytes, .. } | Request::Append { bytes, .. } => bytes.len() as u64,
            Request::Read { file, .. } if !self.files.contains_key(file) => return Some(Trouble::NoFile),
            Request::Read { .. } | Request::Delete { .. } | Request::List { .. } => return None,
        };
        let freed = match request {
            Request::Write {
                file,
                how: Replacing::InPlace,
                ..
            } => self.length(file),
            _ => 0,
        };
        let free = if mishap.full {
            0
        } else {
            self.speed.capacity.saturating_sub(self.used - freed)
        };
        (mishap.full || needed > free).then_some(Trouble::Full { bytes: needed, free })
    }

    fn carry_out(&mut self, request: Request, mishap: &Mishap) -> Result<Outcome, DiskError> {
        if let Some(trouble) = self.trouble(&request, mishap) {
            self.counts.refused += 1;
            return Err(DiskError {
                action: request.action(),
                file: request.file().to_owned(),
                trouble,
            });
        }
        Ok(match request {
            Request::Write { file, mut bytes, .. } => {
                let size = bytes.len() as u64;
                self.wrote(size);
                damage(&mut bytes, mishap);
                if mishap.lost {
                    self.remove(&file);
                } else {
                    self.put(file, bytes);
                }
                Outcome::Written(size)
            }
            Request::Append { file, mut bytes } => {
                let size = bytes.len() as u64;
                self.wrote(size);
                let length = self.length(&file) + size;
                damage(&mut bytes, mishap);
                if mishap.lost {
                    self.remove(&file);
                } else {
                    self.add(file, &bytes);
                }
                Outcome::Appended(length)
            }
            Request::Read { file, from, limit } => {
                let bytes = self.content(&file, mishap.stale).ok_or(DiskError {
                    action: Action::Read,
                    file,
                    trouble: Trouble::NoFile,
                })?;
                let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
                let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(bytes.len() - from);
                let part = bytes[from..from + limit].to_vec();
                self.counts.reads += 1;
                self.counts.read += part.len() as u64;
                Outcome::Read(part)
            }
            Request::Delete { file } => {
                let there = self.remove(&file);
                self.counts.deleted += u64::from(there);
                Outcome::Deleted(there)
            }
            Request::List { prefix } => {
                let from = self.files.range(prefix.clone()..);
                let named = from.take_while(|(name, _)| name.starts_with(&prefix));
                Outcome::Listed(
                    named
                        .map(|(name, file)| (name.clone(), file.bytes.len() as u64))
                        .collect(),
                )
            }
        })
    }

    fn wrote(&mut self, bytes: u64) {
        self.counts.writes += 1;
        self.counts.written += bytes;
    }

    fn content(&self, file: &str, stale: bool) -> Option<&[u8]> {
        let file = self.files.get(file)?;
        match &file.before {
            Before::Missing if stale => None,
            Before::Shorter(length) if stale => Some(&file.bytes[..*length]),
            Before::Other(bytes) if stale => Some(bytes),
            _ => Some(&file.bytes),
        }
    }
}

impl Disk for SimulatedDisk {
    fn start(&mut self, now: Time, request: Request) -> Ticket {
        let number = self.asked;
        self.asked += 1;
        let bytes = self.moves(&request);
        let mut mishap = Mishap::default();
        let action = request.action();
        self.faults.befall(
            &Operation {
                action,
                file: request.file(),
                number,
                bytes: if action.writes() { bytes } else { 0 },
                at: now,
            },
            &mut mishap,
        );
        let begins = now.max(self.busy_until);
        let ends = begins + self.speed.takes(action, bytes) + mishap.slower;
        self.busy_until = ends;
        let ticket = Ticket {
            number,
            due: ends,
            fired: mishap.fired.clone(),
        };
        let job = Job {
            request,
            mishap,
            begins,
            ends,
        };
        self.under_way.insert(number, job);
        ticket
    }

    fn finish(&mut self, number: u64) -> Option<Result<Outcome, DiskError>> {
        let job = self.under_way.remove(&number)?;
        Some(self.carry_out(job.request, &job.mishap))
    }

    fn crash(&mut self, at: Time) {
        for (_, job) in std::mem::take(&mut self.under_way) {
            if self.trouble(&job.request, &job.mishap).is_some() || at <= job.begins {
                continue;
            }
            let (done, whole) = (at.since(job.begins).micros(), job.ends.since(job.begins).micros());
            let so_far = |bytes: &[u8]| {
                let length = bytes.len() as u128 * done.unsigned_abs() as u128 / whole.unsigned_abs().max(1) as u128;
                usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len())
            };
            match job.request {
                Request::Write { file, mut bytes, how } => {
                    bytes.truncate(so_far(&bytes));
                    match how {
                        Replacing::ByRenaming => self.put(format!("{file}.part"), bytes),
                        Replacing::InPlace => self.put(file, bytes),
                    }
                }
                Request::Append { file, bytes } => {
                    let length = so_far(&bytes);
                    self.add(file, &bytes[..length]);
                }
                Request::Read { .. } | Request::Delete { .. } | Request::List { .. } => {}
            }
        }
        self.busy_until = at;
    }

    fn used(&self) -> u64 {
        self.used
    }
}

/// What a disk that lies does to what it was given to write.
fn damage(bytes: &mut Vec<u8>, mishap: &Mishap) {
    if let Some(share) = mishap.torn {
        bytes.truncate(place(share, bytes.len()));
    }
    if let Some(share) = mishap.flipped
        && !bytes.is_empty()
    {
        let bit = place(share, bytes.len().saturating_mul(8));
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

/// The place in `0..length` that a share in `[0, 1)` stands for.
fn place(share: f64, length: usize) -> usize {
    ((share.clamp(0.0, 1.0) * length as f64) as usize).min(length.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Goes wrong as written, by the number of the request.
    #[derive(Default)]
    struct Scripted(BTreeMap<u64, Mishap>);

    impl DiskFaults for Scripted {
        fn befall(&mut self, operation: &Operation<'_>, mishap: &mut Mishap) {
            if let Some(planned) = self.0.remove(&operation.number) {
                *mishap = planned;
            }
        }
    }

    const SLOW: DiskSpeed = DiskSpeed {
        write: Span::from_millis(5),
        read: Span::from_millis(2),
        rate: 1_000,
        capacity: 100,
    };

    fn disk(mishaps: impl IntoIterator<Item = (u64, Mishap)>) -> SimulatedDisk {
        SimulatedDisk::new(SLOW, Box::new(Scripted(mishaps.into_iter().collect())))
    }
    fn at(millis: i64) -> Time {
        Time::ZERO + Span::from_millis(millis)
    }
    fn write(file: &str, bytes: &[u8], how: Replacing) -> Request {
        Request::Write {
            file: file.to_owned(),
            bytes: bytes.to_vec(),
            how,
        }
    }
    fn append(file: &str, bytes: &[u8]) -> Request {
        Request::Append {
            file: file.to_owned(),
            bytes: bytes.to_vec(),
        }
    }
    fn run(disk: &mut SimulatedDisk, request: Request) -> Result<Outcome, DiskError> {
        let ticket = disk.start(at(0), request);
        disk.finish(ticket.number).expect("it was just asked for")
    }
    fn named(mishap: impl FnOnce(&mut Mishap)) -> Mishap {
        let mut made = Mishap {
            fired: vec![7],
            ..Mishap::default()
        };
        mishap(&mut made);
        made
    }

    #[test]
    fn requests_wait_for_one_another_and_take_latency_and_bytes_over_rate() {
        let mut disk = disk([]);
        let first = disk.start(at(0), write("a", &[1; 10], Replacing::ByRenaming));
        let second = disk.start(at(1), append("a", &[2; 5]));
        assert_eq!((first.due, second.due), (at(15), at(25)));
        assert_eq!(disk.finish(first.number), Some(Ok(Outcome::Written(10))));
        assert_eq!(disk.finish(second.number), Some(Ok(Outcome::Appended(15))));
        assert_eq!(disk.finish(second.number), None);
        let third = disk.start(at(100), Request::read("a"));
        assert_eq!(third.due, at(117));
        assert_eq!(disk.counts().written, 15);
    }

    #[test]
    fn a_crash_leaves_the_old_file_when_it_was_to_be_replaced_by_renaming() {
        let mut disk = disk([]);
        run(&mut disk, write("a", b"old", Replacing::ByRenaming)).unwrap();
        disk.busy_until = at(0);
        let ticket = disk.start(at(0), write("a", &[9; 15], Replacing::ByRenaming));
        assert_eq!(ticket.due, at(20));
        disk.crash(at(10));
        assert_eq!(disk.finish(ticket.number), None);
        assert_eq!(disk.look("a"), Some(&b"old"[..]));
        assert_eq!(disk.look("a.part"), Some(&[9; 7][..]));
        assert_eq!(disk.used(), 10);
    }

    #[test]
    fn a_crash_leaves_a_part_of_what_was_written_in_place_or_added() {
        let mut disk = disk([]);
        run(&mut disk, write("a", b"old", Replacing::InPlace)).unwrap();
        disk.busy_until = at(0);
        disk.start(at(0), write("a", &[9; 15], Replacing::InPlace));
        disk.start(at(0), append("b", &[8; 5]));
        disk.crash(at(25));
        assert_eq!(disk.look("a"), Some(&[9; 15][..]));
        assert_eq!(disk.look("b"), Some(&[8; 2][..]));
        assert_eq!(disk.start(at(26), append("b", b"")).due, at(31));
    }

    #[test]
    fn what_has_not_begun_at_a_crash_leaves_nothing() {
        let mut disk = disk([]);
        disk.start(at(0), write("a", &[9; 15], Replacing::InPlace));
        disk.start(at(0), write("b", &[9; 15], Replacing::InPlace));
        disk.crash(at(20));
        assert_eq!(disk.names().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn a_full_disk_says_how_much_room_there_is() {
        let mut disk = disk([]);
        run(&mut disk, write("a", &[0; 80], Replacing::ByRenaming)).unwrap();
        let error = run(&mut disk, write("b", &[0; 30], Replacing::ByRenaming)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot write `b`: the disk is full (30 bytes, room for 20)"
        );
        let again = run(&mut disk, write("a", &[0; 30], Replacing::ByRenaming));
        assert!(again.is_err(), "both have to fit until one is renamed");
        assert_eq!(
            run(&mut disk, write("a", &[0; 30], Replacing::InPlace)),
            Ok(Outcome::Written(30))
        );
        assert_eq!(disk.used(), 30);
    }

    #[test]
    fn every_mishap_does_what_it_says_and_names_its_fault() {
        let mut disk = disk([
            (1, named(|m| m.slower = Span::from_secs(1))),
            (2, named(|m| m.failed = true)),
            (3, named(|m| m.full = true)),
            (4, named(|m| m.torn = Some(0.5))),
            (5, named(|m| m.flipped = Some(0.0))),
            (7, named(|m| m.stale = true)),
            (8, named(|m| m.lost = true)),
        ]);
        run(&mut disk, write("a", b"abcd", Replacing::ByRenaming)).unwrap();
        let slow = disk.start(at(1_000), Request::read("a"));
        assert_eq!((slow.due, slow.fired), (at(2_006), vec![7]));
        assert_eq!(
            run(&mut disk, write("a", b"x", Replacing::ByRenaming))
                .unwrap_err()
                .to_string(),
            "cannot write `a`: the disk reported an error"
        );
        assert!(run(&mut disk, write("a", b"x", Replacing::ByRenaming)).is_err());
        assert_eq!(disk.look("a"), Some(&b"abcd"[..]));
        assert_eq!(
            run(&mut disk, write("a", b"wxyz", Replacing::ByRenaming)),
            Ok(Outcome::Written(4))
        );
        assert_eq!(disk.look("a"), Some(&b"wx"[..]));
        run(&mut disk, write("a", b"\0", Replacing::ByRenaming)).unwrap();
        assert_eq!(disk.look("a"), Some(&[1][..]));
        assert_eq!(run(&mut disk, append("a", b"yz")), Ok(Outcome::Appended(3)));
        assert_eq!(run(&mut disk, Request::read("a")), Ok(Outcome::Read(vec![1])));
        run(&mut disk, append("a", b"!")).unwrap();
        assert_eq!(
            run(&mut disk, Request::read("a")).unwrap_err().to_string(),
            "cannot read `a`: there is no such file"
        );
        assert_eq!(disk.used(), 0);
    }

    #[test]
    fn a_stale_read_of_a_file_that_was_not_there_before_finds_none() {
        let mut disk = disk([(1, named(|m| m.stale = true)), (3, named(|m| m.stale = true))]);
        run(&mut disk, write("a", b"1", Replacing::ByRenaming)).unwrap();
        assert!(run(&mut disk, Request::read("a")).is_err());
        run(&mut disk, write("a", b"2", Replacing::ByRenaming)).unwrap();
        assert_eq!(run(&mut disk, Request::read("a")), Ok(Outcome::Read(b"1".to_vec())));
    }

    #[test]
    fn files_are_listed_by_how_their_names_begin_and_read_in_parts() {
        let mut disk = disk([]);
        for file in ["log/0", "log/1", "logs", "snapshot"] {
            run(&mut disk, append(file, b"abcdef")).unwrap();
        }
        let list = Request::List {
            prefix: "log/".to_owned(),
        };
        let files = vec![("log/0".to_owned(), 6), ("log/1".to_owned(), 6)];
        assert_eq!(run(&mut disk, list), Ok(Outcome::Listed(files)));
        let part = |from, limit| Request::Read {
            file: "logs".to_owned(),
            from,
            limit,
        };
        assert_eq!(run(&mut disk, part(2, 3)), Ok(Outcome::Read(b"cde".to_vec())));
        assert_eq!(run(&mut disk, part(5, 9)), Ok(Outcome::Read(b"f".to_vec())));
        assert_eq!(run(&mut disk, part(9, 9)), Ok(Outcome::Read(Vec::new())));
        let delete = Request::Delete {
            file: "logs".to_owned(),
        };
        assert_eq!(run(&mut disk, delete.clone()), Ok(Outcome::Deleted(true)));
        assert_eq!(run(&mut disk, delete), Ok(Outcome::Deleted(false)));
    }

    proptest! {
        #[test]
        fn what_it_says_it_uses_is_what_its_files_take(
            steps in prop::collection::vec((0_u8..5, 0_u8..3, 0_usize..30, any::<bool>(), 0_u8..4), 0..30),
        ) {
            let mishaps = steps.iter().enumerate().filter_map(|(i, (.., kind))| {
                let mishap = named(|m| match kind {
                    1 => m.torn = Some(0.3),
                    2 => m.flipped = Some(0.9),
                    _ => m.lost = true,
                });
                (*kind > 0).then_some((i as u64, mishap))
            });
            let mut disk = disk(mishaps);
            for (step, (action, file, size, crash, _)) in steps.iter().enumerate() {
                let (file, bytes) = (file.to_string(), vec![0; *size]);
                let request = match action {
                    0 => Request::Write { file, bytes, how: Replacing::InPlace },
                    1 => Request::Write { file, bytes, how: Replacing::ByRenaming },
                    2 => Request::Append { file, bytes },
                    3 => Request::read(file),
                    _ => Request::Delete { file },
                };
                let now = at(step as i64 * 50);
                let ticket = disk.start(now, request);
                if *crash {
                    disk.crash(now + Span::from_millis(*size as i64));
                } else {
                    let _ = disk.finish(ticket.number);
                }
                let files: usize = disk.files.values().map(|f| f.bytes.len()).sum();
                prop_assert_eq!(disk.used(), files as u64);
                prop_assert!(disk.used() <= SLOW.capacity);
            }
        }
    }
}
