//! Which groups have changed since they were last saved, so that saving a large state costs what has changed of it and not
//! what there is.

use std::collections::BTreeMap;

use wavetank_scenarios::{Row, Time};

use crate::reliability::Part;

/// Keys that are gone are remembered up to so many more than there are groups: where nobody saves again, they are forgotten.
const SPARE: usize = 1_024;

/// What has changed since the last save.
#[derive(Debug, Default)]
pub struct Marks {
    saves: u64,
    saved: Option<Saved>,
}

/// What was saved, and what has changed since.
#[derive(Debug, Default)]
pub struct Saved {
    /// The first block of each group.
    pub first: Part,
    /// The other blocks.
    pub others: Part,
    /// By key, where there are any: the first instants of the other blocks.
    pub blocks: BTreeMap<Row, Vec<Time>>,
    /// The indices of groups that have changed, or may have. They may be others by now, or gone.
    pub changed: Vec<u32>,
    /// Keys of groups that are gone, or were for a while.
    pub gone: Vec<Row>,
}

impl Marks {
    /// Another number after each save; 0 before the first.
    pub const fn saves(&self) -> u64 {
        self.saves
    }
    /// A group changes for the first time since the last save.
    pub fn changed(&mut self, index: u32) {
        if let Some(saved) = &mut self.saved {
            saved.changed.push(index);
        }
    }
    /// A group is gone; there is room for `groups`.
    pub fn gone(&mut self, key: Row, groups: usize) {
        if let Some(saved) = &mut self.saved {
            saved.gone.push(key);
            if saved.gone.len() > groups + SPARE {
                self.saved = None;
            }
        }
    }
    /// What was saved, if it is known.
    pub const fn saved(&self) -> Option<&Saved> {
        self.saved.as_ref()
    }
    /// Takes it out, to go on from when all is saved again.
    pub fn take(&mut self) -> Saved {
        self.saved.take().unwrap_or_default()
    }
    /// All is saved; nothing has changed since.
    pub fn put(&mut self, saved: Saved) {
        self.saves += 1;
        self.saved = Some(saved);
    }
}
