//! The faults that can be declared: one descriptor each, which code, help and docs all read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a fault is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the descriptor says what each is")]
pub enum FaultKind {
    // links
    Delay,
    Reorder,
    Drop,
    Duplicate,
    Corrupt,
    Partition,
    Hold,
    Bandwidth,
    // nodes
    Crash,
    Pause,
    Slow,
    Offset,
    Drift,
    Jump,
    // sources
    Burst,
    Idle,
    LateStart,
    DuplicateSend,
    ReplayedSend,
    Poison,
    // operators
    SwallowWatermarks,
    RepeatWatermarks,
    DelayWatermarks,
    HastenWatermarks,
    // brokers
    Expire,
    LostAcknowledgement,
    Redeliver,
    ReorderPartition,
    // disks
    SlowWrite,
    FailedWrite,
    FullDisk,
    TornWrite,
    BitFlip,
    StaleRead,
    LostFile,
}

/// Where a fault acts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// On a link: `on = "orders -> per-minute"`.
    Link,
    /// On a node: `on = "per-minute"`.
    Node,
    /// In a source: `on = "orders"`.
    Source,
    /// In an operator, at the moment at which it passes something on: `on = "per-minute"`.
    Operator,
    /// In a broker: `on = "orders-log"`.
    Broker,
    /// On the disk of the store of snapshots or of a broker: `on = "snapshot-store"`.
    Disk,
}

impl Place {
    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Node => "node",
            Self::Source => "source",
            Self::Operator => "operator",
            Self::Broker => "broker",
            Self::Disk => "disk",
        }
    }
}

/// How a fault reads its schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Timing {
    /// Hits single elements (on a disk: writes or reads): those within `during` with probability `rate`, or the first at or
    /// after each moment.
    Element,
    /// Acts for a while: in `during`, or from each moment on for `for`.
    Interval,
    /// Acts at moments: `at` or `every` is needed.
    Point,
}

/// A promise of keyed draws, which a property test holds the fault to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pledge {
    /// Rate 0 equals no fault.
    Zero,
    /// A higher rate hits a superset.
    Superset,
    /// Adding or removing it leaves the decisions of all other faults as they were.
    Independence,
    /// Two designs compared at one seed meet the same waves, and a run repeated meets them again.
    Pairing,
}

/// Everything there is to know about a fault before it is run.
#[derive(Clone, Debug, Serialize)]
pub struct FaultDescriptor {
    /// Which.
    pub kind: FaultKind,
    /// As a file names it.
    pub name: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// Where it acts.
    pub place: Place,
    /// How it reads its schedule.
    pub timing: Timing,
    /// The keys that it must have, besides `id`, `kind`, `on` and those of the schedule.
    pub needs: &'static [&'static str],
    /// The keys that it may have, with their default in words.
    pub takes: &'static [(&'static str, &'static str)],
    /// What it promises.
    pub pledges: &'static [Pledge],
    /// How it is written.
    pub example: &'static str,
}

const WRITE: &[(&str, &str)] = &[("write", "all, or those that the schedule says")];
const KEYED: &[Pledge] = &[Pledge::Zero, Pledge::Superset, Pledge::Independence, Pledge::Pairing];
const SCHEDULED: &[Pledge] = &[Pledge::Zero, Pledge::Pairing];

macro_rules! faults {
    ($($kind:ident $name:literal $place:ident $timing:ident needs $needs:expr, takes $takes:expr, pledges $pledges:expr,
       $summary:literal, $example:literal;)*) => {
        /// Every fault, in the order of the design: links, nodes, sources, operators, brokers, disks.
        pub static FAULTS: &[FaultDescriptor] = &[$(FaultDescriptor {
            kind: FaultKind::$kind,
            name: $name,
            summary: $summary,
            place: Place::$place,
            timing: Timing::$timing,
            needs: &$needs,
            takes: &$takes,
            pledges: $pledges,
            example: $example,
        }),*];

        impl FaultKind {
            /// Its name in a file.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name),*
                }
            }
        }
    };
}

faults! {
    Delay "delay" Link Element needs ["amount"], takes [], pledges KEYED,
        "holds elements back for a drawn time longer",
        "id = \"slow-link\"\nkind = \"delay\"\non = \"orders -> per-minute\"\nduring = \"2m..5m\"\nrate = 0.05\n\
         amount = { lognormal = { median = \"20s\", sigma = 1.0 } }";
    Reorder "reorder" Link Element needs [], takes [("amount", "how far behind: 100ms")], pledges KEYED,
        "lets elements fall behind those sent after them",
        "id = \"shuffle\"\nkind = \"reorder\"\non = \"orders -> per-minute\"\nrate = 0.1\namount = { uniform = [\"0s\", \"2s\"] }";
    Drop "drop" Link Element needs [], takes [], pledges KEYED,
        "loses elements on the way; a stream sends them again",
        "id = \"lossy\"\nkind = \"drop\"\non = \"orders -> per-minute\"\nrate = 0.01";
    Duplicate "duplicate" Link Element needs [], takes [("copies", "1"), ("amount", "how far behind: no time")], pledges KEYED,
        "delivers elements more than once; a stream drops the copies",
        "id = \"twice\"\nkind = \"duplicate\"\non = \"orders -> per-minute\"\nrate = 0.02\ncopies = 1\namount = \"50ms\"";
    Corrupt "corrupt" Link Element needs [], takes [("field", "drawn among the fields")], pledges KEYED,
        "damages a field on the way; a stream finds it by its checksum and sends again",
        "id = \"noise\"\nkind = \"corrupt\"\non = \"orders -> per-minute\"\nrate = 0.001\nfield = \"amount\"";
    Partition "partition" Link Interval needs [], takes [("way", "both")], pledges SCHEDULED,
        "cuts the link, both ways or one way",
        "id = \"cut\"\nkind = \"partition\"\non = \"orders -> per-minute\"\nduring = \"2m..3m\"\nway = \"both\"";
    Hold "hold" Link Interval needs [], takes [], pledges SCHEDULED,
        "stops everything on the link, and lets it all go at the end",
        "id = \"jam\"\nkind = \"hold\"\non = \"orders -> per-minute\"\nduring = \"2m..3m\"";
    Bandwidth "bandwidth" Link Interval needs ["factor"], takes [], pledges SCHEDULED,
        "lets at most `factor` elements a second through; the others queue",
        "id = \"narrow\"\nkind = \"bandwidth\"\non = \"orders -> per-minute\"\nduring = \"2m..3m\"\nfactor = 50.0";
    Crash "crash" Node Point needs [], takes [("restart", "never"), ("delivery", "in place of `at`: by the clock")],
        pledges SCHEDULED,
        "ends everything on the node: state and mailbox are lost",
        "id = \"kill\"\nkind = \"crash\"\non = \"per-minute\"\nat = \"4m\"\nrestart = \"3s\"";
    Pause "pause" Node Interval needs [], takes [], pledges SCHEDULED,
        "stops the node for a while, as a long collection does; nothing is lost",
        "id = \"collection\"\nkind = \"pause\"\non = \"per-minute\"\nevery = \"1m\"\nfor = \"800ms\"";
    Slow "slow" Node Interval needs ["factor"], takes [], pledges SCHEDULED,
        "multiplies the node's service time by `factor`",
        "id = \"hot\"\nkind = \"slow\"\non = \"per-minute\"\nduring = \"2m..3m\"\nfactor = 10.0";
    Offset "offset" Node Interval needs ["amount"], takes [], pledges SCHEDULED,
        "sets the node's wall clock ahead, or behind where negative",
        "id = \"skew\"\nkind = \"offset\"\non = \"orders-0\"\nduring = \"2m..3m\"\namount = \"-5s\"";
    Drift "drift" Node Interval needs ["factor"], takes [], pledges SCHEDULED,
        "lets the node's clocks run faster by `factor` parts per million",
        "id = \"quartz\"\nkind = \"drift\"\non = \"orders-0\"\nduring = \"0s..10m\"\nfactor = 200.0";
    Jump "jump" Node Point needs ["amount"], takes [], pledges SCHEDULED,
        "sets the node's wall clock forward or back at once",
        "id = \"leap\"\nkind = \"jump\"\non = \"orders-0\"\nat = \"4m\"\namount = \"1s\"";
    Burst "burst" Source Interval needs ["factor"], takes [], pledges SCHEDULED,
        "keeps the source silent, then lets it catch up `factor` times as fast by the end",
        "id = \"rush\"\nkind = \"burst\"\non = \"orders\"\nduring = \"2m..3m\"\nfactor = 5.0";
    Idle "idle" Source Interval needs [], takes [], pledges SCHEDULED,
        "silences the source; what it would have said it says afterwards",
        "id = \"quiet\"\nkind = \"idle\"\non = \"orders-1\"\nduring = \"2m..3m\"";
    LateStart "late-start" Source Interval needs [], takes [], pledges SCHEDULED,
        "lets the source begin late; what it missed saying it says at once",
        "id = \"overslept\"\nkind = \"late-start\"\non = \"orders-2\"\nduring = \"..30s\"";
    DuplicateSend "duplicate-send" Source Element needs [], takes [("copies", "1"), ("amount", "how far behind: no time")],
        pledges KEYED,
        "sends the same event, with the same number, more than once",
        "id = \"stutter\"\nkind = \"duplicate-send\"\non = \"orders\"\nrate = 0.02\ncopies = 1";
    ReplayedSend "replayed-send" Source Element needs [], takes [("copies", "10")], pledges KEYED,
        "sends the last `copies` events once more, as a producer does that lost its place",
        "id = \"again\"\nkind = \"replayed-send\"\non = \"orders\"\nat = \"4m\"\ncopies = 20";
    Poison "poison" Source Element needs ["field"], takes [("value", "null")], pledges KEYED,
        "puts a value into a field that no operator expects there",
        "id = \"bad-amount\"\nkind = \"poison\"\non = \"orders\"\nrate = 0.001\nfield = \"amount\"\nvalue = \"n/a\"";
    SwallowWatermarks "swallow-watermarks" Operator Interval needs [], takes [], pledges SCHEDULED,
        "does not pass watermarks on: everything downstream waits for them",
        "id = \"mute\"\nkind = \"swallow-watermarks\"\non = \"per-minute\"\nduring = \"2m..3m\"";
    RepeatWatermarks "repeat-watermarks" Operator Interval needs [], takes [], pledges SCHEDULED,
        "passes watermarks on twice",
        "id = \"echo\"\nkind = \"repeat-watermarks\"\non = \"per-minute\"\nduring = \"2m..3m\"";
    DelayWatermarks "delay-watermarks" Operator Interval needs ["amount"], takes [], pledges SCHEDULED,
        "passes watermarks on later, behind events that they stood before",
        "id = \"drag\"\nkind = \"delay-watermarks\"\non = \"per-minute\"\nduring = \"2m..3m\"\namount = \"5s\"";
    HastenWatermarks "hasten-watermarks" Operator Interval needs [], takes [], pledges SCHEDULED,
        "passes watermarks on before the results that they stand behind, which are then late",
        "id = \"haste\"\nkind = \"hasten-watermarks\"\non = \"per-minute\"\nduring = \"2m..3m\"";
    Expire "expire" Broker Point needs [], takes [("amount", "what is older than this: everything")], pledges SCHEDULED,
        "lets a log let go what it keeps, as if retention were over",
        "id = \"cleared\"\nkind = \"expire\"\non = \"orders-log\"\nat = \"4m\"\namount = \"30s\"";
    LostAcknowledgement "lost-acknowledgement" Broker Element needs [], takes [], pledges KEYED,
        "loses acknowledgements: a queue gives again what had been worked on",
        "id = \"deaf\"\nkind = \"lost-acknowledgement\"\non = \"orders-queue\"\nrate = 0.05";
    Redeliver "redeliver" Broker Element needs [], takes [], pledges KEYED,
        "gives events twice",
        "id = \"again\"\nkind = \"redeliver\"\non = \"orders-log\"\nrate = 0.05";
    ReorderPartition "reorder-partition" Broker Element needs [], takes [], pledges KEYED,
        "gives an event behind the one after it, where there is one to be given",
        "id = \"swapped\"\nkind = \"reorder-partition\"\non = \"orders-log\"\nrate = 0.05";
    SlowWrite "slow-write" Disk Element needs ["amount"], takes WRITE, pledges KEYED,
        "lets writes take longer; what is asked for meanwhile waits",
        "id = \"worn\"\nkind = \"slow-write\"\non = \"snapshot-store\"\nrate = 0.2\namount = { exp = \"400ms\" }";
    FailedWrite "failed-write" Disk Element needs [], takes WRITE, pledges KEYED,
        "lets writes fail with an error, and leave nothing",
        "id = \"refused\"\nkind = \"failed-write\"\non = \"snapshot-store\"\nrate = 0.05";
    FullDisk "full-disk" Disk Interval needs [], takes WRITE, pledges SCHEDULED,
        "lets every write fail, because there is no room",
        "id = \"full\"\nkind = \"full-disk\"\non = \"snapshot-store\"\nduring = \"2m..3m\"";
    TornWrite "torn-write" Disk Element needs [], takes WRITE, pledges KEYED,
        "keeps only the beginning of what is written, and says that all is well",
        "id = \"torn\"\nkind = \"torn-write\"\non = \"snapshot-store\"\nrate = 0.05";
    BitFlip "bit-flip" Disk Element needs [], takes WRITE, pledges KEYED,
        "turns one bit of what is written, and says that all is well",
        "id = \"rot\"\nkind = \"bit-flip\"\non = \"snapshot-store\"\nat = \"2m\"";
    StaleRead "stale-read" Disk Element needs [], takes [], pledges KEYED,
        "reads a file as it was before it was last written, or finds none",
        "id = \"stale\"\nkind = \"stale-read\"\non = \"snapshot-store\"\nrate = 0.1";
    LostFile "lost-file" Disk Element needs [], takes WRITE, pledges KEYED,
        "loses the file that is written, and says that all is well",
        "id = \"gone\"\nkind = \"lost-file\"\non = \"snapshot-store\"\nrate = 0.05";
}

impl FaultKind {
    /// What there is to know about it.
    pub fn descriptor(self) -> &'static FaultDescriptor {
        // The table has every kind: the macro that fills it also writes the exhaustive `name`.
        FAULTS.iter().find(|d| d.kind == self).unwrap_or(&FAULTS[0])
    }
}

impl FaultDescriptor {
    /// Every key that a fault of this kind may have.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> + use<> {
        let timing: &[&str] = match self.timing {
            Timing::Element | Timing::Point => &["at", "every", "during"],
            Timing::Interval => &["at", "every", "during", "for"],
        };
        let always = ["id", "kind", "on", "rate"].iter().copied();
        let needs = self.needs.iter().copied();
        always
            .chain(timing.iter().copied())
            .chain(needs)
            .chain(self.takes.iter().map(|(key, _)| *key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_every_fault_is_the_one_a_file_uses() {
        for fault in FAULTS {
            assert_eq!(serde_json::to_value(fault.kind).expect("a name"), fault.name);
            assert_eq!(fault.kind.descriptor().name, fault.name);
            assert_eq!(fault.kind.name(), fault.name);
        }
    }

    #[test]
    fn the_example_of_every_fault_is_one_and_uses_only_keys_that_it_takes() {
        for descriptor in FAULTS {
            let fault: crate::script::Fault = toml::from_str(descriptor.example).expect(descriptor.name);
            assert_eq!(fault.kind, descriptor.kind);
            let table: toml::Table = toml::from_str(descriptor.example).expect(descriptor.name);
            for key in table.keys() {
                assert!(
                    descriptor.keys().any(|k| k == key),
                    "{} does not take {key}",
                    descriptor.name
                );
            }
            for key in descriptor.needs {
                assert!(
                    table.contains_key(*key),
                    "the example of {} lacks {key}",
                    descriptor.name
                );
            }
        }
    }
}
