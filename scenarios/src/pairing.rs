//! The two copies of an operator with `failover`: who belongs to them, and by which links they agree. A conveyed operator has
//! two copies of each of its sub-streams.

use crate::schema::{Schema, StreamId};
use crate::script::{self, Elect, OnCrash};
use crate::topology::{ActorId, Builder, Port, Role};

/// The names of the two copies of an operator, or of a sub-stream.
pub fn copies(name: &str) -> [String; 2] {
    [format!("{name}-a"), format!("{name}-b")]
}

/// What there are two copies of.
#[derive(Clone, Debug)]
pub(crate) struct Pairing {
    /// Which operator.
    pub operator: usize,
    /// Which of its sub-streams, where it is conveyed.
    pub stream: Option<u32>,
    /// The operator's name, or that of the sub-stream: the copies are called after it.
    pub name: String,
}

impl Pairing {
    pub fn new(operator: usize, of: &str, stream: Option<u32>) -> Self {
        let name = stream.map_or_else(|| of.to_owned(), |stream| format!("{of}-{stream}"));
        Self { operator, stream, name }
    }
}

impl Builder<'_> {
    /// The actors of two copies, but for the gates: for each copy its generator, its split where it is one of a sub-stream, the
    /// operator itself, and what publishes its results; and the arbiter.
    pub(crate) fn pair(
        &mut self,
        pairing: &Pairing,
        settings: &script::Operator,
        schema_of: &StreamId,
        schema: &Schema,
    ) {
        let Pairing { operator, stream, .. } = *pairing;
        let name = &pairing.name;
        // What a generator and a split put out is what comes in; that is filled in when their links are known.
        let nothing = Schema::default;
        for (side, copy) in copies(name).iter().enumerate() {
            let model = self.scenario.nodes.iter().find(|node| node.name == *name);
            let node = self.node(copy, Some(model.map_or(&settings.name, |node| &node.name)));
            if settings.generator().is_some() {
                let role = Role::Watermark { operator };
                self.actor(&format!("{copy}.watermark"), role, node, schema_of.clone(), nothing());
            }
            let split = stream.map(|_| {
                let role = Role::Split { operator };
                self.actor(&format!("{copy}.split"), role, node, schema_of.clone(), nothing())
            });
            let role = stream.map_or(Role::Operator { operator }, |stream| Role::Worker { operator, stream });
            let works = self.actor(copy, role, node, schema_of.clone(), schema.clone());
            if let (Some(split), Some(stream)) = (split, stream) {
                let from = format!("{copy}.split");
                let link = script::Link::plain(&from, copy);
                let port = Port::Stream(stream);
                self.link(format!("{from} -> {copy}"), split, works, port, stream as usize, link);
            }
            let side = side as u8;
            let (output, role) = (format!("{copy}.output"), Role::Replica { operator, stream, side });
            let publishes = self.actor(&output, role, node, schema_of.clone(), schema.clone());
            for port in [Port::Main, Port::Late, Port::Failed] {
                // What a crash finds here is made again: it must not come twice.
                let link = script::Link {
                    on_crash: Some(OnCrash::Lost),
                    ..script::Link::plain(copy, &output)
                };
                self.link(format!("{copy} -> {output}"), works, publishes, port, 0, link);
            }
        }
        if settings
            .failover
            .as_ref()
            .is_some_and(|failover| failover.elect == Elect::Arbiter)
        {
            let arbiter = format!("{name}.arbiter");
            let node = self.node(&arbiter, None);
            self.actor(
                &arbiter,
                Role::Arbiter { operator, stream },
                node,
                schema_of.clone(),
                nothing(),
            );
        }
    }

    /// What there are two copies of, of the operator of that name: itself, or each of its sub-streams; nothing, when it has no
    /// copies.
    pub(crate) fn pairs_named(&self, name: &str) -> Vec<Pairing> {
        let mut operators = self.scenario.operators.iter();
        let Some(index) = operators.position(|operator| operator.name == name && operator.failover.is_some()) else {
            return vec![];
        };
        match &self.scenario.operators[index].convey {
            Some(convey) => (0..convey.streams)
                .map(|stream| Pairing::new(index, name, Some(stream)))
                .collect(),
            None => vec![Pairing::new(index, name, None)],
        }
    }

    /// Those whose copies publish that output of the operator of that name. What a merge puts out nobody publishes.
    pub(crate) fn gates(&self, name: &str, port: Port) -> Vec<Pairing> {
        let mut pairs = self.pairs_named(name);
        pairs.retain(|pairing| {
            let merged = port == Port::Main || port == Port::Late && self.by_number(pairing.operator);
            pairing.stream.is_none() || !merged
        });
        pairs
    }

    /// Connects a receiver to an output of two copies: they publish to a gate on its node, which passes on what counts.
    pub(crate) fn through_gate(&mut self, pairing: &Pairing, name: &str, receiver: ActorId, port: Port, listed: usize) {
        let Pairing { operator, stream, .. } = *pairing;
        let sender = &pairing.name;
        let of = self.scenario.operators[operator].name.clone();
        let suffix = match port {
            Port::Late => ".late",
            Port::Failed => ".failed",
            _ => "",
        };
        let (whole, all) = (format!("{sender}{suffix}"), format!("{of}{suffix}"));
        let (node, gate) = (
            self.topology.actors[receiver.0 as usize].node,
            format!("{whole} at {name}"),
        );
        let carries = self.topology.actors[receiver.0 as usize].stream.clone();
        let gate = self.actor(&gate, Role::Gate { operator, stream }, node, carries, Schema::default());
        for copy in copies(sender) {
            let part = format!("{copy}{suffix}");
            let settings = self.settings(&[&part, &whole, &all], &[name]);
            if let Some(from) = self.topology.actor(&format!("{copy}.output")) {
                self.link(format!("{part} -> {name}"), from, gate, port, listed, settings);
                let settings = self.settings(&[name], &[&copy, sender, &of]);
                self.link(format!("{name} -> {copy}"), gate, from, Port::Control, 0, settings);
            }
        }
        let link = script::Link::plain(&format!("{whole}.gate"), name);
        self.link(
            format!("{whole}.gate -> {name}"),
            gate,
            receiver,
            Port::Main,
            listed,
            link,
        );
    }

    /// The links from the copies of sub-streams to the merge of their results.
    pub(crate) fn paired_belts(&mut self, name: &str) {
        let merge = format!("{name}.merge");
        let Some(receiver) = self.topology.actor(&merge) else {
            return;
        };
        for (part, pairing) in self.pairs_named(name).iter().enumerate() {
            self.through_gate(pairing, &merge, receiver, Port::Main, part);
        }
    }

    /// The links by which two copies, their parts and their arbiter agree.
    pub(crate) fn agreements(&mut self, pairing: &Pairing, of: &str, failover: &script::Failover) {
        let name = &pairing.name;
        let outputs = copies(name).map(|copy| self.topology.actor(&format!("{copy}.output")));
        let [Some(a), Some(b)] = outputs else { return };
        let sides = copies(name);
        for (from, to, sender, receiver) in [(a, b, &sides[0], &sides[1]), (b, a, &sides[1], &sides[0])] {
            let settings = self.settings(&[sender, name, of], &[receiver, name, of]);
            self.link(format!("{sender} -> {receiver}"), from, to, Port::Control, 0, settings);
        }
        for (copy, output) in sides.iter().zip([a, b]) {
            for part in [format!("{copy}.watermark"), format!("{copy}.split"), copy.clone()] {
                let Some(actor) = self.topology.actor(&part) else {
                    continue;
                };
                let publishes = format!("{copy}.output");
                for (from, to, sender, receiver) in
                    [(actor, output, &part, &publishes), (output, actor, &publishes, &part)]
                {
                    let link = script::Link::plain(sender, receiver);
                    self.link(format!("{sender} -> {receiver}"), from, to, Port::Control, 0, link);
                }
            }
            let arbiter = format!("{name}.arbiter");
            let known = self
                .topology
                .actor(&arbiter)
                .filter(|_| failover.elect == Elect::Arbiter);
            if let Some(known) = known {
                let of = format!("{of}.arbiter");
                for (from, to, sender, receiver) in [
                    (output, known, vec![copy.as_str(), name], vec![arbiter.as_str(), &of]),
                    (known, output, vec![arbiter.as_str(), &of], vec![copy.as_str(), name]),
                ] {
                    let settings = self.settings(&sender, &receiver);
                    let link = format!("{} -> {}", sender[0], receiver[0]);
                    self.link(link, from, to, Port::Control, 0, settings);
                }
            }
        }
    }
}
