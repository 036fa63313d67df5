//! How long things take: the distributions of delays.

use std::sync::Arc;

use rand::Rng;
use rand_distr::{Distribution, Gamma, Pareto, Weibull};
use serde_json::{Value as Json, json};

use crate::time::Span;
use crate::{random, shape};

/// A distribution of spans. In a file: `"40ms"`, or `{ exp = "40ms" }`, `{ uniform = ["10ms", "50ms"] }`, … . A drawn
/// value below zero is cut to zero where a delay is meant; clock offsets keep their sign.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub enum Delay {
    /// Always the same. In a file just the span.
    Constant(Span),
    /// `{ uniform = [low, high] }`: evenly in `[low, high)`.
    Uniform(Span, Span),
    /// `{ exp = mean }`.
    Exp(Span),
    /// `{ normal = { mean, sd } }`.
    Normal {
        /// Mean.
        mean: Span,
        /// Standard deviation.
        sd: Span,
    },
    /// `{ lognormal = { median, sigma } }`.
    LogNormal {
        /// Half of the values are below.
        median: Span,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// `{ pareto = { min, alpha } }`.
    Pareto {
        /// Smallest value.
        min: Span,
        /// Tail index: smaller is heavier.
        alpha: f64,
    },
    /// `{ gamma = { shape, mean } }`.
    Gamma {
        /// Shape.
        shape: f64,
        /// Mean (scale times shape).
        mean: Span,
    },
    /// `{ weibull = { scale, shape } }`.
    Weibull {
        /// Scale.
        scale: Span,
        /// Shape.
        shape: f64,
    },
    /// `{ empirical = "file.csv" }`: values of the file's only or first column (spans, or numbers of milliseconds), each
    /// as likely as the next.
    Empirical {
        /// The file.
        file: String,
        /// What was in it, ascending; filled in when the scenario is loaded.
        values: Arc<[Span]>,
    },
}

/// The shapes of [`Delay`], for errors and the schema.
const SHAPES: &[&str] = &[
    "uniform",
    "exp",
    "normal",
    "lognormal",
    "pareto",
    "gamma",
    "weibull",
    "empirical",
];

/// No drawn span is farther from zero than this: a hundred years. What is longer never comes, and must not run into the
/// end of the axis of time.
pub const LONGEST: Span = Span::from_secs(100 * 365 * 86_400);

/// A distribution made ready to be drawn from millions of times.
#[derive(Clone, Debug)]
pub struct Sampler(Shape);

#[derive(Clone, Debug)]
enum Shape {
    Constant(Span),
    Uniform { low: i64, width: u64 },
    Exp(f64),
    Normal { mean: f64, sd: f64 },
    LogNormal { median: f64, sigma: f64 },
    Pareto(Pareto<f64>),
    Gamma(Gamma<f64>),
    Weibull(Weibull<f64>),
    Empirical(Arc<[Span]>),
}

impl Sampler {
    /// Draws a span: rounded to whole microseconds, not cut at zero, at most [`LONGEST`] from it.
    pub fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> Span {
        let micros = match &self.0 {
            Shape::Constant(span) => return *span,
            Shape::Uniform { low, width } => {
                // A share of the width by multiplication: the upper half of a product of 128 bits.
                let share = (u128::from(rng.next_u64()) * u128::from(*width)) >> 64;
                return Span::from_micros(low.saturating_add_unsigned(share as u64));
            }
            Shape::Empirical(values) if values.is_empty() => return Span::ZERO,
            Shape::Empirical(values) => {
                let index = (u128::from(rng.next_u64()) * values.len() as u128) >> 64;
                return values[index as usize];
            }
            Shape::Exp(mean) => mean * random::exp1(rng),
            Shape::Normal { mean, sd } => mean + sd * random::normal(rng),
            Shape::LogNormal { median, sigma } => median * libm::exp(sigma * random::normal(rng)),
            Shape::Pareto(pareto) => pareto.sample(rng),
            Shape::Gamma(gamma) => gamma.sample(rng),
            Shape::Weibull(weibull) => weibull.sample(rng),
        };
        let most = LONGEST.micros() as f64;
        Span::from_micros_f64(micros.clamp(-most, most))
    }
    /// The value, when there is only one that can be drawn.
    pub const fn constant(&self) -> Option<Span> {
        match self.0 {
            Shape::Constant(span) => Some(span),
            _ => None,
        }
    }
}

impl Delay {
    /// This distribution, made ready to be drawn from.
    pub fn sampler(&self) -> Sampler {
        let micros = |span: &Span| span.micros() as f64;
        Sampler(match self {
            Self::Constant(span) => Shape::Constant(*span),
            Self::Uniform(low, high) if high <= low => Shape::Constant(*low),
            Self::Uniform(low, high) => Shape::Uniform {
                low: low.micros(),
                width: high.micros().abs_diff(low.micros()),
            },
            Self::Exp(mean) => Shape::Exp(micros(mean)),
            Self::Normal { mean, sd } => Shape::Normal {
                mean: micros(mean),
                sd: micros(sd),
            },
            Self::LogNormal { median, sigma } => Shape::LogNormal {
                median: micros(median),
                sigma: *sigma,
            },
            // Parameters that make no sense are refused where a file is read; built by hand, the middle stands for them.
            Self::Pareto { min, alpha } => {
                Pareto::new(micros(min), *alpha).map_or(Shape::Constant(*min), Shape::Pareto)
            }
            Self::Gamma { shape, mean } => {
                Gamma::new(*shape, micros(mean) / shape).map_or(Shape::Constant(*mean), Shape::Gamma)
            }
            Self::Weibull { scale, shape } => {
                Weibull::new(micros(scale), *shape).map_or(Shape::Constant(*scale), Shape::Weibull)
            }
            Self::Empirical { values, .. } => Shape::Empirical(values.clone()),
        })
    }
    /// Draws a single span; for many, keep the [`Delay::sampler`].
    pub fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> Span {
        self.sampler().sample(rng)
    }
    /// Whether a value below zero can be drawn.
    pub fn can_be_negative(&self) -> bool {
        match self {
            Self::Constant(span) | Self::Uniform(span, _) => span.is_negative(),
            Self::Normal { .. } => true,
            Self::Empirical { values, .. } => values.first().is_some_and(|v| v.is_negative()),
            _ => false,
        }
    }
}

impl TryFrom<Json> for Delay {
    type Error = String;
    fn try_from(value: Json) -> Result<Self, String> {
        if let Json::String(_) = value {
            return shape::span(&value, "delay")
                .map(Self::Constant)
                .map_err(|e| e.replacen("`delay`: ", "", 1));
        }
        let Json::Object(table) = &value else {
            return Err(format!(
                "a delay is a duration like \"40ms\" or a table like {{ exp = \"40ms\" }}, not {value}"
            ));
        };
        let (kind, given) = shape::shape(table, "a delay", SHAPES, &[])?;
        Ok(match kind {
            "uniform" => {
                let (low, high) = shape::pair(given, kind, "low, high")?;
                let (low, high) = (shape::span(low, "low")?, shape::span(high, "high")?);
                if high <= low {
                    return Err(format!("`uniform` takes [low, high], and {high} is not above {low}"));
                }
                Self::Uniform(low, high)
            }
            "exp" => Self::Exp(shape::positive_span(given, "exp")?),
            "normal" => {
                let [mean, sd] = shape::entries(given, kind, ["mean", "sd"])?;
                Self::Normal {
                    mean: shape::span(mean, "mean")?,
                    sd: shape::positive_span(sd, "sd")?,
                }
            }
            "lognormal" => {
                let [median, sigma] = shape::entries(given, kind, ["median", "sigma"])?;
                Self::LogNormal {
                    median: shape::positive_span(median, "median")?,
                    sigma: shape::positive(sigma, "sigma")?,
                }
            }
            "pareto" => {
                let [min, alpha] = shape::entries(given, kind, ["min", "alpha"])?;
                Self::Pareto {
                    min: shape::positive_span(min, "min")?,
                    alpha: shape::positive(alpha, "alpha")?,
                }
            }
            "gamma" => {
                let [form, mean] = shape::entries(given, kind, ["shape", "mean"])?;
                Self::Gamma {
                    shape: shape::positive(form, "shape")?,
                    mean: shape::positive_span(mean, "mean")?,
                }
            }
            "weibull" => {
                let [scale, form] = shape::entries(given, kind, ["scale", "shape"])?;
                Self::Weibull {
                    scale: shape::positive_span(scale, "scale")?,
                    shape: shape::positive(form, "shape")?,
                }
            }
            _ => match given {
                Json::String(file) if !file.is_empty() => Self::Empirical {
                    file: file.clone(),
                    values: Arc::default(),
                },
                other => return Err(format!("`empirical` takes the name of a file, not {other}")),
            },
        })
    }
}

impl From<Delay> for Json {
    fn from(delay: Delay) -> Self {
        match delay {
            Delay::Constant(span) => json!(span),
            Delay::Uniform(low, high) => json!({"uniform": [low, high]}),
            Delay::Exp(mean) => json!({"exp": mean}),
            Delay::Normal { mean, sd } => json!({"normal": {"mean": mean, "sd": sd}}),
            Delay::LogNormal { median, sigma } => json!({"lognormal": {"median": median, "sigma": sigma}}),
            Delay::Pareto { min, alpha } => json!({"pareto": {"min": min, "alpha": alpha}}),
            Delay::Gamma { shape, mean } => json!({"gamma": {"shape": shape, "mean": mean}}),
            Delay::Weibull { scale, shape } => json!({"weibull": {"scale": scale, "shape": shape}}),
            Delay::Empirical { file, .. } => json!({"empirical": file}),
        }
    }
}

impl schemars::JsonSchema for Delay {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Delay".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let span = generator.subschema_for::<Span>();
        let number = || json!({"type": "number", "exclusiveMinimum": 0});
        let table = |key: &str, inner: Json| json!({"type": "object", "properties": {key: inner}, "required": [key], "additionalProperties": false});
        let two = |key: &str, a: (&str, Json), b: (&str, Json)| {
            let inner = json!({"type": "object", "properties": {a.0: a.1, b.0: b.1}, "required": [a.0, b.0],
                "additionalProperties": false});
            table(key, inner)
        };
        let s = || json!(span);
        schemars::json_schema!({"description": "how long something takes", "oneOf": [
            s(),
            table("uniform", json!({"type": "array", "items": s(), "minItems": 2, "maxItems": 2})),
            table("exp", s()),
            two("normal", ("mean", s()), ("sd", s())),
            two("lognormal", ("median", s()), ("sigma", number())),
            two("pareto", ("min", s()), ("alpha", number())),
            two("gamma", ("shape", number()), ("mean", s())),
            two("weibull", ("scale", s()), ("shape", number())),
            table("empirical", json!({"type": "string"})),
        ]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{DrawKey, name_key};
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Delay, String> {
        let table: toml::Table = toml::from_str(&format!("d = {text}")).map_err(|e| e.to_string())?;
        Delay::deserialize(table["d"].clone()).map_err(|e| e.to_string())
    }
    fn mean_of(delay: &Delay) -> f64 {
        let sampler = delay.sampler();
        let key = DrawKey::new(7, "test", "amount", "here");
        let draws = 100_000u64;
        (0..draws)
            .map(|n| sampler.sample(&mut key.rng(name_key("p"), n, 0)).as_secs_f64())
            .sum::<f64>()
            / draws as f64
    }
    use serde::Deserialize as _;

    #[test]
    fn every_shape_is_read_and_printed_as_it_was() {
        for text in [
            r#""40ms""#,
            r#"{ uniform = ["10ms", "50ms"] }"#,
            r#"{ exp = "40ms" }"#,
            r#"{ normal = { mean = "10ms", sd = "2ms" } }"#,
            r#"{ lognormal = { median = "20s", sigma = 1.0 } }"#,
            r#"{ pareto = { min = "5ms", alpha = 1.5 } }"#,
            r#"{ gamma = { shape = 2.0, mean = "10ms" } }"#,
            r#"{ weibull = { scale = "10ms", shape = 0.5 } }"#,
            r#"{ empirical = "delays.csv" }"#,
        ] {
            let delay = read(text).expect(text);
            let again = Delay::try_from(Json::from(delay.clone())).expect(text);
            assert_eq!(again, delay, "{text}");
        }
    }

    #[test]
    fn a_wrong_parameter_says_what_is_wrong_and_what_was_meant() {
        for (text, wanted) in [
            ("5", "a delay is a duration like"),
            (r#"{ expo = "40ms" }"#, "did you mean `exp`?"),
            (r#"{ exp = "-40ms" }"#, "must be longer than zero"),
            (r#"{ exp = 40 }"#, "a duration with a unit in quotes"),
            (r#"{ uniform = ["50ms", "10ms"] }"#, "10ms is not above 50ms"),
            (r#"{ uniform = ["50ms"] }"#, "takes [low, high]"),
            (r#"{ lognormal = { median = "20s" } }"#, "lacks `sigma`"),
            (
                r#"{ lognormal = { median = "20s", sigm = 1.0 } }"#,
                "did you mean `sigma`?",
            ),
            (r#"{ pareto = { min = "5ms", alpha = 0 } }"#, "must be above zero"),
            (r#"{ exp = "40ms", uniform = ["1s", "2s"] }"#, "has one shape"),
            (r#""40 parsecs""#, "is no unit"),
            ("{ }", "says which one"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    /// The mean over a hundred thousand keyed draws is a fixed number; what is asked is that it lies within one percent
    /// of what the shape's formula says.
    #[test]
    fn the_means_of_the_shapes_are_those_of_their_formulas() {
        for (text, mean) in [
            (r#"{ uniform = ["10s", "50s"] }"#, 30.0),
            (r#"{ exp = "40s" }"#, 40.0),
            (r#"{ normal = { mean = "10s", sd = "2s" } }"#, 10.0),
            (
                r#"{ lognormal = { median = "20s", sigma = 0.5 } }"#,
                20.0 * 0.125f64.exp(),
            ),
            (r#"{ pareto = { min = "5s", alpha = 4.0 } }"#, 5.0 * 4.0 / 3.0),
            (r#"{ gamma = { shape = 0.7, mean = "10s" } }"#, 10.0),
            (r#"{ gamma = { shape = 3.0, mean = "10s" } }"#, 10.0),
            (
                r#"{ weibull = { scale = "10s", shape = 2.0 } }"#,
                10.0 * (std::f64::consts::PI / 4.0).sqrt(),
            ),
        ] {
            let got = mean_of(&read(text).expect(text));
            assert!((got / mean - 1.0).abs() < 0.01, "{text}: {got} and {mean}");
        }
    }

    #[test]
    fn a_measured_distribution_gives_each_of_its_values_and_no_other() {
        let values: Arc<[Span]> = [1, 5, 9].map(Span::from_secs).into();
        let delay = Delay::Empirical {
            file: "x".into(),
            values: values.clone(),
        };
        let key = DrawKey::new(1, "f", "amount", "l");
        let mut drawn: Vec<Span> = (0..60).map(|n| delay.sample(&mut key.rng(0, n, 0))).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn, values.to_vec());
    }

    #[test]
    fn the_tail_of_a_very_heavy_distribution_stays_on_the_axis() {
        let delay = Delay::Pareto {
            min: Span::from_secs(1),
            alpha: 0.01,
        };
        let key = DrawKey::new(1, "f", "amount", "l");
        assert!((0..10_000).all(|n| delay.sample(&mut key.rng(0, n, 0)) <= LONGEST));
    }

    proptest! {
        #[test]
        fn a_longer_mean_delays_the_same_identity_longer(seed: u64, number: u64, a in 1i64..1_000_000, more in 1i64..1_000_000) {
            let draw = |mean: i64| {
                Delay::Exp(Span::from_millis(mean)).sample(&mut DrawKey::new(seed, "f", "amount", "l").rng(3, number, 0))
            };
            prop_assert!(draw(a) <= draw(a + more));
        }

        #[test]
        fn an_even_draw_lies_between_its_ends(seed: u64, low in -1_000i64..1_000, width in 1i64..1_000) {
            let (low, high) = (Span::from_micros(low), Span::from_micros(low + width));
            let got = Delay::Uniform(low, high).sample(&mut DrawKey::new(seed, "f", "amount", "l").rng(3, 0, 0));
            prop_assert!(low <= got && got < high);
        }
    }
}
