//! `Scorecard`: partial scores that are added up, and the reasons for them.

use super::PmmlError;
use super::expression::{self, Expression, Names};
use super::models::Outcome;
use super::predicate::{PREDICATES, Predicate, read_child};
use super::scope::{Builder, Scope, Values};
use super::value::Value;
use super::xml::Element;
use std::sync::Arc;

#[derive(Debug)]
struct Attribute {
    predicate: Predicate,
    score: Expression,
    reason: Option<Arc<str>>,
}

#[derive(Debug)]
struct Characteristic {
    baseline: f64,
    attributes: Vec<Attribute>,
}

/// A scorecard.
#[derive(Debug)]
pub(super) struct Scorecard {
    initial: f64,
    /// Whether a score below the baseline is what needs a reason.
    points_below: bool,
    characteristics: Vec<Characteristic>,
}

impl Scorecard {
    pub(super) fn read(element: &Element, scope: &Scope<'_>, builder: &mut Builder) -> Result<Self, PmmlError> {
        let points_below = element.choice("reasonCodeAlgorithm", &[("pointsBelow", true), ("pointsAbove", false)])?;
        let usual = element.number("baselineScore")?.unwrap_or(0.0);
        let list = element.need_child("Characteristics")?;
        list.only(&["Characteristic"])?;
        let mut characteristics = Vec::new();
        for characteristic in list.all("Characteristic") {
            characteristic.only(&["Attribute"])?;
            let reason = characteristic.attribute("reasonCode");
            let mut attributes = Vec::new();
            for attribute in characteristic.all("Attribute") {
                let mut understood = vec!["ComplexPartialScore"];
                understood.extend(PREDICATES);
                attribute.only(&understood)?;
                let score = match attribute.child("ComplexPartialScore") {
                    Some(score) => expression::read_child(score, Names::Fields(scope), builder)?,
                    None => Expression::Constant(Value::Number(attribute.need_number("partialScore")?)),
                };
                attributes.push(Attribute {
                    predicate: read_child(attribute, scope)?,
                    score,
                    reason: attribute.attribute("reasonCode").or(reason).map(Arc::from),
                });
            }
            let baseline = characteristic.number("baselineScore")?.unwrap_or(usual);
            characteristics.push(Characteristic { baseline, attributes });
        }
        if characteristics.is_empty() {
            return Err(list.place.invalid("<Characteristics> needs a <Characteristic>"));
        }
        Ok(Self {
            initial: element.number("initialScore")?.unwrap_or(0.0),
            points_below,
            characteristics,
        })
    }

    /// The sum of the first partial score that holds in each characteristic; none when one has none.
    pub(super) fn ask(&self, values: &Values) -> Outcome {
        let mut sum = self.initial;
        let mut reasons: Vec<(Arc<str>, f64)> = Vec::new();
        for characteristic in &self.characteristics {
            let holds = |a: &&Attribute| a.predicate.holds(values) == Some(true);
            let Some(attribute) = characteristic.attributes.iter().find(holds) else {
                return Outcome::default();
            };
            let Some(score) = attribute.score.value(values).number() else {
                return Outcome::default();
            };
            sum += score;
            if let Some(reason) = &attribute.reason {
                let away = characteristic.baseline - score;
                let away = if self.points_below { away } else { -away };
                match reasons.iter_mut().find(|(r, _)| r == reason) {
                    Some((_, points)) => *points += away,
                    None => reasons.push((reason.clone(), away)),
                }
            }
        }
        reasons.retain(|(_, points)| *points >= 0.0);
        reasons.sort_by(|a, b| b.1.total_cmp(&a.1));
        Outcome {
            reasons: reasons.into_iter().map(|(reason, _)| reason).collect(),
            ..Outcome::number(sum)
        }
    }
}
