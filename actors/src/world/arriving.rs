//! What arrives: at merges of epochs, at mailboxes, and at the actors that serve them.

use super::shedding::Verdict;
use super::*;

impl World {
    pub(super) fn arrive(&mut self, sequence: u64, arriving: Arriving) {
        let link = &mut self.links[arriving.link.0 as usize];
        let actor = link.to;
        let node = &mut self.nodes[self.players[actor.0 as usize].node.0 as usize];
        let redirect = link.on_crash == OnCrash::Redirect;
        if !node.up {
            if redirect {
                link.parked.push_back(arriving);
            } else {
                self.lose(arriving);
            }
        } else if node.incarnation != arriving.incarnation && !redirect && arriving.element != Element::End {
            self.lose(arriving);
        } else if node.paused > 0 {
            node.stalled.push(Entry::Arrive(arriving));
        } else {
            self.admit(sequence, arriving);
        }
    }

    /// Brings an arrived element to its actor's mailbox, if there is room.
    pub(super) fn admit(&mut self, sequence: u64, arriving: Arriving) {
        let link = &mut self.links[arriving.link.0 as usize];
        let actor = link.to;
        let is_event = arriving.element.event().is_some();
        let Some(station) = &mut self.players[actor.0 as usize].station else {
            return self.deliver(sequence, arriving);
        };
        if let (Some(shedding), Some(event)) = (&station.shedding, arriving.element.event()) {
            let producer = self.producers[event.id.producer.0 as usize];
            match shedding.look(station.events, arriving.link, event, producer) {
                Verdict::Admit => {}
                Verdict::Shed => return self.shed(actor, arriving.link, &arriving.element),
                Verdict::Least => {
                    let Some(least) = station.shed_least(arriving.link, event) else {
                        return self.shed(actor, arriving.link, &arriving.element);
                    };
                    if let (Input::Element { element, .. }, Some(link)) = (&least.input, least.link) {
                        self.shed(actor, link, element);
                    }
                    return self.admit(sequence, arriving);
                }
            }
        }
        if !link.blocked.is_empty() {
            link.blocked.push_back(arriving);
        } else if is_event && station.full() {
            let overflow = if link.kind == LinkKind::Datagram && station.overflow == Overflow::BackPressure {
                Overflow::Drop // there is nobody to hold a datagram back
            } else {
                station.overflow
            };
            match overflow {
                Overflow::BackPressure => link.blocked.push_back(arriving),
                Overflow::Drop => self.shed(actor, arriving.link, &arriving.element),
                Overflow::Shed => {
                    let oldest = station.shed_oldest();
                    if let Some(Waiting {
                        input: Input::Element { element, .. },
                        link: Some(link),
                        ..
                    }) = &oldest
                    {
                        self.shed(actor, *link, element);
                    }
                    self.deliver(sequence, arriving);
                }
            }
        } else {
            self.deliver(sequence, arriving);
        }
    }

    pub(super) fn deliver(&mut self, sequence: u64, arriving: Arriving) {
        let link = &mut self.links[arriving.link.0 as usize];
        link.counts.delivered += 1;
        tell!(
            self,
            Happening::Arrived {
                link: arriving.link,
                element: &arriving.element,
                sent: arriving.sent
            }
        );
        self.align(sequence, arriving);
    }

    /// An element stands in front of its actor.
    pub(super) fn stand(&mut self, sequence: u64, arriving: Arriving) {
        let link = &self.links[arriving.link.0 as usize];
        let (actor, input) = (link.to, link.input);
        let input = Input::Element {
            input,
            lane: arriving.lane,
            element: arriving.element,
        };
        let waiting = Waiting {
            cause: sequence,
            input,
            link: Some(arriving.link),
            attempt: arriving.attempt,
        };
        self.reach(actor, waiting);
    }

    /// Something stands in front of an actor: it is taken at once, or waits for its turn.
    pub(super) fn reach(&mut self, actor: ActorId, waiting: Waiting) {
        match &mut self.players[actor.0 as usize].station {
            None => {
                self.acknowledge(waiting.link);
                self.hand_over(actor, waiting.cause, waiting.input);
            }
            Some(station) => {
                station.push(waiting);
                let depth = station.queue.len();
                tell!(self, Happening::Queue { actor, depth });
                self.to_start.push(actor);
            }
        }
    }

    /// Takes the next thing from an actor's mailbox, if the actor is free. True when something was taken.
    pub(super) fn serve_next(&mut self, actor: ActorId) -> bool {
        let player = &mut self.players[actor.0 as usize];
        let node = &self.nodes[player.node.0 as usize];
        let Some(station) = &mut player.station else {
            return false;
        };
        if station.busy || !node.up || node.paused > 0 {
            return false;
        }
        let outputs = &self.topology.actors[actor.0 as usize].outputs;
        if outputs.iter().any(|link| self.links[link.0 as usize].saturated()) {
            return false;
        }
        let Some(waiting) = station.pop() else { return false };
        let depth = station.queue.len();
        let service = match &station.service {
            Some((sampler, key)) if station::takes_time(&waiting.input) => {
                station.served += 1;
                let drawn = sampler.sample(&mut key.rng(u64::from(node.incarnation), station.served, 0));
                drawn.max(Span::ZERO).scale(node.slow)
            }
            _ => Span::ZERO,
        };
        let incarnation = node.incarnation;
        station.busy = service > Span::ZERO;
        tell!(self, Happening::Queue { actor, depth });
        self.acknowledge(waiting.link);
        self.unblock(actor);
        if service > Span::ZERO {
            let entry = Entry::Served {
                actor,
                incarnation,
                waiting,
            };
            self.fabric.push(self.now.get() + service, Class::Event, entry);
        } else {
            self.to_start.push(actor);
            self.hand_over(actor, waiting.cause, waiting.input);
        }
        true
    }

    /// Tells the sender that an element has been taken.
    pub(super) fn acknowledge(&mut self, link: Option<LinkId>) {
        if let Some(link) = link {
            let link = &mut self.links[link.0 as usize];
            if link.capacity.is_some() {
                let was = link.saturated();
                link.unacknowledged = link.unacknowledged.saturating_sub(1);
                if was && !link.saturated() {
                    self.to_start.push(link.from);
                }
            }
        }
    }

    /// Lets elements into a mailbox that has room again, oldest first.
    pub(super) fn unblock(&mut self, actor: ActorId) {
        let topology = Arc::clone(&self.topology);
        let inputs = &topology.actors[actor.0 as usize].inputs;
        loop {
            if self.players[actor.0 as usize]
                .station
                .as_ref()
                .is_none_or(Station::full)
            {
                return;
            }
            let oldest = inputs
                .iter()
                .filter_map(|link| self.links[link.0 as usize].blocked.front().map(|a| (a.sent, *link)))
                .min();
            let Some((_, link)) = oldest else { return };
            let Some(arriving) = self.links[link.0 as usize].blocked.pop_front() else {
                return;
            };
            let sequence = self.outcome.steps;
            self.deliver(sequence, arriving);
        }
    }

    /// Stops the sender of a link, or lets it go on.
    pub(super) fn hold(&mut self, id: LinkId, hold: bool) {
        let link = &mut self.links[id.0 as usize];
        if std::mem::replace(&mut link.held, hold) == hold {
            return;
        }
        let from = link.from;
        tell!(self, Happening::Hold { link: id, hold });
        if hold {
            // What the sender would do from now on waits in front of it.
            self.players[from.0 as usize].station.get_or_insert_default();
        } else {
            self.to_start.push(from);
        }
    }

    pub(super) fn shed(&mut self, actor: ActorId, link: LinkId, element: &Element) {
        self.acknowledge(Some(link));
        if let Some(event) = element.event() {
            tell!(self, Happening::Shed { actor, event });
        }
    }

    pub(super) fn lose(&mut self, arriving: Arriving) {
        self.links[arriving.link.0 as usize].counts.lost_in_crash += 1;
        self.acknowledge(Some(arriving.link));
        let (link, element) = (arriving.link, arriving.element);
        tell!(
            self,
            Happening::Lost {
                link,
                element: &element,
                why: LossReason::Crash
            }
        );
    }
}
