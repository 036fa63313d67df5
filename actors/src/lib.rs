//! The cast: the world, and every source, operator, watermark generator and sink as an actix actor.

pub mod element;
pub mod operator;
pub mod processing;
