//! Coordinator, store and participants together, on a small stage of their own: crashes and disks that lie, at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arcstr::ArcStr;
use proptest::prelude::*;
use wavetank_scenarios::{Span, Time};

use super::*;
use crate::reliability::State;
use crate::reliability::disk::{Disk, DiskFaults, DiskSpeed, Mishap, Operation, Replacing, SimulatedDisk};

const NAMES: [ArcStr; 3] = [
    arcstr::literal!("left"),
    arcstr::literal!("right"),
    arcstr::literal!("joined"),
];

/// Goes wrong as written, by the number of the request.
#[derive(Clone, Debug, Default)]
struct Scripted(BTreeMap<u64, Mishap>);

impl Scripted {
    /// Whether something is said to be well that is not.
    fn lies(&self) -> bool {
        let lie = |m: &Mishap| m.torn.is_some() || m.flipped.is_some() || m.stale || m.lost;
        self.0.values().any(lie)
    }
}

impl DiskFaults for Scripted {
    fn befall(&mut self, operation: &Operation<'_>, mishap: &mut Mishap) {
        if let Some(planned) = self.0.remove(&operation.number) {
            *mishap = planned;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Who {
    Coordinator,
    Store,
    Participant(usize),
}

#[derive(Debug)]
enum Due {
    Message(Who, Message),
    Timer(Who, u64, u64),
    /// A participant works: its state changes.
    Work(usize),
    Crash(Who),
    Enter(Who),
}

/// How a run is set up.
#[derive(Clone, Debug)]
struct Setting {
    keep: usize,
    full_every: u64,
    compress: bool,
    encrypt: bool,
    overlap: Overlap,
    trigger: Trigger,
    mishaps: Scripted,
    crashes: Vec<(i64, Who, i64)>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            keep: 2,
            full_every: 3,
            compress: false,
            encrypt: false,
            overlap: Overlap::Skip,
            trigger: Trigger::Every(Span::from_millis(100)),
            mishaps: Scripted::default(),
            crashes: Vec::new(),
        }
    }
}

struct Stage {
    /// The disk never says that something is there that is not.
    honest: bool,
    setting: Setting,
    keys: Arc<Keys>,
    now: Time,
    queue: BTreeMap<(Time, u64), Due>,
    sequence: u64,
    incarnations: BTreeMap<Who, u64>,
    coordinator: Option<Coordinator>,
    store: Option<Store<SimulatedDisk>>,
    /// The disk while its store is down.
    disk: Option<SimulatedDisk>,
    participants: Vec<Option<(Saver, BTreeMap<u64, u64>)>>,
    works: u64,
    /// What each state was at each cut.
    cuts: BTreeMap<(u64, usize), BTreeMap<u64, u64>>,
    /// What everybody goes back to in an attempt, as told to the first.
    began: BTreeMap<u32, Option<u64>>,
    notes: Vec<Note>,
    completed: Vec<u64>,
}

fn state_of(entries: &BTreeMap<u64, u64>) -> State {
    let mut state = State::default();
    state.put_each("entries", entries);
    state
}

impl Stage {
    fn new(setting: Setting) -> Self {
        let speed = DiskSpeed {
            write: Span::from_millis(5),
            read: Span::from_millis(2),
            rate: 1_000_000,
            capacity: u64::MAX,
        };
        let disk = SimulatedDisk::new(speed, Box::new(setting.mishaps.clone()));
        let mut stage = Self {
            honest: !setting.mishaps.lies(),
            keys: Arc::new(Keys::one([7; 32])),
            now: Time::ZERO,
            queue: BTreeMap::new(),
            sequence: 0,
            incarnations: BTreeMap::new(),
            coordinator: None,
            store: None,
            disk: Some(disk),
            participants: vec![None, None, None],
            works: 0,
            cuts: BTreeMap::new(),
            began: BTreeMap::new(),
            notes: Vec::new(),
            completed: Vec::new(),
            setting,
        };
        for who in [Who::Store, Who::Coordinator]
            .into_iter()
            .chain((0..3).map(Who::Participant))
        {
            stage.enter(who);
        }
        for (at, who, down) in stage.setting.crashes.clone() {
            stage.push(Span::from_millis(at), Due::Crash(who));
            stage.push(Span::from_millis(at + down), Due::Enter(who));
        }
        for participant in 0..3 {
            stage.push(Span::from_millis(3), Due::Work(participant));
        }
        stage
    }

    fn push(&mut self, after: Span, due: Due) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), due);
    }

    fn carry_out(&mut self, who: Who, out: Doings) {
        let incarnation = self.incarnations[&who];
        for (to, message) in out.messages {
            let to = match to {
                To::Coordinator => Who::Coordinator,
                To::Store => Who::Store,
                To::Participant(name) => Who::Participant(NAMES.iter().position(|n| *n == name).unwrap()),
            };
            if let Message::GoBack { attempt, to: target } = &message {
                let number = target.as_ref().map(|target| target.number);
                assert_eq!(
                    *self.began.entry(*attempt).or_insert(number),
                    number,
                    "all go back to the same"
                );
            }
            self.push(Span::from_millis(1), Due::Message(to, message));
        }
        for (after, token) in out.timers {
            self.push(after, Due::Timer(who, incarnation, token));
        }
        self.notes.extend(out.notes);
    }

    fn enter(&mut self, who: Who) {
        let incarnation = *self.incarnations.entry(who).and_modify(|n| *n += 1).or_insert(0);
        let mut out = Doings::default();
        match who {
            Who::Coordinator => {
                let plan = Plan {
                    trigger: Some(self.setting.trigger),
                    overlap: self.setting.overlap,
                    time_out: Span::from_millis(300),
                    keep: self.setting.keep,
                    run: 1,
                    keys: (*self.keys).clone(),
                    encrypt: self.setting.encrypt,
                };
                let members = NAMES.into_iter().map(|name| Member { name, reader: true });
                let entered = Coordinator::enter(plan, members.collect(), incarnation, self.now, &mut out);
                self.coordinator = Some(entered);
            }
            Who::Store => {
                if let Some(disk) = self.disk.take() {
                    self.store = Some(Store::new(disk, Replacing::ByRenaming));
                    if incarnation > 0 {
                        out.messages.push((To::Coordinator, Message::StoreEntered));
                    }
                }
            }
            Who::Participant(index) => {
                let habit = Habit {
                    name: NAMES[index].clone(),
                    fingerprint: index as u64,
                    run: 1,
                    full_every: self.setting.full_every,
                    compress: self.setting.compress,
                    encrypt: self.setting.encrypt,
                    keys: self.keys.clone(),
                };
                let participant = Saver::new(habit);
                if incarnation > 0 {
                    participant.entered(&mut out);
                }
                self.participants[index] = Some((participant, BTreeMap::new()));
            }
        }
        self.carry_out(who, out);
    }

    fn crash(&mut self, who: Who) {
        match who {
            Who::Coordinator => self.coordinator = None,
            Who::Store => {
                if let Some(store) = self.store.take() {
                    let mut disk = store.into_disk();
                    disk.crash(self.now);
                    self.disk = Some(disk);
                }
            }
            Who::Participant(index) => self.participants[index] = None,
        }
    }

    fn down(&self, who: Who) -> bool {
        match who {
            Who::Coordinator => self.coordinator.is_none(),
            Who::Store => self.store.is_none(),
            Who::Participant(index) => self.participants[index].is_none(),
        }
    }

    fn deliver(&mut self, who: Who, message: Message) {
        let mut out = Doings::default();
        let now = self.now;
        match who {
            Who::Coordinator => {
                if let Some(coordinator) = &mut self.coordinator {
                    coordinator.on_message(message, now, &mut out);
                }
            }
            Who::Store => {
                if let Some(store) = &mut self.store {
                    store.on_message(message, now, &mut out);
                }
            }
            Who::Participant(index) => {
                let Some((participant, entries)) = &mut self.participants[index] else {
                    return;
                };
                match participant.on_message(message, &mut out) {
                    Step::Nothing | Step::Aborted(_) => {}
                    Step::Completed(number) => self.completed.push(number),
                    Step::Cut(number) => {
                        assert!(
                            !self.honest || !self.completed.contains(&number),
                            "a complete set is never written again, unless the disk has lost it"
                        );
                        self.cuts.insert((number, index), entries.clone());
                        participant.save(number, state_of(entries), &mut out);
                    }
                    Step::Begin { attempt, from } => {
                        assert_eq!(self.began[&attempt], from.as_ref().map(|(number, _)| *number));
                        *entries = match from {
                            None => BTreeMap::new(),
                            Some((number, state)) => {
                                let cut = &self.cuts[&(number, index)];
                                assert_eq!(state, state_of(cut), "the restored state is that at the cut");
                                cut.clone()
                            }
                        };
                        participant.restored(&mut out);
                    }
                }
            }
        }
        self.carry_out(who, out);
    }

    fn run(&mut self, until: i64) {
        while let Some(entry) = self.queue.first_entry() {
            let ((at, _), _) = (*entry.key(), ());
            if at > Time::ZERO + Span::from_millis(until) {
                return;
            }
            self.now = at;
            match entry.remove() {
                Due::Message(who, message) => self.deliver(who, message),
                Due::Timer(who, incarnation, token) => {
                    if self.down(who) || self.incarnations[&who] != incarnation {
                        continue;
                    }
                    let mut out = Doings::default();
                    match who {
                        Who::Coordinator => self.coordinator.as_mut().unwrap().on_timer(token, at, &mut out),
                        Who::Store => self.store.as_mut().unwrap().on_timer(token, at, &mut out),
                        Who::Participant(_) => {}
                    }
                    self.carry_out(who, out);
                }
                Due::Work(index) => {
                    self.works += 1;
                    let works = self.works;
                    if let Some((participant, entries)) = &mut self.participants[index] {
                        if works.is_multiple_of(11) {
                            entries.pop_first();
                        }
                        entries.insert(works * 7 % 211, works);
                        let (name, attempt) = (participant.name().clone(), participant.attempt());
                        let taken = Message::Taken {
                            participant: name.clone(),
                            attempt,
                            events: works,
                        };
                        let reached = Message::Reached {
                            participant: name,
                            attempt,
                            watermark: at,
                        };
                        self.push(Span::from_millis(1), Due::Message(Who::Coordinator, taken));
                        self.push(Span::from_millis(1), Due::Message(Who::Coordinator, reached));
                    }
                    self.push(Span::from_millis(3), Due::Work(index));
                }
                Due::Crash(who) => self.crash(who),
                Due::Enter(who) => {
                    if self.down(who) {
                        self.enter(who);
                    }
                }
            }
        }
    }

    fn disk(&self) -> &SimulatedDisk {
        self.store.as_ref().map(Store::disk).or(self.disk.as_ref()).unwrap()
    }
    fn folders(&self) -> BTreeSet<u64> {
        self.disk().names().filter_map(catalog::number_of).collect()
    }
    fn noted(&self, test: impl Fn(&Note) -> bool) -> bool {
        self.notes.iter().any(test)
    }
}

#[test]
fn snapshots_are_completed_one_after_the_other_and_the_newest_are_kept() {
    let mut stage = Stage::new(Setting {
        full_every: 1,
        ..Setting::default()
    });
    stage.run(1_000);
    assert_eq!(stage.completed.iter().max(), Some(&9));
    assert_eq!(stage.folders(), BTreeSet::from([8, 9]));
    assert!(stage.noted(|note| matches!(
        note,
        Note::Completed {
            number: 9,
            incremental: 0,
            ..
        }
    )));
    assert!(!stage.noted(|note| matches!(note, Note::Aborted { .. })));
}

#[test]
fn changes_are_written_until_the_chain_is_long_enough_and_its_base_goes_last() {
    let mut stage = Stage::new(Setting {
        keep: 1,
        full_every: 4,
        ..Setting::default()
    });
    stage.run(860);
    // 1 is whole, 2 to 4 build on it, 5 is whole again.
    assert_eq!(stage.folders(), BTreeSet::from([5, 6, 7, 8]));
    stage.run(1_090);
    assert_eq!(
        stage.folders(),
        BTreeSet::from([9, 10]),
        "9 is whole: nothing needs 5 to 8 any more"
    );
}

#[test]
fn a_crash_takes_everybody_back_to_the_newest_complete_set() {
    let mut stage = Stage::new(Setting {
        crashes: vec![(450, Who::Participant(2), 20)],
        ..Setting::default()
    });
    stage.run(700);
    assert_eq!(stage.began, BTreeMap::from([(1, Some(4))]));
    assert!(stage.noted(|note| matches!(note, Note::Recovered { attempt: 1, .. })));
    assert!(stage.completed.contains(&6), "snapshots go on");
}

#[test]
fn a_crash_before_the_first_snapshot_takes_everybody_back_to_the_beginning() {
    let mut stage = Stage::new(Setting {
        crashes: vec![(50, Who::Participant(0), 20)],
        ..Setting::default()
    });
    stage.run(300);
    assert_eq!(stage.began, BTreeMap::from([(1, None)]));
}

#[test]
fn a_crash_while_everybody_goes_back_begins_another_attempt() {
    let mut stage = Stage::new(Setting {
        crashes: vec![(450, Who::Participant(2), 20), (473, Who::Participant(1), 5)],
        ..Setting::default()
    });
    stage.run(700);
    assert_eq!(stage.began, BTreeMap::from([(1, Some(4)), (2, Some(4))]));
    assert!(stage.coordinator.as_ref().unwrap().running());
}

#[test]
fn a_coordinator_that_crashed_finds_what_there_is() {
    let mut stage = Stage::new(Setting {
        crashes: vec![(450, Who::Coordinator, 20)],
        ..Setting::default()
    });
    stage.run(900);
    assert_eq!(stage.began.values().collect::<Vec<_>>(), [&Some(4)]);
    assert!(stage.completed.iter().max() > Some(&6), "{:?}", stage.completed);
}

#[test]
fn a_store_that_crashes_in_the_middle_costs_the_snapshot_under_way_only() {
    // The fifth begins at 500; the disk is at it from 502 on.
    let mut stage = Stage::new(Setting {
        crashes: vec![(509, Who::Store, 10)],
        ..Setting::default()
    });
    stage.run(1_000);
    assert!(stage.began.is_empty());
    assert!(stage.noted(|note| matches!(note, Note::Aborted { number: 5, why } if why == "the store crashed")));
    assert!(!stage.folders().contains(&5), "what is left of it was deleted");
    assert!(stage.noted(|note| matches!(note, Note::Cleaned(cleaned) if cleaned.orphaned > 0)));
}

#[test]
fn a_disk_that_lies_is_found_out_and_an_older_set_serves() {
    // Requests: the survey's list, then per snapshot three parts, the manifest and a list (and what is deleted).
    for (damage, word) in [("torn", "cut off"), ("flipped", "damaged"), ("lost", "no such file")] {
        let mut mishap = Mishap::default();
        match damage {
            "torn" => mishap.torn = Some(0.5),
            "flipped" => mishap.flipped = Some(0.5),
            _ => mishap.lost = true,
        }
        let mut stage = Stage::new(Setting {
            full_every: 1,
            mishaps: Scripted(BTreeMap::from([(6, mishap)])),
            crashes: vec![(250, Who::Participant(2), 20)],
            ..Setting::default()
        });
        stage.run(600);
        assert_eq!(stage.began, BTreeMap::from([(1, Some(2)), (2, Some(1))]), "{damage}");
        let named = |note: &Note| matches!(note, Note::Distrusted { number: 2, why } if why.contains("000000000002/") && why.contains(word));
        assert!(stage.noted(named), "{damage}: {:?}", stage.notes);
        assert!(stage.coordinator.as_ref().unwrap().running());
    }
}

/// Everybody crashes, and comes back with these keys.
fn with_keys(keys: Keys) -> Stage {
    let mut stage = Stage::new(Setting {
        encrypt: true,
        crashes: [
            Who::Coordinator,
            Who::Participant(0),
            Who::Participant(1),
            Who::Participant(2),
        ]
        .map(|who| (450, who, 20))
        .into(),
        ..Setting::default()
    });
    stage.run(460);
    stage.keys = Arc::new(keys);
    stage.run(700);
    stage
}

#[test]
fn with_another_key_nothing_is_read_and_the_missing_one_is_named() {
    let stage = with_keys(Keys::one([8; 32]));
    assert_eq!(stage.began.values().collect::<BTreeSet<_>>(), BTreeSet::from([&None]));
    let (missing, named) = (Keys::one([7; 32]).newest().unwrap(), "is encrypted with key");
    let told = |note: &Note| {
        matches!(note, Note::Distrusted { number: 4, why }
            if why.contains(named) && why.contains(&missing.to_string()) && why.contains("add that key"))
    };
    assert!(stage.noted(told), "{:?}", stage.notes);
}

#[test]
fn a_new_key_writes_and_the_one_before_it_still_reads() {
    let mut keys = Keys::one([7; 32]);
    keys.add([8; 32]);
    let stage = with_keys(keys);
    assert_eq!(
        stage.began.values().collect::<BTreeSet<_>>(),
        BTreeSet::from([&Some(4)])
    );
    assert!(!stage.noted(|note| matches!(note, Note::Distrusted { .. })));
    assert!(stage.completed.contains(&6), "snapshots go on");
}

#[test]
fn a_write_that_fails_gives_the_snapshot_up_and_the_next_succeeds() {
    for full in [true, false] {
        let mishap = Mishap {
            full,
            failed: !full,
            ..Mishap::default()
        };
        let mut stage = Stage::new(Setting {
            mishaps: Scripted(BTreeMap::from([(2, mishap)])),
            ..Setting::default()
        });
        stage.run(300);
        let word = if full {
            "the disk is full"
        } else {
            "the disk reported an error"
        };
        assert!(stage.noted(|note| matches!(note, Note::Aborted { number: 1, why } if why.contains(word))));
        assert!(stage.completed.contains(&2));
        assert!(!stage.folders().contains(&1));
    }
}

#[test]
fn a_slow_disk_lets_a_snapshot_time_out_or_give_way_to_the_next() {
    let slow = |by: i64, overlap| {
        let mishap = Mishap {
            slower: Span::from_millis(by),
            ..Mishap::default()
        };
        let mut stage = Stage::new(Setting {
            overlap,
            mishaps: Scripted(BTreeMap::from([(2, mishap)])),
            ..Setting::default()
        });
        stage.run(1_000);
        stage
    };
    let stage = slow(150, Overlap::Skip);
    assert!(stage.noted(|note| *note == Note::Skipped));
    assert!(stage.completed.contains(&1));
    let stage = slow(150, Overlap::Replace);
    assert!(stage.noted(|note| matches!(note, Note::Aborted { number: 1, why } if why == "the next one began")));
    let stage = slow(400, Overlap::Skip);
    assert!(
        stage.noted(
            |note| matches!(note, Note::Aborted { number: 1, why } if why.contains("had saved nothing in time"))
        )
    );
    assert!(stage.completed.iter().max() > Some(&2));
}

#[test]
fn nothing_goes_on_for_ever_when_somebody_never_comes_back() {
    let for_ever = i64::MAX / 10_000;
    let silent = vec![(150, Who::Participant(2), for_ever)];
    let going_back = vec![(450, Who::Participant(1), 20), (471, Who::Participant(2), for_ever)];
    for crashes in [silent, going_back] {
        let mut stage = Stage::new(Setting {
            crashes: crashes.clone(),
            ..Setting::default()
        });
        stage.run(1_000);
        for name in [NAMES[0].clone(), NAMES[1].clone()] {
            let attempt = stage.coordinator.as_ref().unwrap().attempt();
            let over = Message::Over {
                participant: name,
                attempt,
            };
            stage.push(Span::from_millis(1), Due::Message(Who::Coordinator, over));
        }
        stage.run(5_000);
        let ticks = |due: &Due| matches!(due, Due::Timer(Who::Coordinator, ..));
        assert!(!stage.queue.values().any(ticks), "{crashes:?}");
    }
}

#[test]
fn snapshots_are_taken_by_events_and_by_watermark_too() {
    for trigger in [Trigger::Events(50), Trigger::Watermark(Span::from_millis(100))] {
        let mut stage = Stage::new(Setting {
            trigger,
            ..Setting::default()
        });
        stage.run(1_000);
        let completed = *stage.completed.iter().max().unwrap();
        assert!((5..=20).contains(&completed), "{trigger:?}: {completed}");
    }
}

fn mishaps() -> impl Strategy<Value = Scripted> {
    let one = (0_u64..120, 0_u8..7, 0.0..1.0_f64).prop_map(|(number, kind, share)| {
        let mut mishap = Mishap::default();
        match kind {
            0 => mishap.slower = Span::from_millis((share * 400.0) as i64),
            1 => mishap.failed = true,
            2 => mishap.full = true,
            3 => mishap.torn = Some(share),
            4 => mishap.flipped = Some(share),
            5 => mishap.stale = true,
            _ => mishap.lost = true,
        }
        (number, mishap)
    });
    prop::collection::vec(one, 0..8).prop_map(|all| Scripted(all.into_iter().collect()))
}

fn crashes() -> impl Strategy<Value = Vec<(i64, Who, i64)>> {
    let who = prop_oneof![
        1 => Just(Who::Coordinator),
        1 => Just(Who::Store),
        2 => (0_usize..3).prop_map(Who::Participant),
    ];
    prop::collection::vec((1_i64..1_500, who, 1_i64..60), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever crashes and whatever the disk does: nobody begins with a state other than that at a cut, all begin with the
    /// same set (both are checked at every step), and when it is over, everybody is at work and snapshots go on.
    #[test]
    fn nobody_ever_begins_with_a_wrong_state(
        mishaps in mishaps(),
        crashes in crashes(),
        keep in 1_usize..4,
        full_every in 1_u64..5,
        compress: bool,
        encrypt: bool,
        replace: bool,
    ) {
        let lying = mishaps.lies();
        let mut stage = Stage::new(Setting {
            keep,
            full_every,
            compress,
            encrypt,
            overlap: if replace { Overlap::Replace } else { Overlap::Skip },
            mishaps,
            crashes,
            ..Setting::default()
        });
        stage.run(4_000);
        let coordinator = stage.coordinator.as_ref().unwrap();
        prop_assert!(coordinator.running());
        for (participant, _) in stage.participants.iter().flatten() {
            // A coordinator that crashed and found nothing to go back to counts anew.
            prop_assert!(participant.attempt() <= coordinator.attempt());
        }
        let before = *stage.completed.iter().max().unwrap();
        stage.run(4_500);
        prop_assert!(*stage.completed.iter().max().unwrap() > before);
        // What is there is needed: the sets kept, what they build on, and at most damaged ones.
        if !lying {
            prop_assert!(stage.folders().len() <= keep + full_every as usize + 1, "{:?}", stage.folders());
        }
        prop_assert!(stage.disk().names().all(|name| !name.ends_with(".part")));
    }
}
