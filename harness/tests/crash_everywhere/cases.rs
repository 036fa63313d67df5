//! Small scenarios, one for each kind of state that there is. `a` has 24 events within six seconds, `b` 15; most come
//! within a second of their event time, every seventh two and a half seconds behind it.

/// A window of a second, to which settings are added.
const SECOND: &str = "query = \"select k, count(*) as c, sum(v) as s from a_log window tumbling(1 sec) group by k\"\n";

/// A scenario in pieces.
pub struct Case {
    pub name: &'static str,
    /// Tables of the scenario's beginning.
    pub top: &'static str,
    pub sources: &'static [&'static str],
    /// Name, inputs and settings.
    pub operators: Vec<(&'static str, Vec<&'static str>, &'static str)>,
    pub sinks: Vec<&'static str>,
    pub more: &'static str,
    /// Whether events are late.
    pub late: bool,
    /// Whether results and late events are as without the crash; else only what always holds does.
    pub same: bool,
    /// Whether answers go by the machine's clock.
    pub clock: bool,
}

impl Case {
    fn late(self) -> Self {
        Self { late: true, ..self }
    }
    fn aside(mut self) -> Self {
        self.sinks.push("op.late");
        Self { late: true, ..self }
    }
    fn with(self, more: &'static str) -> Self {
        Self { more, ..self }
    }
    fn by_clock(self) -> Self {
        Self { same: false, ..self }
    }
}

/// One operator over one log.
fn one(name: &'static str, body: &'static str) -> Case {
    Case {
        name,
        top: "",
        sources: &["a"],
        operators: vec![("op", vec!["a_log"], body)],
        sinks: vec!["op"],
        more: "",
        late: false,
        same: true,
        clock: false,
    }
}

/// One operator over two logs.
fn two(name: &'static str, body: &'static str) -> Case {
    Case {
        sources: &["a", "b"],
        operators: vec![("op", vec!["a_log", "b_log"], body)],
        ..one(name, body)
    }
}

pub fn singles() -> Vec<Case> {
    vec![
        one("filter", r#"filter = "v > 40""#),
        one(
            "threshold",
            r#"threshold = { value = "v", high = 50.0, low = 30.0, by = ["k"] }"#,
        ),
        one(
            "threshold-that-holds",
            r#"threshold = { value = "v", high = 30.0, hold = "300ms", by = ["k"], emit = "crossings" }"#,
        ),
        one(
            "change",
            r#"change = { value = "v", per = "1s", above = 10.0, below = 10.0, by = ["k"] }"#,
        ),
        one("first", r#"first = { quiet = "400ms", by = ["k"] }"#),
        one(
            "look-ups-with-a-cache",
            r#"transform = [
  { enrich = { table = "names", on = { k = "k" }, fields = ["name"], cost = "60ms", cache = 1 } },
  { derive = { w = "v * 2" } },
]"#,
        )
        .with("[[table]]\nname = \"names\"\nrows = [{ k = \"x\", name = \"ex\" }]\n"),
        one(
            "compensate",
            r#"compensate = { by = ["k", "lasts"], stands = "first-by-event-time" }
watermark = { behind = "1s" }
horizon = "1h""#,
        ),
        one(
            "compensate-forgets",
            r#"compensate = { by = ["k"], stands = "first-by-event-time" }
watermark = { behind = "1s" }
horizon = "1s""#,
        )
        .late(),
    ]
}

pub fn windows() -> Vec<Case> {
    const KINDS: [(&str, &str); 12] = [
        (
            "tumbling",
            "query = \"select k, count(*) as c, sum(v) as s from a_log window tumbling(1 sec) group by k\"",
        ),
        (
            "hop",
            "query = \"select k, avg(v) as s, min(n) as m from a_log window hop(2 sec, 500 ms) group by k\"",
        ),
        (
            "cumulate",
            "query = \"select count(*) as c, max(v) as s from a_log window cumulate(2 sec, 500 ms)\"",
        ),
        (
            "sliding",
            "query = \"select count(*) as c, sum(v) as s from a_log window time(1 sec)\"",
        ),
        (
            "sliding-on-change",
            "query = \"select count(*) as c, median(v) as s from a_log window time(1 sec, on change)\"",
        ),
        (
            "sliding-by-steps",
            "query = \"select count(distinct k) as c, sum(v) as s from a_log window time(2 sec, 1 sec)\"",
        ),
        (
            "session",
            "query = \"select k, count(*) as c, first(n) as f, last(n) as l from a_log window session(400 ms) group by k\"",
        ),
        (
            "snapshot",
            "query = \"select count(*) as c, sum(v) as s from a_log window snapshot(lasts)\"",
        ),
        (
            "stagger",
            "query = \"select k, count(*) as c, sum(v) as s from a_log window stagger(1 sec) group by k\"",
        ),
        (
            "sketches",
            "query = \"select approx_count_distinct(n) as c, approx_quantile(0.5, v) as q from a_log window tumbling(1 sec)\"",
        ),
        (
            "top-one",
            "query = \"select k, sum(v) as s from a_log window tumbling(1 sec) group by k order by s desc limit 1\"",
        ),
        (
            "lists",
            "query = \"select k, collect(n) as ns, stddev_samp(v) as d from a_log window tumbling(2 sec) group by k\"",
        ),
    ];
    let mut cases: Vec<Case> = Vec::new();
    for (name, query) in KINDS {
        let body = format!("{query}\nwatermark = {{ behind = \"1s\" }}\nlate = \"side\"\n").leak();
        // Long windows are open for all that comes.
        let late = !["hop", "cumulate", "sliding-by-steps", "lists"].contains(&name);
        cases.push(Case {
            late,
            ..one(name, body).aside()
        });
    }
    cases.extend([
        one(
            "length",
            r#"query = "select count(*) as c, sum(v) as s from a_log window length(3)""#,
        ),
        one(
            "length-batch",
            r#"query = "select k, count(*) as c, sum(v) as s from a_log window length_batch(4) group by k""#,
        ),
        one(
            "ends-that-belong",
            r#"query = "select count(*) as c, last(v) as s from a_log window hop(1 sec, 500 ms)"
watermark = { behind = "1s" }
bounds = "end"
emit_empty = true"#,
        )
        .late(),
        one(
            "grid-from-the-first",
            r#"query = "select count(*) as c, last(v) as s from a_log window tumbling(1 sec)"
watermark = { behind = "1s" }
align = "first-event"
result_stamp = "latest"
late_when = "after-end""#,
        )
        .late(),
        one(
            "not-flushed",
            r#"query = "select k, count(*) as c from a_log window tumbling(2 sec) group by k"
watermark = { behind = "1s" }
flush_at_end = false"#,
        ),
    ]);
    cases
}

pub fn triggers() -> Vec<Case> {
    const QUERY: &str = "query = \"select k, count(*) as c, sum(v) as s from a_log window tumbling(2 sec) group by k\"\n\
                         watermark = { behind = \"1s\" }\n";
    let mut cases = Vec::new();
    for (name, emit) in [
        (
            "early-accumulating",
            "emit = { early = { count = 2 }, panes = \"accumulating\" }",
        ),
        (
            "early-discarding",
            "emit = { early = { count = 2 }, panes = \"discarding\" }",
        ),
        (
            "early-retracting",
            "emit = { early = { watermark = true }, panes = \"retracting\" }",
        ),
        ("correcting", "late = \"correct\"\nhorizon = \"1500ms\""),
        (
            "early-and-late-accumulating",
            "late = \"correct\"\nhorizon = \"1500ms\"\n\
             emit = { early = { count = 2 }, late = { count = 2 }, panes = \"accumulating\" }",
        ),
        (
            "early-and-late-discarding",
            "late = \"correct\"\nhorizon = \"1500ms\"\nemit = { early = { watermark = true }, panes = \"discarding\" }",
        ),
        (
            "early-and-late-retracting",
            "late = \"correct\"\nhorizon = \"1500ms\"\n\
             emit = { early = { count = 3 }, late = { watermark = true }, panes = \"retracting\" }",
        ),
    ] {
        cases.push(one(name, format!("{QUERY}{emit}\n").leak()));
    }
    cases.extend([
        one(
            "sessions-corrected",
            r#"query = "select k, count(*) as c from a_log window session(400 ms) group by k"
watermark = { behind = "500ms" }
late = "correct"
horizon = "1s"
emit = { early = { count = 2 }, panes = "retracting" }"#,
        )
        .late(),
        one(
            "global-with-triggers",
            r#"query = "select k, count(*) as c, sum(v) as s from a_log window global() group by k"
emit = { early = { count = 3 }, panes = "accumulating" }"#,
        ),
        one(
            "global-discarding",
            r#"query = "select count(*) as c, sum(v) as s from a_log window global()"
watermark = { behind = "1s" }
emit = { early = { watermark = true }, panes = "discarding" }"#,
        ),
    ]);
    cases
}

pub fn sequences() -> Vec<Case> {
    vec![
        one(
            "kleene",
            r#"watermark = { behind = "1s" }
[operator.sequence]
pattern = "low{2,} -> high"
by = ["k"]
within = "3s"
where = { low = "v < 60", high = "v >= 60" }
select = { k = "k", lows = "count(low)", n = "high.n" }"#,
        )
        .late(),
        one(
            "all-combinations",
            r#"watermark = { behind = "1s" }
[operator.sequence]
pattern = "low+ => high"
within = "2s"
after = "keep-all"
where = { low = "v < 40", high = "v >= 60" }
select = { lows = "count(low)", n = "high.n" }"#,
        )
        .late(),
        one(
            "negation",
            r#"watermark = { behind = "1s" }
[operator.sequence]
pattern = "low -> not high -> end"
by = ["k"]
within = "3s"
where = { low = "v < 50", high = "v >= 80", end = "lasts = 3" }
select = { k = "k", n = "end.n" }"#,
        )
        .late(),
        one(
            "absence",
            r#"watermark = { behind = "1s" }
[operator.sequence]
pattern = "low -> not high for 700ms"
by = ["k"]
where = { low = "v < 60", high = "v >= 60" }
select = { k = "k", n = "low.n" }"#,
        )
        .late(),
        one(
            "beginnings-that-time-out",
            r#"watermark = { behind = "1s" }
[operator.sequence]
pattern = "low -> high -> high2"
within = "1s"
timeouts = true
by = ["k"]
where = { low = "v < 50", high = "v >= 50", high2 = "v >= 50" }
select = { k = "k", n = "low.n" }"#,
        )
        .late(),
        one(
            "match-recognize",
            r#"watermark = { behind = "1s" }
query = """
  select * from a_log match_recognize (
    partition by k order by event_time
    measures first(low.v) as bottom, high.v as top, count(*) as ticks
    one row per match
    after match skip past last row
    pattern (low up* high) within interval '3' second
    define up as v < 90, high as v > prev(v)
  )
""""#,
        )
        .late(),
        two(
            "absence-of-two-streams",
            r#"watermark = { behind = "3s" }
[operator.sequence]
pattern = "asked -> not told for 600ms"
by = ["k"]
from = { asked = "a_log", told = "b_log" }
select = { k = "k", n = "asked.n" }"#,
        ),
    ]
}

pub fn reordering() -> Vec<Case> {
    vec![
        one("by-slack", "reorder = { slack = \"1s\" }\nlate = \"side\"").aside(),
        one("by-k-slack", "reorder = { k_slack = { samples = 5 } }\nlate = \"emit\""),
        one("by-mp-k-slack", "reorder = { mp_k_slack = { max_k = \"800ms\" } }").late(),
        one(
            "by-quality",
            "reorder = { aq_k_slack = { error = 0.1, window = \"1s\", every = 5, samples = 10, aggregate = \"sum\", value = \"v\" } }",
        )
        .late(),
        one("as-siddhi", "reorder = { siddhi_k_slack = { max_k = \"1s\" } }\nlate = \"emit\""),
        one(
            "as-siddhi-learns",
            "reorder = { siddhi_ak_slack = { value = \"v\", batch = 4 } }\nlate = \"emit\"",
        ),
        one(
            "until-the-watermark",
            "reorder = { until = \"watermark\" }\nwatermark = { behind = \"700ms\" }",
        )
        .late(),
        one("by-number", "reorder = { number = { field = \"n\", remember = 5 } }"),
        one(
            "by-number-with-gaps",
            "reorder = { number = { field = \"n\", by = [\"k\"], mark_gaps = true, end = \"lasts = 3\" } }",
        ),
        Case {
            sources: &["a", "b"],
            operators: vec![("op", vec!["a_log", "b_log"], "reorder = { slack = \"3500ms\", scope = \"source\" }")],
            ..one("by-slack-of-each-source", "")
        },
    ]
}

pub fn watermarks() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, watermark) in [
        ("ascending", "watermark = { kind = \"ascending\" }"),
        ("bounded-every-so-many", "watermark = { behind = \"500ms\", every = 4 }"),
        (
            "bounded-and-back",
            "watermark = { behind = \"200ms\", every = 3, back = 2 }",
        ),
        (
            "punctuated",
            "watermark = { kind = \"punctuated\", when = \"lasts = 3\", behind = \"200ms\" }",
        ),
        (
            "percentile",
            "watermark = { kind = \"percentile\", share = 0.7, over = 6, least = \"100ms\" }",
        ),
    ] {
        cases.push(Case {
            late: name != "bounded-and-back",
            ..one(name, format!("{SECOND}{watermark}\n").leak())
        });
    }
    cases.push(Case {
        operators: vec![
            (
                "first",
                vec!["a_log"],
                "filter = \"v > 10\"\nwatermark = { behind = \"1s\" }",
            ),
            (
                "op",
                vec!["first"],
                "query = \"select k, count(*) as c from first window tumbling(1 sec) group by k\"\n\
                 watermark = { kind = \"forward\", behind = \"100ms\" }",
            ),
        ],
        ..one("forward", "").late()
    });
    cases
}

pub fn learners() -> Vec<Case> {
    vec![
        one(
            "learns-at-once",
            r#"learn = { features = ["n", "lasts"], target = { number = "v" }, online = { linear-regression = { scale = true } }, drift = { page-hinkley = { min_instances = 5, threshold = 30.0 } }, on_drift = "forget" }"#,
        ),
        one(
            "clusters",
            r#"learn = { features = ["n", "v"], target = "cluster", online = { decaying-k-means = {} }, fallback = 0 }"#,
        ),
        two(
            "learns-by-event-time",
            r#"learn = { features = ["v", { k = ["x", "y"] }], target = { number = "v" }, order = "event-time", labels = { input = "b_log", by = ["n"], within = "3s" }, online = { linear-regression = { scale = true } } }
watermark = { behind = "700ms" }
late = "side""#,
        )
        .aside(),
        two(
            "outcomes-by-event-time",
            r#"learn = { features = ["v", "lasts"], target = { number = "v" }, order = "event-time", results = "outcomes", labels = { input = "b_log", by = ["n"], within = "3s" }, online = { passive-aggressive = {} }, fallback = 1 }
watermark = { behind = "3s" }"#,
        ),
        // Which of two logs is first after a crash is another matter: what is learned by arrival is in step all the same.
        two(
            "learns-by-arrival",
            r#"learn = { features = ["v", "lasts"], target = { number = "v" }, labels = { input = "b_log", by = ["n"], within = "3s" }, online = { linear-regression = { scale = true } } }
watermark = { behind = "3s" }"#,
        )
        .by_clock(),
        Case {
            operators: vec![payments(), ("score", vec!["op"], ASKING)],
            sinks: vec!["score"],
            ..one("asks-a-service", "")
        },
        Case {
            operators: vec![payments(), ("score", vec!["op"], IMPATIENT)],
            sinks: vec!["score"],
            ..one("asks-a-service-that-is-often-too-slow", "")
        }
        .by_clock(),
    ]
}

/// What the model of the library looks at, and what is true.
fn payments() -> (&'static str, Vec<&'static str>, &'static str) {
    let body = r#"transform = [{ derive = { amount = "v * 1.5", abroad = "lasts > 1", fraud = "v > 60" } }]"#;
    ("op", vec!["a_log"], body)
}

/// Both models, a gate between them, and a cache; answers take a while and are waited for.
const ASKING: &str = r#"learn = { features = ["amount", "abroad"], target = { class = { field = "fraud", of = ["false", "true"] } }, pretrained = [{ file = "fraud.pmml" }], online = { logistic-regression = {} }, gate = { window = 6, least_labels = 3, test_every = 1, in_a_row = 1, confidence = 0.6 }, service = { within = "5s" }, cache = 2 }
watermark = { behind = "1s" }
[[link]]
from = "score"
to = "score.service"
delay = { uniform = ["5ms", "400ms"] }"#;

const IMPATIENT: &str = r#"learn = { features = ["amount", "abroad"], target = { class = { field = "fraud", of = ["false", "true"] } }, pretrained = [{ file = "fraud.pmml" }], online = { logistic-regression = {} }, gate = {}, fallback = "false", service = { within = "200ms" } }
[[link]]
from = "score"
to = "score.service"
kind = "datagram"
delay = { uniform = ["5ms", "400ms"] }"#;

pub fn joins() -> Vec<Case> {
    vec![
        two(
            "interval",
            r#"query = "select a.k, a.n, b.n as m from a_log a join b_log b on b.k = a.k within (500 ms before, 500 ms after)"
watermark = { behind = "3s" }"#,
        ),
        two(
            "interval-outer",
            r#"query = "select a.k, a.n, b.n as m from a_log a full join b_log b on b.k = a.k and b.lasts = a.lasts within (500 ms before, 500 ms after)"
watermark = { behind = "3s" }"#,
        ),
        two(
            "of-a-window",
            r#"query = "select a.k, a.n, b.n as m from a_log a left join b_log b on b.k = a.k window tumbling(1 sec)"
watermark = { behind = "3s" }"#,
        ),
        two(
            "of-a-session",
            r#"query = "select a.k, a.n, b.n as m from a_log a full join b_log b on b.k = a.k window session(300 ms)"
watermark = { behind = "3s" }"#,
        ),
        two(
            "versions",
            r#"query = "select a.k, a.n, b.n as m from a_log a left join b_log b for system_time as of event_time(a) on b.k = a.k"
watermark = { behind = "3s" }"#,
        ),
        two(
            "gather",
            r#"gather = { by = ["n"], within = "2s" }
watermark = { behind = "3s" }"#,
        ),
        two(
            "gather-asks",
            r#"gather = { by = ["n"], within = "800ms", ask = 1 }
watermark = { behind = "3s" }"#,
        ),
    ]
}

pub fn conveys() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, body, convey) in [
        (
            "by-key-and-number",
            "filter = \"v > 20\"",
            "streams = 2\nby = { key = [\"k\"] }",
        ),
        (
            "by-key-as-they-come",
            "filter = \"v > 20\"",
            "streams = 2\nby = { key = [\"k\"] }\nmerge = \"arrival\"",
        ),
        (
            "end-of-sequence",
            "filter = \"v > 60\"",
            "streams = 3\nby = { key = [\"n\"] }\ngaps = \"end-of-sequence\"\nevents = 4",
        ),
        (
            "tombstones",
            "filter = \"v > 60\"",
            "streams = 2\nby = { key = [\"n\"] }\ngaps = \"skip\"",
        ),
        ("in-turn", "filter = \"v > 20\"", "streams = 3\nby = \"round-robin\""),
        ("by-load", "filter = \"v > 20\"", "streams = 2\nby = \"load\""),
        (
            "by-key-with-state",
            "change = { value = \"v\", per = \"1s\", above = 10.0, below = 10.0, by = [\"lasts\"] }",
            "streams = 2\nby = { key = [\"lasts\"] }",
        ),
        (
            "windows-side-by-side",
            "query = \"select k, count(*) as c from a_log window tumbling(1 sec) group by k\"\n\
             watermark = { behind = \"1s\" }",
            "streams = 2\nby = { key = [\"k\"] }\nmerge = \"arrival\"",
        ),
        (
            "with-moves",
            "threshold = { value = \"v\", high = 60.0, low = 40.0, by = [\"k\"], emit = \"crossings\" }",
            "streams = 2\nby = { key = [\"k\"] }\n[[operator.convey.move]]\nat = \"2s\"\nfrom = 0\nto = 1\nshare = 1.0\n\
             [[operator.convey.move]]\nat = \"4s\"\nfrom = 1\nto = 0\nshare = 1.0",
        ),
    ] {
        let case = one(name, format!("{body}\n[operator.convey]\n{convey}\n").leak());
        cases.push(Case {
            late: name == "windows-side-by-side",
            ..case
        });
    }
    cases
}

pub fn meshes() -> Vec<Case> {
    vec![
        Case {
            operators: vec![
                (
                    "left",
                    vec!["a_log"],
                    "filter = \"v > 10\"\nwatermark = { behind = \"1s\" }",
                ),
                (
                    "sums",
                    vec!["left"],
                    "query = \"select k, sum(v) as s from left window tumbling(1 sec) group by k\"",
                ),
                (
                    "counts",
                    vec!["left"],
                    "query = \"select k, count(*) as c from left window hop(1 sec, 500 ms) group by k\"",
                ),
                (
                    "both",
                    vec!["sums", "counts"],
                    "query = \"select x.k, x.s, y.c from sums x left join counts y on y.k = x.k within (0 sec)\"",
                ),
            ],
            sinks: vec!["both"],
            ..one("two-branches-that-join", "").late()
        },
        Case {
            sources: &["a", "b"],
            operators: vec![
                ("left", vec!["a_log"], "reorder = { slack = \"1s\" }"),
                (
                    "right",
                    vec!["b_log"],
                    "filter = \"v > 20\"\nwatermark = { behind = \"3s\" }",
                ),
                (
                    "sums",
                    vec!["left"],
                    "query = \"select k, sum(v) as s, count(*) as c from left window session(300 ms) group by k\"\n\
                     watermark = { kind = \"ascending\" }",
                ),
                (
                    "both",
                    vec!["sums", "right"],
                    "query = \"select x.k, x.s, y.n from sums x left join right y on y.k = x.k within (1 sec before)\"",
                ),
                (
                    "last",
                    vec!["both"],
                    "query = \"select count(*) as c, sum(s) as s from both window length_batch(3)\"",
                ),
            ],
            sinks: vec!["both"],
            ..one("a-chain-of-everything", "").late()
        },
    ]
}

pub fn clocks() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, more) in [
        // Nothing is beyond the bound: when the watermark is sent does not matter.
        ("periodic", "watermark = { behind = \"4s\", every = \"300ms\" }"),
        // Early answers are replaced by the last one.
        (
            "early-by-the-clock",
            "watermark = { behind = \"4s\" }\nemit = { early = { every = \"300ms\" }, panes = \"accumulating\" }",
        ),
    ] {
        cases.push(one(name, format!("{SECOND}{more}\n").leak()));
    }
    cases.push(
        one(
            "periodic-and-late",
            format!("{SECOND}watermark = {{ behind = \"500ms\", every = \"300ms\" }}").leak(),
        )
        .late()
        .by_clock(),
    );
    cases.push(
        one(
            "arrival",
            format!("{SECOND}watermark = {{ kind = \"arrival\", every = \"200ms\" }}").leak(),
        )
        .by_clock(),
    );
    cases.push(
        one(
            "early-parts-by-the-clock",
            format!("{SECOND}watermark = {{ behind = \"4s\" }}\nemit = {{ early = {{ every = \"300ms\" }}, panes = \"discarding\" }}").leak(),
        )
        .by_clock(),
    );
    cases.push(
        one(
            "by-number-in-time",
            "reorder = { number = { field = \"n\", by = [\"k\"] }, timeout = \"500ms\" }",
        )
        .by_clock(),
    );
    cases.push(one(
        "by-slack-in-time",
        "reorder = { slack = \"3500ms\", timeout = \"10s\" }",
    ));
    cases.push(
        two(
            "gather-by-the-clock",
            "gather = { by = [\"n\"], within = \"900ms\", clock = \"node\" }\nwatermark = { behind = \"4s\" }",
        )
        .late()
        .by_clock(),
    );
    cases.push(two("idle", "query = \"select a.k, a.n, b.n as m from a_log a left join b_log b on b.k = a.k within (500 ms before)\"\nwatermark = { behind = \"500ms\", idle = \"300ms\" }").late().by_clock());
    cases.push(one("merge-in-time", "filter = \"v > 60\"\n[operator.convey]\nstreams = 2\nby = { key = [\"n\"] }\ngaps = \"none\"\ntimeout = \"300ms\"").by_clock());
    for case in &mut cases {
        case.clock = true;
    }
    cases
}
