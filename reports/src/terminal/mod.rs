//! Runs for people at a terminal: a line for each scenario, what went wrong below, a summary and what to type next.
//!
//! Everything comes as text with ANSI styles; who prints strips them where colour is not wanted (`NO_COLOR`, a pipe).
//! `width` is the columns of the terminal; everything but commands and pictures keeps to it from 60 columns on.

mod details;
mod failure;
mod status;

pub use details::{Detail, details};
pub(crate) use details::{distance_in_words, judgement};
pub use failure::failure;
pub(crate) use status::word;
pub use status::{StatusLines, Summary};
