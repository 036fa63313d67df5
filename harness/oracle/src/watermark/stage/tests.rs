use super::*;

fn at(micros: i64) -> Time {
    Time::from_micros(micros)
}

/// What a stage passes on because of a signal.
fn tell(minimum: &mut Minimum, input: usize, signal: Signal) -> Vec<Signal> {
    minimum.arrive(input, signal);
    minimum.say(Time::MAX, true)
}

#[test]
fn the_minimum_waits_for_all_and_leaves_the_idle_out() {
    let mut m = Minimum::new(2, ValveSettings::default());
    let w = |t| Signal::Watermark(at(t));
    assert_eq!(tell(&mut m, 0, w(10)), []);
    assert_eq!(tell(&mut m, 1, w(5)), [w(5)]);
    assert_eq!(tell(&mut m, 1, w(4)), [], "a step back is ignored");
    assert_eq!(tell(&mut m, 1, Signal::Idle(true)), [w(10)]);
    assert_eq!(tell(&mut m, 0, w(20)), [w(20)]);
    assert_eq!(tell(&mut m, 1, w(30)), [], "what an idle input says is ignored");
    assert_eq!(tell(&mut m, 1, Signal::Idle(false)), []);
    assert_eq!(tell(&mut m, 0, w(25)), [], "it lags, and holds the other back");
    assert_eq!(tell(&mut m, 1, w(40)), [w(25)]);
    assert_eq!(tell(&mut m, 0, w(50)), [w(40)]);
}

#[test]
fn the_minimum_says_when_all_are_idle_and_when_all_have_ended() {
    let mut m = Minimum::new(2, ValveSettings::default());
    let w = |t| Signal::Watermark(at(t));
    tell(&mut m, 0, w(10));
    tell(&mut m, 1, w(12));
    assert_eq!(tell(&mut m, 0, Signal::Idle(true)), [w(12)]);
    assert_eq!(tell(&mut m, 1, Signal::Idle(true)), [Signal::Idle(true)]);
    assert_eq!(tell(&mut m, 1, Signal::Idle(false)), [Signal::Idle(false)]);
    assert_eq!(
        tell(&mut m, 1, Signal::End),
        [Signal::Idle(true)],
        "the other may still speak"
    );
    assert_eq!(
        tell(&mut m, 0, Signal::End),
        [Signal::Idle(false), Signal::Watermark(Time::MAX), Signal::End]
    );
}

#[test]
fn a_watermark_that_may_not_pass_yet_follows_when_the_stage_lets_it() {
    let mut m = Minimum::new(1, ValveSettings::default());
    assert_eq!(m.arrive(0, Signal::Watermark(at(10))), Some(at(10)));
    assert_eq!(m.say(at(4), true), [Signal::Watermark(at(4))]);
    assert_eq!(m.say(at(4), false), []);
    assert_eq!(m.say(Time::MAX, false), [Signal::Watermark(at(10))]);
}
