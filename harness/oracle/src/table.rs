//! Results folded into a table, and two tables compared.
//!
//! The model in words: a table is what a receiver has when it did what every result says. A window's answer stands under
//! the window and its group until a later one replaces it or takes it away; the result of a single event stands under the
//! source event that it goes back to (and its place among that event's results). Two tables are equal when the same
//! things stand under the same names; several results of one source event may come in any order (the partners of an
//! event in a join come when they come). Values are compared exactly: floats bit by bit, but that the two zeros are one and
//! every not-a-number is the same. Stamps are not compared: they name no row, and a clock that is off does not change
//! what a receiver reads.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_scenarios::{Change, Event, EventId, Pane, Row, Time, Value};

use crate::DueResult;
use crate::aggregate::Bound;

/// Whether two values are the same in a table.
pub fn same(x: &Value, y: &Value) -> bool {
    match (x, y) {
        (Value::Float(a), Value::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b)),
        (Value::Record(a), Value::Record(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|((n, a), (m, b))| n == m && same(a, b))
        }
        _ => x == y,
    }
}

/// What a row of a table stands under. Orders by event time first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Name {
    /// The answer for a window (end, then start) and a group.
    Window(Time, Time, Row),
    /// A part of the answer for a window and a group, by its revision.
    Part(Time, Time, Row, u32),
    /// The result of single events: the source event, and which of its results, from 0.
    Single(EventId, u32),
}

/// A row of a table.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Its event time.
    pub stamp: Time,
    /// Its values.
    pub row: Row,
    /// The columns that are known only within a bound (of a reference, never of a run).
    pub bounds: Vec<(usize, Bound)>,
    /// The source events behind it, ascending.
    pub origins: Vec<EventId>,
}

/// What a receiver has after some results.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Table {
    rows: BTreeMap<Name, Entry>,
    /// How many single results each source event has had.
    singles: BTreeMap<EventId, u32>,
}

/// A result that does not follow from those before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Inconsistent {
    /// The revision is not one more than the last one (first: 0).
    Revision {
        /// Which was due.
        due: u32,
        /// Which came.
        came: u32,
    },
    /// It takes away or replaces a row that is not there.
    NotThere,
    /// It inserts a row that is there already.
    AlreadyThere,
    /// It changes nothing.
    ChangesNothing,
}

impl Table {
    /// Takes in a result of a reference.
    pub fn fold_due(&mut self, result: &DueResult) {
        self.fold(
            result.pane.as_ref(),
            result.correlation,
            Entry {
                stamp: result.stamp,
                row: result.row.clone(),
                bounds: result.bounds.clone(),
                origins: result.origins.clone(),
            },
        );
    }

    /// Takes in a result of a run.
    pub fn fold_event(&mut self, result: &Event) {
        self.fold(
            result.pane.as_deref(),
            result.correlation,
            Entry {
                stamp: result.stamp,
                row: result.row.clone(),
                bounds: vec![],
                origins: result.origins().to_vec(),
            },
        );
    }

    fn fold(&mut self, pane: Option<&Pane>, correlation: EventId, entry: Entry) {
        match pane {
            Some(pane) => {
                let name = Name::Window(pane.end, pane.start, pane.key.clone());
                let part = Name::Part(pane.end, pane.start, pane.key.clone(), pane.revision);
                match pane.change {
                    Change::Insert | Change::UpdateAfter => self.rows.insert(name, entry),
                    Change::UpdateBefore | Change::Delete => self.rows.remove(&name),
                    Change::Part => self.rows.insert(part, entry),
                };
            }
            None => {
                let count = self.singles.entry(correlation).or_default();
                self.rows.insert(Name::Single(correlation, *count), entry);
                *count += 1;
            }
        }
    }

    /// The rows in order of (stamp, name).
    pub fn rows(&self) -> Vec<(&Name, &Entry)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by(|(n, a), (m, b)| (a.stamp, *n).cmp(&(b.stamp, *m)));
        rows
    }

    /// The row of that name.
    pub fn get(&self, name: &Name) -> Option<&Entry> {
        self.rows.get(name)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether both have the same rows under the same names. A bound of `reference` admits what keeps to it.
    pub fn equals(&self, reference: &Self) -> bool {
        let (came, due) = (self.settled(), reference.settled());
        came.len() == due.len()
            && came
                .iter()
                .zip(&due)
                .all(|((n, came), (m, due))| n == m && right(came, due))
    }

    /// The rows under their names, where several results of one source event stand in the order of their values.
    fn settled(&self) -> BTreeMap<Name, &Entry> {
        let mut settled: BTreeMap<Name, &Entry> = BTreeMap::new();
        let mut several: BTreeMap<EventId, Vec<&Entry>> = BTreeMap::new();
        for (name, entry) in &self.rows {
            match name {
                Name::Single(id, _) if self.singles.get(id).is_some_and(|count| *count > 1) => {
                    several.entry(*id).or_default().push(entry);
                }
                _ => _ = settled.insert(name.clone(), entry),
            }
        }
        for (id, mut entries) in several {
            entries.sort_by(|a, b| a.row.cmp(&b.row));
            let named = entries.into_iter().zip(0..);
            settled.extend(named.map(|(entry, place)| (Name::Single(id, place), entry)));
        }
        settled
    }

    /// How far this table is from `reference`. Columns are named by `columns`.
    pub fn distance(&self, reference: &Self, columns: &[&str]) -> Distance {
        let mut distance = Distance {
            due: reference.rows.len() as u64,
            ..Distance::default()
        };
        let mut sums: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        let mut first: Option<(Time, Difference)> = None;
        let (here, there) = (self.settled(), reference.settled());
        let names: BTreeSet<&Name> = here.keys().chain(there.keys()).collect();
        for name in names {
            let (came, due) = (here.get(name).copied(), there.get(name).copied());
            match (came, due) {
                (Some(came), Some(due)) if right(came, due) => {
                    distance.right += 1;
                    continue;
                }
                (Some(came), Some(due)) => {
                    distance.different += 1;
                    for (slot, (x, y)) in came.row.iter().zip(due.row.iter()).enumerate() {
                        if let (Some(x), Some(y)) = (x.as_f64(), y.as_f64()) {
                            sums.entry(slot).or_default().push((x - y).abs());
                        }
                    }
                }
                (None, _) => distance.missing += 1,
                (_, None) => distance.extra += 1,
            }
            let stamp = due.or(came).map_or(Time::MIN, |e| e.stamp);
            if first.as_ref().is_none_or(|(earliest, _)| stamp < *earliest) {
                first = Some((stamp, difference(name, came, due)));
            }
        }
        distance.first = first.map(|(_, difference)| difference);
        distance.off_by = sums
            .into_iter()
            .map(|(slot, off)| {
                let name = columns
                    .get(slot)
                    .map_or_else(|| format!("column {slot}"), ToString::to_string);
                (name, crate::aggregate::sum(&off))
            })
            .filter(|(_, off)| *off != 0.0)
            .collect();
        distance
    }
}

fn right(came: &Entry, due: &Entry) -> bool {
    came.row.len() == due.row.len()
        && came.row.iter().zip(due.row.iter()).enumerate().all(|(slot, (x, y))| {
            let bound = due.bounds.iter().find(|(bounded, _)| *bounded == slot);
            bound.map_or_else(|| same(x, y), |(_, bound)| bound.admits(x))
        })
}

fn difference(name: &Name, came: Option<&Entry>, due: Option<&Entry>) -> Difference {
    let origins = |entry: Option<&Entry>| -> BTreeSet<EventId> {
        entry.map(|e| e.origins.iter().copied().collect()).unwrap_or_default()
    };
    let (has, should) = (origins(came), origins(due));
    Difference {
        name: name.clone(),
        came: came.cloned(),
        due: due.cloned(),
        lacks: should.difference(&has).copied().collect(),
        too_many: has.difference(&should).copied().collect(),
    }
}

/// How far a table is from the one that it should be.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Distance {
    /// How many rows there should be.
    pub due: u64,
    /// Rows that are right.
    pub right: u64,
    /// Rows that should be there and are not.
    pub missing: u64,
    /// Rows that should not be there and are.
    pub extra: u64,
    /// Rows that are there with other values.
    pub different: u64,
    /// For each numeric column that is off, the sum of absolute differences over the rows that both have.
    pub off_by: Vec<(String, f64)>,
    /// The first wrong row, by event time.
    pub first: Option<Difference>,
}

impl Distance {
    /// The share of rows that are right, of all that there are or should be; 1 where there are none at all.
    pub fn share_right(&self) -> f64 {
        match self.due + self.extra {
            0 => 1.0,
            all => self.right as f64 / all as f64,
        }
    }
    /// True when there is no difference.
    pub const fn is_zero(&self) -> bool {
        self.missing == 0 && self.extra == 0 && self.different == 0
    }
}

/// A row that is wrong, and the source events that explain it.
#[derive(Clone, PartialEq, Debug)]
pub struct Difference {
    /// What it stands under.
    pub name: Name,
    /// What is there.
    pub came: Option<Entry>,
    /// What should be there.
    pub due: Option<Entry>,
    /// Source events that should be behind the row and are not, ascending.
    pub lacks: Vec<EventId>,
    /// Source events that are behind the row and should not be, ascending.
    pub too_many: Vec<EventId>,
}

/// Checks that a stream of window answers makes sense as changes: each inserts what is not there, replaces or removes
/// what is, changes something, and has the next revision.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    standing: BTreeMap<Name, (u32, Standing)>,
}

/// What stands under a name.
#[derive(Clone, Debug)]
enum Standing {
    Nothing,
    Row(Row),
    /// Taken away, to be replaced.
    Replaced(Row),
}

impl Changes {
    /// The next answer.
    ///
    /// # Errors
    /// What does not follow from the answers before it.
    pub fn next(&mut self, pane: &Pane, row: &Row) -> Result<(), Inconsistent> {
        let name = Name::Window(pane.end, pane.start, pane.key.clone());
        let before = self.standing.get(&name);
        let due = before.map_or(0, |(revision, _)| revision + 1);
        if pane.revision != due {
            return Err(Inconsistent::Revision {
                due,
                came: pane.revision,
            });
        }
        let standing = before.map_or(&Standing::Nothing, |(_, standing)| standing);
        let after = match (pane.change, standing) {
            (Change::Insert, Standing::Row(_) | Standing::Replaced(_)) => return Err(Inconsistent::AlreadyThere),
            (Change::UpdateAfter, Standing::Nothing)
            | (Change::Delete | Change::UpdateBefore, Standing::Nothing | Standing::Replaced(_)) => {
                return Err(Inconsistent::NotThere);
            }
            (Change::UpdateAfter, Standing::Row(old) | Standing::Replaced(old)) if old == row => {
                return Err(Inconsistent::ChangesNothing);
            }
            (Change::Insert | Change::UpdateAfter, _) => Standing::Row(row.clone()),
            (Change::UpdateBefore, _) => Standing::Replaced(row.clone()),
            (Change::Delete | Change::Part, _) => Standing::Nothing,
        };
        self.standing.insert(name, (pane.revision, after));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_scenarios::{Producer, Timing};

    fn id(number: u64) -> EventId {
        EventId {
            producer: Producer(0),
            number,
        }
    }
    fn at(micros: i64) -> Time {
        Time::from_micros(micros)
    }
    fn answer(
        end: i64,
        key: &str,
        value: impl Into<Value>,
        revision: u32,
        change: Change,
        origins: &[u64],
    ) -> DueResult {
        DueResult {
            stamp: at(end - 1),
            row: vec![key.into(), value.into()].into(),
            bounds: vec![],
            pane: Some(Pane {
                start: at(end - 10),
                end: at(end),
                key: vec![key.into()].into(),
                revision,
                timing: Timing::OnTime,
                change,
            }),
            correlation: id(0),
            origins: origins.iter().map(|n| id(*n)).collect(),
        }
    }
    fn single(number: u64, value: i64) -> DueResult {
        DueResult {
            pane: None,
            correlation: id(number),
            ..answer(number as i64, "s", value, 0, Change::Insert, &[number])
        }
    }
    fn table(results: &[DueResult]) -> Table {
        let mut table = Table::default();
        results.iter().for_each(|r| table.fold_due(r));
        table
    }

    #[test]
    fn corrections_fold_into_the_last_answer() {
        let corrected = table(&[
            answer(10, "a", 1, 0, Change::Insert, &[1]),
            answer(10, "b", 1, 0, Change::Insert, &[2]),
            answer(10, "a", 3, 1, Change::UpdateAfter, &[1, 3]),
            answer(10, "b", 1, 1, Change::Delete, &[2]),
        ]);
        let at_once = table(&[answer(10, "a", 3, 0, Change::Insert, &[1, 3])]);
        assert!(corrected.equals(&at_once));
        assert_eq!(corrected.len(), 1);
    }

    #[test]
    fn single_results_stand_under_their_source_event_so_order_and_stamps_do_not_matter() {
        let mut skewed = single(2, 20);
        skewed.stamp = at(77);
        assert!(table(&[skewed, single(1, 10)]).equals(&table(&[single(1, 10), single(2, 20)])));
        assert!(
            !table(&[single(1, 10), single(1, 10)]).equals(&table(&[single(1, 10)])),
            "twice is not once"
        );
    }

    #[test]
    fn floats_are_compared_bit_by_bit_but_for_the_two_zeros_and_not_a_number() {
        let off = f64::from_bits(0.1f64.to_bits() + 1);
        assert!(!same(&0.1.into(), &off.into()));
        assert!(same(&0.0.into(), &(-0.0).into()));
        assert!(same(&f64::NAN.into(), &(-f64::NAN).into()));
        assert!(!same(&Value::Int(1), &Value::Float(1.0)));
    }

    #[test]
    fn the_distance_counts_rows_adds_up_columns_and_explains_the_first_difference() {
        let due = table(&[
            answer(10, "a", 5, 0, Change::Insert, &[1, 2]),
            answer(20, "a", 7.5, 0, Change::Insert, &[3, 4]),
            answer(20, "b", 1, 0, Change::Insert, &[5]),
            answer(30, "a", 9, 0, Change::Insert, &[6]),
        ]);
        let came = table(&[
            answer(10, "a", 5, 0, Change::Insert, &[1, 2]),
            answer(20, "a", 6, 0, Change::Insert, &[3, 8]),
            answer(30, "a", 11, 0, Change::Insert, &[6, 4]),
            answer(30, "c", 0, 0, Change::Insert, &[9]),
        ]);
        let distance = came.distance(&due, &["key", "total"]);
        let counts = (distance.right, distance.different, distance.missing, distance.extra);
        assert_eq!(counts, (1, 2, 1, 1));
        assert_eq!(distance.share_right(), 0.2);
        assert_eq!(distance.off_by, [("total".to_owned(), 3.5)]);
        let first = distance.first.unwrap();
        assert_eq!(first.name, Name::Window(at(20), at(10), vec!["a".into()].into()));
        assert_eq!((first.lacks, first.too_many), (vec![id(4)], vec![id(8)]));
        assert!(due.distance(&due, &[]).is_zero());
        assert_eq!(Table::default().distance(&Table::default(), &[]).share_right(), 1.0);
    }

    #[test]
    fn answers_that_do_not_follow_from_those_before_are_told() {
        let check = |results: &[DueResult]| {
            let mut changes = Changes::default();
            let all = results.iter().map(|r| changes.next(r.pane.as_ref().unwrap(), &r.row));
            all.fold(Ok(()), Result::and)
        };
        let first = answer(10, "a", 1, 0, Change::Insert, &[1]);
        let again = |value, revision, change| [first.clone(), answer(10, "a", value, revision, change, &[1])];
        assert_eq!(check(&again(2, 1, Change::UpdateAfter)), Ok(()));
        assert_eq!(
            check(&again(1, 1, Change::UpdateAfter)),
            Err(Inconsistent::ChangesNothing)
        );
        assert_eq!(
            check(&again(2, 2, Change::UpdateAfter)),
            Err(Inconsistent::Revision { due: 1, came: 2 })
        );
        assert_eq!(check(&again(2, 1, Change::Insert)), Err(Inconsistent::AlreadyThere));
        assert_eq!(
            check(&[answer(10, "a", 1, 0, Change::Delete, &[1])]),
            Err(Inconsistent::NotThere)
        );
    }
}
