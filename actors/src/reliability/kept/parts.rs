//! What is no operator: watermark generators, the host of an operator, the split and the sub-streams of a convey.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use wavetank_scenarios::numbering::{Moved, Moves, Moving, Progress, Sequence};
use wavetank_scenarios::script::{Convey, ValveSettings, Watermark};
use wavetank_scenarios::{Span, Time, Value};

use super::{at, cut, operator, said, schema};
use crate::element::Element;
use crate::host::{Keeps, Part};
use crate::processing::testing::settings;
use crate::reliability::twin::{Spoil, Staged, Step, Twin, spoils, spoilt, twins};
use crate::roles::{Operating, RIPE};
use crate::scaling::convey::{Router, Split, Worker};
use crate::scaling::watermark::Generator;

/// What links bring to a part, and what happens between: with so many inputs, where few end.
fn played(inputs: usize, also: impl Strategy<Value = Step> + 'static) -> impl Strategy<Value = Vec<Step>> {
    let element = |input: usize, element: Element| Step::Element(input, element);
    let next = prop_oneof![
        12 => (said(inputs), 0u32..6).prop_map(move |(said, after)| {
            // The turn is put in below.
            let mut event = said.event(0, 0);
            event.sequence = Some(Sequence { number: 0, part: 0, last: true, after: u32::from(after == 0) });
            element(said.input, Element::Event(Box::new(event)))
        }),
        4 => (0..inputs, -3i64..12).prop_map(move |(input, behind)| {
            element(input, Element::Watermark(Time::from_micros(-behind)))
        }),
        2 => (0..inputs, any::<bool>()).prop_map(move |(input, idle)| element(input, Element::Idle(idle))),
        4 => (0usize..5).prop_map(Step::Timer),
        4 => (0i64..9).prop_map(Step::Wait),
        2 => (0..inputs).prop_map(move |input| element(input, Element::End)),
        1 => (0..inputs, 0u64..9).prop_map(move |(input, epoch)| element(input, Element::Epoch(epoch))),
        4 => also,
    ];
    prop::collection::vec((0i64..4, next), 0..60).prop_map(|all| {
        let mut now = 0;
        let mut ended = [false; 4];
        let mut steps = Vec::new();
        for (turn, (later, mut step)) in all.into_iter().enumerate() {
            now += later;
            if let Step::Element(input, element) = &mut step {
                // Nothing comes behind the end, but what sub-streams tell.
                if ended[*input] && !matches!(element, Element::Progress(_)) {
                    continue;
                }
                match element {
                    Element::Event(event) => {
                        event.stamp += Span::from_micros(now);
                        event.id.number = turn as u64;
                        if let Some(sequence) = &mut event.sequence {
                            sequence.number = turn as u64;
                        }
                    }
                    Element::Watermark(watermark) => *watermark += Span::from_micros(now),
                    Element::End => ended[*input] = true,
                    _ => {}
                }
            }
            steps.push(step);
        }
        steps
    })
}

fn nothing() -> impl Strategy<Value = Step> {
    Just(Step::Wait(1))
}

/// A part beside its twins, and restored from what was spoilt.
fn kept<T: Twin>(
    make: impl Fn() -> T,
    steps: &[Step],
    cut: usize,
    spoils: &[(usize, Spoil)],
) -> Result<(), TestCaseError> {
    twins(&make, steps, at(cut, steps))?;
    spoilt(&make, steps, at(cut, steps), spoils);
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(json: Json) -> Result<T, TestCaseError> {
    serde_json::from_value(json).map_err(|wrong| TestCaseError::fail(wrong.to_string()))
}

fn valve() -> impl Strategy<Value = Json> {
    let combine = prop::sample::select(vec!["min", "max"]);
    let returns = prop::sample::select(vec!["at-once", "caught-up"]);
    let all_idle = prop::sample::select(vec!["stay", "flush"]);
    (combine, returns, all_idle)
        .prop_map(|(combine, returns, all_idle)| json!({"combine": combine, "returns": returns, "all_idle": all_idle}))
}

fn watermark() -> impl Strategy<Value = Json> {
    let us = |span: std::ops::Range<i64>| span.prop_map(|us| format!("{us}us"));
    let kind = prop_oneof![
        us(0..9).prop_map(|behind| json!({"kind": "bounded", "behind": behind})),
        Just(json!({"kind": "ascending"})),
        us(0..9).prop_map(|behind| json!({"kind": "punctuated", "behind": behind, "when": "v > 3"})),
        (0.1f64..1.0, 1u32..9).prop_map(|(share, over)| json!({"kind": "percentile", "share": share, "over": over})),
        us(0..9).prop_map(|behind| json!({"kind": "forward", "behind": behind})),
    ];
    let every = prop_oneof![
        2 => Just(Json::Null),
        1 => us(1..9).prop_map(|us| json!(us)),
        1 => (1u64..5).prop_map(|events| json!(events)),
    ];
    let align = prop_oneof![
        2 => Just(Json::Null),
        1 => us(0..6).prop_map(|ahead| json!({"ahead": ahead})),
        1 => (us(0..6), us(1..6)).prop_map(|(ahead, every)| json!({"ahead": ahead, "every": every})),
    ];
    (kind, prop::option::of(us(1..12)), any::<bool>(), every, 0u32..3, align).prop_map(
        |(mut settings, idle, source, every, back, align)| {
            settings["scope"] = json!(if source { "source" } else { "input" });
            settings["back"] = json!(back);
            for (key, value) in [("idle", json!(idle)), ("every", every), ("align", align)] {
                // Only inputs that are looked at one by one can be told apart.
                if !value.is_null() && (source || key != "align") {
                    settings[key] = value;
                }
            }
            settings
        },
    )
}

fn moving() -> impl Strategy<Value = Moving> {
    (1u32..4, 0u32..3, 0u32..3, 0u64..9, 0.0f64..1.0).prop_map(|(id, from, to, cut, share)| Moving {
        id,
        from,
        to,
        cut,
        keys: Moves::Share(share, cut),
    })
}

fn told() -> impl Strategy<Value = Step> {
    let progress = prop_oneof![
        2 => (0u64..60).prop_map(Progress::Given),
        2 => (0u64..60).prop_map(Progress::Done),
        1 => moving().prop_map(|moving| Progress::Give(Arc::new(moving))),
        2 => moving().prop_map(|moving| {
            Progress::State(Arc::new(Moved { moving: Arc::new(moving), state: vec![] }))
        }),
    ];
    (0usize..2, progress).prop_map(|(input, progress)| Step::Element(input, Element::Progress(progress)))
}

fn convey() -> impl Strategy<Value = Json> {
    let by = prop_oneof![
        Just(json!({"key": ["k"]})),
        Just(json!({"ring": {"key": ["k"], "points": 4}})),
        Just(json!("load")),
        Just(json!("round-robin")),
    ];
    let gaps = prop::sample::select(vec!["processed", "end-of-sequence", "skip"]);
    (by, gaps, 1u32..6, any::<bool>(), any::<bool>()).prop_map(|(by, gaps, events, hot, moves)| {
        let mut settings = json!({"streams": 3, "by": by, "gaps": gaps, "events": events, "every": "5us"});
        if settings["by"].is_object() && hot {
            settings["hot"] = json!({"share": 0.4, "events": 4});
        }
        if settings["by"].is_object() && moves {
            settings["move"] = json!([
                {"at": "3us", "from": 0, "to": 1, "share": 0.5}, {"at": "9us", "from": 1, "to": 2, "keys": [["a"]]},
                {"at": "9us", "from": 2, "to": 0, "share": 0.2},
            ]);
        }
        settings
    })
}

const JOIN: &str =
    "select x.v as a, y.v as b from x full join y on y.k = x.k and y.v <> x.v within (6us before, 6us after)";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_a_generator_has_heard_is_kept(
        of in watermark(), valve in valve(), holds in any::<bool>(), steps in played(3, nothing()), cut in cut(),
        spoils in spoils(),
    ) {
        let (of, valve): (Watermark, ValveSettings) = (read(of)?, read(valve)?);
        let fields = schema();
        let make = || {
            let generator = Generator::new(of.clone(), valve, Span::UNIT, 3, &[&fields; 3], &["x"]);
            Staged::new(generator.expect("settings").holding(holds))
        };
        kept(make, &steps, cut, &spoils)?;
    }

    #[test]
    fn the_books_of_an_operator_are_kept(
        valve in valve(), [reorder, stop, flush] in any::<[bool; 3]>(), steps in played(2, nothing()), cut in cut(), spoils in spoils(),
    ) {
        let mut keys = if reorder {
            json!({"reorder": {"k_slack": {"samples": 5}, "timeout": "9us"}, "late": "side"})
        } else {
            json!({"query": JOIN, "future": {"refuse": "90us"}, "late": "side"})
        };
        keys["valve"] = valve;
        keys["flush_at_end"] = json!(flush);
        keys["on_error"] = json!(if stop { "stop" } else { "side" });
        let set = settings(keys.clone());
        let make = || {
            let inputs: &[&str] = if reorder { &["x"] } else { &["x", "y"] };
            Staged::new(Operating::new(operator(keys.clone(), inputs).expect("settings"), 2, &set, 5))
        };
        kept(make, &steps, cut, &spoils)?;
    }

    #[test]
    fn what_waits_for_the_clock_before_an_operator_is_kept(
        reorder in any::<bool>(), valve in valve(), steps in played(2, nothing()), cut in cut(), spoils in spoils(),
    ) {
        let (mut keys, inputs): (_, &[&str]) = if reorder {
            (json!({"reorder": {"until": "watermark"}}), &["x"])
        } else {
            (json!({"query": JOIN}), &["x", "y"])
        };
        keys["future"] = json!("hold");
        keys["valve"] = valve;
        keys["input"] = json!(["x", "y"]);
        let set = settings(keys.clone());
        let make = || {
            let operating = Operating::new(operator(keys.clone(), inputs).expect("settings"), 2, &set, 5);
            Staged::new(operating.holding(&set, Span::UNIT))
        };
        kept(make, &steps, cut, &spoils)?;
    }

    #[test]
    fn how_far_a_split_has_come_is_kept(
        of in convey(), steps in played(1, told()), cut in cut(), spoils in spoils(),
    ) {
        let of: Convey = read(of)?;
        let fields = schema();
        let make = || {
            let router = Router::new(&of, &fields, &["x"]).expect("settings");
            Staged::new(Split::new(of.clone(), router, 1, 0, Time::ZERO))
        };
        kept(make, &steps, cut, &spoils)?;
    }

    #[test]
    fn what_waits_at_a_sub_stream_is_kept(
        of in convey(), steps in played(1, told()), cut in cut(), spoils in spoils(),
    ) {
        let of: Convey = read(of)?;
        let keys = json!({"reorder": {"until": "watermark"}});
        let make = || {
            let operator = operator(keys.clone(), &["x"]).expect("settings");
            let operating = Operating::new(operator, 1, &settings(keys.clone()), 0);
            Staged::new(Worker::new(operating, &of, Some(vec![0]), Span::UNIT))
        };
        kept(make, &steps, cut, &spoils)?;
    }
}

#[test]
fn a_generator_that_comes_back_holds_the_inputs_that_it_held() {
    let settings: Watermark = serde_json::from_value(json!({"align": {"ahead": "2us"}})).expect("settings");
    let make = || {
        let fields = schema();
        let generator = Generator::new(
            settings.clone(),
            ValveSettings::default(),
            Span::UNIT,
            2,
            &[&fields; 2],
            &["x"],
        );
        Staged::new(generator.expect("settings"))
    };
    let event = |number: u64, stamp: i64| {
        let row = [Value::Null, Value::Null, Value::Null].into();
        Element::Event(Box::new(crate::processing::testing::event(number, stamp, row)))
    };
    let mut before = make();
    before.enter();
    before.take(0, event(0, 1), Time::ZERO);
    before.take(1, event(0, 9), Time::ZERO);
    let mut behind = make();
    behind
        .restored(&before.saved())
        .expect("it is the state of such a generator");
    assert_eq!(behind.resumed(), "[(0, ActorId(7), Hold { input: 1, hold: true })]");
}

/// What a part that waits for the clock does again when it comes back.
fn resumes<P: Part + Keeps>(make: impl Fn() -> P, stamps: &[i64]) -> String {
    let mut before = Staged::new(make());
    before.enter();
    for (number, stamp) in stamps.iter().enumerate() {
        let row = [Value::Null, Value::Null, Value::Null].into();
        let event = crate::processing::testing::event(number as u64, *stamp, row);
        before.take(0, Element::Event(Box::new(event)), Time::ZERO);
    }
    let mut behind = Staged::new(make());
    let restored = behind.restored(&before.saved());
    restored.expect("it is the state of such a part");
    behind.resumed()
}

#[test]
fn who_waits_for_the_clock_sets_all_alarms_again_that_were_set() {
    let keys = json!({"filter": "v > 0", "future": "hold"});
    let set = settings(keys.clone());
    let operating = || {
        let operator = operator(keys.clone(), &["x"]).expect("settings");
        Operating::new(operator, 1, &set, 0).holding(&set, Span::UNIT)
    };
    let generator = || {
        let (fields, valve) = (schema(), ValveSettings::default());
        let made = Generator::new(Watermark::default(), valve, Span::UNIT, 1, &[&fields], &["x"]);
        made.expect("settings").holding(true)
    };
    let alarm = |at: i64| {
        let due = Time::from_micros(at);
        format!("(0, ActorId(7), Timer {{ due: {due:?}, token: {RIPE}, class: Timer }})")
    };
    // The second is behind the first, whose alarm comes in time for it.
    let expected = format!("[{}, {}]", alarm(4), alarm(9));
    assert_eq!(resumes(operating, &[9, 20, 4]), expected);
    assert_eq!(resumes(generator, &[9, 20, 4]), expected);
    assert_eq!(resumes(operating, &[-3, 0]), "[]", "what is not ahead does not wait");
}
