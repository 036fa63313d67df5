//! How long things took: a histogram of spans in microseconds of simulated time.
//!
//! A thin shell around an HDR histogram (Gil Tene's high dynamic range histogram) of three significant digits: a
//! percentile is at most 0.1 % above the recorded value. Least, greatest and sum are kept beside it and are exact. In
//! JSON it is its summary and the histogram itself, in the V2 format with deflate as base64, which other HDR tools read.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

/// The percentiles of a summary, with their names as expectations and tables use them.
pub const PERCENTILES: [(&str, f64); 6] = [
    ("p50", 50.0),
    ("p75", 75.0),
    ("p90", 90.0),
    ("p99", 99.0),
    ("p999", 99.9),
    ("p9999", 99.99),
];

/// A histogram of spans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Histogram {
    counts: hdrhistogram::Histogram<u64>,
    min: Option<Span>,
    max: Option<Span>,
    sum: i64,
    negative: u64,
}

/// Why two histograms cannot be one, or a text is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this is not a histogram: {0}")]
pub struct HistogramError(String);

/// A histogram as the record's JSON has it. The percentiles are there for people and tools without an HDR reader.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Histogram")]
struct Written {
    /// Always `us`: microseconds of simulated time.
    unit: Unit,
    /// How many values.
    count: u64,
    /// How many of them were below zero (clocks apart); they are counted as zero.
    #[serde(default)]
    negative: u64,
    /// The least value, exactly; null where there is none.
    min: Option<Span>,
    /// The greatest value, exactly; null where there is none.
    max: Option<Span>,
    /// The sum of all values, exactly.
    sum: i64,
    /// Percentiles by name (`p50` … `p9999`), at most 0.1 % too high.
    #[serde(default)]
    percentiles: BTreeMap<String, Span>,
    /// The HDR histogram: V2 with deflate, as base64.
    v2: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Us,
}

impl Default for Histogram {
    fn default() -> Self {
        // Bounds (1, 2) and three digits are always valid; resizing makes room for what comes.
        let mut counts = hdrhistogram::Histogram::new_with_bounds(1, 2, 3)
            .unwrap_or_else(|_| unreachable!("bounds 1 and 2 with three digits are valid"));
        counts.auto(true);
        Self {
            counts,
            min: None,
            max: None,
            sum: 0,
            negative: 0,
        }
    }
}

impl Histogram {
    /// Counts a value. One below zero (seen before it happened, by clocks that are apart) is counted as zero in the
    /// percentiles, exactly in least, greatest and sum, and once in [`Histogram::negative`].
    pub fn record(&mut self, value: Span) {
        self.negative += u64::from(value.0 < 0);
        self.counts.saturating_record(u64::try_from(value.0).unwrap_or(0));
        self.min = Some(self.min.map_or(value, |m| m.min(value)));
        self.max = Some(self.max.map_or(value, |m| m.max(value)));
        self.sum = self.sum.saturating_add(value.0);
    }

    /// Takes all values of `other` in.
    pub fn merge(&mut self, other: &Self) {
        // Adding fails only where the receiver may not grow; this one may.
        let added = self.counts.add(&other.counts);
        debug_assert!(added.is_ok(), "a histogram that resizes takes any other in");
        self.negative += other.negative;
        self.min = self.min.into_iter().chain(other.min).min();
        self.max = self.max.into_iter().chain(other.max).max();
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.counts.len()
    }
    /// How many values were below zero.
    pub const fn negative(&self) -> u64 {
        self.negative
    }
    /// The least value, exactly.
    pub const fn min(&self) -> Option<Span> {
        self.min
    }
    /// The greatest value, exactly.
    pub const fn max(&self) -> Option<Span> {
        self.max
    }
    /// The exact sum over the count, in microseconds, rounded once.
    pub fn mean(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum as f64 / self.count() as f64)
    }
    /// The smallest value with at least `percent` of all values at or below it, at most 0.1 % too high and never above
    /// the greatest. `percent` is clamped to 0 … 100. Nothing when there are no values.
    pub fn percentile(&self, percent: f64) -> Option<Span> {
        let max = self.max?;
        let found = self.counts.value_at_percentile(percent.clamp(0.0, 100.0));
        let found = Span(i64::try_from(found).unwrap_or(i64::MAX));
        Some(found.min(max).max(self.min.unwrap_or(found)))
    }
    /// The number that a person or an expectation asks for by name: `min`, `max`, `mean` (rounded to whole
    /// microseconds) or one of [`PERCENTILES`].
    pub fn statistic(&self, name: &str) -> Option<Span> {
        match name {
            "min" => self.min,
            "max" => self.max,
            "mean" => self.mean().map(|m| Span(m.round() as i64)),
            name => PERCENTILES
                .iter()
                .find(|(n, _)| *n == name)
                .and_then(|(_, p)| self.percentile(*p)),
        }
    }
    /// Values and how many there are of each, ascending; a value stands for those within 0.1 % below it.
    pub fn bars(&self) -> impl Iterator<Item = (Span, u64)> + '_ {
        self.counts.iter_recorded().map(|bar| {
            (
                Span(i64::try_from(bar.value_iterated_to()).unwrap_or(i64::MAX)),
                bar.count_since_last_iteration(),
            )
        })
    }

    /// The histogram in the V2 format with deflate, as base64.
    pub fn to_base64(&self) -> String {
        let mut bytes = Vec::new();
        let written = V2DeflateSerializer::new().serialize(&self.counts, &mut bytes);
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        STANDARD.encode(bytes)
    }

    /// The percentile distribution in the text format of HdrHistogram's plotter (`.hgrm`): value, percentile, count up to
    /// there, 1/(1−percentile). Values are in microseconds.
    pub fn to_hgrm(&self) -> String {
        let mut text = format!(
            "{:>12} {:>14} {:>10} {:>14}\n\n",
            "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
        );
        let mut total = 0;
        for step in self.counts.iter_quantiles(5) {
            total += step.count_since_last_iteration();
            let value = i64::try_from(step.value_iterated_to())
                .unwrap_or(i64::MAX)
                .min(self.max.map_or(0, |m| m.0.max(0)));
            let share = step.quantile_iterated_to();
            text += &format!("{value:>12} {share:>14.12} {total:>10}");
            text += &if share < 1.0 {
                format!(" {:>14.2}\n", 1.0 / (1.0 - share))
            } else {
                "\n".to_owned()
            };
        }
        text += &format!(
            "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]\n#[Max     = {:>12}, Total count    = {:>12}]\n",
            self.mean().unwrap_or(0.0),
            self.counts.stdev(),
            self.max.map_or(0, |m| m.0),
            self.count(),
        );
        text
    }
}

impl From<Histogram> for Written {
    fn from(histogram: Histogram) -> Self {
        Self {
            unit: Unit::Us,
            count: histogram.count(),
            negative: histogram.negative,
            min: histogram.min,
            max: histogram.max,
            sum: histogram.sum,
            percentiles: PERCENTILES
                .iter()
                .filter_map(|(name, p)| Some(((*name).to_owned(), histogram.percentile(*p)?)))
                .collect(),
            v2: histogram.to_base64(),
        }
    }
}

impl TryFrom<Written> for Histogram {
    type Error = HistogramError;
    fn try_from(written: Written) -> Result<Self, HistogramError> {
        let bytes = STANDARD
            .decode(&written.v2)
            .map_err(|e| HistogramError(format!("its base64 is broken: {e}")))?;
        let mut counts: hdrhistogram::Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|e| HistogramError(format!("its V2 data is broken: {e}")))?;
        counts.auto(true);
        if counts.len() != written.count {
            return Err(HistogramError(format!(
                "it says count {}, but its data holds {} values",
                written.count,
                counts.len()
            )));
        }
        if (written.count == 0) != (written.min.is_none() && written.max.is_none()) {
            return Err(HistogramError(
                "min and max are there exactly when there are values".to_owned(),
            ));
        }
        Ok(Self {
            counts,
            min: written.min,
            max: written.max,
            sum: written.sum,
            negative: written.negative,
        })
    }
}

impl JsonSchema for Histogram {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Written::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}
