//! Which numbers a producer's events had: a set of whole numbers, kept as ranges.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A set of whole numbers. It takes as much memory as it has gaps.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Numbers {
    /// Ranges that do not touch: the first number of each, and the last.
    ranges: BTreeMap<u64, u64>,
}

impl Numbers {
    /// Whether a number is in it.
    pub fn has(&self, number: u64) -> bool {
        let below = self.ranges.range(..=number).next_back();
        below.is_some_and(|(_, last)| number <= *last)
    }
    /// Puts a number in; whether it is new.
    pub fn put(&mut self, number: u64) -> bool {
        if self.has(number) {
            return false;
        }
        let below = self.ranges.range(..number).next_back();
        let touches = below.filter(|(_, last)| **last + 1 == number).map(|(first, _)| *first);
        let above = number.checked_add(1).and_then(|next| self.ranges.remove(&next));
        self.ranges.insert(touches.unwrap_or(number), above.unwrap_or(number));
        true
    }
    /// Takes a number out; whether it was in it.
    pub fn take(&mut self, number: u64) -> bool {
        let below = self.ranges.range(..=number).next_back();
        let Some((first, last)) = below
            .map(|(first, last)| (*first, *last))
            .filter(|(_, last)| number <= *last)
        else {
            return false;
        };
        self.ranges.remove(&first);
        if first < number {
            self.ranges.insert(first, number - 1);
        }
        if number < last {
            self.ranges.insert(number + 1, last);
        }
        true
    }
    /// How many ranges it takes.
    pub fn ranges(&self) -> usize {
        self.ranges.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_set_of_what_was_put_in_and_not_taken_out(
            numbers in prop::collection::vec((0_u64..40, 0_u8..4), 0..60), top in any::<bool>(),
        ) {
            let (mut set, mut model) = (Numbers::default(), BTreeSet::new());
            for (number, out) in numbers {
                let number = if top { u64::MAX - number } else { number };
                if out == 0 {
                    prop_assert_eq!(set.take(number), model.remove(&number));
                } else {
                    prop_assert_eq!(set.put(number), model.insert(number));
                }
            }
            let expected = (0..42).map(|n| if top { u64::MAX - n } else { n });
            for number in expected {
                prop_assert_eq!(set.has(number), model.contains(&number));
            }
            let begins = model.iter().filter(|n| n.checked_sub(1).is_none_or(|before| !model.contains(&before)));
            prop_assert_eq!(set.ranges(), begins.count());
        }
    }
}
