//! Why an expectation does not hold, in the order in which a person asks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::{Span, Time};

/// The explanation of a broken expectation: what was expected, what broke it and when, which faults had a hand in it,
/// which line of the scenario decided it, and what to do next.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The first broken moment, in virtual time.
    #[serde(default, rename = "first_broken_us")]
    pub first_broken: Option<Time>,
    /// The event that broke it, where one did.
    #[serde(default)]
    pub event: Option<Culprit>,
    /// What should have been, in a few words.
    pub expected: String,
    /// What was, in a few words.
    pub came: String,
    /// The faults that touched that event or result.
    #[serde(default)]
    pub faults: Vec<Touched>,
    /// The line of the scenario that decided it.
    #[serde(default)]
    pub decided_by: Option<ScriptLine>,
    /// A picture in text: at most eight lines of at most 76 columns.
    #[serde(default)]
    pub picture: Vec<String>,
    /// What to type next.
    #[serde(default)]
    pub commands: Vec<Command>,
    /// What could be changed, and what that costs.
    #[serde(default)]
    pub ideas: Vec<Idea>,
}

/// The event that broke an expectation.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Culprit {
    /// Its identity: `orders-0#1731`.
    pub id: String,
    /// The source event that it goes back to, where that is another.
    #[serde(default)]
    pub correlation: Option<String>,
    /// What it says, shortened.
    #[serde(default)]
    pub row: String,
    /// When it happened, in true time.
    #[serde(rename = "happened_us")]
    pub happened: Time,
    /// What its stamp says, where a clock was wrong.
    #[serde(default, rename = "stamp_us")]
    pub stamp: Option<Time>,
    /// When the actor saw it; nothing when it never did.
    #[serde(default, rename = "seen_us")]
    pub seen: Option<Time>,
    /// Which actor.
    #[serde(default)]
    pub at: String,
    /// What became of it: `late by 1.2s for [3m, 4m)`.
    #[serde(default)]
    pub fate: String,
}

impl Culprit {
    /// How long after it happened it was seen; negative when a clock ran ahead.
    pub fn lag(&self) -> Option<Span> {
        self.seen.map(|seen| seen.since(self.happened))
    }
}

/// A fault that had a hand in a failure.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Touched {
    /// The fault's id.
    pub id: String,
    /// What it did: `delayed it by 4.2s on orders -> per-minute`.
    pub how: String,
}

/// A place in the scenario file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ScriptLine {
    /// The file, or the name in the library.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters are meant.
    pub length: usize,
    /// The text of the line.
    pub text: String,
    /// What it decided, in a few words.
    #[serde(default)]
    pub note: String,
}

/// What a command is good for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Runs it again.
    Reproduce,
    /// Shows what happened.
    Look,
    /// Explains what is behind it.
    Learn,
}

/// A command to type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// What it is good for.
    pub purpose: Purpose,
    /// The command line.
    pub line: String,
}

/// Something to change, and what it costs.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Idea {
    /// What to change: `watermark.behind = "6s"`.
    pub change: String,
    /// What it buys.
    #[serde(default)]
    pub gain: String,
    /// What it costs: `answers come 4s later`.
    pub price: String,
}
