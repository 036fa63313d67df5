use super::*;
use crate::query::parse_query;
use crate::script::AfterMatch;

fn tree(text: &str) -> Tree {
    parse_pattern(text).unwrap().tree
}

#[test]
fn an_arrow_is_relaxed_a_double_arrow_skips_and_nothing_is_strict() {
    let Tree::Parts(parts) = tree("a -> b => c d, e") else {
        panic!("a sequence")
    };
    let edges: Vec<Contiguity> = parts
        .iter()
        .map(|part| match part {
            Part::Take(edge, _) => *edge,
            Part::Not(_) => panic!("no absence"),
        })
        .collect();
    use Contiguity::{Any, Relaxed, Strict};
    assert_eq!(edges, [Strict, Relaxed, Any, Strict, Strict]);
}

#[test]
fn loops_say_how_often_and_what_lies_inside() {
    let Tree::Repeat(repeat) = tree("b{2,5} every combinations until stop") else {
        panic!("a loop")
    };
    assert_eq!((repeat.min, repeat.max, repeat.mode), (2, Some(5), Some(Loop::Every)));
    assert_eq!(
        (repeat.inside, repeat.until.as_deref()),
        (Some(Contiguity::Any), Some("stop"))
    );
    let Tree::Repeat(repeat) = tree("b*?") else {
        panic!("a loop")
    };
    assert_eq!((repeat.min, repeat.max, repeat.mode), (0, None, Some(Loop::Reluctant)));
}

#[test]
fn an_absence_may_last_or_stand_before_the_very_next_event() {
    let Tree::Parts(parts) = tree("a -> not b for 10s -> c not d => e") else {
        panic!("a sequence")
    };
    let Part::Not(first) = &parts[1] else {
        panic!("an absence")
    };
    assert_eq!((first.lasts, first.next), (Some(Span::from_secs(10)), false));
    let Part::Not(second) = &parts[3] else {
        panic!("an absence")
    };
    assert_eq!((second.lasts, second.next), (None, true));
}

#[test]
fn single_steps_joined_by_a_bar_are_one_step_with_several_names() {
    assert_eq!(tree("(a | b)"), Tree::OneOf(vec!["a".into(), "b".into()]));
    assert!(matches!(tree("a b | c"), Tree::Either(_)));
}

#[test]
fn what_cannot_be_read_is_named_at_its_place() {
    let error = |text: &str| parse_pattern(text).unwrap_err().to_string();
    assert_eq!(
        error("a ~> b"),
        "line 1, column 3: `~` means nothing in a pattern; between steps stands `->` (the next that fits), `=>` (any \
         later one) or nothing (the very next)"
    );
    assert_eq!(
        error("a -> "),
        "line 1, column 5: the name of a step is missing before the end"
    );
    assert_eq!(
        error("a{5,2}"),
        "line 1, column 2: a step repeats from the first to the second number of times: {2,5}"
    );
    assert!(
        error("a{,} b").starts_with("line 1, column 4: how often?"),
        "{}",
        error("a{,} b")
    );
    assert_eq!(
        error("a -> until"),
        "line 1, column 6: `until` is a word of the language; give the step another name"
    );
    assert_eq!(
        error("a greedy"),
        "line 1, column 3: only what repeats can be told how: write b+ or b{2,5} before it"
    );
    assert!(error("a -> not b for 10").contains("how long?"));
    assert!(error(&"(".repeat(100)).contains("nested deeper"));
}

#[test]
fn the_standard_s_clauses_are_read_into_the_same_tree() {
    let query = parse_query(
        "select * from trades match_recognize (
           partition by symbol order by event_time
           measures first(a.price) as low, last(b.price, 1) as high
           one row per match after match skip to last b
           pattern (a b+? c) within interval '10' minute
           define b as price > prev(price), c as c.price < last(b.price))",
    )
    .unwrap();
    let sequence = query.matching.unwrap();
    assert_eq!(sequence.pattern.tree.steps(), ["a", "b", "c"]);
    assert_eq!(
        (sequence.by, sequence.after),
        (vec!["symbol".to_owned()], AfterMatch::ToLast("b".into()))
    );
    assert_eq!(sequence.within, Some(Span::from_secs(600)));
    assert_eq!(sequence.select.keys().collect::<Vec<_>>(), ["symbol", "low", "high"]);
    assert_eq!(sequence.select["high"].expr.to_string(), "prev(b.price, 1)");
    assert_eq!(sequence.conditions["c"].text, "c.price < last(b.price)");
}

#[test]
fn an_error_in_a_clause_of_the_standard_has_its_place_in_the_query() {
    let error = |text: &str| parse_query(text).unwrap_err().to_string();
    let wrong = error("select * from s match_recognize (\n pattern (a b)\n define x as v > 1)");
    assert_eq!(wrong, "line 3, column 9: `x` is no step of the pattern");
    assert!(error("select * from s match_recognize (patern (a b))").contains("did you mean `pattern`?"));
    assert!(error("select * from s match_recognize (define a as v > 1)").contains("the pattern is missing"));
    assert!(error("select v from s match_recognize (pattern (a b))").contains("stands only `select * from"));
    assert!(error("select * from s match_recognize (all rows per match pattern (a b))").contains("not known"));
    assert!(error("select * from s match_recognize (order by v pattern (a b))").contains("event-time order"));
}
