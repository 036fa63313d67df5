//! The processing patterns: transformation, filter and threshold, windowed aggregation.

pub mod expr;
pub mod window;
