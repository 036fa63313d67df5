//! Whether what an actor did is what its model says.

use wavetank_actors::Element;
use wavetank_oracle::DueResult;
use wavetank_oracle::convey::Sent;
use wavetank_oracle::watermark::Signal;
use wavetank_scenarios::numbering::Progress;
use wavetank_scenarios::topology::Port;
use wavetank_scenarios::{Event, Time};

use super::super::recovery::show_control;
use super::super::words::{
    count, list, row, show, show_answer, show_due, show_end, show_question, show_sent, show_signal, show_stamped,
};
use super::{Did, Implied, Lockstep, Model, signal};

impl Lockstep {
    /// Watermarks and the like, and their place: what an input causes goes out before the watermark that it moves.
    pub(super) fn compare_controls(&self, implied: &Implied) -> Result<(), (String, String)> {
        let controls = &implied.controls;
        let mut came = Vec::new();
        let mut passed = None;
        for did in &self.did {
            match did {
                Did::Control(element) => {
                    came.extend(signal(element));
                    if let (true, Some(event), Some(signal)) = (implied.leads, passed, came.last()) {
                        let (signal, event) = (show_signal(signal), show(event));
                        return Err((format!("{signal} before {event}"), format!("{event} before {signal}")));
                    }
                }
                Did::Result(event) if implied.leads => passed = Some(event),
                Did::Hold(input, hold) => came.push(Signal::Hold(*input, *hold)),
                Did::Result(event) => {
                    if let Some(Signal::Watermark(_) | Signal::Epoch(_) | Signal::Barrier(_)) = came.last() {
                        let watermark = list(came.iter().map(show_signal));
                        return Err((
                            format!("{} before {watermark}", show(event)),
                            format!("{watermark} before {}", show(event)),
                        ));
                    }
                }
                Did::Ended(..) | Did::Fault(_) | Did::Sent(..) => {}
                Did::Note(_) | Did::Told(_) => {}
            }
        }
        if *controls == came {
            return Ok(());
        }
        Err((
            list(controls.iter().map(show_signal)),
            list(came.iter().map(show_signal)),
        ))
    }

    pub(super) fn compare(&self, implied: &Implied) -> Result<(), (String, String)> {
        let Implied { due, .. } = implied;
        let mut results = Vec::new();
        let mut ended = Vec::new();
        let mut sent = Vec::new();
        let mut notes = Vec::new();
        let mut told = Vec::new();
        for did in &self.did {
            match did {
                Did::Note(text) => notes.push(text),
                Did::Told(control) => told.push(show_control(control)),
                Did::Result(event) => results.push(event),
                Did::Ended(id, why) => ended.push((*id, *why)),
                Did::Control(_) | Did::Hold(..) | Did::Fault(_) => {}
                Did::Sent(port, element) => sent.extend(sending(*port, element)),
            }
        }
        let same = sent.len() == implied.sent.len() && sent.iter().zip(&implied.sent).all(|(a, b)| alike(a, b));
        if !same {
            return Err((
                list(implied.sent.iter().map(show_sent)),
                list(sent.iter().map(show_sent)),
            ));
        }
        if let Model::Generator { .. } = &self.model {
            // A generator passes every event on, unchanged but for its stamp where it goes by the clock.
            let passed: Vec<&Event> = implied.passed.iter().collect();
            if passed != results {
                return Err((
                    list(passed.into_iter().map(show_stamped)) + " passed on",
                    list(results.into_iter().map(show_stamped)),
                ));
            }
        } else {
            if due.results.len() != results.len() {
                return Err((
                    list(due.results.iter().map(show_due)),
                    list(results.iter().map(|event| show(event))),
                ));
            }
            for (should, came) in due.results.iter().zip(&results) {
                if let Some((what, due, is)) = differs(should, came, self.lineage) {
                    return Err((
                        format!("{}, {what} {due}", show_due(should)),
                        format!("{}, {what} {is}", show(came)),
                    ));
                }
            }
            if let Some(numbers) = &implied.numbers {
                let number = |event: &&Event| event.sequence.map(|s| (s.number, s.part, s.last));
                let came: Vec<_> = results.iter().map(number).collect();
                if came != *numbers {
                    return Err((format!("numbers {numbers:?}"), format!("numbers {came:?}")));
                }
            }
            let asked = due.asked.iter().map(show_question);
            let due_told: Vec<String> = asked.chain(implied.answer.iter().map(show_answer)).collect();
            if due_told != told {
                return Err((list(due_told.into_iter()), list(told.into_iter())));
            }
            if !due.notes.iter().eq(notes.iter().copied()) {
                return Err((list(due.notes.iter().cloned()), list(notes.into_iter().cloned())));
            }
            ended.sort_unstable();
            let mut dropped = due.dropped.clone();
            dropped.sort_unstable();
            if dropped != ended {
                return Err((list(dropped.iter().map(show_end)), list(ended.iter().map(show_end))));
            }
            if due.held != self.held {
                return Err((
                    count(due.held as usize, "event") + " held",
                    format!("{} held", self.held),
                ));
            }
        }
        Ok(())
    }
}

/// The first thing in which a result differs from what is due: what, how it should be, how it is.
fn differs(due: &DueResult, came: &Event, lineage: bool) -> Option<(&'static str, String, String)> {
    let time = |t: Time| wavetank_reports::time::Time(t.micros()).to_string();
    if !due.admits(&came.row) {
        return Some(("values", row(&due.row), row(&came.row)));
    }
    if due.stamp != came.stamp {
        return Some(("stamp", time(due.stamp), time(came.stamp)));
    }
    if due.pane.as_ref() != came.pane.as_deref() {
        return Some(("answer", format!("{:?}", due.pane), format!("{:?}", came.pane)));
    }
    if due.correlation != came.correlation {
        return Some(("correlation", due.correlation.to_string(), came.correlation.to_string()));
    }
    if lineage && due.origins != came.origins() {
        return Some((
            "origins",
            list(due.origins.iter().map(ToString::to_string)),
            list(came.origins().iter().map(ToString::to_string)),
        ));
    }
    None
}

/// What was dealt or told.
fn sending(port: Port, element: &Element) -> Option<Sent> {
    match element {
        Element::Event(event) => Some(Sent::Event(port, event.id, event.sequence?)),
        Element::Progress(progress) => Some(Sent::Progress(port, progress.clone())),
        Element::Watermark(_) | Element::Idle(_) | Element::Epoch(_) | Element::Barrier(_) => None,
        Element::Ask | Element::End | Element::Control(_) => None,
    }
}

/// Whether two sendings are the same; state is what its operator keeps, and shows in what the next one makes of it.
fn alike(a: &Sent, b: &Sent) -> bool {
    match (a, b) {
        (Sent::Progress(to, Progress::State(a)), Sent::Progress(same, Progress::State(b))) => {
            to == same && a.moving == b.moving
        }
        _ => a == b,
    }
}
