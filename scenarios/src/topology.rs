//! Who stands where and is linked to whom: a scenario with its names resolved to indices, and the schema of every
//! output worked out.

use std::collections::BTreeMap;

use arcstr::ArcStr;

use crate::metric::Measured;
use crate::pairing::Pairing;
pub use crate::pairing::copies;
use crate::schema::{Schema, StreamId};
use crate::script::{self, Scenario};

/// The index of an actor in [`Topology::actors`]; a source's or operator's [`crate::Producer`] has the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ActorId(pub u32);

/// The index of a link in [`Topology::links`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u32);

/// The index of a node in [`Topology::nodes`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u32);

/// A scenario's actors, nodes and links. The order of actors is: sources (each part), then operators, each preceded by
/// its watermark generator (in place of a conveyed operator its split, its sub-streams and its merge), then sinks, as the
/// file lists them, then brokers, then the counter of epochs, services of models, the coordinator of snapshots and their
/// store, as far as there are any.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// All actors.
    pub actors: Vec<Actor>,
    /// All nodes.
    pub nodes: Vec<script::Node>,
    /// All links.
    pub links: Vec<Link>,
}

/// An actor of the topology.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Its name: the source's (`orders`, or `orders-0`, … with several nodes), the operator's, the operator's with
    /// `.watermark` behind it, the sink's.
    pub name: ArcStr,
    /// What it is.
    pub role: Role,
    /// Where it stands.
    pub node: NodeId,
    /// The stream that it puts out (of a generator: that of its operator's input; of a sink: that of its first input).
    pub stream: StreamId,
    /// The schema of what it puts out.
    pub schema: Schema,
    /// The links that lead to it, in the order of its inputs.
    pub inputs: Vec<LinkId>,
    /// The links that lead away.
    pub outputs: Vec<LinkId>,
}

/// What an actor is; the indices are into the scenario's lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// A part of a source: all of it, or the share of one of its nodes.
    Source {
        /// Which source.
        source: usize,
        /// Which part.
        part: u32,
    },
    /// The watermark generator of an operator.
    Watermark {
        /// Which operator.
        operator: usize,
    },
    /// An operator.
    Operator {
        /// Which operator.
        operator: usize,
    },
    /// What numbers the input of a conveyed operator and deals it to its sub-streams.
    Split {
        /// Which operator.
        operator: usize,
    },
    /// A sub-stream of a conveyed operator: a copy of the operator.
    Worker {
        /// Which operator.
        operator: usize,
        /// Which sub-stream, from 0.
        stream: u32,
    },
    /// What brings the results of a conveyed operator's sub-streams together.
    Merge {
        /// Which operator.
        operator: usize,
    },
    /// A sink.
    Sink {
        /// Which sink.
        sink: usize,
    },
    /// A broker.
    Broker {
        /// Which broker.
        broker: usize,
    },
    /// What holds back or publishes the results of one of two copies of an operator.
    Replica {
        /// Which operator.
        operator: usize,
        /// Which of its sub-streams, where it is conveyed.
        stream: Option<u32>,
        /// Which of the two: 0 or 1.
        side: u8,
    },
    /// Who says which of two copies is the primary.
    Arbiter {
        /// Which operator.
        operator: usize,
        /// Which of its sub-streams, where it is conveyed.
        stream: Option<u32>,
    },
    /// What stands in front of a receiver of what two copies publish.
    Gate {
        /// Which operator.
        operator: usize,
        /// Which of its sub-streams, where it is conveyed.
        stream: Option<u32>,
    },
    /// What has the pre-trained model of a learner, and is asked.
    Service {
        /// Which operator asks.
        operator: usize,
    },
    /// The counter of epochs.
    Counter,
    /// Who has snapshots made, and sets everybody back after a crash.
    Coordinator,
    /// Where snapshots are kept.
    Store,
}

impl Role {
    /// The operator whose work is done here: that of an operator or of one of its sub-streams.
    pub const fn works(self) -> Option<usize> {
        match self {
            Self::Operator { operator } | Self::Worker { operator, .. } => Some(operator),
            Self::Source { .. }
            | Self::Watermark { .. }
            | Self::Split { .. }
            | Self::Merge { .. }
            | Self::Sink { .. }
            | Self::Broker { .. }
            | Self::Replica { .. }
            | Self::Arbiter { .. }
            | Self::Gate { .. }
            | Self::Service { .. }
            | Self::Counter
            | Self::Coordinator
            | Self::Store => None,
        }
    }
    /// The operator that is protected by it, and which of its sub-streams where it is conveyed, where it is about two copies.
    pub const fn pairs(self) -> Option<(usize, Option<u32>)> {
        match self {
            Self::Replica { operator, stream, .. }
            | Self::Arbiter { operator, stream }
            | Self::Gate { operator, stream } => Some((operator, stream)),
            _ => None,
        }
    }
    /// What kind of thing it is to metrics.
    pub const fn measured(self) -> Measured {
        match self {
            Self::Source { .. } | Self::Counter | Self::Store => Measured::Source,
            Self::Broker { .. } => Measured::Broker,
            Self::Coordinator => Measured::Snapshots,
            Self::Watermark { .. } => Measured::Generator,
            Self::Operator { .. } | Self::Split { .. } | Self::Worker { .. } | Self::Merge { .. } => Measured::Operator,
            Self::Replica { .. } | Self::Arbiter { .. } | Self::Gate { .. } => Measured::Operator,
            Self::Service { .. } => Measured::Operator,
            Self::Sink { .. } => Measured::Sink,
        }
    }
    /// Whether it keeps files on a disk of its own.
    pub const fn has_disk(self) -> bool {
        matches!(self, Self::Broker { .. } | Self::Store)
    }
    /// Whether it passes on what comes in as it is.
    pub const fn passes(self) -> bool {
        matches!(self, Self::Watermark { .. } | Self::Split { .. })
    }
}

/// A link of the topology.
#[derive(Clone, Debug)]
pub struct Link {
    /// `from -> to`, as faults and reports name it. A link into a generator carries its operator's name.
    pub name: ArcStr,
    /// Who sends.
    pub from: ActorId,
    /// Who receives.
    pub to: ActorId,
    /// Which of the sender's outputs it carries.
    pub port: Port,
    /// Which input of the receiver it is, from 0 (each part of a source is an input of its own).
    pub input: usize,
    /// The index, in the operator's or sink's `input` list, that this link belongs to.
    pub listed: usize,
    /// Its settings.
    pub settings: script::Link,
}

/// The name of the counter of epochs.
pub const COUNTER: &str = "epoch-counter";
/// The name of who has snapshots made.
pub const COORDINATOR: &str = "snapshots";
/// The name of the store of snapshots.
pub const STORE: &str = "snapshot-store";

/// An output of an operator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Port {
    /// Its results.
    Main,
    /// `name.late`: late events set aside.
    Late,
    /// `name.failed`: events it could not work on; of a queue, `name.dead`: those that it gave up.
    Failed,
    /// What a split gives to one sub-stream.
    Stream(u32),
    /// What a sub-stream tells its split.
    Back,
    /// Of a source: what it asks the counter of epochs.
    Counter,
    /// What snapshots, brokers, replicas and services agree on: one link for each who is told.
    Control,
}

impl Port {
    /// A number for it, different from those of all others.
    pub const fn code(self) -> u64 {
        match self {
            Self::Main => 0,
            Self::Late => 1,
            Self::Failed => 2,
            Self::Back => 3,
            Self::Counter => 4,
            Self::Stream(stream) => 6 + stream as u64,
            Self::Control => 5,
        }
    }
}

impl Topology {
    /// The actor of that name.
    pub fn actor(&self, name: &str) -> Option<ActorId> {
        self.actors
            .iter()
            .position(|a| a.name == name)
            .map(|i| ActorId(i as u32))
    }
    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|n| n.name == name).map(|i| NodeId(i as u32))
    }
    /// The links that `from -> to` names: one, or those of all parts of a source or all sub-streams of an operator.
    pub fn links_named(&self, name: &str) -> Vec<LinkId> {
        let Some((from, to)) = name.split_once("->").map(|(a, b)| (a.trim(), b.trim())) else {
            return vec![];
        };
        let fits = |link: &Link| match link.name.split_once(" -> ") {
            Some((sender, receiver)) => {
                let sends = sender == from || part_of(sender, from) && self.has_parts(link.from);
                let copies = |name: &str, of: &str, actor: ActorId| {
                    self.pair_of(actor).is_some_and(|(_, stream)| copy_of(name, of, stream))
                };
                let sends = sends || copies(sender, from, link.from);
                let receives = receiver == to || part_of(receiver, to) && self.has_parts(link.to);
                sends && (receives || copies(receiver, to, link.to))
            }
            None => false,
        };
        let found = self.links.iter().enumerate().filter(|(_, link)| fits(link));
        found.map(|(i, _)| LinkId(i as u32)).collect()
    }
    /// The nodes that a name means: one, or those of all parts of a source or all sub-streams of an operator.
    pub fn nodes_named(&self, name: &str) -> Vec<NodeId> {
        if let Some(node) = self.node(name) {
            return vec![node];
        }
        let parts = self.sources_named(name).into_iter().chain(self.workers_named(name));
        let parts = parts.chain(self.replicas_named(name));
        parts.map(|actor| self.actors[actor.0 as usize].node).collect()
    }
    /// The source actors that a name means: one part, or all parts of a source.
    pub fn sources_named(&self, name: &str) -> Vec<ActorId> {
        let sources = (0..self.actors.len() as u32)
            .map(ActorId)
            .filter(|actor| self.is_source(*actor));
        let exact: Vec<ActorId> = sources
            .clone()
            .filter(|a| self.actors[a.0 as usize].name == name)
            .collect();
        if exact.is_empty() {
            sources
                .filter(|a| is_part(&self.actors[a.0 as usize].name, name))
                .collect()
        } else {
            exact
        }
    }
    /// What publishes the results of the two copies of the operator of that name, when it has any.
    pub fn replicas_named(&self, name: &str) -> Vec<ActorId> {
        let actors = self.actors.iter().enumerate();
        let copies = actors.filter(|(_, actor)| {
            let Role::Replica { stream, .. } = actor.role else {
                return false;
            };
            let copy = actor.name.strip_suffix(".output");
            copy.is_some_and(|copy| copy_of(copy, name, stream))
        });
        copies.map(|(i, _)| ActorId(i as u32)).collect()
    }
    /// The sub-streams of the operator of that name, when it is conveyed.
    pub fn workers_named(&self, name: &str) -> Vec<ActorId> {
        let actors = (0..self.actors.len() as u32).map(ActorId);
        let works = |actor: &ActorId| {
            let actor = &self.actors[actor.0 as usize];
            matches!(actor.role, Role::Worker { .. }) && is_part(&actor.name, name)
        };
        actors.filter(works).collect()
    }
    /// Those who do the work of an operator: itself, or its sub-streams.
    pub fn workers(&self, operator: usize) -> impl Iterator<Item = ActorId> + '_ {
        let actors = self.actors.iter().enumerate();
        actors
            .filter(move |(_, actor)| actor.role.works() == Some(operator))
            .map(|(i, _)| ActorId(i as u32))
    }
    /// The links that lead to an actor and carry its input: all but those that a split's sub-streams answer by, and those
    /// that are not for events.
    pub fn forward(&self, actor: ActorId) -> impl Iterator<Item = LinkId> + '_ {
        let links = self.actors[actor.0 as usize].inputs.iter().copied();
        links.filter(|link| !matches!(self.links[link.0 as usize].port, Port::Back | Port::Control))
    }
    /// Whether an actor is set back after a crash, to a snapshot or to its beginning: it answers to a coordinator.
    pub fn takes_part(&self, actor: ActorId) -> bool {
        self.coordinator(actor).is_some()
    }
    /// Who sets an actor back after a crash: the coordinator of snapshots, or, for the copies of an operator, what publishes
    /// their results.
    pub fn coordinator(&self, actor: ActorId) -> Option<ActorId> {
        let copy = matches!(
            self.actors[actor.0 as usize].role,
            Role::Operator { .. } | Role::Watermark { .. } | Role::Split { .. } | Role::Worker { .. }
        );
        let store = self.actors[actor.0 as usize].role == Role::Store;
        self.peers(actor).find(|peer| match self.actors[peer.0 as usize].role {
            Role::Coordinator => !store,
            Role::Replica { .. } => copy,
            _ => false,
        })
    }
    /// Which operator an actor is one of two copies of, or belongs to one of, and which sub-stream where it is conveyed.
    fn pair_of(&self, actor: ActorId) -> Option<(usize, Option<u32>)> {
        let role = self.actors[actor.0 as usize].role;
        if let Role::Replica { operator, stream, .. } = role {
            return Some((operator, stream));
        }
        self.coordinator(actor)
            .and_then(|replica| self.actors[replica.0 as usize].role.pairs())
    }
    /// The other of two copies: of the operator, of its sub-stream, or of what stands before it.
    pub fn twin(&self, actor: ActorId) -> Option<ActorId> {
        let replica = self.coordinator(actor)?;
        let Role::Replica { operator, stream, side } = self.actors[replica.0 as usize].role else {
            return None;
        };
        let side = 1 - side;
        let of_other = Role::Replica { operator, stream, side };
        let role = self.actors[actor.0 as usize].role;
        let actors = self.actors.iter().enumerate();
        let mut others = actors
            .filter(|(_, other)| other.role == role)
            .map(|(i, _)| ActorId(i as u32));
        others.find(|other| {
            let replica = self.coordinator(*other);
            replica.is_some_and(|replica| self.actors[replica.0 as usize].role == of_other)
        })
    }
    /// Those whom an actor can tell something by a control link.
    pub fn peers(&self, actor: ActorId) -> impl Iterator<Item = ActorId> + '_ {
        let links = self.actors[actor.0 as usize].outputs.iter();
        let links = links.map(|link| &self.links[link.0 as usize]);
        links.filter(|link| link.port == Port::Control).map(|link| link.to)
    }
    /// Whether barriers travel on a link that those it leads to wait for: it joins two that take part, and is not the way
    /// back of a sub-stream.
    pub fn carries_barriers(&self, link: LinkId) -> bool {
        let link = &self.links[link.0 as usize];
        let (from, to) = (link.from, link.to);
        !matches!(link.port, Port::Control | Port::Back) && self.takes_part(from) && self.takes_part(to)
    }
    /// Whether an actor reads from a source or a broker: nobody that takes part stands before it.
    pub fn reads(&self, actor: ActorId) -> bool {
        self.takes_part(actor) && self.forward(actor).all(|link| !self.carries_barriers(link))
    }
    /// The schemas of an operator's inputs, one for each entry of its `input` list. What a watermark generator or a
    /// split passes on keeps the schema of where it came from.
    pub fn input_schemas(&self, actor: ActorId) -> Vec<&Schema> {
        let mut schemas: Vec<(usize, &Schema)> = Vec::new();
        let mut visit = vec![actor];
        while let Some(actor) = visit.pop() {
            for link in self.forward(actor) {
                let link = &self.links[link.0 as usize];
                let from = &self.actors[link.from.0 as usize];
                if from.role.passes() {
                    visit.push(link.from);
                } else if schemas.iter().all(|(listed, _)| *listed != link.listed) {
                    schemas.push((link.listed, &from.schema));
                }
            }
        }
        schemas.sort_by_key(|(listed, _)| *listed);
        schemas.into_iter().map(|(_, schema)| schema).collect()
    }
    fn is_source(&self, actor: ActorId) -> bool {
        matches!(self.actors[actor.0 as usize].role, Role::Source { .. })
    }
    fn has_parts(&self, actor: ActorId) -> bool {
        matches!(
            self.actors[actor.0 as usize].role,
            Role::Source { .. } | Role::Worker { .. }
        )
    }
}

/// Whether `part` is `name-0`, `name-1`, ….
fn is_part(part: &str, name: &str) -> bool {
    let number = part.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether `copy` is `name-a` or `name-b`, or, of a sub-stream, `name-0-a` …; or, of an output, `name-a.late` where `name` is
/// `name.late`.
fn copy_of(copy: &str, name: &str, stream: Option<u32>) -> bool {
    let (name, port) = name.split_once('.').unwrap_or((name, ""));
    let (copy, same) = copy.split_once('.').unwrap_or((copy, ""));
    let rest = copy.strip_prefix(name);
    let number = stream.map(|stream| format!("-{stream}"));
    let behind = number.and_then(|number| rest?.strip_prefix(number.as_str()));
    port == same && [rest, behind].iter().any(|rest| matches!(rest, Some("-a" | "-b")))
}

/// Whether `part` is `name-0`, or, of an output, `name-0.failed` where `name` is `name.failed`.
fn part_of(part: &str, name: &str) -> bool {
    match (part.split_once('.'), name.split_once('.')) {
        (Some((part, port)), Some((name, same))) => port == same && is_part(part, name),
        (None, None) => is_part(part, name),
        _ => false,
    }
}

/// What an entry of an `input` list means: a source or operator, and which of its outputs.
pub(crate) fn input_name(entry: &str) -> (&str, Port) {
    for (suffix, port) in [
        (".late", Port::Late),
        (".failed", Port::Failed),
        (".dead", Port::Failed),
    ] {
        if let Some(name) = entry.strip_suffix(suffix) {
            return (name, port);
        }
    }
    (entry, Port::Main)
}

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
