//! What is wrong with early answers, corrections and compensations, and with those who read them.

use crate::check::Checker;
use crate::query::Window;
use crate::script::{LateWhen, Must, Operator, Panes, Trigger};
use crate::time::Span;
use crate::topology::{Port, input_name};

/// Whether an operator may take back or replace what it has said.
fn corrects(operator: &Operator) -> bool {
    let windows = operator.query.as_ref().is_some_and(|query| {
        let counted = matches!(query.window, Some(Window::Length(_) | Window::LengthBatch(_)));
        query.aggregates() && !counted
    });
    let again = operator.horizon > Span::ZERO || operator.late_when == LateWhen::AfterEnd;
    let replaces = operator.emit.map_or(again, |emit| emit.panes != Panes::Discarding);
    operator.compensate.is_some() || (windows && replaces)
}

impl Checker<'_> {
    /// Early answers, corrections and compensations.
    pub fn corrections(&mut self) {
        let scenario = self.scenario;
        for (i, operator) in scenario.operators.iter().enumerate() {
            let at = |key: &str| format!("operator[{i}].{key}");
            if let Some(emit) = &operator.emit {
                if !operator.query.as_ref().is_some_and(crate::query::Query::aggregates) {
                    self.say(
                        &at("emit"),
                        format!("`{}` has no windows that could answer early", operator.name),
                        "leave it out; it goes with a query that aggregates".to_owned(),
                    );
                }
                let window = operator.query.as_ref().and_then(|query| query.window.as_ref());
                if let Some(
                    Window::Sliding { .. }
                    | Window::Length(_)
                    | Window::LengthBatch(_)
                    | Window::Snapshot { .. }
                    | Window::Stagger { .. },
                ) = window
                {
                    let help = "it goes with tumbling, hopping, cumulating, session and global windows";
                    let message = "windows of this kind answer at their events, or once";
                    self.say(&at("emit"), message, help.to_owned());
                }
                for (key, trigger) in [("emit.early", &emit.early), ("emit.late", &emit.late)] {
                    self.trigger(&at(key), trigger.as_ref());
                }
                if emit.panes == Panes::Discarding && operator.emit_empty {
                    self.say(
                        &at("emit.panes"),
                        "a part of nothing would be added to nothing",
                        "leave out `emit_empty`, or take accumulating panes".to_owned(),
                    );
                }
            }
            if operator.compensate.is_some() && operator.horizon <= Span::ZERO {
                let help = "horizon = \"1h\": for longer than a key is in use; then it may be decided anew";
                let message = "without a horizon each decision is forgotten as soon as it is made";
                self.say(&at("compensate"), message, help.to_owned());
            }
            if operator.compensate.as_ref().is_some_and(|c| c.by.is_empty()) {
                self.say(
                    &at("compensate.by"),
                    "without a key one event of all would stand",
                    "name the fields that the competing events share".to_owned(),
                );
            }
            let aggregates = operator.query.as_ref().is_some_and(crate::query::Query::aggregates);
            if aggregates && scenario.must != Must::Fail {
                self.reads_corrections(i);
            }
        }
    }

    fn trigger(&mut self, path: &str, trigger: Option<&Trigger>) {
        let Some(trigger) = trigger else { return };
        if trigger.is_never() {
            let help = "say count = 1 (at each event), every = \"1s\", or watermark = true".to_owned();
            self.say(path, "this trigger never goes off", help);
        }
        if trigger.count == Some(0) {
            let help = "1 answers at each event".to_owned();
            self.say(
                &format!("{path}.count"),
                "nothing can be answered after no events",
                help,
            );
        }
        self.positive(&format!("{path}.every"), trigger.every);
    }

    /// An aggregate counts each correction as an event of its own.
    fn reads_corrections(&mut self, index: usize) {
        let scenario = self.scenario;
        let mut behind = vec![index];
        let mut seen = vec![false; scenario.operators.len()];
        while let Some(reader) = behind.pop() {
            let inputs = scenario.operators[reader].input.iter();
            for entry in inputs.flat_map(|entry| scenario.behind(entry)) {
                let (name, port) = input_name(entry);
                let Some(sender) = scenario.operators.iter().position(|o| o.name == name) else {
                    continue;
                };
                if port != Port::Main || std::mem::replace(&mut seen[sender], true) {
                    continue;
                }
                let operator = &scenario.operators[sender];
                if corrects(operator) {
                    self.say(
                        &format!("operator[{index}].input"),
                        format!(
                            "`{name}` corrects what it has said, and `{}` would count each correction as an event more",
                            scenario.operators[index].name
                        ),
                        "aggregate final answers (no `horizon`, no `emit`), or parts: emit = { panes = \"discarding\" }"
                            .to_owned(),
                    );
                    return;
                }
                let passes_on = !operator.query.as_ref().is_some_and(crate::query::Query::aggregates);
                if passes_on {
                    behind.push(sender);
                }
            }
        }
    }
}
