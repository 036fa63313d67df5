//! Standard error: what a person should know besides the results.

use std::io::Write;

use wavetank_reports::text::{BAD, DIM, UNSURE, styled};

/// Something went wrong, and the command ends or goes on without it.
pub fn error(message: &str) {
    say(&format!("{} {message}", styled(BAD, "error:")));
}

/// Something that the command goes on in spite of.
pub fn warning(message: &str) {
    say(&format!("{} {message}", styled(UNSURE, "warning:")));
}

/// What the command does.
pub fn note(message: &str) {
    say(&styled(DIM, message));
}

/// Whole lines, as they are.
pub fn say(text: &str) {
    // Nobody can be told that nobody can be told.
    let _ = writeln!(anstream::stderr().lock(), "{}", text.trim_end_matches('\n'));
}
