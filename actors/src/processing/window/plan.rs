//! An aggregating query, compiled: what is read from each event, and how the rows of a firing come of groups' totals.

use std::cmp::Ordering;
use std::ops::Deref;
use std::rc::Rc;

use arcstr::ArcStr;
use wavetank_scenarios::query::{Aggregate, AggregateFunction, Expr, Function, Query, SelectItem};
use wavetank_scenarios::{Event, Row, Time, Value};

use super::aggregate::Kind;
use super::slice::{Brief, Slice, Total};
use crate::processing::expr::{Compiled, Fields, Node, Resolve, Scope, node, order, unknown};
use crate::processing::keyed::Keys;

/// Where an aggregate finds its value.
#[derive(Clone, Copy, Debug)]
enum Input {
    /// Every event counts: `count(*)`.
    Star,
    /// A field.
    Slot(usize),
    /// A computed argument.
    Computed(usize),
}

/// An argument that is more than a field, or that a filter guards.
#[derive(Debug)]
struct Argument {
    filter: Option<Compiled>,
    value: Option<Compiled>,
}

/// A compiled query with aggregates, and what is at hand of the event that is worked on. A copy shares what is compiled.
#[derive(Clone, Debug)]
pub struct Plan {
    compiled: Rc<Clauses>,
    /// Key and computed arguments of the event at hand.
    key: Vec<Value>,
    computed: Vec<Value>,
    /// Whether ids of events without a result are kept.
    track: bool,
}

impl Deref for Plan {
    type Target = Clauses;
    fn deref(&self) -> &Clauses {
        &self.compiled
    }
}

/// The clauses of a compiled query.
#[derive(Debug)]
pub struct Clauses {
    filter: Option<Compiled>,
    keys: Vec<Compiled>,
    key_slots: Option<Vec<usize>>,
    /// The aggregates, in the order of their results.
    pub kinds: Vec<Kind>,
    inputs: Vec<Input>,
    arguments: Vec<Argument>,
    select: Vec<Compiled>,
    having: Option<Compiled>,
    order_by: Vec<(Compiled, bool, bool)>,
    limit: Option<usize>,
    /// Whether a row may turn out not to be computable.
    fallible: bool,
    /// Whether origins of all events are kept.
    lineage: bool,
}

/// What becomes of an event before the window sees it.
#[derive(PartialEq, Eq, Debug)]
pub enum Admission {
    /// It goes in.
    In,
    /// `where` is not true.
    Filtered,
    /// It cannot be worked on.
    Failed(String),
}

const TRUE: Value = Value::Bool(true);
const NULL: Value = Value::Null;

impl Plan {
    /// Compiles `query` over `fields`. `truncate` cuts averages of whole numbers; `corrects` says that windows may take
    /// events in after they have fired, `lineage` that results name all their inputs.
    ///
    /// # Errors
    /// What cannot be compiled, with the clause it stands in.
    pub fn new(
        query: &Query,
        fields: Fields<'_>,
        truncate: bool,
        corrects: bool,
        lineage: bool,
    ) -> Result<Self, String> {
        let within = |clause: &str| {
            let clause = clause.to_owned();
            move |problem: String| format!("in `{clause}`: {problem}")
        };
        let compile = |expr: &Expr, clause: &str| Compiled::new(expr, fields).map_err(within(clause));
        let select = expand(query, fields)?;
        // `group by` may name a column of the select list; the bounds of the window are the same for the whole group
        // and are no part of its key.
        let mut group_by: Vec<Expr> = Vec::new();
        for expr in &query.group_by {
            let expr = match expr {
                Expr::Column(name) if fields.slot(name).is_err() => alias(&select, name)
                    .ok_or_else(|| within("group by")(fields.slot(name).err().unwrap_or_default()))?,
                other => other.clone(),
            };
            if !is_bound(&expr, fields) {
                group_by.push(expr);
            }
        }
        let keys: Vec<Compiled> = group_by
            .iter()
            .map(|e| compile(e, "group by"))
            .collect::<Result<_, _>>()?;
        let mut rows = Rows {
            fields,
            group_by: &group_by,
            select: &select,
            aggregates: Vec::new(),
            aliases: false,
        };
        let mut compiled = Vec::new();
        for (expr, _) in &select {
            compiled.push(Compiled::of(node(expr, &mut rows).map_err(within("select"))?));
        }
        rows.aliases = true;
        let having = match &query.having {
            Some(expr) => Some(Compiled::of(node(expr, &mut rows).map_err(within("having"))?)),
            None => None,
        };
        let mut order_by = Vec::new();
        for item in &query.order_by {
            let compiled = Compiled::of(node(&item.expr, &mut rows).map_err(within("order by"))?);
            order_by.push((compiled, item.descending, item.nulls_first));
        }
        let mut kinds = Vec::new();
        let mut inputs = Vec::new();
        let mut arguments = Vec::new();
        for aggregate in &rows.aggregates {
            check(aggregate)?;
            kinds.push(Kind {
                function: aggregate.function,
                distinct: aggregate.distinct,
                truncate,
            });
            let compile = |e: &Option<Expr>| e.as_ref().map(|e| compile(e, "select")).transpose();
            let (value, filter) = (compile(&aggregate.argument)?, compile(&aggregate.filter)?);
            inputs.push(match (&value, &filter) {
                (None, None) => Input::Star,
                (Some(value), None) if value.as_slot().is_some() => Input::Slot(value.as_slot().unwrap_or_default()),
                _ => {
                    arguments.push(Argument { filter, value });
                    Input::Computed(arguments.len() - 1)
                }
            });
        }
        let fallible = compiled
            .iter()
            .chain(&having)
            .chain(order_by.iter().map(|(e, _, _)| e))
            .any(Compiled::may_fail);
        let track = corrects || fallible || having.is_some() || query.limit.is_some();
        let clauses = Clauses {
            fallible,
            filter: query.filter.as_ref().map(|e| compile(e, "where")).transpose()?,
            key_slots: keys.iter().map(Compiled::as_slot).collect(),
            keys,
            kinds,
            inputs,
            arguments,
            select: compiled,
            having,
            order_by,
            limit: query.limit.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            lineage,
        };
        Ok(Self {
            compiled: Rc::new(clauses),
            key: Vec::new(),
            computed: Vec::new(),
            track,
        })
    }

    /// True without `group by`.
    pub fn is_ungrouped(&self) -> bool {
        self.keys.is_empty()
    }
    /// How many values a key has.
    pub fn key_width(&self) -> usize {
        self.keys.len()
    }
    /// True with `limit`: a row's place then depends on the other groups.
    pub fn has_limit(&self) -> bool {
        self.limit.is_some()
    }
    /// Whether results name all their inputs.
    pub fn keeps_lineage(&self) -> bool {
        self.lineage
    }
    /// Whether ids of events are kept with their slices.
    pub const fn tracks(&self) -> bool {
        self.track
    }

    /// From now on ids are kept.
    pub const fn track(&mut self) {
        self.track = true;
    }

    /// Reads from an event what its group and the aggregates need.
    #[inline]
    pub fn admit(&mut self, event: &Event) -> Admission {
        if self.filter.is_some() || self.key_slots.is_none() || !self.arguments.is_empty() {
            match self.compute(event) {
                Ok(true) => {}
                Ok(false) => return Admission::Filtered,
                Err(reason) => return Admission::Failed(reason),
            }
        }
        for (kind, input) in self.kinds.iter().zip(&self.inputs) {
            if let Some(reason) = kind.refuses(value_of(*input, &event.row, &self.computed)) {
                return Admission::Failed(reason);
            }
        }
        Admission::In
    }

    fn compute(&mut self, event: &Event) -> Result<bool, String> {
        let scope = Scope::event(&event.row, event.stamp);
        let clauses = &*self.compiled;
        if let Some(filter) = &clauses.filter
            && filter.test(&scope)? != Some(true)
        {
            return Ok(false);
        }
        if clauses.key_slots.is_none() {
            self.key.clear();
            for key in &clauses.keys {
                self.key.push(key.eval(&scope)?.into_owned());
            }
        }
        self.computed.clear();
        for argument in &clauses.arguments {
            let counts = match &argument.filter {
                Some(filter) => filter.test(&scope)? == Some(true),
                None => true,
            };
            self.computed.push(match &argument.value {
                _ if !counts => Value::Null,
                Some(value) => value.eval(&scope)?.into_owned(),
                None => TRUE,
            });
        }
        Ok(true)
    }

    /// The key of the group of the event that was admitted last.
    #[inline]
    pub fn keys<'a>(&'a self, event: &'a Event) -> Keys<'a> {
        match &self.key_slots {
            Some(slots) => Keys::Slots(slots, &event.row),
            None => Keys::Values(&self.key),
        }
    }

    /// Adds the event that was admitted last to a slice.
    #[inline]
    pub fn add(&self, slice: &mut Slice, event: &Event) {
        slice.total.brief.count(event);
        for ((kind, input), state) in self.kinds.iter().zip(&self.inputs).zip(&mut slice.total.states) {
            let value = value_of(*input, &event.row, &self.computed);
            kind.add(state, value, event.stamp, event.id);
        }
        if self.track {
            slice.pending.push(event.id);
        }
        if self.lineage {
            slice.origins.extend_from_slice(event.origins());
        }
    }

    /// Key and aggregates of a group, as far as the rest of the row is computed from them.
    fn results(&self, key: &[Value], total: &Total) -> Vec<Value> {
        let results = self
            .kinds
            .iter()
            .zip(&total.states)
            .map(|(kind, state)| kind.result(state));
        key.iter().cloned().chain(results).collect()
    }
}

#[inline]
fn value_of<'a>(input: Input, row: &'a [Value], computed: &'a [Value]) -> &'a Value {
    match input {
        Input::Slot(slot) => row.get(slot).unwrap_or(&NULL),
        Input::Star => &TRUE,
        Input::Computed(index) => computed.get(index).unwrap_or(&NULL),
    }
}

/// The select list with `*` written out.
fn expand(query: &Query, fields: Fields<'_>) -> Result<Vec<(Expr, ArcStr)>, String> {
    let mut all = Vec::new();
    for item in &query.select {
        match item {
            SelectItem::Expr { expr, name } => all.push((expr.clone(), name.clone())),
            SelectItem::All => {
                for field in &fields.schema.fields {
                    all.push((Expr::Column(vec![field.name.clone()]), field.name.clone()));
                }
            }
        }
    }
    if all.is_empty() {
        return Err("`select` names no columns".into());
    }
    Ok(all)
}

fn alias(select: &[(Expr, ArcStr)], name: &[ArcStr]) -> Option<Expr> {
    let [name] = name else { return None };
    let mut found = select.iter().filter(|(_, n)| n.eq_ignore_ascii_case(name));
    found
        .next()
        .map(|(expr, _)| expr.clone())
        .filter(|e| *e != Expr::Column(vec![name.clone()]))
}

/// True for `window_start` and `window_end`.
fn is_bound(expr: &Expr, fields: Fields<'_>) -> bool {
    match expr {
        Expr::Call(Function::WindowStart | Function::WindowEnd, _) => true,
        Expr::Column(name) => matches!(fields.slot(name), Ok(Node::WindowStart | Node::WindowEnd)),
        _ => false,
    }
}

fn check(aggregate: &Aggregate) -> Result<(), String> {
    use AggregateFunction as F;
    let name = super::aggregate::name(aggregate.function);
    match aggregate.function {
        F::Count => {}
        _ if aggregate.argument.is_none() => return Err(format!("`{name}` needs something to aggregate")),
        F::Top(0) | F::HeavyHitters(0) => return Err(format!("`{name}` of 0 values is nothing; ask for 1 at least")),
        F::Quantile(q) | F::ApproxQuantile(q) if !(0.0..=1.0).contains(&q) => {
            return Err(format!("`{name}` of {q}: a quantile lies between 0 and 1"));
        }
        _ => {}
    }
    if aggregate.distinct && !matches!(aggregate.function, F::Count | F::Sum | F::Avg) {
        return Err(format!(
            "`{name}(distinct …)` is not defined; `distinct` goes with count, sum and avg"
        ));
    }
    if aggregate.distinct && aggregate.argument.is_none() {
        return Err("`count(distinct *)` is not defined; name a field".into());
    }
    Ok(())
}

/// Names in the rows of a window: expressions of `group by`, aggregates, bounds of the window, names of the select list.
struct Rows<'a> {
    fields: Fields<'a>,
    group_by: &'a [Expr],
    select: &'a [(Expr, ArcStr)],
    aggregates: Vec<Aggregate>,
    /// Whether names of the select list may be used: in `having` and `order by`.
    aliases: bool,
}

impl Resolve for Rows<'_> {
    fn resolve(&mut self, expr: &Expr) -> Result<Option<Node>, String> {
        // Names in `select` win over fields where both could be meant, as in `having total > 5`.
        if let (true, Expr::Column(name)) = (self.aliases, expr)
            && let Some(meant) = alias(self.select, name)
        {
            self.aliases = false;
            let found = node(&meant, self);
            self.aliases = true;
            return found.map(Some);
        }
        let same = |key: &Expr| match (key, expr) {
            (Expr::Column(a), Expr::Column(b)) => match (self.fields.slot(a), self.fields.slot(b)) {
                (Ok(Node::Slot(a)), Ok(Node::Slot(b))) => a == b,
                (Ok(Node::Path(a, x)), Ok(Node::Path(b, y))) => a == b && x == y,
                _ => false,
            },
            (key, expr) => key == expr,
        };
        if let Some(slot) = self.group_by.iter().position(same) {
            return Ok(Some(Node::Slot(slot)));
        }
        match expr {
            Expr::Aggregate(aggregate) => {
                let index = self
                    .aggregates
                    .iter()
                    .position(|a| *a == **aggregate)
                    .unwrap_or_else(|| {
                        self.aggregates.push((**aggregate).clone());
                        self.aggregates.len() - 1
                    });
                Ok(Some(Node::Slot(self.group_by.len() + index)))
            }
            Expr::Column(name) => match self.fields.slot(name) {
                Ok(bound @ (Node::WindowStart | Node::WindowEnd)) => Ok(Some(bound)),
                Ok(_) => Err(format!(
                    "`{}` has many values in a window; add it to `group by`, or take one of them with `last({0})`",
                    name.join(".")
                )),
                Err(problem) if self.aliases => {
                    let known = self
                        .select
                        .iter()
                        .map(|(_, n)| n.as_str())
                        .chain(self.fields.schema.names());
                    Err(match name.as_slice() {
                        [name] => unknown("column", name, known),
                        _ => problem,
                    })
                }
                Err(problem) => Err(problem),
            },
            Expr::Call(Function::EventTime, _) => Err(
                "`event_time()` has many values in a window; use max(event_time()), window_start() or window_end()"
                    .into(),
            ),
            _ => Ok(None),
        }
    }
}

/// One firing of a window: takes the totals of its groups, ascending by key, and gives the rows that come out.
#[derive(Debug)]
pub struct Firing<'p> {
    plan: &'p Plan,
    window: Option<(Time, Time)>,
    candidates: Vec<Candidate>,
    failed: Vec<u32>,
    /// Whether any group was offered.
    pub any: bool,
}

#[derive(Debug)]
struct Candidate {
    group: u32,
    brief: Brief,
    results: Vec<Value>,
    order: Vec<Value>,
    row: Option<Row>,
}

/// A row of a firing.
#[derive(Debug)]
pub struct Answered {
    /// Whose it is.
    pub group: u32,
    /// What is selected.
    pub row: Row,
    /// The events behind it.
    pub brief: Brief,
}

/// What came of a firing.
#[derive(Debug, Default)]
pub struct Answers {
    /// The rows in the order that `order by` and the keys give, cut to `limit`.
    pub rows: Vec<Answered>,
    /// The groups whose row could not be computed.
    pub failed: Vec<u32>,
}

impl<'p> Firing<'p> {
    /// Of the window `[start, end)`; without bounds, of one that has none in time.
    pub fn new(plan: &'p Plan, window: (Time, Time)) -> Self {
        Self {
            plan,
            window: (window != super::core::ALWAYS).then_some(window),
            candidates: Vec::new(),
            failed: Vec::new(),
            any: false,
        }
    }
    /// A group's total; groups must come ascending by key.
    pub fn offer(&mut self, group: u32, key: &[Value], total: &Total) {
        self.any = true;
        match self.consider(group, key, total) {
            Ok(Some(candidate)) => self.candidates.push(candidate),
            Ok(None) => {}
            Err(_) => self.failed.push(group),
        }
    }
    fn consider(&self, group: u32, key: &[Value], total: &Total) -> Result<Option<Candidate>, String> {
        let plan = self.plan;
        let results = plan.results(key, total);
        let scope = Scope {
            row: &results,
            stamp: total.brief.latest.0,
            window: self.window,
        };
        if let Some(having) = &plan.having
            && having.test(&scope)? != Some(true)
        {
            return Ok(None);
        }
        let evaluate = |e: &Compiled| e.eval(&scope).map(std::borrow::Cow::into_owned);
        let order = plan
            .order_by
            .iter()
            .map(|(e, _, _)| evaluate(e))
            .collect::<Result<_, _>>()?;
        // A row that cannot be computed takes no place within the limit.
        let row = match plan.fallible {
            true => Some(plan.select.iter().map(evaluate).collect::<Result<Row, _>>()?),
            false => None,
        };
        Ok(Some(Candidate {
            group,
            brief: total.brief,
            row,
            order,
            results,
        }))
    }
    /// What comes of it.
    pub fn answers(self) -> Answers {
        let Self {
            plan,
            window,
            mut candidates,
            failed,
            ..
        } = self;
        let mut places: Vec<usize> = (0..candidates.len()).collect();
        let by = |a: &usize, b: &usize| plan.rank(&candidates[*a].order, &candidates[*b].order).then(a.cmp(b));
        if let Some(limit) = plan.limit
            && limit < places.len()
        {
            if !plan.order_by.is_empty() && limit > 0 {
                places.select_nth_unstable_by(limit - 1, by);
            }
            places.truncate(limit);
        }
        if !plan.order_by.is_empty() {
            places.sort_unstable_by(by);
        }
        let answered = |place: usize| {
            let candidate = &mut candidates[place];
            let row = candidate.row.take().unwrap_or_else(|| {
                let scope = Scope {
                    row: &candidate.results,
                    stamp: candidate.brief.latest.0,
                    window,
                };
                let value = |e: &Compiled| e.eval(&scope).map_or(Value::Null, std::borrow::Cow::into_owned);
                plan.select.iter().map(value).collect()
            });
            Answered {
                group: candidate.group,
                row,
                brief: candidate.brief,
            }
        };
        Answers {
            rows: places.into_iter().map(answered).collect(),
            failed,
        }
    }
}

impl Plan {
    fn rank(&self, a: &[Value], b: &[Value]) -> Ordering {
        for ((a, b), (_, descending, nulls_first)) in a.iter().zip(b).zip(&self.order_by) {
            let outcome = match (a.is_null(), b.is_null()) {
                (true, true) => Ordering::Equal,
                (true, false) if *nulls_first => Ordering::Less,
                (true, false) => Ordering::Greater,
                (false, true) if *nulls_first => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) if *descending => order(b, a),
                (false, false) => order(a, b),
            };
            if outcome.is_ne() {
                return outcome;
            }
        }
        Ordering::Equal
    }
}
