//! Exact sums of floats, and the one rounding at their end.
//!
//! [`Exact`] holds a sum of floats as it is, without rounding: disorder, panes and the way they are merged can never
//! show in a result. Most data keeps within 74 binary orders of magnitude and fits one integer of 128 bits with a common
//! exponent; what does not spills into digits over the whole range of floats and their squares (the superaccumulator of
//! Neal, "Fast exact summation using small and large superaccumulators", 2015). The `xsum` crate has no merge and no
//! copy, which panes need, and misrounds negative sums; the tests hold this module against it where it is right.
//!
//! What is computed from the sums, in operators and judge alike, with `n` values `x`:
//!
//! - sum: the exact `Σx`, rounded once;
//! - mean: that sum divided by `n` as a float;
//! - population variance: the exact `n·Σx² − (Σx)²` (every square exact), rounded once, divided by `n²` as a float; sample
//!   variance: the same over `n·(n − 1)`; standard deviation: the square root of that variance.
//!
//! Rounding is to nearest, ties to even. A sum that is zero is `+0.0`. With infinities or not-a-number among the values
//! the results are those of IEEE: an infinity alone wins, two of different sign or any not-a-number give not-a-number
//! (the canonical one); a variance then is not-a-number.

use num_bigint::{BigInt, BigUint, Sign};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Weight of the lowest digit of [`Wide`]: the square of the smallest float is 2^−2148.
const LOWEST: i32 = -2148;
/// The exponent of the largest square.
const HIGHEST: i32 = 2 * 971;
/// 32 bits each, up to 2^1942 · 2^128 and room for carries.
const DIGITS: usize = 137;

/// An exact sum of floats.
#[derive(Clone, Debug, Default)]
pub struct Exact {
    /// `narrow · 2^unit`, as long as `wide` is absent.
    narrow: i128,
    unit: i32,
    wide: Option<Box<Wide>>,
    /// Not-a-number, +∞, −∞ among the values.
    special: [bool; 3],
}

/// Digits of 32 bits, each held in 64 so that carries can wait.
#[derive(Clone, Debug)]
struct Wide {
    digits: [i64; DIGITS],
    /// Additions since carries were last passed on.
    waiting: u32,
}

impl Wide {
    fn add(&mut self, mantissa: i128, exponent: i32) {
        if self.waiting >= 1 << 29 {
            self.carry();
        }
        self.waiting += 1;
        let position = (exponent - LOWEST) as usize;
        let (digit, shift) = (position / 32, position % 32);
        let mut rest = mantissa.unsigned_abs();
        let mut at = digit;
        while rest != 0 {
            let part = (u64::from(rest as u32)) << shift;
            let (low, high) = ((part & 0xffff_ffff) as i64, (part >> 32) as i64);
            if mantissa < 0 {
                self.digits[at] -= low;
                self.digits[at + 1] -= high;
            } else {
                self.digits[at] += low;
                self.digits[at + 1] += high;
            }
            rest >>= 32;
            at += 1;
        }
    }
    fn carry(&mut self) {
        for i in 0..DIGITS - 1 {
            let over = self.digits[i] >> 32;
            self.digits[i] &= 0xffff_ffff;
            self.digits[i + 1] += over;
        }
        self.waiting = 1;
    }
    fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        other.carry();
        self.carry();
        for (mine, theirs) in self.digits.iter_mut().zip(other.digits) {
            *mine += theirs;
        }
        self.waiting = 3;
    }
    fn to_big(&self) -> BigInt {
        let mut carried = self.clone();
        carried.carry();
        let top = BigInt::from(carried.digits[DIGITS - 1]);
        let low: Vec<u32> = carried.digits[..DIGITS - 1].iter().map(|d| *d as u32).collect();
        (top << (32 * (DIGITS - 1))) + BigInt::from(BigUint::new(low))
    }
}

/// Mantissa and exponent of a finite float: it is `mantissa · 2^exponent`.
const fn parts(x: f64) -> (i64, i32) {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32;
    let fraction = (bits & ((1 << 52) - 1)) as i64;
    let (mantissa, exponent) = if exponent == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, exponent - 1075)
    };
    (if x.is_sign_negative() { -mantissa } else { mantissa }, exponent)
}

impl Exact {
    /// Adds a float.
    #[inline]
    pub fn add(&mut self, x: f64) {
        if x.is_finite() {
            let (mantissa, exponent) = parts(x);
            self.add_scaled(i128::from(mantissa), exponent);
        } else {
            self.add_special(x);
        }
    }
    /// Adds the exact square of a float.
    pub fn add_square(&mut self, x: f64) {
        if x.is_finite() {
            let (mantissa, exponent) = parts(x);
            self.add_scaled(i128::from(mantissa) * i128::from(mantissa), 2 * exponent);
        } else {
            self.add_special(x * x);
        }
    }
    /// Adds a whole number.
    pub fn add_whole(&mut self, x: i128) {
        self.add_scaled(x, 0);
    }
    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        match &other.wide {
            Some(theirs) => {
                self.widen().merge(theirs);
            }
            None => self.add_scaled(other.narrow, other.unit),
        }
        for (mine, theirs) in self.special.iter_mut().zip(other.special) {
            *mine |= theirs;
        }
    }
    #[cold]
    fn add_special(&mut self, x: f64) {
        self.special[if x.is_nan() {
            0
        } else if x > 0.0 {
            1
        } else {
            2
        }] = true;
    }
    #[inline]
    fn add_scaled(&mut self, mantissa: i128, exponent: i32) {
        if mantissa == 0 {
            return;
        }
        if self.wide.is_none() && self.try_narrow(mantissa, exponent).is_some() {
            return;
        }
        self.widen().add(mantissa, exponent);
    }
    #[inline]
    fn try_narrow(&mut self, mantissa: i128, exponent: i32) -> Option<()> {
        if self.narrow == 0 {
            (self.narrow, self.unit) = (mantissa, exponent);
            return Some(());
        }
        let (mine, theirs, unit) = if exponent >= self.unit {
            (self.narrow, shifted(mantissa, exponent - self.unit)?, self.unit)
        } else {
            (shifted(self.narrow, self.unit - exponent)?, mantissa, exponent)
        };
        self.narrow = mine.checked_add(theirs)?;
        self.unit = unit;
        Some(())
    }
    #[cold]
    fn widen(&mut self) -> &mut Wide {
        let (narrow, unit) = (self.narrow, self.unit);
        self.wide.get_or_insert_with(|| {
            let mut wide = Box::new(Wide {
                digits: [0; DIGITS],
                waiting: 0,
            });
            wide.add(narrow, unit.max(LOWEST));
            wide
        })
    }
    fn irregular(&self) -> Option<f64> {
        match self.special {
            [false, false, false] => None,
            [false, true, false] => Some(f64::INFINITY),
            [false, false, true] => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        }
    }
    fn to_big(&self) -> (BigInt, i32) {
        match &self.wide {
            Some(wide) => (wide.to_big(), LOWEST),
            None => (BigInt::from(self.narrow), self.unit),
        }
    }
    /// The sum, rounded once.
    pub fn sum(&self) -> f64 {
        if let Some(value) = self.irregular() {
            return value;
        }
        match &self.wide {
            None if self.narrow == 0 => 0.0,
            // One rounding: an integer to a float; the scaling is exact, or goes to infinity as it must.
            None if (-1074..=1023).contains(&self.unit) => self.narrow as f64 * power_of_two(self.unit),
            _ => {
                let (sum, unit) = self.to_big();
                rounded(&sum, unit)
            }
        }
    }
    /// The variance of `n` values (at least two, or one when `sample` is false) whose sum this is, their squares' sum
    /// being `squares`.
    pub fn variance(&self, squares: &Self, n: u64, sample: bool) -> f64 {
        if self.irregular().is_some() || squares.irregular().is_some() {
            return f64::NAN;
        }
        let (sum, sum_unit) = self.to_big();
        let (squares, squares_unit) = squares.to_big();
        // Over a common unit, the smaller of 2·sum_unit and squares_unit.
        let unit = squares_unit.min(2 * sum_unit);
        let scaled = (squares * n) << (squares_unit - unit) as usize;
        let square = (&sum * &sum) << (2 * sum_unit - unit) as usize;
        let over = u128::from(n) * u128::from(if sample { n - 1 } else { n });
        rounded(&(scaled - square), unit) / over as f64
    }
}

/// `x · 2^by`, if it fits.
#[inline]
fn shifted(x: i128, by: i32) -> Option<i128> {
    let room = x.unsigned_abs().leading_zeros() as i32 - 1;
    (by < room).then(|| x << by)
}

/// 2^e as a float, for e from −1074 to 1023.
const fn power_of_two(e: i32) -> f64 {
    if e >= -1022 {
        f64::from_bits(((e + 1023) as u64) << 52)
    } else {
        f64::from_bits(1 << (e + 1074))
    }
}

/// `x · 2^unit`, rounded once to the nearest float, ties to even.
fn rounded(x: &BigInt, unit: i32) -> f64 {
    let size = x.magnitude();
    // Keep 53 bits, or as many as a subnormal has.
    let length = size.bits() as i64;
    let drop = (length - 53).max(-1074 - i64::from(unit)).max(0);
    let mut kept = size >> drop as u64;
    if drop > 0 && drop <= length {
        let half = BigUint::from(1u8) << (drop - 1) as u64;
        let cut = size - (&kept << drop as u64);
        if cut > half || (cut == half && kept.bit(0)) {
            kept += 1u8;
        }
    }
    // 54 bits at most, the last of which is then zero: exact.
    let kept = kept.iter_u64_digits().next().unwrap_or(0) as f64;
    let exponent = i64::from(unit) + drop;
    let value = match i32::try_from(exponent) {
        Ok(e) if e > 1023 => scaled_up(kept, e),
        Ok(e) => kept * power_of_two(e.max(-1074)),
        Err(_) => f64::INFINITY,
    };
    if x.sign() == Sign::Minus { -value } else { value }
}

/// `x · 2^e` for an e beyond the exponents of floats: infinite unless x is zero.
fn scaled_up(x: f64, e: i32) -> f64 {
    x * power_of_two(1023) * power_of_two((e - 1023).min(1023))
}

/// The form in which a sum is saved.
#[derive(Serialize, Deserialize)]
enum Form {
    /// The sum over 2^unit, and the unit.
    Narrow(i128, i32),
    /// The digits of a wide sum after carries are passed on, which are the same however it came about: which is the first
    /// that is not zero, those up to the last that is not like all above it, and whether those are of a negative sum.
    Wide(u8, Vec<u32>, bool),
}

impl Wide {
    fn to_form(&self) -> Form {
        let mut carried = self.clone();
        carried.carry();
        let negative = carried.digits[DIGITS - 1] < 0;
        let above = if negative { u32::MAX } else { 0 };
        let digits: Vec<u32> = carried.digits[..DIGITS - 1].iter().map(|d| *d as u32).collect();
        let first = digits.iter().position(|d| *d != 0).unwrap_or(0);
        let last = digits.iter().rposition(|d| *d != above).map_or(first, |last| last + 1);
        Form::Wide(first as u8, digits[first..last.max(first)].to_vec(), negative)
    }
    fn from_form(first: u8, middle: &[u32], negative: bool) -> Option<Self> {
        let first = usize::from(first);
        let last = first + middle.len();
        let mut digits = [0; DIGITS];
        for (digit, value) in digits.get_mut(first..last)?.iter_mut().zip(middle) {
            *digit = i64::from(*value);
        }
        // The topmost digit is never reached by a sum; it has the sign.
        for digit in digits[..DIGITS - 1].get_mut(last..)?.iter_mut().filter(|_| negative) {
            *digit = i64::from(u32::MAX);
        }
        digits[DIGITS - 1] = -i64::from(negative);
        Some(Self { digits, waiting: 1 })
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let form = match &self.wide {
            Some(wide) => wide.to_form(),
            None => Form::Narrow(self.narrow, self.unit),
        };
        (form, self.special).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let (form, special) = <(Form, [bool; 3])>::deserialize(d)?;
        let mut exact = Self {
            special,
            ..Self::default()
        };
        let fits = match form {
            Form::Narrow(narrow, unit) => {
                (exact.narrow, exact.unit) = (narrow, unit);
                (LOWEST..=HIGHEST).contains(&unit)
            }
            Form::Wide(first, digits, negative) => {
                exact.wide = Wide::from_form(first, &digits, negative).map(Box::new);
                exact.wide.is_some()
            }
        };
        match fits {
            true => Ok(exact),
            false => Err(serde::de::Error::custom("it is no sum of floats")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use xsum::Xsum;

    fn sum(values: &[f64]) -> Exact {
        let mut exact = Exact::default();
        values.iter().for_each(|x| exact.add(*x));
        exact
    }

    fn any_finite() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>().prop_filter("finite", |x| x.is_finite()),
            -1e6..1e6f64,
            Just(0.1),
            Just(-0.0),
            Just(f64::MIN_POSITIVE / 8.0),
            Just(1e300),
            Just(-1e300)
        ]
    }

    proptest! {
        #[test]
        fn a_sum_is_what_another_exact_accumulator_says(values in prop::collection::vec(any_finite(), 1..60)) {
            // xsum 0.1.6 rounds negative results away from zero (its sum of -1e300 alone is not -1e300), so it is asked for
            // the positive one.
            let said = sum(&values).sum();
            let sign = if said < 0.0 { -1.0 } else { 1.0 };
            let mut reference = xsum::XsumSmall::new();
            values.iter().for_each(|x| reference.add(sign * x));
            prop_assert_eq!(sign * said, reference.sum() + 0.0);
        }

        #[test]
        fn merged_parts_are_the_whole(values in prop::collection::vec(any_finite(), 1..60), cut in 0usize..60) {
            let cut = cut.min(values.len());
            let mut parts = sum(&values[..cut]);
            parts.merge(&sum(&values[cut..]));
            prop_assert_eq!(parts.sum(), sum(&values).sum());
        }

        #[test]
        fn a_sum_comes_back_as_it_was_and_goes_on(
            values in prop::collection::vec(any_finite(), 0..40), more in prop::collection::vec(any_finite(), 0..20),
            whole in any::<i64>(), squares in any::<bool>()
        ) {
            let mut straight = sum(&values);
            straight.add_whole(i128::from(whole));
            if squares {
                values.iter().for_each(|x| straight.add_square(*x));
            }
            let mut back: Exact = postcard::from_bytes(&postcard::to_stdvec(&straight).unwrap()).unwrap();
            for x in more {
                prop_assert_eq!(postcard::to_stdvec(&back).unwrap(), postcard::to_stdvec(&straight).unwrap());
                prop_assert_eq!(back.sum(), straight.sum());
                straight.add(x);
                back.add(x);
            }
            prop_assert_eq!(back.sum(), straight.sum());
            let mut twice = back.clone();
            twice.merge(&straight);
            straight.merge(&back);
            prop_assert_eq!(postcard::to_stdvec(&twice).unwrap(), postcard::to_stdvec(&straight).unwrap());
        }

        #[test]
        fn taking_a_value_out_again_leaves_no_trace(values in prop::collection::vec(any_finite(), 1..30), x in any_finite()) {
            let mut exact = sum(&values);
            exact.add(x);
            exact.add(-x);
            prop_assert_eq!(exact.sum(), sum(&values).sum());
        }

        #[test]
        fn a_whole_number_is_rounded_as_the_machine_rounds(m in any::<i128>(), by in 0i32..900) {
            prop_assert_eq!(rounded(&BigInt::from(m), by), m as f64 * power_of_two(by));
            prop_assert_eq!(rounded(&(BigInt::from(m) << 900u32), by - 900), m as f64 * power_of_two(by));
        }

        #[test]
        fn the_variance_of_equal_values_is_zero(x in any_finite(), n in 2u64..50) {
            let mut squares = Exact::default();
            (0..n).for_each(|_| squares.add_square(x));
            prop_assert_eq!(sum(&vec![x; n as usize]).variance(&squares, n, true), 0.0);
        }
    }

    #[test]
    fn subnormals_are_rounded_once() {
        assert_eq!(rounded(&BigInt::from(3), -1075), f64::from_bits(2));
        assert_eq!(rounded(&BigInt::from(1), -1075), 0.0);
        assert_eq!(rounded(&BigInt::from(-5), -1076), -f64::from_bits(1));
        assert_eq!(rounded(&BigInt::from(1), -3000), 0.0);
    }

    #[test]
    fn what_is_too_large_is_infinite_and_comes_back() {
        assert_eq!(sum(&[f64::MAX, f64::MAX]).sum(), f64::INFINITY);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]).sum(), f64::MAX);
    }

    #[test]
    fn a_small_spread_around_a_large_mean_keeps_its_variance() {
        let values = [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0];
        let mut squares = Exact::default();
        values.iter().for_each(|x| squares.add_square(*x));
        assert_eq!(sum(&values).variance(&squares, 4, true), 30.0);
        assert_eq!(sum(&values).variance(&squares, 4, false), 22.5);
    }

    #[test]
    fn infinities_behave_as_in_ieee() {
        assert_eq!(sum(&[f64::INFINITY, 1.0]).sum(), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).sum().is_nan());
    }
}
