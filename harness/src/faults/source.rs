//! Faults in sources: what they do to the plan of departures.
//!
//! Each is a step that the plan goes through lazily. A step only moves departures to a later instant, repeats them or
//! changes their payload; numbers stay, so a run with the fault and its twin speak of the same events.

use std::collections::{BTreeMap, VecDeque};

use wavetank_actors::{Departure, Departures};
use wavetank_scenarios::distribution::Sampler;
use wavetank_scenarios::draw::{DrawKey, name_key};
use wavetank_scenarios::fault::FaultKind;
use wavetank_scenarios::input::What;
use wavetank_scenarios::{Schema, Span, Time, Value};

use super::Active;

/// Sends a plan through the faults of its source, in the order of the scenario.
pub(super) fn disturb(plan: Departures, faults: &[Active], source: &str, schema: &Schema) -> Departures {
    faults.iter().fold(plan, |plan, active| -> Departures {
        match active.fault.kind {
            FaultKind::Idle | FaultKind::LateStart | FaultKind::Burst => Box::new(Held::new(plan, active)),
            FaultKind::DuplicateSend | FaultKind::ReplayedSend => Box::new(Repeated::new(plan, active, source)),
            FaultKind::Poison => {
                let slot = active.fault.field.as_deref().and_then(|field| schema.slot(field));
                let value = active.fault.value.as_ref().map_or(Value::Null, Value::from);
                let mut hit = Hit::new(active, source);
                Box::new(plan.map(move |mut departure| {
                    if let (Some(slot), true) = (slot, hit.hits(&departure))
                        && let Some(What::Event(row)) = &mut departure.what
                        && slot < row.len()
                    {
                        let mut changed = row.to_vec();
                        changed[slot] = value.clone();
                        *row = changed.into();
                        departure.faults.push(hit.index);
                    }
                    departure
                }))
            }
            _ => plan,
        }
    })
}

/// Who is hit by a fault on single events.
struct Hit {
    index: usize,
    active: Active,
    key: DrawKey,
    producer: u64,
    moments: Option<std::iter::Peekable<std::vec::IntoIter<Span>>>,
}

impl Hit {
    fn new(active: &Active, source: &str) -> Self {
        let moments = active
            .schedule
            .has_moments()
            .then(|| active.schedule.moments().collect::<Vec<_>>());
        Self {
            index: active.index,
            key: DrawKey::new(active.run.seed, &active.fault.id, "hit", source),
            producer: name_key(source),
            moments: moments.map(|moments| moments.into_iter().peekable()),
            active: active.clone(),
        }
    }
    fn hits(&mut self, departure: &Departure) -> bool {
        if !matches!(departure.what, Some(What::Event(_))) {
            return false;
        }
        let at = self.active.since_start(departure.at);
        match &mut self.moments {
            Some(moments) => {
                let mut due = false;
                while moments.next_if(|moment| *moment <= at).is_some() {
                    due = true;
                }
                due
            }
            None => {
                self.active.schedule.within(at)
                    && self.key.unit(self.producer, departure.number, 0) < self.active.fault.rate
            }
        }
    }
}

/// Departures held back within periods: until the end (idle, late start), or until they must go to catch up at `factor`
/// times the pace by the end (burst).
struct Held {
    plan: Departures,
    periods: Vec<(Time, Time)>,
    index: usize,
    /// How many times as fast a burst catches up; `None` for all at once.
    factor: Option<f64>,
}

impl Held {
    fn new(plan: Departures, active: &Active) -> Self {
        let factor = active.fault.factor.filter(|_| active.fault.kind == FaultKind::Burst);
        let mut periods = active.periods();
        periods.sort_unstable();
        Self {
            plan,
            periods,
            index: active.index,
            factor,
        }
    }
}

impl Iterator for Held {
    type Item = Departure;
    fn next(&mut self) -> Option<Departure> {
        let mut departure = self.plan.next()?;
        if let Some((_, end)) = self
            .periods
            .iter()
            .find(|(from, to)| *from <= departure.at && departure.at < *to)
        {
            departure.faults.push(self.index);
            if *end == Time::MAX {
                departure.what = None;
            } else {
                departure.at = match self.factor {
                    Some(factor) => *end - end.since(departure.at).scale(1.0 / factor),
                    None => *end,
                };
            }
        }
        Some(departure)
    }
}

/// Departures that come again: single ones (duplicate send), or the last few (replayed send).
struct Repeated {
    plan: std::iter::Peekable<Departures>,
    hit: Hit,
    copies: usize,
    replays: bool,
    amount: Option<(Sampler, DrawKey)>,
    /// The last departures, for a replay.
    recent: VecDeque<Departure>,
    /// Copies by when they leave, and in which order they were made.
    pending: BTreeMap<(Time, u64), Departure>,
    made: u64,
}

impl Repeated {
    fn new(plan: Departures, active: &Active, source: &str) -> Self {
        let fault = &active.fault;
        let replays = fault.kind == FaultKind::ReplayedSend;
        let key = DrawKey::new(active.run.seed, &fault.id, "amount", source);
        Self {
            plan: plan.peekable(),
            hit: Hit::new(active, source),
            copies: fault.copies.unwrap_or(if replays { 10 } else { 1 }) as usize,
            replays,
            amount: fault.amount.as_ref().map(|amount| (amount.sampler(), key)),
            recent: VecDeque::new(),
            pending: BTreeMap::new(),
            made: 0,
        }
    }

    fn repeat(&mut self, original: &Departure, turn: u32, at: Time) {
        let gap = self.amount.as_ref().map_or(Span::ZERO, |(sampler, key)| {
            sampler
                .sample(&mut key.rng(self.hit.producer, original.number, turn))
                .max(Span::ZERO)
        });
        let mut copy = original.clone();
        copy.at = at + gap;
        copy.faults.push(self.hit.index);
        self.pending.insert((copy.at, self.made), copy);
        self.made += 1;
    }
}

impl Iterator for Repeated {
    type Item = Departure;
    fn next(&mut self) -> Option<Departure> {
        if let Some(entry) = self.pending.first_entry() {
            let due = entry.key().0;
            if self
                .plan
                .peek()
                .is_none_or(|next| due < next.at || (due == next.at && self.replays))
            {
                return Some(entry.remove());
            }
        }
        let departure = self.plan.next()?;
        if self.hit.hits(&departure) {
            if self.replays {
                let recent = std::mem::take(&mut self.recent);
                for (turn, old) in recent.iter().enumerate() {
                    self.repeat(old, turn as u32, departure.at);
                }
                self.recent = recent;
            } else {
                for copy in 0..self.copies {
                    self.repeat(&departure, copy as u32, departure.at);
                }
            }
        }
        if self.replays {
            self.recent.push_back(departure.clone());
            if self.recent.len() > self.copies {
                self.recent.pop_front();
            }
        }
        Some(departure)
    }
}
