//! `wavetank check`: whether scenarios are valid, with everything that is wrong with them; or what they mean with
//! nothing left to defaults.

use wavetank_reports::text::{GOOD, printable, styled};
use wavetank_scenarios::exit::Exit;

use super::Stop;
use super::output::Output;
use super::targets;

/// What `wavetank check` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, folders, names of library scenarios, or patterns
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<String>,
    /// Print each scenario with everything that defaults and seed fill in
    #[arg(long)]
    expand: bool,
    /// Change a setting first, such as fault.slow-link.rate=0.2; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = targets::parse_override)]
    overrides: Vec<(String, String)>,
}

/// Checks scenarios.
///
/// # Errors
/// When there is nothing to check, or a file cannot be read.
pub fn check(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let targets = targets::find(&args.paths)?;
    if targets.is_empty() {
        return Err(Stop::new(
            Exit::NothingRan,
            "nothing was checked: there is no scenario here",
        ));
    }
    let (mut valid, mut problems) = (Vec::new(), 0);
    for target in &targets {
        match target.load(&args.overrides) {
            Ok(script) if args.expand => {
                let text = script
                    .expand()
                    .map_err(|why| Stop::new(Exit::Internal, format!("{}: {why}", target.origin)))?;
                output.print(&format!("# {}\n{}\n", printable(&target.origin), text.trim_end()))?;
                valid.push(script.target().to_owned());
            }
            Ok(script) => {
                let scenario = &script.scenario;
                let parts = [
                    (scenario.sources.len(), "source"),
                    (scenario.operators.len(), "operator"),
                    (scenario.sinks.len(), "sink"),
                    (scenario.faults.len(), "fault"),
                    (scenario.expects.len(), "expectation"),
                ];
                let counted = parts.map(|(n, what)| format!("{n} {what}{}", if n == 1 { "" } else { "s" }));
                let line = format!("{} {}", styled(GOOD, "valid"), printable(&target.origin));
                output.print(&format!("{line}: {}\n", counted.join(", ")))?;
                for problem in script.skipped.iter().flat_map(|(_, problems)| problems) {
                    output.print(&format!("  skipped: {problem}\n"))?;
                }
                valid.push(script.target().to_owned());
            }
            Err(found) => {
                problems += found.len();
                output.print(&format!("{}\n", target.render(&found, output.width())))?;
            }
        }
    }
    if problems == 0 {
        if let ([only], false) = (valid.as_slice(), args.expand) {
            output.print(&format!("next: wavetank run {only}\n"))?;
        }
        return Ok(Exit::AllHold);
    }
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let broken = targets.len() - valid.len();
    let message = format!("{} in {}", plural(problems, "problem"), plural(broken, "scenario"));
    Err(Stop::new(Exit::Invalid, message))
}
