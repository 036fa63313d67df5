//! How the command ends: the exit codes, by cause. One table, which the command, its help and the documentation read.

/// Why the command ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Exit {
    /// All expectations hold.
    AllHold,
    /// An expectation failed.
    Failed,
    /// The command line was wrong.
    Usage,
    /// A scenario or data file cannot be read.
    Invalid,
    /// There was nothing to run.
    NothingRan,
    /// Nothing was put to the test, such as when a declared fault never fired.
    Inconclusive,
    /// Worse than the baseline.
    Worse,
    /// The same scenario and seed gave two traces.
    DeterminismBroken,
    /// A fault of Wavetank itself.
    Internal,
    /// Stopped by the person.
    Interrupted,
}

/// Everything there is to know about an exit code.
#[derive(Clone, Copy, Debug)]
pub struct ExitDescriptor {
    /// Which.
    pub exit: Exit,
    /// The code.
    pub code: u8,
    /// In a word or two.
    pub name: &'static str,
    /// What it means, and what to do next.
    pub meaning: &'static str,
}

macro_rules! exits {
    ($($exit:ident $code:literal $name:literal $meaning:literal;)*) => {
        /// Every exit code, ascending.
        pub static EXITS: &[ExitDescriptor] = &[$(ExitDescriptor {
            exit: Exit::$exit,
            code: $code,
            name: $name,
            meaning: $meaning,
        }),*];
        impl Exit {
            /// The exit code.
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$exit => $code),*
                }
            }
        }
    };
}

exits! {
    AllHold 0 "all hold" "every expectation holds";
    Failed 1 "failed" "an expectation failed, or a scenario that must fail did not; the report names the event and the fault";
    Usage 2 "usage" "the command line is wrong; see `wavetank help`";
    Invalid 3 "invalid" "a scenario or data file cannot be read; the message has file, line and column";
    NothingRan 4 "nothing ran" "no scenario was found or selected";
    Inconclusive 5 "inconclusive" "nothing was put to the test, such as when a declared fault never fired; try more seeds";
    Worse 6 "worse" "a measured value is worse than the baseline allows";
    DeterminismBroken 7 "determinism broken" "the same scenario and seed gave two traces: please report it";
    Internal 70 "internal error" "Wavetank itself went wrong: please report it";
    Interrupted 130 "interrupted" "stopped by the person; what was finished is on record";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_own_code() {
        let mut codes: Vec<u8> = EXITS.iter().map(|e| e.code).collect();
        codes.dedup();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 70, 130]);
        assert!(EXITS.iter().all(|e| e.exit.code() == e.code));
    }
}
