//! The events that are held, each once however many combinations it is part of, and what becomes of them.

use serde::{Deserialize, Serialize};
use wavetank_scenarios::{Event, Value};

use crate::operator::{Dropped, Output};
use crate::processing::slab::Slab;
use crate::reliability::{State, StateError};

/// An event that is held.
#[derive(Debug, Serialize, Deserialize)]
struct Part {
    event: Event,
    /// In how many places it is held; not saved, because the places are.
    #[serde(skip)]
    uses: u32,
    caused: bool,
    failed: bool,
}

/// A held event, for as long as it is used.
pub type PartId = u32;

/// All held events.
#[derive(Debug, Default)]
pub struct Parts {
    slots: Slab<Part>,
    bytes: usize,
}

/// The part of a saved state that holds the events, and the one with the free numbers among them.
const EVENTS: &str = "events";
const FREE: &str = "free-events";

fn size(event: &Event) -> usize {
    size_of::<Part>() + event.row.iter().map(Value::size).sum::<usize>()
}

impl Parts {
    /// Takes an event in, with one use.
    pub fn take(&mut self, event: Event) -> PartId {
        self.bytes += size(&event);
        self.slots.insert(Part {
            event,
            uses: 1,
            caused: false,
            failed: false,
        })
    }
    /// The event, while it is in use.
    pub fn event(&self, id: PartId) -> Option<&Event> {
        self.slots.get(id).map(|part| &part.event)
    }
    fn each(&mut self, ids: &[Option<PartId>], mut change: impl FnMut(&mut Part)) {
        for id in ids.iter().flatten() {
            if let Some(part) = self.slots.get_mut(*id) {
                change(part);
            }
        }
    }
    /// One more use of each.
    pub fn hold(&mut self, ids: &[Option<PartId>]) {
        self.each(ids, |part| part.uses += 1);
    }
    /// A result goes back to each.
    pub fn caused(&mut self, ids: &[Option<PartId>]) {
        self.each(ids, |part| part.caused = true);
    }
    /// A result of each could not be computed.
    pub fn failed(&mut self, ids: &[Option<PartId>]) {
        self.each(ids, |part| part.failed = true);
    }
    /// One use less of each; what is in no use any more ends.
    pub fn release(&mut self, ids: &[Option<PartId>], out: &mut Output) {
        for id in ids.iter().flatten() {
            let Some(part) = self.slots.get_mut(*id) else { continue };
            part.uses -= 1;
            if part.uses > 0 {
                continue;
            }
            let Some(part) = self.slots.remove(*id) else { continue };
            self.bytes -= size(&part.event);
            match (part.caused, part.failed) {
                (true, _) => out.caused(1),
                (false, true) => out.dropped(part.event.id, Dropped::Failed),
                (false, false) => out.dropped(part.event.id, Dropped::Filtered),
            }
        }
    }
    /// How many are held.
    pub const fn held(&self) -> u64 {
        self.slots.len() as u64
    }
    /// Roughly how many bytes they take.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts all events into a snapshot.
    pub fn save(&self, state: &mut State) {
        self.slots.save(state, EVENTS, FREE);
    }
    /// Takes them back. None is in use yet: what holds them is restored next, and holds them with [`Parts::hold_again`].
    ///
    /// # Errors
    /// They are not what was saved.
    pub fn restore(state: &State) -> Result<Self, StateError> {
        let slots = Slab::<Part>::restore(state, EVENTS, FREE)?;
        let bytes = slots.iter().map(|(_, part)| size(&part.event)).sum();
        Ok(Self { slots, bytes })
    }
    /// One more use of each, by something from that part of a saved state.
    ///
    /// # Errors
    /// One is not there.
    pub fn hold_again(&mut self, part: &str, ids: &[Option<PartId>]) -> Result<(), StateError> {
        for id in ids.iter().flatten() {
            let Some(held) = self.slots.get_mut(*id) else {
                return Err(StateError::of(part, format!("event {id} is not among the saved ones")));
            };
            held.uses += 1;
        }
        Ok(())
    }
    /// Everything that holds events has been restored.
    ///
    /// # Errors
    /// An event is held nowhere.
    pub fn all_held(&self) -> Result<(), StateError> {
        match self.slots.iter().find(|(_, part)| part.uses == 0) {
            Some((id, _)) => Err(StateError::of(EVENTS, format!("nothing holds event {id}"))),
            None => Ok(()),
        }
    }
}
