//! How long things took: a histogram of spans in microseconds of simulated time.
//!
//! A thin shell around an HDR histogram (Gil Tene's high dynamic range histogram) of three significant digits: a
//! percentile is at most 0.1 % above the recorded value. Least, greatest and sum are kept beside it and are exact. In
//! JSON it is its summary and the histogram itself, in the V2 format as base64, which other HDR tools read.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer, V2Serializer};
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

/// Significant digits of every histogram: percentiles are at most 0.1 % too high.
const DIGITS: u8 = 3;

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
    /// The HDR histogram: the V2 format, without deflate, as base64.
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
        let mut counts = hdrhistogram::Histogram::new_with_bounds(1, 2, DIGITS)
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
        let counted = u64::try_from(value.0).unwrap_or(0);
        // A histogram that resizes takes every value; were it not to, the value would still be counted, at its end.
        if self.counts.record(counted).is_err() {
            self.counts.saturating_record(counted);
        }
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

    /// The histogram in the V2 format (without deflate, so that its bytes depend on no compressor), as base64.
    pub fn to_base64(&self) -> String {
        let mut bytes = Vec::new();
        let written = V2Serializer::new().serialize(&self.counts, &mut bytes);
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

/// Several histograms as one interval log (`.hlog`), the format of HdrHistogram's log tools: V2, deflated, each under its tag.
/// Values are in microseconds; all are of the interval of `length` that begins at zero.
///
/// # Errors
/// A name that cannot be a tag: one with a comma, a blank or a line break.
pub fn to_log<'a>(
    histograms: impl IntoIterator<Item = (&'a str, &'a Histogram)>,
    length: Span,
) -> Result<String, HistogramError> {
    let wrong = |error: &dyn std::fmt::Display| HistogramError(error.to_string());
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("values in microseconds; the largest of each in milliseconds")
        .with_max_value_divisor(1000.0)
        .begin_log_with(&mut bytes, &mut serializer)
        .map_err(|error| wrong(&error))?;
    let length = Duration::from_micros(u64::try_from(length.0).unwrap_or(0));
    for (name, histogram) in histograms {
        let tag = Tag::new(name).ok_or_else(|| HistogramError(format!("`{name}` cannot be a tag")))?;
        log.write_histogram(&histogram.counts, Duration::ZERO, length, Some(tag))
            .map_err(|error| wrong(&error))?;
    }
    drop(log);
    String::from_utf8(bytes).map_err(|error| wrong(&error))
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

/// Refuses data whose header promises more or less than there is, before anything is made of that promise: a reader
/// would set gigabytes aside. Only the plain format is taken, whose length says everything.
fn check_length(bytes: &[u8]) -> Result<(), HistogramError> {
    /// The first four bytes of the V2 format.
    const COOKIE: [u8; 4] = [0x1c, 0x84, 0x93, 0x13];
    /// Bytes of the header, which the length in it does not count.
    const HEADER: usize = 40;
    match bytes {
        [c0, c1, c2, c3, l0, l1, l2, l3, ..] if [*c0, *c1, *c2, *c3] == COOKIE => {
            let promised = u32::from_be_bytes([*l0, *l1, *l2, *l3]);
            match bytes.len().checked_sub(HEADER) {
                Some(length) if u32::try_from(length) == Ok(promised) => Ok(()),
                _ => Err(HistogramError(format!(
                    "its V2 data should be {HEADER} + {promised} bytes long and is {}",
                    bytes.len()
                ))),
            }
        }
        _ => Err(HistogramError(
            "its data is not in the V2 format (plain, without deflate)".to_owned(),
        )),
    }
}

impl TryFrom<Written> for Histogram {
    type Error = HistogramError;
    fn try_from(written: Written) -> Result<Self, HistogramError> {
        let bytes = STANDARD
            .decode(&written.v2)
            .map_err(|e| HistogramError(format!("its base64 is broken: {e}")))?;
        check_length(&bytes)?;
        let mut counts: hdrhistogram::Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|e| HistogramError(format!("its V2 data is broken: {e}")))?;
        counts.auto(true);
        if counts.sigfig() != DIGITS {
            return Err(HistogramError(format!(
                "it has {} significant digits instead of {DIGITS}",
                counts.sigfig()
            )));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[i64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|v| histogram.record(Span(*v)));
        histogram
    }

    #[test]
    fn an_interval_log_is_read_back_by_its_tags() {
        use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
        let mut a = Histogram::default();
        for us in [10, 20, 30_000] {
            a.record(Span(us));
        }
        let log = to_log([("sink.latency", &a), ("b", &Histogram::default())], Span(2_500_000)).unwrap();
        let entries: Vec<_> = IntervalLogIterator::new(log.as_bytes()).map(Result::unwrap).collect();
        let [LogEntry::Interval(first), LogEntry::Interval(second)] = entries.as_slice() else {
            panic!("{log}")
        };
        assert_eq!(first.tag().map(|tag| tag.as_str()), Some("sink.latency"));
        assert_eq!((first.duration().as_millis(), first.max()), (2_500, 30.015));
        let bytes = STANDARD.decode(first.encoded_histogram()).unwrap();
        let back: hdrhistogram::Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        assert_eq!(back, a.counts);
        assert_eq!(second.tag().map(|tag| tag.as_str()), Some("b"));
        assert!(to_log([("a b", &a)], Span(0)).is_err());
    }

    #[test]
    fn an_empty_histogram_has_no_statistics() {
        let empty = Histogram::default();
        assert_eq!(
            (empty.count(), empty.min(), empty.max(), empty.mean()),
            (0, None, None, None)
        );
        assert!(PERCENTILES.iter().all(|(name, _)| empty.statistic(name).is_none()));
    }

    #[test]
    fn values_below_zero_count_as_zero_and_are_told() {
        let histogram = of(&[-500, 10]);
        assert_eq!(
            (histogram.count(), histogram.negative(), histogram.min()),
            (2, 1, Some(Span(-500)))
        );
        assert_eq!(histogram.mean(), Some(-245.0));
        assert_eq!(histogram.percentile(50.0), Some(Span(0)));
    }

    #[test]
    fn json_whose_count_does_not_fit_its_data_is_refused() {
        let text = serde_json::to_string(&of(&[1, 2, 3])).unwrap_or_default();
        let wrong = text.replace("\"count\":3", "\"count\":4");
        let error = serde_json::from_str::<Histogram>(&wrong)
            .map(|_| ())
            .map_err(|e| e.to_string());
        assert_eq!(
            error,
            Err("this is not a histogram: it says count 4, but its data holds 3 values".to_owned())
        );
        for broken in ["\"v2\":\"!\"", "\"v2\":\"AAAA\"", "\"v2\":\"\""] {
            let start = text.find("\"v2\"").unwrap_or(0);
            let wrong = format!("{}{broken}}}", &text[..start]);
            assert!(serde_json::from_str::<Histogram>(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_percentile_file_ends_with_every_value_counted() {
        insta::assert_snapshot!(of(&[1_000, 2_000, 2_000, 50_000]).to_hgrm());
    }

    proptest! {
        #[test]
        fn a_percentile_is_the_ranked_value_and_at_most_a_thousandth_above(
            mut values in prop::collection::vec(0i64..10_000_000_000, 1..200),
            percent in 0.0f64..=100.0,
        ) {
            let histogram = of(&values);
            values.sort_unstable();
            let rank = ((percent / 100.0 * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1];
            let found = histogram.percentile(percent).map_or(-1, |s| s.0);
            prop_assert!(exact <= found && found <= exact + exact / 1_000 + 1, "{found} for {exact}");
        }

        #[test]
        fn the_total_is_the_count_and_the_ends_are_exact(values in prop::collection::vec(any::<i32>(), 1..200)) {
            let values: Vec<i64> = values.into_iter().map(i64::from).collect();
            let histogram = of(&values);
            prop_assert_eq!(histogram.count(), values.len() as u64);
            prop_assert_eq!(histogram.bars().map(|(_, n)| n).sum::<u64>(), values.len() as u64);
            prop_assert_eq!(histogram.min().map(|s| s.0), values.iter().copied().min());
            prop_assert_eq!(histogram.max().map(|s| s.0), values.iter().copied().max());
            prop_assert_eq!(histogram.mean(), Some(values.iter().sum::<i64>() as f64 / values.len() as f64));
        }

        #[test]
        fn merging_is_recording_everything_into_one(
            first in prop::collection::vec(any::<i64>(), 0..50),
            second in prop::collection::vec(any::<i64>(), 0..50),
        ) {
            let mut merged = of(&first);
            merged.merge(&of(&second));
            let together = of(&[first, second].concat());
            prop_assert_eq!(merged.bars().collect::<Vec<_>>(), together.bars().collect::<Vec<_>>());
            prop_assert_eq!((merged.min(), merged.max(), merged.count()), (together.min(), together.max(), together.count()));
        }

        #[test]
        fn json_gives_the_same_histogram_back(values in prop::collection::vec(any::<i64>(), 0..100)) {
            let histogram = of(&values);
            let text = serde_json::to_string(&histogram).unwrap_or_default();
            prop_assert_eq!(serde_json::from_str::<Histogram>(&text).ok(), Some(histogram));
        }
    }

    proptest! {
        #[test]
        fn no_data_whatever_panics_the_reader(
            values in prop::collection::vec(any::<i64>(), 0..20),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let histogram = of(&values);
            let mut plain = Vec::new();
            let written = V2Serializer::new().serialize(&histogram.counts, &mut plain);
            prop_assert!(written.is_ok());
            let index = at.index(plain.len());
            plain[index] = byte;
            for bytes in [&plain[..], &plain[..cut.index(plain.len())]] {
                let mut written = Written::from(histogram.clone());
                written.v2 = STANDARD.encode(bytes);
                if let Ok(read) = Histogram::try_from(written) {
                    let _ = (read.to_hgrm(), read.percentile(99.0), read.bars().count());
                }
            }
        }
    }
}
