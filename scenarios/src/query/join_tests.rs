use super::join::{Anchor, JoinBound, JoinKind, Limit};
use super::{Query, Window, parse_query};
use crate::time::Span;

fn query(text: &str) -> Query {
    match parse_query(text) {
        Ok(query) => query,
        Err(e) => panic!("{text}: {e}"),
    }
}
fn bound(clause: &str) -> JoinBound {
    query(&format!("select a.x from a join b on a.k = b.k {clause}")).joins[0]
        .bound
        .clone()
}
fn error(clause: &str) -> String {
    let text = format!("select a.x from a {clause}");
    parse_query(&text).expect_err(&text).to_string()
}
fn limit(micros: i64, inclusive: Option<bool>) -> Limit {
    Limit {
        span: Span::from_micros(micros),
        inclusive,
    }
}

#[test]
fn a_chain_of_joins_is_read_with_kinds_names_and_conditions() {
    let q = query(
        "select o.id, p.method from orders o left outer join payments as p on p.id = o.id and p.method = 'card' \
         within (5 min) full join \"parcels\" on parcels.id = o.id within (1 hour after) of o where o.id > 3",
    );
    let kinds: Vec<JoinKind> = q.joins.iter().map(|join| join.kind).collect();
    assert_eq!(kinds, [JoinKind::Left, JoinKind::Full]);
    assert_eq!(q.joins[0].on.len(), 2);
    assert_eq!(
        (q.stream_called("P"), q.stream_called("payments"), q.stream_called("x")),
        (Some(1), Some(1), None)
    );
    let anchored = matches!(
        q.joins[1].bound,
        JoinBound::Interval {
            anchor: Anchor::Stream(0),
            ..
        }
    );
    assert!(anchored, "{:?}", q.joins[1].bound);
    assert!(q.filter.is_some() && !q.aggregates());
}

#[test]
fn a_distance_is_the_same_however_it_is_written() {
    let within = JoinBound::Interval {
        anchor: Anchor::Left,
        lower: limit(-5, None),
        upper: limit(7, None),
    };
    assert_eq!(bound("within (5 us before, 7 us after)"), within);
    let said = |lower, upper| JoinBound::Interval {
        anchor: Anchor::Stream(0),
        lower,
        upper,
    };
    for clause in [
        "and event_time(b) between event_time(a) - interval '5us' and event_time(a) + interval '7us'",
        "and event_time(a) between event_time(b) - interval '7us' and event_time(b) + interval '5us'",
        "and event_time(b) - event_time(a) <= interval '7us' and event_time(a) - interval '5us' <= event_time(b)",
        "and -interval '5us' <= event_time(b) - event_time(a) and event_time(b) <= event_time(a) + interval '7us'",
    ] {
        assert_eq!(
            bound(clause),
            said(limit(-5, Some(true)), limit(7, Some(true))),
            "{clause}"
        );
    }
    let open = "and event_time(b) > event_time(a) and event_time(b) < event_time(a) + interval '7us'";
    assert_eq!(bound(open), said(limit(0, Some(false)), limit(7, Some(false))));
    let same = said(limit(0, Some(true)), limit(0, Some(true)));
    assert_eq!(bound("and event_time(b) = event_time(a)"), same);
}

#[test]
fn a_window_stands_behind_the_last_condition_or_each_stream_has_its_own() {
    let q = query("select a.x from a join b on a.k = b.k join c on a.k = c.k window hop(10 sec, 5 sec)");
    assert!(matches!(q.window, Some(Window::Hop { .. })));
    assert!(q.joins.iter().all(|join| join.bound == JoinBound::Window));
    let own = query("select a.x from a window length(3) full join b window length(1) on a.k = b.k");
    assert_eq!(own.joins[0].bound, JoinBound::Last { left: 3, right: 1 });
    let time = query("select a.x from a window time(10 us) join b window time(4 us) on a.k = b.k");
    let both = JoinBound::Interval {
        anchor: Anchor::Left,
        lower: limit(-4, Some(false)),
        upper: limit(10, Some(false)),
    };
    assert_eq!(time.joins[0].bound, both);
}

#[test]
fn a_table_join_names_the_time_at_which_it_looks() {
    let q = query(
        "select a.x from a left join rates for system_time as of event_time(a) r on r.k = a.k within (1 hour before)",
    );
    assert_eq!(q.joins[0].alias.as_deref(), Some("r"));
    let JoinBound::Version { anchor, max_age } = &q.joins[0].bound else {
        panic!("{:?}", q.joins[0].bound);
    };
    assert_eq!(
        (*anchor, max_age.map(|age| age.span)),
        (Anchor::Stream(0), Some(Span::from_secs(3600)))
    );
}

#[test]
fn what_cannot_be_joined_says_what_was_probably_meant() {
    for (clause, words) in [
        ("join b on a.k = b.k", "no bound in time"),
        (
            "join b on a.k = b.k and event_time(b) >= event_time(a)",
            "no upper bound",
        ),
        (
            "join b on a.k = b.k within (1 min) window tumbling(1 min)",
            "here are both",
        ),
        (
            "join b on a.k = b.k and event_time(b) >= event_time(a) within (1 min)",
            "keep one of them",
        ),
        ("join b on a.k = b.k within ()", "how far apart?"),
        (
            "join b on a.k = b.k within (1 min before, 2 min before)",
            "one span before and one after",
        ),
        (
            "join a on a.k = a.k within (1 min)",
            "two streams of this join are called `a`",
        ),
        ("cross join b", "this join is not known"),
        ("left b on a.k = b.k", "`join` is missing"),
        ("left", "or `as left` if it is another name"),
        ("lef join b on a.k = b.k within (1 min)", "did you mean `left`?"),
        ("join b withn (1 min) on a.k = b.k", "`withn` is not expected"),
        ("join b windo tumbling(1 min)", "did you mean `window`?"),
        ("join b using (k) within (1 min)", "instead of `using`"),
        ("join b on within (1 min)", "the condition behind `on` is missing"),
        ("join b on a.k = b.k within (1 min) of c", "there is no stream `c`"),
        ("join b on event_time(c) = event_time(a)", "there is no `c`"),
        (
            "join b on a.k = b.k window length(3)",
            "tumbling, hop, cumulate and session",
        ),
        (
            "join b on a.k = b.k join c on a.k = c.k window session(1 min)",
            "a session joins two streams",
        ),
        (
            "window length(3) join b on a.k = b.k",
            "each stream of such a join has a window",
        ),
        (
            "right join b for system_time as of event_time(a) on a.k = b.k",
            "answers events of the left side",
        ),
        (
            "join b for system_time as of event_time(a) on a.k = b.k within (1 min after)",
            "never newer",
        ),
        ("join b for version on a.k = b.k", "for system_time as of event_time(a)"),
        (
            "join b on a.k = b.k within (1 min) group by a.x",
            "let a second operator",
        ),
        ("join b on a.k = b.k within (1 min) order by x", "not on a join"),
        (", b where a.k = b.k", "streams are joined with a condition"),
    ] {
        let said = error(clause);
        assert!(said.contains(words), "{clause}: {said}");
    }
    let outside = parse_query("select event_time(a) as t from a").expect_err("no join");
    assert!(outside.message.contains("known in joins only"), "{outside}");
    assert!(super::parse_expr("event_time(a)").is_err());
}
