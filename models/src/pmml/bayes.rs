//! `NaiveBayesModel`: counts of categories and distributions of numbers in each class.

use super::PmmlError;
use super::expression::{self, Expression, Names};
use super::models::Outcome;
use super::regression::share;
use super::scope::{Builder, Scope, Values};
use super::value::{DataType, Value, same};
use super::xml::Element;
use std::sync::Arc;

#[derive(Debug, Clone, Copy)]
enum Distribution {
    Gaussian { mean: f64, variance: f64 },
    Poisson { mean: f64 },
}

impl Distribution {
    fn log(self, x: f64) -> f64 {
        match self {
            Self::Gaussian { mean, variance } => {
                -0.5 * ((std::f64::consts::TAU * variance).ln() + (x - mean) * (x - mean) / variance)
            }
            Self::Poisson { mean } => x * mean.ln() - mean - libm::lgamma(x + 1.0),
        }
    }
}

#[derive(Debug)]
enum Evidence {
    /// For each category the count in each class, and the count of each class.
    Counts {
        cells: Vec<(Value, Vec<f64>)>,
        totals: Vec<f64>,
    },
    Distributions(Vec<Distribution>),
}

#[derive(Debug)]
struct Input {
    of: Expression,
    evidence: Evidence,
}

/// A naive Bayes classifier.
#[derive(Debug)]
pub(super) struct Bayes {
    threshold: f64,
    classes: Vec<(Arc<str>, f64)>,
    inputs: Vec<Input>,
}

impl Bayes {
    pub(super) fn read(element: &Element, scope: &Scope<'_>, builder: &mut Builder) -> Result<Self, PmmlError> {
        let threshold = element.need_number("threshold")?;
        let output = element.need_child("BayesOutput")?;
        let mut classes: Vec<(Arc<str>, f64)> = Vec::new();
        for count in output.need_child("TargetValueCounts")?.all("TargetValueCount") {
            classes.push((Arc::from(count.need("value")?), count.need_number("count")?));
        }
        if classes.is_empty() || classes.iter().any(|(_, count)| *count < 0.0) {
            return Err(output
                .place
                .invalid("<BayesOutput> needs counts, none of them negative"));
        }
        let mut inputs = Vec::new();
        for input in element.need_child("BayesInputs")?.all("BayesInput") {
            input.only(&["DerivedField", "PairCounts", "TargetValueStats"])?;
            let (of, kind) = match input.child("DerivedField") {
                Some(derived) => {
                    let kind = derived.choice("dataType", &DataType::ALL)?;
                    let of = Box::new(expression::read_child(derived, Names::Fields(scope), builder)?);
                    (Expression::As { kind, of }, kind)
                }
                None => {
                    let field = scope.field(input, "fieldName")?;
                    (
                        Expression::Slot {
                            slot: field.slot,
                            missing: Value::Missing,
                        },
                        field.kind,
                    )
                }
            };
            let evidence = match input.child("TargetValueStats") {
                Some(stats) => Evidence::Distributions(distributions(stats, &classes)?),
                None => counts(input, kind, &classes)?,
            };
            inputs.push(Input { of, evidence });
        }
        Ok(Self {
            threshold,
            classes,
            inputs,
        })
    }

    pub(super) fn ask(&self, values: &Values) -> Outcome {
        let least = self.threshold.ln();
        let mut logs: Vec<f64> = self.classes.iter().map(|(_, count)| count.ln()).collect();
        for input in &self.inputs {
            let value = input.of.value(values);
            if value.is_missing() {
                continue;
            }
            for (index, log) in logs.iter_mut().enumerate() {
                match &input.evidence {
                    Evidence::Distributions(distributions) => match value.number() {
                        Some(x) => *log += distributions[index].log(x).max(least),
                        None => return Outcome::default(),
                    },
                    Evidence::Counts { cells, totals } => {
                        let Some((_, counts)) = cells.iter().find(|(v, _)| same(v, &value)) else {
                            continue;
                        };
                        let p = counts[index] / totals[index];
                        *log += if p > 0.0 { p.ln() } else { least };
                    }
                }
            }
        }
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if !most.is_finite() {
            return Outcome::default();
        }
        logs.iter_mut().for_each(|l| *l = (*l - most).exp());
        share(&mut logs);
        Outcome::classes(self.classes.iter().map(|(class, _)| class.clone()).zip(logs).collect())
    }
}

/// The index of a class.
fn place(classes: &[(Arc<str>, f64)], element: &Element) -> Result<usize, PmmlError> {
    let name = element.need("value")?;
    let found = classes.iter().position(|(class, _)| &**class == name);
    found.ok_or_else(|| element.place.invalid(format!("`{name}` is no class of <BayesOutput>")))
}

fn distributions(stats: &Element, classes: &[(Arc<str>, f64)]) -> Result<Vec<Distribution>, PmmlError> {
    let mut found = vec![None; classes.len()];
    for stat in stats.all("TargetValueStat") {
        stat.only(&["GaussianDistribution", "PoissonDistribution"])?;
        let distribution = match (stat.child("GaussianDistribution"), stat.child("PoissonDistribution")) {
            (Some(d), _) => {
                let (mean, variance) = (d.need_number("mean")?, d.need_number("variance")?);
                (variance > 0.0).then_some(Distribution::Gaussian { mean, variance })
            }
            (None, Some(d)) => {
                let mean = d.need_number("mean")?;
                (mean > 0.0).then_some(Distribution::Poisson { mean })
            }
            (None, None) => None,
        };
        let distribution =
            distribution.ok_or_else(|| stat.place.invalid("needs a distribution with a positive spread"))?;
        found[place(classes, stat)?] = Some(distribution);
    }
    let all: Option<Vec<_>> = found.into_iter().collect();
    all.ok_or_else(|| stats.place.invalid("a class has no <TargetValueStat>"))
}

fn counts(input: &Element, kind: DataType, classes: &[(Arc<str>, f64)]) -> Result<Evidence, PmmlError> {
    let (mut cells, mut totals) = (Vec::new(), vec![0.0; classes.len()]);
    for pair in input.all("PairCounts") {
        let mut row = vec![0.0; classes.len()];
        for count in pair.need_child("TargetValueCounts")?.all("TargetValueCount") {
            let index = place(classes, count)?;
            row[index] = count.need_number("count")?;
            totals[index] += row[index];
        }
        cells.push((kind.parse(pair.need("value")?, pair)?, row));
    }
    if cells.is_empty() {
        return Err(input.place.invalid("<BayesInput> needs counts or distributions"));
    }
    Ok(Evidence::Counts { cells, totals })
}
