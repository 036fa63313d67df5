use super::*;
use crate::schema::FieldType;
use proptest::prelude::*;

fn query(text: &str) -> Query {
    match parse_query(text) {
        Ok(query) => query,
        Err(e) => panic!("{text}: {e}"),
    }
}
fn column(name: &str) -> Expr {
    Expr::Column(vec![name.into()])
}
fn window(clause: &str) -> Window {
    query(&format!("select count(*) as n from s {clause}"))
        .window
        .expect("a window")
}
fn error(text: &str) -> String {
    parse_query(text).expect_err(text).to_string()
}

#[test]
fn the_orders_query_is_read_with_window_group_having_order_and_limit() {
    let q = query(
        "\n  select store, count(*) as n, sum(amount) as total\n  from orders window tumbling(1 min) group by store \
         having n > 0 order by n desc limit 10\n",
    );
    assert_eq!(q.from, "orders");
    assert_eq!(
        q.window,
        Some(Window::Tumbling {
            size: Span::from_secs(60),
            offset: Span::ZERO
        })
    );
    assert_eq!(q.group_by, [column("store")]);
    assert_eq!(q.limit, Some(10));
    let names: Vec<_> = q
        .select
        .iter()
        .map(|i| match i {
            SelectItem::Expr { name, .. } => name.as_str(),
            SelectItem::All => "*",
        })
        .collect();
    assert_eq!(names, ["store", "n", "total"]);
    assert_eq!(
        q.order_by,
        [OrderBy {
            expr: column("n"),
            descending: true,
            nulls_first: true
        }]
    );
    let zero = Box::new(Expr::Literal(Value::Int(0)));
    assert_eq!(
        q.having,
        Some(Expr::Binary(BinaryOp::Greater, Box::new(column("n")), zero))
    );
}

#[test]
fn the_top_spenders_hop_every_second_over_ten_minutes() {
    let q = query(
        "select userName, sum(transactionValue) as totalTransaction from Transactions window time(10 min, 1 sec) \
         group by userName order by totalTransaction desc limit 10",
    );
    let hop = Window::Hop {
        size: Span::from_secs(600),
        every: Span::from_secs(1),
        offset: Span::ZERO,
    };
    assert_eq!((q.from.as_str(), q.window), ("Transactions", Some(hop)));
}

#[test]
fn three_rejected_requests_are_a_window_of_three_events_and_a_double_equals_sign() {
    let q = query(
        "select sum(case when status = 'rejected' then 1 else 0 end) as totalRejectedRequests from Requests \
         window length(3) having totalRejectedRequests == 3",
    );
    assert_eq!(q.window, Some(Window::Length(3)));
    assert!(matches!(q.having, Some(Expr::Binary(BinaryOp::Equal, ..))));
}

#[test]
fn every_window_has_a_short_form() {
    let s = Span::from_secs;
    for (clause, wanted) in [
        (
            "window tumbling(10 s, 2 s)",
            Window::Tumbling {
                size: s(10),
                offset: s(2),
            },
        ),
        (
            "WINDOW Tumbling(1h30m)",
            Window::Tumbling {
                size: s(5_400),
                offset: Span::ZERO,
            },
        ),
        (
            "window hop(10 s, 5 s)",
            Window::Hop {
                size: s(10),
                every: s(5),
                offset: Span::ZERO,
            },
        ),
        (
            "window hop('10 s', '5 s', '1 s')",
            Window::Hop {
                size: s(10),
                every: s(5),
                offset: s(1),
            },
        ),
        (
            "window time(10 min)",
            Window::Sliding {
                size: s(600),
                on_change: false,
            },
        ),
        (
            "window sliding(10 min, on change)",
            Window::Sliding {
                size: s(600),
                on_change: true,
            },
        ),
        (
            "window time(10 min, on = 'change')",
            Window::Sliding {
                size: s(600),
                on_change: true,
            },
        ),
        ("window length_batch(10)", Window::LengthBatch(10)),
        ("window session(30 sec)", Window::Session { gap: s(30) }),
        ("window stagger(1 min)", Window::Stagger { size: s(60) }),
        (
            "window cumulate(1 h, 10 min)",
            Window::Cumulate {
                max: s(3_600),
                step: s(600),
                offset: Span::ZERO,
            },
        ),
        (
            "window snapshot(5 s)",
            Window::Snapshot {
                lasts: Box::new(Expr::Span(s(5))),
            },
        ),
        (
            "window snapshot(seconds)",
            Window::Snapshot {
                lasts: Box::new(column("seconds")),
            },
        ),
        ("window global()", Window::Global),
    ] {
        assert_eq!(window(clause), wanted, "{clause}");
    }
}

#[test]
fn the_table_functions_of_the_standard_put_the_step_before_the_size() {
    let s = Span::from_secs;
    for (from, wanted) in [
        (
            "tumble(s, interval '1' minute)",
            Window::Tumbling {
                size: s(60),
                offset: Span::ZERO,
            },
        ),
        (
            "TABLE(TUMBLE(TABLE s, DESCRIPTOR(event_time), INTERVAL '10' MINUTES))",
            Window::Tumbling {
                size: s(600),
                offset: Span::ZERO,
            },
        ),
        (
            "hop(s, interval '5' second, interval '10' second)",
            Window::Hop {
                size: s(10),
                every: s(5),
                offset: Span::ZERO,
            },
        ),
        (
            "hop(data => table s, slide => interval '5' second, size => interval '10' second)",
            Window::Hop {
                size: s(10),
                every: s(5),
                offset: Span::ZERO,
            },
        ),
        ("session(s, 30 s)", Window::Session { gap: s(30) }),
        (
            "cumulate(s, interval '10' minute, interval '1' hour)",
            Window::Cumulate {
                max: s(3_600),
                step: s(600),
                offset: Span::ZERO,
            },
        ),
    ] {
        let q = query(&format!(
            "select window_start, count(*) as n from {from} group by window_start, window_end"
        ));
        assert_eq!((q.from.as_str(), q.window), ("s", Some(wanted)), "{from}");
        assert!(q.group_by.is_empty(), "one firing has one window");
    }
}

#[test]
fn names_of_the_scenario_keep_their_hyphens_and_aliases_may_stand_on_either_side() {
    assert_eq!(
        query("select a from per-minute.late where a > 1").from,
        "per-minute.late"
    );
    assert_eq!(query("select o.a from orders as o").alias.as_deref(), Some("o"));
    assert_eq!(
        query("select o.a from orders o where o.a = 1").alias.as_deref(),
        Some("o")
    );
    let q = query("select count(o.a) as n from orders window length(2) as o");
    assert_eq!((q.alias.as_deref(), q.window), (Some("o"), Some(Window::Length(2))));
}

#[test]
fn a_query_without_window_and_aggregates_maps_single_events() {
    let q = query("select *, price * 2 as twice from trades where price is not null");
    assert!(!q.aggregates());
    assert_eq!(q.select[0], SelectItem::All);
}

#[test]
fn errors_have_their_line_and_column_and_say_what_was_meant() {
    for (text, wanted) in [
        (
            "",
            "line 1, column 1: a query begins with `select`; write select … from … window tumbling(1 min) where … group by … having …",
        ),
        ("select a", "line 1, column 9: `from` is missing: which stream is read?"),
        (
            "select count(*) as n\nfrom orders window tumblin(1 min)",
            "line 2, column 20: there is no window `tumblin`; did you mean `tumbling`?",
        ),
        (
            "select count(*) as n\nfrom orders window tumbling(1 minuet)",
            "line 2, column 29: `1 minuet` is not a duration: `minuet` is no unit (us, ms, s, m, h, d); write a number with \
             a unit, like \"250ms\", \"2s\", \"1h30m\"",
        ),
        (
            "select store, cuont(*) as n from orders window length(3) group by store",
            "line 1, column 15: there is no function `cuont`; did you mean `count`?",
        ),
        (
            "select a from b join c on b.x = c.x",
            "line 1, column 22: the join with `c` has no bound in time, so every event would be kept for ever; write `within \
             (5 min before, 1 hour after)`, or `on … and event_time(c) between …`, or a window behind it",
        ),
        (
            "select a from (select b from c)",
            "line 1, column 15: a query inside a query is not known; chain two operators instead",
        ),
        (
            "select a, sum(b) as c from s window length(2)",
            "line 1, column 8: `a` is neither in `group by` nor inside an aggregate; group by it, or take its max or last",
        ),
        (
            "select a from s whree a > 1",
            "line 1, column 17: `whree` is not expected after the stream's name; did you mean `where`?",
        ),
        (
            "select a from s where",
            "line 1, column 22: expected an expression, found the end",
        ),
        (
            "select count(a) as n from s where a > 1 window length(3)",
            "line 1, column 41: `window length` stands right after the stream's name, before `where`",
        ),
        (
            "select sum(a) as n, max(a) as n from s",
            "line 1, column 21: two columns are called `n`; give one another name with `as`",
        ),
        (
            "select a from s limit 3",
            "line 1, column 1: `order by` and `limit` work on the rows of a window's firing; give the query a window",
        ),
        (
            "select sum(sum(a)) as n from s",
            "line 1, column 12: the aggregate `sum` cannot stand here: only in `select`, `having` and `order by`, not inside another",
        ),
    ] {
        assert_eq!(error(text), wanted, "{text}");
    }
}

#[test]
fn what_queries_do_not_know_is_refused_and_never_ignored() {
    for text in [
        "select distinct a from s",
        "select a from s, t",
        "select a from s union select b from t",
        "select * from s window length(3)",
        "select count(*) over () as n from s",
        "select a from s where a in (select b from t)",
        "select count(*) as n from s window tumbling(0 s)",
        "select count(*) as n from s window tumbling(1 min",
        "select count(*) as n from s window tumbling()",
        "select count(*) as n from s window tumbling(1 min, 2 s, 3 s)",
        "select count(*) as n from s window length(0)",
        "select count(*) as n from s window length(2) window length(3)",
        "select count(*) as n from s window cumulate(10 s, 3 s)",
        "select count(*) as n from hop(s, 10 s, 5 s)",
        "select count(*) as n from tumble(s, descriptor(ts), 10 s)",
        "select count(*) as n from tumbl(s, 10 s)",
        "select count(*) as n from tumble()",
        "select count(*) as n from s window length(2) limit -1",
        "select count(*) as n from s window length(2) limit 1 offset 2",
        "select count(*) as n from s window length(2) group by all",
        "select top(0, a) as t from s window length(2)",
        "select quantile(1.5, a) as t from s window length(2)",
        "select quantile(a) as t from s window length(2)",
        "select median(distinct a) as t from s window length(2)",
        "select abs(a, b) as t from s",
        "select abs(distinct a) as t from s",
        "select a ~ b as t from s",
        "select cast(a as geometry) as t from s",
        "select 99999999999999999999 as t from s",
        "select 'a",
        "select a from s where sum(a) > 1",
        "select sum(a) as t from s window length(2) having b > 1",
        "insert into s values (1)",
        "select a from 3",
        "select a from",
        "with x as (select 1) select a from s",
        "select a from s;; select b from t",
        "select extract(year from a) as y from s",
        "select interval '1' fortnight as y from s",
    ] {
        let problem = parse_query(text).expect_err(text);
        assert!(
            problem.line > 0 && problem.column > 0 && !problem.message.is_empty(),
            "{text}: {problem}"
        );
    }
}

#[test]
fn expressions_keep_the_precedence_of_sql() {
    for (text, wanted) in [
        ("1 + 2 * 3", "1 + (2 * 3)"),
        ("a or b and not c", "a or (b and (not c))"),
        ("a == 3", "a = 3"),
        ("-a - -2", "(-a) - (-2)"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("a between 1 and 2 and b", "(a between 1 and 2) and b"),
        ("x not in ('a', 'it''s')", "x not in ('a', 'it''s')"),
        ("lower(a) like 'x%'", "lower(a) like 'x%'"),
        (
            "case a when 1 then 'x' else 'y' end",
            "case when a = 1 then 'x' else 'y' end",
        ),
        ("cast(a as varchar(10))", "cast(a as text)"),
        ("a::double", "cast(a as double)"),
        (
            "count(distinct a) filter (where b > 1)",
            "count(distinct a) filter (where b > 1)",
        ),
        ("Top(3, a)", "top(3, a)"),
        ("timestamp '2013-01-01 10:15:00'", "timestamp '2013-01-01T10:15:00Z'"),
        ("event_time() + interval '90' second", "event_time() + interval '1m30s'"),
        ("substring(a from 2 for 3)", "substring(a, 2, 3)"),
        ("ceil(a) + floor(b)", "ceil(a) + floor(b)"),
        ("a is true", "coalesce(a, false)"),
        ("\"my-field\".b", "\"my-field\".b"),
        ("first(price) - last(price)", "first(price) - last(price)"),
        ("window_end", "window_end"),
    ] {
        assert_eq!(parse_expr(text).map(|e| e.to_string()), Ok(wanted.to_owned()), "{text}");
    }
}

#[test]
fn a_very_long_or_deep_expression_is_an_error_and_not_a_crash() {
    let chain = vec!["a"; 4_000].join(" and ");
    assert!(parse_expr(&chain).is_err());
    let deep = format!("{}a{}", "(".repeat(4_000), ")".repeat(4_000));
    assert!(parse_expr(&deep).is_err());
    assert!(parse_expr(&vec!["a"; 20_000].join(" + ")).is_err());
}

#[test]
fn a_query_in_a_file_is_its_text() {
    let text = "select a from s";
    let read: Query = serde_json::from_value(text.into()).expect("a query");
    assert_eq!(serde_json::to_value(&read).expect("text"), text);
}

fn name() -> impl Strategy<Value = ArcStr> {
    prop_oneof![
        "[a-z][a-z0-9_]{0,6}".prop_map(ArcStr::from),
        Just("my field".into()),
        Just("select".into()),
        Just("window_start".into()),
        Just("say \"hi\"".into()),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|i| Expr::Literal(Value::Int(i))),
        any::<f64>()
            .prop_filter("numbers", |x| x.is_finite())
            .prop_map(|x| Expr::Literal(Value::Float(x))),
        any::<bool>().prop_map(|b| Expr::Literal(Value::Bool(b))),
        Just(Expr::Literal(Value::Null)),
        "[ -~]{0,8}".prop_map(|t| Expr::Literal(Value::text(t))),
        (-1_000_000_000i64..1_000_000_000).prop_map(|m| Expr::Span(Span::from_micros(m))),
        proptest::collection::vec(name(), 1..3).prop_map(Expr::Column),
        Just(Expr::Call(Function::WindowStart, vec![])),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let op = prop_oneof![
            Just(BinaryOp::Add),
            Just(BinaryOp::Subtract),
            Just(BinaryOp::Modulo),
            Just(BinaryOp::Concat),
            Just(BinaryOp::Less),
            Just(BinaryOp::NotEqual),
            Just(BinaryOp::And),
            Just(BinaryOp::Or),
        ];
        let bx = || inner.clone().prop_map(Box::new);
        prop_oneof![
            (op, bx(), bx()).prop_map(|(op, x, y)| Expr::Binary(op, x, y)),
            bx().prop_map(|x| Expr::Unary(UnaryOp::Not, x)),
            (bx(), any::<bool>()).prop_map(|(x, n)| Expr::IsNull(x, n)),
            (bx(), bx(), bx(), any::<bool>()).prop_map(|(x, l, h, n)| Expr::Between(x, l, h, n)),
            (bx(), proptest::collection::vec(inner.clone(), 1..3), any::<bool>())
                .prop_map(|(x, l, n)| Expr::InList(x, l, n)),
            (bx(), bx(), any::<bool>()).prop_map(|(x, p, n)| Expr::Like(x, p, n)),
            (
                proptest::collection::vec((inner.clone(), inner.clone()), 1..3),
                proptest::option::of(bx())
            )
                .prop_map(|(arms, e)| Expr::Case(arms, e)),
            bx().prop_map(|x| Expr::Cast(x, FieldType::Int)),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|args| Expr::Call(Function::Coalesce, args)),
        ]
    })
}

proptest! {
    #[test]
    fn a_printed_expression_reads_back_as_it_was(expr in expr()) {
        let text = expr.to_string();
        prop_assert_eq!(parse_expr(&text), Ok(expr), "{}", text);
    }

    #[test]
    fn any_text_gives_a_tree_or_an_error_within_it(text in "[ -~\n]{0,60}") {
        for problem in [parse_query(&text).err(), parse_expr(&text).err()].into_iter().flatten() {
            prop_assert!(problem.line >= 1 && problem.column >= 1);
            prop_assert!(problem.line <= text.lines().count().max(1) + 1);
        }
    }

    #[test]
    fn a_query_with_letters_changed_is_read_or_refused(at in 0usize..120, with in "[ -~]{0,2}") {
        let text = "select store, count(*) as n, sum(amount) as total from orders window tumbling(1 min) group by store \
                    having n > 0 order by n desc limit 10";
        let at = at.min(text.len() - 1);
        let _ = parse_query(&format!("{}{with}{}", &text[..at], &text[at + 1..]));
    }
}
