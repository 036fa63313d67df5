//! The words of the field and of Wavetank that no descriptor explains, and the verdicts.

use super::{Part, Sort, Topic};

/// A word, what kind of thing it is, its explanation, and a command to go on with.
type Word = (&'static str, &'static str, &'static [&'static str], &'static str);

static WORDS: &[Word] = &[
    (
        "event",
        "what flows",
        &[
            "A fact with a key, a payload and a stamp: its event time, by the clock of the node that saw it. Its producer and \
         the number that the producer gave it are its identity, written orders-0#17, and follow it into every result.",
            "When it truly happened is known to the judge alone.",
        ],
        "wavetank explain stamp",
    ),
    (
        "stamp",
        "a time",
        &[
            "The event time of an event, by the wall clock of the node that saw it. Windows and joins go by stamps. A clock that \
         is off puts events into wrong windows: then the results equal those over what was admitted, and differ from truth.",
            "A watermark generator of kind \"arrival\" gives new stamps, by the engine's clock: see `time domain`.",
        ],
        "wavetank explain offset",
    ),
    (
        "time domain",
        "what windows go by",
        &[
            "Event time, where nothing else is said: an event belongs to the window in which it happened, whenever it comes; the \
         watermark says when a window has all that is waited for.",
            "The engine's clock, behind watermark = { kind = \"arrival\", every = \"1s\" }: an event belongs to the window in \
         which it comes. Nothing is late and nothing is waited for, windows close though no event comes, and what was on its \
         way for longer is counted elsewhere: results then equal those over what was admitted, and differ from truth.",
            "A clock that events drive, with kind = \"ascending\": now is the largest stamp that has come.",
        ],
        "wavetank explain setting:operator.watermark.kind",
    ),
    (
        "element",
        "what travels on a link",
        &[
            "An event, a watermark, the marker of an epoch, a note that an input is idle or active again, or the end of the \
         input. Elements keep their places on a stream: nothing overtakes a watermark.",
        ],
        "wavetank explain watermark",
    ),
    (
        "epoch",
        "a piece of a run",
        &[
            "What lies between two markers. Sources put markers 1, 2, 3, … among their events, each stage passes them on at \
         their place, and a stage with several inputs takes nothing that follows a marker before it has come on all of them. \
         So an epoch has the same events on every path, and when a marker is through, everything before it is, too.",
            "A marker has no event time: use it where clocks cannot be trusted, or where arrivals are far behind. Within an \
         epoch order is not restored, but by order = \"stamp\". Where clocks are right, a watermark that stays `behind` is \
         simpler and faster.",
        ],
        "wavetank new watermark",
    ),
    (
        "idle",
        "what an input can be",
        &[
            "An input that has said nothing for the time-out of its watermark generator. It is left out of the minimum, which \
         would wait for it otherwise; `valve` says when it counts again, and what becomes of the watermark when all are idle. \
         One that is held back because it ran ahead is not idle.",
        ],
        "wavetank explain setting:operator.watermark.idle",
    ),
    (
        "late",
        "what an event can be",
        &[
            "An event is late when it reaches an operator after the watermark has passed the last instant of its window, and the \
         horizon behind it. Its window has been answered, so it is dropped, put aside or corrects the answer, as `late` says, \
         and counted in any case. Delayed is not late: what comes before the watermark is in time, however old it is.",
            "To have fewer late events, let the watermark stay further `behind`: every answer then comes that much later. To \
         repair answers instead, set late = \"correct\" and a horizon: state is kept for longer, and readers must take \
         corrections.",
        ],
        "wavetank explain horizon",
    ),
    (
        "lateness",
        "a distance in time",
        &[
            "How far the stamp of an event is behind the largest one seen, when the event arrives. A watermark that stays `behind` \
         by the largest lateness leaves no event late.",
        ],
        "wavetank explain behind",
    ),
    (
        "window",
        "a piece of event time",
        &[
            "What an aggregate is taken over. Intervals are half-open: [start, end). A window is complete when the watermark \
         reaches its last instant, and answers then.",
            "In a query, behind the stream's name: tumbling(1 min) · hop(size, every) · time(10 min, 1 sec) · time(size) · \
         length(3) · length_batch(10) · session(30 sec) · snapshot · stagger(size) · cumulate(max, step).",
        ],
        "wavetank new windowed-aggregation",
    ),
    (
        "correction",
        "an answer",
        &[
            "An answer that replaces an earlier one for the same window and group. Each carries its revision, counted without \
         gaps, and says what it does: insert, update-before, update-after, delete. Folded in order they give the sink's table.",
        ],
        "wavetank explain horizon",
    ),
    (
        "shed",
        "what an event can be",
        &[
            "An event is shed when it finds a full mailbox that gives up events instead of holding up the sender: the new one \
         (overflow = \"drop\") or the oldest (overflow = \"shed\"). With overflow = \"back-pressure\" nothing is shed: the \
         sender waits, and latency grows.",
            "A node may shed earlier: `shed = { above = 20, share = 0.5 }` gives up every other event while twenty wait; with \
         `by = \"store\"` those of some stores and none of others, whose results stay right; `priority = \"amount\"` \
         gives up what is worth least.",
        ],
        "wavetank explain overflow",
    ),
    (
        "datagram",
        "a kind of link",
        &[
            "What the faults do is what arrives: lost, twice, out of order. Allowed between sources and the first operators, \
         where a watermark generator stands behind the link.",
        ],
        "wavetank explain setting:link.kind",
    ),
    (
        "stream",
        "a kind of link, and a name for events of one schema",
        &[
            "A link that is first in, first out: numbered, acknowledged and sent again, so that loss and disorder of packets show \
         as delay. It is the default.",
            "As the name of events: name and version, like OrderStream/1.0; all events of one stream share one schema.",
        ],
        "wavetank explain setting:link.kind",
    ),
    (
        "node",
        "where actors stand",
        &[
            "A machine: it can crash, restart, pause and be slow; it has a wall clock, which gives stamps, and a monotonic clock, \
         which gives timers. Every actor without `node` stands on one of its own name.",
        ],
        "wavetank explain crash",
    ),
    (
        "draw",
        "a random decision",
        &[
            "A hash of the seed, the fault, its purpose, the link and the identity of what is decided about: never the next \
         number of a generator. So a higher rate hits the same events and more, other faults decide as before, and two \
         designs compared at one seed meet the same waves.",
        ],
        "wavetank explain seed",
    ),
    (
        "truth",
        "a reference",
        &[
            "The result over every event of the fault-free input, ordered by true time. An expectation says sink == truth where \
         the scenario promises completeness; the distance to it is reported in any case.",
            "It does not depend on when events are processed: where an operator goes by the engine's clock, truth is what it \
         would say if every event came at the instant at which it happened. What it says without faults is its twin.",
        ],
        "wavetank explain admitted",
    ),
    (
        "admitted",
        "a reference",
        &[
            "The result over truth without what never arrived, was lost and was late, ordered by stamp. Whatever the faults do, \
         a correct operator gives exactly this; the judge works it out from the arrivals, not from the operator.",
        ],
        "wavetank explain truth",
    ),
    (
        "twin",
        "a reference",
        &[
            "The same scenario at the same seed without its faults. Since draws are keyed, it differs by what the faults did and \
         by nothing else.",
        ],
        "wavetank explain draw",
    ),
    (
        "trace",
        "what a run leaves",
        &[
            "Every delivery, timer, emission and fault of a run, in order. Its hash names the run: same scenario, same seed, same \
         hash, on any number of threads. `wavetank run --trace` keeps it; replay and tap make it again.",
        ],
        "wavetank tap orders-per-minute --at per-minute",
    ),
    (
        "split",
        "a part of a conveyed operator",
        &[
            "NAME.split numbers the input of a conveyed operator and deals it to its sub-streams: by key, on a ring, by type, by \
         predicates, by load, or one after the other. When keys move it asks their old owner for the state and passes that on \
         to the new one, which lets their events wait until it is there.",
        ],
        "wavetank explain setting:operator.convey",
    ),
    (
        "sub-stream",
        "a part of a conveyed operator",
        &[
            "NAME-0, NAME-1, …: copies of the operator, each on a node of its own, each at its own pace. Their results keep the \
         number of the event that caused them. They tell the merge what they have processed, because what is filtered would \
         otherwise be waited for.",
        ],
        "wavetank explain setting:operator.convey.gaps",
    ),
    (
        "merge",
        "a part of a conveyed operator",
        &[
            "NAME.merge puts the results of the sub-streams out in the order of the numbers. It waits for the smallest number that \
         is not there, until it comes, is known not to come, or is given up by time-out. It can be the bottleneck: with \
         merge = \"arrival\" nothing waits, and nothing is in order.",
        ],
        "wavetank explain setting:operator.convey.merge",
    ),
    (
        "fabric",
        "a part of the world",
        &[
            "Holds every message and timer that is under way, ordered by time, class and sequence. Virtual time jumps from one \
         entry to the next: idle time costs nothing.",
        ],
        "wavetank explain step_budget",
    ),
    (
        "horizon",
        "a span of event time",
        &[
            "How long after a window is complete its state is kept (allowed lateness). An event that comes within it updates the \
         answer; one that comes after it is late for good. Longer: fewer wrong answers, more state.",
        ],
        "wavetank explain setting:operator.horizon",
    ),
    (
        "scenario",
        "a file",
        &[
            "Sources, operators, sinks, links, faults and expectations, in TOML. `must = \"fail\"` makes one that shows what goes \
         wrong: it counts as passed when it fails for the reason it names.",
        ],
        "wavetank new windowed-aggregation",
    ),
    (
        "expectation",
        "a statement about a run",
        &[
            "always, eventually (within), sometimes, never, or final. Besides those that the scenario writes, some follow from \
         what it promises: nothing lost, nothing twice, every event accounted for, watermarks that never step back.",
        ],
        "wavetank explain final",
    ),
];

static VERDICTS: &[Word] = &[
    (
        "pass",
        "a verdict",
        &["Every expectation holds, and each was put to the test."],
        "wavetank explain inconclusive",
    ),
    (
        "fail",
        "a verdict",
        &[
            "An expectation is broken. The report names the first broken moment, the event that broke it, what was expected and \
         what came, the faults that touched it, the line of the scenario that decided it, and how to bring it back.",
            "A scenario with must = \"fail\" that fails for the reason it names counts as passed: PASS (fails). FAIL (holds): it \
         should have failed and did not. FAIL (other): it failed for another reason.",
        ],
        "wavetank explain must",
    ),
    (
        "inconclusive",
        "a verdict",
        &[
            "Nothing is broken, but something was not put to the test: a declared fault never fired, an expectation had nothing \
         to speak of, nothing was expected at all, or the run was stopped.",
            "Over a range of seeds a fault counts as fired when it fired at any of them. So try more seeds, or raise the fault's \
         rate, widen its period, or take it out.",
        ],
        "wavetank run orders-per-minute --seeds 0..20",
    ),
    (
        "interrupted",
        "a verdict",
        &["The run was stopped by a person. What was seen up to then was judged and kept; nothing was broken so far."],
        "wavetank replay latest --until 1m",
    ),
];

fn topic(sort: Sort, (word, what, paragraphs, next): &Word) -> Topic {
    let mut page = Vec::new();
    for (i, paragraph) in paragraphs.iter().enumerate() {
        if i > 0 {
            page.push(Part::Gap);
        }
        page.push(Part::Text((*paragraph).into()));
    }
    page.push(Part::Next((*next).into()));
    Topic {
        sort,
        word: (*word).into(),
        what: (*what).into(),
        page,
    }
}

/// The field's words.
pub fn words() -> impl Iterator<Item = Topic> {
    WORDS.iter().map(|word| topic(Sort::Word, word))
}

/// The verdicts.
pub fn verdicts() -> impl Iterator<Item = Topic> {
    VERDICTS.iter().map(|word| topic(Sort::Verdict, word))
}
