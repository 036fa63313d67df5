//! What is wrong with the lengths of windows: more than sums of times can hold, or more windows than anyone can want.

use crate::check::{Checker, article};
use crate::query::Window;
use crate::script::Operator;
use crate::time::Span;

/// The longest span of a window: about 73,000 years, so that sums of times and spans fit.
const LONGEST: Span = Span::from_micros(i64::MAX / 4);

/// An event is in so many windows at most: enough for a day that hops by a second.
const MOST: i64 = 100_000;

impl Checker<'_> {
    /// The window of the operator at that index, if it has one.
    pub fn windows(&mut self, index: usize, operator: &Operator) {
        let path = format!("operator[{index}].query");
        let Some(window) = operator.query.as_ref().and_then(|query| query.window.as_ref()) else {
            return;
        };
        let zero = Span::ZERO;
        let (size, step, offset) = match *window {
            Window::Tumbling { size, offset } => (size, size, offset),
            Window::Hop { size, every, offset } => (size, every, offset),
            Window::Cumulate { max, step, offset } => (max, step, offset),
            Window::Sliding { size, .. } | Window::Stagger { size } => (size, size, zero),
            Window::Session { gap } => (gap, gap, zero),
            Window::Length(_) | Window::LengthBatch(_) | Window::Snapshot { .. } | Window::Global => return,
        };
        for (name, span) in [("window", size), ("step", step), ("offset", offset)] {
            if span > LONGEST || span < -LONGEST {
                let message = format!("{} of {span} is longer than time can be counted", article(name));
                self.say(&path, message, "73,000 years are the most".to_owned());
                return;
            }
        }
        if step > zero && size.micros() / step.micros() > MOST {
            let windows = size.micros() / step.micros();
            let enough = Span::from_micros((size.micros() + MOST - 1) / MOST);
            let message = format!("each event would be in {windows} windows of {size}, one every {step}");
            let help =
                format!("take a step of {enough} at least; for an answer at every event say window time({size})");
            self.say(&path, message, help);
        }
    }
}
