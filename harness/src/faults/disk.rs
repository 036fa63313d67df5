//! Faults on disks: what becomes of each file that is written or read.

use std::collections::BTreeMap;

use wavetank_actors::reliability::disk::{Action, DiskFaults, Mishap, Operation};
use wavetank_scenarios::distribution::{Delay, Sampler};
use wavetank_scenarios::draw::{DrawKey, name_key};
use wavetank_scenarios::fault::FaultKind;
use wavetank_scenarios::script;
use wavetank_scenarios::{Span, Time};

use super::Active;

/// One disk with all its declared faults.
///
/// Whether an operation is hit is a draw for the file and the how-manieth such operation on it, so that what is done with
/// other files changes nothing.
#[derive(Debug)]
pub struct DiskWaves {
    /// How long a write and a read take before their bytes move.
    write: Option<(Sampler, DrawKey)>,
    read: Option<(Sampler, DrawKey)>,
    faults: Vec<DiskFault>,
    /// How often each file has been written or read.
    done: BTreeMap<(Action, String), u64>,
}

/// One fault on one disk.
#[derive(Debug)]
struct DiskFault {
    active: Active,
    acts: Acts,
    hit: DrawKey,
    /// Decides how much, or where.
    amount: DrawKey,
    sampler: Option<Sampler>,
}

/// When a fault acts on a disk.
#[derive(Debug)]
enum Acts {
    /// On single operations by a draw, within the schedule's `during`.
    Drawn,
    /// On the first operation of its kind at or after each of these moments.
    Moments(std::iter::Peekable<std::vec::IntoIter<Time>>),
    /// On all in these periods.
    Periods(Vec<(Time, Time)>),
}

impl DiskWaves {
    pub(super) fn new(settings: &script::Disk, faults: &[Active], disk: &str, seed: u64) -> Self {
        let latency = |delay: &Option<Delay>, purpose| {
            let sampler = delay.as_ref().map(Delay::sampler);
            sampler.map(|sampler| (sampler, DrawKey::new(seed, disk, purpose, disk)))
        };
        Self {
            write: latency(&settings.write, "write"),
            read: latency(&settings.read, "read"),
            faults: faults.iter().map(|active| DiskFault::new(active, disk)).collect(),
            done: BTreeMap::new(),
        }
    }
}

impl DiskFault {
    fn new(active: &Active, disk: &str) -> Self {
        let fault = &active.fault;
        let key = |purpose| DrawKey::new(active.run.seed, &fault.id, purpose, disk);
        let acts = if fault.kind == FaultKind::FullDisk {
            Acts::Periods(active.periods())
        } else if active.schedule.has_moments() {
            let moments = active.schedule.moments().map(|moment| active.run.start + moment);
            Acts::Moments(moments.collect::<Vec<_>>().into_iter().peekable())
        } else {
            Acts::Drawn
        };
        Self {
            hit: key("hit"),
            amount: key("amount"),
            sampler: fault.amount.as_ref().map(|amount| amount.sampler()),
            acts,
            active: active.clone(),
        }
    }

    /// Whether it can act on operations of that kind at all.
    fn minds(&self, action: Action) -> bool {
        match self.active.fault.kind {
            FaultKind::StaleRead => action == Action::Read,
            _ => action.writes(),
        }
    }

    fn hits(&mut self, at: Time, file: u64, number: u64) -> bool {
        match &mut self.acts {
            Acts::Drawn => {
                self.active.schedule.within(self.active.since_start(at))
                    && self.hit.unit(file, number, 0) < self.active.fault.rate
            }
            Acts::Moments(moments) => {
                let mut due = false;
                while moments.next_if(|moment| *moment <= at).is_some() {
                    due = true;
                }
                due
            }
            Acts::Periods(periods) => periods.iter().any(|(from, to)| *from <= at && at < *to),
        }
    }

    fn befall(&self, file: u64, number: u64, mishap: &mut Mishap) {
        let place = || self.amount.unit(file, number, 0);
        match self.active.fault.kind {
            FaultKind::SlowWrite => {
                if let Some(sampler) = &self.sampler {
                    let by = sampler.sample(&mut self.amount.rng(file, number, 0));
                    mishap.slower = mishap.slower + by.max(Span::ZERO);
                }
            }
            FaultKind::FailedWrite => mishap.failed = true,
            FaultKind::FullDisk => mishap.full = true,
            FaultKind::TornWrite => mishap.torn = Some(place()),
            FaultKind::BitFlip => mishap.flipped = Some(place()),
            FaultKind::StaleRead => mishap.stale = true,
            FaultKind::LostFile => mishap.lost = true,
            _ => return,
        }
        mishap.fired.push(self.active.index);
    }
}

impl DiskFaults for DiskWaves {
    fn befall(&mut self, operation: &Operation<'_>, mishap: &mut Mishap) {
        let file = name_key(operation.file);
        let done = self
            .done
            .entry((operation.action, operation.file.to_owned()))
            .or_default();
        let number = *done;
        *done += 1;
        let latency = match operation.action {
            Action::Write | Action::Append | Action::Delete => &self.write,
            Action::Read | Action::List => &self.read,
        };
        if let Some((sampler, key)) = latency {
            mishap.slower = sampler.sample(&mut key.rng(file, number, 0)).max(Span::ZERO);
        }
        for fault in &mut self.faults {
            if fault.minds(operation.action) && fault.hits(operation.at, file, number) {
                fault.befall(file, number, mishap);
            }
        }
    }
}
