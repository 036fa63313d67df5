//! What is wrong with the settings of a reordering buffer.

use crate::check::Checker;
use crate::script::{Body, Late, QualityOf, Release, Reorder};

/// A share of something: above 0 and below 1.
fn is_share(value: f64) -> bool {
    value > 0.0 && value < 1.0
}

impl Checker<'_> {
    /// The settings of a reordering buffer, and those of other operators that belong to one.
    pub fn reorder(&mut self, index: usize) {
        let operator = &self.scenario.operators[index];
        let at = |key: &str| format!("operator[{index}].{key}");
        let Some(reorder) = &operator.reorder else {
            if operator.late == Late::Emit {
                let help = "drop, side or correct; an operator with `reorder` can put late events out".to_owned();
                self.say(
                    &at("late"),
                    "only a reordering buffer puts late events out as they are",
                    help,
                );
            }
            return;
        };
        if operator.late == Late::Correct {
            let help = "drop, side or emit".to_owned();
            self.say(&at("late"), "a reordering buffer has no answers to correct", help);
        }
        self.positive(&at("reorder.timeout"), reorder.timeout);
        let given: Vec<&str> = reorder.releases().map(|(key, _)| key).collect();
        match given.as_slice() {
            [_] => {}
            [] => self.say(
                &at("reorder"),
                "it is not said when events are let go",
                format!(
                    "add one of {}; the simplest is slack = \"2s\"",
                    Reorder::RELEASES.join(", ")
                ),
            ),
            [first, second, ..] => self.say(
                &at(&format!("reorder.{second}")),
                format!("a buffer lets events go in one way, and this one has `{first}` and `{second}`"),
                "take one of them out".to_owned(),
            ),
        }
        let scoped = ["slack", "k_slack", "mp_k_slack", "aq_k_slack"];
        if reorder.scope.is_some() && given.first().is_some_and(|key| !scoped.contains(key)) {
            self.say(
                &at("reorder.scope"),
                format!("`{}` does not ask where the largest stamp is kept", given[0]),
                "leave it out".to_owned(),
            );
        }
        for (key, release) in reorder.releases() {
            self.release(&at(&format!("reorder.{key}")), release);
        }
    }

    fn release(&mut self, path: &str, release: Release<'_>) {
        let at = |key: &str| format!("{path}.{key}");
        match release {
            Release::Slack(slack) => self.not_negative(path, Some(slack)),
            Release::KSlack(k) => {
                self.some(&at("samples"), k.samples);
                self.not_negative(&at("max_k"), k.max_k);
            }
            Release::MpKSlack(k) => self.not_negative(&at("max_k"), k.max_k),
            Release::AqKSlack(k) => {
                self.share(&at("error"), k.error);
                self.share(&at("confidence"), k.confidence);
                self.positive(&at("window"), Some(k.window));
                self.some(&at("every"), k.every);
                self.some(&at("samples"), k.samples);
                self.weight(&at("proportional"), k.proportional);
                self.weight(&at("derivative"), k.derivative);
                self.not_negative(&at("max_k"), k.max_k);
                match (k.aggregate, &k.value) {
                    (QualityOf::Count, Some(_)) => {
                        let help = "aggregate = \"sum\" or \"avg\", or leave `value` out".to_owned();
                        self.say(&at("value"), "a count has no value", help);
                    }
                    (QualityOf::Sum | QualityOf::Avg, None) => {
                        let help = "add value = \"…\", in SQL".to_owned();
                        self.say(&at("aggregate"), "it is not said of what", help);
                    }
                    _ => {}
                }
            }
            Release::SiddhiKSlack(k) => {
                self.not_negative(&at("max_k"), k.max_k);
                self.positive(&at("every"), Some(k.every));
            }
            Release::SiddhiAkSlack(k) => {
                self.share(&at("error"), k.error);
                self.share(&at("confidence"), k.confidence);
                self.some(&at("batch"), k.batch);
                self.weight(&at("proportional"), k.proportional);
                self.weight(&at("derivative"), k.derivative);
                self.not_negative(&at("max_k"), k.max_k);
                self.positive(&at("window"), Some(k.window));
            }
            Release::Until(_) => {}
            Release::Number(number) => {
                if number.field.is_none() && !number.by.is_empty() {
                    let help = "name the field with the number, or leave `by` out".to_owned();
                    self.say(&at("by"), "numbers that producers gave are kept by producer", help);
                }
            }
        }
    }

    fn share(&mut self, path: &str, value: f64) {
        if !is_share(value) {
            let help = "a number above 0 and below 1, such as 0.05".to_owned();
            self.say(path, format!("this is a share, and is {value}"), help);
        }
    }

    fn weight(&mut self, path: &str, value: f64) {
        if !value.is_finite() || value < 0.0 {
            let help = "a number that is not negative, such as 0.5".to_owned();
            self.say(path, format!("a weight of {value} makes no sense"), help);
        }
    }

    fn some(&mut self, path: &str, count: u64) {
        if count == 0 {
            self.say(
                path,
                "with none there is nothing to go by",
                "1 is the smallest".to_owned(),
            );
        }
    }

    /// Whether this operator puts its input in order and relies on no watermark for it.
    pub fn puts_in_order(&self, operator: usize) -> bool {
        let operator = &self.scenario.operators[operator];
        let mut bodies = operator.bodies();
        matches!(bodies.next(), Some((_, Body::Reorder(reorder))) if reorder.until.is_none())
    }
}
