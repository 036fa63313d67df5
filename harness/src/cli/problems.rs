//! Problems of scenario and data files, each shown at its place.

use std::sync::Arc;

use unicode_width::UnicodeWidthStr;
use wavetank_reports::text::{BAD, DIM, STRONG, elide, hang, printable, styled};
use wavetank_scenarios::{Files, Problem};

/// Where the text of a file is found, to show the line that a problem is in.
pub struct Texts<'a> {
    /// The scenario's origin.
    pub origin: &'a str,
    /// The scenario's text.
    pub text: &'a str,
    /// Its data.
    pub files: &'a dyn Files,
}

impl Texts<'_> {
    fn line(&self, problem: &Problem) -> Option<String> {
        if problem.file == self.origin {
            return line(self.text, problem.line);
        }
        // What is set from outside is its own text.
        if problem.file.starts_with("--set ") {
            return Some(problem.file.clone());
        }
        let bytes: Arc<[u8]> = self.files.read(&problem.file).ok()?;
        line(&String::from_utf8_lossy(&bytes), problem.line)
    }
}

fn line(text: &str, number: usize) -> Option<String> {
    text.lines().nth(number.checked_sub(1)?).map(str::to_owned)
}

/// A problem: where, what, the line with the part that is meant underlined, and what was probably meant.
pub fn render(problem: &Problem, texts: &Texts<'_>, width: usize) -> String {
    let width = width.max(60);
    let place = if problem.file.starts_with("--set ") {
        printable(&problem.file)
    } else {
        format!("{}:{}:{}", printable(&problem.file), problem.line, problem.column)
    };
    let mut text = format!("{}\n", styled(STRONG, place));
    text += &format!("{}\n", hang("  ", &problem.message, width));
    if let Some(line) = texts.line(problem) {
        text += &source(&line, problem, width);
    }
    if let Some(help) = &problem.help {
        let wrapped = hang("  help: ", help, width);
        let body = wrapped.strip_prefix("  help: ").unwrap_or(&wrapped);
        text += &format!("  {} {body}\n", styled(STRONG, "help:"));
    }
    text
}

/// The line with its number, and carets under what is meant; a long line is cut so that this stays in sight.
fn source(line: &str, problem: &Problem, width: usize) -> String {
    let number = problem.line.to_string();
    let gutter = number.len() + 5;
    let room = width - gutter;
    let chars: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let from = problem.column.saturating_sub(1).min(chars.len());
    let to = from.saturating_add(problem.length.max(1)).min(chars.len());
    let text = |from: usize, to: usize| chars[from..to].iter().collect::<String>();
    let columns = |from: usize, to: usize| text(from, to).width();
    let mut start = 0;
    while start < from && columns(start, to) > room * 7 / 8 {
        start += 1;
    }
    let marks = "^".repeat(columns(from, to).clamp(1, room.saturating_sub(columns(start, from)).max(1)));
    let bar = styled(DIM, "|");
    let blank = " ".repeat(number.len());
    format!(
        "  {} {bar} {}\n  {blank} {bar} {}{}\n",
        styled(DIM, &number),
        elide(&text(start, chars.len()), room),
        " ".repeat(columns(start, from)),
        styled(BAD, marks),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_reports::text::without_styles;

    struct None;
    impl Files for None {
        fn read(&self, name: &str) -> Result<Arc<[u8]>, String> {
            match name {
                "orders.csv" => Ok(b"time,amount\n10:15,12;5\n".as_slice().into()),
                _ => Err("there is no such file".into()),
            }
        }
    }

    fn shown(text: &str, file: &str, (line, column, length): (usize, usize, usize), help: Option<&str>) -> String {
        let problem = Problem {
            file: file.into(),
            line,
            column,
            length,
            message: "this does not fit".into(),
            help: help.map(Into::into),
        };
        let texts = Texts {
            origin: "a.toml",
            text,
            files: &None,
        };
        without_styles(&render(&problem, &texts, 80))
    }

    #[test]
    fn a_problem_is_underlined_where_it_is() {
        insta::assert_snapshot!(shown("name = \"a\"\nrate = \"日本\" # why\n", "a.toml", (2, 8, 4), Some("write \"20/s\"")), @r#"
        a.toml:2:8
          this does not fit
          2 | rate = "日本" # why
            |        ^^^^^^
          help: write "20/s"
        "#);
    }

    #[test]
    fn the_line_of_a_data_file_and_of_a_setting_from_outside_are_shown_too() {
        insta::assert_snapshot!(shown("", "orders.csv", (2, 7, 4), Option::None), @r"
        orders.csv:2:7
          this does not fit
          2 | 10:15,12;5
            |       ^^^^
        ");
        insta::assert_snapshot!(shown("", "--set time.sed=3", (1, 12, 3), Some("did you mean `seed`?")), @r"
        --set time.sed=3
          this does not fit
          1 | --set time.sed=3
            |            ^^^
          help: did you mean `seed`?
        ");
    }

    #[test]
    fn a_place_outside_of_the_text_and_a_long_line_are_shown_as_far_as_they_go() {
        assert_eq!(shown("", "gone.csv", (7, 7, 7), Option::None).lines().count(), 2);
        let long = format!("x = \"{}\"", "abc ".repeat(100));
        let text = shown(&long, "a.toml", (1, 300, 9), Option::None);
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        assert!(text.contains('^'), "{text}");
        assert!(shown("short", "a.toml", (1, 99, 9), Option::None).contains('^'));
    }
}
