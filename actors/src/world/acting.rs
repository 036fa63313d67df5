//! What actors do: their effects, committed in order, and what they put on links.

use super::*;

impl World {
    /// Makes what the handlers of a round did take effect.
    pub(super) fn commit(&mut self) -> Result<(), WorldError> {
        let mut effects = std::mem::take(&mut *self.outbox.borrow_mut());
        if !effects.is_sorted_by_key(|(cause, ..)| *cause) {
            effects.sort_by_key(|(cause, ..)| *cause);
        }
        self.meddle(&mut effects);
        self.effects(effects.drain(..))?;
        *self.outbox.borrow_mut() = effects;
        Ok(())
    }

    /// Lets effects happen, in their order. What an actor does while it is busy waits until it is not.
    pub(super) fn effects(&mut self, effects: impl Iterator<Item = (u64, ActorId, Effect)>) -> Result<(), WorldError> {
        for (_, actor, effect) in effects {
            match &mut self.players[actor.0 as usize].station {
                Some(station) if station.at_work.is_some() => station.undone.push_back(effect),
                _ => self.effect(actor, effect)?,
            }
        }
        Ok(())
    }

    /// An actor is busy with an event for a while.
    pub(super) fn busy(&mut self, actor: ActorId, span: Span, event: EventId) {
        let node = self.node_of(actor);
        let (incarnation, span) = (node.incarnation, span.scale(node.slow));
        let station = self.players[actor.0 as usize].station.get_or_insert_with(Station::open);
        station.busy = true;
        station.at_work = Some(event);
        let entry = Entry::Finished { actor, incarnation };
        self.fabric.push(self.now.get() + span, Class::Event, entry);
    }

    /// An actor's work is over: what came of it happens, up to the next work.
    pub(super) fn finished(&mut self, actor: ActorId) -> Result<(), WorldError> {
        if let Some(station) = &mut self.players[actor.0 as usize].station {
            station.busy = false;
            station.at_work = None;
        }
        self.to_start.push(actor);
        while let Some(station) = &mut self.players[actor.0 as usize].station
            && station.at_work.is_none()
            && let Some(effect) = station.undone.pop_front()
        {
            self.effect(actor, effect)?;
        }
        Ok(())
    }

    pub(super) fn effect(&mut self, actor: ActorId, effect: Effect) -> Result<(), WorldError> {
        match effect {
            Effect::Send { port, lane, element } => self.emit(actor, port, lane, element),
            Effect::Delayed { due, element } => {
                let incarnation = self.node_of(actor).incarnation;
                let delayed = Entry::Delayed {
                    actor,
                    incarnation,
                    element,
                };
                self.fabric.push(due, Class::Event, delayed);
            }
            Effect::Meddled(fault) => tell!(self, Happening::Meddled { actor, fault }),
            Effect::Timer { due, token, class } => {
                let attempt = self.attempt_of(actor);
                let incarnation = self.node_of(actor).incarnation;
                self.fabric.push(
                    due.max(self.now.get()),
                    class,
                    Entry::Timer {
                        actor,
                        incarnation,
                        attempt,
                        token,
                    },
                );
            }
            Effect::Busy(span, event) => self.busy(actor, span, event),
            Effect::Account(account) => tell!(
                self,
                Happening::Account {
                    actor,
                    account: *account
                }
            ),
            Effect::Measured(metric, reading) => {
                tell!(self, Happening::Measured { actor, metric, reading });
            }
            Effect::Note(text) => tell!(self, Happening::Noted { actor, text: &text }),
            Effect::Dropped(id, why) => tell!(self, Happening::Dropped { actor, id, why }),
            Effect::Failed(failure) => tell!(
                self,
                Happening::Failed {
                    actor,
                    failure: &failure
                }
            ),
            Effect::Took(event) => tell!(self, Happening::Took { actor, event: &event }),
            Effect::Answer { input, number } => {
                let actors = &self.topology.actors;
                let spec = &actors[actor.0 as usize];
                let asked = spec.inputs.get(input).map(|link| self.links[link.0 as usize].from);
                let back = |link: &&LinkId| Some(self.links[link.0 as usize].to) == asked;
                if let Some(link) = spec.outputs.iter().find(back).copied() {
                    let element = Element::Epoch(number);
                    tell!(
                        self,
                        Happening::Answered {
                            link,
                            element: &element
                        }
                    );
                    self.put_on(link, 0, element);
                }
            }
            Effect::Tell { to, control } => self.give(actor, to, true, Element::Control(control)),
            Effect::Give { to, element } => self.give(actor, to, false, element),
            Effect::Cut(snapshot) => tell!(self, Happening::Cut { actor, snapshot }),
            Effect::Away => self.goes_away(actor),
            Effect::Restored {
                attempt,
                snapshot,
                same,
            } => {
                let happening = Happening::Restored {
                    actor,
                    attempt,
                    snapshot,
                    same,
                };
                self.say(&happening);
                self.comes_back(actor, attempt, snapshot);
            }
            Effect::Attempt { to, attempt } => {
                for link in self.topology.actors[actor.0 as usize].outputs.clone() {
                    let spec = &self.topology.links[link.0 as usize];
                    if spec.to == to && spec.port != Port::Control {
                        self.links[link.0 as usize].attempt = Some(attempt);
                    }
                }
            }
            Effect::OfCopy(note) => self.say(&Happening::OfCopy { actor, note }),
            Effect::Again { input, lane, element } => {
                let sequence = self.fabric.fresh();
                let input = Input::Element { input, lane, element };
                self.hand_over(actor, sequence, input);
            }
            Effect::Hold { input, hold } => {
                let inputs = &self.topology.actors[actor.0 as usize].inputs;
                if let Some(link) = inputs.get(input).copied() {
                    self.hold(link, hold);
                }
            }
            Effect::Done => tell!(self, Happening::Done { actor }),
            Effect::Missed(id) => tell!(self, Happening::Missed { actor, id }),
            Effect::Fired(fault) => tell!(self, Happening::Fault { fault, id: None }),
            Effect::Fault(fault, id) => tell!(self, Happening::Fault { fault, id: Some(id) }),
            Effect::Broken(failure) => {
                return Err(WorldError::Stopped {
                    actor: self.topology.actors[actor.0 as usize].name.to_string(),
                    at: self.now.get(),
                    failure,
                });
            }
            Effect::Stop(failure) => {
                tell!(
                    self,
                    Happening::Failed {
                        actor,
                        failure: &failure
                    }
                );
                return Err(WorldError::Stopped {
                    actor: self.topology.actors[actor.0 as usize].name.to_string(),
                    at: self.now.get(),
                    failure: failure.to_string(),
                });
            }
        }
        Ok(())
    }

    /// An actor gives one other an element, by the control link to it or by that for events.
    fn give(&mut self, actor: ActorId, to: ActorId, control: bool, element: Element) {
        let outputs = &self.topology.actors[actor.0 as usize].outputs;
        let there = |id: &&LinkId| {
            let link = &self.topology.links[id.0 as usize];
            (link.port == Port::Control) == control && link.to == to
        };
        if let Some(link) = outputs.iter().find(there).copied() {
            let told = Happening::Told {
                link,
                element: &element,
            };
            self.say(&told);
            let lane = self.links[link.0 as usize].lane;
            self.put_on(link, lane, element);
        }
    }

    /// An actor puts out an element.
    pub(super) fn emit(&mut self, actor: ActorId, port: Port, lane: Option<usize>, element: Element) {
        tell!(
            self,
            Happening::Emitted {
                actor,
                port,
                element: &element
            }
        );
        self.send(actor, port, lane, element);
    }

    pub(super) fn send(&mut self, actor: ActorId, port: Port, lane: Option<usize>, element: Element) {
        let topology = Arc::clone(&self.topology);
        let outputs = &topology.actors[actor.0 as usize].outputs;
        let goes = |link: &&LinkId, element: &Element| element.goes(port, topology.links[link.0 as usize].port);
        let mut left = outputs.iter().filter(|link| goes(link, &element)).count();
        let mut targets = outputs.iter();
        let mut element = Some(element);
        while let Some(link) = targets
            .find(|link| element.as_ref().is_some_and(|element| goes(link, element)))
            .copied()
        {
            left -= 1;
            let copy = if left > 0 { element.clone() } else { element.take() };
            if let Some(copy) = copy {
                let lane = lane.unwrap_or(self.links[link.0 as usize].lane);
                self.put_on(link, lane, copy);
            }
        }
    }

    /// Puts an element on a link: into its batch, or on its way.
    pub(super) fn put_on(&mut self, id: LinkId, lane: usize, element: Element) {
        let link = &mut self.links[id.0 as usize];
        if link.batch.is_none() && link.linger.is_none() {
            return self.ship(id, lane, element);
        }
        let end = element == Element::End;
        link.waiting.push((lane, element));
        let full = link.batch.is_some_and(|batch| link.waiting.len() >= batch as usize);
        if full || end {
            self.flush(id);
        } else if let (1, Some(linger)) = (link.waiting.len(), link.linger) {
            let batch = link.batches;
            self.fabric
                .push(self.now.get() + linger, Class::Timer, Entry::Flush { link: id, batch });
        }
    }

    pub(super) fn flush(&mut self, id: LinkId) {
        let link = &mut self.links[id.0 as usize];
        link.batches += 1;
        for (lane, element) in std::mem::take(&mut link.waiting) {
            self.ship(id, lane, element);
        }
    }

    pub(super) fn ship(&mut self, id: LinkId, lane: usize, element: Element) {
        let now = self.now.get();
        let link = &mut self.links[id.0 as usize];
        let incarnation = self.nodes[self.players[link.to.0 as usize].node.0 as usize].incarnation;
        if link.capacity.is_some() {
            link.unacknowledged += 1;
        }
        if let Element::Epoch(number) = element {
            link.epoch = number;
        }
        let (epoch, attempt) = (link.epoch, link.attempt);
        let (fabric, hash, observer) = (&mut self.fabric, &mut self.hash, &mut self.observer);
        let lost_before = link.counts.lost + link.counts.stuck;
        let watched = observer.is_some().then(|| element.clone());
        link.ship(
            element,
            now,
            &self.producers,
            &mut *self.network,
            &mut self.transit,
            |shipped| match shipped {
                Shipped::Arrives(at, element) => {
                    let arriving = Arriving {
                        link: id,
                        lane,
                        element,
                        incarnation,
                        sent: now,
                        epoch,
                        attempt,
                    };
                    fabric.push(at, Class::Event, Entry::Arrive(arriving));
                }
                Shipped::Fault(fault, event) => {
                    let happening = Happening::Fault { fault, id: event };
                    if let Some(hash) = hash {
                        hash.add(now, &happening);
                    }
                    if let Some(observer) = observer {
                        observer.see(now, &happening);
                    }
                }
            },
        );
        if link.counts.lost + link.counts.stuck > lost_before
            && let Some(element) = &watched
        {
            tell!(
                self,
                Happening::Lost {
                    link: id,
                    element,
                    why: LossReason::Network
                }
            );
        }
    }
}
