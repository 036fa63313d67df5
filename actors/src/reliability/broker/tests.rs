//! Logs and queues against what a list would do, and journals on a disk that goes wrong.

use proptest::prelude::*;
use wavetank_scenarios::{Event, EventId, Producer, Span, Time, Value};

use super::*;
use crate::reliability::disk::{
    CalmDisk, Disk, DiskFaults, DiskSpeed, Mishap, Operation, Outcome, Request, SimulatedDisk,
};

fn at(micros: i64) -> Time {
    Time::from_micros(micros)
}
fn event(number: u64, stamp: i64) -> Event {
    let id = EventId {
        producer: Producer(3),
        number,
    };
    Event {
        id,
        stamp: at(stamp),
        correlation: id,
        planned: at(stamp),
        row: [Value::Int(stamp), Value::from("text")].into(),
        lineage: None,
        pane: None,
        sequence: None,
        position: None,
    }
}
fn log(limits: Limits) -> Log {
    Log::new(2, limits, true)
}
fn kept(log: &mut Log, partition: u32, number: u64, size: u64, now: i64) -> Kept {
    log.take(partition, event(number, now), size, at(now))
}
fn offsets(log: &Log, partition: u32) -> Vec<u64> {
    let (mut from, mut all) = (log.bounds(partition).0, Vec::new());
    while let Next::Record(record) = log.next(partition, from, true) {
        all.push(record.offset);
        from = record.offset + 1;
    }
    all
}

#[test]
fn an_event_that_comes_again_is_not_kept_again() {
    let mut log = log(Limits::default());
    assert_eq!(
        kept(&mut log, 0, 7, 10, 0),
        Kept::At {
            partition: 0,
            offset: 0
        }
    );
    assert_eq!(kept(&mut log, 1, 7, 10, 1), Kept::Again);
    assert_eq!(
        kept(&mut log, 0, 6, 10, 2),
        Kept::At {
            partition: 0,
            offset: 1
        }
    );
    let mut twice = Log::new(1, Limits::default(), false);
    assert_eq!(
        kept(&mut twice, 0, 7, 10, 0),
        Kept::At {
            partition: 0,
            offset: 0
        }
    );
    assert_eq!(
        kept(&mut twice, 0, 7, 10, 0),
        Kept::At {
            partition: 0,
            offset: 1
        }
    );
}

#[test]
fn a_reader_is_given_nothing_that_has_not_been_written() {
    let mut log = log(Limits::default());
    kept(&mut log, 0, 0, 10, 0);
    assert_eq!(log.next(0, 0, false), Next::End);
    assert!(matches!(log.next(0, 0, true), Next::Record(record) if record.offset == 0));
    log.written(0, 1);
    assert!(matches!(log.next(0, 0, false), Next::Record(record) if record.offset == 0));
    assert_eq!(log.unwritten(), 0);
}

#[test]
fn what_is_older_than_the_retention_is_gone_and_the_gap_is_named() {
    let mut log = log(Limits {
        time: Some(Span::from_micros(100)),
        size: None,
    });
    for number in 0..5 {
        kept(&mut log, 0, number, 10, number as i64 * 40);
    }
    assert_eq!(
        offsets(&log, 0),
        [2, 3, 4],
        "at 160 what was kept at 60 or before is gone"
    );
    assert_eq!(log.next_expiry(), Some(at(180)));
    assert_eq!(log.expire(at(180)), 1);
    let gap = Gap {
        partition: 0,
        from: 1,
        to: 3,
        why: GapReason::Expired,
    };
    assert_eq!(
        log.ask(0, Ask::Offset(1)),
        Asked {
            offset: 3,
            gap: Some(gap)
        }
    );
    assert_eq!(log.next(0, 1, true), Next::Gap(gap));
    assert_eq!(gap.to_string(), "offsets [1, 3) of partition 0: kept no longer");
    assert_eq!(log.ask(0, Ask::Offset(3)), Asked { offset: 3, gap: None });
    assert_eq!(log.expired(), 3);
}

#[test]
fn a_partition_holds_no_more_bytes_than_it_may_but_its_newest_event() {
    let mut log = log(Limits {
        time: None,
        size: Some(25),
    });
    for (number, size) in [10, 10, 10, 40, 5].into_iter().enumerate() {
        kept(&mut log, 0, number as u64, size, 0);
        assert!(log.bytes(0) <= 25 || log.len() == 1);
    }
    assert_eq!(offsets(&log, 0), [4]);
}

#[test]
fn a_reader_may_begin_at_a_time_or_a_stamp_and_is_told_when_what_it_asks_for_is_gone() {
    let mut log = log(Limits::default());
    for (number, (stamp, now)) in [(50, 100), (10, 110), (70, 120), (40, 130)].into_iter().enumerate() {
        log.take(0, event(number as u64, stamp), 1, at(now));
    }
    let asked = |log: &Log, ask| (log.ask(0, ask).offset, log.ask(0, ask).gap.is_some());
    assert_eq!(asked(&log, Ask::Earliest), (0, false));
    assert_eq!(asked(&log, Ask::Latest), (4, false));
    assert_eq!(asked(&log, Ask::Taken(at(111))), (2, false));
    assert_eq!(asked(&log, Ask::Taken(at(999))), (4, false));
    assert_eq!(asked(&log, Ask::Stamp(at(60))), (2, false));
    assert_eq!(log.expire_below(0, 1), 1);
    assert_eq!(
        asked(&log, Ask::Stamp(at(60))),
        (2, false),
        "the one that went had an earlier stamp"
    );
    assert_eq!(asked(&log, Ask::Stamp(at(45))), (2, true));
    assert_eq!(asked(&log, Ask::Taken(at(100))), (1, true));
}

#[test]
fn a_reader_that_was_given_what_a_crash_took_is_told_so() {
    let mut log = log(Limits::default());
    kept(&mut log, 0, 0, 1, 0);
    let asked = log.ask(0, Ask::Offset(3));
    assert_eq!(asked.offset, 1);
    assert_eq!(
        asked.gap.map(|gap| gap.to_string()),
        Some("offsets [1, 3) of partition 0: lost by the disk".to_owned())
    );
}

#[test]
fn a_group_never_goes_back() {
    let mut log = log(Limits::default());
    let commit = |safe, read| Commit { safe, read, done: None };
    log.commit("g", 1, commit(3, 5));
    log.commit("g", 1, commit(2, 9));
    assert_eq!(log.committed("g", 1), Some(commit(3, 9)));
    assert_eq!(log.committed("g", 0), None);
}

// Journals.

/// A broker's log with its journal, all of it written at once.
struct Written {
    log: Log,
    journal: Journal,
    disk: SimulatedDisk,
}

impl Written {
    fn new(roll: u64, faults: Box<dyn DiskFaults>) -> Self {
        Self {
            log: log(Limits::default()),
            journal: Journal::new("log".to_owned(), roll),
            disk: SimulatedDisk::new(DiskSpeed::default(), faults),
        }
    }
    fn run(&mut self, request: Request) -> Option<Outcome> {
        let ticket = self.disk.start(Time::ZERO, request);
        self.disk.finish(ticket.number)?.ok()
    }
    fn keep(&mut self, partition: u32, number: u64) {
        let event = event(number, number as i64);
        let bytes = Journal::encode(&event).unwrap();
        let taken = self.log.take(partition, event, bytes.len() as u64, Time::ZERO);
        let Kept::At { partition, offset } = taken else { return };
        let page = Page::Kept {
            partition,
            offset,
            at: Time::ZERO,
            event: bytes,
        };
        let request = self.journal.write(&[page], || self.log.summary()).unwrap();
        self.run(request);
        self.log.written(partition, offset + 1);
    }
    fn commit(&mut self, partition: u32, commit: Commit) {
        self.log.commit("group", partition, commit);
        let page = Page::Committed {
            group: "group".to_owned(),
            partition,
            commit,
        };
        let request = self.journal.write(&[page], || self.log.summary()).unwrap();
        self.run(request);
    }
    fn forget(&mut self, partition: u32, below: u64) {
        self.log.expire_below(partition, below);
        let count = self.journal.deletable(|partition| self.log.bounds(partition).0);
        if count > 0 {
            let expired = |partition| Page::Expired {
                partition,
                below: self.log.bounds(partition).0,
            };
            let pages: Vec<Page> = (0..2).map(expired).collect();
            let request = self.journal.write(&pages, || self.log.summary()).unwrap();
            self.run(request);
        }
        for request in self.journal.delete(count) {
            self.run(request);
        }
    }
    fn files(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let names: Vec<String> = self.disk.names().map(str::to_owned).collect();
        names
            .into_iter()
            .map(|name| match self.run(Request::read(name.clone())) {
                Some(Outcome::Read(bytes)) => (name, Some(bytes)),
                _ => (name, None),
            })
            .collect()
    }
    fn recover(&mut self) -> (Log, Vec<Gap>, Vec<Problem>) {
        let files = self.files();
        let found = self.journal.read(&files);
        let (log, gaps) = Log::recovered(2, Limits::default(), true, &found);
        (log, gaps, found.problems)
    }
}

/// Does to the how-manieth request what is written.
struct Once(u64, Mishap);

impl DiskFaults for Once {
    fn befall(&mut self, operation: &Operation<'_>, mishap: &mut Mishap) {
        if operation.number == self.0 {
            *mishap = self.1.clone();
        }
    }
}

proptest! {
    #[test]
    fn what_was_written_is_there_after_a_crash_however_many_files_it_took(
        steps in prop::collection::vec((0_u32..2, 0_u64..20, 0_u8..8), 0..40),
        roll in prop_oneof![Just(1_u64), 50_u64..400, Just(1 << 20)],
    ) {
        let mut written = Written::new(roll, Box::new(CalmDisk));
        for (partition, number, action) in steps {
            let (first, next) = written.log.bounds(partition);
            match action {
                0 => written.forget(partition, first + (next - first) / 2),
                1 => written.commit(partition, Commit { safe: first, read: next, done: Some(at(number as i64)) }),
                2 => {
                    let (log, gaps, problems) = written.recover();
                    prop_assert_eq!((gaps, problems), (vec![], vec![]));
                    written.log = log;
                }
                _ => written.keep(partition, number),
            }
        }
        let (log, gaps, problems) = written.recover();
        prop_assert_eq!((gaps, problems), (vec![], vec![]));
        for partition in 0..2 {
            // What was let go may still lie in a file, and comes back: it is let go again when the limits say so.
            let there = offsets(&log, partition);
            prop_assert!(there.ends_with(&offsets(&written.log, partition)));
            prop_assert_eq!(log.bounds(partition).1, written.log.bounds(partition).1);
            prop_assert_eq!(log.committed("group", partition), written.log.committed("group", partition));
        }
        for number in 0..20 {
            let id = event(number, 0).id;
            prop_assert_eq!(log.has(id), written.log.has(id));
        }
    }

    #[test]
    fn a_tail_that_was_torn_off_takes_with_it_what_was_under_way_and_nothing_else(
        count in 1_u64..8, cut in any::<prop::sample::Index>(),
    ) {
        let mut written = Written::new(1 << 20, Box::new(CalmDisk));
        let mut lengths = vec![];
        for number in 0..count {
            written.keep(0, number);
            lengths.push(written.disk.used() as usize);
        }
        let mut files = written.files();
        let bytes = files[0].1.as_mut().unwrap();
        let cut = cut.index(bytes.len() + 1);
        bytes.truncate(cut);
        let found = written.journal.read(&files);
        let (log, gaps) = Log::recovered(2, Limits::default(), true, &found);
        let whole = lengths.iter().filter(|length| **length <= cut).count() as u64;
        prop_assert_eq!(offsets(&log, 0), (0..whole).collect::<Vec<_>>());
        prop_assert_eq!(gaps, vec![]);
        prop_assert!(found.problems.iter().all(|problem| problem.why == Why::Torn));
        prop_assert!(log.bounds(0).1 == whole);
    }

    #[test]
    fn a_flipped_bit_is_named_and_what_is_whole_is_found(count in 2_u64..8, place in 0.0_f64..1.0, which in 0_u64..8) {
        let which = which % count;
        let flip = Mishap { flipped: Some(place), ..Mishap::default() };
        let mut written = Written::new(1 << 20, Box::new(Once(which, flip)));
        (0..count).for_each(|number| written.keep(0, number));
        let (log, gaps, problems) = written.recover();
        let lost: Vec<u64> = (0..count).filter(|n| !offsets_with_holes(&log, 0).contains(n)).collect();
        prop_assert!(lost.len() <= 1, "{lost:?}");
        prop_assert_eq!(problems.len(), 1);
        // A damaged length may look like a tail that was torn off, and so may the last frame.
        if lost == [which] && which + 1 < count {
            let gap = Gap { partition: 0, from: which, to: which + 1, why: GapReason::Damaged };
            prop_assert_eq!(gaps, vec![gap]);
        }
    }
}

fn offsets_with_holes(log: &Log, partition: u32) -> Vec<u64> {
    let (mut from, end) = log.bounds(partition);
    let mut all = vec![];
    while from < end {
        match log.next(partition, from, true) {
            Next::Record(record) => {
                all.push(record.offset);
                from += 1;
            }
            Next::Gap(gap) => from = gap.to,
            Next::End => break,
        }
    }
    all
}

#[test]
fn a_lost_file_leaves_a_gap_that_the_next_one_names() {
    let mut written = Written::new(1, Box::new(CalmDisk));
    (0..4).for_each(|number| written.keep(0, number));
    let mut files = written.files();
    files.remove(1);
    let found = written.journal.read(&files);
    let (log, gaps) = Log::recovered(2, Limits::default(), true, &found);
    assert_eq!(offsets_with_holes(&log, 0), [0, 2, 3]);
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].to_string(), "offsets [1, 2) of partition 0: lost by the disk");
    assert!(log.has(event(1, 0).id), "it was kept, and is not taken again");
}

#[test]
fn foreign_newer_and_misplaced_files_are_named_and_left_alone() {
    let mut written = Written::new(1 << 20, Box::new(CalmDisk));
    written.keep(0, 0);
    let good = written.files()[0].1.clone().unwrap();
    let mut newer = good.clone();
    newer[8] = 9;
    let check = crc32fast::hash(&newer[..18]);
    newer[18..22].copy_from_slice(&check.to_le_bytes());
    let files = [
        ("log/0000000001.log".to_owned(), Some(good.clone())),
        (
            "log/0000000002.log".to_owned(),
            Some(b"a shopping list, and a long one".to_vec()),
        ),
        ("log/0000000003.log".to_owned(), Some(newer)),
        ("log/0000000004.log".to_owned(), Some(good)),
        ("log/notes.txt".to_owned(), Some(vec![])),
        ("log/0000000005.log".to_owned(), None),
    ];
    let found = written.journal.read(&files);
    let mut said: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    said.sort();
    assert_eq!(
        said,
        [
            "`log/0000000002.log` is not a file of a broker's journal; it is left as it is",
            "`log/0000000003.log` has version 9 of the format; this program reads version 1, and leaves it as it is",
            "`log/0000000004.log` is another file of a journal under that name; it is left as it is",
            "`log/0000000005.log` cannot be read",
            "`log/notes.txt` is not a file of a broker's journal; it is left as it is",
        ]
    );
    let (log, gaps) = Log::recovered(2, Limits::default(), true, &found);
    assert_eq!((offsets(&log, 0), gaps), (vec![0], vec![]));
    let page = Page::Gone { offset: 0 };
    let request = written.journal.write(&[page], Summary::default).unwrap();
    assert_eq!(request.file(), "log/0000000006.log");
}

// Queues.

const LIMITS: QueueLimits = QueueLimits {
    visibility: Span::from_micros(100),
    max_deliveries: Some(2),
    in_flight: 2,
};

fn queue(limits: QueueLimits, events: u64) -> Queue {
    let mut queue = Queue::new(limits, true);
    for number in 0..events {
        queue.take(event(number, 0));
    }
    queue.written(events);
    queue
}
/// Reader, place, count.
fn given(queue: &mut Queue, now: i64) -> Vec<(u32, u64, u32)> {
    let deliveries = queue.deliver(at(now), false);
    deliveries.iter().map(|d| (d.reader, d.offset, d.count)).collect()
}

#[test]
fn readers_take_turns_and_none_has_more_than_it_may() {
    let mut queue = queue(LIMITS, 6);
    queue.join(0);
    queue.join(1);
    assert_eq!(given(&mut queue, 0), [(0, 0, 1), (1, 1, 1), (0, 2, 1), (1, 3, 1)]);
    assert_eq!(queue.acknowledge(1), Settled::Gone);
    assert_eq!(queue.acknowledge(1), Settled::Stale);
    assert_eq!(given(&mut queue, 1), [(1, 4, 1)]);
    assert_eq!((queue.len(), queue.in_flight()), (5, 4));
}

#[test]
fn what_is_not_acknowledged_in_time_is_given_again_and_then_given_up() {
    let mut queue = queue(LIMITS, 1);
    queue.join(0);
    assert_eq!(given(&mut queue, 0), [(0, 0, 1)]);
    assert_eq!(queue.next_expiry(), Some(at(100)));
    assert_eq!((queue.expire(at(99)), queue.expire(at(100))), (0, 1));
    let again = queue.deliver(at(100), false);
    assert!(again[0].again && again[0].count == 2);
    assert_eq!(queue.expire(at(200)), 1);
    assert_eq!(given(&mut queue, 200), []);
    let (dead, places) = queue.dead();
    assert_eq!((dead.len(), places), (1, vec![0]));
    assert!(queue.is_empty());
}

#[test]
fn what_comes_back_is_given_after_what_was_given_meanwhile() {
    let mut queue = queue(LIMITS, 4);
    queue.join(0);
    assert_eq!(given(&mut queue, 0), [(0, 0, 1), (0, 1, 1)]);
    queue.refuse(0);
    assert_eq!(given(&mut queue, 1), [(0, 0, 2)], "after 1, which came later");
}

#[test]
fn a_reader_that_comes_back_gives_back_what_it_had() {
    let mut queue = queue(LIMITS, 3);
    queue.join(0);
    queue.join(1);
    given(&mut queue, 0);
    assert_eq!(queue.join(0), 2);
    assert_eq!(given(&mut queue, 5), [(1, 0, 2), (0, 2, 2)]);
    assert_eq!(queue.leave(1), 2);
    assert_eq!(queue.dead().1, [0], "it had been given twice");
}

#[test]
fn a_crash_of_the_queue_gives_again_what_was_not_acknowledged() {
    let mut journal = Journal::new("queue".to_owned(), 1 << 20);
    let mut queue = queue(LIMITS, 0);
    let mut pages = vec![];
    for number in 0..3 {
        let event = event(number, 0);
        let bytes = Journal::encode(&event).unwrap();
        let offset = queue.take(event).unwrap();
        pages.push(Page::Kept {
            partition: 0,
            offset,
            at: Time::ZERO,
            event: bytes,
        });
    }
    queue.written(3);
    queue.join(0);
    given(&mut queue, 0);
    queue.acknowledge(0);
    pages.push(Page::Gone { offset: 0 });
    let request = journal.write(&pages, || Queue::new(LIMITS, true).summary()).unwrap();
    let Request::Append { file, bytes } = request else {
        panic!("it is added")
    };
    let found = journal.read(&[(file.clone(), Some(bytes.clone()))]);
    let (mut back, gaps) = Queue::recovered(LIMITS, true, &found);
    assert_eq!(gaps, []);
    back.join(0);
    let again = back.deliver(at(9), false);
    assert_eq!(
        again.iter().map(|d| (d.offset, d.again)).collect::<Vec<_>>(),
        [(1, true), (2, true)]
    );
    assert_eq!(back.take(event(0, 0)), None, "it was there");

    // Another file begins behind five events, of which the first is acknowledged, and the file with them is lost.
    for number in 3..5 {
        queue.take(event(number, 0)).unwrap();
    }
    queue.written(5);
    journal.turn();
    let gone = [Page::Gone { offset: 3 }];
    let request = journal.write(&gone, || queue.summary()).unwrap();
    let Request::Append { file, bytes } = request else {
        panic!("it is added")
    };
    let found = journal.read(&[(file, Some(bytes))]);
    let (back, gaps) = Queue::recovered(LIMITS, true, &found);
    let places: Vec<(u64, u64)> = gaps.iter().map(|gap| (gap.from, gap.to)).collect();
    assert_eq!(places, [(1, 3), (4, 5)], "what became of them, nobody knows");
    assert_eq!(back.len(), 0);
}

proptest! {
    /// Against a list of (event, times given, who has it until when) that is gone through from the front each time.
    #[test]
    fn a_queue_does_what_a_list_does(
        steps in prop::collection::vec((0_u8..7, 0_u64..12, 0_i64..60), 0..80),
        max in prop::option::of(1_u32..4),
        in_flight in 1_u32..4,
    ) {
        #[derive(Clone, PartialEq)]
        struct Row { number: u64, times: u32, has: Option<(u32, i64)> }
        let limits = QueueLimits { max_deliveries: max, in_flight, ..LIMITS };
        let mut queue = Queue::new(limits, true);
        let (mut list, mut seen, mut dead): (Vec<Row>, Vec<u64>, Vec<u64>) = (vec![], vec![], vec![]);
        let (mut readers, mut turn, mut now): (Vec<u32>, u32, i64) = (vec![], 0, 0);
        for (step, which, pass) in steps {
            now += pass;
            let back = |list: &mut Vec<Row>, dead: &mut Vec<u64>, which: &dyn Fn(&Row) -> bool| {
                // What comes back is given up in the order in which its time was over.
                let mut mine: Vec<Row> = list.iter().filter(|row| which(row)).cloned().collect();
                mine.sort_by_key(|row| (row.has.map(|(_, until)| until), row.number));
                for row in mine {
                    if max.is_some_and(|max| row.times >= max) {
                        list.retain(|other| other.number != row.number);
                        dead.push(row.number);
                    } else {
                        list.iter_mut().filter(|other| other.number == row.number).for_each(|other| other.has = None);
                    }
                }
            };
            queue.expire(at(now));
            back(&mut list, &mut dead, &|row| row.has.is_some_and(|(_, until)| until <= now));
            let place = |number: u64| seen.iter().position(|n| *n == number).map(|p| p as u64);
            match step {
                0 | 1 => {
                    let new = !seen.contains(&which);
                    prop_assert_eq!(queue.take(event(which, 0)).is_some(), new);
                    queue.written(u64::MAX);
                    if new {
                        seen.push(which);
                        list.push(Row { number: which, times: 0, has: None });
                    }
                }
                2 => {
                    let reader = (which % 3) as u32;
                    queue.join(reader);
                    readers.retain(|r| *r != reader);
                    readers.push(reader);
                    readers.sort_unstable();
                    back(&mut list, &mut dead, &|row| row.has.is_some_and(|(r, _)| r == reader));
                }
                3 => {
                    let reader = (which % 3) as u32;
                    queue.leave(reader);
                    readers.retain(|r| *r != reader);
                    back(&mut list, &mut dead, &|row| row.has.is_some_and(|(r, _)| r == reader));
                }
                4 => if let Some(place) = place(which) {
                    let there = list.iter().any(|row| row.number == which);
                    prop_assert_eq!(queue.acknowledge(place) == Settled::Gone, there);
                    list.retain(|row| row.number != which);
                },
                5 => if let Some(place) = place(which) {
                    queue.refuse(place);
                    back(&mut list, &mut dead, &|row| row.number == which && row.has.is_some());
                },
                _ => {
                    let mut due = vec![];
                    loop {
                        let mut waits: Vec<&mut Row> = list.iter_mut().filter(|row| row.has.is_none()).collect();
                        waits.sort_by_key(|row| seen.iter().position(|n| *n == row.number));
                        let Some(first) = waits.first().map(|row| row.number) else { break };
                        let has = |reader: u32| {
                            list.iter().filter(|row| row.has.is_some_and(|(r, _)| r == reader)).count() < in_flight as usize
                        };
                        let mut order: Vec<u32> = readers.iter().copied().filter(|r| *r >= turn).collect();
                        order.extend(readers.iter().copied().filter(|r| *r < turn));
                        let Some(reader) = order.into_iter().find(|r| has(*r)) else { break };
                        turn = reader + 1;
                        let row = list.iter_mut().find(|row| row.number == first).unwrap();
                        row.times += 1;
                        row.has = Some((reader, now + 100));
                        due.push((reader, first, row.times));
                    }
                    let given = queue.deliver(at(now), false);
                    let given: Vec<_> = given.iter().map(|d| (d.reader, d.event.id.number, d.count)).collect();
                    prop_assert_eq!(given, due);
                }
            }
            prop_assert_eq!(queue.len(), list.len() as u64);
            prop_assert_eq!(queue.in_flight(), list.iter().filter(|row| row.has.is_some()).count() as u64);
        }
        let gone: Vec<u64> = queue.dead().0.iter().map(|event| event.id.number).collect();
        let sorted = |mut list: Vec<u64>| { list.sort_unstable(); list };
        prop_assert_eq!(sorted(gone), sorted(dead));
    }
}
