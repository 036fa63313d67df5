//! Expressions: constants, references, normalisation, discretisation, tables and functions.

use super::scope::{Builder, Field, Scope, Values};
use super::value::{DataType, Value, same};
use super::xml::Element;
use super::{PmmlError, PmmlProblem};

/// The elements that are expressions.
pub(super) const EXPRESSIONS: [&str; 7] = [
    "Constant",
    "FieldRef",
    "NormContinuous",
    "NormDiscrete",
    "Discretize",
    "MapValues",
    "Apply",
];

/// An expression whose names are resolved.
#[derive(Debug, Clone)]
pub(super) enum Expression {
    Constant(Value),
    Slot {
        slot: usize,
        missing: Value,
    },
    /// A parameter of a function, before it is called.
    Parameter {
        index: usize,
        missing: Value,
    },
    Linear {
        of: Box<Expression>,
        points: Vec<(f64, f64)>,
        outliers: Outliers,
        missing: Value,
    },
    Is {
        of: Box<Expression>,
        value: Value,
        missing: Value,
    },
    Bins {
        of: Box<Expression>,
        bins: Vec<(Interval, Value)>,
        default: Value,
        missing: Value,
    },
    Table {
        of: Vec<Expression>,
        rows: Vec<(Vec<Value>, Value)>,
        default: Value,
        missing: Value,
    },
    Apply {
        function: BuiltIn,
        of: Vec<Expression>,
        default: Value,
        missing: Value,
    },
    As {
        kind: DataType,
        of: Box<Expression>,
    },
}

/// What a linear normalisation does beyond its ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outliers {
    /// The line goes on.
    Keep,
    /// There is no value.
    Drop,
    /// The value is that of the end.
    Clamp,
}

/// A range of numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interval {
    low: f64,
    high: f64,
    low_in: bool,
    high_in: bool,
}

impl Interval {
    pub(super) fn read(element: &Element) -> Result<Self, PmmlError> {
        let closures = [
            ("openOpen", (false, false)),
            ("openClosed", (false, true)),
            ("closedOpen", (true, false)),
            ("closedClosed", (true, true)),
        ];
        element.need("closure")?;
        let (low_in, high_in) = element.choice("closure", &closures)?;
        let low = element.number("leftMargin")?.unwrap_or(f64::NEG_INFINITY);
        let high = element.number("rightMargin")?.unwrap_or(f64::INFINITY);
        Ok(Self {
            low,
            high,
            low_in,
            high_in,
        })
    }

    pub(super) fn holds(&self, x: f64) -> bool {
        (x > self.low || (self.low_in && x == self.low)) && (x < self.high || (self.high_in && x == self.high))
    }
}

/// The functions of PMML that are understood.
#[derive(Debug, Clone, Copy)]
pub(super) enum BuiltIn {
    Arithmetic(fn(f64, f64) -> f64),
    Unary(fn(f64) -> f64),
    /// Over the arguments that are there.
    Fold(fn(&[f64]) -> f64),
    /// Of the order of two values.
    Order(fn(std::cmp::Ordering) -> bool),
    Equal(bool),
    And,
    Or,
    Not,
    IsMissing(bool),
    IsIn(bool),
    If,
    Upper,
    Lower,
    Trim,
    Concat,
}

const FUNCTIONS: [(&str, BuiltIn, usize, usize); 51] = [
    ("+", BuiltIn::Arithmetic(|a, b| a + b), 2, 2),
    ("-", BuiltIn::Arithmetic(|a, b| a - b), 2, 2),
    ("*", BuiltIn::Arithmetic(|a, b| a * b), 2, 2),
    ("/", BuiltIn::Arithmetic(|a, b| a / b), 2, 2),
    ("pow", BuiltIn::Arithmetic(f64::powf), 2, 2),
    (
        "threshold",
        BuiltIn::Arithmetic(|a, b| if a > b { 1.0 } else { 0.0 }),
        2,
        2,
    ),
    ("modulo", BuiltIn::Arithmetic(|a, b| a - b * (a / b).floor()), 2, 2),
    ("hypot", BuiltIn::Arithmetic(f64::hypot), 2, 2),
    ("atan2", BuiltIn::Arithmetic(f64::atan2), 2, 2),
    ("exp", BuiltIn::Unary(f64::exp), 1, 1),
    ("expm1", BuiltIn::Unary(f64::exp_m1), 1, 1),
    ("ln", BuiltIn::Unary(f64::ln), 1, 1),
    ("ln1p", BuiltIn::Unary(f64::ln_1p), 1, 1),
    ("log10", BuiltIn::Unary(f64::log10), 1, 1),
    ("sqrt", BuiltIn::Unary(f64::sqrt), 1, 1),
    ("abs", BuiltIn::Unary(f64::abs), 1, 1),
    ("floor", BuiltIn::Unary(f64::floor), 1, 1),
    ("ceil", BuiltIn::Unary(f64::ceil), 1, 1),
    ("round", BuiltIn::Unary(|x| (x + 0.5).floor()), 1, 1),
    ("rint", BuiltIn::Unary(f64::round_ties_even), 1, 1),
    ("sin", BuiltIn::Unary(f64::sin), 1, 1),
    ("cos", BuiltIn::Unary(f64::cos), 1, 1),
    ("tan", BuiltIn::Unary(f64::tan), 1, 1),
    ("asin", BuiltIn::Unary(f64::asin), 1, 1),
    ("acos", BuiltIn::Unary(f64::acos), 1, 1),
    ("atan", BuiltIn::Unary(f64::atan), 1, 1),
    ("sinh", BuiltIn::Unary(f64::sinh), 1, 1),
    ("cosh", BuiltIn::Unary(f64::cosh), 1, 1),
    ("tanh", BuiltIn::Unary(f64::tanh), 1, 1),
    (
        "min",
        BuiltIn::Fold(|v| v.iter().copied().fold(f64::INFINITY, f64::min)),
        1,
        usize::MAX,
    ),
    (
        "max",
        BuiltIn::Fold(|v| v.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        1,
        usize::MAX,
    ),
    ("sum", BuiltIn::Fold(|v| v.iter().sum()), 1, usize::MAX),
    (
        "avg",
        BuiltIn::Fold(|v| v.iter().sum::<f64>() / v.len() as f64),
        1,
        usize::MAX,
    ),
    ("product", BuiltIn::Fold(|v| v.iter().product()), 1, usize::MAX),
    ("lessThan", BuiltIn::Order(std::cmp::Ordering::is_lt), 2, 2),
    ("lessOrEqual", BuiltIn::Order(std::cmp::Ordering::is_le), 2, 2),
    ("greaterThan", BuiltIn::Order(std::cmp::Ordering::is_gt), 2, 2),
    ("greaterOrEqual", BuiltIn::Order(std::cmp::Ordering::is_ge), 2, 2),
    ("equal", BuiltIn::Equal(true), 2, 2),
    ("notEqual", BuiltIn::Equal(false), 2, 2),
    ("and", BuiltIn::And, 2, usize::MAX),
    ("or", BuiltIn::Or, 2, usize::MAX),
    ("not", BuiltIn::Not, 1, 1),
    ("isMissing", BuiltIn::IsMissing(true), 1, 1),
    ("isNotMissing", BuiltIn::IsMissing(false), 1, 1),
    ("isIn", BuiltIn::IsIn(true), 2, usize::MAX),
    ("isNotIn", BuiltIn::IsIn(false), 2, usize::MAX),
    ("if", BuiltIn::If, 2, 3),
    ("uppercase", BuiltIn::Upper, 1, 1),
    ("lowercase", BuiltIn::Lower, 1, 1),
    ("trimBlanks", BuiltIn::Trim, 1, 1),
];

/// How deep functions may call one another.
const DEEPEST: usize = 512;

/// What names mean inside an expression: the fields around it, or the parameters of a function.
#[derive(Clone, Copy)]
pub(super) enum Names<'a> {
    Fields(&'a Scope<'a>),
    Parameters(&'a [String]),
}

impl Names<'_> {
    fn read(&self, element: &Element, attribute: &str, missing: Value) -> Result<Expression, PmmlError> {
        match self {
            Self::Fields(scope) => Ok(Expression::Slot {
                slot: scope.field(element, attribute)?.slot,
                missing,
            }),
            Self::Parameters(names) => {
                let name = element.need(attribute)?;
                match names.iter().position(|n| n == name) {
                    Some(index) => Ok(Expression::Parameter { index, missing }),
                    None => Err(element.place.invalid(format!("the function has no parameter `{name}`"))),
                }
            }
        }
    }

    fn field(&self, element: &Element, attribute: &str) -> Result<Option<Field>, PmmlError> {
        match self {
            Self::Fields(scope) => scope.field(element, attribute).map(Some),
            Self::Parameters(_) => Ok(None),
        }
    }
}

fn optional(element: &Element, attribute: &str, kind: Option<DataType>) -> Result<Value, PmmlError> {
    match (element.attribute(attribute), kind) {
        (None, _) => Ok(Value::Missing),
        (Some(text), Some(kind)) => kind.parse(text, element),
        (Some(text), None) => Ok(guess(text)),
    }
}

/// A constant without a type: a number if it reads as one.
fn guess(text: &str) -> Value {
    match text.trim().parse::<f64>() {
        Ok(number) if !number.is_nan() => Value::Number(number),
        _ => Value::text(text),
    }
}

/// The child that is an expression.
pub(super) fn read_child(parent: &Element, names: Names<'_>, builder: &mut Builder) -> Result<Expression, PmmlError> {
    match parent.children().find(|c| EXPRESSIONS.contains(&c.name.as_str())) {
        Some(element) => read(element, names, builder),
        None => match parent
            .children()
            .find(|c| !["Value", "Interval", "Decisions"].contains(&c.name.as_str()))
        {
            Some(child) => Err(child
                .place
                .unsupported(format!("<{}> in <{}>", child.name, parent.name))),
            None => Err(parent.place.invalid(format!("<{}> needs an expression", parent.name))),
        },
    }
}

/// Reads an expression.
pub(super) fn read(element: &Element, names: Names<'_>, builder: &mut Builder) -> Result<Expression, PmmlError> {
    builder.spend(1, element)?;
    let kind = DataType::of(element)?;
    let missing = |kind| optional(element, "mapMissingTo", kind);
    match element.name.as_str() {
        "Constant" => {
            if element.attribute("missing") == Some("true") {
                return Ok(Expression::Constant(Value::Missing));
            }
            let value = match kind {
                Some(kind) => kind.parse(&element.text, element)?,
                None => guess(&element.text),
            };
            Ok(Expression::Constant(value))
        }
        "FieldRef" => {
            let kind = names.field(element, "field")?.map(|f| f.kind);
            names.read(element, "field", missing(kind)?)
        }
        "NormContinuous" => {
            let outliers = element.choice(
                "outliers",
                &[
                    ("asIs", Outliers::Keep),
                    ("asMissingValues", Outliers::Drop),
                    ("asExtremeValues", Outliers::Clamp),
                ],
            )?;
            let mut points = Vec::new();
            for point in element.all("LinearNorm") {
                points.push((point.need_number("orig")?, point.need_number("norm")?));
            }
            if points.len() < 2 || !points.is_sorted_by(|a, b| a.0 < b.0) {
                return Err(element
                    .place
                    .invalid("<NormContinuous> needs two or more points in ascending order"));
            }
            let of = Box::new(names.read(element, "field", Value::Missing)?);
            Ok(Expression::Linear {
                of,
                points,
                outliers,
                missing: missing(Some(DataType::Double))?,
            })
        }
        "NormDiscrete" => {
            let kind = names.field(element, "field")?.map(|f| f.kind);
            let value = optional(element, "value", kind)?;
            element.need("value")?;
            let of = Box::new(names.read(element, "field", Value::Missing)?);
            Ok(Expression::Is {
                of,
                value,
                missing: missing(Some(DataType::Double))?,
            })
        }
        "Discretize" => {
            let mut bins = Vec::new();
            for bin in element.all("DiscretizeBin") {
                let interval = Interval::read(bin.need_child("Interval")?)?;
                bin.need("binValue")?;
                bins.push((interval, optional(bin, "binValue", kind)?));
            }
            let of = Box::new(names.read(element, "field", Value::Missing)?);
            let default = optional(element, "defaultValue", kind)?;
            Ok(Expression::Bins {
                of,
                bins,
                default,
                missing: missing(kind)?,
            })
        }
        "MapValues" => read_table(element, names, kind),
        "Apply" => read_apply(element, names, builder),
        other => Err(element.place.unsupported(format!("<{other}> as an expression"))),
    }
}

fn read_table(element: &Element, names: Names<'_>, kind: Option<DataType>) -> Result<Expression, PmmlError> {
    let output = element.need("outputColumn")?;
    element.only(&["FieldColumnPair", "InlineTable"])?;
    let (mut of, mut columns) = (Vec::new(), Vec::new());
    for pair in element.all("FieldColumnPair") {
        of.push(names.read(pair, "field", Value::Missing)?);
        columns.push((pair.need("column")?, names.field(pair, "field")?.map(|f| f.kind)));
    }
    let mut rows = Vec::new();
    for row in element.need_child("InlineTable")?.all("row") {
        let cell = |column: &str, kind: Option<DataType>| {
            let cell = row.need_child(column)?;
            match kind {
                Some(kind) => kind.parse(&cell.text, cell),
                None => Ok(guess(&cell.text)),
            }
        };
        let keys = columns
            .iter()
            .map(|(column, kind)| cell(column, *kind))
            .collect::<Result<Vec<_>, _>>()?;
        rows.push((keys, cell(output, kind)?));
    }
    let default = optional(element, "defaultValue", kind)?;
    Ok(Expression::Table {
        of,
        rows,
        default,
        missing: optional(element, "mapMissingTo", kind)?,
    })
}

fn read_apply(element: &Element, names: Names<'_>, builder: &mut Builder) -> Result<Expression, PmmlError> {
    let name = element.need("function")?;
    element.only(&EXPRESSIONS)?;
    let mut of = Vec::new();
    for child in element.children() {
        of.push(read(child, names, builder)?);
    }
    let count = of.len();
    let wrong = |wanted: &str| {
        element
            .place
            .invalid(format!("`{name}` takes {wanted} arguments, not {count}"))
    };
    let default = optional(element, "defaultValue", None)?;
    let missing = optional(element, "mapMissingTo", None)?;
    if let Some(function) = builder.functions.get(name).cloned() {
        if function.parameters != count {
            return Err(wrong(&function.parameters.to_string()));
        }
        let arguments: Vec<usize> = of.iter().map(Expression::parts).collect();
        builder.spend(function.body.parts_when_called(&arguments), element)?;
        let deepest = of.iter().map(Expression::depth).max().unwrap_or_default();
        if function.body.depth() + deepest > DEEPEST {
            let what = format!("functions more than {DEEPEST} calls deep");
            return Err(element.place.error(PmmlProblem::TooLarge(what)));
        }
        let body = function.body.call(&of);
        return Ok(match function.kind {
            Some(kind) => Expression::As {
                kind,
                of: Box::new(body),
            },
            None => body,
        });
    }
    if name == "concat" {
        return Ok(Expression::Apply {
            function: BuiltIn::Concat,
            of,
            default,
            missing,
        });
    }
    match FUNCTIONS.iter().find(|(n, ..)| *n == name) {
        Some((_, function, least, most)) if (*least..=*most).contains(&count) => Ok(Expression::Apply {
            function: *function,
            of,
            default,
            missing,
        }),
        Some((_, _, least, most)) if least == most => Err(wrong(&least.to_string())),
        Some((_, _, least, _)) => Err(wrong(&format!("{least} or more"))),
        None => Err(element.place.unsupported(format!("the function `{name}`"))),
    }
}

impl Expression {
    fn children(&self) -> Vec<&Expression> {
        match self {
            Self::Constant(_) | Self::Slot { .. } | Self::Parameter { .. } => Vec::new(),
            Self::Linear { of, .. } | Self::Is { of, .. } | Self::Bins { of, .. } | Self::As { of, .. } => vec![of],
            Self::Table { of, .. } | Self::Apply { of, .. } => of.iter().collect(),
        }
    }

    fn depth(&self) -> usize {
        1 + self.children().iter().map(|c| c.depth()).max().unwrap_or_default()
    }

    fn parts(&self) -> usize {
        self.children().iter().map(|c| c.parts()).fold(1, usize::saturating_add)
    }

    /// How many parts it has once its parameters are replaced by arguments of these sizes.
    fn parts_when_called(&self, arguments: &[usize]) -> usize {
        match self {
            Self::Parameter { index, .. } => arguments[*index],
            other => other
                .children()
                .iter()
                .map(|c| c.parts_when_called(arguments))
                .fold(1, usize::saturating_add),
        }
    }

    /// The expression with its parameters replaced.
    fn call(&self, arguments: &[Expression]) -> Self {
        let mut called = self.clone();
        called.replace(arguments);
        called
    }

    fn replace(&mut self, arguments: &[Expression]) {
        match self {
            Self::Parameter { index, missing } => {
                let argument = arguments[*index].clone();
                *self = match std::mem::replace(missing, Value::Missing) {
                    Value::Missing => argument,
                    missing => Self::Apply {
                        function: BuiltIn::If,
                        of: vec![
                            Self::Apply {
                                function: BuiltIn::IsMissing(true),
                                of: vec![argument.clone()],
                                default: Value::Missing,
                                missing: Value::Missing,
                            },
                            Self::Constant(missing),
                            argument,
                        ],
                        default: Value::Missing,
                        missing: Value::Missing,
                    },
                };
            }
            Self::Constant(_) | Self::Slot { .. } => {}
            Self::Linear { of, .. } | Self::Is { of, .. } | Self::Bins { of, .. } | Self::As { of, .. } => {
                of.replace(arguments);
            }
            Self::Table { of, .. } | Self::Apply { of, .. } => of.iter_mut().for_each(|e| e.replace(arguments)),
        }
    }

    /// The value. A calculation without a value (the logarithm of -1, a text where a number must be) is missing.
    pub(super) fn value(&self, values: &Values) -> Value {
        let or = |value: Value, missing: &Value| if value.is_missing() { missing.clone() } else { value };
        match self {
            Self::Constant(value) => value.clone(),
            Self::Slot { slot, missing } => or(values[*slot].clone(), missing),
            Self::Parameter { missing, .. } => missing.clone(),
            Self::As { kind, of } => kind.cast(of.value(values)).unwrap_or(Value::Missing),
            Self::Linear {
                of,
                points,
                outliers,
                missing,
            } => match of.value(values).number() {
                Some(x) => interpolate(points, x, *outliers).map_or_else(|| missing.clone(), Value::Number),
                None => missing.clone(),
            },
            Self::Is { of, value, missing } => match of.value(values) {
                Value::Missing => missing.clone(),
                is => Value::Number(f64::from(u8::from(same(&is, value)))),
            },
            Self::Bins {
                of,
                bins,
                default,
                missing,
            } => match of.value(values).number() {
                Some(x) => bins
                    .iter()
                    .find(|(i, _)| i.holds(x))
                    .map_or_else(|| default.clone(), |(_, v)| v.clone()),
                None => missing.clone(),
            },
            Self::Table {
                of,
                rows,
                default,
                missing,
            } => {
                let keys: Vec<Value> = of.iter().map(|e| e.value(values)).collect();
                if keys.iter().any(Value::is_missing) {
                    return missing.clone();
                }
                let row = rows
                    .iter()
                    .find(|(row, _)| row.iter().zip(&keys).all(|(a, b)| same(a, b)));
                row.map_or_else(|| default.clone(), |(_, value)| value.clone())
            }
            Self::Apply {
                function,
                of,
                default,
                missing,
            } => {
                let result = function.apply(of, values, missing);
                or(result, default)
            }
        }
    }
}

fn interpolate(points: &[(f64, f64)], x: f64, outliers: Outliers) -> Option<f64> {
    let last = points.len() - 1;
    if x < points[0].0 || x > points[last].0 {
        match outliers {
            Outliers::Drop => return None,
            Outliers::Clamp => return Some(if x < points[0].0 { points[0].1 } else { points[last].1 }),
            Outliers::Keep => {}
        }
    }
    let right = points.iter().position(|p| x <= p.0).unwrap_or(last).max(1);
    let ((x0, y0), (x1, y1)) = (points[right - 1], points[right]);
    Some(y0 + (x - x0) / (x1 - x0) * (y1 - y0))
}

fn calculated(number: f64) -> Value {
    if number.is_nan() {
        Value::Missing
    } else {
        Value::Number(number)
    }
}

impl BuiltIn {
    fn apply(self, of: &[Expression], values: &Values, missing: &Value) -> Value {
        match self {
            Self::If => {
                return match of[0].value(values).boolean() {
                    Some(true) => of[1].value(values),
                    Some(false) => of.get(2).map_or(Value::Missing, |e| e.value(values)),
                    None => missing.clone(),
                };
            }
            Self::IsMissing(wanted) => return Value::Boolean(of[0].value(values).is_missing() == wanted),
            Self::And | Self::Or => {
                let stop = matches!(self, Self::Or);
                let mut unknown = false;
                for argument in of {
                    match argument.value(values).boolean() {
                        Some(value) if value == stop => return Value::Boolean(stop),
                        Some(_) => {}
                        None => unknown = true,
                    }
                }
                return if unknown {
                    missing.clone()
                } else {
                    Value::Boolean(!stop)
                };
            }
            Self::Fold(fold) => {
                let there: Vec<f64> = of.iter().filter_map(|e| e.value(values).number()).collect();
                return if there.is_empty() {
                    missing.clone()
                } else {
                    calculated(fold(&there))
                };
            }
            _ => {}
        }
        let arguments: Vec<Value> = of.iter().map(|e| e.value(values)).collect();
        if arguments.iter().any(Value::is_missing) {
            return missing.clone();
        }
        let number = |index: usize| arguments[index].number().unwrap_or(f64::NAN);
        match self {
            Self::Arithmetic(function) => calculated(function(number(0), number(1))),
            Self::Unary(function) => calculated(function(number(0))),
            Self::Order(holds) => match compare(&arguments[0], &arguments[1]) {
                Some(ordering) => Value::Boolean(holds(ordering)),
                None => Value::Missing,
            },
            Self::Equal(wanted) => Value::Boolean(same(&arguments[0], &arguments[1]) == wanted),
            Self::Not => arguments[0].boolean().map_or(Value::Missing, |b| Value::Boolean(!b)),
            Self::IsIn(wanted) => Value::Boolean(arguments[1..].iter().any(|a| same(&arguments[0], a)) == wanted),
            Self::Upper => Value::text(&arguments[0].written().to_uppercase()),
            Self::Lower => Value::text(&arguments[0].written().to_lowercase()),
            Self::Trim => Value::text(arguments[0].written().trim()),
            Self::Concat => Value::text(&arguments.iter().map(|a| a.written().to_string()).collect::<String>()),
            Self::If | Self::IsMissing(_) | Self::And | Self::Or | Self::Fold(_) => Value::Missing,
        }
    }
}

/// The order of two numbers or two texts.
pub(super) fn compare(a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => a.number()?.partial_cmp(&b.number()?),
    }
}
