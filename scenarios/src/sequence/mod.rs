//! Sequences of events: the pattern as a tree, which the short pattern language (`parse`) and SQL's `match_recognize`
//! (`sql`) are read into. Matching is written twice, as an automaton in the operator and by trying everything in the
//! judge. What both mean:
//!
//! # Matches
//!
//! - A match is a choice of events of one key, each taken by a step, in order. Between an event and the next one taken
//!   lies an edge. `strict`: the next one is the very next event of the key. `relaxed`: it is the first one behind that
//!   fits its step. `any`: it is some later one that fits.
//! - Of edges that lead to one step (an optional step that is left out or not, a loop that goes on or is left) each is
//!   looked at for itself.
//! - `(a | b)` of single steps is one step that takes what fits `a`, else what fits `b`. Of longer branches each is tried
//!   for itself. `all(a, b)` takes for each event the first of the missing steps that it fits.
//! - A loop that is *greedy* takes what fits it: behind an event that could be its next repetition it can not be left
//!   from before, nor by that event. One that is *reluctant* is left as soon as what follows fits; until then it takes what
//!   fits it, and can not be left from before. In one that takes *every* number both are tried. A reluctant loop at
//!   the end of a pattern ends with its fewest repetitions; a greedy one cannot stand there, since nothing says when it
//!   ends.
//! - `until c`, of a single step: from its first event on, once an event fits `c`, the loop takes neither it nor any
//!   later one; the first does not fit `c` either.
//! - `not b` between two steps: no event between them fits `b` (behind a strict edge: the very next event does not, unless
//!   it is the one that is taken). `not b for 10s`: no event fits `b` for that long after the event before, and what comes
//!   next comes not before that; at the beginning, no event fitted `b` for that long before. At the end the match is
//!   complete when the time is over; a `not b` there without a time lasts until the end of `within`.
//! - A condition may look at what was taken so far, the event itself included.
//!
//! # Time
//!
//! - Events are looked at in one order (by event time: stamp, source, number), each at its time. A time is over when no
//!   event before it can come any more. An absence whose time is over at the time of an event comes before that event
//!   (behind it, with `absence_includes_end`).
//! - `within d`: last − first < d (≤ with `within_includes_end`).
//! - Matches are put out when they are complete, of several at once in the order of the events that they take, the one
//!   with the earlier event at the first difference first; then of the steps, in the order of their first appearance.
//!   The same events taken by the same steps are one match.
//! - With `precedence = "start"` a match that is complete waits until no earlier beginning of its key can become one. What
//!   time sets free at one instant goes by key, then in that order, behind what is given up then.
//! - The stamp of a match is that of its last event; of an absence, its end.
//!
//! # Fates
//!
//! An event is held while it waits for its turn, or while it is part of a beginning that can still become a match; then it
//! has been part of a match that was put out, or is filtered. A match whose fields cannot be computed is not put out, and
//! its events without another have failed.

mod parse;
mod place;
mod sql;
#[cfg(test)]
mod tests;

use arcstr::ArcStr;

pub use parse::parse_pattern;
pub(crate) use sql::take_match;

use crate::time::Span;

/// A pattern together with the text it was parsed from.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    /// The text.
    pub text: String,
    /// The tree.
    pub tree: Tree,
}

impl TryFrom<String> for Pattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        parse_pattern(&text).map_err(|problem| problem.to_string())
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text
    }
}

/// What may lie between an event and the next one that is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contiguity {
    /// Nothing.
    Strict,
    /// What does not fit.
    Relaxed,
    /// Anything.
    Any,
}

/// How often a step repeats, where it may choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Loop {
    /// As often as it can.
    #[default]
    Greedy,
    /// Until what follows fits.
    Reluctant,
    /// Every number of times: each is a match of its own.
    Every,
}

/// A pattern.
#[derive(Clone, PartialEq, Debug)]
pub enum Tree {
    /// One event.
    Step(ArcStr),
    /// One event, of the first of these steps that it fits.
    OneOf(Vec<ArcStr>),
    /// One event of each of these steps, in any order, with this between them.
    AllOf(Vec<ArcStr>, Contiguity),
    /// One after the other.
    Parts(Vec<Part>),
    /// One or the other, each tried for itself.
    Either(Vec<Tree>),
    /// Several times.
    Repeat(Box<Repeat>),
}

/// An element of a sequence, and the edge that leads to it (which means nothing for the first of a pattern).
#[derive(Clone, PartialEq, Debug)]
pub enum Part {
    /// Events that are taken.
    Take(Contiguity, Tree),
    /// An event that must not come.
    Not(Absence),
}

/// An event that must not come.
#[derive(Clone, PartialEq, Debug)]
pub struct Absence {
    /// The step that no event may fit.
    pub step: ArcStr,
    /// Only the very next event is looked at.
    pub next: bool,
    /// For how long. `None`: until the next event that is taken.
    pub lasts: Option<Span>,
}

/// A repetition.
#[derive(Clone, PartialEq, Debug)]
pub struct Repeat {
    /// Its number within the pattern, which names it.
    pub id: u32,
    /// What is repeated.
    pub body: Tree,
    /// The fewest times.
    pub min: u32,
    /// The most times; `None`: no bound.
    pub max: Option<u32>,
    /// How often, where the pattern says so.
    pub mode: Option<Loop>,
    /// What may lie between two repetitions, where the pattern says so.
    pub inside: Option<Contiguity>,
    /// The step whose event ends it.
    pub until: Option<ArcStr>,
}

impl Tree {
    /// The steps that take events, in the order of their first appearance.
    pub fn taken(&self) -> Vec<ArcStr> {
        let mut names = Vec::new();
        self.visit(&mut |name, taken| {
            if taken && !names.contains(name) {
                names.push(name.clone());
            }
        });
        names
    }

    /// All steps, those that must not come and those that end a loop too.
    pub fn steps(&self) -> Vec<ArcStr> {
        let mut names = Vec::new();
        self.visit(&mut |name, _| {
            if !names.contains(name) {
                names.push(name.clone());
            }
        });
        names
    }

    fn visit(&self, see: &mut impl FnMut(&ArcStr, bool)) {
        match self {
            Self::Step(name) => see(name, true),
            Self::OneOf(names) | Self::AllOf(names, _) => names.iter().for_each(|name| see(name, true)),
            Self::Either(branches) => branches.iter().for_each(|branch| branch.visit(see)),
            Self::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Take(_, tree) => tree.visit(see),
                        Part::Not(absence) => see(&absence.step, false),
                    }
                }
            }
            Self::Repeat(repeat) => {
                repeat.body.visit(see);
                if let Some(until) = &repeat.until {
                    see(until, false);
                }
            }
        }
    }
}
