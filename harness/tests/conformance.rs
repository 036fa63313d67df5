//! The same actors on two clocks: what a scenario comes to does not depend on whether time is virtual or the machine's.
//!
//! The machine may be as slow as it likes: which events are late follows here from the order in which a stream carries
//! them, or there is room in event time for all of them. When something happens differs between the clocks, so traces do.

mod common;

use std::collections::BTreeMap;

use common::{broken, script};
use wavetank_harness::{Options, Ran, Tank};
use wavetank_reports::record::Verdict;

/// How many times as fast as the machine's clock virtual time goes by.
const SPEED: f64 = 50.0;

/// Late events of every actor that takes some in.
fn late(ran: &Ran) -> BTreeMap<&str, u64> {
    ran.record
        .actors
        .iter()
        .map(|actor| (actor.actor.as_str(), actor.late))
        .collect()
}

/// Runs a scenario on both clocks, holds them against each other, and gives back the run in virtual time.
fn on_both_clocks(text: &str) -> Ran {
    let (tank, script) = (Tank::default(), script(text));
    let [planned, real] = [None, Some(SPEED)].map(|real_time| {
        let options = Options {
            real_time,
            ..Options::default()
        };
        tank.run(&script, &options).expect("it runs")
    });
    let length = planned.record.simulated.0 as f64;
    assert!(length >= 2e6, "there is time for the clocks to differ");
    assert!(
        real.record.wall.0 as f64 * SPEED >= length,
        "it followed the machine's clock"
    );
    for ran in [&planned, &real] {
        assert_eq!(ran.record.verdict, Verdict::Pass, "{:#?}", broken(ran));
    }
    assert!(planned.record.sinks.iter().all(|sink| sink.rows > 0));
    assert_eq!(planned.record.sinks, real.record.sinks);
    assert_eq!(late(&planned), late(&real));
    assert_eq!(planned.record.events, real.record.events);
    planned
}

#[test]
fn late_events_on_a_stream_are_the_same_on_both_clocks() {
    let ran = on_both_clocks(
        r#"
schema  = 1
name    = "late-by-order"
pattern = "watermark"

[[source]]
name   = "orders"
schema = { amount = "int" }
events = [
  { t = "100ms", row = { amount = 1 } },
  { t = "500ms", row = { amount = 2 } },
  { t = "1200ms", row = { amount = 3 } },
  { t = "900ms", row = { amount = 4 } },    # behind by less than is waited for
  { t = "2300ms", row = { amount = 5 } },
  { t = "700ms", row = { amount = 6 } },    # its second is over
  { t = "1300ms", row = { amount = 7 } },
  { t = "3500ms", row = { amount = 8 } },
  { t = "1900ms", row = { amount = 9 } },   # its second is over
]

[[operator]]
name      = "count"
input     = ["orders"]
query     = "select count(*) as n, sum(amount) as total from orders window tumbling(1 sec)"
watermark = { behind = "1s" }

[[sink]]
name  = "counts"
input = ["count"]

[[expect]]
name  = "two orders come too late"
final = "count.late == 2"

[[expect]]
name  = "what is not late is counted"
final = "counts == admitted"
"#,
    );
    assert_eq!(late(&ran)["count"], 2);
}

#[test]
fn lost_and_disordered_datagrams_come_to_the_same_on_both_clocks() {
    let ran = on_both_clocks(
        r#"
schema  = 1
name    = "lossy"
pattern = "windowed-aggregation"

[time]
length = "3s"

[[source]]
name   = "orders"
rate   = "50/s"
fields = { store = { choice = ["a", "b"] }, amount = { uniform = [1, 100] } }

[[operator]]
name      = "count"
input     = ["orders"]
query     = "select store, count(*) as n, sum(amount) as total from orders window tumbling(1 sec) group by store"
watermark = { behind = "1h" }   # nothing is late, however slow the machine

[[sink]]
name  = "counts"
input = ["count"]

[[link]]
from  = "orders"
to    = "count"
kind  = "datagram"
delay = { exp = "40ms" }

[[fault]]
id   = "lossy"
kind = "drop"
on   = "orders -> count"
rate = 0.2

[[fault]]
id     = "shuffle"
kind   = "reorder"
on     = "orders -> count"
rate   = 0.2
amount = { uniform = ["0s", "500ms"] }

[[expect]]
name  = "what came is counted"
final = "counts == admitted"

[[expect]]
name      = "some did not come"
sometimes = "fault.lossy.fired > 0"
"#,
    );
    assert!(ran.record.links.iter().any(|link| link.lost > 0));
}

#[test]
fn producers_with_clocks_of_their_own_come_to_the_same_on_both_clocks() {
    on_both_clocks(
        r#"
schema  = 1
name    = "two-clocks"
pattern = "watermark"

[time]
length = "3s"

[[source]]
name   = "orders"
nodes  = 2
rate   = "40/s"
fields = { amount = { uniform = [1, 100] } }

[[operator]]
name      = "count"
input     = ["orders"]
query     = "select count(*) as n, sum(amount) as total from orders window tumbling(1 sec)"
watermark = { behind = "0s" }   # of each producer for itself, whose stream keeps its order

[[sink]]
name  = "counts"
input = ["count"]

[[link]]
from  = "orders"
to    = "count"
delay = { exp = "30ms" }

[[fault]]
id     = "skew"
kind   = "offset"
on     = "orders-1"
during = "0s..3s"
amount = "400ms"

[[fault]]
id   = "stutter"
kind = "duplicate-send"
on   = "orders-0"
rate = 0.1

[[expect]]
name  = "nobody is too late"
never = "count.late > 0"

[[expect]]
name  = "what came is counted"
final = "counts == admitted"

[[expect]]
name  = "and that is not what happened"
final = "counts != truth"
"#,
    );
}
