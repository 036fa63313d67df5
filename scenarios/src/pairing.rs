//! The two copies of an operator with `failover`: who belongs to them, and by which links they agree.

use crate::schema::{Schema, StreamId};
use crate::script::{self, Elect};
use crate::topology::{ActorId, Builder, Port, Role};

/// The names of the two copies of an operator.
pub fn copies(name: &str) -> [String; 2] {
    [format!("{name}-a"), format!("{name}-b")]
}

impl Builder<'_> {
    /// The actors of an operator with two copies, but for the gates: for each copy its generator, the operator itself, and
    /// what publishes its results; and the arbiter.
    pub(crate) fn pair(&mut self, operator: usize, settings: &script::Operator, stream: &StreamId, schema: &Schema) {
        let name = &settings.name;
        for (side, copy) in copies(name).iter().enumerate() {
            let node = self.node(copy, Some(name));
            if settings.watermark.is_some() {
                let generator = format!("{copy}.watermark");
                self.actor(
                    &generator,
                    Role::Watermark { operator },
                    node,
                    stream.clone(),
                    Schema::default(),
                );
            }
            let works = self.actor(copy, Role::Operator { operator }, node, stream.clone(), schema.clone());
            let side = side as u8;
            let (output, role) = (format!("{copy}.output"), Role::Replica { operator, side });
            let publishes = self.actor(&output, role, node, stream.clone(), schema.clone());
            for port in [Port::Main, Port::Late, Port::Failed] {
                let link = script::Link::plain(copy, &output);
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
                Role::Arbiter { operator },
                node,
                stream.clone(),
                Schema::default(),
            );
        }
    }

    /// The operator of that name, when it has two copies.
    pub(crate) fn pair_named(&self, name: &str) -> Option<usize> {
        let mut operators = self.scenario.operators.iter();
        operators.position(|operator| operator.name == name && operator.failover.is_some())
    }

    /// Connects a receiver to an output of two copies: they publish to a gate on its node, which passes on what counts.
    pub(crate) fn through_gate(&mut self, operator: usize, name: &str, receiver: ActorId, port: Port, listed: usize) {
        let sender = self.scenario.operators[operator].name.clone();
        let suffix = match port {
            Port::Late => ".late",
            Port::Failed => ".failed",
            _ => "",
        };
        let whole = format!("{sender}{suffix}");
        let (node, gate) = (
            self.topology.actors[receiver.0 as usize].node,
            format!("{whole} at {name}"),
        );
        let stream = self.topology.actors[receiver.0 as usize].stream.clone();
        let gate = self.actor(&gate, Role::Gate { operator }, node, stream, Schema::default());
        for copy in copies(&sender) {
            let part = format!("{copy}{suffix}");
            let settings = self.settings([&part, &whole], [name, name]);
            if let Some(from) = self.topology.actor(&format!("{copy}.output")) {
                self.link(format!("{part} -> {name}"), from, gate, port, listed, settings);
                let settings = self.settings([name, name], [&copy, &sender]);
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

    /// The links by which two copies, their parts and their arbiter agree.
    pub(crate) fn agreements(&mut self, name: &str, failover: &script::Failover) {
        let outputs = copies(name).map(|copy| self.topology.actor(&format!("{copy}.output")));
        let [Some(a), Some(b)] = outputs else { return };
        let sides = copies(name);
        for (from, to, sender, receiver) in [(a, b, &sides[0], &sides[1]), (b, a, &sides[1], &sides[0])] {
            let settings = self.settings([sender, name], [receiver, name]);
            self.link(format!("{sender} -> {receiver}"), from, to, Port::Control, 0, settings);
        }
        for (copy, output) in sides.iter().zip([a, b]) {
            for part in [format!("{copy}.watermark"), copy.clone()] {
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
                for (from, to, sender, receiver) in [(output, known, copy, &arbiter), (known, output, &arbiter, copy)] {
                    let settings = self.settings([sender, sender], [receiver, receiver]);
                    self.link(format!("{sender} -> {receiver}"), from, to, Port::Control, 0, settings);
                }
            }
        }
    }
}
