//! What can be said of a pattern without looking at events: whether it can be empty, how it begins and ends, how large it
//! is.

use super::{Absence, Contiguity, Loop, Part, Tree};
use crate::script::Inside;

impl Tree {
    /// Whether it can match no event at all.
    pub fn can_be_empty(&self) -> bool {
        match self {
            Self::Step(_) | Self::OneOf(_) => false,
            Self::AllOf(names, _) => names.is_empty(),
            Self::Parts(parts) => parts.iter().all(|part| match part {
                Part::Take(_, tree) => tree.can_be_empty(),
                Part::Not(_) => true,
            }),
            Self::Either(branches) => branches.iter().any(Self::can_be_empty),
            Self::Repeat(repeat) => repeat.min == 0 || repeat.body.can_be_empty(),
        }
    }

    /// The absences that can stand before the first event.
    pub fn leading(&self) -> Vec<&Absence> {
        match self {
            Self::Step(_) | Self::OneOf(_) | Self::AllOf(..) => vec![],
            Self::Parts(parts) => {
                let mut found = Vec::new();
                for part in parts {
                    match part {
                        Part::Not(absence) => found.push(absence),
                        Part::Take(_, tree) => {
                            found.extend(tree.leading());
                            if !tree.can_be_empty() {
                                break;
                            }
                        }
                    }
                }
                found
            }
            Self::Either(branches) => branches.iter().flat_map(Self::leading).collect(),
            Self::Repeat(repeat) => repeat.body.leading(),
        }
    }

    /// The absences that can stand behind the last event.
    pub fn trailing(&self) -> Vec<&Absence> {
        match self {
            Self::Step(_) | Self::OneOf(_) | Self::AllOf(..) => vec![],
            Self::Parts(parts) => {
                let mut found = Vec::new();
                for part in parts.iter().rev() {
                    match part {
                        Part::Not(absence) => found.push(absence),
                        Part::Take(_, tree) => {
                            found.extend(tree.trailing());
                            if !tree.can_be_empty() {
                                break;
                            }
                        }
                    }
                }
                found
            }
            Self::Either(branches) => branches.iter().flat_map(Self::trailing).collect(),
            Self::Repeat(repeat) => repeat.body.trailing(),
        }
    }

    /// Whether a greedy loop can stand at its end, so that nothing says when it ends.
    pub fn ends_greedily(&self, loops: Loop) -> bool {
        match self {
            Self::Step(_) | Self::OneOf(_) | Self::AllOf(..) => false,
            Self::Parts(parts) => {
                for part in parts.iter().rev() {
                    if let Part::Take(_, tree) = part {
                        if tree.ends_greedily(loops) {
                            return true;
                        }
                        if !tree.can_be_empty() {
                            return false;
                        }
                    }
                }
                false
            }
            Self::Either(branches) => branches.iter().any(|branch| branch.ends_greedily(loops)),
            Self::Repeat(repeat) => {
                let open = repeat.max.is_none_or(|max| max > repeat.min);
                open && repeat.mode.unwrap_or(loops) == Loop::Greedy || repeat.body.ends_greedily(loops)
            }
        }
    }

    /// Whether only so many events can be part of it and nothing can lie between them, so that its beginnings end by
    /// themselves; `inside` stands for loops that do not say what may lie inside.
    pub fn ends_by_itself(&self, inside: Inside) -> bool {
        let strict = |contiguity: Contiguity| contiguity == Contiguity::Strict;
        match self {
            Self::Step(_) | Self::OneOf(_) => true,
            Self::AllOf(_, inside) => strict(*inside),
            Self::Parts(parts) => parts.iter().enumerate().all(|(i, part)| match part {
                Part::Take(edge, tree) => (i == 0 || strict(*edge)) && tree.ends_by_itself(inside),
                Part::Not(absence) => absence.lasts.is_some(),
            }),
            Self::Either(branches) => branches.iter().all(|branch| branch.ends_by_itself(inside)),
            Self::Repeat(repeat) => {
                let between = repeat.inside.unwrap_or(inside.contiguity());
                let once = repeat.max == Some(1);
                repeat.max.is_some() && (once || strict(between)) && repeat.body.ends_by_itself(inside)
            }
        }
    }

    /// Whether what repeats in it is never empty, and `until` ends single steps alone.
    pub fn is_plain(&self) -> bool {
        match self {
            Self::Step(_) | Self::OneOf(_) | Self::AllOf(..) => true,
            Self::Parts(parts) => parts.iter().all(|part| match part {
                Part::Take(_, tree) => tree.is_plain(),
                Part::Not(_) => true,
            }),
            Self::Either(branches) => branches.iter().all(Self::is_plain),
            Self::Repeat(repeat) => {
                let single = matches!(repeat.body, Self::Step(_) | Self::OneOf(_));
                !repeat.body.can_be_empty() && (single || repeat.until.is_none()) && repeat.body.is_plain()
            }
        }
    }

    /// How many places an automaton of it has: repetitions count as often as they can be told apart.
    pub fn places(&self) -> u64 {
        match self {
            Self::Step(_) | Self::OneOf(_) => 1,
            Self::AllOf(names, _) => 1 << names.len().min(32),
            Self::Parts(parts) => parts
                .iter()
                .map(|part| match part {
                    Part::Take(_, tree) => tree.places(),
                    Part::Not(_) => 0,
                })
                .fold(0, u64::saturating_add),
            Self::Either(branches) => branches.iter().map(Self::places).fold(0, u64::saturating_add),
            Self::Repeat(repeat) => {
                let times = u64::from(repeat.max.unwrap_or(repeat.min.max(1).saturating_add(1)).max(1));
                repeat.body.places().saturating_mul(times)
            }
        }
    }
}
