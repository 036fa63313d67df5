//! Queries: SQL over streams, as a tree. Parsing is here; evaluation is written twice, fast in the operators and
//! naively in the judge. What both mean:
//!
//! # Values
//!
//! - Null in, null out, but for `and`, `or`, `is null`, `case`, `coalesce`, `nullif`, `least` and `greatest`.
//!   `and`, `or`, `case`, `coalesce` and `in` look from left to right and no further than they must.
//! - Whole numbers and floats mix: a whole number becomes the nearest float. Whole-number overflow, division or
//!   modulo by zero (of floats too), a logarithm or root outside its domain, and values of types that do not go
//!   together (comparing text with a number, `not 3`) are errors of that event. Not-a-number equals itself and is
//!   larger than all.
//! - A span counts as whole microseconds: time − time is a whole number, time ± whole number is a time.
//! - `||` joins what both sides are as text; `cast` to text prints as a person reads it; a float cast to a whole
//!   number is cut towards zero; text is trimmed and read (time as RFC 3339), a whole number cast to a time counts
//!   microseconds.
//! - `round` goes half away from zero, `round(x, d)` is `round(x · 10^d) / 10^d`; `round`, `floor`, `ceil` of a
//!   whole number are that number; `substring` counts characters from 1. Logarithm, exponential and power are those
//!   of `libm`.
//!
//! # What becomes of an event
//!
//! In this order: held until its time has come, or refused, by `future` (refused has failed); `where` not true (filtered) or in error (failed); an error in
//! `group by` or in an aggregate's argument (failed; the argument is not looked at where the aggregate's own filter
//! is not true); in no window at all, such as between hops (filtered); late; taken in. An event of several windows
//! is late when all of them are closed to it, else it goes into those that are open.
//!
//! # Answers of windows
//!
//! - A firing is a window `[start, end)` with every group that has events in it: sessions and staggered windows of
//!   different groups with the same bounds fire together. Windows that complete at one watermark fire in order of
//!   (end, start); within a firing `having`, then `order by` (ties by the group's key, ascending), then `limit`.
//! - A window is complete at `w ≥ end − 1 tick`. It is closed, and its state dropped, once it is complete and `w ≥
//!   end − 1 tick + horizon` (a tick less or more, by `late_when`). `horizon` counts whatever `late` says.
//! - `w` is the combined watermark of the inputs; with a watermark for each key (`scope = "key"`) that of the row's group:
//!   each group is then answered as if it were alone, behind its own events, and at the end of input group by group.
//! - When an event is taken in by a window that has fired, the windows' answers are worked out again and the
//!   differences to what was given are given: rows that are gone (`Delete`, with the old row, by (end, start), then
//!   key), then in the order of firings rows that are new (`Insert`) or other (`UpdateAfter`). What did not change
//!   is not given again. The revision counts what was given for one window and key.
//! - An event is held until every window that it is in, or could still come to be in, is closed; it has then caused
//!   a result or was filtered. A result that cannot be computed (an overflow) is not given; events without another
//!   have failed.
//! - A column outside of an aggregate must be in `group by`.

mod expressions;
mod from;
pub mod functions;
pub mod join;
#[cfg(test)]
mod join_tests;
mod parse;
mod print;
#[cfg(test)]
mod tests;

pub(crate) use from::offset;
pub use join::{Anchor, Join, JoinBound, JoinKind, Limit, WrongInput};
pub use parse::{SyntaxError, parse_expr, parse_query};
pub(crate) use parse::{end_of, is_word, point};

use crate::time::Span;
use crate::value::Value;
use arcstr::ArcStr;

/// `select … from … window … where … group by … having … order by … limit …`.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Query {
    /// The text it was parsed from.
    pub text: String,
    /// What is selected, in order; `*` is expanded to [`SelectItem::All`].
    pub select: Vec<SelectItem>,
    /// The input that it reads: the name of a source, operator or stream.
    pub from: ArcStr,
    /// The name that `from … as name` gives the input, if any.
    pub alias: Option<ArcStr>,
    /// What is joined to it, in order: see [`join`].
    pub joins: Vec<Join>,
    /// The window, if there is one; of a join that of all its streams. Without one and without aggregates the query maps and filters single events.
    pub window: Option<Window>,
    /// `where`: applied to each event before the window.
    pub filter: Option<Expr>,
    /// `group by`, in order.
    pub group_by: Vec<Expr>,
    /// `having`: applied to each row of a firing; may use the names given in `select`.
    pub having: Option<Expr>,
    /// `order by`, most significant first; ties are broken by the group's key, ascending.
    pub order_by: Vec<OrderBy>,
    /// `limit`: how many rows of each firing at most.
    pub limit: Option<u64>,
    /// `match_recognize (…)`: the query looks for sequences, and says nothing else.
    pub matching: Option<Box<crate::script::Sequence>>,
}

/// One item of a `select`.
#[derive(Clone, PartialEq, Debug)]
pub enum SelectItem {
    /// `*`: all fields of the input, in its order.
    All,
    /// An expression and the name of its column: the alias, else the column's or function's own name.
    Expr {
        /// What is computed.
        expr: Expr,
        /// The name of the output field.
        name: ArcStr,
    },
}

/// One item of an `order by`.
#[derive(Clone, PartialEq, Debug)]
pub struct OrderBy {
    /// What is compared; may be a name given in `select`.
    pub expr: Expr,
    /// True for `desc`.
    pub descending: bool,
    /// True where nulls come first. Default: nulls are larger than everything (last ascending, first descending).
    pub nulls_first: bool,
}

/// An expression over the fields of a row.
#[derive(Clone, PartialEq, Debug)]
pub enum Expr {
    /// A constant.
    Literal(Value),
    /// An `interval '…'` or a duration such as `'5 min'` where one is needed.
    Span(Span),
    /// A field by name: of the input, or (in `having` and `order by`, outside of aggregates) of the select list, which
    /// comes first. `a.b` reads field `b` of input `a`, or, when there is no such input, field `b` of the nested
    /// record `a` (null where the record has none).
    Column(Vec<ArcStr>),
    /// `-x`, `not x`.
    Unary(UnaryOp, Box<Expr>),
    /// `x op y`.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `x is null` (`negated`: `is not null`).
    IsNull(Box<Expr>, bool),
    /// `x between low and high` (`negated`: `not between`).
    Between(Box<Expr>, Box<Expr>, Box<Expr>, bool),
    /// `x in (…)` (`negated`: `not in`).
    InList(Box<Expr>, Vec<Expr>, bool),
    /// `x like pattern` with `%` and `_` (`negated`: `not like`). Case matters.
    Like(Box<Expr>, Box<Expr>, bool),
    /// `case when c then v … else e end`; without `else` null.
    Case(Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// `cast(x as type)`; what cannot be cast is an error of that event.
    Cast(Box<Expr>, crate::schema::FieldType),
    /// A function of single values.
    Call(Function, Vec<Expr>),
    /// An aggregate over the events of a window.
    Aggregate(Box<Aggregate>),
}

/// Operators of one operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnaryOp {
    /// Arithmetic negation.
    Minus,
    /// Logical negation: unknown stays unknown.
    Not,
}

/// Operators of two operands. Null in, null out, but for three-valued `and` and `or`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is the SQL operator of that name")]
pub enum BinaryOp {
    Add,
    Subtract,
    Multiply,
    /// Of two whole numbers: truncated towards zero; division by zero is an error of that event.
    Divide,
    Modulo,
    Concat,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

/// Functions of single values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(
    missing_docs,
    reason = "each is the SQL function of that name, unless it says otherwise"
)]
pub enum Function {
    Abs,
    Round,
    Floor,
    Ceil,
    Sqrt,
    Ln,
    Exp,
    Power,
    Least,
    Greatest,
    Coalesce,
    NullIf,
    Lower,
    Upper,
    Trim,
    Length,
    Substring,
    Replace,
    /// `event_time()`: the event's stamp. In a join `event_time(a)` is that of stream `a`'s event, null where it has none.
    EventTime,
    /// `window_start()`: start of the window, null outside windows; `window_start` without brackets works too.
    WindowStart,
    /// `window_end()`: end of the window (exclusive).
    WindowEnd,
    /// `nth(b.x, n)`, in sequences: of the n-th event that step b took, from 0. `first(b.x, n)` is the same.
    Nth,
    /// `prev(b.x, n)`, in sequences: of the n-th event (default: 1) before the last one that step b took; of the event
    /// before, where no step is named. `last(b.x, n)` is the same.
    Prev,
}

/// An aggregate function and what it is applied to.
#[derive(Clone, PartialEq, Debug)]
pub struct Aggregate {
    /// Which one.
    pub function: AggregateFunction,
    /// What is aggregated; `None` for `count(*)`. Nulls are left out.
    pub argument: Option<Expr>,
    /// `distinct`: equal values count once (count, sum, avg only).
    pub distinct: bool,
    /// `filter (where …)`.
    pub filter: Option<Expr>,
}

/// The aggregate functions. Of no values at all `count` and the distinct counts are 0, everything else is null.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum AggregateFunction {
    /// `count(x)`, `count(*)`.
    Count,
    /// `sum(x)`: whole for whole numbers as long as 64 bits hold it, else exact and rounded once to a float.
    Sum,
    /// `min(x)`: of a whole number and an equal float the whole number.
    Min,
    /// `max(x)`: of a whole number and an equal float the float.
    Max,
    /// `avg(x)`: the exact sum, rounded once to a float, over the count; of whole numbers too (no truncation).
    Avg,
    /// `stddev_pop(x)`: the root of `var_pop`.
    StddevPop,
    /// `stddev(x)`, `stddev_samp(x)`: the root of `var_samp`; null for fewer than two.
    StddevSamp,
    /// `var_pop(x)`: `(n·Σx² − (Σx)²) / n²`, the numerator exact and rounded once, then divided.
    VarPop,
    /// `variance(x)`, `var_samp(x)`: the same numerator over `n·(n − 1)`; null for fewer than two.
    VarSamp,
    /// `first(x)`: of the smallest (stamp, id).
    First,
    /// `last(x)`: of the largest (stamp, id).
    Last,
    /// `top(k, x)`: the k largest values as a list, descending; equal ones all count.
    Top(u32),
    /// `median(x)`: exact, a float; of an even number `(a + b) / 2` of the middle two. Keeps every value of the window.
    Median,
    /// `quantile(q, x)`: exact, the smallest value with at least a share `q` of the values at or below it. Keeps every
    /// value of the window.
    Quantile(f64),
    /// `approx_quantile(q, x)`: DDSketch with relative value error 0.01.
    ApproxQuantile(f64),
    /// `approx_count_distinct(x)`: HyperLogLog with 2^12 registers, relative standard error 1.63 %.
    ApproxCountDistinct,
    /// `heavy_hitters(k, x)`: the values that may make up more than 1/(k+1) of all, by Misra–Gries with k counters, as a
    /// list of records (value, count); a count is too low by at most n/(k+1).
    HeavyHitters(u32),
    /// `collect(x)`: all values in order of (stamp, id), as a list.
    Collect,
}

/// Which events are aggregated together. Intervals are half-open, `[start, end)`, and aligned to the epoch plus offset.
#[derive(Clone, PartialEq, Debug)]
pub enum Window {
    /// `tumbling(size, offset)`.
    Tumbling {
        /// Length.
        size: Span,
        /// Shift of the grid.
        offset: Span,
    },
    /// `hop(size, every, offset)` and `time(size, every)`: every window of that length that starts on the grid of
    /// `every`.
    Hop {
        /// Length.
        size: Span,
        /// Distance of starts.
        every: Span,
        /// Shift of the grid.
        offset: Span,
    },
    /// `time(size)`: the events in `(t − size, t]` at each event's time t, in order of event time. One firing for each
    /// instant at which events happened, when `w ≥ t`: its bounds are `[t + 1 tick − size, t + 1 tick)`. An event is
    /// late by the window that ends with it.
    Sliding {
        /// Length.
        size: Span,
        /// Also fires when an event leaves, at `stamp + size`.
        on_change: bool,
    },
    /// `length(n)`: the last n events in order of arrival; fires at each event. Over the whole input, not each group.
    /// No event is late, and results have no pane; `window_start()` is the smallest stamp inside, `window_end()` a
    /// tick after the largest.
    Length(u64),
    /// `length_batch(n)`: every n events in order of arrival, otherwise as `length`. What is left at the end is
    /// filtered.
    LengthBatch(u64),
    /// `session(gap)`: `[first, last + gap)`; sessions that touch merge, unless the operator says otherwise. An event
    /// is late by the session that it would open or join; closed sessions are forgotten.
    Session {
        /// Silence that ends a session.
        gap: Span,
    },
    /// `snapshot(duration)`: events last from their stamp for the time that the named field or span says; a result for
    /// each interval between two instants at which the set of lasting events changes (over the whole input, not each
    /// group), when it is complete and not empty. An event is late by its own stamp; one that does not last has failed.
    Snapshot {
        /// How long an event lasts: a span, or a field with seconds.
        lasts: Box<Expr>,
    },
    /// `stagger(size)`: opens at the first event of its group by event time; the first event at or after its end opens
    /// the next. An event is late by the window that it would open or join; closed windows are forgotten.
    Stagger {
        /// Length.
        size: Span,
    },
    /// `cumulate(max, step)`: `[start, start + k·step)` for k = 1 … max/step.
    Cumulate {
        /// Longest.
        max: Span,
        /// Growth.
        step: Span,
        /// Shift of the grid.
        offset: Span,
    },
    /// `global()`, and aggregates without a window: everything so far; answers at the end of input and as the
    /// operator's triggers say. It has no bounds: `window_start()` is null, and `Last` and `End` mean the largest
    /// stamp.
    Global,
}

impl Query {
    /// True when the query aggregates: it has a window, a `group by` or an aggregate function, and joins nothing.
    pub fn aggregates(&self) -> bool {
        self.joins.is_empty() && self.has_groups()
    }

    /// Every expression of its clauses but `on`.
    pub(crate) fn expressions(&self) -> Vec<&Expr> {
        let selected = self.select.iter().filter_map(|item| match item {
            SelectItem::Expr { expr, .. } => Some(expr),
            SelectItem::All => None,
        });
        let ordered = self.order_by.iter().map(|o| &o.expr);
        let rest = self.filter.iter().chain(&self.group_by).chain(&self.having);
        selected.chain(rest).chain(ordered).collect()
    }

    fn has_groups(&self) -> bool {
        self.window.is_some()
            || !self.group_by.is_empty()
            || self.having.is_some()
            || self
                .select
                .iter()
                .any(|item| matches!(item, SelectItem::Expr { expr, .. } if expr.has_aggregate()))
    }
}

impl Expr {
    /// True when there is an aggregate function somewhere inside.
    pub fn has_aggregate(&self) -> bool {
        matches!(self, Self::Aggregate(_)) || self.children().into_iter().any(Self::has_aggregate)
    }
    /// This expression with some of its parts replaced: `replace` is asked of every part from the outside in, and those
    /// that it knows nothing for are gone into. (Aggregates are not gone into.)
    ///
    /// # Errors
    /// What `replace` says.
    pub fn map<E>(&self, replace: &mut impl FnMut(&Self) -> Result<Option<Self>, E>) -> Result<Self, E> {
        if let Some(other) = replace(self)? {
            return Ok(other);
        }
        let mut boxed = |x: &Self| x.map(replace).map(Box::new);
        Ok(match self {
            Self::Literal(_) | Self::Span(_) | Self::Column(_) | Self::Aggregate(_) => self.clone(),
            Self::Unary(op, x) => Self::Unary(*op, boxed(x)?),
            Self::Binary(op, x, y) => Self::Binary(*op, boxed(x)?, boxed(y)?),
            Self::IsNull(x, negated) => Self::IsNull(boxed(x)?, *negated),
            Self::Between(x, low, high, negated) => Self::Between(boxed(x)?, boxed(low)?, boxed(high)?, *negated),
            Self::InList(x, list, negated) => {
                let x = boxed(x)?;
                let list = list.iter().map(|item| item.map(replace)).collect::<Result<_, _>>()?;
                Self::InList(x, list, *negated)
            }
            Self::Like(x, pattern, negated) => Self::Like(boxed(x)?, boxed(pattern)?, *negated),
            Self::Case(arms, otherwise) => {
                let mut mapped = Vec::with_capacity(arms.len());
                for (condition, value) in arms {
                    mapped.push((condition.map(replace)?, value.map(replace)?));
                }
                let otherwise = otherwise.as_ref().map(|x| x.map(replace).map(Box::new));
                Self::Case(mapped, otherwise.transpose()?)
            }
            Self::Cast(x, kind) => Self::Cast(boxed(x)?, *kind),
            Self::Call(function, args) => Self::Call(
                *function,
                args.iter().map(|x| x.map(replace)).collect::<Result<_, _>>()?,
            ),
        })
    }
    /// The direct parts of this expression, in order. An aggregate's argument and filter are parts too.
    pub fn children(&self) -> Vec<&Self> {
        match self {
            Self::Literal(_) | Self::Span(_) | Self::Column(_) => vec![],
            Self::Unary(_, x) | Self::IsNull(x, _) | Self::Cast(x, _) => vec![x],
            Self::Binary(_, x, y) | Self::Like(x, y, _) => vec![x, y],
            Self::Between(x, low, high, _) => vec![x, low, high],
            Self::InList(x, list, _) => std::iter::once(&**x).chain(list).collect(),
            Self::Case(arms, otherwise) => arms
                .iter()
                .flat_map(|(c, v)| [c, v])
                .chain(otherwise.as_deref())
                .collect(),
            Self::Call(_, args) => args.iter().collect(),
            Self::Aggregate(a) => a.argument.iter().chain(&a.filter).collect(),
        }
    }
}

/// An expression together with the text it was parsed from, as a scenario file has it.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Predicate {
    /// The text.
    pub text: String,
    /// The tree.
    pub expr: Expr,
}

macro_rules! from_text {
    ($($kind:ty, $parse:path);*) => {$(
        impl TryFrom<String> for $kind {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                $parse(&text).map_err(|problem| problem.to_string())
            }
        }
        impl From<$kind> for String {
            fn from(parsed: $kind) -> Self {
                parsed.text
            }
        }
    )*};
}
from_text!(Query, parse_query; Predicate, parse_predicate);

fn parse_predicate(text: &str) -> Result<Predicate, SyntaxError> {
    Ok(Predicate {
        text: text.to_owned(),
        expr: parse_expr(text)?,
    })
}
