//! Which plots a run has, where they stand, and how to read each.

use crate::record::Record;
use crate::timeline::{Plane, Timeline};

/// A plot.
pub struct Group {
    /// The section that it stands in.
    pub section: &'static str,
    /// Which drawing, as the script knows it.
    pub plot: &'static str,
    /// Of which actor, link or pattern, where there are several.
    pub of: String,
    pub title: String,
    /// How to read it, in a sentence or two.
    pub how: &'static str,
}

/// What is drawn of a pattern besides what every run has: the pattern, the drawing, its title, how to read it.
const PANELS: &[(&str, &str, &str, &str)] = &[
    (
        "transformation",
        "mapped",
        "Mapped lanes",
        "Above, events as they come in; below, what goes out for them. Order does not matter, copies pass through, and what cannot be worked on ends in a mark.",
    ),
    (
        "filter",
        "value",
        "Value over time",
        "Each event by its event time and value: filled when it passed, hollow when it was filtered. The lines are the threshold and, where there is one, its lower end: between them nothing changes.",
    ),
    (
        "windowed-aggregation",
        "panes",
        "Panes",
        "A row is a window: the bar is the event time that belongs to it, the line goes on to its first answer, a diamond is an answer, and the stroke says when it is gone for good.",
    ),
    (
        "stream-join",
        "pairs",
        "Pairs",
        "Left time across, right time up: each mark is a pair. They lie in a diagonal band as wide as the bound on their distance; marks on the edge had no partner.",
    ),
    (
        "stream-join",
        "series:held,state_bytes",
        "What waits for a partner",
        "The side that has not spoken makes the other one's state grow.",
    ),
    (
        "temporal-event-ordering",
        "arcs",
        "Matches",
        "Each arc goes from the first to the last event of a match, by event time; ticks are those between them.",
    ),
    (
        "temporal-event-ordering",
        "series:runs",
        "Beginnings under way",
        "How many matches had begun and not ended: the live states of the automaton.",
    ),
    (
        "machine-learner",
        "own",
        "What the learner measures of itself",
        "Its own metrics over time: the error on what it had not yet learned, and the moments at which it saw a drift.",
    ),
    (
        "machine-learner",
        "said",
        "Drifts, switches and versions",
        "When the learner saw a drift, when its gate switched from one model to the other and why, and when another version came.",
    ),
    (
        "machine-learner",
        "value",
        "Value over time",
        "Each event by its event time and value.",
    ),
    (
        "sequential-convey",
        "gantt",
        "Who worked when",
        "A row for each sub-stream, a bar for each event that it was busy with. Gaps are waiting; the longest row decides.",
    ),
    (
        "sequential-convey",
        "series:queue,held,gaps",
        "Queues and gaps",
        "What stands in front of each sub-stream and of the merge: a hot sub-stream makes all others wait at the merge.",
    ),
    (
        "buffered-event-ordering",
        "order",
        "In and out of the buffer",
        "Each line is an event: from the moment it came to the moment it was let go, at the height of its event time. On the right the heights only rise: that is order. A mark without a line came too late.",
    ),
    (
        "buffered-event-ordering",
        "slack",
        "The price of order",
        "How many events come later than a slack K behind the largest stamp, for every K; the upright line is the K that this run had. What is right of the line and above nought was late.",
    ),
    (
        "buffered-event-ordering",
        "series:slack,held",
        "Slack and buffer over time",
        "How long the buffer holds events back, and how many it holds.",
    ),
    (
        "course-correction",
        "answers",
        "First said, corrected, true",
        "A row is a window and group: each step is an answer; the hollow mark is what was said first, the filled one what stands in the end, the upright stroke the truth.",
    ),
    (
        "watermark",
        "watermarks",
        "Watermarks of the inputs",
        "Event time that each input has reached (its watermark, or in front of a generator its largest stamp), over virtual time; the bold line is the combined watermark. The least of them rules, but for inputs that are idle.",
    ),
    (
        "replay",
        "offsets",
        "Places in the log",
        "Each mark is an event given to a reader, by its place in the log; a filled square is one that it had been given before. The stepped line is what was acknowledged: everything above it comes again after a crash.",
    ),
    (
        "periodic-snapshot",
        "snapshots",
        "Snapshots",
        "A bar from the beginning of each snapshot to its completion, a tick where an actor cut its part, an arrow where everybody went back.",
    ),
    (
        "periodic-snapshot",
        "series:snapshot_bytes,snapshot_time,snapshot_age,restore_time",
        "What snapshots cost",
        "Their size, how long they took, and how old the newest was.",
    ),
    (
        "two-node-failover",
        "roles",
        "Roles and heartbeats",
        "A lane for each copy: a bar while it is the primary, hatched while its node is down. Thin lines are heartbeats; those that end in a cross never arrived.",
    ),
];

/// A pattern's name for people.
pub fn title(pattern: &str) -> String {
    let mut words = match pattern {
        "filter" => "filter and threshold".to_owned(),
        "periodic-snapshot" => "periodic snapshot state persistence".to_owned(),
        "two-node-failover" => "two-node failover".to_owned(),
        other => other.replace('-', " "),
    };
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// Planes of a run that are drawn.
pub const PLANES: usize = 4;

/// The planes that have something to show: those of sub-streams last, because they are much alike.
pub fn planes(timeline: &Timeline) -> impl Iterator<Item = &Plane> {
    let role = |plane: &&Plane| {
        timeline
            .actors
            .get(plane.actor)
            .is_some_and(|track| track.role == "sub-stream")
    };
    let mut planes: Vec<&Plane> = timeline
        .planes
        .iter()
        .filter(|plane| !plane.points.at.is_empty())
        .collect();
    planes.sort_by_key(role);
    planes.into_iter()
}

/// The plots of a run, in their order.
pub fn groups(record: &Record, timeline: &Timeline) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut add = |section, plot, of: &str, title: &str, how| {
        groups.push(Group {
            section,
            plot,
            of: of.to_owned(),
            title: title.to_owned(),
            how,
        });
    };
    let has = |names: &[&str]| {
        let mut series = timeline.actors.iter().flat_map(|track| &track.series);
        series.any(|series| names.contains(&series.name.as_str()))
    };
    let strips: [(&'static str, &[&str], &str, &'static str); 7] = [
        (
            "strip:rate",
            &["in", "out"],
            "Events a second",
            "What sources send and operators and sinks take.",
        ),
        (
            "strip:lag",
            &["lag"],
            "Watermark lag",
            "How far the watermark is behind true time: it grows while the watermark stalls.",
        ),
        (
            "strip:held",
            &["held"],
            "Events held",
            "Events in the state of operators that have no fate yet.",
        ),
        (
            "strip:state_bytes",
            &["state_bytes"],
            "Size of the state",
            "The memory that the state takes, roughly.",
        ),
        ("strip:queue", &["queue"], "Queues", "Elements that wait in mailboxes."),
        (
            "strip:backlog",
            &["backlog", "pending"],
            "Backlog",
            "What brokers keep that is not acknowledged, and copies that is not published for good.",
        ),
        (
            "strip:trouble",
            &["late", "shed", "failed", "lost_in_crash", "corrections"],
            "Late, shed, failed, lost, corrected",
            "How many in each bucket of time.",
        ),
    ];
    for (plot, names, title, how) in strips {
        if has(names) {
            add("strips", plot, "", title, how);
        }
    }
    for plane in planes(timeline).take(PLANES) {
        let Some(track) = timeline.actors.get(plane.actor) else {
            continue;
        };
        add(
            "plane",
            "plane",
            &track.actor,
            &format!("Time plane of {}", track.actor),
            "When each event happened, across, and when it came, upwards; on the dashed line are those that came at once. The stepped line is the watermark: what comes left of it may be late.",
        );
        add(
            "plane",
            "lag",
            &track.actor,
            &format!("Lag at {}", track.actor),
            "When each event happened, across, and how much later it came, upwards. A window is a saw-tooth: an event is lost to it exactly when it lies above.",
        );
    }
    if !timeline.messages.link.is_empty() {
        add(
            "messages",
            "spacetime",
            "",
            "Space-time diagram",
            "A lane for each actor, time across, a line for each message, to scale. A lost message ends in a cross, a copy forks. Point at one, or name an event, to follow it through everything.",
        );
    }
    if record.histograms.values().any(|all| all.contains_key("latency")) {
        add(
            "latency",
            "spectrum",
            "",
            "Percentiles",
            "The share of results that took at most so long, on an axis that widens towards the slowest. Full lines count from the moment an event was planned to leave, dashed ones from the moment it left: a gap between them is a source that was held up.",
        );
    }
    if has(&["latency"]) {
        add(
            "latency",
            "strip:latency",
            "",
            "Latency over time",
            "The shortest and the longest in each bucket.",
        );
    }
    for why in timeline.why.iter().filter(|why| why.results > 1) {
        let Some(track) = timeline.actors.get(why.actor) else {
            continue;
        };
        add(
            "latency",
            "causes",
            &track.actor,
            &format!("Where the time of {} went", track.actor),
            "The mean time of the results of each moment, split by cause.",
        );
    }
    for (pattern, plot, title, how) in PANELS.iter().filter(|(pattern, ..)| *pattern == record.pattern) {
        let _ = pattern;
        let there = match *plot {
            "value" => timeline.planes.iter().any(|plane| !plane.points.value.is_empty()),
            "mapped" | "order" => timeline.planes.iter().any(|plane| !plane.points.at.is_empty()),
            "panes" => timeline.planes.iter().any(|plane| !plane.windows.start.is_empty()),
            "pairs" | "arcs" => !timeline.made.is_empty(),
            "said" => timeline.marks.iter().any(|mark| mark.kind == "note"),
            "gantt" => timeline.spans.iter().any(|span| span.kind == "work"),
            "slack" => record.metrics.values().any(|all| all.contains_key("slack.max")),
            "answers" => !timeline.answers.is_empty(),
            "watermarks" => timeline.planes.iter().any(|plane| !plane.watermark.at.is_empty()),
            "offsets" => !timeline.offsets.is_empty(),
            "snapshots" => timeline
                .spans
                .iter()
                .any(|span| matches!(span.kind.as_str(), "snapshot" | "aborted")),
            "roles" => timeline.actors.iter().any(|track| track.role == "copy"),
            series => series
                .strip_prefix("series:")
                .is_none_or(|names| has(&names.split(',').collect::<Vec<_>>())),
        };
        if there {
            add("pattern", plot, "", title, how);
        }
    }
    groups
}
