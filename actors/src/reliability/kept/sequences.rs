//! Sequences.

use proptest::prelude::*;
use serde_json::json;

use super::{cut, kept, steps};
use crate::reliability::twin::spoils;

const PATTERNS: [&str; 14] = [
    "a -> b -> c",
    "a b c",
    "a => b -> c",
    "a -> b+ every -> c",
    "a -> b{1,3} reluctant -> c",
    "a -> b* greedy until d -> c",
    "a -> (b | c){1,3} combinations -> d",
    "all(a, b, c) -> d",
    "a -> not c -> b",
    "a -> b -> not c for 5us",
    "not d for 6us -> a -> b",
    "not d for 4us -> a -> not c for 3us -> b",
    "(a -> b){2} -> c",
    "(a | b) -> c? -> d",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn beginnings_of_matches_are_kept(
        pattern in 0..PATTERNS.len(), after in 0usize..5, restart in 0usize..4, condition in 0usize..4,
        flags in any::<[bool; 8]>(), within in 3i64..25, steps in steps(2), cut in cut(), spoils in spoils(),
    ) {
        let takes_b = !matches!(PATTERNS[pattern], "a -> b* greedy until d -> c");
        let after = match after {
            0 => json!("past-last"),
            1 => json!("to-next"),
            2 if takes_b => json!({"to-first": "b"}),
            3 if takes_b => json!({"to-last": "b"}),
            _ => json!("keep-all"),
        };
        let by_key = json!({"a": "k = 'a'", "b": "k = 'b'", "c": "k = 'c'", "d": "k = 'd'"});
        let by_value = json!({"a": "v > 3", "b": "v >= coalesce(a.v, 0)", "c": "v > prev(v)", "d": "v = 0"});
        let both = json!({"a": "k in ('a', 'b')", "b": "sum(b.v) < 14", "c": "v > 2", "d": "k = 'd'"});
        let (conditions, by) = match condition {
            0 => (by_key, json!([])),
            1 => (by_value, json!(["k"])),
            2 => (both, json!([])),
            _ => (by_key, json!(["v"])),
        };
        let steps_of = wavetank_scenarios::sequence::parse_pattern(PATTERNS[pattern]).map(|p| p.tree.steps());
        let steps_of = steps_of.map_err(|e| TestCaseError::fail(format!("{e}")))?;
        let mut conditions = conditions;
        if let Some(all) = conditions.as_object_mut() {
            all.retain(|step, _| steps_of.iter().any(|s| s == step));
        }
        let settings = json!({
            "sequence": {
                "pattern": PATTERNS[pattern], "by": by, "where": conditions, "within": format!("{within}us"),
                "within_includes_end": flags[0], "absence_includes_end": flags[1], "all_may_share": flags[2],
                "timeouts": flags[3], "within_since": if flags[4] { "previous" } else { "first" },
                "precedence": if flags[5] { "start" } else { "complete" },
                "order": if flags[6] { "arrival" } else { "event-time" },
                "after": after,
                "restart": (["always", "once", "on-complete", "on-complete-or-fail"])[restart],
                "select": {"all": "collect(n)", "share": "first(v) / last(v)"},
            },
            "late": "side", "flush_at_end": flags[7],
        });
        kept(&settings, &["x", "y"], &steps, cut, &spoils)?;
    }
}
