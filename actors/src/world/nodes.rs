//! What befalls nodes: crashes and restarts, pauses, slowness.

use super::*;

impl World {
    /// Counts what a node takes. True when the node is about to crash, and this is lost.
    pub(super) fn doomed(&mut self, actor: ActorId, input: &Input) -> bool {
        let id = self.players[actor.0 as usize].node;
        let node = &mut self.nodes[id.0 as usize];
        if let Input::Element { .. } = input {
            node.taken += 1;
            let taken = node.taken;
            let due = |strike: &&Strike| strike.node == id && strike.delivery == taken;
            node.doomed = node.doomed.or(self.strikes.iter().find(due).copied());
        }
        let doomed = node.doomed.is_some() && !matches!(input, Input::Enter { .. });
        if let (true, Input::Element { element, .. }) = (doomed, input)
            && let Some(event) = element.event()
        {
            self.say(&Happening::LostInMailbox { actor, event });
        }
        doomed
    }

    /// Nodes crash that were about to.
    pub(super) fn strike(&mut self) -> Result<(), WorldError> {
        for index in 0..self.nodes.len() {
            let Some(strike) = self.nodes[index].doomed.take() else {
                continue;
            };
            self.befall(strike.node, NodeFault::Crash, strike.by)?;
            if let Some(restart) = strike.restart {
                let (node, fault, by) = (strike.node, NodeFault::Restart, strike.by);
                let entry = Entry::Node { node, fault, by };
                self.fabric.push(self.now.get() + restart, Class::World, entry);
            }
        }
        Ok(())
    }

    pub(super) fn befall(&mut self, id: NodeId, fault: NodeFault, by: usize) -> Result<(), WorldError> {
        let node = &mut self.nodes[id.0 as usize];
        let effective = match fault {
            NodeFault::Crash | NodeFault::Pause | NodeFault::Slow(_) => node.up,
            NodeFault::Restart => !node.up,
            NodeFault::Resume => node.paused > 0,
            NodeFault::Clock => true,
        };
        if !effective {
            return Ok(());
        }
        match fault {
            NodeFault::Crash => {
                node.up = false;
                node.incarnation += 1;
                node.slow = 1.0;
                let actors = node.actors.clone();
                let stalled = std::mem::take(&mut node.stalled);
                tell!(self, Happening::Node { node: id, fault, by });
                for entry in stalled {
                    if let Entry::Arrive(arriving) = entry {
                        self.arrive(0, arriving);
                    }
                }
                for actor in actors {
                    self.players[actor.0 as usize].address = None;
                    let now = self.now.get();
                    let shows = self.node_of(actor).clock.monotonic(now);
                    self.cast.left(actor, shows);
                    self.forget_held(actor);
                    self.forget_ahead(actor);
                    let at_work = self.players[actor.0 as usize].station.as_mut().map(Station::stop);
                    for id in at_work.unwrap_or_default() {
                        let taken = true;
                        tell!(self, Happening::LostAtWork { actor, id, taken });
                    }
                    let queue = match &mut self.players[actor.0 as usize].station {
                        Some(station) => {
                            station.busy = false;
                            station.events = 0;
                            std::mem::take(&mut station.queue)
                        }
                        None => VecDeque::new(),
                    };
                    for waiting in queue {
                        self.acknowledge(waiting.link);
                        if let Input::Element { element, .. } = &waiting.input
                            && let Some(event) = element.event()
                        {
                            tell!(self, Happening::LostInMailbox { actor, event });
                        }
                    }
                    // What waited for room has not been acknowledged: it waits for the next incarnation like all else.
                    for link in self.topology.actors[actor.0 as usize].inputs.clone() {
                        self.hold(link, false);
                        let link = &mut self.links[link.0 as usize];
                        let mut blocked = std::mem::take(&mut link.blocked);
                        link.parked.append(&mut blocked);
                    }
                    for link in self.topology.actors[actor.0 as usize].outputs.clone() {
                        let link = &mut self.links[link.0 as usize];
                        link.waiting.clear();
                        link.batches += 1;
                    }
                }
            }
            NodeFault::Restart => {
                node.up = true;
                let actors = node.actors.clone();
                tell!(self, Happening::Node { node: id, fault, by });
                for actor in actors {
                    self.goes_away(actor);
                    self.enter(actor, true)?;
                    for link in self.topology.actors[actor.0 as usize].inputs.clone() {
                        let parked = std::mem::take(&mut self.links[link.0 as usize].parked);
                        for arriving in parked {
                            self.fabric.push(self.now.get(), Class::World, Entry::Arrive(arriving));
                        }
                    }
                }
            }
            NodeFault::Pause => {
                node.paused += 1;
                tell!(self, Happening::Node { node: id, fault, by });
            }
            NodeFault::Resume => {
                node.paused -= 1;
                if node.paused == 0 {
                    let stalled = std::mem::take(&mut node.stalled);
                    self.to_start.extend(node.actors.iter().copied());
                    tell!(self, Happening::Node { node: id, fault, by });
                    for entry in stalled {
                        // What has waited goes before what comes at this very instant.
                        let class = if matches!(entry, Entry::Timer { .. }) {
                            Class::Timer
                        } else {
                            Class::World
                        };
                        self.fabric.push(self.now.get(), class, entry);
                    }
                }
            }
            NodeFault::Slow(factor) => {
                node.slow = factor;
                tell!(self, Happening::Node { node: id, fault, by });
            }
            NodeFault::Clock => tell!(self, Happening::Node { node: id, fault, by }),
        }
        Ok(())
    }
}
