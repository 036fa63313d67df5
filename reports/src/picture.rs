//! Small pictures in text: why an event was late, lost or counted in the wrong window.
//!
//! A picture has one axis of time, from left to right, and a few rows above it. Pictures are functions of plain numbers,
//! at most [`LINES`] lines of at most [`COLUMNS`] columns. [`Scene`] draws any rows; [`late`], [`lost`] and
//! [`skewed`] know which rows explain what.

use crate::text::elide;
use crate::time::{Span, Time};

/// The most lines of a picture.
pub const LINES: usize = 8;
/// The most columns of a picture.
pub const COLUMNS: usize = 76;

const LABEL: usize = 11;
const CANVAS: usize = COLUMNS - LABEL - 1;

/// Rows over an axis of time.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    rows: Vec<Row>,
    legend: String,
}

/// One row of a [`Scene`].
#[derive(Clone, Debug, Default)]
pub struct Row {
    label: String,
    things: Vec<Thing>,
}

#[derive(Clone, Debug)]
enum Thing {
    /// `[====)`, with a text inside or beside it.
    Bar(Time, Time, String),
    /// A line from one moment to another.
    Line(Time, Time, char),
    /// A mark.
    Mark(Time, char),
    /// A mark with a text beside it.
    Named(Time, char, String),
}

impl Row {
    /// A row with a word in front of it (at most 11 columns are shown).
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            things: Vec::new(),
        }
    }
    /// Adds the half-open interval `[from, to)` with a text.
    pub fn bar(mut self, from: Time, to: Time, text: impl Into<String>) -> Self {
        self.things.push(Thing::Bar(from, to, text.into()));
        self
    }
    /// Adds a line of `c` between two moments.
    pub fn line(mut self, from: Time, to: Time, c: char) -> Self {
        self.things.push(Thing::Line(from, to, c));
        self
    }
    /// Adds marks.
    pub fn marks(mut self, at: impl IntoIterator<Item = Time>, c: char) -> Self {
        self.things.extend(at.into_iter().map(|t| Thing::Mark(t, c)));
        self
    }
    /// Adds a mark with a text beside it, which covers what is there.
    pub fn named(mut self, at: Time, c: char, text: impl Into<String>) -> Self {
        self.things.push(Thing::Named(at, c, text.into()));
        self
    }
}

impl Scene {
    /// An empty scene; `legend` is the line below the axis.
    pub fn new(legend: impl Into<String>) -> Self {
        Self {
            rows: Vec::new(),
            legend: legend.into(),
        }
    }
    /// Adds a row; those beyond what fits above axis and legend are left out.
    pub fn row(mut self, row: Row) -> Self {
        self.rows.push(row);
        self
    }

    /// Draws it. A scene without a finite moment has no axis and is empty.
    pub fn draw(&self) -> Vec<String> {
        let moments = self
            .rows
            .iter()
            .flat_map(|row| &row.things)
            .flat_map(|thing| match thing {
                Thing::Bar(a, b, _) | Thing::Line(a, b, _) => [*a, *b],
                Thing::Mark(t, _) | Thing::Named(t, ..) => [*t, *t],
            });
        let finite = |t: &Time| *t != Time::MIN && *t != Time::MAX;
        let (mut first, mut last) = (Time::MAX, Time::MIN);
        for t in moments.filter(finite) {
            first = first.min(t);
            last = last.max(t);
        }
        if first > last {
            return Vec::new();
        }
        let axis = Axis::new(first, last);
        let mut lines: Vec<String> = self
            .rows
            .iter()
            .take(LINES - 3)
            .map(|row| labelled(&row.label, &axis.draw_row(row)))
            .collect();
        let (rule, labels) = axis.draw_ticks();
        lines.push(labelled("", &rule));
        lines.push(labelled(&axis.day(), &labels));
        if !self.legend.is_empty() {
            lines.push(labelled("", &elide(&self.legend, CANVAS).chars().collect::<Vec<_>>()));
        }
        lines
    }
}

fn labelled(label: &str, canvas: &[char]) -> String {
    let line: String = canvas.iter().collect();
    format!("{:<LABEL$} {}", elide(label, LABEL), line.trim_end())
        .trim_end()
        .to_owned()
}

/// The axis: which moment is drawn in which column.
struct Axis {
    first: Time,
    last: Time,
    step: i64,
}

/// Distances of ticks that people read easily, in microseconds.
const STEPS: [i64; 38] = {
    const S: i64 = 1_000_000;
    [
        1,
        2,
        5,
        10,
        20,
        50,
        100,
        200,
        500,
        1_000,
        2_000,
        5_000,
        10_000,
        20_000,
        50_000,
        100_000,
        200_000,
        500_000,
        S,
        2 * S,
        5 * S,
        10 * S,
        15 * S,
        30 * S,
        60 * S,
        120 * S,
        300 * S,
        600 * S,
        900 * S,
        1_800 * S,
        3_600 * S,
        7_200 * S,
        21_600 * S,
        43_200 * S,
        86_400 * S,
        604_800 * S,
        2_592_000 * S,
        31_536_000 * S,
    ]
};
const MOST_TICKS: i64 = 6;

impl Axis {
    fn new(first: Time, last: Time) -> Self {
        // Room at both ends, so that no mark sits on the frame; more on the right, where its text goes.
        let length = last.since(first).0.max(10);
        let first = Time(first.0.saturating_sub(length / 20));
        let last = Time(last.0.saturating_add(length / 8));
        let length = last.since(first).0;
        let step = STEPS
            .into_iter()
            .find(|step| length / step < MOST_TICKS)
            .unwrap_or(length / MOST_TICKS + 1);
        Self { first, last, step }
    }

    /// The column of a moment, clamped to the canvas.
    fn column(&self, t: Time) -> usize {
        let length = i128::from(self.last.since(self.first).0.max(1));
        let along = i128::from(t.0) - i128::from(self.first.0);
        usize::try_from((along * (CANVAS as i128 - 1) / length).clamp(0, CANVAS as i128 - 1)).unwrap_or(0)
    }

    fn draw_row(&self, row: &Row) -> Vec<char> {
        let mut canvas = vec![' '; CANVAS];
        for thing in &row.things {
            match thing {
                Thing::Line(from, to, c) => {
                    canvas[self.column(*from)..=self.column(*to).max(self.column(*from))].fill(*c);
                }
                Thing::Mark(t, c) => canvas[self.column(*t)] = *c,
                Thing::Bar(from, to, text) => self.draw_bar(&mut canvas, *from, *to, text),
                Thing::Named(..) => {}
            }
        }
        // Named marks last: their texts may cover others, never the other way round.
        for thing in &row.things {
            if let Thing::Named(t, c, text) = thing {
                let column = self.column(*t);
                beside(&mut canvas, column, column, text);
                canvas[column] = *c;
            }
        }
        canvas
    }

    fn draw_bar(&self, canvas: &mut [char], from: Time, to: Time, text: &str) {
        let (left, right) = (self.column(from), self.column(to).max(self.column(from)));
        canvas[left..=right].fill('=');
        canvas[left] = '[';
        canvas[right] = ')';
        let text_width = text.chars().count();
        if right - left > text_width + 4 {
            let start = left + (right - left - text_width) / 2;
            put(canvas, start, &format!(" {text} "));
        } else {
            beside(canvas, left, right, text);
        }
    }

    /// The rule with its ticks, and the texts below them.
    fn draw_ticks(&self) -> (Vec<char>, Vec<char>) {
        let (mut rule, mut labels) = (vec!['-'; CANVAS], vec![' '; CANVAS]);
        let mut tick = self
            .first
            .0
            .saturating_add(self.step - 1)
            .div_euclid(self.step)
            .saturating_mul(self.step);
        let mut free_from = 0;
        while tick <= self.last.0 {
            let column = self.column(Time(tick));
            rule[column] = '+';
            let text = self.tick_text(Time(tick));
            let start = column.saturating_sub(text.len() / 2).max(free_from);
            if start + text.len() <= CANVAS {
                put(&mut labels, start, &text);
                free_from = start + text.len() + 1;
            }
            match tick.checked_add(self.step) {
                Some(next) => tick = next,
                None => break,
            }
        }
        (rule, labels)
    }

    /// The date that the axis starts on, where its moments are dates.
    fn day(&self) -> String {
        match self.first.to_string().split_once('T') {
            Some((day, _)) => day.to_owned(),
            None => String::new(),
        }
    }

    /// A moment as a tick shows it: the day where ticks are days apart, else as [`clock`] has it.
    fn tick_text(&self, t: Time) -> String {
        match t.to_string().split_once('T') {
            Some((day, _)) if self.step >= 86_400_000_000 => day.to_owned(),
            _ => clock(t),
        }
    }
}

/// A moment in a picture: the time of day, seconds only where there are any, or the time since the start.
fn clock(t: Time) -> String {
    let text = t.to_string();
    match text.split_once('T') {
        Some((_, time)) => {
            let time = time.trim_end_matches('Z');
            time.strip_suffix(":00").unwrap_or(time).to_owned()
        }
        None => text,
    }
}

/// An interval in a picture.
fn interval((start, end): (Time, Time)) -> String {
    format!("[{}, {})", clock(start), clock(end))
}

/// Writes `text` over what is there, as far as it fits.
fn put(canvas: &mut [char], start: usize, text: &str) {
    for (cell, c) in canvas.iter_mut().skip(start).zip(text.chars()) {
        *cell = if c.is_ascii() && !c.is_ascii_control() { c } else { '?' };
    }
}

/// Writes `text` to the right of the columns `left..=right`, or to the left of them where there is no room.
fn beside(canvas: &mut [char], left: usize, right: usize, text: &str) {
    let width = text.chars().count();
    if right + 2 + width <= CANVAS {
        put(canvas, right + 1, &format!(" {text}"));
    } else if left > width {
        put(canvas, left - width - 1, &format!("{text} "));
    } else {
        put(
            canvas,
            right + 1,
            &format!(
                " {}",
                text.chars().take(CANVAS.saturating_sub(right + 2)).collect::<String>()
            ),
        );
    }
}

/// An event that came, or did not: when it happened (was sent) and when it was seen.
pub type Journey = (Time, Option<Time>);

/// What [`late`] draws.
#[derive(Clone, Debug)]
pub struct LateEvent<'a> {
    /// Start (inclusive) and end (exclusive) of its window, in event time.
    pub window: (Time, Time),
    /// When the watermark closed the window, in virtual time.
    pub closed: Time,
    /// The stamp of the late event.
    pub stamp: Time,
    /// When it was seen.
    pub seen: Time,
    /// Some others of the window that came in time, for comparison.
    pub others: &'a [(Time, Time)],
}

/// An event that arrived after its window had closed: the window, when the events happened, when they were seen, and when
/// the watermark passed the window's end.
pub fn late(what: &LateEvent<'_>) -> Vec<String> {
    let (start, end) = what.window;
    let first_seen = what
        .others
        .iter()
        .map(|o| o.1)
        .min()
        .unwrap_or(what.stamp)
        .min(what.closed);
    Scene::new(format!(
        "X late: lag {}, {} after the window closed   o in time",
        what.seen.since(what.stamp).short(),
        what.seen.since(what.closed).short()
    ))
    .row(Row::new("window").bar(start, end, interval(what.window)))
    .row(
        Row::new("happened")
            .marks(what.others.iter().map(|o| o.0), 'o')
            .named(what.stamp, 'X', clock(what.stamp)),
    )
    .row(
        Row::new("seen")
            .marks(what.others.iter().map(|o| o.1), 'o')
            .named(what.seen, 'X', clock(what.seen)),
    )
    .row(Row::new("watermark").line(first_seen, what.closed, '.').named(
        what.closed,
        '|',
        format!("closed {}", clock(what.closed)),
    ))
    .draw()
}

/// An event that was sent over a link and never came: what was sent, what came. `by` says what took it.
pub fn lost(sent: Time, by: &str, others: &[Journey]) -> Vec<String> {
    Scene::new(format!(
        "X lost{}{by}   o arrived",
        if by.is_empty() { "" } else { " by " }
    ))
    .row(
        Row::new("sent")
            .marks(others.iter().map(|o| o.0), 'o')
            .named(sent, 'X', clock(sent)),
    )
    .row(
        Row::new("arrived")
            .marks(others.iter().filter_map(|o| o.1), 'o')
            .named(sent, ' ', "X never came"),
    )
    .draw()
}

/// Who gave an event a stamp that is not the time at which it happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stamped {
    /// Its own clock, which was wrong.
    Clock,
    /// The engine, when it came.
    Arrival,
}

/// What [`skewed`] draws.
#[derive(Clone, Debug)]
pub struct SkewedEvent {
    /// When it happened, in true time.
    pub happened: Time,
    /// What the clock said.
    pub stamp: Time,
    /// Whose clock.
    pub by: Stamped,
    /// The window that it belongs to by true time.
    pub belongs: (Time, Time),
    /// The window that it was counted in.
    pub counted: (Time, Time),
}

/// An event whose stamp is not the time at which it happened, so that it was counted in another window.
pub fn skewed(what: &SkewedEvent) -> Vec<String> {
    let off = what.stamp.since(what.happened);
    let (from, to) = (what.happened.min(what.stamp), what.happened.max(what.stamp));
    let size = Span(off.0.saturating_abs()).short();
    let (legend, between) = match what.by {
        Stamped::Clock if off.0 < 0 => (format!("X the event: its clock is {size} behind"), "clock off"),
        Stamped::Clock => (format!("X the event: its clock is {size} ahead"), "clock off"),
        Stamped::Arrival => (format!("X the event: stamped when it came, {size} off"), "on its way"),
    };
    Scene::new(legend)
        .row(Row::new("belongs to").bar(what.belongs.0, what.belongs.1, interval(what.belongs)))
        .row(Row::new("true time").named(what.happened, 'X', clock(what.happened)))
        .row(Row::new(between).line(from, to, if off.0 < 0 { '<' } else { '>' }))
        .row(Row::new("stamp").named(what.stamp, 'X', clock(what.stamp)))
        .row(Row::new("counted in").bar(what.counted.0, what.counted.1, interval(what.counted)))
        .draw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: i64 = 1_000_000;
    const DATE: i64 = 1_357_035_300 * S;

    fn shown(lines: &[String]) -> String {
        format!("\n{}\n", lines.join("\n"))
    }

    #[test]
    fn a_late_event_is_drawn_behind_the_moment_at_which_its_window_closed() {
        let others: Vec<_> = [5, 14, 22, 31, 47]
            .map(|s| (Time((120 + s) * S), Time((121 + s) * S)))
            .to_vec();
        let lines = late(&LateEvent {
            window: (Time(120 * S), Time(180 * S)),
            closed: Time(182 * S),
            stamp: Time(178_900_000),
            seen: Time(191_100_000),
            others: &others,
        });
        insta::assert_snapshot!(shown(&lines));
    }

    #[test]
    fn moments_with_dates_show_the_time_of_day_and_name_the_day() {
        let lines = late(&LateEvent {
            window: (Time(DATE), Time(DATE + 3_600 * S)),
            closed: Time(DATE + 5_400 * S),
            stamp: Time(DATE + 1_200 * S),
            seen: Time(DATE + 9_000 * S),
            others: &[],
        });
        insta::assert_snapshot!(shown(&lines));
    }

    #[test]
    fn a_lost_event_is_drawn_beside_those_that_arrived() {
        let others = [
            (Time(S), Some(Time(2 * S))),
            (Time(3 * S), Some(Time(4 * S))),
            (Time(7 * S), None),
        ];
        insta::assert_snapshot!(shown(&lost(Time(5 * S), "`lossy`", &others)));
    }

    #[test]
    fn a_skewed_event_is_drawn_in_both_windows() {
        let lines = skewed(&SkewedEvent {
            happened: Time(178 * S),
            stamp: Time(183 * S),
            by: Stamped::Clock,
            belongs: (Time(120 * S), Time(180 * S)),
            counted: (Time(180 * S), Time(240 * S)),
        });
        insta::assert_snapshot!(shown(&lines));
    }

    #[test]
    fn a_scene_without_a_moment_is_empty() {
        assert!(Scene::new("nothing").row(Row::new("empty")).draw().is_empty());
        assert!(
            Scene::new("")
                .row(Row::new("").bar(Time::MIN, Time::MAX, "global"))
                .draw()
                .is_empty()
        );
    }

    proptest! {
        #[test]
        fn a_picture_never_outgrows_its_frame(
            a in any::<i64>(), b in any::<i64>(), c in any::<i64>(), d in any::<i64>(), e in any::<i64>(),
            others in prop::collection::vec((any::<i64>(), any::<i64>()), 0..20),
        ) {
            let others: Vec<_> = others.into_iter().map(|(x, y)| (Time(x), Time(y))).collect();
            let journeys: Vec<_> = others.iter().map(|(x, y)| (*x, Some(*y))).collect();
            let (start, end) = (Time(a.min(b)), Time(a.max(b)));
            let pictures = [
                late(&LateEvent { window: (start, end), closed: Time(c), stamp: Time(d), seen: Time(e), others: &others }),
                lost(Time(c), "a fault with quite a long name, all things considered, is it not so", &journeys),
                skewed(&SkewedEvent { happened: Time(c), stamp: Time(d), by: Stamped::Arrival, belongs: (start, end), counted: (start, end) }),
            ];
            for lines in pictures {
                prop_assert!(lines.len() <= LINES);
                prop_assert!(lines.iter().all(|l| l.chars().count() <= COLUMNS), "{lines:#?}");
            }
        }
    }
}
