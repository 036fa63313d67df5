//! Windows that go by the clocks of their keys: what is due when an event arrives.
//!
//! The model in words. Sort the events into one list for each key, and answer every list as if there were no other. The
//! watermark of a list is its largest stamp less `behind` and a tick; whenever the largest stamp grows, the watermark
//! grows behind the event. An event that `where` leaves out, that is refused, or that cannot be read is in no list. At the
//! end of input, if windows fire then, each list is complete, one after the other in the order of the keys. Until then
//! nothing may be said of what can still come.

use std::collections::BTreeMap;

use wavetank_scenarios::query::{Query, Window};
use wavetank_scenarios::script::Operator;
use wavetank_scenarios::{Event, Row, Schema, Span, Time};

use crate::windowed::Windowed;
use crate::{Arrival, Due, Reference};

/// The naive model of a query over windows, each key by its own clock.
#[derive(Clone)]
pub(crate) struct ByKey {
    operator: Operator,
    query: Query,
    schema: Schema,
    tick: Span,
    behind: Span,
    /// The windows of no key: says what becomes of an event that is in no list.
    nobody: Windowed,
    lists: BTreeMap<Row, List>,
    over: bool,
}

/// The events of one key.
#[derive(Clone)]
struct List {
    stamps: Vec<Time>,
    windows: Windowed,
}

impl ByKey {
    /// # Errors
    /// The query cannot be judged, or its windows are not those of one key each.
    pub fn new(operator: &Operator, query: &Query, schema: &Schema, tick: Span, behind: Span) -> Result<Self, String> {
        if query.group_by.is_empty() || query.limit.is_some() {
            return Err("a clock for each key goes with `group by`, and without `limit`".into());
        }
        if let Some(Window::Sliding { .. } | Window::Snapshot { .. } | Window::Global) | None = query.window {
            return Err("a clock for each key goes with windows that each key has for itself".into());
        }
        Ok(Self {
            nobody: Windowed::new(operator, query, schema, tick)?,
            operator: operator.clone(),
            query: query.clone(),
            schema: schema.clone(),
            tick,
            behind,
            lists: BTreeMap::new(),
            over: false,
        })
    }

    fn event(&mut self, event: &Event, now: Time, arrival: &Arrival) -> Due {
        let key = match self.nobody.read(event, now) {
            Ok(read) => read.key,
            Err(why) => {
                let dropped = vec![(event.id, why)];
                return Due {
                    dropped,
                    ..Due::default()
                };
            }
        };
        if !self.lists.contains_key(&key) {
            let windows = Windowed::new(&self.operator, &self.query, &self.schema, self.tick);
            // It could be made before.
            let Ok(windows) = windows else { return Due::default() };
            let stamps = vec![];
            self.lists.insert(key.clone(), List { stamps, windows });
        }
        let Some(list) = self.lists.get_mut(&key) else {
            return Due::default();
        };
        let mut due = list.windows.arrive(arrival);
        let before = list.stamps.iter().max().copied();
        list.stamps.push(event.stamp);
        if Some(event.stamp) > before {
            let watermark = event.stamp - (self.behind + self.tick);
            append(&mut due, list.windows.arrive(&Arrival::Watermark(watermark)));
        }
        due
    }

    /// The same for all lists, in the order of the keys.
    fn each(&mut self, arrival: &Arrival) -> Due {
        let mut due = Due::default();
        for list in self.lists.values_mut() {
            append(&mut due, list.windows.arrive(arrival));
        }
        due
    }
}

fn append(due: &mut Due, more: Due) {
    due.results.extend(more.results);
    due.dropped.extend(more.dropped);
}

impl Reference for ByKey {
    fn arrive(&mut self, arrival: &Arrival) -> Due {
        let mut due = match arrival {
            Arrival::Event { event, now, .. } => self.event(event, *now, arrival),
            Arrival::Watermark(Time::MAX) if self.operator.flush_at_end => {
                self.over = true;
                self.each(arrival)
            }
            Arrival::Watermark(_) => Due::default(),
            Arrival::Timer { .. } => self.each(arrival),
            Arrival::Crash => {
                self.lists.clear();
                self.over = false;
                Due::default()
            }
        };
        due.held = self
            .lists
            .values()
            .map(|list| list.windows.state.held.len() as u64)
            .sum();
        due.limit = (!self.over).then_some(Time::MIN);
        due
    }
}
