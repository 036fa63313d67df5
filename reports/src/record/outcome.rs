//! Verdicts: whether expectations hold, and whether a scenario did what it must.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Expectation, Fault, Kind};

/// What the judge says about a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything holds.
    Pass,
    /// Something is broken.
    Fail,
    /// Nothing is broken, but something was not put to the test.
    Inconclusive,
}

/// Whether one expectation holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Holds {
    /// It does.
    Yes,
    /// It was seen to be broken.
    No,
    /// Nothing in the run put it to the test.
    Untested,
}

/// Whether a scenario is to pass or to fail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Must {
    /// Every expectation holds.
    #[default]
    Pass,
    /// It shows what goes wrong.
    Fail,
}

/// What a verdict means for a scenario of its kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All expectations hold, as they must.
    Passed,
    /// It failed as it must, for the reason it names. Counts as passed.
    FailedAsItMust,
    /// An expectation is broken.
    Failed,
    /// It must fail and did not.
    DidNotFail,
    /// It must fail and did, but not for the reason it names.
    FailedForAnotherReason,
    /// Something was not put to the test.
    Inconclusive,
}

impl Verdict {
    /// A broken expectation fails the run. Without one, the run is inconclusive when it was interrupted, when an
    /// expectation was not put to the test, when a declared fault never fired, or when nothing was expected at all.
    pub fn of(expectations: &[Expectation], faults: &[Fault], interrupted: bool) -> Self {
        if expectations.iter().any(|e| e.holds == Holds::No) {
            return Self::Fail;
        }
        let untested = expectations.is_empty()
            || expectations.iter().any(|e| e.holds == Holds::Untested)
            || faults.iter().any(|f| f.declared && f.fired == 0);
        if interrupted || untested {
            Self::Inconclusive
        } else {
            Self::Pass
        }
    }
}

impl Outcome {
    /// A scenario that must fail does so for the reason it names when the expectations named in `because` are broken, and
    /// no other that the scenario writes (what follows from its promises may break along with them); any reason will do
    /// where none is named.
    pub fn of(must: Must, because: &[String], verdict: Verdict, expectations: &[Expectation]) -> Self {
        match (must, verdict) {
            (_, Verdict::Inconclusive) => Self::Inconclusive,
            (Must::Pass, Verdict::Pass) => Self::Passed,
            (Must::Pass, Verdict::Fail) => Self::Failed,
            (Must::Fail, Verdict::Pass) => Self::DidNotFail,
            (Must::Fail, Verdict::Fail) => {
                let broken: Vec<_> = expectations.iter().filter(|e| e.holds == Holds::No).collect();
                let named = because.iter().all(|name| broken.iter().any(|e| e.name == *name))
                    && broken
                        .iter()
                        .all(|e| e.kind == Kind::Derived || because.contains(&e.name));
                if because.is_empty() || named {
                    Self::FailedAsItMust
                } else {
                    Self::FailedForAnotherReason
                }
            }
        }
    }

    /// True when the scenario did what it must.
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::Passed | Self::FailedAsItMust)
    }
}
