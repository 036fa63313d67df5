//! Watermarks: what a generator must send, and how a stage combines those of its inputs.
//!
//! The model in words. A generator keeps a list of what it has heard of each input (or of all together, by `scope`), and
//! works out from it how far that input is: by the largest stamp, the largest time that a mark stated, or the stamps and
//! the delays of the last events. Its watermark combines those of the inputs that still count, as below. It is sent
//! behind the event that made it grow; with `every` at the ticks of a timer or at every so many events; with `back` it is
//! the one of some turns ago. When all inputs that have not ended are idle, that is said; the next event takes it back
//! first. When all have ended, the last watermark and the end follow at once. With `align` those inputs are held whose
//! own watermark is too far ahead of the smallest that counts.
//!
//! A stage with several inputs takes the smallest (or largest) watermark of those that count: that are neither idle nor
//! ended. One that speaks again counts at once and holds the others back until it has caught up; or, by `returns`, not
//! before it has caught up with what was sent. When all that have not ended are idle the watermark stays or, by
//! `all_idle`, goes to the largest that any of them has said. A watermark never steps back.

mod generator;
mod stage;

pub use generator::{Generator, Heard};
pub use stage::Minimum;
use wavetank_scenarios::Time;
use wavetank_scenarios::script::{AllIdle, Combine, Returns, ValveSettings};

/// Something that a generator or a stage must send, in order, behind the event that is its cause (but [`Signal::Idle`]
/// `false`, which goes before it).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// A watermark.
    Watermark(Time),
    /// All inputs are idle (`true`), or one is active again.
    Idle(bool),
    /// The marker of an epoch.
    Epoch(u64),
    /// The cut of a snapshot.
    Barrier(u64),
    /// Everything has ended.
    End,
    /// An input is held back (`true`), or goes on.
    Hold(usize, bool),
}

/// One of the inputs that are combined.
#[derive(Clone, Copy, Default, Debug)]
struct Channel {
    /// The largest watermark that it has said.
    said: Option<Time>,
    idle: bool,
    ended: bool,
    /// It was idle, and has not reached what was sent.
    lags: bool,
}

/// The inputs of a stage and the last watermark that it sent.
#[derive(Clone, Debug)]
struct Channels {
    settings: ValveSettings,
    all: Vec<Channel>,
    sent: Option<Time>,
}

impl Channels {
    fn new(inputs: usize, settings: ValveSettings) -> Self {
        let (all, sent) = (vec![Channel::default(); inputs], None);
        Self { settings, all, sent }
    }

    /// An input says a watermark. One that is idle is not listened to.
    fn say(&mut self, input: usize, watermark: Time) {
        if self.all[input].idle {
            return;
        }
        let said = self.all[input].said.max(Some(watermark));
        self.all[input].said = said;
        if said >= self.sent {
            self.all[input].lags = false;
        }
    }

    fn idle(&mut self, input: usize, idle: bool) {
        let was = std::mem::replace(&mut self.all[input].idle, idle);
        if was != idle {
            let behind = self.all[input].said < self.sent;
            self.all[input].lags = behind && self.settings.returns == Returns::CaughtUp;
        }
    }

    fn all_ended(&self) -> bool {
        self.all.iter().all(|channel| channel.ended)
    }

    /// Whether all that have not ended are idle.
    fn silent(&self) -> bool {
        !self.all_ended() && self.all.iter().all(|channel| channel.idle || channel.ended)
    }

    /// The watermark by now, if it is larger than the last one.
    fn next(&self) -> Option<Time> {
        let open: Vec<Channel> = self.all.iter().filter(|c| !c.ended).copied().collect();
        let flush = self.settings.all_idle == AllIdle::Flush;
        let combined = if open.is_empty() {
            Some(Time::MAX)
        } else if open.iter().all(|c| c.idle) {
            let largest = open.iter().filter_map(|c| c.said).max();
            largest.filter(|_| flush)
        } else {
            let counting: Vec<Option<Time>> = open.iter().filter(|c| !c.idle && !c.lags).map(|c| c.said).collect();
            match self.settings.combine {
                // One that has said nothing is `None`, which is the smallest of all.
                Combine::Min => counting.into_iter().min().flatten(),
                Combine::Max => counting.into_iter().max().flatten(),
            }
        };
        combined.filter(|next| Some(*next) > self.sent)
    }
}
