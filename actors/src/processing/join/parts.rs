//! The events that are held, each once however many combinations it is part of, and what becomes of them.

use wavetank_scenarios::{Event, Value};

use crate::operator::{Dropped, Output};

/// An event that is held.
#[derive(Debug)]
struct Part {
    event: Event,
    /// In how many places it is held.
    uses: u32,
    caused: bool,
    failed: bool,
}

/// A held event, for as long as it is used.
pub type PartId = u32;

/// All held events.
#[derive(Debug, Default)]
pub struct Parts {
    slots: Vec<Option<Part>>,
    free: Vec<PartId>,
    bytes: usize,
}

fn size(event: &Event) -> usize {
    size_of::<Part>() + event.row.iter().map(Value::size).sum::<usize>()
}

impl Parts {
    /// Takes an event in, with one use.
    pub fn take(&mut self, event: Event) -> PartId {
        self.bytes += size(&event);
        let part = Some(Part {
            event,
            uses: 1,
            caused: false,
            failed: false,
        });
        match self.free.pop() {
            Some(id) => {
                self.slots[id as usize] = part;
                id
            }
            None => {
                self.slots.push(part);
                (self.slots.len() - 1) as PartId
            }
        }
    }
    /// The event, while it is in use.
    pub fn event(&self, id: PartId) -> Option<&Event> {
        self.slots.get(id as usize)?.as_ref().map(|part| &part.event)
    }
    fn each(&mut self, ids: &[Option<PartId>], mut change: impl FnMut(&mut Part)) {
        for id in ids.iter().flatten() {
            if let Some(Some(part)) = self.slots.get_mut(*id as usize) {
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
            let slot = &mut self.slots[*id as usize];
            let Some(part) = slot else { continue };
            part.uses -= 1;
            if part.uses > 0 {
                continue;
            }
            self.bytes -= size(&part.event);
            match (part.caused, part.failed) {
                (true, _) => out.caused(1),
                (false, true) => out.dropped(part.event.id, Dropped::Failed),
                (false, false) => out.dropped(part.event.id, Dropped::Filtered),
            }
            *slot = None;
            self.free.push(*id);
        }
    }
    /// How many are held.
    pub const fn held(&self) -> u64 {
        (self.slots.len() - self.free.len()) as u64
    }
    /// Roughly how many bytes they take.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}
