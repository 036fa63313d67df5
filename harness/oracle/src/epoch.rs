//! Epochs: which events lie between which markers, on every path.
//!
//! The model in words. A source's event belongs to the epoch whose number is that of the last marker that the source had
//! put out before it. On every channel the numbers of markers grow. Wherever the event itself is taken, as many markers
//! have been taken before it as its source had put out; whatever is made from it is taken no sooner than that. So the
//! content of an epoch is the same on every path and for any interleaving, and when a marker has been taken somewhere,
//! everything that was said before it has been. Nothing is known here of merges, of what they hold back, or of clocks.

use std::collections::BTreeMap;

use wavetank_scenarios::EventId;

/// The epochs of one run.
#[derive(Debug, Default)]
pub struct Epochs {
    /// The last marker that each actor put out, and the last that each took, by their numbers in the topology.
    put_out: BTreeMap<u32, u64>,
    taken: BTreeMap<u32, u64>,
    /// The epoch of each event of a source.
    of: BTreeMap<EventId, u64>,
}

impl Epochs {
    /// A source puts out an event.
    pub fn said(&mut self, event: EventId) {
        let epoch = self.put_out.get(&event.producer.0).copied().unwrap_or(0);
        self.of.entry(event).or_insert(epoch);
    }

    /// An actor puts out a marker.
    ///
    /// # Errors
    /// What should have come, where its number does not grow.
    pub fn marks(&mut self, actor: u32, number: u64) -> Result<(), String> {
        let last = self.put_out.insert(actor, number).unwrap_or(0);
        if number > last {
            Ok(())
        } else {
            Err(format!("a marker above {last}"))
        }
    }

    /// An actor takes a marker.
    pub fn takes_marker(&mut self, actor: u32, number: u64) {
        self.taken.insert(actor, number);
    }

    /// An actor takes an event that goes back to these events of sources.
    ///
    /// # Errors
    /// In which epoch it should have been taken, where it is in another.
    pub fn takes(&self, actor: u32, event: EventId, origins: &[EventId]) -> Result<(), String> {
        let here = self.taken.get(&actor).copied().unwrap_or(0);
        if let Some(epoch) = self.of.get(&event) {
            if *epoch == here {
                return Ok(());
            }
            return Err(format!("taken behind marker {epoch} and before the next"));
        }
        match origins.iter().filter_map(|origin| self.of.get(origin)).max() {
            Some(epoch) if *epoch > here => Err(format!("taken no sooner than marker {epoch}")),
            _ => Ok(()),
        }
    }

    /// The last marker that an actor took.
    pub fn at(&self, actor: u32) -> u64 {
        self.taken.get(&actor).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_scenarios::Producer;

    fn id(producer: u32, number: u64) -> EventId {
        EventId {
            producer: Producer(producer),
            number,
        }
    }

    #[test]
    fn an_event_belongs_between_the_same_two_markers_everywhere() {
        let mut epochs = Epochs::default();
        epochs.said(id(0, 0));
        epochs.marks(0, 1).expect("the first");
        epochs.said(id(0, 1));
        assert_eq!(epochs.takes(5, id(0, 0), &[id(0, 0)]), Ok(()));
        epochs.takes(5, id(0, 1), &[id(0, 1)]).expect_err("before marker 1");
        epochs
            .takes(5, id(5, 0), &[id(0, 0), id(0, 1)])
            .expect_err("made of what is not there yet");
        epochs.takes_marker(5, 1);
        assert_eq!(epochs.takes(5, id(0, 1), &[id(0, 1)]), Ok(()));
        epochs
            .takes(5, id(0, 0), &[id(0, 0)])
            .expect_err("it was due before marker 1");
        assert_eq!(
            epochs.takes(5, id(5, 0), &[id(0, 0)]),
            Ok(()),
            "a result may come later"
        );
    }

    #[test]
    fn markers_grow_on_every_channel() {
        let mut epochs = Epochs::default();
        assert_eq!(epochs.marks(0, 2), Ok(()));
        epochs.marks(0, 2).expect_err("again");
    }
}
