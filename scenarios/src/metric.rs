//! The metrics of a run: one descriptor each, which expectations, reports, help and documentation all read.

use serde::Serialize;

/// What a metric is measured on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measured {
    /// A source (each part): `orders-0.sent`.
    Source,
    /// An operator: `per-minute.late`.
    Operator,
    /// A broker: `orders-log.kept`.
    Broker,
    /// A watermark generator: `per-minute.watermark.lag`.
    Generator,
    /// A sink: `dashboard.results`.
    Sink,
    /// A link: `"orders -> per-minute".delivered`.
    Link,
    /// A fault: `fault.slow-link.fired`.
    Fault,
    /// The coordinator of snapshots: `snapshots.completed`.
    Snapshots,
}

impl Measured {
    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Operator => "operator",
            Self::Broker => "broker",
            Self::Generator => "watermark generator",
            Self::Sink => "sink",
            Self::Link => "link",
            Self::Fault => "fault",
            Self::Snapshots => "coordinator of snapshots",
        }
    }
}

/// The unit of a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// How many.
    Count,
    /// Microseconds of virtual time.
    Micros,
    /// Bytes.
    Bytes,
    /// A share, or a number in the unit of what is predicted; read in millionths.
    Ratio,
}

/// Whether a metric is one number or a distribution.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Only grows.
    Counter,
    /// Goes up and down; its largest value is `name.max`.
    Gauge,
    /// A distribution: asked for by `p50`, `p90`, `p99`, `p999`, `min`, `max`, `mean` or `count`.
    Histogram,
}

/// What may stand behind a histogram's name.
pub const STATISTICS: &[&str] = &["p50", "p90", "p95", "p99", "p999", "min", "max", "mean", "count"];

/// Everything there is to know about a metric.
#[derive(Clone, Debug, Serialize)]
pub struct MetricDescriptor {
    /// Which.
    pub metric: Metric,
    /// As an expectation names it.
    pub name: &'static str,
    /// What it is measured on.
    pub of: &'static [Measured],
    /// Its unit.
    pub unit: Unit,
    /// One number or a distribution.
    pub form: Form,
    /// What it means, in a line.
    pub meaning: &'static str,
}

macro_rules! metrics {
    ($($metric:ident $name:literal [$($of:ident),+] $unit:ident $form:ident $meaning:literal;)*) => {
        /// A metric.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Metric {
            $(#[doc = $meaning] $metric),*
        }
        /// Every metric.
        pub static METRICS: &[MetricDescriptor] = &[$(MetricDescriptor {
            metric: Metric::$metric,
            name: $name,
            of: &[$(Measured::$of),+],
            unit: Unit::$unit,
            form: Form::$form,
            meaning: $meaning,
        }),*];
        impl Metric {
            /// As an expectation names it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$metric => $name),*
                }
            }
        }
    };
}

metrics! {
    Sent "sent" [Source, Link] Count Counter "elements sent, copies and repetitions included";
    Bad "bad" [Source] Count Counter "rows of the source's file that could not be read and were skipped";
    Behind "behind" [Source] Micros Histogram "how far behind its plan an event was sent, where one ever was";
    Arrived "arrived" [Operator, Broker, Generator, Sink] Count Counter "events that were taken in";
    Emitted "emitted" [Operator, Generator] Count Counter "events that were put out";
    Caused "caused" [Operator] Count Counter "input events that are done and caused a result";
    Filtered "filtered" [Operator] Count Counter "input events that are done without a result, because a predicate was not true";
    Late "late" [Operator] Count Counter "input events that came too late, those that a reordering buffer put out all the same included";
    Failed "failed" [Operator] Count Counter "input events that could not be worked on";
    Shed "shed" [Operator, Generator, Sink] Count Counter "events given up in front of it: its mailbox was full, or more waited than its node lets wait";
    LostInCrash "lost_in_crash" [Operator, Broker, Generator, Sink] Count Counter "events that were held or waiting when the node crashed";
    Held "held" [Operator] Count Gauge "input events in the state that have no fate yet";
    Corrections "corrections" [Operator, Sink] Count Counter "answers after the first for the same window and group";
    StateBytes "state_bytes" [Operator] Bytes Gauge "the memory that the state takes, roughly";
    Incomplete "incomplete" [Operator] Count Counter "partial answers: of a gather whose parts did not all come";
    Asked "asked" [Operator] Count Counter "how often a gather asked for what was missing";
    Runs "runs" [Operator] Count Gauge "beginnings of matches under way in a sequence";
    TimedOut "timed_out" [Operator] Count Counter "beginnings of matches that were given up because `within` was over; of a learner, questions that its service did not answer in time";
    Slack "slack" [Operator] Micros Gauge "how long a reordering buffer holds events back: its K";
    Gaps "gaps" [Operator] Count Counter "numbers that a reordering buffer gave up, or that a merge passed because nothing of them would come";
    Duplicates "duplicates" [Operator] Count Counter "events whose number a reordering buffer had already; they are filtered";
    Wait "wait" [Operator] Micros Histogram "how long an event stayed in a reordering buffer, from arrival to being put out";
    Unordered "unordered" [Operator, Sink] Count Counter "events put out, or taken by a sink, with a stamp below an earlier one's";
    MergeWait "merge_wait" [Operator] Micros Histogram "how long a result waits at a merge for its turn";
    MovedKeys "moved_keys" [Operator] Count Counter "keys whose state a sub-stream handed over to another";
    Learned "learned" [Operator] Count Counter "examples that an online model learned from";
    Unlearned "unlearned" [Operator] Count Counter "labels and examples that could not be learned from: empty, of the wrong kind, or too much for the model";
    MissingLabels "missing_labels" [Operator] Count Counter "events whose label did not come in time";
    Unmatched "unmatched" [Operator] Count Counter "labels that belonged to no event, or to one that was no longer waited for";
    AwaitingLabels "awaiting_labels" [Operator] Count Gauge "predictions whose label is still to come";
    LabelDelay "label_delay" [Operator] Micros Histogram "from an event to its label, in event time";
    Fallbacks "fallbacks" [Operator] Count Counter "events that no model could answer, and that got the fallback";
    Drifts "drifts" [Operator] Count Counter "how often the detector said that the losses have drifted";
    DriftWarnings "drift_warnings" [Operator] Count Counter "how often the detector said that the losses may be drifting";
    Switches "switches" [Operator] Count Counter "how often the gate changed the model that is served";
    OnlineServed "online_served" [Operator] Count Gauge "1 while the online model is served, 0 while the pre-trained one is";
    ModelVersion "model_version" [Operator] Count Gauge "which version of the pre-trained model serves, counted from 1";
    Accuracy "accuracy" [Operator] Ratio Gauge "the share of the answers that were right, prequential: predicted before the label was learned";
    BalancedAccuracy "balanced_accuracy" [Operator] Ratio Gauge "the mean of recall over the classes: what the accuracy would be if all were as frequent";
    MacroF1 "macro_f1" [Operator] Ratio Gauge "the mean of F1 over the classes";
    Precision "precision" [Operator] Ratio Gauge "of the answers that said the last class, the share that was right";
    Recall "recall" [Operator] Ratio Gauge "of the events of the last class, the share that was found";
    Kappa "kappa" [Operator] Ratio Gauge "how much better the answers are than chance with the same frequencies; 0 where they are worse";
    Mae "mae" [Operator] Ratio Gauge "the mean absolute error of the numbers that were answered";
    Rmse "rmse" [Operator] Ratio Gauge "the root of the mean squared error of the numbers that were answered";
    PretrainedLoss "pretrained_loss" [Operator] Ratio Gauge "the mean loss of the pre-trained model, served or not";
    OnlineLoss "online_loss" [Operator] Ratio Gauge "the mean loss of the online model, served or not";
    CacheHits "cache_hits" [Operator] Count Counter "questions that the cache of a look-up step, or of a learner, answered";
    CacheMisses "cache_misses" [Operator] Count Counter "questions that had to be put to the table, or to the model";
    Promotions "promotions" [Operator] Count Counter "how often one of two copies became the primary, the first time included";
    SteppedDown "stepped_down" [Operator] Count Counter "how often a primary stopped being one without a crash";
    Suspected "suspected" [Operator] Count Counter "how often one of two copies took the other for gone";
    Diverged "diverged" [Operator] Count Counter "results of a secondary that were not what the primary had published";
    Pending "pending" [Operator] Count Gauge "results that the two copies hold because they may have to be published, or published again";
    TrimLag "trim_lag" [Operator] Count Gauge "results that were published and not told of to the other copy";
    Missing "missing" [Operator] Count Counter "results that no receiver will get any more, though they were published";
    Failovers "failovers" [Operator] Count Counter "how often the other of two copies published";
    ServiceGap "service_gap" [Operator] Micros Histogram "from the moment a primary was lost to the first result of its successor at a receiver";
    Overlap "overlap" [Operator] Micros Counter "how long both copies were primary";
    NotRedundant "not_redundant" [Operator] Micros Counter "how long one of two copies was down, or had not caught up";
    Kept "kept" [Broker] Count Counter "events that a broker took and gave a place";
    Repeated "repeated" [Operator, Broker] Count Counter "of a broker: events that it had already, by producer and number; of two copies: results that their receivers had";
    Expired "expired" [Broker] Count Counter "events that a log let go because retention was over";
    Gap "gap" [Broker] Count Counter "events that a reader should have been given and that were not there any more";
    Replayed "replayed" [Broker] Count Counter "places by which readers went back: events that they are given once more";
    Redelivered "redelivered" [Broker] Count Counter "deliveries of a queue that were not the first of their event";
    Dead "dead" [Broker] Count Counter "events that a queue gave up because they came back too often";
    Refused "refused" [Operator, Broker] Count Counter "of a broker: writes that the disk refused, and that are tried again; of two copies: results under an old token";
    Backlog "backlog" [Broker] Count Gauge "events that are kept and not acknowledged, by the reader that is furthest behind";
    Queue "queue" [Operator, Generator, Sink] Count Gauge "elements waiting in the mailbox";
    Watermark "watermark" [Operator, Generator] Micros Gauge "the combined watermark";
    Lag "lag" [Operator, Generator] Micros Histogram "how far the watermark is behind true time, whenever it grows";
    LagNow "lag_now" [Operator, Generator] Micros Gauge "how far the watermark is behind true time, whenever something comes: it grows while the watermark stalls";
    Epoch "epoch" [Operator, Generator, Sink] Count Gauge "the number of the last marker that was taken: everything before it has been";
    GivenUp "given_up" [Operator, Generator, Sink] Count Counter "markers, or numbers at a merge, that were not waited for any longer";
    HeldBack "held_back" [Operator, Generator, Sink] Count Gauge "elements that wait in front of a merge for a marker on another input";
    EmitDelay "emit_delay" [Operator] Micros Histogram "from the end of a window (or an event's stamp) to the first answer";
    Latency "latency" [Sink] Micros Histogram "from the moment the latest event behind a result was planned to its arrival";
    LatencySent "latency_sent" [Sink] Micros Histogram "the same from the moment that event was sent, where a source was ever behind its plan: what it hides";
    Lateness "lateness" [Operator] Micros Histogram "how far an event's stamp is behind the largest one seen, when it arrives";
    Results "results" [Sink] Count Gauge "rows in the sink's table, its answers folded";
    Differs "differs" [Sink] Count Gauge "rows that differ between the sink's table and truth, at the end";
    Delivered "delivered" [Link] Count Counter "elements handed to the receiver";
    Lost "lost" [Link] Count Counter "packets that never arrived";
    Resent "resent" [Link] Count Counter "packets that were sent again";
    Copies "copies" [Link] Count Counter "packets that arrived once more";
    InFlight "in_flight" [Link] Count Gauge "elements sent and not yet delivered";
    Transit "transit" [Link] Micros Histogram "from sending to delivery";
    Paused "paused" [Link] Micros Counter "how long the receiver held the link back, because it ran ahead of the others";
    Completed "completed" [Snapshots] Count Counter "snapshots of which all parts and the manifest became durable";
    Aborted "aborted" [Snapshots] Count Counter "snapshots that were begun and given up";
    Skipped "skipped" [Snapshots] Count Counter "snapshots that were due and not begun, because one was under way";
    Damaged "damaged" [Snapshots, Broker] Count Counter "files of snapshots, or places in a broker's journal, that turned out to be of no use";
    Recoveries "recoveries" [Snapshots] Count Counter "how often everybody went back, to a snapshot or to the beginning";
    SnapshotTime "snapshot_time" [Snapshots] Micros Histogram "from the beginning of a snapshot until it was complete";
    SnapshotBytes "snapshot_bytes" [Snapshots] Bytes Histogram "the size of a complete snapshot's files";
    SnapshotInterval "snapshot_interval" [Snapshots] Micros Histogram "between the beginnings of complete snapshots";
    SnapshotAge "snapshot_age" [Snapshots] Micros Gauge "how old the newest complete snapshot was when the next began, or everybody went back to it";
    RestoreTime "restore_time" [Snapshots] Micros Histogram "from the news of a crash until everybody had gone back";
    Deleted "deleted" [Snapshots] Count Counter "files of complete snapshots that nothing needed any more";
    Orphaned "orphaned" [Snapshots] Count Counter "files of snapshots that were never complete, found and deleted";
    SavedBytes "saved_bytes" [Operator, Generator, Sink] Bytes Counter "bytes of its parts of snapshots, as they went to the store";
    AlignTime "align_time" [Operator, Generator, Sink] Micros Histogram "how long inputs with a snapshot's barrier waited for it on the others";
    Fired "fired" [Fault] Count Counter "how often the fault fired";
    Touched "touched" [Fault] Count Counter "how many elements the fault touched";
}

impl Metric {
    /// Whether it is about two copies of an operator together, rather than about each of them.
    pub const fn of_pair(self) -> bool {
        matches!(
            self,
            Self::Promotions
                | Self::SteppedDown
                | Self::Suspected
                | Self::Diverged
                | Self::Pending
                | Self::TrimLag
                | Self::Repeated
                | Self::Refused
                | Self::Missing
                | Self::Failovers
                | Self::ServiceGap
                | Self::Overlap
                | Self::NotRedundant
        )
    }
    /// What there is to know about it.
    pub fn descriptor(self) -> &'static MetricDescriptor {
        METRICS.iter().find(|d| d.metric == self).unwrap_or(&METRICS[0])
    }
    /// The metric of that name.
    pub fn named(name: &str) -> Option<Self> {
        METRICS.iter().find(|d| d.name == name).map(|d| d.metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_the_name_that_its_descriptor_and_its_record_use() {
        for descriptor in METRICS {
            assert_eq!(Metric::named(descriptor.name), Some(descriptor.metric));
            assert_eq!(descriptor.metric.name(), descriptor.name);
            assert_eq!(
                serde_json::to_value(descriptor.metric).expect("a name"),
                descriptor.name
            );
            assert_eq!(descriptor.metric.descriptor().name, descriptor.name);
        }
    }
}
