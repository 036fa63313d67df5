//! The scaling patterns: sequential convey, whose split, sub-streams and merge are actors of their own, as is the
//! generator of the watermark.

pub mod convey;
pub mod watermark;
