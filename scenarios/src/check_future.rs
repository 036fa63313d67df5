//! What is wrong with holding events back until their time has come (`future = "hold"`).

use crate::check::Checker;
use crate::script::{Future, Operator, Watermark};

impl Checker<'_> {
    /// Where events cannot wait for the clock.
    pub fn future(&mut self, index: usize, operator: &Operator) {
        if let Future::Refuse(tolerance) = operator.future {
            self.not_negative(&format!("operator[{index}].future.refuse"), Some(tolerance));
        }
        if operator.future != Future::Hold {
            return;
        }
        let path = format!("operator[{index}].future");
        if operator.convey.is_some() {
            let message = "a conveyed operator numbers events as they come, and none of them can wait for the clock";
            let help = format!(
                "hold them in an operator before it: name = \"{}-held\", filter = \"true\", future = \"hold\"",
                operator.name
            );
            self.say(&path, message, help);
        }
        if operator.watermark.as_ref().is_some_and(Watermark::by_clock) {
            let message = "events are stamped with what the clock shows, and none of them is ahead of it";
            let help = "leave out `future`, or take another kind of watermark than \"arrival\"".to_owned();
            self.say(&path, message, help);
        }
        if self.scenario.epoch.is_some() {
            let message = "an event that waits for the clock would leave its epoch";
            let help = "leave out the epochs, or say future = \"accept\" or future = { refuse = \"10s\" }".to_owned();
            self.say(&path, message, help);
        }
    }
}
