//! Ingest from a folder: files are taken in the order of their names, and moved away when they have been worked on.
//!
//! A file that was worked on and not moved when the process stopped is taken again: everything is worked on at least once.
//! So that what comes again can be recognised, events are numbered through all files, and the numbers do not depend on
//! when the process stopped: a file is moved to `FIRST+COUNT-NAME`, the number of its first event and how many it has.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// A folder that is read, and the one that files are moved to.
#[derive(Clone, Debug)]
pub struct Folder {
    from: PathBuf,
    done: PathBuf,
    /// The number of the next event.
    next: u64,
}

/// A file that waits to be worked on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// Its name.
    pub name: String,
    /// The number of its first event.
    pub first: u64,
    /// Its lines, each an event; empty ones are none.
    pub lines: Vec<String>,
}

/// Something that is wrong with a folder.
#[derive(Debug)]
pub struct FolderError {
    /// The file or folder.
    pub path: PathBuf,
    /// What went wrong.
    pub error: io::Error,
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path.display(), self.error)
    }
}

impl std::error::Error for FolderError {}

fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, FolderError> {
    result.map_err(|error| FolderError {
        path: path.to_owned(),
        error,
    })
}

/// The plain files of a folder, ascending by name. Names that begin with a dot are passed over: such a file may still be
/// written.
fn names(folder: &Path) -> Result<Vec<String>, FolderError> {
    let mut names = Vec::new();
    for entry in at(folder, fs::read_dir(folder))? {
        let entry = at(folder, entry)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if at(&entry.path(), entry.file_type())?.is_file() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// What the name of a file that was moved says: the number of its first event, and how many it has.
fn numbers(name: &str) -> Option<(u64, u64)> {
    let (first, rest) = name.split_once('+')?;
    let (count, _) = rest.split_once('-')?;
    Some((first.parse().ok()?, count.parse().ok()?))
}

impl Folder {
    /// A folder that is read, and the one that files are moved to when they are done; that one is made when it is not
    /// there.
    ///
    /// # Errors
    /// One of the folders cannot be read or made, or they are the same.
    pub fn open(from: impl Into<PathBuf>, done: impl Into<PathBuf>) -> Result<Self, FolderError> {
        let (from, done) = (from.into(), done.into());
        at(&done, fs::create_dir_all(&done))?;
        if at(&from, from.canonicalize())? == at(&done, done.canonicalize())? {
            let error = io::Error::new(
                io::ErrorKind::InvalidInput,
                "files cannot be moved to where they are read from",
            );
            return Err(FolderError { path: done, error });
        }
        let moved = names(&done)?;
        let next = moved
            .iter()
            .filter_map(|name| numbers(name))
            .map(|(first, count)| first + count);
        let next = next.max().unwrap_or(0);
        Ok(Self { from, done, next })
    }

    /// The next file to work on: the first by name that is there. The same again until it is done.
    ///
    /// # Errors
    /// The folder or the file cannot be read, or is not text.
    pub fn next(&self) -> Result<Option<Waiting>, FolderError> {
        let Some(name) = names(&self.from)?.into_iter().next() else {
            return Ok(None);
        };
        let path = self.from.join(&name);
        let file = at(&path, fs::File::open(&path))?;
        let lines: io::Result<Vec<String>> = BufReader::new(file).lines().collect();
        let mut lines = at(&path, lines)?;
        lines.retain(|line| !line.trim().is_empty());
        Ok(Some(Waiting {
            name,
            first: self.next,
            lines,
        }))
    }

    /// A file has been worked on: it is moved away.
    ///
    /// # Errors
    /// It cannot be moved, or something of that name is there already.
    pub fn done(&mut self, file: &Waiting) -> Result<(), FolderError> {
        let count = file.lines.len() as u64;
        let to = self.done.join(format!("{:012}+{count}-{}", file.first, file.name));
        if to.exists() {
            let error = io::Error::new(io::ErrorKind::AlreadyExists, "it has been moved here before");
            return Err(FolderError { path: to, error });
        }
        let from = self.from.join(&file.name);
        at(&from, fs::rename(&from, &to))?;
        self.next = file.first + count;
        Ok(())
    }
}
