//! What comes out of a sequence: matches in their order, those that have to wait for earlier beginnings, and what becomes of
//! the events.

use wavetank_scenarios::script::Restart;
use wavetank_scenarios::{EventId, Row, Time, Value};

use super::history::Entry;
use super::plan::Skip;
use super::{Complete, Key, Path, Sequence};
use crate::operator::{Draft, Dropped, Output};

impl Sequence {
    pub(super) fn path(&self, list: u32) -> Path {
        let list = self.history.list(Some(list));
        let place = |entry| self.history.entry(entry).map_or(0, |e: &Entry| e.place);
        list.into_iter().map(|(entry, step)| (place(entry), step)).collect()
    }

    /// Puts out the matches of a key that wait for nothing any more.
    pub(super) fn free(&mut self, row: Row, gone: &mut Vec<Entry>, out: &mut Output) {
        if let Some(mut key) = self.keys.remove(&row) {
            self.put_out(Vec::new(), &mut key, gone, out);
            self.store(row, key);
        }
    }

    /// Matches wait for earlier beginnings of their key.
    pub(super) fn wait(&mut self, complete: Vec<Complete>, key: &mut Key) {
        for complete in complete {
            *self.stamps.entry(complete.stamp).or_default() += 1;
            key.ready.push(complete);
        }
    }

    /// Puts out matches, those that waited and those that are complete now, in their order and as far as they need not wait;
    /// the place before which nothing may have begun.
    pub(super) fn put_out(
        &mut self,
        complete: Vec<Complete>,
        key: &mut Key,
        gone: &mut Vec<Entry>,
        out: &mut Output,
    ) -> u64 {
        let mut all = std::mem::take(&mut key.ready);
        for waited in &all {
            if let Some(many) = self.stamps.get_mut(&waited.stamp) {
                *many -= 1;
                if *many == 0 {
                    self.stamps.remove(&waited.stamp);
                }
            }
        }
        all.extend(complete);
        let mut sorted: Vec<(Path, Complete)> = all.into_iter().map(|c| (self.path(c.list), c)).collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut floor = 0;
        let mut last: Option<Path> = None;
        let mut left = Vec::new();
        for (path, complete) in sorted {
            let Complete { list, start, stamp } = complete;
            if start < floor || last.as_ref() == Some(&path) {
                self.history.release(list, gone);
                continue;
            }
            let earlier = |id: &u32| self.runs.get(*id).is_some_and(|run| run.start < start);
            if self.plan.start_first && (!left.is_empty() || key.runs.iter().any(earlier)) {
                last = Some(path);
                left.push(complete);
                continue;
            }
            self.answer(list, stamp, false, out);
            let taken = |step: usize| path.iter().filter(move |(_, s)| *s == step).map(|(place, _)| *place);
            floor = floor.max(match self.plan.skip {
                Skip::PastLast => path.last().map_or(0, |(place, _)| place + 1),
                Skip::ToNext => start + 1,
                Skip::ToFirst(step) => taken(step).next().unwrap_or(0),
                Skip::ToLast(step) => taken(step).next_back().unwrap_or(0),
                Skip::Nothing => 0,
            });
            self.prune(key, floor, gone);
            if self.plan.restart == Restart::OnComplete && key.waiting == Some(start) {
                key.waiting = None;
            }
            last = Some(path);
            self.history.release(list, gone);
        }
        self.wait(left, key);
        floor
    }

    /// The result for a list of events, if it can be computed.
    pub(super) fn answer(&mut self, list: u32, stamp: Time, timed_out: bool, out: &mut Output) {
        let seen = self.seen(Some(list));
        let values = self.plan.fields.iter().map(|field| field.value(&seen, stamp));
        let values: Result<Vec<Value>, String> = values.collect();
        let decides = seen
            .iter()
            .map(|(event, ..)| *event)
            .max_by_key(|event| (event.stamp, event.id));
        let planned = seen.iter().map(|(event, ..)| event.planned).max();
        let draft = match (values, decides) {
            (Ok(mut values), Some(decides)) => {
                if self.plan.timeouts {
                    values.push(Value::Bool(timed_out));
                }
                let mut lineage = None;
                if self.plan.lineage {
                    let mut origins: Vec<EventId> =
                        seen.iter().flat_map(|(e, ..)| e.origins().iter().copied()).collect();
                    origins.sort_unstable();
                    origins.dedup();
                    lineage = (origins != [decides.correlation]).then(|| origins.into());
                }
                Some(Draft {
                    stamp,
                    correlation: decides.correlation,
                    planned: planned.unwrap_or(decides.planned),
                    row: values.into(),
                    lineage,
                    pane: None,
                })
            }
            _ => None,
        };
        let entries = self.history.list(Some(list));
        match draft {
            Some(draft) => {
                out.emit(draft);
                let news = entries
                    .into_iter()
                    .filter(|(entry, _)| self.history.caused(*entry))
                    .count();
                out.caused(news as u64);
            }
            None => entries.into_iter().for_each(|(entry, _)| self.history.failed(entry)),
        }
    }
}

/// What became of events that nobody has any more and that have no match to their name.
pub(super) fn fates(gone: Vec<Entry>, out: &mut Output) {
    for entry in gone.into_iter().filter(|entry| !entry.caused) {
        let why = if entry.failed {
            Dropped::Failed
        } else {
            Dropped::Filtered
        };
        out.dropped(entry.event.id, why);
    }
}
