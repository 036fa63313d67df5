//! How the barriers of a snapshot, which come on several inputs at different times, make one cut.
//!
//! *Aligned* (Carbone et al., Lightweight Asynchronous Snapshots, 2015): an input whose barrier has come waits until the
//! others have theirs; then the state is saved and everything goes on. Nothing is under way across the cut. *Unaligned*:
//! the state is saved at the first barrier, nothing waits, and what still comes before the barrier of its input is saved
//! too, as *in flight* (Chandy and Lamport's channel state).
//!
//! A barrier of a later snapshot ends the one under way without success, and so does a barrier that says that the
//! snapshot was cancelled. Barriers of snapshots that are over are left alone.

/// How barriers make a cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cutting {
    /// Inputs wait for one another.
    Aligned,
    /// The first barrier cuts; what comes before the others is saved with it.
    Unaligned,
}

/// What the end of an input means for a snapshot under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtEnd {
    /// As if its barrier had come: nothing can come before it any more.
    Counts,
    /// The snapshot is given up.
    Aborts,
}

/// What comes of a barrier or an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// The snapshot of that number has begun here. Unaligned: save the state now.
    Started(u64),
    /// Its barrier has come on every input. Aligned: save the state now. Unaligned: what is in flight is known.
    Complete(u64),
    /// It is given up here.
    Aborted(u64),
}

/// What becomes of an element that comes on an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passage {
    /// It is worked on.
    Through,
    /// It is worked on, and belongs to the snapshot under way as in flight.
    InFlight(u64),
    /// It waits until the input is no longer blocked.
    Waits,
}

/// The barriers in front of one actor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alignment {
    cutting: Cutting,
    at_end: AtEnd,
    inputs: Vec<Input>,
    /// The snapshot under way.
    current: Option<u64>,
    /// The last that was begun, and the last that was cancelled from outside: barriers up to the larger are over.
    last_started: u64,
    last_cancelled: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Input {
    /// The barrier of the snapshot under way has come.
    came: bool,
    /// No barrier comes on it any more, or never did: it waits for nobody, and nobody for it.
    ended: bool,
}

impl Alignment {
    /// For that many inputs. Snapshots are numbered from 1.
    pub fn new(inputs: usize, cutting: Cutting, at_end: AtEnd) -> Self {
        Self {
            cutting,
            at_end,
            inputs: vec![Input::default(); inputs],
            current: None,
            last_started: 0,
            last_cancelled: 0,
        }
    }
    /// It begins anew, behind a snapshot (0: at the beginning): barriers up to that are over, and inputs for which `ended`
    /// is true bring none.
    pub fn reset(&mut self, last_started: u64, ended: impl IntoIterator<Item = bool>) {
        self.current = None;
        (self.last_started, self.last_cancelled) = (last_started, 0);
        for (input, ended) in self.inputs.iter_mut().zip(ended) {
            *input = Input { came: false, ended };
        }
    }
    /// Whether no barrier comes on an input any more.
    pub fn ended(&self, input: usize) -> bool {
        self.inputs[input].ended
    }
    /// The snapshot under way.
    pub const fn current(&self) -> Option<u64> {
        self.current
    }
    /// The last snapshot that was begun here; 0 for none.
    pub const fn last_started(&self) -> u64 {
        self.last_started
    }
    /// The last snapshot that was cancelled from outside; 0 for none.
    pub const fn last_cancelled(&self) -> u64 {
        self.last_cancelled
    }
    /// The inputs that wait for others, ascending.
    pub fn blocked(&self) -> impl Iterator<Item = usize> {
        let blocks = self.cutting == Cutting::Aligned && self.current.is_some();
        let waits = move |input: &Input| blocks && input.came && !input.ended;
        self.inputs
            .iter()
            .enumerate()
            .filter_map(move |(index, input)| waits(input).then_some(index))
    }
    /// What becomes of an element that comes on an input.
    pub fn element(&self, input: usize) -> Passage {
        match (self.current, self.cutting) {
            (None, _) => Passage::Through,
            (Some(_), Cutting::Aligned) if self.inputs[input].came && !self.inputs[input].ended => Passage::Waits,
            (Some(number), Cutting::Unaligned) if !self.inputs[input].came => Passage::InFlight(number),
            (Some(_), _) => Passage::Through,
        }
    }
    /// A barrier has come on an input.
    pub fn barrier(&mut self, input: usize, number: u64) -> Vec<Cut> {
        let mut cuts = Vec::new();
        if self.current == Some(number) || self.start(number, &mut cuts) {
            self.inputs[input].came = true;
            self.see(&mut cuts);
        }
        cuts
    }
    /// A snapshot begins here without a barrier on any of these inputs.
    pub fn begin(&mut self, number: u64) -> Vec<Cut> {
        let mut cuts = Vec::new();
        if self.start(number, &mut cuts) {
            self.see(&mut cuts);
        }
        cuts
    }
    /// A barrier has come on an input that says that the snapshot of this number, and those before it, were cancelled.
    pub fn cancel(&mut self, number: u64) -> Vec<Cut> {
        let mut cuts = Vec::new();
        self.last_cancelled = self.last_cancelled.max(number);
        if self.current.is_some_and(|current| current <= number) {
            self.give_up(&mut cuts);
        }
        cuts
    }
    /// An input has ended.
    pub fn end(&mut self, input: usize) -> Vec<Cut> {
        let mut cuts = Vec::new();
        self.inputs[input].ended = true;
        match self.at_end {
            AtEnd::Aborts => self.give_up(&mut cuts),
            AtEnd::Counts => {
                self.inputs[input].came = true;
                self.see(&mut cuts);
            }
        }
        cuts
    }

    /// Begins a snapshot, unless it is over.
    fn start(&mut self, number: u64, cuts: &mut Vec<Cut>) -> bool {
        if number <= self.last_started.max(self.last_cancelled) {
            return false;
        }
        self.give_up(cuts);
        self.current = Some(number);
        self.last_started = number;
        for input in &mut self.inputs {
            input.came = input.ended && self.at_end == AtEnd::Counts;
        }
        cuts.push(Cut::Started(number));
        true
    }
    fn give_up(&mut self, cuts: &mut Vec<Cut>) {
        cuts.extend(self.current.take().map(Cut::Aborted));
    }
    fn see(&mut self, cuts: &mut Vec<Cut>) {
        if let Some(number) = self.current
            && self.inputs.iter().all(|input| input.came)
        {
            self.current = None;
            cuts.push(Cut::Complete(number));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const CASES: &str = include_str!("../../../tests/fixtures/snapshot_cases.jsonl");

    fn case(id: &str) -> Value {
        let mut cases = CASES.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        cases.find(|case| case["id"] == id).expect("a case of that name")
    }
    fn numbers(value: &Value) -> Vec<u64> {
        value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
    }

    /// Plays a published case and compares what it states after each step, and at the end.
    fn play(id: &str, cutting: Cutting, at_end: AtEnd) {
        let case = case(id);
        let channels = case["config"]["channels"].as_u64().unwrap() as usize;
        let mut alignment = Alignment::new(channels, cutting, at_end);
        let mut in_flight: Vec<u64> = Vec::new();
        let (mut completed, mut aborted) = (0, 0);
        for (step, input) in case["input"].as_array().unwrap().iter().enumerate() {
            let channel = input["channel"].as_u64().unwrap() as usize;
            let number = input["checkpoint"].as_u64();
            let cuts = match input["kind"].as_str().unwrap() {
                "buffer" => {
                    match alignment.element(channel) {
                        Passage::InFlight(_) => in_flight.push(step as u64),
                        Passage::Waits => panic!("{id}: {step} comes on a blocked channel"),
                        Passage::Through => {}
                    }
                    Vec::new()
                }
                "barrier" => alignment.barrier(channel, number.unwrap()),
                "cancel-barrier" => alignment.cancel(number.unwrap()),
                "end" => alignment.end(channel),
                kind => panic!("{kind}"),
            };
            completed += cuts.iter().filter(|cut| matches!(cut, Cut::Complete(_))).count() as u64;
            aborted += cuts.iter().filter(|cut| matches!(cut, Cut::Aborted(_))).count() as u64;
            for expected in case["expected"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|e| e["after"] == step)
            {
                let number = expected["checkpoint"].as_u64();
                let status = expected["status"].as_str().map(|status| match status {
                    "started" => Cut::Started(number.unwrap()),
                    "complete" => Cut::Complete(number.unwrap()),
                    _ => Cut::Aborted(number.unwrap()),
                });
                assert!(
                    status.is_none_or(|status| cuts.contains(&status)),
                    "{id}: after {step}: {cuts:?}"
                );
                if !expected["blocked"].is_null() {
                    let blocked: Vec<u64> = alignment.blocked().map(|input| input as u64).collect();
                    assert_eq!(blocked, numbers(&expected["blocked"]), "{id}: after {step}");
                }
                if !expected["inflight"].is_null() {
                    assert_eq!(in_flight, numbers(&expected["inflight"]), "{id}: after {step}");
                }
            }
            if cuts.iter().any(|cut| matches!(cut, Cut::Complete(_) | Cut::Aborted(_))) {
                in_flight.clear();
            }
        }
        let last = case["expected"].as_array().unwrap().last().unwrap();
        let at_end = [
            ("completed", completed),
            ("aborted", aborted),
            ("last_started", alignment.last_started()),
            ("last_cancelled", alignment.last_cancelled()),
        ];
        for (what, found) in at_end {
            assert!(last[what].is_null() || last[what] == found, "{id}: {what} is {found}");
        }
        assert!(in_flight.is_empty());
    }

    #[test]
    fn a_later_barrier_aborts_the_alignment_and_frees_its_channels() {
        play("flink-aligned-jump", Cutting::Aligned, AtEnd::Aborts);
    }

    #[test]
    fn cancelled_snapshots_are_not_begun_and_keep_nothing() {
        play("flink-unaligned-cancel", Cutting::Unaligned, AtEnd::Aborts);
    }

    #[test]
    fn what_comes_before_its_barrier_after_the_first_is_in_flight() {
        play("flink-unaligned-inflight", Cutting::Unaligned, AtEnd::Counts);
    }

    #[test]
    fn the_end_of_an_input_can_stand_for_its_barrier() {
        let mut alignment = Alignment::new(2, Cutting::Aligned, AtEnd::Counts);
        assert_eq!(alignment.barrier(0, 1), [Cut::Started(1)]);
        assert_eq!(alignment.element(0), Passage::Waits);
        assert_eq!(alignment.element(1), Passage::Through);
        assert_eq!(alignment.end(1), [Cut::Complete(1)]);
        assert_eq!(alignment.barrier(0, 2), [Cut::Started(2), Cut::Complete(2)]);
        assert_eq!(alignment.barrier(0, 2), [], "it is over");
        assert_eq!(alignment.blocked().count(), 0);
    }

    #[test]
    fn an_input_without_barriers_waits_for_nobody_and_nobody_for_it() {
        let mut alignment = Alignment::new(3, Cutting::Aligned, AtEnd::Counts);
        alignment.reset(4, [false, true, false]);
        assert_eq!(alignment.barrier(0, 4), [], "it is over");
        assert_eq!(alignment.barrier(0, 5), [Cut::Started(5)]);
        let passes = [Passage::Waits, Passage::Through, Passage::Through];
        assert_eq!([0, 1, 2].map(|input| alignment.element(input)), passes);
        assert_eq!(alignment.blocked().collect::<Vec<_>>(), [0]);
        assert_eq!(alignment.barrier(2, 5), [Cut::Complete(5)]);
    }

    #[test]
    fn a_cut_that_no_barrier_brings_waits_for_those_that_come() {
        let mut alignment = Alignment::new(2, Cutting::Unaligned, AtEnd::Counts);
        alignment.reset(0, [true, false]);
        assert_eq!(alignment.begin(1), [Cut::Started(1)]);
        assert_eq!(alignment.element(0), Passage::Through);
        assert_eq!(alignment.element(1), Passage::InFlight(1));
        assert_eq!(alignment.barrier(1, 1), [Cut::Complete(1)]);
        assert_eq!(alignment.begin(1), [], "it is over");
        alignment.reset(0, [true, true]);
        assert_eq!(alignment.begin(1), [Cut::Started(1), Cut::Complete(1)]);
    }

    proptest! {
        /// Two inputs bring elements 0, 1, 2 … with barriers among them; whatever way they interleave, state at the cut and
        /// what is in flight hold together exactly the elements before the barriers.
        #[test]
        fn a_cut_holds_what_stood_before_the_barriers(
            cutting in prop_oneof![Just(Cutting::Aligned), Just(Cutting::Unaligned)],
            places in prop::array::uniform2(prop::collection::vec(0_usize..6, 3)),
            turns in prop::collection::vec(0_usize..2, 0..60),
        ) {
            // Each input: before barrier n stand `places[input][n - 1]` elements more; barriers are numbered from 1.
            #[derive(Clone, Copy, PartialEq)]
            enum On { Element, Barrier(u64), End }
            let mut lines: Vec<std::collections::VecDeque<On>> = places.iter().map(|gaps| {
                let mut line = std::collections::VecDeque::new();
                for (index, gap) in gaps.iter().enumerate() {
                    line.extend(vec![On::Element; *gap]);
                    line.push_back(On::Barrier(index as u64 + 1));
                }
                line.push_back(On::End);
                line
            }).collect();
            let mut alignment = Alignment::new(2, cutting, AtEnd::Counts);
            let mut taken = [0_usize; 2];
            let mut saved: std::collections::BTreeMap<u64, [usize; 2]> = Default::default();
            let mut aborted = std::collections::BTreeSet::new();
            let mut turns = turns.into_iter().chain((0..100).map(|turn| turn % 2));
            while lines.iter().any(|line| !line.is_empty()) {
                let input = turns.next().unwrap_or(0);
                let input = if alignment.element(input) == Passage::Waits || lines[input].is_empty() { 1 - input } else { input };
                let cuts = match lines[input].pop_front() {
                    None => continue,
                    Some(On::Element) => {
                        if let Passage::InFlight(number) = alignment.element(input) {
                            saved.get_mut(&number).unwrap()[input] += 1;
                        }
                        taken[input] += 1;
                        continue;
                    }
                    Some(On::Barrier(number)) => alignment.barrier(input, number),
                    Some(On::End) => alignment.end(input),
                };
                for cut in cuts {
                    match (cut, cutting) {
                        (Cut::Started(number), Cutting::Unaligned) | (Cut::Complete(number), Cutting::Aligned) => {
                            saved.insert(number, taken);
                        }
                        (Cut::Aborted(number), _) => { aborted.insert(number); }
                        _ => {}
                    }
                }
            }
            for (number, counts) in saved {
                if !aborted.contains(&number) {
                    for (count, gaps) in counts.iter().zip(&places) {
                        prop_assert_eq!(*count, gaps[..number as usize].iter().sum::<usize>());
                    }
                }
            }
            prop_assert_eq!(alignment.current(), None);
        }
    }
}
