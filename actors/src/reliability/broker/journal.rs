//! What a broker writes down: a row of files, each a header and frames.
//!
//! A file begins with [`MAGIC`], the version of the format and its number; the first frame says what the files before it
//! held that still counts ([`Summary`]), so that the oldest file can be deleted when nothing in it is kept any more. A
//! frame is a mark, the length and the CRC-32 of what follows, and that: one entry in postcard. Frames are only ever
//! added, and a broker that comes back begins a new file.
//!
//! [`Journal::read`] finds what can be found: what ends too early at the end of the last file was under way at a crash and
//! is let go; what is damaged elsewhere is passed over up to the next whole frame, and named.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};
use wavetank_scenarios::{Event, Producer, Time};

use super::numbers::Numbers;
use crate::reliability::disk::{Disk, DiskError, Outcome, Request, Trouble};

/// What a file of a journal begins with.
pub const MAGIC: &[u8; 8] = b"WTKLOG\r\n";
/// The version of the format that is written, and the only one that is read.
pub const VERSION: u16 = 1;
/// Magic, version, number of the file, and their CRC-32.
const HEADER: usize = 8 + 2 + 8 + 4;
/// What a frame begins with.
const MARK: [u8; 4] = [0xb5, 0x57, 0x4b, 0x0a];
/// Mark, length, CRC-32.
const FRAME: usize = 4 + 4 + 4;

/// How far a group of readers is in a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Commit {
    /// Nothing before this can matter any more.
    pub safe: u64,
    /// Everything before this has been read.
    pub read: u64,
    /// Answers up to this event time need not be given again; `None` when none has been given.
    pub done: Option<Time>,
}

/// What was done.
#[derive(Clone, PartialEq, Debug)]
pub enum Entry {
    /// An event was taken. A queue has the one partition 0.
    Kept {
        /// In this partition.
        partition: u32,
        /// In this place.
        offset: u64,
        /// When, by the broker's clock.
        at: Time,
        /// How many bytes it takes.
        size: u64,
        /// What it is.
        event: Box<Event>,
    },
    /// A group has come so far.
    Committed {
        /// Which group.
        group: String,
        /// In which partition.
        partition: u32,
        /// How far.
        commit: Commit,
    },
    /// A queue is done with the event in that place.
    Gone {
        /// Its place.
        offset: u64,
    },
    /// A log has let go everything in a partition before this place.
    Expired {
        /// In this partition.
        partition: u32,
        /// Before this.
        below: u64,
    },
    /// What the files before held that still counts.
    Summary(Summary),
}

/// What the files before held that still counts, but for the events.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Of each partition the first offset that is kept and the next to be given.
    pub partitions: Vec<(u64, u64)>,
    /// How far groups are.
    pub groups: Vec<(String, u32, Commit)>,
    /// The numbers that each producer's events had.
    pub had: Vec<(Producer, Numbers)>,
}

/// An entry as it lies on the disk.
#[derive(Serialize, Deserialize)]
enum Line {
    Page(Page),
    Summary(Summary),
}

/// Something that is wrong with a file of a journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Where in it, in bytes.
    pub at: u64,
    /// How many bytes were passed over.
    pub bytes: u64,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a file of a journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// It ends within a frame or header, and is the last: what was under way at a crash.
    Torn,
    /// Bytes are not those that were written.
    Damaged,
    /// It is not a file of a broker's journal.
    Foreign,
    /// It has a version of the format that is not known here.
    Version(u16),
    /// It has another number than its name says.
    Misplaced,
    /// It could not be read.
    Unreadable,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, at, bytes, why } = self;
        match why {
            Why::Torn => write!(
                f,
                "`{file}` breaks off at byte {at}: the last {bytes} bytes were never finished"
            ),
            Why::Damaged => write!(
                f,
                "`{file}` is damaged at byte {at}: {bytes} bytes are not what was written"
            ),
            Why::Foreign => write!(f, "`{file}` is not a file of a broker's journal; it is left as it is"),
            Why::Version(version) => write!(
                f,
                "`{file}` has version {version} of the format; this program reads version {VERSION}, and leaves it as it is"
            ),
            Why::Misplaced => write!(
                f,
                "`{file}` is another file of a journal under that name; it is left as it is"
            ),
            Why::Unreadable => write!(f, "`{file}` cannot be read"),
        }
    }
}

/// What the files of a journal hold.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Found {
    /// What was done, in that order.
    pub entries: Vec<Entry>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

#[derive(Clone, Debug)]
struct File {
    number: u64,
    bytes: u64,
    /// The last offset of each partition that it holds.
    last: BTreeMap<u32, u64>,
}

/// The files of one broker.
#[derive(Clone, Debug)]
pub struct Journal {
    /// Its files are `name/0000000001.log`, ….
    name: String,
    files: VecDeque<File>,
    next: u64,
    /// A file that has grown to this many bytes is followed by a new one.
    roll: u64,
}

impl Journal {
    /// A journal without files. A file that has grown to `roll` bytes is followed by a new one.
    pub const fn new(name: String, roll: u64) -> Self {
        Self {
            name,
            files: VecDeque::new(),
            next: 1,
            roll,
        }
    }
    /// What the names of its files begin with.
    pub fn prefix(&self) -> String {
        format!("{}/", self.name)
    }
    fn file(&self, number: u64) -> String {
        format!("{}/{number:010}.log", self.name)
    }
    /// How many bytes its files take.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The bytes of an event, as they lie in a file.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn encode(event: &Event) -> Result<Vec<u8>, String> {
        postcard::to_stdvec(event).map_err(|error| format!("event {}: {error}", event.id))
    }

    /// Writes down what was done. The events among it come with their bytes ([`Journal::encode`]); `summary` is asked for
    /// when a new file begins.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn write(&mut self, pages: &[Page], summary: impl FnOnce() -> Summary) -> Result<Request, String> {
        let mut bytes = Vec::new();
        if self.files.back().is_none_or(|file| file.bytes >= self.roll) {
            let number = self.next;
            self.next += 1;
            bytes.extend_from_slice(MAGIC);
            bytes.extend_from_slice(&VERSION.to_le_bytes());
            bytes.extend_from_slice(&number.to_le_bytes());
            let check = crc32fast::hash(&bytes);
            bytes.extend_from_slice(&check.to_le_bytes());
            frame(&mut bytes, &Line::Summary(summary()))?;
            self.files.push_back(File {
                number,
                bytes: 0,
                last: BTreeMap::new(),
            });
        }
        let number = self.next - 1;
        let Some(file) = self.files.back_mut() else {
            return Err("the journal has no file".to_owned());
        };
        for page in pages {
            if let Page::Kept { partition, offset, .. } = page {
                let last = file.last.entry(*partition).or_default();
                *last = (*last).max(*offset);
            }
            frame(&mut bytes, &Line::Page(page.clone()))?;
        }
        file.bytes += bytes.len() as u64;
        Ok(Request::Append {
            file: self.file(number),
            bytes,
        })
    }

    /// What is written from now on goes to a new file.
    pub fn turn(&mut self) {
        if let Some(file) = self.files.back_mut() {
            file.bytes = file.bytes.max(self.roll);
        }
    }

    /// How many of the oldest files hold nothing that is kept: `first` says what the first offset of a partition is. The
    /// last file stays. A log writes [`Page::Expired`] before it deletes them, so that what is gone is not taken for lost.
    pub fn deletable(&self, first: impl Fn(u32) -> u64) -> usize {
        let old = self.files.iter().take(self.files.len().saturating_sub(1));
        old.take_while(|file| file.last.iter().all(|(partition, last)| *last < first(*partition)))
            .count()
    }
    /// Deletes so many of the oldest files.
    pub fn delete(&mut self, count: usize) -> Vec<Request> {
        let gone: Vec<File> = self.files.drain(..count.min(self.files.len())).collect();
        let delete = |file: &File| Request::Delete {
            file: self.file(file.number),
        };
        gone.iter().map(delete).collect()
    }

    /// Reads its files, which come with their names; `None` for one that could not be read. What is written from now on
    /// goes to a new file.
    pub fn read(&mut self, files: &[(String, Option<Vec<u8>>)]) -> Found {
        let mut found = Found::default();
        let prefix = self.prefix();
        let mut numbered: BTreeMap<u64, (&String, &Option<Vec<u8>>)> = BTreeMap::new();
        for (name, bytes) in files {
            let number = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".log"));
            match number.and_then(|number| number.parse().ok()) {
                Some(number) => _ = numbered.insert(number, (name, bytes)),
                None => found.problems.push(Problem {
                    file: name.clone(),
                    at: 0,
                    bytes: bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
                    why: Why::Foreign,
                }),
            }
        }
        self.files.clear();
        let last = numbered.keys().next_back().copied();
        self.next = last.map_or(1, |last| last + 1);
        for (number, (name, bytes)) in numbered {
            let before = found.entries.len();
            let tracked = match bytes {
                Some(bytes) => read_file(name, bytes, number, Some(number) == last, &mut found),
                None => {
                    found.problems.push(Problem {
                        file: name.clone(),
                        at: 0,
                        bytes: 0,
                        why: Why::Unreadable,
                    });
                    false
                }
            };
            if tracked {
                let mut offsets = BTreeMap::new();
                for entry in &found.entries[before..] {
                    if let Entry::Kept { partition, offset, .. } = entry {
                        let last: &mut u64 = offsets.entry(*partition).or_default();
                        *last = (*last).max(*offset);
                    }
                }
                self.files.push_back(File {
                    number,
                    // It is never added to.
                    bytes: u64::MAX / 2,
                    last: offsets,
                });
            }
        }
        found
    }
}

/// What is written down next: an [`Entry`] whose event has become bytes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "`Entry` says what each is")]
pub enum Page {
    Kept {
        partition: u32,
        offset: u64,
        at: Time,
        event: Vec<u8>,
    },
    Committed {
        group: String,
        partition: u32,
        commit: Commit,
    },
    Gone {
        offset: u64,
    },
    Expired {
        partition: u32,
        below: u64,
    },
}

fn frame(bytes: &mut Vec<u8>, line: &Line) -> Result<(), String> {
    let body = postcard::to_stdvec(line).map_err(|error| error.to_string())?;
    let length = u32::try_from(body.len()).map_err(|_| format!("an entry of {} bytes is too long", body.len()))?;
    bytes.extend_from_slice(&MARK);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(())
}

/// The frame at a place, and how long it is; `Err(true)` when it ends too early, `Err(false)` when it is none.
fn frame_at(bytes: &[u8]) -> Result<(Entry, usize), bool> {
    let begins = bytes.len().min(MARK.len());
    if bytes[..begins] != MARK[..begins] {
        return Err(false);
    }
    let Some(head) = bytes.get(..FRAME) else {
        return Err(true);
    };
    let number = |from: usize| u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]]);
    let (length, check) = (number(4) as usize, number(8));
    let Some(body) = bytes.get(FRAME..FRAME.saturating_add(length)) else {
        return Err(true);
    };
    if crc32fast::hash(body) != check {
        return Err(false);
    }
    let line: Line = postcard::from_bytes(body).map_err(|_| false)?;
    let entry = match line {
        Line::Page(Page::Kept {
            partition,
            offset,
            at,
            event,
        }) => Entry::Kept {
            partition,
            offset,
            at,
            size: event.len() as u64,
            event: postcard::from_bytes(&event).map_err(|_| false)?,
        },
        Line::Page(Page::Committed {
            group,
            partition,
            commit,
        }) => Entry::Committed {
            group,
            partition,
            commit,
        },
        Line::Page(Page::Gone { offset }) => Entry::Gone { offset },
        Line::Page(Page::Expired { partition, below }) => Entry::Expired { partition, below },
        Line::Summary(summary) => Entry::Summary(summary),
    };
    Ok((entry, FRAME + length))
}

/// Reads one file; false when it is none of the journal's.
fn read_file(name: &str, bytes: &[u8], number: u64, last: bool, found: &mut Found) -> bool {
    let mut problem = |at: usize, length: usize, why| {
        found.problems.push(Problem {
            file: name.to_owned(),
            at: at as u64,
            bytes: length as u64,
            why,
        });
    };
    let whole = bytes.len();
    if whole < HEADER {
        let ours = bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes) || bytes.starts_with(MAGIC);
        problem(
            0,
            whole,
            if !ours {
                Why::Foreign
            } else if last {
                Why::Torn
            } else {
                Why::Damaged
            },
        );
        return ours;
    }
    let (head, check) = bytes[..HEADER].split_at(HEADER - 4);
    let mut at = HEADER;
    if !head.starts_with(MAGIC) && !(at..whole).any(|at| frame_at(&bytes[at..]).is_ok()) {
        problem(0, whole, Why::Foreign);
        return false;
    }
    if crc32fast::hash(head).to_le_bytes() == *check {
        let version = u16::from_le_bytes([head[8], head[9]]);
        if version != VERSION {
            problem(8, whole, Why::Version(version));
            return false;
        }
        if head[10..] != number.to_le_bytes() {
            problem(10, whole, Why::Misplaced);
            return false;
        }
    } else {
        problem(0, HEADER, Why::Damaged);
    }
    while at < whole {
        let torn = match frame_at(&bytes[at..]) {
            Ok((entry, length)) => {
                found.entries.push(entry);
                at += length;
                continue;
            }
            Err(torn) => torn,
        };
        let next = (at + 1..whole).find(|next| frame_at(&bytes[*next..]).is_ok());
        let why = if torn && last && next.is_none() {
            Why::Torn
        } else {
            Why::Damaged
        };
        let end = next.unwrap_or(whole);
        found.problems.push(Problem {
            file: name.to_owned(),
            at: at as u64,
            bytes: (end - at) as u64,
            why,
        });
        at = end;
    }
    true
}

/// Files by name, each whole; `None` for one that could not be read.
pub type Files = Vec<(String, Option<Vec<u8>>)>;

/// What a broker's journal on a disk holds: its files. Adds the faults of the disk that fired.
///
/// # Errors
/// They cannot be listed.
pub fn journal_files(disk: &mut dyn Disk, prefix: &str, now: Time, fired: &mut Vec<usize>) -> Result<Files, DiskError> {
    let mut ask = |request: Request| {
        let unanswered = DiskError {
            action: request.action(),
            file: request.file().to_owned(),
            trouble: Trouble::Failed,
        };
        let ticket = disk.start(now, request);
        fired.extend(ticket.fired);
        disk.finish(ticket.number).unwrap_or(Err(unanswered))
    };
    let listed = ask(Request::List {
        prefix: prefix.to_owned(),
    });
    let Outcome::Listed(names) = listed? else {
        return Ok(Vec::new());
    };
    let files = names
        .into_iter()
        .map(|(name, _)| match ask(Request::read(name.clone())) {
            Ok(Outcome::Read(bytes)) => (name, Some(bytes)),
            _ => (name, None),
        });
    Ok(files.collect())
}
