//! The one actix actor: it hosts whatever plays a part, and is a thin shell around it.
//!
//! Handlers are synchronous and write to their [`Stage`] only, so that actix decides nothing but when they run within an
//! instant. A crash drops the address; nothing is flushed.

use actix::{Actor, Context, Handler, Recipient};
use wavetank_scenarios::Time;

use crate::reliability::{State, StateError};
use crate::world::{Deliver, Effect, Input, Stage};

/// A part in the play: a source, an operator, a watermark generator, a sink.
pub trait Part: 'static {
    /// Takes one input and does what it causes on the stage.
    fn play(&mut self, input: Input, stage: &mut Stage);
}

/// A part whose state goes into snapshots: two that were made alike and have the same state do the same with the same input,
/// to the last bit.
///
/// Timers are not state. Those that were set and had not come when a part was saved are set again by whoever restores it,
/// with the same tokens; all that the part remembers is that they are under way.
pub trait Keeps {
    /// Puts everything in that what it does later depends on. Nothing is under way: this comes between two inputs.
    fn save(&self, state: &mut State);

    /// Takes back what [`Keeps::save`] of a part that was made alike put in. It has had no input yet, not even
    /// [`Input::Enter`], which does not come any more.
    ///
    /// # Errors
    /// The state is not one of such a part, which is then not to be used.
    fn restore(&mut self, state: &State) -> Result<(), StateError>;

    /// It has been restored, and goes on: it does again what its world has forgotten with the incarnation before.
    fn resume(&self, _stage: &Stage) {}

    /// Whether it has put out all that it will.
    fn over(&self) -> bool;

    /// The largest watermark that it has put out, where it knows.
    fn watermark(&self) -> Time {
        Time::MIN
    }

    /// A snapshot is about to be cut.
    fn cut(&mut self, _snapshot: u64) {}
}

/// The actor that plays a part.
struct Host<P> {
    part: P,
    stage: Stage,
}

/// Starts the actor of a part on the current thread and returns the only way to reach it.
pub fn enter(part: impl Part + Unpin, stage: Stage) -> Recipient<Deliver> {
    Host { part, stage }.start().recipient()
}

impl<P: Part + Unpin> Actor for Host<P> {
    type Context = Context<Self>;
}

impl<P: Part + Unpin> Handler<Deliver> for Host<P> {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, _: &mut Self::Context) {
        self.stage.cause = deliver.cause;
        self.part.play(deliver.input, &mut self.stage);
        if self.stage.watched() {
            self.stage.put(Effect::Done);
        }
        drop(deliver.guard);
    }
}
