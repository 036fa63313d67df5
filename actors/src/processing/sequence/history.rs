//! The events that beginnings of matches have taken, each kept once: a beginning is a list whose tail it shares with those
//! that it was forked from, and an event goes when the last list that has it is gone.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wavetank_scenarios::Event;

use crate::processing::slab::Slab;
use crate::reliability::{State, StateError};

/// An event in its place.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The event.
    pub event: Event,
    /// The input on which it came.
    pub input: usize,
    /// Its place in the order in which events are looked at.
    pub place: u64,
    /// It is part of a match that was put out.
    pub caused: bool,
    /// It is part of one that could not be computed.
    pub failed: bool,
    /// How many have it; not saved, because the lists are.
    #[serde(skip)]
    refs: u32,
}

/// An event taken by a step, behind others.
#[derive(Debug, Serialize, Deserialize)]
struct Link {
    entry: u32,
    step: usize,
    before: Option<u32>,
    /// How many have the list that ends here; not saved, because they are.
    #[serde(skip)]
    refs: u32,
}

/// The events, and the lists over them.
#[derive(Debug, Default)]
pub struct History {
    entries: Slab<Entry>,
    links: Slab<Link>,
    held: u64,
}

impl History {
    /// Keeps an event until it is released.
    pub fn enter(&mut self, event: Event, input: usize, place: u64) -> u32 {
        self.held += 1;
        self.entries.insert(Entry {
            event,
            input,
            place,
            caused: false,
            failed: false,
            refs: 1,
        })
    }
    /// Lets an event go; it comes back when nobody has it any more.
    pub fn leave(&mut self, entry: u32) -> Option<Entry> {
        let kept = self.entries.get_mut(entry)?;
        kept.refs -= 1;
        if kept.refs > 0 {
            return None;
        }
        let gone = self.entries.remove(entry)?;
        self.held -= u64::from(!gone.caused);
        Some(gone)
    }
    /// An event.
    pub fn entry(&self, entry: u32) -> Option<&Entry> {
        self.entries.get(entry)
    }
    /// The list `before` with one more event, taken by a step.
    pub fn take(&mut self, entry: u32, step: usize, before: Option<u32>) -> u32 {
        if let Some(kept) = self.entries.get_mut(entry) {
            kept.refs += 1;
        }
        if let Some(before) = before {
            self.keep(before);
        }
        self.links.insert(Link {
            entry,
            step,
            before,
            refs: 1,
        })
    }
    /// One more has this list.
    pub fn keep(&mut self, link: u32) {
        if let Some(link) = self.links.get_mut(link) {
            link.refs += 1;
        }
    }
    /// One less has this list; the events that nobody has any more come back.
    pub fn release(&mut self, link: u32, gone: &mut Vec<Entry>) {
        let mut next = Some(link);
        while let Some(at) = next {
            let Some(link) = self.links.get_mut(at) else { return };
            link.refs -= 1;
            if link.refs > 0 {
                return;
            }
            let Some(link) = self.links.remove(at) else { return };
            gone.extend(self.leave(link.entry));
            next = link.before;
        }
    }
    /// The entries and steps of a list, in the order in which they were taken.
    pub fn list(&self, link: Option<u32>) -> Vec<(u32, usize)> {
        let mut list = Vec::new();
        let mut next = link;
        while let Some(link) = next.and_then(|at| self.links.get(at)) {
            list.push((link.entry, link.step));
            next = link.before;
        }
        list.reverse();
        list
    }
    /// An event has a match to its name; whether that is news.
    pub fn caused(&mut self, entry: u32) -> bool {
        let Some(kept) = self.entries.get_mut(entry) else {
            return false;
        };
        let news = !kept.caused;
        kept.caused = true;
        self.held -= u64::from(news);
        news
    }
    /// An event is part of a match that could not be computed.
    pub fn failed(&mut self, entry: u32) {
        if let Some(kept) = self.entries.get_mut(entry) {
            kept.failed = true;
        }
    }
    /// How many events are here that have no match to their name.
    pub const fn held(&self) -> u64 {
        self.held
    }
    /// Roughly how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.entries.len() * size_of::<Entry>() + self.links.len() * size_of::<Link>()
    }

    /// Puts all events and lists into a snapshot.
    pub fn save(&self, state: &mut State) {
        self.entries.save(state, TAKEN, "free-taken");
        self.links.save(state, LISTS, "free-lists");
    }
    /// Takes them back. Nobody has a list yet: who had one takes it with [`History::keep_again`].
    ///
    /// # Errors
    /// They are not what was saved by a pattern with that many inputs and steps, of which so many places were given out.
    pub fn restore(state: &State, inputs: usize, steps: usize, places: u64) -> Result<Self, StateError> {
        let mut entries: Slab<Entry> = Slab::restore(state, TAKEN, "free-taken")?;
        let mut links: Slab<Link> = Slab::restore(state, LISTS, "free-lists")?;
        for (_, entry) in entries.iter() {
            StateError::unless(entry.input < inputs, TAKEN, "an event is of an input that there is not")?;
            StateError::unless(
                entry.place < places,
                TAKEN,
                "an event has a place that was not given out",
            )?;
        }
        // How many lists have each list as their beginning, and each event.
        let pairs: Vec<(u32, Option<u32>)> = links.iter().map(|(_, link)| (link.entry, link.before)).collect();
        for (entry, before) in pairs {
            let entry = entries.get_mut(entry);
            let entry = entry.ok_or_else(|| StateError::of(LISTS, "a list has an event that is not there"))?;
            entry.refs += 1;
            if let Some(before) = before {
                let before = links.get_mut(before);
                let before = before.ok_or_else(|| StateError::of(LISTS, "a list has a beginning that is not there"))?;
                before.refs += 1;
            }
        }
        let wrong = links.iter().any(|(_, link)| link.step >= steps);
        StateError::unless(!wrong, LISTS, "a list has a step that there is not")?;
        let unused = entries.iter().any(|(_, entry)| entry.refs == 0);
        StateError::unless(!unused, TAKEN, "an event is in no list")?;
        let held = entries.iter().filter(|(_, entry)| !entry.caused).count() as u64;
        let history = Self { entries, links, held };
        StateError::unless(history.lists_end(), LISTS, "a list is its own beginning")?;
        Ok(history)
    }
    /// Whether every list has a first event.
    fn lists_end(&self) -> bool {
        let mut ends: BTreeSet<u32> = BTreeSet::new();
        for (at, _) in self.links.iter() {
            let mut walked = Vec::new();
            let mut next = Some(at);
            while let Some(at) = next.filter(|at| !ends.contains(at)) {
                walked.push(at);
                if walked.len() > self.links.len() {
                    return false;
                }
                next = self.links.get(at).and_then(|link| link.before);
            }
            ends.extend(walked);
        }
        true
    }
    /// One more has this list, by something from that part of a saved state.
    ///
    /// # Errors
    /// It is not there.
    pub fn keep_again(&mut self, part: &str, link: u32) -> Result<(), StateError> {
        let link = self.links.get_mut(link);
        link.ok_or_else(|| StateError::of(part, "it has a list that is not there"))?
            .refs += 1;
        Ok(())
    }
    /// Everyone who has a list has been restored.
    ///
    /// # Errors
    /// Nobody has a list.
    pub fn all_kept(&self) -> Result<(), StateError> {
        let unused = self.links.iter().any(|(_, link)| link.refs == 0);
        StateError::unless(!unused, LISTS, "nobody has a list")
    }
}

/// The parts of a saved state: events that were taken, and the lists over them.
const TAKEN: &str = "taken";
const LISTS: &str = "lists";
