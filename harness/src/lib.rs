//! The machine: builds a world from a script, makes the faults, judges the run, and keeps its record; the `wavetank`
//! command is a shell around it.

pub mod cli;
pub mod clock;
pub mod disk;
pub mod everywhere;
pub mod faults;
pub mod folder;
mod judge;
mod recording;
pub mod run;
pub mod store;
mod timeline;
mod tracing;

pub use run::{Options, Ran, RunError, Tank, run};
