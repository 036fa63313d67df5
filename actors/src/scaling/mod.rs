//! The scaling patterns: the watermark, whose generator is an actor of its own.

pub mod watermark;
