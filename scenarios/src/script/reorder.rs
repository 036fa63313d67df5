//! Reordering buffers: events are held back for a while and put out in order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

/// A reordering buffer. Exactly one of `slack`, `k_slack`, `mp_k_slack`, `aq_k_slack`, `siddhi_k_slack`,
/// `siddhi_ak_slack`, `until` and `number` says when an event is let go.
///
/// By time, `M` being the largest stamp that came: an event stamped `t` is let go when `t ≤ M − K`; what is let go
/// together goes by stamp, events with the same stamp by source, then number. An event stamped before one that has been
/// put out is late, and the operator's `late` says what happens to it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reorder {
    /// By time: a fixed `K`. Disorder of up to this much is repaired completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<Span>,
    /// By time: `K` is the largest of the latest delays, so that it grows and shrinks with the disorder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k_slack: Option<KSlack>,
    /// By time: `K` is the largest delay that was ever seen; it never shrinks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mp_k_slack: Option<MpKSlack>,
    /// By time: `K` is just as large as the wanted quality of a window's aggregate needs. (A patent exists on that line of
    /// work: US 10311061.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aq_k_slack: Option<AqKSlack>,
    /// By time, as `reorder:kslack` of Siddhi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub siddhi_k_slack: Option<SiddhiKSlack>,
    /// By time, as `reorder:akslack` of Siddhi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub siddhi_ak_slack: Option<SiddhiAkSlack>,
    /// By time, with no `K`: an event is let go when the watermark has reached its stamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// By number: `n + 1` is let go when `n` has been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Numbers>,
    /// With `slack`, `k_slack`, `mp_k_slack` and `aq_k_slack`: where `M` is kept; of several the smallest counts, and a
    /// delay is measured against that of the event's own producer. Default: one for the whole input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<SlackScope>,
    /// The longest that an event waits, by the node's monotonic clock: then it goes out with all that belongs before it
    /// and is there (for `number`: what is missing before it is given up). This frees what a source that has gone quiet
    /// left behind. With `siddhi_k_slack` and `siddhi_ak_slack`: their timer. Default: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// Where the largest stamp of a buffer is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SlackScope {
    /// One for all inputs together.
    #[default]
    Input,
    /// One for each producer (source node).
    Source,
}

/// `K` is the largest of the latest delays. The delay of an event is `M − t` when it comes, itself counted in `M`. `K`
/// starts at zero, and an event counts before what it lets go is let go.
///
/// After Babu, Srivastava and Widom (2004), with the bound learnt from the stream.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KSlack {
    /// How many of the latest delays count.
    pub samples: u64,
    /// `K` is never larger than this. Default: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_k: Option<Span>,
}

impl Default for KSlack {
    fn default() -> Self {
        Self {
            samples: 1_000,
            max_k: None,
        }
    }
}

/// `K` is the largest delay ever seen, `M − t` when the event comes; it starts at zero and never shrinks.
///
/// After Mutschler and Philippsen (2013).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MpKSlack {
    /// `K` is never larger than this. Default: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_k: Option<Span>,
}

/// `K` is the smallest that keeps the expected error of a window's aggregate under a target, after Ji and others (2015).
///
/// Every `every` events it is worked out anew, from the latest `samples` events: (1) how many events a window has, and the
/// mean and deviation of its values, say which share of the events has to be in time for the error to stay within `error`
/// with probability `confidence` (what is missing counts as a random sample); (2) the difference between that share and
/// the share of events that were in time since the last step corrects it, by `proportional` times the difference and
/// `derivative` times its change; (3) `K` is the smallest of the latest delays that is not exceeded by the corrected share
/// of them. Until the first step `K` is the largest delay seen. A patent exists on that line of work: US 10311061.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AqKSlack {
    /// The largest relative error of the aggregate that is accepted, above 0 and below 1.
    pub error: f64,
    /// The size of the windows that the aggregate is taken over.
    pub window: Span,
    /// With which probability, above 0 and below 1.
    #[serde(default = "confidence")]
    pub confidence: f64,
    /// Which aggregate.
    #[serde(default)]
    pub aggregate: QualityOf,
    /// For `sum` and `avg`: of what, in SQL. Events for which it is no number count as events and not in the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub value: Option<crate::query::Predicate>,
    /// How many events lie between two adaptations.
    #[serde(default = "hundred")]
    pub every: u64,
    /// How many of the latest events count.
    #[serde(default = "thousand")]
    pub samples: u64,
    /// How much of the difference between wanted and measured share is corrected at each step.
    #[serde(default = "proportional")]
    pub proportional: f64,
    /// How much of the change of that difference.
    #[serde(default = "derivative")]
    pub derivative: f64,
    /// `K` is never larger than this. Default: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_k: Option<Span>,
}

/// Which aggregate the quality is that of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QualityOf {
    /// How many events: what is missing is missing in the count.
    #[default]
    Count,
    /// A sum.
    Sum,
    /// A mean: what is missing hurts only as far as values differ.
    Avg,
}

/// As `reorder:kslack` of Siddhi: nothing is learnt or let go but when the largest stamp grows; the delay is then measured
/// from the smallest stamp that came since it last grew, the growing event included. `K` never shrinks. Events with the
/// same stamp go in order of arrival. With a `timeout` all that came before the largest stamp last grew is let go that
/// long after the first event, and again every `every`; this does not count when lateness is judged. `late = "drop"` is
/// Siddhi's `discard.late`, `late = "emit"` its default; it does not flush at the end.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SiddhiKSlack {
    /// A delay of this much or more makes `K` this. Default: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_k: Option<Span>,
    /// With `timeout`: how often its timer comes again.
    pub every: Span,
}

impl Default for SiddhiKSlack {
    fn default() -> Self {
        Self {
            max_k: None,
            every: Span::from_secs(1),
        }
    }
}

/// As `reorder:akslack` of Siddhi: as `siddhi_k_slack`, but that a new `K` is the measured delay times a factor, which a
/// controller works out anew after every `batch` events and one. With a `timeout` everything is let go that long after the
/// first event since the timer was last due. What Siddhi has written down as numbers are settings here, with its values
/// for defaults.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SiddhiAkSlack {
    /// The value whose error is meant, in SQL: a number. What is none counts as zero.
    #[schemars(with = "String")]
    pub value: crate::query::Predicate,
    /// After how many events, and one, the factor is worked out anew.
    #[serde(default = "ten_thousand")]
    pub batch: u64,
    /// A delay of this much or more makes `K` this. Default: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_k: Option<Span>,
    /// The error that is accepted.
    #[serde(default = "siddhi_error")]
    pub error: f64,
    /// With which probability.
    #[serde(default = "confidence")]
    pub confidence: f64,
    /// The weight of the difference between wanted and measured coverage.
    #[serde(default = "proportional")]
    pub proportional: f64,
    /// The weight of its change.
    #[serde(default = "derivative")]
    pub derivative: f64,
    /// The size of the window whose coverage is measured.
    #[serde(default = "siddhi_window")]
    pub window: Span,
}

/// What events wait for that are ordered without a `K`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// The watermark: what it has reached is let go.
    Watermark,
}

/// By number: each sequence counts its events without gaps, and is put out in that order, whatever the stamps say. A
/// number that comes again is a duplicate: counted (`duplicates`) and filtered. A number that comes after it has been given
/// up is late.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Numbers {
    /// The field with the number, a whole number that is not negative. Default: the number that the producer gave the
    /// event, one sequence for each producer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// With `field`: one sequence for each value of these fields. Default: one in all.
    pub by: Vec<String>,
    /// The number that a sequence begins with.
    pub first: u64,
    /// An end-of-sequence message, in SQL: when an event comes for which this is true, all of its sequence before it has
    /// been sent. What is missing then is given up at once, a lost tail too; the message itself is put out in its turn.
    /// Default: there is none, and only `timeout` and the end of input give gaps up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub end: Option<crate::query::Predicate>,
    /// Each gap that is given up is named by a row of its own, before the event behind it: the fields of `by` as there,
    /// `missing_first` and `missing_last` the numbers, the rest null. (In other rows those two are null.)
    pub mark_gaps: bool,
    /// So many ranges of numbers that were given up are remembered for each sequence, those of the largest numbers; a
    /// number from a forgotten one counts as a duplicate when it comes after all.
    pub remember: u64,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            field: None,
            by: Vec::new(),
            first: 0,
            end: None,
            mark_gaps: false,
            remember: 1_000,
        }
    }
}

impl Numbers {
    /// The fields that `mark_gaps` adds: the first and the last number that is missing.
    pub const GAP_FIELDS: [&'static str; 2] = ["missing_first", "missing_last"];
}

/// When a reordering buffer lets events go: the one of its keys that says so.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each is the key of that name")]
pub enum Release<'a> {
    Slack(Span),
    KSlack(&'a KSlack),
    MpKSlack(&'a MpKSlack),
    AqKSlack(&'a AqKSlack),
    SiddhiKSlack(&'a SiddhiKSlack),
    SiddhiAkSlack(&'a SiddhiAkSlack),
    Until(Until),
    Number(&'a Numbers),
}

impl Reorder {
    /// The keys that say when an event is let go; a buffer has exactly one.
    pub const RELEASES: &'static [&'static str] = &[
        "slack",
        "k_slack",
        "mp_k_slack",
        "aq_k_slack",
        "siddhi_k_slack",
        "siddhi_ak_slack",
        "until",
        "number",
    ];

    /// All that is said about when an event is let go, with the key that says so. A checked scenario has exactly one.
    pub fn releases(&self) -> impl Iterator<Item = (&'static str, Release<'_>)> {
        let all = [
            self.slack.map(Release::Slack),
            self.k_slack.as_ref().map(Release::KSlack),
            self.mp_k_slack.as_ref().map(Release::MpKSlack),
            self.aq_k_slack.as_ref().map(Release::AqKSlack),
            self.siddhi_k_slack.as_ref().map(Release::SiddhiKSlack),
            self.siddhi_ak_slack.as_ref().map(Release::SiddhiAkSlack),
            self.until.map(Release::Until),
            self.number.as_ref().map(Release::Number),
        ];
        Self::RELEASES
            .iter()
            .copied()
            .zip(all)
            .filter_map(|(key, release)| Some((key, release?)))
    }

    /// When an event is let go.
    ///
    /// # Errors
    /// None of the keys that could say so is there.
    pub fn release(&self) -> Result<Release<'_>, String> {
        let first = self.releases().next();
        first.map(|(_, release)| release).ok_or_else(|| {
            let keys = Self::RELEASES.join("`, `");
            format!("the buffer has none of `{keys}`: when shall it let events go?")
        })
    }

    /// The expressions that are evaluated over single events, each with its key within the buffer's settings.
    pub fn expressions(&self) -> impl Iterator<Item = (&'static str, &crate::query::Predicate)> {
        let quality = self.aq_k_slack.as_ref().and_then(|aq| aq.value.as_ref());
        let siddhi = self.siddhi_ak_slack.as_ref().map(|ak| &ak.value);
        let end = self.number.as_ref().and_then(|number| number.end.as_ref());
        [
            ("aq_k_slack.value", quality),
            ("siddhi_ak_slack.value", siddhi),
            ("number.end", end),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
    }

    /// Where the largest stamp is kept.
    pub fn scope(&self) -> SlackScope {
        self.scope.unwrap_or_default()
    }
}

const fn confidence() -> f64 {
    0.95
}

const fn hundred() -> u64 {
    100
}

const fn thousand() -> u64 {
    1_000
}

const fn ten_thousand() -> u64 {
    10_000
}

const fn proportional() -> f64 {
    0.5
}

const fn derivative() -> f64 {
    0.8
}

const fn siddhi_error() -> f64 {
    0.03
}

const fn siddhi_window() -> Span {
    Span::from_millis(10_000_000_000)
}
