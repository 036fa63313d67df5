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
    /// How often something was written, added or deleted.
    changes: u64,
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
    /// On the so-manieth change of what is on the disk.
    Change(u64),
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
            changes: 0,
            done: BTreeMap::new(),
        }
    }
}

impl DiskFault {
    fn new(active: &Active, disk: &str) -> Self {
        let fault = &active.fault;
        let key = |purpose| DrawKey::new(active.run.seed, &fault.id, purpose, disk);
        let acts = if let Some(change) = fault.write {
            Acts::Change(change)
        } else if fault.kind == FaultKind::FullDisk {
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
            sampler: fault.amount.as_ref().map(Delay::sampler),
            acts,
            active: active.clone(),
        }
    }

    /// Whether it can act on operations of that kind at all.
    fn minds(&self, action: Action) -> bool {
        match self.active.fault.kind {
            FaultKind::StaleRead => action == Action::Read,
            // Of deletions only one that a scenario names goes wrong.
            FaultKind::SlowWrite | FaultKind::FailedWrite | FaultKind::LostFile => {
                action.writes() || (action == Action::Delete && self.active.fault.write.is_some())
            }
            _ => action.writes(),
        }
    }

    fn hits(&mut self, at: Time, change: u64, file: u64, number: u64) -> bool {
        match &mut self.acts {
            Acts::Change(only) => change == *only,
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
        let deletes = operation.action == Action::Delete;
        self.changes += u64::from(operation.action.writes() || deletes);
        for fault in &mut self.faults {
            if fault.minds(operation.action) && fault.hits(operation.at, self.changes, file, number) {
                fault.befall(file, number, mishap);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wavetank_scenarios::fault::{FAULTS, FaultDescriptor, Place};
    use wavetank_scenarios::schedule::Schedule;

    use super::*;
    use crate::faults::Run;

    fn declared(index: usize, descriptor: &FaultDescriptor, rate: f64, seed: u64) -> Active {
        let run = Run {
            seed,
            start: Time::ZERO,
            length: Span::from_secs(100),
        };
        let name = descriptor.name;
        let mut text = format!("id = \"{name}\"\nkind = \"{name}\"\non = \"disk\"\nrate = {rate:?}\n");
        if descriptor.kind == FaultKind::SlowWrite {
            text += "amount = { exp = \"1s\" }";
        }
        let fault: script::Fault = toml::from_str(&text).expect("a fault");
        let schedule = Schedule::new(&fault, seed, run.length);
        Active {
            index,
            fault,
            schedule,
            run,
        }
    }

    fn on_disks() -> impl Iterator<Item = &'static FaultDescriptor> {
        let keyed = |fault: &&FaultDescriptor| fault.place == Place::Disk && fault.kind != FaultKind::FullDisk;
        FAULTS.iter().filter(keyed)
    }

    /// What befalls writes and reads of forty files, by file.
    fn befalls(faults: &[Active], seed: u64) -> Vec<Mishap> {
        let mut waves = DiskWaves::new(&script::Disk::default(), faults, "disk", seed);
        let mut mishaps = Vec::new();
        for number in 0..40_u64 {
            for action in [Action::Write, Action::Read] {
                let mut mishap = Mishap::default();
                let file = format!("{number}/part");
                let operation = Operation {
                    action,
                    file: &file,
                    number,
                    bytes: 10,
                    at: Time::ZERO + Span::from_secs(number as i64),
                };
                waves.befall(&operation, &mut mishap);
                mishaps.push(mishap);
            }
        }
        mishaps
    }

    fn hit(mishaps: &[Mishap], index: usize) -> BTreeSet<usize> {
        let hit = mishaps.iter().enumerate();
        hit.filter(|(_, mishap)| mishap.fired.contains(&index))
            .map(|(at, _)| at)
            .collect()
    }

    #[test]
    fn a_higher_rate_hits_what_a_lower_one_does_and_more() {
        for fault in on_disks() {
            let hits = [0.0, 0.2, 0.6, 1.0].map(|rate| hit(&befalls(&[declared(0, fault, rate, 7)], 7), 0));
            assert!(hits[0].is_empty(), "{}", fault.name);
            assert!(
                hits.windows(2).all(|pair| pair[0].is_subset(&pair[1])),
                "{}",
                fault.name
            );
            assert_eq!(hits[3].len(), 40, "{}", fault.name);
        }
    }

    #[test]
    fn a_fault_leaves_the_decisions_of_others_as_they_were_and_a_seed_brings_the_same_ones() {
        let others: Vec<_> = on_disks()
            .enumerate()
            .map(|(i, fault)| declared(i, fault, 0.3, 7))
            .collect();
        let together = befalls(&others, 7);
        for (index, fault) in on_disks().enumerate() {
            let alone = befalls(&[declared(index, fault, 0.3, 7)], 7);
            assert_eq!(hit(&alone, index), hit(&together, index), "{}", fault.name);
            assert_eq!(alone, befalls(&[declared(index, fault, 0.3, 7)], 7));
            assert_ne!(alone, befalls(&[declared(index, fault, 0.3, 8)], 8), "{}", fault.name);
        }
    }

    #[test]
    fn a_disk_takes_as_long_as_its_settings_say() {
        let settings = script::Disk {
            write: Some(Delay::Constant(Span::from_millis(5))),
            read: Some(Delay::Constant(Span::from_millis(2))),
            ..script::Disk::default()
        };
        let mut waves = DiskWaves::new(&settings, &[], "disk", 1);
        for (action, millis) in [
            (Action::Write, 5),
            (Action::Delete, 5),
            (Action::Read, 2),
            (Action::List, 2),
        ] {
            let mut mishap = Mishap::default();
            let operation = Operation {
                action,
                file: "a",
                number: 0,
                bytes: 0,
                at: Time::ZERO,
            };
            waves.befall(&operation, &mut mishap);
            assert_eq!(mishap.slower, Span::from_millis(millis));
            assert!(mishap.fired.is_empty());
        }
    }
}
