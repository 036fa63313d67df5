//! What every pattern is: a pure state machine, elements and timers in, elements and timers out.
//!
//! An operator knows no actix, no clock, no random numbers and no I/O, so that it can be tested in a plain function. One
//! generic actor (`host.rs`) hosts every operator and does what all of them need once: watermarks (minimum over
//! inputs, passing on), numbering, lineage, counting, timers.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wavetank_scenarios::asking::{Answer, Question};
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::numbering::Progress;
use wavetank_scenarios::{Event, EventId, Pane, Row, Span, Time, Value};

use crate::reliability::{State, StateError};

/// A pattern at work.
pub trait Operator {
    /// It enters the stage: at the start of the run, or as a new incarnation after a crash. For first timers.
    fn on_enter(&mut self, _out: &mut Output) {}

    /// Takes an event from input `input`, counted from 0 in the order of the operator's `input` list. `now` is the wall
    /// clock of the node, for the settings that compare stamps with arrival and for nothing else.
    ///
    /// Every event must end in exactly one fate: see [`Output`].
    fn on_event(&mut self, input: usize, event: Event, now: Time, out: &mut Output);

    /// The combined watermark of all inputs has grown to `watermark` ([`Time::MAX`] at the end of input, when the
    /// operator's settings flush). The host passes it on afterwards, behind what is emitted here.
    fn on_watermark(&mut self, watermark: Time, out: &mut Output);

    /// A timer that was set by [`Output::timer`] is due.
    fn on_timer(&mut self, _token: u64, _out: &mut Output) {}

    /// A sub-stream said how far it has come: for merges. The end of an input is [`Progress::Done`] of everything.
    fn on_progress(&mut self, _input: usize, _progress: &Progress, _out: &mut Output) {}

    /// A service has answered: see [`Output::ask`].
    fn on_answer(&mut self, _answer: &Answer, _out: &mut Output) {}

    /// What it has asked and has no answer to, in the order in which it asked. The end of its output waits until there is
    /// nothing, and whoever is restored asks it again.
    fn asked(&self) -> Vec<Question> {
        Vec::new()
    }

    /// Takes the state of the keys that `moves` says yes to out of it, ascending by key; `None` where it keeps no state
    /// that could be taken out by key.
    fn take_keys(&mut self, _moves: &dyn Fn(&[Value]) -> bool) -> Option<Vec<(Row, Value)>> {
        None
    }

    /// Puts in what [`Operator::take_keys`] of another operator with the same settings took out.
    ///
    /// # Errors
    /// What is wrong with the state: it is not one of such an operator.
    fn put_keys(&mut self, state: &[(Row, Value)]) -> Result<(), String> {
        match state {
            [] => Ok(()),
            [(key, _), ..] => Err(format!("it keeps no state by key, and was given one for {key:?}")),
        }
    }

    /// Puts everything that its later output depends on into a snapshot: two operators with the same settings and the
    /// same state do the same with the same input, to the last bit. Timers are the host's.
    fn save(&self, state: &mut State);

    /// Takes back what [`Operator::save`] of another operator with the same settings put in. It has taken nothing in yet.
    ///
    /// # Errors
    /// The state is not one of such an operator.
    fn restore(&mut self, state: &State) -> Result<(), StateError>;

    /// The largest watermark that may be passed on now. An operator that holds events back which it will put out with
    /// their own stamps answers a tick below the smallest of them; the host then waits with the rest.
    fn watermark_limit(&self) -> Time {
        Time::MAX
    }

    /// How many input events it holds that have no fate yet.
    fn held(&self) -> u64;

    /// Roughly how many bytes its state takes.
    fn state_bytes(&self) -> usize;
}

/// Why an event left without a result.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dropped {
    /// A predicate was not true, or every result that it contributed to was filtered.
    Filtered,
    /// It came after its windows had closed, or beyond the allowed lateness.
    Late,
    /// The results that it contributed to could not be computed, and it has no other. (What cannot be worked on by itself
    /// is reported with [`Output::failed`].)
    Failed,
}

/// A result to be: what the operator knows of an output event. The host adds identity.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Draft {
    /// Event time of the result.
    pub stamp: Time,
    /// The source event it goes back to; of several, the one with the largest (stamp, id).
    pub correlation: EventId,
    /// When the latest source event behind it was planned.
    pub planned: Time,
    /// The payload.
    pub row: Row,
    /// All source events behind it, ascending and without repetition, when the run keeps lineage and there are several.
    pub lineage: Option<Arc<[EventId]>>,
    /// Which window's answer it is.
    pub pane: Option<Arc<Pane>>,
}

impl Draft {
    /// A result of a single event: same stamp, same origins, another payload.
    pub fn of(event: &Event, row: Row) -> Self {
        Self {
            stamp: event.stamp,
            correlation: event.correlation,
            planned: event.planned,
            row,
            lineage: event.lineage.clone(),
            pane: event.pane.clone(),
        }
    }
}

/// An event that an operator could not work on, and why.
#[derive(Clone, PartialEq, Debug)]
pub struct Failure {
    /// The event as it came.
    pub event: Event,
    /// What was wrong, for a person.
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}: {}", self.event.id, self.reason)
    }
}

/// Where an operator writes what comes of one element or timer, in order.
///
/// Fates. An input event that goes into the state counts as held ([`Operator::held`]). Every other input event, and every
/// held one when it leaves the state, is reported once: [`Output::caused`] when at least one result goes back to it,
/// [`Output::dropped`] or [`Output::late`] or [`Output::failed`] otherwise. The host checks at every step that
/// in = caused + filtered + late + failed + held.
#[derive(PartialEq, Debug, Default)]
pub struct Output {
    /// Results and side outputs, in order.
    pub emitted: Vec<Emitted>,
    /// How many input events are done and caused a result.
    pub caused: u64,
    /// Events that are done without a result.
    pub dropped: Vec<(EventId, Dropped)>,
    /// Timers to set: virtual time by the node's monotonic clock from now, and a token that comes back.
    pub timers: Vec<(Span, u64)>,
    /// What is asked of the operator's service.
    pub asked: Vec<Question>,
    /// How long the input keeps the operator busy: what it puts out leaves when that is over.
    pub busy: Span,
    /// Readings of the pattern's own metrics: see [`Output::measure`].
    pub measured: Vec<(Metric, u64)>,
    /// Remarks for the trace: see [`Output::note`].
    pub notes: Vec<String>,
}

/// One thing that an operator puts out.
#[derive(Clone, PartialEq, Debug)]
pub enum Emitted {
    /// A result, for the main output.
    Result(Draft),
    /// A late event, for the side output `name.late`.
    Late(Event),
    /// An event that could not be worked on, for the side output `name.failed`.
    Failed(Failure),
}

impl Output {
    /// Puts out a result.
    pub fn emit(&mut self, draft: Draft) {
        self.emitted.push(Emitted::Result(draft));
    }
    /// `events` input events are done, each with a result to its name.
    pub const fn caused(&mut self, events: u64) {
        self.caused += events;
    }
    /// An input event is done without a result.
    pub fn dropped(&mut self, id: EventId, why: Dropped) {
        self.dropped.push((id, why));
    }
    /// A late event: counted, and set aside when `side` says so.
    pub fn late(&mut self, event: Event, side: bool) {
        self.dropped.push((event.id, Dropped::Late));
        if side {
            self.emitted.push(Emitted::Late(event));
        }
    }
    /// An event that could not be worked on.
    pub fn failed(&mut self, event: Event, reason: impl Into<String>) {
        self.emitted.push(Emitted::Failed(Failure {
            event,
            reason: reason.into(),
        }));
    }
    /// Sets a timer.
    pub fn timer(&mut self, after: Span, token: u64) {
        self.timers.push((after, token));
    }
    /// Asks the operator's service; the answer, if it comes, comes to [`Operator::on_answer`].
    pub fn ask(&mut self, question: Question) {
        self.asked.push(question);
    }
    /// The input keeps the operator busy for this much longer.
    pub fn occupied(&mut self, span: Span) {
        self.busy = self.busy + span;
    }
    /// A reading of a metric of the pattern: added to a counter, the new value of a gauge, an entry of a histogram.
    pub fn measure(&mut self, metric: Metric, reading: u64) {
        self.measured.push((metric, reading));
    }
    /// A remark for the trace: something that the operator decided, and why. Its naive model must say the same.
    pub fn note(&mut self, text: String) {
        self.notes.push(text);
    }
    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        self.emitted.clear();
        self.caused = 0;
        self.dropped.clear();
        self.timers.clear();
        self.asked.clear();
        self.busy = Span::ZERO;
        self.measured.clear();
        self.notes.clear();
    }
}
