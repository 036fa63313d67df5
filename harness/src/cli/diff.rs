//! `wavetank diff`: two runs side by side.

use std::path::PathBuf;

use clap::ValueEnum;
use wavetank_reports::Record;
use wavetank_scenarios::exit::Exit;

use super::output::Output;
use super::runs::{self, Named};
use super::{Stop, interrupt};
use crate::Options;
use crate::store::{self, Store};

/// What `wavetank diff` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A recorded run (`latest`, an id, a folder), or scenario@seed, which is run now
    #[arg(value_name = "A")]
    first: String,
    /// What to compare it with, named the same way
    #[arg(value_name = "B")]
    second: String,
    /// How the difference is written
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// At most so many rows of each table
    #[arg(long, value_name = "N", default_value_t = 10)]
    rows: usize,
    /// The run store
    #[arg(long, value_name = "DIR", default_value = store::DEFAULT)]
    store: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// For a person
    Human,
    /// A JSON object
    Json,
}

/// Compares two runs. That they differ is an answer, not a failure.
///
/// # Errors
/// When one of them is not there, or cannot be run.
pub fn diff(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let store = Store::new(&args.store);
    let options = Options {
        interrupt: interrupt::listen(),
        ..Options::default()
    };
    let record = |wanted: &str| -> Result<Record, Stop> {
        match runs::named(&store, wanted, output.width())? {
            Named::Kept(found) => Ok(found.record),
            Named::Fresh(ready, seed) => runs::single(
                &ready,
                &Options {
                    seed,
                    ..options.clone()
                },
            )
            .map(runs::record_of),
        }
    };
    let (first, second) = (record(&args.first)?, record(&args.second)?);
    if options.interrupt.load(std::sync::atomic::Ordering::SeqCst) {
        return Ok(Exit::Interrupted);
    }
    let difference = wavetank_reports::diff::diff(&first, &second);
    let text = match args.format {
        Format::Human => difference.render(args.rows, output.width()),
        Format::Json => {
            let text = serde_json::to_string_pretty(&difference);
            text.map_err(|error| Stop::new(Exit::Internal, error.to_string()))? + "\n"
        }
    };
    output.print(&text)?;
    Ok(Exit::AllHold)
}
