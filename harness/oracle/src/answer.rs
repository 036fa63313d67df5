//! What a query answers over the events of one window.
//!
//! The model in words: put the window's events into groups by the values of `group by`; of each group work out `having`,
//! the select list and `order by` by walking their trees, every aggregate from the group's whole list of events in order
//! of (stamp, id); leave out what `having` does not hold for; sort; cut off at `limit`.

use std::collections::{BTreeMap, BTreeSet};

use arcstr::ArcStr;
use wavetank_scenarios::query::{Aggregate, Expr, Function, Query, SelectItem};
use wavetank_scenarios::script::{Operator, ResultStamp, WindowBounds};
use wavetank_scenarios::{Event, EventId, Row, Schema, Span, Time, Value};

use crate::aggregate::{self, Bound};
use crate::expr::{OfEvent, Scope, eval, holds};

/// A query that aggregates, and the settings that its answers depend on.
#[derive(Clone)]
pub(crate) struct Asked {
    pub query: Query,
    schema: Schema,
    called: Vec<ArcStr>,
    tick: Span,
    stamp: ResultStamp,
    /// The window's end belongs to it.
    closed: bool,
    truncate: bool,
}

/// An event as the query sees it.
#[derive(Clone)]
pub(crate) struct Read {
    pub event: Event,
    /// The values of `group by`.
    pub key: Row,
    /// What each aggregate is applied to, in the order in which the query names them; `None` where its filter does not
    /// hold.
    arguments: Vec<Option<Value>>,
}

/// One row of a firing.
pub(crate) struct Answer {
    /// The values of `group by`.
    pub key: Row,
    pub row: Row,
    /// The columns that are judged by a bound.
    pub bounds: Vec<(usize, Bound)>,
    pub stamp: Time,
    /// The event with the largest (stamp, id) decides.
    pub correlation: EventId,
    /// All source events behind it, ascending.
    pub origins: Vec<EventId>,
    /// Which of the window's events are in it.
    pub events: Vec<usize>,
}

impl Asked {
    /// # Errors
    /// The query asks for something of a sketch that no bound can judge.
    pub fn new(operator: &Operator, query: &Query, schema: &Schema, tick: Span) -> Result<Self, String> {
        for item in &query.select {
            if let SelectItem::Expr { expr, name } = item
                && sketched(expr)
                && !matches!(expr, Expr::Aggregate(_))
            {
                return Err(format!(
                    "column `{name}` computes with a sketch, whose answer is only known within its bound, so that nobody can \
                     say what is right; select the sketch by itself"
                ));
            }
        }
        let deciding = query.having.iter().chain(query.order_by.iter().map(|o| &o.expr));
        let named = |expr: &Expr| names_sketch(expr, query);
        if deciding.into_iter().any(|e| sketched(e) || named(e)) {
            return Err(
                "`having` or `order by` looks at a sketch, whose answer is only known within its bound, so that nobody can \
                 say which rows are right; use an exact aggregate there"
                    .into(),
            );
        }
        Ok(Self {
            query: query.clone(),
            schema: schema.clone(),
            called: called(query),
            tick,
            stamp: operator.result_stamp,
            closed: operator.bounds != WindowBounds::Start,
            truncate: operator.truncate_integer_avg,
        })
    }

    /// Whether some column is a sketch.
    pub fn has_sketch(&self) -> bool {
        let mut items = self.query.select.iter();
        items.any(|item| matches!(item, SelectItem::Expr { expr, .. } if sketched(expr)))
    }

    pub fn scope<'a>(&'a self, event: &'a Event) -> OfEvent<'a> {
        OfEvent {
            schema: &self.schema,
            row: &event.row,
            stamp: event.stamp,
            called: &self.called,
            window: None,
        }
    }

    /// Whether `where` holds.
    pub fn wanted(&self, event: &Event) -> Result<bool, String> {
        let filter = self.query.filter.as_ref();
        filter.map_or(Ok(true), |f| holds(f, &self.scope(event)))
    }

    /// What the query makes of an event.
    pub fn read(&self, event: &Event) -> Result<Read, String> {
        let scope = self.scope(event);
        let key = self.query.group_by.iter().map(|e| eval(e, &scope));
        let key: Vec<Value> = key.collect::<Result<_, _>>()?;
        let mut arguments = Vec::new();
        for aggregate in aggregates(&self.query) {
            let value = argument(aggregate, &scope)?;
            if let Some(value) = &value {
                aggregate::fits(aggregate.function, value)?;
            }
            arguments.push(value);
        }
        Ok(Read {
            event: event.clone(),
            key: key.into(),
            arguments,
        })
    }

    /// The rows of a firing in their order, and which events are in rows that could not be computed. `bounds` is the window
    /// where it has bounds.
    pub fn firing(&self, bounds: Option<(Time, Time)>, events: &[&Read]) -> (Vec<Answer>, Vec<usize>) {
        let mut groups: BTreeMap<Row, Vec<usize>> = BTreeMap::new();
        for (i, read) in events.iter().enumerate() {
            groups.entry(read.key.clone()).or_default().push(i);
        }
        if events.is_empty() && self.query.group_by.is_empty() {
            groups.insert(Vec::new().into(), vec![]);
        }
        let mut rows = Vec::new();
        let mut failed = Vec::new();
        for (key, mut members) in groups {
            members.sort_by_key(|i| (events[*i].event.stamp, events[*i].event.id));
            let group: Vec<&Read> = members.iter().map(|i| events[*i]).collect();
            match self.answer(bounds, &key, &group) {
                Ok(Some((mut answer, rank))) => {
                    answer.events = members;
                    rows.push((rank, answer));
                }
                Ok(None) => {}
                Err(_) => failed.extend(members),
            }
        }
        rows.sort_by(|(a, x), (b, y)| {
            let by_rank = self.query.order_by.iter().zip(a.iter().zip(b)).map(|(order, (a, b))| {
                let nulls = a.is_null().cmp(&b.is_null());
                match (a.is_null() || b.is_null(), order.nulls_first, order.descending) {
                    (true, true, _) => nulls.reverse(),
                    (true, false, _) => nulls,
                    (false, _, false) => aggregate::order(a, b),
                    (false, _, true) => aggregate::order(a, b).reverse(),
                }
            });
            by_rank
                .into_iter()
                .find(|o| o.is_ne())
                .unwrap_or_else(|| x.key.cmp(&y.key))
        });
        let limit = usize::try_from(self.query.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        (rows.into_iter().map(|(_, answer)| answer).take(limit).collect(), failed)
    }

    /// The row of one group and what it is ordered by; `None` where `having` does not hold.
    fn answer(
        &self,
        bounds: Option<(Time, Time)>,
        key: &Row,
        group: &[&Read],
    ) -> Result<Option<(Answer, Vec<Value>)>, String> {
        let scope = OfGroup {
            asked: self,
            bounds,
            key,
            group,
            names: true,
        };
        if let Some(having) = &self.query.having
            && !holds(having, &scope)?
        {
            return Ok(None);
        }
        let mut row = Vec::new();
        let mut columns = Vec::new();
        for item in &self.query.select {
            let SelectItem::Expr { expr, .. } = item else {
                return Err("`*` cannot be selected from a window".into());
            };
            if let Expr::Aggregate(a) = expr {
                let bound = aggregate::bound(a.function, &scope.values(a)?);
                columns.extend(bound.map(|b| (row.len(), b)));
            }
            row.push(eval(expr, &OfGroup { names: false, ..scope })?);
        }
        let rank = self.query.order_by.iter().map(|o| eval(&o.expr, &scope));
        let rank = rank.collect::<Result<_, _>>()?;
        let latest = group.last().map(|r| r.event.stamp);
        let stamp = match (self.stamp, bounds) {
            (ResultStamp::Earliest, _) if !group.is_empty() => group[0].event.stamp,
            (ResultStamp::Latest, _) if !group.is_empty() => group[group.len() - 1].event.stamp,
            (ResultStamp::End, Some((_, end))) => end,
            (_, Some((_, end))) if self.closed => end,
            (_, Some((_, end))) => end - self.tick,
            (_, None) => latest.unwrap_or(Time::ZERO),
        };
        let origins: BTreeSet<EventId> = group.iter().flat_map(|r| r.event.origins().iter().copied()).collect();
        let answer = Answer {
            key: key.clone(),
            row: row.into(),
            bounds: columns,
            stamp,
            correlation: group.last().map(|r| r.event.correlation).unwrap_or_default(),
            origins: origins.into_iter().collect(),
            events: vec![],
        };
        Ok(Some((answer, rank)))
    }
}

/// What an input of that query is called in it.
pub(crate) fn called(query: &Query) -> Vec<ArcStr> {
    std::iter::once(query.from.clone()).chain(query.alias.clone()).collect()
}

fn argument(aggregate: &Aggregate, scope: &OfEvent<'_>) -> Result<Option<Value>, String> {
    if let Some(filter) = &aggregate.filter
        && !holds(filter, scope)?
    {
        return Ok(None);
    }
    match &aggregate.argument {
        Some(argument) => eval(argument, scope).map(Some),
        None => Ok(Some(Value::Bool(true))),
    }
}

/// All aggregates of a query.
fn aggregates(query: &Query) -> Vec<&Aggregate> {
    fn walk<'a>(expr: &'a Expr, found: &mut Vec<&'a Aggregate>) {
        match expr {
            Expr::Aggregate(a) => found.push(a),
            other => other.children().into_iter().for_each(|c| walk(c, found)),
        }
    }
    let mut found = Vec::new();
    let selected = query.select.iter().filter_map(|item| match item {
        SelectItem::Expr { expr, .. } => Some(expr),
        SelectItem::All => None,
    });
    let ordered = query.order_by.iter().map(|o| &o.expr);
    for expr in selected.chain(&query.having).chain(ordered) {
        walk(expr, &mut found);
    }
    found
}

fn sketched(expr: &Expr) -> bool {
    matches!(expr, Expr::Aggregate(a) if aggregate::is_sketch(a.function)) || expr.children().into_iter().any(sketched)
}

/// Whether `expr` uses the name of a selected sketch.
fn names_sketch(expr: &Expr, query: &Query) -> bool {
    match expr {
        Expr::Column(path) => selected(query, path).is_some_and(sketched),
        other => other.children().into_iter().any(|c| names_sketch(c, query)),
    }
}

/// The selected expression of that name.
fn selected<'a>(query: &'a Query, path: &[ArcStr]) -> Option<&'a Expr> {
    let [name] = path else {
        return None;
    };
    query.select.iter().find_map(|item| match item {
        SelectItem::Expr { expr, name: given } if given.eq_ignore_ascii_case(name) => Some(expr),
        _ => None,
    })
}

/// One group of a firing: names mean selected columns (where `names` allows it) or grouped expressions.
#[derive(Clone, Copy)]
struct OfGroup<'a> {
    asked: &'a Asked,
    bounds: Option<(Time, Time)>,
    key: &'a Row,
    /// In order of (stamp, id).
    group: &'a [&'a Read],
    names: bool,
}

impl OfGroup<'_> {
    /// The values that an aggregate is applied to, in order of (stamp, id), nulls included.
    fn values(&self, aggregate: &Aggregate) -> Result<Vec<Value>, String> {
        let place = aggregates(&self.asked.query).into_iter().position(|a| a == aggregate);
        let place = place.ok_or("an aggregate that the query does not name")?;
        let known = |read: &&Read| read.arguments.get(place).cloned().flatten();
        if !looks_at_window(aggregate) {
            return Ok(self.group.iter().filter_map(known).collect());
        }
        let mut values = Vec::new();
        for read in self.group {
            let scope = OfEvent {
                window: self.bounds,
                ..self.asked.scope(&read.event)
            };
            values.extend(argument(aggregate, &scope)?);
        }
        Ok(values)
    }
}

/// Whether what is aggregated depends on the window that looks.
fn looks_at_window(aggregate: &Aggregate) -> bool {
    fn walk(expr: &Expr) -> bool {
        matches!(expr, Expr::Call(Function::WindowStart | Function::WindowEnd, _))
            || expr.children().into_iter().any(walk)
    }
    aggregate.argument.iter().chain(&aggregate.filter).any(walk)
}

impl Scope for OfGroup<'_> {
    fn column(&self, path: &[ArcStr]) -> Result<Value, String> {
        match selected(&self.asked.query, path) {
            Some(expr) if self.names => eval(expr, &OfGroup { names: false, ..*self }),
            _ => Err(format!("`{}` is neither grouped nor aggregated", path.join("."))),
        }
    }
    fn event_time(&self) -> Result<Time, String> {
        Err("`event_time()` of a group of events; write max(event_time())".into())
    }
    fn window(&self) -> Option<(Time, Time)> {
        self.bounds
    }
    fn aggregate(&self, aggregate: &Aggregate) -> Result<Value, String> {
        let values = self.values(aggregate)?;
        aggregate::compute(aggregate.function, aggregate.distinct, &values, self.asked.truncate)
    }
    fn known(&self, expr: &Expr) -> Option<Value> {
        if let Expr::Column(path) = expr
            && self.names
            && selected(&self.asked.query, path).is_some()
        {
            return None;
        }
        let same = |grouped: &Expr| match (grouped, expr) {
            (Expr::Column(a), Expr::Column(b)) => {
                matches!((a.last(), b.last()), (Some(a), Some(b)) if a.eq_ignore_ascii_case(b))
            }
            (a, b) => a == b,
        };
        let place = self.asked.query.group_by.iter().position(same)?;
        self.key.get(place).cloned()
    }
}
