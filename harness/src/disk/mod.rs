//! A real disk: what brokers keep when a scenario runs on the machine's clock.
//!
//! All files of one disk lie in one redb database, so that each request is done whole or not at all, whatever stops the
//! process: a request is answered when its transaction is durable. Beneath redb lies a layer that does the declared
//! faults of a disk to the bytes that redb writes, so that the code that is tested is the code that runs.
//!
//! Nothing that cannot be read is written over: a database that is damaged, or none at all, is an error that names the
//! file.

mod meddled;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use wavetank_actors::reliability::disk::{Disk, DiskError, DiskFaults, Outcome, Request, Ticket, Trouble};
use wavetank_scenarios::Time;

use meddled::{Faults, Meddled};

/// How long each file is.
const FILES: TableDefinition<'_, &str, u64> = TableDefinition::new("files");
/// What files hold: name and place of the first byte of each piece.
const PIECES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("pieces");

/// A disk that cannot be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(
            f,
            "the disk `{path}` cannot be opened: {}; it is left as it is",
            self.why
        )
    }
}

impl std::error::Error for OpenError {}

/// A disk in a file of the machine.
pub struct RealDisk {
    path: PathBuf,
    faults: Option<Faults>,
    /// Closed after an error, and opened again when it is needed.
    database: Option<Database>,
    outcomes: BTreeMap<u64, Result<Outcome, DiskError>>,
    asked: u64,
}

impl fmt::Debug for RealDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealDisk")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl RealDisk {
    /// Opens the disk in that file, or makes it.
    ///
    /// # Errors
    /// The file is none of a disk, is damaged, in use by another process, or cannot be read or written.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::with(path.into(), None)
    }
    /// Opens the disk in that file, or makes it; beneath it goes wrong what `faults` say, for each piece that is written or
    /// read.
    ///
    /// # Errors
    /// The file is none of a disk, is damaged, in use by another process, or cannot be read or written.
    pub fn with_faults(path: impl Into<PathBuf>, faults: Box<dyn DiskFaults + Send>) -> Result<Self, OpenError> {
        Self::with(path.into(), Some(Arc::new(Mutex::new(faults))))
    }
    fn with(path: PathBuf, faults: Option<Faults>) -> Result<Self, OpenError> {
        let database = open(&path, faults.clone()).map_err(|why| OpenError {
            path: path.clone(),
            why,
        })?;
        Ok(Self {
            path,
            faults,
            database: Some(database),
            outcomes: BTreeMap::new(),
            asked: 0,
        })
    }
    /// The file that it lies in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does something, and closes the database when it went wrong.
    fn run(&mut self, request: Request) -> Result<Outcome, DiskError> {
        let (action, file) = (request.action(), request.file().to_owned());
        let wrong = |trouble| DiskError { action, file, trouble };
        let database = match self.database.take() {
            Some(database) => database,
            None => match open(&self.path, self.faults.clone()) {
                Ok(database) => database,
                Err(_) => return Err(wrong(Trouble::Failed)),
            },
        };
        match carry_out(&database, request) {
            Ok(Some(outcome)) => {
                self.database = Some(database);
                Ok(outcome)
            }
            Ok(None) => {
                self.database = Some(database);
                Err(wrong(Trouble::NoFile))
            }
            Err(Wrong::Full(bytes)) => Err(wrong(Trouble::Full { bytes, free: 0 })),
            Err(Wrong::Failed) => Err(wrong(Trouble::Failed)),
        }
    }
}

impl Disk for RealDisk {
    fn start(&mut self, now: Time, request: Request) -> Ticket {
        let number = self.asked;
        self.asked += 1;
        let outcome = self.run(request);
        self.outcomes.insert(number, outcome);
        let fired = match &self.faults {
            Some(_) => meddled::fired(),
            None => Vec::new(),
        };
        Ticket {
            number,
            due: now,
            fired,
        }
    }
    fn finish(&mut self, number: u64) -> Option<Result<Outcome, DiskError>> {
        self.outcomes.remove(&number)
    }
    fn crash(&mut self, _at: Time) {
        self.outcomes.clear();
    }
    fn used(&self) -> u64 {
        let sum = |database: &Database| -> Result<u64, redb::Error> {
            let transaction = database.begin_read()?;
            let Ok(files) = transaction.open_table(FILES) else {
                return Ok(0);
            };
            let mut sum = 0;
            for entry in files.iter()? {
                sum += entry?.1.value();
            }
            Ok(sum)
        };
        self.database
            .as_ref()
            .and_then(|database| sum(database).ok())
            .unwrap_or(0)
    }
}

/// Why a request could not be done.
enum Wrong {
    /// There is no room for so many bytes.
    Full(u64),
    Failed,
}

fn why(error: impl Into<redb::Error>, bytes: u64) -> Wrong {
    match error.into() {
        redb::Error::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => Wrong::Full(bytes),
        _ => Wrong::Failed,
    }
}

fn open(path: &Path, faults: Option<Faults>) -> Result<Database, String> {
    let file: File = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| error.to_string())?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Err("another process has it open".to_owned()),
        Err(std::fs::TryLockError::Error(error)) => return Err(error.to_string()),
    }
    let backend = Meddled::new(file, path, faults);
    let mut builder = Database::builder();
    builder.set_check_integrity_on_open(true);
    builder.create_with_backend(backend).map_err(|error| match error {
        redb::DatabaseError::Storage(redb::StorageError::Corrupted(what)) => format!("it is damaged ({what})"),
        redb::DatabaseError::Storage(redb::StorageError::Io(error))
            if error.kind() == std::io::ErrorKind::InvalidData =>
        {
            "it is no disk of a broker or store, or its beginning is damaged".to_owned()
        }
        error => error.to_string(),
    })
}

/// Does a request as one durable transaction; `None` when there is no such file.
fn carry_out(database: &Database, request: Request) -> Result<Option<Outcome>, Wrong> {
    match request {
        Request::Write { file, bytes, .. } => {
            let size = bytes.len() as u64;
            put(database, &file, &bytes, true).map_err(|error| why(error, size))?;
            Ok(Some(Outcome::Written(size)))
        }
        Request::Append { file, bytes } => {
            let size = bytes.len() as u64;
            let length = put(database, &file, &bytes, false).map_err(|error| why(error, size))?;
            Ok(Some(Outcome::Appended(length)))
        }
        Request::Read { file, from, limit } => {
            let bytes = read(database, &file, from, limit).map_err(|error| why(error, 0))?;
            Ok(bytes.map(Outcome::Read))
        }
        Request::Delete { file } => {
            let there = delete(database, &file).map_err(|error| why(error, 0))?;
            Ok(Some(Outcome::Deleted(there)))
        }
        Request::List { prefix } => {
            let files = list(database, &prefix).map_err(|error| why(error, 0))?;
            Ok(Some(Outcome::Listed(files)))
        }
    }
}

/// Adds bytes to a file, or puts them in its place; how long it is then.
fn put(database: &Database, file: &str, bytes: &[u8], anew: bool) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let length = {
        let mut files = transaction.open_table(FILES)?;
        let mut pieces = transaction.open_table(PIECES)?;
        if anew {
            pieces.retain_in((file, 0)..=(file, u64::MAX), |_, _| false)?;
        }
        let before = if anew {
            0
        } else {
            files.get(file)?.map_or(0, |length| length.value())
        };
        if !bytes.is_empty() {
            pieces.insert((file, before), bytes)?;
        }
        let length = before + bytes.len() as u64;
        files.insert(file, length)?;
        length
    };
    transaction.commit()?;
    Ok(length)
}

fn delete(database: &Database, file: &str) -> Result<bool, redb::Error> {
    let transaction = database.begin_write()?;
    let there = {
        let mut files = transaction.open_table(FILES)?;
        let mut pieces = transaction.open_table(PIECES)?;
        pieces.retain_in((file, 0)..=(file, u64::MAX), |_, _| false)?;
        files.remove(file)?.is_some()
    };
    transaction.commit()?;
    Ok(there)
}

fn read(database: &Database, file: &str, from: u64, limit: u64) -> Result<Option<Vec<u8>>, redb::Error> {
    let transaction = database.begin_read()?;
    let (files, pieces) = match (transaction.open_table(FILES), transaction.open_table(PIECES)) {
        (Ok(files), Ok(pieces)) => (files, pieces),
        (Err(redb::TableError::TableDoesNotExist(_)), _) => return Ok(None),
        (Err(error), _) | (_, Err(error)) => return Err(error.into()),
    };
    if files.get(file)?.is_none() {
        return Ok(None);
    }
    let to = from.saturating_add(limit);
    let mut bytes = Vec::new();
    for piece in pieces.range((file, 0)..=(file, u64::MAX))? {
        let (place, piece) = piece?;
        let (begins, piece) = (place.value().1, piece.value());
        let within = |at: u64| usize::try_from(at.saturating_sub(begins)).map_or(piece.len(), |at| at.min(piece.len()));
        bytes.extend_from_slice(&piece[within(from)..within(to).max(within(from))]);
    }
    Ok(Some(bytes))
}

fn list(database: &Database, prefix: &str) -> Result<Vec<(String, u64)>, redb::Error> {
    let transaction = database.begin_read()?;
    let files = match transaction.open_table(FILES) {
        Ok(files) => files,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for entry in files.range(prefix..)? {
        let (name, length) = entry?;
        if !name.value().starts_with(prefix) {
            break;
        }
        found.push((name.value().to_owned(), length.value()));
    }
    Ok(found)
}
