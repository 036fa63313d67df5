//! Temporal event ordering: which matches are due when an event or a watermark arrives.
//!
//! The model in words. All events of a key that a match could still need are kept in a plain list. A beginning is a choice of
//! some of them: it starts at an event at which one was allowed to start, and every later event that it may take is tried,
//! and not taking it as well ([`Line::try_all`]); what may come next is worked out from what is left of the pattern
//! ([`crate::sequence_ways`]). So at every moment all choices are made again from nothing. Those that are complete with the
//! newest event, or with the time that has just gone by, are due: in order, each dropping what began too early for the rest
//! (`after`). An event is held while a choice that has it can still become a match.
//!
//! A choice goes on as follows. It has some ways to go on, and each later event of the list is offered to all of them: what
//! must not come closes a way; what fits it is taken, and closes a relaxed way; the very next event closes a strict one,
//! fitting or not. Of two ways that decide otherwise at a loop the one that has the say there takes the event alone, and
//! whichever takes one closes the other.

use std::collections::BTreeMap;

use arcstr::ArcStr;
use wavetank_scenarios::query::Expr;
use wavetank_scenarios::script::{AfterMatch, Future, Operator, Order, Precedence, Restart, Sequence, Since};
use wavetank_scenarios::sequence::Contiguity;
use wavetank_scenarios::{Event, EventId, Row, Schema, Span, Time, Value};

use crate::expr::{eval, holds};
use crate::sequence_value::{Names, OfMatch, Taken};
use crate::sequence_ways::{NotThis, Todo, Way, ways};
use crate::{Arrival, Due, DueResult, Reference, Why};

/// The naive model of a sequence.
#[derive(Clone)]
pub(crate) struct Sequences {
    asked: Asked,
    future: Future,
    flush: bool,
    tick: Span,
    waiting: Vec<(usize, Event)>,
    watermark: Time,
    clock: Time,
    looked_at: u64,
    lines: BTreeMap<Row, Line>,
}

/// What is looked for.
#[derive(Clone)]
struct Asked {
    settings: Sequence,
    names: Names,
    /// The entry of the `input` list that each step reads, where it says so.
    from: BTreeMap<ArcStr, usize>,
    fields: Vec<(ArcStr, Expr)>,
}

/// The events of one key.
#[derive(Clone, Default)]
struct Line {
    events: Vec<Looked>,
    /// The events before those that may still break an absence at the beginning.
    past: Vec<Looked>,
    /// The places at which a beginning was allowed to start, each with which ways were open to it.
    starts: Vec<(u64, Vec<bool>)>,
    /// The beginning on whose match a new one has to wait.
    waiting: Option<u64>,
    /// Matches that are complete, by the places of their events, and their stamps.
    ready: Vec<(Vec<(u64, ArcStr)>, Time)>,
    /// Nothing happens before that time; a shortcut and nothing else.
    next: Option<Time>,
    held: u64,
}

/// An event that was looked at.
#[derive(Clone)]
struct Looked {
    event: Event,
    input: usize,
    time: Time,
    place: u64,
    caused: bool,
    failed: bool,
    /// Its fate is known.
    ended: bool,
}

/// The events of a choice: which of the list, and as what step.
type Choice = Vec<(usize, ArcStr)>;

/// Something that time does to a choice: where the choice stands among others, its key, and the stamp of the result.
type Moment = (Vec<(u64, usize)>, Row, Choice, Time);

/// What all choices come to.
#[derive(Default)]
struct Found {
    /// With an event: which.
    complete: Vec<(Choice, usize)>,
    /// With time: from when on, and the stamp.
    absent: Vec<(Choice, Time, Time)>,
    /// Given up: from when on, and the end of `within`.
    given_up: Vec<(Choice, Time, Time)>,
    /// What can still become a match, and when time does something to it.
    open: Vec<(Choice, Option<Time>)>,
}

impl Sequences {
    pub fn new(operator: &Operator, settings: &Sequence, inputs: &[&Schema], tick: Span) -> Result<Self, String> {
        let mut called: Vec<ArcStr> = operator.input.iter().map(|name| name.as_str().into()).collect();
        if let Some(query) = &operator.query {
            called.push(query.from.clone());
            called.extend(query.alias.clone());
        }
        let steps = settings.pattern.tree.steps();
        let mut from = BTreeMap::new();
        for (step, entry) in &settings.from {
            let Some(input) = operator.input.iter().position(|input| input == entry) else {
                return Err(format!("step `{step}` reads `{entry}`, which is no input"));
            };
            from.insert(step.as_str().into(), input);
        }
        for name in &settings.by {
            if inputs.iter().any(|schema| schema.slot(name).is_none()) {
                return Err(format!("there is no field `{name}` to keep events apart by"));
            }
        }
        Ok(Self {
            asked: Asked {
                settings: settings.clone(),
                names: Names {
                    steps,
                    inputs: inputs.iter().map(|schema| (*schema).clone()).collect(),
                    called,
                },
                from,
                fields: settings.fields(),
            },
            future: operator.future,
            flush: operator.flush_at_end,
            tick,
            waiting: vec![],
            watermark: Time::MIN,
            clock: Time::MIN,
            looked_at: 0,
            lines: BTreeMap::new(),
        })
    }

    /// Looks at an event.
    fn look(&mut self, input: usize, event: Event, due: &mut Due) {
        let time = event.stamp.max(self.clock);
        self.advance(time, due);
        let asked = &self.asked;
        let key = asked.settings.by.iter().map(|name| {
            let slot = asked.names.inputs[input].slot(name);
            slot.and_then(|slot| event.row.get(slot).cloned()).unwrap_or_default()
        });
        let line = self.lines.entry(key.collect()).or_default();
        let place = self.looked_at;
        self.looked_at += 1;
        line.events.push(Looked {
            event,
            input,
            time,
            place,
            caused: false,
            failed: false,
            ended: false,
        });
        let newest = line.events.len() - 1;
        let so_far = line.try_all(asked, time);
        let completes = so_far.complete.iter().any(|(_, with)| *with == newest);
        let may_start = match asked.settings.restart {
            Restart::Always => true,
            Restart::Once | Restart::OnComplete => line.waiting.is_none(),
            Restart::OnCompleteOrFail => so_far.open.is_empty() && !completes,
        };
        if may_start {
            line.start(asked, newest);
        }
        let mut complete = line.try_all(asked, time).complete;
        complete.retain(|(_, with)| *with == newest);
        let stamp = line.events[newest].event.stamp;
        for (choice, _) in complete {
            line.is_ready(&choice, stamp);
        }
        line.release(asked, time, due);
        // With `within` to its very end, an absence can be over with the event that it begins with.
        for (choice, _, stamp) in line.try_all(asked, time).absent {
            if choice.last().is_some_and(|(i, _)| *i == newest) {
                line.is_ready(&choice, stamp);
            }
        }
        line.release(asked, time, due);
        let noted = line.events[newest].clone();
        line.past.push(noted);
        line.tidy(asked, time, due);
    }

    /// Time goes on: what is over happens, moment by moment.
    fn advance(&mut self, to: Time, due: &mut Due) {
        while let Some(now) = self
            .lines
            .values()
            .filter_map(|line| line.next)
            .min()
            .filter(|next| *next <= to)
        {
            let mut absent: Vec<Moment> = Vec::new();
            let mut given_up: Vec<Moment> = Vec::new();
            for (key, line) in &self.lines {
                if line.next != Some(now) {
                    continue;
                }
                let found = line.try_all(&self.asked, now);
                let at = |line: &Line, choice: &Choice| line.rank(&self.asked, choice);
                for (choice, when, stamp) in found.absent {
                    if when == now && !absent.iter().any(|(rank, ..)| *rank == at(line, &choice)) {
                        absent.push((at(line, &choice), key.clone(), choice, stamp));
                    }
                }
                for (choice, when, stamp) in found.given_up {
                    if when == now {
                        given_up.push((at(line, &choice), key.clone(), choice, stamp));
                    }
                }
            }
            absent.sort_by(|a, b| a.0.cmp(&b.0));
            given_up.sort_by(|a, b| a.0.cmp(&b.0));
            for (_, key, choice, stamp) in absent {
                if let Some(line) = self.lines.get_mut(&key).filter(|line| line.started(&choice)) {
                    line.is_ready(&choice, stamp);
                    if self.asked.settings.precedence == Precedence::Complete {
                        line.release(&self.asked, now, due);
                    }
                }
            }
            for (_, key, choice, stamp) in given_up {
                if let Some(line) = self.lines.get(&key).filter(|line| line.started(&choice))
                    && self.asked.settings.timeouts
                    && let Some(result) = line.result(&self.asked, &choice, stamp, true)
                {
                    due.results.push(result);
                    let line = self.lines.entry(key).or_default();
                    choice.iter().for_each(|(i, _)| line.events[*i].caused = true);
                }
            }
            self.clock = self.clock.max(now);
            for line in self.lines.values_mut().filter(|line| line.next == Some(now)) {
                line.release(&self.asked, now, due);
                line.tidy(&self.asked, now, due);
            }
        }
        self.clock = self.clock.max(to);
    }
}

impl Line {
    /// Lets a beginning start at an event, if a way is open to it.
    fn start(&mut self, asked: &Asked, at: usize) {
        let time = self.events[at].time;
        let fits = |looked: &Looked, step: &ArcStr| asked.fits(looked, step, vec![]);
        let quiet = |not: &NotThis| {
            let Some(lasts) = not.lasts else { return true };
            let includes = asked.settings.absence_includes_end;
            let breaks = |looked: &&Looked| over(looked.time + lasts, includes) > time && fits(looked, &not.step);
            self.past.iter().find(breaks).is_none()
        };
        let first = ways(&[Todo::Match(asked.settings.pattern.tree.clone())], &asked.settings);
        let open: Vec<bool> = first.iter().map(|way| way.nots.iter().all(quiet)).collect();
        let starts = first
            .iter()
            .zip(&open)
            .any(|(way, open)| *open && !asked.takes(way, self, at, &[]).is_empty());
        if starts {
            self.starts.push((self.events[at].place, open));
            if matches!(asked.settings.restart, Restart::Once | Restart::OnComplete) {
                self.waiting = Some(self.events[at].place);
            }
        }
    }

    /// Every choice that there is, up to a time.
    fn try_all(&self, asked: &Asked, now: Time) -> Found {
        let mut found = Found::default();
        for (place, open) in &self.starts {
            let Some(at) = self.events.iter().position(|looked| looked.place == *place) else {
                continue;
            };
            let first = ways(&[Todo::Match(asked.settings.pattern.tree.clone())], &asked.settings);
            let first = first
                .into_iter()
                .zip(open)
                .filter(|(_, open)| **open)
                .map(|(way, _)| way);
            for (way, taken) in asked.takers(first.collect(), self, at, &[]) {
                let choice = taken.iter().map(|step| (at, step.clone())).collect();
                self.go_on(
                    asked,
                    choice,
                    ways(&way.left_after(&taken), &asked.settings),
                    now,
                    &mut found,
                );
            }
        }
        found
    }

    /// A choice that has taken its last event, with the ways that are open behind it.
    fn go_on(&self, asked: &Asked, choice: Choice, mut open: Vec<Way>, now: Time, found: &mut Found) {
        let Some((last, _)) = choice.last().cloned() else {
            return;
        };
        let at_once = |way: &Way| way.done() && way.nots.is_empty();
        if let Some(end) = open.iter().find(|way| at_once(way)).cloned() {
            found.complete.push((choice.clone(), last));
            open.retain(|way| !at_once(way) && way.against(&end).is_none());
        }
        for (i, looked) in self.events.iter().enumerate().skip(last + 1) {
            self.time_passes(asked, &choice, &mut open, looked.time, found);
            let next = i == last + 1;
            let mut kept = Vec::new();
            for way in &open {
                if asked.is_broken(way, self, i, &choice, next) {
                    continue;
                }
                kept.push(way.clone());
            }
            let taking = asked.takers(kept.clone(), self, i, &choice);
            open = kept
                .into_iter()
                .filter(|way| {
                    let waits = asked.waits(way, self, i, &choice);
                    let fits = !asked.takes(way, self, i, &choice).is_empty();
                    let stays = match way.edge {
                        _ if way.done() || waits => true,
                        Contiguity::Strict => false,
                        Contiguity::Relaxed => !fits,
                        Contiguity::Any => true,
                    };
                    stays && taking.iter().all(|(other, _)| way.against(other).is_none())
                })
                .collect();
            for (way, taken) in taking {
                let mut longer = choice.clone();
                longer.extend(taken.iter().map(|step| (i, step.clone())));
                self.go_on(
                    asked,
                    longer,
                    ways(&way.left_after(&taken), &asked.settings),
                    now,
                    found,
                );
            }
        }
        self.time_passes(asked, &choice, &mut open, now, found);
        if !open.is_empty() {
            let next = open.iter().filter_map(|way| asked.moment(way, self, &choice)).min();
            found.open.push((choice, next));
        }
    }

    /// What becomes of a choice because of the time: absences are complete, then what is too late is given up.
    fn time_passes(&self, asked: &Asked, choice: &Choice, open: &mut Vec<Way>, to: Time, found: &mut Found) {
        while let Some(now) = open.iter().filter_map(|way| asked.moment(way, self, choice)).min()
            && now <= to
        {
            let over_now = |way: &Way| asked.moment(way, self, choice).is_some_and(|moment| moment <= now);
            let done: Vec<Way> = open.iter().filter(|way| way.done() && over_now(way)).cloned().collect();
            let stamp = done.iter().filter_map(|way| asked.end(way, self, choice)).min();
            if let Some(stamp) = stamp {
                found.absent.push((choice.clone(), now, stamp));
                open.retain(|way| !(way.done() && over_now(way)) && done.iter().all(|end| way.against(end).is_none()));
            }
            let late: Vec<Way> = open
                .iter()
                .filter(|way| !way.done() && over_now(way))
                .cloned()
                .collect();
            if let Some(stamp) = late.iter().find_map(|way| asked.end(way, self, choice)) {
                found.given_up.push((choice.clone(), now, stamp));
                open.retain(Way::done);
            }
        }
    }

    /// Where a choice stands among others.
    fn rank(&self, asked: &Asked, choice: &Choice) -> Vec<(u64, usize)> {
        let step = |name: &ArcStr| {
            asked
                .names
                .steps
                .iter()
                .position(|step| step == name)
                .unwrap_or_default()
        };
        choice
            .iter()
            .map(|(i, name)| (self.events[*i].place, step(name)))
            .collect()
    }

    /// A choice is a match.
    fn is_ready(&mut self, choice: &Choice, stamp: Time) {
        let places: Vec<(u64, ArcStr)> = choice
            .iter()
            .map(|(i, step)| (self.events[*i].place, step.clone()))
            .collect();
        if !self.ready.iter().any(|(other, _)| *other == places) {
            self.ready.push((places, stamp));
        }
    }

    /// Puts out the matches that need not wait, the earliest first.
    fn release(&mut self, asked: &Asked, now: Time, due: &mut Due) {
        loop {
            let in_list = |place: u64| {
                self.events
                    .iter()
                    .position(|looked| looked.place == place)
                    .unwrap_or_default()
            };
            let choice = |places: &Vec<(u64, ArcStr)>| {
                places
                    .iter()
                    .map(|(place, step)| (in_list(*place), step.clone()))
                    .collect::<Choice>()
            };
            let ranked = self
                .ready
                .iter()
                .enumerate()
                .map(|(i, (places, _))| (self.rank(asked, &choice(places)), i));
            let Some((rank, first)) = ranked.min() else { return };
            let waits = asked.settings.precedence == Precedence::Start;
            let earlier = |(choice, _): &(Choice, Option<Time>)| self.events[choice[0].0].place < rank[0].0;
            if waits && self.try_all(asked, now).open.iter().any(earlier) {
                return;
            }
            let chosen = choice(&self.ready[first].0);
            let (_, stamp) = self.ready.remove(first);
            self.put_out(asked, &chosen, stamp, due);
        }
    }

    /// Whether the beginning of a choice has not been dropped.
    fn started(&self, choice: &Choice) -> bool {
        let place = choice.first().map(|(i, _)| self.events[*i].place);
        self.starts.iter().any(|(start, _)| Some(*start) == place)
    }

    /// Puts a match out, and drops the beginnings that `after` says.
    fn put_out(&mut self, asked: &Asked, choice: &Choice, stamp: Time, due: &mut Due) {
        match self.result(asked, choice, stamp, false) {
            Some(result) => {
                due.results.push(result);
                choice.iter().for_each(|(i, _)| self.events[*i].caused = true);
            }
            None => choice.iter().for_each(|(i, _)| self.events[*i].failed = true),
        }
        let place = |i: usize| self.events[i].place;
        let of = |step: &str| {
            let taken = choice.iter().filter(|(_, name)| name.eq_ignore_ascii_case(step));
            taken.map(|(i, _)| place(*i)).collect::<Vec<_>>()
        };
        let first = place(choice[0].0);
        let keep_from = match &asked.settings.after {
            AfterMatch::PastLast => choice.last().map_or(0, |(i, _)| place(*i) + 1),
            AfterMatch::ToNext => first + 1,
            AfterMatch::ToFirst(step) => of(step).first().copied().unwrap_or(0),
            AfterMatch::ToLast(step) => of(step).last().copied().unwrap_or(0),
            AfterMatch::KeepAll => 0,
        };
        self.starts.retain(|(start, _)| *start >= keep_from);
        self.ready.retain(|(places, _)| places[0].0 >= keep_from);
        if asked.settings.restart == Restart::OnComplete && self.waiting == Some(first) {
            self.waiting = None;
        }
    }

    fn result(&self, asked: &Asked, choice: &Choice, stamp: Time, timed_out: bool) -> Option<DueResult> {
        let scope = OfMatch {
            names: &asked.names,
            taken: self.taken(choice),
            stamp,
        };
        let values = asked.fields.iter().map(|(_, expr)| eval(expr, &scope));
        let mut values: Vec<Value> = values.collect::<Result<_, _>>().ok()?;
        if asked.settings.timeouts {
            values.push(Value::Bool(timed_out));
        }
        let events = scope.taken.iter().map(|taken| taken.event);
        let correlation = events.clone().max_by_key(|event| (event.stamp, event.id))?.correlation;
        let mut origins: Vec<EventId> = events.flat_map(|event| event.origins().to_vec()).collect();
        origins.sort_unstable();
        origins.dedup();
        Some(DueResult {
            stamp,
            row: values.into(),
            bounds: vec![],
            pane: None,
            correlation,
            origins,
        })
    }

    fn taken(&self, choice: &[(usize, ArcStr)]) -> Vec<Taken<'_>> {
        let taken = |(i, step): &(usize, ArcStr)| Taken {
            event: &self.events[*i].event,
            input: self.events[*i].input,
            step: step.clone(),
        };
        choice.iter().map(taken).collect()
    }

    /// Says what became of events that are in no open choice any more, and forgets what no choice can need.
    fn tidy(&mut self, asked: &Asked, now: Time, due: &mut Due) {
        let found = self.try_all(asked, now);
        let mut open = vec![false; self.events.len()];
        for (choice, _) in &found.open {
            choice.iter().for_each(|(i, _)| open[*i] = true);
        }
        for (i, looked) in self.events.iter().enumerate() {
            open[i] |= self
                .ready
                .iter()
                .flat_map(|(places, _)| places)
                .any(|(place, _)| *place == looked.place);
        }
        for (looked, open) in self.events.iter_mut().zip(&open) {
            if !*open && !looked.ended {
                looked.ended = true;
                if !looked.caused {
                    due.dropped
                        .push((looked.event.id, if looked.failed { Why::Failed } else { Why::Filtered }));
                }
            }
        }
        let first = open.iter().position(|open| *open).unwrap_or(self.events.len());
        self.next = found.open.iter().filter_map(|(_, next)| *next).min();
        let alive: Vec<u64> = found
            .open
            .iter()
            .map(|(choice, _)| self.events[choice[0].0].place)
            .collect();
        self.starts.retain(|(start, _)| alive.contains(start));
        self.events.drain(..first);
        self.held = self
            .events
            .iter()
            .filter(|looked| !looked.ended && !looked.caused)
            .count() as u64;
        let longest = asked
            .settings
            .pattern
            .tree
            .leading()
            .iter()
            .filter_map(|not| not.lasts)
            .max();
        let includes = asked.settings.absence_includes_end;
        self.past
            .retain(|looked| longest.is_some_and(|longest| over(looked.time + longest, includes) > now));
    }
}

/// From when on the time that ends there is over.
fn over(end: Time, includes_end: bool) -> Time {
    if includes_end { end + Span::UNIT } else { end }
}

impl Asked {
    /// Whether an event fits a step behind what was taken.
    fn fits<'a>(&self, looked: &'a Looked, step: &ArcStr, mut taken: Vec<Taken<'a>>) -> bool {
        if self.from.get(step).is_some_and(|input| *input != looked.input) {
            return false;
        }
        let Some(condition) = self.settings.conditions.get(step.as_str()) else {
            return true;
        };
        taken.push(Taken {
            event: &looked.event,
            input: looked.input,
            step: step.clone(),
        });
        let scope = OfMatch {
            names: &self.names,
            taken,
            stamp: looked.event.stamp,
        };
        holds(&condition.expr, &scope).unwrap_or(false)
    }

    /// As what steps a way takes an event; none if it does not.
    fn takes(&self, way: &Way, line: &Line, at: usize, choice: &[(usize, ArcStr)]) -> Vec<ArcStr> {
        let looked = &line.events[at];
        if !choice.is_empty() && self.waits(way, line, at, choice) {
            return vec![];
        }
        if let Some((step, _)) = &way.until
            && self.fits(looked, step, line.taken(choice))
        {
            return vec![];
        }
        let fitting = way
            .steps
            .iter()
            .filter(|step| self.fits(looked, step, line.taken(choice)));
        if way.all.is_some() && self.settings.all_may_share {
            fitting.cloned().collect()
        } else {
            fitting.take(1).cloned().collect()
        }
    }

    /// The ways that take an event: of two that decide otherwise at a loop only the one that has the say.
    fn takers(&self, all: Vec<Way>, line: &Line, at: usize, choice: &[(usize, ArcStr)]) -> Vec<(Way, Vec<ArcStr>)> {
        let fitting: Vec<(Way, Vec<ArcStr>)> = all
            .into_iter()
            .map(|way| {
                let taken = self.takes(&way, line, at, choice);
                (way, taken)
            })
            .filter(|(_, taken)| !taken.is_empty())
            .collect();
        let beaten = |way: &Way| fitting.iter().any(|(other, _)| other.against(way) == Some(true));
        fitting.iter().filter(|(way, _)| !beaten(way)).cloned().collect()
    }

    /// Whether an absence that has to last is not over at an event.
    fn waits(&self, way: &Way, line: &Line, at: usize, choice: &[(usize, ArcStr)]) -> bool {
        way.nots
            .iter()
            .any(|not| self.lasting(not, line, at, choice) == Some(true))
    }

    /// Whether the time of an absence still runs at an event; `None` where it has none.
    fn lasting(&self, not: &NotThis, line: &Line, at: usize, choice: &[(usize, ArcStr)]) -> Option<bool> {
        let (last, _) = choice.last()?;
        let end = line.events[*last].time + not.lasts?;
        Some(line.events[at].time < over(end, self.settings.absence_includes_end))
    }

    /// Whether an event closes a way without being taken by it.
    fn is_broken(&self, way: &Way, line: &Line, at: usize, choice: &[(usize, ArcStr)], next: bool) -> bool {
        let looked = &line.events[at];
        let lasts = way.nots.iter().any(|not| not.lasts.is_some());
        if !next && !lasts && !way.done() && way.edge == Contiguity::Strict {
            return true;
        }
        if let Some((step, true)) = &way.until
            && self.fits(looked, step, line.taken(choice))
        {
            return true;
        }
        if !self.takes(way, line, at, choice).is_empty() {
            return false;
        }
        way.nots.iter().any(|not| {
            let counts = self.lasting(not, line, at, choice).unwrap_or(true) && (next || !not.next);
            counts && self.fits(looked, &not.step, line.taken(choice))
        })
    }

    /// The end of what a way waits for: of `within`, or of the absence at the end of the pattern.
    fn end(&self, way: &Way, line: &Line, choice: &Choice) -> Option<Time> {
        let (first, last) = (line.events[choice.first()?.0].time, line.events[choice.last()?.0].time);
        let since = match self.settings.within_since {
            Since::First => first,
            Since::Previous => last,
        };
        let within = self.settings.within.map(|within| since + within);
        if !way.done() {
            return within;
        }
        let longest = way.nots.iter().filter_map(|not| not.lasts).max();
        longest.map(|lasts| last + lasts).or(within)
    }

    /// From when on that is over.
    fn moment(&self, way: &Way, line: &Line, choice: &Choice) -> Option<Time> {
        let includes = if way.done() {
            self.settings.absence_includes_end
        } else {
            self.settings.within_includes_end
        };
        self.end(way, line, choice).map(|end| over(end, includes))
    }
}

impl Reference for Sequences {
    fn arrive(&mut self, arrival: &Arrival) -> Due {
        let mut due = Due::default();
        match arrival {
            Arrival::Event { input, event, now, .. } => {
                let refused = matches!(self.future, Future::Refuse(tolerance) if event.stamp > *now + tolerance);
                if refused {
                    due.dropped.push((event.id, Why::Failed));
                } else if self.asked.settings.order == Order::Arrival {
                    self.look(*input, event.clone(), &mut due);
                } else if event.stamp <= self.watermark {
                    due.dropped.push((event.id, Why::Late));
                } else {
                    self.waiting.push((*input, event.clone()));
                }
            }
            Arrival::Watermark(watermark) if *watermark < Time::MAX || self.flush => {
                self.watermark = *watermark;
                // Copies of an event stay in the order in which they came.
                self.waiting.sort_by_key(|(_, event)| (event.stamp, event.id));
                let ready = self.waiting.partition_point(|(_, event)| event.stamp <= *watermark);
                for (input, event) in self.waiting.drain(..ready).collect::<Vec<_>>() {
                    self.look(input, event, &mut due);
                }
                self.advance(*watermark + self.tick, &mut due);
                if *watermark == Time::MAX {
                    for line in self.lines.values_mut() {
                        line.starts.clear();
                        line.release(&self.asked, Time::MAX, &mut due);
                        line.tidy(&self.asked, Time::MAX, &mut due);
                    }
                }
            }
            Arrival::Watermark(_) | Arrival::Timer { .. } => {}
            Arrival::Crash => {
                self.waiting.clear();
                self.lines.clear();
                (self.watermark, self.clock, self.looked_at) = (Time::MIN, Time::MIN, 0);
            }
        }
        // A key of which nothing is known is as one that never was.
        self.lines
            .retain(|_, line| !line.events.is_empty() || !line.past.is_empty() || line.waiting.is_some());
        due.dropped.sort_unstable();
        let ready = self.lines.values().flat_map(|line| &line.ready);
        due.limit = ready.map(|(_, stamp)| *stamp - self.tick).min();
        due.held = self.waiting.len() as u64 + self.lines.values().map(|line| line.held).sum::<u64>();
        due
    }
}
