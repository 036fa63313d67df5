//! What a sequence keeps, as it goes into a snapshot and comes back. What follows from the rest is not saved: how many
//! have an event or a list, when runs are due, when broken absences are forgotten, the stamps of matches that wait.

use std::collections::BTreeSet;

use wavetank_scenarios::{Event, EventId, Row, Time};

use super::automaton::START;
use super::history::History;
use super::{Key, Plan, Run, Sequence};
use crate::processing::slab::Slab;
use crate::reliability::{State, StateError, counted};

const WAITING: &str = "waiting";
const RUNS: &str = "runs";
const KEYS: &str = "keys";

impl Sequence {
    pub(super) fn put_into(&self, state: &mut State) {
        state.put("watermark", &self.watermark);
        state.put("clock", &self.clock);
        state.put("arrived", &self.arrived);
        state.put("places", &self.places);
        state.put("notes", &self.notes);
        let waiting = self.waiting.iter();
        state.put_each(WAITING, waiting.map(|((_, _, turn), waiting)| (turn, waiting)));
        self.history.save(state);
        self.runs.save(state, RUNS, "free-runs");
        state.put_each(KEYS, &self.keys);
    }

    pub(super) fn take_from(&mut self, state: &State) -> Result<(), StateError> {
        self.watermark = state.get("watermark")?;
        self.clock = state.get("clock")?;
        self.arrived = counted("arrived", state.get("arrived")?)?;
        self.places = counted("places", state.get("places")?)?;
        self.notes = counted("notes", state.get("notes")?)?;
        self.waiting.clear();
        for (turn, (input, event)) in state.each::<u64, (usize, Event)>(WAITING)? {
            StateError::unless(
                input < self.plan.keys.len(),
                WAITING,
                "an event is of an input that there is not",
            )?;
            let place: (Time, EventId, u64) = (event.stamp, event.id, turn);
            self.waiting.insert(place, (input, event));
        }
        self.history = History::restore(state, self.plan.keys.len(), self.plan.steps.len(), self.places)?;
        self.runs = Slab::restore(state, RUNS, "free-runs")?;
        for (_, run) in self.runs.iter() {
            self.history.keep_again(RUNS, run.list)?;
            self.check_run(run)?;
        }
        self.keys.clear();
        self.quiet.clear();
        self.stamps.clear();
        let mut listed = BTreeSet::new();
        for (row, key) in state.each::<Row, Key>(KEYS)? {
            let once = key.runs.iter().all(|run| listed.insert(*run));
            StateError::unless(once, KEYS, "a run belongs to two keys")?;
            self.take_key(&row, &key)?;
            let twice = self.keys.insert(row, key).is_some();
            StateError::unless(!twice, KEYS, "a key is there twice")?;
        }
        StateError::unless(listed.len() == self.runs.len(), RUNS, "a run belongs to no key")?;
        self.history.all_kept()?;
        self.due.clear();
        listed.into_iter().for_each(|run| self.set_due(run));
        self.reported = self.runs.len();
        Ok(())
    }

    fn check_run(&self, run: &Run) -> Result<(), StateError> {
        let edges = self.plan.automaton.states.get(run.state).map(Vec::len);
        let edges = edges.ok_or_else(|| StateError::of(RUNS, "a run is in a state that the pattern has not"))?;
        let beyond = run.open.checked_shr(edges as u32).unwrap_or(0);
        StateError::unless(
            run.open > 0 && beyond == 0,
            RUNS,
            "a run has edges open that its state has not",
        )?;
        StateError::unless(
            run.start < self.places,
            RUNS,
            "a run began at a place that was not given out",
        )
    }

    /// Takes back what follows from a key.
    fn take_key(&mut self, row: &Row, key: &Key) -> Result<(), StateError> {
        for id in &key.runs {
            let run = self.runs.get_mut(*id);
            let run = run.ok_or_else(|| StateError::of(KEYS, "a key has a run that is not there"))?;
            run.key = row.clone();
        }
        for complete in &key.ready {
            self.history.keep_again(KEYS, complete.list)?;
            StateError::unless(complete.start < self.places, KEYS, "a match began at no place")?;
            *self.stamps.entry(complete.stamp).or_default() += 1;
        }
        let edges = &self.plan.automaton.states[START];
        for (absence, noise) in key.noise.iter().enumerate() {
            let Some((time, note)) = *noise else { continue };
            let mut nots = edges.iter().flat_map(|edge| &edge.nots);
            let lasts = nots.find(|not| not.id == absence).and_then(|not| not.lasts);
            let lasts = lasts.ok_or_else(|| StateError::of(KEYS, "a key has an absence that the pattern has not"))?;
            let forget = Plan::over(time + lasts, self.plan.absence_includes_end);
            let twice = self.quiet.insert((forget, note), (row.clone(), absence)).is_some();
            StateError::unless(!twice, KEYS, "two broken absences have one number")?;
        }
        Ok(())
    }
}
