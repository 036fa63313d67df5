//! The scaling patterns: buffered event ordering, and the watermark.

pub mod ordering;
pub mod watermark;
