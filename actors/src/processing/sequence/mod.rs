//! Temporal event ordering: sequences of events of one key, and their absence. What they mean is said in
//! [`wavetank_scenarios::sequence`].
//!
//! Events wait in order of (stamp, id) until the watermark has passed them (or do not, with `order = "arrival"`), then go
//! one by one through the runs of their key. A run is a beginning of a match: a list of events taken (`history`), a state
//! of the automaton (`automaton`), and the edges of it that are still open. An event that an edge takes forks a new run;
//! the old one goes on with the edges that it leaves open, and ends without any. What happens because time goes by (`within`
//! is over, an absence is complete) stands in one index ordered by time, so that keys without an event are not touched.

mod automaton;
mod condition;
mod history;
mod plan;
mod results;
mod saved;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::script::{self, Future, Restart};
use wavetank_scenarios::sequence::Contiguity;
use wavetank_scenarios::{Event, EventId, Row, Time};

use self::automaton::{Edge, Not, START};
use self::condition::Seen;
use self::history::{Entry, History};
use self::plan::Plan;
use self::results::fates;
use super::Surroundings;
use super::keyed::Keys;
use super::slab::Slab;
use crate::operator::{Operator, Output};
use crate::reliability::{State, StateError};

/// A beginning of a match.
#[derive(Debug, Serialize, Deserialize)]
struct Run {
    /// Not saved, because the key has its runs.
    #[serde(skip)]
    key: Row,
    /// What it has taken.
    list: u32,
    state: usize,
    /// The edges of the state that are open.
    open: u128,
    /// No event of the key has been looked at since the last one taken.
    fresh: bool,
    /// The place of its first event, and the times of its first and its last.
    start: u64,
    first: Time,
    last: Time,
    /// When it must be looked at because of the time; not saved, because it follows from the rest.
    #[serde(skip)]
    due: Option<Time>,
}

/// What is known of a key.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Key {
    runs: Vec<u32>,
    /// When an event last fitted each absence at the beginning of the pattern, with the number of that note.
    noise: Vec<Option<(Time, u64)>>,
    /// The place of the beginning on which a new one has to wait.
    waiting: Option<u64>,
    /// Matches that wait for earlier beginnings.
    ready: Vec<Complete>,
}

/// A match that is complete.
#[derive(Debug, Serialize, Deserialize)]
struct Complete {
    list: u32,
    start: u64,
    stamp: Time,
}

/// The order of matches: places and steps of what they take.
type Path = Vec<(u64, usize)>;

/// The operator.
#[derive(Debug)]
pub struct Sequence {
    plan: Plan,
    waiting: BTreeMap<(Time, EventId, u64), (usize, Event)>,
    arrived: u64,
    watermark: Time,
    /// No event counts as of an earlier time any more.
    clock: Time,
    places: u64,
    history: History,
    runs: Slab<Run>,
    due: BTreeSet<(Time, u32)>,
    keys: FxHashMap<Row, Key>,
    /// When events that broke an absence at the beginning are forgotten.
    quiet: BTreeMap<(Time, u64), (Row, usize)>,
    notes: u64,
    /// How many matches of each stamp wait.
    stamps: BTreeMap<Time, usize>,
    /// The number of runs that was last reported.
    reported: usize,
}

/// Builds a sequence from its settings.
///
/// # Errors
/// What is wrong with them.
pub fn build(
    operator: &script::Operator,
    sequence: &script::Sequence,
    around: &Surroundings<'_>,
) -> Result<Box<dyn Operator>, String> {
    Ok(Box::new(Sequence {
        plan: Plan::new(operator, sequence, around)?,
        waiting: BTreeMap::new(),
        arrived: 0,
        watermark: Time::MIN,
        clock: Time::MIN,
        places: 0,
        history: History::default(),
        runs: Slab::default(),
        due: BTreeSet::new(),
        keys: FxHashMap::default(),
        quiet: BTreeMap::new(),
        notes: 0,
        stamps: BTreeMap::new(),
        reported: 0,
    }))
}

impl Operator for Sequence {
    fn on_event(&mut self, input: usize, event: Event, now: Time, out: &mut Output) {
        if let Future::Refuse(tolerance) = self.plan.future
            && event.stamp > now + tolerance
        {
            return out.failed(
                event,
                format!("it is stamped more than {tolerance} ahead of its arrival"),
            );
        }
        if input >= self.plan.keys.len() {
            return out.failed(event, "it came on an input that is not read");
        }
        if self.plan.arrival {
            self.look(input, event, out);
            return self.report(out);
        }
        if event.stamp <= self.watermark {
            return out.late(event, self.plan.late_aside);
        }
        self.arrived += 1;
        self.waiting
            .insert((event.stamp, event.id, self.arrived), (input, event));
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        self.watermark = watermark;
        while let Some(next) = self.waiting.first_entry()
            && next.key().0 <= watermark
        {
            let (input, event) = next.remove();
            self.look(input, event, out);
        }
        self.advance(watermark + self.plan.tick, out);
        if watermark == Time::MAX {
            self.finish(out);
        }
        self.report(out);
    }

    fn watermark_limit(&self) -> Time {
        self.stamps
            .first_key_value()
            .map_or(Time::MAX, |(stamp, _)| *stamp - self.plan.tick)
    }

    fn save(&self, state: &mut State) {
        self.put_into(state);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.take_from(state)
    }

    fn held(&self) -> u64 {
        self.waiting.len() as u64 + self.history.held()
    }

    fn state_bytes(&self) -> usize {
        self.waiting.len() * size_of::<((Time, EventId, u64), (usize, Event))>()
            + self.runs.len() * size_of::<Run>()
            + self.keys.len() * size_of::<(Row, Key)>()
            + self.quiet.len() * size_of::<((Time, u64), (Row, usize))>()
            + self.history.bytes()
    }
}

/// What an event does to a set of edges.
struct Choice {
    /// The edges that take it, each with the steps that it is taken as.
    taken: Vec<(usize, Vec<usize>)>,
    /// The edges that are open afterwards.
    open: u128,
}

impl Sequence {
    /// Looks at the next event.
    fn look(&mut self, input: usize, event: Event, out: &mut Output) {
        let time = event.stamp.max(self.clock);
        self.advance(time, out);
        self.clock = time;
        let row = Keys::Slots(&self.plan.keys[input], &event.row).to_row();
        let place = self.places;
        self.places += 1;
        let entry = self.history.enter(event, input, place);
        let mut key = self.keys.remove(&row).unwrap_or_default();
        let before = std::mem::take(&mut key.runs);
        let mut complete = Vec::new();
        let mut gone = Vec::new();
        for id in before {
            let Some(run) = self.runs.get(id) else { continue };
            let (list, state, start, first) = (run.list, run.state, run.start, run.first);
            let choice = self.choose(state, run.open, Some(run), entry);
            if let Some(run) = self.runs.get_mut(id) {
                run.open = choice.open;
                run.fresh = false;
            }
            for (edge, steps) in choice.taken {
                let list = self.taken(entry, &steps, Some(list));
                let state = self.after(state, edge, &steps);
                self.fork(
                    &row,
                    list,
                    state,
                    (start, first, time),
                    &mut key,
                    &mut complete,
                    &mut gone,
                );
            }
            if choice.open == 0 {
                self.end(id, &mut gone);
            } else {
                key.runs.push(id);
                self.set_due(id);
            }
        }
        let alone = key.runs.is_empty() && complete.is_empty();
        let may_start = match self.plan.restart {
            Restart::Always => true,
            Restart::Once | Restart::OnComplete => key.waiting.is_none(),
            Restart::OnCompleteOrFail => alone,
        };
        if may_start {
            let open = self.start(&key, time);
            let choice = self.choose(START, open, None, entry);
            if !choice.taken.is_empty() && matches!(self.plan.restart, Restart::Once | Restart::OnComplete) {
                key.waiting = Some(place);
            }
            for (edge, steps) in choice.taken {
                let list = self.taken(entry, &steps, None);
                let state = self.after(START, edge, &steps);
                self.fork(
                    &row,
                    list,
                    state,
                    (place, time, time),
                    &mut key,
                    &mut complete,
                    &mut gone,
                );
            }
        }
        self.note(&row, &mut key, entry);
        self.put_out(complete, &mut key, &mut gone, out);
        self.store(row, key);
        gone.extend(self.history.leave(entry));
        fates(gone, out);
        // With `within` to its very end, an absence can be over with the event that it begins with.
        self.advance(time, out);
    }

    /// The edges of the start that no earlier event forbids at that time.
    fn start(&self, key: &Key, time: Time) -> u128 {
        let quiet = |edge: &Edge| {
            edge.nots.iter().all(|not| {
                let (Some(lasts), Some(Some((last, _)))) = (not.lasts, key.noise.get(not.id)) else {
                    return true;
                };
                time >= Plan::over(*last + lasts, self.plan.absence_includes_end)
            })
        };
        let edges = self.plan.automaton.states[START].iter().enumerate();
        edges
            .filter(|(_, edge)| quiet(edge))
            .fold(0, |open, (i, _)| open | 1 << i)
    }

    /// Notes which absences at the beginning an event breaks.
    fn note(&mut self, row: &Row, key: &mut Key, entry: u32) {
        for edge in &self.plan.automaton.states[START] {
            for not in &edge.nots {
                let Some(lasts) = not.lasts else { continue };
                if !self.fits(not.step, entry, None) {
                    continue;
                }
                key.noise.resize(self.plan.automaton.absences, None);
                let forget = |time: Time| Plan::over(time + lasts, self.plan.absence_includes_end);
                if let Some((time, note)) = key.noise[not.id] {
                    self.quiet.remove(&(forget(time), note));
                }
                self.notes += 1;
                key.noise[not.id] = Some((self.clock, self.notes));
                self.quiet
                    .insert((forget(self.clock), self.notes), (row.clone(), not.id));
            }
        }
    }

    /// Whether an event fits a step, behind what a list has taken.
    fn fits(&self, step: usize, entry: u32, list: Option<u32>) -> bool {
        let Some(candidate) = self.history.entry(entry) else {
            return false;
        };
        let wanted = &self.plan.steps[step];
        if wanted.from.is_some_and(|input| input != candidate.input) {
            return false;
        }
        let condition = wanted.condition.as_ref();
        condition.is_none_or(|c| c.holds(&candidate.event, candidate.input, step, || self.seen(list)))
    }

    fn seen(&self, list: Option<u32>) -> Vec<Seen<'_>> {
        let list = self.history.list(list);
        list.into_iter()
            .filter_map(|(entry, step)| {
                let entry = self.history.entry(entry)?;
                Some((&entry.event, entry.input, step))
            })
            .collect()
    }

    /// What an event does to the open edges of a state. Edges of the start are not closed by it.
    fn choose(&self, state: usize, open: u128, run: Option<&Run>, entry: u32) -> Choice {
        let edges = &self.plan.automaton.states[state];
        let list = run.map(|run| run.list);
        let mut left = open;
        let mut fit: u128 = 0;
        let mut as_steps = Vec::new();
        for (i, edge) in edges.iter().enumerate() {
            if open >> i & 1 == 0 {
                continue;
            }
            let mut waits = false;
            let mut closed = false;
            if let Some(run) = run {
                let over = |not: &Not| {
                    let end = not.lasts.map(|lasts| run.last + lasts);
                    end.is_some_and(|end| self.clock >= Plan::over(end, self.plan.absence_includes_end))
                };
                // One that lasts keeps the edge from taking anything, wherever it stands among the others.
                waits = edge.nots.iter().any(|not| not.lasts.is_some() && !over(not));
                // An event that is taken comes not between the steps.
                let comes_between = !self.takes(edge, entry, list, waits);
                closed |= edge.nots.iter().any(|not| {
                    let counts = !over(not) && (run.fresh || !not.next);
                    counts && comes_between && self.fits(not.step, entry, list)
                });
                if let Some((step, between)) = edge.until {
                    closed |= between && self.fits(step, entry, list);
                }
                // Behind an absence that lasts, the very next event is the first one after its end.
                let lasting = edge.nots.iter().any(|not| not.lasts.is_some());
                let strict = edge.to.is_some() && edge.contiguity == Contiguity::Strict;
                closed |= strict && !run.fresh && !lasting;
            }
            if closed {
                left &= !(1 << i);
                continue;
            }
            let steps = match edge.to {
                Some(taker) if !waits => self.as_steps(taker, edge, entry, list),
                _ => Vec::new(),
            };
            if !steps.is_empty() {
                fit |= 1 << i;
                as_steps.push((i, steps));
            }
            let strict = edge.contiguity == Contiguity::Strict && edge.to.is_some() && !waits;
            if strict || fit >> i & 1 == 1 && edge.contiguity == Contiguity::Relaxed {
                left &= !(1 << i);
            }
        }
        as_steps.retain(|(i, _)| edges[*i].losing_to & fit == 0);
        let taking = as_steps.iter().fold(0, |mask: u128, (i, _)| mask | 1 << i);
        left &= mask(edges.iter().map(|edge| edge.rivals & taking == 0));
        Choice {
            taken: as_steps,
            open: left,
        }
    }

    fn takes(&self, edge: &Edge, entry: u32, list: Option<u32>, waits: bool) -> bool {
        !waits
            && edge
                .to
                .is_some_and(|taker| !self.as_steps(taker, edge, entry, list).is_empty())
    }

    /// The steps as which an event is taken at the end of an edge; none if it does not fit.
    fn as_steps(&self, taker: usize, edge: &Edge, entry: u32, list: Option<u32>) -> Vec<usize> {
        if let Some((step, false)) = edge.until
            && self.fits(step, entry, list)
        {
            return Vec::new();
        }
        let taker = &self.plan.automaton.takers[taker];
        let mut fitting = taker.steps.iter().copied().filter(|step| self.fits(*step, entry, list));
        if taker.is_all() && self.plan.all_may_share {
            fitting.collect()
        } else {
            fitting.next().into_iter().collect()
        }
    }

    fn taken(&mut self, entry: u32, steps: &[usize], before: Option<u32>) -> u32 {
        let mut list = before;
        if let Some(before) = before {
            self.history.keep(before);
        }
        for step in steps {
            let longer = self.history.take(entry, *step, list);
            // The shorter list is kept by the longer one now.
            if let Some(shorter) = list {
                self.history.release(shorter, &mut Vec::new());
            }
            list = Some(longer);
        }
        list.unwrap_or_default()
    }

    fn after(&self, state: usize, edge: usize, steps: &[usize]) -> usize {
        let to = self.plan.automaton.states[state][edge].to.unwrap_or_default();
        self.plan.automaton.takers[to].then(steps)
    }

    /// A new run, complete at once or open.
    #[allow(clippy::too_many_arguments, reason = "what a run is made of, and where it goes")]
    fn fork(
        &mut self,
        row: &Row,
        list: u32,
        state: usize,
        (start, first, last): (u64, Time, Time),
        key: &mut Key,
        complete: &mut Vec<Complete>,
        gone: &mut Vec<Entry>,
    ) {
        let edges = &self.plan.automaton.states[state];
        let at_once = |edge: &Edge| edge.to.is_none() && edge.nots.is_empty();
        let done: u128 = mask(edges.iter().map(at_once));
        let open: u128 = mask(edges.iter().map(|edge| !at_once(edge) && edge.rivals & done == 0));
        if done != 0 {
            self.history.keep(list);
            let stamp = self
                .history
                .list(Some(list))
                .last()
                .and_then(|(entry, _)| self.history.entry(*entry));
            let stamp = stamp.map_or(last, |entry| entry.event.stamp);
            complete.push(Complete { list, start, stamp });
        }
        if open == 0 {
            return self.history.release(list, gone);
        }
        let id = self.runs.insert(Run {
            key: row.clone(),
            list,
            state,
            open,
            fresh: true,
            start,
            first,
            last,
            due: None,
        });
        key.runs.push(id);
        self.set_due(id);
    }

    /// When `within` is over for a run.
    fn expiry(&self, run: &Run) -> Option<Time> {
        let since = if self.plan.since_previous { run.last } else { run.first };
        self.plan.within.map(|within| since + within)
    }

    /// When an absence at the end is complete; `None` while it lasts for ever.
    fn deadline(&self, run: &Run, edge: &Edge) -> Option<Time> {
        let longest = edge.nots.iter().filter_map(|not| not.lasts).max();
        longest.map(|lasts| run.last + lasts).or_else(|| self.expiry(run))
    }

    /// The next time at which something becomes of a run by itself.
    fn next_due(&self, run: &Run) -> Option<Time> {
        let edges = self.plan.automaton.states[run.state].iter().enumerate();
        let open = edges.filter(|(i, _)| run.open >> i & 1 == 1);
        open.filter_map(|(_, edge)| match edge.to {
            Some(_) => self
                .expiry(run)
                .map(|end| Plan::over(end, self.plan.within_includes_end)),
            None => self
                .deadline(run, edge)
                .map(|end| Plan::over(end, self.plan.absence_includes_end)),
        })
        .min()
    }

    fn set_due(&mut self, id: u32) {
        let Some(run) = self.runs.get(id) else { return };
        let (old, new) = (run.due, self.next_due(run));
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.due.remove(&(old, id));
        }
        if let Some(new) = new {
            self.due.insert((new, id));
        }
        if let Some(run) = self.runs.get_mut(id) {
            run.due = new;
        }
    }

    /// A run is over.
    fn end(&mut self, id: u32, gone: &mut Vec<Entry>) {
        if let Some(run) = self.runs.remove(id) {
            if let Some(due) = run.due {
                self.due.remove(&(due, id));
            }
            self.history.release(run.list, gone);
        }
    }

    /// Ends the runs that began before a place.
    fn prune(&mut self, key: &mut Key, floor: u64, gone: &mut Vec<Entry>) {
        if floor == 0 {
            return;
        }
        let runs = std::mem::take(&mut key.runs);
        for id in runs {
            if self.runs.get(id).is_some_and(|run| run.start >= floor) {
                key.runs.push(id);
            } else {
                self.end(id, gone);
            }
        }
    }

    fn store(&mut self, row: Row, key: Key) {
        let empty = key.runs.is_empty()
            && key.ready.is_empty()
            && key.waiting.is_none()
            && key.noise.iter().all(Option::is_none);
        if !empty {
            self.keys.insert(row, key);
        }
    }

    /// Lets time go on: everything that is over by then happens, in order of time.
    fn advance(&mut self, to: Time, out: &mut Output) {
        while let Some((now, _)) = self.due.first().copied().filter(|(due, _)| *due <= to) {
            let mut ids = Vec::new();
            while let Some((due, id)) = self.due.first().copied().filter(|(due, _)| *due == now) {
                self.due.remove(&(due, id));
                ids.push(id);
            }
            self.pass(now, &ids, out);
        }
        while let Some(entry) = self.quiet.first_entry().filter(|entry| entry.key().0 <= to) {
            let ((_, note), (row, absence)) = entry.remove_entry();
            let Some(mut key) = self.keys.remove(&row) else {
                continue;
            };
            if let Some(noise) = key.noise.get_mut(absence)
                && noise.is_some_and(|(_, n)| n == note)
            {
                *noise = None;
            }
            self.store(row, key);
        }
        self.clock = self.clock.max(to);
    }

    /// What is over at one instant: absences are complete, then what is too late is given up.
    fn pass(&mut self, now: Time, ids: &[u32], out: &mut Output) {
        let mut complete: Vec<(Row, Complete)> = Vec::new();
        let mut late: Vec<(Path, u32, Time)> = Vec::new();
        for id in ids {
            let Some(run) = self.runs.get(*id) else { continue };
            let edges = &self.plan.automaton.states[run.state];
            let mut open = run.open;
            let mut done: u128 = 0;
            let mut stamp = None;
            for (i, edge) in edges.iter().enumerate().filter(|(_, edge)| edge.to.is_none()) {
                let deadline = self.deadline(run, edge);
                if open >> i & 1 == 1
                    && deadline.is_some_and(|end| Plan::over(end, self.plan.absence_includes_end) <= now)
                {
                    done |= 1 << i;
                    stamp = stamp.min(deadline).or(deadline);
                }
            }
            open &= !done & mask(edges.iter().map(|edge| edge.rivals & done == 0));
            if let Some(stamp) = stamp {
                self.history.keep(run.list);
                let (list, start) = (run.list, run.start);
                complete.push((run.key.clone(), Complete { list, start, stamp }));
            }
            let expiry = self.expiry(run);
            if expiry.is_some_and(|end| Plan::over(end, self.plan.within_includes_end) <= now) {
                let takes = mask(edges.iter().map(|edge| edge.to.is_some()));
                if open & takes != 0 {
                    late.push((self.path(run.list), *id, expiry.unwrap_or(now)));
                }
                open &= !takes;
            }
            if let Some(run) = self.runs.get_mut(*id) {
                run.open = open;
                run.due = None;
            }
        }
        let mut gone = Vec::new();
        let mut by_key: BTreeMap<Row, u64> = BTreeMap::new();
        let mut paths: Vec<(Path, Row, Complete)> = complete
            .into_iter()
            .map(|(row, c)| (self.path(c.list), row, c))
            .collect();
        paths.sort_by(|a, b| a.0.cmp(&b.0));
        let mut last: Option<Path> = None;
        for (path, row, complete) in paths {
            let floor = by_key.entry(row.clone()).or_default();
            if last.as_ref() == Some(&path) || complete.start < *floor {
                self.history.release(complete.list, &mut gone);
                continue;
            }
            last = Some(path);
            let Some(mut key) = self.keys.remove(&row) else {
                continue;
            };
            if self.plan.start_first {
                self.wait(vec![complete], &mut key);
            } else {
                *floor = (*floor).max(self.put_out(vec![complete], &mut key, &mut gone, out));
            }
            self.store(row, key);
        }
        late.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, id, stamp) in late {
            let Some(run) = self.runs.get(id) else { continue };
            let list = run.list;
            out.measure(Metric::TimedOut, 1);
            if self.plan.timeouts {
                self.answer(list, stamp, true, out);
            }
        }
        let mut touched = BTreeSet::new();
        for id in ids {
            let Some(run) = self.runs.get(*id) else { continue };
            let row = run.key.clone();
            if run.open == 0 {
                self.end(*id, &mut gone);
                if let Some(mut key) = self.keys.remove(&row) {
                    key.runs.retain(|run| run != id);
                    self.store(row.clone(), key);
                }
            } else {
                self.set_due(*id);
            }
            touched.insert(row);
        }
        if self.plan.start_first {
            for row in touched {
                self.free(row, &mut gone, out);
            }
        }
        fates(gone, out);
    }

    /// No event comes any more: no beginning can become a match.
    fn finish(&mut self, out: &mut Output) {
        let mut gone = Vec::new();
        let runs: BTreeSet<u32> = self.keys.values().flat_map(|key| key.runs.iter().copied()).collect();
        for id in runs {
            self.end(id, &mut gone);
        }
        let rows: BTreeSet<Row> = self.keys.keys().cloned().collect();
        for row in rows {
            if let Some(key) = self.keys.get_mut(&row) {
                key.runs.clear();
            }
            self.free(row, &mut gone, out);
        }
        self.keys.clear();
        self.quiet.clear();
        fates(gone, out);
    }

    fn report(&mut self, out: &mut Output) {
        if self.reported != self.runs.len() {
            self.reported = self.runs.len();
            out.measure(Metric::Runs, self.reported as u64);
        }
    }
}

fn mask(bits: impl Iterator<Item = bool>) -> u128 {
    bits.enumerate().fold(0, |mask, (i, bit)| mask | u128::from(bit) << i)
}
