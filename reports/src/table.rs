//! Tables for people: lists of things with a description, and the results of a sink.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};

use crate::record::SinkTable;
use crate::text::{STRONG, count, elide, plural, printable, styled};

/// A table with a header and wrapped cells in at most `width` columns, the first column never broken. Rows may be shorter
/// than the header.
pub fn list(header: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let mut table = plain(width);
    table.set_header(header.iter().map(|h| h.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    if let Some(first) = table.column_mut(0) {
        first.set_constraint(ColumnConstraint::ContentWidth);
    }
    finish(&table)
}

/// A table whose cells stand to the right under their headings, in at most `width` columns; the last column to the left.
pub fn numbers(header: &[String], rows: &[Vec<String>], width: usize) -> String {
    let mut table = plain(width);
    table.set_header(header.iter().map(|name| printable(name)));
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for index in 0..header.len().saturating_sub(1) {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    finish(&table)
}

/// The first `most` rows of what a sink holds, numbers to the right, wide cells cut; with its name and how many rows
/// there are.
pub fn result_table(sink: &SinkTable, most: usize, width: usize) -> String {
    let shown = sink.first.len().min(most);
    let title = format!("{} ({})", printable(&sink.sink), plural(sink.rows, "row"));
    let mut text = styled(STRONG, &title) + "\n";
    if shown == 0 {
        return text;
    }
    let mut table = plain(width.saturating_sub(2));
    let most_columns = (width / 6).max(1);
    let columns = sink.columns.len().min(most_columns);
    table.set_header(sink.columns[..columns].iter().map(|name| printable(name)));
    // Cells share the width fairly: what is longer than a fair share and a half is cut.
    let room = (width / columns.max(1)).max(12) * 3 / 2;
    for row in sink.first.iter().take(shown) {
        table.add_row(
            row.iter()
                .take(columns)
                .map(|cell| elide(&printable(&cell_text(cell)), room)),
        );
    }
    for index in 0..columns {
        let numbers = sink
            .first
            .iter()
            .take(shown)
            .all(|row| row.get(index).is_none_or(|c| c.is_number() || c.is_null()));
        if let Some(column) = table.column_mut(index) {
            column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(
                room.min(usize::from(u16::MAX)) as u16,
            )));
            if numbers {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    for line in finish(&table).lines() {
        text += &format!("  {line}\n");
    }
    let hidden = sink.rows.saturating_sub(shown as u64);
    if hidden > 0 {
        text += &format!("  and {} more\n", count(hidden));
    }
    text
}

/// A value as a person reads it: text bare, everything else as JSON has it.
pub(crate) fn cell_text(cell: &serde_json::Value) -> String {
    match cell {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn plain(width: usize) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table
}

/// The text without the blanks that fill lines up at the end and the padding in front.
fn finish(table: &Table) -> String {
    let mut text = String::new();
    for line in table.to_string().lines() {
        text += line.strip_prefix(' ').unwrap_or(line).trim_end();
        text.push('\n');
    }
    text
}
