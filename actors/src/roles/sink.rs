//! A sink: where results end, and are seen.

use crate::element::Element;
use crate::host::Part;
use crate::world::{Effect, Input, Stage};

#[derive(Default)]
pub(crate) struct Sink {
    /// How many events it has taken.
    taken: u64,
}

impl Part for Sink {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        if let Input::Element {
            element: Element::Event(event),
            ..
        } = input
        {
            self.taken += 1;
            stage.put(Effect::Took(event));
        }
    }
}
