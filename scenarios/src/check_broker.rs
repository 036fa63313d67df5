//! What is wrong with brokers and with reading again: settings of the other kind of broker, a queue that nobody
//! acknowledges, operators whose answers go back further than can be read again.

use crate::check::Checker;
use crate::distribution::Delay;
use crate::reach::Reach;
use crate::script::{Acknowledge, Broker, BrokerKind, Delivery, Disk, Expired, Must, ReplayFrom, Retention};
use crate::topology::input_name;

impl Checker<'_> {
    /// The settings of brokers, and who reads them.
    pub fn broker_settings(&mut self) {
        let scenario = self.scenario;
        for (i, broker) in scenario.brokers.iter().enumerate() {
            let path = format!("broker[{i}]");
            for (key, kind) in unused(broker) {
                let message = format!("`{key}` is a setting of a {kind}, and `{}` is none", broker.name);
                let help = format!("leave it out, or say kind = \"{kind}\"");
                self.say(&format!("{path}.{key}"), message, help);
            }
            if broker.max_deliveries == Some(0) {
                let help = "1 at least; without it nothing is given up".to_owned();
                self.say(
                    &format!("{path}.max_deliveries"),
                    "an event is given once at least",
                    help,
                );
            }
            if broker.in_flight == 0 {
                let help = "1 at least".to_owned();
                self.say(
                    &format!("{path}.in_flight"),
                    "a reader that may have nothing gets nothing",
                    help,
                );
            }
            let Disk { write, read, .. } = &broker.disk;
            for (key, delay) in [("write", write), ("read", read)] {
                if delay.as_ref().is_some_and(|delay| !matches!(delay, Delay::Constant(_))) {
                    let message = "the disk of a broker takes the same time for each request";
                    self.say(
                        &format!("{path}.disk.{key}"),
                        message,
                        "give a duration: \"5ms\"".to_owned(),
                    );
                }
            }
            if broker.kind == BrokerKind::Queue {
                self.queue(&path, broker);
            }
        }
        self.numbers_that_come_again();
        self.reading_again();
    }

    /// Who goes back, and is not given again what it had taken, gives the numbers of results that a broker has to others.
    fn numbers_that_come_again(&mut self) {
        let scenario = self.scenario;
        if scenario.snapshot.is_none() {
            return;
        }
        for (i, broker) in scenario.brokers.iter().enumerate().filter(|(_, broker)| broker.dedup) {
            for (k, entry) in broker.input.iter().enumerate() {
                if let Some((operator, source)) = self.reads_a_source(input_name(entry).0) {
                    let message = format!(
                        "`{operator}` reads `{source}`, which keeps nothing: after a crash it gives the numbers of results \
                         that `{}` has to new ones, which are dropped",
                        broker.name
                    );
                    let help = format!("put a [[broker]] between `{source}` and `{operator}`, or say dedup = false");
                    self.say(&format!("broker[{i}].input[{k}]"), message, help);
                }
            }
        }
    }

    /// An operator of that name, or one before it without a broker between them, that reads a source; and which.
    fn reads_a_source(&self, name: &str) -> Option<(String, String)> {
        let scenario = self.scenario;
        let (mut open, mut seen) = (vec![name], Vec::new());
        while let Some(name) = open.pop() {
            let Some(operator) = scenario.operators.iter().find(|operator| operator.name == name) else {
                continue;
            };
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            for entry in &operator.input {
                let (from, _) = input_name(entry);
                if scenario.sources.iter().any(|source| source.name == from) {
                    return Some((operator.name.clone(), from.to_owned()));
                }
                open.push(from);
            }
        }
        None
    }

    fn queue(&mut self, path: &str, broker: &Broker) {
        let scenario = self.scenario;
        if scenario.replay.is_none() && scenario.snapshot.is_none() {
            let message = format!(
                "nobody acknowledges what `{}` gives: it would be given again for ever",
                broker.name
            );
            let help = "add [replay] with acknowledge = \"done\", or a [snapshot]".to_owned();
            self.say(&format!("{path}.kind"), message, help);
        }
        for (i, sink) in scenario.sinks.iter().enumerate() {
            let reads = sink.input.iter().position(|entry| *entry == broker.name);
            if let Some(entry) = reads
                && sink.delivery != Delivery::Transactional
            {
                let message = format!("a sink acknowledges nothing, and `{}` waits for that", broker.name);
                let help = "put an operator between them, such as filter = \"true\"".to_owned();
                self.say(&format!("sink[{i}].input[{entry}]"), message, help);
            }
        }
    }

    /// Whether everything can be read again that is needed.
    fn reading_again(&mut self) {
        let scenario = self.scenario;
        let Some(replay) = scenario.replay else { return };
        if scenario.brokers.is_empty() {
            let message = "there is nothing to read again: sources keep no events";
            let help = "put a [[broker]] between the sources and their readers".to_owned();
            return self.say("replay", message, help);
        }
        let waits = replay.acknowledge == Acknowledge::Done || replay.from == ReplayFrom::Reach;
        if scenario.snapshot.is_some() || !waits || scenario.must == Must::Fail {
            return;
        }
        // Two copies read the log from its beginning, if they must.
        let alone = scenario
            .operators
            .iter()
            .enumerate()
            .filter(|(_, operator)| operator.failover.is_none());
        for (i, operator) in alone {
            if let Reach::Unbounded(why) = operator.reach(scenario.time.tick) {
                let message = format!("`{}` cannot begin afresh: {why}", operator.name);
                let help = "add a [snapshot], so that its state is saved".to_owned();
                self.say(&format!("operator[{i}]"), message, help);
            }
        }
    }

    /// What is wrong with an entry of an `input` list that names an output of a broker.
    pub fn broker_output(&mut self, path: &str, entry: &str) {
        let (name, _) = input_name(entry);
        let Some(broker) = self.scenario.brokers.iter().find(|broker| broker.name == name) else {
            if entry.ends_with(".dead") {
                let message = format!("`{name}` is no queue: only queues give events up");
                self.say(
                    path,
                    message,
                    format!("write `{name}.failed` for what it could not work on"),
                );
            }
            return;
        };
        let dead = entry.ends_with(".dead");
        if !dead {
            let message = format!("`{name}` is a broker: it puts aside nothing but `{name}.dead`");
            self.say(path, message, format!("write `{name}` or `{name}.dead`"));
        } else if broker.kind != BrokerKind::Queue || broker.max_deliveries.is_none() {
            let message = format!("`{name}` gives nothing up");
            let help = "say kind = \"queue\" and max_deliveries = 5 for it".to_owned();
            self.say(path, message, help);
        }
    }
}

/// The settings of a broker that are of the other kind, and of which.
fn unused(broker: &Broker) -> Vec<(&'static str, &'static str)> {
    match broker.kind {
        BrokerKind::Log => {
            let queue = [("max_deliveries", broker.max_deliveries.is_some())];
            queue
                .into_iter()
                .filter(|(_, there)| *there)
                .map(|(key, _)| (key, "queue"))
                .collect()
        }
        BrokerKind::Queue => {
            let log = [
                ("partitions", broker.partitions != 1),
                ("by", broker.by.is_some()),
                ("retention", broker.retention != Retention::default()),
                ("expired", broker.expired != Expired::default()),
            ];
            log.into_iter()
                .filter(|(_, there)| *there)
                .map(|(key, _)| (key, "log"))
                .collect()
        }
    }
}
