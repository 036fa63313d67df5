//! What the judge says of a step, in words.

use wavetank_actors::Element;
use wavetank_oracle::convey::Sent;
use wavetank_oracle::watermark::Signal;
use wavetank_oracle::{DueResult, Why};
use wavetank_scenarios::asking::{Answer, Question};
use wavetank_scenarios::numbering::Progress;
use wavetank_scenarios::{Event, EventId, Time};

use super::lockstep::{Given, signal};

pub(super) fn show_sent(sent: &Sent) -> String {
    match sent {
        Sent::Event(port, id, sequence) => format!("event {id} as number {} to {port:?}", sequence.number),
        Sent::Progress(port, progress) => format!("{} to {port:?}", show_progress(progress)),
    }
}

pub(crate) fn show_progress(progress: &Progress) -> String {
    match progress {
        Progress::Given(next) => format!("numbers below {next} given out"),
        Progress::Done(below) => format!("done below {below}"),
        Progress::Skip(number) => format!("nothing of number {number}"),
        Progress::Give(moving) => format!("move {} from {} to {}", moving.id, moving.from, moving.to),
        Progress::State(moved) => format!("the state of move {}", moved.moving.id),
    }
}

pub(super) fn describe(given: &Given) -> String {
    match given {
        Given::Timer(_) => "a timer".into(),
        Given::Element {
            element: Element::Event(event),
            ..
        } => format!("event {} {}", event.id, row(&event.row)),
        Given::Element {
            element: Element::Progress(progress),
            ..
        } => show_progress(progress),
        Given::Element {
            element: Element::Control(_),
            ..
        } => "a message".into(),
        Given::Element { element, .. } => signal(element).as_ref().map_or_else(String::new, show_signal),
    }
}

pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    const MOST: usize = 4;
    let items: Vec<String> = items.collect();
    match items.len() {
        0 => "nothing".into(),
        n if n > MOST => format!("{} and {} more", items[..MOST].join(", "), n - MOST),
        _ => items.join(", "),
    }
}

pub(super) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A row as a person reads it in a line.
pub fn row(row: &[wavetank_scenarios::Value]) -> String {
    let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
    format!("({})", cells.join(", "))
}

pub(super) fn show(event: &Event) -> String {
    window(event.pane.as_deref()) + &row(&event.row)
}

pub(super) fn show_stamped(event: &Event) -> String {
    let stamp = wavetank_reports::time::Time(event.stamp.micros());
    format!("{} stamped {stamp}", show(event))
}

pub(super) fn show_due(due: &DueResult) -> String {
    window(due.pane.as_ref()) + &row(&due.row)
}

pub(super) fn window(pane: Option<&wavetank_scenarios::Pane>) -> String {
    pane.map_or_else(String::new, |pane| {
        let at = |t: Time| wavetank_reports::time::Time(t.micros());
        format!("[{}, {}) r{} ", at(pane.start), at(pane.end), pane.revision)
    })
}

pub(super) fn show_end((id, why): &(EventId, Why)) -> String {
    let why = match why {
        Why::Filtered => "filtered",
        Why::Late => "late",
        Why::Failed => "failed",
    };
    format!("{id} {why}")
}

pub(super) fn show_signal(signal: &Signal) -> String {
    match signal {
        Signal::Watermark(w) => format!("watermark {}", wavetank_reports::time::Time(w.micros())),
        Signal::Idle(true) => "idle".into(),
        Signal::Idle(false) => "active".into(),
        Signal::End => "the end".into(),
        Signal::Epoch(number) => format!("marker {number}"),
        Signal::Barrier(number) => format!("barrier {number}"),
        Signal::Hold(input, true) => format!("input {input} held back"),
        Signal::Hold(input, false) => format!("input {input} let go"),
    }
}

/// What a service is asked, in words.
pub(super) fn show_question(question: &Question) -> String {
    let Question {
        event,
        version,
        features,
    } = question;
    format!("asks version number {version} about event {event}: {features:?}")
}

/// What a service answers, in words.
pub(super) fn show_answer(answer: &Answer) -> String {
    let Answer { event, version, said } = answer;
    match said {
        Ok(said) => format!("version number {version} says of event {event}: {said:?}"),
        Err(why) => format!("version number {version} says nothing of event {event}: {why}"),
    }
}
