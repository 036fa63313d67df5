//! Records to render: one that holds, one that is broken in every way that has something to say.

#![allow(dead_code, reason = "each test file uses its part")]

use serde_json::json;
use wavetank_reports::picture::{LateEvent, late};
use wavetank_reports::record::*;
use wavetank_reports::{Histogram, Record, Span, Time};

pub const S: i64 = 1_000_000;

/// Everything that is expected holds.
pub fn passing() -> Record {
    let mut record = Record::new("orders-per-minute", "windowed-aggregation", 42);
    record.about = "Orders counted every minute; a slow link delivers some of them seconds late.".into();
    record.origin = "library/windowed-aggregation/orders-per-minute.toml".into();
    record.trace_hash = 0x3fa2_b1c9_0011_2233_u64.into();
    record.events = 120_000;
    record.deliveries = 241_310;
    record.steps = 262_007;
    record.simulated = Span(602 * S);
    record.wall = Span(213_456);
    record.expectations = vec![
        Expectation {
            name: "every order is counted in the end".into(),
            kind: Kind::Final,
            text: "dashboard == truth".into(),
            holds: Holds::Yes,
            untested: None,
            first_broken: None,
            failure: None,
        },
        Expectation {
            name: "nothing comes twice".into(),
            kind: Kind::Derived,
            text: "promise = \"exactly-once\" of dashboard".into(),
            holds: Holds::Yes,
            untested: None,
            first_broken: None,
            failure: None,
        },
    ];
    record.faults = vec![Fault {
        id: "slow-link".into(),
        kind: "delay".into(),
        on: "orders -> per-minute".into(),
        about: "5 % of orders -> per-minute later by about 20s, 2m to 5m".into(),
        declared: true,
        fired: 1_802,
        touched: 1_802,
        first: Some(Time(120 * S)),
        last: Some(Time(299_950_000)),
        detected_after: None,
        recovered_after: Some(Span(41 * S)),
        service: None,
    }];
    record.set_metric("per-minute", "corrections", Metric::Count(17));
    record.set_metric("per-minute", "state", Metric::Bytes(81_920));
    record.set_metric("orders -> per-minute", "loss", Metric::Share(Number(0.0)));
    let mut delay = Histogram::default();
    for us in [2_000_001, 2_000_100, 2_450_000, 2_100_000, 19_000_000] {
        delay.record(Span(us));
    }
    record
        .histograms
        .entry("per-minute".into())
        .or_default()
        .insert("emit_delay".into(), delay);
    record.actors = vec![ActorCounts {
        actor: "per-minute".into(),
        role: "operator".into(),
        taken: 120_000,
        emitted: 217,
        caused: 120_000,
        ..ActorCounts::default()
    }];
    record.sinks = vec![SinkTable {
        sink: "dashboard".into(),
        columns: ["window_start", "store", "n", "total"].map(Into::into).to_vec(),
        key: vec![0, 1],
        rows: 200,
        hash: 0x77_u64.into(),
        first: vec![
            vec![json!("2m"), json!("store-1"), json!(204), json!(2449.5)],
            vec![json!("2m"), json!("store-2"), json!(98), json!(null)],
        ],
    }];
    record.distances = vec![Distance {
        sink: "dashboard".into(),
        reference: Reference::Truth,
        expected_rows: 200,
        equal: 200,
        different: 0,
        missing: 0,
        extra: 0,
        columns: Vec::new(),
    }];
    record.reproduce = "wavetank run orders-per-minute --seed 42".into();
    record.outputs = Some(".wavetank/runs/3fa2b1c9".into());
    record.conclude();
    record
}

/// Late events are dropped, a fault never fired, rows were skipped.
pub fn failing() -> Record {
    let mut record = passing();
    record.scenario = "orders-per-minute-late".into();
    record.trace_hash = 0x91d0_4c77_0011_2233_u64.into();
    record.reproduce = "wavetank run orders-per-minute-late --seed 42".into();
    record.expectations[0].holds = Holds::No;
    record.expectations[0].first_broken = Some(Time(191_100_000));
    record.expectations[0].failure = Some(explanation());
    record.expectations.push(Expectation {
        name: "the crash is survived".into(),
        kind: Kind::Sometimes,
        text: "per-minute.restarts > 0".into(),
        holds: Holds::Untested,
        untested: Some("per-minute never restarted".into()),
        first_broken: None,
        failure: None,
    });
    record.faults.push(Fault {
        id: "kill".into(),
        kind: "crash".into(),
        on: "per-minute".into(),
        declared: true,
        ..Fault::default()
    });
    record.actors[0].caused = 119_980;
    record.actors[0].late = 17;
    record.actors[0].held = 3;
    record.links = vec![LinkCounts {
        link: "orders -> per-minute".into(),
        sent: 120_400,
        delivered: 120_395,
        lost: 5,
        duplicated: 0,
        retransmitted: 0,
        reordered: 1_802,
    }];
    record.distances = vec![
        Distance {
            sink: "dashboard".into(),
            reference: Reference::Truth,
            expected_rows: 200,
            equal: 188,
            different: 11,
            missing: 1,
            extra: 0,
            columns: vec![ColumnDistance {
                column: "n".into(),
                mean: Number(1.2),
                max: Number(4.0),
            }],
        },
        Distance {
            sink: "dashboard".into(),
            reference: Reference::Admitted,
            expected_rows: 199,
            equal: 199,
            different: 0,
            missing: 0,
            extra: 0,
            columns: Vec::new(),
        },
    ];
    record.data = DataProblems {
        skipped: 2,
        first: vec![DataProblem {
            file: "orders.csv".into(),
            line: 17,
            column: 3,
            message: "`12,5` is no number; write 12.5".into(),
        }],
    };
    record.notes = vec!["the watermark stood still for 30s while orders-2 was idle".into()];
    record.conclude();
    record
}

/// Nothing is broken, but the fault never fired.
pub fn inconclusive() -> Record {
    let mut record = passing();
    record.scenario = "crash-that-never-comes".into();
    record.pattern = "temporal-event-ordering".into();
    record.faults[0].fired = 0;
    record.faults[0].touched = 0;
    record.faults[0].first = None;
    record.faults[0].last = None;
    record.conclude();
    record
}

pub fn explanation() -> Failure {
    let others: Vec<_> = [5, 14, 22, 31, 47]
        .map(|s| (Time((120 + s) * S), Time((121 + s) * S)))
        .to_vec();
    Failure {
        first_broken: Some(Time(191_100_000)),
        event: Some(Culprit {
            id: "orders-0#1731".into(),
            correlation: None,
            row: "store-1, 12.5".into(),
            happened: Time(178_900_000),
            stamp: None,
            seen: Some(Time(191_100_000)),
            at: "per-minute".into(),
            fate: "late by 9.1s for [2m, 3m)".into(),
        }),
        expected: "2m store-1: n 204, total 2449.5".into(),
        came: "n 203, total 2437.0".into(),
        faults: vec![Touched {
            id: "slow-link".into(),
            how: "held it back by 12.1s on orders -> per-minute".into(),
        }],
        decided_by: Some(ScriptLine {
            file: "library/windowed-aggregation/orders-per-minute-late.toml".into(),
            line: 23,
            column: 15,
            length: 13,
            text: "watermark = { behind = \"2s\", idle = \"30s\" }".into(),
            note: "a window closes 2s after its end".into(),
        }),
        picture: late(&LateEvent {
            window: (Time(120 * S), Time(180 * S)),
            closed: Time(182 * S),
            stamp: Time(178_900_000),
            seen: Time(191_100_000),
            others: &others,
        }),
        commands: vec![
            Command {
                purpose: Purpose::Reproduce,
                line: "wavetank run orders-per-minute-late --seed 42".into(),
            },
            Command {
                purpose: Purpose::Look,
                line: "wavetank replay latest --until 3m11.1s".into(),
            },
            Command {
                purpose: Purpose::Learn,
                line: "wavetank explain late".into(),
            },
        ],
        ideas: vec![
            Idea {
                change: "watermark.behind = \"12s\"".into(),
                gain: "the event is in time".into(),
                price: "every answer comes 10s later".into(),
            },
            Idea {
                change: "late = \"correct\", horizon = \"1m\"".into(),
                gain: "answers come as soon as now".into(),
                price: "a window may answer twice, and its state is kept for a minute longer".into(),
            },
        ],
    }
}
