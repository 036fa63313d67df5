//! Ctrl-C: the first one ends runs early, so that what they saw is judged and kept; the second ends the process at once.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wavetank_scenarios::exit::Exit;

use super::notice;

/// Listens for Ctrl-C from now on; what is returned becomes true with the first one.
pub fn listen() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&flag);
    let listening = ctrlc::set_handler(move || {
        if told.swap(true, Ordering::SeqCst) {
            process::exit(i32::from(Exit::Interrupted.code()));
        }
        notice::note("\nstopping: what was seen so far is judged and kept; Ctrl-C again ends at once");
    });
    if let Err(error) = listening {
        notice::warning(&format!("Ctrl-C will end runs without a record: {error}"));
    }
    flag
}
