//! What is wrong with brokers, snapshots and replay: names that are taken, readers without a safe point, settings that
//! contradict each other.

use crate::check::Checker;
use crate::distribution::Delay;
use crate::script::{Acknowledge, Delivery, Disk, Replay};
use crate::topology::{COORDINATOR, STORE};

impl Checker<'_> {
    /// Every broker.
    pub fn brokers(&mut self) {
        let scenario = self.scenario;
        for (i, broker) in scenario.brokers.iter().enumerate() {
            self.inputs("broker", i, &broker.name, &broker.input);
            let at = |key: &str| format!("broker[{i}].{key}");
            if broker.partitions == 0 {
                self.say(
                    &at("partitions"),
                    "a log has one partition at least",
                    "leave it out: 1".to_owned(),
                );
            }
            self.positive(&at("retention.time"), broker.retention.time);
            self.positive(&at("visibility"), Some(broker.visibility));
            self.disk(&at("disk"), &broker.disk);
        }
    }

    /// A disk that takes nothing, or that is done before it has begun.
    fn disk(&mut self, path: &str, disk: &Disk) {
        if disk.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            self.say(
                &format!("{path}.rate"),
                "a disk takes more than nothing",
                "bytes per second, above zero".to_owned(),
            );
        }
        for (key, delay) in [("write", &disk.write), ("read", &disk.read)] {
            if let Some(Delay::Constant(span)) = delay {
                self.not_negative(&format!("{path}.{key}"), Some(*span));
            }
        }
    }

    /// What is saved, and where reading begins again.
    pub fn recovery(&mut self) {
        let scenario = self.scenario;
        for (i, sink) in scenario.sinks.iter().enumerate() {
            if sink.delivery == Delivery::Transactional && scenario.snapshot.is_none() {
                let help = "add a [snapshot], or say delivery = \"by-number\"".to_owned();
                let message = "a transactional sink shows what a complete snapshot covers, and none is made";
                self.say(&format!("sink[{i}].delivery"), message, help);
            }
        }
        if let Some(Replay {
            acknowledge: Acknowledge::Snapshot,
            ..
        }) = scenario.replay
            && scenario.snapshot.is_none()
        {
            let help = "add a [snapshot], or say acknowledge = \"done\"".to_owned();
            self.say(
                "replay.acknowledge",
                "no snapshot is made that could be waited for",
                help,
            );
        }
        let Some(snapshot) = &scenario.snapshot else { return };
        let given = [
            ("every", snapshot.every.is_some()),
            ("events", snapshot.events.is_some()),
            ("watermark", snapshot.watermark.is_some()),
        ];
        let given: Vec<&str> = given.iter().filter(|(_, there)| *there).map(|(key, _)| *key).collect();
        match given.as_slice() {
            [] => self.say(
                "snapshot",
                "it is not said when a snapshot is made",
                "add one of every, events and watermark".to_owned(),
            ),
            [_] => {}
            [first, second, ..] => self.say(
                &format!("snapshot.{second}"),
                format!("snapshots are made by `{first}` already"),
                "keep one of them".to_owned(),
            ),
        }
        self.positive("snapshot.every", snapshot.every);
        self.positive("snapshot.watermark", snapshot.watermark);
        self.positive("snapshot.time_out", snapshot.time_out);
        self.disk("snapshot.disk", &snapshot.disk);
        for (key, value) in [
            ("keep", u64::from(snapshot.keep)),
            ("full_every", u64::from(snapshot.full_every)),
        ] {
            if value == 0 {
                self.say(
                    &format!("snapshot.{key}"),
                    format!("`{key}` is 1 at least"),
                    "leave it out".to_owned(),
                );
            }
        }
        if snapshot.events == Some(0) {
            self.say(
                "snapshot.events",
                "`events` is 1 at least",
                "give a number of events".to_owned(),
            );
        }
        let taken = scenario.operators.iter().map(|o| &o.name);
        let taken = taken.chain(scenario.sources.iter().map(|s| &s.name));
        let taken: Vec<&String> = taken.chain(scenario.sinks.iter().map(|s| &s.name)).collect();
        for name in [COORDINATOR, STORE] {
            if taken.iter().any(|taken| *taken == name) {
                let message = format!("an actor of the snapshots is called `{name}`, and something else is too");
                self.say("snapshot", message, "give the other another name".to_owned());
            }
        }
    }
}
