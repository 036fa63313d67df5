//! Which events a node gives up when too many wait.

use std::hash::{Hash, Hasher};

use wavetank_scenarios::Event;
use wavetank_scenarios::draw::DrawKey;
use wavetank_scenarios::script::Shed;
use wavetank_scenarios::topology::{ActorId, LinkId, Topology};
use xxhash_rust::xxh3::Xxh3Default;

/// The policy of one actor's mailbox.
#[derive(Debug)]
pub(crate) struct Shedding {
    above: usize,
    share: f64,
    which: Which,
    key: DrawKey,
}

#[derive(Debug)]
enum Which {
    /// Each event by itself.
    Any,
    /// By the value of a field: where it stands in what comes by each link.
    Key(Vec<(LinkId, usize)>),
    /// The least by the value of a field.
    Least(Vec<(LinkId, usize)>),
}

/// What is to be done with an event that comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It may wait.
    Admit,
    /// It is shed.
    Shed,
    /// The least of those that wait is shed, or this one if it is less.
    Least,
}

impl Shedding {
    pub fn new(shed: &Shed, topology: &Topology, actor: ActorId, seed: u64) -> Self {
        let spec = &topology.actors[actor.0 as usize];
        let slots = |field: &str| {
            let of = |link: &LinkId| {
                let from = topology.links[link.0 as usize].from;
                let schema = &topology.actors[from.0 as usize].schema;
                Some((*link, schema.slot(field)?))
            };
            spec.inputs.iter().filter_map(of).collect()
        };
        let which = match (&shed.by, &shed.priority) {
            (_, Some(field)) => Which::Least(slots(field)),
            (Some(field), None) => Which::Key(slots(field)),
            (None, None) => Which::Any,
        };
        Self {
            above: shed.above as usize,
            share: shed.share.unwrap_or(1.0),
            which,
            key: DrawKey::new(seed, "node", "shed", &spec.name),
        }
    }

    /// Looks at an event that comes by `link` while so many wait. `producer` is the key of its producer's name.
    pub fn look(&self, waiting: usize, link: LinkId, event: &Event, producer: u64) -> Verdict {
        if waiting < self.above {
            return Verdict::Admit;
        }
        let hit = match &self.which {
            Which::Least(_) => return Verdict::Least,
            Which::Any => self.key.unit(producer, event.id.number, 0) < self.share,
            Which::Key(slots) => {
                let mut hash = Xxh3Default::new();
                value(slots, link, event).hash(&mut hash);
                self.key.slot(hash.finish()) < self.share
            }
        };
        if hit { Verdict::Shed } else { Verdict::Admit }
    }

    /// The field that decides, of an event that came by `link`; nothing is less than any value.
    pub fn priority<'a>(&self, link: LinkId, event: &'a Event) -> Option<&'a wavetank_scenarios::Value> {
        match &self.which {
            Which::Least(slots) => value(slots, link, event),
            _ => None,
        }
    }
}

fn value<'a>(slots: &[(LinkId, usize)], link: LinkId, event: &'a Event) -> Option<&'a wavetank_scenarios::Value> {
    let (_, slot) = slots.iter().find(|(of, _)| *of == link)?;
    event.row.get(*slot)
}
