//! Knowing that an instant is over: a count of the messages in flight, kept by a guard inside each message.
//!
//! A message's guard lives until its handler has returned, or until the message dies with the mailbox of a stopped actor.
//! When the last one is gone no handler is running and no mailbox holds anything: the system is quiescent.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;

/// The count of messages in flight of one world.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    messages: AtomicUsize,
    quiet: AtomicWaker,
    panicked: AtomicBool,
}

impl InFlight {
    /// Counts one message more; the guard travels inside it.
    pub fn guard(&self) -> Guard {
        self.0.messages.fetch_add(1, Ordering::Relaxed);
        Guard(Arc::clone(&self.0))
    }
    /// True when a handler has panicked: the runtime swallows that together with the actor.
    pub fn panicked(&self) -> bool {
        self.0.panicked.load(Ordering::Acquire)
    }
    /// Waits until no message is in flight.
    pub async fn quiescence(&self) {
        poll_fn(|context| {
            if self.0.messages.load(Ordering::Acquire) == 0 {
                return Poll::Ready(());
            }
            self.0.quiet.register(context.waker());
            // A guard may have gone between the look and the registration.
            if self.0.messages.load(Ordering::Acquire) == 0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// One message in flight; dropping it takes it from the count.
#[derive(Debug)]
pub struct Guard(Arc<Count>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.panicked.store(true, Ordering::Release);
        }
        if self.0.messages.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.quiet.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_test::{assert_pending, assert_ready, task};

    #[test]
    fn without_messages_it_is_quiet_at_once() {
        assert_ready!(task::spawn(InFlight::default().quiescence()).poll());
    }

    #[test]
    fn it_is_quiet_when_the_last_guard_is_gone_and_not_before() {
        let count = InFlight::default();
        let (first, second) = (count.guard(), count.guard());
        let mut quiet = task::spawn(count.quiescence());
        assert_pending!(quiet.poll());
        drop(first);
        assert!(!quiet.is_woken(), "one message is still in flight");
        assert_pending!(quiet.poll());
        drop(second);
        assert!(quiet.is_woken());
        assert_ready!(quiet.poll());
    }

    #[test]
    fn a_message_sent_by_a_handler_keeps_the_world_awake() {
        let count = InFlight::default();
        let first = count.guard();
        let mut quiet = task::spawn(count.quiescence());
        assert_pending!(quiet.poll());
        let answer = count.guard();
        drop(first);
        assert_pending!(quiet.poll());
        drop(answer);
        assert_ready!(quiet.poll());
    }
}
