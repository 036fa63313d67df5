//! What may come next in a pattern of which some has been matched.
//!
//! The model in words: what is left of a pattern is a list of things still to be done, the nearest first. To know what may
//! come next, take the first thing apart until it asks for an event: a group by its members, a choice once for each
//! branch, a loop once for going on (its body, and then the loop again) and once for being left (what follows it). What was
//! met on the way (an edge, absences, choices at loops) belongs to that way.

use arcstr::ArcStr;
use wavetank_scenarios::Span;
use wavetank_scenarios::script::Sequence;
use wavetank_scenarios::sequence::{Contiguity, Loop, Part, Repeat, Tree};

/// Something still to be done.
#[derive(Clone, Debug)]
pub(crate) enum Todo {
    Match(Tree),
    /// One event of each of these.
    All(Vec<ArcStr>, Contiguity),
    Edge(Contiguity),
    Not(NotThis),
    /// The loop ends with an event of this step; events before the next one taken count too.
    Until(ArcStr, bool),
    /// A loop of which so many repetitions are done.
    Loop(Repeat, u32),
}

/// An absence.
#[derive(Clone, Debug)]
pub(crate) struct NotThis {
    pub step: ArcStr,
    pub next: bool,
    pub lasts: Option<Span>,
}

/// A way to go on.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// The steps one of which takes the next event; none where the pattern is done.
    pub steps: Vec<ArcStr>,
    /// Each of the steps is asked for: what is left depends on which it was.
    pub all: Option<Contiguity>,
    /// What is left behind the event.
    pub left: Vec<Todo>,
    pub edge: Contiguity,
    pub nots: Vec<NotThis>,
    pub until: Option<(ArcStr, bool)>,
    /// The loops at which it was decided, each with whether it goes on and whether it is greedy.
    choices: Vec<(u32, bool, bool)>,
}

impl Way {
    /// Nothing more is asked for.
    pub fn done(&self) -> bool {
        self.steps.is_empty()
    }

    /// What is left when the event was taken as these steps.
    pub fn left_after(&self, taken: &[ArcStr]) -> Vec<Todo> {
        let Some(inside) = self.all else {
            return self.left.clone();
        };
        let missing: Vec<ArcStr> = self
            .steps
            .iter()
            .filter(|step| !taken.contains(step))
            .cloned()
            .collect();
        let mut left = Vec::new();
        if !missing.is_empty() {
            left.extend([Todo::Edge(inside), Todo::All(missing, inside)]);
        }
        left.extend(self.left.iter().cloned());
        left
    }

    /// Whether both decide otherwise at a loop, and if so, whether this one has the say there.
    pub fn against(&self, other: &Self) -> Option<bool> {
        let common = self
            .choices
            .iter()
            .zip(&other.choices)
            .take_while(|(a, b)| a == b)
            .count();
        let (loop_here, goes_on, greedy) = *self.choices.get(common)?;
        let decided = other.choices.iter().find(|(id, ..)| *id == loop_here)?;
        (decided.1 != goes_on).then_some(goes_on == greedy)
    }
}

/// All ways to go on with what is left.
pub(crate) fn ways(left: &[Todo], settings: &Sequence) -> Vec<Way> {
    let nothing = Way {
        steps: vec![],
        all: None,
        left: vec![],
        edge: Contiguity::Strict,
        nots: vec![],
        until: None,
        choices: vec![],
    };
    let mut found = Vec::new();
    go(left.to_vec(), nothing, settings, &mut found);
    found
}

fn go(mut left: Vec<Todo>, mut way: Way, settings: &Sequence, found: &mut Vec<Way>) {
    if left.is_empty() {
        return found.push(way);
    }
    let first = left.remove(0);
    let before = |todo: Vec<Todo>, left: Vec<Todo>| todo.into_iter().chain(left).collect::<Vec<_>>();
    match first {
        Todo::Edge(edge) => way.edge = edge,
        Todo::Not(not) => way.nots.push(not),
        Todo::Until(step, between) => way.until = Some((step, between)),
        Todo::All(steps, inside) => {
            (way.steps, way.all, way.left) = (steps, Some(inside), left);
            return found.push(way);
        }
        Todo::Match(Tree::Step(step)) => {
            (way.steps, way.left) = (vec![step], left);
            return found.push(way);
        }
        Todo::Match(Tree::OneOf(steps)) => {
            (way.steps, way.left) = (steps, left);
            return found.push(way);
        }
        Todo::Match(Tree::AllOf(steps, inside)) => left = before(vec![Todo::All(steps, inside)], left),
        Todo::Match(Tree::Either(branches)) => {
            for branch in branches {
                go(
                    before(vec![Todo::Match(branch)], left.clone()),
                    way.clone(),
                    settings,
                    found,
                );
            }
            return;
        }
        Todo::Match(Tree::Parts(parts)) => {
            let mut todo = Vec::new();
            for (i, part) in parts.into_iter().enumerate() {
                match part {
                    Part::Take(edge, tree) => {
                        // The edge before the first part is that of the group.
                        if i > 0 {
                            todo.push(Todo::Edge(edge));
                        }
                        todo.push(Todo::Match(tree));
                    }
                    Part::Not(absence) => todo.push(Todo::Not(NotThis {
                        step: absence.step,
                        next: absence.next,
                        lasts: absence.lasts,
                    })),
                }
            }
            left = before(todo, left);
        }
        Todo::Match(Tree::Repeat(repeat)) => left = before(vec![Todo::Loop(*repeat, 0)], left),
        Todo::Loop(repeat, times) => {
            let (may_go_on, may_leave) = (repeat.max.is_none_or(|max| times < max), times >= repeat.min);
            let mode = repeat.mode.unwrap_or(settings.loops);
            let decide = |way: &Way, goes_on: bool| {
                let mut way = way.clone();
                if may_go_on && may_leave && mode != Loop::Every {
                    way.choices.push((repeat.id, goes_on, mode == Loop::Greedy));
                }
                way
            };
            if may_go_on {
                let mut todo = Vec::new();
                if times > 0 {
                    todo.push(Todo::Edge(repeat.inside.unwrap_or(settings.inside_loops.contiguity())));
                }
                if let Some(step) = &repeat.until {
                    todo.push(Todo::Until(step.clone(), times > 0));
                }
                todo.push(Todo::Match(repeat.body.clone()));
                todo.push(Todo::Loop(repeat.clone(), times + 1));
                go(before(todo, left.clone()), decide(&way, true), settings, found);
            }
            if may_leave {
                go(left, decide(&way, false), settings, found);
            }
            return;
        }
    }
    go(left, way, settings, found);
}
