//! A disk in memory, on virtual time, on which everything can go wrong.

use std::collections::BTreeMap;
use std::fmt;

use wavetank_scenarios::{Time, script};

use super::{
    Action, Disk, DiskCounts, DiskError, DiskFaults, DiskSpeed, Mishap, Operation, Outcome, Replacing, Request, Ticket,
    Trouble,
};

/// A disk in memory, on virtual time.
pub struct SimulatedDisk {
    speed: DiskSpeed,
    faults: Box<dyn DiskFaults>,
    pub(super) files: BTreeMap<String, File>,
    used: u64,
    /// What is asked for and not fetched yet, by number.
    under_way: BTreeMap<u64, Job>,
    /// When the last of them is over.
    pub(super) busy_until: Time,
    asked: u64,
    counts: DiskCounts,
}

#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
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
                let there = if mishap.lost {
                    self.files.contains_key(&file)
                } else {
                    self.remove(&file)
                };
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
