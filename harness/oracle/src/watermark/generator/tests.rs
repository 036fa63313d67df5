use super::*;
use proptest::prelude::*;

fn at(micros: i64) -> Time {
    Time::from_micros(micros)
}
fn span(micros: i64) -> Span {
    Span::from_micros(micros)
}
fn of(settings: &Watermark, valve: ValveSettings, inputs: usize) -> Generator {
    Generator::new(settings, valve, inputs, Span::UNIT, &[], &[])
}
fn generator(behind: i64, idle: Option<i64>, scope: Scope, every: Option<i64>, inputs: usize) -> Generator {
    let settings = Watermark {
        idle: idle.map(span),
        scope,
        every: every.map(span).map(Every::Time),
        ..Watermark::bounded(span(behind))
    };
    of(&settings, ValveSettings::default(), inputs)
}
fn event(input: usize, stamp: i64, when: i64) -> Heard {
    Heard::Event {
        input,
        lane: 0,
        id: EventId::default(),
        stamp: at(stamp),
        row: vec![].into(),
        at: span(when),
        wall: at(when),
    }
}
fn sent(micros: i64) -> Vec<Signal> {
    vec![Signal::Watermark(at(micros))]
}

#[test]
fn a_watermark_is_the_largest_stamp_less_the_disorder_and_a_tick_and_never_steps_back() {
    let mut g = generator(10, None, Scope::Source, None, 1);
    assert_eq!(g.arrive(&event(0, 100, 0)), sent(89));
    assert_eq!(g.arrive(&event(0, 95, 1)), []);
    assert_eq!(g.arrive(&event(0, 101, 2)), sent(90));
}

#[test]
fn nothing_is_sent_until_every_source_has_spoken_or_is_idle() {
    let mut g = generator(0, Some(50), Scope::Source, None, 2);
    assert_eq!(g.arrive(&event(0, 100, 10)), []);
    assert_eq!(g.arrive(&Heard::Look { at: span(49) }), []);
    assert_eq!(g.arrive(&Heard::Look { at: span(50) }), sent(99));
    assert_eq!(
        g.arrive(&event(1, 20, 55)),
        [],
        "it speaks again and holds the minimum, which stays"
    );
    assert_eq!(g.arrive(&event(0, 200, 56)), []);
    assert_eq!(g.arrive(&event(1, 150, 57)), sent(149));
}

#[test]
fn one_scope_for_all_inputs_goes_with_the_fastest() {
    let mut g = generator(0, None, Scope::Input, None, 2);
    assert_eq!(g.arrive(&event(0, 100, 0)), sent(99));
    assert_eq!(g.arrive(&event(1, 20, 1)), []);
}

#[test]
fn when_all_are_silent_that_is_said_once_and_taken_back_before_the_next_event() {
    let mut g = generator(0, Some(50), Scope::Source, None, 1);
    assert_eq!(g.arrive(&event(0, 100, 10)), sent(99));
    assert_eq!(g.arrive(&Heard::Look { at: span(60) }), [Signal::Idle(true)]);
    assert_eq!(g.arrive(&Heard::Look { at: span(70) }), []);
    assert_eq!(
        g.arrive(&event(0, 120, 80)),
        [Signal::Idle(false), Signal::Watermark(at(119))]
    );
}

#[test]
fn with_a_timer_it_is_sent_at_its_ticks_if_it_has_grown() {
    let mut g = generator(0, None, Scope::Source, Some(10), 1);
    assert_eq!(g.arrive(&event(0, 100, 1)), []);
    assert_eq!(g.arrive(&Heard::Tick { wall: at(0) }), sent(99));
    assert_eq!(g.arrive(&Heard::Tick { wall: at(0) }), []);
}

#[test]
fn an_ended_input_holds_nothing_back_and_the_last_end_ends_all() {
    let mut g = generator(0, None, Scope::Source, None, 2);
    assert_eq!(g.arrive(&event(0, 100, 0)), []);
    assert_eq!(
        g.arrive(&Heard::End {
            input: 1,
            at: span(1_000)
        }),
        sent(99)
    );
    assert_eq!(
        g.arrive(&Heard::End {
            input: 0,
            at: span(1_000)
        }),
        [Signal::Watermark(Time::MAX), Signal::End]
    );
}

#[test]
fn the_end_of_one_and_the_silence_of_the_other_promise_nothing() {
    let mut g = generator(0, Some(50), Scope::Source, None, 2);
    g.arrive(&event(0, 100, 0));
    g.arrive(&event(1, 200, 0));
    assert_eq!(
        g.arrive(&Heard::End {
            input: 1,
            at: span(1_000)
        }),
        []
    );
    assert_eq!(g.arrive(&Heard::Look { at: span(60) }), [Signal::Idle(true)]);
}

fn by_clock(every: i64, inputs: usize) -> Generator {
    let settings = Watermark {
        kind: Kind::Arrival,
        every: Some(Every::Time(span(every))),
        ..Watermark::default()
    };
    of(&settings, ValveSettings::default(), inputs)
}
fn tick(wall: i64) -> Heard {
    Heard::Tick { wall: at(wall) }
}

#[test]
fn by_the_engines_clock_all_before_an_event_is_over_and_the_event_is_stamped_now() {
    let mut g = by_clock(10, 2);
    assert_eq!(g.arrive(&event(0, 3, 105)), sent(104));
    assert_eq!(g.stamps(), Some(at(105)));
    assert_eq!(g.arrive(&event(1, 500, 105)), [], "another one at the same instant");
    assert_eq!(g.stamps(), Some(at(105)));
}

#[test]
fn the_engines_clock_goes_on_though_nothing_comes_and_stops_with_the_input() {
    let mut g = by_clock(10, 1);
    assert_eq!(g.arrive(&tick(110)), sent(109));
    assert_eq!(g.arrive(&tick(120)), sent(119));
    let end = Heard::End {
        input: 0,
        at: span(125),
    };
    assert_eq!(g.arrive(&end), [Signal::Watermark(Time::MAX), Signal::End]);
    assert_eq!(g.arrive(&tick(130)), []);
}

#[test]
fn a_clock_that_is_set_back_stands_still_until_it_has_come_up_again() {
    let mut g = by_clock(10, 1);
    assert_eq!(g.arrive(&event(0, 0, 100)), sent(99));
    assert_eq!(g.arrive(&event(0, 0, 40)), []);
    assert_eq!(g.stamps(), Some(at(100)));
    assert_eq!(g.arrive(&tick(90)), []);
    assert_eq!(g.arrive(&event(0, 0, 101)), sent(100));
    assert_eq!(g.stamps(), Some(at(101)));
}

proptest! {
    #[test]
    fn no_event_within_the_disorder_is_ever_behind_the_watermark(
        gaps in proptest::collection::vec((0i64..20, 0i64..=30), 1..60)
    ) {
        let mut g = generator(30, None, Scope::Source, None, 1);
        let (mut now, mut w) = (0, Time::MIN);
        for (gap, late) in gaps {
            now += gap;
            let stamp = now - late;
            prop_assert!(at(stamp) > w);
            for signal in g.arrive(&event(0, stamp, now)) {
                if let Signal::Watermark(next) = signal {
                    prop_assert!(next > w);
                    w = next;
                }
            }
        }
    }
}
