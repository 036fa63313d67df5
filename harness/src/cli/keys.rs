//! The keys of encrypted snapshots: from a file or the environment, never from a scenario.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wavetank_actors::reliability::snapshot::Keys;
use wavetank_scenarios::exit::Exit;

use super::Stop;

/// The environment variable that holds the keys where no file is named.
const VARIABLE: &str = "WAVETANK_SNAPSHOT_KEY";

/// Where the keys of encrypted snapshots come from.
#[derive(Debug, Default, clap::Args)]
pub(super) struct KeyArgs {
    /// The keys of encrypted snapshots: 64 hexadecimal digits a line, the one to write with first, older ones below
    /// [default: the environment variable WAVETANK_SNAPSHOT_KEY, or one that follows from the seed and protects nothing]
    #[arg(long, value_name = "FILE")]
    snapshot_key_file: Option<PathBuf>,
}

impl KeyArgs {
    /// The keys, if there are any.
    ///
    /// # Errors
    /// When they cannot be read or are none.
    pub fn read(&self) -> Result<Option<Arc<Keys>>, Stop> {
        let (text, place) = match (&self.snapshot_key_file, std::env::var(VARIABLE)) {
            (Some(path), _) => (file(path)?, path.display().to_string()),
            (None, Ok(text)) => (text, format!("the environment variable {VARIABLE}")),
            (None, Err(std::env::VarError::NotPresent)) => return Ok(None),
            (None, Err(error)) => return Err(Stop::new(Exit::Usage, format!("{VARIABLE}: {error}"))),
        };
        let keys = Keys::parse(&text).map_err(|why| Stop::new(Exit::Usage, format!("{place}: {why}")))?;
        Ok(Some(Arc::new(keys)))
    }
}

fn file(path: &Path) -> Result<String, Stop> {
    std::fs::read_to_string(path).map_err(|error| {
        Stop::new(
            Exit::Usage,
            format!("the key file {} cannot be read: {error}", path.display()),
        )
    })
}
