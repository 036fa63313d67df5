//! Small worlds, built by hand.
#![allow(dead_code, reason = "each test uses its own part of this")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use actix::Recipient;
use wavetank_actors::world::{
    CalmNetwork, Cast, Deliver, Effect, Input, Network, NodeClock, NodePlan, Observer, Outcome, Setup, Stage, Virtual,
    World, WorldError,
};
use wavetank_actors::{Element, Part, enter};
use wavetank_scenarios::script::{self, BarrierMode, Tie};
use wavetank_scenarios::topology::{Actor, ActorId, Link, LinkId, NodeId, Port, Role, Topology};
use wavetank_scenarios::{Event, EventId, Producer, Schema, Span, StreamId, Time, Value};

/// Makes a part for an actor, each time it enters.
pub type MakePart = Box<dyn FnMut() -> Box<dyn Part>>;

/// A boxed part, as an actor of its own.
pub struct Boxed(Box<dyn Part>);
impl Part for Boxed {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        self.0.play(input, stage);
    }
}

/// A part from a closure.
pub struct Does<F>(pub F);
impl<F: FnMut(Input, &mut Stage) + 'static> Part for Does<F> {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        self.0(input, stage);
    }
}

/// A part that sends `count` events, one each `gap`, and then the end.
pub fn sender(count: u64, gap: Span) -> impl Part {
    let mut next = 0;
    Does(move |_, stage: &mut Stage| {
        if next == count {
            return stage.send(Port::Main, Element::End);
        }
        let id = EventId {
            producer: Producer(stage.actor().0),
            number: next,
        };
        let now = stage.wall();
        let row = [Value::Int(next as i64)].into();
        next += 1;
        let event = Event {
            id,
            stamp: now,
            correlation: id,
            planned: now,
            row,
            lineage: None,
            pane: None,
            sequence: None,
            position: None,
        };
        stage.send(Port::Main, Element::Event(Box::new(event)));
        stage.timer(gap, 0);
    })
}

/// A part that passes everything on.
pub fn relay() -> impl Part {
    Does(|input, stage: &mut Stage| {
        if let Input::Element { lane, element, .. } = input {
            stage.pass_on(lane, element);
        }
    })
}

/// A part that takes everything.
pub fn taker() -> impl Part {
    Does(|input, stage: &mut Stage| {
        if let Input::Element {
            element: Element::Event(event),
            ..
        } = input
        {
            stage.put(Effect::Took(event));
        }
    })
}

/// A world under construction: actors by name, each on a node of its own unless said otherwise.
#[derive(Default)]
pub struct Tank {
    pub topology: Topology,
    pub parts: BTreeMap<ActorId, MakePart>,
    pub node_plan: NodePlan,
    pub clocks: BTreeMap<NodeId, NodeClock>,
    pub network: Option<Box<dyn Network>>,
    pub observer: Option<Box<dyn Observer>>,
    pub seed: u64,
    pub budget: Option<u64>,
    pub no_hash: bool,
}

impl Tank {
    pub fn actor<P: Part>(&mut self, name: &str, mut part: impl FnMut() -> P + 'static) -> ActorId {
        let node = NodeId(self.topology.nodes.len() as u32);
        self.topology.nodes.push(script::Node {
            name: name.into(),
            service: None,
            mailbox: None,
            overflow: script::Overflow::BackPressure,
            shed: None,
            offset: Span::ZERO,
            drift_ppm: 0.0,
        });
        let id = ActorId(self.topology.actors.len() as u32);
        self.topology.actors.push(Actor {
            name: name.into(),
            role: Role::Sink { sink: 0 },
            node,
            stream: "S/1.0".parse::<StreamId>().unwrap(),
            schema: Schema::default(),
            inputs: vec![],
            outputs: vec![],
        });
        self.parts.insert(id, Box::new(move || Box::new(part())));
        id
    }
    pub fn node(&mut self, actor: ActorId) -> &mut script::Node {
        let node = self.topology.actors[actor.0 as usize].node;
        &mut self.topology.nodes[node.0 as usize]
    }
    pub fn link(&mut self, from: ActorId, to: ActorId, settings: impl FnOnce(&mut script::Link)) -> LinkId {
        let id = LinkId(self.topology.links.len() as u32);
        let names = [from, to].map(|a| self.topology.actors[a.0 as usize].name.clone());
        let mut link = script::Link::plain(&names[0], &names[1]);
        settings(&mut link);
        let input = self.topology.actors[to.0 as usize].inputs.len();
        self.topology.actors[to.0 as usize].inputs.push(id);
        self.topology.actors[from.0 as usize].outputs.push(id);
        let name = format!("{} -> {}", names[0], names[1]).into();
        self.topology.links.push(Link {
            name,
            from,
            to,
            port: Port::Main,
            input,
            listed: input,
            settings: link,
        });
        id
    }
    pub fn world(self) -> World {
        let clocks = (0..self.topology.nodes.len())
            .map(|n| {
                self.clocks
                    .get(&NodeId(n as u32))
                    .cloned()
                    .unwrap_or_else(NodeClock::right)
            })
            .collect();
        World::new(Setup {
            topology: Arc::new(self.topology),
            seed: self.seed,
            start: Time::ZERO,
            tie: Tie::EventFirst,
            step_budget: self.budget.unwrap_or(100_000),
            clocks,
            node_plan: self.node_plan,
            strikes: Vec::new(),
            network: self.network.unwrap_or_else(|| Box::new(CalmNetwork)),
            epoch: None,
            barrier: BarrierMode::Aligned,
            cast: Box::new(Parts(self.parts)),
            observer: self.observer,
            hash: !self.no_hash,
            interrupt: Arc::new(AtomicBool::new(false)),
        })
    }
    pub fn run(self) -> Result<Outcome, WorldError> {
        actix::System::new().block_on(self.world().run(Virtual))
    }
}

struct Parts(BTreeMap<ActorId, MakePart>);
impl Cast for Parts {
    fn enter(&mut self, actor: ActorId, stage: Stage) -> Result<Recipient<Deliver>, String> {
        let part = self.0.get_mut(&actor).ok_or("nobody plays it")?();
        Ok(enter(Boxed(part), stage))
    }
}
