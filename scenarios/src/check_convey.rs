//! What is wrong with the settings of a sequential convey.

use crate::check::Checker;
use crate::script::{Convey, Keeps, KeyMove, Merge, Must, Operator, Route};

impl Checker<'_> {
    /// Everything about `operator[index].convey` that can be told without the fields of its input.
    pub(crate) fn convey(&mut self, index: usize, operator: &Operator, convey: &Convey) {
        let at = |key: &str| format!("operator[{index}].convey.{key}");
        if operator.node.is_some() {
            let help = format!(
                "leave it out; there are the nodes {0}.split, {0}-0, {0}-1, …, and {0}.merge",
                operator.name
            );
            let message = "each part of a conveyed operator stands on a node of its own name";
            self.say(&format!("operator[{index}].node"), message, help);
        }
        if self.scenario.epoch.is_some() {
            let help = "leave out `convey`, or the epochs".to_owned();
            let message = "markers of epochs do not keep their place in a merge that waits for numbers";
            self.say(&format!("operator[{index}].convey"), message, help);
        }
        if convey.streams == 0 || convey.streams > 1_000 {
            let help = "two or more, so that there is something to merge".to_owned();
            self.say(&at("streams"), "there are from 1 to 1000 sub-streams", help);
            return;
        }
        if convey.spare >= convey.streams {
            let message = format!("{} of {} sub-streams are spare", convey.spare, convey.streams);
            self.say(
                &at("spare"),
                message,
                "leave one at least that works from the start".to_owned(),
            );
            return;
        }
        self.route(index, convey);
        if convey.events == 0 {
            let help = "1 tells of every event".to_owned();
            self.say(&at("events"), "a message after every no events would never end", help);
        }
        self.positive(&at("every"), Some(convey.every));
        self.positive(&at("timeout"), convey.timeout);
        if convey.merge == Merge::Arrival && convey.timeout.is_some() {
            let help = "leave it out, or set merge = \"number\"".to_owned();
            self.say(&at("timeout"), "a merge in order of arrival waits for nothing", help);
        }
        if let Some(hot) = &convey.hot {
            if !(0.0..1.0).contains(&hot.share) || hot.share == 0.0 {
                let message = format!("a share of the events lies between 0 and 1, and this is {}", hot.share);
                self.say(&at("hot.share"), message, "0.5 is more than half of them".to_owned());
            }
            if hot.events == 0 {
                self.say(
                    &at("hot.events"),
                    "no sub-stream is hot among no events",
                    "try 100".to_owned(),
                );
            }
        }
        for (k, moving) in convey.moves.iter().enumerate() {
            self.key_move(&format!("operator[{index}].convey.move[{k}]"), convey, moving);
        }
        self.fits(index, operator, convey);
    }

    fn route(&mut self, index: usize, convey: &Convey) {
        let at = |key: &str| format!("operator[{index}].convey.by{key}");
        let active = convey.streams - convey.spare;
        match &convey.by {
            Route::Key(key) | Route::Ring { key, .. } if key.is_empty() => {
                self.say(
                    &at(""),
                    "a key of no fields is the same for all events",
                    "name a field".to_owned(),
                );
            }
            Route::Ring { points: 0, .. } => {
                let help = "leave it out: 64".to_owned();
                self.say(
                    &at(".ring.points"),
                    "a sub-stream without a place on the ring gets nothing",
                    help,
                );
            }
            Route::Type { to, otherwise, .. } => {
                let named = to.iter().map(|(name, stream)| (format!(".type.to.{name}"), *stream));
                for (key, stream) in named.chain([(".type.otherwise".to_owned(), *otherwise)]) {
                    self.is_stream(&at(&key), active, stream);
                }
            }
            Route::Predicates(predicates) if predicates.len() >= active as usize => {
                let message = format!(
                    "{} predicates lead to {} sub-streams, and there {} {active}",
                    predicates.len(),
                    predicates.len() + 1,
                    if active == 1 { "is" } else { "are" }
                );
                let help =
                    "what no predicate is true of goes to the one behind them: one more than predicates".to_owned();
                self.say(&at(".predicates"), message, help);
            }
            _ => {}
        }
    }

    fn is_stream(&mut self, path: &str, streams: u32, stream: u32) {
        if stream >= streams {
            let message = format!("there is no sub-stream {stream} that gets events");
            self.say(path, message, format!("they are counted from 0 to {}", streams - 1));
        }
    }

    fn key_move(&mut self, path: &str, convey: &Convey, moving: &KeyMove) {
        let at = |key: &str| format!("{path}.{key}");
        self.not_negative(&at("at"), Some(moving.at));
        for (key, stream) in [("from", moving.from), ("to", moving.to)] {
            self.is_stream(&at(key), convey.streams, stream);
        }
        if moving.from == moving.to {
            self.say(
                &at("to"),
                "these keys are there already",
                "name another sub-stream".to_owned(),
            );
        }
        match (moving.keys.is_empty(), moving.share) {
            (true, None) => {
                let help = "add keys = [[\"a\"]], or share = 0.5".to_owned();
                self.say(&at("from"), "which keys move is not said", help);
            }
            (false, Some(_)) => {
                self.say(
                    &at("share"),
                    "keys are named, or a share of them moves",
                    "leave one out".to_owned(),
                );
            }
            (true, Some(share)) if !(share > 0.0 && share <= 1.0) => {
                let help = "1.0 moves all".to_owned();
                self.say(
                    &at("share"),
                    format!("a share of keys is above 0 and at most 1, not {share}"),
                    help,
                );
            }
            _ => {}
        }
        let width = convey.by.key().map_or(0, <[String]>::len);
        for (k, key) in moving.keys.iter().enumerate().filter(|(_, key)| key.len() != width) {
            let message = format!(
                "this key has {} values, and events are dealt by {width} fields",
                key.len()
            );
            self.say(
                &at(&format!("keys[{k}]")),
                message,
                "a value for each field, in their order".to_owned(),
            );
        }
    }

    /// Whether the operator can be worked by copies of it.
    fn fits(&mut self, index: usize, operator: &Operator, convey: &Convey) {
        let at = |key: &str| format!("operator[{index}].convey.{key}");
        let Ok(body) = operator.body() else { return };
        let keeps = body.keeps();
        let moves = !convey.moves.is_empty() || convey.hot.is_some();
        let moving = if convey.moves.is_empty() { "hot" } else { "move" };
        if moves && convey.by.key().is_none() {
            let help = "deal by = { key = [...] }, or leave the moves out".to_owned();
            self.say(&at(moving), "keys can move where events are dealt by key", help);
        }
        if moves && matches!(keeps, Keeps::Windows(_)) {
            let help =
                "move the keys of thresholds, rates of change and first events, or of what keeps nothing".to_owned();
            self.say(&at(moving), "the open windows of a key cannot be moved", help);
        }
        if matches!(keeps, Keeps::Windows(_)) && convey.merge == Merge::Number {
            let message = "the answer of a window goes back to many numbers: there is no order of numbers for it";
            self.say(&at("merge"), message, "set merge = \"arrival\"".to_owned());
        }
        // What is wrong on purpose may be shown.
        if self.scenario.must == Must::Fail || convey.streams == 1 {
            return;
        }
        let by = match &keeps {
            Keeps::Nothing => return,
            Keeps::All => {
                let message =
                    "this operator keeps one state for all events: copies of it would each see a part of them";
                let help = "put a filter or transformation before it to be conveyed, or say must = \"fail\"".to_owned();
                self.say(&at("streams"), message, help);
                return;
            }
            Keeps::Keys(by) | Keeps::Windows(by) => by,
        };
        let within = convey
            .by
            .key()
            .is_some_and(|key| key.iter().all(|field| by.contains(field)));
        if !within {
            let message = if by.is_empty() {
                "this operator keeps one state for all keys: copies of it would each see a part of the events"
                    .to_owned()
            } else {
                format!(
                    "a state for each {} must see all of its events, in one sub-stream",
                    by.join(", ")
                )
            };
            let help = if by.is_empty() {
                "give it a key (`by`, `group by`) and deal by the same".to_owned()
            } else {
                format!("deal by = {{ key = {by:?} }}, or say must = \"fail\"")
            };
            self.say(&at("by"), message, help);
        }
    }
}
