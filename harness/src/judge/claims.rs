//! Evaluates the statements of a scenario: at instants, and when all is over.

use wavetank_scenarios::expectation::{Claim, Comparison, Metric, Table, Term};
use wavetank_scenarios::metric;
use wavetank_scenarios::script::{After, Expect};
use wavetank_scenarios::topology::{Actor, ActorId, LinkId, Role, Topology};
use wavetank_scenarios::{Span, Time};

use super::{Judge, Reading};
use crate::faults;

/// What a metric's name stands for in a topology: one thing, or all parts of a source.
#[derive(Clone, PartialEq, Debug)]
pub struct Probe {
    metric: metric::Metric,
    statistic: Option<String>,
    of: Of,
}

#[derive(Clone, PartialEq, Debug)]
enum Of {
    Actors(Vec<ActorId>),
    Links(Vec<LinkId>),
    Fault(usize),
}

/// A statement whose names are found.
#[derive(Clone, PartialEq, Debug)]
pub enum Bound {
    /// Two numbers compared.
    Compare(Number, Comparison, Number),
    /// Two tables compared; `false` for not equal.
    Tables(Table, bool, Table),
    /// Both.
    And(Box<Bound>, Box<Bound>),
    /// Either.
    Or(Box<Bound>, Box<Bound>),
    /// Not.
    Not(Box<Bound>),
}

/// A number whose names are found.
#[derive(Clone, PartialEq, Debug)]
pub enum Number {
    /// A constant.
    Constant(f64),
    /// A metric, and its name for a person.
    Probe(Probe, String),
    /// Arithmetic.
    Arithmetic(Box<Number>, char, Box<Number>),
}

/// When a statement must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// At every instant.
    Always,
    /// Within this long after the start or the last fault.
    Eventually { within: Option<Span>, after: After },
    /// At some instant.
    Sometimes,
    /// At no instant.
    Never,
    /// In the end.
    Final,
}

/// An expectation of the scenario under watch.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Its place in the scenario's list.
    pub index: usize,
    /// When it must hold.
    pub when: When,
    /// What must hold.
    pub claim: Bound,
    /// When it was first seen true.
    pub first_true: Option<Time>,
    /// When it was first seen false, and the numbers then.
    pub first_false: Option<(Time, String)>,
    /// Whether it could be judged at any instant.
    pub judged: bool,
    /// For `eventually`: by when.
    pub deadline: Time,
}

/// What a judgement at an instant came to; `None` where something has not been measured.
pub type Truth = Option<bool>;

/// The kind of an expectation, and its text.
pub fn kind(expect: &Expect) -> Option<(When, &str)> {
    if let Some(text) = &expect.always {
        Some((When::Always, text))
    } else if let Some(text) = &expect.eventually {
        Some((
            When::Eventually {
                within: expect.within,
                after: expect.after,
            },
            text,
        ))
    } else if let Some(text) = &expect.sometimes {
        Some((When::Sometimes, text))
    } else if let Some(text) = &expect.never {
        Some((When::Never, text))
    } else {
        expect.finally.as_deref().map(|text| (When::Final, text))
    }
}

/// The watches of all expectations of the judge's scenario.
///
/// # Errors
/// When an expectation cannot be read or names what is not there.
pub fn watches(judge: &Judge) -> Result<Vec<Watch>, String> {
    let scenario = &judge.script.scenario;
    let mut watches = Vec::new();
    for (index, expect) in scenario.expects.iter().enumerate() {
        let (Some((when, _)), Some(claim)) = (kind(expect), judge.script.claims.get(index)) else {
            continue;
        };
        let claim = bind(judge, claim).map_err(|why| format!("expectation `{}`: {why}", expect.name))?;
        let deadline = match when {
            When::Eventually {
                within: Some(within),
                after: After::Start,
            } => judge.start + within,
            When::Eventually {
                within: Some(within),
                after: After::Faults,
            } => {
                let ends = scenario.faults.iter().map(|fault| faults::over(fault, judge.run));
                ends.max().unwrap_or(judge.start) + within
            }
            _ => Time::MAX,
        };
        let (first_true, first_false, judged) = (None, None, false);
        watches.push(Watch {
            index,
            when,
            claim,
            first_true,
            first_false,
            judged,
            deadline,
        });
    }
    Ok(watches)
}

fn bind(judge: &Judge, claim: &Claim) -> Result<Bound, String> {
    let two = |a: &Claim, b: &Claim| Ok::<_, String>((Box::new(bind(judge, a)?), Box::new(bind(judge, b)?)));
    Ok(match claim {
        Claim::Compare(left, comparison, right) => {
            Bound::Compare(number(judge, left)?, *comparison, number(judge, right)?)
        }
        Claim::Tables(left, equal, right) => Bound::Tables(left.clone(), *equal, right.clone()),
        Claim::And(a, b) => two(a, b).map(|(a, b)| Bound::And(a, b))?,
        Claim::Or(a, b) => two(a, b).map(|(a, b)| Bound::Or(a, b))?,
        Claim::Not(a) => Bound::Not(Box::new(bind(judge, a)?)),
    })
}

fn number(judge: &Judge, term: &Term) -> Result<Number, String> {
    Ok(match term {
        Term::Number(n) => Number::Constant(*n),
        Term::Span(span) => Number::Constant(span.micros() as f64),
        Term::Metric(metric) => Number::Probe(probe(judge, metric)?, name(metric)),
        Term::Arithmetic(a, operator, b) => {
            Number::Arithmetic(Box::new(number(judge, a)?), *operator, Box::new(number(judge, b)?))
        }
    })
}

fn name(metric: &Metric) -> String {
    let statistic = metric.statistic.as_ref().map_or_else(String::new, |s| format!(".{s}"));
    format!("{}.{}{statistic}", metric.of, metric.name)
}

fn probe(judge: &Judge, metric: &Metric) -> Result<Probe, String> {
    let found = metric::Metric::named(&metric.name).ok_or_else(|| format!("there is no metric `{}`", metric.name))?;
    let scenario = &judge.script.scenario;
    let of = if let Some(id) = metric.of.strip_prefix("fault.") {
        let fault = scenario.faults.iter().position(|fault| fault.id == id);
        Of::Fault(fault.ok_or_else(|| format!("there is no fault `{id}`"))?)
    } else if metric.of.contains("->") {
        Of::Links(judge.topology.links_named(&metric.of))
    } else {
        let actors = judge.topology.actors.iter().enumerate().filter(|(_, actor)| {
            actor.name == metric.of
                || matches!(actor.role, Role::Source { source, .. } if scenario.sources[source].name == metric.of)
                || matches!(actor.role, Role::Worker { operator, .. }
                    if scenario.operators[operator].name == metric.of && scenario.operators[operator].failover.is_none())
        });
        let mut actors: Vec<ActorId> = actors.map(|(i, _)| ActorId(i as u32)).collect();
        actors.extend(of_copies(&judge.topology, &metric.of, found));
        Of::Actors(actors)
    };
    match &of {
        Of::Actors(actors) if actors.is_empty() => return Err(format!("there is nothing called `{}`", metric.of)),
        Of::Links(links) if links.is_empty() => return Err(format!("there is no link `{}`", metric.of)),
        _ => {}
    }
    let statistic = metric.statistic.as_ref().map(ToString::to_string);
    Ok(Probe {
        metric: found,
        statistic,
        of,
    })
}

/// Who is read where there are two copies of the operator, or of the sub-stream, of that name: what is about both is read
/// from what publishes their results and from the gates, all else from the copies themselves.
fn of_copies(topology: &Topology, name: &str, metric: metric::Metric) -> Vec<ActorId> {
    let replicas = topology.replicas_named(name);
    let whole = |copy: &ActorId| {
        topology.actors[copy.0 as usize]
            .name
            .strip_suffix("-a.output")
            .is_some()
    };
    let pairs = replicas.iter().filter(|copy| whole(copy));
    let pairs: Vec<_> = pairs
        .filter_map(|copy| topology.actors[copy.0 as usize].role.pairs())
        .collect();
    let form = metric.descriptor().form;
    let read = |(index, actor): (usize, &Actor)| {
        let id = ActorId(index as u32);
        let of = match actor.role {
            // What the judge measures of both stands with the first of them.
            Role::Replica { side, .. } if metric.of_pair() && (side == 0 || form != metric::Form::Histogram) => {
                actor.role.pairs()
            }
            Role::Gate { .. } if metric.of_pair() && form == metric::Form::Counter => actor.role.pairs(),
            Role::Operator { .. } | Role::Worker { .. } if !metric.of_pair() => {
                let publishes = topology.coordinator(id);
                publishes.and_then(|publishes| topology.actors[publishes.0 as usize].role.pairs())
            }
            _ => None,
        };
        of.filter(|of| pairs.contains(of)).map(|_| id)
    };
    topology.actors.iter().enumerate().filter_map(read).collect()
}

impl Probe {
    fn read(&self, judge: &Judge) -> Option<f64> {
        let max = self.statistic.as_deref() == Some("max");
        let readings: Vec<Reading<'_>> = match &self.of {
            Of::Actors(actors) => actors
                .iter()
                .map(|actor| judge.actors[actor.0 as usize].read(self.metric, max))
                .collect(),
            Of::Links(links) => links
                .iter()
                .map(|link| judge.links[link.0 as usize].read(self.metric, max))
                .collect(),
            Of::Fault(fault) => vec![judge.faults[*fault].read(self.metric)],
        };
        if let [Reading::Histogram(one)] = readings.as_slice() {
            return self.statistic_of(one);
        }
        let mut sum = 0.0;
        let mut merged: Option<wavetank_reports::histogram::Histogram> = None;
        for reading in readings {
            match reading {
                Reading::Number(n) => sum += n,
                Reading::Nothing => return None,
                Reading::Histogram(histogram) => match &mut merged {
                    Some(merged) => merged.merge(histogram),
                    None => merged = Some(histogram.clone()),
                },
            }
        }
        match merged {
            Some(merged) => self.statistic_of(&merged),
            None => Some(sum),
        }
    }
    fn statistic_of(&self, histogram: &wavetank_reports::histogram::Histogram) -> Option<f64> {
        match self.statistic.as_deref().unwrap_or("mean") {
            "count" => Some(histogram.count() as f64),
            "mean" => histogram.mean(),
            other => histogram.statistic(other).map(|span| span.0 as f64),
        }
    }
    /// Who is measured, in the order of the topology.
    pub fn actors(&self) -> &[ActorId] {
        match &self.of {
            Of::Actors(actors) => actors,
            _ => &[],
        }
    }
    /// Which metric.
    pub const fn metric(&self) -> metric::Metric {
        self.metric
    }
}

impl Number {
    fn value(&self, judge: &Judge) -> Option<f64> {
        match self {
            Self::Constant(n) => Some(*n),
            Self::Probe(probe, _) => probe.read(judge),
            Self::Arithmetic(a, operator, b) => {
                let (a, b) = (a.value(judge)?, b.value(judge)?);
                match operator {
                    '+' => Some(a + b),
                    '-' => Some(a - b),
                    '*' => Some(a * b),
                    _ => (b != 0.0).then(|| a / b),
                }
            }
        }
    }
    /// Its value and what it is made of, for a person: `per-minute.late = 3`.
    fn show(&self, judge: &Judge) -> String {
        match self {
            Self::Constant(_) => String::new(),
            Self::Probe(probe, name) => match probe.read(judge) {
                None => format!("{name} has no value"),
                Some(value) => format!("{name} = {}", probe.in_unit(value)),
            },
            Self::Arithmetic(a, _, b) => join(a.show(judge), b.show(judge)),
        }
    }
    fn probes<'a>(&'a self, into: &mut Vec<&'a Probe>) {
        match self {
            Self::Constant(_) => {}
            Self::Probe(probe, _) => into.push(probe),
            Self::Arithmetic(a, _, b) => {
                a.probes(into);
                b.probes(into);
            }
        }
    }
}

impl Probe {
    fn in_unit(&self, value: f64) -> String {
        match self.metric.descriptor().unit {
            metric::Unit::Micros if self.statistic.as_deref() != Some("count") => {
                wavetank_reports::time::Span(value.round() as i64).to_string()
            }
            _ => wavetank_reports::record::Number(value).to_string(),
        }
    }
}

fn join(a: String, b: String) -> String {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b,
        (_, true) => a,
        _ => format!("{a}, {b}"),
    }
}

impl Bound {
    /// Whether it holds now. Statements about tables are judged in the end only.
    pub fn holds(&self, judge: &Judge, tables: &mut dyn FnMut(&Table, &Table) -> Truth) -> Truth {
        match self {
            Self::Compare(left, comparison, right) => {
                let (left, right) = (left.value(judge)?, right.value(judge)?);
                Some(match comparison {
                    Comparison::Equal => left == right,
                    Comparison::NotEqual => left != right,
                    Comparison::Less => left < right,
                    Comparison::LessOrEqual => left <= right,
                    Comparison::Greater => left > right,
                    Comparison::GreaterOrEqual => left >= right,
                })
            }
            Self::Tables(left, equal, right) => tables(left, right).map(|same| same == *equal),
            Self::And(a, b) => match (a.holds(judge, tables), b.holds(judge, tables)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(a, b) => match (a.holds(judge, tables), b.holds(judge, tables)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::Not(a) => a.holds(judge, tables).map(|holds| !holds),
        }
    }
    /// The numbers that it speaks of, for a person.
    pub fn show(&self, judge: &Judge) -> String {
        match self {
            Self::Compare(left, _, right) => join(left.show(judge), right.show(judge)),
            Self::Tables(..) => String::new(),
            Self::And(a, b) | Self::Or(a, b) => join(a.show(judge), b.show(judge)),
            Self::Not(a) => a.show(judge),
        }
    }
    /// All metrics that it reads.
    pub fn probes(&self) -> Vec<&Probe> {
        let mut probes = Vec::new();
        self.gather(&mut probes);
        probes
    }
    fn gather<'a>(&'a self, into: &mut Vec<&'a Probe>) {
        match self {
            Self::Compare(left, _, right) => {
                left.probes(into);
                right.probes(into);
            }
            Self::Tables(..) => {}
            Self::And(a, b) | Self::Or(a, b) => {
                a.gather(into);
                b.gather(into);
            }
            Self::Not(a) => a.gather(into),
        }
    }
    /// The pairs of tables that it compares.
    pub fn tables(&self) -> Vec<(&Table, &Table)> {
        match self {
            Self::Compare(..) => vec![],
            Self::Tables(left, _, right) => vec![(left, right)],
            Self::And(a, b) | Self::Or(a, b) => [a.tables(), b.tables()].concat(),
            Self::Not(a) => a.tables(),
        }
    }
}

impl Watch {
    /// Judges the statement at an instant, unless that is for the end or already decided.
    pub fn look(&mut self, at: Time, judge: &Judge) {
        let decided = match self.when {
            When::Final => true,
            When::Always => self.first_false.is_some(),
            When::Sometimes | When::Never => self.first_true.is_some(),
            When::Eventually { .. } => self.first_true.is_some() || at > self.deadline,
        };
        if decided {
            return;
        }
        match self.claim.holds(judge, &mut |_, _| None) {
            None => return,
            Some(true) => {
                if self.first_true.is_none() {
                    self.first_true = Some(at);
                    if self.when == When::Never {
                        self.first_false = Some((at, self.claim.show(judge)));
                    }
                }
            }
            Some(false) => {
                if self.first_false.is_none() {
                    self.first_false = Some((at, self.claim.show(judge)));
                }
            }
        }
        self.judged = true;
    }
}
