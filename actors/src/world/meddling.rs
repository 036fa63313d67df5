//! What faults do to the watermarks and markers that an actor is about to pass on: they act on the effects of its handlers before
//! these are committed.

use wavetank_scenarios::topology::Port;

use super::World;
use super::link::Meddling;
use super::stage::{Effect, Effects};
use crate::element::Element;

impl World {
    /// Lets the faults act on the watermarks among these effects.
    pub(super) fn meddle(&mut self, effects: &mut Effects) {
        let mut at = 0;
        while at < effects.len() {
            let (cause, actor, effect) = &effects[at];
            let (cause, actor) = (*cause, *actor);
            let mark = match effect {
                Effect::Send {
                    port: Port::Main,
                    element: element @ (Element::Watermark(_) | Element::Epoch(_)),
                    ..
                } if self.network.meddles(actor) => element.clone(),
                _ => {
                    at += 1;
                    continue;
                }
            };
            let number = &mut self.marks[actor.0 as usize];
            *number += 1;
            let now = self.now.get();
            let Some((fault, meddling)) = self.network.meddle(actor, *number, now) else {
                at += 1;
                continue;
            };
            let meddled = (cause, actor, Effect::Meddled(fault));
            match meddling {
                Meddling::Swallow => effects[at] = meddled,
                Meddling::Repeat => {
                    let again = Effect::Send {
                        port: Port::Main,
                        lane: None,
                        element: mark,
                    };
                    effects.insert(at, (cause, actor, again));
                    effects.insert(at, meddled);
                    at += 2;
                }
                Meddling::Delay(by) => {
                    let delayed = Effect::Delayed {
                        due: now + by,
                        element: mark,
                    };
                    effects[at] = (cause, actor, delayed);
                    effects.insert(at, meddled);
                    at += 1;
                }
                Meddling::Hasten => {
                    let this = |(of, who, _): &(u64, _, Effect)| *of == cause && *who == actor;
                    let first = effects[..at]
                        .iter()
                        .rposition(|effect| !this(effect))
                        .map_or(0, |i| i + 1);
                    let hasty = effects.remove(at);
                    effects.insert(first, hasty);
                    effects.insert(first, meddled);
                    at += 1;
                }
            }
            at += 1;
        }
    }
}
