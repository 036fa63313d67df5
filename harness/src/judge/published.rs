//! Two copies of an operator in lockstep with the story of what they may publish: after each step, what came out of the pair
//! and what its receivers passed on is compared with [`Publication`].

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use wavetank_actors::Element;
use wavetank_actors::reliability::Control;
use wavetank_actors::reliability::failover::{Head, Note};
use wavetank_actors::reliability::snapshot::Message;
use wavetank_actors::world::{Happening, NodeFault};
use wavetank_oracle::publication::{Place, Publication, Terms, Wrong};
use wavetank_scenarios::script::{Discard, Repeats, Scenario};
use wavetank_scenarios::topology::{ActorId, LinkId, NodeId, Port, Role, Topology};
use wavetank_scenarios::{EventId, Time};

use super::Breach;

/// What a copy was given and has not worked on: a result of its operator, or something else.
type Given = Option<(usize, Element)>;

/// One of two copies.
struct Side {
    node: NodeId,
    given: VecDeque<Given>,
    /// Whether the model has been told of what the copy works on.
    begun: bool,
}

/// A receiver's gate.
struct Gate {
    node: NodeId,
    /// Which side's items it was given and has not worked on, and whether each must pass.
    due: VecDeque<Option<(usize, bool, Option<EventId>)>>,
    passed: bool,
}

/// Two copies and their story.
struct Pair {
    name: String,
    story: Publication<Element>,
    outputs: Vec<Port>,
    sides: [Side; 2],
    gates: Vec<Gate>,
    tested: bool,
    wrong: Option<Breach>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Published {
    pairs: Vec<Pair>,
    /// By what publishes: which pair, which side.
    replicas: FxHashMap<ActorId, (usize, usize)>,
    /// By operator of a copy.
    works: FxHashMap<ActorId, (usize, usize)>,
    /// By gate: which pair, which receiver.
    gates: FxHashMap<ActorId, (usize, usize)>,
    /// By link from a copy to the first of the gates of an output: pair, side and output.
    ways: FxHashMap<LinkId, (usize, usize, usize)>,
    /// By actor and input, of those that publish: from which output of its operator it comes.
    inputs: FxHashMap<(ActorId, usize), usize>,
}

impl Published {
    /// Those of a topology.
    pub fn new(topology: &Topology, scenario: &Scenario) -> Self {
        let mut all = Self::default();
        let role = |actor: ActorId| topology.actors[actor.0 as usize].role;
        let node = |actor: ActorId| topology.actors[actor.0 as usize].node;
        let replicas: Vec<ActorId> = (0..topology.actors.len() as u32)
            .map(ActorId)
            .filter(|actor| matches!(role(*actor), Role::Replica { .. }))
            .collect();
        for a in &replicas {
            let Role::Replica {
                operator,
                stream,
                side: 0,
            } = role(*a)
            else {
                continue;
            };
            let twin = Role::Replica {
                operator,
                stream,
                side: 1,
            };
            let Some(b) = replicas.iter().find(|b| role(**b) == twin) else {
                continue;
            };
            let Some(settings) = &scenario.operators[operator].failover else {
                continue;
            };
            let (pair, mut outputs, mut gates) = (all.pairs.len(), Vec::new(), Vec::new());
            for (side, copy) in [*a, *b].into_iter().enumerate() {
                all.replicas.insert(copy, (pair, side));
                for link in &topology.actors[copy.0 as usize].outputs {
                    let (id, link) = (*link, &topology.links[link.0 as usize]);
                    if link.port == Port::Control || !matches!(role(link.to), Role::Gate { .. }) {
                        continue;
                    }
                    let known = outputs.iter().position(|(port, _)| *port == link.port);
                    let output = known.unwrap_or_else(|| {
                        outputs.push((link.port, link.to));
                        outputs.len() - 1
                    });
                    if outputs[output].1 == link.to {
                        all.ways.insert(id, (pair, side, output));
                    }
                    if side == 0 {
                        all.gates.insert(link.to, (pair, gates.len()));
                        gates.push((output, link.to));
                    }
                }
            }
            let works = |copy: ActorId| {
                let mut peers = topology.peers(copy).filter(|peer| role(*peer).works().is_some());
                peers.next()
            };
            let (Some(of_a), Some(of_b)) = (works(*a), works(*b)) else {
                continue;
            };
            for (side, (copy, works)) in [(*a, of_a), (*b, of_b)].into_iter().enumerate() {
                all.works.insert(works, (pair, side));
                for (input, link) in topology.actors[copy.0 as usize].inputs.iter().enumerate() {
                    let port = topology.links[link.0 as usize].port;
                    if let Some(output) = outputs.iter().position(|(known, _)| *known == port) {
                        all.inputs.insert((copy, input), output);
                    }
                }
            }
            let terms = Terms {
                forgets_published: settings.discard == Discard::Published,
                fenced: settings.fencing,
                repeats_pass: settings.repeats == Repeats::Pass,
            };
            let side = |copy: ActorId| Side {
                node: node(copy),
                given: VecDeque::new(),
                begun: false,
            };
            let receivers: Vec<usize> = gates.iter().map(|(output, _)| *output).collect();
            let name = &topology.actors[a.0 as usize].name;
            all.pairs.push(Pair {
                name: name.strip_suffix("-a.output").unwrap_or(name).to_owned(),
                story: Publication::new(terms, outputs.len(), &receivers),
                outputs: outputs.iter().map(|(port, _)| *port).collect(),
                sides: [side(*a), side(*b)],
                gates: gates
                    .iter()
                    .map(|(_, gate)| Gate {
                        node: node(*gate),
                        due: VecDeque::new(),
                        passed: false,
                    })
                    .collect(),
                tested: false,
                wrong: None,
            });
        }
        all
    }

    /// Each pair: its name, whether anything was published, and what was wrong first.
    pub fn verdicts(&self) -> impl Iterator<Item = (&str, bool, Option<&Breach>)> {
        let pairs = self.pairs.iter();
        pairs.map(|pair| (pair.name.as_str(), pair.tested, pair.wrong.as_ref()))
    }

    /// Something happened.
    pub fn see(&mut self, at: Time, happening: &Happening<'_>) {
        if self.pairs.is_empty() {
            return;
        }
        match happening {
            Happening::Delivered {
                actor, input, element, ..
            } => {
                if let Some((pair, side)) = self.replicas.get(actor).copied() {
                    let output = self.inputs.get(&(*actor, *input)).copied();
                    self.pairs[pair].given(side, output, element);
                } else if let Some((pair, gate)) = self.gates.get(actor).copied() {
                    self.pairs[pair].reaches(gate, *input, element);
                }
            }
            Happening::Timer { actor, .. } => {
                if let Some((pair, side)) = self.replicas.get(actor).copied() {
                    self.pairs[pair].sides[side].given.push_back(None);
                }
            }
            Happening::OfCopy { actor, note } => {
                if let Some((pair, side)) = self.replicas.get(actor).copied() {
                    let pair = &mut self.pairs[pair];
                    pair.begin(side);
                    match note {
                        Note::Primary { .. } => pair.story.leads(side, true),
                        Note::SteppedDown(_) | Note::Rests => pair.story.leads(side, false),
                        Note::Suspects | Note::CaughtUp | Note::Diverged { .. } => {}
                    }
                }
            }
            Happening::Told { link, element } => {
                if let Some((pair, side, output)) = self.ways.get(link).copied() {
                    self.pairs[pair].lets_out(at, side, output, element);
                }
            }
            Happening::Emitted { actor, .. } => {
                if let Some((pair, gate)) = self.gates.get(actor).copied() {
                    self.pairs[pair].gates[gate].passed = true;
                }
            }
            Happening::Done { actor } => {
                if let Some((pair, side)) = self.replicas.get(actor).copied() {
                    self.pairs[pair].done(at, side);
                } else if let Some((pair, gate)) = self.gates.get(actor).copied() {
                    self.pairs[pair].gate_done(at, gate);
                }
            }
            Happening::Restored { actor, snapshot, .. } => {
                if let Some((pair, side)) = self.works.get(actor).copied() {
                    self.pairs[pair].story.begins(side, *snapshot);
                }
            }
            Happening::Node {
                node,
                fault: NodeFault::Crash,
                ..
            } => self.pairs.iter_mut().for_each(|pair| pair.crash(*node)),
            _ => {}
        }
    }
}

impl Pair {
    /// A copy was given something: it works on it when everything before is done.
    fn given(&mut self, side: usize, output: Option<usize>, element: &Element) {
        let given = output.map(|output| (output, element.clone()));
        // What its operator has saved is told by the file alone, when no barrier follows any more.
        let saved = match element {
            Element::Control(control) => match &**control {
                Control::Snapshot(Message::Keep { number, .. }) if !self.story.knows(*number) => Some(*number),
                _ => None,
            },
            _ => None,
        };
        let saved = saved.map(|number| (usize::MAX, Element::Barrier(number)));
        self.sides[side].given.push_back(given.or(saved));
    }

    /// The model is told of what a copy works on.
    fn begin(&mut self, side: usize) {
        let this = &mut self.sides[side];
        if std::mem::replace(&mut this.begun, true) {
            return;
        }
        match this.given.front().cloned().flatten() {
            // A file of an earlier part comes before the barrier, which says it again.
            Some((_, Element::Barrier(number))) => self.story.cut(side, number),
            Some((output, element)) => self.story.writes(side, output, element),
            None => {}
        }
    }

    fn lets_out(&mut self, at: Time, side: usize, output: usize, element: &Element) {
        self.begin(side);
        let told = match element {
            Element::Control(control) => match **control {
                Control::Head(Head { place, .. }) => self.story.announces(side, output, place),
                _ => Ok(()),
            },
            element => {
                self.tested = true;
                self.story.lets_out(side, output, element)
            }
        };
        if let Err(wrong) = told {
            self.note(at, element.event().map(|event| event.id), &wrong);
        }
    }

    fn done(&mut self, at: Time, side: usize) {
        self.begin(side);
        self.sides[side].begun = false;
        self.sides[side].given.pop_front();
        if let Err(wrong) = self.story.step_over(side) {
            self.note(at, None, &wrong);
        }
    }

    /// Something reaches a gate.
    fn reaches(&mut self, gate: usize, side: usize, element: &Element) {
        let due = match element {
            Element::Control(control) => {
                if let Control::Head(Head { token, place }) = **control {
                    self.story.hears(gate, side, token, place);
                }
                None
            }
            element => {
                let passes = self.story.passes(gate, side);
                Some((side, passes, element.event().map(|event| event.id)))
            }
        };
        self.gates[gate].due.push_back(due);
    }

    fn gate_done(&mut self, at: Time, gate: usize) {
        let this = &mut self.gates[gate];
        let passed = std::mem::take(&mut this.passed);
        let Some(Some((side, passes, event))) = this.due.pop_front() else {
            return;
        };
        if passed != passes {
            let say = |passes: bool| if passes { "is taken" } else { "is not taken" };
            let wrong = Wrong {
                at: self.story.place_of(gate, side),
                expected: format!("what came {}", say(passes)),
                came: format!("it {}", say(passed)),
            };
            self.note(at, event, &wrong);
        }
    }

    fn crash(&mut self, node: NodeId) {
        for side in 0..2 {
            if self.sides[side].node == node {
                self.story.crashes(side);
                self.sides[side].given.clear();
                self.sides[side].begun = false;
            }
        }
        for (index, gate) in self.gates.iter_mut().enumerate().filter(|(_, gate)| gate.node == node) {
            gate.due.clear();
            gate.passed = false;
            self.story.forgets(index);
        }
    }

    fn note(&mut self, at: Time, event: Option<EventId>, wrong: &Wrong) {
        let Place { output, place } = wrong.at;
        let of = match self.outputs.get(output) {
            Some(Port::Late) => " of the late events",
            Some(Port::Failed) => " of the failed events",
            _ => "",
        };
        self.wrong.get_or_insert_with(|| Breach {
            at,
            event,
            expected: format!("at place {place}{of}: {}", wrong.expected),
            came: wrong.came.clone(),
        });
    }
}
