//! What is wrong with a watermark of its own for each key (`scope = "key"`): windows have one, grouped by that key; the
//! settings of a generator, which there is none of, say nothing of it.

use crate::check::Checker;
use crate::query::Window;
use crate::script::{
    Body, LearnOrder, Must, Operator, Scope, ValveSettings, Watermark, WatermarkKind as Kind, WindowAlign,
};
use crate::topology::{Port, input_name};

impl Checker<'_> {
    /// Whether the operator at that index can go by the clocks of its keys, where it is told to.
    pub fn key_clocks(&mut self, index: usize, watermark: &Watermark) {
        if watermark.scope != Scope::Key {
            return;
        }
        let operator = &self.scenario.operators[index];
        let at = |key: &str| format!("operator[{index}].watermark.{key}");
        if !matches!(watermark.kind, Kind::Bounded | Kind::Ascending) {
            let message = "the watermark of a key goes by the largest stamp of that key and by nothing else";
            let help = "say kind = \"bounded\" or kind = \"ascending\", or leave `scope` out".to_owned();
            self.say(&at("kind"), message, help);
        }
        for (key, there) in [
            ("idle", watermark.idle.is_some()),
            ("every", watermark.every.is_some()),
            ("back", watermark.back > 0),
            ("align", watermark.align.is_some()),
        ] {
            if there {
                let message =
                    format!("the watermark of a key moves behind each of its events: `{key}` says nothing of it");
                let help = format!("leave out `{key}`, or take scope = \"source\"");
                self.say(&at(key), message, help);
            }
        }
        if operator.valve != ValveSettings::default() {
            let message = "the watermarks of the inputs have no part in what goes by the clocks of its keys";
            let help = "leave out `valve`, or take scope = \"source\"".to_owned();
            self.say(&format!("operator[{index}].valve"), message, help);
        }
        if let Some((message, help)) = unfit(operator) {
            self.say(&at("scope"), message, help.to_owned());
        }
    }

    /// Who waits for watermarks where none comes before the end, because its input goes by the clocks of its keys.
    pub fn behind_key_clocks(&mut self, index: usize) {
        let operators = &self.scenario.operators;
        let makes = |operator: &Operator| operator.generator().is_some_and(|made| made.kind != Kind::Forward);
        if self.scenario.must == Must::Fail || !awaits_watermarks(&operators[index]) || makes(&operators[index]) {
            return;
        }
        let mut seen = vec![false; operators.len()];
        let mut behind = vec![index];
        while let Some(reader) = behind.pop() {
            for entry in &operators[reader].input {
                let (name, port) = input_name(entry);
                let Some(sender) = operators.iter().position(|o| o.name == name) else {
                    continue;
                };
                if operators[sender].key_clocks().is_some() && port == Port::Main {
                    let message = format!(
                        "it waits for watermarks, and none comes from `{name}` before the end: its keys go by clocks of \
                         their own"
                    );
                    let help = format!(
                        "give it a watermark of its own: watermark = {{ behind = \"1m\" }}, as far behind as the \
                         keys of `{name}` may be apart"
                    );
                    self.say(&format!("operator[{index}].input"), message, help);
                    return;
                }
                if !makes(&operators[sender]) && !std::mem::replace(&mut seen[sender], true) {
                    behind.push(sender);
                }
            }
        }
    }
}

/// Why an operator cannot go by the clocks of its keys, and what to do.
fn unfit(operator: &Operator) -> Option<(String, &'static str)> {
    const ELSE: &str = "leave `scope` out: one watermark for each source, and the smallest of them rules";
    let Ok(Body::Query(query)) = operator.body() else {
        let what = operator.bodies().next().map_or("this", |(key, _)| key);
        let message = format!("a watermark for each key is kept by windows with `group by`, and `{what}` is none");
        return Some((message, ELSE));
    };
    if !query.joins.is_empty() {
        let message = "a join waits for partners by one watermark for all keys".to_owned();
        return Some((message, ELSE));
    }
    let window = query.window.as_ref();
    if !matches!(
        window,
        Some(
            Window::Tumbling { .. }
                | Window::Hop { .. }
                | Window::Cumulate { .. }
                | Window::Session { .. }
                | Window::Stagger { .. }
        )
    ) {
        let message = match window {
            Some(Window::Sliding { .. } | Window::Snapshot { .. }) => {
                "the windows of this kind begin and end at the events of all keys together"
            }
            _ => "without a window of event time there is nothing that a watermark could complete",
        };
        let help = "a watermark for each key goes with tumbling, hopping, cumulating, staggered and session windows";
        return Some((message.to_owned(), help));
    }
    if query.group_by.is_empty() {
        let message = "without `group by` there is no key that could have a watermark of its own".to_owned();
        return Some((message, "add `group by` to the query, or say scope = \"input\""));
    }
    if query.limit.is_some() || !query.order_by.is_empty() {
        let message = "each key's windows answer by themselves: there are no other rows to order them among".to_owned();
        let help = "leave out `order by` and `limit`, or rank the results in an operator behind it";
        return Some((message, help));
    }
    if operator.align == WindowAlign::FirstEvent {
        let message = "a grid that begins at the first event of all keys is no key's own".to_owned();
        return Some((message, "leave out `align`, or `scope`"));
    }
    None
}

/// Whether an operator does nothing before a watermark comes.
fn awaits_watermarks(operator: &Operator) -> bool {
    match operator.body() {
        Ok(Body::Query(query)) if query.joins.is_empty() => {
            let counted = matches!(
                query.window,
                None | Some(Window::Length(_) | Window::LengthBatch(_) | Window::Global)
            );
            query.aggregates() && !counted && operator.key_clocks().is_none()
        }
        Ok(Body::Query(_) | Body::Sequence(_)) => true,
        Ok(Body::Learn(learn)) => learn.order == LearnOrder::EventTime,
        _ => false,
    }
}
