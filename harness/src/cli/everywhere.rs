//! `wavetank run --crash-everywhere` and `--break-writes`: the proof of recovery, as a table; and `--crash-at` and
//! `--break-at`: one run of it, looked into.

use std::fmt::Write as _;
use std::sync::Arc;

use wavetank_scenarios::exit::Exit;
use wavetank_scenarios::fault::FaultKind;
use wavetank_scenarios::topology::Role;
use wavetank_scenarios::{Span, suggest};

use super::output::Output;
use super::run::Args;
use super::targets::{self, Ready};
use super::{Stop, interrupt};
use crate::everywhere::{BREAKS, Breaks, Crashes, Proof, nodes, store, with_break, with_crash};
use crate::{Options, Tank};

/// How long a node is down unless it is said.
const DOWN: Span = Span::from_secs(1);

/// A crash before an element: of which node, and before the how-manieth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    node: String,
    delivery: u64,
}

/// Reads `NODE@N`.
pub fn parse(text: &str) -> Result<Place, String> {
    let how = "write NODE@N, like per-minute@17 for the seventeenth element";
    let (node, delivery) = text.rsplit_once('@').ok_or(how)?;
    match delivery.parse() {
        Ok(delivery) if delivery > 0 && !node.is_empty() => Ok(Place {
            node: node.into(),
            delivery,
        }),
        _ => Err(how.into()),
    }
}

/// A write that goes wrong: how, and the how-manieth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    kind: FaultKind,
    write: u64,
}

/// Reads `KIND@N`.
pub fn parse_break(text: &str) -> Result<Broken, String> {
    let how = || {
        let kinds = BREAKS.map(FaultKind::name).join(", ");
        format!("write KIND@N, like torn-write@12 for the twelfth write; there is {kinds}")
    };
    let (kind, write) = text.rsplit_once('@').ok_or_else(how)?;
    let kind = BREAKS.into_iter().find(|known| known.name() == kind);
    match (kind, write.parse()) {
        (Some(kind), Ok(write)) if write > 0 => Ok(Broken { kind, write }),
        _ => Err(how()),
    }
}

/// Reads a duration.
pub fn parse_span(text: &str) -> Result<Span, String> {
    match Span::parse(text) {
        Ok(span) if span > Span::ZERO => Ok(span),
        Ok(_) => Err("a node that crashes is down for longer than no time".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Adds a crash to every scenario.
///
/// # Errors
/// One of them has no such node.
pub fn crash(ready: &mut [Ready], place: &Place, restart: Span) -> Result<(), Stop> {
    for ready in ready {
        known(ready, &place.node)?;
        let mut script = with_crash(&ready.script, &place.node, place.delivery, restart);
        script
            .flags
            .push(("--crash-at", format!("{}@{}", place.node, place.delivery)));
        if restart != DOWN {
            script.flags.push(("--restart", restart.to_string()));
        }
        ready.script = Arc::new(script);
    }
    Ok(())
}

/// Lets a write of every scenario's snapshots go wrong.
///
/// # Errors
/// One of them saves nothing.
pub fn break_at(ready: &mut [Ready], broken: &Broken) -> Result<(), Stop> {
    for ready in ready {
        let store = store(&ready.script).ok_or_else(|| saves_nothing(ready))?;
        let Broken { kind, write } = *broken;
        let mut script = with_break(&ready.script, &store, kind, write);
        script.flags.push(("--break-at", format!("{}@{write}", kind.name())));
        ready.script = Arc::new(script);
    }
    Ok(())
}

fn saves_nothing(ready: &Ready) -> Stop {
    let message = format!(
        "{} has no [snapshot]: there is nothing that its store writes; see `wavetank explain periodic-snapshot`",
        ready.script.scenario.name
    );
    Stop::new(Exit::Usage, message)
}

fn known(ready: &Ready, node: &str) -> Result<(), Stop> {
    let nodes = &ready.script.topology.nodes;
    if nodes.iter().any(|known| known.name == node) {
        return Ok(());
    }
    let names = nodes.iter().map(|node| node.name.as_str());
    let help = suggest::help(node, names).map_or_else(String::new, |help| format!("; {help}"));
    let scenario = &ready.script.scenario.name;
    Err(Stop::new(Exit::Usage, format!("{scenario} has no node `{node}`{help}")))
}

/// Runs the proof and prints it.
///
/// # Errors
/// When a scenario cannot be read or run, or protects nothing.
pub fn everywhere(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let targets = targets::find(&args.paths)?;
    let ready = targets::load(&targets, &args.overrides, output.width())?;
    if ready.is_empty() {
        return Err(Stop::new(
            Exit::NothingRan,
            "nothing was run: there is no scenario here",
        ));
    }
    let breaks = args.break_writes;
    let protected = |ready: &&Ready| {
        let (scenario, topology) = (&ready.script.scenario, &ready.script.topology);
        if breaks {
            return topology.actors.iter().any(|actor| actor.role == Role::Store);
        }
        let copies = scenario.operators.iter().any(|operator| operator.failover.is_some());
        scenario.snapshot.is_some() || scenario.replay.is_some() || copies
    };
    if args.paths.is_empty() || ready.len() > 1 {
        let (of, all) = (ready.iter().filter(protected).count(), ready.len());
        output.print(&format!("{of} of {all} scenarios can recover: those are crashed\n"))?;
    } else if let Some(ready) = ready.iter().find(|ready| !protected(ready)) {
        if breaks {
            return Err(saves_nothing(ready));
        }
        let message = format!(
            "{} has neither a [snapshot] nor a [replay], nor an operator with `failover`: a crash loses what was in the \
             state; see `wavetank explain periodic-snapshot`",
            ready.script.scenario.name
        );
        return Err(Stop::new(Exit::Usage, message));
    }
    let options = Options {
        seed: args.seed,
        oracle: !args.no_oracle,
        interrupt: interrupt::listen(),
        ..Options::default()
    };
    let tank = Tank::default();
    let mut broken = false;
    for ready in ready.iter().filter(protected) {
        let only = args.crash_everywhere.as_deref().filter(|node| !node.is_empty());
        let nodes = match only {
            Some(node) => {
                known(ready, node)?;
                vec![node.to_owned()]
            }
            None => nodes(&ready.script),
        };
        output.print(&format!("{}\n", ready.script.scenario.name))?;
        let invalid = |error: crate::RunError| Stop::new(Exit::Invalid, error.to_string());
        let proof = Proof::new(&tank, &ready.script, &options).map_err(invalid)?;
        for node in nodes {
            if let Some(store) = store(&ready.script).filter(|_| breaks) {
                let breaks = proof.break_writes(&store, &node, args.restart).map_err(invalid)?;
                broken |= !breaks.broken.is_empty();
                output.print(&told_of_writes(ready, &breaks, args))?;
                continue;
            }
            let crashes = proof.crash_everywhere(&node, 1, args.restart).map_err(invalid)?;
            broken |= !crashes.broken.is_empty();
            output.print(&told(ready, &crashes, args))?;
        }
    }
    Ok(if broken { Exit::Failed } else { Exit::AllHold })
}

/// The crashes of a node, as a line, and below it those that show.
fn told(ready: &Ready, crashes: &Crashes, args: &Args) -> String {
    const MOST: usize = 5;
    let Crashes {
        node,
        deliveries,
        broken,
    } = crashes;
    let mut text = format!("  {node}: crashed before each of {deliveries} elements; ");
    if broken.is_empty() {
        text += "every time the same results and late events as without the crash\n";
        return text;
    }
    let _ = writeln!(text, "{} of these crashes show", broken.len());
    for (delivery, why) in broken.iter().take(MOST) {
        let _ = writeln!(text, "    before element {delivery}: {why}");
    }
    if broken.len() > MOST {
        let _ = writeln!(text, "    and {} more", broken.len() - MOST);
    }
    if let Some((delivery, _)) = broken.first() {
        let _ = writeln!(text, "{}", look(ready, &format!("--crash-at {node}@{delivery}"), args));
    }
    text
}

/// The writes of a store that went wrong, as a line, and below it those that show.
fn told_of_writes(ready: &Ready, breaks: &Breaks, args: &Args) -> String {
    const MOST: usize = 5;
    let Breaks {
        node,
        writes,
        runs,
        broken,
        ..
    } = breaks;
    let mut text =
        format!("  {node}: each of {writes} writes broken in every way, and a crash later, in {runs} runs; ");
    if broken.is_empty() {
        text += "every time the same results and late events as without\n";
        return text;
    }
    let _ = writeln!(text, "{} of these show", broken.len());
    for (kind, write, delivery, why) in broken.iter().take(MOST) {
        let kind = kind.name();
        let _ = writeln!(
            text,
            "    {kind} of write {write}, crash before element {delivery}: {why}"
        );
    }
    if broken.len() > MOST {
        let _ = writeln!(text, "    and {} more", broken.len() - MOST);
    }
    if let Some((kind, write, delivery, _)) = broken.first() {
        let flags = format!("--break-at {}@{write} --crash-at {node}@{delivery}", kind.name());
        let _ = writeln!(text, "{}", look(ready, &flags, args));
    }
    text
}

/// The command that makes one of these runs.
fn look(ready: &Ready, flags: &str, args: &Args) -> String {
    let target = ready.script.target();
    let seed = args.seed.map_or_else(String::new, |seed| format!(" --seed {seed}"));
    let down = if args.restart == DOWN {
        String::new()
    } else {
        format!(" --restart {}", args.restart)
    };
    let overrides = args
        .overrides
        .iter()
        .map(|(key, value)| format!(" --set {key}={value}"));
    let overrides: String = overrides.collect();
    format!("    look: wavetank run {target} {flags}{down}{seed}{overrides}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_node_and_a_number_from_one() {
        let place = parse("per-minute@17").unwrap();
        assert_eq!((place.node.as_str(), place.delivery), ("per-minute", 17));
        for wrong in ["", "a", "a@", "@3", "a@0", "a@b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_broken_write_is_a_kind_and_a_number_from_one() {
        let broken = parse_break("torn-write@12").unwrap();
        assert_eq!((broken.kind, broken.write), (FaultKind::TornWrite, 12));
        for wrong in [
            "",
            "torn-write",
            "torn-write@0",
            "drop@3",
            "stale-read@3",
            "torn-write@x",
        ] {
            assert!(parse_break(wrong).is_err(), "{wrong}");
        }
    }
}
