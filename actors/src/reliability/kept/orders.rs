//! Reordering buffers, and the merge of a convey.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use wavetank_scenarios::Span;
use wavetank_scenarios::numbering::Sequence;

use super::{at, cut, kept, progress, said, steps};
use crate::element::Element;
use crate::operator::Operator;
use crate::reliability::twin::{Step, spoils, spoilt, twins};
use crate::scaling::convey::Merge;

fn reorder() -> impl Strategy<Value = Json> {
    let us = |span: std::ops::Range<i64>| span.prop_map(|us| format!("{us}us"));
    let aq = (0.01f64..0.5, 1u64..9, 1u64..20, 0usize..3).prop_map(|(error, every, samples, aggregate)| {
        let aggregate = ["count", "sum", "avg"][aggregate];
        let mut aq = json!({
            "error": error, "every": every, "samples": samples, "aggregate": aggregate, "window": "20us",
            "proportional": 0.7, "derivative": 0.3,
        });
        if aggregate != "count" {
            aq["value"] = json!("v");
        }
        json!({"aq_k_slack": aq})
    });
    let scoped = prop_oneof![
        1 => us(0..20).prop_map(|slack| json!({"slack": slack})),
        1 => (1u64..8, prop::option::of(us(0..30))).prop_map(|(n, k)| json!({"k_slack": {"samples": n, "max_k": k}})),
        1 => prop::option::of(us(0..30)).prop_map(|max_k| json!({"mp_k_slack": {"max_k": max_k}})),
        2 => aq,
    ];
    let scoped = (scoped, any::<bool>()).prop_map(|(mut reorder, source)| {
        reorder["scope"] = json!(if source { "source" } else { "input" });
        reorder
    });
    let other = prop_oneof![
        1 => Just(json!({"until": "watermark"})),
        1 => prop::option::of(us(0..30)).prop_map(|max_k| json!({"siddhi_k_slack": {"max_k": max_k, "every": "20us"}})),
        2 => (prop::option::of(us(1..60)), 1u64..6, us(5..60)).prop_map(|(max_k, batch, window)| {
            json!({"siddhi_ak_slack": {"value": "v", "max_k": max_k, "batch": batch, "window": window}})
        }),
        3 => (any::<[bool; 2]>(), 0u64..4, 0u64..3).prop_map(|([field, mark], remember, first)| {
            let mut number = json!({"mark_gaps": mark, "remember": remember, "first": first, "end": "v = 6"});
            if field {
                number["field"] = json!("n");
                number["by"] = json!(["k"]);
            }
            json!({"number": number})
        }),
    ];
    (prop_oneof![scoped, other], prop::option::of(us(1..40))).prop_map(|(mut reorder, timeout)| {
        if let Some(timeout) = timeout {
            reorder["timeout"] = json!(timeout);
        }
        reorder
    })
}

/// Numbers that a merge may get from three sub-streams, each with some of several parts, and what they tell.
fn numbered() -> impl Strategy<Value = Vec<Step>> {
    let event = (said(3), 0u64..16, 0u32..3, any::<bool>());
    let one = prop_oneof![
        6 => event.prop_map(|(said, number, part, last)| {
            let mut event = said.event(number, number as i64 * 3);
            event.sequence = Some(Sequence { number, part, last, after: 0 });
            Step::Element(said.input, Element::Event(Box::new(event)))
        }),
        3 => (0usize..3, progress()).prop_map(|(input, progress)| Step::Element(input, Element::Progress(progress))),
        1 => (0usize..4).prop_map(Step::Timer),
    ];
    prop::collection::vec(one, 0..50)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_waits_for_its_turn_is_kept(
        reorder in reorder(), late in 0usize..3, steps in steps(3), cut in cut(), spoils in spoils(),
    ) {
        let settings = json!({"reorder": reorder, "late": (["drop", "side", "emit"])[late]});
        kept(&settings, &["x", "y", "z"], &steps, cut, &spoils)?;
    }

    #[test]
    fn numbers_that_wait_for_smaller_ones_are_kept(
        steps in numbered(), timeout in prop::option::of(1i64..40), (arrival, again) in any::<(bool, bool)>(), cut in cut(),
        spoils in spoils(),
    ) {
        let settings = json!({
            "by": "round-robin", "streams": 3, "merge": if arrival { "arrival" } else { "number" },
            "timeout": timeout.map(|us| format!("{us}us")),
        });
        let settings = serde_json::from_value(settings).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let make = || Box::new(Merge::new(&settings, true, Span::UNIT, again)) as Box<dyn Operator>;
        twins(make, &steps, at(cut, &steps))?;
        spoilt(make, &steps, at(cut, &steps), &spoils);
    }
}
