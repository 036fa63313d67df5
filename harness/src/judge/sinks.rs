//! What sinks take: folded, held to come once, and to follow from what came before.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;
use wavetank_oracle::DueResult;
use wavetank_oracle::table::{Inconsistent, Table};
use wavetank_scenarios::query::Query;
use wavetank_scenarios::script::Operator;
use wavetank_scenarios::topology::{ActorId, Role};
use wavetank_scenarios::{Event, EventId, Time};

use super::{Breach, Judge, meters, recovery};

/// What a sink has taken.
#[derive(Default)]
pub(crate) struct SinkWatch {
    /// Its answers folded.
    pub came: Table,
    /// What was due to it, folded.
    pub admitted: Table,
    pub(super) seen: FxHashSet<EventId>,
    /// Events that came twice.
    pub(super) twice: Option<Breach>,
    /// Answers that do not follow from those before them.
    pub(super) changes: wavetank_oracle::table::Changes,
    /// What came straight from a source, or was put aside: due as it comes, and kept where it may be folded again.
    pub(super) plain: Vec<Event>,
    pub(super) inconsistent: Option<Breach>,
    /// The answers that were due, of a sink that tells by them what comes again.
    pub(super) answers: Option<BTreeSet<recovery::Answer>>,
}

impl SinkWatch {
    /// Whether the sink shows a result, or has its answer already.
    pub(super) fn shows(&mut self, due: &DueResult) -> bool {
        self.answers
            .as_mut()
            .is_none_or(|answers| answers.insert(recovery::answer(due)))
    }
}

impl Judge {
    pub(super) fn took(&mut self, at: Time, actor: ActorId, event: &Event) {
        let meter = &mut self.actors[actor.0 as usize];
        meters::record(&mut meter.latency, at.since(event.planned));
        let sent = self.sent_late.get(&event.planned).copied();
        meter.sent_late |= sent.is_some();
        meters::record(&mut meter.latency_sent, at.since(sent.unwrap_or(event.planned)));
        meter.in_order(event.stamp);
        meter.corrections += u64::from(event.pane.as_ref().is_some_and(|pane| pane.revision > 0));
        if !self.scope.oracle {
            return;
        }
        let Some(watch) = self.sinks.get_mut(&actor) else {
            return;
        };
        if !watch.seen.insert(event.id) && watch.twice.is_none() {
            let came = format!("event {} again", event.id);
            watch.twice = Some(Breach {
                at,
                event: Some(event.id),
                expected: "each event once".into(),
                came,
            });
        }
        watch.came.fold_event(event);
        meter.results = watch.came.len() as u64;
        if self.made_by_reader(actor, event.id) {
            self.follows(at, actor, event);
        } else if let Some(watch) = self.sinks.get_mut(&actor) {
            // What comes straight from a source, or was put aside, is due as it comes; of the answers of a window it is
            // some, and need not follow from each other.
            watch.admitted.fold_event(event);
            if self.recovers {
                watch.plain.push(event.clone());
            }
        }
    }

    /// Looks whether an answer at a sink follows from those before it.
    fn follows(&mut self, at: Time, sink: ActorId, event: &Event) {
        let (Some(pane), Some(watch)) = (&event.pane, self.sinks.get_mut(&sink)) else {
            return;
        };
        let (Err(why), None) = (watch.changes.next(pane, &event.row), &watch.inconsistent) else {
            return;
        };
        let by = self.topology.actors[event.id.producer.0 as usize].role.works();
        let by = by.map(|operator| &self.script.scenario.operators[operator]);
        let answers = |operator: &Operator| operator.query.as_ref().is_some_and(Query::aggregates);
        let mut expected = "an answer that follows from those before it".to_owned();
        if let Some(operator) = by.filter(|operator| !answers(operator)) {
            // One that is not let through leaves a gap in the revisions, or what it replaces standing.
            let name = &operator.name;
            expected = format!("{expected} (`{name}` must let all answers for a window pass, or none)");
        }
        watch.inconsistent = Some(Breach {
            at,
            event: Some(event.id),
            expected,
            came: inconsistency(&why),
        });
    }

    /// True when an event at a sink is a result of an operator that the sink reads: then its model says what is due.
    fn made_by_reader(&self, sink: ActorId, id: EventId) -> bool {
        self.readers
            .get(id.producer.0 as usize)
            .is_some_and(|readers| readers.contains(&sink))
            && matches!(
                self.topology.actors[id.producer.0 as usize].role,
                Role::Operator { .. } | Role::Merge { .. }
            )
    }
}

/// What does not follow, in words.
fn inconsistency(why: &Inconsistent) -> String {
    match why {
        Inconsistent::Revision { due, came } => format!("revision {came} where {due} was due"),
        Inconsistent::AlreadyThere => "an insertion of what is there".into(),
        Inconsistent::NotThere => "a change of what is not there".into(),
        Inconsistent::ChangesNothing => "a correction that changes nothing".into(),
    }
}
