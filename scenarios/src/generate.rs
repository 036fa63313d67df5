//! Generated events: how often they come and what is in them. Both are functions of the seed alone.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::script::Scalar;
use crate::shape;
use crate::time::Span;

/// How often a generated source produces. In a file: `"200/s"` (evenly spaced), `{ poisson = "200/s" }`,
/// `{ bursts = { size = 50, every = "10s" } }`, `{ curve = [["0s", "10/s"], ["5m", "200/s"]] }` (rate in between is
/// linear; events come where its integral reaches the next whole number).
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub enum Rate {
    /// Evenly spaced, events per second.
    Even(f64),
    /// Independent gaps, exponential, events per second on average.
    Poisson(f64),
    /// That many events at one instant, again and again.
    Bursts {
        /// Events of a burst.
        size: u64,
        /// Distance of bursts.
        every: Span,
    },
    /// Points of (time since start, events per second), ascending in time.
    Curve(Vec<(Span, f64)>),
}

/// What is in a generated field. In a file a constant (`3`, `"x"`) or one of the tables below.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub enum FieldGenerator {
    /// Always the same.
    Constant(Scalar),
    /// `{ seq = 100 }`: counts up from there, over all nodes of the source.
    Sequence(i64),
    /// `{ uniform = [low, high] }`: whole numbers in `[low, high]` when both are whole, else floats in `[low, high)`.
    Uniform(Number, Number),
    /// `{ normal = [mean, sd] }`.
    Normal(f64, f64),
    /// `{ lognormal = [mu, sigma] }`: the exponential of a normal value.
    LogNormal(f64, f64),
    /// `{ exp = mean }`.
    Exp(f64),
    /// `{ zipf = 1.1, count = 20 }` or with `names = [...]`: rank 1 is the most frequent; whole numbers from 1, or names.
    /// With `prefix = "store-"` text `store-1`, ….
    Zipf {
        /// Exponent.
        exponent: f64,
        /// How many ranks.
        count: u64,
        /// Text before the rank, if text is wanted.
        prefix: Option<String>,
        /// What the ranks are called, the most frequent first; empty where they are numbers or prefixed numbers.
        names: Vec<String>,
    },
    /// `{ choice = ["a", "b"], weights = [3, 1] }`.
    Choice {
        /// What can come.
        values: Vec<Scalar>,
        /// How often, in proportion; all alike when empty.
        weights: Vec<f64>,
    },
    /// `{ walk = { start = 100.0, step = 0.5 } }`: a random walk with normal steps, one for each value of `by` if given.
    Walk {
        /// First value.
        start: f64,
        /// Standard deviation of a step.
        step: f64,
        /// The field whose values walk by themselves.
        by: Option<String>,
    },
}

/// A number that remembers whether it was written as a whole one.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Number {
    /// Whole.
    Int(i64),
    /// With a fraction.
    Float(f64),
}

/// The shapes of [`Rate`].
const RATES: &[&str] = &["poisson", "bursts", "curve"];
/// The shapes of [`FieldGenerator`].
const FIELDS: &[&str] = &[
    "constant",
    "seq",
    "uniform",
    "normal",
    "lognormal",
    "exp",
    "zipf",
    "choice",
    "walk",
];
/// The most ranks of a Zipf distribution and values of a choice: each has its place in a table.
const MOST_RANKS: u64 = 1_000_000;
/// The most events per second: one each microsecond.
const FASTEST: f64 = 1e6;

fn per_second(value: &Json, what: &str) -> Result<f64, String> {
    let Json::String(text) = value else {
        return Err(format!(
            "`{what}` is a rate with a unit in quotes, like \"200/s\", not {value}"
        ));
    };
    let bad = || format!("`{text}` is not a rate; write events per time, like \"200/s\", \"30/min\" or \"1/10s\"");
    let (count, unit) = text.split_once('/').ok_or_else(bad)?;
    let count: f64 = count.trim().replace('_', "").parse().map_err(|_| bad())?;
    let unit = unit.trim();
    let unit = if unit.starts_with(|c: char| c.is_ascii_digit()) {
        unit.to_owned()
    } else {
        format!("1{unit}")
    };
    let unit = Span::parse(&unit).map_err(|_| bad())?;
    if !count.is_finite() || count < 0.0 || unit <= Span::ZERO {
        return Err(bad());
    }
    let rate = count / unit.as_secs_f64();
    if rate > FASTEST {
        return Err(format!(
            "`{text}` is faster than one event each microsecond, the unit of time"
        ));
    }
    Ok(rate)
}

fn above_zero(rate: f64) -> Result<f64, String> {
    if rate > 0.0 {
        Ok(rate)
    } else {
        Err("a rate must be above zero; leave the source out instead".into())
    }
}

impl TryFrom<Json> for Rate {
    type Error = String;
    fn try_from(value: Json) -> Result<Self, String> {
        let Json::Object(table) = &value else {
            return Ok(Self::Even(above_zero(per_second(&value, "rate")?)?));
        };
        let (kind, given) = shape::shape(table, "a rate", RATES, &[])?;
        Ok(match kind {
            "poisson" => Self::Poisson(above_zero(per_second(given, kind)?)?),
            "bursts" => {
                let [size, every] = shape::entries(given, kind, ["size", "every"])?;
                Self::Bursts {
                    size: shape::count(size, "size", 1_000_000_000)?,
                    every: shape::positive_span(every, "every")?,
                }
            }
            _ => {
                let points = given.as_array().ok_or("`curve` takes a list of [time, rate]")?;
                let mut curve: Vec<(Span, f64)> = Vec::with_capacity(points.len());
                for point in points {
                    let (at, rate) = shape::pair(point, "curve", "time, rate")?;
                    let (at, rate) = (shape::span(at, "time")?, per_second(rate, "rate")?);
                    if at.is_negative() || curve.last().is_some_and(|(before, _)| *before >= at) {
                        return Err(format!("the times of a `curve` ascend from \"0s\" on; {at} does not"));
                    }
                    curve.push((at, rate));
                }
                if curve.iter().all(|(_, rate)| *rate <= 0.0) {
                    return Err("a `curve` needs a point with a rate above zero".into());
                }
                Self::Curve(curve)
            }
        })
    }
}

impl Rate {
    /// Events a second: on average, of a curve where it is highest.
    pub fn per_second(&self) -> f64 {
        match self {
            Self::Even(rate) | Self::Poisson(rate) => *rate,
            Self::Bursts { size, every } => *size as f64 / every.as_secs_f64().max(f64::MIN_POSITIVE),
            Self::Curve(points) => points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max),
        }
    }
    /// The same course, so many times as many events: bursts come closer together, and keep their size.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        match self {
            Self::Even(rate) => Self::Even(rate * factor),
            Self::Poisson(rate) => Self::Poisson(rate * factor),
            Self::Bursts { size, every } => Self::Bursts {
                size: *size,
                every: Span::from_secs_f64(every.as_secs_f64() / factor).max(Span::UNIT),
            },
            Self::Curve(points) => Self::Curve(points.iter().map(|(at, rate)| (*at, rate * factor)).collect()),
        }
    }
}

/// As a setting is written in a scenario file, on one line.
impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Even(rate) => write!(f, "\"{}\"", print_rate(*rate)),
            Self::Poisson(rate) => write!(f, "{{ poisson = \"{}\" }}", print_rate(*rate)),
            Self::Bursts { size, every } => write!(f, "{{ bursts = {{ size = {size}, every = \"{every}\" }} }}"),
            Self::Curve(points) => {
                let points = points
                    .iter()
                    .map(|(at, rate)| format!("[\"{at}\", \"{}\"]", print_rate(*rate)));
                write!(f, "{{ curve = [{}] }}", points.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn print_rate(rate: f64) -> String {
    format!("{rate}/s")
}

impl From<Rate> for Json {
    fn from(rate: Rate) -> Self {
        match rate {
            Rate::Even(rate) => json!(print_rate(rate)),
            Rate::Poisson(rate) => json!({"poisson": print_rate(rate)}),
            Rate::Bursts { size, every } => json!({"bursts": {"size": size, "every": every}}),
            Rate::Curve(points) => {
                let points: Vec<_> = points.iter().map(|(at, rate)| json!([at, print_rate(*rate)])).collect();
                json!({"curve": points})
            }
        }
    }
}

fn object(properties: Json, required: &[&str]) -> Json {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

impl schemars::JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let span = generator.subschema_for::<Span>();
        let rate = || json!({"type": "string", "description": "events per time: 200/s, 30/min"});
        let burst = object(
            json!({"size": {"type": "integer", "minimum": 1}, "every": span}),
            &["size", "every"],
        );
        let point = json!({"type": "array", "prefixItems": [span, rate()], "minItems": 2, "maxItems": 2});
        schemars::json_schema!({"description": "how often events come", "oneOf": [
            rate(),
            object(json!({"poisson": rate()}), &["poisson"]),
            object(json!({"bursts": burst}), &["bursts"]),
            object(json!({"curve": {"type": "array", "items": point}}), &["curve"]),
        ]})
    }
}

fn exact_number(value: &Json, what: &str) -> Result<Number, String> {
    match value.as_i64() {
        Some(whole) => Ok(Number::Int(whole)),
        None => shape::number(value, what).map(Number::Float),
    }
}

fn scalar(value: &Json) -> Result<Scalar, String> {
    Scalar::deserialize(value).map_err(|_| format!("{value} is not a constant: a number, text, true or false"))
}

impl Number {
    /// As a float.
    pub const fn as_f64(self) -> f64 {
        match self {
            Self::Int(i) => i as f64,
            Self::Float(f) => f,
        }
    }
}

impl TryFrom<Json> for FieldGenerator {
    type Error = String;
    fn try_from(value: Json) -> Result<Self, String> {
        let Json::Object(table) = &value else {
            return scalar(&value).map(Self::Constant);
        };
        let (kind, given) = shape::shape(table, "a field", FIELDS, &["count", "names", "prefix", "weights"])?;
        let allowed: &[&str] = match kind {
            "zipf" => &["count", "names", "prefix"],
            "choice" => &["weights"],
            _ => &[],
        };
        if let Some(key) = table.keys().find(|k| *k != kind && !allowed.contains(&k.as_str())) {
            return Err(format!("`{kind}` takes no `{key}`"));
        }
        let two = |meaning: &str| shape::pair(given, kind, meaning);
        Ok(match kind {
            "constant" => Self::Constant(scalar(given)?),
            "seq" => Self::Sequence(
                given
                    .as_i64()
                    .ok_or("`seq` takes the whole number that it starts from")?,
            ),
            "uniform" => {
                let (low, high) = two("low, high")?;
                let (low, high) = (exact_number(low, "low")?, exact_number(high, "high")?);
                let ordered = match (low, high) {
                    (Number::Int(low), Number::Int(high)) => low <= high,
                    (low, high) => low.as_f64() < high.as_f64(),
                };
                if !ordered {
                    return Err("`uniform` takes [low, high], and high is not above low".into());
                }
                Self::Uniform(low, high)
            }
            "normal" => {
                let (mean, sd) = two("mean, sd")?;
                Self::Normal(shape::number(mean, "mean")?, shape::not_negative(sd, "sd")?)
            }
            "lognormal" => {
                let (mu, sigma) = two("mu, sigma")?;
                Self::LogNormal(shape::number(mu, "mu")?, shape::not_negative(sigma, "sigma")?)
            }
            "exp" => Self::Exp(shape::positive(given, "exp")?),
            "zipf" => {
                let names = match table.get("names") {
                    None => vec![],
                    Some(names) => Vec::<String>::deserialize(names).map_err(|_| "`names` is a list of texts")?,
                };
                let count = match (table.get("count"), names.len() as u64) {
                    (Some(count), 0) => shape::count(count, "count", MOST_RANKS)?,
                    (None, n) if n > 0 => n,
                    (None, _) => return Err("`zipf` says how many ranks: `count = 20`, or `names = [...]`".into()),
                    (Some(_), _) => return Err("`zipf` takes `count` or `names`, not both".into()),
                };
                let prefix = match table.get("prefix") {
                    None => None,
                    Some(Json::String(text)) if names.is_empty() => Some(text.clone()),
                    Some(other) => return Err(format!("`prefix` is text, and stands without `names`; not {other}")),
                };
                Self::Zipf {
                    exponent: shape::not_negative(given, "zipf")?,
                    count,
                    prefix,
                    names,
                }
            }
            "choice" => {
                let values = given
                    .as_array()
                    .filter(|v| !v.is_empty())
                    .ok_or("`choice` takes a list of values")?;
                let values = values.iter().map(scalar).collect::<Result<Vec<_>, _>>()?;
                let weights = match table.get("weights") {
                    None => vec![],
                    Some(Json::Array(list)) => list
                        .iter()
                        .map(|w| shape::not_negative(w, "weights"))
                        .collect::<Result<Vec<_>, _>>()?,
                    Some(other) => return Err(format!("`weights` is a list of numbers, not {other}")),
                };
                if !weights.is_empty() && weights.len() != values.len() {
                    return Err(format!(
                        "`choice` has {} values and {} weights",
                        values.len(),
                        weights.len()
                    ));
                }
                if !weights.is_empty() && weights.iter().sum::<f64>() <= 0.0 {
                    return Err("one of the `weights` must be above zero".into());
                }
                Self::Choice { values, weights }
            }
            _ => {
                let table = given.as_object().ok_or("`walk` takes { start, step } and maybe by")?;
                if let Some(key) = table.keys().find(|k| !["start", "step", "by"].contains(&k.as_str())) {
                    return Err(format!("`walk` knows no `{key}`; it takes start, step, by"));
                }
                let by = match table.get("by") {
                    None => None,
                    Some(Json::String(field)) => Some(field.clone()),
                    Some(other) => return Err(format!("`by` is the name of a field, not {other}")),
                };
                let of = |key: &str| table.get(key).ok_or_else(|| format!("`walk` lacks `{key}`"));
                Self::Walk {
                    start: shape::number(of("start")?, "start")?,
                    step: shape::not_negative(of("step")?, "step")?,
                    by,
                }
            }
        })
    }
}

impl From<FieldGenerator> for Json {
    fn from(field: FieldGenerator) -> Self {
        match field {
            FieldGenerator::Constant(Scalar::Record(record)) => json!({"constant": Scalar::Record(record)}),
            FieldGenerator::Constant(value) => json!(value),
            FieldGenerator::Sequence(from) => json!({"seq": from}),
            FieldGenerator::Uniform(low, high) => json!({"uniform": [low, high]}),
            FieldGenerator::Normal(mean, sd) => json!({"normal": [mean, sd]}),
            FieldGenerator::LogNormal(mu, sigma) => json!({"lognormal": [mu, sigma]}),
            FieldGenerator::Exp(mean) => json!({"exp": mean}),
            FieldGenerator::Zipf {
                exponent,
                count,
                prefix,
                names,
            } => match (prefix, names.is_empty()) {
                (Some(prefix), _) => json!({"zipf": exponent, "count": count, "prefix": prefix}),
                (None, true) => json!({"zipf": exponent, "count": count}),
                (None, false) => json!({"zipf": exponent, "names": names}),
            },
            FieldGenerator::Choice { values, weights } if weights.is_empty() => json!({"choice": values}),
            FieldGenerator::Choice { values, weights } => json!({"choice": values, "weights": weights}),
            FieldGenerator::Walk { start, step, by: None } => json!({"walk": {"start": start, "step": step}}),
            FieldGenerator::Walk { start, step, by } => json!({"walk": {"start": start, "step": step, "by": by}}),
        }
    }
}

impl schemars::JsonSchema for FieldGenerator {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FieldGenerator".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let number = || json!({"type": ["number", "string"]});
        let two = || json!({"type": "array", "items": number(), "minItems": 2, "maxItems": 2});
        let texts = || json!({"type": "array", "items": {"type": "string"}});
        let walk = object(
            json!({"start": number(), "step": number(), "by": {"type": "string"}}),
            &["start", "step"],
        );
        let weights = json!({"type": "array", "items": number()});
        let ranks = json!({"zipf": number(), "count": {"type": "integer", "minimum": 1}, "names": texts(),
            "prefix": {"type": "string"}});
        schemars::json_schema!({"description": "what is in a generated field", "oneOf": [
            {"type": ["boolean", "number", "string", "array"]},
            object(json!({"constant": true}), &["constant"]),
            object(json!({"seq": {"type": "integer"}}), &["seq"]),
            object(json!({"uniform": two()}), &["uniform"]),
            object(json!({"normal": two()}), &["normal"]),
            object(json!({"lognormal": two()}), &["lognormal"]),
            object(json!({"exp": number()}), &["exp"]),
            object(ranks, &["zipf"]),
            object(json!({"choice": {"type": "array"}, "weights": weights}), &["choice"]),
            object(json!({"walk": walk}), &["walk"]),
        ]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        let table: toml::Table = toml::from_str(&format!("d = {text}")).expect(text);
        serde_json::to_value(&table["d"]).expect(text)
    }

    #[test]
    fn every_rate_is_read_and_printed_as_it_was() {
        for (text, rate) in [
            (r#""200/s""#, Rate::Even(200.0)),
            (r#""30/min""#, Rate::Even(0.5)),
            (r#""1/10s""#, Rate::Even(0.1)),
            (r#"{ poisson = "200/s" }"#, Rate::Poisson(200.0)),
            (
                r#"{ bursts = { size = 50, every = "10s" } }"#,
                Rate::Bursts {
                    size: 50,
                    every: Span::from_secs(10),
                },
            ),
            (
                r#"{ curve = [["0s", "10/s"], ["5m", "200/s"]] }"#,
                Rate::Curve(vec![(Span::ZERO, 10.0), (Span::from_secs(300), 200.0)]),
            ),
        ] {
            assert_eq!(Rate::try_from(json(text)), Ok(rate.clone()), "{text}");
            assert_eq!(Rate::try_from(Json::from(rate.clone())), Ok(rate), "{text}");
        }
    }

    #[test]
    fn every_field_is_read_and_printed_as_it_was() {
        for text in [
            "3",
            r#""x""#,
            "true",
            "[1, 2]",
            "{ constant = { a = 1 } }",
            "{ seq = 100 }",
            "{ uniform = [1, 6] }",
            "{ uniform = [0.0, 1.5] }",
            "{ normal = [0, 1] }",
            r#"{ lognormal = ["12.0", "0.9"] }"#,
            "{ exp = 2.5 }",
            "{ zipf = 1.1, count = 20 }",
            r#"{ zipf = 1.1, count = 20, prefix = "store-" }"#,
            r#"{ zipf = 1, names = ["a", "b"] }"#,
            r#"{ choice = ["a", "b"], weights = [3, 1] }"#,
            "{ choice = [1, 2] }",
            r#"{ walk = { start = 100.0, step = 0.5 } }"#,
            r#"{ walk = { start = 1, step = 0, by = "sensor" } }"#,
        ] {
            let field = FieldGenerator::try_from(json(text)).expect(text);
            assert_eq!(FieldGenerator::try_from(Json::from(field.clone())), Ok(field), "{text}");
        }
    }

    #[test]
    fn wrong_rates_and_fields_say_what_is_wrong() {
        for (text, wanted) in [
            ("200", "a rate with a unit in quotes"),
            (r#""200""#, "is not a rate"),
            (r#""0/s""#, "above zero"),
            (r#""-3/s""#, "is not a rate"),
            (r#""2000000/s""#, "faster than one event each microsecond"),
            (r#"{ poison = "3/s" }"#, "did you mean `poisson`?"),
            (r#"{ bursts = { size = 0, every = "1s" } }"#, "`size` is a whole number"),
            (r#"{ bursts = { size = 3 } }"#, "lacks `every`"),
            (r#"{ curve = [["5s", "1/s"], ["2s", "1/s"]] }"#, "ascend"),
            (r#"{ curve = [["0s", "0/s"]] }"#, "above zero"),
        ] {
            let error = Rate::try_from(json(text)).expect_err(text);
            assert!(error.contains(wanted), "{text}: {error}");
        }
        for (text, wanted) in [
            ("{ zip = 1.1, count = 3 }", "did you mean `zipf`?"),
            ("{ zipf = 1.1 }", "how many ranks"),
            ("{ zipf = 1.1, count = 0 }", "a whole number from 1"),
            ("{ uniform = [5, 1] }", "high is not above low"),
            ("{ normal = [0] }", "takes [mean, sd]"),
            ("{ normal = [0, -1] }", "must not be negative"),
            ("{ choice = [] }", "a list of values"),
            ("{ choice = [1, 2], weights = [1] }", "2 values and 1 weights"),
            ("{ choice = [1, 2], weights = [0, 0] }", "above zero"),
            ("{ seq = 1, count = 3 }", "takes no `count`"),
            ("{ walk = { start = 1 } }", "lacks `step`"),
            ("{ a = 1 }", "a field knows no `a`"),
        ] {
            let error = FieldGenerator::try_from(json(text)).expect_err(text);
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
