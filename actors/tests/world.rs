//! The law of the world: order, links, nodes, mailboxes.

mod common;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use common::{Does, Tank, relay, sender, taker};
use wavetank_actors::Element;
use wavetank_actors::world::{
    Happening, Input, Network, NodeClock, NodeFault, Observer, Outcome, Packet, Segment, Stage, Transit, WorldError,
};
use wavetank_scenarios::distribution::Delay;
use wavetank_scenarios::script::{LinkKind, OnCrash, Overflow};
use wavetank_scenarios::topology::{ActorId, LinkId, NodeId, Port};
use wavetank_scenarios::{Span, Time};

const MS: i64 = 1_000;

fn ms(millis: i64) -> Time {
    Time::from_micros(millis * MS)
}

/// What the sinks took: (milliseconds, number), and everything that went wrong on the way.
#[derive(Clone, Default)]
struct Seen(Rc<RefCell<Log>>);

#[derive(Default)]
struct Log {
    took: Vec<(i64, u64)>,
    lost: Vec<u64>,
    shed: Vec<u64>,
    in_mailbox: Vec<u64>,
    emitted: Vec<(ActorId, i64)>,
    depth: usize,
}

impl Observer for Seen {
    fn see(&mut self, at: Time, happening: &Happening<'_>) {
        let mut log = self.0.borrow_mut();
        let number = happening.id().map_or(0, |id| id.number);
        match happening {
            Happening::Took { .. } => log.took.push((at.micros() / MS, number)),
            Happening::Lost { .. } => log.lost.push(number),
            Happening::Shed { .. } => log.shed.push(number),
            Happening::LostInMailbox { .. } => log.in_mailbox.push(number),
            Happening::Emitted {
                actor,
                element: Element::Event(_),
                ..
            } => log.emitted.push((*actor, at.micros() / MS)),
            Happening::Queue { depth, .. } => log.depth = log.depth.max(*depth),
            _ => {}
        }
    }
    fn instant_over(&mut self, _: Time) -> bool {
        true
    }
}

/// Faults by link and (number, attempt).
#[derive(Default)]
struct Waves {
    lost: BTreeMap<(u64, u32), ()>,
    extra: BTreeMap<u64, Span>,
    copies: BTreeMap<u64, Span>,
    cut_until: Option<(Time, Time)>,
    displaced: bool,
}

impl Network for Waves {
    fn disturbs(&self, link: LinkId) -> bool {
        link == LinkId(0)
    }
    fn bandwidth(&self, _: LinkId, _: Time) -> Option<(f64, usize)> {
        None
    }
    fn transit(&mut self, packet: Packet<'_>, transit: &mut Transit) {
        if packet.event.is_none() {
            return;
        }
        transit.lost = self.lost.contains_key(&(packet.number, packet.attempt));
        transit.extra = self.extra.get(&packet.number).copied().unwrap_or_default();
        transit.displaced = self.displaced && transit.extra > Span::ZERO;
        transit.copies.extend(self.copies.get(&packet.number));
        if let Some((from, until)) = self.cut_until
            && packet.departs >= from
            && packet.departs < until
        {
            transit.cut_until = Some(until);
        }
    }
}

/// Ten events, one each 10 ms, over one disturbed link.
fn over_one_link(
    link: impl FnOnce(&mut wavetank_scenarios::script::Link),
    waves: Waves,
    change: impl FnOnce(&mut Tank, [ActorId; 2]),
) -> (Rc<RefCell<Log>>, Outcome) {
    let seen = Seen::default();
    let mut tank = Tank::default();
    let from = tank.actor("from", || sender(10, Span::from_millis(10)));
    let to = tank.actor("to", taker);
    tank.link(from, to, link);
    tank.network = Some(Box::new(waves));
    tank.observer = Some(Box::new(seen.clone()));
    change(&mut tank, [from, to]);
    let outcome = tank.run().unwrap();
    (seen.0, outcome)
}

fn calm(_: &mut Tank, _: [ActorId; 2]) {}

fn datagram(link: &mut wavetank_scenarios::script::Link) {
    link.kind = LinkKind::Datagram;
}

fn numbers(took: &[(i64, u64)]) -> Vec<u64> {
    took.iter().map(|(_, n)| *n).collect()
}

#[test]
fn a_lost_packet_of_a_stream_comes_again_later_and_holds_back_what_follows() {
    let waves = Waves {
        lost: [((2, 0), ()), ((2, 1), ())].into(),
        ..Waves::default()
    };
    let (log, outcome) = over_one_link(|link| link.resend = Span::from_millis(15), waves, calm);
    let log = log.borrow();
    assert_eq!(log.took[..6], [(0, 0), (10, 1), (50, 2), (50, 3), (50, 4), (50, 5)]);
    assert_eq!(
        (outcome.links[0].resent, outcome.links[0].lost, log.took.len()),
        (2, 0, 10)
    );
}

#[test]
fn a_lost_datagram_is_lost_and_holds_nothing_back() {
    let waves = Waves {
        lost: [((2, 0), ())].into(),
        ..Waves::default()
    };
    let (log, outcome) = over_one_link(datagram, waves, calm);
    assert_eq!(numbers(&log.borrow().took), [0, 1, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(
        (log.borrow().lost.as_slice(), outcome.links[0].lost),
        ([2].as_slice(), 1)
    );
}

#[test]
fn datagrams_overtake_each_other_and_streams_do_not() {
    let waves = || Waves {
        extra: [(3, Span::from_millis(25))].into(),
        displaced: true,
        ..Waves::default()
    };
    let (log, outcome) = over_one_link(datagram, waves(), calm);
    assert_eq!(numbers(&log.borrow().took), [0, 1, 2, 4, 5, 3, 6, 7, 8, 9]);
    assert_eq!(log.borrow().took[5], (55, 3));
    assert_eq!(outcome.links[0].sent, outcome.links[0].delivered);
    let (log, _) = over_one_link(|_| {}, waves(), calm);
    assert_eq!(numbers(&log.borrow().took), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(log.borrow().took[4..7], [(55, 4), (55, 5), (60, 6)]);
}

#[test]
fn a_copy_arrives_on_a_datagram_link_and_is_recognised_on_a_stream() {
    let waves = || Waves {
        copies: [(1, Span::from_millis(3))].into(),
        ..Waves::default()
    };
    let (log, outcome) = over_one_link(datagram, waves(), calm);
    assert_eq!((log.borrow().took[2], outcome.links[0].copies), ((13, 1), 1));
    let (log, outcome) = over_one_link(|_| {}, waves(), calm);
    assert_eq!((log.borrow().took.len(), outcome.links[0].copies_dropped), (10, 1));
}

#[test]
fn behind_a_partition_a_stream_waits_and_goes_on_when_it_heals() {
    let waves = Waves {
        cut_until: Some((ms(15), ms(47))),
        ..Waves::default()
    };
    let (log, _) = over_one_link(|link| link.resend = Span::from_millis(5), waves, calm);
    // Number 2 leaves at 20 and again every 5 ms: the first try after the partition is at 50.
    assert_eq!(log.borrow().took[1..6], [(10, 1), (50, 2), (50, 3), (50, 4), (50, 5)]);
}

#[test]
fn a_partition_that_never_heals_leaves_a_stream_stuck_and_the_run_ends() {
    let waves = Waves {
        cut_until: Some((ms(15), Time::MAX)),
        ..Waves::default()
    };
    let (log, outcome) = over_one_link(|_| {}, waves, calm);
    assert_eq!((log.borrow().took.len(), outcome.links[0].stuck), (2, 8));
}

#[test]
fn bandwidth_queues_what_comes_too_fast() {
    let (log, _) = over_one_link(|link| link.bandwidth = Some(50.0), Waves::default(), calm);
    assert_eq!(
        log.borrow().took,
        (0..10).map(|n| (20 * (n as i64 + 1), n)).collect::<Vec<_>>()
    );
}

#[test]
fn a_batch_leaves_when_it_is_full_or_has_lingered_and_at_the_end() {
    let (log, _) = over_one_link(|link| link.batch = Some(4), Waves::default(), calm);
    let expected = [30, 30, 30, 30, 70, 70, 70, 70, 100, 100];
    assert_eq!(log.borrow().took.iter().map(|(t, _)| *t).collect::<Vec<_>>(), expected);
    let lingering = |link: &mut wavetank_scenarios::script::Link| {
        link.batch = Some(4);
        link.linger = Some(Span::from_millis(15));
    };
    let (log, _) = over_one_link(lingering, Waves::default(), calm);
    let expected = [15, 15, 35, 35, 55, 55, 75, 75, 95, 95];
    assert_eq!(log.borrow().took.iter().map(|(t, _)| *t).collect::<Vec<_>>(), expected);
}

#[test]
fn the_end_comes_behind_everything_that_is_on_its_way() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let mut tank = Tank::default();
    let from = tank.actor("from", || sender(3, Span::from_millis(1)));
    let seen = Rc::clone(&log);
    let to = tank.actor("to", move || {
        let seen = Rc::clone(&seen);
        Does(move |input, _: &mut Stage| {
            if let Input::Element { element, .. } = input {
                seen.borrow_mut().push(element.event().map(|event| event.id.number));
            }
        })
    });
    tank.link(from, to, datagram);
    tank.network = Some(Box::new(Waves {
        extra: [(0, Span::from_secs(5))].into(),
        displaced: true,
        ..Waves::default()
    }));
    tank.run().unwrap();
    assert_eq!(*log.borrow(), [Some(1), Some(2), Some(0), None]);
}

#[test]
fn a_crash_loses_datagrams_on_their_way_and_redirects_streams() {
    let slow = |kind, on_crash| {
        move |link: &mut wavetank_scenarios::script::Link| {
            link.kind = kind;
            link.delay = Some(Delay::Constant(Span::from_millis(25)));
            link.on_crash = on_crash;
        }
    };
    let crash = |tank: &mut Tank, [_, to]: [ActorId; 2]| {
        let node = NodeId(to.0);
        tank.node_plan = vec![
            (ms(42), node, NodeFault::Crash, 0),
            (ms(58), node, NodeFault::Restart, 0),
        ];
    };
    // On the way at 42 are those sent at 20, 30 and 40; the one sent at 50 arrives at 75, when the node is back.
    let (log, outcome) = over_one_link(slow(LinkKind::Datagram, None), Waves::default(), crash);
    assert_eq!(numbers(&log.borrow().took), [0, 1, 5, 6, 7, 8, 9]);
    assert_eq!(
        (log.borrow().lost.as_slice(), outcome.links[0].lost_in_crash),
        ([2, 3, 4].as_slice(), 3)
    );
    let (log, _) = over_one_link(slow(LinkKind::Stream, None), Waves::default(), crash);
    assert_eq!(log.borrow().took[..5], [(25, 0), (35, 1), (58, 2), (58, 3), (65, 4)]);
    let (log, _) = over_one_link(slow(LinkKind::Stream, Some(OnCrash::Lost)), Waves::default(), crash);
    assert_eq!(numbers(&log.borrow().took), [0, 1, 5, 6, 7, 8, 9]);
}

#[test]
fn a_crash_loses_state_and_mailbox_and_a_restart_begins_anew() {
    let entered = Rc::new(RefCell::new(Vec::new()));
    let seen = Seen::default();
    let mut tank = Tank::default();
    let from = tank.actor("from", || sender(10, Span::from_millis(10)));
    let log = Rc::clone(&entered);
    let to = tank.actor("to", move || {
        let (log, mut count) = (Rc::clone(&log), 0);
        Does(move |input, _: &mut Stage| match input {
            Input::Enter { again } => log.borrow_mut().push((again, 0)),
            Input::Element { .. } => {
                count += 1;
                if let Some(last) = log.borrow_mut().last_mut() {
                    last.1 = count;
                }
            }
            Input::Timer(_) => {}
        })
    });
    tank.link(from, to, |_| {});
    tank.node(to).service = Some(Delay::Constant(Span::from_millis(15)));
    let node = NodeId(to.0);
    tank.node_plan = vec![
        (ms(52), node, NodeFault::Crash, 0),
        (ms(53), node, NodeFault::Restart, 0),
    ];
    tank.observer = Some(Box::new(seen.clone()));
    tank.run().unwrap();
    // Served by 52: those taken at 0, 15, 30; one in service and two in the mailbox are lost.
    assert_eq!(*entered.borrow(), [(false, 3), (true, 5)]);
    assert_eq!(seen.0.borrow().in_mailbox, [4, 5]);
}

#[test]
fn timers_of_a_dead_incarnation_never_fire() {
    let fired = Rc::new(RefCell::new(Vec::new()));
    let mut tank = Tank::default();
    let log = Rc::clone(&fired);
    let actor = tank.actor("actor", move || {
        let log = Rc::clone(&log);
        Does(move |input, stage: &mut Stage| match input {
            Input::Enter { again } => stage.timer(Span::from_millis(50), u64::from(again)),
            Input::Timer(token) => log.borrow_mut().push((stage.monotonic(), token)),
            Input::Element { .. } => {}
        })
    });
    let node = NodeId(actor.0);
    tank.node_plan = vec![
        (ms(20), node, NodeFault::Crash, 0),
        (ms(30), node, NodeFault::Restart, 0),
    ];
    tank.run().unwrap();
    assert_eq!(*fired.borrow(), [(ms(80), 1)]);
}

#[test]
fn what_reaches_a_paused_node_waits_and_keeps_its_order() {
    let pause = |tank: &mut Tank, [_, to]: [ActorId; 2]| {
        let node = NodeId(to.0);
        tank.node_plan = vec![
            (ms(15), node, NodeFault::Pause, 0),
            (ms(42), node, NodeFault::Resume, 0),
        ];
    };
    let (log, _) = over_one_link(|_| {}, Waves::default(), pause);
    assert_eq!(log.borrow().took[1..6], [(10, 1), (42, 2), (42, 3), (42, 4), (50, 5)]);
}

#[test]
fn service_times_make_a_queue_and_a_slow_node_a_longer_one() {
    let serve = |slow: bool| {
        move |tank: &mut Tank, [_, to]: [ActorId; 2]| {
            tank.node(to).service = Some(Delay::Constant(Span::from_millis(12)));
            if slow {
                tank.node_plan = vec![(ms(30), NodeId(to.0), NodeFault::Slow(3.0), 0)];
            }
        }
    };
    let (log, _) = over_one_link(|_| {}, Waves::default(), serve(false));
    assert_eq!(
        log.borrow().took,
        (0..10).map(|n| (12 * (n as i64 + 1), n)).collect::<Vec<_>>()
    );
    let (log, _) = over_one_link(|_| {}, Waves::default(), serve(true));
    assert_eq!(log.borrow().took[2..5], [(36, 2), (72, 3), (108, 4)]);
    assert!(log.borrow().depth > 4, "the mailbox grows to {}", log.borrow().depth);
}

#[test]
fn a_full_mailbox_drops_the_new_or_sheds_the_old_and_counts_either() {
    let bounded = |overflow| {
        move |tank: &mut Tank, [_, to]: [ActorId; 2]| {
            let node = tank.node(to);
            node.service = Some(Delay::Constant(Span::from_millis(35)));
            node.mailbox = Some(2);
            node.overflow = overflow;
        }
    };
    let (log, _) = over_one_link(|_| {}, Waves::default(), bounded(Overflow::Drop));
    assert_eq!(
        (numbers(&log.borrow().took), log.borrow().shed.as_slice()),
        (vec![0, 1, 2, 4, 7], [3, 5, 6, 8, 9].as_slice())
    );
    let (log, _) = over_one_link(|_| {}, Waves::default(), bounded(Overflow::Shed));
    assert_eq!(
        (numbers(&log.borrow().took), log.borrow().shed.as_slice()),
        (vec![0, 2, 5, 8, 9], [1, 3, 4, 6, 7].as_slice())
    );
}

#[test]
fn back_pressure_stops_the_sender_and_loses_nothing() {
    let seen = Seen::default();
    let mut tank = Tank::default();
    let from = tank.actor("from", || sender(10, Span::from_millis(1)));
    let middle = tank.actor("middle", relay);
    let to = tank.actor("to", taker);
    tank.link(from, middle, |link| link.capacity = Some(2));
    tank.link(middle, to, |link| link.capacity = Some(1));
    tank.node(middle).mailbox = Some(1);
    tank.node(to).service = Some(Delay::Constant(Span::from_millis(10)));
    tank.node(to).mailbox = Some(1);
    tank.observer = Some(Box::new(seen.clone()));
    tank.run().unwrap();
    let log = seen.0.borrow();
    assert_eq!(log.took, (0..10).map(|n| (10 * (n as i64 + 1), n)).collect::<Vec<_>>());
    assert!(log.shed.is_empty());
    let left: Vec<i64> = log
        .emitted
        .iter()
        .filter(|(actor, _)| *actor == from)
        .map(|(_, at)| *at)
        .collect();
    assert!(
        left[9] >= 50,
        "the source was held back, its last event left at {} ms",
        left[9]
    );
}

#[test]
fn two_actors_that_answer_each_other_without_delay_end_in_an_error() {
    let mut tank = Tank {
        budget: Some(500),
        ..Tank::default()
    };
    let ping = tank.actor("ping", || {
        Does(|input, stage: &mut Stage| match input {
            Input::Enter { .. } => stage.send(Port::Main, Element::Watermark(Time::ZERO)),
            _ => stage.send(Port::Main, Element::Watermark(Time::ZERO)),
        })
    });
    let pong = tank.actor("pong", relay);
    tank.link(ping, pong, |_| {});
    tank.link(pong, ping, |_| {});
    let error = tank.run().unwrap_err();
    assert!(matches!(
        error,
        WorldError::Endless {
            at: Time::ZERO,
            budget: 500,
            ..
        }
    ));
    assert!(error.to_string().contains("step_budget"), "{error}");
}

#[test]
fn a_panic_in_a_handler_ends_the_run_with_an_error() {
    let mut tank = Tank::default();
    let from = tank.actor("from", || sender(3, Span::from_millis(1)));
    let to = tank.actor("to", || {
        Does(|input, _: &mut Stage| assert!(!matches!(input, Input::Element { .. })))
    });
    tank.link(from, to, |_| {});
    assert_eq!(tank.run(), Err(WorldError::Panicked { at: Time::ZERO }));
}

#[test]
fn a_drifting_clock_shifts_stamps_and_timers_of_its_own_node_alone() {
    let seen = Seen::default();
    let mut tank = Tank::default();
    let fast = tank.actor("fast", || sender(3, Span::from_millis(100)));
    let to = tank.actor("to", taker);
    tank.link(fast, to, |_| {});
    let gains = vec![Segment {
        from: Time::ZERO,
        shows: ms(7),
        ppb: 250_000_000,
    }];
    tank.clocks
        .insert(NodeId(fast.0), NodeClock::new(gains.clone(), gains).unwrap());
    tank.observer = Some(Box::new(seen.clone()));
    tank.run().unwrap();
    assert_eq!(seen.0.borrow().took, [(0, 0), (80, 1), (160, 2)]);
}

#[test]
fn the_order_in_which_actors_are_polled_cannot_show() {
    // Two senders, one message each at the same instant; the relays are polled in whatever order they wake.
    let run = |swap: bool| {
        let seen = Seen::default();
        let mut tank = Tank::default();
        let a = tank.actor("a", || sender(20, Span::from_millis(1)));
        let (b, c) = (tank.actor("b", relay), tank.actor("c", relay));
        let to = tank.actor("to", taker);
        tank.link(a, b, |_| {});
        tank.link(a, c, |_| {});
        // The outputs of `b` come first because `a -> b` is the first link, not because `b` was polled first.
        let (first, second) = if swap { (c, b) } else { (b, c) };
        tank.link(first, to, |_| {});
        tank.link(second, to, |_| {});
        tank.observer = Some(Box::new(seen.clone()));
        tank.run().unwrap();
        let emitted: Vec<ActorId> = seen
            .0
            .borrow()
            .emitted
            .iter()
            .map(|(actor, _)| *actor)
            .filter(|x| *x != a)
            .collect();
        (emitted, seen.0.borrow().took.len())
    };
    let (emitted, took) = run(false);
    assert_eq!((run(true).0, took), (emitted.clone(), 40));
    assert!(emitted.chunks(2).all(|pair| pair == [ActorId(1), ActorId(2)]));
}

#[test]
fn the_same_seed_gives_the_same_hash_and_another_seed_another() {
    let run = |seed| {
        let mut tank = Tank {
            seed,
            ..Tank::default()
        };
        let from = tank.actor("from", || sender(200, Span::from_millis(1)));
        let to = tank.actor("to", taker);
        tank.link(from, to, |link| {
            link.kind = LinkKind::Datagram;
            link.delay = Some(Delay::LogNormal {
                median: Span::from_millis(20),
                sigma: 1.0,
            });
        });
        tank.run().unwrap().trace_hash
    };
    assert!(run(1).is_some());
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
