//! How sure a number is: confidence intervals and tests.

use crate::ModelError;
use crate::error::open_unit;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal, StudentsT};

/// A range that holds the true value with a stated confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The confidence, between 0 and 1.
    pub confidence: f64,
}

fn failed(error: impl std::fmt::Display) -> ModelError {
    ModelError::State(error.to_string())
}

/// The share of successes in the long run, after so many of so many.
///
/// E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927: it stays
/// within 0 to 1 and holds for few events and shares near the ends.
///
/// # Errors
/// [`ModelError::Setting`] for a confidence outside 0 to 1, [`ModelError::Value`] without trials or with more
/// successes than trials.
pub fn share_interval(successes: u64, trials: u64, confidence: f64) -> Result<Interval, ModelError> {
    open_unit("confidence", confidence)?;
    if trials == 0 || successes > trials {
        let got = successes as f64;
        return Err(ModelError::Value {
            what: "the number of successes",
            must: "at most that of the trials",
            got,
        });
    }
    let z = Normal::standard().inverse_cdf(0.5 + confidence / 2.0);
    let (n, p) = (trials as f64, successes as f64 / trials as f64);
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    Ok(Interval {
        low: (middle - half).max(0.0),
        high: (middle + half).min(1.0),
        confidence,
    })
}

/// Mean and unbiased variance, in two passes.
fn moments(values: &[f64]) -> Result<(f64, f64), ModelError> {
    if values.len() < 2 {
        return Err(ModelError::NotReady(format!("{} values, it takes two", values.len())));
    }
    if let Some(value) = values.iter().find(|v| !v.is_finite()) {
        return Err(ModelError::Value {
            what: "a value of a sample",
            must: "finite",
            got: *value,
        });
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0);
    Ok((mean, variance))
}

/// The mean in the long run, by Student's distribution ("The probable error of a mean", Biometrika 6, 1908).
///
/// # Errors
/// [`ModelError::Setting`] for a confidence outside 0 to 1, [`ModelError::NotReady`] for fewer than two values,
/// [`ModelError::Value`] for one that is not finite.
pub fn mean_interval(values: &[f64], confidence: f64) -> Result<Interval, ModelError> {
    open_unit("confidence", confidence)?;
    let (mean, variance) = moments(values)?;
    let n = values.len() as f64;
    let t = StudentsT::new(0.0, 1.0, n - 1.0)
        .map_err(failed)?
        .inverse_cdf(0.5 + confidence / 2.0);
    let half = t * (variance / n).sqrt();
    Ok(Interval {
        low: mean - half,
        high: mean + half,
        confidence,
    })
}

/// The number that the mean in the long run is above, with a one-sided confidence.
///
/// # Errors
/// As [`mean_interval`].
pub fn mean_above(values: &[f64], confidence: f64) -> Result<f64, ModelError> {
    open_unit("confidence", confidence)?;
    let (mean, variance) = moments(values)?;
    let n = values.len() as f64;
    let t = StudentsT::new(0.0, 1.0, n - 1.0)
        .map_err(failed)?
        .inverse_cdf(confidence);
    Ok(mean - t * (variance / n).sqrt())
}

/// What a test says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// The statistic of the test.
    pub statistic: f64,
    /// How probable a statistic as far out is if there is no difference.
    pub p_value: f64,
}

/// Student's paired test, two-sided: do two models have the same mean loss on the same events?
///
/// # Errors
/// [`ModelError::Value`] when the two are not as long, else as [`mean_interval`]. With differences that do not vary
/// the p-value is 1 when they are 0 and 0 when they are not.
pub fn paired_t(a: &[f64], b: &[f64]) -> Result<Test, ModelError> {
    if a.len() != b.len() {
        let got = b.len() as f64;
        return Err(ModelError::Value {
            what: "the length of the second sample",
            must: "that of the first",
            got,
        });
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let (mean, variance) = moments(&differences)?;
    let n = differences.len() as f64;
    if variance == 0.0 {
        let statistic = if mean == 0.0 { 0.0 } else { f64::INFINITY.copysign(mean) };
        return Ok(Test {
            statistic,
            p_value: if mean == 0.0 { 1.0 } else { 0.0 },
        });
    }
    let statistic = mean / (variance / n).sqrt();
    let student = StudentsT::new(0.0, 1.0, n - 1.0).map_err(failed)?;
    Ok(Test {
        statistic,
        p_value: (2.0 * student.sf(statistic.abs())).min(1.0),
    })
}

/// McNemar's test, exact and two-sided: are two classifiers wrong as often on the same events?
///
/// Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
/// Psychometrika 12, 1947. Takes how often only the first was wrong and how often only the second was; the statistic
/// is the smaller of the two.
///
/// # Errors
/// [`ModelError::State`] when the counts are too large for the distribution.
pub fn mcnemar(only_first: u64, only_second: u64) -> Result<Test, ModelError> {
    let (least, total) = (only_first.min(only_second), only_first.saturating_add(only_second));
    if total == 0 {
        return Ok(Test {
            statistic: 0.0,
            p_value: 1.0,
        });
    }
    let p = 2.0 * Binomial::new(0.5, total).map_err(failed)?.cdf(least);
    Ok(Test {
        statistic: least as f64,
        p_value: p.min(1.0),
    })
}
