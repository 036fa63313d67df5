//! Windowed aggregation: events grouped by stretches of event time (or by number), and what they add up to.
//!
//! A window fires when the watermark says that it is complete (`w ≥ end − tick`): in order of (end, start), the rows of a
//! firing by `order by` and then by the group's key, ascending. Whether an event is late, what becomes of it, and how long
//! a window takes events in after it has fired are settings (`core.rs`). An event that comes for a window that has
//! fired corrects it at once: rows that vanish are deleted, new ones inserted, changed ones updated, and what has not
//! changed is not said again.
//!
//! Fates. An event is held until the last window that it belongs to takes no more events in. Then it has caused a result
//! when some row of its group was put out, while it was there, for a window that it belongs to; otherwise (`having`,
//! `limit`, a correction that changes nothing) it is filtered. Where each event is bound to cause a result no ids are kept:
//! it is enough to count.

pub(crate) mod aggregate;
mod answers;
mod by_key;
mod cardinality;
mod core;
mod count;
mod exact;
mod grid;
mod keep;
mod marks;
mod plan;
mod session;
mod sketch;
mod slice;
mod sliding;
mod snapshot;
mod stagger;

use wavetank_scenarios::query::{Expr, Query, Window};
use wavetank_scenarios::script::{WindowAlign, WindowBounds};
use wavetank_scenarios::{Span, script};

use self::core::{Core, Settings};
use self::count::{Count, CountWindows};
use self::grid::{Grid, GridWindows};
use self::snapshot::{Lasting, SnapshotWindows};
use super::expr::{Compiled, Fields};
use crate::operator::Operator;

/// The longest span that a window may have: about 73,000 years, so that sums of times and spans fit.
const LONGEST: Span = Span::from_micros(i64::MAX / 4);

/// Builds the operator of an aggregating query.
///
/// # Errors
/// What cannot be compiled, or what the settings ask of a window that it does not do.
pub fn build(
    operator: &script::Operator,
    query: &Query,
    fields: Fields<'_>,
    tick: Span,
    lineage: bool,
) -> Result<Box<dyn Operator>, String> {
    let mut settings = Settings::new(operator, tick);
    let window = match (&query.window, operator.snapshot_by_stamp) {
        (Some(Window::Snapshot { .. }), true) => Window::Tumbling {
            size: tick,
            offset: Span::ZERO,
        },
        (Some(window), _) => window.clone(),
        (None, _) => Window::Global,
    };
    check(&window, settings)?;
    // The bounds of the others follow from their events: there is no such window without one.
    settings.emit_empty &= matches!(
        window,
        Window::Tumbling { .. } | Window::Hop { .. } | Window::Cumulate { .. } | Window::Sliding { .. }
    );
    if matches!(window, Window::Length(_) | Window::LengthBatch(_) | Window::Global) {
        settings = settings.without_lateness();
    }
    let plan = plan::Plan::new(
        query,
        fields,
        operator.truncate_integer_avg,
        settings.answers_again(),
        lineage,
    )?;
    let shift = match (operator.bounds, &window) {
        (WindowBounds::End, _) => tick,
        (WindowBounds::Both, Window::Session { gap }) => *gap,
        (WindowBounds::Both, _) => tick,
        (WindowBounds::Start, _) => Span::ZERO,
    };
    settings.shift = shift;
    // Inside, all windows are half-open: those that have their end begin a tick later.
    let later = if operator.bounds == WindowBounds::End {
        tick
    } else {
        Span::ZERO
    };
    let grid = |grid| Placed::Grid(grid, operator.align);
    let core = |plan| Core::new(plan, settings);
    let placed = match window {
        Window::Tumbling { size, offset } => grid(Grid::Hop {
            size,
            every: size,
            offset: offset + later,
        }),
        Window::Hop { size, every, offset } => {
            let offset = offset + later;
            grid(Grid::Hop { size, every, offset })
        }
        Window::Cumulate { max, step, offset } => {
            let offset = offset + later;
            grid(Grid::Cumulate { max, step, offset })
        }
        Window::Session { gap } => Placed::Session(gap),
        Window::Stagger { size } => Placed::Stagger(size),
        _ if operator.key_clocks().is_some() => return Err(NO_KEY_CLOCKS.into()),
        Window::Sliding { size, on_change } => {
            let size = if operator.bounds == WindowBounds::Both {
                size + tick
            } else {
                size
            };
            return Ok(Box::new(sliding::SlidingWindows::new(core(plan), size, on_change)));
        }
        Window::Length(n) => return Ok(Box::new(CountWindows::new(core(plan), Count::Last(n)))),
        Window::LengthBatch(n) => return Ok(Box::new(CountWindows::new(core(plan), Count::Every(n)))),
        Window::Global => return Ok(Box::new(CountWindows::new(core(plan), Count::All))),
        Window::Snapshot { lasts } => {
            let lasts = match *lasts {
                Expr::Span(span) => Lasting::For(span),
                expr => Lasting::Seconds(
                    Compiled::new(&expr, fields).map_err(|e| format!("in the window's duration: {e}"))?,
                ),
            };
            return Ok(Box::new(SnapshotWindows::new(core(plan), lasts)));
        }
    };
    let Some(behind) = operator.key_clocks() else {
        return Ok(placed.windows(core(plan)));
    };
    if plan.is_ungrouped() || plan.has_limit() || operator.align == WindowAlign::FirstEvent {
        return Err(NO_KEY_CLOCKS.into());
    }
    let gate = core(plan.clone());
    let make = move || placed.windows(Core::new(plan.clone(), settings));
    Ok(Box::new(by_key::ByKey::new(gate, behind + tick, Box::new(make))))
}

/// What cannot go by the clocks of its keys.
const NO_KEY_CLOCKS: &str = "a watermark for each key (`scope = \"key\"`) goes with tumbling, hopping, cumulating, staggered \
     and session windows with `group by`, without `limit`, on a grid that does not begin at the first event";

/// Windows that complete by a watermark and are of one group each: where they lie.
#[derive(Clone, Copy, Debug)]
enum Placed {
    Grid(Grid, WindowAlign),
    Session(Span),
    Stagger(Span),
}

impl Placed {
    /// The windows of `core`'s query.
    fn windows(self, core: Core) -> Box<dyn Operator> {
        match self {
            Self::Grid(grid, align) => Box::new(GridWindows::new(core, grid, align)),
            Self::Session(gap) => Box::new(session::SessionWindows::new(core, gap)),
            Self::Stagger(size) => Box::new(stagger::StaggerWindows::new(core, size)),
        }
    }
}

/// Refuses windows that are empty or endless, and settings that a kind of window does not know.
fn check(window: &Window, settings: Settings) -> Result<(), String> {
    let positive = |name: &str, span: Span| match span {
        s if s <= Span::ZERO => Err(format!("the window's {name} is {s}; it must be longer than nothing")),
        s if s > LONGEST => Err(format!("the window's {name} is {s}, which is too long")),
        _ => Ok(()),
    };
    let shift = |offset: Span| match offset {
        o if o > LONGEST || o < -LONGEST => Err(format!("the window's offset is {o}, which is too long")),
        _ => Ok(()),
    };
    match window {
        Window::Tumbling { size, offset } => positive("size", *size).and(shift(*offset)),
        Window::Hop { size, every, offset } => positive("size", *size)
            .and(positive("step", *every))
            .and(shift(*offset)),
        Window::Cumulate { max, step, offset } => {
            positive("longest size", *max)
                .and(positive("step", *step))
                .and(shift(*offset))?;
            if max.micros() % step.micros() != 0 {
                return Err(format!(
                    "a window cumulates up to {max} in steps of {step}, which does not come out even; \
                     make the longest size a multiple of the step"
                ));
            }
            Ok(())
        }
        Window::Sliding { size, .. } | Window::Stagger { size } => positive("size", *size),
        Window::Session { gap } => positive("gap", *gap),
        Window::Length(n) | Window::LengthBatch(n) if *n == 0 || *n > i64::MAX as u64 => {
            Err(format!("a window of {n} events; ask for 1 at least"))
        }
        Window::Snapshot { .. } if settings.corrects() => Err(
            "snapshot windows do not correct what they have said; leave out `horizon` and `late_when = \"after-end\"`"
                .into(),
        ),
        Window::Length(_) | Window::LengthBatch(_) | Window::Snapshot { .. } | Window::Global => Ok(()),
    }?;
    let triggered = matches!(
        window,
        Window::Tumbling { .. }
            | Window::Hop { .. }
            | Window::Cumulate { .. }
            | Window::Session { .. }
            | Window::Global
    );
    if settings.emit.is_some() && !triggered {
        return Err(
            "`emit` goes with tumbling, hopping, cumulating, session and global windows; the others answer at their \
             events, or once"
                .into(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod by_key_tests;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
