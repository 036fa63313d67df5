//! The place in front of an actor where events wait, when its node takes time for them: a mailbox that may be bounded,
//! one event at a time in service, and a stop while a link that leads away is full.

use std::collections::VecDeque;

use wavetank_scenarios::distribution::Sampler;
use wavetank_scenarios::draw::DrawKey;
use wavetank_scenarios::script::Overflow;
use wavetank_scenarios::topology::LinkId;
use wavetank_scenarios::{Event, EventId};

use super::shedding::Shedding;
use super::stage::{Effect, Input};
use crate::element::Element;
use crate::reliability::Control;

/// Something in front of an actor.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// The sequence of the entry that brought it.
    pub cause: u64,
    pub input: Input,
    /// The link it came by, whose sender is told when it is taken.
    pub link: Option<LinkId>,
    /// In which recovery it was sent, or of a timer set; `None` where none changes it.
    pub attempt: Option<u32>,
}

/// The mailbox and the service of one actor.
#[derive(Debug, Default)]
pub(crate) struct Station {
    pub service: Option<(Sampler, DrawKey)>,
    pub bound: Option<usize>,
    pub overflow: Overflow,
    pub shedding: Option<Shedding>,
    pub queue: VecDeque<Waiting>,
    /// Events among what waits.
    pub events: usize,
    pub busy: bool,
    /// Times the service takes, while the node is slow.
    pub served: u64,
    /// The event of work whose length showed only when it was begun, while it lasts.
    pub at_work: Option<EventId>,
    /// What the actor did since then, which happens when the work is over.
    pub undone: VecDeque<Effect>,
}

impl Station {
    /// A mailbox without bound, whose actor takes no time by itself.
    pub const fn open() -> Self {
        Self {
            service: None,
            bound: None,
            overflow: Overflow::BackPressure,
            shedding: None,
            queue: VecDeque::new(),
            events: 0,
            busy: false,
            served: 0,
            at_work: None,
            undone: VecDeque::new(),
        }
    }
    /// The work stops; the events that it was for.
    pub fn stop(&mut self) -> Vec<EventId> {
        let begun = self.at_work.take();
        let next = self.undone.drain(..).filter_map(|effect| match effect {
            Effect::Busy(_, event) => Some(event),
            _ => None,
        });
        begun.into_iter().chain(next).collect()
    }
    /// True when an event that comes now finds no room.
    pub fn full(&self) -> bool {
        self.bound.is_some_and(|bound| self.events >= bound)
    }
    pub fn push(&mut self, waiting: Waiting) {
        self.events += usize::from(is_event(&waiting.input));
        self.queue.push_back(waiting);
    }
    pub fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.queue.pop_front()?;
        self.events -= usize::from(is_event(&waiting.input));
        Some(waiting)
    }
    /// Takes the event out that its policy finds least worth of those that wait, the newest of several, if it is worth less
    /// than one that comes by `link`.
    pub fn shed_least(&mut self, link: LinkId, event: &Event) -> Option<Waiting> {
        let shedding = self.shedding.as_ref()?;
        let each = self.queue.iter().enumerate().filter_map(|(index, waiting)| {
            let (Input::Element { element, .. }, Some(link)) = (&waiting.input, waiting.link) else {
                return None;
            };
            Some((shedding.priority(link, element.event()?), std::cmp::Reverse(index)))
        });
        let (worth, std::cmp::Reverse(least)) = each.min()?;
        if worth >= shedding.priority(link, event) {
            return None;
        }
        self.events -= 1;
        self.queue.remove(least)
    }
    /// Takes the oldest waiting event out, for a newer one.
    pub fn shed_oldest(&mut self) -> Option<Waiting> {
        let oldest = self.queue.iter().position(|waiting| is_event(&waiting.input))?;
        self.events -= 1;
        self.queue.remove(oldest)
    }
}

/// True for an element that carries an event: watermarks and timers take no room and no time.
pub(crate) fn is_event(input: &Input) -> bool {
    matches!(input, Input::Element { element, .. } if element.event().is_some())
}

/// True for what a node works on for a while: an event, or a question to a service.
pub(crate) fn takes_time(input: &Input) -> bool {
    let question = |element: &Element| matches!(element, Element::Control(c) if matches!(**c, Control::Question(_)));
    is_event(input) || matches!(input, Input::Element { element, .. } if question(element))
}
