//! Snapshot files of every version that there ever was, made by other software (`snapshots/make.py`): they stay readable,
//! and what is written today is what the newest version's files look like.

use std::collections::BTreeMap;

use wavetank_actors::reliability::snapshot::Keys;
use wavetank_actors::reliability::snapshot::format::{Expected, Header, Kind, Packing, Writing, encode, open};
use wavetank_actors::reliability::{Change, State};

macro_rules! files {
    ($version:literal) => {
        [
            include_bytes!(concat!("snapshots/", $version, "-full.state")).as_slice(),
            include_bytes!(concat!("snapshots/", $version, "-changes.state")),
            include_bytes!(concat!("snapshots/", $version, "-sealed.state")),
        ]
    };
}

fn keys() -> Keys {
    Keys::one(std::array::from_fn(|index| index as u8))
}

fn state() -> State {
    let mut state = State::default();
    state.put_each("by key", &BTreeMap::from([(1_u8, 258_u16), (2, 3)]));
    state.put("count", &7_u32);
    state
}

/// What the second file makes of the first.
fn later() -> State {
    let mut state = State::default();
    state.put_each("by key", &BTreeMap::from([(1_u8, 258_u16)]));
    state.put("count", &8_u32);
    state
}

fn reads([full, changes, sealed]: [&[u8]; 3], version: u16, attempt: u32) {
    let expected = |number| Expected {
        participant: "per-minute",
        number,
        fingerprint: 0xfeed,
    };
    for file in [full, sealed] {
        let opened = open("a file", file).unwrap();
        assert_eq!((opened.version, opened.header.attempt), (version, attempt));
        assert_eq!((opened.header.run, opened.header.kind), (1 << 100, Kind::Full));
        opened.expect(expected(12)).unwrap();
        assert_eq!(opened.body::<State>(&keys()), Ok(state()));
    }
    let opened = open("a file", changes).unwrap();
    opened.expect(expected(13)).unwrap();
    assert_eq!(opened.header.kind, Kind::Incremental { over: 12 });
    let mut folded = state();
    folded.apply(opened.body::<Vec<Change>>(&keys()).unwrap());
    assert_eq!(folded, later());
}

#[test]
fn files_of_version_1_are_read_which_knew_neither_compression_nor_attempts() {
    reads(files!("v1"), 1, 0);
}

#[test]
fn files_of_version_2_are_read() {
    reads(files!("v2"), 2, 5);
}

#[test]
fn what_is_written_today_is_what_other_software_writes() {
    let [full, changes, sealed] = files!("v2");
    let keys = keys();
    let write = |kind, number, body: &dyn Fn(Header, Writing<'_>) -> Vec<u8>, keys| {
        let header = Header {
            kind,
            run: 1 << 100,
            attempt: 5,
            number,
            participant: "per-minute".to_owned(),
            fingerprint: 0xfeed,
            plain: 0,
            packing: Packing::Plain,
            key: None,
        };
        let writing = Writing { compress: false, keys };
        body(header, writing)
    };
    let whole = |header, writing: Writing<'_>| encode(header, &state(), writing).unwrap();
    assert_eq!(write(Kind::Full, 12, &whole, None), full);
    assert_eq!(write(Kind::Full, 12, &whole, Some(&keys)), sealed);
    let since = |header, writing: Writing<'_>| encode(header, &later().changes_since(&state()), writing).unwrap();
    assert_eq!(write(Kind::Incremental { over: 12 }, 13, &since, None), changes);
}

#[test]
fn a_newer_version_is_refused_by_its_number() {
    let mut newer = files!("v2")[0].to_vec();
    newer[8] = 3;
    let error = open("000000000012/per-minute.state", &newer).unwrap_err();
    assert_eq!(
        error.to_string(),
        "snapshot file `000000000012/per-minute.state`: it has version 3 of the format, and this program knows those up \
         to 2; use a newer program"
    );
}
