//! Where snapshots are kept.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use wavetank_scenarios::topology::ActorId;

use super::{Control, State, StoreNews, StoreOrder};
use crate::element::Element;
use crate::host::Part;
use crate::world::{Input, Stage};

/// What lies on the disk of a store: it outlives the store.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    parts: BTreeMap<(u64, u32), Arc<State>>,
    sealed: BTreeSet<u64>,
}

/// The store of a run.
pub(crate) struct Store {
    shelf: Rc<RefCell<Shelf>>,
    coordinator: ActorId,
    /// By input: who is there.
    inputs: Vec<ActorId>,
}

impl Store {
    pub const fn new(shelf: Rc<RefCell<Shelf>>, coordinator: ActorId, inputs: Vec<ActorId>) -> Self {
        Self {
            shelf,
            coordinator,
            inputs,
        }
    }

    fn told(&self, from: ActorId, control: &Control, stage: &Stage) {
        let mut shelf = self.shelf.borrow_mut();
        let say = |news: StoreNews| stage.tell(self.coordinator, Control::Stored(news));
        match control {
            Control::Save { snapshot, part } => {
                let bytes = part.size() as u64;
                shelf.parts.insert((*snapshot, from.0), Arc::clone(part));
                say(StoreNews::Durable {
                    snapshot: *snapshot,
                    of: from.0,
                    bytes,
                });
            }
            Control::Load { attempt, snapshot } => {
                let part = shelf.parts.get(&(*snapshot, from.0)).cloned();
                let part = part.ok_or_else(|| format!("its part of snapshot {snapshot} is not there"));
                let attempt = *attempt;
                stage.tell(from, Control::Loaded { attempt, part });
            }
            Control::Store(StoreOrder::Seal { snapshot }) => {
                shelf.sealed.insert(*snapshot);
                say(StoreNews::Sealed { snapshot: *snapshot });
            }
            Control::Store(StoreOrder::Delete { snapshot }) => {
                shelf.sealed.remove(snapshot);
                shelf.parts.retain(|(of, _), _| of != snapshot);
            }
            Control::Store(StoreOrder::Newest { below }) => {
                let snapshot = shelf.sealed.range(..below).next_back().copied();
                let damaged = Vec::new();
                say(StoreNews::Newest { snapshot, damaged });
            }
            _ => {}
        }
    }
}

impl Part for Store {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        if let Input::Element {
            input,
            element: Element::Control(control),
            ..
        } = input
            && let Some(from) = self.inputs.get(input).copied()
        {
            self.told(from, &control, stage);
        }
    }
}
