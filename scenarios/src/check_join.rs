//! What is wrong with the settings of joins.

use crate::check::Checker;
use crate::query::{JoinBound, Query};
use crate::script::{End, Gather, JoinSettings, Late, Nulls, Operator, Versions};
use crate::time::Span;

impl Checker<'_> {
    /// The settings of an operator that joins, or that has settings for it and does not.
    pub fn joins(&mut self, index: usize, operator: &Operator) {
        let at = |key: &str| format!("operator[{index}].{key}");
        if let Some(gather) = &operator.gather {
            self.gather(index, operator, gather);
        }
        let joins = operator.query.as_ref().filter(|query| !query.joins.is_empty());
        if (joins.is_some() || operator.gather.is_some()) && !operator.flush_at_end {
            let help = "leave it out: what can have no partner any more is answered when the input ends".to_owned();
            self.say(&at("flush_at_end"), "a join always answers when its input ends", help);
        }
        let Some(query) = joins else {
            if operator.join != JoinSettings::default() {
                let help = "write a query with a join, or leave it out".to_owned();
                self.say(
                    &at("join"),
                    "`join` says how a query with joins answers, and there is none",
                    help,
                );
            }
            return;
        };
        if operator.late == Late::Correct {
            let help = "say drop or side; `horizon` makes a join wait longer for everything".to_owned();
            self.say(&at("late"), "a join gives each pair once and corrects nothing", help);
        }
        self.settings(&at("join"), &operator.join, query);
        for join in &query.joins {
            let Some((lower, upper)) = reach(&join.bound, &operator.join) else {
                continue;
            };
            if lower > upper {
                let message = format!("no distance lies between {lower} and {upper}: nothing would ever match");
                let help = "the lower bound comes first, as in `between event_time(a) - interval '5 minute' and \
                            event_time(a)`"
                    .to_owned();
                self.say(&at("query"), message, help);
            }
        }
    }

    fn gather(&mut self, index: usize, operator: &Operator, gather: &Gather) {
        let at = |key: &str| format!("operator[{index}].{key}");
        self.positive(&at("gather.within"), Some(gather.within));
        if gather.by.is_empty() {
            let help = "name the fields that all parts of an answer share, such as by = [\"loan\"]".to_owned();
            self.say(&at("gather.by"), "nothing says which parts belong together", help);
        }
        let names = gather.names(&operator.input);
        if gather.part.is_some() && gather.parts.is_empty() {
            let help = "add parts = [\"…\", \"…\"]".to_owned();
            self.say(
                &at("gather.part"),
                "which parts are there? A field names them, and any value could be one",
                help,
            );
        } else if gather.part.is_none() && names.len() != operator.input.len() {
            let message = format!(
                "{} parts for {} inputs, each of which is a part",
                names.len(),
                operator.input.len()
            );
            let help = "name as many as there are inputs, or say which field names them with `part`".to_owned();
            self.say(&at("gather.parts"), message, help);
        }
        if names.len() < 2 {
            let help = "read several inputs, or name several `parts`".to_owned();
            self.say(&at("gather"), "there is one part only: nothing is put together", help);
        }
        if let Some(twice) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            let message = format!("two parts are called `{}`", twice.1);
            self.say(&at("gather.parts"), message, "name each part once".to_owned());
        }
        if operator.late == Late::Correct {
            let help = "say drop or side".to_owned();
            self.say(&at("late"), "an answer that was given is not corrected", help);
        }
        if operator.horizon > Span::ZERO {
            let help =
                "make `within` longer; an answer is remembered for another `within` after its deadline".to_owned();
            self.say(&at("horizon"), "`horizon` changes nothing here", help);
        }
    }

    fn settings(&mut self, path: &str, settings: &JoinSettings, query: &Query) {
        let any = |fits: fn(&JoinBound) -> bool| query.joins.iter().any(|join| fits(&join.bound));
        let mut useless = |key: &str, needs: &str| {
            let help = format!("it is for {needs}; leave it out here");
            self.say(
                &format!("{path}.{key}"),
                format!("`{key}` changes nothing in this join"),
                help,
            );
        };
        let open_end = any(|bound| match bound {
            JoinBound::Interval { lower, upper, .. } => lower.inclusive.is_none() || upper.inclusive.is_none(),
            JoinBound::Version { max_age, .. } => max_age.is_some(),
            _ => false,
        });
        if settings.lower == End::Exclusive && !open_end {
            useless("lower", "bounds that `within` sets");
        }
        if settings.upper == End::Exclusive
            && !any(|bound| matches!(bound, JoinBound::Interval { upper, .. } if upper.inclusive.is_none()))
        {
            useless("upper", "bounds that `within` sets");
        }
        let outer = query.joins.iter().any(|join| {
            (join.kind.keeps_left() || join.kind.keeps_right())
                && matches!(join.bound, JoinBound::Interval { .. } | JoinBound::Last { .. })
        });
        if settings.nulls == Nulls::Eager && !outer {
            useless("nulls", "outer joins with a bound on distance");
        }
        if settings.versions == Versions::Arrival && !any(|bound| matches!(bound, JoinBound::Version { .. })) {
            useless("versions", "table joins");
        }
    }
}

/// The distances of an interval join, both ends included.
fn reach(bound: &JoinBound, settings: &JoinSettings) -> Option<(Span, Span)> {
    let JoinBound::Interval { lower, upper, .. } = bound else {
        return None;
    };
    let closed = |inclusive: Option<bool>, end: End| inclusive.unwrap_or(end == End::Inclusive);
    let lower = lower.span
        + if closed(lower.inclusive, settings.lower) {
            Span::ZERO
        } else {
            Span::UNIT
        };
    let upper = upper.span
        - if closed(upper.inclusive, settings.upper) {
            Span::ZERO
        } else {
            Span::UNIT
        };
    Some((lower, upper))
}
