//! The pattern as a non-deterministic automaton: states, and edges that lead to what takes the next event.
//!
//! A pattern is first laid out as a graph with nodes that take nothing (as Thompson's construction does, with a node for
//! every connector, absence and choice); then the way from each take to the next ones is walked once, and what stands on it
//! is kept on the edge. Bounded repetitions are written out, so that a state is a number and a run needs no counters.

use arcstr::ArcStr;
use wavetank_scenarios::Span;
use wavetank_scenarios::sequence::{Absence, Contiguity, Loop, Part, Repeat, Tree};

/// The automaton.
#[derive(Debug)]
pub struct Automaton {
    /// Of each state the edges that leave it; a run's set of open edges is a mask over them.
    pub states: Vec<Vec<Edge>>,
    /// What takes events.
    pub takers: Vec<Taker>,
    /// How many absences there are.
    pub absences: usize,
}

/// The state in which nothing has been taken.
pub const START: usize = 0;

/// A way from one take to the next.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Who takes; `None`: the match is complete.
    pub to: Option<usize>,
    /// What may lie between.
    pub contiguity: Contiguity,
    /// What must not come.
    pub nots: Vec<Not>,
    /// The step that ends the loop of this edge, and whether events between count too (not before its first event).
    pub until: Option<(usize, bool)>,
    /// The edges that compete with it, as a mask: if an event fits one, the others are closed.
    pub rivals: u128,
    /// Those of them that win when an event fits both.
    pub losing_to: u128,
    marks: Vec<Mark>,
}

/// An event that must not come.
#[derive(Clone, Copy, Debug)]
pub struct Not {
    /// Which absence of the pattern.
    pub id: usize,
    /// The step that no event may fit.
    pub step: usize,
    /// Only the very next event counts.
    pub next: bool,
    /// For how long.
    pub lasts: Option<Span>,
}

/// What takes an event.
#[derive(Debug)]
pub struct Taker {
    /// The steps that it may be, in the order in which they are tried.
    pub steps: Vec<usize>,
    after: After,
}

#[derive(Debug)]
enum After {
    State(usize),
    /// Of `all(…)`: the states by what is still missing, and what is missing here, as masks over its steps.
    Missing(Vec<usize>, usize, Vec<usize>),
}

impl Taker {
    /// The state behind it, when it has taken an event as these steps.
    pub fn then(&self, taken: &[usize]) -> usize {
        match &self.after {
            After::State(state) => *state,
            After::Missing(states, missing, all) => {
                let bound = taken.iter().filter_map(|step| all.iter().position(|s| s == step));
                let left = bound.fold(*missing, |left, i| left & !(1 << i));
                states[left]
            }
        }
    }
    /// Whether it may take an event as several steps at once.
    pub const fn is_all(&self) -> bool {
        matches!(self.after, After::Missing(..))
    }
}

/// A choice that was made on the way: to go on with a loop, or to leave it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mark {
    repeat: u32,
    more: bool,
    greedy: bool,
}

#[derive(Clone, Debug)]
enum Node {
    Take(usize),
    Edge(Contiguity, usize),
    Not(Not, usize),
    Until(usize, bool, usize),
    /// Go on or leave; `None` when both are tried.
    Split(u32, Option<bool>, usize, usize),
    Branches(Vec<usize>),
    Accept,
}

/// Lays a pattern out.
struct Layout<'a> {
    steps: &'a [ArcStr],
    loops: Loop,
    inside: Contiguity,
    nodes: Vec<Node>,
    /// The steps of each taker, and the node behind it.
    takers: Vec<(Vec<usize>, Behind)>,
    absences: usize,
}

enum Behind {
    Node(usize),
    Missing(Vec<usize>, usize, Vec<usize>),
}

impl Automaton {
    /// The automaton of a pattern over these steps; `loops` and `inside` stand where it does not say itself.
    ///
    /// # Errors
    /// It is too large.
    pub fn new(tree: &Tree, steps: &[ArcStr], loops: Loop, inside: Contiguity) -> Result<Self, String> {
        let mut layout = Layout {
            steps,
            loops,
            inside,
            nodes: vec![Node::Accept],
            takers: Vec::new(),
            absences: 0,
        };
        let start = layout.tree(tree, 0);
        let mut roots = vec![start];
        let mut state_of = |node: usize| {
            roots.iter().position(|root| *root == node).unwrap_or_else(|| {
                roots.push(node);
                roots.len() - 1
            })
        };
        let takers = layout
            .takers
            .iter()
            .map(|(steps, behind)| Taker {
                steps: steps.clone(),
                after: match behind {
                    Behind::Node(node) => After::State(state_of(*node)),
                    Behind::Missing(nodes, missing, all) => {
                        let states = nodes.iter().map(|node| state_of(*node)).collect();
                        After::Missing(states, *missing, all.clone())
                    }
                },
            })
            .collect();
        let states = roots.iter().map(|root| layout.edges(*root)).collect::<Result<_, _>>()?;
        Ok(Self {
            states,
            takers,
            absences: layout.absences,
        })
    }
}

impl Layout<'_> {
    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }
    fn step(&self, name: &str) -> usize {
        self.steps.iter().position(|step| step == name).unwrap_or_default()
    }
    fn take(&mut self, steps: Vec<usize>, behind: Behind) -> usize {
        self.takers.push((steps, behind));
        self.add(Node::Take(self.takers.len() - 1))
    }

    /// The node at which `tree` begins when `next` follows it.
    fn tree(&mut self, tree: &Tree, next: usize) -> usize {
        match tree {
            Tree::Step(name) => {
                let step = self.step(name);
                self.take(vec![step], Behind::Node(next))
            }
            Tree::OneOf(names) => {
                let steps = names.iter().map(|name| self.step(name)).collect();
                self.take(steps, Behind::Node(next))
            }
            Tree::AllOf(names, inside) => self.all(names, *inside, next),
            Tree::Parts(parts) => {
                let mut next = next;
                for (i, part) in parts.iter().enumerate().rev() {
                    next = match part {
                        Part::Take(edge, tree) => {
                            let begin = self.tree(tree, next);
                            if i == 0 {
                                begin
                            } else {
                                self.add(Node::Edge(*edge, begin))
                            }
                        }
                        Part::Not(absence) => self.not(absence, next),
                    };
                }
                next
            }
            Tree::Either(branches) => {
                let begins = branches.iter().map(|branch| self.tree(branch, next)).collect();
                self.add(Node::Branches(begins))
            }
            Tree::Repeat(repeat) => self.repeat(repeat, next),
        }
    }

    fn not(&mut self, absence: &Absence, next: usize) -> usize {
        let not = Not {
            id: self.absences,
            step: self.step(&absence.step),
            next: absence.next,
            lasts: absence.lasts,
        };
        self.absences += 1;
        self.add(Node::Not(not, next))
    }

    fn all(&mut self, names: &[ArcStr], inside: Contiguity, next: usize) -> usize {
        let all: Vec<usize> = names.iter().map(|name| self.step(name)).collect();
        // By what is missing: nothing is behind it; each other is a take whose nodes are known but for its own.
        let mut nodes = vec![next];
        let mut begin = next;
        for missing in 1..1usize << all.len() {
            let steps = (0..all.len())
                .filter(|i| missing >> i & 1 == 1)
                .map(|i| all[i])
                .collect();
            begin = self.take(steps, Behind::Missing(nodes.clone(), missing, all.clone()));
            nodes.push(self.add(Node::Edge(inside, begin)));
        }
        begin
    }

    fn repeat(&mut self, repeat: &Repeat, next: usize) -> usize {
        let inside = repeat.inside.unwrap_or(self.inside);
        let greedy = match repeat.mode.unwrap_or(self.loops) {
            Loop::Greedy => Some(true),
            Loop::Reluctant => Some(false),
            Loop::Every => None,
        };
        let until = repeat.until.as_ref().map(|name| self.step(name));
        let once = |layout: &mut Self, first: bool, next: usize| {
            let mut node = layout.tree(&repeat.body, next);
            if let Some(step) = until {
                node = layout.add(Node::Until(step, !first, node));
            }
            if first {
                node
            } else {
                layout.add(Node::Edge(inside, node))
            }
        };
        let mut node;
        let mut written = match repeat.max {
            Some(max) => {
                node = next;
                max
            }
            None => {
                // A hub to come back to; where it leads on is known only when its body is laid out.
                node = self.add(Node::Accept);
                let more = once(self, false, node);
                self.nodes[node] = Node::Split(repeat.id, greedy, more, next);
                repeat.min.max(1)
            }
        };
        while written > 0 {
            written -= 1;
            let more = once(self, written == 0, node);
            node = if written >= repeat.min {
                self.add(Node::Split(repeat.id, greedy, more, next))
            } else {
                more
            };
        }
        node
    }

    /// The edges from a node to what takes next.
    fn edges(&self, from: usize) -> Result<Vec<Edge>, String> {
        let mut edges = Vec::new();
        let start = Edge {
            to: None,
            contiguity: Contiguity::Strict,
            nots: Vec::new(),
            until: None,
            rivals: 0,
            losing_to: 0,
            marks: Vec::new(),
        };
        self.walk(from, start, &mut edges)?;
        for i in 0..edges.len() {
            for k in 0..edges.len() {
                if let Some(wins) = edges[i].wins_over(&edges[k]) {
                    edges[i].rivals |= 1 << k;
                    if !wins {
                        edges[i].losing_to |= 1 << k;
                    }
                }
            }
        }
        Ok(edges)
    }

    fn walk(&self, at: usize, mut edge: Edge, edges: &mut Vec<Edge>) -> Result<(), String> {
        match &self.nodes[at] {
            Node::Take(taker) => edge.to = Some(*taker),
            Node::Accept => edge.to = None,
            Node::Edge(contiguity, next) => {
                edge.contiguity = *contiguity;
                return self.walk(*next, edge, edges);
            }
            Node::Not(not, next) => {
                edge.nots.push(*not);
                return self.walk(*next, edge, edges);
            }
            Node::Until(step, between, next) => {
                edge.until = Some((*step, *between));
                return self.walk(*next, edge, edges);
            }
            Node::Split(repeat, greedy, more, leave) => {
                for (next, more) in [(*more, true), (*leave, false)] {
                    let mut edge = edge.clone();
                    if let Some(greedy) = *greedy {
                        edge.marks.push(Mark {
                            repeat: *repeat,
                            more,
                            greedy,
                        });
                    }
                    self.walk(next, edge, edges)?;
                }
                return Ok(());
            }
            Node::Branches(branches) => {
                for branch in branches {
                    self.walk(*branch, edge.clone(), edges)?;
                }
                return Ok(());
            }
        }
        if edges.len() >= 128 {
            return Err("the pattern has a place with more than 128 ways on; make it simpler".into());
        }
        edges.push(edge);
        Ok(())
    }
}

impl Edge {
    /// Whether this edge wins over another that competes with it: at the first loop at which one goes on and the other
    /// leaves.
    fn wins_over(&self, other: &Self) -> Option<bool> {
        let (mine, _) = self.marks.iter().zip(&other.marks).find(|(a, b)| a != b)?;
        let opposed = other
            .marks
            .iter()
            .any(|m| m.repeat == mine.repeat && m.more != mine.more);
        opposed.then_some(mine.more == mine.greedy)
    }
}
