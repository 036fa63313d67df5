//! `wavetank schema`: the JSON Schemas of what Wavetank reads and writes, for editors and other programs.

use clap::ValueEnum;
use wavetank_reports::bench::Bench;
use wavetank_reports::json::{line_schema, record_schema};
use wavetank_reports::trace::TraceLine;
use wavetank_scenarios::exit::Exit;

use super::Stop;
use super::output::Output;

/// What `wavetank schema` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of what
    #[arg(value_enum, default_value = "scenario")]
    of: Of,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// A scenario file
    Scenario,
    /// The record of a run, as the run store and `--format json` have it
    Record,
    /// A line of `--format jsonl`
    Line,
    /// A line of a trace, as `tap` prints it
    Trace,
    /// A benchmark, as `bench --format json` and --save-baseline write it
    Bench,
}

/// Prints a schema.
///
/// # Errors
/// When the output cannot be written.
pub fn schema(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let schema = match args.of {
        Of::Scenario => wavetank_scenarios::load::json_schema(),
        Of::Record => record_schema().to_value(),
        Of::Line => line_schema().to_value(),
        Of::Trace => schemars::schema_for!(TraceLine).to_value(),
        Of::Bench => schemars::schema_for!(Bench).to_value(),
    };
    output.print(&format!("{schema:#}\n"))?;
    Ok(Exit::AllHold)
}
