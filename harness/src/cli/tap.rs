//! `wavetank tap`: what passes an actor, or what becomes of an event, as JSON Lines.

use std::collections::BTreeSet;
use std::path::PathBuf;

use wavetank_reports::trace::{TraceKind, TraceLine};
use wavetank_scenarios::exit::Exit;
use wavetank_scenarios::suggest;

use super::output::Output;
use super::runs::{self, Named};
use super::{Stop, interrupt, notice};
use crate::Options;
use crate::store::{self, Store};

/// What `wavetank tap` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A recorded run (`latest`, an id, a folder), or scenario[@seed]; it is run again for this
    #[arg(value_name = "RUN")]
    run: String,
    /// Show what reaches, leaves or ends at this actor
    #[arg(long, value_name = "ACTOR", required_unless_present = "follow")]
    at: Option<String>,
    /// Show what happens to this event (orders-0#17) and to all results that it has a part in
    #[arg(long, value_name = "ID")]
    follow: Option<String>,
    /// The run store
    #[arg(long, value_name = "DIR", default_value = store::DEFAULT)]
    store: PathBuf,
}

/// Prints the lines of a run's trace that are asked for.
///
/// # Errors
/// When the run or the actor is not there.
pub fn tap(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let (ready, options) = match runs::named(&Store::new(&args.store), &args.run, output.width())? {
        Named::Kept(found) => runs::again(&found, output.width())?,
        Named::Fresh(ready, seed) => (
            ready,
            Options {
                seed,
                ..Options::default()
            },
        ),
    };
    if let Some(at) = &args.at {
        let names = || ready.script.topology.actors.iter().map(|actor| actor.name.as_str());
        if !names().any(|name| name == at) {
            let help = suggest::help(at, names()).unwrap_or_default();
            return Err(Stop::new(
                Exit::Usage,
                format!("{} has no actor `{at}`; {help}", ready.script.scenario.name),
            ));
        }
    }
    let options = Options {
        trace: true,
        interrupt: interrupt::listen(),
        ..options
    };
    let ran = runs::single(&ready, &options)?;
    let mut chosen = Chosen::new(args);
    let (mut text, mut lines) = (String::new(), 0);
    for line in &ran.trace {
        if !chosen.takes(line) {
            continue;
        }
        let json = serde_json::to_string(line).map_err(|error| Stop::new(Exit::Internal, error.to_string()))?;
        text += &json;
        text.push('\n');
        lines += 1;
        if text.len() > 64 << 10 {
            output.print(&text)?;
            text.clear();
            if output.is_closed() {
                break;
            }
        }
    }
    output.print(&text)?;
    if lines == 0 {
        notice::note(&chosen.nothing());
    }
    Ok(if ran.record.interrupted {
        Exit::Interrupted
    } else {
        Exit::AllHold
    })
}

/// Which lines are asked for.
struct Chosen<'a> {
    at: Option<&'a str>,
    follow: Option<&'a str>,
    /// The event that is followed, and the results that it had a part in so far.
    family: BTreeSet<String>,
}

impl<'a> Chosen<'a> {
    fn new(args: &'a Args) -> Self {
        let follow = args.follow.as_deref();
        Self {
            at: args.at.as_deref(),
            follow,
            family: follow.map(str::to_owned).into_iter().collect(),
        }
    }

    fn takes(&mut self, line: &TraceLine) -> bool {
        // The trace says twice what a sink takes: as delivered, and as taken. What an actor says of itself is about no event.
        if line.kind == TraceKind::Note && (line.event.is_some() || line.link.is_some()) {
            return false;
        }
        let followed = self.follow.is_none() || self.belongs(line);
        let here = self.at.is_none_or(|at| line.actor.as_deref() == Some(at));
        followed && here
    }

    fn belongs(&mut self, line: &TraceLine) -> bool {
        let Some(event) = &line.event else { return false };
        if self.family.contains(event) {
            return true;
        }
        let descends = line.origins.iter().any(|origin| self.family.contains(origin));
        if descends {
            self.family.insert(event.clone());
        }
        descends
    }

    fn nothing(&self) -> String {
        match (self.follow, self.at) {
            (Some(event), Some(at)) => format!("nothing of {event} came to {at}"),
            (Some(event), None) => format!("there is no event {event} in this run; ids are written like orders-0#17"),
            (None, at) => format!("nothing happened at {}", at.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_reports::Time;

    fn line(seq: u64, kind: TraceKind, actor: &str, event: &str, origins: &[&str]) -> TraceLine {
        TraceLine {
            actor: Some(actor.into()),
            event: Some(event.into()),
            origins: origins.iter().map(ToString::to_string).collect(),
            ..TraceLine::new(Time(0), seq, kind)
        }
    }

    #[test]
    fn an_event_is_followed_into_the_results_that_it_has_a_part_in() {
        let lines = [
            line(0, TraceKind::Emit, "orders", "orders#0", &[]),
            line(1, TraceKind::Emit, "orders", "orders#1", &[]),
            line(2, TraceKind::Deliver, "sum", "orders#0", &[]),
            line(3, TraceKind::Emit, "sum", "sum#0", &["orders#0", "orders#5"]),
            line(4, TraceKind::Deliver, "sink", "sum#0", &["orders#0", "orders#5"]),
            line(5, TraceKind::Note, "sink", "sum#0", &["orders#0"]),
            line(6, TraceKind::Deliver, "sink", "sum#1", &["orders#1"]),
        ];
        let taken = |at: Option<&str>, follow: Option<&str>| -> Vec<u64> {
            let args = Args {
                run: String::new(),
                at: at.map(Into::into),
                follow: follow.map(Into::into),
                store: PathBuf::new(),
            };
            let mut chosen = Chosen::new(&args);
            lines
                .iter()
                .filter(|line| chosen.takes(line))
                .map(|line| line.seq)
                .collect()
        };
        assert_eq!(taken(None, Some("orders#0")), [0, 2, 3, 4]);
        assert_eq!(taken(Some("sink"), Some("orders#0")), [4]);
        assert_eq!(taken(Some("sink"), None), [4, 6]);
    }
}
