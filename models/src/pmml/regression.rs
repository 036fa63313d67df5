//! `RegressionModel`: weighted sums, one for a number or one for each class.

use super::PmmlError;
use super::models::{Outcome, Task};
use super::scope::{Scope, Values};
use super::value::{Value, same};
use super::xml::Element;
use std::sync::Arc;

/// From a weighted sum to an answer.
#[derive(Debug, Clone, Copy)]
enum Normalization {
    None,
    SimpleMax,
    Softmax,
    /// An inverse link function.
    Link(fn(f64) -> f64),
}

/// The standard logistic function, without cut-off.
pub(super) fn logit(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The distribution function of the standard normal.
pub(super) fn probit(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// Complementary log-log.
pub(super) fn cloglog(x: f64) -> f64 {
    -(-x.exp()).exp_m1()
}

/// Log-log.
pub(super) fn loglog(x: f64) -> f64 {
    (-(-x).exp()).exp()
}

/// The distribution function of Cauchy.
pub(super) fn cauchit(x: f64) -> f64 {
    0.5 + x.atan() / std::f64::consts::PI
}

#[derive(Debug)]
enum Term {
    Numeric {
        slot: usize,
        exponent: f64,
        coefficient: f64,
    },
    Categorical {
        slot: usize,
        value: Value,
        coefficient: f64,
    },
    Product {
        slots: Vec<usize>,
        coefficient: f64,
    },
}

#[derive(Debug)]
struct Table {
    class: Option<Arc<str>>,
    intercept: f64,
    terms: Vec<Term>,
}

impl Table {
    fn read(element: &Element, scope: &Scope<'_>) -> Result<Self, PmmlError> {
        element.only(&["NumericPredictor", "CategoricalPredictor", "PredictorTerm"])?;
        let mut terms = Vec::new();
        for child in element.children() {
            let coefficient = child.need_number("coefficient")?;
            terms.push(match child.name.as_str() {
                "NumericPredictor" => Term::Numeric {
                    slot: scope.field(child, "name")?.slot,
                    exponent: child.number("exponent")?.unwrap_or(1.0),
                    coefficient,
                },
                "CategoricalPredictor" => {
                    let field = scope.field(child, "name")?;
                    let value = field.kind.parse(child.need("value")?, child)?;
                    Term::Categorical {
                        slot: field.slot,
                        value,
                        coefficient,
                    }
                }
                _ => {
                    child.only(&["FieldRef"])?;
                    let fields = child.all("FieldRef").map(|f| scope.field(f, "field").map(|f| f.slot));
                    Term::Product {
                        slots: fields.collect::<Result<_, _>>()?,
                        coefficient,
                    }
                }
            });
        }
        let class = element.attribute("targetCategory").map(Arc::from);
        Ok(Self {
            class,
            intercept: element.need_number("intercept")?,
            terms,
        })
    }

    /// The sum; none when a number is missing. A category that is missing adds nothing.
    fn sum(&self, values: &Values) -> Option<f64> {
        let mut sum = self.intercept;
        for term in &self.terms {
            match term {
                Term::Numeric {
                    slot,
                    exponent,
                    coefficient,
                } => {
                    let x = values[*slot].number()?;
                    sum += coefficient * if *exponent == 1.0 { x } else { x.powf(*exponent) };
                }
                Term::Categorical {
                    slot,
                    value,
                    coefficient,
                } => {
                    let is = &values[*slot];
                    if !is.is_missing() && same(is, value) {
                        sum += coefficient;
                    }
                }
                Term::Product { slots, coefficient } => {
                    let mut product = *coefficient;
                    for slot in slots {
                        product *= values[*slot].number()?;
                    }
                    sum += product;
                }
            }
        }
        Some(sum)
    }
}

/// A regression model.
#[derive(Debug)]
pub(super) struct Regression {
    task: Task,
    normalization: Normalization,
    tables: Vec<Table>,
}

impl Regression {
    pub(super) fn read(element: &Element, task: Task, scope: &Scope<'_>) -> Result<Self, PmmlError> {
        let normalization = element.choice(
            "normalizationMethod",
            &[
                ("none", Normalization::None),
                ("simplemax", Normalization::SimpleMax),
                ("softmax", Normalization::Softmax),
                ("logit", Normalization::Link(logit)),
                ("probit", Normalization::Link(probit)),
                ("cloglog", Normalization::Link(cloglog)),
                ("loglog", Normalization::Link(loglog)),
                ("cauchit", Normalization::Link(cauchit)),
                ("exp", Normalization::Link(f64::exp)),
            ],
        )?;
        let tables: Vec<Table> = element
            .all("RegressionTable")
            .map(|t| Table::read(t, scope))
            .collect::<Result<_, _>>()?;
        let wrong = |what: &str| Err(element.place.invalid(what));
        match task {
            Task::Regression if tables.len() != 1 => wrong("a regression needs one <RegressionTable>"),
            Task::Classification if tables.len() < 2 => wrong("a classification needs two <RegressionTable> or more"),
            Task::Classification if tables.iter().any(|t| t.class.is_none()) => {
                wrong("each <RegressionTable> of a classification needs `targetCategory`")
            }
            _ => Ok(Self {
                task,
                normalization,
                tables,
            }),
        }
    }

    pub(super) fn ask(&self, values: &Values) -> Outcome {
        let sums: Option<Vec<f64>> = self.tables.iter().map(|t| t.sum(values)).collect();
        let Some(mut sums) = sums else {
            return Outcome::default();
        };
        if self.task == Task::Regression {
            return Outcome::number(match self.normalization {
                Normalization::Softmax => logit(sums[0]),
                Normalization::Link(link) => link(sums[0]),
                Normalization::None | Normalization::SimpleMax => sums[0],
            });
        }
        let last = sums.len() - 1;
        match self.normalization {
            Normalization::None => sums[last] = 1.0 - sums[..last].iter().sum::<f64>(),
            Normalization::Link(link) if last == 1 => {
                sums[0] = link(sums[0]);
                sums[1] = 1.0 - sums[0];
            }
            Normalization::Link(link) => {
                sums.iter_mut().for_each(|s| *s = link(*s));
                share(&mut sums);
            }
            Normalization::SimpleMax => share(&mut sums),
            Normalization::Softmax => {
                let most = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                sums.iter_mut().for_each(|s| *s = (*s - most).exp());
                share(&mut sums);
            }
        }
        let classes = self.tables.iter().filter_map(|t| t.class.clone());
        Outcome::classes(classes.zip(sums).collect())
    }
}

/// Divides by the sum.
pub(super) fn share(sums: &mut [f64]) {
    let total: f64 = sums.iter().sum();
    sums.iter_mut().for_each(|s| *s /= total);
}
