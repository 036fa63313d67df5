//! The aggregate functions as states that take values in and merge with each other.
//!
//! Every state but that of heavy hitters is a function of the set of values (and of their stamps and ids, for `first`,
//! `last` and `collect`), so that neither the order of arrival nor the way slices are merged can show. Heavy hitters
//! (Misra and Gries 1982; merged as Agarwal et al. 2012) depend on the order of arrival and are judged by their bound.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize, Serializer};
use wavetank_scenarios::query::AggregateFunction;
use wavetank_scenarios::{EventId, Time, Value};

use super::cardinality::Cardinality;
use super::exact::Exact;
use super::sketch::Quantiles;
use crate::processing::expr::{normal, order};

/// Which aggregate, with its settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Kind {
    /// The function.
    pub function: AggregateFunction,
    /// Equal values count once.
    pub distinct: bool,
    /// Averages of whole numbers are cut towards zero.
    pub truncate: bool,
}

/// Sum of numbers, whole ones and floats apart.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sums {
    count: u64,
    whole: i128,
    floats: Option<Box<Exact>>,
}

impl Sums {
    fn add(&mut self, value: &Value) {
        match value {
            Value::Int(i) => self.whole = self.whole.wrapping_add(i128::from(*i)),
            Value::Float(x) => self.floats.get_or_insert_default().add(*x),
            _ => return,
        }
        self.count += 1;
    }
    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.whole = self.whole.wrapping_add(other.whole);
        if let Some(theirs) = &other.floats {
            self.floats.get_or_insert_default().merge(theirs);
        }
    }
    /// The exact sum of both parts.
    fn exact(&self) -> Exact {
        let mut exact = self.floats.as_deref().cloned().unwrap_or_default();
        exact.add_whole(self.whole);
        exact
    }
    fn sum(&self) -> Value {
        match (self.count, &self.floats) {
            (0, _) => Value::Null,
            (_, None) => i64::try_from(self.whole).map_or_else(|_| Value::Float(self.exact().sum()), Value::Int),
            _ => Value::Float(self.exact().sum()),
        }
    }
    fn mean(&self, truncate: bool) -> Value {
        match (self.count, &self.floats) {
            (0, _) => Value::Null,
            (n, None) if truncate => Value::Int((self.whole / i128::from(n)) as i64),
            (n, None) => Value::Float(self.whole as f64 / n as f64),
            (n, _) => Value::Float(self.exact().sum() / n as f64),
        }
    }
}

/// What an aggregate knows of the values so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum State {
    /// Left to a later pass (see [`State::holistic`]).
    Absent,
    /// How many.
    Count(u64),
    /// Sum or mean.
    Sums(Sums),
    /// Sum and sum of squares.
    Spread(Box<(Sums, Exact)>),
    /// The smallest or the largest.
    Extreme(Option<Value>),
    /// The value of the smallest or largest (stamp, id).
    Edge(Option<Box<(Time, EventId, Value)>>),
    /// The largest values, descending.
    Top(Vec<Value>),
    /// Every value.
    Values(Vec<Value>),
    /// Every value with stamp and id.
    Stamped(Vec<(Time, EventId, Value)>),
    /// The different values. Whole floats and the whole numbers that equal them are one value.
    Distinct(#[serde(serialize_with = "ascending")] FxHashSet<Value>),
    /// A quantile sketch.
    Quantiles(Box<Quantiles>),
    /// A sketch of how many different values.
    Cardinality(Box<Cardinality>),
    /// Misra–Gries counters and how many values there were.
    Heavy(BTreeMap<Value, u64>),
}

/// A set in an order that depends on nothing but what is in it.
fn ascending<S: Serializer>(values: &FxHashSet<Value>, s: S) -> Result<S::Ok, S::Error> {
    let mut values: Vec<&Value> = values.iter().collect();
    values.sort_unstable();
    s.collect_seq(values)
}

impl Kind {
    /// Why a value cannot be taken in, if it cannot.
    #[inline]
    pub fn refuses(&self, value: &Value) -> Option<String> {
        use AggregateFunction as F;
        let numbers_only = match self.function {
            F::Count
            | F::Min
            | F::Max
            | F::First
            | F::Last
            | F::Top(_)
            | F::ApproxCountDistinct
            | F::HeavyHitters(_)
            | F::Collect => return None,
            F::Sum | F::Avg | F::StddevPop | F::StddevSamp | F::VarPop | F::VarSamp | F::Median | F::Quantile(_) => {
                matches!(value, Value::Null | Value::Int(_) | Value::Float(_))
            }
            F::ApproxQuantile(_) => match value {
                Value::Float(x) => x.is_finite(),
                other => matches!(other, Value::Null | Value::Int(_)),
            },
        };
        (!numbers_only).then(|| {
            format!(
                "{} `{value}` cannot be aggregated as a number by `{}`",
                value.type_name(),
                name(self.function)
            )
        })
    }

    /// True when merging costs as much as there are values: such states are not merged ahead of time.
    pub const fn holistic(&self) -> bool {
        use AggregateFunction as F;
        self.distinct || matches!(self.function, F::Median | F::Quantile(_) | F::Collect)
    }

    /// True when the result may depend on the order in which values and states were taken in.
    pub const fn goes_by_order(&self) -> bool {
        matches!(self.function, AggregateFunction::HeavyHitters(_))
    }

    /// Whether this can be a state of the aggregate after so many events.
    pub fn fits(&self, state: &State, events: u64) -> bool {
        use AggregateFunction as F;
        let few = |values: usize| values as u64 <= events;
        match (self.function, state) {
            (_, State::Distinct(values)) => self.distinct && few(values.len()),
            _ if self.distinct => false,
            (F::Count, State::Count(n)) => *n <= events,
            (F::Sum | F::Avg, State::Sums(sums)) => sums.count <= events,
            (F::StddevPop | F::StddevSamp | F::VarPop | F::VarSamp, State::Spread(spread)) => spread.0.count <= events,
            (F::Min | F::Max, State::Extreme(_)) | (F::First | F::Last, State::Edge(_)) => true,
            (F::Top(k), State::Top(top)) => top.len() as u64 <= u64::from(k) && few(top.len()),
            (F::Median | F::Quantile(_), State::Values(values)) => few(values.len()),
            (F::Collect, State::Stamped(values)) => few(values.len()),
            (F::ApproxQuantile(_), State::Quantiles(sketch)) => sketch.holds_at_most(events),
            (F::ApproxCountDistinct, State::Cardinality(_)) => true,
            (F::HeavyHitters(k), State::Heavy(counters)) => {
                let sum = counters.values().try_fold(0u64, |sum, n| sum.checked_add(*n));
                counters.len() as u64 <= u64::from(k) && sum.is_some_and(|sum| sum <= events)
            }
            _ => false,
        }
    }

    /// The state of no values.
    pub fn empty(&self) -> State {
        use AggregateFunction as F;
        match self.function {
            _ if self.distinct => State::Distinct(FxHashSet::default()),
            F::Count => State::Count(0),
            F::Sum | F::Avg => State::Sums(Sums::default()),
            F::StddevPop | F::StddevSamp | F::VarPop | F::VarSamp => State::Spread(Box::default()),
            F::Min | F::Max => State::Extreme(None),
            F::First | F::Last => State::Edge(None),
            F::Top(_) => State::Top(Vec::new()),
            F::Median | F::Quantile(_) => State::Values(Vec::new()),
            F::Collect => State::Stamped(Vec::new()),
            F::ApproxQuantile(_) => State::Quantiles(Box::default()),
            F::ApproxCountDistinct => match Cardinality::new() {
                Some(sketch) => State::Cardinality(Box::new(sketch)),
                None => State::Absent,
            },
            F::HeavyHitters(_) => State::Heavy(BTreeMap::new()),
        }
    }

    /// Takes in a value of the event with that stamp and id; null is left out.
    #[inline]
    pub fn add(&self, state: &mut State, value: &Value, stamp: Time, id: EventId) {
        if value.is_null() {
            return;
        }
        match state {
            State::Count(n) => *n += 1,
            State::Sums(sums) => sums.add(value),
            State::Extreme(best) => self.extreme(best, value),
            other => self.add_rest(other, value, stamp, id),
        }
    }

    #[inline]
    fn extreme(&self, best: &mut Option<Value>, value: &Value) {
        let better = best.as_ref().is_none_or(|b| {
            let outcome = order(value, b);
            if self.function == AggregateFunction::Min {
                outcome.is_lt()
            } else {
                outcome.is_gt()
            }
        });
        if better {
            *best = Some(value.clone());
        }
    }

    fn add_rest(&self, state: &mut State, value: &Value, stamp: Time, id: EventId) {
        match state {
            State::Spread(spread) => {
                spread.0.add(value);
                match value {
                    Value::Int(i) => spread.1.add_whole(i128::from(*i) * i128::from(*i)),
                    Value::Float(x) => spread.1.add_square(*x),
                    _ => {}
                }
            }
            State::Edge(edge) => self.edge(edge, &(stamp, id, value.clone())),
            State::Top(top) => self.top(top, value),
            State::Values(values) => values.push(value.clone()),
            State::Stamped(values) => values.push((stamp, id, value.clone())),
            State::Distinct(values) => {
                values.insert(normal(value));
            }
            State::Quantiles(sketch) => sketch.add(value.as_f64().unwrap_or_default()),
            State::Cardinality(sketch) => sketch.add(value),
            State::Heavy(counters) => self.heavy(counters, &normal(value), 1),
            State::Absent | State::Count(_) | State::Sums(_) | State::Extreme(_) => {}
        }
    }

    fn edge(&self, edge: &mut Option<Box<(Time, EventId, Value)>>, new: &(Time, EventId, Value)) {
        let better = edge.as_ref().is_none_or(|old| {
            if self.function == AggregateFunction::First {
                (new.0, new.1) < (old.0, old.1)
            } else {
                (new.0, new.1) > (old.0, old.1)
            }
        });
        if better {
            *edge = Some(Box::new(new.clone()));
        }
    }

    fn top(&self, top: &mut Vec<Value>, value: &Value) {
        let AggregateFunction::Top(k) = self.function else {
            return;
        };
        let at = top.partition_point(|t| order(t, value).is_ge());
        if at < k as usize {
            top.insert(at, value.clone());
            top.truncate(k as usize);
        }
    }

    fn heavy(&self, counters: &mut BTreeMap<Value, u64>, value: &Value, times: u64) {
        let AggregateFunction::HeavyHitters(k) = self.function else {
            return;
        };
        if let Some(count) = counters.get_mut(value) {
            *count += times;
            return;
        }
        counters.insert(value.clone(), times);
        if counters.len() > k as usize {
            let least = counters.values().copied().min().unwrap_or_default();
            counters.retain(|_, count| {
                *count -= least;
                *count > 0
            });
        }
    }

    /// Takes in what another state of the same aggregate knows.
    pub fn merge(&self, state: &mut State, other: &State) {
        match (state, other) {
            (State::Count(a), State::Count(b)) => *a += b,
            (State::Sums(a), State::Sums(b)) => a.merge(b),
            (State::Spread(a), State::Spread(b)) => {
                a.0.merge(&b.0);
                a.1.merge(&b.1);
            }
            (State::Extreme(a), State::Extreme(Some(b))) => self.extreme(a, b),
            (State::Edge(a), State::Edge(Some(b))) => self.edge(a, b),
            (State::Top(a), State::Top(b)) => b.iter().for_each(|v| self.top(a, v)),
            (State::Values(a), State::Values(b)) => a.extend_from_slice(b),
            (State::Stamped(a), State::Stamped(b)) => a.extend_from_slice(b),
            (State::Distinct(a), State::Distinct(b)) => a.extend(b.iter().cloned()),
            (State::Quantiles(a), State::Quantiles(b)) => a.merge(b),
            (State::Cardinality(a), State::Cardinality(b)) => a.merge(b),
            (State::Heavy(a), State::Heavy(b)) => self.merge_heavy(a, b),
            _ => {}
        }
    }

    /// Adds the counters up, then takes the (k + 1)-th largest off all of them, so that k remain at most.
    fn merge_heavy(&self, counters: &mut BTreeMap<Value, u64>, other: &BTreeMap<Value, u64>) {
        let AggregateFunction::HeavyHitters(k) = self.function else {
            return;
        };
        for (value, count) in other {
            *counters.entry(value.clone()).or_default() += count;
        }
        if counters.len() > k as usize {
            let mut counts: Vec<u64> = counters.values().copied().collect();
            counts.sort_unstable_by(|a, b| b.cmp(a));
            let over = counts[k as usize];
            counters.retain(|_, count| {
                *count = count.saturating_sub(over);
                *count > 0
            });
        }
    }

    /// What the aggregate says of the values so far.
    pub fn result(&self, state: &State) -> Value {
        use AggregateFunction as F;
        match (self.function, state) {
            (F::Count, State::Count(n)) => Value::Int(*n as i64),
            (F::Count, State::Distinct(values)) => Value::Int(values.len() as i64),
            (F::Sum, State::Sums(sums)) => sums.sum(),
            (F::Avg, State::Sums(sums)) => sums.mean(self.truncate),
            (F::Sum | F::Avg, State::Distinct(values)) => {
                let mut sums = Sums::default();
                // Exact, so that the set's order cannot show.
                values.iter().for_each(|v| sums.add(v));
                if self.function == F::Sum {
                    sums.sum()
                } else {
                    sums.mean(self.truncate)
                }
            }
            (F::VarPop, State::Spread(spread)) => variance(spread, false).map_or(Value::Null, Value::Float),
            (F::VarSamp, State::Spread(spread)) => variance(spread, true).map_or(Value::Null, Value::Float),
            (F::StddevPop, State::Spread(spread)) => {
                variance(spread, false).map_or(Value::Null, |v| Value::Float(libm::sqrt(v)))
            }
            (F::StddevSamp, State::Spread(spread)) => {
                variance(spread, true).map_or(Value::Null, |v| Value::Float(libm::sqrt(v)))
            }
            (F::Min | F::Max, State::Extreme(best)) => best.clone().unwrap_or_default(),
            (F::First | F::Last, State::Edge(edge)) => edge.as_ref().map_or(Value::Null, |e| e.2.clone()),
            (F::Top(_), State::Top(top)) => match top.is_empty() {
                true => Value::Null,
                false => Value::List(top.clone().into()),
            },
            (F::Median, State::Values(values)) => median(values.clone()),
            (F::Quantile(q), State::Values(values)) => quantile(values.clone(), q),
            (F::Collect, State::Stamped(values)) => {
                let mut values = values.clone();
                values.sort_by_key(|v| (v.0, v.1));
                match values.is_empty() {
                    true => Value::Null,
                    false => Value::List(values.into_iter().map(|(_, _, v)| v).collect::<Vec<_>>().into()),
                }
            }
            (F::ApproxQuantile(q), State::Quantiles(sketch)) => sketch.quantile(q).map_or(Value::Null, Value::Float),
            (F::ApproxCountDistinct, State::Cardinality(sketch)) => Value::Int(libm::round(sketch.estimate()) as i64),
            (F::HeavyHitters(_), State::Heavy(counters)) => {
                let mut found: Vec<(&Value, &u64)> = counters.iter().collect();
                found.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
                match found.is_empty() {
                    true => Value::Null,
                    false => Value::List(
                        found
                            .into_iter()
                            .map(|(value, count)| {
                                Value::Record(
                                    vec![
                                        ("value".into(), value.clone()),
                                        ("count".into(), Value::Int(*count as i64)),
                                    ]
                                    .into(),
                                )
                            })
                            .collect::<Vec<_>>()
                            .into(),
                    ),
                }
            }
            (F::Count, _) => Value::Int(0),
            _ => Value::Null,
        }
    }
}

/// The name of an aggregate function, as a query writes it.
pub const fn name(function: AggregateFunction) -> &'static str {
    use AggregateFunction as F;
    match function {
        F::Count => "count",
        F::Sum => "sum",
        F::Min => "min",
        F::Max => "max",
        F::Avg => "avg",
        F::StddevPop => "stddev_pop",
        F::StddevSamp => "stddev",
        F::VarPop => "var_pop",
        F::VarSamp => "variance",
        F::First => "first",
        F::Last => "last",
        F::Top(_) => "top",
        F::Median => "median",
        F::Quantile(_) => "quantile",
        F::ApproxQuantile(_) => "approx_quantile",
        F::ApproxCountDistinct => "approx_count_distinct",
        F::HeavyHitters(_) => "heavy_hitters",
        F::Collect => "collect",
    }
}

fn variance(spread: &(Sums, Exact), sample: bool) -> Option<f64> {
    let (sums, squares) = spread;
    let least = if sample { 2 } else { 1 };
    (sums.count >= least).then(|| sums.exact().variance(squares, sums.count, sample))
}

fn median(mut values: Vec<Value>) -> Value {
    if values.is_empty() {
        return Value::Null;
    }
    values.sort_unstable_by(order);
    let middle = values.len() / 2;
    let at = |i: usize| values[i].as_f64().unwrap_or(f64::NAN);
    Value::Float(if values.len() % 2 == 1 {
        at(middle)
    } else {
        (at(middle - 1) + at(middle)) / 2.0
    })
}

fn quantile(mut values: Vec<Value>, q: f64) -> Value {
    if values.is_empty() {
        return Value::Null;
    }
    values.sort_unstable_by(order);
    let rank = libm::ceil(q.clamp(0.0, 1.0) * values.len() as f64) as usize;
    values.swap_remove(rank.clamp(1, values.len()) - 1)
}
