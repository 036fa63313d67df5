//! The actor that keeps snapshots: it plays a [`snapshot::Store`] on a disk that outlives it.

use std::cell::RefCell;
use std::rc::Rc;

use wavetank_scenarios::Time;

use super::disk::{Disk, DiskError, Outcome, Replacing, Request, Ticket};
use super::snapshot::{self, Doings};
use super::{Control, Crew};
use crate::element::Element;
use crate::host::Part;
use crate::world::{Input, Stage};

/// The disk of a store, whatever becomes of the store.
pub(crate) type Shelf = Rc<RefCell<Box<dyn Disk>>>;

impl Disk for Shelf {
    fn start(&mut self, now: Time, request: Request) -> Ticket {
        self.borrow_mut().start(now, request)
    }
    fn finish(&mut self, number: u64) -> Option<Result<Outcome, DiskError>> {
        self.borrow_mut().finish(number)
    }
    fn crash(&mut self, at: Time) {
        self.borrow_mut().crash(at);
    }
    fn used(&self) -> u64 {
        self.borrow().used()
    }
}

/// The store of a run.
pub(crate) struct Store {
    store: snapshot::Store<Shelf>,
    crew: Crew,
}

impl Store {
    pub fn new(shelf: Shelf, crew: Crew) -> Self {
        Self {
            store: snapshot::Store::new(shelf, Replacing::ByRenaming),
            crew,
        }
    }
}

impl Part for Store {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        let mut out = Doings::default();
        let now = stage.monotonic();
        match input {
            Input::Enter { again } => {
                if again {
                    self.store.entered(&mut out);
                }
            }
            Input::Timer(token) => self.store.on_timer(token, now, &mut out),
            Input::Element { element, .. } => {
                if let Element::Control(control) = element
                    && let Control::Snapshot(message) = &*control
                {
                    self.store.on_message(message.clone(), now, &mut out);
                }
            }
        }
        self.crew.carry_out(out, stage);
    }
}
