//! The watermark pattern: generators, and how a stage combines the watermarks of its inputs.
//!
//! A watermark `w` says that no more event with a stamp at or below `w` is expected. A generator stands behind the links
//! that lead to its operator, passes every event on at its place, and sends behind it what its kind says
//! (`estimate`); a stage with several inputs combines what they say (`valve`).

pub(crate) mod estimate;
mod generator;
pub mod valve;

pub(crate) use generator::Generator;
pub use generator::{ALIGN, EVERY};
pub use valve::Valve;
