//! The watermark pattern: generators, and how a stage combines the watermarks of its inputs.
//!
//! A watermark `w` says that no more event with a stamp at or below `w` is expected. A generator stands behind the links
//! that lead to its operator, passes every event on at its place, and sends behind it what its kind says
//! (`estimate`); a stage with several inputs combines what they say (`valve`).
//!
//! One kind changes the time domain of all that stands behind it: `arrival` stamps events by the node's wall clock, and
//! lets the watermark go with that clock. Whatever goes by stamps and watermarks then goes by the engine's clock, and
//! needs no code of its own for it.

pub(crate) mod estimate;
mod generator;
pub mod valve;

pub(crate) use generator::Generator;
pub use generator::{ALIGN, EVERY};
pub use valve::Valve;
