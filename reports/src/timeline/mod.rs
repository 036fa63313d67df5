//! The timeline: what went on during a run, for plots.
//!
//! A second artefact beside the [`crate::record::Record`], gathered only when it is asked for, by an observer of the run.
//! The record says what came of a run, in full; the timeline says when, and is small however long the run was: series are
//! cut into buckets (see [`strip`]), and of events, messages and answers a share is kept that follows from their identity
//! (see [`sample`]), the unlucky ones before the others. [`Timeline::left_out`] says what is missing. Numbers that are
//! counted here are counted over everything, before anything is left out.
//!
//! Times are microseconds since [`Timeline::start`], but for event times, which may lie before it and are counted from
//! there all the same. Lists that are long are kept column by column.

pub mod sample;
pub mod strip;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::TraceHash;
use crate::time::{Span, Time};
pub use sample::Sample;
pub use strip::{Form, Series, Strip};

/// The version of the timeline that this program writes.
pub const SCHEMA: u32 = 1;

/// What stands in a column where there is nothing.
pub const NONE: i64 = i64::MIN;

/// What went on during a run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Timeline {
    /// Version of this format: [`SCHEMA`].
    pub schema: u32,
    /// The trace of the run that it belongs to.
    pub trace_hash: TraceHash,
    /// Where virtual time started.
    #[serde(rename = "start_us")]
    pub start: Time,
    /// How much virtual time went by.
    #[serde(rename = "length_us")]
    pub length: Span,
    /// The width of a bucket of every series.
    #[serde(rename = "bucket_us")]
    pub bucket: Span,
    /// The actors, in the order of the pipeline; what names an actor by number means a place in this list.
    pub actors: Vec<Track>,
    /// The links; what names a link by number means a place in this list.
    pub links: Vec<LinkEnds>,
    /// When faults were at work.
    pub bands: Vec<Band>,
    /// Events at operators: when they happened, when they came, what became of them.
    pub planes: Vec<Plane>,
    /// Messages on links.
    pub messages: Messages,
    /// What lasted: work, snapshots, the time in which a copy was the primary.
    pub spans: Vec<Lasting>,
    /// What happened at an instant to an actor.
    pub marks: Vec<Mark>,
    /// Answers of windows and what became of them.
    pub answers: Vec<Answers>,
    /// Results and the times of the events behind them.
    pub made: Vec<Made>,
    /// What readers of brokers were given.
    pub offsets: Vec<Offsets>,
    /// Where the time of results went, by sink.
    pub why: Vec<Why>,
    /// What was left out, each with its rule.
    pub left_out: Vec<LeftOut>,
}

/// What an actor did over time.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Track {
    /// Its name.
    pub actor: String,
    /// What it is, as in the record.
    pub role: String,
    /// The node that it stands on.
    pub node: String,
    /// Its series. One that was zero all the time is left away.
    pub series: Vec<Series>,
}

/// Between whom a link goes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LinkEnds {
    /// `from -> to`.
    pub link: String,
    /// Who sends.
    pub from: usize,
    /// Who receives.
    pub to: usize,
    /// Whether it carries no events, or only back.
    #[serde(default)]
    pub control: bool,
}

/// A time in which a fault was at work.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Band {
    /// The fault's id.
    pub fault: String,
    /// What it is, by its name in files.
    pub kind: String,
    /// What it disturbs.
    pub on: String,
    /// From when.
    pub from: i64,
    /// Until when.
    pub to: i64,
}

/// What became of an event at an operator. The order is that of the numbers in [`Points::fate`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It was taken in.
    Taken,
    /// A predicate said no.
    Filtered,
    /// It came too late.
    Late,
    /// It could not be worked on.
    Failed,
    /// A full mailbox turned it away.
    Shed,
    /// It was lost on the way.
    Lost,
    /// It was in the mailbox or at work when the node crashed.
    Crashed,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Taken,
        Self::Filtered,
        Self::Late,
        Self::Failed,
        Self::Shed,
        Self::Lost,
        Self::Crashed,
    ];
    /// In a word or two.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Filtered => "filtered",
            Self::Late => "late",
            Self::Failed => "failed",
            Self::Shed => "shed",
            Self::Lost => "lost on the way",
            Self::Crashed => "lost in a crash",
        }
    }
    /// Whether a person looks for it: such events are kept before all others.
    pub const fn is_unlucky(self) -> bool {
        !matches!(self, Self::Taken | Self::Filtered)
    }
}

/// The events of one operator.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Plane {
    /// Which operator.
    pub actor: usize,
    /// How many events had which fate, over all events.
    pub fates: BTreeMap<String, u64>,
    /// The events that are kept.
    pub points: Points,
    /// The combined watermark.
    pub watermark: Steps,
    /// The watermark of each input, where there are several.
    pub inputs: Vec<Named>,
    /// The windows that gave an answer.
    pub windows: Windows,
    /// What [`Points::value`] is, where there is one.
    pub value: Option<String>,
    /// Lines to draw beside the values: a threshold, by name.
    pub rules: Vec<(String, f64)>,
}

/// Events, a column for each thing.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Points {
    /// Event time.
    pub stamp: Vec<i64>,
    /// When it came; when it was sent, for one that never did.
    pub at: Vec<i64>,
    /// When the first result with its name to it went out.
    pub out: Vec<Option<i64>>,
    /// Its fate, as a place in [`Fate::ALL`].
    pub fate: Vec<u8>,
    /// The actor that made it.
    pub from: Vec<usize>,
    /// Its number there.
    pub number: Vec<u64>,
    /// A value of it; empty where the plane has none.
    pub value: Vec<Option<f64>>,
}

/// A value that changes at instants.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Steps {
    /// When.
    pub at: Vec<i64>,
    /// To what.
    pub value: Vec<i64>,
}

/// Steps with a name.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Named {
    /// Whose.
    pub name: String,
    /// Its steps.
    pub steps: Steps,
}

/// Windows, a column for each thing.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Windows {
    /// The first event time that belongs to it.
    pub start: Vec<i64>,
    /// The first that does not any more.
    pub end: Vec<i64>,
    /// When it gave its first answer.
    pub first: Vec<i64>,
    /// When it gave its last one.
    pub last: Vec<i64>,
    /// When the watermark went past its end and all that it waits beyond; nothing while it had not.
    pub gone: Vec<Option<i64>>,
    /// How many answers it gave, over all groups.
    pub answers: Vec<u32>,
}

/// What a message carried. The order is that of the numbers in [`Messages::kind`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carried {
    /// An event.
    Event,
    /// A watermark, or that there will be none for a while.
    Watermark,
    /// The barrier of a snapshot, or the marker of an epoch.
    Barrier,
    /// A heartbeat, and all else that copies tell each other.
    Copy,
    /// What else actors agree on.
    Control,
}

/// Messages, a column for each thing.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Messages {
    /// The link.
    pub link: Vec<usize>,
    /// When it was sent.
    pub sent: Vec<i64>,
    /// When it arrived; nothing when it never did.
    pub got: Vec<Option<i64>>,
    /// What it carried, in the order of [`Carried`].
    pub kind: Vec<u8>,
    /// Of an event: the source event that it goes back to, `orders#17`; of others what they say.
    pub about: Vec<String>,
    /// Of an event: its own identity, where it is another.
    pub id: Vec<String>,
    /// The fault that touched it, as a place in the record's list.
    pub fault: Vec<Option<usize>>,
}

/// Something that lasted.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Lasting {
    /// Whose.
    pub actor: usize,
    /// What: `work`, `primary`, `down`, `paused`, `snapshot`, `aborted`.
    pub kind: String,
    /// From when.
    pub from: i64,
    /// Until when.
    pub to: i64,
    /// Which.
    pub label: String,
}

/// Something that happened to an actor at an instant.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at: i64,
    /// To whom.
    pub actor: usize,
    /// What: `crash`, `restart`, `cut`, `recovery`, `suspects`, …
    pub kind: String,
    /// In words.
    pub text: String,
}

/// The answers for one window and group.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Answers {
    /// Who gave them.
    pub actor: usize,
    /// Which column the values are of.
    pub column: String,
    /// The group, in words.
    pub group: String,
    /// The first event time that belongs to the window.
    pub start: Option<i64>,
    /// The first that does not any more.
    pub end: Option<i64>,
    /// When each was given.
    pub at: Vec<i64>,
    /// What each said; nothing for one that was taken back.
    pub value: Vec<Option<f64>>,
    /// Why each was given: `early`, `on-time`, `late`.
    pub timing: Vec<String>,
    /// What a complete and undisturbed input would have given.
    pub truth: Option<f64>,
}

/// A result and the event times of what is behind it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Made {
    /// Who made it.
    pub actor: usize,
    /// When.
    pub at: i64,
    /// Event times of the events behind it, with the input that each came by.
    pub parts: Vec<(i64, usize)>,
}

/// What a reader of a broker was given, a column for each thing.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Offsets {
    /// The reader.
    pub actor: usize,
    /// How many events it was given, over all.
    pub given: u64,
    /// How many of them it had been given before.
    pub again: u64,
    /// When.
    pub at: Vec<i64>,
    /// The partition.
    pub partition: Vec<u32>,
    /// The place in it.
    pub offset: Vec<u64>,
    /// Whether it had been given before.
    pub repeated: Vec<bool>,
    /// Acknowledgements: when, the partition, the place up to which.
    pub acknowledged: Vec<(i64, u32, u64)>,
}

/// What a result's time went to. The order is that of the numbers in [`Why::parts`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It left its source later than planned.
    Source,
    /// On links, undisturbed.
    Link,
    /// On links, with a fault's hand in it.
    Fault,
    /// In a broker.
    Broker,
    /// In a mailbox.
    Queue,
    /// In a buffer that puts events in order, or in front of a merge.
    Reorder,
    /// In the state of an operator, until a window, a pair or a sequence was complete.
    Window,
    /// Being worked on.
    Work,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Source,
        Self::Link,
        Self::Fault,
        Self::Broker,
        Self::Queue,
        Self::Reorder,
        Self::Window,
        Self::Work,
    ];
    /// In a few words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "held up at the source",
            Self::Link => "on the way",
            Self::Fault => "fault delay",
            Self::Broker => "in the broker",
            Self::Queue => "queue",
            Self::Reorder => "reorder wait",
            Self::Window => "window wait",
            Self::Work => "work",
        }
    }
}

/// Where the time of a sink's results went, from the moment at which the event that brought a result about was planned to
/// leave its source: the one that completed it, and of a correction the late one that it corrects for.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Why {
    /// The sink.
    pub actor: usize,
    /// How many results were split.
    pub results: u64,
    /// How many were not, because the way of their event was not followed to its end.
    pub unsplit: u64,
    /// The latency of results as the record has it, from the moment at which the latest event behind each was planned,
    /// less the time that its source was held up.
    pub from_sent: crate::Histogram,
    /// The latency of the same results, with it.
    pub from_planned: crate::Histogram,
    /// All time of all results, by cause, in microseconds.
    pub total: [u64; 8],
    /// Shares of results in groups from the fastest to the slowest: what a group is, how many it has, and the mean
    /// time of one of its results by cause, in microseconds.
    pub parts: Vec<(String, u64, [f64; 8])>,
}

/// Something of which not everything is kept.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// What.
    pub what: String,
    /// How many there were.
    pub had: u64,
    /// How many are kept.
    pub kept: u64,
    /// By which rule.
    pub rule: String,
}

impl Timeline {
    /// The place of an actor.
    pub fn actor(&self, name: &str) -> Option<usize> {
        self.actors.iter().position(|track| track.actor == name)
    }
    /// A series of an actor.
    pub fn series(&self, actor: &str, name: &str) -> Option<&Series> {
        let track = &self.actors[self.actor(actor)?];
        track.series.iter().find(|series| series.name == name)
    }
}
