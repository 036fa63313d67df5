//! What a sequence's settings come to: the automaton, the conditions of its steps, the fields of its matches.

use arcstr::ArcStr;
use wavetank_scenarios::script::{AfterMatch, Late, Operator, Order, Precedence, Restart, Sequence, Since};
use wavetank_scenarios::{Schema, Span, Time};

use super::automaton::Automaton;
use super::condition::{Condition, Names};
use crate::processing::Surroundings;
use crate::processing::expr::unknown;

/// When a step takes an event.
#[derive(Debug)]
pub struct Step {
    /// The input that it reads; `None`: all.
    pub from: Option<usize>,
    /// Its condition.
    pub condition: Option<Condition>,
}

/// What is dropped when a match is put out, its step by number.
#[derive(Clone, Copy, Debug)]
pub enum Skip {
    PastLast,
    ToNext,
    ToFirst(usize),
    ToLast(usize),
    Nothing,
}

/// Everything that does not change during a run.
#[derive(Debug)]
pub struct Plan {
    pub automaton: Automaton,
    pub steps: Vec<Step>,
    /// The slots of the key in the rows of each input.
    pub keys: Vec<Vec<usize>>,
    pub fields: Vec<Condition>,
    pub skip: Skip,
    pub restart: Restart,
    /// Matches wait for earlier beginnings.
    pub start_first: bool,
    pub arrival: bool,
    pub within: Option<Span>,
    pub within_includes_end: bool,
    pub since_previous: bool,
    pub absence_includes_end: bool,
    pub all_may_share: bool,
    pub timeouts: bool,
    pub late_aside: bool,
    pub future: wavetank_scenarios::script::Future,
    pub tick: Span,
    pub lineage: bool,
}

impl Plan {
    /// From an operator's settings.
    ///
    /// # Errors
    /// A name that is not there, in which setting; a pattern that is too large.
    pub fn new(operator: &Operator, sequence: &Sequence, around: &Surroundings<'_>) -> Result<Self, String> {
        let names: Vec<ArcStr> = sequence.pattern.tree.steps();
        let mut called: Vec<&str> = operator.input.iter().map(String::as_str).collect();
        if let Some(query) = &operator.query {
            called.push(&query.from);
            called.extend(query.alias.as_deref());
        }
        let known = Names {
            steps: &names,
            inputs: around.inputs,
            called: &called,
        };
        let step = |name: &str| {
            let found = names.iter().position(|step| step.eq_ignore_ascii_case(name));
            found.ok_or_else(|| unknown("step", name, names.iter().map(ArcStr::as_str)))
        };
        let inside = sequence.inside_loops.contiguity();
        let automaton = Automaton::new(&sequence.pattern.tree, &names, sequence.loops, inside)?;
        let mut steps = Vec::with_capacity(names.len());
        for (own, name) in names.iter().enumerate() {
            let from = sequence.from.get(name.as_str()).map(|entry| {
                let found = operator.input.iter().position(|input| input == entry);
                found.ok_or_else(|| unknown("input", entry, operator.input.iter().map(String::as_str)))
            });
            let condition = sequence.conditions.get(name.as_str()).map(|condition| {
                let compiled = Condition::new(&condition.expr, Some(own), &known);
                compiled.map_err(|e| format!("in `where.{name}`: {e}"))
            });
            steps.push(Step {
                from: from.transpose()?,
                condition: condition.transpose()?,
            });
        }
        let slots = |schema: &&Schema| {
            let slot = |name: &String| schema.slot(name).ok_or_else(|| unknown("field", name, schema.names()));
            sequence.by.iter().map(slot).collect::<Result<Vec<_>, _>>()
        };
        let field = |(name, expr): (ArcStr, _)| {
            Condition::new(&expr, None, &known).map_err(|e| format!("in `select.{name}`: {e}"))
        };
        Ok(Self {
            automaton,
            steps,
            keys: around.inputs.iter().map(slots).collect::<Result<_, _>>()?,
            fields: sequence.fields().into_iter().map(field).collect::<Result<_, _>>()?,
            skip: match &sequence.after {
                AfterMatch::PastLast => Skip::PastLast,
                AfterMatch::ToNext => Skip::ToNext,
                AfterMatch::ToFirst(name) => Skip::ToFirst(step(name)?),
                AfterMatch::ToLast(name) => Skip::ToLast(step(name)?),
                AfterMatch::KeepAll => Skip::Nothing,
            },
            restart: sequence.restart,
            start_first: sequence.precedence == Precedence::Start,
            arrival: sequence.order == Order::Arrival,
            within: sequence.within,
            within_includes_end: sequence.within_includes_end,
            since_previous: sequence.within_since == Since::Previous,
            absence_includes_end: sequence.absence_includes_end,
            all_may_share: sequence.all_may_share,
            timeouts: sequence.timeouts,
            late_aside: operator.late == Late::Side,
            future: operator.future,
            tick: around.tick,
            lineage: around.lineage,
        })
    }

    /// From when on the time that ends there is over: no event that comes then or later is inside.
    pub fn over(end: Time, includes_end: bool) -> Time {
        if includes_end { end + Span::UNIT } else { end }
    }
}
