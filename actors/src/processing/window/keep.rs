//! What windows keep, in the form in which it is saved.
//!
//! A group is a chunk, so that a snapshot of what has changed is small. A group with many slices is cut into blocks at
//! instants that depend on nothing but the instant, so that a slice that is added or leaves changes one block and not where the
//! others begin; the first block is that of the group. What follows from the slices (totals of windows, indices, what is due)
//! is not saved but worked out again, but for totals whose value depends on the order in which they were added up.

use std::collections::VecDeque;
use std::ops::Range;

use serde::{Serialize, Serializer};
use wavetank_scenarios::{Row, Time};

use super::aggregate::{Kind, State as Aggregated};
use super::answers::{Answer, Fresh};
use super::core::{Core, FARTHEST};
use super::marks::Saved;
use super::slice::{Brief, Group, Queue, Slice, Total};
use crate::processing::keyed::Keys;
use crate::reliability::{FAR, State, StateError, counted};

/// Watermark, the latest event, events of which a part could not be computed.
const PROGRESS: &str = "progress";
/// By key: the first block of slices, and the queue of totals where it matters.
const GROUPS: &str = "groups";
/// By key and first instant: the other blocks.
const SLICES: &str = "slices";
/// By end, start and key: what was last said.
const ANSWERS: &str = "answers";
/// By end, start and key: what is still to be said.
const NEWS: &str = "news";

/// About so many slices make a block.
const BLOCK: u64 = 32;
/// Starts and ends of windows lie no farther from the epoch: those of the farthest event are within its longest window.
const REACH: i64 = FARTHEST / 2 * 3;

/// Whether no window and none of its slices begins or ends at `t`, because no event comes near it.
pub(super) const fn is_far(t: Time) -> bool {
    t.micros().unsigned_abs() > REACH as u64
}

/// Whether a block begins with the slice at `at`: the last step of splitmix64 (Steele, Lea, Flood 2014) makes regular instants
/// irregular.
const fn begins_block(at: Time) -> bool {
    let mut x = at.micros() as u64;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)).is_multiple_of(BLOCK)
}

/// Some slices of a group.
struct Block<'a>(&'a VecDeque<Slice>, Range<usize>);

impl Serialize for Block<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.0.range(self.1.clone()))
    }
}

/// The first block of a group that has slices, and its queue of totals where that matters.
struct First<'a>(&'a Group, bool);

impl<'a> First<'a> {
    fn of(group: &'a Group, queues: bool) -> Option<Self> {
        (!group.slices.is_empty()).then_some(Self(group, queues))
    }
}

impl Serialize for First<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let Self(group, queues) = *self;
        let block = blocks(group).next().map(|(_, block)| block);
        (
            block.unwrap_or(Block(&group.slices, 0..0)),
            queues.then_some(&group.queue),
        )
            .serialize(s)
    }
}

/// The blocks that a group's slices are cut into, each with its first instant.
fn blocks(group: &Group) -> impl Iterator<Item = (Time, Block<'_>)> {
    let slices = &group.slices;
    let mut next = 0;
    std::iter::from_fn(move || {
        let first = slices.get(next)?;
        let rest = slices.range(next + 1..);
        let length = 1 + rest.take_while(|slice| !begins_block(slice.at)).count();
        let block = Block(slices, next..next + length);
        next += length;
        Some((first.at, block))
    })
}

impl Core {
    /// Whether the totals of sliding windows cannot be worked out again as they were.
    fn keeps_queues(&self) -> bool {
        self.plan.kinds.iter().any(Kind::goes_by_order)
    }

    /// Puts in what all kinds of windows keep.
    pub fn save(&self, state: &mut State) {
        state.put(PROGRESS, &(self.watermark, self.latest, &self.said.failing));
        self.save_groups(state);
        let answers = self.said.answers.iter().flat_map(|(bounds, keys)| {
            let each = keys.iter();
            each.map(move |(key, answer)| ((bounds, key), answer))
        });
        state.put_each(ANSWERS, answers);
        let news = self.said.fresh.iter().flat_map(|(bounds, groups)| {
            let each = groups.iter();
            each.filter_map(move |(group, fresh)| Some(((bounds, &self.groups.get(*group)?.key), fresh)))
        });
        state.put_each(NEWS, news);
    }

    /// Puts in the groups and their slices: all of them, or what has changed since the last time.
    fn save_groups(&self, state: &mut State) {
        let queues = self.keeps_queues();
        let mut marks = self.groups.marks.borrow_mut();
        let again = marks.saved().is_some();
        let mut saved = marks.take();
        let changed: Vec<&Group> = if again {
            saved
                .changed
                .iter()
                .filter_map(|index| self.groups.get(*index))
                .collect()
        } else {
            self.groups.iter().map(|(_, group)| group).collect()
        };
        // A group that is gone may be there again: what it has now comes behind that it is gone.
        let gone = saved.gone.iter().map(|key| (key, None));
        state.put_changed(
            GROUPS,
            &saved.first,
            gone.chain(changed.iter().map(|group| (&group.key, First::of(group, queues)))),
        );

        let keys = saved.gone.iter().chain(changed.iter().map(|group| &group.key));
        let no_more: Vec<(&Row, Time)> = keys
            .filter_map(|key| saved.blocks.get_key_value(key))
            .flat_map(|(key, blocks)| blocks.iter().map(move |at| (key, *at)))
            .collect();
        let no_more = no_more.into_iter().map(|block| (block, None));
        let others = changed.iter().flat_map(|group| {
            let others = blocks(group).skip(1);
            others.map(|(at, block)| ((&group.key, at), Some(block)))
        });
        state.put_changed(SLICES, &saved.others, no_more.chain(others));

        for key in &saved.gone {
            saved.blocks.remove(key);
        }
        for group in changed {
            let others: Vec<Time> = blocks(group).skip(1).map(|(at, _)| at).collect();
            if others.is_empty() {
                saved.blocks.remove(&group.key);
            } else {
                saved.blocks.insert(group.key.clone(), others);
            }
        }
        marks.put(Saved {
            first: state.part(GROUPS),
            others: state.part(SLICES),
            blocks: saved.blocks,
            ..Saved::default()
        });
    }

    /// Takes back what was put in.
    ///
    /// # Errors
    /// It is not that of such windows.
    pub fn restore(&mut self, state: &State) -> Result<(), StateError> {
        (self.watermark, self.latest, self.said.failing) = state.get(PROGRESS)?;
        counted(PROGRESS, self.latest.events)?;
        self.restore_groups(state)?;
        for (((end, start), key), answer) in state.each::<((Time, Time), Row), Answer>(ANSWERS)? {
            self.said.answers.entry((end, start)).or_default().insert(key, answer);
        }
        for (((end, start), key), fresh) in state.each::<((Time, Time), Row), Fresh>(NEWS)? {
            counted(NEWS, fresh.events)?;
            let part = fresh.part.as_ref();
            let fits = part.is_some() == self.settings.discards() && part.is_none_or(|part| self.fits(part));
            StateError::unless(fits, NEWS, "it is not what comes of such events")?;
            let group = self.groups.index_of(&key).filter(|_| self.settings.emit.is_some());
            let group = group.ok_or_else(|| StateError::of(NEWS, "nothing is known of its group"))?;
            self.said.fresh.entry((end, start)).or_default().insert(group, fresh);
        }
        Ok(())
    }

    fn restore_groups(&mut self, state: &State) -> Result<(), StateError> {
        let queues = self.keeps_queues();
        for (key, (first, queue)) in state.each::<Row, (Vec<Slice>, Option<Queue>)>(GROUPS)? {
            let new = key.len() == self.plan.key_width() && self.groups.index_of(&key).is_none();
            let fits = new && !first.is_empty() && queue.is_some() == queues;
            StateError::unless(fits, GROUPS, "it is not one of such groups")?;
            let index = self.groups.find(&Keys::Values(&key));
            if let Some(group) = self.groups.get_mut(index) {
                group.slices = first.into();
                group.queue = queue.unwrap_or_default();
            }
        }
        let mut others = state.each::<(Row, Time), Vec<Slice>>(SLICES)?;
        others.sort_by_key(|((_, at), _)| *at);
        for ((key, _), slices) in others {
            let index = self.groups.index_of(&key);
            let group = index.and_then(|index| self.groups.get_mut(index));
            let group = group.ok_or_else(|| StateError::of(SLICES, "nothing is known of their group"))?;
            group.slices.extend(slices);
        }
        (self.held, self.slices) = (0, 0);
        for (_, group) in self.groups.iter() {
            let fits = group.slices.iter().all(|slice| self.fits(slice));
            let sorted = group.slices.iter().is_sorted_by(|a, b| a.at < b.at);
            StateError::unless(fits && sorted, GROUPS, "its slices are not those of such windows")?;
            let Queue {
                behind,
                pushed,
                front,
                back,
            } = &group.queue;
            let within = behind <= pushed && *pushed <= group.slices.len() && front.len() <= pushed - behind;
            let totals = front.iter().chain(back).all(|total| total.fits(&self.plan.kinds, true));
            StateError::unless(within && totals, GROUPS, "its totals are not those of such windows")?;
            let events = group.slices.iter().map(|slice| slice.total.brief.events);
            self.held = events.fold(self.held, u64::saturating_add);
            self.slices += group.slices.len() as u64;
        }
        counted(GROUPS, self.held).map(drop)
    }

    /// Whether such events can add up to that.
    pub(super) fn fits(&self, slice: &Slice) -> bool {
        let Slice { at, total, pending, .. } = slice;
        let known = pending.is_empty() || self.plan.tracks();
        !is_far(*at) && known && pending.len() as u64 <= total.brief.events && total.fits(&self.plan.kinds, false)
    }
}

impl Total {
    /// Whether some events can add up to that with these aggregates; `sketch` says that those that are as large as their
    /// input are left out.
    fn fits(&self, kinds: &[Kind], sketch: bool) -> bool {
        let Brief {
            events,
            earliest,
            latest: (latest, _),
            ..
        } = self.brief;
        let stamps = earliest <= latest && earliest.micros() >= -FARTHEST && latest.micros() <= FARTHEST;
        let fit = |(kind, state): (&Kind, &Aggregated)| match state {
            Aggregated::Absent => sketch && kind.holistic(),
            state => kind.fits(state, events),
        };
        let states = self.states.len() == kinds.len() && kinds.iter().zip(&self.states).all(fit);
        (1..FAR).contains(&events) && stamps && states
    }
}
