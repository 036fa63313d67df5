//! Generated sources at work: when each event comes and what is in it, each decided by a draw keyed by the source, the
//! field and the event's number over all nodes of the source. Memory does not grow with the number of events.

use std::hash::{Hash, Hasher};

use arcstr::ArcStr;
use indexmap::IndexMap;
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::Xxh3Default;

use crate::draw::{DrawKey, name_key};
use crate::generate::{FieldGenerator, Number, Rate};
use crate::random;
use crate::schema::FieldType;
use crate::shapes::Shape;
use crate::time::Span;
use crate::value::Value;

/// When events come, as spans since the start, ascending.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    rate: Rate,
    key: DrawKey,
    source: u64,
    next: u64,
    /// For Poisson: where the last event was, in microseconds.
    at: f64,
    /// For curves: which piece, and its integral up to its beginning.
    piece: usize,
    before: f64,
}

impl Arrivals {
    pub fn new(rate: &Rate, source: &str, seed: u64) -> Self {
        Self {
            rate: rate.clone(),
            key: DrawKey::new(seed, source, "gap", source),
            source: name_key(source),
            next: 0,
            at: 0.0,
            piece: 0,
            before: 0.0,
        }
    }

    /// The time of the next event; `None` when no more come.
    pub fn next(&mut self) -> Option<Span> {
        let number = self.next;
        self.next += 1;
        match &self.rate {
            Rate::Even(rate) => Some(Span::from_micros_f64(number as f64 * 1e6 / rate)),
            Rate::Poisson(rate) => {
                let gap = random::exp1(&mut self.key.rng(self.source, number, 0));
                self.at += gap * 1e6 / rate;
                Some(Span::from_micros_f64(self.at))
            }
            Rate::Bursts { size, every } => {
                let micros = i64::try_from(number / size).ok()?.checked_mul(every.micros())?;
                Some(Span::from_micros(micros))
            }
            Rate::Curve(points) => {
                let wanted = (number + 1) as f64;
                loop {
                    let (from, low) = points[self.piece];
                    let Some((to, high)) = points.get(self.piece + 1).copied() else {
                        // Behind the last point the rate stays as it is.
                        let more = (wanted - self.before) / low;
                        return (low > 0.0).then(|| Span::from_micros_f64(from.micros() as f64 + more * 1e6));
                    };
                    let length = (to - from).as_secs_f64();
                    let area = (low + high) / 2.0 * length;
                    let missing = wanted - self.before;
                    if missing > area {
                        self.before += area;
                        self.piece += 1;
                        continue;
                    }
                    // low·t + slope·t²/2 = missing, solved in the form that does not cancel.
                    let slope = (high - low) / length;
                    let root = libm::sqrt((low * low + 2.0 * slope * missing).max(0.0));
                    let t = if low + root > 0.0 {
                        2.0 * missing / (low + root)
                    } else {
                        length
                    };
                    return Some(Span::from_micros_f64(from.micros() as f64 + t.min(length) * 1e6));
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Draw {
    Constant(Value),
    Sequence(i64),
    UniformInt {
        low: i64,
        width: u64,
    },
    UniformFloat {
        low: f64,
        width: f64,
    },
    Normal {
        mean: f64,
        sd: f64,
    },
    LogNormal {
        mu: f64,
        sigma: f64,
    },
    Exp(f64),
    /// Cumulative shares, ascending to 1, and the values.
    Table {
        shares: Box<[f64]>,
        values: Box<[Value]>,
    },
    Walk {
        start: f64,
        step: f64,
        by: Option<usize>,
    },
}

/// A generated field, ready to be drawn from.
#[derive(Clone, Debug)]
struct Field {
    draw: Draw,
    key: DrawKey,
    /// For walks: where each walk is.
    walks: FxHashMap<Value, f64>,
}

/// The fields of a generated source at one seed.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    fields: Vec<Field>,
    /// The fields that must be computed for every event, whoever sends it: walks, and what they walk by.
    stateful: Vec<usize>,
    source: u64,
}

impl Fields {
    pub fn new(fields: &IndexMap<ArcStr, FieldGenerator>, source: &str, seed: u64) -> Self {
        let compiled: Vec<Field> = fields
            .iter()
            .map(|(name, generator)| Field {
                draw: compile(generator, fields),
                key: DrawKey::new(seed, source, name, "field"),
                walks: FxHashMap::default(),
            })
            .collect();
        let walks = |field: &Field| matches!(field.draw, Draw::Walk { .. });
        Self {
            stateful: (0..compiled.len()).filter(|i| walks(&compiled[*i])).collect(),
            fields: compiled,
            source: name_key(source),
        }
    }

    /// Fills `row` with the fields of the event of that number.
    pub fn fill(&mut self, number: u64, row: &mut Vec<Value>) {
        row.clear();
        for field in &self.fields {
            row.push(field.value(self.source, number));
        }
        self.walk(number, row);
    }

    /// Lets the event of that number pass by: walks go on.
    pub fn skip(&mut self, number: u64, scratch: &mut Vec<Value>) {
        if self.stateful.is_empty() {
            return;
        }
        scratch.clear();
        scratch.resize(self.fields.len(), Value::Null);
        for walk in &self.stateful {
            if let Draw::Walk { by: Some(by), .. } = self.fields[*walk].draw {
                scratch[by] = self.fields[by].value(self.source, number);
            }
        }
        self.walk(number, scratch);
    }

    fn walk(&mut self, number: u64, row: &mut [Value]) {
        for &index in &self.stateful {
            let field = &mut self.fields[index];
            if let Draw::Walk { start, step, by } = field.draw {
                let key = by.map_or(Value::Null, |by| row[by].clone());
                let change = step * random::normal(&mut field.key.rng(self.source, number, 0));
                let at = field.walks.entry(key).and_modify(|at| *at += change).or_insert(start);
                row[index] = Value::Float(*at);
            }
        }
    }
}

impl Field {
    fn value(&self, source: u64, number: u64) -> Value {
        let mut rng = match &self.draw {
            Draw::Constant(value) => return value.clone(),
            Draw::Sequence(from) => return Value::Int(from.saturating_add_unsigned(number)),
            Draw::Walk { .. } => return Value::Null,
            _ => self.key.rng(source, number, 0),
        };
        match &self.draw {
            Draw::UniformInt { low, width } => {
                use rand::Rng as _;
                let share = (u128::from(rng.next_u64()) * (u128::from(*width) + 1)) >> 64;
                Value::Int(low.wrapping_add_unsigned(share as u64))
            }
            Draw::UniformFloat { low, width } => Value::Float(low + width * random::unit(&mut rng)),
            Draw::Normal { mean, sd } => Value::Float(mean + sd * random::normal(&mut rng)),
            Draw::LogNormal { mu, sigma } => Value::Float(libm::exp(mu + sigma * random::normal(&mut rng))),
            Draw::Exp(mean) => Value::Float(mean * random::exp1(&mut rng)),
            Draw::Table { shares, values } => {
                let u = random::unit(&mut rng);
                let index = shares.partition_point(|share| *share <= u);
                values[index.min(values.len() - 1)].clone()
            }
            Draw::Constant(_) | Draw::Sequence(_) | Draw::Walk { .. } => Value::Null,
        }
    }
}

fn compile(generator: &FieldGenerator, all: &IndexMap<ArcStr, FieldGenerator>) -> Draw {
    match generator {
        FieldGenerator::Constant(scalar) => Draw::Constant(scalar.into()),
        FieldGenerator::Sequence(from) => Draw::Sequence(*from),
        FieldGenerator::Uniform(Number::Int(low), Number::Int(high)) => Draw::UniformInt {
            low: *low,
            width: high.abs_diff(*low),
        },
        FieldGenerator::Uniform(low, high) => Draw::UniformFloat {
            low: low.as_f64(),
            width: high.as_f64() - low.as_f64(),
        },
        FieldGenerator::Normal(mean, sd) => Draw::Normal { mean: *mean, sd: *sd },
        FieldGenerator::LogNormal(mu, sigma) => Draw::LogNormal { mu: *mu, sigma: *sigma },
        FieldGenerator::Exp(mean) => Draw::Exp(*mean),
        FieldGenerator::Zipf {
            exponent,
            count,
            prefix,
            names,
        } => {
            let weights: Vec<f64> = (1..=*count).map(|rank| libm::pow(rank as f64, -exponent)).collect();
            let name = |rank: u64| match (names.get(rank as usize - 1), prefix) {
                (Some(name), _) => Value::text(name.as_str()),
                (None, Some(prefix)) => Value::text(format!("{prefix}{rank}")),
                (None, None) => Value::Int(rank as i64),
            };
            table(&weights, (1..=*count).map(name).collect())
        }
        FieldGenerator::Choice { values, weights } => {
            let even = vec![1.0; values.len()];
            table(
                if weights.is_empty() { &even } else { weights },
                values.iter().map(Value::from).collect(),
            )
        }
        FieldGenerator::Walk { start, step, by } => {
            let by = by.as_ref().and_then(|name| all.get_index_of(name.as_str()));
            Draw::Walk {
                start: *start,
                step: *step,
                by,
            }
        }
    }
}

fn table(weights: &[f64], values: Box<[Value]>) -> Draw {
    let total: f64 = weights.iter().sum();
    let mut sum = 0.0;
    let shares = weights.iter().map(|w| {
        sum += w;
        sum / total
    });
    Draw::Table {
        shares: shares.collect(),
        values,
    }
}

/// The type of what a generator makes.
pub(crate) fn shape_of(generator: &FieldGenerator) -> Shape {
    match generator {
        FieldGenerator::Constant(scalar) => Shape::of(&scalar.into()),
        FieldGenerator::Sequence(_) | FieldGenerator::Uniform(Number::Int(_), Number::Int(_)) => {
            Shape::of_type(FieldType::Int)
        }
        FieldGenerator::Uniform(..)
        | FieldGenerator::Normal(..)
        | FieldGenerator::LogNormal(..)
        | FieldGenerator::Exp(_)
        | FieldGenerator::Walk { .. } => Shape::of_type(FieldType::Float),
        FieldGenerator::Zipf { prefix, names, .. } => {
            let numbers = prefix.is_none() && names.is_empty();
            Shape::of_type(if numbers { FieldType::Int } else { FieldType::Text })
        }
        FieldGenerator::Choice { values, .. } => values
            .iter()
            .map(|v| Shape::of(&v.into()))
            .reduce(Shape::merge)
            .unwrap_or(Shape::ANY),
    }
}

/// Which of so many parts an event with this value belongs to.
pub(crate) fn part_of(value: &Value, parts: u32) -> u32 {
    let mut hasher = Xxh3Default::new();
    value.hash(&mut hasher);
    ((u128::from(hasher.finish()) * u128::from(parts)) >> 64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(rate: &Rate, count: usize) -> Vec<i64> {
        let mut arrivals = Arrivals::new(rate, "s", 1);
        std::iter::from_fn(|| arrivals.next())
            .take(count)
            .map(Span::micros)
            .collect()
    }

    #[test]
    fn even_events_keep_their_distance_without_drifting() {
        assert_eq!(times(&Rate::Even(3.0), 4), [0, 333_333, 666_667, 1_000_000]);
        let mut arrivals = Arrivals::new(&Rate::Even(3.0), "s", 1);
        arrivals.next = 3_000_000;
        assert_eq!(arrivals.next(), Some(Span::from_secs(1_000_000)));
    }

    #[test]
    fn bursts_come_together() {
        assert_eq!(
            times(
                &Rate::Bursts {
                    size: 2,
                    every: Span::from_secs(1)
                },
                5
            ),
            [0, 0, 1_000_000, 1_000_000, 2_000_000]
        );
    }

    #[test]
    fn a_curve_gives_as_many_events_as_its_area() {
        let s = Span::from_secs;
        let rise = Rate::Curve(vec![(s(0), 0.0), (s(10), 10.0)]);
        let at = times(&rise, 50);
        assert_eq!(at[49], 10_000_000, "the fiftieth event ends a triangle of area fifty");
        assert!(at.is_sorted());
        let falling = Rate::Curve(vec![(s(0), 10.0), (s(10), 0.0)]);
        assert_eq!(
            times(&falling, 100).len(),
            50,
            "behind a last rate of zero nothing comes"
        );
        let flat = Rate::Curve(vec![(s(0), 2.0)]);
        assert_eq!(times(&flat, 3), [500_000, 1_000_000, 1_500_000]);
    }

    #[test]
    fn poisson_events_come_at_their_rate() {
        let at = times(&Rate::Poisson(100.0), 100_000);
        let seconds = at[99_999] as f64 / 1e6;
        assert!((seconds / 1_000.0 - 1.0).abs() < 0.02, "{seconds}");
    }

    #[test]
    fn frequent_ranks_come_first_and_walks_go_on_over_skipped_events() {
        let fields: IndexMap<ArcStr, FieldGenerator> = IndexMap::from([
            (
                "k".into(),
                FieldGenerator::Zipf {
                    exponent: 1.0,
                    count: 3,
                    prefix: None,
                    names: vec![],
                },
            ),
            (
                "w".into(),
                FieldGenerator::Walk {
                    start: 5.0,
                    step: 1.0,
                    by: Some("k".into()),
                },
            ),
        ]);
        let (mut all, mut some) = (Fields::new(&fields, "s", 1), Fields::new(&fields, "s", 1));
        let (mut row, mut other, mut counts) = (vec![], vec![], [0; 4]);
        for number in 0..3_000 {
            all.fill(number, &mut row);
            if let Value::Int(k) = row[0] {
                counts[k as usize] += 1;
            }
            if number % 3 == 0 {
                some.fill(number, &mut other);
                assert_eq!(row, other);
            } else {
                some.skip(number, &mut other);
            }
        }
        assert!(
            counts[1] > counts[2] && counts[2] > counts[3] && counts[3] > 0,
            "{counts:?}"
        );
    }
}
