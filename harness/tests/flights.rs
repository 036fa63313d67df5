//! Real departures against an independent computation: every window of the flights scenario is what `flights/hourly.py`
//! works out from the same file, and so is the truth that the judge measures it by.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_harness::{Options, Ran, run};
use wavetank_reports::trace::TraceKind;
use wavetank_scenarios::library::{LIBRARY, LibraryFiles};
use wavetank_scenarios::{Script, Span, Time};

/// What `flights/hourly.py` printed.
const HOURLY: &str = include_str!("flights/hourly.csv");

/// Flights and mean delay of an hour and airport.
type Board = BTreeMap<(Time, String), (i64, Option<f64>)>;

fn play(trace: bool) -> Ran {
    let entry = LIBRARY.find("flights-hourly").expect("it is in the library");
    let script = Script::load(entry.text, entry.path, &LibraryFiles, &[]).expect("it is valid");
    let options = Options {
        trace,
        ..Options::default()
    };
    run(&Arc::new(script), &options).expect("it runs")
}

/// The boards of the independent computation: over what was admitted, and over every flight that was planned.
fn computed() -> (Board, Board) {
    let (mut admitted, mut truth) = (Board::new(), Board::new());
    for row in csv::Reader::from_reader(HOURLY.as_bytes()).records() {
        let row = row.expect("a row");
        let cell = (Time::parse(&row[0]).expect("a time"), row[1].to_owned());
        for (board, column) in [(&mut admitted, 2), (&mut truth, 4)] {
            if let Ok(flights) = row[column].parse() {
                board.insert(cell.clone(), (flights, row[column + 1].parse().ok()));
            }
        }
    }
    (admitted, truth)
}

#[test]
fn every_window_is_what_an_independent_script_computes_from_the_file() {
    let (admitted, _) = computed();
    let mut board = Board::new();
    for line in play(true).trace {
        if line.kind != TraceKind::Deliver || line.actor.as_deref() != Some("board") {
            continue;
        }
        // A window's result is stamped with the last instant of its hour.
        let last = line.stamp.expect("a result has a stamp");
        let hour = Time::from_micros(last.0).floor_to(Span::from_secs(3600), Span::ZERO);
        let row = line.row.expect("a result has a row");
        let cell = |column: &str, index: usize| row.get(column).or_else(|| row.get(index)).cloned().unwrap_or_default();
        let origin = cell("origin", 0).as_str().expect("an airport").to_owned();
        let flights = cell("departures", 1).as_i64().expect("a count");
        let before = board.insert((hour, origin), (flights, cell("mean_delay", 2).as_f64()));
        assert_eq!(before, None, "each hour is answered once");
    }
    assert_eq!(board.len(), admitted.len());
    for (cell, due) in &admitted {
        assert_eq!(board.get(cell), Some(due), "{cell:?}");
    }
}

#[test]
fn the_distance_to_truth_is_that_of_the_two_computed_boards() {
    let (admitted, truth) = computed();
    let wrong = truth
        .iter()
        .filter(|(cell, due)| admitted.get(*cell) != Some(due))
        .count() as u64;
    let missing = truth.keys().filter(|cell| !admitted.contains_key(*cell)).count() as u64;
    let record = play(false).record;
    let of = |reference| {
        let mut all = record
            .distances
            .iter()
            .filter(|d| d.sink == "board" && d.reference == reference);
        all.next().expect("the board is compared")
    };
    let distance = of(wavetank_reports::record::Reference::Truth);
    assert_eq!(distance.expected_rows, truth.len() as u64);
    assert_eq!(
        (distance.different + distance.missing, distance.missing, distance.extra),
        (wrong, missing, 0)
    );
    let distance = of(wavetank_reports::record::Reference::Admitted);
    assert_eq!(
        (distance.equal, distance.expected_rows),
        (admitted.len() as u64, admitted.len() as u64)
    );
}
