//! A file of the machine beneath redb, to whose bytes the faults of a disk are done.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;
use wavetank_actors::reliability::disk::{Action, DiskFaults, Mishap, Operation};
use wavetank_scenarios::{Span, Time};

/// What decides the faults, shared by all openings of one disk.
pub type Faults = Arc<Mutex<Box<dyn DiskFaults + Send>>>;

thread_local! {
    static FIRED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// The faults that fired on this thread since it was last asked, by their index in the scenario.
pub fn fired() -> Vec<usize> {
    FIRED.with(|fired| std::mem::take(&mut *fired.borrow_mut()))
}

/// A file beneath redb.
pub struct Meddled {
    path: String,
    inner: Mutex<Inner>,
    faults: Option<Faults>,
}

struct Inner {
    file: File,
    /// How many pieces were written or read.
    count: u64,
    /// What was there before it was last written, by place; kept where faults are declared.
    before: BTreeMap<u64, Vec<u8>>,
}

impl fmt::Debug for Meddled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meddled")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Meddled {
    pub fn new(file: File, path: &Path, faults: Option<Faults>) -> Self {
        let inner = Inner {
            file,
            count: 0,
            before: BTreeMap::new(),
        };
        Self {
            path: path.display().to_string(),
            inner: Mutex::new(inner),
            faults,
        }
    }
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// What goes wrong with one piece.
    fn befall(&self, number: u64, action: Action, bytes: usize) -> Mishap {
        let mut mishap = Mishap::default();
        if let Some(faults) = &self.faults {
            let operation = Operation {
                action,
                file: &self.path,
                number,
                bytes: if action.writes() { bytes as u64 } else { 0 },
                at: Time::ZERO,
            };
            let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
            faults.befall(&operation, &mut mishap);
            FIRED.with(|fired| fired.borrow_mut().extend(&mishap.fired));
        }
        wait(mishap.slower);
        mishap
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a disk that is slow on the machine's clock takes that time"
)]
fn wait(span: Span) {
    if let Ok(micros @ 1..) = u64::try_from(span.micros()) {
        std::thread::sleep(std::time::Duration::from_micros(micros));
    }
}

impl Inner {
    fn read(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(out)
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)
    }
}

/// The place in `0..length` that a share in `[0, 1)` stands for.
fn place(share: f64, length: usize) -> usize {
    ((share.clamp(0.0, 1.0) * length as f64) as usize).min(length.saturating_sub(1))
}

impl StorageBackend for Meddled {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner().file.metadata()?.len())
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut inner = self.inner();
        let number = inner.count;
        inner.count += 1;
        let mishap = self.befall(number, Action::Read, out.len());
        if mishap.failed || mishap.lost {
            return Err(io::Error::other("the disk reported an error"));
        }
        inner.read(offset, out)?;
        if mishap.stale
            && let Some(before) = inner.before.get(&offset)
        {
            let length = before.len().min(out.len());
            out[..length].copy_from_slice(&before[..length]);
        }
        Ok(())
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.inner().file.set_len(length)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.inner().file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.inner();
        let number = inner.count;
        inner.count += 1;
        let mishap = self.befall(number, Action::Write, data.len());
        if mishap.failed {
            return Err(io::Error::other("the disk reported an error"));
        }
        if mishap.full {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is full"));
        }
        if self.faults.is_some() {
            let mut before = vec![0; data.len()];
            if inner.read(offset, &mut before).is_ok() {
                inner.before.insert(offset, before);
            }
        }
        if mishap.lost {
            return Ok(());
        }
        let mut data = data.to_vec();
        if let Some(share) = mishap.torn {
            data.truncate(place(share, data.len()));
        }
        if let Some(share) = mishap.flipped
            && !data.is_empty()
        {
            let bit = place(share, data.len() * 8);
            data[bit / 8] ^= 1 << (bit % 8);
        }
        inner.write(offset, &data)
    }
}
