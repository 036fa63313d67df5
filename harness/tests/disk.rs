//! Real files: a broker's log on redb that is killed or goes wrong beneath.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use wavetank_actors::reliability::broker::{Gap, Journal, Kept, Limits, Log, Next, Page, Problem, journal_files};
use wavetank_actors::reliability::disk::{Disk, DiskFaults, Mishap, Operation, Outcome, Replacing, Request};
use wavetank_harness::disk::RealDisk;
use wavetank_scenarios::{Event, EventId, Producer, Time, Value};

/// Held while a process is started, and by who opens a file again that it has just closed: until a new process runs its own
/// program it has all files of this one open, and their locks with them.
static STARTING: Mutex<()> = Mutex::new(());

/// A log whose journal lies on a real disk; each event is written before the next.
struct Real {
    disk: RealDisk,
    journal: Journal,
    log: Log,
}

impl Real {
    fn open(disk: RealDisk) -> Result<(Self, Vec<Gap>, Vec<Problem>), String> {
        let mut disk = disk;
        let mut journal = Journal::new("orders".to_owned(), 2_000);
        let files = journal_files(&mut disk, &journal.prefix(), Time::ZERO, &mut Vec::new())
            .map_err(|error| error.to_string())?;
        let found = journal.read(&files);
        let (log, gaps) = Log::recovered(1, Limits::default(), true, &found);
        Ok((Self { disk, journal, log }, gaps, found.problems))
    }
    /// Whether it was written.
    fn keep(&mut self, number: u64) -> bool {
        let id = EventId {
            producer: Producer(0),
            number,
        };
        let event = Event {
            id,
            stamp: Time::from_micros(number as i64),
            correlation: id,
            planned: Time::ZERO,
            row: [Value::from("an order"), Value::Int(number as i64)].into(),
            lineage: None,
            pane: None,
            sequence: None,
            position: None,
        };
        let bytes = Journal::encode(&event).expect("an event can be written");
        let Kept::At { partition, offset } = self.log.take(0, event, bytes.len() as u64, Time::ZERO) else {
            return true;
        };
        let page = Page::Kept {
            partition,
            offset,
            at: Time::ZERO,
            event: bytes,
        };
        let log = &self.log;
        let request = self
            .journal
            .write(&[page], || log.summary())
            .expect("a page can be written");
        let ticket = self.disk.start(Time::ZERO, request);
        let written = matches!(self.disk.finish(ticket.number), Some(Ok(Outcome::Appended(_))));
        if !written {
            // Nobody knows what got there: what comes next goes to a file of its own.
            self.journal.turn();
        } else {
            self.log.written(partition, offset + 1);
        }
        written
    }
    /// The numbers of the events that are there, by offset.
    fn numbers(&self) -> Vec<u64> {
        let (mut from, end) = self.log.bounds(0);
        let mut numbers = Vec::new();
        while from < end {
            match self.log.next(0, from, true) {
                Next::Record(record) => {
                    numbers.push(record.event.id.number);
                    from += 1;
                }
                Next::Gap(gap) => from = gap.to,
                Next::End => break,
            }
        }
        numbers
    }
}

const CHILD: &str = "WAVETANK_TEST_DISK";

/// Not a test of its own: what the test below starts and kills.
#[test]
#[ignore = "a helper process: see the test of kill -9"]
fn helper_that_keeps_orders_until_it_is_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let (mut real, ..) = Real::open(RealDisk::open(path).expect("it opens")).expect("it is read");
    for number in real.log.bounds(0).1.. {
        assert!(real.keep(number));
        println!("\nkept {number}");
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.redb");
    let mut acknowledged = 0;
    for round in 1..=3 {
        let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([
                "--exact",
                "helper_that_keeps_orders_until_it_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        drop(starting);
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("kept ") {
                acknowledged = number.parse::<u64>().expect("a number") + 1;
            }
            if acknowledged >= round * 20 {
                break;
            }
        }
        // SIGKILL: nothing of the process runs any more.
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        assert!(acknowledged >= round * 20, "it was killed in the middle of its work");
        let (real, gaps, problems) = Real::open(RealDisk::open(&path).expect("it opens again")).expect("it is read");
        assert_eq!((gaps, problems), (vec![], vec![]));
        let numbers = real.numbers();
        assert!(
            numbers.len() as u64 >= acknowledged,
            "{} of {acknowledged}",
            numbers.len()
        );
        assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{numbers:?}");
    }
}

/// Does something to the how-manieth write beneath the database.
struct AtWrite {
    write: u64,
    seen: u64,
    mishap: Mishap,
}

impl DiskFaults for AtWrite {
    fn befall(&mut self, operation: &Operation<'_>, mishap: &mut Mishap) {
        if operation.action.writes() {
            if self.seen == self.write {
                *mishap = self.mishap.clone();
            }
            self.seen += 1;
        }
    }
}

#[test]
fn whatever_goes_wrong_beneath_what_is_read_back_is_what_was_written_or_an_error_that_names_the_file() {
    let _nobody_starts = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    let mishap = |make: fn(&mut Mishap)| {
        let mut mishap = Mishap {
            fired: vec![0],
            ..Mishap::default()
        };
        make(&mut mishap);
        mishap
    };
    let honest = [
        mishap(|m| m.failed = true),
        mishap(|m| m.full = true),
        mishap(|m| m.slower = wavetank_scenarios::Span::UNIT),
    ];
    let lies = [
        mishap(|m| m.torn = Some(0.3)),
        mishap(|m| m.lost = true),
        mishap(|m| m.flipped = Some(0.7)),
    ];
    let mut errors = 0;
    for (mishap, lie) in honest.iter().map(|m| (m, false)).chain(lies.iter().map(|m| (m, true))) {
        for write in 0..40 {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("log.redb");
            let faults = AtWrite {
                write,
                seen: 0,
                mishap: mishap.clone(),
            };
            let mut kept = Vec::new();
            if let Ok(disk) = RealDisk::with_faults(&path, Box::new(faults))
                && let Ok((mut real, ..)) = Real::open(disk)
            {
                for number in 0..4 {
                    if real.keep(number) {
                        kept.push(number);
                    }
                }
            }
            let before = std::fs::read(&path).expect("it is there");
            match RealDisk::open(&path)
                .map_err(|error| error.to_string())
                .and_then(Real::open)
            {
                Ok((real, gaps, problems)) => {
                    let numbers = real.numbers();
                    let lost: Vec<&u64> = kept.iter().filter(|number| !numbers.contains(number)).collect();
                    let wrong = numbers.iter().any(|number| *number > 4) || !numbers.is_sorted();
                    assert!(!wrong, "{mishap:?} at write {write}: {numbers:?}");
                    // A disk that tells when it fails loses nothing that it said was written.
                    assert!(
                        lie || lost.is_empty(),
                        "{mishap:?} at write {write}: lost {lost:?} {gaps:?} {problems:?}"
                    );
                }
                Err(error) => {
                    errors += 1;
                    assert!(error.contains("log.redb"), "{error}");
                    assert!(lie || kept.is_empty(), "{mishap:?} at write {write}: {error}");
                    assert_eq!(std::fs::read(&path).ok(), Some(before), "it is left as it is: {error}");
                }
            }
        }
    }
    assert!(errors > 0, "a lie about the first writes is found out");
}

#[test]
fn a_file_that_is_no_disk_is_named_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shopping.txt");
    std::fs::write(&path, "bread, milk, and a long list of other things\n".repeat(300)).expect("written");
    let before = std::fs::read(&path).expect("read");
    let error = RealDisk::open(&path).expect_err("it is no disk").to_string();
    assert!(
        error.contains("shopping.txt") && error.contains("left as it is"),
        "{error}"
    );
    assert_eq!(std::fs::read(&path).expect("read"), before);
}

#[test]
fn a_disk_that_is_open_is_not_opened_by_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.redb");
    let _first = RealDisk::open(&path).expect("it opens");
    let error = RealDisk::open(&path).expect_err("it is in use").to_string();
    assert!(error.contains("another process has it open"), "{error}");
}

#[test]
fn files_are_written_added_to_read_in_parts_listed_and_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut disk = RealDisk::open(folder.path().join("disk.redb")).expect("it opens");
    let mut ask = |request: Request| {
        let ticket = disk.start(Time::ZERO, request);
        disk.finish(ticket.number)
            .expect("it is done")
            .map_err(|error| error.to_string())
    };
    let write = |file: &str, bytes: &[u8]| Request::Write {
        file: file.to_owned(),
        bytes: bytes.to_vec(),
        how: Replacing::ByRenaming,
    };
    let append = |file: &str, bytes: &[u8]| Request::Append {
        file: file.to_owned(),
        bytes: bytes.to_vec(),
    };
    let part = |from, limit| Request::Read {
        file: "a/1".to_owned(),
        from,
        limit,
    };
    let list = Request::List {
        prefix: "a/".to_owned(),
    };
    assert_eq!(ask(list.clone()), Ok(Outcome::Listed(vec![])));
    assert_eq!(
        ask(Request::read("a/1")),
        Err("cannot read `a/1`: there is no such file".to_owned())
    );
    assert_eq!(ask(write("a/1", b"abc")), Ok(Outcome::Written(3)));
    assert_eq!(ask(append("a/1", b"defg")), Ok(Outcome::Appended(7)));
    assert_eq!(ask(append("a/2", b"")), Ok(Outcome::Appended(0)));
    assert_eq!(ask(append("b", b"x")), Ok(Outcome::Appended(1)));
    assert_eq!(ask(part(2, 3)), Ok(Outcome::Read(b"cde".to_vec())));
    assert_eq!(ask(part(6, 9)), Ok(Outcome::Read(b"g".to_vec())));
    assert_eq!(
        ask(list),
        Ok(Outcome::Listed(vec![("a/1".to_owned(), 7), ("a/2".to_owned(), 0)]))
    );
    assert_eq!(ask(write("a/1", b"z")), Ok(Outcome::Written(1)));
    assert_eq!(ask(Request::read("a/1")), Ok(Outcome::Read(b"z".to_vec())));
    let delete = Request::Delete { file: "b".to_owned() };
    assert_eq!(ask(delete.clone()), Ok(Outcome::Deleted(true)));
    assert_eq!(ask(delete), Ok(Outcome::Deleted(false)));
    assert_eq!(disk.used(), 1);
}
