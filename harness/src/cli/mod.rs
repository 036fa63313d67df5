//! The `wavetank` command: what is asked for on the command line, done by the library and shown to a person.
//!
//! A file for each command. Results go to standard output, notices and progress to standard error; every way to end has
//! its exit code in [`wavetank_scenarios::exit`]. Nothing here judges or simulates: it loads scenarios, runs them in
//! [`crate::Tank`]s, and prints what [`wavetank_reports`] makes of the records.

mod batch;
mod bench;
mod check;
mod completions;
mod diff;
mod everywhere;
mod explain;
mod interrupt;
mod keys;
mod list;
mod new;
mod notice;
mod output;
mod problems;
mod progress;
mod replay;
mod report;
mod run;
mod runs;
mod schema;
mod sweep;
mod tap;
mod targets;
mod train;

use std::process::ExitCode;

use clap::{ColorChoice, Parser, Subcommand};
use wavetank_scenarios::exit::{EXITS, Exit};

use output::Output;

/// A wave tank for stream processing: runs pipelines of actors on virtual time, makes the waves (delay, disorder, loss,
/// crashes, skewed clocks), and says which answers came out wrong, when, and because of what.
#[derive(Debug, Parser)]
#[command(name = "wavetank", version, max_term_width = 80, after_help = after_help())]
struct Cli {
    /// When to use colours; `auto` does at a terminal unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios and check what they expect
    Run(Box<run::Args>),
    /// Measure latency and throughput, in virtual time or on the machine's clock, and compare
    Bench(Box<bench::Args>),
    /// Run a recorded run again and verify it, or walk through it
    Replay(replay::Args),
    /// Compare two runs: outputs, expectations, faults, numbers
    Diff(diff::Args),
    /// Show the elements at an actor as JSON Lines
    Tap(tap::Args),
    /// Write a page about runs: what happened, when, and why
    Report(report::Args),
    /// Train a model on a table in a file
    Train(Box<train::Args>),
    /// Write a commented scenario to start from
    New(new::Args),
    /// Say whether scenarios are valid, and everything that is wrong with them
    Check(check::Args),
    /// List patterns, faults, metrics, scenarios, lessons or models
    List(list::Args),
    /// Explain a pattern, fault, metric, setting, verdict or exit code on one screen
    Explain(explain::Args),
    /// Print the JSON Schema of scenarios, records or traces
    Schema(schema::Args),
    /// Print completions for a shell
    Completions(completions::Args),
}

/// Why a command ends before it has done what it was asked for.
#[derive(Debug)]
struct Stop {
    exit: Exit,
    /// For a person: what went wrong and what to do. May have several lines.
    message: String,
}

impl Stop {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }
}

/// The command: reads the arguments of the process, does what they ask for, and says how it went.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, and end with 0; a reader that has gone away is no error.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::AllHold };
            let _ = error.print();
            return ExitCode::from(exit.code());
        }
    };
    match cli.color {
        ColorChoice::Auto => {}
        ColorChoice::Always => anstream::ColorChoice::Always.write_global(),
        ColorChoice::Never => anstream::ColorChoice::Never.write_global(),
    }
    let mut output = Output::stdout();
    let done = match cli.command {
        None => output.print(GREETING).map(|()| Exit::AllHold),
        Some(Command::Run(args)) => run::run(&args, &mut output),
        Some(Command::Bench(args)) => bench::bench(&args, &mut output),
        Some(Command::Replay(args)) => replay::replay(&args, &mut output),
        Some(Command::Diff(args)) => diff::diff(&args, &mut output),
        Some(Command::Tap(args)) => tap::tap(&args, &mut output),
        Some(Command::Report(args)) => report::report(&args, &mut output),
        Some(Command::Train(args)) => train::train(&args, &mut output),
        Some(Command::New(args)) => new::new(&args, &mut output),
        Some(Command::Check(args)) => check::check(&args, &mut output),
        Some(Command::List(args)) => list::list(&args, &mut output),
        Some(Command::Explain(args)) => explain::explain(&args, &mut output),
        Some(Command::Schema(args)) => schema::schema(&args, &mut output),
        Some(Command::Completions(args)) => completions::completions(&args, &mut output),
    };
    let exit = match done {
        Ok(exit) => exit,
        Err(stop) => {
            notice::error(&stop.message);
            stop.exit
        }
    };
    ExitCode::from(exit.code())
}

const GREETING: &str = "\
Wavetank is a wave tank for stream processing: it runs pipelines of actors on
virtual time, makes waves (delay, disorder, loss, crashes, skewed clocks), and
says which answers came out wrong, when, and because of which event and fault.
Try: `wavetank run`, which runs every scenario that is built in,
`wavetank explain watermark`, or `wavetank new filter`. More: `wavetank help`.
";

/// The exit codes, below the help of the whole command.
fn after_help() -> String {
    let mut text = "Exit codes:\n".to_owned();
    for exit in EXITS {
        text += &format!("  {:>3}  {}\n", exit.code, exit.name);
    }
    text + "\nMore about each: wavetank explain 5"
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_every_option_says_what_it_does() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            assert!(sub.get_about().is_some(), "{} says nothing", sub.get_name());
            for arg in sub.get_arguments() {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.is_empty(), "{} {} says nothing", sub.get_name(), arg.get_id());
            }
        }
    }

    #[test]
    fn the_greeting_is_five_lines_that_fit_a_terminal() {
        assert_eq!(GREETING.lines().count(), 5);
        assert!(GREETING.lines().all(|line| line.len() <= 80));
    }
}
