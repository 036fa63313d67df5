//! The events that beginnings of matches have taken, each kept once: a beginning is a list whose tail it shares with those
//! that it was forked from, and an event goes when the last list that has it is gone.

use wavetank_scenarios::Event;

/// Things by small numbers, which are used again.
#[derive(Debug)]
pub struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Puts one in.
    pub fn insert(&mut self, item: T) -> u32 {
        match self.free.pop() {
            Some(at) => {
                self.items[at as usize] = Some(item);
                at
            }
            None => {
                self.items.push(Some(item));
                (self.items.len() - 1) as u32
            }
        }
    }
    /// Takes one out.
    pub fn remove(&mut self, at: u32) -> Option<T> {
        let item = self.items.get_mut(at as usize)?.take();
        if item.is_some() {
            self.free.push(at);
        }
        item
    }
    /// Looks at one.
    pub fn get(&self, at: u32) -> Option<&T> {
        self.items.get(at as usize)?.as_ref()
    }
    /// Changes one.
    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.items.get_mut(at as usize)?.as_mut()
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }
}

/// An event in its place.
#[derive(Debug)]
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
    refs: u32,
}

/// An event taken by a step, behind others.
#[derive(Debug)]
struct Link {
    entry: u32,
    step: usize,
    before: Option<u32>,
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
}
