use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Goes wrong as written, by the number of the request.
#[derive(Default)]
struct Scripted(BTreeMap<u64, Mishap>);

impl DiskFaults for Scripted {
    fn befall(&mut self, operation: &Operation<'_>, mishap: &mut Mishap) {
        if let Some(planned) = self.0.remove(&operation.number) {
            *mishap = planned;
        }
    }
}

const SLOW: DiskSpeed = DiskSpeed {
    write: Span::from_millis(5),
    read: Span::from_millis(2),
    rate: 1_000,
    capacity: 100,
};

fn disk(mishaps: impl IntoIterator<Item = (u64, Mishap)>) -> SimulatedDisk {
    SimulatedDisk::new(SLOW, Box::new(Scripted(mishaps.into_iter().collect())))
}
fn at(millis: i64) -> Time {
    Time::ZERO + Span::from_millis(millis)
}
fn write(file: &str, bytes: &[u8], how: Replacing) -> Request {
    Request::Write {
        file: file.to_owned(),
        bytes: bytes.to_vec(),
        how,
    }
}
fn append(file: &str, bytes: &[u8]) -> Request {
    Request::Append {
        file: file.to_owned(),
        bytes: bytes.to_vec(),
    }
}
fn run(disk: &mut SimulatedDisk, request: Request) -> Result<Outcome, DiskError> {
    let ticket = disk.start(at(0), request);
    disk.finish(ticket.number).expect("it was just asked for")
}
fn named(mishap: impl FnOnce(&mut Mishap)) -> Mishap {
    let mut made = Mishap {
        fired: vec![7],
        ..Mishap::default()
    };
    mishap(&mut made);
    made
}

#[test]
fn requests_wait_for_one_another_and_take_latency_and_bytes_over_rate() {
    let mut disk = disk([]);
    let first = disk.start(at(0), write("a", &[1; 10], Replacing::ByRenaming));
    let second = disk.start(at(1), append("a", &[2; 5]));
    assert_eq!((first.due, second.due), (at(15), at(25)));
    assert_eq!(disk.finish(first.number), Some(Ok(Outcome::Written(10))));
    assert_eq!(disk.finish(second.number), Some(Ok(Outcome::Appended(15))));
    assert_eq!(disk.finish(second.number), None);
    let third = disk.start(at(100), Request::read("a"));
    assert_eq!(third.due, at(117));
    assert_eq!(disk.counts().written, 15);
}

#[test]
fn a_crash_leaves_the_old_file_when_it_was_to_be_replaced_by_renaming() {
    let mut disk = disk([]);
    run(&mut disk, write("a", b"old", Replacing::ByRenaming)).unwrap();
    disk.busy_until = at(0);
    let ticket = disk.start(at(0), write("a", &[9; 15], Replacing::ByRenaming));
    assert_eq!(ticket.due, at(20));
    disk.crash(at(10));
    assert_eq!(disk.finish(ticket.number), None);
    assert_eq!(disk.look("a"), Some(&b"old"[..]));
    assert_eq!(disk.look("a.part"), Some(&[9; 7][..]));
    assert_eq!(disk.used(), 10);
}

#[test]
fn a_crash_leaves_a_part_of_what_was_written_in_place_or_added() {
    let mut disk = disk([]);
    run(&mut disk, write("a", b"old", Replacing::InPlace)).unwrap();
    disk.busy_until = at(0);
    disk.start(at(0), write("a", &[9; 15], Replacing::InPlace));
    disk.start(at(0), append("b", &[8; 5]));
    disk.crash(at(25));
    assert_eq!(disk.look("a"), Some(&[9; 15][..]));
    assert_eq!(disk.look("b"), Some(&[8; 2][..]));
    assert_eq!(disk.start(at(26), append("b", b"")).due, at(31));
}

#[test]
fn what_has_not_begun_at_a_crash_leaves_nothing() {
    let mut disk = disk([]);
    disk.start(at(0), write("a", &[9; 15], Replacing::InPlace));
    disk.start(at(0), write("b", &[9; 15], Replacing::InPlace));
    disk.crash(at(20));
    assert_eq!(disk.names().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_full_disk_says_how_much_room_there_is() {
    let mut disk = disk([]);
    run(&mut disk, write("a", &[0; 80], Replacing::ByRenaming)).unwrap();
    let error = run(&mut disk, write("b", &[0; 30], Replacing::ByRenaming)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot write `b`: the disk is full (30 bytes, room for 20)"
    );
    let again = run(&mut disk, write("a", &[0; 30], Replacing::ByRenaming));
    assert!(again.is_err(), "both have to fit until one is renamed");
    assert_eq!(
        run(&mut disk, write("a", &[0; 30], Replacing::InPlace)),
        Ok(Outcome::Written(30))
    );
    assert_eq!(disk.used(), 30);
}

#[test]
fn every_mishap_does_what_it_says_and_names_its_fault() {
    let mut disk = disk([
        (1, named(|m| m.slower = Span::from_secs(1))),
        (2, named(|m| m.failed = true)),
        (3, named(|m| m.full = true)),
        (4, named(|m| m.torn = Some(0.5))),
        (5, named(|m| m.flipped = Some(0.0))),
        (7, named(|m| m.stale = true)),
        (8, named(|m| m.lost = true)),
    ]);
    run(&mut disk, write("a", b"abcd", Replacing::ByRenaming)).unwrap();
    let slow = disk.start(at(1_000), Request::read("a"));
    assert_eq!((slow.due, slow.fired), (at(2_006), vec![7]));
    assert_eq!(
        run(&mut disk, write("a", b"x", Replacing::ByRenaming))
            .unwrap_err()
            .to_string(),
        "cannot write `a`: the disk reported an error"
    );
    assert!(run(&mut disk, write("a", b"x", Replacing::ByRenaming)).is_err());
    assert_eq!(disk.look("a"), Some(&b"abcd"[..]));
    assert_eq!(
        run(&mut disk, write("a", b"wxyz", Replacing::ByRenaming)),
        Ok(Outcome::Written(4))
    );
    assert_eq!(disk.look("a"), Some(&b"wx"[..]));
    run(&mut disk, write("a", b"\0", Replacing::ByRenaming)).unwrap();
    assert_eq!(disk.look("a"), Some(&[1][..]));
    assert_eq!(run(&mut disk, append("a", b"yz")), Ok(Outcome::Appended(3)));
    assert_eq!(run(&mut disk, Request::read("a")), Ok(Outcome::Read(vec![1])));
    run(&mut disk, append("a", b"!")).unwrap();
    assert_eq!(
        run(&mut disk, Request::read("a")).unwrap_err().to_string(),
        "cannot read `a`: there is no such file"
    );
    assert_eq!(disk.used(), 0);
}

#[test]
fn a_stale_read_of_a_file_that_was_not_there_before_finds_none() {
    let mut disk = disk([(1, named(|m| m.stale = true)), (3, named(|m| m.stale = true))]);
    run(&mut disk, write("a", b"1", Replacing::ByRenaming)).unwrap();
    assert!(run(&mut disk, Request::read("a")).is_err());
    run(&mut disk, write("a", b"2", Replacing::ByRenaming)).unwrap();
    assert_eq!(run(&mut disk, Request::read("a")), Ok(Outcome::Read(b"1".to_vec())));
}

#[test]
fn files_are_listed_by_how_their_names_begin_and_read_in_parts() {
    let mut disk = disk([]);
    for file in ["log/0", "log/1", "logs", "snapshot"] {
        run(&mut disk, append(file, b"abcdef")).unwrap();
    }
    let list = Request::List {
        prefix: "log/".to_owned(),
    };
    let files = vec![("log/0".to_owned(), 6), ("log/1".to_owned(), 6)];
    assert_eq!(run(&mut disk, list), Ok(Outcome::Listed(files)));
    let part = |from, limit| Request::Read {
        file: "logs".to_owned(),
        from,
        limit,
    };
    assert_eq!(run(&mut disk, part(2, 3)), Ok(Outcome::Read(b"cde".to_vec())));
    assert_eq!(run(&mut disk, part(5, 9)), Ok(Outcome::Read(b"f".to_vec())));
    assert_eq!(run(&mut disk, part(9, 9)), Ok(Outcome::Read(Vec::new())));
    let delete = Request::Delete {
        file: "logs".to_owned(),
    };
    assert_eq!(run(&mut disk, delete.clone()), Ok(Outcome::Deleted(true)));
    assert_eq!(run(&mut disk, delete), Ok(Outcome::Deleted(false)));
}

proptest! {
    #[test]
    fn what_it_says_it_uses_is_what_its_files_take(
        steps in prop::collection::vec((0_u8..5, 0_u8..3, 0_usize..30, any::<bool>(), 0_u8..4), 0..30),
    ) {
        let mishaps = steps.iter().enumerate().filter_map(|(i, (.., kind))| {
            let mishap = named(|m| match kind {
                1 => m.torn = Some(0.3),
                2 => m.flipped = Some(0.9),
                _ => m.lost = true,
            });
            (*kind > 0).then_some((i as u64, mishap))
        });
        let mut disk = disk(mishaps);
        for (step, (action, file, size, crash, _)) in steps.iter().enumerate() {
            let (file, bytes) = (file.to_string(), vec![0; *size]);
            let request = match action {
                0 => Request::Write { file, bytes, how: Replacing::InPlace },
                1 => Request::Write { file, bytes, how: Replacing::ByRenaming },
                2 => Request::Append { file, bytes },
                3 => Request::read(file),
                _ => Request::Delete { file },
            };
            let now = at(step as i64 * 50);
            let ticket = disk.start(now, request);
            if *crash {
                disk.crash(now + Span::from_millis(*size as i64));
            } else {
                let _ = disk.finish(ticket.number);
            }
            let files: usize = disk.files.values().map(|f| f.bytes.len()).sum();
            prop_assert_eq!(disk.used(), files as u64);
            prop_assert!(disk.used() <= SLOW.capacity);
        }
    }
}
