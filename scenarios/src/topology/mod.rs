//! Who stands where and is linked to whom: a scenario with its names resolved to indices, and the schema of every
//! output worked out.

mod build;

use arcstr::ArcStr;

use crate::metric::Measured;
pub use crate::pairing::copies;
use crate::schema::{Schema, StreamId};
use crate::script;

pub(crate) use build::{Builder, build};

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
