//! From the features of an event to the numbers that an arithmetic learner works on.

use crate::{FeatureKind, ModelError, Schema};
use serde::{Deserialize, Serialize};

/// Running means and variances of the numeric features, to bring each to mean 0 and standard deviation 1.
///
/// B. P. Welford, "Note on a method for calculating corrected sums of squares and products", Technometrics 4, 1962;
/// variances are divided by the count. A feature that never varied becomes 0. As in river's `StandardScaler`, an
/// example is first taken into the means and then scaled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scaler {
    seen: u64,
    means: Vec<f64>,
    variances: Vec<f64>,
}

impl Scaler {
    fn new(width: usize) -> Self {
        Self {
            seen: 0,
            means: vec![0.0; width],
            variances: vec![0.0; width],
        }
    }

    fn learn(&mut self, features: &[f64]) {
        self.seen += 1;
        let count = self.seen as f64;
        for ((mean, variance), value) in self.means.iter_mut().zip(&mut self.variances).zip(features) {
            let before = *mean;
            *mean += (value - before) / count;
            *variance += ((value - before) * (value - *mean) - *variance) / count;
        }
    }

    fn scale(&self, index: usize, value: f64) -> f64 {
        let deviation = self.variances[index].sqrt();
        if deviation > 0.0 {
            (value - self.means[index]) / deviation
        } else {
            0.0
        }
    }
}

/// What a learner does to the features before it looks at them: numbers are scaled if it was asked for, a category
/// becomes one number for each of its values, 1 for the one that it has and 0 for the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    schema: Schema,
    scaler: Option<Scaler>,
}

impl Inputs {
    pub(crate) fn new(schema: Schema, scale: bool) -> Self {
        let scaler = scale.then(|| Scaler::new(schema.width()));
        Self { schema, scaler }
    }

    /// The features before this step.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// How many numbers come out.
    pub(crate) fn width(&self) -> usize {
        self.schema
            .features()
            .iter()
            .map(|f| match &f.kind {
                FeatureKind::Number => 1,
                FeatureKind::Category(values) => values.len(),
            })
            .sum()
    }

    /// The numbers of an event that is asked about.
    ///
    /// # Errors
    /// As [`Schema::check`].
    pub(crate) fn of(&self, features: &[f64]) -> Result<Vec<f64>, ModelError> {
        self.schema.check(features)?;
        Ok(expand(&self.schema, self.scaler.as_ref(), features))
    }

    /// The numbers of an event that is learned from, and the inputs as they are afterwards.
    pub(crate) fn learn(&self, features: &[f64]) -> Result<(Vec<f64>, Option<Scaler>), ModelError> {
        self.schema.check(features)?;
        let mut scaler = self.scaler.clone();
        if let Some(scaler) = &mut scaler {
            scaler.learn(features);
            if let Some(at) = scaler.variances.iter().position(|v| !v.is_finite()) {
                return Err(ModelError::Diverged {
                    parameter: format!("variance of {at}"),
                });
            }
        }
        Ok((expand(&self.schema, scaler.as_ref(), features), scaler))
    }

    /// Whether the scaler, if there is one, is of the schema's width.
    pub(crate) fn fits(&self) -> bool {
        self.scaler
            .as_ref()
            .is_none_or(|s| s.means.len() == self.schema.width() && s.variances.len() == self.schema.width())
    }

    /// Roughly how many bytes it takes, with a weight for each number that comes out.
    pub(crate) fn state_bytes(&self) -> usize {
        let scaled = if self.scaler.is_some() {
            2 * self.schema.width()
        } else {
            0
        };
        size_of::<Self>() + (self.width() + scaled) * size_of::<f64>()
    }

    pub(crate) fn commit(&mut self, scaler: Option<Scaler>) {
        self.scaler = scaler;
    }
}

fn expand(schema: &Schema, scaler: Option<&Scaler>, features: &[f64]) -> Vec<f64> {
    let mut out = Vec::with_capacity(features.len());
    for (index, (feature, &value)) in schema.features().iter().zip(features).enumerate() {
        match &feature.kind {
            FeatureKind::Number => out.push(scaler.map_or(value, |s| s.scale(index, value))),
            FeatureKind::Category(values) => {
                out.extend((0..values.len()).map(|v| if v as f64 == value { 1.0 } else { 0.0 }));
            }
        }
    }
    out
}
