//! What is wrong with a scenario's links, faults and expectations, once it is known who stands where.

use crate::check::{Checker, article};
use crate::distribution::Delay;
use crate::expectation::{Claim, ExpectationKind, Table, parse_claim};
use crate::fault::{FaultKind, Place, Timing};
use crate::metric::{Form, METRICS, Measured, Metric as MetricName, STATISTICS};
use crate::script::{Broker, BrokerKind, Fault, LinkKind, Must};
use crate::suggest;
use crate::topology::{ActorId, LinkId, Port, Role, Topology};

impl Checker<'_> {
    /// Everything that is about links, faults and expectations; returns the statements of the expectations.
    pub fn against(&mut self, topology: &Topology) -> Vec<Claim> {
        self.links(topology);
        for (i, fault) in self.scenario.faults.iter().enumerate() {
            self.fault(i, fault, topology);
        }
        self.nodes_stand(topology);
        self.sheds(topology);
        self.expectations(topology)
    }

    fn nodes_stand(&mut self, topology: &Topology) {
        for (i, node) in self.scenario.nodes.iter().enumerate() {
            if topology.nodes_named(&node.name).is_empty() {
                let known: Vec<&str> = topology.nodes.iter().map(|n| n.name.as_str()).collect();
                let message = format!("nobody stands on the node `{}`", node.name);
                self.say(&format!("node[{i}].name"), message, suggest::help(&node.name, known));
            }
        }
    }

    /// What a link can be called: the links of all parts of a source together, then each one.
    fn link_names(&self, topology: &Topology) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for source in self.scenario.sources.iter().filter(|s| s.nodes > 1) {
            let first = format!("{}-0 -> ", source.name);
            let whole = topology.links.iter().filter_map(|l| l.name.strip_prefix(&first));
            names.extend(whole.map(|to| format!("{} -> {to}", source.name)));
        }
        names.extend(topology.links.iter().map(|l| l.name.to_string()));
        names
    }

    /// Whether a datagram link may stand there: at the end, before a generator, and where no watermark has been made yet
    /// before a reordering buffer that needs none, or where one is made further down.
    fn datagram_fits(&self, topology: &Topology, link: LinkId) -> bool {
        let link = &topology.links[link.0 as usize];
        let receiver = &topology.actors[link.to.0 as usize];
        if let Role::Counter | Role::Service { .. } = topology.actors[link.from.0 as usize].role {
            return true; // an answer that is lost is asked for again, or done without
        }
        match receiver.role {
            Role::Sink { .. } | Role::Watermark { .. } | Role::Counter | Role::Service { .. } => true,
            // What is agreed on relies on its links.
            Role::Coordinator | Role::Store => false,
            Role::Replica { .. } | Role::Arbiter { .. } | Role::Gate { .. } => false,
            // Numbers, state and ends of sub-streams rely on their links.
            Role::Split { .. } | Role::Worker { .. } | Role::Merge { .. } => false,
            Role::Operator { operator } if self.puts_in_order(operator) => !behind_generator(topology, link.from),
            Role::Source { .. } | Role::Operator { .. } | Role::Broker { .. } => {
                !behind_generator(topology, link.from)
                    && !receiver.outputs.is_empty()
                    && receiver.outputs.iter().all(|out| self.datagram_fits(topology, *out))
                    && receiver.outputs.iter().any(|out| leads_to_generator(topology, *out))
            }
        }
    }

    fn links(&mut self, topology: &Topology) {
        let scenario = self.scenario;
        let known = self.link_names(topology);
        for (i, link) in scenario.links.iter().enumerate() {
            let at = |key: &str| format!("link[{i}].{key}");
            let name = format!("{} -> {}", link.from, link.to);
            let found = topology.links_named(&name);
            if found.is_empty() {
                let help = suggest::help(&name, known.iter().map(String::as_str));
                self.say(&at("from"), format!("there is no link `{name}`"), help);
                continue;
            }
            if scenario.links[..i]
                .iter()
                .any(|l| l.from == link.from && l.to == link.to)
            {
                self.say(
                    &at("from"),
                    format!("the link `{name}` is described twice"),
                    "make one of them".to_owned(),
                );
            }
            if link.kind == LinkKind::Datagram && !link.fifo && scenario.epoch.is_some() && scenario.must != Must::Fail
            {
                let help = "say fifo = true, keep it a stream, or say must = \"fail\"".to_owned();
                let message = format!("events may overtake the markers of epochs on the way to `{}`", link.to);
                self.say(&at("kind"), message, help);
            }
            if link.kind == LinkKind::Datagram && scenario.must != Must::Fail && !self.datagram_fits(topology, found[0])
            {
                let help = "declare a `watermark` on the receiving operator, keep it a stream, or say must = \"fail\""
                    .to_owned();
                let message = format!(
                    "a datagram link may lose and reorder watermarks, and `{}` relies on them",
                    link.to
                );
                self.say(&at("kind"), message, help);
            }
            if link.bandwidth.is_some_and(|b| !b.is_finite() || b <= 0.0) {
                self.say(
                    &at("bandwidth"),
                    "a link carries more than nothing",
                    "elements per second, above zero".to_owned(),
                );
            }
            for (key, value) in [("batch", link.batch), ("capacity", link.capacity)] {
                if value == Some(0) {
                    self.say(
                        &at(key),
                        format!("`{key}` is 1 at least"),
                        "leave it out for no bound".to_owned(),
                    );
                }
            }
            self.positive(&at("linger"), link.linger);
            self.positive(&at("resend"), Some(link.resend));
            if link.linger.is_some() && link.batch.is_none() {
                self.say(
                    &at("linger"),
                    "`linger` ends the waiting of a batch, and there is none",
                    "add batch".to_owned(),
                );
            }
            if link
                .delay
                .as_ref()
                .is_some_and(|d| matches!(d, Delay::Constant(s) if s.is_negative()))
            {
                self.say(
                    &at("delay"),
                    "nothing arrives before it was sent",
                    "leave the sign out".to_owned(),
                );
            }
        }
    }

    fn fault(&mut self, index: usize, fault: &Fault, topology: &Topology) {
        let at = |key: &str| format!("fault[{index}].{key}");
        let descriptor = fault.kind.descriptor();
        let (found, known): (bool, Vec<String>) = match descriptor.place {
            Place::Link => {
                let known = self.link_names(topology);
                (!topology.links_named(&fault.on).is_empty(), known)
            }
            Place::Node => {
                let known = topology.nodes.iter().map(|n| n.name.clone()).collect();
                (!topology.nodes_named(&fault.on).is_empty(), known)
            }
            Place::Source => {
                let known = self.scenario.sources.iter().map(|s| s.name.clone()).collect();
                (!topology.sources_named(&fault.on).is_empty(), known)
            }
            Place::Operator => {
                let known: Vec<String> = self.scenario.operators.iter().map(|o| o.name.clone()).collect();
                (known.contains(&fault.on), known)
            }
            Place::Broker => {
                let known: Vec<String> = self.scenario.brokers.iter().map(|b| b.name.clone()).collect();
                (known.contains(&fault.on), known)
            }
            Place::Disk => {
                let disks = topology.actors.iter().filter(|actor| actor.role.has_disk());
                let known: Vec<String> = disks.map(|actor| actor.name.to_string()).collect();
                (known.contains(&fault.on), known)
            }
        };
        if !found {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            self.unknown(&at("on"), descriptor.place.name(), &fault.on, &known);
        }
        let queue = |broker: &&Broker| broker.name == fault.on && broker.kind == BrokerKind::Queue;
        if matches!(fault.kind, FaultKind::Expire | FaultKind::ReorderPartition)
            && self.scenario.brokers.iter().any(|broker| queue(&broker))
        {
            let message = format!(
                "a `{}` fault is one of a log, and `{}` is a queue",
                descriptor.name, fault.on
            );
            let help = "a queue keeps what is not acknowledged, in no order that it promises".to_owned();
            self.say(&at("kind"), message, help);
        }
        let there = [
            ("at", fault.at.is_some()),
            ("during", fault.during.is_some()),
            ("every", fault.every.is_some()),
            ("for", fault.lasting.is_some()),
            ("amount", fault.amount.is_some()),
            ("restart", fault.restart.is_some()),
            ("delivery", fault.delivery.is_some()),
            ("write", fault.write.is_some()),
            ("way", fault.way.is_some()),
            ("factor", fault.factor.is_some()),
            ("copies", fault.copies.is_some()),
            ("field", fault.field.is_some()),
            ("value", fault.value.is_some()),
        ];
        for (key, _) in there.iter().filter(|(_, there)| *there) {
            if !descriptor.keys().any(|k| k == *key) {
                let keys: Vec<&str> = descriptor.keys().collect();
                let help = format!("it takes {}", keys.join(", "));
                self.say(
                    &at(key),
                    format!("a `{}` fault takes no `{key}`", descriptor.name),
                    help,
                );
            }
        }
        for key in descriptor.needs {
            if !there.iter().any(|(k, there)| k == key && *there) {
                let help = format!("for example:\n{}", descriptor.example);
                self.say(
                    &at("kind"),
                    format!("a `{}` fault needs `{key}`", descriptor.name),
                    help,
                );
            }
        }
        let moments = fault.at.is_some() || fault.every.is_some() || fault.delivery.is_some();
        match descriptor.timing {
            Timing::Point if !moments => {
                let help = "add at = \"4m\", or every = \"1m\"".to_owned();
                self.say(
                    &at("kind"),
                    format!("a `{}` fault happens at moments, and none is named", descriptor.name),
                    help,
                );
            }
            Timing::Interval if moments && fault.lasting.is_none() => {
                let help = "add for = \"10s\"".to_owned();
                self.say(
                    &at("kind"),
                    format!(
                        "a `{}` fault with `at` or `every` needs to know for how long",
                        descriptor.name
                    ),
                    help,
                );
            }
            Timing::Interval if !moments && fault.lasting.is_some() => {
                let help = "add `at` or `every`, or write during = \"2m..3m\"".to_owned();
                self.say(&at("for"), "`for` counts from a moment, and none is named", help);
            }
            _ => {}
        }
        if !(0.0..=1.0).contains(&fault.rate) {
            self.say(
                &at("rate"),
                format!("a rate is a share from 0 to 1, and this is {}", fault.rate),
                "0.05 is five of a hundred".to_owned(),
            );
        }
        self.positive(&at("every"), fault.every);
        self.positive(&at("for"), fault.lasting);
        self.positive(&at("restart"), fault.restart);
        if fault.copies == Some(0) {
            self.say(
                &at("copies"),
                "no copy is no fault",
                "1 at least; rate = 0.0 turns a fault off".to_owned(),
            );
        }
        let drift = fault.kind == FaultKind::Drift;
        if fault
            .factor
            .is_some_and(|f| !f.is_finite() || (!drift && f <= 0.0) || (drift && f <= -1e6))
        {
            self.say(
                &at("factor"),
                "this factor is not above zero",
                "give a number such as 10.0".to_owned(),
            );
        }
        let delays = descriptor.place != Place::Node;
        if delays && let Some(Delay::Constant(span)) = fault.amount {
            self.not_negative(&at("amount"), Some(span));
        }
    }

    fn expectations(&mut self, topology: &Topology) -> Vec<Claim> {
        let mut claims = Vec::with_capacity(self.scenario.expects.len());
        for (i, expect) in self.scenario.expects.iter().enumerate() {
            let at = |key: &str| format!("expect[{i}].{key}");
            let statements = expect.statements();
            let (kind, text) = match statements.as_slice() {
                [one] => *one,
                [] => {
                    let help = "add one of always, eventually, sometimes, never and final".to_owned();
                    self.say(&at("name"), "this expectation states nothing", help);
                    continue;
                }
                [_, (second, _), ..] => {
                    let help = "make two expectations of it".to_owned();
                    self.say(&at(second.name()), "an expectation states one thing", help);
                    continue;
                }
            };
            let eventually = kind == ExpectationKind::Eventually;
            match expect.within {
                None if eventually => {
                    self.say(
                        &at("eventually"),
                        "`eventually` needs to know within how long",
                        "add within = \"30s\"".to_owned(),
                    );
                }
                Some(_) if !eventually => {
                    self.say(
                        &at("within"),
                        "`within` belongs to `eventually`",
                        "leave it out".to_owned(),
                    );
                }
                within => self.positive(&at("within"), within),
            }
            match parse_claim(text) {
                Ok(claim) => {
                    self.subjects(&at(kind.name()), &claim, topology);
                    claims.push(claim);
                }
                Err(e) => self.say_inside(&at(kind.name()), &e),
            }
        }
        claims
    }

    fn subjects(&mut self, path: &str, claim: &Claim, topology: &Topology) {
        let (metrics, tables) = claim.subjects();
        for table in tables {
            if let Table::Sink(name) = table
                && !self.scenario.sinks.iter().any(|s| s.name == *name)
            {
                let mut known: Vec<&str> = self.scenario.sinks.iter().map(|s| s.name.as_str()).collect();
                known.extend(["truth", "admitted", "twin"]);
                self.unknown(path, "sink or table", name, &known);
            }
        }
        for metric in metrics {
            let Some(measured) = self.measured(&metric.of, topology) else {
                let mut known: Vec<String> = topology.actors.iter().map(|a| a.name.to_string()).collect();
                known.extend(topology.links.iter().map(|l| l.name.to_string()));
                known.extend(self.scenario.faults.iter().map(|f| format!("fault.{}", f.id)));
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                self.unknown(path, "actor, link or fault", &metric.of, &known);
                continue;
            };
            let possible = METRICS.iter().filter(|m| m.of.contains(&measured));
            match MetricName::named(&metric.name)
                .map(MetricName::descriptor)
                .filter(|m| m.of.contains(&measured))
            {
                None => {
                    let known: Vec<&str> = possible.map(|m| m.name).collect();
                    self.unknown(
                        path,
                        &format!("metric of {}", article(measured.name())),
                        &metric.name,
                        &known,
                    );
                }
                Some(found) if found.form == Form::Histogram && metric.statistic.is_none() => {
                    let help = format!(
                        "write {}.{}.p99; there are {}",
                        metric.of,
                        found.name,
                        STATISTICS.join(", ")
                    );
                    self.say(
                        path,
                        format!("`{}` is a distribution: which number of it?", found.name),
                        help,
                    );
                }
                Some(found) if found.form == Form::Counter && metric.statistic.is_some() => {
                    let help = format!("write {}.{}", metric.of, found.name);
                    self.say(path, format!("`{}` is a single number", found.name), help);
                }
                Some(_) => {}
            }
        }
    }

    fn measured(&self, of: &str, topology: &Topology) -> Option<Measured> {
        if let Some(id) = of.strip_prefix("fault.") {
            return self
                .scenario
                .faults
                .iter()
                .any(|f| f.id == id)
                .then_some(Measured::Fault);
        }
        if of.contains("->") {
            return (!topology.links_named(of).is_empty()).then_some(Measured::Link);
        }
        if let Some(actor) = topology.actor(of) {
            return Some(topology.actors[actor.0 as usize].role.measured());
        }
        if !topology.workers_named(of).is_empty() || !topology.replicas_named(of).is_empty() {
            return Some(Measured::Operator);
        }
        (!topology.sources_named(of).is_empty()).then_some(Measured::Source)
    }
}

fn leads_to_generator(topology: &Topology, link: LinkId) -> bool {
    let link = &topology.links[link.0 as usize];
    let actor = &topology.actors[link.to.0 as usize];
    !matches!(link.port, Port::Back | Port::Control)
        && (matches!(actor.role, Role::Watermark { .. })
            || actor.outputs.iter().any(|out| leads_to_generator(topology, *out)))
}

fn behind_generator(topology: &Topology, actor: ActorId) -> bool {
    let mut inputs = topology.forward(actor);
    let actor = &topology.actors[actor.0 as usize];
    matches!(actor.role, Role::Watermark { .. })
        || inputs.any(|input| behind_generator(topology, topology.links[input.0 as usize].from))
}
