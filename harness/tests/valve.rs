//! The combined watermark of several inputs under Flink's settings: the cases that the Flink project publishes for its
//! valve (`StatusWatermarkValveTest` on its main branch, which holds more than release 2.3.0 does), as facts; and, over any
//! settings and inputs, the valve that runs against the judge's.

use proptest::prelude::*;
use wavetank_actors::scaling::watermark::Valve;
use wavetank_oracle::watermark::{Minimum, Signal};
use wavetank_scenarios::Time;
use wavetank_scenarios::script::{AllIdle, Combine, Returns, ValveSettings};

/// Name, inputs, and in order what an input says (`0:25`, `0:idle`, `0:active`) with what must follow.
type Case = (&'static str, usize, &'static [(&'static str, &'static str)]);

const FLINK: &[Case] = &[
    ("one input goes up", 1, &[("0:0", "0"), ("0:25", "25")]),
    (
        "one input steps back",
        1,
        &[("0:25", "25"), ("0:18", ""), ("0:42", "42")],
    ),
    (
        "one input is idle and active",
        1,
        &[
            ("0:active", ""),
            ("0:idle", "idle"),
            ("0:idle", ""),
            ("0:active", "active"),
        ],
    ),
    (
        "what an idle input says is ignored",
        1,
        &[
            ("0:25", "25"),
            ("0:idle", "idle"),
            ("0:50", ""),
            ("0:active", "active"),
            ("0:50", "50"),
        ],
    ),
    ("all inputs are needed", 3, &[("0:0", ""), ("1:0", ""), ("2:0", "0")]),
    (
        "several inputs go up",
        3,
        &[
            ("0:0", ""),
            ("1:0", ""),
            ("2:0", "0"),
            ("0:12", ""),
            ("2:8", ""),
            ("2:10", ""),
            ("1:15", "10"),
            ("2:17", "12"),
            ("0:20", "15"),
        ],
    ),
    (
        "several inputs step back",
        3,
        &[
            ("0:25", ""),
            ("1:10", ""),
            ("2:17", "10"),
            ("0:12", ""),
            ("1:8", ""),
            ("2:15", ""),
        ],
    ),
    (
        "all are idle before it is said, and one active input takes it back",
        2,
        &[
            ("0:active", ""),
            ("1:active", ""),
            ("1:idle", ""),
            ("0:idle", "idle"),
            ("0:idle", ""),
            ("1:idle", ""),
            ("1:active", "active"),
            ("0:active", ""),
        ],
    ),
    (
        "an idle input holds nothing back",
        3,
        &[
            ("0:15", ""),
            ("1:10", ""),
            ("2:idle", "10"),
            ("1:18", "15"),
            ("0:20", "18"),
        ],
    ),
    (
        "inputs fall idle one by one",
        3,
        &[
            ("0:25", ""),
            ("1:10", ""),
            ("2:17", "10"),
            ("1:idle", "17"),
            ("2:idle", "25"),
        ],
    ),
    (
        "when all are idle the largest goes out",
        3,
        &[
            ("0:10", ""),
            ("1:5", ""),
            ("2:3", "3"),
            ("0:idle", ""),
            ("1:idle", ""),
            ("2:idle", "10 idle"),
        ],
    ),
    (
        "also when the last to fall idle had not caught up",
        3,
        &[
            ("0:100", ""),
            ("1:50", ""),
            ("2:70", "50"),
            ("1:idle", "70"),
            ("1:active", ""),
            ("1:60", ""),
            ("0:idle", ""),
            ("2:idle", ""),
            ("1:idle", "100 idle"),
        ],
    ),
    (
        "an input that returns must catch up before it counts",
        3,
        &[
            ("0:10", ""),
            ("1:7", ""),
            ("2:3", "3"),
            ("2:idle", "7"),
            ("2:active", ""),
            ("2:5", ""),
            ("2:9", ""),
            ("1:12", "9"),
        ],
    ),
    (
        "nothing follows while nobody active has caught up",
        3,
        &[
            ("0:10", ""),
            ("1:7", ""),
            ("2:idle", "7"),
            ("2:active", ""),
            ("0:idle", ""),
            ("1:idle", ""),
        ],
    ),
    (
        "one that has not caught up falls idle again",
        2,
        &[
            ("0:7", ""),
            ("1:10", "7"),
            ("0:idle", "10"),
            ("0:active", ""),
            ("0:9", ""),
            ("0:idle", ""),
        ],
    ),
    (
        "one that returns ahead of what was sent counts at once",
        3,
        &[
            ("0:10", ""),
            ("1:7", ""),
            ("2:idle", "7"),
            ("2:active", ""),
            ("0:idle", ""),
            ("1:idle", ""),
            ("0:active", "10"),
            ("2:idle", ""),
        ],
    ),
    (
        "and what it brought is not sent again",
        3,
        &[
            ("0:10", ""),
            ("1:20", ""),
            ("2:30", "10"),
            ("2:idle", ""),
            ("0:idle", "20"),
            ("0:active", ""),
            ("1:idle", ""),
            ("2:active", "30"),
            ("0:idle", ""),
            ("2:idle", "idle"),
        ],
    ),
];

/// What Flink has.
const AS_FLINK: ValveSettings = ValveSettings {
    combine: Combine::Min,
    returns: Returns::CaughtUp,
    all_idle: AllIdle::Flush,
};

/// What the valve that runs sends because of a signal, in the order in which its host sends it.
fn runs(valve: &mut Valve, input: usize, signal: Signal) -> Vec<Signal> {
    match signal {
        Signal::Watermark(watermark) => valve.watermark(input, watermark),
        Signal::Idle(idle) => valve.idle(input, idle),
        Signal::End => valve.end(input),
        Signal::Hold(..) | Signal::Epoch(_) | Signal::Barrier(_) => {}
    }
    let turned = valve.turned();
    let mut sent = Vec::new();
    sent.extend((turned == Some(false)).then_some(Signal::Idle(false)));
    sent.extend(valve.grown().map(Signal::Watermark));
    sent.extend((turned == Some(true)).then_some(Signal::Idle(true)));
    sent.extend(valve.ended().then_some(Signal::End));
    sent
}

fn read(word: &str) -> Signal {
    match word {
        "idle" => Signal::Idle(true),
        "active" => Signal::Idle(false),
        number => Signal::Watermark(Time::from_micros(number.parse().expect("a number"))),
    }
}

#[test]
fn flinks_published_cases_hold_for_the_valve_and_for_the_judge() {
    for (name, inputs, steps) in FLINK {
        let mut valve = Valve::new(*inputs, AS_FLINK);
        let mut judge = Minimum::new(*inputs, AS_FLINK);
        for (step, (said, due)) in steps.iter().enumerate() {
            let (input, word) = said.split_once(':').expect("input:what");
            let input: usize = input.parse().expect("an input");
            let due: Vec<Signal> = due.split_whitespace().map(read).collect();
            assert_eq!(
                runs(&mut valve, input, read(word)),
                due,
                "{name}, step {step}: the valve"
            );
            judge.arrive(input, read(word));
            assert_eq!(judge.say(Time::MAX, true), due, "{name}, step {step}: the judge");
        }
    }
}

proptest! {
    #[test]
    fn the_valve_does_what_the_judge_says_under_any_settings(
        inputs in 1usize..5,
        (max, caught_up, flush) in any::<(bool, bool, bool)>(),
        steps in prop::collection::vec((0usize..5, 0i64..45), 0..120)
    ) {
        let settings = ValveSettings {
            combine: if max { Combine::Max } else { Combine::Min },
            returns: if caught_up { Returns::CaughtUp } else { Returns::AtOnce },
            all_idle: if flush { AllIdle::Flush } else { AllIdle::Stay },
        };
        let mut valve = Valve::new(inputs, settings);
        let mut judge = Minimum::new(inputs, settings);
        let mut last = Time::MIN;
        let mut ended = vec![false; inputs];
        for (input, what) in steps {
            let input = input % inputs;
            if ended[input] {
                continue;
            }
            let signal = match what {
                0 => { ended[input] = true; Signal::End }
                1..=5 => Signal::Idle(true),
                6..=10 => Signal::Idle(false),
                at => Signal::Watermark(Time::from_micros(at)),
            };
            let came = runs(&mut valve, input, signal);
            judge.arrive(input, signal);
            prop_assert_eq!(&came, &judge.say(Time::MAX, true));
            for signal in came {
                if let Signal::Watermark(watermark) = signal {
                    prop_assert!(watermark > last, "it steps back");
                    last = watermark;
                }
            }
        }
    }
}
