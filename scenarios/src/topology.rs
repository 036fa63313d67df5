//! Who stands where and is linked to whom: a scenario with its names resolved to indices, and the schema of every
//! output worked out.

use arcstr::ArcStr;

use crate::schema::{Schema, StreamId};
use crate::script;

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
/// its watermark generator, then sinks, as the file lists them.
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
    /// A sink.
    Sink {
        /// Which sink.
        sink: usize,
    },
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

/// An output of an operator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Port {
    /// Its results.
    Main,
    /// `name.late`: late events set aside.
    Late,
    /// `name.failed`: events it could not work on.
    Failed,
}
