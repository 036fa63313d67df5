//! `GeneralRegressionModel`: parameters, each a product of factors and covariates, behind a link function.

use super::PmmlError;
use super::models::{Outcome, Task};
use super::regression::{cauchit, cloglog, logit, loglog, probit, share};
use super::scope::{Scope, Values};
use super::value::{Value, same};
use super::xml::Element;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Clone, Copy)]
enum Link {
    Inverse(fn(f64) -> f64),
    Power(f64),
}

impl Link {
    fn apply(self, x: f64) -> f64 {
        match self {
            Self::Inverse(function) => function(x),
            Self::Power(0.0) => x.exp(),
            Self::Power(power) => x.powf(1.0 / power),
        }
    }
}

/// A factor that must have a category, or a covariate to a power.
#[derive(Debug)]
enum Part {
    Is { slot: usize, value: Value },
    Power { slot: usize, exponent: f64 },
}

/// A parameter with its weight for each class.
#[derive(Debug)]
struct Parameter {
    parts: Vec<Part>,
    weights: Vec<(Option<Arc<str>>, f64)>,
}

/// A generalised linear model.
#[derive(Debug)]
pub(super) struct General {
    task: Task,
    /// Classes share by the exponentials of their sums.
    multinomial: bool,
    link: Link,
    parameters: Vec<Parameter>,
    /// Classes with weights, then the class that has none.
    classes: Vec<Arc<str>>,
    reference: Option<Arc<str>>,
    offset: Option<Offset>,
    trials: Option<Offset>,
}

#[derive(Debug, Clone, Copy)]
enum Offset {
    Value(f64),
    Slot(usize),
}

impl Offset {
    fn read(element: &Element, scope: &Scope<'_>, variable: &str, value: &str) -> Result<Option<Self>, PmmlError> {
        match element.attribute(variable) {
            Some(_) => Ok(Some(Self::Slot(scope.field(element, variable)?.slot))),
            None => Ok(element.number(value)?.map(Self::Value)),
        }
    }

    fn of(self, values: &Values) -> Option<f64> {
        match self {
            Self::Value(value) => Some(value),
            Self::Slot(slot) => values[slot].number(),
        }
    }
}

impl General {
    pub(super) fn read(element: &Element, task: Task, scope: &Scope<'_>) -> Result<Self, PmmlError> {
        element.need("modelType")?;
        let general = element.choice(
            "modelType",
            &[
                ("regression", false),
                ("generalLinear", false),
                ("multinomialLogistic", false),
                ("generalizedLinear", true),
            ],
        )?;
        if let Some(link) = element.attribute("cumulativeLink") {
            return Err(element.place.unsupported(format!("`cumulativeLink=\"{link}\"`")));
        }
        let link = if general {
            element.need("linkFunction")?;
            match element.attribute("linkFunction") {
                Some("power") => Link::Power(element.need_number("linkParameter")?),
                _ => element.choice(
                    "linkFunction",
                    &[
                        ("identity", Link::Inverse(|x| x)),
                        ("log", Link::Inverse(f64::exp)),
                        ("logit", Link::Inverse(logit)),
                        ("cloglog", Link::Inverse(cloglog)),
                        ("loglog", Link::Inverse(loglog)),
                        ("probit", Link::Inverse(probit)),
                        ("cauchit", Link::Inverse(cauchit)),
                        ("logc", Link::Inverse(|x| -x.exp_m1())),
                    ],
                )?,
            }
        } else {
            Link::Inverse(|x| x)
        };
        let factors = names(element, "FactorList")?;
        let covariates = names(element, "CovariateList")?;
        let mut parameters: BTreeMap<String, Parameter> = BTreeMap::new();
        let mut order = Vec::new();
        let list = element.need_child("ParameterList")?;
        for parameter in list.all("Parameter") {
            let name = parameter.need("name")?.to_owned();
            order.push(name.clone());
            parameters.insert(
                name,
                Parameter {
                    parts: Vec::new(),
                    weights: Vec::new(),
                },
            );
        }
        let unknown = |cell: &Element| cell.place.invalid("the parameter is not in <ParameterList>");
        if let Some(matrix) = element.child("PPMatrix") {
            for cell in matrix.all("PPCell") {
                if cell.attribute("targetCategory").is_some() {
                    return Err(cell.place.unsupported("`targetCategory` of <PPCell>"));
                }
                let field = scope.field(cell, "predictorName")?;
                let name = cell.need("predictorName")?;
                let value = cell.need("value")?;
                let part = if factors.contains(&name) {
                    Part::Is {
                        slot: field.slot,
                        value: field.kind.parse(value, cell)?,
                    }
                } else if covariates.contains(&name) {
                    Part::Power {
                        slot: field.slot,
                        exponent: cell.need_number("value")?,
                    }
                } else {
                    return Err(cell
                        .place
                        .invalid(format!("`{name}` is neither a factor nor a covariate")));
                };
                let parameter = parameters
                    .get_mut(cell.need("parameterName")?)
                    .ok_or_else(|| unknown(cell))?;
                parameter.parts.push(part);
            }
        }
        let mut classes: Vec<Arc<str>> = Vec::new();
        for cell in element.need_child("ParamMatrix")?.all("PCell") {
            let class: Option<Arc<str>> = cell.attribute("targetCategory").map(Arc::from);
            if let Some(class) = &class
                && !classes.contains(class)
            {
                classes.push(class.clone());
            }
            let parameter = parameters
                .get_mut(cell.need("parameterName")?)
                .ok_or_else(|| unknown(cell))?;
            parameter.weights.push((class, cell.need_number("beta")?));
        }
        let reference = element.attribute("targetReferenceCategory").map(Arc::from);
        if task == Task::Classification && (reference.is_none() || classes.is_empty()) {
            let what = "a classification needs `targetReferenceCategory` and `targetCategory` in <PCell>";
            return Err(element.place.invalid(what));
        }
        if task == Task::Classification && general && classes.len() != 1 {
            return Err(element
                .place
                .unsupported("a generalised linear model of more than two classes"));
        }
        let parameters = order.into_iter().filter_map(|name| parameters.remove(&name)).collect();
        let offset = Offset::read(element, scope, "offsetVariable", "offsetValue")?;
        let trials = Offset::read(element, scope, "trialsVariable", "trialsValue")?;
        Ok(Self {
            task,
            multinomial: !general,
            link,
            parameters,
            classes,
            reference,
            offset,
            trials,
        })
    }

    /// The weighted sum for a class; none when a covariate is missing. A factor that is missing is no category.
    fn sum(&self, class: Option<&Arc<str>>, values: &Values) -> Option<f64> {
        let mut sum = match self.offset {
            Some(offset) => offset.of(values)?,
            None => 0.0,
        };
        for parameter in &self.parameters {
            let mut product = 1.0;
            for part in &parameter.parts {
                match part {
                    Part::Is { slot, value } if values[*slot].is_missing() || !same(&values[*slot], value) => {
                        product = 0.0;
                    }
                    Part::Is { .. } => {}
                    Part::Power { slot, exponent } => {
                        let x = values[*slot].number()?;
                        product *= if *exponent == 1.0 { x } else { x.powf(*exponent) };
                    }
                }
            }
            let weights = parameter
                .weights
                .iter()
                .filter(|(c, _)| c.is_none() || c.as_ref() == class);
            sum += weights.map(|(_, weight)| weight * product).sum::<f64>();
        }
        Some(sum)
    }

    pub(super) fn ask(&self, values: &Values) -> Outcome {
        if self.task == Task::Regression {
            let trials = self.trials.map_or(Some(1.0), |t| t.of(values));
            let number = self
                .sum(None, values)
                .zip(trials)
                .map(|(sum, trials)| self.link.apply(sum) * trials);
            return number.map_or_else(Outcome::default, Outcome::number);
        }
        let sums: Option<Vec<f64>> = self.classes.iter().map(|class| self.sum(Some(class), values)).collect();
        let (Some(sums), Some(reference)) = (sums, &self.reference) else {
            return Outcome::default();
        };
        let mut shares: Vec<f64>;
        if self.multinomial {
            let most = sums.iter().copied().fold(0.0, f64::max);
            shares = sums.iter().map(|s| (s - most).exp()).collect();
            shares.push((-most).exp());
            share(&mut shares);
        } else {
            let p = self.link.apply(sums[0]);
            shares = vec![p, 1.0 - p];
        }
        Outcome::classes(self.classes.iter().chain([reference]).cloned().zip(shares).collect())
    }
}

fn names<'a>(element: &'a Element, list: &str) -> Result<Vec<&'a str>, PmmlError> {
    match element.child(list) {
        Some(list) => list.children().map(|p| p.need("name")).collect(),
        None => Ok(Vec::new()),
    }
}
