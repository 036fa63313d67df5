//! Progress on standard error, for runs that take a while.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wavetank_scenarios::Span;

use super::notice;
use crate::clock::Stopwatch;
use crate::run;

/// How progress is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Style {
    /// A bar when standard error is a terminal, else nothing
    Auto,
    /// A bar; at a terminal only
    Bar,
    /// A line now and then, anywhere
    Counter,
    /// Nothing
    None,
}

/// Nothing is shown before that: what is done at once needs no bar.
const PATIENCE: Duration = Duration::from_millis(400);

/// How far a command has come, in runs, and in virtual time where there is only one.
#[derive(Clone)]
pub struct Progress(Arc<Shown>);

struct Shown {
    style: Style,
    bar: ProgressBar,
    runs: u64,
    state: Mutex<State>,
    since: Stopwatch,
}

#[derive(Default)]
struct State {
    done: u64,
    /// Tenths of the whole that a counter has told of.
    told: u64,
    visible: bool,
}

impl Progress {
    /// Of a command that does so many runs.
    pub fn new(style: Style, runs: usize) -> Self {
        // Drawn to a terminal only: indicatif hides a bar whose target is none.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let template = if runs == 1 {
            "{bar:30} {msg}"
        } else {
            "{bar:30} {pos}/{len} runs, {elapsed}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let shown = Shown {
            style,
            bar,
            runs: runs as u64,
            state: Mutex::default(),
            since: Stopwatch::start(),
        };
        Self(Arc::new(shown))
    }

    /// What a run tells its virtual time to; nothing where there are many, or nothing is shown.
    pub fn of_run(&self) -> Option<run::Progress> {
        let shown = Arc::clone(&self.0);
        (shown.runs == 1 && shown.style != Style::None).then(|| {
            run::Progress(Arc::new(move |done: Span, length: Span| {
                // Without a set length there is no telling how far it is.
                let length = if length == Span::MAX { done } else { length };
                let (done, length) = (done.micros().max(0) as u64, length.micros().max(1) as u64);
                shown.show(done.min(length), length, &|| {
                    format!("{} of {} of virtual time", short(done), short(length))
                });
            }))
        })
    }

    /// Another run is done.
    pub fn done(&self) {
        let done = match self.0.state.lock() {
            Ok(mut state) => {
                state.done += 1;
                state.done
            }
            Err(_) => return,
        };
        if self.0.runs > 1 {
            let runs = self.0.runs;
            self.0.show(done, runs, &|| format!("{done} of {runs} runs"));
        }
    }

    /// Prints without disturbing the bar.
    pub fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        self.0.bar.suspend(print)
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.bar.finish_and_clear();
    }
}

impl Shown {
    fn show(&self, done: u64, all: u64, words: &dyn Fn() -> String) {
        let Ok(mut state) = self.state.lock() else { return };
        match self.style {
            Style::None => {}
            Style::Counter => {
                let tenths = done * 10 / all.max(1);
                if tenths > state.told {
                    state.told = tenths;
                    notice::note(&words());
                }
            }
            Style::Auto | Style::Bar => {
                if !state.visible && self.since.elapsed() >= PATIENCE {
                    state.visible = true;
                    self.bar.set_draw_target(ProgressDrawTarget::stderr());
                }
                self.bar.set_length(all);
                self.bar.set_position(done);
                if self.runs == 1 {
                    self.bar.set_message(words());
                }
            }
        }
    }
}

fn short(micros: u64) -> String {
    wavetank_reports::Span(i64::try_from(micros).unwrap_or(i64::MAX)).short()
}
