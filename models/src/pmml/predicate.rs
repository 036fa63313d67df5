//! Predicates: true, false, or unknown because a value is missing.

use super::PmmlError;
use super::expression::compare;
use super::scope::{Scope, Values};
use super::value::{Value, array, same};
use super::xml::Element;

/// The elements that are predicates.
pub(super) const PREDICATES: [&str; 5] = [
    "True",
    "False",
    "SimplePredicate",
    "SimpleSetPredicate",
    "CompoundPredicate",
];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    LessThan,
    LessOrEqual,
    GreaterThan,
    GreaterOrEqual,
    IsMissing,
    IsNotMissing,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Join {
    And,
    Or,
    Xor,
    /// The first that is known.
    Surrogate,
}

/// A predicate whose fields are resolved.
#[derive(Debug, Clone)]
pub(super) enum Predicate {
    Always(bool),
    Simple {
        slot: usize,
        operator: Operator,
        value: Value,
    },
    Set {
        slot: usize,
        values: Vec<Value>,
        inside: bool,
    },
    Compound {
        join: Join,
        of: Vec<Predicate>,
    },
}

/// The child of an element that is a predicate.
pub(super) fn read_child(parent: &Element, scope: &Scope<'_>) -> Result<Predicate, PmmlError> {
    match parent.children().find(|c| PREDICATES.contains(&c.name.as_str())) {
        Some(element) => read(element, scope),
        None => Err(parent.place.invalid(format!("<{}> needs a predicate", parent.name))),
    }
}

fn read(element: &Element, scope: &Scope<'_>) -> Result<Predicate, PmmlError> {
    match element.name.as_str() {
        "True" => Ok(Predicate::Always(true)),
        "False" => Ok(Predicate::Always(false)),
        "SimplePredicate" => {
            let field = scope.field(element, "field")?;
            element.need("operator")?;
            let operator = element.choice(
                "operator",
                &[
                    ("equal", Operator::Equal),
                    ("notEqual", Operator::NotEqual),
                    ("lessThan", Operator::LessThan),
                    ("lessOrEqual", Operator::LessOrEqual),
                    ("greaterThan", Operator::GreaterThan),
                    ("greaterOrEqual", Operator::GreaterOrEqual),
                    ("isMissing", Operator::IsMissing),
                    ("isNotMissing", Operator::IsNotMissing),
                ],
            )?;
            let value = match operator {
                Operator::IsMissing | Operator::IsNotMissing => Value::Missing,
                _ => field.kind.parse(element.need("value")?, element)?,
            };
            Ok(Predicate::Simple {
                slot: field.slot,
                operator,
                value,
            })
        }
        "SimpleSetPredicate" => {
            let field = scope.field(element, "field")?;
            element.need("booleanOperator")?;
            let inside = element.choice("booleanOperator", &[("isIn", true), ("isNotIn", false)])?;
            let items = array(element.need_child("Array")?)?;
            let values = items
                .iter()
                .map(|item| field.kind.parse(item, element))
                .collect::<Result<_, _>>()?;
            Ok(Predicate::Set {
                slot: field.slot,
                values,
                inside,
            })
        }
        "CompoundPredicate" => {
            element.need("booleanOperator")?;
            let join = element.choice(
                "booleanOperator",
                &[
                    ("and", Join::And),
                    ("or", Join::Or),
                    ("xor", Join::Xor),
                    ("surrogate", Join::Surrogate),
                ],
            )?;
            element.only(&PREDICATES)?;
            let of = element
                .children()
                .map(|child| read(child, scope))
                .collect::<Result<Vec<_>, _>>()?;
            if of.len() < 2 {
                return Err(element
                    .place
                    .invalid("<CompoundPredicate> needs two predicates or more"));
            }
            Ok(Predicate::Compound { join, of })
        }
        other => Err(element.place.unsupported(format!("<{other}> as a predicate"))),
    }
}

impl Predicate {
    /// Whether it holds; none when that cannot be known.
    pub(super) fn holds(&self, values: &Values) -> Option<bool> {
        match self {
            Self::Always(value) => Some(*value),
            Self::Simple { slot, operator, value } => {
                let is = &values[*slot];
                match operator {
                    Operator::IsMissing => return Some(is.is_missing()),
                    Operator::IsNotMissing => return Some(!is.is_missing()),
                    _ if is.is_missing() => return None,
                    Operator::Equal => return Some(same(is, value)),
                    Operator::NotEqual => return Some(!same(is, value)),
                    _ => {}
                }
                let order = compare(is, value)?;
                Some(match operator {
                    Operator::LessThan => order.is_lt(),
                    Operator::LessOrEqual => order.is_le(),
                    Operator::GreaterThan => order.is_gt(),
                    _ => order.is_ge(),
                })
            }
            Self::Set {
                slot,
                values: set,
                inside,
            } => {
                let is = &values[*slot];
                (!is.is_missing()).then(|| set.iter().any(|v| same(is, v)) == *inside)
            }
            Self::Compound { join, of } => {
                let each = of.iter().map(|p| p.holds(values));
                match join {
                    Join::Surrogate => each.flatten().next(),
                    Join::Xor => each.into_iter().try_fold(false, |sum, p| p.map(|p| sum ^ p)),
                    Join::And | Join::Or => {
                        let stop = *join == Join::Or;
                        let mut unknown = false;
                        for known in each {
                            match known {
                                Some(value) if value == stop => return Some(stop),
                                Some(_) => {}
                                None => unknown = true,
                            }
                        }
                        (!unknown).then_some(!stop)
                    }
                }
            }
        }
    }
}
