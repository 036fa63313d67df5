//! What is checked of a saved state besides its form, so that no bytes make an operator panic.

use super::StateError;

/// No run counts as far as this: a counter from a saved state that is below it can be counted on without care.
pub const FAR: u64 = 1 << 60;

impl StateError {
    /// That is wrong with that part.
    pub fn of(part: &str, why: impl Into<String>) -> Self {
        Self {
            part: part.to_owned(),
            why: why.into(),
        }
    }

    /// It is that what is wrong with that part, unless this holds.
    ///
    /// # Errors
    /// It does not hold.
    pub fn unless(holds: bool, part: &str, why: &str) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::of(part, why)) }
    }
}

/// A counter from a saved state.
///
/// # Errors
/// No run counts that far.
pub fn counted(part: &str, count: u64) -> Result<u64, StateError> {
    StateError::unless(count < FAR, part, "no run counts that far")?;
    Ok(count)
}
