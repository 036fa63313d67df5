//! From a scenario to its topology: actors, nodes and links, with what each puts out.

use std::collections::BTreeMap;

use super::{
    Actor, ActorId, COORDINATOR, COUNTER, Link, LinkId, NodeId, Port, Role, STORE, Topology, copies, input_name,
};
use crate::pairing::Pairing;
use crate::schema::{Schema, StreamId};
use crate::script::{self, Scenario};

/// Builds the topology of a scenario whose names and links have been checked. `schemas` has the schema of what each
/// source, then each operator puts out.
pub(crate) fn build(scenario: &Scenario, sources: &[Schema], operators: &[Schema]) -> Topology {
    let mut builder = Builder {
        scenario,
        topology: Topology::default(),
        senders: BTreeMap::new(),
        aside: BTreeMap::new(),
    };
    for (index, source) in scenario.sources.iter().enumerate() {
        let stream = source.stream.clone().unwrap_or_else(|| default_stream(&source.name));
        for part in 0..source.nodes {
            let name = if source.nodes == 1 {
                source.name.clone()
            } else {
                format!("{}-{part}", source.name)
            };
            let node = builder.node(&name, Some(&source.name));
            let role = Role::Source { source: index, part };
            let actor = builder.actor(&name, role, node, stream.clone(), sources[index].clone());
            builder.senders.entry(&source.name).or_default().push(actor);
        }
    }
    for (index, operator) in scenario.operators.iter().enumerate() {
        let stream = operator
            .stream
            .clone()
            .unwrap_or_else(|| default_stream(&operator.name));
        if let Some(convey) = &operator.convey {
            builder.conveyed(index, operator, convey, stream, &operators[index]);
            continue;
        }
        if operator.failover.is_some() {
            let pairing = Pairing::new(index, &operator.name, None);
            builder.pair(&pairing, operator, &stream, &operators[index]);
            continue;
        }
        let node = builder.node(operator.node.as_deref().unwrap_or(&operator.name), None);
        if operator.generator().is_some() {
            // What it puts out is what comes in; that is filled in when its links are known.
            let name = format!("{}.watermark", operator.name);
            builder.actor(
                &name,
                Role::Watermark { operator: index },
                node,
                stream.clone(),
                Schema::default(),
            );
        }
        let role = Role::Operator { operator: index };
        let actor = builder.actor(&operator.name, role, node, stream, operators[index].clone());
        builder.senders.entry(&operator.name).or_default().push(actor);
    }
    for (index, sink) in scenario.sinks.iter().enumerate() {
        let node = builder.node(sink.node.as_deref().unwrap_or(&sink.name), None);
        builder.actor(
            &sink.name,
            Role::Sink { sink: index },
            node,
            default_stream(&sink.name),
            Schema::default(),
        );
    }
    for (index, broker) in scenario.brokers.iter().enumerate() {
        let node = builder.node(broker.node.as_deref().unwrap_or(&broker.name), None);
        // What it puts out is what comes in; that is filled in when its links are known.
        let role = Role::Broker { broker: index };
        let actor = builder.actor(
            &broker.name,
            role,
            node,
            default_stream(&broker.name),
            Schema::default(),
        );
        builder.senders.entry(&broker.name).or_default().push(actor);
    }
    if scenario.epoch.as_ref().is_some_and(|epoch| epoch.counter.is_some()) {
        builder.counter();
    }
    for broker in &scenario.brokers {
        builder.connect(&broker.name, &broker.input);
    }
    for operator in &scenario.operators {
        if operator.failover.is_some() {
            for pairing in builder.pairs_named(&operator.name) {
                for copy in copies(&pairing.name) {
                    builder.connect_as(&copy, &[&pairing.name, &operator.name], &operator.input);
                }
            }
        } else {
            builder.connect(&operator.name, &operator.input);
        }
    }
    for sink in &scenario.sinks {
        builder.connect(&sink.name, &sink.input);
    }
    for operator in &scenario.operators {
        match &operator.convey {
            Some(_) if operator.failover.is_some() => builder.paired_belts(&operator.name),
            Some(convey) => builder.belts(&operator.name, convey),
            None => {}
        }
    }
    for operator in &scenario.operators {
        if let Some(failover) = &operator.failover {
            for pairing in builder.pairs_named(&operator.name) {
                builder.agreements(&pairing, &operator.name, failover);
            }
        }
    }
    builder.services();
    builder.controls();
    builder.fill();
    builder.topology
}

fn default_stream(name: &str) -> StreamId {
    StreamId {
        name: name.into(),
        major: 1,
        minor: 0,
    }
}

pub(crate) struct Builder<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) topology: Topology,
    senders: BTreeMap<&'a str, Vec<ActorId>>,
    /// Who puts the late and failed events of a conveyed operator aside.
    aside: BTreeMap<&'a str, Vec<ActorId>>,
}

impl<'a> Builder<'a> {
    /// The actors of a conveyed operator.
    fn conveyed(
        &mut self,
        index: usize,
        operator: &'a script::Operator,
        convey: &script::Convey,
        stream: StreamId,
        schema: &Schema,
    ) {
        let name = &operator.name;
        let mut aside = Vec::new();
        if operator.failover.is_some() {
            // Each copy of each sub-stream has a split of its own, which deals the log as all the others do.
            for pairing in self.pairs_named(name) {
                self.pair(&pairing, operator, &stream, schema);
            }
        } else {
            self.streams(index, operator, convey, &stream, schema, &mut aside);
        }
        let merge = format!("{name}.merge");
        let node = self.node(&merge, None);
        let merge = self.actor(&merge, Role::Merge { operator: index }, node, stream, schema.clone());
        aside.push(merge);
        self.senders.insert(name, vec![merge]);
        self.aside.insert(name, aside);
    }

    /// The split and the sub-streams of a conveyed operator; the latter put late and failed events aside.
    fn streams(
        &mut self,
        index: usize,
        operator: &'a script::Operator,
        convey: &script::Convey,
        stream: &StreamId,
        schema: &Schema,
        aside: &mut Vec<ActorId>,
    ) {
        let name = &operator.name;
        let split = format!("{name}.split");
        let node = self.node(&split, None);
        // What a generator and a split put out is what comes in; that is filled in when their links are known.
        let nothing = Schema::default;
        if operator.generator().is_some() {
            let role = Role::Watermark { operator: index };
            self.actor(&format!("{name}.watermark"), role, node, stream.clone(), nothing());
        }
        self.actor(&split, Role::Split { operator: index }, node, stream.clone(), nothing());
        for part in 0..convey.streams {
            let worker = format!("{name}-{part}");
            let node = self.node(&worker, Some(name));
            let role = Role::Worker {
                operator: index,
                stream: part,
            };
            aside.push(self.actor(&worker, role, node, stream.clone(), schema.clone()));
        }
    }

    /// Whether an operator is conveyed and merged by number: then late is what comes to the merge too late.
    pub(crate) fn by_number(&self, operator: usize) -> bool {
        let convey = self.scenario.operators[operator].convey.as_ref();
        convey.is_some_and(|convey| convey.merge == script::Merge::Number)
    }

    /// The links between the actors of a conveyed operator.
    fn belts(&mut self, name: &str, convey: &script::Convey) {
        let (split, merge) = (format!("{name}.split"), format!("{name}.merge"));
        for part in 0..convey.streams {
            let worker = format!("{name}-{part}");
            let mut ways = vec![(&split, &worker, Port::Stream(part)), (&worker, &merge, Port::Main)];
            if convey.answers() {
                ways.push((&worker, &split, Port::Back));
            }
            for (from, to, port) in ways {
                let whole = |end: &str| end == worker;
                let named = |link: &&script::Link| {
                    let fits = |said: &str, end: &str| said == end || (whole(end) && said == name);
                    fits(&link.from, from) && fits(&link.to, to)
                };
                let mut settings = self.scenario.links.iter().filter(named);
                let exact = settings.clone().find(|link| link.from == *from && link.to == *to);
                let settings = exact.or_else(|| settings.next()).cloned();
                let settings = settings.unwrap_or_else(|| script::Link::plain(from, to));
                if let (Some(sender), Some(receiver)) = (self.topology.actor(from), self.topology.actor(to)) {
                    self.link(
                        format!("{from} -> {to}"),
                        sender,
                        receiver,
                        port,
                        part as usize,
                        settings,
                    );
                }
            }
        }
    }

    pub(crate) fn actor(&mut self, name: &str, role: Role, node: NodeId, stream: StreamId, schema: Schema) -> ActorId {
        let id = ActorId(self.topology.actors.len() as u32);
        let actor = Actor {
            name: name.into(),
            role,
            node,
            stream,
            schema,
            inputs: vec![],
            outputs: vec![],
        };
        self.topology.actors.push(actor);
        id
    }

    /// The node of that name, with its own settings, else with those of `like`, else with none.
    pub(crate) fn node(&mut self, name: &str, like: Option<&str>) -> NodeId {
        if let Some(id) = self.topology.node(name) {
            return id;
        }
        let named = |wanted: &str| self.scenario.nodes.iter().find(|n| n.name == wanted).cloned();
        let mut node = named(name)
            .or_else(|| like.and_then(named))
            .unwrap_or_else(|| script::Node::plain(name));
        node.name = name.to_owned();
        let id = NodeId(self.topology.nodes.len() as u32);
        self.topology.nodes.push(node);
        id
    }

    fn connect(&mut self, name: &str, inputs: &[String]) {
        self.connect_as(name, &[], inputs);
    }

    /// Connects an actor to its inputs; links that have no settings of their own have those of the links to the first of
    /// `like` that has any.
    fn connect_as(&mut self, name: &str, like: &[&str], inputs: &[String]) {
        let split = self.topology.actor(&format!("{name}.split"));
        let Some(receiver) = split.or_else(|| self.topology.actor(name)) else {
            return;
        };
        let generator = self.topology.actor(&format!("{name}.watermark"));
        for (listed, entry) in inputs.iter().enumerate() {
            let (sender, port) = input_name(entry);
            let gates = self.gates(sender, port);
            for pairing in &gates {
                self.through_gate(pairing, name, generator.unwrap_or(receiver), port, listed);
            }
            if !gates.is_empty() {
                continue;
            }
            let aside = self.aside.get(sender).filter(|_| port != Port::Main);
            for from in aside.or_else(|| self.senders.get(sender)).cloned().unwrap_or_default() {
                let actor = &self.topology.actors[from.0 as usize];
                let part = match (port, actor.role) {
                    // What a merge puts out is the operator's.
                    (Port::Main, Role::Merge { .. }) => sender.to_owned(),
                    (Port::Main, _) => actor.name.to_string(),
                    (Port::Failed, Role::Merge { .. }) => continue,
                    (Port::Late, Role::Merge { operator }) if self.by_number(operator) => entry.clone(),
                    (Port::Late, Role::Merge { .. }) => continue,
                    (Port::Late, Role::Worker { operator, .. }) if self.by_number(operator) => continue,
                    (_, Role::Worker { .. }) => entry.replacen(sender, &actor.name, 1),
                    _ => entry.clone(),
                };
                let receivers: Vec<&str> = std::iter::once(name).chain(like.iter().copied()).collect();
                let settings = self.settings(&[&part, entry], &receivers);
                self.link(
                    format!("{part} -> {name}"),
                    from,
                    generator.unwrap_or(receiver),
                    port,
                    listed,
                    settings,
                );
            }
        }
        if let Some(generator) = generator {
            let from = format!("{name}.watermark");
            let settings = script::Link::plain(&from, name);
            self.link(
                format!("{from} -> {name}"),
                generator,
                receiver,
                Port::Main,
                0,
                settings,
            );
        }
    }

    /// The settings of a link: those of the most particular of the names that it goes by.
    pub(crate) fn settings(&self, from: &[&str], to: &[&str]) -> script::Link {
        let links = &self.scenario.links;
        let named = |from: &str, to: &str| links.iter().find(|link| link.from == from && link.to == to);
        let mut names = to.iter().flat_map(|to| from.iter().map(move |from| (*from, *to)));
        let settings = names.find_map(|(from, to)| named(from, to)).cloned();
        settings.unwrap_or_else(|| script::Link::plain(from[0], to[0]))
    }

    /// The counter of epochs, with a link from every part of every source and one back.
    fn counter(&mut self) {
        let node = self.node(COUNTER, None);
        let counter = self.actor(COUNTER, Role::Counter, node, default_stream(COUNTER), Schema::default());
        for source in (0..counter.0).map(ActorId) {
            let actor = &self.topology.actors[source.0 as usize];
            let Role::Source { source: of, .. } = actor.role else {
                continue;
            };
            let (part, whole) = (actor.name.to_string(), &self.scenario.sources[of].name);
            let settings = |from: &str, to: &str| {
                let named = |link: &&script::Link| link.from == from && link.to == to;
                self.scenario.links.iter().find(named).cloned()
            };
            let ask = settings(&part, COUNTER).or_else(|| settings(whole, COUNTER));
            let answer = settings(COUNTER, &part).or_else(|| settings(COUNTER, whole));
            let ask = ask.unwrap_or_else(|| script::Link::plain(&part, COUNTER));
            let answer = answer.unwrap_or_else(|| script::Link::plain(COUNTER, &part));
            self.link(format!("{part} -> {COUNTER}"), source, counter, Port::Counter, 0, ask);
            self.link(format!("{COUNTER} -> {part}"), counter, source, Port::Main, 0, answer);
        }
    }

    /// The control links: between readers and their brokers, between those who take part in recovery and their
    /// coordinator and store.
    fn controls(&mut self) {
        let scenario = self.scenario;
        let actors = |topology: &Topology, fits: &dyn Fn(&Actor) -> bool| -> Vec<ActorId> {
            let actors = topology.actors.iter().enumerate();
            actors
                .filter(|(_, actor)| fits(actor))
                .map(|(i, _)| ActorId(i as u32))
                .collect()
        };
        let brokers = actors(&self.topology, &|actor| matches!(actor.role, Role::Broker { .. }));
        for broker in brokers {
            let outputs = self.topology.actors[broker.0 as usize].outputs.clone();
            let mut readers: Vec<ActorId> = Vec::new();
            for link in outputs {
                let link = &self.topology.links[link.0 as usize];
                let reader = link.to;
                // Who takes what was given up reads nothing else.
                if link.port == Port::Main && !readers.contains(&reader) {
                    readers.push(reader);
                }
            }
            for reader in readers {
                self.control(reader, broker);
                self.control(broker, reader);
            }
        }
        if scenario.snapshot.is_none() && scenario.replay.is_none() {
            return;
        }
        // The copies of an operator are set back by what publishes their results.
        let copies = &self.topology;
        let takes_part = |id: ActorId, actor: &Actor| match actor.role {
            _ if copies.coordinator(id).is_some() => false,
            Role::Watermark { .. } | Role::Split { .. } | Role::Merge { .. } => true,
            Role::Operator { .. } | Role::Worker { .. } => true,
            Role::Sink { sink } => {
                scenario.snapshot.is_some() && scenario.sinks[sink].delivery == script::Delivery::Transactional
            }
            Role::Source { .. } | Role::Broker { .. } | Role::Counter | Role::Coordinator | Role::Store => false,
            Role::Replica { .. } | Role::Arbiter { .. } | Role::Gate { .. } | Role::Service { .. } => false,
        };
        let all = self.topology.actors.iter().enumerate();
        let all = all.map(|(index, actor)| (ActorId(index as u32), actor));
        let participants: Vec<ActorId> = all
            .filter(|(id, actor)| takes_part(*id, actor))
            .map(|(id, _)| id)
            .collect();
        if participants.is_empty() {
            return;
        }
        let nobody = Schema::default;
        let node = self.node(COORDINATOR, None);
        let coordinator = self.actor(
            COORDINATOR,
            Role::Coordinator,
            node,
            default_stream(COORDINATOR),
            nobody(),
        );
        let store = scenario.snapshot.as_ref().map(|_| {
            let node = self.node(STORE, None);
            self.actor(STORE, Role::Store, node, default_stream(STORE), nobody())
        });
        for participant in participants {
            for other in [Some(coordinator), store].into_iter().flatten() {
                self.control(participant, other);
                self.control(other, participant);
            }
        }
        if let Some(store) = store {
            self.control(coordinator, store);
            self.control(store, coordinator);
        }
    }

    /// A control link.
    pub(crate) fn control(&mut self, from: ActorId, to: ActorId) {
        // As on links for events, a generator goes by its operator's name.
        let name = |actor: ActorId| {
            let name = &self.topology.actors[actor.0 as usize].name;
            name.strip_suffix(".watermark").unwrap_or(name).to_owned()
        };
        let (sender, receiver) = (name(from), name(to));
        let settings = self.scenario.links.iter();
        let settings = settings
            .clone()
            .find(|link| link.from == sender && link.to == receiver)
            .cloned();
        // What a broker gives to a reader has a link of that name already.
        let settings = settings.filter(|_| !self.joined(from, to));
        let settings = settings.unwrap_or_else(|| script::Link::plain(&sender, &receiver));
        self.link(format!("{sender} -> {receiver}"), from, to, Port::Control, 0, settings);
    }

    /// Whether a link for events leads from one actor to another.
    fn joined(&self, from: ActorId, to: ActorId) -> bool {
        let outputs = self.topology.actors[from.0 as usize].outputs.iter();
        let mut links = outputs.map(|link| &self.topology.links[link.0 as usize]);
        links.any(|link| link.to == to && link.port != Port::Control)
    }

    /// Gives generators, splits and sinks the stream and schema of what comes in.
    fn fill(&mut self) {
        for index in 0..self.topology.actors.len() {
            let actor = &self.topology.actors[index];
            if let (
                Role::Watermark { .. }
                | Role::Split { .. }
                | Role::Sink { .. }
                | Role::Broker { .. }
                | Role::Gate { .. },
                Some(first),
            ) = (actor.role, actor.inputs.first())
            {
                let (stream, schema) = self.carried(*first);
                let actor = &mut self.topology.actors[index];
                (actor.stream, actor.schema) = (stream, schema);
            }
        }
    }

    /// The stream and schema of what travels on a link: what a generator passes on, or an operator puts aside, is what
    /// came in.
    fn carried(&self, link: LinkId) -> (StreamId, Schema) {
        let link = &self.topology.links[link.0 as usize];
        let mut from = &self.topology.actors[link.from.0 as usize];
        if let (Role::Replica { .. }, Some(results)) = (from.role, from.inputs.first()) {
            // What a copy publishes is what its operator puts out.
            from = &self.topology.actors[self.topology.links[results.0 as usize].from.0 as usize];
        }
        let aside = matches!(link.port, Port::Late | Port::Failed) && !matches!(from.role, Role::Merge { .. });
        let passes = from.role.passes() || aside || matches!(from.role, Role::Broker { .. } | Role::Gate { .. });
        match from.inputs.first() {
            Some(input) if passes => self.carried(*input),
            _ => (from.stream.clone(), from.schema.clone()),
        }
    }

    pub(crate) fn link(
        &mut self,
        name: String,
        from: ActorId,
        to: ActorId,
        port: Port,
        listed: usize,
        settings: script::Link,
    ) {
        let id = LinkId(self.topology.links.len() as u32);
        let input = self.topology.actors[to.0 as usize].inputs.len();
        self.topology.links.push(Link {
            name: name.into(),
            from,
            to,
            port,
            input,
            listed,
            settings,
        });
        self.topology.actors[from.0 as usize].outputs.push(id);
        self.topology.actors[to.0 as usize].inputs.push(id);
    }
}
