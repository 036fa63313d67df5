//! `MiningModel`: models that vote, are averaged, are chosen from, or feed one another.

use super::models::{MODELS, Model, Outcome, Task};
use super::predicate::{PREDICATES, Predicate, read_child};
use super::scope::{Builder, Scope, Values};
use super::value::Value;
use super::xml::Element;
use super::{Failure, PmmlError};
use std::sync::Arc;

/// How the answers of the segments become one.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Method {
    MajorityVote,
    WeightedMajorityVote,
    Average,
    WeightedAverage,
    Median,
    WeightedMedian,
    Max,
    Sum,
    WeightedSum,
    SelectFirst,
    Chain,
}

/// What a segment without an answer does to the whole.
#[derive(Debug, Clone, Copy, PartialEq)]
enum OnMissing {
    Continue,
    SkipSegment,
    ReturnMissing,
}

#[derive(Debug)]
struct Segment {
    predicate: Predicate,
    weight: f64,
    model: Model,
}

/// Models in segments.
#[derive(Debug)]
pub(super) struct Mining {
    task: Task,
    method: Method,
    on_missing: OnMissing,
    threshold: f64,
    segments: Vec<Segment>,
}

impl Mining {
    pub(super) fn read(
        element: &Element,
        task: Task,
        scope: &mut Scope<'_>,
        builder: &mut Builder,
    ) -> Result<Self, PmmlError> {
        let segmentation = element.need_child("Segmentation")?;
        segmentation.only(&["Segment"])?;
        segmentation.need("multipleModelMethod")?;
        let method = segmentation.choice(
            "multipleModelMethod",
            &[
                ("majorityVote", Method::MajorityVote),
                ("weightedMajorityVote", Method::WeightedMajorityVote),
                ("average", Method::Average),
                ("weightedAverage", Method::WeightedAverage),
                ("median", Method::Median),
                ("weightedMedian", Method::WeightedMedian),
                ("max", Method::Max),
                ("sum", Method::Sum),
                ("weightedSum", Method::WeightedSum),
                ("selectFirst", Method::SelectFirst),
                ("modelChain", Method::Chain),
            ],
        )?;
        let votes = matches!(method, Method::MajorityVote | Method::WeightedMajorityVote);
        let chooses = matches!(method, Method::SelectFirst | Method::Chain);
        let averages = matches!(method, Method::Average | Method::WeightedAverage);
        let fits = match task {
            Task::Regression => !votes,
            Task::Classification => votes || chooses || averages,
            Task::Clustering => chooses,
        };
        if !fits {
            let name = segmentation.attribute("multipleModelMethod").unwrap_or_default();
            return Err(segmentation
                .place
                .unsupported(format!("`multipleModelMethod=\"{name}\"` for this task")));
        }
        let on_missing = segmentation.choice(
            "missingPredictionTreatment",
            &[
                ("continue", OnMissing::Continue),
                ("skipSegment", OnMissing::SkipSegment),
                ("returnMissing", OnMissing::ReturnMissing),
            ],
        )?;
        let threshold = segmentation.number("missingThreshold")?.unwrap_or(1.0);
        let mut segments = Vec::new();
        for segment in segmentation.all("Segment") {
            let understood: Vec<&str> = PREDICATES.iter().chain(&MODELS).copied().collect();
            segment.only(&understood)?;
            let inner = segment.children().find(|c| MODELS.contains(&c.name.as_str()));
            let inner = inner.ok_or_else(|| segment.place.invalid("<Segment> needs a model"))?;
            let predicate = read_child(segment, scope)?;
            let model = Model::read(inner, scope, None, builder)?;
            if method == Method::Chain {
                for (name, field) in model.output_fields(inner)? {
                    scope.add(&name, field);
                }
            } else if model.task != task {
                return Err(inner
                    .place
                    .invalid("the model of a <Segment> has another `functionName`"));
            }
            segments.push(Segment {
                predicate,
                weight: segment.number("weight")?.unwrap_or(1.0),
                model,
            });
        }
        match segments.last() {
            None => Err(segmentation.place.invalid("<Segmentation> needs a <Segment>")),
            Some(last) if method == Method::Chain && last.model.task != task => Err(segmentation
                .place
                .invalid("the last model of a chain has another `functionName`")),
            Some(_) => Ok(Self {
                task,
                method,
                on_missing,
                threshold,
                segments,
            }),
        }
    }

    /// The last model.
    pub(super) fn last(&self) -> Option<&Model> {
        self.segments.last().map(|s| &s.model)
    }

    pub(super) fn ask(&self, values: &mut Values) -> Result<Outcome, Failure> {
        let mut answers: Vec<(f64, Outcome)> = Vec::new();
        let (mut tried, mut missing) = (0.0, 0.0);
        let mut last = Outcome::default();
        for segment in &self.segments {
            if segment.predicate.holds(values) != Some(true) {
                continue;
            }
            let outcome = segment.model.ask(values)?;
            if self.method == Method::SelectFirst {
                return Ok(outcome);
            }
            tried += segment.weight;
            if outcome.value.is_none() {
                missing += segment.weight;
                match self.on_missing {
                    OnMissing::ReturnMissing => return Ok(Outcome::default()),
                    OnMissing::SkipSegment => continue,
                    OnMissing::Continue => {}
                }
            }
            if self.method == Method::Chain {
                last = outcome;
            } else {
                answers.push((segment.weight, outcome));
            }
        }
        if self.method == Method::Chain {
            return Ok(last);
        }
        if self.on_missing == OnMissing::SkipSegment && missing > 0.0 && missing / tried >= self.threshold {
            return Ok(Outcome::default());
        }
        Ok(if self.task == Task::Regression {
            self.number(&answers)
        } else {
            self.class(&answers)
        })
    }

    fn number(&self, answers: &[(f64, Outcome)]) -> Outcome {
        let numbers: Option<Vec<(f64, f64)>> = answers
            .iter()
            .map(|(weight, o)| Some((*weight, o.value.as_ref()?.number()?)))
            .collect();
        let mut numbers = match numbers {
            Some(numbers) if !numbers.is_empty() => numbers,
            _ => return Outcome::default(),
        };
        let count = numbers.len() as f64;
        let total: f64 = numbers.iter().map(|(weight, _)| weight).sum();
        let sum = || numbers.iter().map(|(_, x)| x).sum::<f64>();
        let weighted = || numbers.iter().map(|(weight, x)| weight * x).sum::<f64>();
        let number = match self.method {
            Method::Average => sum() / count,
            Method::WeightedAverage => weighted() / total,
            Method::Sum => sum(),
            Method::WeightedSum => weighted(),
            Method::Max => numbers.iter().map(|(_, x)| *x).fold(f64::NEG_INFINITY, f64::max),
            Method::Median => {
                numbers.sort_by(|a, b| a.1.total_cmp(&b.1));
                let middle = numbers.len() / 2;
                if numbers.len() % 2 == 1 {
                    numbers[middle].1
                } else {
                    (numbers[middle - 1].1 + numbers[middle].1) / 2.0
                }
            }
            Method::WeightedMedian => {
                numbers.sort_by(|a, b| a.1.total_cmp(&b.1));
                let mut below = 0.0;
                let half = numbers.iter().find(|(weight, _)| {
                    below += weight;
                    below >= 0.5 * total
                });
                half.map_or(f64::NAN, |(_, x)| *x)
            }
            Method::MajorityVote | Method::WeightedMajorityVote | Method::SelectFirst | Method::Chain => f64::NAN,
        };
        if number.is_nan() {
            Outcome::default()
        } else {
            Outcome::number(number)
        }
    }

    fn class(&self, answers: &[(f64, Outcome)]) -> Outcome {
        let averages = matches!(self.method, Method::Average | Method::WeightedAverage);
        let weighs = matches!(self.method, Method::WeightedMajorityVote | Method::WeightedAverage);
        let mut classes: Vec<(Arc<str>, f64)> = Vec::new();
        let mut add = |class: &Arc<str>, weight: f64| match classes.iter_mut().find(|(c, _)| c == class) {
            Some((_, sum)) => *sum += weight,
            None => classes.push((class.clone(), weight)),
        };
        let mut total = 0.0;
        for (weight, outcome) in answers {
            let weight = if weighs { *weight } else { 1.0 };
            match &outcome.value {
                Some(Value::Text(_)) if averages && !outcome.probabilities.is_empty() => {
                    outcome
                        .probabilities
                        .iter()
                        .for_each(|(class, p)| add(class, weight * p));
                }
                Some(Value::Text(class)) if !averages => add(class, weight),
                _ => return Outcome::default(),
            }
            total += weight;
        }
        if total <= 0.0 {
            return Outcome::default();
        }
        classes.iter_mut().for_each(|(_, sum)| *sum /= total);
        Outcome::classes(classes)
    }
}
