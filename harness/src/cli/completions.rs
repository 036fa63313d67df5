//! `wavetank completions`: what a shell needs to complete the command line.

use clap::CommandFactory;
use clap_complete::Shell;
use wavetank_scenarios::exit::Exit;

use super::output::Output;
use super::{Cli, Stop};

/// What `wavetank completions` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints completions.
///
/// # Errors
/// When the output cannot be written.
pub fn completions(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "wavetank", &mut script);
    output.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::AllHold)
}
