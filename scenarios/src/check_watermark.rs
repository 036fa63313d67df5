//! What is wrong with the settings of a watermark generator: keys that its kind does not read, and bounds that contradict
//! each other.

use crate::check::Checker;
use crate::script::{Every, Operator, Scope, ValveSettings, Watermark, WatermarkKind as Kind};
use crate::topology::COUNTER;

impl Checker<'_> {
    /// The markers that cut the run into epochs.
    pub fn epoch(&mut self) {
        let Some(epoch) = &self.scenario.epoch else { return };
        self.positive("epoch.every", Some(epoch.every));
        self.positive("epoch.counter.ask", epoch.counter.map(|counter| counter.ask));
        self.positive("epoch.give_up", epoch.give_up);
        let names = self.scenario.operators.iter().map(|operator| &operator.name);
        let mut names = names.chain(self.scenario.sources.iter().map(|source| &source.name));
        if epoch.counter.is_some() && names.any(|name| name == COUNTER) {
            let message = format!("the counter is called `{COUNTER}`, and something else is too");
            self.say("epoch.counter", message, "give the other another name".to_owned());
        }
        if epoch.until == Some(0) {
            let help = "1 is the first marker".to_owned();
            self.say("epoch.until", "sources that end at once say nothing", help);
        }
    }

    /// The generator of the operator at that index.
    pub fn watermark(&mut self, index: usize, watermark: &Watermark) {
        let at = |key: &str| format!("operator[{index}].watermark.{key}");
        let (name, needs, takes): (_, &[&str], &[&str]) = match watermark.kind {
            Kind::Bounded => ("bounded", &["behind"], &[]),
            Kind::Ascending => ("ascending", &[], &[]),
            Kind::Punctuated => ("punctuated", &["when"], &["time", "behind"]),
            Kind::Percentile => ("percentile", &["share"], &["over", "least", "most"]),
            Kind::Forward => ("forward", &[], &["behind"]),
            Kind::Arrival => ("arrival", &[], &[]),
        };
        let there = [
            ("behind", watermark.behind.is_some()),
            ("when", watermark.when.is_some()),
            ("time", watermark.time.is_some()),
            ("share", watermark.share.is_some()),
            ("over", watermark.over.is_some()),
            ("least", watermark.least.is_some()),
            ("most", watermark.most.is_some()),
        ];
        for (key, there) in there {
            if there && !needs.contains(&key) && !takes.contains(&key) {
                let keys: Vec<&str> = needs.iter().chain(takes).copied().collect();
                let help = match keys.as_slice() {
                    [] => "leave it out".to_owned(),
                    keys => format!("it reads {}", keys.join(", ")),
                };
                self.say(&at(key), format!("a {name} watermark reads no `{key}`"), help);
            } else if !there && needs.contains(&key) {
                let help = match key {
                    "behind" => "behind = \"2s\": how far out of order events may come; or choose another kind",
                    "when" => "when = \"kind = 'mark'\": which events say how far time has come",
                    _ => "share = 0.99: the part of the events that is to be in time",
                };
                let message = format!("`{key}` is missing: a {name} watermark needs it");
                self.say(&format!("operator[{index}].watermark"), message, help.to_owned());
            }
        }
        if watermark.by_clock() {
            self.by_clock(index, watermark);
        }
        self.not_negative(&at("behind"), watermark.behind);
        self.not_negative(&at("least"), watermark.least);
        self.not_negative(&at("most"), watermark.most);
        self.positive(&at("idle"), watermark.idle);
        if watermark.share.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
            let help = "0.99 allows for the delay of 99 of a hundred".to_owned();
            self.say(&at("share"), "a share is above 0 and 1 at most", help);
        }
        if watermark.over == Some(0) {
            self.say(&at("over"), "no event has no delay", "leave it out: 1000".to_owned());
        }
        if let (Some(least), Some(most)) = (watermark.least, watermark.most)
            && least > most
        {
            let message = format!("`least` is {least} and `most` is {most}");
            self.say(&at("least"), message, "least is at most most".to_owned());
        }
        match watermark.every {
            Some(Every::Time(span)) => self.positive(&at("every"), Some(span)),
            Some(Every::Events(0)) => {
                self.say(
                    &at("every"),
                    "after no event there is nothing to send",
                    "1 at least".to_owned(),
                );
            }
            Some(Every::Events(_)) | None => {}
        }
        if let Some(align) = watermark.align {
            self.not_negative(&at("align.ahead"), Some(align.ahead));
            self.positive(&at("align.every"), align.every);
            let others = self.scenario.operators.iter().take(index);
            let aligns = |other: &Operator| other.watermark.as_ref().is_some_and(|w| w.align.is_some());
            let mut shared = others.filter(|other| aligns(other)).flat_map(|other| &other.input);
            let inputs = &self.scenario.operators[index].input;
            if let Some(name) = shared.find(|name| inputs.contains(name)) {
                let message = format!("`{name}` is held by two operators, which can stop each other's inputs for good");
                self.say(&at("align"), message, "align in one of them".to_owned());
            }
            if watermark.scope == Scope::Input {
                let help = "leave `scope` out: one for each source".to_owned();
                self.say(
                    &at("align"),
                    "with one watermark for all inputs none is ahead of another",
                    help,
                );
            }
        }
    }

    /// A generator that goes by the engine's clock: there is one for all inputs, and it goes on whatever they do.
    fn by_clock(&mut self, index: usize, watermark: &Watermark) {
        let at = |key: &str| format!("operator[{index}].watermark.{key}");
        let turns =
            "every = \"1s\": how often the clock is looked at, and what is over is closed though no event comes";
        match watermark.every {
            Some(Every::Time(_)) => {}
            Some(Every::Events(_)) => {
                let message = "the clock goes on without events: an arrival watermark takes a time";
                self.say(&at("every"), message, turns.to_owned());
            }
            None => {
                let message = "`every` is missing: an arrival watermark needs it";
                self.say(&format!("operator[{index}].watermark"), message, turns.to_owned());
            }
        }
        let useless = [
            (
                "idle",
                watermark.idle.is_some(),
                "a silent input holds nothing up: the clock goes on",
            ),
            (
                "align",
                watermark.align.is_some(),
                "no input is ahead of another: all events are stamped by one clock",
            ),
            (
                "scope",
                watermark.scope != Scope::default(),
                "there is one clock for all inputs",
            ),
            (
                "back",
                watermark.back > 0,
                "nothing is ever behind the clock, so there is nothing to wait for",
            ),
        ];
        for (key, there, why) in useless {
            if there {
                self.say(&at(key), why, "leave it out, or choose another kind".to_owned());
            }
        }
        if self.scenario.operators[index].valve != ValveSettings::default() {
            let message = "there is one clock for all inputs: no watermarks are combined";
            self.say(&format!("operator[{index}].valve"), message, "leave it out".to_owned());
        }
    }
}
