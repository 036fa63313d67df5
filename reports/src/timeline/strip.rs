//! Series over virtual time in a bounded number of buckets.
//!
//! Nobody knows at the start how long a run will be. A strip begins with narrow buckets; when they are used up, pairs of
//! neighbours become one and the width doubles. Of a gauge each bucket keeps the least, the greatest and the last value,
//! so that no peak is lost; of a count its sum, so that the whole is exact.

use serde::{Deserialize, Serialize};

/// The most buckets of a strip; once they have been merged there are never fewer than half as many.
pub const BUCKETS: i64 = 480;
/// The width of a bucket before the first two are merged, in microseconds.
const FINEST: i64 = 100;

/// How values of a series belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// How many in each bucket; nothing is nought.
    #[default]
    Count,
    /// A value that stays until it changes.
    Gauge,
    /// Single readings; nothing is nothing.
    Reading,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cell {
    bucket: i64,
    low: i64,
    high: i64,
    last: i64,
}

/// A series that is being gathered.
#[derive(Clone, PartialEq, Debug)]
pub struct Strip {
    form: Form,
    width: i64,
    cells: Vec<Cell>,
    now: i64,
}

/// A series as it is kept: only buckets in which there was something, column by column.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Series {
    /// What it is: `in`, `held`, or the name of a metric.
    pub name: String,
    /// `count`, `us` or `bytes`.
    pub unit: String,
    /// How its values belong together.
    pub form: Form,
    /// The buckets, ascending.
    pub bucket: Vec<u32>,
    /// The last value in each; of counts the sum.
    pub last: Vec<i64>,
    /// The least value in each; empty where it is the last one everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub low: Vec<i64>,
    /// The greatest value in each; empty where it is the last one everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub high: Vec<i64>,
}

impl Strip {
    /// An empty one.
    pub const fn new(form: Form) -> Self {
        Self {
            form,
            width: FINEST,
            cells: Vec::new(),
            now: 0,
        }
    }

    /// A value at a moment, in microseconds since the start; moments never go back. Of a count, so many more.
    pub fn put(&mut self, at: i64, value: i64) {
        let before = std::mem::replace(&mut self.now, value);
        if self.form == Form::Gauge && before == value && !self.cells.is_empty() {
            return;
        }
        let at = at.max(0);
        while at / self.width >= BUCKETS {
            self.widen();
        }
        let bucket = at / self.width;
        match (self.cells.last_mut(), self.form) {
            (Some(cell), Form::Count) if cell.bucket == bucket => cell.last += value,
            (Some(cell), _) if cell.bucket == bucket => {
                cell.low = cell.low.min(value);
                cell.high = cell.high.max(value);
                cell.last = value;
            }
            (before_it, form) => {
                // What a gauge showed until now it showed at the beginning of this bucket as well.
                let carried = if form == Form::Gauge && before_it.is_some() {
                    before
                } else {
                    value
                };
                self.cells.push(Cell {
                    bucket,
                    low: value.min(carried),
                    high: value.max(carried),
                    last: value,
                });
            }
        }
    }

    /// The sum of a count.
    pub fn sum(&self) -> i64 {
        self.cells.iter().map(|cell| cell.last).sum()
    }

    /// The width that a strip needs for a run of that length.
    pub fn width_for(length: i64) -> i64 {
        let mut width = FINEST;
        while length.max(0) / width >= BUCKETS {
            width = width.saturating_mul(2);
        }
        width
    }

    fn widen(&mut self) {
        self.width = self.width.saturating_mul(2);
        let count = self.form == Form::Count;
        let mut merged: Vec<Cell> = Vec::with_capacity(self.cells.len() / 2 + 1);
        for mut cell in self.cells.drain(..) {
            cell.bucket /= 2;
            match merged.last_mut() {
                Some(other) if other.bucket == cell.bucket => {
                    other.low = other.low.min(cell.low);
                    other.high = other.high.max(cell.high);
                    other.last = if count { other.last + cell.last } else { cell.last };
                }
                _ => merged.push(cell),
            }
        }
        self.cells = merged;
    }

    /// The series, in buckets of that width, which must be one of [`Strip::width_for`]; nothing when it was zero all the
    /// time.
    pub fn finish(mut self, name: &str, unit: &str, width: i64) -> Option<Series> {
        while self.width < width {
            self.widen();
        }
        let quiet = |cell: &Cell| cell.low == 0 && cell.high == 0 && cell.last == 0;
        if self.cells.iter().all(quiet) && self.form != Form::Reading || self.cells.is_empty() {
            return None;
        }
        let column = |of: fn(&Cell) -> i64| -> Vec<i64> { self.cells.iter().map(of).collect() };
        let spread = self.form != Form::Count;
        let differs = |of: fn(&Cell) -> i64| spread && self.cells.iter().any(|cell| of(cell) != cell.last);
        Some(Series {
            name: name.to_owned(),
            unit: unit.to_owned(),
            form: self.form,
            bucket: self.cells.iter().map(|cell| cell.bucket as u32).collect(),
            low: if differs(|c| c.low) { column(|c| c.low) } else { vec![] },
            high: if differs(|c| c.high) {
                column(|c| c.high)
            } else {
                vec![]
            },
            last: column(|c| c.last),
        })
    }
}

impl Series {
    /// The greatest value of any bucket.
    pub fn max(&self) -> i64 {
        self.high.iter().chain(&self.last).copied().max().unwrap_or(0)
    }
    /// The sum of a count; of others of no meaning.
    pub fn sum(&self) -> i64 {
        self.last.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_peak_survives_any_number_of_merged_buckets() {
        let mut strip = Strip::new(Form::Gauge);
        strip.put(0, 1);
        strip.put(1_000, 99);
        strip.put(1_001, 1);
        for second in 1..10_000 {
            strip.put(second * 1_000_000, 1 + second % 2);
        }
        let width = Strip::width_for(10_000_000_000);
        let series = strip.finish("held", "count", width).expect("it was not zero");
        assert_eq!(series.max(), 99);
        assert_eq!(series.bucket[0], 0);
        assert!(series.bucket.len() <= BUCKETS as usize);
    }

    #[test]
    fn a_gauge_that_jumps_shows_what_it_was_before_in_the_same_bucket() {
        let mut strip = Strip::new(Form::Gauge);
        strip.put(0, 5);
        strip.put(1_000, 9);
        let series = strip.finish("held", "count", FINEST).expect("it was not zero");
        assert_eq!((series.low, series.last), (vec![5, 5], vec![5, 9]));
    }

    #[test]
    fn what_was_always_nought_is_no_series() {
        let mut strip = Strip::new(Form::Gauge);
        strip.put(0, 0);
        strip.put(10, 0);
        assert_eq!(strip.finish("held", "count", FINEST), None);
        assert_eq!(Strip::new(Form::Reading).finish("x", "us", FINEST), None);
    }

    proptest! {
        #[test]
        fn counts_add_up_however_many_buckets_are_merged(mut ats in prop::collection::vec(0i64..1_000_000_000, 1..200)) {
            ats.sort_unstable();
            let mut strip = Strip::new(Form::Count);
            ats.iter().for_each(|at| strip.put(*at, 1));
            prop_assert_eq!(strip.sum(), ats.len() as i64);
            let width = Strip::width_for(*ats.last().expect("one at least"));
            let series = strip.finish("in", "count", width).expect("something came");
            prop_assert_eq!(series.sum(), ats.len() as i64);
            prop_assert!(series.bucket.is_sorted() && series.bucket.iter().all(|b| i64::from(*b) < BUCKETS));
        }

        #[test]
        fn no_bucket_hides_the_least_or_greatest_value(values in prop::collection::vec((1i64..5_000_000, -50i64..50), 1..200)) {
            let mut at = 0;
            let mut strip = Strip::new(Form::Reading);
            for (step, value) in &values {
                at += step;
                strip.put(at, *value);
            }
            let series = strip.finish("x", "us", Strip::width_for(at)).expect("there are readings");
            let low = series.low.iter().chain(&series.last).min();
            prop_assert_eq!(low, values.iter().map(|(_, v)| v).min());
            prop_assert_eq!(Some(series.max()), values.iter().map(|(_, v)| *v).max());
        }
    }
}
