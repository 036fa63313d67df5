//! What is saved while a run goes well, and where it begins again after a crash.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Disk;
use crate::time::Span;

/// `[snapshot]`: the state of all operators is saved again and again, as one consistent cut, and a crash sets all of them
/// back to the last one that is complete.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// How often, by the clock of the node `snapshots`. Default: by `events` or `watermark`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// After how many events that readers have taken, together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    /// Each time the watermarks of all readers have passed a multiple of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Span>,
    /// How the cut is made where several inputs meet.
    #[serde(default)]
    pub barrier: BarrierMode,
    /// How many complete snapshots are kept.
    #[serde(default = "three")]
    pub keep: u32,
    /// Every so-manieth snapshot is full; those between hold what has changed. 1: all are full.
    #[serde(default = "one")]
    pub full_every: u32,
    /// Compressed by LZ4.
    #[serde(default)]
    pub compress: bool,
    /// Encrypted by ChaCha20-Poly1305, with a key that is given to the run and never stands in a scenario.
    #[serde(default)]
    pub encrypt: bool,
    /// What happens when the next is due and one is still under way.
    #[serde(default)]
    pub overlap: Overlap,
    /// A snapshot that is not complete after this long is given up. Default: ten times `every`; without it 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_out: Option<Span>,
    /// The disk of the store.
    #[serde(default)]
    pub disk: Disk,
}

impl Snapshot {
    /// After how long a snapshot that is not complete is given up.
    pub fn time_out(&self) -> Span {
        let ten_times = self.every.map(|every| every.scale(10.0));
        self.time_out.or(ten_times).unwrap_or(Span::from_secs(600))
    }
}

/// What happens when a snapshot is due and one is still under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// None is made: the one under way goes on.
    #[default]
    Skip,
    /// The one under way is given up.
    Replace,
}

/// How a cut is made where several inputs meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BarrierMode {
    /// An input that has its barrier waits for the others.
    #[default]
    Aligned,
    /// Nothing waits: the cut is made at the first barrier, and what overtakes it on the other inputs is saved with it.
    Unaligned,
}

/// `[replay]`: after a crash the operators begin afresh, and read again from the last safe point.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Replay {
    /// Where reading begins again.
    pub from: ReplayFrom,
    /// When an event counts as worked on.
    pub acknowledge: Acknowledge,
}

/// Where reading begins again after a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplayFrom {
    /// Behind what was acknowledged.
    #[default]
    Committed,
    /// With the oldest event that is kept.
    Earliest,
    /// With what comes from then on: what came in between is lost.
    Latest,
    /// This long before the crash was noticed, by the time at which the broker kept the events.
    Back(Span),
    /// As far back as an event can still matter to an operator: by the length of its windows.
    Reach,
}

impl ReplayFrom {
    /// As in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Earliest => "earliest",
            Self::Latest => "latest",
            Self::Back(_) => "back",
            Self::Reach => "reach",
        }
    }
}

/// When an event that was read counts as worked on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Acknowledge {
    /// When it is taken: what is in the state when a crash comes is lost.
    Taken,
    /// When nothing that it could still affect is open.
    #[default]
    Done,
    /// When the snapshot that holds its effect is complete.
    Snapshot,
}

/// When a sink shows what it is given, and what it does with what it has been given already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Everything, at once; what comes again is there twice.
    #[default]
    AtLeastOnce,
    /// What has the producer and number of something that it has is dropped.
    ByNumber,
    /// What answers for the same window, key and revision as something that it has is dropped; where there is no window,
    /// what goes back to the same event.
    ByResult,
    /// With `[snapshot]`: what came before a cut is shown when the snapshot is complete, and what came after the last
    /// complete one is forgotten in a crash, and comes again.
    Transactional,
}

const fn one() -> u32 {
    1
}
const fn three() -> u32 {
    3
}
