//! The scaling patterns: the watermark, whose generator is an actor of its own.

pub mod course_correction;
pub mod watermark;
