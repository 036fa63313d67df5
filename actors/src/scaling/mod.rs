//! The scaling patterns: buffered event ordering, and the watermark.

pub mod course_correction;
pub mod ordering;
pub mod watermark;
