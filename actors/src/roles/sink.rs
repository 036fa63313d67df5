//! A sink: where results end, and are seen.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use wavetank_scenarios::script::Delivery;
use wavetank_scenarios::{Event, EventId, Row, Time};

use crate::element::Element;
use crate::host::{Keeps, Part};
use crate::reliability::snapshot::Message;
use crate::reliability::{Control, State, StateError};
use crate::world::{Effect, Input, Stage};

/// What the table that a sink writes to remembers: it outlives the sink.
#[derive(Debug, Default)]
pub(crate) struct Written {
    numbers: BTreeSet<EventId>,
    results: BTreeSet<Answer>,
    /// The last snapshot up to which everything is there.
    snapshot: u64,
    /// Everything is there.
    all: bool,
}

/// What tells a result from another: its window, key and revision; without a window, the event it goes back to and the
/// number of results of that event before it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Answer {
    Window(Time, Time, Row, u32, u8),
    Single(EventId, Row),
}

pub(crate) struct Sink {
    delivery: Delivery,
    written: Rc<RefCell<Written>>,
    /// Transactional: by the snapshot that was cut behind them, what waits for it to be complete.
    closed: Vec<(u64, Vec<Event>)>,
    /// What came since the last cut.
    open: Vec<Event>,
    inputs: usize,
    ended: BTreeSet<usize>,
}

impl Sink {
    /// A sink with so many inputs for events, before a table that remembers this.
    pub fn new(delivery: Delivery, inputs: usize, written: Rc<RefCell<Written>>) -> Self {
        Self {
            delivery,
            written,
            closed: Vec::new(),
            open: Vec::new(),
            inputs,
            ended: BTreeSet::new(),
        }
    }

    fn event(&mut self, event: Box<Event>, stage: &Stage) {
        let mut written = self.written.borrow_mut();
        let new = match self.delivery {
            Delivery::AtLeastOnce => true,
            Delivery::ByNumber => written.numbers.insert(event.id),
            Delivery::ByResult => written.results.insert(answer(&event)),
            Delivery::Transactional => {
                if !written.all {
                    self.open.push(*event);
                }
                return;
            }
        };
        if new {
            stage.put(Effect::Took(event));
        }
    }

    /// Shows what is covered by a complete snapshot.
    fn show(&mut self, complete: u64, stage: &Stage) {
        let mut written = self.written.borrow_mut();
        let later = self.closed.partition_point(|(snapshot, _)| *snapshot <= complete);
        for (snapshot, events) in self.closed.drain(..later) {
            if snapshot > written.snapshot {
                written.snapshot = snapshot;
                for event in events {
                    stage.put(Effect::Took(Box::new(event)));
                }
            }
        }
    }
}

fn answer(event: &Event) -> Answer {
    match &event.pane {
        Some(pane) => Answer::Window(pane.start, pane.end, pane.key.clone(), pane.revision, pane.change as u8),
        None => Answer::Single(event.correlation, event.row.clone()),
    }
}

impl Keeps for Sink {
    fn save(&self, state: &mut State) {
        state.put("waiting", &self.closed);
        state.put("ended", &self.ended);
    }
    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.closed = state.get("waiting")?;
        self.ended = state.get("ended")?;
        Ok(())
    }
    fn over(&self) -> bool {
        self.ended.len() == self.inputs
    }
    fn cut(&mut self, snapshot: u64) {
        let open = std::mem::take(&mut self.open);
        self.closed.push((snapshot, open));
    }
}

impl Part for Sink {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        let Input::Element { input, element, .. } = input else {
            return;
        };
        match element {
            Element::Event(event) => self.event(event, stage),
            Element::Control(control) => {
                if let Control::Snapshot(Message::Completed { number }) = *control {
                    self.show(number, stage);
                }
            }
            Element::End => {
                self.ended.insert(input);
                if self.over() && self.delivery == Delivery::Transactional && !self.written.borrow().all {
                    // Nothing will follow that a snapshot could cover.
                    self.cut(u64::MAX);
                    self.show(u64::MAX, stage);
                    self.written.borrow_mut().all = true;
                }
            }
            _ => {}
        }
    }
}
