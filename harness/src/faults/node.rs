//! Faults on nodes: crashes, pauses, slowness, and clocks that are wrong.

use std::collections::BTreeMap;

use wavetank_actors::world::{NodeClock, NodeFault, NodePlan, Segment, Strike};
use wavetank_scenarios::draw::DrawKey;
use wavetank_scenarios::fault::FaultKind;
use wavetank_scenarios::script::Node;
use wavetank_scenarios::topology::NodeId;
use wavetank_scenarios::{Span, Time};

use super::Active;

/// What befalls nodes, in order of time; at one instant, what ends comes before what begins.
pub(super) fn plan(nodes: &BTreeMap<NodeId, Vec<Active>>) -> NodePlan {
    let mut plan = NodePlan::new();
    for (node, faults) in nodes {
        for active in faults {
            let mut add = |at: Time, what| {
                if at < Time::MAX {
                    plan.push((at, *node, what, active.index));
                }
            };
            match active.fault.kind {
                FaultKind::Crash => {
                    for moment in active.schedule.moments() {
                        let at = active.run.start + moment;
                        add(at, NodeFault::Crash);
                        if let Some(restart) = active.fault.restart {
                            add(at + restart, NodeFault::Restart);
                        }
                    }
                }
                FaultKind::Pause => {
                    for (from, to) in active.periods() {
                        add(from, NodeFault::Pause);
                        add(to, NodeFault::Resume);
                    }
                }
                FaultKind::Slow => {
                    for (from, to) in active.periods() {
                        add(from, NodeFault::Slow(active.fault.factor.unwrap_or(1.0)));
                        add(to, NodeFault::Slow(1.0));
                    }
                }
                FaultKind::Offset | FaultKind::Drift => {
                    for (from, to) in active.periods() {
                        add(from, NodeFault::Clock);
                        add(to, NodeFault::Clock);
                    }
                }
                FaultKind::Jump => {
                    for moment in active.schedule.moments() {
                        add(active.run.start + moment, NodeFault::Clock);
                    }
                }
                _ => {}
            }
        }
    }
    let begins = |fault: &NodeFault| !matches!(fault, NodeFault::Restart | NodeFault::Resume | NodeFault::Slow(1.0));
    plan.sort_by_key(|(at, _, fault, _)| (*at, begins(fault)));
    plan
}

/// The crashes that are set off by what nodes take.
pub(super) fn strikes(nodes: &BTreeMap<NodeId, Vec<Active>>) -> Vec<Strike> {
    let all = nodes
        .iter()
        .flat_map(|(node, faults)| faults.iter().map(|active| (*node, active)));
    all.filter_map(|(node, active)| {
        Some(Strike {
            node,
            delivery: active.fault.delivery?,
            restart: active.fault.restart,
            by: active.index,
        })
    })
    .collect()
}

/// A change of a clock: when, by how much, and how much faster it runs from then on (parts per billion).
struct Bend {
    at: Time,
    by: Span,
    ppb: i64,
}

/// The clocks of one node.
pub(super) fn clock(settings: &Node, faults: &[Active], start: Time) -> Result<NodeClock, String> {
    let mut bends = Vec::new();
    for active in faults {
        let fault = &active.fault;
        let amount = |turn: usize| {
            let key = DrawKey::new(active.run.seed, &fault.id, "amount", &settings.name);
            fault.amount.as_ref().map_or(Span::ZERO, |amount| {
                amount.sampler().sample(&mut key.rng(0, turn as u64, 0))
            })
        };
        match fault.kind {
            FaultKind::Offset => {
                for (turn, (from, to)) in active.periods().into_iter().enumerate() {
                    bends.push(Bend {
                        at: from,
                        by: amount(turn),
                        ppb: 0,
                    });
                    bends.push(Bend {
                        at: to,
                        by: -amount(turn),
                        ppb: 0,
                    });
                }
            }
            FaultKind::Drift => {
                let ppb = to_ppb(fault.factor.unwrap_or(0.0));
                for (from, to) in active.periods() {
                    bends.push(Bend {
                        at: from,
                        by: Span::ZERO,
                        ppb,
                    });
                    bends.push(Bend {
                        at: to,
                        by: Span::ZERO,
                        ppb: -ppb,
                    });
                }
            }
            FaultKind::Jump => {
                for (turn, moment) in active.schedule.moments().enumerate() {
                    bends.push(Bend {
                        at: active.run.start + moment,
                        by: amount(turn),
                        ppb: 0,
                    });
                }
            }
            _ => {}
        }
    }
    bends.retain(|bend| bend.at < Time::MAX);
    bends.sort_by_key(|bend| bend.at);
    let ppb = to_ppb(settings.drift_ppm);
    let wall = vec![Segment {
        from: start,
        shows: start + settings.offset,
        ppb,
    }];
    let monotonic = vec![Segment {
        from: start,
        shows: start,
        ppb,
    }];
    let (mut wall, mut monotonic) = (wall, monotonic);
    for bend in bends {
        push(&mut wall, bend.at, bend.by, bend.ppb);
        if bend.ppb != 0 {
            push(&mut monotonic, bend.at, Span::ZERO, bend.ppb);
        }
    }
    NodeClock::new(wall, monotonic)
}

fn push(segments: &mut Vec<Segment>, at: Time, by: Span, ppb: i64) {
    if let Some(last) = segments.last().copied() {
        segments.push(Segment {
            from: at,
            shows: last.read(at) + by,
            ppb: last.ppb + ppb,
        });
    }
}

fn to_ppb(ppm: f64) -> i64 {
    // As a span, a part per million is a thousand parts per billion: the rounding is that of all times.
    Span::from_micros_f64(ppm * 1e3).micros()
}
