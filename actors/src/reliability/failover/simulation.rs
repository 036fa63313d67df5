//! Two copies, an arbiter and a receiver in a small world of their own: messages take random times and get lost, links are
//! cut, nodes crash and stop for a while, clocks run wrong. What must hold, holds in every one of them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wavetank_scenarios::script::{Detector, Discard, Elect, Failover, Memory, Rejoin, Repeats};
use wavetank_scenarios::{Span, Time};

use super::*;

/// The state of the operator of these tests: how many elements it has seen, and a sum.
type State = (u64, u64);
type Told = Message<u64, State>;

const MS: i64 = 1_000;

/// A disturbance: from when, for how long (ms), of what.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// The node of that copy crashes, and comes back.
    Crash(Side),
    /// The node of that copy stops, and goes on.
    Pause(Side),
    /// The arbiter crashes, and comes back.
    ArbiterCrash,
    /// The copies do not reach each other.
    CutBetween,
    /// That copy does not reach the arbiter, nor the arbiter it.
    CutArbiter(Side),
    /// What that copy publishes takes that much longer.
    SlowOut(Side),
}

#[derive(Clone, Debug)]
struct World {
    settings: Failover,
    /// One in so many messages between copies, arbiter and receiver is lost; none at zero.
    lossy: u64,
    /// Of A, B and the arbiter.
    ppm: [i64; 3],
    troubles: Vec<(i64, i64, Trouble)>,
    elements: u64,
    seed: u64,
}

#[derive(Clone, Debug)]
enum What {
    Read(Side),
    Told(Side, Told),
    Timer(Side, u64),
    Asked(Side, Ask),
    ArbiterTimer,
    Head(Side, Head),
    Result(Side, u64),
    Crash(Side),
    Back(Side),
    ArbiterCrash,
    ArbiterBack,
}

/// What is under way, and the incarnation of its sender where a crash of that loses it.
type Entry = (What, Option<(Side, u64)>);

struct Node {
    replica: Option<Replica<u64, State>>,
    /// Messages for an earlier incarnation are lost.
    incarnation: u64,
    state: State,
    reading: u64,
}

struct Run {
    world: World,
    now: i64,
    sequence: u64,
    fabric: BTreeMap<(i64, u64), Entry>,
    /// Links to the receiver and readers keep their order.
    last: BTreeMap<(u8, usize), i64>,
    random: u64,
    nodes: [Node; 2],
    arbiter: Option<Arbiter>,
    disk: Option<Disk>,
    gate: Gate,
    got: Vec<u64>,
    refused: u64,
    repeated: u64,
    missing: u64,
    /// How often both copies led at the same instant.
    both: u64,
    diverged: u64,
    /// When each became the primary, and with how many pending.
    led: Vec<(i64, Side, u64)>,
    got_at: Vec<i64>,
    /// Results that were on their way to the receiver when their sender crashed.
    cut_down: usize,
}

/// Gives none, one or two results for an element.
fn operate(state: &mut State, element: u64) -> Vec<u64> {
    state.0 += 1;
    state.1 = state.1.wrapping_mul(31).wrapping_add(element);
    (0..state.1 % 3).map(|part| state.0 * 10 + part).collect()
}

fn expected(elements: u64) -> Vec<u64> {
    let mut state = (0, 0);
    (0..elements).flat_map(|element| operate(&mut state, element)).collect()
}

impl Run {
    fn of(world: &World) -> Self {
        let node = || Node {
            replica: None,
            incarnation: 0,
            state: (0, 0),
            reading: 0,
        };
        let mut run = Self {
            world: world.clone(),
            now: 0,
            sequence: 0,
            fabric: BTreeMap::new(),
            last: BTreeMap::new(),
            random: world.seed | 1,
            nodes: [node(), node()],
            arbiter: None,
            disk: None,
            gate: Gate::new(&world.settings),
            got: vec![],
            refused: 0,
            repeated: 0,
            missing: 0,
            both: 0,
            diverged: 0,
            led: vec![],
            got_at: vec![],
            cut_down: 0,
        };
        run.arbiter = Some(Arbiter::new(&world.settings, None, run.clock(2)));
        run.disk = run.arbiter.as_ref().map(Arbiter::disk);
        for (from, length, trouble) in world.troubles.clone() {
            let (from, to) = (from * MS, (from + length) * MS);
            match trouble {
                Trouble::Crash(side) => {
                    run.at(from, What::Crash(side));
                    run.at(to, What::Back(side));
                }
                Trouble::ArbiterCrash => {
                    run.at(from, What::ArbiterCrash);
                    run.at(to, What::ArbiterBack);
                }
                _ => {}
            }
        }
        for side in [Side::A, Side::B] {
            let now = run.clock(side.index());
            let mut replica = Replica::new(&world.settings, side, 0, &[1], now);
            let acts = replica.enter(now);
            run.nodes[side.index()].replica = Some(replica);
            run.act(side, acts);
            run.read_on(side);
        }
        while let Some(((at, _), (what, sender))) = run.fabric.pop_first() {
            run.now = at;
            // Heartbeats go on for ever.
            if at > run.end() {
                break;
            }
            let lost = sender.is_some_and(|(side, incarnation)| run.nodes[side.index()].incarnation != incarnation);
            if !lost {
                run.step(what);
            }
            let leads = |side: Side| {
                let replica = run.nodes[side.index()].replica.as_ref();
                replica.is_some_and(|replica| replica.leads(run.clock(side.index())))
            };
            run.both += u64::from(leads(Side::A) && leads(Side::B));
        }
        run
    }

    fn end(&self) -> i64 {
        let last = self
            .world
            .troubles
            .iter()
            .map(|(from, length, _)| from + length)
            .max()
            .unwrap_or(0);
        (last.max(self.world.elements as i64 * 20) + 60_000) * MS
    }
    fn clock(&self, of: usize) -> Time {
        Time::from_micros(self.now + (self.now * self.world.ppm[of]).div_euclid(1_000_000))
    }
    /// When the clock of a node has advanced by a span from now.
    fn later(&self, of: usize, span: Span) -> i64 {
        let rate = 1_000_000 + self.world.ppm[of];
        self.now + (span.micros() * 1_000_000 + rate - 1).div_euclid(rate) + 1
    }
    fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % below.max(1)
    }
    fn at(&mut self, at: i64, what: What) {
        self.sequence += 1;
        self.fabric.insert((at, self.sequence), (what, None));
    }
    fn by(&mut self, at: i64, what: What, side: Side) {
        self.sequence += 1;
        let incarnation = self.nodes[side.index()].incarnation;
        self.fabric
            .insert((at, self.sequence), (what, Some((side, incarnation))));
    }
    /// Whether a trouble is on.
    fn troubled(&self, is: impl Fn(Trouble) -> bool) -> Option<i64> {
        let on =
            self.world.troubles.iter().filter(|(from, length, trouble)| {
                is(*trouble) && (from * MS..(from + length) * MS).contains(&self.now)
            });
        on.map(|(from, length, _)| (from + length) * MS).max()
    }
    fn lost(&mut self) -> bool {
        self.world.lossy > 0 && self.draw(self.world.lossy) == 0
    }
    fn delay(&mut self) -> i64 {
        MS + self.draw(20_000) as i64
    }
    /// On a link that keeps its order.
    fn in_order(&mut self, link: (u8, usize), at: i64) -> i64 {
        let last = self.last.entry(link).or_insert(0);
        *last = at.max(*last);
        *last
    }

    fn step(&mut self, what: What) {
        let paused = match &what {
            What::Read(side) | What::Told(side, _) | What::Timer(side, _) => {
                let of = *side;
                self.troubled(|trouble| matches!(trouble, Trouble::Pause(side) if side == of))
            }
            _ => None,
        };
        if let Some(goes_on) = paused {
            return match what {
                What::Read(side) | What::Timer(side, _) => self.by(goes_on, what, side),
                _ => self.at(goes_on, what),
            };
        }
        match what {
            What::Read(side) => self.read(side),
            What::Told(side, message) => self.with(side, |replica, now| replica.told(message, now)),
            What::Timer(side, token) => self.with(side, |replica, now| replica.timer(token, now)),
            What::Asked(side, ask) => {
                let now = self.clock(2);
                if let Some(arbiter) = &mut self.arbiter {
                    let verdicts = arbiter.ask(side, ask, now);
                    self.rule(verdicts);
                }
            }
            What::ArbiterTimer => {
                let now = self.clock(2);
                if let Some(arbiter) = &mut self.arbiter {
                    let verdicts = arbiter.due(now);
                    self.rule(verdicts);
                }
            }
            What::Head(side, head) => {
                let headed = self.gate.head(side, head);
                self.missing += headed.missing;
                if let Some(place) = headed.confirm {
                    for side in [Side::A, Side::B] {
                        self.tell(
                            side,
                            Message::Confirmed {
                                output: 0,
                                receiver: 0,
                                place,
                            },
                        );
                    }
                }
                if let Some(token) = headed.refuse {
                    self.tell(side, Message::Refused(token));
                }
            }
            What::Result(side, result) => match self.gate.element(side) {
                Passed::New => {
                    self.got.push(result);
                    self.got_at.push(self.now);
                }
                Passed::Again => {
                    self.repeated += 1;
                    self.got.push(result);
                }
                Passed::Repeated => self.repeated += 1,
                Passed::Refused => self.refused += 1,
            },
            What::Crash(side) => {
                let node = &mut self.nodes[side.index()];
                let of = Some((side, node.incarnation));
                let results = |(what, sender): &&Entry| matches!(what, What::Result(..)) && *sender == of;
                self.cut_down += self.fabric.values().filter(results).count();
                // Links forget what they were carrying, and their order with it.
                node.replica = None;
                node.incarnation += 1;
                (node.state, node.reading) = ((0, 0), 0);
            }
            What::Back(side) => {
                let node = &self.nodes[side.index()];
                if node.replica.is_none() {
                    let now = self.clock(side.index());
                    let mut replica = Replica::new(&self.world.settings, side, node.incarnation, &[1], now);
                    let acts = replica.enter_again(None, now);
                    self.nodes[side.index()].replica = Some(replica);
                    self.act(side, acts);
                }
            }
            What::ArbiterCrash => self.arbiter = None,
            What::ArbiterBack => {
                let now = self.clock(2);
                self.arbiter = Some(Arbiter::new(&self.world.settings, self.disk, now));
                self.rule(vec![]);
            }
        }
    }

    fn rule(&mut self, verdicts: Vec<Verdict>) {
        let now = self.clock(2);
        self.disk = self.arbiter.as_ref().map(Arbiter::disk).or(self.disk);
        if let Some(wakes) = self.arbiter.as_ref().and_then(|arbiter| arbiter.wakes(now)) {
            self.at(self.later(2, wakes), What::ArbiterTimer);
        }
        for verdict in verdicts {
            let (side, message) = match verdict {
                Verdict::Grant(side, grant) => (side, Message::Grant(grant)),
                Verdict::Taken(side, token) => (side, Message::Taken(token)),
            };
            if !self.cut_off(side) {
                self.tell(side, message);
            }
        }
    }

    fn cut_off(&self, of: Side) -> bool {
        let cut = |trouble| matches!(trouble, Trouble::CutArbiter(side) if side == of);
        self.troubled(cut).is_some()
    }

    fn tell(&mut self, side: Side, message: Told) {
        if !self.lost() {
            let at = self.now + self.delay();
            self.at(at, What::Told(side, message));
        }
    }

    fn with(&mut self, side: Side, f: impl FnOnce(&mut Replica<u64, State>, Time) -> Vec<Act<u64, State>>) {
        let now = self.clock(side.index());
        if let Some(replica) = &mut self.nodes[side.index()].replica {
            let acts = f(replica, now);
            self.act(side, acts);
        }
    }

    /// The next element of the log comes when it is there.
    fn read_on(&mut self, side: Side) {
        let reading = self.nodes[side.index()].reading;
        if reading < self.world.elements {
            let there = (reading as i64 * 20 * MS).max(self.now) + self.delay();
            let at = self.in_order((0, side.index()), there);
            self.by(at, What::Read(side), side);
        }
    }

    fn read(&mut self, side: Side) {
        let node = &mut self.nodes[side.index()];
        if node.replica.as_ref().is_none_or(Replica::fetching) {
            return;
        }
        let results = operate(&mut node.state, node.reading);
        node.reading += 1;
        for result in results {
            self.with(side, |replica, now| replica.made(0, result, now));
        }
        self.with(side, Replica::worked);
        self.read_on(side);
    }

    fn act(&mut self, side: Side, acts: Vec<Act<u64, State>>) {
        for act in acts {
            match act {
                Act::Tell(_, message) => {
                    let cut = self
                        .troubled(|trouble| matches!(trouble, Trouble::CutBetween))
                        .is_some();
                    if !cut {
                        self.tell(side.other(), message);
                    }
                }
                Act::Ask(ask) => {
                    if !self.cut_off(side) && !self.lost() {
                        let at = self.now + self.delay();
                        self.at(at, What::Asked(side, ask));
                    }
                }
                Act::Head(_, head) => self.put(side, What::Head(side, head)),
                Act::Publish(_, result) => self.put(side, What::Result(side, result)),
                Act::Timer(span, token) => {
                    let at = self.later(side.index(), span);
                    self.by(at, What::Timer(side, token), side);
                }
                Act::GiveState => {
                    let node = &self.nodes[side.index()];
                    if let Some(replica) = &node.replica {
                        let state = replica.state(node.state);
                        self.tell(side.other(), state);
                    }
                }
                Act::Restore(position, state) => {
                    let node = &mut self.nodes[side.index()];
                    (node.state, node.reading) = (state, position);
                    self.read_on(side);
                }
                Act::Restart => self.read_on(side),
                Act::Note(Note::Primary { pending, .. }) => self.led.push((self.now, side, pending)),
                Act::Note(Note::Diverged { .. }) => self.diverged += 1,
                Act::Note(_) => {}
            }
        }
    }

    fn put(&mut self, side: Side, what: What) {
        let slow = self.troubled(|trouble| matches!(trouble, Trouble::SlowOut(of) if of == side));
        let at = slow.unwrap_or(self.now) + self.delay();
        let at = self.in_order((1, side.index()), at);
        self.by(at, what, side);
    }
}

fn settings() -> Failover {
    Failover {
        lease: Span::from_secs(5),
        renew: Span::from_secs(1),
        heartbeat: Span::from_millis(200),
        detector: Detector::Fixed(Span::from_secs(1)),
        drift_ppm: 1_000,
        trim_every: Span::from_millis(100),
        ..Failover::default()
    }
}

fn calm(settings: Failover, troubles: Vec<(i64, i64, Trouble)>) -> World {
    World {
        settings,
        lossy: 0,
        ppm: [0; 3],
        troubles,
        elements: 1_000,
        seed: 7,
    }
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::A), Just(Side::B)]
}

fn trouble() -> impl Strategy<Value = (i64, i64, Trouble)> {
    let what = prop_oneof![
        3 => side().prop_map(Trouble::Crash),
        2 => side().prop_map(Trouble::Pause),
        1 => Just(Trouble::ArbiterCrash),
        1 => Just(Trouble::CutBetween),
        2 => side().prop_map(Trouble::CutArbiter),
        2 => side().prop_map(Trouble::SlowOut),
    ];
    (0i64..20_000, 1i64..12_000, what)
}

fn protected() -> impl Strategy<Value = Failover> {
    let detector = prop_oneof![
        (100i64..3_000).prop_map(|ms| Detector::Fixed(Span::from_millis(ms))),
        Just(Detector::Phi(wavetank_scenarios::script::Phi::default())),
    ];
    let rejoin = prop_oneof![Just(Rejoin::Transfer), Just(Rejoin::Log)];
    let memory = prop_oneof![Just(Memory::Lease), Just(Memory::Wait)];
    (detector, rejoin, memory, 1u32..20, any::<bool>()).prop_map(|(detector, rejoin, memory, trim, fencing)| Failover {
        detector,
        rejoin,
        memory,
        trim,
        fencing,
        ..settings()
    })
}

fn world(settings: impl Strategy<Value = Failover>) -> impl Strategy<Value = World> {
    let ppm = prop::array::uniform3(-1_000i64..=1_000);
    let troubles = prop::collection::vec(trouble(), 0..5);
    (settings, prop_oneof![Just(0u64), 5u64..50], ppm, troubles, any::<u64>()).prop_map(
        |(settings, lossy, ppm, troubles, seed)| World {
            settings,
            lossy,
            ppm,
            troubles,
            elements: 600,
            seed,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn with_an_arbiter_nothing_is_lost_nothing_comes_twice_the_order_is_kept_and_one_leads(world in world(protected())) {
        let run = Run::of(&world);
        prop_assert_eq!(&run.got, &expected(world.elements));
        prop_assert_eq!((run.both, run.missing, run.diverged), (0, 0, 0));
    }

    #[test]
    fn what_the_primary_has_published_and_not_told_is_the_most_that_comes_twice(
        trim in 1u32..30, at in 1_000i64..15_000, seed: u64
    ) {
        let settings = Failover {
            trim,
            trim_every: Span::from_secs(3_600),
            discard: Discard::Published,
            repeats: Repeats::Pass,
            ..settings()
        };
        // It stays down, so that nothing but the promotion of the other can repeat anything.
        let world = World { seed, ..calm(settings, vec![(at, 40_000, Trouble::Crash(Side::A))]) };
        let run = Run::of(&world);
        prop_assert!(run.repeated <= u64::from(trim), "{} of {trim}", run.repeated);
        let mut once = run.got.clone();
        once.sort_unstable();
        once.dedup();
        // What was on its way when its sender crashed is lost with it: no more than that is missing.
        prop_assert!(expected(world.elements).len() - once.len() <= run.cut_down);
    }

    #[test]
    fn the_gap_of_service_is_within_its_bound(
        lease in 1_000i64..10_000, time_out in 300i64..10_000, at in 3_000i64..15_000, seed: u64,
        ppm in prop::array::uniform3(-1_000i64..=1_000)
    ) {
        let settings = Failover {
            lease: Span::from_millis(lease),
            renew: Span::from_millis(lease / 4),
            detector: Detector::Fixed(Span::from_millis(time_out)),
            ..settings()
        };
        let crash = vec![(at, 60_000, Trouble::Crash(Side::A))];
        let world = World { seed, ppm, elements: 2_000, ..calm(settings.clone(), crash) };
        let run = Run::of(&world);
        let ms = Span::from_millis;
        let bound = settings.largest_gap(wavetank_scenarios::script::GapParts {
            heartbeat: ms(21),
            round_trip: ms(42),
            link: ms(21),
            // The next element of the log, with a result, takes that long at most.
            work: ms(500),
        }).unwrap();
        let first = run.got_at.iter().find(|got| **got > at * MS + 30 * MS).unwrap();
        prop_assert!(first - at * MS <= bound.micros(), "{} {bound}", first - at * MS);
        prop_assert_eq!(run.both, 0);
    }
}

#[test]
fn what_is_pending_at_the_promotion_goes_first_in_order() {
    // A, B, C and D of the chapter: A and B are published, the primary is lost, the other holds C; then comes D.
    let settings = Failover {
        elect: Elect::Detector,
        ..settings()
    };
    let at = |ms| Time::from_micros(ms * MS);
    let mut replica: Replica<char, ()> = Replica::new(&settings, Side::B, 0, &[1], at(0));
    replica.enter(at(0));
    for result in ['A', 'B', 'C'] {
        assert_eq!(replica.made(0, result, at(10)), []);
    }
    for (place, what) in [(1, 'A'), (2, 'B')] {
        replica.told(Message::Published(vec![Copied { output: 0, place, what }]), at(20));
    }
    replica.told(
        Message::Confirmed {
            output: 0,
            receiver: 0,
            place: 2,
        },
        at(20),
    );
    assert_eq!(replica.pending(), 1);
    let mut acts = replica.timer(1, at(1_000));
    acts.extend(replica.made(0, 'D', at(1_010)));
    let published: Vec<char> = acts
        .iter()
        .filter_map(|act| match act {
            Act::Publish(0, what) => Some(*what),
            _ => None,
        })
        .collect();
    assert_eq!(published, ['C', 'D']);
    assert!(acts.contains(&Act::Note(Note::Primary { token: 1, pending: 1 })));
    assert!(acts.contains(&Act::Head(0, Head { token: 0, place: 2 })));
}

#[test]
fn a_split_has_two_primaries_without_an_arbiter_and_one_with_it() {
    let split = vec![(5_000, 5_000, Trouble::CutBetween)];
    let with = Run::of(&calm(settings(), split.clone()));
    assert_eq!((with.both, with.led.len()), (0, 1));
    assert_eq!(with.got, expected(1_000));
    let alone = Failover {
        elect: Elect::Detector,
        repeats: Repeats::Pass,
        ..settings()
    };
    let without = Run::of(&calm(alone, split));
    assert!(without.both > 0 && without.repeated > 0);
    assert!(!without.got.is_sorted());
}

#[test]
fn a_time_out_shorter_than_the_heartbeats_take_makes_two_primaries_without_an_arbiter() {
    let nervous = |elect| Failover {
        elect,
        detector: Detector::Fixed(Span::from_millis(205)),
        ..settings()
    };
    assert!(Run::of(&calm(nervous(Elect::Detector), vec![])).both > 0);
    assert_eq!(Run::of(&calm(nervous(Elect::Arbiter), vec![])).both, 0);
}

#[test]
fn clocks_that_are_wrong_by_more_than_allowed_make_two_holders_and_tokens_keep_the_order() {
    // The arbiter's clock is fast, the holder's slow, and the holder is cut off from the arbiter.
    let wrong = |fencing| World {
        ppm: [-100_000, 0, 100_000],
        ..calm(
            Failover {
                fencing,
                repeats: Repeats::Pass,
                ..settings()
            },
            vec![
                (5_000, 10_000, Trouble::CutArbiter(Side::A)),
                (5_000, 10_000, Trouble::CutBetween),
            ],
        )
    };
    let fenced = Run::of(&wrong(true));
    assert!(fenced.both > 0 && fenced.refused > 0);
    let mut once = fenced.got.clone();
    once.dedup();
    assert_eq!(once, expected(1_000));
    let open = Run::of(&wrong(false));
    assert!(!open.got.is_sorted());
}

#[test]
fn a_slow_link_of_a_lost_primary_loses_results_that_were_discarded_when_published() {
    let slow = |discard| {
        let troubles = vec![
            (5_000, 8_000, Trouble::SlowOut(Side::A)),
            (6_000, 20_000, Trouble::CutArbiter(Side::A)),
        ];
        Run::of(&calm(Failover { discard, ..settings() }, troubles))
    };
    assert_eq!(slow(Discard::Confirmed).got, expected(1_000));
    let lost = slow(Discard::Published);
    assert!(lost.missing > 0);
    assert_eq!(lost.got.len() as u64 + lost.missing, expected(1_000).len() as u64);
}

#[test]
fn one_that_was_down_is_given_the_state_and_takes_over_when_the_other_is_lost() {
    for rejoin in [Rejoin::Transfer, Rejoin::Log] {
        let troubles = vec![
            (3_000, 1_000, Trouble::Crash(Side::A)),
            (12_000, 1_000, Trouble::Crash(Side::B)),
        ];
        let run = Run::of(&calm(Failover { rejoin, ..settings() }, troubles));
        assert_eq!(run.got, expected(1_000));
        let sides: Vec<Side> = run.led.iter().map(|(_, side, _)| *side).collect();
        assert_eq!(sides, [Side::A, Side::B, Side::A]);
    }
}

#[test]
fn a_result_that_differs_from_the_others_is_named() {
    let at = |ms| Time::from_micros(ms * MS);
    let copies = |place, what| Message::Published(vec![Copied { output: 0, place, what }]);
    let diverged = |place| Act::Note(Note::Diverged { output: 0, place });
    let mut replica: Replica<char, ()> = Replica::new(&settings(), Side::B, 0, &[1], at(0));
    replica.made(0, 'A', at(1));
    assert!(replica.told(copies(1, 'X'), at(2)).contains(&diverged(1)));
    assert!(replica.told(copies(2, 'B'), at(3)).is_empty());
    assert!(replica.made(0, 'C', at(4)).contains(&diverged(2)));
    // It is compared even if every receiver has confirmed it before.
    replica.made(0, 'D', at(5));
    replica.told(
        Message::Confirmed {
            output: 0,
            receiver: 0,
            place: 3,
        },
        at(5),
    );
    assert_eq!(replica.pending(), 0);
    assert!(replica.told(copies(3, 'E'), at(6)).contains(&diverged(3)));
}
