//! Many jobs on a few threads, their results handed over in the order of the jobs; and a guard that turns a panic into
//! an error that can be told, so that one broken run does not take the others with it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Once, mpsc};
use std::thread;

/// As much as a main thread usually has: queries nest, and worlds are deep.
const STACK: usize = 8 << 20;

/// Does `work` for the jobs `0..jobs` on at most `threads` threads, each with a state of its own made by `start`, and
/// hands the results to `take` on this thread, in the order of the jobs. After a `take` that breaks, or once `enough` is
/// true, no further job begins; what is under way is finished, and handed over as long as there is no gap before it.
pub fn in_order<S, R: Send>(
    jobs: usize,
    threads: usize,
    enough: &AtomicBool,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> R + Sync,
    mut take: impl FnMut(usize, R) -> ControlFlow<()>,
) {
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let (send, receive) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.max(1)) {
            let (send, next, stopped, start, work) = (send.clone(), &next, &stopped, &start, &work);
            let worker = move || {
                let mut state = start();
                while !stopped.load(Ordering::SeqCst) && !enough.load(Ordering::SeqCst) {
                    let job = next.fetch_add(1, Ordering::SeqCst);
                    if job >= jobs || send.send((job, work(&mut state, job))).is_err() {
                        break;
                    }
                }
            };
            // Without a thread there is still this one less; with none at all the channel closes and nothing is taken.
            let _ = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, worker);
        }
        drop(send);
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        for (job, result) in receive {
            waiting.insert(job, result);
            while let Some(result) = waiting.remove(&due) {
                if !stopped.load(Ordering::SeqCst) && take(due, result).is_break() {
                    stopped.store(true, Ordering::SeqCst);
                }
                due += 1;
            }
        }
    });
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Does `work`; when it panics, anywhere on this thread, says with what and where.
///
/// # Errors
/// The message of the panic and its place in the source.
pub fn guarded<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                return before(info);
            }
            let message = info.payload_as_str().unwrap_or("something that is no text");
            let place = info
                .location()
                .map(|at| format!(" ({}:{})", at.file(), at.line()))
                .unwrap_or_default();
            // The first panic is the cause; others may follow from it.
            PANIC.with_borrow_mut(|panic| _ = panic.get_or_insert(format!("{message}{place}")));
        }));
    });
    PANIC.set(None);
    GUARDED.set(true);
    // Whatever the work has left half done is dropped by the caller, who gets nothing else back.
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(false);
    // A runtime swallows the panics of its tasks; they have been seen all the same.
    match (done, PANIC.take()) {
        (Ok(done), None) => Ok(done),
        (_, Some(panic)) => Err(panic),
        (Err(_), None) => Err("a panic without a message".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(jobs: usize, threads: usize, last: usize) -> Vec<(usize, usize)> {
        let mut all = Vec::new();
        let never = AtomicBool::new(false);
        in_order(
            jobs,
            threads,
            &never,
            || 10,
            |ten, job| *ten * job,
            |job, result| {
                all.push((job, result));
                if job == last {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        );
        all
    }

    #[test]
    fn results_come_in_the_order_of_the_jobs_whatever_the_number_of_threads() {
        let wanted: Vec<_> = (0..100).map(|job| (job, job * 10)).collect();
        for threads in [0, 1, 3, 200] {
            assert_eq!(taken(100, threads, usize::MAX), wanted);
        }
        assert!(taken(0, 4, usize::MAX).is_empty());
    }

    #[test]
    fn nothing_is_handed_over_after_a_break_and_nothing_begins_when_it_is_enough() {
        let wanted: Vec<_> = (0..8).map(|job| (job, job * 10)).collect();
        assert_eq!(taken(100, 3, 7), wanted);
        let enough = AtomicBool::new(true);
        in_order(
            100,
            3,
            &enough,
            || (),
            |(), job| job,
            |job, _| unreachable!("{job} was begun"),
        );
    }

    #[test]
    fn a_panic_is_told_with_its_place_and_the_next_work_goes_on() {
        let error = guarded(|| panic!("state {} is gone", 7))
            .map(|()| 0)
            .expect_err("it panics");
        assert!(
            error.starts_with("state 7 is gone (") && error.contains("batch.rs:"),
            "{error}"
        );
        assert_eq!(guarded(|| 5), Ok(5));
        // As a runtime does with its tasks.
        let swallowed = guarded(|| _ = panic::catch_unwind(|| panic!("inside")));
        assert!(swallowed.expect_err("it was seen").starts_with("inside"));
    }
}
