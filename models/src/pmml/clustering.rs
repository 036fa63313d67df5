//! `ClusteringModel`: the nearest centre.

use super::PmmlError;
use super::models::Outcome;
use super::scope::{Scope, Values};
use super::value::{Value, numbers};
use super::xml::Element;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Measure {
    Euclidean,
    SquaredEuclidean,
    CityBlock,
    Chebychev,
    Minkowski(f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Compare {
    Difference,
    /// 0 when equal, else 1.
    Delta,
    /// 1 when equal, else 0.
    Equal,
}

#[derive(Debug)]
struct Field {
    slot: usize,
    weight: f64,
    missing_weight: f64,
    compare: Compare,
}

/// Clusters with centres.
#[derive(Debug)]
pub(super) struct Clustering {
    measure: Measure,
    fields: Vec<Field>,
    clusters: Vec<(Arc<str>, Vec<f64>)>,
}

impl Clustering {
    pub(super) fn read(element: &Element, scope: &Scope<'_>) -> Result<Self, PmmlError> {
        element.need("modelClass")?;
        element.choice("modelClass", &[("centerBased", ())])?;
        let comparison = element.need_child("ComparisonMeasure")?;
        comparison.choice("kind", &[("distance", ())])?;
        let usual = compare(comparison, "compareFunction", Compare::Difference)?;
        let measure = match comparison.children().next() {
            Some(kind) => match kind.name.as_str() {
                "euclidean" => Measure::Euclidean,
                "squaredEuclidean" => Measure::SquaredEuclidean,
                "cityBlock" => Measure::CityBlock,
                "chebychev" => Measure::Chebychev,
                "minkowski" => Measure::Minkowski(kind.need_number("p-parameter")?),
                other => return Err(kind.place.unsupported(format!("<{other}> as a measure"))),
            },
            None => return Err(comparison.place.invalid("<ComparisonMeasure> needs a measure")),
        };
        let mut fields = Vec::new();
        for field in element.all("ClusteringField") {
            field.only(&[])?;
            if field.attribute("isCenterField") == Some("false") {
                continue;
            }
            fields.push(Field {
                slot: scope.field(field, "field")?.slot,
                weight: field.number("fieldWeight")?.unwrap_or(1.0),
                missing_weight: 1.0,
                compare: compare(field, "compareFunction", usual)?,
            });
        }
        if let Some(weights) = element.child("MissingValueWeights") {
            let weights = numbers(weights.need_child("Array")?)?;
            if weights.len() != fields.len() {
                return Err(element
                    .place
                    .invalid("<MissingValueWeights> does not have a weight for each field"));
            }
            fields
                .iter_mut()
                .zip(weights)
                .for_each(|(field, weight)| field.missing_weight = weight);
        }
        let mut clusters: Vec<(Arc<str>, Vec<f64>)> = Vec::new();
        for (index, cluster) in element.all("Cluster").enumerate() {
            let array = cluster.need_child("Array")?;
            let centre = numbers(array)?;
            if centre.len() != fields.len() {
                return Err(array.place.invalid("the centre does not have a number for each field"));
            }
            let name = cluster.attribute("id").or(cluster.attribute("name"));
            clusters.push((name.map_or_else(|| (index + 1).to_string().into(), Arc::from), centre));
        }
        if clusters.is_empty() || fields.is_empty() {
            return Err(element.place.invalid("<ClusteringModel> needs fields and clusters"));
        }
        Ok(Self {
            measure,
            fields,
            clusters,
        })
    }

    /// The names of the clusters.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.clusters.iter().map(|(name, _)| name)
    }

    fn distance(&self, centre: &[f64], values: &Values) -> Option<f64> {
        let (mut sum, mut there, mut all) = (0.0, 0.0, 0.0);
        for (field, centre) in self.fields.iter().zip(centre) {
            all += field.missing_weight;
            let value = &values[field.slot];
            if value.is_missing() {
                continue;
            }
            let x = value.number()?;
            there += field.missing_weight;
            let apart = match field.compare {
                Compare::Difference => (x - centre).abs(),
                Compare::Delta => f64::from(u8::from(x != *centre)),
                Compare::Equal => f64::from(u8::from(x == *centre)),
            };
            match self.measure {
                Measure::Euclidean | Measure::SquaredEuclidean => sum += field.weight * apart * apart,
                Measure::CityBlock => sum += field.weight * apart,
                Measure::Chebychev => sum = f64::max(sum, field.weight * apart),
                Measure::Minkowski(p) => sum += field.weight * apart.powf(p),
            }
        }
        if there <= 0.0 {
            return None;
        }
        // Missing values: as if the fields that are there stood for all.
        let sum = if self.measure == Measure::Chebychev {
            sum
        } else {
            sum * all / there
        };
        Some(match self.measure {
            Measure::Euclidean => sum.sqrt(),
            Measure::Minkowski(p) => sum.powf(1.0 / p),
            Measure::SquaredEuclidean | Measure::CityBlock | Measure::Chebychev => sum,
        })
    }

    pub(super) fn ask(&self, values: &Values) -> Outcome {
        let mut affinities: Vec<(Arc<str>, f64)> = Vec::with_capacity(self.clusters.len());
        let mut best: Option<(usize, f64)> = None;
        for (index, (name, centre)) in self.clusters.iter().enumerate() {
            let Some(distance) = self.distance(centre, values) else {
                return Outcome::default();
            };
            if best.is_none_or(|(_, least)| distance < least) {
                best = Some((index, distance));
            }
            affinities.push((name.clone(), distance));
        }
        let name = best.map(|(index, _)| self.clusters[index].0.clone());
        Outcome {
            value: name.clone().map(Value::Text),
            affinities,
            entity: name,
            ..Outcome::default()
        }
    }
}

fn compare(element: &Element, attribute: &str, usual: Compare) -> Result<Compare, PmmlError> {
    match element.attribute(attribute) {
        None => Ok(usual),
        Some(_) => element.choice(
            attribute,
            &[
                ("absDiff", Compare::Difference),
                ("delta", Compare::Delta),
                ("equal", Compare::Equal),
            ],
        ),
    }
}
