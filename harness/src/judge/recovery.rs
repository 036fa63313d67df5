//! What the judge knows of snapshots and recovery: the history of results that survives, and what is lost in a crash for
//! good.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use wavetank_actors::reliability::{Control, From};
use wavetank_oracle::DueResult;
use wavetank_oracle::table::Table;
use wavetank_scenarios::topology::{ActorId, LinkId, NodeId, Role, Topology};
use wavetank_scenarios::{EventId, Row, Time};

use super::words::{show_answer, show_question};
use super::{Breach, Judge, Loss};
use crate::judge::meters::{ActorMeter, Waits};

/// The results that are due, so far as no recovery has undone them: kept where there is somebody who goes back.
#[derive(Default)]
pub(super) struct History {
    /// By actor: what was due of it, in order.
    due: FxHashMap<ActorId, Vec<DueResult>>,
    /// By the first of two copies: how many of their results have been folded.
    shown: FxHashMap<ActorId, usize>,
    /// By actor and snapshot: how much of it was due at the cut, and its books.
    cuts: BTreeMap<(ActorId, u64), Cut>,
}

/// A crash that is not made good yet.
pub(super) struct Outage {
    /// The fault, by its index in the scenario.
    by: usize,
    node: NodeId,
    at: Time,
    detected: bool,
    /// Who has not come back to where it was, and whether it has gone back.
    behind: Vec<(ActorId, Place, bool)>,
}

/// How far an actor was.
#[derive(Clone, Copy)]
enum Place {
    /// It had taken so many events, and goes back to when it had taken fewer.
    Taken(u64),
    /// The largest stamp that it had taken; it begins afresh, and somewhere in the middle.
    Stamp(Time),
}

struct Cut {
    due: usize,
    account: wavetank_actors::world::Account,
}

impl History {
    /// Something is due; false when the same was due of its twin before.
    pub fn due(&mut self, actor: ActorId, twin: Option<ActorId>, due: &DueResult) -> bool {
        let own = self.due.entry(actor).or_default();
        own.push(due.clone());
        let made = own.len();
        let Some(twin) = twin else { return true };
        let shown = self.shown.entry(actor.min(twin)).or_default();
        let new = made > *shown;
        *shown = made.max(*shown);
        new
    }
    /// What was due of an actor, folded into a table.
    fn fold(&self, actor: ActorId, table: &mut Table) {
        self.due
            .get(&actor)
            .into_iter()
            .flatten()
            .for_each(|due| table.fold_due(due));
    }
}

/// What tells a result from another where it may come again: its window, key and revision; without a window, the event
/// that it goes back to and what it says.
pub(super) type Answer = (Option<(Time, Time, Row, u32, u8)>, Option<(EventId, Row)>);

/// What tells a result from another.
pub(super) fn answer(due: &DueResult) -> Answer {
    match &due.pane {
        Some(pane) => {
            let (key, change) = (pane.key.clone(), pane.change as u8);
            (Some((pane.start, pane.end, key, pane.revision, change)), None)
        }
        None => (None, Some((due.correlation, due.row.clone()))),
    }
}

impl Judge {
    /// A node crashed: what its actors held is gone.
    pub(super) fn crashed(&mut self, at: Time, node: NodeId, by: usize) {
        if self.recovers {
            self.goes_out(at, node, by);
        }
        let topology = Arc::clone(&self.topology);
        for (index, actor) in topology
            .actors
            .iter()
            .enumerate()
            .filter(|(_, actor)| actor.node == node)
        {
            let id = ActorId(index as u32);
            let meter = &mut self.actors[index];
            let held = meter.account.held;
            if held > 0 {
                meter.lost_in_crash += held;
            }
            if held > 0 && !topology.takes_part(id) {
                let entry = self
                    .losses
                    .entry(Loss::State(id))
                    .or_insert((0, at, EventId::default()));
                entry.0 += held;
            }
            let account = std::mem::take(&mut meter.account);
            for (before, now) in [
                (&mut meter.before.taken, account.taken),
                (&mut meter.before.caused, account.caused),
                (&mut meter.before.filtered, account.filtered),
                (&mut meter.before.late, account.late),
                (&mut meter.before.failed, account.failed),
            ] {
                *before += now;
            }
            meter.watermark = Time::MIN;
            meter.forget();
            meter.waits = Waits::default();
            if let Some(lockstep) = &mut self.lockstep[index] {
                lockstep.crash(topology.takes_part(id));
            }
            if let Some(shelf) = &mut self.shelves[index] {
                shelf.crash();
            }
            for link in &actor.outputs {
                // What stood in a batch went down with its sender.
                let batches = self.topology.links[link.0 as usize].settings.batch.is_some()
                    || self.topology.links[link.0 as usize].settings.linger.is_some();
                if batches && let Some(law) = &mut self.laws[link.0 as usize] {
                    law.under_way.clear();
                    law.breach = None;
                    self.laws[link.0 as usize] = None;
                }
            }
        }
        self.faults[by].last = Some(at);
    }

    /// A part of a snapshot has been cut.
    pub(super) fn cut(&mut self, actor: ActorId, snapshot: u64) {
        let index = actor.0 as usize;
        let cut = Cut {
            due: self.history.due.get(&actor).map_or(0, Vec::len),
            account: self.actors[index].account,
        };
        self.history.cuts.insert((actor, snapshot), cut);
        if let Some(lockstep) = &mut self.lockstep[index] {
            lockstep.cut(snapshot);
        }
    }

    /// An actor has gone back to a snapshot, or to its beginning.
    pub(super) fn restored(&mut self, at: Time, actor: ActorId, snapshot: Option<u64>, same: bool) {
        let index = actor.0 as usize;
        let twin = self.topology.twin(actor);
        let cut = snapshot.and_then(|snapshot| self.history.cuts.get(&(actor, snapshot)));
        // A copy may be given what its twin has cut.
        let given = snapshot.zip(twin).filter(|_| cut.is_none());
        let cut = cut.or_else(|| given.and_then(|(snapshot, twin)| self.history.cuts.get(&(twin, snapshot))));
        let (due, account) = cut.map_or_else(Default::default, |cut| (cut.due, cut.account));
        if let Some((snapshot, twin)) = given {
            let made = self
                .history
                .due
                .get(&twin)
                .map(|made| made[..due.min(made.len())].to_vec());
            self.history.due.insert(actor, made.unwrap_or_default());
            let model = self.lockstep[twin.0 as usize]
                .as_ref()
                .and_then(|lockstep| lockstep.kept(snapshot));
            if let (Some(model), Some(lockstep)) = (model, &mut self.lockstep[index]) {
                lockstep.keep(snapshot, model);
            }
        }
        if !self.afresh || twin.is_some() {
            self.history.due.entry(actor).or_default().truncate(due);
        }
        let copied = given.is_some();
        self.actors[index].goes_back(account, copied);
        self.actors[index].largest = Time::MIN;
        for outage in &mut self.outages {
            let this = outage.behind.iter_mut().filter(|(id, ..)| *id == actor);
            this.for_each(|(.., back)| *back = true);
        }
        self.catches_up(at, actor, account.taken);
        if let Some(lockstep) = &mut self.lockstep[index] {
            lockstep.restored(snapshot);
        }
        if !same && self.changed.is_none() {
            let expected = "what was saved".to_owned();
            let came = "something else".to_owned();
            let event = None;
            self.changed = Some((
                actor,
                Breach {
                    at,
                    event,
                    expected,
                    came,
                },
            ));
        }
        // What was due of two copies stays due: they only begin again to make it. Where operators begin afresh, what was
        // given stays given, and what comes again is told by its window and key.
        let sinks = if self.afresh || twin.is_some() {
            Vec::new()
        } else {
            self.readers[index].clone()
        };
        for sink in sinks {
            let feeds = (0..self.readers.len()).filter(|from| self.readers[*from].contains(&sink));
            let feeds: Vec<ActorId> = feeds.map(|from| ActorId(from as u32)).collect();
            let Some(watch) = self.sinks.get_mut(&sink) else {
                continue;
            };
            let mut admitted = Table::default();
            watch.plain.iter().for_each(|event| admitted.fold_event(event));
            feeds.iter().for_each(|from| self.history.fold(*from, &mut admitted));
            watch.admitted = admitted;
        }
    }

    /// A node crashed where somebody sets it back: everybody goes back, and must come again to where it was.
    pub(super) fn goes_out(&mut self, at: Time, node: NodeId, by: usize) {
        let actors = self.topology.actors.iter().enumerate();
        let works = actors.filter(|(_, actor)| actor.role.works().is_some());
        let ids = works.map(|(index, _)| ActorId(index as u32));
        // The copies of an operator are set back by themselves: see `pair`.
        let of_copies = |id: ActorId| {
            let role = self.topology.actors[id.0 as usize].role;
            self.topology.twin(id).is_some() || role.pairs().is_some()
        };
        let there = self
            .topology
            .actors
            .iter()
            .zip(0..)
            .filter(|(actor, _)| actor.node == node);
        if there.clone().next().is_some() && there.map(|(_, id)| ActorId(id)).all(of_copies) {
            return;
        }
        let behind: Vec<_> = ids
            .filter(|id| self.topology.takes_part(*id) && !of_copies(*id))
            .map(|id| {
                let meter = &self.actors[id.0 as usize];
                let place = if self.afresh {
                    Place::Stamp(meter.largest)
                } else {
                    Place::Taken(meter.account.taken)
                };
                (id, place, false)
            })
            .collect();
        if !behind.is_empty() {
            let detected = false;
            self.outages.push(Outage {
                node,
                by,
                at,
                detected,
                behind,
            });
        }
    }

    /// The coordinator hears of a new incarnation: the crash of its node has been noticed.
    pub(super) fn noticed(&mut self, at: Time, coordinator: ActorId, input: usize) {
        let link = self.topology.actors[coordinator.0 as usize].inputs[input];
        let from = self.topology.links[link.0 as usize].from;
        let node = self.topology.actors[from.0 as usize].node;
        let fresh = |outage: &&mut Outage| outage.node == node && !outage.detected;
        for outage in self.outages.iter_mut().filter(fresh) {
            outage.detected = true;
            let meter = &mut self.faults[outage.by];
            meter.detected = meter.detected.max(Some(at.since(outage.at)));
        }
    }

    /// An actor has taken so many events.
    pub(super) fn catches_up(&mut self, at: Time, actor: ActorId, taken: u64) {
        let largest = self.actors[actor.0 as usize].largest;
        let there = |place: &Place| match place {
            Place::Taken(before) => taken >= *before,
            Place::Stamp(before) => largest >= *before,
        };
        for outage in &mut self.outages {
            outage
                .behind
                .retain(|(id, before, back)| *id != actor || !back || !there(before));
            if outage.behind.is_empty() {
                let meter = &mut self.faults[outage.by];
                meter.recovered = meter.recovered.max(Some(at.since(outage.at)));
            }
        }
        self.outages.retain(|outage| !outage.behind.is_empty());
    }

    /// Whether what a crash takes from an actor comes again: it is set back, and reads again what it had read.
    pub(super) fn comes_again(&self, actor: ActorId) -> bool {
        self.topology.takes_part(actor) || self.topology.actors[actor.0 as usize].role.pairs().is_some()
    }

    /// Whether what is lost on its way comes again: who sent it is set back too, or keeps it.
    pub(super) fn link_comes_again(&self, link: LinkId) -> bool {
        comes_again(&self.topology, link)
    }
}

fn comes_again(topology: &Topology, link: LinkId) -> bool {
    let link = &topology.links[link.0 as usize];
    let broker = matches!(topology.actors[link.from.0 as usize].role, Role::Broker { .. });
    let pair = |actor: ActorId| topology.actors[actor.0 as usize].role.pairs().is_some();
    pair(link.to) || topology.takes_part(link.to) && (broker || topology.takes_part(link.from))
}

impl ActorMeter {
    /// Its books are again what they were: what has been counted since stays counted.
    fn goes_back(&mut self, account: wavetank_actors::world::Account, copied: bool) {
        if copied {
            // What the other copy took in counts here as well, as its fates do, and what it still held.
            self.taken += account.taken;
        } else {
            self.restored += account.held;
        }
        let now = std::mem::replace(&mut self.account, account);
        self.undone += now.held;
        for (before, now, then) in [
            (&mut self.before.taken, now.taken, account.taken),
            (&mut self.before.caused, now.caused, account.caused),
            (&mut self.before.filtered, now.filtered, account.filtered),
            (&mut self.before.late, now.late, account.late),
            (&mut self.before.failed, now.failed, account.failed),
        ] {
            *before = (*before + now).saturating_sub(if copied { 0 } else { then });
        }
        self.watermark = Time::MIN;
        self.forget();
    }
}

/// A message between those who save and go back, in words.
pub(crate) fn show_control(control: &Control) -> String {
    match control {
        Control::Snapshot(message) => message.to_string(),
        Control::Seek { attempt, from } => format!("recovery {attempt}: send again {}", show_from(from)),
        Control::Head(head) => format!("what follows: token {}, behind place {}", head.token, head.place),
        Control::Ask(_) => "asks for the lease".into(),
        Control::Question(question) => show_question(question),
        Control::Answer(answer) => show_answer(answer),
        Control::Copy(message) => super::pair::show(message),
        Control::Acknowledge(positions) => format!("{} acknowledged", positions.len()),
        Control::Missing(gap) => format!("not there any more: {gap}"),
        Control::Passed { watermark, .. } => format!("has passed {} on", super::explain_time(*watermark)),
        Control::Done { watermark, .. } => format!("{} has come out", super::explain_time(*watermark)),
    }
}

fn show_from(from: &From) -> String {
    match from {
        From::Positions(positions) => {
            let mut text = String::from("from");
            for position in positions {
                let _ = write!(text, " {}@{}", position.partition, position.offset);
            }
            text
        }
        From::Committed => "behind what was acknowledged".into(),
        From::Earliest => "from the oldest".into(),
        From::Latest => "from now on".into(),
        From::Time(time) => format!("from {}", super::explain_time(*time)),
    }
}
