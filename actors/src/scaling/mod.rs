//! The scaling patterns: sequential convey, whose split, sub-streams and merge are actors of their own, buffered event
//! ordering, course correction, and the watermark, whose generator is an actor too.

pub mod convey;
pub mod course_correction;
pub mod ordering;
pub mod watermark;
