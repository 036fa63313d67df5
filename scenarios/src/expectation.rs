//! Expectations: statements about a run, as a tree.

use arcstr::ArcStr;

use crate::time::Span;

/// A statement that is true or false at an instant.
#[derive(Clone, PartialEq, Debug)]
pub enum Claim {
    /// Two numbers compared.
    Compare(Term, Comparison, Term),
    /// Two tables compared: `dashboard == truth`.
    Tables(Table, bool, Table),
    /// `a and b`.
    And(Box<Claim>, Box<Claim>),
    /// `a or b`.
    Or(Box<Claim>, Box<Claim>),
    /// `not a`.
    Not(Box<Claim>),
}

/// How two numbers are compared. Always exactly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is the comparison of that name")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A number. Spans count in microseconds.
#[derive(Clone, PartialEq, Debug)]
pub enum Term {
    /// A constant.
    Number(f64),
    /// A constant with a unit.
    Span(Span),
    /// `actor.metric` or `actor.metric.statistic` (`p50`, `p99`, `p999`, `max`, `mean`, `min`), or `link a -> b.metric`
    /// as `"a -> b".metric`, or `fault.id.fired`.
    Metric(Metric),
    /// Arithmetic: `+ - * /`.
    Arithmetic(Box<Term>, char, Box<Term>),
}

/// The name of a metric.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metric {
    /// The actor, link (`a -> b`) or fault (`fault.id`).
    pub of: ArcStr,
    /// The metric, as its descriptor names it.
    pub name: ArcStr,
    /// For histograms: which number of it.
    pub statistic: Option<ArcStr>,
}

/// A table of results.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Table {
    /// What a sink has, its answers folded.
    Sink(ArcStr),
    /// What it should have: computed over every event of the fault-free input, by true time.
    Truth,
    /// What it should have from what was admitted: truth without what never arrived, was lost and was late, by stamp.
    Admitted,
    /// What the same sink has in the twin: this scenario and seed without its faults.
    Twin,
}
