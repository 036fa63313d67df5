//! `wavetank new`: a commented scenario to start from, which is valid and passes as it is.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use wavetank_scenarios::exit::Exit;
use wavetank_scenarios::pattern::{PATTERNS, Pattern, PatternDescriptor};
use wavetank_scenarios::suggest;

use super::output::Output;
use super::{Stop, notice};

/// What `wavetank new` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pattern, by its name in `wavetank list patterns`
    #[arg(value_parser = pattern)]
    pattern: &'static PatternDescriptor,
    /// Write to this file, which must not be there yet [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn pattern(name: &str) -> Result<&'static PatternDescriptor, String> {
    let found = PATTERNS.iter().find(|pattern| pattern.name == name);
    found.ok_or_else(|| {
        let names = PATTERNS.iter().map(|pattern| pattern.name);
        let help = suggest::help(name, names).unwrap_or_default();
        format!("there is no pattern of that name; {help}")
    })
}

/// The scenario to start from.
fn template(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::Transformation => include_str!("templates/transformation.toml"),
        Pattern::Filter => include_str!("templates/filter.toml"),
        Pattern::WindowedAggregation => include_str!("templates/windowed-aggregation.toml"),
        Pattern::CourseCorrection => include_str!("templates/course-correction.toml"),
        Pattern::BufferedEventOrdering => include_str!("templates/buffered-event-ordering.toml"),
        Pattern::Watermark => include_str!("templates/watermark.toml"),
        Pattern::SequentialConvey => include_str!("templates/sequential-convey.toml"),
        Pattern::StreamJoin => include_str!("templates/stream-join.toml"),
        Pattern::TemporalEventOrdering => include_str!("templates/temporal-event-ordering.toml"),
        Pattern::TwoNodeFailover => include_str!("templates/two-node-failover.toml"),
        Pattern::Replay => include_str!("templates/replay.toml"),
        Pattern::PeriodicSnapshot => include_str!("templates/periodic-snapshot.toml"),
        Pattern::MachineLearner => include_str!("templates/machine-learner.toml"),
    }
}

/// Prints or writes a scenario.
///
/// # Errors
/// When the file cannot be written, or is there already.
pub fn new(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let text = template(args.pattern.pattern);
    let Some(path) = &args.output else {
        output.print(text)?;
        return Ok(Exit::AllHold);
    };
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let why = match error.kind() {
            ErrorKind::AlreadyExists => "is there already, and is left as it is; choose another name".to_owned(),
            _ => format!("cannot be written: {error}"),
        };
        Stop::new(Exit::Usage, format!("{}: {why}", path.display()))
    })?;
    notice::note(&format!("written to {}", path.display()));
    output.print(&format!("next: wavetank run {}\n", path.display()))?;
    Ok(Exit::AllHold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use std::sync::Arc;
    use wavetank_reports::record::Outcome;
    use wavetank_scenarios::Script;
    use wavetank_scenarios::library::LibraryFiles;

    #[test]
    fn every_template_is_valid_passes_and_uses_its_pattern() {
        for descriptor in PATTERNS {
            let text = template(descriptor.pattern);
            let script = Script::load(text, descriptor.name, &LibraryFiles, &[]);
            let script = Arc::new(script.unwrap_or_else(|problems| panic!("{}: {problems:?}", descriptor.name)));
            assert_eq!(script.scenario.pattern, descriptor.pattern);
            for seed in [script.scenario.time.seed, 1, 2] {
                let options = Options {
                    seed: Some(seed),
                    ..Options::default()
                };
                let record = crate::run(&script, &options).expect("it can be built").record;
                assert_eq!(
                    record.outcome,
                    Outcome::Passed,
                    "{} at {seed}: {:#?}",
                    descriptor.name,
                    record.expectations
                );
            }
        }
    }
}
