//! Ordering by number: `n + 1` goes when `n` has gone. A gap is given up when the event behind it has waited for long
//! enough, when an end-of-sequence message says that all before it was sent, and at the end of input.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::script::{Late, Numbers};
use wavetank_scenarios::{Event, Producer, Row, Span, Time, Value};

use super::compiled;
use crate::operator::{Draft, Dropped, Operator, Output};
use crate::processing::expr::{Compiled, Fields, Scope, unknown};
use crate::processing::keyed::Keyed;
use crate::reliability::{State, StateError, counted};

/// The buffer.
#[derive(Debug)]
pub struct ByNumber {
    whose: Whose,
    end: Option<Compiled>,
    gaps: Gaps,
    late: Late,
    timeout: Option<Span>,
    tick: Span,
    /// In order of their first event.
    sequences: Vec<Sequence>,
    /// Every held event's stamp and turn.
    stamps: BTreeSet<(Time, u64)>,
    /// With a time-out: what was held on arrival, in order of arrival, until its timer is due.
    waiting: VecDeque<Waiting>,
    arrivals: u64,
}

/// Which sequence an event belongs to, and which number it has there.
#[derive(Debug)]
enum Whose {
    Producers(BTreeMap<Producer, usize>),
    Field { slot: usize, keys: Keyed<Option<usize>> },
}

/// What is done about gaps.
#[derive(Debug)]
struct Gaps {
    /// The number that sequences begin with.
    first: u64,
    mark: bool,
    /// How many are remembered.
    remember: usize,
    /// The slots that a marker takes over from the event behind the gap.
    key: Vec<usize>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    turn: u64,
    sequence: usize,
    number: u64,
}

/// One numbered sequence.
#[derive(Debug)]
struct Sequence {
    /// The number that is due.
    next: u64,
    held: BTreeMap<u64, (u64, Event)>,
    /// Numbers that were given up and have not come since: the first of each range, and the last.
    given_up: BTreeMap<u64, u64>,
}

impl Sequence {
    /// These numbers are given up. Of more ranges than are remembered the first ones are forgotten.
    fn give_up(&mut self, first: u64, last: u64, remember: usize) {
        self.given_up.insert(first, last);
        while self.given_up.len() > remember {
            self.given_up.pop_first();
        }
    }

    /// Whether this number was given up; if so, it is no more.
    fn forgive(&mut self, number: u64, remember: usize) -> bool {
        let Some((&first, &last)) = self.given_up.range(..=number).next_back() else {
            return false;
        };
        if number > last {
            return false;
        }
        self.given_up.remove(&first);
        if first < number {
            self.give_up(first, number - 1, remember);
        }
        if number < last {
            self.give_up(number + 1, last, remember);
        }
        true
    }
}

impl Gaps {
    /// The payload of a result: as it is, with room for the fields that name gaps where they are asked for.
    fn row(&self, event: &Event) -> Row {
        if !self.mark {
            return event.row.clone();
        }
        event.row.iter().cloned().chain([Value::Null, Value::Null]).collect()
    }

    /// The row that names a gap.
    fn marker(&self, behind: &Event, first: u64, last: u64) -> Row {
        let kept = |(slot, value): (usize, &Value)| {
            if self.key.contains(&slot) {
                value.clone()
            } else {
                Value::Null
            }
        };
        let number = |n: u64| i64::try_from(n).map_or(Value::Null, Value::Int);
        let fields = behind.row.iter().enumerate().map(kept);
        fields.chain([number(first), number(last)]).collect()
    }

    /// Lets go what is due, and with `to` everything up to that number, giving up what is missing.
    fn release(&self, sequence: &mut Sequence, to: Option<u64>, stamps: &mut BTreeSet<(Time, u64)>, out: &mut Output) {
        while let Some(entry) = sequence.held.first_entry() {
            let number = *entry.key();
            if number > sequence.next && to.is_none_or(|to| number > to) {
                break;
            }
            let (turn, event) = entry.remove();
            stamps.remove(&(event.stamp, turn));
            if number > sequence.next {
                let (first, last) = (sequence.next, number - 1);
                out.measure(Metric::Gaps, number - first);
                sequence.give_up(first, last, self.remember);
                if self.mark {
                    out.emit(Draft::of(&event, self.marker(&event, first, last)));
                }
            }
            out.emit(Draft::of(&event, self.row(&event)));
            out.caused(1);
            sequence.next = number.saturating_add(1);
        }
    }
}

impl ByNumber {
    /// An empty buffer.
    ///
    /// # Errors
    /// A name that is not there.
    pub fn new(
        settings: &Numbers,
        late: Late,
        timeout: Option<Span>,
        fields: Fields<'_>,
        tick: Span,
    ) -> Result<Self, String> {
        let slot = |name: &String| {
            let slot = fields.schema.slot(name);
            slot.ok_or_else(|| unknown("field", name, fields.schema.names()))
        };
        let whose = match &settings.field {
            None => Whose::Producers(BTreeMap::new()),
            Some(name) => Whose::Field {
                slot: slot(name)?,
                keys: Keyed::new(&settings.by, fields.schema)?,
            },
        };
        let end = settings.end.as_ref();
        Ok(Self {
            whose,
            end: end.map(|end| compiled(end, "number.end", fields)).transpose()?,
            gaps: Gaps {
                first: settings.first,
                mark: settings.mark_gaps,
                remember: usize::try_from(settings.remember).unwrap_or(usize::MAX),
                key: settings.by.iter().map(slot).collect::<Result<_, _>>()?,
            },
            late,
            timeout,
            tick,
            sequences: Vec::new(),
            stamps: BTreeSet::new(),
            waiting: VecDeque::new(),
            arrivals: 0,
        })
    }

    /// The sequence of an event, and its number there.
    fn place(&mut self, event: &Event) -> Result<(usize, u64), String> {
        let (known, number) = match &mut self.whose {
            Whose::Producers(known) => {
                let unknown = self.sequences.len();
                (known.entry(event.id.producer).or_insert(unknown), event.id.number)
            }
            Whose::Field { slot, keys } => {
                let value = event.row.get(*slot).unwrap_or(&Value::Null);
                let number = match value {
                    Value::Int(number) => u64::try_from(*number).ok(),
                    _ => None,
                };
                let number =
                    number.ok_or_else(|| format!("its number is `{value}`, and must be whole and not negative"))?;
                (keys.of(&event.row).get_or_insert(self.sequences.len()), number)
            }
        };
        let sequence = *known;
        if sequence == self.sequences.len() {
            self.sequences.push(Sequence {
                next: self.gaps.first,
                held: BTreeMap::new(),
                given_up: BTreeMap::new(),
            });
        }
        Ok((sequence, number))
    }

    /// An event whose turn is over: late, if its number was given up, or a duplicate.
    fn over(&mut self, sequence: usize, number: u64, event: Event, out: &mut Output) {
        if !self.sequences[sequence].forgive(number, self.gaps.remember) {
            out.measure(Metric::Duplicates, 1);
            return out.dropped(event.id, Dropped::Filtered);
        }
        if self.late == Late::Emit {
            out.measure(Metric::Late, 1);
            out.emit(Draft::of(&event, self.gaps.row(&event)));
            out.caused(1);
        } else {
            out.late(event, self.late == Late::Side);
        }
    }
}

/// The parts of a saved state.
const SEQUENCES: &str = "sequences";
const HELD: &str = "held";
const WAITING: &str = "waiting";

/// A sequence as it is saved: its place among all, the number that is due, and what was given up.
type Saved = (usize, u64, BTreeMap<u64, u64>);

impl Operator for ByNumber {
    fn on_event(&mut self, _input: usize, event: Event, _now: Time, out: &mut Output) {
        let turn = self.arrivals;
        self.arrivals += 1;
        let ends = match &self.end {
            None => Ok(None),
            Some(end) => end.test(&Scope::event(&event.row, event.stamp)),
        };
        let (ends, (index, number)) = match ends.and_then(|ends| Ok((ends == Some(true), self.place(&event)?))) {
            Ok(placed) => placed,
            Err(reason) => return out.failed(event, reason),
        };
        if number < self.sequences[index].next {
            return self.over(index, number, event, out);
        }
        let sequence = &mut self.sequences[index];
        if sequence.held.contains_key(&number) {
            out.measure(Metric::Duplicates, 1);
            return out.dropped(event.id, Dropped::Filtered);
        }
        self.stamps.insert((event.stamp, turn));
        sequence.held.insert(number, (turn, event));
        let to = ends.then_some(number);
        self.gaps.release(sequence, to, &mut self.stamps, out);
        if let Some(timeout) = self.timeout
            && sequence.held.contains_key(&number)
        {
            self.waiting.push_back(Waiting {
                turn,
                sequence: index,
                number,
            });
            out.timer(timeout, turn);
        }
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        if watermark == Time::MAX {
            for sequence in &mut self.sequences {
                self.gaps.release(sequence, Some(u64::MAX), &mut self.stamps, out);
            }
        }
    }

    /// The token is the turn of the event that has waited for long enough.
    fn on_timer(&mut self, token: u64, out: &mut Output) {
        while let Some(waiting) = self.waiting.pop_front_if(|waiting| waiting.turn <= token) {
            let sequence = &mut self.sequences[waiting.sequence];
            if sequence.held.contains_key(&waiting.number) {
                let to = Some(waiting.number);
                self.gaps.release(sequence, to, &mut self.stamps, out);
            }
        }
    }

    fn watermark_limit(&self) -> Time {
        let first = self.stamps.first();
        first.map_or(Time::MAX, |(stamp, _)| *stamp - self.tick)
    }

    fn save(&self, state: &mut State) {
        for (index, sequence) in self.sequences.iter().enumerate() {
            let held = sequence.held.iter();
            state.put_each(HELD, held.map(|(number, (turn, event))| (turn, (index, number, event))));
        }
        let of = |index: usize| (index, self.sequences[index].next, &self.sequences[index].given_up);
        match &self.whose {
            Whose::Producers(known) => {
                state.put_each(SEQUENCES, known.iter().map(|(key, index)| (key, of(*index))));
            }
            Whose::Field { keys, .. } => {
                state.put_each(
                    SEQUENCES,
                    keys.iter().filter_map(|(key, index)| Some((key, of((*index)?)))),
                );
            }
        }
        state.put(WAITING, &self.waiting);
        state.put("arrivals", &self.arrivals);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.arrivals = counted("arrivals", state.get("arrivals")?)?;
        let mut sequences: BTreeMap<usize, Sequence> = BTreeMap::new();
        let mut place = |(index, next, given_up): Saved| {
            let held = BTreeMap::new();
            let sequence = Sequence { next, held, given_up };
            let twice = sequences.insert(index, sequence).is_some();
            StateError::unless(!twice, SEQUENCES, "two sequences are in one place")
        };
        match &mut self.whose {
            Whose::Producers(known) => {
                known.clear();
                for (key, saved) in state.each::<Producer, Saved>(SEQUENCES)? {
                    known.insert(key, saved.0);
                    place(saved)?;
                }
            }
            Whose::Field { keys, .. } => {
                for (key, saved) in state.each::<Row, Saved>(SEQUENCES)? {
                    keys.put(key, Some(saved.0));
                    place(saved)?;
                }
            }
        }
        let all = sequences.keys().copied().eq(0..sequences.len());
        StateError::unless(all, SEQUENCES, "a sequence is missing")?;
        self.sequences = sequences.into_values().collect();
        self.stamps.clear();
        for (turn, (index, number, event)) in state.each::<u64, (usize, u64, Event)>(HELD)? {
            let sequence = self.sequences.get_mut(index).filter(|sequence| number > sequence.next);
            let sequence = sequence.ok_or_else(|| StateError::of(HELD, "an event is held that is not early"))?;
            self.stamps.insert((event.stamp, turn));
            let twice = sequence.held.insert(number, (turn, event)).is_some();
            StateError::unless(
                !twice && turn < self.arrivals,
                HELD,
                "a number or turn is there twice, or not given out",
            )?;
        }
        self.waiting = state.get(WAITING)?;
        let known = self
            .waiting
            .iter()
            .all(|waiting| waiting.sequence < self.sequences.len());
        StateError::unless(known, WAITING, "it is of a sequence that there is not")
    }

    fn held(&self) -> u64 {
        self.stamps.len() as u64
    }

    fn state_bytes(&self) -> usize {
        let sequences: usize = self
            .sequences
            .iter()
            .map(|sequence| {
                let rows: usize = sequence.held.values().map(|(_, event)| size_of_val(&*event.row)).sum();
                size_of::<Sequence>()
                    + rows
                    + sequence.held.len() * size_of::<(u64, (u64, Event))>()
                    + sequence.given_up.len() * size_of::<(u64, u64)>()
            })
            .sum();
        let index = match &self.whose {
            Whose::Producers(known) => known.len() * size_of::<(Producer, usize)>(),
            Whose::Field { keys, .. } => keys.state_bytes(),
        };
        sequences + index + self.stamps.len() * size_of::<(Time, u64)>() + self.waiting.len() * size_of::<Waiting>()
    }
}
