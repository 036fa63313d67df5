//! One run for a command: made in a tank, guarded against panics, and kept in the store.

use std::sync::Arc;

use wavetank_reports::Record;
use wavetank_scenarios::Script;
use wavetank_scenarios::exit::Exit;

use super::Stop;
use super::batch::guarded;
use super::targets::{self, Ready, Target};
use crate::judge::COMES_TO_ITS_END;
use crate::store::{Conditions, Found, Kept, Store};
use crate::{Options, Ran, Tank, folder};

/// What came of a run.
pub enum Came {
    /// It ran; the warning says why it was not kept, where it should have been.
    Ran(Box<Ran>, Option<String>),
    /// It could not begin.
    Unbuildable(String),
    /// Wavetank went wrong in the middle of it.
    Panicked(String),
}

/// Moves the files of folders that a run on the machine's clock has worked on to its end.
///
/// # Errors
/// Why one could not be moved, for a warning.
pub fn moved(ready: &Ready, ran: &Ran) -> Result<(), String> {
    let ended = ran.record.broken().all(|broken| broken.name != COMES_TO_ITS_END);
    let Some(base) = ready.folder.as_ref().filter(|_| ended && !ran.record.interrupted) else {
        return Ok(());
    };
    let mut ingests = ready.script.ingests.iter();
    ingests
        .try_for_each(|ingest| folder::done(base, ingest))
        .map_err(|error| format!("what was read stays where it is: {error}"))
}

/// Runs a scenario in the tank of this thread, making one where there is none.
pub fn once(tank: &mut Option<Tank>, script: &Arc<Script>, options: &Options) -> Came {
    match guarded(|| tank.get_or_insert_with(Tank::default).run(script, options)) {
        Ok(Ok(ran)) => Came::Ran(Box::new(ran), None),
        Ok(Err(error)) => Came::Unbuildable(error.to_string()),
        Err(panic) => {
            // Nobody knows what state the system is in; taking it down may fail as well.
            let broken = tank.take();
            let _ = guarded(move || drop(broken));
            Came::Panicked(panic)
        }
    }
}

/// Keeps a run, and says so in its record.
///
/// # Errors
/// Why it could not be kept, for a warning.
pub fn keep(store: &Store, ready: &Ready, options: &Options, ran: &mut Ran) -> Result<(), String> {
    let folder = store.folder(&ran.record);
    ran.record.outputs = Some(folder.display().to_string());
    let kept = expanded(&ready.script, ran.record.seed)
        .map_err(std::io::Error::other)
        .and_then(|scenario| {
            let conditions = Conditions {
                oracle: options.oracle,
                real_time: options.real_time,
                // Replays may be asked for from another folder.
                data: ready.folder.as_ref().map(|folder| {
                    let folder = if folder.as_os_str().is_empty() {
                        ".".as_ref()
                    } else {
                        folder.as_path()
                    };
                    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
                }),
            };
            let trace = options.trace.then_some(ran.trace.as_slice());
            store.keep(Kept {
                record: &ran.record,
                scenario: &scenario,
                conditions: &conditions,
                trace,
            })
        });
    kept.map(drop).map_err(|error| {
        ran.record.outputs = None;
        format!("runs are not kept: {}: {error}", folder.display())
    })
}

/// The text of a scenario with nothing left to defaults, for one seed.
///
/// # Errors
/// When a setting has no text.
pub fn expanded(script: &Arc<Script>, seed: u64) -> Result<String, String> {
    let mut script = Script::clone(script);
    script.scenario.time.seed = seed;
    script.expand()
}

/// The script of a kept run, ready to be run again, and the options that it had.
///
/// # Errors
/// When a file of it cannot be read, or the scenario is no longer valid.
pub fn again(found: &Found, width: usize) -> Result<(Ready, Options), Stop> {
    let invalid = |error: crate::store::StoreError| Stop::new(Exit::Invalid, error.to_string());
    let conditions = found.conditions().map_err(invalid)?;
    let target = Target {
        origin: found.scenario_path().display().to_string(),
        text: found.scenario().map_err(invalid)?,
        folder: conditions.data.clone(),
    };
    let mut ready = targets::load(&[target], &[], width)?;
    let Some(ready) = ready.pop() else {
        return Err(Stop::new(Exit::NothingRan, "there is nothing to run"));
    };
    let options = Options {
        seed: Some(found.record.seed),
        oracle: conditions.oracle,
        ..Options::default()
    };
    Ok((ready, options))
}

/// Runs once on this thread, for commands that look into a single run.
///
/// # Errors
/// When it cannot begin, or Wavetank goes wrong.
pub fn single(ready: &Ready, options: &Options) -> Result<Ran, Stop> {
    match once(&mut None, &ready.script, options) {
        Came::Ran(ran, _) => Ok(*ran),
        Came::Unbuildable(why) => Err(Stop::new(Exit::Invalid, why)),
        Came::Panicked(panic) => Err(Stop::new(Exit::Internal, internal(&ready.script, options, &panic))),
    }
}

/// What is said of a panic: in which run, and how to come back to it.
pub fn internal(script: &Script, options: &Options, panic: &str) -> String {
    let seed = options.seed.unwrap_or(script.scenario.time.seed);
    format!(
        "Wavetank itself went wrong in {} at seed {seed}: {panic}\n\
         this brings it back: {}\n\
         please report it, with the scenario",
        script.target(),
        script.command(seed),
    )
}

/// A run as a person names it: one that was kept, or `scenario[@seed]`.
pub enum Named {
    /// Kept.
    Kept(Box<Found>),
    /// To be run now.
    Fresh(Ready, Option<u64>),
}

/// Finds what is meant: `latest` or a kept run first, then a scenario.
///
/// # Errors
/// When it is neither; the message speaks of both.
pub fn named(store: &Store, wanted: &str, width: usize) -> Result<Named, Stop> {
    let is_scenario = wanted.ends_with(".toml");
    let kept = if is_scenario { None } else { Some(store.find(wanted)) };
    let missing = match kept {
        Some(Ok(found)) => return Ok(Named::Kept(Box::new(found))),
        Some(Err(error @ crate::store::StoreError::NoSuchRun { .. })) if wanted != "latest" => Some(error),
        Some(Err(error)) => return Err(Stop::new(Exit::Invalid, error.to_string())),
        None => None,
    };
    let (name, seed) = targets::parse_seeded(wanted)?;
    let target = targets::find_one(name).map_err(|stop| match missing {
        Some(missing) => Stop::new(stop.exit, format!("{missing};\n{}", stop.message)),
        None => stop,
    })?;
    let mut ready = targets::load(&[target], &[], width)?;
    match ready.pop() {
        Some(ready) => Ok(Named::Fresh(ready, seed)),
        None => Err(Stop::new(Exit::NothingRan, "there is nothing to run")),
    }
}

/// The record of a run that is not kept has no place to point to.
pub fn record_of(ran: Ran) -> Record {
    Record {
        outputs: None,
        ..ran.record
    }
}
