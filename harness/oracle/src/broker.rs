//! Brokers: who must be given what, and what must not be given again.
//!
//! The model in words. Of a **log**: a place in it, once somebody has seen an event there, holds that event and no other.
//! Within a partition places are in the order in which events came. A reader is given one place after the other; it passes
//! one over only when it has been told that it is not there, or asked to begin elsewhere. When the log tells the end,
//! every event that came has a place that was given or named as missing, but for those that a crash took before they were
//! written.
//!
//! Of a **queue**: an event is given to somebody until it is acknowledged, and then never again. While one has it, no other
//! gets it before the time for acknowledging is over. Nobody has more than is allowed, and nothing is given more often than
//! that. What is given up has been given that often. When the queue tells the end, everything that came has been given, or
//! was given up.
//!
//! A crash of the broker leaves what was written: what it had not written may be gone, counts of deliveries are forgotten,
//! and an acknowledgement that was not written is forgotten, too. Nothing is known here of disks, journals or retention.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_scenarios::event::Position;
use wavetank_scenarios::{EventId, Span, Time};

/// What breaks a law: what should have been.
pub type Law = Result<(), String>;

/// Who reads: by its number in the topology.
pub type Reader = u32;

/// A log as its readers must find it.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Everything that came: as the how-manieth it came first and last.
    came: BTreeMap<EventId, (usize, usize)>,
    arrivals: usize,
    /// What lies where, as far as somebody has seen it.
    places: BTreeMap<(u32, u64), EventId>,
    /// Places that are not there, as somebody was told.
    missing: BTreeSet<(u32, u64)>,
    /// The next place that a reader is given, where that is known.
    next: BTreeMap<(Reader, u32), Next>,
    /// It may have had events before anybody looked.
    resumes: bool,
    /// Somebody asked to begin with what comes later.
    skipped: bool,
    /// What may be given once more, and what may be given behind the one after it.
    again: Vec<EventId>,
    behind: Vec<EventId>,
    /// Places that a reader was given before those that it should have been given first.
    ahead: BTreeMap<(Reader, u32), BTreeSet<u64>>,
}

/// What a declared fault lets a broker do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    /// Give this event once more.
    Again(EventId),
    /// Give this event behind the one after it.
    Behind(EventId),
    /// Know nothing of the last acknowledgement of this event.
    Forgotten(EventId),
}

/// The next place that a reader is given.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// This one.
    At(u64),
    /// Any place: where the log begins, or up to where it was read, is not known here.
    Anywhere,
}

/// Where a reader wants to begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin<'a> {
    /// At these places, one of each partition; in others at their first.
    At(&'a [Position]),
    /// At a place that the broker knows.
    Somewhere,
    /// With what is kept from now on, or from a certain time on.
    Later,
}

impl Log {
    /// An empty log, or one that may have had events before anybody looked.
    pub fn new(resumes: bool) -> Self {
        Self {
            resumes,
            ..Self::default()
        }
    }

    /// An event comes.
    pub fn comes(&mut self, event: EventId) {
        let at = self.arrivals;
        self.came.entry(event).or_insert((at, at)).1 = at;
        self.arrivals += 1;
    }

    /// A reader is given an event.
    ///
    /// # Errors
    /// What it should have been given.
    pub fn gives(&mut self, reader: Reader, event: EventId, at: Position) -> Law {
        let (partition, place) = (at.partition, at.offset);
        let came = self.came.get(&event).copied();
        if came.is_none() && !self.resumes {
            return Err("an event that came before".into());
        }
        let next = self.next.entry((reader, partition)).or_insert(Next::At(0));
        if let Some(once) = self.again.iter().position(|id| *id == event) {
            self.again.remove(once);
            return Ok(());
        }
        let ahead = self.ahead.entry((reader, partition)).or_default();
        *next = match *next {
            Next::At(due) if due != place => {
                // Those that may be given behind the ones after them may be overtaken, each by one.
                if place < due || place - due > self.behind.len() as u64 || !ahead.insert(place) {
                    return Err(format!("place {due} of partition {partition}"));
                }
                Next::At(due)
            }
            Next::At(_) | Next::Anywhere => {
                let mut due = place + 1;
                while ahead.remove(&due) {
                    due += 1;
                }
                Next::At(due)
            }
        };
        if let Some(once) = self.behind.iter().position(|id| *id == event) {
            self.behind.remove(once);
        }
        let there = *self.places.entry((partition, place)).or_insert(event);
        if there != event {
            return Err(format!("{there}, which lies at place {place} of partition {partition}"));
        }
        let others = |(of, _): &(&(u32, u64), &EventId)| of.0 == partition;
        let before = self.places.range(..(partition, place)).next_back().filter(others);
        let behind = self.places.range((partition, place + 1)..).next().filter(others);
        let Some((first, last)) = came.filter(|_| !self.resumes) else {
            return Ok(());
        };
        let first_of = |(_, id)| self.came.get(id).map(|(first, _)| *first);
        let last_of = |(_, id)| self.came.get(id).map(|(_, last)| *last);
        if before.and_then(first_of).is_some_and(|before| before > last)
            || behind.and_then(last_of).is_some_and(|behind| behind < first)
        {
            return Err(format!(
                "the places of partition {partition} in the order in which events came"
            ));
        }
        Ok(())
    }

    /// A declared fault lets it do what it must not.
    pub fn may(&mut self, leave: Leave) {
        match leave {
            Leave::Again(event) => self.again.push(event),
            Leave::Behind(event) => self.behind.push(event),
            Leave::Forgotten(_) => {}
        }
    }

    /// A reader is told that these places are not there; where it goes on is known unless it goes on with what is newest.
    pub fn lacks(&mut self, reader: Reader, partition: u32, from: u64, to: u64, newest: bool) {
        self.missing.extend((from..to).map(|place| (partition, place)));
        self.skipped |= newest;
        let next = if newest { Next::Anywhere } else { Next::At(to) };
        self.ahead.remove(&(reader, partition));
        self.next.insert((reader, partition), next);
    }

    /// A reader wants to begin somewhere, in so many partitions.
    pub fn seeks(&mut self, reader: Reader, partitions: u32, begin: Begin<'_>) {
        self.skipped |= begin == Begin::Later;
        for partition in 0..partitions {
            let next = match begin {
                Begin::At(places) => {
                    let of = places.iter().find(|place| place.partition == partition);
                    Next::At(of.map_or(0, |place| place.offset))
                }
                Begin::Somewhere | Begin::Later => Next::Anywhere,
            };
            self.ahead.remove(&(reader, partition));
            self.next.insert((reader, partition), next);
        }
    }

    /// The log tells a reader that nothing more comes. `lost`: as many events were taken by crashes before they were
    /// written.
    ///
    /// # Errors
    /// What should have been given before.
    pub fn ends(&self, lost: u64) -> Law {
        if self.skipped {
            return Ok(());
        }
        let given: BTreeSet<EventId> = self.places.values().copied().collect();
        let unseen = self
            .missing
            .iter()
            .filter(|place| !self.places.contains_key(place))
            .count() as u64;
        let left: Vec<&EventId> = self.came.keys().filter(|id| !given.contains(id)).collect();
        match left.first() {
            Some(first) if left.len() as u64 > unseen + lost => Err(format!("{first} before the end")),
            _ => Ok(()),
        }
    }
}

/// A queue as its readers must find it.
#[derive(Clone, Debug)]
pub struct Queue {
    visibility: Span,
    most_times: Option<u32>,
    most_had: u32,
    resumes: bool,
    rows: BTreeMap<EventId, Row>,
    /// Who has what, and until when it may be acknowledged.
    had: BTreeMap<EventId, (Reader, Time)>,
    /// What lies where, as far as somebody has seen it.
    places: BTreeMap<u64, EventId>,
    /// What may be given once more.
    again: Vec<EventId>,
}

/// An event in a queue.
#[derive(Clone, Debug, Default)]
struct Row {
    /// Its place, as soon as somebody has seen it.
    place: Option<u64>,
    times: u32,
    /// Whether it was ever given.
    given: bool,
    gone: bool,
    buried: bool,
}

impl Queue {
    /// An empty queue with these bounds, or one that may have had events before anybody looked.
    pub const fn new(visibility: Span, most_times: Option<u32>, most_had: u32, resumes: bool) -> Self {
        Self {
            visibility,
            most_times,
            most_had,
            resumes,
            rows: BTreeMap::new(),
            had: BTreeMap::new(),
            places: BTreeMap::new(),
            again: Vec::new(),
        }
    }

    /// A declared fault lets it do what it must not.
    pub fn may(&mut self, leave: Leave) {
        match leave {
            Leave::Again(event) => self.again.push(event),
            Leave::Behind(_) => {}
            Leave::Forgotten(event) => {
                if let Some(row) = self.rows.get_mut(&event) {
                    row.gone = false;
                }
            }
        }
    }

    /// An event comes.
    pub fn comes(&mut self, event: EventId) {
        self.rows.entry(event).or_default();
    }

    /// A reader is given an event, by the broker's clock at `now`.
    ///
    /// # Errors
    /// What it should have been given.
    pub fn gives(&mut self, reader: Reader, event: EventId, place: u64, now: Time) -> Law {
        if let Some(once) = self.again.iter().position(|id| *id == event) {
            self.again.remove(once);
            return Ok(());
        }
        let has = |(by, until): &&(Reader, Time)| *by == reader && *until > now;
        let had = self.had.values().filter(has).count();
        if self.resumes {
            self.comes(event);
        }
        let Some(row) = self.rows.get_mut(&event) else {
            return Err("an event that came before".into());
        };
        if let Some((by, until)) = self.had.get(&event).filter(|(_, until)| *until > now) {
            let left = until.since(now);
            return Err(format!(
                "nothing: reader {by} has it, and {left} are left to acknowledge it"
            ));
        }
        if row.gone {
            return Err("nothing: it has been acknowledged".into());
        }
        if row.buried || self.most_times.is_some_and(|most| row.times >= most) {
            return Err(format!("nothing: it was given {} times", row.times));
        }
        if *row.place.get_or_insert(place) != place {
            return Err("it at the place that it had".into());
        }
        if had as u64 >= u64::from(self.most_had) {
            return Err(format!("nothing: the reader has {had}"));
        }
        row.times += 1;
        row.given = true;
        self.had.insert(event, (reader, now + self.visibility));
        self.places.insert(place, event);
        Ok(())
    }

    /// A reader has worked on the event at a place.
    pub fn acknowledged(&mut self, place: u64) {
        if let Some(event) = self.places.get(&place)
            && let Some(row) = self.rows.get_mut(event).filter(|row| !row.buried)
        {
            row.gone = true;
            self.had.remove(event);
        }
    }

    /// A reader begins again: what it had is free.
    pub fn begins(&mut self, reader: Reader) {
        self.had.retain(|_, (by, _)| *by != reader);
    }

    /// An event is given up.
    ///
    /// # Errors
    /// What should have been.
    pub fn buries(&mut self, event: EventId) -> Law {
        let Some(row) = self.rows.get_mut(&event) else {
            return Err("an event that came before".into());
        };
        if row.gone || row.buried || self.most_times != Some(row.times) {
            return Err(format!("it given again: it was given {} times", row.times));
        }
        row.buried = true;
        self.had.remove(&event);
        Ok(())
    }

    /// The broker's node crashed: nobody has anything, and what was acknowledged of late may come again.
    pub fn crashes(&mut self) {
        self.had.clear();
        for row in self.rows.values_mut() {
            row.times = 0;
            row.gone = false;
        }
    }

    /// The queue tells the end. `lost`: as many events were taken by crashes before they were written.
    ///
    /// # Errors
    /// What should have been given before.
    pub fn ends(&self, lost: u64) -> Law {
        let open = |(_, row): &(&EventId, &Row)| !row.given && !row.buried;
        let left: Vec<&EventId> = self.rows.iter().filter(open).map(|(event, _)| event).collect();
        match left.first() {
            Some(first) if left.len() as u64 > lost => Err(format!("{first} before the end")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use wavetank_scenarios::Producer;

    use super::*;

    fn id(number: u64) -> EventId {
        EventId {
            producer: Producer(0),
            number,
        }
    }
    fn at(offset: u64) -> Position {
        Position { partition: 0, offset }
    }
    fn log(events: u64) -> Log {
        let mut log = Log::default();
        (0..events).for_each(|number| log.comes(id(number)));
        log
    }
    fn queue(events: u64) -> Queue {
        let mut queue = Queue::new(Span::from_micros(10), Some(2), 2, false);
        (0..events).for_each(|number| queue.comes(id(number)));
        queue
    }
    fn now(micros: i64) -> Time {
        Time::from_micros(micros)
    }

    #[test]
    fn a_log_gives_places_one_after_the_other_and_each_holds_one_event() {
        let mut log = log(3);
        assert!(log.gives(0, id(0), at(0)).is_ok());
        assert!(log.gives(0, id(1), at(1)).is_ok());
        let wrong = [
            (0, id(2), at(3), "place 2"),
            (1, id(1), at(0), "lies at place 0"),
            (2, id(7), at(0), "came before"),
            (3, id(2), at(0), "lies at place 0"),
        ];
        for (reader, event, place, why) in wrong {
            let said = log.clone().gives(reader, event, place).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        assert!(log.ends(0).unwrap_err().contains("before the end"));
        assert!(log.ends(1).is_ok(), "a crash took it");
        assert!(log.gives(0, id(2), at(2)).is_ok());
        assert!(log.ends(0).is_ok());
    }

    #[test]
    fn a_log_is_in_the_order_in_which_events_came() {
        let mut log = log(2);
        log.seeks(0, 1, Begin::At(&[at(1)]));
        assert!(log.gives(0, id(0), at(1)).is_ok());
        log.seeks(0, 1, Begin::At(&[at(0)]));
        assert!(log.gives(0, id(1), at(0)).unwrap_err().contains("order"));
    }

    #[test]
    fn a_reader_passes_over_what_it_was_told_is_missing_and_nothing_else() {
        let mut log = log(4);
        log.lacks(0, 0, 0, 2, false);
        assert!(log.clone().gives(0, id(3), at(3)).is_err());
        assert!(log.gives(0, id(2), at(2)).is_ok());
        assert!(log.ends(0).is_err(), "one is left");
        assert!(log.gives(0, id(3), at(3)).is_ok());
        assert!(log.ends(0).is_ok());
    }

    #[test]
    fn what_a_declared_fault_does_is_let_pass_as_often_as_it_is_done() {
        let mut log = log(5);
        log.may(Leave::Behind(id(0)));
        log.may(Leave::Behind(id(1)));
        assert!(log.clone().gives(0, id(3), at(3)).is_err(), "it overtakes three");
        for place in [2, 1, 0] {
            assert!(log.gives(0, id(place), at(place)).is_ok(), "{place}");
        }
        assert!(log.clone().gives(0, id(4), at(4)).is_err(), "only once");
        log.may(Leave::Again(id(3)));
        assert!(log.gives(0, id(3), at(3)).is_ok());
        assert!(log.gives(0, id(3), at(3)).is_ok());
        assert!(log.clone().gives(0, id(3), at(3)).is_err());
        assert!(log.gives(0, id(4), at(4)).is_ok());

        let mut queue = queue(1);
        assert!(queue.gives(0, id(0), 0, now(0)).is_ok());
        queue.acknowledged(0);
        queue.may(Leave::Forgotten(id(0)));
        assert!(queue.gives(0, id(0), 0, now(10)).is_ok());
    }

    #[test]
    fn a_queue_gives_what_nobody_has_as_often_as_it_may_and_never_what_is_acknowledged() {
        let mut queue = queue(3);
        assert!(queue.gives(0, id(0), 0, now(0)).is_ok());
        assert!(
            queue
                .gives(1, id(0), 0, now(9))
                .unwrap_err()
                .contains("reader 0 has it")
        );
        assert!(queue.gives(1, id(0), 0, now(10)).is_ok());
        assert!(
            queue
                .clone()
                .gives(0, id(0), 0, now(20))
                .unwrap_err()
                .contains("given 2 times")
        );
        assert!(queue.clone().buries(id(0)).is_ok());
        assert!(queue.clone().buries(id(1)).is_err());
        queue.acknowledged(0);
        assert!(queue.gives(0, id(0), 0, now(30)).unwrap_err().contains("acknowledged"));
        assert!(queue.ends(0).is_err());
        assert!(queue.gives(0, id(1), 1, now(30)).is_ok());
        assert!(queue.gives(0, id(2), 2, now(30)).is_ok());
        assert!(queue.ends(0).is_ok());
    }

    #[test]
    fn nobody_has_more_of_a_queue_than_is_allowed_and_a_reader_that_begins_again_has_nothing() {
        let mut queue = queue(4);
        assert!(queue.gives(0, id(0), 0, now(0)).is_ok());
        assert!(queue.gives(0, id(1), 1, now(0)).is_ok());
        assert!(
            queue
                .clone()
                .gives(0, id(2), 2, now(0))
                .unwrap_err()
                .contains("the reader has 2")
        );
        assert!(queue.clone().gives(1, id(2), 2, now(0)).is_ok());
        queue.begins(0);
        assert!(queue.gives(0, id(1), 1, now(1)).is_ok());
    }
}
