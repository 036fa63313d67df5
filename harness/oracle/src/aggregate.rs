//! What an aggregate is worth over a list of values.
//!
//! The model in words: the values are all there, in order of (stamp, id), and the answer is worked out from the whole
//! list by the definition: sort it, count it, add it up. Sums of floats go through an exact accumulator and are rounded
//! once, so that no order can show. A sketch has no single right answer: for it this says the exact answer, and beside
//! it the [`Bound`] within which the sketch's answer must lie.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use wavetank_scenarios::Value;
use wavetank_scenarios::query::AggregateFunction as F;
use xsum::{Xsum, XsumAuto, XsumExt};

use crate::expr::compare;

/// What the answer of a sketch must keep to.
#[derive(Clone, PartialEq, Debug)]
pub enum Bound {
    /// A number from `low` to `high`, both included.
    Within {
        /// The smallest that is right.
        low: f64,
        /// The largest that is right.
        high: f64,
    },
    /// Heavy hitters: at most `counters` of these values, none twice, each with a count that is at most its true count
    /// and short of it by at most n/(counters + 1); and every value that is more frequent than that is there.
    Frequent {
        /// The true count of each value.
        counts: BTreeMap<Value, u64>,
        /// How many counters there are.
        counters: u32,
    },
}

impl Bound {
    /// Whether that answer keeps to the bound.
    pub fn admits(&self, answer: &Value) -> bool {
        match self {
            Self::Within { low, high } => answer.as_f64().is_some_and(|x| (*low..=*high).contains(&x)),
            Self::Frequent { counts, counters } => {
                let Value::List(list) = answer else {
                    return false;
                };
                let n: u64 = counts.values().sum();
                let slack = n / (u64::from(*counters) + 1);
                let mut listed = BTreeSet::new();
                let each_right = list.iter().all(|item| match item {
                    Value::Record(fields) => match &fields[..] {
                        [(value_name, value), (count_name, Value::Int(count))] => {
                            let true_count = counts.get(value).copied().unwrap_or(0);
                            let named = value_name == "value" && count_name == "count";
                            let right = u64::try_from(*count)
                                .is_ok_and(|c| c > 0 && c <= true_count && c + slack >= true_count);
                            named && right && listed.insert(value.clone())
                        }
                        _ => false,
                    },
                    _ => false,
                });
                let all_there = counts.iter().all(|(v, c)| *c <= slack || listed.contains(v));
                each_right && all_there && list.len() <= *counters as usize
            }
        }
    }
}

/// Whether a function answers from a sketch.
pub const fn is_sketch(function: F) -> bool {
    matches!(
        function,
        F::ApproxQuantile(_) | F::ApproxCountDistinct | F::HeavyHitters(_)
    )
}

/// Whether `value` can be aggregated by `function` at all (nulls always can: they are left out).
///
/// # Errors
/// It is not a number and the function adds or orders numbers.
pub fn fits(function: F, value: &Value) -> Result<(), String> {
    let any = matches!(
        function,
        F::Count
            | F::Min
            | F::Max
            | F::First
            | F::Last
            | F::Top(_)
            | F::ApproxCountDistinct
            | F::HeavyHitters(_)
            | F::Collect
    );
    if any || value.is_null() || value.as_f64().is_some() {
        return Ok(());
    }
    Err(format!(
        "`{value}` is a {}, and this aggregate takes numbers",
        value.type_name()
    ))
}

/// The order of values: as SQL compares them, and where that knows no difference or no order, by their types.
pub fn order(x: &Value, y: &Value) -> Ordering {
    match compare(x, y) {
        Ok(Some(Ordering::Equal) | None) | Err(_) => x.cmp(y),
        Ok(Some(unequal)) => unequal,
    }
}

/// The aggregate over `values`, which are in order of (stamp, id); nulls are left out (the caller gives `count(*)` a value
/// for each event). With `truncate`, means of whole numbers are cut to whole numbers. Of a sketch the exact answer.
///
/// # Errors
/// A sum of whole numbers that is larger than 64 bits.
pub fn compute(function: F, distinct: bool, values: &[Value], truncate: bool) -> Result<Value, String> {
    let mut values: Vec<Value> = values.iter().filter(|v| !v.is_null()).cloned().collect();
    if distinct {
        values = values.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    }
    let n = values.len();
    let sorted = || {
        let mut sorted = values.clone();
        sorted.sort_by(order);
        sorted
    };
    let list = |values: Vec<Value>| Value::List(values.into());
    Ok(match function {
        F::Count => Value::Int(n as i64),
        F::ApproxCountDistinct => Value::Int(values.iter().collect::<BTreeSet<_>>().len() as i64),
        _ if n == 0 => Value::Null,
        F::Sum => match whole(&values) {
            Some(whole) => {
                let sum = whole.iter().sum::<i128>();
                i64::try_from(sum).map_or(Value::Float(sum as f64), Value::Int)
            }
            None => Value::Float(sum(&floats(&values))),
        },
        F::Avg => match whole(&values) {
            Some(whole) if truncate => Value::Int((whole.iter().sum::<i128>() / n as i128) as i64),
            Some(whole) => Value::Float(whole.iter().sum::<i128>() as f64 / n as f64),
            None => Value::Float(sum(&floats(&values)) / n as f64),
        },
        F::VarPop => Value::Float(spread(&floats(&values)) / (n as f64 * n as f64)),
        F::StddevPop => Value::Float((spread(&floats(&values)) / (n as f64 * n as f64)).sqrt()),
        F::VarSamp | F::StddevSamp if n < 2 => Value::Null,
        F::VarSamp => Value::Float(spread(&floats(&values)) / (n as f64 * (n - 1) as f64)),
        F::StddevSamp => Value::Float((spread(&floats(&values)) / (n as f64 * (n - 1) as f64)).sqrt()),
        F::Min => sorted()[0].clone(),
        F::Max => sorted()[n - 1].clone(),
        F::First => values[0].clone(),
        F::Last => values[n - 1].clone(),
        F::Top(k) => list(sorted().into_iter().rev().take(k as usize).collect()),
        F::Median => {
            let sorted = floats(&sorted());
            Value::Float(if n % 2 == 1 {
                sorted[n / 2]
            } else {
                (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0
            })
        }
        F::Quantile(q) => sorted()[rank(q, n)].clone(),
        F::ApproxQuantile(q) => Value::Float(floats(&sorted())[rank(q, n)]),
        F::HeavyHitters(k) => {
            let counts = counts(&values);
            let many = n as u64 / (u64::from(k) + 1);
            let mut frequent: Vec<_> = counts.into_iter().filter(|(_, c)| *c > many).collect();
            frequent.sort_by(|(v, c), (w, d)| d.cmp(c).then_with(|| v.cmp(w)));
            list(
                frequent
                    .into_iter()
                    .map(|(v, c)| {
                        Value::Record(vec![("value".into(), v), ("count".into(), Value::Int(c as i64))].into())
                    })
                    .collect(),
            )
        }
        F::Collect => list(values),
    })
}

/// Within what a sketch's answer must lie; `None` for everything that has one right answer.
pub fn bound(function: F, values: &[Value]) -> Option<Bound> {
    let values: Vec<Value> = values.iter().filter(|v| !v.is_null()).cloned().collect();
    let n = values.len();
    match function {
        F::ApproxCountDistinct => {
            // Six standard errors of 1.63 %, and whole numbers: what lies outside is no bad luck.
            let distinct = values.iter().collect::<BTreeSet<_>>().len() as f64;
            let slack = 6.0 * 0.0163 * distinct;
            Some(Bound::Within {
                low: (distinct - slack).floor(),
                high: (distinct + slack).ceil(),
            })
        }
        _ if n == 0 => None,
        F::ApproxQuantile(q) => {
            // Two definitions of the rank are in use and both are right; the value is right up to 1 %, and what is nearer
            // to zero than 1e-9 counts as zero. The last factor is the rounding of the bucket's own bounds.
            let mut sorted = floats(&values);
            sorted.sort_by(f64::total_cmp);
            let (one, other) = (rank(q, n), (q * (n - 1) as f64) as usize);
            let slack = |x: f64| x.abs() * 0.01 * (1.0 + 1e-9) + 1e-9;
            let (low, high) = (sorted[one.min(other)], sorted[one.max(other)]);
            Some(Bound::Within {
                low: low - slack(low),
                high: high + slack(high),
            })
        }
        F::HeavyHitters(counters) => Some(Bound::Frequent {
            counts: counts(&values),
            counters,
        }),
        _ => None,
    }
}

/// The place, from 0, of the smallest of `n` sorted values that has at least a share `q` of them at or below it.
fn rank(q: f64, n: usize) -> usize {
    ((q * n as f64).ceil() as usize).clamp(1, n) - 1
}

fn counts(values: &[Value]) -> BTreeMap<Value, u64> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value.clone()).or_default() += 1;
    }
    counts
}

/// The values, if every one is a whole number.
fn whole(values: &[Value]) -> Option<Vec<i128>> {
    values
        .iter()
        .map(|v| {
            if let Value::Int(i) = v {
                Some(i128::from(*i))
            } else {
                None
            }
        })
        .collect()
}

fn floats(values: &[Value]) -> Vec<f64> {
    values.iter().filter_map(Value::as_f64).collect()
}

/// The exact sum, rounded once; never negative zero.
pub fn sum(values: &[f64]) -> f64 {
    let sum = values.xsum();
    if sum < 0.0 {
        // xsum 0.1 rounds negative sums away from zero, so it is asked for the positive one.
        let negated: Vec<f64> = values.iter().map(|x| -x).collect();
        return -negated.xsum();
    }
    sum + 0.0
}

/// `n·Σx² − (Σx)²`, exact and rounded once.
///
/// A product of two floats is the sum of two floats (its rounded value and what rounding took off), and the exact sum of
/// floats is a short list of floats, each what is left of the sum after those before it. So the whole is a list of floats
/// to be added up exactly. Not a number when a square is too large for a float.
fn spread(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let product = |a: f64, b: f64| {
        let rounded = a * b;
        [rounded, a.mul_add(b, -rounded)]
    };
    let mut exact = XsumAuto::new();
    exact.add_list(values);
    let mut sum = Vec::new();
    loop {
        let rest = exact.sum();
        if rest == 0.0 || !rest.is_finite() {
            break;
        }
        sum.push(rest);
        exact.add(-rest);
    }
    let mut terms = Vec::new();
    for &x in values {
        for part in product(x, x) {
            terms.extend(product(n, part));
        }
    }
    for &a in &sum {
        for &b in &sum {
            terms.extend(product(a, b).map(|part| -part));
        }
    }
    if terms.iter().all(|t| t.is_finite()) {
        self::sum(&terms)
    } else {
        f64::NAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ints(values: &[i64]) -> Vec<Value> {
        values.iter().map(|v| Value::Int(*v)).collect()
    }
    fn of(function: F, values: &[Value]) -> Value {
        compute(function, false, values, false).unwrap()
    }

    #[test]
    fn nulls_count_for_nothing_and_nothing_gives_null_but_for_counts() {
        let values = [Value::Int(1), Value::Int(2), Value::Int(4), Value::Null];
        assert_eq!(of(F::Count, &values), Value::Int(3));
        assert_eq!(of(F::Sum, &values), Value::Int(7));
        assert_eq!(of(F::Avg, &values), Value::Float(7.0 / 3.0));
        assert_eq!(of(F::Count, &[]), Value::Int(0));
        assert_eq!(of(F::ApproxCountDistinct, &[]), Value::Int(0));
        for f in [F::Sum, F::Min, F::Avg, F::StddevPop, F::Median, F::Collect, F::Top(2)] {
            assert_eq!(of(f, &[Value::Null]), Value::Null, "{f:?}");
        }
    }

    #[test]
    fn one_value_has_no_sample_deviation_and_a_population_deviation_of_zero() {
        assert_eq!(of(F::StddevSamp, &ints(&[5])), Value::Null);
        assert_eq!(of(F::StddevPop, &ints(&[5])), Value::Float(0.0));
        assert_eq!(of(F::VarSamp, &ints(&[1, 2, 4])), Value::Float(14.0 / 6.0));
        assert_eq!(of(F::VarPop, &ints(&[1, 2, 4])), Value::Float(14.0 / 9.0));
    }

    #[test]
    fn the_variance_of_near_values_far_from_zero_is_not_lost_to_rounding() {
        let values: Vec<Value> = [1e9, 1e9 + 1.0, 1e9 + 2.0].map(Value::Float).to_vec();
        assert_eq!(of(F::VarPop, &values), Value::Float(6.0 / 9.0));
    }

    #[test]
    fn whole_sums_grow_into_floats_and_whole_means_truncate_only_when_told() {
        let two = ints(&[i64::MAX, 1]);
        assert_eq!(
            compute(F::Sum, false, &two, false),
            Ok(Value::Float(9_223_372_036_854_775_808.0))
        );
        assert_eq!(compute(F::Avg, false, &ints(&[-1, -2]), true), Ok(Value::Int(-1)));
        assert_eq!(compute(F::Avg, false, &ints(&[-1, -2]), false), Ok(Value::Float(-1.5)));
    }

    #[test]
    fn medians_and_quantiles_pick_by_rank() {
        assert_eq!(of(F::Median, &ints(&[4, 1, 3, 2])), Value::Float(2.5));
        assert_eq!(of(F::Median, &ints(&[9, 1, 3])), Value::Float(3.0));
        assert_eq!(of(F::Quantile(0.75), &ints(&[4, 1, 3, 2])), Value::Int(3));
        assert_eq!(of(F::Quantile(0.76), &ints(&[4, 1, 3, 2])), Value::Int(4));
        assert_eq!(of(F::Quantile(0.0), &ints(&[4, 1])), Value::Int(1));
    }

    #[test]
    fn distinct_counts_equal_values_once() {
        assert_eq!(compute(F::Sum, true, &ints(&[3, 3, 4]), false), Ok(Value::Int(7)));
        assert_eq!(of(F::Top(2), &ints(&[3, 3, 1])), Value::List(ints(&[3, 3]).into()));
    }

    #[test]
    fn heavy_hitters_keep_to_their_bound_or_are_refused() {
        let values = ints(&[1, 1, 1, 1, 2, 2, 3, 4]);
        let bound = bound(F::HeavyHitters(2), &values).unwrap();
        let answer = |items: &[(i64, i64)]| {
            let record = |(v, c): &(i64, i64)| {
                Value::Record(vec![("value".into(), Value::Int(*v)), ("count".into(), Value::Int(*c))].into())
            };
            Value::List(items.iter().map(record).collect::<Vec<_>>().into())
        };
        assert!(bound.admits(&answer(&[(1, 2), (4, 1)])));
        assert!(!bound.admits(&answer(&[(4, 1)])), "1 makes up half and is not there");
        assert!(!bound.admits(&answer(&[(1, 1)])), "short by more than 8/3");
        assert!(!bound.admits(&answer(&[(1, 5)])), "more than there are");
        assert!(bound.admits(&of(F::HeavyHitters(2), &values)));
    }

    proptest! {
        #[test]
        fn sums_and_variances_do_not_depend_on_order(values in proptest::collection::vec(-1e12f64..1e12, 1..40), turn in 0usize..40) {
            let mut turned = values.clone();
            turned.rotate_left(turn % values.len());
            turned.reverse();
            prop_assert_eq!(sum(&values).to_bits(), sum(&turned).to_bits());
            prop_assert_eq!(spread(&values).to_bits(), spread(&turned).to_bits());
        }

        #[test]
        fn a_sum_and_that_of_the_negatives_are_opposite(values in proptest::collection::vec(-1e300f64..1e300, 1..40)) {
            let negated: Vec<f64> = values.iter().map(|x| -x).collect();
            prop_assert_eq!(sum(&values), -sum(&negated));
        }

        #[test]
        fn the_spread_of_whole_numbers_is_exact(values in proptest::collection::vec(-1_000_000i64..1_000_000, 1..40)) {
            let floats: Vec<f64> = values.iter().map(|v| *v as f64).collect();
            let wide: Vec<i128> = values.iter().map(|v| i128::from(*v)).collect();
            let s: i128 = wide.iter().sum();
            let exact = wide.len() as i128 * wide.iter().map(|v| v * v).sum::<i128>() - s * s;
            prop_assert_eq!(spread(&floats), exact as f64);
        }

        #[test]
        fn the_exact_answer_keeps_to_the_bound_of_the_sketch(values in proptest::collection::vec(0i64..50, 1..60), q in 0.0f64..=1.0) {
            let values = ints(&values);
            for f in [F::ApproxQuantile(q), F::ApproxCountDistinct, F::HeavyHitters(3)] {
                prop_assert!(bound(f, &values).unwrap().admits(&of(f, &values)));
            }
        }
    }
}
