//! `wavetank replay`: a recorded run once more, to verify that it comes out the same, or to walk through it.

use std::io::Cursor;
use std::path::PathBuf;

use wavetank_reports::diff;
use wavetank_reports::text::{GOOD, STRONG, count, elide, printable, styled};
use wavetank_reports::trace::{TraceHeader, TraceLine, TraceReader, TraceWriter, first_divergence};
use wavetank_reports::{Record, time as shown};
use wavetank_scenarios::exit::Exit;
use wavetank_scenarios::{Span, Time};

use super::output::Output;
use super::runs;
use super::{Stop, interrupt};
use crate::store::{self, Found, Store};
use crate::{Options, Ran};

/// What `wavetank replay` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: `latest`, its id (or the start of it), or its folder
    #[arg(value_name = "RUN")]
    run: String,
    /// Instead of verifying, show what happened up to this moment: since the start (3m11s), or a date in UTC
    #[arg(long, value_name = "T", value_parser = parse_moment)]
    until: Option<Moment>,
    /// With --until: how many lines of the trace, the last ones; 0 for all
    #[arg(long, value_name = "N", default_value_t = 40, requires = "until")]
    lines: usize,
    /// The run store
    #[arg(long, value_name = "DIR", default_value = store::DEFAULT)]
    store: PathBuf,
}

/// A moment of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Moment {
    Since(Span),
    At(Time),
}

fn parse_moment(text: &str) -> Result<Moment, String> {
    if let Ok(at) = Time::parse(text) {
        return Ok(Moment::At(at));
    }
    Span::parse(text)
        .map(Moment::Since)
        .map_err(|why| format!("{why}, or a date like \"2013-01-01T10:15:00Z\""))
}

/// Runs a recorded run again.
///
/// # Errors
/// When the run cannot be found or read.
pub fn replay(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let found = Store::new(&args.store)
        .find(&args.run)
        .map_err(|error| Stop::new(Exit::Invalid, error.to_string()))?;
    let record = &found.record;
    let conditions = found
        .conditions()
        .map_err(|error| Stop::new(Exit::Invalid, error.to_string()))?;
    if conditions.real_time.is_some() {
        let message = "this run followed the machine's clock, so that no two of its kind are the same; \
                       runs on virtual time can be replayed";
        return Err(Stop::new(Exit::Inconclusive, message));
    }
    if record.interrupted && args.until.is_none() {
        let message = format!(
            "this run was stopped by a person after {} of virtual time, so there is no end to compare with\n\
             walk through what there was: wavetank replay {} --until {}\n\
             or run all of it: {}",
            record.simulated, args.run, record.simulated, record.reproduce
        );
        return Err(Stop::new(Exit::Inconclusive, message));
    }
    let (ready, options) = runs::again(&found, output.width())?;
    let options = Options {
        trace: true,
        interrupt: interrupt::listen(),
        ..options
    };
    let ran = runs::single(&ready, &options)?;
    if ran.record.interrupted {
        return Ok(Exit::Interrupted);
    }
    match args.until {
        Some(until) => walk(until, args.lines, &ran, output),
        None => verify(&found, &ready, &options, ran, output),
    }
}

/// Shows the trace up to a moment.
fn walk(until: Moment, most: usize, ran: &Ran, output: &mut Output) -> Result<Exit, Stop> {
    let until = match until {
        Moment::Since(span) => shown::Time(ran.record.start.0.saturating_add(span.micros())),
        Moment::At(at) => shown::Time(at.micros()),
    };
    let end = ran.trace.partition_point(|line| line.time <= until);
    let begin = if most == 0 { 0 } else { end.saturating_sub(most) };
    if begin > 0 {
        let more = format!("{} lines before; --lines 0 shows all", count(begin as u64));
        output.print(&format!("… {more}\n"))?;
    }
    let width = output.width();
    for lines in ran.trace[begin..end].chunks(1_000) {
        let text: String = lines
            .iter()
            .map(|line| elide(&line.to_string(), width) + "\n")
            .collect();
        output.print(&text)?;
        if output.is_closed() {
            break;
        }
    }
    let after = ran.trace.len() - end;
    let next = match ran.trace.get(end) {
        Some(line) => format!("then {} lines more, the next at {}", count(after as u64), line.time),
        None => "then nothing more".to_owned(),
    };
    output.print(&format!("{} {until}: {next}\n", styled(STRONG, "at")))?;
    Ok(Exit::AllHold)
}

/// Compares the run with what is on record.
fn verify(
    found: &Found,
    ready: &super::targets::Ready,
    options: &Options,
    ran: Ran,
    output: &mut Output,
) -> Result<Exit, Stop> {
    // What the record says of where it came from and how it was asked for differs without making it another run; that a
    // range of seeds was judged together does so as well.
    let mut recorded = Record {
        outputs: None,
        ..found.record.clone()
    };
    recorded.conclude();
    let again = Record {
        overrides: recorded.overrides.clone(),
        ..runs::record_of(ran)
    };
    let difference = diff::diff(&recorded, &again);
    if difference.is_empty() {
        output.print(&format!(
            "{} {}: trace {}, every number equal\n{} events, {} of virtual time\n",
            styled(GOOD, "the same run"),
            printable(&difference.first),
            again.trace_hash.short(),
            count(again.events),
            again.simulated,
        ))?;
        return Ok(Exit::AllHold);
    }
    output.print(&difference.render(10, output.width()))?;
    let mut text = String::new();
    let second = runs::single(ready, options)?;
    let invalid = |error: store::StoreError| Stop::new(Exit::Invalid, error.to_string());
    let broken = |error: wavetank_reports::trace::TraceError| Stop::new(Exit::Invalid, error.to_string());
    // Where was it? A trace that was kept tells; without one, whether this program agrees with itself.
    let divergence = match found.trace().map_err(invalid)? {
        Some(kept) => {
            text += "\nthe kept trace and this one ";
            first_divergence(kept, reader(&second.record, &second.trace)?).map_err(broken)?
        }
        None => {
            text += "\nno trace was kept (`wavetank run --trace` does); two replays of it now ";
            let first = runs::single(ready, options)?;
            first_divergence(
                reader(&first.record, &first.trace)?,
                reader(&second.record, &second.trace)?,
            )
            .map_err(broken)?
        }
    };
    match divergence {
        None => text += "are equal: another program, file or machine made the record\n",
        Some(at) => {
            text += &format!("part at line {}:\n", at.index);
            for (who, line) in [("first", at.first), ("second", at.second)] {
                let line = line.map_or_else(|| "has ended".to_owned(), |line| line.to_string());
                text += &format!("  {who:<6}  {}\n", elide(&line, output.width().saturating_sub(10)));
            }
        }
    }
    output.print(&text)?;
    Err(Stop::new(
        Exit::DeterminismBroken,
        "the run did not come out as it is on record",
    ))
}

/// A trace as a reader of traces takes it.
fn reader(record: &Record, lines: &[TraceLine]) -> Result<TraceReader<Cursor<Vec<u8>>>, Stop> {
    let unwritable = |error: std::io::Error| Stop::new(Exit::Internal, format!("a trace cannot be written: {error}"));
    let mut writer =
        TraceWriter::new(Vec::new(), &TraceHeader::new(&record.scenario, record.seed)).map_err(unwritable)?;
    lines
        .iter()
        .try_for_each(|line| writer.write(line))
        .map_err(unwritable)?;
    let bytes = writer.finish().map_err(unwritable)?;
    TraceReader::new(Cursor::new(bytes), "this trace").map_err(|error| Stop::new(Exit::Internal, error.to_string()))
}
