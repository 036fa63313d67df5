//! Stream joins: what is due when an event or a watermark arrives.
//!
//! The model in words. Each joined stream has two plain lists: what stands to the left of it (events of the first
//! stream, or combinations of the joins before), and its own events. Whatever comes to one list is held against
//! everything in the other, one after another, and every pair for which all conditions are true goes on as a
//! combination. Then the lists are looked through: what can have no partner any more is taken out, and if it never had
//! one and the join is an outer one, goes on with nothing beside it.
//!
//! Nothing more can come to the left of a stream with a time up to the watermark, except from what is still in the
//! lists of the joins before: the smallest time among that is where the promise ends. The same promise about the
//! results of the last join is how far a watermark may be passed on.

use std::collections::BTreeSet;

use arcstr::ArcStr;
use wavetank_scenarios::query::{Anchor, BinaryOp, Expr, Function, Join, JoinBound, Limit, Query, SelectItem};
use wavetank_scenarios::script::{End, Future, JoinSettings, LateWhen, Nulls, Operator, ResultStamp, Versions};
use wavetank_scenarios::{Event, EventId, Row, Schema, Span, Time, Value};

use crate::expr::{self, Scope, eval, holds};
use crate::{Arrival, Due, DueResult, Reference, Why};

/// A stream as the query knows it.
#[derive(Clone)]
pub(crate) struct Stream {
    pub names: Vec<ArcStr>,
    pub schema: Schema,
}

/// The streams of a query, and for each input which of them it is.
pub(crate) fn streams(
    operator: &Operator,
    query: &Query,
    schemas: &[&Schema],
) -> Result<(Vec<Stream>, Vec<usize>), String> {
    let places = query.inputs_of(&operator.input).map_err(|wrong| wrong.to_string())?;
    let mut of_input = vec![0; schemas.len()];
    let mut streams = Vec::new();
    for (index, ((name, alias), place)) in query.streams().into_iter().zip(places).enumerate() {
        let schema = schemas.get(place).ok_or("an input has no schema")?;
        of_input[place] = index;
        streams.push(Stream {
            names: alias.into_iter().chain([name]).cloned().collect(),
            schema: (*schema).clone(),
        });
    }
    Ok((streams, of_input))
}

/// Events that belong together: one of each stream so far, or none.
#[derive(Clone, Debug)]
pub(crate) struct Combination {
    pub events: Vec<Option<Event>>,
    pub stamp: Time,
}

impl Combination {
    pub fn ids(&self) -> Vec<Option<EventId>> {
        self.events.iter().map(|e| e.as_ref().map(|e| e.id)).collect()
    }
}

/// A combination looked at by the names of its streams.
pub(crate) struct OfCombination<'a> {
    pub streams: &'a [Stream],
    pub combination: &'a Combination,
    pub window: Option<(Time, Time)>,
}

impl OfCombination<'_> {
    fn stream(&self, name: &str) -> Option<usize> {
        let known = self.streams.iter().take(self.combination.events.len());
        known
            .into_iter()
            .position(|s| s.names.iter().any(|n| n.eq_ignore_ascii_case(name)))
    }
    fn value(&self, stream: usize, slot: usize) -> Value {
        let event = self.combination.events[stream].as_ref();
        event.and_then(|e| e.row.get(slot).cloned()).unwrap_or_default()
    }
}

impl Scope for OfCombination<'_> {
    fn column(&self, path: &[ArcStr]) -> Result<Value, String> {
        let (value, inner) = match path {
            [of, name, inner @ ..] if self.stream(of).is_some() => {
                let stream = self.stream(of).unwrap_or_default();
                let slot = self.streams[stream].schema.slot(name);
                let slot = slot.ok_or_else(|| format!("`{of}` has no field `{name}`"))?;
                (self.value(stream, slot), inner)
            }
            [name, inner @ ..] => {
                let streams = self.streams.iter().take(self.combination.events.len()).enumerate();
                let with = streams.filter_map(|(i, s)| Some((i, s.schema.slot(name)?)));
                match with.collect::<Vec<_>>().as_slice() {
                    [(stream, slot)] => (self.value(*stream, *slot), inner),
                    [] => return Err(format!("there is no field `{name}`")),
                    _ => return Err(format!("several streams have a field `{name}`")),
                }
            }
            [] => return Err("a column without a name".into()),
        };
        inner.iter().try_fold(value, |value, name| expr::field_of(&value, name))
    }
    fn event_time(&self) -> Result<Time, String> {
        Ok(self.combination.stamp)
    }
    fn window(&self) -> Option<(Time, Time)> {
        self.window
    }
    fn known(&self, expr: &Expr) -> Option<Value> {
        let Expr::Call(Function::EventTime, arguments) = expr else {
            return None;
        };
        let [Expr::Column(path)] = arguments.as_slice() else {
            return None;
        };
        let stream = self.stream(path.first()?)?;
        let event = self.combination.events[stream].as_ref();
        Some(event.map_or(Value::Null, |e| Value::Time(e.stamp)))
    }
}

/// What the query makes of a combination: its row, or why there is none.
pub(crate) fn answer(
    query: &Query,
    streams: &[Stream],
    combination: &Combination,
    window: Option<(Time, Time)>,
) -> Result<DueResult, Why> {
    let scope = OfCombination {
        streams,
        combination,
        window,
    };
    if let Some(filter) = &query.filter
        && !holds(filter, &scope).map_err(|_| Why::Failed)?
    {
        return Err(Why::Filtered);
    }
    let mut row = Vec::new();
    for item in &query.select {
        match item {
            SelectItem::All => {
                for (i, stream) in streams.iter().enumerate() {
                    row.extend((0..stream.schema.fields.len()).map(|slot| scope.value(i, slot)));
                }
            }
            SelectItem::Expr { expr, .. } => row.push(eval(expr, &scope).map_err(|_| Why::Failed)?),
        }
    }
    let events: Vec<&Event> = combination.events.iter().flatten().collect();
    let latest = events.iter().max_by_key(|e| (e.stamp, e.id));
    let origins: BTreeSet<EventId> = events.iter().flat_map(|e| e.origins().iter().copied()).collect();
    Ok(DueResult {
        stamp: combination.stamp,
        row: Row::from(row),
        bounds: vec![],
        pane: None,
        correlation: latest.map(|e| e.correlation).unwrap_or_default(),
        origins: origins.into_iter().collect(),
    })
}

/// Whether every condition is true of a combination.
pub(crate) fn agree(on: &[Expr], streams: &[Stream], combination: &Combination) -> bool {
    let scope = OfCombination {
        streams,
        combination,
        window: None,
    };
    on.iter().all(|condition| holds(condition, &scope) == Ok(true))
}

/// Both sides of a condition that is an equality between what stands to the left of stream `joined` and that stream.
pub(crate) fn equality<'a>(condition: &'a Expr, streams: &[Stream], joined: usize) -> Option<(&'a Expr, &'a Expr)> {
    let Expr::Binary(BinaryOp::Equal, x, y) = condition else {
        return None;
    };
    let of = |e: &Expr| -> Option<Vec<usize>> {
        let mut found = Vec::new();
        mentions(e, &streams[..=joined], &mut found);
        (!found.is_empty()).then_some(found)
    };
    let (a, b) = (of(x)?, of(y)?);
    let only = |s: &[usize]| s.iter().all(|i| *i == joined);
    let others = |s: &[usize]| s.iter().all(|i| *i != joined);
    if only(&a) && others(&b) {
        Some((y, x))
    } else if only(&b) && others(&a) {
        Some((x, y))
    } else {
        None
    }
}

fn mentions(expr: &Expr, streams: &[Stream], found: &mut Vec<usize>) {
    let called = |name: &str| {
        let by = |s: &Stream| s.names.iter().any(|n| n.eq_ignore_ascii_case(name));
        streams.iter().position(by)
    };
    match expr {
        Expr::Column(path) if path.len() > 1 && called(&path[0]).is_some() => found.extend(called(&path[0])),
        Expr::Column(path) => {
            found.extend((0..streams.len()).filter(|i| streams[*i].schema.slot(&path[0]).is_some()));
        }
        Expr::Call(Function::EventTime, arguments) => {
            if let [Expr::Column(path)] = arguments.as_slice() {
                found.extend(called(&path[0]));
            }
        }
        other => other.children().into_iter().for_each(|c| mentions(c, streams, found)),
    }
}

/// Something in a list.
#[derive(Clone)]
struct Waiting {
    combination: Combination,
    matched: bool,
}

/// One joined stream and what waits at it.
#[derive(Clone)]
struct Stage {
    join: Join,
    lefts: Vec<Waiting>,
    rights: Vec<Waiting>,
}

/// The naive model of a query with joins over distances, versions or last events.
#[derive(Clone)]
pub(crate) struct Joined {
    query: Query,
    settings: JoinSettings,
    streams: Vec<Stream>,
    of_input: Vec<usize>,
    patience: Span,
    tick: Span,
    future: Future,
    earliest: bool,
    /// The watermark as this operator takes it: behind by its patience.
    watermark: Time,
    stages: Vec<Stage>,
    /// Events that some result went back to, or that some result of which could not be computed.
    caused: BTreeSet<EventId>,
    failed: BTreeSet<EventId>,
    results: Vec<Combination>,
    /// The events that were held after the last step.
    before: BTreeSet<EventId>,
}

impl Joined {
    pub fn new(operator: &Operator, query: &Query, schemas: &[&Schema], tick: Span) -> Result<Self, String> {
        let (streams, of_input) = streams(operator, query, schemas)?;
        let mut model = Self {
            query: query.clone(),
            settings: operator.join,
            streams,
            of_input,
            patience: operator.horizon
                + match operator.late_when {
                    LateWhen::AtEnd => Span::ZERO,
                    LateWhen::TickBeforeEnd => -tick,
                    LateWhen::AfterEnd => tick,
                },
            tick,
            future: operator.future,
            earliest: operator.result_stamp == ResultStamp::Earliest,
            watermark: Time::MIN,
            stages: vec![],
            caused: BTreeSet::new(),
            failed: BTreeSet::new(),
            results: vec![],
            before: BTreeSet::new(),
        };
        model.forget();
        Ok(model)
    }

    /// As on the first day.
    fn forget(&mut self) {
        self.watermark = Time::MIN;
        self.caused.clear();
        self.failed.clear();
        self.before.clear();
        self.stages = self
            .query
            .joins
            .iter()
            .map(|join| Stage {
                join: join.clone(),
                lefts: vec![],
                rights: vec![],
            })
            .collect();
    }

    /// The ends of a distance, themselves included: an end that does not count is a microsecond too far.
    fn ends(&self, lower: Limit, upper: Limit) -> (Span, Span) {
        let open = |limit: Limit, end: End| !limit.inclusive.unwrap_or(end == End::Inclusive);
        let unit = |open: bool| if open { Span::UNIT } else { Span::ZERO };
        (
            lower.span + unit(open(lower, self.settings.lower)),
            upper.span - unit(open(upper, self.settings.upper)),
        )
    }

    /// The time of a combination that counts at a stage.
    fn anchor(&self, anchor: Anchor, combination: &Combination) -> Option<Time> {
        match anchor {
            Anchor::Left => Some(combination.stamp),
            Anchor::Stream(x) => combination.events.get(x)?.as_ref().map(|e| e.stamp),
        }
    }

    fn together(&self, left: &Combination, right: &Event) -> Combination {
        let mut events = left.events.clone();
        events.push(Some(right.clone()));
        let stamp = if self.earliest {
            left.stamp.min(right.stamp)
        } else {
            left.stamp.max(right.stamp)
        };
        Combination { events, stamp }
    }

    fn alone(left: &Combination) -> Combination {
        let mut events = left.events.clone();
        events.push(None);
        Combination {
            events,
            stamp: left.stamp,
        }
    }

    /// Nothing comes to the left of stage `k` any more with an anchor up to here.
    fn promised(&self, k: usize, anchor: Anchor) -> Time {
        let mut least = self.watermark;
        for stage in &self.stages[..k] {
            let own = matches!(stage.join.bound, JoinBound::Version { .. });
            for (waiting, left) in stage
                .lefts
                .iter()
                .map(|w| (w, true))
                .chain(stage.rights.iter().map(|w| (w, false)))
            {
                let outer = if left {
                    stage.join.kind.keeps_left()
                } else {
                    stage.join.kind.keeps_right()
                };
                let time = match anchor {
                    // What may still be given under its own time: what waits for its null row or its version, or, where
                    // the earliest counts, everything.
                    Anchor::Left if own && !left => None,
                    Anchor::Left if own || self.earliest => Some(waiting.combination.stamp),
                    Anchor::Left => (outer && !waiting.matched && self.settings.nulls == Nulls::Watermark)
                        .then_some(waiting.combination.stamp),
                    Anchor::Stream(_) => self.anchor(anchor, &waiting.combination),
                };
                least = time.map_or(least, |t| least.min(t - self.tick));
            }
        }
        least
    }

    fn come(&mut self, k: usize, combination: Combination) {
        if k == self.stages.len() {
            self.results.push(combination);
            return;
        }
        let join = self.stages[k].join.clone();
        let eager = self.settings.nulls == Nulls::Eager;
        match join.bound {
            JoinBound::Version { .. } => {
                let waiting = Waiting {
                    combination,
                    matched: false,
                };
                self.stages[k].lefts.push(waiting);
                // Those that wait for nothing are answered at once.
                self.answer_versions(k);
            }
            JoinBound::Interval { .. } | JoinBound::Last { .. } => {
                let mut matched = false;
                for i in 0..self.stages[k].rights.len() {
                    let Some(right) = self.stages[k].rights[i].combination.events.last().cloned().flatten() else {
                        continue;
                    };
                    if let Some(pair) = self.pair(&join, k, &combination, &right) {
                        matched = true;
                        self.stages[k].rights[i].matched = true;
                        self.come(k + 1, pair);
                    }
                }
                if eager && !matched && join.kind.keeps_left() {
                    self.come(k + 1, Self::alone(&combination));
                }
                self.stages[k].lefts.push(Waiting { combination, matched });
                self.look_through_lefts(k);
            }
            JoinBound::Window => {}
        }
    }

    fn come_right(&mut self, k: usize, event: &Event) {
        let join = self.stages[k].join.clone();
        let mut events = vec![None; k + 1];
        events.push(Some(event.clone()));
        let combination = Combination {
            events,
            stamp: event.stamp,
        };
        let mut matched = false;
        match join.bound {
            JoinBound::Version { .. } => {
                let Some(key) = self.version_key(k, &combination) else {
                    return;
                };
                if self.settings.versions == Versions::Arrival {
                    let keys: Vec<_> = self.stages[k]
                        .rights
                        .iter()
                        .map(|w| self.version_key(k, &w.combination))
                        .collect();
                    let mut keys = keys.into_iter();
                    self.stages[k]
                        .rights
                        .retain(|_| keys.next().flatten().as_ref() != Some(&key));
                }
            }
            JoinBound::Interval { .. } | JoinBound::Last { .. } => {
                for i in 0..self.stages[k].lefts.len() {
                    let left = self.stages[k].lefts[i].combination.clone();
                    if let Some(pair) = self.pair(&join, k, &left, event) {
                        matched = true;
                        self.stages[k].lefts[i].matched = true;
                        self.come(k + 1, pair);
                    }
                }
                if self.settings.nulls == Nulls::Eager && !matched && join.kind.keeps_right() {
                    self.come(k + 1, combination.clone());
                }
            }
            JoinBound::Window => {}
        }
        self.stages[k].rights.push(Waiting { combination, matched });
    }

    /// The pair, if it is one.
    fn pair(&self, join: &Join, k: usize, left: &Combination, right: &Event) -> Option<Combination> {
        if let JoinBound::Interval { anchor, lower, upper } = join.bound {
            let (lower, upper) = self.ends(lower, upper);
            let distance = right.stamp.since(self.anchor(anchor, left)?);
            if distance < lower || distance > upper {
                return None;
            }
        }
        let pair = self.together(left, right);
        agree(&join.on, &self.streams[..k + 2], &pair).then_some(pair)
    }

    /// What tells the versions of a table apart; nothing when no event can find this one.
    fn version_key(&self, k: usize, version: &Combination) -> Option<Vec<Value>> {
        let scope = OfCombination {
            streams: &self.streams,
            combination: version,
            window: None,
        };
        let mut key = Vec::new();
        for condition in &self.stages[k].join.on {
            if let Some((_, side)) = equality(condition, &self.streams, k + 1) {
                match eval(side, &scope) {
                    Ok(Value::Null) | Err(_) => return None,
                    Ok(Value::Float(x)) if x.fract() == 0.0 && x.abs() < 9e15 => key.push(Value::Int(x as i64)),
                    Ok(value) => key.push(value),
                }
            }
        }
        Some(key)
    }

    /// Answers what stands to the left of a table, as far as its time has come.
    fn answer_versions(&mut self, k: usize) {
        let join = self.stages[k].join.clone();
        let JoinBound::Version { anchor, max_age } = join.bound else {
            return;
        };
        let by_arrival = self.settings.versions == Versions::Arrival;
        let waits = |w: &Waiting| {
            !by_arrival
                && self
                    .anchor(anchor, &w.combination)
                    .is_some_and(|at| self.watermark < at)
        };
        if self.stages[k].lefts.iter().all(waits) {
            return;
        }
        let waiting = std::mem::take(&mut self.stages[k].lefts);
        for w in waiting {
            let at = self.anchor(anchor, &w.combination);
            if !by_arrival && at.is_some_and(|at| self.watermark < at) {
                self.stages[k].lefts.push(w);
                continue;
            }
            let keys: Vec<&Expr> = join
                .on
                .iter()
                .filter(|c| equality(c, &self.streams, k + 1).is_some())
                .collect();
            let mut newest: Option<(Time, usize, Combination)> = None;
            for (i, right) in self.stages[k].rights.iter().enumerate() {
                let Some(event) = right.combination.events.last().cloned().flatten() else {
                    continue;
                };
                let pair = Combination {
                    stamp: w.combination.stamp,
                    ..self.together(&w.combination, &event)
                };
                let scope = OfCombination {
                    streams: &self.streams,
                    combination: &pair,
                    window: None,
                };
                let same = keys.iter().all(|c| holds(c, &scope) == Ok(true));
                let valid = at.is_some_and(|at| by_arrival || event.stamp <= at);
                let rank = if by_arrival { Time::ZERO } else { event.stamp };
                if same
                    && valid
                    && newest
                        .as_ref()
                        .is_none_or(|(time, place, _)| (rank, i) > (*time, *place))
                {
                    newest = Some((rank, i, pair));
                }
            }
            let young = |pair: &Combination| {
                let Some((at, limit)) = at.zip(max_age) else {
                    return true;
                };
                let open = !limit.inclusive.unwrap_or(self.settings.lower == End::Inclusive);
                let version = pair.events.last().and_then(|e| e.as_ref()).map_or(at, |e| e.stamp);
                let age = at.since(version);
                age < limit.span || (age == limit.span && !open)
            };
            let found = newest.map(|(_, _, pair)| pair).filter(young);
            match found.filter(|pair| agree(&join.on, &self.streams[..k + 2], pair)) {
                Some(pair) => self.come(k + 1, pair),
                None if join.kind.keeps_left() => self.come(k + 1, Self::alone(&w.combination)),
                None => {}
            }
        }
    }

    /// Takes out of the left list what no event can pair with any more.
    fn look_through_lefts(&mut self, k: usize) {
        let join = self.stages[k].join.clone();
        let waiting = std::mem::take(&mut self.stages[k].lefts);
        let count = waiting.len();
        for (i, w) in waiting.into_iter().enumerate() {
            let over = match join.bound {
                JoinBound::Interval { anchor, lower, upper } => {
                    let (_, upper) = self.ends(lower, upper);
                    self.anchor(anchor, &w.combination)
                        .is_none_or(|at| self.watermark >= at + upper)
                }
                JoinBound::Last { left, .. } => self.watermark == Time::MAX || (count - i) as u64 > left,
                _ => false,
            };
            if !over {
                self.stages[k].lefts.push(w);
            } else if !w.matched && join.kind.keeps_left() && self.settings.nulls == Nulls::Watermark {
                self.come(k + 1, Self::alone(&w.combination));
            }
        }
    }

    /// Takes out of the right list what nothing on the left can pair with any more.
    fn look_through_rights(&mut self, k: usize) {
        let join = self.stages[k].join.clone();
        let waiting = std::mem::take(&mut self.stages[k].rights);
        let keys: Vec<Option<Vec<Value>>> = match join.bound {
            JoinBound::Version { .. } => waiting.iter().map(|w| self.version_key(k, &w.combination)).collect(),
            _ => vec![],
        };
        let stamps: Vec<Time> = waiting.iter().map(|w| w.combination.stamp).collect();
        let count = waiting.len();
        for (i, w) in waiting.into_iter().enumerate() {
            let at = w.combination.stamp;
            let over = match join.bound {
                JoinBound::Interval { anchor, lower, upper } => {
                    let (lower, _) = self.ends(lower, upper);
                    self.promised(k, anchor) >= at - lower
                }
                JoinBound::Version { .. } if self.settings.versions == Versions::Arrival => self.watermark == Time::MAX,
                JoinBound::Version { anchor, max_age } => {
                    let promised = self.promised(k, anchor);
                    let newer =
                        (0..count).any(|j| keys[j] == keys[i] && (stamps[j], j) > (at, i) && stamps[j] <= promised);
                    let too_old = max_age.is_some_and(|limit| {
                        let open = !limit.inclusive.unwrap_or(self.settings.lower == End::Inclusive);
                        promised >= at + limit.span - if open { Span::UNIT } else { Span::ZERO }
                    });
                    newer || too_old || promised == Time::MAX
                }
                JoinBound::Last { right, .. } => self.watermark == Time::MAX || (count - i) as u64 > right,
                JoinBound::Window => false,
            };
            if !over {
                self.stages[k].rights.push(w);
                continue;
            }
            let pairs = !matches!(join.bound, JoinBound::Version { .. });
            if pairs && !w.matched && join.kind.keeps_right() && self.settings.nulls == Nulls::Watermark {
                self.come(k + 1, w.combination);
            }
        }
    }

    /// The events that wait somewhere.
    fn waiting(&self) -> BTreeSet<EventId> {
        let all = self.stages.iter().flat_map(|s| s.lefts.iter().chain(&s.rights));
        all.flat_map(|w| &w.combination.events)
            .flatten()
            .map(|e| e.id)
            .collect()
    }

    fn settle(&mut self) -> Due {
        for k in 0..self.stages.len() {
            self.answer_versions(k);
            self.look_through_lefts(k);
            self.look_through_rights(k);
        }
        let mut due = Due::default();
        let mut results = std::mem::take(&mut self.results);
        results.sort_by_key(|c| (c.stamp, c.ids()));
        for combination in results {
            let ids = combination.events.iter().flatten().map(|e| e.id);
            match answer(&self.query, &self.streams, &combination, None) {
                Ok(result) => {
                    self.caused.extend(ids);
                    due.results.push(result);
                }
                Err(Why::Failed) => self.failed.extend(ids),
                Err(_) => {}
            }
        }
        let waiting = self.waiting();
        for id in self.before.difference(&waiting) {
            let (caused, failed) = (self.caused.remove(id), self.failed.remove(id));
            if !caused {
                let own = EventId {
                    number: id.number % COPY,
                    ..*id
                };
                due.dropped
                    .push((own, if failed { Why::Failed } else { Why::Filtered }));
            }
        }
        self.before = waiting;
        due
    }

    fn due(&self, mut due: Due) -> Due {
        due.held = self.before.len() as u64;
        due.limit = Some(self.promised(self.stages.len(), Anchor::Left));
        due
    }
}

/// What the numbers of copies are ahead by; no producer counts that far.
const COPY: u64 = 1 << 56;

impl Reference for Joined {
    fn arrive(&mut self, arrival: &Arrival) -> Due {
        let due = match arrival {
            Arrival::Event { input, event, now, .. } => {
                let stream = self.of_input.get(*input).copied().unwrap_or_default();
                let timeless = stream > 0
                    && matches!(self.query.joins[stream - 1].bound, JoinBound::Version { .. })
                    && self.settings.versions == Versions::Arrival;
                let why = match self.future {
                    Future::Refuse(tolerance) if event.stamp > *now + tolerance => Some(Why::Failed),
                    _ if self.watermark >= event.stamp && !timeless => Some(Why::Late),
                    _ => None,
                };
                if let Some(why) = why {
                    Due {
                        dropped: vec![(event.id, why)],
                        ..Due::default()
                    }
                } else {
                    // A copy of an event that is still there is an event of its own.
                    let mut event = event.clone();
                    while self.before.contains(&event.id) {
                        event.id.number += COPY;
                    }
                    self.before.insert(event.id);
                    if stream == 0 {
                        let combination = Combination {
                            events: vec![Some(event.clone())],
                            stamp: event.stamp,
                        };
                        self.come(0, combination);
                    } else {
                        self.come_right(stream - 1, &event);
                    }
                    self.settle()
                }
            }
            Arrival::Watermark(watermark) => {
                self.watermark = self.watermark.max(*watermark - self.patience);
                self.settle()
            }
            Arrival::Timer { .. } => Due::default(),
            Arrival::Crash => {
                self.forget();
                Due::default()
            }
        };
        self.due(due)
    }
}
