//! What is wrong with windows: ends and grids that those of their kind do not have.

use crate::check::Checker;
use crate::query::Window;
use crate::script::{WindowAlign, WindowBounds};

impl Checker<'_> {
    /// Which ends belong to windows, and where their grid begins.
    pub fn bounds(&mut self) {
        let scenario = self.scenario;
        for (i, operator) in scenario.operators.iter().enumerate() {
            let window = operator.query.as_ref().and_then(|query| query.window.as_ref());
            let grid = matches!(
                window,
                Some(Window::Tumbling { .. } | Window::Hop { .. } | Window::Cumulate { .. })
            );
            let fits = match operator.bounds {
                WindowBounds::Start => true,
                WindowBounds::End => grid,
                WindowBounds::Both => matches!(window, Some(Window::Sliding { .. } | Window::Session { .. })),
            };
            if !fits {
                let help = "\"end\" goes with tumbling, hopping and cumulating windows, \"both\" with time(size) and \
                            sessions";
                let path = format!("operator[{i}].bounds");
                self.say(&path, "this window cannot have these bounds", help.to_owned());
            }
            if operator.align == WindowAlign::FirstEvent && !grid {
                let help = "it goes with tumbling, hopping and cumulating windows";
                let path = format!("operator[{i}].align");
                self.say(
                    &path,
                    "this window has no grid that could begin somewhere",
                    help.to_owned(),
                );
            }
        }
    }
}
