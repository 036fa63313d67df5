//! A sketch of how many different values there were: HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007).
//!
//! What is said of it depends on the set of values alone, and so does the form in which it is saved: the coupons of a
//! small sketch ascending, the registers of a large one. What else the library keeps (where a coupon lies in its table,
//! an estimate that goes by the order of arrival) is not asked for and left out.

use datasketches::hll::{HllSketch, HllType, HllUnion};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wavetank_scenarios::Value;

use crate::processing::expr::normal;

/// HyperLogLog registers: 2^12.
const LG_REGISTERS: u8 = 12;
/// The largest value of a register.
const LARGEST: u8 = 63;

/// The sketch.
#[derive(Clone, Debug)]
pub struct Cardinality(HllSketch);

impl Cardinality {
    /// Of no values; `None` if the library does not make such sketches.
    pub fn new() -> Option<Self> {
        HllSketch::new(LG_REGISTERS, HllType::Hll8).ok().map(Self)
    }
    /// Takes in a value.
    pub fn add(&mut self, value: &Value) {
        self.0.update(normal(value));
    }
    /// Takes in another sketch.
    pub fn merge(&mut self, other: &Self) {
        if let Ok(mut union) = HllUnion::new(LG_REGISTERS) {
            union.update(&self.0);
            union.update(&other.0);
            self.0 = union.to_sketch(HllType::Hll8);
        }
    }
    /// About how many different values there were.
    pub fn estimate(&self) -> f64 {
        self.0.composite_estimate()
    }
}

/// The form in which it is saved.
#[derive(PartialEq, Serialize, Deserialize)]
enum Form {
    /// What the values leave behind, as long as they are few: ascending, none of them zero.
    Coupons(Vec<u32>),
    /// One value each.
    Registers(Vec<u8>),
}

// The library's own form: <https://datasketches.apache.org/docs/HLL/HLL.html>. A header of eight bytes (its length in words,
// the version, the family, the logarithm of the number of registers, that of the table's size, flags, a count, the
// mode), in tables a count and coupons of four bytes, with registers three floats and two counts before them.
const LIST: u8 = 0;
const TABLE: u8 = 1;
const REGISTERS: u8 = 2;
const HLL8: u8 = 2 << 2;
const COMPACT: u8 = 8;
const EMPTY: u8 = 4;
const OUT_OF_ORDER: u8 = 16;
/// A list becomes a table when it has so many coupons.
const LIST_FULL: usize = 8;
/// The logarithms of the smallest and of the largest table; a table is at most three quarters full.
const TABLES: std::ops::RangeInclusive<u8> = 5..=LG_REGISTERS - 3;

const fn header(words: u8, table: u8, flags: u8, count: u8, mode: u8) -> [u8; 8] {
    [words, 1, 7, LG_REGISTERS, table, flags, count, mode | HLL8]
}

impl Form {
    /// `None` when the library's form is not the one that is known.
    fn of(sketch: &HllSketch) -> Option<Self> {
        let bytes = sketch.serialize();
        let coupons = |from: usize| {
            let (coupons, _) = bytes.get(from..)?.as_chunks();
            let mut coupons: Vec<u32> = coupons.iter().map(|c| u32::from_le_bytes(*c)).collect();
            coupons.sort_unstable();
            Some(Self::Coupons(coupons))
        };
        match *bytes.get(7)? & 3 {
            LIST => coupons(8),
            TABLE => coupons(12),
            _ => Some(Self::Registers(bytes.get(40..)?.to_vec())),
        }
    }

    /// The library's form of it; `None` when it is not that of any set of values.
    fn image(&self) -> Option<Vec<u8>> {
        let mut image = Vec::new();
        match self {
            Self::Coupons(coupons) => {
                let ascending = coupons.first() != Some(&0) && coupons.is_sorted_by(|a, b| a < b);
                if coupons.len() < LIST_FULL {
                    let flags = COMPACT | if coupons.is_empty() { EMPTY } else { 0 };
                    image.extend(header(2, 3, flags, coupons.len() as u8, LIST));
                } else {
                    let holds = |table: &u8| 4 * coupons.len() <= 3 << table;
                    let table = TABLES.into_iter().find(holds)?;
                    image.extend(header(3, table, COMPACT, 0, TABLE));
                    image.extend((coupons.len() as u32).to_le_bytes());
                }
                image.extend(coupons.iter().flat_map(|coupon| coupon.to_le_bytes()));
                ascending.then_some(image)
            }
            Self::Registers(registers) => {
                image.extend(header(10, 0, OUT_OF_ORDER, 0, REGISTERS));
                let inverse = |r: &u8| power_of_half(*r);
                // Multiples of one power of two, so few that the sums are exact.
                let small: f64 = registers.iter().filter(|r| **r < 32).map(inverse).sum();
                let large: f64 = registers.iter().filter(|r| **r >= 32).map(inverse).sum();
                let unused = registers.iter().filter(|r| **r == 0).count() as u32;
                image.extend([0.0, small, large].iter().flat_map(|x| x.to_le_bytes()));
                image.extend([unused, 0].iter().flat_map(|n| n.to_le_bytes()));
                image.extend(registers);
                let fits = registers.len() == 1 << LG_REGISTERS && registers.iter().all(|r| *r <= LARGEST);
                fits.then_some(image)
            }
        }
    }
}

/// 2^−n.
const fn power_of_half(n: u8) -> f64 {
    f64::from_bits((1023 - n as u64) << 52)
}

impl Serialize for Cardinality {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let unknown = || serde::ser::Error::custom("the library's form of a sketch has changed");
        Form::of(&self.0).ok_or_else(unknown)?.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Cardinality {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let image = Form::deserialize(d)?.image();
        let sketch = image.and_then(|image| HllSketch::deserialize(&image).ok());
        sketch
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("it is no sketch of different values"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sketch(values: impl Iterator<Item = i64>) -> Cardinality {
        let mut sketch = Cardinality::new().unwrap();
        values.for_each(|v| sketch.add(&Value::Int(v)));
        sketch
    }

    fn saved(sketch: &Cardinality) -> Vec<u8> {
        postcard::to_stdvec(sketch).unwrap()
    }

    proptest! {
        #[test]
        fn a_sketch_comes_back_and_goes_on(before in 0i64..6000, after in 0i64..600, part in 0i64..3) {
            // Around the borders between the forms too.
            let before = [before, before % 40, before % 500][part as usize];
            let mut straight = sketch(0..before);
            let mut back: Cardinality = postcard::from_bytes(&saved(&straight)).unwrap();
            prop_assert_eq!(saved(&back), saved(&straight));
            prop_assert_eq!(back.estimate(), straight.estimate());
            for v in before..before + after {
                straight.add(&Value::Int(v));
                back.add(&Value::Int(v));
            }
            prop_assert_eq!(saved(&back), saved(&straight));
            prop_assert_eq!(back.estimate(), straight.estimate());
            let other = sketch(-after..0);
            straight.merge(&other);
            back.merge(&other);
            prop_assert_eq!(saved(&back), saved(&straight));
            prop_assert_eq!(back.estimate(), straight.estimate());
        }

        #[test]
        fn the_order_of_arrival_is_not_saved(values in prop::collection::vec(0i64..1000, 0..700)) {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            prop_assert_eq!(saved(&sketch(values.into_iter())), saved(&sketch(sorted.into_iter())));
        }
    }

    #[test]
    fn what_is_no_sketch_is_refused() {
        for form in [
            Form::Coupons(vec![0]),
            Form::Coupons(vec![2, 1]),
            Form::Coupons(vec![1, 1]),
            Form::Coupons((1..400).collect()),
            Form::Registers(vec![1; 4095]),
            Form::Registers(vec![64; 4096]),
        ] {
            let bytes = postcard::to_stdvec(&form).unwrap();
            assert!(postcard::from_bytes::<Cardinality>(&bytes).is_err());
        }
    }
}
