//! What is wrong with the settings of a two-node failover.

use crate::check::Checker;
use crate::script::{
    BrokerKind, Convey, Delivery, Detector, Elect, Expired, Failover, Gaps, Must, Operator, ReplayFrom, Route,
};
use crate::topology::input_name;

impl Checker<'_> {
    /// Everything about `operator[index].failover` that can be told without the fields of its input.
    pub(crate) fn failover(&mut self, index: usize, operator: &Operator, failover: &Failover) {
        let at = |key: &str| format!("operator[{index}].failover.{key}");
        let name = &operator.name;
        for (key, span) in [
            ("lease", Some(failover.lease)),
            ("deadline", failover.deadline),
            ("renew", Some(failover.renew)),
            ("heartbeat", Some(failover.heartbeat)),
            ("trim_every", Some(failover.trim_every)),
            ("snapshot", failover.snapshot),
        ] {
            self.positive(&at(key), span);
        }
        if failover.trim == 0 {
            let help = "1 tells of every result".to_owned();
            self.say(&at("trim"), "a message after every no results would never end", help);
        }
        if failover.drift_ppm >= 1_000_000 {
            let message = "a clock that is wrong by a million parts per million may stand still";
            self.say(&at("drift_ppm"), message, "200 is what cheap crystals do".to_owned());
        }
        if failover.elect == Elect::Arbiter {
            if failover.renew >= failover.holds() {
                let message = format!(
                    "a lease of {} is over before it is renewed after {}",
                    failover.lease, failover.renew
                );
                self.say(
                    &at("renew"),
                    message,
                    "renew several times in the time of a lease".to_owned(),
                );
            }
            if failover.deadline.is_some_and(|deadline| deadline > failover.lease) {
                let help = format!("at most the lease, {}", failover.lease);
                self.say(&at("deadline"), "nobody may publish for longer than the lease", help);
            }
        }
        match failover.detector {
            Detector::Fixed(time_out) => {
                self.positive(&at("detector.fixed"), Some(time_out));
                if time_out <= failover.heartbeat && self.scenario.must != Must::Fail {
                    let message = format!(
                        "heartbeats every {} are always too late for {time_out}",
                        failover.heartbeat
                    );
                    let help = "wait for several heartbeats, or say must = \"fail\"".to_owned();
                    self.say(&at("detector.fixed"), message, help);
                }
            }
            Detector::Phi(phi) => {
                if !(phi.threshold > 0.0 && phi.threshold <= 300.0) {
                    let message = format!("φ is above 0 and up to 300, and this is {}", phi.threshold);
                    self.say(&at("detector.phi.threshold"), message, "8 is usual".to_owned());
                }
                if phi.window < 2 {
                    let help = "100 is usual".to_owned();
                    self.say(
                        &at("detector.phi.window"),
                        "a deviation needs two intervals at least",
                        help,
                    );
                }
                self.positive(&at("detector.phi.min_deviation"), Some(phi.min_deviation));
                self.not_negative(&at("detector.phi.pause"), Some(phi.pause));
            }
        }
        if operator.node.is_some() && operator.convey.is_none() {
            let help = format!("leave it out; there are the nodes {name}-a and {name}-b");
            let message = "each of two copies stands on a node of its own name";
            self.say(&format!("operator[{index}].node"), message, help);
        }
        self.alone(index, operator);
        self.one_log(index, operator);
        self.same_at_both(index, operator);
    }

    /// What two copies cannot be combined with.
    fn alone(&mut self, index: usize, operator: &Operator) {
        let path = format!("operator[{index}].failover");
        if let Some(convey) = &operator.convey {
            self.sub_streams(index, convey);
        }
        if self.scenario.epoch.is_some() {
            let help = "leave out `failover`, or the epochs".to_owned();
            self.say(&path, "a broker keeps no markers of epochs", help);
        }
        self.among_others(index, operator);
    }

    /// What the copies of sub-streams cannot do: whatever they publish must follow from the log alone.
    fn sub_streams(&mut self, index: usize, convey: &Convey) {
        let at = |key: &str| format!("operator[{index}].convey.{key}");
        if matches!(convey.gaps, Gaps::Processed | Gaps::EndOfSequence) {
            let message = "progress is told by the clock of a node too (`every`), and two copies have two of them";
            let help = "gaps = \"skip\": a message for each number without a result".to_owned();
            self.say(&at("gaps"), message, help);
        }
        if convey.by == Route::Load {
            let message = "how much is outstanding is not the same at both copies of a sub-stream";
            let help =
                "deal the events by their values, or in turn: key, ring, type, predicates, round-robin".to_owned();
            self.say(&at("by"), message, help);
        }
        for (key, there) in [("move", !convey.moves.is_empty()), ("hot", convey.hot.is_some())] {
            if there {
                let message = "each copy deals the log for itself, and none hands keys over to another";
                let help = format!("leave out `{key}`, or `failover`");
                self.say(&at(key), message, help);
            }
        }
        let path = format!("operator[{index}].failover");
        for (key, there) in [
            ("snapshot", self.scenario.snapshot.is_some()),
            ("replay", self.scenario.replay.is_some()),
        ] {
            if there {
                let message =
                    format!("[{key}] would set the merge back, and what the copies have published does not come again");
                let help = format!("leave out [{key}]; `snapshot` in here has each copy keep its own");
                self.say(&path, message, help);
            }
        }
    }

    /// Where the others are set back after a crash: they and the copies must not need each other for it.
    fn among_others(&mut self, index: usize, operator: &Operator) {
        let scenario = self.scenario;
        if scenario.snapshot.is_none() && scenario.replay.is_none() {
            return;
        }
        let key = if scenario.snapshot.is_some() {
            "snapshot"
        } else {
            "replay"
        };
        let reads = |input: &[String]| input.iter().any(|entry| input_name(entry).0 == operator.name);
        for (i, reader) in scenario.operators.iter().enumerate() {
            if reads(&reader.input) && reader.failover.is_none() {
                let message = format!(
                    "[{key}] would set `{}` back, and what the copies of `{}` have published does not come again",
                    reader.name, operator.name
                );
                let help = "put a [[broker]] between them, and read that".to_owned();
                self.say(&format!("operator[{i}].input"), message, help);
            }
        }
        for (i, sink) in scenario.sinks.iter().enumerate() {
            if sink.delivery == Delivery::Transactional && reads(&sink.input) {
                let message = format!(
                    "it shows what a complete snapshot covers, and the copies of `{}` keep their snapshots for themselves",
                    operator.name
                );
                let help = "put a [[broker]] and an operator between them, or say delivery = \"by-number\"".to_owned();
                self.say(&format!("sink[{i}].delivery"), message, help);
            }
        }
        let all = scenario.operators.iter().all(|operator| operator.failover.is_some());
        if let Some(replay) = scenario
            .replay
            .filter(|replay| all && replay.from != ReplayFrom::Earliest)
        {
            let message = format!(
                "every operator has two copies, and one that has lost everything counts places from the beginning of the \
                 log, not from `{}`",
                replay.from.name()
            );
            let help =
                format!("from = \"earliest\", or leave out [replay] (`operator[{index}].failover` replays by itself)");
            self.say("replay.from", message, help);
        }
    }

    /// Both must read the same events in the same order.
    fn one_log(&mut self, index: usize, operator: &Operator) {
        let path = format!("operator[{index}].input");
        let log = operator.input.first().and_then(|input| {
            let mut brokers = self.scenario.brokers.iter();
            brokers.find(|broker| broker.name == *input)
        });
        let help = "put a [[broker]] with one partition between them, and read that".to_owned();
        match log {
            Some(log) if operator.input.len() == 1 && log.partitions == 1 && log.kind == BrokerKind::Log => {
                let expires = log.retention.time.is_some() || log.retention.size.is_some();
                if expires && log.expired != Expired::Fail && self.scenario.must != Must::Fail {
                    let message = format!(
                        "a copy of `{}` that skips what `{}` keeps no longer counts other places than the other copy",
                        operator.name, log.name
                    );
                    let help = "leave out `expired` of the broker: the run stops with the gap; or keep all".to_owned();
                    self.say(&path, message, help);
                }
            }
            Some(log) if operator.input.len() == 1 => {
                let why = if log.kind == BrokerKind::Log {
                    "a log of several partitions"
                } else {
                    "a queue"
                };
                let message = format!("the copies of `{}` would read {why} in different orders", operator.name);
                self.say(&path, message, "kind = \"log\" and one partition".to_owned());
            }
            _ => {
                let message = format!(
                    "the copies of `{}` must read the same log, and nothing else",
                    operator.name
                );
                self.say(&path, message, help);
            }
        }
    }

    /// What goes by the clock of a node is not the same at both.
    fn same_at_both(&mut self, index: usize, operator: &Operator) {
        if self.scenario.must == Must::Fail {
            return;
        }
        let watermark = operator.watermark.as_ref();
        let by_clock = [
            (
                "watermark.idle",
                watermark.is_some_and(|watermark| watermark.idle.is_some()),
            ),
            (
                "watermark.every",
                watermark.is_some_and(|watermark| matches!(watermark.every, Some(crate::script::Every::Time(_)))),
            ),
            (
                "reorder.timeout",
                operator
                    .reorder
                    .as_ref()
                    .is_some_and(|reorder| reorder.timeout.is_some()),
            ),
            ("future", operator.future != crate::script::Future::Accept),
        ];
        for (key, there) in by_clock {
            if there {
                let message = format!("`{key}` goes by the clock of a node, and the two copies have two of them");
                let help =
                    "leave it out: what both do must follow from the log alone; or say must = \"fail\"".to_owned();
                self.say(&format!("operator[{index}].{key}"), message, help);
            }
        }
    }
}
