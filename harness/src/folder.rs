//! Folders that sources read: their files are moved away when a run that read them has come to its end.
//!
//! A file that was read and not moved when the process stopped is read again: everything is worked on at least once. So
//! that what comes again can be recognised, events are numbered through all files that ever lay in the folder: a file is
//! moved to `FIRST+COUNT-NAME`, the number of its first event and how many it has.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wavetank_scenarios::Ingest;

/// A file that cannot be moved.
#[derive(Debug, thiserror::Error)]
#[error("`{}`: {error}", path.display())]
pub struct FolderError {
    /// The file or folder.
    pub path: PathBuf,
    /// What went wrong.
    pub error: io::Error,
}

/// Moves the files of a folder that have been worked on, as far as it says where to; paths are those below `base`.
///
/// # Errors
/// The first file that cannot be moved, or in whose place something lies; those before it are moved.
pub fn done(base: &Path, ingest: &Ingest) -> Result<(), FolderError> {
    let Some(done) = &ingest.done else { return Ok(()) };
    let done = base.join(done);
    let at = |path: &Path, error: io::Error| FolderError {
        path: path.to_owned(),
        error,
    };
    fs::create_dir_all(&done).map_err(|error| at(&done, error))?;
    let mut first = ingest.first;
    for (name, count) in &ingest.files {
        let from = base.join(&ingest.folder).join(name);
        let to = done.join(format!("{first:012}+{count}-{name}"));
        if to.exists() {
            let error = io::Error::new(io::ErrorKind::AlreadyExists, "it has been moved here before");
            return Err(at(&to, error));
        }
        fs::rename(&from, &to).map_err(|error| at(&from, error))?;
        first += count;
    }
    Ok(())
}
