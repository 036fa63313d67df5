//! What a person sees of a run: the record and its renderings.
//!
//! [`record::Record`] is the one result of a run. Everything else here turns records (and [`trace`]s) into something to
//! look at or to hand on, and simulates nothing by itself. This crate knows the record only: no scenario, no actor, no
//! judge. Colours are always written; who prints strips them where they are not wanted.

pub mod bench;
pub mod diff;
pub mod histogram;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod perfetto;
pub mod picture;
pub mod record;
pub mod sweep;
pub mod table;
pub mod terminal;
pub mod text;
pub mod time;
pub mod timeline;
pub mod trace;

pub use histogram::Histogram;
pub use record::Record;
pub use time::{Span, Time};
