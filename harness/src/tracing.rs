//! The trace of a run, line by line, for those who want to read it.

use std::sync::Arc;

use wavetank_actors::Element;
use wavetank_actors::operator::Dropped;
use wavetank_actors::world::{Happening, LossReason, NodeFault};
use wavetank_reports::trace::{TraceKind, TraceLine};
use wavetank_scenarios::topology::{ActorId, LinkId, Port};
use wavetank_scenarios::{Event, EventId, Script, Time, Value};

use crate::judge::explain_time;

/// Writes down what happens.
pub struct Tracer {
    script: Arc<Script>,
    lines: Vec<TraceLine>,
}

impl Tracer {
    /// A tracer of a run of a script.
    pub fn new(script: &Arc<Script>) -> Self {
        Self {
            script: Arc::clone(script),
            lines: Vec::new(),
        }
    }
    /// All lines, in order.
    pub fn into_lines(self) -> Vec<TraceLine> {
        self.lines
    }

    /// Something happened.
    pub fn see(&mut self, at: Time, happening: &Happening<'_>) {
        let line = |kind| TraceLine::new(explain_time(at), self.lines.len() as u64, kind);
        let new = match happening {
            // An arrival is told where its actor takes it, and the books follow from everything else.
            Happening::Arrived { .. }
            | Happening::Account { .. }
            | Happening::Measured { .. }
            | Happening::Done { .. }
            | Happening::HeldBack { .. }
            | Happening::Queue { .. } => return,
            Happening::Delivered {
                actor, input, element, ..
            } => {
                let link = self.script.topology.actors[actor.0 as usize]
                    .inputs
                    .get(*input)
                    .copied();
                let kind = match element {
                    Element::Event(_) => TraceKind::Deliver,
                    Element::Watermark(_) => TraceKind::Watermark,
                    Element::Idle(_) => TraceKind::Idle,
                    Element::Epoch(_) | Element::Ask => TraceKind::Note,
                    Element::End => TraceKind::End,
                    Element::Progress(_) | Element::Barrier(_) | Element::Control(_) => TraceKind::Note,
                };
                let mut line = self.element(line(kind), element);
                line.actor = Some(self.actor(*actor));
                line.link = link.map(|link| self.link(link));
                line
            }
            Happening::Timer { actor, token } => TraceLine {
                actor: Some(self.actor(*actor)),
                detail: Some(token.to_string()),
                ..line(TraceKind::Timer)
            },
            Happening::Emitted { actor, port, element } => {
                let mut line = self.element(line(TraceKind::Emit), element);
                line.actor = Some(self.actor(*actor));
                if line.detail.is_none() {
                    line.detail = match port {
                        Port::Main | Port::Counter | Port::Control => None,
                        Port::Late => Some("late".into()),
                        Port::Failed => Some("failed".into()),
                        Port::Stream(stream) => Some(format!("to sub-stream {stream}")),
                        Port::Back => Some("back".into()),
                    };
                }
                line
            }
            Happening::Dropped { actor, id, why } => {
                let why = match why {
                    Dropped::Filtered => "filtered",
                    Dropped::Late => "late",
                    Dropped::Failed => "failed",
                };
                let event = Some(self.id(*id));
                TraceLine {
                    actor: Some(self.actor(*actor)),
                    event,
                    detail: Some(why.into()),
                    ..line(TraceKind::Drop)
                }
            }
            Happening::Failed { actor, failure } => {
                let line = self.event(line(TraceKind::Drop), &failure.event);
                TraceLine {
                    actor: Some(self.actor(*actor)),
                    detail: Some(format!("failed: {}", failure.reason)),
                    ..line
                }
            }
            Happening::Took { actor, event } => {
                let line = self.event(line(TraceKind::Note), event);
                TraceLine {
                    actor: Some(self.actor(*actor)),
                    detail: Some("taken by the sink".into()),
                    ..line
                }
            }
            Happening::GaveUp { actor, number } => TraceLine {
                actor: Some(self.actor(*actor)),
                detail: Some(format!("gives up waiting for marker {number}")),
                ..line(TraceKind::Note)
            },
            Happening::Answered { link, element } => TraceLine {
                link: Some(self.link(*link)),
                ..self.element(line(TraceKind::Emit), element)
            },
            Happening::Hold { link, hold } => TraceLine {
                link: Some(self.link(*link)),
                detail: Some(if *hold { "held back" } else { "let go" }.into()),
                ..line(TraceKind::Note)
            },
            Happening::Missed { actor, id } => {
                let (actor, event) = (Some(self.actor(*actor)), Some(self.id(*id)));
                TraceLine {
                    actor,
                    event,
                    detail: Some("never left its source".into()),
                    ..line(TraceKind::Lose)
                }
            }
            Happening::Lost { link, element, why } => {
                let line = self.element(line(TraceKind::Lose), element);
                let why = match why {
                    LossReason::Network => "lost by the network",
                    LossReason::Crash => "the receiver had crashed",
                };
                TraceLine {
                    link: Some(self.link(*link)),
                    detail: Some(why.into()),
                    ..line
                }
            }
            Happening::Shed { actor, event } => TraceLine {
                actor: Some(self.actor(*actor)),
                ..self.event(line(TraceKind::Shed), event)
            },
            Happening::LostInMailbox { actor, event } => {
                let line = self.event(line(TraceKind::Lose), event);
                TraceLine {
                    actor: Some(self.actor(*actor)),
                    detail: Some("in the mailbox at the crash".into()),
                    ..line
                }
            }
            Happening::LostAtWork { actor, id, .. } => TraceLine {
                actor: Some(self.actor(*actor)),
                event: Some(self.id(*id)),
                detail: Some("at work at the crash".into()),
                ..line(TraceKind::Lose)
            },
            Happening::Node { node, fault, by } => {
                let kind = match fault {
                    NodeFault::Crash => TraceKind::Crash,
                    NodeFault::Restart => TraceKind::Restart,
                    NodeFault::Pause => TraceKind::Pause,
                    NodeFault::Resume => TraceKind::Resume,
                    NodeFault::Slow(_) | NodeFault::Clock => TraceKind::Fault,
                };
                let fault = &self.script.scenario.faults[*by];
                let detail = Some(format!("{} ({})", fault.id, fault.kind.name()));
                let actor = Some(self.script.topology.nodes[node.0 as usize].name.clone());
                TraceLine {
                    actor,
                    detail,
                    ..line(kind)
                }
            }
            Happening::Told { link, element } => TraceLine {
                link: Some(self.link(*link)),
                ..self.element(line(TraceKind::Emit), element)
            },
            Happening::Cut { actor, snapshot } => TraceLine {
                actor: Some(self.actor(*actor)),
                detail: Some(format!("cuts its part of snapshot {snapshot}")),
                ..line(TraceKind::Note)
            },
            Happening::Restored {
                actor,
                attempt,
                snapshot,
                ..
            } => {
                let to = snapshot.map_or_else(|| "its beginning".into(), |n| format!("snapshot {n}"));
                TraceLine {
                    actor: Some(self.actor(*actor)),
                    detail: Some(format!("goes back to {to}, in recovery {attempt}")),
                    ..line(TraceKind::Note)
                }
            }
            Happening::OfCopy { actor, note } => TraceLine {
                actor: Some(self.actor(*actor)),
                detail: Some(crate::judge::show_note(note)),
                ..line(TraceKind::Note)
            },
            Happening::Superseded { actor, element } => {
                let mut line = self.element(line(TraceKind::Lose), element);
                line.actor = Some(self.actor(*actor));
                line.detail = Some("sent before everybody went back".into());
                line
            }
            Happening::Noted { actor, text } => TraceLine {
                actor: Some(self.actor(*actor)),
                detail: Some((*text).to_owned()),
                ..line(TraceKind::Note)
            },
            Happening::Meddled { actor, fault } => {
                let fault = &self.script.scenario.faults[*fault];
                TraceLine {
                    actor: Some(self.actor(*actor)),
                    detail: Some(format!("{} ({} on {})", fault.id, fault.kind.name(), fault.on)),
                    ..line(TraceKind::Fault)
                }
            }
            Happening::Fault { fault, id } => {
                let fault = &self.script.scenario.faults[*fault];
                let detail = Some(format!("{} ({} on {})", fault.id, fault.kind.name(), fault.on));
                TraceLine {
                    event: id.map(|id| self.id(id)),
                    detail,
                    ..line(TraceKind::Fault)
                }
            }
        };
        self.lines.push(new);
    }

    fn actor(&self, actor: ActorId) -> String {
        self.script.topology.actors[actor.0 as usize].name.to_string()
    }
    fn link(&self, link: LinkId) -> String {
        self.script.topology.links[link.0 as usize].name.to_string()
    }
    fn id(&self, id: EventId) -> String {
        format!("{}#{}", self.actor(ActorId(id.producer.0)), id.number)
    }

    fn element(&self, line: TraceLine, element: &Element) -> TraceLine {
        match element {
            Element::Event(event) => self.event(line, event),
            Element::Watermark(watermark) => TraceLine {
                stamp: Some(explain_time(*watermark)),
                detail: Some("watermark".into()),
                ..line
            },
            Element::Idle(idle) => TraceLine {
                detail: Some(if *idle { "idle" } else { "active" }.into()),
                ..line
            },
            Element::Epoch(number) => TraceLine {
                detail: Some(format!("marker {number}")),
                ..line
            },
            Element::Ask => TraceLine {
                detail: Some("asks for the number of the epoch".into()),
                ..line
            },
            Element::End => TraceLine {
                detail: Some("end".into()),
                ..line
            },
            Element::Progress(progress) => TraceLine {
                detail: Some(crate::judge::show_progress(progress)),
                ..line
            },
            Element::Barrier(number) => TraceLine {
                detail: Some(format!("barrier {number}")),
                ..line
            },
            Element::Control(control) => TraceLine {
                detail: Some(crate::judge::show_control(control)),
                ..line
            },
        }
    }

    fn event(&self, line: TraceLine, event: &Event) -> TraceLine {
        let actor = self.script.topology.actors.get(event.id.producer.0 as usize);
        let names = actor
            .map(|actor| actor.schema.names().collect::<Vec<_>>())
            .unwrap_or_default();
        let fields = event.row.iter().enumerate().map(|(slot, value)| {
            let name = names.get(slot).map_or_else(|| format!("_{slot}"), ToString::to_string);
            (name, json(value))
        });
        let origins = if event.origins() == [event.id] {
            &[]
        } else {
            event.origins()
        };
        TraceLine {
            event: Some(self.id(event.id)),
            stamp: Some(explain_time(event.stamp)),
            origins: origins.iter().map(|id| self.id(*id)).collect(),
            row: Some(serde_json::Value::Object(fields.collect())),
            ..line
        }
    }
}

/// A value as JSON has it: times and bytes as text, floats that JSON has no number for as text too.
pub fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(b) => (*b).into(),
        Value::Int(i) => (*i).into(),
        Value::Float(f) => serde_json::Number::from_f64(*f).map_or_else(|| f.to_string().into(), Into::into),
        Value::Text(text) => text.as_str().into(),
        Value::Time(_) | Value::Bytes(_) => value.to_string().into(),
        Value::List(list) => list.iter().map(json).collect(),
        Value::Record(record) => serde_json::Value::Object(
            record
                .iter()
                .map(|(name, value)| (name.to_string(), json(value)))
                .collect(),
        ),
    }
}
