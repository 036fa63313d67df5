//! The trade-off of designs, drawn with letters: one number across, another upwards.

use crate::record::Metric;
use crate::text::printable;

/// Rows of the plot.
const HEIGHT: usize = 12;

/// A design: its name and the two numbers.
pub struct Point {
    /// What it is called below the plot.
    pub name: String,
    /// Across.
    pub x: Metric,
    /// Upwards.
    pub y: Metric,
}

fn number(metric: Metric) -> f64 {
    match metric {
        Metric::Count(n) | Metric::Bytes(n) => n as f64,
        Metric::Us(span) => span.0 as f64,
        other => other.to_string().parse().unwrap_or(f64::NAN),
    }
}

fn label(metric: Metric) -> String {
    match metric {
        Metric::Us(span) => span.short(),
        other => other.to_string(),
    }
}

/// Draws designs by two of their numbers, both of which are better when they are smaller. A design that another beats in
/// one number and does not lose to in the other is written small; what is left is the curve of those worth choosing.
pub fn draw(across: &str, upwards: &str, points: &[Point], width: usize) -> String {
    let worth = |point: &Point| {
        let (x, y) = (number(point.x), number(point.y));
        !points.iter().any(|other| {
            let (a, b) = (number(other.x), number(other.y));
            a <= x && b <= y && (a < x || b < y)
        })
    };
    let letter = |index: usize| {
        let small = char::from(b'a' + (index % 26) as u8);
        if worth(&points[index]) {
            small.to_ascii_uppercase()
        } else {
            small
        }
    };
    let least_most = |of: fn(&Point) -> Metric| {
        let by = |a: &&Point, b: &&Point| number(of(a)).total_cmp(&number(of(b)));
        Some((of(points.iter().min_by(by)?), of(points.iter().max_by(by)?)))
    };
    let (Some((x_min, x_max)), Some((y_min, y_max))) = (least_most(|p| p.x), least_most(|p| p.y)) else {
        return String::new();
    };
    let names = [label(y_max), label(y_min)];
    let margin = names.iter().map(String::len).max().unwrap_or(0) + 1;
    let columns = width.saturating_sub(margin + 3).clamp(10, 60);
    let place = |value: Metric, least: Metric, most: Metric, room: usize| {
        let (value, least, most) = (number(value), number(least), number(most));
        let share = if most > least {
            (value - least) / (most - least)
        } else {
            0.0
        };
        (share * (room - 1) as f64).round() as usize
    };
    let mut grid = vec![vec![' '; columns]; HEIGHT];
    for (index, point) in points.iter().enumerate() {
        let column = place(point.x, x_min, x_max, columns);
        let row = HEIGHT - 1 - place(point.y, y_min, y_max, HEIGHT);
        // Where several fall together, one that is worth choosing is shown.
        let cell = &mut grid[row][column];
        if *cell == ' ' || worth(point) {
            *cell = letter(index);
        }
    }
    let mut text = format!("{:>margin$} {}\n", "", printable(upwards));
    for (row, cells) in grid.iter().enumerate() {
        let name = match row {
            0 => names[0].as_str(),
            _ if row == HEIGHT - 1 => names[1].as_str(),
            _ => "",
        };
        let line: String = cells.iter().collect();
        text += &format!("{name:>margin$} |{}\n", line.trim_end());
    }
    let (left, right) = (label(x_min), label(x_max));
    let gap = columns.saturating_sub(left.len() + right.len());
    text += &format!("{:>margin$} +{}\n", "", "-".repeat(columns));
    text += &format!(
        "{:>margin$}  {left}{}{right}  {}\n",
        "",
        " ".repeat(gap),
        printable(across)
    );
    for (index, point) in points.iter().enumerate() {
        text += &format!(
            "{:>margin$}  {}  {} ({}, {})\n",
            "",
            letter(index),
            printable(&point.name),
            label(point.x),
            label(point.y)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn point(name: &str, late: u64, wait: i64) -> Point {
        Point {
            name: name.to_owned(),
            x: Metric::Us(Span(wait)),
            y: Metric::Count(late),
        }
    }

    #[test]
    fn designs_that_another_beats_are_small() {
        let points = [
            point("K = 0s", 90, 0),
            point("K = 1s", 40, 1_000_000),
            point("K = 2s, badly", 60, 2_000_000),
            point("K = 5s", 0, 5_000_000),
        ];
        insta::assert_snapshot!(draw("wait.p99", "late", &points, 60));
    }

    #[test]
    fn one_design_or_none_is_drawn_too() {
        assert_eq!(draw("x", "y", &[], 60), "");
        let text = draw("x", "y", &[point("only", 1, 1)], 20);
        assert!(text.contains("|A"), "{text}");
    }
}
