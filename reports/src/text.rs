//! Small habits of writing for people: styles, quantities, shortening, hanging indents.

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Something holds.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Something is broken.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Something was not put to the test, or deserves a look.
pub const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
/// What something is about.
pub const STRONG: Style = Style::new().bold();
/// What can be skipped.
pub const DIM: Style = Style::new().dimmed();
/// What can be typed.
pub const TYPED: Style = AnsiColor::Cyan.on_default();

/// `text` in `style`.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A whole number with commas: `12,345`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A whole number in at most five characters: `847`, `12.0k`, `1.20M`.
pub fn short_count(n: u64) -> String {
    let mut size = n as f64;
    let mut unit = "";
    for next in ["k", "M", "G", "T", "P", "E"] {
        if size < 999.5 {
            break;
        }
        size /= 1000.0;
        unit = next;
    }
    match unit {
        "" => n.to_string(),
        _ if size < 9.995 => format!("{size:.2}{unit}"),
        _ if size < 99.95 => format!("{size:.1}{unit}"),
        _ => format!("{size:.0}{unit}"),
    }
}

/// `1 event`, `2 events`.
pub fn plural(n: u64, one: &str) -> String {
    format!("{} {one}{}", count(n), if n == 1 { "" } else { "s" })
}

/// `text` cut to `width` columns, with `…` where something is left out.
pub fn elide(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > width {
            break;
        }
        cut.push(c);
    }
    // Sequences may be wider than their characters are by themselves.
    while !cut.is_empty() && cut.width() + 1 > width {
        cut.pop();
    }
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// `text` in exactly `width` columns: cut or filled up with blanks.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let text = elide(text, width);
    let blanks = width.saturating_sub(text.width());
    text + &" ".repeat(blanks)
}

/// Whether a letter changes the direction of those around it.
const fn turns(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` without anything that a terminal would obey or that would break a line or turn its direction, such characters as
/// escapes: what comes from data files is shown, never executed.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// `text` without ANSI escape sequences of the kind that styles are written in.
pub fn without_styles(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        match c {
            '\x1b' => inside = true,
            'm' if inside => inside = false,
            c if !inside => plain.push(c),
            _ => {}
        }
    }
    plain
}

/// `text` in one line: every run of blanks and line ends as one blank.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `text`, [`printable`], wrapped to `width` columns, the first line behind `head`, the others below its text.
pub fn hang(head: &str, text: &str, width: usize) -> String {
    let blanks = " ".repeat(head.width());
    let options = textwrap::Options::new(width.max(head.width() + 20))
        .initial_indent(head)
        .subsequent_indent(&blanks)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::fill(&printable(text), options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_in_full_and_in_short() {
        for (n, full, short) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (1_000, "1,000", "1.00k"),
            (12_000, "12,000", "12.0k"),
            (999_499, "999,499", "999k"),
            (999_500, "999,500", "1.00M"),
            (u64::MAX, "18,446,744,073,709,551,615", "18.4E"),
        ] {
            assert_eq!((count(n).as_str(), short_count(n).as_str()), (full, short));
        }
    }

    #[test]
    fn what_is_too_long_is_cut_at_columns_not_bytes() {
        assert_eq!(elide("abcdef", 6), "abcdef");
        assert_eq!(elide("abcdefg", 6), "abcde…");
        assert_eq!(elide("日本語", 4), "日…");
        assert_eq!(fit("日本語", 4), "日… ");
        assert_eq!(elide("abc", 0), "");
    }

    #[test]
    fn control_characters_in_data_reach_no_terminal() {
        assert_eq!(printable("a\x1b[2Jb\nc\t"), "a\\u{1b}[2Jb\\nc\\t");
    }
}
