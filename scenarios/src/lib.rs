//! The script of a run: events and rows, the settings of every pattern and fault, queries, the scenario file format, and
//! the library of scenarios, lessons and data. Knows nobody, and no actix.
//!
//! Start at [`Script`], which is a scenario file read, checked and ready to be run; [`script`] holds its settings as the
//! file writes them, [`topology`] who stands where and is linked to whom, [`input`] what the sources will say.

pub mod asking;
mod check;
mod check_broker;
mod check_convey;
mod check_correction;
mod check_failover;
mod check_future;
mod check_join;
mod check_key_clocks;
mod check_learner;
mod check_lengths;
mod check_recovery;
mod check_reorder;
mod check_sequence;
mod check_shed;
mod check_topology;
mod check_watermark;
mod check_window;
mod data;
pub mod distribution;
pub mod draw;
pub mod event;
pub mod exit;
pub mod expectation;
pub mod fault;
mod fields;
pub mod generate;
pub mod input;
mod joined;
pub mod library;
pub mod load;
pub mod metric;
pub mod numbering;
mod pairing;
pub mod pattern;
pub mod places;
mod prepare;
pub mod query;
mod random;
pub mod reach;
mod sampling;
pub mod schedule;
pub mod schema;
pub mod script;
pub mod sequence;
mod serving;
mod shape;
mod shapes;
pub mod suggest;
pub mod time;
pub mod topology;
pub mod value;

pub use event::{Change, Event, EventId, Pane, Producer, Timing};
pub use library::{DiskFiles, LIBRARY, LibraryFiles};
pub use load::{Files, Ingest, Problem, Script};
pub use schema::{Field, FieldType, Schema, StreamId};
pub use script::Scenario;
pub use time::{Span, Time};
pub use value::{Row, Value};
