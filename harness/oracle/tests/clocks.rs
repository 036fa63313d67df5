//! Worked examples, by hand, of whose clock counts: windows that go by the clocks of their keys, and events that wait until
//! the clock shows their stamps.

mod common;

use common::{Told, at, event, operator, shown};
use serde_json::json;
use wavetank_oracle::waiting::Waiting;
use wavetank_oracle::watermark::{Generator, Heard, Signal};
use wavetank_oracle::{Arrival, Reference, reference};
use wavetank_scenarios::script::{ValveSettings, Watermark};
use wavetank_scenarios::{Row, Span, Time};

fn by_key(window: &str, more: serde_json::Value) -> Told {
    let mut settings = json!({"watermark": {"behind": "2us", "scope": "key"}});
    for (key, value) in more.as_object().into_iter().flatten() {
        settings[key] = value.clone();
    }
    Told::query(
        &format!("select k, sum(v) as total from s window {window} group by k"),
        settings,
    )
}

#[test]
fn each_key_is_answered_by_its_own_largest_stamp_less_the_bound_and_a_tick() {
    let mut told = by_key("tumbling(10us)", json!({}));
    assert_eq!(told.event(3, "a", 1), "");
    assert_eq!(told.event(500, "b", 2), "");
    assert_eq!(told.event(11, "a", 4), "", "w = 11 - 2 - 1");
    assert_eq!(told.event(9, "a", 8), "");
    assert_eq!(told.event(12, "a", 16), "[0,10) a 9");
    assert_eq!(told.event(9, "a", 32), "#5 late");
    assert_eq!(told.event(9, "b", 64), "#6 late");
    assert_eq!(told.event(9, "c", 1), "", "nobody knew this key");
    assert_eq!(told.watermark(1_000), "", "watermarks of the input say nothing");
    assert_eq!(told.due.last().unwrap().limit, Some(Time::MIN));
    assert_eq!(told.held(), 4);
    assert_eq!(told.end(), "[10,20) a 20; [500,510) b 2; [0,10) c 1");
    assert_eq!((told.held(), told.due.last().unwrap().limit), (0, None));
}

#[test]
fn sessions_and_corrections_go_by_the_clock_of_their_key_too() {
    let mut told = by_key("session(5us)", json!({"horizon": "10us"}));
    told.event(0, "a", 1);
    told.event(3, "b", 1);
    assert_eq!(told.event(7, "a", 2), "[0,5) a 1");
    assert_eq!(
        told.event(2, "a", 4),
        "[0,5) a 1 -1",
        "it grows, and is not complete at 7 - 2 - 1"
    );
    assert_eq!(told.arrive(&Arrival::Crash).held, 0);
    assert_eq!(told.event(0, "a", 8), "", "the clock is lost with the rest");
}

#[test]
fn without_a_flush_at_the_end_the_last_windows_of_all_keys_stay_open_and_no_watermark_passes() {
    let mut told = by_key("tumbling(10us)", json!({"flush_at_end": false}));
    told.event(3, "a", 1);
    assert_eq!(told.end(), "");
    assert_eq!((told.held(), told.due.last().unwrap().limit), (1, Some(Time::MIN)));
}

/// A model of a window behind a room in which events wait.
struct Held(Waiting, Box<dyn Reference>);

impl Held {
    fn new() -> Self {
        let settings = operator(json!({
            "query": "select sum(v) as total from s window tumbling(10us)", "future": "hold",
        }));
        let model = reference(
            &settings,
            &[&common::schema()],
            None,
            &std::collections::BTreeMap::new(),
            Span::UNIT,
        );
        Self(Waiting::new(&settings, Span::UNIT), model.unwrap())
    }
    fn event(&mut self, number: u64, stamp: i64, now: i64) -> (String, u64) {
        let event = event(number, stamp, vec!["a".into(), 1.into()]);
        let due = self.0.event(&mut *self.1, 0, &event, at(now), at(now));
        (shown(&due), due.held)
    }
    fn watermark(&mut self, combined: i64) -> Option<(String, Option<Time>)> {
        let due = self.0.watermark(&mut *self.1, at(combined))?;
        Some((shown(&due), due.limit))
    }
    fn go(&mut self, combined: i64, all: bool, now: i64) -> (String, u64) {
        let due = self.0.go(&mut *self.1, at(combined), all, at(now), at(now));
        (shown(&due), due.held)
    }
}

#[test]
fn an_event_that_is_ahead_waits_for_the_clock_and_the_watermark_waits_for_it() {
    let mut held = Held::new();
    assert_eq!(held.event(0, 8, 8), (String::new(), 1));
    assert_eq!(
        held.event(1, 9, 8),
        (String::new(), 2),
        "it is held, though not by the window"
    );
    assert_eq!(
        held.watermark(50),
        Some((String::new(), Some(at(7)))),
        "two ticks below"
    );
    assert_eq!(held.watermark(60), None);
    assert_eq!(held.go(60, false, 8), (String::new(), 2), "the clock was set back");
    assert_eq!(held.go(60, false, 9), ("[0,10) 2".into(), 0));
    assert_eq!(held.event(2, 9, 9), ("#2 late".into(), 0));
}

#[test]
fn what_waits_goes_by_stamp_and_at_the_end_all_of_it() {
    let mut held = Held::new();
    held.event(0, 35, 1);
    held.event(1, 22, 1);
    held.event(2, 21, 1);
    assert_eq!(held.go(1_000, false, 22), ("[20,30) 2".into(), 1));
    assert_eq!(held.go(1_000, true, 23), ("[30,40) 1".into(), 0));
}

#[test]
fn a_generator_hears_what_is_ahead_when_its_time_has_come() {
    let settings = Watermark::bounded(Span::from_micros(2));
    let new = || Generator::new(&settings, ValveSettings::default(), 1, Span::UNIT, &[], &[]);
    let heard = |stamp: i64, now: i64| Heard::Event {
        input: 0,
        lane: 0,
        id: wavetank_scenarios::EventId::default(),
        stamp: at(stamp),
        row: Row::from([]),
        wall: at(now),
        at: Span::ZERO,
    };
    let ripe = |now: i64| Heard::Ripe {
        wall: at(now),
        at: Span::ZERO,
    };
    assert_eq!(new().arrive(&heard(50, 10)), [Signal::Watermark(at(47))]);
    let mut holding = new().holding(true);
    assert_eq!(holding.arrive(&heard(50, 10)), []);
    assert_eq!(holding.arrive(&heard(10, 10)), [Signal::Watermark(at(7))]);
    assert_eq!(holding.arrive(&ripe(49)), []);
    assert_eq!(holding.arrive(&ripe(50)), [Signal::Watermark(at(47))]);
}
